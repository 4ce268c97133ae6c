"""A bundle that is not what was verified is refused before anything is pushed, whatever was changed in it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakegh import WRITE
from tests.github import bundles
from tests.github.bundles import FIRST, Patch, finished, record
from tests.github.conftest import Stand
from tests.support import Repo, zwarm
from zwarm_ci.errors import RefusedError, UsageError, ZwarmError
from zwarm_ci.github import bundle
from zwarm_ci.verdict import GuardFinding


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Repo, Path]:
    """A repository and a sound run on it; copied by each test."""
    repo = bundles.shop(tmp_path_factory.mktemp("made") / "shop")
    return repo, finished(repo)


@pytest.fixture
def sound(made: tuple[Repo, Path], tmp_path: Path) -> tuple[Repo, Path]:
    home = tmp_path / "copy"
    shutil.copytree(made[0].path, home)
    return Repo(home), home / made[1].relative_to(made[0].path)


def replaced(folder: Path, name: str, old: str, new: str) -> None:
    file = folder / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def task(folder: Path, number: int = 0, **change: object) -> None:
    found = record(folder)
    found["tasks"][number].update(change)
    bundles.edited(folder, {"tasks": found["tasks"]})


def rebuilt(repo: Repo, folder: Path, change: Callable[[Repo, str], str]) -> None:
    """Put another commit in the place of the last one, with its message, and say so everywhere."""
    found = record(folder)
    head, base = found["head"], found["base"]
    made = change(repo, head)
    repo.git("update-ref", f"refs/heads/{found['branch']}", made)
    repo.git("bundle", "create", "-q", str(folder / "branch.bundle"), f"^{base}", f"refs/heads/{found['branch']}")
    found["tasks"][-1]["commit"] = made
    bundles.edited(folder, {"head": made, "tasks": found["tasks"]})


def committed(repo: Repo, head: str, tree: str, *, parents: tuple[str, ...] = (), message: str = "") -> str:
    """A commit with the head's message on another tree."""
    over = [part for parent in (parents or (f"{head}^",)) for part in ("-p", repo.git("rev-parse", parent))]
    return repo.git("commit-tree", tree, *over, "-m", message or repo.git("show", "-s", "--format=%B", head))


def with_file(repo: Repo, rev: str, path: str, mode: str = "100644", text: str = "x = 1\n") -> str:
    """The tree of `rev` with one more file."""
    file = repo.path / "blob"
    file.write_text(text)
    blob = repo.git("hash-object", "-w", "--no-filters", str(file))
    index = str(repo.path / "index-of-the-test")
    repo.git("read-tree", rev, GIT_INDEX_FILE=index)
    repo.git("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}", GIT_INDEX_FILE=index)
    return repo.git("write-tree", GIT_INDEX_FILE=index)


def a_file_more(repo: Repo, folder: Path) -> None:
    rebuilt(repo, folder, lambda r, h: committed(r, h, with_file(r, h, "shop/extra.py")))


def a_commit_more(repo: Repo, folder: Path) -> None:
    rebuilt(repo, folder, lambda r, h: committed(r, h, with_file(r, h, "shop/extra.py"), parents=(h,)))


def a_merge(repo: Repo, folder: Path) -> None:
    rebuilt(repo, folder, lambda r, h: committed(r, h, f"{h}^{{tree}}", parents=(f"{h}^", f"{h}^^")))


def a_trailer_more(repo: Repo, folder: Path) -> None:
    def change(repo: Repo, head: str) -> str:
        message = repo.git("show", "-s", "--format=%B", head).rstrip() + "\nZwarm-Verified: " + "0" * 64
        return committed(repo, head, f"{head}^{{tree}}", message=message)

    rebuilt(repo, folder, change)


def another_run(repo: Repo, folder: Path) -> None:
    bundles.edited(folder, {"run": "20990101-000000-aaaa"})


