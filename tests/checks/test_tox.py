"""Tox and nox as themselves: what is added to their commands, and what is believed of one check with several pytest sessions.

The tool here is a small script that does as tox does; real tox and nox are in tests/matrix.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.checks.running import believed, plant, run_in
from zwarm_ci.checks import several, tox
from zwarm_ci.checks.base import PROBE, Job
from zwarm_ci.environment import Environment
from zwarm_ci.task import Check, Kind
from zwarm_ci.verdict import CheckResult

TOOL = f"""#!{sys.executable}
import json, os, subprocess, sys
script = json.load(open("session.json"))
json.dump([sys.argv[1:], dict(os.environ)], open(os.path.dirname(sys.argv[0]) + "/seen.json", "w"))
for name in script.get("unset", []):
    os.environ.pop(name, None)
print(script.get("say", ""), flush=True)
for words in script["commands"]:
    code = subprocess.call([sys.executable, *words])
    if code:
        sys.exit(script.get("exit", code))
"""
PYTEST = ["-m", "pytest", "-q"]
GREEN = {"tests/test_a.py": "def test_a():\n    pass\n", "more/test_b.py": "def test_b():\n    pass\n"}


def _run(
    top: Path,
    commands: list[list[str]],
    files: dict[str, str] | None = None,
    *,
    command: str = "tox -e py3",
    kind: Kind = "pytest",
    **more: Any,
) -> CheckResult:
    script = {"commands": commands, **more}
    tree = plant(top / "tree", {**GREEN, "session.json": json.dumps(script), **(files or {})})
    bins = plant(top / "bin", {"tox": TOOL, "nox": TOOL})
    for name in ("tox", "nox"):
        (bins / name).chmod(0o755)
    return run_in(tree, command, kind, env=Environment(tree, "", (str(bins),), (), "a test"))


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)


def _seen(top: Path) -> tuple[list[str], dict[str, str]]:
    argv, env = json.loads((top / "bin" / "seen.json").read_text())
    return argv, env


def test_the_sessions_of_a_check_are_one_result(tmp_path: Path) -> None:
    result = believed(_run(tmp_path, [[*PYTEST, "tests"], [*PYTEST, "more"]]))
    assert (result.green, result.canary, result.exit_code) == (True, True, 0)
    assert set(result.passed) == {"tests/test_a.py::test_a", "more/test_b.py::test_b"}
    assert {"tests/test_a.py", "more/test_b.py", "tests::startup", "tests::exit"} <= set(result.modules)


def test_an_id_that_is_red_in_one_session_is_red(tmp_path: Path) -> None:
    red = {"tests/test_a.py": "import os\ndef test_a():\n    assert 'AGAIN' not in os.environ\n"}
    again = [
        "-c",
        "import os, sys, subprocess as s; sys.exit(s.call([sys.executable, '-m', 'pytest', 'tests'], env={**os.environ, 'AGAIN': '1'}))",
    ]
    result = believed(_run(tmp_path, [[*PYTEST, "tests"], again], red))
    assert (result.failed, result.passed, result.exit_code) == (("tests/test_a.py::test_a",), (), 1)
    assert result.failures[0].shape == "AssertionError"


def test_the_canary_ends_no_command_and_a_red_command_after_the_tests_is_seen(tmp_path: Path) -> None:
    limit = ["-c", "import sys; sys.exit('coverage of 50 is below 90')"]
    result = believed(_run(tmp_path, [[*PYTEST, "tests"], limit]))
    assert (result.canary, result.failed, result.exit_code) == (True, ("tests::exit",), 1)
    assert "below 90" in result.failures[0].message
    assert "tests::exit" not in result.modules


def test_a_limit_of_pytest_itself_is_seen_beside_the_canary(tmp_path: Path) -> None:
    conftest = "def pytest_runtest_teardown(item):\n    item.session.testsfailed += 1\n"
    result = _run(tmp_path, [[*PYTEST, "tests"]], {"conftest.py": conftest})
    assert (believed(result).failed, result.exit_code) == (("tests::exit",), 1)


@pytest.mark.parametrize(
    ("files", "more", "trouble"),
    [
        ({"conftest.py": "def pytest_collection_modifyitems(items):\n    del items[:]\n"}, {}, "check: no tests ran"),
        ({"conftest.py": "import os\ndef pytest_sessionfinish():\n    os._exit(0)\n"}, {}, "runner:"),
        (
            {"tests/test_a.py": "def test_a():\n    assert 0\n"},
            {"exit": 0},
            "runner: the command ended with 0 though 1 tests failed",
        ),
        ({}, {"unset": ["ZWARM_CI_PROBE"]}, "environment: `tox -e py3` never started pytest"),
        ({}, {"unset": ["PYTEST_ADDOPTS"]}, "environment: `tox -e py3` never started pytest"),
    ],
    ids=["nothing collected", "left in the middle", "outcome ignored", "no orders", "no probe"],
)
def test_what_is_not_believed(tmp_path: Path, files: dict[str, str], more: dict[str, Any], trouble: str) -> None:
    result = _run(tmp_path, [[*PYTEST, "tests"]], files, **more)
    assert result.trouble.startswith(trouble)
    assert not result.green


SAID = {
    "py38: failed with could not find python interpreter matching any of the specs py38": "cell: Python 3.8 is not here",
    "py312: skipped because could not find python interpreter with spec(s): py312": "cell: Python 3.12 is not here",
    "ERROR:  py399: InterpreterNotFound: python3.99": "cell: Python 3.99 is not here",
    "nox > Session tests-3.7 skipped: Python interpreter 3.7 not found.": "cell: Python 3.7 is not here",
    "py: exit 1 (1.49 seconds) /x> python -I -m pip install --no-deps /x/pkg-0.1.tar.gz pid=1": "environment: py: exit 1",
    "nox > Command python -m pip install . failed with exit code 1": "environment: nox > Command python -m pip install",
}


@pytest.mark.parametrize("said", SAID)
def test_a_session_that_never_came_to_its_tests_says_why(tmp_path: Path, said: str) -> None:
    assert tox.trouble(f"first\n{said}\nlast").startswith(SAID[said])
    result = _run(tmp_path, [["-c", "import sys; sys.exit(1)"]], say=said)
    assert result.trouble.startswith(SAID[said])
    assert (result.failed, result.green) == ((), False)


@pytest.mark.parametrize("said", list(SAID)[:4])
def test_a_session_that_was_left_out_beside_a_green_one_is_not_green(tmp_path: Path, said: str) -> None:
    assert _run(tmp_path, [[*PYTEST, "tests"]], say=said).trouble.startswith("cell: ")


@pytest.mark.parametrize("line", ["  py38: SKIP (0.01 seconds)", "nox > * tests-3.9: skipped (reason)"])
def test_a_summary_with_a_session_left_out_is_not_green(tmp_path: Path, line: str) -> None:
    result = _run(tmp_path, [[*PYTEST, "tests"], ["-c", f"print({line!r})"]])
    assert result.trouble.startswith("cell: session ")


def test_a_test_that_prints_such_words_is_no_trouble(tmp_path: Path) -> None:
    prints = {
        "tests/test_a.py": "def test_a():\n    print('  py38: SKIP (0.1 seconds)\\nInterpreterNotFound: python3.8')\n"
    }
    assert believed(_run(tmp_path, [[*PYTEST, "tests"]], prints)).green


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("tox -e py3", ["--workdir", "-e", "py3"]),
        ("tox run -e py3 -- -k a", ["run", "--workdir", "-e", "py3", "--", "-k", "a"]),
        ("nox -s tests", ["--envdir", "--reuse-existing-virtualenvs", "-s", "tests"]),
    ],
)
def test_environments_are_made_outside_the_tree(tmp_path: Path, command: str, words: list[str]) -> None:
    believed(_run(tmp_path, [PYTEST], command=command))
    argv, env = _seen(tmp_path)
    (folder,) = (w for w in argv if w not in words)
    assert [w for w in argv if w != folder] == words
    assert Path(folder).is_dir()
    assert not Path(folder).is_relative_to(tmp_path / "tree")
    assert not {"VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "UV_NO_SYNC", tox.ENVIRONMENTS} & set(env)
    here = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    assert (Path(env["PATH"].split(os.pathsep)[0]) / here).is_symlink()
    assert env["PYTHONPATH"].split(os.pathsep) == [str(PROBE)]


def test_build_files_look_new_to_whoever_goes_by_their_time(tmp_path: Path) -> None:
    plant(tmp_path / "tree", {"pyproject.toml": ""})
    os.utime(tmp_path / "tree" / "pyproject.toml", (1, 1))
    believed(_run(tmp_path, [PYTEST]))
    assert (tmp_path / "tree" / "pyproject.toml").stat().st_mtime > 1_000_000


def test_tox_is_told_to_hand_the_probe_on_in_each_section_that_has_its_own_say(tmp_path: Path) -> None:
    ini = "[testenv]\ndeps = x\n[testenv:py{38,39}]\npassenv = HOME\n[testenv:lint]\nskip_install = true\n"
    ini += "[testenv:py3]\nsetenv =\n    PYTHONPATH = {toxinidir}/src\n"
    believed(_run(tmp_path, [PYTEST], {"tox.ini": ini, "tox.toml": '[env."3.11"]\npass_env = ["A"]\n'}))
    env = _seen(tmp_path)[1]
    told = env["TOX_OVERRIDE"].split(";")
    passed = [t.partition(".pass_env+=")[0] for t in told if ".pass_env+=" in t]
    assert passed == ["testenv", "env_run_base", "testenv:py38", "testenv:py39", "env.3.11"]
    assert f"testenv:py3.set_env+=PYTHONPATH={PROBE}:{{toxinidir}}/src" in told
    assert "ZWARM_CI_PROBE" in env["TOX_TESTENV_PASSENV"].split()


@pytest.mark.parametrize(
    ("command", "tool"),
    [
        ("tox -e py", "tox"),
        ("/x/bin/nox -s t", "nox"),
        ("python3.11 -m tox run", "tox"),
        ("uvx --with tox-uv tox -e py", "tox"),
        ("uv run nox", "nox"),
        ("make tox", ""),
        ("pytest tests/tox", ""),
        ("python tox", ""),
        ("python -m pytest -k nox", ""),
    ],
)
def test_which_commands_are_meant(command: str, tool: str) -> None:
    assert tox.tool_of(command.split()) == tool


@pytest.mark.parametrize(
    ("names", "environments"),
    [
        ("py38, py39\nlint", ["py38", "py39", "lint"]),
        ("py{38,39}-{a,b}", ["py38-a", "py38-b", "py39-a", "py39-b"]),
        ("py3{8-10},py311", ["py38", "py39", "py310", "py311"]),
        ("py{,39}", ["py", "py39"]),
        ("a # not b\n", ["a"]),
        ("", []),
    ],
)
def test_a_list_of_environments(names: str, environments: list[str]) -> None:
    assert tox.expanded(names) == environments


def test_lines_before_the_first_session_and_torn_ones_belong_to_none() -> None:
    lines = b'garbage\n{"event": "loaded", "at": 1}\n{"event": "x"}\n{"event": "loaded"\n{"event": "loaded", "at": 2}\n'
    assert [len(part.splitlines()) for part in several.split(lines)] == [3, 1]


def test_copies_that_differ_from_the_tree_are_told(tmp_path: Path) -> None:
    """What tox installs is a copy; a stale one must not pass for the tree's code."""
    files = {
        "src/pkg/__init__.py": "VALUE = 1\n",
        "tests/test_a.py": "import pkg\ndef test_a():\n    assert pkg.VALUE\n",
    }
    sites = tmp_path / "site-packages"
    use = [
        "-c",
        f"import sys; sys.path.insert(0, {str(sites)!r}); import pytest; sys.exit(pytest.main(['-q', 'tests']))",
    ]
    plant(sites, {"pkg/__init__.py": "VALUE = 1\n"})
    same = believed(_run(tmp_path, [use], files))
    assert (same.green, same.shadowed) == (True, ())
    plant(sites, {"pkg/__init__.py": "VALUE = 2\n"})
    assert _run(tmp_path, [use], files).shadowed == ("src/pkg/__init__.py",)


