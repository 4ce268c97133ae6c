"""Failures that could not reach something: a service that does not run, or the world outside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zwarm_ci.diagnose.base import Here, Missing, Sources, errors_of, real, said, toml
from zwarm_ci.diagnose.variables import mentioned_variables
from zwarm_ci.services import (
    KNOWN,
    WELL_KNOWN,
    Known,
    compose_files,
    engine_runs,
    read_compose,
    workflow_files,
    workflow_services,
)
from zwarm_ci.services.compose import Service
from zwarm_ci.task import Failure

_REFUSED = re.compile(
    r"connection refused|connection to \S+ refused|ECONNREFUSED|\[Errno (?:111|61)\]|Error (?:111|61) connecting|os error (?:111|61)"
    r"|Connect call failed|could not connect to server|connection to server on socket|Can't connect to (?:local )?(?:MySQL|MariaDB)"
    r"|Can't reach database server|Could not connect to the endpoint URL|Unable to bootstrap from|NoBrokersAvailable|AMQPConnectionError"
    r"|failed to connect to all addresses|No servers available",
    re.IGNORECASE,
)
#: Said by clients of a container engine (docker's libraries, testcontainers).
_NO_ENGINE = re.compile(
    r"Error while fetching server API version|Cannot connect to the Docker daemon|Could not find a valid Docker environment"
    r"|Could not find a working container runtime|ENOENT /var/run/docker\.sock|unknown command: docker compose"
    r"|unknown (?:shorthand )?flag: [^\n]*\s+Usage:\s+docker \["
)
#: Said of a socket file rather than a port: what it is for, and where it would be.
_SOCKETS = (
    (re.compile(r'connection to server on socket "[^"]*\.s\.PGSQL\.(\d+)" failed: No such file'), "postgres"),
    (re.compile(r"could not connect to server: No such file or directory[^\n]*\n?[^\n]*\.s\.PGSQL\.(\d+)"), "postgres"),
    (re.compile(r"Can't connect to local (?:MySQL|MariaDB) server through socket ()"), "mysql"),
)
#: Clients that do not always say where they went: by their folder or by the name of their error.
_CLIENTS = (
    ("redis", r"(?:site-packages/(?:redis|valkey|aioredis|fakeredis)|node_modules/(?:ioredis|redis|@redis))/"),
    ("postgres", r"site-packages/(?:psycopg|psycopg2|asyncpg|pg8000)/|node_modules/pg/"),
    ("mysql", r"site-packages/(?:pymysql|MySQLdb|mysql|aiomysql)/|node_modules/mysql2?/|MySQL server"),
    ("mongo", r"site-packages/(?:pymongo|motor)/|node_modules/(?:mongodb|mongoose)/"),
    ("rabbitmq", r"site-packages/(?:pika|amqp|aio_pika)/|AMQPConnectionError|node_modules/amqplib/"),
    ("memcached", r"site-packages/(?:pymemcache|memcache|pylibmc|aiomcache)\b|node_modules/(?:memjs|memcached)/"),
    ("elasticsearch", r"site-packages/(?:elastic_transport|elasticsearch|opensearchpy)/|node_modules/@elastic/"),
    ("kafka", r"site-packages/(?:kafka|confluent_kafka|aiokafka)/|node_modules/kafkajs/|NoBrokersAvailable"),
    ("nats", r"site-packages/nats/|node_modules/nats/"),
    ("cassandra", r"site-packages/cassandra/"),
)
_BY_NAME = {known.name: known for known in KNOWN}
_HOST = r"localhost|127\.\d+\.\d+\.\d+|0\.0\.0\.0|\[?::1\]?|host\.docker\.internal"
_LOCAL_PORTS = (
    re.compile(rf"(?:^|[\s\"'`(@/=,:\[])(?:{_HOST}):(\d{{2,5}})\b"),
    re.compile(rf"\(?['\"](?:{_HOST})['\"],\s*(?:port\s*=?\s*)?(\d{{2,5}})\b"),
    re.compile(rf"(?:host\s*[=:]\s*)['\"]?(?:{_HOST})['\"]?,\s*port\s*[=:]\s*['\"]?(\d{{2,5}})\b"),
    re.compile(rf"\"(?:{_HOST})\"(?: \([^)]*\))?, port (\d{{2,5}})\b"),
    re.compile(rf"address: '(?:{_HOST})', port: (\d{{2,5}})\b"),
)
_ELSEWHERE = re.compile(r"[A-Za-z0-9]\.[\w.-]{1,253}:\d{2,5}\b|\bport[ =:]+\d{2,5}\b")
_UNRESOLVED = re.compile(
    r"Name or service not known|Temporary failure in name resolution|nodename nor servname|No address associated with hostname"
    r"|ENOTFOUND|EAI_AGAIN|NameResolutionError|no such host|could not translate host name|Could not resolve host"
    r"|couldn't connect to 'https?:|failed to lookup address|server misbehaving"
)
#: A name server was asked and did not answer, or no way leads out: never the fault of a name.
_CUT_OFF = re.compile(
    r"Temporary failure in name resolution|EAI_AGAIN|Network is unreachable|ENETUNREACH|server misbehaving|EHOSTUNREACH|No route to host"
    r"|\[Errno 101\]|os error 101"
)
_NAME = r"([A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)"
_HOSTS = (
    re.compile(rf"(?:ENOTFOUND|EAI_AGAIN) {_NAME}"),
    re.compile(rf"lookup {_NAME}(?: on \S+)?: (?:no such host|Temporary|server misbehaving)"),
    re.compile(rf"\b(?:host name|[Rr]esolve(?: host)?:?|[Hh]ost)\b\s*[\"':=(]*\s*{_NAME}"),
    re.compile(rf"connecting to {_NAME}:\d+"),
    re.compile(rf"host=['\"]{_NAME}['\"]"),
)
#: Where a client was sent, wherever a text says so.
_SENT_TO = (
    re.compile(rf"\w+://(?:[^\s/@'\"]*@)?{_NAME}"),
    re.compile(rf"\(['\"]{_NAME}['\"], ?\d{{2,5}}[,)]"),
)
#: Names that by design lead nowhere (RFC 2606, RFC 6761): who asks for one wants the failure.
_NOWHERE = re.compile(r"(?:^|\.)(?:invalid|test|example|localhost|local|internal|onion)$")
_LISTENS = (
    r"(?:bind|[Ll]isten|create_server|start_server|TCPServer|HTTPServer|\bserve|ListenAndServe|(?:app|uvicorn|server)\.run|run_app|Popen)"
    r"\([^\n]{{0,80}}\b{port}\b"
)


@dataclass(frozen=True, slots=True)
class _Declared:
    """A service of a compose file, or of a workflow's job."""

    service: Service
    path: str
    compose: bool


