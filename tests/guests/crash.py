# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest whose kernel panicked and whose crash kernel runs: two kernels in one memory."""

from __future__ import annotations

import re
from pathlib import Path

import machine
import snapshot
from qmp import Qmp

from guests.tool import FEW, Account, Done, Nunchi, good_run, identical, refused

ARGUMENTS = ("console=ttyS0 quiet panic=1 tsc=nowatchdog no_timer_check nr_cpus=1 "
             "nunchi.hostname=crash nunchi.marker=crash")
# On vCPU 1, so that vCPU 0 is left behind in the kernel that panics.
PANIC = "(sleep 1; taskset 2 sh -c 'echo c >/proc/sysrq-trigger') >/dev/null 2>&1 </dev/null &"


def place(nunchi: Nunchi, target: str | Path, *options: str) -> str:
    """The physical address of the kernel that is shown."""
    found = re.search(r"physical (0x[0-9a-f]+)", nunchi.facts(target, *options)[("kernel", "image")])
    return found[1] if found else ""


def panic(guest: machine.Guest) -> None:
    """Until the crash kernel has booted."""
    machine.execute(guest, f"loadcrash /root/vmlinuz /root/initrd '{ARGUMENTS}'")
    position = guest.output.stat().st_size
    machine.execute(guest, PANIC)
    machine.Frames(guest, position).wait("0", 120.0, "booting the crash kernel")


def arguments(done: dict[str, Done]) -> str:
    return str(done["kernel_info"].rows[0]["arguments"])


def look(nunchi: Nunchi, account: Account, form: str, target: str | Path,
         crashed: str) -> tuple[dict[str, Done], dict[str, Done]]:
    """What is shown of the crash kernel, and of the one that crashed."""
    got = nunchi.shows(target, FEW)
    for view, done in got.items():
        if good_run(account, done, f"{form}: {view}"):
            account.check(f"another kernel, at physical {crashed} (" in done.err,
                          f"{form}: {view}: no word of the other kernel", done.err)
    account.check("elfcorehdr=" in arguments(got), f"{form}: not the crash kernel's arguments",
                  arguments(got))
    own = place(nunchi, target)
    account.check(own not in ("", crashed), f"{form}: the crash kernel is at {own}")
    chosen = nunchi.shows(target, FEW, "--kernel", crashed)
    account.check(place(nunchi, target, "--kernel", own) == own, f"{form}: --kernel {own}")
    refused(account, nunchi.run("ps", target, "--kernel", "0x400000"), f"{form}: --kernel 0x400000",
            "no Linux kernel is at physical 0x400000")
    return got, chosen


def run(nunchi: Nunchi, account: Account, guest: machine.Guest, work: Path) -> None:
    """Ends with the guest stopped in its crash kernel."""
    target = f"qemu:{guest.name}"
    crashed = place(nunchi, target)
    before = {row["pid"] for row in nunchi.show(target, "processes").rows}
    with account.timed("panic"):
        panic(guest)
    with Qmp(guest.control) as qmp:
        qmp.command("stop")
        snapshot.take(guest, qmp, work, ("raw", "elf"))
    # QEMU has the note of the kernel that crashed; nunchi's own core has none.
    for options, has_note in (((), True), (("--no-note",), False)):
        rows = nunchi.run("info", work / "core.elf", "--json", "--kernel", crashed, *options).rows
        found = [row["evidence"] for row in rows if row["name"] == "found by"]
        account.check(len(found) == 1 and ("VMCOREINFO" in found[0]) == has_note,
                      f"core.elf {options}: the note is a witness: {not has_note}", str(found))
    done = nunchi.run("snapshot", target, work / "own.elf")
    good_run(account, done, "snapshot")
    forms = {"live": target, "raw": work / "memory.raw", "elf": work / "core.elf",
             "nunchi elf": work / "own.elf"}
    first: tuple[dict[str, Done], dict[str, Done]] | None = None
    for form, path in forms.items():
        got = look(nunchi, account, form, path, crashed)
        first = first or got
        identical(account, f"crash kernel, {form}", got[0], first[0])
        for view, done in got[1].items():
            good_run(account, done, f"{form}: {view} --kernel {crashed}")
            # Where there are no registers, nothing tells that it does not run.
            account.check([{**row, "remains": 0} for row in done.rows] ==
                          [{**row, "remains": 0} for row in first[1][view].rows],
                          f"{form}: {view} --kernel {crashed} is not what the first form gives")
        pids = {row["pid"] for row in got[1]["processes"].rows}
        account.check(len(before - pids) <= 3 and "crashkernel=" in arguments(got[1]),
                      f"{form}: --kernel {crashed} is not the kernel that crashed",
                      str(before - pids), arguments(got[1]))
