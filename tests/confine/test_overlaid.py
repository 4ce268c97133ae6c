"""What is written in a covered checkout never shows outside, whatever happens to the command."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.confine.hosts import MOUNTING, Host

FILES = [
    *("plain", "appended", "deleted", "renamed", "mode", "touched", "emptied", "linked"),
    *("folder/old", "moved folder/a", "moved folder/b/c"),
]
EDIT = """
printf 2 > plain && printf more >> appended && rm deleted && mv renamed name2 && chmod 700 mode && ln -sf elsewhere linked &&
mkdir new && printf n > new/file && rm -r folder && mkdir folder && printf f > folder/fresh && mv "moved folder" moved2 &&
touch -d 2001-01-01 touched && truncate -s 0 emptied && mkdir -m 0 closed && ln plain hard &&
pwd && cat plain appended && ls -A folder && cat "$1/plain"
"""
Photo = dict[str, tuple[Any, ...]]


def photographed(*tops: Path) -> Photo:
    """Everything of folders that a person could notice: contents, modes, owners, times (of access aside), places on the disk."""
    return {
        str(path): (
            (stat := path.lstat()).st_mode, stat.st_uid, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino,
            path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None,
        )
        for top in tops
        for path in [top, *sorted(top.rglob("*"))]
    }  # fmt: skip


NAMES = {"plain": "plain", "marks": "a,b:c d\\e", "line": "line\nbreak, lowerdir=x", "long": "é" * 60, "dashes": "--"}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_what_is_written_inside_does_not_show_outside(host: Host, name: str) -> None:
    top, scratch = host.folder / name, host.folder / f"scratch of {name}"
    host.plant_at(top, *FILES)
    before = photographed(top)
    prefix = host.overlaid(top, scratch)
    edited = host.do([*prefix, "sh", "-c", EDIT, "sh", str(top)], cwd=top)
    assert (edited.stdout, edited.stderr) == (f"{top}\n21morefresh\n2", "")
    assert photographed(top) == before
    again = host.do([*prefix, "sh", "-c", "cat plain hard name2 moved2/b/c; ls -d deleted renamed moved*"], cwd=top)
    assert again.stdout == "2211moved2\n", "the next command sees what the last one wrote"
    host.ask("discard", scratch)
    assert not scratch.exists()
    assert photographed(top) == before


RENAME = """
import errno, os
try:
    os.rename("folder", "other")
    print(os.listdir("other"))
except OSError as error:
    print(errno.errorcode[error.errno])