def missing_connection(failure: Failure, sources: Sources, here: Here) -> Missing | None:
    """The service or the network whose absence a failure tells of.

    A refused connection is a service's only if its port is a service's usual one or is declared by a compose file or a
    workflow, nothing listens there, and neither `services.up` nor code of the tree would. The network's absence is a guess where it was off: a run
    with it on must confirm it, for a wrong name looks the same.
    """
    text, errors = said(failure), errors_of(failure)
    if _NO_ENGINE.search(errors) and not engine_runs(here.environ) and real(failure, sources):
        return Missing(
            "service", "container engine", "no container engine runs here (start docker or podman before the run)"
        )
    refused, cut = _REFUSED.search(errors), _UNRESOLVED.search(errors) or _CUT_OFF.search(errors)
    if not (refused or cut) or not real(failure, sources):
        return None
    declared = sources.once("declared", lambda: tuple(_declared(sources.tree)))
    if not refused:
        return _unreachable(errors, text, declared, here)
    port = _port(errors, text)
    if port is None:
        return None
    usual = WELL_KNOWN.get(port)
    on_port = [d for d in declared if d.service.on(port)]
    own = min(on_port, key=lambda d: (not d.compose, usual is None or usual.name not in d.service.name), default=None)
    known = (own.service.known if own else None) or usual
    if (own is None and known is None) or _own_server(port, sources) or _was_started(known, own, here):
        return None
    if here.listening(port):
        why = f"port {port} is served on this machine, but this check's network is its own"
        return None if here.network else Missing("port", str(port), why, "network = true")
    return _missing_service(port, known, own, sources, here)


def _declared(tree: Path) -> Iterator[_Declared]:
    for file in compose_files(tree):
        for service in read_compose(file).services:
            yield _Declared(service, file.relative_to(tree).as_posix(), compose=True)
    for file in workflow_files(tree):
        for service in workflow_services(file):
            yield _Declared(service, file.relative_to(tree).as_posix(), compose=False)


def _port(errors: str, text: str) -> int | None:
    """The port of the loopback that refused: on a line that says so, else the only one in the text, else the client's usual one."""
    for pattern, name in _SOCKETS:
        if match := pattern.search(errors):
            return int(match[1] or _BY_NAME[name].port)
    telling = [line for line in errors.splitlines() if _REFUSED.search(line)]
    near = {port for line in telling for port in _ports(line)}
    if not near and any(_ELSEWHERE.search(line) for line in telling):
        return None  # another machine's
    if not near:
        near = set(_ports(text))
    if len(near) == 1:
        return near.pop()
    clients = {name for name, pattern in _CLIENTS if re.search(pattern, text)}
    return _BY_NAME[clients.pop()].port if not near and len(clients) == 1 else None


