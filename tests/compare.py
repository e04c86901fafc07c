# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares what nunchi says of a guest with what the guest says of itself.

The guest's oracle ran once before the guest was looked at (pass A) and once after (pass B). A
value is right if it equals that of A or of B; a row that stands in both must be there; a row that
is there must stand in one. Nothing else is forgiven, but for what TOLERANCES bounds.
"""
import collections
import dataclasses
import json
import pathlib
import re
from typing import Any, Callable, Iterable

Row = dict[str, Any]


@dataclasses.dataclass
class View:
    key: tuple[str, ...]
    exact: tuple[str, ...]
    tolerant: dict[str, Callable[[Any, list[Any]], bool]] = dataclasses.field(default_factory=dict)
    uncompared: dict[str, str] = dataclasses.field(default_factory=dict)
    # Whether the cells of a row's tolerant columns may be absent, with a reason.
    lacks: Callable[[Row], bool] = lambda row: False
    # A view that has the names of kernel threads, too, and does not say which these are.
    names_workers: bool = False


@dataclasses.dataclass
class Result:
    rows: int = 0
    cells: int = 0
    wrong: list[str] = dataclasses.field(default_factory=list)


def near(bound: float, part: float) -> Callable[[Any, list[Any]], bool]:
    """Within bound, or part of the value, of what A and B span."""
    def check(value: Any, said: list[Any]) -> bool:
        said = [number or 0 for number in said]
        value = value or 0
        slack = max(bound, part * max(said))
        return min(said) - slack <= value <= max(said) + slack
    return check


# In milliseconds; the guest shows ticks of 10 ms. Who wakes between the passes adds a little.
TICKS = 20
CPU_TIME = near(TICKS, 0.02)
CPU_TIMES = ("user_time", "system_time")
# Until 6.1 a task folds its count of pages into that of its memory every 64 pages.
SIZE = near(1 << 18, 0)

# In the load of a minute each of the two passes, and what the host asks between them, is one task.
LOAD = near(0.5, 0.1)
# Programs begin and end between the passes, and the oracle itself takes memory while it reads.
MEMORY = near(16 << 20, 0.05)
# Free pages that wait on the lists of a CPU are not counted; since 6.7 these lists grow and shrink by
# themselves. A 6.12 of 512 MiB had 21 MiB less for seconds, and all other values as before and after.
FREE_MEMORY = near(48 << 20, 0.05)
# What a CPU did: the clock of a CPU that is idle stands at its last tick.
CPU_MODE = near(2 * TICKS, 0.02)
CPU_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest",
             "guest_nice")

# What is counted up between the passes.
COUNTED = near(0, 0)
COUNTERS = ("ipackets", "opackets", "ibytes", "obytes", "ierrors", "oerrors", "idrops", "odrops",
            "collisions")
# Drivers that count in structures of their own; of the others the kernel does it.
OWN_COUNTERS = re.compile("dummy0|down|left|right|bridge|tunnel")

# Process 1 of the lab's guests takes the host's orders, and kernel threads do the kernel's work:
# they run between the passes, on any CPU, so that they may also be found running.
AGENT = 1
AT_WORK = "RSDI"
# What a worker does or did last follows its name, and changes as often.
WORK = re.compile(r"^(kworker/u?\d+:\d+H?)[-+].*")

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
# The cgroups of the workload's containers, and the runtimes that make such ones.
CONTAINER = re.compile(r"(.*/(docker|cri-containerd)[-/]([0-9a-f]{64})(?:\.scope)?)(?:/.*)?")
RUNTIMES = {"docker": "docker", "cri-containerd": "containerd"}
POD = re.compile(r"-pod([0-9a-f_]{36})\.slice")
CAPABILITY_SETS = ("effective", "permitted", "inheritable", "bounding", "ambient")
# capabilities(7), by number.
CAPABILITIES = (
    "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable "
    "net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio "
    "sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time "
    "sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog "
    "wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore").split()
SECCOMP = ("disabled", "strict", "filter")
# The lines of /proc/PID/limits, and what prlimit(1) calls them.
LIMITS = {
    "Max cpu time": "cpu", "Max file size": "fsize", "Max data size": "data",
    "Max stack size": "stack", "Max core file size": "core", "Max resident set": "rss",
    "Max processes": "nproc", "Max open files": "nofile", "Max locked memory": "memlock",
    "Max address space": "as", "Max file locks": "locks", "Max pending signals": "sigpending",
    "Max msgqueue size": "msgqueue", "Max nice priority": "nice",
    "Max realtime priority": "rtprio", "Max realtime timeout": "rttime"}
LIMIT = re.compile(r"^(Max .{21}) *(\w+) +(\w+) *(\w*) *$", re.M)

POINTER = "the guest does not tell addresses of its structures"

VIEWS = {
    "processes": View(
        ("pid",),
        ("name", "path", "cmdline", "state", "cwd", "root", "uid", "gid", "euid", "egid", "suid",
         "sgid", "on_disk", "start_time", "parent", "pgroup", "session", "threads", "nice",
         "cgroup_path", "is_kernel_thread", "pid_namespace", "mount_namespace"),
        {"user_time": CPU_TIME, "system_time": CPU_TIME, "resident_size": SIZE,
         "total_size": SIZE},
        {"page_table_root": POINTER, "task": POINTER}),
    "threads": View(
        ("tid",),
        ("tgid", "name", "state", "uid", "euid", "nice", "start_time", "cpu", "is_kernel_thread"),
        {"user_time": CPU_TIME, "system_time": CPU_TIME},
        {"task": POINTER}),
    "process_memory_map": View(
        ("pid", "start"),
        ("end", "permissions", "offset", "device", "inode", "path", "pseudo")),
    "process_envs": View(("pid", "position"), ("key", "value")),
    "process_capabilities": View(
        ("pid",), ("name", "euid", "seccomp", "seccomp_filters", "no_new_privs",
                   *CAPABILITY_SETS, *(f"{name}_set" for name in CAPABILITY_SETS)),
        names_workers=True),
    "process_rlimits": View(("pid", "resource"), ("soft", "hard", "units")),
    "process_namespaces": View(
        ("pid",), tuple(f"{kind}_namespace" for kind in NAMESPACES)),
    "process_open_files": View(
        ("pid", "fd"), ("path", "offset", "flags", "inode"), {}, {"file": POINTER}),
    # Those of no process have -1 as process and descriptor.
    "process_open_sockets": View(
        ("pid", "fd", "protocol", "local_address", "local_port", "remote_address", "remote_port",
         "net_namespace"),
        ("socket", "family", "path", "state", "type", "recv_queue", "send_queue"), {},
        {"sock": POINTER}),
    "arp_cache": View(
        ("net_namespace", "interface", "address"), ("mac", "permanent", "state")),
    "interface_addresses": View(
        ("net_namespace", "interface", "address", "mask"), ("broadcast", "point_to_point")),
    "interface_details": View(
        ("net_namespace", "interface"), ("mac", "type", "mtu", "metric", "flags", "interface_index"),
        {column: COUNTED for column in COUNTERS}, {"device": POINTER},
        lambda row: bool(OWN_COUNTERS.fullmatch(row["interface"]))),
    "listening_ports": View(
        ("pid", "fd", "protocol", "address", "port", "net_namespace"),
        ("family", "socket", "path")),
    "kernel_modules": View(
        ("name",), ("size", "used_by", "status", "address", "references", "taint"), {},
        {"module": POINTER, "address_end": "the guest shows no size of the code alone"}),
    "mounts": View(
        ("mount_namespace", "mount_id"),
        ("parent_id", "device", "path", "root", "type", "flags", "device_number")),
    "findings": View(
        key=("check", "subject", "pid"),
        exact=("severity",),
        uncompared=dict.fromkeys(("address", "expected", "found", "meaning"),
                                 "the guest does not check itself")),
    "kernel_info": View(
        (), ("version", "arguments", "banner", "build", "machine"), {},
        {"text_virtual": "checked through the view symbols", "text_physical": POINTER}),
    "system_info": View(
        (), ("hostname", "cpu_type", "cpu_brand", "cpu_logical_cores", "physical_memory",
             "hardware_vendor", "hardware_model", "hardware_version", "hardware_serial")),
    "containers": View(
        ("pid",),
        ("runtime", "id", "pod", "processes", "cgroup_path", "hostname", "name", "root",
         *(f"{kind}_namespace" for kind in NAMESPACES))),
    "cpu_time": View(("core",), (), {mode: CPU_MODE for mode in CPU_MODES}),
    "load_average": View(("period",), (), {"average": LOAD}),
    "memory_info": View(
        (), ("memory_total", "swap_total"),
        {"memory_free": FREE_MEMORY,
         **dict.fromkeys(("buffers", "cached", "swap_cached", "active", "inactive", "swap_free",
                          "shared", "slab_reclaimable"), MEMORY)}),
    "uptime": View(
        (), ("boot_time",),
        {"total_seconds": lambda value, said: int(min(said)) <= value <= max(said) + 1,
         "total_milliseconds": near(20, 0)},
        {"days": "total_seconds in another form", "hours": "likewise", "minutes": "likewise",
         "seconds": "likewise"}),
    "kernel_log": View(
        ("seq",), ("time", "facility", "level", "message"), {},
        {"caller": "/dev/kmsg shows it only if the kernel was told to"}),
    "routes": View(
        ("net_namespace", "route_table", "family", "destination", "netmask", "interface", "gateway",
         "metric"),
        ("source", "flags", "mtu", "type", "hopcount", "protocol")),
    "symbols": View((), ()),
}


def join_arguments(raw: str) -> str:
    return raw.rstrip("\0").replace("\0", " ")


def expect_process(row: Row, meta: Row) -> Row:
    out = dict(row)
    out["cmdline"] = join_arguments(row["cmdline_raw"] or "")
    out["start_time"] = meta["boot_time"] + row["start_time_ticks"] // meta["clk_tck"]
    return out


def expect_thread(row: Row, meta: Row) -> Row:
    out = dict(row, tgid=row["pid"])
    out["start_time"] = meta["boot_time"] + row["start_time_ticks"] // meta["clk_tck"]
    return out


def expect_map(row: Row, meta: Row) -> Row:
    pseudo = int(row["path"][:1] == "[" or not row["path"])
    return dict(row, pseudo=pseudo)


def expect_env(row: Row, meta: Row) -> Row:
    key, _, value = row["raw"].partition("=")
    return {"pid": row["pid"], "position": row["index"], "key": key, "value": value}


def expect_file(row: Row, meta: Row) -> Row:
    out = dict(row, offset=row["pos"])
    if out["inode"] is None:
        del out["inode"]  # fdinfo has it since 5.14
    return out


def capability_names(of: int, last: int) -> str:
    if of == (2 << last) - 1:
        return "all"
    return ",".join(name for i, name in enumerate(CAPABILITIES) if of >> i & 1)


def expect_rights(row: Row, meta: Row) -> Row:
    names = {name: capability_names(row[f"{name}_set"], meta["cap_last_cap"])
             for name in CAPABILITY_SETS}
    if "seccomp_mode" in row:
        names["seccomp"] = SECCOMP[row["seccomp_mode"]]
    return dict(row, **names)


def limit(text: str) -> int | None:
    """None: more than a cell holds."""
    number = -1 if text == "unlimited" else int(text)
    return number if number < 1 << 63 else None


def expect_limits(row: Row, meta: Row) -> list[Row]:
    units = {"us": "microseconds"}
    return [{"pid": row["pid"], "resource": LIMITS[name.rstrip()], "soft": limit(soft),
             "hard": limit(hard), "units": units.get(unit, unit)}
            for name, soft, hard, unit in LIMIT.findall(row["raw"])]


def expect_module(row: Row, meta: Row) -> Row:
    return dict(row, references=row["refcount"], used_by=row["used_by"].rstrip(","))


def expect_kernel(row: Row, meta: Row) -> Row:
    return dict(row, build=meta["version"], machine=meta["machine"])


def expect_system(row: Row, meta: Row) -> Row:
    # A PV guest of Xen has no DMI.
    return dict(row, cpu_type=meta["machine"], hardware_vendor=row.get("dmi_sys_vendor"),
                hardware_model=row.get("dmi_product_name"),
                hardware_version=row.get("dmi_product_version"),
                hardware_serial=row.get("dmi_product_serial"))


def expect_without_dmi(row: Row, meta: Row) -> Row:
    return {column: value for column, value in expect_system(row, meta).items()
            if not column.startswith("hardware_")}


EXPECT: dict[str, Callable[[Row, Row], Row]] = {
    "processes": expect_process,
    "threads": expect_thread,
    "process_memory_map": expect_map,
    "process_envs": expect_env,
    "process_open_files": expect_file,
    "process_capabilities": expect_rights,
    "kernel_modules": expect_module,
    "kernel_info": expect_kernel,
    "system_info": expect_system,
    "uptime": lambda row, meta: dict(row, boot_time=meta["boot_time"]),
    "kernel_log": lambda row, meta: dict(row, time=row["timestamp_us"]),
}


# Those of which a row of the oracle's tells several.
EXPECT_MANY: dict[str, Callable[[Row, Row], list[Row]]] = {"process_rlimits": expect_limits}


class Oracle:
    """One pass: rows by view, the oracle's own processes left out."""

    def __init__(self, lines: Iterable[str], tells_dmi: bool = True):
        self.tells_dmi = tells_dmi
        self.rows: dict[str, list[Row]] = collections.defaultdict(list)
        self.observers: set[int] = set()
        self.meta: Row = {}
        for line in lines:
            row = json.loads(line)
            view = row.pop("view")
            if view == "meta":
                self.meta = row
            elif view == "observer":
                self.observers.add(row["pid"])
            else:
                self.rows[view].append(row)
        queues = {row["socket"]: row for row in self.rows["socket_queues"]}
        for row in self.rows["process_open_sockets"]:
            row.update(queues.get(row["socket"], {}))

    @classmethod
    def load(cls, path: pathlib.Path) -> "Oracle":
        return cls(path.read_bytes().decode("utf-8", "surrogateescape").splitlines())

    def containers(self, observers: set[int]) -> list[Row]:
        """The processes by their cgroups, or else by their pid namespaces."""
        namespaces = {row["pid"]: row for row in self.rows["process_namespaces"]}
        hostnames = {row["uts_namespace"]: row["hostname"] for row in self.rows["hostnames"]}
        first, found = namespaces[1]["pid_namespace"], {}
        for row in sorted(self.rows["processes"],
                          key=lambda one: (one["start_time_ticks"], one["pid"])):
            own = namespaces.get(row["pid"], {})
            paths = [line.split(":", 2) for line in (row["cgroups_raw"] or "").splitlines()]
            match = next((CONTAINER.fullmatch(path) for _, kind, path in reversed(paths)
                          if not kind.startswith("name=") and CONTAINER.fullmatch(path)), None)
            if row["pid"] in observers or \
                    not (match or own.get("pid_namespace") not in (None, first)):
                continue
            pod = POD.search(match[0]) if match else None
            one = found.setdefault(match[1] if match else own["pid_namespace"], {
                **own, "pid": row["pid"], "name": row["name"], "root": row["root"],
                "hostname": hostnames.get(own.get("uts_namespace")), "processes": 0,
                "cgroup_path": match[1] if match else row["cgroup_path"],
                "runtime": RUNTIMES[match[2]] if match else None, "id": match and match[3],
                "pod": pod and pod[1].replace("_", "-")})
            one["processes"] += 1
        return list(found.values())

    def view(self, name: str, observers: set[int]) -> list[Row]:
        if name == "containers":
            return self.containers(observers)
        expect = EXPECT.get(name, lambda row, meta: row)
        if name == "system_info" and not self.tells_dmi:
            expect = expect_without_dmi
        rows = [row for row in self.rows[name]
                if row.get("pid") not in observers or "pid" not in row or name == "mounts"]
        if name in EXPECT_MANY:
            return [one for row in rows for one in EXPECT_MANY[name](row, self.meta)]
        return [expect(row, self.meta) for row in rows]


