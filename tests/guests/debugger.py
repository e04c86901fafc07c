# SPDX-License-Identifier: LGPL-2.1-or-later
"""What real gdb shows by "nunchi gdb" is what nunchi's own commands show of the same guest."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import machine

if TYPE_CHECKING:
    from guests.session import Subject
    from guests.tool import Nunchi

HERE = Path(__file__).resolve().parent
SECONDS = 120.0
# The thread of vCPU n has this number + n.
VCPU = 1000000000
SYMBOLS = ("linux_banner", "init_task", "jiffies", "init_uts_ns", "schedule", "sys_call_table")
# Each fails, by whose word it may.
REFUSED = {"set var $rip = 1": "nunchi shows the guest read-only",
           "set var *(char *)ADDRESS = 1": "Cannot access memory",
           "stepi": "", "x/x 0": "Cannot access memory at address 0x0"}


def gdb(nunchi: Path, target: str | Path, order: dict[str, Any], *options: str | Path,
        before: tuple[str, ...] = ()) -> tuple[dict[str, Any] | None, str]:
    """What in_gdb.py found, None if there is nothing; and all that gdb printed."""
    server = shlex.join([str(nunchi), "gdb", str(target), "--stdio", *map(str, options)])
    # Reading types from DWARF takes seconds on a busy machine.
    lines = ("set pagination off", "set confirm off", "set remotetimeout 60", *before, f"target remote | {server}",
             f"python ORDER = {order!r}", f"source {HERE / 'in_gdb.py'}")
    command = ["gdb", "-nx", "-batch", *(part for line in lines for part in ("-ex", line))]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return None, f"gdb did not end within {SECONDS:.0f} s"
    text = done.stdout + done.stderr
    if ">>>" not in done.stdout:
        return None, text
    return json.loads(done.stdout.partition("<<<")[2].partition(">>>")[0]), text


def bytes_of(nunchi: Nunchi, target: str | Path, address: int, size: int,
             *options: str | Path) -> str:
    rows = nunchi.run("read", target, hex(address), str(size), "--json", *options).rows
    return "".join(row["hex"] for row in rows)


def names_of(subject: Subject, target: str | Path) -> dict[int, str]:
    """The names of the tasks, escaped as gdb is given them; CSV has one escape more at the start."""
    done = subject.nunchi.run("show", target, "threads", "--csv", "--columns", "tid,name",
                              *subject.options)
    rows = csv.reader(done.out.decode().splitlines())
    next(rows)
    return {int(row[0]): row[1].removeprefix("\\") if row[1].startswith(("\\<", "\\-")) else row[1]
            for row in rows}


def check_threads(subject: Subject, form: str, target: str | Path, threads: list[dict],
                  vcpus: int) -> None:
    """Each task that nunchi lists is one of gdb's threads, or runs on one of the vCPUs."""
    account = subject.account
    names = names_of(subject, target)
    got = {row["tid"]: row["name"] for row in threads}
    cpus = {tid: name for tid, name in got.items() if tid >= VCPU}
    account.check(sorted(cpus) == [VCPU + i for i in range(vcpus)], f"{form}: vCPUs", str(cpus))
    running = {name.partition(": ")[2] for name in cpus.values()}
    lost = [name for tid, name in names.items() if tid not in got and
            not any(name.startswith(one) for one in running)]
    account.check(not lost, f"{form}: tasks that are no threads", *lost)
    wrong = [f"{tid}: {name!r}" for tid, name in got.items()
             if tid < VCPU and names.get(tid) != (name or "")]
    account.check(not wrong and len(got) > 10, f"{form}: threads of {len(got)}", *wrong)


def check_saved(subject: Subject, form: str, target: str | Path, threads: list[dict],
                registers: tuple[str, str]) -> None:
    """A task that does not run stands in the kernel's code, with its stack pointer in its stack."""
    account, nunchi = subject.account, subject.nunchi
    rows = {row["tid"]: row for row in nunchi.show(target, "threads", *subject.options).rows}
    pc, sp = registers
    code: dict[int, str] = {}
    compared = 0
    for thread in threads:
        row = rows.get(thread["tid"])
        if thread["tid"] >= VCPU or row is None or thread[pc] is None:
            continue
        if thread[pc] not in code:
            found = nunchi.run("symbol", target, hex(thread[pc]), "--json", *subject.options).rows
            code[thread[pc]] = found[0]["name"] if found else ""
        good = code[thread[pc]] in ("__schedule", "ret_from_fork", "ret_from_fork_asm",
                                    "__switch_to_asm")
        account.check(good, f"{form}: thread {thread['tid']} is in {code[thread[pc]]}")
        if compared < 8:
            done = nunchi.run("print", target, f"((struct task_struct *){row['task']})->stack",
                              "--json", *subject.options)
            stack = int(str(done.rows[0]["value"]).split()[0], 0)
            account.check(stack < thread[sp] <= stack + 65536,
                          f"{form}: the stack of thread {thread['tid']}",
                          hex(stack), hex(thread[sp]))
        compared += 1
    account.check(compared * 2 > len(threads), f"{form}: {compared} of {len(threads)} threads "
                  "have registers")


