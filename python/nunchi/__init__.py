# SPDX-License-Identifier: LGPL-2.1-or-later
"""nunchi: look into running virtual machines and saved guests from outside.

    import nunchi

    with nunchi.open("qemu:demo") as guest:
        for row in guest.processes(where=[("pid", ">", 100)]):
            print(row.pid, row.name)

Each view of nunchi is a method of a guest: views() and help(nunchi.Guest) tell of all. A guest is used
by one thread at a time; who uses it meanwhile gets BusyError. After fork() the child opens guests of
its own; if its parent had several threads, it may use nothing of nunchi before it executes another
program. Ctrl-C ends every call, and the guest can be used again.
"""
from __future__ import annotations

import operator
import os
import time
from collections import namedtuple

from . import _native
from ._native import (Absent, AmbiguousError, ArgumentError, BusyError, CancelledError, DataError,
                      Error, FaultError, GoneError, IOError, NoKernelError, NotFoundError,
                      OutOfMemoryError, PermissionError, RebootedError, TimeoutError,
                      TruncatedError, UnsupportedError)

__version__ = _native.version()

# In the order of the enums in nunchi.h.
_PAUSES = ("auto", "always", "never")
_SPACES = ("kernel", "process", "table", "physical")
_FORMATS = ("elf", "lime", "raw")
_EXPORTS = ("isf", "btf", "system-map")

Column = namedtuple("Column", "name type description unit")
View = namedtuple("View", "name description columns")
Found = namedtuple("Found", "target name hypervisor pid memory vcpus state access uuid user")
Fact = namedtuple("Fact", "topic name value evidence")
Printed = namedtuple("Printed", "value type address error")
Symbol = namedtuple("Symbol", "name address offset type module")
Level = namedtuple("Level", "table entry_address entry present large")
Translation = namedtuple("Translation", "levels mapped physical page_size writable user executable "
                         "fault")
Member = namedtuple("Member", "name type bit_offset bit_size depth is_bit_field is_hole")
Type = namedtuple("Type", "kind name target size holes module members")


def _schema(view):
    name, description, columns = view
    return View(name, description, tuple(Column(*column) for column in columns))


def views():
    """All views, as View(name, description, columns); a column has name, type, description, unit."""
    return [_schema(view) for view in _native.views()]


def probes():
    """All probes that Guest.trace() takes, in the same form."""
    return [_schema(probe) for probe in _native.probes()]


def list():
    """The guests that run on this host, as Found."""
    return [Found(*found) for found in _native.list()]


def open(target, **options):
    """Opens a guest: "xen:NAME", "qemu:NAME", "qemu:PID" or the path of a saved guest.

    The options are those of Guest.
    """
    return Guest(target, **options)


def sql(guests, statement):
    """The rows of a statement of SQL over the views of several guests, as SqlRows.

    guests: {"before": one, "after": other}; the names are schemas, as in after.processes, and a table
    without one is of the first guest. The statement, of which there is one, reads: SELECT, VALUES,
    WITH or EXPLAIN. Until its last row, or close(), no session of its guests can be open besides.
    """
    if not isinstance(statement, str):
        raise TypeError(f"a statement is a str, not {type(statement).__name__}")
    if "\0" in statement or any("\0" in name for name in guests):
        raise ArgumentError("a statement and the names of guests have no NUL")
    names, guests = [*guests], [*guests.values()]
    if not all(isinstance(guest, Guest) for guest in guests):
        raise TypeError("SQL is asked of guests that nunchi.open() made")
    if len({id(guest) for guest in guests}) < len(guests):
        raise ArgumentError("one guest has two names: open it twice")
    # A running guest that is paused for each query is copied until one moment has all that is needed.
    return SqlRows(_native.sql(names, [guest._native for guest in guests], statement,
                               any(guest._pause == "always" for guest in guests)))


def _index(word, words, what):
    if word not in words:
        raise ArgumentError(f"{what} is one of {', '.join(words)}, not {word!r}")
    return words.index(word)


def _number(value, what, bits=64):
    """A whole number, not negative, that fits into the bits."""
    value = operator.index(value)
    if not 0 <= value < 1 << bits:
        raise ArgumentError(f"{what} is a number of {bits} bits, not {value:#x}")
    return value


def _name(text):
    """A name of a symbol or type as the library takes it."""
    if not isinstance(text, str):
        raise TypeError(f"a name is a str, not {type(text).__name__}")
    if "\0" in text:
        raise ArgumentError("a name has no NUL")
    return text.encode("utf-8", "surrogateescape")


def _path(path):
    """A path as the library takes it."""
    path = os.fsencode(path)
    if b"\0" in path:
        raise ArgumentError("a path has no NUL")
    return path


