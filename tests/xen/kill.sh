#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# In dom0: kills a program that pauses a guest, its guard, or both, at many moments, and looks
# whether the guest goes on; and whether a pause that somebody else made stays. Run by tests/xen.py.
# Each check prints "passed GUEST: WHAT" or "FAILED GUEST: WHAT".
#
#	kill.sh GUEST ROUNDS
guest=$1 rounds=$2
. ./common.sh

is_paused()
{
	xl list "$guest" | awk 'NR == 2 { exit index($5, "p") ? 0 : 1 }'
}

runs_soon()
{
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		is_paused || return 0
		usleep 100000
	done
	return 1
}

# A moment of the round, from 0.05 to 0.55 s after the start; different ones each time.
moment()
{
	echo $((50000 + $1 * 7919 % 500 * 1000))
}

# Every other round: waits, at most some seconds, until the guest is paused. On a busy host no fixed
# moment can be relied on to be within a pause.
wait_for_pause()
{
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		is_paused && return
		usleep 20000
	done
}

stays_paused()
{
	usleep 300000
	is_paused
}

# pauses MILLISECONDS TIMES: to its end; one that hangs is ended, and has failed.
pauses()
{
	timeout -s KILL 240 ./pauser "xen:$guest" "$@"
}

resumed_or_asked()
{
	note=$(pauses 0 0) || return 1
	is_paused || return 0
	case $note in *"xl unpause"*) return 0 ;; esac
	return 1
}

asked=0 repaired=0 met=0
round=0
while [ $round -lt "$rounds" ]; do
	./pauser "xen:$guest" 20 2>/dev/null &
	owner=$!
	usleep "$(moment $round)"
	[ $((round % 2)) = 1 ] && wait_for_pause
	is_paused && met=$((met + 1))
	case $((round % 3)) in
	0)
		kill -9 $owner
		expect "round $round: the guest goes on after its owner was killed" runs_soon
		;;
	1)
		for pid in $(named nunchi-guard); do kill -9 "$pid"; done
		usleep 100000
		kill -9 $owner
		usleep 100000
		is_paused && repaired=$((repaired + 1))
		expect "round $round: the guard, then the owner" resumed_or_asked
		;;
	2)
		kill -STOP $owner
		for pid in $(named nunchi-guard); do kill -9 "$pid"; done
		kill -9 $owner
		usleep 100000
		is_paused && repaired=$((repaired + 1))
		expect "round $round: both at once" resumed_or_asked
		;;
	esac
	wait $owner 2>/dev/null
	if is_paused; then
		asked=$((asked + 1))
		xl unpause "$guest"
	fi
	round=$((round + 1))
done
expect "the guest was paused by who was killed" test $met -gt 0
echo "paused $met of $rounds times when the kill came; left paused and repaired by the next run or asked about: $repaired, of these asked: $asked"

# Signals at 1 kHz that are caught, through 1,000 pauses: each is made and undone, so that Xen's count
# of pauses is 0 at the end.
goes_on_among_signals()
{
	note=$(pauses 0 1000 signals) || return 1
	echo "$guest: $note"
	is_paused && return 1
	case $note in "1000 pauses, caught "[1-9][0-9][0-9]*) ;; *) return 1 ;; esac
}
expect "1,000 pauses among signals that are caught" goes_on_among_signals
answers_among_signals()
{
	note=$(pauses queries 30)
	case $? in
	0) echo "$guest: $note" ;;
	*) echo "$guest: the queries ended with $?" && return 1 ;;
	esac
	! is_paused
}
expect "30 queries that pause, among signals that are caught" answers_among_signals

# What a confined process can do to the host and to this guest, and that its pause ends with it.
expect "a confined process is confined" ./confined "xen:$guest"
expect "a confined process that holds the guest is killed" ./confined killed "xen:$guest"

# A child of the killed owner, with all its descriptors, lives on.
./pauser "xen:$guest" 100000 1 child &
owner=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do
	is_paused && break
	usleep 100000
done
expect "the guest is paused by who has a child" is_paused
kill -9 $owner
wait $owner 2>/dev/null
expect "its owner was killed, whose child lives on" runs_soon

# Somebody else's pause.
xl pause "$guest"
round=0
while [ $round -lt 6 ]; do
	./pauser "xen:$guest" 20 2>/dev/null &
	owner=$!
	usleep "$(moment $((round + 3)))"
	kill -9 $owner
	wait $owner 2>/dev/null
	expect "somebody else's pause stays when the owner is killed" stays_paused
	round=$((round + 1))
done
expect "pauses within it come to their end" pauses 5 20
expect "it stays when nobody is killed" stays_paused
xl unpause "$guest"
expect "it was counted exactly" runs_soon
expect "no guard is left" test -z "$(named nunchi-guard)"
expect "no undo log is left" test -z "$(ls /run/nunchi 2>/dev/null)"
