# SPDX-License-Identifier: LGPL-2.1-or-later
"""What rootkits and exploits change, written into a saved guest: nunchi check names each of them.

Each attack changes the file, one check must find it and no other may take fright, and the file is
put back.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import compare
import machine

from guests import raw
from guests.expressions import value

if TYPE_CHECKING:
    from guests.session import Subject

FOUND = 3  # the exit status
PAGE = raw.PAGE
# A module that has code, which no test needs, and one of its functions.
MODULE, FUNCTION = "dummy", "dummy_xmit"


class Victim:
    """The saved guest: words of its kernel by C expressions, and by addresses."""

    def __init__(self, subject: Subject, image: raw.Image) -> None:
        self.subject, self.image = subject, image
        self.word = 4 if subject.config.is_32bit else 8

    def get(self, expression: str) -> int:
        return int(value(self.subject, expression), 0)

    def symbol(self, name: str) -> int:
        return self.subject.nunchi.address(self.subject.raw, name, *self.subject.options)

    def write(self, address: int, data: bytes) -> None:
        physical = self.subject.nunchi.physical(self.subject.raw, address, *self.subject.options)
        self.image.write(physical, data)

    def put(self, address: int, *words: int) -> None:
        self.write(address, struct.pack(f"<{len(words)}{'I' if self.word == 4 else 'Q'}", *words))

    def member(self, struct_name: str, address: int, path: str) -> int:
        return self.get(f"&((struct {struct_name} *){address:#x})->{path}")

    def read(self, struct_name: str, address: int, path: str) -> int:
        return self.get(f"(unsigned long)((struct {struct_name} *){address:#x})->{path}")

    def unlink(self, struct_name: str, address: int, path: str) -> None:
        """list_del()"""
        after = self.read(struct_name, address, f"{path}.next")
        before = self.read(struct_name, address, f"{path}.prev")
        self.put(before, after)
        self.put(after + self.word, before)

    def process(self, number: int) -> dict[str, Any]:
        """The NUMBERth process of those that are programs with one thread."""
        rows = self.subject.nunchi.show(self.subject.raw, "processes", *self.subject.options).rows
        fit = [row for row in rows if not row["is_kernel_thread"] and row["threads"] == 1]
        return dict(fit[number], task=int(fit[number]["task"], 16))

    def module(self) -> int:
        rows = self.subject.nunchi.show(self.subject.raw, "kernel_modules",
                                        *self.subject.options).rows
        return int(next(row["module"] for row in rows if row["name"] == MODULE), 16)

    def hide_module(self) -> int:
        module = self.module()
        self.unlink("module", module, "list")
        return module

    def has(self, name: str) -> bool:
        done = self.subject.nunchi.run("symbol", self.subject.raw, name, *self.subject.options)
        return done.status == 0

    def hidden(self) -> tuple[int, int]:
        """A place with 256 zeros in the kernel's data, and a function whose module is hidden."""
        place, function = self.symbol("__log_buf"), self.symbol(FUNCTION)
        self.write(place, bytes(256))
        self.hide_module()
        return place, function


# Each gives the check that must find it, and what one of its rows must have.
Attack = Callable[[Victim], tuple[str, dict[str, Any]]]


def hide_process(victim: Victim) -> tuple[str, dict[str, Any]]:
    process = victim.process(1)
    victim.unlink("task_struct", process["task"], "tasks")
    return "processes", {"pid": process["pid"], "subject": process["name"]}


def take_id(victim: Victim) -> tuple[str, dict[str, Any]]:
    process = victim.process(2)
    pid = victim.read("task_struct", process["task"], "thread_pid")
    victim.put(victim.member("pid", pid, "tasks[PIDTYPE_PID].first"), 0)
    return "processes", {"pid": process["pid"], "found": "in the list of processes only"}


def hide_everywhere(victim: Victim) -> tuple[str, dict[str, Any]]:
    """Neither listed nor with an id: the parent still has it as a child."""
    process = victim.process(1)
    victim.unlink("task_struct", process["task"], "tasks")
    pid = victim.read("task_struct", process["task"], "thread_pid")
    victim.put(victim.member("pid", pid, "tasks[PIDTYPE_PID].first"), 0)
    return "processes", {"pid": process["pid"], "found": "among the children of its parent"}


