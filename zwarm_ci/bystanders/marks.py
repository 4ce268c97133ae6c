"""By what a file is known again, without reading it where there are many."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

#: (mode, size, mtime, ctime, links), or what stands in the file. Nobody but the kernel sets a ctime, so an mtime put back tells all the same.
Mark = tuple[int, int, int, int, int] | str
Marks = Mapping[str, Mark]
_LITTLE = 1 << 20  # bytes; a start-up file has no more


def below(folder: Path, skip: Callable[[str], bool] = lambda _: False) -> dict[str, Mark]:
    """Every file and link below a folder, links not followed; `skip` gets names of folders. What cannot be entered is marked so."""
    found: dict[str, Mark] = {}
    todo = [str(folder)]
    while todo:
        place = todo.pop()
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if not skip(entry.name):
                            todo.append(entry.path)
                    else:
                        found[entry.path] = _of(entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            continue
        except OSError as error:
            found[place] = f"cannot be read: {error.strerror}"
    return found


def of_path(path: str) -> Mark | None:
    """The mark of one path; None where there is nothing, or it is a folder."""
    try:
        seen = os.lstat(path)
    except OSError:
        return None
    return None if stat.S_ISDIR(seen.st_mode) else _of(seen)


def _of(seen: os.stat_result) -> Mark:
    return seen.st_mode, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_nlink


def contents(paths: Iterable[Path]) -> dict[str, Mark]:
    """Files by what stands in them; of a folder, all below it. Large ones by their mark."""
    return {name: mark for path in paths for name, mark in _content(path)}


def _content(path: Path) -> Iterator[tuple[str, Mark]]:
    try:
        seen = path.lstat()
        if stat.S_ISDIR(seen.st_mode):
            for below_it in sorted(path.iterdir()):
                yield from _content(below_it)
        elif stat.S_ISLNK(seen.st_mode):
            yield str(path), f"-> {path.readlink()}"
            if path.is_file():  # dotfiles are often links into a repository of them
                yield from ((str(path), f"-> {path.readlink()} {mark}") for _, mark in _content(path.resolve()))
        elif stat.S_ISREG(seen.st_mode):
            small = seen.st_size <= _LITTLE
            digest = hashlib.sha256(path.read_bytes()).hexdigest() if small else ""
            yield str(path), f"{stat.S_IMODE(seen.st_mode):o} {digest}" if small else _of(seen)
    except FileNotFoundError:
        return
    except OSError as error:
        yield str(path), f"cannot be read: {error.strerror}"


def changed(old: Marks, new: Marks) -> list[str]:
    """Paths that are not what they were, in order."""
    return sorted(path for path in {*old, *new} if not _same(old.get(path), new.get(path)))


def _same(old: Mark | None, new: Mark | None) -> bool:
    if old == new:
        return True
    if old is None or new is None or isinstance(old, str) or isinstance(new, str):
        return False
    # Package managers share files between environments by hard links: another link is a new ctime, and no other content.
    return old[:3] == new[:3] and old[4] != new[4]


def only_touched(old: Mark | None, new: Mark | None) -> bool:
    """Whether nothing but the ctime of a file that is linked elsewhere too differs: another link came and went, or it was edited."""
    if old is None or new is None or isinstance(old, str) or isinstance(new, str):
        return False
    return old[:3] == new[:3] and new[4] > 1
