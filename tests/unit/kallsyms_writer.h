/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes a kernel's image with a symbol table in any layout since 4.6, after what
 * scripts/kallsyms.c puts out: the tests' counterpart of the reader. The image starts at _text;
 * the table is at WRITER_TABLE, between text and data symbols.
 */
#ifndef NUNCHI_TESTS_KALLSYMS_WRITER_H
#define NUNCHI_TESTS_KALLSYMS_WRITER_H

#include "core/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define WRITER_TABLE       0x40000
#define WRITER_DATA        0xc0000 /* the first symbol after the table */
#define WRITER_SIZE        0x100000
#define WRITER_SYMBOLS_MAX 8192
#define WRITER_BASE        0xffffffff9a600000ULL

enum writer_encoding { WRITE_ADDRESSES, WRITE_OFFSETS, WRITE_PERCPU, WRITE_PLACE };
enum writer_seqs { WRITE_NO_SEQS, WRITE_SEQS_3, WRITE_SEQS_4 };

struct writer_layout {
	const char *era;
	unsigned word_size;
	enum writer_encoding encoding;
	enum writer_seqs seqs;
	unsigned number_size; /* of num_syms and markers: 4, or the word's before 4.20 */
	unsigned align;       /* of the labels */
	bool addresses_last;  /* since 6.4 */
	bool long_sizes;      /* since 6.1 */
	bool text_only;       /* without KALLSYMS_ALL */
	bool labels;          /* the table names its own parts */
	uint32_t count;
};

struct writer_symbol {
	char text[520]; /* letter and name */
	uint64_t address;
	uint8_t codes[520];
	size_t code_count;
};

/* The tokens: code → the two codes it stands for, or itself. */
struct writer_tokens {
	uint8_t pair[256][2];
	bool merged[256];
	char text[256][64];
};

struct writer {
	struct writer_layout layout;
	struct writer_symbol *symbols;
	uint32_t count;
	uint64_t base; /* of the image, as the page tables say */
	uint8_t *data; /* WRITER_SIZE bytes */
	size_t at;
	/* Where the parts are. */
	size_t addresses, relative_base, num_syms, names, names_end, markers, token_table,
	    token_index, end;
};

static inline void writer_deinit(struct writer *w)
{
	free(w->symbols);
	free(w->data);
	*w = (struct writer){0};
}
#define _cleanup_writer_ _cleanup_(writer_deinit)

static inline uint32_t writer_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

static inline void writer_put(struct writer *w, uint64_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		w->data[w->at++] = (uint8_t)(value >> 8 * i);
}

static inline size_t writer_label(struct writer *w, unsigned align)
{
	while (w->at % align)
		w->data[w->at++] = 0;
	return w->at;
}

static inline struct writer_symbol *writer_add(struct writer *w, char type, uint64_t address,
					       const char *name)
{
	struct writer_symbol *symbol = &w->symbols[w->count++];

	snprintf(symbol->text, sizeof(symbol->text), "%c%s", type, name);
	symbol->address = address;
	return symbol;
}

/* Names like a kernel's, of parts that occur often. */
static inline void writer_name(uint32_t *seed, uint32_t i, char *ret, size_t size)
{
	static const char *const parts[] = {"__x64_sys_", "_read",  "tcp_",  "write", "ext4_",
					    "inode",      "_lock",  "get",   "_page", "__pfx_",
					    "sched_",     "device", "probe", "_init", "net"};

	snprintf(ret, size, "%s%s%s_%u.%c", parts[writer_random(seed) % 15],
		 parts[writer_random(seed) % 15], parts[writer_random(seed) % 15], i,
		 'a' + (int)(writer_random(seed) % 26));
}

/* A name that no tokens shorten below 127 bytes. */
static inline void writer_long_name(uint32_t *seed, char *ret, size_t size)
{
	for (size_t i = 0; i < size - 1; i++)
		ret[i] = (char)("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789$"[writer_random(seed) % 37]);
	ret[size - 1] = 0;
}

static inline void writer_add_percpu(struct writer *w)
{
	writer_add(w, 'A', 0, "fixed_percpu_data");
	writer_add(w, 'A', 0, "__per_cpu_start");
	for (uint32_t i = 0; i < 20; i++) {
		char name[32];

		snprintf(name, sizeof(name), "percpu_variable_%u", i);
		writer_add(w, 'A', 0x1000 + i * 64, name);
	}
}

