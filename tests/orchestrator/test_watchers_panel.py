"""All watchers together: who is heard first, what is not said twice, and what becomes of one that fails, hangs or is unknown."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.orchestrator.watching import scene, steps
from zwarm_ci import proc
from zwarm_ci.config import RuleTable, Settings, WatchersSettings
from zwarm_ci.config.orchestrating import LlmTable, PatternTable, ScopeTable, SpendTable
from zwarm_ci.errors import ConfigError, InterruptedRunError
from zwarm_ci.orchestrator.watchers import engaged, panel
from zwarm_ci.orchestrator.watchers.base import Opinion, Outfit, Scene, Step, Watcher

KEY = b"k" * 32


def board(watchers: Sequence[Watcher], record: Path) -> panel.Panel:
    return panel.Panel(watchers, record, KEY)


class Says:
    """A watcher that says what it was made with."""

    def __init__(self, *opinions: Opinion, name: str = "says", guards: bool = True) -> None:
        self.name, self.guards, self._opinions = name, guards, opinions

    def look(self, scene: Scene) -> Iterator[Opinion]:
        yield from self._opinions


class Does(Says):
    """A watcher that does something first."""

    def __init__(self, act: Callable[[], object], *, guards: bool, name: str = "does") -> None:
        super().__init__(name=name, guards=guards)
        self._act = act

    def look(self, scene: Scene) -> Iterator[Opinion]:
        self._act()
        yield from ()


def at(step: int) -> Scene:
    return Scene("", (Step(step, "bash", {"command": "ls"}, success=True),))


def test_the_gravest_is_heard_first_then_the_most_urgent(tmp_path: Path) -> None:
    mild = Says(Opinion("nudge", "mild"), Opinion("nudge", "urgent", priority=9), name="a")
    stern = Says(Opinion("pause", "stop", priority=1), name="b")
    firm = Says(Opinion("abort", "over"), name="c")
    ruling = board([mild, stern, firm], tmp_path / "w.jsonl").look(at(1))
    assert (ruling.action, ruling.by, ruling.reason) == ("abort", "c", "over")
    assert ruling.notes == ("[WATCHER: c] over", "[WATCHER: b] stop", "[WATCHER: a] urgent", "[WATCHER: a] mild")
    ruling = board([mild, stern], tmp_path / "x.jsonl").look(at(1))
    assert (ruling.action, ruling.by) == ("pause", "b")
    ruling = board([mild], tmp_path / "y.jsonl").look(at(1))
    assert (ruling.action, ruling.by, ruling.reason, len(ruling.notes)) == (None, "", "", 2)
    assert board([Says()], tmp_path / "z.jsonl").look(at(1)) == panel.Ruling()


def test_they_are_asked_at_the_same_time(tmp_path: Path) -> None:
    meeting = threading.Barrier(3, timeout=10)
    watchers = [Does(meeting.wait, guards=True, name=str(n)) for n in range(3)]
    assert board(watchers, tmp_path / "w.jsonl").look(at(1)) == panel.Ruling()


def test_a_nudge_rests_for_some_steps_and_a_pause_never_does(tmp_path: Path) -> None:
    said = board([Says(Opinion("nudge", "again", "key"), Opinion("nudge", "once", once=True))], tmp_path / "w.jsonl")
    heard = [len(said.look(at(n)).notes) for n in range(1, 23)]
    assert heard == [2, *[0] * 9, 1, *[0] * 9, 1, 0]
    stern = board([Says(Opinion("pause", "stop"))], tmp_path / "x.jsonl")
    assert [stern.look(at(n)).action for n in (1, 2)] == ["pause", "pause"]


def test_what_was_said_is_remembered_by_the_next_process(tmp_path: Path) -> None:
    record = tmp_path / "w.jsonl"
    says = Says(Opinion("nudge", "my key is sk-proj-abcdefghijklmnopqrstuvwxyz0123456789abcdef", "one", once=True))
    (note,) = board([says], record).look(at(1)).notes
    assert "abcdefghijklmnop" not in note
    assert "abcdefghijklmnop" not in record.read_text()
    assert board([says], record).look(at(2)).notes == ()
    with record.open("a") as file:
        file.write('{"kind": "watchers", "step"')  # cut by a kill
    assert board([says], record).look(at(3)).notes == ()
    assert panel.Panel([says], record, b"x" * 32).look(at(3)).notes != (), "what somebody else wrote is not believed"


def boom() -> None:
    raise RuntimeError("boom\x1b[2J")


def test_a_watcher_that_fails_closes_where_it_guards_and_is_said_where_it_advises(tmp_path: Path) -> None:
    others = Says(Opinion("nudge", "heard"), name="other")
    ruling = board([Does(boom, guards=True), others], tmp_path / "w.jsonl").look(at(1))
    assert (ruling.action, ruling.by) == ("pause", "does")
    assert "RuntimeError: boom" in ruling.reason
    assert "\x1b" not in ruling.reason
    assert ruling.notes[1] == "[WATCHER: other] heard"
    advising = board([Does(boom, guards=False), others], tmp_path / "x.jsonl")
    ruling = advising.look(at(1))
    assert ruling.action is None
    assert "[WATCHER: does] the watcher failed (RuntimeError: boom" in ruling.notes[0]
    assert advising.look(at(2)).notes == (), "said once"


def test_a_watcher_that_hangs_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel, "_PATIENCE", 0.05)
    forever = threading.Event()
    asked: list[int] = []

    def hang() -> None:
        asked.append(1)
        forever.wait()

    seats = board([Does(hang, guards=False)], tmp_path / "w.jsonl")
    assert "is not asked any more" in seats.look(at(1)).notes[0]
    assert seats.look(at(2)) == panel.Ruling()
    assert len(asked) == 1
    assert board([Does(hang, guards=True)], tmp_path / "x.jsonl").look(at(1)).action == "pause"
    forever.set()


def test_a_stop_of_the_run_is_no_failure_of_a_watcher(tmp_path: Path) -> None:
    def stopped() -> None:
        raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        board([Does(stopped, guards=False)], tmp_path / "w.jsonl").look(at(1))


# ------------------------------------------------------------------------------------------------------- who is engaged


def named(*names: str, **tables: object) -> Outfit:
    return Outfit(Settings(watchers=WatchersSettings(names, **tables)))  # type: ignore[arg-type]


RULES = PatternTable((RuleTable("x"),))


def test_those_that_are_named_are_engaged_in_that_order() -> None:
    outfit = named("pattern", "progress", "progress", "llm", pattern=RULES, llm=LlmTable("haiku"))
    assert [w.name for w in engaged(outfit)] == ["pattern", "progress", "llm"]
    assert [w.name for w in engaged(Outfit(Settings()))] == ["progress", "budget", "scope", "quality", "delegation"]
    assert engaged(named()) == ()


@pytest.mark.parametrize(
    ("outfit", "said"),
    [
        (named("progres"), "no watcher is called progres (the nearest is progress)"),
        (named("progress", pattern=RULES), "watchers.pattern.rules has no effect: the watcher pattern is off"),
        (named("progress", llm=LlmTable("haiku")), "watchers.llm.model has no effect"),
        (named("progress", scope=ScopeTable(("src",))), "watchers.scope has no effect"),
        (named("progress", budget=SpendTable(5)), "watchers.budget has no effect"),
        (named("pattern"), "the watcher pattern has nothing to go by"),
        (named("llm"), "the watcher llm has nothing to go by"),
    ],
)
def test_settings_without_an_effect_are_refused(outfit: Outfit, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        engaged(outfit)
    assert said in error.value.line


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Another package, installed: its module and its entry points."""
    place = tmp_path / "site"
    (place / "theirs-1.0.dist-info").mkdir(parents=True)
    (place / "theirs-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(place))

    def install(module: str, points: str) -> None:
        (place / "their_watchers.py").write_text(module)
        (place / "theirs-1.0.dist-info" / "entry_points.txt").write_text(f"[zwarm_ci.watchers]\n{points}\n")

    yield install
    import sys

    sys.modules.pop("their_watchers", None)


THEIRS = """\
from zwarm_ci.orchestrator.watchers.base import Opinion

class Friday:
    name = "friday"
    guards = True

    def look(self, scene):
        if scene.last.tool == "accept":
            yield Opinion("pause", "not on a Friday")

def make(outfit):
    return Friday()

def broken(outfit):
    return object()
"""


def test_a_watcher_of_another_package_is_heard(theirs: Callable[[str, str], None], tmp_path: Path) -> None:
    theirs(
        THEIRS,
        "friday = their_watchers:make\nbroken = their_watchers:broken\ngone = their_watchers:nothing\nprogress = their_watchers:make",
    )
    (friday,) = engaged(named("friday"))
    seats = board([friday], tmp_path / "w.jsonl")
    assert seats.look(Scene("", steps(("accept", {})))).reason == "not on a Friday"
    assert seats.look(scene()).action is None
    assert type(engaged(named("progress"))[0]).__module__.startswith("zwarm_ci."), "a built-in's name is the built-in's"
    for name, said in (
        ("broken", "has no look() or guards"),
        ("gone", "cannot be made: AttributeError"),
        ("fridy", "the nearest is friday"),
    ):
        with pytest.raises(ConfigError) as error:
            engaged(named(name))
        assert said in error.value.line


def test_a_stopped_process_asks_no_expression(tmp_path: Path) -> None:
    (pattern,) = engaged(named("pattern", pattern=RULES))
    with proc.stoppable():
        proc.STOP.set(2)
        with pytest.raises(InterruptedRunError):
            board([pattern], tmp_path / "w.jsonl").look(at(1))
