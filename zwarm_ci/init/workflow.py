"""The workflow or pipeline that repairs: the example's text, with this repository's branch, set-up and checks in it."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path

from zwarm_ci.detect import managers, packagers
from zwarm_ci.detect.base import Tree
from zwarm_ci.detect.managers import Manager
from zwarm_ci.gateway.keys import KEY_NAMES
from zwarm_ci.git import Repository
from zwarm_ci.init.steps import Step, content, inside
from zwarm_ci.init.yaml_text import with_item
from zwarm_ci.scrub import one_line
from zwarm_ci.selection import default_branches
from zwarm_ci.task import Check

GITHUB, GITLAB = ".github/workflows/zwarm-ci.yml", ".gitlab-ci.yml"
#: Where a pipeline of somebody's includes our job from.
PART = ".gitlab/zwarm-ci.yml"
_BIN = ".venv/bin"
_PYTHON_KINDS = {"pytest": "pytest", "ruff": "ruff", "mypy": "mypy"}
#: The action's commit in the examples: no release's.
PLACEHOLDER = "0123456789abcdef0123456789abcdef01234567"
#: What makes each tool put the environment into `.venv`, where checks look for it.
_INTO_VENV = {"poetry": "poetry config virtualenvs.in-project true", "pipenv": "export PIPENV_VENV_IN_PROJECT=1"}
_CALLS = re.compile(rb"uses:\s*zwarm-ci/zwarm-ci@|\bzwarm-ci (?:fix-tests|fix-checks)\b")
_SAFE_NAME = re.compile(r"[A-Za-z][\w. -]*")
_SAFE_BRANCH = re.compile(r"[A-Za-z][\w./-]*")


def plan(user: Repository, system: str, checks: Sequence[Check], ladder: Sequence[str]) -> tuple[list[Step], list[str]]:
    """The file for `system` (github or gitlab), where it is not there; and what is left undone, with the reason."""
    name = GITHUB if system == "github" else GITLAB
    path = inside(user.top, name)
    if path is None:
        return [], [f"{name}: a link leads out of the repository, so nothing is written there (take it away)"]
    if not checks:
        return [], [
            f"{name}: no check was found, so there is nothing that it could run (name one in .zwarm/config.toml)"
        ]
    said = [*setup_lines(user.top, checks), *(part for c in checks for part in (c.run, c.workdir, c.name))]
    if odd := next((text for text in said if not _plain(text)), ""):
        return [], [
            f"{name}: `{one_line(odd, 80)}` does not go into a workflow as it is (write it yourself; see examples/)"
        ]
    setup = setup_lines(user.top, checks)
    if system == "gitlab" and not _is_python(user.top, checks):
        return [], [f"{name}: written for Python alone so far (see examples/gitlab for what it does)"]
    text = github(user, setup, checks, ladder) if system == "github" else gitlab(setup, checks)
    there = content(path)
    if there is not None and _CALLS.search(there):
        return [], []  # ours, or what somebody made of it
    if there is not None and system == "gitlab":
        return _included(user, path, there, text)
    if there is not None:
        return [], [f"{name}: it is there already, so it is left as it is (remove it to have it written anew)"]
    return [Step(path, None, text.encode(), why="repairs what is red at the end of the tests; commit it")], []


def languages(top: Path) -> list[str]:
    """Each language of the repository's top, with what installs its packages and why."""
    tree = Tree(top)
    found = {"Python": managers.of(tree, "."), "JavaScript": packagers.of(tree, ".")}
    lines = [f"{language}, packages by {m.name} ({m.why.removeprefix('of ')})" for language, m in found.items() if m]
    lines += ["Go (go.mod)"] if tree.has("go.mod") else []
    lines += ["Rust (Cargo.toml)"] if tree.has("Cargo.toml") else []
    if found["Python"] is None and next(tree.test_files(), None) is not None:
        lines.append("Python, no file says what to install")
    return lines


def _included(user: Repository, path: Path, there: bytes, pipeline: str) -> tuple[list[Step], list[str]]:
    """Somebody's pipeline with our job included: it runs behind everything else, where something failed."""
    part = inside(user.top, PART)
    if part is None:
        return [], [f"{PART}: a link leads out of the repository, so nothing is written there (take it away)"]
    line = f"- local: {PART}"
    if f"local: {PART}".encode() in there:
        return [], []
    made = with_item(there.decode("utf-8", "replace"), "include", [line], make=True)
    if made is None or made[0].encode().replace(made[1].encode(), b"", 1) != there or content(part) is not None:
        return [], [
            f"{GITLAB}: it cannot be added to safely (put the job `repair` of examples/gitlab into it yourself)"
        ]
    image = next(line for line in pipeline.splitlines(keepends=True) if line.startswith("  image:"))
    job = pipeline[pipeline.index("repair:\n") :].replace("repair:\n", f"zwarm-ci:\n{image}", 1)
    job = job.replace("  stage: repair\n  needs: [tests]\n", "  stage: .post # behind everything else\n", 1)
    steps = [Step(part, None, job.encode(), why="repairs what is red, where a job failed; commit it")]
    return [*steps, Step(path, there, made[0].encode(), made[1].encode(), why="includes it")], []


def _plain(command: str) -> bool:
    """Whether a command means on a runner what it means here: one line, nothing that the runner replaces."""
    return "${{" not in command and command.isprintable()


