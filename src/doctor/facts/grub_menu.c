/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/facts/grub_menu.h"

#include "core/buffer.h"
#include "core/digit.h"

#include <string.h>

#define ENTRIES_MAX  4096
#define DEFAULTS_MAX 64
#define DEPTH_MAX    32
#define WORDS_MAX    1024
#define WORD_MAX     65536

enum block { BLOCK_ENTRY, BLOCK_OTHER };

struct command {
	char **words;
	size_t count;
	size_t start;
};

struct parser {
	const char *text;
	size_t at, size;
	unsigned line;
	struct grub_menu *menu;
	struct command command;
	/* The blocks we are in; of an entry, which. */
	struct {
		enum block kind;
		size_t entry;
	} blocks[DEPTH_MAX];
	size_t depth;
};

void grub_menu_deinit(struct grub_menu *menu)
{
	for (size_t i = 0; i < menu->count; i++) {
		struct grub_entry *entry = &menu->entries[i];

		free(entry->title);
		free(entry->id);
		free(entry->xen);
		free(entry->xen_arguments);
		free(entry->kernel);
		free(entry->kernel_arguments);
		free(entry->initrd);
	}
	for (size_t i = 0; i < menu->default_count; i++)
		free(menu->defaults[i]);
	free(menu->entries);
	free(menu->defaults);
	*menu = (struct grub_menu){0};
}

/* ---- Words ----------------------------------------------------------------------------------- */

static void command_clear(struct command *command)
{
	for (size_t i = 0; i < command->count; i++)
		free(command->words[i]);
	command->count = 0;
}

static struct nunchi_error *command_add(struct command *command, struct buffer *word, size_t start)
{
	char **more, *copy;

	if (word->no_memory)
		return &error_nomem;
	if (word->failed || command->count == WORDS_MAX)
		return error_create(NUNCHI_ERROR_DATA, "a command that is too long");
	more = realloc(command->words, (command->count + 1) * sizeof(*more));
	if (!more)
		return &error_nomem;
	command->words = more;
	copy = strdup(buffer_string(word));
	if (!copy)
		return &error_nomem;
	if (!command->count)
		command->start = start;
	more[command->count++] = copy;
	return NULL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool ends_word(char c)
{
	return is_blank(c) || c == '\n' || c == ';';
}

static void take_single(struct parser *p, struct buffer *word)
{
	while (p->at < p->size && p->text[p->at] != '\'') {
		p->line += p->text[p->at] == '\n';
		buffer_append_char(word, p->text[p->at++]);
	}
	p->at += p->at < p->size;
}

static void take_double(struct parser *p, struct buffer *word)
{
	while (p->at < p->size && p->text[p->at] != '"') {
		char c = p->text[p->at];

		if (c == '\\' && p->at + 1 < p->size &&
		    (p->text[p->at + 1] == '"' || p->text[p->at + 1] == '\\' ||
		     p->text[p->at + 1] == '$'))
			c = p->text[++p->at];
		p->line += c == '\n';
		buffer_append_char(word, c);
		p->at++;
	}
	p->at += p->at < p->size;
}

/* One word without its quotes; variables stay as they are written. */
static struct nunchi_error *take_word(struct parser *p)
{
	_cleanup_buffer_ struct buffer word;
	size_t start = p->at;

