"""Every test gets an empty HOME, no git identity, no CI variables, and an interpreter with pytest and ruff on PATH."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.lean import in_front, whole
from zwarm_ci.stop import STOP

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # a script's background job (`pytest &`): what it starts would ignore ^C too
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _stopped_by_nobody() -> Iterator[None]:
    """A stop that a test asked for in this process ends with it."""
    yield
    STOP.clear()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in list(os.environ):
        if name.startswith(
            ("GIT_", "GITHUB_", "ZWARM_", "OTEL_", "WANDB_", "WF_", "PYTEST_ADDOPTS", "PYTHON")
        ) or name in {
            "CI",
            "NO_COLOR",
            "FORCE_COLOR",
        }:
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for name, value in in_front().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch, _clean_environment: None) -> None:
    """All of pytest's plug-ins that we have, for a repository whose tests use one."""
    for name, value in whole().items():
        monkeypatch.setenv(name, value)