"""


def test_a_folder_is_renamed_by_root_and_refused_to_others_as_documented(host: Host) -> None:
    top = host.plant(*FILES)
    said = host.py(RENAME, prefix=host.overlaid(top, host.folder / "scratch"), cwd=top)
    initial = not os.geteuid() and not host.wrap
    assert said.strip() == ("['old']" if initial else "EXDEV")


def test_what_cannot_be_covered_is_named(host: Host) -> None:
    top = host.plant("volume x/file")
    inside, scratch = top / ".zwarm" / "scratch", host.folder / "scratch"
    assert host.ask("overlaid", top, inside) == []
    assert "lies inside of" in host.ask("no_overlay", top, inside)
    assert not inside.parent.exists()
    mount = (*MOUNTING, "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(top / "volume x"))
    mounted = Host((*mount, *host.wrap), host.python, host.library, host.folder)
    assert "volume x is mounted inside of" in mounted.ask("no_overlay", top, scratch)
    assert mounted.ask("overlaid", top, scratch) == []
    assert host.ask("no_overlay", top, scratch) == ""


WORK = "git status --porcelain && echo 2 > a && git status --porcelain && git commit -qam two && git log --format=%s"


def test_git_works_inside_and_the_repository_stays_as_it_was(host: Host) -> None:
    top, linked = host.folder / "repo", host.folder / "linked"
    setup = (
        "git init -q -b main repo && cd repo && echo 1 > a && git add a && git commit -qm one && "
        "git worktree add -q ../linked && git status --porcelain && cd ../linked && git status --porcelain"
    )
    assert host.do(["sh", "-c", setup]).returncode == 0
    before = photographed(top, linked)
    prefix = host.overlaid(top, host.folder / "scratch")
    assert host.do([*prefix, "sh", "-c", WORK], cwd=top).stdout == " M a\ntwo\none\n"
    assert photographed(top, linked) == before
    # A linked worktree's git directory lies elsewhere, and is named too.
    prefix = host.overlaid(linked, host.folder / "scratch2", top / ".git" / "worktrees", top / ".git", top)
    assert host.do([*prefix, "sh", "-c", WORK], cwd=linked).stdout == " M a\ntwo\none\n"
    assert photographed(top, linked) == before


def test_the_folder_itself_keeps_owner_mode_and_times(host: Host) -> None:
    """A checkout may belong to somebody else than who runs the check; git looks at the owner."""
    top = host.plant("file")
    top.chmod(0o705)
    os.utime(top, (1, 2))
    if not os.geteuid() and not host.wrap:
        os.chown(top, 77, 78)
    look = ["stat", "-c", "%a %u %g %Y", "."]
    assert (
        host.do([*host.overlaid(top, host.folder / "scratch"), *look], cwd=top).stdout == host.do(look, cwd=top).stdout
    )


def test_a_full_disk_is_the_commands_trouble_alone(host: Host) -> None:
    top, scratch = host.plant("file", "other"), host.folder / "scratch"
    prefix = host.overlaid(top, scratch)
    before = photographed(top)
    small = 'mount -t tmpfs -o size=300k none "$0" && mkdir -p -m 777 "$0/0/upper" "$0/0/work" && exec "$@"'
    tight = Host((*MOUNTING, "sh", "-c", small, str(scratch), *host.wrap), host.python, host.library, host.folder)
    done = tight.do([*prefix, "sh", "-c", "head -c 1000000 /dev/zero > file; echo $?; cat other"], cwd=top)
    assert "No space left on device" in done.stderr
    assert done.stdout == "1\n1"
    assert photographed(top) == before


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_killed_command_leaves_no_mount_and_no_process(
    host: Host, offline: list[str], signum: signal.Signals
) -> None:
    top, scratch = host.plant("plain"), host.folder / "scratch"
    before, mounts = photographed(top), Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    prefix = [*host.overlaid(top, scratch), *offline]
    script = ["sh", "-c", "printf 2 > plain; echo $$; exec sleep 300"]
    process = subprocess.Popen([*host.wrap, *prefix, *script], cwd=top, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        assert int(process.stdout.readline()) == process.pid
    (cover,) = [
        line for line in Path(f"/proc/{process.pid}/mountinfo").read_text().splitlines() if f" {top} rw" in line
    ]
    assert "volatile" in cover, "no fsync for each file that is changed"
    process.send_signal(signum)
    assert process.wait(30) == -signum
    assert Path("/proc/self/mountinfo").read_text(encoding="utf-8") == mounts
    assert photographed(top) == before
    assert host.do([*prefix, "cat", "plain"], cwd=top).stdout == "2", "the next command goes on from there"


def test_a_cover_is_not_handed_on_to_who_shares_mounts(host: Host) -> None:
    """As systemd has it: what is mounted in one namespace shows in all."""
    top = host.plant("file")
    prefix = host.overlaid(top, host.folder / "scratch")
    share = 'mount --make-rshared / && "$@"; grep -c overlay /proc/self/mountinfo'
    sharing = Host((*MOUNTING, "sh", "-c", share, "sh", *host.wrap), host.python, host.library, host.folder)
    count = ["grep", "-c", "overlay", "/proc/self/mountinfo"]
    covered, after = sharing.do([*prefix, *count]).stdout.split()
    assert int(covered) == int(after) + 1
