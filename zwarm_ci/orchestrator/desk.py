"""What all groups of tools share: the run, its court, its money, and how a session stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zwarm_ci.errors import UsageError
from zwarm_ci.gateway.client import Gateway
from zwarm_ci.orchestrator.bench import Bench
from zwarm_ci.orchestrator.instance import Instance
from zwarm_ci.orchestrator.state import Delegated, State, Totals
from zwarm_ci.scrub import one_line, plain, redact
from zwarm_ci.sessions import Meta, place
from zwarm_ci.task import Failure
from zwarm_ci.verdict import CheckResult, GuardFinding

Answer = dict[str, Any]
_SHORT = 8  # characters of an id that a model can keep in mind
_ERRORS, _DETAIL, _IDS = 5, 2000, 50


@dataclass(slots=True)
class Desk:
    """One run and what serves it.

    Attributes:
        ask: puts the question before the first paid call.
        gateway: holds the keys; None = the CLIs' own logins, or nothing paid.
        parallel: sessions at once at most.
        ceiling: seconds after which a call comes back by itself.
        person: asks the user something and gives the answer; None = nobody is there.
    """

    run: Instance
    bench: Bench
    ask: Callable[[str], bool]
    gateway: Gateway | None
    parallel: int
    ceiling: float
    person: Callable[[str], str] | None = None

    @property
    def state(self) -> State:
        """What is known of the run."""
        return self.run.state

    def meta(self, session: Delegated) -> Meta:
        """A session as it stands; what a turn used is written down when it is first seen to have ended."""
        meta = self.run.store.load(session.id)
        if meta.live or not meta.turn or any(t.turn == meta.turn for t in self.state.session(session.id).totals):
            return meta
        totals = Totals(
            meta.turn, meta.state, meta.reason, meta.usage, float(meta.cost_usd), meta.unpriced_tokens, meta.denials,
            self._seconds(meta),
        )  # fmt: skip
        self.run.book.session(session.id, totals=(*self.state.session(session.id).totals, totals))
        return meta

    def _seconds(self, meta: Meta) -> float:
        """How long the last turn took."""
        events = self.run.store.events(meta.id)[0]
        at = {str(e["state"]): float(e["at"]) for e in events if e.get("turn") == meta.turn and "state" in e}
        ended = at.get(meta.state, 0.0)
        return round(max(0.0, ended - at.get("running", ended)), 3)

    def metas(self) -> list[tuple[Delegated, Meta]]:
        """Every session of the run that still has a record, in the order in which they began."""
        known = set(self.run.store.ids())
        return [(s, self.meta(s)) for s in self.state.sessions if s.id in known]

    def live(self) -> list[Meta]:
        """Sessions whose turn is under way."""
        return [m for _, m in self.metas() if m.live]

    def tree(self, session: Delegated, meta: Meta) -> str:
        """The tree that a session has made so far, in the run's repository.

        Raises:
            UsageError: its patch does not fit its base any more, so somebody changed it from outside.
        """
        if session.accepted:
            return session.accepted
        private = self.run.private
        patch = place.patch(self.run.store, meta, self.run.user)
        base = private.tree_of(session.base)
        made = private.apply(base, patch) if patch else base
        if made is None:
            raise UsageError(
                f"what session {session.id[:_SHORT]} changed does not apply to its base", remedy="delegate it again"
            )
        return made

    def red(self) -> tuple[str, ...]:
        """Ids that are red on the base by fault of the code, as far as that is known by now."""
        court = self.bench.ready()
        return tuple(f.id for c in court.checks for f in court.baseline.failures(c.name)) if court else ()

    def halt(self, reason: str, *, resumable: bool) -> None:
        """From now on no tool works, until somebody goes on with the run."""
        said = shown(reason, 1000)
        self.run.book.change(lambda s: replace(s, halted=said, resumable=resumable))
        self.run.site.journal.write("halted", reason=said, resumable=resumable)

    def money(self) -> tuple[float, int, int]:
        """Dollars, tokens and tokens without a price of all sessions, those under way as far as the gateway has counted."""
        usd, tokens, unpriced = 0.0, 0, 0
        metas = {session.id: meta for session, meta in self.metas()}
        for session in self.state.sessions:
            if meta := metas.get(session.id):
                cost, used, unknown = float(meta.cost_usd), meta.usage.total, meta.unpriced_tokens
                if meta.live and self.gateway is not None and meta.executor in self.gateway.providers:
                    counted = self.gateway.usage(session.id)
                    cost, used = float(counted.cost_usd), counted.total.total
            elif session.totals:  # its record was deleted
                last = session.totals[-1]
                cost, used, unknown = last.cost_usd, last.usage.total, last.unpriced_tokens
            else:
                continue
            usd, tokens, unpriced = usd + cost, tokens + used, unpriced + unknown
        return round(usd, 6), tokens, unpriced


def attention(session: Delegated, meta: Meta) -> bool:
    """Whether its last turn has ended and nobody has looked at that."""
    return not (meta.live or meta.acked or meta.verdict or session.accepted)


def shown(text: str, limit: int = 0) -> str:
    """Text of whatever origin without secrets and control characters; with a limit, one line of it."""
    clean = plain(redact(text))
    return one_line(clean, limit) if limit else clean


def word(session: Delegated, meta: Meta) -> str:
    """How a session stands, in a few characters."""
    return f"[{session.id[:_SHORT]}] {session.executor} ({meta.verdict or meta.state})"


def errors_of(failures: Sequence[Failure]) -> list[Answer]:
    """The first errors, word for word."""
    return [
        {"check": f.check, "id": shown(f.id), "message": shown(f.message, 400), "detail": shown(f.detail)[:_DETAIL]}
        for f in failures[:_ERRORS]
    ]


def check_row(result: CheckResult) -> Answer:
    """A check in an answer: how many passed, what failed."""
    failed = [shown(i) for i in result.failed]
    row: Answer = {
        "name": result.name, "command": shown(result.command), "green": result.green, "passed": len(result.passed),
        "failed": failed[:_IDS],
    }  # fmt: skip
    if len(failed) > _IDS:
        row["more_failed"] = len(failed) - _IDS
    if result.trouble:
        row["trouble"] = shown(result.trouble, 400)
    return row


def finding_row(finding: GuardFinding) -> Answer:
    """A guard's finding in an answer."""
    where = f"{finding.path}:{finding.line}" if finding.line else finding.path
    return {"guard": finding.guard, "level": finding.level, "where": shown(where), "detail": shown(finding.detail, 400)}
