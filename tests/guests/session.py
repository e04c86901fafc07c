# SPDX-License-Identifier: LGPL-2.1-or-later
"""One guest from boot to end: looked at while it runs, stopped, saved; then what was saved."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import compare
import kernels
import machine
import snapshot
from common import LabError
from qmp import Qmp

import decoys

from guests import (contents, core, crash, damage, debugger, endless, exports, expressions, extract, files,
                    mount, partial, pauses, python_rows, raw, report, reset, scrape, screen, shuffled,
                    speed, sql, storm, tampered, trace, types, vmware, yara, zeroed)
from guests.matrix import Config
from guests.tool import (FEW, NO_MODULES, VIEWS, Account, Done, Nunchi, against_oracle, good_run,
                         identical, incomplete)

# The slowest takes 20 s on two idle cores of 2020.
BOOT_SECONDS = 180.0
# nunchi's own formats; the raw one's offsets are addresses, whatever the guest's layout.
OWN_FORMATS = ("elf", "lime", "raw")


class Subject:
    """A guest under test and all that the tests know of it."""

    def __init__(self, config: Config, nunchi: Nunchi, account: Account, work: Path,
                 name: str) -> None:
        self.config, self.nunchi, self.account, self.work = config, nunchi, account, work
        self.name = name
        self.options: tuple[str, ...] = ()  # of every run of nunchi on this guest
        self.views = VIEWS
        self.modules: tuple[str, ...] = ()  # that were built for its kernel
        self.a = self.b = compare.Oracle([])
        self.reference: dict[str, Done] = {}  # as nunchi showed it, stopped
        self.partly: files.Shown = {}  # the same, with some of the files alone

    @property
    def raw(self) -> Path:
        return self.work / "own.raw"


def options_of(config: Config) -> machine.Options:
    return machine.Options(
        suite=config.suite, flavour=config.flavour, memory=config.memory, cpus=config.cpus,
        cpu=config.cpu, kaslr=config.kaslr, machine=config.machine, firmware=config.firmware,
        backing=config.backing, vmcoreinfo=config.vmcoreinfo, workload=config.workload,
        crash="crash" in config.tests, append=config.append, timeout=BOOT_SECONDS)


@contextlib.contextmanager
def booted(config: Config, name: str, account: Account) -> Iterator[machine.Guest]:
    """A running guest, ended whatever happens."""
    with account.timed("boot"):
        guest = machine.boot(name, options_of(config))
    try:
        yield guest
    finally:
        end(guest)


def end(guest: machine.Guest) -> None:
    if guest.directory.exists():
        machine.stop(guest.name)
    # No other process boots a guest of this name.
    guest.directory.with_name(f".{guest.name}.lock").unlink(missing_ok=True)


def footprint(guest: machine.Guest) -> int:
    """Bytes of the host's memory that the guest's RAM takes."""
    ram = guest.ram
    if ram:
        # What the file system puts off (its own blocks for the file's map) is not nunchi's doing.
        with open(ram, "rb") as file:
            os.fsync(file.fileno())
            return os.fstat(file.fileno()).st_blocks * 512
    best = (0, 0)
    text = Path(f"/proc/{guest.pid}/smaps").read_text(encoding="ascii", errors="replace")
    for match in re.finditer(r"^Size: +(\d+) kB$.*?^Anonymous: +(\d+) kB$", text, re.M | re.S):
        best = max(best, (int(match[1]), int(match[2])))
    return best[1] << 10


def look_while_running(subject: Subject, target: str) -> dict[str, dict[str, Done]]:
    """All views without and with a pause, the most used ones as they are by default."""
    nunchi, options = subject.nunchi, subject.options
    # Types from DWARF take a second to read.
    views = FEW if options else subject.views
    return {
        "live never": nunchi.shows(target, views, "--pause", "never", *options),
        "live auto": nunchi.shows(target, FEW, *options),
        "live always": nunchi.shows(target, subject.views, "--pause", "always", *options),
    }


def check_boot(subject: Subject) -> None:
    """The guest is as it was meant: fewer processors or modules would be less to compare."""
    account, config = subject.account, subject.config
    up = [row["cpu_logical_cores"] for row in subject.a.rows["system_info"]]
    account.check(up == [config.cpus], f"processors of the guest: {up} of {config.cpus}")
    subject.modules = machine.find_kernel(options_of(config)).modules
    loaded = {row["name"] for row in subject.a.rows["kernel_modules"]}
    lost = sorted(set(subject.modules) - loaded)
    account.check(not lost, f"modules that the guest did not load: {lost}")
    account.check(bool(loaded) == bool(subject.modules), "modules of a kernel without modules")
    if not loaded:
        account.say("its kernel has no modules, so none are expected")


def check_list(subject: Subject, guest: machine.Guest) -> None:
    rows = [row for row in subject.nunchi.run("list", "--json").rows
            if row["target"] == f"qemu:{guest.name}"]
    want = {"name": guest.name, "pid": guest.pid, "memory": subject.config.memory << 20,
            "vcpus": subject.config.cpus, "state": "running"}
    subject.account.check(len(rows) == 1 and want.items() <= rows[0].items(), "list",
                          f"want {want}", f"got {rows}")


def look_while_stopped(subject: Subject, guest: machine.Guest, qmp: Qmp) -> dict[str, Done]:
    """Views and saved files of the stopped guest, which stays stopped and does not grow."""
    nunchi, account, target = subject.nunchi, subject.account, f"qemu:{guest.name}"
    before = footprint(guest)
    subject.reference = nunchi.shows(target, subject.views, *subject.options)
    always = nunchi.shows(target, FEW, "--pause", "always", *subject.options)
    identical(account, "live stopped, always", always, subject.reference)
    if "python" in subject.config.tests:
        python_rows.run(subject, "live stopped, Python", target, subject.reference)
    if "files" in subject.config.tests:
        subject.partly = files.show(subject, target)
    with Qmp(guest.qmp):
        busy = nunchi.shows(target, FEW, *subject.options)
    for form in OWN_FORMATS:
        done = nunchi.run("snapshot", target, subject.work / f"own.{form}", "--format", form)
        good_run(account, done, f"snapshot --format {form}")
    account.check(footprint(guest) == before, "the guest's memory grew on the host",
                  f"{before} bytes before, {footprint(guest)} after")
    status = qmp.command("query-status")["status"]
    account.check(status == "paused", f"stopped by another, the guest is now {status}")
    return busy


def hold(subject: Subject, guest: machine.Guest) -> dict[str, Done]:
    """Stop the guest, look, let QEMU save it, go on."""
    with Qmp(guest.control) as qmp:
        qmp.command("stop")
        try:
            with subject.account.timed("look, stopped"):
                busy = look_while_stopped(subject, guest, qmp)
            if "vmware" in subject.config.tests:
                path = subject.work / "guest.vmss"
                vmware.write(qmp, subject.raw, path)
                vmware.check_registers(subject.nunchi, subject.account, path, f"qemu:{guest.name}")
            with subject.account.timed("saved by QEMU"):
                snapshot.take(guest, qmp, subject.work, subject.config.forms)
        finally:
            qmp.command("cont")
    return busy


def saved_forms(subject: Subject) -> dict[str, Path]:
    """Every file the guest was saved in."""
    paths = sorted(path for path in subject.work.iterdir()
                   if path.name.startswith(("own.", "memory.", "core", "kdump",
                                                            "guest.vmss")))
    return {("nunchi " + path.suffix[1:] if path.stem == "own" else
             {"memory.raw": "raw", "guest.vmss": "vmware", "core.elf": "elf", "core-paging.elf": "elf-paging"}.get(
                 path.name, path.name)): path for path in paths}


KDUMP_STATUS = 424  # of the header of an x86-64 kdump file: how its pages are compressed


def repack(subject: Subject, name: str, path: Path) -> None:
    """makedumpfile takes a compression it was not built with for none: then it is made so here."""
    with open(path, "rb") as file:
        header = file.read(KDUMP_STATUS + 4)
    if any(header[KDUMP_STATUS:]):
        return
    whole = path.with_name("plain")
    path.rename(whole)
    tool = subject.nunchi.path.parent / "tests" / "repack_kdump"
    done = subprocess.run([tool, name, whole, path], capture_output=True, timeout=120, check=False)
    whole.unlink()
    subject.account.check(done.returncode == 0, f"repack_kdump {name}",
                          done.stderr.decode(errors="replace"))


def vmcoreinfo(subject: Subject) -> bytes:
    """The guest's own, which our cores of a guest without its device lack."""
    image = raw.Image(subject.raw)
    with contextlib.closing(image):
        return max((image.read(at, raw.PAGE).partition(b"\0")[0]
                    for at in image.find_all(b"OSRELEASE=")), key=len)


