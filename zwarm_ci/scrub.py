"""What a child may see and what may leave: environment by allow-list, secrets out of text, text made harmless.

Nothing here decides whether something is true; it only takes things away.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping

#: Names every child gets, where set. Locale, paths and interpreter selection; nothing that carries a credential.
ALLOWED_ENV = frozenset(
    "PATH HOME USER LOGNAME SHELL LANG LANGUAGE TERM TZ TMPDIR TEMP TMP VIRTUAL_ENV CONDA_PREFIX PYENV_ROOT PYENV_VERSION "
    "NVM_DIR CARGO_HOME RUSTUP_HOME GOPATH GOROOT GOCACHE GOMODCACHE GOFLAGS JAVA_HOME CI GITHUB_ACTIONS RUNNER_OS RUNNER_ARCH "
    "RUNNER_TRACKING_ID XDG_CACHE_HOME LD_LIBRARY_PATH NODE_PATH COLUMNS NO_COLOR FORCE_COLOR SSL_CERT_FILE SSL_CERT_DIR "
    "REQUESTS_CA_BUNDLE SYSTEMROOT".split()
)
_ALLOWED_PREFIXES = ("LC_",)

#: Formats that are secrets by their look, whoever issued them (prefixes as the vendors document them).
_SECRET_SHAPES = re.compile(
    r"""
    gh[pousr]_[A-Za-z0-9]{20,} | github_pat_[A-Za-z0-9_]{20,} | gl(?:pat|rt|dt|cbt|ptt|soat)-[A-Za-z0-9_-]{20,}
    | \bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{20,} | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b | xox[abeprs]-[A-Za-z0-9-]{10,} | xapp-\d-[A-Za-z0-9-]{20,}
    | AIza[0-9A-Za-z_-]{35} | GOCSPX-[0-9A-Za-z_-]{20,} | \bya29\.[0-9A-Za-z_-]{30,} | npm_[A-Za-z0-9]{30,} | pypi-[A-Za-z0-9_-]{40,}
    | \b[sr]k_live_[0-9A-Za-z]{16,} | \bwhsec_[0-9A-Za-z+/]{24,} | \bSG\.[\w-]{16,}\.[\w-]{30,} | \bhf_[A-Za-z]{30,} | \bgsk_[A-Za-z0-9]{40,}
    | dckr_pat_[\w-]{20,} | \bdo[opr]_v1_[0-9a-f]{40,} | \bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32} | \bsq0(?:atp|csp)-[\w-]{20,}
    | \bhvs\.[\w-]{24,} | \b[\w-]{14}\.atlasv1\.[\w-]{60,} | \brubygems_[0-9a-f]{48} | \bglsa_[\w]{32,} | \bNRAK-[A-Z0-9]{27} | \bdapi[0-9a-f]{32}\b
    | \bsntry[su]_[\w+/=-]{40,} | \bATATT3[\w=-]{100,} | \bATBB[A-Za-z0-9]{24,} | \blin_api_[A-Za-z0-9]{40} | \bfigd_[\w-]{40} | \bsbp_[0-9a-f]{40}
    | \bpscale_(?:tkn|pw)_[\w-]{32,}
    | \bdp\.(?:pt|st|sa)\.[\w.-]{40,} | \bAGE-SECRET-KEY-1[0-9A-Z]{58} | \br8_[A-Za-z0-9]{37}
    | \bxai-[A-Za-z0-9]{60,}
    | hooks\.slack\.com/services/T\w{8,}/B\w{8,}/\w{20,} | discord(?:app)?\.com/api/webhooks/\d{15,}/[\w-]{60,} | \b\d{8,10}:AA[\w-]{33}\b
    | \bAccountKey=[A-Za-z0-9+/]{80,}==
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----[\s\S]*?(?:-----END\ [A-Z ]*PRIVATE\ KEY-----|\Z)
    """,
    re.VERBOSE,
)
#: Name and password in a URL. Masked only: test settings are full of `postgres:postgres@`, which no patch is refused for.
_URL_LOGIN = re.compile(r"(?<=://)[^\s/:@]{0,100}:[^\s/@]{3,200}(?=@)")
_SECRET_NAME = re.compile(r"(TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|CREDENTIAL|PRIVATE_?KEY)", re.IGNORECASE)
_EXAMPLE = re.compile(
    r"EXAMPLE|(?i:example|fake|dummy|placeholder|redacted|changeme|your[_-]|xxxx|notreal|not-real|sample)|\.\.\."
)
_ASSIGNED = re.compile(
    r"(?P<name>\b[\w.\-]{0,60}(?:secret|token|passw(?:or)?d|passwd|api[_-]?key|private[_-]?key|credential|auth[_-]?key"
    r"|access[_-]?key)[\w.\-]{0,40})"
    r"[\"'\]]{0,3}\s{0,8}(?::=|=>|[:=])\s{0,8}[\"'`](?P<value>[A-Za-z0-9+/=_\-.]{20,200})[\"'`]",
    re.IGNORECASE,
)
_NO_SECRET = re.compile(
    r"hash|digest|sha\d|md5|checksum|integrity|fingerprint|public|tokeniz|_id$|url|uri|path|file|name|regex"
    r"|pattern|type",
    re.IGNORECASE,
)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SECRET_FILE = re.compile(
    r"(^|/)(\.env(\..+)?|\.envrc|\.netrc|\.npmrc|\.pypirc|id_(rsa|dsa|ecdsa|ed25519)|credentials(\.json)?|secrets?\.(json|ya?ml|toml)"
    r"|[^/]+\.(pem|key|p12|pfx|keystore))$",
    re.IGNORECASE,
)
_SAFE_ENV_FILE = re.compile(r"(^|/)\.env\.(example|sample|template|dist)$", re.IGNORECASE)
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")
MASK = "***"


def child_env(extra: Mapping[str, str] | None = None, *, names: Iterable[str] = ()) -> dict[str, str]:
    """The environment for a child: the allow-list, the `names` asked for, then `extra`.

    Git's own variables (a hook sets GIT_DIR and GIT_INDEX_FILE) are on no list, so no child acts on another repository.
    """
    wanted = ALLOWED_ENV | frozenset(names)
    env = {k: v for k, v in os.environ.items() if k in wanted or k.startswith(_ALLOWED_PREFIXES)}
    env.update(extra or {})
    return env


def secret_values(names: Iterable[str] = ()) -> tuple[str, ...]:
    """Values in our environment that must never be printed: those with a secret's name, and of `names`; longest first."""
    asked = frozenset(names)
    found = {v for k, v in os.environ.items() if len(v) >= 8 and (k in asked or _SECRET_NAME.search(k))}
    return tuple(sorted(found, key=len, reverse=True))


