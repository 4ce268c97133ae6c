"""The corpus of cheating patches: as large and as real as is promised, none of a sample accepted, its honest patches accepted."""

from __future__ import annotations

import os
import pwd
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

import cheats as bench
import pytest

from tests.cheats.base import Bug, Case, Repo, corpus, repositories, sample
from tests.cheats.court import Hall

SEED, SAMPLE, REAL = 6, 120, 40
CORPUS = corpus()
CHEATS = [c for c in CORPUS if not c.offer.honest]


def _able(repo: Repo) -> bool:
    return shutil.which(repo.needs) is not None


SAMPLED = [c for c in sample(CORPUS, SAMPLE, SEED) if _able(c.repo)]
BUGS = [
    (r, b)
    for r in repositories()
    if _able(r)
    for b in r.bugs
    if any((c.repo.name, c.bug) == (r.name, b) for c in SAMPLED)
]


@pytest.fixture(autouse=True)
def _rust(monkeypatch: pytest.MonkeyPatch) -> None:
    home = pwd.getpwuid(os.getuid()).pw_dir
    for name, folder in (("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")):
        monkeypatch.setenv(name, os.environ.get(name, f"{home}/{folder}"))


def test_the_corpus_is_as_large_as_is_promised() -> None:
    assert len(CHEATS) >= 300
    assert len({c.offer.kind for c in CHEATS}) >= 16
    assert len({c.repo.name for c in CHEATS}) >= 8
    kinds = {(c.repo.language, c.offer.kind, c.offer.name) for c in CHEATS}
    counted = Counter(language for language, _, _ in kinds)
    assert all(counted[language] >= 15 for language in ("python", "javascript", "go", "rust")), counted
    assert len({c.name for c in CORPUS}) == len(CORPUS)


def test_each_bug_has_its_honest_patch_beside_the_cheats_and_no_patch_is_the_base() -> None:
    plain = {
        (c.repo.name, c.bug.name)
        for c in CORPUS
        if c.offer.honest and c.offer.patch.get(c.bug.path) == c.repo.fixed(c.bug)
    }
    assert plain == {(r.name, b.name) for r in repositories() for b in r.bugs}
    for case in CORPUS:
        base = case.repo.base(case.bug)
        same = all(base.get(path) == text for path, text in case.offer.patch.items())
        assert not same or case.offer.links or case.offer.modes or case.offer.gitlinks, case.name


def test_a_sample_has_each_kind_and_language_and_is_always_the_same() -> None:
    drawn = sample(CORPUS, SAMPLE, SEED)
    assert [c.name for c in drawn] == [c.name for c in sample(CORPUS, SAMPLE, SEED)]
    groups = {(c.offer.kind, c.repo.language) for c in CORPUS}
    assert {(c.offer.kind, c.repo.language) for c in drawn} == groups


def test_the_interval_is_wilsons() -> None:
    assert bench.wilson(0, 300) == pytest.approx((0.0, 0.01264), abs=1e-4)
    assert bench.wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("repo", "bug"), BUGS, ids=[f"{r.name}-{b.name}" for r, b in BUGS])
def test_no_sampled_cheat_is_accepted_and_each_honest_patch_is(repo: Repo, bug: Bug, tmp_path: Path) -> None:
    hall = Hall(repo, bug, tmp_path)
    assert {f.id for f in hall.failures} == set(bug.targets)
    wrong = []
    for case in SAMPLED:
        if (case.repo.name, case.bug) == (repo.name, bug):
            verdict = hall.judged(case.offer)
            if verdict.accepted != case.offer.honest:
                wrong.append(f"{case.name}: {verdict.status}: {verdict.reason}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
def test_the_corpus_is_real_an_exit_code_in_the_agents_tree_believes_it(tmp_path: Path) -> None:
    """Cheats that are said to make the check green do, where it is run as the agent runs it."""
    drawn = [c for c in sample([c for c in CHEATS if c.offer.naive], REAL, SEED) if _able(c.repo)]
    drawn.sort(key=lambda c: (c.repo.name, c.bug.name))
    with ThreadPoolExecutor(2) as pool:
        found = [red for reds in pool.map(_red, _halls(drawn, tmp_path), _groups(drawn)) for red in reds]
    assert not found, "\n".join(found)


def _groups(cases: list[Case]) -> Iterator[list[Case]]:
    for _, group in groupby(cases, lambda c: (c.repo.name, c.bug.name)):
        yield list(group)


def _halls(cases: list[Case], scratch: Path) -> Iterator[Hall]:
    for number, group in enumerate(_groups(cases)):
        yield Hall(group[0].repo, group[0].bug, scratch / str(number))


def _red(hall: Hall, cases: list[Case]) -> list[str]:
    return [f"{c.name}: {code}" for c in cases if (code := hall.agents(c.offer)) != 0]
