"""Checks: run one in a tree, read its result. `run.py` runs, one file a kind reads."""

from zwarm_ci.checks.reduce import reduce_log
from zwarm_ci.checks.run import argv_of, can_doom, run_check, run_fix, run_setup

__all__ = ["argv_of", "can_doom", "reduce_log", "run_check", "run_fix", "run_setup"]
