"""What a process that was killed in the middle of calls left: sessions it had no time to write down, and callers who got no answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel

from zwarm_ci.orchestrator import toolspec
from zwarm_ci.orchestrator.desk import Answer, Desk
from zwarm_ci.orchestrator.state import Call, Delegated
from zwarm_ci.orchestrator.work import Sessions, title_of
from zwarm_ci.sessions import Meta


class Lost:
    """The last calls of the process that served the run before.

    A host whose server died asks the same again. A call that began a session or a turn, and was answered to nobody, is answered
    from what came of it: nothing begins twice. The last call that was answered may not have reached the host either.
    """

    def __init__(self, desk: Desk, sessions: Sessions) -> None:
        self._desk, self._sessions = desk, sessions
        calls = desk.state.calls
        self._open = [c for c in calls if c.success is None]
        self._last = [c for c in calls[-1:] if c.success]

    def adopt(self) -> None:
        """Take over sessions of this run that nobody wrote down."""
        known = {s.id for s in self._desk.state.sessions}
        begun = {s.step for s in self._desk.state.sessions}
        calls = [c for c in self._open if c.tool == "delegate" and c.step not in begun]
        for meta in reversed(self._desk.run.store.all()[0]):
            if meta.run == self._desk.state.run and meta.id not in known:
                call = next((c for c in calls if title_of(str(c.args.get("task", ""))) == meta.title), None)
                self._take(meta, call)
                calls = [c for c in calls if c is not call]

    def _take(self, meta: Meta, call: Call | None) -> None:
        args = call.args if call else {}
        expects = args.get("expects")
        session = Delegated(
            meta.id, len(self._desk.state.sessions) + 1, str(args.get("task", meta.title)), meta.title, meta.executor, meta.model,
            meta.base, None if expects is None else tuple(map(str, expects)), meta.parent, sets=self._sessions.sets_of(meta),
        )  # fmt: skip
        if call is not None:
            work: Path = self._desk.run.book.folder / self._sessions.work_name(call.step)
            session = replace(session, step=call.step, work=str(work) if work.exists() else "")
        self._desk.run.book.change(lambda s: s.with_session(session))

    def repeated(self, call: Call, given: BaseModel) -> Answer | None:
        """The answer to a call that was made before; None = it is a new one."""
        if call.tool not in {"delegate", "converse"}:
            return None
        before = next((c for c in (*self._open, *self._last) if (c.tool, c.given) == (call.tool, call.given)), None)
        self._open = [c for c in self._open if c is not before]
        self._last = []
        if before is None:
            return None
        if isinstance(given, toolspec.Delegate):
            begun = next((s for s in self._desk.state.sessions if s.step == before.step), None)
            return self._sessions.again(begun) if begun else None
        if isinstance(given, toolspec.Converse) and before.success is None:
            session = self._desk.state.find(given.session_id)
            counted = session.totals[-1].turn if session.totals else 0
            if self._desk.run.store.load(session.id).turn > counted:
                return {**self._sessions.told(session, given.message), "repeated": True}
        return None
