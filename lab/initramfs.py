# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guest's root: busybox, our programs, the kernel's modules, as a cpio archive."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from common import LabError, cache_root, locked, run, say, scratch, source_root, write_atomic
from kernels import Kernel, PrivateApt, unsigned

PROGRAMS = ("agent", "oracle", "workload", "forkstorm", "tracee")
# What a guest runs: a few hundred processes of every kind, for tests; a small server, for people.
WORKLOADS = ("full", "services", "none")
BUSYBOX_SUITE = "bookworm"


class Archive:
    """A writer of the kernel's "newc" cpio format; needs no privileges for device nodes."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.count = 0

    def add(self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        self.count += 1
        encoded = name.encode() + b"\0"
        fields = (self.count, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(encoded), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        self.parts += [header, b"\0" * (-len(header) % 4), data, b"\0" * (-len(data) % 4)]

    def directory(self, name: str) -> None:
        self.add(name, 0o040755)

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        self.add(name, 0o100000 | mode, data)

    def finish(self) -> bytes:
        self.add("TRAILER!!!", 0)
        data = b"".join(self.parts)
        return data + b"\0" * (-len(data) % 512)


def busybox(arch: str, mirror: str | None) -> Path:
    """A static busybox for ARCH, from the distribution's own package."""
    target = cache_root() / "programs" / f"busybox-{arch}"
    with locked(target.with_name(f".{target.name}.lock")):
        if target.exists():
            return target
        with (PrivateApt(BUSYBOX_SUITE, arch, mirror) as apt,
              scratch(target.parent, "busybox") as work):
            (deb,) = apt.download(["busybox-static"], work)
            run(["dpkg", "-x", str(deb), str(work / "tree")], what="unpacking busybox")
            found = [path for path in (work / "tree/bin/busybox", work / "tree/usr/bin/busybox")
                     if path.is_file()]
            write_atomic(target, found[0].read_bytes())
    return target


def program(name: str, arch: str, folder: str = "tests/oracle") -> Path:
    """FOLDER/NAME.c as a static program for ARCH, rebuilt when its text changes."""
    sources = sorted((source_root() / folder).glob(f"{name}*.c"))
    headers = sorted((source_root() / folder).glob("*.h"))
    text = b"\0".join(path.read_bytes() for path in [*sources, *headers])
    flags = ["-static", "-O2", "-std=gnu17", "-Wall", "-Wextra", "-D_GNU_SOURCE",
             "-D_FILE_OFFSET_BITS=64", "-D_TIME_BITS=64"]
    if arch == "i386":
        flags.append("-m32")
    digest = hashlib.sha256(text + " ".join(flags).encode()).hexdigest()[:16]
    target = cache_root() / "programs" / f"{name}-{arch}-{digest}"
    with locked(target.with_name(f".{name}-{arch}.lock")):
        if not target.exists():
            temporary = target.with_name(f".{target.name}.{os.getpid()}")
            try:
                run(["gcc", *flags, "-o", str(temporary), *map(str, sources)],
                    what=f"building {name} for {arch}"
                         + (" (needs the package gcc-multilib)" if arch == "i386" else ""))
                run(["strip", str(temporary)], what=f"stripping {name}")
                temporary.rename(target)
            finally:
                temporary.unlink(missing_ok=True)
    return target


def build(kernel: Kernel, workload: str, target: Path, mirror: str | None = None,
          signed: bool = True) -> None:
    """Write the initramfs for KERNEL to TARGET; with its modules SIGNED as they are, or not."""
    arch = "i386" if kernel.is_32bit else "amd64"
    archive = Archive()
    for name in ("bin", "dev", "etc", "modules", "proc", "run", "sys", "tmp", "root"):
        archive.directory(name)
    archive.add("dev/console", 0o020600, device=(5, 1))
    archive.add("dev/null", 0o020666, device=(1, 3))
    archive.file("bin/busybox", busybox(arch, mirror).read_bytes(), 0o755)
    archive.add("bin/sh", 0o120777, b"busybox")
    for name in PROGRAMS:
        if not (source_root() / "tests/oracle" / f"{name}.c").exists():
            raise LabError(f"tests/oracle/{name}.c is missing")
        archive.file(f"bin/{name}", program(name, arch).read_bytes(), 0o755)
    script = source_root() / "tests/oracle/init.sh"
    archive.file("init", script.read_bytes(), 0o755)
    archive.file("etc/lab", f"LAB_WORKLOAD={workload}\n".encode())
    archive.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")
    archive.file("etc/services", (source_root() / "lab/services.sh").read_bytes(), 0o755)
    archive.file("modules/order", "".join(f"{name}\n" for name in kernel.modules).encode())
    for name in kernel.modules:
        module = (kernel.path / "modules" / f"{name}.ko").read_bytes()
        archive.file(f"modules/{name}.ko", module if signed else unsigned(module))
    data = archive.finish()
    write_atomic(target, data)
    say(f"initramfs for {kernel.version}: {len(data) >> 20} MiB")


def add_crash_kernel(kernel: Kernel, target: Path, mirror: str | None = None) -> None:
    """Append to the initramfs TARGET what a guest needs to start KERNEL again when it panics."""
    arch = "i386" if kernel.is_32bit else "amd64"
    archive = Archive()
    with scratch(target.parent, "crash") as work:
        build(kernel, "none", work / "initrd", mirror)
        archive.file("root/initrd", (work / "initrd").read_bytes())
    archive.file("root/vmlinuz", kernel.image.read_bytes())
    archive.file("bin/loadcrash", program("loadcrash", arch).read_bytes(), 0o755)
    with open(target, "ab") as file:
        file.write(archive.finish())
