"""The Action, top to bottom: inputs → event → decision → [begin anew without any token] → the command → outputs, annotations, summary.

`begin` has the token and runs nothing of the repository. `act` runs it and has no token. `publish` has the token and runs nothing of it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from zwarm_ci.action import allowance, clis, deciding, fetching, log, modes, summary, tokens
from zwarm_ci.action.deciding import Case
from zwarm_ci.action.inputs import Inputs, forget, read
from zwarm_ci.errors import UsageError, ZwarmError
from zwarm_ci.files import write_atomic
from zwarm_ci.git import open_repository
from zwarm_ci.github.trust import Decision
from zwarm_ci.scrub import one_line, plain
from zwarm_ci.verdict import Outcome

#: The command line, called with arguments; raises what a command raises.
Run = Callable[[Sequence[str]], int]
_MATRIX_LIMIT = 1_000_000  # characters of a job's outputs, all together
_SAME_JOB = (
    "publish: pr in the job that ran agents: this job's token can write, and what ran here could have changed later steps; "
    "publish in a job of its own (examples/github/two-jobs.yml)"
)


def begin(run: Run, commands: Sequence[str]) -> int:
    """The first half, with the token: decide. It ends in `publish`, in nothing at all, or by becoming the second half.

    Raises:
        UsageError: an input or the event will not do.
    """
    log.one_stream()
    with _said():
        inputs = read(os.environ)
        if inputs.token:
            log.mask(inputs.token)
        modes.known(inputs.mode, commands)
        modes.order(inputs, Path(), Path(), free=False, argument="-")  # what it lacks is said before anybody is asked
        case = deciding.decide(inputs, os.environ)
        log.tell(case.decision.why)
        if case.decision.go in {"nothing", "stop"}:
            return _nothing(case.decision)
        if inputs.mode == "publish":
            return publish(run, inputs, case)
        return _without_token(inputs, case)


def _without_token(inputs: Inputs, case: Case) -> NoReturn:
    """Become the second half: the decision and what was fetched go along, the token does not."""
    fetched = fetching.fetch(inputs, case, os.environ)
    asked = case.trigger.argument if case.trigger and case.trigger.command == "fix" else ""
    said = (case.decision.why, deciding.behind(case, inputs.directory), *fetched.said)
    arguments = [
        f"--decided={case.decision.go}",
        *(f"--said={plain(line)}" for line in said if line),
        f"--asked={plain(asked)}",
        f"--spoken-for={fetched.spoken_for}",
    ]
    tokens.begin_anew(["action", *arguments], {**tokens.without(os.environ, inputs.token), **fetched.variables})


def act(run: Run, *, free: bool, said: tuple[str, ...], asked: str, spoken_for: str) -> int:
    """The second half, without any token: the mode's command, and what is said of it.

    Raises:
        ZwarmError: as the command.
    """
    log.one_stream()
    with _said():
        inputs = read(os.environ)
        forget(os.environ)
        shared = _shared(inputs)
        folder = Path(tempfile.mkdtemp(prefix=f"{inputs.mode}-", dir=shared))
        order = modes.order(inputs, shared, folder, free=free, argument=asked)
        if inputs.mode in modes.EXECUTORS:
            refused = tokens.left_in_git(Path(inputs.directory))
            clis.prepare(dict(inputs.cli_versions), refused, allowance.read(spoken_for))
        with log.quoted(f"zwarm-ci {inputs.mode}"):
            code = run(order.arguments)
        said = (*said, "only rungs that cost nothing, and no pull request: the code is a fork's") if free else said
        if inputs.mode in modes.RUNS:
            _of_run(inputs, order.folder, said, free=free)
        else:
            _of_files(inputs, order.folder, said, code)
    return code


def publish(run: Run, inputs: Inputs, case: Case) -> int:
    """With the token, and with nothing of the repository run: the bundle's branch and its pull request.

    Raises:
        ZwarmError: as the command.
    """
    folder = _bundle(_shared(inputs))
    base = inputs.base or deciding.target(case)
    draft = {True: ["--draft"], False: ["--no-draft"], None: []}[inputs.draft]
    os.environ["ZWARM_CI_TOKEN"] = inputs.token
    forget(os.environ)
    asking = case.trigger.number if case.trigger and case.trigger.event in {"issues", "issue_comment"} else 0
    arguments = [
        "publish", "--json", f"--repo={os.environ.get('GITHUB_REPOSITORY', '')}", *([f"--base={base}"] if base else []), *draft,
        *(f"--label={label}" for label in inputs.labels), *([f"--comment={asking}"] if asking else []), "--", str(folder),
    ]  # fmt: skip
    with log.quoted("zwarm-ci publish"):
        code, document = _json(run, arguments)
    url = str((document.get("pull") or {}).get("url") or "")
    action = str(document.get("action", ""))
    log.write_outputs(
        {
            "status": action,
            "pr-url": url,
            "branch": str(document.get("branch") or ""),
            "commit": str(document.get("head") or ""),
        }
    )
    said = (case.decision.why, f"{action}: {document.get('reason') or url}", *map(str, document.get("notes") or ()))
    log.write_summary(summary.heading(said) + (f"<{url}>\n" if re.fullmatch(r"https?://[\w./:-]+", url) else ""))
    return code


def _json(run: Run, arguments: Sequence[str]) -> tuple[int, dict[str, Any]]:
    """A command's exit code and the JSON document that it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = run(arguments)
    found = json.loads(printed.getvalue() or "{}")
    return code, found if isinstance(found, dict) else {}


