/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process that reads the guest: it hands blocks to those that scan, and believes none of it. */
#include "scan/protocol.h"

#include "core/array.h"
#include "core/io.h"
#include "worker/worker.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define WAIT_MS 50
/* A process that says nothing for so long is taken for dead. */
#define SILENCE_US (2 * SCAN_MOST_SECONDS * CLOCK_US_PER_S)
/* Of a match, blocks of the conditions, or what else one message has. */
#define SLOT_ITEMS(type) (BLOCK_ROOM / sizeof(type))

struct member {
	struct worker worker;
	uint8_t *slots;
	bool busy[SLOTS];
	struct scan_region own[SLOTS]; /* of the blocks that it looks through */
	uint64_t heard_us;
};

struct scanner {
	const struct scan_rules *rules;
	struct member *members;
	size_t count;
};

/* One scan. */
struct run {
	struct scanner *scanner;
	const struct scan_job *job;
	struct scan_result *result;
	struct scan_regions blocks;
	size_t next; /* block to be read */
	uint64_t done;
	/* Of the conditions. */
	bool judging;
	int status;
	size_t rule_capacity;
};

void scan_result_deinit(struct scan_result *result)
{
	scan_matches_deinit(&result->matches);
	free(result->rules);
	*result = (struct scan_result){0};
}

/* ---- Starting and ending --------------------------------------------------------------------- */

