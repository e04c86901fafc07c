/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/msr.h"

#include "probe/linux_hit.h"

#include <errno.h>
#include <string.h>

#define COLUMNS(X)                                                                                 \
	PROBE_COLUMNS(X)                                                                           \
	X(msr, TEXT, "name of the MSR")                                                            \
	X(number, ADDRESS, "its number")                                                           \
	X(value, ADDRESS, "value that is written")                                                 \
	X(old, ADDRESS, "value until then")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

/* Where the kernel is entered, and what the processor may do: a rootkit's, and seldom written. */
#define REGISTERS(X)                                                                               \
	X(SYSENTER_CS, 0x174)                                                                      \
	X(SYSENTER_ESP, 0x175)                                                                     \
	X(SYSENTER_EIP, 0x176)                                                                     \
	X(DEBUGCTL, 0x1d9)                                                                         \
	X(EFER, 0xc0000080)                                                                        \
	X(STAR, 0xc0000081)                                                                        \
	X(LSTAR, 0xc0000082)                                                                       \
	X(CSTAR, 0xc0000083)                                                                       \
	X(SYSCALL_MASK, 0xc0000084)

static const struct {
	uint32_t index;
	const char *name;
} names[] = {
#define X(name, index) {index, #name},
    REGISTERS(X)
#undef X
};

static enum probe_next enter(struct probe_hit *hit)
{
	row_absent(hit->row, COLUMN_msr, NUNCHI_ABSENT_NOT_APPLICABLE);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i].index == hit->stop->index)
			row_string(hit->row, COLUMN_msr, names[i].name);
	}
	row_address(hit->row, COLUMN_number, hit->stop->index);
	row_address(hit->row, COLUMN_value, hit->stop->value);
	row_address(hit->row, COLUMN_old, hit->stop->old);
	return PROBE_ROW;
}

const struct probe probe_msr = {
    .schema = {"msr", "writes to MSRs that say where the kernel is entered and what is allowed",
	       columns, ARRAY_SIZE(columns)},
    .providers = {{&guest_linux,
		   {
#define X(name, number) {.enter = enter, .event = TARGET_EVENT_MSR, .index = (number)},
		       REGISTERS(X)
#undef X
		   }}},
};

struct named {
	struct probe probe; /* first */
	char name[32];
};

struct nunchi_error *msr_create(const char *name, struct probe **ret)
{
	const char *digits = name + strlen(MSR_PREFIX);
	struct named *named;
	unsigned long index;
	char *end;

	errno = 0;
	index = strtoul(digits, &end, 0);
	if (*digits < '0' || *digits > '9' || *end || errno || index > UINT32_MAX ||
	    strlen(name) >= sizeof(named->name))
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "\"%s\" is not the number of an MSR, such as 0xc0000082",
				    digits);
	named = calloc(1, sizeof(*named));
	if (!named)
		return &error_nomem;
	memcpy(named->name, name, strlen(name));
	named->probe.schema = probe_msr.schema;
	named->probe.schema.name = named->name;
	named->probe.providers[0].system = &guest_linux;
	named->probe.providers[0].hooks[0] = (struct probe_hook){
	    .enter = enter, .event = TARGET_EVENT_MSR, .index = (uint32_t)index};
	*ret = &named->probe;
	return NULL;
}

void msr_destroy(struct probe *probe)
{
	free(probe);
}
