# SPDX-License-Identifier: LGPL-2.1-or-later
"""The page of nunchi report: its rows are those of nunchi show, and nothing of a guest is markup."""

from __future__ import annotations

import base64
import csv
import hashlib
import html.parser
import io
from pathlib import Path
from typing import TYPE_CHECKING

from guests.tool import Account, Nunchi, good_run

if TYPE_CHECKING:
    from guests.session import Subject

# The workload has 400 processes, some of which have 4 KiB of arguments and more.
MOST_BYTES = 2 << 20
SECONDS = 10.0
# All that the page has of its own.
ATTRIBUTES = {
    "html": {"lang"}, "head": set(), "meta": {"charset", "http-equiv", "content", "name"}, "title": set(),
    "style": set(), "body": set(), "header": set(), "main": set(), "script": set(), "h1": set(),
    "h2": set(), "h3": set(), "p": {"class", "id", "hidden"}, "code": set(), "ul": {"class"},
    "li": {"class"}, "a": {"href"}, "span": {"class"}, "label": set(), "output": set(), "small": set(),
    "input": {"type", "autocomplete", "spellcheck"}, "nav": {"aria-label"}, "section": {"id"},
    "details": {"open"}, "summary": set(), "div": {"class", "id"}, "table": {"class", "data-view"},
    "thead": set(), "tbody": set(), "tr": {"id", "class", "data-depth"}, "bdi": set(),
    "th": {"scope", "title"}, "td": {"class", "title", "data-v"},
    "svg": {"viewbox", "preserveaspectratio", "role", "aria-label"},
    "rect": {"x", "y", "width", "height"},
}
VOID = {"meta", "input"}


class Cell:
    def __init__(self, attributes: dict[str, str | None]) -> None:
        self.attributes, self.text, self.cut = attributes, "", False

    def fits(self, want: str) -> bool:
        """Whether it shows what a CSV of nunchi show has."""
        if self.attributes.get("class") == "absent":
            return want == ("-" if self.attributes["title"] == "not applicable"
                            else f"<{self.attributes['title']}>")
        if want in ("\\-",) or want.startswith("\\<"):
            want = want[1:]
        got = self.attributes.get("data-v") or self.text
        return want.startswith(got) if self.cut else got == want


