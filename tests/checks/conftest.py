"""Checks run with whatever plug-ins a repository's pytest has."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _with_plugins(plugins: None) -> None:
    """xdist, hypothesis and the like."""
