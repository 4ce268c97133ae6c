"""Somebody who runs commands: we as we are, and a user of the other kind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import IDENTITY

ROOT = Path(__file__).parents[2]
OTHER = "4242"  # an id that nobody has
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Becomes root in a user namespace where we are not root, with mounts of its own either way.
MOUNTING = ("unshare", *(("--user", "--map-root-user") if os.geteuid() else ()), "--mount", "--propagation", "private")
#: Binds our interpreter and package to where another user may read them, then becomes that user.
AS_OTHER = (
    'mkdir -p "$1/py" "$1/lib/zwarm_ci" && mount --bind "$2" "$1/py" && mount --bind "$3" "$1/lib/zwarm_ci" && shift 3 && '
    f'exec setpriv --reuid {OTHER} --regid {OTHER} --clear-groups "$@"'
)


@dataclass(frozen=True)
class Host:
    """`wrap` goes before what they run, `python` sees the package in `library`, `folder` is theirs."""

    wrap: tuple[str, ...]
    python: str
    library: str
    folder: Path

    def do(self, argv: Sequence[str], cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `argv` in a bare environment."""
        return subprocess.run(
            [*self.wrap, *argv], cwd=cwd or self.folder, env={"PATH": PATH, "LANG": "C.UTF-8", **IDENTITY, **env},
            capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def py(self, code: str, *args: str, prefix: Sequence[str] = (), cwd: Path | None = None) -> str:
        """What Python code prints that may import the package; it must end well."""
        argv = [*prefix, self.python, "-c", code, *args]
        done = self.do(argv, cwd, PYTHONPATH=self.library, PYTHONDONTWRITEBYTECODE="1")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ask(self, name: str, *paths: Path) -> Any:
        """What a function of `confine` answers them."""
        code = (
            "import json, pathlib, sys\nfrom zwarm_ci import confine\n"
            "print(json.dumps(getattr(confine, sys.argv[1])(*map(pathlib.Path, sys.argv[2:]))))"
        )
        return json.loads(self.py(code, name, *map(str, paths)))

    def means(self) -> str:
        return self.py("from zwarm_ci import confine; print(confine.means().name)").strip()

    def offline(self, name: str = "") -> list[str]:
        code = (
            "import json, sys\nfrom zwarm_ci import confine\n"
            "print(json.dumps(confine.offline(confine.Means(sys.argv[1], '') if sys.argv[1] else confine.means())))"
        )
        prefix: list[str] = json.loads(self.py(code, name))
        assert prefix
        return prefix

    def overlaid(self, *paths: Path) -> list[str]:
        prefix: list[str] = self.ask("overlaid", *paths)
        assert prefix, self.ask("no_overlay", *paths)
        return prefix

    def plant(self, *files: str) -> Path:
        """A folder `top` of theirs with these files, each holding `1`."""
        top = self.folder / "top"
        self.plant_at(top, *files)
        return top

    def plant_at(self, top: Path, *files: str) -> None:
        code = (
            "import pathlib, sys\nfor name in sys.argv[1:]:\n path = pathlib.Path(name)\n"
            " path.parent.mkdir(parents=True, exist_ok=True)\n path.write_text('1')"
        )
        self.py(code, *(str(top / name) for name in files))


def as_me(folder: Path) -> Host:
    return Host((), sys.executable, str(ROOT), folder)


def as_another(folder: Path) -> Host:
    """An ordinary user where we are root, root in a user namespace where we are not."""
    if os.geteuid():
        return Host(MOUNTING, sys.executable, str(ROOT), folder)
    folder.chmod(0o755)
    theirs = folder / "theirs"
    theirs.mkdir()
    os.chown(theirs, int(OTHER), int(OTHER))
    wrap = (*MOUNTING, "sh", "-c", AS_OTHER, "sh", str(folder), sys.base_prefix, str(ROOT / "zwarm_ci"))
    return Host(wrap, f"{folder}/py/bin/{PYTHON}", f"{folder}/lib", theirs)
