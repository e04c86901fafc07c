# SPDX-License-Identifier: LGPL-2.1-or-later
# Run in the Xen lab's dom0: every view of every guest, between two passes of the guest's own word.
# 75 is the status if a guest does not answer that was not looked into yet. Left in $OUT:
# GUEST/oracle-a.jsonl and -b, GUEST/FORM/VIEW.{out,err,status}, list.*, GUEST/info.*.
# VIEWS, FEW and SYMBOLS (for the oracle: --symbols or nothing) are set by what runs this
# (tests/xen.py).

# keeps WHAT COMMAND…: what it printed, what it complained of, its status.
keeps()
{
	to=$OUT/$1
	shift
	mkdir -p "${to%/*}"
	# One that hangs is an error of its own, not of the lab.
	timeout 300 "$@" >"$to.out" 2>"$to.err"
	echo $? >"$to.status"
}

# oracle GUEST PASS [ARG…]: the guest's own word. Bochs gives a program a wrong address of a page fault now
# and then (see docs/xen-lab.md), of which it dies or fails; then it is asked again, at most twice.
oracle()
{
	for _ in 1 2 3; do
		guest oracle "$@"
		status=$?
		# No answer (124), a damaged one, or none could be asked for (lab/dom0/ask.c).
		if [ $status = 0 ] || { [ $status -ge 124 ] && [ $status -le 126 ]; }; then
			break
		fi
		echo "oracle $*: status $status" >&2
	done
	return $status
}

nunchi --version
keeps list nunchi list --json
for guest in $NUNCHI_GUESTS; do
	mkdir -p "$OUT/$guest"
	oracle "$guest" a $SYMBOLS >"$OUT/$guest/oracle-a.jsonl" || exit 75
	sleep 1
	keeps "$guest/info" nunchi info "xen:$guest" --json
	for view in $FEW; do
		keeps "$guest/live auto/$view" nunchi show "xen:$guest" "$view" --json
	done
	for view in $VIEWS; do
		keeps "$guest/live always/$view" nunchi show "xen:$guest" "$view" --json --pause always
	done
	if ! oracle "$guest" b >"$OUT/$guest/oracle-b.jsonl"; then
		# Whether it was left paused, and whether it runs.
		xl vcpu-list "$guest"
		xl list "$guest"
		exit 1
	fi
	keeps "$guest/state" xl list "$guest"
	keep "$OUT/$guest"
done
