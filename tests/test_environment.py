"""The repository's own interpreter and packages, mapped onto a worktree of it."""

from __future__ import annotations

import os
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.checks.running import believed, plant, run_in
from zwarm_ci import environment, scrub
from zwarm_ci.environment import Environment, child_environment, copy_included, discover, link_dependencies
from zwarm_ci.errors import ConfigError
from zwarm_ci.task import Check

CHECK = Check("tests", "pytest", "pytest")


def make_venv(top: Path, *pth: str, name: str = ".venv", files: dict[str, str] | None = None) -> Path:
    """A virtual environment in `top` that sees our own pytest, and has the given .pth lines."""
    venv.create(top / name, with_pip=False, symlinks=True)
    site = top / name / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    ours = sysconfig.get_paths()["purelib"]
    (site / "zz_pytest.pth").write_text(f"{ours}\n")
    (site / "project.pth").write_text("".join(f"{line}\n" for line in pth))
    plant(site, files or {})
    return site


def test_the_interpreters_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = tmp_path / "top"
    top.mkdir()
    other = tmp_path / "other"
    venv.create(other, with_pip=False, symlinks=True)
    monkeypatch.delenv("VIRTUAL_ENV")
    on_path = discover(top)
    assert "pytest" in on_path.modules
    assert "on PATH" in on_path.note
    monkeypatch.setenv("CONDA_PREFIX", str(other))
    assert (discover(top).python, discover(top).venv) == (str(other / "bin" / "python"), str(other))
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    assert "VIRTUAL_ENV" in discover(top).note
    make_venv(top, name="venv")
    assert discover(top).python == str(top / "venv" / "bin" / "python")
    make_venv(top)
    assert discover(top).python == str(top / ".venv" / "bin" / "python")
    assert discover(top).path == (str(top / ".venv" / "bin"),)
    (top / ".venv" / "bin" / "python").unlink()
    (top / ".venv" / "bin" / "python").symlink_to("/gone/away")
    assert discover(top).python == str(top / "venv" / "bin" / "python")


def test_without_any_python_nothing_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIRTUAL_ENV")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "that runs zwarm-ci" in discover(tmp_path).note
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    found = discover(tmp_path)
    assert (found.python, found.venv, found.mapped) == ("", "", ())
    assert "no Python was found" in found.note


def test_a_module_of_the_repository_does_not_answer_for_the_interpreter(tmp_path: Path) -> None:
    plant(tmp_path, {"json.py": "raise SystemExit(3)\n", "platform.py": "raise SystemExit(3)\n"})
    assert discover(tmp_path).python


def test_editable_installs_of_every_form_are_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = plant(
        tmp_path / "top",
        {"src/a/__init__.py": "", "lib/ns/b/__init__.py": "", "py/one.py": "", "env/c.py": "", "rel/r.py": ""},
    )
    finder = (
        "from __future__ import annotations\nimport sys\n"
        f"MAPPING: dict[str, str] = {{'ns.b': {str(top / 'lib/ns/b')!r}, 'one': {str(top / 'py/one')!r}, 'far': '/elsewhere/far'}}\n"
        "NAMESPACES: dict[str, list[str]] = {}\n"
    )
    make_venv(
        top,
        str(top / "src"),
        "# a comment",
        "import sys",
        "../../../../rel",
        str(tmp_path),
        files={"__editable___p_0_1_finder.py": finder},
    )
    plant(top, {".venv/lib/x.txt": ""})
    assert discover(top).mapped == ("src", "rel", "lib", "py")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["env", str(top), "/elsewhere"]))
    assert discover(top).mapped == ("env", ".", "src", "rel", "lib", "py")


@pytest.mark.parametrize("source", ["MAPPING = {", "MAPPING = f()", "x = 1", "MAPPING = {1: 2, **x}"])
def test_a_finder_that_cannot_be_read_maps_nothing(tmp_path: Path, source: str) -> None:
    make_venv(tmp_path, files={"__editable___p_finder.py": source})
    assert discover(tmp_path).mapped == ()


