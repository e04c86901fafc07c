# SPDX-License-Identifier: LGPL-2.1-or-later
"""nunchi metrics: parsed as Prometheus does, and compared with the guest's own /proc."""

from __future__ import annotations

import contextlib
import shutil
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING

import machine
from common import LabError
from qmp import Qmp

if TYPE_CHECKING:
    from guests.session import Subject

BOOT_SECONDS = 300.0
# Sample name and labels -> value; the label of the guest is left out.
Samples = dict[tuple[str, frozenset], float]
# Programs of the guest's and the host's orders come and go.
NEAR = 4
# A scrape of a guest of 400 processes may take so many seconds of CPU time; it takes 0.004.
SCRAPE_SECONDS = 0.02


def samples(text: str, parser) -> Samples:
    found: Samples = {}
    for family in parser.text_string_to_metric_families(text):
        for sample in family.samples:
            labels = frozenset(pair for pair in sample.labels.items() if pair[0] != "guest")
            assert (sample.name, labels) not in found, sample
            found[sample.name, labels] = sample.value
    return found


def key(name: str, **labels: str) -> tuple[str, frozenset]:
    return f"nunchi_{name}", frozenset(labels.items())


def ask(guest: machine.Guest, command: str) -> str:
    return machine.execute(guest, command).decode("utf-8", "replace")


def ticks(guest: machine.Guest) -> dict[tuple[str, str], float]:
    """(CPU, mode) -> seconds, of /proc/stat."""
    modes = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    rows = [line.split() for line in ask(guest, "grep '^cpu[0-9]' /proc/stat").splitlines()]
    return {(row[0][3:], mode): int(row[1 + i]) / 100
            for row in rows for i, mode in enumerate(modes)}


def compare(subject: Subject, guest: machine.Guest, parser) -> None:
    account = subject.account
    start, before = float(ask(guest, "cut -d' ' -f1 /proc/uptime")), ticks(guest)
    done = subject.nunchi.run("metrics", f"qemu:{guest.name}", "--findings")
    after, end = ticks(guest), float(ask(guest, "cut -d' ' -f1 /proc/uptime"))
    account.check(done.status == 0 and not done.err and done.out.endswith(b"\n# EOF\n"),
                  "metrics: status", str(done.status), done.err)
    got = samples(done.out.decode(), parser)

    def equal(what: str, value: float, *said: str, near: float = 0) -> None:
        number = float(ask(guest, said[0]).split()[0])
        account.check(abs(value - number) <= near, f"metrics: {what}", f"{value}, guest {number}")

    def total(name: str, **labels: str) -> float:
        return sum(value for (found, pairs), value in got.items()
                   if found == f"nunchi_{name}" and set(labels.items()) <= pairs)

    names = ask(guest, "uname -n; uname -r").split()
    account.check(got.get(key("guest_info", hostname=names[0], kernel=names[1])) == 1,
                  "metrics: names", str(names), str([k for k in got if k[0] == "nunchi_guest_info"]))
    account.check(start - 0.05 <= got[key("uptime_seconds")] <= end + 0.05, "metrics: uptime")
    for kind, word in (("total", "MemTotal"), ("swap_total", "SwapTotal")):
        equal(f"memory, {kind}", got[key("memory_bytes", kind=kind)] / 1024,
              f"grep {word}: /proc/meminfo | tr -dc 0-9")
    equal("memory, free", got[key("memory_bytes", kind="free")] / 1024,
          "grep MemFree: /proc/meminfo | tr -dc 0-9", near=32768)
    equal("load", got[key("load15")], "cut -d' ' -f3 /proc/loadavg", near=0.2)
    equal("processes", total("processes"), "ls /proc | grep -c '^[0-9]'", near=NEAR)
    equal("zombies", total("processes", state="zombie"),
          "grep -l '^State:.Z' /proc/[0-9]*/status | wc -l")
    equal("threads", got[key("threads")], "ls -d /proc/[0-9]*/task/[0-9]* | wc -l", near=NEAR)
    equal("modules", got[key("kernel_modules")], "wc -l < /proc/modules")
    equal("taint", got[key("kernel_taint")], "cat /proc/sys/kernel/tainted")
    wrong = [f"{place}: {value}, guest {before[place]} to {after[place]}"
             for place in before if not before[place] - 0.2 <=
             (value := got.get(key("cpu_seconds_total", cpu=place[0], mode=place[1]), -1)) <=
             after[place] + 0.2]
    account.check(before.keys() == after.keys() and not wrong, "metrics: CPUs", *wrong)
    sockets = {row["sock"]: row["state"] for row in
               subject.nunchi.show(f"qemu:{guest.name}", "process_open_sockets").rows
               if row["family"] in (2, 10) and row["protocol"] == 6}
    listening = sum(state == "LISTEN" for state in sockets.values())
    account.check(total("sockets", protocol="tcp", state="LISTEN") == listening,
                  "metrics: sockets that listen", str(listening))
    account.check(total("findings", severity="alarm") == 0 and
                  total("findings", check="syscalls", severity="ok") == 1, "metrics: findings")
    # A process whose first thread has ended has sockets that are not shown.
    missing = [dict(labels) for name, labels in got if name == "nunchi_missing"]
    account.check(all(labels == {"family": "nunchi_sockets", "reason": "rows missing"}
                      for labels in missing), "metrics: nothing is missing", str(missing))


