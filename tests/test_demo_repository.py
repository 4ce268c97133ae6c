"""The demo's repository is the same every time and red for the reasons that its docstring names."""

import re
import sys
from pathlib import Path

import pytest

from zwarm_ci.demo import build
from zwarm_ci.errors import CommandError
from zwarm_ci.git import Git
from zwarm_ci.proc import run
from zwarm_ci.scrub import child_env

HEAD = "0f2a96fd7031b623efbc302abcd51128be1be080"
LAST_COMMIT = {
    "tests/test_catalog.py::test_pasted_codes_are_found",
    "tests/test_orders.py::test_codes_may_be_pasted_from_a_mail",
}
FOURTH_COMMIT = "tests/test_discounts.py::test_the_highest_tier_wins"
OPERATOR = "tests/test_shipping.py::test_every_piece_has_its_weight"
COLD_CACHE = "tests/test_rates.py::test_tourists_pay_in_dollars"
ALGORITHM = "tests/test_allocation.py::test_cents_left_over_go_to_the_largest_remainders"
CONTRADICTION = "tests/test_receipts.py::test_half_a_cent_goes_down_on_receipts"
RED = LAST_COMMIT | {FOURTH_COMMIT, OPERATOR, ALGORITHM, CONTRADICTION}

HOSTILE = """
[commit]
    gpgsign = true
[core]
    hooksPath = {hooks}
    autocrlf = true
[init]
    templateDir = {hooks}
    defaultBranch = trunk
[user]
    useConfigOnly = true
[i18n]
    commitEncoding = ISO-8859-1
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return build(tmp_path / "shop")


def suite(repo: Path, *args: str) -> tuple[set[str], set[str]]:
    """The ids that passed and those that failed, of a run in a new process."""
    ended = run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "-p", "no:xdist", *args],
        cwd=repo,
        env=child_env({"XDG_CACHE_HOME": str(repo.parent / "cache")}),
    )
    said = ended.stdout.decode()
    assert ended.code in {0, 1}, said
    found = {word: set(re.findall(rf"^{word} (\S+)", said, re.MULTILINE)) for word in ("PASSED", "FAILED")}
    return found["PASSED"], found["FAILED"]


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, after))


def test_nobodys_git_settings_change_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("pre-commit", "applypatch-msg", "post-applypatch"):
        (hooks / name).write_text("#!/bin/sh\nexit 1\n")
        (hooks / name).chmod(0o755)
    (tmp_path / ".gitconfig").write_text(HOSTILE.format(hooks=hooks))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2001-01-01T00:00:00Z")

    git = Git(build(tmp_path / "shöp of mine"))

    assert git.text("rev-parse", "HEAD") == HEAD
    assert git.text("for-each-ref", "--format=%(refname)") == "refs/heads/main"
    assert git.text("status", "--porcelain") == ""
    assert b"\r" not in (git.cwd / "shelf/money.py").read_bytes()
    assert git.text("config", "commit.gpgsign") == "false"
    assert not (git.cwd / ".git/hooks").exists()


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine\n")
    with pytest.raises(CommandError):
        build(tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine\n"


def test_seven_of_42_tests_are_red_and_one_of_them_only_on_a_cold_cache(shop: Path) -> None:
    passed, failed = suite(shop)
    assert failed == RED | {COLD_CACHE}
    assert len(passed) == 35
    assert suite(shop, COLD_CACHE) == ({COLD_CACHE}, set())
    assert Git(shop).text("status", "--porcelain") == ""


def test_lint_is_red_and_the_safe_fixes_make_it_green(shop: Path) -> None:
    ruff = [sys.executable, "-m", "ruff"]
    assert run([*ruff, "format", "--no-cache", "--check"], cwd=shop).ok
    said = run([*ruff, "check", "--no-cache", "--output-format", "concise"], cwd=shop).stdout.decode()
    assert said.count("[*]") == 7 + 1, "seven findings, and the line that counts them"
    assert run([*ruff, "check", "--no-cache", "--fix"], cwd=shop).ok
    assert run([*ruff, "format", "--no-cache", "--check"], cwd=shop).ok
    assert suite(shop)[1] == RED | {COLD_CACHE}


def test_one_hunk_of_the_last_commit_breaks_two_tests(shop: Path) -> None:
    git = Git(shop)
    hunks = re.findall(r"^@@", git.text("diff", "-U0", "HEAD~1", "HEAD"), re.MULTILINE)
    assert len(hunks) >= 6
    assert not git.text("diff", "--name-only", "HEAD~1", "HEAD", "--", "tests")

    edit(shop / "shelf/catalog.py", "return code.upper()", "return code.strip().upper()")
    assert suite(shop)[1] == RED - LAST_COMMIT | {COLD_CACHE}

    git.run("checkout", "--quiet", "--force", "HEAD~1")
    edit(shop / "shelf/catalog.py", "return code.strip().upper()", "return code.upper()")
    assert suite(shop, *LAST_COMMIT) == (set(), LAST_COMMIT)


def test_one_hunk_of_the_fourth_commit_breaks_one_test(shop: Path) -> None:
    git = Git(shop)
    git.run("checkout", "--quiet", "--force", "main~4")
    assert suite(shop)[1] == {COLD_CACHE}
    git.run("checkout", "--quiet", "--force", "main~3")
    assert suite(shop)[1] == {FOURTH_COMMIT}, "the cache is warm now"
    assert len(re.findall(r"^@@", git.text("diff", "-U0", "main~4", "main~3", "--", "shelf"), re.MULTILINE)) >= 4

    git.run("checkout", "--quiet", "--force", "main")
    edit(shop / "shelf/discounts.py", "in TIERS:\n", "in sorted(TIERS, reverse=True):\n")
    assert FOURTH_COMMIT in suite(shop)[0]


@pytest.mark.parametrize(("operator", "green"), [("*", True), ("-", False), ("//", False), ("%", False), ("**", False)])
def test_one_operator_makes_the_weights_right(shop: Path, operator: str, green: bool) -> None:
    edit(shop / "shelf/shipping.py", "item.grams + pieces", f"item.grams {operator} pieces")
    assert (OPERATOR in suite(shop, "tests/test_shipping.py")[0]) is green


def test_what_is_no_regression_was_never_green(shop: Path) -> None:
    """Today's tests over each earlier source: none of the three ever passed."""
    git = Git(shop)
    for commit in git.text("rev-list", "--skip=1", "main").splitlines():
        git.run("checkout", "--quiet", "--force", commit)
        git.run(
            "checkout",
            "--quiet",
            "main",
            "--",
            "tests/test_shipping.py",
            "tests/test_allocation.py",
            "tests/test_receipts.py",
        )
        present = [
            t
            for t, room in ((OPERATOR, "shipping"), (ALGORITHM, "allocation"), (CONTRADICTION, "receipts"))
            if (shop / f"shelf/{room}.py").exists()
        ]
        assert suite(shop, *present) == (set(), set(present))


def test_a_longer_algorithm_shares_every_cent(shop: Path) -> None:
    edit(
        shop / "shelf/allocation.py",
        "    return [cents * weight // whole for weight in weights]\n",
        "    parts = [cents * weight // whole for weight in weights]\n"
        "    order = sorted(range(len(weights)), key=lambda i: -(cents * weights[i] % whole))\n"
        "    for i in order[: cents - sum(parts)]:\n"
        "        parts[i] += 1\n"
        "    return parts\n",
    )
    assert suite(shop, "tests/test_allocation.py")[1] == set()


def test_one_test_contradicts_another(shop: Path) -> None:
    assert 'to_cents("2.675") == 268' in (shop / "tests/test_money.py").read_text()
    assert 'to_cents("2.675") == 267' in (shop / "tests/test_receipts.py").read_text()
