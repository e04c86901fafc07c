# SPDX-License-Identifier: LGPL-2.1-or-later
"""A kernel that lacks types or symbols, looked at without some of the files that have them.

What can be known is right; a column that cannot is absent in every row and says why; a view that
cannot be shown is refused with the option that would help.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import compare

from guests.tool import FEW, Account, Done

if TYPE_CHECKING:
    from guests.session import Subject

# A warning in place of a row of each process.
NO_GATE = "it is unknown whether it has the vsyscall page"
Shown = dict[tuple[str, ...], dict[str, Done]]


def subsets(options: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """OPTIONS (pairs of an option and its file) without some of the pairs."""
    pairs = list(zip(options[::2], options[1::2]))
    for count in range(len(pairs)):
        for given in itertools.combinations(pairs, count):
            yield tuple(itertools.chain(*given))


def show(subject: Subject, target: str | Path) -> Shown:
    """All views, with each choice of files but the whole one."""
    return {options: subject.nunchi.shows(target, compare.VIEWS, *options)
            for options in subsets(subject.options)}


def never_known(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    """Columns that are absent in every row, with a reason."""
    if not rows:
        return ()
    return tuple(column for column in rows[0] if all(row.get("absent", {}).get(column)
                                                     for row in rows))


def check_refusal(account: Account, done: Done, form: str, view: str, lacking: list[str]) -> None:
    good = account.check(done.status == 1 and not done.out and "\n  hint: " in done.err and
                         any(option in done.err for option in lacking),
                         f"{form}: {view}: not an error whose hint names one of {lacking}",
                         f"status {done.status}", *done.err.strip().split("\n"))
    account.compared(form, view, 0, 0 if good else 1, 1 if good else 0)


def check_rows(subject: Subject, done: Done, form: str, view: str) -> None:
    result = compare.compare(view, done.rows, subject.a, subject.b, never_known(done.rows))
    wrong = [line for line in result.wrong
             if not (NO_GATE in done.err and ": missing: " in line and "'[vsyscall]'" in line)]
    subject.account.compared(form, view, result.rows, len(wrong))
    subject.account.check(not wrong, f"{form}: {view}: {len(wrong)} wrong of {result.rows} rows",
                          *wrong)


def check(subject: Subject, form: str, shown: Shown) -> None:
    """Compares what show() gave, once both passes of the oracle are there."""
    for options, got in shown.items():
        lacking = [option for option in subject.config.files if option not in options]
        what = f"{form}, no {' '.join(lacking)}"
        for view, done in got.items():
            if done.status:
                check_refusal(subject.account, done, what, view, lacking)
            # A file's symbols are others than those the kernel tells of itself.
            elif view != "symbols" or "--symbols" not in options:
                check_rows(subject, done, what, view)
        if "--types" not in lacking:
            refused = [view for view in FEW if got[view].status]
            subject.account.check(not refused, f"{what}: has types, and yet refused: {refused}")


def run(subject: Subject) -> None:
    """The saved guest; tests/guests/session.py looks at it while it is stopped."""
    for form, path in (("nunchi raw", subject.raw), ("elf", subject.work / "core.elf")):
        check(subject, form, show(subject, path))
