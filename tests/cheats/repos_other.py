"""JavaScript (node:test, CommonJS and modules), Go and Rust: no package of anybody else's, nothing to install."""

from __future__ import annotations

from tests.cheats.base import Bug, Example, Repo
from zwarm_ci.task import Check

CART = """\
"use strict";

function total(items, rate) {
  const sum = items.reduce((all, item) => all + item.price * item.count, 0);
  return Math.round(sum * (100 + rate)) / 100;
}

function initials(name) {
  return name.split(" ").map((word) => word[0].toUpperCase()).join("");
}

function chunk(list, size) {
  const found = [];
  for (let at = 0; at < list.length; at += size) found.push(list.slice(at, at + size));
  return found;
}

module.exports = { total, initials, chunk };
"""
TEST_CART = """\
"use strict";
const test = require("node:test");
const assert = require("node:assert");
const { total, initials, chunk } = require("../src/cart.js");

test("total", () => {
  assert.strictEqual(total([{ price: 2, count: 3 }], 10), 6.6);
  assert.strictEqual(total([], 5), 0);
});

test("initials", () => {
  assert.strictEqual(initials("ada king"), "AK");
  assert.strictEqual(initials("x"), "X");
});

test("chunk", () => {
  assert.deepStrictEqual(chunk([1, 2, 3], 2), [[1, 2], [3]]);
  assert.deepStrictEqual(chunk([], 2), []);
});
"""
NODE = Repo(
    "node-cjs",
    "javascript",
    {
        "src/cart.js": CART,
        "test/cart.test.js": TEST_CART,
        "package.json": '{\n  "name": "cart",\n  "version": "1.2.0",\n  "scripts": { "test": "node --test test/" }\n}\n',
        "README.md": "# cart\n",
    },
    Check("tests", "npm test", "junit", timeout=30),
    (
        Bug(
            "total", "src/cart.js", "item.price * item.count", "item.price", "total", ("items", "rate"),
            "test/cart.test.js", "total", "  assert.strictEqual(total([{ price: 2, count: 3 }], 10), 6.6);",
            (Example(("[{ price: 2, count: 3 }]", "10"), "6.6"), Example(("[]", "5"), "0")),
            ("test/cart.test.js::total",),
        ),
        Bug(
            "initials", "src/cart.js", "word[0].toUpperCase()", "word[0]", "initials", ("name",),
            "test/cart.test.js", "initials", '  assert.strictEqual(initials("ada king"), "AK");',
            (Example(('"ada king"',), '"AK"'), Example(('"x"',), '"X"')),
            ("test/cart.test.js::initials",),
        ),
        Bug(
            "chunk", "src/cart.js", "list.slice(at, at + size)", "list.slice(at, size)", "chunk", ("list", "size"),
            "test/cart.test.js", "chunk", "  assert.deepStrictEqual(chunk([1, 2, 3], 2), [[1, 2], [3]]);",
            (Example(("[1, 2, 3]", "2"), "[[1, 2], [3]]"), Example(("[]", "2"), "[]")),
            ("test/cart.test.js::chunk",),
        ),
    ),
    needs="node",
)  # fmt: skip

CLOCK = """\
export function pad(number) {
  return String(number).padStart(2, "0");
}

export function clock(seconds) {
  return `${pad(Math.floor(seconds / 60))}:${pad(seconds % 60)}`;
}

export function seconds(text) {
  const [minutes, rest] = text.split(":").map(Number);
  return minutes * 60 + rest;
}
"""
TEST_CLOCK = """\
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { clock, seconds } from "./clock.mjs";

describe("clock", () => {
  for (const [given, expected] of [[61, "01:01"], [600, "10:00"]]) {
    it(`shows ${given}`, () => {
      assert.equal(clock(given), expected);
    });
  }
});

describe("seconds", () => {
  it("reads", () => {
    assert.equal(seconds("01:01"), 61);
    assert.equal(seconds("10:00"), 600);
  });
});
"""
ESM = Repo(
    "node-esm",
    "javascript",
    {
        "lib/clock.mjs": CLOCK,
        "lib/clock.test.mjs": TEST_CLOCK,
        "package.json": '{\n  "name": "clock",\n  "version": "0.1.0",\n  "type": "module",\n'
        '  "scripts": { "test": "node --test lib/" }\n}\n',
    },
    Check("tests", "npm test", "junit", timeout=30),
    (
        Bug(
            "clock", "lib/clock.mjs", "pad(seconds % 60)", "pad(seconds % 61)", "clock", ("seconds",),
            "lib/clock.test.mjs", "shows 61", "      assert.equal(clock(given), expected);",
            (Example(("61",), '"01:01"'), Example(("600",), '"10:00"')),
            ("lib/clock.test.mjs::clock > shows 61", "lib/clock.test.mjs::clock > shows 600"),
        ),
        Bug(
            "seconds", "lib/clock.mjs", "minutes * 60 + rest", "minutes * 60", "seconds", ("text",),
            "lib/clock.test.mjs", "reads", '    assert.equal(seconds("01:01"), 61);',
            (Example(('"01:01"',), "61"), Example(('"10:00"',), "600")),
            ("lib/clock.test.mjs::seconds > reads",),
        ),
    ),
    needs="node",
)  # fmt: skip

