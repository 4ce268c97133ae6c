"""outcome.json: the contract's keys, the published schema, and a reader that takes what others wrote."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import outcomes
from zwarm_ci.errors import UsageError
from zwarm_ci.reports import jsonreport, schema, terminal
from zwarm_ci.task import Usage
from zwarm_ci.verdict import Outcome

#: As the contract lists them.
TOP = (
    "schema run command repo source_head base branch head status exit_code reason checks tasks usage cost_usd unpriced_tokens "
    "seconds suite_runs limits"
).split()
TASK = (
    "id title fingerprint failures status reason method origin patch commit evidence review cost_usd attempts".split()
)
ATTEMPT = "session turn executor model usage cost_usd provider_cost_usd seconds verdict denials guards checks".split()
CHECK = "name command exit_code passed failed skipped seconds".split()
FINDING = "guard level path line detail allow".split()
USAGE = "input_tokens cache_read_tokens cache_write_tokens output_tokens reasoning_tokens".split()

validator = jsonschema.Draft202012Validator(jsonreport.schema())


def made(case: str) -> dict[str, Any]:
    outcome = outcomes.hostile() if case == "hostile" else outcomes.OUTCOMES[case]
    return jsonreport.from_json(jsonreport.to_json(outcome))


@pytest.mark.parametrize("case", [*outcomes.OUTCOMES, "hostile"])
def test_every_outcome_is_valid_against_the_published_schema(case: str) -> None:
    assert [e.message for e in validator.iter_errors(made(case))] == []


def test_the_schema_is_a_schema_and_up_to_date() -> None:
    jsonschema.Draft202012Validator.check_schema(jsonreport.schema())
    assert schema.FILE.read_text(encoding="utf-8") == schema.text(), "write schema.text() into outcome.schema.json"


def test_the_contracts_keys_are_there() -> None:
    found = made("partly")
    task = found["tasks"][1]
    assert [k for k in found if k in TOP] == TOP
    assert [k for k in task if k in TASK] == TASK
    assert [k for k in task["attempts"][0] if k in ATTEMPT] == ATTEMPT
    assert [k for k in found["checks"]["before"][0] if k in CHECK] == CHECK
    assert list(task["review"][0]) == FINDING
    assert list(found["usage"]) == list(task["attempts"][0]["usage"]) == USAGE
    assert list(found["seconds"]) == ["wall", "executor", "verify", "checks"]
    assert list(found["tasks"][0]["origin"]) == ["revert", "author", "subject", "places"]
    assert (found["schema"], found["repo"], found["seconds"]["wall"]) == (1, ".", 75.432)
    assert task["failures"] == ["shop/a.py::F401[`os` imported but unused]"]


@pytest.mark.parametrize(
    "path",
    [
        *([key] for key in TOP),
        ["status", "great"],
        ["schema", 2],
        ["exit_code", "1"],
        *(["tasks", 1, key] for key in TASK),
        ["tasks", 1, "status", "solved"],
        ["tasks", 1, "method", "magic"],
        *(["tasks", 1, "attempts", 0, key] for key in ATTEMPT),
        *(["checks", "before", 0, key] for key in CHECK),
        *(["tasks", 1, "review", 0, key] for key in FINDING),
        *(["usage", key] for key in USAGE),
    ],
)
def test_the_schema_misses_what_is_missing_or_wrong(path: list[Any]) -> None:
    found = made("partly")
    known = {*TOP, *TASK, *ATTEMPT, *CHECK, *FINDING, *USAGE, "before"}
    *way, last = path if path[-1] in known else path[:-1]
    node: Any = found
    for step in way:
        node = node[step]
    if path[-1] in known:
        del node[last]
    else:
        node[last] = path[-1]
    assert list(validator.iter_errors(found))


def test_later_versions_may_add_keys() -> None:
    found = made("partly")
    found["colour"] = found["tasks"][0]["colour"] = "blue"
    assert list(validator.iter_errors(found)) == []


def test_what_is_no_number_is_null() -> None:
    odd = replace(outcomes.OUTCOMES["green"], cost_usd=float("nan"), limits={"minutes": float("inf"), "tasks": 3.0})
    found = jsonreport.from_json(jsonreport.to_json(odd))
    assert (found["cost_usd"], found["limits"]) == (None, {"minutes": None, "tasks": 3.0})


def test_what_is_written_is_read_again() -> None:
    for case in ("partly", "paid", "blocked", "attributed"):
        before = outcomes.OUTCOMES[case]
        after = jsonreport.outcome_of(made(case))
        assert jsonreport.document(after) == jsonreport.document(before)
        assert {f.name for f in fields(Outcome) if getattr(after, f.name) != getattr(before, f.name)} <= {
            "tasks",
            "before",
            "after",
            "seconds",
        }
    assert jsonreport.outcome_of(made("paid")).usage == Usage(1000, 5000, 0, 700, 300)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not an outcome.json"),
        ("{", "not an outcome.json"),
        ("[" * 100_000, "not an outcome.json"),
        ("[]", "it has no schema number"),
        ('{"schema": "1"}', "it has no schema number"),
        ('{"schema": 2}', "outcome.json has schema 2, this version reads 1 (upgrade zwarm-ci)"),
    ],
)
def test_what_is_no_outcome(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        jsonreport.from_json(text)
    assert said in caught.value.line


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from([*TOP, *TASK, "before"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*TOP, "notes"]), _JSON, max_size=8))
def test_a_mangled_outcome_is_shown_as_far_as_it_goes(found: dict[str, Any]) -> None:
    text = jsonreport.from_json(json.dumps({**found, "schema": 1}))
    assert terminal.render(jsonreport.outcome_of(text)).startswith("zwarm-ci")
