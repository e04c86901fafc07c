/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/printk.h"

/*
 * Limits of the sizes. CONFIG_LOG_BUF_SHIFT is at most 25, log_buf_len= on the command line at most
 * 2 GiB. There is one descriptor for 32 bytes of text (PRB_AVGBITS).
 */
#define MAX_LOG_BITS   31
#define MAX_COUNT_BITS 26
/* A line has about 1,000 bytes at most (LOG_LINE_MAX and others); a text length is a u16. */
#define MAX_TEXT 65536

/* A value of enum desc_state, which is in the two highest bits of prb_desc.state_var. */
#define DESC_FINALIZED 2
#define DESC_REUSABLE  3
/* At either end of the log, descriptors that are being written or reused. */
#define MAX_UNSETTLED 16

/* Bit 0 of a position is set if the data block failed or has no text. */
#define LPOS_DATALESS 1
/* The value of both positions of a record whose text was lost because there was no room. */
#define LPOS_FAILED 1

static struct nunchi_error *unsupported(const char *what)
{
	return error_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
				       "the kernel's log cannot be read; missing: %s", what),
			  "give the kernel's System.map with --symbols and its types with --types");
}

/* The name of a missing symbol that reading the log of kernels before 5.10 needs, or NULL. */
static const char *missing_symbol(const struct linux_kernel *kernel)
{
	static const struct {
		enum linux_symbol symbol;
		const char *name;
	} needed[] = {
	    {LINUX_log_buf, "the symbol log_buf"},
	    {LINUX_log_buf_len, "the symbol log_buf_len"},
	    {LINUX_log_first_idx, "the symbol log_first_idx"},
	    {LINUX_log_next_idx, "the symbol log_next_idx"},
	    {LINUX_log_first_seq, "the symbol log_first_seq"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		if (!kernel->symbol[needed[i].symbol])
			return needed[i].name;
	}
	return NULL;
}

static bool has_plain_layout(const struct layout *layout)
{
	return layout->printk_log_time.present && layout->printk_log_size.present &&
	       layout->printk_log_length.present && layout->printk_log_facility.present &&
	       layout->printk_log_level.present && layout->size[LAYOUT_printk_log];
}

static bool has_ring_layout(const struct layout *layout)
{
	return layout->printk_ring_count_bits.present && layout->printk_ring_descs.present &&
	       layout->printk_ring_infos.present && layout->printk_ring_head_id.present &&
	       layout->printk_ring_tail_id.present && layout->printk_ring_size_bits.present &&
	       layout->printk_ring_data.present && layout->prb_desc_state.present &&
	       layout->prb_desc_begin.present && layout->prb_desc_next.present &&
	       layout->printk_info_seq.present && layout->printk_info_time.present &&
	       layout->printk_info_length.present && layout->printk_info_facility.present &&
	       layout->printk_info_level.present && layout->size[LAYOUT_prb_desc] &&
	       layout->size[LAYOUT_printk_info];
}

static struct nunchi_error *init_plain(struct linux_log *log)
{
	struct linux_kernel *kernel = log->kernel;
	const char *missing = missing_symbol(kernel);
	uint32_t length, first, next;

	if (missing)
		return unsupported(missing);
	if (!has_plain_layout(linux_layout(kernel, LAYOUT_GROUP_log)))
		return unsupported("the layout of its records");
	if (linux_read_word(kernel, kernel->symbol[LINUX_log_buf], &log->buffer) != READ_OK ||
	    linux_read_u32(kernel, kernel->symbol[LINUX_log_buf_len], &length) != READ_OK ||
	    linux_read_u32(kernel, kernel->symbol[LINUX_log_first_idx], &first) != READ_OK ||
	    linux_read_u32(kernel, kernel->symbol[LINUX_log_next_idx], &next) != READ_OK ||
	    linux_read_u64(kernel, kernel->symbol[LINUX_log_first_seq], &log->next_seq) != READ_OK)
		return error_create_at(NUNCHI_ERROR_FAULT, kernel->symbol[LINUX_log_buf],
				       "the kernel's log cannot be read");
	if (length > (uint32_t)1 << MAX_LOG_BITS || first > length || next > length)
		return error_create_at(NUNCHI_ERROR_DATA, kernel->symbol[LINUX_log_buf],
				       "the kernel's log has an impossible size");
	log->plain = true;
	log->size = length;
	log->at = first;
	log->end = next;
	log->left = length / 16; /* a record is not smaller than its header */
	return NULL;
}

/* Whether the descriptor of this id has a finished record of it. */
static bool has_record(const struct linux_log *log, uint64_t id)
{
	const struct layout *layout = &log->kernel->layout;
	unsigned flag_shift = log->kernel->word_size * 8 - 2;
	uint64_t address = object_u64(&log->ring, &layout->printk_ring_descs) +
			   (id & (log->count - 1)) * layout->size[LAYOUT_prb_desc];
	uint64_t state;

	return linux_read_field(log->kernel, address, &layout->prb_desc_state, &state) == READ_OK &&
	       state == ((uint64_t)DESC_FINALIZED << flag_shift | id);
}

struct nunchi_error *linux_log_init(struct linux_log *log, struct linux_kernel *kernel)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_log);
	enum read_result result;
	uint64_t ring, id_mask = kernel->word_size == 8 ? UINT64_MAX >> 2 : UINT32_MAX >> 2;

	*log = (struct linux_log){.kernel = kernel};
	if (!kernel->types)
		return unsupported("the kernel's types");
	if (!kernel->symbol[LINUX_prb])
		return kernel->symbol[LINUX_log_first_idx] ? init_plain(log)
							   : unsupported("the symbol prb");
	if (!has_ring_layout(layout))
		return unsupported("the layout of the ring");
	result = linux_read_word(kernel, kernel->symbol[LINUX_prb], &ring);
	if (result == READ_OK)
		result = linux_read_object(kernel, LAYOUT_printk_ring, ring, &log->ring);
	if (result != READ_OK) {
		linux_log_deinit(log);
		if (result == READ_NO_MEMORY)
			return &error_nomem;
		return error_create_at(NUNCHI_ERROR_FAULT, kernel->symbol[LINUX_prb],
				       "the kernel's log cannot be read: %s",
				       read_result_string(result));
	}
	if (object_u64(&log->ring, &layout->printk_ring_count_bits) > MAX_COUNT_BITS ||
	    object_u64(&log->ring, &layout->printk_ring_size_bits) > MAX_LOG_BITS) {
		linux_log_deinit(log);
		return error_create_at(NUNCHI_ERROR_DATA, ring,
				       "the kernel's log has an impossible size");
	}
	log->count = (uint64_t)1 << object_u64(&log->ring, &layout->printk_ring_count_bits);
	log->size = (uint64_t)1 << object_u64(&log->ring, &layout->printk_ring_size_bits);
	log->at = object_u64(&log->ring, &layout->printk_ring_tail_id) & id_mask;
	log->end = (object_u64(&log->ring, &layout->printk_ring_head_id) + 1) & id_mask;
	log->left = log->count;
	/* Behind either end there must be no record of the same lap. */
	if (!kernel->guest.live &&
	    (has_record(log, (log->at - 1) & id_mask) || has_record(log, log->end))) {
		log->unread++;
		log->why_unread = READ_BAD_DATA;
	}
	return NULL;
}