def makedumpfile(subject: Subject) -> None:
    """What makedumpfile makes of our own core, ELF and compressed: without its zero pages, and as
    distributions have it, without the pages of caches, of processes and of nobody either.

    It does not take QEMU's cores, whose section headers come first (1.7.2).
    """
    info = subject.work / "vmcoreinfo"
    info.write_bytes(vmcoreinfo(subject))
    for name, flag, level in (("elf", "-E", 1), ("lzo", "-l", 1), ("snappy", "-p", 1),
                              ("zstd", "-z", 1), ("elf-d31", "-E", 31), ("zlib-d31", "-c", 31),
                              ("lzo-d31", "-l", 31)):
        target = subject.work / f"kdump-makedumpfile-{name}"
        command = ["makedumpfile", "--message-level", "1", "-i", str(info), flag, "-d",
                   str(level), str(subject.work / "own.elf"), str(target)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120,
                              check=False)
        if done.returncode:
            target.unlink(missing_ok=True)
            subject.account.skip(f"makedumpfile {flag}: "
                                 f"{done.stderr.decode(errors='replace').strip()[-200:]}")
        elif name in ("snappy", "zstd"):
            repack(subject, name, target)


def check_module_symbols(subject: Subject, path: Path) -> None:
    """Each symbol of a module that is listed is found by its address and by its name."""
    modules = {row["name"] for row in subject.a.rows["kernel_modules"]}
    # Besides modules there are programs of BPF and trampolines, in brackets too.
    listed = [f"{row['address']:x} {row['type']} {row['module']} {row['name']}"
              for row in subject.a.rows["module_symbols"] if row["module"] in modules]
    options = dict(zip(subject.options[::2], subject.options[1::2]))
    tool = subject.nunchi.path.parent / "tests" / "module_symbols"
    done = subprocess.run([tool, path, options.get("--types", ""), options.get("--symbols", "")],
                          input="\n".join(listed), capture_output=True, text=True, timeout=120,
                          check=False)
    lines = (done.stdout + done.stderr).splitlines()
    subject.account.check(done.returncode == 0 and bool(listed), "symbols of modules",
                          *lines[-1:], *lines[:5])
    subject.account.say(f"symbols of modules: {lines[-1]}")


