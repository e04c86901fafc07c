# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long `nunchi ps` takes on a saved guest whose kernel needs no file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guests.session import Subject

# The best of so many, since other things run on the machine.
RUNS = 10
LIMIT_MS = 50.0


def run(subject: Subject) -> None:
    spent = []
    for _ in range(RUNS):
        done = subject.nunchi.run("ps", subject.raw)
        subject.account.check(done.status == 0, "ps", done.first_error)
        spent.append(round(done.seconds * 1000, 1))
    subject.account.times["ps, ms"] = min(spent)
    subject.account.check(min(spent) <= LIMIT_MS, f"ps takes more than {LIMIT_MS:.0f} ms",
                          str(sorted(spent)))
