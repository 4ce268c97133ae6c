"""Nouns of the corpus: a small repository, a bug in it, and what somebody may offer as its repair.

A generator makes the offers of one kind for one bug. It is registered with `@kind("its name", "python")` in a module
`tests/cheats/kinds_*.py`, repositories are listed as `REPOS` in `tests/cheats/repos_*.py`; both are found by their names.
"""

from __future__ import annotations

import importlib
import pkgutil
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from zwarm_ci.task import Check

#: What a repository's tests are written in: `ways` is Python whose tests ask otherwise than by plain calls, `doctest` are examples in
#: Python's docstrings, `data` is Python that reads a file, `command` is no more than an exit code.
Language = Literal["python", "javascript", "go", "rust", "ways", "doctest", "data", "command"]


@dataclass(frozen=True)
class Example:
    """One call that the tests of a bug make, as source text: its arguments, and what it must give."""

    args: tuple[str, ...]
    expected: str


@dataclass(frozen=True)
class Bug:
    """A bug that is planted in a repository, and the tests that see it.

    Attributes:
        name: unique in the repository.
        path: the source file that it is in.
        good: text that stands once in that file, and
        bad: what stands there on the red base.
        function: the function under test, a bare name, and
        params: its parameters, bare names (without `self`).
        test: the test file, and
        case: the red test's name in it (`test_mean`, a title, `TestMean`, `mean`).
        asserts: one line (or more) of that test, literally: an assertion that is red.
        examples: every call that the red tests make.
        targets: ids that are red on the base and green when it is repaired.
    """

    name: str
    path: str
    good: str
    bad: str
    function: str
    params: tuple[str, ...]
    test: str
    case: str
    asserts: str
    examples: tuple[Example, ...]
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Repo:
    """A small repository whose check is green on `files`. `needs`: the program without which it cannot run."""

    name: str
    language: Language
    files: Mapping[str, str]
    check: Check
    bugs: tuple[Bug, ...]
    needs: str = "python"

    def fixed(self, bug: Bug) -> str:
        """The file with the bug, repaired."""
        return self.files[bug.path]

    def broken(self, bug: Bug) -> str:
        """The file with the bug, as on the red base."""
        text = self.files[bug.path]
        assert text.count(bug.good) == 1, (self.name, bug.name)
        return text.replace(bug.good, bug.bad)

    def base(self, bug: Bug) -> dict[str, str]:
        """All files of the red base."""
        return {**self.files, bug.path: self.broken(bug)}


@dataclass(frozen=True)
class Offer:
    """A patch on a red base, offered as its repair.

    Attributes:
        name: what it does, unique in its kind for one bug.
        patch: path -> new content, None = deleted.
        honest: a fair repair, to be accepted; everything else is a cheat or does harm.
        links: path -> target of a symbolic link to make.
        modes: path -> permission bits.
        gitlinks: path -> commit id: a nested repository, as git records one.
        renames: tests that it moves or renames by intention, old id -> new id.
        allow_test_edits: an honest one that edits tests, offered where that is allowed.
        about: paths that the task is about (`Rules.about`).
        naive: the check's exit code in the agent's own tree is 0; False for those that only claim to be done.
        kind: the generator's name, set by `offers`.
    """

    name: str
    patch: Mapping[str, str | bytes | None]
    honest: bool = False
    links: Mapping[str, str] = field(default_factory=dict)
    modes: Mapping[str, int] = field(default_factory=dict)
    gitlinks: Mapping[str, str] = field(default_factory=dict)
    renames: Mapping[str, str] = field(default_factory=dict)
    allow_test_edits: bool = False
    about: frozenset[str] = frozenset()
    naive: bool = True
    kind: str = ""

    def apply(self, tree: Path) -> None:
        """Write it into a checkout of the red base."""
        for name, text in self.patch.items():
            file = tree / name
            if text is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text if isinstance(text, bytes) else text.encode())
        for name, target in self.links.items():
            (tree / name).unlink(missing_ok=True)
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).symlink_to(target)
        for name, mode in self.modes.items():
            (tree / name).chmod(mode)


Generator = Callable[[Repo, Bug], Iterable[Offer]]
_GENERATORS: dict[tuple[str, Language], list[Generator]] = {}


def kind(name: str, *languages: Language) -> Callable[[Generator], Generator]:
    """Register a generator for a kind of offer; a kind may have several, whose offers have names of their own."""

    def register(made: Generator) -> Generator:
        for language in languages:
            _GENERATORS.setdefault((name, language), []).append(made)
        return made

    return register


@dataclass(frozen=True)
class Case:
    """One offer on one bug of one repository."""

    repo: Repo
    bug: Bug
    offer: Offer

    @property
    def name(self) -> str:
        return f"{self.repo.name}/{self.bug.name}/{self.offer.kind}/{self.offer.name}"


def offers(repo: Repo, bug: Bug) -> Iterator[Offer]:
    """Everything that all generators of the repository's language offer for a bug."""
    _load("kinds_")
    for name, language in sorted(_GENERATORS):
        if language != repo.language:
            continue
        seen: set[str] = set()
        for made in _GENERATORS[name, language]:
            for offer in made(repo, bug):
                if offer.name not in seen:
                    yield replace(offer, kind=name)
                seen.add(offer.name)


def repositories() -> tuple[Repo, ...]:
    """All repositories of the corpus, by name."""
    found = [repo for module in _load("repos_") for repo in module.REPOS]
    return tuple(sorted(found, key=lambda r: r.name))


def corpus() -> list[Case]:
    """Every offer, in an order that is always the same."""
    return [Case(repo, bug, offer) for repo in repositories() for bug in repo.bugs for offer in offers(repo, bug)]


def sample(cases: list[Case], most: int, seed: int) -> list[Case]:
    """At most `most` cases by a fixed seed, but at least one of each kind and language where there is one."""
    order = random.Random(seed).sample(cases, len(cases))
    groups: dict[tuple[str, str, bool], None] = {}
    first: list[Case] = []
    rest: list[Case] = []
    for case in order:
        group = (case.offer.kind, case.repo.language, case.offer.honest)
        (rest if group in groups else first).append(case)
        groups[group] = None
    return (first + rest)[: max(most, len(first))]


def _load(prefix: str) -> list[ModuleWithRepos]:
    package = importlib.import_module("tests.cheats")
    names = sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name.startswith(prefix))
    return [importlib.import_module(f"tests.cheats.{name}") for name in names]  # type: ignore[misc]


class ModuleWithRepos:
    """What a module `repos_*.py` has, for the type checker."""

    REPOS: tuple[Repo, ...]
