# SPDX-License-Identifier: LGPL-2.1-or-later
# Run in the Xen lab's dom0: what nunchi says where something is in the way, and whether the doctor
# agrees. Each check prints "passed WHAT" or "FAILED WHAT"; what was said stands before it as
# "| TEXT". The host is taken to pieces on the way, and not put together again.

libraries=/usr/lib/x86_64-linux-gnu

# Debian has a wrapper of xl there; the lab has the tool alone, in a folder of PATH, and root's doctor
# runs what is in the system's folders.
[ -e /usr/sbin/xl ] || ln -s "$(command -v xl)" /usr/sbin/xl

section()
{
	echo "== $1, $(cut -d. -f1 /proc/uptime) s after boot"
}

verdict()
{
	if [ -z "$wrong" ]; then
		echo "passed $1"
	else
		echo "FAILED $1:$wrong it said $(cat /tmp/out /tmp/err | head -n 4 | cut -c1-200 | tr '\n' '|')"
	fi
}

# runs COMMAND…: in $status, /tmp/out and /tmp/err. What hangs is ended, and fails.
runs()
{
	wrong=
	timeout -s KILL 60 "$@" >/tmp/out 2>/tmp/err
	status=$?
	sed 's/^/| /' /tmp/err
}

has()
{
	grep -qE -- "$2" "$1" || wrong="$wrong no \"$2\" in ${1##*/};"
}

lacks()
{
	! grep -qE -- "$2" "$1" || wrong="$wrong \"$2\" in ${1##*/};"
}

ends()
{
	[ "$status" -eq "$1" ] || wrong="$wrong status $status;"
}

# refused WHAT SAYS HINT COMMAND…: ends with 1, an error and a hint that say so, and no rows.
refused()
{
	what=$1 says=$2 hint=$3
	shift 3
	runs "$@"
	ends 1
	[ ! -s /tmp/out ] || wrong="$wrong rows;"
	has /tmp/err "^nunchi: .*$says"
	has /tmp/err "^  hint: .*$hint"
}

# Of these the doctor knows nothing.
refused_here()
{
	refused "$@"
	lacks /tmp/err 'nunchi doctor'
	verdict "$what"
}

# refused_by_host WHAT SAYS HINT [COMMAND…]: a list, a view of a guest, and others.
refused_by_host()
{
	lack=$1 by=$2 help=$3
	shift 3
	for line in 'list' 'ps xen:pvh --json' "$@"; do
		# shellcheck disable=SC2086
		refused "$lack: $line" "$by" "$help" $AS nunchi $line
		[ -n "$AS" ] || has /tmp/err '^  `nunchi doctor` says what this host lacks$'
		verdict "$what"
	done
}

works()
{
	what=$1
	shift
	runs "$@"
	ends 0
	[ ! -s /tmp/err ] || wrong="$wrong words on stderr;"
}

# names_all WHAT: the list and the views as if nothing were in the way.
names_all()
{
	works "$1: list" nunchi list
	for guest in $NUNCHI_GUESTS; do
		has /tmp/out "^xen:$guest "
	done
	lacks /tmp/out 'no name'
	verdict "$what"
	works "$1: ps" nunchi ps xen:pvh
	verdict "$what"
}

# doctor_says WHAT PATTERN…
doctor_says()
{
	what=$1
	shift
	wrong=
	timeout -s KILL 90 nunchi doctor --all >/tmp/out 2>/tmp/err
	status=$?
	ends 0
	for pattern; do
		has /tmp/out "$pattern"
	done
	grep -A3 -E '^Verdict|^  missing' /tmp/out | sed 's/^/| /'
	verdict "$what"
}

id_of()
{
	xl domid "$1"
}

