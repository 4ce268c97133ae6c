"""Repair without a model: the tools' own fixers, regressions undone, single edits tried. It proposes; others judge."""
