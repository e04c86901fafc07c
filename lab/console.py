# SPDX-License-Identifier: LGPL-2.1-or-later
"""Connects this terminal to a console that is a socket."""

from __future__ import annotations

import os
import select
import socket
import sys
import termios
import tty
from collections.abc import Callable
from pathlib import Path

ESCAPE = b"\x1d"


def attach(path: Path, beat: Callable[[], None]) -> None:
    """Passes keys and text on until the escape key, or until either side ends.

    BEAT is called at least twice a second.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as far:
        far.connect(str(path))
        near = sys.stdin.fileno()
        before = termios.tcgetattr(near) if os.isatty(near) else None
        try:
            if before:
                tty.setraw(near)
            far.sendall(b"\n")
            _pump(near, far, beat)
        finally:
            if before:
                termios.tcsetattr(near, termios.TCSADRAIN, before)
                print()


def _pump(near: int, far: socket.socket, beat: Callable[[], None]) -> None:
    while True:
        beat()
        ready, _, _ = select.select([near, far], [], [], 0.5)
        if far in ready:
            data = far.recv(65536)
            if not data:
                return
            os.write(1, data)
        if near in ready:
            keys = os.read(near, 4096)
            if not keys or ESCAPE in keys:
                return
            far.sendall(keys)
