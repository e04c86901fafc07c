#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""For an operator: a line on each guest of this host.

    examples/operator.py
"""
import nunchi


def told(target: str) -> str:
    # Never paused; half a second at most, whatever a broken guest makes of it.
    with nunchi.open(target, pause="never") as guest, guest.session() as session:
        name = next(session.system_info(columns=["hostname"])).hostname
        uptime = next(session.uptime()).total_seconds
        count = sum(1 for _ in session.processes(columns=["pid"], max_ms=500))
    return f"{ascii(name)}, {count} processes, up for {uptime} s"


def main() -> None:
    for found in nunchi.list():
        try:
            print(f"{found.target}: {told(found.target)}")
        except nunchi.Error as error:
            print(f"{found.target}: {error}")
            if error.hint:
                print(f"  hint: {error.hint}")


if __name__ == "__main__":
    main()
