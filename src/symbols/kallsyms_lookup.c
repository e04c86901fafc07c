/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds a few names among all symbols without decoding the names. The wanted names form a trie of
 * letters; the letters of a symbol's tokens lead through it. For the first two tokens a bit set
 * says which pairs lead to any wanted name: most symbols are rejected by this one test.
 */
#include "symbols/kallsyms_private.h"
#include "symbols/symbol_variant.h"

/* Nodes of the trie. */
enum { DEAD, START /* before the type letter */, ROOT /* after it */, FIRST_FREE };

#define UNKNOWN UINT32_MAX
#define NONE    UINT32_MAX
/*
 * Nodes that get a table of the nodes their tokens lead to: the first ones that names pass through,
 * which most names share.
 */
#define ROWS 32
/* Limit of the trie's nodes, far more than any caller needs. */
#define NODES_MAX ((size_t)1 << 24)

struct node {
	uint32_t child;   /* first child, DEAD if none */
	uint32_t sibling; /* next child of the same parent, DEAD if none */
	uint32_t wanted;  /* index of the wanted name that ends here, or NONE */
	/*
	 * index of the wanted name that was followed by a dot, or NONE; in such a node all further
	 * letters stay in this node
	 */
	uint32_t variant;
	uint32_t row; /* of the tables, or NONE */
	char letter;
};

struct token_set {
	uint32_t bits[KALLSYMS_TOKENS / 32];
};

struct matcher {
	const struct kallsyms_tokens *tokens;
	struct node *nodes;
	uint32_t node_count;
	uint32_t (*rows)[KALLSYMS_TOKENS]; /* ROWS tables, filled when needed */
	uint32_t row_count;
	/* pairs that lead on: a set of second tokens for each first token */
	struct token_set pairs[KALLSYMS_TOKENS];
	const char *const *names;
	uint32_t *found;    /* for each wanted name: how often it occurred */
	uint32_t *variants; /* for each wanted name: how often a variant of it occurred */
	size_t missing;
};

static void matcher_deinit(struct matcher *matcher)
{
	free(matcher->nodes);
	free(matcher->rows);
	free(matcher->found);
	free(matcher->variants);
}

static uint32_t find_child(const struct matcher *matcher, uint32_t node, char letter)
{
	uint32_t child = matcher->nodes[node].child;

	if (matcher->nodes[node].variant != NONE)
		return node;
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

/* The child of a node for a letter; created if it does not exist. */
static uint32_t get_child(struct matcher *matcher, uint32_t node, char letter)
{
	uint32_t child = find_child(matcher, node, letter);

	if (child != DEAD)
		return child;
	child = matcher->node_count++;
	matcher->nodes[child] = (struct node){.sibling = matcher->nodes[node].child,
					      .wanted = NONE,
					      .variant = NONE,
					      .row = NONE,
					      .letter = letter};
	matcher->nodes[node].child = child;
	return child;
}

static void add_name(struct matcher *matcher, const char *name, uint32_t wanted)
{
	uint32_t node = ROOT;

	for (; *name; name++)
		node = get_child(matcher, node, *name);
	if (node != ROOT && matcher->nodes[node].wanted == NONE) {
		matcher->nodes[node].wanted = wanted;
		matcher->missing++;
	}
}

/*
 * Adds the node for variants of a name. Called after all names were added: if a wanted name
 * contains a dot, the part before its dot gets no variants.
 */
static void add_variant(struct matcher *matcher, const char *name)
{
	uint32_t node = find_name(matcher, name);
	uint32_t dot;

	if (node == DEAD || node == ROOT || find_child(matcher, node, '.') != DEAD)
		return;
	dot = get_child(matcher, node, '.');
	matcher->nodes[dot].variant = matcher->nodes[node].wanted;
}

/* The node that a token leads to from a node of the trie. */
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

/* Sets the bits of the tokens that lead from a node after the type letter to another than DEAD. */
static void fill_row(const struct matcher *matcher, uint32_t node, struct token_set *row)
{
	const struct kallsyms_tokens *tokens = matcher->tokens;
	bool any = node == START || matcher->nodes[node].variant != NONE, letters[256] = {false};

	for (uint32_t child = matcher->nodes[node].child; child != DEAD;
	     child = matcher->nodes[child].sibling)
		letters[(uint8_t)matcher->nodes[child].letter] = true;
	for (unsigned token = 0; token < KALLSYMS_TOKENS; token++) {
		/* Few tokens begin with a letter that leads on. */
		if (!any && tokens->size[token] && !letters[(uint8_t)tokens->head[token][0]])
			continue;
		if (walk(matcher, node, (uint8_t)token) != DEAD)
			row->bits[token / 32] |= 1U << token % 32;
	}
}

static void fill_pairs(struct matcher *matcher)
{
	struct token_set after_letter = {0};

	/* Many first tokens consist of the type letter alone: their set is computed once. */
	fill_row(matcher, ROOT, &after_letter);
	for (unsigned first = 0; first < KALLSYMS_TOKENS; first++) {
		uint32_t node = walk(matcher, START, (uint8_t)first);
		if (node == ROOT)
			matcher->pairs[first] = after_letter;
		else if (node != DEAD)
			fill_row(matcher, node, &matcher->pairs[first]);
	}
}

static struct nunchi_error *matcher_init(struct matcher *matcher, const struct kallsyms *k,
					 const char *const *names, size_t count)
{
	size_t nodes = FIRST_FREE;

	for (size_t i = 0; i < count; i++)
		nodes += strnlen(names[i], NODES_MAX) + 1;
	if (nodes > NODES_MAX || count >= NONE)
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "too many symbols are asked for at once");
	matcher->tokens = &k->tokens;
	matcher->nodes = calloc(nodes, sizeof(*matcher->nodes));
	matcher->rows = malloc(ROWS * sizeof(*matcher->rows));
	matcher->names = names;
	matcher->found = calloc(count ? count : 1, sizeof(*matcher->found));
	matcher->variants = calloc(count ? count : 1, sizeof(*matcher->variants));
	if (!matcher->nodes || !matcher->rows || !matcher->found || !matcher->variants)
		return &error_nomem;
	for (uint32_t i = 0; i < FIRST_FREE; i++)
		matcher->nodes[i] = (struct node){.wanted = NONE, .variant = NONE, .row = NONE};
	matcher->node_count = FIRST_FREE;
	for (size_t i = 0; i < count; i++)
		add_name(matcher, names[i], (uint32_t)i);
	for (size_t i = 0; i < count; i++)
		add_variant(matcher, names[i]);
	fill_pairs(matcher);
	return NULL;
}

