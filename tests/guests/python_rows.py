# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rows as the Python module gives them, against what the command prints as JSON of the same moment.

run() asks a Python of its own, which this file is, too: python_rows.py MODULES TARGET VIEW… prints
for each view an object of JSON with its name and rows, those in the form of `nunchi show --json`, and
again by SQL, as view "sql NAME";
with `--trace` in place of views it prints the rows of the probe exec until it gets SIGINT.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

SECONDS = 120
MARK = "nunchi-python"
EXAMPLES = Path(__file__).parents[2] / "examples"


def shown(row: Any, columns: Any) -> dict[str, Any]:
    """The row as JSON has it; a text that is not UTF-8 as its bytes alone."""
    import nunchi

    result: dict[str, Any] = {}
    absent, raw = {}, {}
    for column, cell in zip(columns, row.values()):
        if isinstance(cell, nunchi.Absent):
            absent[column.name], cell = cell.reason, None
        elif column.type == "address":
            cell = hex(cell)
        elif column.type == "text":
            data = cell.encode("utf-8", "surrogateescape")
            if any("\ud800" <= letter <= "\udfff" for letter in cell):
                raw[column.name], cell = data.hex(), None
        result[column.name] = cell
    if absent:
        result["absent"] = absent
    if raw:
        result["raw"] = raw
    if row.torn:
        result["torn"] = True
    return result


def comparable(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the command without the replacements for what is not UTF-8."""
    return {name: None if name in row.get("raw", {}) else cell for name, cell in row.items()}


def run(subject: Any, form: str, target: str | Path, want: dict[str, Any]) -> None:
    """Compares the views in WANT: view -> what the command printed of it."""
    modules = subject.nunchi.path.parent / "python"
    if not (modules / "nunchi").is_dir():
        subject.account.skip("nunchi was built without its Python module")
        return
    done = subprocess.run([sys.executable, "-B", __file__, modules, target, *want],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS,
                          check=False)
    subject.account.check(done.returncode == 0, f"{form}: ends with {done.returncode}",
                          done.stderr.decode(errors="replace")[-800:])
    got = {answer["view"]: answer["rows"] for answer in map(json.loads, done.stdout.splitlines())}
    if any(view.startswith("sql ") for view in got):
        want = {**want, **{f"sql {view}": rows for view, rows in want.items()}}
    for view, command in want.items():
        rows, expected = got.get(view, []), [comparable(row) for row in command.rows]
        wrong = [f"got {row}, not {other}" for row, other in zip(rows, expected) if row != other]
        wrong += [f"{len(rows)} rows, not {len(expected)}"] * (len(rows) != len(expected))
        subject.account.compared(form, view, len(rows), len(wrong))
        subject.account.check(not wrong, f"{form}: {view}", *wrong)


def trace(subject: Any, guest: Any) -> None:
    """What a program is started with is a row; Ctrl-C ends the wait for the next."""
    import machine

    account, modules = subject.account, subject.nunchi.path.parent / "python"
    if not (modules / "nunchi").is_dir():
        return
    tracer = subprocess.Popen([sys.executable, "-B", __file__, modules, f"qemu:{guest.name}",
                               "--trace"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              text=True)
    timer = threading.Timer(SECONDS, tracer.kill)
    timer.start()
    try:
        begun = tracer.stdout.readline()
        machine.execute(guest, f"/bin/busybox true {MARK}")
        # The shell that starts it has it in its command line, too.
        want = {"probe": "exec", "cmdline": f"/bin/busybox true {MARK}"}
        seen = next((line for line in tracer.stdout if json.loads(line) == want), "")
        tracer.send_signal(signal.SIGINT)
        told = tracer.stdout.read().splitlines()
        status = tracer.wait()
    finally:
        timer.cancel()
        tracer.kill()
        tracer.wait()
        tracer.stdout.close()
    account.check(begun == "begun\n" and bool(seen), "trace, Python", begun)
    account.check(status == 0 and told[-1:] == ["interrupted"], "trace, Python: Ctrl-C",
                  f"status {status}", *told[-3:])
    machine.execute(guest, "/bin/busybox true")


def circles(subject: Any) -> None:
    """The examples end on a guest whose list of tasks, and a parent, lead back to themselves."""
    from guests import raw
    from guests.endless import members

    nunchi, account, path = subject.nunchi, subject.account, subject.raw
    modules = nunchi.path.parent / "python"
    if not (modules / "nunchi").is_dir():
        return
    task = members(nunchi, path, "task_struct")
    rows = nunchi.show(path, "processes").rows
    first, last = int(rows[0]["task"], 16), int(rows[-1]["task"], 16)
    own = int(next(row["task"] for row in rows if row.get("on_disk") == 0), 16)
    wanted = {last + task["tasks"]: first + task["tasks"], own + task["real_parent"]: own}
    places = {nunchi.physical(path, address): value for address, value in wanted.items()}
    environment = {**os.environ, "PYTHONPATH": str(modules)}
    with raw.opened(path) as image:
        for physical, value in places.items():
            image.write(physical, value.to_bytes(8, "little"))
        for name in ("student", "analyst"):
            command = [sys.executable, "-B", EXAMPLES / f"{name}.py", path]
            try:
                status = subprocess.run(command, stdin=subprocess.DEVNULL, env=environment,
                                        capture_output=True, timeout=SECONDS,
                                        check=False).returncode
            except subprocess.TimeoutExpired:
                status = None
            account.check(status == 0, f"example {name} in a circle ends with {status}")


def print_trace(target: str) -> None:
    import nunchi

    with nunchi.open(target, events=True) as guest, guest.trace("exec") as rows:
        print("begun", flush=True)
        try:
            for row in rows:
                print(json.dumps({"probe": row.probe, "cmdline": str(row.cmdline)}), flush=True)
        except KeyboardInterrupt:
            print("interrupted")


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    import nunchi

    if sys.argv[3] == "--trace":
        print_trace(sys.argv[2])
        return
    with nunchi.open(sys.argv[2]) as guest, guest.session():
        for view in sys.argv[3:]:
            rows = guest.query(view)
            found = [shown(row, rows.columns) for row in rows]
            print(json.dumps({"view": view, "rows": found}))
    with nunchi.open(sys.argv[2]) as guest:
        for view in sys.argv[3:]:
            # What is computed for one who asks by name alone is not in "*", as with a query.
            names = ", ".join(f'"{column.name}"' for column in guest.query(view, limit=1).columns)
            try:
                rows = guest.sql(f"select {names} from {view}")
            except nunchi.UnsupportedError:
                return
            found = [shown(row, rows.columns) for row in rows]
            print(json.dumps({"view": f"sql {view}", "rows": found}))


if __name__ == "__main__":
    main()
