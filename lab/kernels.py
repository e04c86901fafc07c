# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fetch distribution kernels with a private apt directory.

The mirror is the one the machine's own apt configuration names; nothing is
installed and apt's own state is not touched.
"""

from __future__ import annotations

import json
import lzma
import os
import re
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from common import LabError, cache_root, locked, replace_directory, run, say, scratch

SUITES = ("bullseye", "bullseye-security", "bookworm", "bookworm-security",
          "bookworm-backports", "trixie", "trixie-security", "sid")
FLAVOURS = ("amd64", "cloud-amd64", "rt-amd64", "686", "686-pae")

# Whatever of these a flavour has as modules is put into the guest, with what
# they depend on.
WANTED_MODULES = ("crc32c_generic", "loop", "fuse", "dummy", "overlay", "ext4", "nf_tables", "bridge",
                  "tun", "veth", "isofs", "qemu_fw_cfg", "vmw_vsock_virtio_transport")
# What a kernel needs as Xen's first domain in the lab: Xen's devices and an IDE disk.
DOM0_MODULES = ("xen_evtchn", "xen_gntdev", "xen_gntalloc", "xen_privcmd", "xenfs", "ata_piix",
                "sd_mod")
ROLES = {"guest": WANTED_MODULES, "dom0": DOM0_MODULES}

KEYRINGS = Path("/usr/share/keyrings")


@dataclass(frozen=True)
class Kernel:
    """One unpacked kernel in the cache."""

    suite: str
    flavour: str
    version: str
    path: Path
    modules: tuple[str, ...]

    @property
    def image(self) -> Path:
        return self.path / "vmlinuz"

    @property
    def is_32bit(self) -> bool:
        return architecture(self.flavour) == "i386"


def architecture(flavour: str) -> str:
    """The Debian architecture a flavour belongs to."""
    return "i386" if flavour.startswith("686") else "amd64"


def _stanzas(text: str) -> list[dict[str, str]]:
    """deb822 stanzas, comments left out."""
    result: list[dict[str, str]] = []
    current: dict[str, str] = {}
    key = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if current:
                result.append(current)
            current, key = {}, ""
        elif line[0] in " \t":
            current[key] = f"{current.get(key, '')} {line.strip()}"
        elif ":" in line:
            name, value = line.split(":", 1)
            key = name.strip().lower()
            current[key] = value.strip()
    return result


def _configured_sources() -> list[tuple[str, str]]:
    """(address, suite) of every active binary entry of the machine's apt configuration."""
    etc = Path("/etc/apt")
    found: list[tuple[str, str]] = []
    for path in sorted(etc.glob("sources.list.d/*.sources")):
        for stanza in _stanzas(path.read_text(encoding="utf-8", errors="replace")):
            if "deb" not in stanza.get("types", "").split():
                continue
            if stanza.get("enabled", "yes").lower() in ("no", "false", "0"):
                continue
            found += [(address, suite) for address in stanza.get("uris", "").split()
                      for suite in stanza.get("suites", "").split()]
    lists = [etc / "sources.list", *sorted(etc.glob("sources.list.d/*.list"))]
    for path in lists:
        if not path.is_file():
            continue
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            match = re.match(r"deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)", line.strip())
            if match:
                found.append((match.group(1), match.group(2)))
    return found


def _mirrors(override: str | None) -> tuple[str, str]:
    """Addresses of the Debian archive and of its security archive."""
    if override:
        main = override.rstrip("/")
        return main, f"{main}-security"
    main = security = ""
    for address, _suite in _configured_sources():
        trimmed = address.rstrip("/")
        if trimmed.endswith("/debian"):
            main = main or trimmed
        elif trimmed.endswith("/debian-security"):
            security = security or trimmed
    if not main:
        raise LabError("no Debian archive in this machine's apt configuration: "
                       "give one with --mirror ADDRESS")
    return main, security or f"{main}-security"


def _keyring(directory: Path) -> Path:
    """One file with every Debian archive key the machine has.

    The suites are signed by the keys of several releases, and sid by whichever
    release is current, so all of them are trusted here, and only here.
    """
    names = sorted(KEYRINGS.glob("debian-archive-*.gpg"))
    names = [name for name in names if "removed" not in name.name]
    if not names:
        raise LabError("no Debian archive keys: install debian-archive-keyring")
    target = directory / "keyring.gpg"
    target.write_bytes(b"".join(name.read_bytes() for name in names))
    return target


