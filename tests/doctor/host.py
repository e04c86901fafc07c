# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host to try the doctor on: Debian with systemd, GRUB (BIOS and EFI), a kernel and Xen.

Its disk is made once, from the distribution's packages, and kept in the cache: an MBR with an EFI
system partition and an ext4 root. What a test wants done in it stands on a second disk, a file
system whose program "job" runs at each boot; what that prints comes out of the second serial line.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import struct
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import dom0
import kernels
import packages
import xenhost
from common import LabError, cache_root, locked, run, say, scratch, write_atomic

from doctor import files

SUITE = "bookworm"
XEN = "4.17"
PACKAGES = ("systemd-sysv", "kmod", "e2fsprogs", "tiny-initramfs", "diffutils",
            "linux-image-amd64", f"xen-hypervisor-{XEN}-amd64", f"xen-utils-{XEN}",
            "xen-utils-common", "xen-hypervisor-common", "grub2-common", "grub-pc-bin",
            "grub-efi-amd64-bin", "dosfstools", "mtools", "btrfs-progs")
# Modules that the root file system needs; this initramfs has no udev.
INITRAMFS = ('mkdir "$1/etc/tiny-initramfs" && printf "AUTO_MODULES=no\nMICROCODE=no\n'
             'INCLUDE_MODULES=crc32c_generic,ata_piix,sd_mod,ext4\n" '
             '>"$1/etc/tiny-initramfs/tiny-initramfs.conf"')
ROOT_UUID = "6e756e63-6869-4d6f-8a2d-646f63746f72"
SECTOR = 512
ESP_START, ESP_SIZE = 2048, (16 << 20) // SECTOR
ROOT_START, ROOT_SIZE = 65536, (1400 << 20) // SECTOR
OVMF = (("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"), ("OVMF_CODE.fd", "OVMF_VARS.fd"))
BOOT_SECONDS = 420
BEAT_SECONDS = 0.2
# Set when the tests are to end.
stopping = threading.Event()


# ---- The disk ----------------------------------------------------------------------------------


def _recipe() -> str:
    """What the disk depends on."""
    customize = (Path(__file__).resolve().parent / "customize").read_bytes()
    layout = repr((SUITE, PACKAGES, INITRAMFS, ROOT_UUID, ESP_START, ESP_SIZE, ROOT_START,
                   ROOT_SIZE))
    return hashlib.sha256(customize + layout.encode()).hexdigest()[:16]


def _make_root(directory: Path, work: Path) -> None:
    """Installs the packages into DIRECTORY."""
    say(f"doctor: installing a {SUITE} with Xen {XEN} (some minutes, once)")
    keyring = kernels._keyring(work)
    sources = work / "sources.list"
    sources.write_text(kernels._suite_lines(SUITE, None, keyring, "amd64"), encoding="ascii")
    customize = Path(__file__).resolve().parent / "customize"
    without = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")]
    run(["mmdebstrap", "--quiet", "--mode=root", *without,
         "--variant=apt", '--aptopt=APT::Install-Recommends "false"',
         f"--include={','.join(PACKAGES)}",
         f"--essential-hook={INITRAMFS}",
         f"--customize-hook={customize} \"$1\" {ROOT_UUID}",
         SUITE, str(directory), str(sources)], what="installing the test host", timeout=1500)


def _partition(kind: int, active: bool, start: int, size: int) -> bytes:
    return struct.pack("<B3sB3sII", 0x80 if active else 0, b"\xfe\xff\xff", kind, b"\xfe\xff\xff",
                       start, size)


def _write_boot_sectors(disk: Path, grub: Path) -> None:
    """The MBR with GRUB's first sector, its core behind it, and the EFI system partition."""
    boot = bytearray((grub / "boot.img").read_bytes()[:440].ljust(446, b"\0"))
    boot += _partition(0xEF, False, ESP_START, ESP_SIZE)
    boot += _partition(0x83, True, ROOT_START, ROOT_SIZE)
    boot += bytes(32) + b"\x55\xaa"
    core = (grub / "core.img").read_bytes()
    if len(core) > (ESP_START - 1) * SECTOR:
        raise LabError("GRUB's core image does not fit before the first partition")
    with open(disk, "r+b") as handle:
        handle.write(boot + core)
        handle.seek(ESP_START * SECTOR)
        handle.write((grub / "esp.img").read_bytes())


