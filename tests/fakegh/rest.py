"""The REST slice: each route a function of the state, with GitHub's refusals; branches and commits are read from real repositories."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.fakegh.openapi import Operation, find
from tests.fakegh.state import ACTIONS, Issue, State, Token

NOT_ALLOWED = "Resource not accessible by integration"
NOT_BY_ACTIONS = "GitHub Actions is not permitted to create or approve pull requests."


class Call(NamedTuple):
    """One request, its caller known."""

    state: State
    token: Token
    values: dict[str, str]
    query: dict[str, str]
    sent: Any
    url: str  # of the server

    @property
    def repo(self) -> str:
        return f"{self.values['owner']}/{self.values['repo']}"


class Reply(NamedTuple):
    """A status, and what is known of the answer; the rest is filled in by GitHub's description."""

    status: int
    known: Any
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed


class Refused(Exception):  # noqa: N818 - a reply, no fault
    """Ends a call with a refusal."""

    def __init__(self, status: int, message: str, *errors: Any) -> None:
        super().__init__(message)
        self.reply = Reply(status, {"message": message, **({"errors": list(errors)} if errors else {})})


def serve(call: Call, operation: Operation) -> Reply:
    """The answer to a call that has a token."""
    handler, scope = _ROUTES[operation.name]
    try:
        _allowed(call, scope)
        return handler(call)
    except Refused as refused:
        return refused.reply


def _allowed(call: Call, scope: str) -> None:
    if not (call.state.root / f"{call.repo}.git").is_dir():
        raise Refused(404, "Not Found")
    if not call.token.may(scope):
        raise Refused(403, NOT_ALLOWED) if scope.endswith("write") else Refused(404, "Not Found")


def _repository(call: Call) -> Reply:
    return Reply(
        200,
        {
            "full_name": call.repo,
            "name": call.values["repo"],
            "default_branch": "main",
            "private": True,
            "owner": _owner(call),
        },
    )


def _permission(call: Call) -> Reply:
    login = call.values["username"]
    role = call.state.permissions.get((call.repo, login), "none")
    shown = {"maintain": "write", "triage": "read"}.get(role, role)
    return Reply(200, {"permission": shown, "role_name": role, "user": {**_user(login, 7), "role_name": role}})


def _issue(call: Call) -> Reply:
    return Reply(200, _shown(call, _known(call, "issue_number")))


def _labels(call: Call) -> Reply:
    issue = _known(call, "issue_number")
    issue.labels += [label for label in call.sent["labels"] if label not in issue.labels]
    return Reply(200, [{"name": label} for label in issue.labels])


def _comments(call: Call) -> Reply:
    return _page(call, _known(call, "issue_number").comments)


def _comment(call: Call) -> Reply:
    issue = _known(call, "issue_number")
    _bounded(call, call.sent["body"], "IssueComment")
    number = 1000 + sum(len(i.comments) for i in call.state.issues.values())
    made = {
        "id": number, "body": call.sent["body"], "user": _user(call.token.login, call.token.user),
        "html_url": f"{call.url}/{call.repo}/issues/{issue.number}#issuecomment-{number}", "author_association": "NONE",
    }  # fmt: skip
    issue.comments.append(made)
    return Reply(201, made)


def _edit_comment(call: Call) -> Reply:
    _bounded(call, call.sent["body"], "IssueComment")
    for issue in call.state.issues.values():
        for comment in issue.comments:
            if issue.repo == call.repo and comment["id"] == int(call.values["comment_id"]):
                comment["body"] = call.sent["body"]
                return Reply(200, comment)
    raise Refused(404, "Not Found")


def _pulls(call: Call) -> Reply:
    state, head = call.query.get("state", "open"), call.query.get("head", "").rpartition(":")[2]
    found = [
        _pull_shown(call, issue)
        for issue in sorted(call.state.issues.values(), key=lambda i: -i.number)
        if issue.repo == call.repo and issue.pull and state in {issue.state, "all"} and head in {"", issue.pull["head"]}
    ]
    if call.query.get("sort") == "updated":
        found.sort(key=lambda pull: str(pull["updated_at"]), reverse=call.query.get("direction") == "desc")
    return _page(call, found)


