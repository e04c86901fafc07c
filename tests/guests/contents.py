# SPDX-License-Identifier: LGPL-2.1-or-later
"""What nunchi cat writes of files, by descriptor and by path, against sha256sum in the guest; what
nunchi ls and find show, against stat."""

from __future__ import annotations

import dataclasses
import hashlib
import mmap
import os
import posixpath
import stat
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import compare
import machine

if TYPE_CHECKING:
    from guests.session import Subject

# Of a tmpfs, and of ext4.
TYPES = ("1021994", "ef53")
PROCESSES = ("contents", "files", "special-files")
FEWEST = {1: 8, 3: 30}  # by the number of processes
TOP = "/tmp/contents"
DISK = "/run/disk/inside"
OVERLAY = "/run/overlay/merged"
PATHS = (f"{TOP}/page", f"{TOP}/short", f"{TOP}/absolute", f"{TOP}/chain", f"{TOP}/long",
         f"{TOP}/directory/file", f"{TOP}/directory/../page", "/../tmp/./contents//sparse",
         f"{TOP}/huge/file", f"{DISK}/on-a-disk", f"{DISK}/short", f"{DISK}/long", "/etc/lab",
         "/run/bound/workload")
# Since 5.19 its target is in the page cache of the disk, which is not looked into.
LONG_ON_DISK = f"{DISK}/long"
STACKED = (f"{OVERLAY}/from-below", f"{OVERLAY}/from-above", f"{OVERLAY}/changed")
REFUSED = {f"{TOP}/none": 'the name "none" is not cached', f"{TOP}/loop": "40 symbolic links",
           f"{TOP}/page/below": "not a directory", "/proc/version": "neither tmpfs",
           TOP: "not a regular file", "/tmp/apart/inside": 'the name "inside" is not cached'}
# The kernel has no types of overlayfs, a module: it is older than 5.11. A kernel without BTF has
# none either.
NO_MODULE_TYPES = ("bullseye",)
# Directories below which no file comes, goes or changes.
ROOTS = (TOP, "/tmp/files", "/run/disk", OVERLAY, "/run/hostile", "/run/options", "/etc",
         "/dev/pts")
# %f is st_mode in hexadecimal; the rest as below.
STAT = "%f %u %g %s %Y %Z %X %h %i %n"
NUMBERS = ("uid", "gid", "size", "mtime", "ctime", "atime", "hard_links", "inode")
TYPE_NAMES = {stat.S_IFREG: "regular", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink",
              stat.S_IFBLK: "block", stat.S_IFCHR: "character", stat.S_IFIFO: "fifo",
              stat.S_IFSOCK: "socket"}
CONTENT = ("size", "cached", "mtime", "atime", "ctime")
Row = dict[str, Any]
Sums = dict[tuple[str, ...], str]


@dataclasses.dataclass
class Told:
    """What the guest says of its files."""

    sums: Sums  # by the arguments with which nunchi writes the file
    names: dict[str, Row]  # of all files below ROOTS, by path


def processes_of(subject: Subject) -> tuple[str, ...]:
    """Fewer where each file takes half a second, to read types from DWARF."""
    return PROCESSES[:1] if subject.options else PROCESSES


def told_sums(subject: Subject, guest: machine.Guest) -> Sums:
    """The sum of each regular file of a tmpfs or ext4 that these processes have open, and of those
    with certain paths, by the arguments with which nunchi writes it."""
    text = machine.execute(
        guest, "for process in /proc/[0-9]*; do read name <$process/comm; "
        f'case $name in {"|".join(processes_of(subject))}) for file in $process/fd/*; do '
        '[ -f "$file" ] && case $(stat -L -f -c %t "$file") in '
        f'{"|".join(TYPES)}) sha256sum "$file";; esac; done;; '
        "contents-apart) sha256sum $process/root/tmp/apart/inside;; esac; done; "
        f'sha256sum {" ".join(PATHS + STACKED)}; ls {TOP}/none /proc/version; true')
    sums: Sums = {}
    for line in text.decode().splitlines():
        value, _, path = line.partition("  ")
        if path.startswith("/proc/") and "/fd/" in path:
            _, _, pid, _, fd = path.split("/")
            sums["--pid", pid, "--fd", fd] = value
        elif path.startswith("/proc/"):
            _, _, pid, _, inside = path.split("/", 4)
            sums["/" + inside, "--pid", pid] = value
        elif path:
            sums[path, ] = value
    return sums


