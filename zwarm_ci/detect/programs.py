"""Programs by which a repository runs its own tests: Django's manage.py where pytest has no plugin for it, a script at its top."""

from __future__ import annotations

import re

from zwarm_ci.detect import requirements, sessions
from zwarm_ci.detect.base import Tree
from zwarm_ci.detect.packages import SCRIPTS, Package
from zwarm_ci.environment import Environment
from zwarm_ci.task import Check

_PYTEST = re.compile(r"\bpytest\b")
_UNITTEST = re.compile(r"\b(unittest|django|DiscoverRunner|TextTestRunner)\b")


def of(tree: Tree, env: Environment, package: Package) -> Check | None:
    """The check of a package folder that such a program runs; None where pytest is set up, or there is none."""
    if not env.python or requirements.pytest_settings(tree)[0]:
        return None
    script = "" if sessions.has_settings(tree) else tree.has(*SCRIPTS)
    text = tree.text(script)
    if script and (_PYTEST.search(text) or _UNITTEST.search(text)):
        kind = "pytest" if _PYTEST.search(text) else "junit"
        return Check(package.name, f"python {script}", kind, package.folder, why=f"of {script}")  # type: ignore[arg-type]
    by_plugin = requirements.is_installed("pytest-django", env.interpreter.sites if env.interpreter else ())
    if "django" in tree.text("manage.py") and package.uses_unittest and not by_plugin:
        return Check(package.name, "python manage.py test", "junit", package.folder, why="of manage.py")
    return None