def _open_pull(call: Call) -> Reply:
    state, sent = call.state, call.sent
    if call.token.kind == "actions" and not state.pulls_by_actions:
        raise Refused(403, NOT_BY_ACTIONS)
    for side in ("head", "base"):
        if not state.tip(call.repo, sent[side]):
            raise Refused(422, "Validation Failed", {"resource": "PullRequest", "field": side, "code": "invalid"})
    _bounded(call, sent.get("body") or "", "PullRequest")
    if sent.get("draft") and not state.drafts:
        raise Refused(422, "Draft pull requests are not supported in this repository.")
    same = (i for i in state.issues.values() if i.repo == call.repo and i.pull and i.state == "open")
    if any(i.pull and (i.pull["head"], i.pull["base"]) == (sent["head"], sent["base"]) for i in same):
        said = f"A pull request already exists for {call.values['owner']}:{sent['head']}."
        raise Refused(422, "Validation Failed", {"resource": "PullRequest", "code": "custom", "message": said})
    if not state.git(call.repo, "rev-list", f"refs/heads/{sent['base']}..refs/heads/{sent['head']}"):
        said = f"No commits between {sent['base']} and {sent['head']}"
        raise Refused(422, "Validation Failed", {"resource": "PullRequest", "code": "custom", "message": said})
    issue = Issue(
        call.repo,
        state.next_number(call.repo),
        sent["title"],
        sent.get("body") or "",
        call.token.login,
        call.token.user,
    )
    issue.pull = {
        "head": sent["head"],
        "base": sent["base"],
        "draft": bool(sent.get("draft")),
        "reviewers": [],
        "teams": [],
        "merged": False,
    }
    state.issues[call.repo, issue.number] = issue
    return Reply(201, _pull_shown(call, issue))


def _edit_pull(call: Call) -> Reply:
    issue = _known(call, "pull_number")
    if not issue.pull:
        raise Refused(404, "Not Found")
    _bounded(call, call.sent.get("body") or "", "PullRequest")
    issue.title, issue.body = call.sent.get("title", issue.title), call.sent.get("body", issue.body)
    issue.state = call.sent.get("state", issue.state)
    issue.pull["base"] = call.sent.get("base", issue.pull["base"])
    return Reply(200, _pull_shown(call, issue))


def _reviewers(call: Call) -> Reply:
    issue = _known(call, "pull_number")
    assert issue.pull
    wanted, teams = call.sent.get("reviewers", []), call.sent.get("team_reviewers", [])
    if issue.login in wanted:
        raise Refused(422, "Review cannot be requested from pull request author.")
    if call.state.reviewable is not None and not {*wanted, *teams} <= call.state.reviewable:
        raise Refused(
            422,
            "Reviews may only be requested from collaborators. One or more of the users or teams you specified is not a collaborator.",
        )
    issue.pull["reviewers"] += [u for u in wanted if u not in issue.pull["reviewers"]]
    issue.pull["teams"] += [t for t in teams if t not in issue.pull["teams"]]
    return Reply(201, _pull_shown(call, issue))


def _compare(call: Call) -> Reply:
    base, _, head = call.values["basehead"].partition("...")
    ends = [
        call.state.git(call.repo, "rev-parse", "--verify", "--quiet", f"{_ref(call, name)}^{{commit}}")
        for name in (base, head)
    ]
    if None in ends:
        raise Refused(404, "Not Found")
    one, two = (str(end) for end in ends)
    merge = call.state.git(call.repo, "merge-base", one, two)
    if merge is None:
        raise Refused(404, "No common ancestor")
    more, less = (
        str(call.state.git(call.repo, "rev-list", "--reverse", r)).split() for r in (f"{one}..{two}", f"{two}..{one}")
    )
    status = "identical" if one == two else "ahead" if not less else "behind" if not more else "diverged"
    size, page = _window(call)
    return Reply(200, {
        "status": status, "ahead_by": len(more), "behind_by": len(less), "total_commits": len(more),
        "base_commit": _commit(call, one), "merge_base_commit": _commit(call, merge),
        "commits": [_commit(call, sha) for sha in more[(page - 1) * size : page * size]],
        "files": _files(call, merge, two) if page == 1 else [],
    })  # fmt: skip


