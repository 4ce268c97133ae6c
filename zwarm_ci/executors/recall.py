"""A turn that was over when we were killed, though we had not heard of its end: what its own events say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from zwarm_ci import pricing
from zwarm_ci.executors import claude, codex
from zwarm_ci.executors.base import Report
from zwarm_ci.executors.cli import Heard
from zwarm_ci.executors.trajectory import read_event, text_at
from zwarm_ci.scrub import one_line, redact
from zwarm_ci.task import Usage

_LONGEST = 400  # characters of a last message, as `cli.report` has it


def recall(executor: str, lines: Iterable[bytes], model: str, native: str, total: Usage) -> Report | None:
    """The report of a turn whose last event says that it was done; None = there is no such event, so it was cut off.

    Args:
        executor: its adapter's name.
        lines: its raw events; those of an earlier try, which was cut off, may stand before them.
        model: what was asked for.
        native: the conversation that it went on with; "" = it began one.
        total: what the CLI had counted in that.

    Returns:
        Without a cost: who asks knows the prices.
    """
    listen, begins = _WHO.get(executor, (None, ""))
    if listen is None:
        return None
    heard = Heard(native=native, total=total)
    for line in lines:
        event = read_event(line)
        if begins in {text_at(event, "type"), text_at(event, "subtype")}:
            heard = Heard(native=native, total=total)
        listen(heard, event)
    if not heard.final or heard.failed:
        return None
    if executor == "codex":  # it counts by thread, over resumes
        used = heard.total - (total if heard.native == native and heard.total.total >= total.total else Usage())
        heard.models = {model or pricing.get_default_model(executor) or "": used}
    else:
        heard.total = total + sum(heard.models.values(), Usage())
    return Report(
        "completed", one_line(redact(heard.said), _LONGEST), "model", usage=sum(heard.models.values(), Usage()), cost_usd=None,
        provider_cost_usd=heard.cost, denials=heard.denials, native=heard.native, total=heard.total,
        models=tuple(sorted(heard.models.items())), lower_bound=not heard.exact,
    )  # fmt: skip


#: How each CLI's events are understood, and the type or subtype of the one that every turn begins with.
_WHO: dict[str, tuple[Callable[[Heard, dict[str, Any]], None], str]] = {
    "codex": (codex.listen, "thread.started"),
    "claude": (claude.listen, "init"),
}
