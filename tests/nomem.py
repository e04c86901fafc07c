#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""nunchi when memory runs out: each of its allocations fails once (tests/nomem/).

    tests/nomem.py NUNCHI [FUZZ-TARGET|COMMAND…]

The fuzz targets run over their corpora, and the command on a saved guest made by hand. One passes
if each run, in which another allocation failed, ended without a crash or a hang, with the usual
result or with an error that says that memory ran out. Fuzz targets must not leak either.
"""
from __future__ import annotations

import concurrent.futures
import gzip
import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 300  # of one program; the views take 100 on an idle machine
LAST = re.compile(r"(\d+) inputs, (\d+) failed allocations, (\d+) runs given up, (\d+) wrong$")


def located(program: Path, line: str) -> list[str]:
    """Where the code stands whose addresses LINE has."""
    addresses = re.findall(r"0x[0-9a-f]+", line)
    done = subprocess.run(["addr2line", "-fse", program, *addresses], capture_output=True, text=True,
                          check=False)
    names = done.stdout.splitlines()
    return [f"    {name} ({place})" for name, place in zip(names[::2], names[1::2])
            if not place.startswith("?")]


def described(program: Path, output: str) -> list[str]:
    lines: list[str] = []
    for line in output.splitlines():
        lines.append(line.partition(" 0x")[0])
        if line.startswith(("  asked for at", "  was at")):
            lines += located(program, line)
    return lines


def replay(program: Path) -> tuple[bool, int, list[str]]:
    """Whether it passed, how many allocations failed, and what to say."""
    name = program.name.removeprefix("nomem_")
    start = time.monotonic()
    try:
        done = subprocess.run([program, ROOT / "fuzz/corpus" / name], capture_output=True,
                              text=True, timeout=SECONDS, errors="replace")
    except subprocess.TimeoutExpired:
        return False, 0, [f"FAILED {name}: not done within {SECONDS} s"]
    lines = done.stdout.splitlines()
    last = LAST.match(lines[-1]) if lines else None
    good = done.returncode == 0 and last is not None
    if not good:
        return False, int(last[2]) if last else 0, [
            *described(program, done.stdout),
            f"FAILED {name}: ended with {done.returncode} {done.stderr.strip()[-200:]}"]
    return True, int(last[2]), [f"{name:<15} {lines[-1]} ({time.monotonic() - start:.1f} s)"]


# ---- The command -----------------------------------------------------------------------------------

# {guest} is the saved guest, {guest}.gz and .xz the same packed, {out} a file that the command may write, {out}.d a directory, {log} one of
# tests/doctor/, {rules} those of YARA.
COMMANDS = {
    "info": "info {guest} --json",
    "symbols": "show {guest} symbols --json",
    "kernel_info": "show {guest} kernel_info --csv",
    "where": "show {guest} symbols --where name=phys_base",
    "table": "show {guest} symbols --limit 50",
    "symbol": "symbol {guest} phys_base",
    "address": "symbol {guest} 0xffffffff9aa00800",
    "unknown": "symbol {guest} no_such_symbol",
    "type": "type {guest} task_struct",
    "read": "read {guest} 0xffffffff9a63ffc0 64",
    "gzip": "read {guest}.gz 0xffffffff9a63ffc0 64",
    "xz": "read {guest}.xz 0xffffffff9a63ffc0 64",
    "print": "print {guest} sizeof(long)",
    "check": "check {guest} --json",
    "report": "report {guest}",
    "strings": "strings {guest} --min 5 --json",
    "yara": "yara {guest} {rules} --jobs 2 --json",
    "translate": "translate {guest} 0xffffffff9a63ffc0",
    "elf": "snapshot {guest} {out} --format elf",
    "lime": "snapshot {guest} {out} --format lime",
    "raw": "snapshot {guest} {out} --format raw",
    "core": "core {guest} 1 {out}",
    "extract": "extract {guest} {out}.d /",
    "views": "views",
    "help": "--help",
    "doctor": "doctor {log}",
}
RULES = 'rule linux : a b { strings: $a = "Linux" $b = /phys_[a-z]+/ condition: any of them }\n'
EACH, SAMPLE = 80, 40
RUN_SECONDS = 30
MEMORY = re.compile(r"out of memory|Cannot allocate memory|memory ran out")


# When a report was written.
NOW = re.compile(rb" at [\d-]{10} [\d:]{8} by this host")


class Command:
    """A command line, run with one allocation after the other failing."""

    def __init__(self, nunchi: Path, name: str, guest: Path, work: Path) -> None:
        self.name, self.out, self.count = name, work / name, work / f"{name}.count"
        words = COMMANDS[name].format(guest=guest, out=self.out, rules=guest.with_suffix(".yar"),
                                      log=ROOT / "tests/doctor/black-screen.txt")
        self.command = [nunchi, *words.split()]
        self.env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8",
                    "LD_PRELOAD": str(nunchi.parent / "tests/nomem/libnomem.so")}

    def run(self, **more: str) -> tuple[int, bytes, str, bytes]:
        """Its status, what it printed, what it said, and the file that it wrote."""
        self.out.unlink(missing_ok=True)
        shutil.rmtree(f"{self.out}.d", ignore_errors=True)
        done = subprocess.run(self.command, capture_output=True, timeout=RUN_SECONDS,
                              stdin=subprocess.DEVNULL, env={**self.env, **more})
        wrote = self.out.read_bytes() if self.out.exists() else b""
        return done.returncode, NOW.sub(b"", done.stdout), done.stderr.decode(errors="replace"), wrote

    def wrong(self, got: tuple[int, bytes, str, bytes]) -> str | None:
        status, printed, said, _ = got
        if status < 0:
            return f"ended by signal {-status}"
        if got == self.normal or MEMORY.search(said) or MEMORY.search(printed.decode()):
            return None
        return f"ended with {status}, other output, and said {said.strip()[-200:]!r}"

    def run_all(self) -> tuple[bool, int, list[str]]:
        start = time.monotonic()
        self.normal = self.run(NOMEM_COUNT=str(self.count))
        count = int(self.count.read_text())
        numbers = [*range(1, min(count, EACH) + 1),
                   *range(EACH + 1, count + 1, 1 + max(count - EACH, 0) // SAMPLE)]
        lines, runs = [], 0
        for number in numbers:
            for more in ({}, {"NOMEM_AND_ON": "1"}) if number % 4 == 0 else ({},):
                runs += 1
                try:
                    wrong = self.wrong(self.run(NOMEM_FAIL=str(number), **more))
                except subprocess.TimeoutExpired:
                    wrong = f"not done within {RUN_SECONDS} s"
                if wrong:
                    after = " and all after it" if more else ""
                    lines.append(f"FAILED {self.name}: allocation {number}{after}: {wrong}")
        if lines:
            return False, runs, [*lines[:8], f"FAILED {self.name}: {len(lines)} of {runs} runs: "
                                 f"{' '.join(str(part) for part in self.command)}"]
        return True, runs, [f"nunchi {self.name:<12} {count} allocations, {runs} failed "
                            f"({time.monotonic() - start:.1f} s)"]


def main() -> int:
    nunchi = Path(sys.argv[1]).resolve()
    build = nunchi.parent
    if subprocess.run(["ninja", "-C", build, "--quiet", "nomem", "nunchi"]).returncode:
        return 1
    wanted = sys.argv[2:]
    programs = sorted(path for path in (build / "tests/nomem").glob("nomem_*")
                      if path.is_file() and os.access(path, os.X_OK)
                      and (not wanted or path.name.removeprefix("nomem_") in wanted))
    names = [name for name in COMMANDS if not wanted or name in wanted]
    passed = failed = allocations = 0
    written = subprocess.run([build / "tests/nomem/write_guest"], capture_output=True, text=True,
                             check=True).stdout.strip()
    with (tempfile.TemporaryDirectory(prefix="nunchi-nomem-") as work,
          concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool):
        guest = Path(shutil.move(written, Path(work) / "guest.raw"))
        guest.with_suffix(".raw.gz").write_bytes(gzip.compress(guest.read_bytes()))
        guest.with_suffix(".yar").write_text(RULES, encoding="ascii")
        guest.with_suffix(".raw.xz").write_bytes(lzma.compress(guest.read_bytes()))
        jobs = [pool.submit(replay, program) for program in programs]
        jobs += [pool.submit(Command(nunchi, name, guest, Path(work)).run_all) for name in names]
        for job in jobs:
            good, count, lines = job.result()
            passed, failed, allocations = passed + good, failed + (not good), allocations + count
            print("\n".join(lines), flush=True)
    print(f"{allocations} runs, in each of which an allocation failed")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