def _ports(text: str) -> Iterator[int]:
    for pattern in _LOCAL_PORTS:
        yield from (int(found) for found in pattern.findall(text))


def _was_started(known: Known | None, own: _Declared | None, here: Here) -> bool:
    """Whether `services.up` has brought this very service up: then it was there, and refused."""
    command = here.check.services_up
    names = {own.service.name} if own else set()
    names |= {known.name, known.program, *known.images} - {""} if known else set()
    whole = bool(own and own.compose and re.search(r"compose\b.*\bup\b(?:\s+-\S+)*\s*$", command))
    return whole or any(re.search(rf"\b{re.escape(name)}\b", command) for name in names)


def _own_server(port: int, sources: Sources) -> bool:
    """Whether the tree has a server of its own for this port: then its silence may be the code's fault."""
    pattern = re.compile(_LISTENS.format(port=port))
    return sources.once(
        f"server {port}", lambda: any(pattern.search(sources.text(path)) for path in sources.holding(str(port)))
    )


def _missing_service(port: int, known: Known | None, own: _Declared | None, sources: Sources, here: Here) -> Missing:
    name = own.service.name if own else known.name if known else ""
    what = f"{name} on port {port}"
    silent = f"nothing listens on port {port}"
    if own and own.compose and (here.has("docker") or not (known and known.up and here.has(known.program))):
        hint = "" if here.has("docker") else "; docker is not installed here"
        return Missing(
            "service", what, f"{silent}, where {own.path} has service {name}{hint}", _compose_lines(own, here)
        )
    if known and known.up and here.has(known.program):
        lines, how = _installed_lines(known, port, sources, here)
        return Missing(
            "service", what, f"{silent}, which is {known.name}'s; {known.program} is installed here{how}", lines
        )
    if own:
        return Missing("service", what, f"{silent}, where {own.path} has service {name} (start it by services.up)")
    return Missing("service", what, f"{silent}, which is {name}'s (start one by services.up, or before the run)")


def _compose_lines(own: _Declared, here: Here) -> str:
    folder = Path(here.check.workdir)
    place = Path(own.path)
    default = place.parent in (folder, *folder.parents) and place.name in (
        "compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml",
    )  # fmt: skip
    shown = "" if default else f" -f {'../' * len(folder.parts)}{own.path}"
    up = toml("services.up", f"docker compose{shown} up -d --wait {own.service.name}")
    return f"{up}\n{toml('services.down', f'docker compose{shown} down -v')}"


def _installed_lines(known: Known, port: int, sources: Sources, here: Here) -> tuple[str, str]:
    """How to start what is installed: on a port of the worktree's own where the tree reads its address from a variable."""
    words = re.compile(rf"{known.name}|{'|'.join(known.images)}|CACHE|BROKER", re.IGNORECASE)
    reads = sources.once(
        f"reads {known.name}",
        lambda: mentioned_variables({path: text for path in sources.paths if words.search(text := sources.text(path))}),
    )
    for ending, value in (("_URL", known.url), ("_URI", known.url), ("_DSN", known.url), ("_PORT", "{port}")):
        for name in sorted(reads):
            if value and name.upper().endswith(ending) and words.search(name):
                run = toml("run", f"{name}={value} {here.check.run}")
                return f"{toml('services.up', known.up)}\n{run}", f", and {reads[name][0]} reads {name}"
    return toml("services.up", known.up.format(port=port)), ""


def _unreachable(errors: str, text: str, declared: tuple[_Declared, ...], here: Here) -> Missing | None:
    hosts = _hosts(errors, text)
    host = hosts.pop() if len(hosts) == 1 else ""
    if own := next((d for d in declared if host and d.service.name == host), None):
        why = f"{host!r} is a service of {own.path}, whose name is known inside its network only"
        return Missing("service", host, why, _compose_lines(own, here) if own.compose else "")
    if not host or "." not in host or _NOWHERE.search(host):
        return None
    if not here.network:
        return Missing("network", host, f"{host} cannot be reached: this check's network is off", "network = true")
    if _CUT_OFF.search(errors):
        return Missing("network", host, f"{host} cannot be reached from this machine (run it where there is a network)")
    return None


def _hosts(errors: str, text: str) -> set[str]:
    """Hosts that lines about the failure name; where those name none, hosts of the whole text."""
    telling = [line for line in errors.splitlines() if _UNRESOLVED.search(line) or _CUT_OFF.search(line)]
    for part, patterns in (("\n".join(telling), (*_HOSTS, *_SENT_TO)), (text, _SENT_TO)):
        for pattern in patterns:
            if found := {host.lower() for host in pattern.findall(part)}:
                return found
    return set()
