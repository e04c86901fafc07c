# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images of an emulated Xen host: Xen, the kernel of its first domain, that domain's root.

All from Debian packages of one suite, so that toolstack and hypervisor belong together. The root
is an initramfs that also holds the guests' kernels, roots and configurations.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import initramfs
import kernels
import packages
from common import LabError, cache_root, locked, replace_directory, run, say, scratch, source_root

# Xen's release by the suite that ships it, and the package of the device model for HVM guests.
RELEASES = {"4.14": ("bullseye", "qemu-system-x86", "usr/bin/qemu-system-i386"),
            "4.17": ("bookworm", "qemu-system-xen", "usr/libexec/xen-qemu-system-i386"),
            "4.20": ("trixie", "qemu-system-xen", "usr/libexec/xen-qemu-system-i386")}
TYPES = ("pv", "pvh", "hvm")
TOOLS = ("xl", "xenstored", "xenconsoled", "xenconsole", "xen-init-dom0", "libxl-save-helper",
         "xenctx", "xen-hvmctx", "xen-mfndump", "xen-diag")
# For a kernel: emulated, trying all it has of cryptography takes it 3 s in QEMU and 20 s in Bochs.
NO_TESTS = "cryptomgr.notests=1"
# The emulated machine has one processor, which a guest's vCPUs share.
MOST_VCPUS = 8
# Seconds of dom0's time for a guest to come up.
PATIENCE = 400
# How many images, and how many saved states, stay in the cache.
KEPT = 10
LIBC = ("ld-linux-x86-64.so.2", "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0",
        "librt.so.1", "libresolv.so.2", "libutil.so.1", "libgcc_s.so.1", "libstdc++.so.6")


@dataclass(frozen=True)
class GuestSpec:
    """One guest: its type, the suite of its kernel, and how many vCPUs it has."""

    name: str
    type: str
    suite: str
    vcpus: int = 1
    memory: int = 256


@dataclass(frozen=True)
class Spec:
    """A host: Xen's release, its guests, and how its first domain is reached."""

    xen: str
    guests: tuple[GuestSpec, ...]
    control: str = "ttyS1"
    altp2m: bool = False
    # Whether the guests' modules have the signatures of the package.
    signed: bool = True
    workload: str = "full"

    @property
    def label(self) -> str:
        names = [guest.name for guest in self.guests] or ["alone"]
        return "-".join([self.xen, *names])


@dataclass(frozen=True)
class Image:
    """What an emulator boots."""

    spec: Spec
    path: Path
    tree: packages.Tree

    @property
    def digest(self) -> str:
        """Of the content, whatever made it."""
        return (self.path / "digest").read_text(encoding="ascii")

    @property
    def libraries(self) -> frozenset[str]:
        """Names of the libraries that dom0 has."""
        return frozenset((self.path / "libraries").read_text(encoding="utf-8").split())

    @property
    def xen(self) -> Path:
        return self.path / "xen"

    @property
    def kernel(self) -> Path:
        """As an ELF file: emulated, Xen would take two minutes to unpack it."""
        return self.path / "vmlinux"

    @property
    def initrd(self) -> Path:
        return self.path / "initrd"


def parse_guests(text: str, suite: str) -> tuple[GuestSpec, ...]:
    """"pv,pvh=trixie,hvm:2": types, each with the suite of its kernel if not SUITE, and how many
    vCPUs if not one."""
    guests = []
    for part in filter(None, text.split(",")):
        start, _, own = part.partition("=")
        kind, _, count = start.partition(":")
        if count not in ("", *map(str, range(2, MOST_VCPUS + 1))):
            raise LabError(f"{count!r} is no number of vCPUs from 2 to {MOST_VCPUS}")
        if kind not in TYPES:
            raise LabError(f"{kind!r} is no type of guest: {', '.join(TYPES)}")
        if (own or suite) not in kernels.SUITES:
            raise LabError(f"no kernels of {own or suite}: {', '.join(kernels.SUITES)}")
        name = "-".join(filter(None, (kind, count, own)))
        if any(guest.name == name for guest in guests):
            raise LabError(f"two guests would be called {name}")
        guests.append(GuestSpec(name, kind, own or suite, int(count or 1)))
    return tuple(guests)


def host_libc() -> tuple[int, ...]:
    return _numbers(os.confstr("CS_GNU_LIBC_VERSION") or "")


