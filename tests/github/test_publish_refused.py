"""What publishing says where it cannot, and that its token is nowhere but in headers: refusals, limits, outages, the command line."""

from __future__ import annotations

import base64
import json
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakegh import WRITE, Forge
from tests.github import bundles
from tests.github.bundles import FIRST, finished
from tests.github.conftest import SHOP, Stand, Start
from tests.support import Repo, zwarm
from zwarm_ci import cli
from zwarm_ci.cli.fix import copy_reports
from zwarm_ci.errors import ApiError, RefusedError
from zwarm_ci.github import bundle, review


def test_a_base_that_is_not_on_the_branch_is_refused(stand: Stand) -> None:
    stand.repo.git("push", "-q", str(stand.forge.bare(SHOP)), "main:refs/heads/release")
    stand.repo.commit("on main alone", {"notes.txt": "x"})
    stand.put()
    folder = finished(stand.repo)
    with pytest.raises(RefusedError, match="is not on release"):
        stand.publish(folder, target="release")
    assert not stand.wrote
    assert stand.publish(folder, target="main").action == "opened"


def test_a_base_that_was_never_pushed_is_refused(stand: Stand) -> None:
    stand.repo.commit("at home alone", {"notes.txt": "x"})
    with pytest.raises(RefusedError, match="does not have the base"):
        stand.publish(finished(stand.repo))
    assert not stand.wrote


def test_a_workflows_own_token_says_that_checks_do_not_start(stand: Stand) -> None:
    stand.publish(finished(stand.repo, [FIRST]))
    assert "Checks do not start by themselves" in stand.forge.pulls(SHOP)[0].body


def test_with_an_apps_token_nothing_is_said_of_checks(stand: Stand) -> None:
    stand.publish(finished(stand.repo, [FIRST]), token=stand.token("healer", kind="app"))
    assert "Checks do not start" not in stand.forge.pulls(SHOP)[0].body


def test_where_drafts_are_not_to_be_had_it_is_open_and_says_so(stand: Stand) -> None:
    stand.forge.state.drafts = False
    done = stand.publish(finished(stand.repo))
    assert (done.action, done.draft) == ("opened", False)
    assert "no drafts" in done.notes[0]


def test_settings_of_the_base_say_labels_and_draft_and_options_say_more(stand: Stand) -> None:
    stand.repo.commit("settings", {".zwarm/config.toml": '[github]\ndraft = false\nlabels = ["bot", "tests"]\n'})
    stand.put()
    folder = finished(stand.repo)
    stand.publish(folder)
    pull = stand.forge.pulls(SHOP)[0]
    assert pull.pull is not None
    assert (pull.labels, pull.pull["draft"]) == (["bot", "tests"], False)
    stand.forge.state.issues.clear()
    stand.publish(folder, draft=True, labels=("mine",))
    pull = stand.forge.pulls(SHOP)[0]
    assert pull.pull is not None
    assert (pull.labels, pull.pull["draft"]) == (["mine"], True)


def test_a_token_that_may_only_read_pushes_nothing_and_says_what_it_needs(stand: Stand) -> None:
    with pytest.raises(ApiError) as refused:
        stand.publish(finished(stand.repo), token=stand.token("reader", scopes=("contents:read",)))
    assert refused.value.exit_code == 4
    assert "contents: write" in refused.value.line
    assert stand.forge.pulls(SHOP) == []


def test_without_the_right_to_pull_requests_the_branch_is_there_and_that_is_said(stand: Stand) -> None:
    with pytest.raises(ApiError) as refused:
        stand.publish(finished(stand.repo), token=stand.token("pusher", scopes=("contents:write",)))
    assert "is pushed, but it has no pull request" in refused.value.line
    assert "pull-requests: write" in refused.value.line
    branch = refused.value.line.split()[0]
    assert stand.at(branch)
    assert stand.publish(finished(stand.repo)).action == "opened"


def test_where_actions_may_not_open_pull_requests_the_setting_is_named(stand: Stand) -> None:
    stand.forge.state.pulls_by_actions = False
    with pytest.raises(ApiError, match="not permitted to create or approve") as refused:
        stand.publish(finished(stand.repo))
    assert "Settings, Actions, General" in refused.value.line


def test_without_the_right_to_labels_the_pull_request_is_there_and_that_is_said(stand: Stand) -> None:
    token = stand.token("narrow", scopes=("contents:write", "pull-requests:write"))
    done = stand.publish(finished(stand.repo), token=token)
    assert done.action == "opened"
    assert any(note.startswith("labels: ") and "issues: write" in note for note in done.notes)


def test_a_limit_is_waited_for_as_long_as_the_forge_asks(stand: Stand) -> None:
    stand.forge.fault("POST", r"/pulls$", 429, "You have exceeded a secondary rate limit.", times=2, Retry_After="7")
    assert stand.publish(finished(stand.repo)).action == "opened"
    assert stand.waits == [7.0, 7.0]


