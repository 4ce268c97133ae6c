"""Comments and attributes that tell a linter, a type checker or a coverage tool to look away."""

from __future__ import annotations

import io
import re
import tokenize as python_tokens
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from zwarm_ci.verdict import GuardFinding
from zwarm_ci.verify.guards import typeless
from zwarm_ci.verify.guards.base import Family, Patch
from zwarm_ci.verify.guards.linted import kinds
from zwarm_ci.verify.guards.unseen import unseen
from zwarm_ci.verify.reading.tokens import Language, tokenize

#: (tool, pattern with the rules it names). A group `wide` says that it holds for the whole file.
_COMMENTS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (tool, re.compile(pattern, re.IGNORECASE))
    for tool, pattern in (
        ("noqa", r"#\s*(?P<wide>(?:ruff|flake8)\s*[:=]\s*)?noqa\b(?:\s*:\s*(?P<rules>[A-Z]+[0-9]+(?:[,\s]+[A-Z]+[0-9]+)*))?"),
        ("type: ignore", r"#\s*type:\s*ignore\b(?:\[(?P<rules>[^\]]*)\])?"),
        ("mypy", (r"#\s*(?P<wide>mypy:)\s*(?P<rules>[^#\n]*?(?<![\w-])(?:ignore[-_]|disable[-_]error|allow[-_]|no[-_](?!implicit)|implicit[-_]"
         r"|follow[-_]imports|platform|python[-_]version|always[-_]|[\w-]+\s*=\s*(?:false|no|off|0)\b)[^#\n]*)")),
        ("pyright", r"#\s*pyright:\s*(?:ignore\b(?:\[(?P<rules>[^\]]*)\])?|(?P<wide>basic\b|report\w+\s*=\s*(?:false|none)))"),
        ("no cover", r"#\s*pragma:?\s*no\s*(?P<rules>cover|branch|mutate)"),
        ("pylint", r"#\s*pylint:\s*(?P<wide>skip-file|disable-all)|#\s*pylint:\s*disable(?:-next|-msg)?\s*=\s*(?P<rules>[\w\-, ]+)"),
        ("nosec", r"#\s*nosec\b(?:[:\s]+(?P<rules>B\d+(?:[,\s]+B\d+)*))?"),
        ("pyre", r"#\s*pyre-(?:ignore|fixme)(?P<wide>-all-errors)?(?:\[(?P<rules>[^\]]*)\])?"),
        ("lint-ignore", r"#\s*(?:lint-ignore|lint-fixme|pytype:\s*(?P<wide>skip-file)|pytype:\s*disable)\s*[=:]?\s*(?P<rules>[\w\-]+)?"),
        ("shellcheck", r"#\s*shellcheck\s+(?:\w[\w-]*=\S+\s+)*(?:disable=(?P<rules>\S+)|source=(?P<what>/dev/null))"),
        ("rubocop", r"#\s*rubocop:(?:disable|todo)\s+(?P<rules>\S+)"),
        ("eslint", r"(?://|/\*)\s*(?:eslint|oxlint|tslint:)-?disable-?(?:next-line|line|-next-line|-line)\b[:\s]*(?P<rules>[@\w/\-]+(?:\s*,\s*[@\w/\-]+)*)?"),
        ("eslint", r"/\*\s*(?P<wide>(?:eslint|oxlint)-disable)\b(?!-)\s*(?P<rules>[@\w/\-]+(?:\s*,\s*[@\w/\-]+)*)?"),
        ("eslint", (r"/\*\s*(?P<wide>eslint)\s+(?P<rules>[@\w/\-\"']+\s*:\s*[\[\"']*(?:0|off)\b)|//\s*(?P<wide2>tslint:disable)\b(?!-)"
         r"|/\*\s*(?P<wide3>tslint:disable)\b")),
        ("typescript", r"(?://|/\*)\s*@ts-(?:(?P<wide>nocheck)|(?P<rules>expect-error)|ignore)\b"),
        ("biome", r"(?://|/\*)\s*(?:biome-ignore(?P<wide>-all)?|rome-ignore)\s*(?P<rules>[\w/]+)?"),
        ("deno", r"//\s*deno-lint-ignore(?P<wide>-file)?\s*(?P<rules>[\w\-]+)?"),
        ("coverage", (r"(?://|/\*)\s*(?:istanbul|c8|v8|node:coverage|coverage)\s+ignore\s+(?P<rules>next|if|else|start)"
         r"|(?://|/\*)\s*(?:istanbul|c8|v8)\s+ignore\s+(?P<wide>file)|(?://|/\*)\s*node:coverage\s+(?P<wide2>disable)")),
        ("flow", r"(?://|/\*)\s*\$Flow(?:FixMe|Ignore|Issue)(?:\[(?P<rules>[^\]]*)\])?"),
        ("nolint", r"//\s*nolint\b(?::(?P<rules>[\w,\-]+))?"),
        ("staticcheck", r"//\s*lint:(?:ignore|(?P<wide>file-ignore))\s+(?P<rules>\S+)"),
        ("gosec", r"//\s*#\s*nosec\b\s*(?P<rules>G\d+)?"),
        ("clang", r"//\s*NOLINT(?:NEXTLINE|BEGIN)?\b(?:\((?P<rules>[^)]*)\))?"),
        ("stylelint", r"/\*\s*stylelint-disable(?:-(?:next-)?line)?\s*(?P<rules>[\w\-/, ]+?)?\s*\*/"),
    )
)  # fmt: skip
#: Tools for prose, data and other languages speak alike, in the comments of whatever they read.
_OTHERS = re.compile(
    r"(?:#|//|<!--|--|\{#|/\*|%|;|^\.\.)\s*(?P<tool>markdownlint|yamllint|hadolint|tflint|checkov|tfsec|trivy|djlint|vale|cspell|codespell|spellchecker|typos"
    r"|sqlfluff|htmlhint|html-validate|kics|ansible-lint|zizmor|proselint|textlint|rstcheck|alex|dprint|ktlint|detekt|swiftlint|phpcs|phpstan|psalm|phan|credo"
    r"|scalafix|scalastyle|checkstyle|luacheck|selene|stylua|editorconfig-checker|lint|remark-lint|noinspection|pyrefly|ty|lychee|gitleaks|semgrep)"
    r"\b[:\-\s]*(?P<rules>(?:disable|ignore|skip|off|bypass|allow)[\w\- :=.\[\],/]*|[\w.\-]+\s*=\s*no)"
    r"|(?:#|//|<!--|--|/\*)\s*(?:nosemgrep|NOSONAR|pragma:\s*allowlist)\b|^\s*@(?:Suppress\w*|SuppressWarnings)\(",
    re.IGNORECASE,
)
_RUST = re.compile(
    r"#(?P<wide>!)?\[(?:cfg_attr\([^\[\]]*?,)?(?P<what>allow|expect)\((?P<rules>[^)]*)\)"
    r"|#(?P<wide2>!)?\[(?P<skip>rustfmt::skip|coverage\(off\)|no_coverage)"
)
_DECORATOR = re.compile(
    r"^\s*(?:@(?:\w+\.)*|\w+\s*=\s*(?:\w+\.)*|(?:from\s+[\w.]+\s+import\s+[\w ,(]*)?(?=\w+\s+as\b))no_type_check(?:_decorator)?\b"
)
_BLANKET = frozenset({"warnings", "clippy::all", "unused", "all", "clippy::pedantic", "clippy::correctness"})
_SCRIPTS: dict[str, Language] = {
    **dict.fromkeys((".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts"), "javascript"),
    ".go": "go",
    ".rs": "rust",
}
_A_REASON = 8  # letters
_ALLOW = "repair what the check says, or add it yourself"
_SAYS = {
    "types": "leaves less to the type checker",
    "lint": "a use of a name that does nothing",
    "left": "leaves code out of a check",
}
_PLAIN = frozenset(".sh .bash .rb .c .cc .cpp .h .hpp .vue .svelte .css .scss .less .yml .yaml .pyx .pxd".split())
_READ = (
    _PLAIN
    | {""}
    | frozenset(
        ".md .mdx .rst .txt .adoc .tex .html .htm .jinja .j2 .sql .tf .hcl .kt .kts .java .swift .php .scala .lua .ex .exs .toml .ini".split()
    )
)


