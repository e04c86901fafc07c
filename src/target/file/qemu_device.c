/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/file/qemu_device.h"

#include "core/bytes.h"

#include <jansson.h>
#include <string.h>

enum {
	SECTION_FULL = 0x04,
	SECTION_DESCRIPTION = 0x06,
	/*
	 * Offset of the name in a section: type, number, length of the name; then name, instance,
	 * version.
	 */
	NAME_AT = 5,
};

/*
 * A field in the description of vCPUs: its number of elements and their size, and the function that
 * stores them.
 */
struct wanted {
	const char *name;
	size_t size, count;
	void (*take)(struct x86_registers *registers, const uint8_t *bytes);
};

static void take_general(struct x86_registers *registers, const uint8_t *bytes)
{
	/* In the order of their encoding in instructions. */
	uint64_t *const general[] = {
	    &registers->rax, &registers->rcx, &registers->rdx, &registers->rbx,
	    &registers->rsp, &registers->rbp, &registers->rsi, &registers->rdi,
	    &registers->r8,  &registers->r9,  &registers->r10, &registers->r11,
	    &registers->r12, &registers->r13, &registers->r14, &registers->r15,
	};

	for (size_t i = 0; i < ARRAY_SIZE(general); i++)
		*general[i] = load_be64(bytes + i * 8);
	registers->has_general = true;
}

enum { SEGMENT_SIZE = 20, SEGMENT_BASE = 4 }; /* selector, base, limit, flags */

static void take_segments(struct x86_registers *registers, const uint8_t *bytes)
{
	uint16_t *const selectors[] = {&registers->es, &registers->cs, &registers->ss,
				       &registers->ds, &registers->fs, &registers->gs};

	for (size_t i = 0; i < ARRAY_SIZE(selectors); i++)
		*selectors[i] = (uint16_t)load_be32(bytes + i * SEGMENT_SIZE);
	registers->fs_base = load_be64(bytes + 4 * SEGMENT_SIZE + SEGMENT_BASE);
	registers->gs_base = load_be64(bytes + 5 * SEGMENT_SIZE + SEGMENT_BASE);
	registers->has_segments = true;
}

static void take_tr(struct x86_registers *registers, const uint8_t *bytes)
{
	registers->tr = (uint16_t)load_be32(bytes);
	registers->has_selectors = true;
}

static void take_ldt(struct x86_registers *registers, const uint8_t *bytes)
{
	registers->ldtr = (uint16_t)load_be32(bytes);
}

static void take_gdt(struct x86_registers *registers, const uint8_t *bytes)
{
	registers->gdt_base = load_be64(bytes + SEGMENT_BASE);
	registers->has_gdt = true;
}

static void take_idt(struct x86_registers *registers, const uint8_t *bytes)
{
	registers->idt_base = load_be64(bytes + SEGMENT_BASE);
	registers->has_idt = true;
}

static void take_debug(struct x86_registers *registers, const uint8_t *bytes)
{
	for (size_t i = 0; i < 8; i++)
		registers->dr[i] = i == 4 || i == 5 ? 0 : load_be64(bytes + i * 8);
	registers->has_debug = true;
}

/* HF_SMM_MASK of QEMU's target/i386/cpu.h. */
#define HFLAGS_SMM ((uint32_t)1 << 19)

static void take_hflags(struct x86_registers *registers, const uint8_t *bytes)
{
	registers->in_smm = load_be32(bytes) & HFLAGS_SMM;
}

#define TAKE(name, member, flag)                                                                   \
	static void take_##name(struct x86_registers *registers, const uint8_t *bytes)             \
	{                                                                                          \
		registers->member = load_be64(bytes);                                              \
		flag;                                                                              \
	}
TAKE(rip, rip, registers->has_rip = true)
TAKE(rflags, rflags, )
TAKE(cr0, cr0, )
TAKE(cr2, cr2, registers->has_cr2 = true)
TAKE(cr3, cr3, )
TAKE(cr4, cr4, )
TAKE(efer, efer, registers->has_efer = true)
TAKE(star, star, registers->has_star = true)
TAKE(lstar, lstar, registers->has_syscall = true)
TAKE(cstar, cstar, registers->has_cstar = true)
TAKE(sysenter_eip, sysenter_eip, registers->has_sysenter = true)
TAKE(kernel_gs, kernel_gs_base, registers->has_kernel_gs = true)

