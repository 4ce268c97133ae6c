"""The commands that only show something: `models`, `config show`, `report`."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests import outcomes
from zwarm_ci import cli, pricing, proc
from zwarm_ci.reports import jsonreport
from zwarm_ci.reports.write import write_all

RUN, OLD = "20260102-030405-ab12", "20260101-000000-cd34"


@dataclass(frozen=True)
class Said:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str


class Shell:
    """Runs command lines in a repository."""

    def __init__(self, top: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.top, self._capture = top, capture

    def __call__(self, *args: str) -> Said:
        code = cli.run([args[0], *args[1:], "-C", str(self.top)])
        out, err = self._capture.readouterr()
        return Said(code, out, err)


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A repository with one commit that configures a check and a model."""
    (tmp_path / ".zwarm").mkdir()
    settings = '[checks.tests]\nrun = "pytest -q"\n[models.six]\nadapter = "codex"\ninput = 1.5\noutput = 2\naliases = ["sixth"]\n'
    (tmp_path / ".zwarm" / "config.toml").write_text(settings)
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false"]
    for args in (["init", "-q"], ["add", "."], ["commit", "-qm", "settings"]):
        proc.run([*git, *args], cwd=tmp_path, check=True)
    return Shell(tmp_path, capsys)


@pytest.fixture
def runs(shell: Shell) -> Path:
    """Two finished runs, the later one `latest`."""
    folder = shell.top / ".zwarm" / "runs"
    write_all(outcomes.OUTCOMES["partly"], folder / RUN)
    write_all(replace(outcomes.OUTCOMES["not_fixed"], run=OLD), folder / OLD)
    (folder / "latest").symlink_to(RUN)
    return folder


def test_models_shows_the_registry_and_the_users_own(shell: Shell) -> None:
    said = shell("models")
    assert (said.code, said.err) == (0, "")
    for model in pricing.list_models():
        assert model.canonical in said.out
    rows = {line.split()[0]: line.split() for line in said.out.splitlines() if line.startswith("  ")}
    assert rows["gpt-5.1-codex-mini"][1:] == ["*", "codex-mini,", "mini", "0.25", "0.025", "0.25", "2", "2025-11-24"]
    assert rows["six"] == ["six", "sixth", "1.5", "1.5", "1.5", "2", "yours"]


def test_models_as_json(shell: Shell) -> None:
    found = json.loads(shell("models", "--json", "--set", "models.opus.input=16").out)
    by_name = {m["model"]: m for m in found["models"]}
    assert found["schema"] == 1
    assert by_name["opus"] == {
        "model": "opus", "adapter": "claude", "aliases": ["claude-opus", "claude-4-opus"], "default": False, "input": 16.0, "cached": 1.5,
        "cache_write": 18.75, "output": 75.0, "as_of": None, "description": "Most capable Claude model",
    }  # fmt: skip
    assert by_name["six"]["cached"] == 1.5
    assert [m["model"] for m in found["models"] if m["default"]] == ["gpt-5.1-codex-mini", "sonnet"]


def test_models_needs_no_repository_but_settings_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shell = Shell(tmp_path, capsys)
    assert "gpt-5.1-codex-max" in shell("models").out
    said = shell("models", "--set", "models.opus.input=16")
    assert (said.code, said.out) == (4, "")
    assert "not in a git repository" in said.err


