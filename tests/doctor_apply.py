#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""`nunchi doctor plan|apply|undo|stay` on a Debian with its own GRUB, systemd, kernel and Xen.

First in its root, where apply is also killed at many moments (tests/doctor/in_root.py); then end to
end in QEMU: a host that GRUB boots, by BIOS and by EFI, into Xen once, and that comes back by
itself. What the host does there is tests/doctor/job; here it is judged.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(1, str(ROOT / "lab"))

from common import LabError  # noqa: E402

from doctor import host  # noqa: E402
from guests.tool import Account  # noqa: E402

# Firmware and what happens in Xen: the trial ends by itself, or `stay` is said.
RUNS = (("bios", "return"), ("ovmf", "return"), ("bios", "stay"))
AT_ONCE = 2
RUN_SECONDS = 900
# How often a host whose kernel panicked under emulation is booted again.
PANICS = 1


class Panicked(Exception):
    """QEMU 7.2's emulation makes kernels panic now and then."""


class Report:
    """What the job printed: the boots, and what each command said and how it ended."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("\r", "")
        self.boots = re.findall(r"^BOOT (\d+) (\w+)$", self.text, re.MULTILINE)

    def section(self, name: str) -> tuple[str, int]:
        match = re.search(rf"^BEGIN {re.escape(name)}\n(.*?)^END {re.escape(name)} (\d+)$",
                          self.text, re.MULTILINE | re.DOTALL)
        return (match[1], int(match[2])) if match else ("", -1)


def expect(account: Account, report: Report, name: str, *has: str, status: int = 0) -> str:
    text, ended = report.section(name)
    missing = [word for word in has if word not in text]
    account.check(ended == status and not missing, f"{name}: ended with {ended}, lacks {missing}",
                  text[-900:])
    return text


def judge_apply(account: Account, report: Report) -> None:
    expect(account, report, "plan", "+XEN_OVERRIDE_GRUB_DEFAULT=0", "systemd.wants=")
    plain = expect(account, report, "plan changes nothing")
    account.check(not plain, "plan changed something", plain)
    expect(account, report, "apply", "# Done. Reboot to begin the trial.",
           "# Native entries:          unchanged")
    changes = expect(account, report, "apply changed", status=1)
    paths = {line.split()[1] for line in changes.splitlines() if line[:1] in "<>"}
    account.check(paths <= {"/boot/grub", "/boot/grub/grub.cfg", "/boot/grub/grubenv",
                            "/etc/default/grub.d", "/etc/default/grub.d/nunchi.cfg",
                            "/etc/systemd/system", "/etc/systemd/system/nunchi-trial.service"},
                  "apply changed other files", changes)
    expect(account, report, "armed", "next_entry=xen-gnulinux-simple-")


def judge_undo(account: Account, report: Report) -> None:
    expect(account, report, "undo", "# Done: all is as it was.")
    left = expect(account, report, "undo left")
    account.check(not left, "undo left something changed", left)


def judge_return(account: Account, report: Report) -> None:
    """Xen once, by itself back to the native system, the logs saved."""
    account.check(report.boots == [("1", "native"), ("2", "xen"), ("3", "native")],
                  f"the boots were {report.boots}", report.text[-900:])
    for boot in ("2", "3"):
        account.check("next_entry=xen" not in report.section(f"env {boot}")[0],
                      f"the one-shot is set still in boot {boot}")
    expect(account, report, "unit", "active")
    expect(account, report, "cmdline", "systemd.wants=nunchi-trial.service", "panic=30")
    expect(account, report, "logs", "xl-dmesg.txt", "journal.txt", "drm.txt", "ended")
    expect(account, report, "xl-dmesg", "Xen version 4.", "Xen is relinquishing VGA console")
    expect(account, report, "journal", "Linux version")
    expect(account, report, "ended")
    expect(account, report, "kept", "trial")
    expect(account, report, "undo again", "# Nothing to take back.")


def judge_stay(account: Account, report: Report) -> None:
    """It stays in Xen past the trial's end, and undo works from there."""
    account.check(report.boots == [("1", "native"), ("2", "xen")],
                  f"the boots were {report.boots}", report.text[-900:])
    text, status = report.section("uptime")
    account.check(status == 0 and float(text.split()[0]) > 75, "it did not stay", text)


