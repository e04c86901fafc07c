/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/facts/facts.h"

#include "core/buffer.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MOST_VALUE (64u << 10)

static const struct {
	const char *name, *description;
} keys[] = {
#define FACT(name, text, description) {text, description},
#include "doctor/facts/facts.def"
#undef FACT
};

void facts_init(struct facts *facts)
{
	*facts = (struct facts){0};
}

void facts_deinit(struct facts *facts)
{
	for (size_t i = 0; i < facts->count; i++) {
		free(facts->all[i].value);
		free(facts->all[i].source);
	}
	free(facts->all);
	*facts = (struct facts){0};
}

static struct fact *grow(struct facts *facts)
{
	if (facts->count == FACTS_MOST) {
		facts->too_many = true;
		return NULL;
	}
	if (facts->count == facts->capacity) {
		size_t capacity = facts->capacity ? 2 * facts->capacity : 64;
		struct fact *all = realloc(facts->all, capacity * sizeof(*all));

		if (!all) {
			facts->no_memory = true;
			return NULL;
		}
		facts->all = all;
		facts->capacity = capacity;
	}
	return &facts->all[facts->count];
}

__attribute__((format(printf, 4, 0))) static void
add(struct facts *facts, struct fact fact, const char *source, const char *format, va_list args)
{
	_cleanup_buffer_ struct buffer text;
	struct fact *place = grow(facts);

	buffer_init(&text, 0);
	buffer_vprintf(&text, format, args);
	fact.value = strndup(buffer_string(&text), MOST_VALUE);
	fact.source = strdup(source);
	if (text.failed || !fact.value || !fact.source)
		facts->no_memory = true;
	if (!place || text.failed || !fact.value || !fact.source) {
		free(fact.value);
		free(fact.source);
		return;
	}
	*place = fact;
	facts->count++;
}

void facts_add(struct facts *facts, enum fact_key key, const char *source, unsigned line,
	       const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(facts, (struct fact){.key = key, .known = true, .line = line}, source, format, args);
	va_end(args);
}

void facts_add_unknown(struct facts *facts, enum fact_key key, const char *source,
		       const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(facts, (struct fact){.key = key}, source, format, args);
	va_end(args);
}

static const struct fact *find_from(const struct facts *facts, size_t i, enum fact_key key)
{
	for (; i < facts->count; i++)
		if (facts->all[i].key == key)
			return &facts->all[i];
	return NULL;
}

const struct fact *facts_find(const struct facts *facts, enum fact_key key)
{
	return find_from(facts, 0, key);
}

const struct fact *facts_next(const struct facts *facts, const struct fact *after)
{
	return find_from(facts, (size_t)(after - facts->all) + 1, after->key);
}

const char *facts_value(const struct facts *facts, enum fact_key key)
{
	for (const struct fact *fact = facts_find(facts, key); fact; fact = facts_next(facts, fact))
		if (fact->known)
			return fact->value;
	return NULL;
}

bool facts_is(const struct facts *facts, enum fact_key key, const char *value)
{
	const struct fact *fact = facts_find(facts, key);

	return fact && fact->known && !strcmp(fact->value, value);
}

const char *fact_name(enum fact_key key)
{
	return keys[key].name;
}

const char *fact_description(enum fact_key key)
{
	return keys[key].description;
}
