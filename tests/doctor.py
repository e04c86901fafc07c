#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""nunchi doctor as a user meets it: doctor.py NUNCHI. Stories and logs are in tests/doctor/; the
acceptance case is read from ../shared/facts, which a clone may lack."""
import bz2
import concurrent.futures
import errno
import functools
import gzip
import html
import io
import json
import lzma
import os
import pathlib
import quopri
import random
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOGS = ROOT / "tests" / "doctor"
ACCEPTANCE = ROOT.parent / "shared" / "facts" / "black-screen-log.md"
NUNCHI = ""
REMEDIES = ["undo", "blacklist", "no-igfx", "ssh", "trial"]
THEORY, BLACK_SCREEN = "S2", "S1"


def run(*args, **environment) -> subprocess.CompletedProcess:
    env = {**os.environ, "LC_ALL": "C", "LANGUAGE": "", **environment}
    return subprocess.run([NUNCHI, "doctor", *map(str, args)], capture_output=True, timeout=120,
                          env=env)


def can(feature: str) -> bool:
    """Whether nunchi was built with what reads logs (Hyperscan or PCRE2), or bundles (libarchive)."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "file"
        path.write_bytes(gzip.compress(b"") if feature == "libarchive" else b"")
        return f"built without {feature}".encode() not in run(path).stderr


def needs(feature: str):
    """For a test or a class of tests: it is skipped in a build without the feature."""
    def skipping(self) -> None:
        if not can(feature):
            self.skipTest(f"built without {feature}")

    def decorate(what):
        if isinstance(what, type):
            inherited = what.setUp

            def set_up(self) -> None:
                skipping(self)
                inherited(self)
            what.setUp = set_up
            return what

        @functools.wraps(what)
        def test(self) -> None:
            skipping(self)
            what(self)
        return test
    return decorate


def rows(*args) -> list[dict]:
    done = run("--json", *args)
    if done.returncode:
        raise AssertionError(done.stderr.decode())
    return [json.loads(line) for line in done.stdout.splitlines()]


def of_kind(items: list[dict], kind: str) -> list[dict]:
    return [item for item in items if item["kind"] == kind]


def verdict(items: list[dict]) -> str:
    return of_kind(items, "verdict")[0]["state"]


def findings(items: list[dict]) -> set[str]:
    return {item["id"] for item in of_kind(items, "finding")}


def effects(items: list[dict]) -> set[tuple[str, str, str]]:
    """(attempt, option, effect) of every change."""
    return {(item["id"], one, item["state"]) for item in of_kind(items, "change")
            for one in item["what"].split(", ")}


class BlackScreen(unittest.TestCase):
    def check(self, items: list[dict], remedies: list[str], undo: str) -> None:
        self.assertEqual(verdict(items), "no-screen")
        self.assertIn(BLACK_SCREEN, findings(items))
        steps = of_kind(items, "remedy")
        self.assertEqual([step["id"] for step in steps][:len(remedies)], remedies)
        self.assertIn(undo, steps[0]["text"])
        around = [step["id"] for step in of_kind(items, "way-round")]
        self.assertEqual(around[:3], ["headless", "nested", "lab"])

    def check_evidence(self, items: list[dict], path: pathlib.Path) -> None:
        """What is quoted stands where it says."""
        lines = path.read_text().splitlines()
        quoted = [item for item in items if item["quote"] and item["line"]]
        self.assertGreater(len(quoted), 10)
        for item in quoted:
            self.assertEqual(item["source"], str(path))
            # A command may go on over lines; what it writes stands in one of them.
            self.assertIn(item["quote"].rstrip(),
                          "\n".join(lines[max(item["line"] - 3, 0):item["line"]]))

    def test_acceptance(self) -> None:
        if not ACCEPTANCE.exists():
            self.skipTest("../shared/facts is not there")
        items = rows(ACCEPTANCE)
        self.check(items, REMEDIES, "2 – 6")
        self.assertIn(THEORY, findings(items))
        commands = {step["id"]: step["remedy"] for step in of_kind(items, "remedy")}
        self.assertIn("module_blacklist=xe,nouveau", commands["blacklist"])
        self.assertIn("XEN_REPLACE", commands["blacklist"])
        self.assertIn('GRUB_CMDLINE_XEN_DEFAULT="iommu=no-igfx"', commands["no-igfx"])
        self.assertNotIn("xe-force.conf", commands["undo"])  # attempt 5 removed it
        self.assertLessEqual({
            ("bios", "secure-boot=off", "useful"), ("bios", "vmd=off", "useful"),
            ("1", "blacklist nvidia", "none"), ("1", "nouveau.modeset=0", "none"),
            ("2", "WaylandEnable=false", "none"),
            ("3", "snd_intel_dspcfg.dsp_driver=1", "none"),
            ("4", "xe.force_probe=a788", "harmful"), ("4", "i915.force_probe=!a788", "harmful"),
            ("5", "i915.force_probe=a788", "none"), ("5", "i915.enable_psr=0", "none"),
            ("5", "intel_iommu=on,igfx_off", "wrong-line"),
            ("6", "acpi_backlight=native", "harmful"),
        }, effects(items))
        self.assertEqual({item["id"] for item in of_kind(items, "change")},
                         {"bios", "1", "2", "3", "4", "5", "6"})
        self.check_evidence(items, ACCEPTANCE)

    def test_reworded(self) -> None:
        """English, another order, other devices and files: the same verdict."""
        path = LOGS / "black-screen.txt"
        items = rows(path)
        self.check(items, REMEDIES, "attempts 2 – 3, 5 ")  # what 4 wrote was removed in 5
        self.assertIn(THEORY, findings(items))
        self.assertLessEqual({
            ("1", "blacklist nvidia", "none"), ("2", "WaylandEnable=false", "none"),
            ("2", "snd_intel_dspcfg.dsp_driver=1", "none"),
            ("3", "acpi_backlight=native", "harmful"),
            ("4", "xe.force_probe=46a6", "harmful"), ("4", "i915.force_probe=!46a6", "harmful"),
            ("5", "intel_iommu=on,igfx_off", "wrong-line"),
            ("5", "i915.force_probe=46a6", "none"),
        }, effects(items))
        self.check_evidence(items, path)

    def test_korean(self) -> None:
        items = rows(LOGS / "black-screen-ko.txt")
        self.check(items, REMEDIES, "1 – 2")
        self.assertIn(THEORY, findings(items))
        self.assertIn(("2", "xe.force_probe=9a49", "harmful"), effects(items))

    def test_by_reboots(self) -> None:
        """Without headings attempts are told apart by the boots; no NVIDIA card, no nouveau."""
        items = rows(LOGS / "black-screen-by-reboots.txt")
        self.check(items, REMEDIES, "attempts 2 ")
        self.assertNotIn(THEORY, findings(items))
        self.assertEqual(effects(items), {("1", "xe.force_probe=4680", "harmful"),
                                          ("2", "i915.enable_psr=0", "none")})
        self.assertIn('"module_blacklist=xe"', of_kind(items, "remedy")[1]["remedy"])

    @needs("Hyperscan and PCRE2")
    def test_kernel_log_alone(self) -> None:
        items = rows(LOGS / "black-screen-kernel.log")
        self.assertEqual(verdict(items), "no-screen")
        self.assertLessEqual({BLACK_SCREEN, "R27", "R24"}, findings(items))

    @needs("Hyperscan and PCRE2")
    def test_kernel_log_without_times(self) -> None:
        """As dmesg -t, journalctl -o cat and syslog print it."""
        text = (LOGS / "black-screen-kernel.log").read_text()
        native = re.sub(r"(?m)^\[.*?\] ", "", text)
        for start in ("", "Nov 22 10:00:00 host kernel: ", "kern  :info  : "):
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / "kernel.log"
                path.write_text(re.sub(r"(?m)^(?=.)", start, native))
                items = rows(path)
            self.assertEqual(verdict(items), "no-screen", start)
            self.assertLessEqual({BLACK_SCREEN, "R27", "R24"}, findings(items), start)

    def test_same_log_without_xen(self) -> None:
        """The same failure natively is none of Xen's."""
        text = (LOGS / "black-screen-kernel.log").read_text()
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "native.log"
            path.write_text(text.replace(" on Xen", " on bare hardware").replace("Xen version", ""))
            items = rows(path)
        self.assertEqual(verdict(items), "unknown")
        self.assertNotIn(BLACK_SCREEN, findings(items))