void linux_log_deinit(struct linux_log *log)
{
	object_deinit(&log->ring);
}

static enum read_result read_text(struct linux_kernel *kernel, uint64_t address, uint64_t length,
				  struct buffer *text)
{
	enum read_result fault;
	char *to;

	buffer_clear(text);
	if (length > MAX_TEXT)
		length = MAX_TEXT;
	to = buffer_reserve(text, length);
	if (!to)
		return READ_NO_MEMORY;
	fault = linux_read(kernel, address, to, length);
	if (fault == READ_OK)
		text->size = length;
	return fault;
}

/*
 * Reads the text of a block, which begins with a word that holds the descriptor's id. A block that
 * would cross the end of the ring is at the start of the ring instead.
 */
static enum read_result read_block(struct linux_log *log, uint64_t id, const struct object *desc,
				   uint64_t length, struct buffer *text)
{
	const struct layout *layout = &log->kernel->layout;
	uint64_t begin = object_u64(desc, &layout->prb_desc_begin);
	uint64_t next = object_u64(desc, &layout->prb_desc_next);
	uint64_t data = object_u64(&log->ring, &layout->printk_ring_data);
	uint64_t start = begin & (log->size - 1), size, word = log->kernel->word_size, owner;
	/* Positions are of type long and wrap around. */
	uint64_t most = word == 8 ? UINT64_MAX : UINT32_MAX;
	uint64_t laps = (((next - 1) & most) / log->size - begin / log->size) & most / log->size;
	enum read_result result;

	buffer_clear(text);
	if (begin & LPOS_DATALESS || next & LPOS_DATALESS)
		return READ_OK;
	if (laps > 1)
		return READ_BAD_DATA;
	if (laps == 0) {
		size = (next - begin) & most;
	} else {
		start = 0;
		size = next & (log->size - 1);
	}
	if (size <= word || size > log->size - start)
		return READ_BAD_DATA;
	result = linux_read_word(log->kernel, data + start, &owner);
	if (result != READ_OK)
		return result;
	if (owner != id)
		return READ_BAD_DATA;
	if (length > size - word)
		length = size - word;
	return read_text(log->kernel, data + start + word, length, text);
}

