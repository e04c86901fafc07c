#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""nunchi on the guests of the matrix (tests/guests/matrix.py): running, stopped, saved.

A guest's oracle says before and after what is so in it; every row of every view is compared with
that, and every saved form with what nunchi showed of the stopped guest. Then come copies with
something zeroed, decoys, damaged files, a fork storm, kills, a reset and a crash kernel, each on some
of the guests.

Two guests at a time, each in a process of its own. Results also go to guests.json beside nunchi.

With --kernels these are the guests of the second matrix, whose kernels lab/built.py builds
(kernels.json): none unless all of them are in the cache, or --build builds them first.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(1, str(ROOT / "lab"))

import built  # noqa: E402
import machine  # noqa: E402
from common import LabError  # noqa: E402

from guests import matrix, runs, session  # noqa: E402
from guests.tool import Account, Nunchi  # noqa: E402

AT_ONCE = 2
# The longest takes a quarter of it on two cores of 2020.
GUEST_SECONDS = 900
# How often a guest that QEMU's emulation broke is booted again.
MORE_BOOTS = 2
PREFIX = "check"
RESULT = "RESULT "


# ---- One guest, in a process of its own --------------------------------------------------------


def stop_on(number: int, _frame: object) -> None:
    for other in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt(signal.Signals(number).name)


