"""All reports: the conformance suite, gold files, and what each of them says in words."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests import outcomes
from tests.conformance import report as conformance
from zwarm_ci.reports import base, compare, html, jsonreport, junit, markdown, terminal
from zwarm_ci.reports.base import Report
from zwarm_ci.reports.write import REPORTS, write_all
from zwarm_ci.verdict import SOLVED, CheckResult

GOLD = Path(__file__).parents[1] / "gold"
ALL: dict[str, Report] = {**REPORTS, terminal.name: terminal}


@pytest.mark.parametrize("case", conformance.CASES)
@pytest.mark.parametrize("name", ALL)
def test_conformance(name: str, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    conformance.check(ALL[name], case, monkeypatch)


@pytest.mark.parametrize("case", ["partly", "attributed", "blocked", "paid", "green"])
@pytest.mark.parametrize("name", ALL)
def test_gold(name: str, case: str) -> None:
    """What a report looks like is looked at: delete a gold file and run again to have it written anew."""
    text = ALL[name].render(outcomes.OUTCOMES[case])
    gold = GOLD / case / ALL[name].filename
    if not gold.exists():
        gold.parent.mkdir(parents=True, exist_ok=True)
        gold.write_text(text, encoding="utf-8")
        pytest.fail(f"{gold.name} for {case} was written; look at it and run again")
    assert text == gold.read_text(encoding="utf-8")


def test_write_all_leaves_every_file_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "run"
    paths = write_all(outcomes.OUTCOMES["partly"], folder)
    assert (
        {p.name for p in paths}
        == {"outcome.json", "junit.xml", "summary.md", "report.html"}
        == {p.name for p in folder.iterdir()}
    )
    assert paths[-1].name == "outcome.json", "it says that the run has ended, so the others are there before it"
    before = {p.name: p.read_bytes() for p in paths}
    assert {p.name: p.read_bytes() for p in write_all(outcomes.OUTCOMES["partly"], folder)} == before


# ------------------------------------------------------------------------------------------------------------ shared words


@pytest.mark.parametrize(
    ("case", "headline"),
    [
        ("green", "green"),
        ("fixed", "fixed: 2 of 2 tasks solved"),
        ("partly", "partly fixed: 3 of 5 tasks solved (2 fixed, 1 flaky)"),
        ("not_fixed", "not fixed: 0 of 1 task solved"),
        ("interrupted", "interrupted: 0 of 1 task solved"),
        ("blocked", "blocked"),
    ],
)
def test_headline(case: str, headline: str) -> None:
    assert base.headline(outcomes.OUTCOMES[case]) == headline


def test_no_more_is_claimed_than_was_shown() -> None:
    fixed = outcomes.OUTCOMES["fixed"]
    assert base.claim(fixed) == "green for the stated cause, tests untouched, evidence attached"
    edited = replace(outcomes.LINT, review=(outcomes.CHEATED.review[0],))
    assert base.claim(replace(fixed, tasks=(outcomes.REVERTED, edited))) == (
        "green for the stated cause, tests or their settings changed (see what asks for review), evidence attached"
    )
    bare = replace(outcomes.LINT, evidence=None)
    assert base.claim(replace(fixed, tasks=(bare,))) == "green for the stated cause, tests untouched"
    for case in ("green", "not_fixed", "attributed", "blocked"):
        assert base.claim(outcomes.OUTCOMES[case]) == ""


def test_a_command_to_take_is_offered_where_there_is_something_to_take() -> None:
    offered = {case for case, o in outcomes.OUTCOMES.items() if base.next_command(o)}
    assert offered == {"fixed", "partly", "paid"}
    assert base.next_command(outcomes.OUTCOMES["partly"]) == "zwarm-ci take 20260102-030405-ab12"
    assert base.next_command(replace(outcomes.OUTCOMES["partly"], branch=None)) == ""


def test_how_it_was_done() -> None:
    assert base.done(outcomes.REVERTED) == "revert of 1a2b3c4d5e at shop/cart.py:12 (Ann Onymous: Tune rounding)"
    assert base.done(outcomes.ATTRIBUTED).startswith("caused by 1a2b3c4d5e at shop/cart.py:12")
    assert base.done(outcomes.LINT) == "the check's own fix"
    assert base.done(replace(outcomes.LINT, method="template")) == "plausible edit from a template"
    assert base.done(outcomes.OUTCOMES["paid"].tasks[0]) == "model gpt-5.1-codex-mini"
    assert base.done(replace(outcomes.OPEN, method="template")) == "", "an edit that did not hold was not done"
    places = tuple(f"a.py:{n}" for n in range(5))
    assert outcomes.REVERTED.origin
    many = replace(outcomes.REVERTED, origin=replace(outcomes.REVERTED.origin, places=places))
    assert "at a.py:0, a.py:1, a.py:2 and 2 more (" in base.done(many)


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (CheckResult("c", "x", 0), "green"),
        (CheckResult("c", "x", 1, failed=("a", "b")), "2 failed"),
        (CheckResult("c", "x", 3), "exit code 3"),
        (CheckResult("c", "x", None, timed_out=True), "timed out"),
        (CheckResult("c", "x", 0, trouble="runner: witnesses disagree"), "runner: witnesses disagree"),
    ],
)
def test_a_check_in_words(check: CheckResult, said: str) -> None:
    assert base.state(check) == said
    assert base.change(check, check) == said
    assert base.change(replace(check, trouble="", failed=("z",) * 3), check).startswith("3 failed → ")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0.0 s"), (59.949, "59.9 s"), (59.951, "1 min 00 s"), (75.4, "1 min 15 s"), (3725, "62 min 05 s")],
)
def test_seconds(value: float, text: str) -> None:
    assert base.seconds(value) == text


def test_long_details_keep_both_ends() -> None:
    text = base.cut("a" * 3000 + "b" * 6000, 4000)
    assert len(text) == 4000
    assert text.startswith("a" * 1300)
    assert text.endswith("b" * 2600)
    assert base.cut("a" * 4000, 4000) == "a" * 4000


def test_a_token_across_the_cut_does_not_leave_in_two_halves() -> None:
    token = outcomes.CANARIES[0]
    at = base.cut("x" * 9000, base.DETAIL).index("\n")
    for start in range(at - len(token), at + 1):
        detail = "y" * start + token + "z" * (9000 - start)
        bad = replace(outcomes.OPEN, task=outcomes.task(failures=(outcomes.failure(detail=detail),)))
        cleaned = base.cleaned(replace(outcomes.OUTCOMES["not_fixed"], tasks=(bad,)))
        assert "ghp_" not in cleaned.tasks[0].task.failures[0].detail


def test_cleaning_twice_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_PASSWORD", outcomes.CANARIES[-1])
    once = base.cleaned(outcomes.hostile())
    assert base.cleaned(once) == once
    assert [f.detail.count("\n") > 2 for f in once.tasks[0].task.failures[:3]] == [True] * 3, (
        "a traceback keeps its lines"
    )
    bare = replace(once, tasks=tuple(replace(t, task=replace(t.task, failures=())) for t in once.tasks))
    assert r"\n" not in repr(bare), "all else is one line"
    assert all(len(f.detail) <= base.DETAIL for f in once.tasks[0].task.failures)
    assert [bool(f.detail) for f in once.tasks[0].task.failures] == [n < base.DETAILED for n in range(40)]


# --------------------------------------------------------------------------------------------------------------- markdown


def test_summary_says_the_verdict_first_and_why_what_is_red_is_red() -> None:
    text = markdown.render(outcomes.OUTCOMES["partly"])
    assert text.startswith("**✗ partly fixed: 3 of 5 tasks solved")
    unsolved = [t for t in outcomes.OUTCOMES["partly"].tasks if t.status not in SOLVED]
    assert len(unsolved) == 2
    for task in unsolved:
        assert task.reason in text.replace("\\", "")
    assert text.count("E       assert -1 == 3") == 2
    assert "```sh\nzwarm-ci take 20260102-030405-ab12\n```" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + 5
    assert all(row.count(" | ") == 5 for row in rows), rows


def test_summary_names_the_hunks_of_an_attributed_cause() -> None:
    text = markdown.render(outcomes.OUTCOMES["attributed"])
    assert "caused by 1a2b3c4d5e at shop/cart.py:12" in text
    assert "- shop/cart.py:12\n" in text
    assert "take" not in text


def test_hostile_text_cannot_leave_its_cell_or_fence() -> None:
    text = markdown.render(outcomes.hostile())
    outside, fence = [], ""
    for line in text.splitlines():
        mark = re.match(r"`{3,}", line)
        if mark and not fence:
            fence = mark[0]
        elif line == fence:
            fence = ""
        elif not fence:
            outside.append(line)
        assert not line.lstrip().startswith("::")
    assert fence == ""
    shown = "\n".join(outside)
    assert "<script" not in shown.replace("\\<", "")
    assert "@everyone" not in shown
    assert all(row.count(" | ") == 5 for row in outside if row.startswith("| ")), outside


def test_a_summary_that_grows_too_long_says_what_is_missing() -> None:
    text = markdown.render(outcomes.huge())
    assert len(text.encode()) <= markdown.LIMIT
    assert len(text.encode()) > markdown.LIMIT * 0.5
    assert re.search(r"… and \d+ more sections: see report.html", text)
    assert text.rstrip().endswith("because of \\[tool.pytest.ini\\_options\\]"), "the figures are always there"


# ------------------------------------------------------------------------------------------------------------------- html


class _Page(HTMLParser):
    """Collects tags, attributes and what is left open."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("case", [*outcomes.OUTCOMES, "hostile"])
