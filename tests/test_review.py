"""What a review with fresh eyes broke once: each stays mended."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.checks.running import plant
from tests.support import Repo, belongings, zwarm
from tests.test_environment import make_venv
from tests.test_overlay import laid_over, value_of
from tests.test_world import NOT_CI, PYPROJECT, project, statuses


def test_green_only_after_an_earlier_run_left_something_is_not_flaky(tmp_path: Path) -> None:
    code = (
        "import json, pathlib\n\n\ndef load():\n    cache = pathlib.Path('cache.json')\n    if cache.exists():\n"
        "        return json.loads(cache.read_text())\n    cache.write_text('7')\n"
    )
    test = "from app import load\n\n\ndef test_load():\n    assert load() == 7\n"
    files = {"pyproject.toml": PYPROJECT, "app.py": code, "tests/test_app.py": test, ".gitignore": "cache.json\n"}
    repo = Repo.make(tmp_path / "p", files)
    said = zwarm("fix-tests", "--json", cwd=repo.path)
    assert said.code == 1, said.out
    assert statuses(said)["test_load"] != "flaky"


def test_a_linter_that_needs_an_ignored_file_makes_no_task(tmp_path: Path) -> None:
    script = "import pathlib, sys\nsys.exit(0 if pathlib.Path('pkg/_version.txt').exists() else 1)\n"
    repo = Repo.make(tmp_path / "p", {"lint.py": script, ".gitignore": "_version.txt\n", "pkg/a.txt": ""})
    repo.write({"pkg/_version.txt": "1"})
    said = zwarm("fix-checks", "--json", "--check", f"{sys.executable} lint.py", cwd=repo.path, **NOT_CI)
    assert [t["status"] for t in said.json["tasks"]] == ["unverifiable"]
    assert "pkg/_version.txt" in said.json["tasks"][0]["reason"]


def test_an_environment_in_the_checkout_by_any_name(tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "p", {"a.py": "import os\n", ".gitignore": "my env/\n"})
    make_venv(repo.path, name="my env")
    said = zwarm("fix-checks", "--json", "--check", "python -c 'import sys; sys.exit(0)'", cwd=repo.path,
                 VIRTUAL_ENV=str(repo.path / "my env"))  # fmt: skip
    assert said.code == 0, said.out + said.err


def test_what_only_the_installed_copy_has_comes_along(tmp_path: Path) -> None:
    top = plant(tmp_path / "top", {"src/pkg/__init__.py": "from pkg._gen import VALUE\n", "src/pkg/inner/a.py": ""})
    tree = plant(
        tmp_path / "w" / "top", {"src/pkg/__init__.py": "from pkg._gen import VALUE as OLD\nVALUE = OLD + '!'\n"}
    )
    info = {
        "pkg/__init__.py": "from pkg._gen import VALUE\n",
        "pkg/_gen.py": "VALUE = 'made'\n",
        "pkg-1.0.dist-info/direct_url.json": json.dumps({"url": f"file://{top}", "dir_info": {}}),
        "pkg-1.0.dist-info/RECORD": "pkg/__init__.py,,\npkg/_gen.py,,\n",
    }
    make_venv(top, files=info)
    assert value_of(laid_over(top, tree), tree) == "made!"


def test_old_namespace_packages_are_found(tmp_path: Path) -> None:
    top = plant(tmp_path / "top", {"src/own.py": ""})
    tree = plant(tmp_path / "w" / "top", {"src/own.py": ""})
    line = (
        "import sys, types, os;p = os.path.join(sys._getframe(1).f_locals['sitedir'], *('ns',));"
        "m = sys.modules.setdefault('ns', types.ModuleType('ns'));"
        "mp = m.__dict__.setdefault('__path__',[]);(p not in mp) and mp.append(p)\n"
    )
    site = make_venv(top, files={"ns/sub/__init__.py": "VALUE = 'found'\n"})
    (site / "ns-sub-nspkg.pth").write_text(line)
    assert value_of(laid_over(top, tree), tree, module="ns.sub") == "found"


def test_pip_installs_into_the_worktrees_environment_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv.create(tmp_path / "other", with_pip=False, symlinks=True)
    (tmp_path / "other/bin/pip").write_text('#!/bin/sh\ntouch "$(dirname "$0")/../used"\n')
    (tmp_path / "other/bin/pip").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/other/bin:/usr/bin:/bin")
    repo = Repo.make(tmp_path / "p", {"tests/test_x.py": "def test_x():\n    assert True\n", ".gitignore": ".venv/\n"})
    make_venv(repo.path)
    run = ["--set", 'checks.tests.run="python -m pytest"', "--set", 'checks.tests.setup="pip install nothing-at-all"']
    said = zwarm("fix-tests", "--json", *run, cwd=repo.path)
    assert said.code == 4, said.out
    assert "setup `pip install nothing-at-all` ended with" in said.json["reason"]
    assert not (tmp_path / "other/used").exists()


def test_inplace_leaves_untracked_things_alone(tmp_path: Path) -> None:
    config = '[checks.tests]\nrun = "python -m pytest -p no:cacheprovider"\nisolation = "inplace"\n'
    repo = project(tmp_path / "p", {".zwarm/config.toml": config})
    other = Repo.make(repo.path / "other", {"x.txt": "x"})
    other.write({"dirty.txt": "mine"})
    repo.write({".env": "TOKEN=abcdefgh\n", "note.txt": "n"})
    (repo.path / ".env").chmod(0o600)
    (repo.path / "note.txt").chmod(0o600)
    (repo.path / "emptydir").mkdir()
    before = belongings(repo.path)
    said = zwarm("fix-tests", "--json", "--branch", "zw/i", cwd=repo.path, CI="true")
    assert statuses(said) == {"test_double": "fixed"}, said.out + said.err
    left = belongings(repo.path, but=("zw/i",))
    assert {k: v for k, v in left.items() if "__pycache__" not in k} == before


def test_tasks_side_by_side_make_their_worktrees_one_after_another(tmp_path: Path) -> None:
    code = "import pathlib, sys\nbad = [p for p in ('a', 'b', 'c', 'd') if pathlib.Path(p).read_text() != 'good']\n"
    script = code + "[print(f'{p}:1:1: error: E1 wrong') for p in bad]\nsys.exit(bool(bad))\n"
    repo = Repo.make(tmp_path / "p", {"lint.py": script, **dict.fromkeys("abcd", "good")})
    repo.commit("bad", dict.fromkeys("abcd", "bad"))
    checks = [part for n in range(4) for part in ("--check", f"{sys.executable} lint.py {n}")]
    said = zwarm("fix-checks", "--json", "--parallel", "4", *checks, cwd=repo.path)
    assert "executor_failed" not in {t["status"] for t in said.json["tasks"]}, said.out


def test_a_damaged_set_up_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.test_setups import FILES

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    repo = Repo.make(tmp_path / "top", FILES)
    assert zwarm("fix-tests", cwd=repo.path).code == 0
    (ready,) = (tmp_path / "cache").rglob("ready.json")
    ready.write_text("")
    assert zwarm("fix-tests", cwd=repo.path).code == 0
    subprocess.run(["rm", "-rf", str(ready.parent / "top" / "node_modules")], check=True)
    assert zwarm("fix-tests", cwd=repo.path).code == 0


@pytest.mark.parametrize(("pattern", "code"), [("*", 0), ("**/*", 0), ("***", 2)])
def test_patterns_that_match_everything_or_nothing(tmp_path: Path, pattern: str, code: int) -> None:
    files = {
        "tests/test_x.py": "def test_x():\n    assert True\n",
        ".worktreeinclude": f"{pattern}\n",
        "pyproject.toml": PYPROJECT,
    }
    said = zwarm("fix-tests", "--json", cwd=Repo.make(tmp_path / "p", files).path)
    assert said.code == code, said.out + said.err


def test_names_with_glob_characters_are_proposed_so_that_they_work(tmp_path: Path) -> None:
    test = "from pathlib import Path\n\n\ndef test_x():\n    assert Path('data/[id].json').exists()\n"
    repo = Repo.make(tmp_path / "p", {"pyproject.toml": PYPROJECT, "tests/test_x.py": test, ".gitignore": "data/\n"})
    repo.write({"data/[id].json": "{}"})
    said = zwarm("doctor", cwd=repo.path, **NOT_CI)
    repo.commit("as the doctor says", {".zwarm/config.toml": said.out[said.out.rindex("[checks.tests]") :]})
    assert zwarm("doctor", cwd=repo.path, **NOT_CI).code == 0


def test_work_in_a_submodule_is_said_to_be_left_out(tmp_path: Path) -> None:
    inner = Repo.make(tmp_path / "inner", {"m.py": "X = 1\n"})
    repo = project(tmp_path / "p", {}, bad=False)
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner.path), "sub")
    repo.git("commit", "-qm", "sub")
    (repo.path / "sub/m.py").write_text("X = 2\n")
    said = zwarm("fix-tests", "--json", cwd=repo.path)
    assert "uncommitted work in submodules is no part of what was checked: sub" in said.json["notes"]
