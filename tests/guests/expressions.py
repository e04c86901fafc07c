# SPDX-License-Identifier: LGPL-2.1-or-later
"""What nunchi print finds by C expressions is what the views and the guest itself say."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from guests.tool import refused

if TYPE_CHECKING:
    from guests.session import Subject

TASKS = 12


def value(subject: Subject, expression: str) -> str:
    """The value of an expression, without the name of the symbol behind a pointer."""
    done = subject.nunchi.run("print", subject.raw, expression, "--json", *subject.options)
    subject.account.check(done.status == 0, f"print {expression}", done.first_error)
    return str(done.rows[0]["value"]).split(" <")[0] if done.status == 0 else ""


def values(subject: Subject, expressions: list[str]) -> list[str]:
    """The values of several expressions, of one run."""
    done = subject.nunchi.run("print", subject.raw, *expressions, "--json", *subject.options)
    subject.account.check(done.status == 0, f"print {expressions[0]} …", done.first_error)
    found = {row["expression"]: str(row["value"]) for row in done.rows}
    return [found.get(expression, "") for expression in expressions]


def by_pid(subject: Subject) -> None:
    """The processes that task() finds have the names and sizes that the guest's /proc had."""
    first, second = ({row["pid"]: row for row in one.rows["processes"]}
                     for one in (subject.a, subject.b))
    pids = [pid for pid, row in first.items() if pid in second and
            all(row[name] == second[pid][name] for name in ("name", "total_size", "parent"))]
    subject.account.check(len(pids) > TASKS, f"print: {len(pids)} processes are as before")
    for pid in (*pids[:TASKS], *pids[-TASKS:]):
        task = f"task({pid})"
        name, size, parent = values(subject, [
            f"string({task}.comm)", f"{task}.mm ? {task}->mm->total_vm << 12 : 0",
            f"{task}.real_parent != &init_task && {task}.real_parent ? {task}.real_parent.tgid : 0"])
        row = first[pid]
        subject.account.check(len(name) > 2 and row["name"].startswith(name.strip('"')),
                              f"print {task}: name", name, row["name"])
        subject.account.check(int(size) == (row["total_size"] or 0), f"print {task}: size", size,
                              row["total_size"])
        subject.account.check(int(parent) == row["parent"], f"print {task}: parent", parent,
                              row["parent"])


def cpus(subject: Subject) -> None:
    """The run queue of each CPU knows its number."""
    count = subject.config.cpus
    got = values(subject, [f"per_cpu(*(struct rq *)&runqueues, {cpu}).cpu" for cpu in range(count)])
    subject.account.check(got == [str(cpu) for cpu in range(count)], "print: CPUs", got)


def each(subject: Subject, expression: str) -> list[str]:
    """The values of an expression with each(), all of which can be read."""
    done = subject.nunchi.run("print", subject.raw, expression, "--json", *subject.options)
    unread = [row for row in done.rows if row["error"] is not None]
    subject.account.check(done.status == 0 and not unread, f"print {expression}",
                          done.first_error, str(unread[:2]))
    return [str(row["value"]).split(" <")[0].strip('"') for row in done.rows]


def column(subject: Subject, view: str, name: str, *options: str) -> list[str]:
    rows = subject.nunchi.show(subject.raw, view, *options, *subject.options).rows
    return [str(row[name]) for row in rows]


def elements(subject: Subject) -> None:
    """What each() finds in lists and trees is what the views show of the same moment."""
    account = subject.account
    pids = column(subject, "processes", "pid")
    got = each(subject, "each(init_task.tasks, task_struct.tasks).tgid")
    account.check(got == pids, "print each(init_task.tasks)", got[:9], pids[:9])
    got = each(subject, "each(init_pid_ns.idr, struct pid).numbers[0].nr")
    account.check(set(got) >= set(pids), "print each(init_pid_ns.idr)", got[:9], pids[:9])
    names = column(subject, "kernel_modules", "name")
    got = each(subject, "each(modules, struct module, list).name")
    account.check(sorted(got) == sorted(names) and names, "print each(modules)", got[:9], names[:9])
    names = column(subject, "interface_details", "interface")
    got = each(subject, "each(init_net.dev_base_head, net_device.dev_list).name")
    account.check("lo" in got and set(got) <= set(names), "print each(dev_base_head)", got, names)
    starts = [str(int(start, 16)) for start in
              column(subject, "process_memory_map", "start", "--where", "pid=1")]
    tree = "mm_rb, vm_area_struct.vm_rb" if subject.config.suite == "bullseye" else \
        "mm_mt, vm_area_struct"
    got = each(subject, f"each(task(1).mm.{tree}).vm_start")
    account.check(got and set(got) <= set(starts), f"print each({tree})", got[:9], starts[:9])
    # A kernel thread has no memory: its row says so, and those of the others are there.
    expression = "each(init_task.tasks, task_struct.tasks).mm.total_vm"
    done = subject.nunchi.run("print", subject.raw, expression, "--json", *subject.options)
    unread = sum(row["error"] == "character 1: the pointer is NULL" for row in done.rows)
    account.check(done.status == 0 and len(done.rows) == len(pids) and 0 < unread < len(pids),
                  f"print {expression}", done.first_error, f"{unread} of {len(done.rows)}")


