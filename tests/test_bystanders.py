"""What a session does outside of its worktree is noticed; what a person does meanwhile fails nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.conformance.judge import CALC, FILES, FIXED
from tests.support import Repo
from zwarm_ci.budget import Ledger
from zwarm_ci.bystanders import Bystanders, Moment, Seen, Turn
from zwarm_ci.bystanders.marks import below, changed
from zwarm_ci.confine import means
from zwarm_ci.furnish import Furnisher
from zwarm_ci.git import open_repository
from zwarm_ci.private import PrivateRepository, Worktree
from zwarm_ci.surround import Surroundings
from zwarm_ci.suspicion import said
from zwarm_ci.task import Check
from zwarm_ci.trees import Trees

CHECK = Check("tests", "python -m pytest -q", "pytest", include=("local.ini",))
SITE = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


@dataclass
class Scene:
    """A checkout with an environment of its own, a home, and a session's worktree."""

    repo: Repo
    home: Path
    site: Path
    worktree: Worktree
    trees: Trees
    bystanders: Bystanders

    def after(self, act: Callable[[], object], *, said: tuple[str, ...] = (), left: tuple[str, ...] = ()) -> Seen:
        return self.since(self.bystanders.begin(), act, said=said, left=left)

    def since(
        self, before: Moment, act: Callable[[], object], *, said: tuple[str, ...] = (), left: tuple[str, ...] = ()
    ) -> Seen:
        act()
        return self.bystanders.compare(before, Turn(self.worktree.path, self.worktree.tree(), said, left))


def venv(folder: Path) -> Path:
    """As much of a virtual environment as an interpreter believes in; its site-packages."""
    site = folder / SITE
    site.mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin/python").symlink_to(os.path.realpath(sys.executable))
    (folder / "pyvenv.cfg").write_text(f"home = {Path(os.path.realpath(sys.executable)).parent}\n")
    (site / "runner.py").write_text("def passed(x):\n    return x == 1\n")
    return site


def scene(where: Path, home: Path) -> Scene:
    ignored = {".gitignore": ".venv/\nnode_modules/\nlocal.ini\n", "package.json": "{}\n"}
    repo = Repo.make(where / "repo", {**FILES, **ignored})
    site = venv(repo.path / ".venv")
    repo.write({"node_modules/jest/run.js": "exit(1)\n", "local.ini": "[a]\n"})
    user = open_repository(repo.path)
    store = PrivateRepository.create(user, where / "private.git")
    trees = Trees(Furnisher(store, user.head), Surroundings("t", means()), where, Ledger(), where / "logs")
    worktree = store.worktree(user.head, where / "session/repo")
    return Scene(repo, home, site, worktree, trees, Bystanders(trees, (CHECK,), user.head))


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is not the temporary one, which sandboxes leave writable: beside this repository, or where the user's cache is."""
    parents = (Path(__file__).parents[2], Path("~/.cache").expanduser(), Path("/var/tmp"))
    at = next(
        p for p in parents if p.is_dir() and os.access(p, os.W_OK) and not p.is_relative_to(tempfile.gettempdir())
    )
    folder = Path(tempfile.mkdtemp(prefix="zw-outside-", dir=at))
    (folder / "home").mkdir()
    monkeypatch.setenv("HOME", str(folder / "home"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def here(outside: Path) -> Scene:
    return scene(outside, outside / "home")


def levels(seen: Seen) -> list[tuple[str, str]]:
    return [(f.level, f.path) for f in seen.findings]


def test_nothing_done_is_nothing_seen(here: Scene) -> None:
    here.bystanders.begin()
    assert here.after(lambda: (here.worktree.path / "calc.py").write_text(FIXED)) == Seen(())


START_UP = (
    ".bashrc .gitconfig .config/git/ignore .ssh/authorized_keys .npmrc .config/autostart/x.desktop .claude/settings.json .codex/config.toml "
    f".cargo/config.toml .bashrc.d/x .local/bin/pytest .local/{SITE}/usercustomize.py .local/{SITE}/x.pth"
).split()


def test_start_up_files_are_refused(here: Scene) -> None:
    for some in (START_UP[:5], START_UP[5:10], START_UP[10:]):
        seen = here.after(lambda some=some: plant(here.home, some))  # type: ignore[misc]
        assert levels(seen) == sorted(("refuse", f"~/{name}") for name in some)
    bashrc = here.home / ".bashrc"
    assert here.after(lambda: os.utime(bashrc)).findings == (), "the same content is no change"
    assert levels(here.after(bashrc.unlink)) == [("refuse", "~/.bashrc")]


def plant(folder: Path, names: Sequence[str]) -> None:
    """Write files; what is there is overwritten with as many bytes, and has its times put back."""
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        was = file.stat() if file.exists() else None
        file.write_text(file.read_text().replace("1", "x") if was else "poison")
        if was:
            os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))


