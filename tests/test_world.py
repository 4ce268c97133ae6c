"""A run where tests reach for the world: network, services, ports, variables, the checkout itself."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import Repo, Said, belongings, zwarm

PYPROJECT = '[tool.pytest.ini_options]\ntestpaths = ["tests"]\npythonpath = ["."]\n'
GOOD = "def double(x):\n    return x * 2\n"
BAD = "def double(x):\n    return x + 2\n"
DOUBLE = "from code_under import double\n\n\ndef test_double():\n    assert double(5) == 10\n"
NOT_CI = {"CI": "", "GITHUB_ACTIONS": ""}


def project(folder: Path, more: dict[str, str], *, bad: bool = True) -> Repo:
    """A project whose last commit breaks `double`, with `more` files."""
    repo = Repo.make(
        folder, {"pyproject.toml": PYPROJECT, "code_under.py": GOOD, "tests/test_double.py": DOUBLE, **more}
    )
    if bad:
        repo.commit("faster", {"code_under.py": BAD})
    return repo


def statuses(said: Said) -> dict[str, str]:
    """Task status by its first failure's last part."""
    return {t["failures"][0].rpartition("::")[2]: t["status"] for t in said.json["tasks"]}


def evidence(repo: Repo, said: Said) -> dict[str, Any]:
    """The evidence of the first task that was fixed."""
    fixed = next(t for t in said.json["tasks"] if t["status"] == "fixed")
    found: dict[str, Any] = json.loads((repo.path / ".zwarm/runs/latest" / fixed["evidence"]).read_text())
    return found


