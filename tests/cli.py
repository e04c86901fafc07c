#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the command says and how it ends, without a guest: cli.py path/to/nunchi."""

import csv
import gzip
import io
import json
import os
import pathlib
import pty
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
sys.path.insert(1, str(ROOT / "lab"))

import compare  # noqa: E402
import packages  # noqa: E402

NUNCHI = None
COMMANDS = ("list info views show sql ps top metrics probes trace modules sockets check report diff log symbol type "
            "print translate read cat ls find extract yara strings mount snapshot core export gdb rescue doctor help "
            "version").split()


def run(*args, **kwargs):
    kwargs.setdefault("stdout", subprocess.PIPE)
    kwargs.setdefault("timeout", 60)
    return subprocess.run([NUNCHI, *args], stderr=subprocess.PIPE, text=True,
                          encoding="utf-8", errors="surrogateescape", **kwargs)


def pipe_with_reader(path):
    """A named pipe, open for reading: nunchi does not wait for a reader of one."""
    os.mkfifo(path)
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(fd, True)
    return open(fd, "rb")


def wait_for_writer(pipe):
    """Until the pipe has something; before its first writer comes, read() would find its end."""
    select.select([pipe], [], [], 30)


class Help(unittest.TestCase):
    def check_help(self, *args):
        done = run(*args)
        self.assertEqual((done.returncode, done.stderr), (0, ""), args)
        self.assertIn("usage: nunchi", done.stdout)
        self.assertIn("\nExamples:\n  nunchi ", done.stdout)
        self.assertIn("Exit status:", done.stdout)
        for line in done.stdout.splitlines():
            self.assertLessEqual(len(line), 79, line)
        return done.stdout

    def test_every_command(self):
        for command in COMMANDS:
            text = self.check_help("help", command)
            self.assertEqual(text, self.check_help(command, "--help"))
            self.assertEqual(text, self.check_help("-h", command))
            self.assertRegex(text, r"\n  nunchi " + command)

    def test_overview_tells_the_targets(self):
        text = run("--help").stdout
        forms = re.findall(r"^  (\S+) ", text[text.index("TARGET is one of:"):text.index("Options")],
                           re.M)
        self.assertEqual(forms, ["xen:NAME", "xen:ID", "qemu:NAME", "qemu:PID", "qemu:SOCKET",
                                 "PATH"])
        formats = re.findall(r"^    ([a-z-]+) +\S", text, re.M)
        self.assertEqual(sorted(formats), ["avml", "elf", "flattened", "kdump", "lime",
                                           "qemu-stream", "raw", "vmware", "xen-core",
                                           "xen-save"])

    def test_overview_lists_every_command(self):
        text = self.check_help("--help")
        self.assertEqual(text, self.check_help("help"))
        listed = re.findall(r"^  ([a-z]+) ", text[text.index("Commands:"):], re.M)
        self.assertEqual(listed[:len(COMMANDS)], COMMANDS)
        self.assertRegex(text, r"\n      --version +print the version\n")

    def test_version(self):
        self.assertRegex(run("version").stdout, r"^nunchi \d+\.\d+\.\d+\n$")
        self.assertEqual(run("version").stdout, run("--version").stdout)

    def test_starts_with_few_libraries(self):
        """Of those that only some of it needs, none is there at the start."""
        later = packages.loaded(pathlib.Path(NUNCHI))
        done = run("version", env={**os.environ, "LD_DEBUG": "libs"})
        found = re.findall(r"find library=(\S+)", done.stderr)
        self.assertIn("libc.so.6", found)
        self.assertFalse(set(found) & set(later))
        self.assertFalse([name for name in found if name.startswith("libxen")])


class Documents(unittest.TestCase):
    """The man page and the completion have every command and option that help has."""

    @staticmethod
    def options(*command):
        """{"--name": takes a value} of what the help of the command lists."""
        lines = re.findall(r"^  (?:-.,|   ) (--[a-z0-9-]+)(?: (\S+))?(?:  .*|)$",
                           run("help", *command).stdout, re.M)
        return {name: value != "" for name, value in lines}

    def test_man_page(self):
        text = (ROOT / "man/nunchi.1").read_text(encoding="utf-8")
        synopsis = text[text.index(".Sh SYNOPSIS"):text.index(".Sh DESCRIPTION")]
        for command in COMMANDS:
            self.assertRegex(synopsis, rf"\n\.Cm {command}\n")
            self.assertRegex(text, rf"\n\.It Cm {command}\n")
            for option in self.options(command):
                self.assertRegex(text, rf"\n\.It Fl (?:\w , )?{option[1:]}\b", command)

    def test_every_check_is_named(self):
        lines = re.findall(r"CHECK\((\w+)\)\n", (ROOT / "src/check/checks.def").read_text(encoding="utf-8"))
        text = run("help", "check").stdout
        listed = re.search(r"\nChecks:\n((?:  .*\n)+)", text)
        self.assertIsNotNone(listed, text)
        self.assertEqual(re.split(r",\s+", listed[1].strip()), lines)
        self.assertEqual(self.complete("check", "x", ""), set(lines))
        page = (ROOT / "man/nunchi.1").read_text(encoding="utf-8")
        section = page[page.index(".It Cm check\n"):page.index(".It Cm diff\n")]
        for name in lines:
            self.assertRegex(section, rf"\n\.(Pq )?Cm {name}\b")

    def complete(self, *words):
        script = (f"source {ROOT}/completion/nunchi.bash; COMP_WORDS=(\"$@\"); "
                  "COMP_CWORD=$(($# - 1)); COMP_LINE=\"$*\"; COMP_POINT=${#COMP_LINE}; "
                  "compopt() { :; }; _nunchi; printf '%s\\n' \"${COMPREPLY[@]}\"")
        # Elsewhere than in the build, whose files would be completed too.
        with tempfile.TemporaryDirectory() as empty:
            done = subprocess.run(["bash", "-c", script, "bash", os.path.abspath(NUNCHI), *words],
                                  check=True, capture_output=True, text=True, timeout=60, cwd=empty)
        return set(done.stdout.split())

    def test_completion_after_a_value(self):
        """The word behind an option's value is completed as if the option were not there."""
        with_value = {option: command for command in COMMANDS
                      for option, has_value in self.options(command).items() if has_value}
        self.assertIn("--pid", with_value)
        for option, command in with_value.items():
            self.assertEqual(self.complete(command, option, "5", "no"),
                             self.complete(command, "no"), option)
        for option in (name for name, has_value in self.options("show").items() if has_value):
            self.assertEqual(self.complete("show", option, "5", "x", "pro"),
                             {"processes", "process_capabilities", "process_envs",
                              "process_memory_map", "process_namespaces", "process_open_files",
                              "process_open_sockets", "process_rlimits"}, option)

    def test_completion(self):
        self.assertEqual(self.complete(""), set(COMMANDS))
        views = {row["view"] for row in csv.DictReader(io.StringIO(run("views", "--csv").stdout))}
        self.assertEqual(self.complete("show", "x", ""), views)
        probes = {row["probe"] for row in csv.DictReader(io.StringIO(run("probes", "--csv").stdout))}
        self.assertIn("exec", probes)
        self.assertEqual(self.complete("probes", ""), probes)
        self.assertEqual(self.complete("trace", "x", "exec", ""), probes)
        self.assertIn("cmdline", self.complete("trace", "x", "exec", "--columns", ""))
        self.assertIn("syscalls", self.complete("check", "x", ""))
        self.assertEqual(self.complete("check", "x", "sys"), {"syscalls"})
        self.assertEqual(self.complete("yara", "x", "y", "--columns", "ru"), {"rule"})
        self.assertEqual(self.complete("diff", "x", "y", ""), views)
        self.assertEqual(self.complete("diff", "x", "xe"), {"xen:"})
        # Without a guest or file of such a name, what a guest's word begins with.
        self.assertEqual(self.complete("ps", "xe"), {"xen:"})
        for command in COMMANDS:
            options = self.options(command)
            self.assertIn("--json", options)
            self.assertEqual(self.complete(command, "--"), set(options), command)


