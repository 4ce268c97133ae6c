"""What the repositories of the matrix have in common: a commit on main broke something, and the command line is asked to repair it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.support import Repo, zwarm

#: Where package managers keep what they downloaded, from one test run to the next.
CACHE = Path(
    os.environ.get("ZWARM_CI_TEST_CACHE") or Path(pwd.getpwuid(os.getuid()).pw_dir, ".cache", "zwarm-ci-tests")
)
MADE = ("node_modules", "package-lock.json")
#: What is held by other tests is not done again for each repository.
FEW = ("--set", "verify.burn_in=1", "--set", "verify.reruns=1")


def call(*argv: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """A tool as a person would start it, its caches kept between runs."""
    kept = {"npm_config_cache": str(CACHE / "npm"), "npm_config_update_notifier": "false", "GOFLAGS": "-mod=mod", **env}
    return subprocess.run(
        argv, cwd=cwd, env={**os.environ, **kept}, capture_output=True, text=True, check=False, timeout=300, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def npm_install(folder: Path) -> None:
    """What the package.json files below a folder ask for. What npm made of the same ones is kept and copied, links as links."""
    asked = sorted(p for p in folder.rglob("package.json") if "node_modules" not in p.parts)
    key = hashlib.sha256(b"\0".join(p.read_bytes() for p in asked)).hexdigest()[:16]
    kept = CACHE / "installed" / key
    if not kept.is_dir():
        done = call("npm", "install", "--prefer-offline", "--no-audit", "--no-fund", cwd=folder)
        assert done.returncode == 0, done.stderr[-2000:]
        with tempfile.TemporaryDirectory(dir=_made(kept.parent)) as parts:
            for name in MADE:
                _copy(folder / name, Path(parts, "tree", name))
            with contextlib.suppress(OSError):  # another test was first
                Path(parts, "tree").rename(kept)
    for name in MADE:
        if not (folder / name).exists():
            _copy(kept / name, folder / name)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _copy(source: Path, target: Path) -> None:
    _made(target.parent)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    elif source.is_file():
        shutil.copy2(source, target)


def repaired(
    repo: Repo, in_place: tuple[str, ...], *, red: set[str], workdir: str = ".", prefix: str = "", **env: str
) -> dict[str, Any]:
    """The outcome of `fix-tests`, which must undo the last commit and agree with a plain run of `in_place`, before and after.

    `red` are the ids on main, a `prefix` taken off.
    """
    folder = repo.path / workdir
    assert call(*in_place, cwd=folder, **env).returncode != 0, "red in place"
    said = zwarm("fix-tests", "--json", *FEW, cwd=repo.path, **env)
    assert said.code == 0, (said.out[-3000:], said.err[-3000:])
    outcome = said.json
    failed = {i for check in outcome["checks"]["before"] for i in check["failed"]}
    assert {i.removeprefix(f"{prefix}/") for i in failed} == red
    ends = {(t["status"], t["method"], t["reason"]) for t in outcome["tasks"]}
    assert {end[:2] for end in ends} <= {("fixed", "revert"), ("already_green", "revert")}, ends
    assert not any(check["failed"] or check["trouble"] for check in outcome["checks"]["after"])
    repo.git("checkout", "-q", outcome["branch"])
    assert call(*in_place, cwd=folder, **env).returncode == 0, "green in place"
    assert repo.git("diff", "--name-only", "main~1") == ""
    return outcome


def not_believed(repo: Repo, *args: str, because: str, **env: str) -> None:
    """A run of `fix-tests` that must not end green, and says why."""
    said = zwarm("fix-tests", "--json", *FEW, *args, cwd=repo.path, **env)
    outcome = said.json
    assert said.code != 0, outcome
    assert outcome["status"] not in ("green", "fixed")
    assert because in said.out, (outcome["reason"], [c["trouble"] for c in outcome["checks"]["before"]])
