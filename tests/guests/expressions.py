# SPDX-License-Identifier: LGPL-2.1-or-later
"""What nunchi print finds by C expressions is what the views and the guest itself say."""

from __future__ import annotations

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
    word = 4 if subject.config.is_32bit else 8
    for expression, want in (("init_task.comm", '"swapper/0"'), ("sizeof(long)", str(word)),
                             ("init_net.loopback_dev->name", '"lo"'),
                             ("init_task.parent == &init_task", "1"),
                             ("sizeof(struct list_head) == 2 * sizeof(void *)", "1")):
        got = value(subject, expression)
        account.check(got == want, f"print {expression}", got, want)
    for view, symbol in (("init_task", "init_task"), ("modules", "modules")):
        got = value(subject, f"&{symbol}")
        want = subject.nunchi.address(subject.raw, view, *subject.options)
        account.check(got == f"{want:#x}", f"print &{symbol}", got, f"{want:#x}")
    for expression, part in (("init_task.mm->pgd", "the pointer is NULL"),
                             ("init_task.no_member", "character 11"),
                             ("*(int *)16", "0x10 cannot be read")):
        refused(account, subject.nunchi.run("print", subject.raw, expression, *subject.options),
                f"print {expression}", part)
