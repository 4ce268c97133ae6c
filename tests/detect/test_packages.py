"""Several Python packages in one repository: one check each, or one for all where the top's settings say so."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.checks.running import plant
from zwarm_ci.detect import detect
from zwarm_ci.environment import Environment, Interpreter
from zwarm_ci.task import Check

PROJECT = "[project]\nname = 'x'\nversion = '1'\n"
TWO = {
    "packages/a/pyproject.toml": PROJECT,
    "packages/a/tests/test_a.py": "",
    "libs/b c/setup.py": "",
    "libs/b c/test_b.py": "",
}
ROOT = "[tool.uv.workspace]\nmembers = ['packages/*', 'libs/*']\n"


def _env(top: Path, **more: object) -> Environment:
    return replace(Environment(top, sys.executable, (), (), "a test", ("pytest", "mypy", "ruff")), **more)  # type: ignore[arg-type]


def _checks(tree: Path, envs: Mapping[str, Environment] | None = None) -> dict[str, Check]:
    return {c.name: c for c in detect(tree, lambda folder: (envs or {}).get(folder, _env(tree)))[0]}


def _said(tree: Path, envs: Mapping[str, Environment] | None = None) -> dict[str, tuple[str, str]]:
    return {name: (c.workdir, c.run) for name, c in _checks(tree, envs).items()}


def test_one_check_a_package_with_the_folder_in_its_name(tmp_path: Path) -> None:
    assert _said(plant(tmp_path, TWO)) == {
        "tests-libs-b-c": ("libs/b c", "python -m pytest"),
        "tests-packages-a": ("packages/a", "python -m pytest"),
    }


def test_the_top_keeps_to_its_own_tests(tmp_path: Path) -> None:
    tree = plant(tmp_path, {**TWO, "tests/test_top.py": "", "test_one.py": "", "packages/test_between.py": ""})
    assert _said(tree)["tests"] == (".", "python -m pytest packages/test_between.py test_one.py tests")
    nested = plant(tree, {"packages/a/inner/setup.py": "", "packages/a/inner/test_c.py": ""})
    assert _said(nested)["tests-packages-a"] == ("packages/a", "python -m pytest tests")
    assert _said(nested)["tests-packages-a-inner"] == ("packages/a/inner", "python -m pytest")


@pytest.mark.parametrize(
    "settings",
    ["", "testpaths = ['packages', 'libs']\n", "testpaths = ['packages/*/tests', 'libs/b c']\n", "testpaths = ['.']\n"],
)
def test_settings_at_the_top_that_collect_everything_make_one_check(tmp_path: Path, settings: str) -> None:
    tree = plant(tmp_path, {**TWO, "pyproject.toml": f"{ROOT}[tool.pytest.ini_options]\n{settings}"})
    assert _said(tree) == {"tests": (".", "python -m pytest")}


def test_what_the_tops_settings_leave_out_is_a_check_of_its_own(tmp_path: Path) -> None:
    files = {**TWO, "tests/test_top.py": "", "pytest.ini": "[pytest]\ntestpaths =\n    tests\n    packages\n"}
    assert _said(plant(tmp_path, files)) == {
        "tests": (".", "python -m pytest"),
        "tests-libs-b-c": ("libs/b c", "python -m pytest"),
    }


def test_a_package_with_settings_or_an_interpreter_of_its_own_is_apart(tmp_path: Path) -> None:
    tree = plant(tmp_path, {**TWO, "pytest.ini": "[pytest]\n", "packages/a/setup.cfg": "[tool:pytest]\n"})
    assert list(_said(tree)) == ["tests", "tests-packages-a"]
    other = {"libs/b c": _env(tree, python="/elsewhere/bin/python")}
    assert list(_said(tree, other)) == ["tests-libs-b-c", "tests-packages-a"]


def test_packages_that_are_material_of_tests_are_none(tmp_path: Path) -> None:
    material = {
        f"{folder}/x/{name}": ""
        for folder in ("tests/data", "examples", "{{cookiecutter.name}}")
        for name in ("setup.py", "test_x.py")
    }
    assert _said(
        plant(tmp_path, {**material, "src/p/tools/pyproject.toml": "[tool.ruff]\n", "src/p/tools/test_t.py": ""})
    ) == {"tests": (".", "python -m pytest")}


def test_unittest_where_a_packages_environment_has_no_pytest(tmp_path: Path) -> None:
    tree = plant(tmp_path, {**TWO, "packages/a/tests/test_a.py": "import unittest\n"})
    bare = _env(tree, modules=())
    assert _said(tree, {"packages/a": bare, "libs/b c": bare}) == {
        "tests-packages-a": ("packages/a", "python -m unittest discover -s tests")
    }


def test_a_package_without_pytest_is_a_note_with_what_would_install_it(tmp_path: Path) -> None:
    tree = plant(tmp_path, TWO)
    notes = detect(tree, lambda folder: _env(tree, modules=()) if folder == "packages/a" else _env(tree))[1]
    (note,) = (n for n in notes if "not installed" in n)
    assert note.startswith("packages/a: pytest is not installed")
    assert 'setup = "python -m pip install -e . pytest"' in note


def test_two_languages_that_call_their_tests_the_same_are_told_apart(tmp_path: Path) -> None:
    script = '{"scripts": {"test": "node --test"}}'
    names = list(_checks(plant(tmp_path, {"test_a.py": "", "package.json": script})))
    assert len(names) == len(set(names)) == 2
    assert names[0] == "tests"


def _interpreter(folder: Path, version: str = "3.9.1") -> Interpreter:
    return Interpreter("/x/python", "/x/python", "/x", version, (str(folder),), ("pytest",), compiled=True)


def test_a_plugin_that_the_settings_need_and_nobody_installed_is_named(tmp_path: Path) -> None:
    tree = plant(
        tmp_path / "tree", {"pytest.ini": "[pytest]\naddopts = -n 2 --cov=x\nasyncio_mode = auto\n", "test_a.py": ""}
    )
    sites = plant(tmp_path / "sites", {"pytest_xdist-3.6.dist-info/METADATA": ""})
    env = _env(tree, interpreter=_interpreter(sites))
    checks, notes = detect(tree, lambda _: env)
    assert [c.name for c in checks] == ["tests"]
    (note,) = (n for n in notes if "is not installed" in n)
    assert note.startswith("pytest-cov, pytest-asyncio is not installed")
    plant(sites, {"pytest_cov-5.dist-info/METADATA": "", "Pytest.Asyncio-1.dist-info/METADATA": ""})
    assert not any("is not installed" in n for n in detect(tree, lambda _: env)[1])


def test_an_interpreter_that_the_project_does_not_allow_is_said(tmp_path: Path) -> None:
    tree = plant(tmp_path, {"pyproject.toml": f"{PROJECT}requires-python = '>=3.10'\n", "test_a.py": ""})
    notes = detect(tree, lambda _: _env(tree, interpreter=_interpreter(tree)))[1]
    assert any(n.startswith("Python 3.9.1 is not one that the project allows (>=3.10): ") for n in notes)
    assert len(detect(tree, lambda _: _env(tree, interpreter=_interpreter(tree, "3.10.0")))[1]) == 1


def test_django_is_run_by_its_own_command_where_pytest_has_no_plugin_for_it(tmp_path: Path) -> None:
    manage = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site.settings')\nfrom django.core import management\n"
    tree = plant(
        tmp_path / "tree",
        {"web/manage.py": manage, "web/setup.py": "", "web/shop/test_a.py": "from django.test import TestCase\n"},
    )
    sites = plant(tmp_path / "sites", {})
    env = _env(tree, interpreter=_interpreter(tmp_path / "sites"))
    (check,) = detect(tree, lambda _: env)[0]
    assert (check.name, check.run, check.kind, check.workdir) == ("tests-web", "python manage.py test", "junit", "web")
    plant(sites, {"sites/pytest_django-4.dist-info/METADATA": ""})
    env = _env(tree, interpreter=_interpreter(sites / "sites"))
    assert [c.run for c in detect(tree, lambda _: env)[0]] == ["python -m pytest"]


@pytest.mark.parametrize(
    ("files", "run"),
    [
        ({"runtests.py": "import django\n", "x/tests/a.py": ""}, ("junit", "python runtests.py")),
        (
            {"run_tests.py": "import pytest, sys\nsys.exit(pytest.main())\n", "test_a.py": "import unittest\n"},
            ("pytest", "python run_tests.py"),
        ),
        ({"runtests.py": "print('something else')\n", "test_a.py": ""}, ("pytest", "python -m pytest")),
        (
            {"runtests.py": "import unittest\n", "pytest.ini": "[pytest]\n", "test_a.py": ""},
            ("pytest", "python -m pytest"),
        ),
    ],
)
def test_a_program_of_the_repositorys_own(tmp_path: Path, files: dict[str, str], run: tuple[str, str]) -> None:
    (check,) = _checks(plant(tmp_path, files)).values()
    assert (check.kind, check.run) == run


def test_unittest_is_no_way_to_run_what_is_written_for_pytest(tmp_path: Path) -> None:
    tree = plant(tmp_path, {"test_a.py": "import unittest\n", "test_b.py": "import pytest\n"})
    assert detect(tree, lambda _: _env(tree, modules=()))[0] == ()
