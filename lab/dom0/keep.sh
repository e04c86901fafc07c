#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# keep FILE…: hands files of the job over at once and removes them, which makes room in dom0's
# memory. They go to the second disk as a tar; /run/kept notes where, how much, and the digest.
set -eu
. /run/lab

for file; do
	at=$(cat /run/next)
	rm -f /run/keep.*
	mkfifo /run/keep.md5 /run/keep.bytes
	md5sum </run/keep.md5 >/run/keep.digest &
	first=$!
	wc -c </run/keep.bytes >/run/keep.count &
	# Whole blocks: a write of less than a page has the page read from the disk first.
	tar c -C "$(dirname "$file")" "$(basename "$file")" | tee /run/keep.md5 /run/keep.bytes |
		dd of="$disk_out" bs=1M iflag=fullblock seek="$at" conv=notrunc 2>/dev/null
	wait $first $!
	read -r digest _ </run/keep.digest
	read -r bytes </run/keep.count
	echo "$at:$bytes:$digest" >>/run/kept
	echo $((at + bytes / 1048576 + 1)) >/run/next
	rm -rf "$file"
done
sync
