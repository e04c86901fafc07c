#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# static-archive.sh IN.a OUT.a OBJCOPY AR CC…: joins the objects of an archive to one whose hidden
# names are local, so that a program's own names cannot clash with the library's inner ones.
set -eu

in=$1 out=$2 objcopy=$3 ar=$4
shift 4
object=${out%.a}.o
trap 'rm -f "$object"' EXIT
"$@" -r -nostdlib -o "$object" -Wl,--whole-archive "$in" -Wl,--no-whole-archive
"$objcopy" --localize-hidden "$object"
rm -f "$out"
"$ar" rcsD "$out" "$object"
