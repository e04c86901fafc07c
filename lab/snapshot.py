# SPDX-License-Identifier: LGPL-2.1-or-later
"""Saved guests: RAM file, ELF cores and kdump files, with the output of the oracle."""

from __future__ import annotations

import gzip
import json
import re
import time
from dataclasses import asdict
from pathlib import Path

from common import LabError, replace_directory, run, say, scratch
from machine import Guest, execute
from qmp import Qmp

# After this time the processes of an oracle pass have ended in the guest.
SETTLE_SECONDS = 0.5
FORMATS = ("raw", "elf", "elf-paging", "kdump-zlib")


def _dump(qmp: Qmp, path: Path, **arguments: object) -> None:
    qmp.command("dump-guest-memory", timeout=300.0, protocol=f"file:{path}", **arguments)
    path.chmod(0o644)


def take(guest: Guest, qmp: Qmp, directory: Path, formats: tuple[str, ...]) -> None:
    """Write the memory of GUEST, which is paused, into DIRECTORY in all FORMATS."""
    if "raw" in formats:
        ram = guest.ram
        if ram is None:
            raise LabError(f"{guest.name} has anonymous memory: no raw snapshot")
        run(["cp", "--sparse=always", str(ram), str(directory / "memory.raw")],
            what="copying the RAM file")
    if "elf" in formats:
        _dump(qmp, directory / "core.elf", paging=False)
    if "elf-paging" in formats:
        _dump(qmp, directory / "core-paging.elf", paging=True)
    if "kdump-zlib" in formats:
        _dump(qmp, directory / "kdump-zlib.flat", paging=False, format="kdump-zlib")


def finish(directory: Path) -> None:
    """After the guest runs again: makes cores sparse, unflattens kdump files."""
    for core in directory.glob("*.elf"):
        run(["fallocate", "--dig-holes", str(core)], what=f"making {core.name} sparse")
    for flat in directory.glob("*.flat"):
        run(["sh", "-c", 'makedumpfile -R "$1" <"$2"', "sh", str(flat.with_suffix("")), str(flat)],
            what="unflattening the kdump file (package makedumpfile)")


def snapshot(guest: Guest, directory: Path, formats: tuple[str, ...]) -> float:
    """Pause GUEST, save it in all FORMATS into DIRECTORY, resume it; returns seconds paused."""
    directory.mkdir(parents=True, exist_ok=True)
    with Qmp(guest.control) as qmp:
        qmp.command("stop")
        started = time.monotonic()
        try:
            take(guest, qmp, directory, formats)
        finally:
            qmp.command("cont")
    paused = time.monotonic() - started
    finish(directory)
    return paused


def oracle(guest: Guest, name: str, extra: str = "") -> bytes:
    """One pass of the oracle, as JSON lines."""
    if not re.fullmatch(r"[a-z0-9-]+", name):
        raise LabError(f"{name!r} is no name of a pass: lower-case letters, digits, '-'")
    return gzip.decompress(execute(guest, f"exec oracle {name} --gzip {extra}".rstrip(), 300.0))


def capture(guest: Guest, directory: Path, formats: tuple[str, ...]) -> None:
    """Oracle pass A, snapshot, oracle pass B and guest.json, as a directory that appears whole."""
    with scratch(directory.parent, directory.name) as work:
        started = time.monotonic()
        (work / "oracle-a.jsonl").write_bytes(oracle(guest, "a", "--symbols"))
        between = time.monotonic()
        time.sleep(SETTLE_SECONDS)
        paused = snapshot(guest, work, formats)
        resumed = time.monotonic()
        (work / "oracle-b.jsonl").write_bytes(oracle(guest, "b"))
        (work / "console.log").write_bytes(guest.console.read_bytes())
        facts = {"name": guest.name, "kernel": guest.kernel, "marker": guest.marker,
                 "options": asdict(guest.options), "boot_seconds": guest.boot_seconds,
                 "oracle_a_seconds": round(between - started, 2),
                 "paused_seconds": round(paused, 2),
                 "oracle_b_seconds": round(time.monotonic() - resumed, 2)}
        facts["options"].pop("mirror")
        (work / "guest.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        work.chmod(0o755)
        replace_directory(work, directory)
    say(f"{guest.name}: captured in {directory} (paused {paused:.1f} s)")
