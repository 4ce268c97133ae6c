"""Who works on a run and who pays: from settings to the rungs that can be used here, how the CLIs behave, and the till."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

from zwarm_ci import pricing
from zwarm_ci.config import Settings
from zwarm_ci.errors import BlockedError, UsageError
from zwarm_ci.executors import EXECUTORS
from zwarm_ci.executors.base import Conduct
from zwarm_ci.gateway.client import Gateway
from zwarm_ci.purse import Limits, Purse
from zwarm_ci.scrub import decode
from zwarm_ci.till import Rung, Till, unpriced

#: Instructions for agents that a repository may hold; the first that is there counts.
_INSTRUCTIONS = {"codex": ("AGENTS.md",), "claude": ("CLAUDE.md", "AGENTS.md")}
_DAY_FILE = "spend.json"
Read = Callable[[str], bytes | None]
Spent = Mapping[str, Decimal]  # dollars by task


@dataclass(frozen=True, slots=True)
class Means:
    """What a person gave for paid work: the folders of `--record` and `--replay`; `ask` puts the question before the first paid call."""

    record: Path | None = None
    replay: Path | None = None
    ask: Callable[[str], bool] | None = None


def ladder(
    settings: Settings, found: Gateway | None, *, replaying: bool = False
) -> tuple[tuple[Rung, ...], tuple[str, ...]]:
    """The rungs, in order, that can be used here, and why others are left out or who counts their money.

    Raises:
        BlockedError: none can.
    """
    rungs, notes = [], []
    for adapter, model in settings.rungs:
        executor = EXECUTORS[adapter]()
        paid = adapter in pricing.list_adapters()
        why = executor.unusable()
        if paid and not why and not gateway_for(found, adapter):
            login = executor.login()
            why = "" if login else no_key(adapter, gateway=settings.executor.gateway)
            if login:
                notes.append(
                    f"{adapter}: its own login pays ({login}); its own figures are counted, and its last call may pass a limit"
                )
        rung = Rung(executor, model, paid)
        why = why or ("" if replaying else unpriced(rung, settings.registry()))
        if why:
            notes.append(f"{rung.name} is left out: {why}")
        else:
            rungs.append(rung)
    if any(r.paid for r in rungs):
        notes += _asked_for(settings)
    if not rungs:
        raise BlockedError("no rung of the ladder can be used: " + "; ".join(notes))
    return tuple(rungs), tuple(dict.fromkeys(notes))


def _asked_for(settings: Settings) -> list[str]:
    """What settings open to executors, and whose settings they are: a person should see it before a stranger's repository does it."""
    executor = settings.executor
    asked = {
        "executor.sandbox": executor.sandbox == "danger-full-access",
        "executor.inherit_user_config": executor.inherit_user_config,
        "executor.env": bool(executor.env),
    }
    said = [
        f"{key} = {getattr(executor, key.partition('.')[2])} ({settings.origins.get(key, '?')})"
        for key, is_so in asked.items()
        if is_so
    ]
    repriced = [m.name for m in settings.models if pricing.BUILT_IN.resolve(m.name) and m.input is not None]
    said += [f"the price of {name} is the settings' own" for name in repriced]
    return [f"asked for by settings: {line}" for line in said]


def no_key(adapter: str, *, gateway: bool = True) -> str:
    """What to do where there is neither key nor login."""
    name, command = {"codex": ("OPENAI_API_KEY", "codex login"), "claude": ("ANTHROPIC_API_KEY", "claude /login")}[
        adapter
    ]
    key = f"set {name} in the environment" if gateway else f"executor.gateway is false, so {name} is not used"
    return f"no credentials ({key}, or log in with `{command}`)"


