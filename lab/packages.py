# SPDX-License-Identifier: LGPL-2.1-or-later
"""Trees of unpacked Debian packages, of any suite, that the lab takes programs from.

Nothing is installed into the machine: packages and all they depend on are unpacked under
cache/trees/NAME, and a program is run from there with its own suite's libraries.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from common import LabError, cache_root, locked, replace_directory, run, say, scratch
from kernels import PrivateApt

# Dependencies that only an installed system has a use for.
UNWANTED = re.compile(r"^(python3|libpython3|iso-codes|perl-base|debconf|dpkg$|tar$|udev$|systemd$|"
                      r"libsystemd-shared|passwd$|adduser$|login$|libpam-|ucf$|tzdata|media-types|"
                      r"gcc-\d+-base|ipxe-qemu|coreutils|util-linux$|mount$|procps|bash$|init-system)")
LIBRARIES = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib64", "lib64", "usr/lib",
             "lib")


@dataclass(frozen=True)
class Tree:
    """Unpacked packages and their versions ("name_version")."""

    path: Path
    versions: tuple[str, ...]

    def find(self, name: str) -> Path:
        """The file NAME, wherever the suite keeps it (with or without /usr)."""
        for candidate in (self.path / name, self.path / name.removeprefix("usr/")):
            if candidate.exists():
                return candidate
        raise LabError(f"{name} is in none of the packages under {self.path}")

    def library(self, soname: str) -> Path | None:
        for place in LIBRARIES:
            candidate = self.path / place / soname
            if candidate.is_file():
                return candidate
        return None

    def command(self, name: str) -> list[str]:
        """How the program NAME is run here, with its own suite's libraries."""
        folders = ":".join(str(self.path / place) for place in LIBRARIES[:1])
        return [str(self.path / "lib64/ld-linux-x86-64.so.2"), "--library-path", folders,
                str(self.find(name))]

    def version(self, package: str) -> str:
        prefix = f"{package}_"
        return next((name.removeprefix(prefix) for name in self.versions
                     if name.startswith(prefix)), "")


def needed(path: Path) -> list[str]:
    """Names of the libraries an ELF file names; none for anything else."""
    with open(path, "rb") as file:
        if file.read(4) != b"\x7fELF":
            return []
    text = run(["readelf", "-d", str(path)], what=f"reading {path.name}")
    return re.findall(r"\(NEEDED\).*\[([^]]+)\]", text)


def loaded(path: Path) -> list[str]:
    """Names of the libraries that an ELF file says, in its notes, it loads when it needs them.

    Those that it is recommended with (src/core/library.h; the notes' form is elf_dlopen_metadata of
    uapi-group.org).
    """
    texts = re.findall(rb"\x0a\x0c\x7c\x40FDO\0(\[[^\0]*\])\0", path.read_bytes())
    entries = [entry for text in texts for entry in json.loads(text)]
    return [name for entry in entries if entry["priority"] == "recommended"
            for name in entry["soname"]]


def closure(tree: Tree, programs: Iterable[Path]) -> dict[str, Path]:
    """Every library that PROGRAMS load, by its name, from TREE."""
    found: dict[str, Path] = {}
    pending = [(name, path) for path in programs for name in needed(path)]
    while pending:
        name, user = pending.pop()
        if name in found:
            continue
        library = tree.library(name)
        if library is None:
            raise LabError(f"{user.name} needs {name}, which is not under {tree.path}")
        found[name] = library
        pending += [(other, library) for other in needed(library)]
    return found


def _load(path: Path, wanted: list[str]) -> Tree | None:
    try:
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if manifest["wanted"] != wanted:
        return None
    return Tree(path / "root", tuple(manifest["versions"]))


def _unpack(debs: Iterable[Path], target: Path) -> list[str]:
    target.mkdir()
    # As on an installed system, so that packages of before the merge land in the same places.
    for name in ("bin", "lib", "lib64", "sbin"):
        (target / "usr" / name).mkdir(parents=True)
        (target / name).symlink_to(f"usr/{name}")
    versions = []
    for deb in debs:
        run(["sh", "-c", 'dpkg-deb --fsys-tarfile "$1" | tar x -C "$2" --keep-directory-symlink '
             "--exclude=./usr/share/doc --exclude=./usr/share/locale --exclude=./usr/share/man",
             "sh", str(deb), str(target)], what=f"unpacking {deb.name}")
        versions.append("_".join(deb.name.split("_")[:2]).replace("%3a", ":"))
    return sorted(versions)


def fetch(name: str, suite: str, packages: list[str], *, mirror: str | None = None,
          refresh: bool = False) -> Tree:
    """PACKAGES of SUITE and what they depend on, as the tree NAME; downloaded if not there."""
    parent = cache_root() / "trees"
    with locked(parent / f".{name}.lock"):
        tree = _load(parent / name, packages)
        if tree and not refresh:
            return tree
        say(f"fetching {' '.join(packages)} of {suite}")
        with PrivateApt(suite, "amd64", mirror) as apt, scratch(parent, name) as work:
            (work / "debs").mkdir()
            (work / "result").mkdir()
            names = [each for each in apt.closure(packages) if not UNWANTED.match(each)]
            versions = _unpack(apt.download(names, work / "debs"), work / "result" / "root")
            (work / "result" / "manifest.json").write_text(
                json.dumps({"wanted": packages, "suite": suite, "versions": versions}, indent=1)
                + "\n", encoding="utf-8")
            shutil.rmtree(work / "debs")
            replace_directory(work / "result", parent / name)
        done = _load(parent / name, packages)
        if done is None:
            raise LabError(f"the tree just stored as {name} is gone")
        return done
