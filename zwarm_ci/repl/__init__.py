"""A prompt over sessions: verbs that stand for command lines, completed and remembered. What they do is the commands' own doing."""

from __future__ import annotations