/* Whether a name that starts with these two tokens may be a wanted name. */
static inline bool may_match(const struct matcher *matcher, const uint8_t *codes)
{
	return matcher->pairs[codes[0]].bits[codes[1] / 32] >> codes[1] % 32 & 1;
}

/* The node that a token leads to; through the table of the first node if that has one. */
static inline uint32_t next_node(struct matcher *matcher, uint32_t from, uint8_t token)
{
	struct node *node = &matcher->nodes[from];
	uint32_t *next;

	if (node->row == NONE) {
		if (matcher->row_count == ROWS)
			return walk(matcher, from, token);
		node->row = matcher->row_count++;
		memset(matcher->rows[node->row], 0xff, sizeof(*matcher->rows));
	}
	next = &matcher->rows[node->row][token];
	if (*next == UNKNOWN)
		*next = walk(matcher, from, token);
	return *next;
}

/*
 * Stores the address of symbol i if the node that its name led to says that the symbol is a wanted
 * name or a variant.
 */
static void take(struct matcher *matcher, const struct kallsyms *k, uint32_t i, uint32_t node,
		 uint64_t *addresses)
{
	uint32_t wanted = matcher->nodes[node].wanted, variant = matcher->nodes[node].variant;
	char text[KALLSYMS_TEXT_MAX];

	if (wanted != NONE && !matcher->found[wanted]++) {
		matcher->missing--;
		addresses[wanted] = kallsyms_address(k, i);
	}
	if (variant != NONE && !matcher->found[variant] && kallsyms_name(k, i, text) &&
	    symbol_variant_of(text + 1, matcher->names[variant]) == SYMBOL_VARIANT) {
		matcher->variants[variant]++;
		addresses[variant] = kallsyms_address(k, i);
	}
}

/*
 * Leads the tokens of symbol i's name through the trie. Apart from the loop over all names, few of
 * which come here, so that the compiler keeps that loop's variables in registers.
 */
static __attribute__((noinline)) void match(struct matcher *matcher, const struct kallsyms *k,
					    uint32_t i, const uint8_t *codes, size_t size,
					    uint64_t *addresses)
{
	uint32_t node = START;

	for (size_t n = 0; n < size && node != DEAD; n++)
		node = next_node(matcher, node, codes[n]);
	if (node != DEAD)
		take(matcher, k, i, node, addresses);
}

/* Matches the names of one group. */
static struct nunchi_error *match_group(struct matcher *matcher, const struct kallsyms *k,
					uint32_t group, uint64_t *addresses)
{
	size_t at = k->names + k->markers[group], end = kallsyms_group_end(k, group);
	uint32_t i = group * KALLSYMS_GROUP, last = i + kallsyms_group_size(k, group);
	const uint8_t *data = k->image.data;
	bool long_sizes = k->long_sizes;

	for (; i < last; i++) {
		const uint8_t *codes;
		size_t size;

		if (!kallsyms_next_name(data, &at, end, long_sizes, &codes, &size))
			return kallsyms_changed(k, at);
		if (size == 1 || may_match(matcher, codes))
			match(matcher, k, i, codes, size, addresses);
	}
	return at == end ? NULL : kallsyms_changed(k, at);
}

/* Names that were asked for several times share a node: copies the address to the repetitions. */
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
	/* If a name has several variants, none of them can be chosen. */
	for (size_t i = 0; i < count; i++) {
		if (!matcher.found[i] && matcher.variants[i] != 1)
			addresses[i] = 0;
	}
	fill_repeated(&matcher, names, count, addresses);
	for (size_t i = 0; i < count; i++)
		ret_addresses[i] = addresses[i];
	return NULL;
}
