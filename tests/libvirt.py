#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""nunchi beside libvirt, which holds the monitor of its guests: libvirt.py path/to/nunchi.

A guest of the lab is started by the libvirtd of this machine's packages, as a host's are. libvirtd
and the guest live in a mount and a network namespace of their own, with empty folders for libvirt's
files, so nothing of it is left and a libvirtd of the host is not disturbed. Needs root.
"""
from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import uuid
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(1, str(ROOT / "lab"))

import initramfs  # noqa: E402
import kernels  # noqa: E402

NUNCHI: Path
# Of this run alone: two may run on one machine.
NAME = f"nunchi-test-{os.getpid()}"
UUID, CLAIM_UUID = str(uuid.uuid4()), str(uuid.uuid4())
FOLDERS = ("/etc/libvirt", "/run/libvirt", "/var/lib/libvirt", "/var/log/libvirt",
           "/var/cache/libvirt")
# libvirt runs its guests as this user, whom the package libvirt-daemon-system makes.
USER = "libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin\n"
GROUPS = "libvirt-qemu:x:64055:\nkvm:x:64054:\n"
SETTINGS = """user = "libvirt-qemu"
group = "libvirt-qemu"
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
"""
DOMAIN = """<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>512</memory><vcpu>2</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type>
    <kernel>{folder}/vmlinuz</kernel><initrd>{folder}/initrd</initrd>
    <cmdline>console=ttyS0 quiet panic=1 tsc=nowatchdog no_timer_check nunchi.hostname=libvirt
 nunchi.marker=nunchi-0123456789abcdef</cmdline></os>
  <features><acpi/></features>
  <cpu mode='custom' match='exact'><model>qemu64</model><feature policy='disable' name='cx16'/></cpu>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
    <serial type='file'><source path='{folder}/console'/></serial>
    <serial type='unix'><source mode='bind' path='{folder}/commands'/></serial>
    <memballoon model='none'/></devices>
  <qemu:commandline><qemu:arg value='-debugcon'/><qemu:arg value='file:{folder}/output'/>
  </qemu:commandline></domain>
"""

# Connects to a socket under libvirtd's name, and stays.
HOLDER = """import socket, sys, time
open("/proc/self/comm", "w").write("libvirtd")
peer = socket.socket(socket.AF_UNIX)
peer.connect(sys.argv[1])
print("connected", flush=True)
time.sleep(300)
"""


def mount_own_files() -> list[str]:
    """In the mount namespace of this process alone; which folders were made for it."""
    made = [folder for folder in FOLDERS if not os.path.isdir(folder)]
    for folder in FOLDERS:
        os.makedirs(folder, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "nunchi", folder], check=True)
    for name, more in (("passwd", USER), ("group", GROUPS)):
        own = Path("/run/libvirt", name)
        own.write_text(Path("/etc", name).read_text() + more)
        subprocess.run(["mount", "--bind", own, f"/etc/{name}"], check=True)
    Path("/etc/libvirt/qemu.conf").write_text(SETTINGS)
    Path("/etc/libvirt/libvirtd.conf").write_text('auth_unix_rw = "none"\n')
    return made


def remove(made: list[str]) -> None:
    for name in ("passwd", "group"):
        subprocess.run(["umount", f"/etc/{name}"], check=False)
    for folder in made:
        subprocess.run(["umount", "-l", folder], check=False)
        try:
            os.rmdir(folder)
        except OSError:
            pass  # another run uses it


def virsh(*args: str | Path, seconds: float = 60) -> str:
    done = subprocess.run(["virsh", "-q", "-c", "qemu:///system", *args], timeout=seconds,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"virsh {args[0]}: {done.stderr}")
    return done.stdout.strip()


def wait_for(what: str, true, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.05)


def nunchi(*args: str | Path) -> subprocess.CompletedProcess:
    return subprocess.run([NUNCHI, *args], timeout=120, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)


def relays() -> list[str]:
    """Processes that nunchi started to speak to libvirt about this run's guest."""
    return [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()
            and is_relay(entry / "cmdline")]


def is_relay(arguments: Path) -> bool:
    try:
        words = arguments.read_bytes().split(b"\0")
    except OSError:
        return False
    return words[0] == b"nunchi-libvirt" and UUID.encode() in words


def processes(text: str) -> list[tuple]:
    rows = map(json.loads, text.splitlines())
    return sorted((row["pid"], row["parent"], row["name"], row["cmdline"]) for row in rows)


def claim_uuid(process: int, own: str, other: str) -> None:
    """Writes another UUID over the process's argument, as the process could itself."""
    arguments = Path(f"/proc/{process}/cmdline").read_bytes()
    start = int(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[45])
    with open(f"/proc/{process}/mem", "r+b", buffering=0) as memory:
        memory.seek(start + arguments.index(own.encode()))
        memory.write(other.encode())


