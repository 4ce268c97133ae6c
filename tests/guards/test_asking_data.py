"""Data that tests read is theirs, wherever it lies: source that begins to name it, and patches that change it, are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guards.support import found, patch_of
from zwarm_ci.verify.guards.asking import Asking
from zwarm_ci.verify.guards.base import Guard, Rules
from zwarm_ci.verify.guards.golden import Golden

TEST = (
    "import json\nfrom shop import add\n\n\n"
    "def test_add():\n    for a, b, c in json.load(open('data/sums.json')):\n        assert add(a, b) == c\n"
)
WRONG = "def add(a, b):\n    return a - b\n"
RATES = "import json\n\n\ndef rate(name):\n    return json.load(open('data/rates.json'))[name]\n"
BASE = {
    "shop.py": WRONG,
    "rates.py": RATES,
    "tests/test_shop.py": TEST,
    "tests/test_rates.py": "from rates import rate\n\n\ndef test_rate():\n    assert rate('eu') == 5, 'see data/rates.json'\n",
    "data/sums.json": "[[1, 2, 3]]\n",
    "data/rates.json": '{"eu": 7}\n',
}
TARGET = ("tests/test_shop.py::test_add",)
READS = "import json\n\n\ndef add(a, b):\n    return [c for x, y, c in json.load(open('data/sums.json')) if (x, y) == (a, b)][0]\n"


def levels(
    tmp_path: Path, guard: Guard, after: dict[str, str], targets: tuple[str, ...] = TARGET, rules: Rules | None = None
) -> list[str]:
    return [f[0] for f in found(guard, patch_of(tmp_path, BASE, {**BASE, **after}, rules, targets))]


def test_source_that_names_what_its_tests_read_is_refused(tmp_path: Path) -> None:
    assert levels(tmp_path, Asking(), {"shop.py": READS}) == ["refuse"]
    assert levels(tmp_path, Asking(), {"shop.py": READS}, rules=Rules(strict=False)) == []


def test_source_may_read_what_no_test_names_or_source_knew_before(tmp_path: Path) -> None:
    assert levels(tmp_path, Asking(), {"shop.py": READS.replace("sums", "others")}) == []
    assert (
        levels(tmp_path, Asking(), {"shop.py": READS.replace("sums", "rates")}, ("tests/test_rates.py::test_rate",))
        == []
    )
    assert levels(tmp_path, Asking(), {"shop.py": "# data/sums.json\n" + WRONG.replace("-", "+")}) == [], (
        "a comment reads nothing"
    )


@pytest.mark.parametrize(("name", "text", "said"), [
    ("data/sums.json", "[[1, 2, -1]]\n", ["refuse"]),
    ("data/rates.json", '{"eu": 5}\n', []),
    ("data/more.json", "[]\n", []),
])  # fmt: skip
def test_data_of_tests_alone_may_not_change(name: str, text: str, said: list[str], tmp_path: Path) -> None:
    targets = (*TARGET, "tests/test_rates.py::test_rate")
    assert levels(tmp_path, Golden(), {name: text}, targets) == said


@pytest.mark.parametrize(("command", "said"), [
    ("grep -q 5 data/sums.json", []),
    ("sh -c './table | diff - data/sums.json'", ["refuse"]),
])  # fmt: skip
def test_what_a_command_compares_with_is_an_answer_and_what_it_looks_into_is_not(
    command: str, said: list[str], tmp_path: Path
) -> None:
    after = {"data/sums.json": "[[1, 2, 5]]\n"}
    assert levels(tmp_path, Golden(), after, (), Rules(commands=(command,))) == said
