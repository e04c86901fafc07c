/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/bytes.h"
#include "target/xen/ring_layout.h"

/* A synchronous request that was not answered yet. */
struct waiting {
	/* The ticket is a running number times RING_SLOTS, plus the place. */
	struct ring_event event;
	uint8_t request[RING_SLOT_MOST];
};

struct ring {
	uint8_t *page;
	uint32_t version;
	uint32_t taken;    /* index of the next request that we take */
	uint32_t answered; /* index of the next response that we write */
	uint64_t tickets;
	bool broken;   /* Xen's index was impossible once */
	bool agreed;   /* a request had our version */
	bool untold;   /* responses were written since ring_must_notify() */
	uint8_t asked; /* the places of `waiting` in use, a bit each */
	struct waiting waiting[RING_SLOTS];
	uint32_t vcpu_count;
	enum ring_step steps[]; /* of each vCPU; not RING_STEP_KEEP */
};

static void *slot_of(const struct ring *ring, uint32_t index)
{
	return ring->page + RING_FIRST_SLOT +
	       (size_t)(index % RING_SLOTS) * ring_slot_sizes[ring->version - RING_OLDEST];
}

/* Each word is read exactly once, so that what is checked is what is used. */
static void copy_in(uint8_t *to, const void *slot, size_t size)
{
	const uint64_t *from = slot;

	for (size_t i = 0; i < size / sizeof(*from); i++) {
		uint64_t word = __atomic_load_n(&from[i], __ATOMIC_RELAXED);

		memcpy(to + i * sizeof(word), &word, sizeof(word));
	}
}

static void copy_out(void *slot, const uint8_t *from, size_t size)
{
	uint64_t *to = slot;

	for (size_t i = 0; i < size / sizeof(*to); i++) {
		uint64_t word;

		memcpy(&word, from + i * sizeof(word), sizeof(word));
		__atomic_store_n(&to[i], word, __ATOMIC_RELAXED);
	}
}

static uint32_t *index_at(const struct ring *ring, size_t offset)
{
	return (uint32_t *)(void *)(ring->page + offset);
}

static void reset(const struct ring *ring, uint32_t start)
{
	__atomic_store_n(index_at(ring, RING_REQUESTS), start, __ATOMIC_RELAXED);
	__atomic_store_n(index_at(ring, RING_REQUEST_EVENT), start + 1, __ATOMIC_RELAXED);
	__atomic_store_n(index_at(ring, RING_RESPONSES), start, __ATOMIC_RELAXED);
	__atomic_store_n(index_at(ring, RING_RESPONSE_EVENT), start + 1, __ATOMIC_RELEASE);
}

struct nunchi_error *ring_create(void *page, uint32_t version, uint32_t vcpus, uint32_t start,
				 struct ring **ret)
{
	struct ring *ring;

	if (version < RING_OLDEST || version > RING_NEWEST)
		return error_create(
		    NUNCHI_ERROR_UNSUPPORTED,
		    "this Xen has version %u of vm_event, of which %u to %u are known", version,
		    RING_OLDEST, RING_NEWEST);
	ring = calloc(1, sizeof(*ring) + vcpus * sizeof(ring->steps[0]));
	if (!ring)
		return &error_nomem;
	ring->page = page;
	ring->version = version;
	ring->vcpu_count = vcpus;
	ring->taken = ring->answered = start;
	for (uint32_t i = 0; i < vcpus; i++)
		ring->steps[i] = RING_STEP_OFF;
	reset(ring, start);
	*ret = ring;
	return NULL;
}

void ring_destroy(struct ring *ring)
{
	free(ring);
}

/*
 * A response goes where an earlier request was: that slot is free, for there are never more
 * responses than requests taken.
 */
static void respond(struct ring *ring, const struct ring_response *response)
{
	copy_out(slot_of(ring, ring->answered), response->bytes, response->size);
	ring->answered++;
	__atomic_store_n(index_at(ring, RING_RESPONSES), ring->answered, __ATOMIC_RELEASE);
	ring->untold = true;
}

static void respond_neutrally(struct ring *ring, const uint8_t *request, uint32_t version)
{
	struct ring_response response;

	ring_encode_neutral(request, version, &response);
	respond(ring, &response);
}

void ring_resume_all(void *page, uint32_t version, uint32_t vcpus, uint32_t start)
{
	struct ring ring = {.page = page, .version = version, .answered = start};
	uint8_t request[RING_DATA] = {0};

	reset(&ring, start);
	store_le32(request + RING_AT_FLAGS, RING_FLAG_PAUSED);
	for (uint32_t i = 0; i < vcpus && i < RING_SLOTS; i++) {
		store_le32(request + RING_AT_VCPU, i);
		respond_neutrally(&ring, request, version);
	}
}

/*
 * Xen drops a response of another version than its own, and the vCPU stays paused. It writes its
 * own version into each request. So until a request had the version that we were told, what a
 * request says is taken for Xen's version; later another one can only come from damage.
 */
static uint32_t version_to_answer(const struct ring *ring, uint32_t version)
{
	if (ring->agreed || version < RING_OLDEST || version > RING_NEWEST)
		return ring->version;
	return version;
}

