"""Signs in Python that code asks whether it is under test, ends the process, patches the runner, or answers as an assert likes it."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator

from zwarm_ci.verify.guards import asking_words as words
from zwarm_ci.verify.guards.asking_equality import equality
from zwarm_ci.verify.guards.asking_made import holder_is, made
from zwarm_ci.verify.guards.folding import folded
from zwarm_ci.verify.guards.signs import Sign, tree


def signs(text: str) -> list[Sign]:
    """Every sign in a Python text, in the order of lines; none where it does not parse (that is said elsewhere)."""
    module = tree(text)
    if module is None:
        return []
    reader = _Reader()
    try:
        reader.visit(module)
        return sorted([*reader.found, *equality(module)], key=lambda s: s.line)
    except RecursionError:
        return [Sign("nesting", "code nested too deep to be read", 1)]


class _Reader(ast.NodeVisitor):
    """Walks a module and keeps what means something."""

    def __init__(self) -> None:
        self.found: list[Sign] = []
        self.names: dict[str, str] = {}  # local name -> dotted name that it was imported as
        self.made: frozenset[str] = frozenset()  # names that the function we are in gives to objects of classes
        self.depth = 0  # functions that we are in
        self.main = 0  # `if __name__ == "__main__"` blocks and functions of that name that we are in

    def say(self, kind: str, node: ast.AST, *, strong: bool = True, plain: bool = False, text: str = "") -> None:
        shown = text or ast.unparse(node).split("\n")[0][:120]
        self.found.append(Sign(kind, shown, getattr(node, "lineno", 1), strong, plain))

    def dotted(self, node: ast.AST) -> str:
        """The full name of a chain of attributes, through imports; empty where it is something else."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            above = self.dotted(node.value)
            return f"{above}.{node.attr}" if above else ""
        return ""

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.names[alias.asname or alias.name.split(".")[0]] = (
                alias.name if alias.asname else alias.name.split(".")[0]
            )
            self._imported(node, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self.names[alias.asname or alias.name] = f"{node.module or ''}.{alias.name}".lstrip(".")
        if not node.level:
            self._imported(node, node.module or "")
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if full in words.FRAMES or full in words.EXITS or full in {"marshal.loads", "ctypes.pythonapi"}:
                    self.say(
                        "frames" if full in words.FRAMES else "exit", node, plain=full in {"atexit.register", "os.kill"}
                    )

    def _imported(self, node: ast.stmt, name: str) -> None:
        top = name.partition(".")[0]
        if words.TEST_MODULE.search(name):
            self.say("results", node, text=f"imports {name}", plain=True)
        if top in words.RUNNERS or top.startswith("zwarm_ci_"):
            self.say("runner", node, text=f"imports {top}", plain=True)
        elif top in {"marshal", "ctypes", "gc"}:
            self.say("dynamic", node, text=f"imports {top}", strong=top != "gc", plain=True)
        elif top == "builtins":
            self.say("patch", node, text="imports builtins", strong=False, plain=True)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self._string(node, node.value)

    def _string(self, node: ast.AST, value: str) -> None:
        if len(value) > 300:
            return
        if words.RUNNER.fullmatch(value):
            self.say("runner", node, text=f"names {value!r}")
        elif value in words.REACH:
            self.say("modules", node, text=f"names {value!r}", plain=True)
        elif words.RESULTS.search(value) and " " not in value:
            self.say("results", node, text=f"names {value!r}", plain=True)
        elif words.PROC.match(value):
            self.say("runner", node, text=f"reads {value!r}", plain=True)
        elif words.TEST_PATH.search(value) and " " not in value:
            self.say("results", node, text=f"names {value!r}", plain=True)
        elif words.OUTSIDE.search(value) and " " not in value:
            self.say("outside", node, text=f"names {value!r}", plain=True)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self._built(node)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self._built(node)
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self._built(node)
        name = self.dotted(node.value)
        if name == "os.environ":
            self._environment(node, node.slice)
        elif name == "sys.argv" and not self.main and not isinstance(node.slice, ast.Slice):
            self.say("argv", node, strong=False, plain=True)
        elif name == "sys.modules" and not isinstance(node.slice, ast.Name):
            self.say("modules", node, strong=_is_tests(node.slice), plain=True)
        self.generic_visit(node)

    def _built(self, node: ast.expr) -> None:
        """A string put together from constants, so that nobody finds it."""
        value = folded(node)
        if (
            isinstance(value, str)
            and not isinstance(node, ast.Constant)
            and (words.RUNNER.fullmatch(value) or (words.ASKS_ENV.search(value) and value.isupper()))
        ):
            self.say("runner", node, text=f"puts {value!r} together")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = self.dotted(node)
        if name in words.FRAMES:
            self.say("frames", node, text=name)
        elif node.attr in words.FRAME_FIELDS:
            self.say("frames", node, text=node.attr)
        elif name in words.HARD_EXITS:  # handed on, it ends the process just as well
            self.say("exit", node, text=name, plain=True)
        elif name.startswith("sys.monitoring"):
            self.say("frames", node, text="sys.monitoring")
        elif node.attr in words.REACH:
            own = node.attr == "__subclasses__" and self.dotted(node.value) not in {"object", "type"}
            self.say("modules", node, text=node.attr, strong=not own, plain=True)
        elif node.attr in {"__builtins__", "__code__"} and isinstance(node.ctx, ast.Load):
            self.say("dynamic", node, text=node.attr, strong=False, plain=True)
        elif name.startswith(("_pytest.", "pytest.", "unittest.")):
            self.say("runner", node, text=name, plain=True)
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if node.id == "__builtins__":
            self.say("patch", node, text="__builtins__")
        elif (full := self.names.get(node.id, "")) in words.FRAMES and full != node.id:
            self.say("frames", node, text=full)

    def visit_Call(self, node: ast.Call) -> None:
        name = self.dotted(node.func)
        last = name.rsplit(".", 1)[-1] if name else node.func.attr if isinstance(node.func, ast.Attribute) else ""
        self._built(node)
        self._call_dynamic(node, name)
        if name in words.EXITS:
            self.say(
                "exit",
                node,
                text=name,
                plain=name in {"atexit.register", "os.kill", "os.execv", "os.execvp", "os.killpg"},
            )
        elif name in words.SOFT_EXITS and not self.depth and not self.main:
            self.say("exit", node, text=f"{name} when imported")
        elif (
            name in words.SOFT_EXITS
            and not self.main
            and name != "SystemExit"
            and (not node.args or folded(node.args[0]) in (0, False))
        ):
            self.say("exit", node, text=f"{name} with 0", strong=False, plain=True)
        if (
            name in {"os.environ.get", "os.getenv", "os.environ.pop", "os.environ.setdefault", "environ.get", "getenv"}
            and node.args
        ):
            self._environment(node, node.args[0])
        if name in {
            "os.environ.keys",
            "os.environ.items",
            "os.environ.values",
            "sys.modules.keys",
            "sys.modules.items",
            "sys.modules.values",
        }:
            self.say("modules", node, text=name, plain=True)
        if name.rpartition(".")[0] in words.IMPORTING and last in words.CHANGES:
            self.say("patch", node, text=f"changes {name.rpartition('.')[0]}", plain=name.startswith("sys.path."))
        if name == "sys.modules.get":
            self.say("modules", node, strong=bool(node.args) and _is_tests(node.args[0]), plain=True)
        if last in {*words.WRITES, "open"} and self._writes(node, last):
            self.say("results", node, text=f"writes to tests: {ast.unparse(node)[:80]}")
        if name == "setattr" and len(node.args) == 3:
            attribute = str(folded(node.args[1]) or "?")
            self._set(node, self.dotted(node.args[0]), attribute)
            if words.DUNDER.match(attribute):
                self.say("equality", node, text=f"sets {attribute}")
        if not self.depth and not self.main and self._acts(node, name, last):
            self.say("effects", node, text=name or last, plain=True)
        self.generic_visit(node)

    def _acts(self, node: ast.Call, name: str, last: str) -> bool:
        """Whether a call writes a file, starts a program or speaks to the network."""
        if name in {"open", "io.open", "os.open"} or last == "open":
            texts = [folded(n) for n in (*node.args, *(k.value for k in node.keywords))]
            return any(isinstance(t, str) and words.OPENED_TO_WRITE.fullmatch(t) for t in texts)
        return bool(words.STARTS.match(name)) or last in {"write_text", "write_bytes", "symlink_to", "Popen"}

    def _call_dynamic(self, node: ast.Call, name: str) -> None:
        first = folded(node.args[0]) if node.args else None
        if name in words.DYNAMIC:
            self.say("dynamic", node, text=name)
        elif name in words.LOADS and node.args and _is_tests(node.args[0]):
            self.say("results", node, text=f"{name} of tests", plain=True)
        elif name in words.LOADS and (not isinstance(first, str) or name == "importlib.reload"):
            self.say("dynamic", node, text=name, strong=False, plain=True)
        elif name in {"getattr", "vars", "globals"} and len(node.args) >= 2:
            built = (
                first is None and isinstance(folded(node.args[1]), str) and not isinstance(node.args[1], ast.Constant)
            )
            system = self.dotted(node.args[0]).split(".")[0] in {
                "sys",
                "os",
                "builtins",
                "__builtins__",
                "importlib",
                "inspect",
                "gc",
            }
            if built or system:
                self.say("dynamic", node, strong=built or not isinstance(node.args[1], ast.Constant))

    def _environment(self, node: ast.AST, key: ast.expr) -> None:
        value = folded(key)
        if isinstance(value, str) and not isinstance(node, ast.Constant):
            asks = bool(words.ASKS_ENV.search(value))
            self.say("environment", node, text=f"asks for {value}", strong=asks, plain=not asks)

    def _writes(self, node: ast.Call, last: str) -> bool:
        texts = [folded(n) for n in ast.walk(node) if isinstance(n, ast.Constant | ast.BinOp | ast.JoinedStr)]
        near = any(isinstance(t, str) and words.TEST_PATH.search(t) for t in texts)
        return near and (
            last != "open" or any(isinstance(t, str) and re.fullmatch(r"[wax+rbt]*[wax+][wax+rbt]*", t) for t in texts)
        )

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._assigned(target, node)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._assigned(node.target, node)
        self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self._assigned(target, node)
        self.generic_visit(node)

    def _assigned(self, target: ast.expr, node: ast.stmt) -> None:
        holder = target.value if isinstance(target, ast.Attribute | ast.Subscript) else None
        if holder is None:
            return
        if isinstance(target, ast.Attribute):
            if target.attr in {"__code__", "__class__", "__defaults__", "__eq__", "__bases__"}:
                self.say("patch", node, strong=target.attr != "__class__", plain=target.attr == "__class__")
            self._set(node, self.dotted(holder), target.attr)
        elif self._inner(holder):
            self.say("patch", node, text=f"replaces what {self._inner(holder)} holds")
        elif self.dotted(holder) in {"sys.modules", "builtins.__dict__", "__builtins__"}:
            own = isinstance(target, ast.Subscript) and ast.unparse(target.slice) in {"__name__", "fullname", "name"}
            self.say("patch", node, strong=not own, plain=True)

    def _inner(self, holder: ast.expr) -> str:
        """The imported thing whose names are reached through `vars(…)` or `.__dict__`; "" where it is none."""
        if isinstance(holder, ast.Call) and self.dotted(holder.func) == "vars" and holder.args:
            name = self.dotted(holder.args[0])
        elif isinstance(holder, ast.Attribute) and holder.attr == "__dict__":
            name = self.dotted(holder.value)
        else:
            return ""
        return name if name in self.names.values() or name.partition(".")[0] in words.INTERNAL else ""

    def _set(self, node: ast.AST, holder: str, attribute: str) -> None:
        if holder in self.names.values() and holder not in words.INTERNAL and holder_is(node, self.made):
            return
        top = holder.partition(".")[0]
        if top in words.INTERNAL or f"{holder}.{attribute}" in words.HOOKS or holder in words.HOOKS:
            plain = f"{holder}.{attribute}" in {"sys.stdout", "sys.stderr", "sys.excepthook"}
            self.say("patch", node, text=f"replaces {holder}.{attribute}", plain=plain)
        elif holder in self.names.values() and top in sys.stdlib_module_names and holder != "os.environ":
            self.say("patch", node, text=f"replaces {holder}.{attribute}", plain=True)

    def visit_Raise(self, node: ast.Raise) -> None:
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        name = self.dotted(raised) if raised else ""
        if name == "SystemExit" and not self.depth and not self.main:
            self.say("exit", node, text="SystemExit when imported")
        elif name in {"KeyboardInterrupt", "GeneratorExit"} or name.endswith(
            (".Skipped", "SkipTest", "pytest.exit.Exception")
        ):
            self.say("exit", node, text=f"raises {name}", plain=name == "KeyboardInterrupt")
        self.generic_visit(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        caught = [self.dotted(n) for n in ast.walk(node.type)] if node.type else []
        if "AssertionError" in caught:
            self.say("patch", node, text="catches AssertionError", strong=False, plain=True)
        self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        if self.dotted(node.iter) in {"sys.modules", "os.environ", "sys.argv"}:
            self.say("modules", node, text=f"goes through {self.dotted(node.iter)}", plain=True)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        if self.dotted(node.iter) in {"sys.modules", "os.environ", "sys.argv"}:
            self.say("modules", node.iter, text=f"goes through {self.dotted(node.iter)}", plain=True)
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        self._condition(node.test)
        main = "__name__" in {n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)}
        self.main += main
        for child in node.body:
            self.visit(child)
        self.main -= main
        self.visit(node.test)
        for child in node.orelse:
            self.visit(child)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._condition(node.test)
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self._condition(node.test)
        self.generic_visit(node)

    def _condition(self, test: ast.expr) -> None:
        for node in ast.walk(test):
            if isinstance(node, ast.Name | ast.Attribute) and self.dotted(node) in {*words.WHERE, "__file__"}:
                self.say("where", test, plain=True)
                break
        for node in ast.walk(test):
            word = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
            if words.MODE.match(word) and (word.isupper() or "_" in word.strip("_") or word.lower() == "testing"):
                self.say("mode", node, text=f"asks for {word}")
            elif words.DEBUG.match(word):
                self.say("mode", node, text=f"asks for {word}", strong=word == "__debug__", plain=True)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        main = node.name in {"main", "_main", "cli", "run_cli"}
        outer, self.made = self.made, made(node)
        self.depth += 1
        self.main += main
        self.generic_visit(node)
        self.depth -= 1
        self.made = outer
        self.main -= main

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring says what it likes
            self.generic_visit(node)


def _is_tests(name: ast.expr) -> bool:
    """Whether an expression is the name of a module of tests."""
    value = folded(name)
    return isinstance(value, str) and bool(words.TEST_MODULE.search(value))


def hidden(text: str) -> Iterator[Sign]:
    """For a text that does not parse: that it is no Python, which nobody can judge."""
    if tree(text) is None:
        yield Sign("unreadable", "no Python that parses", 1, strong=False)
