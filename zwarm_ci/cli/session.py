"""`session …`: what sessions there are, what they did, starting, awaiting, continuing and ending them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zwarm_ci.cli.common import Common, common_options

if TYPE_CHECKING:
    from zwarm_ci.sessions import Meta, Store

_WORDS = ("passed", "failed", "abandoned")
_DAY = 24 * 3600.0


@click.group(short_help="sessions: start, watch, continue, end")
def session() -> None:
    """Sessions of executors: those of runs, and those that you start yourself.

    ID is a session's id or the beginning of one.
    """


def verb(*, ids: int | None = 1, name: str | None = None) -> Callable[[Callable[..., int]], click.Command]:
    """A command of the group: the common options, `--json`, and `ids` session ids (-1 = any number)."""

    def made(function: Callable[..., int]) -> click.Command:
        command = common_options(function)
        command = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)
        if ids == 1:
            command = click.argument("wanted", metavar="ID")(command)
        elif ids is not None:
            command = click.argument("wanted", metavar="[ID]...", nargs=-1)(command)
        return session.command(name or function.__name__.rstrip("_"))(command)

    return made


@verb(ids=None)
def ls(common: Common, *, as_json: bool) -> int:
    """List sessions, the newest first; `!` marks those whose end nobody has acknowledged, judged or awaited (see `ack`)."""
    from zwarm_ci.cli.session_view import as_json_of, table

    metas, damaged = _store(common).all()
    if as_json:
        _print({"sessions": [as_json_of(m) for m in metas], "damaged": [{"id": d.id, "why": d.why} for d in damaged]})
        return 0
    click.echo(table(metas))
    for one in damaged:
        click.echo(f"? {one.id}  {one.why}")
    return 0


@verb()
@click.option("--patch", is_flag=True, help="Print the patch of what it changed.")
def show(common: Common, wanted: str, *, patch: bool, as_json: bool) -> int:
    """Show all that is known of a session, and what it changed."""
    from zwarm_ci.cli.session_view import as_json_of, described
    from zwarm_ci.git import open_repository
    from zwarm_ci.scrub import decode, plain
    from zwarm_ci.sessions import place

    store = _store(common)
    meta = store.load(store.find(wanted))
    user = open_repository(common.directory)
    text = place.patch(store, meta, user)
    files = place.changed(text, user)
    history, cut = store.events(meta.id)
    if as_json:
        changed = [{"path": f.path, "added": f.added, "removed": f.removed} for f in files]
        more = {"patch": decode(text)} if patch else {}
        _print({"session": as_json_of(meta), "changed": changed, "events": history, "cut_lines": cut, **more})
    elif patch:
        sys.stdout.buffer.write(plain(decode(text)).encode() if sys.stdout.isatty() else text)
    else:
        click.echo(described(meta, files, history, cut))
    return 0


@verb()
def peek(common: Common, wanted: str, *, as_json: bool) -> int:
    """Show the last thing that a session said or did."""
    from zwarm_ci.cli.session_view import as_json_of, step_dict
    from zwarm_ci.executors.steps import last_step, step_text

    store = _store(common)
    meta = store.load(store.find(wanted))
    step = last_step(store, meta)
    if as_json:
        _print({"session": as_json_of(meta), "last": step_dict(step) if step else None})
    else:
        click.echo(f"{meta.id}  {meta.state}, turn {meta.turn}")
        click.echo(step_text(step, full=False) if step else meta.reason or "nothing yet")
    return 0


@verb()
@click.option("-f", "--follow", is_flag=True, help="Go on until the session is not running any more.")
def logs(common: Common, wanted: str, *, follow: bool, as_json: bool) -> int:
    """Print the raw events of all turns, as the executor wrote them (JSON lines).

    With --json one document: the events by turn, and how many lines are none.
    """
    from zwarm_ci.cli.session_view import raw_turns
    from zwarm_ci.scrub import decode, plain
    from zwarm_ci.sessions import watch

    store = _store(common)
    session_id = store.find(wanted)
    store.load(session_id)
    if as_json and follow:
        raise click.UsageError("--json is one document; --follow has no end yet")
    if as_json:
        _print({"id": session_id, "turns": raw_turns(store, session_id)})
        return 0
    last = b"\n"
    for data in watch.follow(store, session_id) if follow else watch.written(store, session_id):
        sys.stdout.buffer.write(plain(decode(data)).encode() if sys.stdout.isatty() else data)
        sys.stdout.buffer.flush()
        last = data
    if not last.endswith(b"\n"):
        click.echo("\nzwarm-ci: the last line is cut", err=True)
    return 0


@verb()
@click.option("--full", is_flag=True, help="Whole texts and outputs.")
def trajectory(common: Common, wanted: str, *, full: bool, as_json: bool) -> int:
    """Show what a session did, step by step: what it was told, reasoning, commands with exit codes, changes, messages."""
    from zwarm_ci.cli.session_view import as_json_of, step_dict
    from zwarm_ci.executors.steps import step_text, steps_of

    store = _store(common)
    meta = store.load(store.find(wanted))
    if as_json:
        _print({"session": as_json_of(meta), "steps": [step_dict(s) for s in steps_of(store, meta)]})
        return 0
    for step in steps_of(store, meta):
        click.echo(step_text(step, full=full))
    return 0


@verb(ids=None)
@click.option("--task", metavar="TEXT", help="What is to be done; `-` reads it from standard input.")
@click.option("--task-file", type=click.Path(path_type=Path), metavar="F", help="The same from a file.")
@click.option(
    "--executor", metavar="RUNG", help="Who works: codex, claude, or ADAPTER:MODEL [executor.ladder's first]."
)
@click.option("--model", metavar="M", help="A model; its adapter is derived from it.")
@click.option("--base", metavar="REF", help="Work on this commit rather than on the tree as it is.")
@click.option("--from", "source", type=click.Choice(["worktree", "index", "head"]), help="What it works on [worktree].")
@click.option("--wait", is_flag=True, help="Come back when its turn has ended, with its last message.")
@click.option("--yes", is_flag=True, help="Do not ask before the first paid call.")
def start(
    common: Common, task: str | None, task_file: Path | None, executor: str | None, model: str | None, base: str | None,
    source: str | None, *, wait: bool, yes: bool, as_json: bool,
) -> int:  # fmt: skip
    """Start a session on a task and leave it running, whatever becomes of this terminal; prints its id.

    It works in a worktree of its own outside the repository, which stays until `end` or `rm`. Nobody verifies what it does.
    """
    from zwarm_ci.cli.fix import task_text

    if base and source:
        raise click.UsageError("--base and --from exclude each other: both say what it works on")
    words = task_text(task, task_file)
    sets = (*common.sets, *_who(executor, model))
    return _begin(common, wait=wait, yes=yes, as_json=as_json, message=words, title=_title(words), base=base or "",
                  source=source or "worktree", sets=sets)  # fmt: skip


def _who(executor: str | None, model: str | None) -> tuple[str, ...]:
    """The settings that `--executor` and `--model` stand for."""
    if executor is None:
        return () if model is None else (f"executor.model={model}",)
    if "," in executor or not executor.strip():
        raise click.UsageError("a session has one rung: --executor ADAPTER or ADAPTER:MODEL")
    if model is None:
        return (f"executor.ladder={json.dumps([executor.strip()])}",)
    if ":" in executor:
        raise click.UsageError(f"--executor {executor} names a model already; leave out --model")
    return (f"executor.adapter={executor.strip()}", f"executor.model={model}")


def _title(words: str) -> str:
    from zwarm_ci.scrub import one_line

    return one_line(words.strip().partition("\n")[0], 80)


@verb()
@click.argument("text", metavar="TEXT|-")
@click.option("--wait", is_flag=True, help="Come back when its turn has ended, with its last message.")
@click.option("--yes", is_flag=True, help="Do not ask before the first paid call.")
def converse(common: Common, wanted: str, text: str, *, wait: bool, yes: bool, as_json: bool) -> int:
    """Say something more to a session whose turn has ended; it goes on where it was, with all that it knows."""
    from zwarm_ci.cli.fix import task_text

    words = task_text(text, None)
    session_id = _store(common).find(wanted)
    return _begin(common, wait=wait, yes=yes, as_json=as_json, message=words, session=session_id, sets=common.sets)


def _begin(common: Common, *, wait: bool, yes: bool, as_json: bool, sets: Sequence[str], **order: str) -> int:
    from zwarm_ci.cli.progress import Progress
    from zwarm_ci.supervise import Begin, begin

    store = _store(common)
    progress = Progress(quiet=True, yes=yes)
    config_file = str(common.config.resolve()) if common.config else ""
    session_id = begin(
        Begin(str(common.directory.resolve()), str(store.root.parent), config_file=config_file, sets=tuple(sets), **order),
        progress.ask,
    )  # fmt: skip
    if wait:
        return _awaited(store, [session_id], every=True, timeout=None, as_json=as_json)
    if as_json:
        _print({"id": session_id})
    else:
        click.echo(session_id)
    return 0


@verb(ids=-1, name="wait")
@click.option("--any/--all", "one", default=False, help="Until one of them has ended, or all [--all].")
@click.option("--timeout", type=click.FloatRange(0), metavar="S", help="At most S seconds; exit code 3 then.")
def wait_(common: Common, wanted: tuple[str, ...], *, one: bool, timeout: float | None, as_json: bool) -> int:
    """Wait until sessions' turns have ended; without an ID, for all that run now.

    0 = they ended well, 1 = one of them failed, was killed, timed out, was interrupted or needs an answer, 3 = the time is over.
    """
    store = _store(common)
    ids = [store.find(w) for w in wanted] or [m.id for m in store.all()[0] if m.live]
    return _awaited(store, ids, every=not one, timeout=timeout, as_json=as_json)


def _awaited(store: Store, ids: Sequence[str], *, every: bool, timeout: float | None, as_json: bool) -> int:
    from zwarm_ci.cli.session_view import as_json_of, line
    from zwarm_ci.sessions import watch

    ended = [store.load(i) for i in watch.until(store, ids, every=every, timeout=timeout)]
    enough = not ids or (len(ended) == len(set(ids)) if every else bool(ended))
    if as_json:
        running = [i for i in dict.fromkeys(ids) if i not in {m.id for m in ended}]
        _print({"ended": [as_json_of(m) for m in ended], "running": running, "timed_out": not enough})
    else:
        for meta in ended:
            click.echo(line(meta))
    if not enough:
        return 3
    return 0 if all(m.state == "completed" for m in ended) else 1


@verb(ids=-1)
def kill(common: Common, wanted: tuple[str, ...], *, as_json: bool) -> int:
    """End sessions that are running, with everything that they started."""
    from zwarm_ci.sessions import watch

    def one(store: Store, session_id: str) -> Meta:
        watch.kill(store, session_id)
        return store.update(session_id, _acked)

    return _each(common, wanted, one, as_json=as_json)


@verb(ids=-1)
@click.option("--verdict", type=click.Choice(_WORDS), required=True, help="How it went, in your eyes.")
@click.option("--reason", default="", metavar="TEXT", help="Why.")
def end(common: Common, wanted: tuple[str, ...], verdict: Any, reason: str, *, as_json: bool) -> int:
    """Close sessions for good: the worktree goes, what it changed stays in the session's folder as work.patch."""
    from zwarm_ci.git import open_repository
    from zwarm_ci.sessions import ending

    user = open_repository(common.directory)
    return _each(common, wanted, lambda store, i: ending.end(store, i, user, verdict, reason), as_json=as_json)


