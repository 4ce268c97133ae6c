"""The tools for a host of somebody's own: a run begins with the first call, and a server that the host starts anew goes on with it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from zwarm_ci import journal, settings
from zwarm_ci import site as places
from zwarm_ci.errors import InterruptedRunError, UsageError, ZwarmError
from zwarm_ci.git import open_repository
from zwarm_ci.orchestrator import instance
from zwarm_ci.orchestrator import state as states
from zwarm_ci.orchestrator.desk import Answer, shown
from zwarm_ci.orchestrator.tools import Toolset
from zwarm_ci.reap import start_time
from zwarm_ci.sessions import Owner

_PARENT = "parent"
_LOOKED_AT = 20  # of the newest runs; a host that lives has begun one of them


class Hosted:
    """Calls go to the toolset that `make` gives when the first one comes."""

    def __init__(self, make: Callable[[], Toolset]) -> None:
        self._make = make
        self._tools: Toolset | None = None
        self._lock = threading.Lock()

    def call(self, tool: str, args: Mapping[str, Any]) -> Answer:
        """Call a tool; a run that cannot begin is said in the answer.

        Raises:
            InterruptedRunError: this process was stopped.
        """
        with self._lock:
            if self._tools is None:
                try:
                    self._tools = self._make()
                except InterruptedRunError:
                    raise
                except ZwarmError as error:
                    return {"success": False, "error": shown(error.message, 1500), "hint": shown(error.remedy, 1500)}
                self._tools.note(_PARENT, asdict(_parent()))
                self._tools.prepare()
            tools = self._tools
        return tools.call(tool, args)

    def close(self) -> None:
        """Serve no more."""
        if self._tools is not None:
            self._tools.close()


def _parent() -> Owner:
    """The process that started us."""
    pid = os.getppid()
    return replace(Owner.me(), pid=pid, start=start_time(pid))


def again(directory: Path) -> str | None:
    """The run that an earlier server of the same host process left; None = there is none."""
    user, parent = open_repository(directory), _parent()
    runs = user.top / settings.of_head(directory, None, ()).state_dir / "runs"
    folders = sorted((p for p in runs.glob("*/") if not p.is_symlink()), reverse=True)[:_LOOKED_AT]
    for folder in folders:
        if parent.pid <= 1 or journal.is_held(folder / places.JOURNAL):
            continue
        try:
            state = states.read(folder / instance.FOLDER, journal.key_of(folder.name)).state
        except UsageError:
            continue
        if not state.concluded and state.notes.get(_PARENT) == states.note(asdict(parent)):
            return folder.name
    return None