	buffer_init(&word, WORD_MAX);
	while (p->at < p->size && !ends_word(p->text[p->at])) {
		char c = p->text[p->at++];

		if (c == '\'') {
			take_single(p, &word);
		} else if (c == '"') {
			take_double(p, &word);
		} else if (c == '\\' && p->at < p->size) {
			p->line += p->text[p->at] == '\n';
			if (p->text[p->at] != '\n')
				buffer_append_char(&word, p->text[p->at]);
			p->at++;
		} else if (c) {
			buffer_append_char(&word, c);
		}
	}
	return command_add(&p->command, &word, start);
}

/* ---- Entries --------------------------------------------------------------------------------- */

static size_t innermost(const struct parser *p)
{
	for (size_t i = p->depth; i > 0; i--)
		if (p->blocks[i - 1].kind == BLOCK_ENTRY)
			return p->blocks[i - 1].entry;
	return GRUB_MENU_NONE;
}

static struct nunchi_error *open_block(struct parser *p, enum block kind, size_t entry)
{
	if (p->depth == DEPTH_MAX)
		return error_create(NUNCHI_ERROR_DATA, "blocks more than %d deep", DEPTH_MAX);
	p->blocks[p->depth].kind = kind;
	p->blocks[p->depth++].entry = entry;
	return NULL;
}

/* The id: the word behind --id, or behind the variable that grub-mkconfig writes for it. */
static const char *id_of(const struct command *command)
{
	for (size_t i = 2; i < command->count; i++) {
		const char *before = command->words[i - 1];

		if (!strcmp(before, "--id") || !strcmp(before, "$menuentry_id_option") ||
		    !strcmp(before, "${menuentry_id_option}"))
			return command->words[i];
		if (!strncmp(command->words[i], "--id=", 5))
			return command->words[i] + 5;
	}
	return "";
}

/* menuentry TITLE … { */
static struct nunchi_error *open_entry(struct parser *p)
{
	const struct command *command = &p->command;
	struct grub_entry *more, entry = {
				     .submenu = !strcmp(command->words[0], "submenu"),
				     .parent = innermost(p),
				     .start = command->start,
				 };

	if (p->menu->count == ENTRIES_MAX)
		return error_create(NUNCHI_ERROR_DATA, "more than %d entries", ENTRIES_MAX);
	more = realloc(p->menu->entries, (p->menu->count + 1) * sizeof(*more));
	if (!more)
		return &error_nomem;
	p->menu->entries = more;
	entry.title = strdup(command->count > 1 ? command->words[1] : "");
	entry.id = strdup(id_of(command));
	more[p->menu->count++] = entry;
	if (!entry.title || !entry.id)
		return &error_nomem;
	return open_block(p, BLOCK_ENTRY, p->menu->count - 1);
}

static struct nunchi_error *close_block(struct parser *p)
{
	struct grub_entry *entry;

	if (!p->depth)
		return error_create(NUNCHI_ERROR_DATA, "line %u: a } without its {", p->line);
	p->depth--;
	if (p->blocks[p->depth].kind != BLOCK_ENTRY)
		return NULL;
	entry = &p->menu->entries[p->blocks[p->depth].entry];
	entry->size = p->at - entry->start;
	return NULL;
}

/* ---- What an entry boots --------------------------------------------------------------------- */

static char *join(const struct command *command, size_t first)
{
	_cleanup_buffer_ struct buffer words;

	buffer_init(&words, 0);
	for (size_t i = first; i < command->count; i++)
		buffer_printf(&words, "%s%s", i > first ? " " : "", command->words[i]);
	return words.failed ? NULL : strdup(buffer_string(&words));
}

/* The last part of a path begins with "xen". */
static bool names_xen(const char *path)
{
	const char *slash = strrchr(path, '/');

	return !strncmp(slash ? slash + 1 : path, "xen", 3);
}

static struct nunchi_error *keep(char **path, char **arguments, const struct command *command,
				 size_t at)
{
	free(*path);
	*path = strdup(command->words[at]);
	if (arguments) {
		free(*arguments);
		*arguments = join(command, at + 1);
	}
	return *path && (!arguments || *arguments) ? NULL : &error_nomem;
}

static bool is_one_of(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (!strcmp(word, *words))
			return true;
	return false;
}

/* A command within an entry. */
static struct nunchi_error *take_loader(struct grub_entry *entry, const struct command *command)
{
	static const char *const hypervisors[] = {"multiboot", "multiboot2", "xen_hypervisor",
						  "chainloader", NULL};
	static const char *const modules[] = {"module", "module2", "xen_module", NULL};
	static const char *const kernels[] = {"linux", "linux16", "linuxefi", NULL};
	static const char *const initrds[] = {"initrd", "initrd16", "initrdefi", NULL};
	size_t at = 1;