/*
 * What a descriptor without a finished record of this id means. The kernel leaves some at the ends
 * of the log; between them the log of a guest that stands still has none.
 */
static enum read_result no_record(const struct linux_log *log, uint64_t id, uint64_t found,
				  uint64_t state)
{
	uint64_t passed = log->count - log->left;
	/* Ids wrap below the two flags of the state. */
	uint64_t id_mask = ((uint64_t)1 << (log->kernel->word_size * 8 - 2)) - 1;

	if (log->kernel->guest.live)
		return READ_NONE;
	if (found == id && state == DESC_REUSABLE && passed <= MAX_UNSETTLED)
		return READ_NONE;
	if (found == id && state < DESC_FINALIZED && ((log->end - id) & id_mask) <= MAX_UNSETTLED)
		return READ_NONE;
	return READ_BAD_DATA;
}

/* Reads one descriptor. READ_NONE if it contains no finished record with this id. */
static enum read_result read_descriptor(struct linux_log *log, uint64_t id,
					struct linux_log_record *ret, struct buffer *text)
{
	struct linux_kernel *kernel = log->kernel;
	const struct layout *layout = &kernel->layout;
	_cleanup_object_ struct object desc = {0}, info = {0};
	uint64_t index = id & (log->count - 1), state, again;
	unsigned flag_shift = kernel->word_size * 8 - 2;
	uint64_t address = object_u64(&log->ring, &layout->printk_ring_descs) +
			   index * layout->size[LAYOUT_prb_desc];
	enum read_result result = linux_read_object(kernel, LAYOUT_prb_desc, address, &desc);

