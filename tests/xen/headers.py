#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""src/target/xen/layout.h and ring_layout.def against the public headers of Xen 4.14, 4.17 and 4.20.

The headers are Debian's libxen-dev, fetched into the cache as the lab fetches kernels; a check is
that tests/xen/layout.c, which consists of static assertions, compiles with them. That it can fail
is tested with a size that is wrong.
"""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(1, str(ROOT / "lab"))

from common import LabError, cache_root, locked, replace_directory, run, scratch  # noqa: E402
from kernels import PrivateApt  # noqa: E402

# Files of assertions → what makes one of them wrong.
FILES = {"layout.c": "-Dmsr_lstar=msr_star", "ring.c": "-Dmsr_lstar=msr_star"}
RELEASES = {"4.14": "bullseye", "4.17": "bookworm", "4.20": "trixie"}


def headers(release: str) -> Path:
    """Where the headers of a release are."""
    parent = cache_root() / "xen-headers"
    target = parent / release
    with locked(parent / f".{release}.lock"):
        if (target / "include/xen/domctl.h").is_file():
            return target / "include"
        with (PrivateApt(RELEASES[release], "amd64", None) as apt,
              scratch(parent, release) as work):
            (deb,) = apt.download(["libxen-dev"], work)
            run(["dpkg", "-x", str(deb), str(work / "tree")], what=f"unpacking {deb.name}")
            replace_directory(work / "tree/usr", target)
    return target / "include"


def compiles(name: str, include: Path, *options: str) -> tuple[bool, str]:
    done = subprocess.run(
        [os.environ.get("CC", "cc"), "-fsyntax-only", "-std=gnu17", "-w", "-D_GNU_SOURCE",
         *options, f"-I{ROOT / 'src'}", f"-I{ROOT / 'include'}", f"-I{include}",
         str(ROOT / "tests/xen" / name)],
        capture_output=True, text=True, timeout=120, check=False)
    return done.returncode == 0, done.stderr


def main() -> int:
    passed = failed = 0
    for release in RELEASES:
        try:
            include = headers(release)
        except LabError as error:
            print(f"FAIL: headers of Xen {release}: {error}")
            failed += 1
            continue
        for name, mistake in FILES.items():
            good, output = compiles(name, include)
            wrong, _ = compiles(name, include, mistake)
            print(f"{'ok' if good else 'FAIL'}: {name} agrees with the headers of Xen {release}")
            if not good:
                print(output)
            if wrong:
                print(f"FAIL: {name} does not notice a mistake with the headers of Xen {release}")
            passed += good + (not wrong)
            failed += (not good) + wrong
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