class Libvirt(unittest.TestCase):
    daemon: subprocess.Popen
    folder: Path

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(tempfile.mkdtemp(prefix="nunchi-libvirt-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.folder.chmod(0o777)
        kernel = kernels.fetch("bookworm", "cloud-amd64")
        initramfs.build(kernel, "services", cls.folder / "initrd")
        shutil.copy(kernel.image, cls.folder / "vmlinuz")
        log = open(cls.folder / "libvirtd.log", "w")
        # The file of process ids would be the host's.
        cls.daemon = subprocess.Popen(["/usr/sbin/libvirtd", "--pid-file",
                                       "/run/libvirt/libvirtd.pid"], stdin=subprocess.DEVNULL, stdout=log,
                                      stderr=log)
        cls.addClassCleanup(cls.end)
        try:
            wait_for("libvirtd's socket", Path("/run/libvirt/libvirt-sock").exists)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{(cls.folder / 'libvirtd.log').read_text()}") from None
        (cls.folder / "domain.xml").write_text(
            DOMAIN.format(name=NAME, uuid=UUID, folder=cls.folder))
        # libvirtd first asks this QEMU what it can do, which takes a minute on a busy host.
        virsh("create", cls.folder / "domain.xml", seconds=400)
        output = cls.folder / "output"
        wait_for("the guest's programs",
                 lambda: output.exists() and b"NUNCHI-END 0 " in output.read_bytes(), 300)

    @classmethod
    def end(cls) -> None:
        cls.daemon.send_signal(signal.SIGCONT)
        subprocess.run(["virsh", "-q", "-c", "qemu:///system", "destroy", NAME], timeout=60,
                       stdin=subprocess.DEVNULL, capture_output=True)
        cls.daemon.terminate()
        try:
            cls.daemon.wait(20)
        except subprocess.TimeoutExpired:
            cls.daemon.kill()
            cls.daemon.wait()

    def tearDown(self) -> None:
        wait_for("the end of nunchi-libvirt", lambda: not relays(), 30)

    def listed(self) -> dict:
        row, = (json.loads(line) for line in nunchi("list", "--json").stdout.splitlines()
                if json.loads(line)["name"] == NAME)
        return row

    def test_list_and_info(self) -> None:
        row = self.listed()
        self.assertEqual((row["target"], row["uuid"], row["state"]),
                         (f"qemu:{NAME}", UUID, "running"))
        self.assertIn("QMP through libvirt", row["access"])
        info = nunchi("info", f"qemu:{NAME}")
        self.assertEqual((info.returncode, info.stderr), (0, ""))
        self.assertRegex(info.stdout, r"pause +yes +\(stop and cont through libvirt \(QEMU \d")
        self.assertRegex(info.stdout, r"vcpu 1 +rip 0x[0-9a-f]+, cr0 0x80050033")
        self.assertRegex(info.stdout, r"found by +CR3 of a vCPU")

    def test_rows_are_those_of_a_dump(self) -> None:
        """What is shown of the guest, held by libvirt, is what is in its own dump."""
        virsh("suspend", NAME)
        try:
            live = nunchi("show", f"qemu:{NAME}", "processes", "--json")
            virsh("dump", "--memory-only", NAME, self.folder / "dump.elf")
        finally:
            virsh("resume", NAME)
        saved = nunchi("show", self.folder / "dump.elf", "processes", "--json")
        self.assertEqual((live.returncode, saved.returncode), (0, 0), live.stderr + saved.stderr)
        self.assertIn("agent", live.stdout)
        self.assertGreater(len(processes(live.stdout)), 40)
        self.assertEqual(processes(live.stdout), processes(saved.stdout))
        self.assertEqual(virsh("domstate", NAME), "running")

    def test_pause(self) -> None:
        run = nunchi("ps", "--pause", "always", "--timing", f"qemu:{NAME}")
        self.assertEqual(run.returncode, 0, run.stderr)
        timing = json.loads(run.stderr.splitlines()[-1])
        self.assertGreater(timing["paused_us"], 0)
        self.assertEqual(virsh("domstate", NAME), "running")
        # A guest that the administrator stopped stays as it is.
        virsh("suspend", NAME)
        run = nunchi("ps", "--pause", "always", f"qemu:{NAME}")
        state, row = virsh("domstate", NAME), self.listed()
        virsh("resume", NAME)
        self.assertEqual((run.returncode, state, row["state"]), (0, "paused", "paused"))
        self.assertEqual(self.listed()["state"], "running")

    def test_killed(self) -> None:
        for number in (signal.SIGKILL, signal.SIGINT):
            process = subprocess.Popen(
                [NUNCHI, "snapshot", "--pause", "always", f"qemu:{NAME}", self.folder / "snap.elf"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_for("the pause", lambda: virsh("domstate", NAME) == "paused" or
                     process.poll() is not None)
            self.assertIsNone(process.poll(), "the snapshot was made before it was seen paused")
            process.send_signal(number)
            process.wait(30)
            wait_for(f"the end of the pause after {number.name}",
                     lambda: virsh("domstate", NAME) == "running", 30)
            (self.folder / "snap.elf").unlink(missing_ok=True)

    def test_libvirt_hangs(self) -> None:
        """The guest is shown without its registers, and the reason is said."""
        self.daemon.send_signal(signal.SIGSTOP)
        try:
            run = nunchi("info", f"qemu:{NAME}")
        finally:
            self.daemon.send_signal(signal.SIGCONT)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertRegex(run.stdout, r"pause +no +\(libvirt \(qemu:///system\): ")
        self.assertEqual(virsh("domstate", NAME), "running")

    def test_libvirt_hangs_while_paused(self) -> None:
        """What was sent when nobody could wait any more still resumes the guest."""
        qemu = int(Path(f"/run/libvirt/qemu/{NAME}.pid").read_text())
        process = subprocess.Popen(
            [NUNCHI, "snapshot", "--pause", "always", f"qemu:{NAME}", self.folder / "snap.elf"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for("the pause", lambda: virsh("domstate", NAME) == "paused" or
                     process.poll() is not None)
            os.kill(qemu, signal.SIGSTOP)
            self.assertIsNone(process.poll(), "the snapshot was made before it was seen paused")
            process.kill()
            process.wait(30)
            # Longer than the second process, the guard and the end of the connection wait.
            time.sleep(25)
        finally:
            os.kill(qemu, signal.SIGCONT)
        wait_for("the end of the pause", lambda: virsh("domstate", NAME) == "running", 30)

    def test_process_of_another_guest(self) -> None:
        """A guest's QEMU, held by this libvirt, that writes another guest's UUID in its arguments."""
        other = DOMAIN.format(name=f"{NAME}-claim", uuid=CLAIM_UUID,
                              folder=self.folder).replace("/console", "/console2")
        other = other.replace("/commands", "/commands2").replace("/output", "/output2")
        (self.folder / "claim.xml").write_text(other)
        virsh("create", "--paused", self.folder / "claim.xml", seconds=400)
        try:
            qemu = int(Path(f"/run/libvirt/qemu/{NAME}-claim.pid").read_text())
            claim_uuid(qemu, CLAIM_UUID, UUID)
            info = nunchi("info", f"qemu:{qemu}")
            self.assertRegex(info.stdout, "pause +no .*is another process, by libvirt's own record")
            nunchi("ps", "--pause", "always", f"qemu:{qemu}")
            self.assertEqual(virsh("domstate", NAME, "--reason").split()[0], "running")
        finally:
            virsh("destroy", f"{NAME}-claim")

    def test_domain_of_another_name(self) -> None:
        """A process of a person's that claims this guest's UUID has no way to libvirt's system."""
        sockets = self.folder / "claim"
        sockets.mkdir()
        os.chown(sockets, 47123, 47123)
        claim = subprocess.Popen(
            ["setpriv", "--reuid=47123", "--regid=47123", "--clear-groups", "qemu-system-x86_64",
             "-name", "claim", "-uuid", UUID, "-nodefaults", "-display", "none", "-m", "16", "-S",
             "-chardev", f"socket,id=charmonitor,path={sockets}/qmp,server=on,wait=off", "-mon",
             "chardev=charmonitor,id=monitor,mode=control"], stdin=subprocess.DEVNULL)
        holder = None
        try:
            wait_for("the socket", (sockets / "qmp").exists)
            # As if root's libvirt held that monitor.
            holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(sockets / "qmp")],
                                      stdout=subprocess.PIPE)
            self.assertEqual(holder.stdout.readline(), b"connected\n")
            info = nunchi("info", f"qemu:{claim.pid}")
            self.assertIn("libvirt of user 0 holds the monitor of a guest of user 47123",
                          info.stdout + info.stderr)
            nunchi("ps", "--pause", "always", f"qemu:{claim.pid}")
            self.assertEqual(virsh("domstate", NAME, "--reason").split()[0], "running")
            self.assertEqual(relays(), [])
        finally:
            for process in filter(None, (holder, claim)):
                process.kill()
                process.communicate()


def fetch() -> None:
    """Fills the cache with what the guest is made of: there is no network inside."""
    with tempfile.TemporaryDirectory() as folder:
        initramfs.build(kernels.fetch("bookworm", "cloud-amd64"), "services", Path(folder, "initrd"))


def main() -> int:
    global NUNCHI
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    missing = [name for name in ("libvirtd", "virsh", "qemu-system-x86_64") if not
               shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")]
    if missing or os.geteuid() != 0:
        print("skipped: " + (f"{', '.join(missing)} are not installed" if missing else "needs root"))
        print("0 passed, 0 failed, 1 skipped")
        return 0
    NUNCHI = Path(sys.argv[1]).resolve()
    if "--inside" not in sys.argv:
        fetch()
        os.execvp("unshare", ["unshare", "-m", "-n", "--propagation", "private", sys.executable,
                              __file__, str(NUNCHI), "--inside"])
    made = mount_own_files()
    result = unittest.TextTestRunner(sys.stdout, verbosity=2).run(
        unittest.defaultTestLoader.loadTestsFromTestCase(Libvirt))
    remove(made)
    failed = len(result.failures) + len(result.errors)
    print(f"{max(0, result.testsRun - failed)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
