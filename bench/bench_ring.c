/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests a second over Xen's event ring: what decoding and answering cost, without hypercalls.
 * Xen's end is tests/unit/fake_ring.h. Eight vCPUs fill the ring, each request is taken and
 * answered, Xen reads the responses, again and again. "ours" is the time in ring_take() and
 * ring_answer() alone, "both ends" also that of writing requests and of reading responses.
 *
 * Prints a table and, last, one line of JSON. Fails if a request was lost or answered twice.
 */
#include "fake_ring.h"
#include "target/xen/ring.h"

#include <stdio.h>
#include <time.h>

#define REQUESTS 4000000
#define PASSES   3

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "bench_ring: %s\n", what);
	exit(1);
}

/* What is measured, and the answer to all events of it. */
struct work {
	const char *key, *what;
	uint32_t reason;
	struct ring_answer answer;
	bool registers;    /* answered with the event's registers, behind the instruction */
	double ours, both; /* seconds of the best pass */
};

static void fill(struct fake_xen *xen, const struct work *work, uint64_t number)
{
	for (uint32_t i = 0; i < FAKE_SLOTS; i++) {
		struct fake_slot slot = {
		    .header = {.reason = work->reason, .vcpu = i, .flags = FAKE_PAUSED}};

		slot.u.v7.rax = number + i;
		fake_put(xen, &slot);
	}
}

static void serve(struct ring *ring, const struct work *work, uint64_t number)
{
	for (uint32_t i = 0; i < FAKE_SLOTS; i++) {
		struct ring_answer answer = work->answer;
		struct ring_event event;

		if (ring_take(ring, &event) || event.registers.rax != number + i)
			die("a request was lost");
		if (work->registers) {
			event.registers.rip += 2;
			answer.registers = &event.registers;
		}
		if (ring_answer(ring, event.ticket, &answer))
			die("an answer was refused");
	}
}

static void measure(struct work *work, void *page)
{
	struct fake_xen xen = fake_xen(page, 7, 0);
	double start = seconds(), ours = 0, both;
	_cleanup_ring_ struct ring *ring = NULL;

	if (ring_create(page, 7, FAKE_SLOTS, 0, &ring))
		die("no memory");
	for (uint64_t i = 0; i < REQUESTS; i += FAKE_SLOTS) {
		double before;

		fill(&xen, work, i);
		before = seconds();
		serve(ring, work, i);
		ours += seconds() - before;
		fake_resume(&xen);
	}
	both = seconds() - start;
	if (xen.responses != REQUESTS || xen.unasked || xen.vcpus[0].pauses)
		die("a request was not answered exactly once");
	work->ours = work->ours && work->ours < ours ? work->ours : ours;
	work->both = work->both && work->both < both ? work->both : both;
}

int main(void)
{
	static const uint8_t code[RING_INSTRUCTION_SIZE] = {0x55};
	struct work works[] = {
	    {.key = "continue", .what = "access, go on", .reason = FAKE_ACCESS},
	    {.key = "instruction",
	     .what = "INT3, emulate an instruction",
	     .reason = FAKE_BREAKPOINT,
	     .answer = {.emulation = RING_EMULATE_INSTRUCTION, .data = code, .size = sizeof(code)}},
	    {.key = "registers",
	     .what = "CPUID, set registers",
	     .reason = FAKE_CPUID,
	     .registers = true},
	};
	_cleanup_free_ void *page = aligned_alloc(4096, 4096);

	if (!page)
		die("no memory");
	for (int pass = 0; pass < PASSES; pass++) {
		for (size_t i = 0; i < ARRAY_SIZE(works); i++)
			measure(&works[i], page);
	}
	printf("%-32s%18s%18s\n", "millions of requests a second", "ours", "both ends");
	for (size_t i = 0; i < ARRAY_SIZE(works); i++)
		printf("%-32s%18.2f%18.2f\n", works[i].what, REQUESTS / works[i].ours / 1e6,
		       REQUESTS / works[i].both / 1e6);
	printf("{\"bench\":\"ring\",\"requests\":%d", REQUESTS);
	for (size_t i = 0; i < ARRAY_SIZE(works); i++)
		printf(",\"%s_ours\":%.3f,\"%s_both\":%.3f", works[i].key,
		       REQUESTS / works[i].ours / 1e6, works[i].key,
		       REQUESTS / works[i].both / 1e6);
	puts("}");
	return 0;
}
