"""A worktree's own virtual environment: whatever the form of an editable install, what is imported is the worktree's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checks.running import plant
from tests.test_environment import make_venv
from zwarm_ci.environment import Environment, discover, overlay

PYTHON = f"python{sys.version_info[0]}.{sys.version_info[1]}"


def laid_over(top: Path, tree: Path) -> Environment:
    """The environment of `top` for `tree`."""
    return overlay(discover(top), tree, tree.parent / "env")


def value_of(env: Environment, tree: Path, *options: str, module: str = "pkg") -> str:
    """What `module.VALUE` is for a process that knows nothing but its interpreter."""
    code = f"import {module}; print({module}.VALUE)"
    ended = subprocess.run(
        [env.python, *options, "-c", code], cwd=tree.parent, env={}, capture_output=True, text=True, check=False
    )
    return ended.stdout.strip() or ended.stderr


def both(tmp_path: Path, layout: str) -> tuple[Path, Path]:
    """A checkout and a worktree whose package says which of the two it is."""
    top = plant(tmp_path / "top", {f"{layout}pkg/__init__.py": "VALUE = 'top'\n"})
    tree = plant(tmp_path / "w" / "top", {f"{layout}pkg/__init__.py": "VALUE = 'tree'\n"})
    return top, tree


def test_a_path_line(tmp_path: Path) -> None:
    top, tree = both(tmp_path, "src/")
    make_venv(top, str(top / "src"))
    env = laid_over(top, tree)
    for options in ((), ("-I",), ("-E", "-s")):
        assert value_of(env, tree, *options) == "tree"
    assert env.venv == str(tree.parent / "env")
    assert value_of(discover(top), tree) == "top"


def test_a_finder_module_wherever_it_stands_in_the_meta_path(tmp_path: Path) -> None:
    top, tree = both(tmp_path, "src/")
    finder = (
        "import sys, importlib.util\n"
        f"KNOWN = {{'pkg': {str(top / 'src/pkg/__init__.py')!r}}}\n"
        "class Finder:\n    @classmethod\n    def find_spec(cls, name, path=None, target=None):\n"
        "        if name in KNOWN: return importlib.util.spec_from_file_location(name, KNOWN[name])\n"
        "def install(): sys.meta_path.insert(0, Finder)\n"
    )
    site = make_venv(top, files={"_pkg_editable.py": finder})
    (site / "_pkg_editable.pth").write_text("import _pkg_editable; _pkg_editable.install()\n")
    assert value_of(laid_over(top, tree), tree) == "tree"
    assert value_of(discover(top), tree) == "top"


def test_a_link_in_site_packages(tmp_path: Path) -> None:
    top, tree = both(tmp_path, "")
    (make_venv(top) / "pkg").symlink_to(top / "pkg")
    assert value_of(laid_over(top, tree), tree) == "tree"


def test_a_strict_folder_of_links(tmp_path: Path) -> None:
    top, tree = both(tmp_path, "src/")
    links = top / "build" / "__editable__.pkg" / "pkg"
    links.mkdir(parents=True)
    (links / "__init__.py").symlink_to(top / "src/pkg/__init__.py")
    make_venv(top, str(links.parent))
    assert value_of(laid_over(top, tree), tree) == "tree"


def test_a_copy_and_its_metadata(tmp_path: Path) -> None:
    top, tree = both(tmp_path, "src/")
    make_venv(
        top,
        files={
            "pkg/__init__.py": "VALUE = 'copy'\n",
            "pkg-1.0.dist-info/direct_url.json": f'{{"url": "file://{top}", "dir_info": {{}}}}',
            "pkg-1.0.dist-info/RECORD": "pkg/__init__.py,,\n",
            "pkg-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: pkg\nVersion: 1.0\n",
        },
    )
    env = laid_over(top, tree)
    assert value_of(env, tree) == "tree"
    assert value_of(discover(top), tree) == "copy"
    code = "from importlib.metadata import version; print(version('pkg'))"
    assert subprocess.run([env.python, "-c", code], capture_output=True, text=True, check=True).stdout == "1.0\n"


def test_metadata_that_lies_in_the_checkout_comes_along(tmp_path: Path) -> None:
    top, tree = both(tmp_path, "src/")
    plant(top, {"src/pkg.egg-info/PKG-INFO": "Metadata-Version: 2.1\nName: pkg\nVersion: 2.0\n"})
    make_venv(top, str(top / "src"))
    env = laid_over(top, tree)
    code = "from importlib.metadata import version; print(version('pkg'))"
    assert subprocess.run([env.python, "-c", code], capture_output=True, text=True, check=True).stdout == "2.0\n"


def test_console_scripts_run_the_worktrees_interpreter(tmp_path: Path) -> None:
    top, tree = both(tmp_path, "src/")
    make_venv(top, str(top / "src"))
    bin_ = top / ".venv" / "bin"
    (bin_ / "tool").write_text(f"#!{bin_}/python\nimport pkg, sys\nprint(pkg.VALUE, sys.prefix)\n")
    (bin_ / "tool").chmod(0o755)
    shutil.copy("/bin/true", bin_ / "binary")
    env = laid_over(top, tree)
    folder = Path(env.path[0])
    said = subprocess.run([folder / "tool"], env={}, capture_output=True, text=True, check=True).stdout
    assert said.split() == ["tree", str(tree.parent / "env")]
    subprocess.run([folder / "binary"], check=True)


def test_what_lies_in_the_environment_itself_stays(tmp_path: Path) -> None:
    top, tree = both(tmp_path, "src/")
    make_venv(top, str(top / "src"), str(top / ".venv" / "share"))
    plant(top, {".venv/share/shipped.py": "VALUE = 'shipped'\n"})
    env = laid_over(top, tree)
    assert value_of(env, tree, module="shipped") == "shipped"


def test_what_is_installed_into_it_stays_out_of_the_users(tmp_path: Path) -> None:
    top, tree = both(tmp_path, "src/")
    site = make_venv(top, str(top / "src"))
    before = sorted(p.name for p in site.iterdir())
    env = laid_over(top, tree)
    own = subprocess.run(
        [env.python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    assert own == str(tree.parent / "env" / "lib" / PYTHON / "site-packages")
    assert sorted(p.name for p in site.iterdir()) == before


@pytest.mark.parametrize("name", ["top", "top ö (1)", "a'b"])
def test_names_of_folders_that_need_care(tmp_path: Path, name: str) -> None:
    top = plant(tmp_path / name, {"src/pkg/__init__.py": "VALUE = 'top'\n"})
    tree = plant(tmp_path / "w" / name, {"src/pkg/__init__.py": "VALUE = 'tree'\n"})
    neighbour = plant(tmp_path / f"{name}-other", {"n.py": "VALUE = 'n'\n"})
    make_venv(top, str(top / "src"), str(neighbour))
    env = laid_over(top, tree)
    assert value_of(env, tree) == "tree"
    assert value_of(env, tree, module="n") == "n"
