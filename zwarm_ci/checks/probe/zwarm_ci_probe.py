"""A pytest plugin that writes what really happened, one JSON line an event, to a file of its caller.

Runs in the repository's interpreter: Python 3.8 and pytest 6.2 or newer, standard library and pytest alone. It is loaded with
``-p zwarm_ci_probe``; ``ZWARM_CI_PROBE`` names the JSON file with its orders and is taken out of the environment at once, so that
neither the tests nor what they start see it. Under xdist the workers get the orders from the controller, which alone writes.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Dict, Generator, Iterable, List, Optional, Set

import pytest
from zwarm_ci_asks import Asks
from zwarm_ci_doom import doom, plant
from zwarm_ci_lines import Lines, merged
from zwarm_ci_orders import Log, Orders, clean, copied_from, describe, step_back, strangers, take_orders, withdraw
from zwarm_ci_texts import Texts
from zwarm_ci_witness import WITNESS, look

Wrapper = Generator[None, Any, None]
_PYTEST = tuple(int(part) for part in pytest.__version__.split(".")[:2])
ORDERS, _SEND, STARTED_WITH = take_orders()
LOG = Log(_SEND)
LINES = Lines(ORDERS.tree, ORDERS.lines, lambda path: copied_from(path, ORDERS.tree) if ORDERS.copies else "")
# Under a trace each event costs a hundredfold; the other runs of the same tree are asked.
ASKS = Asks(ORDERS.tree, {} if ORDERS.lines else ORDERS.files, lambda name: LOG("altered", names=[name]))
step_back()
LOG("loaded", python=sys.version.split()[0], executable=sys.executable)


def _root(config: Any) -> str:
    return str(config.rootdir) if _PYTEST < (7, 0) else str(config.rootpath)


def must_fail() -> None:
    """What the canary does."""
    seen = "green"
    assert seen == "red", "the canary fails, as it must"


class Canary(pytest.Item):
    """The test that must fail. Where it does not, nothing that this process says of itself is believed."""

    def runtest(self) -> None:
        must_fail()

    def reportinfo(self) -> Any:
        return self.nodeid.split("::")[0], 0, self.name


class Common(pytest.Function):
    """The canary as a test function like any other, called through the same hooks; no mark or fixture of its module is its own."""

    reportinfo = Canary.reportinfo

    def iter_markers_with_node(self, name: Optional[str] = None) -> Any:
        return iter(())


def canary(session: pytest.Session, items: List[pytest.Item], nodeid: str) -> Any:
    """The canary, in the module of the last test where that is a function: what swallows failures of functions swallows its too."""
    plain: Any = Canary.from_parent(session, name="must_fail", nodeid=nodeid)
    last: Any = items[-1] if items else None
    module = last.getparent(pytest.Module) if isinstance(last, pytest.Function) else None
    if module is None:
        return plain
    try:
        none = type(last._fixtureinfo)(argnames=(), initialnames=(), names_closure=[], name2fixturedefs={})
        made: Any = Common.from_parent(module, name="must_fail", callobj=must_fail, fixtureinfo=none)
    except (TypeError, AttributeError):  # another pytest's insides
        return plain
    for name in ("_nodeid", "_id"):  # the second since pytest 9.2
        if hasattr(plain, name):
            setattr(made, name, getattr(plain, name))
    return made if made.nodeid == nodeid else plain


class Probe:
    """The hooks. In an xdist worker it only attaches data to reports; the controller writes them."""

    # No method can be shadowed by an attribute.
    __slots__ = (
        "copies", "failed_reports", "files", "lines", "met", "orders", "report", "root", "texts", "undoomed", "wanted", "worker", "wrong",
    )  # fmt: skip

    def __init__(self, orders: Orders, root: str) -> None:
        self.orders, self.worker, self.root = orders, orders.worker, os.path.realpath(root)
        self.wanted: Optional[Set[str]] = None if orders.only is None else set(orders.only)
        self.files: Optional[Set[str]] = None if orders.only is None else {i.split("::")[0] for i in orders.only}
        self.met: Dict[str, Set[str]] = {"foreign": set(), "shadowed": set(), "altered": set()}
        self.lines: List[Dict[str, List[int]]] = []  # of each worker
        self.texts = Texts(orders.tree, orders.files)
        self.wrong: Set[str] = set()
        self.copies: Dict[str, str] = {}  # id of a doomed copy -> of its target
        self.undoomed: List[str] = []
        self.failed_reports = 0
        self.report = ""  # where the JUnit report goes, whatever folder the tests change to

    # -- collection

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        LOG("session", rootdir=_root(session.config))
        ASKS.unheard(WITNESS.note_hooks, session.config.pluginmanager)

    def pytest_collectstart(self, collector: pytest.Collector) -> None:
        if isinstance(collector, pytest.File):
            LOG("collecting", id=clean(collector.nodeid, 4000))

    @pytest.hookimpl(hookwrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Wrapper:
        outcome = yield
        report = outcome.get_result()
        call = getattr(report, "call", None)
        if report.failed and call is not None and call.excinfo is not None:
            report.zwarm_ci = describe(call.excinfo.type, call.excinfo.value, call.excinfo.tb, self.orders)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed_reports += 1
            LOG(
                "collect_error",
                id=clean(report.nodeid, 4000),
                text=clean(report.longreprtext),
                exc=getattr(report, "zwarm_ci", None),
            )
        elif report.nodeid not in ("", ".") and "::" not in report.nodeid:
            skipped = clean(report.longreprtext, 500) if report.skipped else ""
            LOG("module", id=clean(report.nodeid, 4000), skipped=bool(report.skipped), text=skipped)

    def ignore_file(self, path: str, config: Any) -> Optional[bool]:
        """Skip files that hold none of the ids asked for; never one that the command line names."""
        if self.files is None or not path.endswith(".py") or not os.path.isfile(path):
            return None
        if os.path.basename(path) in ("__init__.py", "conftest.py"):
            return None
        if any("::" in arg or not os.path.isdir(arg) for arg in config.args):
            return None
        name = self.from_top(os.path.relpath(path, _root(config)))
        return None if any(name == f or name.startswith(f + "/") for f in self.files) else True

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, config: Any, items: List[pytest.Item]) -> Wrapper:
        yield
        if self.wanted is not None:
            kept = [item for item in items if self.is_wanted(item.nodeid)]
            gone = [item for item in items if not self.is_wanted(item.nodeid)]
            if gone:
                config.hook.pytest_deselected(items=gone)
                items[:] = kept
        LOG("collected", ids=[clean(item.nodeid, 4000) for item in items])
        if self.orders.targets and not self.orders.doom:
            targets = set(self.orders.targets)
            self.copies, self.undoomed = plant(items, lambda i: self.from_top(i.nodeid) in targets, self.orders.mark)
            LOG("planted", copies=self.copies, undoomed=self.undoomed)
        if self.orders.canary:
            items.append(canary(session, items, self.orders.canary_id))
            if self.orders.quiet and not self.worker:
                config.pluginmanager.register(Quiet(self, session), "zwarm-ci-quiet")

    def from_top(self, nodeid: str) -> str:
        """A node id with its path from the tree's top."""
        return self.orders.from_top(nodeid, self.root)

    def is_wanted(self, nodeid: str) -> bool:
        """Asked for itself, or inside a file, folder or class that was."""
        wanted = self.wanted or set()
        nodeid = self.from_top(nodeid)
        if nodeid in wanted:
            return True
        parts = nodeid.split("::")
        heads = ["::".join(parts[:n]) for n in range(1, len(parts))]
        folder = os.path.dirname(parts[0])
        while folder:
            heads.append(folder)
            folder = os.path.dirname(folder)
        return any(head in wanted for head in heads)

    def note(self, names: Iterable[str]) -> None:
        """Write down at once what is not as it was: what is written, nobody takes back."""
        fresh = sorted(set(names) - self.met["altered"])
        self.met["altered"].update(fresh)
        if fresh:
            LOG("altered", names=fresh)

    # -- running

    def pytest_runtest_logstart(self, nodeid: str, location: Any) -> None:
        LOG("start", id=clean(nodeid, 4000))

    def pytest_runtest_logfinish(self, nodeid: str, location: Any) -> None:
        LOG("end", id=clean(nodeid, 4000))

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Wrapper:
        """Look at a test before it is called, and doom it where it is to be."""
        path = self.from_top(item.nodeid).split("::")[0]
        if path in self.orders.files and (wrong := self.texts.wrong(item, path, item.config)):
            self.wrong.add(wrong)
        undo = None
        if (self.orders.doom or item.nodeid in self.copies) and not isinstance(item, (Canary, Common)):
            undo = doom(item)
        yield
        if undo is not None:
            undo()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: Any) -> Wrapper:
        if self.orders.files and call.when == "call":
            file = os.path.realpath(str(item.fspath))
            recoded = ASKS.recoded or not ASKS.hooked
            self.note(ASKS.unheard(WITNESS.after_test, self.orders.tree, file, recoded))
        outcome = yield
        report = outcome.get_result()
        if call.excinfo is not None and report.failed:
            report.zwarm_ci = describe(call.excinfo.type, call.excinfo.value, call.excinfo.tb, self.orders)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.failed_reports += 0 if hasattr(report, "wasxfail") else 1
        elif report.passed and report.when != "call":
            return
        LOG(
            "report",
            id=clean(report.nodeid, 4000),
            when=report.when,
            outcome=report.outcome,
            xfail=clean(report.wasxfail, 300) if hasattr(report, "wasxfail") else None,
            seconds=round(getattr(report, "duration", 0.0), 4),
            text="" if report.passed else clean(report.longreprtext),
            exc=getattr(report, "zwarm_ci", None),
        )

    def pytest_keyboard_interrupt(self, excinfo: Any) -> None:
        LOG("interrupted", exc=describe(excinfo.type, excinfo.value, excinfo.tb, self.orders))

    def pytest_internalerror(self, excrepr: object, excinfo: Any) -> None:
        LOG("internal_error", text=clean(excrepr), exc=describe(excinfo.type, excinfo.value, excinfo.tb, self.orders))

    # -- xdist

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, config: Any, specs: Any) -> None:
        """Workers start as this process did: xdist hands on the environment, its newer versions no loaded plugins."""
        os.environ.update(STARTED_WITH)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["zwarm_ci"] = json.dumps(self.orders.data)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        said = json.loads(getattr(node, "workeroutput", {}).get("zwarm_ci", "{}"))
        self.lines.append(said.pop("lines", {}))
        planted = said.pop("planted", None)
        if planted:
            LOG("planted", **planted)
        for kind, names in said.items():
            self.met[kind].update(names)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: object, ids: List[str]) -> None:
        ours = [i for i in ids if i == self.orders.canary_id or (self.orders.mark and self.orders.mark in i)]
        LOG("collected", ids=[clean(i, 4000) for i in ids if i not in ours])

    # -- the end

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: Any, exitstatus: int) -> Wrapper:
        met: Dict[str, Any] = dict(strangers(self.orders))
        if self.worker:
            met["altered"] = Probe.altered(self, session.config)
            planted = {"copies": self.copies, "undoomed": self.undoomed}
            session.config.workeroutput["zwarm_ci"] = json.dumps(dict(met, lines=LINES.result(), planted=planted))
        yield
        met["altered"] = Probe.altered(self, session.config)
        parts = [LINES.result(), *self.lines]
        LOG(
            "finish",
            exit=int(getattr(session, "exitstatus", exitstatus)),
            **{kind: sorted(self.met[kind].union(met[kind])) for kind in met},
            failed=int(session.testsfailed),
            failed_reports=self.failed_reports,
            xml=self.report,
            lines=merged(parts, self.orders.lines),
        )

    def altered(self, config: Any) -> List[str]:
        """What of the runner, and of the tests that matter, is not as it was."""
        odd = [] if type(self) in (NewProbe, OldProbe) else ["zwarm_ci_probe.Probe"]
        seen = ASKS.unheard(look, self.orders.tree, config.pluginmanager)
        return [*seen, *sorted(self.wrong), *sorted(ASKS.met), *odd]


