"""One run over many machines: `plan` once, `work` a job a machine, `collect` once. They share nothing but files.

A plan is like a command line: whoever writes it says what runs. What comes back from a job is a stranger's word, held against
the plan, and all patches together are verified again before they are delivered.
"""

from zwarm_ci.fanout.collect import collect
from zwarm_ci.fanout.planning import MOST_JOBS, Planned, plan
from zwarm_ci.fanout.work import work

__all__ = ["MOST_JOBS", "Planned", "collect", "plan", "work"]
