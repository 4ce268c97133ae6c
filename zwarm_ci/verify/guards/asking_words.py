"""Names by which Python code asks for its test runner, its frames, its exit: the vocabulary of `asking_python`."""

from __future__ import annotations

import re

RUNNER = re.compile(
    r"_?pytest(?:\.[\w.]+)?|py\.test|unittest2?(?:\.[\w.]+)?|nose2?|_?pluggy|hypothesis|xdist|doctest|PYTEST_\w+|_?PYTEST\w*"
    r"|UNITTEST\w*|TOX_ENV\w*|NOSE\w*|ZWARM_\w*|zwarm_ci\w*"
)
RUNNERS = frozenset(
    "pytest _pytest unittest unittest2 nose nose2 pluggy xdist hypothesis doctest mock testtools".split()
)
ASKS_ENV = re.compile(
    r"(?:^|_)(?:PY)?(?:UNIT)?TEST(?:S|ING|MODE|ED)?(?:_|$)|^CI$|^CONTINUOUS|GITHUB_ACTIONS|^TRAVIS|^JENKINS|^TOX|COVERAGE|^RUNNER_|GITLAB_CI|ZWARM",
    re.IGNORECASE,
)
MODE = re.compile(
    r"^_*(?:is_?|in_?|under_?|running_?)?(?:unit_?)?(?:test|tests|testing|test_?mode|pytest|mock|mocked|fake|stub"
    r"|ci)(?:_?(?:mode|run|running|env|only|enabled))?_*$",
    re.IGNORECASE,
)
DEBUG = re.compile(r"^_*(?:is_?|in_?)?debug(?:_?mode)?_*$|^__debug__$", re.IGNORECASE)
FRAMES = frozenset(
    "sys._getframe sys._current_frames inspect.stack inspect.currentframe inspect.trace inspect.getouterframes "
    "inspect.getinnerframes traceback.extract_stack traceback.walk_stack "
    "traceback.format_stack gc.get_objects gc.get_referrers gc.get_referents threading._current_frames sys.settrace "
    "sys.setprofile threading.settrace threading.setprofile "
    "sys.gettrace sys.getprofile sys.orig_argv sys._xoptions".split()
)
FRAME_FIELDS = frozenset({"f_back", "f_locals", "f_globals", "f_code", "tb_frame", "gi_frame", "cr_frame", "ag_frame"})
#: Ways from a thing in hand to whatever else lives in the process: a function's module, its cells, all classes there are.
REACH = frozenset({"__globals__", "__closure__", "cell_contents", "__subclasses__", "func_globals", "f_builtins"})
#: Names of modules of tests, as an import has them.
TEST_MODULE = re.compile(r"(?:^|\.)(?:tests?|conftest|test_\w+|\w+_tests?)(?:\.|$)")
EXITS = frozenset(
    "os._exit os.abort os.kill os.killpg signal.raise_signal signal.pthread_kill atexit.register atexit._run_exitfuncs "
    "os.execv os.execve os.execvp os.execl faulthandler._sigsegv".split()
)
HARD_EXITS = frozenset({"os._exit", "os.abort", "faulthandler._sigsegv", "atexit._run_exitfuncs"})
#: What decides which module an import finds, and the methods that change a list, a dict or a set.
IMPORTING = frozenset({"sys.meta_path", "sys.path_hooks", "sys.path_importer_cache", "sys.path", "sys.modules"})
CHANGES = frozenset("insert append extend pop remove clear update setdefault __setitem__ popitem reverse sort".split())
SOFT_EXITS = frozenset({"sys.exit", "exit", "quit", "SystemExit", "builtins.exit", "builtins.quit"})
DYNAMIC = frozenset(
    "exec eval compile __import__ builtins.exec builtins.eval builtins.compile builtins.__import__ runpy.run_path "
    "runpy.run_module types.FunctionType types.CodeType marshal.loads".split()
)
LOADS = frozenset(
    {
        "importlib.import_module",
        "importlib.__import__",
        "importlib.util.spec_from_file_location",
        "importlib.reload",
        "imp.load_source",
        "importlib.util.find_spec",
    }
)
HOOKS = frozenset(
    "sys.excepthook sys.unraisablehook sys.displayhook sys.meta_path sys.path_hooks sys.breakpointhook sys.stdout "
    "sys.stderr sys.__stdout__ threading.excepthook sys.exit sys.modules".split()
)
INTERNAL = frozenset(
    "pytest _pytest unittest pluggy builtins __builtins__ AssertionError BaseException Exception doctest nose hypothesis xdist".split()
)
RESULTS = re.compile(
    r"(?:^|/)(?:junit[\w.\-]*\.xml|[\w\-]*test-?results?[\w\-]*\.(?:xml|json)|\.coverage|coverage\.(?:xml|json)|lcov\.info"
    r"|\.pytest_cache|lastfailed|\.zwarm)(?:/|$)"
)
TEST_PATH = re.compile(r"(?:^|/)(?:tests?/|__tests__/|conftest\.py$|test_\w*\.py$|\w+_test\.py$|pytest\.ini$)")
WRITES = frozenset(
    "write_text write_bytes unlink rename replace touch rmtree remove symlink_to move copy copyfile copy2 makedirs mkdir chmod".split()
)
PROC = re.compile(r"^/proc/(?:self|\d+)/(?:cmdline|environ|maps|stat|fd)|^/dev/(?:tty|stdout|stderr|fd)")
#: Whoever asks these knows where, as whom or below what it runs; code under test has no reason to.
WHERE = frozenset(
    "os.getcwd os.getcwdb pathlib.Path.cwd Path.cwd os.getppid os.getpid os.getpgid os.getsid os.getlogin os.getuid os.uname socket.gethostname "
    "platform.node getpass.getuser tempfile.gettempdir sys.executable sys.prefix sys.orig_argv sys.flags sys.path sys.gettrace sys.getprofile".split()
)
STARTS = re.compile(
    r"^(?:subprocess\.\w+|os\.(?:system|popen|fork\w*|spawn\w*|posix_spawn\w*|remove|unlink|rename|replace|symlink|link|mkdir|makedirs|chmod|rmdir|truncate)"
    r"|shutil\.\w+|multiprocessing\.Process|pty\.\w+|socket\.\w*(?:socket|connect\w*)|urllib\.request\.\w+|requests\.\w+|http\.client\.\w+)$"
)
OPENED_TO_WRITE = re.compile(r"[rbt]*[wax+][wax+rbt]*")
OUTSIDE = re.compile(
    r"(?:^|/)\.git(?:/(?:hooks|config|info|refs|objects|HEAD|index)\b|$)|^(?:/etc|/root|/home|/usr|/var/spool)/"
    r"|(?:^|/)\.(?:bash|zsh|k?sh)(?:rc|_profile|_login|env)$|(?:^|/)\.profile$|(?:^|/)\.ssh(?:/|$)|authorized_keys|(?:^|/)\.(?:npmrc|pypirc|netrc|gitconfig)$"
)
DUNDER = re.compile(
    r"^__(?:eq|ne|lt|le|gt|ge|hash|bool|len|contains|iter|getitem|getattr|getattribute|str|repr|float|int|index|instancecheck|class)__$"
)