def test_a_failure_inside_a_copy_has_its_place_in_the_tree(tmp_path: Path) -> None:
    code = "def f():\n    raise ValueError('no')\n"
    sites = plant(tmp_path / "site-packages", {"pkg/__init__.py": code})
    use = [
        "-c",
        f"import sys; sys.path.insert(0, {str(sites)!r}); import pytest; sys.exit(pytest.main(['-q', 'tests']))",
    ]
    result = _run(
        tmp_path, [use], {"pkg/__init__.py": code, "tests/test_a.py": "import pkg\ndef test_a():\n    pkg.f()\n"}
    )
    place = believed(result).failures[0].place
    assert place is not None
    assert str(place) == "pkg/__init__.py:2"
    assert replace(result, failures=()).failed == ("tests/test_a.py::test_a",)


def _folder(top: Path, name: str, **files: str) -> Path:
    tree = plant(top / name, {"tox.ini": "[testenv]\ndeps =\n    -r{toxinidir}/dev.txt\n    pytest\n", **files})
    check = Check("tests", "tox -e py3", "pytest")
    return tox.environments(Job(check, ("tox", "-e", "py3"), {}, tree, tree, top, top, top, "t"))


def test_environments_are_the_same_for_the_same_settings_whatever_the_worktree(tmp_path: Path) -> None:
    one = _folder(tmp_path, "one")
    assert one == _folder(tmp_path, "two", **{"src/a.py": "x = 1\n"})
    assert one.is_relative_to(tmp_path / "home")
    different = [
        _folder(tmp_path, "three", **{"dev.txt": "pytest<8\n"}),
        _folder(tmp_path, "four", **{"setup.py": "x"}),
        _folder(tmp_path, "five", **{"noxfile.py": "x"}),
        _folder(tmp_path, "six", **{"tox.ini": "[testenv]\n"}),
    ]
    assert len({one, *different}) == 5


