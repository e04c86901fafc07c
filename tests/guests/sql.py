# SPDX-License-Identifier: LGPL-2.1-or-later
"""SQL gives what the views give, of one moment, and reads no more than a statement needs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from guests.tool import Done, good_run

if TYPE_CHECKING:
    from pathlib import Path

    from guests.session import Subject

JOIN = ("select p.pid, p.name, f.fd, f.path from processes p "
        "join process_open_files f using (pid)")
TWICE = "select count(*) from processes a join processes b using (pid, name, start_time, task)"
DIFFERENT_MOMENTS = "may be of different moments"


def query(subject: Subject, target: str | Path, text: str, *options: str | Path) -> Done:
    done = subject.nunchi.run("sql", target, text, "--json", *options, *subject.options)
    good_run(subject.account, done, f"sql: {text}")
    return done


def bytes_read(subject: Subject, text: str) -> int:
    done = query(subject, subject.raw, text, "--timing")
    return json.loads(done.err.strip().split("\n")[-1])["bytes_read"]


def check_tables(subject: Subject) -> None:
    """A table has the rows of its view, byte by byte, with the reasons of what is absent."""
    for view in subject.views:
        want = subject.reference[view]
        if view == "findings":  # The file has no registers, which a check looks at.
            want = subject.nunchi.show(subject.raw, view, *subject.options)
        if want.status:
            continue
        got = query(subject, subject.raw, f"select * from {view}")
        subject.account.check(got.out == want.out, f"sql: {view} is not what the view gives",
                              f"{len(got.rows)} rows, not {len(want.rows)}")


def check_join(subject: Subject) -> None:
    """The join is that of the rows, whichever table stands first."""
    names = {row["pid"]: row["name"] for row in subject.reference["processes"].rows}
    want = {(row["pid"], names[row["pid"]], row["fd"], row["path"])
            for row in subject.reference["process_open_files"].rows if row["pid"] in names}
    for text in (JOIN, JOIN.replace("processes p join process_open_files f",
                                    "process_open_files f join processes p")):
        rows = query(subject, subject.raw, text).rows
        got = {(row["pid"], row["name"], row["fd"], row["path"]) for row in rows}
        subject.account.check(got == want and len(rows) == len(want) and bool(want),
                              f"sql: the join has {len(rows)} rows, not {len(want)}")


CONDITIONS = (
    "{}pid = 1 or ({}pid = 2 and {}uid = 0)", "{}pid < 3 or {}pid > 60", "{}pid in (1, 2, 99999)",
    "{}pid < 10 or {}pid in (1, 2, 3) or {}parent = 2", "{}pid >= 2 and {}pid <= 5", "{}pid = null",
    "{}pid > -1", "{}pid = 1.0", "{}pid < 2.5", "{}pid = 18446744073709551615",
    "{}uid in (select uid from processes where pid = 1)", "{}name like 'k%' or {}name glob '[a-c]*'",
    "not {}pid = 1", "{}pid between 1 and 3 or {}name = 'init'", "{}cmdline is null or {}uid = 0")
OUTER = ("select p.pid, f.fd from process_open_files f {join} join processes p on {plus}p.pid = f.pid",
         "select p.pid, f.fd from processes p {join} join process_open_files f "
         "on {plus}f.pid = p.pid and {plus}f.fd < 2")


def check_conditions(subject: Subject) -> None:
    """What is passed on to a view ("+" keeps SQLite from doing so) loses and adds no row."""
    texts = [f"select {columns} from {table} where " + condition.replace("{}", "{plus}")
             for condition in CONDITIONS
             for table, columns in (("processes", "pid, parent, uid, name"), ("processes", "uid"))]
    texts += [text.replace("{join}", kind) for text in OUTER
              for kind in ("left", "right", "full", "inner")]
    for text in texts:
        passed, kept = (sorted(query(subject, subject.raw, text.replace("{plus}", plus)).out.splitlines())
                        for plus in ("", "+"))
        subject.account.check(passed == kept, f"sql: {text}", f"{len(passed)} rows, not {len(kept)}")


def check_reasons(subject: Subject) -> None:
    """absence() gives the reasons that the view gives."""
    want = [(row["pid"], row.get("absent", {}).get("cmdline"))
            for row in subject.reference["processes"].rows]
    rows = query(subject, subject.raw, "select pid, absence(cmdline) as why from processes").rows
    subject.account.check([(row["pid"], row["why"]) for row in rows] == want and any(
        why for _, why in want), "sql: absence() is not what the view gives")


def check_reading(subject: Subject) -> None:
    """One process, or one column, takes less than all; the second table of a join about as much."""
    whole = bytes_read(subject, "select * from process_open_files")
    one = bytes_read(subject, "select * from process_open_files where pid = 1")
    narrow = bytes_read(subject, "select pid from processes")
    wide = bytes_read(subject, "select * from processes")
    subject.account.check(one * 2 < whole, f"sql: one process takes {one} bytes, all {whole}")
    subject.account.check(narrow * 2 < wide, f"sql: a column takes {narrow} bytes, all {wide}")
    subject.account.say(f"sql: bytes read: open files of all processes {whole}, of one {one}; "
                        f"processes {wide}, their ids {narrow}")


def check_two(subject: Subject) -> None:
    """Two files of one moment do not differ, and are two."""
    other = subject.work / "own.elf"
    done = subject.nunchi.run(
        "sql", f"a={subject.raw}", f"b={other}", "--json", *subject.options,
        *(["--no-sandbox"] if subject.options else []),
        "select count(*) as n from a.processes union all "
        "select count(*) from (select pid, name, task from a.processes except "
        "select pid, name, task from b.processes)")
    count = len(subject.reference["processes"].rows)
    subject.account.check(done.status == 0 and [row["n"] for row in done.rows] == [count, 0],
                          "sql: two files of one moment", done.first_error, str(done.out[:200]))


def run(subject: Subject) -> None:
    check_tables(subject)
    check_join(subject)
    check_conditions(subject)
    check_reasons(subject)
    check_reading(subject)
    check_two(subject)


def look(subject: Subject, target: str) -> None:
    """A running guest: of one moment if it is paused for that, and otherwise it is said."""
    done = query(subject, target, TWICE, "--pause", "always")
    subject.account.check(DIFFERENT_MOMENTS not in done.err, "sql: one moment", done.err[:500])
    done = query(subject, target, TWICE, "--pause", "never")
    subject.account.check(DIFFERENT_MOMENTS in done.err, "sql: it is not said that the guest ran",
                          done.err[:500])
