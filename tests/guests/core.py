# SPDX-License-Identifier: LGPL-2.1-or-later
"""What nunchi core writes of processes, against /proc/PID/mem, maps and syscall in the guest; and
what gdb and readelf say of it."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import machine

if TYPE_CHECKING:
    from guests.session import Subject

NAMES = ("contents", "threaded", "files")
PT_LOAD, PT_NOTE = 1, 4
PRSTATUS, PRPSINFO, AUXV, FILES = 1, 3, 6, 0x46494c45
EBX, PATTERN = 0x12345678, b"a program of 32 bits"
NARROW = "/tmp/narrow"


class Core:
    """An ELF core, as far as the tests look at it."""

    def __init__(self, path: Path) -> None:
        self.bytes = path.read_bytes()
        self.wide = self.bytes[4] == 2
        if self.wide:
            at, = struct.unpack_from("<Q", self.bytes, 32)
            size, count = struct.unpack_from("<HH", self.bytes, 54)
        else:
            at, = struct.unpack_from("<I", self.bytes, 28)
            size, count = struct.unpack_from("<HH", self.bytes, 42)
        self.loads: dict[int, tuple[int, int, int]] = {}
        self.notes: list[tuple[int, bytes]] = []
        for i in range(count):
            if self.wide:
                kind, _, offset, address, _, stored, length = struct.unpack_from(
                    "<IIQQQQQ", self.bytes, at + i * size)
            else:
                kind, offset, address, _, stored, length = struct.unpack_from(
                    "<IIIIII", self.bytes, at + i * size)
            if kind == PT_LOAD:
                self.loads[address] = (length, offset, stored)
            elif kind == PT_NOTE:
                self.read_notes(self.bytes[offset:offset + stored])

    def read_notes(self, data: bytes) -> None:
        while data:
            name, size, kind = struct.unpack_from("<III", data)
            start = 12 + (name + 3) // 4 * 4
            self.notes.append((kind, data[start:start + size]))
            data = data[start + (size + 3) // 4 * 4:]

    def memory(self, start: int, end: int) -> bytes | None:
        """None if a part of it is not there."""
        parts = []
        while start < end:
            length, offset, stored = self.loads.get(start, (0, 0, 0))
            if not length or stored != length:
                return None
            parts.append(self.bytes[offset:offset + length])
            start += length
        return b"".join(parts) if start == end else None

    def threads(self) -> dict[int, tuple[int, int]]:
        """The stack pointer and program counter of each thread."""
        found = {}
        for kind, data in self.notes:
            if kind != PRSTATUS:
                continue
            if self.wide:
                found[struct.unpack_from("<I", data, 32)[0]] = (
                    *struct.unpack_from("<Q", data, 112 + 19 * 8),
                    *struct.unpack_from("<Q", data, 112 + 16 * 8))
            else:
                found[struct.unpack_from("<I", data, 24)[0]] = (
                    *struct.unpack_from("<I", data, 72 + 15 * 4),
                    *struct.unpack_from("<I", data, 72 + 12 * 4))
        return found


@dataclasses.dataclass
class Told:
    """What the guest says of a process."""

    maps: dict[tuple[int, int], str]  # the sum of each mapping that can be read
    paths: set[str]
    calls: dict[int, list[str]]       # /proc/PID/task/TID/syscall


def calls(guest: machine.Guest, pid: int) -> dict[int, list[str]]:
    text = machine.execute(guest, f"for task in /proc/{pid}/task/*; do echo ${{task##*/}} "
                           "$(cat $task/syscall); done").decode()
    return {int(line.split()[0]): line.split()[1:] for line in text.splitlines() if line.strip()}


def told(guest: machine.Guest, pid: int) -> Told:
    """Reading /proc/PID/mem brings pages to the process: ask it after nunchi."""
    sums = machine.execute(
        guest, "while read range permissions offset device inode path; do case $permissions in r*) "
        "start=0x${range%-*} end=0x${range#*-}; case $path in [[]v*) ;; *) echo $range $(dd "
        f"if=/proc/{pid}/mem bs=4096 skip=$((start / 4096)) count=$(((end - start) / 4096)) "
        "2>/dev/null | sha256sum) ;; esac ;; esac; "
        f"done </proc/{pid}/maps; cat /proc/{pid}/maps").decode("utf-8", "surrogateescape")
    maps: dict[tuple[int, int], str] = {}
    paths = set()
    for line in sums.splitlines():
        parts = line.split(None, 5)
        start, _, end = parts[0].partition("-")
        if len(parts) == 3:
            maps[int(start, 16), int(end, 16)] = parts[1]
        elif len(parts) == 6 and parts[5].startswith("/"):
            paths.add(parts[5])
    return Told(maps, paths, calls(guest, pid))


def check_tools(subject: Subject, form: str, path: Path, core: Core) -> None:
    account = subject.account
    done = subprocess.run(["readelf", "-lnW", path], capture_output=True, text=True, errors="replace",
                          check=False)
    account.check(done.returncode == 0 and "Warning" not in done.stderr and
                  "Error" not in done.stderr, f"{form}: readelf", done.stderr)
    done = subprocess.run(["gdb", "-nx", "-batch", "-ex", "set sysroot /nowhere",
                           "-ex", "info threads", "-ex", "p/x $sp", "-ex", "x/xb $sp",
                           "-ex", "info auxv", "-core", path],
                          capture_output=True, text=True, errors="replace", timeout=120,
                          check=False)
    lwps = {int(lwp) for lwp in re.findall(r"^[* ] +\d+ .*LWP (\d+)", done.stdout, re.M)}
    account.check(lwps == set(core.threads()), f"{form}: gdb's threads", str(lwps), done.stderr)
    account.check("AT_ENTRY" in done.stdout and "Cannot access" not in done.stdout + done.stderr,
                  f"{form}: gdb", *done.stdout.splitlines(), *done.stderr.splitlines())


def compare(subject: Subject, form: str, path: Path, said: Told, rows: list[dict]) -> None:
    account, core = subject.account, Core(path)
    for kind in (PRPSINFO, AUXV, FILES):
        account.check(kind in dict(core.notes), f"{form}: no note of type {kind:#x}")
    files = dict(core.notes)[FILES]
    lost = [name for name in said.paths if name.encode("utf-8", "surrogateescape") not in files]
    account.check(not lost, f"{form}: files", *lost)
    gaps = [(int(row["start"], 16), int(row["end"], 16)) for row in rows]
    compared = 0
    for (start, end), value in said.maps.items():
        data = core.memory(start, end)
        if data is None:
            account.check(any(gap[0] < end and gap[1] > start for gap in gaps),
                          f"{form}: {start:#x} is neither there nor told")
            continue
        compared += 1
        account.check(hashlib.sha256(data).hexdigest() == value, f"{form}: memory at {start:#x}")
    account.check(compared * 2 > len(said.maps), f"{form}: {compared} of {len(said.maps)} mappings")
    threads = core.threads()
    account.check(set(threads) == set(said.calls), f"{form}: threads", str(threads), str(said.calls))
    for tid, what in said.calls.items():
        if len(what) == 9 and tid in threads:
            account.check([hex(value) for value in threads[tid]] == what[7:],
                          f"{form}: registers of {tid}", str(threads[tid]), str(what))
    check_tools(subject, form, path, core)
    account.say(f"{form}: {compared} mappings, {len(threads)} threads, {len(rows)} gaps")


def write(subject: Subject, form: str, target: str | Path, pid: int, *options: str
          ) -> tuple[Path, list[dict]] | None:
    path = subject.work / f"process-{pid}.core"
    done = subject.nunchi.run("core", target, str(pid), path, "--json", *options, *subject.options)
    if not subject.account.check(done.status == 0 and path.exists(), form, done.err):
        return None
    subject.account.check(path.stat().st_mode & 0o777 == 0o600, f"{form}: mode of the file")
    return path, done.rows


def check_one(subject: Subject, guest: machine.Guest, form: str, pid: int) -> Told | None:
    before = calls(guest, pid)
    made = write(subject, form, f"qemu:{guest.name}", pid, "--pause", "always")
    if made is None:
        return None
    said = told(guest, pid)
    # A thread that went on in the meantime is not compared.
    said.calls = {tid: what if before.get(tid) == what else [] for tid, what in said.calls.items()}
    compare(subject, form, made[0], said, made[1])
    made[0].unlink()
    return said


def narrow_program() -> bytes:
    """A program of 32 bits that waits for a signal: mov ebx, …; mov eax, pause; int 0x80; jmp."""
    code = b"\xbb" + struct.pack("<I", EBX) + b"\xb8\x1d\0\0\0\xcd\x80\xeb\xf7" + PATTERN
    base, size = 0x8048000, 52 + 32
    header = b"\x7fELF\1\1\1" + bytes(9) + struct.pack(
        "<HHIIIIIHHHHHH", 2, 3, 1, base + size, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    segment = struct.pack("<IIIIIIII", 1, 0, base, base, size + len(code), size + len(code), 5, 4096)
    return header + segment + code


def check_narrow(subject: Subject, guest: machine.Guest) -> None:
    """A program of 32 bits in a kernel of 64."""
    account, form = subject.account, "core, 32 bits"
    text = "".join(f"\\{byte:03o}" for byte in narrow_program())
    started = machine.execute(guest, f"printf '{text}' >{NARROW} && chmod 755 {NARROW} && "
                              f"{{ {NARROW} </dev/null >/dev/null 2>&1 & echo $!; }}")
    pid = int(started)
    machine.execute(guest, "sleep 1")
    made = write(subject, form, f"qemu:{guest.name}", pid, "--pause", "always")
    said = told(guest, pid)
    machine.execute(guest, f"kill -9 {pid}; rm {NARROW}")
    if made is None:
        return
    core = Core(made[0])
    data = core.memory(0x8048000, 0x8049000)
    account.check(not core.wide and data is not None and PATTERN in data, f"{form}: its memory")
    status = next(data for kind, data in core.notes if kind == PRSTATUS)
    account.check(struct.unpack_from("<I", status, 72)[0] == EBX, f"{form}: ebx")
    compare(subject, form, made[0], said, made[1])
    made[0].unlink()


def look(subject: Subject, guest: machine.Guest) -> dict[int, Told]:
    """The running guest, paused for each; what it says of the processes is for check()."""
    account = subject.account
    rows = subject.nunchi.show(f"qemu:{guest.name}", "processes", *subject.options).rows
    chosen = {row["name"]: row["pid"] for row in rows if row["name"] in NAMES}
    account.check(len(chosen) == len(NAMES), "core: processes", str(chosen))
    said = {pid: check_one(subject, guest, f"core, {name}", pid) for name, pid in chosen.items()}
    if not subject.config.is_32bit:
        check_narrow(subject, guest)
    return {pid: one for pid, one in said.items() if one}


def check(subject: Subject, target: Path, said: dict[int, Told]) -> None:
    """The saved guest."""
    for pid, one in said.items():
        made = write(subject, f"core, saved, {pid}", target, pid)
        if made:
            compare(subject, f"core, saved, {pid}", made[0], one, made[1])
            made[0].unlink()
