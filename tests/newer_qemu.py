#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Breakpoints on the QEMU of Debian 13: newer_qemu.py path/to/test_qemu_stub.

QEMU since 8.1 tells of fewer stops than this machine's may. The tests run in which somebody else
pauses and resumes the guest. The packages lie in the cache; QEMU runs in their tree, which is
mounted on /opt in a namespace of its own. Needs root.
"""
from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(1, str(ROOT / "lab"))

import packages  # noqa: E402

PLACE = Path("/opt")
WRAPPER = f"""#!/bin/sh
exec chroot {PLACE} /usr/bin/qemu-system-x86_64 "$@"
"""
TESTS = "test_*others*"


def mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)


def set_up(tree: Path) -> None:
    """In the mount namespace of this process alone."""
    for name in ("tmp", "dev", "proc"):
        (tree / name).mkdir(exist_ok=True)
    mount("--bind", tree, PLACE)
    mount("--bind", "/tmp", PLACE / "tmp")
    mount("--rbind", "/dev", PLACE / "dev")
    mount("-t", "proc", "proc", PLACE / "proc")


def run_tests(program: Path) -> tuple[int, int]:
    with tempfile.TemporaryDirectory() as folder:
        wrapper = Path(folder) / "qemu-system-x86_64"
        wrapper.write_text(WRAPPER, encoding="utf-8")
        wrapper.chmod(0o755)
        done = subprocess.run([program, TESTS], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=600, check=False,
                              env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"})
    print(done.stdout, flush=True)
    run = re.search(r"^\[=+\] (\d+) test\(s\) run", done.stdout, re.M)
    passed = re.search(r"^\[  PASSED  \] (\d+) test", done.stdout, re.M)
    if not run or not passed:
        return 0, 1
    return int(passed[1]), max(int(run[1]) - int(passed[1]), int(done.returncode != 0))


def main() -> int:
    program = Path(sys.argv[1]).resolve()
    if os.geteuid():
        print("newer_qemu: skipped: needs root, to mount", "0 passed, 0 failed, 1 skipped", sep="\n")
        return 0
    if len(sys.argv) == 2:
        tree = packages.fetch("qemu", "trixie", ["qemu-system-x86"])
        print(*(version for version in tree.versions if version.startswith("qemu-system-x86_")))
        sys.stdout.flush()
        os.execvp("unshare", ["unshare", "-m", "--propagation", "private", sys.executable, __file__,
                              str(program), str(tree.path)])
    set_up(Path(sys.argv[2]))
    passed, failed = run_tests(program)
    print(f"{passed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
