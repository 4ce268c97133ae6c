"""Every kind's reader on real outputs of its tool, through the one suite, and what is particular to each."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.parser import Reader, Sample, conforms, green
from zwarm_ci.checks import cargo, eslint, generic, go, junit, mypy, ruff, tsc
from zwarm_ci.checks import pytest as pytest_kind
from zwarm_ci.checks.base import Parsed
from zwarm_ci.checks.junit_xml import UnreadableXmlError, read_cases
from zwarm_ci.scrub import decode
from zwarm_ci.task import Check, Kind

DATA = Path(__file__).parent.parent / "data" / "checks"


def _check(kind: Kind) -> Check:
    return Check("tests", f"run {kind}", kind)


def _ruff(data: bytes, code: int | None, tree: Path) -> Parsed:
    return ruff.parse(decode(data), check=_check("ruff"), code=code, cwd=tree, tree=tree)


def _mypy(data: bytes, code: int | None, tree: Path) -> Parsed:
    return mypy.parse(decode(data), check=_check("mypy"), code=code, cwd=tree, tree=tree)


def _tsc(data: bytes, code: int | None, tree: Path) -> Parsed:
    return tsc.parse(decode(data), check=_check("tsc"), code=code, cwd=tree, tree=tree)


def _eslint(data: bytes, code: int | None, tree: Path) -> Parsed:
    return eslint.parse(decode(data), check=_check("eslint"), code=code, cwd=tree, tree=tree)


def _junit(data: bytes, code: int | None, tree: Path) -> Parsed:
    return junit.parse(data, check=_check("junit"), code=code, cwd=tree, tree=tree)


def _go(data: bytes, code: int | None, tree: Path) -> Parsed:
    return go.parse(decode(data), check=_check("go"), code=code, cwd=tree, tree=tree, module="example.org/calc")


def _cargo(data: bytes, code: int | None, tree: Path) -> Parsed:
    return cargo.parse(decode(data), check=_check("cargo"), code=code, cwd=tree, tree=tree)


def _generic(data: bytes, code: int | None, tree: Path) -> Parsed:
    return generic.parse(decode(data), check=_check("generic"), code=code)


CANARY = "zwarm_ci_canary_0123456789abcdef"


def _witnesses(events: bytes, xml: bytes, code: int | None) -> pytest_kind.Witnesses:
    text = (DATA / "pytest" / "red.txt").read_text()
    return pytest_kind.Witnesses(events, xml, text, code, timed_out=code is None, canary=CANARY)


def _pytest_events(data: bytes, code: int | None, tree: Path) -> Parsed:
    xml = (DATA / "pytest" / "red.xml").read_bytes()
    return pytest_kind.parse(_witnesses(data, xml, code), check=_check("pytest"), cwd=tree, tree=tree)


def _pytest_xml(data: bytes, code: int | None, tree: Path) -> Parsed:
    events = (DATA / "pytest" / "red.jsonl").read_bytes()
    return pytest_kind.parse(_witnesses(events, data, code), check=_check("pytest"), cwd=tree, tree=tree)


def _moved(pattern: bytes) -> MovedLines:
    return MovedLines(re.compile(pattern))


class MovedLines:
    """Adds 7 to every line number that a pattern finds (its last group)."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self.pattern = pattern

    def __call__(self, data: bytes) -> bytes:
        return self.pattern.sub(lambda m: m[1] + str(int(m[2]) + 7).encode(), data)


def _sample(file: str, read: Reader, code: int, failed: set[str], **more: object) -> Sample:
    sets = {k: frozenset(v) if isinstance(v, set) else v for k, v in more.items()}
    return Sample(file, read, (DATA / file).read_bytes(), code, frozenset(failed), **sets)  # type: ignore[arg-type]


