"""What the reader of JavaScript and TypeScript sees in tests of several frameworks."""

import pytest

from zwarm_ci.verify.reading.base import EXACT, PART, TRUTH, VACUOUS, TestCase, TestFile
from zwarm_ci.verify.reading.javascript import read


def file_of(text: str, path: str = "calc.test.js") -> TestFile:
    return read(path, text)


def body(text: str) -> TestCase:
    """The only test, with this body."""
    (case,) = file_of(f"test('it', async (t) => {{\n{text}\n}})").cases
    return case


STRENGTHS = [
    ("expect(add(1, 2)).toBe(3)", EXACT),
    ("expect(add(1, 2)).toEqual({ a: 1 })", EXACT),
    ("expect(f()).toBeNull()", EXACT),
    ("expect(f()).toThrow('boom')", PART + 1),
    ("expect(f).toThrow(TypeError)", PART),
    ("expect(f).toThrow()", PART),
    ("expect(f).not.toThrow()", TRUTH),
    ("expect(f()).toBeTruthy()", TRUTH),
    ("expect(f()).toBeDefined()", TRUTH),
    ("expect(f()).not.toBe(3)", PART),
    ("expect(f()).not.toBeNull()", TRUTH),
    ("expect(f()).toContain(3)", PART),
    ("expect(f()).toHaveLength(3)", PART),
    ("expect(f()).toBeGreaterThan(3)", PART),
    ("expect(f()).toEqual(expect.anything())", TRUTH),
    ("expect(f()).toEqual(expect.any(Number))", TRUTH),
    ("expect(f() || true).toBe(true)", VACUOUS),
    ("expect(true).toBe(true)", VACUOUS),
    ("expect(1).toBeTruthy()", VACUOUS),
    ("expect(x).toBe(x)", VACUOUS),
    ("expect([f()]).toBeTruthy()", VACUOUS),
    ("expect(f())", VACUOUS),
    ("expect(typeof f()).toBe('number')", TRUTH),
    ("expect(!!f()).toBe(true)", TRUTH),
    ("expect(f() instanceof Map).toBe(true)", TRUTH),
    ("expect(f()).toMatchInlineSnapshot(`1`)", EXACT),
    ("expect(f()).to.equal(3)", EXACT),
    ("expect(f()).to.be.true", EXACT),
    ("expect(f()).to.exist", TRUTH),
    ("expect(f()).to.deep.include({ a: 1 })", PART),
    ("f().should.equal(3)", EXACT),
    ("assert.strictEqual(f(), 3)", EXACT),
    ("assert.ok(f())", TRUTH),
    ("assert(f())", TRUTH),
    ("assert(f() === 3)", EXACT),
    ("assert(true)", VACUOUS),
    ("assert.equal(3, 3)", VACUOUS),
    ("assert.notEqual(f(), 3)", PART),
    ("assert.throws(f, /boom/)", EXACT),
    ("assert.throws(f)", PART),
    ("assert.doesNotThrow(f)", TRUTH),
    ("t.is(f(), 3)", EXACT),
    ("t.truthy(f())", TRUTH),
    ("t.pass()", VACUOUS),
    ("t.true(f())", EXACT),
    ("t.assert.deepEqual(f(), [1])", EXACT),
    ("request(app).get('/').expect(200, done)", EXACT),
    ("checkAll(f(), 3)", EXACT),
    ("sinon.assert.calledWith(s, 1)", EXACT),
    ("expectTypeOf(f()).toEqualTypeOf<string>()", EXACT),
]


@pytest.mark.parametrize(("text", "strength"), STRENGTHS)
def test_how_much_an_assertion_holds(text: str, strength: int) -> None:
    assert [a.strength for a in body(text).assertions] == [strength]


SWITCHED_OFF = [
    "it.skip('a', () => { f() })",
    "xit('a', () => { f() })",
    "test.todo('a')",
    "it('a')",
    "test.failing('a', () => { f() })",
    "describe.skip('d', () => { it('a', () => {}) })",
    "test('a', { skip: true }, () => { f() })",
    "test('a', { todo: 'later' }, () => { f() })",
    "it('a', function () { this.skip(); f() })",
    "test('a', (t) => { t.skip(); f() })",
    "test('a', () => { return; expect(f()).toBe(1) })",
    "test('a', (done) => { done(); expect(f()).toBe(1) })",
    "test('a', () => { if (false) { expect(f()).toBe(1) } })",
    "test('a', () => { process.exit(0) })",
    "it.skipIf(process.env.CI)('a', () => { f() })",
    "test.fixme('a', () => {})",
    "process.exit(0)\ntest('a', () => { f() })",
    "test('a', () => { for (const x of []) { expect(x).toBe(1) } })",
]


@pytest.mark.parametrize("text", SWITCHED_OFF)
def test_what_keeps_a_test_from_running(text: str) -> None:
    assert all(c.off for c in file_of(text).cases)
    assert file_of(text).cases


@pytest.mark.parametrize(
    "text",
    [
        "it.only('a', () => {})",
        "fit('a', () => {})",
        "describe.only('d', () => {})",
        "fdescribe('d', () => {})",
        "test('a', { only: true }, () => {})",
    ],
)
def test_what_keeps_others_from_running(text: str) -> None:
    assert file_of(text).only


SWALLOWS = [
    "try { expect(f()).toBe(1) } catch {}",
    "try { expect(f()).toBe(1) } catch (e) { console.log(e) }",
    "await p().then(() => expect(1).toBe(x)).catch(() => {})",
    "await p().catch(noop)",
    "try { expect(f()).toBe(1) } finally { return }",
    "expect(p()).rejects.toThrow('x')",
    "process.on('uncaughtException', () => {})",
]