def _suite_lines(suite: str, mirror: str | None, keyring: Path, arch: str) -> str:
    main, security = _mirrors(mirror)
    options = f"[arch={arch} signed-by={keyring}]"
    base = suite.split("-")[0]
    lines = [f"deb {options} {main} {base} main"]
    if suite.endswith("-security"):
        lines.append(f"deb {options} {security} {suite} main")
    elif suite != base:
        lines.append(f"deb {options} {main} {suite} main")
    return "\n".join(lines) + "\n"


class PrivateApt:
    """apt with its state, cache and sources in a directory of ours; one user at a time."""

    def __init__(self, suite: str, arch: str, mirror: str | None) -> None:
        self.root = cache_root() / "apt" / f"{suite}-{arch}"
        self.lock = locked(self.root / "lock")
        self.suite, self.arch, self.mirror = suite, arch, mirror
        self.options: list[str] = []

    def __enter__(self) -> PrivateApt:
        self.lock.__enter__()
        try:
            self._prepare()
            run(["apt-get", *self.options, "update", "-q"],
                what=f"reading the package lists of {self.suite}")
        except BaseException:
            self.lock.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        self.lock.__exit__(None, None, None)

    def _prepare(self) -> None:
        for name in ("state/lists/partial", "cache/archives/partial"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / "status").touch()
        keyring = _keyring(self.root)
        sources = self.root / "sources.list"
        sources.write_text(_suite_lines(self.suite, self.mirror, keyring, self.arch),
                           encoding="ascii")
        self.options = [
            "-o", f"Dir::State={self.root}/state",
            "-o", f"Dir::State::status={self.root}/status",
            "-o", f"Dir::Cache={self.root}/cache",
            "-o", f"Dir::Etc::SourceList={sources}",
            "-o", "Dir::Etc::SourceParts=-",
            "-o", "Dir::Etc::Preferences=-",
            "-o", "Dir::Etc::PreferencesParts=-",
            "-o", f"APT::Architecture={self.arch}",
            "-o", f"APT::Architectures={self.arch}",
            "-o", f"APT::Sandbox::User={'root' if os.geteuid() == 0 else ''}",
        ]

    def depends(self, package: str) -> list[str]:
        """Names PACKAGE's candidate version depends on."""
        text = run(["apt-cache", *self.options, "show", "--no-all-versions", package],
                   what=f"looking up {package} in {self.suite}")
        match = re.search(r"^(?:Pre-)?Depends: (.*)$", text, re.MULTILINE)
        if not match:
            return []
        first = [part.split("|")[0].split("(")[0] for part in match.group(1).split(",")]
        return [name.strip().split(":")[0] for name in first]

    def closure(self, packages: list[str]) -> list[str]:
        """Names of PACKAGES and all they depend on, as on a system where nothing is installed."""
        text = run(["apt-get", *self.options, "install", "-y", "-qq", "--print-uris",
                    "--no-install-recommends", *packages],
                   what=f"resolving {' '.join(packages)} in {self.suite}")
        return sorted(line.split()[1].split("_")[0] for line in text.splitlines())

    def download(self, packages: list[str], directory: Path) -> list[Path]:
        run(["apt-get", *self.options, "download", "-q", *packages], cwd=directory,
            what=f"downloading {' '.join(packages)}", timeout=1800)
        return sorted(directory.glob("*.deb"))


def _resolve(apt: PrivateApt, flavour: str) -> list[str]:
    """The kernel's packages, following the meta package's dependencies."""
    pending = [f"linux-image-{flavour}"]
    seen: list[str] = []
    while pending:
        name = pending.pop(0)
        if name in seen:
            continue
        seen.append(name)
        pending += [dep for dep in apt.depends(name)
                    if re.match(r"linux-(image|binary|modules)-\d", dep)]
    packages = seen[1:]
    if not packages:
        raise LabError(f"linux-image-{flavour} in {apt.suite} names no kernel")
    return packages