static const struct wanted wanted[] = {
    {"env.regs", 8, 16, take_general},  {"env.eip", 8, 1, take_rip},
    {"env.eflags", 8, 1, take_rflags},  {"env.hflags", 4, 1, take_hflags},
    {"env.segs", 20, 6, take_segments}, {"env.ldt", 20, 1, take_ldt},
    {"env.tr", 20, 1, take_tr},         {"env.gdt", 20, 1, take_gdt},
    {"env.idt", 20, 1, take_idt},       {"env.cr[0]", 8, 1, take_cr0},
    {"env.cr[2]", 8, 1, take_cr2},      {"env.cr[3]", 8, 1, take_cr3},
    {"env.cr[4]", 8, 1, take_cr4},      {"env.dr", 8, 8, take_debug},
    {"env.efer", 8, 1, take_efer},      {"env.star", 8, 1, take_star},
    {"env.lstar", 8, 1, take_lstar},    {"env.kernelgsbase", 8, 1, take_kernel_gs},
    {"env.cstar", 8, 1, take_cstar},    {"env.sysenter_eip", 8, 1, take_sysenter_eip},
};

/*
 * Gets the size of a field, or of the elements of an array; false if the JSON value is not a field.
 */
static bool field_size(const json_t *field, size_t *ret_element, size_t *ret_count)
{
	const json_t *count = json_object_get(field, "array_len");
	json_int_t size = json_integer_value(json_object_get(field, "size"));
	json_int_t elements = count ? json_integer_value(count) : 1;

	if (size < 0 || elements < 0 || size > (json_int_t)QEMU_DEVICE_STATE_LIMIT ||
	    elements > (json_int_t)QEMU_DEVICE_STATE_LIMIT ||
	    size * elements > (json_int_t)QEMU_DEVICE_STATE_LIMIT)
		return false;
	*ret_element = (size_t)size;
	*ret_count = (size_t)elements;
	return true;
}

/* A vCPU of the description, and where its state begins. */
struct vcpu {
	const json_t *fields;
	uint32_t version;
	const uint8_t *state; /* NULL: not found */
	bool is_described;
};

/* Reads the fields of a vCPU from the bytes of its state. */
static struct x86_registers take_fields(const json_t *fields, const uint8_t *bytes, size_t size)
{
	struct x86_registers registers = {0};
	size_t index, at = 0;
	const json_t *field;

	json_array_foreach((json_t *)fields, index, field)
	{
		const char *name = json_string_value(json_object_get(field, "name"));
		size_t element, count;

		if (!field_size(field, &element, &count) || element * count > size - at)
			break;
		for (size_t i = 0; name && i < ARRAY_SIZE(wanted); i++) {
			if (!strcmp(name, wanted[i].name) && element == wanted[i].size &&
			    count == wanted[i].count)
				wanted[i].take(&registers, bytes + at);
		}
		at += element * count;
	}
	registers.has_rip &= registers.has_general;
	return registers;
}

/* The description: the first JSON text in a section of its type; NULL if there is none. */
static json_t *find_description(const uint8_t *bytes, size_t size)
{
	const uint8_t *at = bytes;

	while ((at = memchr(at, SECTION_DESCRIPTION, size - (size_t)(at - bytes)))) {
		size_t left = size - (size_t)(at - bytes);
		uint32_t length = left > 6 ? load_be32(at + 1) : 0;

		if (length > 2 && length <= left - 5 && at[5] == '{' && at[5 + length - 1] == '}') {
			json_t *json = json_loadb((const char *)at + 5, length, 0, NULL);

			if (json_is_array(json_object_get(json, "devices")))
				return json;
			json_decref(json);
		}
		at++;
	}
	return NULL;
}

