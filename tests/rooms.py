#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The order of the rooms: a room includes only rooms above it, and src/cli only the public header.

Also that no mutable global state and no printing or exiting crept into the library.
"""
import pathlib
import re
import sys

ROOMS = ["core", "journal", "arch", "memory", "target", "guard", "symbols", "guest", "event", "view", "probe",
         "output", "doctor", "api", "cli"]
# The doctor is a library of its own: its rooms, with what each may include beside itself and core.
DOCTOR = {"facts": set(), "story": {"facts"}, "change": {"facts"}, "verdict": {"facts", "story"}}
SOURCE = pathlib.Path(__file__).resolve().parent.parent / "src"
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
# Calls that a library must not make: it never prints, never exits.
FORBIDDEN = re.compile(r"^[^/*\"]*\b(printf|puts|putchar|perror|exit|abort|fprintf\s*\(\s*stderr)\s*\(", re.M)


def room_of(path: pathlib.Path) -> str:
    return path.relative_to(SOURCE).parts[0]


def wrong_in_doctor(path: pathlib.Path, name: str) -> bool:
    """Whether a file of the doctor includes what its room may not; files outside its rooms may all."""
    other = name.split("/")
    if other[0] == "core":
        return False
    room = path.relative_to(SOURCE / "doctor").parts[0]
    if room not in DOCTOR:
        return other[0] != "doctor"
    return other[0] != "doctor" or (len(other) > 2 and other[1] not in {room} | DOCTOR[room])


def wrong_includes(path: pathlib.Path) -> list[str]:
    room = room_of(path)
    wrong = []
    for name in INCLUDE.findall(path.read_text()):
        other = name.split("/")[0]
        if other not in ROOMS:
            if "/" in name:
                wrong.append(f"{path}: includes {name}, which is in no room")
            continue
        if room == "doctor":
            if wrong_in_doctor(path, name):
                wrong.append(f"{path}: may not include {name}")
        elif other == "doctor":
            wrong.append(f"{path}: the doctor is a library of its own: {name}")
        elif room == "cli" and other != "cli":
            wrong.append(f"{path}: the command may use the public header alone, not {name}")
        elif ROOMS.index(other) > ROOMS.index(room):
            wrong.append(f"{path}: {room} may not include {name}: {other} is below it")
    return wrong


def check_rooms() -> list[str]:
    unknown = {p.name for p in SOURCE.iterdir() if p.is_dir()} - set(ROOMS)
    wrong = [f"src/{name} is not a room of the design" for name in sorted(unknown)]
    for path in sorted(SOURCE.rglob("*.[ch]")):
        wrong += wrong_includes(path)
    return wrong


def check_quiet() -> list[str]:
    wrong = []
    for path in sorted(SOURCE.rglob("*.c")):
        # The guard is a process of its own, which has to end itself.
        if room_of(path) in ("cli", "guard"):
            continue
        for match in FORBIDDEN.finditer(path.read_text()):
            wrong.append(f"{path}: the library calls {match.group(1)}()")
    return wrong


def main() -> int:
    passed = failed = 0
    for check in (check_rooms, check_quiet):
        wrong = check()
        for line in wrong:
            print(line)
        passed += not wrong
        failed += bool(wrong)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
