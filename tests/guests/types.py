# SPDX-License-Identifier: LGPL-2.1-or-later
"""A kernel with neither BTF nor KALLSYMS_ALL: what is known of it, and what files add."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import compare
from common import run as command

from guests.tool import FEW, against_oracle, refused

if TYPE_CHECKING:
    from guests.session import Subject

# With types alone these need no symbol of the kernel's data but what its shape, or its VMCOREINFO
# note, tells.
BY_SHAPE = ("process_memory_map", "process_envs", "process_open_files", "kernel_modules",
            "kernel_log")


def system_map(vmlinux: Path, target: Path) -> Path:
    """What the kernel's build writes as System.map (scripts/mksysmap leaves out the same)."""
    text = command(["nm", "-n", str(vmlinux)], what="listing symbols (package binutils)")
    lines = [line for line in text.splitlines() if line[:1] != " " and line.split(" ")[1]
             not in "aNUw"]
    target.write_text("\n".join(lines) + "\n", encoding="ascii")
    return target


def with_nothing(subject: Subject) -> None:
    """Memory alone: the kernel, its symbols, and exactly what is missing."""
    nunchi, account = subject.nunchi, subject.account
    facts = nunchi.facts(subject.raw)
    banner = subject.a.rows["kernel_info"][0]["banner"]
    account.check(facts.get(("kernel", "banner")) == banner, "nothing given: the banner",
                  str(facts.get(("kernel", "banner"))), banner)
    account.check("BTF" in facts.get(("missing", "types"), ""), "nothing given: info does not say "
                  "that types are missing", str(facts))
    refused(account, nunchi.show(subject.raw, "processes"), "nothing given: processes",
            "types are missing", "--types")
    against_oracle(account, "nothing given", nunchi.shows(subject.raw, ("symbols",)), subject.a,
                   subject.b)
    for view in compare.VIEWS:
        done = nunchi.show(subject.raw, view)
        if done.status:
            refused(account, done, f"nothing given: {view}", "missing")


def with_types(subject: Subject) -> None:
    """With types the first task and the modules are found by their shape."""
    nunchi, account = subject.nunchi, subject.account
    options = subject.options[:2]
    facts = nunchi.facts(subject.raw, *options)
    for name in ("init_task", "modules", "init_uts_ns", "prb"):
        want = nunchi.address(subject.raw, name, *subject.options)
        account.check(int(facts.get(("kernel", name), "0"), 16) == want,
                      f"--types alone: {name} is at {want:#x}", str(facts))
    against_oracle(account, "--types alone", nunchi.shows(subject.raw, BY_SHAPE, *options),
                   subject.a, subject.b)
    # A process's start is counted from the boot, which only a symbol of the data tells, as only one
    # does where the command line is.
    for view, untold in (("processes", "start_time"), ("kernel_info", "arguments")):
        got = {view: nunchi.show(subject.raw, view, *options)}
        against_oracle(account, "--types alone", got, subject.a, subject.b, (untold,))


def run(subject: Subject) -> None:
    with_nothing(subject)
    with_types(subject)
    account = subject.account
    done = subject.nunchi.shows(subject.raw, FEW, *subject.options)
    account.check(all(one.status == 0 for one in done.values()), "--types and --symbols")