def test_a_worktree_runs_its_own_code_not_the_originals(tmp_path: Path) -> None:
    tests = "import shipped\nfrom pkg import value\n\ndef test_value():\n    assert value == 2\n"
    top = plant(tmp_path / "top ö", {"src/pkg/__init__.py": "value = 1\n", "tests/test_v.py": tests})
    make_venv(top, str(top / "src"), str(top / ".venv" / "share"))
    plant(top, {".venv/share/shipped.py": ""})
    tree = plant(top / ".zwarm" / "tree", {"src/pkg/__init__.py": "value = 2\n", "tests/test_v.py": tests})
    env = discover(top)
    assert env.mapped == ("src",)
    result = believed(run_in(tree, env=env))
    assert result.green
    assert result.foreign == ()
    assert not believed(run_in(top, env=env)).green
    for command in ("python -m pytest", "python -m pytest -n 2"):
        unmapped = run_in(tree, command, env=Environment(top, env.python, env.path, (), ""))
        assert unmapped.foreign == ("src/pkg/__init__.py",)
        assert unmapped.trouble.startswith("environment: the run imported the original checkout's src/pkg/__init__.py")


def test_the_childs_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = plant(tmp_path / "top", {"src/x.py": ""})
    make_venv(top, str(top / "src"), str(top / "gone"))
    env = discover(top)
    tree = plant(tmp_path / "tree", {"src/x.py": ""})
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("GIT_DIR", "/x")
    monkeypatch.setenv("API_TOKEN", "secret-value")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    made = child_environment(env, tree, CHECK, tmp=tmp_path / "tmp")
    assert made["PYTHONPATH"] == str(tree / "src")
    assert made["PATH"].startswith(str(top / ".venv" / "bin") + os.pathsep)
    assert (made["VIRTUAL_ENV"], made["UV_PROJECT_ENVIRONMENT"]) == (str(top / ".venv"), str(top / ".venv"))
    assert (made["TMPDIR"], made["PYTHONDONTWRITEBYTECODE"]) == (str(tmp_path / "tmp"), "1")
    assert (tmp_path / "tmp").is_dir()
    assert not {"GIT_DIR", "API_TOKEN", "PYTHONHASHSEED"} & set(made)
    asked = child_environment(env, tree, Check("t", "t", env=("API_TOKEN", "PYTHONPATH")), tmp=tmp_path / "tmp")
    assert asked["API_TOKEN"] == "secret-value"
    assert asked["PYTHONPATH"] == os.pathsep.join([str(tree / "src"), "/elsewhere"])
    nothing = child_environment(Environment(top, "", (), (), ""), tree, CHECK, tmp=tmp_path / "tmp")
    assert not {"PYTHONPATH", "VIRTUAL_ENV"} & set(nothing)


def test_an_install_that_is_a_copy_is_said_and_its_source_found(tmp_path: Path) -> None:
    plant(tmp_path, {"src/pkg/__init__.py": "", "one.py": "", "docs/x.txt": ""})
    info = {
        "pkg-1.0.dist-info/direct_url.json": f'{{"url": "file://{tmp_path}", "dir_info": {{}}}}',
        "pkg-1.0.dist-info/RECORD": "pkg/__init__.py,,\none.py,,\ndocs/x.txt,,\ngone/a.py,,\n../../../bin/pkg,,\npkg-1.0.dist-info/RECORD,,\n",
        "x-1.dist-info/direct_url.json": "{",
    }
    make_venv(tmp_path, files=info)
    env = discover(tmp_path)
    assert env.packages == (("pkg", "src/pkg"), ("one.py", "one.py"))
    assert "pkg, one.py is installed as a copy" in env.note


def _modules(top: Path) -> Path:
    plant(
        top,
        {
            "package.json": "{}",
            "packages/own/package.json": "{}",
            "packages/own/i.js": "1",
            "packages/own/node_modules/deep/i.js": "",
        },
    )
    plant(top / "node_modules", {"left/i.js": "", "@scope/right/i.js": "", ".bin/tool": "", ".cache/x": ""})
    (top / "node_modules" / "own").symlink_to("../packages/own")
    return top


def test_node_modules_are_linked_entry_by_entry(tmp_path: Path) -> None:
    top = _modules(tmp_path / "top")
    tree = plant(tmp_path / "tree", {"package.json": "{}", "packages/own/package.json": "{}", "packages/own/i.js": "2"})
    link_dependencies(discover(top), tree)
    modules = tree / "node_modules"
    assert not modules.is_symlink()
    assert os.path.realpath(modules / "left") == str(top / "node_modules" / "left")
    assert os.path.realpath(modules / "@scope" / "right") == str(top / "node_modules" / "@scope" / "right")
    assert (modules / ".bin" / "tool").exists()
    assert not (modules / ".cache").exists()
    assert (modules / "own" / "i.js").read_text() == "2"
    assert (tree / "packages" / "own" / "node_modules" / "deep").exists()
    link_dependencies(discover(top), tree)
    link_dependencies(discover(top), top)
    plain = plant(tmp_path / "plain", {"a.py": ""})
    link_dependencies(discover(top), plain)
    assert not (plain / "node_modules").exists()