class Metrics(unittest.TestCase):
    """Of a guest that there is not, which is no reason to write nothing."""

    def test_printed(self):
        done = run("metrics", "qemu:nobody", "/nonexistent/a")
        self.assertEqual(done.returncode, 1)
        self.assertIn('\nnunchi_up{guest="qemu:nobody"} 0\nnunchi_up{guest="/nonexistent/a"} 0\n',
                      done.stdout)
        self.assertIn('nunchi_missing{guest="qemu:nobody",family="all",reason="not found"} 1\n',
                      done.stdout)
        self.assertTrue(done.stdout.endswith("\n# EOF\n"))
        self.assertIn("qemu:nobody: no QEMU guest", done.stderr)

    def test_json(self):
        rows = [json.loads(line) for line in
                run("metrics", "--json", "qemu:nobody").stdout.splitlines()]
        self.assertIn({"name": "nunchi_up", "labels": {"guest": "qemu:nobody"}, "value": 0}, rows)

    def test_file(self):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory, "a.prom")
            done = run("metrics", "qemu:nobody", "--textfile", path)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn('nunchi_up{guest="qemu:nobody"} 0\n', path.read_text(encoding="utf-8"))
            self.assertEqual([path], list(pathlib.Path(directory).iterdir()))

    def test_file_again(self):
        """What keeps the file from being written is told once, and may go."""
        with tempfile.TemporaryDirectory() as directory:
            folder = pathlib.Path(directory, "b")
            path = folder / "a.prom"
            writer = subprocess.Popen([NUNCHI, "metrics", "qemu:nobody", "--interval", "1",
                                       "--textfile", path], stderr=subprocess.PIPE, text=True)
            lines = [writer.stderr.readline()]
            while "a.prom" not in lines[-1]:
                self.assertTrue(lines[-1], lines)
                lines.append(writer.stderr.readline())
            # Twice without a word.
            time.sleep(2.5)
            folder.mkdir()
            lines.append(writer.stderr.readline())
            self.assertIn("the file can be written again", lines[-1])
            self.assertTrue(path.exists())
            writer.terminate()
            self.assertEqual(writer.wait(60), 0)
            writer.stderr.close()

    def test_socket_is_not_taken(self):
        """A socket at which nobody listens any more is replaced, and no other one."""
        with tempfile.TemporaryDirectory() as directory:
            path = f"{directory}/socket"
            with socket.socket(socket.AF_UNIX) as other:
                other.bind(path)
                other.listen()
                done = run("metrics", "qemu:nobody", "--listen", f"unix:{path}")
                self.assertEqual(done.returncode, 1)
                self.assertIn("another program listens", done.stderr)
            server = subprocess.Popen([NUNCHI, "metrics", "qemu:nobody", "--listen", f"unix:{path}"],
                                      stderr=subprocess.PIPE, text=True)
            self.assertIn("nunchi: listening: ", server.stderr.readline())
            self.assertEqual(os.listdir(directory), ["socket"])
            server.terminate()
            self.assertEqual(server.wait(60), 0)
            server.stderr.close()
            self.assertEqual(os.listdir(directory), [])

    def test_one_socket(self):
        """Of several that begin to listen at once, one has the path, and all know which."""
        with tempfile.TemporaryDirectory() as directory:
            servers = [subprocess.Popen(
                [NUNCHI, "metrics", "qemu:nobody", "--listen", f"unix:{directory}/socket"],
                stderr=subprocess.PIPE, text=True) for _ in range(8)]
            said = [server.stderr.readline() for server in servers]
            listening = [server for server, line in zip(servers, said)
                         if line.startswith("nunchi: listening: ")]
            self.assertEqual(len(listening), 1, said)
            self.assertEqual(sum("another program listens" in line for line in said), 7, said)
            self.assertEqual(os.listdir(directory), ["socket"])
            listening[0].terminate()
            for server in servers:
                self.assertEqual(server.wait(60), 0 if server in listening else 1)
                server.stderr.close()

    def test_socket_goes(self):
        """SIGTERM ends the server, and its socket goes with it."""
        with tempfile.TemporaryDirectory() as directory:
            path = f"{directory}/socket"
            server = subprocess.Popen([NUNCHI, "metrics", "qemu:nobody", "--listen", f"unix:{path}"],
                                      stderr=subprocess.PIPE, text=True)
            self.assertIn("nunchi: listening: ", server.stderr.readline())
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(60)
                client.connect(path)
                client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
                answer = b""
                while piece := client.recv(65536):
                    answer += piece
            self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer[:200])
            self.assertTrue(answer.endswith(b"# EOF\n"))
            server.terminate()
            self.assertEqual(server.wait(60), 0)
            server.stderr.close()
            self.assertFalse(os.path.exists(path))


