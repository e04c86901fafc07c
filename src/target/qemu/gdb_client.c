/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/qemu/gdb_client.h"

#include "core/io.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

/* How many times one packet is sent or refused. */
#define TRIES_MAX 4
/* How long an acknowledgement may take before a packet counts as lost that met a running guest. */
#define LOST_US (200 * CLOCK_US_PER_MS)
/* Bytes that are asked for of a document at once; less than the packets of all versions have. */
#define CHUNK_SIZE 0x7f0
/* How often gdb_client_poll() reads at most: QEMU may send faster than it is read. */
#define READS_MAX 16

struct gdb_client {
	int fd;
	struct gdb_stub *stub;
	struct gdb_parser parser;
	char input[4096];
	size_t at, size; /* of the bytes of input that are not parsed yet */
	/* a packet came that is not acknowledged; that is done in front of the next one */
	bool owes_ack;
	/* the threads that requests for registers and single steps refer to; 0: unknown */
	uint32_t register_thread, step_thread;
	struct buffer output; /* the last packet that was sent */
};

struct nunchi_error *gdb_client_create(int fd, struct gdb_stub *stub, struct gdb_client **ret)
{
	struct gdb_client *client = calloc(1, sizeof(*client));

	if (!client)
		return &error_nomem;
	client->fd = fd;
	client->stub = stub;
	buffer_init(&client->output, GDB_PACKET_MAX);
	*ret = client;
	return NULL;
}

void gdb_client_destroy(struct gdb_client *client)
{
	if (!client)
		return;
	buffer_deinit(&client->output);
	free(client);
}

bool gdb_client_has_stopped_it(const struct gdb_client *client)
{
	return client->stub->has_stopped_it;
}

/* ---- Sending and receiving ------------------------------------------------------------------- */

static struct nunchi_error *is_gone(void)
{
	return error_create(NUNCHI_ERROR_GONE, "gdb stub: QEMU closed the connection");
}

static struct nunchi_error *bad_reply(const char *request)
{
	return error_create(NUNCHI_ERROR_DATA,
			    "gdb stub: QEMU's answer to %s is malformed or unexpected", request);
}

static struct nunchi_error *check_wait(const struct gdb_wait *wait)
{
	if (cancel_requested(wait->cancel))
		return error_create(NUNCHI_ERROR_CANCELLED, "cancelled");
	if (clock_us() >= wait->deadline_us)
		return error_create(NUNCHI_ERROR_TIMEOUT, "gdb stub: QEMU does not answer in time");
	return NULL;
}

static struct nunchi_error *send_bytes(struct gdb_client *client, const char *data, size_t size)
{
	return io_write_quietly(client->fd, data, size) ? is_gone() : NULL;
}

/* Sends the packet in client->output, with the acknowledgement that is due. */
static struct nunchi_error *send_output(struct gdb_client *client)
{
	client->owes_ack = false;
	return send_bytes(client, client->output.data, client->output.size);
}

static struct nunchi_error *send_packet(struct gdb_client *client, const char *text)
{
	buffer_clear(&client->output);
	if (client->owes_ack && !client->stub->no_ack)
		buffer_append_char(&client->output, '+');
	if (client->stub->mute)
		buffer_append_char(&client->output, '\x03');
	if (!gdb_write_packet(&client->output, text, strlen(text)))
		return &error_nomem;
	return send_output(client);
}

/* Reads at most `most` bytes; *ret_more is false if there are none yet. */
static struct nunchi_error *receive(struct gdb_client *client, size_t most, bool *ret_more)
{
	ssize_t n = read(client->fd, client->input,
			 most < sizeof(client->input) ? most : sizeof(client->input));

	*ret_more = n > 0;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		return is_gone();
	client->at = 0;
	client->size = n > 0 ? (size_t)n : 0;
	return NULL;
}

/* The next piece of what has been read; GDB_MORE if that ends before. */
static enum gdb_piece next_piece(struct gdb_client *client)
{
	enum gdb_piece piece = GDB_MORE;

	client->at += gdb_parse(&client->parser, client->input + client->at,
				client->size - client->at, &piece);
	client->owes_ack |= piece == GDB_PACKET;
	return piece;
}

