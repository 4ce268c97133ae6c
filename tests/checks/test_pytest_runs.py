"""Real pytest in real processes: what each id did, and what of it is believed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.running import believed, plant, run_in
from zwarm_ci.task import Place

MIXED = """
import pytest
from calc import add, div

@pytest.mark.parametrize(("a", "b", "c"), [(1, 0, 1), (1, 1, 2), (2, 2, 4)])
def test_add(a, b, c):
    assert add(a, b) == c

@pytest.mark.parametrize("text", ["a::b", "x[y]", "ünï"])
def test_names(text):
    assert text == "x[y]"

def test_deep():
    div(1)

@pytest.mark.xfail
def test_expected():
    assert False

@pytest.mark.xfail(strict=True)
def test_unexpected():
    pass

@pytest.mark.skip
def test_skipped():
    pass

@pytest.fixture
def broken():
    raise KeyError("no such fixture value")

def test_setup(broken):
    pass

def test_teardown(request):
    request.addfinalizer(lambda: [].pop())
"""
CALC = "def add(a, b):\n    return a - b\n\n\ndef div(a):\n    return a / 0\n"


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixed") / "a b" / "tree ä"
    return plant(
        folder, {"calc.py": CALC, "tests/test_calc.py": MIXED, "tests/test_gone.py": "from calc import gone\n"}
    )


@pytest.mark.parametrize(
    "command",
    ["python -m pytest", "python -m pytest -n 2 -x", "python -m pytest -q --maxfail=1 --rootdir . -p no:cacheprovider"],
)
def test_each_id_has_its_state_whatever_the_options(mixed: Path, command: str) -> None:
    result = believed(run_in(mixed, command))
    name = "tests/test_calc.py::"
    assert set(result.failed) == {
        f"{name}test_add[1-1-2]",
        f"{name}test_add[2-2-4]",
        f"{name}test_names[a::b]",
        f"{name}test_names[\\xfcn\\xef]",
        f"{name}test_deep",
        f"{name}test_unexpected",
        f"{name}test_setup",
        f"{name}test_teardown",
        "tests/test_gone.py",
    }
    assert set(result.passed) == {f"{name}test_add[1-0-1]", f"{name}test_names[x[y]]"}
    assert set(result.skipped) == {f"{name}test_expected", f"{name}test_skipped"}
    assert (result.exit_code, result.canary, result.timed_out) == (1, True, False)
    assert {f.id for f in result.failures} == set(result.failed)
    assert "tests/test_calc.py" in result.modules
    assert not any("canary" in i for i in (*result.passed, *result.failed, *result.modules))


def test_a_failure_carries_its_place_shape_and_message(mixed: Path) -> None:
    result = run_in(mixed)
    deep = result.failure("tests/test_calc.py::test_deep")
    assert deep is not None
    assert (deep.place, deep.shape) == (Place("calc.py", 6), "ZeroDivisionError")
    assert deep.frames == (Place("tests/test_calc.py", 14), Place("calc.py", 6))
    assert deep.message == "ZeroDivisionError: division by zero"
    assert "return a / 0" in deep.detail
    gone = result.failure("tests/test_gone.py")
    assert gone is not None
    assert (gone.place, gone.shape) == (Place("tests/test_gone.py", 1), "ImportError")
    setup = result.failure("tests/test_calc.py::test_setup")
    assert setup is not None
    assert setup.message.startswith("at setup: KeyError")


def test_nothing_of_ours_is_left_in_the_tree_or_seen_by_the_tests(tmp_path: Path) -> None:
    sees = """
import os, subprocess, sys
def test_sees_nothing():
    assert not [n for n in os.environ if n.startswith(("ZWARM_CI_PROBE", "PYTEST_ADDOPTS"))]
    assert "probe" not in os.environ.get("PYTHONPATH", "")
    assert "probe" not in " ".join(sys.path[:-1])
    subprocess.run([sys.executable, "-m", "pytest", "inner.py", "-q", "-p", "no:cacheprovider"], check=True)