def _text(value):
    """A value of a condition as text, as the library takes it."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, (str, int, float)):
        return str(value)
    raise TypeError(f"a condition compares with a text or a number, not {type(value).__name__}")


def _condition(column, operator, value):
    if operator == "in":
        return column, operator, [_text(one) for one in value]
    return column, operator, _text(value)


def _conditions(where, equal):
    return [_condition(*condition) for condition in where] + \
        [_condition(column, "==", value) for column, value in equal.items()]


def _columns(columns):
    if isinstance(columns, str):
        raise TypeError("columns is a sequence of names, not one text")
    return columns


class Row:
    """A row: row.name, row["name"], dict(row). `torn`: the guest changed it while it was read."""

    __slots__ = ("_row_names", "_row_cells", "torn")

    def __init__(self, names, cells, torn=False):
        self._row_names, self._row_cells, self.torn = names, cells, torn

    def __getattr__(self, name):
        try:
            return self._row_cells[self._row_names[name]]
        except KeyError:
            raise AttributeError(f"this row has no column {name!r}; it has: "
                                 f"{', '.join(self._row_names)}") from None

    def __getitem__(self, name):
        return self._row_cells[self._row_names[name]]

    def __iter__(self):
        return iter(self._row_names)

    def __len__(self):
        return len(self._row_cells)

    def __contains__(self, name):
        return name in self._row_names

    def __eq__(self, other):
        return isinstance(other, Row) and dict(self) == dict(other)

    __hash__ = None

    def __dir__(self):
        return [*super().__dir__(), *self._row_names]

    def __reduce__(self):
        raise TypeError("a row cannot be pickled: take dict(row)")

    def keys(self):
        return self._row_names.keys()

    def values(self):
        return self._row_cells

    def items(self):
        return zip(self._row_names, self._row_cells)

    def __repr__(self):
        cells = ", ".join(f"{name}={cell!r}" for name, cell in self.items())
        return f"Row({cells}{', torn=True' if self.torn else ''})"


class Rows:
    """The rows of a query, one after the other; also a context manager, which closes them.

    columns: those of the rows, as Column. warnings: what could not be read, complete after the last
    row.
    """

    def __init__(self, cursor):
        self._cursor = cursor
        self._told = None
        self.columns = tuple(Column(*column) for column in cursor.columns())
        self._names = {column.name: i for i, column in enumerate(self.columns)}

    def __iter__(self):
        return self

    def __next__(self):
        if self._told is not None:
            raise StopIteration
        row = self._cursor.next()
        if row is None:
            self._told = self._cursor.warnings()
            self._cursor.close()
            raise StopIteration
        return Row(self._names, *row)

    @property
    def warnings(self):
        return self._cursor.warnings() if self._told is None else self._told

    def close(self):
        if self._told is None:
            self._told = []
        self._cursor.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def to_dicts(self):
        """The rows that are left as a list of dicts, None for an absent cell."""
        return [{name: None if isinstance(cell, Absent) else cell for name, cell in row.items()}
                for row in self]

    def to_pandas(self):
        """The rows that are left as a pandas.DataFrame; needs pandas. Absent cells are missing."""
        import pandas

        dtypes = {"integer": "Int64", "address": "UInt64", "real": "Float64", "text": "string"}
        kinds = {"integer": int, "address": int, "real": float, "text": str}
        rows = self.to_dicts()
        arrays = {}
        for column in self.columns:
            cells = [row[column.name] for row in rows]
            # Of SQL a column may have values of several types.
            same = all(cell is None or isinstance(cell, kinds[column.type]) for cell in cells)
            arrays[column.name] = pandas.array(cells, dtype=dtypes[column.type] if same else object)
        return pandas.DataFrame(arrays)


class SqlRows(Rows):
    """The rows of a statement of SQL: Rows. A NULL is Absent, with the reason that its column has.

    columns: the type of one that is no plain column of a view is that of its value in the first row,
    and "text" before. torn: how many rows that were read of views are torn; one_moment: whether all
    that was read is of one moment; both complete after the last row. Rows that are closed before it
    keep what was known then; None where a guest was closed first, or is in use.
    """

    def __init__(self, statement):
        # Not Rows': what the columns are is asked for each time.
        self._statement = statement
        self._told = None
        self._columns = self._ask()
        self._names = {column.name: i for i, column in enumerate(self._columns)}

    def _ask(self):
        return tuple(Column(*column) for column in self._statement.columns())

    def __next__(self):
        if self._told is not None:
            raise StopIteration
        cells = self._statement.next()
        if cells is None:
            self._columns, self._told = self._ask(), self._statement.state()
            self._statement.close()
            raise StopIteration
        return Row(self._names, cells)

    def _state(self):
        return self._statement.state() if self._told is None else self._told

    @property
    def columns(self):
        return self._ask() if self._told is None else self._columns

    @property
    def warnings(self):
        return self._state()[0]

    @property
    def torn(self):
        return self._state()[1]

    @property
    def one_moment(self):
        return self._state()[2]

    def close(self):
        if self._told is None:
            try:
                self._told = self._statement.state()
            except Error:
                self._told = [], None, None
        self._statement.close()


class Trace:
    """Rows of probes, as they come: an iterator of Row, whose `probe` is the name of its probe.

    It waits for the next row until the trace is stopped, `timeout` seconds have passed, or the guest
    has ended (GoneError). Take rows without delay: a guest that has met a probe stands still until
    then. A with statement ends the trace.
    """

    def __init__(self, trace, timeout):
        self._trace = trace
        self._end = None if timeout is None else time.monotonic() + timeout
        self.columns = {name: tuple(Column(*column) for column in columns)
                        for name, columns in trace.columns()}
        # A row is a Row with one more cell.
        self._names = [(name, {column.name: i for i, column in enumerate(
            (Column("probe", "text", "", None), *columns))})
            for name, columns in self.columns.items()]

    def __iter__(self):
        return self

    def __next__(self):
        while True:
            left = 0.1 if self._end is None else self._end - time.monotonic()
            if left <= 0:
                self.stop()
            # Short waits, since Python handles signals between them.
            row = self._trace.next(max(0, min(100, int(left * 1000))))
            if row is False:
                raise StopIteration
            if row is not None:
                name, names = self._names[row[0]]
                return Row(names, (name, *row[1]))

    def stop(self):
        """Takes the probes out of the guest; rows that have come already are still given."""
        self._trace.stop()

    @property
    def warnings(self):
        return self._trace.warnings()

    @property
    def cost(self):
        """What the trace has cost: events, rows, dropped, pending, stopped_us."""
        return self._trace.cost()

    def close(self):
        self._trace.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Session:
    """Several queries on a guest that is checked once: guest.session(). Used by a with statement.

    While it is open, all that is asked of the guest belongs to it. It ends with the with statement, by
    close(), or when nobody has it any more.
    """

    def __init__(self, guest, hold):
        self.guest = guest
        self._native = guest._native.session(hold)

    @property
    def moment(self):
        """A number for the moment that the session shows; 0: rows have moments of their own."""
        return self._native.moment()

    def close(self):
        self._native.close()

    def __getattr__(self, name):
        if name in ("guest", "_native"):
            raise AttributeError(name)
        return getattr(self.guest, name)

    def __dir__(self):
        return [*super().__dir__(), *dir(self.guest)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Guest:
    """A guest whose memory can be read; nunchi.open() makes it, close() or a with statement ends it.

    pause: "auto" (pause a running guest only if a row stays torn), "always" or "never".
    symbols, types: files with the kernel's symbols (System.map) and types (BTF, vmlinux, ISF).
    kernel: where the memory has several, the physical address of the one's _text.
    remains: accept a kernel that no vCPU runs any more.
    note: use the VMCOREINFO note that the file or the hypervisor has.
    count_pages: count distinct pages for timing().
    events: prepare for trace().
    """

    def __init__(self, target, *, pause="auto", symbols=None, types=None, kernel=0, remains=False,
                 note=True, count_pages=False, events=False):
        self.target = os.fspath(target)
        if isinstance(self.target, bytes):
            self.target = os.fsdecode(self.target)
        self._pause = pause
        paths = [None if path is None else os.fsdecode(path) for path in (symbols, types)]
        self._native = _native.open(self.target, _index(pause, _PAUSES, "pause"), *paths,
                                    _number(kernel, "kernel"), remains, not note, count_pages,
                                    events)

    def close(self):
        """Ends sessions, rows and traces of the guest, and lets it go on if it is paused."""
        self._native.close()

    @property
    def closed(self):
        return self._native.is_closed()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __repr__(self):
        return f"<nunchi.Guest {self.target!r}{' closed' if self.closed else ''}>"

    @property
    def views(self):
        """All views: nunchi.views()."""
        return views()

    @property
    def notes(self):
        """What the user should know before relying on the results."""
        return self._native.notes()

    @property
    def remains(self):
        """Whether the kernel is one that no vCPU runs."""
        return self._native.timing()["remains"]

    def info(self):
        """What is known of the guest and how: a list of Fact(topic, name, value, evidence)."""
        return [Fact(*fact) for fact in self._native.info()]

    def timing(self):
        """Times and amounts since the guest was opened, as a dict."""
        timing = self._native.timing()
        del timing["remains"]
        return timing

    def attach(self):
        """Finds the kernel, or checks that the guest still runs it; all else does that by itself."""
        self._native.attach()

    def session(self, *, hold=False):
        """Opens a Session. hold: pause a running guest until the session is closed."""
        return Session(self, hold)

    def query(self, view, *, columns=None, where=(), limit=0, max_ms=0, max_bytes=0, **equal):
        """The rows of a view, by its name.

        columns: names of those wanted. where: conditions (column, operator, value), the operator one
        of == < <= > >= in prefix; name=value is short for (name, "==", value). An absent cell meets
        none. limit: the most rows; max_ms, max_bytes: the time and the memory that reading them may
        take; 0: no limit.
        """
        return Rows(self._native.query(view, _columns(columns), _conditions(where, equal),
                                       _number(limit, "limit"), _number(max_ms, "max_ms", 32),
                                       _number(max_bytes, "max_bytes")))

    def sql(self, statement):
        """The rows of a statement of SQL over the views, as SqlRows: nunchi.sql() with one guest."""
        return sql({"main": self}, statement)

    def trace(self, probes, *, columns=None, where=(), pid=0, lenient=False, timeout=None, **equal):
        """Sets probes in the running guest, which was opened with events=True; gives a Trace.

        probes: names as nunchi.probes() has them, or "kernel:FUNCTION". pid: only this process and
        its descendants. lenient: leave out probes that the kernel lacks. timeout: seconds after
        which the trace is stopped.
        """
        if isinstance(probes, str):
            probes = [probes]
        return Trace(self._native.trace(probes, _columns(columns), _conditions(where, equal),
                                        _number(pid, "pid", 63), lenient), timeout)

    def read(self, address, size, space="kernel", id=0):
        """Bytes of the guest's memory. space: "kernel", "process" (id: its pid), "table" (id: the
        physical address of a page table, CR3) or "physical"."""
        return self._native.read(_index(space, _SPACES, "space"), _number(id, "id"),
                                 _number(address, "an address"), _number(size, "size", 63))

    def translate(self, address, space="kernel", id=0):
        """Walks the page tables for an address, as Translation; `mapped` says whether it is there."""
        levels, *rest = self._native.translate(_index(space, _SPACES, "space"),
                                               _number(id, "id"), _number(address, "an address"))
        return Translation(tuple(Level(*level) for level in levels), *rest)

    def symbol(self, which):
        """The symbol of a name ("MODULE:NAME" for that module's), or at or before an address."""
        if isinstance(which, str):
            return Symbol(*self._native.symbol_find(_name(which)))
        return Symbol(*self._native.symbol_at(_number(which, "an address")))

    def print(self, expression, *, depth=1, limit=0):
        """What a C expression over the kernel's memory gives, as a list of Printed: one, or with
        each() one for each element.

        The value is an int; a str for text, and for a struct or array as C would initialise it,
        with the members of structs within `depth` others; None for a pointer to char that leads
        nowhere, and where `error` says why there is none. limit: the most elements; 0: no limit.
        """
        return [Printed(*row) for row in
                self._native.print(_name(expression), _number(depth, "depth", 31),
                                   _number(limit, "limit"))]

    def type(self, name):
        """A type of the kernel, such as "struct task_struct", with its members, as Type."""
        fields, members = self._native.type(_name(name))
        return Type(*fields, tuple(Member(*member) for member in members))

    def snapshot(self, path, format="elf", progress=None):
        """Writes the guest's memory to a new file. format: "elf", "lime" or "raw".

        progress: called with the bytes written and the total; if it gives False, or raises an
        exception, the file is not made.
        """
        self._native.snapshot(_path(path), _index(format, _FORMATS, "format"), progress)

    def export(self, what, path):
        """Writes the kernel's types and symbols to a new file, compressed if it is called .xz.

        what: "isf" (a symbol table for Volatility 3), "btf" or "system-map".
        """
        self._native.export(_index(what, _EXPORTS, "what"), _path(path))


def _method(view):
    """The method of a guest that queries the view."""
    def method(self, **how):
        return self.query(view.name, **how)

    method.__name__ = view.name
    method.__qualname__ = f"Guest.{view.name}"
    width = max(len(column.name) for column in view.columns)
    columns = "\n".join(f"    {column.name:<{width}}  {column.description}"
                        for column in view.columns)
    method.__doc__ = (f"{view.description[:1].upper()}{view.description[1:]}.\n\n"
                      f"Takes what query() takes. Columns:\n\n{columns}\n")
    return method


for _view in views():
    if not hasattr(Guest, _view.name):
        setattr(Guest, _view.name, _method(_view))
del _view

__all__ = [
    "Absent", "AmbiguousError", "ArgumentError", "BusyError", "CancelledError", "Column",
    "DataError", "Error", "Fact", "FaultError", "Found", "GoneError", "Guest", "IOError", "Level",
    "Member", "NoKernelError", "NotFoundError", "OutOfMemoryError", "PermissionError",
    "Printed", "RebootedError", "Row", "Rows", "Session", "SqlRows", "Symbol", "TimeoutError",
    "Trace", "Translation", "TruncatedError", "Type", "UnsupportedError", "View", "list", "open", "probes", "sql", "views"]