/*
 * Waits for the next piece, until then or the end of the wait; GDB_MORE: there was none until then.
 * Reads at most `most` bytes at once.
 */
static struct nunchi_error *await_piece(struct gdb_client *client, const struct gdb_wait *wait,
					uint64_t until_us, size_t most, enum gdb_piece *ret)
{
	uint64_t until = until_us < wait->deadline_us ? until_us : wait->deadline_us;

	for (;;) {
		struct nunchi_error *err = check_wait(wait);
		bool more;

		*ret = next_piece(client);
		if (err || *ret != GDB_MORE || clock_us() >= until_us)
			return err;
		err = receive(client, most, &more);
		if (err)
			return err;
		if (!more)
			io_wait(client->fd, POLLIN, until, wait->cancel);
	}
}

/* The stub did not understand the packet that was sent last, or we not the one that came. */
static struct nunchi_error *try_again(struct gdb_client *client, enum gdb_piece piece,
				      unsigned *tries)
{
	if (++*tries >= TRIES_MAX)
		return error_create(NUNCHI_ERROR_DATA,
				    "gdb stub: packets were damaged %u times in a row", *tries);
	return piece == GDB_NAK ? send_output(client) : send_bytes(client, "-", 1);
}

/* The stub works on the vCPU that has stopped. */
static void note_stop(struct gdb_client *client, const struct gdb_stop *stop)
{
	client->register_thread = client->step_thread = stop->thread;
	client->stub->has_stopped_it |=
	    stop->kind == GDB_STOP_SIGNAL && stop->signal == GDB_SIGNAL_TRAP;
}

/* ---- Exchanges ------------------------------------------------------------------------------- */

/* What an exchange is about, and how far it is. */
struct exchange {
	const char *request;
	bool wants_stop; /* the answer is a stop */
	bool acked;
	unsigned tries;
	uint64_t lost_us; /* when the packet is sent anew, if it is not acknowledged until then */
};

/*
 * A stop that nobody has asked for: somebody had resumed the guest. If that was stopped again
 * before the request came, the request is answered; otherwise its first byte stopped the guest, and
 * the rest of it was lost, unless that byte was 0x03.
 */
static struct nunchi_error *take_stray_stop(struct gdb_client *client, struct exchange *exchange)
{
	struct gdb_stop stop;

	if (!gdb_parse_stop(client->parser.data, client->parser.size, &stop))
		return bad_reply(exchange->request);
	if (stop.kind == GDB_STOP_ENDED)
		return is_gone();
	note_stop(client, &stop);
	if (client->stub->mute)
		client->stub->has_stopped_it = true;
	else if (!exchange->acked && stop.signal == GDB_SIGNAL_INT)
		exchange->lost_us = clock_us() + LOST_US;
	return NULL;
}

static struct nunchi_error *send_lost(struct gdb_client *client, struct exchange *exchange)
{
	if (++exchange->tries >= TRIES_MAX)
		return error_create(NUNCHI_ERROR_BUSY, "gdb stub: somebody resumes the guest again "
						       "and again while it is watched");
	exchange->lost_us = CLOCK_NEVER;
	client->stub->has_stopped_it = true;
	return send_packet(client, exchange->request);
}

/*
 * Sends a packet and waits for its answer, which is in client->parser then. *ret tells what it is.
 */
static struct nunchi_error *ask(struct gdb_client *client, struct exchange *exchange,
				const struct gdb_wait *wait, enum gdb_reply *ret)
{
	struct nunchi_error *err = send_packet(client, exchange->request);

	exchange->acked = client->stub->no_ack;
	exchange->lost_us = CLOCK_NEVER;
	while (!err) {
		enum gdb_piece piece;

		err = await_piece(client, wait, exchange->lost_us, sizeof(client->input), &piece);
		if (err)
			break;
		if (piece == GDB_ACK) {
			exchange->acked = true;
			exchange->lost_us = CLOCK_NEVER;
		} else if (piece == GDB_NAK || piece == GDB_CORRUPT) {
			err = try_again(client, piece, &exchange->tries);
		} else if (piece == GDB_MORE) {
			err = send_lost(client, exchange);
		} else if (piece == GDB_PACKET) {
			*ret = gdb_reply(client->parser.data, client->parser.size);
			if ((*ret != GDB_REPLY_STOP) || (exchange->wants_stop && exchange->acked))
				return NULL;
			err = take_stray_stop(client, exchange);
		}
	}
	return error_context(err, "%s", exchange->request);
}

