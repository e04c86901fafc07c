#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Decoys planted in a saved guest: other kernels, forged notes, files, a guest within the guest.

What nunchi shows must stay what it was. Where a forgery is as good as the real thing, it must
refuse and say that two kernels fit equally well; it must never show the forgery.

Run alone: tests/decoys.py NUNCHI GUEST.raw DONOR.raw, both with offset = physical address.
"""

from __future__ import annotations

import dataclasses
import re
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(1, str(Path(__file__).resolve().parent.parent / "lab"))

from kernels import vmlinux  # noqa: E402

from guests import raw  # noqa: E402
from guests.tool import Account, Done, Nunchi, identical  # noqa: E402

LARGE = 2 << 20
LOW_END = 0xa0000
FRAME = 0x000ffffffffff000
PRESENT, LARGE_PAGE = 1, 0x80
KERNEL_MAP = 0xffffffff80000000
STACK_END_MAGIC = struct.pack("<Q", 0x57ac6e9d)
AMBIGUOUS = "two kernels that fit equally well"
VIEWS = ("processes", "kernel_modules", "kernel_info", "process_open_files", "symbols")


@dataclasses.dataclass
class Kernel:
    """Where a saved guest's kernel lies."""

    nunchi: Nunchi
    path: Path
    text: int = 0
    physical: int = 0
    size: int = 0
    levels: int = 4
    places: dict[str, int] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        self.text = self.nunchi.address(self.path, "_text")
        self.physical = self.nunchi.physical(self.path, self.text)
        # The end of .bss, with the break after it, is mapped up to a whole large page.
        end = self.nunchi.address(self.path, "_end")
        self.size = (end - self.text + LARGE - 1) & -LARGE
        if "5-level" in self.nunchi.facts(self.path).get(("kernel", "paging"), ""):
            self.levels = 5

    def place(self, symbol: str) -> int:
        """Offset of a symbol in the image; asked for while the image is as it was, it is kept."""
        if symbol not in self.places:
            self.places[symbol] = self.nunchi.address(self.path, symbol) - self.text
        return self.places[symbol]


class Planter:
    """One guest's image, and what is checked of it after each decoy."""

    def __init__(self, nunchi: Nunchi, account: Account, image: raw.Image,
                 reference: dict[str, Done], donor: Path) -> None:
        self.nunchi, self.account, self.image, self.reference = nunchi, account, image, reference
        self.kernel = Kernel(nunchi, image.path)
        self.donor = Kernel(nunchi, donor)
        for symbol in ("max_pfn", "init_stack"):
            self.kernel.place(symbol)

    def spots(self, size: int, align: int) -> Iterator[tuple[str, int]]:
        """Free places below and above the real kernel."""
        below = self.image.free_space(size, align, 1 << 20)
        if below is not None and below + size <= self.kernel.physical:
            yield "below", below
        above = self.image.free_space(size, align, self.kernel.physical + self.kernel.size)
        if above is not None:
            yield "above", above

    def judge(self, what: str, may_refuse: bool) -> None:
        got = {view: self.nunchi.show(self.image.path, view) for view in VIEWS
               if view in self.reference}
        refused = {view for view, done in got.items()
                   if done.status == 1 and not done.out and AMBIGUOUS in done.err}
        if refused and may_refuse:
            self.account.check(refused == set(got), f"{what}: only some views refuse: {refused}")
            self.account.say(f"{what}: refused as ambiguous")
            return
        identical(self.account, f"decoy: {what}", got, self.reference)

    def low_page(self, unlike: int = -1) -> int:
        """A zero page below 640 KiB."""
        for page in range(0x1000, LOW_END, raw.PAGE):
            if page != unlike and self.image.read(page, raw.PAGE) == bytes(raw.PAGE):
                return page
        raise LookupError("no free page in low memory")


# ---- A complete second kernel ------------------------------------------------------------------


class Relocation:
    """A kernel's image on its way to another place."""

    def __init__(self, donor: Kernel, at: int) -> None:
        self.donor, self.delta = donor, at - donor.physical
        with raw.opened(donor.path) as source:
            self.data = bytearray(source.read(donor.physical, donor.size))
            # Large pages whose parts differ are mapped by tables outside of the image.
            self.tables = {at: source.read(at, raw.PAGE) for at in self.outside()}
        self.size = len(self.data)

    def entries(self, name: str) -> tuple[int, ...]:
        return struct.unpack_from("<512Q", self.data, self.donor.place(name))

    def is_inside(self, frame: int) -> bool:
        return self.donor.physical <= frame < self.donor.physical + self.donor.size

    def outside(self) -> list[int]:
        return [entry & FRAME for entry in self.entries("level2_kernel_pgt")
                if entry & PRESENT and not entry & LARGE_PAGE and not self.is_inside(entry & FRAME)]

    def moved(self, entry: int) -> int:
        frame = entry & FRAME
        if not entry & PRESENT:
            return entry
        if self.is_inside(frame):
            return entry + self.delta
        if frame in self.tables:
            # Behind the image, in the order of their addresses.
            place = self.donor.physical + self.size + sorted(self.tables).index(frame) * raw.PAGE
            return entry - frame + place + self.delta
        return entry

    def relocate(self) -> None:
        names = ["init_top_pgt", "level3_kernel_pgt", "level2_kernel_pgt", "level2_fixmap_pgt"]
        names += ["level4_kernel_pgt"] if self.donor.levels == 5 else []
        for name in names:
            struct.pack_into("<512Q", self.data, self.donor.place(name),
                             *map(self.moved, self.entries(name)))
        place = self.donor.place("phys_base")
        (base,) = struct.unpack_from("<Q", self.data, place)
        struct.pack_into("<Q", self.data, place, (base + self.delta) & (1 << 64) - 1)
        for at in sorted(self.tables):
            self.data += struct.pack("<512Q", *map(self.moved,
                                                   struct.unpack("<512Q", self.tables[at])))


