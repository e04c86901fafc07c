#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Guests of the lab as a script in dom0 meets them.
set -eu

usage()
{
	cat <<'TEXT'
guest boot NAME                create the domain of /guest/NAME.cfg
guest wait NAME [SECONDS]      until its agent answers
guest exec NAME COMMAND        a shell command in the guest; its output and exit status
guest oracle NAME PASS [ARG…]  the guest's own word on itself, as JSON lines
guest tty NAME                 the pseudo-terminal of its console
TEXT
	exit 2
}

[ $# -ge 2 ] || usage
word=$1 name=$2
shift 2

tty_of()
{
	xenstore-read "/local/domain/$(xl domid "$name")/console/tty"
}

case $word in
boot) exec xl create -q "/guest/$name.cfg" ;;
wait)
	left=${1:-120}
	until ask "$(tty_of)" 3 true >/dev/null 2>&1; do
		left=$((left - 3))
		if [ $left -le 0 ]; then
			echo "guest: $name does not answer" >&2
			exit 1
		fi
	done
	;;
exec) ask "$(tty_of)" 120 "$*" ;;
oracle)
	ask "$(tty_of)" 300 "exec oracle $* --gzip" >"/run/oracle.$$"
	gunzip -c <"/run/oracle.$$"
	rm "/run/oracle.$$"
	;;
tty) tty_of ;;
*) usage ;;
esac
