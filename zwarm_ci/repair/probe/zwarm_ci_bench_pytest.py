"""Collects with pytest in this process and hands the items over, instead of running them."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import Any, Callable, Dict, List, Set, Tuple

import pytest


class Suite:
    """The collected items: `targets` in their own order, `others` of the same files.

    `runner_files` are files of the tree that pytest itself runs on, as plugins.
    """

    def __init__(self, order: Dict[str, Any], items: List[Any], config: Any, runner_files: List[str]) -> None:
        self.runner_files = runner_files
        self._config = config
        self._names: Dict[Any, str] = {}
        self.targets: List[Any] = []
        self.others: List[Any] = []
        wanted = {_where(order, i): i for i in order["targets"]}
        for item in items:
            path = os.path.realpath(str(getattr(item, "path", None) or item.fspath))
            rest = item.nodeid.partition("::")[2]
            target = wanted.get((path, rest)) or wanted.get((path, ""))
            self._names[item] = target or "{}::{}".format(os.path.relpath(path, os.path.realpath(order["cwd"])), rest)
            (self.targets if target else self.others).append(item)

    def name(self, item: Any) -> str:
        """The item's id, for a target the one that was asked for."""
        return self._names[item]

    def covered(self) -> Set[str]:
        """The targets that at least one item stands for."""
        return {self._names[item] for item in self.targets}

    def run(self, item: Any) -> bool:
        """Whether every phase of the test passed."""
        recorder = _Recorder()
        self._config.pluginmanager.register(recorder)
        try:
            self._config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        finally:
            self._config.pluginmanager.unregister(recorder)
        return bool(recorder.outcomes) and set(recorder.outcomes) == {"passed"}


class _Recorder:
    def __init__(self) -> None:
        self.outcomes: List[str] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.outcomes.append(report.outcome)


class _Plugin:
    def __init__(self, order: Dict[str, Any], serve: Callable[[Suite], Any]) -> None:
        self.order, self.serve = order, serve
        self.value: Any = None
        self.runner_files: List[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_load_initial_conftests(self) -> None:
        # What is loaded by now from the tree is a plugin that pytest runs on: an edit there can turn every test off.
        root = self.order["root"] + os.sep
        files = [getattr(m, "__file__", None) or "" for m in list(sys.modules.values())]
        self.runner_files = sorted(f[len(root) :] for f in files if f.startswith(root))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: Any) -> bool:
        self.value = self.serve(Suite(self.order, session.items, session.config, self.runner_files))
        return True


def collect(order: Dict[str, Any], serve: Callable[[Suite], Any]) -> Any:
    """Collect the targets' files and return what `serve(suite)` returns; None where it never came to that."""
    plugin = _Plugin(order, serve)
    files = list(dict.fromkeys(_where(order, i)[0] for i in order["targets"]))
    quiet = ["-p", "no:cacheprovider", "--continue-on-collection-errors"]
    # In this process, whatever the settings say, and without a measurement that would trace for itself.
    quiet += ["-n0"] if find_spec("xdist") else []
    quiet += ["--no-cov"] if find_spec("pytest_cov") else []
    pytest.main([*order["options"], *quiet, *files], plugins=[plugin])
    return plugin.value


def _where(order: Dict[str, Any], test_id: str) -> Tuple[str, str]:
    """(real path of the file, the rest of the id); ids are relative to pytest's root, which is the working folder or above it."""
    name, _, rest = test_id.partition("::")
    for folder in (order["cwd"], order["root"]):
        path = os.path.join(folder, name)
        if os.path.exists(path):
            return os.path.realpath(path), rest
    return os.path.realpath(os.path.join(order["cwd"], name)), rest
