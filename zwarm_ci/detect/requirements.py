"""What pip must install so that a package's tests can run: requirement files, extras, dependency groups, hatch's environments."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zwarm_ci.detect.base import Tree, table

_FOR_TESTS = re.compile(r"^(tests?|testing|dev|devel|develop|development|ci|unit|pytest)$", re.IGNORECASE)
_FILE_FOR_TESTS = re.compile(
    r"^((requirements|reqs)[-_.]?(dev|devel|development|tests?|testing|ci)|(dev|tests?|testing)[-_](requirements|reqs))\.txt$",
    re.IGNORECASE,
)
_HATCH = ("hatch-test", "test", "tests", "default", "dev")
_NESTED = re.compile(r"^[^\S\n]*(?:-r|--requirement|-c|--constraint)[\s=]+(\S+)", re.MULTILINE)
#: What in pytest's settings needs which plugin; the pattern is looked for in `addopts` and the names of settings.
_PLUGINS = (
    (r"--(no-)?cov\b", "pytest-cov"),
    (r"(^|\s)(-n[\s=]?(\d|auto|logical)|--numprocesses|--dist[\s=])", "pytest-xdist"),
    (r"\basyncio_mode\b|--asyncio-mode", "pytest-asyncio"),
    (r"\banyio_mode\b", "anyio"),
    (r"(^|\s)--timeout\b|(^|\s)timeout\s*=|\btimeout_method\b", "pytest-timeout"),
    (r"--benchmark-|--codspeed", "pytest-benchmark"),
    (r"\bDJANGO_SETTINGS_MODULE\b|(^|\s)--(ds|reuse-db|nomigrations|no-migrations)\b|\bdjango_find_project\b", "pytest-django"),
    (r"--reruns\b", "pytest-rerunfailures"),
    (r"--random-order|\brandom_order\b", "pytest-random-order"),
    (r"--randomly-|-p\s*randomly", "pytest-randomly"),
    (r"(^|\s)--mypy\b", "pytest-mypy"),
    (r"(^|\s)--ruff\b", "pytest-ruff"),
    (r"(^|\s)--flake8\b", "pytest-flake8"),
    (r"(^|\s)--black\b", "pytest-black"),
    (r"--doctest-plus|\bdoctest_plus\b", "pytest-doctestplus"),
    (r"--hypothesis-", "hypothesis"),
    (r"(^|\s)--disable-socket\b|--allow-hosts", "pytest-socket"),
    (r"(^|\s)--snapshot-", "syrupy"),
    (r"\bmock_use_standalone_module\b", "pytest-mock"),
    (r"(^|\s)--html\b", "pytest-html"),
    (r"(^|\s)env\s*=|\benv_files\b", "pytest-env"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """The words after `pip install`, from the package's folder and from one below it (`{root}` = the way up), the files they read."""

    words: tuple[str, ...]
    from_below: tuple[str, ...]
    files: tuple[str, ...]
    why: str


def plan(tree: Tree) -> Plan | None:
    """What to install for the tests of a package folder; None where nothing there says it."""
    files = _files(tree)
    lines = [*_of_groups(tree), *_of_hatch(tree), *_of_others(tree)]
    extras = sorted(name for name in _extras(tree) if _FOR_TESTS.match(name))
    package = "." + (f"[{','.join(extras)}]" if extras else "")
    installable = _installable(tree)
    if not files and not lines and not installable:
        return None
    told = "\n".join((*(tree.text(f) for f in _with_nested(tree, files)), *lines, *_of_extras(tree, extras)))
    wanted = [p for p in ("pytest", *plugins(tree)) if not re.search(rf"(?<![\w-]){re.escape(p)}(?![\w-])", told)]
    lines += wanted if uses_pytest(tree) else []
    words = [w for f in files for w in ("-r", f)] + (["-e", package] if installable else []) + lines
    below = [w for f in files for w in ("-r", "{root}/" + f)] + (["-e", "{root}" + package[1:]] if installable else [])
    why = ", ".join(files) or tree.has("pyproject.toml", "setup.py")
    return Plan(
        tuple(dict.fromkeys(words) if not files else words), (*below, *lines), tuple(_with_nested(tree, files)), why
    )


def _files(tree: Tree) -> list[str]:
    """Requirement files, those for tests and development; the plain one with them where they do not name it."""
    names = sorted(p.name for p in tree.top.glob("*.txt") if _FILE_FOR_TESTS.match(p.name))
    names += sorted(
        f"{folder}/{p.name}"
        for folder in ("requirements", "reqs")
        for p in (tree.top / folder).glob("*.txt")
        if _FOR_TESTS.match(p.stem)
    )
    names += [n for n in ("tests/requirements.txt", "test/requirements.txt") if tree.has(n)]
    plain = tree.has("requirements.txt", "requirements/base.txt")
    if plain and plain not in _with_nested(tree, names):
        names.insert(0, plain)
    return names


def _with_nested(tree: Tree, files: Iterable[str]) -> list[str]:
    """The files and those that they include, relative to the tree's top."""
    found: dict[str, None] = {}
    todo = list(files)
    while todo:
        name = todo.pop(0)
        if name in found or not tree.has(name):
            continue
        found[name] = None
        folder = name.rpartition("/")[0]
        todo += [
            f"{folder}/{n}".lstrip("/") for n in _NESTED.findall(tree.text(name)) if not n.startswith(("/", "http"))
        ]
    return list(found)


def _installable(tree: Tree) -> bool:
    return "project" in tree.toml or "build-system" in tree.toml or bool(tree.has("setup.py"))