def test_page_is_whole_and_loads_nothing(case: str) -> None:
    page = _Page()
    page.feed(html.render(outcomes.hostile() if case == "hostile" else outcomes.OUTCOMES[case]))
    page.close()
    assert page.open == []
    assert {"script", "img", "link", "iframe", "a"} & set(page.tags) == set()
    assert {k for k, _ in page.attributes} <= {"lang", "charset", "name", "content", "http-equiv", "class", "open"}


def test_page_suits_phones_and_dark_rooms() -> None:
    text = html.render(outcomes.OUTCOMES["partly"])
    assert "width=device-width" in text
    assert "prefers-color-scheme:dark" in text
    assert "default-src 'none'" in text


# --------------------------------------------------------------------------------------------------------------- terminal


@pytest.mark.parametrize("case", outcomes.OUTCOMES)
def test_terminal_fits_80_columns(case: str) -> None:
    assert max(map(len, terminal.render(outcomes.OUTCOMES[case]).splitlines())) <= 80


class _Terminal:
    """A stream that says it is one."""

    encoding = "utf-8"

    def __init__(self, *, tty: bool) -> None:
        self.tty, self.text = tty, ""

    def isatty(self) -> bool:
        return self.tty

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass


@pytest.mark.parametrize(
    ("tty", "environ", "coloured"),
    [(True, {}, True), (False, {}, False), (True, {"NO_COLOR": "1"}, False), (True, {"TERM": "dumb"}, False)],
)
def test_colour_where_it_is_wanted(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, *, tty: bool, coloured: bool
) -> None:
    for key in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(key, raising=False)
    for key, value in {"TERM": "xterm-256color", **environ}.items():
        monkeypatch.setenv(key, value)
    stream = _Terminal(tty=tty)
    terminal.show(outcomes.OUTCOMES["partly"], stream)  # type: ignore[arg-type] # as much of a stream as is asked for
    assert ("\x1b[" in stream.text) == coloured
    plain = re.sub(r"\x1b\[[0-9;]*m", "", stream.text)
    assert plain.split() == terminal.render(outcomes.OUTCOMES["partly"]).split()


