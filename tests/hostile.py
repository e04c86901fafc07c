#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Local users against root's nunchi: processes that look like QEMU, by other user ids, beside a real
QEMU that must not notice: hostile.py path/to/nunchi.

Needs root. Everything happens in a mount namespace of its own, whose /opt is empty: a program there
belongs to root, as an emulator that was installed does."""

import ctypes
import json
import os
import pathlib
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

QEMU = shutil.which("qemu-system-x86_64")
NUNCHI: pathlib.Path
FAKE: pathlib.Path
# Ids that no user has.
MALLORY, TRUDY = 47123, 47124
LIBC = ctypes.CDLL(None, use_errno=True)


class Nunchi:
    """A run of nunchi: what it wrote, how long it took, and the most memory that it had."""

    def __init__(self, *args: str | pathlib.Path, seconds: float = 20) -> None:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            begin = time.monotonic()
            process = subprocess.Popen([NUNCHI, *args], stdout=out, stderr=err)
            timer = threading.Timer(seconds, process.kill)
            timer.start()
            _, status, usage = os.wait4(process.pid, 0)
            timer.cancel()
            process.returncode = os.waitstatus_to_exitcode(status)
            self.seconds = time.monotonic() - begin
            self.status, self.kib = process.returncode, usage.ru_maxrss
            out.seek(0)
            err.seek(0)
            self.out = out.read().decode()
            self.err = err.read().decode()

    def rows(self) -> list[dict]:
        return [json.loads(line) for line in self.out.splitlines()]


def as_user(uid: int):
    def switch() -> None:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    return switch


class Qmp:
    """A connection of the test's own."""

    def __init__(self, path: pathlib.Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("r")
        self.events: list[str] = []
        self.lines.readline()
        self.ask("qmp_capabilities")

    def ask(self, command: str) -> dict:
        self.socket.sendall(json.dumps({"execute": command}).encode())
        while True:
            message = json.loads(self.lines.readline())
            if "event" not in message:
                return message
            self.events.append(message["event"])


class FuseServer:
    """A file system with one file "ram", whose server stops to answer when it is told to. Written
    against linux/include/uapi/linux/fuse.h."""

    SIZE = 16 << 20

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.mute = folder, False
        self.fd = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self.fd},rootmode=40000,user_id=0,group_id=0,allow_other"
        if LIBC.mount(b"nunchi", str(folder).encode(), b"fuse", 0, options.encode()):
            raise OSError(ctypes.get_errno(), "mount")
        threading.Thread(target=self.serve, daemon=True).start()

    def attributes(self, node: int) -> bytes:
        mode = stat.S_IFDIR | 0o777 if node == 1 else stat.S_IFREG | 0o666
        size = 0 if node == 1 else self.SIZE
        return struct.pack("<6Q10I", node, size, size // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0,
                           4096, 0)

    def reply(self, opcode: int, node: int, name: bytes) -> bytes | int:
        if opcode == 26:  # INIT
            return struct.pack("<4I2H2I2H8I", 7, 31, 65536, 0, 16, 12, 65536, 1, 16, 0, *[0] * 8)
        if opcode == 1:  # LOOKUP
            if name.rstrip(b"\0") != b"ram":
                return -2
            return struct.pack("<4Q2I", 2, 0, 3600, 3600, 0, 0) + self.attributes(2)
        if opcode == 3:  # GETATTR
            return struct.pack("<Q2I", 3600, 0, 0) + self.attributes(node)
        if opcode == 14:  # OPEN
            return struct.pack("<Q2I", 1, 0, 0)
        return -38  # ENOSYS

    def serve(self) -> None:
        while True:
            try:
                data = os.read(self.fd, 1 << 17)
            except OSError:
                return
            _, opcode, unique, node = struct.unpack_from("<IIQQ", data)
            if self.mute or opcode in (2, 15, 36, 42):  # FORGET, READ, INTERRUPT, BATCH_FORGET
                continue
            answer = self.reply(opcode, node, data[40:])
            error, body = (answer, b"") if isinstance(answer, int) else (0, answer)
            try:
                os.write(self.fd, struct.pack("<IiQ", 16 + len(body), error, unique) + body)
            except OSError:
                return

    def close(self) -> None:
        # Ends the waits of all that still wait for an answer.
        LIBC.umount2(str(self.folder).encode(), 1 | 2)  # MNT_FORCE | MNT_DETACH
        os.close(self.fd)