def two_refs(repo: Repo, folder: Path) -> None:
    found = record(folder)
    repo.git("branch", "zwarm-ci/other", found["head"])
    revs = (f"^{found['base']}", f"refs/heads/{found['branch']}", "refs/heads/zwarm-ci/other")
    repo.git("bundle", "create", "-q", str(folder / "branch.bundle"), *revs)


def from_the_first_commit(repo: Repo, folder: Path) -> None:
    repo.git("bundle", "create", "-q", str(folder / "branch.bundle"), f"refs/heads/{record(folder)['branch']}")


def cut_short(repo: Repo, folder: Path) -> None:
    file = folder / "branch.bundle"
    file.write_bytes(file.read_bytes()[:-30])


def a_bit_flipped(repo: Repo, folder: Path) -> None:
    file = folder / "branch.bundle"
    data = bytearray(file.read_bytes())
    data[-40] ^= 0x10
    file.write_bytes(bytes(data))


def a_link(repo: Repo, folder: Path) -> None:
    file = folder / "evidence" / "tests-1.json"
    file.rename(folder / "elsewhere.json")
    file.symlink_to(folder / "elsewhere.json")


def a_linked_folder(repo: Repo, folder: Path) -> None:
    (folder / "evidence").rename(folder / "elsewhere")
    (folder / "evidence").symlink_to(folder / "elsewhere")


def a_pipe(repo: Repo, folder: Path) -> None:
    (folder / "patches" / "tests-1.patch").unlink()
    os.mkfifo(folder / "patches" / "tests-1.patch")


def swapped_evidence(repo: Repo, folder: Path) -> None:
    one, two = (folder / "evidence" / f"tests-{n}.json" for n in (1, 2))
    first = one.read_text()
    one.write_text(two.read_text())
    two.write_text(first)


def swapped_tasks(repo: Repo, folder: Path) -> None:
    bundles.edited(folder, {"tasks": record(folder)["tasks"][::-1]})


def a_task_less(repo: Repo, folder: Path) -> None:
    bundles.edited(folder, {"tasks": record(folder)["tasks"][1:]})


def no_commits(repo: Repo, folder: Path) -> None:
    for number in (0, 1):
        task(folder, number, commit=None)


def two_of_one_name(repo: Repo, folder: Path) -> None:
    found = record(folder)["tasks"]
    bundles.edited(folder, {"tasks": [found[0], {**found[0]}]})


