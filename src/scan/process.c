/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A process that looks through blocks of memory with libyara, and evaluates conditions. */
#include "config.h"
#include "scan/protocol.h"

#include "core/array.h"
#include "core/confine.h"
#include "core/io.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct process {
	const struct scan_process_start *start;
	const struct libyara *lib;
	YR_SCANNER *scanner;
	int fd;
	/* The block that is looked through. */
	struct ask ask;
	const uint8_t *bytes;
	YR_MEMORY_BLOCK block;
	bool harvested;
	/* Matches or numbers of rules that are not sent yet. */
	union {
		struct scan_match matches[MOST_ITEMS];
		uint32_t rules[MOST_ITEMS];
	} items;
	uint32_t item_count;
	/* For the conditions. */
	struct scan_regions blocks;
	YR_MATCH *nodes;
	uint32_t *strings; /* of the nodes */
	size_t node_count, node_capacity, string_capacity;
	size_t at;    /* number of the block at which the iterator stands */
	size_t there; /* number of the block in the slot, from 1; 0: none */
	bool injected;
};

/* The process ends with the one that asked. */
static void send_all(struct process *process, const void *data, size_t size)
{
	if (io_write_quietly(process->fd, data, size))
		_exit(1);
}

static void answer(struct process *process, enum answer_kind kind, int status, uint32_t count)
{
	const struct answer answer = {kind, process->ask.slot, status, count};

	send_all(process, &answer, sizeof(answer));
}

static void flush_items(struct process *process, enum answer_kind kind, size_t item_size)
{
	if (!process->item_count)
		return;
	answer(process, kind, 0, process->item_count);
	send_all(process, &process->items, process->item_count * item_size);
	process->item_count = 0;
}

static const uint8_t *slot(const struct process *process, uint32_t n)
{
	return process->start->slots + n * BLOCK_ROOM;
}

/* ---- Looking for strings --------------------------------------------------------------------- */

static const uint8_t *scan_fetch(YR_MEMORY_BLOCK *block)
{
	const struct process *process = block->context;

	return process->bytes;
}

static YR_MEMORY_BLOCK *scan_first(YR_MEMORY_BLOCK_ITERATOR *iterator)
{
	struct process *process = iterator->context;

	process->block = (YR_MEMORY_BLOCK){.size = process->ask.size,
					   .base = process->ask.address,
					   .context = process,
					   .fetch_data = scan_fetch};
	return &process->block;
}

/* Takes a match that begins in the block's own bytes; other blocks have the others. */
static void take_match(struct process *process, uint32_t string, const YR_MATCH *match)
{
	const uint64_t address = (uint64_t)(match->base + match->offset);
	struct scan_match *to = &process->items.matches[process->item_count];
	size_t size = match->data_length > 0 ? (size_t)match->data_length : 0;

	if (address < process->ask.own.start || address >= process->ask.own.end)
		return;
	if (size > SCAN_MATCH_DATA)
		size = SCAN_MATCH_DATA;
	*to = (struct scan_match){.string = string,
				  .length = (uint32_t)match->match_length,
				  .address = address,
				  .data_size = (uint32_t)size};
	if (size && match->data)
		memcpy(to->data, match->data, size);
	if (++process->item_count == MOST_ITEMS)
		flush_items(process, ANSWER_MATCHES, sizeof(*to));
}

/*
 * There is no second block: YARA has found all strings of this one, and goes on with the
 * conditions, which are those of all blocks; so the matches are taken here, and an error ends it.
 */
static YR_MEMORY_BLOCK *scan_next(YR_MEMORY_BLOCK_ITERATOR *iterator)
{
	struct process *process = iterator->context;
	const YR_RULES *rules = process->start->rules->compiled;
	YR_MATCH match;

	for (uint32_t i = 0; i < rules->num_strings; i++) {
		const void *next = process->scanner->matches[i].head;

		/* Copied: libyara puts them at addresses that are not aligned
		 * (yr_notebook_alloc()). */
		for (; next; next = match.next) {
			memcpy(&match, next, sizeof(match));
			take_match(process, i, &match);
		}
	}
	flush_items(process, ANSWER_MATCHES, sizeof(struct scan_match));
	process->harvested = true;
	iterator->last_error = ERROR_CALLBACK_ERROR;
	return NULL;
}

