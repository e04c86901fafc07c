/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest's RAM: its addresses as QEMU reports them, or by rule if QEMU cannot be asked. */
#include "target/qemu/internal.h"
#include "target/qemu/layout.h"
#include "target/qemu/monitor.h"
#include "target/qemu/mtree.h"
#include "target/qemu/ram.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct mapper {
	struct qemu_target *qemu;
	struct memory *memory;
	struct ram_host *host;
	unsigned allow;
	struct ram_ways ways;
};

/* ---- As QEMU reports it ---------------------------------------------------------------------- */

struct wanted {
	const char *main_region;
	const json_t *backends; /* of query-memdev; NULL if that failed */
};

/*
 * Whether a memory region is RAM: the region of the main memory or of a memory backend. Memory of
 * devices (a graphics card, an option ROM) has regions of its own. Up to machine type 4.0, the
 * region of a backend has the path of its object as its name.
 */
static bool is_ram(const char *region, void *data)
{
	const struct wanted *wanted = data;
	const char *id = strncmp(region, "/objects/", 9) ? region : region + 9;

	if (wanted->main_region && !strcmp(region, wanted->main_region))
		return true;
	for (size_t i = 0; i < json_array_size(wanted->backends); i++) {
		const char *backend =
		    json_string_value(json_object_get(json_array_get(wanted->backends, i), "id"));

		if (backend && !strcmp(id, backend))
			return true;
	}
	return false;
}

static struct nunchi_error *ask_ranges(struct qemu_target *qemu, struct mtree *ret)
{
	struct qmp_wait wait = qemu_wait(qemu);
	_cleanup_json_ json_t *backends = NULL;
	_cleanup_free_ char *text = NULL;
	char main_region[MTREE_NAME_MAX];
	struct wanted wanted = {0};
	struct nunchi_error *err = qmp_client_human(qemu->qmp, "info mtree -f", -1, &wait, &text);

	if (!err)
		err = mtree_parse(text, strlen(text), ret);
	if (err)
		return err;
	wait = qemu_wait(qemu);
	nunchi_error_destroy(qmp_client_execute(qemu->qmp, "query-memdev", NULL, &wait, &backends));
	wanted.backends = backends;
	if (mtree_main_region(ret)) {
		/* Copy the name, because mtree_select() moves the ranges. */
		snprintf(main_region, sizeof(main_region), "%s", mtree_main_region(ret));
		wanted.main_region = main_region;
	}
	mtree_select(ret, is_ram, &wanted);
	if (ret->count)
		return NULL;
	mtree_deinit(ret);
	return error_create(NUNCHI_ERROR_DATA, "QEMU's memory map has no RAM in it");
}

static struct nunchi_error *ask_host_address(struct qemu_target *qemu, uint64_t address,
					     uint64_t *ret)
{
	const struct qmp_wait wait = qemu_wait(qemu);
	_cleanup_free_ char *text = NULL;
	struct nunchi_error *err;
	char line[64];

	snprintf(line, sizeof(line), "gpa2hva 0x%" PRIx64, address);
	err = qmp_client_human(qemu->qmp, line, -1, &wait, &text);
	return err ? err : monitor_parse_gpa2hva(text, strlen(text), address, ret);
}

/*
 * Asks QEMU for the host addresses of both ends of a range; between them, one memory region is
 * contiguous.
 */
static struct nunchi_error *ask_piece(struct qemu_target *qemu, const struct mtree_range *range,
				      struct ram_piece *ret)
{
	uint64_t last = range->start + (range->size - PAGE_SIZE), first_host, last_host;
	struct nunchi_error *err = ask_host_address(qemu, range->start, &first_host);

	if (!err)
		err = ask_host_address(qemu, last, &last_host);
	if (err)
		return err;
	if ((first_host & PAGE_MASK) || last_host - first_host != last - range->start)
		return error_create_at(NUNCHI_ERROR_DATA, range->start,
				       "QEMU's memory at 0x%" PRIx64
				       " is not contiguous in QEMU's process",
				       range->start);
	*ret = (struct ram_piece){range->start, range->size, first_host};
	return NULL;
}

static struct nunchi_error *add_asked(struct mapper *mapper, const struct mtree *mtree)
{
	struct qemu_target *qemu = mapper->qemu;

