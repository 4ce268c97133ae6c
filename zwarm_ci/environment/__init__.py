"""The repository's own environment, found in the original checkout and mapped onto worktrees of it.

Nothing in the original checkout is written, nothing is installed into its environment; where it maps nothing, nothing is invented.
"""

from zwarm_ci.environment.base import Environment, Interpreter
from zwarm_ci.environment.child import child_environment
from zwarm_ci.environment.files import (
    adopt_variables,
    copy_built,
    copy_included,
    given,
    is_extension,
    is_native,
    listed_in,
)
from zwarm_ci.environment.interpreter import discover
from zwarm_ci.environment.node import link_dependencies
from zwarm_ci.environment.overlay import overlay

__all__ = [
    "Environment",
    "Interpreter",
    "adopt_variables",
    "child_environment",
    "copy_built",
    "copy_included",
    "discover",
    "given",
    "is_extension",
    "is_native",
    "link_dependencies",
    "listed_in",
    "overlay",
]
