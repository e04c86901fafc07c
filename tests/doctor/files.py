# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every file of the test host's disk, read from outside and without mounting it (debugfs)."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import stat
from pathlib import Path

from common import run

# What this Debian writes by itself when it is booted, natively and with Xen; what the test leaves;
# the logs of a trial.
OF_THE_SYSTEM = ("/var/log/wtmp", "/var/log/xen/xenstored.log", "/var/log/xen/xenstored-access.log",
                 "/var/lib/xen/userdata-d.0.*.libxl-json")
OF_THE_TEST = ("/var/lib/test", "/var/lib/test/*")
OF_THE_TRIAL = ("/var/lib/nunchi", "/var/lib/nunchi/doctor", "/var/lib/nunchi/doctor/trial",
                "/var/lib/nunchi/doctor/trial/*")


def unpack(image: Path, offset: int, directory: Path) -> None:
    """The tree of the ext4 file system at OFFSET of a raw image, owners and modes included."""
    directory.mkdir()
    run(["debugfs", "-R", f"rdump / {directory}", f"{image}?offset={offset}"],
        what="reading the test host's disk")


def _what(path: str) -> str:
    info = os.lstat(path)
    text = f"{info.st_mode:o} {info.st_uid}:{info.st_gid}"
    if stat.S_ISLNK(info.st_mode):
        return f"{text} -> {os.readlink(path)}"
    if stat.S_ISREG(info.st_mode):
        with open(path, "rb") as handle:
            return f"{text} {hashlib.file_digest(handle, 'sha256').hexdigest()}"
    return text


def of_tree(directory: Path) -> dict[str, str]:
    """Path by path: mode, owner and content."""
    found = {}
    for folder, folders, names in os.walk(directory):
        for name in [*folders, *names]:
            path = os.path.join(folder, name)
            found[path[len(str(directory)):]] = _what(path)
    return found


def differences(before: dict[str, str], after: dict[str, str]) -> tuple[list[str], list[str]]:
    """What differs and must not; and the paths of what differs and may."""
    may = OF_THE_SYSTEM + OF_THE_TEST + OF_THE_TRIAL
    changed = [path for path in sorted(before.keys() | after.keys())
               if before.get(path) != after.get(path)]
    allowed = [path for path in changed
               if any(fnmatch.fnmatchcase(path, pattern) for pattern in may)]
    return [f"{path}: {before.get(path, 'was not there')} -> {after.get(path, 'is gone')}"
            for path in changed if path not in allowed], allowed
