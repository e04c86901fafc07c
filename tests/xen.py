#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""nunchi in the first domain of real Xen (lab/xen): PV, PVH and HVM guests, three releases of Xen.

Every view of every guest is compared with the guest's own word, on each release, with one binary.
On one release also: guests that Xen's tools saved; nunchi killed while a guest is paused; guests
ballooned, renamed, saved, restored, rebooted and destroyed while they are read; a host where
something is in the way.

A lab that emulation keeps from coming up is started again, which is said; nothing that nunchi did
wrong is. Two labs at a time. Results also go to xen.json beside nunchi, to bochs.json if the machine
is one of Bochs'.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(1, str(ROOT / "lab"))

import compare  # noqa: E402
import xen_saved  # noqa: E402
from guests import runs  # noqa: E402
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
LAB_SECONDS, BOCHS_SECONDS, SLOW_SECONDS = 900, 1500, 2700
# Until a lab that is told to end has done so.
END_SECONDS = 20
# How often a lab that did not come up is started again.
MORE_LABS = 2
# What lab/xen ends with if the lab itself failed, and the scripts if a guest did not answer that
# nunchi had not looked into.
LAB_FAILED, GUEST_FAILED = 125, 75
KILL_ROUNDS = {"pvh": 12, "pv": 6}
EVENT_ROUNDS = 4
# Of the eight kinds of kills each is seen on one machine, four on both.
BREAKPOINT_ROUNDS = {"bochs-intel": 4, "bochs-amd": 8}
# What the scripts below read in dom0.
SHELL = (ROOT / "tests/xen/common.sh",)


class Ended(Exception):
    """The tests are being ended."""


class Lab:
    """Runs of lab/xen on one machine; all are ended when we are."""

    def __init__(self, nunchi: Path, machine: str, own: tuple[str, ...] = ()) -> None:
        self.nunchi, self.machine, self.own = nunchi, machine, own
        self.running: list[subprocess.Popen[str]] = []
        self.ending = False

    @property
    def in_bochs(self) -> bool:
        return self.machine != "qemu-amd"

    def guests(self, release: str) -> tuple[str, ...]:
        return self.own or (BOCHS_GUESTS if self.in_bochs else GUESTS[release])

    def names(self, release: str) -> tuple[str, ...]:
        """Of the guests, as lab/xen calls them."""
        return tuple(re.sub("[=:]", "-", guest) for guest in self.guests(release))

    def _once(self, release: str, script: str, options: list[str | Path], seconds: float
              ) -> tuple[int, str, str]:
        if self.ending:
            raise Ended
        command = [ROOT / "lab/xen", "--machine", self.machine, "--xen", release, "--guest",
                   ",".join(self.guests(release)), "--run", "-", "--nunchi", self.nunchi, "--timeout",
                   seconds, *options]
        process = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   errors="replace", preexec_fn=runs.end_with_parent)
        self.running.append(process)
        try:
            output, errors = process.communicate(script)
        finally:
            self.running.remove(process)
        if self.ending:
            raise Ended
        return process.returncode, output, errors

    def run(self, account: Account, release: str, script: str, out: Path | None = None,
            files: tuple[Path, ...] = (), seconds: float = 0.0) -> str | None:
        """What SCRIPT printed in dom0 of Xen RELEASE; None if it failed."""
        seconds = seconds or (BOCHS_SECONDS if self.in_bochs else LAB_SECONDS)
        options: list[str | Path] = ["--out", out] if out else []
        for path in files:
            options += ["--with", path]
        for more in reversed(range(MORE_LABS + 1)):
            status, output, errors = self._once(release, script, options, seconds)
            if status not in (LAB_FAILED, GUEST_FAILED) or not more:
                break
            said = (errors if status == LAB_FAILED else output).splitlines()
            account.say(f"started again, as the lab failed: {(said or ['?'])[-1]}")
        good = account.check(status == 0, f"lab/xen ends with {status}",
                             *errors.splitlines()[-6:], *output.splitlines()[-6:])
        return output if good else None

    def end(self) -> None:
        self.ending = True
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


