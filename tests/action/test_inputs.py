"""Inputs: read strictly, refused in one line that says what to give; action.yml and the reader know the same ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from zwarm_ci.action import modes
from zwarm_ci.action.inputs import FIELDS, MODES, Inputs, read, variable
from zwarm_ci.cli import _HIDDEN, Commands, names
from zwarm_ci.cli import main as command_line
from zwarm_ci.errors import UsageError

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))


def given(**inputs: str) -> dict[str, str]:
    return {variable(name.replace("_", "-")): value for name, value in inputs.items()}


def test_nothing_given_is_the_default() -> None:
    assert read({"PATH": "/bin", **{variable(name): "" for name in FIELDS}}) == Inputs()


def test_what_is_given_is_read() -> None:
    found = read(
        given(
            mode="run", check="pytest -q\n\n ruff check \n", task="two\nlines", budget_usd=" 0.50 ", labels="a, b\nc,a", draft="false",
            cli_versions="codex=0.169.0, claude=2.1.197", working_directory="sub dir", minutes="5", parallel="2", token="ghs_x",
        )
    )  # fmt: skip
    assert found.checks == ("pytest -q", "ruff check")
    assert (found.task, found.budget_usd, found.labels, found.draft) == ("two\nlines", "0.50", ("a", "b", "c"), False)
    assert dict(found.cli_versions) == {"codex": "0.169.0", "claude": "2.1.197"}
    assert (found.directory, found.minutes, found.parallel, found.token) == ("sub dir", "5", "2", "ghs_x")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("mode", "fix", "one of fix-tests, fix-checks"),
        ("mode", "fix-tests\nrun", "one line"),
        ("publish", "push", "one of bundle, pr, none"),
        ("budget-usd", "5 dollars", "a number such as 5"),
        ("budget-usd", "-1", "a number such as 5"),
        ("budget-usd", "nan", "a number such as 5"),
        ("minutes", "0", "more than 0"),
        ("parallel", "1.5", "a whole number"),
        ("draft", "yes", "true or false"),
        ("cli-versions", "codex", "codex=1.2.3"),
        ("cli-versions", "evil=1.0", "codex or claude"),
        ("cli-versions", "codex=1.0 --registry=http://x", "codex=1.2.3"),
        ("branch", "a\nb", "one line"),
        ("base", "a\0b", "characters of text"),
        ("task", "x" * 100_001, "at most 100,000"),
    ],
)
def test_what_will_not_do_is_said_in_one_line(name: str, value: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"input {name}: .* will not do") as caught:
        read({variable(name): value})
    assert said in caught.value.line
    assert "\n" not in caught.value.line
    assert len(caught.value.line) < 300


def test_a_bad_token_is_not_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        read({variable("token"): "ghs_secret value"})
    assert "ghs_secret" not in caught.value.line


def test_an_unknown_input_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="BUDGET_USDS carries no input") as caught:
        read({"ZWARM_CI_INPUT_BUDGET_USDS": "5"})
    assert caught.value.remedy == "the nearest is `budget-usd`"


def test_action_yml_hands_over_every_input_and_maps_every_output() -> None:
    assert set(ACTION["inputs"]) == {*FIELDS, "version"}
    install, run, _keep, publish = ACTION["runs"]["steps"]
    handed = {name: text for name, text in run["env"].items() if name.startswith("ZWARM_CI_INPUT_")}
    assert handed == {variable(name): f"${{{{ inputs.{name} }}}}" for name in FIELDS}
    assert install["env"] == {variable("version"): "${{ inputs.version }}"}, "nothing is installed with a token at hand"
    assert set(publish["env"]) - {"PYTHON_OF_ZWARM"} <= set(handed)
    wanted = (
        "status verified fixed remaining branch commit pr-url patch junit summary outcome total_cost_usd input_tokens output_tokens "
        "cache_read_tokens cache_write_tokens matrix"
    )
    assert set(wanted.split()) <= set(ACTION["outputs"])


def test_action_yml_has_no_logic_and_interpolates_nothing_into_a_script() -> None:
    scripts = [step["run"] for step in ACTION["runs"]["steps"] if "run" in step]
    assert len(scripts) == 3
    assert not [text for text in scripts if "${{" in text]
    assert scripts[1] == scripts[2] == 'exec "$PYTHON_OF_ZWARM" -I -m zwarm_ci action'


def test_modes_are_commands() -> None:
    assert set(names()) & set(MODES) == set(MODES), "a mode without a command is refused, and this version has all"
    modes.known("fix-tests", names())
    with pytest.raises(UsageError, match="mode plan is not in this version"):
        modes.known("plan", ["fix-tests"])


def test_the_entry_is_hidden() -> None:
    assert isinstance(command_line, Commands)
    assert not set(_HIDDEN) & set(names())


FULL = {
    "fix-tests": given(
        check="pytest",
        budget_usd="1",
        executor="embedded",
        parallel="1",
        base="main",
        branch="b",
        minutes="1",
        config="c",
    ),
    "fix-checks": given(model="opus", task_budget_usd="0.5"),
    "fix-issue": given(issue="12"),
    "run": given(task="-x --evil"),
    "verify": given(check="pytest", base="main", branch="--evil", minutes="1"),
    "plan": given(check="pytest", executor="embedded", budget_usd="1"),
    "work": given(task="001"),
    "collect": given(branch="b"),
}


@pytest.mark.parametrize("mode", FULL)
@pytest.mark.parametrize("free", [True, False])
def test_the_command_takes_what_the_mode_gives_it(mode: str, free: bool, tmp_path: Path) -> None:
    import click

    order = modes.order(read({**FULL[mode], **given(mode=mode)}), tmp_path, tmp_path / "run", free=free)
    name, *rest = order.arguments
    assert name == mode
    command = command_line.get_command(click.Context(command_line), mode)
    assert command is not None
    command.make_context(mode, list(rest))  # raises where an option is unknown or a value is taken for one
    repairs = mode in modes.EXECUTORS - {"work"}
    assert ("--executor=embedded" in rest) == ((free and repairs) or "embedded" in FULL[mode].values())


@pytest.mark.parametrize(
    ("mode", "name"),
    [("verify", "task"), ("fix-tests", "issue"), ("work", "executor"), ("collect", "base"), ("plan", "parallel")],
)
def test_an_input_that_would_do_nothing_is_refused(mode: str, name: str, tmp_path: Path) -> None:
    inputs = read({**given(mode=mode), variable(name): "1"})
    with pytest.raises(UsageError, match=f"input {name} has no effect in mode {mode}"):
        modes.order(inputs, tmp_path, tmp_path, free=False)


@pytest.mark.parametrize(("mode", "name"), [("run", "task"), ("work", "task")])
def test_what_a_mode_lacks_is_said(mode: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"mode {mode} needs the input {name}"):
        modes.order(read(given(mode=mode)), tmp_path, tmp_path, free=False)
