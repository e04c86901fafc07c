#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# In dom0: watches a guest by Xen's event ring while it starts programs, and kills who watches at
# many moments; the guest must go on each time. Ends with the guest destroyed. Run by tests/xen.py,
# after kill.sh. Each check prints "passed GUEST: WHAT" or "FAILED GUEST: WHAT".
#
#	events.sh GUEST ROUNDS
guest=$1 rounds=$2
work=$(mktemp -d)
fs_base=0xc0000100 # each program of 64 bits writes it when it starts

. ./common.sh

# The guest runs: it answers, and has no vCPU that waits.
answers()
{
	[ "$(timeout 60 guest exec "$guest" 'echo "it" "runs"')" = "it runs" ]
}

traced()
{
	timeout -s INT 120 nunchi trace "xen:$guest" "$@"
}

# Starts a trace in the background, and waits until it watches; $owner is its process. The shell has
# it ignore SIGINT.
begin()
{
	nunchi trace "xen:$guest" "$@" >"$work/out" 2>"$work/err" &
	owner=$!
	for _ in $(seq 200); do
		grep -q 'ring done' /run/nunchi/xenevents-* 2>/dev/null && break
		usleep 300000
	done
	usleep 500000 # Its events are switched on next.
}

# The ids of five programs that the guest started, as it says itself, and rows of both probes.
all_are_there()
{
	[ "$(wc -l <"$work/pids")" = 5 ] || return 1
	while read -r pid; do
		grep -q "\"probe\":\"cr3\".*\"pid\":$pid," "$work/out" || return 1
		grep -q "\"probe\":\"msr:$fs_base\".*\"pid\":$pid," "$work/out" || return 1
	done <"$work/pids"
}

begin cr3 msr:$fs_base --json
guest exec "$guest" 'for i in 1 2 3 4 5; do sh -c "echo \$\$"; done' >"$work/pids"
kill $owner
wait $owner
expect "the trace ends with status 0" test $? = 0
expect "each program has rows" all_are_there
tail -n 1 "$work/err"
expect "the guest goes on" answers
expect "no undo log is left" test -z "$(ls /run/nunchi 2>/dev/null)"
expect "a trace of nothing ends" traced cr4 msr --duration 1
refuses()
{
	traced exec --count 1 2>"$work/err"
	[ $? = 1 ] && grep -q 'the guest itself gets the trap' "$work/err" &&
		grep -q 'hint: these probes work there, without --pid: cr3, cr4, msr' "$work/err"
}
expect "exec is refused, and what works is said" refuses

# A program a second, until /tmp/stop is there.
guest exec "$guest" '(while [ ! -e /tmp/stop ]; do sh -c :; sleep 1; done) >/dev/null 2>&1 &'
begin cr3
busy()
{
	traced cr3 --count 1 2>"$work/second"
	[ $? = 1 ] && grep -q 'another nunchi watches this guest' "$work/second"
}
expect "a second one is refused" busy
kill $owner
wait $owner

round=0
while [ $round -lt "$rounds" ]; do
	begin cr3
	usleep $((round * 7919 % 400 * 1000))
	expect "round $round: it watches" grep -q "ring done" /run/nunchi/xenevents-*
	case $((round % 4)) in
	0) whom="the confined process"
		kill -9 $owner ;;
	1) whom="the process with the ring"
		for pid in $(named nunchi-control); do kill -9 "$pid"; done ;;
	2) whom="the guard, then both others"
		for pid in $(named nunchi-guard); do kill -9 "$pid"; done
		usleep 100000
		for pid in $(named nunchi-control) $owner; do kill -9 "$pid"; done ;;
	3) whom="all at one event"
		for pid in $(named nunchi-control) $owner; do kill -STOP "$pid"; done
		for pid in $(named nunchi-guard) $(named nunchi-control) $owner; do kill -9 "$pid"; done ;;
	esac
	wait $owner 2>/dev/null
	if [ $((round % 4)) -ge 2 ]; then
		note=$(nunchi info "xen:$guest" 2>&1)
		case $note in
		*"had left this guest with an event ring"*) status=0 ;;
		*) status=1 ;;
		esac
		expect "round $round: the next nunchi repairs and says so" test $status = 0
	fi
	expect "round $round: the guest goes on after a kill of $whom" answers
	round=$((round + 1))
done
expect "it can be watched after that" traced cr3 --count 3
expect "no guard is left" test -z "$(named nunchi-guard)"
expect "no undo log is left after the kills" test -z "$(ls /run/nunchi 2>/dev/null)"

begin cr3
xl destroy "$guest"
wait $owner
expect "a guest that is destroyed ends the trace with status 1" test $? = 1
expect "which says so" grep -q 'has ended\|is gone\|other domain' "$work/err"
tail -n 2 "$work/err"
usleep 500000
expect "nothing is left of the domain" test -z "$(xl list | grep null)"
expect "no undo log is left in the end" test -z "$(ls /run/nunchi 2>/dev/null)"