@dataclass(frozen=True, slots=True)
class Suppression:
    """One request to look away. `rules` empty = from everything; `wide` = in the whole file."""

    tool: str
    rules: frozenset[str]
    wide: bool
    text: str
    first: int
    last: int

    @property
    def blanket(self) -> bool:
        """Whether it names nothing that it is about, or is about a whole file."""
        return self.wide or not self.rules or bool(self.rules & _BLANKET)

    def covers(self, other: Suppression) -> bool:
        """Whether all that `other` keeps quiet was kept quiet by this one."""
        wide_enough = self.wide or not other.wide
        return (
            self.tool == other.tool
            and wide_enough
            and (not self.rules or (bool(other.rules) and other.rules <= self.rules))
        )


def suppressions(path: str, text: str) -> list[Suppression]:
    """Every suppression in the comments and attributes of a file; strings are none."""
    suffix = PurePosixPath(path).suffix.lower()
    found: list[Suppression] = []
    if suffix in {".py", ".pyi"}:
        for line, comment in _python_comments(text):
            found += _in_comment(comment, line)
        found += [
            Suppression("no_type_check", frozenset({"function"}), wide=False, text=line.strip(), first=n, last=n)
            for n, line in enumerate(text.split("\n"), 1)
            if _DECORATOR.match(line)
        ]
    elif suffix in _SCRIPTS:
        source = tokenize(text, _SCRIPTS[suffix])
        for token in source.comments:
            found += _in_comment(token.text[:2000], token.line)
        if suffix == ".rs":
            for at, token in enumerate(source.tokens):
                if token.text == "#":
                    found += _in_attribute(
                        source.canon(at, min(at + 80, source.after(at + 1 + (source.at(at + 1) == "!")))), token.line
                    )
    if suffix in _READ:
        found += [
            Suppression("other", frozenset({match[0].strip()}), wide=False, text=match[0].strip(), first=n, last=n)
            for n, line in enumerate(text.split("\n"), 1)
            if (match := _OTHERS.search(line[:2000]))
        ]
    if suffix in _PLAIN:
        for number, plain in enumerate(text.split("\n"), 1):
            if len(plain) < 2000:
                found += _in_comment(plain, number)
    return found