@pytest.fixture
def outside() -> Iterator[int]:
    """A server on the machine's own loopback, which is outside of what a check reaches without the network: its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.sendall(b"hello")
                connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


ASKS = (
    "import socket\n\n\ndef test_asks():\n    with socket.create_connection(('127.0.0.1', {port}), 5) as s:\n"
    "        assert s.recv(5) == b'hello'\n"
)


def test_verification_has_no_network_and_the_evidence_says_so(tmp_path: Path) -> None:
    leaks = (
        "import socket\n\n\ndef test_leaks():\n    s = socket.socket()\n    s.settimeout(3)\n"
        "    assert s.connect_ex(('192.0.2.1', 9)) == 101\n\n\n"
        "def test_loopback():\n    with socket.create_server(('127.0.0.1', 0)) as server:\n"
        "        socket.create_connection(server.getsockname(), 5).close()\n"
    )
    repo = project(tmp_path / "p", {"tests/test_leaks.py": leaks})
    said = zwarm("fix-tests", "--json", cwd=repo.path)
    assert said.code == 0, said.out + said.err
    assert statuses(said) == {"test_double": "fixed"}
    network = evidence(repo, said)["assurance"]["network"]
    assert network["tests"].startswith("off ("), network


def test_what_is_red_without_the_network_alone_is_run_with_it_and_the_evidence_says_so(
    tmp_path: Path, outside: int
) -> None:
    repo = project(tmp_path / "p", {"tests/test_asks.py": ASKS.format(port=outside)})
    said = zwarm("fix-tests", "--json", cwd=repo.path)
    assert said.code == 0, said.out + said.err
    assert statuses(said) == {"test_double": "fixed"}
    assert evidence(repo, said)["assurance"]["network"] == {"tests": "on: the base is red without it"}
    assert any("network = true" in note for note in said.json["notes"])


def test_network_true_saves_the_second_run(tmp_path: Path, outside: int) -> None:
    config = '[checks.tests]\nrun = "python -m pytest"\nnetwork = true\n'
    repo = project(tmp_path / "p", {"tests/test_asks.py": ASKS.format(port=outside), ".zwarm/config.toml": config})
    said = zwarm("fix-tests", "--json", cwd=repo.path)
    assert said.code == 0, said.out + said.err
    assert evidence(repo, said)["assurance"]["network"] == {"tests": "on: network = true"}
    assert not any("ran with the network on" in note for note in said.json["notes"])


SERVER = (
    "import http.server, os, sys\n"
    "class H(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n        self.send_response(200)\n        self.end_headers()\n        self.wfile.write(b'up')\n"
    "    def log_message(self, *a): pass\n"
    "http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), H).serve_forever()\n"
)
USES = (
    "import os, urllib.request\n\n\ndef test_service():\n    port = os.environ['ZWARM_PORT_BASE']\n"
    "    assert urllib.request.urlopen(f'http://127.0.0.1:{port}/', timeout=5).read() == b'up'\n"
)


def test_services_are_up_for_each_worktree_on_ports_of_their_own_and_gone_afterwards(tmp_path: Path) -> None:
    down = tmp_path / "down"
    config = '[checks.tests]\nrun = "python -m pytest"\nservices.up = "python server.py {port}"\n'
    config += f'services.down = "touch {down}"\n'
    repo = project(tmp_path / "p", {"server.py": SERVER, "tests/test_service.py": USES, ".zwarm/config.toml": config})
    said = zwarm("fix-tests", "--json", cwd=repo.path)
    assert said.code == 0, said.out + said.err
    assert statuses(said) == {"test_double": "fixed"}
    assert evidence(repo, said)["assurance"]["network"]["tests"].startswith("off (")
    alive = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "server.py" not in alive
    assert down.exists()


def test_services_that_do_not_come_up_are_named_and_nothing_is_believed(tmp_path: Path) -> None:
    config = '[checks.tests]\nrun = "python -m pytest"\nservices.up = "python -c \'raise SystemExit(9)\'"\n'
    repo = project(tmp_path / "p", {".zwarm/config.toml": config})
    said = zwarm("fix-tests", "--json", cwd=repo.path)
    assert said.code == 4, said.out + said.err
    assert "services.up" in said.json["reason"]
    assert "ended with 9" in said.json["reason"]


def test_a_variable_that_is_set_here_and_not_handed_on_is_named_and_never_a_task(tmp_path: Path) -> None:
    test = "import os\n\n\ndef test_variable():\n    assert os.environ.get('SHOP_REGION') == 'north'\n"
    repo = project(tmp_path / "p", {"tests/test_variable.py": test})
    said = zwarm("fix-tests", "--json", cwd=repo.path, SHOP_REGION="north", **NOT_CI)
    assert statuses(said) == {"test_double": "fixed", "test_variable": "unverifiable"}
    reason = next(t["reason"] for t in said.json["tasks"] if t["status"] == "unverifiable")
    assert reason.startswith("environment: ")
    assert 'env = ["SHOP_REGION"]' in reason
    given = zwarm("fix-tests", "--json", "--set", 'checks.tests.run="python -m pytest"', "--set", 'checks.tests.env=["SHOP_REGION"]',
                  cwd=repo.path, SHOP_REGION="north", **NOT_CI)  # fmt: skip
    assert statuses(given) == {"test_double": "fixed"}


def test_what_passes_in_the_checkout_alone_is_the_environments_and_the_checkout_is_not_written(tmp_path: Path) -> None:
    test = (
        "from pathlib import Path\n\n\ndef test_place():\n    here = Path(__file__).parent\n"
        "    (here / 'was-here').write_text('x')\n    assert str(here) == {place!r}\n"
    )
    folder = tmp_path / "p"
    repo = project(folder, {"tests/test_place.py": test.format(place=str(folder / "tests"))})
    before = belongings(repo.path)
    said = zwarm("fix-tests", "--json", "--branch", "zw/b", cwd=repo.path, **NOT_CI)
    assert statuses(said) == {"test_double": "fixed", "test_place": "unverifiable"}
    reason = next(t["reason"] for t in said.json["tasks"] if t["status"] == "unverifiable")
    assert "passes in the checkout and not in a clean worktree" in reason
    assert belongings(repo.path, but=("zw/b",)) == before


def test_credentials_that_are_listed_and_not_set(tmp_path: Path) -> None:
    test = "import os\n\n\ndef test_secret():\n    assert os.environ.get('SHOP_TOKEN')\n"
    config = '[checks.tests]\nrun = "python -m pytest"\nenv = ["SHOP_TOKEN"]\n'
    repo = project(tmp_path / "p", {"tests/test_secret.py": test, ".zwarm/config.toml": config}, bad=False)
    said = zwarm("fix-tests", "--json", cwd=repo.path)
    assert said.code == 1
    (task,) = said.json["tasks"]
    assert task["status"] == "unverifiable"
    assert task["reason"].startswith("credentials: SHOP_TOKEN")
    given = zwarm("fix-tests", "--json", cwd=repo.path, SHOP_TOKEN="value-of-the-token")
    assert given.code == 0
    assert "value-of-the-token" not in given.out + given.err


def test_inplace_is_refused_at_a_desk_and_graded_in_ci(tmp_path: Path) -> None:
    config = '[checks.tests]\nrun = "python -m pytest"\nisolation = "inplace"\n'
    repo = project(tmp_path / "p", {".zwarm/config.toml": config})
    desk = zwarm("fix-tests", "--json", cwd=repo.path, **NOT_CI)
    assert desk.code == 4
    assert "inplace" in desk.json["reason"]
    before = belongings(repo.path)
    ci = zwarm("fix-tests", "--json", "--branch", "zw/ci", cwd=repo.path, CI="true")
    assert ci.code == 0, ci.out + ci.err
    assert statuses(ci) == {"test_double": "fixed"}
    assert evidence(repo, ci)["assurance"]["isolation"] == {"tests": "inplace"}
    left = belongings(repo.path, but=("zw/ci",))
    assert {k: v for k, v in left.items() if "__pycache__" not in k and ".pytest_cache" not in k} == before


def test_a_fixed_port_makes_runs_side_by_side_disagree_and_the_check_exclusive(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    test = (
        "import socket, time\n\n\ndef test_port():\n"
        f"    with socket.create_server(('127.0.0.1', {port})):\n        time.sleep(1)\n"
    )
    more = {"tests/test_port.py": test, "other.py": "def half(x):\n    return x / 2\n",
            "tests/test_half.py": "from other import half\n\n\ndef test_half():\n    assert half(4) == 2\n",
            ".zwarm/config.toml": '[checks.tests]\nrun = "python -m pytest"\nnetwork = true\n'}  # fmt: skip
    repo = project(tmp_path / "p", more)
    repo.commit("worse", {"other.py": "def half(x):\n    return x / 3\n"})
    said = zwarm("fix-tests", "--json", "--parallel", "2", cwd=repo.path)
    assert said.code == 0, said.out + said.err
    assert set(statuses(said).values()) == {"fixed"}
    assert any("never beside another check" in note for note in said.json["notes"]), said.json["notes"]


def test_in_a_folder_of_a_monorepo_its_own_checks_run(tmp_path: Path) -> None:
    config = '[checks.one]\nrun = "python -m pytest"\nworkdir = "one"\n[checks.two]\nrun = "python -m pytest"\nworkdir = "two"\n'
    repo = Repo.make(
        tmp_path / "p",
        {
            ".zwarm/config.toml": config,
            "one/test_one.py": "def test_one():\n    assert True\n",
            "two/test_two.py": "def test_two():\n    assert False\n",
            "two/deep/x.txt": "x\n",
        },
    )
    said = zwarm("fix-tests", "-C", "one", "--json", cwd=repo.path)
    assert said.code == 0, said.out + said.err
    assert [c["name"] for c in said.json["checks"]["before"]] == ["one"]
    everything = zwarm("fix-tests", "--json", cwd=repo.path)
    assert everything.code == 1
    assert [c["name"] for c in everything.json["checks"]["before"]] == ["one", "two"]
    assert everything.json["tasks"][0]["failures"] == ["two/test_two.py::test_two"]


def test_doctor_says_what_lacks_and_its_block_supplies_it(tmp_path: Path) -> None:
    test = "from pathlib import Path\n\n\ndef test_data():\n    assert Path('local/data.txt').read_text() == 'x'\n"
    repo = project(tmp_path / "p", {"tests/test_data.py": test, ".gitignore": "local/\n"}, bad=False)
    repo.write({"local/data.txt": "x", "local/other.txt": "y"})
    said = zwarm("doctor", cwd=repo.path, **NOT_CI)
    assert said.code == 1, said.out + said.err
    assert "it needs local/data.txt" in said.out
    config = said.out[said.out.rindex("[checks.tests]") :]
    assert config.splitlines()[-1] == 'include = ["local/data.txt"]'
    repo.commit("as the doctor says", {".zwarm/config.toml": config})
    again = zwarm("doctor", "--json", cwd=repo.path, **NOT_CI)
    assert again.code == 0, again.out
    assert again.json["lacks"] == []


def test_doctor_quick_runs_nothing(tmp_path: Path) -> None:
    repo = project(tmp_path / "p", {"tests/conftest.py": "raise SystemExit('ran')\n"})
    said = zwarm("doctor", "--quick", "--json", cwd=repo.path)
    assert said.code == 0, said.out
    assert said.json["checks"] == []
    topics = {f["topic"] for f in said.json["facts"]}
    assert {"network", "in place", "executor"} <= topics


def test_a_submodule_stands_in_the_clean_worktree_too(tmp_path: Path) -> None:
    inner = Repo.make(tmp_path / "inner", {"data.txt": "inner"})
    test = "from pathlib import Path\n\n\ndef test_inner():\n    assert Path('vendor/inner/data.txt').read_text() == 'inner'\n"
    repo = project(tmp_path / "p", {"tests/test_inner.py": test}, bad=False)
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner.path), "vendor/inner")
    repo.git("commit", "-qm", "with inner")
    repo.commit("faster", {"code_under.py": BAD})
    before = belongings(repo.path)
    said = zwarm("fix-tests", "--json", "--branch", "zw/s", cwd=repo.path)
    assert said.code == 0, said.out + said.err
    assert statuses(said) == {"test_double": "fixed"}
    assert repo.git("diff", "--name-only", "main", "zw/s") == "code_under.py"
    assert belongings(repo.path, but=("zw/s",)) == before
    clone = Repo(tmp_path / "clone")
    repo.git("clone", "-q", str(repo.path), str(clone.path))
    bare = zwarm("fix-tests", "--json", cwd=clone.path)
    assert any("git submodule update --init" in note for note in bare.json["notes"])


@pytest.mark.parametrize(("in_place", "code"), [("assert True", 0), ("assert False", 1)])
def test_a_test_that_a_clean_worktree_skips_is_never_taken_for_green(tmp_path: Path, in_place: str, code: int) -> None:
    test = (
        "import pytest\nfrom pathlib import Path\n\n\n"
        "@pytest.mark.skipif(not Path('native.bin').exists(), reason='not built')\n"
        f"def test_native():\n    {in_place}\n"
    )
    repo = project(tmp_path / "p", {"tests/test_native.py": test, ".gitignore": "native.bin\n"}, bad=False)
    repo.write({"native.bin": "x"})
    said = zwarm("fix-tests", "--json", cwd=repo.path)
    assert said.code == code, said.out + said.err
    if code:
        assert statuses(said) == {"test_native": "unverifiable"}
        assert 'include = ["native.bin"]' in said.json["tasks"][0]["reason"]
    else:
        (note,) = [n for n in said.json["notes"] if "skipped in clean worktrees" in n]
        assert 'include = ["native.bin"]' in note


def test_a_variable_that_leads_outside_is_proposed_with_the_network(tmp_path: Path, outside: int) -> None:
    test = (
        "import os, socket\n\n\ndef test_database():\n    host, port = os.environ['SHOP_DATABASE'].split(':')\n"
        "    with socket.create_connection((host, int(port)), 5) as s:\n        assert s.recv(5) == b'hello'\n"
    )
    repo = project(tmp_path / "p", {"tests/test_database.py": test}, bad=False)
    said = zwarm("doctor", cwd=repo.path, SHOP_DATABASE=f"127.0.0.1:{outside}", **NOT_CI)
    assert said.code == 1, said.out
    config = said.out[said.out.rindex("[checks.tests]") :]
    assert config.splitlines()[-2:] == ['env = ["SHOP_DATABASE"]', "network = true"]
    repo.commit("as the doctor says", {".zwarm/config.toml": config})
    assert zwarm("doctor", cwd=repo.path, SHOP_DATABASE=f"127.0.0.1:{outside}", **NOT_CI).code == 0