def look(part: Part, account: Account) -> None:
    """All views of all guests; in Bochs also breakpoints, in the same boot."""
    lab, release = part.lab, part.release
    # In Bochs each takes ten times as long.
    views = FEW if lab.in_bochs else VIEWS
    symbols = "--symbols" if "symbols" in views else ""
    script = (f"VIEWS='{' '.join(views)}'\nFEW='{' '.join(FEW)}'\nSYMBOLS={symbols}\n"
              + (ROOT / "tests/xen/views.sh").read_text())
    files = SHELL + (ROOT / "tests/xen/breakpoints.sh",) if lab.in_bochs else ()
    if lab.in_bochs:
        script += f"sh ./breakpoints.sh pvh {BREAKPOINT_ROUNDS[lab.machine]}\necho done\n"
    with runs.workplace(f"xen-{release}", part.keep) as work:
        with account.timed("look"):
            output = lab.run(account, release, script, work, files)
            if output is None:
                return
        if lab.in_bochs:
            count_lines(account, output)
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


def live(part: Part, account: Account) -> None:
    """What befalls guests; each in turn, for what is left of one is in nobody's way."""
    script = f"GUESTS='{' '.join(part.what)}'\n" + (ROOT / "tests/xen/lives.sh").read_text()
    with account.timed("lives"):
        count_lines(account, part.lab.run(account, part.release, script))


def rights(part: Part, account: Account) -> None:
    """What is in the way of nunchi, and what it says of it."""
    with account.timed("rights"):
        script = (ROOT / "tests/xen/rights.sh").read_text()
        count_lines(account, part.lab.run(account, part.release, script))


def kill(part: Part, account: Account) -> None:
    """Whoever paused a guest is killed."""
    here = part.lab.nunchi.parent / "tests/xen"
    files = (*SHELL, here / "pauser", here / "nunchi-guard", here.parent / "confined/confined",
             ROOT / "tests/xen/kill.sh")
    script = "".join(f"sh ./kill.sh {guest} {rounds}\n"
                     for guest, rounds in KILL_ROUNDS.items()) + "echo done\n"
    with account.timed("kill"):
        count_lines(account, part.lab.run(account, part.release, script, files=files))


def events(part: Part, account: Account) -> None:
    """Events of a PVH guest with two vCPUs and of an HVM guest; whoever watches is killed."""
    script = "".join(f"sh ./events.sh {guest} {EVENT_ROUNDS}\n"
                     for guest in part.what) + "echo done\n"
    with account.timed("events"):
        count_lines(account, part.lab.run(account, part.release, script,
                                          files=(*SHELL, ROOT / "tests/xen/events.sh")))


def saved(part: Part, account: Account) -> None:
    """What Xen's own tools save of guests: forms, each by the type of its guest."""
    guests = {type_of(name): name for name in part.lab.names(part.release)}
    names = tuple(f"{guests[kind]}.{form}"
                  for kind, form in (one.split(".") for one in part.what))
    script = f"SAVED='{' '.join(names)}'\n" + (ROOT / "tests/xen/saved.sh").read_text()
    slow = set(part.what) & set(xen_saved.SLOW)
    with runs.workplace(f"xen-{part.release}-saved", part.keep) as work:
        with account.timed("save"):
            if part.lab.run(account, part.release, script, work,
                            seconds=SLOW_SECONDS if slow else LAB_SECONDS) is None:
                return
        with account.timed("saved"):
            xen_saved.judge(account, Nunchi(part.lab.nunchi), work, names)


class Heard(Account):
    """What is provoked is judged, not printed."""

    def __init__(self) -> None:
        super().__init__("provoked")
        self.lines: list[str] = []

    def tell(self, line: str) -> None:
        self.lines.append(line)

    def restarts(self) -> int:
        return sum("started again" in line for line in self.lines)


def emulator_of(process: subprocess.Popen[str]) -> int | None:
    """The process id of lab/xen's emulator, once it runs."""
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            if b"\0nunchi-xen\0" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
    return None


@contextlib.contextmanager
def one_emulator_killed(lab: Lab) -> Iterator[list[int]]:
    """The first that LAB runs; its process id, once that is done."""
    killed: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not killed and not over.wait(0.01):
            for pid in filter(None, map(emulator_of, list(lab.running))):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield killed
    finally:
        over.set()
        watcher.join()


def again(part: Part, account: Account) -> None:
    """A lab that broke is started again, so often and no more; what a script says holds."""
    lab, release = part.lab, part.release
    with account.timed("again"):
        heard = Heard()
        with one_emulator_killed(lab) as killed:
            output = lab.run(heard, release, "echo done\n")
        account.check(len(killed) == 1 and output == "done\n" and heard.restarts() == 1
                      and (heard.passed, heard.failed) == (1, 0),
                      f"an emulator that was killed ({killed}): {output!r}", *heard.lines)
        heard = Heard()
        output = lab.run(heard, release, f"exit {GUEST_FAILED}\n")
        account.check(output is None and heard.restarts() == MORE_LABS and heard.failed == 1,
                      f"a guest that never answers: {output!r}", *heard.lines)
        heard = Heard()
        output = lab.run(heard, release, "nunchi ps xen:nobody\n")
        account.check(output is None and heard.restarts() == 0 and heard.failed == 1
                      and "ends with 1" in heard.lines[0],
                      f"an error of nunchi's: {output!r}", *heard.lines)


