#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""For an operator: a line on each guest of this host.

    examples/operator.py
"""
import sys
from typing import Any

import nunchi

MOST_MS = 500


def cells(session: nunchi.Session, view: str, column: str) -> list[Any]:
    """One column of a view, or what of it is read within MOST_MS of a guest without an end."""
    rows = session.query(view, columns=[column], max_ms=MOST_MS)
    found = [row[column] for row in rows]
    for warning in rows.warnings:
        print(f"{session.guest.target}: {view}: {warning}", file=sys.stderr)
    return found


def told(target: str) -> str:
    # Never paused. MOST_MS bounds each of the three queries, not the search for the kernel before.
    with nunchi.open(target, pause="never") as guest, guest.session() as session:
        name = next(iter(cells(session, "system_info", "hostname")), None)
        uptime = next(iter(cells(session, "uptime", "total_seconds")), None)
        count = len(cells(session, "processes", "pid"))
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