def check_facts(subject: Subject) -> None:
    """A kernel without modules lacks nothing that only modules need."""
    facts = subject.nunchi.facts(subject.raw, *subject.options)
    told = facts.get(("kernel", "modules"))
    subject.account.check(told == (None if subject.modules else NO_MODULES),
                          "info: what it says of modules", str(told))
    subject.account.check(bool(subject.modules) or ("missing", "module") not in facts,
                          "info: a kernel without modules lacks their layout", str(facts))


def compare_all(subject: Subject, live: dict[str, dict[str, Done]], busy: dict[str, Done]) -> None:
    """Live and stopped against the guest's own word; saved against stopped."""
    account = subject.account
    for form, got in live.items():
        against_oracle(account, form, got, subject.a, subject.b)
    against_oracle(account, "live stopped", subject.reference, subject.a, subject.b)
    files.check(subject, "live stopped", subject.partly)
    identical(account, "live, QMP busy", busy, subject.reference)
    views = FEW if subject.options else subject.views
    check_facts(subject)
    if subject.modules:
        check_module_symbols(subject, subject.raw)
    for form, path in saved_forms(subject).items():
        judge = incomplete if form.endswith("-d31") else identical
        judge(account, form, subject.nunchi.shows(path, views, *subject.options),
              subject.reference)


def oracle(subject: Subject, guest: machine.Guest, name: str, extra: str = "") -> compare.Oracle:
    with subject.account.timed("oracle"):
        text = snapshot.oracle(guest, name, extra).decode("utf-8", "surrogateescape")
        return compare.Oracle(text.splitlines(), subject.config.tells_dmi)


def use_files(subject: Subject) -> bool:
    """Types and symbols for a kernel that has none of its own; False: not to be had."""
    config = subject.config
    try:
        with subject.account.timed("debug data"):
            kernel = machine.find_kernel(options_of(config))
            vmlinux = kernels.debug_image(kernel)
            symbols = kernel.path / "System.map"
            if not symbols.exists():
                symbols = types.system_map(vmlinux, subject.work / "System.map")
    except LabError as error:
        subject.account.skip(f"the kernel's debug data: {error}")
        return False
    given = {"--types": str(vmlinux), "--symbols": str(symbols)}
    subject.options = tuple(part for option in config.files for part in (option, given[option]))
    # The file has other symbols than the kernel itself; they are compared without it.
    if "--symbols" in config.files:
        subject.views = tuple(view for view in VIEWS if view != "symbols")
    return True


