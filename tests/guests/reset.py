# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that was reset and stands at the reset vector: its memory still has the kernel."""

from __future__ import annotations

from pathlib import Path

import machine
from qmp import Qmp

from guests.tool import FEW, Account, Done, Nunchi, refused

SAYS = "no kernel runs: vCPU 0 is at 0xfff0, paging off"


def marked(account: Account, form: str, got: dict[str, Done], before: dict[str, Done]) -> None:
    """With --remains the rows are those of before, each with the mark, and a note says why."""
    for view, done in got.items():
        rows = done.rows
        account.check(done.status == 0 and f": note: {SAYS}" in done.err,
                      f"{form}: {view} --remains: no note", f"status {done.status}", done.err)
        account.check(all(row.pop("remains", False) is True for row in rows),
                      f"{form}: {view} --remains: rows without the mark")
        account.check(bool(rows) and rows == before[view].rows,
                      f"{form}: {view} --remains: not the rows of before the reset",
                      f"{len(rows)} rows against {len(before[view].rows)}")


def look(nunchi: Nunchi, account: Account, form: str, target: str | Path,
         before: dict[str, Done]) -> None:
    for view in FEW:
        refused(account, nunchi.show(target, view), f"{form}: {view}", SAYS, "--remains")
    for args in (("ps", target), ("log", target), ("symbol", target, "init_task")):
        refused(account, nunchi.run(*args), f"{form}: {args[0]}", SAYS, "--remains")
    facts = nunchi.facts(target)
    account.check(SAYS in facts.get(("missing", "kernel"), ""), f"{form}: info", str(facts))
    marked(account, form, nunchi.shows(target, FEW, "--remains"), before)
    facts = nunchi.facts(target, "--remains")
    account.check(facts.get(("kernel", "runs"), "").startswith("no: "),
                  f"{form}: info --remains", str(facts))


def run(nunchi: Nunchi, account: Account, guest: machine.Guest, work: Path) -> None:
    """Ends with the guest reset and stopped."""
    target = f"qemu:{guest.name}"
    with Qmp(guest.control) as qmp:
        qmp.command("set-action", reboot="reset")
        qmp.command("stop")
        # The option changes nothing of a guest whose kernel runs.
        before = nunchi.shows(target, FEW, "--remains")
        account.check(all(done.status == 0 and not done.err for done in before.values()) and
                      not any("remains" in row for done in before.values() for row in done.rows),
                      "--remains with a kernel that runs", *(done.err for done in before.values()))
        qmp.command("system_reset")
        qmp.command("dump-guest-memory", timeout=300.0, paging=False,
                    protocol=f"file:{work / 'reset.elf'}")
    look(nunchi, account, "reset", target, before)
    look(nunchi, account, "reset, saved by QEMU", work / "reset.elf", before)
    done = nunchi.run("snapshot", target, work / "reset-own.elf")
    account.check(done.status == 0, "reset: snapshot", done.first_error)
    look(nunchi, account, "reset, saved by nunchi", work / "reset-own.elf", before)
    for name in ("reset.elf", "reset-own.elf"):
        (work / name).unlink()
