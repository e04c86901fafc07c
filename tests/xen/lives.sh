# SPDX-License-Identifier: LGPL-2.1-or-later
# Run in the Xen lab's dom0: guests that balloon, are renamed, saved, restored, rebooted and
# destroyed, some of it while nunchi reads them. Each check prints "passed WHAT" or "FAILED WHAT".

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

# The same names on both sides, but for what asks in the guest. Says which are not.
agrees()
{
	own_names "$1" >/tmp/own
	names "$1" >/tmp/shown
	[ -s /tmp/own ] && [ -s /tmp/shown ] || return 1
	sort /tmp/own /tmp/shown | uniq -u | grep -vE '^(sh|awk|agent)$' >/tmp/differ
	head -n 5 /tmp/differ
	[ ! -s /tmp/differ ]
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

unpaused()
{
	xl list "$1" | tail -n 1 | awk '{ exit $5 ~ /p/ }'
}

# reboots GUEST: until there is another domain of that name.
reboots()
{
	old=$(xl domid "$1")
	# Answered before it happens: afterwards nobody is there who could.
	guest exec "$1" '(sleep 1; reboot -f) </dev/null >/dev/null 2>&1 &'
	for _ in $(seq 60); do
		sleep 1
		new=$(xl domid "$1" 2>/dev/null) && [ "$new" != "$old" ] && return 0
	done
	return 1
}

for guest in $NUNCHI_GUESTS; do
	check "$guest agrees" agrees "$guest"
done

for guest in pv pvh; do
	check "$guest balloons while it is read" while_reading "$guest" xl mem-set "$guest" 200m
	check "$guest: runs while it ballooned end well or with an error" ends_are_orderly
	check "$guest agrees with less memory" agrees "$guest"
	xl mem-set "$guest" 256m
	sleep 3
	check "$guest agrees with its memory back" agrees "$guest"
	check "$guest runs" unpaused "$guest"
done

check "pvh is renamed while it is read" while_reading pvh xl rename pvh other
check "pvh renamed: runs end well or with an error" ends_are_orderly
check "the new name is known" nunchi ps xen:other
check "the old name is not" refused "xen:pvh" nunchi ps xen:pvh
xl rename other pvh

check "pv is saved" xl save pv /tmp/pv.save
check "a guest that was saved is gone" refused "xen:pv" nunchi ps xen:pv
check "pv is restored" xl restore /tmp/pv.save
rm -f /tmp/pv.save
check "pv answers" guest wait pv
check "pv agrees after it was restored" agrees pv

check "pvh reboots while it is read" while_reading pvh reboots pvh
check "pvh rebooted: runs end well or with an error" ends_are_orderly
check "pvh is up again" guest wait pvh 200
check "pvh agrees after its reboot" agrees pvh

check "hvm is destroyed while it is read" while_reading hvm xl destroy hvm
check "hvm destroyed: runs end well or with an error" ends_are_orderly
check "a guest that was destroyed is gone" refused "xen:hvm" nunchi ps xen:hvm
check "the list has the others alone" sh -c 'nunchi list | grep -q xen:pv && ! nunchi list | grep -q xen:hvm'
echo done
