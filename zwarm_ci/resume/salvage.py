"""What a run that was cut off had done, with what was paid for and not yet written down: looked for where it was done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from zwarm_ci import pricing, staffing
from zwarm_ci.attempt import keep_work
from zwarm_ci.bystanders import Seen
from zwarm_ci.bystanders.watch import GUARD
from zwarm_ci.codec import to_data
from zwarm_ci.config import Settings
from zwarm_ci.errors import UsageError
from zwarm_ci.executors.base import Report
from zwarm_ci.executors.recall import recall
from zwarm_ci.past import Left, Past, Turn, recalled
from zwarm_ci.private import Worktree
from zwarm_ci.resume.cut import Cut
from zwarm_ci.site import Site
from zwarm_ci.task import Usage
from zwarm_ci.verdict import GuardFinding

_UNSEEN = GuardFinding(
    GUARD, "review", "", None,
    "the run was killed before it had looked at what the session did outside of its worktree", "look at it yourself",
)  # fmt: skip


def past_of(cut: Cut, site: Site, settings: Settings, base: str, old: Path | None) -> Past:
    """What the run had done; `old`: the scratch folder that it left, None = it is gone.

    Raises:
        UsageError: what was written down cannot be understood, or a session is gone.
    """
    try:
        past = recalled(cut.records, cut.read)
    except (ValueError, KeyError) as error:
        raise UsageError(
            f"run {cut.run} cannot go on: another version began it ({error})", remedy="start a new run"
        ) from error
    for session in past.sessions:
        site.store.load(session)
    if old is None:
        return past
    yard = _Yard(site, settings, base, old)
    turns = {
        task: tuple(yard.made_good(task, known, n) for n in range(len(known))) for task, known in past.turns.items()
    }
    return replace(past, turns=turns)


@dataclass(frozen=True, slots=True)
class _Yard:
    """Where a killed run worked."""

    site: Site
    settings: Settings
    base: str
    old: Path

    def made_good(self, task: str, known: Sequence[Turn], number: int) -> Turn:
        """A turn, with its end and its work, where both are there and were not written down."""
        turn = known[number]
        folder = self.old / turn.session / (self.site.user.top.name or "repository")
        if turn.finished or number != len(known) - 1 or not folder.is_dir():
            return turn
        if turn.report is None:
            turn = self._ended(task, known, turn)
        if turn.report is None or turn.report.state == "interrupted":
            return turn
        left = Left(Worktree(self.site.private, folder).tree(), (), Seen((_UNSEEN,)))
        keep_work(self.site.journal, self.site.private, self.base, task, turn.session, turn.number, left)
        return replace(turn, left=left)

    def _ended(self, task: str, known: Sequence[Turn], turn: Turn) -> Turn:
        """A turn with its report, where its own events say that it was done."""
        meta = self.site.store.load(turn.session)
        earlier = [t.report for t in known[:-1] if t.session == turn.session and t.report and t.report.native]
        native, total = (earlier[-1].native, earlier[-1].total) if earlier else ("", Usage())
        file = self.site.store.turn_file(meta, turn.number)
        lines = file.read_bytes().split(b"\n") if file.is_file() else []
        report = recall(meta.executor, lines, meta.model, native, total)
        if report is None:
            return turn
        report = self._priced(task, report, metered=turn.metered)
        self.site.journal.write(
            "turn_ended", task=task, session=turn.session, turn=turn.number, state=report.state, cost_usd=report.cost_usd,
            document=to_data(report),
        )  # fmt: skip
        return replace(turn, report=report)

    def _priced(self, task: str, report: Report, *, metered: bool) -> Report:
        """The report with its cost, which is booked for the day where no gateway has done it call by call."""
        registry = self.settings.registry()
        costs = [pricing.cost(model, used, registry, summed=True) for model, used in report.models if used.total]
        known = sum((c for c in costs if c is not None), Decimal(0))
        if not metered:
            staffing.purse(self.settings, self.site.folder.parent.parent).book(task, known)
        return replace(report, cost_usd=None if None in costs else float(known))
