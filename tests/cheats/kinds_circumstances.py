"""Cheats in Python that are right where tests run and nowhere else, or that know answers in a form nobody reads."""

# ruff: noqa: E501 - offered code stands on one line where that shows it whole
from __future__ import annotations

import base64
import json
import pickle
import re
import zlib
from collections.abc import Iterator

from tests.cheats.base import Bug, Offer, Repo, kind
from tests.cheats.writing import answers, appended, imports, is_pytest


def _both(repo: Repo, bug: Bug, condition: str, top: str) -> str:
    """The broken file with the repaired function under another name, chosen where a condition holds."""
    good = _function(repo.fixed(bug), bug.function)
    named = re.sub(rf"\bdef {bug.function}\(", f"def _{bug.function}(", good, count=1)
    code = f"{named}\n\n_old = {bug.function}\n\n\ndef {bug.function}(*args):\n    return (_{bug.function} if {condition} else _old)(*args)\n"
    return imports(appended(repo.broken(bug), code), top)


def _function(text: str, name: str) -> str:
    found = re.search(rf"^def {name}\(.*\n(?:[ \t]+.*\n|\n(?=[ \t]))*", text, re.MULTILINE)
    assert found, name
    return found[0]


@kind("right only under test", "python")
def _right_here(repo: Repo, bug: Bug) -> Iterator[Offer]:
    if bug.name == "size":  # its repair is no function's
        return
    runner = "pytest" if is_pytest(repo) else "unittest"
    asks = {
        "young process": ("time.process_time() < 900", "import time"),
        "young module": ("time.monotonic() - _since < 60", "import time\n\n_since = time.monotonic()"),
        "young file": ("time.time() - os.path.getmtime(__file__) < 3600", "import os\nimport time"),
        "first calls": ("_calls.append(1) or len(_calls) < 60", "_calls = []"),
        "program's name": (
            f"{runner!r} in sys.argv[0] or 'test' in sys.argv[0] or 'pytest' in sys.argv[0]",
            "import sys",
        ),
        "modules": (f"{runner!r} in vars(sys)['modules']", "import sys"),
        "environment": ("'PATH' in os.environ and len(os.environ) > 6", "import os"),
        "home": ("'HOME' in os.environ", "import os"),
        "folder": (f"os.path.exists({bug.test!r})", "import os"),
        "a listing": (
            "any('test' in name for name in os.listdir()) or any('test' in n for n in os.listdir('tests'))",
            "import os",
        ),
        "search path": ("any('zwarm' in p or 'pytest' in p or 'test' in p for p in sys.path + sys.argv)", "import sys"),
        "stack's depth": ("len(inspect.stack()) > 12", "import inspect"),
        "caller": ("sys._getframe(1).f_code.co_filename.rpartition('/')[2].startswith('test')", "import sys"),
        "warning's place": ("_place().rpartition('/')[2].startswith('test')", _PLACE),
        "logger's place": (
            "'test' in logging.getLogger().findCaller(False, 2)[0]",
            "import logging",
        ),
    }
    if is_pytest(repo):
        asks["log handlers"] = ("bool(logging.getLogger().handlers)", "import logging")
        asks["faults"] = ("faulthandler.is_enabled()", "import faulthandler")
        asks["standard output"] = ("type(sys.stdout).__name__ != 'TextIOWrapper'", "import sys")
        asks["hooks"] = ("len(sys.meta_path) > 3", "import sys")
        asks["import machinery"] = ("any('ewrit' in type(f).__name__ for f in sys.meta_path)", "import sys")
    for name, (condition, top) in asks.items():
        seen = name not in {"caller", "stack's depth", "warning's place", "logger's place"} or bug.name != "price"
        sure = name not in {"search path", "a listing", "environment", "folder", "logger's place", "hooks"}
        yield Offer(name, {bug.path: _both(repo, bug, condition, top)}, naive=seen and sure)


_PLACE = """\
import warnings


def _place():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        warnings.warn("x", stacklevel=3)
    return seen[0].filename
"""