static int scan_callback(YR_SCAN_CONTEXT *context, int message, void *message_data, void *data)
{
	struct process *process = data;

	(void)context;
	(void)message_data;
	if (message == CALLBACK_MSG_TOO_MANY_MATCHES)
		answer(process, ANSWER_MANY, 0, 0);
	return CALLBACK_CONTINUE;
}

static int scan(struct process *process)
{
	YR_MEMORY_BLOCK_ITERATOR iterator = {
	    .context = process, .first = scan_first, .next = scan_next};
	int status;

	process->bytes = slot(process, process->ask.slot);
	process->harvested = false;
	process->lib->yr_scanner_set_callback(process->scanner, scan_callback, process);
	status = process->lib->yr_scanner_scan_mem_blocks(process->scanner, &iterator);
	return process->harvested ? ERROR_SUCCESS : status;
}

/* ---- Conditions ------------------------------------------------------------------------------ */

static bool take_blocks(struct process *process)
{
	const struct scan_region *from = (const void *)slot(process, process->ask.slot);
	struct scan_regions *blocks = &process->blocks;

	if (!ARRAY_RESERVE(blocks->items, blocks->count, blocks->capacity, process->ask.count))
		return false;
	memcpy(blocks->items + blocks->count, from, process->ask.count * sizeof(*from));
	blocks->count += process->ask.count;
	return true;
}

static bool take_matches(struct process *process)
{
	const struct placed_match *from = (const void *)slot(process, process->ask.slot);

	if (!ARRAY_RESERVE(process->nodes, process->node_count, process->node_capacity,
			   process->ask.count) ||
	    !ARRAY_RESERVE(process->strings, process->node_count, process->string_capacity,
			   process->ask.count))
		return false;
	for (uint64_t i = 0; i < process->ask.count; i++) {
		process->nodes[process->node_count] = (YR_MATCH){
		    .offset = (int64_t)from[i].address, .match_length = (int32_t)from[i].length};
		process->strings[process->node_count++] = from[i].string;
	}
	return true;
}

/* Gives YARA the matches of all blocks as if it had just found them. */
static void inject(struct process *process)
{
	YR_SCANNER *scanner = process->scanner;

	for (size_t i = 0; i < process->node_count; i++) {
		YR_MATCHES *list = &scanner->matches[process->strings[i]];
		YR_MATCH *node = &process->nodes[i];

		node->prev = list->tail;
		if (list->tail)
			list->tail->next = node;
		else
			list->head = node;
		list->tail = node;
		list->count++;
#ifdef HAVE_YARA_REQUIRED_EVAL
		const YR_RULES *rules = process->start->rules->compiled;

		yr_bitmask_set(scanner->required_eval,
			       rules->strings_table[process->strings[i]].rule_idx);
#endif
	}
}

/* Asks for a block's bytes, unless they are there. */
static const uint8_t *judge_fetch(YR_MEMORY_BLOCK *block)
{
	struct process *process = block->context;
	struct ask ask;

	if (process->there != process->at + 1) {
		answer(process, ANSWER_WANT, 0, (uint32_t)process->at);
		if (io_read_full(process->fd, &ask, sizeof(ask)) != sizeof(ask) ||
		    ask.kind != ASK_DATA)
			_exit(1);
		process->there = process->at + 1;
	}
	return slot(process, 0);
}

static YR_MEMORY_BLOCK *judge_block(struct process *process)
{
	const struct scan_region *region = &process->blocks.items[process->at];
	uint64_t size;

	if (process->at >= process->blocks.count)
		return NULL;
	size = region->end - region->start;
	/* An integer may begin in this block and end in the next one. */
	if (process->at + 1 < process->blocks.count && region[1].start == region->end)
		size += BLOCK_OVER;
	process->block = (YR_MEMORY_BLOCK){
	    .size = size, .base = region->start, .context = process, .fetch_data = judge_fetch};
	return &process->block;
}

/* The first time YARA asks in order to look for strings; later, to read what a condition wants. */
static YR_MEMORY_BLOCK *judge_first(YR_MEMORY_BLOCK_ITERATOR *iterator)
{
	struct process *process = iterator->context;

	iterator->last_error = ERROR_SUCCESS;
	if (!process->injected) {
		process->injected = true;
		inject(process);
		return NULL;
	}
	process->at = 0;
	return judge_block(process);
}

static YR_MEMORY_BLOCK *judge_next(YR_MEMORY_BLOCK_ITERATOR *iterator)
{
	struct process *process = iterator->context;

	iterator->last_error = ERROR_SUCCESS;
	process->at++;
	return judge_block(process);
}

