"""The command line: a group whose commands are loaded when they are called, and the one error handler."""

from __future__ import annotations

import errno
import os
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from zwarm_ci.errors import CommandError, InterruptedRunError, ZwarmError
from zwarm_ci.scrub import one_line, plain, redact

#: name -> (module, help of one line), in the order in which `--help` shows them.
_COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "Repair a small broken repository, made for the purpose; needs no key and no network."),
    "fix-tests": ("fix", "Run the tests; repair what fails; hand over verified patches on one branch."),
    "fix-checks": ("fix", "The same for every check: tests, lint, types, build."),
    "verify": ("verify", "Judge any patch, whoever made it: a commit or a patch file."),
    "init": ("init", "Set a repository up: hooks, a workflow, settings; shows what it would write, and asks."),
    "doctor": ("doctor", "What a run has here, what clean worktrees lack, and the settings that supply it."),
    "fix-issue": ("issue", "Turn an issue into a patch with a test that fails without it."),
    "run": ("fix", "Do one task that is said in words; the checks verify it."),
    "session": ("session", "Sessions that run by themselves: start, follow, converse, end."),
    "take": ("take", "Put a run's verified patches into the working tree."),
    "drop": ("take", "Throw a run's branch away."),
    "resume": ("resume", "Go on with a run that was cut off; no finished turn is paid for twice."),
    "status": ("status", "What is running, what can go on, what waits for you."),
    "history": ("status", "What ran."),
    "cost": ("status", "What it cost: by day, by model, by command."),
    "report": ("report", "Show the report of a run again."),
    "models": ("models", "Models, their adapters and dated prices."),
    "config": ("config", "The settings in force and where each came from."),
    "clean": ("clean", "Remove what killed runs left behind, and old runs."),
    "hook": ("hook", "What git calls at a commit, a push, a message, a merge; see `init --hooks`."),
    "plan": ("fanout", "Spread a repair over machines: a list of tasks and a matrix of jobs."),
    "work": ("fanout", "Do one job of a plan."),
    "collect": ("fanout", "Merge what the jobs handed in, verify it together, make one branch."),
    "publish": ("publish", "Push a run's branch and open or update its pull request; needs a write token."),
    "orchestrate": ("orchestrate", "An LLM plans, delegates and verifies; code holds it to that."),
    "pilot": ("pilot", "The same tools, and a person leads: each line is a turn of the LLM."),
    "checkpoint": (
        "checkpoint",
        "How a pilot stood after each turn, and back there: files, verdicts, what is accepted.",
    ),
    "interactive": ("interactive", "A prompt over sessions: start, watch, converse, verify, end them."),
    "mcp": ("mcp", "The orchestrator's tools over MCP, for any host (stdio)."),
}

#: What no list of help names: what programs call, and what the last line of help names.
_HIDDEN = {"action": "action", "completion": "completion"}
#: The third group.
_EXPERIMENTAL = ("orchestrate", "pilot", "checkpoint", "interactive", "mcp")


def names() -> tuple[str, ...]:
    """The commands of this version."""
    return tuple(_COMMANDS)


class Commands(click.Group):
    """Loads a command's module when it is called; `--help` needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        file = _HIDDEN.get(cmd_name) or _COMMANDS.get(cmd_name, ("", ""))[0]
        if not file:
            return None
        from importlib import import_module

        module = import_module(f"zwarm_ci.cli.{file}")
        command = getattr(module, cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        stable = [name for name in _COMMANDS if name not in _EXPERIMENTAL]
        first = stable.index("doctor") + 1
        last = [name for name in _COMMANDS if name in _EXPERIMENTAL]
        titles = ("Commands", "Tasks, sessions, runs", "Experimental (a model or a person leads)")
        for title, group in zip(titles, (stable[:first], stable[first:], last), strict=True):
            if group:
                with formatter.section(title):
                    formatter.write_dl([(name, _COMMANDS[name][1]) for name in group])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not ctx.resilient_parsing and name not in {*_COMMANDS, *_HIDDEN} and not name.startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(name, _COMMANDS, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"No command is called {one_line(name, 40)!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 green or repaired, 1 failures remain, 2 usage or settings, 3 a limit, 4 blocked by the environment, "
    "5 an error of ours, 130/143 interrupted. Completion for bash, zsh and fish: see `zwarm-ci completion --help`.",
)
@click.version_option(None, "-V", "--version", package_name="zwarm-ci", message="zwarm-ci %(version)s")
def main() -> None:
    """Repair red CI, and believe only what was verified in a clean tree.

    Sessions work in git worktrees of a private repository; a patch is handed over when its check is green in a clean worktree of
    exactly that commit, with the tests and settings of the base. Your HEAD, index, stash and files stay as they are.
    """


def run(args: Sequence[str]) -> int:
    """Run one command line and return its exit code; every error ends here, as one line."""
    try:
        result = main.main(list(args), prog_name="zwarm-ci", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        where = f" (see `{error.ctx.command_path} --help`)" if isinstance(error, click.UsageError) and error.ctx else ""
        return _say(f"{error.format_message()}{where}", 2)
    except (click.Abort, KeyboardInterrupt):
        return _say("interrupted", 130)
    except InterruptedRunError as error:
        return _say("interrupted; the repository is as it was", error.code)
    except SystemExit as end:
        if end.code != 1:  # a signal's, see entry.py
            raise
        return 141  # click's 1 for a reader that left would say here that failures remain
    except ZwarmError as error:
        if error.exit_code == 5:
            return _ours(error)
        return _say(error.line, error.exit_code)
    except Exception as error:  # noqa: BLE001 - the one place: anything unforeseen becomes a file and code 5
        return _ours(error)


def _say(text: str, code: int) -> int:
    click.echo(f"zwarm-ci: {one_line(redact(text), 1000)}", err=True)
    return code


def _disk_full(error: BaseException) -> bool:
    """Whether we, or a program of ours, could not write for want of space."""
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    return isinstance(error, CommandError) and b"No space left on device" in error.stderr


def _ours(error: BaseException) -> int:
    """An error of ours: the traceback goes into a file, its path to the person."""
    import tempfile

    if _disk_full(error):
        return _say("no space is left on a disk; free some where the repository or TMPDIR is", 4)
    text = plain(redact("".join(traceback.format_exception(error))))
    handle, name = tempfile.mkstemp(prefix="zwarm-ci-error-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    return _say(
        f"{type(error).__name__}: {one_line(str(error), 300)}; this is a fault of zwarm-ci, its traceback is in {Path(name)}",
        5,
    )
