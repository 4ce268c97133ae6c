"""What runs of the real action.yml share."""

from __future__ import annotations

import pytest

from tests.action import act


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> act.Act:
    """`act`, a copy of this action as a release has it, and its packages at hand."""
    return act.prepared(tmp_path_factory.mktemp("act"))
