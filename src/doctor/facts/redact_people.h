/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The names of a host and of its users, for redact(). */
#ifndef NUNCHI_DOCTOR_FACTS_REDACT_PEOPLE_H
#define NUNCHI_DOCTOR_FACTS_REDACT_PEOPLE_H

#include "core/error.h"

struct redact_people;

/*
 * The names in the root's /etc/hostname, hosts, mailname and passwd; of the running host (live)
 * the name of its kernel and those in the environment too. What is missing is no error.
 */
struct nunchi_error *redact_people_read(const char *root, bool live, struct redact_people **ret);
/* Has nothing but what is put into it: host, or the name of a user. */
struct nunchi_error *redact_people_create(struct redact_people **ret);
bool redact_people_add(struct redact_people *people, const char *name, size_t size, bool host);
void redact_people_destroy(struct redact_people *people);

DEFINE_CLEANUP(struct redact_people, redact_people_destroy)
#define _cleanup_redact_people_ _cleanup_(cleanup_redact_people_destroy_p)

#endif
