# SPDX-License-Identifier: LGPL-2.1-or-later
"""What nunchi trace shows of a program that writes down what it does (tests/oracle/tracee.c)."""

from __future__ import annotations

import collections
import fcntl
import json
import random
import signal
import subprocess
import time
from collections.abc import Callable
from os import major, minor
from typing import TYPE_CHECKING, Any

import machine
from qmp import Qmp

from guests.pauses import wait_running
from guests.tool import Account

if TYPE_CHECKING:
    from guests.session import Subject

# QEMU 7.2 without KVM forgets its translated code at each event: some 20 events a second.
ROUNDS = 3
ENDS = 6
PROBES = ("exec", "exit", "fork", "open", "file", "kill", "connect", "accept")
# Of these the row is complete when the event happens, not when the call returns.
AT_ONCE = ("exec", "exit", "fork", "file", "kill")
FOLDER = "/tmp/traced"
CONTAINER = "c0ffee" + 58 * "7"
READY_SECONDS = 30.0
Did = dict[int, list[str]]


class Trace:
    """A nunchi that traces a guest into a file."""

    def __init__(self, subject: Subject, guest: machine.Guest, *arguments: str) -> None:
        work, nunchi = subject.work, subject.nunchi
        self.path = work / "trace.json"
        self.errors = work / "trace.errors"
        self.guest = guest
        with open(self.path, "wb") as out, open(self.errors, "wb") as err:
            self.process = subprocess.Popen(
                [nunchi.path, "trace", f"qemu:{guest.name}", *subject.options, *arguments,
                 "--json"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err)

    def wait_ready(self, command: str = "/bin/busybox true") -> bool:
        """Until it shows what happens, which is this command."""
        deadline = time.monotonic() + READY_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            machine.execute(self.guest, command)
            if self.path.stat().st_size:
                return True
        return self.path.stat().st_size > 0

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text("utf-8").splitlines()]


# ---- What the program says ---------------------------------------------------------------------


def told(output: bytes) -> Did:
    """What each thread did, in its order, by the program's own record."""
    did: Did = collections.defaultdict(list)
    for line in output.decode().splitlines():
        tid, operation, text, result = line.split()
        if operation == "exited":
            did[int(text)].append(f"exit {result} None")
        elif operation == "signaled":
            did[int(text)].append(f"exit None {result}")
        elif operation == "exec":
            did[int(tid)].append(f"exec {text} {result}")
        elif operation != "done":
            did[int(tid)].append(f"{operation} {text} {result}")
    return did


# ---- What the trace says -----------------------------------------------------------------------


def shown(row: dict[str, Any]) -> str | None:
    """The row as the program would have written it; None for what it does not write."""
    probe = row["probe"]
    if probe == "open" and row["path"].startswith(FOLDER):
        return f"open {row['path']} {row['status']}"
    if probe == "file" and row["path"].startswith(FOLDER + "/"):
        # The kernel's own name for what open() does: the program writes down the open().
        if row["operation"] == "create":
            return None
        to = f"->{row['dest_path']}" if row["operation"] == "link" else ""
        to += f"->{row['owner']}:{row['group']}" if row["operation"] == "chown" else ""
        return f"{row['operation']} {row['path']}{to} 0"
    if probe == "fork" and not row["thread"]:
        return f"fork {row['child']} 0"
    if probe == "kill":
        return f"kill {row['target']} {row['signal']}"
    if probe == "exec":
        return f"exec {row['path']} {row['cmdline'].replace(' ', '_')}"
    if probe == "connect":
        where = row["socket"] or f"{row['remote_address']}:{row['remote_port']}"
        return f"connect {where} {row['status']}"
    if probe == "accept":
        return f"accept {row['remote_port']} 0"
    if probe == "exit":
        return f"exit {row['status']} {row['signal']}"
    return None


def sent(row: dict[str, Any]) -> str:
    address = f"{row['remote_address']}:{row['remote_port']}" if row["remote_address"] else "-"
    return f"{row['socket'] or address}/{row['size']}"


def protected(row: dict[str, Any]) -> str | None:
    # The C library changes the protection of its own memory, too.
    if row["address"] not in ("0x10000000", "0x10001000"):
        return None
    if row["executable"] != int("PROT_EXEC" in row["protection"]) or row["size"] != 4096:
        return f"wrong row {row}"
    return f"{row['address']}/{row['protection']}"