	/* Options: --nounzip, --quirk-…. */
	while (at < command->count && !strncmp(command->words[at], "--", 2))
		at++;
	if (at >= command->count)
		return NULL;
	if (is_one_of(command->words[0], hypervisors) && names_xen(command->words[at]))
		return keep(&entry->xen, &entry->xen_arguments, command, at);
	if (is_one_of(command->words[0], kernels) ||
	    (is_one_of(command->words[0], modules) && !entry->kernel))
		return keep(&entry->kernel, &entry->kernel_arguments, command, at);
	if (is_one_of(command->words[0], initrds) || is_one_of(command->words[0], modules)) {
		free(entry->initrd);
		entry->initrd = join(command, at);
		return entry->initrd ? NULL : &error_nomem;
	}
	return NULL;
}

/* ---- Commands -------------------------------------------------------------------------------- */

static struct nunchi_error *add_default(struct grub_menu *menu, const char *value)
{
	char **more, *copy;

	if (strstr(value, "next_entry}") || !strcmp(value, "$next_entry")) {
		menu->one_shot = true;
		return NULL;
	}
	if (menu->default_count == DEFAULTS_MAX)
		return error_create(NUNCHI_ERROR_DATA, "sets default more than %d times",
				    DEFAULTS_MAX);
	more = realloc(menu->defaults, (menu->default_count + 1) * sizeof(*more));
	if (!more)
		return &error_nomem;
	menu->defaults = more;
	copy = strdup(value);
	if (!copy)
		return &error_nomem;
	more[menu->default_count++] = copy;
	return NULL;
}

/* The command gathered so far has ended. */
static struct nunchi_error *end_command(struct parser *p)
{
	static const char *const before[] = {"if",    "then",  "else", "elif", "do",
					     "while", "until", "!",    NULL};
	struct command command = p->command;
	struct nunchi_error *err = NULL;
	size_t entry = innermost(p);

	while (command.count && is_one_of(command.words[0], before)) {
		command.words++;
		command.count--;
	}
	if (command.count) {
		const char *word = command.words[0];

		if (!strcmp(word, "set") && command.count > 1)
			word = command.words[1];
		if (entry != GRUB_MENU_NONE)
			err = take_loader(&p->menu->entries[entry], &command);
		else if (!strncmp(word, "default=", 8))
			err = add_default(p->menu, word + 8);
	}
	command_clear(&p->command);
	return err;
}

static struct nunchi_error *take_open(struct parser *p)
{
	static const char *const entries[] = {"menuentry", "submenu", NULL};
	struct nunchi_error *err;

	p->at++;
	if (p->command.count && is_one_of(p->command.words[0], entries))
		err = open_entry(p);
	else
		err = open_block(p, BLOCK_OTHER, GRUB_MENU_NONE);
	command_clear(&p->command);
	return err;
}

static struct nunchi_error *take_close(struct parser *p)
{
	struct nunchi_error *err = end_command(p);

	p->at++;
	return err ? err : close_block(p);
}

/* A brace alone is a token; one within a word (${x}) is not. */
static bool brace_here(const struct parser *p, char brace)
{
	return p->text[p->at] == brace && (p->at + 1 == p->size || ends_word(p->text[p->at + 1]));
}

static struct nunchi_error *step(struct parser *p)
{
	char c = p->text[p->at];

	if (is_blank(c)) {
		p->at++;
		return NULL;
	}
	if (c == '\n' || c == ';') {
		p->line += c == '\n';
		p->at++;
		return end_command(p);
	}
	if (c == '#') {
		while (p->at < p->size && p->text[p->at] != '\n')
			p->at++;
		return NULL;
	}
	if (brace_here(p, '{'))
		return take_open(p);
	if (brace_here(p, '}') && !p->command.count)
		return take_close(p);
	return take_word(p);
}

struct nunchi_error *grub_menu_parse(const char *text, size_t size, struct grub_menu *ret)
{
	_cleanup_grub_menu_ struct grub_menu menu = {0};
	struct parser p = {.text = text, .size = size, .line = 1, .menu = &menu};
	struct nunchi_error *err = NULL;

