/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/cpu_time.h"

#include "guest/linux/machine.h"
#include "view/view.h"

#define COLUMNS(X)                                                                                 \
	X(core, INTEGER, "number of the CPU")                                                      \
	X(user, MILLISECONDS, "time in user mode, that of guests of its own included")             \
	X(nice, MILLISECONDS, "the same of processes with a nice value above 0")                   \
	X(system, MILLISECONDS, "time in the kernel")                                              \
	X(idle, MILLISECONDS, "time idle")                                                         \
	X(iowait, MILLISECONDS, "time idle while a task waited for a device")                      \
	X(irq, MILLISECONDS, "time in interrupts")                                                 \
	X(softirq, MILLISECONDS, "time in soft interrupts")                                        \
	X(steal, MILLISECONDS, "time in which the hypervisor ran something else")                  \
	X(guest, MILLISECONDS, "time in guests of its own")                                        \
	X(guest_nice, MILLISECONDS, "the same of guests with a nice value above 0")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

#define NSEC_PER_MSEC 1000000

static const unsigned modes[LINUX_CPU_MODES] = {
    [LINUX_CPU_USER] = COLUMN_user,       [LINUX_CPU_NICE] = COLUMN_nice,
    [LINUX_CPU_SYSTEM] = COLUMN_system,   [LINUX_CPU_IDLE] = COLUMN_idle,
    [LINUX_CPU_IOWAIT] = COLUMN_iowait,   [LINUX_CPU_IRQ] = COLUMN_irq,
    [LINUX_CPU_SOFTIRQ] = COLUMN_softirq, [LINUX_CPU_STEAL] = COLUMN_steal,
    [LINUX_CPU_GUEST] = COLUMN_guest,     [LINUX_CPU_GUEST_NICE] = COLUMN_guest_nice,
};

struct cpu_time {
	struct linux_kernel *kernel;
	struct linux_clock clock;
	enum read_result clock_result;
	unsigned next, count;
	bool any;                /* a CPU was shown */
	enum read_result broken; /* why CPUs are not shown */
};

static struct nunchi_error *cpu_time_open(void *data, struct guest_kernel *guest,
					  const struct view_request *request)
{
	struct cpu_time *state = data;
	enum read_result result;

	(void)request;
	state->kernel = linux_kernel_of(guest);
	state->count = 1;
	result =
	    linux_is_smp(state->kernel) ? linux_cpu_count(state->kernel, &state->count) : READ_OK;
	if (result != READ_OK)
		return error_hint(
		    error_create(NUNCHI_ERROR_UNSUPPORTED, "the CPUs cannot be counted: %s",
				 result == READ_NO_SYMBOL ? "the symbol nr_cpu_ids is missing"
							  : read_result_string(result)),
		    "give the kernel's System.map with --symbols");
	state->clock_result = linux_clock_read(state->kernel, &state->clock);
	return NULL;
}

/* At least the CPU on which the kernel runs is online. */
static void warn_of_lost(const struct cpu_time *state, struct view_row *row)
{
	enum read_result why = state->broken;

	if (!why && !state->any)
		why = READ_BAD_DATA;
	if (why)
		row_warn(row, "not all CPUs are shown: which are online cannot be read: %s",
			 read_result_string(why));
}

static struct nunchi_error *cpu_time_next(void *data, struct view_row *row)
{
	struct cpu_time *state = data;
	struct linux_cpu_times times;
	bool online = false;
	unsigned cpu;

	do {
		enum read_result result;

		if (state->next == state->count) {
			warn_of_lost(state, row);
			return &error_stop;
		}
		cpu = state->next++;
		result = linux_cpu_is_online(state->kernel, cpu, &online);
		if (result != READ_OK)
			state->broken = result;
	} while (!online);
	state->any = true;
	linux_cpu_times(state->kernel, cpu, &state->clock, state->clock_result, &times);
	row_integer(row, COLUMN_core, cpu);
	for (size_t i = 0; i < LINUX_CPU_MODES; i++)
		row_read_integer(row, modes[i], times.result[i],
				 (int64_t)(times.ns[i] / NSEC_PER_MSEC));
	return NULL;
}

const struct view view_cpu_time = {
    .schema = {"cpu_time", "what each CPU of the guest spent its time on", columns,
	       ARRAY_SIZE(columns), .key = VIEW_COLUMN_BIT(COLUMN_core),
	       .changing = ~VIEW_COLUMN_BIT(COLUMN_core)},
    .providers = {{&guest_linux, sizeof(struct cpu_time), cpu_time_open, cpu_time_next, NULL}},
};
