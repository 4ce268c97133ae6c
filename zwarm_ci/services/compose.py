"""Compose files and workflows as far as services go: names, images, ports. Whatever a file says, reading it never fails."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from zwarm_ci.scrub import one_line
from zwarm_ci.services.ports import Known, known_by_image

_MOST_BYTES = 1024 * 1024  # a longer file is no compose file
_VARIABLE = re.compile(
    r"\$(?:(?P<name>[A-Za-z_]\w*)|\{(?P<braced>[A-Za-z_]\w*)(?:(?P<how>:?[-?+])(?P<rest>[^{}]*))?\})|\$(?P<dollar>\$)"
)
_NAME = re.compile(r"(docker-)?compose[\w.-]*\.ya?ml")
_DEEPEST = 4  # folders below the top; a compose file further down is somebody's example
_NOT_OWN = frozenset({"node_modules", "venv", "vendor", "site-packages", "target", "dist", "build"})
_NESTED = 10  # `${A:-${B:-1}}`; nobody writes more
#: Stands for a value that differs from worktree to worktree; no text has it.
VARYING = "\ue000"


@dataclass(frozen=True, slots=True)
class Port:
    """A published port, as text; `host` "" = the engine chooses one."""

    host: str
    container: str


@dataclass(frozen=True, slots=True)
class Service:
    """One service. `needs`: services that are started with it."""

    name: str
    image: str = ""
    container_name: str = ""
    ports: tuple[Port, ...] = ()
    host_network: bool = False
    needs: tuple[str, ...] = ()

    @property
    def known(self) -> Known | None:
        """What its image runs."""
        return known_by_image(self.image)

    def on(self, port: int) -> bool:
        """Whether clients of this machine find it on `port`: it is published there, or is its usual one and none is published."""
        published = [p for p in self.ports if p.host not in ("", "0")]
        if published:
            return any(port in _range(p.host) for p in published)
        return self.known is not None and self.known.port == port


@dataclass(frozen=True, slots=True)
class Compose:
    """A compose file. `error`: why it could not be read; `more`: files that it takes in; `shared`: volumes outside its project."""

    path: Path
    services: tuple[Service, ...] = ()
    more: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    error: str = ""


def _range(text: str) -> range:
    """The ports of `6379` or `3000-3005`; none where it is neither."""
    match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", text)
    return range(int(match[1]), int(match[2] or match[1]) + 1) if match else range(0)


def interpolate(text: str, given: Mapping[str, str]) -> str:
    """Compose's `${NAME:-default}` with the values of `given`; a name that is not there is empty, as in compose."""

    def value(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        found, how, rest = given.get(match["name"] or match["braced"]), match["how"] or "", match["rest"] or ""
        there = found is not None and (found != "" or not how.startswith(":"))
        if how.endswith("+"):
            return rest if there else ""
        return found if there and found is not None else rest if how.endswith("-") else ""

    for _ in range(_NESTED):
        before, text = text, _VARIABLE.sub(value, text)  # what has no braces in it, so the innermost first
        if text == before or "${" not in text:
            break
    return text


def read_yaml(text: str) -> tuple[Any, str]:
    """A YAML document with every scalar but true, false and null as text, and why it could not be read.

    YAML 1.1 makes a number of the port `2222:22` (base 60); and a tag that we do not know (`!reset`) is no reason to stop.
    """
    import yaml

    class Plain(yaml.SafeLoader):
        """The safe loader without numbers and dates."""

    kept = {"tag:yaml.org,2002:bool", "tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"}
    Plain.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag in kept]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def unknown(loader: Any, name: str, node: Any) -> Any:
        if name == "reset":  # compose: as if it were not there
            return None
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        return loader.construct_sequence(node, deep=True) if isinstance(node, yaml.SequenceNode) else node.value

    Plain.add_multi_constructor("!", unknown)
    try:
        return yaml.load(text, Loader=Plain), ""  # noqa: S506 - a subclass of SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        return None, one_line(f"{getattr(error, 'problem', '') or error}{where}")
    except (RecursionError, ValueError) as error:
        return None, one_line(f"{type(error).__name__}: {error}")


def read_compose(path: Path, given: Mapping[str, str] = MappingProxyType({})) -> Compose:
    """What a compose file says, its variables filled in from `given`."""
    data, error = read_yaml(_content(path))
    if not error and not isinstance(data, dict):
        error = "it is no mapping"
    if error:
        return Compose(path, error=error)
    said = _mapping(data.get("services"))
    more = [_text(entry) or _text(_mapping(entry).get("path")) for entry in _list(data.get("include"))]
    more += [_text(_mapping(_mapping(service).get("extends")).get("file")) for service in said.values()]
    shared = [
        interpolate(_text(_mapping(volume).get("name")) or str(name), given)
        for name, volume in _mapping(data.get("volumes")).items()
        if _mapping(volume).get("name") or _mapping(volume).get("external")
    ]
    services = tuple(_service(str(name), _mapping(service), given) for name, service in said.items())
    return Compose(path, services, tuple(m for m in more if m), tuple(shared))


def _service(name: str, said: Mapping[Any, Any], given: Mapping[str, str]) -> Service:
    needs = said.get("depends_on")
    return Service(
        name,
        interpolate(_text(said.get("image")), given),
        interpolate(_text(said.get("container_name")), given),
        tuple(port for entry in _list(said.get("ports")) if (port := _port(entry, given))),
        _text(said.get("network_mode")) == "host",
        tuple(str(n) for n in (needs if isinstance(needs, dict | list) else ())),
    )


def _port(entry: Any, given: Mapping[str, str]) -> Port | None:
    """`HOST:CONTAINER`, `ADDRESS:HOST:CONTAINER`, `CONTAINER`, each with `/udp` or not, or the long form."""
    if isinstance(entry, dict):
        host, container = (interpolate(_text(entry.get(key)), given) for key in ("published", "target"))
        return Port(host, container) if container else None
    text = interpolate(_text(entry), given).partition("/")[0]
    _address, _, rest = text.rpartition("]:") if text.startswith("[") else ("", "", text)
    parts = rest.split(":")
    if not parts[-1]:
        return None
    return Port(parts[-2] if len(parts) > 1 else "", parts[-1])


def workflow_services(path: Path) -> Iterator[Service]:
    """The `services:` of a workflow's jobs (GitHub Actions)."""
    data, _ = read_yaml(_content(path))
    for job in _mapping(_mapping(data).get("jobs")).values():
        for name, said in _mapping(_mapping(job).get("services")).items():
            yield _service(str(name), {"image": said} if isinstance(said, str) else _mapping(said), {})


def compose_files(tree: Path) -> tuple[Path, ...]:
    """Every compose file of a tree, those nearest to its top first; hidden folders and dependencies are left out."""
    found = []
    for root, folders, names in os.walk(tree):
        depth = len(Path(root).relative_to(tree).parts)
        folders[:] = sorted(f for f in folders if f not in _NOT_OWN and (f == ".devcontainer" or not f.startswith(".")))
        if depth >= _DEEPEST:
            folders.clear()
        found += [(depth, Path(root, name)) for name in sorted(names) if _NAME.fullmatch(name)]
    return tuple(path for _, path in sorted(found))


def workflow_files(tree: Path) -> tuple[Path, ...]:
    """The tree's workflows (GitHub Actions)."""
    folder = tree / ".github" / "workflows"
    return tuple(sorted(p for p in folder.glob("*.y*ml") if p.suffix in (".yml", ".yaml")))


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
