"""The job's log as GitHub Actions reads it: groups, annotations, masks, and text in which no command of its own is obeyed.

Everything goes to standard output, also what is written to standard error: of two streams, nobody knows which line comes first.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

from zwarm_ci.errors import UsageError
from zwarm_ci.reports import annotations as noted
from zwarm_ci.reports.annotations import command
from zwarm_ci.scrub import one_line, redact, redactor
from zwarm_ci.verdict import Outcome

SUMMARY_LIMIT = 900_000  # bytes; of more than 1 MiB GitHub shows nothing at all


def one_stream() -> None:
    """From now on standard error goes where standard output goes, in one order."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(sys.stdout.fileno(), sys.stderr.fileno())


def say(word: str, text: str = "", **properties: str) -> None:
    """One workflow command."""
    sys.stdout.write(command(word, redact(text), **properties) + "\n")
    sys.stdout.flush()


def tell(text: str) -> None:
    """One line that is only text."""
    sys.stdout.write(f"zwarm-ci: {one_line(redact(text), 1000)}\n")
    sys.stdout.flush()


def mask(secret: str) -> None:
    """Have the runner hide a secret in all that is printed from now on."""
    sys.stdout.write(command("add-mask", secret) + "\n")
    sys.stdout.flush()


def annotate(outcome: Outcome) -> None:
    """What failed and what asks for review, at its lines."""
    sys.stdout.write(noted.render(outcome))
    sys.stdout.flush()


@contextlib.contextmanager
def quoted(title: str) -> Iterator[None]:
    """A group in which workflow commands are text, whoever prints them. The word that ends it is a secret of ours."""
    word = secrets.token_hex(16)
    say("group", title)
    say("stop-commands", word)
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stdout.write("\n")  # what was printed last may have no line break
        say(word)
        say("endgroup")


def write_outputs(outputs: dict[str, str]) -> None:
    """The step's outputs, one after the other, none of them able to be another.

    Raises:
        UsageError: we are not called by a workflow's step.
    """
    hide = redactor()
    text = ""
    for name, value in outputs.items():
        word = f"zwarm-{secrets.token_hex(16)}"
        text += f"{name}<<{word}\n{hide(value)}\n{word}\n"
    _append("GITHUB_OUTPUT", text)


def write_summary(text: str) -> None:
    """The step's summary, cut where GitHub would drop it whole.

    Raises:
        UsageError: as `write_outputs`.
    """
    data = text.encode("utf-8", "replace")
    if len(data) > SUMMARY_LIMIT:
        text = data[:SUMMARY_LIMIT].decode("utf-8", "ignore").rpartition("\n")[0] + "\n\n… cut: see the artifact.\n"
    _append("GITHUB_STEP_SUMMARY", text)


def _append(variable: str, text: str) -> None:
    name = os.environ.get(variable)
    if not name:
        raise UsageError(f"{variable} is not set", remedy="`action` is what action.yml calls; use another command")
    with Path(name).open("a", encoding="utf-8") as file:
        file.write(text)
