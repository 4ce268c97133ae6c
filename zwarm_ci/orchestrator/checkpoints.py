"""How a run stood after each turn of a person: files as a commit of its private repository, verdicts and acceptance in a sealed file.

Who goes back gets both. What was spent, and what the journal says, is never taken back. The state is written last, so a process that
is killed in between leaves the one from before, and a checkpoint of the files that it had.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zwarm_ci import codec, journal, proc
from zwarm_ci.errors import BlockedError, UsageError
from zwarm_ci.files import write_atomic
from zwarm_ci.orchestrator import instance as instances
from zwarm_ci.orchestrator import state as states
from zwarm_ci.orchestrator.instance import Instance
from zwarm_ci.orchestrator.state import Delegated, Hearing, State
from zwarm_ci.private import PrivateRepository, Worktree
from zwarm_ci.scrub import one_line, plain, redact
from zwarm_ci.sessions import Meta, ending, place, watch
from zwarm_ci.sessions.meta import Word

SCHEMA = 1  # 1: first form; {"schema", "seal": HMAC-SHA256 of the canonical JSON of "checkpoint", "checkpoint"}
#: The note in the state that says what was taken back, until the host was told.
NOTE = "taken_back"
_FOLDER, _REF = "checkpoints", "refs/zwarm-ci/checkpoint"
_WORDS = 80  # characters of a person's line that are kept


@dataclass(frozen=True, slots=True)
class Stand:
    """A session: the tree of its files; whether its turn was under way; how it was closed, and why ("" = it was open)."""

    id: str
    tree: str
    live: bool
    verdict: Word
    reason: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How a run stood.

    Attributes:
        at: Unix seconds. words: the first ones of the person's line.
        commit: in the run's private repository; it has a folder for each session. steps: calls until then.
        cost_usd: of all turns that had ended, the host's included.
        stands: sessions that had a record then; one that was deleted has none.
    """

    number: int
    at: float
    words: str
    commit: str
    steps: int
    cost_usd: float
    accepted: tuple[str, ...]
    sessions: tuple[Delegated, ...]
    stands: tuple[Stand, ...]


@dataclass(frozen=True, slots=True)
class Gone:
    """What going back to a checkpoint did; ids of sessions.

    Attributes:
        before: the checkpoint of how the run stood before; None = it stood so already, and nothing was done.
        killed: their turns were under way. ended: they began later. reopened: they had been closed since.
        lost: their records were deleted since, so that nothing of them is brought back but that they were accepted.
    """

    run: str
    checkpoint: Checkpoint
    before: int | None
    killed: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    reopened: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


def find(state: Path, name: str) -> Path:
    """The folder of a run with checkpoints by its name, a prefix of it, or "" or `latest`: the newest.

    Raises:
        UsageError: none or several.
    """
    found = [p.parents[1] for p in (state / "runs").glob(f"*/{instances.FOLDER}/{_FOLDER}")]
    known = sorted(p.name for p in found if not p.is_symlink())
    if not known:
        raise UsageError("no run here has checkpoints", remedy="`zwarm-ci pilot` makes one after each turn")
    if name in {"", "latest"}:
        return state / "runs" / known[-1]
    fits = [name] if name in known else [k for k in known if k.startswith(name)]
    if len(fits) == 1:
        return state / "runs" / fits[0]
    what = "several runs with checkpoints begin" if fits else "no run with checkpoints begins"
    raise UsageError(f"{what} with {one_line(name, 60)!r}", remedy=f"known: {', '.join((fits or known)[-5:])}")


def every(folder: Path) -> list[Checkpoint]:
    """All checkpoints of a run by its folder, the first one first.

    Raises:
        UsageError: one cannot be read, or was not written by this user on this machine.
    """
    key = journal.key_of(folder.name)
    return [_read(_file(folder, number), number, key) for number in _numbers(folder)]


