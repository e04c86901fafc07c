/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a hostile peer may send to the server of gdb's protocol, over a guest whose memory is
 * arbitrary. The input up to its first byte 0 is the bytes of the connection; with a first byte '!'
 * each line of them is a packet instead, which is framed here. The rest is memory, over and over.
 */
#include "api/guest.h"
#include "input_guest.h"
#include "remote/packet.h"

#include <nunchi/gdb.h>

#include <signal.h>
#include <sys/time.h>

#define MAX_PACKETS 64
#define MAX_US      100000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct nunchi_context *current;

static void on_alarm(int number)
{
	(void)number;
	if (current)
		nunchi_context_cancel(current);
}

/* Lists of arbitrary memory may have no end. */
static void set_alarm(suseconds_t us)
{
	const struct itimerval timer = {.it_value = {.tv_usec = us}};
	struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

static bool take_answer(const char *data, size_t size, void *data2)
{
	static struct gdb_parser parser;
	size_t used = 0;

	(void)data2;
	/* Whatever is asked, the answer is well-formed. */
	parser.state = GDB_OUTSIDE;
	while (used < size) {
		enum gdb_piece piece;

		used += gdb_parse(&parser, data + used, size - used, &piece);
		if (piece != GDB_ACK && piece != GDB_PACKET)
			__builtin_trap();
	}
	return true;
}

static void send_bytes(struct nunchi_gdb *gdb, const char *bytes, size_t size)
{
	bool open;

	nunchi_error_destroy(nunchi_gdb_take(gdb, bytes, size, take_answer, NULL, &open));
}

static void send_lines(struct nunchi_gdb *gdb, const char *text, size_t size)
{
	for (unsigned n = 0; size && n < MAX_PACKETS; n++) {
		const char *newline = memchr(text, '\n', size);
		size_t length = newline ? (size_t)(newline - text) : size;
		_cleanup_buffer_ struct buffer packet;

		buffer_init(&packet, 0);
		if (gdb_write_packet(&packet, text, length))
			send_bytes(gdb, packet.data, packet.size);
		length += newline != NULL;
		text += length;
		size -= length;
	}
}

static void run_on(struct input_guest *input, const char *text)
{
	const struct nunchi_gdb_options options = {.size = sizeof(options)};
	struct nunchi_guest guest = {.target = &input->target, .kernel = &input->kernel.guest};
	struct nunchi_context *context;
	struct nunchi_gdb *gdb = NULL;

	input->target.name = (char *)"input";
	if (nunchi_context_create(0, &context))
		__builtin_trap();
	guest.context = context;
	guest.cancel.parent = &context->cancel;
	guest.session.guest = &guest;
	input->kernel.guest.cancel = &guest.cancel;
	current = context;
	set_alarm(MAX_US);
	nunchi_error_destroy(nunchi_gdb_create(&guest, &options, &gdb));
	if (gdb && text[0] == '!')
		send_lines(gdb, text + 1, strlen(text + 1));
	else if (gdb)
		send_bytes(gdb, text, strlen(text));
	set_alarm(0);
	current = NULL;
	nunchi_error_destroy(nunchi_gdb_destroy(gdb));
	nunchi_context_destroy(context);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t end = strnlen((const char *)data, size);
	struct input_guest guest;
	char *text;

	/* A memory of some size. */
	if (!end || size < end + 9)
		return 0;
	text = strndup((const char *)data, end);
	if (!text)
		return 0;
	input_guest_init(&guest, &(struct input){.data = data + end + 1, .size = size - end - 1},
			 NULL, 0);
	run_on(&guest, text);
	input_guest_deinit(&guest);
	free(text);
	return 0;
}