def steal_credentials(victim: Victim) -> tuple[str, dict[str, Any]]:
    one, other = victim.process(0), victim.process(-1)
    victim.put(victim.member("task_struct", other["task"], "real_cred"),
               victim.read("task_struct", one["task"], "real_cred"))
    return "credentials", {"pid": other["pid"], "found": f"those of process {one['pid']}"}


def init_credentials(victim: Victim) -> tuple[str, dict[str, Any]]:
    process = victim.process(-1)
    victim.put(victim.member("task_struct", process["task"], "real_cred"),
               victim.symbol("init_cred"))
    return "credentials", {"pid": process["pid"], "found": "init_cred"}


def take_name(victim: Victim) -> tuple[str, dict[str, Any]]:
    process = victim.process(3)
    victim.write(victim.member("task_struct", process["task"], "comm"), b"kworker/0:7\0")
    return "impostors", {"pid": process["pid"], "severity": "warning"}


def take_name_of_others(victim: Victim) -> tuple[str, dict[str, Any]]:
    """A program whose first thread has ended, and with it the memory that leads to its file."""
    subject = victim.subject
    rows = subject.nunchi.show(subject.raw, "threads", *subject.options).rows
    leader = next(row for row in rows if row["name"] == "headless" and row["tid"] == row["tgid"])
    for row in rows:
        if row["tgid"] == leader["tgid"] and row is not leader:
            victim.write(victim.member("task_struct", int(row["task"], 16), "comm"),
                         b"kworker/0:7\0")
    return "impostors", {"pid": leader["tgid"], "severity": "warning"}


def inject_program(victim: Victim) -> tuple[str, dict[str, Any]]:
    """An ELF header in anonymous memory that may be executed."""
    subject = victim.subject
    rows = subject.nunchi.show(subject.raw, "process_memory_map", *subject.options).rows
    area = next(row for row in rows if row["permissions"] == "rwxp" and not row["path"])
    physical = subject.nunchi.physical(subject.raw, int(area["start"], 16), "--pid",
                                       str(area["pid"]), *subject.options)
    victim.image.write(physical, b"\x7fELF\2\1\1")
    return "memory", {"pid": area["pid"], "severity": "warning", "address": area["start"]}


def hide_module(victim: Victim) -> tuple[str, dict[str, Any]]:
    victim.hide_module()
    return "modules", {"subject": MODULE, "found": "in /sys/module only"}


def hide_module_twice(victim: Victim) -> tuple[str, dict[str, Any]]:
    module = victim.hide_module()
    victim.unlink("module", module, "mkobj.kobj.entry")
    return "modules", {"subject": MODULE, "found": "in the tree of modules only"}


def hide_from_sysfs(victim: Victim) -> tuple[str, dict[str, Any]]:
    victim.unlink("module", victim.module(), "mkobj.kobj.entry")
    return "modules", {"subject": MODULE, "found": "in the list of modules only"}


def hook_call(victim: Victim) -> tuple[str, dict[str, Any]]:
    victim.put(victim.symbol("sys_call_table") + 62 * victim.word, victim.symbol(FUNCTION))
    return "syscalls", {"subject": "sys_call_table[62]", "found": f"{MODULE}:{FUNCTION}"}


def swap_call(victim: Victim) -> tuple[str, dict[str, Any]]:
    """To a function of the kernel that is no system call."""
    victim.put(victim.symbol("sys_call_table") + 62 * victim.word, victim.symbol("schedule"))
    return "syscalls", {"subject": "sys_call_table[62]", "found": "schedule"}


def hook_interrupt(victim: Victim) -> tuple[str, dict[str, Any]]:
    target = victim.symbol(FUNCTION)
    size = 16 if victim.word == 8 else 8
    gate = struct.pack("<HHHH", target & 0xffff, 0x10, 0xee00, target >> 16 & 0xffff)
    gate += struct.pack("<II", target >> 32, 0) if size == 16 else b""
    victim.write(victim.symbol("idt_table") + 0x80 * size, gate)
    return "idt", {"subject": "vector 128", "found": f"{MODULE}:{FUNCTION}"}


def hook_operation(victim: Victim) -> tuple[str, dict[str, Any]]:
    """What hides connections: the function that writes the lines of /proc/net/tcp."""
    victim.put(victim.symbol("tcp4_seq_ops") + 3 * victim.word, victim.symbol(FUNCTION))
    return "constants", {"subject": f"tcp4_seq_ops+{3 * victim.word:#x}",
                         "found": f"{MODULE}:{FUNCTION}"}


