# SPDX-License-Identifier: LGPL-2.1-or-later
"""What nunchi does to a running guest: for how long it stops, that it goes on in any case."""

from __future__ import annotations

import json
import random
import resource
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import machine
from qmp import Qmp

from guests import flicker
from guests.tool import Account, Nunchi, good_run

ROUNDS = 9
KILLS = 36
# The guard notices that nunchi is gone by a pipe that closes.
RESUME_SECONDS = 5.0


def empty_pause(qmp: Qmp) -> float:
    started = time.perf_counter()
    qmp.command("stop")
    qmp.command("cont")
    return (time.perf_counter() - started) * 1e6


def measure(nunchi: Nunchi, account: Account, guest: machine.Guest, qmp: Qmp) -> None:
    """Printed, not judged: a loaded machine is no fault of ours."""
    target = f"qemu:{guest.name}"
    empty = [empty_pause(qmp) for _ in range(ROUNDS)]
    for view in ("processes", "process_memory_map", "process_open_files"):
        paused = []
        for _ in range(ROUNDS):
            done = nunchi.show(target, view, "--pause", "always", "--timing")
            if not good_run(account, done, f"{view} --pause always --timing"):
                return
            paused.append(json.loads(done.err.strip().split("\n")[-1])["paused_us"])
        account.say(f"{view}, --pause always: stops the guest for {statistics.median(paused):.0f} "
                    f"us (of {ROUNDS}: {min(paused)} to {max(paused)}); an empty stop and cont "
                    f"takes {statistics.median(empty):.0f} us ({min(empty):.0f} to "
                    f"{max(empty):.0f})")
        account.check(min(paused) > 0, f"{view} --pause always: paused_us is 0")
    for mode in ("never", "auto"):
        done = nunchi.show(target, "kernel_modules", "--pause", mode, "--timing")
        spent = json.loads(done.err.strip().split("\n")[-1])["paused_us"]
        account.check(spent == 0, f"kernel_modules --pause {mode} pauses for {spent} us")


def is_running(qmp: Qmp) -> bool:
    return bool(qmp.command("query-status")["running"])


def wait_running(qmp: Qmp) -> bool:
    deadline = time.monotonic() + RESUME_SECONDS
    while not is_running(qmp):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def was_stopped(qmp: Qmp, moment: float) -> bool:
    """By QEMU's events, whether the guest stood still at that time: the guard is quick."""
    stopped = False
    for event in qmp.events:
        clock = event["timestamp"]
        if clock["seconds"] + clock["microseconds"] / 1e6 <= moment:
            stopped = event["event"] == "STOP" or stopped and event["event"] != "RESUME"
    return stopped


