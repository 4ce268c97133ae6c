"""Whose word counts: the settings of the event's own commit, none of a fork's, none of what merely stands in the checkout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.action.runner import pull, push
from tests.support import Repo
from zwarm_ci.action import deciding
from zwarm_ci.action.deciding import Case
from zwarm_ci.action.inputs import Inputs
from zwarm_ci.config import GithubSettings
from zwarm_ci.errors import UsageError
from zwarm_ci.github import event
from zwarm_ci.github.event import Trigger
from zwarm_ci.github.trust import Decision

SETTINGS = "[github]\nbots = [123]\n"


def read(name: str, payload: object) -> Trigger:
    trigger = event.read(name, json.dumps(payload).encode())
    assert trigger is not None
    return trigger


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo.make(tmp_path / "shop", {"a": "a", ".zwarm/config.toml": SETTINGS})


def trusted(repo: Repo, trigger: Trigger, sha: str) -> GithubSettings:
    return deciding.trusted(trigger, Inputs(directory=str(repo.path)), {"GITHUB_SHA": sha})


def test_the_commit_of_the_event_says_who_is_trusted(repo: Repo) -> None:
    sha = repo.git("rev-parse", "HEAD")
    assert trusted(repo, read("push", push(sha)), sha).bots == (123,)


def test_what_the_checkout_stands_at_is_not_asked(repo: Repo) -> None:
    sha = repo.git("rev-parse", "HEAD")
    repo.commit("trust me", {".zwarm/config.toml": "[github]\nbots = [666]\n"})
    repo.write({".zwarm/config.toml": "[github]\nbots = [667]\n"})
    assert trusted(repo, read("push", push(sha)), sha).bots == (123,)


def test_a_fork_says_nothing(repo: Repo) -> None:
    sha = repo.git("rev-parse", "HEAD")
    assert trusted(repo, read("pull_request", pull(sha, head=("mallory/shop", 9))), sha) == GithubSettings()


@pytest.mark.parametrize("sha", ["", "f" * 40])
def test_a_commit_that_is_not_here_says_nothing(repo: Repo, sha: str) -> None:
    assert trusted(repo, read("push", push("a" * 40)), sha) == GithubSettings()
    elsewhere = deciding.trusted(read("push", push("a" * 40)), Inputs(directory="/"), {"GITHUB_SHA": "a" * 40})
    assert elsewhere == GithubSettings()


def test_another_commit_in_the_checkout_is_said(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    sha = repo.git("rev-parse", "HEAD")
    monkeypatch.setenv("GITHUB_SHA", sha)

    def said(of: str) -> str:
        return deciding.behind(Case(read("push", push(of)), Decision("run", "")), str(repo.path))

    assert said(sha) == ""
    assert said("a" * 40) == "", "what GitHub merged for a pull request is no other commit"
    later = repo.commit("later", {"a": "b"})
    assert f"`ref: {sha}`" in said(sha)
    assert said(later) == ""


@pytest.mark.parametrize(
    ("ref", "branch"), [("refs/heads/main", "main"), ("refs/heads/a/b", "a/b"), ("refs/tags/v1", "")]
)
def test_a_pull_request_is_for_the_branch_that_was_repaired(ref: str, branch: str) -> None:
    assert deciding.target(Case(read("push", push("a" * 40, ref)), Decision("run", ""))) == branch
    assert deciding.target(Case(None, Decision("nothing", ""))) == ""


def test_without_an_event_it_is_said() -> None:
    with pytest.raises(UsageError, match="GITHUB_EVENT_NAME or GITHUB_EVENT_PATH is not set"):
        deciding.decide(Inputs(), {})
    with pytest.raises(UsageError, match="cannot be read"):
        deciding.decide(Inputs(), {"GITHUB_EVENT_NAME": "push", "GITHUB_EVENT_PATH": "/nowhere"})