class Page(html.parser.HTMLParser):
    """Takes the page apart; `wrong` says what it must not have."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.wrong: list[str] = []
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: set[str] = set()
        self.policy = ""
        self.inline = {"style": "", "script": ""}
        self.view = ""
        self.names: dict[str, list[str]] = {}  # of columns, by view
        self.rows: dict[str, list[list[Cell]]] = {}
        self.depths: list[int] = []
        self.cell: Cell | None = None
        self.skip = ""  # class of the span whose text is no cell's
        self.feed(text)
        self.close()
        self.wrong += [f"<{tag}> is not closed" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        extra = set(attributes) - ATTRIBUTES.get(tag, set())
        if tag not in ATTRIBUTES or extra or len(attributes) != len(attrs):
            self.wrong.append(f"<{tag} {attrs}>")
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [attributes["id"] or ""] if "id" in attributes else []
        if "href" in attributes:
            self.links.add(attributes["href"] or "")
        if attributes.get("http-equiv") == "Content-Security-Policy":
            self.policy = attributes["content"] or ""
        if tag == "table":
            self.view = attributes.get("data-view") or ""
            self.names[self.view], self.rows[self.view] = [], []
        elif tag == "tr":
            self.rows[self.view].append([])
            if self.view == "processes" and "data-depth" in attributes:
                self.depths.append(int(attributes["data-depth"] or ""))
        elif tag in ("td", "th"):
            self.cell = Cell(attributes)
            self.rows[self.view][-1].append(self.cell)
        elif tag == "span" and self.cell:
            self.skip = attributes.get("class") or ""
            self.cell.cut |= self.skip == "cut"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}>")
        if tag == "span":
            self.skip = ""
        elif tag in ("td", "th"):
            self.cell = None
        elif tag == "table":
            self.view = ""

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in self.inline:
            self.inline[self.open[-1]] += data
        elif self.cell and not self.skip:
            self.cell.text += data

    def handle_comment(self, data: str) -> None:
        self.wrong.append(f"a comment: {data}")

    def unknown_decl(self, data: str) -> None:
        self.wrong.append(f"a declaration: {data}")


def as_rows(page: Page, view: str) -> tuple[list[str], list[list[Cell]]]:
    """The columns of a view as the page has them, and its rows, whatever form they are in."""
    rows = page.rows[view]
    if view == "load_average":
        return ["period", "average"], rows
    if view in ("kernel_info", "system_info", "uptime", "memory_info"):
        return [row[0].text for row in rows], [[row[1] for row in rows]] if rows else []
    names = [cell.text for cell in rows[0]] if rows else []
    # The page's own column.
    own = names.index("process") if "process" in names else len(names)
    return names[:own] + names[own + 1:], [row[:own] + row[own + 1:] for row in rows[1:]]


def check_view(account: Account, page: Page, view: str, want: list[dict[str, str]]) -> None:
    names, rows = as_rows(page, view)
    account.check(len(rows) == len(want), f"report, {view}: rows", f"{len(rows)}, show {len(want)}")
    if not want or not rows:
        return
    left = [[row.get(name, "(no such column)") for name in names] for row in want]
    lost = []
    for row in rows:
        fitting = next((one for one in left if all(map(Cell.fits, row, one))), None)
        if fitting is None:
            lost.append(str([cell.attributes.get("data-v") or cell.text[:60] for cell in row]))
        else:
            left.remove(fitting)
    account.check(not lost, f"report, {view}: {len(lost)} rows differ", *lost[:3],
                  *[f"show: {[text[:60] for text in row]}" for row in left[:3]])


def check_tree(account: Account, page: Page) -> None:
    """Each process stands below its parent."""
    names, rows = as_rows(page, "processes")
    way: list[str] = []
    wrong = []
    for depth, row in zip(page.depths, rows):
        pid, parent = (row[names.index(name)].text for name in ("pid", "parent"))
        if depth > len(way) or (depth and way[depth - 1] != parent):
            wrong.append(f"{pid} at depth {depth}, child of {parent}")
        way = way[:depth] + [pid]
    account.check(len(page.depths) == len(rows) and not wrong and max(page.depths) > 3,
                  "report: the tree", *wrong)


def check_page(account: Account, text: str) -> Page:
    page = Page(text)
    account.check(not page.wrong, f"report: {len(page.wrong)} tags that are not the page's own",
                  *page.wrong[:5])
    dead = sorted(link for link in page.links if not link.startswith("#") or link[1:] not in page.ids)
    account.check(not dead, "report: links that lead nowhere", *dead[:5])
    account.check(len(page.ids) == len(set(page.ids)), "report: an id is there twice")
    for name, content in page.inline.items():
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        account.check(f"{name}-src 'sha256-{digest}'" in page.policy,
                      f"report: the checksum of its {name}", page.policy)
    account.check(page.policy.startswith("default-src 'none'; "), "report: policy", page.policy)
    hidden = sorted({f"U+{ord(c):04X}" for c in text if c < " " and c not in "\n\t" or c in
                     "\x7f\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"})
    account.check(not hidden, "report: characters that cannot be seen", *hidden)
    return page


def check(account: Account, nunchi: Nunchi, target: str | Path, *options: str | Path) -> None:
    done = nunchi.run("report", target, *options)
    if not good_run(account, done, "report"):
        return
    account.check(len(done.out) <= MOST_BYTES, f"report: {len(done.out)} bytes")
    account.check(done.seconds < SECONDS, f"report took {done.seconds:.1f} s")
    account.say(f"report: {len(done.out) >> 10} KiB in {done.seconds:.2f} s")
    # No byte of it is anything but UTF-8.
    page = check_page(account, done.out.decode())
    for view in filter(None, page.rows):
        shown = nunchi.run("show", target, view, "--csv", *options)
        want = list(csv.DictReader(io.StringIO(shown.out.decode(), newline="")))
        check_view(account, page, view, want)
    check_tree(account, page)


def run(subject: Subject) -> None:
    check(subject.account, subject.nunchi, subject.raw, *subject.options)
