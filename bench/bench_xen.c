/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Times operations on a guest of Xen, in dom0: mapping and reading pages one at a time and in
 * batches of several sizes, reading the whole memory, random reads and translations (with the same
 * on a file to compare), pauses, and process lists, reads and translations in and out of sessions.
 * Run by bench/xen.
 *
 *	bench_xen xen:NAME [FILE]
 *
 * FILE is a raw image of at least as many bytes to compare random reads with. Prints lines of
 * "name value unit".
 */
#include "core/cleanup.h"
#include "guest/linux/attach.h"
#include "target/xen/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#define READS  ((size_t)1 << 20)
#define PAUSES 100

static void check(struct nunchi_error *err)
{
	if (!err)
		return;
	fprintf(stderr, "bench_xen: %s\n", nunchi_error_message(err));
	exit(1);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void say(const char *name, double value, const char *unit)
{
	printf("%-28s %12.1f %s\n", name, value, unit);
	fflush(stdout);
}

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* The largest range. */
static struct memory_range largest(const struct memory *memory)
{
	size_t count;
	const struct memory_range *ranges = memory_ranges(memory, &count);
	struct memory_range best = {0};

	for (size_t i = 0; i < count; i++) {
		if (ranges[i].size > best.size)
			best = ranges[i];
	}
	return best;
}

static int domain_of(const char *word)
{
	FILE *out;
	char command[128];
	int id = -1;

	/* The bench is given what nunchi takes; the libraries want the number. */
	snprintf(command, sizeof(command), "xl domid %s", word + 4);
	out = popen(command, "re");
	if (!out || fscanf(out, "%d", &id) != 1)
		id = -1;
	if (out)
		pclose(out);
	return id;
}

/* Pages a second, mapped, copied and unmapped `batch` at a time; gives those of one at a time. */
static double bench_batches(const struct memory_range *range, int domain)
{
	static const size_t batches[] = {1, 16, 64, 128, 256, 512, 1024, 4096};
	uint64_t frames[4096];
	int errors[4096];
	uint8_t copy[PAGE_SIZE];
	double single = 0;
	int driver = xen_calls.open();

	for (size_t i = 0; i < ARRAY_SIZE(batches) && driver >= 0; i++) {
		double start = seconds(), map_time = 0;
		size_t pages = 0, calls = 0;
		char name[64];

		while (seconds() - start < 0.5 || !calls) {
			uint64_t first = range->start.v >> PAGE_SHIFT;
			double before;
			void *map;

			first += pages % ((range->size >> PAGE_SHIFT) - batches[i] + 1);
			for (size_t j = 0; j < batches[i]; j++)
				frames[j] = first + j;
			before = seconds();
			map = xen_calls.map(driver, (uint16_t)domain, batches[i], frames, errors);
			map_time += seconds() - before;
			if (!map)
				break;
			for (size_t j = 0; j < batches[i]; j++) {
				if (!errors[j])
					memcpy(copy, (uint8_t *)map + (j << PAGE_SHIFT), PAGE_SIZE);
				__asm__ volatile("" : : "r"(copy) : "memory");
			}
			xen_calls.unmap(map, batches[i]);
			pages += batches[i];
			calls++;
		}
		snprintf(name, sizeof(name), "map_%zu", batches[i]);
		say(name, (double)pages / (seconds() - start), "pages/s");
		if (!i)
			single = (double)pages / (seconds() - start);
		snprintf(name, sizeof(name), "map_%zu_call", batches[i]);
		say(name, calls ? map_time / (double)calls * 1e6 : 0, "us");
	}
	if (driver >= 0)
		xen_calls.close(driver);
	return single;
}

#define STREAM_PIECE ((size_t)4 << 20)

static double stream(struct memory *memory, const struct memory_range *range)
{
	_cleanup_free_ uint8_t *buffer = malloc(STREAM_PIECE);
	double start;

	/* The buffer's own pages are not what is measured. */
	memset(buffer, 1, STREAM_PIECE);
	start = seconds();
	for (uint64_t at = 0; at < range->size; at += STREAM_PIECE) {
		size_t size =
		    range->size - at < STREAM_PIECE ? (size_t)(range->size - at) : STREAM_PIECE;

		if (memory_read(memory, gpa(range->start.v + at), buffer, size, NULL) != MEMORY_OK)
			continue;
	}
	return (double)range->size / (seconds() - start) / 1e6;
}

/* Nanoseconds for a random read of eight bytes in a range that is mapped already. */
static double random_reads(struct memory *memory, const struct memory_range *range)
{
	uint64_t seed = 88172645463325252u, value, sum = 0;
	double start = seconds();

	for (size_t i = 0; i < READS; i++) {
		uint64_t at = range->start.v + (next_random(&seed) % (range->size / 8)) * 8;

		if (memory_read(memory, gpa(at), &value, sizeof(value), NULL) == MEMORY_OK)
			sum += value;
	}
	/* So that nothing is left out. */
	if (sum == 1)
		puts("");
	return (seconds() - start) / (double)READS * 1e9;
}

static void bench_file(const char *path, uint64_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct memory_range range = {.size = size};
	struct memory *memory;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || (uint64_t)st.st_size < size) {
		fprintf(stderr, "bench_xen: %s is too small\n", path);
		return;
	}
	check(memory_create(true, &memory));
	check(memory_add_window(memory, gpa(0), size, fd, 0, 0));
	check(memory_seal(memory));
	stream(memory, &range);
	random_reads(memory, &range);
	say("random_read_file", random_reads(memory, &range), "ns");
	memory_destroy(memory);
}

