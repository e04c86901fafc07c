# SPDX-License-Identifier: LGPL-2.1-or-later
"""An emulated Xen host: booted or resumed, given jobs, ended whatever happens.

The host's first domain is reached by a control port and two disks (lab/dom0/init.sh): a job's files
go in as a tar on the first disk, those it leaves come back as a tar on the second, both with a
digest; what it prints comes while it runs.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import hashlib
import math
import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import dom0
from common import LabError, cache_root, locked, say, uninterrupted
from qmp import Qmp

DISK_IN, DISK_OUT = 512 << 20, 4 << 30
MEMORY_MIB = {"xen": 64, "dom0": 1024, "guest": 290}
PR_SET_PDEATHSIG = 1
MARK_MAX_BYTES = 4096
BEAT_SECONDS = 0.2
# Booting takes 70 s in Bochs, on a machine that does nothing else. A dom0 that hangs is not waited
# for until the lab's own time is over, so that there is time to start again.
BOOT_SECONDS = 480.0
READY = re.compile(rb"NUNCHI-READY (\d+)\n")


@dataclass(frozen=True)
class Piece:
    """A tar on a disk."""

    path: Path
    offset: int
    size: int


@dataclass(frozen=True)
class Result:
    """How a job ended, and the tars of what it left."""

    status: int
    files: list[Piece]


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """A directory of this run; those of runs that were killed are removed on the way."""
    parent = cache_root() / "xen" / "run"
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.iterdir():
        owner = left.name.split(".")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            shutil.rmtree(left, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}.", dir=parent))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def make_disks(work: Path) -> None:
    for name, size in (("in", DISK_IN), ("out", DISK_OUT)):
        with open(work / name, "wb") as disk:
            disk.truncate(size)


def die_with_parent() -> None:
    """For a child process: it ends when we do, even if we are killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@contextlib.contextmanager
