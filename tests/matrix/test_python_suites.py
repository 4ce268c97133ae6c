"""Ways in which Python projects run their tests: versions, plugins, unittest, files that git ignores, several packages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.matrix.pythons import (
    IGNORED,
    PRICES,
    PROJECT,
    TESTS,
    Case,
    environment,
    python,
    repaired_or_named,
    uv,
    versions,
)
from tests.support import zwarm

pytestmark = pytest.mark.slow

FLAT = {"pyproject.toml": PROJECT, "shop/__init__.py": "", "shop/prices.py": PRICES, "tests/test_prices.py": TESTS}
OLD = "pytest==6.2.5"
XDIST = ("-n", "2")


def _runners() -> list[tuple[str, str, tuple[str, ...]]]:
    """(Python, pytest, options): the newest pytest of each Python, the oldest where it still runs, with xdist and without."""
    found: list[tuple[str, str, tuple[str, ...]]] = []
    for number, version in enumerate(versions()):
        found.append((version, "pytest", XDIST if number % 2 else ()))
        if version in {"3.8", "3.9", "3.10"}:
            found.append((version, OLD, () if number % 2 else XDIST))
    return found


@pytest.mark.parametrize(("version", "requirement", "options"), _runners())
def test_every_python_and_pytest(tmp_path: Path, version: str, requirement: str, options: tuple[str, ...]) -> None:
    plugins = ["pytest-xdist"] if options else []
    settings = {"pytest.ini": f"[pytest]\naddopts = {' '.join(options)}\n"}
    case = Case(
        {**FLAT, **settings}, lambda repo: environment(repo, requirement, *plugins, version=version), source="shop/prices.py"
    )  # fmt: skip
    outcome = repaired_or_named(case, tmp_path / "shop")
    assert any(f"Python {version}." in note for note in outcome["notes"])


UNITTEST = """import unittest

from shop.prices import cheapest, total


class Prices(unittest.TestCase):
    def test_total(self):
        self.assertEqual(total([1, 2, 3]), 6)

    def test_cheapest(self):
        self.assertEqual(cheapest([3, 1, 2]), 1)
"""


def test_unittest_alone(tmp_path: Path) -> None:
    files = {**FLAT, "tests/__init__.py": "", "tests/test_prices.py": UNITTEST}
    plain = (".venv/bin/python", "-m", "unittest", "-v")
    case = Case(files, environment, plain, source="shop/prices.py")
    outcome = repaired_or_named(case, tmp_path / "shop")
    assert outcome["checks"]["before"][0]["command"] == "python -m unittest"


NEEDS = "from pathlib import Path\n\n\ndef test_rates():\n    assert Path(__file__).with_name('rates.json').read_text() == '{}'\n"


def test_a_file_that_git_ignores(tmp_path: Path) -> None:
    """Without a word it is the environment's fault, never a task; named, it is there."""
    files = {**FLAT, ".gitignore": IGNORED + "rates.json\n", "tests/test_rates.py": NEEDS}
    case = Case(files, lambda repo: environment(repo, "pytest"), source="shop/prices.py")
    repo = case.make(tmp_path / "shop")
    (repo.path / "tests" / "rates.json").write_text("{}")
    assert case.in_place(repo)[2] == case.red
    outcome = case.fix(repo)
    assert not [
        t for t in outcome["tasks"] if "test_rates" in json.dumps(t["failures"]) and t["status"] != "unverifiable"
    ], outcome["tasks"]
    assert "rates.json" in json.dumps(outcome)
    repo.git("checkout", "-q", "main")
    (repo.path / ".worktreeinclude").write_text("tests/rates.json\n")
    repo.commit("Name what tests need", {})
    outcome = case.fix(repo, "--branch", "second")
    (before,) = outcome["checks"]["before"]
    assert [i.split("::")[-1] for i in before["failed"]] == ["test_total"]
    assert outcome["status"] == "fixed"


def _member(name: str, *needs: str) -> str:
    text = f'[project]\nname = "{name}"\nversion = "1"\nrequires-python = ">=3.8"\ndependencies = {list(needs)}\n\n'
    sources = "".join(f"[tool.uv.sources.{n}]\nworkspace = true\n" for n in needs)
    return f'{text}{sources}[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'


