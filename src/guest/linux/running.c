/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/running.h"
#include "core/io.h"
#include "guest/linux/vcpus.h"

/*
 * For how long, and how often, the vCPUs of a running guest are looked at again. The firmware's
 * system management mode takes less than a millisecond; a timer tick of the slowest kernel
 * (CONFIG_HZ=100) takes 10 ms.
 */
#define LOOKS   4
#define LOOK_US (10 * CLOCK_US_PER_MS)

/* Whether the kernel's clock went on since it showed `before`. */
static bool ticks(struct linux_kernel *kernel, uint64_t before)
{
	uint64_t now;

	memory_new_generation(kernel->guest.memory);
	return linux_read_word(kernel, kernel->symbol[LINUX_jiffies], &now) == READ_OK &&
	       now != before;
}

/*
 * Looks at the vCPUs of a running guest again. A vCPU may have been in system management mode, or
 * run a guest of its own, whose page table it then has; meanwhile the kernel's clock goes on.
 */
static bool is_denied(struct linux_kernel *kernel, struct target *target,
		      const struct linux_image *image, struct buffer *text)
{
	enum target_state state = TARGET_UNKNOWN;
	uint64_t before = 0;
	bool has_clock;

	if (!linux_vcpus_deny(target, image, text))
		return false;
	if (target->live)
		nunchi_error_destroy(target_get_state(target, &state));
	if (state != TARGET_RUNNING)
		return true;
	has_clock = kernel->symbol[LINUX_jiffies] &&
		    linux_read_word(kernel, kernel->symbol[LINUX_jiffies], &before) == READ_OK;
	for (int look = 0; look < LOOKS; look++) {
		if (io_sleep_until(clock_us() + LOOK_US, kernel->guest.cancel))
			return true;
		buffer_clear(text);
		if ((has_clock && ticks(kernel, before)) || !linux_vcpus_deny(target, image, text))
			return false;
	}
	return true;
}

struct nunchi_error *linux_running_check(struct linux_kernel *kernel, struct target *target,
					 bool remains)
{
	const struct linux_image image = {.virtual_start = kernel->text_virtual,
					  .physical_start = kernel->text_physical};
	_cleanup_buffer_ struct buffer text;

	buffer_init(&text, 1024);
	if (!is_denied(kernel, target, &image, &text))
		return NULL;
	if (!remains)
		return error_hint(
		    error_create(NUNCHI_ERROR_NO_KERNEL, "no kernel runs: %s",
				 buffer_string(&text)),
		    "a kernel that ran before remains in the memory, at physical 0x%llx: --remains "
		    "shows what is left of it%s",
		    (unsigned long long)kernel->text_physical,
		    target->live ? "; if the guest boots now, try again when it has" : "");
	kernel->guest.remains = true;
	linux_kernel_fact(kernel, "kernel", "runs", buffer_string(&text),
			  "no: it remains in the memory");
	target_note(target,
		    "no kernel runs: %s; shown is what a kernel that ran before left in the "
		    "memory, and parts of it may be overwritten",
		    buffer_string(&text));
	return NULL;
}
