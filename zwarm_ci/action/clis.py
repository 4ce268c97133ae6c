"""The executors' command lines in a job: brought when the first paid turn begins and not before, or left out with the reason."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from zwarm_ci import pricing
from zwarm_ci.action.allowance import Allowance
from zwarm_ci.errors import BlockedError, UsageError
from zwarm_ci.executors import EXECUTORS, Executor
from zwarm_ci.executors.base import Conduct, Order, Report
from zwarm_ci.proc import run
from zwarm_ci.scrub import child_env, decode, one_line

#: What npm calls them, and the versions that our tests drive.
PACKAGES = {"codex": "@openai/codex", "claude": "@anthropic-ai/claude-code"}
VERSIONS = {"codex": "0.169.0", "claude": "2.1.197"}
_VARIABLES = {"codex": "ZWARM_CI_CODEX", "claude": "ZWARM_CI_CLAUDE"}
_SECONDS = 600.0  # some 300 MB each
#: How npm reaches its registry; it gets no other variable of ours.
_NETWORK = (
    "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy", "NODE_EXTRA_CA_CERTS", "NPM_CONFIG_REGISTRY",
    "npm_config_registry", "NPM_CONFIG_USERCONFIG", "npm_config_userconfig", "npm_config_cache",
)  # fmt: skip


class Brought:
    """An executor whose program is installed when it is first wanted. `refused` says why it must not be used here at all."""

    def __init__(
        self, inner: Executor, wanted: str = "", refused: str = "", allowance: Allowance | None = None
    ) -> None:
        self.inner, self.wanted, self.refused, self.allowance = inner, wanted, refused, allowance
        self.name, self.deterministic = inner.name, inner.deterministic
        self._lock = threading.Lock()

    def unusable(self) -> str:
        """Why it is left out; that it is not installed yet is no reason."""
        return self.refused or ("" if self.wanted else self.inner.unusable())

    def login(self) -> str:
        return self.inner.login()

    def version(self) -> str:
        return self.inner.version()

    def doubt(self) -> str:
        return self.inner.doubt()

    def check(self, conduct: Conduct) -> None:
        self.inner.check(conduct)

    def headline(self, line: bytes) -> str:
        return self.inner.headline(line)

    def turn(self, order: Order, on_line: Callable[[bytes], None]) -> Report:
        """The inner one's turn; one that is blocked or has failed where the task must not be paid for, or the program cannot be had."""
        try:
            if self.allowance and (why := self.allowance.refused(order)):
                return Report("blocked", why, native=order.native, total=order.total)
            with self._lock:
                if self.wanted:
                    os.environ[_VARIABLES[self.name]] = str(install(self.name, self.wanted))
                    self.wanted = ""
        except BlockedError as error:
            return Report("failed", error.line, native=order.native, total=order.total)
        return self.inner.turn(order, on_line)


def install(cli: str, version: str) -> Path:
    """The program, from npm into the job's temporary folder.

    Raises:
        BlockedError: npm is not there, failed, or took too long.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"zwarm-ci-{cli}-", dir=os.environ.get("RUNNER_TEMP") or None))
    (folder / "package.json").write_text('{"private": true}\n', encoding="utf-8")
    argv = ["npm", "install", "--no-audit", "--no-fund", "--no-progress", "--no-save", f"{PACKAGES[cli]}@{version}"]
    done = run(argv, cwd=folder, env=child_env(names=_NETWORK), timeout=_SECONDS)
    program = folder / "node_modules" / ".bin" / cli
    if done.timed_out:
        raise BlockedError(
            f"npm had not brought {cli} {version} after {_SECONDS:.0f} s", remedy="install it beforehand"
        )
    if not done.ok or not program.exists():
        said = (
            one_line(decode(done.stderr or done.stdout).strip().rpartition("\n")[2], 300)
            or f"it ended with {done.code}"
        )
        raise BlockedError(
            f"npm did not bring {cli} {version}: {said}", remedy="see cli-versions, or install it beforehand"
        )
    return program


def prepare(versions: Mapping[str, str], refused: str, allowance: Allowance | None = None) -> None:
    """From now on paid executors are brought when they are wanted, or left out where `refused` says why; `allowance` has a say in each task.

    One that is installed is used as it is, unless `versions` names another.

    Raises:
        UsageError: `versions` names none that we know.
    """
    if odd := sorted(set(versions) - set(PACKAGES)):
        raise UsageError(f"{odd[0]} is no executor that is installed from npm")
    for adapter in sorted(set(EXECUTORS) & set(pricing.list_adapters())):
        EXECUTORS[adapter] = _maker(EXECUTORS[adapter], versions.get(adapter, ""), refused, allowance)


def _maker(
    make: Callable[[], Executor], version: str, refused: str, allowance: Allowance | None
) -> Callable[[], Executor]:
    def made() -> Executor:
        inner = make()
        named = os.environ.get(_VARIABLES[inner.name])
        wanted = version or (VERSIONS[inner.name] if inner.unusable() and not named else "")
        return Brought(inner, wanted, refused, allowance)

    return made
