/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/xen_save.h"

#include "core/bytes.h"
#include "target/file/format.h"
#include "target/file/spans.h"
#include "target/xen/layout.h"

#include <inttypes.h>
#include <string.h>

#define XL_MAGIC      "Xen saved domain, xl format\n \0 \r"
#define LIBVIRT_MAGIC "libvirt-xml\n \0 \r"
#define LIBXL_MAGIC   "LibxlFmt"
#define LIBXC_MAGIC   "\xff\xff\xff\xff\xff\xff\xff\xffXENF"

/* Limit of the HVM context; one with 8192 vCPUs is smaller. */
#define CONTEXT_LIMIT ((uint32_t)64 << 20)
#define BATCH         1024
/* Limit of the records before libxc's stream; Xen writes one. */
#define LIBXL_RECORDS 64

enum {
	XL_MAGIC_SIZE = 32,
	/* magic, byte order, mandatory flags, optional flags, size of the rest */
	XL_HEADER_SIZE = 48,
	XL_BYTE_ORDER = 0x01020304,
	/* mandatory flag: libxl's stream follows; without it, the stream of Xen 4.5 */
	XL_STREAM_V2 = 1 << 1,
	LIBVIRT_MAGIC_SIZE = 16,
	LIBVIRT_HEADER_SIZE = 64, /* magic, version, size of the following XML, unused */
	LIBVIRT_VERSION = 2,      /* after a header of version 1 follows the stream of Xen 4.5 */
	LIBXL_HEADER_SIZE = 16,   /* "LibxlFmt", version, options, big-endian */
	LIBXL_CONTEXT = 0x1,      /* type of the record after which libxc's stream follows */
	LIBXC_HEADER_SIZE = 24,   /* marker, "XENF", version, options, reserved; big-endian */
	DOMAIN_HEADER_SIZE = 16,  /* type, page shift, reserved, Xen's version */
	BIG_ENDIAN_BIT = 1 << 0,  /* in the options of libxl and libxc */
	DOMAIN_PV = 1,
	DOMAIN_HVM = 2,
	RECORD_HEADER_SIZE = 8, /* type, length */
	VCPU_HEADER_SIZE = 8,   /* number, reserved */
};

#define PAGE_NUMBER_MASK ((uint64_t)0x000fffffffffffff)
#define PAGE_TYPE_SHIFT  60

/* States of a row of pages. */
enum page_state { PAGE_SAVED, PAGE_LEFT_OUT, PAGE_GONE };

struct reader {
	const struct source *source;
	struct xen_save *save;
	/* by frame number, in the order of the stream; the tag is enum page_state */
	struct spans pages;
	uint64_t at; /* offset of the next record */
	bool ended;  /* the last record was read, or the result says why the reading ended */
};

void xen_save_deinit(struct xen_save *save)
{
	extents_deinit(&save->extents);
	xen_vcpus_deinit(&save->vcpus);
}

static bool starts_with(const void *start, size_t size, const char *magic, size_t magic_size)
{
	return size >= magic_size && !memcmp(start, magic, magic_size);
}

bool xen_save_matches(const void *start, size_t size)
{
	return starts_with(start, size, XL_MAGIC, XL_MAGIC_SIZE) ||
	       starts_with(start, size, LIBVIRT_MAGIC, LIBVIRT_MAGIC_SIZE) ||
	       starts_with(start, size, LIBXL_MAGIC, 8) ||
	       starts_with(start, size, LIBXC_MAGIC, 12);
}

/* ---- Headers --------------------------------------------------------------------------------- */

static struct nunchi_error *too_old(void)
{
	return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
				       "the guest was saved by Xen 4.5 or older, in a format that "
				       "had no version yet"),
			  "restore it on Xen 4.6 or later and save it again");
}

static struct nunchi_error *skip_libvirt(struct reader *reader)
{
	uint8_t header[LIBVIRT_HEADER_SIZE];
	struct nunchi_error *err =
	    source_read(reader->source, 0, header, sizeof(header), "libvirt's header");

	if (err)
		return err;
	if (load_le32(header + LIBVIRT_MAGIC_SIZE) != LIBVIRT_VERSION)
		return too_old();
	reader->at = LIBVIRT_HEADER_SIZE + (uint64_t)load_le32(header + LIBVIRT_MAGIC_SIZE + 4);
	return NULL;
}

static struct nunchi_error *skip_xl(struct reader *reader)
{
	uint8_t header[XL_HEADER_SIZE];
	struct nunchi_error *err =
	    source_read(reader->source, 0, header, sizeof(header), "xl's header");