def kills(nunchi: Nunchi, account: Account, guest: machine.Guest, qmp: Qmp, work: Path) -> None:
    """Killed outright at any moment, nunchi leaves the guest running."""
    target, rng = f"qemu:{guest.name}", random.Random(1)
    commands = (["show", target, "process_memory_map", "--pause", "always"],
                ["snapshot", target, str(work / "killed.elf"), "--pause", "always"])
    stopped = left = 0
    qmp.events.clear()
    for i in range(KILLS):
        victim = subprocess.Popen([nunchi.path, *commands[i % 2]], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(rng.uniform(0.0, 0.08))
            killed = time.time()
            victim.send_signal(signal.SIGKILL)
        finally:
            victim.wait()
        left += not wait_running(qmp)
        stopped += was_stopped(qmp, killed)
        qmp.events.clear()
        for path in work.glob("*killed*"):
            path.unlink()
    account.say(f"killed {KILLS} times, {stopped} times with the guest stopped at that moment")
    account.check(left == 0, f"killed {KILLS} times, nunchi left the guest stopped {left} times")
    account.check(stopped > 0, "no kill met the guest stopped")


def interrupted(nunchi: Nunchi, account: Account, guest: machine.Guest, qmp: Qmp,
                work: Path) -> None:
    """Ctrl-C during a snapshot: no file is left, the guest runs, the exit code says so."""
    target = work / "interrupted.elf"
    victim = subprocess.Popen([nunchi.path, "snapshot", f"qemu:{guest.name}", target, "--pause",
                               "always"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE)
    deadline = time.monotonic() + 10
    while is_running(qmp) and victim.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    victim.send_signal(signal.SIGINT)
    said = victim.communicate(timeout=20)[1]
    account.check(victim.returncode in (130, -signal.SIGINT, 0),
                  f"interrupted, snapshot ends with {victim.returncode}")
    account.check(victim.returncode != 130 or b"runs on" in said,
                  "interrupted, snapshot does not say that the guest runs on", repr(said))
    account.check(wait_running(qmp), "interrupted, nunchi left the guest stopped")
    left = list(work.glob("*interrupted*"))
    account.check(not left or victim.returncode == 0, "interrupted, snapshot left a file",
                  str(left))
    for path in left:
        path.unlink()


def confined(nunchi: Nunchi, account: Account, guest: machine.Guest) -> None:
    """What a confined process can do, and that its pause ends with it."""
    tool = nunchi.path.parent / "tests/confined/confined"
    for arguments in ([f"qemu:{guest.name}"], ["killed", f"qemu:{guest.name}"]):
        done = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=60,
                              check=False)
        account.check(done.returncode == 0, f"confined {arguments[0]}",
                      (done.stdout + done.stderr)[-2000:])


# Limits of the host's, each with whether all commands have to succeed within it.
LIMITS = (("a stack of 256 KiB", resource.RLIMIT_STACK, 256 << 10, True),
          ("a stack of 64 KiB", resource.RLIMIT_STACK, 64 << 10, True),
          ("24 descriptors", resource.RLIMIT_NOFILE, 24, True),
          ("14 descriptors", resource.RLIMIT_NOFILE, 14, False),
          ("60 MB of addresses", resource.RLIMIT_AS, 60 << 20, False),
          ("20 MB of addresses", resource.RLIMIT_AS, 20 << 20, False),
          ("files of 100 KiB", resource.RLIMIT_FSIZE, 100 << 10, False))
LIMIT_SECONDS = 30


def limits(nunchi: Nunchi, account: Account, guest: machine.Guest, qmp: Qmp, work: Path) -> None:
    """Each command ends well or with a word within small limits, and the guest runs on."""
    target, saved = f"qemu:{guest.name}", work / "limited.elf"
    commands = (["list"], ["info", target], ["ps", target], ["modules", target], ["log", target],
                ["show", target, "processes", "--pause", "always"], ["symbol", target, "init_task"],
                ["type", target, "list_head"], ["translate", target, "init_task"],
                ["read", target, "init_task", "64"], ["views"], ["doctor", "--brief"],
                ["snapshot", target, saved])
    for what, limit, value, whole in LIMITS:
        for command in commands:
            with tempfile.TemporaryFile() as out:
                done = subprocess.run(
                    [nunchi.path, *command], stdin=subprocess.DEVNULL, stdout=out, text=True,
                    stderr=subprocess.PIPE, timeout=LIMIT_SECONDS, check=False,
                    preexec_fn=lambda: resource.setrlimit(limit, (value, value)))
            name = f"{command[0]} within {what}"
            account.check(done.returncode == 0 or (done.returncode == 1 and not whole),
                          f"{name} ends with {done.returncode}", done.stderr)
            account.check(done.returncode == 0 or "nunchi: " in done.stderr,
                          f"{name} does not say why it fails")
            account.check("is not installed" not in done.stderr,
                          f"{name} says that something is missing", done.stderr)
            saved.unlink(missing_ok=True)
        account.check(wait_running(qmp), f"within {what}, nunchi left the guest stopped")


def run(nunchi: Nunchi, account: Account, guest: machine.Guest, work: Path) -> None:
    with Qmp(guest.control) as qmp:
        measure(nunchi, account, guest, qmp)
        kills(nunchi, account, guest, qmp, work)
        interrupted(nunchi, account, guest, qmp, work)
        confined(nunchi, account, guest)
        limits(nunchi, account, guest, qmp, work)
        flicker.run(nunchi, account, guest, qmp)
        account.check(is_running(qmp), "after all of it the guest does not run")
    # It still answers.
    account.check(machine.execute(guest, "echo alive") == b"alive\n", "the guest does not answer")
