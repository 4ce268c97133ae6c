"""JavaScript's checks: the test scripts of one package or of each in a workspace, TypeScript, ESLint."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from zwarm_ci.detect import packagers
from zwarm_ci.detect.base import EnvOf, Found, Tree
from zwarm_ci.detect.kinds import needs_shell
from zwarm_ci.detect.managers import Manager
from zwarm_ci.detect.workspaces import Package, packages, slug
from zwarm_ci.environment.node import copies_of_own
from zwarm_ci.task import Check, Kind

#: Runners that checks of kind junit watch by themselves, and the program in node_modules/.bin.
_RUNNERS = {"vitest": "vitest", "jest": "jest", "mocha": "mocha", "react-scripts": "react-scripts"}
_RUNNER = re.compile(r"(?:^|[\s/&|;])(vitest|jest|mocha|react-scripts(?= test))(?=$|[\s&|;])")
_NODE = re.compile(r"(?:^|[\s/&|;])(?:node|tsx)\b[^&|;]*\s--test(?:$|[\s&|;=])")
_BUN = re.compile(r"^bun test\b")
#: A script that hands on to the scripts of the workspace's packages.
_EVERYTHING = re.compile(
    r"\b(turbo|lerna|wsrun|rush|moon|lage|ultra)\b|\bnx\s+(run-many|affected|run)|\s(-ws|--workspaces|-w|--workspace|--filter|-F)\b"
    r"|\bpnpm\b.*\s(-r|--recursive)\b|\bpnpm recursive\b|\byarn workspaces?\b|\bbun\b.*--filter"
)
_NOTHING = re.compile(
    r"no test specified|^\s*(echo\b[^&|;]*|exit 0|true|:)\s*$"
)  # what `npm init` writes, and its like
_LINTERS = re.compile(r"^(npx )?(eslint|xo|standard|prettier|biome|oxlint|tslint|tsc --noEmit|tsd|publint|attw|knip)\b")
_OTHER_NAMES = re.compile(r"^(tests?|unit|tests?:(unit|all|ci|node|run|once|vitest|jest|mocha)|unit[:-]tests?)$")
_CALLS = re.compile(r"^(?:npm|pnpm|yarn|bun)(?: run)? ([\w:.-]+)$")
_PIPE = re.compile(r"[^|]\|[^|]")  # a runner that is read by another program must print what that one expects
_ESLINT = re.compile(r"^(eslint\.config\.|\.eslintrc)")


def find(tree: Tree, env_of: EnvOf) -> Found:
    """The tests of every package, and types and lint of the one at the top."""
    found = [p for p in packages(tree) if p.family == "npm"]
    if not found:
        return
    env = env_of(".")
    top = env.top
    own = {p.name: p.folder for p in found if p.member and p.name and p.folder != "."}
    for copy in copies_of_own(top, env.dependencies, own):
        yield (
            None,
            f"{copy} is installed as a copy, so tests of other packages do not see its source (install it as a link of the workspace)",
        )
    yield from _tests(tree, top, found)
    if tree.has("package.json") and (bins := _bins(top, ".")):
        yield from _typescript(tree, top, bins)
        yield from _eslint(tree, bins)


def _tests(tree: Tree, top: Path, found: list[Package]) -> Found:
    """One check a package; the root's own script alone where it is a runner that takes in the packages' tests itself."""
    scripts = {p.folder: script for p in found if (script := script_of(p)) is not None}
    root = scripts.get(".")
    members = [p for p in found if p.member and p.folder != "." and p.folder in scripts]
    if root is not None and members:
        if root.runs_everything:
            yield (
                None,
                f"`{root.text}` in package.json runs {len(members)} packages, each of which is a check of its own here",
            )
            scripts.pop(".")
        else:
            names = ", ".join(p.folder for p in members[:3])
            yield (
                None,
                f"`{root.text}` in package.json is taken for the tests of all packages ({names} … have scripts of their own)",
            )
            scripts = {folder: s for folder, s in scripts.items() if not any(p.folder == folder for p in members)}
    for folder, script in scripts.items():
        yield from _test(tree, top, folder, script)


@dataclass(frozen=True, slots=True)
class Script:
    """A package's test script: its name, its text, and the text with the scripts that it calls in their places."""

    name: str
    text: str
    whole: str

    @property
    def runs_everything(self) -> bool:
        """Whether it runs the scripts of the workspace's packages rather than tests."""
        return bool(_EVERYTHING.search(self.whole))

    @property
    def runner(self) -> str:
        """The runner in it that checks of kind junit know; "" = none."""
        found = [] if _PIPE.search(self.whole) else _RUNNER.findall(self.whole)
        return found[-1] if found else "node" if _NODE.search(self.whole) else ""


