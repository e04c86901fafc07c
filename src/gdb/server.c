/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The server: takes packets and answers them. */
#include "gdb/gdb.h"

#include "core/digit.h"
#include "core/options.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

static const char read_only[] = "nunchi shows the guest read-only";
/*
 * Before version 15 gdb takes a text for an error in the replies to some requests alone, of which
 * reading is none: EFAULT, EINVAL, ESRCH.
 */
static const char fault[] = "E0e", malformed[] = "E16", no_thread[] = "E03";

/* ---- Replies --------------------------------------------------------------------------------- */

void gdb_refuse(struct nunchi_gdb *gdb, const char *format, ...)
{
	va_list args;

	buffer_clear(&gdb->text);
	buffer_append_string(&gdb->text, "E.");
	va_start(args, format);
	buffer_vprintf(&gdb->text, format, args);
	va_end(args);
}

/* Whether what failed is the guest or the connection, and not the one request. */
static bool concerns_all(const struct nunchi_error *err)
{
	enum nunchi_error_code code = nunchi_error_code(err);

	return code == NUNCHI_ERROR_GONE || code == NUNCHI_ERROR_REBOOTED ||
	       code == NUNCHI_ERROR_CANCELLED || code == NUNCHI_ERROR_NOMEM;
}

static void fail(struct nunchi_gdb *gdb, struct nunchi_error *err)
{
	if (gdb->err)
		nunchi_error_destroy(err);
	else
		gdb->err = err;
}

