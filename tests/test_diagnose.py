"""What a red test lacks, read from what real clients and runners said; and bugs, which are never explained away."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.checks.running import believed, plant, run_in
from tests.diagnosing import DATA, WANTED, here, lacks
from zwarm_ci.diagnose import explain
from zwarm_ci.task import Check, Failure

REDIS, POSTGRES, MYSQL, ELASTIC = ("redis", 6379), ("db", 5432), ("mysql", 3306), ("elasticsearch", 9200)
SERVICES = {
    "python-put": REDIS, "python-redis-async": REDIS, "python-celery": REDIS, "python-plain-redis-port": REDIS, "python-psycopg2": POSTGRES,
    "python-psycopg3": POSTGRES, "python-psycopg2-socket": POSTGRES, "python-sqlalchemy-pg": POSTGRES, "python-asyncpg": POSTGRES,
    "python-mysql-py": MYSQL, "python-mysql-connector": MYSQL, "python-mongo": ("mongo", 27017), "python-rabbit": ("rabbitmq", 5672),
    "python-amqp-celery": ("rabbitmq", 5672), "python-memcached": ("memcached", 11211), "python-elastic": ELASTIC, "python-opensearch": ELASTIC,
    "python-kafka": ("kafka", 9092), "python-smtp": ("smtp", 1025), "python-requests-local": ("web", 8000), "python-httpx-local": ("web", 8000),
    "python-urllib-local": ("web", 8000), "python-grpc": ("grpc", 50051), "node-redis": REDIS, "node-pg": POSTGRES, "node-axios": ("web", 8000),
    **{f"{runner}-{client}": service for runner in ("jest", "vitest") for client, service in {
        "redis": REDIS, "net": REDIS, "pg": POSTGRES, "sequelize": POSTGRES, "mysql2": MYSQL, "mongodb": ("mongo", 27017), "axios": ("web", 8000),
        "amqplib": ("rabbitmq", 5672), "elastic": ELASTIC, "kafkajs": ("kafka", 9092), "fetch-refused": ("couchdb", 5984)}.items()},
}  # fmt: skip
HOST = "api.shop-service.com"
REST = {
    "python-psycopg2-dns": ("service", "db"), "python-requests-dns": ("network", HOST), "python-httpx-dns": ("network", HOST),
    "python-urllib-dns": ("network", HOST), "python-sock-dns": ("network", HOST), "python-unreachable": ("network", "192.0.2.1"),
    "python-requests-ip": ("network", "192.0.2.1"), "python-env-key": ("variable", "DATABASE_URL"), "python-env-config": ("variable", "DATABASE_URL"),
    "python-env-assert": ("credentials", "SHOP_TOKEN"), "python-django-env": ("credentials", "SECRET_KEY"),
    "python-pydantic-env": ("variable", "STRIPE_KEY"), "python-aws-no-credentials": ("credentials", "AWS_ACCESS_KEY_ID"),
    "python-ffmpeg": ("program", "ffmpeg"), "python-ffmpeg-async": ("program", "ffmpegx"), "python-ffmpeg-shell": ("program", "ffmpegx"),
    "python-ffmpeg-which": ("program", "ffmpegx"), "python-module": ("module", "numpyx"), "python-config-decouple": ("module", "starlette"),
    "python-open-data": ("file", "data/model.bin"),
    **{f"{runner}-{what}": answer for runner in ("jest", "vitest", "node") for what, answer in {
        "fetch-dns": ("network", HOST), "spawn": ("program", "ffmpegx"), "env": ("variable", "DATABASE_URL")}.items()},
    **{f"{runner}-{what}": answer for runner in ("jest", "vitest") for what, answer in {
        "axios-dns": ("network", HOST), "module": ("module", "left-pad-x"), "file": ("file", "data/big.json")}.items()},
}  # fmt: skip
#: What says too little, or what the code may be to blame for.
NOTHING = {
    "python-mocked", "python-double", "jest-mocked", "vitest-mocked", "node-mocked", "python-refused-own", "python-s3", "python-env-dict",
    "python-env-none", "python-module-own", "python-module-own-name", "python-redis-dns", "python-open-abs", "python-pip-net", "jest-own",
    "vitest-own",
}  # fmt: skip


def test_every_record_has_an_answer() -> None:
    names = {path.stem for path in DATA.glob("*.txt")}
    assert len(names) > 90
    assert names == {*SERVICES, *REST, *NOTHING}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_that_does_not_run(name: str, tmp_path: Path) -> None:
    service, port = SERVICES[name]
    found = lacks(name, tmp_path / "a", WANTED)
    assert found
    assert (found.kind, found.what) == ("service", f"{service} on port {port}")
    assert f"nothing listens on port {port}" in found.why
    assert lacks(name, tmp_path / "b", WANTED, here(listens={port}, network=True)) is None
    shut_off = lacks(name, tmp_path / "c", WANTED, here(listens={port}))
    assert shut_off
    assert (shut_off.kind, shut_off.config) == ("port", "network = true")
    started = Check("tests", "pytest", services_up=f"./start {service}")
    assert lacks(name, tmp_path / "d", WANTED, here(started)) is None
    own = {**WANTED, "src/server.py": f"def main():\n    sock.bind(('', {port}))\n"}
    assert lacks(name, tmp_path / "e", own) is None


@pytest.mark.parametrize("name", REST)
def test_what_else_is_missing(name: str, tmp_path: Path) -> None:
    top = plant(tmp_path / "top", {"data/model.bin": "", "data/big.json": ""})
    found = lacks(name, tmp_path / "a", WANTED, here(top=top, ignored={"data/model.bin", "data/big.json"}))
    assert found
    assert (found.kind, found.what) == REST[name]
    assert found.why
    assert lacks(name, tmp_path / "b", {}, here(network=True)) is None or name in CERTAIN


#: A name server that does not answer, no way out, a program that everybody knows: certain without any other word for it.
CERTAIN = {
    "python-ffmpeg",
    "python-unreachable",
    "python-requests-ip",
    *(n for n in REST if n.endswith("dns") and REST[n][0] == "network"),
}


@pytest.mark.parametrize("name", sorted(NOTHING))
def test_what_the_code_may_be_to_blame_for(name: str, tmp_path: Path) -> None:
    assert lacks(name, tmp_path / "a", WANTED, here(top=tmp_path / "top")) is None


BUGS = {
    ".env.example": "DATABASE_URL=\n",
    "Dockerfile": "RUN apt-get install ffmpeg\n",
    "shop/__init__.py": "",
    "shop/app.py": """