def test_config_show_is_toml_that_can_be_used_again(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> None:
    said = shell("config", "show")
    file = tmp_path_factory.mktemp("again") / "all.toml"
    file.write_text(said.out)
    assert shell("config", "show", "--config", str(file)).out == said.out
    assert 'checks.tests.run = "pytest -q"' in said.out


def test_config_show_says_where_values_came_from(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZWARM_CI_LOOP__TURNS", "5")
    said = shell("config", "show", "--origin", "--set", "budget.minutes=1.5")
    lines = {line.split(" = ")[0]: line for line in said.out.splitlines()}
    assert lines["loop.turns"].split() == ["loop.turns", "=", "5", "#", "ZWARM_CI_LOOP__TURNS"]
    assert lines["budget.minutes"].split() == ["budget.minutes", "=", "1.5", "#", "--set"]
    assert lines["verify.reruns"].endswith("# default")
    assert "# .zwarm/config.toml at base " in lines["checks.tests.run"]
    found = json.loads(shell("config", "show", "--origin", "--json").out)["settings"]
    assert found["loop.turns"] == {"value": 5, "origin": "ZWARM_CI_LOOP__TURNS"}
    assert json.loads(shell("config", "show", "--json").out)["settings"]["models.six.input"] == 1.5


def test_config_show_keeps_secrets(shell: Shell) -> None:
    said = shell("config", "show", "--set", f"checks.tests.setup=login {outcomes.CANARIES[0]}")
    assert 'checks.tests.setup = "login ***"' in said.out


def test_config_show_of_bad_settings_is_one_line(shell: Shell) -> None:
    said = shell("config", "show", "--set", "loop.turn=3")
    assert (said.code, said.out) == (2, "")
    assert said.err == "zwarm-ci: --set: unknown key loop.turn (the nearest known key is loop.turns)\n"


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("args", [(), ("latest",), (RUN,), ("20260102",)])
def test_report_shows_a_run_again(shell: Shell, args: tuple[str, ...]) -> None:
    said = shell("report", *args)
    assert (said.code, said.err) == (0, "")
    assert said.out == (Path(__file__).parent / "gold" / "partly" / "terminal.txt").read_text()


def test_report_as_json_is_the_record_itself(shell: Shell, runs: Path) -> None:
    assert shell("report", "--json").out == (runs / RUN / "outcome.json").read_text()


@pytest.mark.usefixtures("runs")
def test_report_compares(shell: Shell) -> None:
    said = shell("report", "--compare", OLD)
    assert said.out.splitlines()[0] == f"{OLD} → {RUN}"
    assert json.loads(shell("report", RUN, "--compare", OLD, "--json").out)["runs"] == [OLD, RUN]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("2026",), "several runs begin with '2026'"),
        (("nothing",), "no run begins with 'nothing'"),
        (("cut-off",), "run cut-off has no outcome.json (it has not ended, or was cut off)"),
        (("broken",), "not an outcome.json"),
        (("cut-off", "--open"), "report.html does not exist"),
    ],
)
def test_report_of_what_is_not_there(shell: Shell, runs: Path, args: tuple[str, ...], said: str) -> None:
    (runs / "cut-off").mkdir()
    (runs / "broken").mkdir()
    (runs / "broken" / "outcome.json").write_bytes(b"\xff{")
    found = shell("report", *args)
    assert (found.code, found.out) == (2, "")
    assert said in found.err
    assert found.err.count("\n") == 1


def test_report_before_any_run(shell: Shell) -> None:
    said = shell("report")
    assert (said.code, said.err) == (2, "zwarm-ci: no run has ended here yet (zwarm-ci fix-checks makes one)\n")


def test_report_opens_the_page_with_the_desktops_opener(
    shell: Shell, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opener = shell.top / "bin" / "xdg-open"
    opener.parent.mkdir()
    opener.write_text('#!/bin/sh\nprintf %s "$1 $DISPLAY" > "$(dirname "$0")/opened"\n')
    opener.chmod(0o755)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("PATH", str(opener.parent), prepend=":")
    monkeypatch.setenv("DISPLAY", ":7")
    said = shell("report", "--open")
    page = (runs / RUN / "report.html").resolve()
    assert (said.code, said.out) == (0, f"{page}\n")
    assert (opener.parent / "opened").read_text() == f"{page} :7"
    opener.write_text("#!/bin/sh\nexit 3\n")
    assert shell("report", "--open").code == 4


def test_schema_needs_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(Shell(tmp_path, capsys)("report", "--schema").out) == jsonreport.schema()
