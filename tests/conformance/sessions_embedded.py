"""The contracts over sessions for the executor without a model: how it keeps each that makes sense for it, and why not the others."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.sessions_ends import stubborn, within
from tests.conformance.stage import SECRETS, Watched, alive, tagged
from tests.repair.labs import Workshop, history
from tests.support import belongings
from zwarm_ci import proc
from zwarm_ci.errors import InterruptedRunError
from zwarm_ci.executors import EXECUTORS
from zwarm_ci.executors.base import Conduct, Order, Report, Workbench
from zwarm_ci.private import Worktree
from zwarm_ci.task import Check, Usage

GREPS = Check("words", "grep -q three words.txt", "generic", timeout=30.0)
_BASE = {"words.txt": "one\ntwo\nthree\nfour\n"}
_PATIENCE = 4.0
#: It ends by itself a little before its limit where it can, and is ended where it cannot.
_OUT_OF_TIME = {("timed_out", None), ("completed", None)}


class Bench:
    """A repository with a regression in it, and orders to undo it."""

    def __init__(self, place: Path, environ: pytest.MonkeyPatch) -> None:
        self.place = place
        self.environ = environ
        self.repo = history(place / "checkout", _BASE, {"words.txt": "one!\ntwo\nTHREE\nfour\n"})
        self.lines: list[bytes] = []
        self._orders = 0
        for name, value in SECRETS.items():
            environ.setenv(name, value)

    def order(self, check: Check = GREPS) -> Order:
        """A first turn on what `GREPS` finds; with another check it is that which is run for it."""
        self._orders += 1
        place = self.place / f"order_{self._orders}"
        self.workshop = Workshop(self.repo, place, GREPS)
        task = self.workshop.lab().subject.task
        worktree = self.workshop.private.worktree(self.workshop.user.head, place / "worktree")
        bench = Workbench(
            self.workshop.private.path, self.workshop.user.top, self.workshop.user.head, (check,), revert=True
        )
        return Order("s1", 1, "", task, task.text, worktree.path, bench, place / "session", place / "tmp", 60.0, 30.0)

    def turn(self, order: Order, heard: Callable[[bytes], None] = lambda _: None) -> Report:
        """One turn; the user's checkout stays as it was and nothing is alive."""
        before = belongings(self.repo.path)

        def on_line(line: bytes) -> None:
            self.lines.append(line)
            heard(line)

        report = EXECUTORS["embedded"]().turn(order, on_line)
        assert belongings(self.repo.path) == before
        assert not tagged()
        return report

    def watched(self, order: Order, act: Callable[[list[tuple[int, Watched]]], None]) -> Report:
        """A turn; `act` gets its processes when it has said that it began."""
        began = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            turn = pool.submit(self.turn, order, lambda _: began.set())
            assert began.wait(30)
            act(tagged())
            return turn.result()

    def busy(self, mark: str) -> Order:
        """An order whose check never ends and leaves a stubborn grandchild."""
        script = self.place / "check.sh"
        script.write_text(f"#!/bin/sh\ncd {self.place}\n{stubborn(mark).command}\n")
        return self.order(Check("words", f"sh {script}", "generic", timeout=60.0))


def _prompt(bench: Bench) -> None:
    order = replace(bench.busy("zebra"), message="mind the zebra crossing", timeout=_PATIENCE)

    def look(seen: list[tuple[int, Watched]]) -> None:
        assert seen
        assert not [w for _, w in seen if "mind the zebra" in " ".join(w.argv)]

    bench.watched(order, look)


def _edits(bench: Bench) -> None:
    order = bench.order()
    report = bench.turn(order)
    assert (report.state, report.method) == ("completed", "revert")
    assert (order.worktree / "words.txt").read_text() == "one!\ntwo\nthree\nfour\n"


def _message(bench: Bench) -> None:
    report = bench.turn(bench.order())
    assert report.message == json.loads(bench.lines[-1])["message"] != ""


def _lines(bench: Bench) -> None:
    bench.turn(bench.order())
    executor = EXECUTORS["embedded"]()
    assert all(isinstance(json.loads(line), dict) for line in bench.lines)
    assert any(executor.headline(line) for line in bench.lines)
    assert [executor.headline(odd) for odd in (b"", b"\xff", b"[]", b"null")] == [""] * 4


def _costs_nothing(bench: Bench) -> None:
    report = bench.turn(bench.order())
    assert (report.usage, report.total, report.cost_usd, report.models) == (Usage(), Usage(), 0.0, ())
    assert not report.lower_bound


