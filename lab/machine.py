# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests in QEMU: boot, commands, stop; state in the cache's run/NAME/state.json."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import built
import initramfs
import kernels
from common import LabError, cache_root, locked, say, uninterrupted, write_atomic
from qmp import Qmp

SOCKET_PATH_LIMIT = 100
UEFI = Path("/usr/share/ovmf/OVMF.fd")  # of the package ovmf


@dataclass
class Options:
    """What a guest is booted with."""

    suite: str
    flavour: str
    memory: int = 1024
    cpus: int = 1
    cpu: str = ""
    kaslr: bool = True
    machine: str = "pc"
    firmware: str = "bios"
    backing: str = "file"
    vmcoreinfo: bool = False
    workload: str = "full"
    append: str = ""
    crash: bool = False  # what `loadcrash` takes is in /root
    timeout: float = 300.0
    mirror: str | None = None


@dataclass
class Guest:
    """A running guest; everything needed to talk to it and to stop it."""

    name: str
    directory: Path
    pid: int
    pid_start: int
    marker: str
    kernel: str
    options: Options
    boot_seconds: float = 0.0
    command: list[str] = field(default_factory=list)

    @property
    def qmp(self) -> Path:
        """The QMP socket for nunchi and other tools."""
        return self.directory / "qmp"

    @property
    def control(self) -> Path:
        """The lab's own QMP socket: QEMU serves one client a socket."""
        return self.directory / "control"

    @property
    def serial(self) -> Path:
        return self.directory / "commands"

    @property
    def output(self) -> Path:
        return self.directory / "output"

    @property
    def console(self) -> Path:
        return self.directory / "console"

    @property
    def ram(self) -> Path | None:
        """The file that is the guest's RAM, if there is one."""
        if self.options.backing == "file":
            return self.directory / "ram"
        if self.options.backing == "memfd":
            for link in Path(f"/proc/{self.pid}/fd").iterdir():
                # QEMU may close one meanwhile.
                with contextlib.suppress(FileNotFoundError):
                    if os.readlink(link).startswith("/memfd:memory-backend-memfd"):
                        return link
        return None

    def alive(self) -> bool:
        return _start_time(self.pid) == self.pid_start

    def save(self) -> None:
        state = asdict(self)
        state["directory"] = str(self.directory)
        state |= {"qmp": str(self.qmp), "control": str(self.control),
                  "serial": str(self.serial), "output": str(self.output),
                  "console": str(self.console), "ram": str(self.ram) if self.ram else None}
        write_atomic(self.directory / "state.json",
                     (json.dumps(state, indent=1) + "\n").encode())


def run_root() -> Path:
    return cache_root() / "run"


