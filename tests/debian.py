#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian packages of what is committed: debian.py [OPTION]….

They are built in a clean chroot without a network, twice and under other circumstances (path, umask,
time zone, host name, without the tests), and must be equal to the byte; lintian must not report an
error or a warning. In another chroot they are installed, tried (debian/tests), upgraded, removed and
purged, after which the files there must be those of before. Both chroots are made of Debian's packages
and kept in the cache.
"""
from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(1, str(ROOT / "lab"))

import kernels  # noqa: E402
from common import LabError, cache_root, locked, run, scratch  # noqa: E402

SUITE = "bookworm"
BUILD_SECONDS = 1200
OUTPUT_SHOWN = 4000
# debian/tests/guest needs these to build a program.
COMPILER = ("gcc", "libc6-dev", "pkg-config")
# In the chroot: mount what programs expect, go on without a network.
ENTER = """
set -e
root=$1 where=$2 host=$3
shift 3
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/dev/shm"
hostname "$host"
ip link set lo up 2>/dev/null || true
exec chroot "$root" sh -c 'cd "$1" && shift && exec "$@"' sh "$where" "$@"
"""
# What dpkg and ldconfig note of their own work, and what is mounted.
OWN_NOTES = re.compile(r"(dev|proc|sys|tmp)/|var/lib/dpkg/|var/log/|var/cache/ldconfig/|etc/ld\.so\.cache$")


# ---- Chroots -----------------------------------------------------------------------------------


def image(name: str, variant: str, names: Iterable[str]) -> Path:
    """A Debian with these packages, as a tar file in the cache."""
    wanted = sorted(set(names))
    parent = cache_root() / "packages"
    key = hashlib.sha256(repr((SUITE, variant, wanted)).encode()).hexdigest()[:16]
    path = parent / f"{name}-{key}.tar"
    with locked(parent / ".lock", 1800):
        if path.exists():
            return path
        with scratch(parent, name) as work:
            sources = work / "sources.list"
            arch = run(["dpkg", "--print-architecture"], what="asking for the architecture").strip()
            sources.write_text(kernels._suite_lines(SUITE, None, kernels._keyring(work), arch),
                               encoding="ascii")
            include = [f"--include={','.join(wanted)}"] if wanted else []
            # apt's own user cannot read the keyring in the cache of root.
            run(["mmdebstrap", "--quiet", "--mode=root", f"--variant={variant}",
                 '--aptopt=APT::Install-Recommends "false"', '--aptopt=APT::Sandbox::User "root"', *include, SUITE, str(work / "root.tar"),
                 str(sources)], what=f"making the chroot {name}", timeout=1200)
            for old in parent.glob(f"{name}-*.tar"):
                old.unlink()
            (work / "root.tar").rename(path)
    return path


def unpack(archive: Path, directory: Path) -> Path:
    directory.mkdir()
    run(["tar", "x", "--numeric-owner", "-C", str(directory), "-f", str(archive)],
        what=f"unpacking {archive.name}")
    return directory


def in_root(root: Path, command: list[str], where: str = "/", host: str = "chroot", mask: int = 0o022,
            timeout: float = 300, **environment: str) -> str:
    """What the command prints; without a network, in namespaces of its own."""
    variables = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8",
                 "DEBIAN_FRONTEND": "noninteractive", "PYTHONDONTWRITEBYTECODE": "1", **environment}
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child",
         "sh", "-c", ENTER, "sh", str(root), where, host, *command],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", env=variables, timeout=timeout, umask=mask, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(command)[:200]}: status {done.returncode}\n"
                       f"{done.stdout[-OUTPUT_SHOWN:]}")
    return done.stdout


# ---- Building ------------------------------------------------------------------------------------


def build_needs() -> list[str]:
    """The names in Build-Depends, with those of an architecture only where it is this one."""
    arch = run(["dpkg", "--print-architecture"], what="asking for the architecture").strip()
    text = (ROOT / "debian/control").read_text(encoding="utf-8")
    field = re.search(r"^Build-Depends:(.*(?:\n .*)*)", text, re.MULTILINE)
    names = []
    for entry in field[1].split(","):
        only = re.search(r"\[(.*)\]", entry)
        if not only or arch in only[1].split():
            names.append(entry.split()[0])
    # Virtual names stand for the packages that provide them.
    real = {"debhelper-compat": "debhelper", "dh-sequence-python3": "dh-python"}
    return [real.get(name, name) for name in names]


def build(archive: Path, work: Path, name: str, where: str, **circumstances) -> Path:
    """Builds a clone of HEAD at this path of a fresh chroot; the directory of what came out.

    The last part of the path is in the names of the files in the source's archive.
    """
    root = unpack(archive, work / name)
    place = root / where.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(place)], what="cloning")
    shutil.rmtree(place / ".git")
    in_root(root, ["dpkg-buildpackage", "--unsigned-source", "--unsigned-changes"], where=where,
            timeout=BUILD_SECONDS, **circumstances)
    return place.parent


def differences(first: Path, second: Path) -> list[str]:
    """Of two builds: which of the packages and sources are not equal, byte for byte."""
    sums = [{path.name: hashlib.sha256(path.read_bytes()).hexdigest()
             for pattern in ("*.deb", "*.dsc", "*.tar.xz") for path in directory.glob(pattern)}
            for directory in (first, second)]
    if not sums[0]:
        return ["no package was built"]
    return [f"{name} differs between two builds" for name in sorted(sums[0].keys() | sums[1].keys())
            if sums[0].get(name) != sums[1].get(name)]


def lintian(built: Path, work: Path) -> str:
    root = unpack(image("lintian", "apt", ["lintian"]), work / "lintian")
    for path in built.glob("nunchi_*"):
        if path.is_file():
            shutil.copy(path, root / "root")
    for path in built.glob("*.deb"):
        shutil.copy(path, root / "root")
    changes = next(path.name for path in built.glob("*.changes"))
    said = in_root(root, ["lintian", "--allow-root", "--fail-on", "error,warning", changes],
                   where="/root")
    shutil.rmtree(root)
    return said.strip()


# ---- Installing ------------------------------------------------------------------------------------


def field(deb: Path, name: str) -> str:
    return run(["dpkg-deb", "--field", str(deb), name], what=f"reading {deb.name}").strip()


def needs_of(debs: list[Path]) -> list[str]:
    """Names of all that the packages depend on or recommend, but for themselves."""
    own = {field(deb, "Package") for deb in debs}
    entries = [entry for deb in debs for name in ("Depends", "Recommends")
               for entry in field(deb, name).split(",") if entry.strip()]
    names = {entry.split("|")[0].split("(")[0].strip().split(":")[0] for entry in entries}
    return sorted(names - own)


def files_of(root: Path) -> dict[str, tuple]:
    """All files with their kinds, modes, owners and contents."""
    found = {}
    for directory, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = Path(directory, name)
            short = str(path.relative_to(root))
            if OWN_NOTES.match(short):
                continue
            status = path.lstat()
            content = ""
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            found[short] = (oct(status.st_mode), status.st_uid, status.st_gid, content)
    return found


def changed(before: dict[str, tuple], after: dict[str, tuple]) -> list[str]:
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def raised(debs: list[Path], work: Path) -> list[Path]:
    """The same packages with a higher version."""
    work.mkdir()
    later = []
    for deb in debs:
        tree = work / "tree"
        run(["dpkg-deb", "--raw-extract", str(deb), str(tree)], what=f"unpacking {deb.name}")
        version, control = field(deb, "Version"), tree / "DEBIAN/control"
        text = control.read_text(encoding="utf-8")
        text = text.replace(f"Version: {version}\n", f"Version: {version}+later\n")
        text = text.replace(f"(= {version})", f"(= {version}+later)")
        control.write_text(text, encoding="utf-8")
        later.append(work / deb.name)
        run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(later[-1])],
            what=f"packing {deb.name}")
        shutil.rmtree(tree)
    return later


def written_guest() -> Path:
    """A saved guest, without processes, that a program of the tests writes."""
    run(["ninja", "-C", str(ROOT / "build"), "tests/nomem/write_guest"], what="building write_guest")
    return Path(run([str(ROOT / "build/tests/nomem/write_guest")], what="writing a guest").strip())


class Installed:
    """A fresh chroot into which the packages are put."""

    def __init__(self, debs: list[Path], work: Path, guest: Path | None):
        self.debs, self.work = debs, work
        self.view = "processes" if guest else "symbols"
        self.names = sorted(field(deb, "Package") for deb in debs)
        archive = image("install", "apt", [*needs_of(debs), *COMPILER])
        self.root = unpack(archive, work / "installed")
        self.written = None if guest else written_guest()
        self.guest = guest or self.written
        self.before = files_of(self.root)
        self.packages = self.status()

    def status(self) -> str:
        return in_root(self.root, ["dpkg-query", "-W", "-f", "${Package} ${Version} ${db:Status-Abbrev}\n"])

    def put(self, debs: list[Path]) -> None:
        """dpkg alone: it refuses a package without what that depends on."""
        place = self.root / "tmp/debs"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for deb in debs:
            shutil.copy(deb, place)
        in_root(self.root, ["dpkg", "--install", *(f"/tmp/debs/{deb.name}" for deb in debs)])
        if audit := in_root(self.root, ["dpkg", "--audit"]).strip():
            raise LabError(f"dpkg --audit: {audit}")

    def attempt(self) -> str:
        """Runs debian/tests."""
        source = self.root / "tmp/source"
        shutil.rmtree(source, ignore_errors=True)
        shutil.copytree(ROOT / "debian/tests", source / "debian/tests")
        shutil.copy(self.guest, source / "memory")
        said = [in_root(self.root, [f"/tmp/source/debian/tests/{name}"], NUNCHI_GUEST="/tmp/source/memory",
                        NUNCHI_VIEW=self.view)
                for name in ("guest", "lab")]
        return "".join(said)

    def install(self) -> str:
        self.put(self.debs)
        left = [name for name in self.status().splitlines() if not name.endswith(" ii ")]
        if left:
            raise LabError(f"not installed: {left}")
        wants = [name for name in changed(self.before, files_of(self.root)) if ".wants/" in name]
        if wants:
            raise LabError(f"the installation enables a unit: {wants}")
        return self.attempt()

    def upgrade(self) -> str:
        later = raised(self.debs, self.work / "later")
        old = set(files_of(self.root))
        self.put(later)
        if other := sorted(old ^ set(files_of(self.root))):
            raise LabError(f"the upgrade to the same files adds or removes: {other[:20]}")
        if self.status().count("+later ii ") != len(later):
            raise LabError(f"not all packages were upgraded:\n{self.status()}")
        return self.attempt()

    def remove(self) -> str:
        in_root(self.root, ["dpkg", "--remove", *self.names])
        # The configuration, and what Debian notes of units that were enabled, stay until a purge.
        own = {"etc/default/nunchi-metrics"} | {
            name for name in files_of(self.root)
            if name.startswith("var/lib/systemd/deb-systemd-helper-enabled")}
        if left := set(changed(self.before, files_of(self.root))) - own:
            raise LabError(f"after removal other files than before: {sorted(left)[:20]}")
        return ""

    def purge(self) -> str:
        in_root(self.root, ["dpkg", "--purge", *self.names])
        if left := changed(self.before, files_of(self.root)):
            raise LabError(f"after purging other files than before: {left[:20]}")
        if self.status() != self.packages:
            raise LabError("after purging dpkg knows other packages than before")
        for name in self.names:
            if left := list((self.root / "var/lib/dpkg/info").glob(f"{name}[.:]*")):
                raise LabError(f"dpkg keeps {left}")
        return ""

    def close(self) -> None:
        if self.written:
            self.written.unlink()


# ---- All of it -----------------------------------------------------------------------------------


class Steps:
    def __init__(self) -> None:
        self.passed, self.failed = 0, 0

    def take(self, name: str, action: Callable):
        """Runs a step and says how long it took; None if it failed."""
        start = time.monotonic()
        try:
            result = action()
        except (LabError, OSError, subprocess.SubprocessError) as error:
            self.failed += 1
            print(f"packages: {name}: FAILED\n    " + "\n    ".join(str(error).splitlines()), flush=True)
            return None
        self.passed += 1
        said = f": {result.strip()}" if isinstance(result, str) and result.strip() else ""
        print(f"packages: {name} ({time.monotonic() - start:.0f} s){said}", flush=True)
        return result or True


def versions_agree() -> str:
    """One version everywhere: meson's is what libraries and --version have, the changelog's the packages'."""
    meson = re.search(r"^  version: '(.*)',$", (ROOT / "meson.build").read_text(encoding="utf-8"),
                      re.MULTILINE)[1]
    first = (ROOT / "debian/changelog").read_text(encoding="utf-8").splitlines()[0]
    if re.sub(r"[~+-].*", "", first.split("(")[1].split(")")[0]) != meson:
        raise LabError(f"debian/changelog has {first!r}, meson.build has {meson}")
    return meson


