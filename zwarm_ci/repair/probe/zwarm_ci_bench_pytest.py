"""Collects with pytest in this process and hands the items over, instead of running them."""

import os
import sys

import pytest


class Suite:
    """The collected items: `targets` in their own order, `others` of the same files."""

    def __init__(self, order, items, config, runner_files):
        self.order, self.config, self.runner_files = order, config, runner_files
        wanted = {_where(order, i): i for i in order["targets"]}
        self.targets, self.others, self._names = [], [], {}
        for item in items:
            path = os.path.realpath(str(getattr(item, "path", None) or item.fspath))
            rest = item.nodeid.partition("::")[2]
            name = wanted.get((path, rest)) or wanted.get((path, ""))
            self._names[item] = name or _relative(order, path) + "::" + rest
            (self.targets if name else self.others).append(item)

    def name(self, item):
        return self._names[item]

    def covered(self):
        """The targets that at least one item stands for."""
        return {self._names[item] for item in self.targets}

    def run(self, item):
        """Whether every phase of the test passed."""
        seen = []
        recorder = _Recorder(seen)
        self.config.pluginmanager.register(recorder)
        try:
            self.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        finally:
            self.config.pluginmanager.unregister(recorder)
        return bool(seen) and all(o == "passed" for o in seen)


class _Recorder:
    def __init__(self, seen):
        self.seen = seen

    def pytest_runtest_logreport(self, report):
        self.seen.append(report.outcome)


class _Plugin:
    def __init__(self, order, serve):
        self.order, self.serve = order, serve
        self.value = None
        self.runner_files = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_load_initial_conftests(self):
        # What is loaded by now from the tree is a plugin that pytest itself runs on; an edit there can turn the tests off.
        root = self.order["root"] + os.sep
        files = [getattr(m, "__file__", None) or "" for m in list(sys.modules.values())]
        self.runner_files = sorted(f[len(root) :] for f in files if f.startswith(root))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session):
        self.value = self.serve(Suite(self.order, session.items, session.config, self.runner_files))
        return True


def collect(order, serve):
    """Collect the targets' files (with `only_targets` just the targets) and return what `serve(suite)` returns."""
    plugin = _Plugin(order, serve)
    files = list(dict.fromkeys(_where(order, i)[0] for i in order["targets"]))
    extra = ["-p", "no:cacheprovider", "--continue-on-collection-errors"]
    if _has("xdist"):
        extra += ["-n0"]
    if _has("pytest_cov"):
        extra += ["--no-cov"]
    pytest.main([*order["options"], *extra, *files], plugins=[plugin])
    return plugin.value


def _has(name):
    from importlib.util import find_spec

    return find_spec(name) is not None


def _where(order, test_id):
    """(real path of the file, the rest of the id); ids are relative to pytest's root, which is `cwd` or above it."""
    name, _, rest = test_id.partition("::")
    for folder in (order["cwd"], order["root"]):
        path = os.path.join(folder, name)
        if os.path.exists(path):
            return os.path.realpath(path), rest
    return os.path.realpath(os.path.join(order["cwd"], name)), rest


def _relative(order, path):
    return os.path.relpath(path, os.path.realpath(order["cwd"]))
