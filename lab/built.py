# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kernels of our own, built from Debian's packages of kernel source.

A kernel is a list of fragments, tests/kernels/NAME.config, on top of allnoconfig. What was built is
kept in the cache by a hash of the source's version, the fragments and the compiler. Kernels of one
source and one compiler share a directory of objects, so that the next one compiles what its
configuration changes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import kernels
from common import LabError, cache_root, locked, replace_directory, run, say, scratch, source_root

BUILD_SECONDS = 5400.0
# The first clang that both shuffles structures and checks types of calls is 16.
CLANG = "clang-19"
# So that the banner says the same on every machine.
IDENTITY = ("KBUILD_BUILD_USER=nunchi", "KBUILD_BUILD_HOST=lab")
COMPILERS = {"gcc": ("gcc", ()), "clang": (CLANG, ("LLVM=-19", "HOSTCC=gcc", "HOSTCXX=g++"))}
OLD, NEW = "bookworm-security", "sid"


@dataclass(frozen=True)
class Recipe:
    """What a kernel is built of."""

    parts: tuple[str, ...]
    suite: str = OLD
    compiler: str = "gcc"


TINY = ("base", "64bit")
FULL = (*TINY, "btf", "kallsyms-all", "dmi", "smp")
RECIPES = {
    "tiny": Recipe((*TINY, "pc", "btf", "kallsyms")),
    "tiny-bare": Recipe((*TINY, "dwarf")),
    "tiny-kallsyms": Recipe((*TINY, "dwarf", "kallsyms", "dmi")),
    "686-tiny": Recipe(("base", "32bit", "btf", "kallsyms-all", "dmi")),
    "clang": Recipe((*FULL, "kaslr", "clang"), compiler="clang"),
    "randstruct": Recipe((*TINY, "dwarf", "kallsyms-all", "randstruct")),
    "fixed": Recipe((*FULL, "fixed")),
    "rt": Recipe((*FULL, "kaslr", "rt"), NEW),
    "kasan": Recipe((*FULL, "kaslr", "kasan"), NEW),
    "modules": Recipe((*FULL, "kaslr", "modules"), NEW),
}


def root() -> Path:
    return cache_root() / "built"


# ---- Sources ---------------------------------------------------------------------------------


