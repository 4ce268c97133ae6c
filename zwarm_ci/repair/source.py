"""A Python file under edit: bytes, tree and positions, so that an edit changes its own characters and nothing else."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field

_LINE_END = re.compile(rb"\r\n|\r|\n")
NEAR = 8  # lines; a name further away is seldom the one that was meant
#: What a template yields: level, the node that changes, and the bytes with the text in their place.
Raw = tuple[int, ast.AST, int, int, str]
_LOOSE = (
    ast.BinOp,
    ast.BoolOp,
    ast.Compare,
    ast.UnaryOp,
    ast.IfExp,
    ast.Lambda,
    ast.NamedExpr,
    ast.Await,
    ast.Tuple,
    ast.Yield,
)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Edit:
    """`text` in place of the bytes `start`..`end` of `path`.

    Attributes:
        line: the line that it changes.
        function: (first line, name) of the function whose body it changes, as the compiled code names it; None = module or class level.
    """

    path: str
    start: int
    end: int
    text: str
    line: int
    function: tuple[int, str] | None = None

    def applied(self, content: bytes) -> bytes:
        """`content` with the edit made."""
        return content[: self.start] + self.text.encode() + content[self.end :]


@dataclass(slots=True)
class Source:
    """One file, parsed. Make it with `read_source`."""

    path: str
    content: bytes
    tree: ast.Module
    starts: list[int]
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)
    attributes: dict[str, list[ast.Attribute]] = field(default_factory=dict)  # by the text of what they belong to
    strings: list[ast.Constant] = field(default_factory=list)

    def span(self, node: ast.AST) -> tuple[int, int]:
        """The byte positions of a node."""
        line, column, end, end_column = (
            getattr(node, n) for n in ("lineno", "col_offset", "end_lineno", "end_col_offset")
        )
        return self.starts[line - 1] + column, self.starts[end - 1] + end_column

    def text(self, node: ast.AST) -> str:
        """The node as it is written."""
        start, end = self.span(node)
        return self.content[start:end].decode()

    def line(self, node: ast.AST) -> int:
        """Its first line."""
        return int(getattr(node, "lineno", 0))

    def atom(self, node: ast.AST) -> str:
        """The node's text, in parentheses where another operator beside it could tear it apart."""
        text = self.text(node)
        return f"({text})" if isinstance(node, _LOOSE) else text

    def negated(self, test: ast.AST) -> str:
        """The opposite of a condition."""
        return f"not {self.atom(test)}"

    def is_docstring(self, node: ast.Constant) -> bool:
        """Whether a constant is a text that nothing uses."""
        return isinstance(node.value, str) and isinstance(self.parents.get(node), ast.Expr)

    def names_near(self, node: ast.AST) -> list[str]:
        """Names near `node` in its own function, the nearest first; its arguments count as near."""
        scope = self.scope(node)
        found: dict[str, int] = {}
        for other in ast.walk(scope or self.tree):
            if isinstance(other, ast.Name):
                name, away = other.id, abs(other.lineno - self.line(node))
            elif isinstance(other, ast.arg) and scope is not None:
                name, away = other.arg, min(NEAR, abs(other.lineno - self.line(node)))
            else:
                continue
            if away <= NEAR:
                found[name] = min(found.get(name, away), away)
        return sorted(found, key=lambda name: (found[name], name))

    def own_attributes(self, node: ast.AST) -> list[str]:
        """`self.x` for each x that is used within a few lines."""
        near = (a.attr for a in self.attributes.get("self", ()) if abs(a.lineno - self.line(node)) <= NEAR)
        return [f"self.{name}" for name in sorted(set(near))]

    def between(self, left: ast.AST, right: ast.AST) -> tuple[int, bytes]:
        """Where the gap between two nodes begins, and what is in it."""
        start, end = self.span(left)[1], self.span(right)[0]
        return start, self.content[start:end]

    def statement(self, node: ast.AST) -> ast.AST:
        """The innermost statement around a node."""
        while not isinstance(node, ast.stmt) and node in self.parents:
            node = self.parents[node]
        return node

    def scope(self, node: ast.AST) -> Function | None:
        """The innermost function in whose body the node stands."""
        below = node
        while below in self.parents:
            above = self.parents[below]
            if isinstance(above, Function) and below in above.body:
                return above
            below = above
        return None

    def swappable(self, node: ast.AST) -> tuple[int, str] | None:
        """The outermost function in whose body the node stands, as its code object names it."""
        found: tuple[int, str] | None = None
        below = node
        while below in self.parents:
            above = self.parents[below]
            if isinstance(above, Function) and below in above.body:
                first = min([above.lineno, *(d.lineno for d in above.decorator_list)])
                found = (first, above.name)
            below = above
        return found


def read_source(path: str, content: bytes) -> Source | None:
    """`content` parsed; None where our interpreter cannot, or where it is not UTF-8 (columns would not be bytes)."""
    try:
        content.decode("utf-8")
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if content.startswith(b"\xef\xbb\xbf"):
        return None  # the mark moves the first line's columns
    source = Source(path, content, tree, [0, *(m.end() for m in _LINE_END.finditer(content))])
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            source.parents[child] = node
        if isinstance(node, ast.Attribute):
            source.attributes.setdefault(source.text(node.value), []).append(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            source.strings.append(node)
    return source