def named(folder: Path, number: int) -> Checkpoint:
    """The checkpoint of that number.

    Raises:
        UsageError: there is none; the nearest is named. Or see `every`.
    """
    known = _numbers(folder)
    if number in known:
        return _read(_file(folder, number), number, journal.key_of(folder.name))
    near = f"the nearest is {min(known, key=lambda k: abs(k - number))}; " if known else ""
    raise UsageError(
        f"run {folder.name} has no checkpoint {number}", remedy=f"{near}see `zwarm-ci checkpoint ls {folder.name}`"
    )


def save(run: Instance, words: str) -> Checkpoint:
    """Keep how the run stands now. `words`: what the person said before; their first ones are kept.

    Raises:
        UsageError, CommandError: a session's files cannot be read as they are now.
    """
    return _keep(run, _look(run, words))


def goto(directory: Path, state: Path, name: str, number: int) -> Gone:
    """Bring the files of sessions, their verdicts and what is accepted back to a checkpoint of a run that nobody serves.

    Sessions that began later are ended. Ignored files of a worktree stay as they are. Going there twice does no more than once.

    Raises:
        UsageError: there is no such run or checkpoint, somebody serves the run, it has ended, or a session cannot be ended from here.
        BlockedError: what the run or the checkpoint needs is gone. InterruptedRunError: a signal came; the state is that from before.
    """
    folder = find(state, name)
    checkpoint = named(folder, number)
    with proc.stoppable(), contextlib.ExitStack() as end:
        run = instances.resume(directory, folder.name)
        end.callback(run.leave)
        if run.private.git.ask("cat-file", "-t", checkpoint.commit) != "commit":
            raise BlockedError(f"the files of checkpoint {number} are gone", remedy="go to another one")
        return _go(run, checkpoint)


def _go(run: Instance, checkpoint: Checkpoint) -> Gone:
    killed = tuple(m.id for m in _metas(run) if m.live and _killed(run, m.id))
    now, metas = _look(run, f"before the return to {checkpoint.number}"), {m.id: m for m in _metas(run)}
    if not killed and _same(now, checkpoint):
        return Gone(run.site.run, checkpoint, None)
    then = {stand.id: stand for stand in checkpoint.stands}
    before = _kept_already(run, now) or _keep(run, now).number
    gone = Gone(
        run.site.run, checkpoint, before, killed, tuple(i for i in metas if i not in then),
        tuple(i for i, m in metas.items() if m.verdict and i in then and not then[i].verdict), tuple(i for i in then if i not in metas),
    )  # fmt: skip
    run.site.journal.write("checkpoint_goto", number=checkpoint.number, before=before, ended=list(gone.ended))
    for session in checkpoint.sessions:
        if session.id in metas and session.id in then:
            _bring(run, metas[session.id], session.base, then[session.id])
    for session_id in gone.ended:
        if metas[session_id].verdict in {"", "passed"}:
            why = f"it began after checkpoint {checkpoint.number}, to which the user went back"
            ending.end(run.store, session_id, run.user, "abandoned", why)
    told = states.note(_told(gone))
    run.book.change(lambda s: replace(_back(s, checkpoint), notes={**s.notes, NOTE: told}))
    return gone


def _killed(run: Instance, session_id: str) -> bool:
    """End a session's turn; False = it has just ended by itself."""
    try:
        watch.kill(run.store, session_id)
    except UsageError:
        if run.store.load(session_id).live:
            raise
        return False
    return True


def _kept_already(run: Instance, now: Checkpoint) -> int | None:
    """The newest checkpoint's number, where it says what `now` says."""
    (*_, last) = every(run.site.folder)
    return last.number if _same(now, last) and len(last.sessions) == len(now.sessions) else None


def _look(run: Instance, words: str) -> Checkpoint:
    """How the run stands, with no number and no commit yet."""
    state, metas = run.state, _metas(run)
    stands = tuple(_stand(run, state, meta) for meta in metas)
    sessions = tuple(_lasting(run.book.folder, s) for s in state.sessions)
    said = one_line(plain(redact(words)), _WORDS)
    cost = _cost(state, metas)
    return Checkpoint(0, instances.now(), said, "", state.steps, cost, state.accepted, sessions, stands)