def _is_python(top: Path, checks: Iterable[Check]) -> bool:
    return managers.of(Tree(top), ".") is not None or any(c.kind in _PYTHON_KINDS for c in checks)


def setup_lines(top: Path, checks: Sequence[Check]) -> list[str]:
    """Commands that install what the checks need, on a machine that has the languages; Python's end up in `.venv`."""
    tree = Tree(top)
    lines: list[str] = []
    if _is_python(top, checks):
        lines += _python(managers.of(tree, "."), checks)
    node = packagers.of(tree, ".")
    if node is not None:
        lines += {"pnpm": ["corepack enable"], "yarn": ["corepack enable"], "bun": ["npm install --global bun"]}.get(
            node.name, []
        )
        lines.append(node.install or ("npm ci" if node.name == "npm" else f"{node.name} install"))
    return lines


def _python(manager: Manager | None, checks: Sequence[Check]) -> list[str]:
    tools = sorted({_PYTHON_KINDS[c.kind] for c in checks if c.kind in _PYTHON_KINDS})
    install = manager.install if manager is not None else ""
    if manager is not None and manager.name == "conda":
        words = shlex.split(install) or [
            "conda",
            "env",
            "create",
            "--yes",
            "--prefix",
            ".venv",
            "--file",
            *manager.files[-1:],
        ]
        return [f'"$CONDA/bin/conda" {shlex.join(["env", "create", *words[words.index("create") + 1 :]])}']
    if manager is not None and install and not install.startswith("python "):
        before = [_INTO_VENV[manager.name]] if manager.name in _INTO_VENV else []
        return [f"pip install {manager.name}", *before, install]
    tools = [tool for tool in tools if tool not in shlex.split(install)]
    lines = ["python -m venv .venv"]
    lines += [f"{_BIN}/{install}"] if install else []
    return [*lines, f"{_BIN}/python -m pip install {' '.join(tools)}"] if tools else lines


def github(user: Repository, setup: Sequence[str], checks: Sequence[Check], ladder: Sequence[str]) -> str:
    """The workflow: examples/github/self-healing.yml with what this repository has in the places of what the example has."""
    text = (files(__package__) / "github.yml").read_text(encoding="utf-8")
    branch = default_branches(user)[0] if user.branch is None else user.branch
    head, steps, repair = _parts(text, "      - name: Set Python up\n", "      - name: Repair\n")
    head = head.replace("\nname: tests\n", "\nname: zwarm-ci\n")
    head = head.replace(
        "branches: [main]", f"branches: [{branch if _SAFE_BRANCH.fullmatch(branch) else _quoted(branch)}]"
    )
    python, _, _ = steps.partition("      - name: Install what the tests need\n")
    made = python if any(_BIN in line or line.startswith("pip ") for line in setup) else ""
    if setup:
        path = [f'echo "$PWD/{_BIN}" >> "$GITHUB_PATH"'] if made or any("conda" in line for line in setup) else []
        made += _step("Install what the checks need", [*setup, *path])
    made += "".join(_step(f"Check {c.name}", [c.run], c.workdir) for c in checks)
    repair = repair.replace(
        "mode: fix-tests", "mode: " + ("fix-tests" if all(c.is_test for c in checks) else "fix-checks")
    )
    return head + made + repair + _keys(ladder)


def _parts(text: str, begin: str, end: str) -> tuple[str, str, str]:
    first, second = text.index(begin), text.index(end)
    return text[:first], text[first:second], text[second:]


def _step(name: str, lines: Sequence[str], workdir: str = ".") -> str:
    where = "" if posixpath.normpath(workdir) == "." else f"        working-directory: {_quoted(workdir)}\n"
    body = "".join(f"          {line.strip()}\n" for line in lines)
    return f"      - name: {name if _SAFE_NAME.fullmatch(name) else _quoted(name)}\n{where}        run: |\n{body}"


def _keys(ladder: Sequence[str]) -> str:
    """The secrets that the ladder's rungs need."""
    adapters = dict.fromkeys(rung.partition(":")[0] for rung in ladder)
    names = [KEY_NAMES[a][-1] for a in adapters if a in KEY_NAMES]
    lines = "".join(f"          {name}: ${{{{ secrets.{name} }}}}\n" for name in names)
    return f"        env:\n{lines}" if lines else ""


def gitlab(setup: Sequence[str], checks: Sequence[Check]) -> str:
    """The pipeline: examples/gitlab/.gitlab-ci.yml with this repository's set-up and checks."""
    text = (files(__package__) / "gitlab.yml").read_text(encoding="utf-8")
    ready = [*setup, f'export PATH="$PWD/{_BIN}:$PATH"']
    runs = [
        c.run if posixpath.normpath(c.workdir) == "." else f"(cd {shlex.quote(c.workdir)} && {c.run})" for c in checks
    ]
    text = text.replace("    - pip install pytest\n    - python -m pytest\n", _items([*ready, *runs]))
    text = text.replace("    - pip install pytest uv\n", _items([*ready, "pip install uv"]))
    command = "fix-tests" if all(c.is_test for c in checks) else "fix-checks"
    return text.replace("zwarm-ci fix-tests", f"zwarm-ci {command}")


def _quoted(text: str) -> str:
    """Text as YAML writes it in quotes."""
    return json.dumps(text, ensure_ascii=False)


def _items(lines: Sequence[str]) -> str:
    return "".join(f"    - {_quoted(line)}\n" for line in lines)
