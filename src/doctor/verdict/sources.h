/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Logs and stories into a diagnosis, from files of any size or a tree's texts. */
#ifndef NUNCHI_DOCTOR_VERDICT_SOURCES_H
#define NUNCHI_DOCTOR_VERDICT_SOURCES_H

#include "doctor/verdict/diagnosis.h"

/*
 * Reads one file that the user gave: a log, or a terminal's text; anything at all is taken, in
 * time linear in its size and with little memory.
 */
struct nunchi_error *sources_file(struct nunchi_diagnosis *diagnosis, const char *path);
/* Takes a text that is in memory as if it were such a file. */
struct nunchi_error *sources_text(struct nunchi_diagnosis *diagnosis, const char *name,
				  const char *text, size_t size);
/* Reads the logs of the tree: the kernel's and Xen's. */
struct nunchi_error *sources_host(struct nunchi_diagnosis *diagnosis);

#endif
