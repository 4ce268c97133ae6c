"""Services by their usual ports, and who listens: read from /proc (proc(5)), or tried by connecting."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_LISTEN = "0A"  # state of a TCP socket in /proc/net/tcp (include/net/tcp_states.h)
_ACCEPTING = 0x10000  # flag of a unix socket in /proc/net/unix (__SO_ACCEPTCON)
_ENGINE = "/var/run/docker.sock"
_CONNECT_SECONDS = 0.5  # loopback answers at once, or not at all


@dataclass(frozen=True, slots=True)
class Known:
    """A service that many repositories need.

    Attributes:
        name: what people call it.
        port: its usual port.
        images: last words of the names of container images that run it.
        up: command that starts it from what is installed, on `{port}`; "" = it needs more than one command.
        url: its address as clients write it, on `{port}`; "" = there is no common form.
    """

    name: str
    port: int
    images: tuple[str, ...]
    up: str = ""
    url: str = ""

    @property
    def program(self) -> str:
        """What `up` starts."""
        return self.up.partition(" ")[0]


#: Ports that applications take for themselves (3000, 5000, 8000, 8080, 9000) are no service's.
KNOWN = (
    Known("redis", 6379, ("redis", "valkey", "keydb", "redis-stack", "redis-stack-server"),
          "redis-server --port {port} --save '' --daemonize yes", "redis://127.0.0.1:{port}/0"),
    Known("postgres", 5432, ("postgres", "postgresql", "postgis", "pgvector", "timescaledb")),
    Known("mysql", 3306, ("mysql", "mysql-server", "mariadb", "percona-server")),
    Known("mongo", 27017, ("mongo", "mongodb", "mongodb-community-server")),
    Known("rabbitmq", 5672, ("rabbitmq",)),
    Known("memcached", 11211, ("memcached",), "memcached -l 127.0.0.1 -p {port} -u nobody", "127.0.0.1:{port}"),
    Known("elasticsearch", 9200, ("elasticsearch", "opensearch")),
    Known("kafka", 9092, ("kafka", "cp-kafka", "redpanda")),
    Known("zookeeper", 2181, ("zookeeper", "cp-zookeeper")),
    Known("etcd", 2379, ("etcd",)),
    Known("consul", 8500, ("consul",)),
    Known("vault", 8200, ("vault",)),
    Known("nats", 4222, ("nats",)),
    Known("mqtt", 1883, ("eclipse-mosquitto", "emqx")),
    Known("cassandra", 9042, ("cassandra", "scylla")),
    Known("clickhouse", 8123, ("clickhouse", "clickhouse-server")),
    Known("neo4j", 7687, ("neo4j",)),
    Known("couchdb", 5984, ("couchdb",)),
    Known("influxdb", 8086, ("influxdb",)),
    Known("mssql", 1433, ("server", "azure-sql-edge")),
    Known("solr", 8983, ("solr",)),
    Known("cockroach", 26257, ("cockroach",)),
    Known("qdrant", 6333, ("qdrant",)),
    Known("milvus", 19530, ("milvus",)),
    Known("meilisearch", 7700, ("meilisearch",)),
    Known("localstack", 4566, ("localstack",)),
    Known("temporal", 7233, ("temporal", "auto-setup")),
    Known("selenium", 4444, ("selenium", "standalone-chrome", "standalone-firefox")),
    Known("smtp", 1025, ("mailhog", "mailpit", "maildev", "smtp4dev")),
)  # fmt: skip
WELL_KNOWN = {known.port: known for known in KNOWN}


def known_by_image(image: str) -> Known | None:
    """The service that a container image (`bitnami/redis:7`) runs."""
    name = image.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()
    return next((known for known in KNOWN if name in known.images), None)


def listening(port: int) -> bool:
    """Whether something on this machine's loopback accepts connections to `port`."""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(_CONNECT_SECONDS)
            if probe.connect_ex((address, port)) == 0:
                return True
    return False


def engine_runs(environ: Mapping[str, str]) -> bool:
    """Whether a container engine answers on the socket that docker's client would take; one at another address is believed."""
    host = environ.get("DOCKER_HOST", f"unix://{_ENGINE}")
    if not host.startswith("unix://"):
        return True
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(host.removeprefix("unix://")) == 0
    return False


def accepts(pids: Iterable[int]) -> bool:
    """Whether one of these processes waits for connections on a TCP or unix socket, in whatever network namespace it is."""
    return any(_sockets_of(pid) & _accepting(pid) for pid in pids)


def _sockets_of(pid: int) -> set[str]:
    """Inodes of the sockets that a process holds; none where it is gone or another user's."""
    found: set[str] = set()
    with contextlib.suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                target = os.readlink(entry.path)  # noqa: PTH115 - `socket:[N]` is no path
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found


def _accepting(pid: int) -> set[str]:
    """Inodes of the sockets that accept connections in the network namespace of a process."""
    found = {row[9] for name in ("tcp", "tcp6") for row in _rows(pid, name) if len(row) > 9 and row[3] == _LISTEN}
    return found | {row[6] for row in _rows(pid, "unix") if len(row) > 6 and int(row[3], 16) & _ACCEPTING}


def _rows(pid: int, name: str) -> Iterator[list[str]]:
    try:
        lines = Path(f"/proc/{pid}/net/{name}").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    yield from (line.split() for line in lines[1:])