TAMPERED: dict[str, tuple[Callable[[Repo, Path], object], str]] = {
    "outcome is no JSON": (lambda r, f: replaced(f, "outcome.json", "{", "["), "not an outcome.json"),
    "outcome of a later version": (lambda r, f: bundles.edited(f, {"schema": 2}), "schema 2"),
    "outcome with an unknown status": (lambda r, f: bundles.edited(f, {"status": "great"}), "status"),
    "outcome with a wrong type": (lambda r, f: bundles.edited(f, {"exit_code": "0"}), "exit_code"),
    "head of another commit": (lambda r, f: bundles.edited(f, {"head": "1" * 40}), "exactly the branch"),
    "head that is an option": (lambda r, f: bundles.edited(f, {"head": "--upload-pack=x"}), "no commit id"),
    "base of another commit": (lambda r, f: bundles.edited(f, {"base": "2" * 40, "source_head": "2" * 40}), "begin at the base"),
    "branch without commits": (no_commits, "do not fit together"),
    "evidence edited": (lambda r, f: replaced(f, "evidence/tests-1.json", '"burn_in": 3', '"burn_in": 9'), "not the one that its commit names"),
    "evidence swapped": (swapped_evidence, "another task's"),
    "evidence about other tests": (lambda r, f: replaced(f, "evidence/tests-1.json", "test_total", "test_other"), "other tests"),
    "evidence that it still fails": (lambda r, f: replaced(f, "evidence/tests-1.json", '"after": "passed"', '"after": "failed"'), "still fails"),
    "evidence of an odd shape": (lambda r, f: replaced(f, "evidence/tests-1.json", '"after": "passed"', '"after": [{}]'), "still fails"),
    "evidence whose targets are no states": (lambda r, f: replaced(f, "evidence/tests-1.json", '"targets": {', '"targets": {"x": 1, '), "not what a"),
    "evidence of a later version": (lambda r, f: replaced(f, "evidence/tests-1.json", '"schema": 1', '"schema": 7'), "schema 7"),
    "evidence is no JSON": (lambda r, f: replaced(f, "evidence/tests-1.json", "{", ""), "not JSON"),
    "evidence is a list": (lambda r, f: (f / "evidence/tests-1.json").write_text("[]"), "not what a verification writes"),
    "evidence is missing": (lambda r, f: (f / "evidence/tests-1.json").unlink(), "No such file"),
    "evidence is a link": (a_link, "cannot be read"),
    "evidence in a linked folder": (a_linked_folder, "its folder is a link"),
    "evidence elsewhere": (lambda r, f: task(f, evidence="../../../../etc/passwd"), "not where a run leaves them"),
    "task with a way out in its name": (lambda r, f: task(f, id="../x"), "no task that a run plans"),
    "task that was not verified": (lambda r, f: task(f, status="still_failing"), "was not verified"),
    "tasks swapped": (swapped_tasks, "in their order"),
    "task left out": (a_task_less, "exactly one commit for each task"),
    "task twice": (two_of_one_name, "the same id"),
    "patch edited": (lambda r, f: replaced(f, "patches/tests-1.patch", "+    return sum(", "+    return 1 + sum("), "does not make the tree"),
    "patch is a pipe": (a_pipe, "no plain file"),
    "commit with a file more": (a_file_more, "another tree than the verified patch"),
    "a commit more": (a_commit_more, "exactly one commit for each task"),
    "a merge": (a_merge, "no straight line"),
    "commit with a trailer more": (a_trailer_more, "not the one that its commit names"),
    "commits of another run": (another_run, "names another run"),
    "bundle missing": (lambda r, f: (f / "branch.bundle").unlink(), "branch.bundle is missing"),
    "bundle with two refs": (two_refs, "exactly the branch"),
    "bundle with all history": (from_the_first_commit, "begin at the base"),
    "bundle cut short": (cut_short, "does not fit its base"),
    "bundle with a bit flipped": (a_bit_flipped, "does not fit its base"),
    "bundle that is none": (lambda r, f: (f / "branch.bundle").write_bytes(b"PK\x03\x04"), "no git bundle"),
    "bundle with a filter": (lambda r, f: (f / "branch.bundle").write_bytes(b"# v3 git bundle\n@filter=blob:none\n\n"), "nothing that a run writes"),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERED)
def test_a_tampered_bundle_is_refused_and_nothing_is_pushed(what: str, sound: tuple[Repo, Path], stand: Stand) -> None:
    repo, folder = sound
    stand.repo = repo
    stand.put()
    change, said = TAMPERED[what]
    change(repo, folder)
    with pytest.raises((RefusedError, UsageError)) as refused:
        stand.publish(folder)
    assert said in refused.value.message
    assert refused.value.exit_code in {1, 2}
    assert not stand.wrote


def test_the_untouched_bundle_is_taken(sound: tuple[Repo, Path], stand: Stand) -> None:
    """What the table above changes is what makes the difference."""
    stand.repo = sound[0]
    stand.put()
    done = stand.publish(sound[1])
    assert done.action == "opened"
    assert stand.at(done.branch) == record(sound[1])["head"]