def test_tmp(tmp_path):
    assert str(tmp_path).startswith(os.environ["TMPDIR"])
"""
    tree = plant(tmp_path / "tree", {"test_a.py": sees, "inner.py": "def test_i(): pass\n"})
    for command in ("python -m pytest -p no:randomly", "python -m pytest -n 2"):
        assert believed(run_in(tree, command)).green
    assert {p.name for p in tree.rglob("*") if p.is_file()} == {"test_a.py", "inner.py"}


def test_only_the_asked_ids_run_and_others_are_absent(mixed: Path) -> None:
    asked = ["tests/test_calc.py::test_add[1-0-1]", "tests/test_calc.py::test_deep", "tests/test_none.py::test_x"]
    result = believed(run_in(mixed, only=asked))
    assert (result.passed, result.failed) == (tuple(asked[:1]), tuple(asked[1:2]))
    assert result.state("tests/test_none.py::test_x") == "absent"
    broken_file = believed(run_in(mixed, only=["tests/test_gone.py"]))
    assert broken_file.failed == ("tests/test_gone.py",)
    whole_file = believed(run_in(mixed, only=["tests/test_calc.py"]))
    assert (len(whole_file.failed), len(whole_file.passed)) == (8, 2)
    none = believed(run_in(mixed, only=["tests/test_none.py::test_x"]))
    assert (none.exit_code, none.green, none.passed) == (5, False, ())
    by_command = believed(run_in(mixed, "python -m pytest tests/test_calc.py -n 2", only=asked))
    assert (by_command.passed, by_command.failed) == (result.passed, result.failed)


def test_a_mended_collection_error_passes_under_its_module(tmp_path: Path) -> None:
    tree = plant(
        tmp_path / "tree",
        {"test_a.py": "import gone_away\n\ndef test_a(): pass\n", "test_b.py": "def test_b(): pass\n"},
    )
    before = believed(run_in(tree))
    assert (before.failed, before.passed) == (("test_a.py",), ("test_b.py::test_b",))
    plant(tree, {"gone_away.py": ""})
    for command in ("python -m pytest", "python -m pytest -n 2"):
        after = believed(run_in(tree, command))
        assert after.green
        assert after.state("test_a.py") == "passed"


def test_a_conftest_that_breaks_is_a_failure_that_can_be_mended(tmp_path: Path) -> None:
    tree = plant(
        tmp_path / "tree",
        {
            "conftest.py": "import settings\n",
            "settings.py": "x = 1\nraise ValueError('bad setting')\n",
            "test_a.py": "def test_a(): pass\n",
        },
    )
    broken = believed(run_in(tree))
    assert broken.failed == ("tests::startup",)
    assert (broken.failures[0].place, broken.failures[0].shape) == (Place("settings.py", 2), "ValueError")
    assert "bad setting" in broken.failures[0].message
    plant(tree, {"settings.py": "x = 1\n"})
    mended = believed(run_in(tree, only=["tests::startup"]))
    assert mended.green
    assert mended.state("tests::startup") == "passed"
    assert mended.passed == ("test_a.py::test_a",)


def test_a_conftest_with_a_syntax_error_or_a_failing_configure_too(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", {"conftest.py": "def f(:\n", "test_a.py": "def test_a(): pass\n"})
    syntax = believed(run_in(tree))
    assert (syntax.failed, syntax.failures[0].shape) == (("tests::startup",), "SyntaxError")
    assert syntax.failures[0].place == Place("conftest.py", 1)
    plant(tree, {"conftest.py": "\ndef pytest_configure(config):\n    raise RuntimeError('not configured')\n"})
    configure = run_in(tree)
    assert not configure.green
    assert configure.failed == ("tests::startup",) or configure.trouble.startswith("runner:")


def test_a_hanging_test_fails_where_it_hangs(tmp_path: Path) -> None:
    hang = "import time\n\ndef wait():\n    time.sleep(600)\n\ndef test_quick():\n    pass\n\ndef test_hang():\n    wait()\n"
    tree = plant(tmp_path / "tree", {"test_h.py": hang})
    result = believed(run_in(tree, timeout=3))
    assert (result.timed_out, result.green, result.canary) == (True, False, None)
    assert (result.failed, result.passed, result.exit_code) == (
        ("test_h.py::test_hang",),
        ("test_h.py::test_quick",),
        None,
    )
    assert (result.failures[0].message, result.failures[0].place) == ("timed out", Place("test_h.py", 4))


def test_a_hanging_test_fails_under_xdist_and_in_collection(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", {"test_h.py": "import time\ndef test_hang():\n    time.sleep(600)\n"})
    assert believed(run_in(tree, "python -m pytest -n 1", timeout=5)).failed == ("test_h.py::test_hang",)
    plant(tree, {"test_h.py": "import time\ntime.sleep(600)\n"})
    result = believed(run_in(tree, timeout=2))
    assert result.failed == ("test_h.py",)
    plant(tree, {"conftest.py": "import time\ntime.sleep(600)\n"})
    assert run_in(tree, timeout=2).trouble.startswith("check: ended after")


def test_no_tests_is_trouble_not_green(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", {"test_a.py": "x = 1\n"})
    for command in ("python -m pytest", "python -m pytest -k nothing_is_called_so"):
        result = run_in(tree, command)
        assert result.trouble.startswith("check: no tests ran")
        assert not result.green


@pytest.mark.parametrize(
    ("command", "begins"),
    [
        ("python -m pytest --no-such-option", "environment: "),
        ("python -m pytest no_such_folder", "check: "),
        ("no-such-program --x", "environment: no-such-program: not found"),
        ("python -I -m pytest", "environment: "),
        ("python -c pass", "environment: "),
        ("python -m pytest -p no:junitxml", "check: pytest's JUnit report is switched off"),
    ],
)
def test_what_cannot_run_is_trouble_with_a_remedy(tmp_path: Path, command: str, begins: str) -> None:
    tree = plant(tmp_path / "tree", {"test_a.py": "def test_a(): pass\n"})
    result = run_in(tree, command)
    assert result.trouble.startswith(begins)
    assert result.trouble.endswith(")")
    assert not result.green


def test_pytest_not_installed_is_the_environments_fault(tmp_path: Path) -> None:
    import venv

    tree = plant(tmp_path / "tree", {"test_a.py": "def test_a(): pass\n"})
    venv.create(tree / ".venv", with_pip=False, symlinks=True)
    result = run_in(tree)
    assert result.trouble.startswith("environment: pytest is not installed")
    assert str(tree / ".venv") in result.trouble


def test_options_of_the_repository_are_kept(tmp_path: Path) -> None:
    ini = "[pytest]\naddopts = -x -q --junitxml=report.xml -p no:cacheprovider --strict-config\n"
    tests = "def test_a():\n    assert 0\n\ndef test_b():\n    assert 0\n\ndef test_c():\n    pass\n"
    tree = plant(tmp_path / "tree", {"pytest.ini": ini, "test_a.py": tests})
    result = believed(run_in(tree))
    assert result.failed == ("test_a.py::test_a", "test_a.py::test_b")
    assert result.passed == ("test_a.py::test_c",)
    assert (tree / "report.xml").is_file()


def test_a_workdir_below_the_top_gives_places_from_the_top(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", {"sub/test_a.py": "def test_a():\n    assert 0\n"})
    result = believed(run_in(tree, workdir="sub"))
    assert (result.failed, result.failures[0].place) == (("sub/test_a.py::test_a",), Place("sub/test_a.py", 2))


def test_a_tree_and_scratch_named_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path / "tree", {"test_a.py": "def test_a():\n    assert 0\n"})
    monkeypatch.chdir(tmp_path)
    result = believed(run_in(Path("tree")))
    assert (result.failed, result.failures[0].place) == (("test_a.py::test_a",), Place("test_a.py", 2))


def test_without_a_canary_the_exit_code_is_the_commands(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", {"test_a.py": "def test_a(): pass\n"})
    result = believed(run_in(tree, canary=False))
    assert (result.exit_code, result.canary, result.green) == (0, None, True)


def test_a_plugin_that_fails_the_run_as_a_whole_is_a_failure(tmp_path: Path) -> None:
    threshold = """