	if (err)
		return err;
	if (load_le32(header + XL_MAGIC_SIZE) != XL_BYTE_ORDER)
		return error_create(NUNCHI_ERROR_DATA,
				    "xl's header has byte order 0x%08" PRIx32 ", not 0x%08x",
				    load_le32(header + XL_MAGIC_SIZE), XL_BYTE_ORDER);
	if (!(load_le32(header + XL_MAGIC_SIZE + 4) & XL_STREAM_V2))
		return too_old();
	reader->at = XL_HEADER_SIZE + (uint64_t)load_le32(header + XL_MAGIC_SIZE + 12);
	return NULL;
}

/* Skips the header of the program that saved the guest, if there is one. */
static struct nunchi_error *skip_wrapping(struct reader *reader)
{
	uint8_t start[LIBXC_HEADER_SIZE];
	struct nunchi_error *err =
	    source_read(reader->source, 0, start, sizeof(start), "the header of the stream");

	if (err)
		return err;
	if (starts_with(start, sizeof(start), XL_MAGIC, sizeof(start)))
		return skip_xl(reader);
	if (starts_with(start, sizeof(start), LIBVIRT_MAGIC, LIBVIRT_MAGIC_SIZE))
		return skip_libvirt(reader);
	return NULL;
}

/* Reads the header of a record; *ret_after is the offset of the next record. */
static struct nunchi_error *read_record(const struct reader *reader, uint32_t *ret_type,
					uint32_t *ret_length, uint64_t *ret_after)
{
	uint8_t header[RECORD_HEADER_SIZE];
	struct nunchi_error *err =
	    source_read(reader->source, reader->at, header, sizeof(header), "a record's header");

	if (err)
		return err;
	*ret_type = load_le32(header);
	*ret_length = load_le32(header + 4);
	*ret_after = reader->at + sizeof(header) + (((uint64_t)*ret_length + 7) & ~(uint64_t)7);
	return NULL;
}

static struct nunchi_error *check_stream(const char *what, uint32_t version, unsigned low,
					 unsigned high, uint32_t options)
{
	if (version < low || version > high)
		return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					       "%s has version %" PRIu32 "; known are %u to %u",
					       what, version, low, high),
				  "it is of a Xen that nunchi does not know yet, or damaged");
	if (options & BIG_ENDIAN_BIT)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "%s is big-endian; only x86 guests can be read", what);
	return NULL;
}

/* Skips libxl's header and records, up to the start of libxc's stream. */
static struct nunchi_error *skip_libxl(struct reader *reader)
{
	uint8_t header[LIBXL_HEADER_SIZE];
	uint32_t type, length;
	uint64_t after;
	struct nunchi_error *err = source_read(reader->source, reader->at, header, sizeof(header),
					       "the header of the stream");
	unsigned i = 0;

	if (err || !starts_with(header, sizeof(header), LIBXL_MAGIC, 8))
		return err;
	err = check_stream("libxl's stream", load_be32(header + 8), 1, 2, load_be32(header + 12));
	if (err)
		return err;
	reader->at += LIBXL_HEADER_SIZE;
	do {
		err = read_record(reader, &type, &length, &after);
		if (err)
			return err;
		if (type == XEN_SAVE_END || i++ == LIBXL_RECORDS)
			return error_create(
			    NUNCHI_ERROR_DATA,
			    "libxl's stream has none of libxc, with the memory, up to "
			    "offset 0x%" PRIx64,
			    reader->at);
		reader->at = after;
	} while (type != LIBXL_CONTEXT);
	return NULL;
}

static struct nunchi_error *read_domain(struct reader *reader)
{
	uint8_t bytes[LIBXC_HEADER_SIZE + DOMAIN_HEADER_SIZE];
	const uint8_t *domain = bytes + LIBXC_HEADER_SIZE;
	struct xen_save *save = reader->save;
	struct nunchi_error *err = source_read(reader->source, reader->at, bytes, sizeof(bytes),
					       "the header of libxc's stream");

