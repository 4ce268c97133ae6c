"""Why a check may not run beside others: it takes a port, a container name or a volume that there is only once."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zwarm_ci.checks import argv_of
from zwarm_ci.errors import ConfigError
from zwarm_ci.services.compose import VARYING, Compose, Service, interpolate, read_compose
from zwarm_ci.services.slots import Slot
from zwarm_ci.task import Check

#: Where compose looks (its own order), and what it lays over the file that it finds.
_DEFAULT = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_OVERRIDE = tuple(f"{stem}.override.{suffix}" for stem in ("compose", "docker-compose") for suffix in ("yaml", "yml"))
_ENGINES = frozenset({"docker", "podman", "nerdctl"})
_COMPOSE = frozenset({"docker-compose", "podman-compose"})
_CALLS_COMPOSE = re.compile(r"\b(?:docker|podman|nerdctl)[ -]compose\b")
#: What a command may be hidden in: the file that the program reads where it is no script itself.
_RECIPES = {"make": "Makefile", "just": "justfile", "task": "Taskfile.yml", "npm": "package.json", "pnpm": "package.json",
            "yarn": "package.json", "bun": "package.json", "invoke": "tasks.py"}  # fmt: skip
_PLACE = re.compile(r"\{(?:port(?:\+\d+)?|slot)\}")
_PORT_OPTION = re.compile(r"(?:--?[\w-]*|[a-z_]*)port|--listen|--bind|--publish|-p", re.IGNORECASE)  # PGPORT=… too
_JOINED = re.compile(r"(-p)=?(\d[\d.:]*)")
_AT_HOST = re.compile(r":(\d{4,5})(?=$|[/?,])")
_BEFORE_PORT = frozenset({"runserver", "http.server"})
_LOWEST, _HIGHEST = 1024, 65535  # below are versions, counts and minutes
_MOST_FILES = 20  # compose files that include one another
_WITH_VALUE = frozenset(
    "-f --file -p --project-name --project-directory --profile --env-file --ansi --parallel --progress".split()
)


@dataclass(frozen=True, slots=True)
class _Call:
    """A use of compose: the words after `compose`, and the variables set before it. `command`: as the settings have it."""

    command: str
    words: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()

    def values(self, *names: str) -> tuple[str, ...]:
        """What is given for an option that stands before compose's own command."""
        found, words = [], list(self.words)
        while words and words[0].startswith("-"):
            name, joined, value = words.pop(0).partition("=")
            if name in _WITH_VALUE and not joined:
                value = words.pop(0) if words else ""
            if name in names:
                found.append(value)
        return tuple(found)


def why_exclusive(check: Check, tree: Path) -> str:
    """One sentence why `check` may not run in two worktrees at once; "" = it may."""
    folder = tree / check.workdir
    for command in (check.services_up, check.run):
        words, settings = _words(command)
        if found := _fixed_port(words, settings):
            return f"`{command}` takes port {found}, which there is only once (write {{port}} for it)"
        if found := _fixed_name(words):
            return f"`{command}` names a container {found!r}, which there is only once (put {{slot}} into the name)"
    seen: set[Path] = set()
    for call in _calls(check, folder, tree):
        if (names := call.values("-p", "--project-name")) and not _varies(names[-1]):
            return f"`{call.command}` names the compose project {names[-1]!r} (leave it out: each worktree has its own)"
        given = _given(check, call, folder)
        for path in _files(call, folder, tree):
            if path not in seen and (why := _why(path, call, given, tree, seen)):
                return why
    return ""


def _varies(text: str) -> bool:
    return bool(_PLACE.search(text)) or VARYING in text


def _words(command: str) -> tuple[list[str], dict[str, str]]:
    """A command's words and the settings before them; one that needs a shell is refused elsewhere, here its words will do."""
    try:
        return argv_of(command)
    except ConfigError:
        try:
            return shlex.split(command), {}
        except ValueError:
            return command.split(), {}


def _fixed_port(words: Sequence[str], settings: Mapping[str, str]) -> str:
    """The first port of a command that is no `{port}`."""
    engine = bool(words) and words[0] in _ENGINES
    before = ""
    for word in (*(f"{name}={value}" for name, value in settings.items()), *words):
        joined = _JOINED.fullmatch(word)
        name, found, value = (joined[1], "=", joined[2]) if joined else word.partition("=")
        option, said = (name, value) if found else (before, word)
        if (_PORT_OPTION.fullmatch(option) or option in _BEFORE_PORT) and (port := _literal(said, engine)):
            return port
        if not engine and (match := _AT_HOST.search(word)) and _is_port(match[1]):
            return match[1]  # an engine's `name:7000` is an image
        before = word
    return ""


def _literal(said: str, engine: bool) -> str:
    """The port of `6379` or, where an engine publishes it, of `[ADDRESS:]HOST:CONTAINER`; "" where it is chosen, or none."""
    parts = said.partition("/")[0].split(":")
    if engine:
        return parts[-2] if len(parts) > 1 and parts[-2].isdigit() and parts[-2] != "0" else ""
    return parts[-1] if _is_port(parts[-1]) else ""


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and _LOWEST <= int(text) <= _HIGHEST


