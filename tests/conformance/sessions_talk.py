"""Contracts over sessions: what is said goes there and back unharmed, and is counted once."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

from tests.conformance.stage import Scene, Stage
from tests.fakemodel import Gate, Reply, Shell, Write
from zwarm_ci.executors.base import Report
from zwarm_ci.task import Usage

#: What shells, argument parsers and JSON writers are apt to break.
AWKWARD = "E   assert \"3\" == '4'\n\t$(touch owned) `touch owned` ; touch owned\n--help é 漢字 \U0001f600 \\n \\ %s {worktree}"
USAGE = Usage(500, 400, 100, 50, 10)
MIB = 1024 * 1024


def the_prompt_goes_by_standard_input_only(stage: Stage) -> None:
    with stage.scene(Reply("done", hold=Gate())) as scene:
        report, seen = scene.watched_turn("mind the zebra crossing")
        assert report.state == "completed", report.message
        assert seen
        assert not [w.argv for w in seen if "zebra" in " ".join(w.argv)]
        if stage.live:
            assert scene.server.turns[0].users[-1] == "mind the zebra crossing"
        else:
            assert "mind the zebra crossing" in scene.given()[0].stdin


def a_file_is_edited_in_the_worktree(stage: Stage) -> None:
    write, shell = Write(stage.path("pad.py"), "a = 1\n"), Shell("printf 'b = 2\\n' > more.py && rm README.md")
    with stage.scene(Reply("", [write]), Reply("", [shell]), Reply("both files are there")) as scene:
        report = scene.turn()
        assert report.state == "completed", report.message
        assert (scene.worktree / "pad.py").read_text() == "a = 1\n"
        assert (scene.worktree / "more.py").read_text() == "b = 2\n"
        assert not (scene.worktree / "README.md").exists()
        assert report.denials == 0


def the_message_is_the_models_last(stage: Stage) -> None:
    replies = (Reply("first I look", [Shell("ls")], reasoning="where is it?"), Reply("it is repaired now"))
    with stage.scene(*replies) as scene:
        report = scene.turn()
        assert (report.state, report.message) == ("completed", "it is repaired now")


def every_line_is_json_and_has_a_headline_or_none(stage: Stage) -> None:
    with stage.scene(Reply("I look", [Shell("ls")], reasoning="hm"), Reply("done")) as scene:
        scene.turn()
        assert all(isinstance(json.loads(line), dict) for line in scene.lines)
        executor = stage.executor()
        told = [executor.headline(line) for line in scene.lines]
        assert any("ls" in headline for headline in told), told
        for odd in (
            b"",
            b"\xff",
            b"[]",
            b"null",
            b'{"type": 5, "item": []}',
            b'{"type":"assistant","message":7}',
            b"\0",
        ):
            assert isinstance(executor.headline(odd), str)


def usage_is_what_the_server_counted(stage: Stage) -> None:
    replies = (
        Reply("", [Shell("ls")], usage=USAGE),
        Reply("", [Shell("pwd")], usage=USAGE),
        Reply("done", usage=USAGE),
    )
    with stage.scene(*replies) as scene:
        report = scene.turn()
        assert report.usage == scene.billed[0]
        assert report.usage.cache_read_tokens == 3 * USAGE.cache_read_tokens
        assert not report.lower_bound
        whole = Usage()
        for _, usage in report.models:
            whole += usage
        assert whole == report.usage
        assert {model for model, _ in report.models} <= {scene.order.model, ""}


def a_second_turn_goes_on_in_the_same_conversation(stage: Stage) -> None:
    with stage.scene(Reply("", [Shell("ls")], usage=USAGE), Reply("one"), Reply("two", usage=USAGE)) as scene:
        first = scene.turn("begin")
        second = scene.turn(AWKWARD)
        assert (first.message, second.message) == ("one", "two")
        assert first.native
        assert first.native == second.native
        assert [first.usage, second.usage] == scene.billed
        assert not (scene.worktree / "owned").exists()
        if stage.live:
            assert scene.server.turns[-1].users[-1] == AWKWARD
            assert "begin" in scene.server.turns[-1].users
            assert len({r.conversation for r in scene.server.turns}) == 1
        else:
            assert AWKWARD in scene.given()[1].stdin
            resumed = " ".join(scene.given()[1].argv)
            assert f"resume {first.native}" in resumed
            assert "resume" not in " ".join(scene.given()[0].argv)


def three_turns_are_counted_once_each(stage: Stage) -> None:
    replies = [Reply(f"turn {n}", usage=Usage(100 * n, 10 * n, 0, n)) for n in (1, 2, 3)]
    with stage.scene(*replies) as scene:
        for _ in replies:
            scene.turn()
        assert [r.usage for r in scene.reports] == scene.billed
        assert [r.usage.output_tokens for r in scene.reports] == [1, 2, 3]


def an_unknown_conversation_is_a_failure_with_its_reason(stage: Stage) -> None:
    with stage.scene(Reply("never said")) as scene:
        scene.order = replace(scene.order, native="01a20dd4-f84a-7733-8efe-20bd35cf82cf")
        report = scene.turn()
        assert report.state == "failed"
        assert any(word in report.message.lower() for word in ("thread", "conversation", "session")), report.message
        assert report.usage == Usage()
        if stage.live:
            assert not scene.server.turns


def a_lie_is_completed_without_a_change(stage: Stage) -> None:
    with stage.scene(Reply("all tests pass now")) as scene:
        before = sorted(p.name for p in scene.worktree.iterdir())
        report = scene.turn()
        assert (report.state, report.message) == ("completed", "all tests pass now")
        assert sorted(p.name for p in scene.worktree.iterdir()) == before


def long_lines_pass(stage: Stage) -> None:
    prompt = "p" * (MIB // 4)
    with stage.scene(Reply("m" * (MIB // 2), [Shell("head -c 100000 /dev/zero | tr '\\0' z")]), Reply("done")) as scene:
        report = scene.turn(prompt)
        assert (report.state, report.message) == ("completed", "done")
        assert max(map(len, scene.lines)) > MIB // 2
        assert all(json.loads(line) for line in scene.lines)
        if stage.live:
            assert scene.server.turns[0].users[-1] == prompt
        else:
            assert prompt in scene.given()[0].stdin


def odd_bytes_pass(stage: Stage) -> None:
    shell = Shell("printf 'nul \\000 bad \\377\\376 escape \\033[31m end'")
    with stage.scene(Reply("nul \x00 rtl \u202e end", [shell]), Reply("done")) as scene:
        report = scene.turn()
        assert (report.state, report.message) == ("completed", "done")


def sessions_at_once_share_nothing(stage: Stage) -> None:
    def replies(number: int) -> tuple[Reply, ...]:
        write = Write(stage.path(f"only_{number}.py", scene=number), f"n = {number}\n")
        return (Reply("", [write], usage=Usage(100 + number, output_tokens=7)), Reply(f"I am {number}"))

    name = stage.contract
    with stage.scene(*replies(0), name=f"{name}.0") as one, stage.scene(*replies(1), name=f"{name}.1") as two:
        found: dict[int, Report] = {}

        def play(number: int, scene: Scene) -> None:
            found[number] = scene.turn(f"you are {number}", alone=False)

        threads = [threading.Thread(target=play, args=pair) for pair in enumerate((one, two))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [found[n].message for n in (0, 1)] == ["I am 0", "I am 1"]
        assert found[0].native != found[1].native
        assert [found[0].usage, found[1].usage] == [one.billed[0], two.billed[0]]
        assert [sorted(p.name for p in s.worktree.glob("only_*")) for s in (one, two)] == [["only_0.py"], ["only_1.py"]]


TALK = (
    the_prompt_goes_by_standard_input_only,
    a_file_is_edited_in_the_worktree,
    the_message_is_the_models_last,
    every_line_is_json_and_has_a_headline_or_none,
    usage_is_what_the_server_counted,
    a_second_turn_goes_on_in_the_same_conversation,
    three_turns_are_counted_once_each,
    an_unknown_conversation_is_a_failure_with_its_reason,
    a_lie_is_completed_without_a_change,
    long_lines_pass,
    odd_bytes_pass,
    sessions_at_once_share_nothing,
)