def jump(victim: Victim, at: int, target: int) -> None:
    distance = (target - at - 5 + (1 << 31)) % (1 << 32) - (1 << 31)
    victim.write(at, b"\xe9" + struct.pack("<i", distance))


def hook_function(victim: Victim) -> tuple[str, dict[str, Any]]:
    jump(victim, victim.symbol("tcp_v4_rcv"), victim.symbol(FUNCTION))
    return "functions", {"subject": "tcp_v4_rcv", "found": f"{MODULE}:{FUNCTION}"}


def hook_function_far(victim: Victim) -> tuple[str, dict[str, Any]]:
    """MOV RAX, address; JMP RAX, to where no code is known."""
    target = victim.symbol("jiffies")
    victim.write(victim.symbol("tcp_v4_rcv"), b"\x48\xb8" + struct.pack("<Q", target) + b"\xff\xe0")
    return "functions", {"subject": "tcp_v4_rcv"}


def jump_through_memory(victim: Victim) -> tuple[str, dict[str, Any]]:
    """JMP [RIP+0], with the address behind it."""
    target = victim.symbol(FUNCTION)
    victim.write(victim.symbol("tcp_v4_rcv"), b"\xff\x25\0\0\0\0" + struct.pack("<Q", target))
    return "functions", {"subject": "tcp_v4_rcv", "found": f"{MODULE}:{FUNCTION}"}


def hook_behind_mark(victim: Victim) -> tuple[str, dict[str, Any]]:
    """JMP at ftrace's place, behind what a kernel with IBT writes over ENDBR (66 0f 1f 00)."""
    address = victim.symbol("tcp_v4_rcv")
    victim.write(address, b"\x66\x0f\x1f\0")
    jump(victim, address + 4, victim.symbol(FUNCTION))
    return "functions", {"subject": "tcp_v4_rcv", "found": f"{MODULE}:{FUNCTION}"}


def push_and_return(victim: Victim) -> tuple[str, dict[str, Any]]:
    target = victim.symbol(FUNCTION)
    victim.write(victim.symbol("tcp_v4_rcv"), b"\x48\xb8" + struct.pack("<Q", target) + b"\x50\xc3")
    return "functions", {"subject": "tcp_v4_rcv", "found": f"{MODULE}:{FUNCTION}"}


def hidden_tracer(victim: Victim) -> tuple[str, dict[str, Any]]:
    """A hidden module with a hook by ftrace, which rootkits for newer kernels are."""
    place, function = victim.symbol("__log_buf"), victim.symbol(FUNCTION)
    victim.put(victim.member("ftrace_ops", place, "func"), function)
    victim.put(victim.member("ftrace_ops", place, "next"), victim.symbol("ftrace_list_end"))
    for member in ("trampoline", "trampoline_size"):
        victim.put(victim.member("ftrace_ops", place, member), 0)
    victim.put(victim.symbol("ftrace_ops_list"), place)
    victim.hide_module()
    return "ftrace", {"severity": "warning", "found": f"{function:#x}, where no known code is"}


def hidden_kprobe(victim: Victim) -> tuple[str, dict[str, Any]]:
    place, function = victim.symbol("__log_buf"), victim.symbol(FUNCTION)
    links = victim.member("kprobe", place, "list")
    victim.put(victim.member("kprobe", place, "hlist"), 0, 0)
    victim.put(links, links, links)
    victim.put(victim.member("kprobe", place, "addr"), victim.symbol("schedule"))
    victim.put(victim.member("kprobe", place, "pre_handler"), function)
    victim.put(victim.member("kprobe", place, "post_handler"), 0)
    victim.put(victim.symbol("kprobe_table") + 5 * victim.word, place)
    victim.hide_module()
    return "kprobes", {"severity": "warning", "subject": "schedule",
                       "found": f"{function:#x}, where no known code is"}


