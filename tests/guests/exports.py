# SPDX-License-Identifier: LGPL-2.1-or-later
"""What nunchi export writes of a kernel serves nunchi as --types and --symbols just as well."""

from __future__ import annotations

import json
import lzma
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guests.tool import good_run, identical

if TYPE_CHECKING:
    from guests.session import Subject

SECONDS = 20.0
KASLR = "these addresses are without the guest's KASLR: virtual +"
FILES = {"isf": "symbols.json.xz", "btf": "vmlinux.btf", "system-map": "System.map",
         "elf": "kernel.elf"}
BASE_KINDS = {"void", "int", "float", "char", "bool"}


def check_table(table: dict[str, Any]) -> list[str]:
    """What is wrong with the references within a table."""
    names = {"base": table["base_types"], "enum": table["enums"], "struct": table["user_types"],
             "union": table["user_types"]}
    wrong: set[str] = set()

    def look(description: dict[str, Any]) -> None:
        kind = description["kind"]
        if kind in ("pointer", "array"):
            # The kernel may only declare what a pointer leads to.
            if kind == "array" or description["subtype"]["kind"] not in ("struct", "union"):
                look(description["subtype"])
        elif kind == "bitfield":
            look(description["type"])
            if not 0 < description["bit_length"] <= 64:
                wrong.add(f"a bit field of {description['bit_length']} bits")
        elif kind != "function" and description["name"] not in names[kind]:
            wrong.add(f"{kind} {description['name']} is not there")

    for name, user_type in table["user_types"].items():
        for member in user_type["fields"].values():
            look(member["type"])
            if member["offset"] > user_type["size"]:
                wrong.add(f"{name}: a field at {member['offset']} of {user_type['size']}")
    for name, base in table["base_types"].items():
        if base["kind"] not in BASE_KINDS:
            wrong.add(f"{name}: {base['kind']}")
    for symbol in table["symbols"].values():
        if "type" in symbol:
            look(symbol["type"])
    return sorted(wrong)


def check_isf(subject: Subject, path: Path) -> None:
    account = subject.account
    with lzma.open(path) as file:
        table = json.load(file)
    wrong = check_table(table)
    account.check(not wrong, f"export isf: {len(wrong)} references are wrong", *wrong)
    account.check(len(table["user_types"]) > 5000 and len(table["symbols"]) > 50000,
                  "export isf: few types or symbols",
                  *[f"{name}: {len(part)}" for name, part in table.items()])
    task = table["symbols"]["init_task"]
    account.check(task.get("type") == {"kind": "struct", "name": "task_struct"},
                  "export isf: the type of init_task", str(task))


def check_map(subject: Subject, path: Path, told: str) -> None:
    """The addresses are those of the running kernel, less what it says on standard error."""
    nunchi, account = subject.nunchi, subject.account
    shift = int(told.partition(KASLR)[2].partition(",")[0] or "0", 0)
    rows = dict(line.split()[::2][::-1] for line in path.read_text("utf-8").splitlines())
    for name in ("_text", "init_task", "linux_banner"):
        account.check(int(rows[name], 16) + shift == nunchi.address(subject.raw, name),
                      f"export system-map: {name}", rows[name], told)
    account.check(rows["_text"] == "ffffffff81000000", "export system-map: _text", rows["_text"])
    account.check(bool(shift) == subject.config.kaslr, "export system-map: the shift", told)


def check_elf(subject: Subject, path: Path, btf: Path) -> None:
    """All symbols of the kernel and its modules, tables to unwind by, and the BTF as it is."""
    account = subject.account
    done = subprocess.run(["readelf", "-S", "-s", "-W", path], capture_output=True, text=True,
                          errors="replace", timeout=60, check=False)
    account.check(done.returncode == 0 and not done.stderr, "export elf: readelf", done.stderr)
    rows = {(int(value, 16), name) for value, name in re.findall(
        r"^ *\d+: ([0-9a-f]+) .* (\S+)$", done.stdout, re.M)}
    kernel = {(int(row["address"], 16), row["name"])
              for row in subject.reference["symbols"].rows}
    lost = sorted(kernel - rows)
    account.check(not lost, f"export elf: {len(lost)} symbols are not there", str(lost[:3]))
    modules = {row["name"] for row in subject.a.rows["kernel_modules"]}
    listed = {(row["address"], row["name"]) for row in subject.a.rows["module_symbols"]
              if row["module"] in modules}
    lost = sorted(listed - rows)
    account.check(bool(listed) and not lost,
                  f"export elf: {len(lost)} of {len(listed)} symbols of modules are not there",
                  str(lost[:3]))
    place = re.search(r"\] \.BTF +PROGBITS +0+ (\w+) (\w+) ", done.stdout)
    start, size = (int(part, 16) for part in place.groups()) if place else (0, 0)
    account.check(path.read_bytes()[start:start + size] == btf.read_bytes(), "export elf: .BTF")
    account.check(".debug_frame" in done.stdout, "export elf: .debug_frame")


def run(subject: Subject) -> None:
    nunchi, account = subject.nunchi, subject.account
    paths = {kind: subject.work / name for kind, name in FILES.items()}
    done = {kind: nunchi.run("export", subject.raw, kind, "-o", path)
            for kind, path in paths.items()}
    for kind, one in done.items():
        if not good_run(account, one, f"export {kind}"):
            return
        account.check(one.seconds < SECONDS, f"export {kind} took {one.seconds:.1f} s")
        account.times[f"export {kind}"] = round(one.seconds, 1)
    check_isf(subject, paths["isf"])
    check_elf(subject, paths["elf"], paths["btf"])
    check_map(subject, paths["system-map"], done["system-map"].err)
    for kinds in (("isf",), ("btf", "system-map")):
        options = [part for kind in kinds for part in
                   ("--symbols" if kind == "system-map" else "--types", paths[kind])]
        views = tuple(view for view in subject.views if view != "symbols")
        identical(account, f"by {' and '.join(kinds)}",
                  nunchi.shows(subject.raw, views, *options), subject.reference)
    for path in paths.values():
        path.unlink()
