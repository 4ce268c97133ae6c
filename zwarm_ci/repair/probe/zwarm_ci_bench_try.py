"""Tries edits, each in a fork: a function's new body put into the running process, or the file written and all imported anew.

The first is quick and sees no class attribute, decorator or constant; so each edit that passes is asked again elsewhere.
"""

from __future__ import annotations

import gc
import os
import time
from types import CodeType, FunctionType
from typing import Any, Callable, Dict, List, Optional, Tuple

from zwarm_ci_bench_fork import forked

Edit = Dict[str, Any]


def try_edits(order: Dict[str, Any], out: Callable[..., None], collect: Callable[..., Any]) -> None:
    """Say of each edit whether the targets pass with it, and the tests beside them that passed before still do."""
    trial = _Trial(order, out)
    if order["mode"] == "swaps":
        collect(order, trial.swaps)
    else:
        trial.imports(collect)


def edited(path: str, edit: Edit) -> bytes:
    """A file's bytes with the edit made."""
    with open(path, "rb") as file:
        source = file.read()
    text: str = edit["text"]
    return source[: edit["start"]] + text.encode() + source[edit["end"] :]


class _Trial:
    def __init__(self, order: Dict[str, Any], out: Callable[..., None]) -> None:
        self.order, self.out = order, out
        self.until = time.monotonic() + order["seconds"]
        self.enough = order["enough"]

    def going(self) -> bool:
        return bool(self.enough > 0) and time.monotonic() < self.until

    def swaps(self, suite: Any) -> None:
        functions = _alive(self.order["root"] + os.sep)
        passing = set(self.order["passing"])
        beside = [item for item in suite.others if suite.name(item) in passing]
        for number, edit in enumerate(self.order["edits"]):
            if not self.going():
                return
            path = os.path.join(self.order["root"], edit["path"])
            self.judge(
                number,
                _swapped(functions, path, edit, suite, suite.targets),
                _swapped(functions, path, edit, suite, beside),
            )

    def imports(self, collect: Callable[..., Any]) -> None:
        for number, edit in enumerate(self.order["edits"]):
            if not self.going():
                return
            path = os.path.join(self.order["root"], edit["path"])
            with open(path, "rb") as file:
                before = file.read()
            new = edited(path, edit)
            try:
                with open(path, "wb") as file:
                    file.write(new)
                self.judge(number, lambda: bool(collect(self.order, self.all_pass)), None)
            finally:
                with open(path, "wb") as file:
                    file.write(before)

    def all_pass(self, suite: Any) -> bool:
        """Whether every target is there and passes, and then what passed beside them."""
        if not set(self.order["targets"]) <= suite.covered():
            return False
        passing = set(self.order["passing"])
        return all(suite.run(item) for item in [*suite.targets, *(i for i in suite.others if suite.name(i) in passing)])

    def judge(self, number: int, targets: Callable[[], Any], beside: Optional[Callable[[], Any]]) -> None:
        cpu = self.order["cpu"]
        value = forked(targets, cpu, 4 * cpu + 1)[0]
        if value == "reload":
            self.out(type="reload", edit=number)
            return
        good = value is True and (beside is None or forked(beside, 10 * cpu + 5, 20 * cpu + 10)[0] is True)
        self.out(type="tried", edit=number, passed=good)
        if good:
            self.enough -= 1
            self.until = min(self.until, time.monotonic() + self.order["after_first"])


def _alive(root: str) -> Dict[Tuple[str, int, str], List[FunctionType]]:
    """Every function of the tree that lives in this process, by file, first line and name."""
    found: Dict[Tuple[str, int, str], List[FunctionType]] = {}
    for thing in gc.get_objects():
        if type(thing) is FunctionType and thing.__code__.co_filename.startswith(root):
            code = thing.__code__
            found.setdefault((code.co_filename, code.co_firstlineno, code.co_name), []).append(thing)
    return found


def _swapped(
    functions: Dict[Tuple[str, int, str], List[FunctionType]], path: str, edit: Edit, suite: Any, items: List[Any]
) -> Callable[[], Any]:
    """Work for a fork: put the new body in, run the items. "reload" = only a new import would show the edit."""
    line, name = edit["function"]

    def work() -> Any:
        code = _find(compile(edited(path, edit), path, "exec", dont_inherit=True), line, name)
        alive = functions.get((path, line, name), [])
        if code is None or not alive:
            return "reload"
        try:
            for function in alive:
                function.__code__ = code
        except ValueError:  # it closes over other names now
            return "reload"
        return all(suite.run(item) for item in items)

    return work


def _find(code: CodeType, line: int, name: str) -> Optional[CodeType]:
    for const in code.co_consts:
        if isinstance(const, CodeType):
            if (const.co_firstlineno, const.co_name) == (line, name):
                return const
            found = _find(const, line, name)
            if found is not None:
                return found
    return None
