/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/vmware.h"

#include "arch/address.h"
#include "core/array.h"
#include "core/bytes.h"
#include "target/file/format.h"
#include "target/file/hint.h"

#include <inttypes.h>
#include <string.h>

enum {
	HEADER_SIZE = 12, /* magic, version, number of groups */
	GROUP_SIZE = 80,  /* name, position and size of its tags */
	GROUP_NAME_SIZE = 64,
	GROUP_LIMIT = 4096,   /* real files have some hundred */
	TAG_LIMIT = 1 << 20,  /* of all groups, which may lead to the same ones */
	REGION_LIMIT = 64,    /* real files have up to three */
	VCPU_LIMIT = 4096,    /* VMware allows 768 */
	INDEX_LIMIT = 3,      /* of a tag */
	VALUE_PACKED = 62,    /* sizes of values that mean a block */
	VALUE_BLOCK = 63,     /* the same, not compressed */
	GENERAL_SIZE = 128,   /* of the block "gpregs" */
	CONTROL_SIZE = 9 * 8, /* of the block "CR64" */
	TABLE_SIZE = 10,      /* of the block "IDTR": limit and base */
	TAG_SIZE_MAX = 2 + 255 + INDEX_LIMIT * 4 + VALUE_PACKED,
};

#define MAGIC_NARROW     0xbed2bed0 /* sizes of blocks have 32 bits */
#define MAGIC            0xbed2bed2
#define MAGIC_PARTIAL    0xbed3bed3
#define MAGIC_RESTORED   0xbad1bad1
#define MAGIC_NO_RESTORE 0xbad2bad2

#define CR0_PG    0x80000000U
#define CR4_PAE   0x20U
#define EFER_LONG 0x500U /* LME and LMA */

struct tag {
	char name[256];
	uint32_t index[INDEX_LIMIT];
	unsigned index_count;
	uint64_t value; /* 0 if it is a block */
	bool block, packed;
	uint64_t offset; /* of the block's bytes */
	uint64_t size;   /* of the block in the file */
};

struct region {
	uint64_t file_page, page, count;
};

enum {
	SEEN_GENERAL = 1 << 16, /* the block of all of them */
	SEEN_FLAGS = 1 << 17,
	SEEN_RIP = 1 << 18,
	SEEN_CR0 = 1 << 19,
	SEEN_CR2 = 1 << 20,
	SEEN_CR3 = 1 << 21,
	SEEN_CR4 = 1 << 22,
	SEEN_IDT_LOW = 1 << 23,
	SEEN_IDT_HIGH = 1 << 24,
	SEEN_CONTROL = SEEN_CR0 | SEEN_CR3 | SEEN_CR4,
	SEEN_IDT = SEEN_IDT_LOW | SEEN_IDT_HIGH,
	SEEN_SINGLE = (1 << 16) - 1, /* each of them by a tag of its own */
	SEEN_RSP = 1 << 5,
};

struct vcpu {
	struct x86_registers registers;
	uint32_t seen;
};

struct parser {
	const struct source *source;
	bool narrow;
	struct region regions[REGION_LIMIT];
	size_t region_count;
	bool has_memory; /* in the file itself */
	uint64_t memory_offset, memory_size;
	struct vcpu *vcpus;
	size_t vcpu_count, vcpu_capacity;
	unsigned tags; /* number of tags read: several groups may lead to the same */
};

/* In the order of the block "gpregs". */
static const struct {
	const char *name;
	size_t offset;
} general[] = {
#define REGISTER(name)                                                                             \
	{                                                                                          \
#name, offsetof(struct x86_registers, name)                                        \
	}
    REGISTER(rax), REGISTER(rcx), REGISTER(rdx), REGISTER(rbx), REGISTER(rbp), REGISTER(rsp),
    REGISTER(rsi), REGISTER(rdi), REGISTER(r8),  REGISTER(r9),  REGISTER(r10), REGISTER(r11),
    REGISTER(r12), REGISTER(r13), REGISTER(r14), REGISTER(r15),
#undef REGISTER
};

