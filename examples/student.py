#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""For a student: the kernel's list of tasks, walked by hand, beside what nunchi says.

    examples/student.py memory.lime
"""
import sys

import nunchi


def main() -> None:
    with nunchi.open(sys.argv[1]) as guest, guest.session(hold=True):
        offset = {member.name: member.bit_offset // 8
                  for member in guest.type("struct task_struct").members}

        def pointer(address: int) -> int:
            return int.from_bytes(guest.read(address, 8), "little")

        # init_task.tasks is the head of a list, whose entries lie in the tasks themselves.
        head = guest.symbol("init_task").address + offset["tasks"]
        # A guest may have any pointer in its list: an entry that was seen before ends it as well.
        own, entry, seen = [], pointer(head), {head}
        while entry not in seen:
            seen.add(entry)
            task = entry - offset["tasks"]
            name = guest.read(task + offset["comm"], 16).partition(b"\0")[0]
            own.append(int.from_bytes(guest.read(task + offset["pid"], 4), "little"))
            print(f"{own[-1]:6} {ascii(name.decode(errors='replace'))} at {task:#x}")
            entry = pointer(entry)
        print("the same as nunchi's:", own == [row.pid for row in guest.processes()])


if __name__ == "__main__":
    main()
