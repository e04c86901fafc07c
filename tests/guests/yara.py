# SPDX-License-Identifier: LGPL-2.1-or-later
"""What nunchi yara finds: the arguments of a process and the first page of its program at the addresses
which the guest tells; and all that the program yara finds in the same file. nunchi strings: all that GNU strings finds there."""

from __future__ import annotations

import dataclasses
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import machine
from qmp import Qmp

from guests import pauses, raw
from guests.expressions import value
from guests.tool import Done, good_run

if TYPE_CHECKING:
    from guests.session import Subject

# Of the workload; it stands still.
ARGUMENT = " a  b "
RAM_RULES = r"""
rule banner : kernel text { strings: $a = "Linux version " $b = "swapper" condition: any of them }
rule wide_text { strings: $a = "Microsoft" wide nocase $b = "page" wide ascii condition: any of them }
rule programs { strings: $elf = { 7f 45 4c 46 (01 | 02) 01 01 [9] 0? 00 } condition: #elf > 2 }
rule words { strings: $w = /init_[a-z]{4,8}/ fullword condition: $w }
rule absent { strings: $a = "Linux version " condition: #a > 100000 }
"""
ENDLESS = "rule endless { condition: for all i in (0..1000000000) : (for all j in (0..1000000000) : (i + j >= 0)) }\n"
SECONDS_TO_END = 5.0
LEAST, MOST_TEXT = 24, 16384


@dataclasses.dataclass
class Told:
    """What the guest says of a process."""

    pid: int
    address: int  # of its arguments
    arguments: bytes
    start: int    # of the first mapping of its program
    program: str
    rules: Path


def told(subject: Subject, guest: machine.Guest) -> Told | None:
    pids = [row["pid"] for row in subject.a.rows["processes"] if ARGUMENT in (row["cmdline_args"] or [])]
    if not subject.account.check(len(pids) == 1, "yara: the process of the workload", str(pids)):
        return None
    place = f"/proc/{pids[0]}"
    lines = machine.execute(
        guest, f"cat {place}/stat; readlink {place}/exe; grep -m1 ' 00000000 .* /' {place}/maps; "
        f"od -An -v -tx1 <{place}/cmdline").decode().splitlines()
    arguments = bytes.fromhex("".join(lines[3:]))
    # arg_start is the 48th; the name, which may have spaces, is the second.
    address = int(lines[0].rpartition(")")[2].split()[48 - 3])
    path = subject.work / "process.yar"
    path.write_text("rule arguments { strings: $a = { " + arguments.hex(" ") + " } condition: $a }\n"
                    "rule program { strings: $elf = { 7f 45 4c 46 } condition: $elf }\n", encoding="ascii")
    return Told(pids[0], address, arguments, int(lines[2].partition("-")[0], 16), lines[1], path)


def check_process(subject: Subject, form: str, target: str | Path, said: Told, *options: str) -> None:
    account, nunchi = subject.account, subject.nunchi
    options = (*options, *subject.options)
    done = nunchi.run("yara", target, said.rules, "--pid", str(said.pid), "--json", *options)
    if not good_run(account, done, f"yara, {form}"):
        return
    found = {(row["rule"], int(row["address"], 16)): row for row in done.rows}
    arguments = found.get(("arguments", said.address))
    if account.check(arguments is not None, f"yara, {form}: no arguments at {said.address:#x}", *map(str, found)):
        physical = nunchi.run("translate", target, hex(said.address), "--pid", str(said.pid), "--json", *options)
        account.check(arguments["physical"] == physical.rows[-1]["physical"] and
                      arguments["length"] == len(said.arguments) and arguments["pid"] == said.pid and
                      arguments["path"] == "[stack]" and arguments["offset"] is None,
                      f"yara, {form}: the arguments", str(arguments), str(physical.rows[-1]))
    done = nunchi.run("strings", target, "--pid", str(said.pid), "--json", *options)
    # The argument begins behind the end of the one before.
    place = said.address + said.arguments.index(ARGUMENT.encode())
    account.check(any(int(row["address"], 16) == place and row["text"] == ARGUMENT and row["path"] == "[stack]"
                      for row in done.rows), f"strings, {form}: no argument at {place:#x}", done.first_error)
    program = found.get(("program", said.start))
    account.check(program is not None and program["path"] == said.program and program["offset"] == 0,
                  f"yara, {form}: the program", str(program), *map(str, found))


def of_yara(path: Path, rules: Path) -> tuple[set[tuple[str, str, int]], float]:
    started = time.monotonic()
    done = subprocess.run(["yara", "-w", "-s", rules, path], capture_output=True, text=True, errors="replace",
                          timeout=120, check=True)
    found, rule = set(), ""
    for line in done.stdout.splitlines():
        match = re.match(r"0x([0-9a-f]+):(\$\w+): ", line)
        if match:
            found.add((rule, match[2], int(match[1], 16)))
        else:
            rule = line.split()[0]
    return found, time.monotonic() - started


