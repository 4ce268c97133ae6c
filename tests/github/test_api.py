"""The client against the forge double: every call is GitHub's, refusals are one clear line, waits are the server's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakegh import WRITE, Forge
from tests.github.conftest import SHOP, Stand, Start
from zwarm_ci.errors import ApiError, UsageError
from zwarm_ci.github.api import Api, split
from zwarm_ci.github.wire import LARGEST


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    with Forge(tmp_path / "forge") as made:
        made.bare(SHOP)
        yield made


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def api(forge: Forge, waits: list[float]) -> Api:
    return Api(forge.token("writer", WRITE), url=forge.api_url, wait=waits.append, now=lambda: 1_700_000_000.0)


@pytest.mark.parametrize("role", ["admin", "maintain", "write", "triage", "read", "none"])
def test_a_permission_is_what_the_role_says(forge: Forge, api: Api, role: str) -> None:
    forge.permit(SHOP, "ada", role)
    assert api.permission(SHOP, "ada") == role


def test_a_strangers_permission_is_none(api: Api) -> None:
    assert api.permission(SHOP, "mallory") == "none"


def test_a_login_is_never_a_path(forge: Forge, api: Api) -> None:
    assert api.permission(SHOP, "../../x/collaborators/ada") == "none"
    assert forge.requests[-1].path == f"/repos/{SHOP}/collaborators/..%2F..%2Fx%2Fcollaborators%2Fada/permission"


def test_an_issue_and_its_comments(forge: Forge, api: Api) -> None:
    number = forge.issue(SHOP, "It is red", "Please repair", labels=["bug"], association="MEMBER")
    for n in range(230):
        api.create_comment(SHOP, number, f"comment {n}")
    assert api.issue(SHOP, number)["author_association"] == "MEMBER"
    assert [c["body"] for c in api.comments(SHOP, number)] == [f"comment {n}" for n in range(230)]
    assert sum(r.method == "GET" and r.path.endswith("/comments") for r in forge.requests) == 3


def test_jobs_and_their_logs(forge: Forge, api: Api) -> None:
    for n in range(3):
        forge.job(7, 70 + n, log=f"2026-01-01T00:00:00Z line of job {n}\n", name=f"job {n}", conclusion="failure")
    assert [j["name"] for j in api.jobs(SHOP, 7)] == ["job 0", "job 1", "job 2"]
    assert "line of job 2" in api.job_log(SHOP, 72)


def test_a_check_run(forge: Forge, api: Api) -> None:
    made = api.create_check_run(SHOP, name="zwarm-ci", sha="a" * 40, conclusion="neutral", title="t", summary="s")
    assert (made["name"], made["conclusion"]) == ("zwarm-ci", "neutral")


def test_scopes_are_known_of_classic_tokens_alone(forge: Forge, api: Api) -> None:
    api.repository(SHOP)
    assert api.scopes is None
    classic = Api(forge.token("classic", (*WRITE, "repo", "workflow"), kind="pat"), url=forge.api_url)
    classic.repository(SHOP)
    assert classic.scopes == frozenset({"repo", "workflow"})


def test_a_branch_that_is_not_there_has_no_tip(stand: Stand) -> None:
    assert stand.api().tip(SHOP, "main") == stand.repo.git("rev-parse", "HEAD")
    assert stand.api().tip(SHOP, "mai") == ""


@pytest.mark.parametrize(
    ("status", "message", "said"),
    [
        (401, "Bad credentials", "has expired"),
        (403, "Resource not accessible by integration", "pull-requests: write"),
        (403, "GitHub Actions is not permitted to create or approve pull requests.", "Settings, Actions, General"),
        (403, "Resource protected by organization SAML enforcement.", "authorize the token"),
        (404, "Not Found", "may the token see it"),
        (410, "Issues are disabled for this repo", "Issues are disabled"),
    ],
)
def test_a_refusal_is_one_line_that_says_what_to_do(
    forge: Forge, api: Api, status: int, message: str, said: str
) -> None:
    forge.fault("POST", "comments", status, message)
    with pytest.raises(ApiError) as refused:
        api.create_comment(SHOP, 1, "x")
    assert said in refused.value.line
    assert message[:30] in refused.value.line
    assert (refused.value.status, refused.value.exit_code, refused.value.transient) == (status, 4, False)
    assert "\n" not in refused.value.line


def test_a_refusal_never_repeats_the_token(forge: Forge) -> None:
    """One of no known shape, and in no variable: nothing but the client knows that it is a secret."""
    token = forge.token("odd", WRITE, value="correct-horse-battery")
    forge.fault("GET", "/repos/", 400, f"unknown header: Bearer {token}")
    with pytest.raises(ApiError) as refused:
        Api(token, url=forge.api_url).repository(SHOP)
    assert token not in refused.value.line
    assert "Bearer ***" in refused.value.line


def test_what_is_wrong_with_a_request_is_said(stand: Stand) -> None:
    stand.put()
    with pytest.raises(ApiError, match="PullRequest head invalid"):
        stand.api().create_pull(SHOP, title="t", body="", head="nothing", base="main", draft=True)
    stand.repo.git("push", "-q", str(stand.forge.bare(SHOP)), "main:refs/heads/same")
    with pytest.raises(ApiError, match="No commits between main and same"):
        stand.api().create_pull(SHOP, title="t", body="", head="same", base="main", draft=True)


#: status, headers -> seconds waited before the answer that comes then.
DELAYS: dict[str, tuple[int, dict[str, str], list[float]]] = {
    "a limit with a delay": (429, {"Retry_After": "3"}, [3.0]),
    "a secondary limit with a delay": (403, {"Retry_After": "5"}, [5.0]),
    "a primary limit with its end": (403, {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "1700000042"}, [42.0]),
    "a limit that is over already": (403, {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "1600000000"}, [1.0]),
    "a limit without a word": (429, {}, [60.0]),
    "a bad gateway": (502, {}, [2.0]),
    "an outage with a delay": (503, {"Retry_After": "4"}, [4.0]),
}


@pytest.mark.parametrize("what", DELAYS)
def test_too_early_is_waited_for(forge: Forge, api: Api, waits: list[float], what: str) -> None:
    status, headers, expected = DELAYS[what]
    forge.fault("GET", f"/repos/{SHOP}$", status, "slow down", times=1, after=False, **headers)
    assert api.repository(SHOP)["full_name"] == SHOP
    assert waits == expected


def test_a_secondary_limit_is_known_by_its_words(forge: Forge, api: Api, waits: list[float]) -> None:
    forge.fault("POST", "comments", 403, "You have exceeded a secondary rate limit. Please wait a few minutes.")
    number = forge.issue(SHOP, "x")
    assert api.create_comment(SHOP, number, "once")["body"] == "once"
    assert waits == [60.0]


def test_waiting_has_an_end(forge: Forge, api: Api, waits: list[float]) -> None:
    forge.fault("GET", "/repos/", 429, "slow down", times=99, Retry_After="10")
    with pytest.raises(ApiError, match="429 slow down") as refused:
        api.repository(SHOP)
    assert waits == [10.0, 10.0, 10.0]
    assert refused.value.transient


def test_who_is_told_to_wait_for_an_hour_gives_up_and_says_so(forge: Forge, api: Api, waits: list[float]) -> None:
    forge.fault(
        "GET", "/repos/", 403, "API rate limit exceeded", X_RateLimit_Remaining="0", X_RateLimit_Reset="1700003600"
    )
    with pytest.raises(ApiError) as refused:
        api.repository(SHOP)
    assert "wait 3600 s" in refused.value.line
    assert waits == []


def test_what_may_have_been_done_is_not_sent_again(forge: Forge, api: Api, waits: list[float]) -> None:
    number = forge.issue(SHOP, "x")
    forge.fault("POST", "comments", 502, "Bad Gateway", after=True)
    with pytest.raises(ApiError) as lost:
        api.create_comment(SHOP, number, "once")
    assert lost.value.transient
    assert waits == []
    assert [c["body"] for c in api.comments(SHOP, number)] == ["once"]


def test_a_forge_that_is_not_there_is_said(waits: list[float]) -> None:
    api = Api("x", url="http://127.0.0.1:1", wait=waits.append)
    with pytest.raises(ApiError, match=r"no answer from 127\.0\.0\.1/repos/octo/shop") as gone:
        api.repository(SHOP)
    assert len(waits) == 3
    assert gone.value.exit_code == 4


@pytest.mark.parametrize(
    "url", ["http://api.github.com", "ftp://x", "file:///etc/passwd", "https://me:pw@x/api", "x", "https://"]
)
def test_a_token_goes_over_tls_or_stays_on_this_machine(url: str) -> None:
    with pytest.raises(UsageError):
        Api("token", url=url)


def test_the_address_is_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Api("x").url == "https://api.github.com"
    monkeypatch.setenv("GITHUB_API_URL", "https://forge.example/api/v3/")
    assert Api("x").url == "https://forge.example/api/v3"


@pytest.mark.parametrize("token", ["a b", "a\nX-Evil: 1", "ä"])
def test_a_token_cannot_be_a_header_more(token: str) -> None:
    with pytest.raises(UsageError, match="characters that no token has"):
        Api(token)


@pytest.mark.parametrize(
    "repo", ["", "octo", "octo/", "/shop", "octo/shop/x", "octo/..", "./shop", "octo/sh op", "octo/shop?x", "octo/%2e"]
)
def test_a_repository_is_two_plain_names(repo: str) -> None:
    with pytest.raises(UsageError, match="is no repository"):
        split(repo)


def test_another_host_gets_no_token(odd: Start, waits: list[float]) -> None:
    """A log lies at a signed address elsewhere; so may an attacker."""
    other, seen = odd(lambda path: (200, {}, b"the log"))
    here, first = odd(lambda path: (302, {"Location": f"{other}/signed?sig=x"}, b""))
    assert Api("canary-token", url=here, wait=waits.append).job_log(SHOP, 1) == "the log"
    assert "authorization" in first[0]
    assert "authorization" not in seen[0]


def test_a_redirect_away_from_tls_is_not_followed(odd: Start) -> None:
    here, seen = odd(lambda path: (302, {"Location": "http://forge.example/x"}, b""))
    with pytest.raises(ApiError, match="without TLS"):
        Api("x", url=here).job_log(SHOP, 1)
    assert len(seen) == 1


def test_a_renamed_repository_is_followed_with_the_token_on_the_same_host(odd: Start) -> None:
    def reply(path: str) -> tuple[int, dict[str, str], bytes]:
        if path == f"/repos/{SHOP}":
            return 301, {"Location": "/repositories/1"}, b"{}"
        return 200, {}, b'{"default_branch": "trunk"}'

    here, seen = odd(reply)
    assert Api("t", url=here).repository(SHOP)["default_branch"] == "trunk"
    assert all(headers["authorization"] == "Bearer t" for headers in seen)


def test_a_redirect_in_a_circle_ends(odd: Start) -> None:
    here, seen = odd(lambda path: (302, {"Location": path}, b""))
    with pytest.raises(ApiError, match="again and again"):
        Api("t", url=here).repository(SHOP)
    assert len(seen) == 3


def test_a_moved_target_of_a_change_is_not_followed(odd: Start) -> None:
    here, _ = odd(lambda path: (307, {"Location": "/elsewhere"}, b""))
    with pytest.raises(ApiError, match="has moved"):
        Api("t", url=here).create_comment(SHOP, 1, "x")


def test_an_answer_without_end_is_cut(odd: Start) -> None:
    here, _ = odd(lambda path: (200, {}, b"[" + b" " * (LARGEST + 10)))
    with pytest.raises(ApiError, match="more than 32 MiB"):
        Api("t", url=here).repository(SHOP)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"x"', b"null", b"[" * 100_000, b"\xff\xfe"])
def test_an_answer_that_is_not_what_was_asked_for_is_an_error_of_the_forge(odd: Start, body: bytes) -> None:
    here, _ = odd(lambda path: (200, {}, body))
    with pytest.raises(ApiError):
        Api("t", url=here).repository(SHOP)


def test_a_list_that_never_ends_is_cut(odd: Start) -> None:
    here, seen = odd(lambda path: (200, {"Link": '<x>; rel="next"'}, json.dumps([{"id": 1}]).encode()))
    assert len(Api("t", url=here).comments(SHOP, 1)) == 30
    assert len(seen) == 30


def test_a_proxys_page_is_a_few_words(odd: Start, waits: list[float]) -> None:
    here, _ = odd(lambda path: (503, {}, b"<html><h1>Unicorn!</h1><script>alert(1)</script>" + b"x" * 5000))
    with pytest.raises(ApiError) as refused:
        Api("t", url=here, wait=waits.append).repository(SHOP)
    assert "Unicorn!" in refused.value.line
    assert len(refused.value.line) < 400


def test_pull_requests_that_were_closed_today_are_few_pages_away(forge: Forge, api: Api) -> None:
    """Of a repository with a long history the newest changes alone are asked for."""
    for n in range(250):
        number = forge.issue(SHOP, f"change {n}")
        made = forge.state.issues[SHOP, number]
        made.state, made.updated = "closed", f"2026-01-02T{n // 60:02}:{n % 60:02}:00Z"
        made.pull = {
            "head": f"b{n}", "base": "main", "draft": False, "merged": False, "reviewers": [], "teams": [],
        }  # fmt: skip
    newest = forge.state.issues[SHOP, number]
    newest.updated = "2026-01-03T00:00:01Z"
    assert [p["number"] for p in api.closed_since(SHOP, "2026-01-03")] == [number]
    assert sum(r.method == "GET" and r.path.startswith(f"/repos/{SHOP}/pulls") for r in forge.requests) == 1
    assert len(api.closed_since(SHOP, "2026-01-02")) == 250
    assert api.closed_since(SHOP, "2026-01-04") == []
