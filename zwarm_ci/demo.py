"""The demo's repository: a small shop library whose tests and lint are red for seven different reasons.

Its history is kept as git's own mail patches in `demo_data/`; `build` applies them, with the same commit ids every time.
"""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from zwarm_ci.git import Git

#: Nobody's git settings decide what the demo looks like: no signing, hooks, templates, line endings or identity of the user.
_ENV = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_COMMITTER_NAME": "shelf",
    "GIT_COMMITTER_EMAIL": "shelf@shelf.example",
}
#: What later git calls, which do read the user's settings, must not take from them.
_SETTINGS = ("core.autocrlf=false", "commit.gpgsign=false")


def build(folder: Path) -> Path:
    """Make the repository in `folder`, which is created and must be empty, and return the folder.

    Seven commits on `main`. At its head ruff has seven findings with safe fixes, and seven of 42 tests are red: two by one
    of the hunks of the last commit, one by a hunk of the fourth, one by a wrong operator from the first day, one only while
    its cache is cold, one by an algorithm that is too simple, and one contradicts another test.

    Raises:
        CommandError: git could not make it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    git = Git(folder, _ENV)
    git.run("init", "--quiet", "--template=", "--initial-branch=main", "--object-format=sha1")
    for setting in _SETTINGS:
        git.run("config", *setting.split("=", 1))
    git.run("am", "--quiet", "--keep-cr", "--whitespace=nowarn", "--committer-date-is-author-date", stdin=_mailbox())
    return folder


def _mailbox() -> bytes:
    """The patches, oldest first, as one mailbox."""
    patches = (p for p in files("zwarm_ci").joinpath("demo_data").iterdir() if p.name.endswith(".patch"))
    return b"".join(patch.read_bytes() for patch in sorted(patches, key=lambda p: p.name))