def sql(subject: Subject) -> None:
    """print() of SQL gives numbers that compare with those of the views, and NULL for what is not."""
    size = "print('task(' || pid || ').mm.total_vm << 12')"
    text = (f"select count(*) as n, sum(total_size is {size}) as same, count({size}) as some, "
            "sum(print('task(' || pid || ').tgid') = pid) as found from processes")
    done = subject.nunchi.run("sql", subject.raw, text, "--json", *subject.options)
    row = done.rows[0] if done.status == 0 else {}
    subject.account.check(row and 0 < row["some"] < row["n"] == row["same"] == row["found"],
                          "print() in SQL", done.first_error, str(row))
    # Each process but those of the kernel's own first one is a child of its parent.
    text = ("select count(*) as n, sum(p.pid = c.parent) as same, "
            "(select count(*) from processes where parent > 0) as all_children from processes p "
            "join each('each(task(' || p.pid || ').children, task_struct.sibling).tgid') e "
            "join processes c on c.pid = e.value")
    done = subject.nunchi.run("sql", subject.raw, text, "--json", *subject.options)
    row = done.rows[0] if done.status == 0 else {}
    subject.account.check(row and 0 < row["n"] == row["same"] == row["all_children"],
                          "each() in SQL", done.first_error, str(row))


def python(subject: Subject) -> None:
    """The same by Python; without files of types, which take it half a second."""
    modules = subject.nunchi.path.parent / "python"
    if subject.options or not (modules / "nunchi").is_dir():
        return
    text = ("import sys, nunchi; guest = nunchi.open(sys.argv[1]); "
            "print(*(row.value for row in guest.print('each(init_task.tasks, task_struct.tasks).tgid')"
            "), guest.print('init_task.comm')[0].value)")
    done = subprocess.run([sys.executable, "-B", "-c", text, subject.raw], capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=60, check=False,
                          env={**os.environ, "PYTHONPATH": str(modules)})
    want = [*column(subject, "processes", "pid"), "swapper/0"]
    subject.account.check(done.stdout.decode().split() == want, "print() in Python",
                          done.stderr.decode()[-300:], want[:9])


def tasks(subject: Subject) -> None:
    """The first tasks of the kernel's list are those that the guest's /proc had before and after."""
    names = [{row["pid"]: row["name"] for row in one.rows["processes"]}
             for one in (subject.a, subject.b)]
    at, compared = "init_task.tasks", 0
    for _ in range(TASKS):
        at = f"((struct list_head *){value(subject, at + '.next')})"
        task = f"container_of({at}, struct task_struct, tasks)"
        pid, name = int(value(subject, f"{task}->tgid")), value(subject, f"{task}->comm")
        if names[0].get(pid) == names[1].get(pid) is not None:
            compared += 1
            # The /proc of a worker adds its queue to the name.
            subject.account.check(len(name) > 2 and names[0][pid].startswith(name.strip('"')),
                                  f"print: process {pid}", name, names[0][pid])
    subject.account.check(compared > TASKS // 2, f"print: {compared} of {TASKS} tasks compared")


def run(subject: Subject) -> None:
    account = subject.account
    tasks(subject)
    by_pid(subject)
    cpus(subject)
    elements(subject)
    sql(subject)
    python(subject)
    word = 4 if subject.config.is_32bit else 8
    for expression, want in (("init_task.comm", '"swapper/0"'), ("sizeof(long)", str(word)),
                             ("init_net.loopback_dev->name", '"lo"'),
                             ("init_task.parent == &init_task", "1"),
                             ("string(init_task.comm)", '"swapper/0"'),
                             ("init_task.mm ? init_task.mm.total_vm : -1", "-1"),
                             ("super_blocks.next && super_blocks.prev || *(int *)0", "1"),
                             ("sizeof(struct list_head) == 2 * sizeof(void *)", "1")):
        got = value(subject, expression)
        account.check(got == want, f"print {expression}", got, want)
    for view, symbol in (("init_task", "init_task"), ("modules", "modules")):
        got = value(subject, f"&{symbol}")
        want = subject.nunchi.address(subject.raw, view, *subject.options)
        account.check(got == f"{want:#x}", f"print &{symbol}", got, f"{want:#x}")
    for expression, part in (("init_task.mm->pgd", "the pointer is NULL"),
                             ("init_task.no_member", "character 11"),
                             ("init_task.com", 'did you mean "comm"?'),
                             ("1 + init_task.no_member", "\n                ^"),
                             ("*(int *)16", "0x10 cannot be read")):
        refused(account, subject.nunchi.run("print", subject.raw, expression, *subject.options),
                f"print {expression}", part)
