#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# install.sh BUILD [GUEST]: installs the build to a directory of its own and uses it as a program of
# somebody else would. The examples are built as C99 and as C++, with the shared and the static
# libraries, through pkg-config; the libraries show what their headers declare and nothing else, and
# need only what they use. With a GUEST (a saved one, or qemu:NAME) the four programs of each example
# must print the same.
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
prefix=$(sed -n 's/^prefix=//p' "$pc")
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
libdir=$root/tree$(pkg-config --variable=libdir nunchi)
include=$root/tree$(pkg-config --variable=includedir nunchi)/nunchi
for file in bin/nunchi libexec/nunchi-guard share/man/man1/nunchi.1 \
	share/bash-completion/completions/nunchi share/zsh/*/_nunchi \
	share/fish/vendor_completions.d/nunchi.fish; do
	# shellcheck disable=SC2086 # a pattern
	ls $root/tree$prefix/$file >/dev/null 2>&1 || fail "no $file"
done
"$root/tree$prefix/bin/nunchi" version >"$root/version"
[ "$(cat "$root/version")" = "nunchi $(pkg-config --modversion nunchi)" ] || fail "versions differ"

# A page of the manual for each command, with the options of its help.
nunchi=$root/tree$prefix/bin/nunchi
pages=$root/tree$prefix/share/man/man1
for command in $("$nunchi" help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
	page=$pages/nunchi-$command.1
	[ -e "$page" ] || fail "no nunchi-$command.1"
	for option in $("$nunchi" help "$command" | sed -n \
		'/^Options:/,/^$/s/^  \(-.,\|   \) \(--[a-z0-9-]*\).*/\2/p'); do
		sed 's/\\-/-/g' "$page" | grep -qF -- "$option\\fR" ||
			fail "nunchi-$command.1 does not explain $option"
	done
done

# shows LIBRARY HEADER…: the names that the shared and the static library show are the headers'.
shows()
{
	library=$1
	shift
	(cd "$include" && sed -n \
		's/^NUNCHI_API.*[ *]\(nunchi_[a-z_]*\)(.*/\1/p; s/^\(nunchi_[a-z_]*\)(.*/\1/p' \
		"$@") | sort -u >"$root/declared"
	nm -D --defined-only "$libdir/$library.so" | sed -n 's/.* T \([^@]*\).*/\1/p' |
		sort >"$root/shared"
	nm -g --defined-only "$libdir/$library.a" | sed -n 's/.* T //p' | sort >"$root/static"
	for shown in shared static; do
		diff "$root/declared" "$root/$shown" >"$root/diff" || {
			cat "$root/diff" >&2
			fail "the $shown $library does not show what the header declares"
		}
	done
	[ "$(nm -g --defined-only "$libdir/$library.a" | grep -c ' [A-Z] ')" = \
		"$(wc -l <"$root/static")" ] || fail "the static $library shows data or weak names"
}
shows libnunchi gdb.h nunchi.h sql.h trace.h
shows libnunchi-doctor doctor.h

# lists PACKAGE LIBRARY: debian/PACKAGE.symbols has the names that the shared library shows.
lists()
{
	sed -n 's/^ \(nunchi_[a-z_]*\)@.*/\1/p' "$source/debian/$1.symbols" | sort >"$root/listed"
	nm -D --defined-only "$libdir/$2.so" | sed -n 's/.* T \([^@]*\).*/\1/p' | sort |
		diff "$root/listed" - >"$root/diff" || {
		cat "$root/diff" >&2
		fail "debian/$1.symbols does not list what $2 shows: add the name with the version of meson.build"
	}
}
lists libnunchi0 libnunchi
lists libnunchi-doctor0 libnunchi-doctor

# What only the doctor loads or calls is not part of libnunchi.
if strings "$libdir/libnunchi.so" | grep -E 'libhs\.|dgettext'; then
	fail "libnunchi has what only the doctor uses"
fi

# The Python module, if it was built: on its stable ABI alone, in the directory that Python looks at.
module=$(find "$root/tree" -name _native.abi3.so)
if [ -n "$module" ]; then
	modules=$(dirname "$(dirname "$module")")
	for file in __init__.py __init__.pyi py.typed; do
		[ -e "$modules/nunchi/$file" ] || fail "no $file of the Python module"
	done
	case $modules in
	"$root/tree$prefix"/lib*/python3*/*-packages) ;;
	*) fail "the Python module is in $modules" ;;
	esac
	LD_LIBRARY_PATH=$libdir PYTHONPATH=$modules PYTHONDONTWRITEBYTECODE=1 python3 -c '
import nunchi
print("nunchi", nunchi.__version__)' >"$root/python" || fail "Python does not import nunchi"
	cmp "$root/python" "$root/version" || fail "the Python module is of another version"
fi

# Names of the libraries' inside, as a program may have them too.
cat >"$root/clash.c" <<'EOF'
int buffer_append(void);
int error_create(void);
int buffer_append(void) { return 1; }
int error_create(void) { return 2; }
EOF
warnings='-Wall -Wextra -Werror -pedantic'
LD_LIBRARY_PATH=$libdir
export LD_LIBRARY_PATH

# builds EXAMPLE PACKAGE LIBRARY…: c-shared, c++-shared, c-static and c++-static of the example.
builds()
{
	example=$source/examples/$1.c package=$2
	shift 2
	cflags=$(PKG_CONFIG_SYSROOT_DIR=$root/tree pkg-config --cflags "$package")
	# Our own from the tree, everything else from the system.
	libraries=$(pkg-config --static --libs "$package" |
		sed "s,-L${prefix}[^ ]*,,g; s/-lnunchi[a-z-]*//g")
	shared= static=
	for library; do
		shared="$shared -l${library#lib}" static="$static $libdir/$library.a"
	done
	# shellcheck disable=SC2086 # lists of words
	{
		cc -std=c99 $warnings $cflags "$example" -L"$libdir" $shared -o "$root/c-shared"
		c++ -x c++ -std=c++11 $warnings $cflags "$example" -x none -L"$libdir" $shared \
			-o "$root/c++-shared"
		cc -std=c99 $warnings $cflags "$example" "$root/clash.c" $static $libraries \
			-o "$root/c-static"
		c++ -x c++ -std=c++11 $warnings $cflags "$example" -x none $static $libraries \
			-o "$root/c++-static"
	}
}

# refuses PATH WHAT: each program says that it cannot use the path, and why.
refuses()
{
	for program in c-shared c++-shared c-static c++-static; do
		status=0
		"$root/$program" "$1" >"$root/out" 2>"$root/err" || status=$?
		if [ $status -ne 1 ] || ! grep -qi "$2" "$root/err"; then
			cat "$root/err" >&2
			fail "$program does not say what is wrong (status $status)"
		fi
	done
}

# prints ARGUMENT PATTERN: each program prints it, and all print the same.
prints()
{
	for program in c-shared c++-shared c-static c++-static; do
		"$root/$program" "$1" >"$root/rows-$program" || fail "$program fails on $1"
		grep -q "$2" "$root/rows-$program" || fail "$program does not print \"$2\" of $1"
		cmp "$root/rows-$program" "$root/rows-c-shared" || fail "$program prints something else"
	done
}

builds doctor nunchi-doctor libnunchi-doctor libnunchi
refuses /nonexistent/log 'no such file'
prints "$source/tests/doctor/vtx-off.log" '^not ready: '
builds ps nunchi libnunchi
refuses /nonexistent/guest 'no such file'
[ -z "$guest" ] || prints "$guest" '^ *1  *0 '
echo "install: well"
