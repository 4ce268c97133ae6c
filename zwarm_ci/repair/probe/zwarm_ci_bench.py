"""Runs in the repository's interpreter (stdlib, Python >= 3.8): traces tests, tries edits, probes functions; each in a fork.

One JSON order on standard input, JSON lines on the standard output that it was started with. Tests print into nothing.
"""

import json
import os
import select
import signal
import sys
import time

HANG = 124  # exit code of a fork that used up its time


class Out:
    """The lines that our process reads; tests cannot reach it by printing."""

    def __init__(self):
        self.fd = os.dup(1)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)

    def say(self, **event):
        data = (json.dumps(event) + "\n").encode()
        while data:
            data = data[os.write(self.fd, data) :]


def forked(work, cpu, wall):
    """Run `work()` in a child and return (what it returned as JSON, seconds of CPU), or (None, seconds) where it hung or died.

    `cpu` seconds of its own time end it; so do `wall` seconds, for one that sleeps. What it started goes with it.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(reader)
            os.setpgid(0, 0)
            signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_VIRTUAL, cpu)
            value = json.dumps(work()).encode()
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            while value:
                value = value[os.write(writer, value) :]
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    return _harvest(pid, reader, time.monotonic() + wall)


def _harvest(pid, reader, until):
    said = b""
    while True:
        left = until - time.monotonic()
        ready = left > 0 and select.select([reader], [], [], left)[0]
        data = os.read(reader, 1 << 16) if ready else b""
        if not data:
            break
        said += data
    os.close(reader)
    for end in (os.killpg, os.kill):
        try:
            end(pid, signal.SIGKILL)
        except OSError:
            pass
    usage = os.wait4(pid, 0)[2]
    try:
        return json.loads(said), usage.ru_utime + usage.ru_stime
    except ValueError:
        return None, usage.ru_utime + usage.ru_stime


class Swapper:
    """Puts an edited function body into the running process: new code for every live function that has the old."""

    def __init__(self, root):
        import gc
        import types

        self.by_place = {}
        for thing in gc.get_objects():
            if isinstance(thing, types.FunctionType) and thing.__code__.co_filename.startswith(root):
                code = thing.__code__
                self.by_place.setdefault((code.co_filename, code.co_firstlineno, code.co_name), []).append(thing)

    def swap(self, path, source, function):
        """`function` is (first line, name). False = it is not alive here, or its closure changed: only a new import will do."""
        alive = self.by_place.get((path, function[0], function[1]), [])
        code = _code(compile(source, path, "exec", dont_inherit=True), function)
        if not alive or code is None:
            return False
        for one in alive:
            try:
                one.__code__ = code
            except ValueError:
                return False
        return True


def _code(code, function):
    for const in code.co_consts:
        if hasattr(const, "co_code"):
            if (const.co_firstlineno, const.co_name) == tuple(function):
                return const
            found = _code(const, function)
            if found is not None:
                return found
    return None


def edited(path, edit):
    with open(path, "rb") as file:
        source = file.read()
    return source[: edit["start"]] + edit["text"].encode() + source[edit["end"] :]


class Tracer:
    """Lines run in files below `root`, those of installed packages left out."""

    def __init__(self, root):
        self.root = root + os.sep
        self.lines = {}
        self._ours = {}

    def __call__(self, frame, event, _arg):
        name = frame.f_code.co_filename
        if name not in self._ours:
            inside = name.startswith(self.root) and "site-packages" not in name
            self._ours[name] = name[len(self.root) :] if inside else None
        if self._ours[name] is None:
            return None
        self.lines.setdefault(self._ours[name], set()).add(frame.f_lineno)
        return self._line

    def _line(self, frame, _event, _arg):
        self.lines[self._ours[frame.f_code.co_filename]].add(frame.f_lineno)
        return self._line

    def take(self):
        """The lines since the last time."""
        taken = {path: sorted(lines) for path, lines in self.lines.items()}
        self.lines = {path: set() for path in self.lines}
        return {path: lines for path, lines in taken.items() if lines}


class Bench:
    """What the three modes do once tests are collected. `suite` has `targets`, `others` and `run(item) -> passed`."""

    def __init__(self, order, out):
        self.order, self.out, self.root = order, out, order["root"]
        self.tracer = Tracer(self.root)
        self.importing = {}
        self.busy_until = time.monotonic() + order["seconds"]

    def left(self):
        return self.busy_until - time.monotonic()

    # --- trace -----------------------------------------------------------------------------------------------

    def trace(self, suite):
        """Lines per test, failing ones first; ends at the first test that hangs, whose lines so far count."""
        import resource  # noqa: F401 - fail before the fork where the platform has none

        self.importing = self.tracer.take()
        cpu = 0.0
        self.out.say(type="import", lines=self.importing)
        for item in suite.targets:
            seen, seconds = self._traced(suite, item, max(2.0, self.left() / 4))
            cpu = max(cpu, seconds)
            if seen is None:
                return
        plain, seconds = forked(lambda: [bool(suite.run(i)) for i in suite.targets], max(2.0, self.left() / 4), 60.0)
        self.out.say(type="baseline", cpu=seconds, passed=plain)
        for item in suite.others[: self.order["near"]]:
            if self.left() < 0 or self._traced(suite, item, max(0.5, 8 * cpu))[0] is None:
                return

    def _traced(self, suite, item, cpu):
        def work():
            def cut(_signum, _frame):
                sys.settrace(None)
                self.out.say(type="test", id=suite.name(item), lines=self.tracer.take(), passed=False, hung=True)
                os._exit(HANG)

            signal.signal(signal.SIGVTALRM, cut)
            signal.setitimer(signal.ITIMER_VIRTUAL, cpu)
            sys.settrace(self.tracer)
            passed = suite.run(item)
            sys.settrace(None)
            self.out.say(type="test", id=suite.name(item), lines=self.tracer.take(), passed=bool(passed), hung=False)
            return True

        return forked(work, cpu, 10 * cpu + 5)

    # --- try -------------------------------------------------------------------------------------------------

    def try_swaps(self, suite):
        """Each edit of a function's body, in a fork of this process; says which make the targets pass."""
        swapper = Swapper(self.root + os.sep)
        known_good = [i for i in suite.others if suite.name(i) in set(self.order["passing"])]
        for number, edit in enumerate(self.order["edits"]):
            if self.left() < 0:
                return
            if edit["function"] is None:
                continue
            path = os.path.join(self.root, edit["path"])

            def swapped(items):
                if not swapper.swap(path, edited(path, edit), edit["function"]):  # noqa: B023 - called at once
                    return "reload"
                return all(suite.run(item) for item in items)

            if self._verdict(number, lambda: swapped(suite.targets), lambda: swapped(known_good)):  # noqa: B023
                return

    def _verdict(self, number, targets, others):
        """Say what became of edit `number`; True = enough was found."""
        cpu = self.order["cpu"]
        value = forked(targets, cpu, 10 * cpu + 2)[0]
        if value == "reload":
            self.out.say(type="reload", edit=number)
            return False
        good = value is True and forked(others, 10 * cpu, 20 * cpu + 5)[0] is True
        self.out.say(type="tried", edit=number, passed=good)
        if good:
            self.order["enough"] -= 1
            self.busy_until = min(self.busy_until, time.monotonic() + self.order["after_first"])
        return self.order["enough"] <= 0

    def try_imports(self, collect):
        """Each edit, written to the file, in a fork that imports everything anew."""
        for number, edit in enumerate(self.order["edits"]):
            if self.left() < 0:
                return
            path = os.path.join(self.root, edit["path"])
            with open(path, "rb") as file:
                before = file.read()
            new = edited(path, edit)
            try:
                with open(path, "wb") as file:
                    file.write(new)
                fresh = lambda: collect(self.order, _all_pass)  # noqa: E731
                if self._verdict(number, fresh, lambda: True):
                    return
            finally:
                with open(path, "wb") as file:
                    file.write(before)


def _all_pass(suite):
    asked = {i for i in suite.order["targets"]}
    return bool(suite.targets) and asked <= suite.covered() and all([suite.run(item) for item in suite.targets])


def main():
    order = json.loads(sys.stdin.buffer.read())
    if order["cwd_on_path"]:
        sys.path.insert(0, order["cwd"])
    out = Out()
    if order["runner"] == "unittest":
        from zwarm_ci_bench_unittest import collect
    else:
        from zwarm_ci_bench_pytest import collect
    bench = Bench(order, out)
    if order["mode"] == "imports":
        bench.try_imports(collect)
    elif order["mode"] == "swaps":
        collect(order, bench.try_swaps)
    elif order["mode"] == "probe":
        from zwarm_ci_bench_inputs import probe

        collect(order, lambda suite: probe(bench, suite))
    else:
        sys.settrace(bench.tracer)

        def ready(suite):
            sys.settrace(None)
            out.say(type="runner", files=suite.runner_files)
            bench.trace(suite)

        collect(order, ready)
        sys.settrace(None)
        if bench.importing == {}:
            out.say(type="import", lines=bench.tracer.take())
    out.say(type="end")


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [here] + [p for p in sys.path if p and os.path.abspath(p) != here]
    main()
