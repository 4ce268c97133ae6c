"""Green results that are kept: what they depend on, and when they are not believed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from zwarm_ci.checks import kept
from zwarm_ci.environment import Environment, Interpreter
from zwarm_ci.task import Check, Failure
from zwarm_ci.verdict import CheckResult

CHECK = Check("tests", "sh run", "generic")
GREEN = CheckResult("tests", "sh run", 0, ("a", "b"), (), ("c",), 1.5, modules=("m",), canary=True)


@pytest.fixture
def env(tmp_path: Path) -> Environment:
    """An environment with one folder of packages."""
    top, prefix = tmp_path / "top", tmp_path / "venv"
    for folder in (top / "node_modules", prefix / "lib"):
        folder.mkdir(parents=True)
    (top / "built.py").write_text("")
    inner = Interpreter("/bin/sh", "/bin/sh", str(prefix), "3.11.7", (str(prefix / "lib"),), ("pytest",), compiled=True)
    return Environment(top, "/bin/sh", (), (), "Python", interpreter=inner, dependencies=(".",), built=("built.py",))


def test_a_green_result_comes_back_as_it_was(env: Environment) -> None:
    assert kept.find("tree", CHECK, env) is None
    kept.save("tree", CHECK, env, replace(GREEN, log="x.log", lines={"a.py": (1,)}))
    assert kept.find("tree", CHECK, env) == GREEN
    assert kept.find("another", CHECK, env) is None
    assert kept.find("tree", replace(CHECK, timeout=5), env) is None
    assert kept.find("tree", CHECK, replace(env, note="another Python")) is None
    assert kept.find("tree", replace(CHECK, why="said otherwise"), env) == GREEN


@pytest.mark.parametrize(
    "result",
    [
        replace(GREEN, exit_code=1),
        replace(GREEN, failed=("a",), failures=(Failure("tests", "a"),)),
        replace(GREEN, trouble="environment: x"),
        replace(GREEN, left=("sleep",)),
        replace(GREEN, edited=("a.py",)),
    ],
)
def test_what_is_not_wholly_green_is_not_kept(env: Environment, result: CheckResult) -> None:
    kept.save("tree", CHECK, env, result)
    assert kept.find("tree", CHECK, env) is None
    assert not (Path(os.environ["HOME"]) / ".cache").exists()


@pytest.mark.parametrize("what", ["packages", "modules", "built", "variable"])
def test_a_change_of_the_environment_makes_it_unknown(
    env: Environment, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.save("tree", CHECK, env, GREEN)
    sites = Path(env.interpreter.sites[0]) if env.interpreter else env.top
    changed = {"packages": sites / "new.py", "modules": env.top / "node_modules" / "new", "built": env.top / "built.py"}
    if what == "variable":
        monkeypatch.setenv("LANG", "xx_XX")
    else:
        changed[what].write_text("more")
    assert kept.find("tree", CHECK, env) is None


@pytest.mark.parametrize(
    "check",
    [
        replace(CHECK, env=("TOKEN",)),
        replace(CHECK, include=(".env",)),
        replace(CHECK, services_up="up"),
        replace(CHECK, network=True),
        replace(CHECK, isolation="inplace"),
    ],
)
def test_what_depends_on_more_than_files_is_not_kept(env: Environment, check: Check) -> None:
    assert kept.depends_on(check, env) is None
    kept.save("tree", check, env, GREEN)
    assert kept.find("tree", check, env) is None


def test_sources_of_others_that_are_installed_as_editable_change_unseen(env: Environment, tmp_path: Path) -> None:
    assert env.interpreter
    sites = Path(env.interpreter.sites[0])
    (sites / "own.pth").write_text(f"{env.top}\n{env.interpreter.prefix}\nrelative\nimport os\n/no/such/folder\n")
    assert kept.depends_on(CHECK, env) is not None
    (sites / "finder.pth").write_text("import __editable___x_finder; __editable___x_finder.install()\n")
    (sites / "__editable___x_finder.py").write_text(f"MAPPING = {{'x': '{env.top}/x'}}\n")
    assert kept.depends_on(CHECK, env) is not None
    (sites / "__editable___x_finder.py").write_text(f"MAPPING = {{'x': '{tmp_path}/x'}}\n")
    assert kept.depends_on(CHECK, env) is None
    (sites / "finder.pth").unlink()
    (sites / "other.pth").write_text(f"{tmp_path}\n")
    assert kept.depends_on(CHECK, env) is None


def test_a_worktreeinclude_copies_what_no_tree_id_tells(env: Environment) -> None:
    (env.top / ".worktreeinclude").write_text(".env\n")
    assert kept.depends_on(CHECK, env) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 2}', '{"schema": 1, "depends": {}, "result": 5}'])
def test_a_file_that_cannot_be_understood_is_none(env: Environment, text: str) -> None:
    kept.save("tree", CHECK, env, GREEN)
    (file,) = (Path(os.environ["HOME"]) / ".cache" / "zwarm-ci" / "results").glob("*.json")
    file.write_text(text)
    assert kept.find("tree", CHECK, env) is None


def test_the_oldest_go(env: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "_MOST", 2)
    for number in range(4):
        kept.save(f"tree{number}", CHECK, env, GREEN)
        for file in (Path(os.environ["HOME"]) / ".cache" / "zwarm-ci" / "results").glob("*.json"):
            os.utime(file, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns - 10**9))
    assert [kept.find(f"tree{n}", CHECK, env) is not None for n in range(4)] == [False, False, True, True]