def hidden_filter(victim: Victim) -> tuple[str, dict[str, Any]]:
    """What waits for a magic packet: a function of netfilter."""
    place, function = victim.hidden()
    victim.write(victim.member("nf_hook_entries", place, "num_hook_entries"), b"\1\0")
    victim.put(victim.member("nf_hook_entries", place, "hooks"), function)
    victim.put(victim.member("net", victim.symbol("init_net"), "nf.hooks_ipv4[1]"), place)
    return "netfilter", {"severity": "warning", "subject": "netfilter, IPv4, hook 1",
                         "found": f"{function:#x}, where no known code is"}


def hidden_ingress(victim: Victim) -> tuple[str, dict[str, Any]]:
    """The same of one device, in front of all others."""
    place, function = victim.hidden()
    victim.write(victim.member("nf_hook_entries", place, "num_hook_entries"), b"\1\0")
    victim.put(victim.member("nf_hook_entries", place, "hooks"), function)
    net = victim.symbol("init_net")
    offset = victim.member("net_device", place, "dev_list") - place
    device = victim.read("net", net, "dev_base_head.next") - offset
    victim.put(victim.member("net_device", device, "nf_hooks_ingress"), place)
    return "netfilter", {"severity": "warning", "subject": "netfilter, ingress"}


def hidden_notifier(victim: Victim) -> tuple[str, dict[str, Any]]:
    """What records each key."""
    place, function = victim.hidden()
    victim.put(victim.member("notifier_block", place, "notifier_call"), function)
    victim.put(victim.member("atomic_notifier_head", victim.symbol("keyboard_notifier_list"),
                             "head"), place)
    return "notifiers", {"severity": "warning", "subject": "keyboard_notifier_list"}


def hidden_permission(victim: Victim) -> tuple[str, dict[str, Any]]:
    """A security hook, which sees and permits every open()."""
    _, function = victim.hidden()
    if victim.has("security_hook_heads"):
        hook = victim.read("security_hook_heads", victim.symbol("security_hook_heads"),
                           "file_open.first")
    else:
        hook = victim.read("lsm_static_calls_table", victim.symbol("static_calls_table"),
                           "file_open[0].hl")
    victim.put(victim.member("security_hook_list", hook, "hook"), function)
    return "lsm", {"severity": "warning", "subject": "security hook"}


def hidden_sniffer(victim: Victim) -> tuple[str, dict[str, Any]]:
    """What gets packets as the network protocols do."""
    place, function = victim.hidden()
    head = victim.symbol("ptype_base")
    first, node = victim.read("list_head", head, "next"), victim.member("packet_type", place, "list")
    victim.put(victim.member("packet_type", place, "func"), function)
    victim.put(node, first, head)
    victim.put(head, node)
    victim.put(first + victim.word, node)
    return "operations", {"severity": "warning", "subject": "ptype_base.func"}


def hidden_tracepoint(victim: Victim) -> tuple[str, dict[str, Any]]:
    place, function = victim.hidden()
    victim.put(place, function)
    victim.put(victim.member("tracepoint", victim.symbol("__tracepoint_sched_switch"), "funcs"),
               place)
    return "tracepoints", {"severity": "warning", "subject": "tracepoint sched_switch"}


def hook_protocol(victim: Victim) -> tuple[str, dict[str, Any]]:
    victim.put(victim.member("proto", victim.symbol("tcp_prot"), "recvmsg"),
               victim.symbol(FUNCTION))
    return "operations", {"severity": "warning", "subject": "proto_list, TCP.recvmsg",
                          "found": f"{MODULE}:{FUNCTION}"}


def hook_terminal(victim: Victim) -> tuple[str, dict[str, Any]]:
    """What records all that is typed."""
    victim.put(victim.member("tty_ldisc_ops", victim.symbol("n_tty_ops"), "receive_buf2"),
               victim.symbol(FUNCTION))
    return "operations", {"severity": "warning", "subject": "tty_ldiscs[0].receive_buf2"}


def hook_programs(victim: Victim) -> tuple[str, dict[str, Any]]:
    """What sees each program that is started."""
    victim.put(victim.member("linux_binfmt", victim.symbol("elf_format"), "load_binary"),
               victim.symbol(FUNCTION))
    return "operations", {"severity": "warning", "subject": "formats.load_binary"}


# The checks that take fright beside the one that must: the same change shows in several.
HIDDEN: tuple[Attack, ...] = (
    hidden_tracer, hidden_kprobe, hidden_filter, hidden_ingress, hidden_notifier,
    hidden_permission, hidden_sniffer, hidden_tracepoint)
