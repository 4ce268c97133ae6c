"""What the results of checks hold for: settings, check, interpreter, packages, network. On other ground they are nobody's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zwarm_ci import __version__, config
from zwarm_ci.config import Settings
from zwarm_ci.environment import Environment
from zwarm_ci.task import Check
from zwarm_ci.trees import Trees


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


def odd(planned: Mapping[str, str], here: Mapping[str, str]) -> str:
    """The first key whose value is not the same; "" = all are."""
    return next((key for key in sorted({*planned, *here}) if planned.get(key) != here.get(key)), "")
