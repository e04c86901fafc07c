#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# keep FILE…: hands files of the job over at once and removes them, which makes room in dom0's
# memory. They go to the second disk as a tar; /run/kept notes where, how much, and the digest.
set -eu
set -o pipefail
. /run/lab

for file; do
	at=$(cat /run/next)
	# Whole blocks: a write of less than a page has the page read from the disk first.
	blocks=$(tar c -C "$(dirname "$file")" "$(basename "$file")" |
		dd of="$disk_out" bs=1M iflag=fullblock seek="$at" conv=notrunc,sync 2>&1 |
		sed -n 's/^\([0-9]*\)+0 records out/\1/p')
	# Read back: busybox' tee, by which tar's output could go both ways, takes a second per MB
	# in the emulator.
	digest=$(dd if="$disk_out" bs=1M skip="$at" count="$blocks" 2>/dev/null | md5sum)
	echo "$at:$((blocks << 20)):${digest%% *}" >>/run/kept
	echo $((at + blocks)) >/run/next
	rm -rf "$file"
done
sync
