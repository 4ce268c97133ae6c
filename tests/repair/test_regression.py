"""Regressions on small real repositories: the guilty hunks, no others, and no verdict where the answers do not hold."""

from __future__ import annotations

from pathlib import Path

from tests.repair.labs import Workshop, history
from tests.support import Repo
from zwarm_ci.repair import regression
from zwarm_ci.repair.lab import Lab, Remedy
from zwarm_ci.task import Check, Place

LIB = (
    "UNITS = 'mm'\n\n\ndef area(a, b):\n    return a * b\n\n\ndef edge(a, b):\n    return a + b\n\n\n"
    "def half(a):\n    return a / 2\n\n\ndef twice(a):\n    return a * 2\n"
)
TEST = (
    "import lib\n\n\ndef test_area():\n    assert lib.area(2, 3) == 6\n\n\ndef test_edge():\n    assert lib.edge(2, 3) == 5\n\n\n"
    "def test_half():\n    assert lib.half(4) == 2\n\n\ndef test_twice():\n    assert lib.twice(2) == 4\n"
)
#: Five harmless hunks and one that breaks `edge`, in line 10.
TIDIED = (
    LIB.replace("'mm'", "'cm'").replace("def area", "# The area.\ndef area").replace("a * b", "b * a").replace("a + b", "a - b")
    .replace("a / 2", "a * 0.5").replace("def twice", "# Double.\ndef twice")
)  # fmt: skip
#: The same question without pytest: exit codes alone, ten times as quick.
QUICK = Check("tests", "python tests/run.py", "generic", timeout=30.0)
RUN = {
    "tests/run.py": "import sys\n\nsys.path.insert(0, '.')\nimport lib\n\nsys.exit(lib.edge(2, 3) != 5 or lib.twice(2) != 4)\n"
}


def _undo(lab: Lab, *, last: str = "", allowed: bool = True) -> Remedy:
    try:
        return regression.undo(lab, last=last, allowed=allowed, covered=[Place("lib.py", 10)])
    finally:
        lab.close()


def test_the_guilty_hunk_among_five_others_and_nothing_else(tmp_path: Path) -> None:
    repo = history(
        tmp_path / "r",
        {"lib.py": LIB, "test_lib.py": TEST},
        {"lib.py": TIDIED},
        {"notes.md": "later"},
        {"more.py": "x = 1\n"},
    )
    workshop = Workshop(repo, tmp_path / "w")
    remedy = _undo(workshop.lab())
    assert workshop.changed(remedy) == {"lib.py": (TIDIED, TIDIED.replace("a - b", "a + b"))}
    assert remedy.method == "revert"
    assert remedy.origin is not None
    assert remedy.origin.revert == repo.git("rev-parse", "HEAD~2")
    assert (remedy.origin.author, remedy.origin.subject) == ("Ada", "commit 1")
    assert remedy.origin.places == ("lib.py:10",)
    assert remedy.message == f"revert of {remedy.origin.revert[:10]} lib.py:10"


def test_where_a_revert_is_not_allowed_the_cause_is_only_named(tmp_path: Path) -> None:
    workshop = Workshop(history(tmp_path / "r", {"lib.py": LIB, **RUN}, {"lib.py": TIDIED}), tmp_path / "w", QUICK)
    remedy = _undo(workshop.lab(), allowed=False)
    assert (remedy.tree, remedy.method, remedy.attributed) == ("", None, True)
    assert remedy.message.startswith("this 1 of your 6 hunks causes this: lib.py:10")
    assert remedy.origin is not None
    assert remedy.origin.places == ("lib.py:10",)


def test_a_definition_and_its_use_move_together(tmp_path: Path) -> None:
    new = "def _add(a, b):\n    return a - b\n\n\n" + LIB.replace("return a + b", "return _add(a, b)").replace(
        "a / 2", "a * 0.5"
    )
    workshop = Workshop(history(tmp_path / "r", {"lib.py": LIB, "test_lib.py": TEST}, {"lib.py": new}), tmp_path / "w")
    remedy = _undo(workshop.lab())
    after = workshop.changed(remedy)["lib.py"][1]
    assert after == new.replace("return _add(a, b)", "return a + b")  # the least: what nobody uses any more may stay


