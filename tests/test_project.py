"""Rules that hold for the repository as a whole: what its files may say, how long they are, what starts processes."""

import ast
import os
import pwd
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_layers import LEVELS
from zwarm_ci import settings
from zwarm_ci.errors import ConfigError
from zwarm_ci.git import Git
from zwarm_ci.proc import run

ROOT = Path(__file__).parents[1]
DEMO_COMMAND = "pip install uv && uv run zwarm-ci demo"
TEST_COMMAND = "pip install uv && uv run pytest"
PROBE = "/probe/"  # what runs in somebody else's interpreter, under other rules
#: Split, so that this file does not say what no file may say.
FORBIDDEN = {
    "a package index's host": r"pypi\.(?:org|io)|python"
    r"hosted\.org|npmjs\.(?:org|com)|crates"
    r"\.io|proxy\.golang"
    r"\.org",
    "an absolute path of a machine": r"(?<![\w.:/])/(?:home|Users|root|work|mnt)/\w",
    "what lies outside of the repository": r"\.\./" + "shared",
}
LEFT_OUT = {"skip", "skipif", "xfail", "importorskip"}
STARTERS = {"subprocess", "multiprocessing", "pty", "pexpect"}
OS_STARTERS = re.compile(r"^(system|popen|fork|forkpty|exec\w+|spawn\w+|posix_spawnp?)$")


def tracked() -> list[str]:
    """Files that are, or with the next commit will be, part of the repository."""
    return [
        p
        for p in Git(ROOT).paths("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        if (ROOT / p).is_file()
    ]


def python(*tops: str) -> Iterator[tuple[str, str, ast.Module]]:
    """Path, text and syntax tree of the Python files below `tops`."""
    for path in tracked():
        if path.endswith(".py") and path.startswith(tops):
            text = (ROOT / path).read_text(encoding="utf-8")
            yield path, text, ast.parse(text)


def commands(text: str) -> list[str]:
    """Lines of a shell script that do something."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def test_two_commands_open_the_readme() -> None:
    top = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:30]
    assert [line.strip() for line in top if line.strip() in {DEMO_COMMAND, TEST_COMMAND}] == [
        DEMO_COMMAND,
        TEST_COMMAND,
    ]
    assert any("python3 -m venv .uv && .uv/bin/pip install uv && .uv/bin/uv run zwarm-ci demo" in line for line in top)


def test_the_readmes_settings_are_accepted() -> None:
    (excerpt,) = re.findall(
        r"^```toml\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    files = {".zwarm/config.toml": excerpt.encode()}
    found = settings.load(files.get, "README", None, ())
    assert [c.name for c in found.checks] == ["tests", "lint"]
    with pytest.raises(ConfigError) as caught:
        settings.load({".zwarm/config.toml": excerpt.replace("burn_in", "burnin").encode()}.get, "README", None, ())
    assert "verify.burn_in" in caught.value.line


def test_the_contributors_page_draws_the_rooms_as_the_test_holds_them() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    drawn = re.search(r"^    errors .*?(?=\n\n)", text, re.MULTILINE | re.DOTALL)
    assert drawn
    assert [level.split() for level in drawn.group(0).split("<")] == LEVELS[1:-1]


def test_ci_ends_with_the_readmes_test_command() -> None:
    script = ROOT / ".ci/run"
    lines = commands(script.read_text(encoding="utf-8"))
    assert lines[-1] == TEST_COMMAND
    assert lines[0] == "set -euo pipefail"
    assert os.access(script, os.X_OK)
    for part in ("ruff check", "ruff format --check", "mypy", "tests/test_layers.py", "-m slow", "zwarm-ci demo"):
        assert any(part in line for line in lines), part


@pytest.mark.parametrize("name", FORBIDDEN)
def test_no_file_names(name: str) -> None:
    pattern = re.compile(FORBIDDEN[name], re.IGNORECASE)
    here = [
        re.escape(str(place)) + r"\b"
        for place in (ROOT, Path(pwd.getpwuid(os.getuid()).pw_dir))
        if len(place.parts) > 2
    ]
    patterns = [pattern, *map(re.compile, here)]
    for path in tracked():
        text = (ROOT / path).read_bytes().decode("utf-8", "replace")
        found = [m.group(0) for p in patterns for m in p.finditer(text)]
        assert not found, f"{path}: {found[:3]}"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a package index's host", "see https://py" + "pi.org/project/x"),
        ("a package index's host", "registry.npm" + "js.org"),
        ("an absolute path of a machine", "cd /ho" + "me/me/x"),
        ("an absolute path of a machine", "'/Us" + "ers/me'"),
        ("what lies outside of the repository", "see ../" + "shared/design"),
    ],
)
def test_the_search_finds_what_it_is_for(name: str, text: str) -> None:
    assert re.search(FORBIDDEN[name], text, re.IGNORECASE)


def test_files_and_functions_are_short() -> None:
    for path, text, tree in python("zwarm_ci/", "tests/", "bench/"):
        assert text.count("\n") <= 400, f"{path} has {text.count(chr(10))} lines"
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = (node.end_lineno or 0) - node.body[0].lineno + 1  # a long signature is a click command's right
                assert body <= 60, f"{path}:{node.lineno} {node.name} has {body} lines"


def test_every_module_says_what_it_is_for() -> None:
    for path, text, tree in python("zwarm_ci/", "bench/"):
        assert not text.strip() or ast.get_docstring(tree), path


#: proc.py, two scripts that it starts (they fork and exec, and import nothing of ours), and what runs before anything else is
#: imported: what takes keys out of our environment, and a hook's first look.
MAY_START = {
    "zwarm_ci/proc.py",
    "zwarm_ci/reap.py",
    "zwarm_ci/confine_main.py",
    "zwarm_ci/gateway/keys.py",
    "zwarm_ci/hook/quick.py",
}


def test_one_file_starts_processes() -> None:
    for path, _, tree in python("zwarm_ci/"):
        if path in MAY_START or PROBE in path:
            continue
        for node in ast.walk(tree):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not STARTERS & {n.split(".")[0] for n in names}, f"{path}: {names}"
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
                assert not OS_STARTERS.match(node.attr), f"{path}:{node.lineno} os.{node.attr}"


def test_no_error_is_swallowed() -> None:
    """Everything is caught in one place at the top, or raised again; what a user's own watcher raises is said in its place."""
    for path, _, tree in python("zwarm_ci/", "bench/"):
        if (
            path.startswith(("zwarm_ci/cli/", "zwarm_ci/entry.py", "zwarm_ci/orchestrator/watchers/panel.py"))
            or PROBE in path
        ):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler):
                caught = (
                    {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)} if node.type else {"BaseException"}
                )
                raised = any(isinstance(n, ast.Raise) for n in ast.walk(node))
                assert raised or not caught & {"Exception", "BaseException"}, f"{path}:{node.lineno}"


