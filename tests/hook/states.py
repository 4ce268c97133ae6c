"""Random states of index, working tree and HEAD, made with real git; and hooks ended in several ways in them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from tests.support import IDENTITY, Repo

NAMES = ("a.txt", "b.txt", "dir/c.txt", "dir/d e.txt", "ü.txt", "f.sh")
#: What may have become of a file that HEAD has. `partly` = staged, and changed again; `announced` = a new file with `add -N`.
FATES = (
    "clean",
    "changed",
    "staged",
    "partly",
    "deleted",
    "removed",
    "renamed",
    "mode",
    "link",
    "announced",
    "new",
    "new-partly",
    "untracked",
)
HEADS = ("branch", "detached", "conflict", "resolved")
HOOKS = ("check", "fix", "pre-push", "commit-msg", "post-merge")
ENDS = ("normal", "limit", "interrupt", "kill")
CONFIG = (
    '[checks.one]\nrun = "grep -rq . a.txt"\nfix = "sed -i s/bad/good/ a.txt b.txt dir/c.txt"\n'
    '[checks.slow]\nrun = "sleep 0.1"\n[hook]\nseconds = 600\n'
)


@dataclass(frozen=True)
class State:
    """A fate for each file, how HEAD stands, and which hook ends how; `after` seconds for the ends that come from outside."""

    fates: tuple[str, ...]
    head: str
    bad: tuple[bool, ...]
    hook: str
    end: str
    after: float
    stashed: bool


def states(hooks: Sequence[str] = HOOKS, ends: Sequence[str] = ENDS) -> st.SearchStrategy[State]:
    size = len(NAMES)
    return st.builds(
        State,
        st.permutations(FATES).map(lambda fates: tuple(fates[:size])),
        st.sampled_from(HEADS),
        st.tuples(*[st.booleans()] * size),
        st.sampled_from(hooks),
        st.sampled_from(ends),
        st.floats(0.02, 1.2),
        st.booleans(),
    )


def template(path: Path) -> Repo:
    """Two branches that conflict in one file, a remote-tracking ref, a tag, a reflog."""
    repo = Repo.make(
        path, {**{name: f"{name}\nbad\n" for name in NAMES}, "same.txt": "base\n", ".zwarm/config.toml": CONFIG}
    )
    repo.git("checkout", "-qb", "side")
    repo.commit("side", {"same.txt": "side\n"})
    repo.git("checkout", "-q", "main")
    repo.commit("main", {"same.txt": "main\n"})
    repo.git("tag", "v1")
    repo.git("update-ref", "refs/remotes/origin/main", "HEAD~1")
    repo.git("config", "user.name", "Ada")
    repo.git("config", "user.email", "ada@example.org")
    return repo


def stand(repo: Repo, state: State) -> None:
    """Bring the repository into the state."""
    if state.stashed:
        repo.write({"a.txt": "stashed\n"})
        repo.git("stash", "-q")
    if state.head == "detached":
        repo.git("checkout", "-q", "--detach")
    elif state.head in {"conflict", "resolved"}:
        subprocess.run(
            ["git", "merge", "-q", "side"],
            cwd=repo.path,
            env={**os.environ, **IDENTITY},
            capture_output=True,
            check=False,
        )
        if state.head == "resolved":
            repo.write({"same.txt": "both\n"})
            repo.git("add", "same.txt")
    late: dict[str, str | bytes] = {}
    for number, (name, fate) in enumerate(zip(NAMES, state.fates, strict=True)):
        word = "bad" if state.bad[number] else "fine"
        own = f"new{number}.txt" if fate in {"announced", "new", "new-partly", "untracked"} else name
        _meet(repo, own, fate, f"{name}\n{word}\n{fate}\n")
        if fate in {"partly", "new-partly"}:
            late[own] = f"{name}\nmine\n"
    repo.write(late)
    for name in (n for n, fate in zip(NAMES, state.fates, strict=True) if fate == "mode"):
        (repo.path / name).chmod(0o755)


def _meet(repo: Repo, name: str, fate: str, text: str) -> None:
    file = repo.path / name
    if fate in {"changed", "staged", "partly", "announced", "new", "new-partly", "untracked"}:
        repo.write({name: text})
    if fate in {"staged", "partly", "new", "new-partly"}:
        repo.git("add", name)
    elif fate == "announced":
        repo.git("add", "-N", name)
    elif fate == "deleted":
        file.unlink()
    elif fate == "removed":
        repo.git("rm", "-qf", name)
    elif fate == "renamed":
        repo.git("mv", name, f"{name}.moved")
    elif fate == "link":
        file.unlink()
        file.symlink_to("same.txt")
        repo.git("add", name)


def words(repo: Repo, state: State) -> tuple[list[str], str]:
    """The command line after `hook`, and what git says on standard input."""
    head, before = repo.git("rev-parse", "HEAD"), repo.git("rev-parse", "HEAD~1")
    limit = ["--set", "hook.seconds=0.4", "--set", "checks.slow.run=sleep 3"] if state.end == "limit" else []
    if state.hook in {"check", "fix"}:
        return ["pre-commit", *limit, *(["--fix"] if state.hook == "fix" else [])], ""
    if state.hook == "pre-push":
        return ["pre-push", *limit, "origin", "url"], f"refs/heads/main {head} refs/heads/main {before}\n"
    if state.hook == "commit-msg":
        message = repo.path / ".git" / "COMMIT_EDITMSG"
        message.write_text("subject\nZwarm-Run: x\n\nSigned-off-by: Ada <ada@example.org>\n")
        return ["commit-msg", *limit, ".git/COMMIT_EDITMSG"], ""
    return ["post-merge", *limit, "--here", before, head], ""


def end(repo: Repo, state: State) -> int:
    """Run the hook in the state and end it as the state says; its exit code, negative for a signal."""
    argv, said = words(repo, state)
    child = subprocess.Popen(
        [sys.executable, "-m", "zwarm_ci", "hook", *argv], cwd=repo.path, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env={**os.environ, "GIT_INDEX_FILE": ".git/index", "TMPDIR": str(repo.path.parent)},
    )  # fmt: skip
    try:
        child.communicate(said.encode(), timeout=state.after if state.end in {"interrupt", "kill"} else None)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL if state.end == "kill" else signal.SIGINT)
        child.communicate()
    return child.returncode


def count(classes: Counter[str], state: State, code: int) -> None:
    """Count what the state was."""
    classes.update([f"HEAD {state.head}", f"hook {state.hook}", f"end {state.end} -> {code}"])
    classes.update({f"file {fate}" for fate in state.fates})
    classes["states"] += 1
