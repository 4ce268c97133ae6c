"""Sessions that run by themselves: a process of their own that outlives the terminal, and what it does.

`begin` starts `python -m zwarm_ci.supervise`, hands it an order through a socket, and comes back when the session is running. That
process owns the session and, where there is one, the gateway; one turn is its whole life. SIGTERM ends it in good order.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from zwarm_ci import codec, errors, proc, selection, site, staffing
from zwarm_ci.config import Settings
from zwarm_ci.errors import BlockedError, InterruptedRunError, LimitError, UsageError, ZwarmError
from zwarm_ci.executors.base import Conduct, Order, Report, Workbench
from zwarm_ci.git import open_repository
from zwarm_ci.private import PrivateRepository, Worktree
from zwarm_ci.scrub import decode, one_line, redact
from zwarm_ci.sessions import Meta, Store, place
from zwarm_ci.settings import load
from zwarm_ci.staffing import Means
from zwarm_ci.task import Check, Task
from zwarm_ci.till import Rung, Till

#: Names the gateway's socket in our environment; the session's process takes both over (gateway/keys.py).
_GATEWAY = "ZWARM_CI_GATEWAY_FD"
_LOG = "supervise.log"
Ask = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Begin:
    """One turn that a process of its own is to do.

    Attributes:
        directory: in the repository. state: its state folder.
        message: the task's text, or what to say next. title: of a new session.
        session: the one that goes on; "" = a new one.
        source, base: what a new one works on: worktree, index or head, or a commit.
        config_file, sets: `--config` and `--set`.
        parent: the session that a new one follows.
        run: the run that a new one belongs to; `lender` is a repository from which it borrows its base then, `work` the file of its
            task where red checks stand for it (see `Work`).
    """

    directory: str
    state: str
    message: str
    title: str = ""
    session: str = ""
    source: str = "worktree"
    base: str = ""
    config_file: str = ""
    sets: tuple[str, ...] = ()
    parent: str = ""
    run: str = ""
    lender: str = ""
    work: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """A task with red checks: what an executor needs that repairs these rather than reads words."""

    task: Task
    checks: tuple[Check, ...]
    protect: tuple[str, ...] = ()


def begin(order: Begin, ask: Ask, channel: int | None = None) -> str:
    """Start the process of a session; its id, as soon as the session is running. `ask` puts the question before the first paid call.

    `channel`: one to a gateway that is shared with it (`Gateway.share`); closed here. Without one it takes over the gateway that
    this process was given.

    Raises:
        ZwarmError: of the kind that the process met before it could begin.
    """
    sessions = Path(order.state) / "sessions"
    sessions.mkdir(parents=True, exist_ok=True)
    log = sessions / order.session / _LOG if order.session else sessions / f".start-{secrets.token_hex(6)}.log"
    ours, theirs = socket.socketpair()
    given = os.environ.pop(_GATEWAY, "") if channel is None else str(channel)
    gateway = int(given) if given.isdigit() else None
    with ours, theirs:
        proc.detach(
            [sys.executable, "-P", "-m", __name__, str(theirs.fileno()), str(log)],
            cwd=sessions,
            env={**os.environ, **({_GATEWAY: given} if given else {})},
            log=log,
            fds=(theirs.fileno(), *(() if gateway is None else (gateway,))),
        )
        theirs.close()
        if gateway is not None:  # it is the session's now, and ends with it
            os.close(gateway)
        started = _talk(ours, order, ask)
    if not started:
        raise ZwarmError(f"the session's process ended before it began: {_last_words(log)}", remedy=f"see {log}")
    if not order.session:
        log.unlink(missing_ok=True)
    if "id" not in started:
        raise _as_error(started)
    return str(started["id"])


def _talk(line: socket.socket, order: Begin, ask: Ask) -> dict[str, Any]:
    """Give the order, answer what is asked; the process's last word, {} where it said none."""
    with contextlib.suppress(BrokenPipeError):
        _put(line, asdict(order))
    with line.makefile(encoding="utf-8") as heard:
        for text in heard:
            said = json.loads(text)
            if "ask" not in said:
                return dict(said)
            _put(line, {"yes": ask(said["ask"])})
    return {}


def _put(line: socket.socket, data: dict[str, Any]) -> None:
    line.sendall(json.dumps(data).encode() + b"\n")


def _last_words(log: Path) -> str:
    try:
        said = decode(log.read_bytes()).strip()
    except OSError:
        return "it said nothing"
    return one_line(said.rpartition("\n")[2], 300) or "it said nothing"


