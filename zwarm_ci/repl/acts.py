"""What only the prompt does: steps as they come, a live table while waiting, a session's patch judged or put into the tree."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zwarm_ci import proc
from zwarm_ci.errors import UsageError
from zwarm_ci.executors.steps import Seen, step_text
from zwarm_ci.executors.trajectory import trajectory
from zwarm_ci.git import Repository, open_repository
from zwarm_ci.repl.verbs import Act, help_text
from zwarm_ci.scrub import decode, one_line, plain
from zwarm_ci.sessions import Meta, Store, place, watch

if TYPE_CHECKING:
    from rich.table import Table

Run = Callable[[Sequence[str]], int]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Room:
    """Where the prompt is: the repository's folder, its sessions, how a command line is run, where a text goes."""

    directory: Path
    store: Store
    run: Run
    say: Say

    def do(self, act: Act) -> None:
        """Do something of the prompt's own.

        Raises:
            UsageError: a session is not there, or not so that this can be done. InterruptedRunError: ^C.
        """
        match act.own:
            case "help":
                self.say(help_text())
            case "shell":
                self._shell(act.words[0])
            case "watch":
                self._watch(self.store.find(act.words[0]))
            case "wait":
                self._wait(act.words)
            case "kill":
                self._each("kill", act.words, [m.id for m in self.store.all()[0] if m.live])
            case "rm":
                self._each("rm", act.words, [m.id for m in self.store.all()[0] if not m.live])
            case "verify":
                self._verify(self.store.find(act.words[0]))
            case "apply":
                self._apply(self.store.find(act.words[0]))

    def _shell(self, command: str) -> None:
        """A command of the person's own, in their own shell, where they are."""
        if command:
            ended = proc.run(
                [os.environ.get("SHELL") or "/bin/sh", "-c", command], cwd=self.directory, env=dict(os.environ)
            )
            self.say(plain(decode(ended.stdout + ended.stderr)).rstrip("\n"))
            if ended.code:
                self.say(f"exit code {ended.code}")

    def _each(self, verb: str, words: Sequence[str], every: Sequence[str]) -> None:
        ids = list(every) if list(words) == ["all"] else list(words)
        if ids:
            self.run(("session", verb, "--", *ids))
        else:
            self.say("there is none")

    def _watch(self, session_id: str) -> None:
        meta = self.store.load(session_id)
        for step in trajectory(meta.executor, _lines(watch.follow(self.store, session_id))):
            self.say(step_text(Seen(step.kind, step.text, step.detail, step.exit_code), full=False))
        self.say(_line(self.store.load(session_id)))

    def _wait(self, words: Sequence[str]) -> None:
        ids = [self.store.find(w) for w in words] or [m.id for m in self.store.all()[0] if m.live]
        from rich.console import Console
        from rich.live import Live

        with Live(get_renderable=lambda: self._table(ids), console=Console(), refresh_per_second=2, transient=True):
            watch.until(self.store, ids, every=True)
        for session_id in ids:
            self.say(_line(self.store.load(session_id)))
        if not ids:
            self.say("nothing runs")

    def _table(self, ids: Sequence[str]) -> Table:
        """How the sessions stand, with the last word of each."""
        from rich.table import Table
        from rich.text import Text

        from zwarm_ci.executors.steps import last_step

        table = Table.grid(padding=(0, 2))
        for session_id in ids:
            meta = self.store.load(session_id)
            step = last_step(self.store, meta) if meta.live else None
            said = one_line(step.text, 60) if step else one_line(meta.reason, 60)
            spent = f"${meta.cost_usd:.4f}"
            table.add_row(*(Text(c) for c in (meta.id, meta.state, f"turn {meta.turn}", spent, said)))
        return table

    def _verify(self, session_id: str) -> None:
        meta, user, patch = self._patch(session_id)
        with tempfile.TemporaryDirectory(prefix="zwarm-ci-") as folder:
            file = Path(folder, f"{meta.id}.patch")
            file.write_bytes(patch)
            known = user.git.ask("cat-file", "-t", meta.base) == "commit"  # a snapshot is in the session's place alone
            self.run(("verify", *(("--base", meta.base) if known else ()), str(file)))

    def _apply(self, session_id: str) -> None:
        _, user, patch = self._patch(session_id)
        if not user.git.run("apply", "--check", "--whitespace=nowarn", "-", stdin=patch, check=False).ok:
            raise UsageError("the patch does not fit the working tree as it is now", remedy="show ID --patch")
        user.git.run("apply", "--whitespace=nowarn", "-", stdin=patch)
        files = ", ".join(change.path for change in place.changed(patch, user))
        self.say(one_line(f"applied: {files}", 300))

    def _patch(self, session_id: str) -> tuple[Meta, Repository, bytes]:
        meta, user = self.store.load(session_id), open_repository(self.directory)
        patch = place.patch(self.store, meta, user)
        if not patch:
            raise UsageError(f"session {meta.id} has changed nothing")
        return meta, user, patch


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Whole lines of a stream, the last one as it is."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    if rest:
        yield rest


def _line(meta: Meta) -> str:
    return f"{meta.id}  {meta.state}  {one_line(meta.reason, 160)}".rstrip()
