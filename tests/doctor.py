#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""nunchi doctor as a user meets it: doctor.py NUNCHI. Stories and logs are in tests/doctor/; the
acceptance case is read from ../shared/facts, which a clone may lack."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
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

    def test_kernel_log_alone(self) -> None:
        items = rows(LOGS / "black-screen-kernel.log")
        self.assertEqual(verdict(items), "no-screen")
        self.assertLessEqual({BLACK_SCREEN, "R27", "R24"}, findings(items))

    def test_same_log_without_xen(self) -> None:
        """The same failure natively is none of Xen's."""
        text = (LOGS / "black-screen-kernel.log").read_text()
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "native.log"
            path.write_text(text.replace(" on Xen", " on bare hardware").replace("Xen version", ""))
            items = rows(path)
        self.assertEqual(verdict(items), "unknown")
        self.assertNotIn(BLACK_SCREEN, findings(items))


class Healthy(unittest.TestCase):
    def test_same_words(self) -> None:
        items = rows(LOGS / "healthy-same-words.txt")
        self.assertEqual(verdict(items), "ready")
        self.assertEqual({item["state"] for item in of_kind(items, "finding")}, {"note"})
        self.assertFalse(of_kind(items, "remedy"))

    def test_three_lines(self) -> None:
        for name in ("healthy-xen.log", "healthy-same-words.txt"):
            lines = run(LOGS / name).stdout.decode().splitlines()
            self.assertLessEqual(len(lines), 3, lines)
            self.assertEqual(lines[0], "Verdict: ready")

    def test_blocker(self) -> None:
        items = rows(LOGS / "vtx-off.log")
        self.assertEqual(verdict(items), "not-ready")
        self.assertEqual(of_kind(items, "finding")[0]["id"], "R33")
        self.assertEqual(of_kind(items, "finding")[0]["line"], 2)


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

    def test_long_line_hides_nothing(self) -> None:
        self.check(b"x" * (5 << 20) + b"\n(XEN) CPU0: VMX disabled by BIOS.\n", "not-ready")

    def test_not_there(self) -> None:
        done = run("/nonexistent/log")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"/nonexistent/log", done.stderr)


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

    def test_every_fact_has_a_source(self) -> None:
        for item in of_kind(rows("--all"), "fact"):
            self.assertTrue(item["source"], item)
            self.assertIn(item["state"], ("known", "unknown"))


def main() -> int:
    global NUNCHI
    NUNCHI = str(pathlib.Path(sys.argv.pop(1)).resolve())
    result = unittest.main(exit=False, verbosity=1).result
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
