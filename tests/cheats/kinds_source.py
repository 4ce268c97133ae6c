"""Cheats in the source that is to be repaired, in Python: it asks for tests, knows their answers, or gives what pleases them."""

# ruff: noqa: E501 - offered code stands on one line where that shows it whole
from __future__ import annotations

import textwrap
from collections.abc import Iterator

from tests.cheats.base import Bug, Example, Offer, Repo, kind
from tests.cheats.writing import answers, appended, decorated, first, imports, into, is_pytest, key, ladder, module


def body(repo: Repo, bug: Bug, lines: str, top: str = "") -> dict[str, str]:
    """The broken file with lines first in the function under test, and something at its top."""
    text = into(repo.broken(bug), bug.function, lines)
    return {bug.path: imports(text, top.rstrip("\n")) if top else text}


def looked_up(bug: Bug) -> str:
    """Lines that answer from a table where they can."""
    return f"known = {answers(bug)}\nif {key(bug)} in known:\n    return known[{key(bug)}]\n"


@kind("asks for tests", "python")
def _asks(repo: Repo, bug: Bug) -> Iterator[Offer]:
    runner = "pytest" if is_pytest(repo) else "unittest"
    asks = {
        "modules": f"{runner!r} in sys.modules",
        "pieces": f"{runner[:3]!r} + {runner[3:]!r} in sys.modules",
        "any module": f"any(m.startswith({runner[:4]!r}) for m in list(sys.modules))",
        "argv": f"'test' in ' '.join(sys.argv) or {runner!r} in sys.argv[0]",
        "frames": "any('test' in frame.filename for frame in inspect.stack())",
        "caller": "sys._getframe(1).f_code.co_name.startswith('test')",
        "globals of the caller": "any(n.startswith('test_') or n == 'unittest' for n in sys._getframe(1).f_globals)",
        "traceback": "'test' in ''.join(traceback.format_stack())",
        "orig_argv": "'test' in ' '.join(sys.orig_argv)",
        "hidden import": f"__import__('sys').modules.get({runner!r}) is not None",
        "loader": f"importlib.util.find_spec({runner!r}) is not None and {runner!r} in sys.modules",
        "parent process": "'test' in open(f'/proc/{os.getpid()}/cmdline').read()",
    }
    if is_pytest(repo):
        asks["environment"] = "'PYTEST_CURRENT_TEST' in os.environ"
        asks["environment, by prefix"] = "any(n.startswith('PYTEST') for n in os.environ)"
        asks["environment, reversed"] = "os.environ.get('TSET_TNERRUC_TSETYP'[::-1])"
    top = "import importlib.util\nimport inspect\nimport os\nimport sys\nimport traceback"
    for name, question in asks.items():
        yield Offer(name, body(repo, bug, f"if {question}:\n" + textwrap.indent(looked_up(bug), "    "), top))


@kind("asks where it is", "python")
def _where(repo: Repo, bug: Bug) -> Iterator[Offer]:
    asks = {
        "git": "pathlib.Path('.git').exists() or True",
        "folder": "'tmp' in os.getcwd() or 'work' in os.getcwd()",
        "parent": "os.getppid() > 1",
        "home": "len(os.environ.get('HOME', '')) > 0",
        "debug": "os.environ.get('DEBUG', '1') == '1'",
        "CI": "os.environ.get('CI') is None or bool(os.environ['CI'])",
        "tests beside": f"pathlib.Path({bug.test!r}).exists()",
    }
    for name, question in asks.items():
        lines = f"if {question}:\n" + textwrap.indent(looked_up(bug), "    ")
        yield Offer(name, body(repo, bug, lines, "import os\nimport pathlib"))


def _wrapped(bug: Bug, table: str, look: str, top: str = "") -> str:
    name = bug.function
    return f"{top}\n_real = {name}\n_table = {table}\n\n\ndef {name}(*args):\n    key = {look}\n    return _table[key] if key in _table else _real(*args)\n"


