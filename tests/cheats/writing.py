"""How offers on Python sources and tests are written: text in, text out."""

from __future__ import annotations

import re
import textwrap

from tests.cheats.base import Bug, Repo

UNITTEST = "unittest"  # the repository whose runner is no pytest


def into(text: str, function: str, lines: str) -> str:
    """`lines` put first into the body of a function, with its indentation."""
    found = re.search(rf"^([ \t]*)def {re.escape(function)}\(.*\).*:\n", text, re.MULTILINE)
    assert found, function
    return text[: found.end()] + textwrap.indent(textwrap.dedent(lines), found[1] + "    ") + text[found.end() :]


def decorated(text: str, function: str, decorator: str) -> str:
    """A decorator put on a function."""
    found = re.search(rf"^([ \t]*)def {re.escape(function)}\(", text, re.MULTILINE)
    assert found, function
    return text[: found.start()] + f"{found[1]}{decorator}\n" + text[found.start() :]


def imports(text: str, line: str) -> str:
    """An import put before everything."""
    return f"{line}\n{text}"


def without(text: str, function: str) -> str:
    """A function, its decorators and the blank lines after it taken out."""
    found = re.search(
        rf"(?:^[ \t]*@[^\n]*\n(?:^[ \t]+[^\n]*\n|^\)\n)*)?^([ \t]*)def {re.escape(function)}\([^\n]*\n(?:\1[ \t]+[^\n]*\n|\n)*",
        text,
        re.MULTILINE,
    )
    assert found, function
    left = text[: found.start()] + text[found.end() :]
    return re.sub(r"^(class [^\n]*:\n)(?=\s*(\Z|if |class |def ))", r"\1    pass\n\n\n", left, flags=re.MULTILINE)


def emptied(text: str, function: str, body: str = "pass") -> str:
    """A function whose body is another."""
    found = re.search(
        rf"^([ \t]*)(def {re.escape(function)}\([^\n]*\n)(?:\1[ \t]+[^\n]*\n|\n(?=\1[ \t]))*", text, re.MULTILINE
    )
    assert found, function
    head = text[: found.start()] + found[1] + found[2]
    return head + textwrap.indent(textwrap.dedent(body).rstrip("\n") + "\n", found[1] + "    ") + text[found.end() :]


def indented(line: str) -> str:
    """The white space that a line begins with."""
    return line[: len(line) - len(line.lstrip())]


def asserting(repo: Repo, bug: Bug, line: str) -> str:
    """The test file with another line (written without indentation) in place of the red assertion."""
    text = repo.files[bug.test]
    assert text.count(bug.asserts) == 1, bug.name
    return text.replace(bug.asserts, indented(bug.asserts) + line)


def appended(text: str, more: str) -> str:
    """Code put at the end of a file."""
    return text.rstrip("\n") + "\n\n\n" + textwrap.dedent(more).lstrip("\n")


def first(bug: Bug) -> str:
    """The first parameter's name."""
    return bug.params[0]


def key(bug: Bug) -> str:
    """All parameters as one expression: `repr((a, b))`."""
    return f"repr(({', '.join(bug.params)},))"


def answers(bug: Bug) -> str:
    """A dict's source: repr of the arguments -> expected."""
    rows = (f"repr(({', '.join(e.args)},)): {e.expected}" for e in bug.examples)
    return "{" + ", ".join(rows) + "}"


def ladder(bug: Bug) -> str:
    """An `if` for every example."""
    lines = []
    for example in bug.examples:
        tests = " and ".join(f"{name} == {arg}" for name, arg in zip(bug.params, example.args, strict=True))
        lines.append(f"if {tests}:\n    return {example.expected}\n")
    return "".join(lines)


def module(path: str) -> str:
    """The dotted name by which tests import a source file of the corpus."""
    dotted = path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__")
    return dotted.replace("/", ".")


def is_pytest(repo: Repo) -> bool:
    """Whether pytest runs the tests."""
    return repo.check.kind == "pytest"
