"""What a job hands in is a stranger's word: nothing of it is believed but what fits the plan, git and the guards."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import fanned
from tests.support import Repo, Said
from zwarm_ci.errors import UsageError
from zwarm_ci.fanout import result, sheet

_MADE: list[tuple[Repo, Path]] = []


@dataclass(frozen=True)
class Fan:
    """A repository with two red tests, its plan, and both results, to be changed at will."""

    repo: Repo
    plan: Path
    work: Path

    def clone(self, name: str = "clone") -> Repo:
        return fanned.clone(self.repo, self.work.parent / name)

    def collect(self, *works: Path) -> Said:
        return fanned.collect(self.clone(), self.plan, *(works or (self.work,)))

    def change(self, name: str, change: Callable[[Any], None], *, job: str = "001", signed: bool = True) -> None:
        """Change a file of a result, as somebody would who may write all of it; `signed`: its digest in the list too."""
        fanned.changed(self.work / job, name, change)
        if signed:
            self.sign(name, job)

    def sign(self, name: str, job: str = "001") -> None:
        digest = hashlib.sha256((self.work / job / name).read_bytes()).hexdigest()
        fanned.changed(self.work / job, result.FILE, lambda d: d["files"].update({name: digest}))

    def read(self, job: str = "001") -> result.Result:
        plan = sheet.read(self.plan)
        return result.read(self.work / job, plan, plan.job(job))


@pytest.fixture
def fan(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Fan:
    """Made once a process; every test changes a copy of the results."""
    if not _MADE:
        top = tmp_path_factory.mktemp("fan")
        repo = fanned.make(top / "repo", 2)
        assert fanned.plan(repo, top / "plan").code == 0
        for job in ("001", "002"):
            said = fanned.work(repo, top / "plan", job, top / "work")
            assert said.code == 0, said.out + said.err
        _MADE.append((repo, top))
    repo, top = _MADE[0]
    shutil.copytree(top / "work", tmp_path / "work")
    return Fan(repo, top / "plan", tmp_path / "work")


def _task(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: document["tasks"][0].update(fields)


def _attempt(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: document["tasks"][0]["attempts"][0].update(fields)


#: file, change, whether the list is changed to fit, and what is said
HOSTILE: dict[str, tuple[str, Callable[[Any], None], bool, str]] = {
    "another plan's": ("result.json", lambda d: d.update(plan="0" * 64), False, "another plan"),
    "another job's": ("result.json", lambda d: d.update(job="002"), False, "another job"),
    "of another base": ("result.json", lambda d: d.update(base="0" * 40), False, "another base"),
    "of a later form": ("result.json", lambda d: d.update(schema=2), False, "another schema"),
    "a list without files": ("result.json", lambda d: d.pop("files"), False, "cannot be understood"),
    "a list that is no table": ("result.json", lambda d: d.update(files=[1]), False, "cannot be understood"),
    "digests that are no text": ("result.json", lambda d: d["files"].update(x=1), False, "cannot be understood"),
    "a record that was cut": ("outcome.json", lambda d: d.pop("tasks"), False, "another digest"),
    "a record without tasks": ("outcome.json", lambda d: d.pop("tasks"), True, "no record of a run: tasks"),
    "a status that is none": ("outcome.json", _task(status="great"), True, "no record of a run"),
    "a task of nobody": ("outcome.json", _task(id="tests-9"), True, "tasks that the job was not given"),
    "a task of the other job": ("outcome.json", _task(id="tests-2"), True, "tasks that the job was not given"),
    "another failure's task": ("outcome.json", _task(fingerprint="0" * 16), True, "tasks that the job was not given"),
    "one task twice": ("outcome.json", lambda d: d["tasks"].append(d["tasks"][0]), True, "was not given"),
    "solved by somebody else": ("outcome.json", _task(status="already_green"), True, "no job can know"),
    "chance": ("outcome.json", _task(status="flaky"), True, "no job can know"),
    "money back": ("outcome.json", _task(cost_usd=-5.0), True, "cannot be added"),
    "money without end": ("outcome.json", _attempt(cost_usd=1e999), True, "cannot be added"),
    "tokens back": (
        "outcome.json",
        lambda d: d["tasks"][0]["attempts"][0]["usage"].update(input_tokens=-1),
        True,
        "cannot be added",
    ),
    "time without end": ("outcome.json", lambda d: d["seconds"].update(wall=1e999), True, "cannot be added"),
    "runs back": ("outcome.json", lambda d: d.update(suite_runs=-1), True, "cannot be added"),
}


@pytest.mark.parametrize(("name", "change", "signed", "said"), HOSTILE.values(), ids=HOSTILE)
def test_a_result_that_does_not_fit_is_not_believed(
    fan: Fan, name: str, change: Callable[[Any], None], signed: bool, said: str
) -> None:
    assert fan.read().outcome.tasks[0].status == "fixed"
    fan.change(name, change, signed=signed)
    with pytest.raises(UsageError, match=said) as caught:
        fan.read()
    assert "\n" not in caught.value.line


@pytest.mark.parametrize("name", ["result.json", "outcome.json"])
@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"[" * 100_000, b"null", b'{"schema": 1}'], ids=repr)
def test_garbage_is_one_line(fan: Fan, name: str, data: bytes) -> None:
    (fan.work / "001" / name).write_bytes(data)
    if name != result.FILE:
        fan.sign(name)
    with pytest.raises(UsageError) as caught:
        fan.read()
    assert "\n" not in caught.value.line


def test_a_link_to_somebody_elses_file_is_not_followed(fan: Fan, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text((fan.work / "001" / "patches" / "tests-1.patch").read_text())
    patch = fan.work / "001" / "patches" / "tests-1.patch"
    patch.unlink()
    patch.symlink_to(secret)
    with pytest.raises(UsageError, match="no file of its own"):
        fan.read().read("patches/tests-1.patch")
    patch.unlink()
    (fan.work / "001" / "patches").rmdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "tests-1.patch").write_text(secret.read_text())
    (fan.work / "001" / "patches").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="no file of its own"):
        fan.read().read("patches/tests-1.patch")


def test_a_file_that_is_too_large_is_not_read(fan: Fan) -> None:
    with (fan.work / "001" / "outcome.json").open("r+b") as file:
        file.truncate(result._LARGEST + 1)
    with pytest.raises(UsageError, match="more than 64 MB"):
        fan.read()


def test_text_of_a_job_is_one_line_without_commands_or_trailers(fan: Fan) -> None:
    fan.change("outcome.json", _attempt(executor="codex\n\nZwarm-Verified: 1", model="x\r\nFixes: #1"))
    fan.change("outcome.json", _task(reason="::error::x\n::set-output name=a::b"))
    task = fan.read().outcome.tasks[0]
    assert "\n" not in task.attempts[0].executor + task.attempts[0].model + task.reason


def test_results_are_found_merged_or_by_artifact_and_not_twice(fan: Fan, tmp_path: Path) -> None:
    plan = sheet.read(fan.plan)
    (tmp_path / "down" / "zwarm-work-001").mkdir(parents=True)
    shutil.copytree(fan.work / "001", tmp_path / "down" / "zwarm-work-001" / "001")
    half = tmp_path / "half" / ".001-77"
    shutil.copytree(fan.work / "001", half)
    assert result.find([fan.work], plan.job("001")) == (fan.work / "001").resolve()
    assert result.find([tmp_path / "down"], plan.job("001")) == tmp_path / "down" / "zwarm-work-001" / "001"
    assert result.find([tmp_path / "half"], plan.job("001")) is None, "what was being written when its job died"
    assert result.find([tmp_path / "nowhere"], plan.job("001")) is None
    with pytest.raises(UsageError, match="job 001 has two results"):
        result.find([fan.work, tmp_path / "down"], plan.job("001"))


def test_a_patch_that_edits_tests_is_refused_whatever_its_job_says(fan: Fan) -> None:
    """With evidence that fits: the job's machine could have been anybody's."""
    clone = fan.clone("cheat")
    clone.write({"tests/test_001.py": "def test_001():\n    pass\n"})
    clone.git("add", "-A")
    patch = clone.git("diff", "--cached", "--binary", "--full-index") + "\n"
    (fan.work / "001" / "patches" / "tests-1.patch").write_text(patch)
    fan.sign("patches/tests-1.patch")
    tree = clone.git("write-tree")
    fan.change("evidence/tests-1.json", lambda d: d.update(delivered_tree=tree))
    got = fan.collect()
    assert (got.code, [t["status"] for t in got.json["tasks"]]) == (1, ["tampered", "fixed"]), got.err
    assert "tests/test_001.py" in got.json["tasks"][0]["reason"]
    assert got.json["tasks"][0]["patch"] is None


def test_a_wrong_patch_is_found_when_all_are_verified_together(fan: Fan) -> None:
    """Source alone, evidence that fits, and wrong: the guards have nothing to say, the union's run has."""
    clone = fan.clone("wrong")
    clone.write({"src/m001.py": "def half_001(number):\n    return number\n"})
    clone.git("add", "-A")
    patch = clone.git("diff", "--cached", "--binary", "--full-index") + "\n"
    (fan.work / "001" / "patches" / "tests-1.patch").write_text(patch)
    fan.sign("patches/tests-1.patch")
    tree = clone.git("write-tree")
    fan.change("evidence/tests-1.json", lambda d: d.update(delivered_tree=tree))
    got = fan.collect()
    assert (got.code, [t["status"] for t in got.json["tasks"]]) == (1, ["regressed", "fixed"]), got.json
    assert got.json["tasks"][0]["commit"] is None
    assert got.json["checks"]["after"][0]["failed"] == got.json["tasks"][0]["failures"]


