"""report.html: the summary as one file for people, readable on a phone; no script, nothing loaded from anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from zwarm_ci.pricing import format_cost
from zwarm_ci.reports import base
from zwarm_ci.task import Failure
from zwarm_ci.verdict import Outcome, TaskOutcome

name = "html"
filename = "report.html"
_FAILURES = 20  # per task, with their error; the ids of the others follow
_IDS = 500
_STYLE = """\
:root{color-scheme:light dark;--ink:#1c2024;--dim:#60646c;--paper:#fff;--card:#f6f7f9;--line:#dfe2e6;--good:#1a7f37;--bad:#c62828;--warn:#9a6700;
--link:#0b62c4}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--dim:#9ba1a9;--paper:#111416;--card:#1a1e22;--line:#2e343a;--good:#4cc46a;--bad:#ff7b72;--warn:#e3b341;
--link:#79b8ff}}
body{margin:0 auto;max-width:60rem;padding:1.5rem 1rem 4rem;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}
h1{font-size:1.4rem;margin:0}h2{font-size:1rem;margin:0;overflow-wrap:anywhere}p{margin:.4rem 0;overflow-wrap:anywhere}
.dim{color:var(--dim)}.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}
section{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.8rem 1rem;margin:1rem 0}
pre{overflow-x:auto;background:var(--paper);border:1px solid var(--line);border-radius:.3rem;padding:.6rem;font-size:.8rem;line-height:1.4}
code{font-family:ui-monospace,monospace;font-size:.9em;overflow-wrap:anywhere}
ul{padding-left:1.2rem;margin:.4rem 0}summary{cursor:pointer;color:var(--link)}
"""
_CLASSES = {"✓": "good", "~": "warn", "→": "warn", "✗": "bad"}


def render(outcome: Outcome) -> str:
    """The whole page."""
    outcome = base.cleaned(outcome)
    return "\n".join(_page(outcome)) + "\n"


def _page(outcome: Outcome) -> Iterator[str]:
    good = outcome.exit_code == 0
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width,initial-scale=1">'
    # Text of a repository is in here: whatever slipped through as markup could load or run nothing.
    yield "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    yield f"<title>{escape(base.headline(outcome))} - zwarm-ci</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>\n<main>"
    yield f'<p class="dim">zwarm-ci {escape(outcome.command)} · run {escape(outcome.run)}</p>'
    yield f'<h1><span class="{"good" if good else "bad"}">{"✓" if good else "✗"}</span> {escape(base.headline(outcome))}</h1>'
    yield f"<p>{escape(outcome.reason)}</p>"
    if base.claim(outcome):
        yield f"<p>Shown of what is fixed: {escape(base.claim(outcome))}.</p>"
    if base.next_command(outcome):
        yield f"<p>Take it:</p>\n<pre>{escape(base.next_command(outcome))}</pre>"
    for task in outcome.tasks:
        yield from _task(task)
    yield from _figures(outcome)
    yield "</main>\n</body>\n</html>"


def _task(outcome: TaskOutcome) -> Iterator[str]:
    mark = base.symbol(outcome)
    yield f'<section>\n<h2><span class="{_CLASSES[mark]}">{mark} {escape(base.words(outcome.status))}</span>'
    yield f"{escape(outcome.task.title or outcome.task.id)}</h2>\n<p>{escape(outcome.reason)}</p>"
    how = [
        base.done(outcome),
        f"commit {outcome.commit[:10]}" if outcome.commit else "",
        format_cost(max(0.0, outcome.cost_usd)),
    ]
    yield f'<p class="dim">{escape(", ".join(part for part in how if part))}</p>'
    if outcome.origin and outcome.origin.places:
        yield _list(outcome.origin.places)
    if outcome.review:
        yield _list(tuple(base.finding(f) for f in outcome.review))
    yield from _failures(outcome)
    yield "</section>"


def _failures(outcome: TaskOutcome) -> Iterator[str]:
    failures = outcome.task.failures
    yield f"<details{'' if outcome.solved else ' open'}>\n<summary>{base.plural(len(failures), 'failure')}</summary>"
    yield from (_failure(f) for f in failures[:_FAILURES])
    rest = tuple(f.id for f in failures[_FAILURES : _FAILURES + _IDS])
    if rest:
        yield _list(rest)
    if len(failures) > _FAILURES + _IDS:
        yield f"<p>… and {base.plural(len(failures) - _FAILURES - _IDS, 'more failure')}, see outcome.json</p>"
    yield "</details>"


def _failure(failure: Failure) -> str:
    place = f' <span class="dim">{escape(str(failure.place))}</span>' if failure.place else ""
    said = failure.detail or failure.message
    return f"<p><code>{escape(failure.id)}</code>{place}</p>" + (f"\n<pre>{escape(said)}</pre>" if said else "")


def _list(items: tuple[str, ...]) -> str:
    return "<ul>\n" + "\n".join(f"<li><code>{escape(i)}</code></li>" for i in items) + "\n</ul>"


def _figures(outcome: Outcome) -> Iterator[str]:
    figures = [
        *(f"{check}: {what}" for check, what in base.checks(outcome)),
        f"cost: {base.cost(outcome)}, {base.plural(outcome.suite_runs, 'suite run')}",
        f"time: {base.time_spent(outcome)}",
        f"base: {outcome.base[:10]}" + (f", branch: {outcome.branch}" if outcome.branch else ""),
        *outcome.notes,
    ]
    yield "<section>\n<h2>Figures</h2>\n<ul>"
    yield from (f"<li>{escape(figure)}</li>" for figure in figures)
    yield "</ul>\n</section>"
