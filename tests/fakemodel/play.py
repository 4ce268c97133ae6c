"""Where every conversation stands in its script. One `Play` a server, shared by its connections."""

from __future__ import annotations

import os
import threading

from tests.fakemodel.log import Log
from tests.fakemodel.scenario import Fault, Reply, Scenario, Script


class Play:
    """The scenario as it goes on. `closer` is readable once the server closes."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.log = Log()
        self.closer, self._close = os.pipe()
        self._lock = threading.Lock()
        self._scripts: dict[str, Script] = {}
        self._at: dict[str, int] = {}
        self._faults: dict[tuple[str, int], int] = {}

    def pick(self, conversation: str, text: str) -> tuple[Script, int, Reply, Fault | None]:
        """The reply to a conversation's next call, and the fault that comes instead of it."""
        with self._lock:
            script = self._scripts.setdefault(conversation, self.scenario.script_for(text))
            number = self._at.get(conversation, 0)
            reply = script.at(number) or self.scenario.after_end
            used = self._faults.get((conversation, number), 0)
            if reply.fault is not None and (reply.times < 0 or used < reply.times):
                self._faults[conversation, number] = used + 1
                return script, number, reply, reply.fault
            self._at[conversation] = number + 1
            return script, number, reply, None

    def close(self) -> None:
        """End every wait."""
        os.close(self._close)