class Languages(unittest.TestCase):
    """The texts of the build that the program is of."""

    def setUp(self) -> None:
        self.texts = pathlib.Path(NUNCHI).parent / "po"
        if not (self.texts / "ko" / "LC_MESSAGES" / "nunchi.mo").exists():
            self.skipTest("built without texts in other languages")

    def first_line(self, **environment) -> str:
        done = run(LOGS / "black-screen-ko.txt", TEXTDOMAINDIR=str(self.texts), **environment)
        return done.stdout.decode().splitlines()[0]

    def test_korean(self) -> None:
        for environment in ({"LC_ALL": "ko_KR.UTF-8"}, {"LC_ALL": "", "LANG": "ko_KR.UTF-8"},
                            {"LC_ALL": "C.UTF-8", "LANGUAGE": "ko"}):
            self.assertEqual(self.first_line(**environment), "판정: 화면 없이 준비됨", environment)

    def test_english(self) -> None:
        for environment in ({"LC_ALL": "C"}, {"LC_ALL": "en_US.UTF-8"}, {"LC_ALL": "xx_YY"},
                            {"LC_ALL": "C", "LANGUAGE": "ko"}):
            self.assertEqual(self.first_line(**environment), "Verdict: ready without a screen")

    @needs("Hyperscan and PCRE2")
    def test_names_stay(self) -> None:
        """What programs read is the same in every language, and so are numbers."""
        done = run("--json", LOGS / "vtx-off.log", LC_ALL="ko_KR.UTF-8",
                   TEXTDOMAINDIR=str(self.texts))
        items = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(verdict(items), "not-ready")
        self.assertEqual(of_kind(items, "verdict")[0]["text"], "펌웨어에서 VT-x가 꺼져 있습니다")

    def test_change(self) -> None:
        """So are plan, apply, undo and stay, and their errors."""
        ko = {"LC_ALL": "ko_KR.UTF-8", "TEXTDOMAINDIR": str(self.texts)}
        with tempfile.TemporaryDirectory() as folder:
            done = run("--root", folder, "plan", **ko)
        self.assertIn("/boot/grub/grub.cfg 파일이 없습니다: 이 시스템은", done.stderr.decode())
        self.assertIn("다른 부트로더라면", done.stderr.decode())
        done = run("stay", **ko)
        self.assertIn("root만 바꿀 수 있습니다" if os.geteuid() else "진행 중인 시험 부팅이 없습니다",
                      done.stderr.decode())

    def test_width(self) -> None:
        done = run(LOGS / "black-screen.txt", LC_ALL="ko_KR.UTF-8", TEXTDOMAINDIR=str(self.texts))
        for line in done.stdout.decode().splitlines():
            if not re.match(r" +(sudo|GRUB|dom0:|make|tests|.*/)", line) and "black-screen" not in line:
                width = sum(2 if "\u3000" <= c <= "\udfff" else 1 for c in line)
                self.assertLessEqual(width, 100, line)

    def test_every_text_is_translated(self) -> None:
        if not shutil.which("xgettext"):
            self.skipTest("no xgettext")
        names = (ROOT / "po" / "POTFILES.in").read_text().split()
        done = subprocess.run(["xgettext", "--language=C", "--from-code=UTF-8", "-k_", "-kN_",
                               "--omit-header", "-o", "-", *names], cwd=ROOT, capture_output=True)
        wanted = self.texts_of(done.stdout.decode())
        translated = self.texts_of((ROOT / "po" / "ko.po").read_text())
        self.assertGreater(len(wanted), 200)
        self.assertFalse([text for text in wanted if not translated.get(text)])

    def texts_of(self, po: str) -> dict[str, str]:
        joined = re.sub(r'"\n"', "", po)
        return dict(re.findall(r'^msgid "(.+)"\nmsgstr "(.*)"$', joined, re.M))


class Page(unittest.TestCase):
    """What people read: the order, the width, what --brief and --explain change."""

    def page(self, *args, **environment) -> str:
        return run(*args, **environment).stdout.decode()

    def test_order(self) -> None:
        text = self.page(LOGS / "black-screen.txt")
        places = [text.index(part) for part in ("Verdict: ready without a screen", "What to do next",
                                                "  1. undo", "\nWhy\n", "What each change did")]
        self.assertEqual(places, sorted(places))
        self.assertNotIn(str(LOGS), text)  # one file is named without its folder
        self.assertIn("    black-screen.txt:", text)

    def test_width(self) -> None:
        for name in ("black-screen.txt", "black-screen-ko.txt", "black-screen-kernel.log",
                     "vtx-off.log"):
            for language in ({}, {"LC_ALL": "ko_KR.UTF-8"}):
                for line in self.page(LOGS / name, **language).splitlines():
                    width = sum(2 if "\u3000" <= c <= "\udfff" else 1 for c in line)
                    # A command without a place where a shell lets it be broken stays whole.
                    if not re.match(r" {4,}(GRUB_|# )", line):
                        self.assertLessEqual(width, 80, line)

    def test_terms_once(self) -> None:
        text = re.sub(r"\s+", " ", self.page(LOGS / "black-screen.txt"))
        self.assertEqual(text.count("dom0: the Linux that Xen starts first, and that runs the machine"), 1)
        self.assertLess(text.index("dom0: the Linux"), text.index("What to do next"))

    def test_brief(self) -> None:
        for name in sorted(path.name for path in LOGS.glob("*.txt")) + ["vtx-off.log"]:
            lines = self.page("--brief", LOGS / name).splitlines()
            self.assertLessEqual(len(lines), 10, name)
            self.assertTrue(lines[0].startswith("Verdict: "))

    def test_explain(self) -> None:
        short, long = (self.page(*option, LOGS / "black-screen.txt") for option in ([], ["--explain"]))
        self.assertIn("can never work", long)  # the end of a long line that is quoted
        self.assertNotIn("can never work", short)
        done = run("--brief", "--explain", LOGS / "vtx-off.log")
        self.assertEqual(done.returncode, 2)

    def test_commands_can_be_copied(self) -> None:
        """A long command is broken only where a shell goes on in the next line."""
        text = self.page(LOGS / "black-screen.txt")
        [command] = re.findall(r"^       (sudo nano .*(?:&&|\\)\n(?:       .*\n)+)", text, re.M)
        joined = re.sub(r"\\\n +|\n +", " ", command).strip()
        [step] = [item for item in rows(LOGS / "black-screen.txt") if item["id"] == "undo"]
        self.assertTrue(joined.startswith(step["remedy"]), joined)
        self.assertFalse(subprocess.run(["sh", "-n"], input=command.encode()).returncode)


class Healthy(unittest.TestCase):
    @needs("Hyperscan and PCRE2")
    def test_same_words(self) -> None:
        items = rows(LOGS / "healthy-same-words.txt")
        self.assertEqual(verdict(items), "ready")
        self.assertEqual({item["state"] for item in of_kind(items, "finding")}, {"note"})
        self.assertFalse(of_kind(items, "remedy"))

    @needs("Hyperscan and PCRE2")
    def test_three_lines(self) -> None:
        for name in ("healthy-xen.log", "healthy-same-words.txt"):
            lines = run(LOGS / name).stdout.decode().splitlines()
            self.assertLessEqual(len(lines), 3, lines)
            self.assertEqual(lines[0], "Verdict: ready")

    @needs("Hyperscan and PCRE2")
    def test_bare_log_is_no_story(self) -> None:
        """What a kernel says of screens and failures is not what a person says of them."""
        text = ("Linux version 6.1.0-25-amd64 (build@host) (gcc-12) #1 SMP\n"
                "Booting kernel on Xen\n"
                "Console: switching to colour dummy device\n"
                "vga16fb: display failed, no picture, black screen\n"
                "systemd[1]: Reboot failed\n")
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "kernel.log"
            path.write_text(text)
            items = rows(path)
            self.assertEqual(verdict(items), "unknown")
            self.assertEqual({item["state"] for item in of_kind(items, "finding")}, {"note"})
            path.write_text("\n".join(["$ sudo dmesg -t", *text.splitlines(), "",
                                       "The screen stays black under Xen."]))
            self.assertEqual(verdict(rows(path)), "no-screen")

    @needs("Hyperscan and PCRE2")
    def test_blocker(self) -> None:
        items = rows(LOGS / "vtx-off.log")
        self.assertEqual(verdict(items), "not-ready")
        self.assertEqual(of_kind(items, "finding")[0]["id"], "R33")
        self.assertEqual(of_kind(items, "finding")[0]["line"], 2)


KINDS = json.loads((LOGS / "kinds.json").read_text())


def of_each(what, items: list) -> zip:
    """The items, each with what the function gives for it; as many at a time as there are CPUs."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return zip(items, list(pool.map(what, items)))


def look(text: str) -> list[dict]:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "text.txt"
        path.write_text(text)
        return rows(path)


def told(content: bytes) -> tuple:
    """The verdict and the findings."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "text"
        path.write_bytes(content)
        items = rows(path)
    return verdict(items), {(item["id"], item["state"]) for item in of_kind(items, "finding")}


@functools.cache
def told_plainly(text: str) -> tuple:
    return told(text.encode())


def look_at_kind(kind: dict) -> list[dict]:
    return look("\n".join(kind["text"]) + "\n")


