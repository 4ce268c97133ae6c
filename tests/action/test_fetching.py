"""What the first half of the step fetches with the token: of pull requests, and of checks that are not GitHub's own."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakegh import WRITE, Forge
from tests.fakegh.state import Issue
from tests.github.events import payload
from zwarm_ci.action import fetching
from zwarm_ci.action.deciding import Case
from zwarm_ci.action.inputs import Inputs, read
from zwarm_ci.github import event, marker
from zwarm_ci.github.trust import Decision

SHOP = "octo/shop"


@pytest.fixture
def forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    with Forge(tmp_path / "forge") as made:
        made.bare(SHOP)
        monkeypatch.setenv("GITHUB_API_URL", made.api_url)
        yield made


def inputs(forge: Forge) -> Inputs:
    return read({"ZWARM_CI_INPUT_MODE": "fix-tests", "ZWARM_CI_INPUT_TOKEN": forge.token("reader", WRITE)})


@pytest.mark.parametrize("name", ["check_suite", "check_run"])
def test_the_log_of_another_programs_check_is_not_githubs_and_that_is_said(forge: Forge, name: str) -> None:
    trigger = event.read(name, payload(name))
    assert trigger is not None
    said = fetching.fetch(inputs(forge), Case(trigger, Decision("nothing", "")), {"GITHUB_REPOSITORY": SHOP}).said
    assert said == (f"{trigger.workflow} keeps its own log, which GitHub has not, so the repository's checks run",)


def test_what_a_person_closed_today_is_not_paid_for_again(forge: Forge) -> None:
    """Neither is what an open pull request repairs; what was closed earlier, or merged, may be."""
    now = dt.datetime.now(dt.UTC)
    days = {"aa11aa11": 0, "bb22bb22": 2}
    for fingerprint, ago in days.items():
        closed(forge, fingerprint, now - dt.timedelta(days=ago))
    found = fetching.fetch(inputs(forge), Case(None, Decision("run", "")), {"GITHUB_REPOSITORY": SHOP})
    spoken = json.loads(Path(found.spoken_for).read_text())
    assert set(spoken) == {"aa11aa11"}
    assert "was closed today without a merge" in spoken["aa11aa11"]


def closed(forge: Forge, fingerprint: str, at: dt.datetime) -> None:
    number = forge.issue(SHOP, "Repair", "")
    made: Issue = forge.state.issues[SHOP, number]
    made.state, made.updated = "closed", f"{at:%Y-%m-%dT%H:%M:%SZ}"
    made.pull = {
        "head": f"zwarm-ci/fix-{fingerprint}", "base": "main", "draft": True, "merged": False, "reviewers": [], "teams": [],
    }  # fmt: skip
    made.body = marker.make("fix-tests", fingerprint, "0" * 40, "1" * 40, [fingerprint], [("tests", "a")]).line()
