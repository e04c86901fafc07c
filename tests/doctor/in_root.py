#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""plan, apply, undo on a root with Debian's own GRUB scripts: in_root.py NUNCHI DISK DIRECTORY.

Runs in a mount namespace of its own (tests/doctor_apply.py sees to it), in which the test host's file
system is mounted at DIRECTORY/root, from a node of a name that grub-probe takes for a disk.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent / "lab")]

from common import LabError, run  # noqa: E402
from doctor.host import ROOT_START, ROOT_UUID, SECTOR  # noqa: E402
from guests.tool import Account  # noqa: E402

OWN = "etc/default/grub.d/nunchi.cfg"
UNIT = "etc/systemd/system/nunchi-trial.service"
CFG = "boot/grub/grub.cfg"
ENV = "boot/grub/grubenv"
NOBODY = 65534
REACHABLE = Path("/mnt")  # in this mount namespace alone
LOOP_CTL_GET_FREE = 0x4C82  # linux/loop.h


@dataclass
class Done:
    status: int
    out: str
    err: str


def _loop_of(image: Path) -> int:
    """A new loop device over a file: its number."""
    control = os.open("/dev/loop-control", os.O_RDWR) if os.path.exists("/dev/loop-control") else -1
    if control < 0:
        os.mknod("/dev/loop-control", 0o600 | stat.S_IFCHR, os.makedev(10, 237))
        control = os.open("/dev/loop-control", os.O_RDWR)
    index = fcntl.ioctl(control, LOOP_CTL_GET_FREE)
    os.close(control)
    node = f"/dev/loop{index}"
    os.mknod(node, 0o600 | stat.S_IFBLK, os.makedev(7, index))
    run(["losetup", node, str(image)], what="a loop device")
    os.unlink(node)
    return os.makedev(7, index)


def make_reachable(nunchi: Path) -> Path:
    """A place that nobody can reach, wherever the cache and the build are; nunchi in it."""
    run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", str(REACHABLE)], what="a tmpfs")
    (REACHABLE / "build").mkdir()
    run(["mount", "--bind", str(nunchi.parent), str(REACHABLE / "build")], what="the build")
    return REACHABLE / "build" / nunchi.name