def check_processes(subject: Subject, form: str, target: str | Path, text: str) -> None:
    rows = subject.nunchi.show(target, "processes", *subject.options).rows
    lines = {line.split(maxsplit=1)[0]: line for line in text.splitlines() if line.strip()}
    # Others are escaped, which check_threads() compares.
    plain = [row for row in rows if row["name"].isascii() and row["name"].isprintable() and
             "\\" not in row["name"] and row["name"].split()]
    lost = [row for row in plain if row["name"].split()[0] not in lines.get(str(row["pid"]), "")]
    subject.account.check(not lost and len(plain) > 5, f"{form}: info os processes",
                          *map(str, lost))


def check(subject: Subject, form: str, target: str | Path, vcpus: int, still: bool) -> None:
    account, nunchi, options = subject.account, subject.nunchi, subject.options
    narrow = subject.config.is_32bit
    registers = ("eip", "esp") if narrow else ("rip", "rsp")
    places = [(nunchi.address(target, name, *options), 64) for name in SYMBOLS]
    refused = {command.replace("ADDRESS", hex(places[0][0])).replace("rip", registers[0]): word
               for command, word in REFUSED.items()}
    order = {"registers": list(registers), "memory": [*places, (0, 4)],
             "commands": ["info os processes", *refused]}
    seen, text = gdb(nunchi.path, target, order, *options)
    if not account.check(seen is not None, f"{form}: gdb", *text.splitlines()[-6:]):
        return
    for (address, size), got in zip(places, seen["memory"]):
        want = bytes_of(nunchi, target, address, size, *options)
        # jiffies of a running guest goes on.
        account.check(got == want or (not still and len(got or "") == len(want)),
                      f"{form}: memory at {address:#x}", str(got), want)
    account.check(seen["memory"][-1] is None, f"{form}: memory at 0")
    for command, word in refused.items():
        account.check(word in seen["says"][command] and
                      (seen["says"][command].startswith("error") or command == "stepi"),
                      f"{form}: {command}", seen["says"][command])
    account.check("Remote failure reply: E.nunchi shows the guest read-only" in text,
                  f"{form}: stepi", *text.splitlines()[-6:])
    if still:
        check_threads(subject, form, target, seen["threads"], vcpus)
        check_saved(subject, form, target, seen["threads"], registers)
        check_processes(subject, form, target, seen["says"]["info os processes"])
    else:
        account.check(len(seen["threads"]) > 10, f"{form}: {len(seen['threads'])} threads")
    account.say(f"gdb, {form}: {len(seen['threads'])} threads")


def check_backtraces(subject: Subject) -> None:
    """With the kernel's own symbols and tables each task that sleeps has a way back to its start."""
    account, nunchi = subject.account, subject.nunchi
    image = subject.work / "gdb-kernel.elf"
    nunchi.run("export", subject.raw, "elf", "-o", image, *subject.options)
    target = subject.work / "own.elf"
    order = {"backtraces": True, "commands": ["info symbol schedule", "x/i schedule",
                                              "x/s (char *)&linux_banner"]}
    seen, text = gdb(nunchi.path, target, order, *subject.options, before=(f"file {image}",))
    image.unlink()
    if not account.check(seen is not None, "gdb, symbols", *text.splitlines()[-6:]):
        return
    says = seen["says"]
    account.check(says["info symbol schedule"].startswith("schedule in section .text"),
                  "gdb: info symbol", says["info symbol schedule"])
    account.check("<schedule>:" in says["x/i schedule"], "gdb: x/i", says["x/i schedule"])
    account.check('"Linux version ' in says["x/s (char *)&linux_banner"], "gdb: linux_banner")
    tasks = {row["tid"]: row for row in nunchi.show(target, "threads").rows}
    wrong, compared = [], 0
    for thread in seen["threads"]:
        task, names = tasks.get(thread["tid"]), thread["backtrace"]
        if task is None or names[:1] == ["ret_from_fork"]:
            continue
        if task["state"] == "Z":
            # Its stack was given back.
            account.check(names == [None], f"gdb: zombie {thread['tid']}", str(names))
            continue
        compared += 1
        start = ("ret_from_fork", "ret_from_fork_asm") if task["is_kernel_thread"] else (
            "entry_SYSCALL_64_after_hwframe", "entry_INT80_compat", "int80_emulation",
            "asm_int80_emulation", "asm_exc_page_fault", "asm_sysvec_apic_timer_interrupt",
            "asm_sysvec_reschedule_ipi", "ret_from_fork_asm")
        if names[:1] != ["__schedule"] or not set(start) & set(names):
            wrong.append(f"{thread['tid']} {thread['name']}: {names}")
    account.check(not wrong and compared > 20, f"gdb: {len(wrong)} of {compared} backtraces",
                  *wrong)
    account.say(f"gdb: {compared} backtraces")


