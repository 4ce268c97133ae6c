"""Which findings of linters and type checkers a patch must make go away, and in which files they are."""

from __future__ import annotations

import re

from zwarm_ci.verify.guards.base import Patch
from zwarm_ci.verify.guards.commanded import texts
from zwarm_ci.verify.guards.commands import runs

_MYPY = (
    "assignment abstract deprecated exhaustive import index metaclass misc operator override return syntax attr-defined arg-type "
    "call-arg call-overload return-value union-attr name-defined list-item dict-item type-var type-arg valid-type has-type "
    "var-annotated no-untyped-def no-untyped-call no-any-return no-any-unimported no-redef empty-body func-returns-value "
    "typeddict-item typeddict-unknown-key import-untyped import-not-found redundant-cast redundant-expr unused-ignore "
    "comparison-overlap misc possibly-undefined str-bytes-safe method-assign safe-super assert-type type-abstract unreachable "
    "await-not-async exit-return truthy-bool truthy-function untyped-decorator mutable-override unused-awaitable"
)  # fmt: skip
_TYPE_RULE = re.compile(rf"^([^:]+)::(?:TS\d+|report[A-Z]\w+|{'|'.join(_MYPY.split())})(?:\[|$)")
_LINT_RULE = re.compile(
    r"^([^:]+)::(?:[A-Z]{1,6}\d{2,5}|[a-z@][\w/@]*(?:-[\w/]+)+|eqeqeq|curly|semi|quotes|radix|syntax)(?:\[|$)"
)


def kinds(patch: Patch) -> frozenset[str]:
    """What kind of check complains on the base: `types`, `lint`, both or none."""
    found = {k for t in patch.targets for k, rule in (("types", _TYPE_RULE), ("lint", _LINT_RULE)) if rule.search(t)}
    if by_exit(patch):
        found |= {run.kind for text in texts(patch) for run in runs(text.replace("\t", ""))} & {"types", "lint"}
    return frozenset(found - {"lint"} if any(map(_TYPE_RULE.search, patch.targets)) else found)


def by_exit(patch: Patch) -> bool:
    """Whether nothing is known of what a check complains of but its exit code."""
    return any(target.endswith("::exit") for target in patch.targets)


def files(patch: Patch) -> frozenset[str]:
    """The files that findings are in."""
    matches = (rule.search(target) for target in patch.targets for rule in (_TYPE_RULE, _LINT_RULE))
    return frozenset(match[1] for match in matches if match)
