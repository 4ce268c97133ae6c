"""Searches texts for regular expressions; a program of its own, which can be ended when one does not end. Standard library only."""

import json
import re
import sys

LONGEST = 80  # characters that are shown of what was found


def main() -> int:
    """Read what is asked from standard input; write what was found, in the same order."""
    found = []
    for one in json.load(sys.stdin):
        match = re.search(one["regex"], one["text"], re.MULTILINE)
        if match:
            found.append({"rule": one["rule"], "where": one["where"], "found": match[0][:LONGEST]})
    json.dump(found, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
