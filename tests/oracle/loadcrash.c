/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loads the kernel that a panic starts, as `kexec -s -p` does.
 *
 *     loadcrash KERNEL INITRD ARGUMENTS
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int kernel, initrd;

	if (argc != 4) {
		fprintf(stderr, "usage: loadcrash KERNEL INITRD ARGUMENTS\n");
		return 2;
	}
	kernel = open(argv[1], O_RDONLY);
	initrd = open(argv[2], O_RDONLY);
	if (kernel < 0 || initrd < 0 ||
	    syscall(SYS_kexec_file_load, kernel, initrd, strlen(argv[3]) + 1, argv[3],
		    KEXEC_FILE_ON_CRASH)) {
		fprintf(stderr, "loadcrash: %s\n", strerror(errno));
		return 1;
	}
	return 0;
}
