#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""`nunchi doctor plan|apply|undo|stay` in the root of a Debian with its own GRUB, kernel and Xen:
doctor_apply.py NUNCHI. apply and undo are also killed at many moments (tests/doctor/in_root.py).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(1, str(ROOT / "lab"))

from common import LabError  # noqa: E402

from doctor import host  # noqa: E402

SECONDS = 900


def in_root(nunchi: Path, disk: Path) -> int:
    """On a copy of the disk, in a mount namespace of its own."""
    directory = host.work_directory("root")
    try:
        copy = directory / "disk"
        subprocess.run(["cp", "--sparse=always", str(disk), str(copy)], check=True)
        return subprocess.run(["unshare", "--mount", "--propagation", "private", sys.executable,
                               str(ROOT / "tests/doctor/in_root.py"), str(nunchi), str(copy),
                               str(directory)], stdin=subprocess.DEVNULL, timeout=SECONDS,
                              check=False).returncode
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: doctor_apply.py NUNCHI", file=sys.stderr)
        return 2
    if os.geteuid():
        print("plan, apply and undo: mounting and chroot need root")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    try:
        return in_root(Path(sys.argv[1]).resolve(), host.disk())
    except (LabError, OSError, subprocess.SubprocessError) as error:
        print(f"plan, apply and undo: {error}")
        print("0 passed, 1 failed")
        return 1


if __name__ == "__main__":
    sys.exit(main())