def told_names(guest: machine.Guest) -> dict[str, Row]:
    """What stat says of each file below ROOTS; no name has what stands between two of them."""
    text = machine.execute(
        guest, f'find {" ".join(ROOTS)} -print0 | xargs -0 stat -c "//{STAT}"')
    rows: dict[str, Row] = {}
    for part in text.decode("utf-8", "surrogateescape").split("//")[1:]:
        mode, *numbers, path = part[:-1].split(" ", len(NUMBERS) + 1)
        row: Row = dict(zip(NUMBERS, map(int, numbers)))
        row["type"] = TYPE_NAMES[stat.S_IFMT(int(mode, 16))]
        rows[path] = dict(row, mode=stat.S_IMODE(int(mode, 16)))
    return rows


def told(subject: Subject, guest: machine.Guest) -> Told:
    return Told(told_sums(subject, guest), told_names(guest))


def differences(subject: Subject, path: str, row: Row, said: Row) -> list[str]:
    columns = set(said)
    if path.startswith(OVERLAY):
        if subject.options or subject.config.suite in NO_MODULE_TYPES:
            absent = {column: row["absent"].get(column) for column in CONTENT}
            columns -= set(CONTENT)
            if row["type"] == "regular" and set(absent.values()) != {"no layout"}:
                return [f"{path}: {absent}"]
        # Of a directory of several layers the kernel makes them up.
        if said["type"] == "directory":
            columns -= {"hard_links", "inode", *CONTENT}
    if said["type"] != "regular":
        columns.discard("atime")  # changed by find
    return [f"{path}.{column}: nunchi {row[column]!r}, guest {said[column]!r}"
            for column in sorted(columns) if row[column] != said[column]]


def check_names(subject: Subject, form: str, target: str | Path, said: dict[str, Row],
                *options: str) -> None:
    account, options = subject.account, (*options, *subject.options)
    got: dict[str, Row] = {}
    wrong: list[str] = []
    for root in ROOTS:
        done = subject.nunchi.run("find", target, root, "--json", *options)
        if done.status or done.err:
            wrong.append(f"{root}: status {done.status}: {done.err.strip()}")
        for row in done.rows:
            row = compare.of_nunchi("file", row)
            if row["path"] in got:
                wrong.append(f"{row['path']!r}: twice")
            got[row["path"]] = row
    wrong += [f"{path!r}: in one alone" for path in sorted(set(got) ^ set(said))]
    for path in set(got) & set(said):
        wrong += differences(subject, path, got[path], said[path])
    account.check(not wrong, f"{form}: find: {len(wrong)} wrong", *wrong)
    account.check(len(said) > 60, f"{form}: find: only {len(said)} files to compare")
    rows = subject.nunchi.run("ls", target, TOP, "--json", *options).rows
    below = {path for path in said if posixpath.dirname(path) == TOP}
    account.check({row["path"] for row in rows} == below, f"{form}: ls {TOP}", f"{rows}")
    links = {row["path"]: row.get("symlink_target_path") for row in rows if
             row["type"] == "symlink"}
    account.check(links.get(f"{TOP}/short") == "page" and
                  links.get(f"{TOP}/long") == "././" * 40 + "page", f"{form}: links", f"{links}")
    globbed = subject.nunchi.run("find", target, TOP, "--name", "*ar*", "--json", *options).rows
    account.check({row["path"] for row in globbed} == {f"{TOP}/large", f"{TOP}/sparse"},
                  f"{form}: find --name", f"{globbed}")
    account.say(f"{form}: find: {len(said)} files")


def check(subject: Subject, form: str, target: str | Path, said: Told, *options: str) -> None:
    check_sums(subject, form, target, said.sums, *options)
    check_names(subject, form, target, said.names, *options)


