"""A virtual environment with pytest and nothing else, made of links to the one that runs us: a start in it takes half the time.

Plug-ins that are installed beside pytest are loaded by every run of it, hypothesis and anyio above all. Repositories of the tests
rarely use them; those that do ask for the whole environment.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import venv
from importlib.metadata import distribution
from pathlib import Path
from shutil import rmtree

WITH = ("pytest", "pluggy", "iniconfig", "packaging", "pygments")


def lean() -> Path:
    """Its folder, made when it is first asked for; safe from several processes at once."""
    marks = "-".join(distribution(name).version for name in WITH[:2])
    mark = re.sub(r"\W", "_", f"{sys.prefix}-{sys.version_info[:2]}-{marks}")
    place = Path(tempfile.gettempdir()) / f"zwarm-ci-lean-{os.getuid()}{mark}"
    if place.is_dir():
        return place
    made = Path(tempfile.mkdtemp(prefix="zwarm-ci-lean-"))
    venv.create(made, with_pip=False)
    packages = made / Path(*_packages().relative_to(sys.prefix).parts)
    for name in WITH:
        for top in {Path(*file.parts[:1]) for file in distribution(name).files or () if file.parts[0] != ".."}:
            if top.suffix != ".pth" and top.name != "__pycache__":
                (packages / top).symlink_to(_packages() / top)
    try:
        made.rename(place)
    except OSError:  # somebody else was first
        rmtree(made)
    return place


def _packages() -> Path:
    return Path(str(distribution("pytest").locate_file(""))).resolve()


def in_front() -> dict[str, str]:
    """The variables that make it the environment of what is started; ours stays behind it, for ruff and the like."""
    place = lean()
    path = os.pathsep.join((str(place / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]))
    return {"VIRTUAL_ENV": str(place), "PATH": path}


def whole() -> dict[str, str]:
    """The variables that make the environment that runs us, with all its plug-ins, that of what is started."""
    return {"VIRTUAL_ENV": sys.prefix, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