def _files(call: Call, one: str, two: str) -> list[dict[str, Any]]:
    """What the files of two commits differ in, each with its hunks."""
    names = {"A": "added", "D": "removed", "M": "modified", "T": "changed"}
    listed = str(call.state.git(call.repo, "diff", "--no-renames", "--name-status", one, two)).splitlines()
    found = []
    for letter, path in (line.split("\t") for line in listed):
        whole = str(call.state.git(call.repo, "diff", "--no-renames", one, two, "--", path))
        patch = whole[whole.index("@@") :] if "@@" in whole else ""
        more, less = (sum(line.startswith(sign) for line in patch.splitlines()) for sign in "+-")
        facts: dict[str, Any] = {"additions": more, "deletions": less, "changes": more + less, "sha": "0" * 40}
        found.append({"filename": path, "status": names[letter], **facts, **({"patch": patch} if patch else {})})
    return found


def _ref(call: Call, name: str) -> str:
    return name if re.fullmatch(r"[0-9a-f]{40}", name) else f"refs/heads/{name}"


def _git_ref(call: Call) -> Reply:
    sha = call.state.git(call.repo, "rev-parse", "--verify", "--quiet", f"refs/{call.values['ref']}")
    if sha is None:
        raise Refused(404, "Not Found")
    return Reply(200, {"ref": f"refs/{call.values['ref']}", "object": {"sha": sha, "type": "commit"}})


def _jobs(call: Call) -> Reply:
    found = call.state.jobs.get(int(call.values["run_id"]), [])
    page = _page(call, found)
    return Reply(200, {"total_count": len(found), "jobs": page.known}, page.headers)


def _log(call: Call) -> Reply:
    number = int(call.values["job_id"])
    if number not in call.state.logs:
        raise Refused(404, "Not Found")
    return Reply(302, None, {"Location": f"{call.url}/signed-logs/{number}?sig=signature-of-the-log"})


def _check_run(call: Call) -> Reply:
    if call.token.kind == "pat":
        raise Refused(403, "You must authenticate via a GitHub App.")
    known = {key: call.sent[key] for key in ("name", "head_sha", "status", "conclusion") if key in call.sent}
    made = {
        **known,
        "id": 1 + len(call.state.check_runs),
        "output": {"title": call.sent["output"]["title"], "summary": call.sent["output"]["summary"]},
    }
    call.state.check_runs.append(made)
    return Reply(201, made)


def _bounded(call: Call, body: str, resource: str) -> None:
    if len(body.encode("utf-16-le")) // 2 > call.state.longest_body:
        said = f"body is too long (maximum is {call.state.longest_body} characters)"
        raise Refused(
            422, "Validation Failed", {"resource": resource, "field": "body", "code": "custom", "message": said}
        )


def _known(call: Call, key: str) -> Issue:
    found = call.state.issues.get((call.repo, int(call.values[key])))
    if found is None:
        raise Refused(404, "Not Found")
    return found


def _window(call: Call) -> tuple[int, int]:
    return min(100, int(call.query.get("per_page", "30"))), int(call.query.get("page", "1"))


def _page(call: Call, items: list[Any]) -> Reply:
    """One page, with GitHub's Link header where there are more."""
    size, page = _window(call)
    more = len(items) > size * page
    link = (
        {
            "Link": f'<{call.url}/api/x?page={page + 1}>; rel="next", <{call.url}/api/x?page={-(-len(items) // size)}>; rel="last"'
        }
        if more
        else {}
    )
    return Reply(200, items[(page - 1) * size : page * size], link)


def _user(login: str, number: int) -> dict[str, Any]:
    return {"login": login, "id": number, "type": "Bot" if login.endswith("[bot]") else "User"}


def _owner(call: Call) -> dict[str, Any]:
    return _user(call.values["owner"], 1)


