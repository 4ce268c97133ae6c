"""Planted one-line bugs in small modules of several styles: the module, its tests, the right line and the wrong one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bug:
    """`right` is a part of `module`, which `wrong` replaces; `test` fails then."""

    name: str
    module: str
    test: str
    right: str
    wrong: str

    @property
    def broken(self) -> str:
        assert self.module.count(self.right) == 1, self.name
        return self.module.replace(self.right, self.wrong)


_CLAMP = """\
def clamp(x, low, high):
    if x < low:
        return low
    if x > high:
        return high
    return x
"""
_CLAMP_TEST = """\
import pytest
from {m} import clamp


@pytest.mark.parametrize('x,want', [(1, 3), (5, 5), (20, 9), (9, 9), (3, 3)])
def test_clamp(x, want):
    assert clamp(x, 3, 9) == want
"""
_STACK = """\
class Stack:
    '''Last in, first out: ünïcode beside it.'''

    limit = 3

    def __init__(self):
        self.items = []
        self.gone = []

    def push(self, item):
        if len(self.items) >= self.limit:
            raise OverflowError(item)
        self.items.append(item)

    def pop(self):
        item = self.items.pop()
        self.gone.append(item)
        return item
"""
_STACK_TEST = """\
import pytest
from {m} import Stack


def test_order():
    s = Stack()
    s.push(1)
    s.push(2)
    assert (s.pop(), s.pop()) == (2, 1)
    assert (s.items, s.gone) == ([], [2, 1])


def test_limit():
    s = Stack()
    for n in (1, 2, 3):
        s.push(n)
    assert Stack.limit == 3
    with pytest.raises(OverflowError):
        s.push(4)
"""
_SEARCH = """\
def find(xs, x):
    lo, hi = 0, len(xs)
    while lo < hi:
        mid = (lo + hi) // 2
        if xs[mid] < x:
            lo = mid + 1
        else:
            hi = mid
    return lo if lo < len(xs) and xs[lo] == x else -1
"""
_SEARCH_TEST = """\
import pytest
from {m} import find


@pytest.mark.parametrize('xs,x,want', [([], 1, -1), ([1], 1, 0), ([1, 3, 5, 7], 7, 3),
    ([1, 3, 5, 7], 1, 0), ([1, 3, 5, 7], 4, -1), ([1, 3, 5, 7], 8, -1), ([1, 3, 5], 3, 1)])
def test_find(xs, x, want):
    assert find(xs, x) == want
"""
_TEXT = """\
def initials(name):
    return ''.join(part[0].upper() for part in name.split() if part)


def is_blank(text):
    return text is None or not text.strip()


def middle(text):
    return text[1:-1]


def chunks(xs, n):
    for i in range(0, len(xs), n):
        yield xs[i:i + n]
"""
_TEXT_TEST = """\
from {m} import chunks, initials, is_blank, middle


def test_initials():
    assert initials('ada lovelace') == 'AL'


def test_blank():
    assert is_blank(None) and is_blank(' ') and not is_blank('a')


def test_middle():
    assert middle('abcd') == 'bc'


def test_chunks():
    assert list(chunks([1, 2, 3, 4, 5], 2)) == [[1, 2], [3, 4], [5]]
"""
_PRICE = """\
from dataclasses import dataclass

FREE_FROM = 50


@dataclass
class Line:
    price: int
    count: int = 1

    @property
    def total(self):
        return self.price * self.count


def bill(lines, discount=0):
    total = 0
    for line in lines:
        if line.price < 0:
            continue
        total += line.total
    postage = 0 if total >= FREE_FROM else 5
    return max(total - discount, 0) + postage
"""
_PRICE_TEST = """\
from {m} import Line, bill


def test_bill():
    assert bill([Line(10), Line(5, 2)]) == 25


def test_free():
    assert bill([Line(50)]) == 50


def test_not_free():
    assert bill([Line(49)]) == 54


def test_none():
    assert bill([Line(-10), Line(20)]) == 25


def test_discount():
    assert bill([Line(60)], 10) == 50
    assert bill([Line(60)], 70) == 0
"""

BUGS = (
    Bug("flipped_comparison", _CLAMP, _CLAMP_TEST, "x > high", "x < high"),
    Bug("wrong_name_returned", _CLAMP, _CLAMP_TEST, "return low", "return high"),
    Bug("boundary_in_method", _STACK, _STACK_TEST, ">= self.limit", "> self.limit"),
    Bug("class_constant", _STACK, _STACK_TEST, "limit = 3", "limit = 2"),
    Bug("wrong_attribute", _STACK, _STACK_TEST, "self.gone.append(item)", "self.items.append(item)"),
    Bug("off_by_one", _SEARCH, _SEARCH_TEST, "lo = mid + 1", "lo = mid + 2"),
    Bug("and_or", _SEARCH, _SEARCH_TEST, "lo < len(xs) and xs[lo]", "lo < len(xs) or xs[lo]"),
    Bug("wrong_constant", _SEARCH, _SEARCH_TEST, "lo, hi = 0", "lo, hi = 1"),
    Bug("lower_upper", _TEXT, _TEXT_TEST, "upper()", "lower()"),
    Bug("missing_not", _TEXT, _TEXT_TEST, "or not text.strip()", "or text.strip()"),
    Bug("slice_bound", _TEXT, _TEXT_TEST, "text[1:-1]", "text[1:]"),
    Bug("generator_step", _TEXT, _TEXT_TEST, "xs[i:i + n]", "xs[i:i - n]"),
    Bug("operator_in_property", _PRICE, _PRICE_TEST, "self.price * self.count", "self.price + self.count"),
    Bug("module_constant_boundary", _PRICE, _PRICE_TEST, "total >= FREE_FROM", "total > FREE_FROM"),
    Bug("break_continue", _PRICE, _PRICE_TEST, "continue", "break"),
    Bug("augmented", _PRICE, _PRICE_TEST, "total += line.total", "total -= line.total"),
    Bug("min_max", _PRICE, _PRICE_TEST, "max(total", "min(total"),
)  # fmt: skip