def _fixed_name(words: Sequence[str]) -> str:
    if not words or words[0] not in _ENGINES:
        return ""
    for before, word in zip(("", *words), words, strict=False):
        name = word.removeprefix("--name=") if word.startswith("--name=") else word if before == "--name" else ""
        if name and not _varies(name):
            return name
    return ""


def _calls(check: Check, folder: Path, tree: Path) -> Iterator[_Call]:
    """Uses of compose in `services.up` and `run`: in the command itself, or in the script or recipe that it calls."""
    for command in (check.services_up, check.run):
        words, settings = _words(command)
        pairs = (word.partition("=") for word in words)  # `env NAME=value docker compose …`
        variables = (*settings.items(), *((name, value) for name, _, value in pairs if value and name.isidentifier()))
        at = next((i for i, word in enumerate(words) if word in _COMPOSE or _is_compose(words[i : i + 2])), -1)
        if at >= 0:
            yield _Call(command, tuple(words[at + (1 if words[at] in _COMPOSE else 2) :]), variables)
        elif any(_CALLS_COMPOSE.search(_text(file)) for file in _scripts(words, folder, tree)):
            yield _Call(command, (), variables)


def _is_compose(pair: Sequence[str]) -> bool:
    return len(pair) == 2 and pair[0] in _ENGINES and pair[1] == "compose"


def _scripts(words: Sequence[str], folder: Path, tree: Path) -> Iterator[Path]:
    for word in words:
        if not word.startswith("-") and "\0" not in word and len(word) < 256 and (folder / word).is_file():
            yield folder / word
    if words and (recipe := _RECIPES.get(words[0])):
        yield from (folder / recipe, tree / recipe)


def _given(check: Check, call: _Call, folder: Path) -> dict[str, str]:
    """What compose fills in: its project's .env, what the check is given, what is set before the command, the slot's own."""
    lines = (line.strip().removeprefix("export ").partition("=") for line in _text(folder / ".env").splitlines())
    given = {name: value.strip().strip("'\"") for name, found, value in lines if found and name.isidentifier()}
    given |= {name: os.environ[name] for name in check.env if name in os.environ}
    given |= {name: VARYING if _varies(value) else value for name, value in call.variables}
    return given | dict.fromkeys(Slot(0, 0, "").variables(), VARYING)


def _files(call: _Call, folder: Path, tree: Path) -> list[Path]:
    """The files that this use of compose reads."""
    named = call.values("-f", "--file")
    listed = dict(call.variables).get("COMPOSE_FILE", "")
    base = folder / (call.values("--project-directory") or ("",))[-1]
    if named or listed:
        return [folder / name for name in (named or tuple(listed.split(":"))) if name]
    for place in (base, *base.parents):
        found = [place / name for names in (_DEFAULT, _OVERRIDE) for name in names if (place / name).is_file()]
        if found or place == tree:
            return found
    return []


def _why(path: Path, call: _Call, given: Mapping[str, str], tree: Path, seen: set[Path]) -> str:
    """What in a compose file, or in those that it takes in, there is only once."""
    if path in seen or len(seen) >= _MOST_FILES:
        return ""
    seen.add(path)
    if not path.is_file():
        return ""  # compose itself will say so
    composed = read_compose(path, given)
    shown = path.relative_to(tree).as_posix() if path.is_relative_to(tree) else path.name
    if composed.error:
        return f"{shown} cannot be read, so what it starts is not known: {composed.error} (mend it)"
    for service in _started(composed, call):
        if why := _once(service):
            return f"{shown}: service {service.name} {why}"
    for volume in composed.shared:
        if VARYING not in volume:
            return f"{shown}: volume {volume!r} is shared by every project (leave its name and `external` out)"
    inner = (path.parent / interpolate(name, given) for name in composed.more)
    return next((why for file in inner if (why := _why(file, call, given, tree, seen))), "")


def _started(composed: Compose, call: _Call) -> list[Service]:
    """The services that are started: those named after `up` with what they need, all where none is."""
    by_name = {service.name: service for service in composed.services}
    todo = [word for word in call.words if word in by_name]
    if not todo or "up" not in call.words:
        return list(composed.services)
    wanted: dict[str, Service] = {}
    while todo:
        name = todo.pop()
        if name in by_name and name not in wanted:
            wanted[name] = by_name[name]
            todo += by_name[name].needs
    return list(wanted.values())


def _once(service: Service) -> str:
    if service.container_name and VARYING not in service.container_name:
        return f"has the fixed container_name {service.container_name!r} (leave it out, or put ${{ZWARM_SLOT}} into it)"
    if service.host_network:
        return "has the network of the host (leave network_mode out)"
    for port in service.ports:
        if port.host not in ("", "0") and VARYING not in port.host:
            name = re.sub(r"\W", "_", service.name.upper()) + "_PORT"
            remedy = f'write "${{{name}:-{port.host}}}:{port.container}" there, and {name}={{port}} before the command'
            return f"has the fixed host port {port.host} ({remedy})"
    return ""


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(256 * 1024)
    except OSError:
        return ""
