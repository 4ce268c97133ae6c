"""Reads JUnit XML, ours to distrust: streamed, bounded in size, no DOCTYPE."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree as ET

from zwarm_ci.streams import MIB

MAX_XML = 128 * MIB
#: A declaration of entities can grow a few bytes to gigabytes; no JUnit writer needs one.
_DOCTYPE = re.compile(rb"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_TEXT = 64 * 1024
State = Literal["passed", "failed", "skipped"]
RANK: dict[State, int] = {"passed": 0, "skipped": 1, "failed": 2}


class UnreadableXmlError(Exception):
    """The text is no JUnit report that we read; the message says why."""


@dataclass(frozen=True, slots=True)
class Case:
    """One testcase element. `kind` is the failure's type attribute, `suite` the names of the suites around it."""

    classname: str
    name: str
    file: str
    state: State
    kind: str = ""
    message: str = ""
    text: str = ""
    seconds: float = 0.0
    suite: str = ""


def read_cases(data: bytes) -> list[Case]:
    """Every testcase of a report.

    Raises:
        UnreadableXmlError: too large, with a DOCTYPE, cut off, or no XML at all.
    """
    if len(data) > MAX_XML:
        raise UnreadableXmlError(f"larger than {MAX_XML // MIB} MiB")
    if data.startswith(_UTF16) or _DOCTYPE.search(data):
        raise UnreadableXmlError("it has a DOCTYPE, or is not in UTF-8")
    try:
        return list(_cases(data))
    except ET.ParseError as error:
        raise UnreadableXmlError(f"not well-formed: {error}") from error
    except (ValueError, LookupError) as error:  # numbers and encodings that are none
        raise UnreadableXmlError(str(error)) from error


def _cases(data: bytes) -> Iterator[Case]:
    root = ""
    suites: list[str] = []
    for event, element in ET.iterparse(io.BytesIO(data), events=("start", "end")):  # noqa: S314 - no DOCTYPE, bounded
        if event == "start":
            root = root or element.tag
            if element.tag == "testsuite":
                suites.append(element.get("name", ""))
        elif element.tag == "testsuite":
            suites.pop()
        elif element.tag == "testcase":
            yield _case(element, " > ".join(filter(None, suites)))
            element.clear()
    if root not in ("testsuites", "testsuite"):
        raise UnreadableXmlError(f"its root is <{root}>, not <testsuites> or <testsuite>")


def _case(element: ET.Element, suite: str) -> Case:
    state: State = "passed"
    kind = message = text = ""
    for child in element:
        found: State | None = (
            "failed" if child.tag in ("failure", "error") else "skipped" if child.tag == "skipped" else None
        )
        if found is not None and RANK[found] > RANK[state]:
            state, kind, message = found, child.get("type", ""), child.get("message", "")
            text = (child.text or "")[:_TEXT]
    get = element.get
    return Case(
        get("classname", ""),
        get("name", ""),
        get("file", ""),
        state,
        kind,
        message,
        text,
        float(get("time") or 0),
        suite,
    )


def worst_by_name(cases: list[Case]) -> dict[tuple[str, str], State]:
    """The worst state of each (classname, name)."""
    states: dict[tuple[str, str], State] = {}
    for case in cases:
        key = (case.classname, case.name)
        if key not in states or RANK[case.state] > RANK[states[key]]:
            states[key] = case.state
    return states
