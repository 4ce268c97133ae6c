"""A key that a provider repeats goes no further, however its answer is cut into pieces; a wait that it asks for is understood."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zwarm_ci.gateway import routes
from zwarm_ci.gateway.mask import Masker

KEY = "sk-sk-abab"


@given(st.lists(st.sampled_from([KEY, "sk-", "ab", "x", "sk-sk-aba", "\n"]), max_size=12), st.data())
def test_whatever_the_pieces(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    masker = Masker(KEY)
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    came = b"".join([*map(masker.feed, pieces), masker.close()])
    assert came == text.replace(KEY.encode(), b"***")


def test_nothing_is_held_back_but_a_beginning_of_the_key() -> None:
    masker = Masker(KEY)
    assert masker.feed(b"data: {}\n\n") == b"data: {}\n\n"
    assert masker.feed(b"see sk-s") == b"see "
    assert masker.feed(b"hop\n") == b"sk-shop\n"
    assert Masker("").feed(b"abc") == b"abc"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7),
        (" 1.5 ", 1.5),
        ("", 0),
        ("soon", 0),
        ("-3", 0),
        ("nan", 0),
        ("inf", 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
    ],
)
def test_seconds(said: str, seconds: float) -> None:
    assert routes.seconds(said) == seconds


def test_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert 80 < routes.seconds(later) <= 90
