"""Which headers pass, in both directions, and where a token is looked for."""

from __future__ import annotations

import pytest

from zwarm_ci.gateway import routes


@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key", "Cookie", "Proxy-Authorization"])
def test_what_a_cli_shows_us_is_shown_to_nobody(name: str) -> None:
    sent = routes.to_upstream([(name, "Bearer zw-x"), ("Accept", "a")], {"x-api-key": "k"}, limited=False)
    assert sent == [("accept", "a"), ("x-api-key", "k"), ("accept-encoding", "identity")]


def test_a_beta_that_doubles_the_price_is_left_out_where_there_are_limits() -> None:
    betas = [("anthropic-beta", "one,context-1m-2025-08-07,two")]
    assert ("anthropic-beta", "one,two") in routes.to_upstream(betas, {}, limited=True)
    assert betas[0] in routes.to_upstream(betas, {}, limited=False)


def test_what_comes_back() -> None:
    said = [
        ("Content-Type", "a"),
        ("Set-Cookie", "c"),
        ("Connection", "x-one"),
        ("X-One", "1"),
        ("Retry-After", "7"),
        ("Content-Length", "3"),
    ]
    assert routes.from_upstream(said) == [("content-type", "a"), ("retry-after", "7")]


@pytest.mark.parametrize(
    ("headers", "token"),
    [({"authorization": "Bearer t"}, "t"), ({"authorization": "bearer  t "}, "t"), ({"x-api-key": "t"}, "t"),
     ({"authorization": "Basic x", "x-api-key": "t"}, "t"),
     ({"authorization": "Bearer "}, ""), ({}, "")],
)  # fmt: skip
def test_where_the_token_is(headers: dict[str, str], token: str) -> None:
    assert routes.token_of(headers) == token
