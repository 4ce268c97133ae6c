"""Where a provider is and how to get there: URL, key, proxy, trusted certificates. Set by the process environment only."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from zwarm_ci.errors import BlockedError
from zwarm_ci.gateway.meter import Api

APIS: Mapping[str, Api] = {"codex": "openai", "claude": "anthropic"}
#: The vendors' own, each as its variable has it: OpenAI's with `/v1`, Anthropic's without.
VENDORS = {"codex": "https://api.openai.com/v1", "claude": "https://api.anthropic.com"}
_CA_NAMES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")


@dataclass(frozen=True, slots=True)
class Upstream:
    """One provider. `key` "" = it wants none. `counts`: its count of a request's tokens is the one that it bills by."""

    adapter: str
    base: str
    key: str = field(default="", repr=False)
    proxy: str | None = None
    counts: bool = False

    @property
    def api(self) -> Api:
        """How it is spoken to."""
        return APIS[self.adapter]

    @property
    def host(self) -> str:
        """For messages: without login and path."""
        return urlsplit(self.base).hostname or self.base

    def url(self, path: str, query: str = "") -> str:
        """Of a path that begins with `/v1`."""
        tail = path.removeprefix("/v1") if self.api == "openai" else path
        return self.base + tail + (f"?{query}" if query else "")

    def auth(self) -> dict[str, str]:
        """Headers that carry the real key."""
        if not self.key:
            return {}
        return {"authorization": f"Bearer {self.key}"} if self.api == "openai" else {"x-api-key": self.key}


def upstreams(keys: Mapping[str, str], urls: Mapping[str, str], network: Mapping[str, str]) -> dict[str, Upstream]:
    """Every provider that there is a key or an explicit URL for.

    Raises:
        BlockedError: a URL that is none, or a proxy of a kind that is not spoken.
    """
    found = {}
    for adapter, vendor in VENDORS.items():
        if adapter in keys or adapter in urls:
            base = _checked(urls.get(adapter, vendor), f"the upstream of {adapter}").rstrip("/")
            if "@" in urlsplit(base).netloc and adapter in keys:
                raise BlockedError(
                    f"the upstream of {adapter} has a login in its URL, and there is a key as well",
                    remedy="give one of the two",
                )
            proxy = proxy_for(base, network)
            counts = urlsplit(base).hostname == urlsplit(vendor).hostname
            found[adapter] = Upstream(adapter, base, keys.get(adapter, ""), proxy, counts)
    return found


def proxy_for(url: str, network: Mapping[str, str]) -> str | None:
    """The proxy that the environment names for a URL; the small spelling of a variable counts before the large one.

    Raises:
        BlockedError: it is no HTTP proxy.
    """
    parts = urlsplit(url)
    named = {name.lower(): value for name, value in sorted(network.items())}  # small letters sort last
    if _is_direct(parts.hostname or "", parts.port, named.get("no_proxy", "")):
        return None
    proxy = named.get(f"{parts.scheme}_proxy") or named.get("all_proxy")
    if not proxy:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    return _checked(proxy, f"the proxy for {parts.scheme}")


def _is_direct(host: str, port: int | None, listed: str) -> bool:
    """Whether NO_PROXY lists a host: itself, a domain above it, with or without its port, or `*`."""
    for entry in (part.strip().lower() for part in listed.split(",")):
        name, _, number = entry.removeprefix(".").partition(":")
        at = not number or number == str(port)
        if entry == "*" or (name and at and f".{host.lower()}".endswith(f".{name}")):
            return True
    return False


def _checked(url: str, what: str) -> str:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        sound = False
    if not sound:
        raise BlockedError(f"{what} is no http or https URL", remedy="correct the environment variable that names it")
    return url


def trust(network: Mapping[str, str]) -> ssl.SSLContext:
    """The system's certificates, and those of every file and folder that the environment names.

    Raises:
        BlockedError: a file that is missing or no certificate.
    """
    context = ssl.create_default_context()
    for name in _CA_NAMES:
        if file := network.get(name):
            try:
                context.load_verify_locations(cafile=file)
            except (OSError, ssl.SSLError) as error:
                raise BlockedError(f"{name}: {file} cannot be used: {error}") from error
    folder = network.get("SSL_CERT_DIR")
    if folder and Path(folder).is_dir():
        context.load_verify_locations(capath=folder)
    return context