	if (err)
		return err;
	if (!starts_with(bytes, sizeof(bytes), LIBXC_MAGIC, 12))
		return error_create(NUNCHI_ERROR_DATA,
				    "libxc's stream should begin at offset 0x%" PRIx64
				    ", but its mark is not there",
				    reader->at);
	save->stream_version = load_be32(bytes + 12);
	err = check_stream("libxc's stream", save->stream_version, 2, 3, load_be16(bytes + 16));
	if (err)
		return err;
	if (load_le32(domain) != DOMAIN_PV && load_le32(domain) != DOMAIN_HVM)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "the guest is of type %" PRIu32 "; known are PV (1), HVM (2)",
				    load_le32(domain));
	if (load_le16(domain + 4) != PAGE_SHIFT)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "the guest's pages have 2^%u bytes, not 2^%u",
				    load_le16(domain + 4), PAGE_SHIFT);
	save->kind = load_le32(domain) == DOMAIN_PV ? XEN_GUEST_PV : XEN_GUEST_HVM;
	save->xen_major = load_le32(domain + 8);
	save->xen_minor = load_le32(domain + 12);
	reader->at += sizeof(bytes);
	return NULL;
}

/* ---- Pages ----------------------------------------------------------------------------------- */

/* Ends the reading; `why` is reported in the result. */
static struct nunchi_error *stop(struct reader *reader, const char *why)
{
	reader->save->ending = why;
	reader->save->end = reader->at;
	reader->ended = true;
	return NULL;
}

/* Extends the last row by a page, or begins another row. */
static struct nunchi_error *add_page(struct reader *reader, uint64_t number, enum page_state state,
				     uint64_t position)
{
	struct spans *pages = &reader->pages;
	struct span *last = pages->count ? &pages->items[pages->count - 1] : NULL;
	uint64_t start = number << PAGE_SHIFT;

	if (last && last->tag == state && last->start + last->size == start &&
	    (state != PAGE_SAVED || last->position + last->size == position)) {
		last->size += PAGE_SIZE;
		return NULL;
	}
	if (pages->count >= XEN_SAVE_RUN_LIMIT)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "the stream has its pages in more than %zu runs, up to offset "
				    "0x%" PRIx64,
				    XEN_SAVE_RUN_LIMIT, reader->at);
	return spans_append(pages, (struct span){.start = start,
						 .size = PAGE_SIZE,
						 .position = position,
						 .tag = state})
		   ? NULL
		   : &error_nomem;
}

/* Gets the state of a page from its type; false if Xen has no such type. */
static bool page_state(unsigned type, enum page_state *ret)
{
	if (type == XEN_PAGE_NONE)
		*ret = PAGE_GONE;
	else if (type == XEN_PAGE_BROKEN || type == XEN_PAGE_ALLOCATED)
		*ret = PAGE_LEFT_OUT;
	else if (type <= XEN_PAGE_L4_TABLE ||
		 (type > XEN_PAGE_PINNED && type <= (XEN_PAGE_PINNED | XEN_PAGE_L4_TABLE)))
		*ret = PAGE_SAVED;
	else
		return false;
	return true;
}

/*
 * Walks over the pages of a record; *data is the offset of the bytes of the next page. First called
 * with add = false to check all types, because the types determine which pages have bytes in the
 * record; then pages are added.
 */
static struct nunchi_error *walk_pages(struct reader *reader, uint64_t count, bool add,
				       uint64_t *data, bool *ret_sound)
{
	uint64_t table = reader->at + RECORD_HEADER_SIZE + 8;
	uint8_t batch[BATCH * 8];

	*ret_sound = false;
	for (uint64_t i = 0; i < count; i += BATCH) {
		size_t n = count - i < BATCH ? (size_t)(count - i) : BATCH;
		struct nunchi_error *err =
		    source_read(reader->source, table + i * 8, batch, n * 8, "page numbers");

		for (size_t j = 0; j < n && !err; j++) {
			uint64_t entry = load_le64(batch + j * 8);
			uint64_t number = entry & PAGE_NUMBER_MASK;
			enum page_state state;

			if (!page_state((unsigned)(entry >> PAGE_TYPE_SHIFT), &state) ||
			    number >= EXTENT_ADDRESS_LIMIT >> PAGE_SHIFT)
				return NULL;
			if (add)
				err = add_page(reader, number, state, *data);
			if (state == PAGE_SAVED)
				*data += PAGE_SIZE;
		}
		if (err)
			return err;
	}
	*ret_sound = true;
	return NULL;
}

static struct nunchi_error *take_pages(struct reader *reader, uint32_t length)
{
	uint64_t body = reader->at + RECORD_HEADER_SIZE, first, data;
	struct nunchi_error *err;
	uint8_t count_bytes[4];
	uint32_t count;
	bool sound;

	err = source_read(reader->source, body, count_bytes, sizeof(count_bytes),
			  "the number of pages");
	if (err)
		return err;
	count = load_le32(count_bytes);
	if (length < 8 || !count || count > (length - 8) / 8)
		return stop(reader, "a record of pages has an impossible number of them");
	first = data = body + 8 + (uint64_t)count * 8;
	err = walk_pages(reader, count, false, &data, &sound);
	if (err)
		return err;
	if (!sound || data != body + length)
		return stop(reader, "a record of pages is damaged");
	return walk_pages(reader, count, true, &first, &sound);
}

