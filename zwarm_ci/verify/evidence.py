"""Evidence: the facts a verdict stands on, as canonical JSON without times and commit ids, so that the same facts give the same bytes."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from zwarm_ci.scrub import redact
from zwarm_ci.task import Task
from zwarm_ci.trees import Grounds
from zwarm_ci.verdict import SCHEMA, CheckResult, GuardFinding


@dataclass(frozen=True, slots=True)
class Facts:
    """What the judge saw. `oracle` and `delivered` are tree ids; they are equal where the patch leaves the oracle's files alone."""

    task: Task
    base: str
    base_tree: str
    oracle: str
    delivered: str
    before: CheckResult
    runs: tuple[CheckResult, ...]
    findings: tuple[GuardFinding, ...]
    burn_in: int
    grounds: Mapping[str, Grounds]


def canonical(facts: Facts) -> str:
    """The evidence as JSON: sorted keys, no spaces that mean nothing, a newline at the end."""
    after = _named(facts.runs, facts.task.check)
    targets = {
        target: {"before": facts.before.state(target), "after": after.state(target) if after else "absent"}
        for target in facts.task.targets
    }
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "fingerprint": facts.task.fingerprint,
        "base_tree": facts.base_tree,
        "oracle_tree": facts.oracle,
        "delivered_tree": facts.delivered,
        "environment": {
            "platform": f"{platform.system()}-{platform.machine()}",
            "interpreter": {name: g.interpreter for name, g in facts.grounds.items()},
            "cell": {name: g.cell for name, g in facts.grounds.items()},
        },
        "commands": {r.name: r.command for r in facts.runs},
        "targets": targets,
        "checks": {
            r.name: {"passed": len(r.passed), "failed": sorted(r.failed), "skipped": len(r.skipped)} for r in facts.runs
        },
        "guards": [asdict(f) for f in facts.findings],
        "assurance": {
            "clean_tree": True,
            "tests_from_base": True,
            "delivered_tree_ran": True,
            "canary": {r.name: r.canary for r in facts.runs},
            "subset_or_full": "full" if {r.name for r in facts.runs} == set(facts.grounds) else "subset",
            "network": {name: g.network for name, g in facts.grounds.items()},
            "isolation": {name: g.isolation for name, g in facts.grounds.items()},
            "own_code": {r.name: not r.foreign and not r.shadowed for r in facts.runs},
            "burn_in": facts.burn_in,
        },
    }
    return redact(json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False)) + "\n"


def digest(evidence: str) -> str:
    """SHA-256 of the evidence file, as the commit's `Zwarm-Verified` trailer carries it."""
    return hashlib.sha256(evidence.encode("utf-8", "replace")).hexdigest()


def _named(runs: Sequence[CheckResult], name: str) -> CheckResult | None:
    return next((r for r in runs if r.name == name), None)
