#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes nunchi-COMMAND.1 of what the help of each command says: command_pages.py NUNCHI PAGE DIRECTORY
COMMAND….

PAGE is nunchi.1, of which the date is taken, so that what is written does not depend on the day.
Options that every command has are explained there.
"""
from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

OPTION = re.compile(r"^  (?:(-.), |    )(--[a-z0-9-]+)(?: (\S+))?(?:  +(.*))?$")


def help_of(nunchi: str, *command: str) -> str:
    return subprocess.run([nunchi, "help", *command], capture_output=True, check=True, timeout=60,
                          encoding="utf-8", env={**os.environ, "LC_ALL": "C.UTF-8"}).stdout


def escaped(text: str) -> str:
    """As text of roff: nothing in it is an instruction, and "-" stays what a shell takes."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def option_lines(lines: list[str]) -> list[str]:
    """A list of options; lines that name none go on with the text of the one before."""
    result = []
    for line in lines:
        match = OPTION.match(line)
        if not match:
            result.append(escaped(line.strip()))
            continue
        letter, name, value, text = match.groups()
        names = [f"\\fB{escaped(each)}\\fR" for each in (letter, name) if each]
        result += [".TP", ", ".join(names) + (f" \\fI{escaped(value)}\\fR" if value else "")]
        if text:
            result.append(escaped(text))
    return result


def literal(lines: list[str]) -> list[str]:
    return [".PP", ".RS 4", ".nf", *(escaped(line.removeprefix("  ")) for line in lines), ".fi", ".RE"]


def sections(text: str) -> dict[str, list[str]]:
    """{heading: lines of roff} of a help; its parts are separated by empty lines."""
    found: dict[str, list[str]] = {"SYNOPSIS": [], "DESCRIPTION": []}
    for part in text.strip().split("\n\n"):
        first, *rest = part.split("\n")
        if first.startswith("usage: "):
            words = part.removeprefix("usage: ").split()
            found["SYNOPSIS"] = [f"\\fB{' '.join(words[:2])}\\fR {escaped(' '.join(words[2:]))}"]
        elif first.startswith("Options of every command"):
            found.setdefault("OPTIONS", []).extend(
                [".PP", "Options of every command are explained in", ".BR nunchi (1)."])
        elif first == "Options:":
            found["OPTIONS"] = option_lines(rest)
        elif first == "Examples:":
            found["EXAMPLES"] = literal(rest)
        elif first.startswith("Exit status: "):
            found["EXIT STATUS"] = [escaped(part.removeprefix("Exit status: "))]
        elif rest and all(line.startswith("  ") for line in rest):
            found["DESCRIPTION"] += [".PP", escaped(first), *literal(rest)]
        else:
            found["DESCRIPTION"] += [".PP", escaped(part)]
    return found


def page(command: str, about: str, date: str, text: str) -> str:
    name = f"nunchi\\-{command}"
    lines = [".\\\" SPDX-License-Identifier: LGPL-2.1-or-later",
             f".\\\" Made by man/command_pages.py of what \"nunchi help {command}\" prints.",
             f'.TH "{name.upper()}" 1 "{date}" nunchi',
             ".nh", ".ad l",
             ".SH NAME", f"{name} \\- {escaped(about)}"]
    for heading, content in sections(text).items():
        if content:
            lines += [f".SH {heading}", *content]
    return "\n".join([*lines, ".SH SEE ALSO", ".BR nunchi (1)", ""])


def main() -> None:
    nunchi, main_page, directory, *commands = sys.argv[1:]
    date = re.search(r"^\.Dd (.*)$", Path(main_page).read_text(encoding="utf-8"), re.M)[1]
    listed = re.search(r"^Commands:\n((?:  .*\n)+)", help_of(nunchi), re.M)[1]
    about = dict(re.findall(r"^  ([a-z]+) +(.*)$", listed, re.M))
    if sorted(about) != sorted(commands):
        raise SystemExit(f"command_pages.py: nunchi has the commands {sorted(about)}, not {commands}")
    for command in commands:
        text = page(command, about[command], date, help_of(nunchi, command))
        Path(directory, f"nunchi-{command}.1").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