static struct nunchi_error *refused(const struct gdb_client *client, const char *request)
{
	int size = client->parser.size < 100 ? (int)client->parser.size : 100;

	if (!size)
		return error_create(NUNCHI_ERROR_UNSUPPORTED, "gdb stub: QEMU does not know %s",
				    request);
	return error_create(NUNCHI_ERROR_UNSUPPORTED, "gdb stub: QEMU refuses %s: %.*s", request,
			    size, client->parser.data);
}

/* Fails unless the answer is of that kind. */
static struct nunchi_error *ask_for(struct gdb_client *client, const char *request,
				    enum gdb_reply wanted, const struct gdb_wait *wait)
{
	struct exchange exchange = {.request = request};
	enum gdb_reply reply;
	struct nunchi_error *err = ask(client, &exchange, wait, &reply);

	if (err || reply == wanted)
		return err;
	if (reply == GDB_REPLY_EMPTY || reply == GDB_REPLY_ERROR)
		return refused(client, request);
	return bad_reply(request);
}

/* ---- Starting -------------------------------------------------------------------------------- */

struct reading {
	struct gdb_client *client;
	const struct gdb_wait *wait;
	struct nunchi_error *err; /* of the first document that was not got */
};

static struct nunchi_error *read_document(struct gdb_client *client, const char *name,
					  const struct gdb_wait *wait, struct buffer *ret)
{
	bool last = false;

	while (!last) {
		struct nunchi_error *err;
		const char *chunk;
		char request[128];
		size_t size;

		snprintf(request, sizeof(request), "qXfer:features:read:%s:%zx,%x", name, ret->size,
			 CHUNK_SIZE);
		err = ask_for(client, request, GDB_REPLY_DATA, wait);
		if (err)
			return err;
		if (!gdb_parse_chunk(client->parser.data, client->parser.size, &chunk, &size,
				     &last) ||
		    !buffer_append(ret, chunk, size))
			return bad_reply(request);
	}
	return NULL;
}

static bool include(const char *name, void *data)
{
	_cleanup_buffer_ struct buffer text = {0};
	struct reading *reading = data;
	struct gdb_layout *layout = &reading->client->stub->layout;

	buffer_init(&text, GDB_DOCUMENT_MAX);
	reading->err = read_document(reading->client, name, reading->wait, &text);
	return !reading->err && gdb_layout_add(layout, text.data, text.size, include, reading);
}

static struct nunchi_error *read_layout(struct gdb_client *client, const struct gdb_wait *wait)
{
	struct reading reading = {client, wait, NULL};
	bool good;

	client->stub->layout = (struct gdb_layout){0};
	good = include("target.xml", &reading);
	if (reading.err)
		return reading.err;
	if (!good || !gdb_layout_is_useful(&client->stub->layout))
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "gdb stub: QEMU's description of the registers is malformed, "
				    "or lacks registers that nunchi needs");
	return NULL;
}

static struct nunchi_error *read_threads(struct gdb_client *client, const struct gdb_wait *wait)
{
	struct gdb_stub *stub = client->stub;
	const char *request = "qfThreadInfo";
	bool last = false;

	stub->thread_count = 0;
	/* Each answer has one thread at least. */
	while (!last) {
		struct nunchi_error *err = ask_for(client, request, GDB_REPLY_DATA, wait);
		int count;

		if (err)
			return err;
		count = gdb_parse_threads(client->parser.data, client->parser.size,
					  stub->threads + stub->thread_count,
					  GDB_THREADS_MAX - stub->thread_count, &last);
		if (count < 0)
			return bad_reply(request);
		stub->thread_count += (size_t)count;
		request = "qsThreadInfo";
	}
	return stub->thread_count ? NULL : bad_reply(request);
}

struct nunchi_error *gdb_client_start(struct gdb_client *client, const struct gdb_wait *wait)
{
	struct gdb_features features;
	struct nunchi_error *err =
	    ask_for(client, "qSupported:xmlRegisters=i386", GDB_REPLY_DATA, wait);