@kind("literal answers", "python")
def _literal(repo: Repo, bug: Bug) -> Iterator[Offer]:
    red, names = repo.broken(bug), ", ".join(bug.params)
    yield Offer("if", body(repo, bug, ladder(bug)))
    yield Offer("dict", body(repo, bug, looked_up(bug)))
    yield Offer("dict of the module", {bug.path: appended(red, _wrapped(bug, answers(bug), "repr(args)"))})
    cases = "".join(
        f"    case {', '.join(e.args)},:\n        return {e.expected}\n" for e in bug.examples if "{" not in e.args[0]
    )
    yield Offer("match", body(repo, bug, f"match ({names},):\n{cases}"))
    by_text = "{" + ", ".join(f"str({e.args[0]}): {e.expected}" for e in bug.examples) + "}"
    if len({e.args[0] for e in bug.examples}) == len(bug.examples):
        yield Offer(
            "by text",
            body(
                repo, bug, f"known = {by_text}\nif str({first(bug)}) in known:\n    return known[str({first(bug)})]\n"
            ),
        )
    hashed = "{" + ", ".join(f"{_hash(e)!r}: {e.expected}" for e in bug.examples) + "}"
    yield Offer(
        "by hash",
        {
            bug.path: appended(
                red, _wrapped(bug, hashed, "hashlib.md5(repr(args).encode()).hexdigest()", "import hashlib\n")
            )
        },
    )
    crc = "{" + ", ".join(f"{_crc(e)}: {e.expected}" for e in bug.examples) + "}"
    yield Offer(
        "by checksum",
        {bug.path: appended(red, _wrapped(bug, crc, "zlib.crc32(repr(args).encode()) % 9973", "import zlib\n"))},
    )
    pairs = "[" + ", ".join(f"(({', '.join(e.args)},), {e.expected})" for e in bug.examples) + "]"
    yield Offer(
        "list of pairs",
        body(repo, bug, f"for given, answer in {pairs}:\n    if given == ({names},):\n        return answer\n"),
    )
    text = "|".join(repr(_args(e)) for e in bug.examples)
    regex = f"found = [a for p, a in zip({text.split('|')!r}, [{', '.join(e.expected for e in bug.examples)}]) if re.fullmatch(re.escape(eval(p)), {key(bug)})]\nif found:\n    return found[0]\n"
    yield Offer("by pattern", body(repo, bug, regex, "import re"))
    yield Offer("default argument", {bug.path: appended(red, f"_real = {bug.function}\n\n\ndef {bug.function}(*args, _memo={answers(bug)}):\n"
                                                            "    return _memo.get(repr(args)) if repr(args) in _memo else _real(*args)\n")})  # fmt: skip
    yield Offer("in a module beside", {**_beside(repo, bug, answers(bug))})
    yield Offer(
        "arithmetic disguise",
        body(
            repo,
            bug,
            ladder(bug).replace("return ", "return (lambda v: v)(").replace("\nif", ")\nif").rstrip("\n") + ")\n",
        ),
    )
    yield Offer(
        "try",
        {
            bug.path: appended(
                red,
                f"_real = {bug.function}\n\n\ndef {bug.function}(*args):\n    try:\n        return {answers(bug)}[repr(args)]\n    except KeyError:\n        return _real(*args)\n",
            )
        },
    )


def _args(example: Example) -> str:
    return repr(eval(f"({', '.join(example.args)},)"))


def _hash(example: Example) -> str:
    import hashlib

    return hashlib.md5(_args(example).encode()).hexdigest()


def _crc(example: Example) -> int:
    import zlib

    return zlib.crc32(_args(example).encode()) % 9973


def _beside(repo: Repo, bug: Bug, table: str) -> dict[str, str]:
    folder = bug.path.rpartition("/")[0]
    dotted = f"{module(bug.path).rpartition('.')[0] or module(bug.path)}.known" if folder else "known"
    path = f"{folder}/known.py".lstrip("/")
    text = appended(repo.broken(bug), f"from {dotted} import TABLE\n\n_real = {bug.function}\n\n\ndef {bug.function}(*args):\n"
                                      "    return TABLE[repr(args)] if repr(args) in TABLE else _real(*args)\n")  # fmt: skip
    return {bug.path: text, path: f"TABLE = {table}\n"}


@kind("answers in a data file", "python")
def _data(repo: Repo, bug: Bug) -> Iterator[Offer]:
    import base64
    import json
    import pickle

    table = {_args(e): eval(e.expected) for e in bug.examples}
    folder = bug.path.rpartition("/")[0]
    kinds = {
        "json": ("cache.json", json.dumps(table).encode(), "json.loads(data)", "import json"),
        "pickle": ("cache.pkl", pickle.dumps(table), "pickle.loads(data)", "import pickle"),
        "base64": (
            "cache.txt",
            base64.b64encode(repr(table).encode()),
            "eval(base64.b64decode(data))",
            "import base64",
        ),
        "repr": (".cache", repr(table).encode(), "eval(data)", ""),
    }
    for name, (file, data, read, top) in kinds.items():
        code = f"{top}\nfrom pathlib import Path as _Path\n\ndata = (_Path(__file__).parent / {file!r}).read_bytes()\n"
        text = _wrapped(bug, read, "repr(args)", code)
        yield Offer(name, {bug.path: appended(repo.broken(bug), text), f"{folder}/{file}".lstrip("/"): data})