def _start_time(pid: int) -> int:
    """A process's start time in ticks; 0 if it is gone. Tells reused process ids apart."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0
    fields = stat[stat.rindex(b")") + 2:].split()
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


def _valid_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,40}", name):
        raise LabError(f"{name!r} is no guest name: letters, digits, '.', '_', '-'")
    return name


def load(name: str) -> Guest:
    """The guest NAME from its state file; it may have died since."""
    path = run_root() / _valid_name(name) / "state.json"
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LabError(f"no guest {name}: lab/guest list shows those there are") from None
    return Guest(name=state["name"], directory=Path(state["directory"]), pid=state["pid"],
                 pid_start=state["pid_start"], marker=state["marker"], kernel=state["kernel"],
                 options=Options(**state["options"]), boot_seconds=state["boot_seconds"],
                 command=state["command"])


def guests() -> Iterator[Guest]:
    for path in sorted(run_root().glob("*/state.json")):
        yield load(path.parent.name)


def running(name: str) -> Guest:
    guest = load(name)
    if not guest.alive():
        raise LabError(f"guest {name} (process {guest.pid}) is not running; "
                       f"lab/guest stop {name} clears what it left")
    return guest


def _memory_arguments(options: Options, directory: Path) -> list[str]:
    size = f"size={options.memory}M"
    if options.backing == "anonymous":
        return ["-machine", options.machine]
    backend = {"file": f"memory-backend-file,id=mem,{size},mem-path={directory}/ram,share=on",
               "memfd": f"memory-backend-memfd,id=mem,{size},share=on"}[options.backing]
    return ["-machine", f"{options.machine},memory-backend=mem", "-object", backend]


def qemu_command(guest: Guest, kernel: kernels.Kernel) -> list[str]:
    """The whole command line of a guest."""
    options, directory = guest.options, guest.directory
    # A kernel that panics ends QEMU (-no-reboot) instead of leaving us to wait.
    # Emulated clocks disagree: 7.2 can check them against each other for ever, all else stopped.
    # On a busy host setup_IO_APIC() counts too few timer interrupts and panics, unless told not to
    # check (no_timer_check).
    append = ["console=ttyS0", "quiet", "panic=1", "tsc=nowatchdog", "no_timer_check",
              f"nunchi.hostname={guest.name}", f"nunchi.marker={guest.marker}"]
    if not options.kaslr:
        append.append("nokaslr")
    if options.append:
        append.append(options.append)
    # SeaBIOS's table of processors, all that a kernel without ACPI has, names one of each socket.
    cpus = f"{options.cpus},sockets={options.cpus}"
    program = "qemu-system-i386" if kernel.is_32bit else "qemu-system-x86_64"
    command = [program, "-name", guest.name, "-accel", "tcg", *_memory_arguments(options, directory),
               "-m", str(options.memory), "-smp", cpus,
               "-nodefaults", "-display", "none", "-no-reboot", "-nic", "none",
               "-qmp", f"unix:{guest.qmp},server=on,wait=off",
               "-qmp", f"unix:{guest.control},server=on,wait=off",
               "-serial", f"file:{guest.console}",
               "-serial", f"unix:{guest.serial},server=on,wait=off",
               "-debugcon", f"file:{guest.output}",
               "-kernel", str(kernel.image), "-initrd", str(directory / "initrd"),
               "-append", " ".join(append)]
    if options.cpu or not kernel.is_32bit:
        # QEMU 7.2's emulation may lose the flags of a cmpxchg16b that an interrupt follows: guests
        # panic in SLUB, which does without the instruction where there is none.
        command += ["-cpu", (options.cpu or "qemu64") + ("" if kernel.is_32bit else ",-cx16")]
    if options.vmcoreinfo:
        command += ["-device", "vmcoreinfo"]
    if options.firmware == "uefi":
        # By its firmware the kernel is started as an EFI program and places itself.
        command += ["-bios", str(UEFI)]
    return command


def _end_process(pid: int, start: int, grace: float = 5.0) -> None:
    """End a process that the lab started: SIGTERM, then SIGKILL."""
    for sig in (signal.SIGTERM, signal.SIGKILL):
        if _start_time(pid) != start or start == 0:
            return
        os.kill(pid, sig)
        deadline = time.monotonic() + grace
        while time.monotonic() < deadline and _start_time(pid) == start:
            time.sleep(0.02)


def _tail(path: Path, count: int = 15) -> str:
    try:
        text = path.read_bytes().decode("utf-8", "backslashreplace")
    except FileNotFoundError:
        return ""
    return "\n".join(f"  | {line}" for line in text.splitlines()[-count:])


class Frames:
    """Frames of the guest's debug port from one position on; the format is agent.c's."""

    def __init__(self, guest: Guest, position: int) -> None:
        self.guest = guest
        self.position = position

    def wait(self, frame: str, timeout: float, progress: str) -> tuple[bytes, int]:
        """The output and exit status of FRAME."""
        begin = f"NUNCHI-BEGIN {frame}\n".encode()
        end = re.compile(rb"\nNUNCHI-END %s (\d+) ([0-9a-f]{8}) (\d+)\n" % frame.encode())
        started = told = time.monotonic()
        data = b""
        with open(self.guest.output, "rb") as handle:
            handle.seek(self.position)
            while True:
                more = handle.read()
                start = max(0, len(data) - 200)
                data += more
                match = end.search(data, start) if more else None
                if match:
                    break
                now = time.monotonic()
                if not self.guest.alive():
                    raise LabError(f"{self.guest.name}: QEMU ended while {progress}\n"
                                   + _tail(self.guest.directory / "qemu.log")
                                   + _tail(self.guest.console))
                if now - started > timeout:
                    raise LabError(f"{self.guest.name}: {progress} took longer than "
                                   f"{timeout:.0f} s\n" + _tail(self.guest.console))
                if now - told > 10:
                    say(f"{self.guest.name}: {progress} ({now - started:.0f} s)")
                    told = now
                time.sleep(0.02)
        first = data.find(begin)
        payload = data[first + len(begin):match.start()]
        if first < 0 or len(payload) != int(match[1]) or zlib.crc32(payload) != int(match[2], 16):
            raise LabError(f"{self.guest.name}: frame {frame} is damaged: {len(payload)} bytes, "
                           f"{match[1].decode()} announced")
        return payload, int(match[3])


def execute(guest: Guest, command: str, timeout: float = 120.0) -> bytes:
    """Run a shell command in the guest and return what it printed; its failure raises."""
    if "\n" in command:
        raise LabError("a guest command is one line")
    with locked(guest.directory / "command.lock", timeout):
        frame = secrets.token_hex(6)
        frames = Frames(guest, guest.output.stat().st_size)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as port:
            port.settimeout(10)
            port.connect(str(guest.serial))
            request = f"{frame} {int(timeout) + 1} {command}\n"
            port.sendall(request.encode("utf-8", "surrogateescape"))
            output, status = frames.wait(frame, timeout + 10, f"running {command.split()[0]}")
    if status != 0:
        raise LabError(f"{guest.name}: {command} ended with {status}\n"
                       f"{output[-2000:].decode('utf-8', 'replace')}")
    return output


def _start(guest: Guest, kernel: kernels.Kernel) -> None:
    guest.command = qemu_command(guest, kernel)
    with open(guest.directory / "qemu.log", "wb") as log, uninterrupted():
        try:
            process = subprocess.Popen(guest.command, stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log, start_new_session=True)
        except FileNotFoundError:
            raise LabError(f"{guest.command[0]} is not installed "
                           "(package qemu-system-x86)") from None
        guest.pid = process.pid
        guest.pid_start = _start_time(process.pid)


def find_kernel(options: Options) -> kernels.Kernel:
    """The kernel OPTIONS ask for: one of our own, or the distribution's."""
    if options.flavour in built.RECIPES:
        return built.fetch(options.flavour)
    return kernels.fetch(options.suite, options.flavour, mirror=options.mirror)