def run(subject: Subject) -> None:
    """The saved guest: the raw file has no registers, the core has those of all vCPUs."""
    if not subject.account.check(bool(shutil.which("gdb")), "gdb is not installed"):
        return
    check(subject, "gdb, raw", subject.raw, 0, True)
    check(subject, "gdb, elf", subject.work / "own.elf", subject.config.cpus, True)
    # Of a 32-bit kernel there is no ORC.
    if not subject.config.is_32bit:
        check_backtraces(subject)


def calls(guest: machine.Guest, pids: list[int]) -> dict[int, list[str]]:
    """/proc/PID/syscall: the number of the call, its arguments, the stack pointer, the next one."""
    command = "; ".join(f"echo {pid} $(cat /proc/{pid}/syscall)" for pid in pids)
    lines = machine.execute(guest, command, 60).decode().splitlines()
    return {int(line.split()[0]): line.split()[1:] for line in lines if line.strip()}


def check_process(subject: Subject, guest: machine.Guest) -> None:
    """A process that waits in a system call, against the guest's own /proc before and after."""
    account, nunchi, options = subject.account, subject.nunchi, subject.options
    target = f"qemu:{guest.name}"
    narrow = subject.config.is_32bit
    pc, sp, number = ("eip", "esp", "orig_eax") if narrow else ("rip", "rsp", "orig_rax")
    rows = nunchi.show(target, "processes", *options).rows
    pids = [row["pid"] for row in rows
            if not row["is_kernel_thread"] and row["state"] == "S"][1:7]
    before, compared = calls(guest, pids), 0
    for pid in pids:
        seen, text = gdb(nunchi.path, target, {"registers": [pc, sp, number],
                                               "commands": ["info auxv"]},
                         "--pid", str(pid), *options)
        what = before.get(pid, [])
        if what != calls(guest, [pid]).get(pid) or len(what) != 9:
            continue
        compared += 1
        if not account.check(seen is not None, f"gdb --pid {pid}", *text.splitlines()[-6:]):
            continue
        thread = next(row for row in seen["threads"] if row["tid"] == pid)
        account.check([hex(thread[sp]), hex(thread[pc])] == what[7:] and
                      thread[number] == int(what[0]),
                      f"gdb --pid {pid}: registers", str(thread), str(what))
        account.check("AT_ENTRY" in seen["says"]["info auxv"], f"gdb --pid {pid}: info auxv",
                      seen["says"]["info auxv"])
    account.check(compared > 1, f"gdb --pid: {compared} of {len(pids)} processes compared",
                  str(before))


def look(subject: Subject, guest: machine.Guest) -> None:
    """The running guest, and held as long as gdb is connected."""
    target = f"qemu:{guest.name}"
    check_process(subject, guest)
    check(subject, "gdb, running", target, subject.config.cpus, False)
    check_held(subject, target)


def check_held(subject: Subject, target: str) -> None:
    """jiffies stands still as long as gdb is connected, and goes on afterwards."""
    account, nunchi, options = subject.account, subject.nunchi, subject.options
    form, jiffies = "gdb, held", nunchi.address(target, "jiffies", *options)
    first, second = f"x/4xb {jiffies:#x}", f"x/4bx {jiffies:#x}"
    order = {"registers": ["pc"], "commands": [
        first, "python import time; time.sleep(3)", "maintenance flush dcache", second]}
    seen, text = gdb(nunchi.path, target, order, "--pause", "always", *options)
    if not account.check(seen is not None and len(seen["threads"]) > 10, form,
                         *text.splitlines()[-6:]):
        return
    says = seen["says"]
    account.check("0x" in says[first] and says[first] == says[second], f"{form}: jiffies",
                  says[first], says[second])
    before, end = bytes_of(nunchi, target, jiffies, 4, *options), time.monotonic() + 20
    while (after := bytes_of(nunchi, target, jiffies, 4, *options)) == before and \
            time.monotonic() < end:
        time.sleep(0.5)
    account.check(after != before, f"{form}: the guest does not run again", before)