	for (size_t i = 0; i < mtree->count; i++) {
		const struct mtree_range *range = &mtree->ranges[i];
		struct ram_piece piece;
		struct nunchi_error *err = ask_piece(qemu, range, &piece);

		if (error_is(err, NUNCHI_ERROR_CANCELLED))
			return err;
		if (err && (mapper->allow & RAM_ALLOW_MONITOR)) {
			target_note(&qemu->base,
				    "memory at 0x%" PRIx64 " is read through the monitor: %s",
				    range->start, nunchi_error_message(err));
			nunchi_error_destroy(err);
			err = ram_add_monitor(mapper->memory, &qemu->monitor, range->start,
					      range->size, &mapper->ways);
		} else if (!err) {
			err = ram_add(mapper->memory, mapper->host, &qemu->monitor, &piece,
				      mapper->allow, &mapper->ways);
		}
		if (err)
			return err;
	}
	return NULL;
}

/* ---- By rule --------------------------------------------------------------------------------- */

/* A memory backend in QEMU's process. */
struct block {
	const struct cmdline_backend *backend; /* NULL: the default backend, anonymous memory */
	uint64_t size;
	uint64_t host;
};

static bool is_block(const struct mapping *mapping, const struct block *block)
{
	const struct cmdline_backend *backend = block->backend;

	if (mapping->end - mapping->start != block->size || !mapping->writable)
		return false;
	if (backend && backend->path)
		/* If mem-path is a directory (hugetlbfs), QEMU has created a file in it. */
		return mapping->inode &&
		       !strncmp(mapping->path, backend->path, strlen(backend->path));
	if (backend && backend->share)
		return mapping->shared;
	return !mapping->inode && !mapping->shared;
}

static struct nunchi_error *find_block(const struct maps *maps, struct block *block)
{
	size_t found = 0;

	for (size_t i = 0; i < maps->count; i++) {
		if (!is_block(&maps->entries[i], block))
			continue;
		block->host = maps->entries[i].start;
		found++;
	}
	if (found == 1)
		return NULL;
	return error_create(NUNCHI_ERROR_UNSUPPORTED,
			    found ? "several mappings of QEMU's could be its memory of %" PRIu64
				    " MiB"
				  : "no mapping of QEMU's could be its memory of %" PRIu64 " MiB",
			    block->size >> 20);
}

/* Lists the backends that form the RAM at start, in their order. */
static struct nunchi_error *list_blocks(const struct cmdline *cmdline,
					struct block blocks[CMDLINE_BACKENDS_MAX],
					size_t *ret_count)
{
	uint64_t total = 0;

	if (!cmdline->node_count || !cmdline->node_backends[0]) {
		const char *id = cmdline->main_backend;

		blocks[0] = (struct block){.backend = id ? cmdline_backend(cmdline, id) : NULL,
					   .size = cmdline->memory};
		*ret_count = 1;
		return NULL;
	}
	for (size_t i = 0; i < cmdline->node_count; i++) {
		const char *id = cmdline->node_backends[i];
		const struct cmdline_backend *backend = id ? cmdline_backend(cmdline, id) : NULL;

		if (!backend || __builtin_add_overflow(total, backend->size, &total))
			return error_create(NUNCHI_ERROR_UNSUPPORTED,
					    "NUMA node %zu has no memory backend", i);
		blocks[i] = (struct block){.backend = backend, .size = backend->size};
	}
	if (total != cmdline->memory)
		return error_create(
		    NUNCHI_ERROR_UNSUPPORTED,
		    "the sizes of the NUMA nodes do not add up to the size of the memory");
	*ret_count = cmdline->node_count;
	return NULL;
}

/*
 * Adds the part of a range that lies in a block; `base` is the block's offset in the RAM as a
 * whole.
 */
static struct nunchi_error *add_overlap(struct mapper *mapper, const struct layout_range *range,
					const struct block *block, uint64_t base)
{
	uint64_t start = range->offset > base ? range->offset : base;
	uint64_t range_end = range->offset + range->size, block_end = base + block->size;
	uint64_t end = range_end < block_end ? range_end : block_end;
	struct ram_piece piece;

	if (start >= end)
		return NULL;
	piece = (struct ram_piece){.start = range->start + (start - range->offset),
				   .size = end - start,
				   .host = block->host + (start - base)};
	return ram_add(mapper->memory, mapper->host, &mapper->qemu->monitor, &piece, mapper->allow,
		       &mapper->ways);
}

