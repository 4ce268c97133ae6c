"""What the values of a settings file may be: one line of text, a path inside, a duration, a count; and what every table is held to."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, ClassVar

from pydantic import AfterValidator, ConfigDict, Field, Strict

from zwarm_ci.globs import wrong_with
from zwarm_ci.scrub import plain

_WEEK = 7 * 24 * 3600.0
#: What GitHub says of an author and somebody may trust. `NONE` and first-timers are everybody, so they are no choice.
ASSOCIATIONS = ("OWNER", "MEMBER", "COLLABORATOR", "CONTRIBUTOR")
#: Put on an issue or a pull request: nothing is done there.
STOP_LABEL = "zwarm-ci:stop"


def _text(value: str) -> str:
    if plain(value) != value or "\n" in value:
        raise ValueError("must be one line without control or invisible characters")
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def _optional(value: str) -> str:
    return _text(value) if value else value


def _inside(value: str) -> str:
    path = PurePosixPath(_text(value))
    if path.is_absolute() or ".." in path.parts or "\\" in value:
        raise ValueError("must be a path inside the repository")
    return str(path)


def _glob(value: str) -> str:
    inside = _inside(value)
    if wrong := wrong_with(inside):
        raise ValueError(wrong)
    return inside


def _folder(value: str) -> str:
    inside = _inside(value)
    if inside == "." or PurePosixPath(inside).parts[0].lower() == ".git":
        raise ValueError("must be a folder of its own inside the repository")
    return inside


def _variable(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError("must be the name of an environment variable")
    return value


def _association(value: str) -> str:
    if value not in ASSOCIATIONS:
        near = difflib.get_close_matches(value.upper()[:40], ASSOCIATIONS, n=1, cutoff=0.0)[0]
        raise ValueError(f"must be one of {', '.join(ASSOCIATIONS)}; the nearest is {near}")
    return value


def _label(value: str) -> str:
    if len(_text(value)) > 50 or "," in value:
        raise ValueError("must be a label of GitHub: at most 50 characters, no comma")
    if value.casefold() == STOP_LABEL:
        raise ValueError("is the label that stops everything; choose another")
    return value


def _project(value: str) -> str:
    if value and not re.fullmatch(r"[\w.-]{1,100}/[\w.-][\w. -]{0,127}", value, re.ASCII):
        raise ValueError("must be a project of Weave's: TEAM/NAME")
    return value


# Scalars are strict (no `"5"` for 5); tables and lists are not, or pydantic would want our own classes and tuples.
Text = Annotated[str, Strict(), AfterValidator(_text)]
OptionalText = Annotated[str, Strict(), AfterValidator(_optional)]
Inside = Annotated[str, Strict(), AfterValidator(_inside)]
Texts = tuple[Text, ...]
Paths = tuple[Inside, ...]
Globs = Annotated[tuple[Annotated[str, Strict(), AfterValidator(_glob)], ...], Field(min_length=1)]
Folder = Annotated[str, Strict(), AfterValidator(_folder)]
Variables = tuple[Annotated[str, Strict(), AfterValidator(_variable)], ...]
Flag = Annotated[bool, Strict()]
Duration = Annotated[float, Strict(), Field(gt=0, le=_WEEK)]
Minutes = Annotated[float, Strict(), Field(ge=0, le=_WEEK / 60)]
Count = Annotated[int, Strict(), Field(ge=1, le=100)]
Dollars = Annotated[float, Strict(), Field(ge=0, le=1_000_000)]
Price = Annotated[float, Strict(), Field(ge=0, le=1_000_000)]
Associations = tuple[Annotated[str, Strict(), AfterValidator(_association)], ...]
Labels = tuple[Annotated[str, Strict(), AfterValidator(_label)], ...]
#: A project of Weave's; without a team it takes no traces.
WeaveProject = Annotated[str, Strict(), AfterValidator(_project)]
#: Numeric ids of accounts. Names can be taken over or look alike, ids cannot.
Accounts = tuple[Annotated[int, Strict(), Field(ge=1, le=2**53)], ...]
#: A check's name is part of ids and of names of log files.
CheckName = Annotated[str, Strict(), Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


@dataclass(frozen=True)
class Table:
    """What pydantic holds every table to."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)
