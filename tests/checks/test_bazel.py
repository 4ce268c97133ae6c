"""What is read out of bazel's build events and the reports that they name (recorded from bazel 4.2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.parser import Sample, conforms, green
from zwarm_ci.checks import bazel, junit
from zwarm_ci.checks.base import Job, Parsed
from zwarm_ci.task import Check

DATA = Path(__file__).parent.parent / "data" / "checks" / "bazel"
CHECK = Check("tests", "bazel test //...", "junit")
TEXT = "ERROR: /x/bz/a/BUILD:5:8: Executing genrule //a:gen failed (Exit 1): bash failed: error executing command\na/gen.sh:1: nope\n"
ABSENT = "ERROR: Error downloading [https://x.invalid/rules.zip]: Unknown host: x.invalid\n"


def _events() -> bytes:
    return (DATA / "red.json").read_bytes().replace(b"@DATA@", str(DATA).encode())


def _read(data: bytes, code: int | None, tree: Path, text: str = TEXT) -> Parsed:
    return bazel.parse(data, text, check=CHECK, code=code, cwd=tree, tree=tree)


FAILED = {"//a:cases::C::two", "//a:bad", "//a:hangs", "//a:unbuilt", "//a:gen"}


def test_the_events_conform(tmp_path: Path) -> None:
    passed = frozenset({"//a:cases::C::one", "//a:good"})
    conforms(Sample("red.json", _read, _events(), 1, frozenset(FAILED), passed), tmp_path)


def test_each_target_says_what_became_of_it(tmp_path: Path) -> None:
    parsed = _read(_events(), 1, tmp_path)
    said = {f.id: (f.message, f.shape) for f in parsed.failures}
    assert said["//a:cases::C::two"] == ("1 != 2", "failure")
    assert said["//a:hangs"] == ("exited with error code 137", "exit")
    assert said["//a:gen"] == ("does not build", "build")
    assert "nope" in next(f.detail for f in parsed.failures if f.id == "//a:gen")
    assert "oh no" in next(f.detail for f in parsed.failures if f.id == "//a:bad")
    assert set(parsed.modules) == {"//a:good", "//a:cases", "//a:lib", "tests::startup"}


def test_green_where_everything_is(tmp_path: Path) -> None:
    lines = [line for line in _events().splitlines(keepends=True) if b"//a:good" in line or b"buildFinished" in line]
    assert green(_read(b"".join(lines), 0, tmp_path, ""), 0)
    without_report = b"".join(lines).replace(b"a-good.xml", b"gone.xml")
    assert "its report does not" in _read(without_report, 0, tmp_path, "").trouble
    forged = b"".join(lines).replace(b"a-good.xml", b"a-bad.xml")
    assert "calls //a:good PASSED" in _read(forged, 0, tmp_path, "").trouble


@pytest.mark.parametrize(
    ("code", "text", "start"),
    [
        (37, "crash", "runner: bazel's events end early"),
        (1, ABSENT, "environment: "),
        (0, "", "runner: "),
    ],
)
def test_events_that_end_early_are_trouble(tmp_path: Path, code: int, text: str, start: str) -> None:
    assert _read(b"", code, tmp_path, text).trouble.startswith(start)


def test_nothing_that_was_tested_is_trouble_and_nothing_that_builds_a_failure(tmp_path: Path) -> None:
    finished = b'{"id":{"buildFinished":{}},"finished":{}}\n'
    assert _read(finished, 4, tmp_path, "").trouble.startswith("check: no tests ran")
    broken = _read(finished, 1, tmp_path, "ERROR: /x/BUILD:1:1: name 'nope' is not defined\n")
    assert (broken.failed, broken.trouble) == (("tests::startup",), "")
    assert _read(finished, 1, tmp_path, ABSENT).trouble.startswith("environment: ")


def test_targets_that_are_asked_for_replace_the_pattern(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "place" / "job"
    argv = ("bazel", "--max_idle_secs=1", "test", "//...", "--config=ci", "-//slow/...")
    job = Job(CHECK, argv, {}, tmp_path, tmp_path, tmp_path, folder, tmp_path / "log", "t", ("//a:bad", "//b:x::C::y"))
    words = junit.prepare(job).argv
    assert words[:3] == ("bazel", "--batch", "--max_idle_secs=1")
    assert words[-2:] == ("//a:bad", "//b:x")
    assert "//..." not in words
    assert [w.partition("=")[0] for w in words if str(tmp_path / "run") in w] == [
        "--output_base",
        "--build_event_json_file",
        "--disk_cache",
    ]
    assert (
        len(
            {
                junit.prepare(Job(CHECK, argv, {}, t, t, t, folder, t, "t")).argv[3]
                for t in (tmp_path / "a", tmp_path / "b")
            }
        )
        == 2
    )