/* ---- Other records --------------------------------------------------------------------------- */

static struct nunchi_error *take_vcpu(struct reader *reader, uint32_t length)
{
	size_t size = xen_context_size(reader->save->kind);
	uint8_t body[VCPU_HEADER_SIZE + XEN_PV_CPU_SIZE];
	struct x86_registers registers;
	struct nunchi_error *err;

	if (reader->save->kind == XEN_GUEST_HVM || length < VCPU_HEADER_SIZE + size)
		return stop(reader, "a record of a vCPU has an impossible size");
	err = source_read(reader->source, reader->at + RECORD_HEADER_SIZE, body,
			  VCPU_HEADER_SIZE + size, "the registers of a vCPU");
	if (err)
		return err;
	if (load_le32(body) >= XEN_VCPU_LIMIT)
		return stop(reader, "a record of a vCPU has an impossible number");
	registers = xen_cpu_from_context(body + VCPU_HEADER_SIZE, reader->save->kind);
	return xen_vcpus_set(&reader->save->vcpus, load_le32(body), &registers);
}

static struct nunchi_error *take_context(struct reader *reader, uint32_t length)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	struct nunchi_error *err;
	bool whole;

	if (length > CONTEXT_LIMIT)
		return stop(reader, "the HVM context has an impossible size");
	/* Check this before malloc(), because the length may be forged. */
	if (reader->at + RECORD_HEADER_SIZE + length > reader->source->size)
		return stop(reader,
			    "the file ends within the HVM context, which has the registers");
	bytes = malloc((size_t)length + 1);
	if (!bytes)
		return &error_nomem;
	err = source_read(reader->source, reader->at + RECORD_HEADER_SIZE, bytes, length,
			  "the HVM context");
	if (!err)
		err = xen_hvm_context_decode(bytes, length, &reader->save->vcpus, &whole);
	if (!err)
		reader->save->context_damaged = !whole;
	return err;
}

static struct nunchi_error *take_info(struct reader *reader, uint32_t length)
{
	uint8_t width;
	struct nunchi_error *err;

	if (reader->save->kind == XEN_GUEST_HVM || !length)
		return NULL;
	err = source_read(reader->source, reader->at + RECORD_HEADER_SIZE, &width, 1,
			  "what PV guest it is");
	if (!err && width == 4)
		reader->save->kind = XEN_GUEST_PV32;
	return err;
}

static struct nunchi_error *take_record(struct reader *reader, uint32_t type, uint32_t length)
{
	switch (type) {
	case XEN_SAVE_END:
		reader->ended = reader->save->whole = true;
		return NULL;
	case XEN_SAVE_CHECKPOINT:
		/*
		 * A checkpoint is followed by libxl's records and by the pages that changed since:
		 * Remus and COLO.
		 */
		reader->save->whole = true;
		return stop(reader,
			    "the stream is of checkpoints, of which only the first is used");
	case XEN_SAVE_PAGE_DATA:
		return take_pages(reader, length);
	case XEN_SAVE_PV_INFO:
		return take_info(reader, length);
	case XEN_SAVE_PV_VCPU_BASIC:
		return take_vcpu(reader, length);
	case XEN_SAVE_HVM_CONTEXT:
		return take_context(reader, length);
	default:
		if (type > XEN_SAVE_LAST_KNOWN && !(type & XEN_SAVE_OPTIONAL) &&
		    !reader->save->unknown_record)
			reader->save->unknown_record = reader->at;
		return NULL;
	}
}

static struct nunchi_error *read_records(struct reader *reader)
{
	for (size_t i = 0; !reader->ended; i++) {
		struct nunchi_error *err;
		uint32_t type, length;
		uint64_t after;

		if (i == XEN_SAVE_RECORD_COUNT_LIMIT)
			return stop(reader, "there are more records than any guest's");
		err = read_record(reader, &type, &length, &after);
		if (!err && length > XEN_SAVE_RECORD_SIZE_LIMIT)
			return stop(reader, "a record has an impossible size");
		if (!err)
			err = take_record(reader, type, length);
		if (error_is(err, NUNCHI_ERROR_TRUNCATED)) {
			nunchi_error_destroy(err);
			return stop(reader, "the file ends within a record");
		}
		if (err)
			return err;
		if (!reader->ended && after > reader->source->size)
			return stop(reader, "the file ends within a record");
		if (!reader->ended)
			reader->at = after;
	}
	return NULL;
}