class WrongUse(unittest.TestCase):
    def check_wrong(self, *args, says=()):
        done = run(*args)
        self.assertEqual((done.returncode, done.stdout), (2, ""), args)
        self.assertTrue(done.stderr.startswith("nunchi: "), done.stderr)
        self.assertIn("hint:", done.stderr)
        for text in says:
            self.assertIn(text, done.stderr)

    def test_output_is_not_the_guest(self):
        with tempfile.TemporaryDirectory() as folder:
            guest, link = pathlib.Path(folder, "guest"), pathlib.Path(folder, "link")
            guest.write_bytes(b"guest" * 1000)
            link.hardlink_to(guest)
            for words in (["snapshot", guest, guest], ["snapshot", guest, link],
                          ["report", guest, "-o", guest], ["cat", guest, "/x", "-o", link],
                          ["read", guest, "0", "8", "-o", guest], ["core", guest, "1", guest],
                          ["export", guest, "isf", "-o", guest]):
                self.check_wrong(*words, says=["is the saved guest, which would be lost"])
            self.assertEqual(guest.read_bytes(), b"guest" * 1000)
            self.assertEqual(sorted(os.listdir(folder)), ["guest", "link"])

    def test_no_command(self):
        self.check_wrong()
        self.check_wrong("--json")

    def test_mistyped_command(self):
        self.check_wrong("sho", says=['"sho"', 'did you mean "show"?'])
        self.check_wrong("snpashot", says=['did you mean "snapshot"?'])
        self.check_wrong("help", "modles", says=['did you mean "modules"?'])
        self.check_wrong("processes", "x", says=['is a view', '"show TARGET processes"'])
        self.check_wrong("xyzzyx")
        self.assertNotIn("did you mean", run("xyzzyx").stderr)

    def test_mistyped_view_and_column(self):
        self.check_wrong("show", "x", "proceses", says=['did you mean "processes"?'])
        self.check_wrong("views", "thread", says=['did you mean "threads"?'])
        self.check_wrong("views", "proc", says=['did you mean "processes"?'])
        self.check_wrong("show", "x", "processes", "--columns", "pid,nmae",
                         says=['"nmae"', 'did you mean "name"?'])
        self.check_wrong("show", "x", "processes", "--columns", "pid,")
        self.check_wrong("show", "x", "processes", "--where", "pdi=1",
                         says=['did you mean "pid"?'])

    def test_mistyped_check(self):
        self.check_wrong("check", "x", "modules", "proceses",
                         says=['no check "proceses"', 'did you mean "processes"?'])

    def test_mistyped_option(self):
        self.check_wrong("--jsno", "list", says=['did you mean "--json"?'])
        self.check_wrong("show", "x", "processes", "--colums=pid",
                         says=['did you mean "--columns"?'])
        self.check_wrong("list", "-x", says=["-x"])
        self.assertNotIn("did you mean", run("ps", "x", "--pid", "1").stderr)
        self.check_wrong("list", "--json=1", says=["takes no value"])
        self.check_wrong("show", "x", "processes", "--limit", says=["needs a value"])

    def test_values(self):
        self.check_wrong("list", "--pause", "sometimes", says=["auto, always or never"])
        self.check_wrong("list", "--color", "blue")
        self.check_wrong("show", "x", "processes", "--limit", "0")
        self.check_wrong("show", "x", "processes", "--limit", "-1")
        for condition in ("pid", "=1", "pid!1", "pid ^=1", "pid in1", " in 1"):
            self.check_wrong("show", "x", "processes", "--where", condition,
                             says=["takes a condition"])
        for condition in ("pid!=1", "pid!=", "nosuch!=x"):
            self.check_wrong("show", "x", "processes", "--where", condition,
                             says=["no operator !=", "^= and in"])
        for condition in ("pdi<=1", "pdi>1", "pdi^=a", "pdi in 1,2", "pdi=>=<"):
            self.check_wrong("show", "x", "processes", "--where", condition,
                             says=['did you mean "pid"?'])
        for words, says in (
                (["--interval", "5"], "needs --textfile"),
                (["--interval", "0.5", "--textfile", "a.prom"], "from 1 to 86400"),
                (["--interval", "x", "--textfile", "a.prom"], '"x"'),
                (["--textfile", "a"], "ends in .prom"),
                (["--textfile", ".prom"], "ends in .prom"),
                (["--textfile", "a.prom", "--listen", "127.0.0.1:0"], "exclude each other"),
                (["--listen", "0.0.0.0:9435"], "the protocol has no password"),
                (["--listen", "127.0.0.1:65536"], "is not a port"),
                (["--json", "--listen", "127.0.0.1:0"], "--json is for standard output"),
                (["--csv"], "has no CSV"),
                (["--pause", "always"], "never pauses a guest"),
                (["x"], "given twice")):
            self.check_wrong("metrics", "x", *words, says=[says])
        for form in ("--json", "--csv"):
            self.check_wrong("report", "x", form, says=["a report is HTML", "nunchi show TARGET VIEW"])
        self.check_wrong("read", "x", "0", "8q", says=['"8q"'])
        self.check_wrong("read", "x", "0", "0")
        self.check_wrong("read", "x", "0", "99999999999999999999")
        self.check_wrong("read", "x", "0", "17179869184G")
        self.check_wrong("read", "x", "0", "8", "--pid", "one")
        self.check_wrong("read", "x", "0", "8", "--pid", "1", "--phys")
        self.check_wrong("cat", "x", "--pid", "1", says=["--fd"])
        self.check_wrong("cat", "x", "/a", "--fd", "1", "--pid", "1", says=["give a path, or"])
        self.check_wrong("cat", "x", "a\x1b", says=['"a\\x1b" does not begin with /'])
        self.check_wrong("cat", "x", "--fd", "1", says=["--pid"])
        self.check_wrong("cat", "x", "--pid", "one", "--fd", "1", says=['"one"'])
        self.check_wrong("cat", "x", "--pid", "1", "--fd", "-1", says=['"-1"'])
        self.check_wrong("ls", "x", "a", says=['"a" does not begin with /'])
        self.check_wrong("find", "x", "/", "--pid", "-1", says=['"-1"'])
        self.check_wrong("find", "qemu:x", "/", says=["--pause always"])
        self.check_wrong("cat", "qemu:x", "--pid", "1", "--fd", "1", says=["--pause always"])
        self.check_wrong("extract", "x", says=["DIR"])
        self.check_wrong("extract", "x", "d", "a", says=['"a" does not begin with /'])
        self.check_wrong("extract", "x", "d", "/a/../b", says=["has a part"])
        self.check_wrong("extract", "x", "d", "/a//b", says=["has a part"])
        self.check_wrong("extract", "x", "d", "/a/b", "/a/", says=['"/a/b" is below "/a/"'])
        self.check_wrong("extract", "x", "d", "/a", "/a", says=['"/a" is below "/a"'])
        self.check_wrong("extract", "x", "d", "--limit", "0", says=["--limit takes a size"])
        self.check_wrong("extract", "x", "d", "--pid", "one", says=['"one"'])
        self.check_wrong("extract", "qemu:x", "d", says=["--pause always"])
        self.check_wrong("core", "x", "one", "y", says=['"one" is not a process id'])
        self.check_wrong("core", "x", "0", "y", says=['"0" is not a process id'])
        self.check_wrong("core", "qemu:x", "1", "y", says=["--pause always"])
        self.check_wrong("core", "x", "1", "-", says=["to a file"])
        self.check_wrong("core", "x", "1", "/dev/null", says=["to a file"])
        self.check_wrong("core", "x", "1", "y", "--limit", "0", says=["--limit takes a size"])
        self.check_wrong("translate", "x", "0", "--cr3", "y")
        self.check_wrong("snapshot", "x", "y", "--format", "zip")

    def test_arguments(self):
        for args in (["show"], ["show", "x"], ["show", "x", "processes", "y"], ["ps"],
                     ["list", "x"], ["read", "x", "0"], ["version", "x"], ["views", "a", "b"]):
            self.check_wrong(*args)

    def test_what_was_typed_is_shown_escaped(self):
        done = run("a\x1b[31mb\n\u202e")
        self.assertIn("a\\x1b[31mb\\n\\u{202e}", done.stderr)
        self.assertNotIn("\x1b", done.stderr)