	while (p.at < p.size && !err)
		err = step(&p);
	if (!err)
		err = end_command(&p);
	if (!err && p.depth)
		err = error_create(NUNCHI_ERROR_DATA, "it ends within a block");
	command_clear(&p.command);
	free(p.command.words);
	if (err)
		return error_context(err, "grub.cfg, line %u", p.line);
	*ret = menu;
	menu = (struct grub_menu){0};
	return NULL;
}

/* ---- The default ----------------------------------------------------------------------------- */

static size_t nth_within(const struct grub_menu *menu, size_t parent, size_t n)
{
	for (size_t i = 0; i < menu->count; i++)
		if (menu->entries[i].parent == parent && !n--)
			return i;
	return GRUB_MENU_NONE;
}

static bool all_digits(const char *text)
{
	if (!*text)
		return false;
	for (; *text; text++)
		if (digit_value(*text) > 9)
			return false;
	return true;
}

/* A number, title or id among what stands directly in parent. */
static size_t find_within(const struct grub_menu *menu, size_t parent, const char *value)
{
	if (all_digits(value))
		return strlen(value) > 6 ? GRUB_MENU_NONE
					 : nth_within(menu, parent, strtoul(value, NULL, 10));
	for (size_t i = 0; i < menu->count; i++) {
		const struct grub_entry *entry = &menu->entries[i];

		if (entry->parent == parent && *value &&
		    (!strcmp(entry->title, value) || !strcmp(entry->id, value)))
			return i;
	}
	return GRUB_MENU_NONE;
}

/* Cuts the first part off: up to a single ">"; ">>" stands for one in a title. */
static char *next_part(const char **value)
{
	const char *at = *value;
	char *part = malloc(strlen(at) + 1), *out = part;

	if (!part)
		return NULL;
	while (*at && (*at != '>' || at[1] == '>')) {
		if (*at == '>')
			at++;
		*out++ = *at++;
	}
	*out = 0;
	*value = *at == '>' ? at + 1 : at;
	return part;
}

size_t grub_menu_find(const struct grub_menu *menu, const char *value)
{
	size_t parent = GRUB_MENU_NONE, found;

	do {
		_cleanup_free_ char *part = next_part(&value);

		found = part ? find_within(menu, parent, part) : GRUB_MENU_NONE;
		if (found == GRUB_MENU_NONE)
			found = nth_within(menu, parent, 0);
		parent = found;
	} while (found != GRUB_MENU_NONE && menu->entries[found].submenu);
	return found;
}

char *grub_menu_name(const struct grub_menu *menu, size_t entry)
{
	_cleanup_buffer_ struct buffer name, part;
	const struct grub_entry *e = &menu->entries[entry];
	const char *text = e->id[0] ? e->id : e->title;

	buffer_init(&name, 0);
	buffer_init(&part, 0);
	if (e->parent != GRUB_MENU_NONE) {
		_cleanup_free_ char *parent = grub_menu_name(menu, e->parent);

		if (!parent)
			return NULL;
		buffer_printf(&name, "%s>", parent);
	}
	for (; *text; text++) {
		buffer_append_char(&part, *text);
		if (*text == '>')
			buffer_append_char(&part, '>');
	}
	buffer_append_string(&name, buffer_string(&part));
	return name.failed || part.failed ? NULL : strdup(buffer_string(&name));
}

size_t grub_menu_first_xen(const struct grub_menu *menu)
{
	for (size_t i = 0; i < menu->count; i++)
		if (menu->entries[i].xen)
			return i;
	return GRUB_MENU_NONE;
}

bool grub_arguments_have(const char *arguments, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = arguments; at && (at = strstr(at, word)); at++)
		if ((at == arguments || at[-1] == ' ') && (!at[length] || at[length] == ' '))
			return true;
	return false;
}