def test_a_bad_gateway_is_asked_again(stand: Stand) -> None:
    stand.forge.fault("GET", r"/pulls$", 502, "Bad Gateway")
    stand.forge.fault("POST", r"/pulls$", 502, "Bad Gateway")
    stand.forge.fault("GIT", r"git-receive-pack", 502, "Bad Gateway")
    assert stand.publish(finished(stand.repo)).action == "opened"
    assert len(stand.forge.pulls(SHOP)) == 1
    assert len(stand.waits) == 3


def test_a_pull_request_whose_answer_was_lost_is_not_opened_twice(stand: Stand) -> None:
    stand.forge.fault("POST", r"/pulls$", 502, "Bad Gateway", after=True)
    done = stand.publish(finished(stand.repo))
    assert (done.action, len(stand.forge.pulls(SHOP))) == ("opened", 1)
    assert done.number == stand.forge.pulls(SHOP)[0].number


def test_a_text_that_the_forge_finds_too_long_is_said(stand: Stand) -> None:
    stand.forge.state.longest_body = 100
    with pytest.raises(ApiError, match="body is too long"):
        stand.publish(finished(stand.repo))


def test_a_thousand_failures_make_a_text_that_fits(stand: Stand) -> None:
    tests = (f"tests/test_{n}.py::test_{'é' * 90}" for n in range(1000))
    solved = [bundles._solved(replace(FIRST, name=f"tests-x{n}", test=test)) for n, test in enumerate(tests)]
    many = [replace(s, status="still_failing", reason="r" * 300, method=None) for s in solved]
    assert stand.publish(finished(stand.repo, unsolved=many)).action == "opened"
    assert review.size(stand.forge.pulls(SHOP)[0].body) <= review.LIMIT


def test_a_protected_branch_is_said(stand: Stand) -> None:
    folder = finished(stand.repo)
    stand.forge.protect(SHOP, review.branch(bundle.read(folder).outcome))
    with pytest.raises(ApiError, match="GH006") as refused:
        stand.publish(folder)
    assert "that branch is protected" in refused.value.line


def test_an_unknown_repository_is_said(stand: Stand) -> None:
    with pytest.raises(ApiError, match="404") as refused:
        stand.api().repository("octo/nothing")
    assert "may the token see it" in refused.value.line


CANARY = "ghs_" + "Canary" * 6


