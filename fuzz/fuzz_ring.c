/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The event ring of Xen with a page that changes as it likes. The input: version and number of
 * vCPUs, a byte each; the first index, four bytes; then steps of a byte each with what they need.
 * Each request taken must get one response, and each ticket be taken once.
 */
#include "core/bytes.h"
#include "target/xen/ring_layout.h"

#define PAGE 4096

struct input {
	const uint8_t *data;
	size_t size;
};

struct fuzz {
	struct input input;
	struct ring *ring;
	uint8_t *page;
	uint32_t version;
	uint32_t taken, start;
	uint64_t tickets[RING_SLOTS]; /* not answered yet */
	unsigned count;
	uint64_t last;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t next8(struct input *input)
{
	if (!input->size)
		return 0;
	input->size--;
	return *input->data++;
}

static uint32_t next32(struct input *input)
{
	uint32_t value = 0;

	for (int i = 0; i < 4; i++)
		value = value << 8 | next8(input);
	return value;
}

static uint32_t index_of(const struct fuzz *fuzz, size_t offset)
{
	return load_le32(fuzz->page + offset);
}

/* A run of bytes anywhere in the page. */
static void scribble(struct fuzz *fuzz)
{
	size_t at = next32(&fuzz->input) % PAGE, size = next8(&fuzz->input);

	for (; size && at < PAGE; size--, at++) {
		if (at < RING_RESPONSES || at >= RING_RESPONSE_EVENT)
			fuzz->page[at] = next8(&fuzz->input);
	}
}

/* A request that makes sense but for what the input says of it. */
static void put(struct fuzz *fuzz)
{
	uint32_t index = index_of(fuzz, RING_REQUESTS);
	uint8_t *slot = fuzz->page + RING_FIRST_SLOT +
			(size_t)(index % RING_SLOTS) * ring_slot_sizes[fuzz->version - RING_OLDEST];

	store_le32(slot + RING_AT_VERSION, fuzz->version);
	store_le32(slot + RING_AT_FLAGS, next8(&fuzz->input));
	store_le32(slot + RING_AT_REASON, next8(&fuzz->input));
	store_le32(slot + RING_AT_VCPU, next8(&fuzz->input));
	for (size_t i = 0; i < RING_SIZE_KIND; i += 8)
		store_le64(slot + RING_AT_KIND + i, next8(&fuzz->input));
	store_le32(fuzz->page + RING_REQUESTS, index + 1);
}

static void take(struct fuzz *fuzz)
{
	uint32_t before = index_of(fuzz, RING_RESPONSES);
	struct ring_event event = {.ticket = UINT64_MAX};
	struct nunchi_error *err = ring_take(fuzz->ring, &event);

	if (!err && event.ticket) {
		if (event.ticket <= fuzz->last || fuzz->count == RING_SLOTS)
			abort();
		fuzz->last = fuzz->tickets[fuzz->count++] = event.ticket;
		fuzz->taken++;
	} else {
		/* What does not wait was answered, and nothing else was. */
		fuzz->taken += index_of(fuzz, RING_RESPONSES) - before;
		if (!err != (index_of(fuzz, RING_RESPONSES) == before + 1) &&
		    !error_is(err, NUNCHI_ERROR_DATA))
			abort();
	}
	nunchi_error_destroy(err);
}

static void answer(struct fuzz *fuzz)
{
	const uint8_t data[RING_SLOT_MOST] = {0x90};
	unsigned at = fuzz->count ? next8(&fuzz->input) % fuzz->count : 0;
	uint8_t bits = next8(&fuzz->input);
	struct x86_registers registers = {.has_general = bits & 16, .has_rip = true};
	struct ring_answer with = {
	    .emulation = (enum ring_emulation)(next8(&fuzz->input) % 5),
	    .data = data,
	    .size = next32(&fuzz->input) % sizeof(data),
	    .deny = bits & 1,
	    .step = (enum ring_step)(next8(&fuzz->input) % 4),
	    .switch_view = bits & 2,
	    .next_interrupt = bits & 4,
	    .registers = bits & 8 ? &registers : NULL,
	};
	uint32_t before = index_of(fuzz, RING_RESPONSES);
	uint64_t ticket = fuzz->count ? fuzz->tickets[at] : next32(&fuzz->input);
	struct nunchi_error *again, *err = ring_answer(fuzz->ring, ticket, &with);

	if (!err && !fuzz->count)
		abort();
	if (index_of(fuzz, RING_RESPONSES) != before + !err)
		abort();
	/* Once more, with nothing that could be refused: good only if the first was refused. */
	again = ring_answer(fuzz->ring, ticket, &(struct ring_answer){0});
	if (!again != (err && fuzz->count))
		abort();
	if (fuzz->count)
		fuzz->tickets[at] = fuzz->tickets[--fuzz->count];
	nunchi_error_destroy(err);
	nunchi_error_destroy(again);
}

static void run(struct fuzz *fuzz)
{
	while (fuzz->input.size) {
		switch (next8(&fuzz->input) % 6) {
		case 0:
			scribble(fuzz);
			break;
		case 1:
			put(fuzz);
			break;
		case 2:
			take(fuzz);
			break;
		case 3:
			answer(fuzz);
			break;
		case 4:
			ring_answer_all(fuzz->ring);
			fuzz->count = 0;
			break;
		default:
			ring_must_notify(fuzz->ring);
			break;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz fuzz = {.input = {data, size}};
	struct nunchi_error *err;
	uint32_t vcpus;

	fuzz.version = RING_OLDEST + next8(&fuzz.input) % RING_VERSIONS;
	vcpus = next8(&fuzz.input);
	fuzz.start = next32(&fuzz.input);
	fuzz.page = aligned_alloc(PAGE, PAGE);
	if (!fuzz.page)
		return 0;
	memset(fuzz.page, 0, PAGE);
	err = ring_create(fuzz.page, fuzz.version, vcpus, fuzz.start, &fuzz.ring);
	if (!err) {
		run(&fuzz);
		ring_answer_all(fuzz.ring);
		if (index_of(&fuzz, RING_RESPONSES) - fuzz.start != fuzz.taken)
			abort();
	}
	nunchi_error_destroy(err);
	ring_destroy(fuzz.ring);
	free(fuzz.page);
	return 0;
}
