# SPDX-License-Identifier: LGPL-2.1-or-later
"""nunchi mount: its files are what the other commands show; programs read it; it ends clean."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from guests.tool import Account, Nunchi

if TYPE_CHECKING:
    from guests.session import Subject

SECONDS = 20.0
# Larger than what is compared of memory, and at a place where a kernel is.
PIECE, PLACE = 1 << 20, 16 << 20


def why_not() -> str | None:
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse cannot be used"
    with contextlib.suppress(FileNotFoundError):
        if not subprocess.run(["fusermount3", "-V"], capture_output=True, check=False).returncode:
            return None
    return "fusermount3 is not installed"


def is_mounted(where: Path) -> bool:
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return any(line.split()[4] == str(where) for line in lines)


class Mount:
    def __init__(self, nunchi: Nunchi, target: str | Path, where: str | Path, *options: str) -> None:
        self.where = Path(where)
        self.said = Path(os.path.normpath(where)).with_suffix(".said")
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(
                [nunchi.path, "mount", str(target), str(where), *options],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
                # Python's children ignore what their parent ignores.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))

    def errors(self) -> str:
        return self.said.read_text(encoding="utf-8", errors="replace")

    def is_ready(self) -> bool:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            if "mounted on" in self.errors():
                return True
            time.sleep(0.02)
        return False

    def status(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(SECONDS)
        self.process.kill()
        return None


@contextlib.contextmanager
def mounted(account: Account, nunchi: Nunchi, target: str | Path, where: Path, *options: str
            ) -> Iterator[Mount | None]:
    mount = Mount(nunchi, target, where, *options)
    try:
        good = account.check(mount.is_ready(), "mount: it is mounted", mount.errors())
        yield mount if good else None
    finally:
        if mount.process.poll() is None:
            mount.process.send_signal(signal.SIGINT)
        account.check(mount.status() == 0, "mount: status of Ctrl-C", mount.errors())
        account.check(not is_mounted(where), "mount: nothing is left by Ctrl-C")


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as err:
        return str(err).encode()


def check_views(account: Account, nunchi: Nunchi, target: Path, where: Path, *options: str) -> None:
    names = sorted(path.stem for path in (where / "views").glob("*.csv"))
    shown = [row["view"] for row in nunchi.run("views", "--json").rows]
    account.check(names == sorted(shown), "mount: views", str(names))
    for name in names:
        for form in ("csv", "json"):
            want = nunchi.run("show", target, name, f"--{form}", *options).out
            account.check(read(where / "views" / f"{name}.{form}") == want, f"mount: {name}.{form}")
    account.check(read(where / "log") == nunchi.run("log", target, *options).out, "mount: log")


def check_memory(account: Account, nunchi: Nunchi, target: Path, where: Path, *options: str) -> None:
    with (where / "mem/physical").open("rb") as file:
        file.seek(PLACE)
        got = file.read(PIECE)
        end = file.seek(0, os.SEEK_END)
        account.check(end == (where / "mem/physical").stat().st_size and not file.read(1),
                      "mount: size of the memory")
    want = nunchi.run("read", target, hex(PLACE), str(PIECE), "--phys", "-o", "-", *options).out
    account.check(len(got) == PIECE and got == want, "mount: physical memory")
    rows = nunchi.show(target, "process_memory_map", "--where", "pid=1", *options).rows
    maps = read(where / "proc/1/maps").decode().splitlines()
    ranges = [f"{int(row['start'], 16):08x}-{int(row['end'], 16):08x} {row['permissions']} "
              f"{row['offset']:08x} {row['device']} {row['inode']}" for row in rows]
    account.check(len(maps) == len(ranges) and len(maps) > 3 and
                  all(got.startswith(want) for got, want in zip(maps, ranges)), "mount: maps", *maps[:3])
    compared = 0
    with (where / "proc/1/mem").open("rb", buffering=0) as file:
        for row in rows:
            want = nunchi.run("read", target, row["start"], "4096", "--pid", "1", "-o", "-", *options)
            file.seek(int(row["start"], 16))
            try:
                got = file.read(4096)
            except OSError:
                got = b""
            compared += bool(got)
            account.check(got == want.out, f"mount: memory of process 1 at {row['start']}")
    account.check(compared > 3, f"mount: {compared} pages of process 1")


def check_processes(account: Account, nunchi: Nunchi, target: Path, where: Path, *options: str
                    ) -> None:
    rows = nunchi.show(target, "processes", *options).rows
    pids = sorted(int(path.name) for path in (where / "proc").iterdir())
    account.check(pids == sorted(row["pid"] for row in rows), "mount: processes")
    for row in rows:
        if row["cmdline"] is not None and "raw" not in row:
            got = read(where / f"proc/{row['pid']}/cmdline")
            account.check(got == row["cmdline"].encode(), f"mount: cmdline of {row['pid']}", str(got))
    variables = nunchi.show(target, "process_envs", "--where", "pid=1", *options).rows
    want = b"".join(f"{row['key']}={row['value']}\0".encode() for row in variables)
    account.check(read(where / "proc/1/environ") == want, "mount: environ")


def check_files(account: Account, nunchi: Nunchi, target: Path, where: Path, *options: str) -> None:
    """A file as nunchi cat writes it; no link leads out."""
    files = where / "files"
    want = nunchi.run("cat", target, "/init", *options)
    account.check(want.status == 0 and read(files / "init") == want.out, "mount: a file", want.err)
    links = [Path(folder, name) for folder, folders, names in os.walk(files)
             for name in [*folders, *names] if Path(folder, name).is_symlink()]
    out = [str(link) for link in links if not Path(os.path.realpath(link)).is_relative_to(files)]
    account.check(bool(links) and not out, f"mount: of {len(links)} links some lead out", *out)


def check_programs(account: Account, where: Path) -> None:
    """They read all but the memory and the files, of which parts may not be there."""
    for words in (["find", ".", "-type", "f", "-size", "+0"],
                  ["grep", "-r", "-c", "nunchi", "log", "views", "proc"],
                  ["tar", "cf", "-", "log", "views", "proc"]):
        done = subprocess.run(words, cwd=where, capture_output=True, timeout=120, check=False)
        account.check(done.returncode == 0 and not done.stderr and done.stdout, f"mount: {words[0]}",
                      done.stderr.decode(errors="replace")[:500])
    try:
        (where / "x").write_text("x", encoding="utf-8")
        account.check(False, "mount: it can be written")
    except OSError:
        pass
    modes = {path.stat().st_mode & 0o777 for path in (where, where / "log", where / "proc/1/mem")}
    account.check(modes == {0o500, 0o400}, "mount: modes", str(modes))


def wait_for_death(where: Path) -> None:
    """Until the process that reads the guest has followed the one that was killed."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        try:
            os.listdir(where)
        except OSError:
            return
        time.sleep(0.02)