# The probes of what "tracee calls" does, and what it writes down.
CALLS: dict[str, Callable[[dict[str, Any]], str | None]] = {
    "bind": lambda row: f"{row['local_address']}:{row['local_port']}",
    "bpf": lambda row: f"{row['command']}/{row['type']}/{row['object']}",
    "capabilities": lambda row: "/".join(f"{int(row[name], 16):#018x}" for name in
                                         ("effective", "permitted", "inheritable")),
    "credentials": lambda row: f"{row['new_uid']}/{row['new_euid']}/{row['new_suid']}",
    "io_uring": lambda row: f"{row['operation']}/{row['entries']}/{row['user_data']}",
    "listen": lambda row: f"{row['local_address']}:{row['local_port']}/{row['backlog']}",
    "memfd_create": lambda row: f"{row['memfd_name']}/{row['flags']}",
    "mount": lambda row: "/".join(str(row[name]) for name in
                                  ("operation", "path", "device", "type", "flags")),
    "mprotect": protected,
    "namespace": lambda row: f"{row['operation']}/{row['flags']}/{row['fd']}",
    "prctl": lambda row: f"{row['option']}/{row['new_name']}",
    "process_vm": lambda row: "/".join(str(row[name]) for name in
                                       ("operation", "target", "address", "size")),
    "ptrace": lambda row: str(row["target"]),
    "send": sent,
}


# What the arguments have in them that "tracee syscalls" gives.
MARKS = ("/tmp/no-such-file", "0x10000000", "127.0.0.1", "SIGWINCH")


def shown_syscall(row: dict[str, Any]) -> str | None:
    text = row["arguments"] or ""
    if row["syscall"] == "write" or not any(mark in text for mark in MARKS):
        return None
    return (f"syscalls {row['abi']}/{row['syscall']}/{text.replace(' ', '')} "
            f"{row['error']}")


def shown_call(row: dict[str, Any]) -> str | None:
    if row["probe"] == "syscalls":
        return shown_syscall(row)
    text = CALLS[row["probe"]](row) if row["probe"] in CALLS else None
    return text and f"{row['probe']} {text} {row.get('status')}"


def seen(rows: list[dict[str, Any]], pids: set[int]) -> Did:
    """What each thread of those processes did, in the order of the rows."""
    did: Did = collections.defaultdict(list)
    for row in rows:
        text = (shown(row) or shown_call(row)) if row["pid"] in pids else None
        if text:
            did[row["tid"]].append(text)
    return did


def compare(account: Account, want: Did, got: Did, root: int, what: str) -> None:
    """Each thread of the program did what it says, in that order, and nothing else."""
    wrong = []
    events = sum(len(entries) for entries in want.values())
    for tid in sorted(want.keys() | got.keys()):
        expected, found = want.get(tid, []), got.get(tid, [])
        # Threads, and the program itself, do not tell of their own end and start.
        if found[-1:] == ["exit 0 None"] and expected[-1:] != ["exit 0 None"]:
            found = found[:-1]
        # What the shell did that started it, and that the program itself was started.
        starts = [i for i, entry in enumerate(found) if entry.startswith("exec ")]
        if tid == root and starts:
            found = found[starts[-1] + 1:]
        if expected != found:
            at = next((i for i, pair in enumerate(zip(expected, found)) if pair[0] != pair[1]),
                      min(len(expected), len(found)))
            wrong += [f"thread {tid}, event {at}:", f"  did   {expected[at:at + 4]}",
                      f"  trace {found[at:at + 4]}"]
    account.say(f"{what}: {events} events of {len(want)} threads, "
                f"{sum(1 for line in wrong if line.startswith('thread'))} threads wrong")
    account.check(events > 0 and not wrong, f"{what}: the trace is not what the program did",
                  *wrong[:12])


def check_process(account: Account, rows: list[dict[str, Any]]) -> None:
    """Columns that all probes have: names, parents, clocks."""
    times = [row["time"] for row in rows if row["probe"] in AT_ONCE]
    account.check(times == sorted(times), "the rows are not in the order of their times")
    account.check(all(abs(t - time.time()) < 3600 for t in times), "a row has an absurd time")
    account.check(all(row["uptime"] > 0 for row in rows), "a row has no guest's clock")
    account.check(all(row["name"] and row["uid"] == 0 and row["parent"] is not None
                      for row in rows), "a row lacks its process",
                  *[str(row) for row in rows if not row["name"]][:2])
    account.check(not any("env" in row for row in rows), "a row has an environment unasked")
    execs = [row for row in rows if row["probe"] == "exec"]
    account.check(all(row["cwd"] == "/" for row in execs), "a program's cwd is not /")


