"""What a JavaScript or TypeScript file imports: who is under test, and what the test functions are called in it."""

from __future__ import annotations

from zwarm_ci.verify.reading.tokens import Source

SUITES = frozenset("describe context suite fdescribe xdescribe xcontext".split())
TESTS = frozenset("it test specify fit xit xtest xspecify ftest".split())
_ASSERTS = "assert assert/strict power-assert chai uvu/assert"
_RUNNERS = "test ava tape tap vitest @jest/globals bun:test uvu @playwright/test mocha tape-catch"
#: Modules that bring assertions, or suites and tests; `node:` is left out.
_FRAMEWORKS = {**dict.fromkeys(_ASSERTS.split(), "assert"), **dict.fromkeys(_RUNNERS.split(), "test")}


def take_imports(
    src: Source, begin: int, end: int, subjects: dict[str, tuple[str, ...]], names: dict[str, str]
) -> bool:
    """Take an import or a require: who is under test, and what the test functions are called here."""
    tokens = src.tokens[begin:end]
    texts = [t.text for t in tokens]
    if texts[0] == "import" and "(" not in texts[1:2]:
        module = next((t.text[1:-1] for t in reversed(tokens) if t.kind == "string"), "")
    elif texts[0] in {"const", "let", "var"} and "=" in texts and ("require" in texts or "import" in texts):
        equals = texts.index("=")
        head = [t for t in texts[equals + 1 :] if t != "await"][:1]
        if head not in (["require"], ["import"]):
            return False
        module = next((t.text[1:-1] for t in tokens[equals:] if t.kind == "string"), "")
    else:
        return False
    stop = texts.index("from") if "from" in texts else texts.index("=") if "=" in texts else len(texts)
    taken, pairs = [], texts[1:stop]
    for n, text in enumerate(pairs):
        if text in {"as", ":"} or tokens[n + 1].kind != "name" or text == "type":
            continue
        follows = pairs[n + 1 : n + 2]
        if follows in (["as"], [":"]) and text != "*":
            continue
        original = pairs[n - 2] if n >= 2 and pairs[n - 1] in {"as", ":"} else text
        taken.append(original)
        _aliases(names, module.removeprefix("node:"), original, text, default="{" not in pairs[:n])
    module = module.removeprefix("node:")
    subjects[module] = tuple(sorted({*subjects.get(module, ()), *taken}))
    return True


def _aliases(names: dict[str, str], module: str, original: str, local: str, *, default: bool) -> None:
    kind = _FRAMEWORKS.get(module, "")
    if not kind:
        return
    if kind == "assert" or original in {"assert", "expect", "should"}:
        names[local] = (
            ("assert" if kind == "assert" else "")
            if default or original == "assert"
            else "!"
            if original == "expect"
            else original
        )
        if original == "expect" and local == "expect":
            del names[local]
    elif default:
        names[local] = "test"
    elif original in SUITES | TESTS | {"bench"}:
        names[local] = "suite" if original in SUITES and module != "uvu" else "test"
