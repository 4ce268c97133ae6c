"""`doctor --event`: what the Action would do with a payload, and why not; with a token GitHub is asked, without it is said."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakegh import Forge as Double
from tests.github.events import EVE, FORK, payload
from tests.github.test_trust import Forge
from tests.support import Repo, Said, belongings, zwarm
from zwarm_ci import cli
from zwarm_ci.config import GithubSettings
from zwarm_ci.github import forecast


@dataclass
class Doctor:
    """`doctor --event` in a repository, in this process."""

    repo: Repo
    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch

    def __call__(self, event: str, changes: dict[str, Any] | None = None, *args: str, **env: str) -> Said:
        file = self.repo.path.parent / "event.json"
        file.write_bytes(payload(event, changes))
        return self.bare("--event", str(file), "--event-name", event, *args, **env)

    def bare(self, *args: str, **env: str) -> Said:
        with self.patch.context() as patch:
            for name, value in env.items():
                patch.setenv(name, value)
            code = cli.run(["doctor", "-C", str(self.repo.path), *args])
        return Said(code, *self.capture.readouterr())


@pytest.fixture
def doctor(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Doctor:
    return Doctor(Repo.make(tmp_path / "repo", {"a.txt": "a"}), capsys, monkeypatch)


def test_it_says_what_would_be_done_and_what_it_took_for_granted(doctor: Doctor) -> None:
    before = belongings(doctor.repo.path)
    said = doctor("issue_comment")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "event       issue_comment created",
        "in          octo/demo",
        "by          ada (id 7, User)",
        "written by  ada (id 7), MEMBER",
        "about       issue #12 It is broken",
        "command     /zwarm-ci fix",
        f"checks      {forecast.starts({})}",
        "decision    the Action would run: ada asked for it on #12",
        "assumed     ada may write to octo/demo: the permission would be asked of GitHub",
        "assumed     #12 is still as the payload has it: it would be looked at again",
    ]
    assert belongings(doctor.repo.path) == before


def test_it_says_why_not_as_json_too(doctor: Doctor) -> None:
    said = doctor("issue_comment", {"sender": EVE, "comment.user": EVE, "comment.author_association": "NONE"}, "--json")
    assert said.code == 0
    assert (said.json["go"], said.json["assumed"]) == ("nothing", [])
    assert "eve is NONE to octo/demo" in said.json["why"]
    assert {"topic": "in", "line": "octo/demo"} in said.json["facts"]


def test_settings_are_those_of_the_base(doctor: Doctor) -> None:
    doctor.repo.commit("trust a bot", {".zwarm/config.toml": "[github]\nbots = [666]\ntrusted = []\n"})
    bot = {"sender": {**EVE, "type": "Bot"}}
    assert "would run" in doctor("push", bot).out
    doctor.repo.write({".zwarm/config.toml": "[github]\nbots = []\n"})
    assert "would run" in doctor("push", bot).out, "what is not committed does not count"
    assert "`bots = [666]`" in doctor("push", bot, "--set", "github.bots=[]").out


def test_the_kill_switch_and_forks_are_seen(doctor: Doctor) -> None:
    assert "the Action would stop: ZWARM_CI_STOP is set" in doctor("push", ZWARM_CI_STOP="1").out
    fork = doctor("pull_request", {"pull_request.head.repo": FORK}).out
    assert "the Action would run its free rungs alone: pull request #2 is from the fork eve/demo" in fork
    assert "ec26c3e57ca3 on change, from eve/demo" in fork
    assert "would do nothing: an event that zwarm-ci does not act on" in doctor.bare(
        "--event", os.devnull, "--event-name", "star"
    ).out  # fmt: skip


def test_the_events_name_may_come_from_the_environment(doctor: Doctor) -> None:
    file = doctor.repo.path.parent / "event.json"
    file.write_bytes(payload("push"))
    assert "would run" in zwarm("doctor", "--event", str(file), cwd=doctor.repo.path, GITHUB_EVENT_NAME="push").out
    said = doctor.bare("--event", str(file))
    assert (said.code, "--event needs the event's name" in said.err) == (2, True)


def test_wrong_use_is_one_line(doctor: Doctor) -> None:
    for args, text in (
        (["--event", "none.json", "--event-name", "push"], "none.json: No such file or directory"),
        (["--event", os.curdir, "--event-name", "push"], "Is a directory"),
        (["--event", os.devnull, "--event-name", "push"], "not a payload of push"),
        (["--event-name", "push"], "--event-name has no effect without --event"),
    ):
        said = doctor.bare(*args)
        assert (said.code, said.out) == (2, "")
        assert text in said.err
        assert said.err.count("\n") == 1


def test_with_a_token_github_is_asked(doctor: Doctor, tmp_path: Path) -> None:
    with Double(tmp_path / "forge") as double:
        double.bare("octo/demo")
        env = {"GITHUB_TOKEN": double.token("reader", ["contents:read"]), "GITHUB_API_URL": double.api_url}
        number = double.issue("octo/demo", "It is broken", "Two and two is five.")
        about = {"issue.number": number}
        double.permit("octo/demo", "ada", "read")
        assert "may not write to octo/demo (GitHub says read)" in doctor("issue_comment", about, **env).out
        double.permit("octo/demo", "ada", "maintain")
        asked = doctor("issue_comment", about, **env)
        assert "the Action would run: ada asked for it" in asked.out
        assert "assumed" not in asked.out
        double.state.issues["octo/demo", number].labels.append("zwarm-ci:stop")
        assert "the Action would stop" in doctor("issue_comment", about, **env).out
        unknown = doctor("issue_comment", {"issue.number": 77}, **env)
        assert "would do nothing: GitHub could not be asked who ada is" in unknown.out
        assert "404" in unknown.out
        assert env["GITHUB_TOKEN"] not in asked.out + asked.err + unknown.out + unknown.err
        assert {request.method for request in double.requests} == {"GET"}


def test_what_github_answers_decides(tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_bytes(payload("issues"))
    found = forecast.foresee("issues", file, GithubSettings(), {}, Forge(may={"ada": "read"}))
    assert (found.decision.go, found.assumed) == ("nothing", ())
    on_pull = {"issue.pull_request": {"url": "…"}}
    file.write_bytes(payload("issue_comment", on_pull))
    assert len(forecast.foresee("issue_comment", file, GithubSettings(), {}).assumed) == 3


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"ZWARM_CI_TOKEN": "ghp_" + "a" * 36}, "a person's"),
        ({"ZWARM_CI_TOKEN": "github_pat_" + "a" * 60, "GITHUB_TOKEN": "ghs_" + "b" * 36}, "a person's"),
        ({"GITHUB_TOKEN": "ghs_" + "a" * 36, "GITHUB_ACTIONS": "true"}, "do not start"),
        ({"GITHUB_TOKEN": "ghs_" + "a" * 36}, "if this token is an App's"),
        ({"GITHUB_TOKEN": "glpat-1"}, "cannot be told"),
        ({}, "do not start"),
    ],
)
def test_whether_checks_would_start_is_said_before_money_is_spent(environ: dict[str, str], said: str) -> None:
    assert said in forecast.starts(environ)


def test_where_nothing_would_be_done_nobody_waits_for_checks(doctor: Doctor) -> None:
    assert "\nchecks " not in doctor("issue_comment", {"comment": {"body": "thanks"}}).out