	if (err)
		return err;
	gdb_parse_features(client->parser.data, client->parser.size, &features);
	if (!features.description || !features.vcont)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "gdb stub: QEMU does not describe its registers, or cannot "
				    "step one vCPU");
	if (features.no_ack) {
		err = ask_for(client, "QStartNoAckMode", GDB_REPLY_OK, wait);
		if (!err)
			err = send_bytes(client, "+", 1);
		if (err)
			return err;
		client->owes_ack = false;
		client->stub->no_ack = true;
	}
	err = read_layout(client, wait);
	return err ? err : read_threads(client, wait);
}

/* ---- Registers ------------------------------------------------------------------------------- */

static struct nunchi_error *thread_of(const struct gdb_client *client, unsigned vcpu, uint32_t *ret)
{
	const struct gdb_stub *stub = client->stub;

	for (size_t i = 0; i < stub->thread_count && i < GDB_THREADS_MAX; i++) {
		if (stub->threads[i] == vcpu + 1) {
			*ret = vcpu + 1;
			return NULL;
		}
	}
	return error_create(NUNCHI_ERROR_ARGUMENT, "gdb stub: there is no vCPU %u", vcpu);
}

bool gdb_client_vcpu(const struct gdb_client *client, const struct gdb_stop *stop, unsigned *ret)
{
	uint32_t thread = 0;
	struct nunchi_error *err =
	    stop->thread ? thread_of(client, stop->thread - 1, &thread) : &error_not_found;

	if (!err)
		*ret = thread - 1;
	nunchi_error_destroy(err);
	return !err;
}

/* Has later requests refer to the vCPU: "Hg" for registers, "Hc" for single steps. */
static struct nunchi_error *select_vcpu(struct gdb_client *client, char what, unsigned vcpu,
					const struct gdb_wait *wait)
{
	uint32_t *selected = what == 'g' ? &client->register_thread : &client->step_thread;
	struct nunchi_error *err;
	char request[32];
	uint32_t thread = 0;

	err = thread_of(client, vcpu, &thread);
	if (err || *selected == thread)
		return err;
	snprintf(request, sizeof(request), "H%c%" PRIx32, what, thread);
	err = ask_for(client, request, GDB_REPLY_OK, wait);
	if (!err)
		*selected = thread;
	return err;
}

struct nunchi_error *gdb_client_read(struct gdb_client *client, unsigned vcpu,
				     const struct gdb_wait *wait, struct x86_registers *ret)
{
	struct nunchi_error *err = select_vcpu(client, 'g', vcpu, wait);

	if (!err)
		err = ask_for(client, "g", GDB_REPLY_DATA, wait);
	if (!err &&
	    !gdb_layout_read(&client->stub->layout, client->parser.data, client->parser.size, ret))
		err = bad_reply("g");
	return err;
}

struct nunchi_error *gdb_client_read_rip(struct gdb_client *client, unsigned vcpu,
					 const struct gdb_wait *wait, uint64_t *ret)
{
	struct nunchi_error *err = select_vcpu(client, 'g', vcpu, wait);
	char request[32];

	snprintf(request, sizeof(request), "p%" PRIx32,
		 client->stub->layout.registers[GDB_RIP].number);
	if (!err)
		err = ask_for(client, request, GDB_REPLY_DATA, wait);
	if (!err && !gdb_parse_value(client->parser.data, client->parser.size, ret))
		err = bad_reply(request);
	return err;
}

struct nunchi_error *gdb_client_write_rip(struct gdb_client *client, unsigned vcpu, uint64_t rip,
					  const struct gdb_wait *wait)
{
	_cleanup_buffer_ struct buffer request = {0};
	const struct gdb_layout *layout = &client->stub->layout;
	struct nunchi_error *err = select_vcpu(client, 'g', vcpu, wait);

	if (err)
		return err;
	buffer_init(&request, 0);
	buffer_printf(&request, "P%" PRIx32 "=", layout->registers[GDB_RIP].number);
	if (!gdb_write_value(&request, rip, layout->registers[GDB_RIP].size == 4 ? 4 : 8))
		return &error_nomem;
	return ask_for(client, request.data, GDB_REPLY_OK, wait);
}

/* ---- Breakpoints ----------------------------------------------------------------------------- */

