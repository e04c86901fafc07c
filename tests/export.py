#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""nunchi export of a saved guest made by hand: export.py NUNCHI WRITE_GUEST.

tests/guests/exports.py does it with real guests.
"""
from __future__ import annotations

import base64
import json
import lzma
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
NUNCHI, WRITER = sys.argv[1:3]
GUEST = ""


def run(*args: str | Path, **more: object) -> subprocess.CompletedProcess:
    return subprocess.run([NUNCHI, *args], capture_output=True, timeout=60, check=False, **more)


class Export(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def export(self, kind: str, *options: str | Path) -> bytes:
        done = run("export", GUEST, kind, *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def symbols(self) -> list[dict]:
        done = run("show", GUEST, "symbols", "--json")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_isf(self) -> None:
        table = json.loads(self.export("isf"))
        self.assertEqual(table["metadata"]["format"], "6.2.0")
        self.assertEqual(table["user_types"]["task_struct"], {
            "kind": "struct", "size": 64,
            "fields": {"pid": {"type": {"kind": "base", "name": "int"}, "offset": 0}}})
        self.assertEqual(len(table["user_types"]["bomb"]["fields"]), 64)
        self.assertEqual(list(table["user_types"]["long_name"]["fields"]), ["n" * 512])
        self.assertEqual(table["base_types"]["int"],
                         {"size": 4, "signed": True, "kind": "int", "endian": "little"})
        self.assertEqual(table["base_types"]["pointer"]["size"], 8)
        self.assertEqual(set(table["symbols"]), {row["name"] for row in self.symbols()})
        banner = base64.b64decode(table["symbols"]["linux_banner"]["constant_data"])
        self.assertTrue(banner in Path(GUEST).read_bytes(), banner)
        self.assertRegex(banner, rb"^Linux version .*\0$")

    def test_system_map(self) -> None:
        lines = self.export("system-map").decode().splitlines()
        rows = self.symbols()
        base = {row["name"]: int(row["address"], 16) for row in rows}["_text"]
        shift = base - 0xffffffff81000000
        self.assertGreater(shift, 0)
        want = sorted(f"{int(row['address'], 16) - shift:016x} {row['type']} {row['name']}"
                      for row in rows)
        self.assertEqual(sorted(lines), want)
        done = run("export", GUEST, "system-map")
        self.assertIn(f"without the guest's KASLR: virtual +{shift:#x}", done.stderr.decode())

    def test_elf(self) -> None:
        """Each symbol at its address, in the section around it; no BTF without its symbols."""
        path = self.folder / "kernel.elf"
        self.export("elf", "-o", path)
        text = subprocess.run(["readelf", "-h", "-S", "-s", "-W", path], capture_output=True,
                              text=True, check=True, timeout=60)
        self.assertEqual(text.stderr, "")
        self.assertIn("Advanced Micro Devices X86-64", text.stdout)
        got = sorted((int(value, 16), name, section) for value, section, name in re.findall(
            r"^ *\d+: ([0-9a-f]+) +\w+ \w+ +\w+ +\w+ +(\w+) (\S+)$", text.stdout, re.M))
        want = sorted((int(row["address"], 16), row["name"]) for row in self.symbols())
        self.assertEqual([row[:2] for row in got], want)
        start, size = (int(part, 16) for part in re.search(
            r"\] \.text +NOBITS +(\w+) \w+ (\w+) ", text.stdout).groups())
        self.assertTrue(all((section == "1") == (start <= address < start + size)
                            for address, _, section in got))
        self.assertNotIn(".BTF", text.stdout)
        self.assertNotIn(".debug_frame", text.stdout)

    def test_no_btf_symbols(self) -> None:
        done = run("export", GUEST, "btf", "-o", self.folder / "btf")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"__start_BTF", done.stderr)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_file(self) -> None:
        """The same bytes as on standard output, with and without the sandbox."""
        whole = self.export("isf")
        for options in ((), ("--no-sandbox",)):
            for name, read in (("table.json", Path.read_bytes),
                               ("table.json.xz", lambda path: lzma.decompress(path.read_bytes()))):
                path = self.folder / name
                self.export("isf", "-o", path, *options)
                self.assertEqual(read(path), whole)
                again = run("export", GUEST, "isf", "-o", path, *options)
                self.assertEqual(again.returncode, 2)
                self.assertIn(b"exists", again.stderr)
                path.unlink()
        self.assertEqual(self.export("isf", "-o", "-"), whole)

    def test_nunchi_reads_it(self) -> None:
        path = self.folder / "table.json.xz"
        self.export("isf", "-o", path)
        done = run("type", GUEST, "task_struct", "--types", path)
        self.assertEqual((done.returncode, done.stdout),
                         (0, run("type", GUEST, "task_struct").stdout), done.stderr)

    def test_wrong_use(self) -> None:
        for arguments in (("ifs",), (), ("isf", "btf"), ("isf", "-o")):
            done = run("export", GUEST, *arguments)
            self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(b'did you mean "isf"?', run("export", GUEST, "ifs").stderr)

    def test_full_disk(self) -> None:
        with open("/dev/full", "wb") as full:
            done = subprocess.run([NUNCHI, "export", GUEST, "isf"], stdout=full,
                                  stderr=subprocess.PIPE, timeout=60, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"No space", done.stderr)


def main() -> int:
    global GUEST
    GUEST = subprocess.run([WRITER], capture_output=True, text=True, check=True,
                           timeout=60).stdout.strip()
    try:
        program = unittest.main(argv=sys.argv[:1], exit=False)
    finally:
        os.unlink(GUEST)
    return 0 if program.result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