import json, os, socket, subprocess
def load(client):
    return client.get("x")
def settings():
    if os.getenv("DATABASE_URL"):  # inverted
        raise RuntimeError("DATABASE_URL is not set")
def misspelt():
    return os.environ["DATABSE_URL"]
def default():
    return os.environ["SHOP_PORT"]  # was .get("SHOP_PORT", 80)
def slip():
    import jsn
def read():
    return open("data/modle.bin").read()
def build():
    os.makedirs("build", exist_ok=True)
def program():
    subprocess.run(["ffmpgeg"])
def fetch(url="https://api.shop.invalid/"):
    import urllib.request
    return urllib.request.urlopen(url)
def typo():
    return socket.create_connection(("localhsot", 80))
def serve():
    return socket.create_server(("127.0.0.1", 5672))
def ask(port):
    return socket.create_connection(("127.0.0.1", port), timeout=5)
def told(error):
    return f"{error}"
def missing():
    raise KeyError("DATABASE_URL")
""",
    "tests/test_app.py": """
import json, socket
from unittest import mock
import pytest
from shop import app
REFUSED = "Error 111 connecting to localhost:6379. Connection refused."
def test_falls_back():
    client = mock.Mock()
    client.get.side_effect = ConnectionError(REFUSED)
    assert app.load(client) is None
class Down:
    def get(self, key):
        raise ConnectionError(REFUSED)
def test_falls_back_too():
    assert app.load(Down()) is None
def test_settings(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "x")
    assert app.settings() is None
def test_misspelt(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "x")
    assert app.misspelt() == "x"
def test_default():
    assert app.default() == 80
def test_slip():
    app.slip()
def test_read():
    assert app.read() == ""
def test_build():
    app.build()
    assert open("build/out.json").read() == "{}"
def test_program():
    app.program()
def test_fetch():
    app.fetch()
def test_typo():
    app.typo()
def test_own_server():
    app.ask(5672)
def test_wrong_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        app.ask(server.getsockname()[1] + 1)
def test_words():
    assert app.told("refused") == REFUSED
def test_message():
    with pytest.raises(RuntimeError, match="DATABASE_URL is not set"):
        raise RuntimeError("DATABASE_URL: DATABASE_URL must be set")
def test_key():
    app.missing()
def test_dictionary():
    assert {}["DATABASE_URL"]