def running(command: list[str], log: Path, package: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs COMMAND in the background and ends it however the block is left."""
    with open(log, "wb") as output:
        with uninterrupted():
            try:
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                           stderr=output, start_new_session=True,
                                           preexec_fn=die_with_parent)
            except FileNotFoundError:
                raise LabError(f"{command[0]} is not installed (package {package})") from None
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def tail(path: Path, count: int = 20) -> str:
    try:
        text = path.read_bytes().decode("utf-8", "backslashreplace")
    except FileNotFoundError:
        return ""
    return "\n".join(f"  | {line}" for line in text.splitlines()[-count:])


class Channel(Protocol):
    """The methods of a socket that Port calls."""

    def settimeout(self, seconds: float | None) -> None: ...
    def setblocking(self, wanted: bool) -> None: ...
    def recv(self, size: int) -> bytes: ...
    def send(self, data: bytes) -> int: ...
    def sendall(self, data: bytes) -> None: ...
    def close(self) -> None: ...


def connected(path: Path, alive: Callable[[], bool], failure: Callable[[], str],
              deadline: float) -> socket.socket:
    """A connection to the emulator's socket PATH, once it is there."""
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    while True:
        try:
            channel.connect(str(path))
            return channel
        except OSError as error:
            if not alive() or time.monotonic() > deadline:
                channel.close()
                raise LabError(f"the emulator does not start: {error}\n{failure()}") from None
            time.sleep(0.02)


class Port:
    """The control port: what dom0 says, until a mark or the time limit."""

    def __init__(self, channel: Channel, alive: Callable[[], bool], failure: Callable[[], str],
                 deadline: float) -> None:
        self.socket, self.alive, self.failure, self.deadline = channel, alive, failure, deadline
        self.buffer = b""
        self.beaten = 0.0

    def close(self) -> None:
        self.socket.close()

    def send(self, line: str) -> None:
        self.socket.settimeout(30.0)
        self.socket.sendall(line.encode())

    def beat(self) -> None:
        """Sends an empty line, which dom0 skips; to be called all the time.

        QEMU 7.2 now and then loses the timer of a CPU that halts under Xen, and the whole machine
        stands still until another interrupt comes.
        """
        now = time.monotonic()
        if now - self.beaten > BEAT_SECONDS:
            self.beaten = now
            # While nobody reads the port, its buffer fills up.
            self.socket.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                self.socket.send(b"\n")

    def until(self, mark: re.Pattern[bytes], doing: str,
              show: Callable[[bytes], None] | None = None,
              seconds: float = math.inf) -> re.Match[bytes]:
        """Reads up to MARK, for SECONDS at most; SHOW gets the bytes before it as they arrive."""
        started = told = time.monotonic()
        deadline = min(self.deadline, started + seconds)
        while True:
            match = mark.search(self.buffer)
            if match:
                if show:
                    show(self.buffer[:match.start()])
                self.buffer = self.buffer[match.end():]
                return match
            if show:
                # A mark may have come in part.
                held = self.buffer.rfind(b"NUNCHI-", -MARK_MAX_BYTES) if self.buffer else -1
                cut = held if held >= 0 else max(0, len(self.buffer) - len(b"NUNCHI"))
                show(self.buffer[:cut])
                self.buffer = self.buffer[cut:]
            now = time.monotonic()
            if now > deadline:
                raise LabError(f"the time is over while {doing}\n{self.failure()}")
            if not show and now - told > 15:
                say(f"{doing} ({now - started:.0f} s)")
                told = now
            self.beat()
            self.socket.settimeout(BEAT_SECONDS / 2)
            with contextlib.suppress(TimeoutError):
                data = self.socket.recv(1 << 16)
                if not data or not self.alive():
                    raise LabError(f"the emulator ended while {doing}\n{self.failure()}")
                self.buffer += data


def write_job(work: Path, archive: bytes) -> str:
    """Writes a job's tar to the first disk; returns its length and digest as the line for dom0."""
    if len(archive) > DISK_IN:
        raise LabError(f"the job's files are {len(archive) >> 20} MiB, the disk "
                       f"{DISK_IN >> 20} MiB")
    with open(work / "in", "r+b") as disk:
        disk.write(archive)
    return f"{len(archive)} {hashlib.md5(archive, usedforsecurity=False).hexdigest()}"


def check_files(work: Path, kept: str) -> list[Piece]:
    """The tars on the second disk; raises LabError if a digest differs."""
    pieces = []
    with open(work / "out", "rb") as disk:
        for text in filter(None, kept.split(",")):
            place, size, digest = text.split(":")
            piece = Piece(work / "out", int(place) << 20, int(size))
            disk.seek(piece.offset)
            whole, left = hashlib.md5(usedforsecurity=False), piece.size
            while left and (data := disk.read(min(left, 1 << 20))):
                whole.update(data)
                left -= len(data)
            if left or whole.hexdigest() != digest:
                raise LabError("the files from dom0 are damaged")
            pieces.append(piece)
    return pieces


def give_job(port: Port, work: Path, archive: bytes, show: Callable[[bytes], None]) -> Result:
    """Has dom0 run the job in ARCHIVE; SHOW gets its output."""
    name = secrets.token_hex(6)
    port.send(f"job {name} {write_job(work, archive)}\n")
    port.until(re.compile(f"NUNCHI-BEGIN {name}\n".encode()), "handing over the job")
    end = port.until(re.compile(rb"NUNCHI-END %s (\d+) (\S+)\n" % name.encode()),
                     "running the script", show)
    status, kept = int(end[1]), end[2].decode()
    if kept == "-":
        raise LabError("dom0 did not get the job's files whole")
    return Result(status, check_files(work, kept))


class BadState(LabError):
    """QEMU cannot go on from a saved state, which it may have written while it ran nested guests."""


class QemuHost:
    """The fast lab: QEMU's emulation of AMD's virtualization."""

    def __init__(self, image: dom0.Image, work: Path, timeout: float) -> None:
        self.image, self.work = image, work
        self.deadline = time.monotonic() + timeout

    def command(self, state: Path | None) -> list[str]:
        count = len(self.image.spec.guests)
        memory = MEMORY_MIB["xen"] + MEMORY_MIB["dom0"] + count * MEMORY_MIB["guest"]
        size = MEMORY_MIB["dom0"]
        command = [
            "qemu-system-x86_64", "-name", "nunchi-xen", "-accel", "tcg", "-machine", "pc",
            # Without SMAP, which -cpu max has, as Xen's first domain dies of it; without the
            # instruction whose flags QEMU 7.2 may lose (lab/machine.py).
            "-cpu", "qemu64,+svm,+npt,-cx16",
            "-m", str(memory), "-smp", "1", "-display", "none", "-nodefaults", "-no-reboot",
            "-qmp", f"unix:{self.work}/qmp,server=on,wait=off",
            "-chardev", f"socket,id=console,path={self.work}/console,server=on,wait=off,"
                        f"logfile={self.work}/console.log", "-serial", "chardev:console",
            "-serial", f"unix:{self.work}/control,server=on,wait=off",
            "-drive", f"file={self.work}/in,format=raw,if=ide,index=0,cache=unsafe",
            "-drive", f"file={self.work}/out,format=raw,if=ide,index=1,cache=unsafe",
            "-kernel", str(self.image.xen), "-append",
            f"console=com1 com1=115200,8n1 dom0_mem={size}M,max:{size}M loglvl=warning "
            "guest_loglvl=warning noreboot",
            "-initrd", f"{self.image.kernel} console=hvc0 quiet {dom0.NO_TESTS},{self.image.initrd}"]
        if state:
            command += ["-incoming", f"exec:zstd -dcq {shlex.quote(str(state))}"]
        return command

    def _failure(self) -> str:
        return tail(self.work / "qemu.log") + "\n" + tail(self.work / "console.log")

    @contextlib.contextmanager
    def up(self, state: Path | None) -> Iterator[Port]:
        """The machine booted, or resumed from STATE, and its control port."""
        with running(self.command(state), self.work / "qemu.log", "qemu-system-x86") as process:
            def alive() -> bool:
                return process.poll() is None

            channel = connected(self.work / "control", alive, self._failure, self.deadline)
            port = Port(channel, alive, self._failure, self.deadline)
            try:
                if state:
                    self._resume()
                yield port
            finally:
                port.close()

    def _resume(self) -> None:
        """Waits until QEMU has read the state, then starts the machine, which was saved stopped."""
        try:
            with Qmp(self.work / "qmp", timeout=60.0) as qmp:
                while qmp.command("query-status")["status"] == "inmigrate":
                    if time.monotonic() > self.deadline:
                        raise LabError(f"the saved state is not read in time\n{self._failure()}")
                    time.sleep(0.05)
                qmp.command("cont")
        except ConnectionError as error:
            raise BadState(f"QEMU ends when it reads the saved state: {error}\n"
                           f"{self._failure()}") from error

    def save(self, target: Path) -> None:
        """Writes the state of memory and devices to TARGET; the machine is stopped after that."""
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            with Qmp(self.work / "qmp") as qmp:
                qmp.command("stop")
                qmp.command("migrate-set-parameters", max_bandwidth=1 << 40)
                qmp.command("migrate", uri=f"exec:zstd -1 -T2 -q >{shlex.quote(str(temporary))}")
                while True:
                    status = qmp.command("query-migrate")
                    if status["status"] == "completed":
                        break
                    if status["status"] in ("failed", "cancelled"):
                        raise LabError(f"saving the lab's state: {status}")
                    time.sleep(0.1)
            temporary.rename(target)
        finally:
            temporary.unlink(missing_ok=True)


def qemu_version() -> str:
    try:
        done = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True,
                              check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        raise LabError("qemu-system-x86_64 is not installed (package qemu-system-x86)") from None
    return done.stdout.splitlines()[0]


def state_path(image: dom0.Image) -> Path:
    """The file of a booted IMAGE's state; its name has a digest of its inputs."""
    nowhere = dataclasses.replace(image, path=Path("image"))
    command = QemuHost(nowhere, Path("work"), 0.0).command(None)
    facts = "\0".join([image.digest, qemu_version(), *command])
    digest = hashlib.sha256(facts.encode()).hexdigest()[:12]
    return cache_root() / "xen" / f"state-{image.spec.label}-{digest}.zst"


def await_ready(port: Port) -> None:
    """Waits until the guests are up; prints dom0's progress lines meanwhile."""
    started = time.monotonic()
    lines: list[str] = []
    pending = b""

    def note(data: bytes) -> None:
        nonlocal pending
        *whole, pending = (pending + data).split(b"\n")
        # Until the port is in raw mode it echoes our empty lines.
        for line in filter(None, map(bytes.strip, whole)):
            lines.append(line.decode("utf-8", "backslashreplace").removeprefix("NUNCHI-NOTE "))
            say(f"{lines[-1]} ({time.monotonic() - started:.0f} s)")

    ready = port.until(READY, "booting Xen and the guests", note, BOOT_SECONDS)
    if ready[1] != b"0":
        raise LabError("not every guest came up:\n" + "\n".join(lines[-20:]))


def saved_state(image: dom0.Image, timeout: float) -> Path:
    """The state of IMAGE with its guests up; booted and saved if it is not in the cache."""
    state = state_path(image)
    with locked(state.with_name(f".{state.name}.lock"), timeout):
        if not state.exists():
            with workplace() as work:
                make_disks(work)
                host = QemuHost(image, work, timeout)
                say(f"booting Xen {image.spec.xen} with "
                    f"{', '.join(guest.name for guest in image.spec.guests) or 'no guests'}")
                with host.up(None) as port:
                    await_ready(port)
                    host.save(state)
            say(f"saved the state: {state.stat().st_size >> 20} MiB")
            dom0.forget_old("state-*.zst")
    os.utime(state)
    return state


@contextlib.contextmanager
def host_up(image: dom0.Image, timeout: float, cold: bool) -> Iterator[tuple[Port, Path]]:
    """A host with its guests up, its control port and its directory."""
    deadline = time.monotonic() + timeout
    state = None if cold else saved_state(image, timeout)
    with workplace() as work, contextlib.ExitStack() as stack:
        make_disks(work)
        host = QemuHost(image, work, deadline - time.monotonic())
        try:
            port = stack.enter_context(host.up(state))
        except BadState as error:
            say(f"{error}\nthe state is made anew")
            state.unlink(missing_ok=True)
            port = stack.enter_context(host.up(saved_state(image, timeout)))
        if not state:
            await_ready(port)
        yield port, work


def to_stdout(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.flush()
