"""What source code of a tree does to the runner for a moment is noted in that moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.running import run_in
from tests.checks.test_witness_forging import _ONE, FORGERIES, HONEST, TARGETS, WRONG, tree_of
from zwarm_ci.checks.base import Watch


@pytest.mark.parametrize(
    "name", ["its code is another only while a report is made", "a patch for one report, taken back"]
)
def test_what_is_put_back_before_the_end_is_noted_at_the_test(tmp_path: Path, name: str) -> None:
    run = run_in(tree_of(tmp_path, WRONG + _ONE + FORGERIES[name]), watch=Watch(targets=TARGETS))
    assert "_pytest.reports.TestReport.from_item_and_call" in run.altered
    honest = run_in(tree_of(tmp_path / "honest", HONEST), watch=Watch(targets=TARGETS))
    assert "_pytest.reports.TestReport.from_item_and_call" not in honest.altered
