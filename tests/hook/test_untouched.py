"""Whatever the state and however a hook ends, what is the user's is what it was, byte for byte, but for what a fixer is there to change."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, seed, settings

from tests.hook.states import ENDS, FATES, HEADS, HOOKS, State, count, end, stand, states, template
from tests.support import Repo, belongings

_SETTINGS = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return template(tmp_path_factory.mktemp("states") / "original").path


def held(original: Path, place: Path, state: State, classes: Counter[str]) -> None:
    """Stand in the state, run the hook, compare."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(original, place, symlinks=True)
    repo = Repo(place)
    stand(repo, state)
    staged = {path: repo.git("show", f":{path}") for path in _fixable(repo)} if state.hook == "fix" else {}
    message = {".git/COMMIT_EDITMSG"} if state.hook == "commit-msg" else set()
    if message:
        (place / ".git" / "COMMIT_EDITMSG").write_text("")
    texts = {path: (place / path).read_text() for path in staged if (place / path).is_file()}
    before = belongings(place)
    code = end(repo, state)
    after = belongings(place)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    half = {
        path for path in changed if path.startswith(".git/.COMMIT_EDITMSG.")
    }  # a message that was being written when it was killed
    for path in changed - message - half:
        assert path in staged, f"{path}: {before.get(path)} -> {after.get(path)}"
        assert texts[path].rstrip("\n") == staged[path], f"{path} had changes that were not staged"
        assert (place / path).read_text() == texts[path].replace("bad", "good")
        assert before[path].split()[0] == after[path].split()[0]
    classes["a fixer changed a file"] += bool(changed & staged.keys())
    count(classes, state, code)


def _fixable(repo: Repo) -> list[str]:
    return [p for p in repo.git("diff", "--cached", "--name-only", "--diff-filter=AM", "-z").split("\0") if p]


def hold(original: Path, place: Path, hooks: tuple[str, ...], each: int) -> Counter[str]:
    """`each` states for every way to end; what they were, counted."""
    classes: Counter[str] = Counter()
    for number, way in enumerate(ENDS):

        @seed(len(ENDS) * HOOKS.index(hooks[0]) + number)  # another one for each, or the same states would come again
        @settings(max_examples=each, **_SETTINGS)  # type: ignore[arg-type]
        @given(states(hooks, [way]))
        def holds(state: State) -> None:
            held(original, place, state, classes)

        holds()
    print("\n" + "\n".join(f"{n:5} {name}" for name, n in sorted(classes.items())))
    return classes


def test_nothing_of_the_users_changes(original: Path, tmp_path: Path) -> None:
    assert hold(original, tmp_path / "r", HOOKS, 8)["states"] >= 30


@pytest.mark.slow
@pytest.mark.parametrize("hook", HOOKS)
def test_nothing_of_the_users_changes_in_many_states(original: Path, tmp_path: Path, hook: str) -> None:
    classes = hold(original, tmp_path / "r", (hook,), 15)
    assert classes["states"] >= 60
    assert not [fate for fate in FATES if not classes[f"file {fate}"]]
    assert not [head for head in HEADS if not classes[f"HEAD {head}"]]
    assert {name.split()[1] for name in classes if name.startswith("end ")} == set(ENDS)
    assert hook != "fix" or classes["a fixer changed a file"]