def gateway(settings: Settings, *, replaying: bool, look: bool = False) -> Gateway | None:
    """The gateway, where a rung of the ladder may need it: the one that has our keys, or one without any for `--replay`.

    With `look`, whatever the ladder: somebody wants to know for which providers there are keys.
    """
    wants = look or any(adapter in pricing.list_adapters() for adapter, _ in settings.rungs)
    if not (wants and settings.executor.gateway):
        return None
    return Gateway.adopt() or (Gateway.start() if replaying else None)


def gateway_for(found: Gateway | None, adapter: str) -> bool:
    """Whether calls of this adapter go through the gateway."""
    return found is not None and adapter in found.providers


def limits(settings: Settings) -> Limits:
    """The money limits in force."""
    budget = settings.budget
    return Limits(*(Decimal(repr(amount)) for amount in (budget.usd, budget.task_usd, budget.day_usd)))


def day_file(state: Path) -> Path:
    """Where all runs below a state folder keep what each day has cost."""
    return state / _DAY_FILE


def purse(settings: Settings, state: Path, spent: Spent = MappingProxyType({})) -> Purse:
    """The money ledger of a run below a state folder; `spent` counts already."""
    return Purse(limits(settings), state / _DAY_FILE, spent=spent)


def engage(
    settings: Settings, state: Path, means: Means, spent: Spent = MappingProxyType({})
) -> tuple[tuple[Rung, ...], Till, tuple[str, ...]]:
    """The ladder of a run, its till, and notes. The gateway listens if a rung needs it. `spent` counts against the limits already.

    Raises:
        BlockedError: no rung can be used. UsageError: `--record` or `--replay` without a gateway.
    """
    wants = any(adapter in pricing.list_adapters() for adapter, _ in settings.rungs)
    if (means.record or means.replay) and not (wants and settings.executor.gateway):
        raise UsageError(
            "--record and --replay need a paid rung behind the gateway", remedy="e.g. --executor codex:mini"
        )
    found = gateway(settings, replaying=means.replay is not None)
    if found is not None and means.replay:
        serve(found, settings, state, means)  # a cassette answers for every provider, with no key at all
    rungs, notes = ladder(settings, found, replaying=means.replay is not None)
    counting = None
    if found is not None and any(r.paid and gateway_for(found, r.executor.name) for r in rungs):
        counting = found if means.replay else serve(found, settings, state, means, spent)
    return (
        rungs,
        Till(purse(settings, state, spent), settings.registry(), counting, means.ask, free=means.replay is not None),
        notes,
    )


def serve(
    found: Gateway, settings: Settings, state: Path, means: Means, spent: Spent = MappingProxyType({})
) -> Gateway:
    """The gateway, listening within the limits in force; one that is shared with us listens already, within its own.

    Raises:
        BlockedError: it cannot.
    """
    if not found.serves:
        found.serve(
            limits(settings),
            day_file=state / _DAY_FILE,
            models=settings.models,
            record=means.record,
            replay=means.replay,
            hosted_ok=settings.executor.web_search,
            spent=spent,
        )
    return found


def conduct(settings: Settings, adapter: str, read: Read) -> Conduct:
    """How a CLI is to behave; `read` gives the files of the base."""
    executor = settings.executor
    return Conduct(
        executor.sandbox,
        executor.web_search,
        executor.reasoning_effort,
        executor.env,
        executor.inherit_user_config,
        confined=executor.sandbox != "danger-full-access",
        native=decode(read(f".zwarm/{adapter}.toml") or b""),
        instructions=next((decode(text) for name in _INSTRUCTIONS[adapter] if (text := read(name))), ""),
    )


def conducts(settings: Settings, rungs: tuple[Rung, ...], read: Read) -> dict[str, Conduct]:
    """How each CLI of the ladder is to behave, by its adapter's name.

    Raises:
        ConfigError: one cannot be told so, or must not.
    """
    executors = {rung.executor.name: rung.executor for rung in rungs if rung.paid}
    found = {name: conduct(settings, name, read) for name in executors}
    for name, executor in executors.items():
        executor.check(found[name])
    return found