def _make_disk(disk: Path, work: Path) -> None:
    root, grub = work / "root", work / "grub"
    _make_root(root, work)
    shutil.move(root / "boot-files", grub)
    with open(disk, "wb") as handle:
        handle.truncate((ROOT_START + ROOT_SIZE) * SECTOR)
    # Features that the GRUB of this release knows.
    run(["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^metadata_csum_seed,^orphan_file,^64bit",
         "-U", ROOT_UUID, "-d", str(root), "-E", f"offset={ROOT_START * SECTOR}", str(disk),
         f"{ROOT_SIZE // 2}k"], what="making the test host's file system")
    _write_boot_sectors(disk, grub)
    kernel = next((root / "boot").glob("vmlinuz-*"))
    initrd = next((root / "boot").glob("initrd.img-*"))
    install(disk, kernel, initrd, work)


def install(disk: Path, kernel: Path, initrd: Path, work: Path) -> None:
    """The first boot, without GRUB: it makes its grub.cfg itself, as an installation does."""
    job = ("mount -o remount,rw / && update-grub && sync && echo INSTALLED; "
           "systemctl poweroff\n")
    host = Host(disk, work / "install", firmware="bios", direct=(kernel, initrd))
    host.run({"job": job.encode()})
    if "INSTALLED" not in host.output():
        raise LabError(f"the test host did not install itself:\n{host.output()[-2000:]}\n"
                       f"{host.console()[-2000:]}")


def disk() -> Path:
    """The disk of a host that was just installed; never to be written to."""
    parent = cache_root() / "doctor"
    path = parent / f"host-{_recipe()}.img"
    with locked(parent / ".lock", 1800):
        if path.exists():
            return path
        if os.geteuid():
            raise LabError("making the test host's disk needs root")
        with scratch(parent, "host") as work:
            _make_disk(work / "disk", work)
            for old in parent.glob("host-*"):
                old.unlink()
            (work / "disk").rename(path)
    return path


# ---- Running it --------------------------------------------------------------------------------


def _ovmf() -> tuple[Path, Path]:
    for code, variables in OVMF:
        paths = Path("/usr/share/OVMF") / code, Path("/usr/share/OVMF") / variables
        if all(path.exists() for path in paths):
            return paths
    raise LabError("there is no OVMF: install ovmf")


def program_files(program: Path) -> dict[str, bytes]:
    """A program with the libraries it needs, and its loader, to be run in any system."""
    found = {"nunchi.bin": program.read_bytes()}
    later = {name: path for name in packages.loaded(program) if (path := dom0.host_library(name))}
    found |= {name: path.read_bytes() for name, path in later.items()}
    for file in (program, *later.values()):
        for line in run(["ldd", str(file)], what="finding libraries").splitlines():
            words = [word for word in line.split() if word.startswith("/")]
            if words:
                name = Path(words[0]).name
                found["ld.so" if name.startswith("ld-") else name] = Path(words[0]).read_bytes()
    found["nunchi"] = (b'#!/bin/sh\nhere=${0%/*}\nexec "$here/ld.so" --library-path "$here" '
                       b'"$here/nunchi.bin" "$@"\n')
    return found


