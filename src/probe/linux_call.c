/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/linux_call.h"

enum read_result hit_register(const struct probe_hit *hit, uint64_t registers, bool narrow,
			      unsigned i, uint64_t *ret)
{
	struct linux_kernel *kernel = linux_hit_of(hit)->kernel;
	const struct layout *layout = &kernel->layout;
	const struct field *const wide[CALL_MAX_ARGUMENTS] = {
	    &layout->pt_regs_di,  &layout->pt_regs_si, &layout->pt_regs_dx,
	    &layout->pt_regs_r10, &layout->pt_regs_r8, &layout->pt_regs_r9};
	const struct field *const short_ones[CALL_MAX_ARGUMENTS] = {
	    &layout->pt_regs_bx, &layout->pt_regs_cx, &layout->pt_regs_dx,
	    &layout->pt_regs_si, &layout->pt_regs_di, &layout->pt_regs_bp};
	enum read_result result =
	    linux_read_field(kernel, registers, narrow ? short_ones[i] : wide[i], ret);

	if (result == READ_OK && narrow)
		*ret = (uint32_t)*ret;
	return result;
}

uint64_t hit_call_argument(const struct probe_hit *hit, unsigned i)
{
	uint64_t value = 0;

	if (hit_register(hit, hit_argument(hit, 0), hit->hook->narrow, i, &value) != READ_OK)
		return 0;
	return value;
}

void hit_result(struct probe_hit *hit, unsigned result, unsigned status, int64_t value)
{
	bool failed = value < 0 && value >= -HIT_MAX_ERRNO;

	if (failed)
		row_absent(hit->row, result, NUNCHI_ABSENT_NOT_APPLICABLE);
	else
		row_integer(hit->row, result, value);
	row_integer(hit->row, status, failed ? -value : 0);
}

void hit_returned(struct probe_hit *hit, unsigned result, unsigned status)
{
	hit_result(hit, result, status, linux_returned(linux_hit_of(hit)->kernel, hit->registers));
}