void vmware_deinit(struct vmware *vmware)
{
	extents_deinit(&vmware->extents);
	free(vmware->vcpus);
}

static void cleanup_parser(struct parser *parser)
{
	free(parser->vcpus);
}

bool vmware_matches(const void *start, size_t size)
{
	uint32_t magic = size >= HEADER_SIZE ? load_le32(start) : 0;

	return magic == MAGIC_NARROW || magic == MAGIC || magic == MAGIC_PARTIAL ||
	       magic == MAGIC_RESTORED || magic == MAGIC_NO_RESTORE;
}

/* ---- Tags ------------------------------------------------------------------------------------ */

/* The header of a block, behind the indices: its size here, in memory, and of its padding. */
static bool decode_block(const struct parser *parser, const uint8_t *p, size_t left, uint64_t *at,
			 struct tag *tag)
{
	size_t width = parser->narrow ? 4 : 8, size = 2 * width + 2;

	if (left < size)
		return false;
	tag->size = parser->narrow ? load_le32(p) : load_le64(p);
	tag->offset = *at + size + load_le16(p + 2 * width);
	if (tag->offset > parser->source->size || tag->size > UINT64_MAX - tag->offset)
		return false;
	*at = tag->offset + tag->size;
	return true;
}

static bool decode_tag(const struct parser *parser, const uint8_t *p, size_t left, uint64_t *at,
		       struct tag *ret)
{
	size_t value_size = p[0] & 0x3f, name_size = p[1], size;
	struct tag tag = {.index_count = p[0] >> 6};

	size = 2 + name_size + tag.index_count * sizeof(uint32_t);
	if (left < size)
		return false;
	memcpy(tag.name, p + 2, name_size);
	for (unsigned i = 0; i < tag.index_count; i++)
		tag.index[i] = load_le32(p + 2 + name_size + i * sizeof(uint32_t));
	*at += size;
	p += size;
	left -= size;
	tag.packed = value_size == VALUE_PACKED;
	tag.block = tag.packed || value_size == VALUE_BLOCK;
	if (tag.block) {
		if (!decode_block(parser, p, left, at, &tag))
			return false;
	} else {
		uint8_t value[8] = {0};

		if (left < value_size)
			return false;
		memcpy(value, p, value_size < sizeof(value) ? value_size : sizeof(value));
		tag.value = load_le64(value);
		*at += value_size;
	}
	*ret = tag;
	return true;
}

static void take_memory_tag(struct parser *parser, const struct tag *tag)
{
	uint32_t n = tag->index_count ? tag->index[0] : 0;
	struct region *region = n < REGION_LIMIT ? &parser->regions[n] : NULL;

	if (!strcmp(tag->name, "regionsCount"))
		parser->region_count =
		    tag->value < REGION_LIMIT ? (size_t)tag->value : REGION_LIMIT;
	else if (region && !strcmp(tag->name, "regionPageNum"))
		region->file_page = (uint32_t)tag->value;
	else if (region && !strcmp(tag->name, "regionPPN"))
		region->page = (uint32_t)tag->value;
	else if (region && !strcmp(tag->name, "regionSize"))
		region->count = (uint32_t)tag->value;
}

static struct nunchi_error *take_memory(struct parser *parser, const struct tag *tag)
{
	if (strcmp(tag->name, "Memory") || !tag->block) {
		take_memory_tag(parser, tag);
		return NULL;
	}
	if (tag->packed)
		return file_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					      "the memory in the state of the VMware guest is "
					      "compressed"),
				 parser->source->name, "make a core of it: vmss2core -N FILE");
	parser->has_memory = true;
	parser->memory_offset = tag->offset;
	parser->memory_size = tag->size;
	return NULL;
}

