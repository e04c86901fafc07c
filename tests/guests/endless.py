# SPDX-License-Identifier: LGPL-2.1-or-later
"""A saved guest whose list of processes fills the memory of whoever believes it.

The list of a real guest's processes leads into 64 MiB of its memory: a million tasks, 64 bytes apart, so that
they overlap. Each has the same struct mm, with a megabyte of arguments.
"""

from __future__ import annotations

import mmap
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guests.session import Subject
    from guests.tool import Nunchi

MIB = 1 << 20
TASKS_SIZE = 64 * MIB
STRIDE = 64
# Behind the tasks: three page tables and, in a large page of its own, the arguments.
TABLES = TASKS_SIZE
TEXT = TASKS_SIZE + 4 * MIB
AREA = TEXT + 2 * MIB
MOST_SECONDS = 30
# Less than the default, and less than what would be needed without the limits of ps.
MEMORY = "160M"
USER = 0x400000


def members(nunchi: Nunchi, raw: Path, name: str) -> dict[str, int]:
    """Offsets of the members of a structure."""
    rows = nunchi.run("type", raw, name, "--json").rows
    return {row["name"]: row["offset"] for row in rows if row.get("name") and "offset" in row}


class Image:
    """The bytes of a raw file whose offsets below 3 GiB are addresses."""

    def __init__(self, memory: mmap.mmap, base: int) -> None:
        self.memory, self.base = memory, base

    def put(self, physical: int, *words: int) -> None:
        struct.pack_into(f"<{len(words)}Q", self.memory, physical, *words)

    def get(self, physical: int) -> int:
        return int(struct.unpack_from("<Q", self.memory, physical)[0])


def forge(nunchi: Nunchi, raw: Path) -> None:
    """Changes the file so."""
    task, mm = members(nunchi, raw, "task_struct"), members(nunchi, raw, "mm_struct")
    rows = [row for row in nunchi.show(raw, "processes").rows if not row["is_kernel_thread"]]
    victim = int(str(rows[-1]["task"]), 16)
    physical = nunchi.physical(raw, victim)
    size = raw.stat().st_size
    area = (min(size, 3 << 30) - AREA) // (2 * MIB) * 2 * MIB
    with raw.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        image = Image(memory, victim - physical)
        head = nunchi.physical(raw, nunchi.address(raw, "init_task")) + task["tasks"]
        first = image.get(head)
        struct_mm = image.get(physical + task["mm"]) - image.base
        text, tables = area + TEXT, area + TABLES
        memory[text:text + 2 * MIB] = b"A" * (2 * MIB - 1) + b"\0"
        image.put(tables, (tables + 4096) | 7)
        image.put(tables + 4096, (tables + 8192) | 7)
        image.put(tables + 8192 + (USER >> 21) * 8, text | 0xe7)
        image.put(struct_mm + mm["pgd"], tables + image.base)
        image.put(struct_mm + mm["arg_start"], USER + MIB, USER + 2 * MIB)
        chain(image, area, head, first, task, struct_mm)


def chain(image: Image, area: int, head: int, first: int, task: dict[str, int],
          struct_mm: int) -> None:
    """Puts the tasks into the list, in front of the first."""
    count = TASKS_SIZE // STRIDE
    nodes = image.base + area
    slot = (task["mm"] - task["tasks"]) % STRIDE
    words = [0] * (STRIDE // 8)
    words[slot // 8] = struct_mm + image.base
    pattern = struct.Struct(f"<{len(words)}Q")
    block = bytearray(count * STRIDE)
    for i in range(count):
        node = nodes + i * STRIDE
        words[0], words[1] = node + STRIDE, node - STRIDE
        pattern.pack_into(block, i * STRIDE, *words)
    image.memory[area:area + len(block)] = bytes(block)
    head_address = image.get(first - image.base + 8)
    last = nodes + (count - 1) * STRIDE
    image.put(head, nodes)
    image.put(area + 8, head_address)
    image.put(last - image.base, first)
    image.put(first - image.base + 8, last)


def run(subject: Subject) -> None:
    """The file is changed, and of no use afterwards."""
    nunchi, account, raw = subject.nunchi, subject.account, subject.raw
    forge(nunchi, raw)
    started = time.monotonic()
    done = nunchi.run("ps", raw, "--memory", MEMORY, timeout=MOST_SECONDS * 2)
    spent = time.monotonic() - started
    account.say(f"a million processes with a megabyte of arguments each: ps takes {spent:.1f} s")
    account.check(done.status == 0 and "rows are missing" in done.err,
                  f"ps of endless processes in {MEMORY} ends with {done.status}", done.err[-300:])
    account.check(spent < MOST_SECONDS, f"ps of endless processes takes {spent:.1f} s")
    done = nunchi.run("ps", raw, "--memory", "48M", timeout=MOST_SECONDS * 2)
    # Either no row is kept, or the list ends early.
    account.check((done.status == 1 or "cut short" in done.err) and "--memory" in done.err,
                  f"ps of endless processes in 48M ends with {done.status}", done.err[-300:])
