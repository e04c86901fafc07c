#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks that each field of layout.def and each symbol of symbols.def has a user in src/.

What nobody reads costs time to look up, and `nunchi info` would call it missing.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINUX = ROOT / "src" / "guest" / "linux"


def names(path: pathlib.Path, pattern: str, form: str) -> list[str]:
    found = re.findall(pattern, path.read_text(), re.M)
    if not found:
        sys.exit(f"knowledge: {path.name} has no line of the form {pattern}")
    return [form.format(*((name,) if isinstance(name, str) else name)) for name in found]


def main() -> int:
    wanted = names(LINUX / "layout.def", r"^(?:FIELD|SHAPE)\((\w+), (\w+),", "{}_{}")
    wanted += names(LINUX / "symbols.def", r"^SYMBOL\((\w+),", "LINUX_{}")
    words: set[str] = set()
    for path in (ROOT / "src").rglob("*.[ch]"):
        words.update(re.findall(r"\w+", path.read_text()))
    unused = [name for name in wanted if name not in words]
    for name in unused:
        print(f"FAILED: nothing in src/ uses {name}: remove its line")
    print(f"{len(wanted) - len(unused)} passed, {len(unused)} failed")
    return 1 if unused else 0


if __name__ == "__main__":
    sys.exit(main())