static void set_general(struct vcpu *vcpu, size_t n, uint64_t value)
{
	memcpy((char *)&vcpu->registers + general[n].offset, &value, sizeof(value));
	vcpu->seen |= 1U << n;
}

static void set_control(struct vcpu *vcpu, uint32_t n, uint64_t value)
{
	static const uint32_t seen[] = {SEEN_CR0, 0, SEEN_CR2, SEEN_CR3, SEEN_CR4};
	uint64_t *const place[] = {&vcpu->registers.cr0, NULL, &vcpu->registers.cr2,
				   &vcpu->registers.cr3, &vcpu->registers.cr4};

	if (n >= ARRAY_SIZE(place) || !place[n])
		return;
	*place[n] = value;
	vcpu->seen |= seen[n];
}

static struct nunchi_error *take_block(struct parser *parser, const struct tag *tag,
				       struct vcpu *vcpu)
{
	bool is_general = !strcmp(tag->name, "gpregs") && tag->size == GENERAL_SIZE;
	bool is_control = !strcmp(tag->name, "CR64") && tag->size == CONTROL_SIZE;
	bool is_table = !strcmp(tag->name, "IDTR") && tag->size == TABLE_SIZE;
	struct nunchi_error *err;
	uint8_t bytes[GENERAL_SIZE];

	if (tag->packed || (!is_general && !is_control && !is_table))
		return NULL;
	err = source_read(parser->source, tag->offset, bytes, (size_t)tag->size,
			  "the registers of a vCPU");
	if (err)
		return err;
	for (size_t i = 0; is_general && i < ARRAY_SIZE(general); i++)
		set_general(vcpu, i, load_le64(bytes + i * 8));
	for (uint32_t i = 0; is_control && i < CONTROL_SIZE / 8; i++)
		set_control(vcpu, i, load_le64(bytes + i * sizeof(uint64_t)));
	if (is_table) {
		vcpu->registers.idt_base = load_le64(bytes + 2);
		vcpu->seen |= SEEN_IDT;
	}
	return NULL;
}

static void take_value(const struct tag *tag, struct vcpu *vcpu)
{
	uint32_t part = tag->index_count > 1 ? tag->index[1] : 0;

	for (size_t i = 0; i < ARRAY_SIZE(general); i++) {
		if (!strcmp(tag->name, general[i].name)) {
			set_general(vcpu, i, tag->value);
			return;
		}
	}
	if (!strcmp(tag->name, "rip")) {
		vcpu->registers.rip = tag->value;
		vcpu->seen |= SEEN_RIP;
	} else if (!strcmp(tag->name, "eflags") || !strcmp(tag->name, "EFLAGS")) {
		vcpu->registers.rflags |= (uint32_t)tag->value;
		vcpu->seen |= SEEN_FLAGS;
	} else if (!strcmp(tag->name, "CR64") && tag->index_count > 1) {
		set_control(vcpu, part, tag->value);
	} else if (!strcmp(tag->name, "IDTR") && (part == 1 || part == 2)) {
		vcpu->registers.idt_base |= (uint64_t)(uint32_t)tag->value << (part - 1) * 32;
		vcpu->seen |= part == 1 ? SEEN_IDT_LOW : SEEN_IDT_HIGH;
	}
}

static struct nunchi_error *take_cpu(struct parser *parser, const struct tag *tag)
{
	size_t n = tag->index_count ? tag->index[0] : VCPU_LIMIT;

	if (n >= VCPU_LIMIT)
		return NULL;
	if (n >= parser->vcpu_count) {
		size_t more = n + 1 - parser->vcpu_count;

		if (!ARRAY_RESERVE(parser->vcpus, parser->vcpu_count, parser->vcpu_capacity, more))
			return &error_nomem;
		memset(parser->vcpus + parser->vcpu_count, 0, more * sizeof(*parser->vcpus));
		parser->vcpu_count = n + 1;
	}
	if (tag->block)
		return take_block(parser, tag, &parser->vcpus[n]);
	take_value(tag, &parser->vcpus[n]);
	return NULL;
}

