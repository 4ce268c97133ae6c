"""What a missing thing is, what is known of the place where a check failed, and the tree's own texts."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar, cast

from zwarm_ci.scrub import plain
from zwarm_ci.services import listening
from zwarm_ci.task import Check, Failure

T = TypeVar("T")
Kind = Literal["variable", "service", "port", "file", "module", "program", "network", "credentials", "data"]
_CODE = frozenset(
    ".py .pyi .js .cjs .mjs .jsx .ts .cts .mts .tsx .vue .go .rs .rb .java .kt .scala .cs .php .ex .exs .sh .bash .ini .cfg .toml".split()
)
_NOT_OWN = frozenset("node_modules venv env site-packages target dist build vendor __pycache__".split())
_MOST_FILES, _MOST_BYTES = 20_000, 1024 * 1024  # a longer file is data
#: A mock, not the world, gave the answer.
_SIMULATED = re.compile(
    r"_execute_mock_call|_mock_call\b|side_effect|mockRejectedValue|mockImplementation|\bpytest_socket\b|SocketBlockedError"
    r"|site-packages/(?:responses|httpretty|requests_mock|respx|vcr|pyfakefs|aioresponses|pook)\b|node_modules/(?:nock|msw|mock-fs|memfs|sinon)/"
)
_MAKES_ERROR = re.compile(
    r"\braise\b|\bthrow\b|(?:Error|Exception|Refused|Unavailable)\w*\(|\breject\(|\bReject\w*\(|bail!|anyhow!|errors\.New|fmt\.Errorf"
)
#: The system itself was asked: a call that connects or opens, where pytest marks the line that failed.
_ASKED_THE_SYSTEM = re.compile(
    r"^>.*\b(?:connect|create_connection|connect_ex|getaddrinfo|Popen|execvp\w*|open)\w*\(", re.MULTILINE
)


#: Two values were compared: what they say is data, whatever it reads like.
_COMPARED = re.compile(
    r"^(?:at \w+: )?(?:AssertionError: )?assert\b|Regex pattern did not match|DID NOT RAISE|\bexpect\(\w+\)\.|\[ERR_ASSERTION\]|^assertion\b|"
    r"\bexpected\b.*\b(?:received|actual|but|got|to (?:be|equal|deeply|include|contain|match|have|throw))\b|\bwant\b.*\bgot\b|\bgot\b.*\bwant\b",
    re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Missing:
    """What a red test lacks.

    Attributes:
        what: its name: a variable, a service, a path, a module, a program, a host.
        why: one sentence; the remedy too, where no line of config supplies it.
        config: TOML lines for `[checks.NAME]` that would supply it; "" = there are none.
    """

    kind: Kind
    what: str
    why: str
    config: str = ""


def _no(_: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Here:
    """Where a check ran.

    Attributes:
        check: what ran.
        environ: the variables that it was given.
        ours: names that are set in our own environment, or in the checkout's `.env`.
        top: the original checkout; None = the tree itself.
        network: whether it had this machine's network; False = only a loopback of its own.
        listening: whether something accepts connections on a port of this machine's loopback.
        ignored: whether git ignores a path, relative to the top.
        install: the command that makes its environment from the lock; "" = not known.
    """

    check: Check
    environ: Mapping[str, str]
    ours: Collection[str] = ()
    top: Path | None = None
    network: bool = True
    listening: Callable[[int], bool] = listening
    ignored: Callable[[str], bool] = _no
    install: str = ""

    def has(self, program: str) -> bool:
        """Whether the check could start `program`."""
        return shutil.which(program, path=self.environ.get("PATH", os.defpath)) is not None


@dataclass(slots=True)
class Sources:
    """The texts of a tree, read when they are asked for; big files, dependencies and what is built are left out."""

    tree: Path
    _paths: tuple[str, ...] | None = None
    _known: dict[str, object] = field(default_factory=dict)

    def once(self, key: str, make: Callable[[], T]) -> T:
        """What `make` gives, made when it is first asked for: a thousand failures ask the same."""
        if key not in self._known:
            self._known[key] = make()
        return cast("T", self._known[key])

    @property
    def paths(self) -> tuple[str, ...]:
        """Files of code and settings, relative to the tree."""
        if self._paths is None:
            self._paths = tuple(self._walk())
        return self._paths

    def _walk(self) -> Iterator[str]:
        count = 0
        for root, folders, names in os.walk(self.tree):
            folders[:] = sorted(f for f in folders if f not in _NOT_OWN and not f.startswith("."))
            for name in sorted(names):
                if Path(name).suffix in _CODE:
                    count += 1
                    if count > _MOST_FILES:
                        return
                    yield Path(root, name).relative_to(self.tree).as_posix()

    def text(self, path: str) -> str:
        """A file's text; "" where it is not there, or is data."""
        file = self.tree / path
        try:
            if file.stat().st_size > _MOST_BYTES:
                return ""
            return file.read_text(encoding="utf-8", errors="replace")
        except (OSError, ValueError):
            return ""

    def holding(self, word: str) -> tuple[str, ...]:
        """The files in which `word` stands."""
        return self.once(f"holding {word}", lambda: tuple(path for path in self.paths if word in self.text(path)))

    def line(self, path: str, number: int) -> str:
        """One line of a file, counted from 1."""
        lines = self.text(path).splitlines()
        return lines[number - 1] if 0 < number <= len(lines) else ""


def said(failure: Failure) -> str:
    """All that a failure says."""
    return plain(f"{failure.message}\n{failure.detail}")


def compared(failure: Failure) -> bool:
    """Whether a test compared two values, and one was wrong: no error of the world, even if a value speaks of one."""
    return bool(_COMPARED.search(failure.message))


def errors_of(failure: Failure) -> str:
    """What the errors themselves say: the lines that pytest marks with E, where there are such, without the code round them."""
    marked = [line[1:].strip() for line in plain(failure.detail).splitlines() if line.startswith("E ")]
    return "\n".join([plain(failure.message), *marked]) if marked else said(failure)


def real(failure: Failure, sources: Sources) -> bool:
    """Whether the world gave the answer, as opposed to a mock, or to code of the repository that makes the error itself."""
    text = said(failure)
    if _SIMULATED.search(text):
        return False
    place = failure.place
    if place is None or not _MAKES_ERROR.search(sources.line(place.path, place.line)):
        return True
    return bool(_ASKED_THE_SYSTEM.search(text))


def toml(key: str, value: str | Collection[str]) -> str:
    """One line of TOML; its basic strings are JSON's."""
    if isinstance(value, str):
        return f"{key} = {json.dumps(value, ensure_ascii=False)}"
    return f"{key} = [{', '.join(json.dumps(v, ensure_ascii=False) for v in value)}]"


def more(key: str, there: Collection[str], new: str) -> str:
    """A list setting with one more entry, what is there kept."""
    return toml(key, tuple(dict.fromkeys((*there, new))))
