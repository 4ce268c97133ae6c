"""An item is added to a list in a person's YAML, in its text, or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from zwarm_ci.init.framework import ITEM
from zwarm_ci.init.yaml_text import with_item

ROOT = Path(__file__).parents[2]
PLAIN = """\
# ours
default_stages: [pre-commit]

repos:
  - repo: https://example.org/a   # pinned
    rev: "1"
    hooks:
      - id: a  # the first
  # the second
  - repo: local
    hooks:
      - id: b
        entry: 'run b'
        args: [--x, "y: z"]

# what follows
exclude: ^data/
"""
TAKEN = {
    "plain": PLAIN,
    "no indent": "repos:\n- repo: local\n  hooks:\n  - id: b\nci:\n  skip: [b]\n",
    "no line break at the end": "repos:\n  - repo: local\n    hooks: [{id: b}]",
    "a block scalar last": "repos:\n  - repo: local\n    hooks:\n      - id: b\n        entry: |\n          one\n          two\n\nfail_fast: true\n",
    "a folded scalar at the end": "repos:\n  - repo: local\n    hooks:\n      - id: b\n        exclude: >-\n          x\n          y\n",
    "line breaks of Windows": PLAIN.replace("\n", "\r\n"),
    "an anchor": "x: &x [a]\nrepos:\n  - repo: local\n    hooks: *x\n",
    "a document's marks": "---\nrepos:\n  - repo: local\n    hooks: []\n...\n",
    "comments behind the last item": "repos:\n  - repo: local\n    hooks:\n      - id: b # end\n      # - id: c\n\n\n",
    "nothing after a key": "repos:\n  - repo: local\n    hooks:\n",
}
REFUSED = {
    "in brackets": "repos: [{repo: local, hooks: []}]\n",
    "empty": "repos: []\n",
    "no list": "repos:\n  a: b\n",
    "missing": "ci: {}\n",
    "no mapping": "- repos\n",
    "nothing": "",
    "no YAML": "repos: [\n",
    "a tag of somebody's": "repos:\n  - !mine x\n",
    "twice": "repos:\n  - a: 1\nrepos:\n  - b: 1\n",
    "several documents": "repos:\n  - a: 1\n---\nrepos:\n  - b: 1\n",
    "doubling": "a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(40)) + "repos:\n  - a: 1\n",
    "tabs in the middle": "repos:\n\t- a: 1\n",
}


@pytest.mark.parametrize("name", TAKEN)
def test_one_item_more_and_all_else_as_it_was(name: str) -> None:
    text = TAKEN[name]
    found = with_item(text, "repos", ITEM)
    assert found is not None
    made, inserted = found
    before, after = yaml.safe_load(text), yaml.safe_load(made)
    assert after["repos"] == [*before["repos"], yaml.safe_load("\n".join(ITEM))[0]]
    assert made.replace(inserted, "", 1) == text
    assert all(line in made.splitlines() for line in text.splitlines())
    assert ("\r\n" in text) == ("\r\n" in inserted)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_certain_is_refused(name: str) -> None:
    assert with_item(REFUSED[name], "repos", ITEM) is None


_SCALARS = st.one_of(st.booleans(), st.integers(-9, 9), st.text("ab: #-\n'\"", max_size=8))
_ITEMS = st.dictionaries(
    st.text("abc", min_size=1, max_size=3), st.one_of(_SCALARS, st.lists(_SCALARS, max_size=3)), min_size=1
)


@given(
    repos=st.lists(_ITEMS, min_size=1, max_size=3),
    more=st.dictionaries(st.sampled_from(["ci", "exclude", "x"]), _SCALARS, max_size=2),
    flow=st.booleans(),
    width=st.sampled_from([20, 80]),
    tail=st.sampled_from(["", "\n", "# end\n", "\n  # indented\n"]),
)
def test_whatever_is_written_by_a_yaml_library(
    repos: list[object], more: dict[str, object], width: int, tail: str, *, flow: bool
) -> None:
    text = (
        yaml.safe_dump(
            {**more, "repos": repos}, default_flow_style=None if flow else False, width=width, sort_keys=False
        )
        + tail
    )
    found = with_item(text, "repos", ITEM)
    if found is not None:
        made, inserted = found
        assert yaml.safe_load(made) == {**more, "repos": [*repos, yaml.safe_load("\n".join(ITEM))[0]]}
        assert made.replace(inserted, "", 1) == text
    else:
        assert flow or tail.strip(), text  # only text that reaches into the last item may be refused


def test_the_framework_takes_what_is_made(tmp_path: Path) -> None:
    (tmp_path / "new.yaml").write_text("repos:\n" + "".join(f"  {line}\n" for line in ITEM))
    theirs = PLAIN.replace("- id: b", "- id: b\n        name: b\n        language: system")
    found = with_item(theirs, "repos", ITEM)
    assert found is not None
    (tmp_path / "more.yaml").write_text(found[0])
    program = Path(sys.executable).with_name("pre-commit")
    files = sorted(tmp_path.glob("*.yaml"))
    done = subprocess.run([program, "validate-config", *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    (manifest,) = [tuple(h["id"] for h in item["hooks"]) for item in yaml.safe_load("\n".join(ITEM))]
    offered = {hook["id"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    assert set(manifest) <= offered