def test_tests_are_run_and_rarely_mock() -> None:
    tests = mocked = 0
    for path, text, tree in python("tests/"):
        for node in ast.walk(tree):
            assert not (isinstance(node, ast.Attribute) and node.attr in LEFT_OUT), f"{path}:{node.lineno} {node.attr}"
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                tests += 1
                mocked += bool({a.arg for a in node.args.args} & {"mocker"}) or "Mock(" in (
                    ast.get_source_segment(text, node) or ""
                )
    assert tests > 20
    assert mocked / tests < 0.05


def test_the_lock_file_stays_out() -> None:
    assert Git(ROOT).run("check-ignore", "--quiet", "uv.lock", check=False).ok
    assert "uv.lock" not in tracked()


def test_the_workflow_pins_and_holds_no_rights() -> None:
    text = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    uses = re.findall(r"uses:\s*(.+)", text)
    assert uses
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use) for use in uses), uses
    assert text.count("persist-credentials: false") == sum(use.startswith("actions/checkout@") for use in uses)
    assert "\npermissions: {}\n" in text
    assert "write" not in text
    assert ".ci/run" in text


@pytest.mark.slow
def test_the_wheel_holds_what_the_demo_and_the_probe_need(tmp_path: Path) -> None:
    uv = os.environ.get("UV") or shutil.which("uv")
    assert uv, "uv builds the wheel"
    run([uv, "build", "--quiet", "--wheel", "--out-dir", str(tmp_path)], cwd=ROOT, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
    ours = {p for p in tracked() if p.startswith("zwarm_ci/")}
    assert sum(name.endswith(".patch") for name in names) == 7
    assert ours <= names
