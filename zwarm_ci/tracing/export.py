"""Whether a run is traced and where to: the process environment alone says so; a repository can only name a project of Weave's."""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import re
import signal
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import quote, unquote

from zwarm_ci import journal, proc
from zwarm_ci.environment import given
from zwarm_ci.errors import ZwarmError
from zwarm_ci.reports.write import write_all
from zwarm_ci.scrub import ALLOWED_ENV, conceal_values, decode, one_line, redact
from zwarm_ci.site import JOURNAL
from zwarm_ci.tracing.sending import SECONDS
from zwarm_ci.tracing.spans import Turn, spans
from zwarm_ci.verdict import Outcome

#: Seconds that a process which sends may live. It gives up by itself long before, but on a machine that takes so long to start it.
_LIFE = 4 * SECONDS
_OTLP, _TRACES = "OTEL_EXPORTER_OTLP", "OTEL_EXPORTER_OTLP_TRACES"
_PROTOCOL = "http/protobuf"
#: How a receiver is reached, in both spellings that are in use; certificates are on `scrub`'s list.
_PROXIES = {spelled(f"{kind}_PROXY") for kind in ("HTTP", "HTTPS", "ALL", "NO") for spelled in (str.upper, str.lower)}
#: Weave's own variables and defaults: https://docs.wandb.ai/weave/guides/tracking/otel
_WEAVE_KEY, _WEAVE_SERVER, _WEAVE_HOST = "WANDB_API_KEY", "WF_TRACE_SERVER_URL", "WANDB_BASE_URL"
_WEAVE_CLOUD, _WEAVE_PATH = {"", "https://api.wandb.ai"}, "/otel/v1/traces"


@dataclass(frozen=True, slots=True)
class Destination:
    """A receiver as a note names it, all of the environment of the process that sends to it, and what of that is a secret."""

    name: str
    env: Mapping[str, str]
    secrets: tuple[str, ...]


def exported(outcome: Outcome, folder: Path, project: str) -> Outcome:
    """Send the run's trace where that is on; the outcome, with a note on each destination that has it not.

    Called when the run has come to its end and its record is on disk. `folder` is the run's; with a note the reports in it are
    written again. `project`: of Weave's, TEAM/NAME; "" = none.
    """
    known, notes = destinations(given(), project)
    if known:
        data = json.dumps([asdict(s) for s in spans(outcome, _turns(folder), time.time())]).encode()
        send = functools.partial(_sent, data, folder, bool(proc.STOP.signum))
        with ThreadPoolExecutor(len(known)) as pool:
            notes += [note for note in pool.map(send, known) if note]
    if not notes:
        return outcome
    outcome = replace(outcome, notes=(*outcome.notes, *notes))
    with contextlib.suppress(OSError):  # the record is there already, and lacks no more than this note
        write_all(outcome, folder)
    return outcome


def destinations(environ: Mapping[str, str], project: str) -> tuple[list[Destination], list[str]]:
    """Where a trace goes, and a note for what was asked for and is not possible."""
    off = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    known: list[Destination] = []
    notes: list[str] = []
    if not off and environ.get("OTEL_TRACES_EXPORTER") != "none":
        _collector(environ, known, notes)
    if project and off:
        notes.append("weave.project has no effect: OTEL_SDK_DISABLED is true")
    elif project and not environ.get(_WEAVE_KEY):
        notes.append(f"weave.project has no effect: {_WEAVE_KEY} is not set")
    elif project:
        known.append(_weave(environ, project))
    return known, notes


def _collector(environ: Mapping[str, str], known: list[Destination], notes: list[str]) -> None:
    if not (environ.get(f"{_OTLP}_ENDPOINT") or environ.get(f"{_TRACES}_ENDPOINT")):
        return
    protocol = environ.get(f"{_TRACES}_PROTOCOL") or environ.get(f"{_OTLP}_PROTOCOL") or _PROTOCOL
    if protocol != _PROTOCOL:
        notes.append(
            f"trace not sent: {_OTLP}_PROTOCOL is {one_line(redact(protocol), 40)}, only {_PROTOCOL} is spoken"
        )
        return
    own = {name: value for name, value in environ.items() if name.startswith("OTEL_")}
    headers = f"{own.get(f'{_OTLP}_HEADERS', '')},{own.get(f'{_TRACES}_HEADERS', '')}".split(",")
    secrets = tuple(word for pair in headers for word in unquote(pair.partition("=")[2]).split())
    known.append(Destination("the OpenTelemetry endpoint", {**_usual(environ), **own}, secrets))