class Quiet:
    """Keeps the canary out of the exit code where more commands follow this one, which a red one would end."""

    def __init__(self, probe: Probe, session: Any) -> None:
        self.probe, self.session = probe, session

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        ours = report.nodeid == self.probe.orders.canary_id or report.nodeid in self.probe.copies
        if report.failed and ours:
            self.probe.failed_reports -= 1
            self.session.testsfailed -= 1
            self.session.testscollected -= 1


class NewProbe(Probe):
    """For pytest 7 and newer, where a hook that takes `path` warns, or is an error."""

    __slots__ = ()

    def pytest_ignore_collect(self, collection_path: object, config: Any) -> Optional[bool]:
        return self.ignore_file(str(collection_path), config)


class OldProbe(Probe):
    """For pytest 6.2."""

    __slots__ = ()

    def pytest_ignore_collect(self, path: object, config: Any) -> Optional[bool]:
        return self.ignore_file(str(path), config)


def pytest_plugin_registered() -> None:
    """This module is in the hands of the plugin manager now, and need not be found by its name any more."""
    withdraw()


@pytest.hookimpl(hookwrapper=True)
def pytest_load_initial_conftests(early_config: object) -> Wrapper:
    """A conftest that cannot be imported ends pytest before it is configured; say what broke it, and where."""
    outcome = yield
    if outcome.excinfo is None:
        return
    value = outcome.excinfo[1]
    cause = getattr(value, "cause", None)
    old = getattr(value, "excinfo", None)
    if cause is not None:
        LOG("conftest_error", exc=describe(type(cause), cause, cause.__traceback__, ORDERS))
    elif old is not None:
        LOG("conftest_error", exc=describe(old[0], old[1], old[2], ORDERS))


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: Any) -> None:
    """Put the hooks in place, and see to it that one failure does not hide the others."""
    given = getattr(config, "workerinput", {}).pop("zwarm_ci", "")
    if ORDERS.worker and given:
        ORDERS.take(json.loads(given))
        LINES.want(ORDERS.tree, ORDERS.lines)
        ASKS.want(ORDERS.tree, {} if ORDERS.lines else ORDERS.files)
    if not ORDERS.given:
        return
    option = config.option
    option.maxfail = 0
    option.continue_on_collection_errors = True
    xmlpath = getattr(option, "xmlpath", None)
    if not ORDERS.worker and hasattr(option, "xmlpath") and not xmlpath:
        # A report each, where a command starts pytest several times.
        xmlpath = option.xmlpath = (
            ORDERS.xml if not os.path.exists(ORDERS.xml) else "%s.%d.xml" % (ORDERS.xml, os.getpid())
        )
    probe = (NewProbe if _PYTEST >= (7, 0) else OldProbe)(ORDERS, _root(config))
    probe.report = os.path.abspath(os.path.expanduser(xmlpath)) if xmlpath else ""
    config.pluginmanager.register(probe, "zwarm-ci-probe")
    LOG("configured", pytest=pytest.__version__, python=sys.version.split()[0], junit=hasattr(option, "xmlpath"))


WITNESS.hold("zwarm_ci_probe.LOG", LOG, ("send",))
ASKS.unheard(WITNESS.begin)
