# SPDX-License-Identifier: LGPL-2.1-or-later
"""What nunchi extract writes of files, against sha256sum in the guest; names, modes, the manifest."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import machine
from guests import contents

if TYPE_CHECKING:
    from guests.session import Subject

PATHS = (contents.TOP, "/tmp/files", "/run/disk", contents.OVERLAY, "/run/hostile")
WIDE = "/run/wide"
FEWEST_PATHS = 20
FEWEST_DESCRIPTORS = {1: 2, 3: 8}  # without a name, by the number of processes
KNOWN = {r"\\": b"\\", r"\n": b"\n", r"\t": b"\t", r"\r": b"\r"}
SUM = re.compile(rb"([0-9a-f]{64})  (/.*?)\n(?=[0-9a-f]{64}  /|\Z)", re.S)
ESCAPE = re.compile(r"\\(?:[\\ntr]|x[0-9a-f]{2}|u\{[0-9a-f]+\})")


def told(guest: machine.Guest) -> dict[bytes, str]:
    """The sum of each regular file below PATHS. Makes files of 1 TiB beside a small one."""
    machine.execute(guest, f"mkdir -p {WIDE} && for i in 1 2 3; do "
                           f"dd if=/dev/null of={WIDE}/a$i bs=1048576 seek=1048576 count=0; done; "
                           f"echo small >{WIDE}/b")
    text = machine.execute(guest, f'find {" ".join(PATHS)} -type f -exec sha256sum {{}} \\;')
    return {path: value.decode() for value, path in SUM.findall(text)}


def unescaped(name: str) -> bytes:
    """The name in the guest of a file here."""
    parts, at = [], 0
    for match in ESCAPE.finditer(name):
        parts.append(name[at:match.start()].encode())
        text, at = match[0], match.end()
        if text in KNOWN:
            parts.append(KNOWN[text])
        elif text[1] == "x":
            parts.append(bytes([int(text[2:], 16)]))
        else:
            parts.append(chr(int(text[3:-1], 16)).encode())
    return b"".join((*parts, name[at:].encode()))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def path_of(row: dict[str, Any]) -> bytes:
    return bytes.fromhex(row["raw"]["path"]) if "raw" in row else row["path"].encode()


def check_tree(subject: Subject, form: str, top: Path, rows: list[dict[str, Any]]) -> None:
    """What is in the directory is what the rows have, and nothing else."""
    account = subject.account
    files, wrong = set(), []
    for folder, names, leaves in os.walk(top):
        wrong += [f"{name}: mode" for name in names
                  if stat.S_IMODE(os.lstat(Path(folder, name)).st_mode) != 0o700]
        for leaf in leaves:
            path = Path(folder, leaf)
            status = os.lstat(path)
            if not stat.S_ISREG(status.st_mode) or stat.S_IMODE(status.st_mode) != 0o600:
                wrong.append(f"{path}: {status.st_mode:o}")
            files.add(str(path.relative_to(top)))
    files.discard("manifest.jsonl")
    named = {row["file"] for row in rows if row["file"]}
    wrong += [f"{name!r}: in one alone" for name in sorted(files ^ named)]
    for row in rows:
        if not row["file"]:
            continue
        if row["size"] != row["data"] + row["holes"] + row["missing"] or \
                (top / row["file"]).stat().st_size != row["size"]:
            wrong.append(f"{row['file']!r}: sizes")
        if row["file"].startswith("files/") and unescaped(row["file"][5:]) != path_of(row):
            wrong.append(f"{row['file']!r}: not the name of {path_of(row)!r}")
    wrong += [f"{row['path']!r}: {row['missing']} missing, {row['error']}" for row in rows
              if row["type"] == "regular" and bool(row["missing"] or not row["file"]) !=
              bool(row["error"])]
    account.check(not wrong, f"{form}: {len(wrong)} wrong", *wrong)


def check_sums(subject: Subject, form: str, top: Path, rows: list[dict[str, Any]],
               files: dict[bytes, str], descriptors: contents.Sums) -> None:
    """Each file that the guest has summed is there, byte for byte."""
    account, wrong = subject.account, []
    by_path = {path_of(row): row for row in rows if row["pid"] is None}
    by_fd = {("--pid", str(row["pid"]), "--fd", str(row["fd"])): row for row in rows
             if row["pid"] is not None}
    compared = {"path": 0, "descriptor": 0}
    for path, value in files.items():
        row = by_path.get(path)
        if row and not row["file"] and path.startswith(contents.OVERLAY.encode()) and \
                (subject.options or subject.config.suite in contents.NO_MODULE_TYPES):
            continue
        compared["path"] += 1
        if not row or not row["file"] or digest(top / row["file"]) != value:
            wrong.append(f"{path!r}: {row}")
    for what, value in descriptors.items():
        row = by_fd.get(what)
        if row:  # it has no name
            compared["descriptor"] += 1
            if not row["file"] or digest(top / row["file"]) != value:
                wrong.append(f"{what}: {row}")
    account.check(not wrong, f"{form}: {len(wrong)} files are wrong", *wrong)
    fewest = FEWEST_DESCRIPTORS[len(contents.processes_of(subject))]
    account.check(compared["path"] >= FEWEST_PATHS and compared["descriptor"] >= fewest,
                  f"{form}: few files to compare", str(compared))
    for name in ("/tmp/contents/deleted (deleted)", "/memfd:contents (deleted)"):
        account.check(any(row["path"] == name and row["file"] and row["data"] for row in rows),
                      f"{form}: {name} was not recovered")
    account.say(f"{form}: {compared['path']} files, {compared['descriptor']} without a name, of "
                f"{len(rows)} rows")


def write(subject: Subject, form: str, target: str | Path, *words: str, status: int = 0
          ) -> tuple[Path, list[dict[str, Any]]]:
    top = subject.work / "extracted"
    shutil.rmtree(top, ignore_errors=True)
    done = subject.nunchi.run("extract", target, top, *words, "--json", *subject.options)
    subject.account.check(done.status == status, f"{form}: status {done.status}", done.err)
    manifest = top / "manifest.jsonl"
    if not subject.account.check(manifest.exists(), f"{form}: no manifest", done.err):
        return top, []
    rows = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    subject.account.check(rows == done.rows, f"{form}: the manifest is not what was shown")
    return top, rows


def check(subject: Subject, form: str, target: str | Path, said: contents.Told,
          files: dict[bytes, str], *options: str) -> None:
    """What is written of the files whose sums the guest told."""
    form = f"{form}: extract"
    top, rows = write(subject, form, target, *PATHS, "--deleted", *options)
    check_tree(subject, form, top, rows)
    check_sums(subject, form, top, rows, files, said.sums)
    names = {row["path"] for row in rows if row["pid"] is None and "raw" not in row}
    lost = [path for path, row in said.names.items() if path.startswith(PATHS) and
            row["type"] in ("regular", "symlink") and path not in names and path.isascii()]
    subject.account.check(not lost, f"{form}: files without a row", *lost)
    shutil.rmtree(top, ignore_errors=True)


def saved(subject: Subject) -> None:
    """A limit, and a signal in the middle."""
    account, form = subject.account, "extract, saved"
    top, rows = write(subject, f"{form}, --limit", subject.raw, contents.TOP, "--limit", "1M")
    check_tree(subject, f"{form}, --limit", top, rows)
    cut = [row for row in rows if "--limit" in (row["error"] or "")]
    account.check(sum(row["data"] or 0 for row in rows) == 1 << 20 and cut,
                  f"{form}: --limit", str(cut))
    again = subject.nunchi.run("extract", subject.raw, top)
    account.check(again.status == 1 and "is not empty" in again.err, f"{form}: twice", again.err)
    shutil.rmtree(top, ignore_errors=True)
    top, rows = write(subject, f"{form}, holes", subject.raw, WIDE, status=1)
    check_tree(subject, f"{form}, holes", top, rows)
    # Each of them is looked at, not the first one alone.
    account.check({row["path"] for row in rows
                   if "too many holes" in (row["error"] or "") and row["holes"]} ==
                  {f"{WIDE}/a{i}" for i in (1, 2, 3)} and (top / f"files{WIDE}/b").read_bytes() ==
                  b"small\n", f"{form}: files with holes, and one beside them", str(rows))
    shutil.rmtree(top, ignore_errors=True)
    with subprocess.Popen([subject.nunchi.path, "extract", subject.raw, top, "/", "--json",
                           *subject.options], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE) as process:
        part = top / "manifest.jsonl.part"
        end = time.monotonic() + 60
        while time.monotonic() < end and not (part.exists() and part.stat().st_size):
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    if (top / "manifest.jsonl").exists():
        account.say(f"{form}: it was done before the signal came")
    else:
        rows = [json.loads(line) for line in part.read_text(encoding="utf-8").splitlines()]
        part.rename(top / "manifest.jsonl")
        check_tree(subject, f"{form}, ended by a signal", top, rows)
        account.check(process.returncode != 0, f"{form}: ended by a signal: status 0")
    shutil.rmtree(top, ignore_errors=True)