def check_ram(subject: Subject, path: Path) -> None:
    """The raw file's offsets are addresses."""
    account = subject.account
    if not shutil.which("yara"):
        account.skip("yara is not installed")
        return
    rules = subject.work / "ram.yar"
    rules.write_text(RAM_RULES, encoding="ascii")
    done: Done = subject.nunchi.run("yara", path, rules, "--json", *subject.options)
    if not good_run(account, done, "yara, RAM"):
        return
    ours = {(row["rule"], row["string"], int(row["physical"], 16)) for row in done.rows}
    want, seconds = of_yara(path, rules)
    account.check(ours == want and len(ours) == len(done.rows) and {"banner", "programs"} <= {row[0] for row in ours},
                  f"yara, RAM: {len(ours)} matches, yara {len(want)}",
                  *map(str, sorted(ours ^ want)[:10]))
    account.say(f"yara: {len(ours)} matches in RAM in {done.seconds:.1f} s, yara {seconds:.1f} s")


def check_strings(subject: Subject, path: Path) -> None:
    """Against GNU strings, on the same file."""
    account = subject.account
    for encoding, letter in (("ascii", "s"), ("utf-16le", "l")):
        done = subject.nunchi.run("strings", path, "--min", str(LEAST), "--where", f"encoding={encoding}",
                                  "--columns", "physical,text", "--json", *subject.options)
        if not good_run(account, done, f"strings, {encoding}"):
            return
        ours = [(int(row["physical"], 16), row["text"]) for row in done.rows]
        text = subprocess.run(["strings", "-a", "-n", str(LEAST), "-t", "d", "-e", letter, path], timeout=120,
                              capture_output=True, text=True, errors="replace", check=True).stdout
        lines = [line.lstrip(" ").partition(" ") for line in text.split("\n")[:-1]]
        want = [(int(address), text[:MOST_TEXT]) for address, _, text in lines]
        account.check(ours == want and (encoding != "ascii" or len(ours) > 100),
                      f"strings, {encoding}: {len(ours)}, GNU strings {len(want)}",
                      *(str(one)[:200] for one in sorted(set(ours) ^ set(want))[:6]))
        account.say(f"strings: {len(ours)} of {encoding} in {done.seconds:.1f} s")


def check_others(subject: Subject, pid: int) -> None:
    """A process whose page table lies nowhere: the others are looked at, and the status tells of it."""
    account, nunchi, options = subject.account, subject.nunchi, subject.options
    words = ("strings", subject.raw, "--all", "--min", "64", "--columns", "pid,text", "--json")
    whole = nunchi.run(*words, *options)
    task = nunchi.show(subject.raw, "processes", "--where", f"pid={pid}", *options).rows[0]["task"]
    place = int(value(subject, f"(unsigned long)&((struct task_struct *){task})->mm->pgd"), 0)
    with raw.opened(subject.raw) as image:
        image.write(nunchi.physical(subject.raw, place, *options), b"\xf8" * (4 if subject.config.is_32bit else 8))
        done = nunchi.run(*words, *options)
        image.restore()
    want = [row for row in whole.rows if row["pid"] != pid]
    account.check(whole.status == 0 and done.status == 1 and done.rows == want and len(want) < len(whole.rows) and
                  f"process {pid} cannot be reached" in done.err,
                  f"strings, one page table of all is nowhere: {len(done.rows)} rows, not {len(want)}", done.err)


def check_ended(subject: Subject, guest: machine.Guest) -> None:
    """A scan that a signal ends in the middle, with the guest held, lets it go on and leaves no process."""
    account, rules = subject.account, subject.work / "endless.yar"
    rules.write_text(ENDLESS, encoding="ascii")
    with Qmp(guest.qmp) as qmp:
        for number in (signal.SIGINT, signal.SIGKILL):
            process = subprocess.Popen(
                [subject.nunchi.path, "yara", f"qemu:{guest.name}", rules, "--pid", "1", "--pause", "always",
                 *subject.options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
            deadline = time.monotonic() + 20
            while pauses.is_running(qmp) and time.monotonic() < deadline:
                time.sleep(0.01)
            held = not pauses.is_running(qmp)
            process.send_signal(number)
            started = time.monotonic()
            process.wait(timeout=120)
            account.check(held and time.monotonic() - started < SECONDS_TO_END,
                          f"yara, {number.name}: held {held}, ended after {time.monotonic() - started:.1f} s")
            account.check(pauses.wait_running(qmp), f"yara, {number.name}: the guest stands still")
            deadline = time.monotonic() + SECONDS_TO_END
            while (left := processes_of(process.pid)) and time.monotonic() < deadline:
                time.sleep(0.05)
            account.check(not left, f"yara, {number.name}: processes are left", str(left))


def processes_of(session: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text(errors="replace").rpartition(")")[2].split()[3]) == session:
                found.append(int(path.parent.name))
        except OSError:
            pass
    return found


def look(subject: Subject, guest: machine.Guest) -> Told | None:
    """The running guest; what it says is for check()."""
    said = told(subject, guest)
    if said:
        target = f"qemu:{guest.name}"
        check_process(subject, "live", target, said)
        check_process(subject, "live, paused", target, said, "--pause", "always")
        check_ended(subject, guest)
    return said


def check(subject: Subject, said: Told | None) -> None:
    """The saved guest."""
    if said:
        check_process(subject, "saved", subject.raw, said)
        check_others(subject, said.pid)
    check_ram(subject, subject.raw)
    check_strings(subject, subject.raw)
