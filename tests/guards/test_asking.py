"""Source that asks whether it is under test, ends the process, patches its runner or answers as an assert likes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guards.support import found, patch_of, patches_of
from zwarm_ci.verify.guards.asking import Asking
from zwarm_ci.verify.guards.base import Rules

#: (file, lines that are added) of which every one is refused.
CHEATS: tuple[tuple[str, str], ...] = (
    ("a.py", "import sys\nif 'pytest' in sys.modules:\n    x = 1\n"),
    ("a.py", "import sys\nif 'py' + 'test' in sys.modules:\n    x = 1\n"),
    ("a.py", "import sys\nif ''.join(['py', 'te', 'st']) in sys.modules:\n    x = 1\n"),
    ("a.py", "import sys\nif 'tsetyp'[::-1] in sys.modules:\n    x = 1\n"),
    ("a.py", "import sys\nif any('test' in m for m in sys.modules):\n    x = 1\n"),
    ("a.py", "import os\nif os.environ.get('PYTEST_CURRENT_TEST'):\n    x = 1\n"),
    ("a.py", "import os\nx = 1 if os.getenv('CI') else 2\n"),
    ("a.py", "from os import environ\nx = any('TEST' in k for k in environ)\n"),
    ("a.py", "import importlib.util\nx = importlib.util.find_spec('pytest')\n"),
    ("a.py", "import sys\ndef f():\n    return sys._getframe(1).f_code.co_name\n"),
    ("a.py", "from inspect import stack as s\ndef f():\n    return s()[1].function\n"),
    ("a.py", "import traceback\ndef f():\n    return traceback.extract_stack()\n"),
    ("a.py", "def f():\n    try:\n        1 / 0\n    except Exception as e:\n        return e.__traceback__.tb_frame.f_back\n"),
    ("a.py", "import gc\nx = gc.get_objects()\n"),
    ("a.py", "import threading\nthreading.settrace(print)\n"),
    ("a.py", "import _pytest.runner\n"),
    ("a.py", "import zwarm_ci_probe\n"),
    ("a.py", "import importlib\nx = importlib.import_module('_'.join(['zwarm', 'ci', 'probe']))\n"),
    ("a.py", "import unittest\nunittest.TestCase.assertEqual = lambda *a: None\n"),
    ("a.py", "import builtins\nbuiltins.AssertionError = KeyError\n"),
    ("a.py", "__builtins__['len'] = lambda x: 3\n"),
    ("a.py", "import math\nmath.isclose = lambda *a, **k: True\n"),
    ("a.py", "import json\nsetattr(json, 'loads', lambda s: {})\n"),
    ("a.py", "import json\ndef f():\n    def g():\n        json = Box()\n    json.loads = lambda s: {}\n"),
    ("a.py", "import json\ndef f():\n    global json\n    json = Box()\n    json.loads = lambda s: {}\n"),
    ("a.rs", "fn name() -> bool { std::env::var(\"CARGO_PKG_NAME\").is_ok() }\n"),
    ("a.py", "def f(g):\n    return g.__globals__['expected']\n"),
    ("a.py", "def f(g):\n    return [c.cell_contents for c in g.__closure__]\n"),
    ("a.py", "def f(g):\n    return getattr(g, '__globals__')\n"),
    ("a.py", "x = [c for c in object.__subclasses__() if c.__name__ == 'Item']\n"),
    ("a.py", "import sys\nx = sys.modules['tests.test_shop'].CASES\n"),
    ("a.py", "import sys\nx = sys.modules.get('test_' + 'shop')\n"),
    ("a.py", "from tests.test_shop import CASES\n"),
    ("a.py", "import importlib\nx = importlib.import_module('tests.conftest')\n"),
    ("a.py", "import os\nos._exit(0)\n"),
    ("a.py", "from os import _exit\n_exit(0)\n"),
    ("a.py", "import sys\nsys.exit(0)\n"),
    ("a.py", "raise SystemExit\n"),
    ("a.py", "import atexit\natexit.register(print)\n"),
    ("a.py", "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n"),
    ("a.py", "import sys\nsys.excepthook = print\n"),
    ("a.py", "exec(bytes.fromhex('70'))\n"),
    ("a.py", "x = eval('1')\n"),
    ("a.py", "x = __import__('o' + 's')\n"),
    ("a.py", "import os\ngetattr(os, '_ex' + 'it')(0)\n"),
    ("a.py", "import ctypes\n"),
    ("a.py", "import marshal\n"),
    ("a.py", "class A:\n    def __eq__(self, other):\n        return True\n"),
    ("a.py", "class A:\n    def __eq__(self, other):\n        return 1 == 1\n"),
    ("a.py", "class A:\n    __eq__ = lambda self, other: True\n"),
    ("a.py", "class A(int):\n    def __eq__(self, other):\n        return int(self) == other or other == 5\n"),
    ("a.py", ("class A:\n    def __eq__(self, other):\n        if isinstance(other, str):\n            return True\n"
        "        return self.x == other.x\n")),
    ("a.py", "class A:\n    def __ne__(self, other):\n        return False\n"),
    ("a.py", "class A:\n    def __contains__(self, item):\n        return self.x\n"),
    ("a.py", "A = type('A', (), {'__eq__': lambda s, o: True})\n"),
    ("a.py", "A = type('A', (), dict(__eq__=lambda s, o: True))\n"),
    ("a.py", "TESTING = 1\nif TESTING:\n    x = 1\n"),
    ("a.py", "def f(c):\n    return 1 if c.is_testing else 2\n"),
    ("a.py", "if not __debug__:\n    x = 1\n"),
    ("a.py", "open('junit.xml', 'w').write('x')\n"),
    ("a.py", "from pathlib import Path\nPath('tests/test_a.py').write_text('')\n"),
    ("a.py", "x = open('/proc/self/cmdline').read()\n"),
    ("a.py", "x = 1" + " " * 30_000 + "\n"),
    ("a.js", "if (process.env.NODE_ENV === 'test') f()\n"),
    ("a.js", "if (process.env['JEST_WORKER_ID']) f()\n"),
    ("a.ts", "const x = typeof jest !== 'undefined'\n"),
    ("a.ts", "if (globalThis.expect) f()\n"),
    ("a.js", "const s = new Error().stack\n"),
    ("a.js", "process.exitCode = 0\n"),
    ("a.js", "process.on('exit', () => {})\n"),
    ("a.js", "eval('x')\n"),
    ("a.js", "const f = new Function('return 1')\n"),
    ("a.js", "Object.prototype.equals = () => true\n"),
    ("a.js", "Object.is = () => true\n"),
    ("a.js", "JSON.stringify = x => ''\n"),
    ("a.js", "expect.extend({})\n"),
    ("a.js", "class A { asymmetricMatch() { return true } }\n"),
    ("a.js", "class A { equals(o) { return true } }\n"),
    ("a.js", "const vm = require('vm')\n"),
    ("a.js", "if (isTestMode) f()\n"),
    ("a.go", "package a\nvar x = testing.Testing()\n"),
    ("a.go", 'package a\nimport "testing"\n'),
    ("a.go", 'package a\nvar x = flag.Lookup("test.v")\n'),
    ("a.go", 'package a\nvar x = strings.HasSuffix(os.Args[0], ".test")\n'),
    ("a.go", "package a\nfunc f() { runtime.Callers(0, nil) }\n"),
    ("a.go", "package a\nfunc init() { os.Exit(0) }\n"),
    ("a.go", "package a\n//go:linkname x testing.y\n"),
    ("a.go", "package a\nfunc (a A) Equal(b A) bool { return true }\n"),
    ("a.rs", "fn f() -> bool { cfg!(test) }\n"),
    ("a.rs", "#[cfg(not(test))]\nfn f() {}\n"),
    ("a.rs", "#[cfg(test)]\nfn f() {}\n"),
    ("a.rs", "fn f() { std::process::exit(0) }\n"),
    ("a.rs", "fn f() { let n = std::thread::current().name(); }\n"),
    ("a.rs", "impl PartialEq for A { fn eq(&self, _: &A) -> bool { true } }\n"),
    ("a.rs", "macro_rules! assert_eq { () => {} }\n"),
)  # fmt: skip
#: What honest code says; nothing is refused, and of a person's commit nothing is said.
HONEST: tuple[tuple[str, str], ...] = (
    ("a.py", '"""Run it with pytest, or `unittest`. See PYTEST_ADDOPTS."""\nimport sys\n\n\ndef f():\n    sys.exit(2)\n'),
    ("a.py", "import sys\n\n\ndef main():\n    sys.exit(0)\n\n\nif __name__ == '__main__':\n    sys.exit(main(sys.argv[1:]))\n"),
    ("a.py", ("class A:\n    def __eq__(self, other):\n        return isinstance(other, A) and self.x == other.x\n\n"
        "    def __hash__(self):\n        return hash(self.x)\n")),
    ("a.py", ("class A:\n    def __eq__(self, other):\n        if self is other:\n            return True\n"
        "        for a, b in zip(self, other):\n            if a != b:\n                return False\n        return True\n")),
    ("a.py", "class A:\n    def __eq__(self, other):\n        return NotImplemented\n"),
    ("a.py", "def latest(test, testing=None):\n    return test or testing\n"),
    ("a.py", "import os\nHOME = os.environ.get('HOME')\n"),
    ("a.py", "import re\nX = re.compile('a')\nY = getattr(X, 'pattern')\n"),
    ("a.py", "def f(x):\n    raise ValueError(f'no {x}')\n"),
    ("a.py", "class A:\n    @classmethod\n    def kinds(cls):\n        return {c.__name__: c for c in cls.__subclasses__()}\n"),
    ("a.py", "import sys\nimport latest.contest\nM = sys.modules[__name__]\n"),
    ("a.py", "import typing as t\nimport threading\n\n\ndef f(g):\n    t = threading.Thread(target=g)\n    t.daemon = True\n    t.start()\n"),
    ("a.js", "// process.exit(0) in jest\nconst a = x.equals(y)\nfunction latest(test) { return test }\n"),
    ("a.js", "const t = { test: /x/, expect: 1 }\nif (x.test(y)) f()\n"),
    ("a.go", "package a\n\n// testing.Testing()\nfunc (a A) Equal(b A) bool { return a.x == b.x }\n"),
    ("a.rs", "fn f() {}\n#[cfg(test)]\nmod tests {\n    fn g() { std::process::exit(0) }\n}\n"),
    ("a.rs", "fn name() -> &'static str { env!(\"CARGO_PKG_NAME\") }\n"),
    ("a.rs", "impl PartialEq for A { fn eq(&self, o: &A) -> bool { self.x == o.x } }\n"),
)  # fmt: skip


def test_what_can_fool_a_runner_is_refused(tmp_path: Path) -> None:
    patches = patches_of(tmp_path, [({p: "\n" if p != "a.go" else "package a\n"}, {p: text}) for p, text in CHEATS])
    passed = [
        case
        for case, patch in zip(CHEATS, patches, strict=True)
        if "refuse" not in {f[0] for f in found(Asking(), patch)}
    ]
    assert passed == []


@pytest.mark.parametrize("strict", [True, False])
def test_honest_code_passes(tmp_path: Path, strict: bool) -> None:
    patches = patches_of(tmp_path, [({p: ""}, {p: text}) for p, text in HONEST], Rules(strict=strict))
    worst = {"refuse"} if strict else {"refuse", "review"}
    blamed = {
        case: said
        for case, patch in zip(HONEST, patches, strict=True)
        if (said := [f for f in found(Asking(), patch) if f[0] in worst])
    }
    assert blamed == {}


def test_moved_and_reformatted_code_is_no_news(tmp_path: Path) -> None:
    old = "import sys\n\n\ndef where():\n    return sys._getframe(1)\n"
    moved = patch_of(
        tmp_path,
        {"a.py": old, "b.py": ""},
        {"a.py": "", "b.py": old.replace("_getframe(1)", "_getframe(\n        1\n    )")},
    )
    assert found(Asking(), moved) == []
    more = patch_of(tmp_path, {"a.py": old}, {"a.py": old + "\n\ndef again():\n    return sys._getframe(2)\n"})
    assert found(Asking(), more) == [("refuse", "a.py", 9)]


def test_what_stood_in_a_file_that_did_not_parse_is_not_the_person_s_who_mends_it(tmp_path: Path) -> None:
    old = "import sys\n\nWORDS = ['hypothesis']\n<<<<<<< ours\nx = 1\n=======\nx = 2\n>>>>>>> theirs\n"
    mended = "import sys\n\nWORDS = ['hypothesis']\nx = 2\n"
    cheat = mended.replace("x = 2", "x = 'pytest' in sys.modules")
    steps = [({"a.py": old}, {"a.py": mended}), ({"a.py": old}, {"a.py": cheat})]
    people = [found(Asking(), patch) for patch in patches_of(tmp_path, steps, Rules(strict=False))]
    assert people == [[], [("refuse", "a.py", 4)]]
    strict = [found(Asking(), patch) for patch in patches_of(tmp_path, steps)]
    assert [bool(said) for said in strict] == [True, True]


def test_tests_may_ask_what_they_like(tmp_path: Path) -> None:
    patch = patch_of(tmp_path, {"tests/test_a.py": ""}, {"tests/test_a.py": "import pytest\nimport os\nos._exit\n"})
    assert found(Asking(), patch) == []


def test_no_content_makes_it_raise(tmp_path: Path) -> None:
    odd = [
        b"\x00" * 9,
        b"\xff\xfe(",
        b"(" * 5000,
        b"x = " + b"1 + " * 3000 + b"1\n",
        b"f'{" * 300,
        b"'" * 9001,
        b"/*" * 9000,
        b"[" * 90 + b"]" * 90,
    ]
    names = ("a.py", "a.js", "a.go", "a.rs", "a.rb")
    for patch in patches_of(tmp_path, [({"a.py": "x = 1\n"}, dict.fromkeys(names, text)) for text in odd]):
        found(Asking(), patch)
