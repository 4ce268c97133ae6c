"""A virtual environment for one worktree: the repository's own packages, with everything that points at the checkout pointing there.

Whatever the build backend, an editable install is text in site-packages that names the checkout: a line of a .pth file, a finder
module, a link. The overlay has its own site-packages with those texts rewritten, its own console scripts, and a line that adds the
repository's site-packages without having its .pth files read. So child processes with an empty environment, `python -I` and tools
that start `sys.executable` import the worktree's code too, and whatever a set-up installs stays in the overlay.
"""

from __future__ import annotations

import functools
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from zwarm_ci.environment.base import Environment, Interpreter, inside, text_of
from zwarm_ci.environment.editables import is_path_line

_FIRST = "0000_zwarm_ci.pth"  # sorts before any other: site-packages came before its .pth lines
_MOST_SCRIPTS = 3_000  # a bin folder with more is a system's, not an environment's
_SCRIPT_BYTES = 64 * 1024
_PIP = "#!{}\nimport runpy\nrunpy.run_module('pip', run_name='__main__', alter_sys=True)\n"
#: How the .pth files of old namespace packages ask where they lie: in the repository's site-packages, not in the overlay's.
_SITEDIR = re.compile(r"""sys\._getframe\(\d+\)\.f_locals\[['"]sitedir['"]\]""")
_IMPORTED = re.compile(r"^[^\S\n]*import\s+([A-Za-z_][\w.]*)|[;\s]import\s+([A-Za-z_]\w*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Template:
    """What every overlay of one environment holds. Texts have the checkout's path and the interpreter's folder in them."""

    texts: tuple[tuple[str, str], ...]
    links: tuple[tuple[str, str], ...]
    metadata: tuple[Path, ...]
    scripts: tuple[tuple[str, str], ...]
    programs: tuple[tuple[str, Path], ...]


def overlay(env: Environment, tree: Path, folder: Path) -> Environment:
    """`env` as it is for `tree`: its interpreter and scripts in `folder`, which is made and must not exist yet.

    An environment without an interpreter comes back as it is, and so does one of `tree` being the checkout itself, unless packages
    of the repository are installed as copies: then their source is what counts there too.
    """
    found = env.interpreter
    if found is None or (tree.resolve() == env.top and not env.packages):
        return env
    template = _template(env)
    site = folder / "lib" / f"python{'.'.join(found.version.split('.')[:2])}" / "site-packages"
    site.mkdir(parents=True)
    binaries = folder / "bin"
    binaries.mkdir()
    _interpreter(found, folder, binaries)
    moved = _Moved(env.top, tree, found.prefix)
    (site / _FIRST).write_text("".join(f"{line}\n" for line in found.sites), encoding="utf-8")
    for name, text in template.texts:
        (site / name).write_text(moved.lines(text) if name.endswith(".pth") else moved.text(text), encoding="utf-8")
    for name, source in template.links:
        if (tree / source).exists():
            _link(site / name, tree / source, [rel for of, rel in env.extras if of == name], found)
    for source_folder in template.metadata:
        if not (tree / source_folder.relative_to(env.top)).exists():
            shutil.copytree(source_folder, site / source_folder.name, dirs_exist_ok=True)
    for name, text in template.scripts:
        script = binaries / name
        script.write_text(text.replace(f"{found.prefix}/bin/", f"{binaries}/"), encoding="utf-8")
        script.chmod(0o755)
    for name in ("pip", "pip3"):  # one from further along PATH would install into another environment
        if not (binaries / name).exists():
            (binaries / name).write_text(_PIP.format(binaries / "python"), encoding="utf-8")
            (binaries / name).chmod(0o755)
    for name, program in template.programs:
        if not (binaries / name).exists():
            (binaries / name).symlink_to(program)
    _strict_links(env, tree)
    path = (str(binaries), *(p for p in env.path if p != str(Path(env.python).parent)))
    return replace(env, python=str(binaries / "python"), path=path, mapped=(), interpreter=None)


def _link(target: Path, source: Path, extras: list[str], found: Interpreter) -> None:
    """`source` at `target`: one link; or, where an installed copy has more than the source, a folder of links to both."""
    if not extras:
        target.symlink_to(source)
        return
    copy = next(c for site in map(Path, found.sites) if (c := site / target.name).is_dir())
    both = {p.relative_to(source).as_posix(): p for p in source.rglob("*") if p.is_file()}
    for rel, file in {**{e: copy / e for e in extras}, **both}.items():
        (target / rel).parent.mkdir(parents=True, exist_ok=True)
        (target / rel).symlink_to(file)


def _interpreter(found: Interpreter, folder: Path, binaries: Path) -> None:
    home = Path(found.base).parent
    major, minor = found.version.split(".")[:2]
    for name in ("python", f"python{major}", f"python{major}.{minor}"):
        (binaries / name).symlink_to(found.base if name == "python" else "python")
    config = f"home = {home}\ninclude-system-site-packages = false\nversion = {found.version}\n"
    (folder / "pyvenv.cfg").write_text(config, encoding="utf-8")


@functools.lru_cache(maxsize=32)
def _template(env: Environment) -> _Template:
    found = env.interpreter
    assert found is not None  # overlay() asked
    texts: dict[str, str] = {}
    links = dict(env.packages)
    metadata: list[Path] = []
    for site in map(Path, found.sites):
        for file in sorted(site.glob("*.pth")):
            text = _absolute(site, text_of(file))
            text = repr(str(site)).join(_SITEDIR.split(text))
            texts.setdefault(file.name, text)
            for module in _modules_of(text):
                source = site / f"{module}.py"
                if source.is_file() and str(env.top) in (code := text_of(source)):
                    texts.setdefault(source.name, code)
        for entry in site.iterdir():
            if entry.is_symlink() and (rel := inside(env.top, entry, (found.prefix,))) is not None:
                links.setdefault(entry.name, rel)
    for rel in env.mapped:
        metadata += [*(env.top / rel).glob("*.egg-info"), *(env.top / rel).glob("*.dist-info")]
    scripts, programs = _programs(found)
    return _Template(
        tuple(texts.items()), tuple(links.items()), tuple(m for m in metadata if m.is_dir()), scripts, programs
    )


def _absolute(site: Path, text: str) -> str:
    """A .pth file's text with its folders absolute, so that it means the same elsewhere."""
    lines = (str(site / line.rstrip()) if is_path_line(line) else line for line in text.splitlines())
    return "\n".join(lines) + "\n"


def _modules_of(pth: str) -> Iterator[str]:
    for line in pth.splitlines():
        if line.startswith(("import ", "import\t")):
            for match in _IMPORTED.finditer(line):
                yield (match[1] or match[2]).split(".")[0]


def _programs(found: Interpreter) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, Path], ...]]:
    """Scripts that the interpreter runs, as text, and the other programs beside it."""
    scripts, programs = [], []
    folder = Path(found.prefix) / "bin"
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    if len(entries) > _MOST_SCRIPTS:
        return (), ()
    for entry in entries:
        name = entry.name.lower()
        if name.startswith(("python", "activate", "deactivate")) or entry.is_dir() or not entry.exists():
            continue
        if entry.stat().st_size <= _SCRIPT_BYTES and _starts_with(entry, b"#!"):
            text = text_of(entry)
            if f"{found.prefix}/bin/python" in text[:1024]:
                scripts.append((entry.name, text))
                continue
        if found.is_venv:
            programs.append((entry.name, entry))
    return tuple(scripts), tuple(programs)