static uint8_t *map_slots(void)
{
	void *map = mmap(NULL, SLOTS * BLOCK_ROOM, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

static struct nunchi_error *start_member(struct scanner *scanner,
					 const struct scan_options *options)
{
	struct member *member = &scanner->members[scanner->count];
	struct scan_process_start data = {
	    .rules = scanner->rules, .memory = options->memory, .open = options->open};
	int others[SCAN_MOST_JOBS];
	struct worker_start start = {.run = scan_process, .data = &data, .others = others};
	struct nunchi_error *err;

	for (size_t i = 0; i < scanner->count; i++)
		others[start.other_count++] = scanner->members[i].worker.fd;
	member->slots = map_slots();
	if (!member->slots)
		return &error_nomem;
	data.slots = member->slots;
	err = worker_start(&member->worker, &start);
	if (err)
		munmap(member->slots, SLOTS * BLOCK_ROOM);
	else
		scanner->count++;
	return err;
}

struct nunchi_error *scanner_start(const struct scan_rules *rules,
				   const struct scan_options *options, struct scanner **ret)
{
	struct scanner *scanner = calloc(1, sizeof(*scanner));
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t jobs = options->jobs ? options->jobs : cpus > 0 ? (size_t)cpus : 1;
	struct nunchi_error *err = NULL;

	if (jobs > SCAN_MOST_JOBS)
		jobs = SCAN_MOST_JOBS;
	if (!scanner)
		return &error_nomem;
	scanner->rules = rules;
	scanner->members = calloc(jobs, sizeof(*scanner->members));
	if (!scanner->members)
		err = &error_nomem;
	while (!err && scanner->count < jobs)
		err = start_member(scanner, options);
	if (err)
		scanner_destroy(scanner);
	else
		*ret = scanner;
	return err;
}

void scanner_destroy(struct scanner *scanner)
{
	if (!scanner)
		return;
	for (size_t i = 0; i < scanner->count; i++) {
		worker_deinit(&scanner->members[i].worker);
		munmap(scanner->members[i].slots, SLOTS * BLOCK_ROOM);
	}
	free(scanner->members);
	free(scanner);
}

/* ---- Answers --------------------------------------------------------------------------------- */

static size_t answer_size(const void *data, size_t size)
{
	struct answer answer;

	/* No more than that is read at first, for another answer may follow. */
	if (size < sizeof(answer))
		return sizeof(answer);
	memcpy(&answer, data, sizeof(answer));
	if (answer.slot >= SLOTS || answer.kind > ANSWER_WANT)
		return SIZE_MAX;
	if (answer.kind != ANSWER_MATCHES && answer.kind != ANSWER_RULES)
		return sizeof(answer);
	if (!answer.count || answer.count > MOST_ITEMS)
		return SIZE_MAX;
	return sizeof(answer) +
	       answer.count *
		   (answer.kind == ANSWER_RULES ? sizeof(uint32_t) : sizeof(struct scan_match));
}

static struct nunchi_error *broken(void)
{
	return error_create(NUNCHI_ERROR_DATA, "a process that scans sent what is no answer");
}

static struct nunchi_error *add_match(struct run *run, const struct scan_region *own,
				      const struct scan_match *match)
{
	struct scan_result *result = run->result;

	if (match->string >= run->scanner->rules->compiled->num_strings ||
	    match->data_size > SCAN_MATCH_DATA || match->length > INT32_MAX ||
	    match->address < own->start || match->address >= own->end)
		return broken();
	return scan_matches_add(&result->matches, match) ? NULL : &error_nomem;
}

static struct nunchi_error *add_rules(struct run *run, const uint8_t *items, uint32_t count)
{
	struct scan_result *result = run->result;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t rule;

		memcpy(&rule, items + i * sizeof(rule), sizeof(rule));
		if (!run->judging || rule >= run->scanner->rules->rule_count ||
		    result->rule_count >= run->scanner->rules->rule_count)
			return broken();
		if (!ARRAY_RESERVE(result->rules, result->rule_count, run->rule_capacity, 1))
			return &error_nomem;
		result->rules[result->rule_count++] = rule;
	}
	return NULL;
}

static struct nunchi_error *send_ask(struct member *member, const struct ask *ask)
{
	int error;

	/* There is always room: a process has at most SLOTS questions at a time. */
	error = io_write_quietly(member->worker.fd, ask, sizeof(*ask));
	if (error)
		return error_create_errno(-error, "a process that scans has ended");
	member->heard_us = clock_us();
	return NULL;
}

/* Gives the bytes of a block that a condition wants. */
static struct nunchi_error *give_block(struct run *run, struct member *member, size_t n)
{
	const struct ask ask = {.kind = ASK_DATA};
	struct scan_region own;
	struct block block;
	size_t lead, size;

	if (!run->judging || n >= run->blocks.count)
		return broken();
	own = run->blocks.items[n];
	block = block_read(own, run->job->read, run->job->data, member->slots);
	lead = (size_t)(own.start - block.address);
	size = block.size - lead;
	memmove(member->slots, member->slots + lead, size);
	memset(member->slots + size, 0, BLOCK_OVER);
	return send_ask(member, &ask);
}

static void miss_block(struct run *run, uint64_t address, int status)
{
	struct scan_missed *missed = &run->result->missed;

	if (!missed->count || address < missed->first) {
		missed->first = address;
		missed->status = status;
	}
	missed->count++;
}

static struct nunchi_error *take_done(struct run *run, struct member *member,
				      const struct answer *answer)
{
	const struct scan_region *own = &member->own[answer->slot];

	if (!member->busy[answer->slot])
		return broken();
	member->busy[answer->slot] = false;
	if (run->judging) {
		run->status = run->status ? run->status : answer->status;
		return NULL;
	}
	if (answer->status)
		miss_block(run, own->start, answer->status);
	run->done += own->end - own->start;
	return NULL;
}

static struct nunchi_error *take_answer(struct run *run, struct member *member)
{
	const uint8_t *items = member->worker.data + sizeof(struct answer);
	struct nunchi_error *err = NULL;
	struct scan_match match;
	struct answer answer;

	memcpy(&answer, member->worker.data, sizeof(answer));
	switch ((enum answer_kind)answer.kind) {
	case ANSWER_MATCHES:
		if (run->judging || !member->busy[answer.slot])
			return broken();
		for (uint32_t i = 0; i < answer.count && !err; i++) {
			memcpy(&match, items + i * sizeof(match), sizeof(match));
			err = add_match(run, &member->own[answer.slot], &match);
		}
		return err;
	case ANSWER_MANY:
		run->result->many++;
		return NULL;
	case ANSWER_RULES:
		return add_rules(run, items, answer.count);
	case ANSWER_WANT:
		return give_block(run, member, answer.count);
	case ANSWER_DONE:
		break;
	}
	return take_done(run, member, &answer);
}

/* Takes all that a process has sent. */
static struct nunchi_error *hear(struct run *run, struct member *member)
{
	struct nunchi_error *err;

	for (;;) {
		switch (worker_take(&member->worker, answer_size)) {
		case WORKER_NOTHING:
			return NULL;
		case WORKER_NOMEM:
			return &error_nomem;
		case WORKER_ENDED:
			return error_hint(
			    error_create(NUNCHI_ERROR_DATA,
					 "a process that scans ended while it looked at 0x%llx",
					 (unsigned long long)member->own[0].start),
			    "libyara may have a fault that these bytes meet; is it the newest?");
		case WORKER_ANSWER:
			member->heard_us = clock_us();
			err = take_answer(run, member);
			if (err)
				return err;
		}
	}
}

/* Waits a while for answers. */
static struct nunchi_error *wait_and_hear(struct run *run)
{
	struct pollfd waits[SCAN_MOST_JOBS];
	struct scanner *scanner = run->scanner;
	struct nunchi_error *err = NULL;

	for (size_t i = 0; i < scanner->count; i++)
		waits[i] = (struct pollfd){scanner->members[i].worker.fd, POLLIN, 0};
	if (poll(waits, scanner->count, WAIT_MS) < 0 && errno != EINTR)
		return error_create_errno(errno, "cannot wait for the processes that scan");
	for (size_t i = 0; i < scanner->count && !err; i++) {
		struct member *member = &scanner->members[i];

		err = hear(run, member);
		if (!err && (member->busy[0] || member->busy[1]) &&
		    clock_us() > member->heard_us + SILENCE_US)
			err = error_create(NUNCHI_ERROR_TIMEOUT,
					   "a process that scans has said nothing for %llu s",
					   SILENCE_US / CLOCK_US_PER_S);
	}
	if (!err && !run->job->go_on(run->done, run->job->data))
		err = error_create(NUNCHI_ERROR_CANCELLED, "the scan was ended");
	return err;
}

/* ---- Looking for strings --------------------------------------------------------------------- */

/* Reads the next block into a slot, and hands it over. */
static struct nunchi_error *hand_over(struct run *run, struct member *member, uint32_t slot)
{
	const struct scan_region own = run->blocks.items[run->next++];
	const struct block block =
	    block_read(own, run->job->read, run->job->data, member->slots + slot * BLOCK_ROOM);
	const struct ask ask = {.kind = ASK_SCAN,
				.slot = slot,
				.address = block.address,
				.size = block.size,
				.own = own};

	run->result->unread += block.unread;
	/* Bytes that stand for none are not looked through. */
	if (block.unread == own.end - own.start) {
		run->done += block.unread;
		return NULL;
	}
	member->own[slot] = own;
	member->busy[slot] = true;
	return send_ask(member, &ask);
}

static bool is_busy(const struct scanner *scanner)
{
	for (size_t i = 0; i < scanner->count; i++)
		for (unsigned slot = 0; slot < SLOTS; slot++)
			if (scanner->members[i].busy[slot])
				return true;
	return false;
}

static struct nunchi_error *find_strings(struct run *run)
{
	struct scanner *scanner = run->scanner;
	struct nunchi_error *err = NULL;

	/* Each process gets a first block before any gets a second one. */
	while (!err && (run->next < run->blocks.count || is_busy(scanner))) {
		for (uint32_t slot = 0; slot < SLOTS; slot++)
			for (size_t i = 0; i < scanner->count && !err; i++)
				if (run->next < run->blocks.count &&
				    !scanner->members[i].busy[slot])
					err = hand_over(run, &scanner->members[i], slot);
		if (!err)
			err = wait_and_hear(run);
	}
	return err;
}

/* ---- Conditions ------------------------------------------------------------------------------ */

/* Asks the first process something, and waits until it is done. */
static struct nunchi_error *ask_judge(struct run *run, enum ask_kind kind, uint64_t count)
{
	struct member *judge = &run->scanner->members[0];
	const struct ask ask = {.kind = kind, .count = count};
	struct nunchi_error *err = send_ask(judge, &ask);

	judge->busy[0] = true;
	while (!err && judge->busy[0])
		err = wait_and_hear(run);
	return err;
}

static struct nunchi_error *give_blocks(struct run *run)
{
	uint8_t *slot = run->scanner->members[0].slots;
	struct nunchi_error *err = NULL;

	for (size_t at = 0; at < run->blocks.count && !err;) {
		size_t count = run->blocks.count - at;

		if (count > SLOT_ITEMS(struct scan_region))
			count = SLOT_ITEMS(struct scan_region);
		memcpy(slot, run->blocks.items + at, count * sizeof(struct scan_region));
		err = ask_judge(run, ASK_BLOCKS, count);
		at += count;
	}
	return err;
}

static struct nunchi_error *give_matches(struct run *run)
{
	struct placed_match *slot = (void *)run->scanner->members[0].slots;
	const struct scan_result *result = run->result;
	struct nunchi_error *err = NULL;

	for (size_t at = 0; at < result->matches.count && !err;) {
		size_t count = result->matches.count - at;

		if (count > SLOT_ITEMS(struct placed_match))
			count = SLOT_ITEMS(struct placed_match);
		for (size_t i = 0; i < count; i++) {
			const struct scan_match *match = &result->matches.items[at + i];

			slot[i] =
			    (struct placed_match){match->string, match->length, match->address};
		}
		err = ask_judge(run, ASK_MATCHES, count);
		at += count;
	}
	return err;
}

static const char *judging_error(int status)
{
	switch (status) {
	case ERROR_SUCCESS:
		return NULL;
	case ERROR_SCAN_TIMEOUT:
		return "their evaluation took too long";
	case ERROR_INSUFFICIENT_MEMORY:
		return "out of memory; --memory gives more";
	default:
		return "libyara reports an error, as a module that needs files gives it";
	}
}

static struct nunchi_error *judge(struct run *run)
{
	struct nunchi_error *err;

	run->judging = true;
	if (!scan_matches_end(&run->result->matches))
		return &error_nomem;
	err = give_blocks(run);
	if (!err)
		err = give_matches(run);
	if (!err)
		err = ask_judge(run, ASK_JUDGE, 0);
	run->result->judging = judging_error(run->status);
	return err;
}

struct nunchi_error *scanner_run(struct scanner *scanner, const struct scan_job *job,
				 struct scan_result *ret)
{
	struct run run = {.scanner = scanner, .job = job, .result = ret};
	struct nunchi_error *err;

	ret->matches.string_count = scanner->rules->compiled->num_strings;
	ret->matches.most = SCAN_MOST_MATCHES;
	if (!scan_regions_cut(job->regions, &run.blocks))
		return &error_nomem;
	err = find_strings(&run);
	if (!err)
		err = judge(&run);
	scan_regions_deinit(&run.blocks);
	return err;
}
