"""What the reader of Rust sees in tests."""

import pytest

from zwarm_ci.verify.reading.base import EXACT, PART, TRUTH, VACUOUS, TestCase, TestFile
from zwarm_ci.verify.reading.rust import read
from zwarm_ci.verify.reading.table import has_inline_tests, reader


def file_of(text: str, path: str = "tests/calc.rs") -> TestFile:
    return read(path, text)


def body(text: str) -> TestCase:
    (case,) = file_of(f"#[test]\nfn it() {{\n{text}\n}}\n").cases
    return case


STRENGTHS = [
    ("assert_eq!(f(1), 3);", EXACT),
    ("assert_ne!(f(1), 3);", PART),
    ("assert!(f(1));", TRUTH),
    ("assert!(f(1) == 3);", EXACT),
    ("assert!(f(1) > 3);", PART),
    ("assert!(true);", VACUOUS),
    ("assert_eq!(3, 3);", VACUOUS),
    ("assert_eq!(x, x);", VACUOUS),
    ("assert!(f(1).is_ok());", TRUTH),
    ("assert!(f(1).is_err());", PART),
    ("assert!(matches!(f(1), Ok(_)));", PART),
    ("assert!(f(1) || true);", VACUOUS),
    ("debug_assert_eq!(f(1), 3);", EXACT),
    ("f(1).g().unwrap();", TRUTH),
    ("f(1).g().unwrap_err();", PART),
    ('panic!("x");', TRUTH),
    ("insta::assert_snapshot!(f(1));", EXACT),
    ("check_all(f(1), 3);", EXACT),
    ("assert_relative_eq!(f(1), 3.0, epsilon = 0.5);", EXACT),
]


@pytest.mark.parametrize(("text", "strength"), STRENGTHS)
def test_how_much_an_assertion_holds(text: str, strength: int) -> None:
    if text.startswith("insta"):
        text = text.removeprefix("insta::")
    assert [a.strength for a in body(text).assertions] == [strength]


@pytest.mark.parametrize(
    "mark",
    [
        "#[ignore]",
        '#[ignore = "slow"]',
        '#[cfg(feature = "x")]',
        "#[cfg(any())]",
        "#[should_panic]",
        "#[cfg_attr(test, ignore)]",
    ],
)
def test_what_keeps_a_test_from_running(mark: str) -> None:
    for text in (f"#[test]\n{mark}\nfn a() {{ f() }}", f"{mark}\n#[tokio::test]\nasync fn a() {{ f() }}"):
        (case,) = file_of(text).cases
        assert case.off
    (inner,) = file_of(f"#[cfg(test)]\n{mark}\nmod tests {{\n    #[test]\n    fn a() {{}}\n}}", "src/lib.rs").cases
    assert inner.off


@pytest.mark.parametrize("text", ["return; f();", "if false { f(); }", "std::process::exit(0);"])
def test_what_ends_a_test(text: str) -> None:
    assert body(text).off


@pytest.mark.parametrize(
    "text",
    ["let _ = f();", "f().g().ok();", "let r = std::panic::catch_unwind(|| f());", "let r = catch_unwind(|| f());"],
)
def test_what_hides_a_failure(text: str) -> None:
    assert body(text).swallows


SOURCE = """
use std::fmt;
pub fn add(a: i32) -> i32 { a }
fn helper() {}
#[cfg(test)]
mod tests {
    use super::{add, deep::{one, two as three}};
    const CASES: &[i32] = &[1, 2];
    fn own() {}
    t!(made: "a" => "b");
    mod inner {
        #[test]
        fn adds() { assert_eq!(add(1), 1); }
    }
    #[rstest]
    #[case(1, 2)]
    #[case(2, 3)]
    fn table(#[case] a: i32, #[case] b: i32) { assert_eq!(add(a), b); }
    proptest! {
        #[test]
        fn any(x in 0..100i32) { prop_assert!(add(x) < 100); }
    }
}
"""


def test_inline_tests() -> None:
    found = file_of(SOURCE, "src/lib.rs")
    assert [c.name for c in found.cases] == ["tests::made", "tests::inner::adds", "tests::table", "tests::any"]
    assert list(found.helpers) == ["tests::const CASES", "tests::fn own"]  # and nothing of the source
    assert found.subjects == {"super": ("add",), "super::deep": ("one", "two")}
    assert len(found.cases[2].rows) == 2
    assert [n.text for n in found.cases[3].ranges] == ["x in 0..100i32"]
    assert has_inline_tests("src/lib.rs", SOURCE)
    assert not has_inline_tests("src/lib.rs", "pub fn add() {}")
    assert reader("src/lib.rs") is not None


def test_source_alone_changes_nothing() -> None:
    assert file_of(SOURCE, "src/lib.rs") == file_of(SOURCE.replace("-> i32 { a }", "-> i32 { b }"), "src/lib.rs")


def test_panics_whole_files_and_rows() -> None:
    (case,) = file_of('#[test]\n#[should_panic(expected = "boom")]\nfn a() { f() }').cases
    assert (case.assertions[0].strength, case.off[0].text) == (EXACT, '#[should_panic(expected="boom")]')
    assert file_of('#![cfg(feature = "x")]\n').off
    assert body("for (a, b) in [(1, 2), (3, 4)] { assert_eq!(f(a), b); }").rows == ("(1,2)", "(3,4)")
    assert body("let cases = [(1, 2)]; for (a, b) in cases { assert_eq!(f(a), b); }").rows == ("(1,2)",)
    assert [n.text for n in body("for i in 0..10 { f(i); }").ranges] == ["0..10"]


def test_tolerances_and_format() -> None:
    assert body("assert!((f(1) - 3.0).abs() < 0.5);").assertions[0].tolerance == 0.5
    assert body("assert_relative_eq!(f(1), 3.0, epsilon = 0.5);").assertions[0].tolerance == 0.5
    assert body("assert_eq!(f( 1 ), 3,); // why").shape == body("assert_eq!(\n  f(1),\n  3\n);").shape
    assert body("f('a', 'static, \"x\", r#\"a\"b\"#, b'\\'');").shape


@pytest.mark.parametrize(
    "text",
    [
        "fn a() {",
        'r#"',
        "/* /* */",
        "\0\0",
        "#[",
        "#[test] fn",
        "#[test]",
        "mod a {" * 200 + "}" * 200,
        "use a::{" * 200 + "}" * 200,
        "'",
        "#![",
        "{" * 1500,
        "\ud800",
    ],
)
def test_nothing_raises(text: str) -> None:
    for path in ("tests/a.rs", "src/lib.rs"):
        assert isinstance(file_of(text, path).readable, bool)
        assert isinstance(file_of("#[cfg(test)] mod t { #[test] fn a() { " + text + " } }", path).readable, bool)
