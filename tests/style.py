#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks that each C file and header that git knows is laid out as clang-format would.

Releases of clang-format differ in what they make of one .clang-format. The tree is laid out by
release 14 (Debian 12); with another release all files count as skipped.
"""
from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RELEASE = "14"
DIFFERS = re.compile(r"^(\S+):(\d+):\d+: warning: code should be clang-formatted")
JOBS = 2


def release() -> str:
    said = subprocess.run(["clang-format", "--version"], capture_output=True, text=True,
                          check=True).stdout
    return re.search(r"version (\d+)", said)[1]


def first_differences(files: list[str]) -> dict[str, int]:
    """Files that clang-format would change → the first line that it would change."""
    parts = [subprocess.Popen(["clang-format", "--dry-run", *files[i::JOBS]], cwd=ROOT, text=True,
                              stderr=subprocess.PIPE) for i in range(JOBS)]
    first: dict[str, int] = {}
    for part in parts:
        said = part.communicate()[1]
        if part.returncode:
            sys.exit(f"FAILED: clang-format ended with status {part.returncode}: {said[-500:]}")
        for line in said.splitlines():
            match = DIFFERS.match(line)
            if match:
                first.setdefault(match[1], int(match[2]))
    return first


def main() -> int:
    files = subprocess.run(["git", "ls-files", "*.c", "*.h"], cwd=ROOT, capture_output=True,
                           text=True, check=True).stdout.split()
    if release() != RELEASE:
        print(f"clang-format is of release {release()}; the tree is laid out by {RELEASE}")
        print(f"0 passed, 0 failed, {len(files)} skipped")
        return 0
    first = first_differences(files)
    for name, number in sorted(first.items()):
        line = (ROOT / name).read_text().splitlines()[number - 1]
        print(f"FAILED: {name}:{number}: `clang-format -i {name}` would change: {line.strip()}")
    print(f"{len(files) - len(first)} passed, {len(first)} failed")
    return 1 if first else 0


if __name__ == "__main__":
    sys.exit(main())
