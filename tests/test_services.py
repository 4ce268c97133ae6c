"""What a worktree has for itself: ports and names; and which checks need something that there is only once."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.checks.running import plant
from zwarm_ci.errors import ConfigError
from zwarm_ci.services import PORTS, WELL_KNOWN, Slot, Slots, fill, read_compose, slots, why_exclusive
from zwarm_ci.services.compose import interpolate
from zwarm_ci.task import Check


def block(slot: Slot) -> set[int]:
    return set(range(slot.port_base, slot.port_base + PORTS))


def test_the_lowest_free_number_comes_first() -> None:
    some = Slots("a run of three")
    taken = [some.take() for _ in range(3)]
    assert [s.number for s in taken] == [0, 1, 2]
    some.give_back(taken[1])
    again = some.take()
    assert again.number == 1
    assert not block(again) & (block(taken[0]) | block(taken[2]))
    for slot in (taken[0], again, taken[2]):
        some.give_back(slot)


def test_slots_of_all_runs_of_a_machine_never_share_a_port() -> None:
    runs = [Slots("the same name"), Slots("the same name"), Slots("another")]
    start = threading.Barrier(6)

    def take(some: Slots) -> list[Slot]:
        start.wait()
        return [some.take() for _ in range(5)]

    with ThreadPoolExecutor(6) as pool:
        taken = [slot for found in pool.map(take, [*runs, *runs]) for slot in found]
    blocks = [block(s) for s in taken]
    assert len(set.union(*blocks)) == 30 * PORTS
    low, high = slots._ephemeral()
    for ports in blocks:
        assert not ports & set(range(low, high + 1))
        assert not ports & set(WELL_KNOWN)
        assert max(ports) < 65536
    for some in runs:
        some.close()
    with Slots("the same name").held() as slot:
        assert slot.number == 0
        assert block(slot) in blocks


def test_a_block_with_a_port_in_use_is_passed_over() -> None:
    some = Slots("a run beside a busy port")
    with some.held() as slot, socket.socket() as busy:
        some.give_back(slot)
        busy.bind(("127.0.0.1", slot.port_base + PORTS - 1))
        busy.listen()
        with some.held() as other:
            assert other.number == 0
            assert not block(other) & block(slot)


def test_a_slot_goes_back_when_its_block_is_left() -> None:
    some = Slots("a run that comes back")
    with some.held() as slot:
        pass
    with some.held() as again:
        assert again == slot


@pytest.mark.parametrize(
    ("low", "high", "fits"),
    [(32768, 60999, True), (1024, 30000, True), (20000, 65535, True), (1024, 65535, False)],
)
def test_blocks_lie_outside_what_the_kernel_hands_out(low: int, high: int, fits: bool) -> None:
    found = slots._blocks(low, high)
    assert found
    assert all(base > high or base + PORTS <= low for base in found) == fits
    assert not {port for base in found for port in range(base, base + PORTS)} & set(WELL_KNOWN)


def test_the_variables_of_a_slot() -> None:
    slot = Slot(2, 24000, "zwarm-0123456789-2")
    assert slot.variables() == {
        "COMPOSE_PROJECT_NAME": "zwarm-0123456789-2",
        "ZWARM_SLOT": "2",
        "ZWARM_PORT_BASE": "24000",
    }


@pytest.mark.parametrize("run", ["20260101-120000-ab12", "Übung /x", "", "r" * 300])
def test_project_names_are_what_compose_takes(run: str) -> None:
    with Slots(run).held() as slot:
        assert slot.project.replace("-", "").isalnum()
        assert slot.project.isascii()
        assert slot.project == slot.project.lower()
        assert slot.project.startswith("zwarm-")
        assert len(slot.project) < 40


@pytest.mark.parametrize(
    ("command", "filled"),
    [
        ("redis-server --port {port}", "redis-server --port 24000"),
        ("x {port+1} {port+19} {slot}", "x 24001 24019 3"),
        ("pytest -k '{a}' {ports} {port } {junit} {port-1} ${port}", "pytest -k '{a}' {ports} {port } {junit} {port-1} $24000"),
    ],
)  # fmt: skip
def test_places_are_filled_and_other_braces_stay(command: str, filled: str) -> None:
    assert fill(command, Slot(3, 24000, "p")) == filled


def test_a_port_past_the_block_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\{port\+20\}.*20 ports") as caught:
        fill("x {port+20}", Slot(0, 24000, "p"))
    assert "{port+19}" in caught.value.remedy


# -- who may run beside others

REDIS = "services:\n  redis:\n    image: redis:7\n    ports:\n      - {}\n"
UP = "docker compose up -d --wait"


def why(tree: Path, files: Mapping[str, str], *, up: str = UP, run: str = "pytest", **more: str) -> str:
    tree.mkdir(exist_ok=True)
    return why_exclusive(Check("tests", run, services_up=up, **more), plant(tree, files))  # type: ignore[arg-type] # only texts


@pytest.mark.parametrize(
    "port",
    [
        '"6379:6379"', "6379:6379", '"127.0.0.1:5432:5432"', '"6379:6379/tcp"', "2222:22", "22:22", '"[::1]:80:80"', '"3000-3005:3000-3005"',
        "{target: 80, published: 8080}", '{target: 80, published: "8080"}', '"${PORT:-6379}:6379"', '"${NOT_SET-}6379:6379"',
    ],
)  # fmt: skip
def test_a_literal_host_port_is_there_once(tmp_path: Path, port: str) -> None:
    assert "compose.yaml: service redis has the fixed host port" in why(tmp_path, {"compose.yaml": REDIS.format(port)})


@pytest.mark.parametrize(
    "port",
    [
        '"6379"', "6379", '"${PORT:-0}:6379"', '"0:80"', '"127.0.0.1::5432"', '"${NOT_SET}:6379"', "{target: 80}", '{target: 80, published: "0"}',
        '"${ZWARM_PORT_BASE:-6379}:6379"', '"${ZWARM_PORT_BASE}:6379"', '"3000-3005"', "null", "[]",
    ],
)  # fmt: skip
def test_a_chosen_host_port_is_not(tmp_path: Path, port: str) -> None:
    assert why(tmp_path, {"compose.yaml": REDIS.format(port)}) == ""


def test_a_variable_is_what_it_is_set_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"compose.yaml": REDIS.format('"${REDIS_PORT:-6379}:6379"')}
    assert "fixed host port 6379 (write" in why(tmp_path, files)
    assert why(tmp_path, files, up=f"REDIS_PORT={{port}} {UP}") == ""
    assert why(tmp_path, files, up=f"env REDIS_PORT={{port+1}} {UP}") == ""
    assert "port 7000" in why(tmp_path, files, up=f"REDIS_PORT=7000 {UP}")
    assert "fixed host port 7001" in why(tmp_path, {**files, ".env": "export REDIS_PORT='7001'\n"})
    monkeypatch.setenv("REDIS_PORT", "7002")
    check = Check("tests", "pytest", services_up=UP, env=("REDIS_PORT",))
    assert "fixed host port 7002" in why_exclusive(check, tmp_path)


@pytest.mark.parametrize(
    ("name", "once"),
    [
        ("shop-redis", True),
        ("${NAME:-shop}", True),
        ("shop-${ZWARM_SLOT}", False),
        ("${COMPOSE_PROJECT_NAME}-r", False),
    ],
)
def test_a_literal_container_name_is_there_once(tmp_path: Path, name: str, once: bool) -> None:
    said = why(tmp_path, {"docker-compose.yml": f"services:\n  r:\n    image: redis\n    container_name: {name}\n"})
    assert ("container_name" in said) == once


def test_only_the_services_that_are_started_count(tmp_path: Path) -> None:
    text = (
        "services:\n"
        "  db: {image: postgres, ports: ['5432']}\n"
        "  web: {image: shop, ports: ['8080:80'], depends_on: {db: {condition: service_started}}}\n"
        "  test: {image: shop, depends_on: [web]}\n"
    )
    files = {"compose.yaml": text}
    assert why(tmp_path, files, up=f"{UP} db") == ""
    assert "service web" in why(tmp_path, files, up=f"{UP} test")
    assert "service web" in why(tmp_path, files)


def test_compose_files_are_those_that_compose_reads(tmp_path: Path) -> None:
    fixed, free = REDIS.format('"6379:6379"'), REDIS.format('"6379"')
    files = {"compose.yaml": free, "ci/test.yml": fixed, "sub/x.txt": "", "docker-compose.dev.yml": fixed}
    assert why(tmp_path / "a", files) == ""
    assert "ci/test.yml" in why(tmp_path / "a", files, up="docker compose -f ci/test.yml up -d")
    assert "ci/test.yml" in why(tmp_path / "a", files, up="docker-compose --file=ci/test.yml up -d")
    assert "ci/test.yml" in why(tmp_path / "a", files, up="COMPOSE_FILE=compose.yaml:ci/test.yml docker compose up")
    assert "compose.override.yml" in why(tmp_path / "b", {**files, "compose.override.yml": fixed})
    assert "docker-compose.yml" in why(tmp_path / "c", {"docker-compose.yml": fixed, "sub/x": ""}, workdir="sub")
    included = {"compose.yaml": "include:\n  - ci/a.yml\n", "ci/a.yml": "include: [{path: b.yml}]\n", "ci/b.yml": fixed}
    assert "ci/b.yml" in why(tmp_path / "d", included)
    extends = "services:\n  r:\n    extends: {file: ci/b.yml, service: redis}\n"
    assert "ci/b.yml" in why(tmp_path / "e", {"compose.yaml": extends, "ci/b.yml": fixed})
    assert why(tmp_path / "f", {"compose.yaml": "include: [compose.yaml]\n"}) == ""


def test_compose_counts_only_where_it_is_used(tmp_path: Path) -> None:
    files = {
        "compose.yaml": REDIS.format('"6379:6379"'),
        "up.sh": "#!/bin/sh\ndocker compose up -d\n",
        "none.sh": "true\n",
    }
    files["Makefile"] = "up:\n\tdocker-compose up -d\n"
    assert why(tmp_path, files, up="") == ""
    assert why(tmp_path, files, up="./none.sh") == ""
    for up in ("./up.sh", "bash up.sh", "make up"):
        assert "fixed host port" in why(tmp_path, files, up=up)
    assert "fixed host port" in why(tmp_path, files, up="", run="docker compose run --rm test pytest")


@pytest.mark.parametrize(
    ("text", "why_not"),
    [
        ("services: [\n", "line 2"), ("a: b: c\n", "line 1"), ("- 1\n", "no mapping"), ("[" * 5000, ""), ("\0", ""), ("", "no mapping"),
        ("a: &a [*a]\nservices: {x: !thing {y: 1}}\nb: *nowhere\n", "undefined alias"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said(tmp_path: Path, text: str, why_not: str) -> None:
    said = why(tmp_path, {"compose.yaml": text})
    assert said.startswith("compose.yaml cannot be read")
    assert why_not in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "text",
    [
        "services: []\n", "services: {a: 1, b: null, 3: {ports: x}}\n", "services: {a: {ports: [[], {}, true, 1.5], container_name: 7}}\n",
        "services: {a: {ports: !reset [], container_name: !reset null}}\n", "volumes: 1\ninclude: x\n", "x: 2024-13-45\nservices: {}\n",
    ],
)  # fmt: skip
def test_odd_files_are_no_reason_to_stop(tmp_path: Path, text: str) -> None:
    said = why(tmp_path, {"compose.yaml": text})
    assert said == "" or "container_name '7'" in said


def test_merge_keys_and_names_of_volumes(tmp_path: Path) -> None:
    merged = "x-base: &base {ports: ['6379:6379']}\nservices:\n  r:\n    <<: *base\n    image: redis\n"
    assert "fixed host port 6379" in why(tmp_path / "a", {"compose.yaml": merged})
    for volume, shared in (
        ("{name: pgdata}", True),
        ("{external: true}", True),
        ('{name: "d-${ZWARM_SLOT}"}', False),
        ("{}", False),
    ):
        said = why(tmp_path / "b", {"compose.yaml": f"services: {{}}\nvolumes: {{data: {volume}}}\n"})
        assert ("is shared by every project" in said) == shared
    host = "services: {a: {image: x, network_mode: host}}\n"
    assert "network of the host" in why(tmp_path / "c", {"compose.yaml": host})


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("redis-server --port 6379", "port 6379"), ("redis-server --port=6379", "port 6379"), ("postgres -p 5432", "port 5432"),
        ("gunicorn app -b :8000", "port 8000"), ("gunicorn -b 0.0.0.0:8000 app", "port 8000"), ("PORT=3000 npm start", "port 3000"),
        ("REDIS_URL=redis://localhost:6379/0 pytest", "port 6379"), ("python manage.py runserver 8000", "port 8000"),
        ("python -m http.server 8001", "port 8001"), ("docker run -d -p 8080:80 nginx", "port 8080"),
        ("docker run -p127.0.0.1:99:80 nginx", "port 99"),
        ("docker run --publish=5432:5432 postgres", "port 5432"), ("docker run --name shop-db postgres", "'shop-db'"),
        ("docker compose -p shop up -d", "'shop'"), ("docker compose --project-name=shop up", "'shop'"),
        ("redis-server --port {port}", ""), ("pytest -p no:cacheprovider -n 4 -p xdist", ""), ("go test -p 4 ./...", ""),
        ("docker run -p 80 nginx", ""), ("docker run -p 0:80 redis:7000", ""), ("docker run -p {port}:80 nginx", ""),
        ("docker run --name db-{slot} postgres", ""), ("docker compose -p shop-{slot} up", ""), ("pytest tests/test_a.py::test_b", ""),
        ("PORT={port} npm start", ""), ("pytest --timeout 3000", ""), ("memcached -l 127.0.0.1 -p {port+2}", ""), ("pytest | tee 'x", ""),
    ],
)  # fmt: skip
def test_a_port_in_the_command_is_there_once(tmp_path: Path, command: str, said: str) -> None:
    for found in (why(tmp_path, {}, up=command), why(tmp_path, {}, up="", run=command)):
        assert (said in found) if said else found == "", found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$A ${A} $$A ${B} ${B:-x} ${B-x} ${E:-x} ${E-x}", "1 1 $A  x x x "), ("${B:-${C:-${A}}}", "1"), ("${A:+y}${B:+y}${E+z}", "yz"),
        ("${B:?must be set} ${A:?no}", " 1"), ("$ ${ $1 ${1}", "$ ${ $1 ${1}"),
    ],
)  # fmt: skip
def test_variables_are_filled_in_as_compose_does(text: str, value: str) -> None:
    assert interpolate(text, {"A": "1", "E": ""}) == value


def test_a_service_knows_its_port(tmp_path: Path) -> None:
    text = "services: {a: {image: 'bitnami/redis:7.2@sha256:00'}, b: {image: postgres, ports: ['15432:5432']}, c: {image: shop}}\n"
    a, b, c = read_compose(plant(tmp_path, {"c.yml": text}) / "c.yml").services
    assert [s.known.name if s.known else "" for s in (a, b, c)] == ["redis", "postgres", ""]
    assert (a.on(6379), b.on(15432), b.on(5432), c.on(80)) == (True, True, False, False)