/* A group ends at a tag of two zero bytes; the size of its entry is not relied on. */
static struct nunchi_error *read_group(struct parser *parser, const char *name, uint64_t at)
{
	struct nunchi_error *(*take)(struct parser * parser, const struct tag *tag) =
	    !strcmp(name, "memory") ? take_memory
	    : !strcmp(name, "cpu")  ? take_cpu
				    : NULL;

	while (take) {
		uint64_t left = at < parser->source->size ? parser->source->size - at : 0;
		size_t size = left < TAG_SIZE_MAX ? (size_t)left : TAG_SIZE_MAX;
		uint8_t bytes[TAG_SIZE_MAX];
		struct nunchi_error *err;
		struct tag tag;

		if (size < 2)
			return error_create(NUNCHI_ERROR_TRUNCATED,
					    "the file ends within its group %s", name);
		err = source_read(parser->source, at, bytes, size, "a tag");
		if (err)
			return err;
		if (!bytes[0] && !bytes[1])
			return NULL;
		if (parser->tags++ == TAG_LIMIT)
			return error_create(NUNCHI_ERROR_DATA, "more than %d tags", TAG_LIMIT);
		if (!decode_tag(parser, bytes, size, &at, &tag))
			return error_create(NUNCHI_ERROR_DATA,
					    "a tag of group %s at offset 0x%" PRIx64
					    " is damaged or cut off",
					    name, at);
		err = take(parser, &tag);
		if (err)
			return err;
	}
	return NULL;
}

/* ---- What the tags make ---------------------------------------------------------------------- */

/* Adds the part of a region that the memory of this size, at this offset of its file, contains. */
static struct nunchi_error *add_region(struct vmware *vmware, const struct region *region,
				       uint64_t offset, uint64_t memory_size)
{
	uint64_t size = region->count * PAGE_SIZE, from = region->file_page * PAGE_SIZE;
	uint64_t there = from < memory_size ? memory_size - from : 0;
	struct nunchi_error *err;

	if (there > size)
		there = size;
	err = extents_add(&vmware->extents, region->page * PAGE_SIZE, there, offset + from);
	if (err || there == size)
		return err;
	return extents_add_missing(&vmware->extents, region->page * PAGE_SIZE + there,
				   size - there);
}

static struct nunchi_error *make_extents(const struct parser *parser, uint64_t beside,
					 struct vmware *vmware)
{
	uint64_t size = parser->has_memory ? parser->memory_size : beside;
	uint64_t offset = parser->has_memory ? parser->memory_offset : 0;
	struct region all = {0, 0, size / PAGE_SIZE};
	struct nunchi_error *err = NULL;

	vmware->inside = parser->has_memory;
	if (!parser->region_count)
		err = add_region(vmware, &all, offset, size);
	for (size_t i = 0; i < parser->region_count && !err; i++)
		err = add_region(vmware, &parser->regions[i], offset, size);
	if (err)
		return err;
	return extents_normalize(&vmware->extents,
				 parser->has_memory ? parser->source->size : beside);
}

/* What is not known of a vCPU stays without its flag; one without control registers is offline. */
static struct nunchi_error *make_vcpus(const struct parser *parser, struct vmware *vmware)
{
	bool any = false;

