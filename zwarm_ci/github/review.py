"""What a reviewer reads: the branch's name, the pull request's title and text, the comment. Pure functions of the outcome.

All of it is other people's text and made harmless: no markup, mention, reference, closing word or HTML of theirs is live.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zwarm_ci.github import marker
from zwarm_ci.reports import base
from zwarm_ci.scrub import fenced, one_line, plain, redact
from zwarm_ci.verdict import GuardFinding, Outcome, TaskOutcome

LIMIT = 60_000  # of GitHub's 65,536; counted in UTF-16 units, of which a character has one or two
PREFIX = "zwarm-ci/"
_TITLE = 120
_ROWS = 200  # of a table
#: No task was made of these, or only because another one was solved: they differ from run to run on the same failures.
_UNPLANNED = re.compile(r".*-(flaky-\d+|unverifiable-\d+|revealed)")
_CLOSING = re.compile(
    r"\b(clos(?:e[sd]?|ing)|fix(?:e[sd]|ing)?|resolv(?:e[sd]?|ing)|implement(?:s|ed|ing)?)\b"
    r"(?=[\s:*_]*\S*(?:#|GH-|/issues/|/pull/)\d)",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"(#|\bGH-|/(?:issues|pull|pulls|discussions|commit)/)(?=\w)", re.IGNORECASE)
_JOINER = "\u2060"
#: What a test of the patch's own does without the patch's source.
_PROOFS = {
    "PROVEN": "fails by what it asserts",
    "WEAK": "fails for another reason",
    "INCONCLUSIVE": "passes too: it proves nothing",
}
_SILENT = (
    "Checks do not start by themselves here, since the workflow's own `GITHUB_TOKEN` opened this. Approve them in the box below or "
    "close and reopen this pull request; with `token:` of a GitHub App or a person they start from now on."
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the text needs beside the outcome.

    Attributes:
        evidence: a task's id -> its evidence.
        findings: what a person should look at.
        changes: (path, lines added, lines removed) of the whole branch; None for binary files.
        diffs: path -> its difference.
        target: the branch that the pull request is for.
        head: the branch's last commit.
        silent: checks do not start on it.
    """

    evidence: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    findings: tuple[GuardFinding, ...] = ()
    changes: tuple[tuple[str, int | None, int | None], ...] = ()
    diffs: Mapping[str, bytes] = field(default_factory=dict)
    target: str = "main"
    silent: bool = False


def kind(outcome: Outcome) -> str:
    """What sort of work it was: tests, checks, issue, run."""
    return re.sub(r"[^a-z-]", "", outcome.command.removeprefix("fix-"))[:20].strip("-") or "run"


def fingerprint(outcome: Outcome) -> str:
    """16 hex digits for the failures that the run set out to repair; the same whatever became of them."""
    planned = [t for t in outcome.tasks if not _UNPLANNED.fullmatch(t.task.id)] or outcome.tasks
    every = "\n".join(sorted({t.task.fingerprint for t in planned}))
    return hashlib.sha256(every.encode()).hexdigest()[:16]


def branch(outcome: Outcome) -> str:
    """`zwarm-ci/KIND-FINGERPRINT`: the same for the same failures."""
    return branch_of(kind(outcome), fingerprint(outcome))


def branch_of(kind: str, fingerprint: str) -> str:
    """The branch of what a marker names."""
    return f"{PREFIX}{kind}-{fingerprint}"


def mark(outcome: Outcome) -> marker.Marker:
    """The hidden line by which the pull request is found again."""
    fixed = delivered(outcome)
    failures = ((t.task.check, target) for t in fixed for target in t.task.targets)
    return marker.make(
        kind(outcome),
        fingerprint(outcome),
        outcome.base,
        outcome.head or "",
        (t.task.fingerprint for t in fixed),
        failures,
    )


def delivered(outcome: Outcome) -> tuple[TaskOutcome, ...]:
    """The tasks whose patches are on the branch."""
    return tuple(t for t in outcome.tasks if t.commit)


def title(outcome: Outcome) -> str:
    """One line of at most 120 characters."""
    fixed = delivered(outcome)
    first = text(fixed[0].task.title if fixed else outcome.reason)
    more = f" and {len(fixed) - 1} more" if len(fixed) > 1 else ""
    return one_line(f"zwarm-ci: {one_line(first, _TITLE - 10 - len(more))}{more}", _TITLE)


