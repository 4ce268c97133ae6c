"""What is running, what ran, what it cost, and what of it can go: read from journals, sessions and the day's ledger, changing none."""

from __future__ import annotations