def test_a_changed_signature_goes_back_with_its_callers(tmp_path: Path) -> None:
    old = {"lib.py": LIB, "shop.py": "import lib\n\n\ndef fence(a, b):\n    return lib.edge(a, b) * 2\n"}
    new = {"lib.py": LIB.replace("def edge(a, b):\n    return a + b", "def edge(pair):\n    return pair[0] - pair[1]"),
           "shop.py": old["shop.py"].replace("edge(a, b)", "edge((a, b))")}  # fmt: skip
    test = {"test_shop.py": "import shop\n\n\ndef test_fence():\n    assert shop.fence(2, 3) == 10\n"}
    workshop = Workshop(history(tmp_path / "r", {**old, **test}, new), tmp_path / "w")
    remedy = _undo(workshop.lab())
    assert {path: after for path, (_, after) in workshop.changed(remedy).items()} == old
    assert "whole commit" in remedy.message


def test_what_was_never_green_is_no_regression(tmp_path: Path) -> None:
    never = LIB.replace("a + b", "a - b")
    repo = history(tmp_path / "r", {"lib.py": never}, {"x.py": "1\n"}, {"test_lib.py": TEST})
    workshop = Workshop(repo, tmp_path / "w")
    remedy = _undo(workshop.lab())
    assert not remedy.tree
    assert remedy.message.startswith("not a code regression: ")
    assert _undo(workshop.lab(), last=repo.git("rev-parse", "HEAD~2")).message.startswith(
        "not a code regression: the source of"
    )


def test_the_change_of_a_test_is_no_regression(tmp_path: Path) -> None:
    workshop = Workshop(
        history(tmp_path / "r", {"lib.py": LIB, "test_lib.py": TEST}, {"test_lib.py": TEST.replace("== 5", "== 6")}),
        tmp_path / "w",
    )
    assert _undo(workshop.lab()).message.startswith("not a code regression: ")


def test_a_feature_that_came_with_the_fault_is_not_torn_down(tmp_path: Path) -> None:
    """The only hunk that would help also holds what a test that was added with it needs."""
    new = LIB.replace("return a + b", "return a - b if a < b else a * 10")
    test = TEST + "\n\ndef test_new():\n    assert lib.edge(3, 2) == 30\n"
    workshop = Workshop(
        history(tmp_path / "r", {"lib.py": LIB, "test_lib.py": TEST}, {"lib.py": new, "test_lib.py": test}),
        tmp_path / "w",
    )
    remedy = _undo(workshop.lab())
    assert not remedy.tree
    assert "breaks test_lib.py::test_new" in remedy.message


def test_two_causes_are_two_reverts(tmp_path: Path) -> None:
    head = TIDIED.replace("a * 2", "a * 3")
    repo = history(tmp_path / "r", {"lib.py": LIB, **RUN}, {"lib.py": TIDIED}, {"lib.py": head})
    for asked, after in (
        ("edge(2, 3) - 5", head.replace("a - b", "a + b")),
        ("twice(2) - 4", head.replace("a * 3", "a * 2")),
    ):
        check = Check(
            "tests",
            f"python -c 'import sys; sys.path.insert(0, \".\"); import lib; sys.exit(lib.{asked})'",
            "generic",
            timeout=30.0,
        )
        workshop = Workshop(repo, tmp_path / asked[:4], check)
        assert workshop.changed(_undo(workshop.lab()))["lib.py"][1] == after


def test_two_commits_that_each_broke_a_part_are_undone_together(tmp_path: Path) -> None:
    repo = history(
        tmp_path / "r", {"lib.py": LIB, **RUN}, {"lib.py": TIDIED}, {"lib.py": TIDIED.replace("a * 2", "a * 3")}
    )
    workshop = Workshop(repo, tmp_path / "w", QUICK)
    assert workshop.changed(_undo(workshop.lab()))["lib.py"][1] == TIDIED.replace("a - b", "a + b")


