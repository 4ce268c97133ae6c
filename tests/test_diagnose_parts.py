"""What a red test lacks that is no service: variables, modules, files, data; each must be expected by more than the failing line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.checks.running import plant
from tests.diagnosing import WANTED, here, lacks, recorded
from zwarm_ci.diagnose import candidates, dotenv_names, explain, mentioned_variables
from zwarm_ci.task import Check, Failure


def test_a_variable_that_others_expect(tmp_path: Path) -> None:
    check = Check("tests", "pytest", "pytest", env=("HOME_DIR",))
    ours = lacks("python-env-key", tmp_path / "a", {}, here(check, ours={"DATABASE_URL"}))
    assert ours
    assert ours.config == 'env = ["HOME_DIR", "DATABASE_URL"]'
    assert "it is set here, but checks get only what they list" in ours.why
    for name, text in {
        ".github/workflows/x.yml": "env:\n  DATABASE_URL: ${{ secrets.DATABASE_URL }}\n", "tox.ini": "[testenv]\npass_env =\n  DATABASE_URL\n",
        "docker-compose.yml": "services: {a: {environment: [DATABASE_URL]}}\n", "tests/conftest.py": "import os\nos.environ['DATABASE_URL']\n",
    }.items():  # fmt: skip
        found = lacks("python-env-key", tmp_path / name, {name: text})
        assert found, name
        assert name in found.why
    tree = plant(tmp_path / "setup", {".env.example": "DATABASE_URL="})
    record = recorded("python-env-key", tree)
    at_setup = replace(record, message=f"at setup: {record.message}")
    assert explain([at_setup], tree, here=here())[record.id].what == "DATABASE_URL"
    assert lacks("python-env-key", tmp_path / "b", {"src/a.py": "os.environ['DATABASE_URL']\n"}) is None
    assert lacks("python-env-key", tmp_path / "c", WANTED, here(environ={"DATABASE_URL": "x"})) is None


@pytest.mark.parametrize(
    "text",
    [
        "monkeypatch.setenv('DATABASE_URL', 'x')", "os.environ['DATABASE_URL'] = 'x'", "os.environ.setdefault('DATABASE_URL', 'x')",
        "@mock.patch.dict(os.environ, {'DATABASE_URL': 'x'})",
        "os.environ.update(\n    DATABASE_URL='x',\n)", "patch.dict('os.environ', DATABASE_URL='x')",
        "process.env.DATABASE_URL = 'x'", "process.env['DATABASE_URL'] = 'x'", "vi.stubEnv('DATABASE_URL', 'x')", 't.Setenv("DATABASE_URL", "x")',
        "subprocess.run(x, env={'PATH': '', 'DATABASE_URL': 'x'})",
    ],
)  # fmt: skip
def test_a_variable_that_a_test_sets_is_not_missing(text: str, tmp_path: Path) -> None:
    assert lacks("python-env-key", tmp_path, {**WANTED, "tests/a.py": text}) is None


DECLARATIONS = {
    "pyproject.toml": '[project]\nname = "x"\ndependencies = ["NumPyX[all]>=1"]\n',
    "requirements/dev.txt": "numpyx\n",
    "environment.yml": "- numpyx=1\n",
    "setup.py": "setup(install_requires=['numpyx'],\n)\n",
    "setup.cfg": "[options]\ninstall_requires =\n  numpyx\n",
    "Pipfile": '[packages]\nnumpyx = "*"\n',
    "tox.ini": "[testenv]\ndeps =\n  py38: numpyx\n",
    "noxfile.py": "session.install('pytest', 'numpyx')\n",
    "tests/test_a.py": "import numpyx\n",
}
NO_DECLARATIONS: tuple[dict[str, str], ...] = (
    {"src/numpyx/__init__.py": "", **WANTED},
    {"numpyx.py": "", **WANTED},
    {"pyproject.toml": '[project]\nname = "numpyx"\ndependencies = ["numpyx"]\n'},
    {"src/a.py": "import numpyx\n"},
    {"pyproject.toml": "[tool.x]\nnumpyx = 1\n"},
    {"pyproject.toml": '[project]\nname = "x"\nversion = "numpyx"\n'},
    {"pyproject.toml": "[[", "Pipfile": "]"},
)


def test_a_module_must_be_expected_and_not_be_the_trees_own(tmp_path: Path) -> None:
    install = here(install="uv sync --frozen")
    for number, (name, text) in enumerate(DECLARATIONS.items()):
        found = lacks("python-module", tmp_path / str(number), {name: text}, install)
        assert found, name
        assert (found.what, found.config) == ("numpyx", 'setup = "uv sync --frozen"')
        assert found.why.startswith(f"numpyx is not installed, but {name}")
    for number, files in enumerate(NO_DECLARATIONS):
        assert lacks("python-module", tmp_path / f"n{number}", files) is None, files
    own = {
        "package.json": "{}",
        "packages/a/package.json": '{"name": "left-pad-x"}',
        "b/package.json": '{"dependencies": {"left-pad-x": "*"}}',
    }
    assert lacks("jest-module", tmp_path / "js", own) is None


def test_files_that_a_clean_worktree_lacks(tmp_path: Path) -> None:
    top = plant(tmp_path / "top", {"data/model.bin": "", "build/data/model.bin": ""})
    ignored = {"data/model.bin", "build/data/model.bin"}
    found = lacks(
        "python-open-data", tmp_path / "a", {}, here(Check("t", "x", include=("a",)), top=top, ignored=ignored)
    )
    assert found
    assert found.config == 'include = ["a", "data/model.bin"]'
    below = lacks(
        "python-open-data",
        tmp_path / "b",
        {"build/x": ""},
        here(Check("t", "x", workdir="build"), top=top, ignored=ignored),
    )
    assert below is None or below.what == "data/model.bin"
    assert lacks("python-open-data", tmp_path / "c", {}, here(top=top)) is None
    assert lacks("python-open-data", tmp_path / "d", {}, here(top=tmp_path, ignored=ignored)) is None
    assert lacks("python-open-data", tmp_path / "e", {"data/model.bin": ""}, here(top=top, ignored=ignored)) is None
    module = lacks("python-open-data", tmp_path / "f", {".gitmodules": '[submodule "d"]\n  path = data\n'})
    assert module
    assert (module.kind, "submodule data" in module.why) == ("data", True)


def test_data_that_a_library_fetches(tmp_path: Path) -> None:
    def said(message: str) -> str:
        found = explain([Failure("t", "x", message)], tmp_path, here=here()).get("x")
        return f"{found.kind}: {found.why}" if found else ""

    model = "OSError: [E050] Can't find model 'en_core_web_sm'. It doesn't seem to be a Python package or a valid path"
    assert said(model) == ""
    plant(tmp_path, {"README.md": "python -m spacy download en_core_web_sm\n"})
    assert "data: en_core_web_sm is not here (run `python -m spacy download en_core_web_sm`" in said(model)
    assert "playwright install" in said("Error: Looks like Playwright was just installed or updated.")
    assert "git lfs pull" in said("JSONDecodeError: version https://git-lfs.github.com/spec/v1 oid sha256:00")


def test_an_engine_that_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zwarm_ci.services.ports._ENGINE", str(tmp_path / "no.sock"))
    failure = Failure(
        "t",
        "x",
        "DockerException: Error while fetching server API version: ('Connection aborted.', FileNotFoundError(2, 'No such'))",
    )
    assert explain([failure], tmp_path, here=here())["x"].what == "container engine"
    assert explain([failure], tmp_path, here=here(environ={"DOCKER_HOST": "tcp://engine:2375"})) == {}


# -- names in code


def test_variables_that_code_reads() -> None:
    text = """
