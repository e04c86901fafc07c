#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks that each C file and header that git knows is laid out as clang-format would, and that
each variable with a cleanup attribute has a value wherever its function can return.

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
CLEANED = re.compile(r"^(\t+)_cleanup_\w+ [^=(]*?(\w+(?:, \*?\w+)*);$")
LEAVES = re.compile(r"\b(return|goto|break|continue)\b")


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


def without_value(text: str) -> dict[int, str]:
    """Lines that declare a variable whose cleanup can run on no value → the variable.

    A variable without an initializer gets its value where it is mentioned first: that must be in
    the block that declares it, and nothing before it may leave the block.
    """
    bad: dict[int, str] = {}
    lines = text.splitlines()
    for at, line in enumerate(lines):
        declared = CLEANED.match(line)
        for name in re.findall(r"\w+", declared[2]) if declared else []:
            for later in lines[at + 1:]:
                if re.search(rf"\b{name}\b", later):
                    if re.match(r"\t*", later)[0] != declared[1] or "return" in later:
                        bad[at + 1] = name
                    break
                if LEAVES.search(later):
                    bad[at + 1] = name
                    break
    return bad


def main() -> int:
    failed: set[str] = set()
    files = subprocess.run(["git", "ls-files", "*.c", "*.h"], cwd=ROOT, capture_output=True,
                           text=True, check=True).stdout.split()
    for name in files:
        for number, variable in without_value((ROOT / name).read_text()).items():
            print(f"FAILED: {name}:{number}: {variable} has no value where its cleanup may run: "
                  "initialize it here")
            failed.add(name)
    if release() != RELEASE:
        print(f"clang-format is of release {release()}; the tree is laid out by {RELEASE}")
        print(f"0 passed, {len(failed)} failed, {len(files) - len(failed)} skipped")
        return 1 if failed else 0
    first = first_differences(files)
    for name, number in sorted(first.items()):
        line = (ROOT / name).read_text().splitlines()[number - 1]
        print(f"FAILED: {name}:{number}: `clang-format -i {name}` would change: {line.strip()}")
    failed.update(first)
    print(f"{len(files) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