def check_sums(subject: Subject, form: str, target: str | Path, sums: Sums, *options: str) -> None:
    account, wrong = subject.account, []
    for what, value in sums.items():
        done = subject.nunchi.run("cat", target, *what, *options, *subject.options)
        if what[0] in STACKED and (subject.options or subject.config.suite in NO_MODULE_TYPES):
            if done.status != 1 or done.out or "overlayfs" not in done.err:
                wrong.append(f"{what}: not refused: status {done.status} {done.err.strip()}")
        elif what[0] == LONG_ON_DISK and subject.config.suite != "bullseye":
            if done.status != 1 or done.out or "that of the disk" not in done.err:
                wrong.append(f"{what}: not refused: status {done.status} {done.err.strip()}")
        elif done.status or hashlib.sha256(done.out).hexdigest() != value:
            wrong.append(f"{what}: status {done.status}, {len(done.out)} bytes: "
                         f"{done.err.strip()}")
    account.check(not wrong, f"{form}: cat: {len(wrong)} wrong of {len(sums)} files", *wrong)
    by_path = [what for what in sums if what[0].startswith("/")]
    account.check(len(by_path) == len(PATHS + STACKED) + 1, f"{form}: paths to compare",
                  str(by_path))
    account.check(len(sums) - len(by_path) >= FEWEST[len(processes_of(subject))],
                  f"{form}: only {len(sums)} files to compare")
    for path, says in REFUSED.items():
        done = subject.nunchi.run("cat", target, path, *options, *subject.options)
        account.check(done.status == 1 and not done.out and says in done.err,
                      f"{form}: cat {path}: refused, saying {says}", f"{done.status} {done.err}")
    account.say(f"{form}: cat: {len(sums)} files")


PAGE = 4096
LIME = struct.Struct("<IIQQQ")
LIME_MAGIC = 0x4C694D45


def copy_without(source: Path, target: Path, place: int) -> None:
    """The raw file as a LiME file that lacks a page."""
    size = source.stat().st_size
    with open(source, "rb") as raw, open(target, "wb") as lime:
        for start, end in ((0, place), (place + PAGE, size)):
            lime.write(LIME.pack(LIME_MAGIC, 1, start, end - 1, 0))
            raw.seek(start)
            while (left := end - raw.tell()) > 0:
                lime.write(raw.read(min(left, 16 << 20)))


def holes(subject: Subject) -> None:
    """A file of which the saved guest lacks a page: what is written is right, the rest is told."""
    account, nunchi, path = subject.account, subject.nunchi, f"{TOP}/large"
    whole = nunchi.run("cat", subject.raw, path).out
    at = 100 * PAGE
    page = whole[at:at + PAGE]
    with open(subject.raw, "rb") as file, \
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
        place = raw.find(page)
        if not account.check(place >= 0 and place % PAGE == 0 and raw.find(page, place + 1) < 0,
                             "holes: the page is in the memory once", f"{place:x}"):
            return
    lime, written = subject.work / "holes.lime", subject.work / "holes.written"
    copy_without(subject.raw, lime, place)
    told = f"bytes {at} to {at + PAGE - 1} of the file are missing: not mapped"
    done = nunchi.run("cat", lime, path)
    account.check(done.status == 1 and done.out == whole[:at] and told in done.err and
                  f"only the first {at} can" in done.err, "holes: cat", f"{done.status} {done.err}")
    filled = whole[:at] + bytes(PAGE) + whole[at + PAGE:]
    done = nunchi.run("cat", lime, path, "--fill")
    account.check(done.status == 1 and done.out == filled and told in done.err and
                  f"{PAGE} of {len(whole)} bytes, in 1 ranges" in done.err, "holes: cat --fill",
                  f"{done.status} {done.err}")
    done = nunchi.run("cat", lime, path, "-o", written)
    account.check(done.status == 1 and not done.out and not list(subject.work.glob("holes.w*")),
                  "holes: cat -o", f"{done.status} {done.err} {os.listdir(subject.work)}")
    done = nunchi.run("cat", lime, path, "-o", written, "--fill")
    account.check(done.status == 1 and written.exists() and written.read_bytes() == filled and
                  stat.S_IMODE(written.stat().st_mode) == 0o600, "holes: cat -o --fill",
                  f"{done.status} {done.err}")
    done = nunchi.run("cat", subject.raw, path, "-o", written)
    account.check(not done.status and written.read_bytes() == whole, "holes: cat -o, whole",
                  f"{done.status} {done.err}")
    written.unlink(missing_ok=True)
    lime.unlink()
