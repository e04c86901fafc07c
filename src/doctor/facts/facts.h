/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is known of a host. Each fact is a value, or unknown with the reason; each says where it
 * comes from. There is one collector for each (facts.def), and nothing has a default.
 */
#ifndef NUNCHI_DOCTOR_FACTS_FACTS_H
#define NUNCHI_DOCTOR_FACTS_FACTS_H

#include "core/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

enum fact_key {
#define FACT(name, text, description) FACT_##name,
#include "doctor/facts/facts.def"
#undef FACT
	FACT_COUNT
};

struct fact {
	enum fact_key key;
	bool known;
	char *value;   /* why it is unknown, if it is */
	char *source;  /* the file or command */
	unsigned line; /* in it, from 1; 0: the whole */
};

struct facts {
	struct fact *all;
	size_t count, capacity;
	bool no_memory; /* some are not there, as memory ran out */
	bool too_many;  /* some are not there, being more than FACTS_MOST */
};

/* A key may have several values (devices, connectors); more than this are not taken. */
#define FACTS_MOST 4096

void facts_init(struct facts *facts);
void facts_deinit(struct facts *facts);

/* Adds a value; longer ones than 64 KiB are cut. */
void facts_add(struct facts *facts, enum fact_key key, const char *source, unsigned line,
	       const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Adds that it is unknown, and why. */
void facts_add_unknown(struct facts *facts, enum fact_key key, const char *source,
		       const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The first of that key, known or not; NULL if no collector has added one. */
const struct fact *facts_find(const struct facts *facts, enum fact_key key);
/* The next of the same key, or NULL. */
const struct fact *facts_next(const struct facts *facts, const struct fact *after);
/* The value of the first that is known, or NULL. */
const char *facts_value(const struct facts *facts, enum fact_key key);
/* Whether the first is known and is that value. */
bool facts_is(const struct facts *facts, enum fact_key key, const char *value);

/* "cpu.virtualization" and so on. */
const char *fact_name(enum fact_key key);
/* One line of what it is. */
const char *fact_description(enum fact_key key);

#define _cleanup_facts_ _cleanup_(facts_deinit)

#endif
