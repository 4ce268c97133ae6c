"""Do patches behave alike? Records what tests pass to the code under test, then calls it so, and a little otherwise, under each.

The calls may not write, delete, connect or start anything: an audit hook forbids it.
"""

import importlib
import inspect
import itertools
import os
import pickle
import re
import signal
import sys

from zwarm_ci_bench import edited, forked

CALLS = 40  # different recorded calls
SECONDS_A_CALL = 0.5
_FORBIDDEN = (
    "os.remove os.rename os.rmdir os.mkdir os.link os.symlink os.chmod os.chown os.truncate os.utime os.system os.exec os.fork "
    "os.posix_spawn os.kill subprocess.Popen socket.connect socket.bind socket.sendto shutil.rmtree shutil.move"
).split()


class TooLong(BaseException):
    """A call used up its time."""


def probe(bench, suite):
    """Say for the first two patches that differ on which call, or that none do."""
    recorded = forked(lambda: record(bench, suite), 20.0, 60.0)[0] or []
    answers = [outcomes(bench, recorded, patch) for patch in bench.order["patches"]]
    for (one, first), (two, second) in itertools.combinations(enumerate(answers), 2):
        for call, a in first.items():
            b = second.get(call)
            if b is not None and a != b:
                bench.out.say(type="differ", patches=[one, two], call=call, answers=[a, b])
                return
    bench.out.say(type="agree", calls=min([len(a) for a in answers] or [0]))


def record(bench, suite):
    """Calls from test files into the code under test: [module, name, pickled arguments in hex]."""
    root, tests = bench.root + os.sep, set(bench.order["tests"])
    found, per_place = {}, {}

    def on_call(frame, event, _arg):
        code, back = frame.f_code, frame.f_back
        if event != "call" or back is None or not code.co_filename.startswith(root):
            return
        caller = back.f_code.co_filename
        if code.co_filename[len(root) :] in tests or not (caller.startswith(root) and caller[len(root) :] in tests):
            return
        key = (code.co_filename, code.co_firstlineno)
        if code.co_name.startswith("<") or per_place.get(key, 0) >= CALLS:
            return
        sys.setprofile(None)
        try:
            call = _pickled(frame)
        finally:
            sys.setprofile(on_call)
        if call and str(call) not in found:
            per_place[key] = per_place.get(key, 0) + 1
            found[str(call)] = call

    sys.setprofile(on_call)
    for item in suite.targets + suite.others[: bench.order["near"]]:
        suite.run(item)
    sys.setprofile(None)
    return list(found.values())


def _pickled(frame):
    names = inspect.getargvalues(frame)
    values = [names.locals[a] for a in names.args]
    values += list(names.locals[names.varargs]) if names.varargs else []
    kwargs = {k: names.locals[k] for k in _keyword_only(frame.f_code)}
    kwargs.update(names.locals[names.keywords] if names.keywords else {})
    try:
        return [frame.f_globals["__name__"], frame.f_code.co_name, pickle.dumps((values, kwargs)).hex()]
    except Exception:
        return None


def _keyword_only(code):
    return code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]


def outcomes(bench, recorded, patch):
    """{call: what it gave} under one patch; calls that do not give the same twice are left out."""
    runs = [forked(lambda: _called(bench, recorded, patch), 10.0, 30.0)[0] or {} for _ in range(2)]
    return {call: gave for call, gave in runs[0].items() if runs[1].get(call) == gave}


def _called(bench, recorded, patch):
    _install(bench, patch)
    sys.addaudithook(_forbid)
    signal.signal(signal.SIGVTALRM, _too_long)
    gave = {}
    for module, name, pickled in recorded:
        for variant in range(1 + _variants(pickled)):
            told, what = _one(module, name, pickled, variant)
            if told:
                gave[told] = what
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return gave


def _install(bench, patch):
    """Forget the tree's modules; from now on the patched file is read with the edit in it."""
    root = bench.root + os.sep
    tests = set(bench.order["tests"])
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if file.startswith(root) and file[len(root) :] not in tests:
            del sys.modules[name]
    target = os.path.join(bench.root, patch["path"])
    new = edited(target, patch)
    loader = importlib.machinery.SourceFileLoader
    plain = loader.get_data
    loader.get_data = lambda self, path: new if path == target else plain(self, path)


def _variants(pickled):
    try:
        values, kwargs = pickle.loads(bytes.fromhex(pickled))
    except Exception:
        return 0
    return len(list(_mutations(values, kwargs)))


def _one(module, name, pickled, variant):
    try:
        values, kwargs = pickle.loads(bytes.fromhex(pickled))
        if variant:
            values, kwargs = next(itertools.islice(_mutations(values, kwargs), variant - 1, None))
        function = _find(module, name, values)
        told = "%s.%s(%s)" % (module, name, _plain([*values, *sorted(kwargs.items())])[1:-1])
    except Exception:
        return "", ""
    if function is None:
        return "", ""
    return told, _outcome(function, values, kwargs)


def _outcome(function, values, kwargs):
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS_A_CALL)
    try:
        value = function(*values, **kwargs)
        if inspect.isgenerator(value):
            value = list(itertools.islice(value, 50))
        return _plain([value, values])
    except TooLong:
        return "does not end"
    except BaseException as error:
        return "raises " + type(error).__name__
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _find(module, name, values):
    there = importlib.import_module(module)
    if callable(getattr(there, name, None)):
        return getattr(there, name)
    if values and (isinstance(values[0], type) or type(values[0]).__module__ == module):
        owner = values[0] if isinstance(values[0], type) else type(values[0])
        method = inspect.getattr_static(owner, name, None)
        method = getattr(method, "__func__", method)
        return method if callable(method) else None
    return None


def _mutations(values, kwargs):
    for position, value in enumerate(values):
        for other in _near(value):
            yield values[:position] + [other] + values[position + 1 :], kwargs
    for key, value in kwargs.items():
        for other in _near(value):
            yield values, dict(kwargs, **{key: other})


def _near(value):
    if isinstance(value, bool):
        return [not value]
    if type(value) is int:
        return [value + 1, value - 1]
    if type(value) is float:
        return [value + 1.0, value - 0.5]
    if type(value) is str and value and "/" not in value:
        return [value[:-1], value + value[0]]
    if type(value) in (list, tuple) and value:
        return [value[:-1], value + value[:1], value[::-1]]
    return []


def _plain(value):
    return re.sub(r"0x[0-9a-fA-F]+", "0x", repr(value))[:600]


def _too_long(_signum, _frame):
    raise TooLong


def _forbid(event, args):
    if event in _FORBIDDEN or (
        event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    ):
        raise PermissionError(event)
