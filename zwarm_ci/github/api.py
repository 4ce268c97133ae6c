"""The forge's REST API, as far as we use it: few calls, bounded retries with the server's own delay, errors in one clear line.

Speaks to GITHUB_API_URL (GitHub, GitHub Enterprise Server). The token is in a header and nowhere else.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from zwarm_ci import __version__
from zwarm_ci.errors import ApiError, UsageError
from zwarm_ci.github.wire import TIMEOUT, Answer, exchange, require_safe
from zwarm_ci.scrub import decode, one_line, redact
from zwarm_ci.stop import STOP

Json = dict[str, Any]
PUBLIC = "https://api.github.com"
#: The token's variables, the first that is set counts; there is no option, since a command line can be read by others.
TOKENS = ("ZWARM_CI_TOKEN", "GITHUB_TOKEN")
_VERSION = "2022-11-28"
_TRIES = 4
_LONGEST = 120.0  # seconds of one wait; who is told to wait longer gives up and says so
_SECONDARY = 60.0  # seconds after a secondary limit that names no delay, as GitHub's documentation asks
_PAGES = 30  # of 100 each
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
#: What GitHub says -> what to do about it.
_REMEDIES = (
    (
        "not permitted to create or approve pull requests",
        "allow it: Settings, Actions, General, `Allow GitHub Actions to create and approve pull requests`",
    ),
    (
        "Resource not accessible by integration",
        "give the job `permissions: contents: write, pull-requests: write` (and `issues: write` for labels and comments)",
    ),
    (
        "Resource not accessible by personal access token",
        "give the token read and write access to contents and pull requests",
    ),
    ("Bad credentials", "the token is wrong or has expired"),
    ("SAML", "authorize the token for the organization"),
)


def token_of(environ: Mapping[str, str]) -> str:
    """The forge's token; "" = none is set."""
    return next((token for name in TOKENS if (token := environ.get(name, "").strip())), "")


def split(repo: str) -> tuple[str, str]:
    """OWNER and NAME.

    Raises:
        UsageError: it is not of this form.
    """
    owner, slash, name = repo.partition("/")
    if not (slash and _NAME.fullmatch(owner) and _NAME.fullmatch(name)) or {owner, name} & {".", ".."}:
        raise UsageError(f"{one_line(redact(repo), 80)!r} is no repository", remedy="write OWNER/NAME")
    return owner, name


