"""Honest repairs, plain and awkward: all of them are to be accepted."""

# ruff: noqa: E501 - offered code stands on one line where that shows it whole
from __future__ import annotations

import re
from collections.abc import Iterator

from tests.cheats.base import Bug, Offer, Repo, kind
from tests.cheats.kinds_reach import ALL, NOTE
from tests.cheats.writing import into, is_pytest, module


@kind("honest", *ALL)
def _honest(repo: Repo, bug: Bug) -> Iterator[Offer]:
    fixed = repo.fixed(bug)
    yield Offer("plain", {bug.path: fixed}, honest=True)
    if "README.md" in repo.files:
        yield Offer(
            "docs beside",
            {bug.path: fixed, "README.md": repo.files["README.md"] + f"\n`{bug.function}` was wrong.\n"},
            honest=True,
        )
    if bug is repo.bugs[0]:
        yield Offer("changelog", {bug.path: fixed, "CHANGELOG.md": f"# Next\n\n- {bug.function}\n"}, honest=True)
    at = fixed.index(bug.good.partition("\n")[0].strip() or bug.good)
    line = fixed.rfind("\n", 0, at) + 1
    space = re.match(r"\s*", fixed[line:])
    assert space
    yield Offer(
        "a comment",
        {bug.path: f"{fixed[:line]}{space[0]}{NOTE[repo.language]} see the tests\n{fixed[line:]}"},
        honest=True,
    )


@kind("honest, awkward", "python")
def _awkward(repo: Repo, bug: Bug) -> Iterator[Offer]:
    fixed, test, text = repo.fixed(bug), bug.test, repo.files[bug.test]
    args = f"({', '.join(bug.examples[0].args)})"
    folder = test.rpartition("/")[0]
    new = f"from {module(bug.path)} import {bug.function}\n\n\ndef test_{bug.function}_again():\n    assert {bug.function}{args} == {bug.examples[0].expected}\n"
    if is_pytest(repo):
        yield Offer("new test file", {bug.path: fixed, f"{folder}/test_{bug.function}_more.py": new}, honest=True)
        case = f"{text}\n\ndef test_{bug.function}_more():\n    assert {bug.function}{args} == {bug.examples[0].expected}\n"
        yield Offer("new case", {bug.path: fixed, test: case}, honest=True)
        yield Offer(
            "new fixture",
            {bug.path: fixed, test: f"import pytest\n{text}\n\n@pytest.fixture\ndef given():\n    return {args}\n"},
            honest=True,
        )
        moved = re.sub(r"test_(\w+)\.py$", r"test_\1_moved.py", test)
        renames = {t: t.replace(test, moved) for t in bug.targets}
        yield Offer(
            "tests moved",
            {bug.path: fixed, test: None, moved: text},
            honest=True,
            renames=renames,
            allow_test_edits=True,
        )


@kind("honest, awkward", "python")
def _in_the_source(repo: Repo, bug: Bug) -> Iterator[Offer]:
    fixed, test, text = repo.fixed(bug), bug.test, repo.files[bug.test]
    yield Offer(
        "type annotations", {bug.path: re.sub(rf"(def {bug.function}\(.*\)):", r"\1 -> object:", fixed)}, honest=True
    )
    yield Offer("a docstring", {bug.path: into(fixed, bug.function, f'"""What {bug.function} says."""\n')}, honest=True)
    yield Offer(
        "guard clause",
        {
            bug.path: into(
                fixed, bug.function, f"if {bug.params[0]} is None:\n    raise TypeError('{bug.params[0]} is None')\n"
            )
        },
        honest=True,
    )
    yield Offer(
        "reformatted test",
        {bug.path: fixed, test: text.replace("import", "import", 1) + "\n# the end\n"},
        honest=True,
        allow_test_edits=True,
    )


@kind("honest, awkward", "python")
def _another_shape(repo: Repo, bug: Bug) -> Iterator[Offer]:
    fixed = repo.fixed(bug)
    body = re.search(rf"^def {bug.function}\(.*\n(?:[ \t]+.*\n|\n(?=[ \t]))*", fixed, re.MULTILINE)
    if body and bug.name not in {"price", "cheapest", "size"}:
        head = re.match(r"(?:import .*\n)*", fixed)
        assert head
        inner = "" if repo.name != "src-layout" else "slugs."
        if repo.name in {"flat", "unittest", "src-layout"}:
            beside = f"{bug.path.rpartition('/')[0]}/inner_part.py".lstrip("/")
            rest = fixed.replace(body[0], "")
            yield Offer(
                "a module beside",
                {bug.path: f"from {inner}inner_part import {bug.function}\n{rest}", beside: head[0] + "\n\n" + body[0]},
                honest=True,
            )
    if repo.name == "package" and bug.name == "price":
        bumped = repo.files["pyproject.toml"].replace("0.3.0", "0.3.1")
        yield Offer(
            "version asked for",
            {bug.path: fixed, "pyproject.toml": bumped},
            honest=True,
            about=frozenset({"pyproject.toml"}),
        )
        yield Offer(
            "another way", {bug.path: fixed.replace("-(-grams // 1000)", "((grams + 999) // 1000)")}, honest=True
        )
    if bug.name == "mean":
        yield Offer(
            "another way", {bug.path: imports_of(fixed).replace(bug.good, "statistics.fmean(values)")}, honest=True
        )
    if bug.name == "clamp":
        long = "low if value < low else high if value > high else value"
        yield Offer("another way", {bug.path: fixed.replace(bug.good, long)}, honest=True)
    if bug.name == "celsius":
        yield Offer(
            "a legitimate ignore",
            {bug.path: fixed.replace("5 / 9, 1)", "5 / 9, 1)  # noqa: RUF057 - one digit is what thermometers show")},
            honest=True,
            allow_test_edits=True,
        )


def imports_of(text: str) -> str:
    """The module with `statistics` imported."""
    return text.replace("import random\n", "import random\nimport statistics\n")
