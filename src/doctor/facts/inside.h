/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening what a path names inside of a root directory, out of which nothing leads. */
#ifndef NUNCHI_DOCTOR_FACTS_INSIDE_H
#define NUNCHI_DOCTOR_FACTS_INSIDE_H

/*
 * Opens the path with the flags of open(2) (none that make or empty a file), as if the directory
 * `top` were "/": neither "..", nor a symbolic link, absolute or not, nor a magic link of /proc
 * leads out of it. O_CLOEXEC is added. Gives -1 with errno. By openat2(2), which came with Linux
 * 5.6, or else by hand.
 */
int open_inside(int top, const char *path, int flags);
/* The same, always by hand: part by part, each directory opened before it is gone through. */
int open_inside_by_hand(int top, const char *path, int flags);

#endif
