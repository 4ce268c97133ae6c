"""Payloads: each event's facts, tolerance of what is new, and never anything but a trigger, None or one clear error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.github.events import FORK, OTHER, PAYLOADS, RUN_PULL, SHA, changed, payload
from zwarm_ci.errors import UsageError
from zwarm_ci.github.command import command_in
from zwarm_ci.github.event import EVENTS, Actor, Trigger, read

WHO = Actor(7, "ada", "User")
MEMBER = Actor(7, "ada", "User", "MEMBER")


def trigger(event: str, **changes: Any) -> Trigger:
    found = read(event, payload(event, {k.replace("__", "."): v for k, v in changes.items()}))
    assert found is not None
    assert (found.event, found.repo) == (event, "octo/demo")
    return found


# ------------------------------------------------------------------------------------------------------------- each event


def test_every_event_of_the_action_is_read() -> None:
    assert set(EVENTS) == set(PAYLOADS)
    for event in EVENTS:
        found = trigger(event)
        assert (found.repo_id, found.default_branch) == (186853002, "main")
        assert found.actor == (Actor(0, "", "") if event == "schedule" else WHO)


def test_push() -> None:
    found = trigger("push")
    assert (found.sha, found.ref, found.head_repo, found.fork) == (SHA, "change", "octo/demo", False)
    assert (found.title, found.body) == ("Break it", "With a body.")
    assert trigger("push", ref="refs/tags/v1").ref == "refs/tags/v1"
    assert trigger("push", after="0" * 40, head_commit=None).sha == ""


def test_a_pull_request_of_a_fork_is_known_by_the_repositorys_number() -> None:
    own = trigger("pull_request")
    assert (own.sha, own.ref, own.base_ref, own.head_repo, own.fork) == (SHA, "change", "main", "octo/demo", False)
    assert (own.number, own.is_pull, own.author, own.labels, own.at) == (
        2,
        True,
        MEMBER,
        ("bug",),
        "2026-01-01T12:05:00Z",
    )
    fork = trigger("pull_request", pull_request__head__repo=FORK)
    assert (fork.head_repo, fork.fork) == ("eve/demo", True)
    alike = trigger("pull_request", pull_request__head__repo={**FORK, "full_name": "octo/demo"})
    assert alike.fork, "a name is no proof"
    gone = trigger("pull_request", pull_request__head__repo=None)
    assert (gone.head_repo, gone.fork) == ("", True)
    labelled = trigger("pull_request", action="labeled", label={"name": "x"})
    assert labelled.argument == "x"
    assert trigger("pull_request", action="synchronize", label={"name": "x"}).argument == ""


def test_workflow_run() -> None:
    found = trigger("workflow_run")
    assert (found.run_id, found.workflow, found.conclusion) == (1589141559, "CI", "failure")
    assert (found.sha, found.ref, found.number, found.is_pull, found.base_ref) == (SHA, "change", 2, True, "main")
    assert not found.fork
    assert trigger("workflow_run", workflow_run__head_repository=FORK).fork
    assert trigger("workflow_run", workflow_run__head_repository=None).fork
    two = trigger("workflow_run", workflow_run__pull_requests=[RUN_PULL, {**RUN_PULL, "number": 3}])
    assert (two.number, two.is_pull) == (0, False)
    elsewhere = {**RUN_PULL, "base": {"ref": "main", "repo": {"id": 999}}}
    assert trigger("workflow_run", workflow_run__pull_requests=[elsewhere]).number == 0
    assert trigger("workflow_run", workflow_run__pull_requests=None, workflow_run__conclusion=None).conclusion == ""


def test_check_suites_and_runs_of_forks_have_no_branch() -> None:
    suite, check = trigger("check_suite"), trigger("check_run")
    assert (suite.workflow, suite.conclusion, suite.ref, suite.fork) == ("Other CI", "failure", "change", False)
    assert (check.workflow, check.conclusion, check.ref, check.fork) == ("lint", "failure", "change", False)
    assert trigger("check_suite", check_suite__head_branch=None).fork
    assert trigger("check_run", check_run__check_suite__head_branch=None).fork
    assert trigger("check_suite", check_suite__app=None).workflow == ""


def test_issues() -> None:
    found = trigger("issues")
    assert (found.number, found.is_pull, found.author, found.argument) == (12, False, MEMBER, "zwarm-ci")
    assert (found.title, found.body, found.command, found.sha) == ("It is broken", "Two and two is five.", "", "")
    body = "It fails.\n/zwarm-ci fix"
    opened = trigger("issues", action="opened", issue__body=body, label=...)
    assert (opened.command, opened.at) == ("fix", "2026-01-01T12:00:00Z")
    assert trigger("issues", action="edited", issue__body=body, label=...).command == ""
    assert trigger("issues", issue__body=None, issue__user=None).author is None


def test_issue_comment() -> None:
    found = trigger("issue_comment")
    assert (found.command, found.argument, found.comment_id, found.at) == ("fix", "", 492700400, "2026-01-01T13:00:00Z")
    assert (found.comment, found.body) == ("Please.\n\n/zwarm-ci fix\n", "Two and two is five.")
    assert found.author == MEMBER
    assert not found.fork
    of_pull = trigger("issue_comment", issue__pull_request={"url": "…"})
    assert (of_pull.is_pull, of_pull.fork, of_pull.head_repo, of_pull.sha) == (True, True, "", "")
    assert trigger("issue_comment", comment__user=None).author is None


def test_dispatch_schedule_and_merge_group() -> None:
    assert trigger("workflow_dispatch").ref == "main"
    assert trigger("schedule").ref == "main"
    assert read("schedule", b'{"schedule": "0 3 * * *"}') == Trigger("schedule", "", Actor(0, "", ""), "", 0, "")
    group = trigger("merge_group")
    assert (group.sha, group.ref, group.base_ref) == (SHA, f"gh-readonly-queue/main/pr-2-{OTHER}", "main")


# ---------------------------------------------------------------------------------------------------- tolerant and strict


def test_what_is_new_is_no_trouble() -> None:
    found = read(
        "push", payload("push", {"novelty": {"a": [1]}, "repository.novelty": None, "sender.type": "Mannequin"})
    )
    assert found
    assert found.actor.kind == "Mannequin"


def test_other_events_are_not_ours() -> None:
    assert read("star", b"not even JSON") is None
    assert read("", b"{}") is None


BAD = {
    "no JSON": ("push", b"{", "not a payload of push: the document"),
    "nothing": ("push", b"", "not a payload of push"),
    "a list": ("push", b"[]", "not a payload of push"),
    "deep": ("push", b'{"a":' + b"[" * 100_000, "not a payload of push"),
    "a huge number": ("push", b'{"a":' + b"9" * 5000 + b"}", "not a payload of push"),
    "half a character": ("push", payload("push").replace(b'"ada"', b'"\\ud800"'), "not a payload of push"),
    "of another event": ("issue_comment", payload("push"), "issue"),
    "nobody": ("push", payload("push", {"sender": None}), "sender"),
    "no repository": ("issues", payload("issues", {"repository": ...}), "repository"),
    "text for a number": ("push", payload("push", {"sender.id": "7"}), "sender.id"),
    "number below 1": ("push", payload("push", {"sender.id": 0}), "sender.id"),
    "truth for a number": ("push", payload("push", {"sender.id": True}), "sender.id"),
    "no commit": ("push", payload("push", {"after": "main"}), "after"),
    "option for a commit": ("push", payload("push", {"after": "--upload-pack=x"}), "after"),
    "option for a branch": ("workflow_dispatch", payload("workflow_dispatch", {"ref": "--exec=x"}), "ref"),
    "branch with a line break": ("push", payload("push", {"ref": "refs/heads/a\nb"}), "ref"),
    "branch up the tree": ("push", payload("push", {"ref": "refs/heads/../../x"}), "ref"),
    "branch with a reflog": ("push", payload("push", {"ref": "refs/heads/a@{1}"}), "ref"),
    "repository up the tree": ("push", payload("push", {"repository.full_name": "octo/.."}), "full_name"),
    "repository with a query": ("push", payload("push", {"repository.full_name": "octo/x?a=b"}), "full_name"),
    "login with a path": ("push", payload("push", {"sender.login": "../admin"}), "sender.login"),
    "login with a line break": ("push", payload("push", {"sender.login": "ada\n"}), "sender.login"),
    "association that is none": ("issues", payload("issues", {"issue.author_association": "OWNER "}), "author_association"),
    "conclusion that is none": ("workflow_run", payload("workflow_run", {"workflow_run.conclusion": "a b"}), "conclusion"),
    "time that is none": ("issues", payload("issues", {"issue.created_at": "today"}), "created_at"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_github_would_not_send_is_one_clear_line(name: str) -> None:
    event, data, said = BAD[name]
    with pytest.raises(UsageError) as caught:
        read(event, data)
    assert said in caught.value.message
    assert "\n" not in caught.value.line


def test_names_that_git_allows_are_no_trouble() -> None:
    for name in (
        "$(id)",
        "a;b",
        "`x`",
        "it's",
        "münchen",
        "a|b&c",
        "refs/heads/x",
        "{{a}}",
        "feature/#1",
        "@",
        "ω\u202e",
    ):
        assert trigger("push", ref=f"refs/heads/{name}").ref == name


def test_more_than_github_sends_is_refused_unread() -> None:
    with pytest.raises(UsageError, match="larger than GitHub sends"):
        read("push", b" " * 26_000_001)


# ------------------------------------------------------------------------------------------------------------ the command

SAID = {
    "alone": ("/zwarm-ci fix", "fix", ""),
    "with more round it": ("Thanks!\r\n\r\n/zwarm-ci fix\r\nplease", "fix", ""),
    "with an argument": ("/zwarm-ci fix tests/test_a.py::test_b", "fix", "tests/test_a.py::test_b"),
    "with spaces": ("  /zwarm-ci \t fix  a b ", "fix", "a b"),
    "the first counts": ("/zwarm-ci fix a\n/zwarm-ci fix b", "fix", "a"),
    "stop wins": ("/zwarm-ci fix\n/zwarm-ci stop", "stop", ""),
    "after a fence": ("```\ncode\n```\n/zwarm-ci fix", "fix", ""),
    "after a quote": ("> said\n\n/zwarm-ci fix", "fix", ""),
    "after a comment": ("<!-- a\nb -->\n/zwarm-ci fix", "fix", ""),
    "after code in a line": ("``` a `b` c\n/zwarm-ci fix", "fix", ""),
    "after HTML": ("<pre>x</pre>\n/zwarm-ci fix", "fix", ""),
}
NOT_SAID = {
    "in a sentence": "please /zwarm-ci fix",
    "with a tail": "/zwarm-ci fixit",
    "another command": "/zwarm-ci deploy",
    "no command": "/zwarm-ci",
    "upper case": "/ZWARM-CI FIX",
    "in a fence": "```\n/zwarm-ci fix\n```",
    "in a fence of tildes": "~~~\n/zwarm-ci fix\n~~~",
    "in an open fence": "```sh\n/zwarm-ci fix",
    "in a longer fence": "````\n```\n/zwarm-ci fix\n````",
    "in a fence that the other kind does not close": "```\n~~~\n/zwarm-ci fix\n```",
    "in a fence with a word after it": "```\n``` x\n/zwarm-ci fix\n```",
    "in a fence of a list": "- ```\n  /zwarm-ci fix\n  ```",
    "indented": "    /zwarm-ci fix",
    "indented by a tab": "\t/zwarm-ci fix",
    "quoted": "> /zwarm-ci fix",
    "quoted twice": ">> /zwarm-ci fix",
    "in a quote that goes on": "> he said\n/zwarm-ci fix",
    "in a comment": "<!-- /zwarm-ci fix -->",
    "in a comment of lines": "<!--\n/zwarm-ci fix\n-->",
    "in an open comment": "<!--\n/zwarm-ci fix",
    "behind a comment": "<!-- x --> /zwarm-ci fix",
    "in HTML": "<pre>\n/zwarm-ci fix\n</pre>",
    "in a block of quoted HTML": "<blockquote>\n/zwarm-ci fix\n</blockquote>",
    "in inner HTML": "<code><pre>\n</pre>\n/zwarm-ci fix\n</code>",
    "in code": "`/zwarm-ci fix`",
    "with an invisible character": "/zwarm-ci\u200b fix",
    "with a look-alike": "/zwаrm-ci fix",
    "behind a vertical tab": "x\x0b/zwarm-ci fix",
    "behind a line separator": "x\u2028/zwarm-ci fix",
    "with too much": "/zwarm-ci fix " + "a" * 500,
}  # fmt: skip


@pytest.mark.parametrize("name", SAID)
def test_a_command_is_a_line_of_its_own(name: str) -> None:
    text, command, argument = SAID[name]
    assert command_in(text) == (command, argument)


@pytest.mark.parametrize("name", NOT_SAID)
def test_what_is_shown_is_not_said(name: str) -> None:
    assert command_in(NOT_SAID[name]) == ("", "")


# ------------------------------------------------------------------------------------------------------------- properties

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([SHA, "ada", "[bot]", "\u202e"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def places(document: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something is in a document."""
    entries = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in entries:
        yield (*above, key)
        yield from places(value, (*above, key))


