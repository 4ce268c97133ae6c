"""A Go workspace of two modules: repaired in a worktree as in place, and no whole path leads back to the checkout."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.checks.running import plant, run_in
from tests.matrix.regressions import call, not_believed, repaired
from tests.support import Repo, zwarm
from zwarm_ci.environment import Environment
from zwarm_ci.task import Place

pytestmark = pytest.mark.slow
#: Whether Go is here; where it is not, the right word for that is all that can be held.
HERE = shutil.which("go") is not None
GOOD, BAD = (
    "package lib\n\nfunc Add(a, b int) int { return a + b }\n",
    "package lib\n\nfunc Add(a, b int) int { return a - b }\n",
)
TEST = """package svc

import (
	"testing"

	"example.org/lib"
)

func TestAdd(t *testing.T) {
	for _, c := range []struct {
		name       string
		a, b, want int
	}{{"zero", 1, 0, 1}, {"one sum", 1, 1, 2}} {
		t.Run(c.name, func(t *testing.T) {
			if got := lib.Add(c.a, c.b); got != c.want {
				t.Errorf("got %d", got)
			}
		})
	}
}
"""
FILES = {
    "go.work": "go 1.19\n\nuse (\n\t./lib\n\t./svc\n)\n",
    "lib/go.mod": "module example.org/lib\n\ngo 1.19\n",
    "lib/lib.go": GOOD,
    "svc/go.mod": "module example.org/svc\n\ngo 1.19\n",
    "svc/svc_test.go": TEST,
}


def test_a_regression_in_another_module_of_the_workspace(tmp_path: Path) -> None:
    repo = Repo.make(tmp_path / "repo", FILES)
    repo.commit("faster", {"lib/lib.go": BAD})
    if not HERE:
        assert "go is not installed" in zwarm("fix-tests", cwd=repo.path).err
        return
    red = {f"example.org/svc::{name}" for name in ("TestAdd", "TestAdd/one_sum")}
    assert call("go", "test", "./...", cwd=repo.path / "lib", GOFLAGS="").returncode == 0
    repaired(repo, ("go", "test", "./..."), red=red, workdir="svc", prefix="svc", GOFLAGS="")


def test_a_whole_path_to_the_checkout_is_not_believed(tmp_path: Path) -> None:
    """HEAD is red and the checkout is not; a replaced module is named by the checkout's whole path."""
    path = tmp_path / "repo"
    replace = f"module example.org/svc\n\ngo 1.19\n\nrequire example.org/lib v0.0.0\n\nreplace example.org/lib => {path}/lib\n"
    files = {name: text for name, text in FILES.items() if name != "go.work"}
    repo = Repo.make(path, {**files, "svc/go.mod": replace, "lib/lib.go": BAD})
    repo.write({"lib/lib.go": GOOD})
    assert not HERE or call("go", "test", "./...", cwd=path / "svc", GOFLAGS="").returncode == 0
    not_believed(repo, "--from", "head", because="by its whole path" if HERE else "", GOFLAGS="")


@pytest.mark.parametrize(
    "only", [(), ("example.org/m/a::TestA/x_y", "example.org/m/a::TestB"), ("example.org/m/broken",)]
)
def test_packages_that_do_not_build_end_early_or_panic(tmp_path: Path, only: tuple[str, ...]) -> None:
    head = 'package p\n\nimport "testing"\n\n'
    files = {
        "go.mod": "module example.org/m\n\ngo 1.19\n",
        "a/a_test.go": head
        + 'func TestA(t *testing.T) { t.Run("x y", func(t *testing.T) { t.Error("no") }) }\nfunc TestB(t *testing.T) {}\n',
        "broken/b.go": "package broken\n\nvar X = missing\n",
        "broken/b_test.go": head.replace("package p", "package broken") + "func TestX(t *testing.T) { _ = X }\n",
        "exits/e_test.go": 'package p\n\nimport (\n\t"os"\n\t"testing"\n)\n\n'
        "func TestE(t *testing.T) { os.Exit(0) }\nfunc TestF(t *testing.T) { t.Fatal() }\n",
        "panics/p_test.go": head + 'func TestP(t *testing.T) { panic("oh") }\nfunc TestQ(t *testing.T) {}\n',
    }
    tree = plant(tmp_path / "tree", files)
    env = Environment(tree, "", (), (), "")
    result = run_in(tree, "go test ./...", "go", env=env, only=only)
    if not HERE:
        assert result.trouble.startswith("environment: go: not found")
        return
    m = "example.org/m"
    everything = {f"{m}/a::TestA", f"{m}/a::TestA/x_y", f"{m}/broken", f"{m}/exits::TestE", f"{m}/panics::TestP"}
    expected = {i for i in everything if not only or i.startswith(only[0].partition("::")[0])}
    assert (set(result.failed), result.trouble) == (expected, "")
    assert not result.green
    places = {f.id: f.place for f in result.failures}
    assert only == (f"{m}/broken",) or places[f"{m}/a::TestA"] == Place("a/a_test.go", 5)
