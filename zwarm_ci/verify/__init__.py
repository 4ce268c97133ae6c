"""Verification: guards, runs in clean worktrees, one judge. Never sees an executor; no model has a word in it."""