def module_field(data: bytes, field: str) -> str:
    """One field of a module's .modinfo section."""
    match = re.search(rb"\0" + field.encode() + rb"=([^\0]*)\0", data)
    return match.group(1).decode("utf-8", "replace") if match else ""


def _plain(name: str) -> str:
    return name.replace("-", "_")


def _read_module(path: Path) -> bytes:
    data = path.read_bytes()
    if path.name.endswith(".xz"):
        return lzma.decompress(data)
    if path.name.endswith(".ko"):
        return data
    raise LabError(f"{path.name}: unknown compression")


def collect_modules(tree: Path, target: Path, names: tuple[str, ...]) -> list[str]:
    """Copy the wanted modules and all they need; returns them in insmod order."""
    files = {_plain(path.name.split(".ko")[0]): path
             for path in tree.rglob("*.ko*") if path.is_file()}
    target.mkdir()
    order: list[str] = []

    def add(name: str) -> None:
        if name in order or name not in files:
            return
        data = _read_module(files[name])
        for dep in module_field(data, "depends").split(","):
            if dep:
                add(_plain(dep))
        for soft in re.findall(r"pre: (\S+)", module_field(data, "softdep")):
            add(_plain(soft))
        (target / f"{name}.ko").write_bytes(data)
        order.append(name)

    for wanted in names:
        add(_plain(wanted))
    return order


def _assemble(tree: Path, result: Path, wanted: tuple[str, ...]) -> dict[str, object]:
    """Pick what is kept from the unpacked packages; returns the manifest."""
    images = [*tree.glob("boot/vmlinuz-*"), *tree.glob("usr/lib/modules/*/vmlinuz")]
    if len(images) != 1:
        raise LabError(f"expected one kernel in the packages, found {len(images)}")
    image = images[0]
    version = (image.name.removeprefix("vmlinuz-") if image.parent.name == "boot"
               else image.parent.name)
    shutil.copyfile(image, result / "vmlinuz")
    for name in ("config", "System.map"):
        for path in (tree / "boot" / f"{name}-{version}",
                     tree / "usr/lib/modules" / version / name):
            # Debian ships a one-line placeholder for System.map.
            if path.is_file() and path.stat().st_size > 4096:
                shutil.copyfile(path, result / name)
                break
    trees = [path for path in (tree / "lib/modules" / version,
                               tree / "usr/lib/modules" / version) if path.is_dir()]
    modules = collect_modules(trees[0], result / "modules", wanted) if trees else []
    return {"version": version, "wanted": wanted, "modules": modules}


def _directory_name(suite: str, flavour: str, role: str) -> str:
    return f"{suite}-{flavour}" + ("" if role == "guest" else f"-{role}")


def load(suite: str, flavour: str, role: str = "guest") -> Kernel | None:
    """The kernel already in the cache, if any, with the modules wanted today."""
    path = cache_root() / "kernels" / _directory_name(suite, flavour, role)
    try:
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if tuple(manifest.get("wanted", ())) != ROLES[role]:
        return None
    return Kernel(suite, flavour, manifest["version"], path, tuple(manifest["modules"]))


