/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A few names out of all, without decoding any: the names wanted make a tree of letters, and over
 * it a machine that takes tokens. Its transitions are worked out when first met, but for the first
 * two tokens: which pairs of them lead anywhere is known in a bit each, and most symbols are done
 * with after that one look.
 */
#include "symbols/kallsyms_private.h"

/* Nodes of the tree, and states of the machine. */
enum { DEAD, START /* before the type letter */, ROOT /* after it */, FIRST_FREE };

#define UNKNOWN UINT32_MAX
#define NONE    UINT32_MAX
/* More letters than anybody wants names of. */
#define NODES_MAX ((size_t)1 << 24)

struct node {
	uint32_t child;   /* the first, DEAD if none */
	uint32_t sibling; /* the next, DEAD if none */
	uint32_t wanted;  /* the name that ends here, or NONE */
	uint32_t row;     /* of the machine, or NONE */
	char letter;
};

struct token_set {
	uint32_t bits[KALLSYMS_TOKENS / 32];
};

struct matcher {
	const struct kallsyms_tokens *tokens;
	struct node *nodes;
	uint32_t node_count;
	uint32_t (*rows)[KALLSYMS_TOKENS];
	uint32_t row_count, row_capacity;
	struct token_set pairs[KALLSYMS_TOKENS]; /* by the first token */
	bool *found;                             /* by name wanted */
	size_t missing;
};

static void matcher_deinit(struct matcher *matcher)
{
	free(matcher->nodes);
	free(matcher->rows);
	free(matcher->found);
}

static uint32_t find_child(const struct matcher *matcher, uint32_t node, char letter)
{
	uint32_t child = matcher->nodes[node].child;

	while (child != DEAD && matcher->nodes[child].letter != letter)
		child = matcher->nodes[child].sibling;
	return child;
}

static uint32_t find_name(const struct matcher *matcher, const char *name)
{
	uint32_t node = ROOT;

	while (*name && node != DEAD)
		node = find_child(matcher, node, *name++);
	return node;
}

static void add_name(struct matcher *matcher, const char *name, uint32_t wanted)
{
	uint32_t node = ROOT;

	for (; *name; name++) {
		uint32_t child = find_child(matcher, node, *name);

		if (child == DEAD) {
			child = matcher->node_count++;
			matcher->nodes[child] = (struct node){.sibling = matcher->nodes[node].child,
							      .wanted = NONE,
							      .row = NONE,
							      .letter = *name};
			matcher->nodes[node].child = child;
		}
		node = child;
	}
	if (node != ROOT && matcher->nodes[node].wanted == NONE) {
		matcher->nodes[node].wanted = wanted;
		matcher->missing++;
	}
}

/* Where a token leads from a node of the tree. */
static uint32_t walk(const struct matcher *matcher, uint32_t node, uint8_t token)
{
	const char *text = matcher->tokens->text + matcher->tokens->offset[token];
	const char *end = text + matcher->tokens->size[token];

	if (node == START && text < end) {
		node = ROOT;
		text++;
	}
	while (text < end && node != DEAD)
		node = find_child(matcher, node, *text++);
	return node;
}

/* Sets the bits of the tokens that lead on from a state. */
static void fill_row(const struct matcher *matcher, uint32_t state, struct token_set *row)
{
	for (unsigned token = 0; token < KALLSYMS_TOKENS; token++) {
		if (walk(matcher, state, (uint8_t)token) != DEAD)
			row->bits[token / 32] |= 1U << token % 32;
	}
}

static void fill_pairs(struct matcher *matcher)
{
	struct token_set after_letter = {0};

	/* Many first tokens are no more than the letter: their row is made once. */
	fill_row(matcher, ROOT, &after_letter);
	for (unsigned first = 0; first < KALLSYMS_TOKENS; first++) {
		uint32_t state = walk(matcher, START, (uint8_t)first);

		if (state == ROOT)
			matcher->pairs[first] = after_letter;
		else if (state != DEAD)
			fill_row(matcher, state, &matcher->pairs[first]);
	}
}

static struct nunchi_error *matcher_init(struct matcher *matcher, const struct kallsyms *k,
					 const char *const *names, size_t count)
{
	size_t nodes = FIRST_FREE;

	for (size_t i = 0; i < count; i++)
		nodes += strnlen(names[i], NODES_MAX);
	if (nodes > NODES_MAX || count >= NONE)
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "too many symbols are asked for at once");
	matcher->tokens = &k->tokens;
	matcher->nodes = calloc(nodes, sizeof(*matcher->nodes));
	matcher->found = calloc(count ? count : 1, sizeof(*matcher->found));
	if (!matcher->nodes || !matcher->found)
		return &error_nomem;
	for (uint32_t i = 0; i < FIRST_FREE; i++)
		matcher->nodes[i] = (struct node){.wanted = NONE, .row = NONE};
	matcher->node_count = FIRST_FREE;
	for (size_t i = 0; i < count; i++)
		add_name(matcher, names[i], (uint32_t)i);
	fill_pairs(matcher);
	return NULL;
}