IN_CALC = "tests/test_calc.py::"
PYTEST_FAILED = {
    *(
        f"{IN_CALC}{n}"
        for n in ("test_add[1-1-2]", "test_add[2-2-4]", "test_names[a::b]", "test_names[\\xfcn\\xef]", "test_deep")
    ),
    *(f"{IN_CALC}{n}" for n in ("test_unexpected", "test_setup", "test_teardown")),
    "tests/test_gone.py",
}
PYTEST = {
    "passed": {f"{IN_CALC}test_add[1-0-1]", f"{IN_CALC}test_names[x[y]]"},
    "skipped": {f"{IN_CALC}test_expected", f"{IN_CALC}test_skipped"},
    "places": {"tests/test_gone.py:1", "calc.py:6", *(f"tests/test_calc.py:{n}" for n in (7, 11, 30, 36))},
}
SAMPLES = [
    _sample(
        "ruff/red.json",
        _ruff,
        1,
        {
            "pkg/a.py::I001[Import block is un-sorted or un-formatted]",
            "pkg/a.py::F811[Redefinition of unused `os` from line N: `os` redefined here]",
            "pkg/a.py::F401[`os` imported but unused]",
            "pkg/a.py::F841[Local variable `x` is assigned to but never used]",
            "pkg/a.py::F821[Undefined name `undefined`]",
            "pkg/a.py::F811[Redefinition of unused `f` from line N: `f` redefined here]",
            "pkg/a.py::E741[Ambiguous variable name: `l`]",
            "pkg/bad.py::invalid-syntax[Expected a parameter or the end of the parameter list]",
            "pkg/bad.py::invalid-syntax[Expected `)`, found newline]",
        },
        moved=_moved(rb'("row": ?|from line )(\d+)'),
        places={f"pkg/a.py:{n}" for n in (1, 2, 7, 8, 11, 12)} | {"pkg/bad.py:1"},
    ),
    _sample(
        "mypy/red.txt",
        _mypy,
        1,
        {
            'a.py::return-value[Incompatible return value type (got "int", expected "str")]',
            'a.py::arg-type[Argument 1 to "f" has incompatible type "str"; expected "int"]',
            'a.py::ignore-without-code["type: ignore" comment without error code (consider "type: ignore[assignment, type-arg]" instead)]',
            'a.py::override[Argument 1 of "m" is incompatible with supertype "A"; supertype defines the argument type as "int"]',
        },
        moved=_moved(rb"(\.py:)(\d+)"),
        places={f"a.py:{n}" for n in (2, 5, 7, 13)},
    ),
    _sample(
        "mypy/syntax.txt",
        _mypy,
        2,
        {
            "b.py::syntax[Expected a parameter or the end of the parameter list]",
            "b.py::syntax[Unexpected EOF while parsing]",
        },
        places={"b.py:1", "b.py:2"},
    ),
    _sample(
        "tsc/red.txt",
        _tsc,
        2,
        {
            "src/a.ts::TS2322[Type 'number' is not assignable to type 'string'.]",
            "src/a.ts::TS2353[Object literal may only specify known properties, and 'b' does not exist in type '{ a: number; }'.]",
        },
        moved=_moved(rb"(\.ts\()(\d+)"),
        places={"src/a.ts:4", "src/a.ts:5"},
    ),
    _sample(
        "eslint/red.json",
        _eslint,
        1,
        {
            "src/b.js::no-var[Unexpected var, use let or const instead.]",
            "src/b.js::no-var[Unexpected var, use let or const instead.]#2",
            "src/b.js::no-redeclare['x' is already defined.]",
            "src/b.js::no-undef['undefinedThing' is not defined.]",
            "src/c.js::syntax[Parsing error: Unexpected token (]",
        },
        moved=_moved(rb'("line":)(\d+)'),
        places={"src/b.js:1", "src/b.js:2", "src/b.js:3", "src/c.js:1"},
    ),
    _sample(
        "junit/vitest.xml",
        _junit,
        1,
        {"tests/a.test.ts::sum > adds"},
        passed={"tests/a.test.ts::sum > zero"},
        skipped={"tests/a.test.ts::sum > later"},
        moved=_moved(rb"(test\.ts:)(\d+)"),
        files=("tests/a.test.ts",),
        places={"tests/a.test.ts:4"},
    ),
    _sample(
        "junit/node.xml",
        _junit,
        1,
        {"grp::bad"},
        passed={"ok"},
        skipped={"grp::skip"},
        files=("nt/b.test.mjs",),
        places={"nt/b.test.mjs:5"},
    ),
    _sample(
        "junit/jest.xml",
        _junit,
        1,
        {"sum adds", "sum throws"},
        passed={"sum ok"},
        skipped={"sum later"},
        files=("sum.js", "sum.test.js"),
        places={"sum.test.js:3", "sum.js:1"},
    ),
    _sample(
        "go/red.txt",
        _go,
        2,
        {
            "example.org/calc/boom::TestBoom",
            "example.org/calc/broken",
            "example.org/calc/calc::TestAdd/one",
            "example.org/calc/calc::TestAdd",
        },
        passed={
            "example.org/calc/boom::TestFine",
            "example.org/calc/calc::TestAdd/zero",
            "example.org/calc/calc::TestOk",
        },
        skipped={"example.org/calc/calc::TestSkip"},
        moved=_moved(rb"(_test\.go:)(\d+)"),
        files=("calc/calc.go", "calc/calc_test.go", "boom/boom_test.go", "broken/broken.go"),
        places={"calc/calc.go:5", "calc/calc_test.go:12", "broken/broken.go:3"},
    ),
    _sample(
        "cargo/red.txt",
        _cargo,
        101,
        {"calc::tests::adds", "calc (doc)::src/lib.rs - add (line N)#2", "it::works"},
        passed={"calc::tests::panics", "calc::tests::zero", "calc (doc)::src/lib.rs - add (line N)", "it::fine"},
        skipped={"calc::tests::later"},
        moved=_moved(rb"(\(line |lib\.rs:)(\d+)"),
        files=("src/lib.rs", "tests/it.rs"),
        places={"src/lib.rs:17", "src/lib.rs:5"},
    ),
    _sample(
        "cargo/compile.txt",
        _cargo,
        101,
        {"tests::startup"},
        moved=_moved(rb"(lib\.rs:)(\d+)"),
        places={"src/lib.rs:9"},
    ),
    _sample("cargo/compile.txt", _generic, 3, {"tests::exit"}),
    _sample("pytest/red.jsonl", _pytest_events, 1, PYTEST_FAILED, **PYTEST),
    _sample("pytest/red.xml", _pytest_xml, 1, PYTEST_FAILED, **PYTEST),
]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name if s.read is not _generic else "generic")
def test_every_reader_conforms(sample: Sample, tmp_path: Path) -> None:
    conforms(sample if sample.read is not _generic else _any_code(sample), tmp_path)


