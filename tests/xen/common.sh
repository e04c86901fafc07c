# SPDX-License-Identifier: LGPL-2.1-or-later
# In dom0: what breakpoints.sh, events.sh and kill.sh have in common. They set `guest`, the guest's name.

# WHAT COMMAND…: prints whether the command ended with 0.
expect()
{
	what=$1
	shift
	if "$@"; then
		echo "passed $guest: $what"
	else
		echo "FAILED $guest: $what"
	fi
}

# The process ids of programs of this name.
named()
{
	for stat in /proc/[0-9]*/stat; do
		read -r pid name _ 2>/dev/null <"$stat" && [ "$name" = "($1)" ] && echo "$pid"
	done
}