/* The row of a state, made when it is first met; NULL if memory is short. */
static inline uint32_t *get_row(struct matcher *matcher, uint32_t state)
{
	struct node *node = &matcher->nodes[state];

	if (node->row != NONE)
		return matcher->rows[node->row];
	if (matcher->row_count == matcher->row_capacity) {
		uint32_t capacity = matcher->row_capacity ? matcher->row_capacity * 2 : 64;
		void *rows = reallocarray(matcher->rows, capacity, sizeof(*matcher->rows));

		if (!rows)
			return NULL;
		matcher->rows = rows;
		matcher->row_capacity = capacity;
	}
	memset(matcher->rows[matcher->row_count], 0xff, sizeof(*matcher->rows));
	node->row = matcher->row_count++;
	return matcher->rows[node->row];
}

/* Whether a name that starts with these two tokens can be one of those wanted. */
static inline bool may_match(const struct matcher *matcher, const uint8_t *codes)
{
	return matcher->pairs[codes[0]].bits[codes[1] / 32] >> codes[1] % 32 & 1;
}

/*
 * Runs a name's tokens through the machine and gives the name wanted that it is, or NONE. False if
 * memory is short.
 */
static inline bool match(struct matcher *matcher, const uint8_t *codes, size_t size, uint32_t *ret)
{
	uint32_t state = START;

	for (size_t i = 0; i < size; i++) {
		uint32_t *row = get_row(matcher, state);

		if (!row)
			return false;
		if (row[codes[i]] == UNKNOWN)
			row[codes[i]] = walk(matcher, state, codes[i]);
		state = row[codes[i]];
		if (state == DEAD)
			break;
	}
	*ret = matcher->nodes[state].wanted;
	return true;
}

/* One group's names through the machine. */
static struct nunchi_error *match_group(struct matcher *matcher, const struct kallsyms *k,
					uint32_t group, uint64_t *addresses)
{
	size_t at = k->names + k->markers[group], end = kallsyms_group_end(k, group);
	uint32_t i = group * KALLSYMS_GROUP, last = i + kallsyms_group_size(k, group);

	for (; i < last; i++) {
		const uint8_t *codes;
		uint32_t wanted;
		size_t size;

		if (!kallsyms_next_name(k->image.data, &at, end, k->long_sizes, &codes, &size))
			return kallsyms_changed(k, at);
		if (size > 1 && !may_match(matcher, codes))
			continue;
		if (!match(matcher, codes, size, &wanted))
			return &error_nomem;
		if (wanted != NONE && !matcher->found[wanted]) {
			matcher->found[wanted] = true;
			matcher->missing--;
			addresses[wanted] = kallsyms_address(k, i);
		}
	}
	return at == end ? NULL : kallsyms_changed(k, at);
}

/* Names asked for twice have one node: gives the others what the first got. */
static void fill_repeated(const struct matcher *matcher, const char *const *names, size_t count,
			  uint64_t *addresses)
{
	for (size_t i = 0; i < count; i++) {
		uint32_t node = find_name(matcher, names[i]);

		if (node != DEAD && matcher->nodes[node].wanted != NONE)
			addresses[i] = addresses[matcher->nodes[node].wanted];
	}
}

struct nunchi_error *kallsyms_lookup(const struct kallsyms *kallsyms, const char *const *names,
				     size_t count, uint64_t *ret_addresses)
{
	_cleanup_(matcher_deinit) struct matcher matcher = {0};
	_cleanup_free_ uint64_t *addresses = calloc(count ? count : 1, sizeof(*addresses));
	struct nunchi_error *err;

	if (!addresses)
		return &error_nomem;
	err = matcher_init(&matcher, kallsyms, names, count);
	for (uint32_t group = 0; !err && matcher.missing && group < kallsyms->group_count; group++)
		err = match_group(&matcher, kallsyms, group, addresses);
	if (err)
		return err;
	fill_repeated(&matcher, names, count, addresses);
	for (size_t i = 0; i < count; i++)
		ret_addresses[i] = addresses[i];
	return NULL;
}