def _shown(call: Call, issue: Issue) -> dict[str, Any]:
    kind = "pull" if issue.pull else "issues"
    known: dict[str, Any] = {
        "number": issue.number, "title": issue.title, "body": issue.body, "state": issue.state, "user": _user(issue.login, issue.user),
        "labels": [{"name": label} for label in issue.labels], "author_association": issue.association, "updated_at": issue.updated,
        "html_url": f"{call.url}/{issue.repo}/{kind}/{issue.number}", "comments": len(issue.comments),
    }  # fmt: skip
    if issue.pull:
        known["pull_request"] = {"url": f"{call.url}/api/repos/{issue.repo}/pulls/{issue.number}"}
    return known


def _pull_shown(call: Call, issue: Issue) -> dict[str, Any]:
    assert issue.pull
    shown = {key: value for key, value in _shown(call, issue).items() if key not in {"pull_request", "comments"}}
    repo = {"id": 1, "full_name": issue.repo, "name": call.values["repo"], "owner": _owner(call)}
    ends = {}
    for side in ("head", "base"):
        tip = call.state.tip(issue.repo, issue.pull[side])
        issue.pull[f"{side}_sha"] = tip or issue.pull.get(f"{side}_sha", "0" * 40)
        ref, sha = issue.pull[side], issue.pull[f"{side}_sha"]
        label = f"{call.values['owner']}:{ref}"
        ends[side] = {"ref": ref, "sha": sha, "label": label, "repo": repo, "user": _owner(call)}
    asked = {
        "requested_reviewers": [_user(u, 8) for u in issue.pull["reviewers"]],
        "requested_teams": [{"slug": t, "name": t} for t in issue.pull["teams"]],
    }
    merged = "2026-01-03T03:04:05Z" if issue.pull["merged"] else None
    closed = issue.updated if issue.state == "closed" else None
    return {**shown, **ends, **asked, "draft": issue.pull["draft"], "merged_at": merged, "closed_at": closed}


def _commit(call: Call, sha: str) -> dict[str, Any]:
    fields = "%T%n%P%n%an%n%ae%n%aI%n%cn%n%ce%n%cI%n%B"
    shown = str(call.state.git(call.repo, "show", "-s", f"--format={fields}", sha))
    tree, parents, *who, message = [*shown.split("\n", 8), ""][:9]
    people = [dict(zip(("name", "email", "date"), part, strict=True)) for part in (who[:3], who[3:6])]
    inner = {"message": message.rstrip("\n"), "tree": {"sha": tree}, "author": people[0], "committer": people[1]}
    return {"sha": sha, "parents": [{"sha": p} for p in parents.split()], "commit": inner}


_REPO = "/repos/{owner}/{repo}"
_ROUTES: dict[str, tuple[Callable[[Call], Reply], str]] = {
    f"GET {_REPO}": (_repository, "contents:read"),
    f"GET {_REPO}/collaborators/{{username}}/permission": (_permission, "contents:read"),
    f"GET {_REPO}/issues/{{issue_number}}": (_issue, "contents:read"),
    f"POST {_REPO}/issues/{{issue_number}}/labels": (_labels, "issues:write"),
    f"GET {_REPO}/issues/{{issue_number}}/comments": (_comments, "contents:read"),
    f"POST {_REPO}/issues/{{issue_number}}/comments": (_comment, "issues:write"),
    f"PATCH {_REPO}/issues/comments/{{comment_id}}": (_edit_comment, "issues:write"),
    f"GET {_REPO}/pulls": (_pulls, "contents:read"),
    f"POST {_REPO}/pulls": (_open_pull, "pull-requests:write"),
    f"PATCH {_REPO}/pulls/{{pull_number}}": (_edit_pull, "pull-requests:write"),
    f"POST {_REPO}/pulls/{{pull_number}}/requested_reviewers": (_reviewers, "pull-requests:write"),
    f"GET {_REPO}/compare/{{basehead}}": (_compare, "contents:read"),
    f"GET {_REPO}/git/ref/{{ref}}": (_git_ref, "contents:read"),
    f"GET {_REPO}/actions/runs/{{run_id}}/jobs": (_jobs, "contents:read"),
    f"GET {_REPO}/actions/jobs/{{job_id}}/logs": (_log, "contents:read"),
    f"POST {_REPO}/check-runs": (_check_run, "contents:read"),
}

__all__ = ["ACTIONS", "Call", "Refused", "Reply", "find", "serve"]
