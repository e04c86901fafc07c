#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# In dom0: watches functions of a guest's kernel by INT3 while it works, and kills who watches at many
# moments; each program must be told of once, and the kernel's code must be as before each time. Run
# by tests/xen.py. Each check prints "passed GUEST: WHAT" or "FAILED GUEST: WHAT".
#
#	breakpoints.sh GUEST ROUNDS
guest=$1 rounds=$2
work=$(mktemp -d)

. ./common.sh

# The guest runs: its agent says in time how a program ended. Bochs gives a program a wrong address of
# a page fault now and then (see docs/xen-lab.md), of which it dies or fails: that too is an answer.
answers()
{
	answer=$(timeout 60 guest exec "$guest" 'echo "it" "runs"' 2>&1)
	status=$?
	[ "$answer" = "it runs" ] && return
	echo "status $status: $answer"
	# No answer (124), a damaged one, or none could be asked for (lab/dom0/ask.c).
	[ $status -lt 124 ] || [ $status -gt 126 ]
}

# A digest of the kernel's code: 8 MiB from its start, which takes six seconds.
code()
{
	nunchi read "xen:$guest" _stext 8M -o "$work/code" && md5sum <"$work/code"
}

is_whole()
{
	[ "$(code)" = "$whole" ]
}

# Digests of the functions at which breakpoints are while who watches is killed, a line each.
functions()
{
	for function in proc_exec_connector do_exit wake_up_new_task do_filp_open security_task_kill; do
		rm -f "$work/function"
		nunchi read "xen:$guest" $function 16 -o "$work/function"
		if [ "$(wc -c <"$work/function")" = 16 ]; then
			md5sum <"$work/function"
		else
			echo "$function cannot be read"
		fi
	done
}

have_no_breakpoint()
{
	[ "$(functions)" = "$without" ]
}

# How many of them are as without breakpoints.
count_untouched()
{
	functions >"$work/now"
	echo "$without" | grep -c -x -F -f "$work/now"
}

# Starts a trace in the background, and waits until its log has $1 breakpoints, which is while it sets
# them; $owner is its process. The shell has it ignore SIGINT.
begin_to_set()
{
	enough=$1
	shift
	nunchi trace "xen:$guest" "$@" >"$work/out" 2>"$work/err" &
	owner=$!
	for _ in $(seq 3000); do
		count=$(cat /run/nunchi/xenevents-* 2>/dev/null | grep -c '^patch')
		[ "$count" -ge "$enough" ] && break
		usleep 20000
	done
}

# The same, and waits until they are set.
begin()
{
	begin_to_set 1 "$@"
	usleep 800000
}

# Waits until somebody begins to write bytes back, or has done so.
wait_for_restored()
{
	for _ in $(seq 1000); do
		log=$(cat /run/nunchi/xenevents-* 2>/dev/null) || break
		case $log in *restored*) break ;; esac
		usleep 5000
	done
}

# The processes of nunchi, in one pass.
watchers()
{
	for stat in /proc/[0-9]*/stat; do
		read -r pid name _ 2>/dev/null <"$stat" || continue
		case $name in "(nunchi)" | "(nunchi-guard)" | "(nunchi-control)") echo "$pid" ;; esac
	done
}

# Undoes what was left. Whoever is killed within the hypercall of a pause leaves it to the user to say
# whose that is.
rescue()
{
	nunchi rescue "xen:$guest" >"$work/err" 2>&1
	if grep -q 'xl unpause' "$work/err"; then
		echo "resumed by xl unpause, as nunchi says"
		xl unpause "$guest"
		nunchi rescue "xen:$guest" >>"$work/err" 2>&1
	fi
}

# What the guest executes is one line.
programs='for i in 1 2 3 4 5 6 7 8; do sh -c "echo \$\$; read -r _ </proc/version"; echo "status $?"; done; '
programs=$programs'/run/int3; echo "ended with $?"'

# Programs that the guest starts, each of which opens a file: prints their ids, as they say themselves.
# The last one is ended by an INT3 of its own.
work_in_guest()
{
	guest exec "$guest" "$programs" >"$work/said"
	awk '/^[0-9]+$/ { id = $0 } /^status 0$/ { print id } /^status/ { id = "" }' "$work/said"
}

# Rows of a probe that have all of the words.
rows()
{
	words="\"probe\":\"$1\""
	shift
	grep -F "$words" "$work/out" | { for word; do words="$words.*$word"; done; grep -c "$words"; }
}

# A program that the emulator killed may have a row.
all_are_there()
{
	good=$(wc -l <"$work/pids")
	killed=$(grep -c '^status 139$' "$work/said")
	[ $((good + killed)) = 8 ] && [ "$killed" -le 2 ] || return 1
	while read -r pid; do
		[ "$(rows exec "\"pid\":$pid," '"cmdline":"sh -c echo \$\$; read')" = 1 ] || return 1
		[ "$(rows open "\"pid\":$pid," '"path":"/proc/version"' '"status":0')" = 1 ] || return 1
	done <"$work/pids"
	for count in "$(rows exec '"cmdline":"sh -c echo')" "$(rows open '"path":"/proc/version"')"; do
		[ "$count" -ge "$good" ] && [ "$count" -le 8 ] || return 1
	done
}

refused()
{
	timeout -s INT 60 nunchi trace "xen:$guest" "$@" --duration 1 2>"$work/err"
	[ $? = 1 ] && grep -q "$reason" "$work/err"
}