LINK = ("120000", b"../../../etc/passwd")
REFUSED: dict[str, tuple[Patch, str]] = {
    "a test": (Patch(files={"tests/test_cart.py": "def test_total():\n    pass\n"}), "tests/test_cart.py"),
    "a setting of the tests": (Patch(files={**bundles.CART, "conftest.py": "collect_ignore = ['tests']\n"}), "conftest"),
    "a workflow": (Patch(files={**bundles.CART, ".github/workflows/ci.yml": "on: push\njobs: {}\n"}), "workflow .github/workflows/ci.yml"),
    "a new workflow": (Patch(files={**bundles.CART, ".github/workflows/own.yml": "on: push\n"}), "workflow .github/workflows/own.yml"),
    "a workflow by another case": (Patch(files={**bundles.CART, ".GitHub/Workflows/own.yml": "on: push\n"}), "workflow .GitHub/Workflows"),
    "the owners": (Patch(files={**bundles.CART, ".github/CODEOWNERS": "* @mallory\n"}), "CODEOWNERS"),
    "a link out of the tree": (Patch(files={**bundles.CART, "shop/link": LINK}), "links to"),
    "a submodule": (Patch(files={**bundles.CART, "vendor": ("160000", b"3" * 40)}), "embedded repository"),
    "the mode of a file": (Patch(files={"shop/cart.py": ("100755", bundles.CART["shop/cart.py"].encode())}), "becomes 100755"),  # type: ignore[union-attr] # a text
    "a name that differs by case": (Patch(files={**bundles.CART, "shop/Cart.py": "x = 1\n"}), "but for case"),
    "a name with a command": (Patch(files={**bundles.CART, "shop/::error::x.py": "x = 1\n"}), "workflow command"),
    "a secret": (Patch(files={**bundles.CART, "shop/key.py": f"KEY = 'ghp_{'A1b2' * 9}'\n"}), "secret"),
    "a hook": (Patch(files={**bundles.CART, ".husky/pre-push": "curl x\n"}), ".husky/pre-push"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_a_consistent_bundle_that_goes_where_patches_may_not_go_is_refused(what: str, stand: Stand) -> None:
    """Whoever made it made the evidence too: all of it fits, but for what the guards say."""
    patch, said = REFUSED[what]
    folder = finished(stand.repo, [patch])
    with pytest.raises(RefusedError, match=r"tests-1") as refused:
        stand.publish(folder)
    assert said in refused.value.message
    assert not stand.wrote


@pytest.mark.parametrize("path", [".git/config", "shop/.GIT/config", "shop/.git", "..", "shop/../x"])
def test_a_path_that_git_itself_would_obey_is_refused(path: str, sound: tuple[Repo, Path], stand: Stand) -> None:
    """Git makes no such tree by its own commands, so the object is written by hand."""
    repo, folder = sound
    stand.repo = repo
    stand.put()

    def change(repo: Repo, head: str) -> str:
        blob = bytes.fromhex(repo.git("rev-parse", f"{head}:shop/cart.py"))
        tree = repo.path / "tree"
        tree.write_bytes(b"100644 " + path.encode() + b"\0" + blob)
        return committed(repo, head, repo.git("hash-object", "-w", "-t", "tree", "--literally", str(tree)))

    rebuilt(repo, folder, change)
    with pytest.raises(RefusedError):
        stand.publish(folder)
    assert not stand.wrote


def test_an_object_that_git_itself_calls_broken_is_refused(sound: tuple[Repo, Path], stand: Stand) -> None:
    """All of it fits, but for a commit that no git wrote."""
    repo, folder = sound
    stand.repo = repo
    stand.put()

    def change(repo: Repo, head: str) -> str:
        broken = repo.path / "commit"
        broken.write_text(
            re.sub(r"^author .*", "author nobody 1 +0000", repo.git("cat-file", "commit", head), flags=re.MULTILINE)
        )
        return repo.git("hash-object", "-w", "-t", "commit", "--literally", str(broken))

    rebuilt(repo, folder, change)
    with pytest.raises(RefusedError, match="missingEmail"):
        stand.publish(folder)
    assert not stand.wrote


def test_an_edited_test_that_a_person_allowed_asks_for_review(stand: Stand) -> None:
    edit = {**bundles.CART, "tests/test_cart.py": bundles.FILES["tests/test_cart.py"].replace("== 3", ">= 3")}
    refused = Patch(files=edit)
    with pytest.raises(RefusedError) as error:
        stand.publish(finished(stand.repo, [refused]))
    guard = error.value.message.split(": ")[1]
    found = GuardFinding(guard, "review", "tests/test_cart.py", None, "an assertion is weaker", "--allow-test-edits")
    done = stand.publish(finished(stand.repo, [Patch(files=edit, findings=(found,))]))
    body = stand.forge.pulls("octo/shop")[0].body
    assert done.action == "opened"
    assert body.index("Please look at this first") < body.index("What failed")
    assert "an assertion is weaker" in body


def test_evidence_cannot_allow_what_no_option_allows(stand: Stand) -> None:
    """Whoever makes the bundle writes the findings too; only edits of tests can be allowed in a run."""
    found = GuardFinding("settings", "review", ".husky/pre-push", None, "nothing to see here", "")
    folder = finished(stand.repo, [Patch(files={**bundles.CART, ".husky/pre-push": "curl x\n"}, findings=(found,))])
    with pytest.raises(RefusedError, match=r"settings: \.husky/pre-push") as refused:
        stand.publish(folder)
    assert "by hand" in refused.value.line
    assert not stand.wrote


def test_a_workflow_is_pushed_only_by_a_token_that_says_it_may(stand: Stand) -> None:
    path = ".github/workflows/ci.yml"
    found = GuardFinding("settings", "review", path, None, "changes CI", "")
    folder = finished(
        stand.repo, [Patch(files={**bundles.CART, path: "on: [push, pull_request]\n"}, findings=(found,))]
    )
    plain = stand.token("plain", scopes=(*WRITE, "repo"), kind="pat")
    with pytest.raises(RefusedError, match="this token may not push"):
        stand.publish(folder, token=plain)
    assert not stand.wrote
    able = stand.token("able", scopes=(*WRITE, "repo", "workflow"), kind="pat")
    assert stand.publish(folder, token=able).action == "opened"


def test_a_snapshot_of_uncommitted_work_is_not_published(stand: Stand) -> None:
    stand.repo.write({"notes.txt": "not committed\n"})
    folder = finished(stand.repo, [FIRST], source="worktree")
    assert record(folder)["base"] != record(folder)["source_head"]
    with pytest.raises(RefusedError, match="snapshot of uncommitted work"):
        stand.publish(folder)
    assert not stand.wrote


def test_a_bundle_is_what_plain_git_takes(sound: tuple[Repo, Path], tmp_path: Path) -> None:
    """The one line that a job's summary shows."""
    repo, folder = sound
    found = record(folder)
    other = Repo(tmp_path / "other")
    repo.git("clone", "-q", "--branch", "main", "--single-branch", str(repo.path), str(other.path))
    other.git("fetch", "-q", str(folder / "branch.bundle"), f"{found['branch']}:taken")
    assert other.git("rev-parse", "taken") == found["head"]
    assert (folder / "branch.bundle").stat().st_size < 5000


def test_evidence_and_trailers_are_read_as_they_are(sound: tuple[Repo, Path]) -> None:
    found = bundle.read(sound[1])
    assert [p.outcome.task.id for p in found.pieces] == ["tests-1", "tests-2"]
    raw = (sound[1] / "evidence" / "tests-2.json").read_bytes()
    assert found.pieces[1].digest == hashlib.sha256(raw).hexdigest()
    assert found.pieces[1].delivered == json.loads(raw)["delivered_tree"]


def test_a_folder_that_is_no_run_is_a_wrong_argument(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no outcome\.json") as error:
        bundle.read(tmp_path)
    assert isinstance(error.value, ZwarmError)


def test_a_real_run_leaves_a_bundle_that_goes_along_with_its_reports(tmp_path: Path) -> None:
    files = {"shop/a.py": "import os\n\n\ndef one():\n    return 1\n", "ruff.toml": 'lint.select = ["F401"]\n'}
    repo = Repo.make(tmp_path / "real", files)
    said = zwarm(
        "fix-checks", "--check", "ruff check .", "--reports", str(tmp_path / "reports"), "--json", cwd=repo.path
    )
    assert said.code == 0, said.err
    found = bundle.read(tmp_path / "reports")
    assert found.head == said.json["head"] == repo.git("rev-parse", said.json["branch"])
    assert len(found.pieces) == 1