def _any_code(sample: Sample) -> Sample:
    """A generic command's output says nothing; its code alone does."""
    return replace(sample, read=lambda data, code, tree: _generic(data, code or 3, tree))


def test_green_outputs_are_green(tmp_path: Path) -> None:
    assert green(_ruff(b"[]", 0, tmp_path), 0)
    assert green(_mypy(b"", 0, tmp_path), 0)
    assert green(_mypy(b"a.py:3: note: Revealed type is 'int'\n", 0, tmp_path), 0)
    assert green(_tsc(b"", 0, tmp_path), 0)
    assert green(
        _eslint(b'[{"filePath":"a.js","messages":[{"ruleId":"x","severity":1,"message":"m"}]}]', 0, tmp_path), 0
    )
    assert green(_junit(b'<testsuite><testcase classname="a" name="b"/></testsuite>', 0, tmp_path), 0)
    ok = b'{"Action":"run","Package":"p","Test":"T"}\n{"Action":"pass","Package":"p","Test":"T"}\n'
    ok += b'{"Action":"pass","Package":"p"}\n'
    assert green(_go(ok, 0, tmp_path), 0)
    ok = (
        b"     Running unittests src/lib.rs (target/debug/deps/a-0123456789abcdef)\n"
        b"test t ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored;\n"
    )
    assert green(_cargo(ok, 0, tmp_path), 0)
    assert green(_generic(b"anything", 0, tmp_path), 0)


@pytest.mark.parametrize(
    ("read", "data"),
    [
        (_ruff, b'{"a": 1}'),
        (_junit, b"<testsuite></testsuite>"),
        (_junit, b"<report><testcase name='a'/></report>"),
        (_junit, b""),
        (_go, b""),
        (_go, b'{"Action":"run","Package":"p","Test":"T"}\n{"Action":"start","Package":"p"}\n'),
        (_go, b'{"Action":"pass","Package":"p"}\n'),
        (
            _go,
            b'{"Action":"pass","Package":"p","Test":"S"}\n{"Action":"start","Package":"p"}\n{"Action":"run","Package":"p","Test":"T"}\n',
        ),
        (_cargo, b""),
        (_cargo, b"test result: ok. 3 passed; 0 failed; 0 ignored;\ntest a ... ok\n"),
        (_eslint, b"Oops!"),
    ],
)
def test_a_zero_that_no_output_bears_out_is_trouble(read: Reader, data: bytes, tmp_path: Path) -> None:
    parsed = read(data, 0, tmp_path)
    assert parsed.trouble.startswith(("runner: ", "check: "))
    assert parsed.trouble.endswith(")")


def test_a_bomb_in_xml_is_refused_unread() -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><testsuite><testcase name="&b;"/></testsuite>'
    with pytest.raises(UnreadableXmlError, match="DOCTYPE"):
        read_cases(bomb)
    with pytest.raises(UnreadableXmlError, match="UTF-8"):
        read_cases(bomb.decode().encode("utf-16"))


def test_warnings_count_for_eslint_where_they_made_it_red(tmp_path: Path) -> None:
    data = b'[{"filePath":"a.js","messages":[{"ruleId":"x","severity":1,"message":"m","line":2}]}]'
    assert _eslint(data, 1, tmp_path).failed == ("a.js::x[m]",)


