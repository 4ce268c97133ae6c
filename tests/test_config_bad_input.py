"""Settings that are wrong: each gets one clear line that names the place, whatever bytes come."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.test_config import load
from zwarm_ci import config
from zwarm_ci.errors import ConfigError, UsageError

BAD = {
    "unknown key": (b"zzz = 1", "unknown key zzz (the nearest known key is"),
    "typing error in a table": (
        b"[verify]\nrerun = 1",
        "unknown key verify.rerun (the nearest known key is verify.reruns)",
    ),
    "typing error in a check": (
        b'[checks.t]\nrnu = "x"',
        "unknown key checks.t.rnu (the nearest known key is checks.t.run)",
    ),
    "typing error in a table's name": (b"[bugdet]\nminutes = 1", "nearest known key is budget"),
    "money below nothing": (b"budget.usd = -3", "budget.usd"),
    "unknown model": (b'executor.model = "x"', "the model x is unknown (name its adapter too"),
    "model beside ladder": (
        b'executor.model = "opus"\nexecutor.ladder = ["codex"]',
        "executor.model has no effect beside executor.ladder",
    ),
    "model of the other": (b'executor.ladder = ["codex:opus"]', "opus is a model of claude (write claude:opus)"),
    "model for none": (b'executor.ladder = ["embedded:mini"]', "embedded works without a model (write embedded)"),
    "model alone as rung": (b'executor.ladder = ["mini"]', "unknown executor mini (write codex:mini)"),
    "no model": (b'executor.ladder = ["codex:"]', "codex: names no model (write codex, or codex:MODEL)"),
    "unknown sandbox": (b'executor.sandbox = "none"', "executor.sandbox must be"),
    "no name of a variable": (b'executor.env = ["A B"]', "must be the name of an environment variable"),
    "no session": (b"loop.sessions = 0", "loop.sessions"),
    "a glob with braces": (
        b'[checks.t]\nrun = "x"\nfiles = ["*.{a,b}"]',
        "must not have braces: write one glob for each",
    ),
    "a glob that leads out": (b'[checks.t]\nrun = "x"\nfiles = ["../*.py"]', "must be a path inside the repository"),
    "a check for no file": (b'[checks.t]\nrun = "x"\nfiles = []', "checks.t.files"),
    "services of no kind": (
        b'[checks.t]\nrun = "x"\nservices.start = "y"',
        "the nearest known key is checks.t.services.",
    ),
    "isolation of no kind": (b'[checks.t]\nrun = "x"\nisolation = "none"', "checks.t.isolation"),
    "a project without its team": (b'weave.project = "x"', "weave.project must be a project of Weave's: TEAM/NAME"),
    "a project that is a path": (b'weave.project = "a/b/c"', "weave.project must be a project of Weave's"),
    "an unknown key of weave": (b'weave.entity = "x"', "the nearest known key is weave.project"),
    "no time for hooks": (b"hook.seconds = 0", "hook.seconds must be greater than 0"),
    "an unknown key of hooks": (b"hook.second = 1", "the nearest known key is hook.seconds"),
    "unknown association": (
        b'github.trusted = ["OWNER", "member"]',
        "github.trusted.1 must be one of OWNER, MEMBER, COLLABORATOR, CONTRIBUTOR; the nearest is MEMBER",
    ),
    "everybody": (b'github.trusted = ["NONE"]', "github.trusted.0 must be one of OWNER"),
    "a star": (b'github.trusted = "*"', "github.trusted must be a list"),
    "a bot by name": (b'github.bots = ["renovate[bot]"]', "github.bots.0 must be a valid integer"),
    "no bot": (b"github.bots = [0]", "github.bots.0 must be greater than or equal to 1"),
    "truth for a bot": (b"github.bots = [true]", "github.bots.0 must be a valid integer"),
    "the label that stops": (b'github.labels = ["Zwarm-CI:stop"]', "is the label that stops everything"),
    "two labels in one": (b'github.labels = ["a,b"]', "must be a label of GitHub"),
    "a label too long": (b'github.labels = ["' + b"x" * 51 + b'"]', "must be a label of GitHub"),
    "an unknown key of github": (b"github.lables = []", "the nearest known key is github.labels"),
    "unknown executor": (b'executor.adapter = "bash"', "unknown executor bash (known: claude, codex, embedded)"),
    "ladder and adapter": (b'executor.ladder = ["embedded"]\nexecutor.adapter = "embedded"', "has no effect beside"),
    "bracket left open": (b"a = [[[", "config.toml line 1 column 8: Invalid value"),
    "no value": (b"\n\nturns =\n", "config.toml line 3 column 8: Invalid value"),
    "duplicate key": (b"state_dir = 'a'\nstate_dir = 'b'\n", "config.toml line 2 column 16: Cannot overwrite a value"),
    "duplicate table": (b"[loop]\nturns=1\n[loop]\n", "config.toml line 3 column 6: Cannot declare"),
    "NUL": (b'state_dir = "\x00"', "config.toml line 1 column 14: Illegal character"),
    "not UTF-8": (b"[loop]\n# \xff", "config.toml line 2 column 3: not UTF-8 text (byte 0xff)"),
    "UTF-16": ("[loop]".encode("utf-16"), "config.toml line 1 column 1: not UTF-8 text (byte 0xff)"),
    "old Mac line ends": (b"[loop]\rturns = 1", "config.toml line 1 column"),
    "deep nesting": (b"a = " + b"[" * 6000, "config.toml: nested too deeply"),
    "deep key": (b"a" + b".a" * 100_000 + b" = 1", "config.toml: nested too deeply"),
    "deep table": (b'[a.""' + b' . "" ' * 100_000 + b"]", "config.toml: nested too deeply"),
    "huge number": (b"[loop]\nturns = " + b"9" * 5000, "config.toml line 2 column 9: a number of too many digits"),
    "escaped NUL": (b'[checks.t]\nrun = "a\\u0000b"', "checks.t.run must be one line without control"),
    "escape sequence": (b'[checks.t]\nrun = "a\\u001b[31mb"', "checks.t.run must be one line without control"),
    "two lines": (b'[checks.t]\nrun = """a\nb"""', "checks.t.run must be one line"),
    "invisible": ('[checks.t]\nrun = "a\u202eb"'.encode(), "checks.t.run must be one line"),
    "table for a value": (b"[state_dir]\na = 1", "state_dir must be a valid string"),
    "value for a table": (b'executor = "embedded"', "executor must be a table"),
    "value for all checks": (b"checks = 3", "checks must be a table"),
    "value for a check": (b"checks.t = 3", "checks.t must be a table"),
    "text for a list": (b'executor.ladder = "embedded"', "executor.ladder must be a list"),
    "number in a list": (b"verify.protect = [1]", "verify.protect.0 must be a valid string"),
    "text for a number": (b'loop.turns = "3"', "loop.turns must be a valid integer"),
    "truth for a number": (b"loop.turns = true", "loop.turns must be a valid integer"),
    "number for truth": (b"verify.allow_test_edits = 1", "verify.allow_test_edits must be a valid boolean"),
    "fraction of a turn": (b"loop.turns = 1.5", "loop.turns must be a valid integer"),
    "date": (b"loop.turns = 2026-01-01", "loop.turns must be a valid integer"),
    "no turn": (b"loop.turns = 0", "loop.turns must be greater than or equal to 1"),
    "negative": (b"budget.minutes = -1", "budget.minutes must be greater than or equal to 0"),
    "endless": (b"executor.timeout = inf", "executor.timeout must be a finite number"),
    "no number": (b"executor.timeout = nan", "executor.timeout must be a finite number"),
    "1e308": (b"executor.timeout = 1e308", "executor.timeout must be less than or equal to 604800"),
    "a huge price": (b"models.haiku.input = 1e308", "models.haiku.input must be less than or equal to"),
    "a negative price": (b"models.haiku.input = -0.1", "models.haiku.input must be greater than or equal to 0"),
    "no time": (b"executor.silence = 0", "executor.silence must be greater than 0"),
    "unknown kind": (b'[checks.t]\nrun = "x"\nkind = "nose"', "checks.t.kind must be 'pytest', 'junit'"),
    "empty name": (b'[checks.""]\nrun = "x"', 'checks."" is no name'),
    "name with a slash": (b'[checks."a/b"]\nrun = "x"', 'checks."a/b" is no name'),
    "no command": (b"[checks.t]\ntimeout = 3", "checks.t.run is missing (say which command it runs)"),
    "empty command": (b'[checks.t]\nrun = ""', "checks.t.run is missing"),
    "blank command": (b'[checks.t]\nrun = "  "', "checks.t.run must not be empty"),
    "empty glob": (b'verify.protect = [""]', "verify.protect.0 must not be empty"),
    "no variable": (
        b'[checks.t]\nrun = "x"\nenv = ["A=b"]',
        "checks.t.env.0 must be the name of an environment variable",
    ),
    "workdir outside": (
        b'[checks.t]\nrun = "x"\nworkdir = "../x"',
        "checks.t.workdir must be a path inside the repository",
    ),
    "include outside": (
        b'[checks.t]\nrun = "x"\ninclude = ["/etc/passwd"]',
        "checks.t.include.0 must be a path inside",
    ),
    "absolute state folder": (b'state_dir = "/tmp"', "state_dir must be a path inside the repository"),
    "state folder outside": (b'state_dir = "a/../../b"', "state_dir must be a path inside the repository"),
    "state folder is the top": (b'state_dir = "."', "state_dir must be a folder of its own"),
    "state folder is git's": (b'state_dir = ".GIT/x"', "state_dir must be a folder of its own"),
    "model without prices": (b'[models.x]\nadapter = "codex"', "[models]: x needs both prices"),
    "model without adapter": (
        b"[models.x]\ninput = 1\noutput = 1",
        "[models]: x needs an adapter: one of claude, codex",
    ),
    "alias that is taken": (
        b'[models.x]\nadapter = "codex"\ninput = 1\noutput = 1\naliases = ["MINI"]',
        "[models]: `MINI` names both gpt-5.1-codex-mini and x",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_get_one_clear_line(name: str) -> None:
    toml, said = BAD[name]
    with pytest.raises(ConfigError) as caught:
        load(toml)
    line = caught.value.line
    assert said in line
    assert line.isprintable()
    assert len(line) < 400
    assert caught.value.exit_code == 2
    assert "config.toml" in line or "[models]" in line
    if not toml.startswith(b"["):  # the same in pyproject.toml
        project = b"[tool.zwarm-ci]\n" + toml
        with pytest.raises(ConfigError):
            load(project=project)


@pytest.mark.parametrize(
    ("project", "said"),
    [
        (b"[tool.zwarm_ci]\nloop.turns = 1", "unknown table [tool.zwarm_ci] (did you mean [tool.zwarm-ci]?)"),
        (b"[tool]\nzwarm-ci = 3", "pyproject.toml [tool.zwarm-ci]: must be a table"),
        (b"[tool.zwarm-ci]\nx = 1", "pyproject.toml [tool.zwarm-ci]: unknown key x"),
        (b"[tool.black\n", "pyproject.toml line 1 column 12: Expected"),
    ],
)
def test_bad_pyproject(project: bytes, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(project=project)
    assert said in caught.value.line


def test_settings_in_both_places_are_an_error() -> None:
    with pytest.raises(ConfigError, match=r"both \.zwarm/config\.toml and"):
        load(b"loop.turns = 1", project=b"[tool.zwarm-ci]\nloop.turns = 1")


def test_config_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--config .*nowhere.toml: No such file"):
        load(file=tmp_path / "nowhere.toml")
    with pytest.raises(ConfigError, match=r"--config .*: Is a directory"):
        load(file=tmp_path)
    bad = tmp_path / "bad.toml"
    bad.write_text("loop = 5")
    with pytest.raises(ConfigError, match=r"--config .*bad.toml: loop must be a table"):
        load(file=bad)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "ZWARM_CI_BUDGET__MINUTE",
            "5",
            "ZWARM_CI_BUDGET__MINUTE: unknown key budget.minute (the nearest known key is budget.minutes)",
        ),
        ("ZWARM_CI_BUDGET__USD", "five", "ZWARM_CI_BUDGET__USD: budget.usd must be"),
        ("ZWARM_CI_", "5", "unknown key"),
        ("ZWARM_CI_LOOP", "{turns = 3}", "unknown key loop"),
        ("ZWARM_CI_LOOP__TURNS", "", "ZWARM_CI_LOOP__TURNS: loop.turns must be a valid integer"),
        ("ZWARM_CI_LOOP__TURNS", "1\nx = 2", "loop.turns must be a valid integer"),
        ("ZWARM_CI_LOOP__TURNS", "{a = 1}", "loop.turns takes one value or a list"),
        ("ZWARM_CI_STATE_DIR", "\udcff", "ZWARM_CI_STATE_DIR: state_dir must be"),
    ],
)
def test_bad_variables(name: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(environ={name: value})
    assert said in caught.value.line
    assert caught.value.line.isprintable()


@pytest.mark.parametrize(
    ("entry", "said", "kind"),
    [
        ("loop.turns", "--set loop.turns: no `=` in it (write --set key.path=value)", UsageError),
        ("=3", "not a key", UsageError),
        ("a b=3", "--set a b: not a key", UsageError),
        ("loop..turns=3", "not a key", UsageError),
        ("loop.turns\n[x]=3", "not a key", UsageError),
        ("loop.turn=3", "--set: unknown key loop.turn (the nearest known key is loop.turns)", ConfigError),
        ("loop.turns=many", "--set: loop.turns must be a valid integer", ConfigError),
        ("executor.ladder=embedded", '--set: executor.ladder must be a list, e.g. ["a", "b"]', ConfigError),
        ("loop={turns=3}", "--set: unknown key loop", ConfigError),
        ("checks.tests.timeout=5", "--set: checks.tests.run is missing", ConfigError),
        ("loop.turns=" + "[" * 9000, "--set: loop.turns must be a valid integer", ConfigError),
    ],
)
def test_bad_set(entry: str, said: str, kind: type[UsageError]) -> None:
    with pytest.raises(kind) as caught:
        load(sets=[entry])
    assert said in caught.value.line
    assert caught.value.line.isprintable()


def assert_one_line(call: Callable[[], object]) -> None:
    """Settings, or an error of the right family in one printable line; any other exception is the test's failure."""
    said = ""
    try:
        call()
    except UsageError as error:
        said = error.line
    assert said.isprintable()
    assert len(said) < 700


@settings(deadline=None)  # of a machine that others use too
@given(st.binary(max_size=400))
@example(b"x = " + b"{a=" * 3000)
@example(b"[checks.t]\nrun = 'x'\ntimeout = " + b"1" * 4000)
@example(b"loop.turns = " + b"1" * 4000)
def test_random_bytes_never_end_in_a_traceback(data: bytes) -> None:
    for toml, project in ((data, None), (None, data)):
        assert_one_line(partial(load, toml, project))


_WORDS = st.sampled_from([*config.known_keys(), "x", '"', "*", "\u202e", "\x1b[0m", ""])
_VALUES = st.one_of(
    st.text(max_size=20), st.sampled_from(["[]", "{}", "inf", "-1", '["embedded"]', "1e999", "'", '"', "2026-01-01"])
)


@settings(deadline=None)
@given(_WORDS, _VALUES)
def test_random_set_and_variables_never_end_in_a_traceback(key: str, value: str) -> None:
    key = key.replace("*", "name")
    for environ, sets in (({}, [f"{key}={value}"]), ({"ZWARM_CI_" + key.upper().replace(".", "__"): value}, [])):
        assert_one_line(partial(load, environ=environ, sets=sets))
