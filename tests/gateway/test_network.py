"""How the gateway gets to the providers: certificates and proxies that the environment names."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from tests.gateway.house import gateway, opened, post
from tests.gateway.upstream import Raw, raw_server, tunnel

SAID = Raw(200, {"content-type": "application/json"}, b'{"model":"x"}')


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a server that no system trusts; its key lies beside it."""
    folder = tmp_path_factory.mktemp("tls")
    argv = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=127.0.0.1",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    ]
    subprocess.run([*argv, "-keyout", "key.pem", "-out", "ca.pem"], cwd=folder, check=True, capture_output=True)
    return folder / "ca.pem"


def server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    return context


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"])
def test_a_certificate_of_ones_own(certificate: Path, name: str) -> None:
    with raw_server(SAID, server_side(certificate)) as url:
        with gateway(url, env={name: str(certificate)}) as gate:
            assert post(opened(gate), "codex").data == SAID.body
        with gateway(url) as gate:
            answer = post(opened(gate), "codex")
            assert answer.status == 502
            assert "certificate" in answer.error


def test_tls_through_a_proxy(certificate: Path) -> None:
    with raw_server(SAID, server_side(certificate)) as url, tunnel() as (proxy, asked):
        env = {"HTTPS_PROXY": proxy, "NODE_EXTRA_CA_CERTS": str(certificate)}
        with gateway(url, env=env) as gate:
            assert post(opened(gate), "codex").data == SAID.body
        assert asked == [f"CONNECT {url.removeprefix('https://')} HTTP/1.1"]
        with gateway(url, env={**env, "NO_PROXY": "127.0.0.1"}) as gate:
            assert post(opened(gate), "codex").data == SAID.body
        assert len(asked) == 1