class Api:
    """One forge as one token sees it. `wait` lets seconds pass, `now` is Unix time; answers are JSON as the forge gives it.

    Every method raises `ApiError` where the forge refuses or cannot be reached.
    """

    def __init__(
        self,
        token: str,
        *,
        url: str = "",
        wait: Callable[[float], None] = STOP.wait,
        now: Callable[[], float] = time.time,
        timeout: float = TIMEOUT,
    ) -> None:
        self.url = (url or os.environ.get("GITHUB_API_URL") or PUBLIC).rstrip("/")
        require_safe(self.url, "GITHUB_API_URL")
        if not re.fullmatch(r"[\x21-\x7e]*", token):
            raise UsageError(
                "the token has characters that no token has", remedy="look for spaces or line breaks in it"
            )
        self._token, self._wait, self._now, self._timeout = token, wait, now, timeout
        self.scopes: frozenset[str] | None = (
            None  # of a classic personal token, once it was used; None = the forge does not say
        )

    def pause(self, seconds: float) -> None:
        """Let seconds pass, as between two tries."""
        self._wait(seconds)

    def repository(self, repo: str) -> Json:
        """The repository, with `default_branch`."""
        return self._object(self._get(self._repo(repo)))

    def permission(self, repo: str, login: str) -> str:
        """What a user may do: admin, maintain, write, triage, read or none."""
        found = self._object(self._get(f"{self._repo(repo)}/collaborators/{_quoted(login)}/permission"))
        role = found.get("role_name") or found.get(
            "permission"
        )  # `permission` says write for maintain, read for triage
        return (
            role if role in {"admin", "maintain", "write", "triage", "read"} else str(found.get("permission") or "none")
        )

    def issue(self, repo: str, number: int) -> Json:
        """An issue or pull request as an issue."""
        return self._object(self._get(f"{self._repo(repo)}/issues/{int(number)}"))

    def comments(self, repo: str, number: int) -> list[Json]:
        """The comments of an issue or pull request, oldest first."""
        return list(self._paged(f"{self._repo(repo)}/issues/{int(number)}/comments"))

    def pulls(self, repo: str, *, head: str = "", state: str = "open") -> list[Json]:
        """Pull requests, newest first; `head` is a branch of the repository itself."""
        query = {"state": state, **({"head": f"{split(repo)[0]}:{head}"} if head else {})}
        return list(self._paged(f"{self._repo(repo)}/pulls", query))

    def closed_since(self, repo: str, day: str) -> list[Json]:
        """Pull requests that were closed on `day` (YYYY-MM-DD, UTC) or later, the last changed first."""
        query = {"state": "closed", "sort": "updated", "direction": "desc"}
        found = self._paged(f"{self._repo(repo)}/pulls", query)
        touched = itertools.takewhile(lambda pull: str(pull.get("updated_at")) >= day, found)
        return [pull for pull in touched if str(pull.get("closed_at")) >= day]

    def create_pull(self, repo: str, *, title: str, body: str, head: str, base: str, draft: bool) -> Json:
        """Open a pull request."""
        sent = {"title": title, "body": body, "head": head, "base": base, "draft": draft, "maintainer_can_modify": True}
        return self._object(self._send("POST", f"{self._repo(repo)}/pulls", sent))

    def update_pull(self, repo: str, number: int, **changes: str) -> Json:
        """Change `title`, `body`, `base` or `state` of a pull request."""
        return self._object(self._send("PATCH", f"{self._repo(repo)}/pulls/{int(number)}", changes))

    def close_pull(self, repo: str, number: int, *, body: str = "") -> Json:
        """Close a pull request, and say so in its text where one is given."""
        return self.update_pull(repo, number, state="closed", **({"body": body} if body else {}))

    def add_labels(self, repo: str, number: int, labels: Sequence[str]) -> None:
        """Add labels; the forge makes those that do not exist."""
        self._send("POST", f"{self._repo(repo)}/issues/{int(number)}/labels", {"labels": list(labels)})

    def request_reviewers(self, repo: str, number: int, users: Sequence[str], teams: Sequence[str] = ()) -> None:
        """Ask users and teams (by their slug) for a review."""
        sent = {"reviewers": list(users), "team_reviewers": list(teams)}
        self._send("POST", f"{self._repo(repo)}/pulls/{int(number)}/requested_reviewers", sent)

    def create_comment(self, repo: str, number: int, body: str) -> Json:
        """Comment on an issue or pull request."""
        return self._object(self._send("POST", f"{self._repo(repo)}/issues/{int(number)}/comments", {"body": body}))

    def update_comment(self, repo: str, comment: int, body: str) -> Json:
        """Change a comment's text."""
        return self._object(self._send("PATCH", f"{self._repo(repo)}/issues/comments/{int(comment)}", {"body": body}))

    def compare(self, repo: str, base: str, head: str) -> Json:
        """How `head` stands to `base`: `status`, `merge_base_commit` and, oldest first, up to 100 of the `commits` that it has more."""
        query = {"per_page": "100", "page": "1"}
        place = f"{self._repo(repo)}/compare/{_quoted(base)}...{_quoted(head)}"
        return self._object(self._get(place, query))

    def tip(self, repo: str, branch: str) -> str:
        """The commit at a branch; "" where there is no such branch."""
        try:
            found = self._object(self._get(f"{self._repo(repo)}/git/ref/heads/{_quoted(branch, '/')}"))
        except ApiError as error:
            if error.status in {404, 409}:  # 409: an empty repository
                return ""
            raise
        target = found.get("object")
        return (
            str(target.get("sha", ""))
            if isinstance(target, dict) and found.get("ref") == f"refs/heads/{branch}"
            else ""
        )

    def jobs(self, repo: str, run: int) -> list[Json]:
        """The jobs of a workflow run's last attempt."""
        return list(self._paged(f"{self._repo(repo)}/actions/runs/{int(run)}/jobs", inside="jobs"))

    def job_log(self, repo: str, job: int) -> str:
        """A job's log; the forge hands it out at another, signed address, which gets no token."""
        return decode(self._get(f"{self._repo(repo)}/actions/jobs/{int(job)}/logs").body)

    def create_check_run(self, repo: str, *, name: str, sha: str, conclusion: str, title: str, summary: str) -> Json:
        """A check run that has ended; needs a token of an app, as GITHUB_TOKEN is one."""
        output = {"title": title, "summary": summary}
        sent = {"name": name, "head_sha": sha, "status": "completed", "conclusion": conclusion, "output": output}
        return self._object(self._send("POST", f"{self._repo(repo)}/check-runs", sent))

    def _repo(self, repo: str) -> str:
        owner, name = split(repo)
        return f"/repos/{owner}/{name}"

    def _get(self, path: str, query: Mapping[str, str] | None = None) -> Answer:
        return self._send("GET", path + ("?" + urllib.parse.urlencode(query) if query else ""))

    def _paged(self, path: str, query: Mapping[str, str] | None = None, *, inside: str = "") -> Iterator[Json]:
        """Every item of a list, page by page, as long as the forge says that there are more."""
        for page in range(1, _PAGES + 1):
            answer = self._get(path, {**(query or {}), "per_page": "100", "page": str(page)})
            found = _json(answer)
            items = found.get(inside) if inside and isinstance(found, dict) else found
            if not isinstance(items, list):
                raise ApiError(f"{path} is no list", status=answer.status)
            yield from (item for item in items if isinstance(item, dict))
            if 'rel="next"' not in answer.headers.get("link", ""):
                return

    def _object(self, answer: Answer) -> Json:
        found = _json(answer)
        if not isinstance(found, dict):
            raise ApiError("the forge answered with something else than was asked for", status=answer.status)
        return found

    def _send(self, method: str, path: str, sent: Json | None = None) -> Answer:
        """One request, again after the server's own delay where it says that it is too early, or (but for POST) after its own trouble.

        A POST that got no answer may have been done: whoever sent it looks first (`publish`).
        """
        for attempt in range(1, _TRIES + 1):
            try:
                answer = self._once(method, path, sent)
            except ApiError as error:
                if not error.transient or method == "POST" or attempt == _TRIES:
                    raise
                self._wait(2.0**attempt)
                continue
            if answer.status < 300:
                return answer
            limited = _limited(answer)
            delay = self._delay(answer, attempt) if limited or answer.status >= 500 else 0.0
            again = limited or (answer.status >= 500 and method != "POST")
            if not again or attempt == _TRIES or delay > _LONGEST:
                raise self._refusal(method, path, answer, delay if limited else 0.0)
            self._wait(delay)
        raise AssertionError("the last attempt returns or raises")

    def _once(self, method: str, path: str, sent: Json | None) -> Answer:
        headers = {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": _VERSION,
            "User-Agent": f"zwarm-ci/{__version__}",
            **({"Authorization": f"Bearer {self._token}"} if self._token else {}),
            **({"Content-Type": "application/json"} if sent is not None else {}),
        }
        body = None if sent is None else json.dumps(sent).encode()
        answer = exchange(method, self.url + path, headers, body, timeout=self._timeout)
        if "x-oauth-scopes" in answer.headers:
            self.scopes = frozenset(filter(None, re.split(r"[,\s]+", answer.headers["x-oauth-scopes"])))
        return answer

    def _delay(self, answer: Answer, attempt: int) -> float:
        """Seconds that the server asks for, else what is usual."""
        after, reset = answer.headers.get("retry-after", ""), answer.headers.get("x-ratelimit-reset", "")
        if after.isdecimal():
            return float(after[:9])
        if _limited(answer) and answer.headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
            return max(1.0, float(reset[:12]) - self._now())
        return _SECONDARY if _limited(answer) else 2.0**attempt

    def _refusal(self, method: str, path: str, answer: Answer, delay: float) -> ApiError:
        """What the forge said, in one line."""
        said = _said(answer)
        remedy = next((what for text, what in _REMEDIES if text in said), "")
        if delay:
            remedy = f"the forge asks to wait {round(delay)} s; run it again after that"
        elif answer.status == 404:
            remedy = "does the repository exist, and may the token see it?"
        what = f"{method} {path.partition('?')[0]}: {answer.status} {said}"
        transient = bool(delay) or answer.status >= 500
        return ApiError(
            one_line(redact(what, (self._token,)), 600), remedy=remedy, status=answer.status, transient=transient
        )


