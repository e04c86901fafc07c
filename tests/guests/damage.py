# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files that are cut, damaged, or no memory image at all: an error that helps, within bounds."""

from __future__ import annotations

import os
import random
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from guests import raw
from guests.tool import Done, no_worse, refused

if TYPE_CHECKING:
    from guests.session import Subject

BOUND = 20.0
MUTATIONS = 60


def right_or_refused(subject: Subject, done: Done, what: str) -> str:
    """The whole truth, a part of it that says so, or an error that helps; nothing else."""
    account, whole = subject.account, subject.reference["processes"]
    if done.status == 1:
        refused(account, done, what)
        return "refused"
    if done.status == 0 and done.out == whole.out:
        account.check(True, what)
        return "whole"
    # Cells that are absent say so; rows that are missing are told of.
    account.check(no_worse(account, done, whole, "pid", what) or "warning:" in done.err,
                  f"{what}: rows are missing, and no warning")
    return "partial"


def odd_files(subject: Subject) -> None:
    """What is no memory image."""
    nunchi, account = subject.nunchi, subject.account
    place = subject.work / "odd"
    place.mkdir()
    rng = random.Random(2)
    (place / "empty").touch()
    (place / "one-byte").write_bytes(b"\x7f")
    (place / "text").write_bytes(b"Linux version 6.1.0\nOSRELEASE=6.1.0\n" * 500)
    (place / "random").write_bytes(rng.randbytes(8 << 20))
    with open(place / "hole", "wb") as hole:
        hole.truncate(1 << 30)
    for magic in (b"\x7fELF", b"KDUMP   ", b"makedumpfile\0", b"EMiL", b"AVML"):
        (place / f"magic-{magic[:4].decode(errors='replace').strip(chr(127))}").write_bytes(
            magic + rng.randbytes(1 << 20))
    os.mkfifo(place / "fifo")
    files = [place, *sorted(place.iterdir()), Path("/dev/null"), Path("/dev/zero"),
             place / "there-is-none"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(place / "socket"))
        for path in files:
            refused(account, nunchi.show(path, "processes", timeout=BOUND), path.name, str(path))
            # It shows what can be said of the file all the same.
            done = nunchi.run("info", path, timeout=BOUND)
            refused(account, Done(done.status, b"", done.err, 0), f"info {path.name}", str(path))
        done = nunchi.run("info", place / "socket", timeout=BOUND)
        account.check(done.status == 2 and "qemu:" in done.err, "a socket", done.first_error)
    shutil.rmtree(place)


def truncated(subject: Subject, path: Path, name: str) -> None:
    """A copy cut ever shorter."""
    copy = subject.work / "cut"
    shutil.copyfile(path, copy) if path.stat().st_size < 1 << 28 else _sparse_copy(path, copy)
    size, outcome = copy.stat().st_size, []
    sizes = [size - 1, size - 4096, size * 9 // 10, size // 2, 64 << 20, 1 << 20, 4097, 100, 1]
    for cut in [cut for cut in sizes if 0 < cut < size]:
        os.truncate(copy, cut)
        done = subject.nunchi.show(copy, "processes", timeout=BOUND)
        result = right_or_refused(subject, done, f"{name} cut to {cut} bytes")
        outcome.append(f"{cut}: {result}")
        # The rows of a raw file, which claims no size, tell by themselves what is missing.
        if result == "partial" and name != "own.raw":
            subject.account.check(": note: " in done.err, f"{name} cut to {cut}: no note of it")
    copy.unlink()
    subject.account.say(f"{name} truncated: {', '.join(outcome)}")


def _sparse_copy(path: Path, copy: Path) -> None:
    """Data only: holes stay holes."""
    with raw.opened(path) as image, open(copy, "wb") as out:
        out.truncate(image.size)
        for start, end in image.extents():
            out.seek(start)
            for at in range(start, end, 1 << 24):
                out.write(image.read(at, min(1 << 24, end - at)))


def mutated(subject: Subject, path: Path, name: str, header: int) -> None:
    """Bytes of the header changed one or a few at a time."""
    rng, outcome = random.Random(3), {"whole": 0, "partial": 0, "refused": 0}
    with raw.opened(path) as image:
        for i in range(MUTATIONS):
            with raw.changed(image):
                for _ in range(1 + i % 3):
                    size = rng.choice((1, 1, 2, 4, 8))
                    data = rng.choice((rng.randbytes(size), b"\xff" * size, bytes(size)))
                    image.write(rng.randrange(header), data)
                done = subject.nunchi.show(path, "processes", timeout=BOUND)
                outcome[right_or_refused(subject, done, f"{name}, mutation {i}")] += 1
    subject.account.say(f"{name}, header damaged {MUTATIONS} times: {outcome}")


def run(subject: Subject) -> None:
    odd_files(subject)
    work = subject.work
    for name, header in (("own.raw", 0), ("core.elf", 64 + 56 * 6), ("kdump-zlib", 4096 * 2),
                         ("kdump-zlib.flat", 4096 * 2), ("own.lime", 96)):
        path = work / name
        if path.exists():
            truncated(subject, path, name)
            if header:
                mutated(subject, path, name, header)
