"""Sessions on disk: `.zwarm/sessions/ID/{meta.json, turns/turn_N.jsonl, events.jsonl}`; one store for all executors.

turn_N.jsonl holds the executor's own events, untouched: the ground truth. meta.json is written whole or not at all.
"""

from __future__ import annotations

from zwarm_ci.sessions.meta import LIVE, NEXT, SCHEMA, STATES, WORDS, Meta, Owner, State, Word, as_dict, from_json
from zwarm_ci.sessions.store import Damaged, Store

__all__ = [
    "LIVE", "NEXT", "SCHEMA", "STATES", "WORDS", "Damaged", "Meta", "Owner", "State", "Store", "Word", "as_dict", "from_json",
]  # fmt: skip
