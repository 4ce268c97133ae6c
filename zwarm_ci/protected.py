"""Which paths are the oracle's: tests, their settings and data, and what a test runner reads before it runs anything.

A patch that touches one of them is judged with the base's version; the repair engine never edits one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

_TEST_FOLDERS = frozenset(
    "test tests testing spec specs __tests__ __snapshots__ __image_snapshots__ __mocks__ __fixtures__ testdata test-data test_data fixtures golden "
    "goldens cassettes cypress e2e unit_tests unit-tests integration_tests integration-tests functional_tests testsuite".split()
)
_TEST_NAME = re.compile(
    r"^(test_.*|.*_test|tests?|conftest|.*_spec)\.(py|go|rb|rs|exs|dart|lua|c|cc|cpp|cxx)$"
    r"|^.*[.\-_](test|spec|cy|test-d|e2e)\.(js|jsx|ts|tsx|mjs|cjs|mts|cts)$|^(tests?|test-.*|test_.*)\.(js|jsx|ts|tsx|mjs|cjs|mts|cts)$"
    r"|^.*\.(snap|ambr|golden|bats)$|^.*\.approved\.\w+$|^.*(Tests?|IT|Spec)\.(java|kt|cs|scala|groovy|swift|php)$"
)
_SETTINGS = re.compile(
    r"^(\.?pytest\.(ini|toml)|tox\.(ini|toml)|noxfile\.py|\.coveragerc|coverage\.toml|\.?mypy\.ini|\.?ruff\.toml|\.flake8"
    r"|\.?pylintrc(\.toml)?|\.isort\.cfg|\.bandit|pyrightconfig\.json|basedpyright\.json|\.pydocstyle|\.pre-commit-config\.ya?ml|\.pre-commit-hooks\.yaml"
    r"|sitecustomize\.py|usercustomize\.py|codecov\.ya?ml|\.codecov\.ya?ml|\.?codeclimate\.ya?ml|sonar-project\.properties|\.coveralls\.yml"
    r"|tsconfig.*\.json|jsconfig\.json|biome\.jsonc?|\.swcrc|\.babelrc|\.nycrc(\..*)?|\.c8rc(\..*)?|\.?stylelint(rc|\.config)(\..*)?|\.eslintignore|\.prettierrc(\..*)?"
    r"|\.prettierignore|prettier\.config\.\w+|\.oxlintrc\.json|xo\.config\.\w+|tslint\.json|\.jshintrc|\.taprc|\.swc|wallaby\.\w+"
    r"|(jest|vitest|vite|karma|playwright|cypress|babel|ava|mocha|nyc|wdio|web-test-runner|rollup|webpack|tsup|metro)\.(config|conf)(\.\w+)+|\.(mocharc|eslintrc|babelrc)(\..*)?"
    r"|eslint\.config\.\w+|(jest|vitest|test)[.\-](setup|workspace|global-?setup|environment|preset|reporter|sequencer|resolver)[\w.\-]*\.\w+|setup-?[tT]ests?\.\w+"
    r"|turbo\.jsonc?|nx\.json|project\.json|lerna\.json|BUILD(\.bazel)?|WORKSPACE(\.bazel)?|MODULE\.bazel|\.bazelrc"
    r"|GNUmakefile|[Mm]akefile|.*\.mk|\.?[Jj]ustfile|Taskfile\.ya?ml|Rakefile|CMakeLists\.txt|CTestTestfile\.cmake|meson\.build|magefile\.go|Earthfile|mise\.toml|\.mise\.toml"
    r"|\.?clippy\.toml|\.?rustfmt\.toml|\.?nextest\.toml|\.golangci\.(ya?ml|toml|json)|staticcheck\.conf|codegen\.toml|phpunit\.xml(\.dist)?|\.rspec|\.rubocop\.yml|\.mutmut.*"
    r"|\.gitattributes|\.gitmodules|\.(?!docker|npm|gcloud|helm|vercel|vscode|slug|cf|chef)[\w\-]*ignore|\.?shellcheckrc|\.worktreeinclude|\.editorconfig|\.envrc|\.env\.test|\.tool-versions|\.python-version|\.nvmrc|\.node-version"
    r"|\.gitlab-ci.*\.ya?ml|\.?azure-pipelines.*\.ya?ml|Jenkinsfile.*|\.travis\.ya?ml|bitbucket-pipelines\.ya?ml|\.?appveyor\.ya?ml|\.drone\.(ya?ml|star|jsonnet)|\.woodpecker\.ya?ml"
    r"|\.cirrus\.(ya?ml|star)|\.semaphore\.yml|wercker\.yml|buildspec\.ya?ml|cloudbuild\.ya?ml|\.buildkite\.ya?ml|\.teamcity.*|codeship-\w+\.yml|\.scrutinizer\.yml|\.builds?\.ya?ml"
    r"|CODEOWNERS|AGENTS(\.override)?\.md|CLAUDE(\.local)?\.md|GEMINI\.md|\.cursorrules|\.windsurfrules|\.clinerules|\.aider.*|\.mcp\.json|copilot-instructions\.md|SKILL\.md"
    r"|\.?lefthook(-local)?\.(ya?ml|toml|json)|\.huskyrc(\..*)?|\.lintstagedrc(\..*)?|lint-staged\.config\.\w+|\.overcommit\.yml|\.commitlintrc(\..*)?|commitlint\.config\.\w+"
    r"|\.npmrc|\.yarnrc(\.yml)?|\.pnpmfile\.c?js|\.pnp\.\w+|\.pnp\.loader\.mjs|bunfig\.toml|deno\.jsonc?|build\.rs|rust-toolchain(\.toml)?|renovate\.json5?|dependabot\.ya?ml)$"
    r"|.*\.pth$|.*-lock\.json$"
)
_MANIFESTS = re.compile(
    r"^(pyproject\.toml|setup\.cfg|package\.json|pnpm-workspace\.yaml|Cargo\.(toml|lock)|go\.(mod|sum|work|work\.sum)|(dev|test|docs?|lint)?[-_.]?requirements?([-_.].*)?\.(txt|in|pip)"
    r"|requirements.*\.(txt|in)|.*constraints.*\.txt|Pipfile(\.lock)?|poetry\.(lock|toml)|uv\.(lock|toml)|pdm\.(lock|toml)|pylock.*\.toml|hatch\.toml|conda.*\.lock|environment\.ya?ml"
    r"|pixi\.(toml|lock)|package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|bun\.lockb?|deno\.lock|Gemfile(\.lock)?|.*\.gemspec|composer\.(json|lock)|mix\.(exs|lock)"
    r"|pom\.xml|build\.gradle(\.kts)?|settings\.gradle(\.kts)?|gradle\.(properties|lockfile)|flake\.(nix|lock))$"
)
#: Settings of linters and formatters by the shape of their names: hidden ones, and plain ones of known tools.
_LINTERS = re.compile(
    r"^\.(?!(?:ba|z|k|c|tc)sh|vim|input|screen|curl|wget|emacs|xinit)(?:[\w\-]*(?:lint|linter|rc|baseline|results)|codespell|cspell|vale|typos|sqlfluff|swift"
    r"|clang-(?:format|tidy)|credo|formatter|scalafmt|scalafix|stylua|checkov|semgrep|tflint|gitleaks|jscpd|dependency-cruiser|htmlvalidate|rstcheck"
    r"|pydocstyle|pycodestyle|darglint|sourcery|interrogate|reek|rubocop\w*|zizmor|trivy|style|yapf|pyre_configuration|markdownlint[\w\-]*|xo-config"
    r"|editorconfig-checker|secrets)(?:\.\w+)*$"
    r"|^_?(?:[\w\-]*lint|codespell|cspell|typos|detekt|checkstyle|phpstan[\w\-]*|phpcs|psalm|dprint|knip|lychee|doc8|ty|pyrefly|pytype|trivy|zizmor"
    r"|interrogate|deptry|slotscheck|selene|stylua|(?:mypy|ruff|flake8|pylint|pyright|lint)[_-]?baseline)(?:\.config)?"
    r"\.(?:json[c5]?|ya?ml|toml|ini|cfg|xml|neon|hcl|txt)(?:\.dist)?$|^mocha\.opts$"
)
#: Manifests that are programs too: one of these names deep inside a package is a module of its own.
_BUILD_SCRIPTS = frozenset({"setup.py"})
_FOLDERS = frozenset(
    ".github .gitlab .circleci .git .zwarm .husky .githooks .git-hooks "
    ".cargo .claude .codex .cursor .gemini .windsurf .agents .buildkite .woodpecker "
    ".semaphore .teamcity .config .yarn .vscode "
    ".devcontainer .azure-pipelines .azuredevops .tekton .forgejo .gitea .lefthook .pre-commit .pytest_cache .venv node_modules site-packages".split()
)
_FIRST_FOLDERS = frozenset({"ci", ".ci"})  # at the top of a repository only: a package may be called so
#: Programs of the whole repository; deeper down a module of this name is the project's own.
_FIRST_NAMES = frozenset({"tasks.py", "dodo.py", "fabfile.py"})
_HOOK = re.compile(r"^(pre|post|prepare|commit|applypatch|update|reference|push|fsmonitor|proc|sendemail|p4)-[a-z-]+$")
_SCRIPT = re.compile(
    r"^(run|ci|do|all)?[-_]?(tests?|checks?|lint|typecheck|ci|verify|coverage|pytest|unittests?)([-_.](all|ci|sh|unit|py|and|cov|it|lint)\w*)*(\.(sh|bash|zsh|py|js|mjs|cjs|ts|ps1|bat|cmd|rb))?$"
    r"|^run[-_]?.*tests?.*\.(sh|bash|py|js|mjs|ps1|bat)$",
    re.IGNORECASE,
)
_SCRIPT_FOLDERS = frozenset({"scripts", "script", "bin", "tools", "dev", "utils", "build", "hack", ".scripts"})
_NOTES = re.compile(r"^(changelog|changes|history|news|releases?)(\..*)?$", re.IGNORECASE)


def is_test(path: str) -> bool:
    """Whether `path` is a test, a fixture, a snapshot or test data, by the conventions of the supported languages."""
    pure = PurePosixPath(path)
    return any(part.lower() in _TEST_FOLDERS for part in pure.parts[:-1]) or bool(_TEST_NAME.match(pure.name))


def is_setting(path: str) -> bool:
    """Whether `path` decides how checks run: runner, linter, type and build settings, CI, hooks, start-up files, manifests."""
    pure = PurePosixPath(path)
    in_metadata = any(part.endswith((".dist-info", ".egg-info")) for part in pure.parts)
    first = pure.parts[0] if pure.parts else ""
    in_folder = any(part in _FOLDERS for part in pure.parts[:-1]) or (len(pure.parts) > 1 and first in _FIRST_FOLDERS)
    by_place = path in _FIRST_NAMES or (first in {"hooks", ".hooks"} and bool(_HOOK.match(pure.name)))
    return (
        in_metadata
        or in_folder
        or by_place
        or bool(_SETTINGS.match(pure.name) or _LINTERS.match(pure.name))
        or is_manifest(path)
        or _is_script(pure)
    )


def is_manifest(path: str) -> bool:
    """Whether `path` says what a project is made of and needs: manifests, requirements and lock files."""
    pure = PurePosixPath(path)
    if pure.name in _BUILD_SCRIPTS:
        return len(pure.parts) == 1 or pure.parts[0] in {"packages", "libs", "python", "projects"}
    in_requirements = pure.suffix in {".txt", ".in"} and pure.parent.name in {"requirements", "requires", "reqs"}
    return in_requirements or bool(_MANIFESTS.match(pure.name))


def _is_script(pure: PurePosixPath) -> bool:
    """A script that by its name runs checks, at the top or in a folder of scripts."""
    near = len(pure.parts) == 1 or (len(pure.parts) == 2 and pure.parts[0] in _SCRIPT_FOLDERS)
    return near and bool(_SCRIPT.match(pure.name)) and not _TEST_NAME.match(pure.name)


def is_named(path: str, globs: Iterable[str]) -> bool:
    """Whether one of a user's globs means a path, or names a folder that it lies in."""
    return any(fnmatchcase(path, glob) or path.startswith(glob.rstrip("/") + "/") for glob in globs)