/* What is wrong with a request, if so; the event otherwise. */
static struct nunchi_error *check(struct ring *ring, const uint8_t *request, uint32_t version,
				  struct ring_event *ret)
{
	uint32_t vcpu = load_le32(request + RING_AT_VCPU);

	if (version != ring->version)
		return error_create(NUNCHI_ERROR_DATA,
				    "an event has interface version %u in a ring of version %u",
				    version, ring->version);
	ring->agreed = true;
	if (vcpu >= ring->vcpu_count)
		return error_create(NUNCHI_ERROR_DATA,
				    "an event of vCPU %u came from a guest with %u vCPUs", vcpu,
				    ring->vcpu_count);
	return ring_decode(version, request, ret);
}

struct nunchi_error *ring_take(struct ring *ring, struct ring_event *ret)
{
	uint32_t fresh =
	    __atomic_load_n(index_at(ring, RING_REQUESTS), __ATOMIC_ACQUIRE) - ring->taken;
	uint32_t version, room = RING_SLOTS - (ring->taken - ring->answered);
	unsigned place;
	struct waiting *waiting;
	struct nunchi_error *err;

	if (ring->broken || fresh > room) {
		ring->broken = true;
		return error_create(
		    NUNCHI_ERROR_DATA,
		    "the event ring is damaged: its index moved by more than was free");
	}
	if (!fresh)
		return &error_stop;
	/* There is a place: as many are in use as were taken and not answered. */
	place = (unsigned)__builtin_ctz(~(unsigned)ring->asked);
	waiting = &ring->waiting[place];
	copy_in(waiting->request, slot_of(ring, ring->taken),
		ring_slot_sizes[ring->version - RING_OLDEST]);
	ring->taken++;
	version = load_le32(waiting->request + RING_AT_VERSION);
	err = check(ring, waiting->request, version, &waiting->event);
	if (err) {
		respond_neutrally(ring, waiting->request, version_to_answer(ring, version));
		return err;
	}
	if (load_le32(waiting->request + RING_AT_FLAGS) & RING_FLAG_PAUSED) {
		waiting->event.ticket = ++ring->tickets * RING_SLOTS + place;
		ring->asked |= (uint8_t)(1U << place);
	} else {
		respond_neutrally(ring, waiting->request, version);
	}
	*ret = waiting->event;
	return NULL;
}

/* The place of a ticket that was not answered yet; NULL for any other number. */
static struct waiting *find(struct ring *ring, uint64_t ticket)
{
	struct waiting *waiting = &ring->waiting[ticket % RING_SLOTS];

	if (!(ring->asked >> (ticket % RING_SLOTS) & 1) || waiting->event.ticket != ticket)
		return NULL;
	return waiting;
}

struct nunchi_error *ring_answer(struct ring *ring, uint64_t ticket,
				 const struct ring_answer *answer)
{
	struct waiting *waiting = find(ring, ticket);
	struct ring_response response;
	struct nunchi_error *err;
	enum ring_step *step;
	bool toggle;

	if (!waiting)
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "no event waits for this answer: it was answered before");
	step = &ring->steps[waiting->event.vcpu];
	toggle = (answer->step == RING_STEP_ON || answer->step == RING_STEP_OFF) &&
		 answer->step != *step;
	if (toggle && *step == RING_STEP_FAST)
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "single-stepping of vCPU %u cannot be toggled after a fast "
				    "single-step, which may not be over",
				    waiting->event.vcpu);
	err = ring_encode(ring->version, waiting->request, &waiting->event, answer, toggle,
			  &response);
	if (err)
		return err;
	if (answer->step != RING_STEP_KEEP)
		*step = answer->step;
	ring->asked &= (uint8_t) ~(1U << (ticket % RING_SLOTS));
	respond(ring, &response);
	return NULL;
}

bool ring_must_notify(struct ring *ring)
{
	bool untold = ring->untold;

	ring->untold = false;
	return untold;
}

bool ring_waiting(const struct ring *ring, unsigned *position, struct ring_event *ret)
{
	while (*position < RING_SLOTS) {
		unsigned place = (*position)++;

		if (ring->asked >> place & 1) {
			*ret = ring->waiting[place].event;
			return true;
		}
	}
	return false;
}

void ring_answer_all(struct ring *ring)
{
	struct ring_event event;
	unsigned position = 0;

	while (ring_waiting(ring, &position, &event)) {
		bool on = ring->steps[event.vcpu] == RING_STEP_ON;
		struct ring_answer answer = {.step = on ? RING_STEP_OFF : RING_STEP_KEEP};

		/* Cannot fail: the event waits, and nothing in the answer can be refused. */
		nunchi_error_destroy(ring_answer(ring, event.ticket, &answer));
	}
}

enum ring_step ring_stepping(const struct ring *ring, uint32_t vcpu)
{
	return ring->steps[vcpu];
}

void ring_set_stepping(struct ring *ring, uint32_t vcpu, bool on)
{
	ring->steps[vcpu] = on ? RING_STEP_ON : RING_STEP_OFF;
}
