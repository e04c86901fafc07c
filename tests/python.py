#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Python module on a saved guest made by hand: python.py BUILD/python WRITE_GUEST [TEST…].

Rows of real guests are compared by tests/guests/python_rows.py.
"""
from __future__ import annotations

import gc
import inspect
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
MODULES, WRITER = sys.argv[1:3]
sys.path.insert(0, MODULES)

import nunchi  # noqa: E402

GUEST = ""
# The most that a thousand rounds may leave in memory.
LEAK_KB = 1024
ROUNDS = 1000


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs it in a process of its own, where `guest` is the guest."""
    head = f"import gc, os, signal, sys\nsys.path.insert(0, {MODULES!r})\nimport nunchi\n" \
        f"guest = nunchi.open({GUEST!r})\n"
    return subprocess.run([sys.executable, "-B", "-c", head + code], capture_output=True, text=True,
                          timeout=60, env={**os.environ, **environment})


def resident_kb() -> int:
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * os.sysconf("SC_PAGESIZE") // 1024


class Registry(unittest.TestCase):
    def test_views_are_methods(self) -> None:
        views = nunchi.views()
        self.assertEqual([view.name for view in views], sorted(view.name for view in views))
        for view in views:
            doc = getattr(nunchi.Guest, view.name).__doc__
            for column in view.columns:
                self.assertIn(column.description, doc)
                self.assertIn(column.type, ("integer", "real", "address", "text"))
        with nunchi.open(GUEST) as guest:
            self.assertEqual(guest.views, views)

    def test_no_view_has_a_name_of_ours(self) -> None:
        for view in nunchi.views():
            self.assertEqual(getattr(nunchi.Guest, view.name).__qualname__, f"Guest.{view.name}")

    def test_probes(self) -> None:
        self.assertIn("exec", [probe.name for probe in nunchi.probes()])

    def test_all_is_there(self) -> None:
        for name in nunchi.__all__:
            self.assertTrue(hasattr(nunchi, name), name)

    def test_stub_says_what_there_is(self) -> None:
        stub = Path(nunchi.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
        compile(stub, "stub", "exec")
        for name in nunchi.__all__:
            self.assertRegex(stub, rf"(?m)^(class|def) {name}\b")
        for kind in (nunchi.Guest, nunchi.Session, nunchi.Rows, nunchi.SqlRows, nunchi.Trace):
            views = {view.name for view in nunchi.views()}
            for name in set(vars(kind)) - views:
                if not name.startswith("_"):
                    self.assertRegex(stub, rf"(?m)^    def {name}\(", kind)
        for name in inspect.signature(nunchi.Guest).parameters:
            self.assertIn(f"{name}:", stub)

    def test_list(self) -> None:
        for found in nunchi.list():
            self.assertTrue(found.target)


class Queries(unittest.TestCase):
    def setUp(self) -> None:
        self.guest = nunchi.open(GUEST)
        self.addCleanup(self.guest.close)

    def test_rows(self) -> None:
        rows = self.guest.symbols()
        self.assertEqual([column.name for column in rows.columns][:2], ["name", "address"])
        everything = [dict(row) for row in rows]
        self.assertGreater(len(everything), 100)
        self.assertEqual(rows.warnings, [])
        self.assertEqual(list(rows), [])
        self.assertEqual(everything, self.guest.query("symbols").to_dicts())

    def test_row(self) -> None:
        row = next(self.guest.symbols(name="phys_base"))
        self.assertEqual((row.name, row["name"], dict(row)["name"]), ("phys_base",) * 3)
        self.assertEqual(row.address, self.guest.symbol("phys_base").address)
        self.assertFalse(row.torn)
        self.assertIn("name='phys_base'", repr(row))
        self.assertEqual(row, next(self.guest.symbols(name="phys_base")))
        self.assertIn("address", dir(row))
        with self.assertRaisesRegex(AttributeError, "no column 'nmae'"):
            row.nmae
        with self.assertRaises(KeyError):
            row["nmae"]

    def test_conditions(self) -> None:
        names = [row.name for row in self.guest.symbols(columns=["name"])]
        first = next(self.guest.symbols(limit=1)).address
        lowest = [row.name for row in self.guest.symbols() if row.address <= first]
        cases = (([("name", "prefix", "phys_")], [n for n in names if n.startswith("phys_")]),
                 ([("name", "in", ["phys_base", "no"])], ["phys_base"]),
                 ([("address", "<=", first)], lowest),
                 ([("address", ">", first), ("address", "<", first)], []))
        for where, want in cases:
            rows = self.guest.symbols(columns=["name"], where=where)
            self.assertEqual([row.name for row in rows], want, where)
        self.assertEqual(len(list(self.guest.symbols(limit=7))), 7)

    def test_absent(self) -> None:
        row = next(self.guest.kernel_info())
        absent = [cell for cell in row.values() if isinstance(cell, nunchi.Absent)]
        self.assertTrue(absent)
        for cell in absent:
            self.assertFalse(cell)
            self.assertTrue(cell.reason)
            self.assertEqual(str(cell), f"<{cell.reason}>")
        self.assertIn(None, self.guest.kernel_info().to_dicts()[0].values())

    def test_bad_arguments(self) -> None:
        guest = self.guest
        for wrong in (lambda: guest.symbols(columns="name"), lambda: guest.symbols(columns=[1]),
                      lambda: guest.symbols(where=[("name", "==")]),
                      lambda: guest.symbols(where=[(1, "==", "x")]),
                      lambda: guest.symbols(where=5), lambda: guest.symbols(name=None),
                      lambda: guest.symbols(name=["x"]), lambda: guest.read("x", 1),
                      lambda: guest.read(1, "x"), lambda: guest.symbol(None),
                      lambda: guest.symbol(1.5), lambda: guest.type(1),
                      lambda: guest.print(1), lambda: nunchi.open(1),
                      lambda: guest.symbols(limit="x"), lambda: guest.snapshot(3.5)):
            with self.assertRaises(TypeError):
                wrong()
        for wrong in (lambda: guest.symbols(nmae="x"), lambda: guest.symbols(columns=["nmae"]),
                      lambda: guest.symbols(where=[("name", "~", "x")]),
                      lambda: guest.symbols(address="x"), lambda: guest.symbols(name="a\0b"),
                      lambda: guest.read(0, 1, "nowhere"), lambda: guest.read(-1, 1),
                      lambda: guest.read(1 << 64, 1), lambda: guest.symbol("a\0b"),
                      lambda: guest.type("a\0b"), lambda: guest.snapshot("a\0b"),
                      lambda: nunchi.open(GUEST, pause="now"), lambda: nunchi.open("a\0b"),
                      lambda: guest.snapshot("/tmp/x", format="gif")):
            with self.assertRaises(ValueError):
                wrong()
        self.assertRaises(MemoryError, guest.read, 0, 1 << 62)
        with self.assertRaises(nunchi.NotFoundError) as caught:
            guest.query("prcesses")
        self.assertTrue(caught.exception.hint)

    def test_numbers_out_of_range(self) -> None:
        """None becomes another number, such as 0, which is no limit."""
        guest = self.guest
        for wrong in (lambda: guest.symbols(limit=1 << 64), lambda: guest.symbols(limit=-1),
                      lambda: guest.symbols(max_ms=1 << 32), lambda: guest.symbols(max_ms=-1),
                      lambda: guest.symbols(max_bytes=1 << 64),
                      lambda: guest.symbols(max_bytes=-1),
                      lambda: guest.read(0, -1), lambda: guest.read(0, 1 << 63),
                      lambda: guest.trace("exec", pid=-1),
                      lambda: guest.trace("exec", pid=1 << 63)):
            with self.assertRaisesRegex(nunchi.ArgumentError, r" bits, not "):
                wrong()
        self.assertEqual(len(list(guest.symbols(limit=3, max_ms=(1 << 32) - 1,
                                                max_bytes=(1 << 64) - 1))), 3)

    def test_text_that_is_not_utf8(self) -> None:
        self.assertEqual(list(self.guest.symbols(name="\udcff\udcfe")), [])
        self.assertEqual(list(self.guest.symbols(name=b"\xff\xfe")), [])

    def test_pandas(self) -> None:
        try:
            import pandas
        except ImportError:
            self.skipTest("no pandas")
        frame = self.guest.symbols(limit=3).to_pandas()
        self.assertIsInstance(frame, pandas.DataFrame)
        self.assertEqual(len(frame), 3)


class Sql(unittest.TestCase):
    ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"

    def setUp(self) -> None:
        self.guest = nunchi.open(GUEST)
        self.addCleanup(self.guest.close)
        try:
            self.guest.sql("select 1").close()
        except nunchi.UnsupportedError as error:
            self.skipTest(str(error))

    def test_rows(self) -> None:
        with self.guest.sql("select name, address from symbols order by name limit 3") as rows:
            self.assertEqual([column.name for column in rows.columns], ["name", "address"])
            found = [(row.name, row.address) for row in rows]
        want = sorted((row.name, row.address) for row in self.guest.symbols())[:3]
        self.assertEqual(found, want)
        self.assertEqual((rows.warnings, rows.torn, rows.one_moment), ([], 0, True))
        self.assertEqual(list(rows), [])
        row = next(self.guest.sql("select 1 as a, 2.5 as b, 'x' as c, null as d, 1 as a"))
        self.assertEqual((row.a, row.b, row.c, row["a:1"], row.d.reason), (1, 2.5, "x", 1, "null"))
        self.assertFalse(row.torn)
        self.assertEqual(self.guest.sql("values (1), ('two')").to_dicts(),
                         [{"column1": 1}, {"column1": "two"}])

    def test_columns(self) -> None:
        rows = self.guest.sql("select address, 1.5 as real, name || '' as text from symbols")
        self.assertEqual(rows.columns[0].type, "address")
        next(rows)
        self.assertEqual([column.type for column in rows.columns], ["address", "real", "text"])
        rows.close()
        self.assertEqual(list(self.guest.sql("select 1 where 0").columns)[0].name, "1")

    def test_names(self) -> None:
        """Columns that need quotes: src/edit/complete.c knows them."""
        quoted = set()
        for view in nunchi.views():
            for column in view.columns:
                try:
                    self.guest.sql(f"select {column.name} from {view.name}").close()
                except nunchi.ArgumentError:
                    quoted.add(column.name)
                    self.guest.sql(f'select "{column.name}" from {view.name}').close()
        self.assertEqual(quoted, {"check", "references"})

    def test_absent(self) -> None:
        """The reason is that of the view."""
        view = next(self.guest.kernel_info())
        name = next(name for name, cell in view.items() if isinstance(cell, nunchi.Absent))
        row = next(self.guest.sql(f"select {name}, absence({name}) as why from kernel_info"))
        self.assertEqual((row[name], row.why), (view[name], view[name].reason))
        self.assertEqual(self.guest.sql(f"select {name} from kernel_info").to_dicts(), [{name: None}])

    def test_texts(self) -> None:
        row = next(self.guest.sql("select 'é\U0001f600' as good, cast(x'fffe' as text) as bad"))
        self.assertEqual((row.good, row.bad), ("é\U0001f600", "\udcff\udcfe"))

    def test_two_guests(self) -> None:
        with nunchi.open(GUEST) as other:
            rows = nunchi.sql({"before": self.guest, "after": other},
                              "select count(*) as n from after.symbols a join before.symbols b "
                              "using (name, address)")
            count = next(rows).n
            rows.close()
            self.assertGreater(count, 100)
            with self.assertRaisesRegex(nunchi.ArgumentError, "two names"):
                nunchi.sql({"a": other, "b": other}, "select 1")
            with self.assertRaisesRegex(nunchi.ArgumentError, "schema has a name"):
                nunchi.sql({"no name": other}, "select 1")

    def test_errors(self) -> None:
        with self.assertRaisesRegex(nunchi.ArgumentError, "no such column: nmae") as caught:
            self.guest.sql("select 'é', nmae from symbols")
        self.assertEqual(caught.exception.offset, len("select 'é', "))
        with self.assertRaises(nunchi.FaultError) as fault:
            self.guest.read(0, 1)
        self.assertIsNone(fault.exception.offset)
        for text in ("", " -- nothing", "select 1; select 2", "select 1; selec", "selec", "a\0b"):
            self.assertRaises(ValueError, self.guest.sql, text)
        self.assertEqual(next(self.guest.sql("select 1 as a; -- no more\n")).a, 1)
        with self.assertRaises(nunchi.PermissionError) as refused:
            self.guest.sql("create table x(a)")
        self.assertTrue(refused.exception.hint)
        for wrong in (lambda: self.guest.sql(1), lambda: nunchi.sql({"a": 1}, "select 1"),
                      lambda: nunchi.sql({1: self.guest}, "select 1")):
            self.assertRaises(TypeError, wrong)
        with self.assertRaises(nunchi.Error):
            next(self.guest.sql("select print('no such thing')"))

    def test_session(self) -> None:
        """A statement is a session of its own, up to its last row."""
        with self.guest.session():
            self.assertRaises(nunchi.BusyError, next, self.guest.sql("select * from symbols"))
        rows = self.guest.sql("select * from symbols")
        next(rows)
        self.assertRaises(nunchi.BusyError, self.guest.session)
        self.assertTrue(list(self.guest.symbols(limit=1)))
        rows.close()
        self.guest.session().close()

    def test_closed(self) -> None:
        """A guest that is closed ends statements over it; and rows that are closed, or dropped, end."""
        rows = self.guest.sql("select * from symbols")
        next(rows)
        rows.close()
        self.assertEqual((list(rows), rows.warnings, rows.torn, rows.one_moment), ([], [], 0, True))
        rows = self.guest.sql("select * from symbols")
        next(rows)
        del rows
        self.guest.session().close()
        other = nunchi.open(GUEST)
        rows = nunchi.sql({"a": self.guest, "b": other}, "select * from b.symbols, a.uptime")
        other.close()
        for use in (lambda: next(rows), lambda: rows.warnings, lambda: rows.columns):
            self.assertRaisesRegex(nunchi.ArgumentError, "closed", use)
        rows.close()
        self.assertEqual((rows.warnings, rows.torn, rows.one_moment), ([], None, None))
        self.assertRaisesRegex(nunchi.ArgumentError, "closed", other.sql, "select 1")
        for seed in range(40):
            guests = [nunchi.open(GUEST) for _ in range(2)]
            things = [*guests, *(nunchi.sql({"a": guests[0], "b": guests[1]},
                                            "select * from a.symbols, b.symbols") for _ in range(2))]
            next(things[-1])
            del guests
            random.Random(seed).shuffle(things)
            while things:
                thing = things.pop()
                if seed % 2:
                    thing.close()
                del thing
            gc.collect()

    def test_interrupt(self) -> None:
        ran = run_python(
            "import threading, time\n"
            "def interrupt():\n"
            "    time.sleep(0.5)\n"
            "    os.kill(os.getpid(), signal.SIGINT)\n"
            "threading.Thread(target=interrupt).start()\n"
            "try:\n"
            f"    next(guest.sql({self.ENDLESS!r}))\n"
            "except KeyboardInterrupt:\n"
            "    print('interrupted', next(guest.sql('select 5 as a')).a)\n")
        self.assertEqual((ran.returncode, ran.stdout, ran.stderr), (0, "interrupted 5\n", ""))

    def test_threads(self) -> None:
        """Other threads run meanwhile; who uses or closes the guest gets BusyError."""
        ran = run_python(
            "import threading, time\n"
            f"rows = guest.sql({self.ENDLESS!r})\n"
            "seen = []\n"
            "def other():\n"
            "    time.sleep(0.3)\n"
            "    for use in (guest.attach, guest.close, lambda: next(rows), lambda: rows.warnings):\n"
            "        try:\n"
            "            use()\n"
            "        except nunchi.BusyError:\n"
            "            seen.append(1)\n"
            "    rows.close()\n"
            "    os.kill(os.getpid(), signal.SIGINT)\n"
            "thread = threading.Thread(target=other)\n"
            "thread.start()\n"
            "try:\n"
            "    next(rows)\n"
            "except KeyboardInterrupt:\n"
            "    thread.join()\n"
            "    guest.session().close()\n"
            "    print(len(seen))\n")
        self.assertEqual((ran.returncode, ran.stdout, ran.stderr), (0, "4\n", ""))

    def test_closed_at_once(self) -> None:
        """One thread closes a guest, so that the other guest of a statement goes, one the rows."""
        ran = run_python(
            "import threading\n"
            "sys.setswitchinterval(1e-5)\n"
            "for n in range(60):\n"
            f"    kept = nunchi.open({GUEST!r})\n"
            f"    rows = nunchi.sql({{'a': kept, 'b': nunchi.open({GUEST!r})}}, 'select 1')\n"
            "    statement, ready = rows._statement, threading.Event()\n"
            "    def drop():\n"
            "        while not ready.is_set():\n"
            "            pass\n"
            "        statement.close()\n"
            "    thread = threading.Thread(target=drop)\n"
            "    thread.start()\n"
            "    ready.set()\n"
            "    kept.close()\n"
            "    thread.join()\n", MALLOC_PERTURB_="165")
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))

    def test_fork(self) -> None:
        rows = self.guest.sql("select * from symbols")
        next(rows)
        child = os.fork()
        if not child:
            status = 1
            try:
                next(rows)
            except nunchi.ArgumentError as error:
                rows.close()
                with nunchi.open(GUEST) as own:
                    status = 0 if "fork()" in str(error) and next(own.sql("select 1 as a")).a else 2
            finally:
                os._exit(status)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        next(rows)

    def test_memory(self) -> None:
        """A thousand statements leave nothing."""
        for begun in (False, True):
            def ask(begun: bool = begun) -> None:
                rows = self.guest.sql("select name from symbols limit 2")
                if begun:
                    next(rows)
            for _ in range(50):
                ask()
            before = resident_kb()
            for _ in range(ROUNDS // 2):
                ask()
            self.assertLess(resident_kb() - before, LEAK_KB)


class Memory(unittest.TestCase):
    def setUp(self) -> None:
        self.guest = nunchi.open(GUEST)
        self.addCleanup(self.guest.close)

    def test_read(self) -> None:
        data = Path(GUEST).read_bytes()
        self.assertEqual(self.guest.read(0x1000000, 64, "physical"), data[0x1000000:0x1000040])
        symbol = self.guest.symbol("phys_base")
        translation = self.guest.translate(symbol.address)
        self.assertTrue(translation.mapped)
        self.assertEqual(self.guest.read(symbol.address, 8),
                         data[translation.physical:translation.physical + 8])
        self.assertEqual(self.guest.read(0, 0, "physical"), b"")

    def test_fault(self) -> None:
        with self.assertRaises(nunchi.FaultError) as caught:
            self.guest.read(0x10, 4)
        self.assertEqual(caught.exception.address, 0x10)
        self.assertEqual(caught.exception.code, 7)
        self.assertIsInstance(caught.exception, nunchi.Error)
        translation = self.guest.translate(0x10)
        self.assertFalse(translation.mapped)
        self.assertTrue(translation.fault)

    def test_symbol_and_type(self) -> None:
        symbol = self.guest.symbol("phys_base")
        self.assertEqual(self.guest.symbol(symbol.address + 3), symbol._replace(offset=3))
        with self.assertRaises(nunchi.NotFoundError) as caught:
            self.guest.symbol("phys_bas")
        self.assertIn("phys_base", caught.exception.hint)
        task = self.guest.type("task_struct")
        self.assertEqual((task.kind, task.size), ("struct", 64))
        self.assertIn("pid", [member.name for member in task.members])
        self.assertRaises(nunchi.DataError, self.guest.type, "bomb")

    def test_facts(self) -> None:
        self.assertIn("kernel", {fact.topic for fact in self.guest.info()})
        self.assertGreater(self.guest.timing()["attach_ms"], 0)
        self.assertFalse(self.guest.remains)
        self.assertIsInstance(self.guest.notes, list)


class Lifetimes(unittest.TestCase):
    def test_closed_guest(self) -> None:
        guest = nunchi.open(GUEST)
        rows = guest.symbols()
        next(rows)
        guest.close()
        guest.close()
        self.assertTrue(guest.closed)
        for use in (guest.attach, guest.symbols, guest.session, guest.info, guest.timing,
                    lambda: guest.notes, lambda: guest.read(0, 1), lambda: guest.symbol("x"),
                    lambda: guest.type("x"), lambda: guest.translate(0),
                    lambda: guest.trace("exec"), lambda: guest.snapshot("/tmp/x"),
                    lambda: guest.export("isf", "/tmp/x"),
                    lambda: next(rows), lambda: rows.warnings):
            with self.assertRaisesRegex(nunchi.ArgumentError, "closed"):
                use()
        rows.close()

    def test_closed_rows(self) -> None:
        with nunchi.open(GUEST) as guest:
            with guest.symbols() as rows:
                next(rows)
            self.assertEqual(list(rows), [])
            self.assertEqual(rows.warnings, [])

    def test_any_order(self) -> None:
        for seed in range(40):
            guest = nunchi.open(GUEST)
            session = guest.session()
            rows = [guest.symbols() for _ in range(3)]
            for one in rows:
                next(one)
            things = [guest, session, *rows]
            del guest, session, rows, one
            random.Random(seed).shuffle(things)
            while things:
                things.pop()
            gc.collect()

    def test_session(self) -> None:
        with nunchi.open(GUEST) as guest:
            with guest.session() as session:
                self.assertEqual(session.moment, 1)
                rows = session.symbols()
                next(rows)
                with self.assertRaises(nunchi.BusyError):
                    guest.session()
            with self.assertRaisesRegex(nunchi.ArgumentError, "session of this cursor was closed"):
                next(rows)
            guest.session(hold=True).close()

    def test_dropped_session(self) -> None:
        """A session ends with its object."""
        with nunchi.open(GUEST) as guest:
            guest.session(hold=True)
            session = guest.session(hold=True)
            rows = session.symbols()
            del session
            with self.assertRaisesRegex(nunchi.ArgumentError, "session of this cursor was closed"):
                next(rows)
            session = guest.session()
        del session

    def test_session_of_a_guest_in_use(self) -> None:
        """One that nobody has any more is closed when the guest is free."""
        with nunchi.open(GUEST) as guest, tempfile.TemporaryDirectory() as folder:
            sessions = [guest.session(hold=True)]
            guest.snapshot(Path(folder) / "snapshot", progress=lambda *_: sessions.clear())
            self.assertEqual(sessions, [])
            guest.session().close()

    def test_closed_session(self) -> None:
        """It does not close the next one, and shows no moment of it."""
        with nunchi.open(GUEST) as guest:
            first = guest.session()
            first.close()
            second = guest.session(hold=True)
            first.close()
            self.assertEqual((first.moment, second.moment), (0, 1))
            del first
            self.assertRaises(nunchi.BusyError, guest.session)
            second.close()
        second.close()
        self.assertEqual(second.moment, 0)

    def test_collector(self) -> None:
        """The garbage collector may close what a call reads, and the guest, while it reads."""
        for use in ("guest.notes", "rows.warnings", "rows._cursor.columns()"):
            for close in ("guest.close", "rows.close"):
                ran = run_python(
                    "class Closer:\n"
                    "    def __init__(self, close):\n"
                    "        self.close, self.cycle = close, self\n"
                    "    def __del__(self):\n"
                    "        try:\n"
                    "            self.close()\n"
                    "        except nunchi.BusyError:\n"
                    "            pass\n"
                    "rows = guest.symbols()\n"
                    "gc.set_threshold(1)\n"
                    # Python's lists of free objects are empty after that.
                    "gc.collect()\n"
                    "gc.disable()\n"
                    f"Closer({close})\n"
                    "gc.enable()\n"
                    f"{use}\n")
                self.assertEqual((ran.returncode, ran.stderr), (0, ""), (use, close))

    def test_rows_closed_by_another_thread(self) -> None:
        ran = run_python(
            "import threading\n"
            "sys.setswitchinterval(1e-6)\n"
            "box, stop = [], threading.Event()\n"
            "def close():\n"
            "    while not stop.is_set():\n"
            "        if box:\n"
            "            box.pop().close()\n"
            "other = threading.Thread(target=close)\n"
            "other.start()\n"
            "for _ in range(500):\n"
            "    rows = guest.symbols()\n"
            "    box.append(rows)\n"
            "    try:\n"
            "        list(rows)\n"
            "    except nunchi.ArgumentError:\n"
            "        pass\n"
            "stop.set()\n"
            "other.join()\n")
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))

    def test_not_made_by_hand(self) -> None:
        with nunchi.open(GUEST) as guest:
            rows = guest.symbols()
            session = guest.session()
            for made in (guest._native, rows._cursor, session._native, nunchi.Absent):
                kind = made if isinstance(made, type) else type(made)
                self.assertRaises(TypeError, kind)

    def test_no_such_guest(self) -> None:
        for target in ("/nonexistent/guest", "qemu:no-such-guest"):
            with self.assertRaises(nunchi.NotFoundError) as caught:
                nunchi.open(target)
            self.assertTrue(str(caught.exception))

    def test_fork(self) -> None:
        guest = nunchi.open(GUEST)
        session = guest.session()
        rows = guest.symbols()
        next(rows)
        child = os.fork()
        if not child:
            status = 1
            try:
                guest.attach()
            except nunchi.ArgumentError as error:
                with session:
                    pass
                guest.close()
                rows.close()
                with nunchi.open(GUEST) as own:
                    status = 0 if "fork()" in str(error) and own.symbol("phys_base") else 2
            finally:
                os._exit(status)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertGreater(len(list(rows)), 100)
        self.assertEqual(session.moment, 1)
        guest.close()

    def test_nothing_leaks(self) -> None:
        def use() -> None:
            with nunchi.open(GUEST) as guest:
                list(guest.symbols(name="phys_base", where=[("name", "in", ["phys_base"])]))
                next(guest.symbols())
                guest.session()
                guest.type("task_struct")
                guest.translate(guest.symbol("phys_base").address)
                guest.info()
                for wrong in (lambda: guest.read(0x10, 4), lambda: guest.symbols(nmae=1),
                              lambda: guest.symbols(where=[("name", "in", ["a", 1.5, None])])):
                    try:
                        wrong()
                    except (nunchi.Error, TypeError):
                        pass
        for _ in range(100):
            use()
        gc.collect()
        before, counted = resident_kb(), sys.getallocatedblocks()
        for _ in range(ROUNDS):
            use()
        gc.collect()
        self.assertLess(resident_kb() - before, LEAK_KB)
        self.assertLess(sys.getallocatedblocks() - counted, 200)


