"""Tools that judge: verify, accept, exit. What they say is the judge's word on an exact tree; a model's word is in none of them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from zwarm_ci.errors import RefusedError, UsageError
from zwarm_ci.orchestrator import toolspec
from zwarm_ci.orchestrator.bench import Expects, United, red
from zwarm_ci.orchestrator.desk import Answer, Desk, check_row, errors_of, finding_row, shown
from zwarm_ci.orchestrator.state import Delegated, Hearing
from zwarm_ci.orchestrator.work import is_below
from zwarm_ci.sessions import Meta, ending
from zwarm_ci.verdict import CheckResult
from zwarm_ci.verify.judge import Court

_SHOWN = 30  # ids, findings or sessions in one answer
_AGAIN = "call it again; it goes on meanwhile"


class Verdicts:
    """The tools."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._taking = threading.Lock()

    def verify(self, args: toolspec.Verify) -> Answer:
        """Judge a session's patch, or run the checks on everything that was accepted.

        Raises:
            UsageError, BlockedError, LimitError: it cannot be judged.
        """
        desk = self._desk
        court = desk.bench.court(desk.ceiling)
        if court is None:
            return {"pending": ["the checks on the base"], "hint": _AGAIN}
        if args.session_id is None:
            if args.expects is not None:
                raise UsageError("`expects` goes with a session", remedy="name it: session_id")
            return self._verify_union(court, args.checks)
        if args.checks is not None:
            raise UsageError("`checks` goes without a session", remedy="say `expects`")
        session = desk.state.find(args.session_id)
        return self._verify_session(court, session, session.expects if args.expects is None else tuple(args.expects))

    def _verify_session(self, court: Court, session: Delegated, expects: Expects) -> Answer:
        desk = self._desk
        meta = desk.meta(session)
        if meta.live:
            raise UsageError(f"session {session.id} is {meta.state}", remedy="wait() for the end of its turn")
        tree = desk.tree(session, meta)
        if tree == desk.run.private.tree_of(session.base):
            return self._nothing(session, meta, tree, expects)
        found = next((h for h in reversed(session.hearings) if (h.tree, h.expects) == (tree, expects)), None)
        if found is None:
            key = ("verify", session.id, tree, expects)
            found = desk.bench.job(key, lambda: desk.bench.hear(court, session, meta.turn, tree, expects), desk.ceiling)
        elif found is not session.last:  # it was judged before something else was: that word counts again
            others = tuple(h for h in session.hearings if h is not found)
            desk.run.book.session(session.id, hearings=(*others, found))
        if found is None:
            return {"session_id": session.id, "pending": [f"the verification of {session.id}"], "hint": _AGAIN}
        return self._said(session, found)

    def _nothing(self, session: Delegated, meta: Meta, tree: str, expects: Expects) -> Answer:
        last = session.last
        if last is None or last.turn != meta.turn or last.tree != tree:
            heard = Hearing(meta.turn, tree, expects, "no_changes", "the session changed nothing", 0.0, ("", ""))
            self._desk.run.book.session(session.id, hearings=(*session.hearings, heard))
        return {
            "session_id": session.id, "accepted_by_judge": False, "status": "no_changes", "reason": "the session changed nothing",
            "session_said": shown(meta.reason, 400), "hint": "converse with it, or end_session and delegate anew",
        }  # fmt: skip

    def _said(self, session: Delegated, hearing: Hearing) -> Answer:
        judged = self._desk.bench.heard(hearing)
        good = hearing.status == "fixed"
        rows = [
            {
                "check": j.task.check, "targets": [shown(t) for t in j.task.targets[:_SHOWN]], "status": j.verdict.status,
                "reason": shown(j.verdict.reason, 600), "findings": [finding_row(f) for f in j.verdict.findings[:_SHOWN]],
            }
            for j in judged
        ]  # fmt: skip
        answer: Answer = {
            "session_id": session.id, "accepted_by_judge": good, "status": hearing.status, "reason": shown(hearing.reason, 600),
            "tasks": rows, "hint": "accept it" if good else "converse: paste reason and errors; or end_session as failed and delegate anew",
        }  # fmt: skip
        if not good:
            answer["errors"] = errors_of(judged[-1].failures)
            left = _still_green(judged[-1].verdict.checks, judged[-1].task.targets)
            if left:
                answer["green_already"] = left[:_SHOWN]
                answer["hint"] += (
                    "; where the rest is another session's work, verify with `expects` naming this one's part"
                )
        return answer

    def _verify_union(self, court: Court, names: Sequence[str] | None) -> Answer:
        if unknown := sorted(set(names or ()) - {c.name for c in court.checks}):
            raise UsageError(
                f"no check is called {shown(unknown[0], 40)!r}",
                remedy=f"known: {', '.join(c.name for c in court.checks)}",
            )
        united = self._unite(court)
        if united is None:
            return {"pending": ["all checks on everything accepted"], "hint": _AGAIN}
        shown_checks = [r for r in united.checks if names is None or r.name in names]
        bad = [(c, i) for c, i in red(court, united.checks) if names is None or c in names]
        return {
            "green": not bad and not united.why, "reason": shown(united.why, 600), "checks": [check_row(r) for r in shown_checks],
            "red": [f"{c}: {shown(i)}" for c, i in bad[:_SHOWN]], "accepted": list(self._desk.state.accepted),
            "errors": errors_of([f for r in shown_checks for f in r.failures if (f.check, f.id) in set(bad)]),
        }  # fmt: skip

    def _unite(self, court: Court) -> United | None:
        desk = self._desk
        return desk.bench.job(("unite", desk.state.accepted), lambda: desk.bench.unite(court), desk.ceiling)

    def accept(self, args: toolspec.OfSession) -> Answer:
        """Take a patch for delivery.

        Raises:
            RefusedError: it was not verified as it is now, or does not go together with what was accepted.
        """
        desk = self._desk
        session = desk.state.find(args.session_id)
        if session.accepted:
            return {"session_id": session.id, "accepted": list(desk.state.accepted), "hint": "it was accepted before"}
        meta = desk.meta(session)
        if meta.live:
            raise UsageError(f"session {session.id} is {meta.state}", remedy="wait() for the end of its turn")
        if meta.verdict:
            raise UsageError(f"session {session.id} was closed as {meta.verdict}", remedy="delegate a new one")
        tree, last = desk.tree(session, meta), session.last
        if last is None or last.tree != tree:
            why = "was never verified" if last is None else "was changed after it was verified"
            raise RefusedError(f"session {session.id} {why}", remedy="verify it, then accept")
        if last.status != "fixed":
            raise RefusedError(
                f"session {session.id} was refused: {last.status}: {shown(last.reason, 300)}",
                remedy="converse, verify again",
            )
        self._in_place(session, tree)
        with self._taking:
            return self._take(session, tree)

    def _take(self, session: Delegated, tree: str) -> Answer:
        desk = self._desk
        court = desk.bench.court(desk.ceiling)
        if court is None:  # a process that goes on has to look at it again
            return {"session_id": session.id, "pending": ["the checks on the base"], "hint": _AGAIN}
        before = desk.state.accepted
        merged = desk.bench.add(desk.bench.union(court), session)
        if clash := next((s.outcome for s in merged if s.outcome.status == "conflict"), None):
            desk.bench.forget()
            raise RefusedError(
                f"session {session.id}: {shown(clash.reason, 300)}",
                remedy="end it and delegate its task anew with on='accepted'",
            )
        desk.run.book.change(
            lambda s: replace(s, accepted=(*s.accepted, session.id)).with_session(
                replace(s.session(session.id), accepted=tree)
            )
        )
        desk.bench.keep_union((*before, session.id))
        ending.end(desk.run.store, session.id, desk.run.user, "passed", "accepted")
        desk.run.site.journal.write("accepted", session=session.id, tree=tree)
        became = [{"check": s.outcome.task.check, "status": s.outcome.status} for s in merged]
        return {
            "session_id": session.id,
            "accepted": list(desk.state.accepted),
            "became": became,
            "hint": "the session is closed; " + self._next(),
        }

    def _in_place(self, session: Delegated, tree: str) -> None:
        allowed = self._desk.run.settings.orchestrator.allowed_dirs
        changed = [c.path for c in self._desk.run.private.changes(session.base, tree)]
        if allowed and (out := [p for p in changed if not is_below(p, allowed)]):
            raise RefusedError(
                f"session {session.id} changed {shown(out[0], 80)}, which no delegated work may",
                remedy=f"allowed: {', '.join(allowed)}",
            )

    def _next(self) -> str:
        lacking = self.missing()
        return lacking[0] if lacking else "exit, which runs every check on all accepted patches together"

    def missing(self) -> list[str]:
        """What `exit` lacks as far as sessions go, in the order in which to see to it; nothing is run for it."""
        found = []
        for session, meta in self._desk.metas():
            name = f"session {session.id}"
            if meta.live:
                found.append(f"{name} is {meta.state}: wait, or end_session")
            elif meta.verdict or session.accepted:
                continue
            elif session.last is None:
                found.append(f"{name} was not verified: verify, or end_session")
            elif session.last.status == "fixed":
                found.append(f"{name} was verified and not taken: accept, or end_session")
            else:
                found.append(f"{name} was refused ({session.last.status}): converse, or end_session")
        return found

    def exit(self, args: toolspec.Exit) -> Answer:
        """The end, if there is nothing missing.

        Raises:
            RefusedError: something is.
        """
        desk = self._desk
        if lacking := self.missing():
            raise RefusedError(f"not yet: {lacking[0]}", remedy="; ".join(lacking[1 : _SHOWN + 1]) or "then exit again")
        court = desk.bench.court(desk.ceiling)
        united = None if court is None else self._unite(court)
        if court is None or united is None:
            return {"pending": ["all checks on everything accepted"], "ended": False, "hint": _AGAIN}
        if bad := red(court, united.checks):
            ids = ", ".join(f"{c}: {shown(i)}" for c, i in bad[:_SHOWN])
            raise RefusedError(f"not yet: {len(bad)} red: {ids}", remedy="delegate their repair, verify, accept")
        if united.why:
            raise RefusedError(
                f"not yet: {shown(united.why, 600)}",
                remedy="take one back with end_session as failed, and delegate it anew",
            )
        desk.run.book.change(lambda s: replace(s, exited=True, summary=shown(args.summary)[:20_000]))
        desk.run.site.journal.write("exit", accepted=list(desk.state.accepted))
        return {
            "ended": True, "summary": shown(args.summary, 200), "checks": [check_row(r) for r in united.checks],
            "accepted": list(desk.state.accepted),
        }  # fmt: skip


def _still_green(checks: Sequence[CheckResult], targets: Sequence[str]) -> list[str]:
    """Targets that are green although others are not."""
    return [shown(t) for t in targets if checks[-1].state(t) == "passed"] if checks else []
