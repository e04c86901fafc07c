# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guests that the tests boot, and which tests run on which.

CONFIGS have the distribution's kernels, KERNELS those that lab/built.py builds.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Config:
    """One guest. `forms` is what QEMU saves it as, `tests` what runs beyond the comparison.

    `files` are the options that every run of nunchi gets the kernel's own files by. Without
    `tells_dmi` the guest's programs cannot read its DMI strings (CONFIG_DMIID), which nunchi can.
    """

    name: str
    suite: str
    flavour: str
    memory: int = 1024
    cpus: int = 1
    cpu: str = ""
    kaslr: bool = True
    machine: str = "pc"
    firmware: str = "bios"
    backing: str = "file"
    vmcoreinfo: bool = False
    workload: str = "full"
    append: str = ""
    files: tuple[str, ...] = ()
    tells_dmi: bool = True
    forms: tuple[str, ...] = ("raw", "elf")
    tests: tuple[str, ...] = ("zeroed",)

    @property
    def is_32bit(self) -> bool:
        return self.flavour.startswith("686")


LA57 = "max,la57=on"
BOTH = ("--types", "--symbols")

CONFIGS = (
    Config("5.10-amd64", "bullseye", "amd64", cpus=4, append="syscall.x32=y",
           tests=("partial", "zeroed", "pauses", "sql", "trace", "expressions", "gdb", "core",
                  "tampered", "contents")),
    Config("5.10-cloud", "bullseye", "cloud-amd64", memory=512, kaslr=False, machine="q35",
           backing="memfd", forms=("raw", "elf", "elf-paging", "kdump-zlib"),
           tests=("zeroed", "decoys", "export", "report", "yara", "mount")),
    Config("5.10-rt", "bullseye", "rt-amd64", memory=512, backing="anonymous", forms=("elf",)),
    Config("6.1-amd64", "bookworm", "amd64", cpus=4, vmcoreinfo=True, append="syscall.x32=y",
           forms=("raw", "elf", "elf-paging", "kdump-zlib"),
           tests=("partial", "zeroed", "decoys", "damage", "makedumpfile", "trace",
                  "expressions", "tampered", "contents", "metrics")),
    Config("6.1-cloud", "bookworm", "cloud-amd64", memory=5120, machine="q35", backing="memfd",
           tests=("zeroed", "top")),
    Config("6.1-rt", "bookworm", "rt-amd64", memory=5120, cpus=4, forms=("raw",),
           tests=("zeroed", "decoys")),
    Config("6.1-686", "bookworm", "686", vmcoreinfo=True, files=BOTH,
           forms=("raw", "elf", "kdump-zlib"), tests=("partial", "zeroed", "types")),
    Config("6.1-686-pae", "bookworm", "686-pae", files=BOTH,
           tests=("partial", "zeroed", "types", "trace", "expressions", "gdb", "core", "contents",
                  "report", "mount")),
    Config("6.12-amd64", "trixie", "amd64", cpus=2, firmware="uefi",
           tests=("partial", "zeroed", "decoys", "trace", "python", "export", "expressions", "gdb",
                  "core", "tampered", "contents", "holes", "extract", "report",
                  "mount")),
    Config("6.12-cloud", "trixie", "cloud-amd64", memory=512, kaslr=False,
           tests=("zeroed", "reset", "sql", "yara", "endless")),
    Config("6.12-rt-la57", "trixie", "rt-amd64", cpus=2, cpu=LA57, backing="anonymous",
           forms=("elf",)),
    Config("sid-amd64", "sid", "amd64", cpus=4, firmware="uefi", backing="memfd",
           tests=("partial", "zeroed", "pauses", "trace", "expressions", "gdb", "core", "tampered",
                  "contents")),
    Config("sid-cloud", "sid", "cloud-amd64", memory=512, machine="q35", vmcoreinfo=True,
           forms=("raw", "elf", "elf-paging"), tests=("zeroed", "vmware")),
    Config("sid-rt", "sid", "rt-amd64", memory=5120, kaslr=False, forms=("raw",)),
    Config("sid-la57", "sid", "amd64", cpus=4, cpu=LA57, forms=("raw", "elf"),
           tests=("zeroed", "decoys")),
    Config("crash", "bookworm", "cloud-amd64", cpus=4, vmcoreinfo=True, append="crashkernel=256M",
           forms=(), tests=("crash",)),
    Config("storm", "bookworm", "amd64", cpus=2, workload="none", forms=(), tests=("storm",)),
)

KERNELS = (
    Config("tiny", "own", "tiny", memory=512, tells_dmi=False, files=("--symbols",),
           tests=("files", "speed")),
    Config("tiny-bare", "own", "tiny-bare", memory=512, tells_dmi=False, files=BOTH,
           tests=("files",)),
    Config("tiny-kallsyms", "own", "tiny-kallsyms", memory=512, files=BOTH,
           tests=("files",)),
    Config("686-tiny", "own", "686-tiny", memory=512, tests=("speed", "gdb")),
    Config("clang", "own", "clang", memory=512, cpus=2, tests=("speed",)),
    Config("randstruct", "own", "randstruct", memory=512, files=("--types",), tests=("shuffled",)),
    Config("fixed", "own", "fixed", memory=512, cpus=2, tests=("speed",)),
    Config("rt", "own", "rt", memory=512, cpus=2, tests=("speed",)),
    Config("kasan", "own", "kasan", cpus=2, tests=("speed",)),
    Config("modules", "own", "modules", memory=512, cpus=2, tests=("speed", "vmware")),
)


def find(name: str) -> Config | None:
    return next((config for config in (*CONFIGS, *KERNELS) if config.name == name), None)