/* Text from the image's start on, data after the table; "duplicate" is in both. */
static inline void writer_add_symbols(struct writer *w)
{
	uint64_t data = w->base + WRITER_DATA;
	uint32_t seed = 1, texts = w->layout.count * 2 / 3;
	char name[500];

	if (w->layout.encoding == WRITE_PERCPU)
		writer_add_percpu(w);
	writer_add(w, 'T', w->base, "startup_64");
	writer_add(w, 'T', w->base, "_stext");
	writer_add(w, 'T', w->base, "_text");
	for (uint32_t i = 0; i < texts; i++) {
		writer_name(&seed, i, name, sizeof(name));
		if (w->layout.long_sizes && i % 100 == 7)
			writer_long_name(&seed, name, 200 + i % 300);
		writer_add(w, i % 3 ? 't' : 'T', w->base + 16 + i * 32, name);
	}
	writer_add(w, 'T', w->base + 16 + texts * 32, "duplicate");
	writer_add(w, 'T', w->base + 16 + texts * 32 + 8, "_etext");
	if (!w->layout.text_only)
		writer_add(w, 'D', w->base + WRITER_TABLE - 64, "linux_banner");
	/* The labels' addresses are set when the table is laid out. */
	for (unsigned i = 0; w->layout.labels && i < 5; i++)
		writer_add(w, 'D', 0,
			   (const char *const[]){"kallsyms_num_syms", "kallsyms_names",
						 "kallsyms_markers", "kallsyms_token_table",
						 "kallsyms_token_index"}[i]);
	for (uint32_t i = texts; i < w->layout.count; i++) {
		writer_name(&seed, i, name, sizeof(name));
		writer_add(w, 'd', data + i * 8, name);
	}
	writer_add(w, 'D', data + w->layout.count * 8, "duplicate");
	writer_add(w, 'B', data + w->layout.count * 8 + 64, "_end");
}

/* Chooses tokens as scripts/kallsyms.c does: again and again the commonest pair gets an unused
 * code. */
static inline void writer_compress(struct writer *w, struct writer_tokens *tokens)
{
	_cleanup_free_ uint32_t *profit = malloc(65536 * sizeof(*profit));
	bool used[256] = {false};

	for (uint32_t i = 0; i < w->count; i++) {
		struct writer_symbol *symbol = &w->symbols[i];

		symbol->code_count = strlen(symbol->text);
		memcpy(symbol->codes, symbol->text, symbol->code_count);
		for (size_t j = 0; j < symbol->code_count; j++)
			used[symbol->codes[j]] = true;
	}
	for (unsigned code = 0; code < 256; code++)
		snprintf(tokens->text[code], 2, "%c", used[code] ? (int)code : 0);
	for (unsigned code = 255; code; code--) {
		uint32_t best = 0;

		if (used[code])
			continue;
		memset(profit, 0, 65536 * sizeof(*profit));
		for (uint32_t i = 0; i < w->count; i++) {
			for (size_t j = 0; j + 1 < w->symbols[i].code_count; j++) {
				uint8_t *codes = w->symbols[i].codes + j;

				profit[codes[0] | codes[1] << 8]++;
			}
		}
		for (uint32_t pair = 0; pair < 65536; pair++) {
			if (profit[pair] > profit[best] &&
			    strlen(tokens->text[pair & 0xff]) + strlen(tokens->text[pair >> 8]) <
				63)
				best = pair;
		}
		if (!profit[best])
			break;
		snprintf(tokens->text[code], 64, "%.31s%.32s", tokens->text[best & 0xff],
			 tokens->text[best >> 8]);
		for (uint32_t i = 0; i < w->count; i++) {
			struct writer_symbol *symbol = &w->symbols[i];
			size_t out = 0;

			for (size_t j = 0; j < symbol->code_count; j++) {
				bool here =
				    j + 1 < symbol->code_count &&
				    (symbol->codes[j] | symbol->codes[j + 1] << 8) == (int)best;

				symbol->codes[out++] = here ? (uint8_t)code : symbol->codes[j];
				j += here;
			}
			symbol->code_count = out;
		}
	}
}

static inline void writer_put_names(struct writer *w, uint32_t *markers)
{
	w->num_syms = writer_label(w, w->layout.align);
	writer_put(w, w->count, w->layout.number_size);
	w->names = writer_label(w, w->layout.align);
	for (uint32_t i = 0; i < w->count; i++) {
		struct writer_symbol *symbol = &w->symbols[i];

		if (i % 256 == 0)
			markers[i / 256] = (uint32_t)(w->at - w->names);
		if (symbol->code_count > 0x7f && w->layout.long_sizes) {
			writer_put(w, (symbol->code_count & 0x7f) | 0x80, 1);
			writer_put(w, symbol->code_count >> 7, 1);
		} else {
			writer_put(w, symbol->code_count, 1);
		}
		memcpy(w->data + w->at, symbol->codes, symbol->code_count);
		w->at += symbol->code_count;
	}
	w->names_end = w->at;
	w->markers = writer_label(w, w->layout.align);
	for (uint32_t i = 0; i < (w->count + 255) / 256; i++)
		writer_put(w, markers[i], w->layout.number_size);
}