def _python_comments(text: str) -> Iterator[tuple[int, str]]:
    """(line, comment). A text that Python cannot take apart is read line by line, so that nothing hides behind an error."""
    try:
        read = python_tokens.generate_tokens(io.StringIO(text).readline)
        found = [(t.start[0], t.string[:2000]) for t in read if t.type == python_tokens.COMMENT]
    except (python_tokens.TokenError, SyntaxError, ValueError):
        found = [(n, line[line.index("#") :][:2000]) for n, line in enumerate(text.split("\n"), 1) if "#" in line]
    yield from found


def _in_comment(comment: str, line: int) -> Iterator[Suppression]:
    taken: list[tuple[int, int]] = []
    for tool, pattern in _COMMENTS:
        for match in pattern.finditer(comment):
            if any(a <= match.start() < b for a, b in taken):
                continue
            taken.append(match.span())
            said = match.groupdict()
            wide = any(said.get(k) for k in ("wide", "wide2", "wide3"))
            rules = frozenset(filter(None, re.split(r"[,\s]+", said.get("rules") or "")))
            number = line + comment.count("\n", 0, match.start())
            if tool == "typescript" and not wide and len(comment[match.end() :].strip(" */:-")) >= _A_REASON:
                rules |= {"for a reason"}  # its comments name no rule
            yield Suppression(tool, rules, wide, match[0].strip(), number, line + comment.count("\n"))


