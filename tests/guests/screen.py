# SPDX-License-Identifier: LGPL-2.1-or-later
"""nunchi top: as text against the guest's own /proc, and on a terminal, which tmux is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING, Any

import machine
from qmp import Qmp

if TYPE_CHECKING:
    from guests.session import Subject

# A guest in emulation on a busy host may take this long over anything.
SECONDS = 60.0
BOOT_SECONDS = 300.0
# Two readings of a guest that is never paused are not those of /proc: in percent of a CPU.
NEAR = 25.0
BUSY = "while :; do :; done"


class Terminal:
    """A shell in a terminal of tmux's, with a server of its own."""

    def __init__(self, locale: str, width: int = 80, height: int = 24) -> None:
        # tmux leaves the socket of a server that has ended.
        self.place = tempfile.TemporaryDirectory()
        self.socket = f"{self.place.name}/tmux"
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height),
                  "-s", "top", f"env LC_ALL={locale} PS1='ready> ' sh")
        self.wait("^ready>")

    def tmux(self, *args: str) -> str:
        return subprocess.run(["tmux", "-S", self.socket, *args], capture_output=True, text=True,
                              timeout=SECONDS, check=True).stdout

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p", "-t", "top")

    def keys(self, *keys: str) -> None:
        self.tmux("send-keys", "-t", "top", *keys)

    def line(self, text: str) -> None:
        self.tmux("send-keys", "-t", "top", "-l", text)
        self.keys("Enter")

    def resize(self, width: int, height: int) -> None:
        self.tmux("resize-window", "-t", "top", "-x", str(width), "-y", str(height))

    def wait(self, pattern: str, seconds: float = SECONDS) -> str:
        """The screen once it has the pattern; else the last one."""
        end = time.monotonic() + seconds
        while True:
            screen = self.screen()
            if re.search(pattern, screen, re.M) or time.monotonic() > end:
                return screen
            time.sleep(0.2)

    def end(self) -> None:
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], capture_output=True,
                       timeout=SECONDS, check=False)
        self.place.cleanup()


def ask(guest: machine.Guest, command: str) -> str:
    return machine.execute(guest, command).decode("utf-8", "replace")


def spent(guest: machine.Guest, pid: int) -> tuple[float, float]:
    """Seconds since boot, and those that the process had of a CPU, by the guest's own account."""
    uptime, stat = ask(guest, f"cut -d' ' -f1 /proc/uptime; cat /proc/{pid}/stat").splitlines()[:2]
    fields = stat[stat.rindex(")") + 2:].split()
    return float(uptime), (int(fields[11]) + int(fields[12])) / 100


def batch(subject: Subject, guest: machine.Guest, busy: int) -> None:
    account, target = subject.account, f"qemu:{guest.name}"
    start, used = spent(guest, busy)
    done = subject.nunchi.run("top", "--batch", "--json", "-n", "2", "-d", "2", target)
    end, later = spent(guest, busy)
    account.check(done.status == 0 and len(done.rows) == 2 and not done.err, "top: batch",
                  f"status {done.status}, {len(done.out)} bytes", done.err)
    if len(done.rows) != 2:
        return
    said = 100 * (later - used) / (end - start)
    memory = int(ask(guest, "grep MemTotal /proc/meminfo").split()[1]) * 1024
    pids = {int(word) for word in ask(guest, "cd /proc; echo [0-9]*").split()}
    for row in done.rows:
        tasks: dict[int, dict[str, Any]] = {task["pid"]: task for task in row["tasks"]}
        share = tasks[busy]["cpu_percent"] if busy in tasks else None
        account.check(share is not None and abs(share - said) <= NEAR, "top: CPU% of a busy loop",
                      f"nunchi {share}, guest {said:.1f}")
        account.check(row["memory"]["total"] == memory, "top: memory", str(row["memory"]))
        # Programs of the guest's and the host's orders come and go.
        account.check(len(set(tasks) ^ pids) <= 4, "top: processes", str(set(tasks) ^ pids))
        account.check(start * 1000 - 50 <= row["uptime"] <= end * 1000 + 50, "top: uptime",
                      f"{row['uptime']} between {start} and {end}")
        account.check(row["cpu_busy"] is not None and
                      all(0 <= cpu["busy"] <= 100 for cpu in row["cpus"]), "top: CPUs",
                      str(row["cpus"]))
        account.check(all(task["cpu_percent"] is not None for task in row["tasks"]),
                      "top: a process without CPU%")
    saved = subject.nunchi.run("top", "-b", subject.raw)
    account.check(saved.status == 0 and b"unknown (one reading)" in saved.out and
                  saved.out.count(b"COMMAND") == 1, "top: of a saved guest, as text", saved.err)
    rows = subject.nunchi.run("top", "-b", "--json", "-n", "5", subject.raw).rows
    account.check(len(rows) == 1 and all(task["cpu_percent"] is None and
                                         task["absent"]["cpu_percent"] == "not computed"
                                         for task in rows[0]["tasks"]),
                  "top: of a saved guest CPU% is absent")
    both = subject.nunchi.run("top", "-b", "--json", "-n", "1", target, subject.raw)
    account.check({row["target"] for row in both.rows} == {target, str(subject.raw)},
                  "top: two guests", both.err)


