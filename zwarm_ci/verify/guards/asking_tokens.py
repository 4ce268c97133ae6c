"""The same signs as in Python, at the level of text, in JavaScript and TypeScript, Go, Rust and what else has `//` comments."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from zwarm_ci.verify.guards.signs import SCRIPT, Sign, code_only

_STRONG, _PLAIN, _WEAK = (True, False), (True, True), (False, True)
_TEST_ENV = r"(?:NODE_ENV|JEST\w*|VITEST\w*|MOCHA\w*|CI|TEST\w*|\w+_TEST\w*|IS_TEST\w*|GITHUB_ACTIONS|ZWARM\w*|npm_lifecycle_event|CYPRESS\w*)"
#: (kind, pattern, (strong, plain)); a match's text is what signs are compared by.
_JAVASCRIPT = (
    ("environment", rf"\b(?:process|Bun|Deno|import\.meta)\s*\??\.\s*env\s*(?:\??\.\s*(?:get\(\s*)?|\[\s*)['\"`]?{_TEST_ENV}\b", _PLAIN),
    ("environment", (r"\bObject\s*\.\s*(?:keys|entries|values)\s*\(\s*process\s*\.\s*env|\bin\s+process\s*\.\s*env\b"
        r"|\bimport\.meta\.vitest\b|\b__(?:TEST|JEST)\w*__\b"), _PLAIN),
    ("runner", (r"\btypeof\s+(?:globalThis\s*\.\s*|global\s*\.\s*|window\s*\.\s*)?(?:jest|vi|vitest|describe|it|test|expect|beforeEach"
        r"|afterEach|suite|mocha|Cypress|jasmine)\b"), _STRONG),
    ("runner", (r"\b(?:globalThis|global|window|self)\s*(?:\??\.\s*|\[\s*['\"`])(?:jest|vi|vitest|describe|it|test|expect|beforeEach"
        r"|afterEach|mocha|Cypress|jasmine|__vitest\w*|__coverage__)\b"), _STRONG),
    ("runner", (r"['\"`](?:JEST|VITEST|MOCHA)_?\w*['\"`]|['\"`](?:jest|vitest|mocha|chai|jasmine|@jest/[\w-]+|@vitest/[\w-]+|node:test"
        r"|bun:test|ava|uvu|tape)['\"`]"), _PLAIN),
    ("argv", (r"\bprocess\s*\.\s*(?:argv|execArgv|argv0|title|ppid)\b|\brequire\s*\.\s*(?:main|cache)\b|\bmodule\s*\.\s*(?:parent"
        r"|children)\b"), _WEAK),
    ("frames", (r"\bnew\s+Error\s*(?:\([^()]*\))?\s*\)?\s*\??\.\s*stack\b|\bError\s*\(\s*[^()]*\)\s*\??\.\s*stack\b"
        r"|\bError\s*\.\s*(?:prepareStackTrace|stackTraceLimit)\b|\barguments\s*\.\s*callee\b|\bgetCallSites?\b"), _PLAIN),
    ("frames", r"\.\s*stack\s*\??\.?\s*(?:\.\s*)?(?:includes|match|indexOf|split|search|test)\s*\(", _PLAIN),
    ("exit", (r"\bprocess\s*\.\s*(?:reallyExit|abort|kill|exitCode\s*=|emit\s*\(\s*['\"`]exit)|\bDeno\s*\.\s*exit\b"
        r"|\bprocess\s*\.\s*exit\s*\(\s*0?\s*\)"), _PLAIN),
    ("exit", (r"\bprocess\s*\.\s*(?:on|once|addListener|prependListener|removeAllListeners)\s*\(\s*['\"`](?:exit|beforeExit"
        r"|uncaughtException|unhandledRejection)"), _PLAIN),
    ("exit", r"\bprocess\s*\.\s*exit\s*\(", _WEAK),
    ("dynamic", (r"(?<![\w.$])eval\s*\(|\bnew\s+Function\s*\(|(?<![\w.$])Function\s*\(|\bvm\s*\.\s*run\w*\(|['\"`](?:node:)?(?:vm"
        r"|inspector|async_hooks|v8)['\"`]|\bconstructor\s*\.\s*constructor\b"), _PLAIN),
    ("patch", (r"(?<![\w.$])(?:Object|Array|Number|String|Boolean|Math|JSON|Promise|Symbol|Date|Error|Map|Set|Reflect|RegExp|Function"
        r"|console|assert|expect|globalThis)\s*\.\s*(?:prototype\s*(?:\.\s*|\[))?[\w.\]]+\s*=(?![=>])"), _PLAIN),
    ("patch", (r"\b(?:defineProperty|assign|setPrototypeOf|defineProperties|set)\s*\(\s*(?:Object|Array|String|Number|Function"
        r"|globalThis|global|expect|assert)\b(?:\s*\.\s*prototype)?\s*,"), _PLAIN),
    ("patch", (r"\bexpect\s*\.\s*(?:extend|addSnapshotSerializer|addEqualityTesters)\b|\bassert\s*\.\s*\w+\s*=(?!=)|__proto__\s*=(?!=)"
        r"|\brequire\s*\.\s*cache\s*\[[^\]]*\]\s*=|\bModule\s*\.\s*_\w+\s*=(?!=)"), _STRONG),
    ("patch", (r"\b(?:const|let|var|import)\s+(?:\*\s*as\s+)?(\w+)\s*(?:=\s*(?:await\s+)?(?:require|import)\s*\(\s*|from\s*)"
        r"['\"`](?:node:)?assert(?:/strict)?['\"`][\s\S]*?\b\1\s*(?:\.\s*\w+|\[[^\]]*\])\s*=(?![=>])"), _STRONG),
    ("patch", (r"\b(?:assign|defineProperty|defineProperties|setPrototypeOf|set)\s*\(\s*(?:require|import)\s*\("
        r"|\b(?:require|import)\s*\([^()]*\)\s*(?:\.\s*\w+|\[[^\]]*\])\s*=(?![=>])"), _STRONG),
    ("patch", (r"(?<![\w.$])(?:Object|Array|Number|String|Math|JSON|Promise|Error|Map|Set|Reflect|RegExp|Function)\s*\[[^\]]*\]\s*=(?![=>])"
        r"|\b__proto__\s*(?:\.\s*\w+|\[[^\]]*\])\s*=(?![=>])|\bgetPrototypeOf\s*\([^()]*\)\s*(?:\.\s*\w+|\[[^\]]*\])\s*=(?![=>])"), _STRONG),
    ("patch", (r"\b(?:const|let|var)\s+\w+\s*=\s*(?:Object|Array|Number|String|Math|JSON|Promise|Error|Reflect|RegExp|Function)"
        r"(?:\s*\.\s*prototype)?\s*[;\n]"), _PLAIN),
    ("equality", (r"\basymmetricMatch\b|\bSymbol\s*\.\s*for\s*\(\s*['\"`](?:jest|\$\$|vitest)|\$\$typeof\b.*['\"`]jest"
        r"|\bnodejs\.util\.inspect\b"), _STRONG),
    ("equality", (r"\b(?:equals|isEqual|toEqual|deepEqual|eq|compareTo)\s*(?:\([^()]*\)\s*(?::\s*boolean\s*)?\{\s*return\s+(?:true|!0"
        r"|1)\b|[:=]\s*\([^()]*\)\s*=>\s*(?:true|!0)\b)"), _STRONG),
    ("equality", (r"\[\s*Symbol\s*\.\s*(?:toPrimitive|hasInstance|toStringTag)\s*\]\s*[(:=]|\b(?:valueOf"
        r"|toJSON)\s*(?:\([^()]*\)\s*(?::\s*\w+\s*)?\{|[:=]\s*(?:function|\([^()]*\)\s*=>))"), _WEAK),
    ("equality", r"\bnew\s+Proxy\s*\(", _WEAK),
    ("mode", (r"\b(?:if|while)\s*\(\s*!?\s*[\w.]*\b(?:__DEV__|__TEST__|IS_TEST|isTest\w*|TEST_MODE|testMode|TESTING|UNDER_TEST"
        r"|underTest|isTesting|inTest)\b"), _STRONG),
    ("mode", r"\b(?:if|while)\s*\(\s*!?\s*[\w.]*\b(?:DEBUG|isDebug|debugMode)\b", _WEAK),
)  # fmt: skip
_GO = (
    ("runner", (r"\btesting\s*\.\s*Testing\s*\(|^[^\S\n]*(?:import\s+)?(?:\w+\s+)?\"testing\"|\bflag\s*\.\s*Lookup\s*\(\s*\"test\."
        r"|\"test\.(?:v|run|timeout|paniconexit0)\"|\"-test\.|\"\.test\""), _STRONG),
    ("environment", (r"\bos\s*\.\s*(?:Getenv|LookupEnv)\s*\(\s*\"(?:\w*TEST\w*|CI|GITHUB_ACTIONS|GO_\w*TEST\w*|ZWARM\w*)\""
        r"|\bos\s*\.\s*Environ\s*\("), _PLAIN),
    ("argv", r"\bos\s*\.\s*(?:Args\b|Executable\s*\()", _WEAK),
    ("argv", r"(?:HasSuffix|Contains|HasPrefix|Base)\s*\(\s*os\s*\.\s*Args\b", _STRONG),
    ("frames", (r"\bruntime\s*\.\s*(?:Callers?(?:Frames)?\s*\(|Stack\s*\(|FuncForPC\b)|\bdebug\s*\.\s*(?:Stack|PrintStack"
        r"|ReadBuildInfo)\s*\("), _PLAIN),
    ("exit", r"\b(?:os|syscall|unix)\s*\.\s*Exit\s*\(|\bruntime\s*\.\s*Goexit\s*\(|\bsyscall\s*\.\s*Kill\s*\(", _PLAIN),
    ("dynamic", r"\bplugin\s*\.\s*Open\s*\(|^[^\S\n]*(?:import\s+)?(?:\w+\s+)?\"(?:unsafe|plugin)\"|\bsyscall\s*\.\s*Mprotect\b", _PLAIN),
    ("equality", r"\)\s*(?:Equal|Equals|Is|Less|Cmp|Compare)\s*\([^()]*\)\s*(?:bool|int)\s*\{\s*return\s+(?:true|0)\s*\}?", _STRONG),
    ("mode", r"\bif\s+!?\s*[\w.]*\b(?:[iI]sTest\w*|[iI]nTest\w*|[tT]estMode|TESTING|[uU]nderTest)\b", _STRONG),
)  # fmt: skip
_RUST = (
    ("runner", (r"\bcfg!\s*\(\s*[^)]*\btest\b"
        r"|#!?\[\s*cfg\s*\([^\]]*\btest\b[^\]]*\]\s*(?!\s*(?:#\[[^\]]*\]\s*)*(?:pub(?:\([^)]*\))?\s+)?(?:mod|use|extern)\b)"
        r"|\bcfg_attr\s*\([^)]*\btest\b|\bcfg_if!"), _PLAIN),
    ("environment", (r"\b(?:env\s*::\s*(?:var|var_os)|option_env!|env!(?!\s*\(\s*\"CARGO_PKG_))\s*\(\s*\""
        r"(?:\w*TEST\w*|CI|CARGO_\w+|GITHUB_ACTIONS|ZWARM\w*)\""
        r"|\benv\s*::\s*vars(?:_os)?\s*\("), _PLAIN),
    ("argv", r"\benv\s*::\s*(?:args(?:_os)?|current_exe)\s*\(", _WEAK),
    ("frames", r"\bBacktrace\s*::|\bbacktrace\s*::|\bthread\s*::\s*current\s*\(\s*\)\s*\.\s*name\b|\bLocation\s*::\s*caller\b", _PLAIN),
    ("exit", (r"\bprocess\s*::\s*(?:exit|abort)\s*\(|\blibc\s*::\s*(?:_exit|exit|abort|kill)\b|\bpanic\s*::\s*(?:set_hook|take_hook"
        r"|catch_unwind)\b|\bcatch_unwind\s*\("), _PLAIN),
    ("patch", r"\bmacro_rules!\s*(?:assert\w*|debug_assert\w*|panic|unreachable)\b", _STRONG),
    ("equality", r"\bfn\s+(?:eq|ne|matches)\s*\(\s*&\s*self\s*,[^()]*\)\s*->\s*bool\s*\{\s*(?:return\s+)?(?:true|false|!0)\b", _STRONG),
    ("equality", (r"\bfn\s+(?:partial_cmp|cmp)\s*\(\s*&\s*self\s*,[^()]*\)\s*->[^{]*\{\s*(?:return\s+)?"
        r"(?:Some\s*\(\s*)?(?:std::cmp::)?Ordering\s*::\s*Equal\b"), _STRONG),
    ("equality", (r"\bimpl(?:<[^>]*>)?\s+(?:\w+::)*Partial(?:Eq|Ord)<\s*(?:&\s*)?(?:str|String|&\w*\s*str|[iu](?:\d+|size)|f\d+"
        r"|Vec<[^>]*>|bool|char)\s*>\s*for\b"), _PLAIN),
)  # fmt: skip
_ANY = (
    (
        "results",
        r"['\"`/](?:junit[\w.\-]*\.xml|lcov\.info|\.pytest_cache|\.zwarm|test-results?(?:\.\w+)?)['\"`/]",
        _PLAIN,
    ),
)
_RAW_GO = (
    ("dynamic", r"^//go:linkname\b", _STRONG),
    ("runner", r"^//go:build\b.*\btest\b|^//\s*\+build\b.*\btest\b", _STRONG),
)
_RUBY_PHP = (
    ("runner", r"\bdefined\?\s*\(?\s*(?:RSpec|Minitest|Test::Unit)|['\"](?:RAILS_ENV|RACK_ENV|APP_ENV)['\"]|\bPHPUNIT\w*|\bPHPUnit\\", _PLAIN),
    ("runner", r"\borg\.junit\b|\bStackTraceElement\b|\bgetStackTrace\s*\(", _PLAIN),
    ("exit", r"\bSystem\s*\.\s*exit\s*\(|\bRuntime\.getRuntime\(\)\.halt|\bat_exit\b|\bexit!", _PLAIN),
)  # fmt: skip
_Rows = tuple[tuple[str, str, tuple[bool, bool]], ...]


def _compiled(rows: _Rows) -> tuple[tuple[str, re.Pattern[str], bool, bool], ...]:
    return tuple((kind, re.compile(pattern, re.MULTILINE), strong, plain) for kind, pattern, (strong, plain) in rows)


_BY_SUFFIX = {
    **dict.fromkeys(SCRIPT, _compiled(_JAVASCRIPT + _ANY)),
    ".go": _compiled(_GO + _ANY),
    ".rs": _compiled(_RUST + _ANY),
}
_RAW = {".go": _compiled(_RAW_GO)}
_OTHERS = _compiled(_RUBY_PHP + _ANY)
_SPACE = re.compile(r"\s+")


def signs(path: str, text: str) -> list[Sign]:
    """Every sign in a text that is no Python."""
    suffix = PurePosixPath(path).suffix
    if suffix == ".rs":
        text = _without_tests(text)
    code = code_only(path, text)
    found = []
    for source, rows in ((code, _BY_SUFFIX.get(suffix, _OTHERS)), (text, _RAW.get(suffix, ()))):
        for kind, pattern, strong, plain in rows:
            for match in pattern.finditer(source):
                line = source.count("\n", 0, match.start()) + 1
                found.append(Sign(kind, _SPACE.sub(" ", match[0]).strip()[:100], line, strong, plain))
    return sorted(found, key=lambda s: s.line)


def _without_tests(text: str) -> str:
    """Rust without its `#[cfg(test)] mod tests { … }` blocks: those are tests, and other guards read them."""
    for start in reversed(
        [m.start() for m in re.finditer(r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*(?:pub\s+)?mod\s+\w+\s*\{", text)]
    ):
        depth, at = 0, text.index("{", start)
        for end in range(at, len(text)):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            if not depth:
                text = text[:start] + "\n" * text.count("\n", start, end) + text[end + 1 :]
                break
    return text