def _numbers(version: str) -> tuple[int, ...]:
    match = re.search(r"(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def host_is_newer(tree: packages.Tree) -> bool:
    """Whether this machine's libraries are of a later release than dom0's.

    Of each library the later one serves programs of both.
    """
    return host_libc() > _numbers(tree.version("libc6"))


def host_library(soname: str) -> Path | None:
    places = [Path("/", place) / soname for place in packages.LIBRARIES]
    return next((path for path in places if path.is_file()), None)


def _guest_config(guest: GuestSpec, device_model: str, spec: Spec) -> str:
    # PV and PVH guests are started at the ELF entry; unpacking the image would take dom0 seconds.
    # An HVM guest's firmware reads every byte of both through an emulated port: 3 us each.
    image, root = ("vmlinuz", "initrd.gz") if guest.type == "hvm" else ("vmlinux", "initrd")
    lines = [f'name="{guest.name}"', f'type="{guest.type}"',
             f'kernel="/guest/{guest.suite}/{image}"', f'ramdisk="/guest/{guest.suite}/{root}"',
             f"memory={guest.memory}", f"vcpus={guest.vcpus}", 'on_crash="preserve"', 'on_reboot="restart"',
             # An emulated RDTSC doubles the time of a boot.
             'tsc_mode="native"',
             f'extra="console=hvc0 quiet nunchi.hostname={guest.name} '
             f'nunchi.marker=nunchi-xen-{guest.name} {NO_TESTS}"']
    if guest.type == "hvm":
        lines += ['vga="none"', "nographic=1", "vnc=0", "usb=0",
                  f'device_model_override="/{device_model}"']
    if spec.altp2m:
        lines.append('altp2m="external"')
    return "\n".join(lines) + "\n"


def _programs(spec: Spec, tree: packages.Tree) -> dict[str, Path]:
    """Dynamic programs of dom0 by their path there."""
    folder = f"usr/lib/xen-{spec.xen}/bin"
    found = {}
    for name in TOOLS:
        path = tree.path / folder / name
        if path.is_file():
            found[f"{folder}/{name}"] = path
    for path in (tree.path / "usr/bin").glob("xenstore*"):
        found.setdefault(f"usr/bin/{path.name}", path)
    if any(guest.type == "hvm" for guest in spec.guests):
        model = RELEASES[spec.xen][2]
        found[model] = tree.find(model)
    return found


def _libraries(tree: packages.Tree, programs: dict[str, Path]) -> dict[str, Path]:
    libraries = packages.closure(tree, programs.values())
    # xl asks for it when a thread ends; nunchi loads Xen's libraries while it runs.
    for soname in ("libgcc_s.so.1", "libxencall.so.1", "libxenforeignmemory.so.1",
                   "libxenevtchn.so.1", "libxendevicemodel.so.1", "libxentoolcore.so.1"):
        path = tree.library(soname)
        if path:
            libraries[soname] = path
            libraries |= packages.closure(tree, [path])
    if host_is_newer(tree):
        libraries |= {name: path for name in LIBC if (path := host_library(name))}
    return libraries


def _data_files(spec: Spec, tree: packages.Tree) -> dict[str, Path]:
    boot = tree.path / f"usr/lib/xen-{spec.xen}/boot"
    found = {f"usr/lib/xen-{spec.xen}/boot/{path.name}": path for path in boot.iterdir()}
    found["etc/xen/xl.conf"] = tree.find("etc/xen/xl.conf")
    for path in (tree.path / "etc/xen/scripts").iterdir():
        found[f"etc/xen/scripts/{path.name}"] = path
    if any(guest.type == "hvm" for guest in spec.guests):
        for name in ("seabios/bios-256k.bin", "qemu/linuxboot.bin", "qemu/linuxboot_dma.bin",
                     "qemu/kvmvapic.bin", "qemu/keymaps/en-us"):
            path = tree.path / "usr/share" / name
            if path.is_file():
                found[f"usr/share/{name}"] = path
    return found


def _root(spec: Spec, tree: packages.Tree, kernel: kernels.Kernel, busybox: Path,
          files: dict[str, Path], guests: dict[str, bytes]) -> bytes:
    """The initramfs of dom0. FILES by their path there; what GUESTS need as well."""
    archive = initramfs.Archive()
    here = source_root() / "lab/dom0"
    texts = {"init": (here / "init.sh").read_bytes(),
             "usr/bin/guest": (here / "guest.sh").read_bytes(),
             "usr/bin/keep": (here / "keep.sh").read_bytes(),
             "usr/bin/ask": initramfs.program("ask", "amd64", "lab/dom0").read_bytes(),
             "usr/bin/busybox": busybox.read_bytes(),
             "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n",
             "etc/lab": (f"LAB_XEN={spec.xen}\nLAB_CONTROL={spec.control}\nLAB_PATIENCE={PATIENCE}\n"
                         f"LAB_GUESTS='{' '.join(guest.name for guest in spec.guests)}'\n").encode(),
             "modules/order": "".join(f"{name}\n" for name in kernel.modules).encode(), **guests}
    texts |= {f"modules/{name}.ko":
              kernels.unsigned((kernel.path / "modules" / f"{name}.ko").read_bytes())
              for name in kernel.modules}
    texts |= {name: path.read_bytes() for name, path in files.items()}
    folders = {"dev", "proc", "sys", "run", "tmp", "root", "var", "usr/sbin", "var/log", "var/lib",
               "usr/lib64", "job", "out"}
    for name in texts:
        folders |= {str(parent) for parent in Path(name).parents if str(parent) != "."}
    for name in sorted(folders):
        archive.directory(name)
    for link, target in (("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib"),
                         ("lib64", "usr/lib64"), ("var/run", "../run"), ("var/lock", "../run/lock"),
                         ("usr/bin/sh", "busybox"),
                         ("usr/lib64/ld-linux-x86-64.so.2",
                          "../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")):
        archive.add(link, 0o120777, target.encode())
    archive.add("dev/console", 0o020600, device=(5, 1))
    archive.add("dev/null", 0o020666, device=(1, 3))
    for name, data in sorted(texts.items()):
        # Of what is text or data, being executable does no harm.
        archive.file(name, data, 0o755)
    return archive.finish()


def _guest_files(spec: Spec, work: Path, mirror: str | None) -> dict[str, bytes]:
    """Kernels, roots and configurations under /guest."""
    files = {}
    model = RELEASES[spec.xen][2]
    for guest in spec.guests:
        files[f"guest/{guest.name}.cfg"] = _guest_config(guest, model, spec).encode()
    for suite in {guest.suite for guest in spec.guests}:
        kernel = kernels.fetch(suite, "amd64", mirror=mirror)
        initramfs.build(kernel, spec.workload, work / "initrd", mirror, spec.signed)
        data = (work / "initrd").read_bytes()
        types = {guest.type for guest in spec.guests if guest.suite == suite}
        if "hvm" in types:
            files[f"guest/{suite}/vmlinuz"] = kernel.image.read_bytes()
            files[f"guest/{suite}/initrd.gz"] = gzip.compress(data, mtime=0)
        if types & {"pv", "pvh"}:
            files[f"guest/{suite}/vmlinux"] = kernels.loadable(kernel.image)
            files[f"guest/{suite}/initrd"] = data
    return files


def _digest(*parts: bytes) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()[:20]


def _inputs(spec: Spec, tree: packages.Tree, mirror: str | None) -> bytes:
    """Everything an image is made of, cheaply: names and versions, and the lab's own text."""
    facts: list[object] = [repr(spec), tree.versions, host_libc()]
    facts.append(kernels.fetch(RELEASES[spec.xen][0], "amd64", mirror=mirror, role="dom0").version)
    facts += [kernels.fetch(suite, "amd64", mirror=mirror).version
              for suite in sorted({guest.suite for guest in spec.guests})]
    texts = [*sorted((source_root() / "lab/dom0").iterdir()), Path(__file__),
             Path(initramfs.__file__), Path(kernels.__file__), Path(packages.__file__),
             source_root() / "lab/services.sh", *sorted((source_root() / "tests/oracle").iterdir())]
    facts += [_digest(path.read_bytes()) for path in texts if path.is_file()]
    return json.dumps(facts).encode()


def forget_old(pattern: str) -> None:
    """What is made by the lab alone and was not used for longest goes, beyond a number."""
    found = sorted((cache_root() / "xen").glob(pattern), key=lambda path: path.stat().st_mtime)
    for path in found[:-KEPT]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def image(spec: Spec, *, mirror: str | None = None, refresh: bool = False) -> Image:
    """The image of SPEC, built if it is not in the cache."""
    if spec.xen not in RELEASES:
        raise LabError(f"no Xen {spec.xen}: {', '.join(RELEASES)}")
    suite, model, _path = RELEASES[spec.xen]
    tree = packages.fetch(f"xen-{spec.xen}", suite,
                          [f"xen-hypervisor-{spec.xen}-amd64", f"xen-utils-{spec.xen}",
                           "xenstore-utils", model], mirror=mirror, refresh=refresh)
    parent = cache_root() / "xen"
    final = parent / f"image-{spec.label}-{_digest(_inputs(spec, tree, mirror))[:12]}"
    done = Image(spec, final, tree)
    with locked(parent / f".image-{spec.label}.lock"):
        if final.is_dir():
            os.utime(final)
            return done
        with scratch(parent, "image") as work:
            kernel = kernels.fetch(suite, "amd64", mirror=mirror, role="dom0")
            busybox = initramfs.busybox("amd64", mirror)
            new = work / "new"
            new.mkdir()
            programs = _programs(spec, tree)
            libraries = _libraries(tree, programs)
            files = {**programs, **_data_files(spec, tree)}
            files |= {f"usr/lib/x86_64-linux-gnu/{name}": path for name, path in libraries.items()}
            data = _root(spec, tree, kernel, busybox, files, _guest_files(spec, work, mirror))
            (new / "libraries").write_text("\n".join(libraries), encoding="utf-8")
            (new / "initrd").write_bytes(data)
            (new / "vmlinux").write_bytes(kernels.loadable(kernel.image))
            compressed = tree.find(f"boot/xen-{spec.xen}-amd64.gz")
            (new / "xen").write_bytes(gzip.decompress(compressed.read_bytes()))
            (new / "digest").write_text(_digest(*(
                (new / name).read_bytes() for name in ("xen", "vmlinux", "initrd"))))
            replace_directory(new, final)
        forget_old("image-*")
    say(f"image of Xen {spec.xen} with {kernel.version}: {len(data) >> 20} MiB")
    return done