void gdb_refuse_error(struct nunchi_gdb *gdb, struct nunchi_error *err)
{
	char shown[256];
	const char *message = nunchi_error_message(err);

	nunchi_escape(message, strlen(message), shown, sizeof(shown));
	gdb_refuse(gdb, "%s", shown);
	if (concerns_all(err))
		fail(gdb, err);
	else
		nunchi_error_destroy(err);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/* Reads up to `size` bytes; returns how many there are from the address on. pid 0: the kernel's. */
static size_t read_some(struct nunchi_gdb *gdb, uint64_t pid, uint64_t address, void *buffer,
			size_t size)
{
	const struct nunchi_place place = {.space =
					       pid ? NUNCHI_SPACE_PROCESS : NUNCHI_SPACE_KERNEL,
					   .id = pid,
					   .address = address};
	struct nunchi_error *err = nunchi_read(gdb->guest, &place, size, buffer);
	uint64_t at = address;
	bool known;

	if (!err)
		return size;
	known = nunchi_error_address(err, &at) && at > address && at - address < size;
	if (concerns_all(err))
		fail(gdb, err);
	else
		nunchi_error_destroy(err);
	/* Once more, for those before the one that cannot be read. */
	if (gdb->err || !known)
		return 0;
	err = nunchi_read(gdb->guest, &place, (size_t)(at - address), buffer);
	nunchi_error_destroy(err);
	return err ? 0 : (size_t)(at - address);
}

bool gdb_read(struct nunchi_gdb *gdb, uint64_t address, void *buffer, size_t size)
{
	return read_some(gdb, 0, address, buffer, size) == size;
}

bool gdb_read_word(struct nunchi_gdb *gdb, uint64_t address, uint64_t *ret)
{
	uint64_t word = 0;

	if (!gdb_read(gdb, address, &word, gdb->is_64 ? 8 : 4))
		return false;
	*ret = word;
	return true;
}

/* "ADDRESS,LENGTH" of `m` and `x`. */
static bool parse_range(const char *text, size_t size, uint64_t *ret_address, uint64_t *ret_length)
{
	size_t digits = gdb_parse_hex(text, size, ret_address);

	if (!digits || digits == size || text[digits] != ',')
		return false;
	text += digits + 1;
	size -= digits + 1;
	return size && gdb_parse_hex(text, size, ret_length) == size;
}

static void give_memory(struct nunchi_gdb *gdb, const char *text, size_t size)
{
	bool binary = text[0] == 'x';
	uint8_t bytes[GDB_REPLY_MAX / 2];
	uint64_t address, length;
	size_t got = 0;

	if (!parse_range(text + 1, size - 1, &address, &length)) {
		buffer_append_string(&gdb->text, malformed);
		return;
	}
	if (length > sizeof(bytes))
		length = sizeof(bytes);
	if (length && length - 1 > UINT64_MAX - address)
		length = UINT64_MAX - address + 1;
	if (length)
		got = read_some(gdb, gdb->pid, address, bytes, (size_t)length);
	if (length && !got) {
		buffer_append_string(&gdb->text, fault);
		return;
	}
	if (binary) {
		buffer_append_char(&gdb->text, 'b');
		buffer_append(&gdb->text, bytes, got);
	}
	for (size_t i = 0; i < got && !binary; i++)
		buffer_append_unsigned(&gdb->text, bytes[i], 16, 2);
}

/* ---- Threads --------------------------------------------------------------------------------- */

/* A number, "0" (any) or "-1" (all), which both leave the chosen one as it is. */
static bool parse_thread(const char *text, size_t size, uint64_t *ret)
{
	*ret = 0;
	if (size == 2 && !memcmp(text, "-1", 2))
		return true;
	return size && gdb_parse_hex(text, size, ret) == size;
}

static void choose_thread(struct nunchi_gdb *gdb, const char *text, size_t size)
{
	uint64_t id;

	if (size < 3 || !strchr("gc", text[1]) || !text[1] ||
	    !parse_thread(text + 2, size - 2, &id) || (id && !gdb_find_thread(gdb, id))) {
		buffer_append_string(&gdb->text, no_thread);
		return;
	}
	if (id && text[1] == 'g')
		gdb->chosen = (uint32_t)id;
	buffer_append_string(&gdb->text, "OK");
}

static void tell_thread_lives(struct nunchi_gdb *gdb, const char *text, size_t size)
{
	uint64_t id;

	if (parse_thread(text + 1, size - 1, &id) && gdb_find_thread(gdb, id))
		buffer_append_string(&gdb->text, "OK");
	else
		buffer_append_string(&gdb->text, no_thread);
}

static const struct gdb_thread *chosen(struct nunchi_gdb *gdb)
{
	const struct gdb_thread *thread = gdb_find_thread(gdb, gdb->chosen);

	return thread ? thread : gdb_find_thread(gdb, gdb->first);
}

static void give_registers(struct nunchi_gdb *gdb, const char *text, size_t size)
{
	uint64_t number;

	if (text[0] == 'g') {
		gdb_put_registers(gdb, chosen(gdb));
		return;
	}
	if (size < 2 || gdb_parse_hex(text + 1, size - 1, &number) != size - 1)
		buffer_append_string(&gdb->text, malformed);
	else if (!gdb_put_register(gdb, chosen(gdb), number) && !gdb->text.size)
		buffer_append_string(&gdb->text, malformed);
}

static void list_threads(struct nunchi_gdb *gdb, bool first)
{
	if (first) {
		struct nunchi_error *err = gdb_list_threads(gdb);

		if (err) {
			gdb_refuse_error(gdb, err);
			return;
		}
		gdb->listed = 0;
	}
	if (gdb->listed >= gdb->thread_count) {
		buffer_append_char(&gdb->text, 'l');
		return;
	}
	while (gdb->listed < gdb->thread_count && gdb->text.size + 16 < GDB_REPLY_MAX)
		buffer_printf(&gdb->text, "%c%" PRIx32, gdb->text.size ? ',' : 'm',
			      gdb->threads[gdb->listed++].id);
}

static void give_stop(struct nunchi_gdb *gdb, const char *text, size_t size)
{
	(void)text;
	(void)size;
	buffer_printf(&gdb->text, "T05thread:%" PRIx32 ";", chosen(gdb)->id);
}

/* ---- Questions ------------------------------------------------------------------------------- */

/* Whether the text is the word, or begins with it and one of the characters that end a word. */
static bool is_word(const char *text, size_t size, const char *word)
{
	size_t length = strlen(word);

	return size >= length && !memcmp(text, word, length) &&
	       (size == length || strchr(":,;?", text[length]) != NULL) &&
	       (size == length || text[length]);
}

static void ask_supported(struct nunchi_gdb *gdb)
{
	buffer_printf(&gdb->text, "PacketSize=%x;QStartNoAckMode+;binary-upload+", GDB_PACKET_MAX);
	gdb_put_objects(gdb, &gdb->text);
}

static void ask_thread_text(struct nunchi_gdb *gdb, const char *text, size_t size)
{
	const struct gdb_thread *thread;
	uint64_t id;

	thread = parse_thread(text, size, &id) ? gdb_find_thread(gdb, id) : NULL;
	if (!thread) {
		buffer_append_string(&gdb->text, no_thread);
		return;
	}
	for (const char *c = thread->name; *c; c++)
		buffer_append_unsigned(&gdb->text, (uint8_t)*c, 16, 2);
}

static void question(struct nunchi_gdb *gdb, const char *text, size_t size)
{
	if (is_word(text, size, "qSupported"))
		ask_supported(gdb);
	else if (is_word(text, size, "qXfer"))
		gdb_transfer(gdb, text + 6, size > 6 ? size - 6 : 0);
	else if (is_word(text, size, "qfThreadInfo"))
		list_threads(gdb, true);
	else if (is_word(text, size, "qsThreadInfo"))
		list_threads(gdb, false);
	else if (is_word(text, size, "qThreadExtraInfo") && size > 17)
		ask_thread_text(gdb, text + 17, size - 17);
	else if (is_word(text, size, "qC"))
		buffer_printf(&gdb->text, "QC%" PRIx32, chosen(gdb)->id);
	else if (is_word(text, size, "qAttached"))
		/* So that "quit" detaches, and does not kill. */
		buffer_append_char(&gdb->text, '1');
	else if (is_word(text, size, "qSymbol"))
		buffer_append_string(&gdb->text, "OK");
}

static void set(struct nunchi_gdb *gdb, const char *text, size_t size)
{
	if (!is_word(text, size, "QStartNoAckMode"))
		return;
	gdb->no_ack = true;
	buffer_append_string(&gdb->text, "OK");
}

/* Multi-letter packets: those that would change something are refused, others are not known. */
static void word(struct nunchi_gdb *gdb, const char *text, size_t size)
{
	static const char *const changing[] = {"vRun", "vAttach", "vFlashErase", "vFlashWrite",
					       "vFlashDone"};

	for (size_t i = 0; i < ARRAY_SIZE(changing); i++) {
		if (is_word(text, size, changing[i]))
			gdb_refuse(gdb, "%s", read_only);
	}
	if (is_word(text, size, "vCont") && size > 5 && text[5] == ';')
		gdb_refuse(gdb, "%s", read_only);
	/*
	 * Without an answer gdb would take files of this host for those of the guest: "no such
	 * file", whatever it asks for.
	 */
	if (size > 6 && !memcmp(text, "vFile:", 6))
		buffer_append_string(&gdb->text,
				     is_word(text + 6, size - 6, "setfs") ? "F0" : "F-1,2");
}

static void refuse(struct nunchi_gdb *gdb, const char *text, size_t size)
{
	(void)text;
	(void)size;
	gdb_refuse(gdb, "%s", read_only);
}

static void end(struct nunchi_gdb *gdb, const char *text, size_t size)
{
	(void)size;
	gdb->ended = true;
	if (text[0] == 'D')
		buffer_append_string(&gdb->text, "OK");
}

static const struct request {
	char letter;
	void (*answer)(struct nunchi_gdb *gdb, const char *text, size_t size);
} requests[] = {
    {'?', give_stop},
    {'g', give_registers},
    {'p', give_registers},
    {'m', give_memory},
    {'x', give_memory},
    {'H', choose_thread},
    {'T', tell_thread_lives},
    {'q', question},
    {'Q', set},
    {'v', word},
    {'D', end},
    {'k', end},
    /* Registers, memory, breakpoints. */
    {'G', refuse},
    {'P', refuse},
    {'M', refuse},
    {'X', refuse},
    {'Z', refuse},
    {'z', refuse},
    /* Continue, step, restart. */
    {'c', refuse},
    {'C', refuse},
    {'s', refuse},
    {'S', refuse},
    {'i', refuse},
    {'I', refuse},
    {'t', refuse},
    {'r', refuse},
    {'R', refuse},
    {'A', refuse},
};

/* ---- The connection -------------------------------------------------------------------------- */

static void answer(struct nunchi_gdb *gdb)
{
	const char *text = gdb->parser.data;
	size_t size = gdb->parser.size;

	if (!gdb->no_ack)
		buffer_append_char(&gdb->out, '+');
	buffer_clear(&gdb->text);
	for (size_t i = 0; size && i < ARRAY_SIZE(requests); i++) {
		if (requests[i].letter == text[0])
			requests[i].answer(gdb, text, size);
	}
	if (gdb->text.failed)
		fail(gdb, &error_nomem);
	/* `k` has no reply. */
	if (!gdb->err && !(size && text[0] == 'k'))
		gdb_write_packet(&gdb->out, buffer_string(&gdb->text), gdb->text.size);
	if (gdb->out.failed)
		fail(gdb, &error_nomem);
}

static void take_piece(struct nunchi_gdb *gdb, enum gdb_piece piece)
{
	if (piece == GDB_PACKET)
		answer(gdb);
	else if (piece == GDB_CORRUPT)
		fail(gdb, error_create(NUNCHI_ERROR_DATA,
				       "gdb sent a packet with a wrong checksum, or one of more "
				       "than %d bytes",
				       GDB_PACKET_MAX));
	else if (piece == GDB_NAK)
		fail(gdb, error_create(NUNCHI_ERROR_DATA,
				       "gdb wants a packet again; it got a damaged one"));
}

/* Bytes between packets: only what gdb sends there is accepted, so that others are found out. */
static bool passes(struct nunchi_gdb *gdb, char c)
{
	if (gdb->parser.state != GDB_OUTSIDE || (c && strchr("+-$", c)))
		return false;
	if (c != '\x03')
		fail(gdb, error_create(NUNCHI_ERROR_DATA,
				       "the byte 0x%02x stands where a packet of gdb should begin",
				       (uint8_t)c));
	return true;
}

/*
 * Whether the packet of `size` bytes before `next` comes once more: gdb sends one again if it is
 * not acknowledged within two seconds (its "remotetimeout"), as happens while the guest is opened.
 * gdb would take a second answer for that of its next packet.
 */
static bool comes_again(const struct nunchi_gdb *gdb, const char *next, size_t size, size_t left)
{
	return !gdb->no_ack && left >= size && !memcmp(next - size, next, size);
}

/* The error that ends the connection, which is the caller's from then on; NULL: there is none. */
static struct nunchi_error *give_up_error(struct nunchi_gdb *gdb)
{
	struct nunchi_error *err = gdb->err;

	gdb->err = NULL;
	gdb->ended |= err != NULL;
	return err;
}

struct nunchi_error *nunchi_gdb_take(struct nunchi_gdb *gdb, const char *bytes, size_t size,
				     bool (*write)(const char *data, size_t size, void *data2),
				     void *data, bool *ret_open)
{
	struct nunchi_error *err;
	size_t used = 0, start;

	if (!gdb || !bytes || !write || !ret_open)
		return error_create(NUNCHI_ERROR_ARGUMENT, "nunchi_gdb_take() was given NULL");
	while (used < size && !gdb->err && !gdb->ended) {
		enum gdb_piece piece;

		if (passes(gdb, bytes[used])) {
			used++;
			continue;
		}
		start = used;
		used += gdb_parse(&gdb->parser, bytes + used, size - used, &piece);
		if (piece == GDB_PACKET &&
		    comes_again(gdb, bytes + used, used - start, size - used))
			continue;
		take_piece(gdb, piece);
		if (gdb->out.size && !write(gdb->out.data, gdb->out.size, data))
			fail(gdb, error_create(NUNCHI_ERROR_CANCELLED,
					       "the connection to gdb was lost"));
		buffer_clear(&gdb->out);
	}
	err = give_up_error(gdb);
	if (!err)
		*ret_open = !gdb->ended;
	return err;
}

/*
 * Whether pointers have 64 bits: page tables have four levels or five then. Fails if the process
 * that is to be shown has none.
 */
static struct nunchi_error *find_width(struct nunchi_gdb *gdb)
{
	const struct nunchi_place place = {
	    .space = gdb->pid ? NUNCHI_SPACE_PROCESS : NUNCHI_SPACE_KERNEL, .id = gdb->pid};
	struct nunchi_translation walk;
	struct nunchi_error *err = nunchi_translate(gdb->guest, &place, &walk);

	if (!err)
		gdb->is_64 = walk.level_count && (!strcmp(walk.levels[0].table, "PML4") ||
						  !strcmp(walk.levels[0].table, "PML5"));
	return err;
}

static struct nunchi_error *start(struct nunchi_gdb *gdb, bool hold)
{
	const struct nunchi_session_options session = {.size = sizeof(session), .hold = true};
	struct nunchi_error *err = NULL;

	buffer_init(&gdb->text, 0);
	buffer_init(&gdb->out, 0);
	buffer_init(&gdb->document, GDB_DOCUMENT_LIMIT);
	if (hold)
		err = nunchi_session_open(gdb->guest, &session, &gdb->session);
	if (!err)
		err = find_width(gdb);
	if (err)
		return err;
	gdb_learn_layout(gdb);
	err = gdb_list_threads(gdb);
	return err ? err : give_up_error(gdb);
}

struct nunchi_error *nunchi_gdb_create(struct nunchi_guest *guest,
				       const struct nunchi_gdb_options *options,
				       struct nunchi_gdb **ret)
{
	struct nunchi_gdb_options own = {.hold = false};
	struct nunchi_error *err = NULL, *ended;
	struct nunchi_gdb *gdb;

	if (!guest || !ret)
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "nunchi_gdb_create() was given NULL; it needs guest && ret");
	if (options)
		err = options_take("nunchi_gdb_options", options, options->size,
				   offsetof(struct nunchi_gdb_options, hold), &own, sizeof(own));
	if (err)
		return err;
	gdb = calloc(1, sizeof(*gdb));
	if (!gdb)
		return &error_nomem;
	gdb->guest = guest;
	gdb->pid = own.pid;
	err = start(gdb, own.hold);
	if (!err) {
		*ret = gdb;
		return NULL;
	}
	/* That the guest stays paused is worse than what came before. */
	ended = nunchi_gdb_destroy(gdb);
	if (!ended)
		return err;
	nunchi_error_destroy(err);
	return ended;
}

struct nunchi_error *nunchi_gdb_destroy(struct nunchi_gdb *gdb)
{
	struct nunchi_error *err;

	if (!gdb)
		return NULL;
	err = nunchi_session_close(gdb->session);
	nunchi_error_destroy(gdb->err);
	buffer_deinit(&gdb->text);
	buffer_deinit(&gdb->out);
	buffer_deinit(&gdb->document);
	free(gdb->threads);
	free(gdb);
	return err;
}