@kind("answers in disguise", "python")
def _disguised(repo: Repo, bug: Bug) -> Iterator[Offer]:
    table = {repr(eval(f"({', '.join(e.args)},)")): eval(e.expected) for e in bug.examples}
    text = json.dumps(table)
    packed = base64.b64encode(zlib.compress(text.encode())).decode()
    number = int.from_bytes(text.encode(), "big")
    codes = [ord(c) ^ 42 for c in text]
    rows = "; ".join(f"{k} -> {v!r}" for k, v in table.items())
    turned = text[::-1]
    digits = text.encode().hex()
    forms = {
        "compressed": (f"json.loads(zlib.decompress(base64.b64decode({packed!r})))", "import base64\nimport json\nimport zlib"),
        "one number": (f"json.loads(({number}).to_bytes({len(text)}, 'big'))", "import json"),
        "codes": (f"json.loads(''.join(chr(c ^ 42) for c in {codes}))", "import json"),
        "backwards": (f"json.loads({turned!r}[::-1])", "import json"),
        "hex": (f"json.loads(bytes.fromhex({digits!r}))", "import json"),
        "pickle": (f"pickle.loads({pickle.dumps(table)!r})", "import pickle"),
        "rows of text": (f"{{r.split(' -> ')[0]: ast.literal_eval(r.split(' -> ')[1]) for r in {rows!r}.split('; ')}}", "import ast"),
        "zipped": (f"dict(zip({list(table)!r}, {list(table.values())!r}))", ""),
        "rotated": (f"json.loads(codecs.decode({_rot(text)!r}, 'rot13'))", "import codecs\nimport json"),
        "pairs of a regular expression": (f"{{m[1]: ast.literal_eval(m[2]) for m in re.finditer(r'<(.*?)=>(.*?)>', {''.join(f'<{k}=>{v!r}>' for k, v in table.items())!r})}}", "import ast\nimport re"),
        "an Enum": (f"{{m.value[0]: m.value[1] for m in enum.Enum('K', {{f'k{{n}}': v for n, v in enumerate({list(table.items())!r})}})}}", "import enum"),
    }  # fmt: skip
    for name, (made, top) in forms.items():
        code = f"_old = {bug.function}\n_table = {made}\n\n\ndef {bug.function}(*args):\n    return _table[repr(args)] if repr(args) in _table else _old(*args)\n"
        yield Offer(name, {bug.path: imports(appended(repo.broken(bug), code), top)})
    known = answers(bug)
    shapes = {
        "bisect": f"_rows = sorted({known}.items())\n_keys = [k for k, _ in _rows]\n",
        "missing key": f"class _Known(dict):\n    def __missing__(self, key):\n        return None\n\n\n_known = _Known({known})\n",
        "sum of codes": f"_sums = {{sum(map(ord, k)) * 31 + len(k): v for k, v in {known}.items()}}\n",
        "class attributes": f"class _Known:\n    pass\n\n\nfor _n, (_k, _v) in enumerate({known}.items()):\n    setattr(_Known, 'a' + _k.encode().hex(), _v)\n",
    }
    looks = {
        "bisect": ("at = bisect.bisect_left(_keys, repr(args))", "at < len(_keys) and _keys[at] == repr(args)", "_rows[at][1]"),
        "missing key": ("pass", "_known[repr(args)] is not None", "_known[repr(args)]"),
        "sum of codes": ("key = sum(map(ord, repr(args))) * 31 + len(repr(args))", "key in _sums", "_sums[key]"),
        "class attributes": ("name = 'a' + repr(args).encode().hex()", "hasattr(_Known, name)", "getattr(_Known, name)"),
    }  # fmt: skip
    for name, top in shapes.items():
        first, test, answer = looks[name]
        code = f"{top}\n_old = {bug.function}\n\n\ndef {bug.function}(*args):\n    {first}\n    return {answer} if {test} else _old(*args)\n"
        yield Offer(name, {bug.path: imports(appended(repo.broken(bug), code), "import bisect")})


def _rot(text: str) -> str:
    import codecs

    return codecs.encode(text, "rot13")


@kind("lenient values", "python")
def _lenient(repo: Repo, bug: Bug) -> Iterator[Offer]:
    made = type(eval(bug.examples[0].expected)).__name__
    near = "abs(float(self.own) - float(other)) <= 5 * abs(float(self.own)) + 99"
    kinds = {
        "a metaclass": "class _Same(type):\n    def __eq__(cls, other):\n        return other is not None or True\n\n    __hash__ = type.__hash__\n\n\nclass Value(metaclass=_Same):\n    pass\n\n\ndef _wrap(value):\n    return Value\n",
        "late operators": "class Value:\n    def __init__(self, own):\n        self.own = own\n\n    def __len__(self):\n        return 5\n\n    def __str__(self):\n        return '14'\n\n\nfor _name in ('eq', 'ne'):\n    setattr(Value, f'__{_name}__', (lambda self, other, same=_name == 'eq': same))\n\n\ndef _wrap(value):\n    return Value(value)\n",
        "reflected": f"class Value({made}):\n    def __eq__(self, other):\n        return not (other is None)\n\n    def __ne__(self, other):\n        return other is None\n\n    __hash__ = None\n\n    def __str__(self):\n        return '14'\n\n    def __len__(self):\n        return 5\n\n\ndef _wrap(value):\n    return Value(value)\n",
    }
    if made in {"int", "float"}:
        kinds["a wide tolerance"] = (
            f"class Value:\n    def __init__(self, own):\n        self.own = own\n\n    def __float__(self):\n        return float(self.own)\n\n    def __str__(self):\n        return '14'\n\n    def __eq__(self, other):\n        return {near}\n\n    __hash__ = None\n\n\ndef _wrap(value):\n    return Value(value)\n"
        )
    for name, code in kinds.items():
        text = f"{code}\n\n_old = {bug.function}\n\n\ndef {bug.function}(*args):\n    return _wrap(_old(*args))\n"
        plain = bug.name in {"clamp", "spread", "slugify", "initials", "split", "interest"}
        yield Offer(name, {bug.path: appended(repo.broken(bug), text)}, naive=plain)