/* Any permutation serves the tests; the kernel's is sorted by name. */
static inline void writer_put_seqs(struct writer *w)
{
	writer_label(w, w->layout.align);
	for (uint32_t i = 0; w->layout.seqs != WRITE_NO_SEQS && i < w->count; i++) {
		uint32_t seq = (uint32_t)((uint64_t)i * 7919 % w->count);

		if (w->layout.seqs == WRITE_SEQS_4) {
			writer_put(w, seq, 4);
			continue;
		}
		writer_put(w, seq >> 16, 1);
		writer_put(w, seq >> 8, 1);
		writer_put(w, seq, 1);
	}
}

static inline void writer_put_tokens(struct writer *w, const struct writer_tokens *tokens)
{
	uint16_t index[256];

	w->token_table = writer_label(w, w->layout.align);
	for (unsigned i = 0; i < 256; i++) {
		index[i] = (uint16_t)(w->at - w->token_table);
		memcpy(w->data + w->at, tokens->text[i], strlen(tokens->text[i]) + 1);
		w->at += strlen(tokens->text[i]) + 1;
	}
	w->token_index = writer_label(w, w->layout.align);
	for (unsigned i = 0; i < 256; i++)
		writer_put(w, index[i], 2);
}

static inline uint64_t writer_offset(const struct writer *w, uint32_t i)
{
	uint64_t address = w->symbols[i].address;

	switch (w->layout.encoding) {
	case WRITE_OFFSETS:
		return address - w->base;
	case WRITE_PERCPU:
		return address < w->base ? address : w->base - 1 - address;
	default:
		return address - (w->base + w->at);
	}
}

static inline void writer_put_addresses(struct writer *w)
{
	w->addresses = writer_label(w, w->layout.align);
	for (uint32_t i = 0; i < w->count; i++) {
		if (w->layout.encoding == WRITE_ADDRESSES)
			writer_put(w, w->symbols[i].address, w->layout.word_size);
		else
			writer_put(w, writer_offset(w, i), 4);
	}
	if (w->layout.encoding == WRITE_OFFSETS || w->layout.encoding == WRITE_PERCPU) {
		w->relative_base = writer_label(w, w->layout.align);
		writer_put(w, w->base, w->layout.word_size);
	}
}

/* The table at offset `at` of the image. */
static inline void writer_put_table(struct writer *w, const struct writer_tokens *tokens, size_t at)
{
	uint32_t markers[WRITER_SYMBOLS_MAX / 256 + 1];

	w->at = at;
	if (!w->layout.addresses_last)
		writer_put_addresses(w);
	writer_put_names(w, markers);
	if (!w->layout.addresses_last)
		writer_put_seqs(w);
	writer_put_tokens(w, tokens);
	if (w->layout.addresses_last) {
		writer_put_addresses(w);
		writer_put_seqs(w);
	}
	w->end = w->at;
}

static inline void writer_set_labels(struct writer *w)
{
	for (uint32_t i = 0; w->layout.labels && i < w->count; i++) {
		uint64_t *address = &w->symbols[i].address;

		if (strcmp(w->symbols[i].text, "Dkallsyms_num_syms"))
			continue;
		address[0] = w->base + w->num_syms;
		w->symbols[i + 1].address = w->base + w->names;
		w->symbols[i + 2].address = w->base + w->markers;
		w->symbols[i + 3].address = w->base + w->token_table;
		w->symbols[i + 4].address = w->base + w->token_index;
	}
}

/* The table at its place: twice, since the addresses of its labels come from the first. */
static inline void writer_put_again(struct writer *w, const struct writer_tokens *tokens)
{
	writer_put_table(w, tokens, WRITER_TABLE);
	writer_set_labels(w);
	writer_put_table(w, tokens, WRITER_TABLE);
}

/* An image of that layout; tokens may be NULL. */
static inline void writer_init(struct writer *w, const struct writer_layout *layout,
			       struct writer_tokens *tokens)
{
	_cleanup_free_ struct writer_tokens *own = calloc(1, sizeof(*own));

	*w = (struct writer){.layout = *layout};
	w->base = layout->word_size == 8 ? WRITER_BASE : WRITER_BASE & 0xffffffff;
	w->symbols = calloc(WRITER_SYMBOLS_MAX, sizeof(*w->symbols));
	w->data = calloc(1, WRITER_SIZE);
	writer_add_symbols(w);
	writer_compress(w, tokens ? tokens : own);
	writer_put_again(w, tokens ? tokens : own);
}

#endif
