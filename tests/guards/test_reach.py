"""What a patch may not reach: git's own files, links, colliding and speaking names, invisible text, binaries, sizes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guards.support import Tree, found, patch_of, patches_of
from zwarm_ci.verify.guards.base import Guard, Rules
from zwarm_ci.verify.guards.gitfiles import GitFiles, is_git
from zwarm_ci.verify.guards.modes import Modes
from zwarm_ci.verify.guards.names import Names
from zwarm_ci.verify.guards.size import Size
from zwarm_ci.verify.guards.unicode import Unicode

LINK = "120000"


@pytest.mark.parametrize(
    "part", [".git", ".GIT", "git~1", ".git ", ".git.", ".g\u200cit", ".git::$INDEX_ALLOCATION", "gi7eba~1"]
)
def test_git_by_any_spelling(part: str) -> None:
    assert is_git(part)


@pytest.mark.parametrize("part", [".github", ".gitignore", "git", "legit", ".gitmodules", "digit~1"])
def test_other_names_are_not_git(part: str) -> None:
    assert not is_git(part)


def test_addresses_that_git_runs_and_bare_repositories(tmp_path: Path) -> None:
    steps: list[tuple[Tree, Tree]] = [
        ({}, {".gitmodules": text})
        for text in (
            '[submodule "a"]\n\tpath = a\n\tupdate = !touch x\n',
            "[submodule]\n\turl = ext::sh -c x\n",
            "[submodule]\n\turl = -u./x\n\tpath = ../..\n",
        )
    ]
    steps.append(({}, {"x/HEAD": "ref: x\n", "x/config": "[core]\n", "x/refs/a": "x"}))
    assert [{f[0] for f in found(GitFiles(), p)} for p in patches_of(tmp_path, steps)] == [{"refuse"}] * 4
    plain = {".gitmodules": '[submodule "a"]\n\tpath = a\n\turl = https://example.org/a.git\n', "x/HEAD": "x"}
    assert found(GitFiles(), patch_of(tmp_path, {}, plain)) == []


def test_links_and_paths_through_them(tmp_path: Path) -> None:
    modes = dict.fromkeys(("out", "in", "up", "dot"), LINK)
    step = ({"a/x": ""}, {"a/x": "", "out": "/etc/passwd", "in": "a/x", "up": "a/../../b", "dot": "a/../.git/config"})
    strict, loose = (patches_of(tmp_path, [step], Rules(strict=s), modes=modes)[0] for s in (True, False))
    assert found(Modes(), strict) == [
        ("refuse", "dot", None),
        ("review", "in", None),
        ("refuse", "out", None),
        ("refuse", "up", None),
    ]
    assert [f[1] for f in found(Modes(), loose)] == ["dot", "out", "up"]
    through = patch_of(tmp_path, {"l": "/tmp"}, {"l/x": "1"}, modes={"l": LINK})
    assert ("refuse", "l/x", None) in found(Modes(), through)


def test_modes_and_submodules(tmp_path: Path) -> None:
    changed = patches_of(tmp_path, [({"a": "x"}, {"a": "x"})], modes={"a": "100755"})[0]
    assert found(Modes(), changed) == []
    collide = patch_of(tmp_path, {"Read/a": "1"}, {"Read/a": "1", "read/b": "2"})
    assert found(Modes(), collide) == [("refuse", "read/b", None)]


@pytest.mark.parametrize(
    "path",
    ["a\nb", "::set-output name=x::y", "-rf", "a/-x", "con.txt", "a/NUL", "a\\b", "$(x)",
     "a;b", "a`b`", "\u202egpj.exe", "a\u200bb", "a:b", "a ", "##[command]x", b"a\xff".decode("utf-8", "surrogateescape")],
)  # fmt: skip
def test_a_name_that_does_something_is_refused(tmp_path: Path, path: str) -> None:
    assert [f[0] for f in found(Names(), patch_of(tmp_path, {}, {path: "x"}))] == ["refuse"]


def test_plain_names_pass(tmp_path: Path) -> None:
    names = [
        "a.py",
        "dir/file-name_1.test.js",
        "käse/日本.txt",
        "[slug].tsx",
        "(group)/page.tsx",
        "@scope/x",
        "a+b",
        "console.py",
        "a,b~",
    ]
    assert found(Names(), patch_of(tmp_path, {}, dict.fromkeys(names, "x"))) == []


def test_text_that_reads_otherwise(tmp_path: Path) -> None:
    bad = [
        "x = 1 \u202e# y\n",
        "if a\u200b:\n",
        "x = '\U000e0041'\n",
        "pаypal = 1\n",
        "ｅｖａｌ = 1\n",
        "a\u3164 = 1\n",
    ]
    for patch in patches_of(tmp_path, [({}, {"a.py": text}) for text in bad]):
        assert {f[0] for f in found(Unicode(), patch)} == {"refuse"}, patch.new("a.py")
    good = ["x = 'käse 日本 👩\u200d👧'\n", "\ufeffx = 1\n", "имя = 1\n", "μ = Δx = 2\n", "x = '\u202f'\n"]
    for patch in patches_of(tmp_path, [({}, {"a.py": text}) for text in good]):
        assert found(Unicode(), patch) == [], patch.new("a.py")
    moved = patch_of(tmp_path, {"a.py": "x = '\u202e'\n"}, {"b.py": "x = '\u202e'\n"})
    assert found(Unicode(), moved) == []
    people = patch_of(
        tmp_path, {}, {"locale/he.po": "\u202b\u202c", "tests/x.py": "'\u202e'", "a.md": "\u200b"}, Rules(strict=False)
    )
    assert found(Unicode(), people) == []


def test_programs_and_sizes(tmp_path: Path) -> None:
    step: tuple[Tree, Tree] = (
        {},
        {"a.so": b"\x7fELF\0\0", "b.pyc": b"\0\1", "p.png": b"\x89PNG\0", "c.py": b"x\0", "d.js": "x" * 6000},
    )
    strict, loose = (patches_of(tmp_path, [step], Rules(strict=s))[0] for s in (True, False))
    assert {f[1]: f[0] for f in found(Size(), strict)} == {
        "a.so": "refuse",
        "b.pyc": "refuse",
        "c.py": "refuse",
        "d.js": "review",
    }
    assert {f[1] for f in found(Size(), loose)} == {"a.so", "b.pyc"}
    many: Tree = {f"locale/{n}.po": "x\n" * 99 for n in range(41)}
    assert [len(found(Size(), patches_of(tmp_path, [({}, many)], Rules(strict=s))[0])) for s in (True, False)] == [2, 0]


@pytest.mark.parametrize("guard", [GitFiles(), Modes(), Names(), Unicode(), Size()], ids=lambda g: g.name)
def test_no_content_makes_it_raise(tmp_path: Path, guard: Guard) -> None:
    odd = {
        "a.py": b"\xff\x00\xed\xa0\x80" * 99,
        ".gitmodules": b"\x00\xff\n",
        "l\x01": b"\x00",
        "x.txt": b"x" * 2_000_000,
    }
    found(guard, patch_of(tmp_path, {}, odd, modes={"l\x01": LINK}))
