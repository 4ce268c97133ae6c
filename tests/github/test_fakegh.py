"""The double is GitHub's double: its answers are whole, and it refuses what GitHub refuses."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.fakegh import WRITE, Forge, openapi
from tests.github.conftest import SHOP, Stand
from tests.support import Repo


def test_every_described_answer_can_be_made_whole() -> None:
    """`fill` makes answers that the description accepts, and taking a field away is seen."""
    tried = 0
    for name, description in openapi.published()["operations"].items():
        operation = openapi.Operation(name, description, {})
        for code, schema in description["responses"].items():
            if schema is None:
                continue
            made = openapi.answer(operation, int(code), {} if openapi._resolved(schema).get("type") == "object" else [])
            assert openapi.wrong_answer(operation, int(code), made) == [], (name, code)
            needed = openapi._resolved(schema).get("required", ())
            if needed:
                assert openapi.wrong_answer(operation, int(code), {k: v for k, v in made.items() if k != needed[0]})
                tried += 1
    assert tried >= 10


def test_the_fixture_names_its_version_and_licence() -> None:
    found = openapi.published()
    assert "@octokit/openapi 23." in found["source"]
    assert found["license"].startswith("MIT")
    assert openapi.FIXTURE.stat().st_size < 400_000


def git(repo: Repo, *args: str, token: str = "") -> subprocess.CompletedProcess[str]:
    import base64
    import os

    login = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    header = ["-c", f"http.extraheader=Authorization: Basic {login}"] if token else []
    env = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    return subprocess.run(["git", *header, *args], cwd=repo.path, env=env, capture_output=True, text=True, check=False)


def test_git_is_real_and_tokens_decide(stand: Stand) -> None:
    url = stand.forge.remote(SHOP)
    head = stand.repo.git("rev-parse", "HEAD")
    reader, writer = stand.token("reader", scopes=("contents:read",)), stand.token("writer")
    assert head in git(stand.repo, "ls-remote", url, token=reader).stdout
    assert "terminal prompts disabled" in git(stand.repo, "ls-remote", url).stderr
    assert "returned error: 403" in git(stand.repo, "push", url, "main:refs/heads/x", token=reader).stderr
    assert git(stand.repo, "push", url, "main:refs/heads/x", token=writer).returncode == 0
    assert stand.at("x") == head


def test_a_large_push_arrives_whole(stand: Stand) -> None:
    """Git sends what is larger than http.postBuffer in chunks."""
    import random

    stand.repo.commit("large", {"data.bin": random.Random(7).randbytes(3 << 20)})
    assert (
        git(stand.repo, "push", stand.forge.remote(SHOP), "main:refs/heads/large", token=stand.token()).returncode == 0
    )
    assert stand.at("large") == stand.repo.git("rev-parse", "HEAD")


@pytest.mark.parametrize(("kind", "said"), [("actions", "a GitHub App"), ("pat", "a Personal Access Token")])
def test_workflow_files_are_refused_in_githubs_words(stand: Stand, kind: str, said: str) -> None:
    stand.repo.commit("ci", {".github/workflows/own.yml": "on: push\n"})
    token = stand.token("plain", kind=kind)
    refused = git(stand.repo, "push", stand.forge.remote(SHOP), "main:refs/heads/x", token=token)
    assert f"refusing to allow {said} to create or update workflow `.github/workflows/own.yml`" in refused.stderr
    able = stand.token("able", scopes=(*WRITE, "workflow"), kind=kind)
    assert git(stand.repo, "push", stand.forge.remote(SHOP), "main:refs/heads/x", token=able).returncode == 0


def test_a_protected_branch_is_refused(stand: Stand) -> None:
    stand.forge.protect(SHOP, "main")
    stand.repo.commit("more", {"x.txt": "x"})
    assert "GH006" in git(stand.repo, "push", stand.forge.remote(SHOP), "main", token=stand.token()).stderr


def test_a_second_pull_request_for_one_branch_is_refused(stand: Stand) -> None:
    stand.repo.commit("more", {"x.txt": "x"})
    stand.repo.git("push", "-q", str(stand.forge.bare(SHOP)), "main:refs/heads/x")
    sent = {"title": "t", "body": "", "head": "x", "base": "main", "draft": True}
    first = stand.api().create_pull(SHOP, **sent)  # type: ignore[arg-type] # as a table
    assert (first["number"], first["head"]["sha"]) == (1, stand.at("x"))
    with pytest.raises(Exception, match="already exists for octo:x"):
        stand.api().create_pull(SHOP, **sent)  # type: ignore[arg-type] # as a table


def test_everything_that_was_asked_is_kept(tmp_path: Path) -> None:
    with Forge(tmp_path / "forge") as forge:
        forge.bare(SHOP)
        Stand(forge, Repo(tmp_path)).api(forge.token("writer")).repository(SHOP)
        request = forge.requests[0]
    assert (request.method, request.path, request.who, request.status) == ("GET", f"/repos/{SHOP}", "writer", 200)
