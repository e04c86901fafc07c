#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What zsh and fish offer behind the words of a command line: completion.py path/to/nunchi [TEST…].

Real shells are asked; one that is not installed is skipped. tests/cli.py asks bash.
"""
from __future__ import annotations

import csv
import io
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parent.parent
NUNCHI = ""
SECONDS = 60
# Each match is written to a file; then the line is thrown away.
ZSH = """
PS1=; PS2=; unsetopt prompt_cr prompt_sp beep; fpath=(%s $fpath)
autoload -Uz compinit && compinit -u -D
compadd() {
	local -a hits
	builtin compadd -A hits "$@"
	print -rl -- $hits >>$OUT
	builtin compadd "$@"
}
offer() { zle complete-word; print -r -- '=end=' >>$OUT; zle kill-whole-line }
zle -N offer; bindkey '^I' offer; zstyle ':completion:*' menu no
print -r -- '=ready=' >>$OUT
"""


def listed(*words: str) -> set[str]:
    done = subprocess.run([NUNCHI, *words, "--csv"], capture_output=True, text=True, check=True,
                          timeout=SECONDS)
    return {row[0] for row in list(csv.reader(io.StringIO(done.stdout)))[1:]}


def help_of(*command: str) -> str:
    return subprocess.run([NUNCHI, "help", *command], capture_output=True, text=True, check=True,
                          timeout=SECONDS).stdout


def commands() -> list[str]:
    part = re.search(r"^Commands:\n((?:  .*\n)+)", help_of(), re.M)
    return re.findall(r"^  ([a-z]+) ", part[1], re.M)


def options(command: str) -> set[str]:
    return set(re.findall(r"^  (?:-.,|   ) (--[a-z0-9-]+)", help_of(command), re.M))


def fish(line: str, directory: str) -> set[str]:
    script = f"source {ROOT}/completion/nunchi.fish; complete -C $argv[1]"
    done = subprocess.run(["fish", "--no-config", "-c", script, line], capture_output=True, text=True,
                          check=True, timeout=SECONDS, cwd=directory,
                          env={**os.environ, "HOME": directory, "PATH": path()})
    return {entry.split("\t")[0] for entry in done.stdout.splitlines()}


def path() -> str:
    """The command that is tested comes first."""
    return f"{os.path.dirname(NUNCHI)}:{os.environ['PATH']}"


class Zsh:
    """An interactive zsh on a terminal of its own."""

    def __init__(self, directory: str):
        self.out = Path(directory, "out")
        self.out.touch()
        setup = Path(directory, "setup")
        setup.write_text(ZSH % (ROOT / "completion"), encoding="ascii")
        self.main, terminal = pty.openpty()
        self.process = subprocess.Popen(
            ["zsh", "-f", "-i"], stdin=terminal, stdout=terminal, stderr=terminal, cwd=directory,
            start_new_session=True, env={**os.environ, "OUT": str(self.out), "HOME": directory,
                                         "PATH": path(), "TERM": "dumb"})
        os.close(terminal)
        self.seen = b""
        self.send(f"source {setup}\n")
        self.wait("=ready=")

    def send(self, text: str) -> None:
        os.write(self.main, text.encode())

    def wait(self, mark: str) -> list[str]:
        """The lines in the file, once the mark is there; what the terminal shows is read meanwhile."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            if select.select([self.main], [], [], 0.02)[0]:
                self.seen = (self.seen + os.read(self.main, 65536))[-2000:]
            lines = self.out.read_text(encoding="utf-8").splitlines()
            if mark in lines:
                return lines
        raise AssertionError(f"zsh did not come to {mark}: {self.seen!r}")

    def offered(self, line: str) -> set[str]:
        self.out.write_text("", encoding="ascii")
        self.send(line + "\t")
        return {entry for entry in self.wait("=end=") if entry and entry != "=end="}

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.main)


class Offers:
    """What every shell must offer; `ask` takes a line and gives the words."""

    def ask(self, line: str) -> set[str]:
        raise NotImplementedError

    def test_commands(self) -> None:
        self.assertEqual(self.ask("nunchi "), set(commands()))
        self.assertEqual(self.ask("nunchi help "), set(commands()))
        self.assertEqual(self.ask("nunchi --no-note sho"), {"show"})

    def test_options(self) -> None:
        for command in commands():
            self.assertEqual(self.ask(f"nunchi {command} --"), options(command), command)

    def test_values(self) -> None:
        self.assertEqual(self.ask("nunchi --pause "), {"auto", "always", "never"})
        self.assertEqual(self.ask("nunchi snapshot x --format l"), {"lime"})
        self.assertEqual(self.ask("nunchi show --limit "), set())
        open(os.path.join(self.directory, "a-file"), "wb").close()
        self.assertEqual(self.ask("nunchi ps --types a-"), {"a-file"})

    def test_columns(self) -> None:
        columns = listed("views", "mounts")
        found = self.ask("nunchi show x mounts --columns ")
        self.assertEqual(found, columns)
        self.assertEqual({word.split(",")[-1] for word in
                          self.ask("nunchi show x mounts --columns path,fl")}, {"flags"})
        self.assertIn("cmdline", self.ask("nunchi trace x exec --columns "))
        where = {word.rstrip("=") for word in self.ask("nunchi show x mounts --where ")}
        self.assertEqual(where, columns)
        own = set(re.search(r"^Columns:\n((?:  .*\n)+)", help_of("yara"), re.M)[1].replace(",", " ").split())
        self.assertEqual(self.ask("nunchi yara x y --columns "), own)
        self.assertEqual({word.rstrip("=") for word in self.ask("nunchi yara x y --where ")}, own)

    def test_arguments(self) -> None:
        views, probes = listed("views"), listed("probes")
        self.assertEqual(self.ask("nunchi show x "), views)
        self.assertEqual(self.ask("nunchi show --limit 5 x "), views)
        self.assertEqual(self.ask("nunchi views "), views)
        self.assertEqual(self.ask("nunchi diff x y "), views)
        self.assertEqual(self.ask("nunchi trace x exec "), probes)
        self.assertEqual(self.ask("nunchi check x sysc"), {"syscalls"})
        self.assertEqual(self.ask("nunchi export x "), {"isf", "btf", "system-map", "elf"})
        self.assertTrue({"plan", "apply", "undo", "stay"} <= self.ask("nunchi doctor "))
        self.assertEqual(self.ask("nunchi list "), set())

    def test_targets(self) -> None:
        open(os.path.join(self.directory, "a-file"), "wb").close()
        self.assertEqual(self.ask("nunchi ps a-"), {"a-file"})
        self.assertEqual(self.ask("nunchi yara x a-"), {"a-file"})
        self.assertEqual(self.ask("nunchi ps xe"), {"xen:"})
        self.assertEqual(self.ask("nunchi diff a-file xe"), {"xen:"})


class Shell(unittest.TestCase):
    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.directory = place.name


@unittest.skipUnless(shutil.which("fish"), "fish is not installed")
class Fish(Offers, Shell):
    def ask(self, line: str) -> set[str]:
        return fish(line, self.directory)


@unittest.skipUnless(shutil.which("zsh"), "zsh is not installed")
class ZshOffers(Offers, Shell):
    def setUp(self) -> None:
        super().setUp()
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.zsh = Zsh(place.name)
        self.addCleanup(self.zsh.close)
        self.zsh.send(f"cd {self.directory}\n")

    def ask(self, line: str) -> set[str]:
        return self.zsh.offered(line)


if __name__ == "__main__":
    NUNCHI = os.path.abspath(sys.argv[1])
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
