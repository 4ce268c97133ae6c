"""Django's own test command, where pytest has no plugin that would set Django up."""

from __future__ import annotations

from zwarm_ci.detect import requirements
from zwarm_ci.detect.base import Tree
from zwarm_ci.detect.packages import Package
from zwarm_ci.environment import Environment
from zwarm_ci.task import Check


def is_run_by_manage(tree: Tree, env: Environment, package: Package) -> bool:
    """Whether a folder's tests are Django's and `manage.py test` is what can run them."""
    if "django" not in tree.text("manage.py") or not env.python or not package.uses_unittest:
        return False
    return not requirements.is_installed("pytest-django", env.interpreter.sites if env.interpreter else ())


def check(package: Package) -> Check:
    """The check of a project's `manage.py test`."""
    return Check(package.name, "python manage.py test", "junit", package.folder, why="of manage.py")
