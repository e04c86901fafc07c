# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests saved by `xl save` and `xl dump-core`: every view, snapshots of them, files cut short."""

from __future__ import annotations

import os
from pathlib import Path

import compare
from guests.tool import FEW, VIEWS, Account, Nunchi, against_oracle, identical, refused

QUICK = ("pv.core", "pv.save", "pvh.save", "hvm.save")
# dump-core of a PVH or HVM guest tries every page up to 4 GiB by itself: eight minutes.
SLOW = ("pvh.core", "hvm.core")


def judge_views(account: Account, nunchi: Nunchi, path: Path) -> None:
    """Against the guest's own word; who saves a guest with xl has its processes frozen first."""
    a, b = (compare.Oracle.load(path.with_name(f"{path.name}.oracle-{one}.jsonl"))
            for one in "ab")
    against_oracle(account, path.name, nunchi.shows(path, VIEWS), a, b,
                   frozen=path.suffix == ".save")


def judge_info(account: Account, nunchi: Nunchi, path: Path) -> None:
    facts = nunchi.facts(path)
    kind = "xen-core" if path.suffix == ".core" else "xen-save"
    account.check(facts.get(("target", "kind")) == kind, f"{path.name}: not {kind}", str(facts))
    account.check(facts.get(("capability", "registers")) == "yes", f"{path.name}: no registers")
    account.check(("target", "note") not in facts, f"{path.name}: is said to lack something",
                  str(facts.get(("target", "note"))))
    account.check((("memory", "addresses") in facts) == (path.name == "pv.core"),
                  f"{path.name}: what its addresses are", str(facts))


def judge_snapshots(account: Account, nunchi: Nunchi, path: Path) -> None:
    """The same bytes from a snapshot; machine frames are for an ELF core alone."""
    first = nunchi.shows(path, FEW)
    for form in ("elf", "raw"):
        copy = path.with_name(f"copy.{form}")
        done = nunchi.run("snapshot", path, copy, "--format", form)
        if path.name == "pv.core" and form == "raw":
            refused(account, done, f"{path.name}: a raw snapshot", "machine frames", "elf")
            continue
        if account.check(done.status == 0, f"{path.name}: snapshot {form}", done.first_error):
            identical(account, f"{path.name}, {form}", nunchi.shows(copy, FEW), first)
        copy.unlink(missing_ok=True)


def judge_cut(account: Account, nunchi: Nunchi, path: Path) -> None:
    """Ever shorter: all of it, what is left of it with a note, or an error that helps."""
    size, whole = path.stat().st_size, nunchi.show(path, "processes").out
    for cut in (size - 64, size - 8192, size * 9 // 10, size // 2, 1 << 20, 1000, 1):
        os.truncate(path, cut)
        done = nunchi.show(path, "processes")
        what = f"{path.name} cut to {cut} of {size} bytes"
        if done.status == 1:
            account.check(not done.out and "\n  hint: " in done.err, f"{what}: no help", done.err)
        else:
            account.check(done.status == 0 and (done.out == whole or ": note: " in done.err),
                          f"{what}: status {done.status}, and no note", done.err)


def judge(account: Account, nunchi: Nunchi, work: Path, names: tuple[str, ...]) -> None:
    for name in names:
        path = work / name
        if not account.check(path.is_file(), f"{name} was not saved"):
            continue
        judge_info(account, nunchi, path)
        judge_views(account, nunchi, path)
        judge_snapshots(account, nunchi, path)
        judge_cut(account, nunchi, path)
