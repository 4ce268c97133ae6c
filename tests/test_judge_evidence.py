"""Evidence: what a verdict stands on, the same for the same facts and another for other facts; what each claim is read from."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from tests.told import ADD, FAILURE, GREEN, RED, TASK, result
from zwarm_ci.trees import Grounds
from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify.cause import Cause
from zwarm_ci.verify.evidence import Facts, canonical, digest

FOUND = GuardFinding("cause", "review", "calc.py", 2, "odd")
GROUNDS = Grounds("python 3", "cell", "off", "twin", "memory: rlimit")
FACTS = Facts(
    task=TASK,
    base_tree="b" * 40,
    oracle="o" * 40,
    delivered="d" * 40,
    before=RED,
    runs=(GREEN,),
    findings=(FOUND,),
    burned=3,
    grounds={"tests": GROUNDS},
    cause=Cause(2, 2, ("calc.py:9",), 4, 3, (("calc.py", 9),)),
    doomed=True,
    seeds=(1, 2, 3),
    subset=False,
    unsteady=(),
    odd_code={"tests": ()},
)


def said(facts: Facts = FACTS) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(canonical(facts))
    return document


def test_the_same_facts_give_the_same_bytes_and_times_are_no_facts() -> None:
    slower = replace(
        FACTS, runs=(replace(GREEN, seconds=99.0, log="logs/003-tests.log"),), before=replace(RED, seconds=7.0)
    )
    assert canonical(slower) == canonical(FACTS)
    assert digest(canonical(slower)) == digest(canonical(FACTS))
    assert canonical(FACTS).endswith("}\n")


OTHERWISE: dict[str, Any] = {
    "base_tree": "x" * 40,
    "oracle": "x" * 40,
    "delivered": "x" * 40,
    "before": replace(RED, failures=(replace(FAILURE, message="AssertionError: assert 2 == 3"),)),
    "runs": (result(passed=()),),
    "findings": (),
    "burned": 1,
    "grounds": {"tests": replace(GROUNDS, interpreter="python 2")},
    "cause": Cause(),
    "doomed": None,
    "seeds": (),
    "subset": True,
    "unsteady": (ADD,),
    "odd_code": {"tests": ("_pytest.x",)},
    "task": replace(TASK, fingerprint="0" * 16),
}


@pytest.mark.parametrize("field", [f.name for f in fields(Facts)])
def test_every_fact_is_in_it(field: str) -> None:
    assert canonical(replace(FACTS, **{field: OTHERWISE[field]})) != canonical(FACTS)


@pytest.mark.parametrize("field", [f.name for f in fields(Grounds)])
def test_under_what_a_check_ran_is_in_it(field: str) -> None:
    other = {"tests": replace(GROUNDS, **{field: "inplace" if field == "isolation" else "other"})}
    assert canonical(replace(FACTS, grounds=other)) != canonical(FACTS)


def test_what_is_claimed() -> None:
    document = said()
    assert (document["oracle_tree"], document["delivered_tree"], document["base_tree"]) == (
        "o" * 40,
        "d" * 40,
        "b" * 40,
    )
    assert document["targets"][ADD]["before"] == "failed"
    assert document["targets"][ADD]["after"] == "passed"
    assert document["guards"] == [
        {"guard": "cause", "level": "review", "path": "calc.py", "line": 2, "detail": "odd", "allow": ""}
    ]
    claims = document["assurance"]
    assert (claims["hunks_necessary"], claims["hunks_tried"], claims["patch_lines_covered"]) == (
        "1 of 2",
        "2 of 2",
        "3 of 4",
    )
    assert (claims["burn_in"], claims["hypothesis_seeds"], claims["same_signature"]) == (3, [1, 2, 3], True)
    assert (claims["targets_made_to_fail_were_seen"], claims["runner_unaltered"]) == (True, {"tests": True})
    assert (claims["subset_or_full"], claims["clean_tree"], claims["canary"]) == ("full", True, {"tests": True})


def test_what_could_not_be_seen_is_null_and_not_claimed() -> None:
    claims = said(replace(FACTS, cause=Cause(), doomed=None, grounds={"tests": GROUNDS, "lint": GROUNDS}))["assurance"]
    unseen = (
        "hunks_necessary",
        "hunks_tried",
        "patch_lines_covered",
        "proof_by_new_tests",
        "targets_made_to_fail_were_seen",
    )
    assert [claims[name] for name in unseen] == [None] * len(unseen)
    assert claims["subset_or_full"] == "subset", "a check did not run"
    assert said(replace(FACTS, task=replace(TASK, failures=())))["assurance"]["same_signature"] is None
    assert said(replace(FACTS, unsteady=(ADD,)))["assurance"]["same_signature"] is False
    assert (
        said(replace(FACTS, grounds={"tests": replace(GROUNDS, isolation="inplace")}))["assurance"]["clean_tree"]
        is False
    )
    odd = replace(GREEN, shadowed=("calc.py",))
    assert said(replace(FACTS, runs=(odd,)))["assurance"]["own_code"] == {"tests": False}


def test_a_target_is_known_again_by_what_it_failed_with_less_its_line_numbers() -> None:
    def signature(message: str, shape: str = "AssertionError") -> str:
        failure = replace(FAILURE, message=message, shape=shape)
        return str(said(replace(FACTS, before=replace(RED, failures=(failure,))))["targets"][ADD]["signature"])

    assert signature("x at line 3") == signature("x at line 7")
    assert len({signature("x"), signature("y"), signature("x", "KeyError")}) == 3


def test_a_secret_in_a_finding_does_not_leave() -> None:
    key = "ghp_" + "a1B2" * 9
    assert key not in canonical(replace(FACTS, findings=(replace(FOUND, detail=f"a key: {key}"),)))