def second_kernel(planter: Planter, at: int) -> int:
    """Copies the donor's kernel to AT, its page tables and phys_base put right; gives its root."""
    donor = planter.donor
    relocation = Relocation(donor, at)
    # It says that memory ends where it does.
    end = planter.kernel.physical + planter.kernel.place("max_pfn")
    struct.pack_into("8s", relocation.data, donor.place("max_pfn"), planter.image.read(end, 8))
    relocation.relocate()
    planter.image.write(at, bytes(relocation.data))
    return at + donor.place("init_top_pgt")


def low_root(planter: Planter, root: int) -> None:
    """A page like the real-mode trampoline's table: its last entry leads to the kernel."""
    page = planter.low_page()
    (entry,) = struct.unpack("<Q", planter.image.read(root + 0xff8, 8))
    planter.image.write(page + 0xff8, struct.pack("<Q", entry))


def is_found(planter: Planter) -> bool:
    """Whether nunchi takes the donor's kernel for the guest's."""
    facts, own = (planter.nunchi.facts(path) for path in (planter.image.path, planter.donor.path))
    return facts.get(("kernel", "banner")) == own[("kernel", "banner")]


def alone(planter: Planter, at: int) -> None:
    """Its first task is the only one: nothing in the image contradicts itself any more."""
    donor = planter.donor
    rows = planter.nunchi.run("type", donor.path, "task_struct", "--json").rows
    tasks = donor.place("init_task") + next(row["offset"] for row in rows
                                            if row["name"] == "tasks")
    address = donor.text + tasks
    planter.image.write(at + tasks, struct.pack("<2Q", address, address))


def decoy_kernel(planter: Planter) -> None:
    for where, at in planter.spots(planter.donor.size + LARGE, LARGE):
        with raw.changed(planter.image):
            root = second_kernel(planter, at)
            planter.judge(f"another kernel {where}", False)
            low_root(planter, root)
            planter.judge(f"another kernel {where}, with a root in low memory", False)
            alone(planter, at)
            planter.judge(f"another kernel {where}, with a root and a task", True)
            planter.image.zero(planter.kernel.physical, planter.kernel.size)
            planter.account.check(is_found(planter), f"the decoy {where} is none: it is not found "
                                  "even where the real kernel is gone")


# ---- Forged notes ------------------------------------------------------------------------------


def note_pages(image: raw.Image) -> list[int]:
    return [at for at in image.find_all(b"OSRELEASE=") if at % raw.PAGE == 0]


def forgeries(note: bytes) -> list[bytes]:
    """The note with other plausible values."""
    def moved(match: re.Match[bytes]) -> bytes:
        return match[1] + b"%x" % (int(match[2], 16) + (32 << 20))

    symbols = re.sub(rb"(SYMBOL\(\w+\)=)([0-9a-f]{16})", moved, note)
    based = re.sub(rb"(NUMBER\(phys_base\)=)-?\d+", rb"\g<1>33554432", note)
    return [symbols, based,
            re.sub(rb"(NUMBER\(phys_base\)=)-?\d+", rb"\g<1>-9223372036854775808", symbols),
            re.sub(rb"(SYMBOL\(\w+\)=)[0-9a-f]+", rb"\g<1>ffffffffffffffff", note),
            re.sub(rb"(KERNELOFFSET=)[0-9a-f]+", rb"\g<1>7fffffffffffffff", note),
            re.sub(rb"OSRELEASE=[^\n]+", b"OSRELEASE=9.9.9-forged", based)]


def plant_notes(planter: Planter) -> bool:
    pages = note_pages(planter.image)
    if not pages:
        return False
    note = planter.image.read(pages[0], raw.PAGE)
    forged = [text[:raw.PAGE].ljust(raw.PAGE, b"\0") for text in forgeries(note)]
    for _where, at in planter.spots(len(forged) * raw.PAGE, raw.PAGE):
        planter.image.write(at, b"".join(forged))
    return True


