"""The yard for every test of the toolset, and a terminal for those that lead a pilot."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.orchestrator.hosts import Stage
from tests.orchestrator.yard import Yard
from tests.repl.terminal import Terminal


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    made = Yard(tmp_path)
    for name, value in made.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tempfile, "tempdir", None)  # it is remembered
    yield made
    made.close()


@pytest.fixture
def terminal(stage: Stage) -> Iterator[Terminal]:
    """A pilot on the repository of the module's own `stage`."""
    made = Terminal(stage.repo.path, stage.env, "pilot", "--yes", "--branch", "made")
    yield made
    made.close()
