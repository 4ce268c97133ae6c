"""Bad input gets one line that says what to do, the contract's exit code, and nothing is lost."""

from __future__ import annotations

import errno
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.support import Repo, Said, belongings, zwarm
from tests.test_run import GOOD, PYPROJECT, TESTS, shop
from zwarm_ci import cli
from zwarm_ci.errors import CommandError

GREEN = {"shop.py": GOOD, "tests/test_shop.py": TESTS, "pyproject.toml": PYPROJECT}


def refused(said: Said, code: int, pattern: str) -> None:
    """Exactly one line on standard error, nothing on standard output, no traceback."""
    assert said.code == code, said
    lines = [line for line in said.err.splitlines() if not line.startswith("[")]
    assert len(lines) == 1, said.err
    assert re.search(pattern, lines[0]), lines[0]
    assert said.out == ""


@pytest.fixture
def green(tmp_path: Path) -> Repo:
    return Repo.make(tmp_path / "shop", GREEN)


def test_not_a_repository(tmp_path: Path) -> None:
    refused(zwarm("fix-tests", cwd=tmp_path), 4, r"is not in a git repository \(run it inside one, or pass -C DIR\)")


def test_no_commits_yet(tmp_path: Path) -> None:
    refused(zwarm("fix-tests", cwd=Repo.make(tmp_path / "new").path), 4, "has no commit yet .*commit once")


@pytest.mark.parametrize(
    ("args", "pattern"),
    [
        (["fix-test"], "No command is called 'fix-test'. Did you mean 'fix-tests'"),
        (["fix-tests", "--brnach", "x"], "No such option"),
        (["fix-tests", "-C", "nowhere"], "nowhere: no such folder"),
        (["fix-tests", "--parallel", "0"], "Invalid value for '--parallel'"),
        (["fix-tests", "--minutes", "0"], "Invalid value for '--minutes'"),
        (["fix-tests", "--max-tasks", "-1"], "Invalid value for '--max-tasks'"),
        (["fix-tests", "--from", "moon"], "Invalid value for '--from'"),
        (["fix-tests", "--base", "no-such-ref"], "no commit is called 'no-such-ref'"),
        (["fix-tests", "--last-green", "no-such-ref"], "no commit is called 'no-such-ref'"),
        (["fix-tests", "--branch", "main"], "branch 'main' cannot be made: 'main' exists"),
        (["fix-tests", "--branch", "a..b"], "no valid branch name"),
        (["fix-tests", "--executor", "gpt"], r"unknown executor gpt \(known: claude, codex, embedded\)"),
        (["fix-tests", "--executor", "mini"], "write codex:mini"),
        (["fix-tests", "--executor", "codex", "--model", "opus"], "exclude each other"),
        (["fix-tests", "--model", "nosuch"], "the model nosuch is unknown"),
        (["fix-tests", "--record", "x"], "need a paid rung"),
        (["fix-tests", "--budget-usd", "-1"], "budget-usd"),
        (["run"], "say what is to be done"),
        (["run", "--task", " "], "the task is empty"),
        (["run", "--task-file", "nowhere"], "cannot be read"),
        (["session", "show", "nosuch"], "nosuch"),
        (["fix-tests", "--set", "verify.rerun=1"], r"verify\.rerun.*verify\.reruns"),
        (["fix-tests", "--set", "nonsense"], "nonsense"),
        (["fix-tests", "--config", "missing.toml"], r"missing\.toml"),
        (["fix-tests", "--check", "pytest | tail -5"], r"'\|'.*hides the exit code"),
        (["fix-tests", "--check", "npm ci && pytest"], "'&&'.*setup"),
        (["fix-checks", "no-such-check"], "no check is called 'no-such-check'.*known: tests"),
        (["fix-tests", "--base", "HEAD", "--from", "index"], "--base and --from exclude each other"),
        (["fix-tests", "--base", ""], "--base is empty"),
        (["fix-tests", "--last-green", " "], "--last-green is empty"),
        (["fix-tests", "--dry-run", "--branch", "a..b"], "no valid branch name"),
        (["fix-tests", "--reports", "shop.py/x"], r"--reports shop\.py/x cannot be written"),
        (
            ["fix-tests", "tests/test_shop.py::test_prise"],
            r"test_prise.*the nearest is tests/test_shop\.py::test_price",
        ),
        (["take", "2019"], "no run begins with '2019'"),
        (["report", "2019"], "2019"),
        (["demo", "--set", "loop.turn=1"], r"loop\.turns"),
    ],
    ids=lambda v: "-".join(v)[:30] if isinstance(v, list) else "",
)
def test_wrong_usage_is_one_line_and_code_2(green: Repo, args: list[str], pattern: str) -> None:
    before = belongings(green.path)
    refused(zwarm(*args, cwd=green.path), 2, pattern)
    assert belongings(green.path) == before


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ('[checks.tests]\nrun = "pytest"\nkind = \n', r"config\.toml line 3"),
        ('[checks.tests]\nrun = "pytest"\ntimeot = 3\n', r"timeot.*timeout"),
        ("[verify]\nreruns = 'two'\n", r"verify\.reruns"),
        ("[budget]\nminutes = -1\n", r"budget\.minutes"),
        (b"\xff\xfe\x00", r"config\.toml"),
        ("[a]\n[a]\n", r"config\.toml line 2"),
    ],
)
def test_errors_in_settings_say_where(green: Repo, text: str | bytes, pattern: str) -> None:
    green.commit("settings", {".zwarm/config.toml": text})
    refused(zwarm("fix-tests", cwd=green.path), 2, pattern)