def _no_conversation(bench: Bench) -> None:
    """There is nothing to resume: a later turn begins at the base again and passes over what was refused."""
    order = bench.order()
    first = bench.turn(order)
    refused = Worktree(bench.workshop.private, order.worktree).tree()
    (order.worktree / "stray.txt").write_text("of an earlier turn")
    again = bench.turn(replace(order, turn=2, native=first.native, refused=(refused,)))
    assert first.native == again.native == ""
    assert again.state == "completed"
    assert (order.worktree / "words.txt").read_text() == _BASE["words.txt"]
    assert not (order.worktree / "stray.txt").exists()


def _knows_no_conversations(bench: Bench) -> None:
    report = bench.turn(replace(bench.order(), native="01a20dd4-f84a-7733-8efe-20bd35cf82cf"))
    assert (report.state, report.native) == ("completed", "")


def _says_what_it_did_not(bench: Bench) -> None:
    order = replace(bench.order(), task=replace(bench.order().task, failures=()))
    before = (order.worktree / "words.txt").read_text()
    report = bench.turn(order)
    assert (report.state, report.method) == ("completed", None)
    assert (order.worktree / "words.txt").read_text() == before


def _long(bench: Bench) -> None:
    report = bench.turn(replace(bench.order(), message="p" * 2**18))
    assert (report.state, report.method) == ("completed", "revert")


def _at_once(bench: Bench) -> None:
    orders = [bench.order(), bench.order()]
    executor = EXECUTORS["embedded"]()
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda o: executor.turn(o, lambda _: None), orders))
    assert [r.method for r in reports] == ["revert", "revert"]
    assert {(o.worktree / "words.txt").read_text() for o in orders} == {"one!\ntwo\nthree\nfour\n"}


def _time(bench: Bench) -> None:
    mark = f"{bench.place}/time"
    with within(_PATIENCE + 25):
        report = bench.turn(replace(bench.busy(mark), timeout=_PATIENCE))
    assert (report.state, report.method) in _OUT_OF_TIME
    assert (bench.place / "grandchild").exists(), "it never came so far"
    assert not alive(mark)


def _silence(bench: Bench) -> None:
    mark = f"{bench.place}/silence"
    report = bench.turn(replace(bench.busy(mark), silence=_PATIENCE))
    assert (report.state, "no event" in report.message) == ("timed_out", True)
    assert (bench.place / "grandchild").exists(), "it never came so far"
    assert not alive(mark)


def _stop(bench: Bench) -> None:
    mark = f"{bench.place}/stop"
    try:
        with within(60), contextlib.suppress(InterruptedRunError):
            report = bench.turn(bench.busy(mark), lambda _: proc.STOP.set())
            assert report.state == "interrupted", report
    finally:
        proc.STOP.clear()
    assert not tagged()
    assert not alive(mark)


def _after_limit(bench: Bench) -> None:
    order = bench.busy(f"{bench.place}/again")
    report = bench.turn(replace(order, timeout=_PATIENCE))
    assert (report.state, report.method) in _OUT_OF_TIME
    bench_again = replace(order.workbench, checks=(GREPS,))
    again = replace(
        order, turn=2, scratch=order.scratch.with_name("tmp2"), workbench=bench_again
    )  # a fresh one, as the loop gives
    report = bench.turn(again)
    assert report.method == "revert", report


def _signalled(number: signal.Signals) -> Callable[[Bench], None]:
    def kept(bench: Bench) -> None:
        def kill(seen: list[tuple[int, Watched]]) -> None:
            pids = [pid for pid, w in seen if w.argv[-1].endswith("embedded_main")]
            assert pids
            for pid in pids:
                os.kill(pid, number)

        report = bench.watched(bench.busy(f"{bench.place}/signal"), kill)
        assert report.state in {"failed", "killed", "interrupted"}
        assert report.message

    return kept


def _no_result(bench: Bench) -> None:
    order = bench.order()
    nowhere = replace(order, workbench=replace(order.workbench, private=bench.place / "nowhere"))
    report = bench.turn(nowhere)
    assert report.state == "failed"
    assert "nowhere" in report.message


def _no_secrets(bench: Bench) -> None:
    def look(seen: list[tuple[int, Watched]]) -> None:
        assert seen
        for _, watched in seen:
            assert not [v for v in SECRETS.values() if v in json.dumps([watched.argv, watched.environ])]

    bench.watched(replace(bench.busy("look"), timeout=_PATIENCE), look)