@pytest.mark.parametrize("text", SWALLOWS)
def test_what_hides_a_failure(text: str) -> None:
    assert body(text).swallows


HEARD = [
    "try { f(); fail('no') } catch (e) { expect(e.code).toBe(1) }",
    "const e = await p().catch((error) => error); expect(e).toBe(1)",
    "await expect(p()).rejects.toThrow('x')",
    "try { f() } catch (e) { throw e }",
    "p().then(() => done(), done)",
]


@pytest.mark.parametrize("text", HEARD)
def test_what_hides_nothing(text: str) -> None:
    assert not body(text).swallows


DOUBLES = [
    "jest.mock('./calc')",
    "vi.mock('./calc', () => ({}))",
    "jest.spyOn(calc, 'add').mockReturnValue(3)",
    "sinon.stub(calc, 'add').returns(3)",
    "t.mock.method(calc, 'add', () => 3)",
    "calc.add = () => 3",
    "Calc.prototype.add = () => 3",
    "mock.module('./calc', {})",
    "proxyquire('./calc', {})",
]


@pytest.mark.parametrize("text", DOUBLES)
def test_what_replaces_the_subject(text: str) -> None:
    found = file_of(f"import {{ calc, Calc }} from './calc'\ntest('it', (t) => {{ {text} }})\n").cases[0]
    shared = file_of(f"import {{ calc, Calc }} from './calc'\n{text}\ntest('it', (t) => {{ f() }})\n").cases[0]
    assert found.doubles
    assert shared.doubles  # for all tests of the file


def test_suites_tables_and_names() -> None:
    found = file_of(
        "const cases = [[1, 2], [3, 4]]\ndescribe('d', () => {\n  it.each([[1], [2]])('each %i', (a) => {})\n  for (const [a, b] of cases) {\n"
        "    it(`loop ${a}`, () => { expect(a).toBe(b) })\n  }\n  test.each`\n  a | b\n  1 | 2\n"
        "  `('table', () => {})\n  it('same', () => {})\n  it('same', () => {})\n})\n"
    )
    assert [c.name for c in found.cases] == ["d::each %i", "d::loop ${a}", "d::table", "d::same", "d::same#2"]
    assert [len(c.rows) for c in found.cases] == [2, 2, 2, 0, 0]
    assert "cases" in found.helpers


def test_subtests_are_tests() -> None:
    found = file_of(
        "import test from 'node:test'\ntest('a', async (t) => {\n  t.assert.equal(f(), 1)\n  await t.test('b', () => { expect(1).toBe(f()) })\n})"
    )
    assert [(c.name, len(c.assertions)) for c in found.cases] == [("a", 1), ("a::b", 1)]


def test_other_names_for_the_same() -> None:
    found = file_of(
        "const check = require('assert')\nimport { it as case_ } from 'vitest'\ncase_('a', () => { check.equal(f(), 1) })"
    )
    assert [(c.name, len(c.assertions)) for c in found.cases] == [("a", 1)]


def test_its_own_expect_is_said() -> None:
    assert file_of("const expect = () => ({ toBe() {} })\ntest('a', () => {})").off
    assert file_of("globalThis.expect = () => {}\ntest('a', () => {})").off


def test_subjects_and_helpers() -> None:
    found = file_of(
        "import add, { sub as minus } from './calc.js'\nconst { x } = require('fs')\nfunction helper() {}\nbeforeEach(() => { reset() })\n"
    )
    assert found.subjects == {"./calc.js": ("add", "sub"), "fs": ("x",)}
    assert list(found.helpers) == ["helper", "beforeEach(()=>{reset()})"]


def test_format_and_comments_make_no_difference() -> None:
    one = file_of("test('a', (x) => {\n  expect(f('b', [1, 2])).toBe(3);\n});\n")
    other = file_of('test("a", x => {\n  // a comment\n  expect(\n    f("b", [1, 2,],),\n  ).toBe(3)\n})\n')
    assert one.cases[0].shape == other.cases[0].shape
    assert one.cases[0].assertions[0].text == other.cases[0].assertions[0].text
    assert file_of("test('renamed', x => { expect(f('b', [1, 2])).toBe(3) })").cases[0].shape == one.cases[0].shape


def test_tolerances_and_ranges() -> None:
    assert body("expect(f()).toBeCloseTo(0.3, 5)").assertions[0].tolerance == pytest.approx(5e-6)
    assert body("expect(f()).to.be.closeTo(3, 0.5)").assertions[0].tolerance == 0.5
    assert [n.text for n in body("for (let i = 0; i < 10; i++) { expect(f(i)).toBe(i) }").ranges] == ["i<10"]


@pytest.mark.parametrize(
    "text",
    [
        "test('a', () => {",
        "`${",
        "/* open",
        "\0" * 9,
        "((" * 5000,
        "${`" * 3000,
        "test(" * 9000,
        "describe('a', () => {" * 300 + "})" * 300,
        "\ud800",
    ],
)
def test_nothing_raises(text: str) -> None:
    assert isinstance(file_of(text).readable, bool)


def test_what_is_not_closed_is_unreadable() -> None:
    assert not file_of("test('a', () => {").readable
    assert not file_of("x" * 2_000_001).readable
    assert file_of("const a = <p>don't :)</p>\ntest('a', () => { expect(1).toBe(x) })", "a.test.tsx").cases
