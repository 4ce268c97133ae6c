"""`fix-issue`."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import click

from zwarm_ci.cli.common import Common, common_options
from zwarm_ci.cli.fix import fix, request_of, run_options

if TYPE_CHECKING:
    from zwarm_ci.github.api import Api
    from zwarm_ci.github.issue import Issue
    from zwarm_ci.github.reference import Reference


@click.command("fix-issue", short_help="an issue becomes a patch with its proof")
@click.argument("ref")
@click.option("--repo", metavar="OWNER/NAME", help="Whose issue it is [GITHUB_REPOSITORY, else the remote `origin`].")
@click.option(
    "--read", "handle", type=int, hidden=True, help="Where the issue was put by the process that had the token."
)
@run_options
@common_options
def fix_issue(common: Common, ref: str, repo: str | None, handle: int | None, **options: Any) -> int:
    """Make the change of the code that an issue asks for, with a test that fails without it.

    REF is the issue's number, its address, or a local file: Markdown whose first line is the title, or JSON as GitHub's API has it.
    A patch whose test proves nothing is kept as a draft and says what is missing. Issues that are closed or call for no change are
    declined. ZWARM_CI_TOKEN or GITHUB_TOKEN reads issues that are not public; no executor gets it.
    """
    request = request_of("fix-issue", common, options)
    asked = _issue(common, ref, repo, handle)
    return fix(replace(request, asked=asked), common, options)


def _issue(common: Common, ref: str, repo: str | None, handle: int | None) -> Issue:
    from zwarm_ci.git import open_repository
    from zwarm_ci.github import issue, reference
    from zwarm_ci.github.api import Api, token_of

    if repo is not None and not repo.strip():  # an unset variable in somebody's script
        raise click.UsageError("--repo is empty")
    named = reference.resolve(ref.strip(), repo or "", open_repository(common.directory), os.environ)
    if handle is not None:
        with open(handle, encoding="utf-8") as stream:  # noqa: PTH123 - a descriptor has no path
            return issue.issue_of(json.load(stream), named, f"issue {named.number}")
    token = token_of(os.environ)
    if token and named.file is None and sys.argv[1:2] == ["fix-issue"]:
        _begin_anew(named, Api(token), token)
    return issue.find(named, lambda: Api(token))


def _begin_anew(named: Reference, api: Api, token: str) -> NoReturn:
    """Ask the forge, then be the same program without any token: whoever starts agents can be looked into, /proc/PID/environ too."""
    from zwarm_ci.action import tokens
    from zwarm_ci.github import issue
    from zwarm_ci.proc import become

    with tempfile.TemporaryFile("w+", encoding="utf-8") as kept:
        json.dump(issue.download(api, named.repo, named.number), kept)
        kept.seek(0)
        os.set_inheritable(kept.fileno(), True)  # noqa: FBT003 - positional only
        program = sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv[1:])]
        arguments = ["fix-issue", f"--read={kept.fileno()}", *sys.argv[2:]]
        become([sys.executable, *program, *arguments], env=tokens.without(os.environ, token))
