#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Process 1 of the lab's first domain: Xen's daemons, then the guests, then jobs.
#
# Jobs come as "job ID BYTES MD5" lines on the control port; their files are a tar of that length
# at the start of the first IDE disk (master). What a job prints goes out on the same port between
# "NUNCHI-BEGIN ID" and "NUNCHI-END ID STATUS KEPT"; KEPT says where on the second (slave) the files
# are that it leaves: tars, each as MIB:BYTES:MD5, with commas between. A shell on the console is
# there all the time.
. /etc/lab
export PATH=/usr/local/bin:/usr/lib/xen-$LAB_XEN/bin:/usr/bin:/usr/sbin HOME=/root
/usr/bin/busybox --install -s /usr/bin 2>/dev/null
mount -t proc proc /proc
# Files live in memory, whose half would be the limit.
mount -o remount,size=90% /
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mkdir -p /run/xen /run/xenstored /run/lock /var/log/xen /var/lib/xen /var/lib/xenstored
while read -r module; do
	insmod "/modules/$module.ko" || echo "dom0: $module did not load"
done </modules/order
mount -t xenfs xenfs /proc/xen
ifconfig lo 127.0.0.1 up
hostname dom0

xenstored --pid-file /run/xen/xenstored.pid
tries=0
while [ ! -S /run/xenstored/socket ] && [ $tries -lt 100 ]; do
	usleep 100000
	tries=$((tries + 1))
done
xen-init-dom0 >/dev/null
xenconsoled --pid-file=/run/xen/xenconsoled.pid --log=guest --log-dir=/var/log/xen

(
	cd /root
	export PS1='dom0# '
	while :; do
		setsid cttyhack /bin/sh </dev/hvc0 >/dev/hvc0 2>&1
		sleep 1
	done
) &

control=/dev/$LAB_CONTROL
stty -F "$control" raw -echo 115200 2>/dev/null
exec 3<>"$control"

# The disks get their names in any order.
disk_of()
{
	until ls "/sys/bus/scsi/devices/$1/block" >/dev/null 2>&1; do
		usleep 100000
	done
	echo "/dev/$(ls "/sys/bus/scsi/devices/$1/block")"
}

disk_in=$(disk_of 0:0:0:0)
echo "disk_out=$(disk_of 0:0:1:0)" >/run/lab

job()
{
	id=$1 bytes=$2 digest=$3
	blockdev --flushbufs "$disk_in"
	got=$(dd if="$disk_in" bs=64k iflag=count_bytes count="$bytes" 2>/dev/null | md5sum)
	echo "NUNCHI-BEGIN $id" >&3
	if [ "${got%% *}" != "$digest" ]; then
		echo "dom0: the job's files are damaged" >&3
		echo "NUNCHI-END $id 125 -" >&3
		return
	fi
	rm -rf /job /out
	mkdir -p /job /out
	echo 0 >/run/next
	: >/run/kept
	dd if="$disk_in" bs=64k iflag=count_bytes count="$bytes" 2>/dev/null | tar x -C /
	# The status survives the pipe in a file; what was printed is kept as a file as well.
	(
		cd /job
		export OUT=/out NUNCHI_XEN="$LAB_XEN" NUNCHI_GUESTS="$LAB_GUESTS"
		sh /job/script 3>&- </dev/null 2>&1
		echo $? >/run/status
	) | tee /out/output >&3
	keep /out
	echo "NUNCHI-END $id $(cat /run/status) $(tr '\n' ',' </run/kept)" >&3
}

# Progress, for whoever waits on the control port.
note()
{
	echo "NUNCHI-NOTE $*" >&3
}

status=0
note "dom0 is up"
for name in $LAB_GUESTS; do
	guest boot "$name" || status=1
	note "$name is created"
done
for name in $LAB_GUESTS; do
	if guest wait "$name" "$LAB_PATIENCE"; then
		note "$name is up: $(guest exec "$name" 'cut -d" " -f1 /proc/uptime') s after its start"
		# It is not the guest then that scripts expect.
		if guest exec "$name" 'test -e /run/workload.failed'; then
			status=1
			note "$name: its workload failed:"
			guest exec "$name" 'tail -n 6 /run/workload.log; dmesg | tail -n 12' >&3
		fi
	else
		status=1
		note "$name does not come up:"
		tail -n 12 "/var/log/xen/guest-$name.log" >&3
	fi
done
echo "NUNCHI-READY $status" >&3
while read -r word id bytes digest <&3; do
	[ "$word" = job ] && job "$id" "$bytes" "$digest"
done
while :; do sleep 1000; done