# ---- Tests -------------------------------------------------------------------------------------


def run_tracee(guest: machine.Guest, what: int | str) -> bytes:
    output = machine.execute(guest, f"tracee {what}", timeout=300)
    if b" done - 0\n" not in output[-64:]:
        raise AssertionError(f"the traced program did not come to its end: {output[-300:]!r}")
    return output


def root_of(output: bytes) -> int:
    return int(output.rsplit(b"\n", 2)[-2].split()[0])


def pids_of(did: Did, root: int) -> set[int]:
    return {root} | {int(entry.split()[1]) for entry in did[root] if entry.startswith("fork ")}


def all_events(subject: Subject, guest: machine.Guest) -> None:
    account = subject.account
    trace = Trace(subject, guest, *PROBES)
    if not account.check(trace.wait_ready(), "trace shows nothing",
                         trace.errors.read_text("utf-8")):
        trace.end(signal.SIGKILL)
        return
    started = time.monotonic()
    output = run_tracee(guest, ROUNDS)
    took = time.monotonic() - started
    status = trace.end()
    rows, said = trace.rows(), trace.errors.read_text("utf-8")
    root, want = root_of(output), told(output)
    account.check(status == 0, f"Ctrl-C: trace ends with {status}", said)
    account.check("rows were left out" not in said and "events in" in said, "what it cost", said)
    account.say(f"traced, the program takes {took:.1f} s: {said.strip().splitlines()[-1]}")
    check_process(account, rows)
    compare(account, want, seen(rows, pids_of(want, root)), root, "all probes")
    threads = [row for row in rows if row["probe"] == "fork" and row["thread"] and
               row["pid"] == root]
    account.check(len(threads) == 4 * ROUNDS + 1, f"{len(threads)} threads were seen")


def calls(subject: Subject, guest: machine.Guest) -> None:
    """System calls of which each has a probe."""
    account = subject.account
    trace = Trace(subject, guest, "exec", "file", *CALLS)
    ready = trace.wait_ready()
    if account.check(ready, "trace shows nothing", trace.errors.read_text("utf-8")):
        output = run_tracee(guest, "calls")
    status = trace.end()
    account.check(status == 0, f"trace of calls ends with {status}",
                  trace.errors.read_text("utf-8"))
    if ready:
        root = root_of(output)
        compare(account, told(output), seen(trace.rows(), {root}), root, "calls")


def syscalls(subject: Subject, guest: machine.Guest) -> None:
    """System calls with their arguments; each of the guest's stops it, so these are few."""
    account = subject.account
    trace = Trace(subject, guest, "syscalls")
    ready = trace.wait_ready(":")
    if account.check(ready, "trace shows no system calls", trace.errors.read_text("utf-8")):
        output = run_tracee(guest, "syscalls")
    status = trace.end()
    account.check(status == 0, f"trace of system calls ends with {status}",
                  trace.errors.read_text("utf-8"))
    if ready:
        root = root_of(output)
        compare(account, told(output), seen(trace.rows(), {root}), root, "system calls")


def in_container(subject: Subject, guest: machine.Guest) -> None:
    """Programs of one control group, with columns that are read only if they are named."""
    account, group = subject.account, f"/tmp/cgroup/docker-{CONTAINER}.scope"
    machine.execute(guest, "mkdir -p /tmp/cgroup && mount -t cgroup2 none /tmp/cgroup && "
                           f"mkdir -p {group}")
    number, device = machine.execute(guest, "stat -c '%i %D' /bin/tracee").decode().split()
    trace = Trace(subject, guest, "exec", "--container", CONTAINER[:6], "--columns",
                  "path,cmdline,container,inode,device,env")
    ready = trace.wait_ready(f"/bin/busybox true; echo $$ > {group}/cgroup.procs; "
                             "exec env -i A=1 B=two /bin/tracee status 0")
    status = trace.end()
    rows = [row for row in trace.rows() if row["path"] == "/bin/tracee"]
    account.check(ready and status == 0 and bool(rows), "trace of a container shows nothing",
                  trace.errors.read_text("utf-8"))
    account.check(all(row["container"] == CONTAINER for row in trace.rows()),
                  "a row of another container", *map(str, trace.rows()))
    want = (int(number), f"{major(int(device, 16)):02x}:{minor(int(device, 16)):02x}", "A=1 B=two")
    account.check(all((row["inode"], row["device"], row["env"]) == want for row in rows),
                  f"the program's file or environment is not {want}", *map(str, rows))