def test_a_home_in_the_temporary_folder_is_looked_at_too(tmp_path: Path) -> None:
    there = scene(tmp_path / "x", Path.home())
    assert levels(there.after(lambda: (Path.home() / ".profile").write_text("x"))) == [("refuse", "~/.profile")]


def test_what_a_home_gets_by_itself_is_nothing(here: Scene) -> None:
    def act() -> None:
        for name in (
            ".bash_history",
            ".ssh/known_hosts",
            ".cache/pip/x",
            ".claude/projects/a.jsonl",
            ".codex/auth.json",
        ):
            (here.home / name).parent.mkdir(parents=True, exist_ok=True)
            (here.home / name).write_text("x")

    assert here.after(act) == Seen(())


#: A module edited in place, start-up code of Python, a plug-in, a script; a package of node, an ignored file that checks are given.
POISON = (
    (f".venv/{SITE}/a.pth", f".venv/{SITE}/runner.py", f".venv/{SITE}/sitecustomize.py", f".venv/{SITE}/x.dist-info/entry_points.txt"),
    (".venv/bin/pytest", "local.ini", "node_modules/jest/run.js"),
)  # fmt: skip


def test_a_poisoned_environment_is_refused_and_nothing_is_believed_afterwards(here: Scene) -> None:
    for names in POISON:
        here.bystanders = Bystanders(here.trees, (CHECK,), here.trees.repo.user.head)
        before = here.bystanders.begin()
        seen = here.since(before, lambda names=names: plant(here.repo.path, names))  # type: ignore[misc]
        assert levels(seen) == [("refuse", name) for name in names]
        assert seen.spoiled == ""
        later = here.after(lambda: None)
        assert later.findings == ()
        assert later.spoiled == here.bystanders.spoiled()
        assert later.spoiled.startswith(
            f"environment: {names[0]} and {len(names) - 1} more changed while the run went on"
        )


def python(code: str, **env: str) -> None:
    subprocess.run([sys.executable, "-S", "-c", code], check=True, env={**os.environ, **env})


def test_compiled_code_of_the_same_source_is_nothing_and_any_other_is_refused(here: Scene) -> None:
    source = here.site / "runner.py"
    assert here.after(lambda: python(f"import py_compile; py_compile.compile({str(source)!r})")) == Seen(())

    def forge() -> None:
        """Python loads this in place of the source, since it names the source's time and size."""
        was, text = source.stat(), source.read_text()
        source.write_text(text.replace("1", "x"))
        os.utime(source, ns=(was.st_atime_ns, was.st_mtime_ns))
        python(f"import py_compile; py_compile.compile({str(source)!r})")
        source.write_text(text)
        os.utime(source, ns=(was.st_atime_ns, was.st_mtime_ns))

    forged = [path for level, path in levels(here.after(forge)) if level == "refuse"]
    assert any(path.endswith(".pyc") for path in forged)