@pytest.mark.parametrize("line", ["-e .", ".[test]", "./libs/x", "{toxinidir}", "file:///x", "{tox_root}/x"])
def test_an_environment_that_names_the_tree_is_that_trees_own(tmp_path: Path, line: str) -> None:
    by_path = {"tox.ini": f"[testenv]\ndeps =\n    {line}\n"}
    assert _folder(tmp_path, "one", **by_path) != _folder(tmp_path, "two", **by_path)
    assert _folder(tmp_path, "one", **by_path) == _folder(tmp_path, "one", **by_path)


def test_one_command_at_a_time_uses_an_environment(tmp_path: Path) -> None:
    words = [
        sys.executable,
        str(PROBE / "zwarm_ci_alone.py"),
        str(tmp_path / "lock"),
        sys.executable,
        "-c",
        "print('mine')",
    ]
    with (tmp_path / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting = subprocess.Popen(words, stdout=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.communicate(timeout=1)
    assert waiting.communicate(timeout=60)[0] == b"mine\n"
    gone = subprocess.run([*words[:3], "no-such-program"], capture_output=True, text=True, check=False)
    assert (gone.returncode, "no-such-program" in gone.stderr) == (1, True)


def test_a_session_that_is_no_pytest_has_its_environment_outside_too(tmp_path: Path) -> None:
    result = _run(tmp_path, [["-c", "import sys; sys.exit('red')"]], kind="generic")
    assert (result.failed, result.trouble) == (("tests::exit",), "")
    assert "--workdir" in _seen(tmp_path)[0]