class Hostile(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="nunchi-hostile-"))
        self.folder.chmod(0o777)
        self.processes: list[subprocess.Popen] = []
        self.monitors: list[Qmp] = []
        self.installed = pathlib.Path("/opt/qemu-system-x86_64")
        shutil.copy(FAKE, self.installed)
        self.installed.chmod(0o755)
        self.addCleanup(self.clean)

    def clean(self) -> None:
        for monitor in self.monitors:
            monitor.lines.close()
            monitor.socket.close()
        for process in self.processes:
            process.kill()
            process.communicate()
        shutil.rmtree(self.folder, ignore_errors=True)

    def fake(self, how: str, *args: str, uid: int = MALLORY, program: pathlib.Path | None = None,
             path: pathlib.Path | None = None, **environment: str) -> subprocess.Popen:
        path = path or self.folder / f"{len(self.processes)}.sock"
        process = subprocess.Popen(
            [program or self.installed, *args, "-qmp", f"unix:{path},server=on,wait=off"],
            stdout=subprocess.PIPE, preexec_fn=as_user(uid), cwd="/",
            env={"FAKE_QEMU": how, "FAKE_QEMU_LOG": str(self.folder / "commands"), **environment})
        self.processes.append(process)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        return process

    def qemu(self, name: str = "web1") -> tuple[subprocess.Popen, pathlib.Path, Qmp]:
        """A real guest of root's, and the test's own monitor of it."""
        if not QEMU:
            self.skipTest("no qemu-system-x86_64")
        paths = [self.folder / f"real-{name}-{i}.sock" for i in range(2)]
        process = subprocess.Popen(
            [QEMU, "-name", name, "-machine", "pc,accel=tcg", "-m", "16", "-display", "none",
             "-nodefaults", *[arg for path in paths
                              for arg in ("-qmp", f"unix:{path},server=on,wait=off")]],
            stdout=subprocess.PIPE)
        self.processes.append(process)
        for _ in range(200):
            if all(path.exists() for path in paths):
                break
            time.sleep(0.05)
        self.monitors.append(Qmp(paths[1]))
        return process, paths[0], self.monitors[-1]

    def row(self, run: Nunchi, pid: int) -> dict:
        self.assertEqual((run.status, run.err), (0, ""))
        found = [row for row in run.rows() if row.get("pid") == pid]
        self.assertEqual(len(found), 1, run.out)
        return found[0]

    def commands(self) -> str:
        path = self.folder / "commands"
        return path.read_text() if path.exists() else ""

    def test_own_program_is_not_believed(self) -> None:
        program = self.folder / "qemu-system-x86_64"
        shutil.copy(FAKE, program)
        os.chown(program, MALLORY, MALLORY)
        fake = self.fake("good", "-name", "web1", program=program)
        row = self.row(Nunchi("list", "--json"), fake.pid)
        self.assertEqual((row["user"], row["state"]), (str(MALLORY), "unknown"))
        self.assertIn(f"not believed, never asked or paused: its program {program} does not belong "
                      "to root", row["access"])
        Nunchi("ps", f"qemu:{fake.pid}", "--pause", "always")
        self.assertEqual(self.commands(), "")

    def test_program_under_anothers_name_is_not_believed(self) -> None:
        """Root's file, which another shows under an emulator's name in a mount namespace of theirs."""
        script = ("mount -t tmpfs x /usr/local && mkdir /usr/local/bin && "
                  f"touch /usr/local/bin/qemu-system-x86_64 && "
                  f"mount --bind {self.installed} /usr/local/bin/qemu-system-x86_64 && "
                  f"exec setpriv --reuid {MALLORY} --regid {MALLORY} --clear-groups "
                  "/usr/local/bin/qemu-system-x86_64 -name web1 -qmp unix:$0,server=on")
        process = subprocess.Popen(
            ["unshare", "-m", "--propagation", "private", "sh", "-c", script,
             str(self.folder / "a.sock")], stdout=subprocess.PIPE, env={**os.environ,
                                                                        "FAKE_QEMU": "good"})
        self.processes.append(process)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        row = self.row(Nunchi("list", "--json"), process.pid)
        self.assertIn("is no program of this host's", row["access"])

    def test_socket_of_another_guest(self) -> None:
        """The command line of the fake names the monitor of root's guest."""
        real, path, monitor = self.qemu()
        fake = self.fake("good", "-name", "other", path=path, FAKE_SOCKET="no")
        row = self.row(Nunchi("list", "--json"), fake.pid)
        self.assertEqual(row["state"], "unknown")
        self.assertIn("another process answers on its QMP socket", row["access"])
        for word in (f"qemu:{fake.pid}", "qemu:other"):
            run = Nunchi("ps", word, "--pause", "always")
            self.assertNotEqual(run.status, 0)
        # The socket itself means the guest that holds it.
        run = Nunchi("info", f"qemu:{path}")
        self.assertNotIn(f"{fake.pid}", run.out + run.err)
        monitor.ask("query-status")
        self.assertEqual([event for event in monitor.events if event in ("STOP", "RESUME")], [])
        row = self.row(Nunchi("list", "--json"), real.pid)
        self.assertEqual((row["target"], row["state"], row["user"]),
                         ("qemu:web1", "running", "root"))

    def test_names(self) -> None:
        real, _, _ = self.qemu()
        fakes = [self.fake("good", "-name", "web1", uid=uid) for uid in (MALLORY, TRUDY)]
        listed = Nunchi("list", "--json")
        self.assertEqual(self.row(listed, real.pid)["target"], "qemu:web1")
        for fake in fakes:
            self.assertEqual(self.row(listed, fake.pid)["target"], f"qemu:{fake.pid}")
        two = [self.fake("good", "-name", "shop", uid=uid) for uid in (MALLORY, TRUDY)]
        run = Nunchi("info", "qemu:shop")
        self.assertEqual(run.status, 1)
        for fake, uid in zip(two, (MALLORY, TRUDY)):
            self.assertIn(f"{fake.pid} of {uid}", run.err)
        for name, shown in (("w\u0435b1", "w\\u0435b1"), ("web1\u200b", "web1\\u200b"),
                            ("web1 ", "web1 "), ("\uc6f9\uc11c\ubc84", "\uc6f9\uc11c\ubc84"),
                            ("a\x1b[2J", "a\x1b[2J")):
            fake = self.fake("good", "-name", name)
            row = self.row(Nunchi("list", "--json"), fake.pid)
            self.assertEqual((row["target"], row["name"]), (f"qemu:{fake.pid}", shown))
        table = Nunchi("list").out
        self.assertNotIn("\x1b", table)

    def test_sizes(self) -> None:
        for text in ("9223372036854775807", "17592186044415T", "8E", "99999999999999999999"):
            fake = self.fake("good", "-m", text, "-smp", "4294967295", "-name", "x" * 100000)
            row = self.row(Nunchi("list", "--json"), fake.pid)
            self.assertNotRegex(str(row.get("memory", 0)), "-")
            self.assertLess(row["vcpus"], 65536)
            self.assertLess(len(row.get("name") or ""), 5000)

    def test_answers(self) -> None:
        """What a monitor may send; the guest of root's beside it answers as ever."""
        real, _, _ = self.qemu()
        for how in ("silent", "flood", "huge", "nested", "tokens", "slow", "unasked"):
            with self.subTest(how):
                fake = self.fake(how, "-name", how, "-m", "16")
                run = Nunchi("list", "--json")
                self.row(run, fake.pid)
                self.assertEqual(self.row(run, real.pid)["state"], "running")
                self.assertLess(run.seconds, 3)
                self.assertLess(run.kib, 32 << 10)
                run = Nunchi("info", f"qemu:{fake.pid}")
                print(f"  {how}: info {run.seconds:.1f} s, {run.kib} KiB", file=sys.stderr)
                self.assertLess(run.seconds, 15)
                self.assertLess(run.kib, 64 << 10)
                fake.kill()
                fake.wait()

    def test_many(self) -> None:
        """200 fakes with 8 sockets each, beside a guest of root's."""
        real, _, _ = self.qemu()
        hows = ("silent", "flood", "huge", "nested", "tokens", "slow", "unasked", "good")
        for i in range(200):
            path = self.folder / f"many-{i}.sock"
            self.fake(hows[i % len(hows)], "-name", f"web{i}", "-object", "a" * 20000,
                      *["-qmp", f"unix:{path},server=on"] * 7, path=path,
                      uid=MALLORY + i % 2)
        run = Nunchi("list", "--json")
        print(f"  200 fakes: {run.seconds:.2f} s, {run.kib} KiB", file=sys.stderr)
        self.assertEqual(self.row(run, real.pid)["state"], "running")
        self.assertEqual(len([row for row in run.rows() if row["name"].startswith("web")]), 201)
        self.assertLess(run.seconds, 4)  # 2 s on a host that does nothing else
        self.assertLess(run.kib, 32 << 10)

    @unittest.skipUnless(os.path.exists("/dev/fuse"), "no /dev/fuse")
    def test_memory_on_fuse(self) -> None:
        """RAM in a file whose server does not answer: nunchi ends, and says why."""
        folder = self.folder / "fuse"
        folder.mkdir()
        server = FuseServer(folder)
        try:
            arguments = (
                "-name", "fuse", "-machine", "pc,memory-backend=m", "-m", "16", "-object",
                f"memory-backend-file,id=m,size=16M,share=on,mem-path={folder}/ram")
            with_monitor = self.fake("good", *arguments, FAKE_MAP=f"{folder}/ram")
            without = self.fake("good", *arguments, FAKE_MAP=f"{folder}/ram", FAKE_SOCKET="no")
            server.mute = True
            # Neither monitor tells where the memory is, so rules are used.
            for fake, why in ((with_monitor, "no Linux kernel found"),
                              (without, "is in a file on fuse")):
                run = Nunchi("info", f"qemu:{fake.pid}", seconds=10)
                self.assertLess(run.seconds, 8, "nunchi waits for the server of the file system")
                self.assertEqual(run.status, 1)
                self.assertIn(why, run.err)
            self.assertLess(Nunchi("list", seconds=10).seconds, 4)
        finally:
            server.close()

    @unittest.skipUnless(os.path.exists("/dev/fuse"), "no /dev/fuse")
    def test_socket_on_fuse(self) -> None:
        folder = self.folder / "fuse"
        folder.mkdir()
        server = FuseServer(folder)
        try:
            fake = self.fake("good", "-name", "fuse", path=folder / "ram", FAKE_SOCKET="no")
            server.mute = True
            run = Nunchi("list", "--json", seconds=10)
            self.assertLess(run.seconds, 4)
            self.assertIn("is not on a local file system, but on fuse",
                          self.row(run, fake.pid)["access"])
        finally:
            server.close()


def main() -> int:
    global NUNCHI, FAKE
    if os.geteuid() != 0:
        print("hostile.py: needs root: skipped", file=sys.stderr)
        return 77
    if len(sys.argv) > 1 and sys.argv[1] != "--inside":
        done = subprocess.run(["unshare", "-m", "--propagation", "private", sys.executable, __file__,
                               "--inside", *sys.argv[1:]], check=False)
        return done.returncode
    sys.argv.pop(1)
    NUNCHI = pathlib.Path(sys.argv.pop(1)).resolve()
    FAKE = NUNCHI.parent / "tests" / "fake_qemu"
    subprocess.run(["mount", "-t", "tmpfs", "nunchi", "/opt"], check=True)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    result = unittest.main(exit=False, verbosity=1).result
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