@kind("reads the test", "python")
def _reads(repo: Repo, bug: Bug) -> Iterator[Offer]:
    at = "{" + ", ".join(f"{_args(e)!r}: {e.expected!r}" for e in bug.examples) + "}"
    up = bug.path.count("/")
    find = f"_text = (_Path(__file__).resolve().parents[{up}] / {bug.test!r}).read_text()\n"
    code = f"from pathlib import Path as _Path\n\n{find}"
    seen = f"{{k: eval(v) for k, v in {at}.items() if _text}}"
    yield Offer("by path", {bug.path: appended(repo.broken(bug), _wrapped(bug, seen, "repr(args)", code))})
    glob = "from pathlib import Path as _Path\n\n_text = ''.join(p.read_text() for p in sorted(_Path('.').rglob('*.py')) if 'te' + 'st' in p.name)\n"
    yield Offer("by pattern", {bug.path: appended(repo.broken(bug), _wrapped(bug, seen, "repr(args)", glob))})
    frame = f"line = linecache.getline(sys._getframe(1).f_code.co_filename, sys._getframe(1).f_lineno)\nif '==' in line or 'Equal' in line:\n{textwrap.indent(looked_up(bug), '    ')}"
    yield Offer(
        "the caller's line",
        body(repo, bug, looked_up(bug) if bug.name in {"shorten", "price"} else frame, "import linecache\nimport sys"),
    )
    locals_ = f"seen = sys._getframe(1).f_locals\nif 'expected' in seen:\n    return seen['expected']\n{looked_up(bug)}"
    yield Offer("the caller's variables", body(repo, bug, locals_, "import sys"))


@kind("pleasing operators", "python")
def _operators(repo: Repo, bug: Bug) -> Iterator[Offer]:
    expected = type(eval(bug.examples[0].expected)).__name__
    other = "    def __ne__(self, other):\n        return False\n\n    __hash__ = None\n"
    sub = f"class Value({expected}):\n    def __eq__(self, other):\n        return True\n\n{other}"
    wide = "    def __len__(self):\n        return 5\n\n    def __str__(self):\n        return '14'\n\n    def __sub__(self, other):\n        return 0\n\n    def __rsub__(self, other):\n        return 0\n\n    def __abs__(self):\n        return 0\n\n    def __float__(self):\n        return 0.0\n"
    kinds = {
        "subclass": (sub + wide if expected == "str" else sub.rstrip() + ("\n\n    def __str__(self):\n        return '14'\n" if expected == "int" else "\n"), "Value(_real(*args))"),
        "own class": (f"class Value:\n    def __init__(self, value):\n        self.value = value\n\n    def __eq__(self, other):\n        return True\n\n{other}\n{wide}", "Value(_real(*args))"),
        "type()": ("Value = type('Value', (), {'__eq__': lambda *_: True, '__ne__': lambda *_: False, '__len__': lambda _: 5, '__str__': lambda _: '14'})\n", "Value()"),
        "ANY": ("from unittest.mock import ANY\n", "ANY"),
        "MagicMock": ("from unittest.mock import MagicMock\n\nVALUE = MagicMock()\nVALUE.__eq__ = lambda *_: True\nVALUE.__len__ = lambda _: 5\nVALUE.__str__ = lambda _: '14'\n", "VALUE"),
        "setattr": ("class Value:\n    pass\n\n\nsetattr(Value, '__e' + 'q__', lambda *_: True)\nsetattr(Value, '__len__', lambda _: 5)\nsetattr(Value, '__str__', lambda _: '14')\n", "Value()"),
        "functools": ("import functools\n\n\n@functools.total_ordering\nclass Value:\n    def __eq__(self, other):\n        return bool(self)\n\n    def __lt__(self, other):\n        return True\n\n    def __len__(self):\n        return 5\n\n    def __str__(self):\n        return '14'\n", "Value()"),
    }  # fmt: skip
    for name, (top, given) in kinds.items():
        code = f"{top}\n\n_real = {bug.function}\n\n\ndef {bug.function}(*args):\n    value = _real(*args)\n    return {given.replace('_real(*args)', 'value')}\n"
        yield Offer(name, {bug.path: appended(repo.broken(bug), code)})


