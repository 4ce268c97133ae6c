"""No token after the first half: not by its name, its look or its value; and what git would find is found by us first."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import Repo
from zwarm_ci.action import tokens

TOKEN = "ghs_" + "A1b2C3d4" * 5
HEADER = "AUTHORIZATION: basic " + base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GITHUB_TOKEN", "anything"),
        ("GH_TOKEN", "anything"),
        ("GH_ENTERPRISE_TOKEN", "anything"),
        ("ZWARM_CI_TOKEN", "anything"),
        ("ZWARM_CI_INPUT_TOKEN", "anything"),
        ("INPUT_GITHUB-TOKEN", "anything"),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "anything"),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://example.org"),
        ("ACTIONS_RUNTIME_TOKEN", "anything"),
        ("GIT_CONFIG_VALUE_0", HEADER),
        ("GIT_CONFIG_PARAMETERS", f"'http.extraheader={HEADER}'"),
        ("SSH_AUTH_SOCK", "/tmp/agent"),
        ("MY_BOT", TOKEN),
        ("REMOTE", f"https://x-access-token:{TOKEN}@example.org/octo/shop"),
        ("OTHER", "github_pat_" + "a1B2" * 10),
    ],
)
def test_a_token_is_left_out(name: str, value: str) -> None:
    assert tokens.without({name: value, "PATH": "/bin"}, "ghs_other") == {"PATH": "/bin"}


def test_this_very_token_is_left_out_wherever_it_stands() -> None:
    opaque = "no-known-form-0123456789"
    assert tokens.without({"MY": f"Bearer {opaque}", "HOME": "/root"}, opaque) == {"HOME": "/root"}


def test_all_else_stays() -> None:
    kept = {
        "PATH": "/bin",
        "DATABASE_URL": "postgres://a:b@localhost/x", "GITHUB_SHA": "a" * 40, "ZWARM_CI_INPUT_MODE": "run", "ACTIONS_STEP_DEBUG": "true",
        "ZWARM_CI_GATEWAY_FD": "3", "GITHUB_OUTPUT": "/x",
    }  # fmt: skip
    assert tokens.without(kept, "") == kept


def test_who_begins_anew_has_forgotten_it(tmp_path: Path) -> None:
    """What the kernel shows of the process, as its children may read it, has the token before and not after."""
    script = tmp_path / "zwarm_ci.py"
    script.write_text("")
    code = (
        "import os,sys; from zwarm_ci.action import tokens; from pathlib import Path\n"
        "print(b'canary-token' in Path('/proc/self/environ').read_bytes(), os.getpid(), flush=True)\n"
        "import zwarm_ci.proc as p; real = p.become\n"
        "def become(argv, *, env): real([argv[0], '-I', '-c', \"import os;from pathlib import Path\\n"
        "print(b'canary-token' in Path('/proc/self/environ').read_bytes(), os.getpid(), 'MY' in os.environ)\"], env=env)\n"
        "tokens.become = become\n"
        "tokens.begin_anew(['action'], tokens.without(os.environ, 'canary-token'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "MY": "canary-token", "GITHUB_TOKEN": "canary-token"},
        capture_output=True,
        text=True,
        check=True,
    )
    before, after = done.stdout.splitlines()
    assert before.split()[0] == "True"
    assert after.split() == ["False", before.split()[1], "False"]


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo.make(tmp_path / "shop", {"a": "a"})


def test_a_checkout_without_credentials_is_fine(repo: Repo) -> None:
    repo.git("remote", "add", "origin", "https://example.org/octo/shop")
    assert tokens.left_in_git(repo.path) == ""
    assert tokens.left_in_git(repo.path.parent) == "", "a folder that is no repository has none"


def test_the_header_that_checkout_leaves_is_seen(repo: Repo) -> None:
    repo.git("config", "http.https://github.com/.extraheader", HEADER)
    said = tokens.left_in_git(repo.path)
    assert ".git/config" in said
    assert "persist-credentials: false" in said
    assert TOKEN not in said
    assert HEADER.rpartition(" ")[2] not in said


def test_the_file_that_a_newer_checkout_includes_is_seen(repo: Repo, tmp_path: Path) -> None:
    hidden = tmp_path / "git-credentials-1.config"
    hidden.write_text(f'[http "https://github.com/"]\n\textraheader = {HEADER}\n')
    repo.git("config", f"includeIf.gitdir:{repo.path}/.git.path", str(hidden))
    assert hidden.name in tokens.left_in_git(repo.path)


@pytest.mark.parametrize(
    "setting",
    [
        ("remote.origin.url", f"https://x-access-token:{TOKEN}@example.org/octo/shop"),
        ("remote.origin.pushurl", f"https://{TOKEN}@example.org/octo/shop"),
        (f"url.https://x:{TOKEN}@example.org/.insteadOf", "https://example.org/"),
    ],
)
def test_a_login_in_an_address_is_seen(repo: Repo, setting: tuple[str, str]) -> None:
    repo.git("config", *setting)
    said = tokens.left_in_git(repo.path)
    assert ".git/config" in said
    assert TOKEN not in said


def test_a_store_is_seen_where_it_has_a_file(repo: Repo, tmp_path: Path) -> None:
    store = tmp_path / "store"
    repo.git("config", "credential.helper", f"store --file {store}")
    assert tokens.left_in_git(repo.path) == ""
    store.write_text(f"https://x:{TOKEN}@example.org\n")
    assert str(store) in tokens.left_in_git(repo.path)
