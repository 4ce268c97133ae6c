"""Where the providers are: URLs, proxies, certificates, compressed answers."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zwarm_ci.errors import BlockedError
from zwarm_ci.gateway.unpack import BrokenError, Unpacker
from zwarm_ci.gateway.upstream import proxy_for, trust, upstreams

PROXY = "http://proxy.example.org:3128"


def test_the_vendors_own() -> None:
    found = upstreams({"codex": "k1", "claude": "k2"}, {}, {})
    assert found["codex"].url("/v1/responses") == "https://api.openai.com/v1/responses"
    assert found["claude"].url("/v1/messages", "beta=true") == "https://api.anthropic.com/v1/messages?beta=true"
    assert found["codex"].auth() == {"authorization": "Bearer k1"}
    assert found["claude"].auth() == {"x-api-key": "k2"}
    assert found["codex"].counts
    assert "k1" not in repr(found)


def test_compatible_endpoints() -> None:
    found = upstreams({}, {"codex": "http://127.0.0.1:11434/v1/"}, {"HTTP_PROXY": PROXY, "no_proxy": "127.0.0.1"})
    assert list(found) == ["codex"]
    assert found["codex"].url("/v1/responses") == "http://127.0.0.1:11434/v1/responses"
    assert found["codex"].auth() == {}
    assert found["codex"].proxy is None
    assert not found["codex"].counts


@pytest.mark.parametrize(
    "url", ["", "api.example.org", "ftp://x/y", "http://", "http://[", "http://h:99999", "file:///etc/passwd"]
)
def test_what_is_no_upstream(url: str) -> None:
    with pytest.raises(BlockedError, match="the upstream of claude is no http"):
        upstreams({}, {"claude": url}, {})


@pytest.mark.parametrize(
    ("network", "proxy"),
    [
        ({}, None), ({"HTTPS_PROXY": PROXY}, PROXY), ({"HTTP_PROXY": PROXY}, None), ({"ALL_PROXY": PROXY}, PROXY),
        ({"HTTPS_PROXY": "http://other", "https_proxy": PROXY}, PROXY), ({"HTTPS_PROXY": "proxy.example.org:3128"}, PROXY),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "x.org, .anthropic.com"}, None), ({"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "api.anthropic.com:8443"}, PROXY), ({"HTTPS_PROXY": PROXY, "NO_PROXY": "thropic.com,,"}, PROXY),
    ],
)  # fmt: skip
def test_the_proxy_of_the_environment(network: dict[str, str], proxy: str | None) -> None:
    assert proxy_for("https://api.anthropic.com", network) == proxy


def test_a_proxy_that_is_not_spoken() -> None:
    with pytest.raises(BlockedError, match="the proxy for https"):
        proxy_for("https://api.anthropic.com", {"ALL_PROXY": "socks5://127.0.0.1:1080"})


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"])
def test_certificates_that_are_none(name: str, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    with pytest.raises(BlockedError, match=name):
        trust({name: str(file)})
    file.write_text("no certificate\n")
    with pytest.raises(BlockedError, match=name):
        trust({name: str(file)})


def _raw_deflate(data: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-15)
    return squeeze.compress(data) + squeeze.flush()


PACKED: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress, "deflate ": _raw_deflate, "identity": bytes,
          "gzip ": lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:])}  # fmt: skip


@settings(deadline=None)
@given(st.sampled_from(sorted(PACKED)), st.binary(max_size=500), st.integers(1, 40))
def test_any_split_unpacks_the_same(name: str, data: bytes, size: int) -> None:
    packed = PACKED[name](data)
    unpacker = Unpacker(name.strip())
    assert b"".join(p for i in range(0, len(packed), size) for p in unpacker.feed(packed[i : i + size])) == data


def test_a_large_answer_comes_in_pieces() -> None:
    pieces = Unpacker("gzip").feed(gzip.compress(bytes(5 << 20)))
    assert sum(map(len, pieces)) == 5 << 20
    assert max(map(len, pieces)) <= 1 << 20


def test_broken_compression() -> None:
    with pytest.raises(BrokenError):
        Unpacker("gzip").feed(b"plain text")
