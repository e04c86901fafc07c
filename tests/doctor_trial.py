#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A trial boot of Xen from one end to the other, in QEMU: doctor_trial.py NUNCHI.

A Debian that GRUB boots, by BIOS and by EFI: plan, apply, one boot of Xen, its logs, the way back
by itself, undo; and once `stay`. What the host does at each boot is tests/doctor/job; here it is
judged, and its disk compared, file by file, with what it was.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(1, str(ROOT / "lab"))

from common import LabError  # noqa: E402

from doctor import files, host  # noqa: E402
from guests.tool import Account  # noqa: E402

# Firmware, and what happens in Xen: the trial ends by itself, or `stay` is said.
RUNS = (("bios", "return"), ("ovmf", "return"), ("bios", "stay"))
AT_ONCE = 2
RUN_SECONDS = 900
# How often a host is booted again that emulation let down: it panicked or stood still.
AGAIN = 2
OWN_FILES = {"/boot/grub", "/boot/grub/grub.cfg", "/boot/grub/grubenv",
             "/etc/default/grub.d", "/etc/default/grub.d/nunchi.cfg",
             "/etc/systemd/system", "/etc/systemd/system/nunchi-trial.service"}


class Report:
    """What the job printed: the boots, and what each command said and how it ended."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("\r", "")
        self.boots = [(int(number), system) for number, system
                      in re.findall(r"^BOOT (\d+) (\S+)$", self.text, re.MULTILINE)]

    def section(self, name: str) -> tuple[str, int]:
        match = re.search(rf"^BEGIN {re.escape(name)}\n(.*?)^END {re.escape(name)} (\d+) \S+$",
                          self.text, re.MULTILINE | re.DOTALL)
        return (match[1], int(match[2])) if match else ("", -1)


def expect(account: Account, report: Report, name: str, *has: str, status: int = 0) -> str:
    """A command of the job that ended so and said these."""
    text, ended = report.section(name)
    missing = [word for word in has if word not in text]
    account.check(ended == status and not missing, f"{name}: ended with {ended}, lacks {missing}",
                  text[-900:])
    return text


def judge_boots(account: Account, report: Report, *systems: str) -> None:
    """These and no others; Xen, once, by the one-shot, which GRUB itself has cleared."""
    account.check(report.boots == list(enumerate(systems, 1)),
                  f"the boots were {report.boots}", report.text[-900:])
    expect(account, report, "armed", "next_entry=xen-gnulinux-simple-")
    for number in range(2, len(systems) + 1):
        env = expect(account, report, f"env {number}")
        account.check("next_entry=xen" not in env, f"the one-shot is set still in boot {number}")
    line = expect(account, report, "cmdline 2", "systemd.wants=nunchi-trial.service", "panic=30")
    account.check(" quiet" not in line, "dom0 is quiet still", line)


def judge_apply(account: Account, report: Report) -> None:
    expect(account, report, "doctor", "Verdict: ")
    expect(account, report, "plan", "+XEN_OVERRIDE_GRUB_DEFAULT=0", "systemd.wants=",
           "# Boots by default then:   Debian GNU/Linux\n")
    plain = expect(account, report, "plan changed")
    account.check(not plain, "plan changed something", plain)
    expect(account, report, "apply", "# Done. Reboot to begin the trial.",
           "# Native entries:          unchanged")
    changes = expect(account, report, "apply changed", status=1)
    paths = {word for line in changes.splitlines() if line[:1] in "<>"
             for word in line.split() if word.startswith("/")}
    account.check(paths <= OWN_FILES, "apply changed other files", changes)
    expect(account, report, "stay", "no trial boot is running", status=1)


def judge_logs(account: Account, nunchi: Path, tree: Path) -> None:
    """What the trial saved, and what the doctor says of it."""
    logs = sorted((tree / "var/lib/nunchi/doctor/trial").glob("*"))
    account.check(len(logs) == 1, f"there are {len(logs)} folders of logs")
    for log in logs:
        texts = {path.name: path.read_text(encoding="utf-8", errors="replace")
                 for path in log.iterdir()}
        for name, has in (("xl-dmesg.txt", "(XEN) HVM: SVM enabled"), ("xl-info.txt", "virt_caps"),
                          ("kernel.txt", "Booting kernel on Xen"), ("drm.txt", "end\n"),
                          ("journal.txt", "nunchi: Xen runs"), ("modules.txt", "xen_"),
                          ("cmdline.txt", "systemd.wants=nunchi-trial.service"),
                          ("ended", "UTC")):
            account.check(has in texts.get(name, ""), f"{name} of the logs lacks {has!r}",
                          texts.get(name, "is not there")[-900:])
        account.check(not [name for name in texts if name.endswith(".new")], "a log is not whole")
        done = subprocess.run([nunchi, "doctor", *sorted(log.glob("*.txt"))], check=False,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=60, env={**os.environ, "LC_ALL": "C", "LANGUAGE": ""})
        account.check(done.stdout.startswith("Verdict: ready\n"),
                      "the doctor says something else of the logs", done.stdout, done.stderr)


def judge_return(account: Account, report: Report, nunchi: Path, tree: Path) -> None:
    """Xen once, by itself back to the native system, the logs saved."""
    judge_boots(account, report, "native", "xen", "native")
    judge_apply(account, report)
    expect(account, report, "info", "xen_version            : 4.17", "hvm")
    expect(account, report, "unit", "active")
    expect(account, report, "doctor in dom0", "Verdict: ready\n  this is Xen's dom0")
    expect(account, report, "undo again", "# Nothing to take back.")
    judge_logs(account, nunchi, tree)


def judge_stay(account: Account, report: Report, _nunchi: Path, tree: Path) -> None:
    """It stays in Xen past the trial's end, and undo works from there."""
    judge_boots(account, report, "native", "xen")
    expect(account, report, "apply", "# Done. Reboot to begin the trial.")
    expect(account, report, "stay", "stays in Xen")
    expect(account, report, "past the deadline")
    expect(account, report, "unit", "inactive", status=3)
    saved = list((tree / "var/lib/nunchi/doctor/trial").glob("*/xl-dmesg.txt"))
    ended = list((tree / "var/lib/nunchi/doctor/trial").glob("*/ended"))
    account.check(bool(saved) and not ended, "stay leaves logs, and no trial that ended",
                  str(saved), str(ended))


