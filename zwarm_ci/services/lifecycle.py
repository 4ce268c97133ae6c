"""Starts what a check needs beside it, waits until it can be used, and ends all of it. docker is a client here like any other."""

from __future__ import annotations

import re
import select
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from zwarm_ci import proc
from zwarm_ci.checks import argv_of
from zwarm_ci.checks.base import NOTHING_AROUND, Around, last_words
from zwarm_ci.errors import BlockedError
from zwarm_ci.keep import Kept
from zwarm_ci.scrub import decode, one_line
from zwarm_ci.services.ports import accepts, engine_runs, listening
from zwarm_ci.stop import STOP
from zwarm_ci.task import Check

LIMIT = 120.0  # seconds until services are up; what must fetch images first belongs into `setup`
_LOOK = 0.05  # seconds between two looks: the kernel tells nobody that a socket began to listen
_SETTLE = 5.0  # seconds that a daemon has to listen after its starter ended; one that never does is no server
_DOWN_SECONDS = 60.0  # compose gives each container 10 s before it kills it
_LOG_TAIL = 64 * 1024
_PORT_PLACE = re.compile(r"\{port(?:\+\d+)?\}")
#: What commands say, and what to do about it. The first that is found is quoted.
_REMEDIES = (
    (
        r"(?i)(cannot|couldn't|failed to) connect to (the )?(docker|podman)|error while fetching server api version|error during connect",
        "no container engine runs here: start it, or name a services.up that needs none",
    ),
    (r"(?i)permission denied.*docker", "this user may not use the container engine: name a services.up that needs none"),
    (
        r"^unknown (shorthand )?flag: |unknown command: docker compose|'compose' is not a docker command",
        "docker has no compose plugin here{engine}: install docker-compose-plugin, or name a services.up that needs no container",
    ),
    (r"(?i)address already in use|port is already allocated|bind: address in use", "something has the port: write {{port}} for it"),
    (r"(?i)cannot be run as root|execution of the server is not permitted", "it refuses root: run the check as another user"),
    (
        r"(?i)pull access denied|manifest unknown|failed to resolve reference|error pulling image|toomanyrequests",
        "its image cannot be fetched here: fetch it before, or name a services.up that needs no container",
    ),
)  # fmt: skip