""",
}


def test_a_bug_of_the_code_is_never_explained_away(tmp_path: Path) -> None:
    tree = plant(tmp_path / "repo", BUGS)
    result = believed(run_in(tree))
    assert len(result.failed) == 17
    assert not result.passed
    top = plant(tmp_path / "top", {**BUGS, "build/out.json": "{}", "data/model.bin": ""})
    place = here(top=top, ignored={"build/out.json", "data/model.bin", "data/modle.bin"}, network=True)
    assert explain(result.failures, tree, here=place) == {}


@pytest.mark.parametrize(
    "message",
    [
        "AssertionError: assert 'Connection refused (127.0.0.1:6379)' == 'ok'",
        "Error: expect(received).toBe(expected) connect ECONNREFUSED 127.0.0.1:6379",
        "AssertionError: Regex pattern did not match. Expected regex: 'DATABASE_URL is not set' Actual message: 'DATABASE_URL must be set'",
        "expected 'connect ECONNREFUSED 127.0.0.1:6379' to match /x/", 'got "dial tcp 127.0.0.1:6379: connect: connection refused", want nil',
        "assertion `left == right` failed left: connection refused 127.0.0.1:6379",
        "Failed: DID NOT RAISE, missing environment variable DATABASE_URL",
    ],
)  # fmt: skip
def test_what_two_values_say_is_data(message: str, tmp_path: Path) -> None:
    tree = plant(tmp_path, WANTED)
    for shape in ("AssertionError", "Error"):
        assert explain([Failure("tests", "x", message, shape=shape)], tree, here=here()) == {}


@pytest.mark.parametrize(
    ("host", "network", "kind"),
    [
        ("api.shop-service.com", False, "network"), ("api.shop-service.com", True, ""), ("api.invalid", False, ""), ("db.test", False, ""),
        ("localhsot", False, ""), ("printer.local", False, ""), ("a.example", False, ""),
    ],
)  # fmt: skip
def test_a_name_that_is_not_found(host: str, network: bool, kind: str, tmp_path: Path) -> None:
    failure = Failure("tests", "x", f"Error: getaddrinfo ENOTFOUND {host}", shape="Error")
    found = explain([failure], tmp_path, here=here(network=network)).get("x")
    assert (found.kind if found else "") == kind


def test_the_line_of_config_for_a_service(tmp_path: Path) -> None:
    redis = "services:\n  cache: {image: 'redis:7', ports: ['6379:6379']}\n"
    reads = {"src/x.py": "import os\nurl = os.environ.get('REDIS_URL', 'redis://localhost')\n"}
    program = plant(tmp_path / "bin", {"redis-server": "", "docker": ""})
    for name in ("redis-server", "docker"):
        (program / name).chmod(0o755)
    both, check = {"PATH": str(program)}, Check("tests", "pytest -q", "pytest", workdir="packages/a")

    def config(files: Mapping[str, str], environ: Mapping[str, str]) -> str:
        found = lacks("python-put", tmp_path / str(len(list(tmp_path.iterdir()))), files, here(check, environ=environ))
        assert found
        return found.config

    assert config({"compose.yaml": redis}, both) == (
        'services.up = "docker compose up -d --wait cache"\nservices.down = "docker compose down -v"'
    )
    assert "-f ../../ci/docker-compose.test.yml up -d --wait cache" in config(
        {"ci/docker-compose.test.yml": redis}, both
    )
    (program / "docker").unlink()
    literal = "services.up = \"redis-server --port 6379 --save '' --daemonize yes\""
    assert config({}, both) == literal
    assert config({"compose.yaml": redis}, both) == literal
    up = "services.up = \"redis-server --port {port} --save '' --daemonize yes\""
    assert config(reads, both) == f'{up}\nrun = "REDIS_URL=redis://127.0.0.1:{{port}}/0 pytest -q"'
    assert (
        config({"src/x.js": "connect(process.env.REDIS_PORT)"}, both) == f'{up}\nrun = "REDIS_PORT={{port}} pytest -q"'
    )
    assert "docker compose up" in config({"compose.yaml": redis}, {"PATH": ""})
    assert config({}, {"PATH": ""}) == ""
    workflow = {
        ".github/workflows/ci.yml": "jobs:\n  t:\n    services:\n      queue: {image: redis, ports: ['6379:6379']}\n"
    }
    found = lacks("python-put", tmp_path / "w", workflow, here(check, environ={"PATH": ""}))
    assert found
    assert found.what == "queue on port 6379"
    assert ".github/workflows/ci.yml has service queue" in found.why


def test_a_name_of_composes_network(tmp_path: Path) -> None:
    found = lacks("python-redis-dns", tmp_path, {"docker-compose.yml": "services:\n  redis: {image: redis}\n"})
    assert found
    assert (found.kind, found.what) == ("service", "redis")
    assert 'services.up = "docker compose up -d --wait redis"' in found.config
