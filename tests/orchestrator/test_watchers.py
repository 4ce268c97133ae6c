"""The built-in watchers, one by one: what each speaks up at, and what it lets pass."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.conformance import watcher as conformance
from tests.orchestrator.watching import changed, look, scene, steps, worker
from zwarm_ci.config import RuleTable, Settings, WatchersSettings
from zwarm_ci.config.orchestrating import LlmTable, PatternTable, ScopeTable
from zwarm_ci.errors import ZwarmError
from zwarm_ci.orchestrator.watchers import WATCHERS
from zwarm_ci.orchestrator.watchers.base import FileChange, Meter
from zwarm_ci.orchestrator.watchers.delegation import writes

RULES = PatternTable((RuleTable("rm -rf", "call", "abort", "never"),))
ALL = Settings(watchers=WatchersSettings(pattern=RULES, llm=LlmTable("haiku", 1)))


@pytest.mark.parametrize("name", WATCHERS)
def test_what_all_watchers_owe(name: str) -> None:
    conformance.check(name, WATCHERS[name], ALL)


# ------------------------------------------------------------------------------------------------------------- progress


def test_the_same_call_three_times_is_said() -> None:
    again = ("bash", {"command": "ls"})
    assert not look("progress", scene(again, again))
    (said,) = look("progress", scene(again, again, again))
    assert said.action == "nudge"
    assert "3 times" in said.message
    assert not look("progress", scene(again, ("bash", {"command": "ls -l"}), again))


def test_calls_alike_that_bring_something_new_are_progress() -> None:
    calls = [("verify", {"session_id": "a"}, {"n": n}) for n in range(5)]
    assert not look("progress", scene(*calls))


@pytest.mark.parametrize("tool", ["peek_session", "check_session", "list_sessions"])
def test_polling_is_said_whatever_the_answers(tool: str) -> None:
    (said,) = look("progress", scene(*[(tool, {"session_id": "a"}, {"n": n}) for n in range(3)]))
    assert "wait" in said.message


def test_waiting_is_no_polling_but_hasty_waits_are() -> None:
    assert not look("progress", scene(*[("wait", {"timeout": 240})] * 6))
    assert not look("progress", scene(*[("wait", {})] * 6))
    assert not look("progress", scene(*[("sleep", {"seconds": 60})] * 6))
    (said,) = look("progress", scene(*[("wait", {"timeout": 1})] * 3))
    assert "polling" in said.message


def test_many_calls_without_a_new_verdict_are_said_and_waits_do_not_count() -> None:
    looked = [("bash", {"command": f"ls {n}"}) for n in range(15)]
    (said,) = look("progress", scene(*looked))
    assert said.message.startswith("15 calls without")
    assert not look("progress", scene(*looked[:14], ("wait", {})))
    assert not look("progress", scene(*looked[:8], ("verify", {"session_id": "a"}), *looked[8:]))
    refused = ("accept", {"session_id": "a"}, {"success": False})
    assert look("progress", scene(*looked[:8], refused, *looked[8:]))


def test_a_session_that_changed_nothing_is_said_once_a_turn() -> None:
    (said,) = look("progress", scene(workers=[worker()]))
    assert said.once
    assert "session 5e55104a ended turn 1 without changing anything" in said.message
    assert said.about != look("progress", scene(workers=[replace(worker(), turn=2)]))[0].about
    for other in (worker(changed("a.py")), worker(state="running"), worker(state="failed"), worker(closed=True)):
        assert not look("progress", scene(workers=[other]))


# --------------------------------------------------------------------------------------------------------------- budget


def test_a_limit_warns_at_four_fifths_and_ends_the_run_at_its_whole() -> None:
    def said(used: float, **more: bool) -> list[tuple[str, bool]]:
        return [
            (o.action, o.once)
            for o in look("budget", scene(meters=[Meter("dollars", used, 10, "raise budget.usd", **more)]))
        ]

    assert said(7.99) == []
    assert said(8) == [("nudge", True)]
    assert said(10) == [("abort", False)]
    assert said(11, hard=False) == [("nudge", True)]
    assert not look("budget", scene(meters=[Meter("tokens", 1e9, 0, "")]))


def test_each_limit_is_named_with_its_remedy() -> None:
    meters = [
        Meter("dollars", 9, 10, "raise budget.usd"),
        Meter("steps", 50, 50, "raise --max-steps"),
        Meter("tokens", 81_000, 100_000, ""),
    ]
    said = {o.action: o.message for o in look("budget", scene(meters=meters[:2]))}
    assert said["abort"] == "the limit is reached: 50 of 50 steps (raise --max-steps)"
    assert said["nudge"].startswith("9 of 10 dollars are used (90%)")
    assert look("budget", scene(meters=meters[2:]))[0].message.startswith("81,000 of 100,000 tokens")


# ---------------------------------------------------------------------------------------------------------------- scope


def test_changes_beside_what_the_task_names_are_said() -> None:
    task = "Repair src/parser.py: parse('') must give []."
    for path in ("src/parser.py", "src/tokens.py", "src/parser.py"):
        assert not look("scope", scene(workers=[worker(changed(path), task=task)]))
    (said,) = look("scope", scene(workers=[worker(changed("docs/index.md"), changed("web/a.js"), task=task)]))
    assert "changed docs/index.md, web/a.js, and nothing that its task names" in said.message
    assert not look("scope", scene(workers=[worker(changed("docs/index.md"), task="Say more in the docs.")])), (
        "it names no path"
    )
    assert not look("scope", scene(workers=[worker(changed("docs/a/b.md"), task="All of docs/ is to be rewritten")]))
    assert not look("scope", scene(workers=[worker(changed("web/a.js"), task=task, closed=True)]))


def test_the_users_own_paths_hold_whatever_the_task_names() -> None:
    settings = Settings(watchers=WatchersSettings(scope=ScopeTable(("src", "docs/*.md"))))
    assert not look("scope", scene(workers=[worker(changed("src/deep/a.py"), changed("docs/a.md"))]), settings)
    (said,) = look(
        "scope", scene(workers=[worker(changed("src/a.py"), changed("web/a.js"), task="web/a.js")]), settings
    )
    assert "web/a.js, outside of watchers.scope.paths" in said.message
    assert "src/a.py" not in said.message


def test_settings_of_checks_are_said_early() -> None:
    (said,) = look("scope", scene(workers=[worker(changed("pyproject.toml"), changed(".github/workflows/ci.yml"))]))
    assert "pyproject.toml, .github/workflows/ci.yml, which decides how checks run" in said.message
    assert not look(
        "scope", scene(workers=[worker(changed("pyproject.toml"), task="Bump the version in pyproject.toml.")])
    )


def test_words_that_are_out_of_scope_are_said() -> None:
    settings = Settings(watchers=WatchersSettings(scope=ScopeTable((), ("Licence",))))
    (said,) = look("scope", scene(("delegate", {"task": "rewrite the LICENCE"})), settings)
    assert "'Licence' is not part of this work" in said.message
    assert not look("scope", scene(("delegate", {"task": "rewrite it"})), settings)
    assert not look("scope", scene(("bash", {"command": "cat licence"})), settings)


@pytest.mark.parametrize(
    "command",
    ["cat .env", "cat ~/.ssh/id_rsa", "tr '\\0' '\\n' < /proc/self/environ", "printenv", "cat ~/.aws/config",
     "echo $OPENAI_API_KEY", "cat ~/.netrc"],
)  # fmt: skip
def test_looking_for_secrets_is_said(command: str) -> None:
    (said,) = look("scope", scene(("bash", {"command": command})))
    assert "where secrets are" in said.message


@pytest.mark.parametrize(
    "command", ["cat .env.example", "cat environment.py", "git log --oneline", "ls venv/bin", "cat keyboard.py"]
)
def test_looking_elsewhere_is_not(command: str) -> None:
    assert not look("scope", scene(("bash", {"command": command})))


# -------------------------------------------------------------------------------------------------------------- quality


def test_more_than_verification_lets_pass_is_said_before() -> None:
    big = [changed(f"src/a{n}.py") for n in range(41)]
    (said,) = look("quality", scene(workers=[worker(*big)]))
    assert "41 files, 41 lines" in said.message
    (said,) = look("quality", scene(workers=[worker(changed("a.py", added=["x"] * 2001))]))
    assert "1 files, 2001 lines" in said.message
    assert not look("quality", scene(workers=[worker(*big[:40])]))


def test_new_behaviour_without_a_test_is_said_where_nothing_else_proves_it() -> None:
    def said(*files: FileChange, proven: bool | None = False) -> list[str]:
        return [o.message for o in look("quality", scene(workers=[worker(*files, proven=proven)]))]

    assert "changed src/a.py and no test" in said(changed("src/a.py"))[0]
    assert not said(changed("src/a.py"), proven=True)
    assert not said(changed("src/a.py"), proven=None), "what is red is not known yet"
    assert not said(changed("src/a.py"), changed("tests/test_a.py"))
    assert not said(changed("src/a.py", added=(), removed=["x"])), "what goes needs no test"


@pytest.mark.parametrize(
    ("added", "removed"),
    [
        ([], ["    assert add(1, 2) == 3"]),
        (["    pass"], ["    assert a", "    assert b"]),
        (["@pytest.mark.skip", "def test_a():"], []),
        (["  it.only('adds', () => {"], ["  it('adds', () => {"]),
    ],
)
def test_weaker_tests_are_said(added: list[str], removed: list[str]) -> None:
    (said,) = look("quality", scene(workers=[worker(changed("tests/test_a.py", added=added, removed=removed))]))
    assert "made tests/test_a.py weaker" in said.message


def test_tests_that_assert_more_are_not_weaker() -> None:
    better = changed("tests/test_a.py", added=["assert add(1, 2) == 3", "assert x"], removed=["assert add(1, 2)"])
    assert not look("quality", scene(workers=[worker(better)]))


# ----------------------------------------------------------------------------------------------------------- delegation


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ("echo 'x = 1' > src/a.py", "> src/a.py"), ("echo x >> a", ">> a"), ("make 2> log.txt", "> log.txt"), ("ls &> out", "&> out"),
        ("cat <<'EOF' > a.py\nprint(1)\nEOF", "> a.py"), ("printf x | tee a.py", "tee"), ("sed -i s/a/b/ f.py", "sed in place"),
        ("sed -n -E -i.bak s/a/b/ f", "sed in place"), ("perl -pi -e s/a/b/ f", "perl in place"), ("git commit -am x", "git commit"),
        ("git -c a=b checkout -b x", ""), ("cd x && rm -r y", "rm"), ("FOO=1 sudo mv a b", "mv"), ("find . | xargs rm", "rm"),
        ("python3 -c \"open('a.py', 'w').write('x')\"", "open('a.py', 'w"), ("node -e \"fs.writeFileSync('a', 'b')\"", "writeFile"),
        ("pip install requests", "pip install"), ("(cd x; touch y)", "touch"), ("patch -p1 < fix.diff", "patch"),
        ("if true; then mkdir x; fi", "mkdir"),
    ],
)  # fmt: skip
def test_what_would_write_is_known(command: str, what: str) -> None:
    assert writes(command) == what


@pytest.mark.parametrize(
    "command",
    [
        "ls -la", "cat a.py 2>/dev/null", "make 2>&1 | tail", "grep -rn 'rm -rf' .", "git log --oneline -5", "git diff HEAD~1", "sed -n 1,40p a.py",
        "pytest -q > /dev/null", "echo 'a > b'", "python -c 'print(open(\"a\").read())'", "cat <<EOF\nrm -rf x\nEOF", "awk '{print $1}' touch.txt",
        "pip list", "npm ls", "echo unclosed '", "find . -name '*.py' | wc -l", "ls rm", "",
    ],
)  # fmt: skip
def test_what_only_looks_is_let_pass(command: str) -> None:
    assert writes(command) == ""


def test_who_keeps_trying_to_write_is_paused() -> None:
    tries = [("bash", {"command": f"echo {n} > a.py"}) for n in range(3)]
    assert [o.action for o in look("delegation", scene(*tries[:2]))] == ["nudge"]
    (said,) = look("delegation", scene(*tries))
    assert said.action == "pause"
    assert not look("delegation", scene(*tries, ("bash", {"command": "ls"})))
    seen = scene(*tries)
    paused = replace(seen, steps=(*(replace(s, answer={}) for s in seen.steps), *steps(tries[0], first=4)))
    assert [o.action for o in look("delegation", paused)] == ["nudge"], "a person has seen those"
    assert not look("delegation", scene(("delegate", {"task": "echo x > a.py"})))


# ------------------------------------------------------------------------------------------------------------- reminder


def test_who_only_looks_is_reminded_and_waiting_is_not_looking() -> None:
    looks = [("bash", {"command": str(n)}) for n in range(10)]
    assert look("delegation_reminder", scene(*looks))[0].message.startswith("10 calls in a row")
    assert not look("delegation_reminder", scene(*looks[:9], *[("wait", {})] * 20))
    assert not look("delegation_reminder", scene(*looks[:5], ("delegate", {"task": "x"}), *looks[5:]))


# -------------------------------------------------------------------------------------------------------------- pattern


def rules(*given: RuleTable) -> Settings:
    return Settings(watchers=WatchersSettings(pattern=PatternTable(given)))


def test_a_rule_is_searched_where_it_says() -> None:
    given = rules(
        RuleTable("secret sauce", "call", "nudge", "keep it"),
        RuleTable("^FAILED", "output", "pause"),
        RuleTable(r"eval\(", "difference", "abort", "no eval"),
    )
    shown = scene(
        ("bash", {"command": "echo secret sauce"}, {"output": "one\nFAILED x"}),
        workers=[worker(changed("a.py", added=["x = eval(y)"]))],
    )
    said = {o.action: o.message for o in look("pattern", shown, given)}
    assert "keep it: 'secret sauce' in the call (step 1)" in said["nudge"]
    assert "rule 2 of watchers.pattern.rules: 'FAILED' in the output (step 1)" in said["pause"]
    assert "no eval: 'eval(' in the difference (5e55104a1b2c turn 1 a.py)" in said["abort"]
    removed = scene(
        ("bash", {"command": "ls"}), workers=[worker(changed("a.py", added=["x"], removed=["x = eval(y)"]))]
    )
    assert not look("pattern", removed, given)


def test_a_rule_without_an_end_is_ended_and_is_an_error() -> None:
    shown = scene(("bash", {"command": "a" * 40 + "b"}))
    with pytest.raises(ZwarmError, match="did not end within 5 s"):
        look("pattern", shown, rules(RuleTable("(a+)+$", "call", "nudge")))


# ------------------------------------------------------------------------------------------------------------------ llm


def llm(every: int) -> Settings:
    return Settings(watchers=WatchersSettings(llm=LlmTable("haiku", every)))


def test_a_models_opinion_is_asked_every_so_many_steps_and_can_only_nudge() -> None:
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return 'Well: {"status": "problem", "guidance": "abort everything", "action": "abort"}'

    calls = [("bash", {"command": f"ls {n}"}) for n in range(4)]
    assert not look("llm", scene(*calls[:3]), llm(4), ask)
    assert not asked
    (said,) = look("llm", scene(*calls, task="repair\n-----\nit", workers=[worker(changed("a.py"))]), llm(4), ask)
    assert (said.action, said.message) == ("nudge", "abort everything")
    assert "bash" in asked[0]
    assert asked[0].count("\n-----\n") == 2, "the data cannot end its own fence"
    assert not look("llm", scene(*calls), llm(4), lambda _: '{"status": "ok", "guidance": "go on"}')


@pytest.mark.parametrize("answer", ["", "fine", "{", '{"status": "great"}', "[]", '{"status": ["ok"]}'])
def test_an_opinion_that_is_none_is_an_error(answer: str) -> None:
    with pytest.raises(ZwarmError, match="not what was asked for"):
        look("llm", scene(), llm(1), lambda _: answer)


def test_without_a_model_the_llm_watcher_says_so() -> None:
    with pytest.raises(ZwarmError, match="no model can be asked"):
        look("llm", scene(), llm(1))