def test_settings_in_two_places_are_refused(green: Repo) -> None:
    green.commit(
        "settings",
        {
            ".zwarm/config.toml": "[loop]\nturns = 1\n",
            "pyproject.toml": PYPROJECT + "[tool.zwarm-ci.loop]\nturns = 2\n",
        },
    )
    refused(zwarm("fix-tests", cwd=green.path), 2, "pyproject.toml")


def test_a_missing_check_command_blocks(green: Repo) -> None:
    said = zwarm("fix-tests", "--check", "no-such-tool --all", cwd=green.path)
    assert said.code == 4
    assert "no-such-tool: not found (install it, or put it on PATH)" in said.out


def test_no_checks_at_all(tmp_path: Path) -> None:
    said = zwarm("fix-tests", cwd=Repo.make(tmp_path / "bare", {"README": "x"}).path)
    assert said.code == 4
    assert "no tests were found here" in said.out
    assert "--check CMD" in said.out


def test_detached_head_shallow_clone_linked_worktree_and_submodules_work(tmp_path: Path) -> None:
    repo = shop(tmp_path / "origin")
    sub = Repo.make(tmp_path / "sub", {"s.txt": "s\n"})
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(sub.path), "vendor/sub")
    repo.git("commit", "-q", "-m", "a submodule")
    repo.git("clone", "-q", "--depth", "2", f"file://{repo.path}", str(tmp_path / "shallow"))
    repo.git("worktree", "add", "-q", "--detach", str(tmp_path / "linked"))
    for name in ("shallow", "linked"):
        where = Repo(tmp_path / name)
        before = belongings(where.path)
        said = zwarm("fix-tests", "--json", "--allow-revert", "--branch", f"zw-{name}", cwd=where.path)
        assert said.json["status"] in {"fixed", "not_fixed"}, said
        lacks = (
            "the checkout lacks these submodules, and so do clean worktrees: vendor/sub (git submodule update --init)"
        )
        assert lacks in said.json["notes"]
        assert belongings(where.path, but=(f"zw-{name}",)) == before
        if name == "linked":
            assert said.code == 0, said.out