def check_child_killed(account: Account, mount: Mount, where: Path) -> None:
    """The process that reads the guest."""
    pid = mount.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    for child in children:
        os.kill(int(child), signal.SIGKILL)
    account.check(len(children) == 1 and mount.status() == 1 and "was ended by signal 9" in mount.errors(),
                  "mount: the process that reads the guest is killed", mount.errors())
    account.check(not is_mounted(where), "mount: nothing is left when it is killed")


def check_killed(account: Account, nunchi: Nunchi, target: Path, where: Path, *options: str) -> None:
    """What a nunchi leaves that is killed is taken away by the next one; an own unmount ends it."""
    mount = Mount(nunchi, target, where, *options)
    account.check(mount.is_ready(), "mount: it is mounted to be killed", mount.errors())
    mount.process.kill()
    mount.process.wait()
    wait_for_death(where)
    link = where.with_name("link")
    link.symlink_to(where)
    for form in (str(link), f"{where}/.", str(where)):
        mount = Mount(nunchi, target, form, *options)
        account.check(mount.is_ready() and "was taken away" in mount.errors(),
                      f"mount: after kill -9, as {form}", mount.errors())
        if form != str(where):
            account.check((where / "log").exists(), f"mount: it works as {form}")
            mount.process.kill()
            mount.process.wait()
            wait_for_death(where)
    link.unlink()
    account.check((where / "log").exists(), "mount: it works after kill -9")
    again = nunchi.run("mount", target, where, *options)
    account.check(again.status == 2 and "is not empty" in again.err, "mount: twice", again.err)
    check_child_killed(account, mount, where)
    mount = Mount(nunchi, target, where, *options)
    account.check(mount.is_ready(), "mount: it is mounted to be unmounted", mount.errors())
    subprocess.run(["fusermount3", "-u", where], check=False)
    account.check(mount.status() == 0, "mount: status of fusermount3 -u", mount.errors())
    account.check(not is_mounted(where), "mount: nothing is left by fusermount3 -u")


def check(account: Account, nunchi: Nunchi, target: Path, folder: Path, *options: str) -> None:
    reason = why_not()
    if reason:
        account.skip(f"mount: {reason}")
        return
    where = folder / "mounted"
    where.mkdir()
    with mounted(account, nunchi, target, where, *options) as mount:
        if mount:
            for what in (check_views, check_memory, check_processes, check_files):
                what(account, nunchi, target, where, *options)
            check_programs(account, where)
    check_killed(account, nunchi, target, where, *options)
    where.rmdir()


def run(subject: Subject) -> None:
    check(subject.account, subject.nunchi, subject.raw, subject.work, *subject.options)
