#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Process 1 of a lab guest until the agent takes over. Runs twice: first on the
# initramfs, which it copies to a tmpfs, as nothing can pivot away from the
# initramfs itself; then on that tmpfs.
export PATH=/bin
/bin/busybox --install -s /bin
if [ ! -e /etc/second ]; then
	mkdir /root-tmpfs
	mount -t tmpfs -o mode=0755 root /root-tmpfs
	for entry in bin dev etc init modules proc root run sys tmp; do
		cp -a "/$entry" /root-tmpfs/
	done
	: >/root-tmpfs/etc/second
	exec switch_root /root-tmpfs /init
fi
mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mount -t devtmpfs -o mode=0755 devtmpfs /dev
mkdir -p /dev/pts /dev/shm /run /tmp /root
mount -t devpts -o gid=5,mode=620 devpts /dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /dev/shm
mount -t tmpfs -o mode=0755,size=64m,nr_inodes=20k tmpfs /run
mount -t tmpfs -o mode=1777,size=128m tmpfs /tmp
echo 0 >/proc/sys/kernel/kptr_restrict
echo 0 >/proc/sys/kernel/printk_ratelimit
echo on >/proc/sys/kernel/printk_devkmsg
hostname "$(sed -n 's/.*nunchi\.hostname=\([^ ]*\).*/\1/p' /proc/cmdline)"
ifconfig lo 127.0.0.1 up 2>/dev/null
while read -r module; do
	insmod "/modules/$module.ko" || echo "init: $module did not load"
done </modules/order
. /etc/lab
case "$LAB_WORKLOAD" in
none) workload=true ;;
services) workload='sh /etc/services' ;;
*) workload="workload $LAB_WORKLOAD" ;;
esac
$workload </dev/null >/run/workload.log 2>&1 || {
	echo "init: the workload failed"
	: >/run/workload.failed
}
if [ "$(cat /sys/hypervisor/type 2>/dev/null)" = xen ]; then
	# The kernel's messages would stand among the answers.
	dmesg -n 1
	exec /bin/agent /dev/hvc0 --same
fi
exec /bin/agent /dev/ttyS1