def test_a_merge_is_its_own_difference_to_its_first_parent(tmp_path: Path) -> None:
    repo = history(tmp_path / "r", {"lib.py": LIB, **RUN})
    repo.git("checkout", "-q", "-b", "side")
    repo.commit("break", {"lib.py": LIB.replace("a + b", "a - b")})
    repo.git("checkout", "-q", "main")
    repo.commit("other", {"other.py": "x = 1\n"})
    repo.git("merge", "-q", "--no-ff", "-m", "merge side", "side")
    workshop = Workshop(repo, tmp_path / "w", QUICK)
    remedy = _undo(workshop.lab())
    assert workshop.changed(remedy) == {"lib.py": (LIB.replace("a + b", "a - b"), LIB)}
    assert remedy.origin is not None
    assert remedy.origin.subject == "merge side"


def test_a_refused_result_is_not_offered_again(tmp_path: Path) -> None:
    workshop = Workshop(history(tmp_path / "r", {"lib.py": LIB, **RUN}, {"lib.py": TIDIED}), tmp_path / "w", QUICK)
    first = _undo(workshop.lab())
    second = _undo(workshop.lab(refused=frozenset({first.tree})))
    assert workshop.changed(second) == {"lib.py": (TIDIED, LIB)}  # the whole commit is all that is left
    third = _undo(workshop.lab(refused=frozenset({first.tree, second.tree})))
    assert not third.tree
    assert "was refused before" in third.message


def test_a_deleted_file_comes_back_for_the_names_that_it_held(tmp_path: Path) -> None:
    files = {
        **RUN,
        "util.py": "def add(a, b):\n    return a + b\n",
        "lib.py": "from util import add\n\n\n" + LIB.replace("return a + b", "return add(a, b)"),
    }
    repo = history(tmp_path / "r", files)
    (repo.path / "util.py").unlink()
    repo.commit(
        "move",
        {
            "lib.py": files["lib.py"].replace("from util import add", "from math import hypot as add"),
            "extra.py": "x = 1\n",
        },
    )
    workshop = Workshop(repo, tmp_path / "w", QUICK)
    remedy = _undo(workshop.lab())
    assert set(workshop.changed(remedy)) == {"lib.py", "util.py"}


def test_answers_that_do_not_hold_end_it(tmp_path: Path) -> None:
    """A check that fails on the head, and on the last green source in all but its first process."""
    counter = tmp_path / "asked"
    script = (
        "import pathlib, sys, lib\n"
        f"log = pathlib.Path({str(counter)!r})\n"
        "if lib.GOOD:\n    n = len(log.read_text()) if log.exists() else 0\n    log.write_text('x' * (n + 1))\n"
        "    sys.exit(n > 0)\n"
        "sys.exit(1)\n"
    )
    repo = history(tmp_path / "r", {"lib.py": "GOOD = True\n", "tests/run.py": script}, {"lib.py": "GOOD = False\n"})
    check = Check(
        "tests", "python -c \"import sys; sys.path[:0] = ['.', 'tests']; import run\"", "generic", timeout=30.0
    )
    remedy = _undo(Workshop(repo, tmp_path / "w", check).lab())
    assert not remedy.tree
    assert "answered otherwise when asked again" in remedy.message


def test_another_language_needs_nothing_but_a_check(tmp_path: Path) -> None:
    """A generic check on files that are not Python: exit codes and hunks are enough."""
    old = "one\ntwo\nthree\nfour\nfive\n"
    new = "one!\ntwo\nTHREE\nfour\nfive?\n"
    repo = history(tmp_path / "r", {"words.txt": old}, {"words.txt": new})
    check = Check("words", "grep -q three words.txt", "generic", timeout=30.0)
    workshop = Workshop(repo, tmp_path / "w", check)
    remedy = _undo(workshop.lab())
    assert workshop.changed(remedy) == {"words.txt": (new, new.replace("THREE", "three"))}


def test_a_single_commit_has_nothing_to_go_back_to(tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "r", {"words.txt": "one\n"})
    check = Check("words", "grep -q three words.txt", "generic", timeout=30.0)
    remedy = _undo(Workshop(repo, tmp_path / "w", check).lab())
    assert remedy.message == "not a code regression: there is no earlier commit"