def test_a_suite_that_prints_invalid_utf8_and_much(green: Repo) -> None:
    loud = (
        TESTS
        + "\n\ndef test_loud():\n    sys.stdout.buffer.write(b'\\xff\\xfe\\x00\\x1b[31m' * 2_000_000)\n    assert False, '\\ud800 \\x1b]0;x\\x07'\n"
    )
    green.commit("loud", {"tests/test_shop.py": loud})
    said = zwarm("fix-tests", "--json", "--set", 'checks.tests.run="python -m pytest -s"', cwd=green.path)
    assert said.code == 1, said.err
    assert [t["failures"] for t in said.json["tasks"]] == [["tests/test_shop.py::test_loud"]]
    folder = green.path / ".zwarm/runs/latest"
    for name in ("outcome.json", "summary.md", "junit.xml", "report.html"):
        raw = (folder / name).read_bytes()
        assert b"\x1b" not in raw, name
        raw.decode("utf-8")
        assert len(raw) < 400_000, name


def test_a_test_that_hangs_is_named_and_ended_with_all_it_started(green: Repo) -> None:
    mark = green.path.parent / "alive"
    hang = TESTS + (
        "\n\ndef test_hang():\n    import subprocess, time\n"
        f"    subprocess.Popen(['sh', '-c', 'while :; do touch {mark}; sleep 0.2; done'], start_new_session=True)\n    time.sleep(600)\n"
    )
    green.commit("hang", {"tests/test_shop.py": hang})
    said = zwarm(
        "fix-tests", "--json", "--set", 'checks.tests.run="python -m pytest"', "--set", "checks.tests.timeout=4",
        "--set", "verify.reruns=1", "--minutes", "1", cwd=green.path,
    )  # fmt: skip
    assert said.code in {1, 3}, said.err
    assert "tests/test_shop.py::test_hang" in said.json["tasks"][0]["failures"]
    assert mark.exists()
    mark.unlink()
    assert zwarm("--version", cwd=green.path).code == 0
    assert not mark.exists(), "nothing that the hanging test started is alive"


def test_an_error_of_ours_has_its_traceback_in_a_file(green: Repo) -> None:
    shutil.rmtree(green.path / ".git/objects")
    (green.path / ".git/objects").mkdir()
    said = zwarm("fix-tests", cwd=green.path)
    assert said.code in {4, 5}
    assert len(said.err.splitlines()) == 1, said.err


def test_a_state_folder_that_cannot_be_made(green: Repo) -> None:
    green.write({"taken": "a file"})
    refused(zwarm("fix-tests", "--set", "state_dir=taken/here", cwd=green.path), 4, "cannot be written")


@pytest.mark.parametrize("command", ["models", "fix-tests 2>&1", "fix-tests --json 2>/dev/null"])
def test_a_reader_that_leaves_ends_nothing_and_is_no_failure(green: Repo, command: str) -> None:
    import subprocess

    done = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' -m zwarm_ci {command} | head -c 5; echo ${{PIPESTATUS[0]}}"],
        cwd=green.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout[5:].strip() in {"0", "141"}, done.stdout
    ended = [p for p in green.path.glob(".zwarm/runs/*/outcome.json") if not p.parent.is_symlink()]
    assert len(ended) == command.startswith("fix-tests")


def test_closed_streams_are_no_fault_of_ours(green: Repo) -> None:
    import subprocess

    line = f"'{sys.executable}' -m zwarm_ci fix-tests <&- >&- 2>&-"
    assert subprocess.run(["bash", "-c", line], cwd=green.path, check=False).returncode == 0


def test_a_full_disk_is_the_environments_fault_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    full = CommandError(["git", "add"], Path(), 128, b"", b"error: unable to write file: No space left on device")
    for error in (full, OSError(errno.ENOSPC, "No space left on device")):
        assert cli._ours(error) == 4
        assert "no space is left" in capsys.readouterr().err