def _quoted(text: str, safe: str = "") -> str:
    return urllib.parse.quote(text, safe=safe)


def _json(answer: Answer) -> Any:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise ApiError(
            "the forge's answer is not JSON", remedy="is GITHUB_API_URL right?", status=answer.status
        ) from error


def _limited(answer: Answer) -> bool:
    """Whether a refusal says no more than that it is too early."""
    if answer.status == 429:
        return True
    if answer.status != 403:
        return False
    return (
        "retry-after" in answer.headers
        or answer.headers.get("x-ratelimit-remaining") == "0"
        or b"secondary rate limit" in answer.body
    )


def _said(answer: Answer) -> str:
    """The message of a refusal with the errors that it lists; HTML pages of proxies in a few words."""
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return one_line(re.sub(r"<[^>]*>", " ", decode(answer.body[:2000])), 120)
    if not isinstance(found, dict):
        return ""
    errors = found.get("errors")
    parts = [e if isinstance(e, str) else _detail(e) for e in errors] if isinstance(errors, list) else []
    return one_line("; ".join([str(found.get("message", "")), *filter(None, parts)]), 400)


def _detail(error: Any) -> str:
    """One entry of `errors`: its own words, else `field code`."""
    if not isinstance(error, dict):
        return ""
    return str(error.get("message") or " ".join(str(error[k]) for k in ("resource", "field", "code") if error.get(k)))