def _stand(run: Instance, state: State, meta: Meta) -> Stand:
    known = next((s for s in state.sessions if s.id == meta.id), None)
    tree = known.accepted if known and known.accepted else _tree(run, meta, known.base if known else meta.base)
    return Stand(meta.id, tree, meta.live, meta.verdict, meta.verdict_reason)


def _tree(run: Instance, meta: Meta, base: str) -> str:
    """The tree of a session's files, in the run's repository."""
    patch, before = place.patch(run.store, meta, run.user), run.private.tree_of(base)
    made = run.private.apply(before, patch) if patch else before
    if made is None:
        raise UsageError(f"what session {meta.id} changed does not apply to its base", remedy="end it")
    return made


def _metas(run: Instance) -> list[Meta]:
    """The run's sessions that have a record, in the order in which they began; one that its state does not know yet too."""
    return [m for m in reversed(run.store.all()[0]) if m.run == run.site.run]


def _cost(state: State, metas: Iterable[Meta]) -> float:
    spent = {m.id: float(m.cost_usd) for m in metas}
    deleted = sum(s.totals[-1].cost_usd for s in state.sessions if s.totals and s.id not in spent)
    host = json.loads(state.notes.get("host", "{}"))  # see planner.py
    return round(sum(spent.values()) + deleted + float(host.get("cost_usd", 0.0)), 6)


def _lasting(folder: Path, session: Delegated) -> Delegated:
    """The session with its verdicts in files named by their content: a verdict that follows a return may have the number of another."""
    return replace(session, hearings=tuple(_lasting_hearing(folder, h) for h in session.hearings))


def _lasting_hearing(folder: Path, hearing: Hearing) -> Hearing:
    name, digest = hearing.document
    if not name:
        return hearing
    lasting = f"verdict-{digest}.json"
    if not (folder / lasting).exists():
        states.fetch(folder, hearing.document)  # that it is what was written
        write_atomic(folder / lasting, (folder / name).read_bytes())
    return replace(hearing, document=(lasting, digest))


def _keep(run: Instance, looked: Checkpoint) -> Checkpoint:
    """Write a checkpoint down: first the files, then what speaks of them."""
    private, folder = run.private, run.site.folder
    number = max(_numbers(folder), default=0) + 1
    rows = b"".join(f"040000 tree {stand.tree}\t{stand.id}".encode() + b"\0" for stand in looked.stands)
    tree = private.git.text("mktree", "-z", stdin=rows)
    commit = private.commit(tree, [run.state.base], f"Checkpoint {number}\n")
    private.git.run("update-ref", f"{_REF}/{number}", commit)
    made = replace(looked, number=number, commit=commit)
    data = codec.to_data(made)
    document = {"schema": SCHEMA, "seal": _seal(journal.key_of(folder.name), data), "checkpoint": data}
    write_atomic(_file(folder, number), json.dumps(document) + "\n")
    run.site.journal.write("checkpoint", number=number, commit=commit)
    return made


def _same(now: Checkpoint, then: Checkpoint) -> bool:
    """Whether all that a return to `then` would bring back is there `now`."""
    ids = {s.id for s in then.sessions}
    both = {s.id for s in now.stands} & {s.id for s in then.stands}
    facts = [
        (c.accepted, [replace(s, totals=()) for s in c.sessions if s.id in ids],
         {s.id: (s.tree, s.verdict) for s in c.stands if s.id in both})
        for c in (now, then)
    ]  # fmt: skip
    return facts[0] == facts[1] and all(s.verdict not in {"", "passed"} for s in now.stands if s.id not in ids)


def _back(state: State, checkpoint: Checkpoint) -> State:
    """The state as it was, but what was spent; sessions that began later stay in it, for they were paid for.

    The last calls go, so that a task given once more, word for word, is not taken for a call whose answer was lost (lost.py).
    """
    then = {s.id: s for s in checkpoint.sessions}
    sessions = (
        replace(then[s.id], totals=s.totals) if s.id in then else replace(s, accepted="") for s in state.sessions
    )
    return replace(state, sessions=tuple(sessions), accepted=checkpoint.accepted, calls=())