def look(subject: Subject, guest: machine.Guest) -> None:
    """Everything that needs the guest to run, and then the comparison."""
    account, target = subject.account, f"qemu:{guest.name}"
    subject.a = oracle(subject, guest, "a", "--symbols")
    check_boot(subject)
    time.sleep(snapshot.SETTLE_SECONDS)
    check_list(subject, guest)
    with account.timed("look, running"):
        live = look_while_running(subject, target)
    if "sql" in subject.config.tests:
        with account.timed("sql, running"):
            sql.look(subject, target)
    if "gdb" in subject.config.tests:
        with account.timed("gdb, running"):
            debugger.look(subject, guest)
    if "contents" in subject.config.tests:
        with account.timed("contents"):
            # First: whoever reads a file for the first time changes its atime.
            summed = extract.told(guest)
            said = contents.told(subject, guest)
            # Types from DWARF take half a second to read, for each file.
            if not subject.options:
                contents.check(subject, "live always", target, said, "--pause", "always")
                extract.check(subject, "live always", target, said, summed, "--pause",
                              "always")
    processes: dict[int, core.Told] = {}
    if "core" in subject.config.tests:
        with account.timed("core"):
            processes = core.look(subject, guest)
    scanned = None
    if "yara" in subject.config.tests:
        with account.timed("yara"):
            scanned = yara.look(subject, guest)
    busy = hold(subject, guest)
    if "yara" in subject.config.tests:
        with account.timed("yara"):
            yara.check(subject, scanned)
    if "core" in subject.config.tests:
        with account.timed("core"):
            core.check(subject, subject.raw, processes)
    if "contents" in subject.config.tests:
        with account.timed("contents"):
            contents.check(subject, "nunchi raw", subject.raw, said)
            extract.check(subject, "nunchi raw", subject.raw, said, summed)
    subject.b = oracle(subject, guest, "b")
    if "pauses" in subject.config.tests:
        with account.timed("pauses"):
            pauses.run(subject.nunchi, account, guest, subject.work)
    if "trace" in subject.config.tests:
        with account.timed("trace"):
            trace.run(subject, guest)
    if "python" in subject.config.tests:
        with account.timed("trace, Python"):
            python_rows.trace(subject, guest)
    if "tampered" in subject.config.tests:
        with account.timed("tracing, checked"):
            tampered.permitted(subject, guest)
    if "reset" in subject.config.tests:
        with account.timed("reset"):
            reset.run(subject.nunchi, account, guest, subject.work)
    if "top" in subject.config.tests:
        with account.timed("top"):
            screen.run(subject, guest)
    if "metrics" in subject.config.tests:
        with account.timed("metrics"):
            scrape.run(subject, guest)
    end(guest)
    with account.timed("unpack"):
        snapshot.finish(subject.work)
        if "makedumpfile" in subject.config.tests:
            makedumpfile(subject)
    with account.timed("compare"):
        compare_all(subject, live, busy)


def plant_decoys(subject: Subject) -> None:
    """Decoys from a small guest of another version."""
    other = "bookworm" if subject.config.suite != "bookworm" else "bullseye"
    donor = Config("donor", other, "cloud-amd64", memory=256, workload="none")
    path = subject.work / "donor.raw"
    with booted(donor, f"{subject.name}-donor", subject.account) as guest:
        subject.nunchi.run("snapshot", f"qemu:{guest.name}", path, "--format", "raw", "--pause",
                           "always")
    # The cloud flavours are compressed with LZ4, which Python cannot undo.
    images = [kernels.fetch(suite, "amd64").image for suite in
              (subject.config.suite, other)]
    decoys.plant(subject.nunchi, subject.account, subject.raw, subject.reference, path, images)
    path.unlink()


def python_saved(subject: Subject) -> None:
    # The file has no registers, which a check looks at.
    findings = subject.nunchi.show(subject.raw, "findings", *subject.options)
    python_rows.run(subject, "nunchi raw, Python", subject.raw,
                    {**subject.reference, "findings": findings})
    python_rows.circles(subject)


AFTERWARDS = {"python": python_saved, "export": exports.run, "report": report.run, "mount": mount.run,
              "types": types.run,
              "partial": partial.run, "zeroed": zeroed.run, "damage": damage.run,
              "decoys": plant_decoys, "files": files.run, "speed": speed.run, "sql": sql.run,
              "expressions": expressions.run, "gdb": debugger.run, "tampered": tampered.run,
              "holes": contents.holes, "extract": extract.saved,
              # Last: it changes the file for good.
              "endless": endless.run}


def run(config: Config, nunchi: Nunchi, account: Account, work: Path, name: str) -> None:
    subject = Subject(config, nunchi, account, work, name)
    with booted(config, name, account) as guest:
        if "storm" in config.tests:
            with account.timed("storm"):
                storm.run(nunchi, account, guest)
            return
        if "crash" in config.tests:
            crash.run(nunchi, account, guest, work)
            return
        if config.files and not use_files(subject):
            return
        if "shuffled" in config.tests:
            shuffled.run(subject, guest)
            return
        look(subject, guest)
    for test, action in AFTERWARDS.items():
        if test in config.tests:
            with account.timed(test):
                action(subject)