def to_file(subject: Subject, target: str, parser) -> None:
    account, path = subject.account, subject.work / "nunchi.prom"
    path.write_text("old", encoding="utf-8")
    done = subject.nunchi.run("metrics", target, subject.raw, "--textfile", path)
    text = path.read_text(encoding="utf-8")
    found = [sample for family in parser.text_string_to_metric_families(text)
             for sample in family.samples]
    account.check(done.status == 0 and not done.out, "metrics: file", done.err)
    account.check({sample.labels["guest"] for sample in found if sample.name == "nunchi_up"
                   and sample.value == 1} == {target, str(subject.raw)}, "metrics: two guests")
    account.check(stat.S_IMODE(path.stat().st_mode) == 0o644 and
                  [other.name for other in subject.work.glob("nunchi.prom*")] == [path.name],
                  "metrics: mode of the file, and nothing beside it")
    if shutil.which("promtool"):
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                                 capture_output=True, timeout=60, check=False)
        account.check(checked.returncode == 0, "metrics: promtool", checked.stderr)
    path.unlink()


class Server:
    """nunchi metrics --listen."""

    def __init__(self, subject: Subject, *targets: str) -> None:
        self.process = subprocess.Popen(
            [subject.nunchi.path, "metrics", *targets, "--listen", "127.0.0.1:0"],
            stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        self.url = line.split()[-1]
        self.port = int(self.url.split(":")[2].split("/")[0])

    def get(self, path: str = "/metrics", accept: str = "*/*") -> tuple[int, str, str]:
        """Status, type, text."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}",
                                         headers={"Accept": accept})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.headers["Content-Type"], answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers["Content-Type"], error.read().decode()

    def up(self, parser, target: str) -> float:
        return next(sample.value for family in
                    parser.text_string_to_metric_families(self.get()[2])
                    for sample in family.samples
                    if sample.name == "nunchi_up" and sample.labels["guest"] == target)

    def spent(self) -> float:
        """Seconds of CPU time, of it and the processes that read guests."""
        pids = [str(self.process.pid)]
        for pid in pids:
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
                pids += children.read().split()
        used = 0
        for pid in pids:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
                used += int(fields[11]) + int(fields[12])
        return used / 100


@contextlib.contextmanager
def serving(subject: Subject, *targets: str) -> Iterator[Server]:
    server = Server(subject, *targets)
    try:
        yield server
    finally:
        server.process.terminate()
        status = server.process.wait(30)
        subject.account.check(status == 0, "metrics: SIGTERM ends it", str(status))
        server.process.stderr.close()


def serve(subject: Subject, server: Server, parsers: tuple) -> None:
    account = subject.account
    with contextlib.ExitStack() as stack:
        # More than there is room for.
        for i in range(40):
            silent = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            silent.sendall(b"GET /met" if i & 1 else b"")
        for accept, kind, parser in (
                ("application/openmetrics-text; version=1.0.0",
                 "application/openmetrics-text; version=1.0.0; charset=utf-8", parsers[0]),
                ("text/plain", "text/plain; version=0.0.4; charset=utf-8", parsers[1])):
            begun = time.monotonic()
            status, said, text = server.get(accept=accept)
            seconds = time.monotonic() - begun
            account.check(status == 200 and said == kind and
                          samples(text, parser)[key("up")] == 1,
                          "metrics: scrape beside silent clients", str(status), said)
            account.check(seconds < 5, "metrics: time of a scrape", f"{seconds:.1f} s")
    account.check(server.get("/")[0] == 404, "metrics: another path")
    used = server.spent()
    for _ in range(10):
        time.sleep(1.05)
        server.get()
    used = (server.spent() - used) / 10
    account.check(used <= SCRAPE_SECONDS, "metrics: CPU time of a scrape", f"{used:.4f} s")


def monitor(guest: machine.Guest) -> Qmp:
    """The monitor that nunchi has not connected to: it takes any that is free when it opens a guest."""
    try:
        return Qmp(guest.control, timeout=3.0)
    except LabError:
        return Qmp(guest.qmp)


def lost(subject: Subject, guest: machine.Guest, server: Server, parser) -> None:
    """A guest that is reset, boots again, and goes away."""
    account, target = subject.account, f"qemu:{guest.name}"

    def wait(value: int, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(1.05)
            if server.up(parser, target) == value:
                return True
        return False

    with monitor(guest) as qmp:
        qmp.command("stop")
        qmp.command("set-action", reboot="reset")
        qmp.command("system_reset")
        account.check(wait(0, 60), "metrics: nunchi_up of a guest that was reset")
        account.check('family="all"' in server.get()[2], "metrics: why it cannot be read")
        qmp.command("cont")
    account.check(wait(1, BOOT_SECONDS), "metrics: nunchi_up of a guest that rebooted")
    uptime = samples(server.get()[2], parser)[key("uptime_seconds")]
    account.check(uptime < BOOT_SECONDS, "metrics: uptime of a guest that rebooted", str(uptime))
    with monitor(guest) as qmp:
        qmp.command("quit")
    account.check(wait(0, 60), "metrics: nunchi_up of a guest that went away")


def run(subject: Subject, guest: machine.Guest) -> None:
    """Ends with the guest gone."""
    # Where Debian's package has it, for another Python too.
    sys.path.append("/usr/lib/python3/dist-packages")
    try:
        from prometheus_client import parser as text
        from prometheus_client.openmetrics import parser
    except ImportError:
        subject.account.skip("python3-prometheus-client is not installed")
        return
    compare(subject, guest, parser)
    target = f"qemu:{guest.name}"
    to_file(subject, target, text)
    nobody = subject.nunchi.run("metrics", "qemu:nobody")
    subject.account.check(nobody.status == 1 and
                          samples(nobody.out.decode(), parser)[key("up")] == 0,
                          "metrics: of a guest that there is not", nobody.err)
    with serving(subject, target) as server:
        serve(subject, server, (parser, text))
        lost(subject, guest, server, parser)