os.environ["A1"]; os.environ.get('A2', 1); os.getenv("A3"); environ.get("A4"); environ.pop('A5'); os.environ["W1"] = "x"; os.environ[name]
process.env.B1; process.env["B2"]; process.env.W2 = 1; if (process.env.B3 == 1) {}; import.meta.env.B4
std::env::var("C1"); env::var_os("C2"); env!("C3"); os.Getenv("D1"); os.LookupEnv(`D2`); env("E1"); env.str("E2"); config('E3', cast=int)
System.getenv("F1"); ENV["F2"]; ENV.fetch('F3'); "os.environ"; getattr(x, "Z1"); my_environ_get("Z2")
"""
    found = mentioned_variables({"a.py": text, "b.py": "os.getenv('A1')", "c": ""})
    assert set(found) == {*"A1 A2 A3 A4 A5 B1 B2 B3 B4 C1 C2 C3 D1 D2 E1 E2 E3 F1 F2 F3".split()}
    assert found["A1"] == ("a.py", "b.py")


def test_candidates_are_set_here_and_not_handed_on(tmp_path: Path) -> None:
    files = {
        "src/a.py": "os.environ['X']; os.environ['Y']; os.environ['HOME']",
        "tests/test_a.py": "os.environ['Z']; os.getenv('Q')",
    }
    assert candidates(files, {"X": "1", "Y": "", "Z": "1", "HOME": "/"}, {"HOME"}) == ("Z", "X", "Y")
    plant(tmp_path, {".env": "# c\nexport A=1\nB = 'x'\n\nnot a name=1\n"})
    assert dotenv_names(tmp_path / ".env") == ("A", "B")
    assert dotenv_names(tmp_path / "none") == ()