@verb(ids=-1)
@click.option("--all", "every", is_flag=True, help="Every session that has ended.")
def ack(common: Common, wanted: tuple[str, ...], *, every: bool, as_json: bool) -> int:
    """Say that you have seen how sessions ended; a further turn raises the mark again."""
    if every and not wanted:
        wanted = tuple(m.id for m in _store(common).all()[0] if m.attention)
        if not wanted:
            return 0
    return _each(common, wanted, lambda store, i: store.update(i, _acked), as_json=as_json)


def _acked(meta: Meta) -> Meta:
    from dataclasses import replace

    if meta.live:
        from zwarm_ci.errors import UsageError

        raise UsageError(f"session {meta.id} is {meta.state}; there is no end to acknowledge")
    return replace(meta, acked=True)


@verb(ids=-1)
def rm(common: Common, wanted: tuple[str, ...], *, as_json: bool) -> int:
    """Delete sessions that are not running: record, events, worktree and all."""
    from zwarm_ci.sessions import ending

    store = _store(common)
    ids = [store.find(w) for w in _some(wanted)]
    for session_id in ids:
        ending.remove(store, session_id)
    if as_json:
        _print({"removed": ids})
    else:
        for session_id in ids:
            click.echo(f"removed: {session_id}")
    return 0


@verb(ids=None)
@click.option("--keep-days", type=click.FloatRange(0), default=7.0, metavar="N", help="Younger ones stay [7].")
def gc(common: Common, keep_days: float, *, as_json: bool) -> int:
    """Delete sessions whose last change is old. Those that are running or marked `!` stay: end or acknowledge them first."""
    from zwarm_ci.sessions import ending

    removed, kept = ending.collect(_store(common), keep_days * _DAY)
    if as_json:
        _print({"removed": removed, "kept": kept})
        return 0
    click.echo(f"removed {len(removed)}")
    if kept:
        click.echo(f"kept {len(kept)} old ones that nobody has looked at: {', '.join(kept[:5])} (`session ack`)")
    return 0


def _some(wanted: tuple[str, ...]) -> tuple[str, ...]:
    if not wanted:
        raise click.UsageError("name a session; see `zwarm-ci session ls`")
    return wanted


def _each(common: Common, wanted: tuple[str, ...], act: Callable[[Store, str], Meta], *, as_json: bool) -> int:
    """Do something to each session named; nothing is done where one of the names is wrong."""
    from zwarm_ci.cli.session_view import as_json_of, line

    store = _store(common)
    metas = [act(store, session_id) for session_id in [store.find(w) for w in _some(wanted)]]
    if as_json:
        _print({"sessions": [as_json_of(m) for m in metas]})
    else:
        for meta in metas:
            click.echo(line(meta))
    return 0


def _store(common: Common) -> Store:
    from zwarm_ci.cli.take import state_dir
    from zwarm_ci.git import open_repository
    from zwarm_ci.sessions import Store

    return Store(open_repository(common.directory).top / state_dir(common))


def _print(document: dict[str, Any]) -> None:
    click.echo(json.dumps({"schema": 1, **document}, indent=2))
