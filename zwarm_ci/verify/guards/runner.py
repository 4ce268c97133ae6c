"""Source that knows that it is being tested, or ends the process itself, can make a runner say anything."""

from __future__ import annotations

import re
from collections.abc import Iterator

from zwarm_ci.protected import is_protected
from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify.guards.base import Family, Patch

_AWARE = re.compile(
    r"\b(?:import|from)\s+_?pytest\b|\b_?pytest\s*\.|\bPYTEST_\w+|\bsys\s*\.\s*modules\b.*\b_?(?:py|unit)test\b|\bimport\s+unittest\b"
    r"|\bfrom\s+unittest\b|\bZWARM_\w+|\bsys\s*\.\s*(?:_getframe|settrace|setprofile)\b|\binspect\s*\.\s*(?:stack|currentframe)\b"
    r"|process\s*\.\s*env\s*\.\s*(?:JEST|VITEST|NODE_ENV)|\btesting\s*\.\s*Testing\(\)"
)
_ENDS = re.compile(
    r"\bos\s*\.\s*(?:_exit|abort|kill)\b|\batexit\s*\.|\bprocess\s*\.\s*exit(?:Code)?\b|\bsignal\s*\.\s*raise_signal\b"
)


class RunnerAware:
    """Refuses added source lines that ask for the test runner or end the process; a person may add them."""

    name = "runner-aware"
    family: Family = "asking"
    firm = False

    def look(self, patch: Patch) -> Iterator[GuardFinding]:
        for path, line, text in patch.added():
            if is_protected(path, patch.rules.protect):
                continue
            for pattern, what in (
                (_AWARE, "source that looks for the test runner"),
                (_ENDS, "source that ends the process or hooks its exit"),
            ):
                if found := pattern.search(text):
                    yield GuardFinding(
                        self.name, "refuse", path, line, f"{what}: {found.group(0)}", "make this change yourself"
                    )