struct nunchi_error *gdb_client_insert(struct gdb_client *client, uint64_t address,
				       const struct gdb_wait *wait)
{
	struct exchange exchange;
	enum gdb_reply reply;
	struct nunchi_error *err;
	char request[64];

	snprintf(request, sizeof(request), "Z1,%" PRIx64 ",1", address);
	exchange = (struct exchange){.request = request};
	err = ask(client, &exchange, wait, &reply);
	if (err || reply == GDB_REPLY_OK)
		return err;
	if (reply == GDB_REPLY_ERROR)
		return error_create_at(NUNCHI_ERROR_BUSY, address,
				       "QEMU refuses a breakpoint at 0x%" PRIx64
				       ": KVM has four of them for a guest, all of which are taken",
				       address);
	return reply == GDB_REPLY_EMPTY ? refused(client, request) : bad_reply(request);
}

struct nunchi_error *gdb_client_remove(struct gdb_client *client, uint64_t address,
				       const struct gdb_wait *wait)
{
	char request[64];

	snprintf(request, sizeof(request), "z1,%" PRIx64 ",1", address);
	return ask_for(client, request, GDB_REPLY_OK, wait);
}

struct nunchi_error *gdb_client_remove_all(struct gdb_client *client, const struct gdb_wait *wait)
{
	const struct gdb_stub *stub = client->stub;
	struct nunchi_error *err = read_threads(client, wait);

	/* QEMU since 7.2 removes those of the vCPU that "Hc" selected. */
	for (size_t i = 0; !err && i < stub->thread_count && i < GDB_THREADS_MAX; i++) {
		struct exchange exchange = {.request = "?", .wants_stop = true};
		enum gdb_reply reply;

		err = select_vcpu(client, 'c', stub->threads[i] - 1, wait);
		if (!err)
			err = ask(client, &exchange, wait, &reply);
		if (!err && reply != GDB_REPLY_STOP)
			err = refused(client, exchange.request);
	}
	return err;
}

/* ---- Running and stopping -------------------------------------------------------------------- */

/* Takes the stop reply in client->parser. */
static struct nunchi_error *take_stop(struct gdb_client *client, const char *request,
				      struct gdb_stop *ret)
{
	if (!gdb_parse_stop(client->parser.data, client->parser.size, ret))
		return bad_reply(request);
	note_stop(client, ret);
	return NULL;
}

struct nunchi_error *gdb_client_step(struct gdb_client *client, unsigned vcpu,
				     const struct gdb_wait *wait, struct gdb_stop *ret)
{
	struct exchange exchange = {.wants_stop = true};
	enum gdb_reply reply;
	struct nunchi_error *err;
	char request[32];

	/*
	 * Where the monitor stops the guest within the step, QEMU before 7.2 ends single-stepping
	 * of the vCPU that "Hc" selected, whatever vCont says.
	 */
	err = select_vcpu(client, 'c', vcpu, wait);
	if (err)
		return err;
	snprintf(request, sizeof(request), "vCont;s:%x", vcpu + 1);
	exchange.request = request;
	client->stub->has_stopped_it = false;
	err = ask(client, &exchange, wait, &reply);
	if (err)
		return err;
	return reply == GDB_REPLY_STOP ? take_stop(client, request, ret) : refused(client, request);
}

struct nunchi_error *gdb_client_continue(struct gdb_client *client, const struct gdb_wait *wait)
{
	struct nunchi_error *err = send_packet(client, "c");
	unsigned tries = 0;

	client->register_thread = client->step_thread = 0;
	while (!err && !client->stub->no_ack) {
		enum gdb_piece piece;

		err = await_piece(client, wait, CLOCK_NEVER, 1, &piece);
		if (!err && piece == GDB_ACK)
			break;
		/* A packet that comes now, a stop of before, is out of date. */
		if (!err && (piece == GDB_NAK || piece == GDB_CORRUPT))
			err = try_again(client, piece, &tries);
	}
	/* The stub forgot its own packets when ours came. */
	client->owes_ack = false;
	client->stub->has_stopped_it = err != NULL;
	return error_context(err, "c");
}