def body(outcome: Outcome, facts: Facts) -> str:
    """The pull request's text, at most `LIMIT` units; what is cut is said."""
    end = f"\n{mark(outcome).line()}\n"
    top = "".join(_top(outcome, facts))
    sections = [
        _look_first(facts),
        _failed(outcome),
        _tests(outcome, facts),
        _figures(outcome),
        _again(outcome),
        _changes(facts),
    ]
    made = top
    for section in sections:
        made += _fitting(section, LIMIT - size(made) - size(end) - 200)
    return made + end


def comment(outcome: Outcome, number: int, url: str, *, what: str) -> str:
    """The one comment that we keep up to date where the work was asked for."""
    said = f"**{text(base.headline(outcome))}**\n\n{text(outcome.reason)}\n\n"
    where = f"{what}: pull request #{number}" if not url else f"{what}: [pull request #{number}]({url})"
    return f"{said}{where}\n\n{STICKY}\n"


STICKY = "<!-- zwarm-ci:comment -->"


def text(value: str, limit: int = 400) -> str:
    """Other people's text in one line of Markdown: nothing in it is live."""
    flat = one_line(redact(plain(value)), limit)
    escaped = re.sub(r"([\\`*_{}\[\]<>|~&!])", r"\\\1", flat)
    return _dead(escaped.replace("@", f"@{_JOINER}").replace("::", f":{_JOINER}:").replace("://", f":{_JOINER}//"))


def code(value: str, limit: int = 200) -> str:
    """Other people's text as inline code, in tables too: it reads as it is and nothing in it is live."""
    flat = one_line(redact(plain(value)), limit).replace("`", "'").replace("|", "\\|").strip()
    return f"`{_dead(flat.replace('::', f':{_JOINER}:') if flat.startswith('::') else flat)}`" if flat else ""


def block(value: str, language: str = "") -> str:
    """Other people's text in a fence. A squashed merge may make this text the commit's message, so no closing word works in it."""
    return _CLOSING.sub(rf"\1{_JOINER}", fenced(value, language))


def _dead(value: str) -> str:
    """No issue is referred to or closed, here or from the message of a commit that this becomes."""
    return _REFERENCE.sub(rf"\1{_JOINER}", value)


def size(value: str) -> int:
    """UTF-16 units."""
    return len(value.encode("utf-16-le", "replace")) // 2


def _fitting(parts: Iterable[str], room: int) -> str:
    """As many of the parts as there is room for, and how many more there are."""
    parts = list(parts)
    made, used = "", 0
    for number, part in enumerate(parts):
        used += size(part)
        if used > room:
            left = len(parts) - number
            return f"{made}\n… and {left} more, see the run's report.\n" if room > 100 else made
        made += part
    return made


def _top(outcome: Outcome, facts: Facts) -> Iterator[str]:
    yield f"**{text(base.headline(outcome))}** on {code(facts.target)}\n\n{text(outcome.reason)}\n"
    if shown := base.claim(outcome):
        yield f"\nShown of each patch, in a clean worktree: {shown}. A person has not looked at it yet.\n"
    if facts.silent:
        yield f"\n> {_SILENT}\n"


def _look_first(facts: Facts) -> Iterator[str]:
    if facts.findings:
        yield "\n## Please look at this first\n\n"
    for found in facts.findings[:_ROWS]:
        place = code(f"{found.path}:{found.line}" if found.line else found.path)
        yield f"- {place + ': ' if place else ''}{text(found.detail)} ({code(found.guard, 60)})\n"


def _failed(outcome: Outcome) -> Iterator[str]:
    """What failed, and the cause as far as it is known, task by task; then what is not repaired."""
    yield "\n## What failed, and why\n"
    for task in delivered(outcome):
        yield f"\n### {base.symbol(task)} {text(task.task.title)}\n\n{_how(task)}\n"
        failure = next((f for f in task.task.failures if f.detail or f.message), None)
        if failure:
            yield "\n" + block(base.cut(failure.detail or failure.message, 1500))
    left = [t for t in outcome.tasks if not t.solved]
    if left:
        yield "\n### Not repaired\n\n"
    yield from (f"- {text(t.task.title)}: {base.words(t.status)}, {text(t.reason, 300)}\n" for t in left[:_ROWS])
    yield from (f"- {text(t.task.title)}: flaky, {text(t.reason, 300)}\n" for t in outcome.tasks if t.status == "flaky")


