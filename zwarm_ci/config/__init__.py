"""Settings: text of several origins in, one typed tree out, with the origin of each value.

pydantic checks the text at this edge and nowhere else. A key that is unknown is an error.
"""

from __future__ import annotations

from zwarm_ci.config.merge import load
from zwarm_ci.config.orchestrating import CompactionTable, OrchestratorSettings, RuleTable, WatchersSettings
from zwarm_ci.config.origins import PREFIX, PYPROJECT, REPO_FILE, RESERVED, parse
from zwarm_ci.config.scalars import ASSOCIATIONS, STOP_LABEL
from zwarm_ci.config.tables import (
    BudgetSettings,
    ExecutorSettings,
    GithubSettings,
    HookSettings,
    LoopSettings,
    Settings,
    VerifySettings,
    WeaveSettings,
    dotted,
    known_keys,
    toml,
    values,
)

__all__ = [
    "ASSOCIATIONS",
    "PREFIX",
    "PYPROJECT",
    "REPO_FILE",
    "RESERVED",
    "STOP_LABEL",
    "BudgetSettings",
    "CompactionTable",
    "ExecutorSettings",
    "GithubSettings",
    "HookSettings",
    "LoopSettings",
    "OrchestratorSettings",
    "RuleTable",
    "Settings",
    "VerifySettings",
    "WatchersSettings",
    "WeaveSettings",
    "dotted",
    "known_keys",
    "load",
    "parse",
    "toml",
    "values",
]
