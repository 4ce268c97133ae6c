"""A session that reaches the run's own repository changes nothing of what verification checks out."""

from __future__ import annotations

from pathlib import Path

from tests.conformance.judge import FIXED
from tests.fakes.executor import Scripted
from tests.test_judge import Bench
from tests.test_loop import bench as bench  # noqa: PLC0414 - a fixture
from tests.test_loop import nothing, solved
from zwarm_ci.git import Git
from zwarm_ci.seal import Seal
from zwarm_ci.verify.judge import judge


def plant(common: Path) -> None:
    """A filter that shows the right line where the wrong one is delivered."""
    git = Git(common, {"GIT_DIR": str(common)})
    git.run("config", "filter.z.smudge", "sed 's/a - b/a + b/'")
    git.run("config", "filter.z.clean", "sed 's/a + b/a - b/'")
    (common / "info").mkdir(exist_ok=True)
    with (common / "info/attributes").open("a") as file:
        file.write("calc.py filter=z\n")


def test_a_filter_in_the_runs_repository_is_taken_out_and_called_tampering(bench: Bench) -> None:
    def act(tree: Path) -> None:
        plant(bench.store.path)
        with (tree / "calc.py").open("a") as file:
            file.write("# harmless\n")

    end = solved(bench, Scripted([act, nothing]), turns=1, sessions=1)
    assert end.outcome.status == "tampered"
    assert "config, info/attributes" in end.outcome.reason
    assert end.tree == ""
    assert not (bench.store.path / "info/attributes").exists()
    assert "filter" not in (bench.store.path / "config").read_text()


def test_the_judge_looks_before_and_after_it_ran_anything(bench: Bench) -> None:
    worktree = bench.store.worktree(bench.court.base, bench.scratch / "sealed" / "x")
    (worktree.path / "calc.py").write_text(FIXED)
    tree = worktree.tree()
    plant(bench.store.path)
    assert judge(bench.court, bench.tasks[0], tree).status == "tampered"
    assert judge(bench.court, bench.tasks[0], tree).accepted, "it was put back"


def test_everything_is_put_back(tmp_path: Path) -> None:
    for name in ("config", "info/attributes"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    seal = Seal(tmp_path)
    seal.take()
    assert seal.mend() == ()
    (tmp_path / "config").unlink()
    (tmp_path / "config").symlink_to("elsewhere")
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks/post-checkout").write_text("evil")
    (tmp_path / "info/attributes").write_text("* filter=z")
    assert seal.mend() == ("config", "hooks/post-checkout", "info/attributes")
    assert (tmp_path / "config").read_text() == "config"
    assert not (tmp_path / "config").is_symlink()
    assert not (tmp_path / "hooks/post-checkout").exists()
    assert (tmp_path / "info/attributes").read_text() == "info/attributes"
