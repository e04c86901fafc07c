#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""nunchi gdb of a saved guest made by hand, by real gdb and by hand: gdb.py NUNCHI WRITE_GUEST.

tests/guests/debugger.py does it with real guests.
"""
from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
NUNCHI, WRITER = sys.argv[1:3]
GUEST = ""


def packet(text: str) -> bytes:
    return f"${text}#{sum(text.encode()) % 256:02x}".encode()


def run(*args: str, **more: object) -> subprocess.CompletedProcess:
    return subprocess.run([NUNCHI, *args], capture_output=True, timeout=60, check=False, **more)


def gdb(*commands: str, before: str = "") -> str:
    """What gdb prints of the commands, connected to the guest; a shell runs BEFORE first."""
    lines = ("set pagination off", "set confirm off",
             f"target remote | {before} exec {NUNCHI} gdb {GUEST} --stdio", *commands)
    done = subprocess.run(["gdb", "-nx", "-batch", *(part for line in lines
                                                     for part in ("-ex", line))],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    return done.stdout


def symbol(name: str) -> str:
    """Its address."""
    return json.loads(run("symbol", GUEST, name, "--json").stdout)["address"]


class RealGdb(unittest.TestCase):
    def setUp(self) -> None:
        self.assertTrue(shutil.which("gdb"), "gdb is not installed; scripts/setup installs it")

    def test_memory(self) -> None:
        banner = symbol("linux_banner")
        text = gdb(f"x/s {banner}", f"x/24xb {banner}")
        self.assertIn('"Linux version 6.1.0 (a) (b) #1 SMP"', text)
        shown = "".join(re.findall(r"0x([0-9a-f]{2})\b", text.rpartition('SMP"')[2]))
        row = json.loads(run("read", GUEST, banner, "16", "--json").stdout)
        self.assertEqual(shown[:32], row["hex"])

    def test_a_guest_that_is_opened_slowly(self) -> None:
        """gdb has sent its first packet three times by then."""
        text = gdb("info registers rip", "info threads", before="sleep 5;")
        self.assertRegex(text, r"rip +0x")
        self.assertIn('"kernel"', text)

    def test_thread_and_tables(self) -> None:
        text = gdb("info threads", "info os", "info registers rax")
        self.assertRegex(text, r"\* 1 +Thread 2147483647 \"kernel\" +0x0+ in \?\? \(\)")
        self.assertRegex(text, r"\nprocesses +running processes")
        self.assertRegex(text, r"\nrax +<unavailable>")

    def test_nothing_is_written(self) -> None:
        text = gdb(f"set var *(char *){symbol('linux_banner')} = 1", "detach")
        self.assertIn("Cannot access memory", text)
        self.assertIn("detached", text)
        self.assertIn("failure reply 'E.nunchi shows the guest read-only'",
                      gdb("set var $rax = 1"))
        self.assertIn("killed", gdb("kill"))


class ByHand(unittest.TestCase):
    def talk(self, *packets: bytes) -> subprocess.CompletedProcess:
        return run("gdb", GUEST, input=b"".join(packets))

    def test_ends_with_the_connection(self) -> None:
        for packets in ((), (packet("?"),), (packet("D"),), (packet("k"), packet("?"))):
            done = self.talk(*packets)
            self.assertEqual((done.returncode, done.stderr), (0, b""), packets)
        self.assertEqual(self.talk(packet("D")).stdout, b"+$OK#9a")

    def test_bad_packets(self) -> None:
        for bad, words in ((b"$?#00", b"wrong checksum"), (b"GET / HTTP/1.0\r\n", b"byte 0x47")):
            done = self.talk(packet("?"), bad, packet("?"))
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.stdout.count(b"T05thread"), 1)
            self.assertIn(words, done.stderr)

    def test_a_terminal_is_no_gdb(self) -> None:
        leader, terminal = pty.openpty()
        try:
            done = run("gdb", GUEST, stdin=terminal)
        finally:
            os.close(leader)
            os.close(terminal)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"target remote | nunchi gdb", done.stderr)

    def test_a_signal_ends_it(self) -> None:
        with subprocess.Popen([NUNCHI, "gdb", GUEST], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as server:
            server.stdin.write(packet("?"))
            server.stdin.flush()
            self.assertEqual(server.stdout.read(1), b"+")
            server.send_signal(signal.SIGTERM)
            self.assertEqual(server.wait(20), 0)

    def test_confined(self) -> None:
        """As other commands are: with a filter of system calls, and no new privileges."""
        with subprocess.Popen([NUNCHI, "gdb", GUEST], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as server:
            server.stdin.write(packet("?"))
            server.stdin.flush()
            server.stdout.read(1)
            with open(f"/proc/{server.pid}/status", encoding="ascii") as file:
                status = file.read()
            server.stdin.close()
            self.assertEqual(server.wait(20), 0)
        self.assertRegex(status, r"NoNewPrivs:\t1\nSeccomp:\t2\n")


class Listening(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "socket"

    def start(self, address: str) -> tuple[subprocess.Popen, str]:
        """A server that listens, and where gdb is to connect to."""
        server = subprocess.Popen([NUNCHI, "gdb", GUEST, "--listen", address],
                                  stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(server.stderr.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        line = server.stderr.readline()
        self.assertIn("listening: gdb -ex 'target remote ", line)
        return server, line.split("'")[1].split()[2]

    def connect(self, where: str) -> socket.socket:
        if where.startswith("127"):
            return socket.create_connection((where.split(":")[0], int(where.split(":")[1])), 20)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(20)
        connection.connect(where)
        return connection

    def test_one_gdb_after_another(self) -> None:
        for address in (f"unix:{self.path}", "127.0.0.1:0"):
            server, where = self.start(address)
            for _ in range(2):
                done = subprocess.run(["gdb", "-nx", "-batch", "-ex", f"target remote {where}",
                                       "-ex", f"x/s {symbol('linux_banner')}"],
                                      stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                      timeout=60, check=False)
                self.assertIn('"Linux version', done.stdout, done.stderr)
            with open(f"/proc/{server.pid}/status", encoding="ascii") as file:
                self.assertRegex(file.read(), r"NoNewPrivs:\t1\nSeccomp:\t2\n")
            # A connection that is no gdb's ends, and the next one works.
            with self.connect(where) as connection:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                try:
                    self.assertEqual(connection.recv(100), b"")
                except ConnectionResetError:
                    pass
            with self.connect(where) as connection:
                connection.sendall(packet("?"))
                self.assertEqual(connection.recv(1), b"+")
            server.send_signal(signal.SIGTERM)
            self.assertEqual(server.wait(20), 0)
            self.assertIn("byte 0x47", server.stderr.read())

    def test_socket_is_the_users(self) -> None:
        server, _ = self.start(f"unix:{self.path}")
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        done = run("gdb", GUEST, "--listen", f"unix:{self.path}")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"another program listens", done.stderr)
        server.send_signal(signal.SIGTERM)
        self.assertEqual(server.wait(20), 0)
        self.wait_until_gone()

    def wait_until_gone(self) -> None:
        """The second process removes the socket once this one is gone."""
        end = time.monotonic() + 20
        while self.path.exists() and time.monotonic() < end:
            time.sleep(0.05)
        self.assertFalse(self.path.exists())

    def test_killed(self) -> None:
        """kill -9 leaves no socket; one that a crash of the host left is replaced."""
        server, _ = self.start(f"unix:{self.path}")
        server.kill()
        server.wait(20)
        self.wait_until_gone()
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(self.path))
        self.start(f"unix:{self.path}")

    def test_other_files_stay(self) -> None:
        self.path.write_text("mine")
        done = run("gdb", GUEST, "--listen", f"unix:{self.path}")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"not a socket of yours", done.stderr)
        self.assertEqual(self.path.read_text(), "mine")

    def test_no_other_addresses(self) -> None:
        for address in ("0.0.0.0:1", ":1", "[::]:1", "127.0.0.2:1", "localhost:1", "1", "unix:",
                        "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:", f"unix:/{'a' * 108}"):
            done = run("gdb", GUEST, "--listen", address)
            self.assertEqual(done.returncode, 2, address)
        self.assertIn(b"the protocol has no password", run("gdb", GUEST, "--listen", ":1").stderr)

    def test_only_the_user_pauses_it(self) -> None:
        """Whoever connects to a port would pause the guest for as long as he likes."""
        done = run("gdb", GUEST, "--listen", "127.0.0.1:0", "--pause", "always")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(b"keep the guest paused", done.stderr)

    def test_a_gdb_that_does_not_read(self) -> None:
        """A signal ends the server also while it waits for gdb to take an answer."""
        for address in (f"unix:{self.path}", "127.0.0.1:0"):
            server, where = self.start(address)
            with self.connect(where) as connection:
                connection.settimeout(1)
                # Not the same one twice in a row, which would be sent again.
                packets = b"".join(packet(f"m{symbol('linux_banner')},{size}")
                                   for size in ("1000", "fff"))
                with self.assertRaises(TimeoutError):
                    while True:
                        connection.sendall(packets * 500)
                server.send_signal(signal.SIGTERM)
                self.assertEqual(server.wait(20), 0)
        with subprocess.Popen([NUNCHI, "gdb", GUEST], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
            self.addCleanup(server.kill)
            server.stdin.write(b"".join(packet(f"m{symbol('linux_banner')},{size}")
                                        for size in ("f00", "eff")) * 32)
            server.stdin.flush()
            # The first answer is there, and the pipe is full soon.
            self.assertEqual(server.stdout.read(1), b"+")
            time.sleep(1)
            server.send_signal(signal.SIGTERM)
            server.wait(20)

    def test_no_guest(self) -> None:
        """A guest that cannot be opened is told at once, and no socket stays."""
        done = run("gdb", str(self.path) + ".none", "--listen", f"unix:{self.path}")
        self.assertEqual(done.returncode, 1)
        self.assertNotIn(b"listening", done.stderr)
        self.assertFalse(self.path.exists())


def main() -> int:
    global GUEST
    GUEST = subprocess.run([WRITER], capture_output=True, text=True, check=True,
                           timeout=60).stdout.strip()
    try:
        program = unittest.main(argv=sys.argv[:1], exit=False)
    finally:
        os.unlink(GUEST)
    return 0 if program.result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