def decoy_notes(planter: Planter) -> None:
    with raw.changed(planter.image):
        if plant_notes(planter):
            planter.judge("forged VMCOREINFO pages", False)


# ---- Harder: the real thing's quick ways in are gone --------------------------------------------


def wipe_low_roots(planter: Planter) -> None:
    """Zero every low page whose last entry could lead to a kernel."""
    for page in range(0, 1 << 20, raw.PAGE):
        (entry,) = struct.unpack("<Q", planter.image.read(page + 0xff8, 8))
        if entry & PRESENT and entry & FRAME:
            planter.image.zero(page + 0xff8, 8)


def wipe_stack_end(planter: Planter) -> None:
    """Zero the magic at the start of the real .data."""
    place = planter.kernel.physical + planter.kernel.place("init_stack")
    if planter.image.read(place, 8) == STACK_END_MAGIC:
        planter.image.zero(place, 8)


def decoy_without_trampoline(planter: Planter) -> None:
    with raw.changed(planter.image):
        wipe_low_roots(planter)
        planter.judge("no trampoline", False)
    for where, at in planter.spots(planter.donor.size + LARGE, LARGE):
        with raw.changed(planter.image):
            wipe_low_roots(planter)
            second_kernel(planter, at)
            planter.judge(f"no trampoline, another kernel {where}", False)
            alone(planter, at)
            planter.judge(f"no trampoline, another kernel {where}, with a task", True)


def decoy_notes_only(planter: Planter) -> None:
    """VMCOREINFO alone is left to find the kernel by, among forged ones."""
    with raw.changed(planter.image):
        wipe_low_roots(planter)
        wipe_stack_end(planter)
        planter.judge("no trampoline, no stack's end", False)
        if plant_notes(planter):
            planter.judge("no trampoline, no stack's end, forged VMCOREINFO pages", False)


# ---- Texts, files, guests ----------------------------------------------------------------------


def decoy_banners(planter: Planter) -> None:
    text = b"".join(b"Linux version 6.%d.0-fake (a@b) (gcc 12) #1 SMP PREEMPT_DYNAMIC\n\0" % i
                    for i in range(200))
    with raw.changed(planter.image):
        for _where, at in planter.spots(1 << 20, raw.PAGE):
            planter.image.write(at, (text * 80)[:1 << 20])
        planter.judge("banners", False)


def decoy_file(planter: Planter, image: Path) -> None:
    """The vmlinux of a kernel in the page cache, in one piece and from different alignments."""
    data = vmlinux(image)
    data = data[:64 << 20] + bytes(-len(data) % raw.PAGE)
    for align, what in ((LARGE, "on a large page"), (raw.PAGE, "on a page")):
        for where, at in planter.spots(len(data) + LARGE, align):
            with raw.changed(planter.image):
                planter.image.write(at + (raw.PAGE if align == raw.PAGE else 0), data)
                planter.judge(f"a vmlinux in the page cache, {where}, {what}", False)


def copy_guest(planter: Planter, at: int) -> None:
    with raw.opened(planter.donor.path) as source:
        for start, end in source.extents():
            planter.image.write(at + start, source.read(start, end - start))


def decoy_guest(planter: Planter) -> None:
    """The donor's whole memory inside this guest's, as a hypervisor within it would have it."""
    size = planter.donor.path.stat().st_size
    found = False
    for align in (LARGE, raw.PAGE):
        for where, at in planter.spots(size + LARGE, LARGE):
            found = True
            with raw.changed(planter.image):
                copy_guest(planter, at + (0 if align == LARGE else 5 * raw.PAGE))
                planter.judge(f"a guest within the guest, {where}, aligned to {align >> 10} KiB",
                              False)
    if not found:
        planter.account.say("no room for a guest within the guest")


DECOYS: tuple[Callable[[Planter], None], ...] = (
    decoy_kernel, decoy_notes, decoy_without_trampoline, decoy_notes_only, decoy_banners,
    decoy_guest)


def plant(nunchi: Nunchi, account: Account, path: Path, reference: dict[str, Done], donor: Path,
          bzimages: list[Path]) -> None:
    """Plants each decoy in the raw image at PATH in turn; the image is put back each time."""
    with raw.opened(path) as image:
        planter = Planter(nunchi, account, image, reference, donor)
        for decoy in DECOYS:
            decoy(planter)
        for bzimage in bzimages:
            decoy_file(planter, bzimage)


def main() -> int:
    if len(sys.argv) < 4:
        print(__doc__, file=sys.stderr)
        return 2
    nunchi, path, donor = Nunchi(Path(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3])
    account = Account(path.name)
    plant(nunchi, account, path, nunchi.shows(path, VIEWS), donor, list(map(Path, sys.argv[4:])))
    print(f"{account.passed} passed, {account.failed} failed")
    return 1 if account.failed else 0


if __name__ == "__main__":
    sys.exit(main())