# An ELF file of 0x80 bytes: INT3, then exit(0).
elf='\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\76\0\1\0\0\0\170\0\100\0\0\0\0\0\100\0\0\0\0\0\0\0'
elf=$elf'\0\0\0\0\0\0\0\0\0\0\0\0\100\0\70\0\1\0\0\0\0\0\0\0\1\0\0\0\5\0\0\0\0\0\0\0\0\0\0\0'
elf=$elf'\0\0\100\0\0\0\0\0\0\0\100\0\0\0\0\0\202\0\0\0\0\0\0\0\202\0\0\0\0\0\0\0\0\20\0\0\0\0\0\0'
elf=$elf'\314\61\377\270\74\0\0\0\17\5'
guest exec "$guest" "printf '$elf' >/run/int3; chmod +x /run/int3"
work_in_guest >"$work/pids"
expect "a program that executes INT3 is ended by SIGTRAP" grep -q 'ended with 133' "$work/said"
whole=$(code)
without=$(functions)
expect "five functions can be read" test "$(echo "$without" | grep -c '^[0-9a-f]\{32\} ')" = 5

begin exec open --json
expect "the breakpoints are in the guest" test "$(code)" != "$whole"
expect "in two of the functions" test "$(count_untouched)" = 3
work_in_guest >"$work/pids"
expect "its INT3 is its own while it is watched" grep -q 'ended with 133' "$work/said"
kill -INT $owner; kill $owner
wait $owner
expect "the trace ends with status 0" test $? = 0
expect "each program, and each file that it opened, has one row" all_are_there
tail -n 2 "$work/err"
expect "the kernel's code is as before" is_whole
expect "no undo log is left" test -z "$(ls /run/nunchi 2>/dev/null)"

# A kprobe, which is an INT3 as well; where one of them is, the other one is refused.
probes='mount -t tracefs t /sys/kernel/tracing 2>/dev/null; cd /sys/kernel/tracing; '
probes=$probes'echo 0 >/proc/sys/debug/kprobes-optimization; echo "p:one vfs_open+5" >kprobe_events; '
probes=$probes'echo "p:two vfs_write" >>kprobe_events; echo 1 >events/kprobes/enable'
guest exec "$guest" "$probes"
hits()
{
	guest exec "$guest" 'cat /sys/kernel/tracing/kprobe_profile' | awk '$1 == "one" { print $2 }'
}
before=$(hits)
begin 'kernel:vfs_read' --json
work_in_guest >"$work/pids"
kill $owner
wait $owner
expect "a kprobe in the guest is hit while that is watched" test "$(hits)" -gt "$before"
expect "and the function beside it" test "$(grep -c '"probe":"kernel:vfs_read"' "$work/out")" -gt 8
reason='something in the guest traces this function already'
expect "a function that is traced in the guest is refused" refused 'kernel:vfs_write'
guest exec "$guest" 'cd /sys/kernel/tracing; echo 0 >events/kprobes/enable; echo >kprobe_events'
reason='there is no NOP for tracing'
expect "a function that must not be traced is refused" refused 'kernel:do_syscall_64'

# Programs, of which every second one is ended by its own INT3.
guest exec "$guest" '(while [ ! -e /run/stop ]; do sh -c :; /run/int3; sleep 1; done) >/dev/null 2>&1 &'
round=0
while [ $round -lt "$rounds" ]; do
	case $((round % 8)) in
	5) begin_to_set $((1 + round / 8 % 5)) exec exit fork open kill ;;
	*) begin exec exit fork open kill
		usleep $((round * 7919 % 400 * 1000)) ;;
	esac
	expect "round $round: it watches" grep -q '^patch' /run/nunchi/xenevents-*
	case $((round % 8)) in
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
	4) whom="nunchi by SIGTERM"
		kill $owner ;;
	5) whom="all while breakpoints are set"
		kill -9 $(watchers) ;;
	6) whom="all while nunchi writes the bytes back"
		all=$(watchers)
		kill $owner
		wait_for_restored
		kill -9 $all 2>/dev/null ;;
	7) whom="the guard too while it writes the bytes back"
		all=$(watchers)
		kill -9 $owner $(named nunchi-control)
		wait_for_restored
		kill -9 $all 2>/dev/null ;;
	esac
	wait $owner 2>/dev/null
	case $((round % 8)) in
	[23567]) rescue ;;
	esac
	case $((round % 8)) in
	[235])
		expect "round $round: rescue says what it did" \
			grep -q 'had left this guest with an event ring' "$work/err" ;;
	esac
	expect "round $round: the guest goes on after a kill of $whom" answers
	expect "round $round: no breakpoint is left" have_no_breakpoint
	round=$((round + 1))
done
guest exec "$guest" 'touch /run/stop'
expect "the kernel's code is as before after all kills" is_whole
expect "no guard is left after the kills" test -z "$(named nunchi-guard)"
expect "no undo log is left after the kills" test -z "$(ls /run/nunchi 2>/dev/null)"
# The guest is saved while it is watched, and goes on: nunchi ends before that.
begin exec open
expect "it watches the guest that is saved" grep -q '^patch' /run/nunchi/xenevents-*
save()
{
	timeout 400 xl save -c "$guest" /dev/null >"$work/said" 2>&1 || tail -n 3 "$work/said"
}
expect "the guest is saved" test -z "$(save)"
wait $owner
expect "nunchi says why it ends" grep -q 'the guest is about to be saved' "$work/err"
expect "the guest goes on after it was saved" answers
expect "no breakpoint is left after that" have_no_breakpoint
oops()
{
	[ -z "$(guest exec "$guest" 'dmesg' | grep -E 'BUG:|Oops|WARNING: CPU|exited with irqs')" ]
}
expect "the guest's kernel has nothing to complain of" oops
