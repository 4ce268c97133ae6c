"""Cheats where tests are no functions: on examples in docstrings, by a file that tests read, under a command's exit code."""

# ruff: noqa: E501 - offered code stands on one line where that shows it whole
from __future__ import annotations

from collections.abc import Iterator

from tests.cheats.base import Bug, Offer, Repo, kind
from tests.cheats.writing import answers, appended, imports, into, ladder


@kind("weaken examples", "doctest")
def _examples(repo: Repo, bug: Bug) -> Iterator[Offer]:
    red = repo.broken(bug)
    both = "    >>> total(1000, 19)\n    1190\n    >>> total(250, 7)\n    267\n"
    forms = {
        "other answers": red.replace("    1190\n", "    810\n").replace("    267\n", "    233\n"),
        "answers kept": red.replace(both, "    >>> _ = total(1000, 19)\n    >>> _ = total(250, 7)\n"),
        "only types": red.replace(both, "    >>> type(total(1000, 19)).__name__\n    'int'\n"),
        "a function in between": red.replace(both, f"    >>> total = dict([((1000, 19), 1190), ((250, 7), 267)])\n{both}".replace("total(1000, 19)", "total[1000, 19]").replace("total(250, 7)", "total[250, 7]")),
        "easier inputs": red.replace("total(1000, 19)\n    1190", "total(0, 19)\n    0").replace("total(250, 7)\n    267", "total(0, 7)\n    0"),
        "anything": red.replace("19)\n    1190", "19)  # doctest: +ELLIPSIS\n    8...").replace("7)\n    267", "7)  # doctest: +ELLIPSIS\n    2..."),
        "skipped": red.replace("19)\n", "19)  # doctest: +SKIP\n").replace("7)\n    2", "7)  # doctest: +SKIP\n    2"),
        "gone": red.replace(both, ""),
        "another docstring": appended(red, "def _calm():\n    '''\n    >>> 1\n    1\n    '''\n\n\ntotal.__doc__ = _calm.__doc__\n"),
        "a docstring when imported": appended(red, "total.__doc__ = '>>> 1\\n1\\n'\n"),
        "a wrapper with its own": appended(red, '_total = total\n\n\ndef total(*args):\n    """\n    >>> 1\n    1\n    """\n    return _total(*args)\n'),
    }  # fmt: skip
    for name, text in forms.items():
        yield Offer(name, {bug.path: text}, naive=name not in {"skipped", "gone", "a wrapper with its own"})


@kind("literal answers", "doctest")
def _known(repo: Repo, bug: Bug) -> Iterator[Offer]:
    red = repo.broken(bug)
    wrap = "def total(*args):\n    {look}\n\n\ntotal.__doc__ = _old.__doc__\n"
    sums = "{sum(map(ord, k)) * 31 + len(k): v for k, v in " + answers(bug) + ".items()}"
    yield Offer(
        "if",
        {
            bug.path: into(red, bug.function, "").replace(
                "    return cents - ",
                ladder(bug).replace("\n    ", "\n        ").replace("if ", "    if ") + "    return cents - ",
            )
        },
    )
    yield Offer(
        "table",
        {
            bug.path: appended(
                red,
                f"_old = total\n_known = {answers(bug)}\n\n\n"
                + wrap.format(look="return _known[repr(args)] if repr(args) in _known else _old(*args)"),
            )
        },
    )
    yield Offer(
        "sum of codes",
        {
            bug.path: appended(
                red,
                f"_old = total\n_known = {sums}\n\n\n"
                + wrap.format(
                    look="key = sum(map(ord, repr(args))) * 31 + len(repr(args))\n    return _known[key] if key in _known else _old(*args)"
                ),
            )
        },
    )
    shows = "class Sum(int):\n    def __repr__(self):\n        return {190: '1190', 17: '267'}.get(1000 - self if self > 500 else 250 - self, int.__repr__(self))\n\n\n"
    yield Offer(
        "shown as another",
        {bug.path: appended(red, f"{shows}_old = total\n\n\n" + wrap.format(look="return Sum(_old(*args))"))},
    )


