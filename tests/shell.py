#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""nunchi sql on a terminal, without a guest: shell.py path/to/nunchi."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time
import unittest
from pathlib import Path

NUNCHI = ""
ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
PROMPTS = (b"nunchi> ", b"   ...> ")
SECONDS = 30.0
UP, TAB, CTRL_A, CTRL_C, CTRL_D, CTRL_R = b"\x1b[A", b"\t", b"\x01", b"\x03", b"\x04", b"\x12"


class Shell:
    """The shell in a terminal of its own, with a folder for its history."""

    def __init__(self, place: Path, *targets: str, **environment: str) -> None:
        names = {**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8", "HOME": str(place), **environment}
        names.pop("XDG_STATE_HOME", None)
        if "NUNCHI_HISTORY" not in environment:
            names.pop("NUNCHI_HISTORY", None)
        self.text = b""
        self.child, self.master = pty.fork()
        if self.child == 0:
            os.execve(NUNCHI, [NUNCHI, "sql", *targets, "--no-color"], names)
        self.mode = termios.tcgetattr(self.master)

    def read(self, seconds: float) -> bool:
        """Whether something came."""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            piece = os.read(self.master, 65536)
        except OSError:
            return False
        self.text += piece
        return bool(piece)

    def wait(self, wanted: bytes) -> bytes:
        """What came up to the text, which the terminal shows behind all that was seen before."""
        end = time.monotonic() + SECONDS
        while wanted not in self.text and time.monotonic() < end:
            self.read(0.2)
        before, found, self.text = self.text.partition(wanted)
        if not found:
            raise AssertionError(f"{wanted!r} did not come, but {before!r}")
        return before + found

    def type(self, keys: bytes, wanted: bytes) -> bytes:
        self.press(keys)
        return self.wait(wanted)

    def press(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def end(self) -> int:
        """The exit status, and the terminal's mode is as it was."""
        while self.read(SECONDS):
            pass
        status = os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])
        self.left = self.text
        # What was typed behind the end is nobody's.
        self.same_mode = termios.tcgetattr(self.master)[:4] == self.mode[:4]
        os.close(self.master)
        return status

    def reader(self) -> int:
        """The process that reads the guest."""
        return int(Path(f"/proc/{self.child}/task/{self.child}/children").read_text().split()[0])


