# SPDX-License-Identifier: LGPL-2.1-or-later
"""A hostile guest that runs: its kernel's words change at random, faster than nunchi can read them.

The guest's vCPUs stand still, so that what changes is changed by this program alone, in the file of its
RAM, and is as before at the end. For nunchi it is a guest that runs: nunchi did not pause it.
"""

from __future__ import annotations

import collections
import mmap
import random
import select
import struct
import subprocess
import sys
import time
from pathlib import Path

CANDIDATES = 150_000
SAMPLES = 6_000_000
OUTSTANDING = 1500  # words that are wrong at the same time
SECONDS = 30.0
PS_SECONDS = 8.0
MOST_SECONDS = 40.0
# With a guest that tells nothing but lies an error is as right as rows.
GOOD = (0, 1)
COMMANDS = (("ps",), ("show", "processes", "--pause", "never"), ("show", "threads"),
            ("show", "kernel_modules"), ("show", "process_open_files"),
            ("show", "process_memory_map"), ("show", "process_envs"), ("show", "mounts"), ("log",),
            ("show", "system_info"), ("show", "uptime"), ("info",))


# ---- The program that changes words ------------------------------------------------------------


def pointers(memory: mmap.mmap, rng: random.Random) -> list[int]:
    """Offsets of words that look like pointers of the kernel."""
    found = []
    words = len(memory) // 8
    for _ in range(SAMPLES):
        at = rng.randrange(words) * 8
        if memory[at + 6:at + 8] == b"\xff\xff":
            found.append(at)
            if len(found) == CANDIDATES:
                break
    return found


def wrong(rng: random.Random, value: int, other: int) -> int:
    """Another pointer, one beside it, none, one with another bit, or nonsense."""
    kind = rng.randrange(6)
    if kind == 0:
        return other
    if kind == 1:
        return value + rng.choice((-64, -8, -1, 1, 8, 64, 4096)) & (1 << 64) - 1
    if kind == 2:
        return 0
    if kind == 3:
        return value ^ 1 << rng.randrange(64)
    return rng.getrandbits(64) if kind == 4 else (1 << 64) - 1


def flicker(ram: str, seed: int) -> None:
    """Until standard input ends. Two words beside a pointer are changed as often as it is."""
    rng, word = random.Random(seed), struct.Struct("<Q")
    with open(ram, "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        places = pointers(memory, rng)
        changed: dict[int, int] = {}  # in the order of their changes
        print(len(places), flush=True)
        steps = 0
        while steps % 256 or not select.select([sys.stdin], [], [], 0)[0]:
            steps += 1
            at = min(max(rng.choice(places) + rng.choice((0, 0, 8, -8)), 0), len(memory) - 8)
            if at not in changed:
                value = word.unpack_from(memory, at)[0]
                other = word.unpack_from(memory, rng.choice(places))[0]
                changed[at] = value
                word.pack_into(memory, at, wrong(rng, value, other))
            if len(changed) > OUTSTANDING:
                first = next(iter(changed))
                word.pack_into(memory, first, changed.pop(first))
        for at, value in changed.items():
            word.pack_into(memory, at, value)
        print(steps, flush=True)


# ---- The test ----------------------------------------------------------------------------------


def run(nunchi, account, guest, qmp, seconds: float = SECONDS, seed: int = 1) -> None:
    """No crash, no run without end, and at the end the guest is as it was."""
    if not guest.ram or not Path(guest.ram).exists():
        account.say("its RAM is no file: not tried with words that change")
        return
    target, rng = f"qemu:{guest.name}", random.Random(seed)
    statuses: collections.Counter[str] = collections.Counter()
    slowest: dict[str, float] = {}
    qmp.command("stop")
    changer = subprocess.Popen([sys.executable, __file__, str(guest.ram), str(seed)], text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        places = int(changer.stdout.readline())
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            name, *rest = rng.choice(COMMANDS)
            done = nunchi.run(name, target, *rest, timeout=MOST_SECONDS)
            words = " ".join((name, *rest[:1]))
            statuses[f"{words}: {done.status}"] += 1
            slowest[words] = max(slowest.get(words, 0), done.seconds)
            account.check(done.status in GOOD and not done.timed_out,
                          f"{words} of words that change ends with {done.status}", done.err[-600:])
            account.check(done.status == 0 or "nunchi: " in done.err,
                          f"{words} of words that change fails without a word")
            account.check(name != "ps" or done.seconds < PS_SECONDS,
                          f"ps of words that change takes {done.seconds:.1f} s")
        changer.stdin.close()
        steps = int(changer.stdout.readline())
        account.check(changer.wait(10) == 0, "the program that changes words ended early")
    finally:
        changer.kill()
        changer.wait()
        qmp.command("cont")
    account.say(f"{sum(statuses.values())} runs while {places} words changed {steps} times: "
                f"{dict(sorted(statuses.items()))}; slowest "
                f"{ {words: round(took, 1) for words, took in slowest.items()} }")
    done = nunchi.run("ps", target)
    account.check(done.status == 0, "after words changed and changed back, ps fails", done.err)


if __name__ == "__main__":
    flicker(sys.argv[1], int(sys.argv[2]))