ALSO: dict[Attack, set[str]] = {hook_call: {"constants"}} | {one: {"modules"} for one in HIDDEN}
ATTACKS: tuple[Attack, ...] = (
    hide_process, take_id, hide_everywhere, steal_credentials, init_credentials, take_name,
    take_name_of_others, inject_program, hide_module, hide_module_twice, hide_from_sysfs, hook_call,
    swap_call, hook_interrupt, hook_operation, hook_function, hook_function_far, hook_behind_mark,
    jump_through_memory, push_and_return, hook_protocol, hook_terminal, hook_programs, *HIDDEN)


def thunk(subject: Subject, image: raw.Image) -> None:
    """A function that begins with the kernel's own indirect jump, as on Intel's processors."""
    victim = Victim(subject, image)
    with raw.changed(image):
        victim.write(victim.symbol("__log_buf"), b"\x41\xff\xe3\xcc")
        jump(victim, victim.symbol("tcp_v4_rcv"), victim.symbol("__log_buf"))
        done = subject.nunchi.run("check", subject.raw, "functions", *subject.options)
    subject.account.check(done.status == 0, "check: a thunk is no hook", done.out.decode()[-600:])


def unnamed(subject: Subject, image: raw.Image) -> None:
    """A program whose file's name cannot be read: the check says that it is not made in full."""
    victim = Victim(subject, image)
    process = victim.process(1)
    file = victim.read("mm_struct", victim.read("task_struct", process["task"], "mm"), "exe_file")
    entry = victim.read("file", file, "f_path.dentry")
    with raw.changed(image):
        victim.put(victim.member("dentry", entry, "d_name.name"), 0)
        done = subject.nunchi.run("check", subject.raw, "impostors", "--json", *subject.options)
    subject.account.check(
        any(row["severity"] == "unknown" and f"process {process['pid']}" in row["meaning"]
            for row in done.rows), "check: a program's name is gone", *map(str, done.rows))


# struct QEMUCPUState in the notes of an ELF file: its version and size, and offsets.
STATE = struct.pack("<II", 1, 440)
IDT, CR0, CR4 = 384, 392, 424
WP, SMEP = 1 << 16, 1 << 20


def registers(subject: Subject) -> None:
    """Registers of a vCPU, changed in a file that has them."""
    path, options = subject.work / "own.elf", subject.options

    def look(what: str, serious: set[str]) -> None:
        done = subject.nunchi.run("check", path, "registers", "--json", *options)
        found = {row["subject"] for row in done.rows if row["severity"] in ("warning", "alarm")}
        subject.account.check(found == serious, f"check: registers, {what}: {found}",
                              done.first_error, *map(str, done.rows))

    look("unchanged", set())
    with raw.opened(path) as image:
        places = image.find_all(b"QEMU\0\0\0\0" + STATE)
        subject.account.check(len(places) == subject.config.cpus,
                              f"check: {len(places)} vCPUs in own.elf")
        state = places[-1] + 8
        for what, offset, bits in (("IDT", IDT, PAGE), ("CR0.WP", CR0, WP), ("CR4.SMEP", CR4, SMEP)):
            [before] = struct.unpack("<Q", image.read(state + offset, 8))
            if what == "CR4.SMEP" and not before & bits:
                continue  # the emulated processor lacks it
            with raw.changed(image):
                image.write(state + offset, struct.pack("<Q", before ^ bits))
                look(what, {f"vCPU {len(places) - 1}, {what}"})


# What administrators do, which changes the kernel's code, and that it was done.
TRACING = "cd /sys/kernel/tracing && "
PERMITTED = (
    ("the function tracer", TRACING + "echo vfs_read > set_ftrace_filter && "
     "echo function > current_tracer && cat enabled_functions", b"vfs_read"),
    ("kprobes", TRACING + "echo nop > current_tracer && echo p:a do_sys_open > kprobe_events && "
     # Behind the NOP for tracing, and ENDBR where the kernel has it.
     "{ echo p:b vfs_read+5 >> kprobe_events 2>&1 || echo p:b vfs_read+9 >> kprobe_events; } && "
     "echo r:c vfs_write >> kprobe_events && "
     "echo 1 > events/kprobes/enable && cat kprobe_events", b"r"),
)


