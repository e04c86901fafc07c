# SPDX-License-Identifier: LGPL-2.1-or-later
"""A raw memory image (offset = physical address) that is changed and put back."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

PAGE = 4096
PUNCH_HOLE, KEEP_SIZE = 2, 1
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


class Image:
    """The file at PATH, writable; what is written is undone by restore()."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self.size = os.fstat(self.fd).st_size
        self.undo: list[tuple[int, bytes]] = []

    def close(self) -> None:
        os.close(self.fd)

    def read(self, offset: int, size: int) -> bytes:
        return os.pread(self.fd, size, offset)

    def write(self, offset: int, data: bytes) -> None:
        self.undo.append((offset, self.read(offset, len(data))))
        view, done = memoryview(data), 0
        while done < len(data):
            done += os.pwrite(self.fd, view[done:], offset + done)

    def zero(self, offset: int, size: int) -> None:
        self.write(offset, bytes(size))

    def restore(self) -> None:
        while self.undo:
            offset, data = self.undo.pop()
            if any(data) or LIBC.fallocate(self.fd, PUNCH_HOLE | KEEP_SIZE, offset, len(data)):
                os.pwrite(self.fd, data, offset)

    def extents(self) -> Iterator[tuple[int, int]]:
        """Where the file has data: (start, end)."""
        at = 0
        while at < self.size:
            try:
                start = os.lseek(self.fd, at, os.SEEK_DATA)
            except OSError:
                return
            at = os.lseek(self.fd, start, os.SEEK_HOLE)
            yield start, at

    def find_all(self, text: bytes) -> list[int]:
        """Every offset of TEXT in the file's data."""
        found = []
        with mmap.mmap(self.fd, self.size, access=mmap.ACCESS_READ) as memory:
            for start, end in self.extents():
                at = memory.find(text, start, end)
                while at >= 0:
                    found.append(at)
                    at = memory.find(text, at + 1, end)
        return found

    def free_space(self, size: int, align: int, start: int = 0) -> int | None:
        """An aligned run of SIZE zero bytes at or after START that is a hole of the file."""
        at = start
        for first, last in [*self.extents(), (self.size, self.size)]:
            aligned = (at + align - 1) // align * align
            if aligned + size <= first:
                return aligned
            at = max(at, last)
        return None


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Image]:
    image = Image(path)
    try:
        yield image
    finally:
        image.restore()
        image.close()


@contextlib.contextmanager
def changed(image: Image) -> Iterator[Image]:
    """Changes made inside are undone at the end."""
    try:
        yield image
    finally:
        image.restore()