def script_of(package: Package) -> Script | None:
    """The script that runs a package's tests; None = it has none."""
    names = ["test", *sorted(name for name in package.scripts if _OTHER_NAMES.match(name))]
    for name in names:
        text = package.scripts.get(name, "")
        if text and not _NOTHING.search(text):
            return _reduced(Script(name, text, _followed(text, package.scripts)), package.scripts)
    return None


def _followed(text: str, scripts: Mapping[str, str]) -> str:
    """A script's text with those of the scripts that it calls, three deep."""
    for _ in range(3):
        text = re.sub(r"\b(?:npm|pnpm|yarn|bun)(?: run)? ([\w:.-]+)", lambda m: scripts.get(m[1], m[0]), text)
    return text


def _reduced(script: Script, scripts: Mapping[str, str]) -> Script:
    """Without linters in front of or behind the tests: each is a check of its own, and a red one must not hide the tests."""
    steps = [step.strip() for step in script.text.split("&&")]
    rest = [step for step in steps if not _LINTERS.match(_resolved(step, scripts))]
    if len(rest) != 1 or rest == steps:
        return script
    called = _CALLS.match(rest[0])
    if called and called[1] in scripts:
        return replace(script, name=called[1], text=scripts[called[1]], whole=_followed(scripts[called[1]], scripts))
    return script


def _resolved(step: str, scripts: Mapping[str, str]) -> str:
    called = _CALLS.match(step)
    return scripts.get(called[1], step) if called else step


def _test(tree: Tree, top: Path, folder: str, script: Script) -> Found:
    manager = packagers.of(tree, folder)
    if manager is None:
        return
    runs_alone = bool(_NODE.search(script.whole) or _BUN.match(script.text)) and not needs_shell(script.text)
    bins = _bins(top, folder)
    pnp = manager.name == "yarn" and packagers.uses_pnp(tree.at(manager.root))
    manifest = PurePosixPath(folder, "package.json").as_posix()
    if not bins and not pnp and not runs_alone:
        install = manager.install or f"{manager.name} install"
        yield (
            None,
            f"{manifest} is there, but node_modules is not, so nothing of it can run ({install} in {_shown(manager.root)})",
        )
        return
    name = "tests" if folder == "." else f"tests-{slug(folder)}"
    why = f"of the script `{script.name}` in {manifest}"
    run, kind = _command(script, manager, bins, pnp=pnp)
    setup = "yarn install --immutable" if pnp else ""
    yield Check(name, run, kind, workdir=folder, setup=setup, why=why), why


def _command(script: Script, manager: Manager, bins: list[Path], *, pnp: bool) -> tuple[str, Kind]:
    if _BUN.match(script.text) and shutil.which("bun") and not needs_shell(script.text):
        return f"{script.text} --reporter=junit --reporter-outfile={{junit}}", "junit"
    starter = manager.name if pnp or shutil.which(manager.name) else "npm"
    run = f"{starter} {script.name}" if script.name == "test" else f"{starter} run {script.name}"
    runner = script.runner
    there = runner == "node" or pnp or any((folder / _RUNNERS.get(runner, runner)).exists() for folder in bins)
    return run, "junit" if runner and there else "generic"


def _bins(top: Path, folder: str) -> list[Path]:
    """The folders with programs that a package can run, its own first."""
    path = PurePosixPath(folder)
    places = (top / above / "node_modules" for above in (path, *path.parents))
    return [place / ".bin" for place in dict.fromkeys(places) if place.is_dir()]


def _shown(folder: str) -> str:
    return "the top" if folder == "." else folder


def _typescript(tree: Tree, top: Path, bins: list[Path]) -> Found:
    if not tree.has("tsconfig.json") or not any((folder / "tsc").exists() for folder in bins):
        return
    text = tree.text("tsconfig.json")
    run = "npx --no-install tsc --noEmit"
    if re.search(r'"references"\s*:', text) and re.search(r'"(files|include)"\s*:\s*\[\s*\]', text):
        # Such a file names other projects and checks nothing itself: tsc would be green whatever they hold.
        run = (
            "npx --no-install tsc --build --noEmit"
            if _version(top, "typescript") >= (5, 6)
            else "npx --no-install tsc --build"
        )
    why = "of tsconfig.json"
    yield Check("tsc", run, "tsc", why=why), why


def _version(top: Path, package: str) -> tuple[int, ...]:
    said = str(Tree(top / "node_modules" / package).package.get("version") or "0")
    return tuple(int(n) for n in re.findall(r"\d+", said)[:2])


def _eslint(tree: Tree, bins: list[Path]) -> Found:
    config = next((p.name for p in sorted(tree.top.glob("*eslint*")) if _ESLINT.match(p.name)), "")
    config = config or next((p.name for p in sorted(tree.top.glob(".eslintrc*"))), "")
    if (config or "eslintConfig" in tree.package) and any((folder / "eslint").exists() for folder in bins):
        why = f"of {config or 'eslintConfig in package.json'}"
        run = "npx --no-install eslint ."
        yield Check("eslint", run, "eslint", fix=f"{run} --fix", why=why), why
