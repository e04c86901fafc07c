# SPDX-License-Identifier: LGPL-2.1-or-later
"""nunchi as the tests run it, and the account of what was found."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import compare

TIMEOUT = 60.0
VIEWS = tuple(compare.VIEWS)
# Each of these is cheap and between them they use most of what is known of a kernel.
FEW = ("processes", "kernel_modules", "kernel_info")
NO_MODULES = "this kernel has no loadable modules"


@dataclasses.dataclass
class Done:
    """How a run of nunchi ended. A status below 0 is the signal that ended it."""

    status: int
    out: bytes
    err: str
    seconds: float
    timed_out: bool = False

    @property
    def rows(self) -> list[dict[str, Any]]:
        text = self.out.decode("utf-8", "surrogateescape")
        return [json.loads(line) for line in text.splitlines()]

    @property
    def first_error(self) -> str:
        """Leaves out what is only told besides."""
        lines = self.err.strip().split("\n")
        return next((line for line in lines if ": note: " not in line), lines[0])[:300]


class Nunchi:
    """The command under test."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *args: str | Path, timeout: float = TIMEOUT) -> Done:
        started = time.monotonic()
        try:
            done = subprocess.run([self.path, *args], stdin=subprocess.DEVNULL,
                                  capture_output=True, timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            return Done(-1, b"", f"no end within {timeout:.0f} s", timeout, True)
        return Done(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"),
                    time.monotonic() - started)

    def show(self, target: str | Path, view: str, *options: str | Path,
             timeout: float = TIMEOUT) -> Done:
        return self.run("show", target, view, "--json", *options, timeout=timeout)

    def shows(self, target: str | Path, views: tuple[str, ...],
              *options: str | Path) -> dict[str, Done]:
        return {view: self.show(target, view, *options) for view in views}

    def facts(self, target: str | Path, *options: str | Path) -> dict[tuple[str, str], str]:
        """What `info` says: (topic, name) -> value."""
        return {(row["topic"], row["name"]): row["value"]
                for row in self.run("info", target, "--json", *options).rows}

    def address(self, target: str | Path, symbol: str, *options: str | Path) -> int:
        return int(self.run("symbol", target, symbol, "--json", *options).rows[0]["address"], 16)

    def physical(self, target: str | Path, address: int, *options: str | Path) -> int:
        rows = self.run("translate", target, hex(address), "--json", *options).rows
        return int(rows[-1]["physical"], 16)


class Account:
    """What one guest's tests found; prints as it goes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.passed = self.failed = self.skipped = 0
        self.cells: list[dict[str, Any]] = []
        self.times: dict[str, float] = {}

    def tell(self, line: str) -> None:
        print(line, flush=True)

    def say(self, text: str) -> None:
        self.tell(f"  {self.name}: {text}")

    def check(self, good: bool, what: str, *details: str) -> bool:
        if good:
            self.passed += 1
            return True
        self.failed += 1
        self.say(f"FAILED {what}")
        for detail in details[:12]:
            self.tell(f"      {detail[:900]}")
        return False

    def skip(self, what: str) -> None:
        self.skipped += 1
        self.say(f"skipped: {what}")

    def compared(self, form: str, view: str, rows: int, wrong: int, refused: int = 0) -> None:
        """REFUSED: 1 for a view that was rightly not shown."""
        self.cells.append({"form": form, "view": view, "rows": rows, "wrong": wrong,
                           "refused": refused})

    @contextlib.contextmanager
    def timed(self, what: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            spent = self.times.get(what, 0.0) + time.monotonic() - started
            self.times[what] = round(spent, 1)

    def result(self) -> dict[str, Any]:
        return {"name": self.name, "passed": self.passed, "failed": self.failed,
                "skipped": self.skipped, "cells": self.cells, "times": self.times}


def good_run(account: Account, done: Done, what: str) -> bool:
    return account.check(done.status == 0, f"{what}: ends with {done.status}", done.first_error)


def refused(account: Account, done: Done, what: str, *says: str) -> bool:
    """A failure that says what is wrong and what to do next."""
    missing = [text for text in says if text not in done.err]
    return account.check(done.status == 1 and not done.out and "\n  hint: " in done.err and
                         not missing, f"{what}: an error with a hint, saying {says}",
                         f"status {done.status}", *done.err.strip().split("\n"))


def without_registers(view: str, out: bytes) -> list[bytes]:
    """The lines without those that say which registers this form has."""
    return [line for line in out.splitlines()
            if view != "findings" or not compare.is_about_registers(json.loads(line))]


def identical(account: Account, form: str, got: dict[str, Done], first: dict[str, Done]) -> None:
    """The same bytes in every view as from another form of the same moment."""
    for view, done in got.items():
        want = first[view]
        got_lines, lines = (without_registers(view, one.out) for one in (done, want))
        same = done.status == 0 and got_lines == lines
        account.compared(form, view, len(got_lines),
                         0 if same else max(1, len(set(got_lines) ^ set(lines))))
        account.check(same, f"{form}: {view} is not what the first form gives",
                      f"status {done.status}, {len(got_lines)} rows against {len(lines)}",
                      done.first_error, *first_difference(got_lines, lines))


def cells_against(row: dict[str, Any], full: dict[str, Any]) -> list[str]:
    """Where a row says something else than the full one, and does not say that it is absent."""
    absent, raw = row.get("absent", {}), row.get("raw", {})
    known = [column for column in full if column not in ("absent", "raw", "torn")
             and not absent.get(column)]
    return [f"{column}: {row.get(column)!r}, not {full[column]!r}" for column in known
            if row.get(column) != full[column]
            or raw.get(column) != full.get("raw", {}).get(column)]


def no_worse(account: Account, done: Done, whole: Done, key: str, what: str) -> bool:
    """Rows of the whole alone, in which what is not known is absent; True if there are all."""
    want = {row[key]: row for row in whole.rows}
    bad = [difference for row in done.rows
           for difference in (cells_against(row, want[row[key]]) if row[key] in want
                              else [f"no such row: {row}"])]
    account.check(done.status == 0 and not bad, f"{what}: {len(bad)} cells are wrong",
                  done.first_error, *bad)
    return len(done.rows) == len(want)


def lost(row: dict[str, Any], full: dict[str, Any]) -> list[str]:
    """Cells of the full row that are absent, and not for want of a page."""
    before = full.get("absent", {})
    return [f"{column}: {why}" for column, why in row.get("absent", {}).items()
            if why not in ("not saved", before.get(column))]


def variables_against(rows: list[dict[str, Any]], whole: list[dict[str, Any]]) -> list[str]:
    """What is left of a process's variables may be any part of them."""
    pids = {row["pid"] for row in whole}
    texts = {(row["pid"], row["key"], row["value"]) for row in whole}
    return [str(row) for row in rows
            if row["pid"] not in pids or ((row["pid"], row["key"], row["value"]) not in texts
                                          and (lost(row, {}) or not row.get("absent")))]


def incomplete(account: Account, form: str, got: dict[str, Done], first: dict[str, Done]) -> None:
    """The rows of another form of the same moment, of which some pages were not saved."""
    for view, done in got.items():
        rows, whole = done.rows, first[view].rows
        if view == "process_envs":
            wrong = variables_against(rows, whole)
        elif view == "findings":
            wrong = [str(row) for row in rows if row["severity"] in ("warning", "alarm")]
        else:
            wrong = [text for row, full in zip(rows, whole)
                     for text in cells_against(row, full) + lost(row, full)]
            wrong += [f"{len(rows)} rows, not {len(whole)}"] * (len(rows) != len(whole))
        account.compared(form, view, len(rows), len(wrong))
        account.check(done.status == 0 and not wrong, f"{form}: {view} is not a part of the first",
                      done.first_error, *wrong)


def first_difference(got: list[bytes], want: list[bytes]) -> list[str]:
    for one, other in zip(got, want):
        if one != other:
            return [f"got  {one!r}", f"want {other!r}"]
    return []


def against_oracle(account: Account, form: str, got: dict[str, Done], a: compare.Oracle,
                   b: compare.Oracle, ignored: tuple[str, ...] = (),
                   frozen: bool = False) -> None:
    """Every row of every view against the guest's own word."""
    for view, done in got.items():
        if not good_run(account, done, f"{form}: {view}"):
            account.compared(form, view, 0, 1)
            continue
        result = compare.compare(view, done.rows, a, b, ignored, frozen)
        account.compared(form, view, result.rows, len(result.wrong))
        none = view == "kernel_modules" and not a.rows[view] and NO_MODULES in done.err
        account.check(not result.wrong and (result.rows > 0 or none),
                      f"{form}: {view}: {len(result.wrong)} wrong of {result.rows} rows",
                      *result.wrong)