@needs("Hyperscan and PCRE2")
class Kinds(unittest.TestCase):
    """tests/doctor/kinds.json: small texts as strangers bring them, each with a verdict."""

    def test_each(self) -> None:
        for kind, items in of_each(look_at_kind, KINDS):
            with self.subTest(kind["name"]):
                self.assertEqual(verdict(items), kind["verdict"])
                weights = {item["id"]: item["state"] for item in of_kind(items, "finding")}
                for rule, weight in kind.get("findings", {}).items():
                    self.assertEqual(weights.get(rule), weight, rule)
                said = json.dumps(items, ensure_ascii=False)
                for text in kind.get("says", []):
                    self.assertIn(text, said)
                for text in kind.get("says_not", []):
                    self.assertNotIn(text, said)

    def test_unknown_ends_in_commands(self) -> None:
        for kind, items in of_each(look_at_kind, KINDS):
            commands = [item["remedy"] for item in of_kind(items, "find-out")]
            expected = (2, 3) if kind["verdict"] == "unknown" else (0,)
            self.assertIn(len(commands), expected, kind["name"])
            self.assertTrue(all(commands), kind["name"])

    def test_prose_makes_nothing_ready(self) -> None:
        for text in ("It works.", "Everything works fine now, solved.", "성공! 화면이 잘 나옴. 해결됨",
                     "Xen boots fine and the desktop appears", "정상입니다", "works now. fixed"):
            self.assertEqual(verdict(look(text)), "unknown", text)

    def test_whole_configuration(self) -> None:
        """A robot's mail with a whole kernel configuration says nothing of this host's kernel."""
        mail = "Hi, the robot noticed a warning in Xen's code on your branch.\n\n"
        off = "# CONFIG_XEN_DOM0 is not set\n"
        whole = "".join(f"CONFIG_OPTION_{i}={'ymn'[i % 2]}\n# CONFIG_OTHER_{i} is not set\n"
                        for i in range(200))
        self.assertEqual(verdict(look(mail + off)), "not-ready")
        self.assertEqual(verdict(look(mail + whole + off)), "unknown")
        self.assertEqual(verdict(look(mail + off + whole)), "unknown")

    def test_topics(self) -> None:
        """What is asked for is what the trouble is about, before what one speaks of."""
        def asked(text: str) -> list[str]:
            return [item["id"] for item in of_kind(look(text), "find-out")]
        xen = "I installed Xen on Debian. "
        self.assertEqual(asked(xen + "The wifi is broken.\n"), ["network", "xl-info", "xl-dmesg"])
        self.assertEqual(asked(xen + "Suspend fails.\nI like my keyboard.\n")[0], "suspend")
        self.assertEqual(asked(xen + "It has a fast ssd.\n")[0], "disk")
        self.assertEqual(asked("My laptop freezes.\n"), ["crash-log", "kvm", "hypervisor"])
        self.assertEqual(asked(xen), ["xl-info", "xl-dmesg", "kernel-log"])
        self.assertEqual(asked("WSL2 crashes.\n")[0], "windows")
        self.assertNotIn("windows", asked("The newsletter crashes.\n"))
        self.assertEqual(asked("The installer of Qubes fails.\n")[0], "boot-console")
        self.assertEqual(asked(xen + "Since then the boot fails.\n")[0], "boot-console")
        self.assertNotIn("boot-console", asked("My virtual machine does not boot.\n"))
        self.assertNotIn("boot-console", asked("I boot from a disk.\nThe wifi is broken.\n"))
        self.assertEqual(asked("The bridge is broken.\nI use cpu mode='host-passthrough'.\n")[0], "network")
        self.assertEqual(asked("A vm freezes with a device passed through.\n")[0], "passthrough")

        self.assertEqual(asked("No internet in my vm\n")[0], "guest-log")
        self.assertEqual(asked("My XCP-ng is fine.\nThe tasks hang.\n")[0], "xapi-log")
        self.assertEqual(asked("A macOS guest stops at the apple logo.\n")[0], "macos-guest")
        self.assertEqual(asked("Docker Desktop fails.\n")[0], "windows")
        self.assertEqual(asked("vmi_init fails on my guest\n")[0], "libvmi")
        self.assertEqual(asked(xen + "It is dead after I close the lid.\nThe lid close kills it\n")[0], "suspend")

    def test_managers(self) -> None:
        """Programs that start guests keep their logs elsewhere than libvirt."""
        for name, topic in (("Incus", "incus-log"), ("LXD", "incus-log"), ("Proxmox", "proxmox-log"),
                            ("KubeVirt", "kubevirt-log"), ("Multipass", "multipass-log"),
                            ("OpenStack", "nova-log"), ("CloudStack", "cloud-log"), ("Kata Containers", "kata-log"), ("Minikube", "minikube-log")):
            items = look(f"I have {name} on my server.\nA VM does not start.\n")
            asked = [item["id"] for item in of_kind(items, "find-out")]
            self.assertEqual(asked[0], topic)
            self.assertNotIn("guest-log", asked)

    def test_trouble_is_not_ready(self) -> None:
        """A log that shows nothing wrong, from somebody who has trouble all the same."""
        log = "(XEN) [    1.200000] HVM: VMX enabled\n"
        self.assertEqual(verdict(look(log)), "ready")
        self.assertEqual(verdict(look(log + "\nThe login screen works.\n")), "ready")
        for text in ("My guests crash after a minute.", "그런데 게스트가 자꾸 멈춥니다.",
                     "It is not working.", "Die Gäste funktionieren nicht."):
            self.assertEqual(verdict(look(log + "\n" + text + "\n")), "unknown", text)
        for text in ("My guest does not start", "A lock prevents the guest from booting."):
            self.assertEqual(verdict(look(log + "\n" + text + "\n")), "unknown", text)
        for text in ("Not starting NFS kernel daemon: no exports.", "This prevents flicker."):
            self.assertEqual(verdict(look(log + "\n" + text + "\n")), "ready", text)


