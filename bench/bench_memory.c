/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Speed of translations and reads. Without arguments on a synthetic guest of 4.25 GiB in a
 * temporary sparse file, over a million of whose pages are mapped by 4 KiB pages in random order;
 * or on a raw memory image given with the root of a 4-level page table:
 *
 *	bench_memory [IMAGE ROOT]
 *
 * Prints a table and, last, one line of JSON.
 */
#include "core/cleanup.h"
#include "memory/virtual.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define GUEST_SIZE    (((uint64_t)4 << 30) + ((uint64_t)256 << 20))
#define TABLES_START  ((uint64_t)16 << 20)
#define MAPPED_FROM   ((uint64_t)64 << 20)
#define LINEAR_START  UINT64_C(0xffff888000000000) /* frames in order, as a direct map */
#define SHUFFLE_START UINT64_C(0xffffc90000000000) /* frames in random order, as vmalloc */
#define MOST_SAMPLES  ((size_t)1 << 22)
#define OPERATIONS    ((size_t)1 << 22)
#define STREAM_SIZE   ((uint64_t)1 << 30)
#define BLOCK         ((size_t)1 << 20)
#define PASSES        5

struct bench {
	struct memory *memory;
	struct address_space *space;
	uint64_t *samples; /* addresses of distinct present 4 KiB mappings of RAM, ascending */
	uint64_t *order;   /* the same, shuffled */
	size_t count;
	uint64_t seed;
	char *json;
	size_t json_size;
	FILE *out;
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "bench_memory: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void check(struct nunchi_error *err)
{
	if (!err)
		return;
	fprintf(stderr, "bench_memory: %s\n", nunchi_error_message(err));
	exit(1);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* xorshift64 */
static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void shuffle(uint64_t *array, size_t count, uint64_t *seed)
{
	for (size_t i = count; i > 1; i--) {
		size_t j = next_random(seed) % i;
		uint64_t swap = array[i - 1];

		array[i - 1] = array[j];
		array[j] = swap;
	}
}

/* ---- The synthetic guest ----------------------------------------------------------------------
 */

struct builder {
	int fd;
	uint64_t next; /* free page for tables */
};

static void put(const struct builder *builder, uint64_t address, const void *data, size_t size)
{
	if (pwrite(builder->fd, data, size, (off_t)address) != (ssize_t)size)
		die("cannot write the synthetic guest");
}

static uint64_t get(const struct builder *builder, uint64_t address)
{
	uint64_t value;

	if (pread(builder->fd, &value, sizeof(value), (off_t)address) != sizeof(value))
		die("cannot read the synthetic guest");
	return value;
}

/* The table that the entry leads to, made if there is none. */
static uint64_t descend(struct builder *builder, uint64_t entry_address)
{
	uint64_t entry = get(builder, entry_address);

	if (!entry) {
		entry = builder->next | 3;
		builder->next += PAGE_SIZE;
		put(builder, entry_address, &entry, sizeof(entry));
	}
	return entry & ~PAGE_MASK;
}

static void map_frames(struct builder *builder, uint64_t address, const uint64_t *frames,
		       size_t count)
{
	for (size_t i = 0; i < count; i += 512, address += 512 * PAGE_SIZE) {
		uint64_t table = TABLES_START;
		uint64_t entries[512] = {0};

		for (unsigned shift = 39; shift > 12; shift -= 9)
			table = descend(builder, table + (address >> shift & 511) * 8);
		for (size_t k = 0; k < 512 && i + k < count; k++)
			entries[k] = frames[i + k] | 3;
		put(builder, table, entries, sizeof(entries));
	}
}

static uint64_t build_guest(int fd, uint64_t *seed)
{
	struct builder builder = {.fd = fd, .next = TABLES_START + PAGE_SIZE};
	size_t count = (GUEST_SIZE - MAPPED_FROM) >> PAGE_SHIFT;
	_cleanup_free_ uint64_t *frames = calloc(count, sizeof(*frames));

	if (!frames || ftruncate(fd, (off_t)GUEST_SIZE))
		die("cannot make the synthetic guest");
	for (size_t i = 0; i < count; i++)
		frames[i] = MAPPED_FROM + i * PAGE_SIZE;
	map_frames(&builder, LINEAR_START, frames, count);
	shuffle(frames, count, seed);
	map_frames(&builder, SHUFFLE_START, frames, count);
	return TABLES_START;
}

static int open_synthetic(void)
{
	const char *directory = getenv("TMPDIR");
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/nunchi-bench-XXXXXX", directory ? directory : "/tmp");
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0 || unlink(path))
		die(path);
	return fd;
}

/* ---- Samples ----------------------------------------------------------------------------------
 */

static bool is_ram(struct bench *bench, uint64_t address)
{
	uint64_t value;

	return memory_read(bench->memory, gpa(address), &value, sizeof(value), NULL) == MEMORY_OK;
}

/* Collects what the table at that level maps by 4 KiB pages. */
static void collect(struct bench *bench, uint64_t table, unsigned level, uint64_t address)
{
	uint64_t entries[512];

	if (memory_read(bench->memory, gpa(table), entries, sizeof(entries), NULL) != MEMORY_OK)
		return;
	for (uint64_t i = 0; i < 512 && bench->count < MOST_SAMPLES; i++) {
		uint64_t at = address | i << (3 + 9 * level);
		uint64_t next = entries[i] & UINT64_C(0xffffffffff000);

		if (level == 4 && i >= 256)
			at |= UINT64_C(0xffff) << 48;
		if (!(entries[i] & 1) || (level > 1 && (entries[i] & 128)))
			continue;
		if (level > 1)
			collect(bench, next, level - 1, at);
		else if (is_ram(bench, next))
			bench->samples[bench->count++] = at;
	}
}

/* The frames in order are there for streaming alone. */
static void drop_samples_before(struct bench *bench, uint64_t address)
{
	size_t first = 0;

	while (first < bench->count && bench->samples[first] < address)
		first++;
	bench->count -= first;
	memmove(bench->samples, bench->samples + first, bench->count * sizeof(*bench->samples));
}

/* ---- Measures ---------------------------------------------------------------------------------
 */

static void report(struct bench *bench, const char *key, const char *what, double value,
		   const char *unit)
{
	printf("%-58s %10.2f %s\n", what, value, unit);
	fprintf(bench->out, ",\"%s\":%.4f", key, value);
}

/* Millions a second. */
static double translate_once(struct bench *bench, const uint64_t *addresses, size_t operations,
			     bool cold)
{
	double start = seconds();
	uint64_t sum = 0;

	for (size_t done = 0, i = 0; done < operations; done++) {
		gpa_t physical;

		if (cold)
			memory_new_generation(bench->memory);
		if (address_space_translate(bench->space, gva(addresses[i]), &physical) !=
		    MEMORY_OK)
			die("a present page is not translated");
		sum += physical.v;
		i = i + 1 < bench->count ? i + 1 : 0;
	}
	/* Keeps the work from being dropped. */
	if (sum == 1)
		puts("");
	return (double)operations / (seconds() - start) / 1e6;
}

/* The best of some passes, since other work on the machine only ever slows one down. */
static double translations(struct bench *bench, const uint64_t *addresses, size_t operations,
			   bool cold)
{
	double best = 0;

	for (int pass = 0; pass < PASSES; pass++) {
		double speed = translate_once(bench, addresses, operations, cold);

		best = speed > best ? speed : best;
	}
	return best;
}

/* The cache is empty at first and fills on the way. */
static double translations_emptied(struct bench *bench)
{
	double best = 0;

	for (int pass = 0; pass < PASSES; pass++) {
		double speed;

		memory_new_generation(bench->memory);
		speed = translate_once(bench, bench->order, bench->count, false);
		best = speed > best ? speed : best;
	}
	return best;
}

static void measure_translations(struct bench *bench)
{
	translate_once(bench, bench->order, bench->count, false);
	report(bench, "translate_random_cached", "translations, random, cached",
	       translations(bench, bench->order, OPERATIONS, false), "M/s");
	report(bench, "translate_sequential_cached", "translations, sequential, cached",
	       translations(bench, bench->samples, OPERATIONS, false), "M/s");
	report(bench, "translate_random_emptied", "translations, random, cache emptied once before",
	       translations_emptied(bench), "M/s");
	report(bench, "translate_random_cold", "translations, random, cache emptied before each",
	       translations(bench, bench->order, OPERATIONS / 8, true), "M/s");
	report(bench, "translate_sequential_cold",
	       "translations, sequential, cache emptied before each",
	       translations(bench, bench->samples, OPERATIONS / 8, true), "M/s");
}

/* Millions a second, at the addresses, physical or virtual. */
static double small_reads(struct bench *bench, const uint64_t *addresses, bool physical)
{
	double best = 0;
	uint64_t sum = 0;

	for (int pass = 0; pass < PASSES; pass++) {
		double start = seconds();
		double speed;

		for (size_t i = 0; i < bench->count; i++) {
			uint64_t value = 0;

			if (physical)
				memory_read(bench->memory, gpa(addresses[i]), &value, sizeof(value),
					    NULL);
			else
				address_space_read_u64(bench->space, gva(addresses[i]), &value);
			sum += value;
		}
		speed = (double)bench->count / (seconds() - start) / 1e6;
		best = speed > best ? speed : best;
	}
	if (sum == 1)
		puts("");
	return best;
}

static void measure_small_reads(struct bench *bench)
{
	_cleanup_free_ uint64_t *physical = calloc(bench->count, sizeof(*physical));

	if (!physical)
		die("samples");
	for (size_t i = 0; i < bench->count; i++) {
		gpa_t at;

		if (address_space_translate(bench->space, gva(bench->order[i]), &at) != MEMORY_OK)
			die("a present page is not translated");
		physical[i] = at.v;
	}
	report(bench, "read8_physical", "reads of 8 bytes, physical, random",
	       small_reads(bench, physical, true), "M/s");
	report(bench, "read8_virtual", "reads of 8 bytes, virtual, random",
	       small_reads(bench, bench->order, false), "M/s");
}

typedef bool stream_fn(struct bench *bench, uint64_t address, void *buffer, size_t size);

static bool stream_memcpy(struct bench *bench, uint64_t address, void *buffer, size_t size)
{
	const void *from = memory_map(bench->memory, gpa(address), size);

	if (from)
		memcpy(buffer, from, size);
	return from;
}

static bool stream_physical(struct bench *bench, uint64_t address, void *buffer, size_t size)
{
	return memory_read(bench->memory, gpa(address), buffer, size, NULL) == MEMORY_OK;
}

static bool stream_virtual(struct bench *bench, uint64_t address, void *buffer, size_t size)
{
	return address_space_read(bench->space, gva(address), buffer, size, NULL) == MEMORY_OK;
}

/* Page by page through memcpy, at the frames behind the addresses: the floor of shuffled pages. */
static bool stream_pages(struct bench *bench, uint64_t address, void *buffer, size_t size)
{
	for (size_t i = 0; i < size; i += PAGE_SIZE) {
		const void *from = address_space_map(bench->space, gva(address + i), PAGE_SIZE);

		if (!from)
			return false;
		memcpy((char *)buffer + i, from, PAGE_SIZE);
	}
	return true;
}

struct stream {
	const char *key, *what;
	stream_fn *read;
	uint64_t address;
	bool synthetic; /* only there are the frames known */
	double best;    /* GB/s */
};

static double stream_once(struct bench *bench, const struct stream *stream, uint64_t size,
			  void *buffer)
{
	double start = seconds();

	for (uint64_t at = 0; at + BLOCK <= size; at += BLOCK) {
		if (!stream->read(bench, stream->address + at, buffer, BLOCK))
			return 0;
	}
	return (double)size / (seconds() - start) / 1e9;
}

/* Each in turn, and the best of some rounds, so that what else runs slows down all of them. */
static void measure_streams(struct bench *bench, bool synthetic)
{
	struct stream streams[] = {
	    {"stream_memcpy", "memcpy of mapped pages", stream_memcpy, MAPPED_FROM},
	    {"stream_physical", "streaming read, physical", stream_physical, MAPPED_FROM},
	    {"stream_virtual", "streaming read, virtual, frames in order", stream_virtual,
	     LINEAR_START, true},
	    {"stream_memcpy_shuffled", "memcpy page by page, frames in random order", stream_pages,
	     SHUFFLE_START, true},
	    {"stream_virtual_shuffled", "streaming read, virtual, frames in random order",
	     stream_virtual, SHUFFLE_START, true},
	};
	_cleanup_free_ void *buffer = calloc(1, BLOCK);
	uint64_t size = STREAM_SIZE;

	if (!buffer)
		die("buffer");
	if (memory_total(bench->memory) < MAPPED_FROM + size)
		size = memory_total(bench->memory) - MAPPED_FROM;
	for (int pass = 0; pass < PASSES; pass++) {
		for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
			double speed = streams[i].synthetic && !synthetic
					   ? 0
					   : stream_once(bench, &streams[i], size, buffer);

			if (speed > streams[i].best)
				streams[i].best = speed;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
		if (streams[i].best > 0)
			report(bench, streams[i].key, streams[i].what, streams[i].best, "GB/s");
	}
}

static void open_guest(struct bench *bench, int argc, char **argv)
{
	struct x86_paging paging = {.mode = X86_MODE_4LEVEL};
	_cleanup_close_ int fd = argc == 3 ? open(argv[1], O_RDONLY | O_CLOEXEC) : open_synthetic();
	struct stat st;

	if (fd < 0)
		die(argv[1]);
	paging.root = gpa(argc == 3 ? strtoull(argv[2], NULL, 0) : build_guest(fd, &bench->seed));
	if (fstat(fd, &st))
		die("fstat");
	check(memory_create(true, &bench->memory));
	check(
	    memory_add_window(bench->memory, gpa(0), (uint64_t)st.st_size & ~PAGE_MASK, fd, 0, 0));
	check(memory_seal(bench->memory));
	check(address_space_create(bench->memory, &paging, &bench->space));
	bench->samples = calloc(MOST_SAMPLES, sizeof(*bench->samples));
	bench->order = calloc(MOST_SAMPLES, sizeof(*bench->order));
	if (!bench->samples || !bench->order)
		die("samples");
	collect(bench, paging.root.v, 4, 0);
	if (argc == 1)
		drop_samples_before(bench, SHUFFLE_START);
	memcpy(bench->order, bench->samples, bench->count * sizeof(*bench->order));
	shuffle(bench->order, bench->count, &bench->seed);
}

int main(int argc, char **argv)
{
	struct bench bench = {.seed = 0x9e3779b97f4a7c15};

	if (argc != 1 && argc != 3) {
		fprintf(stderr, "usage: bench_memory [IMAGE ROOT]\n");
		return 2;
	}
	bench.out = open_memstream(&bench.json, &bench.json_size);
	if (!bench.out)
		die("open_memstream");
	open_guest(&bench, argc, argv);
	if (!bench.count) {
		fprintf(stderr, "bench_memory: the table maps no 4 KiB page\n");
		return 1;
	}
	printf("%zu distinct present 4 KiB mappings\n", bench.count);
	measure_translations(&bench);
	measure_small_reads(&bench);
	measure_streams(&bench, argc == 1);
	fclose(bench.out);
	printf("{\"bench\":\"memory\",\"mappings\":%zu%s}\n", bench.count, bench.json);
	free(bench.json);
	free(bench.samples);
	free(bench.order);
	address_space_destroy(bench.space);
	memory_destroy(bench.memory);
	return 0;
}
