"""What the reader of Go sees in tests."""

import pytest

from zwarm_ci.verify.reading.base import EXACT, PART, TRUTH, VACUOUS, TestCase, TestFile
from zwarm_ci.verify.reading.go import read

HEAD = 'package a\n\nimport (\n\t"testing"\n\tc "example.org/calc"\n)\n\n'


def file_of(text: str, path: str = "calc_test.go") -> TestFile:
    return read(path, text)


def body(text: str) -> TestCase:
    (case,) = file_of(f"{HEAD}func TestIt(t *testing.T) {{\n{text}\n}}\n").cases
    return case


STRENGTHS = [
    ('if got := f(); got != 3 { t.Errorf("x") }', EXACT),
    ("if err != nil { t.Fatal(err) }", TRUTH),
    ("if err != nil { panic(err) }", TRUTH),
    ('if err == nil { t.Fatal("x") }', PART),
    ("if !ok { t.Fail() }", TRUTH),
    ('if !reflect.DeepEqual(f(), want) { t.Error("x") }', EXACT),
    ('if len(got) != 3 { t.Error("x") }', PART),
    ('if got < 3 { t.Error("x") }', PART),
    ('if diff := cmp.Diff(want, got); diff != "" { t.Error(diff) }', EXACT),
    ('if !strings.Contains(got, "x") { t.Error("x") }', PART),
    ("t.Fatal()", TRUTH),
    ("if got != got { t.Error() }", VACUOUS),
    ("if 1 != 1 { t.Error() }", VACUOUS),
    ("assert.Equal(t, 3, f())", EXACT),
    ("require.NoError(t, err)", TRUTH),
    ("assert.Error(t, err)", PART),
    ("assert.True(t, f() == 3)", EXACT),
    ("assert.True(t, ok)", TRUTH),
    ("assert.Equal(t, 3, 3)", VACUOUS),
    ("assert.True(t, true)", VACUOUS),
    ("assert.Contains(t, f(), 3)", PART),
    ("assert.NotNil(t, f())", TRUTH),
    ("checkSame(t, f(), 3)", EXACT),
    ("rows{{1, 2}}.validate(t)", EXACT),
    ("Expect(f()).To(Equal(3))", EXACT),
]


@pytest.mark.parametrize(("text", "strength"), STRENGTHS)
def test_how_much_an_assertion_holds(text: str, strength: int) -> None:
    assert [a.strength for a in body(text).assertions] == [strength]


@pytest.mark.parametrize(
    "text",
    [
        't.Skip("later")',
        "t.SkipNow()",
        "if testing.Short() { return }",
        "return\nf()",
        "if false { f() }",
        "os.Exit(0)",
        "runtime.Goexit()",
    ],
)
def test_what_keeps_a_test_from_running(text: str) -> None:
    assert body(text).off


@pytest.mark.parametrize("text", ["defer func() { recover() }()", "t = &testing.T{}", "t := new(testing.T)"])
def test_what_hides_a_failure(text: str) -> None:
    assert body(text).swallows


@pytest.mark.parametrize(
    "text", ["c.Add = func(a, b int) int { return 3 }", "now = func() int { return 3 }", "monkey.Patch(c.Add, nil)"]
)
def test_what_replaces_the_subject(text: str) -> None:
    assert body(text).doubles


def test_whole_files() -> None:
    assert [n.text for n in file_of("//go:build integration\n\n" + HEAD).off] == ["//go:build integration"]
    assert file_of(HEAD, "calc_windows_test.go").off
    assert not file_of(HEAD, "calc_test.go").off
    assert file_of(HEAD + "func TestMain(m *testing.M) { os.Exit(0) }\n").off
    assert not file_of(HEAD + "func TestMain(m *testing.M) { os.Exit(m.Run()) }\n").off


def test_subtests_tables_and_methods() -> None:
    found = file_of(
        HEAD
        + "var table = []struct{ a, b int }{{1, 2}, {3, 4}}\n\nfunc TestAll(t *testing.T) {\n\tfor _, tt := range table {\n"
        '\t\tt.Run(tt.name, func(t *testing.T) {\n\t\t\tif tt.a != f(tt.b) {\n\t\t\t\tt.Error("x")\n\t\t\t}\n\t\t})\n\t}\n}\n\n'
        "func (s *Suite) TestOne() {\n\ts.Equal(1, f())\n}\n\nfunc helper() {}\n\nfunc TestNot() {}\n\nfunc Testify(t *testing.T) {}\n"
    )
    assert [(c.name, len(c.assertions), len(c.rows)) for c in found.cases] == [
        ("TestAll", 0, 2),
        ("TestAll::tt.name", 1, 0),
        ("Suite::TestOne", 1, 0),
    ]
    assert list(found.helpers) == ["var table", "helper", "TestNot", "Testify"]
    assert set(found.subjects) == {"testing", "example.org/calc"}


def test_examples() -> None:
    (case,) = file_of(HEAD + "func ExampleAdd() {\n\tfmt.Println(1)\n\t// Output:\n\t// 1\n}\n").cases
    assert (case.assertions[0].expected, case.off) == ("Output:\n1", ())
    (silent,) = file_of(HEAD + "func ExampleAdd() {\n\tfmt.Println(1)\n}\n").cases
    assert silent.off
    other = file_of(HEAD + "func ExampleAdd() {\n\tfmt.Println(1)\n\t// Output:\n\t// 2\n}\n").cases[0]
    assert other.shape != case.shape


def test_tolerances_ranges_and_format() -> None:
    assert body("assert.InDelta(t, 3.0, f(), 0.5)").assertions[0].tolerance == 0.5
    assert body('if math.Abs(got-want) > 0.25 { t.Error("x") }').assertions[0].tolerance == 0.25
    assert [n.text for n in body("for i := 0; i < 10; i++ { f(i) }").ranges] == ["i<10"]
    assert body("f(1,   2) // why").shape == body("/* x */ f(1, 2)").shape


@pytest.mark.parametrize(
    "text",
    [
        "func TestA(t *testing.T) {",
        "`",
        "/*",
        "\0\0",
        "func",
        "func (",
        "func Test(" * 900,
        "if if if",
        "{" * 1500,
        "import (",
        "var x = []int{",
        "\ud800",
    ],
)
def test_nothing_raises(text: str) -> None:
    assert isinstance(file_of(text).readable, bool)
    assert isinstance(file_of(HEAD + "func TestA(t *testing.T) { " + text + " }").readable, bool)


def test_tables_of_one_name() -> None:
    one = "func Test%s(t *testing.T) { tests := []int{%s}; for _, x := range tests { f(x) } }\n"
    found = file_of(HEAD + one % ("A", "1, 2") + one % ("B", "3"))
    assert [c.rows for c in found.cases] == [("1", "2"), ("3",)]
