#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""nunchi in the first domain of real Xen (lab/xen): PV, PVH and HVM guests, three releases of Xen.

Every view of every guest is compared with the guest's own word; guests are ballooned, renamed,
saved, restored, rebooted and destroyed while they are read. One binary serves every release.
Results also go to xen.json beside nunchi.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(1, str(ROOT / "lab"))

from common import cache_root  # noqa: E402

import compare  # noqa: E402
import xen_saved  # noqa: E402
from guests.tool import (FEW, VIEWS, Account, Done, Nunchi, against_oracle,  # noqa: E402
                         good_run)

RELEASES = ("4.14", "4.17", "4.20")
GUESTS = ("pv", "pvh", "hvm")
BOCHS_GUESTS = ("pvh",)
MACHINES = ("qemu-amd", "bochs-intel", "bochs-amd")
# The release whose guests also go through what befalls guests.
LIVES = "4.17"
AT_ONCE = 2
LAB_SECONDS, BOCHS_SECONDS = 900, 1800
PR_SET_PDEATHSIG = 1


@contextlib.contextmanager
def workplace(name: str, keep: bool) -> Iterator[Path]:
    parent = cache_root() / "check"
    parent.mkdir(exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f"{name}.{os.getpid()}.", dir=parent))
    try:
        yield work
    finally:
        if keep:
            print(f"  {name}: kept in {work}", flush=True)
        else:
            shutil.rmtree(work, ignore_errors=True)


def die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Lab:
    """Runs of lab/xen; all are ended when we are."""

    def __init__(self, nunchi: Path, machine: str = "qemu-amd") -> None:
        self.nunchi, self.machine = nunchi, machine
        self.guests = BOCHS_GUESTS if self.in_bochs else GUESTS
        self.running: list[subprocess.Popen[str]] = []

    @property
    def in_bochs(self) -> bool:
        return self.machine != "qemu-amd"

    def run(self, account: Account, release: str, script: str, out: Path | None) -> str | None:
        """What SCRIPT printed in dom0 of Xen RELEASE; None if it failed."""
        command = [ROOT / "lab/xen", "--machine", self.machine, "--xen", release, "--guest",
                   ",".join(self.guests), "--run", "-", "--nunchi", self.nunchi, "--timeout",
                   str(BOCHS_SECONDS if self.in_bochs else LAB_SECONDS)]
        if out:
            command += ["--out", out]
        process = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   errors="replace", preexec_fn=die_with_parent)
        self.running.append(process)
        try:
            output, errors = process.communicate(script)
        finally:
            self.running.remove(process)
        good = account.check(process.returncode == 0, f"lab/xen ends with {process.returncode}",
                             *errors.splitlines()[-6:], *output.splitlines()[-6:])
        return output if good else None

    def end(self) -> None:
        for process in list(self.running):
            process.terminate()


def done(path: Path) -> Done:
    """A run of nunchi as the script in dom0 kept it."""
    def of(kind: str) -> Path:
        return path.with_name(f"{path.name}.{kind}")
    if not of("status").is_file():
        return Done(-1, b"", f"{path.name} was not run", 0.0)
    return Done(int(of("status").read_text()), of("out").read_bytes(),
                of("err").read_text(errors="replace"), 0.0)


def judge_list(account: Account, work: Path, guests: tuple[str, ...]) -> None:
    listed = done(work / "list")
    if not good_run(account, listed, "list"):
        return
    for guest in guests:
        rows = [row for row in listed.rows if row["target"] == f"xen:{guest}"]
        kind = f"xen ({guest.upper()})"
        account.check(len(rows) == 1 and rows[0]["hypervisor"] == kind and rows[0]["vcpus"] == 1
                      and 240 << 20 <= rows[0]["memory"] <= 264 << 20, f"list of {guest}",
                      f"got {rows}")


def judge_kaslr(account: Account, guest: str, info: Done) -> None:
    """A kernel that firmware started chose its place; PV and PVH ones are put in theirs."""
    facts = {(row["topic"], row["name"]): row["value"] for row in info.rows}
    shift = facts.get(("kernel", "kaslr"), "")
    moved = not re.search(r"virtual \+0x0\b", shift)
    account.check(bool(shift) and moved == (guest == "hvm"), f"{guest}: kaslr is {shift!r}")


def judge_guest(account: Account, work: Path, guest: str, views: tuple[str, ...]) -> None:
    place = work / guest
    if not account.check((place / "oracle-b.jsonl").is_file(), f"{guest}: nothing was kept"):
        return
    a, b = (compare.Oracle.load(place / f"oracle-{one}.jsonl") for one in "ab")
    for form, some in (("live auto", FEW), ("live always", views)):
        got = {view: done(place / form / view) for view in some}
        against_oracle(account, f"{guest}, {form}", got, a, b)
    info = done(place / "info")
    if good_run(account, info, f"{guest}: info"):
        judge_kaslr(account, guest, info)
    state = done(place / "state").out.decode().split()[-2]
    account.check("p" not in state, f"{guest}: left paused ({state})")


