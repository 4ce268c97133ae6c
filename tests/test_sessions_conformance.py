"""Every contract over sessions: with the real command lines (`-m realcli`), against what was recorded of them, and for `embedded`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conformance.sessions import CONTRACTS, FEWEST, OWN_PROGRAM
from tests.conformance.sessions_embedded import KEPT, NOT_KEPT, Bench
from tests.conformance.stage import ADAPTERS, Adapter, Stage
from tests.realcli import installed
from tests.record_cli import RECORDINGS


def _real(adapter: Adapter) -> Path:
    codex, claude = installed()
    return codex if adapter == "codex" else claude


@pytest.mark.realcli
@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_real_program_keeps(
    contract: str, adapter: Adapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    CONTRACTS[contract](Stage(adapter, contract, tmp_path / "stage", RECORDINGS, monkeypatch, _real(adapter)))


@pytest.mark.realcli
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_the_whole_suite_was_collected(adapter: str, request: pytest.FixtureRequest) -> None:
    """Fewer contracts than there are, or a mark that lets one off, is red."""
    ours = [i for i in request.session.items if i.name.startswith("test_the_real_program_keeps[")]
    played = [i for i in ours if i.name.endswith(f"-{adapter}]")]
    assert len(played) == len(CONTRACTS) >= FEWEST
    assert not [
        i for i in request.session.items for mark in i.iter_markers() if mark.name in {"skip", "skipif", "xfail"}
    ]


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("contract", CONTRACTS)
def test_what_was_recorded_keeps(
    contract: str, adapter: Adapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    CONTRACTS[contract](Stage(adapter, contract, tmp_path / "stage", RECORDINGS, monkeypatch))


@pytest.mark.parametrize("contract", KEPT)
def test_embedded_keeps(contract: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    KEPT[contract](Bench(tmp_path, monkeypatch))


def test_every_contract_is_kept_by_embedded_or_has_its_reason() -> None:
    assert {*KEPT, *NOT_KEPT} == set(CONTRACTS)
    assert not set(KEPT) & set(NOT_KEPT)


def test_the_suite_is_whole() -> None:
    """A suite that loses contracts on the way keeps nothing."""
    assert len(CONTRACTS) >= FEWEST
    for adapter in ADAPTERS:
        recorded = {path.name.partition(".")[0] for path in (RECORDINGS / adapter).glob("*.json")}
        assert recorded == set(CONTRACTS) - OWN_PROGRAM


def test_recordings_name_no_machine() -> None:
    files = list(RECORDINGS.rglob("*.json"))
    assert len(files) > FEWEST
    for path in files:
        found = re.search(
            r"(?<![}\w])(/root|/home|/Users|/tmp)/|site-packages|\.venv", path.read_text(encoding="utf-8")
        )
        assert not found, f"{path.name}: {found[0]}"