class Failure(unittest.TestCase):
    def setUp(self):
        self.file = tempfile.NamedTemporaryFile(suffix=".raw")
        self.addCleanup(self.file.close)

    def check_failed(self, *args, says=()):
        done = run(*args)
        self.assertEqual((done.returncode, done.stdout), (1, ""), done)
        self.assertTrue(done.stderr.startswith("nunchi: "), done.stderr)
        self.assertIn("\n  hint: ", done.stderr)
        for text in says:
            self.assertIn(text, done.stderr)
            self.assertEqual(done.stderr.count(text), 1, done.stderr)
        return done

    def test_missing_file(self):
        for command in (["ps"], ["info"], ["modules"], ["symbol", "init_task"],
                        ["type", "list_head"], ["translate", "0"], ["read", "0", "8"],
                        ["snapshot", "/tmp/never"], ["export", "isf"],
                        ["export", "isf", "-o", "/tmp/never"], ["report"],
                        ["report", "-o", "/tmp/never"]):
            self.check_failed(command[0], "/nonexistent/guest", *command[1:],
                              says=["/nonexistent/guest", "no such file"])

    def test_failed_report_leaves_what_was_there(self):
        self.file.write(bytes(1 << 20))
        self.file.flush()
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder, "report.html")
            page.write_text("the one before")
            self.check_failed("report", self.file.name, "-o", page, says=["no Linux kernel found"])
            self.assertEqual(page.read_text(), "the one before")
            self.assertEqual(os.listdir(folder), ["report.html"])

    def test_empty_target(self):
        self.check_failed("ps", "", says=["the name of the target is empty", "nunchi list"])

    def test_no_memory_image(self):
        self.file.write(b"root:x:0:0:root:/root:/bin/sh\n" * 1000)
        self.file.flush()
        self.check_failed("ps", self.file.name, says=[self.file.name])
        self.check_failed("ps", os.path.dirname(self.file.name))

    def test_no_kernel(self):
        self.file.truncate(16 << 20)
        done = run("ps", self.file.name)
        self.assertEqual(done.returncode, 1)
        self.assertIn(self.file.name, done.stderr)
        self.assertIn("\n  hint: ", done.stderr)

    def test_missing_symbols_and_types(self):
        self.file.truncate(16 << 20)
        for option, what in (("--symbols", "symbols"), ("--types", "types")):
            for more in ((), ("--no-sandbox",)):
                done = run("ps", self.file.name, option, "/nonexistent/map", *more)
                self.assertEqual((done.returncode, done.stderr), (
                    1, f"nunchi: {self.file.name}: {what} file: /nonexistent/map: "
                       "No such file or directory\n"))

    def test_cut_file_says_so(self):
        self.file.write(struct.pack("<IIQQQ", 0x4c694d45, 1, 0, (4 << 20) - 1, 0))
        self.file.truncate(32 + (1 << 20))
        self.file.flush()
        note = (f"nunchi: {self.file.name}: note: the memory file ends at 0x100020: "
                "3072 KiB of 4096 KiB of guest memory are missing")
        for args in (["ps"], ["modules"], ["log"], ["log", "--json"], ["show", "processes"],
                     ["show", "processes", "--json"]):
            done = run(args[0], self.file.name, *args[1:])
            self.assertEqual((done.returncode, done.stdout), (1, ""), done)
            self.assertEqual(done.stderr.splitlines().count(note), 1, done.stderr)
        self.assertEqual(run("read", self.file.name, "0", "8", "--phys").stderr, "")

    def test_no_such_guest(self):
        self.check_failed("ps", "qemu:no-such-guest", says=["qemu:no-such-guest"])

    def test_hostile_file_name(self):
        done = run("ps", "/nonexistent/\x1b[31m\n")
        self.assertEqual(done.returncode, 1)
        self.assertNotIn("\x1b", done.stderr)
        self.assertIn("\\x1b[31m\\n", done.stderr)

    def test_signal_ends_in_order(self):
        # A pipe has no end that is reached: opening it waits until the signal comes.
        with tempfile.TemporaryDirectory() as directory:
            fifo = os.path.join(directory, "fifo")
            os.mkfifo(fifo)
            process = subprocess.Popen([NUNCHI, "ps", fifo], stderr=subprocess.PIPE)
            try:
                process.wait(0.5)
                self.assertEqual(process.returncode, 1)  # refused, which is as good
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
                self.assertIn(process.wait(5), (1, 130))
            process.stderr.close()

    def test_timing_of_what_was_opened(self):
        self.file.truncate(16 << 20)
        done = run("read", self.file.name, "0x1000", "16", "--phys", "--timing")
        self.assertEqual(done.returncode, 0, done.stderr)
        timing = json.loads(done.stderr)
        self.assertEqual(sorted(timing), ["attach_ms", "bytes_read", "pages_touched", "paused_us",
                                          "private_kb", "query_ms"])
        self.assertGreaterEqual(timing["bytes_read"], 16)
        self.assertEqual(timing["paused_us"], 0)