def is_protected(path: str, more: Iterable[str] = (), about: Collection[str] = ()) -> bool:
    """Whether the base's version of `path` is the one that counts.

    `more` are the user's own globs (`verify.protect`); a manifest or lock file in `about` is what the task is about, and may change.
    """
    globbed = is_named(path, more)
    if path in about and is_manifest(path) and not globbed:
        return False
    return globbed or is_test(path) or is_setting(path)


def files_of_tests(ids: Iterable[str], files: Sequence[str], read: Callable[[str], bytes | None]) -> tuple[str, ...]:
    """Globs of Python files that are tests by no convention above, but in which tests that ran are defined.

    A doctest, or a linter that runs as a pytest plugin, makes no test of the source that it looks at.
    """
    found = set()
    for path, name in {place for test_id in ids for place in _definitions(test_id)}:
        for file in files:
            if (file == path or file.endswith(f"/{path}")) and file not in found and not is_protected(file):
                defined = re.compile(rf"^[ \t]*(?:async[ \t]+def|def|class)[ \t]+{re.escape(name)}\b", re.MULTILINE)
                if defined.search((read(file) or b"").decode("utf-8", "replace")):
                    found.add(file)
    return tuple(re.sub(r"([*?[])", r"[\1]", file) for file in sorted(found))


def _definitions(test_id: str) -> Iterable[tuple[str, str]]:
    """(file, name in it) where an id may be defined: `dir/file.py::Name`, or `dir.file.Name` as unittest and JUnit have it."""
    path, _, inner = test_id.partition("::")
    name = re.split(r"::|\[", inner)[0]
    if path.endswith(".py"):
        return ((path, name),) if name and name != PurePosixPath(path).stem else ()
    parts = [*path.split("."), *filter(None, [name])]
    return (("/".join(parts[:n]) + ".py", parts[n]) for n in range(1, len(parts)))


def is_notes(path: str) -> bool:
    """Whether `path` is a changelog, which says what was done and is never undone with it."""
    return bool(_NOTES.match(PurePosixPath(path).name))
