"""What is taken away before text leaves."""

from __future__ import annotations

import pytest

from zwarm_ci import scrub

CANARIES = [
    "ghp_" + "a1B2" * 9,
    "github_pat_" + "A1b2" * 8,
    "sk-ant-" + "x9Y8" * 10,
    "sk-proj-" + "x9Y8" * 10,
    "AKIA" + "ABCDEFGH12345678",
    "glpat-" + "abcdEFGH1234_-ab5678",
    "xoxb-" + "1234567890-abc",
    "npm_" + "a1B2" * 9,
]


@pytest.mark.parametrize("secret", CANARIES)
def test_what_looks_like_a_token_is_masked_wherever_it_stands(secret: str) -> None:
    for text in (secret, f"x={secret}", f"Authorization: Bearer {secret}\nnext", f'"{secret}"'):
        assert secret not in scrub.redact(text)
        assert scrub.MASK in scrub.redact(text)
    assert all(secret not in found for found in scrub.find_secrets(secret))
    assert scrub.find_secrets(secret)


def test_values_of_our_own_environment_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_PASSWORD", "correct horse")
    monkeypatch.setenv("GREETING", "good morning")
    assert scrub.redact("say correct horse, good morning") == "say ***, good morning"
    assert scrub.redact("good morning", ["good morning"]) == "***"


def test_a_login_in_a_url_is_masked_and_nothing_else_of_it() -> None:
    said = scrub.redact("at postgres://shop:hunter22@db.example/x and https://example.org:8080/a@b")
    assert said == "at postgres://***@db.example/x and https://example.org:8080/a@b"
    assert not scrub.find_secrets("postgres://shop:hunter22@db/x"), "no patch is refused for it"


def test_a_private_key_is_masked_even_where_its_end_is_cut_off() -> None:
    begin = "-----BEGIN RSA " + "PRIVATE KEY-----"
    assert "MIIE" not in scrub.redact(f"{begin}\nMIIE")


@pytest.mark.parametrize(
    ("path", "secret"),
    [
        (".env", True),
        ("app/.env.production", True),
        (".env.example", False),
        ("id_rsa", True),
        ("keys/server.pem", True),
        ("monkey.py", False),
        ("environment.py", False),
        ("config/credentials.json", True),
        ("src/secrets.py", False),
    ],
)
def test_names_of_secret_files(path: str, secret: bool) -> None:
    assert scrub.is_secret_path(path) is secret


def test_terminal_escapes_controls_and_invisible_characters_go() -> None:
    assert scrub.plain("\x1b[31mred\x1b[0m\x1b]0;title\x07 a\x00b\u202ec\u200b\r\nd\re") == "red abc\nd\ne"
    assert scrub.one_line("a\n\n b" * 3, 6) == "a ba …"


@pytest.mark.parametrize(
    "text",
    ["::set-output name=x::y", "a @maintainer b", "<img src=x onerror=alert(1)>", "[x](javascript:1)", "| cell |"],
)
def test_markdown_cells_carry_no_markup(text: str) -> None:
    made = scrub.markdown(text)
    assert "::" not in made
    assert "@m" not in made
    assert "<img" not in made.replace("\\<", "")
    assert "](" not in made.replace("\\]", "").replace("\\(", "")


def test_a_fence_is_longer_than_what_it_holds() -> None:
    made = scrub.fenced("a\n````\nb\n::error::c")
    assert made.startswith("`````\n")
    assert made.endswith("\n`````\n")
    assert "::error" not in made


def test_one_line_is_printable_whatever_a_newer_unicode_has() -> None:
    assert scrub.one_line("a\u0378b") == "a\ufffdb"