@given(st.sampled_from(EVENTS), st.binary(max_size=200) | VALUES.map(lambda v: json.dumps(v).encode()))
def test_anything_is_a_trigger_or_one_error(event: str, data: bytes) -> None:
    _judge(event, data)


@given(st.sampled_from(EVENTS), st.data())
def test_a_payload_with_anything_in_it_is_a_trigger_or_one_error(event: str, data: st.DataObject) -> None:
    document = changed(event, {})
    for _ in range(data.draw(st.integers(1, 3))):
        *above, last = data.draw(st.sampled_from(list(places(document))))
        node: Any = document
        for key in above:
            node = node[key]
        node[last] = data.draw(VALUES)
    _judge(event, json.dumps(document).encode())


def _judge(event: str, data: bytes) -> None:
    found, error = None, None
    try:
        found = read(event, data)
    except UsageError as raised:
        error = raised
    if error:
        assert "\n" not in error.line
        assert error.remedy
        return
    assert isinstance(found, Trigger)
    assert found.event == event
    assert not any(c in found.ref + found.base_ref + found.repo + found.actor.login for c in "\n\r\0 ")
    assert found.command in {"", "fix", "stop"}


@given(st.text(alphabet="`~>/<!-zwarmcifx \n\t\r", max_size=200))
def test_no_text_is_too_odd_for_the_command(text: str) -> None:
    command, argument = command_in(text)
    assert command in {"", "fix", "stop"}
    assert "\n" not in argument
