"""What a repository says that it depends on: distributions of its Python manifests, packages of its package.json files."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zwarm_ci.diagnose.base import Sources
from zwarm_ci.protected import is_test

#: Modules whose distribution has another name.
_DISTRIBUTIONS = {
    "yaml": "pyyaml", "PIL": "pillow", "cv2": "opencv-python", "bs4": "beautifulsoup4", "sklearn": "scikit-learn", "dateutil": "python-dateutil",
    "dotenv": "python-dotenv", "jose": "python-jose", "git": "gitpython", "github": "pygithub", "serial": "pyserial", "usb": "pyusb",
    "MySQLdb": "mysqlclient", "psycopg2": "psycopg2-binary", "attr": "attrs", "jwt": "pyjwt", "OpenSSL": "pyopenssl", "Crypto": "pycryptodome",
    "docx": "python-docx", "pptx": "python-pptx", "slugify": "python-slugify", "magic": "python-magic", "environ": "django-environ",
    "rest_framework": "djangorestframework", "skimage": "scikit-image", "websocket": "websocket-client", "zmq": "pyzmq", "ldap": "python-ldap",
    "pkg_resources": "setuptools", "fitz": "pymupdf", "grpc": "grpcio", "multipart": "python-multipart",
}  # fmt: skip
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*(?:$|[<>=!~;@,#(])", re.MULTILINE)
_QUOTED = re.compile(r"[\"']([^\"'\n]+)[\"']")
_IN_SETUP = re.compile(
    r"(?:install_requires|tests_require|extras_require|setup_requires)\s*=\s*([\[{].*?[\]}])\s*,?\s*\n", re.DOTALL
)
_IN_SESSIONS = re.compile(r"\binstall\(([^)]*)\)")
#: Lists of ini files: an indented block after the key, or a section of such.
_IN_INI = re.compile(
    r"^(?:install_requires|tests_require|setup_requires|deps|requires)\s*=([^\n]*(?:\n[ \t]+[^\n]*)*)", re.MULTILINE
)
_EXTRAS_IN_INI = re.compile(r"^\[options\.extras_require\]\n((?:[^\[\n][^\n]*\n?|\n)*)", re.MULTILINE)
_IN_CONDA = re.compile(r"^[^\S\n]*-\s*([A-Za-z0-9][\w.-]*)\s*(?:$|[<>=!~#])", re.MULTILINE)


def declares(name: str, sources: Sources) -> str:
    """Who says that a Python module is needed, as a clause; "" = only the line that failed."""
    names = {normal(name), normal(_DISTRIBUTIONS.get(name, name))}
    for file, found in _declared(sources):
        if names & {normal(distribution) for distribution in found}:
            return f"{file} declares it"
    imports = re.compile(rf"^[^\S\n]*(?:import|from)\s+{re.escape(name)}\b", re.MULTILINE)
    test = next((path for path in sources.holding(name) if is_test(path) and imports.search(sources.text(path))), "")
    return f"{test} imports it" if test else ""


def normal(name: str) -> str:
    """A distribution's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _declared(sources: Sources) -> Iterator[tuple[str, set[str]]]:
    for file in ("pyproject.toml", "Pipfile"):
        try:
            yield file, set(_in_toml(tomllib.loads(sources.text(file)), under=file == "Pipfile"))
        except (tomllib.TOMLDecodeError, RecursionError):
            continue
    blocks = {
        "setup.py": "\n".join(m for part in _IN_SETUP.findall(sources.text("setup.py")) for m in _QUOTED.findall(part)),
        "noxfile.py": "\n".join(
            m for part in _IN_SESSIONS.findall(sources.text("noxfile.py")) for m in _QUOTED.findall(part)
        ),
        "setup.cfg": "\n".join(
            [
                *_IN_INI.findall(sources.text("setup.cfg")),
                *(e.partition("=")[2] for e in _EXTRAS_IN_INI.findall(sources.text("setup.cfg"))),
            ]
        ),
        "tox.ini": re.sub(
            r"^[^\S\n]*[\w{},.-]+:", "", "\n".join(_IN_INI.findall(sources.text("tox.ini"))), flags=re.MULTILINE
        ),
    }
    files = [*sources.tree.glob("*requirements*.txt"), *sources.tree.glob("requirements/*.txt")]
    blocks |= {
        file.relative_to(sources.tree).as_posix(): sources.text(file.relative_to(sources.tree).as_posix())
        for file in sorted(files)
    }
    for file, text in blocks.items():
        yield file, {match[1] for line in text.splitlines() if (match := _REQUIREMENT.match(line))}
    yield "environment.yml", set(_IN_CONDA.findall(sources.text("environment.yml")))


def _in_toml(data: Any, *, under: bool) -> Iterator[str]:
    """Requirements in lists and tables whose key, or one above it, speaks of dependencies."""
    if isinstance(data, dict):
        for key, value in data.items():
            here = under or bool(re.search(r"dependenc|requires$|packages$", str(key)))
            if here and isinstance(value, str | dict) and not isinstance(data.get("version"), str):
                yield str(key)  # poetry's and pipenv's `name = "^1"`
            yield from _in_toml(value, under=here)
    elif isinstance(data, list) and under:
        yield from (match[1] for entry in data if isinstance(entry, str) and (match := _REQUIREMENT.match(entry)))


def depends(package: str, sources: Sources) -> str:
    """Who says that an npm package is needed, as a clause; "" = nobody, or it is one of the tree's own."""
    found = ""
    for path, manifest in _package_files(sources.tree):
        if manifest.get("name") == package:
            return ""
        sections = [
            manifest.get(key) for key in ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies")
        ]
        if any(isinstance(section, dict) and package in section for section in sections):
            found = found or f"{path} declares it"
    return found


def _package_files(tree: Path) -> Iterator[tuple[str, dict[str, object]]]:
    for pattern in ("package.json", "*/package.json", "*/*/package.json"):
        for file in sorted(tree.glob(pattern)):
            if "node_modules" not in file.parts:
                try:
                    data = json.loads(file.read_text(encoding="utf-8", errors="replace"))
                except (OSError, ValueError, RecursionError):
                    continue
                if isinstance(data, dict):
                    yield file.relative_to(tree).as_posix(), data
