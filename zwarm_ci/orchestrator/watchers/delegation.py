"""Watches for attempts to do the work by `bash` instead of delegating it. The tool writes nowhere; this says so before long."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from zwarm_ci.orchestrator.watchers.base import Opinion, Scene

_MOST = 3  # attempts; who tries once more does not listen
_NOWHERE = frozenset({"/dev/null", "/dev/stderr", "/dev/stdout", "/dev/tty"})
_WRITERS = frozenset(
    "tee patch cp mv rm rmdir mkdir touch ln install dd truncate chmod chown ed ex rsync unlink shred".split()
)
_GIT = frozenset(
    "add am apply branch checkout cherry-pick clean commit config fetch gc init merge mv notes pull push rebase reset restore revert rm "
    "stash switch tag update-index update-ref worktree".split()
)
_INSTALLS = {
    "pip": "install",
    "pip3": "install",
    "npm": "install",
    "pnpm": "install",
    "yarn": "add",
    "uv": "add",
    "cargo": "add",
    "go": "get",
}
_IN_PLACE = re.compile(r"^-[a-zA-Z]*i|^--in-place")
_SCRIPTED = re.compile(
    r"""open\([^)]*,\s*(?:mode\s*=\s*)?['"][wax+]|write_text|write_bytes|writeFile|appendFile|File\.write"""
)
_ENDS = frozenset({";", "&&", "||", "|", "&", "|&", "(", ")", "\n"})


class Delegation:
    """Guards: who keeps trying is paused."""

    name = "delegation"
    guards = True

    def look(self, scene: Scene) -> Iterator[Opinion]:
        """See the module."""
        last = scene.last
        if last.tool != "bash" or not (what := writes(_command(last.args))):
            return
        # Those before a pause, which a person has seen, have no answer any more and do not count again.
        attempts = sum(s.tool == "bash" and bool(s.answer) and bool(writes(_command(s.args))) for s in scene.steps)
        if attempts >= _MOST:
            yield Opinion(
                "pause", f"{attempts} attempts to write by bash ({what}), which only looks; a person should see why"
            )
        else:
            said = f"bash only looks; `{what}` wrote nothing. Delegate the change to a session, or tell the one at work (converse)."
            yield Opinion("nudge", said, f"writes at step {last.number}", priority=5)


def _command(args: Mapping[str, object]) -> str:
    given = args.get("command")
    return given if isinstance(given, str) else ""


def writes(command: str) -> str:
    """What in a command line would write, in a word or two; "" = nothing that is known to."""
    if found := _SCRIPTED.search(command):
        return found[0]
    for line in _without_documents(command):
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";()<>|&")
        lexer.whitespace_split = True
        lexer.commenters = ""
        try:
            words = list(lexer)
        except ValueError:  # quotes that do not close: the shell runs it no more than we understand it
            continue
        if what := _redirected(words) or _written(words):
            return what
    return ""


def _without_documents(command: str) -> Iterator[str]:
    """The lines of a command, without what stands in here-documents."""
    end = ""
    for line in command.splitlines():
        if end:
            end = "" if line.strip() == end else end
            continue
        yield line
        if found := re.search(r"<<-?\s*['\"]?(\w+)", line):
            end = found[1]


def _redirected(words: Sequence[str]) -> str:
    for word, following in zip(words, (*words[1:], ""), strict=True):
        if (
            set(word) <= set("<>|&")
            and ">" in word
            and following not in _NOWHERE
            and not (word.endswith("&") and following.isdigit())
        ):
            return f"{word} {following}"
    return ""


def _written(words: Sequence[str]) -> str:
    """The first command of a line that writes."""
    at_begin = True
    for number, word in enumerate(words):
        if word in _ENDS:
            at_begin = True
            continue
        name = word.rpartition("/")[2]
        if not at_begin or re.fullmatch(r"\w+=.*|sudo|env|nice|time|command|exec|xargs|then|do|else", name):
            continue
        at_begin = False
        rest = list(_until_end(words[number + 1 :]))
        if name in _WRITERS and not (name == "tee" and set(rest) <= _NOWHERE):
            return name
        if name in {"sed", "perl", "gsed"} and any(_IN_PLACE.match(w) for w in rest):
            return f"{name} in place"
        verb = next((w for w in rest if not w.startswith("-")), "")
        if (name == "git" and verb in _GIT) or _INSTALLS.get(name) == verb:
            return f"{name} {verb}"
    return ""


def _until_end(words: Sequence[str]) -> Iterator[str]:
    for word in words:
        if word in _ENDS:
            return
        yield word
