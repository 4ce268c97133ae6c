"""Ways in which Python projects are laid out and installed: the worktree's code is what is tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.matrix.pythons import (
    PRICES,
    PROJECT,
    TESTS,
    Case,
    cache,
    environment,
    not_green_by_the_checkouts_code,
    python,
    repaired_or_named,
    run,
    tool,
    uv,
)

pytestmark = pytest.mark.slow

SRC = {
    "pyproject.toml": PROJECT,
    "src/shop/__init__.py": "",
    "src/shop/prices.py": PRICES,
    "tests/test_prices.py": TESTS,
}
FLAT = {"pyproject.toml": PROJECT, "shop/__init__.py": "", "shop/prices.py": PRICES, "tests/test_prices.py": TESTS}
HATCH = """[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "shop"
version = "1.0"

[tool.hatch.build.targets.wheel]
packages = ["src/shop"]

[tool.hatch.envs.default]
dependencies = ["pytest"]
path = ".venv"
"""
POETRY = """[tool.poetry]
name = "shop"
version = "1.0"
description = ""
authors = []
packages = [{ include = "shop", from = "src" }]

[tool.poetry.dependencies]
python = ">=3.8"

[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
"""
PDM = """[build-system]
requires = ["pdm-backend"]
build-backend = "pdm.backend"

[project]
name = "shop"
version = "1.0"
requires-python = ">=3.9"

[dependency-groups]
dev = ["pytest"]

[tool.pdm]
distribution = true
"""
EXTENSION = """#include <Python.h>
static PyObject *add(PyObject *self, PyObject *args) {
    long a, b;
    if (!PyArg_ParseTuple(args, "ll", &a, &b)) return NULL;
    return PyLong_FromLong(a + b);
}
static PyMethodDef methods[] = {{"add", add, METH_VARARGS, ""}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_sum", "", -1, methods};
PyMODINIT_FUNC PyInit__sum(void) { return PyModule_Create(&module); }
"""
SETUP = 'from setuptools import Extension, setup\nsetup(ext_modules=[Extension("shop._sum", ["src/shop/_sum.c"])])\n'
WITH_C = {
    **SRC,
    "setup.py": SETUP,
    "src/shop/_sum.c": EXTENSION,
    "src/shop/prices.py": "from shop._sum import add\n\n\n"
    + PRICES.replace("result += price", "result = add(result, price)"),
}
BUG_BESIDE_C = ("add(result, price)", "add(result, -price)")


def _editable(repo: Path, *options: str) -> None:
    environment(repo, "pytest", "setuptools>=64")
    uv("pip", "install", "-q", "--python", ".venv/bin/python", *options, "-e", ".", cwd=repo)


def _strict(repo: Path) -> None:
    environment(repo, "pytest", "pip", "setuptools>=64")
    run(
        ".venv/bin/python",
        "-m",
        "pip",
        "install",
        "-q",
        "-e",
        ".",
        "--config-settings",
        "editable_mode=strict",
        cwd=repo,
    )


def _copy(repo: Path) -> None:
    environment(repo, "pytest", ".")


def _copy_again(repo: Path) -> None:
    uv("pip", "install", "-q", "--python", ".venv/bin/python", "--reinstall-package", "shop", ".", cwd=repo)


def _poetry(repo: Path, *, inside: str = "false") -> None:
    settings = {"POETRY_VIRTUALENVS_IN_PROJECT": inside, "VIRTUAL_ENV": "", "XDG_CACHE_HOME": str(cache() / "xdg")}
    poetry = tool("poetry") / "poetry"
    run(poetry, "env", "use", python(), cwd=repo, **settings)
    run(poetry, "install", "-q", "--no-interaction", cwd=repo, **settings)
    folder = run(poetry, "env", "info", "--path", cwd=repo, **settings).strip()
    uv(
        "pip", "install", "-q", "--python", f"{folder}/bin/python", "pytest", cwd=repo
    )  # not every registry has what poetry asks for


def _poetry_in_project(repo: Path) -> None:
    _poetry(repo, inside="true")


def _pdm(repo: Path) -> None:
    pdm = tool("pdm", "hishel<2", "unearth<0.18") / "pdm"  # what pdm 2.29 was not made for
    run(pdm, "venv", "create", python(), cwd=repo, VIRTUAL_ENV="")
    run(pdm, "install", "-q", "-G", ":all", cwd=repo, VIRTUAL_ENV="")


def _hatch(repo: Path) -> None:
    run(tool("hatch") / "hatch", "env", "create", cwd=repo, VIRTUAL_ENV="")


LAYOUTS = {
    "editable in src layout": Case(SRC, _editable),
    "editable in flat layout": Case(FLAT, _editable, source="shop/prices.py"),
    "finder of setuptools": Case(
        FLAT | {"other/__init__.py": "", "pyproject.toml": PROJECT + '[tool.setuptools]\npackages = ["shop"]\n'},
        _editable,
        source="shop/prices.py",
    ),
    "strict editable": Case(SRC, _strict),
    "installed as a copy": Case(SRC, _copy, refresh=_copy_again),
    "uv project": Case(
        SRC | {"pyproject.toml": PROJECT + '[dependency-groups]\ndev = ["pytest"]\n'},
        lambda repo: uv("sync", "-q", "--python", python(), cwd=repo),
    ),
    "poetry": Case(SRC | {"pyproject.toml": POETRY}, _poetry_in_project),
    "poetry, kept elsewhere": Case(
        SRC | {"pyproject.toml": POETRY}, _poetry, ("poetry", "run", "pytest", "-rA", "-q"), tools=["poetry"]
    ),
    "pdm": Case(SRC | {"pyproject.toml": PDM}, _pdm),
    "hatchling": Case(SRC | {"pyproject.toml": HATCH}, _editable),
    "hatch": Case(SRC | {"pyproject.toml": HATCH}, _hatch),
    "compiled extension": Case(WITH_C, _editable, bug=BUG_BESIDE_C),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_bug_is_repaired_or_named(tmp_path: Path, name: str) -> None:
    repaired_or_named(LAYOUTS[name], tmp_path / "shop")


@pytest.mark.parametrize(
    "name", ["editable in src layout", "editable in flat layout", "installed as a copy", "compiled extension"]
)
def test_what_the_environment_leads_astray_is_not_green(tmp_path: Path, name: str) -> None:
    not_green_by_the_checkouts_code(LAYOUTS[name], tmp_path / "shop")
