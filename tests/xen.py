#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""nunchi in the first domain of real Xen (lab/xen): PV, PVH and HVM guests, three releases of Xen.

Every view of every guest is compared with the guest's own word, on each release, with one binary.
On one release also: guests that Xen's tools saved; nunchi killed while a guest is paused; guests
ballooned, renamed, saved, restored, rebooted and destroyed while they are read; a host where
something is in the way.

A lab that emulation keeps from coming up is started again, which is said; nothing that nunchi did
wrong is. Two labs at a time. Results also go to xen.json beside nunchi.
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
from collections.abc import Callable, Iterator
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

# With the version of the control interface that each answers to (Xen's public/domctl.h).
RELEASES = {"4.14": 0x12, "4.17": 0x15, "4.20": 0x17}
# By release; each with the suite of its kernel if not the lab's own.
GUESTS = {"4.14": ("pv", "pvh", "hvm=bullseye"), "4.17": ("pv", "pvh", "hvm"),
          "4.20": ("pv", "pvh=trixie", "hvm")}
BOCHS_GUESTS = ("pvh",)
MACHINES = ("qemu-amd", "bochs-intel", "bochs-amd")
# The release that has more tests than the views.
MAIN = "4.17"
AT_ONCE = 2
LAB_SECONDS, BOCHS_SECONDS = 900, 1500
# How often a lab that did not come up is started again.
MORE_LABS = 2
# What lab/xen ends with if the lab itself failed, and the scripts if a guest did not answer that
# nunchi had not looked into.
LAB_FAILED, GUEST_FAILED = 125, 75
KILL_ROUNDS = {"pvh": 12, "pv": 6}
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
        self.running: list[subprocess.Popen[str]] = []

    @property
    def in_bochs(self) -> bool:
        return self.machine != "qemu-amd"

    def guests(self, release: str) -> tuple[str, ...]:
        return BOCHS_GUESTS if self.in_bochs else GUESTS[release]

    def names(self, release: str) -> tuple[str, ...]:
        """Of the guests, as lab/xen calls them."""
        return tuple(guest.replace("=", "-") for guest in self.guests(release))

    def _once(self, release: str, script: str, options: list[str | Path]
              ) -> tuple[int, str, str]:
        seconds = BOCHS_SECONDS if self.in_bochs else LAB_SECONDS
        command = [ROOT / "lab/xen", "--machine", self.machine, "--xen", release, "--guest",
                   ",".join(self.guests(release)), "--run", "-", "--nunchi", self.nunchi, "--timeout",
                   seconds, *options]
        process = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   errors="replace", preexec_fn=die_with_parent)
        self.running.append(process)
        try:
            output, errors = process.communicate(script)
        finally:
            self.running.remove(process)
        return process.returncode, output, errors

    def run(self, account: Account, release: str, script: str, out: Path | None = None,
            files: tuple[Path, ...] = ()) -> str | None:
        """What SCRIPT printed in dom0 of Xen RELEASE; None if it failed."""
        options: list[str | Path] = ["--out", out] if out else []
        for path in files:
            options += ["--with", path]
        for more in reversed(range(MORE_LABS + 1)):
            status, output, errors = self._once(release, script, options)
            if status not in (LAB_FAILED, GUEST_FAILED) or not more:
                break
            said = (errors if status == LAB_FAILED else output).splitlines()
            account.say(f"started again, as the lab failed: {(said or ['?'])[-1]}")
        good = account.check(status == 0, f"lab/xen ends with {status}",
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


def type_of(guest: str) -> str:
    return guest.partition("-")[0]


def judge_list(account: Account, work: Path, release: str, guests: tuple[str, ...]) -> None:
    listed = done(work / "list")
    if not good_run(account, listed, "list"):
        return
    for guest in guests:
        rows = [row for row in listed.rows if row["target"] == f"xen:{guest}"]
        kind = f"xen ({type_of(guest).upper()})"
        account.check(len(rows) == 1 and rows[0]["hypervisor"] == kind and rows[0]["vcpus"] == 1
                      and 240 << 20 <= rows[0]["memory"] <= 264 << 20, f"list of {guest}",
                      f"got {rows}")
        access = rows[0]["access"] if rows else ""
        account.check(f"pause, registers (interface {RELEASES[release]:#x})" in access,
                      f"{guest}: what can be done with it is {access!r}")


def judge_kaslr(account: Account, guest: str, info: Done) -> None:
    """A kernel that firmware started chose its place; PV and PVH ones are put in theirs."""
    facts = {(row["topic"], row["name"]): row["value"] for row in info.rows}
    shift = facts.get(("kernel", "kaslr"), "")
    moved = not re.search(r"virtual \+0x0\b", shift)
    account.check(bool(shift) and moved == (type_of(guest) == "hvm"), f"{guest}: kaslr is {shift!r}")


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
    symbols = "--symbols" if "symbols" in views else ""
    script = (f"VIEWS='{' '.join(views)}'\nFEW='{' '.join(FEW)}'\nSYMBOLS={symbols}\n"
              + (ROOT / "tests/xen/views.sh").read_text())
    with workplace(f"xen-{release}", keep) as work:
        with account.timed("look"):
            if lab.run(account, release, script, work) is None:
                return
        with account.timed("compare"):
            judge_list(account, work, release, lab.names(release))
            for guest in lab.names(release):
                judge_guest(account, work, guest, views)


def count_lines(account: Account, output: str | None) -> None:
    """Checks that a script in dom0 made: lines that begin with passed or FAILED."""
    if output is None:
        return
    lines = output.splitlines()
    for line in lines:
        word, _, what = line.partition(" ")
        if word in ("passed", "FAILED"):
            account.check(word == "passed", what)
    account.check(lines[-1:] == ["done"], "the script came to its end", *lines[-3:])


def live(lab: Lab, account: Account, release: str, _keep: bool) -> None:
    """What befalls guests."""
    with account.timed("lives"):
        script = (ROOT / "tests/xen/lives.sh").read_text()
        count_lines(account, lab.run(account, release, script))


def rights(lab: Lab, account: Account, release: str, _keep: bool) -> None:
    """What is in the way of nunchi, and what it says of it."""
    with account.timed("rights"):
        script = (ROOT / "tests/xen/rights.sh").read_text()
        count_lines(account, lab.run(account, release, script))


def kill(lab: Lab, account: Account, release: str, _keep: bool) -> None:
    """Whoever paused a guest is killed."""
    files = (lab.nunchi.parent / "tests/xen/pauser", ROOT / "tests/xen/kill.sh")
    script = "".join(f"sh ./kill.sh {guest} {rounds}\n"
                     for guest, rounds in KILL_ROUNDS.items()) + "echo done\n"
    with account.timed("kill"):
        count_lines(account, lab.run(account, release, script, files=files))


def saved(lab: Lab, account: Account, release: str, keep: bool,
          wanted: tuple[str, ...] = xen_saved.QUICK) -> None:
    """What Xen's own tools save of guests; WANTED by their types."""
    guests = {type_of(name): name for name in lab.names(release)}
    names = tuple(f"{guests[kind]}.{form}" for kind, form in (one.split(".") for one in wanted))
    script = f"SAVED='{' '.join(names)}'\n" + (ROOT / "tests/xen/saved.sh").read_text()
    with workplace(f"xen-{release}-saved", keep) as work:
        with account.timed("save"):
            if lab.run(account, release, script, work) is None:
                return
        with account.timed("saved"):
            xen_saved.judge(account, Nunchi(lab.nunchi), work, names)


def saved_slowly(lab: Lab, account: Account, release: str, keep: bool) -> None:
    saved(lab, account, release, keep, xen_saved.SLOW)


STAGES = (look, saved, saved_slowly, live, rights, kill)
Stage = Callable[[Lab, Account, str, bool], None]


def stages_of(lab: Lab, releases: list[str], everything: bool) -> list[tuple[str, Stage]]:
    """What is done, each in a lab of its own; those first that take longest."""
    looks: list[tuple[str, Stage]] = [(release, look) for release in releases]
    if lab.in_bochs:
        return looks
    more: list[tuple[str, Stage]] = [(MAIN, stage) for stage in (saved, live, rights, kill)]
    stages = [one for one in more if one[0] in releases]
    if everything:
        stages += [(release, saved) for release in releases if release != MAIN]
        stages += [(release, saved_slowly) for release in releases if release == MAIN]
    # A release that has not been booted yet is booted beside the others.
    return [*stages[:1], *(one for one in looks if one[0] != MAIN), *stages[1:],
            *(one for one in looks if one[0] == MAIN)]


def test_stage(lab: Lab, release: str, stage: Stage, keep: bool) -> Account:
    account = Account(f"Xen {release}" + (f", {lab.machine}" if lab.in_bochs else ""))
    stage(lab, account, release, keep)
    rows = sum(cell["rows"] for cell in account.cells)
    wrong = sum(cell["wrong"] for cell in account.cells)
    print(f"{account.name}: {account.passed} passed, {account.failed} failed; {rows} rows, "
          f"{wrong} wrong; {account.times}", flush=True)
    return account


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


def run_all(lab: Lab, stages: list[tuple[str, Stage]], keep: bool) -> list[dict[str, Any]]:
    queue, accounts = list(stages), []

    def serve() -> None:
        while queue:
            release, stage = queue.pop(0)
            accounts.append(test_stage(lab, release, stage, keep))

    threads = [threading.Thread(target=serve, daemon=True) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(1.0)
    if len(accounts) != len(stages):
        raise RuntimeError("a test ended in the middle; what it said stands above")
    return sorted((account.result() for account in accounts), key=lambda one: one["name"])


def give_up(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nunchi", type=Path)
    parser.add_argument("--only", nargs="+", choices=RELEASES, help="these releases alone")
    parser.add_argument("--machine", default="qemu-amd", choices=MACHINES,
                        help="the emulated machine; in Bochs a PVH guest and few views")
    parser.add_argument("--stage", nargs="+", choices=[stage.__name__ for stage in STAGES],
                        help="these stages alone")
    parser.add_argument("--all", action="store_true",
                        help="guests saved on each release too, and a PVH guest's core: 20 min")
    parser.add_argument("--keep", action="store_true", help="keep what came out of the lab")
    args = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, give_up)
    lab, started = Lab(args.nunchi.resolve(), args.machine), time.monotonic()
    try:
        stages = stages_of(lab, args.only or list(RELEASES), args.all)
        results = run_all(lab, [one for one in stages
                                if not args.stage or one[1].__name__ in args.stage], args.keep)
    except KeyboardInterrupt as interrupt:
        lab.end()
        print(f"ended by {interrupt}; the labs are ended too", flush=True)
        return 130
    name = f"{args.machine}.json" if lab.in_bochs else "xen.json"
    (args.nunchi.parent / name).write_text(json.dumps(results, indent=1) + "\n",
                                           encoding="utf-8")
    print_matrix(results)
    passed, failed = (sum(result[what] for result in results) for what in ("passed", "failed"))
    print(f"{len(results)} labs in {time.monotonic() - started:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