@needs("Hyperscan and PCRE2")
class Forms(unittest.TestCase):
    """The same text in other forms: the same verdict and findings."""

    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name) / "text"

    def tearDown(self) -> None:
        self.folder.cleanup()

    def check(self, form, step: int = 4) -> None:
        def both(kind: dict) -> tuple:
            text = "\n".join(kind["text"]) + "\n"
            return told(form(text)), told_plainly(text)

        for kind, (formed, plain) in of_each(both, KINDS[::step]):
            self.assertEqual(formed, plain, kind["name"])

    def test_encodings(self) -> None:
        for encoding in ("utf-16", "utf-16-le", "utf-8-sig"):
            with self.subTest(encoding):
                self.check(lambda text: text.encode(encoding))
        self.check(lambda text: b"\xfe\xff" + text.encode("utf-16-be"))

    @needs("libarchive")
    def test_packed(self) -> None:
        for pack in (gzip.compress, bz2.compress, lzma.compress):
            with self.subTest(pack.__module__):
                self.check(lambda text: pack(text.encode()))
        zstd = shutil.which("zstd")
        if zstd:
            self.check(lambda text: subprocess.run([zstd, "-c"], input=text.encode(), check=True,
                                                   stdout=subprocess.PIPE).stdout)

    def test_not_unpacked(self) -> None:
        for magic, name in ((b"PK\3\4", "zip"), (b"7z\xbc\xaf", "7z"), (b"\x89PNG", "PNG")):
            self.path.write_bytes(magic + bytes(100))
            done = run(self.path)
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"is no text but {name}".encode(), done.stderr)
        self.path.write_bytes(bytes(range(256)) * 64)
        self.assertIn(b"is no text of a kind that is known", run(self.path).stderr)

    def test_pipe(self) -> None:
        def piped(kind: dict) -> subprocess.CompletedProcess:
            return subprocess.run([NUNCHI, "doctor", "--json", "-"], timeout=60,
                                  input="\n".join(kind["text"]).encode(),
                                  capture_output=True, env={**os.environ, "LC_ALL": "C"})

        for kind, done in of_each(piped, KINDS):
            items = [json.loads(line) for line in done.stdout.splitlines()]
            self.assertEqual(verdict(items), kind["verdict"], kind["name"])
        self.assertIn("standard input", {item["source"] for item in items})

    def test_pipe_that_never_ends(self) -> None:
        process = subprocess.Popen([NUNCHI, "doctor", "-"], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        try:
            self.assertNotEqual(process.wait(timeout=10), 0)
        finally:
            process.kill()
            process.communicate()

    def test_mail(self) -> None:
        def quote(text: str) -> str:
            return re.sub(r"(?m)^(?=.)", "> ", text)
        self.check(lambda text: quote(text).encode())
        self.check(lambda text: quote(quote(text)).encode())
        self.check(lambda text: text.replace("\n", "\r\n").encode())
        self.check(lambda text: b"Content-Transfer-Encoding: quoted-printable\n\n" +
                   quopri.encodestring(text.encode()))

    def test_page(self) -> None:
        self.check(lambda text: ("<!doctype html>\n<html><body><pre>\n" + html.escape(text) +
                                 "</pre></body></html>").encode())
        self.check(lambda text: ("<html><div>" + "".join(f"<p><code>{html.escape(line)}</code></p>"
                                 for line in text.splitlines()) + "</div></html>").encode())
        self.check(lambda text: ("# Report\n\n```\n" + text + "```\n").encode())

    def test_numbered(self) -> None:
        def number(text: str) -> str:
            return "".join(f"{i:4}: {line}\n" if re.match(r"\[ |\(XEN\)", line) else f"{line}\n"
                           for i, line in enumerate(text.splitlines(), 1))
        self.check(lambda text: number(text).encode())

    def test_wrapped(self) -> None:
        """A mailer breaks a long line; numbers of the lines behind it stay."""
        before = "Oct 11 22:32:14 dom0 kernel: "
        message = "i915 0000:00:02.0: [drm] *ERROR* Device initialization failed (-5)"
        lines = [before + "Booting kernel on Xen", *textwrap.wrap(before + message, 76),
                 before + "ACPI: RMAD 0x000000007A5E2000 000088"]
        self.assertEqual(len(lines), 4)
        self.path.write_text("\n".join(lines) + "\n")
        found = {item["id"]: item["line"] for item in of_kind(rows(self.path), "finding")}
        self.assertEqual((found["R7"], found["R24"]), (2, 4))
        # What begins anew, or stands behind a short line, is no rest of it.
        for second in (before + "initialization failed (-5)", "", "$ initialization failed (-5)"):
            self.path.write_text("\n".join([lines[0], lines[1], second]) + "\n")
            self.assertNotIn("R7", findings(rows(self.path)))

    def test_journal(self) -> None:
        message = "x86/cpu: VMX (outside TXT) disabled by BIOS"
        entry = {"_TRANSPORT": "kernel", "MESSAGE": message}
        as_bytes = {"_TRANSPORT": "kernel", "MESSAGE": list(message.encode())}
        for text in (json.dumps(entry, separators=(",", ":")), json.dumps(entry, indent="\t"),
                     json.dumps(as_bytes, separators=(",", ":")), f"MESSAGE={message}",
                     json.dumps(entry, indent="\t", separators=(",", " : ")),
                     json.dumps(as_bytes, indent="\t", separators=(",", " : ")),
                     json.dumps({"MESSAGE": [104, 105]}, indent=2) + "\n" +
                     json.dumps(as_bytes, indent=2)):
            self.assertEqual(told(text.encode())[0], "not-ready", text)


class AnyInput(unittest.TestCase):
    def check(self, content: bytes, expected: str = "unknown") -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "input"
            path.write_bytes(content)
            self.assertEqual(verdict(rows(path)), expected)

    def test_empty(self) -> None:
        self.check(b"")

    def test_bytes(self) -> None:
        self.check(bytes(range(256)) * 4096)
        self.check(b"\0" * (3 << 20))
        self.check(b"\xff\xfe\n" * 100000)
        self.check(os.urandom(4 << 20))

    def test_random_tells_nothing(self) -> None:
        """Bytes that happen to look like words are nobody's changes."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "input"
            for seed in range(2):
                path.write_bytes(random.Random(seed).randbytes(8 << 20))
                self.assertEqual({item["kind"] for item in rows(path)}, {"verdict", "find-out"},
                                 seed)

    @needs("Hyperscan and PCRE2")
    def test_long_line_hides_nothing(self) -> None:
        self.check(b"x" * (5 << 20) + b"\n(XEN) CPU0: VMX disabled by BIOS.\n", "not-ready")

    def test_not_there(self) -> None:
        done = run("/nonexistent/log")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"/nonexistent/log", done.stderr)


class Without(unittest.TestCase):
    """What a build without Hyperscan and PCRE2, or without libarchive, says instead."""

    def test_logs(self) -> None:
        if can("Hyperscan and PCRE2"):
            self.skipTest("built with what reads logs")
        for name in ("vtx-off.log", "healthy-xen.log", "black-screen-kernel.log"):
            done = run("--json", LOGS / name)
            self.assertEqual(done.returncode, 0)
            self.assertIn(b"logs are not looked at: nunchi was built without Hyperscan and PCRE2",
                          done.stderr)
            items = [json.loads(line) for line in done.stdout.splitlines()]
            self.assertEqual(verdict(items), "unknown", name)
            self.assertFalse(findings(items))
        self.assertEqual(verdict(rows(LOGS / "black-screen.txt")), "no-screen")

    def test_bundles(self) -> None:
        if can("libarchive"):
            self.skipTest("built with libarchive")
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "bundle.tar.gz"
            done = run("--collect", path)
            self.assertEqual((done.returncode, list(path.parent.iterdir())), (1, []))
            self.assertIn(b"built without libarchive", done.stderr)
            path.write_bytes(gzip.compress(b"x"))
            self.assertEqual(run(path).returncode, 1)
            root = path.parent / "root"
            for name, text in {"boot/initrd.img-6.1": "x", "lib/modules/6.1/x": "x"}.items():
                (root / name).parent.mkdir(parents=True)
                (root / name).write_text(text)
            [fact] = [item for item in of_kind(rows("--all", "--root", root), "fact")
                      if item["id"] == "boot.initramfs-modules"]
            self.assertEqual((fact["state"], fact["text"]),
                             ("unknown", "nunchi was built without what reads it"))


class Hidden(unittest.TestCase):
    """What it says where a library is not installed: first comes a file of its name that is none."""

    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)

    def tearDown(self) -> None:
        self.folder.cleanup()

    def run_without(self, sonames: str, *args) -> subprocess.CompletedProcess:
        (self.path / "hidden").mkdir(exist_ok=True)
        for soname in sonames.split():
            (self.path / "hidden" / soname).touch()
        return run(*args, LD_LIBRARY_PATH=str(self.path / "hidden"))

    @needs("Hyperscan and PCRE2")
    def test_logs(self) -> None:
        for name, expected in (("vtx-off.log", "unknown"), ("black-screen.txt", "no-screen")):
            done = self.run_without("libhs.so.5 libpcre2-8.so.0", "--json", LOGS / name)
            self.assertEqual(done.returncode, 0)
            self.assertRegex(done.stderr, rb"logs are not looked at: lib(hs|pcre2-8).so.\d cannot be "
                             rb"loaded \(.*\); it is needed for reading logs; "
                             rb"install lib(hyperscan5|pcre2-8-0) \(Debian, Ubuntu\) or ")
            items = [json.loads(line) for line in done.stdout.splitlines()]
            self.assertEqual(verdict(items), expected, name)

    @needs("Hyperscan and PCRE2")
    def test_engines(self) -> None:
        """Where one of the two that read logs is not installed, the other finds the same."""
        for name in ("vtx-off.log", "healthy-xen.log", "black-screen-kernel.log",
                     "black-screen.txt", "black-screen-ko.txt"):
            outputs = {run("--all", "--json", LOGS / name).stdout}
            for soname in ("libhs.so.5", "libpcre2-8.so.0"):
                done = self.run_without(soname, "--all", "--json", LOGS / name)
                (self.path / "hidden" / soname).unlink()
                if b"logs are not looked at" not in done.stderr:
                    outputs.add(done.stdout)
            self.assertEqual(len(outputs), 1, name)

    @needs("libarchive")
    def test_bundles(self) -> None:
        bundle = self.path / "bundle.tar.gz"
        done = self.run_without("libarchive.so.13", "--collect", bundle)
        self.assertEqual((done.returncode, list(self.path.glob("bundle*"))), (1, []))
        for text in (b"libarchive.so.13 cannot be loaded (",
                     b"); it is needed for bundles, compressed initramfs and saved guests\n",
                     b"hint: install libarchive13 (Debian, Ubuntu) or libarchive (Fedora)\n"):
            self.assertIn(text, done.stderr)
        bundle.write_bytes(gzip.compress(b"x"))
        done = self.run_without("libarchive.so.13", bundle)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"libarchive.so.13 cannot be loaded", done.stderr)

    @needs("libarchive")
    def test_initramfs(self) -> None:
        root = self.path / "root"
        for name, data in {"boot/initrd.img-6.1": gzip.compress(b"x"),
                           "lib/modules/6.1/x": b""}.items():
            (root / name).parent.mkdir(parents=True)
            (root / name).write_bytes(data)
        done = self.run_without("libarchive.so.13", "--json", "--all", "--root", root)
        items = [json.loads(line) for line in done.stdout.splitlines()]
        [fact] = [item for item in of_kind(items, "fact") if item["id"] == "boot.initramfs-modules"]
        self.assertEqual((fact["state"], fact["text"]),
                         ("unknown", "what unpacks it is not installed: "
                                     "libarchive13 (Debian, Ubuntu) or libarchive (Fedora)"))


class Host(unittest.TestCase):
    def test_here(self) -> None:
        """This machine: whatever it is, the verdict goes with its facts."""
        items = rows("--all")
        facts = {item["id"]: item["text"] for item in of_kind(items, "fact")
                 if item["state"] == "known"}
        hypervisor = facts.get("host.hypervisor")
        if hypervisor not in ("none", "vm"):
            self.skipTest(f"this host is {hypervisor}")
        expected = "ready" if facts["qemu.installed"] == "yes" else "not-ready"
        self.assertEqual(verdict(items), expected)
        usable = os.access("/dev/kvm", os.R_OK | os.W_OK)
        self.assertEqual(facts["kvm.device"] == "usable", usable)
        memory = int(pathlib.Path("/proc/meminfo").read_text().split()[1])
        self.assertEqual(int(facts["memory.kb"]), memory)
        self.assertEqual(facts["kernel.release"], os.uname().release)

    POINTER = b"  `nunchi doctor` says what this host lacks\n"

    def attach(self, target: str, **how) -> bytes:
        done = subprocess.run([NUNCHI, "ps", target], capture_output=True, timeout=60,
                              env={**os.environ, "LC_ALL": "C"}, **how)
        self.assertEqual(done.returncode, 1)
        return done.stderr

    def test_pointer(self) -> None:
        """An attach that fails for the host's reasons points here, and no other does."""
        self.assertFalse(self.attach("/nonexistent/dump").endswith(self.POINTER))
        if not pathlib.Path("/proc/xen/capabilities").exists():
            self.assertTrue(self.attach("xen:5").endswith(self.POINTER))

    def test_pointer_where_not_permitted(self) -> None:
        qemu = shutil.which("qemu-system-x86_64")
        if os.geteuid() or not qemu:
            self.skipTest("needs root and QEMU")
        try:
            subprocess.run([NUNCHI, "version"], user=65534, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            self.skipTest("nobody cannot reach the build")
        guest = subprocess.Popen([qemu, "-S", "-display", "none", "-nodefaults", "-machine",
                                  "q35,accel=tcg", "-m", "16", "-monitor", "stdio"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            guest.stdout.readline()
            said = self.attach(f"qemu:{guest.pid}", user=65534)
        finally:
            guest.kill()
            guest.communicate()
        self.assertIn(b"may not be read by this user", said)
        self.assertTrue(said.endswith(self.POINTER), said)

    def test_every_fact_has_a_source(self) -> None:
        for item in of_kind(rows("--all"), "fact"):
            self.assertTrue(item["source"], item)
            self.assertIn(item["state"], ("known", "unknown"))


DOM0 = {
    "file/sys/hypervisor/type": "xen\n",
    "file/proc/xen/capabilities": "control_d\n",
    "file/proc/cpuinfo": "vendor_id\t: GenuineIntel\nflags\t\t: fpu hypervisor\n",
    "file/proc/meminfo": "MemTotal:        4043776 kB\n",
    "file/proc/cmdline": "root=/dev/sda2 ro\n",
    "file/etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    "list/boot": "config-6.1.0-25-amd64\nxen-4.17-amd64.gz\n",
    "list/dev/xen": "evtchn\ngntdev\nprivcmd\nxenbus\n",
    "list/run": "xenstored.pid\n",
    "list/run/xen": "xenconsoled.pid\n",
    "command/xl info": "virt_caps              : pv hvm hap shadow\nfree_memory            : 2048\n"
                       "xen_version            : 4.17.3\n"
                       "xen_commandline        : dom0_mem=2G altp2m=1\n",
    "command/xl dmesg": "(XEN) HVM: VMX enabled\n",
    "command/xl list": "Name                                        ID   Mem VCPUs\tState\tTime(s)\n"
                       "Domain-0                                     0  4096     4     r-----   11.0\n"
                       "good                                         1   512     1     -b----    1.0\n",
}
LAPTOP = {
    "list/sys/bus/pci/devices": "0000:00:02.0\n0000:01:00.0\n",
    "file/sys/bus/pci/devices/0000:00:02.0/class": "0x030000\n",
    "file/sys/bus/pci/devices/0000:00:02.0/vendor": "0x8086\n",
    "file/sys/bus/pci/devices/0000:00:02.0/device": "0xa788\n",
    "link/sys/bus/pci/devices/0000:00:02.0/driver": "../../bus/pci/drivers/i915",
    "file/sys/bus/pci/devices/0000:01:00.0/class": "0x030000\n",
    "file/sys/bus/pci/devices/0000:01:00.0/vendor": "0x10de\n",
    "file/sys/bus/pci/devices/0000:01:00.0/device": "0x28e0\n",
}


def xl_list_fails(errnum: int) -> dict[str, str | None]:
    return {"command/xl list": None, "absent/command/xl list.txt": f"{errnum}\n"}


def bundle_of(path: pathlib.Path, members: dict[str, str | bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in {"nunchi-bundle": "1\n", **members}.items():
            data = content if isinstance(content, bytes) else content.encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


@needs("libarchive")
class Bundles(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name) / "bundle.tar.gz"

    def tearDown(self) -> None:
        self.folder.cleanup()

    def look(self, *parts: dict) -> list[dict]:
        members: dict = {}
        for part in parts:
            members.update(part)
        bundle_of(self.path, {name: text for name, text in members.items() if text is not None})
        return rows(self.path)

    def check_fires(self, rule: str, with_it: dict, without: dict) -> None:
        self.assertIn(rule, findings(self.look(DOM0, with_it)))
        self.assertNotIn(rule, findings(self.look(DOM0, without)))

    def states(self, items: list[dict]) -> dict[str, str]:
        return {item["id"]: item["state"] for item in of_kind(items, "check")}

    def test_dom0(self) -> None:
        items = self.look(DOM0)
        self.assertEqual(verdict(items), "ready")
        states = self.states(items)
        for need in ("dom0", "hvm", "hap", "altp2m", "dom0_mem", "privcmd", "evtchn", "xenstored"):
            self.assertEqual(states[need], "ok", need)
        self.assertEqual(states["kernel"], "unknown")

    def test_dom0_lacks(self) -> None:
        for members, need in (
                ({"list/dev/xen": "gntdev\nprivcmd\nxenbus\n"}, "evtchn"),
                ({"list/run": "xen\n", "command/xl list": None}, "xenstored"),
                (xl_list_fails(errno.ETIMEDOUT), "xenstored"),
                ({**xl_list_fails(errno.EIO), "probe/open-privcmd": "usable\n"}, "xenstored"),
                ({"command/xl info": "virt_caps : pv\nxen_commandline : \n"}, "hvm")):
            items = self.look(DOM0, members)
            self.assertEqual(verdict(items), "not-ready", need)
            self.assertEqual(self.states(items)[need], "missing")
            [step] = [item for item in of_kind(items, "check") if item["id"] == need]
            self.assertTrue(step["remedy"])

    def test_dom0_has(self) -> None:
        """In another place or form than usual."""
        for members, needs_ok in (
                ({"list/dev/xen": "evtchn\ngntdev\n", "list/proc/xen": "privcmd\nxenbus\n"},
                 ("privcmd", "xenbus")),
                ({"list/run": "xen\n"}, ("xenstored",)),
                # Who may not make hypercalls learns nothing from xl, and looks at the files.
                (xl_list_fails(errno.EIO), ("xenstored",))):
            items = self.look(DOM0, members)
            self.assertEqual(verdict(items), "ready")
            for need in needs_ok:
                self.assertEqual(self.states(items)[need], "ok")

    def test_without_xenfs(self) -> None:
        """What Xen tells the kernel says which domain this is."""
        lacking = {name: text for name, text in DOM0.items() if "capabilities" not in name}
        for features, role in (("00002f05\n", "ok"), ("00002705\n", "missing"), ("", "missing")):
            items = self.look(lacking, {"file/sys/hypervisor/properties/features": features})
            self.assertEqual(self.states(items)["dom0"], role, features)

    def test_kernel_config(self) -> None:
        path = "file/boot/config-6.1.0-25-amd64"
        needed = ("XEN_DOM0 XEN_PV XEN_PRIVCMD XENFS XEN_DEV_EVTCHN XEN_GNTDEV XEN_BACKEND "
                  "XEN_SYS_HYPERVISOR SWIOTLB_XEN XEN_EFI").split()
        whole = "".join(f"CONFIG_{name}=y\n" for name in needed)
        self.assertNotIn("kernel", self.states(self.look(DOM0, {path: whole})))
        items = self.look(DOM0, {path: whole.replace("CONFIG_XENFS=y", "# CONFIG_XENFS is not set")})
        lacks = [item["text"] for item in of_kind(items, "check") if item["id"] == "kernel"]
        self.assertEqual(lacks, ["dom0's kernel lacks CONFIG_XENFS"])
        self.assertEqual(self.states(self.look(DOM0, {path: ""}))["kernel"], "unknown")

    def test_dom0_without_xl(self) -> None:
        """It says why: not each reason is that one is not root."""
        lacking = {name: text for name, text in DOM0.items() if "xl info" not in name}
        for number, why in (("13", "not permitted; run it as root"), ("2", "there is no such command")):
            items = self.look(lacking, {"absent/command/xl info": f"{number}\n"})
            self.assertEqual(verdict(items), "unknown")
            self.assertIn(why, of_kind(items, "verdict")[0]["text"])

    def test_xen_not_booted(self) -> None:
        native = {"file/sys/hypervisor/type": "", "file/proc/xen/capabilities": "",
                  "list/usr/bin": "bash\n"}
        for boot, has in (("xen-4.17-amd64.gz\n", "Xen is installed, but"),
                          ("vmlinuz-6.1.0-25-amd64\n", "neither Xen nor QEMU is here")):
            items = self.look(DOM0, native, {"list/boot": boot})
            self.assertEqual(verdict(items), "not-ready")
            self.assertIn(has, of_kind(items, "verdict")[0]["text"])
            self.assertEqual(boot.startswith("xen"), "dom0" in self.states(items))

    def test_lab(self) -> None:
        """dom0 of the emulated lab (lab/xen): what `--collect` took there, logs shortened."""
        items = self.look(json.loads((LOGS / "lab-dom0.json").read_text()))
        self.assertEqual(verdict(items), "ready")
        self.assertEqual({item["state"] for item in of_kind(items, "finding")} - {"note"}, set())
        states = self.states(items)
        # It has no configuration of the kernel, and was taken before `xl list` was asked for.
        self.assertEqual({need for need, state in states.items() if state != "ok"},
                         {"kernel", "xen.daemon"})
        # Xen has neither altp2m nor events on memory on this processor.
        self.assertNotIn("altp2m", states)
        self.assertEqual([item["text"] for item in of_kind(items, "check") if item["id"] == "hap"],
                         ["nested page tables (NPT)"])
        done = run("--json", "--all", self.path)
        facts = {(item["id"], item["text"]) for item in map(json.loads, done.stdout.splitlines())
                 if item["kind"] == "fact" and item["state"] == "known"}
        self.assertLessEqual({
            ("host.hypervisor", "xen-dom0"), ("xen.version", "4.17.5"), ("cpu.vendor", "amd"),
            ("xen.caps", "pv hvm hap shadow gnttab-v1 gnttab-v2"), ("xen.xsm", "off"),
            ("xen.daemon", "xenstored yes"), ("xen.device", "privcmd yes"),
            ("firmware.efi", "no"), ("iommu.active", "0"), ("kvm.device", "none")}, facts)

    def test_guests(self) -> None:
        items = self.look(DOM0, {
            "list/etc/xen": "good.cfg\npv.cfg\nxl.conf\n",
            "file/etc/xen/good.cfg": 'type = "hvm"\naltp2m = "external"\n',
            "file/etc/xen/pv.cfg": 'kernel = "/vmlinuz"\npci = [ "01:00.0" ]\n'})
        guests = {(item["id"], item["state"], item["remedy"].split()[0])
                  for item in of_kind(items, "check") if item["id"].startswith("/etc/xen")}
        self.assertEqual(guests, {
            ("/etc/xen/good.cfg", "ok", "type"), ("/etc/xen/good.cfg", "ok", "altp2m"),
            ("/etc/xen/pv.cfg", "missing", "type"), ("/etc/xen/pv.cfg", "missing", "altp2m"),
            ("/etc/xen/pv.cfg", "missing", "pci")})

    def test_guest_memory(self) -> None:
        """A guest that does not run needs memory that Xen has left; free_memory is 2048."""
        def states(name: str, memory: int, xen: dict | None = None) -> set[str]:
            items = self.look(DOM0, xen or {}, {
                "list/etc/xen": "a.cfg\n", "file/etc/xen/a.cfg":
                    f'name = "{name}"\ntype = "pvh"\nmemory = {memory}\naltp2m = "external"\n'})
            return {item["state"] for item in of_kind(items, "check") if "MiB" in item["text"]}
        self.assertEqual(states("other", 2049), {"missing"})
        self.assertEqual(states("other", 2048), {"ok"})
        self.assertEqual(states("good", 4096), set())  # runs
        self.assertEqual(states("other", 4096, {  # xl takes it from dom0
            "command/xl info": "free_memory : 100\nxen_commandline : altp2m=1\n"}), set())

    def test_altp2m_words(self) -> None:
        for words, state in (("altp2m", "ok"), ("x altp2m=on y", "ok"), ("altp2m=true", "ok"),
                             ("altp2m=0", "missing"), ("altp2m=1 altp2m=off", "missing"),
                             ("xaltp2m=1", "missing"), ("altp2m_x=1", "missing")):
            items = self.look(DOM0, {"command/xl info":
                                     f"virt_caps : pv hvm hap\nxen_commandline : {words}\n"})
            self.assertEqual(self.states(items)["altp2m"], state, words)

    def test_init_dom0(self) -> None:
        self.assertEqual(self.states(self.look(DOM0))["xen-init-dom0"], "ok")
        items = self.look(DOM0, {"command/xl list": "Name ID\n(null) 0 4096 4 r----- 1.0\n"})
        self.assertEqual(self.states(items)["xen-init-dom0"], "missing")

    def test_before_xen(self) -> None:
        """What Xen will find on a host that runs without it."""
        efi = "file/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
        native = {"file/sys/hypervisor/type": "", "file/proc/xen/capabilities": "",
                  "list/sys/class": "drm\n", "list/sys/firmware/efi": "efivars\n",
                  efi: b"\6\0\0\0\0", "probe/msr-3a": "5\n",
                  "file/proc/cpuinfo": "vendor_id\t: GenuineIntel\nflags\t\t: vmx\n"
                                       "vmx flags\t: ept vpid\n"}
        needs = ("virtualization", "virtualization-lock", "nested-paging", "secure-boot")
        states = self.states(self.look(DOM0, native))
        self.assertEqual({states[need] for need in needs}, {"ok"})
        for need, change in (
                ("virtualization", {"file/proc/cpuinfo": "vendor_id : x\nflags : fpu\n"}),
                ("virtualization-lock", {"probe/msr-3a": "1\n"}),
                ("nested-paging", {"file/proc/cpuinfo": "flags : vmx\nvmx flags : vpid\n"}),
                ("secure-boot", {efi: b"\6\0\0\0\1"})):
            self.assertEqual(self.states(self.look(DOM0, native, change))[need], "missing", need)
        self.assertNotIn("secure-boot", self.states(self.look(DOM0)))

    def test_qemu_permissions(self) -> None:
        guest = {"file/sys/hypervisor/type": "", "command/pgrep -x qemu-system-x86": "77\n",
                 "file/proc/77/comm": "qemu-system-x86\n",
                 "file/proc/77/cmdline": "qemu-system-x86_64\0-name\0a\0-qmp\0unix:/a\0",
                 "list/boot": "grub\n", "command/xl dmesg": "",
                 "file/proc/xen/capabilities": ""}
        link = "link/proc/77/exe"
        for part, state in (({link: "/usr/bin/qemu-system-x86_64"}, "ok"),
                            ({"absent/" + link: "13\n"}, "missing"), ({}, "unknown")):
            states = self.states(self.look(DOM0, guest, part))
            self.assertEqual((states["permissions"], states["qmp"]), (state, "ok"))

    def test_backlight(self) -> None:
        wmi = {"list/sys/bus/wmi/devices": "603E9613-EF25-4338-A3D0-C46177516DB7\n"}
        native = {"file/proc/cmdline": "ro acpi_backlight=native\n"}
        self.check_fires("R18", {**wmi, **native}, native)
        self.check_fires("R18", {**wmi, **native}, wmi)

    def test_intel_iommu(self) -> None:
        self.check_fires("R25", {"file/proc/cmdline": "ro intel_iommu=on,igfx_off\n"},
                         {"file/proc/cmdline": "ro\n"})

    def test_vmd(self) -> None:
        self.check_fires("R49", {"list/sys/bus/pci/devices": "0000:00:02.0\n10000:e0:06.0\n"},
                         {"list/sys/bus/pci/devices": "0000:00:02.0\n"})

    def test_connectors(self) -> None:
        drm = {"list/sys/class/drm": "card0\ncard0-eDP-1\ncard0-HDMI-A-1\n",
               "file/sys/class/drm/card0-HDMI-A-1/status": "disconnected\n",
               "link/sys/class/drm/card0/device/driver": "../../bus/pci/drivers/i915"}
        dead = {**drm, "file/sys/class/drm/card0-eDP-1/status": "disconnected\n"}
        self.check_fires("R55", dead, {**drm, "file/sys/class/drm/card0-eDP-1/status":
                                       "connected\n"})
        wrong = {**LAPTOP, **drm, "file/sys/class/drm/card0-eDP-1/status": "connected\n",
                 "link/sys/class/drm/card0/device/driver": "../../bus/pci/drivers/nouveau"}
        self.check_fires("R55", wrong, LAPTOP)

    def test_xe_bound(self) -> None:
        """The kernel's table says whether i915 could drive what xe does."""
        def bound(driver: str, aliases: str) -> dict:
            device = "/sys/bus/pci/devices/0000:00:02.0"
            return {**LAPTOP, f"link{device}/driver": f"../../bus/pci/drivers/{driver}",
                    f"file{device}/modalias":
                        "pci:v00008086d0000A788sv00001025sd00001731bc03sc00i00\n",
                    "probe/release": "6.8.0-45-generic\n",
                    "file/lib/modules/6.8.0-45-generic/modules.alias": aliases}
        other = ("# Aliases extracted from modules themselves.\n"
                 "alias pci:v00008086d00001533sv*sd*bc*sc*i* igb\n"
                 "alias pci:v00008086d00007D45sv*sd*bc03sc*i* i915\n")
        xe = other + "alias pci:v00008086d0000A788sv*sd*bc03sc*i* xe\n"
        both = xe + "alias pci:v00008086d0000A788sv*sd*bc03sc*i* i915\n"
        self.check_fires("C7", bound("xe", both), bound("xe", xe))
        self.check_fires("C7", bound("xe", both), bound("i915", both))
        native = {"file/sys/hypervisor/type": "", "file/proc/xen/capabilities": ""}
        self.assertIn("C7", findings(self.look(DOM0, native, bound("xe", both))))
        self.assertNotIn("C7", findings(self.look(DOM0, native, bound("xe", both),
                                                  {"list/boot": "grub\n", "command/xl dmesg": ""})))
        gpus = [item["text"] for item in of_kind(rows("--all", self.path), "fact")
                if item["id"] == "gpu"]
        self.assertEqual(gpus, ["0000:00:02.0 8086:a788 xe xe,i915", "0000:01:00.0 10de:28e0 - -"])

    def modprobe(self, text: str) -> dict:
        return {"list/etc/modprobe.d": "a.conf\n", "file/etc/modprobe.d/a.conf": text}

    def test_both_drivers(self) -> None:
        self.check_fires("C1", self.modprobe("blacklist i915\nblacklist xe\n"),
                         self.modprobe("blacklist xe\n"))
        self.check_fires("C1", self.modprobe("options i915 force_probe=a788\n"
                                             "options xe force_probe=a788\n"),
                         self.modprobe("options i915 force_probe=a788\n"
                                       "options xe force_probe=!a788\n"))

    def test_two_values(self) -> None:
        line = {"file/proc/cmdline": "ro i915.enable_psr=0\n"}
        self.check_fires("C2", {**line, **self.modprobe("options i915 enable_psr=1\n")},
                         {**line, **self.modprobe("options i915 enable_psr=0\n")})

    def test_nouveau_panel(self) -> None:
        panel = {**LAPTOP, "list/sys/class/drm": "card1\ncard1-eDP-1\n",
                 "file/sys/class/drm/card1-eDP-1/status": "connected\n",
                 "link/sys/class/drm/card1/device/driver": "../../bus/pci/drivers/nouveau"}
        self.check_fires("C3", {**panel, **self.modprobe("blacklist nouveau\n")}, panel)

    def test_ages(self) -> None:
        changed = {**self.modprobe("blacklist nouveau\n"), "time/etc/modprobe.d/a.conf": "200\n",
                   "list/boot": "initrd.img-6.1\n"}
        self.check_fires("C4", {**changed, "time/boot/initrd.img-6.1": "100\n"},
                         {**changed, "time/boot/initrd.img-6.1": "300\n"})
        grub = {"list/etc/default": "grub\n", "time/etc/default/grub": "200\n"}
        self.check_fires("C5", {**grub, "time/boot/grub/grub.cfg": "100\n"},
                         {**grub, "time/boot/grub/grub.cfg": "300\n"})

    def initramfs(self, text: str) -> dict:
        return {"probe/release": "6.1.0-25-amd64\n", "list/boot": "initrd.img-6.1.0-25-amd64\n",
                "initramfs/boot/initrd.img-6.1.0-25-amd64": text}

    def test_initramfs_blacklist(self) -> None:
        """A module that modprobe.d blacklists is in the initramfs, and the blacklist is not."""
        etc = self.modprobe("blacklist nouveau\n")
        old = self.initramfs("module i915\nmodule nouveau\n")
        self.check_fires("C8", {**etc, **old}, {**etc, **self.initramfs("module i915\n")})
        self.check_fires("C8", {**etc, **old},
                         {**etc, **self.initramfs("module nouveau\nmodprobe "
                                                  "etc/modprobe.d/a.conf:1 blacklist nouveau\n")})
        self.check_fires("C8", {**etc, **old}, {**etc, **old, "file/proc/cmdline":
                                                "ro module_blacklist=nouveau\n"})
        items = self.look(DOM0, etc, old)
        places = [(item["source"], item["line"], item["quote"])
                  for item in of_kind(items, "finding") if item["id"] == "C8"]
        self.assertEqual(places, [
            ("/etc/modprobe.d/a.conf", 1, "blacklist nouveau"),
            ("/boot/initrd.img-6.1.0-25-amd64", None, "module nouveau")])

    def test_initramfs_stale(self) -> None:
        """What was removed from modprobe.d is still in the initramfs."""
        old = self.initramfs("modprobe etc/modprobe.d/x.conf:2 options i915 force_probe=!a788\n"
                             "modprobe usr/lib/modprobe.d/fb.conf:1 blacklist vga16fb\n")
        self.check_fires("C9", {**old, **self.modprobe("")},
                         {**old, **self.modprobe("options i915 force_probe=!a788\n")})
        items = self.look(DOM0, old, self.modprobe(""))
        [item] = [item for item in of_kind(items, "finding") if item["id"] == "C9"]
        self.assertEqual((item["source"], item["line"], item["quote"]),
                         ("/boot/initrd.img-6.1.0-25-amd64 (etc/modprobe.d/x.conf)", 2,
                          "i915.force_probe=!a788"))

    def test_initramfs_facts(self) -> None:
        def fact(*parts: dict) -> tuple[str, str]:
            self.look(DOM0, *parts)
            [item] = [item for item in of_kind(rows("--all", self.path), "fact")
                      if item["id"] == "boot.initramfs-modules"]
            return item["state"], item["text"]
        known = self.initramfs("module ext4\nmodule i915\nmodule xe\n")
        path = "initramfs/boot/initrd.img-6.1.0-25-amd64"
        self.assertEqual(fact(known), ("known", "3 i915,xe"))
        self.assertEqual(fact(self.initramfs("module ext4\n")), ("known", "1 -"))
        del known[path]
        self.assertEqual(fact(known, {"absent/" + path: "13\n"}),
                         ("unknown", "not permitted; run it as root"))
        self.assertEqual(fact(known, {"absent/" + path: "74\n"}),
                         ("unknown", "it is damaged, or of an unknown kind"))
        self.assertEqual(fact(known, {"list/boot": "vmlinuz\n"})[0], "unknown")

    def test_packages(self) -> None:
        status = "packages/var/lib/dpkg/status"
        self.assertNotIn("xen-tools", self.states(self.look(DOM0)))
        for text, state in (("xen-utils-4.17 4.17.5-1\n", "ok"),
                            ("xen-utils-common 4.17.5-1\nlinux-image-amd64 6.1\n", "missing")):
            items = self.look(DOM0, {status: text})
            self.assertEqual(self.states(items)["xen-tools"], state)
            facts = [item["text"] for item in of_kind(rows("--all", self.path), "fact")
                     if item["id"] == "package"]
            self.assertEqual(facts, text.splitlines())

    def test_distributions(self) -> None:
        """Commands are those of the host's distribution."""
        for ids, family, install in (
                ("ID=ubuntu\nID_LIKE=debian", "debian", "sudo apt install qemu-system-x86"),
                ("ID=fedora", "fedora", "sudo dnf install qemu-system-x86"),
                ('ID="rocky"\nID_LIKE="rhel centos fedora"', "fedora", "sudo dnf install qemu-system-x86"),
                ('ID="opensuse-leap"\nID_LIKE="suse opensuse"', "suse", "sudo zypper install qemu-x86"),
                ("ID=manjaro\nID_LIKE=arch", "arch", "sudo pacman -S qemu-system-x86"),
                ("ID=gentoo", "other", "sudo apt install qemu-system-x86")):
            with self.subTest(ids), tempfile.TemporaryDirectory() as folder:
                root = pathlib.Path(folder)
                (root / "etc").mkdir()
                (root / "usr/bin").mkdir(parents=True)
                (root / "etc/os-release").write_text(f"NAME=x\n{ids}\n")
                items = rows("--all", "--root", root)
                [fact] = [item for item in of_kind(items, "fact") if item["id"] == "os.family"]
                self.assertEqual(fact["text"], family)
                commands = {item["remedy"] for item in of_kind(items, "check")}
                self.assertIn(install, commands)
                if family not in ("debian", "other"):
                    self.assertFalse([text for text in commands if text and " apt " in text])

    def test_software_of_a_root(self) -> None:
        """An initramfs and dpkg's status as they are on disk, there and through a bundle."""
        root = pathlib.Path(self.folder.name) / "root"
        member = lambda name, data: (  # noqa: E731
            b"070701" + b"".join(b"%08x" % value for value in (
                1, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)) + name + b"\0" +
            b"\0" * (-(111 + len(name)) % 4) + data + b"\0" * (-len(data) % 4))
        early = member(b"kernel/x86/microcode/GenuineIntel.bin", b"m" * 4096)
        late = (member(b"usr/lib/modules/6.1/i915.ko", b"") + member(b"usr/lib/modules/6.1/xe.ko", b"")
                + member(b"etc/modprobe.d/a.conf", b"# none\n"))
        trailer = member(b"TRAILER!!!", b"")
        for name, data in {
                "boot/initrd.img-6.1": early + trailer + b"\0" * 200 + gzip.compress(late + trailer),
                "lib/modules/6.1/modules.alias": b"", "etc/modprobe.d/a.conf": b"blacklist xe\n",
                "var/lib/dpkg/status": b"Package: xen-utils-4.17\nStatus: install ok installed\n"
                                       b"Version: 4.17.5\n\nPackage: bash\nVersion: 5\n"
                                       b"Status: install ok installed\n"}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)
        self.assertEqual(run("--root", root, "--collect", self.path).returncode, 0)
        for items in (rows("--all", "--root", root), rows("--all", self.path)):
            facts = {item["id"]: item["text"] for item in of_kind(items, "fact")}
            self.assertEqual(facts["boot.initramfs-modules"], "2 i915,xe")
            self.assertEqual(facts["package"], "xen-utils-4.17 4.17.5")
            self.assertIn("C8", findings(items))

    def test_grub_settings(self) -> None:
        """Each variable by what it reaches; the last file counts."""
        def grub(text: str) -> dict:
            return {"file/etc/default/grub": text}
        self.check_fires("J4", grub('GRUB_CMDLINE_LINUX="dom0_mem=2G"\n'),
                         grub('GRUB_CMDLINE_XEN="dom0_mem=2G"\n'))
        self.check_fires("J10", grub("GRUB_CMDLINE_XEN_DEFAULT='nomodeset'\n"),
                         grub("GRUB_CMDLINE_LINUX_XEN_REPLACE_DEFAULT='nomodeset'\n"))
        self.check_fires("C2", {**grub("GRUB_CMDLINE_LINUX=i915.enable_psr=0\n"),
                                **self.modprobe("options i915 enable_psr=1\n")},
                         {**grub("GRUB_CMDLINE_LINUX=i915.enable_psr=0\n"),
                          "list/etc/default/grub.d": "z.cfg\n",
                          "file/etc/default/grub.d/z.cfg": "GRUB_CMDLINE_LINUX=\n",
                          **self.modprobe("options i915 enable_psr=1\n")})
        items = self.look(DOM0, grub('GRUB_CMDLINE_LINUX="ro dom0_mem=2G"\n'))
        [finding] = [item for item in of_kind(items, "finding") if item["id"] == "J4"]
        self.assertEqual((finding["source"], finding["line"], finding["quote"]),
                         ("/etc/default/grub", 1, "dom0_mem=2G"))

    def test_xen_default(self) -> None:
        menu = ("set default=\"{}\"\nmenuentry 'Linux' --id linux {{\n\tlinux /vmlinuz ro\n}}\n"
                "menuentry 'Xen' --id xen {{\n\tmultiboot2 /xen.gz\n\tmodule2 /vmlinuz ro\n}}\n")
        native = {"file/sys/hypervisor/type": "", "file/proc/xen/capabilities": ""}
        for default, is_xen in (("0", False), ("1", True), ("xen", True), ("linux", False)):
            items = self.look(DOM0, native, {"file/boot/grub/grub.cfg": menu.format(default)})
            self.assertEqual("C6" in findings(items), is_xen, default)

    @needs("libarchive")
    def test_memory(self) -> None:
        """What is larger than the memory it may take ends with a word, by a bound that the kernel holds."""
        with subprocess.Popen([NUNCHI, "doctor", "-"], stdin=subprocess.PIPE,
                              stdout=subprocess.DEVNULL) as process:
            process.stdin.write(b"x" * (4 << 20))  # it reads, so it has begun
            limits = pathlib.Path(f"/proc/{process.pid}/limits").read_text()
            process.stdin.close()
        self.assertIn(str(256 << 20), re.search("Max data size.*", limits)[0])
        line = b"[    1.000000] (XEN) %d iommu: x\n"
        log = b"".join(line % i for i in range(900000))[:31 << 20]
        logs = {f"file/var/log/kern.log.{i}": log for i in range(5)}
        bundle_of(self.path, logs)
        done = run(self.path)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"128 MiB of them, are not taken", done.stderr)
        bundle_of(self.path, {"file/var/log/kern.log": log, "file/var/log/syslog": log})
        self.assertEqual(run(self.path).returncode, 0)
        done = run("--memory", "32M", self.path)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"out of memory\n  hint: the memory of a command is limited: --memory SIZE",
                      done.stderr)

    def test_endless_log(self) -> None:
        with subprocess.Popen(["cat", "/dev/zero"], stdout=subprocess.PIPE) as endless:
            done = subprocess.run([NUNCHI, "doctor", "-"], stdin=endless.stdout, timeout=120,
                                  capture_output=True)
            endless.kill()
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"standard input: only its first 1024 MiB", done.stderr)

    @needs("Hyperscan and PCRE2")
    def test_collect_without_secrets(self) -> None:
        root = pathlib.Path(self.folder.name) / "root"
        secrets = ["52:54:00:ab:cd:ef", "hunter2", "SN-99812", "me@example.org",
                   "0f1e2d3c-aaaa-bbbb-cccc-0123456789ab", "MIIEvQIBADAN"]
        log = (f"[    1.000000] eth0: {secrets[0]}\n[    1.100000] usb 1-1: SerialNumber: "
               f"{secrets[2]}\n[    1.200000] {secrets[3]} root=UUID={secrets[4]}\n"
               f"-----BEGIN PRIVATE KEY-----\n{secrets[5]}\n-----END PRIVATE KEY-----\n"
               "[    9.000000] i915 0000:00:02.0: [drm] *ERROR* Fault errors on pipe A: 0x00000080\n")
        for name, text in {"var/log/kern.log": log,
                           "proc/cmdline": f"ro luks.passphrase={secrets[1]} i915.enable_psr=0\n",
                           "etc/modprobe.d/a.conf": "options i915 enable_psr=1\n"}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        done = run("--root", root, "--collect", self.path)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"/proc/cmdline", done.stdout)
        with tarfile.open(self.path) as archive:
            content = b"".join(archive.extractfile(member).read() for member in archive)
            # A directory's list and what is in it have names that do not meet.
            archive.extractall(root.parent / "unpacked")
        for secret in secrets:
            self.assertNotIn(secret.encode(), content)
        self.assertIn(b"i915.enable_psr=0", content)
        before, after = rows("--root", root), rows(self.path)
        self.assertLessEqual({"R10", "C2"}, findings(before))
        strip = [[{key: item[key] for key in ("kind", "id", "state", "line")} for item in items]
                 for items in (before, after)]
        self.assertEqual(*strip)
        self.assertEqual(run("--root", root, "--collect", self.path).returncode, 1)  # is there

    @needs("libarchive")
    def test_collect_killed(self) -> None:
        """Nothing is left of it, and what an older one left is no obstacle."""
        root = pathlib.Path(self.folder.name) / "root"
        (root / "var/log").mkdir(parents=True)
        with open(root / "var/log/kern.log", "wb") as log:
            for i in range(20000):
                log.write(b"[%5d.000000] eth0: 52:54:00:ab:cd:%02x %s\n"
                          % (i, i % 256, random.randbytes(20).hex().encode()))
        folder = pathlib.Path(self.folder.name) / "out"
        folder.mkdir()
        bundle = folder / "b.tar.gz"
        begin = time.monotonic()
        self.assertEqual(run("--root", root, "--collect", bundle).returncode, 0)
        whole = time.monotonic() - begin
        bundle.unlink()
        for i in range(8):
            process = subprocess.Popen([NUNCHI, "doctor", "--root", root, "--collect", bundle],
                                       stdout=subprocess.DEVNULL)
            time.sleep(whole * (0.3 + i * 0.08))
            process.kill()
            process.wait()
            left = [path.name for path in folder.iterdir() if path != bundle]
            self.assertFalse(left, f"killed after {0.3 + i * 0.08:.2f} of its time")
            bundle.unlink(missing_ok=True)
        # Of a file system where such a file has a name from the start.
        part = folder / "b.tar.gz.part"
        part.write_bytes(b"x")
        self.assertEqual(run("--root", root, "--collect", bundle).returncode, 0)
        self.assertEqual(list(folder.iterdir()), [bundle])
        # What is no file of ours stays.
        bundle.unlink()
        part.symlink_to(root / "var/log/kern.log")
        self.assertEqual(run("--root", root, "--collect", bundle).returncode, 0)
        self.assertTrue(part.is_symlink() and (root / "var/log/kern.log").stat().st_size > 1000)

    @needs("libarchive")
    def test_collect_says_what_it_removed(self) -> None:
        root = pathlib.Path(self.folder.name) / "root"
        grub = ("set superusers=\"bob\"\npassword bob zebra\nmenuentry 'Linux' {\n"
                "\tlinux /vmlinuz-6.1.0 root=/dev/sda1 ro\n}\n")
        for name, text in {"boot/grub/grub.cfg": grub,
                           "etc/hostname": "build7.corp.example\n",
                           "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n"
                                         "alice:x:1000:1000:Alice Liddell,,,:/home/alice:/bin/sh\n",
                           "etc/modprobe.d/52:54:00:ab:cd:ef.conf": "options i915 enable_psr=1\n",
                           "var/log/kern.log": "Nov 22 10:00:00 build7 kernel: [    1.000000] "
                                               "alice at 192.0.2.7 in /home/alice\n"}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)

        def members(*options: str) -> dict[str, bytes]:
            self.path.unlink(missing_ok=True)
            done = run("--root", root, "--collect", self.path, *options)
            self.assertEqual(done.returncode, 0, done.stderr)
            with tarfile.open(self.path) as archive:
                return {member.name: archive.extractfile(member).read() for member in archive}

        kept = members()
        self.assertEqual(kept["file/boot/grub/grub.cfg"].decode(), grub.replace("bob zebra", "[secret]"))
        self.assertIn(b"  file/boot/grub/grub.cfg: 1 [secret]\n", kept["removed.txt"])
        self.assertIn(b"--anonymous takes them out", kept["removed.txt"])
        self.assertIn(b"192.0.2.7", kept["file/var/log/kern.log"])
        self.assertIn("file/etc/modprobe.d/[MAC].conf", kept)
        rows(self.path)
        anonymous = members("--anonymous")
        for name, text in anonymous.items():
            for secret in (b"build7", b"corp.example", b"alice", b"Liddell", b"192.0.2.7", b"zebra"):
                self.assertNotIn(secret, text, name)
        self.assertEqual(anonymous["file/var/log/kern.log"],
                         b"Nov 22 10:00:00 [host] kernel: [    1.000000] [user] at [IP] in "
                         b"/home/[user]\n")
        self.assertEqual(run("--anonymous").returncode, 2)

    def test_collect_without_secrets_of_guests(self) -> None:
        """Command lines of QEMU guests that run."""
        qemu = shutil.which("qemu-system-x86_64")
        if not qemu or not shutil.which("pgrep"):
            self.skipTest("no qemu-system-x86_64 or no pgrep")
        secrets = ["hunter2", "two words", "SGVsbG8gd29ybGQ", "SN-99812", "opensesame"]
        guest = subprocess.Popen(
            [qemu, "-S", "-display", "none", "-machine", "q35,accel=tcg", "-m", "16",
             "-nodefaults", "-name", "secrets",
             "-object", f"secret,id=a,data={secrets[0]}", "-object", f"secret,id=b,data={secrets[1]}",
             "-object", json.dumps({"qom-type": "secret", "id": "c", "format": "base64",
                                    "data": secrets[2] + "="}),
             "-smbios", f"type=1,serial={secrets[3]}", "-fw_cfg", f"name=opt/a,string={secrets[4]}",
             "-monitor", "stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            guest.stdout.readline()  # QEMU greets when it has taken its arguments
            done = run("--collect", self.path)
        finally:
            guest.kill()
            guest.communicate()
        self.assertEqual(done.returncode, 0, done.stderr)
        with tarfile.open(self.path) as archive:
            lines = {member.name: archive.extractfile(member).read() for member in archive}
        line = lines[f"file/proc/{guest.pid}/cmdline"]
        self.assertIn(b"-name\0secrets\0-object\0secret,id=a,data=[secret]\0", line)
        for secret in secrets:
            for name, content in lines.items():
                self.assertNotIn(secret.encode(), content, name)
        self.assertIn(f"{guest.pid} secrets private no-qmp readable",
                      [item["text"] for item in of_kind(rows("--all", self.path), "fact")])

    def test_hostile(self) -> None:
        for members in ({"file/../../etc/shadow": "x"}, {"list/boot": b"\0\xff\n" * 1000},
                        {"command/xl info": b"\xff" * 100000}, {"x" * 90: "y", "probe/cpuid": "1"}):
            self.look(members)
        bundle_of(self.path, {"file/proc/cpuinfo": b"\0" * (80 << 20)})
        self.assertIn(b"unpacks to more", run(self.path).stderr)
        self.path.write_bytes(gzip.compress(os.urandom(1 << 16)))
        self.assertEqual(run(self.path).returncode, 1)
        with tarfile.open(self.path, "w:gz") as archive:
            archive.add(LOGS / "vtx-off.log", "vtx-off.log")
        self.assertIn(b"no bundle of nunchi", run(self.path).stderr)
        whole = (bundle_of(self.path, DOM0), self.path.read_bytes())[1]
        for size in range(2, len(whole), 97):
            self.path.write_bytes(whole[:size])
            self.assertIn(run(self.path).returncode, (0, 1))


def run_class(name: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, __file__, NUNCHI, name], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)


def main() -> int:
    """All classes, each in a process of its own, or the tests that are named."""
    global NUNCHI
    NUNCHI = str(pathlib.Path(sys.argv.pop(1)).resolve())
    if len(sys.argv) > 1:
        result = unittest.main(exit=False, verbosity=1).result
        return 0 if result.wasSuccessful() else 1
    names = [name for name, what in globals().items()
             if isinstance(what, type) and issubclass(what, unittest.TestCase)]
    failed = 0
    for name, done in of_each(run_class, names):
        print(f"{name}: {done.stdout.decode(errors='replace')}", flush=True)
        failed += done.returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