_concealed: set[str] = set()


def conceal(names: Iterable[str]) -> None:
    """From now on mask the values of these variables of our environment: a check was given them, nobody else is."""
    _concealed.update(secret_values(names))


def conceal_values(values: Iterable[str]) -> None:
    """From now on mask these values: they stand in a file that is a secret. Shorter than 8 characters is no secret."""
    _concealed.update(v for v in values if len(v) >= 8)


def concealed() -> frozenset[str]:
    """What is masked because a check was given it; a patch must not contain it."""
    return frozenset(_concealed)


def redactor(values: Iterable[str] = ()) -> Callable[[str], str]:
    """`redact` with the secrets of our environment looked up once, for a report of thousands of strings."""
    known = sorted(
        {*values, *_concealed, *secret_values()} - {""}, key=lambda v: (-len(v), v)
    )  # a secret may be a part of a longer one

    def mask(text: str) -> str:
        for value in known:
            text = text.replace(value, MASK)
        return _URL_LOGIN.sub(MASK, _SECRET_SHAPES.sub(MASK, text))

    return mask


def redact(text: str, values: Iterable[str] = ()) -> str:
    """`text` with the given values, our environment's secrets and anything that looks like a token masked."""
    return redactor(values)(text)


def without_login(url: str) -> str:
    """A URL without user and password."""
    return re.sub(r"^([a-zA-Z][\w+.-]*://)[^/@]*@", r"\1", url)


def find_secrets(text: str) -> list[str]:
    """Token-shaped strings in `text`, each shortened so that the finding does not repeat the secret."""
    found = [m.group(0) for m in _SECRET_SHAPES.finditer(text)]
    return [f"{token[:6]}…" for token in found if not _EXAMPLE.search(token) and len(set(token[8:])) > 2]


def guessed_secrets(text: str) -> list[str]:
    """Names to which `text` assigns what looks random: perhaps a credential of no known form. Hashes, ids and examples are none."""
    found = _ASSIGNED.finditer(text[:4000])
    return [
        m["name"][:40]
        for m in found
        if not _NO_SECRET.search(m["name"]) and not _EXAMPLE.search(m["value"]) and _random(m["value"])
    ]


def _random(value: str) -> bool:
    """Whether a value has the entropy of a key (bits a character, measured on keys of vendors: 3.6 and more) and their mix of characters."""
    counts = [value.count(c) / len(value) for c in set(value)]
    bits = -sum(share * math.log2(share) for share in counts)
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return mixed and bits >= (3.2 if re.fullmatch(r"[0-9a-fA-F]+", value) else 3.7) and not _UUID.fullmatch(value)


def names_a_secret(name: str) -> bool:
    """Whether a variable of this name is by convention a secret."""
    return bool(_SECRET_NAME.search(name))


def is_secret_path(path: str) -> bool:
    """Whether a file of this name is by convention a secret (`.env`, private keys, `.netrc`)."""
    return bool(_SECRET_FILE.search(path)) and not _SAFE_ENV_FILE.search(path)


def plain(text: str) -> str:
    """`text` without terminal escapes, control and invisible characters; newlines and tabs stay."""
    text = _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _INVISIBLE.sub("", _CONTROLS.sub("", text))


def one_line(text: str, limit: int = 200) -> str:
    """`text` as one printable line of at most `limit` characters."""
    flat = " ".join(plain(text).split())
    if not flat.isprintable():  # characters that this Python's Unicode does not know yet
        flat = "".join(c if c.isprintable() else "\ufffd" for c in flat)
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def decode(data: bytes) -> str:
    """Bytes of any origin as text; what is not UTF-8 becomes U+FFFD."""
    return data.decode("utf-8", "replace")


def markdown(text: str) -> str:
    """`text` safe inside a Markdown table cell or list: no markup, mention, HTML or workflow command survives."""
    flat = one_line(redact(plain(text)), 400)
    escaped = re.sub(r"([\\`*_{}\[\]<>|#!~])", r"\\\1", flat)
    return escaped.replace("@", "@\u2060").replace("::", ":\u2060:")


def fenced(text: str, language: str = "") -> str:
    """`text` in a Markdown fence longer than any run of backticks inside it, with workflow commands broken."""
    return fence(re.sub(r"^(\s*)::", "\\1:\u2060:", redact(plain(text)), flags=re.MULTILINE), language) + "\n"


def fence(text: str, language: str = "") -> str:
    """`text`, as it is, in a Markdown fence longer than any run of backticks inside it; no line break at its end."""
    longest = max((len(m) for m in re.findall(r"`+", text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}"