def _as_error(said: dict[str, Any]) -> ZwarmError:
    kinds = {kind.slug: kind for kind in (UsageError, errors.ConfigError, BlockedError, LimitError)}
    return kinds.get(said["error"], ZwarmError)(said["message"], remedy=said["remedy"])


def main() -> int:
    """The session's process: take the order, do the turn."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the terminal may go
    with socket.socket(fileno=int(sys.argv[1])) as line, line.makefile(encoding="utf-8") as heard, proc.stoppable():
        line.set_inheritable(False)
        return _serve(line, heard, Path(sys.argv[2]))


def _serve(line: socket.socket, heard: IO[str], log: Path) -> int:
    data = json.loads(heard.readline())
    order = Begin(**{**data, "sets": tuple(data["sets"])})

    def ask(question: str) -> bool:
        with contextlib.suppress(OSError):  # nobody there to ask: the end of file below is a no
            _put(line, {"ask": question})
        return bool(json.loads(heard.readline() or '{"yes": false}')["yes"])

    def running(meta: Meta) -> None:
        if not order.session:
            os.link(log, Path(order.state) / "sessions" / meta.id / _LOG)
        try:
            _put(line, {"id": meta.id})
        except OSError:  # whoever started us was stopped before it knew of us
            proc.STOP.set(signal.SIGTERM)

    try:
        work(order, ask, running)
    except InterruptedRunError as error:
        return error.code
    except ZwarmError as error:
        sys.stderr.write(f"{error.line}\n")
        with contextlib.suppress(OSError):
            _put(line, {"error": error.slug, "message": error.message, "remedy": error.remedy})
        return error.exit_code
    return 0


def work(order: Begin, ask: Ask, running: Callable[[Meta], None]) -> Meta:
    """The turn that was ordered, in this process; `running` is called when the session is.

    Raises:
        ZwarmError: it could not begin. InterruptedRunError: `STOP` was set; the session is interrupted, or killed by SIGTERM.
    """
    store = Store(Path(order.state))
    with contextlib.ExitStack() as undo:
        seat = _go_on(order, store, ask) if order.session else _settle_in(order, store, ask, undo)
        if seat.paid and (why := seat.till.allows(seat.rung, seat.meta.id)):
            raise BlockedError(f"{seat.rung.name}: {why}")
        seat.begin(order.message)
        undo.pop_all()
    running(seat.meta)
    return seat.turn(order.message)


@dataclass(slots=True)
class _Seat:
    """A session, where it works, with whom and on whose money."""

    store: Store
    meta: Meta
    worktree: Worktree
    settings: Settings
    rung: Rung
    till: Till
    work: Work | None = None

    @property
    def paid(self) -> bool:
        return self.rung.paid

    def begin(self, message: str) -> None:
        """From now on it is running."""
        tag = proc.fresh_tag().rpartition(".")[0]  # all that this process starts carries it
        self.meta = self.store.move(self.meta, "running", turn=self.meta.turn + 1, tag=tag)
        self.store.event(self.meta, "message", turn=self.meta.turn, text=redact(message))

    def turn(self, message: str) -> Meta:
        """One turn to its end, and what it changed kept."""
        try:
            report = self._report(message)
        except InterruptedRunError as error:
            killed = error.signum == signal.SIGTERM
            self._end(Report("killed" if killed else "interrupted", error.message, lower_bound=self.paid))
            raise
        self._end(report)
        return self.meta

    def _end(self, report: Report) -> None:
        counted = self.till.account(self.rung, self.meta.id, self.meta.id, report)
        self.till.shut(self.rung, self.meta.id)
        with proc.finishing():
            place.keep(self.store, self.meta, self.worktree)
        self.meta = self.store.close_turn(self.meta, counted)

    def _report(self, message: str) -> Report:
        meta, settings, repo = self.meta, self.settings, self.worktree.repo
        scratch = Path(meta.worktree).parent / "tmp"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        minutes = settings.budget.minutes * 60
        places = (self.worktree.path, self.store.folder(meta.id))
        task = Task(meta.id, meta.title, "", "", (), message)
        bench = Workbench(repo.path, repo.user.top, meta.base, settings.checks)
        if self.work is not None:
            task = replace(self.work.task, text=message)
            bench = replace(bench, checks=self.work.checks, protect=self.work.protect)
        conduct = Conduct()
        if not self.rung.executor.deterministic:
            conduct = staffing.conduct(settings, meta.executor, lambda path: repo.read(meta.base, path))
        order = Order(
            meta.id, meta.turn, self.rung.model, task, message, self.worktree.path, bench, self.store.folder(meta.id), scratch,
            min(settings.executor.timeout, minutes) if minutes else settings.executor.timeout, settings.executor.silence,
            native=meta.native, total=meta.total, endpoint=self.till.open(self.rung, meta.id, meta.id, places), conduct=conduct,
            budget_usd=self.till.room(meta.id) if self.paid else None,
        )  # fmt: skip
        with self.store.recording(meta, meta.turn) as keep:
            return self.rung.executor.turn(order, keep)


def _settle_in(order: Begin, store: Store, ask: Ask, undo: contextlib.ExitStack) -> _Seat:
    """A new session with a worktree at its base; `undo` takes all of it back."""
    user = open_repository(Path(order.directory))
    folder = place.fresh()
    undo.callback(place.throw_away, folder)
    private = PrivateRepository.create(
        user, place.repository(folder), borrow=(Path(order.lender),) if order.lender else ()
    )
    base, settings = _ground(order, private)
    site.state_folder(user, settings.state_dir)
    rung, till = _engaged(settings, order, ask)
    worktree = private.worktree(base, folder / (user.top.name or "repository"))
    meta = store.create(
        run=order.run, task="", executor=rung.executor.name, model=rung.model, title=order.title, worktree=str(worktree.path), base=base,
        parent=order.parent,
    )  # fmt: skip
    undo.callback(_unmake, store, meta)
    place.mark(folder, meta.id)
    return _Seat(store, meta, worktree, settings, rung, till, _work(order))


def _ground(order: Begin, private: PrivateRepository) -> tuple[str, Settings]:
    """The commit that a new session works on, and the settings as its files have them; a run has chosen its own already."""
    file = Path(order.config_file) if order.config_file else None
    if order.lender:
        return order.base, load(lambda path: private.read(order.base, path), order.base[:12], file, order.sets)
    request = selection.Request(
        "session start", Path(order.directory), source=order.source, base=order.base, config_file=file, sets=order.sets
    )  # fmt: skip
    return selection.base_and_settings(request, private)


def _unmake(store: Store, meta: Meta) -> None:
    """A session that never ran."""
    store.move(store.load(meta.id), "failed")
    store.remove(meta.id)


def _go_on(order: Begin, store: Store, ask: Ask) -> _Seat:
    """A session that has had its turn, as it was left; settings by its base."""
    meta = store.load(order.session)
    if meta.verdict or meta.live:
        raise UsageError(f"session {meta.id} {'was ended: ' + meta.verdict if meta.verdict else 'is ' + meta.state}")
    user = open_repository(Path(order.directory))
    worktree = place.reopen(meta, user)
    rung = f'executor.ladder=["{meta.executor}:{meta.model}"]'.replace(':"]', '"]')
    settings = load(
        lambda path: worktree.repo.read(meta.base, path), meta.base[:12], Path(order.config_file) if order.config_file else None,
        (*order.sets, rung),
    )  # fmt: skip
    limit = Decimal(repr(settings.budget.task_usd))
    if meta.cost_usd and meta.cost_usd >= limit:
        raise LimitError(f"session {meta.id} has cost ${meta.cost_usd} of ${limit}", remedy="raise budget.task_usd")
    budget = settings.budget
    left = replace(
        budget, usd=_less(budget.usd, meta.cost_usd), task_usd=_less(budget.task_usd, meta.cost_usd)
    )  # its earlier turns were paid in other processes
    engaged, till = _engaged(replace(settings, budget=left), order, ask)
    return _Seat(store, meta, worktree, settings, engaged, till, _work(order))


def _work(order: Begin) -> Work | None:
    return codec.from_data(Work, json.loads(Path(order.work).read_bytes())) if order.work else None


def _less(limit: float, spent: Decimal) -> float:
    return max(0.0, float(Decimal(repr(limit)) - spent))


def _engaged(settings: Settings, order: Begin, ask: Ask) -> tuple[Rung, Till]:
    rungs, till, _notes = staffing.engage(settings, Path(order.state), Means(ask=ask))
    if rungs[0].executor.deterministic and not order.work:
        raise UsageError(
            f"{rungs[0].name} repairs failing checks and takes no task in words",
            remedy="name another, e.g. --executor codex, or use fix-tests",
        )
    return rungs[0], till


if __name__ == "__main__":
    sys.exit(main())