def compare(first: Path, second: Path) -> str:
    if found := differences(first, second):
        raise LabError("\n".join(found))
    return f"{len(list(first.glob('*.deb')))} packages"


def keep(built: Path, output: Path) -> str:
    output.mkdir(parents=True, exist_ok=True)
    for path in built.iterdir():
        if path.is_file():
            shutil.copy(path, output)
    return str(output)


def try_packages(steps: Steps, built: Path, work: Path, guest: Path | None) -> None:
    debs = sorted(deb for deb in built.glob("*.deb") if "-dbgsym_" not in deb.name)
    installed = steps.take("chroot", lambda: Installed(debs, work, guest))
    if not installed:
        return
    try:
        for name in ("install", "upgrade", "remove", "purge"):
            if not steps.take(name, getattr(installed, name)):
                return
    finally:
        installed.close()


def all_steps(steps: Steps, args: argparse.Namespace, work: Path) -> None:
    steps.take("versions", versions_agree)
    archive = steps.take("build chroot", lambda: image("build", "buildd", build_needs()))
    built = archive and steps.take("build, with unit tests", lambda: build(
        archive, work, "first", "/build/nunchi", TZ="UTC", DEB_BUILD_OPTIONS="parallel=2"))
    if not built:
        return
    if args.output:
        steps.take("packages are in", lambda: keep(built, args.output))
    steps.take("lintian", lambda: lintian(built, work))
    if args.build_only:
        return
    try_packages(steps, built, work, args.guest)
    again = steps.take("build at another place", lambda: build(
        archive, work, "second", "/srv/some-other-place/nunchi", host="otherhost", mask=0o002,
        TZ="Asia/Seoul", LC_ALL="C", DEB_BUILD_OPTIONS="parallel=3 nocheck",
        DEB_BUILD_PROFILES="nocheck"))
    if again:
        steps.take("reproducible", lambda: compare(built, again))


def main() -> int:
    parser = argparse.ArgumentParser(prog="debian.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, metavar="DIRECTORY", help="keep the packages there")
    parser.add_argument("--guest", type=Path, metavar="FILE",
                        help="try the packages on the processes of this saved guest, not on one that a "
                             "program of the tests writes")
    parser.add_argument("--build-only", action="store_true", help="build them once, and run lintian")
    args = parser.parse_args()
    if os.geteuid():
        print("packages: skipped: chroots need root")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    if subprocess.run(["git", "-C", str(ROOT), "diff", "--quiet", "HEAD"], check=False).returncode:
        print("packages: what is not committed is not built")
    steps = Steps()
    with scratch(cache_root() / "packages", "work") as work:
        all_steps(steps, args, work)
    print(f"{steps.passed} passed, {steps.failed} failed")
    return 1 if steps.failed else 0


if __name__ == "__main__":
    sys.exit(main())
