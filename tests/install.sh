#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# install.sh BUILD [GUEST]: installs the build to a directory of its own and uses it as a stranger
# would. The example is built as C99 and as C++, with the shared and the static library, through
# pkg-config; the libraries show what the header declares and nothing else. With a GUEST (a saved
# one, or qemu:NAME) the four programs must list the same processes of it.
set -eu

build=$1 guest=${2-}
source=$(cd "$(dirname "$0")/.." && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

fail()
{
	echo "install: $*" >&2
	exit 1
}

DESTDIR=$root/tree meson install -C "$build" --no-rebuild --quiet
pc=$(find "$root/tree" -name nunchi.pc)
[ -n "$pc" ] || fail "no nunchi.pc"
header=$(find "$root/tree" -name nunchi.h)
prefix=$(sed -n 's/^prefix=//p' "$pc")
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
libdir=$root/tree$(pkg-config --variable=libdir nunchi)
for file in bin/nunchi share/man/man1/nunchi.1 share/bash-completion/completions/nunchi; do
	[ -e "$root/tree$prefix/$file" ] || fail "no $file"
done
"$root/tree$prefix/bin/nunchi" version >"$root/version"
[ "$(cat "$root/version")" = "nunchi $(pkg-config --modversion nunchi)" ] || fail "versions differ"

# The names that both libraries show are the header's.
sed -n 's/^NUNCHI_API.*[ *]\(nunchi_[a-z_]*\)(.*/\1/p; s/^\(nunchi_[a-z_]*\)(.*/\1/p' \
	"$header" | sort -u >"$root/declared"
nm -D --defined-only "$libdir/libnunchi.so" | sed -n 's/.* T \([^@]*\).*/\1/p' |
	sort >"$root/shared"
nm -g --defined-only "$libdir/libnunchi.a" | sed -n 's/.* T //p' | sort >"$root/static"
for shown in shared static; do
	diff "$root/declared" "$root/$shown" >"$root/diff" || {
		cat "$root/diff" >&2
		fail "the $shown library does not show what the header declares"
	}
done
[ "$(nm -g --defined-only "$libdir/libnunchi.a" | grep -c ' [A-Z] ')" = \
	"$(wc -l <"$root/static")" ] || fail "the static library shows data or weak names"

# Names of the library's inside, as a program may have them too.
cat >"$root/clash.c" <<'END'
int buffer_append(void);
int error_create(void);
int buffer_append(void) { return 1; }
int error_create(void) { return 2; }
END
PKG_CONFIG_SYSROOT_DIR=$root/tree
export PKG_CONFIG_SYSROOT_DIR
cflags=$(pkg-config --cflags nunchi)
unset PKG_CONFIG_SYSROOT_DIR
# Our own from the tree, everything else from the system.
libraries=$(pkg-config --static --libs nunchi | sed "s,-L${prefix}[^ ]*,,g; s/-lnunchi//g")
warnings='-Wall -Wextra -Werror -pedantic'
example=$source/examples/ps.c

# shellcheck disable=SC2086 # lists of words
{
	cc -std=c99 $warnings $cflags "$example" -L"$libdir" -lnunchi -o "$root/c-shared"
	c++ -x c++ -std=c++11 $warnings $cflags "$example" -x none -L"$libdir" -lnunchi \
		-o "$root/c++-shared"
	cc -std=c99 $warnings $cflags "$example" "$root/clash.c" "$libdir/libnunchi.a" $libraries \
		-o "$root/c-static"
	c++ -x c++ -std=c++11 $warnings $cflags "$example" -x none "$libdir/libnunchi.a" \
		$libraries -o "$root/c++-static"
}

LD_LIBRARY_PATH=$libdir
export LD_LIBRARY_PATH
for program in c-shared c++-shared c-static c++-static; do
	status=0
	"$root/$program" /nonexistent/guest >"$root/out" 2>"$root/err" || status=$?
	if [ $status -ne 1 ] || ! grep -q 'no such file' "$root/err"; then
		cat "$root/err" >&2
		fail "$program does not say what is wrong (status $status)"
	fi
	[ -z "$guest" ] && continue
	"$root/$program" "$guest" >"$root/rows-$program" || fail "$program fails on $guest"
	grep -q '^ *1  *0 ' "$root/rows-$program" || fail "$program does not show process 1"
	cmp "$root/rows-$program" "$root/rows-c-shared" || fail "$program shows other processes"
done
echo "install: well"
