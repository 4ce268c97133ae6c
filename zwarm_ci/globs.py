"""Globs of paths, and which files belong to which kind of work.

Imports nothing, since a hook that has nothing to do needs this and no more: `*` and `?` stay inside one name, `[ab]`, `[a-z]` and
`[!a]` are sets, `**` is any number of folders.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in `typing`, whose import would be most of what this takes
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

PYTHON = (
    "**/*.py", "**/*.pyi", "**/*.pyx", "**/*.ipynb", "**/*.toml", "**/*.cfg", "**/*.ini", "**/*requirements*.txt", "**/requirements/**",
    "**/.python-version",
)  # fmt: skip
JAVASCRIPT = (
    "**/*.[jt]s", "**/*.[jt]sx", "**/*.[cm][jt]s", "**/*.vue", "**/*.svelte", "**/*.astro", "**/*.json", "**/*.snap", "**/*lock.y*ml", "**/yarn.lock",
    "**/.*rc", "**/.babelrc*", "**/.eslintrc*",
)  # fmt: skip
GO = ("**/*.go", "**/go.mod", "**/go.sum", "**/go.work", "**/testdata/**")
RUST = ("**/*.rs", "**/Cargo.toml", "**/Cargo.lock", "**/rust-toolchain*", "**/.cargo/**")
#: What tests read beside sources.
TEST_DATA = ("**/tests/**", "**/test/**", "**/__tests__/**", "**/fixtures/**")
_MORE = (
    "**/*.c", "**/*.cc", "**/*.cpp", "**/*.cxx", "**/*.h", "**/*.hh", "**/*.hpp", "**/*.java", "**/*.kt", "**/*.scala", "**/*.swift", "**/*.sh",
    "**/*.proto", "**/*.bzl", "**/*.bazel", "**/BUILD", "**/WORKSPACE", "**/*.rb", "**/*.cs", "**/Makefile", "**/*.mk", "**/*.y*ml",
)  # fmt: skip
#: Every file that a detected check may be about: where none of these is touched, no detected check has to run.
SOURCES = (*PYTHON, *JAVASCRIPT, *GO, *RUST, *TEST_DATA, *_MORE)
EVERYTHING = ("**",)


def matches(path: str, glob: str) -> bool:
    """Whether a path (relative, `/` between its names) is meant by a glob."""
    return _wild(path.split("/"), glob.split("/"), "**", _is_name)


def meant(paths: Iterable[str], globs: Sequence[str]) -> bool:
    """Whether any of the paths is meant by any of the globs."""
    return any(matches(path, glob) for path in paths for glob in globs)


def wrong_with(glob: str) -> str:
    """Why a glob could never mean what its writer thinks; "" = nothing."""
    if "{" in glob:
        return "must not have braces: write one glob for each"
    for name in glob.split("/"):
        if "[" in _tokens(name):
            return "has a [ without its ]"
        if "**" in name and name != "**":
            return "must have ** as a whole folder name, as in **/*.py"
    return ""


def _wild(items: Sequence[str], pattern: Sequence[str], star: str, one: Callable[[str, str], bool]) -> bool:
    """Whether a pattern takes all items: `star` takes any number of them, any other part what `one` says of item and part."""
    at = part = again = 0
    last = -1
    while at < len(items):
        if part < len(pattern) and pattern[part] == star:
            last, again, part = part, at, part + 1
        elif part < len(pattern) and one(items[at], pattern[part]):
            at, part = at + 1, part + 1
        elif last >= 0:
            again += 1
            at, part = again, last + 1
        else:
            return False
    return all(left == star for left in pattern[part:])


def _is_name(name: str, glob: str) -> bool:
    return name == glob or _wild(name, _tokens(glob), "*", _is_character)


def _tokens(glob: str) -> list[str]:
    """Characters, and sets as they are written."""
    found, at = [], 0
    while at < len(glob):
        end = glob.find("]", at + 2) if glob[at] == "[" else -1
        end = end + 1 if end >= 0 else at + 1
        found.append(glob[at:end])
        at = end
    return found


def _is_character(char: str, token: str) -> bool:
    if len(token) == 1:
        return token in {"?", char}
    inner = token[1:-1]
    negated = inner[0] in "!^"
    return _is_in(char, inner[1:] if negated else inner) != negated


def _is_in(char: str, members: str) -> bool:
    at = 0
    while at < len(members):
        if members[at + 1 : at + 2] == "-" and at + 2 < len(members):
            if members[at] <= char <= members[at + 2]:
                return True
            at += 3
        elif members[at] == char:
            return True
        else:
            at += 1
    return False
