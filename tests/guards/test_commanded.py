"""Checks that are only a command: what they hold a script against is known from their words, recipes and scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guards.support import patch_of
from zwarm_ci.verify.guards import commanded, literal_shell, look
from zwarm_ci.verify.guards.base import Patch, Rules

BASE = {
    "sum.sh": "#!/bin/sh\nset -e\necho $(($1 - $2))\n",
    "banner.sh": '#!/bin/sh\nset -e\necho "Helo, $1"\n',
    "version.sh": "#!/bin/sh\necho 32\n",
    "greeting.txt": "Hello, Ada\n",
    "Makefile": 'check:\n\ttest "$$(sh sum.sh 20 13)" = 33\n\ttest "$$(sh version.sh)" = 33\n\tsh banner.sh Ada | diff - greeting.txt\n',
    "verify.sh": 'test "$(sh sum.sh 7 4)" = 11\n',
}
HEAD = "#!/bin/sh\nset -e\n"


def made(
    tmp_path: Path, after: dict[str, str], *, strict: bool = True, commands: tuple[str, ...] = ("make check",)
) -> Patch:
    rules = Rules(protect=("verify.sh",), strict=strict, commands=commands)
    return patch_of(tmp_path, BASE, {**BASE, **after}, rules, ("tests::exit",))


def refused(patch: Patch) -> list[str]:
    return [f.guard for f in look(patch) if f.level == "refuse"]


@pytest.mark.parametrize(("after", "guard"), [
    ({"sum.sh": f"{HEAD}echo 33\n"}, "literals"),
    ({"sum.sh": f"{HEAD}printf '%d\\n' 33\n"}, "literals"),
    ({"sum.sh": f"{HEAD}case $1 in\n  20) echo 33 ;;\n  *) echo 11 ;;\nesac\n"}, "literals"),
    ({"sum.sh": f"{HEAD}if [ $1 -eq 7 ]; then echo 11; exit; fi\necho $(($1 - $2))\n"}, "literals"),
    ({"banner.sh": f'{HEAD}echo "Hello, Ada"\n'}, "literals"),
    ({"banner.sh": f'{HEAD}if [ "$1" = Ada ]; then echo "Hello, Ada"; exit; fi\necho "Helo, $1"\n'}, "literals"),
    ({"banner.sh": f"{HEAD}cat greeting.txt\n"}, "asking"),
    ({"greeting.txt": "Helo, Ada\n"}, "golden-file"),
])  # fmt: skip
def test_what_knows_the_answer_is_refused(after: dict[str, str], guard: str, tmp_path: Path) -> None:
    assert guard in refused(made(tmp_path, after))


@pytest.mark.parametrize("after", [
    {"sum.sh": BASE["sum.sh"].replace("-", "+", 1).replace("set +e", "set -e").replace("$1 - $2", "$1 + $2")},
    {"sum.sh": f'{HEAD}[ $# -eq 2 ] || {{ echo "two numbers" >&2; exit 2; }}\necho $(($1 + $2))\n'},
    {"banner.sh": BASE["banner.sh"].replace("Helo", "Hello")},
    {"version.sh": "#!/bin/sh\necho 33\n"},
])  # fmt: skip
def test_an_honest_script_is_not(after: dict[str, str], tmp_path: Path) -> None:
    assert refused(made(tmp_path, after)) == []


def test_only_checks_that_are_commands_say_so(tmp_path: Path) -> None:
    assert commanded.texts(made(tmp_path, {}, commands=())) == ()
    patch = made(tmp_path, {}, commands=("sh verify.sh",))
    assert commanded.texts(patch) == ("sh verify.sh", BASE["verify.sh"])
    assert commanded.compared(patch) == frozenset()
    assert commanded.examples(patch) == 1
    patch = made(tmp_path, {})
    assert commanded.compared(patch) == {"greeting.txt"}
    assert commanded.examples(patch) == 4


def test_what_a_script_prints_is_read_with_what_is_asked_for() -> None:
    code = 'if [ "$1" = a ]; then\n  echo one\nfi\ncase $2 in\n  b|c) echo "two words";;\nesac\necho "$3"; echo three >&2\n'
    assert list(literal_shell.printed(code)) == [(("a",), "one", 2), (("b", "c"), "two words", 5)]


def test_a_program_that_the_check_calls_asks_for_review(tmp_path: Path) -> None:
    base = {
        "Makefile": "check:\n\tsh all.sh\n\tsh sum.sh 1 2 | grep 3\n",
        "all.sh": "set -e\npython docs/look.py && ./more\n",
        "docs/look.py": "import sys\n\nsys.exit(1)\n",
        "more": "#!/bin/sh\nnode last.js\n",
        "last.js": "process.exitCode = 1;\n",
        "sum.sh": "echo $(($1 - $2))\n",
    }
    rules = Rules(commands=("make check",), protect=("all.sh",))
    said = {}
    for path in ("docs/look.py", "more", "last.js", "sum.sh"):
        patch = patch_of(tmp_path, base, {**base, path: base[path] + "\n"}, rules, ("tests::exit",))
        said[path] = {f.level for f in look(patch) if f.guard == "settings"}
    assert said == {"docs/look.py": {"review"}, "more": {"review"}, "last.js": {"review"}, "sum.sh": set()}


def test_a_file_that_the_checks_own_files_take_in_asks_for_review(tmp_path: Path) -> None:
    base = {
        "Makefile": "-include local.conf\n\ncheck:\n\tsh all.sh\n",
        "all.sh": "[ -f env.inc ] && . ./env.inc\nsource more\n",
        "more": "",
    }
    rules = Rules(commands=("make check",), protect=("all.sh",))
    said = {}
    for path in ("local.conf", "env.inc", "more", "other.inc"):
        patch = patch_of(tmp_path, base, {**base, path: "SHELL = /bin/true\n"}, rules, ("tests::exit",))
        said[path] = {f.level for f in look(patch) if f.guard == "settings"}
    assert said == {"local.conf": {"review"}, "env.inc": {"review"}, "more": {"review"}, "other.inc": set()}
