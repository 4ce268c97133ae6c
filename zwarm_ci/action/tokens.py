"""No token where agents are: out of the process's environment before anything of the repository runs, and looked for in git's settings."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from zwarm_ci.action.inputs import PREFIX, variable
from zwarm_ci.git import Git
from zwarm_ci.proc import become
from zwarm_ci.scrub import decode, one_line, without_login

#: Variables that hold credentials of a forge, or may hold them; `GIT_CONFIG_*` is how a step hands git a header.
_NAMES = re.compile(
    r"(GITHUB|GH|GH_ENTERPRISE|GITHUB_ENTERPRISE)_(TOKEN|PAT)|GITLAB_TOKEN|CI_JOB_TOKEN|ACTIONS_.*(TOKEN|URL)|INPUT_.*"
    r"|GIT_CONFIG_(COUNT|PARAMETERS|KEY_\d+|VALUE_\d+)|GIT_ASKPASS|SSH_AUTH_SOCK|ZWARM_CI_TOKEN"
)
_SHAPES = re.compile(r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}")
_SHORTEST = 8  # characters of what may be a secret
#: Git settings that carry a credential, wherever they stand.
_HEADER = r"^http\.(.*\.)?extraheader$"
_REMEDY = "persist-credentials: false in the step that uses actions/checkout"


def without(environ: Mapping[str, str], token: str) -> dict[str, str]:
    """The environment without tokens of a forge: by their variables' names, by their look, and wherever this very token stands."""
    return {name: value for name, value in environ.items() if not _is_token(name, value, token)}


def _is_token(name: str, value: str, token: str) -> bool:
    if name == variable("token") or (_NAMES.fullmatch(name) and not name.startswith(PREFIX)):
        return True
    return bool(_SHAPES.search(value)) or (len(token) >= _SHORTEST and token in value)


def begin_anew(arguments: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """Become the same program with other arguments and this environment: same process id, and nothing of what it knew is left.

    A variable that is only deleted can still be read where the kernel keeps what a process was started with.
    """
    become([sys.executable or "/proc/self/exe", "-I", "-m", "zwarm_ci", *arguments], env=environ)


def left_in_git(top: Path) -> str:
    """Where git would find a credential that can write, as one line with the remedy; "" = nowhere.

    What checkout leaves (a header, also in a file that `.git/config` includes), a remote's address with a login, a store.
    """
    places = tuple(dict.fromkeys(_places(Git(top))))
    if not places:
        return ""
    return f"git has a credential in {', '.join(places)}, which an agent could read ({_REMEDY})"


def _places(git: Git) -> Iterator[str]:
    for origin, _key, _value in _settings(git, _HEADER):
        yield origin
    for origin, key, value in _settings(git, r"^(remote\..*\.(push)?url|url\..*\.(push)?insteadof)$"):
        address = key if key.startswith("url.") else value
        if without_login(address.removeprefix("url.")) != address.removeprefix("url."):
            yield origin
    for origin, _key, value in _settings(git, r"^credential\.(.*\.)?helper$"):
        words = value.split()
        store = Path(words[words.index("--file") + 1]) if "--file" in words[:-1] else Path("~/.git-credentials")
        if words[:1] == ["store"] and store.expanduser().is_file():
            yield f"{store}, which {origin} names"


def _settings(git: Git, pattern: str) -> Iterator[tuple[str, str, str]]:
    """(file, key, value) of each setting in force, included files too."""
    found = git.run("config", "--includes", "--show-origin", "-z", "--get-regexp", pattern, check=False).stdout
    fields = decode(found).split("\0")
    for origin, setting in zip(fields[::2], fields[1::2], strict=False):
        key, _, value = setting.partition("\n")
        yield one_line(origin.removeprefix("file:"), 120), key, value