class Packed(unittest.TestCase):
    """Files that are packed: read, or what the hint says is run by a shell, and unpacks them."""

    NAME = "a guest's \"dump\" $HOME (1) & `id`; [x] \ub208\uce58"
    CONTENT = struct.pack("<IIQQQ", 0x4c694d45, 1, 0, 0xfffff, 0) + \
        b"".join(b"%d\n" % (i * i) for i in range(99999))[:1 << 20]
    # A program that unpacks, and how a file is made with content from "content": those whose
    # content nunchi reads, and the others.
    READ = (
        ("gunzip", ".gz", "gzip -c content"), ("gunzip", "", "gzip -c content"),
        ("xz", ".xz", "xz -c content"), ("xz", "", "xz -c content"),
        ("zstd", ".zst", "zstd -qc content"), ("zstd", "", "zstd -qc content"),
        ("zstd", ".zst", "zstd -qc --long=31 content"),
        ("pzstd", ".zst", "pzstd -qc content"),
        ("lz4", ".lz4", "lz4 -qc content"), ("lz4", "", "lz4 -qcl content"),
        ("bunzip2", ".bz2", "bzip2 -c content"), ("bunzip2", "", "bzip2 -c content"),
    )
    REFUSED = (
        ("lzop", ".lzo", "lzop -c content"), ("lzop", "", "lzop -c content"),
        ("tar", ".tar", "tar -c content"), ("unzip", ".zip", "zip -q - content"),
        ("7z", ".7z", "7z a packed.7z content >/dev/null; cat packed.7z; rm packed.7z"),
    )

    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = pathlib.Path(place.name)

    def hint(self, name):
        done = run("ps", "--", name, cwd=self.place)
        self.assertEqual(done.returncode, 1, done.stderr)
        match = re.search(r"^  hint: unpack (it|the stream): (.*?)( \(package .*\))?$", done.stderr,
                          re.M)
        self.assertTrue(match, done.stderr)
        return match[2]

    def check(self, name, content=CONTENT):
        """The command makes one file, with the content."""
        before = set(os.listdir(self.place))
        command = self.hint(name)
        done = subprocess.run(["sh", "-c", command], cwd=self.place, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        self.assertEqual(done.returncode, 0, (command, done.stdout))
        made = set(os.listdir(self.place)) - before
        self.assertEqual(len(made), 1, (command, made))
        self.assertEqual((self.place / made.pop()).read_bytes(), content)

    def check_read(self, name):
        """It is read as its content, confined or not."""
        (self.place / "plain").write_bytes(self.CONTENT)
        for options in ((), ("--no-sandbox",)):
            rows = [run("read", path, "0x1000", "64K", "--phys", *options, cwd=self.place)
                    for path in ("plain", name)]
            self.assertEqual([done.returncode for done in rows], [0, 0], rows[1].stderr)
            self.assertEqual(rows[0].stdout, rows[1].stdout)
        (self.place / "plain").unlink()
        facts = run("info", name, cwd=self.place).stdout
        self.assertRegex(facts, r"kind +lime\n")
        self.assertRegex(facts, r"note +it is .*: unpacked to a temporary file of 1024 KiB in ")

    def packers(self, packers, content):
        """Makes a file of the content by each of them that is here."""
        done = 0
        for program, suffix, command in packers:
            if not shutil.which(program) or not shutil.which(command.split()[0]):
                print(f"  no {program} here: not tried", file=sys.stderr)
                continue
            for old in self.place.iterdir():
                old.unlink()
            (self.place / "content").write_bytes(content)
            packed = subprocess.run(["sh", "-c", command], cwd=self.place, timeout=60, check=True,
                                    stdout=subprocess.PIPE).stdout
            (self.place / "content").unlink()
            (self.place / (self.NAME + suffix)).write_bytes(packed)
            yield command, self.NAME + suffix
            done += 1
        self.assertTrue(done)

    def test_read(self):
        for command, name in self.packers(self.READ, self.CONTENT):
            with self.subTest(command=command):
                self.check_read(name)

    def test_commands(self):
        for command, name in self.packers(self.REFUSED, self.CONTENT):
            with self.subTest(command=command):
                self.check(name)

    def test_archives(self):
        """An archive in what is packed: two commands, one after the other."""
        (self.place / "member").write_bytes(self.CONTENT)
        archive = subprocess.run(["tar", "-c", "member"], cwd=self.place, check=True,
                                 stdout=subprocess.PIPE).stdout
        for command, name in self.packers(self.READ, archive):
            with self.subTest(command=command):
                self.check(name, archive)
        (self.place / "content").write_bytes(archive)
        self.check("content")

    def test_lime(self):
        # As LiME makes its stream with compress=1, and as others do.
        for window, memory in ((11, 5), (15, 8)):
            packer = zlib.compressobj(-1, zlib.DEFLATED, window, memory)
            (self.place / self.NAME).write_bytes(packer.compress(self.CONTENT) + packer.flush())
            self.check_read(self.NAME)

    @unittest.skipUnless(shutil.which("zlib-flate"), "no zlib-flate (package qpdf)")
    def test_lime_command(self):
        text = b"[    0.000000] Linux version\n"
        packer = zlib.compressobj(-1, zlib.DEFLATED, 11, 5)
        (self.place / self.NAME).write_bytes(packer.compress(text) + packer.flush())
        self.check(self.NAME, text)

    def test_no_disk(self):
        """A temporary file in memory is none: the next directory has it."""
        (self.place / "dump.gz").write_bytes(gzip.compress(self.CONTENT))
        for directory in ("/dev/shm", "/proc", "/none", ""):
            done = run("read", "dump.gz", "0x1000", "16", "--phys", cwd=self.place,
                       env=dict(os.environ, TMPDIR=directory))
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_libvirt(self):
        header = struct.pack("<16sIIIII56x", b"LibvirtQemudSave", 2, 30, 1, 1, 0)
        (self.place / self.NAME).write_bytes(header + b"<domain/>".ljust(30, b"\0") +
                                             gzip.compress(self.CONTENT))
        self.check(self.NAME)

    def test_names(self):
        """What needs no quotes has none; what looks like an option, or cannot be printed."""
        for name, command in (("dump.gz", "gunzip -c dump.gz >dump.gz.raw"),
                              ("-d.gz", "gunzip -c ./-d.gz >./-d.gz.raw"),
                              ("FILE", "gunzip -c FILE >FILE.raw"),
                              ("a\\b\n", "gunzip -c FILE >FILE.raw")):
            (self.place / name).write_bytes(gzip.compress(b"text\n"))
            self.assertEqual(self.hint(name), command)


class Read(unittest.TestCase):
    """Physical memory needs no kernel."""

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.path = os.path.join(self.directory.name, "memory")
        self.size = 16 << 20
        with open(self.path, "wb") as file:
            file.truncate(self.size)
            file.seek(0x1000)
            file.write(bytes(range(256)))

    def read(self, *args):
        return run("read", self.path, *args, "--phys")

    def test_dump(self):
        done = self.read("0x1040", "20")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout.splitlines(), [
            "0000000000001040  40 41 42 43 44 45 46 47  48 49 4a 4b 4c 4d 4e 4f  "
            "|@ABCDEFGHIJKLMNO|",
            "0000000000001050  50 51 52 53" + " " * 39 + "|PQRS|"])

    def test_dump_of_what_is_not_printable(self):
        done = self.read("0x1070", "32")
        self.assertIn("|pqrstuvwxyz{|}~.|", done.stdout)
        self.assertIn("|................|", done.stdout)

    def test_json_and_csv(self):
        rows = [json.loads(line) for line in self.read("0x10f0", "0x11", "--json")
                .stdout.splitlines()]
        self.assertEqual(rows, [{"address": "0x10f0", "hex": bytes(range(240, 256)).hex()},
                                {"address": "0x1100", "hex": "00"}])
        rows = list(csv.reader(io.StringIO(self.read("4336", "2", "--csv").stdout)))
        self.assertEqual(rows, [["address", "hex"], ["0x10f0", "f0f1"]])

    def test_to_a_file(self):
        out = os.path.join(self.directory.name, "out")
        done = self.read("0x1000", "1k", "-o", out)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        with open(out, "rb") as file:
            self.assertEqual(file.read(), bytes(range(256)) + bytes(768))
        self.assertEqual(os.stat(out).st_mode & 0o777, 0o600)
        self.assertEqual(sorted(os.listdir(self.directory.name)), ["memory", "out"])

    def test_to_standard_output(self):
        done = subprocess.run([NUNCHI, "read", self.path, "0x1000", "256", "--phys", "-o", "-"],
                              stdout=subprocess.PIPE, check=True)
        self.assertEqual(done.stdout, bytes(range(256)))

    def test_past_the_end(self):
        done = self.read(hex(self.size - 16), "32")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stdout.splitlines()), 1)
        self.assertIn(hex(self.size), done.stderr)
        out = os.path.join(self.directory.name, "out")
        done = self.read(hex(self.size - 16), "32", "-o", out)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(os.listdir(self.directory.name), ["memory"])

    def test_beyond_the_last_address(self):
        done = self.read("0xffffffffffffffff", "2")
        self.assertEqual(done.returncode, 2, done.stderr)
        done = self.read("0xffffffffffffffff+1", "2")
        self.assertEqual(done.returncode, 2, done.stderr)

    def test_full_disk(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        done = self.read("0", "1M", "-o", "/dev/full")
        self.assertEqual(done.returncode, 1)
        self.assertIn("No space left", done.stderr)
        for args in (["help"], ["views"], ["views", "--json"], ["version"],
                     ["read", self.path, "0", "1M", "--phys"],
                     ["read", self.path, "0", "1M", "--phys", "-o", "-"]):
            with open("/dev/full", "w", encoding="utf-8") as full:
                done = run(*args, stdout=full)
            self.assertEqual(done.returncode, 1, args)
            self.assertEqual(done.stderr.count("No space left"), 1, done.stderr)

    def test_limit_of_file_sizes(self):
        """By ulimit -f, whose signal would end the program with its file left behind."""
        with open(self.path, "r+b") as file:
            file.seek(0x1000)
            file.write(os.urandom(8 << 20))
        target = os.path.join(self.directory.name, "copy")

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

        for args in (["snapshot", self.path, target, "--format", "raw"],
                     ["read", self.path, "0", "8M", "--phys", "-o", target]):
            done = run(*args, preexec_fn=limit)
            self.assertEqual(done.returncode, 1, (args, done.stderr))
            self.assertIn("File too large", done.stderr)
            self.assertEqual(os.listdir(self.directory.name), ["memory"])

    def test_closed_standard_error(self):
        """No message goes into a file that got its number; on a small stack."""
        target = os.path.join(self.directory.name, "pipe")
        got = []
        pipe = pipe_with_reader(target)

        def read():
            with pipe:
                wait_for_writer(pipe)
                got.append(pipe.read())

        reader = threading.Thread(target=read)
        reader.start()

        def limit():
            resource.setrlimit(resource.RLIMIT_STACK, (128 << 10, 128 << 10))
            os.close(2)

        done = run("read", self.path, "0", "17M", "--phys", "-o", target, preexec_fn=limit)
        reader.join(timeout=30)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(got, [pathlib.Path(self.path).read_bytes()])

    def test_closed_standard_output(self):
        done = run("version", stdout=None, preexec_fn=lambda: os.close(1))
        self.assertEqual(done.returncode, 1)
        self.assertIn("standard output", done.stderr)

    def test_interrupted_in_the_middle(self):
        out = os.path.join(self.directory.name, "fifo")
        reader = pipe_with_reader(out)
        for extra in ([], ["--json"], ["-o", "-"], ["-o", out]):
            # Nobody reads more than the first bytes.
            with subprocess.Popen([NUNCHI, "read", self.path, "0", "16M", "--phys", *extra],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  preexec_fn=lambda: signal.signal(signal.SIGINT,
                                                                   signal.SIG_DFL)) as process:
                try:
                    if out in extra:
                        wait_for_writer(reader)
                    (reader if out in extra else process.stdout).read(10)
                    process.send_signal(signal.SIGINT)
                    self.assertEqual(process.wait(10), 130)
                finally:
                    process.kill()
        reader.close()

    def test_interrupted_before_a_write(self):
        """A signal that comes too late to interrupt a write() ends nunchi, too."""
        late = os.path.join(os.path.dirname(NUNCHI), "tests/late_signal.so")
        if not os.path.exists(late):
            self.skipTest("not built with sanitizers")
        for extra in ([], ["-o", "-"]):
            with subprocess.Popen([NUNCHI, "read", self.path, "0", "16M", "--phys", *extra],
                                  env=dict(os.environ, LD_PRELOAD=late),
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                try:
                    self.assertEqual(process.wait(10), 130)
                finally:
                    process.kill()

    def test_broken_pipe_ends_quietly(self):
        for extra in ([], ["--json"], ["--csv"], ["-o", "-"]):
            with subprocess.Popen([NUNCHI, "read", self.path, "0", "16M", "--phys", *extra],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                process.stdout.read(10)
                process.stdout.close()
                self.assertEqual(process.stderr.read(), b"")
                self.assertEqual(process.wait(60), 0)


class Views(unittest.TestCase):
    def rows(self, *args):
        return list(csv.DictReader(io.StringIO(run("views", *args, "--csv").stdout)))

    def test_list(self):
        names = [row["view"] for row in self.rows()]
        self.assertEqual(names, sorted(names))
        self.assertIn("processes", names)
        self.assertEqual(names, [json.loads(line)["view"] for line in
                                 run("--json", "views").stdout.splitlines()])

    def test_every_view_is_compared(self):
        self.assertEqual({row["view"] for row in self.rows()}, set(compare.VIEWS))

    def test_every_view_and_column_is_documented(self):
        for view in self.rows():
            self.assertTrue(view["description"])
            columns = self.rows(view["view"])
            self.assertTrue(columns)
            for column in columns:
                self.assertRegex(column["column"], r"^[a-z][a-z0-9_]*$")
                self.assertIn(column["type"], ("integer", "real", "address", "text"))
                self.assertTrue(column["description"])
                self.assertIn(column["unit"], ("-", "bytes", "milliseconds", "seconds",
                                               "seconds since 1970", "octal"))

    def test_columns_of_sockets(self):
        """On a terminal it has all columns of the view, in another order."""
        text = (ROOT / "src/cli/sockets.c").read_text(encoding="utf-8")
        text = text[text.index("columns[] ="):text.index("sockets_run")]
        names = "".join(re.findall(r'"([a-z_,]+)"', text)).split(",")
        self.assertEqual(sorted(names),
                         sorted(row["column"] for row in self.rows("process_open_sockets")))

    def test_columns_that_commands_use(self):
        self.assertLessEqual({"pid", "parent", "uid", "state", "threads", "resident_size", "name",
                              "start_time", "cmdline", "is_kernel_thread"},
                             {row["column"] for row in self.rows("processes")})
        self.assertLessEqual({"time", "message"},
                             {row["column"] for row in self.rows("kernel_log")})
        self.assertTrue(self.rows("kernel_modules"))

    def test_units(self):
        units = {row["column"]: row["unit"] for row in self.rows("processes")}
        self.assertEqual((units["resident_size"], units["user_time"], units["start_time"]),
                         ("bytes", "milliseconds", "seconds since 1970"))
        self.assertEqual(units["pid"], "-")

    def on_terminal(self, columns, *args, status=0, **environment):
        """What the command prints to a terminal of so many columns."""
        import fcntl
        import struct
        import termios
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 25, columns, 0, 0))
        process = subprocess.Popen([NUNCHI, *args], stdout=slave, stderr=slave,
                                   env={**os.environ, "TERM": "xterm", "NO_COLOR": "",
                                        **environment})
        os.close(slave)
        text = b""
        while select.select([master], [], [], 30)[0]:
            try:
                piece = os.read(master, 65536)
            except OSError:
                break
            if not piece:
                break
            text += piece
        os.close(master)
        self.assertEqual(process.wait(30), status)
        return text.decode().replace("\r\n", "\n")

    def test_bytes_of_the_guest_not_to_a_terminal(self):
        for words in (["cat", "/dev/null", "/a"], ["cat", "/dev/null", "/a", "-o", "-"],
                      ["read", "/dev/null", "0", "8", "-o", "-"], ["export", "/dev/null", "btf"],
                      ["export", "/dev/null", "elf", "-o", "-"], ["report", "/dev/null"],
                      ["report", "/dev/null", "-o", "-"]):
            self.assertIn("not written to a terminal", self.on_terminal(80, *words, status=2))
        self.assertNotIn("terminal", self.on_terminal(80, "export", "/dev/null", "isf", status=1))

    def test_table_fits_the_terminal(self):
        text = self.on_terminal(60, "views", "processes", "--no-color")
        self.assertTrue(all(len(line) <= 60 for line in text.splitlines()), text)
        self.assertIn("…", text)
        for whole in (self.on_terminal(60, "views", "processes", "--no-color", "--wide"),
                      run("views", "processes").stdout):
            self.assertNotIn("…", whole)
            self.assertNotIn("left out", whole)
            self.assertIn("seconds since 1970", whole)

    def test_left_out_columns_are_named(self):
        text = self.on_terminal(40, "views", "processes", "--no-color")
        self.assertTrue(text.endswith("\nleft out: unit (--wide shows all)\n"), text)

    def test_color(self):
        self.assertTrue(self.on_terminal(80, "views").startswith("\033[1m"))
        self.assertNotIn("\033", self.on_terminal(80, "views", "--no-color"))
        self.assertNotIn("\033", self.on_terminal(80, "views", "--color=never"))
        self.assertNotIn("\033", self.on_terminal(80, "views", NO_COLOR="1"))
        self.assertNotIn("\033", run("views").stdout)
        self.assertIn("\033", run("views", "--color", "always").stdout)


class Output(unittest.TestCase):
    """What is given by -o and is there already."""

    def test_pipe_of_another_user(self):
        with tempfile.TemporaryDirectory() as directory:
            fifo = pathlib.Path(directory) / "fifo"
            os.mkfifo(fifo)
            # Without a reader it is not waited for.
            done = run("cat", "/dev/null", "/etc/passwd", "-o", fifo)
            self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
            self.assertIn("No such device", done.stderr)
            reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
            if os.geteuid() == 0:
                os.chown(fifo, 65534, 65534)
                done = run("cat", "/dev/null", "/etc/passwd", "-o", fifo)
                self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
                self.assertIn("not permitted", done.stderr)
            os.close(reader)


class Diff(unittest.TestCase):
    def fails(self, status, *args, says):
        done = run("diff", *args)
        self.assertEqual((done.returncode, done.stdout), (status, ""), done.stderr)
        self.assertIn(says, done.stderr)

    def test_usage(self):
        self.fails(2, "qemu:none", says="takes")
        self.fails(2, "/dev/null", "/dev/null", "procesess", says='did you mean "processes"?')
        self.fails(2, "qemu:none", "xen:none", says="only one may be a running guest")

    def test_no_guest(self):
        self.fails(1, "/does/not/exist", "/dev/null", says="/does/not/exist")


class Check(unittest.TestCase):
    def test_no_guest(self):
        done = run("check", "/does/not/exist", "modules")
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)


