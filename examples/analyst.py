#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""For an analyst: programs of a guest that run without a file, each with its tree of parents.

    examples/analyst.py memory.lime

A process that is no kernel thread and whose executable is deleted was replaced, or never had a file.
"""
import sys

import nunchi


def main() -> None:
    with nunchi.open(sys.argv[1]) as guest, guest.session() as session:
        for note in guest.notes:
            print(f"note: {note}", file=sys.stderr)
        columns = ["pid", "parent", "name", "path", "on_disk", "cmdline"]
        processes = {row.pid: row for row in session.processes(columns=columns)}
        for row in processes.values():
            # An absent cell is false, and is no 0: a kernel thread has no file that could be missing.
            if row.on_disk != 0:
                continue
            # The guest's own words: its processes may be each other's parents.
            line, parent, seen = [], row, set()
            while parent and parent.pid not in seen:
                seen.add(parent.pid)
                line.append(f"{parent.name}[{parent.pid}]")
                parent = processes.get(parent.parent)
            # Names are the guest's own words: ascii() keeps them off the terminal's controls.
            print(ascii(" < ".join(line)), ascii(row.path), ascii(row.cmdline))


if __name__ == "__main__":
    main()
