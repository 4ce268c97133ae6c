"""A command line in codex's place that does nothing, for as many seconds as its prompt says, with an event each second."""

from __future__ import annotations

import json
import sys
import time


def main() -> None:
    """Say what codex says."""
    seconds = float(sys.stdin.read().split()[0])
    started = time.monotonic()
    say("thread.started", thread_id=f"0199-{time.time_ns():x}")
    say("turn.started")
    number = 0
    while (left := started + seconds - time.monotonic()) > 0:
        time.sleep(min(1.0, left))
        number += 1
        say("item.completed", item={"id": f"item_{number}", "type": "reasoning", "text": f"second {number}"})
    say("item.completed", item={"id": "item_last", "type": "agent_message", "text": "done"})
    names = (
        "input_tokens",
        "cached_input_tokens",
        "cache_write_input_tokens",
        "output_tokens",
        "reasoning_output_tokens",
    )
    say("turn.completed", usage=dict.fromkeys(names, 100))


def say(kind: str, **fields: object) -> None:
    """One event."""
    print(json.dumps({"type": kind, **fields}), flush=True)


if __name__ == "__main__":
    main()
