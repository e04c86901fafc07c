# SPDX-License-Identifier: LGPL-2.1-or-later
# Run in the Xen lab's dom0: guests that balloon, are renamed, rebooted, saved, restored, crash and
# are destroyed while nunchi reads them. Each check prints "passed WHAT" or "FAILED WHAT".
# GUESTS are the names of those, set by what runs this (tests/xen.py).

check()
{
	what=$1
	shift
	if "$@" >/tmp/check 2>&1; then
		echo "passed $what"
	else
		echo "FAILED $what (status $?): $(tail -n 3 /tmp/check | tr '\n' '|')"
	fi
}

# names GUEST: process names as nunchi has them, and as the guest itself says; those alone that
# need no quotes (the column "torn" comes with them). Workers are named after their work.
plain()
{
	grep -E '^[A-Za-z0-9_/:.-]+$' | grep -v '^kworker' | sort -u
}

names()
{
	nunchi show "xen:$1" processes --columns name --csv >/tmp/rows && tail -n +2 /tmp/rows | cut -d, -f1 | plain
}

own_names()
{
	# Of a name with line breaks no line is one.
	guest exec "$1" 'awk "FNR == 1 { if (n == 1) print l; n = 0 } { l = \$0; n++ } END { if (n == 1) print l }" /proc/[0-9]*/comm' | plain
}

# agree FILE FILE: the same names, but for what asks in the guest. Says which are not.
agree()
{
	[ -s "$1" ] && [ -s "$2" ] || return 1
	sort "$1" "$2" | uniq -u | grep -vE '^(sh|awk|agent)$' >/tmp/differ
	head -n 5 /tmp/differ
	[ ! -s /tmp/differ ]
}

agrees()
{
	own_names "$1" >/tmp/own
	names "$1" >/tmp/shown
	agree /tmp/own /tmp/shown
}

# refused SAYS COMMAND…: ends with 1, a hint, and an error that says so.
refused()
{
	says=$1
	shift
	"$@" >/tmp/out 2>/tmp/err
	[ $? -eq 1 ] && [ ! -s /tmp/out ] && grep -q "hint: " /tmp/err && grep -q -- "$says" /tmp/err
}

# reads GUEST: reads it over and over until told to stop; every run must end well or with an error.
reads()
{
	: >/tmp/reading
	: >/tmp/ends
	while [ -e /tmp/reading ]; do
		timeout 60 nunchi show "xen:$1" processes --json >/dev/null 2>/tmp/err.last
		echo $? >>/tmp/ends
	done
}

ends_are_orderly()
{
	[ -s /tmp/ends ] && ! grep -qvE '^[01]$' /tmp/ends
}

while_reading()
{
	reads "$1" &
	reader=$!
	sleep 1
	shift
	"$@"
	did=$?
	sleep 2
	rm -f /tmp/reading
	wait $reader
	return $did
}

# Of xl's list: the guest's memory in MB, and its state.
memory_of()
{
	xl list "$1" | awk 'NR == 2 { print $3 }'
}

state_of()
{
	xl list "$1" | awk 'NR == 2 { print $5 }'
}

unpaused()
{
	case $(state_of "$1") in *p*) return 1 ;; esac
}

# within SECONDS COMMAND…: until it succeeds.
within()
{
	left=$1
	shift
	until "$@"; do
		[ "$left" -gt 0 ] || return 1
		left=$((left - 1))
		sleep 1
	done
}

has_at_most()
{
	[ "$(memory_of "$1")" -le "$2" ]
}

has_at_least()
{
	[ "$(memory_of "$1")" -ge "$2" ]
}

# The guest gives memory back, which takes it a moment.
shrinks()
{
	xl mem-set "$1" 200m && within 30 has_at_most "$1" 204
}

grows()
{
	xl mem-set "$1" 256m && within 30 has_at_least "$1" 250
}

# Answered before it happens: afterwards nobody is there who could.
soon()
{
	guest exec "$1" "(sleep 1; $2) </dev/null >/dev/null 2>&1 &"
}

is_another()
{
	new=$(xl domid "$1" 2>/dev/null) && [ "$new" != "$2" ]
}

# Until there is another domain of that name.
reboots()
{
	old=$(xl domid "$1")
	soon "$1" "reboot -f" && within 60 is_another "$1" "$old"
}

is_crashed()
{
	case $(state_of "$1") in *c*) ;; *) return 1 ;; esac
}

crashes()
{
	soon "$1" "echo c >/proc/sysrq-trigger" && within 60 is_crashed "$1"
}

looks_as_it_did()
{
	names "$1" >/tmp/shown
	agree /tmp/own /tmp/shown
}

# befalls GUEST EVENT COMMAND…: while it is read.
befalls()
{
	event="$1 $2" read=$1
	shift 2
	check "$event while it is read" while_reading "$read" "$@"
	check "$event: runs end well or with an error" ends_are_orderly
}

others_are_listed()
{
	nunchi list >/tmp/listed || return 1
	! grep -q "^xen:$1 " /tmp/listed || return 1
	for other in $NUNCHI_GUESTS; do
		[ "$other" = "$1" ] || grep -q "^xen:$other " /tmp/listed || return 1
	done
}

life()
{
	guest=$1
	check "$guest agrees" agrees "$guest"

	befalls "$guest" "shrinks" shrinks "$guest"
	check "$guest agrees with less memory" agrees "$guest"
	befalls "$guest" "grows" grows "$guest"
	check "$guest agrees with its memory back" agrees "$guest"
	check "$guest runs" unpaused "$guest"

	befalls "$guest" "is renamed" xl rename "$guest" other
	check "$guest: the new name is known" nunchi ps xen:other
	check "$guest: the old name is not" refused "xen:$guest" nunchi ps "xen:$guest"
	xl rename other "$guest"

	befalls "$guest" "reboots" reboots "$guest"
	check "$guest is up again" guest wait "$guest" 300
	check "$guest agrees after its reboot" agrees "$guest"

	befalls "$guest" "is saved" xl save "$guest" /tmp/saved
	check "$guest is gone when it was saved" refused "xen:$guest" nunchi ps "xen:$guest"
	check "$guest is restored" xl restore /tmp/saved
	rm -f /tmp/saved
	check "$guest answers" guest wait "$guest"
	check "$guest agrees after it was restored" agrees "$guest"

	# A kernel that firmware started has the machine reset when it panics.
	if [ "$guest" != hvm ]; then
		befalls "$guest" "crashes" crashes "$guest"
		check "$guest looks as it did before it crashed" looks_as_it_did "$guest"
	fi
	befalls "$guest" "is destroyed" xl destroy "$guest"
	check "$guest is gone when it was destroyed" refused "xen:$guest" nunchi ps "xen:$guest"
	check "the list has the others than $guest" others_are_listed "$guest"
}

for one in $GUESTS; do
	life "$one"
done
echo done
