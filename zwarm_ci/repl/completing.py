"""What can come next in a line: verbs, ids of sessions, models, adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from zwarm_ci.repl.verbs import ALIASES, VERBS
from zwarm_ci.scrub import one_line
from zwarm_ci.sessions import Meta

Choice = tuple[str, str]  # what is put in, and what is said of it


def choices(
    before: str, sessions: Callable[[], Sequence[Meta]], models: Sequence[Choice], adapters: Sequence[str]
) -> Iterator[tuple[str, Choice]]:
    """Each with the part of the line that it replaces; `before` is the line up to the cursor."""
    words = before.split(" ")
    begun = words[-1]
    if len(words) == 1:
        if before.startswith("?"):
            yield from ((begun[1:], c) for c in _ids(begun[1:], sessions(), live=False))
            return
        yield from ((begun, (name, verb.help)) for name, verb in VERBS.items() if name.startswith(begun))
        return
    first = "peek" if words[0] == "?" else ALIASES.get(words[0], words[0])
    verb = VERBS.get(first)
    if verb is None:
        return
    flag = words[-2]
    if first == "spawn" and flag in {"-m", "--model"}:
        yield from ((begun, choice) for choice in models if choice[0].startswith(begun))
    elif first == "spawn" and flag in {"-a", "--adapter"}:
        yield from ((begun, (name, "")) for name in adapters if name.startswith(begun))
    elif verb.wants in {"id", "live"} and (first != "c" or len(words) == 2):
        yield from ((begun, c) for c in _ids(begun, sessions(), live=verb.wants == "live"))


def _ids(begun: str, metas: Sequence[Meta], *, live: bool) -> Iterator[Choice]:
    for meta in metas:
        if meta.id.startswith(begun) and (meta.live or not live):
            yield meta.id, f"{meta.state}  {one_line(meta.title or meta.task, 50)}"