def test_what_pytest_compiles_for_itself_is_read_as_pytest_writes_it(here: Scene) -> None:
    module = here.site / "plug.py"
    pytests = Path(pytest.__file__).parents[1]
    (here.site / "far.pth").write_text(f"{pytests}\n")
    module.write_text("def good(x):\n    assert x == 1\n")
    write = (
        f"import sys; sys.path[:0] = [{str(pytests)!r}]; from pathlib import Path; import _pytest.assertion.rewrite as r; p = Path({{0!r}})\n"
        "stat, code = r._rewrite_test(p, None); c = p.parent / '__pycache__' / ('plug' + r.PYC_TAIL); c.parent.mkdir(exist_ok=True)\n"
        "r._write_pyc(type('S', (), {{'session': None}})(), code, stat, c)"
    )
    here.bystanders.begin()
    ground = here.bystanders._ground
    assert ground is not None
    ground.pythons[str(pytests)] = ground.pythons[str(here.site)]
    assert here.after(lambda: python(write.format(str(module)))) == Seen(())
    other = here.home / "plug.py"
    other.write_text("def good(x):\n    pass\n")
    python(write.format(str(other)))
    (compiled,) = (here.home / "__pycache__").iterdir()
    seen = here.after(lambda: shutil.copy(compiled, here.site / "__pycache__" / compiled.name))
    assert levels(seen) == [("refuse", f".venv/{SITE}/__pycache__/{compiled.name}")]


def test_hooks_and_attributes_of_the_users_repository_are_refused(here: Scene) -> None:
    for name in ("hooks/pre-commit", "info/attributes", "info/exclude", "objects/info/alternates"):
        file = here.repo.path / ".git" / name
        seen = here.after(lambda file=file: file.write_text("\n"))  # type: ignore[misc]
        assert levels(seen) == [("refuse", f".git/{name}")]


SETTINGS = {
    ("filter.z.clean", "sh x"): "refuse",
    ("alias.st", "!sh x"): "refuse",
    ("remote.origin.uploadpack", "sh x"): "refuse",
    ("submodule.a.update", "!sh x"): "refuse",
    ("branch.main.remote", "origin"): "review",
    ("remote.origin.url", "https://example.org/a"): "review",
    ("user.name", "Ada"): "review",
    ("core.hooksPath", "/tmp/x"): "refuse",
}


def test_settings_that_start_something_are_refused(here: Scene) -> None:
    for (key, value), level in SETTINGS.items():
        seen = here.after(lambda key=key, value=value: here.repo.git("config", key, value))  # type: ignore[misc]
        assert levels(seen) == [(level, ".git/config")], key


def test_hooks_where_husky_keeps_them_are_looked_at(here: Scene) -> None:
    here.repo.write({".git/info/exclude": ".husky/_/\n", ".husky/_/pre-commit": "a\n", ".husky/pre-push": "a\n"})
    here.repo.git("add", ".husky/pre-push")
    here.repo.git("config", "core.hooksPath", ".husky")
    assert levels(here.after(lambda: here.repo.write({".husky/_/pre-commit": "b\n"}))) == [
        ("refuse", ".husky/_/pre-commit")
    ]
    assert levels(here.after(lambda: here.repo.write({".husky/pre-push": "b\n"}))) == [("review", ".husky/pre-push")]


def person(here: Scene) -> None:
    """Saves, stages, commits, branches, fetches."""
    here.repo.write({"notes.md": "mine\n", "calc.py": CALC + "# mine\n"})
    here.repo.git("add", "notes.md")
    here.repo.git("commit", "-q", "-m", "mine")
    here.repo.git("branch", "topic")
    here.repo.git("config", "branch.topic.remote", "origin")


def test_a_person_who_works_in_the_checkout_fails_nothing(here: Scene) -> None:
    seen = here.after(
        lambda: person(here),
        said=("sed -i s/x/calc.py/ calc.py", "git diff", f"ls {here.repo.path.parent}/repo-two/calc.py"),
    )
    assert seen.refused == ()
    assert set(levels(seen)) == {
        ("review", p) for p in (".git/config", "calc.py", "notes.md", "refs/heads/main", "refs/heads/topic")
    }