STAGES = (look, saved, live, rights, kill, events, again)


@dataclass(frozen=True)
class Part:
    """What is done in a lab of its own: a stage, and what of it."""

    lab: Lab
    release: str
    stage: Callable[[Part, Account], None]
    what: tuple[str, ...] = ()
    keep: bool = False

    def run(self) -> dict[str, Any]:
        account = Account(f"Xen {self.release}"
                          + (f", {self.lab.machine}" if self.lab.in_bochs else ""))
        try:
            self.stage(self, account)
        except Ended:
            raise
        except Exception:  # a test that breaks is a failure with its place
            account.check(False, "the test itself broke", *traceback.format_exc().split("\n")[-6:])
        result = account.result()
        print(runs.told(result), flush=True)
        return result


def parts_of(lab: Lab, releases: list[str], everything: bool, keep: bool) -> list[Part]:
    """Those first that take longest."""
    if lab.in_bochs:
        return [Part(lab, release, look, keep=keep) for release in releases or [MAIN]]
    releases = releases or list(RELEASES)
    main = [Part(lab, MAIN, saved, (form,), keep) for form in xen_saved.SLOW if everything]
    main += [Part(lab, MAIN, saved, xen_saved.QUICK, keep),
             *(Part(lab, MAIN, live, (guest,)) for guest in ("hvm", "pvh", "pv")),
             Part(lab, MAIN, rights), Part(lab, MAIN, kill), Part(lab, MAIN, look, keep=keep),
             Part(lab, MAIN, events, ("hvm",)),
             Part(Lab(lab.nunchi, lab.machine, ("pvh:2",)), MAIN, events, ("pvh-2",)),
             # Whose emulators are killed: alone with its own.
             Part(Lab(lab.nunchi, lab.machine), MAIN, again)]
    main = main if MAIN in releases else []
    others = [release for release in releases if release != MAIN]
    # A release that has not been booted yet is booted beside the others.
    return [*main[:1], *(Part(lab, release, look, keep=keep) for release in others), *main[1:],
            *(Part(lab, release, saved, xen_saved.QUICK, keep) for release in others if everything)]


def run_all(parts: list[Part]) -> list[dict[str, Any]]:
    queue, results = list(parts), []

    def serve() -> None:
        with contextlib.suppress(Ended, IndexError):
            while True:
                results.append(queue.pop(0).run())

    threads = [threading.Thread(target=serve, daemon=True) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(1.0)
    except KeyboardInterrupt:
        for part in parts:
            part.lab.end()
        for thread in threads:
            thread.join(END_SECONDS)
        raise
    return sorted(results, key=lambda one: one["name"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nunchi", type=Path)
    parser.add_argument("--only", nargs="+", choices=RELEASES, default=[],
                        help=f"these releases alone (in Bochs: {MAIN})")
    parser.add_argument("--machine", nargs="+", default=["qemu-amd"], choices=MACHINES,
                        help="emulated machines; in Bochs a PVH guest and few views")
    parser.add_argument("--stage", nargs="+", choices=[stage.__name__ for stage in STAGES],
                        help="these stages alone")
    parser.add_argument("--all", action="store_true",
                        help="guests saved on each release too, and the cores of a PVH and an HVM "
                             "guest: 20 min")
    parser.add_argument("--keep", action="store_true", help="keep what came out of the lab")
    args = parser.parse_args()
    runs.end_in_order()
    runs.clear_places()
    started = time.monotonic()
    labs = [Lab(args.nunchi.resolve(), machine) for machine in args.machine]
    parts = [part for lab in labs for part in parts_of(lab, args.only, args.all, args.keep)
             if not args.stage or part.stage.__name__ in args.stage]
    try:
        results = run_all(parts)
    except KeyboardInterrupt as interrupt:
        print(f"ended by {interrupt}; the labs are ended too", flush=True)
        return 130
    record = "bochs.json" if all(lab.in_bochs for lab in labs) else "xen.json"
    return runs.finish(results, "release", f"{len(results)} labs in "
                       f"{time.monotonic() - started:.0f} s", args.nunchi.parent / record)


if __name__ == "__main__":
    sys.exit(main())
