# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host to try the doctor on: Debian with systemd, GRUB (BIOS and EFI), a kernel and Xen.

Its disk is made once, from the distribution's packages, and kept in the cache: an MBR with an EFI
system partition and an ext4 root. What a test wants done in it stands on a second disk, as a tar
file whose program "job" runs at each boot; what that prints comes out of the second serial line.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import struct
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import kernels
from common import LabError, cache_root, locked, run, say, scratch

SUITE = "bookworm"
XEN = "4.17"
PACKAGES = ("systemd-sysv", "udev", "dbus", "kmod", "e2fsprogs", "initramfs-tools", "diffutils",
            "linux-image-amd64", f"xen-hypervisor-{XEN}-amd64", f"xen-utils-{XEN}",
            "xen-utils-common", "xen-hypervisor-common", "grub2-common", "grub-pc-bin", "grub-efi-amd64-bin", "dosfstools",
            "mtools", "btrfs-progs")
ROOT_UUID = "6e756e63-6869-4d6f-8a2d-646f63746f72"
SECTOR = 512
ESP_START, ESP_SIZE = 2048, (16 << 20) // SECTOR
ROOT_START, ROOT_SIZE = 65536, (1400 << 20) // SECTOR
BOOT_SECONDS = 420


# ---- The disk ----------------------------------------------------------------------------------


def _recipe() -> str:
    """What the disk depends on."""
    customize = (Path(__file__).resolve().parent / "customize").read_bytes()
    layout = repr((SUITE, PACKAGES, ROOT_UUID, ESP_START, ESP_SIZE, ROOT_START, ROOT_SIZE))
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
         f"--customize-hook={customize} \"$1\" {ROOT_UUID}",
         SUITE, str(directory), str(sources)], what="installing the test host", timeout=1500)


def _partition(kind: int, active: bool, start: int, size: int) -> bytes:
    return struct.pack("<B3sB3sII", 0x80 if active else 0, b"\xfe\xff\xff", kind, b"\xfe\xff\xff",
                       start, size)


def _write_boot_sectors(disk: Path, files: Path) -> None:
    """The MBR with GRUB's first sector, its core behind it, and the EFI system partition."""
    boot = bytearray((files / "boot.img").read_bytes()[:440].ljust(446, b"\0"))
    boot += _partition(0xEF, False, ESP_START, ESP_SIZE)
    boot += _partition(0x83, True, ROOT_START, ROOT_SIZE)
    boot += bytes(32) + b"\x55\xaa"
    core = (files / "core.img").read_bytes()
    if len(core) > (ESP_START - 1) * SECTOR:
        raise LabError("GRUB's core image does not fit before the first partition")
    with open(disk, "r+b") as handle:
        handle.write(boot + core)
        handle.seek(ESP_START * SECTOR)
        handle.write((files / "esp.img").read_bytes())


def _make_disk(disk: Path, work: Path) -> None:
    root, files = work / "root", work / "files"
    _make_root(root, work)
    shutil.move(root / "boot-files", files)
    with open(disk, "wb") as handle:
        handle.truncate((ROOT_START + ROOT_SIZE) * SECTOR)
    # Features that the GRUB of this release knows.
    run(["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^metadata_csum_seed,^orphan_file,^64bit",
         "-U", ROOT_UUID, "-d", str(root), "-E", f"offset={ROOT_START * SECTOR}", str(disk),
         f"{ROOT_SIZE // 2}k"], what="making the test host's file system")
    _write_boot_sectors(disk, files)
    kernel = next((root / "boot").glob("vmlinuz-*"))
    initrd = next((root / "boot").glob("initrd.img-*"))
    install(disk, kernel, initrd, work)


def install(disk: Path, kernel: Path, initrd: Path, work: Path) -> None:
    """The first boot, without GRUB: it makes its grub.cfg itself, as an installation does."""
    job = ("mount -o remount,rw / && update-grub && sync && echo INSTALLED; "
           "systemctl poweroff\n")
    host = Host(disk, work / "install", (kernel, initrd))
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
            for old in parent.glob("host-*.img"):
                old.unlink()
            (work / "disk").rename(path)
    return path


# ---- Running it --------------------------------------------------------------------------------


@dataclass
class Host:
    """One run of the host, with a kernel and initramfs given from outside."""

    disk: Path
    directory: Path
    direct: tuple[Path, Path]

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
        return ["-drive", f"file={self.disk},format=raw,if=ide,index=0,cache=unsafe",
                "-drive", f"file={self.directory}/job.tar,format=raw,if=none,id=job",
                "-device", "ide-hd,bus=ide.0,unit=1,drive=job,serial=job"]

    def _kernel(self) -> list[str]:
        return ["-kernel", str(self.direct[0]), "-initrd", str(self.direct[1]),
                "-append", f"root=UUID={ROOT_UUID} ro console=ttyS0"]

    def _write_job(self, files: dict[str, bytes]) -> None:
        with tarfile.open(self.directory / "job.tar", "w") as archive:
            for name, data in files.items():
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(data), 0o755
                archive.addfile(member, io.BytesIO(data))

    def run(self, job: dict[str, bytes], timeout: float = BOOT_SECONDS) -> None:
        """Boots it and waits until it powers off."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._write_job(job)
        # qemu64 as everywhere under TCG: without cmpxchg16b, whose flags QEMU 7.2 may lose.
        command = ["qemu-system-x86_64", "-machine", "pc", "-accel", "tcg",
                   "-cpu", "qemu64,+svm,+npt,-cx16", "-m", "1280", "-smp", "1",
                   "-display", "none", "-nodefaults", "-vga", "std", "-nic", "none",
                   "-serial", f"file:{self.directory}/console",
                   "-serial", f"file:{self.directory}/output",
                   *self._drives(), *self._kernel()]
        try:
            subprocess.run(command, timeout=timeout, check=True, stdin=subprocess.DEVNULL,
                           capture_output=True)
        except subprocess.TimeoutExpired:
            raise LabError(f"the test host did not end within {timeout:.0f} s:\n"
                           f"{self.output()[-3000:]}\n{self.console()[-3000:]}") from None
        except subprocess.CalledProcessError as error:
            raise LabError(f"QEMU failed: {error.stderr.decode(errors='replace')}") from None


def work_directory(name: str) -> Path:
    """A place for one run, emptied."""
    path = cache_root() / "doctor" / f"run-{name}"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path
