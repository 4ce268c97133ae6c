"""Whether a job stands on the same ground as its plan: base, settings, checks, interpreter, packages, network.

The same base and settings are a must. Where the rest is another, the plan's results are not this machine's, and the checks run again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from zwarm_ci import baseline as before
from zwarm_ci import environment, selection
from zwarm_ci.baseline import Baseline
from zwarm_ci.conclude import Facts
from zwarm_ci.config import Settings
from zwarm_ci.errors import BlockedError, UsageError
from zwarm_ci.fanout.sheet import BUNDLE, Sheet
from zwarm_ci.footing import odd, of_check, of_settings, of_trees
from zwarm_ci.pipeline import Start
from zwarm_ci.private import PrivateRepository
from zwarm_ci.selection import Request
from zwarm_ci.settings import load
from zwarm_ci.site import Site
from zwarm_ci.task import Check
from zwarm_ci.trees import Trees

_FETCH = "fetch it first: a checkout with fetch-depth: 0, or of that commit"


def start(sheet: Sheet, folder: Path, change: Callable[[Settings], Settings] = lambda settings: settings) -> Start:
    """How a job begins: with the plan's base, and settings that are the plan's; `change` is made to them afterwards.

    Raises (when called):
        BlockedError: this clone does not have the base. UsageError: the settings are others here.
    """

    def begin(_: Request, private: PrivateRepository) -> tuple[str, Settings]:
        _have(sheet, folder, private)
        file = private.path.parent / "plan.toml" if sheet.asked.config else None
        if file is not None:
            file.write_text(sheet.asked.config, encoding="utf-8")
        settings = load(lambda path: private.read(sheet.base, path), sheet.base[:12], file, sheet.asked.sets)
        if key := odd(sheet.settings, of_settings(settings)):
            origin = settings.origins.get(key, "not set here")
            raise UsageError(
                f"{key} is not what it was where the plan was made ({origin})",
                remedy="give every job the same ZWARM_CI_ variables",
            )
        return sheet.base, change(settings)

    return begin


def _have(sheet: Sheet, folder: Path, private: PrivateRepository) -> None:
    """See to it that the base is there: from the clone, else from the plan's bundle of a snapshot."""
    if private.git.ask("cat-file", "-t", sheet.base) == "commit":
        return
    if not sheet.bundle:
        raise BlockedError(f"this clone does not have the plan's base {sheet.base[:12]}", remedy=_FETCH)
    bundle = (folder / BUNDLE).resolve()
    try:
        found = hashlib.sha256(bundle.read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(f"{bundle} cannot be read: {error.strerror}", remedy="copy the plan's whole folder") from error
    if found != sheet.bundle:
        raise UsageError(f"{bundle} is not the one that was planned with", remedy="copy the plan's whole folder")
    unpacked = private.git.run("bundle", "unbundle", str(bundle), check=False)
    if not unpacked.ok or private.git.ask("cat-file", "-t", sheet.base) != "commit":
        raise BlockedError(
            f"this clone does not have {sheet.head[:12]}, on which the plan's snapshot stands", remedy=_FETCH
        )


def commits(private: PrivateRepository, base: str) -> int:
    """How many commits of history the clone has behind `base`, itself included."""
    return int(private.git.text("rev-list", "--count", base))


def look(
    sheet: Sheet, request: Request, site: Site, settings: Settings, facts: Facts, trees: Trees, tell: before.Tell
) -> tuple[tuple[Check, ...], Baseline]:
    """The plan's checks as they are here, and what is red before: the plan's results, or, on other ground, our own.

    Raises:
        BlockedError: a check is not the plan's.
    """
    checks, _ = selection.look(request, settings, trees, facts.base)
    here = {c.name: of_check(c) for c in checks}
    if name := odd(sheet.checks, here):
        raise BlockedError(f"the check {name!r} is not the plan's", remedy="prepare every job as the one that planned")
    environment.adopt_variables(site.user.top, checks)
    if commits(site.private, facts.base) < sheet.commits:
        facts.notes += (
            "this clone has less history than the plan's: what broke a test may not be found (fetch-depth: 0)",
        )
    allowed = [c for c in checks if c.name in sheet.before.network]
    for check in allowed:
        trees.surroundings.allow_network(check, sheet.before.network[check.name])
    if not (other := _other(sheet, trees, checks)):
        tree = site.private.tree_of(facts.base)
        for check in checks:
            trees.remember(tree, check, next(r for r in sheet.before.results if r.name == check.name))
        return checks, sheet.before.baseline()
    for check in allowed:
        trees.surroundings.deny_network(check)
    facts.notes += (f"the checks before ran again here, since this machine is not like the plan's: {other}",)
    tell("checks before, again: another machine than the plan's")
    return checks, before.establish(
        trees,
        checks,
        facts.base,
        site.user,
        reruns=settings.verify.reruns,
        same_as_tree=site.user.head == facts.base,
        tell=tell,
    )


def _other(sheet: Sheet, trees: Trees, checks: Sequence[Check]) -> str:
    """In what the ground differs from the plan's; "" = in nothing."""
    for check in checks:
        planned, here = sheet.grounds.get(check.name, {}), of_trees(trees, check)
        if key := odd(planned, here):
            shown = f" ({here[key]}, {planned.get(key, 'unknown')} there)" if key in {"zwarm-ci", "cell"} else ""
            return f"{key} of {check.name}{shown}"
    return ""


def request_of(sheet: Sheet, command: str, directory: Path, *, branch: str = "") -> Request:
    """What was asked for when the plan was made, as a job asks it: of the plan's base, with the checks that were chosen."""
    asked = sheet.asked
    return Request(
        command, directory, names=tuple(sheet.checks), commands=asked.commands, base=sheet.base, branch=branch or asked.branch,
        last_green=asked.last_green, strict_flaky=asked.strict_flaky, parallel=1, revert=asked.revert,
    )  # fmt: skip