def _extras(tree: Tree) -> list[str]:
    ini = tree.ini("setup.cfg")
    of_ini = ini.options("options.extras_require") if ini.has_section("options.extras_require") else []
    poetry = table(tree.pyproject, "poetry", "extras")
    return [*table(tree.toml, "project", "optional-dependencies"), *of_ini, *poetry, *_of_setup_py(tree)]


def _of_extras(tree: Tree, names: Iterable[str]) -> list[str]:
    """The text of extras, as far as the settings have it."""
    project = table(tree.toml, "project", "optional-dependencies")
    ini, script = tree.ini("setup.cfg"), _of_setup_py(tree)
    return [
        text
        for name in names
        for text in (
            str(project.get(name, "")),
            ini.get("options.extras_require", name, fallback=""),
            script.get(name, ""),
        )
    ]


def _of_setup_py(tree: Tree) -> dict[str, str]:
    """The extras of a setup.py that writes them as a literal, each as text."""
    try:
        nodes = ast.walk(ast.parse(tree.text("setup.py")))
    except (SyntaxError, ValueError):
        return {}
    for node in nodes:
        if isinstance(node, ast.keyword) and node.arg == "extras_require" and isinstance(node.value, ast.Dict):
            pairs = zip(node.value.keys, node.value.values, strict=True)
            return {str(k.value): ast.unparse(v) for k, v in pairs if isinstance(k, ast.Constant)}
    return {}


def _of_groups(tree: Tree) -> list[str]:
    """The requirements of PEP 735 groups for tests, groups in groups included."""
    groups = table(tree.toml, "dependency-groups")

    def lines(name: str, seen: frozenset[str]) -> Iterator[str]:
        for entry in groups.get(name) or () if name not in seen else ():
            if isinstance(entry, str):
                yield entry
            elif isinstance(entry, dict):
                yield from lines(str(entry.get("include-group", "")), seen | {name})

    return list(dict.fromkeys(line for name in groups if _FOR_TESTS.match(name) for line in lines(name, frozenset())))


def _of_hatch(tree: Tree) -> list[str]:
    """The requirements of hatch's environments in which tests run."""
    environments = table(tree.pyproject, "hatch", "envs") or table(tree.toml_of("hatch.toml"), "envs")
    found = [table(environments, name) for name in _HATCH]
    return list(
        dict.fromkeys(str(d) for e in found for key in ("dependencies", "extra-dependencies") for d in e.get(key) or ())
    )


def _of_others(tree: Tree) -> list[str]:
    """The names in poetry's and pdm's own groups for tests; their ways of writing versions are not pip's."""
    poetry = table(tree.pyproject, "poetry")
    tables = [table(poetry, "dev-dependencies")]
    tables += [
        table(poetry, "group", name, "dependencies") for name in table(poetry, "group") if _FOR_TESTS.match(name)
    ]
    pdm = table(tree.pyproject, "pdm", "dev-dependencies")
    lines = [
        str(line) for name, group in pdm.items() if _FOR_TESTS.match(name) and isinstance(group, list) for line in group
    ]
    names = [name for entries in tables for name, value in entries.items() if not _is_path(value)]
    return list(dict.fromkeys((*names, *(line for line in lines if not line.startswith("-e")))))


def _is_path(value: Any) -> bool:
    return isinstance(value, dict) and not value.get("version")


def pytest_settings(tree: Tree) -> tuple[str, str]:
    """Where a folder's pytest settings stand, and their text; two times "" = there are none."""
    toml = tree.pyproject.get("pytest")
    if toml is not None:
        settings = {**table({"p": toml}, "p"), **table({"p": toml}, "p", "ini_options")}
        return "[tool.pytest] in pyproject.toml", "\n".join(f"{k} = {_flat(v)}" for k, v in settings.items())
    if name := tree.has("pytest.ini", ".pytest.ini", "pytest.toml"):
        return name, tree.text(name)
    for name, section in (("tox.ini", "pytest"), ("setup.cfg", "tool:pytest")):
        if where := tree.section(name, section):
            return where, "\n".join(f"{k} = {v}" for k, v in tree.ini(name).items(section))
    return "", ""


def _flat(value: Any) -> str:
    return " ".join(shlex.quote(str(v)) for v in value) if isinstance(value, list) else str(value)


def uses_pytest(tree: Tree) -> bool:
    """Whether the tests of a folder are written for pytest, by its settings or by what they import."""
    if pytest_settings(tree)[0] or tree.has("conftest.py", "tests/conftest.py", "test/conftest.py"):
        return True
    files = list(tree.test_files())
    texts = (p.read_text(encoding="utf-8", errors="replace") for p in files)
    return bool(files) and not any(
        re.search(r"^[^\S\n]*(import|from) unittest\b", text, re.MULTILINE) for text in texts
    )


def plugins(tree: Tree) -> tuple[str, ...]:
    """Distributions of the pytest plugins that a folder's pytest settings need."""
    text = pytest_settings(tree)[1]
    named = re.search(r"^required_plugins\s*=\s*(.*(?:\n\s+.*)*)", text, re.MULTILINE)
    asked = (
        re.findall(r"[A-Za-z][\w.-]*(?=[\s<>=!~,]|$)", re.sub(r"[<>=!~]=?\s*[\d.*]+", " ", named[1])) if named else []
    )
    found = [plugin for pattern, plugin in _PLUGINS if re.search(pattern, text, re.MULTILINE)]
    return tuple(dict.fromkeys((*asked, *found)))


def is_installed(distribution: str, sites: Iterable[str]) -> bool:
    """Whether one of an environment's package folders has a distribution."""
    name = re.sub(r"[-_.]+", "_", distribution).lower()
    return any(
        re.sub(r"[-.]+", "_", p.name.split("-")[0]).lower() == name
        for site in sites
        for kind in ("*.dist-info", "*.egg-info")
        for p in Path(site).glob(kind)
    )