WORKSPACE = {
    "pyproject.toml": '[tool.uv.workspace]\nmembers = ["packages/*"]\n\n[dependency-groups]\ndev = ["pytest"]\n'
    '\n[project]\nname = "all"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = ["shop", "till"]\n'
    "\n[tool.uv.sources]\nshop = { workspace = true }\ntill = { workspace = true }\n[tool.uv]\npackage = false\n",
    "packages/shop/pyproject.toml": _member("shop"),
    "packages/shop/src/shop/__init__.py": "",
    "packages/shop/src/shop/prices.py": PRICES,
    "packages/shop/tests/test_prices.py": TESTS,
    "packages/till/pyproject.toml": _member("till", "shop"),
    "packages/till/src/till/__init__.py": "from shop.prices import total\n\n\ndef pay(prices, given):\n    return given - total(prices)\n",
    "packages/till/tests/test_till.py": "from till import pay\n\n\ndef test_pay():\n    assert pay([1, 2], 5) == 2\n",
}


def _sync(repo: Path) -> None:
    uv("sync", "-q", "--all-packages", "--python", python(), cwd=repo)


def test_a_uv_workspace_is_one_check_a_package_with_ids_from_the_top(tmp_path: Path) -> None:
    case = Case(WORKSPACE, _sync, source="packages/shop/src/shop/prices.py")
    repo = case.make(tmp_path / "shop")
    code, _, failed = case.in_place(repo)
    assert (code, failed) == (1, {"test_total", "test_pay"})
    outcome = case.fix(repo)
    before = {c["name"]: c for c in outcome["checks"]["before"]}
    assert before["tests-packages-shop"]["failed"] == ["packages/shop/tests/test_prices.py::test_total"]
    assert before["tests-packages-till"]["failed"] == ["packages/till/tests/test_till.py::test_pay"]
    assert outcome["status"] == "fixed", outcome["reason"]
    repo.git("checkout", "-q", outcome["branch"])
    assert case.in_place(repo)[0] == 0


def test_the_folder_that_one_stands_in_names_the_package(tmp_path: Path) -> None:
    case = Case(WORKSPACE, _sync, source="packages/shop/src/shop/prices.py")
    repo = case.make(tmp_path / "shop")
    said = zwarm("fix-tests", "--dry-run", "--json", "-C", "packages/till", cwd=repo.path, **case.env())
    assert [c["name"] for c in said.json["checks"]] == ["tests-packages-till"]


def test_settings_at_the_top_make_a_workspace_one_check(tmp_path: Path) -> None:
    files = {**WORKSPACE, "pytest.ini": "[pytest]\naddopts = --import-mode=importlib\n"}
    case = Case(files, _sync, source="packages/shop/src/shop/prices.py", red={"test_total", "test_pay"})
    outcome = repaired_or_named(case, tmp_path / "shop")
    assert [c["name"] for c in outcome["checks"]["before"]] == ["tests"]


DJANGO = {
    "manage.py": "import os, sys\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n"
    "from django.core.management import execute_from_command_line\nexecute_from_command_line(sys.argv)\n",
    "shop/__init__.py": "",
    "shop/settings.py": "SECRET_KEY = 'x'\nDATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}}\n"
    "INSTALLED_APPS = ['django.contrib.auth', 'django.contrib.contenttypes']\nUSE_TZ = True\n",
    "shop/prices.py": PRICES,
    "shop/tests.py": UNITTEST.replace(
        "import unittest\n", "from django.contrib.auth.models import User\nfrom django.test import TestCase\n"
    ).replace("unittest.TestCase", "TestCase")
    + "\n    def test_users(self):\n        User.objects.create(username='ada')\n        self.assertEqual(User.objects.count(), 1)\n",
    "shop/test_more.py": "from django.test import SimpleTestCase\n\n\nclass More(SimpleTestCase):\n    def test_more(self):\n        pass\n",
}


@pytest.mark.parametrize("site", ["", "web"], ids=["at the top", "in a folder"])
def test_django_by_its_own_command(tmp_path: Path, site: str) -> None:
    place = f"{site}/" if site else ""
    files = {f"{place}{name}": text for name, text in DJANGO.items()} | ({"web/setup.py": ""} if site else {})
    plain = ("../.venv/bin/python" if site else ".venv/bin/python", "manage.py", "test", "-v", "2", "-p", "test*.py")
    case = Case(
        files, lambda repo: environment(repo, "django"), plain, source=f"{place}shop/prices.py", workdir=site or "."
    )
    outcome = repaired_or_named(case, tmp_path / "shop")
    (before,) = outcome["checks"]["before"]
    assert (before["command"], before["failed"]) == ("python manage.py test", [f"{place}shop.tests.Prices.test_total"])
    assert {i.split(".")[-1] for i in before["passed"]} == {"test_cheapest", "test_users", "test_more"}