def fetch(suite: str, flavour: str, *, mirror: str | None = None,
          refresh: bool = False, role: str = "guest") -> Kernel:
    """The newest kernel of SUITE and FLAVOUR, downloaded if it is not in the cache."""
    if suite not in SUITES or flavour not in FLAVOURS:
        raise LabError(f"unknown {suite}/{flavour}: suites {' '.join(SUITES)}; "
                       f"flavours {' '.join(FLAVOURS)}")
    parent = cache_root() / "kernels"
    name = _directory_name(suite, flavour, role)
    with locked(parent / f".{name}.lock"):
        kernel = load(suite, flavour, role)
        if kernel and not refresh:
            return kernel
        say(f"fetching the {flavour} kernel of {suite}")
        with (PrivateApt(suite, architecture(flavour), mirror) as apt,
              scratch(parent, name) as work):
            packages = _resolve(apt, flavour)
            (work / "debs").mkdir()
            for deb in apt.download(packages, work / "debs"):
                run(["dpkg", "-x", str(deb), str(work / "tree")], what=f"unpacking {deb.name}")
            (work / "result").mkdir()
            manifest = _assemble(work / "tree", work / "result", ROLES[role])
            manifest["packages"] = packages
            (work / "result" / "manifest.json").write_text(
                json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
            replace_directory(work / "result", parent / name)
        done = load(suite, flavour, role)
        if done is None:
            raise LabError(f"the kernel just stored for {suite}/{flavour} is gone")
        say(f"{suite}/{flavour}: {done.version}, {len(done.modules)} modules")
        return done


def debug_image(kernel: Kernel) -> Path:
    """KERNEL's vmlinux with DWARF, from the distribution's package of debug data (0.8 GB)."""
    target = kernel.path / "vmlinux"
    with locked(kernel.path.parent / f".{kernel.suite}-{kernel.flavour}.lock"):
        if target.exists():
            return target
        package = f"linux-image-{kernel.version}-dbg"
        say(f"fetching {package}")
        with (PrivateApt(kernel.suite, architecture(kernel.flavour), None) as apt,
              scratch(kernel.path, "debug") as work):
            (deb,) = apt.download([package], work)
            # The modules' debug data, most of the package, is not unpacked.
            run(["sh", "-c", 'dpkg-deb --fsys-tarfile "$1" | tar x -C "$2" --occurrence=1 '
                 '"./usr/lib/debug/boot/vmlinux-$3"', "sh", str(deb), str(work), kernel.version],
                what=f"unpacking {package}")
            (work / "usr/lib/debug/boot" / f"vmlinux-{kernel.version}").rename(target)
        return target


COMPRESSED = ((b"\xfd7zXZ\0", lambda data: lzma.LZMADecompressor().decompress(data)),
              (b"\x28\xb5\x2f\xfd", lambda data: unzstd(data)))


def unzstd(data: bytes) -> bytes:
    """What follows the frame is not zstd's: the command complains once it has written the frame."""
    return subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, check=False,
                          timeout=120).stdout


def vmlinux(image: Path) -> bytes:
    """The kernel inside a bzImage (arch/x86/boot: the compressed payload is an ELF file)."""
    data = image.read_bytes()
    for magic, unpack in COMPRESSED:
        at = data.find(magic)
        while at >= 0:
            try:
                inner = unpack(data[at:])
            except lzma.LZMAError:
                inner = b""
            if inner.startswith(b"\x7fELF"):
                return inner
            at = data.find(magic, at + 1)
    raise LabError(f"no kernel was found inside {image}")


# Of an ELF file's header (elf.h, Elf64_Ehdr): where it says where what is.
PHOFF, SHOFF, PHENTSIZE, PHNUM, SHNUM, SHSTRNDX = 32, 40, 54, 56, 60, 62
PT_LOAD = 1


def loadable(image: Path) -> bytes:
    """vmlinux() as small as it can be started: without sections, and zeros that need no place.

    Debian's is 66 MB, of which 26 are such zeros.
    """
    elf = bytearray(vmlinux(image))
    (at,) = struct.unpack_from("<Q", elf, PHOFF)
    size, count = struct.unpack_from("<HH", elf, PHENTSIZE)
    end = at + size * count
    for header in range(at, end, size):
        kind, _flags, offset = struct.unpack_from("<IIQ", elf, header)
        (length,) = struct.unpack_from("<Q", elf, header + 32)
        if kind == PT_LOAD:
            length = len(elf[offset:offset + length].rstrip(b"\0"))
            struct.pack_into("<Q", elf, header + 32, length)
        end = max(end, offset + length)
    struct.pack_into("<Q", elf, SHOFF, 0)
    struct.pack_into("<HH", elf, SHNUM, 0, 0)
    return bytes(elf[:end])


# What ends a module that is signed, behind the length of the signature (linux/module_signature.h).
SIGNED = b"~Module signature appended~\n"


def unsigned(module: bytes) -> bytes:
    """MODULE without its signature, which takes an emulated machine seconds to check."""
    if not module.endswith(SIGNED):
        return module
    (length,) = struct.unpack(">I", module[-len(SIGNED) - 4:-len(SIGNED)])
    return module[:-len(SIGNED) - 12 - length]