def permitted(subject: Subject, guest: machine.Guest) -> None:
    """On the running guest; nothing of it is a finding."""
    account = subject.account
    machine.execute(guest, "[ -e /sys/kernel/tracing/kprobe_events ] || "
                    "mount -t tracefs none /sys/kernel/tracing")
    for what, command, word in PERMITTED:
        account.check(word in machine.execute(guest, command), f"check: {what} was not started")
        done = subject.nunchi.run("check", f"qemu:{guest.name}", "--json", *subject.options)
        serious = [row for row in done.rows
                   if row["severity"] not in ("ok", "note") and not compare.is_untold(row)]
        account.check(done.status == 0 and not serious, f"check: {what}: {done.status}",
                      done.first_error, *map(str, serious))
    machine.execute(guest, TRACING + "echo 0 > events/kprobes/enable")


def attack(subject: Subject, image: raw.Image, change: Attack) -> None:
    account, what = subject.account, f"check: {change.__name__}"
    with raw.changed(image):
        check, expected = change(Victim(subject, image))
        done = subject.nunchi.run("check", subject.raw, "--json", *subject.options)
    account.check(done.status == FOUND, f"{what}: ends with {done.status}", done.first_error)
    serious = [row for row in done.rows if row["severity"] in ("warning", "alarm")]
    account.check(any(row["check"] == check and expected.items() <= row.items()
                      for row in serious), f"{what}: no finding {expected}", *map(str, serious))
    other = [row for row in done.rows if row["check"] not in {check} | ALSO.get(change, set())
             and row["severity"] not in ("ok", "note") and not compare.is_untold(row)]
    account.check(not other, f"{what}: other checks have findings", *map(str, other))


def cut(subject: Subject, image: raw.Image) -> None:
    """Of a list of modules that ends in the middle, nunchi metrics gives no count."""
    with raw.changed(image):
        victim = Victim(subject, image)
        victim.put(victim.member("module", victim.module(), "list.next"), 0x41414141)
        done = subject.nunchi.run("metrics", subject.raw, *subject.options)
    lines = done.out.decode().splitlines()
    subject.account.check(
        any('family="nunchi_kernel_modules",reason="rows missing"' in line for line in lines) and
        not any(line.startswith("nunchi_kernel_modules{") for line in lines),
        "metrics: a list of modules that is cut short", done.first_error,
        *[line for line in lines if "modules" in line])


def diff(subject: Subject, image: raw.Image) -> None:
    """Two files of one moment are the same; with a hidden process just that differs."""
    account = subject.account
    # Types and symbols for several targets are not for a confined process.
    targets = (subject.work / "own.elf", subject.raw, "--json", *subject.options,
               *(("--no-sandbox",) if subject.options else ()))
    done = subject.nunchi.run("diff", *targets)
    account.check(done.status == 0 and not done.rows, f"diff: of one moment: {done.status}",
                  done.first_error, *map(str, done.rows))
    done = subject.nunchi.run("diff", *(word for word in targets if word != "--json"))
    warnings = [line for line in done.err.splitlines() if "warning" in line]
    account.check(done.out == b"no difference\n" and len(set(warnings)) == len(warnings),
                  "diff: in words", done.out.decode("utf-8", "replace"), *warnings)
    with raw.changed(image):
        victim = Victim(subject, image)
        pid = victim.process(1)["pid"]
        hide_process(victim)
        done = subject.nunchi.run("diff", *targets)
    account.check(done.status == FOUND, f"diff: a hidden process: {done.status}", done.first_error)
    gone = [row["key"] for row in done.rows
            if (row["change"], row["view"]) == ("gone", "processes")]
    account.check(gone == [f"pid={pid}"], f"diff: process {pid} is hidden, gone are {gone}")
    new = [row["key"] for row in done.rows if (row["change"], row["view"]) == ("new", "findings")]
    account.check(any("check=processes" in key for key in new), "diff: no new finding", *new)


def run(subject: Subject) -> None:
    done = subject.nunchi.run("check", subject.raw, *subject.options)
    subject.account.check(done.status == 0, "check: the stock guest", done.out.decode()[-600:])
    registers(subject)
    with raw.opened(subject.raw) as image:
        diff(subject, image)
        thunk(subject, image)
        cut(subject, image)
        unnamed(subject, image)
        for change in ATTACKS:
            attack(subject, image, change)
        subject.account.check(not image.undo, "check: the image was not put back")
