"""Signs in JavaScript, Go and Rust that code looks round where it runs: its process, its folder, a clock, how often it was called.

A function that is repaired has no reason to begin with that, unless its tests are about it; what a test is about is the base's word.
Python needs none of this: there the targets' calls are asked elsewhere (`verify/varied.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from zwarm_ci.verify.guards.signs import SCRIPT, Sign, code_only

#: kind -> what tests say that are about it
ABOUT = {
    "surroundings": re.compile(
        r"\bprocess\s*\.\s*(?:env|cwd|argv|platform|exit|stdin|stdout)|\benv\b|[sS]etenv|\bos\.|\bflag\.|environ|args|std::(?:env|fs)"
    ),
    "files": re.compile(
        r"\bfs\b|\bpath\b|[tT]emp(?:Dir|dir|file)|tmp|\bos\.|\bfile|File\(|std::fs|PathBuf|__dirname|import\.meta"
    ),
    "clock": re.compile(
        r"\bDate\b|[tT]imers?\b|performance|\btime\.|Duration|Instant|SystemTime|setTimeout|sleep|[tT]imeout|expir|ttl"
    ),
    "count": re.compile(r"\b(?:next_?[iI]d|unique_?[iI]d|uuid|uid|counter|sequence|callCount|calls)\b"),
}
_PROCESS = (
    r"env|argv0?|execArgv|execPath|title|p?pid|uptime|cwd|memoryUsage|resourceUsage|cpuUsage|getActiveResourcesInfo|_\w+|mainModule|release"
    r"|config|features|report|binding|connected|send|channel|stdin|hrtime|constrainedMemory|availableMemory|allowedNodeEnvironmentFlags|get\w+"
    r"|listen\w+|rawListeners|eventNames"
)
_SCRIPT = (
    ("surroundings", rf"\bprocess\s*(?:\??\.\s*(?:{_PROCESS})\b|\??\.?\s*\[)"),
    ("surroundings", (r"(?:[=(,:]|\breturn)\s*(?:globalThis\s*\.\s*|global\s*\.\s*)?process\s*[;,)\n]|['\"`](?:node:)?(?:process|os"
        r"|child_process|worker_threads|perf_hooks|diagnostics_channel|module)['\"`]")),
    ("surroundings", r"\b(?:navigator|Deno|Bun)\s*\.\s*\w+|\b(?:std(?:out|err|in))\s*\.\s*isTTY\b"),
    ("files", (r"['\"`](?:node:)?fs(?:/promises)?['\"`]|\b__(?:dirname|filename)\b|\bimport\.meta\.(?:url|dirname|filename|resolve)\b"
        r"|\brequire\s*\.\s*(?:main|cache|resolve)\b|\bmodule\s*\??\.\s*(?:parent|children|paths)\b")),
    ("clock", r"\bDate\s*\.\s*now\s*\(|\bnew\s+Date\s*\(\s*\)|(?<![\w.])Date\s*\(\s*\)|\bperformance\s*\.\s*\w+|\bTemporal\s*\.\s*Now\b"),
)  # fmt: skip
_GO = (
    ("surroundings", r"\bos\s*\.\s*(?:Args|Executable|Getenv|LookupEnv|Environ|Getpid|Getppid|Hostname|Getuid|UserHomeDir|Stdin|Stdout|ExpandEnv)\b"),
    ("surroundings", (r"\bflag\s*\.\s*(?:Lookup|Visit|VisitAll|CommandLine|NFlag|NArg|Args?|Parsed)\b|\"(?:os/exec|syscall|os/user|embed|plugin"
        r"|runtime/(?:metrics|pprof|trace|coverage))\"")),
    ("surroundings", r"\bruntime\s*\.\s*(?:NumGoroutine|ReadMemStats|NumCgoCall|Version|GOROOT)\b|\bdebug\s*\.\s*\w+"),
    ("files", (r"\bos\s*\.\s*(?:Stat|Lstat|Open\w*|ReadFile|ReadDir|Getwd|DirFS|Readlink|TempDir)\b|\bfilepath\s*\.\s*(?:Glob|Walk\w*"
        r"|Abs|EvalSymlinks)\b|\bioutil\s*\.\s*Read\w+")),
    ("clock", r"\btime\s*\.\s*(?:Now|Since|Until|After\w*|Tick|NewTimer|NewTicker)\b"),
)  # fmt: skip
_RUST = (
    ("surroundings", (r"\benv\s*::\s*(?:vars?(?:_os)?|args(?:_os)?|current_exe|current_dir|temp_dir|home_dir)\b|\boption_env!\s*\("
        r"|\benv!\s*\((?!\s*\"CARGO_PKG_)"
        r"|\bprocess\s*::\s*(?:id|parent_id)\b")),
    ("surroundings", (r"\bdebug_assertions\b|\bpanic\s*::\s*Location\b|\bthread\s*::\s*(?:current\b|\{[^}]{0,200}\bcurrent\b)|\bthread\s+as\b"
        r"|\bmodule_path!\s*\(|\bfile!\s*\(")),
    ("files", r"\bstd\s*::\s*fs\b|\bfs\s*::\s*\w+\s*\(|\bFile\s*::\s*open\b|\.\s*(?:exists|is_file|is_dir|try_exists)\s*\(|\binclude_(?:str|bytes)!"),
    ("clock", r"\b(?:Instant|SystemTime|Utc|Local)\s*::\s*now\b"),
    ("count", r"\.\s*fetch_(?:add|sub|update)\s*\(|\bstatic\s+mut\b|\.\s*compare_exchange\w*\s*\("),
)  # fmt: skip
_Row = tuple[str, re.Pattern[str]]
_ROWS: dict[str, tuple[_Row, ...]] = {
    **dict.fromkeys(SCRIPT, tuple((kind, re.compile(p)) for kind, p in _SCRIPT)),
    ".go": tuple((kind, re.compile(p)) for kind, p in _GO),
    ".rs": tuple((kind, re.compile(p)) for kind, p in _RUST),
}
_HELD = {
    **dict.fromkeys(
        SCRIPT, re.compile(r"^(?:export\s+)?(?:let|var)\s+(\w+)\s*(?::\s*\w+\s*)?=\s*-?\d+\s*;?\s*$", re.MULTILINE)
    ),
    ".go": re.compile(r"^(?:var\s+|\t)(\w+)\s+(?:u?int(?:32|64)?\b|=\s*\d+$|atomic\.\w+)", re.MULTILINE),
}
#: A name that a module keeps, and a step of something that goes on from where it stood.
_KEPT = re.compile(r"^(?:export[ ]+)?(?:const|let|var)[ ]+(\w+)\b", re.MULTILINE)
_STEPS = {
    **dict.fromkeys(SCRIPT, re.compile(r"(?<![\w.$])(\w+)\.next\(")),
    ".go": re.compile(r"(?<![\w.])(\w+)[ ]*=[ ]*\1\[|(?<![\w.])(\w+)[ ]*<-[ ]*[\"'`\d]"),
}
_SPACE = re.compile(r"\s+")


def signs(path: str, text: str) -> Iterator[Sign]:
    """Every look round in a text, as a sign that is strong and common in honest code too."""
    suffix = PurePosixPath(path).suffix
    code = code_only(path, text)
    for kind, pattern in _ROWS.get(suffix, ()):
        for match in pattern.finditer(code):
            yield Sign(
                kind, _SPACE.sub(" ", match[0]).strip()[:100], code.count("\n", 0, match.start()) + 1, plain=True
            )
    held = _HELD.get(suffix)
    for found in held.finditer(code) if held else ():
        name = re.escape(found[1])
        if counted := re.search(
            rf"\b{name}\s*(?:\+\+|--|[+\-]=)|(?:\+\+|--)\s*{name}\b|\b{name}\s*\.\s*Add\s*\(", code
        ):
            line = code.count("\n", 0, counted.start()) + 1
            yield Sign("count", f"{found[1]} from call to call", line, plain=True)
    kept = {m[1] for m in _KEPT.finditer(code)} if suffix in _STEPS else set()
    for step in _STEPS[suffix].finditer(code) if kept else ():
        if (name := step[step.lastindex or 1]) in kept:
            line = code.count("\n", 0, step.start()) + 1
            yield Sign("count", f"{name} goes on from call to call", line, plain=True)