@pytest.fixture
def shelf(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The command line in this process, against the forge."""
    stand.forge.token("canary", value=CANARY)
    monkeypatch.setenv("GITHUB_API_URL", stand.forge.api_url)
    monkeypatch.setenv("GITHUB_SERVER_URL", stand.forge.url)
    monkeypatch.setenv("GITHUB_REPOSITORY", SHOP)
    monkeypatch.setenv("GITHUB_TOKEN", CANARY)

    def call(*args: str) -> int:
        return cli.run(["publish", "-C", str(stand.repo.path), *args])

    return call


def test_the_command_publishes_the_latest_run_and_prints_json(
    stand: Stand, shelf: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = finished(stand.repo)
    assert shelf(folder.name, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["schema"] == 1
    assert (said["action"], said["target"], said["pull"]["number"]) == ("opened", "main", 1)
    assert said["head"] == stand.at(said["branch"])
    assert shelf(folder.name) == 0
    assert capsys.readouterr().out.startswith("unchanged: pull request #1 (draft) http://127.0.0.1")


def test_the_command_takes_a_copy_of_the_reports(stand: Stand, shelf: Callable[..., int], tmp_path: Path) -> None:
    copy_reports(finished(stand.repo), tmp_path / "reports")
    assert shelf(str(tmp_path / "reports")) == 0
    assert len(stand.forge.pulls(SHOP)) == 1
    assert shelf(str(tmp_path / "forge")) == 2


def test_without_a_token_the_command_says_which_variable_it_wants(
    stand: Stand, shelf: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GITHUB_TOKEN")
    assert shelf(finished(stand.repo).name) == 4
    assert "ZWARM_CI_TOKEN" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--repo", "octo"), "OWNER/NAME"),
        (("--repo", "../x"), "OWNER/NAME"),
        (("--remote", "http://forge.example/x.git"), "https"),
        (("--remote", "https://me:secret@forge.example/x.git"), "login"),
        (("--remote", "ext::sh -c id"), "https"),
        (("--remote", "/tmp/x.git"), "https"),
    ],
)
def test_an_address_that_would_leak_the_token_is_refused(
    stand: Stand, shelf: Callable[..., int], capsys: pytest.CaptureFixture[str], args: tuple[str, ...], said: str
) -> None:
    assert shelf(finished(stand.repo).name, *args) == 2
    printed = capsys.readouterr().err
    assert said in printed
    assert "secret" not in printed
    assert not stand.wrote


def test_git_takes_the_token_to_no_other_address(stand: Stand, odd: Start) -> None:
    elsewhere, seen = odd(lambda path: (302, {"Location": stand.forge.url + path}, b""))
    folder = finished(stand.repo)
    with pytest.raises(ApiError, match="cannot be fetched from"):
        stand.publish(folder, remote=f"{elsewhere}/{SHOP}.git")
    assert seen
    assert stand.asked("GIT") == []


def test_the_token_is_nowhere_but_in_headers(stand: Stand, tmp_path: Path) -> None:
    """Real processes, a forge that fails in the middle, tracing asked for: nothing printed or left has the token in it."""
    folder = finished(stand.repo)
    stand.forge.token("canary", value=CANARY)
    stand.forge.fault("POST", "labels", 500, "x", times=9)
    home = tmp_path / "empty"
    home.mkdir()
    env = {
        "GITHUB_API_URL": stand.forge.api_url, "GITHUB_TOKEN": CANARY, "GIT_TRACE_CURL": "1", "GIT_TRACE": "1", "HOME": str(home),
        "TMPDIR": str(home), "GIT_CURL_VERBOSE": "1",
    }  # fmt: skip
    said = zwarm("publish", str(folder), "--repo", SHOP, "--remote", stand.forge.remote(SHOP), cwd=tmp_path, **env)
    assert said.code == 0, said.err
    login = base64.b64encode(f"x-access-token:{CANARY}".encode()).decode()
    written = [
        p.read_bytes()
        for p in (*home.rglob("*"), *folder.rglob("*"), *stand.forge.bare(SHOP).rglob("*"))
        if p.is_file()
    ]
    for secret in (CANARY, login):
        assert secret not in said.out + said.err
        assert not any(secret.encode() in content for content in written)
        assert not any(secret in json.dumps([r.path, r.query, r.sent]) for r in stand.forge.requests)
    assert list(home.iterdir()) == []


def test_a_refusal_that_repeats_the_token_is_masked(
    stand: Stand, shelf: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    stand.forge.fault("GET", "/repos/", 400, f"bad header: Bearer {CANARY}")
    assert shelf(finished(stand.repo).name) == 4
    printed = capsys.readouterr()
    assert CANARY not in printed.out + printed.err
    assert "***" in printed.err


def test_nothing_of_the_repository_runs(stand: Stand, tmp_path: Path) -> None:
    """Its hooks, attributes, settings and aliases are there and do nothing."""
    flag = tmp_path / "ran"
    stand.repo.write({".gitattributes": "* filter=evil\n", "hooks/pre-push": f"#!/bin/sh\ntouch {flag}\n"})
    (stand.repo.path / "hooks" / "pre-push").chmod(0o755)
    stand.repo.git("add", "-A")
    stand.repo.git("commit", "-q", "-m", "traps")
    stand.repo.git("config", "core.hooksPath", "hooks")
    stand.repo.git("config", "filter.evil.clean", f"touch {flag}")
    stand.repo.git("config", "filter.evil.smudge", f"touch {flag}")
    stand.repo.git("push", "-q", "--no-verify", str(stand.forge.bare(SHOP)), "+main")
    flag.unlink(missing_ok=True)
    token = stand.token()
    env = {"GITHUB_API_URL": stand.forge.api_url, "ZWARM_CI_TOKEN": token}
    folder = finished(stand.repo)
    flag.unlink(missing_ok=True)
    said = zwarm(
        "publish", folder.name, "--repo", SHOP, "--remote", stand.forge.remote(SHOP), cwd=stand.repo.path, **env
    )
    assert said.code == 0, said.err
    assert not flag.exists()


def test_a_stopped_publish_ends_at_once(stand: Stand, shelf: Callable[..., int]) -> None:
    """A signal while it waits for as long as the forge asks."""
    folder = finished(stand.repo)
    stand.forge.fault("GET", "/repos/", 429, "slow down", times=9, Retry_After="100")

    def interrupt() -> None:
        stand.forge.state.heard.wait()
        os.kill(os.getpid(), signal.SIGINT)

    waiter = threading.Thread(target=interrupt)
    waiter.start()
    assert shelf(folder.name) == 130
    waiter.join()
    assert not stand.wrote


def test_the_forge_notices_what_is_not_githubs(tmp_path: Path) -> None:
    """The double's own watch: a request that GitHub does not describe fails the test that sent it."""
    with pytest.raises(AssertionError, match="not GitHub's"), Forge(tmp_path / "forge") as forge:  # noqa: PT012 - the block is it
        forge.bare(SHOP)
        api = Stand(forge, Repo(tmp_path)).api(forge.token("writer", WRITE))
        with pytest.raises(ApiError):
            api._send("POST", f"/repos/{SHOP}/pulls", {"title": "no head", "colour": "red"})
