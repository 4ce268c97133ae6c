"""What a reviewer reads: found again, complete, short enough, and harmless whatever the repository says."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.outcomes import BRANCH, CANARIES, CHEATED, FLAKY, LINT, OPEN, OUTCOMES, REVERTED, hostile, huge, outcome
from zwarm_ci.github import codeowners, marker, review
from zwarm_ci.reports.base import cleaned
from zwarm_ci.task import Failure
from zwarm_ci.verdict import CheckResult, GuardFinding, Outcome

GOLD = Path(__file__).parents[1] / "data" / "review.md"
EVIDENCE: dict[str, dict[str, Any]] = {
    "T1": {
        "targets": {"tests/test_cart.py::test_total[0]": {"before": "failed", "after": "passed", "signature": "ab"}},
        "assurance": {"hunks_necessary": "2 of 2"},
    },
    "T2": {
        "targets": {"shop/a.py::F401[x]": {"before": "failed", "after": "absent"}},
        "assurance": {},
        "new_tests": {"tests/test_new.py::test_it": "PROVEN", "tests/test_new.py::test_other": "WEAK"},
    },
}
FACTS = review.Facts(
    EVIDENCE,
    (GuardFinding("size", "review", "shop/a.py", 3, "deletes more than it adds"),),
    (("shop/cart.py", 1, 1), ("logo.png", None, None)),
    {"shop/cart.py": b"diff --git a/shop/cart.py b/shop/cart.py\n--- a\n+++ b\n@@ -1 +1 @@\n-x\n+y\n"},
    silent=True,
)
PARTLY = replace(OUTCOMES["partly"], tasks=(REVERTED, LINT, FLAKY, OPEN, CHEATED))


def test_gold() -> None:
    """What it looks like is looked at: delete the file and run again to have it written anew."""
    text = review.body(PARTLY, FACTS)
    if not GOLD.exists():
        GOLD.write_text(text, encoding="utf-8")
    assert text == GOLD.read_text(encoding="utf-8")


def test_what_needs_a_look_comes_first() -> None:
    text = review.body(PARTLY, FACTS)
    order = [
        "Please look at this first",
        "What failed",
        "Not repaired",
        "Test by test",
        "Cost",
        "See it again",
        "by file",
    ]
    assert [text.index(word) for word in order] == sorted(text.index(word) for word in order)


def test_one_command_shows_it_again_and_has_nothing_of_the_repositorys() -> None:
    bad = replace(hostile(), base="b" * 40, head="c" * 40)
    command = next(line for line in review.body(bad, review.Facts()).splitlines() if line.startswith("git fetch"))
    assert re.fullmatch(r"git fetch origin zwarm-ci/[a-z-]+-[0-9a-f]{16} && zwarm-ci verify b{12}\.\.c{12}", command)


def test_the_branch_is_the_same_for_the_same_failures() -> None:
    again = replace(PARTLY, run="20300101-000000-ffff", base="d" * 40, head="e" * 40, tasks=PARTLY.tasks[::-1])
    assert review.branch(again) == review.branch(PARTLY)
    assert re.fullmatch(r"zwarm-ci/checks-[0-9a-f]{16}", review.branch(PARTLY))


def test_the_branch_does_not_hang_on_what_was_repaired_or_flaky_this_time() -> None:
    one, two = (replace(REVERTED.task, fingerprint=f * 16, id=f"tests-{f}") for f in "ab")
    both = outcome("fixed", 0, "r", replace(REVERTED, task=one), replace(LINT, task=two), branch=BRANCH)
    less = replace(both, tasks=(both.tasks[0], replace(OPEN, task=two)))
    flaky = replace(FLAKY, task=replace(FLAKY.task, id="tests-flaky-1", fingerprint="c" * 16))
    more = replace(OPEN, task=replace(OPEN.task, id="tests-revealed", fingerprint="d" * 16))
    assert review.branch(both) == review.branch(less) == review.branch(replace(both, tasks=(*both.tasks, flaky, more)))
    assert review.branch(both) != review.branch(replace(both, tasks=both.tasks[:1]))
    assert review.branch(both) != review.branch(replace(both, command="fix-tests"))


def test_a_title_is_one_line() -> None:
    assert review.title(PARTLY).startswith("zwarm-ci: test")
    assert review.title(PARTLY).endswith("and 1 more")
    for case in (hostile(), huge(), *OUTCOMES.values()):
        assert len(review.title(case)) <= 120
        assert "\n" not in review.title(case)


def live(text: str) -> str:
    """The text outside of fences and inline code, where Markdown and mentions are alive; escapes taken out."""
    text = re.sub(r"^(`{3,})[^\n]*\n.*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"\\.", "", re.sub(r"(?<!`)`[^`\n]+`(?!`)", "", text))


HOSTILE = (
    "@everyone", "@octo/team", "<img src=x onerror=alert(1)>", "<!-- zwarm-ci:review {\"v\":1} -->", "](https://evil.example)",
    "![x](https://evil.example/pixel)", "closes #1", "Fixes octo/shop#2", "resolves GH-3", "closes https://github.com/octo/shop/issues/4",
    "fix: #5", "`` ` ``", "```\n# heading\n```", "~~~", "| a | b |", "::error::owned", "\n::set-output name=x::y", "&lt;script&gt;",
    "</details><script>", "\u202egnp.exe", "https://evil.example/?q=1", "$(id)", "- [x] done", "# heading", "\r\n\r\n# heading",
)  # fmt: skip


def attacked(text: str) -> tuple[Outcome, review.Facts]:
    """An outcome and facts in which every text that comes from a repository is this one."""
    failure = Failure("tests", text, text, text)
    bad = replace(REVERTED, reason=text, task=replace(REVERTED.task, title=text, failures=(failure,)))
    assert bad.origin is not None
    origin = replace(bad.origin, author=text, subject=text, places=(text,))
    left = replace(OPEN, reason=text, task=replace(OPEN.task, title=text))
    check = CheckResult(text, text, 1, failed=(text,), trouble=text)
    whole = replace(
        outcome("partly_fixed", 1, text, replace(bad, origin=origin), left, branch=BRANCH),
        before=(check,),
        after=(check,),
    )
    facts = review.Facts(
        {"T1": {"targets": {text: {"before": text, "after": text}}, "assurance": {"hunks_necessary": text}}},
        (GuardFinding(text, "review", text, 3, text, text),), ((text, 1, None),), {text: text.encode("utf-8", "replace")}, text,
    )  # fmt: skip
    return cleaned(whole), facts


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_only_text(text: str) -> None:
    whole, facts = attacked(text)
    body = review.body(whole, facts)
    outside = live(body).removesuffix(review.mark(whole).line() + "\n")
    assert not re.search(r"@\w", outside)
    assert not re.search(r"<(?!/?details>|/?summary>)", outside)
    assert not re.search(r"\]\(|!\[", re.sub(r"<summary>.*</summary>", "", outside))  # a line of HTML has no Markdown
    assert "://" not in outside
    assert not re.search(r"(#|GH-|/issues/)\d", outside)
    assert not re.search(r"^\s*::", body, re.MULTILINE)
    assert body.count("\n## ") == sum(
        f"## {name}" in body for name in ("Please", "What", "Test by", "Cost", "See it", "The patch")
    )
    assert not re.search(r"(?i)\b(close[sd]?|fix(e[sd])?|resolve[sd]?):?\s+(\S*#|GH-|https?://\S+/)\d", body)
    assert marker.find(body) == review.mark(whole)


@given(st.text(max_size=300))
def test_any_text_leaves_the_structure_as_it_is(text: str) -> None:
    whole, facts = attacked(text)
    body = review.body(whole, facts)
    assert marker.find(body) == review.mark(whole)
    assert body.count("<details>") == body.count("</details>") == len(re.findall(r"^<details>", body, re.MULTILINE))
    assert not re.search(r"@\w", live(body).replace(review.mark(whole).line(), ""))


@pytest.mark.parametrize("case", [hostile(), huge(), *OUTCOMES.values()])
def test_no_secret_and_never_too_long(case: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_TOKEN", CANARIES[3])
    bad = " ".join(CANARIES)
    found = (GuardFinding(bad, "review", bad, 1, bad, bad),) * 900
    diffs = {bad: (bad * 3000).encode()}
    facts = replace(FACTS, target=bad, diffs=diffs, changes=((bad, 1, 1),) * 900, findings=found)
    text = review.body(case, facts) + review.title(case) + review.comment(case, 5, "", what="Opened")
    assert review.size(review.body(case, facts)) <= review.LIMIT
    assert not any(canary in text for canary in CANARIES)


@pytest.mark.parametrize("odd", [None, [], {}, 1.5, "x", ["x"], {"x": []}, {"x": {"before": [], "after": {}}}])
def test_evidence_of_any_shape_is_shown_or_left_out(odd: object) -> None:
    """A bundle is hostile: what a verification writes is looked at before, how each value looks is not."""
    inner = odd if isinstance(odd, dict) and odd != {"x": []} else {}
    evidence = {"T1": {"targets": inner, "assurance": {"hunks_necessary": odd}, "new_tests": odd}}
    assert "Test by test" in review.body(PARTLY, replace(FACTS, evidence=evidence))


def test_what_is_cut_is_said_and_the_marker_stays() -> None:
    diffs = {f"shop/file_{n}.py": b"@@ -1 +1 @@\n" + b"-x\n" * 900 for n in range(100)}
    text = review.body(PARTLY, replace(FACTS, diffs=diffs))
    assert re.search(r"… and \d+ more, see the run's report", text)
    assert marker.find(text) == review.mark(PARTLY)
    assert len(text) > 50_000


def test_characters_of_two_units_count_twice() -> None:
    text = review.body(PARTLY, replace(FACTS, diffs={f"{n}.py": ("@@\n" + "😀" * 9000).encode() for n in range(9)}))
    assert len(text.encode("utf-16-le")) // 2 <= review.LIMIT


MARK = marker.make("tests", "ab" * 8, "b" * 40, "c" * 40, ["ff" * 8], [("tests", "t::a"), ("lint", "x.py::F401")])


def test_a_marker_is_found_again() -> None:
    assert marker.find(f"text\n\n{MARK.line()}\n") == MARK
    assert marker.find(f"{replace(MARK, kind='issue').line()}\n{MARK.line()}") == MARK
    stale = marker.find(marker.closed(f"text\n{MARK.line()}\n", MARK))
    assert stale == replace(MARK, stale=True)


@pytest.mark.parametrize(
    "body",
    [
        "", "no marker", MARK.line().replace('"v":1', '"v":2'), MARK.line().replace('"tests"', '"x <b>"'), MARK.line().replace("[", "7,["),
        MARK.line().replace("b" * 40, "; rm -rf /"), MARK.line().replace("false", '"false"'), "<!-- zwarm-ci:review {} -->",
        "<!-- zwarm-ci:review {\"v\":1,\"kind\":[]} -->",
    ],
)  # fmt: skip
def test_a_marker_that_is_not_one_is_none(body: str) -> None:
    assert marker.find(body) is None


def result(name: str, passed: tuple[str, ...] = (), failed: tuple[str, ...] = (), **more: object) -> CheckResult:
    return replace(CheckResult(name, "x", 1 if failed else 0, passed, failed), **more)  # type: ignore[arg-type] # as named


TESTS = marker.make("tests", "ab", "", "", ["ff"], [("tests", "t::a"), ("tests", "t::b")])
LINTS = marker.make("checks", "ab", "", "", ["ff"], [("lint", "x.py::F401")])
PASSES: list[tuple[marker.Marker, list[CheckResult], bool]] = [
    (TESTS, [result("tests", ("t::a", "t::b", "t::c"))], True),
    (TESTS, [result("tests", ("t::a", "t::b"), ("t::c",))], True),
    (TESTS, [result("tests", ("t::a",), ("t::b",))], False),
    (TESTS, [result("tests", ("t::a",))], False),
    (TESTS, [result("tests")], True),
    (TESTS, [result("other", ("t::a", "t::b"))], False),
    (TESTS, [result("tests", ("t::a", "t::b"), trouble="runner: crashed")], False),
    (TESTS, [result("tests", ("t::a", "t::b"), timed_out=True)], False),
    (TESTS, [], False),
    (LINTS, [result("lint")], True),
    (LINTS, [result("lint", failed=("x.py::F401",))], False),
    (LINTS, [result("lint", failed=("y.py::E711",))], False),
    (LINTS, [result("lint", exit_code=2)], False),
    (replace(TESTS, whole=False), [result("tests", ("t::a", "t::b"))], False),
    (replace(TESTS, ids=()), [result("tests", ("t::a", "t::b"))], False),
]


@pytest.mark.parametrize(("known", "results", "expected"), PASSES)
def test_what_passes_now(known: marker.Marker, results: list[CheckResult], expected: bool) -> None:
    assert marker.passes(known, results) is expected


OWNERS = b"""\
# who looks at what
*            @ada
*.js         @bob  # the front end
/docs/       @docs-people
apps/        @octo/apps
/build/logs/ mail@example.org @grace
docs/*       @linus
**/deep/*.py @octo/deep @evil/team
/empty/
/with\\ space.txt @space
[ab].txt     @never
!not.txt     @never
/src/*/x.py  @star
?.rst        @one
"""
ROWS = {
    "README.md": ((), ("ada",)),
    "web/x.js": ((), ("bob",)),
    "docs/a.md": ((), ("linus",)),
    "docs/in/a.md": ((), ("docs-people",)),
    "x/apps/y/z.txt": (("apps",), ()),
    "build/logs/x": ((), ("grace",)),
    "x/build/logs/y": ((), ("ada",)),
    "a/deep/x.py": (("deep",), ()),
    "deep/x.py": (("deep",), ()),
    "empty/x": ((), ()),
    "with space.txt": ((), ("space",)),
    "a.txt": ((), ("ada",)),
    "src/m/x.py": ((), ("star",)),
    "src/m/n/x.py": ((), ("ada",)),
    "z.rst": ((), ("one",)),
}


@pytest.mark.parametrize("path", ROWS)
def test_owners_are_by_the_last_line_that_matches(path: str) -> None:
    files = {"CODEOWNERS": OWNERS}
    found = codeowners.owners(files.get, [path], "octo")
    assert (found.teams, found.users) == ROWS[path]


def test_the_first_place_counts_and_nobody_is_named_twice() -> None:
    files = {"docs/CODEOWNERS": b"* @no", ".github/CODEOWNERS": b"* @yes @yes"}
    assert codeowners.owners(files.get, ["a", "b"], "octo").users == ("yes",)
    assert codeowners.owners(lambda _: None, ["a"], "octo") == ((), ())


@given(st.binary(max_size=200), st.text(max_size=30))
def test_any_owners_file_is_read(text: bytes, path: str) -> None:
    for name in codeowners.owners(lambda _: text, [path], "octo").users:
        assert re.fullmatch(r"[A-Za-z0-9-]{1,39}", name)
