# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files copied into the lab's dom0 with a script, and those copied out of it."""

from __future__ import annotations

import io
import re
import tarfile
from pathlib import Path

import dom0
import packages
import xenhost
from common import LabError, run

PLACE = "usr/lib/x86_64-linux-gnu"


def _libraries(program: Path) -> dict[str, Path]:
    """Libraries that PROGRAM loads on this machine, by name, as ldd says."""
    text = run(["ldd", str(program)], what=f"looking up the libraries of {program}")
    if "not found" in text:
        raise LabError(f"{program} lacks libraries here:\n{text}")
    return {Path(name).name: Path(path) for name, path in
            re.findall(r"^\s*(\S+) => (/\S+)", text, re.MULTILINE)}


def _is_dynamic(path: Path) -> bool:
    return bool(packages.needed(path))


class Bundle:
    """The tar that dom0 unpacks at its root before it runs /job/script."""

    def __init__(self, image: dom0.Image, all_libraries: bool) -> None:
        self.all_libraries = all_libraries
        self.newer = dom0.host_is_newer(image.tree)
        self.there = image.libraries
        self.buffer = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.buffer, mode="w", format=tarfile.GNU_FORMAT)
        self.names: set[str] = set()

    def data(self, name: str, data: bytes) -> None:
        if name in self.names:
            return
        self.names.add(name)
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(data), 0o755
        self.tar.addfile(entry, io.BytesIO(data))

    def program(self, name: str, path: Path) -> None:
        """PATH under the name NAME, with the libraries that dom0 lacks or has older."""
        self.data(name, path.read_bytes())
        if not _is_dynamic(path):
            return
        self._libraries_of(path)
        if not self.all_libraries:
            return
        # Of what it loads when it needs it, what this machine has and dom0 lacks.
        for soname in packages.loaded(path):
            library = dom0.host_library(soname)
            if library and soname not in self.there:
                self.data(f"{PLACE}/{soname}", library.read_bytes())
                self._libraries_of(library)

    def _libraries_of(self, path: Path) -> None:
        for soname, library in _libraries(path).items():
            # The C library and its like cannot be exchanged while programs run.
            if soname not in self.there or (self.newer and soname not in dom0.LIBC):
                self.data(f"{PLACE}/{soname}", library.read_bytes())

    def add(self, path: Path) -> None:
        """A file or directory into /job."""
        if path.is_dir():
            for child in sorted(path.rglob("*")):
                if child.is_file():
                    self.data(f"job/{path.name}/{child.relative_to(path)}", child.read_bytes())
        elif path.is_file():
            self.program(f"job/{path.name}", path)
        else:
            raise LabError(f"{path}: no such file")

    def finish(self) -> bytes:
        self.tar.close()
        return self.buffer.getvalue()


def bundle(image: dom0.Image, script: bytes, nunchi: Path | None, files: list[Path],
           all_libraries: bool) -> bytes:
    """SCRIPT, the command NUNCHI and FILES, with the libraries they need.

    With ALL_LIBRARIES also the 50 MB of libraries that they load only when they need them.
    """
    whole = Bundle(image, all_libraries)
    whole.data("job/script", script)
    if nunchi:
        whole.program("usr/local/bin/nunchi", nunchi)
        # What it starts before it pauses a guest; looked for beside it first.
        guard = nunchi.with_name("nunchi-guard")
        if guard.is_file():
            whole.program("usr/local/bin/nunchi-guard", guard)
    for path in files:
        whole.add(path)
    return whole.finish()


def unpack(pieces: list[xenhost.Piece], target: Path) -> list[str]:
    """The files of dom0's tars into TARGET; their names."""
    target.mkdir(parents=True, exist_ok=True)
    names = []
    for piece in pieces:
        with open(piece.path, "rb") as file:
            file.seek(piece.offset)
            with tarfile.open(fileobj=file, mode="r:") as tar:
                for entry in tar:
                    # What the script left in $OUT, and what it kept by name.
                    entry.name = entry.name.removeprefix("out/")
                    if entry.isfile():
                        tar.extract(entry, target, set_attrs=False, filter="data")
                        names.append(entry.name)
    return names
