# SPDX-License-Identifier: LGPL-2.1-or-later
# A thin front of meson, ninja, the lab and the tests. `make demo`, `make trace-demo`, `make xen-demo`
# and `make check` install what they need (scripts/setup); the others expect it.

BUILD := build
PREFIX ?= /usr/local

.PHONY: all setup demo trace-demo xen-demo check check-unit check-kernels check-xen check-bochs check-doctor-trial check-packages deb bench fuzz damage install clean

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet

$(BUILD)/build.ninja:
	@meson setup $(BUILD) --prefix $(PREFIX) >/dev/null

setup:
	@scripts/setup

demo: setup
	@$(MAKE) --no-print-directory all
	@lab/demo

trace-demo: setup
	@$(MAKE) --no-print-directory all
	@lab/trace-demo

xen-demo: setup
	@$(MAKE) --no-print-directory all
	@lab/xen-demo

check: setup
	@$(MAKE) --no-print-directory all
	@tests/run

# Unit tests alone, within a minute. `tests/run --list` says what steps `check` has; `tests/run STEP…`
# runs some of them.
check-unit: all
	@tests/run unit

# Guests of QEMU with kernels of our own; builds those that are not in the cache, 5 to 10 minutes each.
# `make check` has these guests once all the kernels are built.
check-kernels:
	@scripts/setup kernels
	@$(MAKE) --no-print-directory all
	@tests/run kernels-build

# The step `xen` of `check`, and what would take long there: 25 minutes.
check-xen: setup
	@$(MAKE) --no-print-directory all
	@tests/xen.py --all $(BUILD)/nunchi

# The step `bochs` of `check`: Xen on Bochs' Intel and AMD machines, side by side.
check-bochs: setup
	@$(MAKE) --no-print-directory all
	@tests/run bochs

# A trial boot of Xen and the way back, by BIOS and by EFI, emulated.
check-doctor-trial: setup
	@$(MAKE) --no-print-directory all
	@tests/run doctor-trial

# Debian packages of what is committed, in build/deb. `check-packages` also builds them a second time,
# which must give the same bytes, and installs, upgrades and removes them (docs/packages.md).
deb: setup
	@tests/debian.py --build-only --output $(BUILD)/deb

check-packages: setup
	@$(MAKE) --no-print-directory all
	@tests/run packages

bench: all
	@bench/run

fuzz:
	@fuzz/run

# Changes each word that a view reads of a saved guest, one at a time: make damage DUMP=memory.raw
# SECONDS=3600. A row that is missing then without a warning is a fault.
damage: all
	@$(BUILD)/tests/partial_dump words $(DUMP) $(or $(SECONDS),600)

install: all
	meson install -C $(BUILD)

clean:
	rm -rf $(BUILD) build-*