def _how(task: TaskOutcome) -> str:
    cause = f"Cause: {text(base.done(task), 300)}." if task.origin else ""
    method = "" if task.origin else text(base.done(task), 300)
    return " ".join(
        filter(None, (cause, f"Repaired by: {method}." if method else "", f"Commit {(task.commit or '')[:10]}."))
    )


def _tests(outcome: Outcome, facts: Facts) -> Iterator[str]:
    """Before, after, and without parts of the patch, test by test, as the evidence has it; then the tests that the patch brings."""
    yield "\n## Test by test\n\n| test | before | after | without the patch |\n| --- | --- | --- | --- |\n"
    for task in delivered(outcome):
        evidence = facts.evidence.get(task.task.id, {})
        without = _without(evidence.get("assurance", {}))
        targets, new = (
            found if isinstance(found := evidence.get(k), Mapping) else {} for k in ("targets", "new_tests")
        )
        for test in list(targets)[:_ROWS]:
            state = targets[test]
            yield f"| {code(test)} | {_word(state.get('before'))} | {_word(state.get('after'))} | {without} |\n"
        for test in list(new)[:_ROWS]:
            yield f"| {code(test)} | new | passed | {_PROOFS.get(str(new[test]), 'not told')} |\n"
        more = max(0, len(targets) - _ROWS) + max(0, len(new) - _ROWS)
        if more:
            yield f"| … and {more} more of this task | | | |\n"


def _word(state: Any) -> str:
    return state if isinstance(state, str) and state in {"passed", "failed", "skipped", "absent"} else "?"


def _without(assurance: Mapping[str, Any]) -> str:
    """What happened with parts of the patch taken away: `red without each of 3 of 3 parts`."""
    needed = assurance.get("hunks_necessary")
    if isinstance(needed, str) and re.fullmatch(r"\d{1,6} of \d{1,6}", needed):
        return f"red without each of {needed} parts"
    return "as before"


def _figures(outcome: Outcome) -> Iterator[str]:
    yield "\n## Cost\n\n"
    yield f"- {text(base.cost(outcome))}, {base.plural(outcome.suite_runs, 'suite run')}, {text(base.time_spent(outcome))}\n"
    yield from (f"- {text(check)}: {text(what)}\n" for check, what in base.checks(outcome))


def _again(outcome: Outcome) -> Iterator[str]:
    """One command that shows it again; nothing in it comes from the repository."""
    yield (
        "\n## See it again\n\nIn a clone, the verifier alone on these commits:\n\n"
        + fenced(
            f"git fetch origin {branch(outcome)} && zwarm-ci verify {outcome.base[:12]}..{(outcome.head or '')[:12]}",
            "sh",
        )
    )


def _changes(facts: Facts) -> Iterator[str]:
    yield "\n## The patch, by file\n\n| file | added | removed |\n| --- | ---: | ---: |\n"
    for path, added, removed in facts.changes[:_ROWS]:
        yield f"| {code(path)} | {'binary' if added is None else added} | {'' if removed is None else removed} |\n"
    if len(facts.changes) > _ROWS:
        yield f"| … and {len(facts.changes) - _ROWS} more files | | |\n"
    for path, diff in facts.diffs.items():
        yield f"\n<details><summary>{_summary(path)}</summary>\n\n{block(_shown(diff), 'diff')}\n</details>\n"


def _summary(path: str) -> str:
    """A path inside HTML, where Markdown's escapes do not apply."""
    import html

    shown = html.escape(one_line(redact(plain(path)), 200), quote=False)
    return _dead(shown.replace("@", f"@{_JOINER}").replace("://", f":{_JOINER}//"))


def _shown(diff: bytes) -> str:
    lines: Sequence[str] = diff.decode("utf-8", "replace").split("\n")
    start = next((n for n, line in enumerate(lines) if line.startswith(("@@", "GIT binary patch", "Binary files"))), 0)
    kept = ["(binary)"] if start and lines[start].startswith(("GIT", "Binary")) else lines[start:]
    return base.cut("\n".join(kept), 20_000)