section "names"
refused_here 'a name that nobody has' 'there is no domain "nobody"' 'nunchi list' nunchi ps xen:nobody
refused_here 'an id that nobody has' 'there is no domain "99"' 'nunchi list' nunchi ps xen:99 --json
refused_here 'domain 0' 'domain 0 is dom0, where nunchi itself runs' '/proc' nunchi ps xen:0
refused_here 'a name without its kind' 'pvh: no such file' 'did you mean xen:pvh' nunchi ps pvh
refused_here 'a raw snapshot of a PV guest' 'machine frames' 'format elf' nunchi snapshot xen:pv /tmp/x --format raw
pv=$(id_of pv) pvh=$(id_of pvh)
xenstore-write "/local/domain/$pv/name" pvh
refused_here 'two of one name' "domains $pv and $pvh are both named \"pvh\"" "xen:$pv or xen:$pvh" nunchi ps xen:pvh
works 'two of one name: the list has ids' nunchi list
has /tmp/out "^xen:$pv  *xen .PV. .* pvh( |\$)"
has /tmp/out "^xen:$pvh  *xen .PVH. .* pvh( |\$)"
verdict "$what"
xenstore-write "/local/domain/$pv/name" "$pvh"
works 'a name that is the id of another: the id counts' nunchi info "xen:$pvh"
has /tmp/out 'of a PVH guest'
verdict "$what"
xenstore-write "/local/domain/$pv/name" 7777
works 'a name of digits' nunchi info xen:7777
has /tmp/out 'of a PV guest'
verdict "$what"
xenstore-write "/local/domain/$pv/name" pv

section "not root"
echo 'nobody:x:65534:65534::/:/bin/sh' >>/etc/passwd
cat >/usr/bin/as-nobody <<'TEXT'
#!/bin/sh
exec su -s /bin/sh nobody -c "$*"
TEXT
chmod 755 /usr/bin/as-nobody
AS=as-nobody
refused_by_host 'not root' 'by root only' 'sudo nunchi' 'list --watch' 'info xen:2'
AS=

section "/dev/xen/privcmd, /proc/xen"
# In its own file system, for the kernel to find it when the module goes.
mv /dev/xen/privcmd /dev/xen/away
names_all 'the old device, /proc/xen/privcmd'
doctor_says 'doctor: the old device will do' '^Verdict: ready'
umount -l /proc/xen
refused_by_host 'no device' 'no /dev/xen/privcmd' 'modprobe xen-privcmd' 'list --json' 'list --watch' \
	'info xen:pvh'
doctor_says 'doctor: no device' 'missing: privcmd' 'modprobe -a xen-privcmd'
mv /dev/xen/away /dev/xen/privcmd
names_all 'without xenfs'
doctor_says 'doctor: without xenfs' '^Verdict: ready' 'xen-dom0'
mount -t xenfs xenfs /proc/xen

