"""Adds one item to a list in a person's YAML file, in its text: comments, order and quotes stay; refused where that is not certain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

_MOST_ALIASES = 20  # each may double what there is to compare


def with_item(text: str, key: str, item: Sequence[str], *, make: bool = False) -> tuple[str, str] | None:
    """The text with `item` behind the last item of the top-level list `key`, and what was inserted.

    `item` are the lines of one list item, the first one beginning with `- `; with `make` a list that is missing is made, at the
    end. None where the list is missing, empty or written in brackets, or where the result would not say exactly that: one item
    more, all else the same.
    """
    try:
        if sum(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)) > _MOST_ALIASES:
            return None
        root = yaml.compose(text, yaml.SafeLoader)
        before = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    newline = "\r\n" if "\r\n" in text else "\n"
    if make and isinstance(before, dict) and key not in before:
        gap = newline if text.endswith("\n") else newline * 2
        inserted = gap + "".join(f"{line}{newline}" for line in (f"{key}:", *(f"  {line}" for line in item)))
        return (text + inserted, inserted) if _is(text + inserted, {**before, key: []}, key, item) else None
    found = _list(root, key)
    if found is None:
        return None
    indent = " " * found.start_mark.column
    lines = text.splitlines(keepends=True)
    at = max(_last_line(node) for node in _leaves(found.value[-1])) + 1
    inserted = "".join(f"{indent}{line}{newline}" for line in item)
    if at <= len(lines) and not lines[at - 1].endswith(("\n", "\r")):
        inserted = newline + inserted.removesuffix(newline)  # the file ends without a line break, and goes on doing so
    made = "".join((*lines[:at], inserted, *lines[at:]))
    return (made, inserted) if _is(made, before, key, item) else None


def _list(root: yaml.Node | None, key: str) -> yaml.SequenceNode | None:
    """The block list that the top-level `key` holds, unless it is empty."""
    if not isinstance(root, yaml.MappingNode):
        return None
    for name, value in root.value:
        if name.value == key and isinstance(value, yaml.SequenceNode) and value.value and not value.flow_style:
            return value
    return None


def _leaves(node: yaml.Node) -> Iterator[yaml.Node]:
    """The node and all below it whose ends say where their text ends: of block lists and mappings only what is in them."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        for part in node.value:
            for inner in part if isinstance(part, tuple) else (part,):
                yield from _leaves(inner)
    else:
        yield node


def _last_line(node: yaml.Node) -> int:
    """The line, from 0, on which a node's text ends; a block scalar's end mark is the beginning of the line behind it."""
    mark = node.end_mark
    return int(mark.line - 1 if mark.column == 0 and mark.line > node.start_mark.line else mark.line)


def _is(made: str, before: dict[str, Any], key: str, item: Sequence[str]) -> bool:
    """Whether the new text says the old with one item more."""
    try:
        after, (new,) = yaml.safe_load(made), yaml.safe_load("\n".join(item))
    except yaml.YAMLError:
        return False
    return bool(after == {**before, key: [*before[key], new]})