/* Collects the vCPUs of the description; of each instance, the first entry counts. */
static void describe_vcpus(const json_t *devices, struct vcpu vcpus[QEMU_DEVICE_VCPU_LIMIT])
{
	size_t index;
	const json_t *device;

	json_array_foreach((json_t *)devices, index, device)
	{
		const char *name = json_string_value(json_object_get(device, "name"));
		json_int_t instance = json_integer_value(json_object_get(device, "instance_id"));
		json_int_t version = json_integer_value(json_object_get(device, "version"));

		if (!name || strcmp(name, "cpu") || instance < 0 ||
		    instance >= QEMU_DEVICE_VCPU_LIMIT || vcpus[instance].is_described)
			continue;
		vcpus[instance] = (struct vcpu){
		    .fields = json_object_get(device, "fields"),
		    .version = (uint32_t)version,
		    .is_described = true,
		};
	}
}

/*
 * Finds the state of all described vCPUs in one pass over the bytes: sections of the device "cpu"
 * with the described version. Returns the number of the last vCPU that was found, plus 1.
 */
static size_t find_vcpus(const uint8_t *bytes, size_t size,
			 struct vcpu vcpus[QEMU_DEVICE_VCPU_LIMIT])
{
	static const uint8_t name[] = {3, 'c', 'p', 'u'};
	enum { INSTANCE_AT = sizeof(name), VERSION_AT = INSTANCE_AT + 4, END_AT = VERSION_AT + 4 };
	const uint8_t *at = bytes;
	size_t count = 0;

	while ((at = memmem(at, size - (size_t)(at - bytes), name, sizeof(name))) &&
	       size - (size_t)(at - bytes) >= END_AT) {
		uint32_t instance = load_be32(at + INSTANCE_AT);
		struct vcpu *vcpu = instance < QEMU_DEVICE_VCPU_LIMIT ? &vcpus[instance] : NULL;

		if (vcpu && vcpu->is_described && !vcpu->state &&
		    vcpu->version == load_be32(at + VERSION_AT) && at - bytes >= NAME_AT &&
		    at[-NAME_AT] == SECTION_FULL) {
			vcpu->state = at + END_AT;
			count = count > instance ? count : (size_t)instance + 1;
		}
		at++;
	}
	return count;
}

static struct nunchi_error *take_vcpus(const json_t *devices, const uint8_t *bytes, size_t size,
				       struct x86_registers **ret, size_t *ret_count)
{
	_cleanup_free_ struct vcpu *vcpus = calloc(QEMU_DEVICE_VCPU_LIMIT, sizeof(*vcpus));
	struct x86_registers *registers;
	size_t count;

	if (!vcpus)
		return &error_nomem;
	describe_vcpus(devices, vcpus);
	count = find_vcpus(bytes, size, vcpus);
	if (!count)
		return NULL;
	registers = calloc(count, sizeof(*registers));
	if (!registers)
		return &error_nomem;
	for (size_t i = 0; i < count; i++) {
		if (vcpus[i].state)
			registers[i] = take_fields(vcpus[i].fields, vcpus[i].state,
						   size - (size_t)(vcpus[i].state - bytes));
	}
	*ret = registers;
	*ret_count = count;
	return NULL;
}

struct nunchi_error *qemu_device_registers(const struct source *file, uint64_t offset,
					   struct x86_registers **ret, size_t *ret_count)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	struct nunchi_error *err;
	json_t *description;
	size_t size;

	*ret = NULL;
	*ret_count = 0;
	if (offset >= file->size)
		return NULL;
	size = (size_t)(file->size - offset < QEMU_DEVICE_STATE_LIMIT ? file->size - offset
								      : QEMU_DEVICE_STATE_LIMIT);
	bytes = malloc(size);
	if (!bytes)
		return &error_nomem;
	err = source_read(file, offset, bytes, size, "the devices' state");
	if (err)
		return err;
	description = find_description(bytes, size);
	if (!description)
		return NULL;
	err = take_vcpus(json_object_get(description, "devices"), bytes, size, ret, ret_count);
	json_decref(description);
	return err;
}