struct nunchi_error *gdb_client_interrupt(struct gdb_client *client, const struct gdb_wait *wait,
					  struct gdb_stop *ret)
{
	const bool due = client->owes_ack && !client->stub->no_ack;
	struct nunchi_error *err;
	unsigned tries = 0;

	client->stub->has_stopped_it = true;
	err = send_bytes(client, due ? "+\x03" : "\x03", due ? 2 : 1);
	client->owes_ack = false;
	while (!err) {
		enum gdb_piece piece;

		err = await_piece(client, wait, CLOCK_NEVER, sizeof(client->input), &piece);
		if (!err && piece == GDB_CORRUPT)
			err = try_again(client, piece, &tries);
		if (!err && piece == GDB_PACKET &&
		    gdb_reply(client->parser.data, client->parser.size) == GDB_REPLY_STOP)
			return take_stop(client, "0x03", ret);
	}
	return error_context(err, "0x03");
}

struct nunchi_error *gdb_client_poll(struct gdb_client *client, const struct cancel *cancel,
				     bool *ret_stopped, struct gdb_stop *ret)
{
	const struct gdb_wait wait = {CLOCK_NEVER, cancel};
	struct nunchi_error *err = NULL;
	unsigned tries = 0, reads = 0;
	bool more = true;

	*ret_stopped = false;
	while (!err && more) {
		enum gdb_piece piece = next_piece(client);

		if (piece == GDB_MORE && ++reads > READS_MAX)
			break;
		if (piece == GDB_MORE)
			err = check_wait(&wait);
		if (!err && piece == GDB_MORE)
			err = receive(client, sizeof(client->input), &more);
		else if (piece == GDB_CORRUPT)
			err = try_again(client, piece, &tries);
		if (piece == GDB_PACKET &&
		    gdb_reply(client->parser.data, client->parser.size) == GDB_REPLY_STOP) {
			*ret_stopped = true;
			return take_stop(client, "c", ret);
		}
	}
	if (!error_is(err, NUNCHI_ERROR_GONE))
		return err;
	nunchi_error_destroy(err);
	*ret_stopped = true;
	*ret = (struct gdb_stop){.kind = GDB_STOP_ENDED};
	return NULL;
}

struct nunchi_error *gdb_client_renew(struct gdb_client *client, const struct gdb_wait *wait)
{
	/* Ends a packet that was sent in part; the answer to "~" is empty, as that to no other. */
	const char *renew = client->stub->mute ? "\x03+\x03#00$~#7e" : "+#00$~#7e";
	struct nunchi_error *err = send_bytes(client, renew, strlen(renew));

	client->parser.state = GDB_OUTSIDE;
	client->register_thread = client->step_thread = 0;
	while (!err) {
		enum gdb_piece piece;

		err = await_piece(client, wait, CLOCK_NEVER, sizeof(client->input), &piece);
		if (err || piece != GDB_PACKET)
			continue;
		if (!client->parser.size)
			return NULL;
		client->stub->has_stopped_it |=
		    client->stub->mute &&
		    gdb_reply(client->parser.data, client->parser.size) == GDB_REPLY_STOP;
	}
	return error_context(err, "~");
}

/* ---- Detaching ------------------------------------------------------------------------------- */

struct nunchi_error *gdb_client_detach(struct gdb_client *client, const struct gdb_wait *wait)
{
	static const char done[] = GDB_DETACHED;
	const size_t length = sizeof(done) - 1;
	struct nunchi_error *err = send_bytes(client, GDB_DETACH, sizeof(GDB_DETACH) - 1);
	char seen[sizeof(done) + sizeof(client->input)];
	size_t kept = 0;

	client->size = client->at = 0;
	client->parser.state = GDB_OUTSIDE;
	while (!err) {
		bool more;

		err = check_wait(wait);
		if (!err)
			err = receive(client, sizeof(client->input), &more);
		if (err)
			break;
		if (!more) {
			io_wait(client->fd, POLLIN, wait->deadline_us, wait->cancel);
			continue;
		}
		memcpy(seen + kept, client->input, client->size);
		kept += client->size;
		client->size = 0;
		if (memmem(seen, kept, done, length))
			return NULL;
		if (kept >= length) {
			memmove(seen, seen + kept - (length - 1), length - 1);
			kept = length - 1;
		}
	}
	return error_context(err, "detaching");
}
