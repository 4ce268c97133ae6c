"""Each test that asks for a `host` runs as we are, and as a user of the other kind: root needs other means than a user does."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.confine.hosts import Host, as_another, as_me
from zwarm_ci.confine import discard


@pytest.fixture(params=[as_me, as_another])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    folder = Path(tempfile.mkdtemp(prefix="confine-"))  # pytest's own folders are closed to other users
    try:
        yield request.param(folder)
    finally:
        discard(folder)


@pytest.fixture
def offline(host: Host) -> list[str]:
    return host.offline("user namespace")  # the same prefix for root, and nothing is tried for it