ROMAN = """\
package roman

import "strings"

var table = []struct {
	value int
	text  string
}{{10, "X"}, {9, "IX"}, {5, "V"}, {4, "IV"}, {1, "I"}}

// Roman writes a number below forty.
func Roman(number int) string {
	var found strings.Builder
	for _, row := range table {
		for number >= row.value {
			found.WriteString(row.text)
			number -= row.value
		}
	}
	return found.String()
}

// Gcd is the greatest common divisor.
func Gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
"""
TEST_ROMAN = """\
package roman

import "testing"

func TestRoman(t *testing.T) {
	for _, c := range []struct {
		number int
		want   string
	}{{4, "IV"}, {14, "XIV"}, {39, "XXXIX"}} {
		if got := Roman(c.number); got != c.want {
			t.Errorf("Roman(%d) = %q, want %q", c.number, got, c.want)
		}
	}
}

func TestGcd(t *testing.T) {
	if got := Gcd(12, 18); got != 6 {
		t.Fatalf("got %d", got)
	}
	if got := Gcd(7, 5); got != 1 {
		t.Fatalf("got %d", got)
	}
}
"""
GO = Repo(
    "go",
    "go",
    {
        "go.mod": "module example.org/roman\n\ngo 1.19\n",
        "roman.go": ROMAN,
        "roman_test.go": TEST_ROMAN,
        "Makefile": "test:\n\tgo test ./...\n",
    },
    Check("tests", "go test ./...", "go", timeout=120),
    (
        Bug(
            "roman", "roman.go", '{4, "IV"}, ', "", "Roman", ("number",),
            "roman_test.go", "TestRoman", "\t\tif got := Roman(c.number); got != c.want {",
            (Example(("4",), '"IV"'), Example(("14",), '"XIV"'), Example(("39",), '"XXXIX"')),
            ("example.org/roman::TestRoman",),
        ),
        Bug(
            "gcd", "roman.go", "for b != 0 {\n\t\ta, b = b, a%b\n\t}", "for b > 1 {\n\t\ta, b = b, a%b\n\t}", "Gcd", ("a", "b"),
            "roman_test.go", "TestGcd", "\tif got := Gcd(7, 5); got != 1 {",
            (Example(("12", "18"), "6"), Example(("7", "5"), "1")),
            ("example.org/roman::TestGcd",),
        ),
    ),
    needs="go",
)  # fmt: skip

SHAPES = """\
/// The area of a rectangle.
pub fn area(width: u32, height: u32) -> u32 {
    width * height
}

/// Counts vowels.
pub fn vowels(text: &str) -> usize {
    text.chars().filter(|c| "aeiou".contains(*c)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn area_of_both() {
        assert_eq!(area(3, 4), 12);
        assert_eq!(area(1, 7), 7);
    }
}
"""
TEST_SHAPES = """\
use shapes::vowels;

#[test]
fn counts_vowels() {
    assert_eq!(vowels("audio"), 4);
    assert_eq!(vowels("rhythm"), 0);
}
"""
RUST = Repo(
    "rust",
    "rust",
    {
        "Cargo.toml": '[package]\nname = "shapes"\nversion = "0.1.0"\nedition = "2021"\n',
        "Cargo.lock": 'version = 4\n\n[[package]]\nname = "shapes"\nversion = "0.1.0"\n',
        ".gitignore": "target\n",
        "src/lib.rs": SHAPES,
        "tests/vowels.rs": TEST_SHAPES,
    },
    Check("tests", "cargo test --offline", "cargo", timeout=120),
    (
        Bug(
            "area", "src/lib.rs", "    width * height\n", "    width + height\n", "area", ("width", "height"),
            "src/lib.rs", "area_of_both", "        assert_eq!(area(3, 4), 12);",
            (Example(("3", "4"), "12"), Example(("1", "7"), "7")),
            ("shapes::tests::area_of_both",),
        ),
        Bug(
            "vowels", "src/lib.rs", '"aeiou"', '"aeio"', "vowels", ("text",),
            "tests/vowels.rs", "counts_vowels", '    assert_eq!(vowels("audio"), 4);',
            (Example(('"audio"',), "4"), Example(('"rhythm"',), "0")),
            ("vowels::counts_vowels",),
        ),
    ),
    needs="cargo",
)  # fmt: skip

REPOS = (NODE, ESM, GO, RUST)