def look(lab: Lab, account: Account, release: str, keep: bool) -> None:
    """All views of all guests."""
    # In Bochs each takes ten times as long.
    views = FEW if lab.in_bochs else VIEWS
    script = (f"VIEWS='{' '.join(views)}'\nFEW='{' '.join(FEW)}'\n"
              + (ROOT / "tests/xen/views.sh").read_text())
    with workplace(f"xen-{release}", keep) as work:
        with account.timed("look"):
            if lab.run(account, release, script, work) is None:
                return
        with account.timed("compare"):
            judge_list(account, work, lab.guests)
            for guest in lab.guests:
                judge_guest(account, work, guest, views)


def live(lab: Lab, account: Account, release: str) -> None:
    """What befalls guests."""
    with account.timed("lives"):
        output = lab.run(account, release, (ROOT / "tests/xen/lives.sh").read_text(), None)
    for line in (output or "").splitlines():
        word, _, what = line.partition(" ")
        if word in ("passed", "FAILED"):
            account.check(word == "passed", what)


def saved(lab: Lab, account: Account, release: str, keep: bool) -> None:
    """What Xen's own tools save of guests."""
    names = xen_saved.ALL if release == LIVES else xen_saved.SOME
    script = f"SAVED='{' '.join(names)}'\n" + (ROOT / "tests/xen/saved.sh").read_text()
    with workplace(f"xen-{release}-saved", keep) as work:
        with account.timed("save"):
            if lab.run(account, release, script, work) is None:
                return
        with account.timed("saved"):
            xen_saved.judge(account, Nunchi(lab.nunchi), work, names)


def test_release(lab: Lab, release: str, keep: bool) -> dict[str, Any]:
    account = Account(f"Xen {release}" + (f", {lab.machine}" if lab.in_bochs else ""))
    look(lab, account, release, keep)
    if not lab.in_bochs:
        saved(lab, account, release, keep)
        if release == LIVES:
            live(lab, account, release)
    rows = sum(cell["rows"] for cell in account.cells)
    wrong = sum(cell["wrong"] for cell in account.cells)
    print(f"{account.name}: {account.passed} passed, {account.failed} failed; {rows} rows, "
          f"{wrong} wrong; {account.times}", flush=True)
    return account.result()


def print_matrix(results: list[dict[str, Any]]) -> None:
    """Rows compared and wrong, release by guest and form."""
    print(f"\n{'release':<10} {'guest, form':<24} {'views':>5} {'rows':>9} {'wrong':>6}")
    for result in results:
        forms: dict[str, list[int]] = {}
        for cell in result["cells"]:
            total = forms.setdefault(cell["form"], [0, 0, 0])
            for i, count in enumerate((1, cell["rows"], cell["wrong"])):
                total[i] += count
        for form, (views, rows, wrong) in forms.items():
            print(f"{result['name']:<10} {form:<24} {views:>5} {rows:>9} {wrong:>6}")


def run_all(lab: Lab, releases: list[str], keep: bool) -> list[dict[str, Any]]:
    queue, results = list(releases), {}

    def serve() -> None:
        while queue:
            release = queue.pop(0)
            results[release] = test_release(lab, release, keep)

    threads = [threading.Thread(target=serve, daemon=True) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(1.0)
    return [results[release] for release in releases]


def give_up(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nunchi", type=Path)
    parser.add_argument("--only", nargs="+", choices=RELEASES, help="these releases alone")
    parser.add_argument("--machine", default="qemu-amd", choices=MACHINES,
                        help="the emulated machine; in Bochs a PVH guest and few views")
    parser.add_argument("--keep", action="store_true", help="keep what came out of the lab")
    args = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, give_up)
    lab, started = Lab(args.nunchi.resolve(), args.machine), time.monotonic()
    try:
        # The one with most to do first.
        results = run_all(lab, args.only or sorted(RELEASES, key=lambda one: one != LIVES),
                          args.keep)
    except KeyboardInterrupt as interrupt:
        lab.end()
        print(f"ended by {interrupt}; the labs are ended too", flush=True)
        return 130
    name = f"{args.machine}.json" if lab.in_bochs else "xen.json"
    (args.nunchi.parent / name).write_text(json.dumps(results, indent=1) + "\n",
                                           encoding="utf-8")
    print_matrix(results)
    passed, failed = (sum(result[what] for result in results) for what in ("passed", "failed"))
    print(f"{len(results)} releases of Xen in {time.monotonic() - started:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