def keys(subject: Subject, guest: machine.Guest, busy: int, terminal: Terminal) -> None:
    """What a user sees and presses, at 80x24 and at 40x10."""
    account = subject.account

    def seen(what: str, pattern: str) -> str:
        screen = terminal.wait(pattern)
        account.check(bool(re.search(pattern, screen, re.M)), f"top: {what}", screen)
        return screen

    screen = seen("the busy loop comes first", rf"COMMAND *\n *{busy} +\d+ R +1 +[1-9]\d*\.\d")
    lines = screen.rstrip("\n").split("\n")
    account.check(len(lines) == 24 and all(len(line) <= 80 for line in lines),
                  "top: 24 lines of 80", screen)
    terminal.keys("t")
    seen("tree", "─ " if "UTF-8" in terminal.wait("COMMAND") else r"[`|]- |─ ")
    terminal.keys("t", "N")
    seen("by id", r"COMMAND *\n +1 +0 ")
    terminal.keys("/")
    terminal.line("kthreadd")
    terminal.keys("l")
    seen("search, and files of what was found", "open files and sockets of process 2:")
    terminal.keys("Escape")
    terminal.keys("\\")
    terminal.line("agent")
    seen("filter", r"COMMAND *\n +1 .*agent")
    terminal.keys("l")
    seen("open files", r"open files and sockets of process 1: [1-9](.*\n)+.*/dev/")
    terminal.keys("m")
    seen("mappings", r"mappings of process 1: [1-9](.*\n)+.*/bin/agent")
    seen("how to leave a list", r"Esc back")
    terminal.keys("Escape")
    terminal.keys("\\", "Escape", "P", "H")
    seen("threads", r"[1-9]\d* more threads")
    terminal.keys("H", "h")
    seen("help", "sort by CPU, memory, time, id, command")
    terminal.keys("h")
    terminal.resize(40, 10)
    screen = seen("40x10", rf"COMMAND *\n +{busy} R ")
    lines = screen.rstrip("\n").split("\n")
    account.check(len(lines) == 10 and all(len(line) <= 40 for line in lines), "top: 40x10", screen)
    terminal.resize(160, 50)
    seen("160x50", rf"^ +{busy} +\d+ R +1 +\d")
    terminal.resize(80, 24)
    seen("80x24 again", r"q end")


def on_terminal(subject: Subject, guest: machine.Guest, busy: int, locale: str) -> None:
    """Ctrl-C gives the terminal back as it was, and the guest runs on."""
    account, terminal = subject.account, Terminal(locale)
    try:
        terminal.line("echo before=$(stty -g | cksum)")
        before = terminal.wait(r"^before=\S")
        terminal.line(f"{subject.nunchi.path} top qemu:{guest.name}")
        keys(subject, guest, busy, terminal)
        if locale == "C":
            account.check(terminal.screen().isascii(), "top: ASCII alone in the locale C",
                          terminal.screen())
        terminal.keys("C-c")
        terminal.wait("^ready>$")
        terminal.line("echo ended=$?; echo after=$(stty -g | cksum)")
        after = terminal.wait(r"^after=\S")
        modes = [re.search(rf"^{word}=(\S+)", text, re.M) for word, text in
                 (("before", before), ("after", after))]
        account.check(all(modes) and modes[0][1] == modes[1][1] and "ended=0" in after,
                      f"top: Ctrl-C, in the locale {locale}", before, after)
    finally:
        terminal.end()
    with Qmp(guest.control) as qmp:
        account.check(qmp.command("query-status")["status"] == "running", "top: the guest runs on")


def lost(subject: Subject, guest: machine.Guest) -> None:
    """A guest that stands still, reboots, and goes away; top says so, and goes on."""
    account, terminal = subject.account, Terminal("C.UTF-8", 120)
    try:
        terminal.line(f"{subject.nunchi.path} top qemu:{guest.name}")
        terminal.wait("COMMAND")
        with Qmp(guest.control) as qmp:
            qmp.command("stop")
            time.sleep(3)
            screen = terminal.screen()
            account.check("COMMAND" in screen, "top: of a guest that stands still", screen)
            qmp.command("set-action", reboot="reset")
            qmp.command("system_reset")
            screen = terminal.wait("trying again")
            account.check("trying again" in screen, "top: of a guest that was reset", screen)
            qmp.command("cont")
        # The last line names the keys again, in place of the failure.
        screen = terminal.wait("q end", BOOT_SECONDS)
        account.check(bool(re.search(r"up 00:0\d:\d\d", screen)) and "q end" in screen,
                      "top: of a guest that rebooted", screen)
        with Qmp(guest.control) as qmp:
            qmp.command("quit")
        screen = terminal.wait("no QEMU guest .* trying again")
        account.check("trying again" in screen, "top: of a guest that went away", screen)
        terminal.keys("q")
        screen = terminal.wait("^ready>$")
        account.check("ready>" in screen, "top: q", screen)
    finally:
        terminal.end()


def run(subject: Subject, guest: machine.Guest) -> None:
    """Ends with the guest gone."""
    if not shutil.which("tmux"):
        subject.account.skip("tmux is not installed")
        return
    if subject.nunchi.run("top", "-b", "-n", "1", "qemu:nobody").status != 1:
        subject.account.check(False, "top: of a guest that there is not")
    busy = int(json.loads(ask(guest, f"({BUSY}) >/dev/null 2>&1 & echo $!")))
    batch(subject, guest, busy)
    for locale in ("C.UTF-8", "C"):
        on_terminal(subject, guest, busy, locale)
    lost(subject, guest)