def judge_disk(account: Account, tree: Path, before: dict[str, str]) -> None:
    after = files.of_tree(tree)
    account.check(len(after) > 5000, f"only {len(after)} files are compared")
    changed, allowed = files.differences(before, after)
    account.check(not changed, "the disk is not as it was", *changed)
    account.say(f"{len(after)} files compared; of the system, the test and the logs are "
                f"{' '.join(allowed)}")


def judge(account: Account, machine: host.Host, nunchi: Path) -> None:
    report = Report(machine.output())
    tree = machine.unpack()
    expect(account, report, "undo", "# Done: all is as it was.")
    judge_disk(account, tree, host.files_before(machine.disk))
    of_scenario = {"return": judge_return, "stay": judge_stay}[account.name.split("-")[1]]
    of_scenario(account, report, nunchi, tree)


def run_host(account: Account, nunchi: Path, disk: Path) -> None:
    firmware, scenario = account.name.split("-")
    job = host.program_files(nunchi)
    job["job"] = (ROOT / "tests/doctor/job").read_bytes()
    job["scenario"] = scenario.encode()
    for left in reversed(range(AGAIN + 1)):
        directory = host.work_directory(account.name)
        machine = host.Host(disk, directory, firmware, overlay=True)
        try:
            machine.run(job, RUN_SECONDS)
            judge(account, machine, nunchi)
            return
        except LabError as error:
            if not left or host.stopping.is_set():
                raise
            account.say(f"once more, as it may be the emulation: {error}")
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def end_to_end(name: str, nunchi: Path, disk: Path) -> Account:
    account, started = Account(name), time.monotonic()
    try:
        run_host(account, nunchi, disk)
    except (LabError, OSError, subprocess.SubprocessError) as error:
        account.check(False, f"{type(error).__name__}: {error}")
    account.say(f"{account.passed} passed, {account.failed} failed in "
                f"{time.monotonic() - started:.0f} s")
    return account


def all_of(nunchi: Path, names: list[str]) -> list[Account]:
    disk = host.disk()
    queue = list(reversed(names))
    accounts: list[Account] = []

    def serve() -> None:
        while queue and not host.stopping.is_set():
            accounts.append(end_to_end(queue.pop(), nunchi, disk))

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: host.stopping.set())
    threads = [threading.Thread(target=serve) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return accounts


def main() -> int:
    every = [f"{firmware}-{scenario}" for firmware, scenario in RUNS]
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nunchi", type=Path)
    parser.add_argument("--only", nargs="+", choices=every, default=every, metavar="NAME",
                        help=f"these alone, of {', '.join(every)}")
    args = parser.parse_args()
    if os.geteuid():
        print("a trial boot: making the test host, and reading its disk whole, need root")
        print(f"0 passed, 0 failed, {len(args.only)} skipped")
        return 0
    try:
        accounts = all_of(args.nunchi.resolve(), args.only)
    except LabError as error:
        print(f"the test host cannot be made: {error}")
        print("0 passed, 1 failed")
        return 1
    failed = sum(account.failed for account in accounts)
    print(f"{sum(account.passed for account in accounts)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