static void bench_translations(struct target *target)
{
	const struct cancel cancel = {.requested = false};
	const struct guest_attach_options options = {.cancel = &cancel};
	struct linux_kernel *kernel;
	uint64_t seed = 88172645463325252u, size;
	double start = seconds();
	size_t good = 0;

	check(linux_kernel_attach(target, &options, &kernel));
	say("attach", (seconds() - start) * 1e3, "ms");
	size = kernel->image_end - kernel->text_virtual;
	start = seconds();
	for (size_t i = 0; i < READS; i++) {
		gva_t address = gva(kernel->text_virtual + next_random(&seed) % size);
		gpa_t physical;

		good +=
		    address_space_translate(kernel->guest.space, address, &physical) == MEMORY_OK;
	}
	say("translate", (seconds() - start) / (double)READS * 1e9, "ns");
	say("translate_mapped", (double)good * 100 / (double)READS, "%");
	linux_kernel_destroy(kernel);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void bench_pauses(struct target *target)
{
	double times[PAUSES];

	for (size_t i = 0; i < PAUSES; i++) {
		uint64_t before = target_paused_us(target);

		check(target_pause(target));
		check(target_resume(target));
		times[i] = (double)(target_paused_us(target) - before);
	}
	qsort(times, PAUSES, sizeof(*times), compare);
	say("empty_pause_min", times[0], "us");
	say("empty_pause_median", times[PAUSES / 2], "us");
	say("empty_pause_max", times[PAUSES - 1], "us");
}

/* ---- By the public header: what a session saves -----------------------------------------------
 */

#define SESSION_READS 20000
#define ALONE_READS   500

/* Nanoseconds for a read of eight bytes of the kernel's image, one of 64 pages in turn. */
static double hot_reads(struct nunchi_guest *guest, uint64_t address, size_t count)
{
	double start = seconds();
	uint64_t value;

	for (size_t i = 0; i < count; i++) {
		const struct nunchi_place place = {NUNCHI_SPACE_KERNEL, 0,
						   address + i % 64 * PAGE_SIZE};

		check(nunchi_read(guest, &place, sizeof(value), &value));
	}
	return (seconds() - start) / (double)count * 1e9;
}

static double hot_translations(struct nunchi_guest *guest, uint64_t address, size_t count)
{
	double start = seconds();
	struct nunchi_translation translation;

	for (size_t i = 0; i < count; i++) {
		const struct nunchi_place place = {NUNCHI_SPACE_KERNEL, 0,
						   address + i % 64 * PAGE_SIZE};

		check(nunchi_translate(guest, &place, &translation));
	}
	return (seconds() - start) / (double)count * 1e9;
}

/* The same by nunchi_translate_address(), which does not tell the levels. */
static double hot_addresses(struct nunchi_guest *guest, uint64_t address, size_t count)
{
	double start = seconds();
	uint64_t physical;

	for (size_t i = 0; i < count; i++) {
		const struct nunchi_place place = {NUNCHI_SPACE_KERNEL, 0,
						   address + i % 64 * PAGE_SIZE};

		check(nunchi_translate_address(guest, &place, &physical));
	}
	return (seconds() - start) / (double)count * 1e9;
}

/* Milliseconds for a list of all processes' ids and names. */
static double list_processes(struct nunchi_guest *guest)
{
	static const char *const columns[] = {"pid", "name"};
	const struct nunchi_query query = {
	    .size = sizeof(query), .columns = columns, .column_count = ARRAY_SIZE(columns)};
	const struct nunchi_cell *cells;
	struct nunchi_cursor *cursor;
	struct nunchi_error *err;
	double start = seconds();
	bool torn;

	check(nunchi_cursor_open(guest, nunchi_view_find("processes"), &query, &cursor));
	while (!(err = nunchi_cursor_next(cursor, &cells, &torn)))
		;
	if (nunchi_error_code(err) != NUNCHI_ERROR_STOP)
		check(err);
	nunchi_error_destroy(err);
	nunchi_cursor_close(cursor);
	return (seconds() - start) * 1e3;
}

/* The same with a guest of that pause option, in a session with or without hold. */
static void bench_session(struct nunchi_context *context, const char *word, enum nunchi_pause pause,
			  bool hold, const char *name)
{
	const struct nunchi_guest_options options = {.size = sizeof(options), .pause = pause};
	const struct nunchi_session_options session_options = {.size = sizeof(session_options),
							       .hold = hold};
	struct nunchi_session *session;
	struct nunchi_symbol text;
	struct nunchi_guest *guest;
	double start, first;
	char row[64];

	check(nunchi_guest_open(context, word, &options, &guest));
	check(nunchi_guest_attach(guest));
	check(nunchi_symbol_find(guest, "_text", &text));
	if (pause == NUNCHI_PAUSE_NEVER && !hold) {
		list_processes(guest);
		say("list_alone", list_processes(guest), "ms");
		say("read_alone", hot_reads(guest, text.address, ALONE_READS), "ns");
		say("translate_alone", hot_translations(guest, text.address, ALONE_READS), "ns");
	}
	start = seconds();
	check(nunchi_session_open(guest, &session_options, &session));
	snprintf(row, sizeof(row), "session_open_%s", name);
	say(row, (seconds() - start) * 1e3, "ms");
	first = list_processes(guest);
	snprintf(row, sizeof(row), "list_first_%s", name);
	say(row, first, "ms");
	snprintf(row, sizeof(row), "list_second_%s", name);
	say(row, list_processes(guest), "ms");
	hot_reads(guest, text.address, 64);
	snprintf(row, sizeof(row), "read_%s", name);
	say(row, hot_reads(guest, text.address, SESSION_READS), "ns");
	snprintf(row, sizeof(row), "translate_%s", name);
	say(row, hot_translations(guest, text.address, SESSION_READS), "ns");
	snprintf(row, sizeof(row), "translate_address_%s", name);
	say(row, hot_addresses(guest, text.address, SESSION_READS), "ns");
	check(nunchi_session_close(session));
	nunchi_guest_close(guest);
}

static void bench_sessions(const char *word)
{
	struct nunchi_context *context;

	check(nunchi_context_create(0, &context));
	bench_session(context, word, NUNCHI_PAUSE_NEVER, false, "running");
	bench_session(context, word, NUNCHI_PAUSE_ALWAYS, false, "captured");
	bench_session(context, word, NUNCHI_PAUSE_NEVER, true, "held");
	nunchi_context_destroy(context);
}

int main(int argc, char **argv)
{
	const struct target_options options = {.sigbus_guard = true};
	struct memory_range range;
	struct target *target;
	double start = seconds(), single, streamed;

	if (argc < 2 || strncmp(argv[1], "xen:", 4)) {
		fprintf(stderr, "usage: bench_xen xen:NAME [FILE]\n");
		return 2;
	}
	check(target_open(argv[1], &options, &target));
	say("open", (seconds() - start) * 1e3, "ms");
	range = largest(target->memory);
	single = bench_batches(&range, domain_of(argv[1]));
	streamed = stream(target->memory, &range);
	say("stream", streamed, "MB/s");
	say("stream_over_single_pages", streamed * 1e6 / (single * PAGE_SIZE), "times");
	/* Once, so that all is mapped. */
	random_reads(target->memory, &range);
	say("random_read", random_reads(target->memory, &range), "ns");
	if (argc > 2)
		bench_file(argv[2], range.size);
	bench_translations(target);
	bench_pauses(target);
	target_close(target);
	bench_sessions(argv[1]);
	return 0;
}