	vmware->vcpus = calloc(parser->vcpu_count, sizeof(*vmware->vcpus));
	if (parser->vcpu_count && !vmware->vcpus)
		return &error_nomem;
	for (size_t i = 0; i < parser->vcpu_count; i++) {
		struct x86_registers *registers = &vmware->vcpus[i];
		uint32_t seen = parser->vcpus[i].seen;

		if ((seen & SEEN_CONTROL) != SEEN_CONTROL)
			continue;
		any = true;
		*registers = parser->vcpus[i].registers;
		registers->has_general = (seen & SEEN_SINGLE) == SEEN_SINGLE && (seen & SEEN_FLAGS);
		registers->has_rip = (seen & SEEN_RIP) && (seen & SEEN_RSP);
		registers->has_cr2 = seen & SEEN_CR2;
		registers->has_idt = (seen & SEEN_IDT) == SEEN_IDT;
		registers->has_efer = registers->has_idt || registers->has_rip;
		if ((registers->cr0 & CR0_PG) && (registers->cr4 & CR4_PAE) &&
		    (registers->idt_base > UINT32_MAX || registers->rip > UINT32_MAX))
			registers->efer = EFER_LONG;
	}
	vmware->vcpu_count = any ? parser->vcpu_count : 0;
	return NULL;
}

struct nunchi_error *vmware_parse(const struct source *source, uint64_t beside, struct vmware *ret)
{
	_cleanup_(cleanup_parser) struct parser parser = {.source = source};
	_cleanup_vmware_ struct vmware vmware = {0};
	uint8_t header[HEADER_SIZE], group[GROUP_SIZE];
	struct nunchi_error *err =
	    source_read(source, 0, header, sizeof(header), "the header of VMware's state");
	uint32_t groups = err ? 0 : load_le32(header + 8);

	if (groups > GROUP_LIMIT)
		return error_create(NUNCHI_ERROR_DATA, "%" PRIu32 " groups are too many", groups);
	parser.narrow = !err && load_le32(header) == MAGIC_NARROW;
	for (uint32_t i = 0; i < groups && !err; i++) {
		char name[GROUP_NAME_SIZE + 1] = "";

		err = source_read(source, HEADER_SIZE + (uint64_t)i * GROUP_SIZE, group,
				  sizeof(group), "the list of groups");
		memcpy(name, group, err ? 0 : GROUP_NAME_SIZE);
		if (!err)
			err = read_group(&parser, name, load_le64(group + GROUP_NAME_SIZE));
	}
	if (!err)
		err = make_extents(&parser, beside, &vmware);
	if (!err)
		err = make_vcpus(&parser, &vmware);
	if (err)
		return err;
	*ret = vmware;
	vmware = (struct vmware){0};
	return NULL;
}

/* ---- The format ------------------------------------------------------------------------------ */

static bool name_beside(const char *path, char *ret, size_t size)
{
	size_t length = strlen(path);

	if (length < 5 || length >= size ||
	    (strcmp(path + length - 5, ".vmss") && strcmp(path + length - 5, ".vmsn")))
		return false;
	memcpy(ret, path, length - 4);
	memcpy(ret + length - 4, "vmem", 5);
	return true;
}

static struct nunchi_error *open_vmware(struct file_target *file, struct source *source)
{
	_cleanup_vmware_ struct vmware vmware = {0};
	struct source memory = source_of_fd(file->beside_fd, file->beside_size);
	struct nunchi_error *err = vmware_parse(source, file->beside_size, &vmware);

	if (err)
		return err;
	if (!vmware.inside && file->beside_fd < 0)
		return file_hint(error_create(NUNCHI_ERROR_UNSUPPORTED,
					      "it is the state of a VMware guest without its "
					      "memory"),
				 source->name,
				 "put the .vmem file beside it, under the same name but for the "
				 "end; where there is none, make a core: vmss2core -N FILE");
	file_take_vcpus(file, &vmware.vcpus, vmware.vcpu_count,
			"from the state in the file; EFER is not in it and is derived");
	file->incomplete = extents_missing(&vmware.extents) > 0;
	file_note_missing(file, extents_missing(&vmware.extents), extents_total(&vmware.extents));
	return file_make_memory(file, &vmware.extents, vmware.inside ? source : &memory);
}

const struct file_format vmware_format = {
    .format = {"vmware", "VMware's .vmss or .vmsn, with the .vmem beside it if there is one"},
    .matches = vmware_matches,
    .name_beside = name_beside,
    .open = open_vmware,
};
