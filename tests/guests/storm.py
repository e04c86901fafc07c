# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that forks and exits as fast as it can: no row may mix two of its processes."""

from __future__ import annotations

import collections
import re
from typing import Any

import machine

from guests.tool import Account, Done, Nunchi

SECONDS = 150
RUNS = 210
ENVIRONMENT_RUNS = 30
MODES = ("never", "auto", "always")
# What a child of tests/oracle/forkstorm.c changes, in the order in which it does.
STEPS = ("name", "cmdline", "gid", "uid")
NUMBER = re.compile(r"^(?:storm[- ]|storm )(\d{6})$")


def numbers(row: dict[str, Any]) -> dict[str, int | None]:
    """What each step shows: a child's number, or None for the parent's value."""
    out: dict[str, int | None] = {}
    for column in ("name", "cmdline"):
        match = NUMBER.match(row[column] or "")
        out[column] = int(match[1]) if match else None
    for column in ("uid", "euid", "gid", "egid"):
        out[column] = row[column] if (row[column] or 0) >= 100000 else None
    return out


def is_mixed(shown: dict[str, int | None]) -> bool:
    return len({value for value in shown.values() if value is not None}) > 1


def is_out_of_step(row: dict[str, Any], shown: dict[str, int | None]) -> bool:
    """A later step done and an earlier one not: no moment of a child shows that."""
    steps = [shown[column] is not None for column in STEPS if row[column] is not None]
    return any(later and not earlier for earlier, later in zip(steps, steps[1:]))


class Count:
    def __init__(self) -> None:
        self.rows = self.children = self.torn = self.mixed = self.steps = self.lost = 0
        self.warnings: collections.Counter[str] = collections.Counter()
        self.examples: list[str] = []
        self.slowest = 0.0

    def __str__(self) -> str:
        return (f"{self.rows} rows, {self.children} of children, {self.torn} torn, "
                f"{self.mixed} mixed, {self.steps} out of step, {self.lost} runs that lost a "
                f"lasting process, slowest {self.slowest:.2f} s; "
                f"warnings: {dict(self.warnings)}")


def count_processes(count: Count, done: Done, lasting: set[int]) -> None:
    count.slowest = max(count.slowest, done.seconds)
    rows = done.rows
    for line in done.err.splitlines():
        count.warnings[re.sub(r"\d+", "N", line.split("warning: ")[-1])] += 1
    lost = lasting - {row["pid"] for row in rows}
    if lost:
        count.lost += 1
        count.examples.append(f"{len(rows)} rows, without {sorted(lost)[:20]}: {done.first_error}")
    for row in rows:
        shown = numbers(row)
        count.rows += 1
        count.children += shown["name"] is not None
        if row.get("torn"):
            count.torn += 1
        elif is_mixed(shown):
            count.mixed += 1
            count.examples.append(str(row))
        elif is_out_of_step(row, shown):
            count.steps += 1
            count.examples.append(str(row))


def run_processes(nunchi: Nunchi, account: Account, target: str, lasting: set[int]) -> None:
    counts = {mode: Count() for mode in MODES}
    bad_ends = []
    for i in range(RUNS):
        mode = MODES[i % len(MODES)]
        done = nunchi.show(target, "processes", "--pause", mode, timeout=30)
        if done.status:
            bad_ends.append(f"--pause {mode}: {done.status} {done.first_error}")
            continue
        count_processes(counts[mode], done, lasting)
    account.check(not bad_ends, f"{len(bad_ends)} of {RUNS} runs failed", *bad_ends)
    for mode, count in counts.items():
        account.say(f"storm, --pause {mode}: {count}")
        account.compared(f"storm {mode}", "processes", count.rows, count.mixed)
        account.check(not count.mixed, f"--pause {mode}: rows that mix two processes",
                      *count.examples)
        account.check(count.children > 100, f"--pause {mode}: only {count.children} children seen")
        account.check(not count.lost, f"--pause {mode}: rows are missing", *count.examples)
    # Paused, each row is one moment of its process.
    account.check(not counts["always"].steps, "--pause always: rows of no moment",
                  *counts["always"].examples)
    account.check(not counts["always"].torn, "--pause always: torn rows")


def run_environments(nunchi: Nunchi, account: Account, target: str) -> None:
    """One variable a process, STORM: its number, or "parent"."""
    bad, torn, rows, children = [], 0, 0, 0
    for i in range(ENVIRONMENT_RUNS):
        done = nunchi.show(target, "process_envs", "--pause", MODES[i % len(MODES)], timeout=30)
        if done.status:
            bad.append(f"ends with {done.status}: {done.first_error}")
            continue
        for row in done.rows:
            rows += 1
            torn += bool(row.get("torn"))
            if row["key"] != "STORM" or row.get("torn"):
                continue
            children += row["value"] != "parent"
            if row["value"] != "parent" and not re.fullmatch(r"\d{6}", row["value"] or ""):
                bad.append(str(row))
    account.say(f"storm, process_envs: {rows} rows, {children} of children, {torn} torn")
    account.compared("storm", "process_envs", rows, len(bad))
    account.check(not bad and children > 10, "process_envs: failed runs or half-written values",
                  *bad)


def run(nunchi: Nunchi, account: Account, guest: machine.Guest) -> None:
    target = f"qemu:{guest.name}"
    # Threads of the kernel but those that come and go with its work.
    lasting = {row["pid"] for row in nunchi.show(target, "processes").rows
               if not row["name"].startswith("kworker")}
    machine.execute(guest, f"forkstorm {SECONDS} 2 </dev/null >/dev/null 2>&1 &")
    run_processes(nunchi, account, target, lasting)
    run_environments(nunchi, account, target)
    alive = machine.execute(guest, "pidof storm || echo none").split()
    account.check(alive != [b"none"], "the storm ended before the test did")
