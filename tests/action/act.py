"""The real action.yml under `act`, without containers and without a network: what GitHub would run, in a clean environment.

Third-party actions are mapped to stubs beside this file; `act` itself stands for actions/checkout, which copies the working tree and
its `.git`. Our own action is a copy of what git has, as a release is, below a path with odd characters in it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.action.runner import REPO

ROOT = Path(__file__).parents[2]
STUBS = Path(__file__).with_name("stubs")
EXAMPLES = ROOT / "examples/github"
_ENVIRON = dict(os.environ)  # read before any test hides the user's home and settings
#: What a fresh install needs of a developer's machine, where it is set.
_PASSED = ("SSL_CERT_FILE", "SSL_CERT_DIR", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS", "LANG")
_SECONDS = 420.0


@dataclass(frozen=True)
class Ran:
    """One run of a workflow: exit code, the log as text, its records, and what each job's steps left by their ids."""

    code: int
    log: str
    records: tuple[Mapping[str, Any], ...]
    artifacts: Path

    def outputs(self, name: str = "") -> dict[str, str]:
        """All outputs that steps set, the last word on each."""
        return {
            r["name"]: r["arg"]
            for r in self.records
            if r.get("command") == "set-output" and name in str(r.get("jobID", ""))
        }

    @property
    def summary(self) -> str:
        """All step summaries."""
        return "\n".join(dict.fromkeys(r["content"] for r in self.records if r.get("command") == "summary"))

    @property
    def steps(self) -> dict[str, str]:
        """The steps that ended, by name, with their results."""
        return {r["step"]: r["stepResult"] for r in self.records if "stepResult" in r}


@dataclass(frozen=True)
class Act:
    """Everything that runs have in common."""

    program: str
    uv: Path
    cache: Path
    action: Path

    def run(
        self, repo: Path, workflow: Path, folder: Path, event: str, payload: Mapping[str, Any], *, env: Mapping[str, str], token: str = "",
        secrets: Mapping[str, str] | None = None,
    ) -> Ran:  # fmt: skip
        """Run a workflow file on a checkout. `env` are variables of every step."""
        folder.mkdir(parents=True)
        artifacts = folder / "artifacts"
        artifacts.mkdir()
        (folder / "event.json").write_text(json.dumps(payload), encoding="utf-8")
        hidden = {**(secrets or {}), **({"GITHUB_TOKEN": token} if token else {})}
        (folder / "secrets").write_text(
            "".join(f"{name}={value}\n" for name, value in hidden.items()), encoding="utf-8"
        )
        given = {"GITHUB_REPOSITORY": REPO, "STUB_ARTIFACTS": str(artifacts), "CI": "true", **env}
        argv = [
            self.program, event, "-W", str(workflow), "-C", str(repo), "-e", str(folder / "event.json"), "--secret-file", str(folder / "secrets"),
            "-P", "ubuntu-24.04=-self-hosted", "--cache-server-addr", "127.0.0.1", "--defaultbranch", "main", "--json",
            *(part for name, value in given.items() for part in ("--env", f"{name}={value}")),
            *(part for name, where in self._mapped(workflow).items() for part in ("--local-repository", f"{name}={where}")),
        ]  # fmt: skip
        home = folder / "home"
        home.mkdir()
        done = subprocess.run(
            argv, cwd=repo, env=self._environment(home), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            timeout=_SECONDS,
        )  # fmt: skip
        return _read(done.returncode, done.stdout.decode("utf-8", "replace"), artifacts)

    def _environment(self, home: Path) -> dict[str, str]:
        passed = {name: _ENVIRON[name] for name in _PASSED if name in _ENVIRON}
        path = os.pathsep.join(
            (str(Path(sys.executable).parent), str(self.uv.parent), "/usr/local/bin", "/usr/bin", "/bin")
        )
        return {
            **passed, "PATH": path, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "UV_CACHE_DIR": str(self.cache), "UV_OFFLINE": "1",
            "VIRTUAL_ENV": sys.prefix,
        }  # fmt: skip

    def _mapped(self, workflow: Path) -> dict[str, Path]:
        """Where each action of the workflow and of our own comes from."""
        found: dict[str, Path] = {}
        for file in (workflow, self.action / "action.yml"):
            for name in used(file):
                owner = name.partition("@")[0]
                if owner == "zwarm-ci/zwarm-ci":
                    found[name] = self.action
                elif owner != "actions/checkout" and not name.startswith("./"):
                    found[name] = STUBS / owner.partition("/")[2]
        assert all((where / "action.yml").is_file() for where in found.values()), found
        return found


def used(file: Path) -> list[str]:
    """What a workflow or an action names by `uses`."""
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    jobs = document.get("jobs", {}).values()
    steps = [step for part in (*jobs, document.get("runs", {})) for step in part.get("steps", ())]
    return [step["uses"] for step in steps if "uses" in step]


def _read(code: int, printed: str, artifacts: Path) -> Ran:
    records, text = [], []
    for line in printed.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            record = {"msg": line}
        if not isinstance(record, dict):
            record = {"msg": line}
        records.append(record)
        text.append(str(record.get("msg", "")).rstrip("\n"))
    return Ran(code, "\n".join(text), tuple(records), artifacts)


def prepared(folder: Path) -> Act:
    """What a session of tests needs once: a copy of this action, and its packages in the developer's own cache of uv."""
    action = folder / "zwarm ci @ action"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "zwarm_ci", "action.yml", "pyproject.toml", "README.md", "LICENSE"],
        cwd=ROOT, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (action / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, action / name)
    named = _ENVIRON.get("UV") or shutil.which("uv", path=_ENVIRON.get("PATH"))
    assert named, "uv runs these tests, so it is somewhere"

    def asked(*argv: str) -> Path:
        return Path(subprocess.run(argv, env=_ENVIRON, capture_output=True, text=True, check=True).stdout.strip())

    uv = asked(named, "run", "--no-project", "printenv", "UV")  # the program itself, where `uv` is somebody's script
    cache = asked(str(uv), "cache", "dir")
    # As action.yml does it; the packages come from the developer's cache, or once from where he takes them.
    words = "tool run --python >=3.11 --from".split()
    warm = [str(uv), *words, f"{action}[gateway]", "python", "-I", "-c", "import zwarm_ci.action.story"]
    subprocess.run(warm, cwd=action, env=_ENVIRON, capture_output=True, check=True)
    return Act(str(Path(sys.executable).with_name("act")), uv, cache, action)