def out_of_memory(subject: Subject, guest: machine.Guest) -> None:
    """A program that needs more memory than its control group has; in_container() came before."""
    account, group = subject.account, "/tmp/cgroup/small"
    machine.execute(guest, "echo +memory > /tmp/cgroup/cgroup.subtree_control; "
                           f"mkdir -p {group} && echo 4194304 > {group}/memory.max")
    trace = Trace(subject, guest, "panic")
    ready = trace.wait_ready(f"sh -c 'echo $$ > {group}/cgroup.procs; "
                             "exec dd if=/dev/zero of=/dev/null bs=64M count=1' 2>/dev/null; true")
    status, rows = trace.end(), trace.rows()
    account.check(ready and status == 0 and bool(rows), "trace shows no lack of memory",
                  trace.errors.read_text("utf-8"))
    account.check(all((row["event"], row["name"], row["victim"]) == ("oom", "dd", row["pid"])
                      for row in rows), "another process is ended than dd", *map(str, rows))


def slow_reader(subject: Subject, guest: machine.Guest) -> None:
    """Nobody reads the output: rows are lost, and the guest goes on."""
    account = subject.account
    process = subprocess.Popen(
        [subject.nunchi.path, "trace", f"qemu:{guest.name}", *subject.options, "exec", "--json"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
        # 30 command lines of 7,000 bytes, and the pipe takes 4,096.
        machine.execute(guest, "for i in 1 2 3 4 5 6 7 8 9 10; do for j in 1 2 3; do /bin/busybox "
                               "true $(printf %07000d 0); done; sleep 0.2; done", timeout=60)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=30)[1].decode()
    finally:
        process.kill()
        process.wait()
    account.check(process.returncode == 0 and "rows were left out" in said,
                  "a reader that does not read", said)


def is_clean(guest: machine.Guest, qmp: Qmp) -> bool:
    """No gdb stub is left, and the guest runs."""
    left = [entry["label"] for entry in qmp.command("query-chardev")
            if "gdb" in entry["label"] or "nunchi" in entry["label"]]
    return not left and wait_running(qmp)


def ends(subject: Subject, guest: machine.Guest, qmp: Qmp) -> None:
    """Ended by any signal at any moment, nunchi leaves a guest that runs on."""
    rng, bad, account = random.Random(7), [], subject.account
    numbers = (signal.SIGKILL, signal.SIGINT, signal.SIGKILL, signal.SIGTERM, signal.SIGKILL,
               signal.SIGHUP)
    untraced = sorted(line.split(" ", 1)[1].split(" ")[0]
                      for line in run_tracee(guest, 1).decode().splitlines())
    for i in range(ENDS):
        trace = Trace(subject, guest, *PROBES)
        number = numbers[i % len(numbers)]
        if i % 3 and not trace.wait_ready():
            bad.append(f"{i}: not ready: {trace.errors.read_text('utf-8')}")
        time.sleep(rng.uniform(0.0, 0.4))
        status = trace.end(number)
        output = run_tracee(guest, 1)
        traced = sorted(line.split(" ", 1)[1].split(" ")[0]
                        for line in output.decode().splitlines())
        if traced != untraced:
            bad.append(f"{i}: ended by {number}: the program did something else")
        if not wait_running(qmp):
            bad.append(f"{i}: ended by {number} ({status}): the guest stands still")
    account.check(not bad, f"ended {ENDS} times", *bad[:6])
    # The next one clears what the killed ones have left in QEMU.
    trace = Trace(subject, guest, "exec", "--count", "1")
    account.check(trace.wait_ready() and trace.process.wait(timeout=30) == 0, "traced again",
                  trace.errors.read_text("utf-8"))
    account.check(is_clean(guest, qmp), "a gdb stub is left, or the guest stands still")


def run(subject: Subject, guest: machine.Guest) -> None:
    all_events(subject, guest)
    calls(subject, guest)
    syscalls(subject, guest)
    in_container(subject, guest)
    out_of_memory(subject, guest)
    slow_reader(subject, guest)
    with Qmp(guest.control) as qmp:
        ends(subject, guest, qmp)