class Callbacks(unittest.TestCase):
    def setUp(self) -> None:
        self.guest = nunchi.open(GUEST)
        self.addCleanup(self.guest.close)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "snapshot"

    def test_snapshot(self) -> None:
        told: list[tuple[int, int]] = []
        self.guest.snapshot(self.path, "lime", lambda done, total: told.append((done, total)))
        self.assertTrue(told)
        self.assertEqual(told[-1][0], told[-1][1])
        with nunchi.open(self.path) as again:
            self.assertEqual(again.symbols().to_dicts(), self.guest.symbols().to_dicts())
        with self.assertRaisesRegex(nunchi.ArgumentError, "exists"):
            self.guest.snapshot(self.path, "lime")

    def test_export(self) -> None:
        self.guest.export("isf", self.path)
        table = json.loads(self.path.read_text(encoding="utf-8"))
        self.assertEqual(table["user_types"]["task_struct"]["size"], 64)
        with self.assertRaisesRegex(nunchi.ArgumentError, "exists"):
            self.guest.export("isf", self.path)
        for wrong in (("elf", "/tmp/x"), ("isf", "a\0b")):
            self.assertRaises(ValueError, self.guest.export, *wrong)

    def refuses(self, progress: object, error: type[BaseException]) -> None:
        with self.assertRaises(error):
            self.guest.snapshot(self.path, progress=progress)
        self.assertFalse(self.path.exists())
        self.assertTrue(self.guest.symbol("phys_base"))

    def test_exception_in_it(self) -> None:
        self.refuses(lambda done, total: 1 // 0, ZeroDivisionError)
        self.refuses(lambda: None, TypeError)
        self.refuses(5, TypeError)

    def test_it_says_no(self) -> None:
        self.refuses(lambda done, total: False, nunchi.CancelledError)

    def test_it_refuses_the_whole(self) -> None:
        """The last call, when all is written, decides as well."""
        self.refuses(lambda done, total: done < total, nunchi.CancelledError)
        self.refuses(lambda done, total: 1 // (total - done), ZeroDivisionError)

    def test_it_uses_the_guest(self) -> None:
        for use in (lambda *_: self.guest.symbol("phys_base"), lambda *_: self.guest.close(),
                    lambda *_: self.guest.symbols()):
            self.refuses(use, nunchi.BusyError)

    def test_it_drops_rows(self) -> None:
        """Rows of a guest that is in use are closed later."""
        rows = [self.guest.symbols()]
        next(rows[0])
        self.guest.snapshot(self.path, progress=lambda *_: rows.clear())
        self.assertEqual(rows, [])
        self.assertTrue(self.guest.symbol("phys_base"))

    def test_it_uses_another_guest(self) -> None:
        with nunchi.open(GUEST) as other:
            self.guest.snapshot(self.path, progress=lambda *_: other.symbol("phys_base"))

    def test_another_thread(self) -> None:
        """Told that the guest is in use; the same thread with a guest of its own is not."""
        begun, done = threading.Event(), threading.Event()
        caught: list[object] = []

        def use() -> None:
            begun.wait(30)
            try:
                self.guest.symbols()
            except nunchi.BusyError as error:
                caught.append(error)
            with nunchi.open(GUEST) as own:
                caught.append(own.symbol("phys_base"))
            done.set()

        def wait(*_: int) -> None:
            begun.set()
            done.wait(30)

        other = threading.Thread(target=use)
        other.start()
        self.guest.snapshot(self.path, progress=wait)
        other.join()
        self.assertEqual([type(one) for one in caught], [nunchi.BusyError, nunchi.Symbol])

    def test_interrupted_in_it(self) -> None:
        self.refuses(lambda *_: signal.raise_signal(signal.SIGINT), KeyboardInterrupt)


class Interrupts(unittest.TestCase):
    """Ctrl-C in a call that takes long: looking for a kernel where there is none."""

    @classmethod
    def setUpClass(cls) -> None:
        page = random.Random(1).randbytes(1 << 20)
        with tempfile.NamedTemporaryFile(delete=False) as file:
            for _ in range(384):
                file.write(page)
        cls.path = file.name

    @classmethod
    def tearDownClass(cls) -> None:
        os.unlink(cls.path)

    def interrupt(self, call: object) -> BaseException:
        """What call() raises when the process gets SIGINT while it runs."""
        sender = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT))
        sender.start()
        try:
            call()
            time.sleep(30)
        except BaseException as error:
            return error
        finally:
            sender.join()
        return AssertionError("nothing was raised")

    def test_interrupt(self) -> None:
        with nunchi.open(self.path) as guest:
            started = time.monotonic()
            self.assertRaises(nunchi.NoKernelError, guest.attach)
            whole = time.monotonic() - started
        if whole < 0.1:
            self.skipTest(f"the search takes {whole:.3f} s only")
        with nunchi.open(self.path) as guest:
            error = self.interrupt(guest.attach)
            self.assertIsInstance(error, KeyboardInterrupt)
            # One that came only after the call had ended would have its error as context.
            self.assertIsNone(error.__context__)
            self.assertEqual(len(guest.read(0, 16, "physical")), 16)
            self.assertRaises(nunchi.NoKernelError, guest.attach)
        self.assertIs(signal.getsignal(signal.SIGINT), signal.default_int_handler)

    def test_handler_that_goes_on(self) -> None:
        """The call is cancelled all the same."""
        told: list[int] = []
        before = signal.signal(signal.SIGINT, lambda number, frame: told.append(number))
        try:
            with nunchi.open(self.path) as guest:
                self.assertIsInstance(self.interrupt(guest.attach), nunchi.CancelledError)
            self.assertEqual(told, [signal.SIGINT])
        finally:
            signal.signal(signal.SIGINT, before)

    def test_handler_set_in_a_call(self) -> None:
        """It is the one after the call."""
        with tempfile.TemporaryDirectory() as folder:
            ran = run_python("def progress(*_):\n"
                             "    signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
                             f"guest.snapshot({folder + '/snapshot'!r}, progress=progress)\n"
                             "os.kill(os.getpid(), signal.SIGINT)\n")
        self.assertEqual((ran.returncode, ran.stderr), (-signal.SIGINT, ""))

    def test_ignored(self) -> None:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            with nunchi.open(self.path) as guest:
                self.assertIsInstance(self.interrupt(guest.attach), nunchi.NoKernelError)
        finally:
            signal.signal(signal.SIGINT, before)

    def test_gil_is_released(self) -> None:
        count, stop = [0], threading.Event()

        def work() -> None:
            while not stop.is_set():
                count[0] += 1

        with nunchi.open(self.path) as guest:
            other = threading.Thread(target=work)
            other.start()
            before = count[0]
            self.assertRaises(nunchi.NoKernelError, guest.attach)
            ran = count[0] - before
            stop.set()
            other.join()
        self.assertGreater(ran, 1000)


def main() -> int:
    global GUEST
    GUEST = subprocess.run([WRITER], capture_output=True, text=True, check=True,
                           timeout=60).stdout.strip()
    try:
        program = unittest.main(argv=[sys.argv[0], *sys.argv[3:]], exit=False)
    finally:
        os.unlink(GUEST)
    return 0 if program.result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