def _starts_with(path: Path, head: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(head)) == head


@dataclass(frozen=True, slots=True)
class _Moved:
    """Rewrites what names the checkout so that it names the worktree; what lies in the environment itself stays."""

    top: Path
    tree: Path
    prefix: str

    def text(self, text: str) -> str:
        """Any text: a finder's source, an `import` line."""
        held = "\0zwarm\0"
        kept = text.replace(self.prefix, held) if Path(self.prefix).is_relative_to(self.top) else text
        end = r"(?=[/'\"\\\s;,)\]]|$)"
        return re.sub(re.escape(str(self.top)) + end, lambda _: str(self.tree), kept).replace(held, self.prefix)

    def lines(self, text: str) -> str:
        """A .pth file: each folder by what it really is, the rest as text."""
        made = []
        for line in text.splitlines():
            if not is_path_line(line):
                made.append(self.text(line))
                continue
            rel = inside(self.top, Path(line), (self.prefix,))
            made.append(line if rel is None else str(self.tree / rel))
        return "\n".join(made) + "\n"


def _strict_links(env: Environment, tree: Path) -> None:
    """Setuptools' strict editable installs: a folder of links to the sources, made again for `tree`."""
    for rel in env.mapped:
        source = env.top / rel
        if (tree / rel).exists() or not source.is_dir():
            continue
        for link in sorted(p for p in source.rglob("*") if not p.is_dir()):
            target = inside(env.top, link)
            if target is None or not (tree / target).is_file():
                continue
            made = tree / rel / link.relative_to(source)
            made.parent.mkdir(parents=True, exist_ok=True)
            made.symlink_to(tree / target)
