"""Exit codes that no longer count: what hides a check's failure is refused, what hides another command's is nobody's business."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guards.support import found, patches_of
from zwarm_ci.verify.guards.base import Rules
from zwarm_ci.verify.guards.commands import runs
from zwarm_ci.verify.guards.masking import Masking

WORKFLOW = (
    "jobs:\n  test:\n    runs-on: x\n"
    "    steps:\n      - uses: a/checkout@v4\n      - name: t\n        run: pytest -q\n      - run: ruff check .\n"
)
CI = ".github/workflows/ci.yml"
#: (path, before, after) of which every one hides a failure.
HIDES: dict[str, tuple[str, str, str]] = {
    "or true": (CI, WORKFLOW, WORKFLOW.replace("pytest -q", "pytest -q || true")),
    "or colon": ("Makefile", "test:\n\tpytest\n", "test:\n\tpytest || :\n"),
    "make's dash": ("Makefile", "test:\n\tpytest\n", "test:\n\t-pytest\n"),
    "make's quiet dash": ("Makefile", "test:\n\tgo test ./...\n", "test:\n\t@-go test ./...\n"),
    "make ignores all": ("Makefile", "test:\n\tpytest\n", ".IGNORE:\ntest:\n\tpytest\n"),
    "a shell that is true": ("Makefile", "test:\n\tpytest\n", "SHELL = /bin/true\ntest:\n\tpytest\n"),
    "exit 0": ("run_tests.sh", "#!/bin/sh\npytest\n", "#!/bin/sh\npytest; exit 0\n"),
    "the script's end": ("run_tests.sh", "#!/bin/sh\npytest\n", "#!/bin/sh\npytest\nexit 0\n"),
    "a trap": ("ci.sh", "#!/bin/bash\nset -e\ncargo test\n", "#!/bin/bash\nset -e\ntrap 'exit 0' EXIT\ncargo test\n"),
    "set +e": ("ci.sh", "#!/bin/bash\nset -e\ncargo test\ntrue x\n", "#!/bin/bash\nset -e\nset +e\ncargo test\ntrue x\n"),
    "an inner shell": (CI, WORKFLOW, WORKFLOW.replace("pytest -q", 'bash -c "pytest -q || true"')),
    "a step that may fail": (CI, WORKFLOW, WORKFLOW.replace("run: pytest -q", "run: pytest -q\n        continue-on-error: true")),
    "a step that may fail, said first": (CI, WORKFLOW, WORKFLOW.replace("- name: t", "- continue-on-error: true\n        name: t")),
    "a job that may fail": (CI, WORKFLOW, WORKFLOW.replace("runs-on: x", "runs-on: x\n    continue-on-error: true")),
    "a step that never runs": (CI, WORKFLOW, WORKFLOW.replace("- name: t", "- name: t\n        if: false")),
    "gitlab": (".gitlab-ci.yml", "t:\n  script:\n    - pytest\n", "t:\n  allow_failure: true\n  script:\n    - pytest\n"),
    "package.json": ("package.json", '{"scripts": {\n"test": "jest"\n}}\n', '{"scripts": {\n"test": "jest || exit 0"\n}}\n'),
    "package.json on one line": ("package.json", '{"scripts": {"test": "jest"}}', '{"scripts": {"test": "jest || true"}}'),
    "lint that ends with 0": (CI, WORKFLOW, WORKFLOW.replace("ruff check .", "ruff check . --exit-zero")),
    "tox": ("tox.ini", "[testenv]\ncommands = pytest\n", "[testenv]\nignore_outcome = true\ncommands = pytest\n"),
    "nox": ("noxfile.py", "def t(session):\n    session.run('pytest')\n", "def t(session):\n    session.run('pytest', success_codes=[0, 1])\n"),
    "pytest.exit": ("tests/test_a.py", "def test_a():\n    assert 0\n", "import pytest\n\ndef test_a():\n    pytest.exit('x', returncode=0)\n"),
    "jest's process": ("a.test.js", "it('a', () => {})\n", "it('a', () => {})\nprocess.exit(0)\n"),
    "go's main": ("a_test.go", "package a\n", "package a\nfunc TestMain(m *testing.M) {\n\tm.Run()\n\tos.Exit(0)\n}\n"),
    "travis": (".travis.yml", "script: pytest\n", "script: pytest || true\n"),
}  # fmt: skip
HONEST: dict[str, tuple[str, str, str]] = {
    "clean up": ("Makefile", "test:\n\tpytest\n", "clean:\n\trm -rf x || true\n\t-docker stop x\ntest:\n\tpytest\n"),
    "install of what may be missing": (CI, WORKFLOW, WORKFLOW.replace("run: pytest -q", "run: pip install pytest-x || true\n      - run: pytest -q")),
    "a matrix's own word": (CI, WORKFLOW, WORKFLOW.replace("runs-on: x", "runs-on: x\n    continue-on-error: ${{ matrix.experimental }}")),
    "another step may fail": (CI, WORKFLOW, WORKFLOW + "      - run: ./upload.sh\n        continue-on-error: true\n"),
    "a failure that is told": ("ci.sh", "#!/bin/sh\npytest\n", "#!/bin/sh\npytest || { echo no; exit 1; }\n"),
    "a code that is kept": ("ci.sh", "#!/bin/bash\npytest\n", "#!/bin/bash\nset +e\npytest\ncode=$?\nset -e\nexit $code\n"),
    "hidden before": ("Makefile", "test:\n\tpytest || true\n", "test:\n\tpytest -v || true\n"),
    "moved": ("ci/x.sh", "#!/bin/sh\nmypy . || true\n", "#!/bin/sh\n# types\n\nmypy . || true\n"),
    "prose": ("README.md", "x\n", "run `pytest || true`\n"),
    "go's own code": ("a_test.go", "package a\n", "package a\nfunc TestMain(m *testing.M) {\n\tos.Exit(m.Run())\n}\n"),
    "a program that a test starts": ("tests/test_a.py", "x = 1\n", "def test_a():\n    run([sys.executable, '-c', 'import os; os._exit(0)'])\n"),
    "data": ("tests/a.bin", "\x00pytest || true\n", "\x00\x01pytest || true\n"),
}  # fmt: skip


def test_a_hidden_exit_code_is_refused(tmp_path: Path) -> None:
    cases = list(HIDES.values())
    patches = patches_of(tmp_path, [({p: a}, {p: b}) for p, a, b in cases])
    passed = [
        name
        for name, patch in zip(HIDES, patches, strict=True)
        if "refuse" not in {f[0] for f in found(Masking(), patch)}
    ]
    assert passed == []


@pytest.mark.parametrize("strict", [True, False])
def test_other_commands_may_fail_as_they_like(tmp_path: Path, strict: bool) -> None:
    patches = patches_of(tmp_path, [({p: a}, {p: b}) for p, a, b in HONEST.values()], Rules(strict=strict))
    blamed = {name: said for name, patch in zip(HONEST, patches, strict=True) if (said := found(Masking(), patch))}
    assert blamed == {}


@pytest.mark.parametrize(
    ("line", "program"),
    [
        ("- run: uv run python -m pytest -k 'a || true'", "pytest"),
        ("FOO=1 npx jest --ci", "jest"),
        ("npm run test:unit", "npm"),
        ("cargo clippy", "cargo"),
        ("pip install pytest", ""),
        ("which mypy || true", ""),
        ("echo pytest", ""),
        ("cargo build", ""),
        ("go build ./...", ""),
    ],
)
def test_a_command_that_runs_a_check_is_known(line: str, program: str) -> None:
    assert [r.program for r in runs(line)] == ([program] if program else [])
    assert not any(r.mask for r in runs(line))


def test_no_content_makes_it_raise(tmp_path: Path) -> None:
    odd = [
        b"\x00\xff" * 50,
        b"pytest " + b"x|" * 200_000,
        b"\\\n" * 5000,
        b"- if: false\n" * 300,
        "  - \ud800".encode("utf-8", "surrogatepass"),
    ]
    for patch in patches_of(
        tmp_path, [({"Makefile": "a"}, {"Makefile": text, CI: text, "x.sh": text}) for text in odd]
    ):
        found(Masking(), patch)