def _known_source(suite: str) -> dict[str, str]:
    """The package of kernel source that was fetched of SUITE: its name and version."""
    try:
        known: dict[str, str] = json.loads((root() / f"source-{suite}.json").read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return known


def _unpack(deb: Path, package: str) -> None:
    target = root() / "source"
    target.mkdir(exist_ok=True)
    shutil.rmtree(target / package, ignore_errors=True)
    run(["sh", "-c", 'dpkg-deb --fsys-tarfile "$1" | tar xO "./usr/src/$2.tar.xz" | xz -dc -T0 | '
         'tar x -C "$3"', "sh", str(deb), package, str(target)], what=f"unpacking {deb.name}")


def source(suite: str) -> Path:
    """The tree of SUITE's newest kernel source, fetched if it is not there."""
    with locked(root() / f".source-{suite}.lock"):
        known = _known_source(suite)
        tree = root() / "source" / known.get("package", "none")
        if (tree / "Makefile").exists():
            return tree
        say(f"fetching the kernel source of {suite}")
        with (kernels.PrivateApt(suite, "amd64", None) as apt,
              scratch(root(), "source") as work):
            package = next((name for name in apt.depends("linux-source")
                            if name.startswith("linux-source-")), "")
            if not package:
                raise LabError(f"linux-source in {suite} names no source")
            (deb,) = apt.download([package], work)
            _unpack(deb, package)
            known = {"package": package, "version": deb.name.split("_")[1].replace("%3a", ":")}
        path = root() / f"source-{suite}.json"
        path.write_text(json.dumps(known) + "\n", encoding="utf-8")
        return root() / "source" / package


# ---- Kernels ---------------------------------------------------------------------------------


def _configuration(recipe: Recipe) -> str:
    folder = source_root() / "tests" / "kernels"
    return "".join((folder / f"{part}.config").read_text(encoding="ascii")
                   for part in recipe.parts)


def _compiler_version(recipe: Recipe) -> str:
    program = COMPILERS[recipe.compiler][0]
    return run([program, "--version"], what="asking the compiler").splitlines()[0]


def _place(name: str) -> Path | None:
    """Where the kernel NAME is kept, once the version of its source is known."""
    recipe = RECIPES[name]
    known = _known_source(recipe.suite)
    if not known:
        return None
    text = "\n".join((known["version"], _configuration(recipe), _compiler_version(recipe)))
    return root() / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _stored(name: str, place: Path) -> kernels.Kernel:
    manifest = json.loads((place / "manifest.json").read_text(encoding="utf-8"))
    return kernels.Kernel(RECIPES[name].suite, name, manifest["version"], place,
                          tuple(manifest["modules"]))


def load(name: str) -> kernels.Kernel | None:
    """The kernel NAME of today's configuration, if it is in the cache."""
    try:
        place = _place(name)
    except LabError:
        return None  # there is no such compiler
    return _stored(name, place) if place and (place / "manifest.json").exists() else None


def missing(names: list[str]) -> list[str]:
    """Those of NAMES that are not in the cache."""
    return [name for name in names if not load(name)]


def _configure(tree: Path, objects: Path, recipe: Recipe) -> None:
    """allnoconfig with the fragments; a line of theirs that the kernel does not take is an error."""
    wanted = objects / "wanted.config"
    wanted.write_text(_configuration(recipe), encoding="ascii")
    make = ["make", "-s", "-C", str(tree), f"O={objects}", *COMPILERS[recipe.compiler][1]]
    run([*make, f"KCONFIG_ALLCONFIG={wanted}", "allnoconfig"], what="configuring the kernel")
    got = set((objects / ".config").read_text(encoding="ascii").splitlines())
    lost = [line for line in wanted.read_text(encoding="ascii").splitlines()
            if line.startswith("CONFIG_") and line not in got or line.endswith(" is not set")
            and f"{line.split()[1]}=y" in got]
    if lost:
        raise LabError(f"the kernel in {tree.name} does not take {', '.join(lost)}")


def _compile(tree: Path, objects: Path, recipe: Recipe) -> None:
    targets = ["bzImage", *(["modules"] if "modules" in recipe.parts else [])]
    # Nothing waits for the build that should not go before it.
    run(["nice", "-n", "19", "make", "-s", "-C", str(tree), f"O={objects}",
         f"-j{os.cpu_count() or 1}", *COMPILERS[recipe.compiler][1], *IDENTITY, *targets],
        what="building the kernel (needs what `scripts/setup kernels` installs)",
        timeout=BUILD_SECONDS)


def _store(objects: Path, result: Path, recipe: Recipe) -> None:
    result.mkdir()
    for name, path in (("vmlinuz", "arch/x86/boot/bzImage"), ("vmlinux", "vmlinux"),
                       ("System.map", "System.map"), ("config", ".config")):
        shutil.copyfile(objects / path, result / name)
    modules: list[str] = []
    if "modules" in recipe.parts:
        modules = kernels.collect_modules(objects, result / "modules", kernels.WANTED_MODULES)
    version = (objects / "include/config/kernel.release").read_text(encoding="ascii").strip()
    (result / "manifest.json").write_text(
        json.dumps({"version": version, "modules": modules}) + "\n", encoding="utf-8")


def fetch(name: str) -> kernels.Kernel:
    """The kernel NAME, built if it is not in the cache."""
    recipe = RECIPES[name]
    with locked(root() / f".{name}.lock"):
        kernel = load(name)
        if kernel:
            return kernel
        tree = source(recipe.suite)
        place = _place(name)
        release = tree.name.removeprefix("linux-source-")
        objects = root() / f"objects-{release}-{recipe.compiler}"
        objects.mkdir(exist_ok=True)
        say(f"building {name} of {release} by {recipe.compiler}")
        with locked(root() / f".{objects.name}.lock", BUILD_SECONDS), scratch(root(), name) as work:
            _configure(tree, objects, recipe)
            _compile(tree, objects, recipe)
            _store(objects, work / "result", recipe)
            for old in root().glob(f"{name}-*"):
                if old.name.removeprefix(f"{name}-").isalnum():
                    shutil.rmtree(old)
            replace_directory(work / "result", place)
        return _stored(name, place)


def clear_objects() -> None:
    """Removes what only building needs, some gigabytes."""
    shutil.rmtree(root() / "source", ignore_errors=True)
    for objects in root().glob("objects-*"):
        shutil.rmtree(objects)
