#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who includes whom in src/: the table "Rooms" of docs/architecture.md, enforced.

A row of that table is a folder of src/, and says of which folders its files may include headers. A
name stands for the headers directly in that folder, not for those of its subfolders. The files of
a room may include each other: those of a folder, and those of a subfolder and of the folder above
it; two subfolders of one folder only where the table says so. The public headers
are everybody's, and all that src/cli sees.

Also checked: the table names each folder that there is and none that there is not, rooms do not
permit each other in a circle, headers do not include each other in a circle, the library neither
prints nor exits.
"""
from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
DOCUMENT = ROOT / "docs" / "architecture.md"
INCLUDE = re.compile(r'^\s*#\s*include\s+["<]([^">]+)[">]', re.M)
ROW = re.compile(r"^\| `([a-z0-9/_]+)/` \|.*\|([^|]*)\|$", re.M)
NAME = re.compile(r"`([a-z0-9/_]+)`")
# A library never prints and never exits.
FORBIDDEN = re.compile(
    r"^[^/*\"]*\b(printf|puts|putchar|perror|exit|abort|fprintf\s*\(\s*stderr)\s*\(", re.M)
# Programs, which have to end themselves.
MAY_EXIT = ("cli", "guard")


def folder_of(path: Path) -> str:
    return path.relative_to(SOURCE).parent.as_posix()


def permissions() -> dict[str, set[str]]:
    """Folder → folders whose headers it may include, from the document's table."""
    return {name: set(NAME.findall(cell)) for name, cell in ROW.findall(DOCUMENT.read_text())}


def is_family(folder: str, other: str) -> bool:
    """One folder, or one of them within the other."""
    return folder == other or folder.startswith(other + "/") or other.startswith(folder + "/")


def sources() -> list[Path]:
    return sorted(SOURCE.rglob("*.[ch]"))


def find_circle(graph: dict[str, set[str]]) -> list[str]:
    """Some circle of the graph, its first member again at the end; [] if there is none."""
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name):], name]
        if name in done:
            return []
        for other in sorted(graph.get(name, ())):
            circle = walk(other, [*way, name])
            if circle:
                return circle
        done.add(name)
        return []

    for name in sorted(graph):
        circle = walk(name, [])
        if circle:
            return circle
    return []


def check_table() -> list[str]:
    table = permissions()
    there = {folder_of(path) for path in sources()} - {"."}
    wrong = [f"{DOCUMENT.name}: no row of the rooms is about src/{name}/" for name in
             sorted(there - set(table))]
    wrong += [f"{DOCUMENT.name}: there is no src/{name}/" for name in sorted(set(table) - there)]
    for name, others in sorted(table.items()):
        wrong += [f"{DOCUMENT.name}: src/{name}/ may include {other}, which is in no row"
                  for other in sorted(others - set(table))]
    # A folder and its subfolders are one room.
    rooms: dict[str, set[str]] = {}
    for name, others in table.items():
        room = name.split("/")[0]
        rooms.setdefault(room, set()).update({other.split("/")[0] for other in others} - {room})
    circle = find_circle(rooms)
    if circle:
        wrong.append(f"{DOCUMENT.name}: rooms permit each other in a circle: {' > '.join(circle)}")
    return wrong


def wrong_include(path: Path, name: str, table: dict[str, set[str]]) -> str | None:
    """What is wrong with a file's including that header, if it is one of src/."""
    folder, other = folder_of(path), Path(name).parent.as_posix()
    if not (SOURCE / name).exists() or is_family(folder, other):
        return None
    if other in table.get(folder, ()):
        return None
    return f"{path.relative_to(ROOT)}: src/{folder}/ may not include {name}"


def check_includes() -> list[str]:
    table = permissions()
    wrong = [wrong_include(path, name, table) for path in sources()
             for name in INCLUDE.findall(path.read_text())]
    return [text for text in wrong if text]


def check_circles() -> list[str]:
    graph = {}
    for path in sorted(SOURCE.rglob("*.h")):
        names = INCLUDE.findall(path.read_text())
        graph[path.relative_to(SOURCE).as_posix()] = {n for n in names if (SOURCE / n).exists()}
    circle = find_circle(graph)
    return [f"headers include each other in a circle: {' > '.join(circle)}"] if circle else []


def check_seam() -> list[str]:
    """In view/ only the views themselves know an operating system; what runs them goes by guest.h."""
    generic = [path for path in sources() if folder_of(path) == "view" and
               path.name in ("view.h", "cursor.c", "cursor.h", "moment.c", "moment.h", "registry.c",
                             "row.c", "row.h")]
    return [f"{path.relative_to(ROOT)}: includes {name} of one operating system"
            for path in generic for name in INCLUDE.findall(path.read_text())
            if re.match(r"guest/\w+/", name)]


def check_quiet() -> list[str]:
    return [f"{path.relative_to(ROOT)}: the library calls {match.group(1)}()"
            for path in sources() if folder_of(path).split("/")[0] not in MAY_EXIT
            for match in FORBIDDEN.finditer(path.read_text())]


def main() -> int:
    passed = failed = 0
    for check in (check_table, check_includes, check_seam, check_circles, check_quiet):
        wrong = check()
        for line in wrong:
            print(f"FAILED: {line}")
        passed += not wrong
        failed += bool(wrong)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