section "libraries"
mkdir /tmp/libraries
mv $libraries/libxen* /tmp/libraries/
names_all "without any of Xen's libraries"
works "without any of Xen's libraries: paused" nunchi ps --pause always xen:pvh
verdict "$what"
mv /tmp/libraries/* $libraries/

section "xenstored"
mv /run/xenstored/socket /tmp/
names_all 'by the kernel, without a socket'
mv /tmp/socket /run/xenstored/
daemon=$(cat /run/xen/xenstored.pid)

# without_store WHAT SAYS
without_store()
{
	works "$1: the list" nunchi list
	has /tmp/out "^xen:$pvh .*no name: $2"
	verdict "$what"
	works "$1: by id" nunchi ps "xen:$pvh"
	verdict "$what"
	refused "$1: by name" "$2" 'say xen:ID.*xenstored' nunchi ps xen:pvh
	has /tmp/err 'nunchi doctor'
	verdict "$what"
	timeout -s INT -k 20 5 nunchi list --watch >/tmp/out 2>/tmp/err
	echo $? >/tmp/status
	has /tmp/status '^(124|130|143)$'
	has /tmp/out "xen:$pvh "
	verdict "$1: list --watch goes on, and ends when asked to"
}

kill -STOP "$daemon"
without_store 'xenstored stopped' 'xenstored does not answer'
kill -CONT "$daemon"
names_all 'xenstored goes on'

section "no Linux"
sed 's/name="pvh"/name="never"/; s/memory=256/memory=128/' /guest/pvh.cfg >/tmp/never.cfg
xl create -p -q /tmp/never.cfg
refused_here 'paused since it was made' 'no Linux kernel found' 'is paused.*xl unpause' nunchi ps xen:never
ended=$(id_of never)
xl destroy never
refused_here 'an id that just ended' "there is no domain \"$ended\"" 'nunchi list' nunchi ps "xen:$ended"
xl destroy hvm
sed '/kernel\|ramdisk\|extra/d; s/name="hvm"/name="bare"/; s/memory=256/memory=32/' /guest/hvm.cfg >/tmp/bare.cfg
xl create -q /tmp/bare.cfg
refused_here 'in its firmware' 'no Linux kernel found' 'firmware or boot loader' nunchi ps xen:bare
xl destroy bare

section "in a guest"
# The lab's guest with nunchi, and nothing else to do: of two archives one after the other the
# kernel takes the files of both.
root=/tmp/inside
mkdir -p $root/bin $root/$libraries $root/lib64 $root/xen
cp /usr/local/bin/nunchi $root/bin/
for library in $(LD_TRACE_LOADED_OBJECTS=1 /lib64/ld-linux-x86-64.so.2 /usr/local/bin/nunchi | grep -o '=> /[^ ]*' | cut -c4-) \
; do
	cp "$library" $root/$libraries/
done
cp -L /lib64/ld-linux-x86-64.so.2 $root/lib64/
cp /modules/xen_privcmd.ko /modules/xenfs.ko $root/xen/
cat >$root/init <<'TEXT'
#!/bin/sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
dmesg -n 1
exec /bin/agent /dev/hvc0 --same
TEXT
chmod 755 $root/init
{
	cat "$(sed -n 's/^ramdisk="\(.*\)"/\1/p' /guest/pv.cfg)"
	(cd $root && find . | cpio -o -H newc 2>/dev/null)
} >/tmp/inside.cpio
rm -rf $root
sed 's/name="pv"/name="inside"/; s/memory=256/memory=200/; s,^ramdisk=.*,ramdisk="/tmp/inside.cpio",' /guest/pv.cfg >/tmp/inside.cfg
xl create -q /tmp/inside.cfg
rm /tmp/inside.cpio
guest wait inside 60

# in_guest WHAT STATUS PATTERN COMMAND: both outputs come together.
in_guest()
{
	runs guest exec inside "$4 2>&1"
	ends "$2"
	has /tmp/out "$3"
	sed 's/^/| /' /tmp/out
	verdict "$1: $4"
}

# not_dom0 WHAT
not_dom0()
{
	for line in 'ps xen:1' 'info xen:pv --json'; do
		in_guest "$1" 1 '^nunchi: .*this is a guest of Xen itself' "nunchi $line"
		lacks /tmp/out 'modprobe|root|what this host lacks'
		has /tmp/out '^  hint: run nunchi in dom0'
		verdict "$1: the hint"
	done
	in_guest "$1" 0 'no running guest was found' 'nunchi list'
	in_guest "$1" 0 '^$' 'nunchi list --json; echo'
}

not_dom0 'in a guest'
in_guest 'doctor: in a guest' 0 '^  this is a guest of Xen: ' 'nunchi doctor'
guest exec inside 'insmod /xen/xen_privcmd.ko; insmod /xen/xenfs.ko; mount -t xenfs xenfs /proc/xen'
not_dom0 'in a guest with xenfs'
guest exec inside 'umount /proc/xen; mount -t tmpfs nothing /sys/hypervisor'
in_guest 'in a guest that does not know it' 1 'Xen does not permit this domain to control other domains' 'nunchi ps xen:1'
has /tmp/out '^  hint: nunchi must run in the control domain'
verdict 'in a guest that does not know it: the hint'
xl destroy inside

section "xenstored dead, the module gone"
kill -KILL "$daemon"
without_store 'xenstored dead' 'xenstored does not answer'
doctor_says 'doctor: xenstored dead' '^Verdict: not ready' 'missing: xenstored'
# Whoever has the device open.
# shellcheck disable=SC2046
kill $(pidof xl) $(pidof xenconsoled)
umount -l /proc/xen
for module in xenfs xen_gntdev xen_privcmd; do
	for _ in 1 2 3 4 5; do
		rmmod $module && break
		sleep 1
	done
done
refused_by_host 'no module' 'no /dev/xen/privcmd' 'modprobe xen-privcmd'
insmod /modules/xen_privcmd.ko
works 'the module is back: by id' nunchi ps "xen:$pvh"
verdict "$what"
echo done
