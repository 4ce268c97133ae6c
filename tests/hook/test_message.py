"""commit-msg: git sees every trailer afterwards, prose stays prose, and no message is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hook.hooked import LINT, git, hook, make, native
from zwarm_ci.hook.message import well_formed

RUN, BY = "Zwarm-Run: 20260101-1200-ab", "Signed-off-by: Ada <ada@example.org>"


@pytest.mark.parametrize(
    ("given_", "made"),
    [
        (f"subject\n\nbody\n\n{RUN}\n\n{BY}\n", f"subject\n\nbody\n\n{RUN}\n{BY}\n"),
        (f"subject\n\nbody\n{RUN}\n", f"subject\n\nbody\n\n{RUN}\n"),
        (f"subject\n{RUN}\n", f"subject\n\n{RUN}\n"),
        (f"subject\n\nbody\n\n{RUN}\n\n{BY}\n\n# Please enter\n#\n", f"subject\n\nbody\n\n{RUN}\n{BY}\n\n# Please enter\n#\n"),
        (f"subject\n\n{RUN}\n\n{BY}\n# --- >8 ---\n", f"subject\n\n{RUN}\n{BY}\n# --- >8 ---\n"),
        (f"subject\n\n{BY}\n  goes on\n\n{RUN}\n", f"subject\n\n{BY}\n  goes on\n{RUN}\n"),
        (f"subject\n\n{RUN}\n# ------------------------ >8 ------------------------\ndiff\n\n{BY}\n", None),
        (f"subject\n\nbody\n\n{RUN}\n{BY}\n", None),
        ("subject\n\nbody\n\nNote: this is prose\n", None),
        (f"subject\n\nNote: this is prose\n\n{BY}\n", None),
        ("subject\n\nwhat it is:\nSee: the other one\n", None),
        (f"{RUN}\n", None),
        ("subject\n", None),
        ("", None),
    ],
)  # fmt: skip
def test_trailers_stand_in_one_block(given_: str, made: str | None) -> None:
    assert well_formed(given_) == (given_ if made is None else made)


LINES = st.sampled_from(
    ["", "", "subject", "some prose", RUN, BY, "Note: x", "# comment", "  more", "# --- >8 ---", "é: ü"]
)


@given(st.lists(LINES, max_size=12).map("\n".join))
def test_no_word_is_lost_and_twice_changes_nothing(message: str) -> None:
    made = well_formed(message)
    assert made.split() == message.split()
    assert well_formed(made) == made
    assert made.split("\n")[0] == message.split("\n", maxsplit=1)[0]


def test_a_real_commit_gets_trailers_that_git_finds(tmp_path: Path) -> None:
    repo = make(tmp_path / "r", LINT)
    native(repo, "commit-msg")
    repo.write({"a.md": "a"})
    repo.git("add", "-A")
    assert git(repo.path, "commit", "-m", f"subject\n\nbody\n{RUN}", "-m", BY).code == 0
    assert repo.git("log", "-1", "--format=%(trailers:only,unfold)").splitlines() == [RUN, BY]
    assert repo.git("log", "-1", "--format=%s%n%b").splitlines()[:2] == ["subject", "body"]


def test_what_somebody_has_set_for_trailers_is_not_run(tmp_path: Path) -> None:
    repo = make(tmp_path / "r", LINT)
    repo.git("config", "trailer.x.command", f"touch {tmp_path / 'ran'}")
    file = repo.path / "message"
    file.write_text(f"subject\n{RUN}\n")
    assert hook(repo.path, "commit-msg", "message").code == 0
    assert file.read_text() == f"subject\n\n{RUN}\n"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("mark", [";", "auto"])
def test_another_sign_for_comments_is_known(tmp_path: Path, mark: str) -> None:
    repo = make(tmp_path / "r", LINT)
    repo.git("config", "core.commentChar", mark)
    file = repo.path / "message"
    sign = "#" if mark == "auto" else mark
    file.write_text(f"subject\n{RUN}\n{sign} {BY}\n")
    assert hook(repo.path, "commit-msg", "message").code == 0
    assert file.read_text() == f"subject\n\n{RUN}\n{sign} {BY}\n"


def test_no_message_is_refused(tmp_path: Path) -> None:
    repo = make(tmp_path / "r", LINT)
    (repo.path / "binary").write_bytes(b"\xff\xfe\nZwarm-Run: \xff\n")
    assert hook(repo.path, "commit-msg", "binary").code == 0
    assert (repo.path / "binary").read_bytes() == b"\xff\xfe\n\nZwarm-Run: \xff\n"
    assert hook(repo.path, "commit-msg", "missing").code == 0
    assert hook(repo.path, "commit-msg").code == 0