@dataclass
class Host:
    """One run of the host, on DISK itself or (with overlay) on a copy that keeps what changes."""

    disk: Path
    directory: Path
    firmware: str
    direct: tuple[Path, Path] | None = None
    overlay: bool = False

    def output(self) -> str:
        """What the job printed."""
        return self._text("output")

    def console(self) -> str:
        """The first serial line: GRUB's, Xen's or the kernel's."""
        return self._text("console")

    def _text(self, name: str) -> str:
        path = self.directory / name
        return path.read_bytes().decode("utf-8", "replace") if path.exists() else ""

    def _drives(self) -> list[str]:
        disk, kind = self.disk, "raw"
        if self.overlay:
            disk, kind = self.directory / "overlay", "qcow2"
            if not disk.exists():
                run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b",
                     str(self.disk), str(disk)], what="making an overlay")
        return ["-drive", f"file={disk},format={kind},if=ide,index=0,cache=unsafe",
                "-drive", f"file={self.directory}/job.img,format=raw,if=none,id=job",
                "-device", "ide-hd,bus=ide.0,unit=1,drive=job"]

    def _firmware(self) -> list[str]:
        if self.firmware != "ovmf":
            return []
        code, variables = _ovmf()
        copy = self.directory / "vars.fd"
        if not copy.exists():
            shutil.copyfile(variables, copy)
        return ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={code}",
                "-drive", f"if=pflash,format=raw,unit=1,file={copy}"]

    def _direct(self) -> list[str]:
        if not self.direct:
            return []
        return ["-kernel", str(self.direct[0]), "-initrd", str(self.direct[1]),
                "-append", f"root=UUID={ROOT_UUID} ro console=ttyS0"]

    def _write_job(self, job: dict[str, bytes]) -> None:
        folder = self.directory / "job"
        folder.mkdir(exist_ok=True)
        for name, data in job.items():
            (folder / name).write_bytes(data)
            (folder / name).chmod(0o755)
        size = sum(len(data) for data in job.values()) + (8 << 20)
        run(["mke2fs", "-q", "-F", "-t", "ext2", "-L", "job", "-d", str(folder), f"{folder}.img",
             f"{size >> 10}k"], what="making the job's disk")

    def _command(self) -> list[str]:
        # qemu64 as everywhere under TCG: without cmpxchg16b, whose flags QEMU 7.2 may lose.
        return ["qemu-system-x86_64", "-machine", "pc", "-accel", "tcg",
                "-cpu", "qemu64,+svm,+npt,-cx16", "-m", "1280", "-smp", "1",
                "-display", "none", "-nodefaults", "-vga", "std", "-nic", "none",
                "-chardev", f"socket,id=console,path={self.directory}/serial,server=on,wait=off,"
                            f"logfile={self.directory}/console", "-serial", "chardev:console",
                "-serial", f"file:{self.directory}/output",
                *self._firmware(), *self._drives(), *self._direct()]

    def run(self, job: dict[str, bytes], timeout: float = BOOT_SECONDS) -> None:
        """Boots it, as often as the job reboots, until it powers off."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._write_job(job)
        with open(self.directory / "errors", "w+b") as errors, \
                subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stderr=errors,
                                 preexec_fn=xenhost.die_with_parent) as qemu:
            try:
                self._attend(qemu, time.monotonic() + timeout)
            finally:
                qemu.kill()
                qemu.wait()
        if qemu.returncode:
            raise LabError(f"QEMU failed: {self._text('errors')}")

    def _attend(self, qemu: subprocess.Popen, deadline: float) -> None:
        """Until it ends. QEMU 7.2 now and then loses the timer of a CPU that halts under Xen;
        until some other interrupt it then stands still. So Xen's console gets empty lines."""
        with socket.socket(socket.AF_UNIX) as serial:
            self._connect(serial, qemu)
            serial.settimeout(BEAT_SECONDS)
            seen, beaten = b"", 0.0
            while qemu.poll() is None:
                if time.monotonic() > deadline or stopping.is_set():
                    raise LabError(f"the test host did not end in time:\n{self.output()[-3000:]}"
                                   f"\n{self.console()[-3000:]}")
                with contextlib.suppress(TimeoutError, ConnectionError):
                    seen = seen[-4000:] + serial.recv(65536)
                if b"Kernel panic" in seen:
                    raise LabError(f"a kernel panicked:\n{self.console()[-1500:]}")
                in_xen = seen.rfind(b"(XEN) ") > seen.rfind(b"GNU GRUB")
                if in_xen and time.monotonic() - beaten > BEAT_SECONDS:
                    beaten = time.monotonic()
                    with contextlib.suppress(TimeoutError, ConnectionError):
                        serial.send(b"\n")

    def _connect(self, serial: socket.socket, qemu: subprocess.Popen) -> None:
        while qemu.poll() is None:
            try:
                serial.connect(f"{self.directory}/serial")
                return
            except OSError:
                time.sleep(0.05)

    def unpack(self) -> Path:
        """All files of its disk, as they are now."""
        raw, tree = self.directory / "raw", self.directory / "tree"
        run(["qemu-img", "convert", "-O", "raw", f"{self.directory}/overlay", str(raw)],
            what="reading the overlay")
        files.unpack(raw, ROOT_START * SECTOR, tree)
        raw.unlink()
        return tree


def files_before(disk: Path) -> dict[str, str]:
    """What files.of_tree() says of the disk as it was made; kept beside it."""
    listing = disk.with_suffix(".json")
    with locked(disk.parent / ".lock", 600):
        if not listing.exists():
            with scratch(disk.parent, "files") as work:
                files.unpack(disk, ROOT_START * SECTOR, work / "tree")
                found = files.of_tree(work / "tree")
            write_atomic(listing, json.dumps(found).encode())
        return json.loads(listing.read_bytes())


def work_directory(name: str) -> Path:
    """A place for one run of this process, emptied; those of processes that are gone are removed."""
    parent = cache_root() / "doctor"
    for old in parent.glob("run-*"):
        if not Path("/proc", old.name.split("-")[1]).exists():
            shutil.rmtree(old, ignore_errors=True)
    path = parent / f"run-{os.getpid()}-{name}"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path
