/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbols/symbol_index_private.h"
#include "symbols/symbol_variant.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

struct symbol_names {
	uint32_t mask;
	/* for each hash: position + 1 of the first symbol, 0: none; mask + 1 entries */
	uint32_t *heads;
	/* for each symbol: position + 1 of the next one with the same hash, 0: none */
	uint32_t *next;
};

static void block_deinit(struct symbol_block *block)
{
	if (block->data)
		munmap(block->data, block->size);
	*block = (struct symbol_block){0};
}

/* Maps a block of `size` bytes (a multiple of the page size), aligned to the size of huge pages. */
static struct nunchi_error *block_init(struct symbol_block *block, size_t size)
{
	size_t mapped = size + HUGE_PAGE;
	char *start = mmap(NULL, mapped, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *data;

	if (start == MAP_FAILED)
		return &error_nomem;
	data = (char *)(((uintptr_t)start + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
	if (data > start)
		munmap(start, (size_t)(data - start));
	if (data + size < start + mapped)
		munmap(data + size, (size_t)(start + mapped - data - size));
	/*
	 * madvise() is only advice: if the host has no huge pages, small pages do, at a cost in
	 * time.
	 */
	madvise(data, size, MADV_HUGEPAGE);
	*block = (struct symbol_block){.data = data, .size = size};
	return NULL;
}

static size_t round_to_page(size_t size)
{
	return (size + 4095) & ~(size_t)4095;
}

static struct nunchi_error *grow_table(struct symbol_index *index, size_t capacity)
{
	struct symbol_block table = {0};
	struct nunchi_error *err =
	    block_init(&table, round_to_page(capacity * (sizeof(uint64_t) + sizeof(uint32_t))));
	uint64_t *addresses;
	uint32_t *places;

	if (err)
		return err;
	addresses = (uint64_t *)table.data;
	places = (uint32_t *)(addresses + capacity);
	if (index->count) {
		memcpy(addresses, index->addresses, index->count * sizeof(*addresses));
		memcpy(places, index->places, index->count * sizeof(*places));
	}
	block_deinit(&index->table);
	index->table = table;
	index->addresses = addresses;
	index->places = places;
	index->capacity = capacity;
	return NULL;
}

static struct nunchi_error *grow_arena(struct symbol_index *index, size_t size)
{
	struct symbol_block arena = {0};
	struct nunchi_error *err = block_init(&arena, round_to_page(size));

	if (err)
		return err;
	if (index->arena_used)
		memcpy(arena.data, index->arena.data, index->arena_used);
	block_deinit(&index->arena);
	index->arena = arena;
	return NULL;
}

static size_t larger(size_t wanted, size_t now, size_t limit)
{
	size_t size = wanted > now * 2 ? wanted : now * 2;

	return size < limit ? size : limit;
}

struct nunchi_error *symbol_index_reserve(struct symbol_index *index, size_t symbols, size_t bytes)
{
	struct nunchi_error *err = NULL;

	if (symbols > SYMBOL_COUNT_MAX)
		return error_create(NUNCHI_ERROR_DATA, "symbol table has more than %zu symbols",
				    SYMBOL_COUNT_MAX);
	if (bytes > SYMBOL_ARENA_MAX)
		return error_create(NUNCHI_ERROR_DATA, "symbol names take more than %zu MiB",
				    SYMBOL_ARENA_MAX >> 20);
	if (symbols > index->capacity)
		err = grow_table(index, larger(symbols, index->capacity, SYMBOL_COUNT_MAX));
	if (!err && bytes > index->arena.size)
		err = grow_arena(index, larger(bytes, index->arena.size, SYMBOL_ARENA_MAX));
	return err;
}

struct nunchi_error *symbol_index_create(struct symbol_index **ret)
{
	struct symbol_index *index = calloc(1, sizeof(*index));

	if (!index)
		return &error_nomem;
	atomic_init(&index->references, 1);
	atomic_init(&index->names, NULL);
	*ret = index;
	return NULL;
}

struct nunchi_error *symbol_index_add(struct symbol_index *index, const char *name,
				      size_t name_size, uint64_t address, char type)
{
	struct nunchi_error *err;
	char *text;

	if (index->sealed || !name_size || name_size > SYMBOL_NAME_MAX ||
	    memchr(name, 0, name_size))
		return error_create_at(NUNCHI_ERROR_ARGUMENT, address,
				       "a symbol's name is empty, longer than %d bytes or broken, "
				       "or the index is sealed",
				       SYMBOL_NAME_MAX);
	err = symbol_index_reserve(index, index->count + 1, index->arena_used + name_size + 2);
	if (err)
		return err;
	text = index->arena.data + index->arena_used;
	text[0] = type;
	memcpy(text + 1, name, name_size);
	text[name_size + 1] = 0;
	index->addresses[index->count] = address;
	index->places[index->count] = (uint32_t)index->arena_used;
	index->arena_used += name_size + 2;
	index->count++;
	return NULL;
}

struct entry {
	uint64_t address;
	uint32_t place;
};

/*
 * Orders symbols by address, and those with the same address in the order of adding, which is their
 * order in the arena.
 */
static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a;
	const struct entry *y = b;

	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return x->place < y->place ? -1 : x->place > y->place;
}

static bool is_sorted(const struct symbol_index *index)
{
	for (size_t i = 1; i < index->count; i++) {
		if (index->addresses[i - 1] > index->addresses[i])
			return false;
	}
	return true;
}

struct nunchi_error *symbol_index_seal(struct symbol_index *index)
{
	if (!is_sorted(index)) {
		_cleanup_free_ struct entry *entries = calloc(index->count, sizeof(*entries));

		if (!entries)
			return &error_nomem;
		for (size_t i = 0; i < index->count; i++)
			entries[i] = (struct entry){index->addresses[i], index->places[i]};
		qsort(entries, index->count, sizeof(*entries), compare_entries);
		for (size_t i = 0; i < index->count; i++) {
			index->addresses[i] = entries[i].address;
			index->places[i] = entries[i].place;
		}
	}
	index->sealed = true;
	return NULL;
}

struct symbol_index *symbol_index_ref(struct symbol_index *index)
{
	atomic_fetch_add_explicit(&index->references, 1, memory_order_relaxed);
	return index;
}

static void names_destroy(struct symbol_names *names)
{
	if (!names)
		return;
	free(names->heads);
	free(names->next);
	free(names);
}

void symbol_index_unref(struct symbol_index *index)
{
	if (!index || atomic_fetch_sub_explicit(&index->references, 1, memory_order_acq_rel) != 1)
		return;
	names_destroy(atomic_load_explicit(&index->names, memory_order_acquire));
	block_deinit(&index->table);
	block_deinit(&index->arena);
	free(index);
}

size_t symbol_index_count(const struct symbol_index *index)
{
	return index->count;
}

struct symbol symbol_index_get(const struct symbol_index *index, size_t i)
{
	const char *text = symbol_index_text(index, i);

	return (struct symbol){.name = text + 1, .address = index->addresses[i], .type = text[0]};
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9fb21c651e98df25ULL;
	return hash ^ hash >> 32;
}

/* Hashes 8 bytes at a time. With FNV, hashing takes as long as decoding all names. */
static uint32_t hash_name(const char *name)
{
	size_t size = strlen(name);
	uint64_t hash = size * 0x9e3779b97f4a7c15ULL;
	uint64_t word = 0;
	size_t at = 0;

	if (size < sizeof(word)) {
		memcpy(&word, name, size);
		return (uint32_t)mix(hash, word);
	}
	for (; at + sizeof(word) < size; at += sizeof(word)) {
		memcpy(&word, name + at, sizeof(word));
		hash = mix(hash, word);
	}
	/* The last eight bytes, some of which may already have been hashed. */
	memcpy(&word, name + size - sizeof(word), sizeof(word));
	return (uint32_t)mix(hash, word);
}

/*
 * Makes the hash table, with chains instead of probing: if a hostile guest chose names that
 * collide, building stays linear and a search walks one chain. A chain has four names on average,
 * so that the array of heads fits the cache.
 */
static struct symbol_names *names_create(const struct symbol_index *index)
{
	struct symbol_names *names = calloc(1, sizeof(*names));
	size_t buckets = 64;

	while (buckets < index->count / 4)
		buckets *= 2;
	if (!names)
		return NULL;
	names->mask = (uint32_t)(buckets - 1);
	names->heads = calloc(buckets, sizeof(*names->heads));
	names->next = calloc(index->count + 1, sizeof(*names->next));
	if (!names->heads || !names->next) {
		names_destroy(names);
		return NULL;
	}
	/* Entered from the last to the first, so that each chain is in ascending order. */
	for (size_t i = index->count; i-- > 0;) {
		uint32_t *head =
		    &names->heads[hash_name(symbol_index_text(index, i) + 1) & names->mask];

		names->next[i] = *head;
		*head = (uint32_t)i + 1;
	}
	return names;
}

/*
 * Gets the hash table of names, which is made when it is first needed, since many users look up
 * addresses only. Several threads may make it at the same time: one of the tables is kept. NULL if
 * memory is short.
 */
static const struct symbol_names *get_names(const struct symbol_index *index)
{
	_Atomic(struct symbol_names *) *place = (_Atomic(struct symbol_names *) *)&index->names;
	struct symbol_names *names = atomic_load_explicit(place, memory_order_acquire);
	struct symbol_names *expected = NULL;

	if (names)
		return names;
	names = names_create(index);
	if (!names)
		return NULL;
	if (atomic_compare_exchange_strong(place, &expected, names))
		return names;
	names_destroy(names);
	return expected;
}

bool symbol_index_find(const struct symbol_index *index, const char *name, size_t *ret)
{
	const struct symbol_names *names = get_names(index);

	if (!names) {
		for (size_t i = 0; i < index->count; i++) {
			if (!strcmp(symbol_index_text(index, i) + 1, name)) {
				*ret = i;
				return true;
			}
		}
		return false;
	}
	for (uint32_t i = names->heads[hash_name(name) & names->mask]; i; i = names->next[i - 1]) {
		if (!strcmp(symbol_index_text(index, i - 1) + 1, name)) {
			*ret = i - 1;
			return true;
		}
	}
	return false;
}

size_t symbol_index_find_variants(const struct symbol_index *index, const char *name, size_t *ret)
{
	enum symbol_variant best = SYMBOL_PIECE;
	size_t count = 0;

	for (size_t i = 0; i < index->count; i++) {
		enum symbol_variant variant =
		    symbol_variant_of(symbol_index_text(index, i) + 1, name);

		if (variant < best)
			continue;
		if (variant > best)
			count = 0;
		best = variant;
		if (!count++)
			*ret = i;
	}
	return count;
}

bool symbol_index_at(const struct symbol_index *index, uint64_t address, size_t *ret)
{
	size_t low = 0, high = index->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (index->addresses[middle] <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return false;
	*ret = low - 1;
	return true;
}
