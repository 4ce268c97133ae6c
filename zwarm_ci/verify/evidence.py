"""Evidence: the facts a verdict stands on, as canonical JSON without times and commit ids, so that the same facts give the same bytes."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from zwarm_ci.checks.base import stable
from zwarm_ci.scrub import redact
from zwarm_ci.task import Task
from zwarm_ci.trees import Grounds
from zwarm_ci.verdict import SCHEMA, CheckResult, GuardFinding
from zwarm_ci.verify.cause import Cause


@dataclass(frozen=True, slots=True)
class Facts:
    """What the judge saw. `oracle` and `delivered` are tree ids; they are equal where the patch leaves the oracle's files alone.

    `burned`: fresh runs of the targets; `doomed`: whether each target was seen failing when made to, None where the kind cannot;
    `subset`: the whole runs later, on all patches together.
    """

    task: Task
    base_tree: str
    oracle: str
    delivered: str
    before: CheckResult
    runs: tuple[CheckResult, ...]
    findings: tuple[GuardFinding, ...]
    burned: int
    grounds: Mapping[str, Grounds]
    cause: Cause
    doomed: bool | None
    seeds: tuple[int, ...]
    subset: bool
    unsteady: tuple[str, ...]
    odd_code: Mapping[str, Sequence[str]]


def canonical(facts: Facts) -> str:
    """The evidence as JSON: sorted keys, no spaces that mean nothing, a newline at the end."""
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
        "targets": {target: _target(facts, target) for target in facts.task.targets},
        "checks": {
            r.name: {"passed": len(r.passed), "failed": sorted(r.failed), "skipped": len(r.skipped)} for r in facts.runs
        },
        "guards": [asdict(f) for f in facts.findings],
        "new_tests": dict(sorted(facts.cause.proofs.items())),
        "assurance": _assurance(facts),
    }
    return redact(json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False)) + "\n"


def _target(facts: Facts, target: str) -> dict[str, str]:
    """Before, after, and without which part of the patch it is red again; its signature is what it failed with on the base."""
    after = next((r for r in facts.runs if r.name == facts.task.check), None)
    failure = facts.before.failure(target)
    said = f"{failure.shape}: {stable(failure.message)}" if failure else ""
    return {
        "before": facts.before.state(target),
        "after": after.state(target) if after else "absent",
        "signature": hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()[:16] if said else "",
    }


def _assurance(facts: Facts) -> dict[str, Any]:
    """What was made sure of, each by itself; null = it could not be seen here."""
    cause = facts.cause
    tried = f"{cause.tried - len(cause.idle)} of {cause.tried}" if cause.tried else None
    return {
        "clean_tree": all(g.isolation == "twin" for g in facts.grounds.values()),
        "tests_from_base": True,
        "delivered_tree_ran": True,
        "same_signature": not facts.unsteady if facts.task.targets else None,
        "hunks_necessary": tried,
        "hunks_tried": f"{cause.tried} of {cause.parts}" if cause.parts else None,
        "patch_lines_covered": f"{cause.covered} of {cause.lines}" if cause.lines is not None else None,
        "proof_by_new_tests": cause.proof,
        "canary": {r.name: r.canary for r in facts.runs},
        "targets_made_to_fail_were_seen": facts.doomed,
        "runner_unaltered": {name: not odd for name, odd in facts.odd_code.items()},
        "subset_or_full": "subset" if facts.subset or {r.name for r in facts.runs} != set(facts.grounds) else "full",
        "network": {name: g.network for name, g in facts.grounds.items()},
        "limits": {name: g.limits for name, g in facts.grounds.items()},
        "isolation": {name: g.isolation for name, g in facts.grounds.items()},
        "own_code": {r.name: not r.foreign and not r.shadowed for r in facts.runs},
        "burn_in": facts.burned,
        "hypothesis_seeds": list(facts.seeds),
    }


def digest(evidence: str) -> str:
    """SHA-256 of the evidence file, as the commit's `Zwarm-Verified` trailer carries it."""
    return hashlib.sha256(evidence.encode("utf-8", "replace")).hexdigest()