def _nothing_left(bench: Bench) -> None:
    order = bench.order()
    bench.turn(order)
    for folder in (order.folder, order.worktree):
        for path in folder.rglob("*"):
            if path.is_file():
                assert not [v for v in SECRETS.values() if v.encode() in path.read_bytes()], path


def _named(bench: Bench) -> None:
    """What checks name in `env` passes; what an executor's settings name is for command lines."""
    bench.environ.setenv("PASSED_ON", "three")
    check = replace(GREPS, run="sh -c 'grep -q ${PASSED_ON:-nothing} words.txt'", env=("PASSED_ON",))
    assert bench.turn(replace(bench.order(check), conduct=Conduct(env=("GITHUB_TOKEN",)))).method == "revert"


KEPT: dict[str, Callable[[Bench], None]] = {
    "the_prompt_goes_by_standard_input_only": _prompt,
    "a_file_is_edited_in_the_worktree": _edits,
    "the_message_is_the_models_last": _message,
    "every_line_is_json_and_has_a_headline_or_none": _lines,
    "usage_is_what_the_server_counted": _costs_nothing,
    "a_second_turn_goes_on_in_the_same_conversation": _no_conversation,
    "an_unknown_conversation_is_a_failure_with_its_reason": _knows_no_conversations,
    "a_lie_is_completed_without_a_change": _says_what_it_did_not,
    "long_lines_pass": _long,
    "sessions_at_once_share_nothing": _at_once,
    "the_time_limit_leaves_nothing_alive": _time,
    "the_limit_on_silence_leaves_nothing_alive": _silence,
    "a_stop_leaves_nothing_alive": _stop,
    "a_conversation_goes_on_after_its_limit": _after_limit,
    "a_signal_from_elsewhere_is_no_success": _signalled(signal.SIGINT),
    "a_kill_from_elsewhere_is_a_failure": _signalled(signal.SIGKILL),
    "an_end_without_a_result_is_a_failure": _no_result,
    "tools_see_no_key": _no_secrets,
    "no_key_is_in_an_argument_or_an_environment": _no_secrets,
    "no_key_is_left_behind": _nothing_left,
    "named_variables_pass_but_no_credentials": _named,
}
_NO_MODEL = "it asks no model, so no provider can fail it"
_OURS = "its process is our own program, which nobody replaces; tests/test_embedded.py has its crashes"
_NO_SETTINGS = "it has neither a model nor a sandbox nor instructions; its edits are those of its own methods"
#: Contracts that are not asked of it, and why.
NOT_KEPT: dict[str, str] = {
    "three_turns_are_counted_once_each": "there is nothing to count: every turn costs nothing",
    "odd_bytes_pass": "its texts are its own; what tests print is held by the parsers' conformance",
    "a_refused_request_is_a_failure_in_the_providers_words": _NO_MODEL,
    "our_own_denial_ends_the_turn_at_once": _NO_MODEL,
    "an_error_that_is_retried_is_not_the_end": _NO_MODEL,
    "a_rate_limit_with_a_time_to_wait": _NO_MODEL,
    "a_rate_limit_without_a_time_to_wait": _NO_MODEL,
    "an_outage": _NO_MODEL,
    "a_key_that_is_refused": _NO_MODEL,
    "a_stream_that_is_cut_every_time": _NO_MODEL,
    "a_stream_that_is_cut_once_is_asked_for_again": _NO_MODEL,
    "a_stall_before_the_headers": _NO_MODEL,
    "a_stall_in_the_stream": _NO_MODEL,
    "a_connection_that_is_refused": _NO_MODEL,
    "a_crash_without_output_shows_the_end_of_its_errors": _OURS,
    "garbage_is_survived": _OURS,
    "the_model_is_passed_on": _NO_SETTINGS,
    "the_effort_is_passed_on": _NO_SETTINGS,
    "a_write_outside_is_denied_and_counted": _NO_SETTINGS,
    "nothing_is_written_where_it_may_only_read": _NO_SETTINGS,
    "full_access_is_to_be_had_by_name": _NO_SETTINGS,
    "the_network_is_closed_to_tools_unless_everything_is_open": _NO_SETTINGS,
    "the_web_is_searched_only_when_asked_for": _NO_SETTINGS,
    "nobody_else_is_called": _NO_MODEL,
    "the_users_own_settings_play_no_part": _NO_SETTINGS,
    "the_repositorys_own_settings_play_no_part": _NO_SETTINGS,
    "instructions_are_the_bases": _NO_SETTINGS,
}
