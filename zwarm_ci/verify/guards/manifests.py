"""Settings files as facts: what pytest is told, which sections of a manifest changed, which scripts run checks.

Parsers of the standard library; what does not parse is said by raising `UnreadableError`, never passed over.
"""

from __future__ import annotations

import configparser
import json
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

#: Where pytest looks for its settings, the first that has any wins.
PYTEST_FILES = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
_NEUTRAL = frozenset(
    "version description classifiers authors maintainers readme license license-files keywords urls author contributors "
    "homepage repository bugs funding "
    "long_description long_description_content_type author_email url license_files maintainer maintainer_email project_urls "
    "download_url private name".split()
)
_NEEDS = frozenset(
    "dependencies optional-dependencies dev-dependencies dependency-groups requires requires-python devDependencies "
    "peerDependencies optionalDependencies bundledDependencies "
    "peerDependenciesMeta resolutions overrides engines packageManager install_requires extras_require python_requires group "
    "extras sources build-dependencies "
    "workspace volta".split()
)
_SELECTS = re.compile(
    r"^(?:-k|-m|--deselect|--ignore|--ignore-glob|-p|-W|--collect-only|--co|--setup-only|--noconftest|--confcutdir|-c|-o"
    r"|--override-ini|--rootdir|--lf|--sw|--stepwise|--last-failed"
    r"|--continue-on-collection-errors|--runxfail|--suppress-no-test-exit-code|--maxfail|--timeout-method)"
)
_HOLDS = re.compile(r"^(?:--strict\S*|--doctest\S*|-Werror\S*|error\S*|--xfail-strict|--runslow|--run\S+)$")


class UnreadableError(ValueError):
    """A settings file that its own format's parser does not take."""


def table(path: str, text: str) -> Mapping[str, object]:
    """A settings file as nested tables; empty where there is none.

    Raises:
        UnreadableError: it does not parse.
    """
    if not text.strip():
        return {}
    suffix = PurePosixPath(path).suffix
    try:
        if suffix == ".toml" or path.endswith(("Pipfile", "Cargo.lock", "poetry.lock")):
            return tomllib.loads(text)
        if suffix == ".json":
            found = json.loads(text)
            return found if isinstance(found, dict) else {"": found}
        parser = configparser.RawConfigParser(strict=False, allow_no_value=True, delimiters=("=", ":"))
        parser.read_string(text.replace("\x00", ""))
        return {section: dict(parser.items(section)) for section in parser.sections()}
    except (ValueError, configparser.Error, RecursionError) as wrong:
        raise UnreadableError(f"{path} does not parse: {str(wrong).splitlines()[0][:120]}") from wrong


def inside(found: object, *keys: str) -> Mapping[str, object]:
    """A nested table; empty where there is none."""
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def changed_keys(old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[tuple[str, ...]]:
    """Dotted keys (up to three deep) whose values differ."""
    for key in dict.fromkeys([*old, *new]):
        one, two = old.get(key), new.get(key)
        if one == two:
            continue
        if isinstance(one, Mapping | None) and isinstance(two, Mapping | None) and (one or two):
            yield from ((key, *rest) for rest in changed_keys(one or {}, two or {}))
        else:
            yield (key,)


def is_neutral(keys: tuple[str, ...]) -> bool:
    """Whether a changed key of a manifest says something of the project only, and nothing of how it is checked."""
    if (
        keys[0] == "tool"
        and len(keys) > 2
        and keys[1] not in {"poetry", "pdm", "flit", "bumpversion", "commitizen", "towncrier", "uv"}
    ):
        return False
    return any(key in _NEUTRAL for key in keys[:3]) and "scripts" not in keys and "tasks" not in keys


def is_need(keys: tuple[str, ...]) -> bool:
    """Whether a changed key of a manifest names what the project needs."""
    return any(key in _NEEDS or key.endswith("ependencies") for key in keys[:4]) and "scripts" not in keys


def pytest_options(texts: Mapping[str, str]) -> dict[str, str]:
    """What pytest is told by the settings files of one folder: name -> value as text, of the first file that has a section.

    Raises:
        UnreadableError: a file does not parse.
    """
    for name in PYTEST_FILES:
        text = texts.get(name, "")
        if not text.strip() and name not in {"pytest.ini", ".pytest.ini"}:
            continue
        if name in texts and (found := _section(name, text)) is not None:
            return {key: _flat(value) for key, value in found.items()}
    return {}


def _section(name: str, text: str) -> Mapping[str, object] | None:
    parsed = table(name, text)
    if name.endswith(("pytest.toml", "pytest.ini")):
        found = inside(parsed, "pytest")
        return found or ({} if text or name.endswith("ini") else None)
    if name == "pyproject.toml":
        own = inside(parsed, "tool", "pytest")
        return inside(own, "ini_options") or own or None
    return inside(parsed, "pytest" if name == "tox.ini" else "tool:pytest") or None


def _flat(value: object) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value or "")


def loosened(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    """How new pytest options let less count than the old ones."""
    before, after = _words(old.get("addopts", "")), _words(new.get("addopts", ""))
    if more := [w for w in after if _SELECTS.match(w) and w not in before]:
        yield f"addopts now says {more[0]}"
    elif any(_SELECTS.match(w) for w in after) and [w for w in after if not w.startswith("-")] != [
        w for w in before if not w.startswith("-")
    ]:
        yield "addopts selects other tests"
    if less := [w for w in before if _HOLDS.match(w) and w not in after]:
        yield f"addopts no longer says {less[0]}"
    for key in ("testpaths", "python_files", "python_classes", "python_functions", "usefixtures", "required_plugins"):
        had, has = old.get(key, "").split(), new.get(key, "").split()
        if (lost := [w for w in had if w not in has]) or (has and not had and key != "required_plugins"):
            yield f"{key} {'no longer names ' + lost[0] if lost else 'is now ' + ' '.join(has)}"
    for key in ("norecursedirs", "collect_ignore", "doctest_optionflags", "pythonpath", "plugins", "p"):
        fresh = [w for w in new.get(key, "").split() if w not in old.get(key, "").split()]
        if fresh := [
            w for w in fresh if key != "norecursedirs" or not re.match(r"^\.|.*(?:venv|build|dist|egg|node_modules)", w)
        ]:
            yield f"{key} now names {fresh[0]}"
    had, has = (_lines(options.get("filterwarnings", "")) for options in (old, new))
    if any(line == "error" or line.startswith("error::") for line in had if line not in has):
        yield "filterwarnings no longer makes warnings errors"
    if any(line in {"ignore", "default", "ignore::Warning", "ignore::Exception"} for line in has if line not in had):
        yield "filterwarnings now ignores every warning"
    for key in ("xfail_strict", "strict", "strict_config", "strict_markers", "empty_parameter_set_mark"):
        if old.get(key, "").lower() in {"true", "1", "yes", "fail_at_collect"} and old.get(key) != new.get(key):
            yield f"{key} is no longer {old[key]}"


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text.replace("\n", " "))
    except ValueError:
        return text.split()


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]