	if (result != READ_OK)
		return result;
	state = object_u64(&desc, &layout->prb_desc_state);
	if (state >> flag_shift != DESC_FINALIZED ||
	    (state & (((uint64_t)1 << flag_shift) - 1)) != id)
		return no_record(log, id, state & (((uint64_t)1 << flag_shift) - 1),
				 state >> flag_shift);
	if (object_u64(&desc, &layout->prb_desc_begin) == LPOS_FAILED &&
	    object_u64(&desc, &layout->prb_desc_next) == LPOS_FAILED)
		return READ_NONE;
	result = linux_read_object(kernel, LAYOUT_printk_info,
				   object_u64(&log->ring, &layout->printk_ring_infos) +
				       index * layout->size[LAYOUT_printk_info],
				   &info);
	if (result != READ_OK)
		return result;
	*ret = (struct linux_log_record){
	    .seq = object_u64(&info, &layout->printk_info_seq),
	    .time_ns = object_u64(&info, &layout->printk_info_time),
	    .facility = (unsigned)object_u64(&info, &layout->printk_info_facility),
	    .level = (unsigned)object_u64(&info, &layout->printk_info_level),
	    .caller = object_u64(&info, &layout->printk_info_caller),
	    .has_caller = layout->printk_info_caller.present,
	};
	ret->text_fault =
	    read_block(log, id, &desc, object_u64(&info, &layout->printk_info_length), text);
	/* If the kernel reused the descriptor meanwhile, all data belongs to another record. */
	result = linux_read_field(kernel, address, &layout->prb_desc_state, &again);
	return result == READ_OK && again != state ? READ_NONE : result;
}

/*
 * Finds the record at log->at, or at the start of the buffer if the rest of the buffer is unused.
 * False if there is none; log->broken is set if there should be one.
 */
static bool find_plain(struct linux_log *log, struct object *record)
{
	struct linux_kernel *kernel = log->kernel;

	for (;;) {
		if (log->broken || log->at == log->end || cancel_requested(kernel->guest.cancel))
			return false;
		if (!log->left || log->at >= log->size) {
			log->broken = READ_BAD_DATA;
			return false;
		}
		/* Where the next record begins is known from the size of this one only. */
		log->broken =
		    linux_read_object(kernel, LAYOUT_printk_log, log->buffer + log->at, record);
		if (log->broken)
			return false;
		log->left--;
		if (object_u64(record, &kernel->layout.printk_log_size))
			return true;
		if (!log->at) {
			log->broken = READ_BAD_DATA;
			return false;
		}
		log->at = 0;
	}
}

static bool next_plain(struct linux_log *log, struct linux_log_record *ret, struct buffer *text)
{
	struct linux_kernel *kernel = log->kernel;
	const struct layout *layout = &kernel->layout;
	_cleanup_object_ struct object record = {0};
	uint64_t header = layout->size[LAYOUT_printk_log], size, length;

	if (!find_plain(log, &record))
		return false;
	size = object_u64(&record, &layout->printk_log_size);
	length = object_u64(&record, &layout->printk_log_length);
	*ret = (struct linux_log_record){
	    .seq = log->next_seq++,
	    .time_ns = object_u64(&record, &layout->printk_log_time),
	    .facility = (unsigned)object_u64(&record, &layout->printk_log_facility),
	    .level = (unsigned)object_u64(&record, &layout->printk_log_level),
	    .caller = object_u64(&record, &layout->printk_log_caller),
	    .has_caller = layout->printk_log_caller.present,
	};
	/* The text must lie within the record, and the record within the buffer. */
	if (size > log->size - log->at || header > size || length > size - header) {
		buffer_clear(text);
		ret->text_fault = READ_BAD_DATA;
	} else {
		ret->text_fault = read_text(kernel, log->buffer + log->at + header, length, text);
	}
	log->at += size;
	return true;
}

bool linux_log_next(struct linux_log *log, struct linux_log_record *ret, struct buffer *text)
{
	uint64_t id_mask = log->kernel->word_size == 8 ? UINT64_MAX >> 2 : UINT32_MAX >> 2;

	if (log->plain)
		return next_plain(log, ret, text);
	while (log->at != log->end && log->left && !cancel_requested(log->kernel->guest.cancel)) {
		uint64_t id = log->at;
		enum read_result result;

		log->at = (id + 1) & id_mask;
		log->left--;
		result = read_descriptor(log, id, ret, text);
		if (result == READ_OK)
			return true;
		if (result != READ_NONE) {
			log->unread++;
			log->why_unread = result;
		}
	}
	if (log->at != log->end && !log->left)
		log->broken = READ_BAD_DATA;
	return false;
}