def follow_parent() -> None:
    """Ended with the process that started us, and by its signals, in an orderly way."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, stop_on)
    runs.end_with_parent()
    signal.alarm(GUEST_SECONDS)


class GuestBroke(Exception):
    """QEMU's emulation broke the guest's kernel, which panicked, or did not come up at all.

    Seen with QEMU 7.2 on a busy host: panics of 6.12; a 7.2 with four vCPUs that checked its clocks
    for ever. nunchi looks at no guest before it is up.
    """


def is_broken(error: Exception) -> bool:
    return "Kernel panic" in str(error) or bool(re.search(r": booting .* took longer", str(error)))


def try_on(config: matrix.Config, nunchi: Nunchi, keep: bool) -> Account:
    account, started = Account(config.name), time.monotonic()
    name = f"{PREFIX}-{os.getpid()}-{config.name}"
    try:
        with runs.workplace(config.name, keep) as work:
            session.run(config, nunchi, account, work, name)
    except KeyboardInterrupt as interrupt:
        account.check(False, f"ended by {interrupt}")
    except (LabError, OSError, subprocess.SubprocessError) as error:
        if is_broken(error):
            raise GuestBroke(str(error)) from error
        account.check(False, f"{type(error).__name__}: {error}")
    except Exception:  # a test that breaks is a failure with its place
        account.check(False, "the test itself broke", *traceback.format_exc().split("\n")[-6:])
    account.times["all"] = round(time.monotonic() - started, 1)
    return account


def work_on(config: matrix.Config, nunchi: Nunchi, keep: bool) -> int:
    follow_parent()
    account = Account(config.name)
    for tries in range(MORE_BOOTS + 1):
        try:
            account = try_on(config, nunchi, keep)
            break
        except GuestBroke as broke:
            print(f"  {config.name}: the guest is booted again:\n{broke}", flush=True)
            if tries == MORE_BOOTS:
                account.check(False, "it broke each time", str(broke))
    print(RESULT + json.dumps(account.result()), flush=True)
    return 1 if account.failed else 0


# ---- All of them -------------------------------------------------------------------------------


class Workers:
    """The processes that run now; all are ended when we are."""

    def __init__(self, command: list[str]) -> None:
        self.command = command
        self.running: list[subprocess.Popen[str]] = []
        self.results: dict[str, dict[str, Any]] = {}
        self.lock = threading.Lock()
        self.stopping = False

    def run_one(self, name: str) -> None:
        with self.lock:
            if self.stopping:
                return
            worker = subprocess.Popen([*self.command, "--worker", name], stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                      text=True, errors="replace", start_new_session=True)
            self.running.append(worker)
            print(f"{name}: started", flush=True)
        output = worker.communicate()[0]
        with self.lock:
            self.running.remove(worker)
            self.finish(name, output, worker.returncode)

    def finish(self, name: str, output: str, status: int) -> None:
        result = {"name": name, "passed": 0, "failed": 1, "skipped": 0, "cells": [], "times": {}}
        for line in output.splitlines():
            if line.startswith(RESULT):
                result = json.loads(line[len(RESULT):])
            elif not line.startswith("lab: "):
                print(line)
        self.results[name] = result
        if not result["times"]:
            print(f"  {name}: FAILED: its process ended with {status}\n{output[-2000:]}")
        print(runs.told(result), flush=True)

    def stop(self) -> None:
        with self.lock:
            self.stopping = True
            for worker in self.running:
                worker.send_signal(signal.SIGTERM)

    def run(self, names: list[str]) -> None:
        queue = list(reversed(names))

        def serve() -> None:
            while queue and not self.stopping:
                self.run_one(queue.pop())

        threads = [threading.Thread(target=serve) for _ in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except KeyboardInterrupt:
            self.stop()
            for thread in threads:
                thread.join()
            raise


def clear_left_behind() -> None:
    """Guests and files of a run of ours that was killed; those of one that still runs stay."""
    def is_left(name: str) -> bool:
        parts = name.split("-", 2)
        return parts[0] == PREFIX and len(parts) == 3 and parts[1].isdigit() and \
            not Path(f"/proc/{parts[1]}").exists()

    for guest in list(machine.guests()):
        if is_left(guest.name):
            print(f"ending {guest.name}, left behind by an earlier run", flush=True)
            machine.stop(guest.name)
    for lock in machine.run_root().glob(f".{PREFIX}-*.lock"):
        if is_left(lock.name[1:]):
            lock.unlink(missing_ok=True)
    runs.clear_places()


def build(names: list[str], account: Account) -> list[str]:
    """Builds kernels of our own that are not in the cache; those of NAMES that are there then."""
    wanted = built.missing([name for name in names if name in built.RECIPES])
    for i, name in enumerate(wanted):
        print(f"{name}: its kernel is built ({i + 1} of {len(wanted)})", flush=True)
        started = time.monotonic()
        try:
            built.fetch(name)
            print(f"{name}: built in {time.monotonic() - started:.0f} s", flush=True)
        except LabError as error:
            account.check(False, f"building the kernel of {name}", *str(error).split("\n")[-6:])
    lost = built.missing(wanted)
    if wanted and not built.missing(list(built.RECIPES)):
        built.clear_objects()
    return [name for name in names if name not in lost]


def skip(names: list[str]) -> int:
    """Nothing runs: some of the kernels would have to be built."""
    missing = built.missing(names)
    for name in names:
        why = "not in the cache" if name in missing else f"{missing[0]} is not in the cache"
        print(f"  {name}: skipped: {why}; `make check-kernels` builds what is missing")
    print(f"0 passed, 0 failed, {len(names)} skipped")
    return 0


def run_all(nunchi: Path, names: list[str], keep: bool, record: str) -> int:
    clear_left_behind()
    command = [sys.executable, str(Path(__file__).resolve()), str(nunchi)]
    workers, started = Workers(command + ["--keep"] * keep), time.monotonic()
    runs.end_in_order()
    builds = Account("builds")
    try:
        names = build(names, builds)
        workers.run(names)
    except KeyboardInterrupt as interrupt:
        print(f"ended by {interrupt}; the guests are ended too", flush=True)
        return 130
    results = [workers.results[name] for name in names] + [builds.result()] * bool(builds.failed)
    took = f"{len(results)} guests in {time.monotonic() - started:.0f} s"
    return runs.finish(results, "guest", took, nunchi.parent / record)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nunchi", type=Path)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these guests alone")
    parser.add_argument("--list", action="store_true", help="the guests there are")
    parser.add_argument("--keep", action="store_true", help="keep what was saved")
    parser.add_argument("--kernels", action="store_true",
                        help="guests with kernels of our own, if all of these are built")
    parser.add_argument("--build", action="store_true", help="the same; builds what is missing")
    parser.add_argument("--worker", metavar="NAME", help=argparse.SUPPRESS)
    args = parser.parse_args()
    configs = matrix.KERNELS if args.kernels or args.build else matrix.CONFIGS
    if args.list:
        for config in configs:
            print(f"{config.name:<14} {config.suite} {config.flavour}, {config.memory} MiB, "
                  f"{config.cpus} vCPU, {config.machine}, {config.backing}; "
                  f"{' '.join(config.tests)}")
        return 0
    names = args.only or [config.name for config in configs]
    for name in [*names, *([args.worker] if args.worker else [])]:
        if not matrix.find(name):
            parser.error(f"there is no guest {name}; --list shows them")
    if args.worker:
        return work_on(matrix.find(args.worker), Nunchi(args.nunchi.resolve()), args.keep)
    if args.kernels and not args.build and not args.only and built.missing(names):
        return skip(names)
    record = "kernels.json" if configs is matrix.KERNELS else "guests.json"
    return run_all(args.nunchi.resolve(), names, args.keep, record)


if __name__ == "__main__":
    sys.exit(main())
