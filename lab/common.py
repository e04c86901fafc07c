# SPDX-License-Identifier: LGPL-2.1-or-later
"""Shared by all parts of the lab: paths, locks, atomic files, errors."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path


class LabError(Exception):
    """A failure the user can act on; the message says how."""


def cache_root() -> Path:
    """The lab's cache: $XDG_CACHE_HOME/nunchi, created on demand."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    root = Path(base) / "nunchi"
    root.mkdir(parents=True, exist_ok=True)
    return root


def source_root() -> Path:
    """The top of the source tree this file belongs to."""
    return Path(__file__).resolve().parent.parent


def say(text: str) -> None:
    """One line of progress on stderr."""
    print(f"lab: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def locked(path: Path, timeout: float = 900.0) -> Iterator[None]:
    """Hold an exclusive lock on PATH; prints who holds it, gives up after TIMEOUT."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="ascii") as handle:
        deadline = time.monotonic() + timeout
        told = False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                handle.seek(0)
                holder = handle.read().strip() or "unknown"
                if time.monotonic() > deadline:
                    raise LabError(f"{path} is still locked by process {holder}") from None
                if not told:
                    say(f"waiting for process {holder} (lock {path})")
                    told = True
                time.sleep(0.2)
        handle.truncate(0)
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        yield


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Block signals, so that a started process is recorded before we can die (main thread only)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pending: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda got, _frame: pending.append(got))
              for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if pending:
        raise KeyboardInterrupt


@contextlib.contextmanager
def scratch(parent: Path, prefix: str) -> Iterator[Path]:
    """A temporary directory beside its final place, removed on every exit path."""
    parent.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix=f".{prefix}.", dir=parent))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def replace_directory(new: Path, final: Path) -> None:
    """Put the finished directory NEW under the name FINAL (same file system)."""
    if final.exists():
        old = final.with_name(f".{final.name}.old.{os.getpid()}")
        final.rename(old)
        new.rename(final)
        shutil.rmtree(old, ignore_errors=True)
    else:
        new.rename(final)


def write_atomic(path: Path, data: bytes) -> None:
    """Write DATA to PATH, which appears complete or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)


def run(command: Sequence[str], *, what: str, cwd: Path | None = None,
        timeout: float = 600.0) -> str:
    """Run COMMAND to its end and return its stdout; a failure names WHAT and shows stderr."""
    try:
        done = subprocess.run(command, cwd=cwd, timeout=timeout, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True)
    except FileNotFoundError:
        raise LabError(f"{what}: {command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"{what}: {command[0]} took longer than {timeout:.0f} s") from None
    if done.returncode != 0:
        tail = (done.stderr or done.stdout).decode("utf-8", "replace").strip()[-2000:]
        raise LabError(f"{what}: {command[0]} failed ({done.returncode})\n{tail}")
    return done.stdout.decode("utf-8", "replace")
