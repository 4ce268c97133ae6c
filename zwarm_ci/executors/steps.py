"""What sessions did, read from disk step by step, together with what they were told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from zwarm_ci.executors.trajectory import Step, trajectory
from zwarm_ci.scrub import one_line, plain, redact
from zwarm_ci.sessions import Meta, Store

_TAIL = 1 << 20  # bytes of the last turn that `last_step` looks at
_SHOWN_LINES = 12


@dataclass(frozen=True, slots=True)
class Seen:
    """A step of a session, or (`told`) what it was asked."""

    kind: str
    text: str
    detail: str = ""
    exit_code: int | None = None


def steps_of(store: Store, meta: Meta) -> Iterator[Seen]:
    """What was said to the session and what it did, in order."""
    told = {
        r["turn"]: str(r.get("text", ""))
        for r in store.events(meta.id)[0]
        if r.get("kind") == "message" and "turn" in r
    }
    for path in store.turns(meta.id):
        turn = int(path.stem.rpartition("_")[2])
        if turn in told:
            yield Seen("told", told[turn])
        with path.open("rb") as file:
            for step in trajectory(meta.executor, (text.rstrip(b"\n") for text in file)):
                yield _seen(step)


def last_step(store: Store, meta: Meta) -> Seen | None:
    """The last message of the last turn, or its last step where it has said nothing yet."""
    turns = store.turns(meta.id)
    if not turns:
        return None
    with turns[-1].open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL))
        lines = file.read().split(b"\n")
    steps = list(trajectory(meta.executor, lines[1:] if size > _TAIL else lines))
    said = [s for s in steps if s.kind == "message"]
    return _seen(said[-1] if said and not meta.live else steps[-1]) if steps else None


def _seen(step: Step) -> Seen:
    return Seen(step.kind, step.text, step.detail, step.exit_code)


def step_text(step: Seen, *, full: bool) -> str:
    """A step for people: what kind, then its text, with its output below."""
    code = "" if step.exit_code is None else f" [{step.exit_code}]"
    text = plain(redact(step.text)).strip()
    detail = plain(redact(step.detail)).strip()
    if not full:
        text, detail = one_line(text, 300), "\n".join(detail.splitlines()[:_SHOWN_LINES])
        detail = detail[: _SHOWN_LINES * 160]
    body = "".join(f"\n    {row}" for row in detail.splitlines()) if detail else ""
    return f"{step.kind:<9} {text}{code}{body}"
