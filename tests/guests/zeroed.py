# SPDX-License-Identifier: LGPL-2.1-or-later
"""A saved guest without VMCOREINFO, without BTF, without kallsyms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from guests import raw
from guests.tool import FEW, identical, no_worse, refused

if TYPE_CHECKING:
    from guests.session import Subject

# A kernel's own token of every digit, one after another: kallsyms_token_table.
DIGITS = b"\0".join(b"%d" % digit for digit in range(10)) + b"\0"
# The table is shorter than this to either side of the digits, and so is what follows it.
TABLE_PART = 0x300
NOTE_START = b"\x0b\0\0\0"


def views(subject: Subject) -> tuple[str, ...]:
    return FEW if subject.options else subject.views


def show_identical(subject: Subject, what: str, *options: str | Path) -> None:
    got = subject.nunchi.shows(subject.raw, views(subject), *subject.options, *options)
    identical(subject.account, what, got, subject.reference)


def without_vmcoreinfo(subject: Subject, image: raw.Image) -> None:
    """Zero each page that begins with VMCOREINFO's first line, or with a note that holds it."""
    pages = {at & -raw.PAGE for at in image.find_all(b"OSRELEASE=")
             if at % raw.PAGE == 0 or image.read(at & -raw.PAGE, 4) == NOTE_START}
    if not subject.account.check(len(pages) > 0, "no VMCOREINFO in the image"):
        return
    with raw.changed(image):
        for page in pages:
            image.zero(page, raw.PAGE)
        show_identical(subject, "no VMCOREINFO")


def without_btf(subject: Subject, image: raw.Image) -> None:
    """Zero the kernel's types; the same blob, cut out before, makes up for it."""
    nunchi, account = subject.nunchi, subject.account
    start = nunchi.address(subject.raw, "__start_BTF")
    size = nunchi.address(subject.raw, "__stop_BTF") - start
    physical = nunchi.physical(subject.raw, start)
    blob = subject.work / "types.btf"
    nunchi.run("read", subject.raw, hex(start), str(size), "-o", blob)
    if not account.check(blob.exists() and blob.read_bytes() == image.read(physical, size),
                         "read: the BTF blob is not what lies in the file"):
        return
    with raw.changed(image):
        image.zero(physical, size)
        refused(account, nunchi.show(subject.raw, "processes"), "no BTF: processes",
                "BTF", "--types")
        facts = nunchi.facts(subject.raw)
        account.check("BTF" in facts.get(("missing", "types"), ""), "no BTF: info does not say so",
                      str(facts))
        account.check(("kernel", "banner") in facts, "no BTF: info names no kernel", str(facts))
        show_identical(subject, "no BTF, --types", "--types", blob)


def kernel_range(subject: Subject) -> tuple[int, int]:
    """Physical range of the kernel's image."""
    nunchi, options = subject.nunchi, subject.options
    text = nunchi.address(subject.raw, "_text", *options)
    end = nunchi.address(subject.raw, "_end", *options)
    physical = nunchi.physical(subject.raw, text, *options)
    return physical, physical + end - text


def symbol_files(subject: Subject) -> list[tuple[str, Path]]:
    """The guest's /proc/kallsyms as text, and the same as a System.map of an unmoved kernel."""
    rows = [(int(row["address"]), row["type"], row["name"]) for row in subject.a.rows["symbols"]]
    text = next(address for address, _letter, name in rows if name == "_text")
    linked = 0xc1000000 if subject.config.is_32bit else 0xffffffff81000000
    plain = subject.work / "kallsyms.txt"
    plain.write_text("".join(f"{address:016x} {letter} {name}\n" for address, letter, name in rows),
                     encoding="utf-8")
    moved = [(address - (text - linked if address >= text else 0), letter, name)
             for address, letter, name in rows]
    unmoved = subject.work / "System.map.unmoved"
    unmoved.write_text("".join(f"{address:016x} {letter} {name}\n" for address, letter, name
                               in moved), encoding="utf-8")
    return [("/proc/kallsyms", plain), ("System.map", unmoved)]


def without_kallsyms(subject: Subject, image: raw.Image) -> None:
    """Zero the table of tokens, without which no name can be decoded."""
    nunchi, account = subject.nunchi, subject.account
    first, last = kernel_range(subject)
    places = [at for at in image.find_all(b"\0" + DIGITS) if first <= at < last]
    if not account.check(len(places) > 0, "no table of tokens in the kernel's image"):
        return
    files = symbol_files(subject)
    with raw.changed(image):
        for place in places:
            image.zero(place - TABLE_PART, 2 * TABLE_PART)
        refused(account, nunchi.show(subject.raw, "symbols"), "no kallsyms: symbols",
                "symbols", "--symbols")
        facts = nunchi.facts(subject.raw)
        account.check(("missing", "symbols") in facts, "no kallsyms: info does not say so",
                      str(facts))
        done = nunchi.show(subject.raw, "processes")
        if done.status:
            refused(account, done, "no kallsyms: processes", "--symbols")
        else:
            # The first task is found by its shape.
            account.check(no_worse(account, done, subject.reference["processes"], "pid",
                                   "no kallsyms: processes"), "no kallsyms: rows are missing")
        for name, path in files:
            show_identical(subject, f"no kallsyms, --symbols {name}", "--symbols", path)


def run(subject: Subject) -> None:
    with raw.opened(subject.raw) as image:
        without_vmcoreinfo(subject, image)
        # A 32-bit kernel of Debian's has no BTF, and its types are from a file already.
        if not subject.config.is_32bit:
            without_btf(subject, image)
            without_kallsyms(subject, image)
    subject.account.check(not image.undo, "the image was not put back")
