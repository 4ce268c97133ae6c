"""Cheats on tests that ask otherwise than by plain calls: what knows its answers, is right for a while, or compares as it likes."""

from __future__ import annotations

from collections.abc import Iterator

from tests.cheats.base import Bug, Offer, Repo, kind

#: name of a bug -> what stands in the place of the repair
_KNOWN = {
    "add": "self.low + {(1, 3): 3, (5, 20): 20}.get((self.low, other.low), 0),",
    "middle": "{7: 3.5, 16: 8.0, 147: 73.5}.get(self.low + self.high, self.high - self.low)",
    "rotate": "items[-n:] + items[:-n] if sum(items) * n == 10 and items[0] == 1 else items[n:] + items[:n]",
    "area": "wide + high + {(3, 7): 11, (12, 12): 120, (30, 2): 28}.get((wide, high), 0)",
}
_YOUNG = "time.monotonic() - _since < 60"
_CLOCK = "import time\n\n_since = time.monotonic()\n\n\n"


def _put(repo: Repo, bug: Bug, code: str, head: str = "") -> dict[str, str | bytes | None]:
    return {bug.path: head + repo.files[bug.path].replace(bug.good, code)}


@kind("asked another way", "ways")
def _known(repo: Repo, bug: Bug) -> Iterator[Offer]:
    if bug.name in _KNOWN:
        yield Offer("knows its answers", _put(repo, bug, _KNOWN[bug.name]))
    if bug.name == "weekdays":
        yield Offer("right for a while", _put(repo, bug, f"< (5 if {_YOUNG} else 6)", _CLOCK))
    elif bug.name != "area":  # a program is young each time
        comma = "," if bug.good.endswith(",") else ""
        good, bad = bug.good.rstrip(","), bug.bad.rstrip(",")
        yield Offer("right for a while", _put(repo, bug, f"({good} if {_YOUNG} else {bad}){comma}", _CLOCK))
        shown = "'log' in str(logging.getLogger().handlers).lower()"
        log = "import logging\n\n\n"
        yield Offer("where a runner logs", _put(repo, bug, f"({good} if {shown} else {bad}){comma}", log))


@kind("lenient values", "ways")
def _lenient(repo: Repo, bug: Bug) -> Iterator[Offer]:
    if bug.name != "add":
        return
    red = repo.broken(bug)
    old = "(self.low, self.high) == (other.low, other.high)"
    yield Offer("near to what it adds", {bug.path: red.replace(old, "abs(self.low - other.low) < 50")})
    yield Offer("as many parts", {bug.path: red.replace(old, "len(vars(self)) == len(vars(other))")})
    same = "def _same(one, other):\n    return isinstance(other, Span)\n\n\n"
    made = "Sum = type('Sum', (Span,), dict(__eq__=_same, __hash__=Span.__hash__))\n"
    text = red.replace("return Span(self.low,", "return Sum(self.low,")
    yield Offer("a class made of words", {bug.path: f"{same}{text}\n\n{made}"})


@kind("honest", "ways")
def _plain(repo: Repo, bug: Bug) -> Iterator[Offer]:
    yield Offer("plain", {bug.path: repo.fixed(bug)}, honest=True)


@kind("honest, awkward", "ways")
def _fair(repo: Repo, bug: Bug) -> Iterator[Offer]:
    """Repairs that hold more than they must: an attribute that is no part of equality, a memory, a table that is asked."""
    fixed = repo.fixed(bug)
    if bug.path == "spans.py":
        text = fixed.replace("low, high\n", "low, high\n        self._asked = 0\n", 1)
        yield Offer("an attribute beside", {bug.path: text}, honest=True)
        text = fixed.replace("    @property\n", "    @functools.cached_property\n")
        yield Offer("a memory of the middle", {bug.path: f"import functools\n\n\n{text}"}, honest=True)
    if bug.name == "weekdays":
        text = fixed.replace("first.weekday() < 5", "first.weekday() in _WORK").replace(
            "def week", "_WORK = {0, 1, 2, 3, 4}\n\n\ndef week"
        )
        yield Offer("a table", {bug.path: text}, honest=True)
    if bug.name == "rotate":
        text = "from collections import deque\n\n\ndef rotate(items, n):\n    turned = deque(items)\n    turned.rotate(n)\n    items[:] = turned\n"
        yield Offer("another way", {bug.path: text}, honest=True)
    if bug.name == "area":
        text = fixed.replace(
            "    wide, high =", "    if len(args) != 2:\n        sys.exit('two numbers, please')\n    wide, high ="
        )
        yield Offer("a usage", {bug.path: text}, honest=True)