class Services:
    """The services of one check in one worktree.

    Args:
        check: whose `services.up` and `services.down` are run, in the check's workdir below `tree`.
        env: the whole environment of both commands; `around.variables` are added.
        log: file to which both commands' output, and that of what they leave running, is appended.
        around: words before each command (they enter a network namespace), variables, and what fills in `{port}`.
        limit: seconds until they must be up.
    """

    def __init__(
        self,
        check: Check,
        tree: Path,
        *,
        env: Mapping[str, str],
        log: Path,
        around: Around = NOTHING_AROUND,
        limit: float = LIMIT,
    ) -> None:
        self._check, self._folder, self._log = check, tree / check.workdir, log
        self._env = {**env, **around.variables}
        self._around, self._limit = around, limit
        self._kept: Kept | None = None

    def up(self) -> str:
        """Start them; "" once they can be used, else the trouble (nothing of them runs then).

        A command that ends with 0 has started them, but what it left is given a moment to listen. One that does not end is
        itself the service, and is up as soon as it, or a process below it, accepts connections on a TCP or unix socket.

        Raises:
            ConfigError: the command needs a shell, or a port that the slot has not.
            InterruptedRunError: the run was stopped; nothing of them runs.
        """
        if not self._check.services_up:
            return ""
        trouble = "stopped"
        try:
            trouble = self._start()
        except BlockedError as error:
            trouble = self._trouble("cannot be started", error.message, error.remedy)
        finally:
            if trouble:
                self.down()
        return trouble

    def down(self) -> str:
        """Run `services.down`, then end what is left; "" or what the command said where it failed. Safe to call twice."""
        kept, self._kept = self._kept, None
        if kept is None:
            return ""
        try:
            return self._run_down() if self._check.services_down else ""
        finally:
            kept.end()

    def _start(self) -> str:
        ports = self._slot_ports()
        if taken := next((port for port in ports if listening(port)), None):
            return self._trouble("was not run", f"port {taken} is taken already", "end what listens there")
        argv, env = self._command(self._check.services_up)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._kept = kept = proc.keep(argv, cwd=self._folder, env=env, tag="services", log=self._log)
        until = time.monotonic() + self._limit
        while (code := kept.wait(min(_LOOK, max(0.0, until - time.monotonic())))) is None:
            if accepts(kept.pids()):
                return ""
            if time.monotonic() >= until:
                return self._trouble(
                    f"neither ended nor listened within {self._limit:.0f} s", self._words(), self._hint()
                )
        if code:
            return self._trouble(f"ended with {code}", *self._blame())
        return self._left(kept, ports)

    def _left(self, kept: Kept, ports: tuple[int, ...]) -> str:
        """The starter ended well: whether what it left can be used."""
        if kept.pids():
            _within(_SETTLE, lambda: accepts(kept.pids()) or not kept.pids())
            if not kept.pids():
                return self._trouble("ended with 0, but what it started ended at once", *self._blame())
        elif not _within(_SETTLE, lambda: all(listening(port) for port in ports)):
            return self._trouble(f"ended with 0, but nothing listens on {ports[0]}", *self._blame())
        return ""

    def _slot_ports(self) -> tuple[int, ...]:
        """Ports that `services.up` takes from its slot; none where the command runs in another network namespace than we."""
        if self._around.prefix:
            return ()
        return tuple(int(self._around.fill(place)) for place in _PORT_PLACE.findall(self._check.services_up))

    def _command(self, command: str) -> tuple[list[str], dict[str, str]]:
        words, settings = argv_of(self._around.fill(command))
        return [*self._around.prefix, *words], {**self._env, **settings}

    def _run_down(self) -> str:
        argv, env = self._command(self._check.services_down)
        try:
            with proc.finishing():
                ended = proc.run(argv, cwd=self._folder, env=env, timeout=_DOWN_SECONDS)
        except BlockedError as error:
            return f"services.down `{self._check.services_down}` cannot be started: {error.line}"
        with self._log.open("ab") as file:
            file.write(ended.stdout + ended.stderr)
        if ended.ok:
            return ""
        how = "ran out of time" if ended.timed_out else f"ended with {ended.code}"
        return f"services.down `{self._check.services_down}` {how}: {last_words(decode(ended.stdout + ended.stderr))}"

    def _trouble(self, how: str, words: str, remedy: str) -> str:
        said = f": {words}" if words else ""
        return f"environment: services.up `{self._check.services_up}` {how}{said} ({remedy})"

    def _text(self) -> str:
        try:
            with self._log.open("rb") as file:
                file.seek(max(0, self._log.stat().st_size - _LOG_TAIL))
                return decode(file.read())
        except OSError:
            return ""

    def _words(self) -> str:
        return last_words(self._text())

    def _blame(self) -> tuple[str, str]:
        """What the command said, and what to do."""
        text = self._text()
        for pattern, remedy in _REMEDIES:
            if line := next((line for line in text.splitlines() if re.search(pattern, line)), ""):
                engine = "" if engine_runs(self._env) else ", and no container engine runs"
                return one_line(line), remedy.format(engine=engine)
        return last_words(text), "run it by hand"

    def _hint(self) -> str:
        words, _ = self._command(self._check.services_up)
        if "up" in words and any("compose" in word for word in words) and not {"-d", "--detach", "--wait"} & set(words):
            return "add -d --wait to it"
        return "it must either end when the services are up, or be the server itself"


def _within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Whether `holds` becomes true in time; looks again and again, since /proc and the net have no event for it."""
    until = time.monotonic() + seconds
    while not holds():
        left = until - time.monotonic()
        if left <= 0:
            return False
        select.select([STOP.reader], [], [], min(_LOOK, left))
        STOP.check()
    return True