class Case(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.place = Path(self.folder.name)
        self.path = str(self.place / "none.raw")
        Path(self.path).write_bytes(bytes(1 << 20))
        self.addCleanup(self.folder.cleanup)
        done = subprocess.run([NUNCHI, "sql", self.path, "select 1"], capture_output=True, text=True,
                              timeout=SECONDS, check=False)
        if "has no SQL" in done.stderr:
            self.skipTest("a build without SQLite")

    def start(self, *targets: str, **environment: str) -> Shell:
        return Shell(self.place, *(targets or (self.path,)), **environment)


class Plain(Case):
    """A terminal that can do nothing: as without libedit."""

    def talk(self, *typed: str | None) -> str:
        """What the shell prints; of TYPED None is Ctrl-C, typed after a second without a prompt."""
        shell = self.start(TERM="dumb")
        text = b""
        for line in (*typed, ".quit"):
            while not shell.text.endswith(PROMPTS) and shell.read(1 if line is None else SECONDS):
                pass
            text, shell.text = text + shell.text, b""
            shell.press(CTRL_C if line is None else line.encode() + b"\n")
        self.assertEqual(shell.end(), 0)
        return (text + shell.left).decode().replace("\r\n", "\n")

    def test_shell(self) -> None:
        text = self.talk(".tables", ".schema uptime", ".mode csv", ".nothing",
                         "select 'a;b' as x, -- ;", " 5 as y;", "select 2 as", None, "select 3 as z;",
                         ENDLESS + ";", None, "select 4 as w;", "select nam from symbols;")
        for wanted in ("processes  ", "uptime(days integer", "there is no such command",
                       "\nx,y\na;b,5\n", "   ...> ", "\nz\n3\n", "cancelled", "\nw\n4\n",
                       "no such column: nam"):
            self.assertIn(wanted, text)

    def test_words_of_other_shells(self) -> None:
        text = self.talk("help", "select 5", ".tables", None, "select 6 from nosuch;")
        for wanted in (".schema [TABLE]", "this is a part of the statement", "then type .tables",
                       "no such table: nosuch", ".tables lists the tables"):
            self.assertIn(wanted, text)
        for word in ("quit", "exit", "exit ;"):
            shell = self.start(TERM="dumb")
            shell.wait(b"nunchi> ")
            shell.press(word.encode() + b"\n")
            self.assertEqual(shell.end(), 0)


@unittest.skipUnless(os.environ.get("NUNCHI_EDITING", "1") == "1", "a build without libedit")
class Edited(Case):
    def history(self) -> Path:
        return self.place / ".local/state/nunchi/sql_history"

    def test_keys(self) -> None:
        shell = self.start()
        shell.wait(b"nunchi> ")
        shell.type(b".mode csv\n", b"nunchi> ")
        self.assertIn(b"\na\r\n7\r\n", shell.type(b"select 7 as a;\n", b"nunchi> "))
        self.assertIn(b"\na\r\n7\r\n", shell.type(UP + b"\n", b"nunchi> "))
        self.assertIn(b"\na\r\n57\r\n", shell.type(UP + CTRL_A + b"\x1b[C" * 7 + b"5\n", b"nunchi> "))
        shell.press(CTRL_R + b"mode")
        shell.wait(b"bck")
        shell.type(b"\n", b"nunchi> ")
        self.assertIn(b"\nb\r\nxy\r\n", shell.type(b"select 'x\xc3\xa9\x7fy'\n", b"   ...> ") +
                      shell.type(b"as b;\n", b"nunchi> "))
        shell.press(b".quit\n")
        self.assertEqual((shell.end(), shell.same_mode), (0, True))

    def test_completion(self) -> None:
        shell = self.start(f"before={self.path}", f"after={self.path}")
        shell.wait(b"nunchi> ")
        shell.type(b".mo\tcsv\n", b"nunchi> ")
        shell.type(b"sel\tpid from processes p, ker\t", b"nel_")
        shell.type(CTRL_C, b"nunchi> ")
        shell.type(b"select pid from processes p\n", b"...> ")
        text = shell.type(b"where p.par\t = 5;\n", b"nunchi> ")
        self.assertIn(b"no Linux kernel found", text)
        shell.type(b"select pid from aft\tproc\t", b"ess")
        text = shell.type(TAB, b"process_open_files")
        self.assertIn(b"\r\n", text)
        shell.wait(b"nunchi> select pid from after.process")
        shell.type(CTRL_C, b"nunchi> ")
        # A column that is a word of SQL.
        text = shell.type(b"select 1 from kernel_modules where ref\t > 5;\n", b"nunchi> ")
        self.assertIn(b"no Linux kernel found", text)
        # Between quotes there is nothing to complete, and a line can begin with a tab.
        self.assertIn(b"\nsel\r\n", shell.type(b"select 'sel\t' as sel\n", b"...> ") +
                      shell.type(b"\t;\n", b"nunchi> "))
        shell.press(CTRL_D)
        self.assertEqual((shell.end(), shell.same_mode), (0, True))

    def test_ctrl_c(self) -> None:
        shell = self.start()
        shell.wait(b"nunchi> ")
        shell.type(b".mode csv\n", b"nunchi> ")
        for _ in range(3):
            shell.type(b"select nonsense" + CTRL_C, b"nunchi> ")
        shell.type(b"select 1,\n", b"...> ")
        shell.type(b"2" + CTRL_C, b"nunchi> ")
        shell.press(ENDLESS.encode() + b";\n")
        time.sleep(0.5)
        shell.type(CTRL_C, b"cancelled")
        shell.wait(b"nunchi> ")
        self.assertIn(b"\nx\r\n4\r\n", shell.type(b"select 4 as x;\n", b"nunchi> "))
        shell.press(CTRL_D)
        self.assertEqual((shell.end(), shell.same_mode), (0, True))

    def test_ends_by_signals(self) -> None:
        """At a prompt and in a statement, of either process: the terminal is as it was."""
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGSEGV, signal.SIGKILL):
            for busy in (False, True):
                for reader in (False, True):
                    if not reader and number in (signal.SIGSEGV, signal.SIGKILL):
                        continue
                    with self.subTest(number=number, busy=busy, reader=reader):
                        self.signalled(number, busy, reader)

    def signalled(self, number: signal.Signals, busy: bool, reader: bool) -> None:
        shell = self.start()
        shell.wait(b"nunchi> ")
        child = shell.reader()
        if busy:
            shell.press(ENDLESS.encode() + b";\n")
            time.sleep(0.4)
        os.kill(child if reader else shell.child, number)
        status = shell.end()
        self.assertEqual((status, shell.same_mode), (128 + number, True), shell.left)
        self.assertFalse(Path(f"/proc/{child}").exists())
        if number in (signal.SIGSEGV, signal.SIGKILL):
            self.assertIn(b"was ended by signal", shell.left)

    def test_ends_by_other_signals(self) -> None:
        """They are not told to the child as what they are: it would end with the guest paused."""
        for number in (signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM):
            shell = self.start()
            shell.wait(b"nunchi> ")
            os.kill(shell.child, number)
            self.assertEqual((shell.end(), shell.same_mode), (128 + signal.SIGTERM, True), number)

    def test_reader_that_does_not_answer(self) -> None:
        """It is killed some seconds after the signal."""
        for busy in (False, True):
            shell = self.start()
            shell.wait(b"nunchi> ")
            child = shell.reader()
            os.kill(child, signal.SIGSTOP)
            if busy:
                shell.press(b"select 1;\n")
                time.sleep(0.4)
            os.kill(shell.child, signal.SIGTERM)
            self.assertEqual((shell.end(), shell.same_mode), (128 + signal.SIGKILL, True))
            self.assertIn(b"did not end and was killed", shell.left)
            self.assertFalse(Path(f"/proc/{child}").exists())

    def test_keys_of_vi(self) -> None:
        """Ctrl-C drops the line in the command mode too."""
        (self.place / ".editrc").write_text("bind -v\n")
        shell = self.start()
        shell.wait(b"nunchi> ")
        shell.type(b"select 123", b"123")
        shell.press(b"\x1b")
        time.sleep(0.3)
        shell.type(CTRL_C, b"nunchi> ")
        self.assertIn(b"45", shell.type(b"select 45 as v;\n", b"nunchi> "))
        shell.press(CTRL_D)
        self.assertEqual((shell.end(), shell.same_mode), (0, True))

    @unittest.skipIf(os.geteuid(), "needs root")
    def test_home_of_another_user(self) -> None:
        """Its keys are not ours."""
        (self.place / ".editrc").write_text('bind -s "z" "y"\n')
        os.chown(self.place, 65534, 65534)
        shell = self.start()
        self.assertIn(b"belongs to another user", shell.wait(b"nunchi> "))
        shell.type(b"select 'z' as a;\n", b"nunchi> ")
        self.assertIn(b"select 'z'", shell.type(UP, b"as a;"))
        shell.type(CTRL_C, b"nunchi> ")
        shell.press(CTRL_D)
        self.assertEqual(shell.end(), 0)

    def test_killed(self) -> None:
        """Nobody can put the terminal right then; but the process that reads the guest ends."""
        for busy in (False, True):
            shell = self.start()
            shell.wait(b"nunchi> ")
            child = shell.reader()
            if busy:
                shell.press(ENDLESS.encode() + b";\n")
                time.sleep(0.4)
            os.kill(shell.child, signal.SIGKILL)
            os.waitpid(shell.child, 0)
            end = time.monotonic() + SECONDS
            while Path(f"/proc/{child}/exe").exists() and time.monotonic() < end:
                time.sleep(0.05)
            self.assertFalse(Path(f"/proc/{child}/exe").exists())
            os.close(shell.master)

    def test_ctrl_z(self) -> None:
        """In a shell that has jobs: the terminal is the shell's, and then ours again."""
        master, slave = pty.openpty()
        shell = subprocess.Popen(
            ["bash", "--norc", "-i"], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),
            env={**os.environ, "TERM": "xterm", "PS1": "READY\\$ ", "HOME": str(self.place)})
        os.close(slave)
        seen = Shell.__new__(Shell)
        seen.master, seen.text = master, b""
        seen.wait(b"READY")
        seen.type(f"exec 2>&1; {NUNCHI} sql {self.path} --no-color\n".encode(), b"nunchi> ")
        seen.type(b"select 6", b"select 6")
        seen.type(b"\x1a", b"READY")
        self.assertTrue(termios.tcgetattr(master)[3] & termios.ISIG)
        seen.type(b"fg\n", b"select 6")
        seen.type(b"7 as z;\n", b"67")
        seen.wait(b"nunchi> ")
        seen.type(CTRL_D, b"READY")
        os.write(master, b"exit\n")
        self.assertEqual(shell.wait(SECONDS), 0)
        os.close(master)

    def test_protected(self) -> None:
        """The process that reads the guest has neither the terminal's input nor the history."""
        shell = self.start()
        shell.wait(b"nunchi> ")
        place = Path(f"/proc/{shell.reader()}/fd")
        names = {int(fd.name): os.readlink(fd) for fd in place.iterdir()}
        self.assertTrue(names[0].startswith("socket:"), names)
        self.assertFalse([name for name in names.values() if "history" in name], names)
        status = (place.parent / "status").read_text()
        self.assertIn("Seccomp:\t2", status)
        shell.press(CTRL_D)
        self.assertEqual(shell.end(), 0)

    def test_history(self) -> None:
        shell = self.start()
        shell.wait(b"nunchi> ")
        shell.type(b".mode csv\n", b"nunchi> ")
        shell.type(b"select 12 as old;\n", b"nunchi> ")
        shell.press(CTRL_D)
        self.assertEqual(shell.end(), 0)
        self.assertEqual(self.history().read_text(), ".mode csv\nselect 12 as old;\n")
        self.assertEqual(self.history().stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.history().parent.stat().st_mode & 0o777, 0o700)
        shell = self.start()
        shell.wait(b"nunchi> ")
        self.assertIn(b"old", shell.type(UP + b"\n", b"nunchi> "))
        # What is typed is kept whatever becomes of the process.
        os.kill(shell.child, signal.SIGKILL)
        os.waitpid(shell.child, 0)
        os.close(shell.master)
        self.assertEqual(self.history().read_text().count("select 12"), 2)

    def test_history_of_no_characters(self) -> None:
        """A line that is no UTF-8 does not hide those before it."""
        self.history().parent.mkdir(parents=True, mode=0o700)
        self.history().write_bytes(b"select 'older';\nselect '\xff\xfe';\n")
        shell = self.start()
        shell.wait(b"nunchi> ")
        shell.type(UP, b"older")
        shell.type(CTRL_C, b"nunchi> ")
        shell.press(CTRL_D)
        self.assertEqual(shell.end(), 0)

    def test_no_history(self) -> None:
        for environment, said in (({"NUNCHI_HISTORY": ""}, b""),
                                  ({"HOME": ""}, b"the history is not kept: HOME is not set")):
            shell = self.start(**environment)
            self.assertIn(said, shell.wait(b"nunchi> "))
            shell.type(b"select 1;\n", b"nunchi> ")
            self.assertIn(b"select 1;", shell.type(UP + b"\n", b"nunchi> "))
            shell.press(CTRL_D)
            self.assertEqual(shell.end(), 0)
        self.assertFalse((self.place / ".local").exists())
        other = self.place / "mine"
        shell = self.start(NUNCHI_HISTORY=str(other))
        shell.wait(b"nunchi> ")
        shell.type(b"select 1;\n", b"nunchi> ")
        shell.press(CTRL_D)
        self.assertEqual((shell.end(), other.read_text()), (0, "select 1;\n"))

    def test_without_the_library(self) -> None:
        """It says what to install, and works as the terminal edits."""
        hidden = self.place / "hidden"
        hidden.mkdir()
        for name in ("libedit.so.2", "libedit.so.0"):
            (hidden / name).write_text("no library")
        shell = self.start(LD_LIBRARY_PATH=str(hidden))
        text = shell.wait(b"nunchi> ")
        self.assertIn(b"lines cannot be edited: libedit.so.2 cannot be loaded", text)
        self.assertIn(b"hint: install libedit2", text)
        shell.type(b".mode csv\n", b"nunchi> ")
        self.assertIn(b"\na\r\n7\r\n", shell.type(b"select 7 as a;\n", b"nunchi> "))
        self.assertTrue(termios.tcgetattr(shell.master)[3] & termios.ICANON)
        shell.press(CTRL_D)
        self.assertEqual(shell.end(), 0)

    def test_error_before_the_first_prompt(self) -> None:
        shell = self.start(str(self.place / "nothing"))
        self.assertEqual((shell.end(), shell.same_mode), (1, True))
        self.assertIn(b"no such file", shell.left)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: shell.py NUNCHI [TEST]...")
    NUNCHI = os.path.abspath(sys.argv.pop(1))
    # Under nohup it is ignored, and so it would be in nunchi, which is ended by it here.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    unittest.main()
