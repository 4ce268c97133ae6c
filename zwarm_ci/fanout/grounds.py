"""Whether a job stands on the same ground as its plan: base, settings, checks, interpreter, packages, network.

The same base and settings are a must. Where the rest is another, the plan's results are not this machine's, and the checks run again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zwarm_ci import __version__, config, environment, selection
from zwarm_ci import baseline as before
from zwarm_ci.baseline import Baseline
from zwarm_ci.conclude import Facts
from zwarm_ci.config import Settings
from zwarm_ci.environment import Environment
from zwarm_ci.errors import BlockedError, UsageError
from zwarm_ci.fanout.sheet import BUNDLE, Sheet
from zwarm_ci.pipeline import Start
from zwarm_ci.private import PrivateRepository
from zwarm_ci.selection import Request
from zwarm_ci.settings import load
from zwarm_ci.site import Site
from zwarm_ci.task import Check
from zwarm_ci.trees import Trees

_FETCH = "fetch it first: a checkout with fetch-depth: 0, or of that commit"


def digest(value: Any) -> str:
    """SHA-256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def of_settings(settings: Settings) -> dict[str, str]:
    """Dotted key -> digest of the value, so that a difference can be named and no value is shown."""
    return {key: digest(value) for key, value in config.values(settings).items()}


def of_check(check: Check) -> str:
    """Digest of everything that decides what a check does."""
    return digest({key: value for key, value in asdict(check).items() if key != "why"})


def of_trees(trees: Trees, check: Check) -> dict[str, str]:
    """What a check's results hold for; another value of any of these may give another result."""
    env, grounds = trees.furnisher.env_of(check.workdir), trees.grounds(check)
    return {
        "zwarm-ci": __version__,
        "cell": grounds.cell,
        "packages": digest(_packages(env)),
        "network": grounds.network,
        "isolation": grounds.isolation,
        "limits": grounds.limits,
    }


def _packages(env: Environment) -> dict[str, Any]:
    """What is installed: Python's by name and version, node's by npm's own list of what it put there."""
    sites = env.interpreter.sites if env.interpreter else ()
    folders = {rel: env.top / rel / "node_modules" for rel in env.dependencies}
    return {
        "modules": env.modules,
        "python": sorted(
            {p.name for s in sites for p in Path(s).glob("*-info") if p.suffix in {".dist-info", ".egg-info"}}
        ),
        "own": (env.mapped, env.packages, env.extras, env.built),
        "node": {rel: _listed(folder) for rel, folder in folders.items()},
    }


def _listed(modules: Path) -> str:
    try:
        return hashlib.sha256((modules / ".package-lock.json").read_bytes()).hexdigest()
    except OSError:
        return (
            digest(sorted(p.name for p in modules.iterdir() if not p.name.startswith("."))) if modules.is_dir() else ""
        )


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
        if key := _odd(sheet.settings, of_settings(settings)):
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


def _odd(planned: Mapping[str, str], here: Mapping[str, str]) -> str:
    """The first key whose value is not the same; "" = all are."""
    return next((key for key in sorted({*planned, *here}) if planned.get(key) != here.get(key)), "")


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
    if name := _odd(sheet.checks, here):
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
        if key := _odd(planned, here):
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
