# SPDX-License-Identifier: LGPL-2.1-or-later
"""A small client of QEMU's machine protocol."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

from common import LabError


class Qmp:
    """One session on a QMP socket. QEMU serves one client at a time."""

    def __init__(self, path: Path, timeout: float = 15.0) -> None:
        self.path = path
        self.buffer = b""
        self.events: list[dict[str, Any]] = []  # that came while a command was under way
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        try:
            self.socket.connect(str(path))
            self._message(time.monotonic() + timeout, "the greeting")
            self.command("qmp_capabilities", timeout=timeout)
        except OSError as error:
            self.socket.close()
            raise LabError(f"{path}: {error.strerror or error}") from None
        except LabError:
            self.socket.close()
            raise

    def __enter__(self) -> Qmp:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.socket.close()

    def _message(self, deadline: float, what: str) -> dict[str, Any]:
        while b"\n" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0:
                raise LabError(f"{self.path}: no answer while waiting for {what}; "
                               "QEMU serves one QMP client at a time: is another connected?")
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                continue
            if not data:
                raise LabError(f"{self.path}: QEMU closed the connection")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return dict(json.loads(line))

    def command(self, name: str, timeout: float = 30.0, **arguments: Any) -> Any:
        """Run one command; an error answer raises LabError. Events are kept."""
        request: dict[str, Any] = {"execute": name}
        if arguments:
            request["arguments"] = {key.replace("_", "-"): value
                                    for key, value in arguments.items()}
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        deadline = time.monotonic() + timeout
        while True:
            answer = self._message(deadline, name)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise LabError(f"{self.path}: {name}: {answer['error'].get('desc')}")
            self.events.append(answer)
