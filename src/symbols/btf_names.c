/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbols/btf_names.h"

#include <string.h>

/*
 * Limit of the number of slots examined while the table is filled, per name. At most two thirds of
 * the slots are used, so that ordinary names need about two. The limit ends the work soon when a
 * hostile guest has chosen names that collide.
 */
#define STEPS_PER_NAME 16
/* Longest name stored; KSYM_NAME_LEN is 512. */
#define NAME_LIMIT  511
#define CLASS_SHIFT 28
#define ID_MASK     ((1u << CLASS_SHIFT) - 1)
#define MULTIPLIER  0x9e3779b97f4a7c15ULL

static uint64_t load64(const char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/*
 * Hashes a string eight bytes at a time; at least seven readable bytes must follow its end.
 * Attaching hashes tens of thousands of names, for which hashing byte by byte is too slow. False if
 * the name is longer than NAME_LIMIT.
 */
static bool hash_name(const char *name, unsigned salt, uint32_t *ret)
{
	uint64_t hash = salt * MULTIPLIER;

	for (int i = 0; i <= NAME_LIMIT / 8; i++, name += 8) {
		uint64_t word = load64(name);
		uint64_t zeros = (word - 0x0101010101010101ULL) & ~word & 0x8080808080808080ULL;

		if (zeros)
			/* keep the bytes before the first zero byte */
			word &= (zeros & -zeros) - 1;
		hash = (hash ^ word) * MULTIPLIER;
		hash ^= hash >> 29;
		if (zeros) {
			*ret = (uint32_t)(hash >> 32);
			return true;
		}
	}
	return false;
}

enum btf_class btf_class_of(const struct btf_record *record)
{
	switch (record->kind) {
	case BTF_STRUCT:
		return BTF_CLASS_STRUCT;
	case BTF_UNION:
		return BTF_CLASS_UNION;
	case BTF_ENUM:
	case BTF_ENUM64:
		return BTF_CLASS_ENUM;
	case BTF_TYPEDEF:
		return BTF_CLASS_TYPEDEF;
	case BTF_INT:
	case BTF_FLOAT:
		return BTF_CLASS_BASE;
	case BTF_FWD:
		return record->kind_flag ? BTF_CLASS_FORWARD_UNION : BTF_CLASS_FORWARD_STRUCT;
	default:
		return BTF_CLASSES;
	}
}

/* Allocates the slots, in the arena of btf if that has room. */
static struct nunchi_error *allocate(struct btf_names *names, uint64_t count, struct btf *btf)
{
	uint64_t capacity = 64;

	while (capacity * 2 < count * 3)
		capacity *= 2;
	names->slots = btf_take_arena(btf, capacity * sizeof(*names->slots));
	names->borrowed = names->slots;
	if (!names->slots)
		names->slots = calloc(capacity, sizeof(*names->slots));
	names->mask = (uint32_t)(capacity - 1);
	names->steps = count * STEPS_PER_NAME + capacity;
	return names->slots ? NULL : &error_nomem;
}

/* A search. A slot matches if it has the same name, and the same bits of `value` under `mask`. */
struct probe {
	const char *name;
	uint32_t offset; /* of the name within btf's names; 0 if the name is the caller's */
	uint32_t hash;
	uint32_t value, mask;
};

static bool matches(const struct btf_slot *slot, const struct btf *btf, const struct probe *probe)
{
	return slot->hash == probe->hash && (slot->value & probe->mask) == probe->value &&
	       (slot->name == probe->offset || !strcmp(btf_name(btf, slot->name), probe->name));
}

/*
 * Finds the slot that matches, or the free slot where the name belongs. One third of the slots is
 * always free.
 */
static struct btf_slot *find_slot(const struct btf_names *names, const struct btf *btf,
				  const struct probe *probe)
{
	uint32_t i = probe->hash & names->mask;

	while (names->slots[i].value && !matches(&names->slots[i], btf, probe))
		i = (i + 1) & names->mask;
	return &names->slots[i];
}

/*
 * Does the same while the table is being filled; NULL after more than the permitted number of
 * steps.
 */
static struct btf_slot *claim_slot(struct btf_names *names, const struct btf *btf,
				   const struct probe *probe)
{
	struct btf_slot *slot = find_slot(names, btf, probe);
	uint64_t steps = (((uint32_t)(slot - names->slots) - probe->hash) & names->mask) + 1;

	if (steps > names->steps)
		return NULL;
	names->steps -= steps;
	return slot;
}

static struct probe type_probe(const char *name, uint32_t offset, enum btf_class class)
{
	return (struct probe){.name = name,
			      .offset = offset,
			      .value = (uint32_t) class << CLASS_SHIFT,
			      .mask = ~ID_MASK};
}

static struct nunchi_error *too_many_collisions(const char *name)
{
	return error_create(NUNCHI_ERROR_DATA,
			    "too many BTF names have the same hash (at \"%.64s\"): these are not "
			    "the types of a kernel",
			    name);
}

static struct nunchi_error *insert_type(struct btf_names *names, const struct btf *btf, type_id id)
{
	struct btf_record record, old;
	struct btf_slot *slot;
	enum btf_class class;
	struct probe probe;

	if (!btf_record(btf, id, &record) || !record.name || !btf_has_name(btf, record.name))
		return NULL;
	class = btf_class_of(&record);
	probe = type_probe(btf_name(btf, record.name), record.name, class);
	if (class == BTF_CLASSES || !hash_name(probe.name, class, &probe.hash))
		return NULL;
	slot = claim_slot(names, btf, &probe);
	if (!slot)
		return too_many_collisions(probe.name);
	/* Of several types with one name, the first that has members is kept. */
	if (slot->value &&
	    (!record.vlen || !btf_record(btf, slot->value & ID_MASK, &old) || old.vlen))
		return NULL;
	*slot = (struct btf_slot){probe.hash, probe.value | id, record.name};
	return NULL;
}

struct nunchi_error *btf_names_init(struct btf_names *names, struct btf *btf)
{
	struct nunchi_error *err;

	*names = (struct btf_names){0};
	err = allocate(names, btf->listed_count, btf);
	for (uint32_t i = 0; !err && i < btf->listed_count; i++)
		err = insert_type(names, btf, btf->listed[i]);
	if (err)
		btf_names_deinit(names);
	return err;
}

void btf_names_deinit(struct btf_names *names)
{
	if (!names->borrowed)
		free(names->slots);
	*names = (struct btf_names){0};
}

/*
 * Copies a caller's name with the padding that hash_name() needs; false if it cannot be the name of
 * a type.
 */
static bool pad(const char *name, size_t size, char padded[NAME_LIMIT + 9])
{
	if (!size || size > NAME_LIMIT || memchr(name, 0, size))
		return false;
	memcpy(padded, name, size);
	memset(padded + size, 0, 9);
	return true;
}

bool btf_names_find(const struct btf_names *names, const struct btf *btf, enum btf_class class,
		    const char *name, size_t size, type_id *ret)
{
	char padded[NAME_LIMIT + 9];
	struct probe probe = type_probe(padded, 0, class);
	struct btf_slot *slot;

	if (!pad(name, size, padded) || !hash_name(padded, class, &probe.hash))
		return false;
	slot = find_slot(names, btf, &probe);
	if (!slot->value)
		return false;
	*ret = slot->value & ID_MASK;
	return true;
}
