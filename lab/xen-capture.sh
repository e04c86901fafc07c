# SPDX-License-Identifier: LGPL-2.1-or-later
# A job for `lab/xen --run`: every guest saved in Xen's own formats, with its own word on itself
# before (a) and after (b). xl pauses a guest while it saves it; it goes on afterwards.
set -eu

for name in $NUNCHI_GUESTS; do
	guest oracle "$name" a --symbols >"$OUT/$name.save.oracle-a.jsonl"
	start=$(date +%s)
	xl -q save -c "$name" "/tmp/$name.save" 2>/dev/null
	echo "$name: xl save took $(($(date +%s) - start)) s"
	guest wait "$name"
	guest oracle "$name" b >"$OUT/$name.save.oracle-b.jsonl"
	keep "/tmp/$name.save"
done
# Of a PVH or HVM guest it would take eight minutes.
for name in $NUNCHI_GUESTS; do
	case $name in
	pv | pv-*) ;;
	*) continue ;;
	esac
	guest oracle "$name" a --symbols >"$OUT/$name.core.oracle-a.jsonl"
	start=$(date +%s)
	xl dump-core "$name" "/tmp/$name.core"
	echo "$name: xl dump-core took $(($(date +%s) - start)) s"
	guest oracle "$name" b >"$OUT/$name.core.oracle-b.jsonl"
	keep "/tmp/$name.core"
done
