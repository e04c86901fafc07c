# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tests/guests.py and tests/xen.py share: places to work in, how they are ended, their sums."""

from __future__ import annotations

import contextlib
import ctypes
import json
import shutil
import signal
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import cache_root

PR_SET_PDEATHSIG = 1


def place() -> Path:
    """Where the tests keep what they work on."""
    parent = cache_root() / "check"
    parent.mkdir(exist_ok=True)
    return parent


@contextlib.contextmanager
def workplace(name: str, keep: bool) -> Iterator[Path]:
    """A directory of this process, removed in the end unless it is to be kept."""
    work = Path(tempfile.mkdtemp(prefix=f"{name}.{os.getpid()}.", dir=place()))
    try:
        yield work
    finally:
        if keep:
            print(f"  {name}: kept in {work}", flush=True)
        else:
            shutil.rmtree(work, ignore_errors=True)


def clear_places() -> None:
    """Directories of runs that were killed."""
    for work in place().glob("*.*.*"):
        owner = work.name.rsplit(".", 2)[1]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            shutil.rmtree(work, ignore_errors=True)


def end_with_parent() -> None:
    """For a child process: it is told to end when we have ended, however that was."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _interrupt(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def end_in_order() -> None:
    """Signals that end us do it as Ctrl-C does."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _interrupt)


def told(result: dict[str, Any]) -> str:
    """One line on what an Account's result says."""
    rows, wrong = (sum(cell[what] for cell in result["cells"]) for what in ("rows", "wrong"))
    return (f"{result['name']}: {result['passed']} passed, {result['failed']} failed; {rows} rows, "
            f"{wrong} wrong; {result['times']}")


def print_matrix(results: list[dict[str, Any]], title: str) -> None:
    """Rows compared and wrong, and views rightly refused, of each result by form."""
    width = max(len(title), *(len(result["name"]) for result in results))
    print(f"\n{title:<{width}} {'form':<24} {'views':>5} {'rows':>9} {'wrong':>6} {'refused':>7}")
    for result in results:
        forms: dict[str, list[int]] = {}
        for cell in result["cells"]:
            total = forms.setdefault(cell["form"], [0, 0, 0, 0])
            refused = cell.get("refused", 0)
            for i, count in enumerate((1, cell["rows"], cell["wrong"], refused)):
                total[i] += count
        for form, (views, rows, wrong, refused) in forms.items():
            print(f"{result['name']:<{width}} {form:<24} {views:>5} {rows:>9} {wrong:>6} "
                  f"{refused:>7}")


def finish(results: list[dict[str, Any]], title: str, took: str, record: Path) -> int:
    """Prints the sums, the count last; all results go to RECORD. The status to end with."""
    record.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print_matrix(results, title)
    passed, failed, skipped = (sum(result[what] for result in results)
                               for what in ("passed", "failed", "skipped"))
    print(took)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0