@contextlib.contextmanager
def _said() -> Iterator[None]:
    """What ends the step also stands in its summary, its outputs and at the head of the job."""
    try:
        yield
    except ZwarmError as error:
        if os.environ.get("GITHUB_OUTPUT") and os.environ.get("GITHUB_STEP_SUMMARY"):
            log.say("error", one_line(error.line, 1000), title="zwarm-ci")
            log.write_outputs({"status": error.slug})
            log.write_summary(summary.heading((error.line,)))
        raise


def _nothing(decision: Decision) -> int:
    log.write_outputs({"status": decision.go})
    log.write_summary(summary.heading((f"Nothing was run: {decision.why}",)))
    return 0


def _shared(inputs: Inputs) -> Path:
    """The folder of `reports`, made where it is missing. Outside of the checkout by default: what is new there would be repaired too.

    Raises:
        UsageError: it cannot be made.
    """
    folder = (
        Path(inputs.reports)
        if inputs.reports
        else Path(os.environ.get("RUNNER_TEMP") or tempfile.gettempdir(), "zwarm-ci")
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"input reports: {folder} cannot be made: {error.strerror}", remedy="name another folder"
        ) from error
    return folder.resolve()


def _bundle(folder: Path) -> Path:
    """The one finished run in a folder, or in a folder of it, as download-artifact leaves it.

    Raises:
        UsageError: there is none, or there are several.
    """
    found = sorted({file.parent for pattern in ("outcome.json", "*/outcome.json") for file in folder.glob(pattern)})
    if len(found) != 1:
        what = "several bundles" if found else "no bundle"
        raise UsageError(
            f"there {'are' if found else 'is'} {what} in {folder}",
            remedy="give `reports:` the downloaded artifact's folder",
        )
    return found[0]


def _of_run(inputs: Inputs, folder: Path, said: tuple[str, ...], *, free: bool) -> None:
    """Outputs, annotations and summary of a mode that made a run."""
    outcome = summary.record(folder)
    if outcome is None:
        raise UsageError(f"mode {inputs.mode} left no outcome.json", remedy="see the log")
    if outcome.branch and outcome.head:
        _write_patch(inputs, outcome, folder)
    artifact = f"zwarm-ci-{outcome.run}" if outcome.tasks and inputs.publish != "none" else ""
    wants_pull = inputs.publish == "pr" and bool(outcome.branch) and not free
    if wants_pull:
        log.say("warning", _SAME_JOB, title="zwarm-ci")
    for note in outcome.notes:
        if "git has a credential" in note:
            log.say("warning", note, title="zwarm-ci")
    log.annotate(outcome)
    log.write_outputs({**summary.outputs(outcome, folder, artifact), "pr": str(wants_pull).lower()})
    log.write_summary(summary.text(outcome, folder, artifact, said))


def _write_patch(inputs: Inputs, outcome: Outcome, folder: Path) -> None:
    """All commits of the branch as mail, which `git am` takes on any commit that they fit."""
    git = open_repository(Path(inputs.directory)).git
    options = (
        "--stdout",
        "--binary",
        "--full-index",
        "--no-renames",
        "--no-signature",
        "--no-ext-diff",
        "--no-textconv",
        "--no-color",
    )
    mail = git.run("format-patch", *options, f"{outcome.base}..{outcome.head}").stdout
    write_atomic(folder / summary.PATCH, mail)


def _of_files(inputs: Inputs, folder: Path, said: tuple[str, ...], code: int) -> None:
    """Outputs and summary of `plan` and `work`, which leave files for other jobs; `code` is how the command ended."""
    name = "plan" if inputs.mode == "plan" else f"work-{inputs.task}"
    outputs = {"status": "done", "folder": str(folder), "artifact": f"zwarm-ci-{name}"}
    if inputs.mode == "plan":
        matrix = json.loads((folder / "matrix.json").read_text(encoding="utf-8"))
        outputs |= {
            "matrix": json.dumps(matrix, separators=(",", ":")),
            "status": "planned" if matrix["include"] else "not_fixed" if code else "green",
        }
        if len(outputs["matrix"]) > _MATRIX_LIMIT:
            raise UsageError("the matrix is larger than a job's outputs may be", remedy="plan fewer jobs")
        said = (*said, f"{len(matrix['include'])} jobs are planned")
    log.write_outputs(outputs)
    log.write_summary(summary.heading(said))
