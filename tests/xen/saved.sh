# SPDX-License-Identifier: LGPL-2.1-or-later
# Run in the Xen lab's dom0: guests saved by Xen's own tools, each file between two passes of the
# guest's own word. Left in $OUT: GUEST.FORM, GUEST.FORM.oracle-a.jsonl and -b; FORM is save or core.
# nunchi has no part in this, so what fails is Xen's or the emulator's: the status is 75 then.
# SAVED is a list of GUEST.FORM, set by what runs this (tests/xen_saved.py).

for file in $SAVED; do
	guest=${file%.*} form=${file#*.}
	start=$(date +%s)
	guest oracle "$guest" a --symbols >"$OUT/$file.oracle-a.jsonl" || exit 75
	case $form in
	# -c: it goes on when it is saved.
	save) set -- save -c ;;
	core) set -- dump-core ;;
	esac
	if ! xl "$@" "$guest" "$OUT/$file" >/tmp/said 2>&1; then
		tail -n 4 /tmp/said
		exit 75
	fi
	echo "took $file $(($(date +%s) - start)) s"
	guest wait "$guest"
	guest oracle "$guest" b >"$OUT/$file.oracle-b.jsonl" || exit 75
	keep "$OUT/$file" "$OUT/$file.oracle-a.jsonl" "$OUT/$file.oracle-b.jsonl"
done
