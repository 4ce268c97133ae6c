"""What a planning CLI is started with: which one, by which model, under which rules, with which tools and words about its limits."""

from __future__ import annotations

import sys
from pathlib import Path

from zwarm_ci import pricing, staffing
from zwarm_ci.errors import BlockedError, ConfigError
from zwarm_ci.executors import EXECUTORS
from zwarm_ci.executors.base import Conduct, Tools
from zwarm_ci.orchestrator import prompts, toolspec
from zwarm_ci.orchestrator.tools import Toolset
from zwarm_ci.till import Rung, unpriced

#: The server's name, as the model sees it.
SERVER = "zwarm"
MARGIN = 60.0  # seconds by which a host waits longer for a call than the longest one takes


def rung_of(toolset: Toolset) -> Rung:
    """The CLI and the model that plan.

    Raises:
        ConfigError: the model is another CLI's. BlockedError: it cannot be started here, or nobody pays for it.
    """
    settings = toolset.settings
    adapter, lm = settings.orchestrator.host, settings.orchestrator.lm
    models = settings.registry()
    info = models.resolve(lm) if lm else None
    if info and info.adapter != adapter:
        raise ConfigError(
            f"orchestrator.lm: {lm} is a model of {info.adapter}", remedy=f"set orchestrator.host={info.adapter}"
        )
    executor = EXECUTORS[adapter]()
    model = info.canonical if info else lm or pricing.get_default_model(adapter, models) or ""
    rung = Rung(executor, model, paid=True)
    why = executor.unusable()
    replaying = toolset.instance.request.means.replay is not None
    if not why and not staffing.gateway_for(toolset.gateway, adapter) and not executor.login():
        why = staffing.no_key(adapter, gateway=settings.executor.gateway)
    if why := why or ("" if replaying else unpriced(rung, models)):
        raise BlockedError(f"the host {rung.name} cannot plan: {why}")
    return rung


def conduct(toolset: Toolset, part: prompts.Part = "orchestrator") -> Conduct:
    """How it is to behave: it writes nothing, has nobody's settings but ours, and is told nothing by the repository."""
    effort = toolset.settings.executor.reasoning_effort
    return Conduct("read-only", reasoning_effort=effort, instructions=prompts.system(part), confined=True)


def tools(toolset: Toolset, socket: Path) -> Tools:
    """Our tools, by a server of its own that passes each call on to `socket`; it holds nothing and may be started anew."""
    argv = (sys.executable, "-P", "-m", "zwarm_ci", "mcp", "--connect", str(socket))
    compaction = toolset.settings.orchestrator.compaction
    return Tools(
        SERVER, tuple(toolspec.TOOLS), argv, seconds=toolspec.LONGEST_SLEEP + MARGIN, context=compaction.max_tokens,
        share=compaction.threshold_pct,
    )  # fmt: skip


def bounds(toolset: Toolset) -> tuple[str, ...]:
    """The limits of a run in words, for whoever plans."""
    settings = toolset.settings
    planner, budget, more = settings.orchestrator, settings.budget, settings.watchers.budget
    money, tokens = toolset.money().usd, more.tokens
    lines = [
        f"{planner.max_steps} calls of tools in all, {toolset.state.steps} made so far",
        f"{pricing.format_cost(budget.usd)} for everything, {pricing.format_cost(budget.task_usd)} a session",
        f"{pricing.format_cost(money)} used by sessions so far",
        f"{planner.parallel_delegations} sessions at once",
        f"sessions run on {', '.join(':'.join(filter(None, rung)) for rung in settings.rungs)} unless you name another",
    ]
    if budget.minutes:
        lines.append(f"{budget.minutes:g} minutes, {toolset.seconds() / 60:.0f} of them gone")
    if tokens:
        lines.append(f"{tokens} tokens in all")
    if more.sessions:
        lines.append(f"{more.sessions} sessions in all")
    if planner.allowed_dirs:
        lines.append(f"work goes to {', '.join(planner.allowed_dirs)} only")
    return tuple(lines)