def _bring(run: Instance, meta: Meta, base: str, stand: Stand) -> None:
    """Bring a session's files back, and whether it is closed."""
    if stand.verdict:
        if meta.verdict != stand.verdict:
            ending.end(run.store, meta.id, run.user, stand.verdict, stand.reason)
        patch = run.private.patch(run.private.tree_of(base), stand.tree)
        write_atomic(run.store.folder(meta.id) / place.PATCH, patch)
        return
    worktree = _worktree(run, meta, base)
    files = Worktree(run.private, worktree)  # by the run's repository, whose settings are sealed
    try:
        files.reset(stand.tree, ignored=False)
    finally:
        Path(files.git.env["GIT_INDEX_FILE"]).unlink(missing_ok=True)
    brought = run.store.update(
        meta.id, lambda m: replace(m, verdict="", verdict_reason="", worktree=str(worktree), acked=False)
    )
    if meta.verdict:
        run.store.event(brought, "reopened", reason="the user went back to a checkpoint")
    if _tree(run, brought, base) != stand.tree:
        raise BlockedError(f"the files of session {meta.id} cannot be brought back", remedy="see its worktree")


def _worktree(run: Instance, meta: Meta, base: str) -> Path:
    """The session's worktree; one that is gone is made again, where it was if that can be: some CLIs know a conversation by its folder."""
    was = Path(meta.worktree)
    if place.of(meta) is not None and was.is_dir():
        return was
    place.discard(meta)
    folder = _again(was.parent) or place.fresh()
    private = PrivateRepository.create(run.user, place.repository(folder), borrow=(run.private.path,))
    made = private.worktree(base, folder / (was.name or "repository"))
    place.mark(folder, meta.id)  # last, so that half of it is nobody's
    return made.path


def _again(folder: Path) -> Path | None:
    """The same place, made anew; None where it cannot be."""
    try:
        folder.mkdir(mode=0o700)
    except OSError:
        return None
    place.mark(folder, "")
    if place.is_marked(folder, ""):
        return folder
    shutil.rmtree(folder)
    return None


def _told(gone: Gone) -> str:
    """What the host is told, whose memory cannot be taken back."""
    checkpoint = gone.checkpoint
    said = (
        f"The user went back to how things stood after the turn {checkpoint.words!r} (checkpoint {checkpoint.number}): files of sessions, "
        f"verdicts and what is accepted ({', '.join(checkpoint.accepted) or 'nothing'}) are those of then"
    )
    parts = [said]
    for ids, what in ((gone.ended, "ended, for they began later"), (gone.killed, "stopped in their turn")):
        parts += [f"{what}: {', '.join(ids)}"] if ids else []
    return "; ".join((*parts, "your memory and that of sessions reaches further, so call `status` first")) + "."


def _numbers(folder: Path) -> list[int]:
    found = (folder / instances.FOLDER / _FOLDER).glob("*.json")
    return sorted(int(p.stem) for p in found if p.stem.isdecimal())


def _file(folder: Path, number: int) -> Path:
    return folder / instances.FOLDER / _FOLDER / f"{number}.json"


def _read(file: Path, number: int, key: bytes) -> Checkpoint:
    try:
        document = json.loads(file.read_bytes())
        schema, data, seal = (document[name] for name in ("schema", "checkpoint", "seal"))
        if schema != SCHEMA:
            raise UsageError(f"{file} has schema {schema}, this version reads {SCHEMA}")
        if not key or not hmac.compare_digest(str(seal).encode(), _seal(key, data).encode()):
            raise UsageError(f"{file} was not written by you on this machine, so nothing in it is believed")
        found = codec.from_data(Checkpoint, data)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{file} cannot be read: {one_line(str(error), 100)}") from error
    if found.number != number:
        raise UsageError(f"{file} is checkpoint {found.number} under another name")
    return found


def _seal(key: bytes, data: Any) -> str:
    return hmac.new(key, json.dumps(data, sort_keys=True).encode(), "sha256").hexdigest()
