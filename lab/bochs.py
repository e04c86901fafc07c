# SPDX-License-Identifier: LGPL-2.1-or-later
"""The thorough labs: Bochs' emulation of Intel's or AMD's virtualization.

Slower than QEMU, but with what that lacks: on Intel EPT permissions, views (altp2m) and the monitor
trap flag; on AMD breakpoint events. There is no saved state: each run boots.
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import shlex
import shutil
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import dom0
import packages
import xenhost
from common import LabError, run, say

CPUS = {"bochs-intel": "corei7_skylake_x", "bochs-amd": "ryzen"}
PACKAGES = ["bochs", "bochsbios", "vgabios", "grub-pc-bin", "grub-common", "xorriso"]
# 2048 is the most that Debian's build has.
MEMORY_MIB, DOM0_MIB = 2048, 768
DISK_OUT = 1 << 30

GRUB = """set timeout=0
set gfxpayload=text
multiboot /boot/xen vga=text-80x25 console=com1 com1=115200,8n1 dom0_mem={dom0}M,max:{dom0}M \
loglvl=warning guest_loglvl=warning noreboot watchdog=0 cpufreq=none xsave=0 apicv=0 altp2m=1
module /boot/vmlinux console=hvc0 mitigations=off quiet init_on_alloc=0 rodata=off {no_tests}
module --nounzip /boot/initrd.zst
boot
"""

CONFIG = """plugin_ctrl: serial=1
config_interface: textconfig
display_library: rfb, options="timeout=0"
memory: guest={memory}, host={memory}
romimage: file="{share}/bochs/BIOS-bochs-latest"
vgaromimage: file="{share}/vgabios/vgabios.bin"
boot: cdrom
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=disk, path="{work}/in", mode=flat
ata0-slave: type=disk, path="{work}/out", mode=flat
ata1: enabled=1, ioaddr1=0x170, ioaddr2=0x370, irq=15
ata1-master: type=cdrom, path="{work}/xen.iso", status=inserted
cpu: model={cpu}, count=1, ips=40000000, reset_on_triple_fault=0, ignore_bad_msrs=1
clock: sync=none
com1: enabled=1, mode=file, dev="{work}/console.log"
com2: enabled=1, mode=term, dev="{terminal}"
log: {work}/bochs.log
panic: action=report
error: action=report
info: action=ignore
debug: action=ignore
"""


class Terminal:
    """A pseudo-terminal with the calls of a socket that xenhost.Port makes."""

    def __init__(self) -> None:
        self.near, self.far = pty.openpty()
        tty.setraw(self.far)
        self.timeout: float | None = None
        self.path = os.ttyname(self.far)

    def settimeout(self, seconds: float | None) -> None:
        self.timeout = seconds

    def setblocking(self, wanted: bool) -> None:
        self.timeout = None if wanted else 0.0

    def recv(self, size: int) -> bytes:
        ready, _, _ = select.select([self.near], [], [], self.timeout)
        if not ready:
            raise TimeoutError
        return os.read(self.near, size)

    def send(self, data: bytes) -> int:
        _, ready, _ = select.select([], [self.near], [], self.timeout)
        if not ready:
            raise BlockingIOError
        return os.write(self.near, data)

    def sendall(self, data: bytes) -> None:
        while data:
            data = data[self.send(data):]

    def close(self) -> None:
        os.close(self.near)
        os.close(self.far)


class BochsHost:
    """A host in Bochs; as xenhost.QemuHost, but never resumed."""

    def __init__(self, machine: str, image: dom0.Image, work: Path, timeout: float,
                 mirror: str | None) -> None:
        self.machine, self.image, self.work = machine, image, work
        self.deadline = time.monotonic() + timeout
        self.tree = packages.fetch("bochs", "trixie", PACKAGES, mirror=mirror)

    def _disc(self) -> None:
        """A CD with GRUB, Xen, the kernel and the root."""
        boot = self.work / "disc/boot"
        (boot / "grub").mkdir(parents=True)
        for name, path in (("xen", self.image.xen), ("vmlinux", self.image.kernel)):
            shutil.copyfile(path, boot / name)
        # The kernel unpacks it faster than gzip, and it is two thirds of that to read.
        run(["zstd", "-q", "-9", str(self.image.initrd), "-o", str(boot / "initrd.zst")],
            what="compressing dom0's root")
        (boot / "grub/grub.cfg").write_text(
            GRUB.format(dom0=DOM0_MIB, no_tests=dom0.NO_TESTS), encoding="ascii")
        xorriso = self.work / "xorriso"
        xorriso.write_text(f'#!/bin/sh\nexec {shlex.join(self.tree.command("usr/bin/xorriso"))} '
                           '"$@"\n', encoding="utf-8")
        xorriso.chmod(0o755)
        run([*self.tree.command("usr/bin/grub-mkrescue"),
             f"--directory={self.tree.path}/usr/lib/grub/i386-pc", "--fonts=", "--themes=",
             "--locales=", f"--xorriso={xorriso}", "-o", str(self.work / "xen.iso"),
             str(self.work / "disc")], what="making the boot disc")

    def _failure(self) -> str:
        return (xenhost.tail(self.work / "bochs.log", 5) + "\n"
                + xenhost.tail(self.work / "console.log"))

    @contextlib.contextmanager
    def up(self) -> Iterator[xenhost.Port]:
        """The machine booted, and its control port."""
        self._disc()
        os.truncate(self.work / "out", DISK_OUT)
        terminal = Terminal()
        (self.work / "bochsrc").write_text(CONFIG.format(
            memory=MEMORY_MIB, share=self.tree.path / "usr/share", work=self.work,
            cpu=CPUS[self.machine], terminal=terminal.path), encoding="utf-8")
        # Debian's build has the debugger, which waits for an order.
        (self.work / "orders").write_text("c\n", encoding="ascii")
        plugins = self.tree.find(f"{packages.LIBRARIES[0]}/bochs/plugins")
        command = ["env", f"LTDL_LIBRARY_PATH={plugins}", *self.tree.command("usr/bin/bochs-bin"), "-q", "-f", str(self.work / "bochsrc"),
                   "-rc", str(self.work / "orders")]
        with xenhost.running(command, self.work / "emulator.log", "bochs") as process:
            port = xenhost.Port(terminal, lambda: process.poll() is None, self._failure,
                                self.deadline)
            try:
                yield port
            finally:
                port.close()


def check_guests(spec: dom0.Spec) -> None:
    if [guest.type for guest in spec.guests if guest.type != "pvh"]:
        raise LabError("in Bochs only PVH guests were seen to work: give --guest pvh")


@contextlib.contextmanager
def host_up(machine: str, image: dom0.Image, timeout: float,
            mirror: str | None) -> Iterator[tuple[xenhost.Port, Path]]:
    """A host in Bochs with its guests up, its control port and its directory."""
    check_guests(image.spec)
    with xenhost.workplace() as work:
        xenhost.make_disks(work)
        host = BochsHost(machine, image, work, timeout, mirror)
        say(f"booting Xen {image.spec.xen} in Bochs ({CPUS[machine]}): some minutes")
        with host.up() as port:
            xenhost.await_ready(port)
            yield port, work