def normal(value: Any) -> Any:
    """Nothing, in its several spellings; addresses as numbers."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.startswith("0x"):
        try:
            return int(value, 16)
        except ValueError:
            return value
    return value


def of_nunchi(name: str, row: Row) -> Row:
    # Text that is not UTF-8 stands in full under "raw".
    for column, raw in row.pop("raw", {}).items():
        row[column] = bytes.fromhex(raw).decode("utf-8", "surrogateescape")
    if name == "kernel_log":
        # Microseconds, cut as /dev/kmsg cuts them.
        return dict(row, time=int(row["time"] * 1e6 + 0.0005))
    return row


def index(rows: list[Row], key: tuple[str, ...]) -> dict[tuple, Row]:
    return {tuple(normal(row[part]) for part in key): row for row in rows}


def shares_fit(row: Row, said: list[Row], born: bool) -> bool:
    """Whether the time in user and in system mode could have been told so between the passes.

    The kernel splits what a task ran by the ticks that met it in each mode until now, and keeps what
    it once told from shrinking (cputime_adjust()). What it did not tell in between binds it not: a
    first tick in system mode can take back from the user's share what nunchi saw.
    """
    passes = [[one.get(column) or 0 for column in CPU_TIMES] for one in said] + [[0, 0]] * born
    shares = [row.get(column) or 0 for column in CPU_TIMES]
    return CPU_TIME(sum(shares), [sum(one) for one in passes]) and \
        all(share >= min(one[i] for one in passes) - TICKS for i, share in enumerate(shares))


def compare_row(view: View, where: str, row: Row, said: list[Row], result: Result,
                unknown: tuple[str, ...], frozen: bool, born: bool) -> None:
    for column in view.exact:
        if column in unknown:
            if row[column] is not None or not row.get("absent", {}).get(column):
                result.wrong.append(f"{where}.{column}: {row[column]!r}, which cannot be known")
            continue
        if column == "cpu" and (row["tid"] == AGENT or row["is_kernel_thread"]):
            continue
        of_task = column == "state" and "is_kernel_thread" in row
        # What is frozen shows as D in /proc, too.
        if of_task and frozen and row["state"] == "D":
            continue
        # Kernel threads work and rest of themselves, at any moment.
        if of_task and row["is_kernel_thread"] and row["state"] in AT_WORK and \
                all(one.get("state") in AT_WORK for one in said):
            continue
        if not any(column in one for one in said):
            continue  # this kernel does not tell
        values = [normal(one.get(column)) for one in said]
        result.cells += 1
        if of_task and (row["is_kernel_thread"] or AGENT in (row.get("pid"), row.get("tid"))):
            values.append("R")
        if column == "name" and row.get("is_kernel_thread", view.names_workers):
            # A program may have an empty name.
            values = [value and WORK.sub(r"\1", value) for value in values]
            row = dict(row, name=WORK.sub(r"\1", row["name"]))
        if normal(row.get(column)) not in values:
            result.wrong.append(f"{where}.{column}: nunchi {row.get(column)!r}, guest {values!r}"
                                f" {row.get('absent', '')}")
    for column, check in view.tolerant.items():
        values = [one.get(column) for one in said]
        if born and check is CPU_TIME:
            values.append(0)
        result.cells += 1
        if check is COUNTED and row.get(column) is None:
            if view.lacks(row) and row.get("absent", {}).get(column):
                continue
            result.wrong.append(f"{where}.{column}: absent {row.get('absent', '')}")
            continue
        if column in CPU_TIMES and shares_fit(row, said, born):
            continue
        if not check(row.get(column), values):
            result.wrong.append(f"{where}.{column}: nunchi {row.get(column)!r} is not near "
                                f"{values!r}")
    undeclared = set(row) - set(view.exact) - set(view.tolerant) - set(view.uncompared) - \
        set(view.key) - {"absent", "torn"}
    if undeclared:
        result.wrong.append(f"{where}: columns declared nowhere: {sorted(undeclared)}")
    if row.get("torn"):
        result.wrong.append(f"{where}: torn")


def compare_symbols(rows: list[Row], a: Oracle, b: Oracle) -> Result:
    said = collections.Counter((row["name"], row["address"], row["type"])
                               for row in a.rows["symbols"] or b.rows["symbols"])
    got = collections.Counter((row["name"], int(row["address"], 16), row["type"]) for row in rows)
    result = Result(len(rows), 3 * len(rows))
    for what, counter in (("missing", said - got), ("not in the guest", got - said)):
        result.wrong += [f"symbols: {name} {address:x} {letter} {what}"
                         for name, address, letter in counter]
    return result


# What the check of registers says where the target does not have all of them.
UNTOLD = re.compile(r"^the registers of the vCPUs are not known: .|neither the hypervisor nor the file gives it$|"
                    r"^of a PV guest the hypervisor has these registers$")


def is_untold(row: Row) -> bool:
    """Whether a finding says only that this target cannot tell all registers."""
    return (row["check"], row["severity"]) == ("registers", "unknown") and \
        bool(UNTOLD.search(row["meaning"]))


def is_about_registers(row: Row) -> bool:
    """Whether a finding says only which registers were compared, or why they were not."""
    return row["check"] == "registers" and row["severity"] in ("ok", "unknown")


def compare_findings(rows: list[Row]) -> Result:
    """A guest that nobody changed: every check was made in full and found nothing serious."""
    result = Result(len(rows), len(rows))
    result.wrong = [f"findings: {row}" for row in rows if row["severity"] not in ("ok", "note")
                    and not is_untold(row)]
    return result


def compare(name: str, rows: list[Row], a: Oracle, b: Oracle,
            unknown: tuple[str, ...] = (), frozen: bool = False) -> Result:
    """Rows of nunchi against both passes; columns that are unknown must be absent and say why.

    FROZEN: the guest was suspended between the passes, as Xen has it before it saves it.
    """
    if name == "symbols":
        return compare_symbols(rows, a, b)
    if name == "findings":
        return compare_findings(rows)
    view, result = VIEWS[name], Result()
    observers = a.observers | b.observers
    in_a, in_b = (index(one.view(name, observers), view.key) for one in (a, b))
    got: dict[tuple, Row] = {}
    for row in (of_nunchi(name, row) for row in rows):
        key = tuple(normal(row[part]) for part in view.key)
        if key in got:
            result.wrong.append(f"{name}{key}: twice")
        got[key] = row
    for key, row in got.items():
        said = [one[key] for one in (in_a, in_b) if key in one]
        where = f"{name}{key if len(key) != 1 else '(' + repr(key[0]) + ')'}"
        result.rows += 1
        if said:
            # What began between the passes had used no time before.
            born = key in in_b and key not in in_a
            compare_row(view, where, row, said, result, unknown, frozen, born)
        else:
            result.wrong.append(f"{where}: not in the guest: {row}")
    for key in in_a.keys() & in_b.keys() - got.keys():
        result.wrong.append(f"{name}{key}: missing: {in_a[key]}")
    return result
