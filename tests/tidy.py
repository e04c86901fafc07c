#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs clang-tidy, with the checks of .clang-tidy, over each C file that a build by clang compiles.

    tests/tidy.py BUILD-DIRECTORY
"""
from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPORT = re.compile(r"^(\S+?):(\d+):\d+: (?:warning|error): (.*)$")
SAID_EVERY = 10  # seconds
LONGEST = 120  # seconds, of one file


def compiled(build: Path) -> list[str]:
    """The C files of the tree that the build compiles, each once."""
    entries = json.loads((build / "compile_commands.json").read_text())
    paths = {(Path(entry["directory"]) / entry["file"]).resolve() for entry in entries}
    return sorted(path.relative_to(ROOT).as_posix() for path in paths)


def said_of(build: Path, name: str) -> list[str]:
    """What clang-tidy reports of a file, each as "file:line: text"."""
    done = subprocess.run(["clang-tidy", "--quiet", "-p", build, name], cwd=ROOT, text=True,
                          capture_output=True, timeout=LONGEST)
    reports = []
    for match in filter(None, map(REPORT.match, done.stdout.splitlines())):
        path = Path(os.path.abspath(build / match[1]))
        if path.is_relative_to(ROOT):
            reports.append(f"{path.relative_to(ROOT)}:{match[2]}: {match[3]}")
        else:
            reports.append(f"{name}: {path}:{match[2]}: {match[3]}")
    if done.returncode and not reports:
        reports = [f"{name}: clang-tidy ended with status {done.returncode}: {done.stderr[-300:]}"]
    return reports


def main() -> int:
    build = Path(sys.argv[1]).resolve()
    files = compiled(build)
    reports: set[str] = set()  # a header's come with each file that includes it
    faulty = 0
    said = time.monotonic()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waited = [pool.submit(said_of, build, name) for name in files]
        for count, one in enumerate(as_completed(waited), 1):
            found = one.result()
            faulty += bool(found)
            for text in sorted(set(found) - reports):
                print(f"FAILED: {text}", flush=True)
            reports.update(found)
            if time.monotonic() - said > SAID_EVERY:
                said = time.monotonic()
                print(f"{count} of {len(files)} files", flush=True)
    print(f"{len(files) - faulty} passed, {faulty} failed")
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main())
