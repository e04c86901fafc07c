# SPDX-License-Identifier: LGPL-2.1-or-later
"""A kernel whose structures gcc's plugin shuffled: its DWARF has them as they were before.

So no file can tell what lies where: types that do not fit are refused, and without types there is
what needs none. That is right, and each column that needs one is absent with its reason.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import machine
import snapshot
from qmp import Qmp

import compare
from guests.files import never_known
from guests.tool import Done, against_oracle, refused

if TYPE_CHECKING:
    from guests.session import Subject

UNFIT = "do not fit this kernel"


def check_alone(subject: Subject, form: str, view: str, done: Done) -> None:
    """A view with nothing given: refused, or as the guest says."""
    if done.status:
        good = refused(subject.account, done, f"{form}: {view}, nothing given", "--types")
        subject.account.compared(form, view, 0, 0 if good else 1, 1 if good else 0)
    else:
        against_oracle(subject.account, f"{form}, nothing given", {view: done}, subject.a,
                       subject.a, never_known(done.rows))


def look(subject: Subject, form: str, target: str | Path) -> None:
    account, nunchi = subject.account, subject.nunchi
    for view in compare.VIEWS:
        if view == "symbols":
            continue
        check_alone(subject, form, view, nunchi.show(target, view))
        good = refused(account, nunchi.show(target, view, *subject.options),
                       f"{form}: {view}, types that do not fit", UNFIT, subject.options[1])
        account.compared(f"{form}, unfit types", view, 0, 0 if good else 1, 1 if good else 0)
    against_oracle(account, form, nunchi.shows(target, ("symbols",)), subject.a, subject.a)


def run(subject: Subject, guest: machine.Guest) -> None:
    subject.a = compare.Oracle(snapshot.oracle(guest, "a", "--symbols").decode(
        "utf-8", "surrogateescape").splitlines())
    look(subject, "live", f"qemu:{guest.name}")
    with Qmp(guest.control) as qmp:
        qmp.command("stop")
        snapshot.take(guest, qmp, subject.work, subject.config.forms)
    snapshot.finish(subject.work)
    look(subject, "elf", subject.work / "core.elf")
    look(subject, "raw", subject.work / "memory.raw")
