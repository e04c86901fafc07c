#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# static-archive.sh OUT.a OBJCOPY AR PATTERN… IN.a… -- CC…: joins the objects of archives to one in
# which only names that are not hidden and fit a pattern stay global, so that neither a program's own
# names nor another library's can clash with the inner ones.
set -eu

out=$1 objcopy=$2 ar=$3
shift 3
keep= inputs=
while [ "$1" != -- ]; do
	case $1 in
	*.a) inputs="$inputs $1" ;;
	*) keep="$keep --keep-global-symbol=$1" ;;
	esac
	shift
done
shift
object=${out%.a}.o
trap 'rm -f "$object"' EXIT
set -f
# shellcheck disable=SC2086 # lists of words
{
	"$@" -r -nostdlib -o "$object" -Wl,--whole-archive $inputs -Wl,--no-whole-archive
	"$objcopy" --localize-hidden "$object"
	"$objcopy" --wildcard $keep "$object"
}
rm -f "$out"
"$ar" rcsD "$out" "$object"
