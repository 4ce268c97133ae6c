"""junit.xml: a testsuite per task, a testcase per failure that the task set out to repair.

Valid against Jenkins' schemas junit-4 and junit-10 at once, which together allow less than the junit-xml package writes.
"""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, indent, tostring

from zwarm_ci.pricing import format_cost
from zwarm_ci.reports import base
from zwarm_ci.scrub import one_line
from zwarm_ci.task import Failure
from zwarm_ci.verdict import Outcome, TaskOutcome

name = "junit"
filename = "junit.xml"
_COUNTS = ("tests", "failures", "errors")


def render(outcome: Outcome) -> str:
    """The whole file; without times of day, so that the same outcome gives the same bytes."""
    outcome = base.cleaned(outcome)
    suites = [_suite(t) for t in outcome.tasks]
    totals = {key: str(sum(int(s.get(key, "0")) for s in suites)) for key in _COUNTS}
    root = Element("testsuites", {"name": f"zwarm-ci {outcome.run}", **totals, "time": _time(outcome.seconds.wall)})
    root.extend(suites)
    indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _suite(outcome: TaskOutcome) -> Element:
    from junit_xml import TestSuite

    task = outcome.task
    suite = TestSuite(
        one_line(f"{task.id}: {task.title}"),
        [_case(outcome, failure) for failure in task.failures],
        properties=_properties(outcome),
    )
    element: Element = suite.build_xml_doc()
    element.attrib.pop("disabled", None)  # unknown to junit-10
    element.set("time", _time(_seconds(outcome)))  # the package writes 1e-05 for little, which is no xs:decimal
    for skipped in element.iter("skipped"):
        skipped.text = skipped.get("message")  # junit-4 knows no attributes here
        skipped.attrib.clear()
    return element


def _case(outcome: TaskOutcome, failure: Failure) -> Any:
    from junit_xml import TestCase

    place, case = names(failure.id)
    made = TestCase(case, place or failure.check or outcome.task.check)
    if outcome.status == "flaky":
        made.add_skipped_info(message=one_line(f"flaky: {outcome.reason}", 400))
    elif not outcome.solved:
        said = one_line(f"{base.words(outcome.status)}: {outcome.reason}", 400)
        body = "\n".join(part for part in (failure.message, failure.detail) if part)
        made.add_failure_info(message=said, output=body or said, failure_type=outcome.status)
    return made


def names(test_id: str) -> tuple[str, str]:
    """Class name and name of an id, as pytest's own reports have them: `tests/test_a.py::T::test_b[c]` -> `tests.test_a.T`, `test_b[c]`."""
    head, bracket, parameters = test_id.partition("[")
    *places, last = head.split("::")
    parts = [p.removesuffix(".py").strip("/").replace("/", ".") for p in places]
    return one_line(".".join(parts), 500), one_line(last + bracket + parameters, 500) or "(no name)"


def _properties(outcome: TaskOutcome) -> dict[str, str]:
    attempts = outcome.attempts

    def each(attribute: str) -> str:
        return " ".join(dict.fromkeys(str(getattr(a, attribute)) for a in attempts if getattr(a, attribute)))

    return {
        "status": outcome.status,
        "method": outcome.method or "",
        "session": each("session"),
        "executor": each("executor"),
        "model": each("model"),
        "cost": format_cost(max(0.0, outcome.cost_usd)),
        "tokens": str(base.tokens(attempts)),
        "seconds": _time(_seconds(outcome)),
        "patch": outcome.patch or "",
        "commit": outcome.commit or "",
    }


def _seconds(outcome: TaskOutcome) -> float:
    return sum(round(a.executor_seconds, 3) + round(a.verify_seconds, 3) for a in outcome.attempts)


def _time(seconds: float) -> str:
    return f"{max(0.0, round(seconds, 3)):.3f}"
