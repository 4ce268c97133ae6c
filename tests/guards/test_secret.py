"""Credentials in a difference: forms of the vendors, guesses by entropy, and what only looks like one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guards.support import Tree, found, patch_of, patches_of
from zwarm_ci.scrub import find_secrets, guessed_secrets, redact
from zwarm_ci.verify.guards.base import Rules
from zwarm_ci.verify.guards.secret import Secrets

R = "a8Kd03jfLq9ZmX2cV7bN1pQw5RtY6uHs4GeJ"  # 36 characters of no meaning


@pytest.mark.parametrize(
    "token",
    [
        "ghp_" + R, "github_pat_" + R, "glpat-" + R[:20], "sk-ant-" + R, "sk-proj-" + R,
        "AKIA" + "Q3EGRZ7KXWMVBN5T", "xoxb-" + "1234567890-" + R, "AIza" + R[:35],
        "npm_" + R, "sk_live_" + R[:24], "SG." + R[:22] + "." + R + R[:7], "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH",
        "dckr_pat_" + R[:27],
        "hooks.slack.com/services/T0" + "A1B2C3D/B0A1B2C3D/" + R[:24],
        "-----BEGIN RSA " + "PRIVATE KEY-----", "GOCSPX-" + R[:28], "shpat_" + "0af3" * 8,
    ],
)  # fmt: skip
def test_the_vendors_forms_are_refused_and_masked(tmp_path: Path, token: str) -> None:
    patch = patch_of(tmp_path, {"a.py": ""}, {"a.py": f"x = '{token}'\n"}, Rules(strict=False))
    assert [f[0] for f in found(Secrets(), patch)] == ["refuse"]
    assert token not in redact(f"x {token} y")


@pytest.mark.parametrize(
    "text",
    [
        "AKIAIOSFODNN7EXAMPLE", "ghp_" + "x" * 36, "sk-your-api-key-goes-here-please", "task-" + "a" * 30,
        "sha512-" + R + R + "==", "550e8400-e29b-41d4-a716-446655440000",
        "data:image/png;base64," + R * 3, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "sk_test_" + R[:24],
    ],
)  # fmt: skip
def test_examples_hashes_and_pictures_are_none(text: str) -> None:
    assert find_secrets(text) == []


def test_a_guess_by_entropy_asks_for_review(tmp_path: Path) -> None:
    steps: list[tuple[Tree, Tree]] = [
        ({}, {"a.py": f"API_KEY = '{R}'\n"}),
        ({}, {"c.json": f'{{"clientSecret": "{R}"}}\n'}),
        ({}, {"a.go": f'token := "{R}"\n'}),
    ]
    assert [[f[0] for f in found(Secrets(), p)] for p in patches_of(tmp_path, steps)] == [["review"]] * 3
    for line in (
        f"token_hash = '{R}'",
        "password = 'correct horse battery staple'",
        "TOKEN_URL = 'https://example.org/oauth2/v1/token9'",
        f"name = '{R}'",
        "api_key = 'your_api_key_12345678'",
    ):
        assert guessed_secrets(line) == [], line


def test_what_moved_is_no_news_and_a_key_of_tests_is_a_persons_business(tmp_path: Path) -> None:
    line = f"x = 'ghp_{R}'\n"
    assert found(Secrets(), patch_of(tmp_path, {"a.py": line}, {"b.py": line})) == []
    key = {"tests/a.pem": "-----BEGIN " + "PRIVATE KEY-----\n"}
    levels = [{f[0] for f in found(Secrets(), patch_of(tmp_path, {}, key, Rules(strict=s)))} for s in (True, False)]
    assert levels == [{"refuse"}, {"review"}]