def test_in_ci_nobody_works_in_the_checkout(here: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    assert {f.level for f in here.after(lambda: person(here)).findings} == {"refuse"}


def test_where_checks_run_in_the_checkout_its_files_are_theirs(here: Scene) -> None:
    inplace = Bystanders(here.trees, (replace(CHECK, isolation="inplace"),), open_repository(here.repo.path).head)
    before = inplace.begin()
    here.repo.write({"calc.py": FIXED})
    assert inplace.compare(before, Turn(here.worktree.path, here.worktree.tree())) == Seen(())


def test_what_the_sessions_events_name_is_refused(here: Scene) -> None:
    top = here.repo.path
    seen = here.after(lambda: person(here), said=(f"cd {top} && sed -i s/a/b/ calc.py",))
    assert ("refuse", "calc.py") in levels(seen)
    assert ("review", "notes.md") in levels(seen)
    seen = here.after(lambda: here.repo.git("branch", "b2"), said=(f"git -C {top} branch b2",))
    assert levels(seen) == [("refuse", "refs/heads/b2")]


def test_the_sessions_own_change_in_the_checkout_is_refused(here: Scene) -> None:
    def act() -> None:
        (here.worktree.path / "calc.py").write_text(FIXED)
        here.repo.write({"calc.py": FIXED})

    assert levels(here.after(act)) == [("refuse", "calc.py")]


def test_many_changes_are_counted(here: Scene) -> None:
    seen = here.after(lambda: here.repo.write({f"n{i}": "x" for i in range(9)}))
    assert len(seen.findings) == 6
    assert seen.findings[-1].detail.endswith("4 more")


def test_names_of_any_bytes_are_told_in_a_line(here: Scene) -> None:
    odd = os.fsdecode(b"a\xff\n::error::\x1b[31m")
    (finding,) = here.after(lambda: (here.repo.path / odd).write_bytes(b"\0")).findings
    assert finding.level == "review"
    assert finding.path.isprintable()


def test_commands_edits_and_calls_are_read_from_the_events(tmp_path: Path) -> None:
    events = [
        {"type": "item.completed", "item": {"id": "1", "type": "command_execution", "command": "bash -lc 'rm /x/a'", "aggregated_output": "/x/seen"}},
        {"type": "item.completed", "item": {"id": "2", "type": "file_change", "changes": [{"path": "/x/b", "kind": "update"}]}},
        {"type": "item.completed", "item": {"id": "3", "type": "agent_message", "text": "/x/c"}},
    ]  # fmt: skip
    file = tmp_path / "turn"
    file.write_bytes(b"\xff\n" + b"\n".join(json.dumps(e).encode() for e in events))
    assert said("codex", file) == ("rm /x/a", "update /x/b")
    assert said("codex", tmp_path / "none") == ()


def test_another_hard_link_is_no_change_and_a_link_elsewhere_is_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").symlink_to("a")
    before = below(tmp_path)
    (tmp_path.parent / "linked").hardlink_to(tmp_path / "a")
    assert changed(before, below(tmp_path)) == []
    (tmp_path / "b").unlink()
    (tmp_path / "b").symlink_to("/")
    assert changed(before, below(tmp_path)) == [str(tmp_path / "b")]


def test_a_link_that_comes_and_goes_elsewhere_is_another_environments_and_an_edit_is_not(here: Scene) -> None:
    """uv and pnpm share files by hard links: an install or removal elsewhere changes nothing but the ctime here."""
    code, record = here.site / "shared.py", here.site / "shared-1.dist-info" / "RECORD"
    code.write_text("x = 1\n")
    digest = base64.urlsafe_b64encode(hashlib.sha256(code.read_bytes()).digest()).rstrip(b"=").decode()
    record.parent.mkdir()
    record.write_text(f"shared.py,sha256={digest},6\nshared-1.dist-info/RECORD,,\n")
    cache = here.repo.path.parent / "cache"
    cache.mkdir()
    for file in (code, record):
        (cache / file.name).hardlink_to(file)

    def elsewhere() -> None:
        for file in (code, record):
            (cache / "other").hardlink_to(file)
            (cache / "other").unlink()

    before = here.bystanders.begin()
    assert levels(here.since(before, elsewhere)) == []

    def edit() -> None:
        times = code.stat()
        code.write_text("x = 2\n")
        os.utime(code, ns=(times.st_atime_ns, times.st_mtime_ns))

    assert [level for level, _ in levels(here.since(before, edit))] == ["refuse"]
