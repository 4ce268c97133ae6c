"""`publish`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zwarm_ci.cli.common import Common, common_options

if TYPE_CHECKING:
    from zwarm_ci.github.publish import Means, Published


@click.command(short_help="push a run's branch and open its pull request")
@click.argument("run", default="latest", metavar="[RUN|DIR]")
@click.option("--repo", metavar="OWNER/NAME", help="The repository on the forge [GITHUB_REPOSITORY].")
@click.option("--remote", metavar="URL", help="Its address for git [GITHUB_SERVER_URL/OWNER/NAME.git].")
@click.option("--base", "target", metavar="BRANCH", help="The branch that was repaired [the default branch].")
@click.option("--draft/--no-draft", default=None, help="Open it as a draft [github.draft].")
@click.option("--label", "labels", multiple=True, metavar="L", help="A label on it (repeatable) [github.labels].")
@click.option("--comment", type=click.IntRange(1), metavar="N", help="Say so on this issue or pull request too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@common_options
def publish(
    common: Common,
    run: str,
    *,
    repo: str | None,
    remote: str | None,
    target: str | None,
    draft: bool | None,
    labels: tuple[str, ...],
    comment: int | None,
    as_json: bool,
) -> int:
    """Push the branch of RUN and open or update one draft pull request for it.

    RUN is a run's name, a prefix of one, or `latest`; DIR a copy that --reports made. The token is read from ZWARM_CI_TOKEN or
    GITHUB_TOKEN. Nothing of the repository is run: the branch is held against its evidence, or refused.
    """
    from zwarm_ci.github import bundle
    from zwarm_ci.github.api import Api, split
    from zwarm_ci.github.publish import Wanted
    from zwarm_ci.github.publish import publish as deliver
    from zwarm_ci.proc import stoppable

    name = repo or os.environ.get("GITHUB_REPOSITORY", "")
    split(name)
    address = remote or f"{os.environ.get('GITHUB_SERVER_URL') or 'https://github.com'}/{name}.git"
    token = _token()
    found = bundle.read(_folder(common, run))
    wanted = Wanted(name, address, target or "", draft, labels or None, comment or 0)
    with stoppable():
        done = deliver(found, Api(token), wanted, token, _means(common))
    _show(done, as_json=as_json)
    return 0


def _token() -> str:
    """The write token.

    Raises:
        BlockedError: none is set.
    """
    from zwarm_ci.errors import BlockedError
    from zwarm_ci.github.api import TOKENS, token_of

    token = token_of(os.environ)
    if not token:
        raise BlockedError("no token to publish with", remedy=f"set {' or '.join(TOKENS)}")
    return token


def _folder(common: Common, run: str) -> Path:
    """The run's folder: a folder by its path, else a run by its name."""
    from zwarm_ci.cli.take import state_dir
    from zwarm_ci.git import open_repository
    from zwarm_ci.site import find_run

    given = Path(run)
    if (given / "outcome.json").exists() or (given.is_dir() and len(given.parts) > 1):
        return given
    return find_run(open_repository(common.directory).top / state_dir(common), run)


def _means(common: Common) -> Means:
    """Settings and rules by the base's own files, as a run has them."""
    from dataclasses import replace

    from zwarm_ci import selection, settings
    from zwarm_ci.config import Settings
    from zwarm_ci.github.publish import Means
    from zwarm_ci.private import PrivateRepository
    from zwarm_ci.verdict import Outcome
    from zwarm_ci.verify.guards import Rules

    def read(repo: PrivateRepository, base: str) -> Settings:
        return settings.load(lambda path: repo.read(base, path), base[:12], common.config, common.sets)

    def rules(repo: PrivateRepository, found: Settings, outcome: Outcome) -> Rules:
        return replace(selection.rules(found, found.checks, repo, outcome.base, outcome.before), strict=True)

    return Means(read, rules)


def _show(done: Published, *, as_json: bool) -> None:
    from zwarm_ci.scrub import one_line, redact

    if as_json:
        click.echo(redact(json.dumps(done.document(), indent=2)))
        return
    what = f"{done.action}: " + (
        f"pull request #{done.number}{' (draft)' * done.draft} {done.url}" if done.number else ""
    )
    click.echo(one_line(redact(what if done.number else f"{done.action}: {done.reason}"), 500))
    if done.number and done.action in {"kept", "declined"}:
        click.echo(one_line(redact(done.reason), 500))
    if done.head:
        click.echo(one_line(f"branch {done.branch} at {done.head[:12]} for {redact(done.target)}", 300))
    for number in done.closed:
        click.echo(f"closed: #{number}, which is not needed any more")
    for note in done.notes:
        click.echo(f"note: {one_line(redact(note), 400)}")
