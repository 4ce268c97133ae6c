"""From a finished run to a draft pull request on a forge with real git, and back again when anything changed meanwhile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.github import bundles
from tests.github.bundles import CART, FIRST, SECOND, finished, record
from tests.github.conftest import SHOP, Stand
from tests.support import Repo
from zwarm_ci.errors import RefusedError
from zwarm_ci.github import bundle, marker, ownership, review

BOTH = "zwarm-ci/tests-"


def test_a_run_becomes_a_draft_whose_branch_has_the_verified_tree(stand: Stand) -> None:
    folder = finished(stand.repo)
    done = stand.publish(folder)
    pull = stand.forge.pulls(SHOP)[0]
    assert pull.pull is not None
    assert (done.action, done.number, done.draft, done.notes) == ("opened", pull.number, True, [])
    assert done.branch.startswith(BOTH)
    assert done.head == stand.at(done.branch) == record(folder)["head"]
    tree = stand.forge.state.git(SHOP, "rev-parse", f"{done.branch}^{{tree}}")
    assert tree == stand.repo.git("rev-parse", f"{record(folder)['head']}^{{tree}}")
    assert (pull.pull["base"], pull.pull["draft"], pull.labels) == ("main", True, ["zwarm-ci"])
    assert stand.forge.state.git(SHOP, "log", "--format=%s", f"main..{done.branch}").count("\n") == 1  # type: ignore[union-attr]
    known = marker.find(pull.body)
    assert known is not None
    assert (known.head, known.tasks) == (done.head, (FIRST.fingerprint, SECOND.fingerprint))


def test_a_check_run_says_it_too_where_the_base_wants_one(stand: Stand) -> None:
    stand.repo.commit("settings", {".zwarm/config.toml": "[github]\ncheck_run = true\n"})
    stand.put()
    folder = finished(stand.repo)
    done = stand.publish(folder)
    (made,) = stand.forge.state.check_runs
    assert (made["name"], made["head_sha"], made["status"]) == ("zwarm-ci", done.head, "completed")
    assert made["conclusion"] == ("neutral" if record(folder)["tasks"][0]["review"] else "success")
    assert f"#{done.number}" in made["output"]["summary"]
    stand.publish(folder)
    assert len(stand.forge.state.check_runs) == 1, "nothing changed, so nothing is said again"


def test_a_token_that_may_not_make_check_runs_loses_nothing_else(stand: Stand) -> None:
    stand.repo.commit("settings", {".zwarm/config.toml": "[github]\ncheck_run = true\n"})
    stand.put()
    done = stand.publish(finished(stand.repo), token=stand.token("grace", kind="pat", login="grace"))
    assert done.action == "opened"
    assert any(note.startswith("check run: ") for note in done.notes)


def test_reviewers_are_the_owners_of_what_changes(stand: Stand) -> None:
    stand.publish(finished(stand.repo))
    pull = stand.forge.pulls(SHOP)[0].pull
    assert pull is not None
    assert (pull["reviewers"], pull["teams"]) == (["grace", "linus"], ["money"])


def test_where_teams_cannot_be_asked_people_are(stand: Stand) -> None:
    stand.forge.state.reviewable = {"grace", "linus"}
    done = stand.publish(finished(stand.repo))
    pull = stand.forge.pulls(SHOP)[0].pull
    assert pull is not None
    assert (pull["reviewers"], pull["teams"]) == (["grace", "linus"], [])
    assert "not a collaborator" in done.notes[0]


def test_the_author_is_not_asked_to_review(stand: Stand) -> None:
    done = stand.publish(finished(stand.repo, [FIRST]), token=stand.token("grace", kind="pat", login="grace"))
    assert done.notes == []
    assert stand.asked("POST", "requested_reviewers") == []


def test_the_same_again_changes_nothing(stand: Stand) -> None:
    folder = finished(stand.repo)
    first = stand.publish(folder)
    stand.forge.requests.clear()
    again = stand.publish(folder)
    assert (again.action, again.head, again.number) == ("unchanged", first.head, first.number)
    assert not stand.wrote


def test_another_run_with_the_same_patch_changes_nothing_either(stand: Stand) -> None:
    first = stand.publish(finished(stand.repo))
    stand.forge.requests.clear()
    again = stand.publish(finished(stand.repo))
    assert (again.action, again.head) == ("unchanged", first.head)
    assert not stand.wrote


def test_a_better_patch_brings_the_same_pull_request_up_to_date(stand: Stand) -> None:
    first = stand.publish(finished(stand.repo))
    better = replace(FIRST, files={"shop/cart.py": "def total(prices):\n    return sum(list(prices))\n"})
    folder = finished(stand.repo, [better, SECOND])
    done = stand.publish(folder)
    assert (done.action, done.number, done.branch) == ("updated", first.number, first.branch)
    assert stand.at(done.branch) == record(folder)["head"] != first.head
    pull = stand.forge.pulls(SHOP)[0]
    assert len(stand.forge.pulls(SHOP)) == 1
    assert "sum(list(prices))" in pull.body
    assert len(pull.comments) == 1
    assert "Brought up to date" in pull.comments[0]["body"]


def test_the_comment_is_one_however_often_it_changes(stand: Stand) -> None:
    number = stand.forge.issue(SHOP, "The total is wrong")
    folder = finished(stand.repo)
    stand.publish(folder, tell=number)
    stranger = {"id": 1, "body": f"{review.STICKY} mine now", "user": {"login": "mallory", "id": 666}}
    issue = stand.forge.state.issues[SHOP, number]
    issue.comments.insert(0, stranger)
    for text in ("sum(list(prices))", "sum(tuple(prices))"):
        patch = replace(FIRST, files={"shop/cart.py": f"def total(prices):\n    return {text}\n"})
        stand.publish(finished(stand.repo, [patch, SECOND]), tell=number)
    assert len(issue.comments) == 2
    assert stranger["body"] == f"{review.STICKY} mine now"
    assert len(stand.forge.pulls(SHOP)[0].comments) == 1


def commit_on(stand: Stand, branch: str, tmp_path: Path, *how: str) -> str:
    """Somebody else's change of a branch on the forge."""
    work = Repo(tmp_path / "somebody")
    stand.repo.git("clone", "-q", "--branch", branch, str(stand.forge.bare(SHOP)), str(work.path))
    work.write({"shop/cart.py": "def total(prices):\n    return sum(prices)  # mine\n"})
    work.git("commit", "-q", "-a", *how, GIT_COMMITTER_NAME="Bob", GIT_COMMITTER_DATE="2030-01-01T00:00:00Z")
    work.git("push", "-q", "-f", "origin", f"HEAD:{branch}")
    return work.git("rev-parse", "HEAD")


