"""A run that was cut off goes on: killed at any byte, or interrupted. It tells its story again; what was done is not done again."""

from __future__ import annotations

from zwarm_ci.resume.cut import Cut, find
from zwarm_ci.resume.going_on import resume

__all__ = ["Cut", "find", "resume"]
