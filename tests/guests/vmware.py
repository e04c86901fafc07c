# SPDX-License-Identifier: LGPL-2.1-or-later
"""A stopped guest as VMware saves one: its registers in a .vmss, its memory in the .vmem beside it.

Written after what crash (vmware_vmss.c) reads; crash 8.0.2 took such files, with the memory in them.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

from qmp import Qmp

from guests.tool import Account, Nunchi

MAGIC, VERSION, GROUP_SIZE = 0xbed2bed2, 8, 80
# In QEMU's text; the names there are in capitals.
REGISTERS = ("rax", "rcx", "rdx", "rbx", "rbp", "rsp", "rsi", "rdi", "r8", "r9", "r10", "r11",
             "r12", "r13", "r14", "r15", "rip")


def tag(name: str, indices: tuple[int, ...], size: int, value: int) -> bytes:
    start = struct.pack("<BB", len(indices) << 6 | size, len(name)) + name.encode("ascii")
    return start + struct.pack(f"<{len(indices)}I", *indices) + value.to_bytes(size, "little")


def vcpu(n: int, text: str) -> bytes:
    """The tags of one vCPU, of which this is what QEMU says."""
    values = {name: int(value, 16)
              for name, value in re.findall(r"\b([A-Z][A-Z0-9]{1,2}) *=([0-9a-f]{8,16})\b", text)}
    table = int(re.search(r"IDT= +([0-9a-f]+)", text)[1], 16)  # type: ignore[index]
    tags = [tag(name, (n,), 8, values[name.upper()]) for name in REGISTERS]
    tags.append(tag("eflags", (n,), 4, values["RFL"]))
    tags += [tag("CR64", (n, which), 8, values[f"CR{which}"]) for which in (0, 2, 3, 4)]
    tags += [tag("IDTR", (n, 1), 4, table & 0xffffffff), tag("IDTR", (n, 2), 4, table >> 32)]
    return b"".join(tags)


def write(qmp: Qmp, memory: Path, target: Path) -> None:
    """Writes TARGET, whose memory is MEMORY, a raw file of a guest without a hole in its RAM."""
    text = qmp.command("human-monitor-command", **{"command-line": "info registers -a"})
    vcpus = re.split(r"CPU#\d+", text)[1:]
    groups = {"cpu": tag("cpu:numVCPUs", (), 4, len(vcpus)) +
              b"".join(vcpu(n, part) for n, part in enumerate(vcpus)),
              "memory": tag("regionsCount", (), 4, 0)}
    head, body = struct.pack("<III", MAGIC, VERSION, len(groups)), b""
    start = len(head) + GROUP_SIZE * len(groups)
    for name, tags in groups.items():
        head += struct.pack("<64sQQ", name.encode("ascii"), start + len(body), len(tags) + 2)
        body += tags + b"\0\0"
    target.write_bytes(head + body)
    target.with_suffix(".vmem").hardlink_to(memory)


def registers(nunchi: Nunchi, target: str | Path) -> dict[str, str]:
    """What info shows of each vCPU, but for EFER, which VMware does not save."""
    return {name: re.sub(r", efer \S+", "", value)
            for (topic, name), value in nunchi.facts(target).items()
            if topic == "target" and name.startswith("vcpu ")}


def check_registers(nunchi: Nunchi, account: Account, path: Path, target: str) -> None:
    got, want = registers(nunchi, path), registers(nunchi, target)
    account.check(bool(got) and got == want, "vmware: registers", f"got {got}", f"want {want}")