def test_ignored_files_that_a_check_needs_are_copied(tmp_path: Path) -> None:
    top = plant(
        tmp_path / "top",
        {"local/a.toml": "a", "local/deep/b.toml": "b", ".env.test": "x", "kept.txt": "original", "secret.txt": "s"},
    )
    tree = plant(tmp_path / "tree", {".worktreeinclude": "# what tests need\n\n/.env.test\n", "kept.txt": "the tree's"})
    copy_included(top, Check("t", "t", include=("local", "kept.txt", "none/*")), tree)
    assert {p.relative_to(tree).as_posix() for p in tree.rglob("*") if p.is_file()} == {
        ".worktreeinclude",
        "kept.txt",
        "local/a.toml",
        "local/deep/b.toml",
        ".env.test",
    }
    assert (tree / "kept.txt").read_text() == "the tree's"


@pytest.mark.parametrize("pattern", ["../*", "a/../../b", "/", "", ".git/config"])
def test_patterns_that_lead_out_are_refused(tmp_path: Path, pattern: str) -> None:
    top = plant(tmp_path / "top", {"a/x": ""})
    tree = plant(tmp_path / "tree", {})
    tree.mkdir()
    with pytest.raises(ConfigError):
        copy_included(top, Check("t", "t", include=(pattern,)), tree)


def test_links_that_lead_out_are_refused_and_not_written_through(tmp_path: Path) -> None:
    top, tree, out = plant(tmp_path / "top", {"sub/x": "1"}), tmp_path / "tree", tmp_path / "out"
    tree.mkdir()
    out.mkdir()
    (top / "link").symlink_to(plant(out, {"secret": "s"}) / "secret")
    with pytest.raises(ConfigError, match="links out"):
        copy_included(top, Check("t", "t", include=("link",)), tree)
    (tree / "sub").symlink_to(out)
    copy_included(top, Check("t", "t", include=("sub/x",)), tree)
    assert not (out / "x").exists()


def test_dotenv_is_read_for_listed_names_alone_and_outside_ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ZT_LISTED", "ZT_QUOTED", "ZT_SET", "ZT_OTHER"):
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)
    monkeypatch.setenv("ZT_SET", "mine")
    (tmp_path / ".env").write_text(
        '# c\nexport ZT_LISTED=plain value\nZT_QUOTED="in quotes"\nZT_SET=theirs\nZT_OTHER=no\nOPENAI_BASE_URL=evil\nnonsense\n'
    )
    checks = [Check("t", "pytest", env=("ZT_LISTED", "ZT_QUOTED", "ZT_SET", "ZT_NONE"))]
    monkeypatch.setenv("CI", "true")
    environment.adopt_variables(tmp_path, checks)
    assert "ZT_LISTED" not in os.environ
    monkeypatch.delenv("CI")
    environment.adopt_variables(tmp_path, checks)
    assert (os.environ["ZT_LISTED"], os.environ["ZT_QUOTED"], os.environ["ZT_SET"]) == (
        "plain value",
        "in quotes",
        "mine",
    )
    assert "ZT_OTHER" not in os.environ
    assert "OPENAI_BASE_URL" not in os.environ
    assert scrub.redact("it said plain value") == "it said ***", "what a check is given is masked in all output"


def test_packages_without_bytecode_get_it_outside_the_environment_and_the_tree_gets_none(tmp_path: Path) -> None:
    top = plant(
        tmp_path / "top",
        {"mod.py": "VALUE = 1\n", "test_m.py": "from mod import VALUE\n\n\ndef test_v():\n    assert VALUE == 1\n"},
    )
    env = Environment(top, sys.executable, (), (), "", compiled=False)
    tree = plant(tmp_path / "tree", {"mod.py": "VALUE = 1\n", "test_m.py": (top / "test_m.py").read_text()})
    assert believed(run_in(tree, "python -m pytest", env=env)).green
    stamp = (tree / "mod.py").stat()
    (tree / "mod.py").write_text("VALUE = 2\n")
    os.utime(tree / "mod.py", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    result = run_in(tree, "python -m pytest", env=env)
    assert result.failed == ("test_m.py::test_v",), "same size, same second: the old bytecode would have said green"
    assert not list(tree.rglob("*.pyc"))