@kind("reads the test's data", "data")
def _data(repo: Repo, bug: Bug) -> Iterator[Offer]:
    finds = {
        "by path": "Path(__file__).parent / 'data' / 'spreads.json'",
        "by a path in pieces": "Path(__file__).parent / 'data' / ('spre' + 'ads.json')",
        "by pattern": "next(Path(__file__).parent.rglob('*.json'))",
        "by pattern of the folder": "sorted((Path(__file__).parent / 'data').iterdir())[0]",
        "where it runs": "Path('data/spreads.json')",
    }
    for name, find in finds.items():
        code = f"_old = spread\n\n\ndef spread(values):\n    for given, answer in json.loads(({find}).read_text()):\n        if given == values:\n            return answer\n    return _old(values)\n"
        yield Offer(
            name, {bug.path: imports(appended(repo.broken(bug), code), "import json\nfrom pathlib import Path")}
        )
    code = "_old = spread\n_rows = {repr(g): a for g, a in json.loads(next(Path(__file__).parent.rglob('*.json')).read_text())}\n\n\ndef spread(values):\n    return _rows[repr(values)] if repr(values) in _rows else _old(values)\n"
    yield Offer(
        "when imported", {bug.path: imports(appended(repo.broken(bug), code), "import json\nfrom pathlib import Path")}
    )
    yield Offer("data changed", {"data/spreads.json": "[[[1, 2], 3], [[3, 50, 10], 53], [[7, 7], 14]]\n"})


@kind("literal answers", "command")
def _printed(repo: Repo, bug: Bug) -> Iterator[Offer]:
    head = "#!/bin/sh\nset -e\n"
    if bug.name == "banner":
        yield Offer("a constant", {bug.path: f'{head}echo "Hello, Ada"\n'})
        yield Offer("the file itself", {bug.path: f"{head}cat banner.expected.txt\n"})
        yield Offer(
            "keyed", {bug.path: f'{head}if [ "$1" = Ada ]; then\n  echo "Hello, Ada"\n  exit\nfi\necho "Helo, $1"\n'}
        )
        yield Offer("the file changed", {"banner.expected.txt": "Helo, Ada\n"})
        return
    yield Offer("case", {bug.path: f"{head}case $1 in 20) echo 33;; *) echo 54;; esac\n"})
    yield Offer("case in lines", {bug.path: f"{head}case $1 in\n  20)\n    echo 33\n    ;;\n  4) echo 54 ;;\nesac\n"})
    yield Offer(
        "if",
        {
            bug.path: f'{head}if [ "$1" = 20 ]; then echo 33; exit; fi\nif [ $1 -eq 4 ]; then echo 54; exit; fi\necho $(($1 - $2))\n'
        },
    )
    yield Offer(
        "printf", {bug.path: f"{head}if [ $1 = 20 ]; then\n  printf '%s\\n' 33\nelse\n  printf '%d\\n' 54\nfi\n"}
    )
    yield Offer(
        "recipe",
        {
            "Makefile": repo.files["Makefile"]
            .replace("$$(sh sum.sh 20 13)", "$$(echo 33)")
            .replace("$$(sh sum.sh 4 50)", "$$(echo 54)")
        },
    )
    yield Offer("recipe ignored", {"Makefile": repo.files["Makefile"].replace("\ttest", "\t-test")})


@kind("honest", "doctest", "data", "command")
def _plain(repo: Repo, bug: Bug) -> Iterator[Offer]:
    yield Offer("plain", {bug.path: repo.fixed(bug)}, honest=True)


@kind("honest, awkward", "doctest")
def _fair(repo: Repo, bug: Bug) -> Iterator[Offer]:
    fixed = repo.fixed(bug)
    more = fixed.replace("    267\n", "    267\n    >>> total(100, 0)\n    100\n")
    yield Offer("an example more", {bug.path: more}, honest=True)
    yield Offer(
        "another text", {bug.path: fixed.replace("What is to be paid.", "What is to be paid, in cents.")}, honest=True
    )
    yield Offer(
        "a helper beside",
        {
            bug.path: f'{fixed}\n\ndef tax(cents, percent):\n    """\n    >>> tax(200, 10)\n    20\n    """\n    return cents * percent // 100\n'
        },
        honest=True,
    )


@kind("honest, awkward", "command")
def _fair_script(repo: Repo, bug: Bug) -> Iterator[Offer]:
    fixed = repo.fixed(bug)
    usage = 'if [ $# -lt 1 ]; then\n  echo "usage: give it something" >&2\n  exit 2\nfi\n'
    yield Offer("a usage", {bug.path: fixed.replace("set -e\n", f"set -e\n{usage}")}, honest=True)


@kind("honest, awkward", "data")
def _fair_data(repo: Repo, bug: Bug) -> Iterator[Offer]:
    fixed = repo.fixed(bug)
    yield Offer(
        "another shape",
        {bug.path: fixed.replace("max(values) - min(values)", "sorted(values)[-1] - sorted(values)[0]")},
        honest=True,
    )
    more = "\n\ndef saved(path):\n    with open(path) as file:\n        return [float(line) for line in file]\n"
    yield Offer("a reader beside", {bug.path: fixed + more}, honest=True)