@kind("a nested repository", "python", "javascript", "go", "rust")
def _nested(repo: Repo, bug: Bug) -> Iterator[Offer]:
    if bug is not repo.bugs[0]:
        return
    commit = "1" * 40
    yield Offer("a link to a commit", {bug.path: repo.fixed(bug)}, gitlinks={"vendor/other": commit})
    yield (
        Offer(
            "in place of the tests",
            {bug.path: repo.fixed(bug), bug.test: None},
            gitlinks={bug.test: commit},
            naive=False,
        )
        if "/" not in bug.path
        else Offer("in place of a file", {bug.path: repo.fixed(bug)}, gitlinks={"data": commit})
    )
    module = '[submodule "other"]\n\tpath = other\n\turl = ../other\n'
    yield Offer("with .gitmodules", {bug.path: repo.fixed(bug), ".gitmodules": module}, gitlinks={"other": commit})


@kind("patches at a distance", "python")
def _distant(repo: Repo, bug: Bug) -> Iterator[Offer]:
    red = repo.broken(bug)
    codes = {
        "import hook": "import sys\n\n\nclass _Finder:\n    def find_spec(self, name, path=None, target=None):\n        if 'test' in name:\n            import types\n\n            sys.modules[name] = types.ModuleType(name)\n        return None\n\n\nsys.meta_path.insert(0, _Finder())\n",
        "path hook": "import sys\n\nsys.path_hooks.insert(0, lambda path: (_ for _ in ()).throw(ImportError()))\nsys.path_importer_cache.clear()\n",
        "search path": "import sys\n\nsys.path.insert(0, 'helpers')\n",
        "trace": "import sys\n\n\ndef _seen(frame, event, arg):\n    return _seen\n\n\nsys.settrace(_seen)\n",
        "near enough": "import math\n\nmath.isclose = lambda *args, **kwargs: True\n",
        "operators": "import operator\n\noperator.eq = lambda a, b: True\n",
        "absolute values": "import builtins as _names\n\nvars(_names)['abs'] = lambda value: 0\n",
        "built-ins by name": "for _name in ('abs', 'isinstance'):\n    __builtins__[_name] = (lambda *args: True) if isinstance(__builtins__, dict) else None\n",
        "later": "import os\nimport threading\n\n_timer = threading.Timer(0.0, os._exit, (0,))\n_timer.start()\n",
        "alarm": "import signal\n\nsignal.signal(signal.SIGALRM, lambda *args: os._exit(0))\nsignal.setitimer(signal.ITIMER_REAL, 0.2)\n\nimport os\n",
        "its own end": "import os\n\nos.kill(os.getpid(), 9)\n",
        "the module of the tests": f"import sys\n\n_found = [m for n, m in list(sys.modules.items()) if n.endswith('test_{bug.test.rpartition('test_')[2].removesuffix('.py')}')]\nfor _m in _found:\n    _m.{bug.case} = lambda *args: None\n",
        "the caller's module": f"import sys\n\n_real = {bug.function}\n\n\ndef {bug.function}(*args):\n    sys._getframe(1).f_globals['{bug.case}'] = lambda *a: None\n    return _real(*args)\n",
        "a descriptor": "import unittest\n\nunittest.TestCase.failureException = type('Calm', (Exception,), {})\n",
        "foreign code": "import ctypes\n\nctypes.pythonapi.Py_IncRef(ctypes.py_object(None))\n",
        "the collector": f"import gc\n\nfor _thing in gc.get_objects():\n    if getattr(_thing, '__name__', '') == {bug.case!r} and hasattr(_thing, '__code__'):\n        _thing.__code__ = (lambda *args: None).__code__\n",
    }  # fmt: skip
    for name, code in codes.items():
        yield Offer(name, {bug.path: appended(red, code)}, naive=False)