static struct nunchi_error *add_by_rule(struct mapper *mapper)
{
	const struct cmdline *cmdline = &mapper->qemu->process.cmdline;
	const struct maps *maps = ram_host_maps(mapper->host);
	struct block blocks[CMDLINE_BACKENDS_MAX];
	struct layout_range ranges[2];
	size_t range_count = 0, block_count = 0;
	uint64_t base = 0;
	struct nunchi_error *err = layout_of(cmdline, ranges, &range_count);

	if (err)
		return err;
	if (!maps)
		return error_hint(error_of_host(error_create(NUNCHI_ERROR_PERMISSION,
							     "the mappings of process %d may not "
							     "be read by this user",
							     mapper->qemu->process.pid)),
				  "run as root, or as the user QEMU runs as");
	err = list_blocks(cmdline, blocks, &block_count);
	for (size_t i = 0; !err && i < block_count; i++) {
		err = find_block(maps, &blocks[i]);
		for (size_t j = 0; !err && j < range_count; j++)
			err = add_overlap(mapper, &ranges[j], &blocks[i], base);
		base += blocks[i].size;
	}
	return err;
}

static void note_rule(struct qemu_target *qemu, const char *why)
{
	target_note(&qemu->base,
		    "uncertain: QEMU did not tell the memory layout (%s), so nunchi derived it "
		    "from QEMU's command line and the sizes of its mappings",
		    why);
	if (qemu->process.cmdline.has_slots)
		target_note(&qemu->base, "hot-plugged memory is missing");
}

/* ---- Both ------------------------------------------------------------------------------------ */

static void add_way(struct buffer *text, uint64_t bytes, const char *way)
{
	if (bytes)
		buffer_printf(text, "%s%s (%" PRIu64 " MiB)", text->size ? "; " : "", way,
			      bytes >> 20);
}

static void describe(struct mapper *mapper)
{
	_cleanup_buffer_ struct buffer text = {0};

	buffer_init(&text, 4096);
	add_way(&text, mapper->ways.mapped, "shared memory, mapped without a copy");
	add_way(&text, mapper->ways.file,
		"reads of the file of its memory, whose holes cannot be detected");
	add_way(&text, mapper->ways.process, "reads of QEMU's process memory (/proc/PID/mem)");
	add_way(&text, mapper->ways.monitor,
		"QEMU's monitor (xp), slow: this user may not read QEMU's memory");
	target_set_support(&mapper->qemu->base, TARGET_READ, true, "%s", buffer_string(&text));
}

static struct nunchi_error *add_all(struct mapper *mapper)
{
	struct qemu_target *qemu = mapper->qemu;
	_cleanup_mtree_ struct mtree mtree = {0};
	struct nunchi_error *err;

	if (!qemu->qmp) {
		err = add_by_rule(mapper);
		if (!err)
			note_rule(qemu, qemu->no_qmp);
		return error_hint(err,
				  "QMP could tell where the memory is, but is not available: %s",
				  qemu->no_qmp);
	}
	err = ask_ranges(qemu, &mtree);
	if (!err)
		return add_asked(mapper, &mtree);
	if (error_is(err, NUNCHI_ERROR_CANCELLED) || error_is(err, NUNCHI_ERROR_GONE))
		return err;
	_cleanup_error_ struct nunchi_error *unasked = err;
	err = add_by_rule(mapper);
	if (!err)
		note_rule(qemu, nunchi_error_message(unasked));
	return err;
}

struct nunchi_error *qemu_map_memory(struct qemu_target *qemu, bool sigbus_guard,
				     const struct qemu_limits *limits)
{
	struct mapper mapper = {.qemu = qemu, .allow = RAM_ALLOW_ALL & ~limits->forbid_ways};
	struct nunchi_error *err = memory_create(sigbus_guard, &mapper.memory);

	if (err)
		return err;
	/* From here on the target owns the memory. */
	qemu->base.memory = mapper.memory;
	err = ram_host_create(qemu->process.pid, &mapper.host);
	if (!err)
		err = add_all(&mapper);
	ram_host_unref(mapper.host);
	if (!err)
		err = memory_seal(mapper.memory);
	if (!err)
		describe(&mapper);
	return err;
}