/* ---- The whole ------------------------------------------------------------------------------- */

/* Makes extents of the rows; drops those of pages that the guest gave back. */
static struct nunchi_error *place(struct reader *reader)
{
	struct xen_save *save = reader->save;
	uint64_t saved = 0, kept = 0;
	struct nunchi_error *err = NULL;

	for (size_t i = 0; i < reader->pages.count; i++)
		saved += reader->pages.items[i].tag == PAGE_SAVED ? reader->pages.items[i].size : 0;
	if (!spans_keep_latest(&reader->pages))
		return &error_nomem;
	for (size_t i = 0; i < reader->pages.count && !err; i++) {
		const struct span *span = &reader->pages.items[i];

		switch ((enum page_state)span->tag) {
		case PAGE_SAVED:
			kept += span->size;
			err = extents_add(&save->extents, span->start, span->size, span->position);
			break;
		case PAGE_LEFT_OUT:
			save->without += span->size;
			err = extents_add_missing(&save->extents, span->start, span->size);
			break;
		case PAGE_GONE:
			break;
		}
	}
	save->repeated = saved - kept;
	return err ? err : extents_normalize(&save->extents, reader->source->size);
}

static void cleanup_reader(struct reader *reader)
{
	spans_deinit(&reader->pages);
}

struct nunchi_error *xen_save_parse(const struct source *source, struct xen_save *ret)
{
	_cleanup_xen_save_ struct xen_save save = {0};
	_cleanup_(cleanup_reader) struct reader reader = {.source = source, .save = &save};
	struct nunchi_error *err;

	err = skip_wrapping(&reader);
	if (!err)
		err = skip_libxl(&reader);
	if (!err)
		err = read_domain(&reader);
	if (!err)
		err = read_records(&reader);
	if (!err)
		err = place(&reader);
	if (err)
		return err;
	if (!save.extents.count)
		return error_create(
		    save.ending ? NUNCHI_ERROR_TRUNCATED : NUNCHI_ERROR_DATA,
		    "the stream holds no page of memory up to offset 0x%" PRIx64 "%s%s", reader.at,
		    save.ending ? ": " : "", save.ending ? save.ending : "");
	*ret = save;
	memset(&save, 0, sizeof(save));
	return NULL;
}

/* ---- The format ------------------------------------------------------------------------------ */

static void note_xen_save(struct file_target *file, const struct xen_save *save)
{
	struct target *target = &file->target;
	uint64_t total = extents_total(&save->extents);
	uint64_t missing = extents_missing(&save->extents) - save->without;

	if (save->ending)
		target_note(target, "%s at offset 0x%" PRIx64 ": what follows is left out",
			    save->ending, save->end);
	file_note_missing(file, missing, total);
	if (save->without)
		target_note(target, "%s of %s of guest memory were not saved by Xen",
			    amount(save->without).text, amount(total).text);
	if (save->unknown_record)
		target_note(target,
			    "a record at offset 0x%" PRIx64 " is of a type that nunchi does not "
			    "know: the file may be of a newer Xen",
			    save->unknown_record);
	if (save->context_damaged)
		target_note(target, "the HVM context is damaged: registers may be missing");
}

static struct nunchi_error *open_xen_save(struct file_target *file, struct source *source)
{
	_cleanup_xen_save_ struct xen_save save = {0};
	struct nunchi_error *err;

	err = xen_save_parse(source, &save);
	if (err)
		return err;
	file->incomplete = !save.whole;
	note_xen_save(file, &save);
	target_set_support(
	    &file->target, TARGET_READ, true,
	    "from the file: %s guest saved by Xen %u.%u (stream version %u)%s%s",
	    xen_guest_kind_string(save.kind), save.xen_major, save.xen_minor, save.stream_version,
	    save.repeated ? "; it ran meanwhile, pages replaced by later copies: " : "",
	    save.repeated ? amount(save.repeated).text : "");
	file_take_vcpus(
	    file, &save.vcpus.items, save.vcpus.count,
	    save.kind == XEN_GUEST_HVM
		? "from the HVM context in the file"
		: "from the vCPUs' records in the file; EFER is not in them and is derived");
	return file_make_memory(file, &save.extents, source);
}

const struct file_format xen_save_format = {
    .format = {"xen-save", "Xen: xl save, virsh save of a Xen guest"},
    .matches = xen_save_matches,
    .open = open_xen_save,
};
