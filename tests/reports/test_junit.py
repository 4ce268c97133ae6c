"""junit.xml: both Jenkins schemas, one suite a task, one case a failure, and the properties that the contract names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from tests import outcomes
from zwarm_ci.reports import junit
from zwarm_ci.verdict import Outcome

XSD = Path(__file__).parents[1] / "data" / "xsd"
SCHEMAS = {p.name: etree.XMLSchema(etree.parse(p)) for p in sorted(XSD.glob("*.xsd"))}
PROPERTIES = "status method session executor model cost tokens seconds patch commit".split()
TINY = replace(
    outcomes.OUTCOMES["partly"],
    tasks=(replace(outcomes.LINT, attempts=(replace(outcomes.attempt(), executor_seconds=1e-5, verify_seconds=0.0),)),),
)


def parsed(outcome: Outcome) -> etree._Element:
    return etree.fromstring(junit.render(outcome).encode())


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("case", [*outcomes.OUTCOMES, "hostile", "tiny times"])
def test_valid_for_jenkins(case: str, schema: str) -> None:
    assert len(SCHEMAS) == 2
    outcome = {"hostile": outcomes.hostile(), "tiny times": TINY}.get(case) or outcomes.OUTCOMES[case]
    SCHEMAS[schema].assertValid(parsed(outcome))


@pytest.mark.parametrize(
    ("schema", "old", "new"),
    [
        ("jenkins-junit-10.xsd", ' errors="0" failures="0" name="T1', ' disabled="0" errors="0" failures="0" name="T1'),
        ("jenkins-junit-10.xsd", 'time="3.750"', 'time="1e-05"'),
        ("jenkins-junit-4.xsd", "<skipped>", '<skipped type="skipped">'),
        ("jenkins-junit-4.xsd", "<properties>", "<system-out/><properties>"),
    ],
)
def test_the_schemas_refuse_what_the_package_would_write(schema: str, old: str, new: str) -> None:
    text = junit.render(outcomes.OUTCOMES["partly"])
    assert old in text
    assert not SCHEMAS[schema].validate(etree.fromstring(text.replace(old, new).encode()))


def test_a_suite_a_task_and_a_case_a_failure() -> None:
    outcome = outcomes.OUTCOMES["partly"]
    root = parsed(outcome)
    suites = root.findall("testsuite")
    assert [s.get("name", "").split(":")[0] for s in suites] == [t.task.id for t in outcome.tasks]
    assert [len(s.findall("testcase")) for s in suites] == [len(t.task.failures) for t in outcome.tasks]
    results = ["".join(child.tag for child in case) or "passed" for case in root.iter("testcase")]
    assert results == ["passed", "passed", "skipped", "failure", "failure"]
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("5", "2", "0")
    for suite in suites:
        assert [p.get("name") for p in suite.findall("properties/property")] == PROPERTIES
    first = {p.get("name"): p.get("value") for p in suites[0].findall("properties/property")}
    assert first == {
        "status": "fixed", "method": "revert", "session": "s1", "executor": "embedded", "model": "", "cost": "$0.00", "tokens": "0",
        "seconds": "3.750", "patch": "patches/T1.patch", "commit": outcomes.FIX,
    }  # fmt: skip


def test_a_failure_says_why_and_what() -> None:
    failure = parsed(outcomes.OUTCOMES["not_fixed"]).find("testsuite/testcase/failure")
    assert failure is not None
    assert failure.get("message") == "still failing: 3 targets still fail: no plausible edit was found"
    assert failure.get("type") == "still_failing"
    assert failure.text
    assert failure.text.startswith("AssertionError: assert -1 == 3\n")
    assert "tests/test_cart.py:7: AssertionError" in failure.text


def test_solved_by_another_is_passed_and_cost_and_tokens_are_told() -> None:
    solved = replace(outcomes.OPEN, status="already_green")
    root = parsed(replace(outcomes.OUTCOMES["paid"], tasks=(*outcomes.OUTCOMES["paid"].tasks, solved)))
    assert root.get("failures") == "0"
    told = {p.get("name"): p.get("value") for p in root.findall("testsuite/properties/property")[: len(PROPERTIES)]}
    assert (told["cost"], told["tokens"], told["model"]) == ("$0.012", "6700", "gpt-5.1-codex-mini")


def test_no_time_of_day_and_no_host() -> None:
    root = parsed(outcomes.OUTCOMES["partly"])
    assert not {"timestamp", "hostname"} & {key for element in root.iter() for key in element.keys()}  # noqa: SIM118 - not a dict