import pytest
@pytest.hookimpl(hookwrapper=True)
def pytest_runtestloop(session):
    yield
    session.testsfailed += 1
def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line("FAIL Required test coverage of 90% not reached")
"""
    tree = plant(tmp_path / "tree", {"conftest.py": threshold, "test_a.py": "def test_a(): pass\n"})
    result = believed(run_in(tree))
    assert (result.failed, result.exit_code) == (("tests::exit",), 1)
    assert "coverage" in result.failures[0].message
    plant(tree, {"conftest.py": ""})
    assert believed(run_in(tree)).state("tests::exit") == "passed"


def _flood(megabytes: int) -> str:
    return f"""
import sys
def test_flood():
    for _ in range({megabytes} * 16):
        sys.stdout.buffer.write(b"\\xff\\xfe\\x80 not utf-8 \\x1b[31m" * 3277)
    assert 0, "after the flood"
def test_after():
    pass
"""


@pytest.mark.parametrize("options", ["-s", ""])
def test_a_flood_of_bytes_that_are_no_text(tmp_path: Path, options: str) -> None:
    tree = plant(tmp_path / "tree", {"test_f.py": _flood(20)})
    result = believed(run_in(tree, f"python -m pytest {options}"))
    assert (result.failed, result.passed) == (("test_f.py::test_flood",), ("test_f.py::test_after",))
    assert "after the flood" in result.failures[0].message
    assert len(result.failures[0].detail) <= 6000
    assert options != "-s" or Path(result.log).stat().st_size > 19_000_000


@pytest.mark.slow
def test_a_suite_that_prints_200_megabytes(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", {"test_f.py": _flood(200)})
    result = believed(run_in(tree, "python -m pytest -s", timeout=300))
    assert (result.failed, result.passed) == (("test_f.py::test_flood",), ("test_f.py::test_after",))


def test_a_process_ended_by_a_signal_is_the_environments_fault(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", {"test_k.py": "import os\ndef test_k():\n    os.kill(os.getpid(), 9)\n"})
    assert run_in(tree).trouble.startswith("environment: ended by signal 9")
    crash = believed(run_in(tree, "python -m pytest -n 1"))
    assert (crash.failed, crash.failures[0].shape) == (("test_k.py::test_k",), "WorkerCrash")


def test_a_test_that_interrupts_the_run_is_red(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", {"test_k.py": "def test_k():\n    raise KeyboardInterrupt\ndef test_l(): pass\n"})
    result = run_in(tree)
    assert not result.green
    assert result.failed == ("test_k.py::test_k",)


def test_several_checks_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    trees = [plant(tmp_path / f"t{n}" / "tree", {"test_a.py": f"def test_{n}(): assert {n} % 2\n"}) for n in range(3)]
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(run_in, trees))
    assert [bool(believed(r).passed) for r in results] == [False, True, False]


def test_the_log_keeps_everything_under_the_name_asked_for(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", {"test_a.py": "def test_a(): print('said in passing')\n"})
    result = run_in(tree, "python -m pytest -s", log_name="before")
    assert Path(result.log) == tmp_path / "scratch" / "before.log"
    assert "said in passing" in Path(result.log).read_text()


def test_git_variables_of_a_hook_do_not_reach_a_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_INDEX_FILE", "/elsewhere")
    monkeypatch.setenv("SECRET_TOKEN", "t0ps3cret")
    tests = "import os\ndef test_a():\n    assert not {'GIT_INDEX_FILE', 'SECRET_TOKEN'} & set(os.environ)\n"
    assert believed(run_in(plant(tmp_path / "tree", {"test_a.py": tests}))).green
    listed = run_in(tmp_path / "tree", env_names=("SECRET_TOKEN",))
    assert listed.failed, "a listed name passes"