def mount_host(disk: Path, directory: Path) -> Path:
    """The root file system of the disk, with a /dev that has little but it."""
    root, dev = REACHABLE / "host", directory / "dev"
    for path in (root, dev):
        path.mkdir(exist_ok=True)
    loop = run(["losetup", "-f", "--show", "-o", str(ROOT_START * SECTOR), str(disk)],
               what="a loop device").strip()
    number = os.stat(loop).st_rdev
    run(["mount", "-t", "tmpfs", "tmpfs", str(dev)], what="a /dev")
    os.mknod(dev / "test-disk", 0o600 | stat.S_IFBLK, number)
    for name, minor in (("null", 3), ("zero", 5), ("urandom", 9)):
        os.mknod(dev / name, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
        os.chmod(dev / name, 0o666)
    (dev / "disk/by-uuid").mkdir(parents=True)
    (dev / "disk/by-uuid" / ROOT_UUID).symlink_to("../../test-disk")
    run(["mount", "--move", str(dev), "/dev"], what="a /dev")
    try:
        run(["mount", "/dev/test-disk", str(root)], what="mounting the test host")
    finally:
        # It goes when it is unmounted, with this namespace.
        run(["losetup", "-d", "/dev/test-disk"], what="a loop device")
    run(["mount", "--rbind", "/dev", str(root / "dev")], what="its /dev")
    run(["mount", "-t", "proc", "proc", str(root / "proc")], what="its /proc")
    run(["mount", "-t", "sysfs", "sysfs", str(root / "sys")], what="its /sys")
    (root / "boot/grub/device.map").write_text("(hd0) /dev/test-disk\n", encoding="ascii")
    return root


class Root:
    def __init__(self, nunchi: Path, path: Path) -> None:
        self.nunchi, self.path = nunchi, path

    def command(self, *words: str) -> list[str]:
        return [str(self.nunchi), "doctor", "--root", str(self.path), *words]

    def doctor(self, *words: str, user: int | None = None, language: str = "C") -> Done:
        words_from = {"LC_ALL": language, "TEXTDOMAINDIR": str(self.nunchi.parent / "po")}
        done = subprocess.run(self.command(*words), stdin=subprocess.DEVNULL, capture_output=True,
                              env={**os.environ, "LANGUAGE": "", **words_from}, encoding="utf-8",
                              errors="replace", timeout=120, user=user, check=False)
        return Done(done.returncode, done.stdout, done.stderr)

    def chroot(self, *words: str) -> str:
        return run(["chroot", str(self.path), *words], what=" ".join(words))

    def read(self, name: str) -> str:
        return (self.path / name).read_text(encoding="utf-8", errors="replace")

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        (self.path / name).write_text(text, encoding="utf-8")
        (self.path / name).chmod(mode)

    def state(self) -> dict[str, str]:
        """Everything of /etc and /boot: kind, mode, owner, content."""
        found = {}
        for top in ("etc", "boot"):
            for directory, names, files in os.walk(self.path / top):
                for name in [*names, *files]:
                    path = Path(directory) / name
                    info = path.lstat()
                    content = ""
                    if stat.S_ISREG(info.st_mode):
                        content = hashlib.sha256(path.read_bytes()).hexdigest()
                    elif stat.S_ISLNK(info.st_mode):
                        content = os.readlink(path)
                    found[str(path.relative_to(self.path))] = \
                        f"{info.st_mode:o} {info.st_uid}:{info.st_gid} {content}"
        return found

    def left(self) -> list[str]:
        """What there is of the doctor's own beside logs, which undo has to take away."""
        state = self.path / "var/lib/nunchi/doctor"
        return sorted(path.name for path in state.iterdir() if path.name != "trial") \
            if state.exists() else []


def changed(one: dict[str, str], other: dict[str, str]) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def default_title(config: str) -> str:
    """What the generated file boots, by its own words: the title where it is not a number."""
    value = re.search(r'^else\n\s+set default="([^"]*)"', config, re.MULTILINE)
    titles = re.findall(r"^(?:menuentry|submenu) '([^']*)'", config, re.MULTILINE)
    if not value:
        return "?"
    return titles[int(value[1])] if value[1].isdigit() else value[1]


def native_part(config: str) -> str:
    return config[config.index("### BEGIN /etc/grub.d/10_linux"):
                  config.index("### END /etc/grub.d/10_linux")]


def same(account: Account, root: Root, before: dict[str, str], what: str) -> None:
    difference = changed(before, root.state())
    account.check(not difference, f"{what}: differs", *difference)
    account.check(not root.left(), f"{what}: something of ours is left", *root.left())


def undo(account: Account, root: Root, before: dict[str, str], what: str) -> Done:
    done = root.doctor("undo")
    account.check(done.status == 0, f"{what}: undo ends with {done.status}", done.err)
    same(account, root, before, f"{what}, then undo")
    return done


def applied(account: Account, root: Root, what: str, *words: str) -> Done:
    done = root.doctor("apply", *words)
    account.check(done.status == 0, f"{what}: apply ends with {done.status}", done.err)
    return done


def fails(account: Account, root: Root, done: Done, before: dict[str, str], what: str,
          *says: str) -> None:
    missing = [text for text in says if text not in done.err]
    account.check(done.status == 1 and not missing and "\n  hint: " in done.err,
                  f"{what}: an error with a hint that says {says}", done.err, str(done.status))
    same(account, root, before, what)


# ---- The tests ---------------------------------------------------------------------------------


def test_plan(account: Account, root: Root) -> None:
    before = root.state()
    done = root.doctor("plan", "--trial")
    account.check(done.status == 0, "plan fails", done.err)
    for text in ("nunchi.cfg\n@@", "+XEN_OVERRIDE_GRUB_DEFAULT=0", "nunchi-trial.service",
                 "undo", f"+++ {root.path}/{CFG}", "# Native entries:          unchanged",
                 "systemd.wants=nunchi-trial.service"):
        account.check(text in done.out, f"the plan does not have {text!r}")
    same(account, root, before, "plan")
    patched = subprocess.run(["patch", "--dry-run", "-p0", "-d", "/"], input=done.out, text=True,
                             capture_output=True, check=False)
    account.check(patched.returncode == 0, "the plan is no diff that patch takes",
                  patched.stdout, patched.stderr)


def test_apply(account: Account, root: Root) -> None:
    before, config = root.state(), root.read(CFG)
    applied(account, root, "plain")
    account.check(changed(before, root.state()) == [CFG, OWN], "apply changes other files",
                  *changed(before, root.state()))
    account.check(native_part(config) == native_part(root.read(CFG)), "native entries changed")
    account.check(" quiet" not in root.read(CFG).split("20_linux_xen")[1], "dom0 is quiet still")
    account.check(default_title(root.read(CFG)) == "Debian GNU/Linux", "default is not native")
    done = undo(account, root, before, "plain")
    account.check("the saved one is put back" in done.out, "undo does not say what it did")
    again = root.doctor("undo")
    account.check(again.status == 0 and "Nothing to take back" in again.out, "a second undo")


def test_trial(account: Account, root: Root) -> None:
    before = root.state()
    applied(account, root, "trial", "--trial", "--minutes", "3")
    account.check(changed(before, root.state()) == sorted([CFG, ENV, OWN, UNIT]),
                  "a trial changes other files", *changed(before, root.state()))
    account.check("next_entry=xen-gnulinux-simple-" in root.read(ENV), "no one-shot is set")
    account.check("\nminutes=3\n" in root.read("var/lib/nunchi/doctor/trial.sh"), "minutes")
    check = subprocess.run(["sh", "-n", str(root.path / "var/lib/nunchi/doctor/trial.sh")],
                           capture_output=True, text=True, check=False)
    account.check(check.returncode == 0, "the trial's script is not sound", check.stderr)
    plan = root.doctor("plan", "--trial", "--minutes", "3")
    account.check(plan.status == 0 and "Nothing to change" in plan.out, "plan after apply",
                  plan.err, plan.out)
    applied(account, root, "a trial anew", "--trial")
    undo(account, root, before, "trial")


def test_environment(account: Account, root: Root) -> None:
    """What else stands in grubenv stays, also if it came later."""
    root.chroot("grub-editenv", "/boot/grub/grubenv", "set", "saved_entry=old")
    before = root.state()
    applied(account, root, "grubenv", "--trial")
    undo(account, root, before, "grubenv")
    applied(account, root, "grubenv", "--trial")
    root.chroot("grub-editenv", "/boot/grub/grubenv", "set", "saved_entry=new")
    root.doctor("undo")
    env = root.chroot("grub-editenv", "/boot/grub/grubenv", "list")
    account.check(env == "saved_entry=new\n", f"grubenv is {env!r}")
    (root.path / ENV).unlink()


def test_xen_by_default(account: Account, root: Root) -> None:
    """Debian's own grub.d/xen.cfg makes Xen the default."""
    defaults = root.read("etc/default/grub")
    root.write("etc/default/grub", defaults.replace("XEN_OVERRIDE_GRUB_DEFAULT=0\n", ""))
    root.chroot("update-grub")
    before = root.state()
    account.check("Xen" in default_title(root.read(CFG)), "the trap is not there")
    done = applied(account, root, "Xen by default", "--trial")
    account.check(default_title(root.read(CFG)) == "Debian GNU/Linux", "Xen is the default still")
    account.check("now:    Debian GNU/Linux, with Xen hypervisor\n" in done.out and
                  "then:   Debian GNU/Linux\n" in done.out, "the plan does not say so", done.out)
    undo(account, root, before, "Xen by default")
    root.write("etc/default/grub", defaults)
    root.chroot("update-grub")


def test_saved_default(account: Account, root: Root) -> None:
    """GRUB_DEFAULT=saved with Xen saved: no file of ours can make a native entry the default."""
    defaults = root.read("etc/default/grub")
    root.write("etc/default/grub", defaults.replace("GRUB_DEFAULT=0", "GRUB_DEFAULT=saved"))
    root.chroot("grub-set-default", f"xen-gnulinux-simple-{ROOT_UUID}")
    root.chroot("update-grub")
    before = root.state()
    fails(account, root, root.doctor("apply"), before, "Xen saved", "would be the default")
    (root.path / ENV).unlink()
    root.write("etc/default/grub", defaults)
    root.chroot("update-grub")


def test_refusals(account: Account, root: Root) -> None:
    script, before = "etc/grub.d/42_test", root.state()

    def with_script(text: str, what: str, *says: str) -> None:
        root.write(script, f"#!/bin/sh\n{text}\n", 0o755)
        state = root.state()
        fails(account, root, root.doctor("apply"), state, what, *says)
        (root.path / script).unlink()

    with_script("exit 7", "a script of GRUB fails", "grub-mkconfig failed")
    with_script("echo 'if true; then'", "a script of GRUB prints nonsense",
                "the generated grub.cfg is not sound")
    with_script("echo \"menuentry 'new' { linux /vmlinuz ; }\"", "grub.cfg is stale",
                "not what its sources make today")
    root.write("etc/default/grub.d/zz.cfg", "GRUB_CMDLINE_LINUX_XEN_REPLACE_DEFAULT=quiet\n")
    state = root.state()
    fails(account, root, root.doctor("apply", "--trial"), state, "a later file overrides",
          "would still have \"quiet\"")
    (root.path / "etc/default/grub.d/zz.cfg").unlink()
    root.chroot("grub-reboot", "1")
    state = root.state()
    fails(account, root, root.doctor("apply", "--trial"), state, "a one-shot is set",
          "already set to be \"1\"")
    (root.path / ENV).unlink()
    root.write(OWN, "# mine\n")
    state = root.state()
    fails(account, root, root.doctor("apply"), state, "a file of that name", "not from an apply")
    (root.path / OWN).unlink()
    fails(account, root, root.doctor("stay"), before, "stay without a trial", "no trial boot")
    for user_words in (("apply",), ("undo",), ("stay",)):
        done = root.doctor(*user_words, user=NOBODY)
        fails(account, root, done, before, f"{user_words[0]} by nobody", "only root",
              f"sudo nunchi doctor {user_words[0]}")


def test_btrfs(account: Account, root: Root) -> None:
    """GRUB cannot write there: a one-shot would never be cleared."""
    grub = root.path / "boot/grub"
    image = root.path / "root/btrfs.img"
    with open(image, "wb") as handle:
        handle.truncate(128 << 20)
    root.chroot("mkfs.btrfs", "-q", "/root/btrfs.img")
    os.mknod("/dev/test-btrfs", 0o600 | stat.S_IFBLK, _loop_of(image))
    run(["mount", "/dev/test-btrfs", str(grub)], what="mounting btrfs")
    run(["losetup", "-d", "/dev/test-btrfs"], what="a loop device")
    (grub / "device.map").write_text("(hd0) /dev/test-disk\n(hd1) /dev/test-btrfs\n",
                                     encoding="ascii")
    root.chroot("update-grub")
    before = root.state()
    fails(account, root, root.doctor("apply", "--trial"), before, "grubenv on btrfs",
          "grubenv lies on btrfs, where GRUB cannot write", "ext4")
    applied(account, root, "without a trial on btrfs")
    undo(account, root, before, "without a trial on btrfs")
    run(["umount", str(grub)], what="unmounting btrfs")
    image.unlink()


def test_no_xen(account: Account, root: Root) -> None:
    boot, away = root.path / "boot", root.path / "root"
    names = [path.name for path in boot.glob("xen-*")]
    for name in names:
        (boot / name).rename(away / name)
    root.chroot("update-grub")
    before = root.state()
    fails(account, root, root.doctor("apply"), before, "no Xen", "no entry that boots Xen",
          "apt-get install xen-system-amd64")
    for name in names:
        (away / name).rename(boot / name)
    root.chroot("update-grub")


def test_plan_by_nobody(account: Account, root: Root) -> None:
    before = root.state()
    done = root.doctor("plan", user=NOBODY)
    account.check(done.status == 0 and "+XEN_OVERRIDE_GRUB_DEFAULT=0" in done.out and
                  "only root can see" in done.out, "plan by nobody", done.out, done.err)
    same(account, root, before, "plan by nobody")


def test_korean(account: Account, root: Root) -> None:
    """What is said is translated, what is written is not."""
    if not (root.nunchi.parent / "po/ko/LC_MESSAGES/nunchi.mo").exists():
        account.say("built without texts in other languages")
        return
    before = root.state()
    for words, user, says in ((("plan", "--trial"), None, "# Xen 없는 항목:           그대로\n"),
                              (("plan",), NOBODY, "root만 볼 수 있습니다"),
                              (("undo",), NOBODY, "root만 바꿀 수 있습니다\n  hint: sudo nunchi"),
                              (("stay",), None, "진행 중인 시험 부팅이 없습니다"),
                              (("apply", "--trial"), None, "시험 부팅이 시작됩니다."),
                              (("undo",), None, "# 끝났습니다: 모두 원래대로입니다.\n")):
        done = root.doctor(*words, user=user, language="ko_KR.UTF-8")
        account.check(says in done.out + done.err, f"{words} does not say {says!r} in Korean",
                      done.out[-900:], done.err)
        if words[0] == "apply":
            account.check(all((root.path / name).read_bytes().isascii() for name in (OWN, UNIT)),
                          "files are written in Korean")
    same(account, root, before, "in Korean")


def test_inputs_changed(account: Account, root: Root) -> None:
    """What was changed after apply stays, and grub.cfg is then made anew."""
    defaults = root.read("etc/default/grub")
    applied(account, root, "changed after", "--trial")
    root.write("etc/default/grub", defaults.replace('"quiet"', '"quiet later=1"'))
    done = root.doctor("undo")
    account.check(done.status == 0 and "made anew" in done.out, "undo after a change", done.out,
                  done.err)
    config = root.read(CFG)
    root.chroot("update-grub")
    account.check(config == root.read(CFG) and "later=1" in config and not root.left(),
                  "undo after a change makes another grub.cfg than update-grub")
    account.check("next_entry" not in root.read(ENV) if (root.path / ENV).exists() else True,
                  "a one-shot is left")
    root.write("etc/default/grub", defaults)
    root.chroot("update-grub")


def test_busy(account: Account, root: Root) -> None:
    before = root.state()
    state = root.path / "var/lib/nunchi/doctor"
    holder = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    done = root.doctor("undo")
    os.close(holder)
    account.check(done.status == 1 and "another nunchi doctor" in done.err, "two at once", done.err)
    same(account, root, before, "two at once")


def fill(root: Root) -> Path:
    """Takes all that the file system has left."""
    path = root.path / "root/full"
    with open(path, "wb") as handle:
        for step in (64 << 20, 1 << 20, 4096, 512):
            at = handle.tell()
            while True:
                try:
                    os.posix_fallocate(handle.fileno(), at, step)
                except OSError:
                    break
                at += step
            handle.seek(at)
    return path


def test_full_disk(account: Account, root: Root) -> None:
    """apply takes back what it began; undo frees what is ours first, and can be run again."""
    before = root.state()
    for words in (("apply",), ("apply", "--trial")):
        full = fill(root)
        fails(account, root, root.doctor(*words), before, f"{words} on a full disk", "No space")
        full.unlink()
    applied(account, root, "for a full disk", "--trial")
    # Longer than what undo frees.
    with open(root.path / CFG, "ab") as handle:
        handle.write(b"#" * 4096 + b"\n")
    full = fill(root)
    done = root.doctor("undo")
    account.check(done.status == 0 or (done.status == 1 and "\n  hint: " in done.err),
                  "undo on a full disk", done.err, str(done.status))
    account.check(not (root.path / OWN).exists(), "undo on a full disk leaves our entries")
    account.check(not (root.path / ENV).exists() or "next_entry" not in root.read(ENV),
                  "undo on a full disk leaves a one-shot")
    full.unlink()
    undo(account, root, before, "a full disk")


# ---- Ended in the middle -----------------------------------------------------------------------


def end_apply(root: Root, number: int, ripe: Callable[[str], bool], seconds: float) -> bool:
    """Sends the signal to an apply at a line it prints, or after so long; whether it met it."""
    with subprocess.Popen(root.command("apply", "--trial"), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        if seconds:
            time.sleep(seconds)
        else:
            for line in process.stdout:
                if ripe(line):
                    break
        met = process.poll() is None
        process.send_signal(number)
        process.stdout.read()
        process.wait(60)
    return met


def test_ended(account: Account, root: Root) -> None:
    """Killed at any moment, undo puts all back; asked to end, apply does so itself."""
    before = root.state()
    lines = ("# Boots by default now", "trial.sh: written", f"/{UNIT}: written",
             f"/{OWN}: written", f"/{CFG}: written", "the next boot, once")
    met = 0
    for text in lines:
        met += end_apply(root, signal.SIGKILL, lambda line, text=text: text in line, 0)
        undo(account, root, before, f"killed at {text!r}")
        end_apply(root, signal.SIGTERM, lambda line, text=text: text in line, 0)
        # Too late to be heard, it is whole.
        if root.left() and "applied" in root.left():
            undo(account, root, before, f"asked to end at {text!r}")
        else:
            same(account, root, before, f"asked to end at {text!r}")
    started = time.monotonic()
    applied(account, root, "timed", "--trial")
    whole = time.monotonic() - started
    undo(account, root, before, "timed")
    for i in range(1, 13):
        met += end_apply(root, signal.SIGKILL, lambda _line: False, whole * (0.4 + i / 20))
        undo(account, root, before, f"killed after {i / 20 + 0.4:.2f} of its time")
    account.check(met >= 6, f"only {met} kills met a running apply")


def test_undo_ended(account: Account, root: Root) -> None:
    before = root.state()
    for text in (f"/{CFG}: the saved one", f"/{OWN}: removed", f"/{UNIT}: removed"):
        applied(account, root, "for undo", "--trial")
        with subprocess.Popen(root.command("undo"), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            for line in process.stdout:
                if text in line:
                    break
            process.kill()
            process.wait(60)
        undo(account, root, before, f"an undo killed at {text!r}")


TESTS = (test_plan, test_apply, test_trial, test_environment, test_xen_by_default,
         test_saved_default, test_refusals, test_btrfs, test_no_xen, test_plan_by_nobody,
         test_korean, test_inputs_changed, test_busy, test_full_disk, test_ended, test_undo_ended)


def main() -> int:
    nunchi, disk, directory = (Path(word).resolve() for word in sys.argv[1:4])
    account = Account("root")
    try:
        root = Root(make_reachable(nunchi), mount_host(disk, directory))
        root.chroot("update-grub")
        for test in TESTS:
            with account.timed(test.__name__):
                test(account, root)
    except (LabError, OSError, subprocess.SubprocessError) as error:
        account.check(False, f"{type(error).__name__}: {error}")
    account.say(str(account.times))
    print(f"{account.passed} passed, {account.failed} failed")
    return 1 if account.failed else 0


if __name__ == "__main__":
    sys.exit(main())
