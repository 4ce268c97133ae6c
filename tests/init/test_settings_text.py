"""The ladder goes into settings that are there, in their text, or not at all."""

from __future__ import annotations

import tomllib

import pytest

from zwarm_ci.init.settings_text import with_ladder

LADDER = ["embedded", "codex:mini"]
OURS = ("tool", "zwarm-ci")
TAKEN = {
    "nothing yet": ("", ()),
    "another table": ("# mine\n[checks.tests]\nrun = 'pytest' # all\n", ()),
    "no line break at the end": ("[loop]\nturns = 2", ()),
    "its table": ("[executor]   # who\ntimeout = 60\n\n[loop]\nturns = 2\n", ()),
    "in pyproject": (
        '[project]\nname = "p"\n\n[tool.zwarm-ci.loop]\nturns = 2\n\n[tool.ruff]\nline-length = 1\n',
        OURS,
    ),
    "line breaks of Windows": ("[loop]\r\nturns = 2\r\n", ()),
}
REFUSED = {
    "another ladder": '[executor]\nladder = ["embedded"]\n',
    "an adapter": '[executor]\nadapter = "codex"\n',
    "inline": "executor = {timeout = 60}\n",
    "dotted": "executor.timeout = 60\n",
    "no TOML": "[executor\n",
    "a header in a string": 'x = """\n[executor]\n"""\n[executor]\ntimeout = 60\n',
}


@pytest.mark.parametrize("name", TAKEN)
def test_the_ladder_is_added_and_all_else_stays(name: str) -> None:
    text, prefix = TAKEN[name]
    found = with_ladder(text, prefix, LADDER)
    assert found is not None
    made, inserted = found
    executor = tomllib.loads(made)
    for part in (*prefix, "executor"):
        executor = executor[part]
    assert executor["ladder"] == LADDER
    assert made.replace(inserted, "", 1) == text
    assert with_ladder(made, prefix, LADDER) == (made, "")


@pytest.mark.parametrize("name", REFUSED)
def test_what_says_otherwise_or_is_not_certain_is_refused(name: str) -> None:
    assert with_ladder(REFUSED[name], (), LADDER) is None
