"""A HOME of its own for a run: nothing of the user's settings or credentials, but tools find their packages and caches."""

from __future__ import annotations

import functools
import os
from pathlib import Path

#: Folders of a home that hold tools, packages and caches, and that a run may use and fill.
_LINKED = (
    ".cache", ".npm", ".pyenv", ".nvm", ".cargo", ".rustup", "go", ".m2", ".gradle", ".ivy2", ".sbt", ".gem", ".bundle", ".rbenv", ".bun", ".deno",
    ".yarn", ".volta", ".fnm", ".asdf", ".sdkman", ".stack", ".cabal", ".ghcup", ".nuget", ".dotnet", ".conda", ".local/bin", ".local/lib",
    ".local/share/uv", ".local/share/virtualenv", ".local/share/pnpm", ".local/share/fnm", ".local/share/mise", ".local/share/hatch",
    ".local/share/pypoetry", ".local/share/pdm", ".local/share/nltk_data", ".local/share/rtx", "nltk_data", ".keras", ".julia",
)  # fmt: skip
#: Where compilers look, by name: with another path for the same folder they would build everything again.
_NAMED = {
    "CARGO_HOME": ".cargo",
    "RUSTUP_HOME": ".rustup",
    "GOPATH": "go",
    "GOCACHE": ".cache/go-build",
    "PYENV_ROOT": ".pyenv",
    "NVM_DIR": ".nvm",
}
#: What of git's settings tests may depend on, and no more; an identity of nobody where the user has one.
_GIT_KEPT = ("init.defaultbranch", "safe.directory", "protocol.", "core.autocrlf", "core.filemode")
_IDENTITY = "[user]\n\tname = zwarm-ci\n\temail = zwarm-ci@localhost\n"


def own_home(folder: Path) -> dict[str, str]:
    """Make `folder` a home and say with which variables it is one; {} where the user has none to take the place of."""
    real = os.environ.get("HOME", "")
    if not real or not Path(real).is_dir():
        return {}
    user = Path(real)
    folder.mkdir(parents=True, exist_ok=True)
    for name in _LINKED:
        link = folder / name
        if (user / name).is_dir() and not link.is_symlink():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(user / name)
    if settings := _git_settings(real):
        (folder / ".gitconfig").write_text(settings, encoding="utf-8")
    named = {
        name: str(user / place) for name, place in _NAMED.items() if name not in os.environ and (user / place).is_dir()
    }
    return {**named, "HOME": str(folder)}


@functools.cache
def _git_settings(home: str) -> str:
    """The user's settings for git without names, helpers, hooks and keys; "" where the user has none."""
    from zwarm_ci import proc
    from zwarm_ci.scrub import child_env, decode

    listed = proc.run(["git", "config", "--global", "--list", "-z"], cwd=Path("/"), env=child_env({"HOME": home}))
    entries = [entry.partition("\n") for entry in decode(listed.stdout).split("\0") if entry]
    made = _IDENTITY if any(name == "user.email" for name, _, _ in entries) else ""
    for name, _, value in entries:
        section, _, key = name.rpartition(".")
        if name.startswith(_GIT_KEPT) and "." not in section and '"' not in value and "\\" not in value:
            made += f'[{section}]\n\t{key} = "{value}"\n'
    return made