def _in_attribute(text: str, line: int) -> Iterator[Suppression]:
    if match := _RUST.match(text):
        rules = frozenset(
            filter(None, re.split(r"[,\s]+", re.sub(r"reason=.*", "", match["rules"] or match["skip"] or "")))
        )
        wide = bool(match["wide"] or match["wide2"])
        yield Suppression("rust", rules, wide, match[0] + ("]" if match["what"] else ""), line, line)


class Suppressions:
    """Refuses what silences a check for all its rules, or any at all where the task is a linter's; one named rule asks for review."""

    name = "suppressions"
    family: Family = "thresholds"
    firm = False

    def look(self, patch: Patch) -> Iterator[GuardFinding]:
        added: list[tuple[str, Suppression]] = []
        removed: list[Suppression] = []
        for change in patch.changes:
            path = change.path
            if not (hunks := patch.hunks(path)):
                continue
            gone = {n for h in hunks for n in range(h.old_start, h.old_start + len(h.old))}
            come = {n for h in hunks for n in range(h.new_start, h.new_start + len(h.new))}
            removed += [s for s in suppressions(path, patch.old(path)) if gone.intersection(range(s.first, s.last + 1))]
            added += [
                (path, s) for s in suppressions(path, patch.new(path)) if come.intersection(range(s.first, s.last + 1))
            ]
        asked = bool(kinds(patch))
        said = list(_unmatched(added, removed))
        if not patch.rules.strict:
            said = [(path, new) for path, new in said if not _named(new) and not patch.is_test(path)]
            if len(said) == 1 and not said[0][1].wide:
                return  # one line that a checker cannot follow is everyday work
        yield from self._hidden(patch) if patch.rules.strict else ()
        for path, new in said:
            about = "the whole file" if new.wide else "everything" if new.blanket else "one rule"
            level: Literal["refuse", "review"] = (
                "refuse" if asked or new.blanket or new.tool in {"no cover", "coverage"} else "review"
            )
            yield GuardFinding(
                self.name, level, path, new.first, f"silences a check for {about}: {new.text[:120]}", _ALLOW
            )  # fmt: skip

    def _hidden(self, patch: Patch) -> Iterator[GuardFinding]:
        """Code that keeps a check from what it complains of, without a word to the check."""
        for path, sign in typeless.signs(patch):
            detail = f"{_SAYS[sign.kind]}: {sign.text}"
            yield GuardFinding(self.name, "refuse" if sign.strong else "review", path, sign.line, detail, _ALLOW)
        for path, detail, sure in unseen(patch):
            yield GuardFinding(self.name, "refuse" if sure else "review", path, None, detail, _ALLOW)


def _named(new: Suppression) -> bool:
    """Whether it says what it is about: what people do in an ordinary commit."""
    return (bool(new.rules) and new.tool != "mypy") or new.tool in {"rust", "coverage"}


def _unmatched(
    added: Iterable[tuple[str, Suppression]], removed: list[Suppression]
) -> Iterator[tuple[str, Suppression]]:
    """What was not there before, on this line or on another; each of the old ones stands for one new one."""
    left = list(removed)
    waiting = []
    for path, new in added:
        same = next(
            (n for n, old in enumerate(left) if (old.tool, old.rules, old.wide) == (new.tool, new.rules, new.wide)), -1
        )
        if same >= 0:
            left.pop(same)
        else:
            waiting.append((path, new))
    for path, new in waiting:
        covering = next((n for n, old in enumerate(left) if old.covers(new)), -1)
        if covering >= 0:
            left.pop(covering)
        else:
            yield path, new
