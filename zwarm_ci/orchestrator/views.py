"""Tools that change nothing in the run: a look at a tree, the state in one piece, a word to the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zwarm_ci.orchestrator import toolspec
from zwarm_ci.orchestrator.desk import Answer, Desk, attention, shown
from zwarm_ci.orchestrator.look import Window
from zwarm_ci.orchestrator.state import Delegated
from zwarm_ci.sessions import Meta

_SAID = 20_000  # characters of a message to the user
_RED = 50  # ids in one answer


class Views:
    """The tools."""

    def __init__(self, desk: Desk, max_steps: int) -> None:
        self._desk, self._max_steps = desk, max_steps
        self._window = Window(desk.run.private, desk.state.base, desk.run.site.scratch)

    def bash(self, args: toolspec.Bash) -> Answer:
        """Look at a session's tree, or at the base with everything accepted.

        Raises:
            BlockedError: this machine has no means to let it look and do nothing else.
        """
        desk = self._desk
        if args.session_id is not None:
            session = desk.state.find(args.session_id)
            tree = desk.tree(session, desk.meta(session))
        else:
            court = desk.bench.ready()
            union = desk.bench.union(court).tree if court and desk.state.accepted else ""
            tree = union or desk.run.private.tree_of(desk.state.base)
        seen = self._window.run(args.command, tree)
        return {
            "exit_code": seen.exit_code, "stdout": seen.stdout, "stderr": seen.stderr, "cut": seen.cut,
            "timed_out": seen.exit_code is None,
        }  # fmt: skip

    def chat(self, args: toolspec.Chat) -> Answer:
        """Say something to the user. Where nobody is there to answer, the run waits."""
        said = shown(args.message)[:_SAID]
        if self._desk.person is not None and args.wait_for_user_input:
            return {"answer": self._desk.person(said)}
        if not args.wait_for_user_input:
            return {"answer": None, "hint": "nobody is there to read it now; it stands in the journal"}
        self._desk.run.book.change(lambda s: replace(s, question=said))
        self._desk.halt(f"the orchestrator asks: {shown(said, 400)}", resumable=True)
        hint = "nobody is there to answer; the run waits with your question in its report. End your turn"
        return {"answer": None, "blocked": True, "hint": hint}

    def status(self, missing: Sequence[str]) -> Answer:
        """Everything that matters, for whoever has lost the thread."""
        desk = self._desk
        state, court, red = desk.state, desk.bench.ready(), desk.red()
        usd, tokens, unpriced = desk.money()
        return {
            "run": state.run, "task": shown(state.asked.words), "base": state.base, "steps": state.steps,
            "max_steps": self._max_steps or None, "checks": [c.name for c in court.checks] if court else "still being looked at",
            "red_on_the_base": [shown(i) for i in red[:_RED]], "red_count": len(red),
            "sessions": [_row(s, m) for s, m in desk.metas()], "accepted": list(state.accepted),
            "spent": {"usd": usd, "tokens": tokens, "unpriced_tokens": unpriced, "limit_usd": desk.run.settings.budget.usd},
            "missing_for_exit": list(missing), "ended": state.exited, "stopped": state.halted, "question": state.question,
        }  # fmt: skip


def _row(session: Delegated, meta: Meta) -> Answer:
    return {
        "session_id": session.id, "task": shown(session.title, 100), "expects": None if session.expects is None else list(session.expects),
        "status": meta.state, "turn": meta.turn, "verification": session.last.status if session.last else None,
        "accepted": bool(session.accepted), "verdict": meta.verdict, "needs_attention": attention(session, meta),
    }  # fmt: skip
