# SPDX-License-Identifier: LGPL-2.1-or-later
# Run in the Xen lab's dom0: every view of every guest, between two passes of the guest's own word.
# 75 is the status if a guest does not answer, and was not looked into yet or is not paused. Left in
# $OUT: GUEST/oracle-a.jsonl and -b, GUEST/FORM/VIEW.{out,err,status}, list.*, GUEST/info.*.
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

nunchi --version
keeps list nunchi list --json
for guest in $NUNCHI_GUESTS; do
	mkdir -p "$OUT/$guest"
	guest oracle "$guest" a $SYMBOLS >"$OUT/$guest/oracle-a.jsonl" || exit 75
	sleep 1
	keeps "$guest/info" nunchi info "xen:$guest" --json
	for view in $FEW; do
		keeps "$guest/live auto/$view" nunchi show "xen:$guest" "$view" --json
	done
	for view in $VIEWS; do
		keeps "$guest/live always/$view" nunchi show "xen:$guest" "$view" --json --pause always
	done
	if ! guest oracle "$guest" b >"$OUT/$guest/oracle-b.jsonl"; then
		xl vcpu-list "$guest"
		xl list "$guest"
		# nunchi writes nothing to a guest of Xen, it pauses it. One that is paused still
		# was left so; one that runs and does not answer was broken by the emulation, as
		# it also happens before nunchi looks (once in seven runs of 4.14 on 2026-11-29).
		xl list "$guest" | awk 'NR == 2 { exit index($5, "p") ? 0 : 1 }' && exit 1
		exit 75
	fi
	keeps "$guest/state" xl list "$guest"
	keep "$OUT/$guest"
done