def boot(name: str, options: Options) -> Guest:
    """Boot a guest and wait until it is ready; a failure leaves nothing behind."""
    directory = run_root() / _valid_name(name)
    if len(str(directory / "commands")) > SOCKET_PATH_LIMIT:
        raise LabError(f"{directory} is too long for a socket: set XDG_CACHE_HOME to a shorter path")
    kernel = find_kernel(options)
    run_root().mkdir(parents=True, exist_ok=True)
    with locked(run_root() / f".{name}.lock", 1.0):
        if directory.exists():
            if (directory / "state.json").exists() and load(name).alive():
                raise LabError(f"guest {name} already runs: lab/guest stop {name}")
            shutil.rmtree(directory)
        directory.mkdir()
        guest = Guest(name, directory, 0, 0, f"nunchi-{secrets.token_hex(8)}", kernel.version,
                      options)
        try:
            initramfs.build(kernel, options.workload, directory / "initrd", options.mirror)
            if options.crash:
                initramfs.add_crash_kernel(kernel, directory / "initrd", options.mirror)
            started = time.monotonic()
            _start(guest, kernel)
            guest.save()
            while not guest.output.exists() and guest.alive():
                time.sleep(0.02)
            Frames(guest, 0).wait("0", options.timeout, f"booting {kernel.version}")
            guest.boot_seconds = round(time.monotonic() - started, 2)
            guest.save()
            (directory / "initrd").unlink()
        except BaseException:
            if guest.pid:
                _end_process(guest.pid, guest.pid_start, grace=2.0)
            shutil.rmtree(directory, ignore_errors=True)
            raise
    say(f"{name}: {kernel.version} ready in {guest.boot_seconds} s, process {guest.pid}")
    return guest


def stop(name: str) -> None:
    """End a guest's QEMU, by its own process id, and remove what it used."""
    guest = load(name)
    if guest.alive():
        try:
            with Qmp(guest.control, timeout=3.0) as qmp:
                qmp.command("quit", timeout=3.0)
        except LabError as error:
            say(f"{name}: {error}")
        deadline = time.monotonic() + 3.0
        while guest.alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        _end_process(guest.pid, guest.pid_start)
        if guest.alive():
            raise LabError(f"{name}: process {guest.pid} does not end")
    shutil.rmtree(guest.directory, ignore_errors=True)