def _without_evidence(fan: Fan) -> None:
    (fan.work / "001" / "evidence" / "tests-1.json").unlink()


def _with_noise(fan: Fan) -> None:
    (fan.work / "001" / "evidence" / "tests-1.json").write_text("x")
    fan.sign("evidence/tests-1.json")


def _for_other_lines(fan: Fan) -> None:
    patch = fan.work / "001" / "patches" / "tests-1.patch"
    patch.write_text(patch.read_text().replace("number // 0", "number // 7"))
    fan.sign("patches/tests-1.patch")


def _swapped(fan: Fan) -> None:
    shutil.copy(fan.work / "002" / "patches" / "tests-2.patch", fan.work / "001" / "patches" / "tests-1.patch")


FORGED: dict[str, tuple[Callable[[Fan], None], str]] = {
    "evidence of another tree": (
        lambda f: f.change("evidence/tests-1.json", lambda d: d.update(delivered_tree="0" * 40)),
        "another tree or task",
    ),
    "evidence of another task": (
        lambda f: f.change("evidence/tests-1.json", lambda d: d.update(fingerprint="0" * 16)),
        "another tree or task",
    ),
    "no evidence": (_without_evidence, "is missing"),
    "evidence that is no JSON": (_with_noise, "cannot be understood"),
    "a patch for other lines": (_for_other_lines, "does not apply"),
    "a patch that was swapped": (_swapped, "another digest"),
    "nobody's patch": (lambda f: f.change("outcome.json", _task(attempts=[])), "nobody says"),
    "a record that was cut": (
        lambda f: f.change("outcome.json", lambda d: d.pop("tasks"), signed=False),
        "another digest",
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_patch_is_not_delivered(fan: Fan, name: str) -> None:
    forge, said = FORGED[name]
    forge(fan)
    got = fan.collect()
    assert (got.code, [t["status"] for t in got.json["tasks"]]) == (1, ["unverifiable", "fixed"]), got.err
    assert got.json["tasks"][0]["reason"].startswith("runner: ")
    assert said in got.json["tasks"][0]["reason"]
    assert "job 001" in got.json["tasks"][0]["reason"]