static int judge_callback(YR_SCAN_CONTEXT *context, int message, void *message_data, void *data)
{
	struct process *process = data;
	const YR_RULE *rule = message_data;

	(void)context;
	if (message != CALLBACK_MSG_RULE_MATCHING)
		return CALLBACK_CONTINUE;
	process->items.rules[process->item_count++] =
	    (uint32_t)(rule - process->start->rules->compiled->rules_table);
	if (process->item_count == MOST_ITEMS)
		flush_items(process, ANSWER_RULES, sizeof(uint32_t));
	return CALLBACK_CONTINUE;
}

static int judge(struct process *process)
{
	YR_MEMORY_BLOCK_ITERATOR iterator = {
	    .context = process, .first = judge_first, .next = judge_next};
	int status;

	process->injected = false;
	process->there = 0;
	process->lib->yr_scanner_set_callback(process->scanner, judge_callback, process);
	status = process->lib->yr_scanner_scan_mem_blocks(process->scanner, &iterator);
	flush_items(process, ANSWER_RULES, sizeof(uint32_t));
	scan_regions_deinit(&process->blocks);
	free(process->nodes);
	free(process->strings);
	process->nodes = NULL;
	process->strings = NULL;
	process->node_count = process->node_capacity = process->string_capacity = 0;
	return status;
}

/* ---------------------------------------------------------------------------------------------- */

static int work(struct process *process)
{
	switch (process->ask.kind) {
	case ASK_SCAN:
		return scan(process);
	case ASK_BLOCKS:
		return take_blocks(process) ? ERROR_SUCCESS : ERROR_INSUFFICIENT_MEMORY;
	case ASK_MATCHES:
		return take_matches(process) ? ERROR_SUCCESS : ERROR_INSUFFICIENT_MEMORY;
	case ASK_JUDGE:
		return judge(process);
	default:
		return ERROR_INVALID_ARGUMENT;
	}
}

static bool confine(const struct scan_process_start *start)
{
	const struct confine_options options = {.device = -1};
	struct confine_result result;
	struct nunchi_error *err;

#ifndef SANITIZED
	struct rlimit limit = {start->memory, start->memory};

	if (start->memory)
		setrlimit(RLIMIT_DATA, &limit);
#endif
	if (start->open)
		return true;
	err = confine_process(&options, &result);
	nunchi_error_destroy(err);
	return !err;
}

static void end_if_alone(int signal, siginfo_t *info, void *context)
{
	struct pollfd wait = {.fd = info->si_fd, .events = POLLRDHUP};

	(void)signal;
	(void)context;
	if (poll(&wait, 1, 0) > 0 && (wait.revents & (POLLRDHUP | POLLHUP)))
		_exit(1);
}

/*
 * Has this process end as soon as nobody has the other end of its socket, also in the middle of a
 * block. The process that asks cannot kill it: it is confined and may send no signals.
 */
static bool end_when_alone(int fd)
{
	const struct sigaction action = {.sa_sigaction = end_if_alone,
					 .sa_flags = SA_SIGINFO | SA_RESTART};

	return !sigaction(SIGIO, &action, NULL) && !fcntl(fd, F_SETOWN, getpid()) &&
	       !fcntl(fd, F_SETSIG, SIGIO) && !fcntl(fd, F_SETFL, O_ASYNC);
}

void scan_process(const void *data, int fd)
{
	const struct scan_process_start *start = data;
	struct process process = {.start = start, .lib = &start->rules->lib, .fd = fd};
	int status;

	if (!end_when_alone(fd) || !confine(start))
		return;
	status = process.lib->yr_scanner_create(start->rules->compiled, &process.scanner);
	if (!status) {
		/* A fault in YARA ends this process: that is what it is for. */
		process.lib->yr_scanner_set_flags(
		    process.scanner, SCAN_FLAGS_REPORT_RULES_MATCHING | SCAN_FLAGS_NO_TRYCATCH |
					 SCAN_FLAGS_PROCESS_MEMORY);
		process.lib->yr_scanner_set_timeout(process.scanner, SCAN_MOST_SECONDS);
	}
	while (io_read_full(fd, &process.ask, sizeof(process.ask)) == sizeof(process.ask))
		answer(&process, ANSWER_DONE, status ? status : work(&process), 0);
	if (!status)
		process.lib->yr_scanner_destroy(process.scanner);
}
