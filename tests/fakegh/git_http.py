"""Real git over HTTP: `git http-backend` behind the double's tokens, with the forge's own refusals as a real pre-receive hook."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.fakegh.state import State, Token

HOOK = r"""#!/bin/sh
# What the forge refuses whatever the pusher's git says; FORGE_* come from the server, per token. A test may push to the folder itself.
[ -z "$FORGE_KIND" ] && exit 0
while read -r old new ref; do
  case " $FORGE_PROTECTED " in *" $ref "*)
    echo "error: GH006: Protected branch update failed for $ref." >&2; exit 1;;
  esac
  case "$new" in *[!0]*) ;; *) continue;; esac
  [ -n "$FORGE_WORKFLOWS" ] && continue
  file=$(git log --format= --name-only "$new" --not --all -- .github/workflows | head -n 1)
  if [ -n "$file" ]; then
    if [ "$FORGE_KIND" = pat ]; then
      echo "refusing to allow a Personal Access Token to create or update workflow \`$file\` without \`workflow\` scope" >&2
    else
      echo "refusing to allow a GitHub App to create or update workflow \`$file\` without \`workflows\` permission" >&2
    fi
    exit 1
  fi
done
"""


def make_bare(path: Path) -> None:
    """A bare repository that can be cloned from and pushed to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True)
    for setting in ("http.receivepack=true", "core.logAllRefUpdates=false", "gc.auto=0"):
        subprocess.run(["git", "--git-dir", str(path), "config", *setting.split("=")], check=True)
    hook = path / "hooks" / "pre-receive"
    hook.write_text(HOOK)
    hook.chmod(0o755)


def refusal(state: State, token: Token | None, repo: str, *, push: bool) -> tuple[int, str]:
    """Status and text with which the forge turns a git request away; 0 = it does not."""
    if token is None:
        return 401, "Authentication required"
    if not (state.root / f"{repo}.git").is_dir() or not token.may("contents:read"):
        return 404, "Repository not found"
    if push and not token.may("contents:write"):
        return 403, f"Permission to {repo}.git denied to {token.login}."
    return 0, ""


def serve(
    state: State, token: Token, method: str, path: str, query: str, headers: dict[str, str], body: bytes
) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers and body of git's answer."""
    repo = path[1 : path.index(".git/")]
    protected = " ".join(f"refs/heads/{branch}" for owner, branch in state.protected if owner == repo)
    env = {
        "PATH": os.environ["PATH"],
        "GIT_PROJECT_ROOT": str(state.root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REQUEST_METHOD": method,
        "CONTENT_TYPE": headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""),
        "GIT_PROTOCOL": headers.get("git-protocol", ""),
        "REMOTE_USER": token.login,
        "FORGE_KIND": token.kind,
        "FORGE_WORKFLOWS": "1" if "workflow" in token.scopes else "",
        "FORGE_PROTECTED": protected,
    }
    done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=False)
    head, _, rest = done.stdout.partition(b"\r\n\r\n")
    status, sent = 200, []
    for line in head.decode().split("\r\n"):
        name, _, value = line.partition(": ")
        if name == "Status":
            status = int(value.split()[0])
        elif name:
            sent.append((name, value))
    return status, sent, rest