def test_a_terminal_without_unicode_gets_a_report_all_the_same() -> None:
    stream = _Terminal(tty=False)
    stream.encoding = "ascii"
    terminal.show(outcomes.OUTCOMES["partly"], stream)  # type: ignore[arg-type] # see above
    assert stream.text.isascii()
    assert "partly fixed" in stream.text


# ---------------------------------------------------------------------------------------------------------------- compare


def test_two_runs_side_by_side() -> None:
    old, new = outcomes.OUTCOMES["not_fixed"], outcomes.OUTCOMES["fixed"]
    keyed = replace(outcomes.LINT, task=replace(outcomes.LINT.task, fingerprint="ff"))
    new = replace(new, run="later", tasks=(outcomes.REVERTED, keyed), cost_usd=0.5)
    text = compare.render(old, new)
    assert text.splitlines()[0] == "20260102-030405-ab12 → later"
    assert "  still failing → fixed: test_total: assert -1 == 3" in text
    assert "  no such task → fixed: ruff: 3 × F401 unused import" in text
    assert "cost $0.00 → $0.500" in text
    same = compare.render(old, old)
    assert "  still failing: test_parse: ValueError" in same
    kept = replace(outcomes.CHEATED, task=replace(outcomes.CHEATED.task, fingerprint="ee", title="a task as it was"))
    lines = compare.render(
        replace(old, tasks=(kept, outcomes.OPEN)), replace(new, tasks=(kept, outcomes.REVERTED))
    ).splitlines()
    assert lines[2:4] == ["  still failing → fixed: test_total: assert -1 == 3", "  tampered: a task as it was"], (
        "changes first"
    )
    found = compare.document(old, new)
    assert json.loads(json.dumps(found))["tasks"][0]["status"] == ["still_failing", "fixed"]


def test_names_in_junit() -> None:
    assert junit.names("tests/test_a.py::TestB::test_c[x::y/z.py]") == ("tests.test_a.TestB", "test_c[x::y/z.py]")
    assert junit.names("tests/test_a.py") == ("", "tests/test_a.py")
    assert junit.names("src/a.py::F401[`os` imported]") == ("src.a", "F401[`os` imported]")
    assert junit.names("") == ("", "(no name)")
    assert jsonreport.filename == "outcome.json"