@pytest.mark.parametrize(
    "how",
    [("-m", "tidy up"), ("--amend", "--no-edit"), ("-m", "mine\n\nZwarm-Run: x\nZwarm-Task: y\nZwarm-Verified: z")],
)
def test_somebody_elses_commits_are_never_overwritten(stand: Stand, tmp_path: Path, how: tuple[str, ...]) -> None:
    first = stand.publish(finished(stand.repo))
    theirs = commit_on(stand, first.branch, tmp_path, *how)
    better = replace(FIRST, files={"shop/cart.py": "def total(prices):\n    return sum(list(prices))\n"})
    with pytest.raises(RefusedError, match="not ours") as refused:
        stand.publish(finished(stand.repo, [better, SECOND]))
    assert refused.value.exit_code == 1
    assert stand.at(first.branch) == theirs


def test_a_push_between_our_look_and_our_push_is_not_overwritten(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = stand.publish(finished(stand.repo))
    require = ownership.require_ours

    def later(branch: ownership.Branch, name: str) -> None:
        require(branch, name)
        commit_on(stand, first.branch, tmp_path, "-m", "in between")

    monkeypatch.setattr(ownership, "require_ours", later)
    better = replace(FIRST, files={"shop/cart.py": "def total(prices):\n    return sum(list(prices))\n"})
    with pytest.raises(RefusedError, match="changed by somebody else meanwhile"):
        stand.publish(finished(stand.repo, [better, SECOND]))
    assert "in between" in str(stand.forge.state.git(SHOP, "log", "-1", "--format=%s", first.branch))


def test_a_branch_that_somebody_made_before_us_is_not_overwritten(stand: Stand, tmp_path: Path) -> None:
    folder = finished(stand.repo)
    name = review.branch(bundle.read(folder).outcome)
    stand.repo.git("push", "-q", str(stand.forge.bare(SHOP)), f"main:refs/heads/{name}")
    theirs = commit_on(stand, name, tmp_path, "-m", "took the name")
    with pytest.raises(RefusedError, match="not ours"):
        stand.publish(folder)
    assert stand.at(name) == theirs
    assert stand.forge.pulls(SHOP) == []


def test_a_run_that_repairs_more_closes_the_one_that_repairs_less(stand: Stand) -> None:
    small = stand.publish(finished(stand.repo, [FIRST]))
    big = stand.publish(finished(stand.repo))
    assert big.branch != small.branch
    assert big.closed == [small.number]
    assert [p.number for p in stand.forge.pulls(SHOP, "open")] == [big.number]
    assert f"#{big.number} repairs this too" in stand.forge.pulls(SHOP)[0].comments[-1]["body"]
    known = marker.find(stand.forge.pulls(SHOP)[0].body)
    assert known is not None
    assert known.stale


def test_a_run_that_repairs_less_of_the_same_failures_leaves_the_better_one(stand: Stand) -> None:
    left = replace(bundles._solved(SECOND), status="still_failing", reason="no edit was found", method=None)
    both = stand.publish(finished(stand.repo))
    less = finished(stand.repo, [FIRST], unsolved=[left])
    again = stand.publish(less)
    assert (again.action, again.number, again.branch) == ("kept", both.number, both.branch)
    assert stand.at(both.branch) == both.head


def green(stand: Stand) -> Path:
    """A green run on what `main` is once the failure of FIRST is repaired there."""
    stand.repo.commit("repaired by hand", {name: str(text) for name, text in CART.items()})
    stand.put()
    return finished(stand.repo, [], passed=[FIRST.test, "tests/test_other.py::test_x"], reason="every check is green")


def test_a_green_run_closes_what_is_not_needed_any_more(stand: Stand) -> None:
    first = stand.publish(finished(stand.repo, [FIRST]))
    done = stand.publish(green(stand))
    assert (done.action, done.closed) == ("nothing", [first.number])
    assert stand.forge.pulls(SHOP, "open") == []


def test_a_pull_request_whose_tests_did_not_run_stays_open(stand: Stand) -> None:
    stand.publish(finished(stand.repo))
    assert stand.publish(green(stand)).closed == []


def test_a_green_run_of_an_older_commit_closes_nothing(stand: Stand) -> None:
    old = finished(stand.repo, [], passed=[FIRST.test])
    stand.repo.commit("later", {"notes.txt": "x"})
    stand.put()
    stand.publish(finished(stand.repo, [FIRST]))
    assert stand.publish(old).closed == []


def test_a_pull_request_that_only_looks_like_ours_stays_open(stand: Stand, tmp_path: Path) -> None:
    """A person may copy our text, marker and all; the branch is theirs."""
    first = stand.publish(finished(stand.repo, [FIRST]))
    stand.repo.git("push", "-q", str(stand.forge.bare(SHOP)), "main:refs/heads/feature")
    theirs = commit_on(stand, "feature", tmp_path, "-m", "somebody's work")
    known = marker.find(stand.forge.pulls(SHOP)[0].body)
    assert known is not None
    copied = replace(known, head=theirs).line()
    other = stand.api().create_pull(SHOP, title="mine", body=copied, head="feature", base="main", draft=False)
    done = stand.publish(green(stand))
    assert done.closed == [first.number]
    assert [p.number for p in stand.forge.pulls(SHOP, "open")] == [other["number"]]


def test_a_pull_request_on_which_somebody_worked_stays_open(stand: Stand, tmp_path: Path) -> None:
    first = stand.publish(finished(stand.repo, [FIRST]))
    commit_on(stand, first.branch, tmp_path, "-m", "more")
    assert stand.publish(green(stand)).closed == []


def test_what_a_person_closed_is_not_opened_again(stand: Stand) -> None:
    folder = finished(stand.repo)
    first = stand.publish(folder)
    stand.forge.pulls(SHOP)[0].state = "closed"
    again = stand.publish(folder)
    assert (again.action, again.number) == ("declined", first.number)
    assert stand.forge.pulls(SHOP, "open") == []


def test_what_was_merged_and_fails_again_gets_a_new_pull_request(stand: Stand) -> None:
    folder = finished(stand.repo)
    first = stand.publish(folder)
    merged = stand.forge.pulls(SHOP)[0]
    assert merged.pull is not None
    merged.state, merged.pull["merged"] = "closed", True
    again = stand.publish(folder)
    assert (again.action, again.number, again.head) == ("opened", first.number + 1, first.head)


def test_what_we_closed_ourselves_is_opened_again_when_it_fails_again(stand: Stand) -> None:
    small = finished(stand.repo, [FIRST])
    stand.publish(small)
    big = stand.publish(finished(stand.repo))
    stand.forge.state.issues[SHOP, big.number].state = "closed"
    again = stand.publish(small)
    assert again.action == "opened"
    assert again.number > big.number
