"""What any executor must do that works with sessions of a command line: every contract by its name, played on a stage.

A contract states its own conditions in both worlds: with the real program and the scripted server (`stage.live`), where what
the model got is looked at too, and against what was recorded there.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.conformance.sessions_ends import ENDS, OWN_PROGRAM
from tests.conformance.sessions_talk import TALK
from tests.conformance.sessions_walls import WALLS
from tests.conformance.stage import Stage

Contract = Callable[[Stage], None]
CONTRACTS: dict[str, Contract] = {contract.__name__: contract for contract in (*TALK, *ENDS, *WALLS)}
#: Fewer than so many, and the suite is not what was agreed on.
FEWEST = 25

__all__ = ["CONTRACTS", "FEWEST", "OWN_PROGRAM", "Contract"]