def run_host(firmware: str, scenario: str, nunchi: Path, disk: Path) -> Report:
    directory = host.work_directory(f"{os.getpid()}-{firmware}-{scenario}")
    files = host.program_files(nunchi)
    files["job"] = (ROOT / "tests/doctor/job").read_bytes()
    files["scenario"] = scenario.encode()
    machine = host.Host(disk, directory, firmware, overlay=True)
    try:
        machine.run(files, RUN_SECONDS)
        if "Kernel panic" in machine.console():
            raise Panicked
        # What a person with a serial line sees.
        if "Xen 4." not in machine.console():
            raise LabError(f"nothing of Xen on the serial line:\n{machine.console()[-1500:]}")
        return Report(machine.output())
    except LabError:
        if "Kernel panic" in machine.console():
            raise Panicked from None
        raise
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def try_run(firmware: str, scenario: str, nunchi: Path, disk: Path) -> Report:
    for tries in range(PANICS + 1):
        try:
            return run_host(firmware, scenario, nunchi, disk)
        except Panicked:
            print(f"  {firmware}-{scenario}: a kernel panicked under emulation", flush=True)
            if tries == PANICS:
                raise LabError("it panicked each time") from None
    raise AssertionError


def end_to_end(firmware: str, scenario: str, nunchi: Path, disk: Path) -> Account:
    account, started = Account(f"{firmware}-{scenario}"), time.monotonic()
    try:
        report = try_run(firmware, scenario, nunchi, disk)
        judge_apply(account, report)
        expect(account, report, "stay", *(["stays in Xen"] if scenario == "stay" else []),
               status=0 if scenario == "stay" else 1)
        (judge_stay if scenario == "stay" else judge_return)(account, report)
        judge_undo(account, report)
    except (LabError, OSError, subprocess.SubprocessError) as error:
        account.check(False, f"{type(error).__name__}: {error}")
    account.say(f"{account.passed} passed, {account.failed} failed in "
                f"{time.monotonic() - started:.0f} s")
    return account


def in_root(nunchi: Path, disk: Path) -> Account:
    """The tests that need a root alone, in a mount namespace of their own."""
    account, started = Account("root"), time.monotonic()
    directory = host.work_directory(f"{os.getpid()}-root")
    try:
        copy = directory / "disk"
        subprocess.run(["cp", "--sparse=always", str(disk), str(copy)], check=True)
        done = subprocess.run(["unshare", "--mount", "--propagation", "private", sys.executable,
                               str(ROOT / "tests/doctor/in_root.py"), str(nunchi), str(copy),
                               str(directory)], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=RUN_SECONDS, check=False)
        result = re.search(r"^RESULT (\d+) (\d+)$", done.stdout, re.MULTILINE)
        print(re.sub(r"^RESULT .*\n", "", done.stdout, flags=re.MULTILINE), end="")
        if result:
            account.passed, account.failed = int(result[1]), int(result[2])
        else:
            account.check(False, f"ended with {done.returncode}", done.stderr[-2000:])
    except (OSError, subprocess.SubprocessError) as error:
        account.check(False, f"{type(error).__name__}: {error}")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    account.say(f"{account.passed} passed, {account.failed} failed in "
                f"{time.monotonic() - started:.0f} s")
    return account


def all_of(nunchi: Path, names: list[str]) -> list[Account]:
    disk = host.disk()
    queue = [lambda f=f, s=s: end_to_end(f, s, nunchi, disk) for f, s in reversed(RUNS)
             if f"{f}-{s}" in names]
    if "root" in names:
        queue.append(lambda: in_root(nunchi, disk))
    accounts: list[Account] = []

    def serve() -> None:
        while queue:
            accounts.append(queue.pop()())

    threads = [threading.Thread(target=serve) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return accounts


def main() -> int:
    every = ["root", *(f"{firmware}-{scenario}" for firmware, scenario in RUNS)]
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nunchi", type=Path)
    parser.add_argument("--only", nargs="+", choices=every, default=every, metavar="NAME",
                        help=f"these alone, of {', '.join(every)}")
    args = parser.parse_args()
    if os.geteuid():
        print("the doctor's tests need root: mounting, chroot")
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