def _weave(environ: Mapping[str, str], project: str) -> Destination:
    """Weave is told nothing that is meant for another receiver: of OpenTelemetry's variables just what names this service."""
    login = base64.b64encode(f"api:{environ[_WEAVE_KEY]}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "project_id": project}
    team, _, name = project.partition("/")
    resource = _pairs({"wandb.entity": team, "wandb.project": name})
    host = environ.get(_WEAVE_HOST, "").rstrip("/")
    server = environ.get(_WEAVE_SERVER, "") or ("https://trace.wandb.ai" if host in _WEAVE_CLOUD else f"{host}/traces")
    own = {
        f"{_TRACES}_ENDPOINT": server.rstrip("/") + _WEAVE_PATH,
        f"{_TRACES}_HEADERS": _pairs(headers),
        "OTEL_RESOURCE_ATTRIBUTES": ",".join(filter(None, (environ.get("OTEL_RESOURCE_ATTRIBUTES"), resource))),
        **{n: environ[n] for n in ("OTEL_SERVICE_NAME",) if n in environ},
    }
    return Destination("Weave", {**_usual(environ), **own}, (login,))


def _pairs(values: Mapping[str, str]) -> str:
    """Names and values as OpenTelemetry's variables hold several of them."""
    return ",".join(f"{name}={quote(value, safe='')}" for name, value in values.items())


def _usual(environ: Mapping[str, str]) -> dict[str, str]:
    """What every child gets, and proxies; of `environ` alone, which no repository has added to."""
    return {name: value for name, value in environ.items() if name in ALLOWED_ENV | _PROXIES}


def _sent(data: bytes, folder: Path, stopped: bool, to: Destination) -> str:
    """Send spans; why they were not taken, "" = they were. Of a run that was `stopped` the trace is sent all the same."""
    conceal_values(to.secrets)
    argv = [sys.executable, "-P", "-m", "zwarm_ci.tracing.sending"]
    try:
        with proc.finishing() if stopped else contextlib.nullcontext():
            done = proc.run(argv, cwd=folder, env=to.env, timeout=_LIFE, stdin=data)
    except ZwarmError as error:
        return f"trace not sent to {to.name}: {error.line}"
    if done.ok:
        return ""
    why = _why(decode(done.stderr), late=done.code == -signal.SIGALRM)
    return f"trace not sent to {to.name}: {f'it took more than {_LIFE:g} seconds' if done.timed_out else why}"


def _why(said: str, *, late: bool) -> str:
    """The reason in what the exporter said: of its own words, those that name a cause. `late`: it was cut off."""
    status = re.search(r"code: (\d{3}), reason: (.*)", said)
    cause = re.search(r"\[Errno -?\d+\] ([^'\")\n]+)", said) or re.search(
        r"Transient error (.*) encountered while", said
    )
    if status:
        why = f"HTTP {status[1]} {status[2]}"
    elif "timed out" in said or (late and not cause):
        why = f"no answer within {SECONDS:g} seconds"
    else:
        why = cause[1] if cause else said.strip().rpartition("\n")[2]
    return one_line(redact(why), 200)


def _turns(folder: Path) -> dict[Turn, float]:
    """When each turn began, as far as the run's journal says so."""
    found: dict[Turn, float] = {}
    for record in journal.read(folder / JOURNAL):
        session, turn, at = record.get("session"), record.get("turn"), record.get("at")
        if (
            record["kind"] == "turn_started"
            and isinstance(session, str)
            and isinstance(turn, int)
            and isinstance(at, float)
        ):
            found[session, turn] = at
    return found
