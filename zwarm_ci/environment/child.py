"""The variables with which a check runs in a worktree."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from zwarm_ci.environment.base import Environment, inside
from zwarm_ci.environment.home import own_home
from zwarm_ci.scrub import child_env
from zwarm_ci.task import Check


def child_environment(
    env: Environment,
    tree: Path,
    check: Check,
    *,
    tmp: Path,
    bytecode: Path | None = None,
    home: Path | None = None,
) -> dict[str, str]:
    """The environment in which `check` runs in `tree`: allow-listed names, the mapped interpreter and packages, `tmp` as TMPDIR.

    No bytecode is written: a .pyc is valid by size and second, so two versions of one file could share it. Packages that have
    none would then be compiled by every process; theirs is kept in `bytecode`, outside the environment, and the tree's is not.
    `home` is made its HOME, without the user's settings, unless the check asks for HOME by name; None = the user's own.
    """
    tmp.mkdir(parents=True, exist_ok=True)
    made = child_env(names=check.env)
    made["PATH"] = os.pathsep.join((*(_own(env, tree, p) for p in env.path), made.get("PATH", os.defpath)))
    if home is not None and "HOME" not in check.env:
        made |= own_home(home)
    made |= {"TMPDIR": str(tmp), "TEMP": str(tmp), "TMP": str(tmp)}
    if env.compiled or bytecode is None:
        made["PYTHONDONTWRITEBYTECODE"] = "1"
    else:
        made["PYTHONPYCACHEPREFIX"] = str(bytecode)
        shutil.rmtree(bytecode / tree.resolve().relative_to("/"), ignore_errors=True)
    made.pop("PYTHONPATH", None)
    given = [e for e in os.environ.get("PYTHONPATH", "").split(os.pathsep) if e]
    inner = [rel for e in given if (rel := inside(env.top, env.top / e)) is not None]
    folders = [str(tree / rel) for rel in dict.fromkeys((*inner, *env.mapped)) if (tree / rel).is_dir()]
    if "PYTHONPATH" in check.env:
        folders += [e for e in given if inside(env.top, env.top / e) is None]
    if folders:
        made["PYTHONPATH"] = os.pathsep.join(folders)
    made.pop("VIRTUAL_ENV", None)
    if env.venv:
        # uv would make an environment of its own in the tree, and re-point the editable install at it, were it let.
        made |= {
            "VIRTUAL_ENV": env.venv,
            "UV_PROJECT_ENVIRONMENT": env.venv,
            "UV_NO_SYNC": "1",
            "PDM_PYTHON": env.python,
        }
    return made


def _own(env: Environment, tree: Path, folder: str) -> str:
    """The tree's folder of programs in place of the checkout's, where it has one."""
    path = Path(folder)
    if path.name == ".bin" and path.is_relative_to(env.top) and (own := tree / path.relative_to(env.top)).is_dir():
        return str(own)
    return folder
