#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What a demo's guest runs: the daemons of a small server, a user who is logged in over the network
# and edits a file, and a program that was deleted after its start. /init runs this as /etc/services.
set -eu
export PATH=/usr/sbin:/bin

# Each daemon is a hard link to busybox, so that its executable has the daemon's own path.
mkdir -p /usr/sbin /var/log /var/www /var/spool/cron/crontabs /home/mina /tmp/.cache
for program in crond httpd klogd syslogd telnetd; do
	ln /bin/busybox "/usr/sbin/$program"
done
cat >>/etc/passwd <<'TEXT'
www-data:x:33:33:www-data:/var/www:/bin/false
mina::1000:1000:Mina Kim:/home/mina:/bin/sh
TEXT
cat >>/etc/group <<'TEXT'
root:x:0:
www-data:x:33:
mina:x:1000:
TEXT
chown 1000:1000 /home/mina
echo '*/5 * * * * /bin/true' >/var/spool/cron/crontabs/root
echo '<h1>It works</h1>' >/var/www/index.html

syslogd -O /var/log/messages
klogd
crond -L /var/log/cron
httpd -u www-data -h /var/www -p 80
telnetd -l /bin/login

# Waits up to 30 seconds until a text stands in a file.
await()
{
	tries=0
	until grep -q "$1" "$2" 2>/dev/null; do
		tries=$((tries + 1))
		[ $tries -lt 300 ] || {
			echo "services: \"$1\" did not appear in $2" >&2
			exit 1
		}
		usleep 100000
	done
}

# The user's side of the connection: opened for both, the pipe never comes to its end.
mkfifo /run/keyboard
telnet 127.0.0.1 <>/run/keyboard >/run/screen 2>&1 &
await 'login:' /run/screen
echo mina >/run/keyboard
await '[$] ' /run/screen
echo 'vi notes.txt' >/run/keyboard
await 'notes.txt.*1/1' /run/screen

# A program that removes its file once it runs, as intruders do.
cp /bin/busybox /tmp/.cache/busybox
/tmp/.cache/busybox nc -l -p 31337 >/dev/null 2>&1 &
tries=0
until grep -q ':7A69 ' /proc/net/tcp /proc/net/tcp6 2>/dev/null || [ $tries -ge 100 ]; do
	tries=$((tries + 1))
	usleep 100000
done
rm -r /tmp/.cache
