# SPDX-License-Identifier: LGPL-2.1-or-later
"""A saved guest without one of the pages that a view reads, or with one word of them changed: no row
is lost in silence."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guests.session import Subject

# For all views together; where a view reads more pages than there is time for, it is a sample.
SECONDS = 24
# The same for changing words.
WORD_SECONDS = 12
# A view, or a check of the view `findings`.
LINE = re.compile(r"^(\w+(?:, \w+)?): (\d+) rows, (\d+) of (\d+) pages taken out, "
                  r".* (\d+) in silence$", re.M)


def faults_of(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines that say a fault, or that a view had one; the accounts of the other views are long."""
    return [line for line in (done.stdout + done.stderr).splitlines()
            if not line.endswith(" 0 in silence") and not line.startswith("  and ")]


def run(subject: Subject) -> None:
    account = subject.account
    tool = subject.nunchi.path.parent / "tests" / "partial_dump"
    options = dict(zip(subject.options[::2], subject.options[1::2]))
    files = [options["--types"], options["--symbols"]] if options else []
    done = subprocess.run([tool, subject.raw, str(SECONDS), *files], capture_output=True, text=True,
                          errors="replace", timeout=SECONDS * 10, check=False)
    account.check(done.returncode == 0, "a page less", *faults_of(done))
    tried = {match[1]: int(match[3]) for match in LINE.finditer(done.stdout)}
    account.check({name.split(",")[0] for name in tried} >= set(subject.views),
                  "a page less: not every view was tried", f"{sorted(tried)}")
    for name, count in tried.items():
        # A raw file has no registers, so that this check reads nothing.
        if name.split(",")[0] in subject.views and name != "findings, registers":
            account.check(count > 0, f"a page less: no page of {name} was taken out")
    done = subprocess.run([tool, "words", subject.raw, str(WORD_SECONDS), *files],
                          capture_output=True, text=True, errors="replace",
                          timeout=WORD_SECONDS * 20, check=False)
    account.check(done.returncode == 0, "a word changed", *faults_of(done))
    changed = sum(int(count) for count in re.findall(r"(\d+) of \d+ words changed", done.stdout))
    account.say(f"{changed} words changed, one at a time")
    account.check(changed > 0, "a word changed: none was")