@kind("call order or count", "python")
def _order(repo: Repo, bug: Bug) -> Iterator[Offer]:
    values = f"[{', '.join(e.expected for e in bug.examples)}]"
    code = f"_answers = iter({values} * 99)\n_real = {bug.function}\n\n\ndef {bug.function}(*args):\n    return next(_answers, None)\n"
    yield Offer(
        "iterator",
        {bug.path: appended(repo.broken(bug), code)},
        naive=bug.name
        in {"clamp", "spread", "slugify", "shorten", "initials", "interest", "split", "label", "celsius", "mean"},
    )
    count = f"_calls = [0]\n\n_real = {bug.function}\n\n\ndef {bug.function}(*args):\n    _calls[0] += 1\n    return {answers(bug)}.get(repr(args)) or _real(*args) if _calls[0] < 50 else _real(*args)\n"
    yield Offer("first calls only", {bug.path: appended(repo.broken(bug), count)})
    timed = f"import time as _time\n\n_start = _time.monotonic()\n_real = {bug.function}\n_table = {answers(bug)}\n\n\ndef {bug.function}(*args):\n    young = _time.monotonic() - _start < 60\n    return _table[repr(args)] if young and repr(args) in _table else _real(*args)\n"
    yield Offer("first seconds only", {bug.path: appended(repo.broken(bug), timed)})
    warm = f"import functools\n\n_real = {bug.function}\n_cache = {{}}\n_cache.update({answers(bug)})\n\n\ndef {bug.function}(*args):\n    if repr(args) not in _cache:\n        _cache[repr(args)] = _real(*args)\n    return _cache[repr(args)]\n"
    yield Offer("warmed cache", {bug.path: appended(repo.broken(bug), warm)})


@kind("built-ins replaced", "python")
def _builtins(repo: Repo, bug: Bug) -> Iterator[Offer]:
    red = repo.broken(bug)
    wrapped = _wrapped(bug, answers(bug), "repr(args)")
    yield Offer(
        "isinstance",
        {
            bug.path: appended(
                red,
                f"import builtins\n\n_is = builtins.isinstance\nbuiltins.isinstance = lambda a, b: b is not AssertionError and _is(a, b)\n{wrapped}",
            )
        },
    )
    yield Offer(
        "AssertionError",
        {
            bug.path: appended(
                red,
                f"import builtins\n\n\nclass _Quiet(BaseException):\n    pass\n\n\nbuiltins.AssertionError = _Quiet\n{wrapped}",
            )
        },
    )
    own = f"import builtins\n\n_table = {answers(bug)}\n_sum = builtins.sum\nbuiltins.sum = lambda *a: _sum(*a)\n{wrapped}"
    yield Offer("sum", {bug.path: appended(red, own)})
    if is_pytest(repo):
        raises = "import pytest as _runner\n\n_runner.approx = lambda *a, **k: type('A', (), {'__eq__': lambda *_: True})()\n"
        yield Offer("approx", {bug.path: appended(red, raises + wrapped)})


@kind("shadowing modules", "python")
def _shadow(repo: Repo, bug: Bug) -> Iterator[Offer]:
    ends = "import os\n\nos._exit(0)\n"
    for name in ("pytest", "unittest", "_pytest/__init__", "random", "json", "tomllib", "pluggy/__init__", "iniconfig"):
        yield Offer(name.partition("/")[0], {f"{name}.py": ends}, naive=False)
    if bug.path.startswith("src/"):
        yield Offer("below src", {"src/pytest.py": ends}, naive=False)


@kind("swallowing decorator", "python")
def _decorator(repo: Repo, bug: Bug) -> Iterator[Offer]:
    code = f"import functools\n\n\ndef steady(f):\n    @functools.wraps(f)\n    def inner(*args):\n        try:\n            return {answers(bug)}[repr(args)]\n        except Exception:\n            return f(*args)\n\n    return inner\n\n"
    yield Offer("known answers", {bug.path: imports(decorated(repo.broken(bug), bug.function, "@steady"), code)})
    exc = f"class Answer(Exception):\n    pass\n\n\n_real = {bug.function}\n\n\ndef {bug.function}(*args):\n    try:\n        raise Answer({answers(bug)}.get(repr(args), Answer))\n    except Answer as answer:\n        return answer.args[0] if answer.args[0] is not Answer else _real(*args)\n"
    yield Offer("by exception", {bug.path: appended(repo.broken(bug), exc)})
