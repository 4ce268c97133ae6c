"""What this machine has for paid work and for commits: git and identity, the CLIs, their keys or logins, sandboxes. Prints no key."""

from __future__ import annotations

import os
from collections.abc import Iterator

from zwarm_ci import confine, pricing, staffing
from zwarm_ci.config import Settings
from zwarm_ci.errors import ConfigError
from zwarm_ci.executors import EXECUTORS, jail
from zwarm_ci.executors.base import Executor
from zwarm_ci.gateway.client import Gateway
from zwarm_ci.git import Repository

Fact = tuple[str, str]


def facts(settings: Settings, user: Repository, read: staffing.Read) -> Iterator[Fact]:
    """(topic, line) of each part; a line of what does not work ends with the remedy. `read` gives the base's files."""
    yield from _git(user)
    found = staffing.gateway(settings, replaying=False, look=True)
    try:
        for name, make in EXECUTORS.items():
            yield "executor", _executor(name, make(), settings, found, read)
    finally:
        if found is not None:
            found.close()
    yield "sandbox", _sandbox()
    yield "keys", _keys()


def _git(user: Repository) -> Iterator[Fact]:
    name, mail = user.git.ask("config", "user.name"), user.git.ask("config", "user.email")
    who = (
        f"commits as {name} <{mail}>"
        if name and mail
        else "no identity, so commits are made as the bot that README names (git config user.name …, user.email …)"
    )
    yield "git", f"{user.git.ask('version').removeprefix('git version ')}; {who}"


def _executor(name: str, executor: Executor, settings: Settings, found: Gateway | None, read: staffing.Read) -> str:
    if why := executor.unusable():
        return f"{name}: {why}"
    if name not in pricing.list_adapters():
        return f"{name}: usable"
    parts = [f"{name} {executor.version()}", executor.doubt()]
    if staffing.gateway_for(found, name):
        parts.append("its key is set, and goes to the gateway alone")
    elif login := executor.login():
        parts.append(f"its own login ({login}); its own figures are counted")
    else:
        parts.append(staffing.no_key(name, gateway=settings.executor.gateway))
    try:
        executor.check(staffing.conduct(settings, name, read))
    except ConfigError as error:
        parts.append(error.line)
    return ": ".join((parts[0], "; ".join(filter(None, parts[1:]))))


def _sandbox() -> str:
    namespaces = confine.means()
    codex = (
        "Codex's own can work here" if namespaces.name != "none" else f"Codex's own needs namespaces: {namespaces.why}"
    )
    prefix, refused = jail.means()
    claude = (
        "Claude Code, which has none, runs in bubblewrap: it writes to its worktree only"
        + (" and sees no other process" if "--unshare-pid" in prefix else "")
        if prefix
        else f"Claude Code has none, its commands run as you and write where you may ({refused})"
    )
    return f"{codex}; {claude}"


def _keys() -> str:
    if os.geteuid() == 0:
        return "you are root, and root can read every process's memory, the gateway's too: run paid executors as another user"
    return "the gateway cannot be looked into by processes of yours; the shell that set a key still holds it"
