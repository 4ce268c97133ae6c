"""The job's log: nothing that is printed, named or put out can be a command, another output, or too much."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import outcomes
from tests.action.runner import obeyed, parsed
from tests.conformance.report import CASES
from zwarm_ci.action import log
from zwarm_ci.errors import UsageError
from zwarm_ci.reports import annotations as noted
from zwarm_ci.reports.annotations import command
from zwarm_ci.verdict import Outcome

HOSTILE = (
    "::set-output name=x::y",
    "a\n::error::b",
    "a\r::warning::b",
    "%0A::stop-commands::x",
    "x,file=y",
    "a:b",
    "</details>",
    "@everyone",
)
_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\ud800-\udfff]")


def outcome(case: str) -> Outcome:
    return {"hostile": outcomes.hostile, "huge": outcomes.huge}.get(case, lambda: outcomes.OUTCOMES[case])()


@pytest.mark.parametrize("case", CASES)
def test_annotations_are_few_harmless_and_without_secrets(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_PASSWORD", outcomes.CANARIES[-1])
    text = noted.render(outcome(case))
    assert text == "" or text.endswith("\n")
    lines = text.splitlines()
    assert all(re.match(r"::(error|warning) ", line) for line in lines)
    assert not _CONTROLS.search(text.replace("\n", ""))
    assert not [canary for canary in outcomes.CANARIES if canary in text]
    for level in ("error", "warning"):
        assert sum(line.startswith(f"::{level} ") for line in lines) <= noted.LIMIT


def test_what_failed_stands_at_its_line() -> None:
    text = noted.render(outcome("partly"))
    assert "::error file=" in text
    assert ",line=12," in text
    assert noted.render(outcome("green")) == ""


def test_the_tenth_says_how_many_there_are() -> None:
    lines = [line for line in noted.render(outcome("huge")).splitlines() if line.startswith("::error")]
    assert len(lines) == 10
    assert re.search(r"::\d+ more: see the summary", lines[-1])


@pytest.mark.parametrize("text", HOSTILE)
def test_a_command_is_one_command(text: str) -> None:
    line = command("error", text, file=text, title=text)
    assert "\n" not in line
    assert "\r" not in line
    head, _, _ = line.removeprefix("::error ").partition("::")
    assert [pair.partition("=")[0] for pair in head.split(",")] == ["file", "title"]


@given(st.text(), st.text())
def test_whatever_is_put_out_comes_back_as_one_output(first: str, second: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "out")
        os.environ["GITHUB_OUTPUT"] = str(file)
        try:
            log.write_outputs(
                {"one": first.encode("utf-8", "replace").decode(), "two": second.encode("utf-8", "replace").decode()}
            )
        finally:
            del os.environ["GITHUB_OUTPUT"]
        assert set(parsed(file.read_text(encoding="utf-8"))) == {"one", "two"}


def test_an_output_cannot_be_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "out"))
    log.write_outputs({"branch": "x\nEOF\nstatus<<EOF\ngreen\nEOF", "status": "not_fixed"})
    found = parsed((tmp_path / "out").read_text())
    assert found["status"] == "not_fixed"
    assert found["branch"].startswith("x\nEOF")


def test_a_summary_is_cut_where_github_would_drop_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    log.write_summary("ä line\n" * 200_000)
    written = (tmp_path / "summary").read_bytes()
    assert 800_000 < len(written) < 1_000_000
    assert written.decode().endswith("… cut: see the artifact.\n")


def test_without_a_step_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_OUTPUT", raising=False)
    with pytest.raises(UsageError, match="GITHUB_OUTPUT is not set"):
        log.write_outputs({"status": "x"})


def test_what_is_printed_inside_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    with log.quoted("zwarm-ci ::x"):
        sys.stdout.write("::error::from a test\n   ::add-mask::y\nno line break")
    log.say("notice", "said by us")
    printed = capsys.readouterr().out
    assert "::error::from a test" in printed
    orders = obeyed(printed)
    assert [order.partition("::")[2].partition("::")[0] for order in orders] == [
        "group",
        "stop-commands",
        "endgroup",
        "notice",
    ]
    assert obeyed(printed.replace(orders[1], "")) != orders, "the harness would see it"


def test_the_word_that_ends_it_is_never_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        with log.quoted("x"):
            pass
    words = re.findall(r"::stop-commands::(\w+)", capsys.readouterr().out)
    assert len({*words}) == 3
    assert all(len(word) == 32 for word in words)
