"""Many machines give what one machine gives, commit by commit; killed ones are missed by name."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests import fanned
from tests.support import Repo, Said

_BESIDE = 2  # machines at a time, all of them on this one


def alone(repo: Repo, path: Path) -> tuple[Repo, dict[str, Any]]:
    """What one machine makes of it."""
    one = fanned.clone(repo, path)
    said = fanned.patient("fix-tests", "--json", "-q", cwd=one.path)
    assert said.code == 0, said.out + said.err
    return one, said.json


def spread(repo: Repo, folder: Path, jobs: Sequence[str], top: Path) -> dict[str, Said]:
    """Every job in a clone of its own."""

    def one(job: str) -> Said:
        return fanned.work(fanned.clone(repo, top / f"clone-{job}"), folder, job, top / "work")

    with ThreadPoolExecutor(_BESIDE) as pool:
        return dict(zip(jobs, pool.map(one, jobs), strict=True))


def kill(repo: Repo, folder: Path, job: str, top: Path, after: float) -> None:
    """Begin a job in a fresh clone and kill its process at a moment; one that was quicker is begun again and killed sooner."""
    made = fanned.clone(repo, top / f"killed-{job}")
    scratch = top / f"tmp-{job}"
    scratch.mkdir()
    while True:
        child = subprocess.Popen(
            [sys.executable, "-m", "zwarm_ci", "work", "--plan", str(folder), "--job", job, "--out", str(top / "cut"), "-q"],
            cwd=made.path, env={**os.environ, "TMPDIR": str(scratch)}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            child.wait(after)
        except subprocess.TimeoutExpired:
            child.kill()
            assert child.wait() == -signal.SIGKILL
        if not (top / "cut" / job).exists():
            return
        shutil.rmtree(top / "cut" / job)
        after /= 2


def hold(tmp_path: Path, count: int, killed: int) -> None:
    repo = fanned.make(tmp_path / "repo", count, together=10)  # many repairs of one file have to be merged
    one, expected = alone(repo, tmp_path / "one")
    assert [t["status"] for t in expected["tasks"]] == ["fixed"] * count
    planned = fanned.plan(repo, tmp_path / "plan")
    assert planned.code == 0, planned.err
    jobs = fanned.jobs(planned)
    assert jobs == fanned.names(count)

    said = spread(repo, tmp_path / "plan", jobs, tmp_path)
    assert {job: (s.code, s.err) for job, s in said.items()} == dict.fromkeys(jobs, (0, ""))
    assert not any("ran again" in note for s in said.values() for note in s.json["notes"]), (
        "the plan's results were used"
    )
    whole = fanned.clone(repo, tmp_path / "whole")
    got = fanned.collect(whole, tmp_path / "plan", tmp_path / "work")
    assert got.code == 0, got.out + got.err
    assert fanned.history(whole, got.json) == fanned.history(one, expected)
    assert fanned.ends(got.json) == fanned.ends(expected)
    assert got.json["checks"]["after"][0]["failed"] == []

    chance = random.Random(count)
    lost = sorted(chance.sample(jobs, killed))
    for job in lost:
        kill(repo, tmp_path / "plan", job, tmp_path, chance.uniform(0.1, said[job].json["seconds"]["wall"]))
        shutil.rmtree(tmp_path / "work" / job)
    rest = fanned.clone(repo, tmp_path / "rest")
    less = fanned.collect(rest, tmp_path / "plan", tmp_path / "work", tmp_path / "cut", args=("--branch", "zw/rest"))
    _misses(less, lost, one, expected, rest)

    again = fanned.plan(rest, tmp_path / "again", "--base", "zw/rest")
    assert again.code == 0, again.err
    missing = {t["fingerprint"] for t in less.json["tasks"] if t["status"] == "interrupted"}
    named = {t.fingerprint for t in _tasks(tmp_path / "again")}
    assert (named, len(fanned.jobs(again))) == (missing, killed)


def _tasks(folder: Path) -> Sequence[Any]:
    from zwarm_ci.fanout import sheet

    return sheet.read(folder).tasks


def _misses(less: Said, lost: Sequence[str], one: Repo, expected: dict[str, Any], rest: Repo) -> None:
    """The rest is there, in the same order, and each that is missing says which job it was."""
    assert (less.code, less.json["status"]) == (1, "partly_fixed"), less.out + less.err
    ends = dict(zip(fanned.names(len(less.json["tasks"])), less.json["tasks"], strict=True))
    assert [job for job, t in ends.items() if t["status"] == "interrupted"] == lost
    for job in lost:
        assert f"job {job} left no result" in ends[job]["reason"]
    kept = [
        subject
        for (_, subject), t in zip(fanned.history(one, expected), ends.values(), strict=True)
        if t["status"] == "fixed"
    ]
    assert [subject for _, subject in fanned.history(rest, less.json)] == kept
    assert len(less.json["checks"]["after"][0]["failed"]) == len(lost)


def test_six_targets_in_six_clones(tmp_path: Path) -> None:
    hold(tmp_path, 6, 2)


@pytest.mark.slow
def test_as_many_clones_as_targets(tmp_path: Path) -> None:
    count = int(os.environ.get("FAN_OUT_TARGETS", "10"))  # 100 take a quarter of an hour
    hold(tmp_path, count, max(2, count // 20))
