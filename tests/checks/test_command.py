"""Commands are words, not shell text; setup and fix run as the check itself does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.running import plant, run_in
from zwarm_ci.checks import argv_of, run_check, run_fix, run_setup
from zwarm_ci.detect import derive_kind
from zwarm_ci.environment import discover
from zwarm_ci.errors import BlockedError, ConfigError
from zwarm_ci.task import Check


@pytest.mark.parametrize(
    ("command", "words", "settings"),
    [
        ("python -m pytest -k 'a and b'", ["python", "-m", "pytest", "-k", "a and b"], {}),
        ("A=1 B='x y' make test C=3", ["make", "test", "C=3"], {"A": "1", "B": "x y"}),
        ("pytest -k 'a|b;c && d > e `f` $HOME'", ["pytest", "-k", "a|b;c && d > e `f` $HOME"], {}),
        (r"pytest -k a\|b", ["pytest", "-k", "a|b"], {}),
        ('pytest -m "a and (b or c)"', ["pytest", "-m", "a and (b or c)"], {}),
        ("ruff check --select E,F$ .", ["ruff", "check", "--select", "E,F$", "."], {}),
    ],
)
def test_words_and_settings(command: str, words: list[str], settings: dict[str, str]) -> None:
    assert argv_of(command) == (words, settings)


@pytest.mark.parametrize(
    ("command", "named", "remedy"),
    [
        ("pytest | tail -5", "'|'", "a pipe hides the exit code"),
        ("pytest || true", "'||'", "hides the exit code"),
        ("cd sub && pytest", "'&&'", "`setup`"),
        ("pytest; true", "';'", "`setup`"),
        ("server & pytest", "'&'", "process"),
        ("pytest > log", "'>'", "log"),
        ("pytest 2>&1", "'>'", "log"),
        ("pytest `cat args`", "'`'", "script"),
        ('pytest "$(cat args)"', "'$('", "script"),
        ("pytest $ARGS", "'$'", "`env`"),
        ('pytest "${ARGS}"', "'$'", "`env`"),
        ("pytest\ntrue", "'a line break'", "`setup`"),
        ("(pytest)", "'('", "quote"),
        ("pytest 'open", "quotation", "close"),
        ("", "names no program", "write"),
        ("A=1", "names no program", "write"),
    ],
)
def test_what_needs_a_shell_is_refused_with_the_remedy(command: str, named: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        argv_of(command)
    assert named.lower() in caught.value.message.lower()
    assert remedy in caught.value.remedy
    with pytest.raises(ConfigError):
        run_in(Path.cwd(), command)


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("pytest", "pytest"),
        ("python -m pytest -q tests", "pytest"),
        ("python3.12 -m pytest", "pytest"),
        ("uv run pytest -x", "pytest"),
        ("uv run --extra dev --frozen pytest", "pytest"),
        ("poetry run python -m pytest", "pytest"),
        ("X=1 pytest", "pytest"),
        (".venv/bin/pytest", "pytest"),
        ("python -m unittest discover", "junit"),
        ("jest --outputFile={junit}", "junit"),
        ("OUT={junit} jest", "junit"),
        ("ruff check .", "ruff"),
        ("ruff --quiet check .", "ruff"),
        ("ruff format --check .", "generic"),
        ("python -m mypy src", "mypy"),
        ("npx tsc --noEmit", "tsc"),
        ("npx --no-install eslint .", "eslint"),
        ("go test ./...", "go"),
        ("go vet ./...", "generic"),
        ("cargo test", "cargo"),
        ("cargo clippy", "generic"),
        ("tox -e py", "pytest"),
        ("tox run -e py311-django4,pypy3", "pytest"),
        ("uvx tox -e py38,lint", "generic"),
        ("tox", "generic"),
        ("python manage.py test --tag quick", "junit"),
        ("python manage.py migrate", "generic"),
        ("python tests/runtests.py -v", "junit"),
        ("python -m nox -s tests-3.11", "pytest"),
        ("nox -s unittests -p 3.12", "pytest"),
        ("nox -s docs -p 3.12", "generic"),
        ("make test", "generic"),
        ("uv sync", "generic"),
        ("python script.py", "generic"),
    ],
)
def test_the_kind_of_a_command(command: str, kind: str) -> None:
    assert derive_kind(command) == kind


def test_generic_is_its_exit_code_with_the_tail(tmp_path: Path) -> None:
    tree = plant(
        tmp_path / "tree", {"ok.py": "print('fine')\n", "bad.py": "import sys\nprint('one\\ntwo')\nsys.exit('three')\n"}
    )
    good = run_in(tree, "python ok.py", "generic")
    assert (good.green, good.passed, good.canary) == (True, ("tests::exit",), None)
    bad = run_in(tree, "python bad.py", "generic")
    assert (bad.green, bad.failed, bad.exit_code) == (False, ("tests::exit",), 1)
    assert "three" in bad.failures[0].message
    plant(tree, {"hang.py": "import time\ntime.sleep(600)\n"})
    check = Check("tests", "python hang.py", timeout=20)
    hang = run_check(check, tree, env=discover(tree), scratch=tmp_path / "scratch", timeout=1)
    assert hang.seconds < 15
    assert (hang.timed_out, hang.failed, hang.failures[0].message) == (True, ("tests::exit",), "timed out")


def test_settings_before_the_command_reach_it(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", {"a.py": "import os, sys\nsys.exit(os.environ['WORD'] != 'x y')\n"})
    assert run_in(tree, "WORD='x y' python a.py", "generic").green


def test_setup_says_what_went_wrong(tmp_path: Path) -> None:
    tree = plant(
        tmp_path / "tree",
        {"s.py": "import sys\nopen('made', 'w').close()\nsys.exit(len(sys.argv) > 1 and 'no database')\n"},
    )
    env, scratch = discover(tree), tmp_path / "scratch"

    def setup(command: str) -> str:
        return run_setup(Check("tests", "pytest", setup=command), tree, env=env, scratch=scratch)

    assert setup("") == ""
    assert setup("python s.py") == ""
    assert (tree / "made").exists()
    assert setup("python s.py x").startswith("environment: setup `python s.py x` ended with 1: no database")
    assert setup("no-such-program").startswith("environment: setup: no-such-program: not found")


def test_fix_runs_in_the_workdir_and_tells_how_it_ended(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", {"sub/a.py": "import os\n", "sub/ruff.toml": ""})
    env, scratch = discover(tree), tmp_path / "scratch"
    check = Check("ruff", "ruff check .", "ruff", workdir="sub", fix="ruff check --fix .")
    ended = run_fix(check, tree, env=env, scratch=scratch)
    assert ended is not None
    assert ended.ok
    assert (tree / "sub" / "a.py").read_text() == ""
    assert run_fix(Check("ruff", "ruff check ."), tree, env=env, scratch=scratch) is None
    with pytest.raises(BlockedError):
        run_fix(Check("x", "x", fix="no-such-program"), tree, env=env, scratch=scratch)