def test_fixable_is_what_ruff_calls_safe(tmp_path: Path) -> None:
    data = (DATA / "ruff" / "red.json").read_bytes().replace(b"@TREE@", str(tmp_path).encode())
    fixable = {f.shape for f in _ruff(data, 1, tmp_path).failures if f.fixable}
    assert fixable == {"F401", "F811", "I001"}  # F841 has a fix too, an unsafe one


def test_a_report_of_newer_go_names_the_package_that_does_not_build(tmp_path: Path) -> None:
    lines = (
        b'{"ImportPath":"m/b [m/b.test]","Action":"build-output","Output":"# m/b [m/b.test]\\n"}\n'
        b'{"ImportPath":"m/b [m/b.test]","Action":"build-output","Output":"b/b.go:3:2: undefined: x\\n"}\n'
        b'{"ImportPath":"m/b [m/b.test]","Action":"build-fail"}\n'
        b'{"Action":"start","Package":"m/b"}\n{"Action":"fail","Package":"m/b","Elapsed":0,"FailedBuild":"m/b [m/b.test]"}\n'
    )
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "b.go").write_text("\n" * 5)
    parsed = go.parse(lines.decode(), check=_check("go"), code=1, cwd=tmp_path, tree=tmp_path, module="m")
    assert (parsed.failed, str(parsed.failures[0].place), parsed.failures[0].shape) == (("m/b",), "b/b.go:3", "build")
    assert not parsed.trouble


def _pytest(events: bytes, xml: bytes, code: int, tree: Path) -> Parsed:
    return pytest_kind.parse(_witnesses(events, xml, code), check=_check("pytest"), cwd=tree, tree=tree)


def test_witnesses_of_pytest_that_contradict_each_other_are_not_believed(tmp_path: Path) -> None:
    events, xml = (DATA / "pytest" / "red.jsonl").read_bytes(), (DATA / "pytest" / "red.xml").read_bytes()
    assert not _pytest(events, xml, 1, tmp_path).trouble
    one_less = xml.replace(
        b'classname="tests.test_calc" name="test_deep"', b'classname="tests.test_calc" name="test_setup"'
    )
    assert one_less != xml
    assert "disagree: 9 or 8 failed" in _pytest(events, one_less, 1, tmp_path).trouble
    assert "its process with 1" in _pytest(events.replace(b'"exit": 1', b'"exit": 0'), xml, 1, tmp_path).trouble
    assert "its process with 0" in _pytest(events, xml, 0, tmp_path).trouble
    both = events.replace(b'"exit": 1', b'"exit": 0')
    assert "ended with 0 although 9 tests failed" in _pytest(both, xml, 0, tmp_path).trouble
    calm = [
        x.replace(b'"failed"', b'"passed"') if CANARY.encode() in x and b'"report"' in x else x
        for x in events.split(b"\n")
    ]
    assert "was not seen failing" in _pytest(b"\n".join(calm), xml, 1, tmp_path).trouble
    assert _pytest(events + b'{"event": "rep\n', xml, 1, tmp_path).trouble.startswith("runner: ")
    assert "no JUnit report" in pytest_kind.parse(
        replace(_witnesses(events, xml, 1), junit=None), check=_check("pytest"), cwd=tmp_path, tree=tmp_path
    ).trouble  # fmt: skip


def test_a_test_of_pytest_that_was_collected_and_has_no_result_is_not_believed(tmp_path: Path) -> None:
    events, xml = (DATA / "pytest" / "red.jsonl").read_bytes(), (DATA / "pytest" / "red.xml").read_bytes()
    lines = events.splitlines(keepends=True)
    passed = [x for x in lines if b'"report"' in x and b'"passed"' in x and CANARY.encode() not in x]
    test_id = json.loads(passed[0].partition(b"\t")[0])["id"]
    trouble = _pytest(events.replace(passed[0], b""), xml, 1, tmp_path).trouble
    assert trouble.startswith(f"runner: 1 collected tests have no result, {test_id} first")


@pytest.mark.parametrize(
    "sample", [s for s in SAMPLES if s.read not in (_generic, _pytest_events, _pytest_xml)], ids=lambda s: s.name
)
def test_exit_code_and_findings_must_agree(sample: Sample, tmp_path: Path) -> None:
    assert sample.read(sample.data, 0, tmp_path).trouble.startswith(("runner: ", "check: "))
    assert sample.read(sample.data, 99, tmp_path).trouble.startswith("runner: ") or sample.read is _junit
    empty = b"[]" if sample.name.endswith(".json") else b""
    assert sample.read(empty, sample.code, tmp_path).trouble.startswith(("runner: ", "check: "))
