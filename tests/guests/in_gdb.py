# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs inside gdb, which is connected to "nunchi gdb": prints what gdb sees as JSON.

The variable ORDER, which the caller sets, says what to look at.
"""

from __future__ import annotations

import json

import gdb


def known(frame: gdb.Frame, name: str) -> int | None:
    """A register's value; None if gdb says that it is unavailable."""
    try:
        return int(frame.read_register(name)) & (1 << 64) - 1
    except gdb.error:
        return None


def backtrace(frame: gdb.Frame | None) -> list[str | None]:
    """The functions, innermost first; gdb's reason to stop early ends it as well."""
    names: list[str | None] = []
    while frame is not None and len(names) < 64:
        names.append(frame.name())
        try:
            frame = frame.older()
        except gdb.error:
            break
    return names


def threads(names: list[str], with_frames: bool) -> list[dict]:
    rows = []
    first = gdb.selected_thread()
    for thread in sorted(gdb.selected_inferior().threads(), key=lambda one: one.num):
        thread.switch()
        frame = gdb.newest_frame()
        rows.append({"tid": thread.ptid[1] or thread.ptid[2], "name": thread.name,
                     "backtrace": backtrace(frame) if with_frames else [],
                     **{name: known(frame, name) for name in names}})
    first.switch()
    return rows


def memory(places: list[tuple[int, int]]) -> list[str | None]:
    found: list[str | None] = []
    for address, size in places:
        try:
            found.append(bytes(gdb.selected_inferior().read_memory(address, size)).hex())
        except gdb.MemoryError:
            found.append(None)
    return found


def says(command: str) -> str:
    try:
        return gdb.execute(command, to_string=True)
    except gdb.error as error:
        return f"error: {error}"


def look(order: dict) -> dict:
    return {"threads": threads(order.get("registers", []), order.get("backtraces", False)),
            "memory": memory(order.get("memory", [])),
            "says": {command: says(command) for command in order.get("commands", [])}}


print("<<<" + json.dumps(look(ORDER)) + ">>>")  # noqa: F821
