"""Tools on sessions: start, continue, look, await, close. Each session is a process of its own in a worktree of its own."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from zwarm_ci.errors import BlockedError, LimitError, UsageError
from zwarm_ci.executors import EXECUTORS
from zwarm_ci.executors.steps import last_step, step_text, steps_of
from zwarm_ci.orchestrator import toolspec
from zwarm_ci.orchestrator.bench import tasks_of
from zwarm_ci.orchestrator.desk import Answer, Desk, attention, shown, word
from zwarm_ci.orchestrator.state import Call, Delegated
from zwarm_ci.scrub import one_line
from zwarm_ci.sessions import Meta, ending, place, watch
from zwarm_ci.supervise import Begin, Work, begin

_LATEST = 300  # characters of a last message in a list
_RUNG = re.compile(r"[A-Za-z0-9][\w.:/@+-]{0,120}")
_WHO = ("executor.ladder", "executor.adapter", "executor.model")
_RULES = (
    "Constraints: no weaker tests, settings or CI files; no new dependency unless the task says so; the smallest change that does it. "
    "Do not commit; leave the edit in the files. Somebody else verifies it in a clean checkout with the original tests; nothing that "
    "passes now may fail."
)


class Sessions:
    """The tools."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._starting = threading.Lock()

    def delegate(self, args: toolspec.Delegate, call: Call) -> Answer:
        """Start a session.

        Raises:
            UsageError, BlockedError, LimitError: it cannot begin.
        """
        desk = self._desk
        run, state = desk.run, desk.state
        self._allowed(args.working_dir)
        replaced = state.find(args.replaces).id if args.replaces else ""
        rung = self._rung(args)
        expects = None if args.expects is None else tuple(args.expects)
        with self._starting:  # so that two calls at once do not both take the last place
            self._room()
            base = self._base(args.on)
            number, title = len(state.sessions) + 1, title_of(args.task)
            session = Delegated(
                "",
                number,
                args.task,
                title,
                *_split(rung),
                base,
                expects,
                replaced,
                sets=self._sets(rung),
                step=call.step,
            )
            session = replace(session, work=self._work(session) if _deterministic(rung) else "")
            order = Begin(
                str(run.request.directory.resolve()), str(run.store.root.parent), _message(args, expects), title, base=base,
                config_file=state.asked.config_file, sets=session.sets, parent=replaced, run=state.run, lender=str(run.private.path),
                work=session.work,
            )  # fmt: skip
            session_id = begin(order, desk.ask, self._channel())
            meta = run.store.load(session_id)
            session = replace(session, id=session_id, executor=meta.executor, model=meta.model)
            run.book.change(lambda s: s.with_session(session))
        run.site.journal.write("session_started", session=session_id, task=f"task-{number}", executor=meta.executor)
        return self._begun(session, meta, title)

    def again(self, session: Delegated) -> Answer:
        """The answer of a `delegate` that was answered to nobody."""
        meta = self._desk.meta(session)
        return {**self._begun(session, meta, session.title), "repeated": True}

    def _begun(self, session: Delegated, meta: Meta, title: str) -> Answer:
        return {
            "session": word(session, meta), "session_id": session.id, "status": meta.state, "task": shown(title, 100),
            "adapter": meta.executor, "model": meta.model, "hint": "wait(), then check_session and verify",
        }  # fmt: skip

    def _allowed(self, folder: str | None) -> None:
        allowed = self._desk.run.settings.orchestrator.allowed_dirs
        if folder is None:
            if allowed:
                raise UsageError("say where: working_dir", remedy=f"one of {', '.join(allowed)}, or below")
            return
        path = PurePosixPath(folder)
        inside = not path.is_absolute() and ".." not in path.parts
        found = inside and (
            str(path) == "."
            or self._desk.run.private.git.ask("cat-file", "-t", f"{self._desk.state.base}:{path}") == "tree"
        )
        if not found:
            raise UsageError(f"{one_line(folder, 80)!r} is no folder of the repository", remedy="relative to its top")
        if allowed and not is_below(str(path), allowed):
            raise UsageError(f"{one_line(folder, 80)!r} may not be worked in", remedy=f"allowed: {', '.join(allowed)}")

    def _rung(self, args: toolspec.Delegate) -> str:
        """Who is to work, as a ladder names it."""
        settings = self._desk.run.settings
        if args.model and not args.adapter:
            found = settings.registry().resolve(args.model)
            if found is None:
                raise UsageError(
                    f"no model is called {one_line(args.model, 60)!r}",
                    remedy="name an adapter, or see `zwarm-ci models`",
                )
            return f"{found.adapter}:{args.model}"
        if args.adapter:
            if args.adapter not in EXECUTORS:
                raise UsageError(
                    f"no adapter is called {one_line(args.adapter, 40)!r}", remedy=f"known: {', '.join(EXECUTORS)}"
                )
            rung = f"{args.adapter}:{args.model}" if args.model else args.adapter
        else:
            adapter, model = next((r for r in settings.rungs if not _deterministic(r[0])), settings.rungs[0])
            rung = f"{adapter}:{model}".rstrip(":")
        if not _RUNG.fullmatch(rung):
            raise UsageError(f"{one_line(rung, 60)!r} names no executor")
        return rung

    def _room(self) -> None:
        """Whether one more may begin.

        Raises:
            LimitError: as many run as may, or the money is spent.
        """
        desk = self._desk
        live = len(desk.live())
        if live >= desk.parallel:
            raise LimitError(f"{live} sessions run, and {desk.parallel} may", remedy="wait() until one has ended")
        self.require_money()

    def require_money(self) -> None:
        """See to it that something is left to spend.

        Raises:
            LimitError: nothing is.
        """
        limit = self._desk.run.settings.budget.usd
        usd, _, unpriced = self._desk.money()
        if usd and usd >= limit:
            raise LimitError(f"${usd:.2f} of ${limit:g} are spent", remedy="raise budget.usd")
        if unpriced and limit:
            raise LimitError(
                f"{unpriced} tokens were used whose price nobody knows", remedy='give it in [models."NAME"]'
            )

    def sets_of(self, meta: Meta) -> tuple[str, ...]:
        """Settings of a session of which just the record is known."""
        return self._sets(f"{meta.executor}:{meta.model}".rstrip(":"))

    def _sets(self, rung: str) -> tuple[str, ...]:
        """Settings of a new session: the run's, who works, and what is left of the money."""
        budget = self._desk.run.settings.budget
        left = max(0.0, round(budget.usd - self._desk.money()[0], 6))
        mine = [s for s in self._desk.state.asked.sets if not s.startswith(_WHO)]
        return (*mine, f"executor.ladder={json.dumps([rung])}", f"budget.usd={left}")

    def _base(self, on: str) -> str:
        desk = self._desk
        if on == "base" or not desk.state.accepted:
            return desk.state.base
        court = desk.bench.court(desk.ceiling)
        if court is None:
            raise BlockedError("the base is still being looked at", remedy="call again")
        tree = desk.bench.union(court).tree
        return desk.run.private.commit(tree, [desk.state.base], "Accepted so far\n", date="@0 +0000")

    def _work(self, session: Delegated) -> str:
        """The file of a task with red checks, for an executor that reads no words."""
        court = self._desk.bench.court(self._desk.ceiling)
        if court is None:
            raise BlockedError("the base is still being looked at", remedy="call again")
        (task, *_) = tasks_of(court, session, session.expects, "")
        if not task.failures:
            raise UsageError(
                f"{session.executor} repairs red checks and takes no task in words", remedy="name another adapter"
            )
        name, _ = self._desk.run.book.keep(self.work_name(session.step), Work(task, court.checks, court.rules.protect))
        return str(self._desk.run.book.folder / name)

    def work_name(self, step: int) -> str:
        """The file, beside the state, of a task that a call gave to an executor that reads no words."""
        return f"work-{step}.json"

    def _channel(self) -> int | None:
        return self._desk.gateway.share() if self._desk.gateway is not None else None

    def converse(self, args: toolspec.Converse) -> Answer:
        """Say something more.

        Raises:
            UsageError: it is running, was closed or taken. LimitError: the money is spent.
        """
        desk = self._desk
        session = desk.state.find(args.session_id)
        meta = desk.meta(session)
        if meta.live:
            raise UsageError(f"session {session.id} is {meta.state}", remedy="wait() for the end of its turn")
        if session.accepted or meta.verdict:
            raise UsageError(f"session {session.id} was closed", remedy="delegate a new one")
        self.require_money()
        run = desk.run
        order = Begin(
            str(run.request.directory.resolve()), str(run.store.root.parent), args.message, session=session.id,
            config_file=desk.state.asked.config_file, sets=session.sets, work=session.work,
        )  # fmt: skip
        begin(order, desk.ask, self._channel())
        return self.told(session, args.message)

    def told(self, session: Delegated, message: str) -> Answer:
        """The answer of a `converse`."""
        meta = self._desk.meta(session)
        return {
            "session": word(session, meta), "session_id": session.id, "turn": meta.turn, "status": meta.state,
            "adapter": meta.executor, "you_said": shown(message, 100), "hint": "wait(), then verify again",
        }  # fmt: skip

    def peek_session(self, args: toolspec.OfSession) -> Answer:
        """State and last message."""
        session = self._desk.state.find(args.session_id)
        meta = self._desk.meta(session)
        return {
            "session_id": session.id, "status": meta.state, "is_running": meta.live, "turn": meta.turn,
            "latest_message": self._latest(meta, _LATEST // 2),
        }  # fmt: skip

    def _latest(self, meta: Meta, limit: int) -> str | None:
        step = last_step(self._desk.run.store, meta)
        said = step.text if step and (meta.live or meta.state == "completed") else meta.reason
        return shown(said, limit) if said else None

    def check_session(self, args: toolspec.OfSession) -> Answer:
        """Everything; whoever looks has seen it."""
        desk = self._desk
        session = desk.state.find(args.session_id)
        meta = desk.meta(session)
        if attention(session, meta):
            meta = desk.run.store.update(session.id, lambda m: m if m.live else replace(m, acked=True))
        step = last_step(desk.run.store, meta)
        files = [] if meta.live else place.changed(place.patch(desk.run.store, meta, desk.run.user), desk.run.user)
        last = desk.state.session(session.id).last
        return {
            "session": word(session, meta), "session_id": session.id, "status": meta.state, "is_running": meta.live,
            "turn": meta.turn, "task": shown(session.title, 80),
            "response": shown(step.text) if step else meta.reason or "(no response yet)",
            "reason": shown(meta.reason, 400), "changed": [{"path": shown(f.path), "added": f.added, "removed": f.removed} for f in files],
            "verification": {"status": last.status, "reason": shown(last.reason, 400), "turn": last.turn} if last else None,
            "accepted": bool(session.accepted), "verdict": meta.verdict, "tokens": meta.usage.total, "cost_usd": float(meta.cost_usd),
        }  # fmt: skip

    def get_trajectory(self, args: toolspec.Trajectory) -> Answer:
        """What it did."""
        session = self._desk.state.find(args.session_id)
        meta = self._desk.meta(session)
        steps = [step_text(s, full=args.full) for s in steps_of(self._desk.run.store, meta)]
        return {
            "session_id": session.id, "task": shown(session.title, 80), "step_count": len(steps), "steps": steps,
            "mode": "full" if args.full else "summary",
        }  # fmt: skip

    def list_sessions(self, args: toolspec.Sessions) -> Answer:
        """All of them."""
        rows, now = [], time.time()
        every = self._desk.metas()
        for session, meta in every:
            if args.status and meta.state != args.status:
                continue
            rows.append({
                "session_id": session.id, "status": meta.state, "is_running": meta.live, "task": shown(session.title, 50),
                "turn": meta.turn, "updated_secs": round(max(0.0, now - meta.updated_at), 1), "last_message": self._latest(meta, 100),
                "needs_attention": attention(session, meta), "verification": session.last.status if session.last else None,
                "accepted": bool(session.accepted), "verdict": meta.verdict, "tokens": meta.usage.total,
            })  # fmt: skip
            if args.ack and attention(session, meta):
                self._desk.run.store.update(session.id, lambda m: m if m.live else replace(m, acked=True))
        return {
            "sessions": rows, "count": len(rows), "running": sum(m.live for _, m in every),
            "completed": sum(m.state == "completed" for _, m in every),
            "needs_attention": sum(attention(s, m) for s, m in every), "filter": args.status,
        }  # fmt: skip

    def end_session(self, args: toolspec.End) -> Answer:
        """Close one, whatever it does.

        Raises:
            UsageError: its process cannot be ended from here.
        """
        desk = self._desk
        session = desk.state.find(args.session_id)
        if desk.meta(session).live:
            watch.kill(desk.run.store, session.id)
            desk.meta(session)
        if session.accepted and args.verdict != "passed":
            desk.run.book.change(
                lambda s: replace(s, accepted=tuple(i for i in s.accepted if i != session.id)).with_session(
                    replace(s.session(session.id), accepted="")
                )
            )
        meta = ending.end(desk.run.store, session.id, desk.run.user, args.verdict, args.reason)
        if args.delete:
            ending.remove(desk.run.store, session.id)
        return {
            "session": word(session, meta), "session_id": session.id, "status": "deleted" if args.delete else meta.state,
            "verdict": meta.verdict, "reason": shown(args.reason, 200), "turn": meta.turn, "tokens": meta.usage.total,
        }  # fmt: skip

    def wait(self, args: toolspec.Wait) -> Answer:
        """Come back when something has ended."""
        desk = self._desk
        ids = (
            [desk.state.find(i).id for i in args.session_ids]
            if args.session_ids is not None
            else [m.id for m in desk.live()]
        )
        if not ids:
            return {"ended": [], "pending": [], "hint": "no session is running"}
        ended = self._until(ids, every=args.mode == "all", seconds=min(args.timeout, desk.ceiling))
        pending = [i for i in ids if i not in ended]
        hint = "check_session, then verify" if ended else "still running; call wait again"
        return {"ended": [self._end_row(i) for i in ended], "pending": pending, "hint": hint}

    def _until(self, ids: Sequence[str], *, every: bool, seconds: float) -> list[str]:
        return watch.until(self._desk.run.store, ids, every=every, timeout=seconds)

    def _end_row(self, session_id: str) -> Answer:
        meta = self._desk.run.store.load(session_id)  # what it used is written down by whoever looks next
        return {
            "session_id": session_id, "status": meta.state, "turn": meta.turn, "latest_message": self._latest(meta, _LATEST)
        }  # fmt: skip

    def sleep(self, args: toolspec.Sleep) -> Answer:
        """Wait some seconds, or until a session ends."""
        seconds = min(args.seconds, toolspec.LONGEST_SLEEP)
        began = time.monotonic()
        live = [m.id for m in self._desk.live()]
        ended = self._until(live, every=False, seconds=seconds) if live else []
        if not live:
            from zwarm_ci.stop import STOP

            STOP.wait(seconds)
        return {
            "slept_seconds": round(time.monotonic() - began, 3), "capped": args.seconds > seconds,
            "max_allowed": toolspec.LONGEST_SLEEP, "ended": [self._end_row(i) for i in ended],
        }  # fmt: skip


def is_below(path: str, folders: Sequence[str]) -> bool:
    """Whether a path is one of the folders or lies in one."""
    return any(f in {".", path} or path.startswith(f"{f}/") for f in (x.rstrip("/") for x in folders))


def title_of(task: str) -> str:
    """A task's first line, as a session's title."""
    return one_line(task.strip().partition("\n")[0], 80)


def _split(rung: str) -> tuple[str, str]:
    adapter, _, model = rung.partition(":")
    return adapter, model


def _deterministic(rung: str) -> bool:
    return EXECUTORS[_split(rung)[0]]().deterministic


def _message(args: toolspec.Delegate, expects: tuple[str, ...] | None) -> str:
    parts = [args.task.strip()]
    if args.working_dir:
        parts.append(f"Place: {args.working_dir}")
    if expects:
        parts.append("Acceptance: these must be green:\n" + "\n".join(f"- {one_line(e, 300)}" for e in expects))
    return "\n\n".join((*parts, _RULES)) + "\n"
