"""What `fix-issue REF` names, and that it is an issue of this repository on this forge, or a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import Repo
from zwarm_ci.errors import UsageError
from zwarm_ci.git import Repository, open_repository
from zwarm_ci.github.reference import Reference, resolve

ORIGIN = "https://github.com/octo/shop.git"


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo.make(tmp_path / "shop", {"a.md": "# x\n"})
    made.git("remote", "add", "origin", ORIGIN)
    return made


@pytest.fixture
def user(repo: Repo) -> Repository:
    return open_repository(repo.path)


HERE = Reference("octo/shop", 12, own="octo/shop")


@pytest.mark.parametrize(
    ("ref", "option", "environ", "expected"),
    [
        ("12", "", {}, HERE),
        ("#12", "", {}, HERE),
        ("https://github.com/octo/shop/issues/12", "", {}, HERE),
        ("https://GitHub.com/octo/shop/issues/12/?x=1#issuecomment-5", "", {}, HERE),
        ("https://github.com/octo/shop/pull/12", "", {}, HERE),
        ("12", "octo/site", {}, Reference("octo/site", 12, own="octo/shop")),
        ("https://github.com/octo/site/issues/12", "octo/site", {}, Reference("octo/site", 12, own="octo/shop")),
        ("12", "", {"GITHUB_REPOSITORY": "acme/fork"}, Reference("acme/fork", 12, own="acme/fork")),
        ("https://git.acme.example/octo/shop/issues/12", "octo/shop", {"GITHUB_API_URL": "https://git.acme.example/api/v3"},
         Reference("octo/shop", 12)),
        ("https://x.ghe.com/octo/shop/issues/12", "octo/shop", {"GITHUB_API_URL": "https://api.x.ghe.com"}, Reference("octo/shop", 12)),
        ("https://git.example:8/octo/shop/issues/12", "octo/shop",
         {"GITHUB_API_URL": "https://git.example:9/api", "GITHUB_SERVER_URL": "https://git.example:8"}, Reference("octo/shop", 12)),
    ],
)  # fmt: skip
def test_a_number_or_an_address_of_this_repository(
    user: Repository, ref: str, option: str, environ: dict[str, str], expected: Reference
) -> None:
    found = resolve(ref, option, user, environ)
    assert found == expected
    assert found.elsewhere == (expected.own != expected.repo)


@pytest.mark.parametrize(
    ("url", "own"),
    [
        (ORIGIN, "octo/shop"),
        ("https://github.com/octo/shop", "octo/shop"),
        ("https://ada:token-of-ada@github.com/octo/shop.git/", "octo/shop"),
        ("git@github.com:octo/shop.git", "octo/shop"),
        ("github.com:octo/shop", "octo/shop"),
        ("ssh://git@github.com/octo/shop.git", "octo/shop"),
        ("ssh://git@ssh.github.com:443/octo/shop.git", "octo/shop"),
        ("https://gitlab.com/octo/shop.git", ""),
        ("git@gitlab.com:octo/shop.git", ""),
        ("https://evil.example/github.com/octo/shop.git", ""),
        ("https://github.com.evil.example/octo/shop.git", ""),
        ("https://github.com/octo/shop/more.git", ""),
        ("/srv/git/octo/shop.git", ""),
        ("../octo/shop", ""),
    ],
)
def test_the_remote_says_whose_issue_it_is_where_it_is_at_this_forge(repo: Repo, url: str, own: str) -> None:
    repo.git("remote", "set-url", "origin", url)
    user = open_repository(repo.path)
    if own:
        assert resolve("12", "", user, {}) == Reference(own, 12, own=own)
        return
    with pytest.raises(UsageError, match="of which repository is issue 12") as caught:
        resolve("12", "", user, {})
    assert "--repo OWNER/NAME" in caught.value.line
    assert "token-of-ada" not in caught.value.line


@pytest.mark.parametrize(
    ("ref", "option", "said"),
    [
        ("https://gitlab.com/octo/shop/issues/12", "", "is not at github.com"),
        ("https://github.com.evil.example/octo/shop/issues/12", "", "is not at github.com"),
        ("https://x@github.com/octo/shop/issues/12", "", "is not at github.com"),
        ("file:///github.com/octo/shop/issues/12", "", "is not at github.com"),
        ("ftp://github.com/octo/shop/issues/12", "", "is not at github.com"),
        ("https://github.com/octo/site/issues/12", "", "is an issue of octo/site, and this repository is octo/shop"),
        ("https://github.com/octo/site/issues/12", "octo/other", "is an issue of octo/site"),
        ("https://github.com/octo/shop", "", "is no issue's address"),
        ("https://github.com/octo/shop/issues/0", "", "is no issue's address"),
        ("https://github.com/octo/shop/issues/12/edit", "", "is no issue's address"),
        ("https://github.com/octo/%2e%2e/issues/12", "", "is no repository"),
        ("0", "", "neither an issue's number"),
        ("nothing.md", "", "neither an issue's number"),
        (".", "", "neither an issue's number"),
        ("", "", "neither an issue's number"),
        ("12", "octo", "is no repository"),
        ("12", "octo/..", "is no repository"),
    ],
)
def test_what_is_no_reference_is_refused(user: Repository, ref: str, option: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(ref, option, user, {})
    assert said in caught.value.line
    assert caught.value.remedy


def test_a_file_is_the_issue_of_this_repository(repo: Repo, user: Repository) -> None:
    path = repo.path / "a.md"
    assert resolve(str(path), "", user, {}) == Reference("octo/shop", file=path, own="octo/shop")
