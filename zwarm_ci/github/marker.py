"""The hidden line in a pull request of ours: what it repairs, from where, and which commit we left; found again by it.

Whoever can edit the pull request can change it, so it is a reason to do less, never to do more.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from zwarm_ci.scrub import plain, redact
from zwarm_ci.verdict import CheckResult

_OPEN = "<!-- zwarm-ci:review "
_LINE = re.compile(re.escape(_OPEN) + r"(\{[^<>]{1,40000}\}) -->")
_IDS = 400  # of 12 characters each; with more, a pull request is not closed by what passes now
_HEX = re.compile(r"[0-9a-f]{0,64}")
_KIND = re.compile(r"[a-z]{1,20}(-[a-z]{1,20}){0,3}")


@dataclass(frozen=True, slots=True)
class Marker:
    """`tasks` are the fingerprints of what the branch repairs, `ids` digests of the failures, `checks` digests of their checks' names.

    `whole`: all ids are in it. `stale`: we closed it ourselves.
    """

    kind: str
    fingerprint: str
    base: str
    head: str
    tasks: tuple[str, ...]
    ids: tuple[str, ...]
    checks: tuple[str, ...]
    whole: bool = True
    stale: bool = False

    def line(self) -> str:
        """The HTML comment that carries it."""
        return f"{_OPEN}{json.dumps({'v': 1, **asdict(self)}, separators=(',', ':'))} -->"


def make(
    kind: str, fingerprint: str, base: str, head: str, tasks: Iterable[str], failures: Iterable[tuple[str, str]]
) -> Marker:
    """The marker of a branch; `failures` are (check, id)."""
    failures = list(failures)
    ids = tuple(sorted({id_of(check, test) for check, test in failures}))
    checks = tuple(sorted({id_of(check) for check, _ in failures}))
    return Marker(kind, fingerprint, base, head, tuple(sorted(set(tasks))), ids[:_IDS], checks, whole=len(ids) <= _IDS)


def id_of(check: str, test: str = "") -> str:
    """The digest of a failure, or of a check's name; the same whether the id is as it ran or as a report wrote it."""
    return hashlib.sha256(f"{check}\0{' '.join(plain(redact(test)).split())}".encode("utf-8", "replace")).hexdigest()[
        :12
    ]


def find(body: str) -> Marker | None:
    """The marker in a pull request's text; the last one counts, for ours stands at the end."""
    lines = _LINE.findall(body or "")
    if not lines:
        return None
    try:
        found = json.loads(lines[-1])
        texts = [found[key] for key in ("kind", "fingerprint", "base", "head")]
        lists = [tuple(found[key]) for key in ("tasks", "ids", "checks")]
        flags = [found[key] for key in ("whole", "stale")]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    inner = [item for part in lists for item in part]
    sound = (
        found.get("v") == 1
        and all(isinstance(t, str) for t in (*texts, *inner))
        and all(isinstance(f, bool) for f in flags)
        and _KIND.fullmatch(texts[0])
        and all(_HEX.fullmatch(t) for t in (*texts[1:], *inner))
    )
    return Marker(*texts, *lists, *flags) if sound else None


def closed(body: str, marker: Marker) -> str:
    """A pull request's text that says that we closed it ourselves."""
    return _LINE.sub("", body).rstrip() + "\n\n" + replace(marker, stale=True).line() + "\n"


def passes(marker: Marker, results: Iterable[CheckResult]) -> bool:
    """Whether every failure that the pull request repairs was seen green in these results.

    A test that did not run is not green. What a linter said is green where it ran to its end and says it no more.
    """
    results = [r for r in results if not r.trouble and not r.timed_out]
    red = {id_of(r.name, i) for r in results for i in (*r.failed, *r.skipped)}
    green = {id_of(r.name, i) for r in results for i in r.passed}
    silent = {id_of(r.name) for r in results if r.exit_code == 0 and not r.passed and not r.skipped}
    seen = set(marker.ids) <= green or (set(marker.checks) <= silent and not set(marker.ids) & red)
    return bool(marker.whole and marker.ids and marker.checks) and seen and not set(marker.ids) & red
