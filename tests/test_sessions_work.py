"""What the process of a session does with its order: begin, go on, money, limits, and how a stop ends it; with an executor that obeys."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.executor import Edit, Scripted
from tests.support import Repo, belongings
from zwarm_ci import proc
from zwarm_ci.errors import BlockedError, InterruptedRunError, LimitError, UsageError
from zwarm_ci.executors import EXECUTORS
from zwarm_ci.executors.base import Order, Report
from zwarm_ci.git import open_repository
from zwarm_ci.sessions import Meta, Store, place
from zwarm_ci.supervise import Begin, work
from zwarm_ci.task import Usage

ANSWER = Report("completed", "did it", usage=Usage(1000, 0, 0, 100), native="thread-1", total=Usage(1000, 0, 0, 100))
CODEX = 'executor.ladder=["codex:gpt-5.1-codex-mini"]'


def writes(name: str, text: str, report: Report = ANSWER) -> Edit:
    def act(tree: Path) -> Report:
        (tree / name).write_text(text)
        return report

    return act


class Codex(Scripted):
    """One that has a login of its own, so no key and no gateway."""

    def login(self) -> str:
        return "a fake one"


class Desk:
    """A repository, the orders given to it and the executor that takes them."""

    def __init__(self, repo: Repo, executor: Scripted) -> None:
        self.repo, self.executor = repo, executor
        self.store = Store(repo.path / ".zwarm")
        self.user = open_repository(repo.path)
        self.seen: list[str] = []

    def order(self, message: str, **more: Any) -> Begin:
        given = Begin(str(self.repo.path), str(self.repo.path / ".zwarm"), message, title=message, sets=(CODEX,))
        return replace(given, **more)

    def work(self, message: str, ask: Callable[[str], bool] = lambda _: True, **more: Any) -> Meta:
        return work(self.order(message, **more), ask, lambda meta: self.seen.append(self.store.load(meta.id).state))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    executor = Codex([writes("a.py", "two\n")], name="codex")
    monkeypatch.setitem(EXECUTORS, "codex", lambda: executor)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)  # it is remembered
    (tmp_path / "tmp").mkdir()
    files = {"a.py": "one\n", "AGENTS.md": "be kind\n", ".zwarm/codex.toml": "x = 1\n"}
    return Desk(Repo.make(tmp_path / "repo", files), executor)


def folders() -> list[str]:
    return sorted(p.name for p in Path(os.environ["TMPDIR"]).iterdir())


def test_a_session_from_begin_to_end(desk: Desk) -> None:
    before = belongings(desk.repo.path)
    meta = desk.work("change a.py")
    assert belongings(desk.repo.path) == before
    assert desk.seen == ["running"]
    assert (meta.state, meta.turn, meta.reason, meta.native) == ("completed", 1, "did it", "thread-1")
    assert (meta.usage, meta.total) == (ANSWER.usage, ANSWER.total)
    assert meta.cost_usd > 0
    assert meta == desk.store.load(meta.id)
    assert b"+two" in place.patch(desk.store, meta, desk.user)
    assert desk.store.turn_file(meta, 1).read_bytes() == b'{"type":"turn"}\n'
    assert [e["kind"] for e in desk.store.events(meta.id)[0]] == ["state", "message", "state"]
    (order,) = desk.executor.orders
    assert (order.message, order.turn, order.native, order.model) == ("change a.py", 1, "", "gpt-5.1-codex-mini")
    assert (order.conduct.instructions, order.conduct.native) == ("be kind\n", "x = 1\n")
    assert order.worktree == Path(meta.worktree)
    assert not order.worktree.is_relative_to(desk.repo.path)
    assert 0 < (order.budget_usd or 0) <= 3


def test_going_on_where_it_was_left(desk: Desk) -> None:
    meta = desk.work("first")
    later = replace(ANSWER, total=Usage(3000, 0, 0, 200))
    desk.executor.edits = [writes("b.py", "new\n", later)] * 2
    again = desk.work("second", session=meta.id)
    order = desk.executor.orders[-1]
    assert (order.turn, order.native, order.total, order.message) == (2, "thread-1", ANSWER.total, "second")
    assert (order.worktree / "a.py").read_text() == "two\n"
    assert (again.turn, again.total, again.cost_usd) == (2, later.total, 2 * meta.cost_usd)
    assert {c.path for c in place.changed(place.patch(desk.store, again, desk.user), desk.user)} == {"a.py", "b.py"}
    assert [e["text"] for e in desk.store.events(meta.id)[0] if e["kind"] == "message"] == ["first", "second"]


def test_settings_are_those_of_its_base(desk: Desk) -> None:
    meta = desk.work("first")
    desk.repo.commit("other", {".zwarm/config.toml": "nonsense = 1\n", "AGENTS.md": "be cruel\n"})
    (Path(meta.worktree) / "AGENTS.md").write_text("obey\n")
    desk.work("second", session=meta.id)
    assert desk.executor.orders[-1].conduct.instructions == "be kind\n"


def test_what_each_turn_cost_comes_off_the_budget_of_the_next(desk: Desk) -> None:
    meta = desk.work("first")
    desk.work("second", session=meta.id)
    first, second = (o.budget_usd or 0 for o in desk.executor.orders)
    assert first - second == pytest.approx(float(meta.cost_usd))
    with pytest.raises(LimitError, match="has cost") as over:
        desk.work("third", session=meta.id, sets=(CODEX, "budget.task_usd=0.0001"))
    assert over.value.remedy == "raise budget.task_usd"
    assert desk.store.load(meta.id).turn == 2


def test_the_day_is_shared_with_runs_and_other_sessions(desk: Desk) -> None:
    meta = desk.work("first")
    with pytest.raises(LimitError, match="day"):
        desk.work("second", sets=(CODEX, f"budget.day_usd={meta.cost_usd}"))
    assert len(desk.store.ids()) == 1


@pytest.mark.parametrize(
    ("more", "kind", "said"),
    [
        ({"sets": ("executor.ladder=[\"embedded\"]",)}, UsageError, "takes no task in words"),
        ({"base": "nowhere"}, UsageError, "no commit is called 'nowhere'"),
        ({"sets": (CODEX, "budget.usd=0")}, LimitError, "limit"),
        ({"sets": (CODEX, "no.such=1")}, UsageError, "no.such"),
    ],
)  # fmt: skip
def test_what_cannot_begin_leaves_nothing(desk: Desk, more: dict[str, Any], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        desk.work("x", **more)
    assert (desk.store.ids(), folders(), desk.seen) == ([], [], [])


def test_who_says_no_to_paying_has_started_nothing(desk: Desk) -> None:
    asked: list[str] = []

    def no(question: str) -> bool:
        asked.append(question)
        return False

    with pytest.raises(BlockedError, match="not agreed"):
        desk.work("x", ask=no)
    assert "gpt-5.1-codex-mini costs about" in asked[0]
    assert (desk.store.ids(), folders()) == ([], [])


def test_a_session_that_cannot_go_on_says_why(desk: Desk) -> None:
    meta = desk.work("first")
    place.discard(meta)
    with pytest.raises(UsageError, match=r"its worktree .* is gone"):
        desk.work("second", session=meta.id)
    of_run = desk.store.create(run="r", task="t", executor="codex", model="")
    desk.store.move(desk.store.move(of_run, "running"), "completed")
    with pytest.raises(UsageError, match="it belongs to a run"):
        desk.work("second", session=of_run.id)
    assert desk.store.load(meta.id).turn == 1


@pytest.mark.parametrize(("signum", "state"), [(signal.SIGTERM, "killed"), (signal.SIGINT, "interrupted")])
def test_a_stop_keeps_what_was_done(desk: Desk, signum: signal.Signals, state: str) -> None:
    def cut(tree: Path) -> Report:
        (tree / "a.py").write_text("half\n")
        proc.STOP.set(signum)
        proc.STOP.check()
        raise AssertionError

    desk.executor.edits = [cut]
    try:
        with pytest.raises(InterruptedRunError):
            desk.work("x")
    finally:
        proc.STOP.clear()
    (meta,), _ = desk.store.all()
    assert (meta.state, meta.lower_bound) == (state, True)
    assert b"+half" in (desk.store.folder(meta.id) / "work.patch").read_bytes()


def test_the_tag_is_that_of_all_it_starts(desk: Desk) -> None:
    found: list[str] = []

    def look(tree: Path) -> Report:
        done = proc.run(["sh", "-c", f'echo "${proc.TAG}"'], cwd=tree)
        found.append(done.stdout.decode().strip())
        return ANSWER

    desk.executor.edits = [look]
    meta = desk.work("x")
    assert found[0].startswith(f"{meta.tag}.")


def test_limits_of_time_are_those_of_a_run(desk: Desk) -> None:
    desk.work("x", sets=(CODEX, "budget.minutes=1", "executor.silence=7"))
    desk.work("x", sets=(CODEX, "budget.minutes=0", "executor.timeout=90"))
    assert [(o.timeout, o.silence) for o in desk.executor.orders] == [(60, 7), (90, 600)]


def test_an_unpriced_turn_is_said(desk: Desk) -> None:
    desk.executor.edits = [writes("a.py", "x\n", replace(ANSWER, models=(("unheard-of", Usage(10)),), usage=Usage(10)))]
    meta = desk.work("x")
    assert (meta.cost_usd, meta.unpriced_tokens) == (Decimal(0), 10)


def test_the_session_exists_for_others_before_its_turn(desk: Desk) -> None:
    seen: list[Order] = []

    def look(tree: Path) -> Report:
        (meta,), _ = desk.store.all()
        seen.append(desk.executor.orders[-1])
        assert (meta.state, meta.worktree) == ("running", str(tree))
        return ANSWER

    desk.executor.edits = [look]
    desk.work("x")
    assert seen


@pytest.mark.parametrize("where", ["committed", "linked", "open", "relative"])
def test_a_place_that_came_with_a_clone_is_nobodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Its private repository may name programs that git would run."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    made = place.fresh()
    place.mark(made, "aaaaaaaaaaaa")
    meta = Meta("aaaaaaaaaaaa", "", "", "codex", "", "completed", 1, 0.0, 0.0, worktree=str(made / "work"))
    assert place.of(meta) == made
    if where == "committed":
        (tmp_path / ".git").mkdir()
    elif where == "linked":
        (tmp_path / "zw-link").symlink_to(made)
        meta = replace(meta, worktree=str(tmp_path / "zw-link/work"))
    elif where == "open":
        made.chmod(0o755)
    else:
        monkeypatch.chdir(tmp_path)
        meta = replace(meta, worktree=f"{made.name}/work")
    assert place.of(meta) is None