class Sql(unittest.TestCase):
    """SQL that needs no kernel, over a file of zeros."""

    ENDLESS = "with recursive n(i) as (values(1) union all select i + 1 from n) select count(*) from n"

    def setUp(self):
        self.file = tempfile.NamedTemporaryFile()
        self.file.truncate(16 << 20)
        self.path = self.file.name
        done = run("sql", self.path, "select 1")
        if "has no SQL" in done.stderr:
            self.skipTest("a build without SQLite")

    def tearDown(self):
        self.file.close()

    def fails(self, status, *args, says, **kwargs):
        done = run("sql", *args, **kwargs)
        self.assertEqual((done.returncode, done.stdout), (status, ""), done.stderr)
        for text in says:
            self.assertIn(text, done.stderr)

    def test_forms_of_output(self):
        text = "select 1 as one, 'a,b' as two, null as three, 2.5 as real"
        self.assertEqual(json.loads(run("sql", self.path, text, "--json").stdout),
                         {"one": 1, "two": "a,b", "three": None, "real": 2.5,
                          "absent": {"three": "null"}})
        self.assertEqual(run("sql", self.path, text, "--csv").stdout,
                         'one,two,three,real\n1,"a,b",<null>,2.5\n')
        self.assertEqual(run("sql", self.path, "values(1, 'x'), (2, 'y')", "--line").stdout,
                         "column1 = 1\ncolumn2 = x\n\ncolumn1 = 2\ncolumn2 = y\n")
        self.assertEqual(run("sql", self.path, text).stdout,
                         "one  two  three   real\n  1  a,b  <null>   2.5\n")

    def test_statements_from_input(self):
        for more in ([], ["-"]):
            done = run("sql", self.path, *more, "--csv", input="select 1 as a;\n-- no\nselect 2 as b")
            self.assertEqual((done.returncode, done.stdout), (0, "a\n1\nb\n2\n"))
        done = run("sql", self.path, "--csv", input="select 1 as a; selec; select 2")
        self.assertEqual((done.returncode, done.stdout), (2, "a\n1\n"))

    def test_errors_say_where_and_what(self):
        self.fails(2, self.path, "select nam from symbols",
                   says=["no such column: nam", "\n  select nam from symbols\n         ^\n",
                         'did you mean "name"?'])
        self.fails(2, self.path, "select\n1 from\n procesess p",
                   says=["no such table: procesess", 'did you mean "processes"?'])
        self.fails(2, self.path, "create table x(a)", says=["does more than read", "hint: "])
        self.fails(1, self.path, "select * from symbols", says=["no Linux kernel found"])

    def test_targets(self):
        self.fails(2, self.path, self.path, "select 1", says=["each has a name"])
        self.fails(2, f"a={self.path}", f"A={self.path}", "select 1", says=["are called"])
        self.fails(2, "a=qemu:none", "b=qemu:none", "select 1", says=["only one may be"])
        done = run("sql", f"a={self.path}", f"b={self.path}", "--csv",
                   "select count(*) > 5 as n from b.sqlite_schema")
        self.assertEqual(done.stdout, "n\n1\n", done.stderr)

    def test_memory(self):
        self.fails(2, self.path, "select length(randomblob(1000000000))", says=["too big"])
        self.fails(1, self.path, "--memory", "32M",
                   self.ENDLESS.replace("count(*)", "i") + " order by randomblob(1000)",
                   says=["needs more memory than SQLite may take (16 MiB)", "--memory SIZE"])

    def test_ctrl_c_ends_a_query(self):
        process = subprocess.Popen([NUNCHI, "sql", self.path, self.ENDLESS],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
        self.assertEqual((process.returncode, out), (128 + signal.SIGINT, b""))


class List(unittest.TestCase):
    def test_list(self):
        done = run("list", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        for line in done.stdout.splitlines():
            self.assertIn("target", json.loads(line))
        self.assertTrue(run("list", "--csv").stdout.startswith("target,hypervisor,memory,"))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: cli.py NUNCHI [TEST]...")
    NUNCHI = os.path.abspath(sys.argv.pop(1))
    unittest.main()
