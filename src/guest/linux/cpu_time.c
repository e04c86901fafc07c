/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/linux/cpu_time.h"

#include "guest/linux/machine.h"

/* TS_FLAG_IDLE_ACTIVE of kernel/time/tick-sched.h, since 6.9. */
#define FLAG_IDLE_ACTIVE (1 << 2)
/* FIXED_1 of include/linux/sched/loadavg.h: a load is a number of these. */
#define LOAD_ONE 2048

/* The address of a CPU's variable. A kernel for one CPU has it where the symbol says. */
static enum read_result variable_of(struct linux_kernel *kernel, enum linux_symbol symbol,
				    unsigned cpu, uint64_t *ret)
{
	uint64_t variable = kernel->symbol[symbol];

	if (!variable)
		return READ_NO_SYMBOL;
	if (linux_is_smp(kernel))
		return linux_per_cpu(kernel, variable, cpu, ret);
	*ret = variable;
	return READ_OK;
}

/* Whether a task that fell asleep on this CPU waits for a device: then it is not merely idle. */
static bool waits_for_device(struct linux_kernel *kernel, unsigned cpu)
{
	uint64_t rq = 0, waiting = 0;

	return variable_of(kernel, LINUX_runqueues, cpu, &rq) == READ_OK &&
	       linux_read_field(kernel, rq, &kernel->layout.rq_iowait, &waiting) == READ_OK &&
	       waiting;
}

/* Adds the time since a CPU fell idle to what the kernel has counted of it. */
static void add_since(struct linux_kernel *kernel, unsigned cpu, const struct linux_clock *clock,
		      uint64_t entry, struct linux_cpu_times *times)
{
	/* The clock stands at the last tick, and the CPU may have fallen idle after that. */
	int64_t since = (int64_t)((uint64_t)clock->monotonic_ns - entry);

	if (since <= 0)
		return;
	times->ns[waits_for_device(kernel, cpu) ? LINUX_CPU_IOWAIT : LINUX_CPU_IDLE] +=
	    (uint64_t)since;
}

static void no_idle_time(struct linux_cpu_times *times, enum read_result why)
{
	times->result[LINUX_CPU_IDLE] = times->result[LINUX_CPU_IOWAIT] = why;
}

static bool is_idle(const struct layout *layout, const struct object *tick)
{
	if (layout->tick_sched_idle_active.present)
		return object_u64(tick, &layout->tick_sched_idle_active) != 0;
	return object_u64(tick, &layout->tick_sched_flags) & FLAG_IDLE_ACTIVE;
}

/* Until 7.0: while ticks may be stopped, idle time is counted by struct tick_sched alone. */
static void take_ticks(struct linux_kernel *kernel, unsigned cpu, const struct linux_clock *clock,
		       enum read_result clock_result, struct linux_cpu_times *times)
{
	const struct layout *layout = &kernel->layout;
	_cleanup_object_ struct object tick = {0};
	enum read_result result;
	uint64_t at = 0;

	result = variable_of(kernel, LINUX_tick_cpu_sched, cpu, &at);
	if (result == READ_OK)
		result = linux_read_object(kernel, LAYOUT_tick_sched, at, &tick);
	if (result == READ_OK &&
	    (!layout->tick_sched_idle_sleep.present || !layout->tick_sched_iowait_sleep.present))
		result = READ_NO_LAYOUT;
	if (result == READ_OK && is_idle(layout, &tick))
		result = clock_result;
	if (result != READ_OK) {
		no_idle_time(times, result);
		return;
	}
	times->ns[LINUX_CPU_IDLE] = object_u64(&tick, &layout->tick_sched_idle_sleep);
	times->ns[LINUX_CPU_IOWAIT] = object_u64(&tick, &layout->tick_sched_iowait_sleep);
	if (is_idle(layout, &tick))
		add_since(kernel, cpu, clock, object_u64(&tick, &layout->tick_sched_idle_entry),
			  times);
}

/* Whether idle CPUs may stop their ticks (CONFIG_NO_HZ_COMMON, and no nohz=off). */
static enum read_result read_nohz(struct linux_kernel *kernel, bool *ret)
{
	uint64_t address = kernel->symbol[LINUX_tick_nohz_active], active = 0;
	enum read_result result = READ_OK;

	if (address)
		result = linux_read_word(kernel, address, &active);
	/* An int before 5.19, and an unsigned long after that; either is 0 or 1. */
	*ret = active & UINT32_MAX;
	return result;
}

static void take_idle(struct linux_kernel *kernel, unsigned cpu, const struct linux_clock *clock,
		      enum read_result clock_result, const struct object *stat,
		      struct linux_cpu_times *times)
{
	const struct layout *layout = &kernel->layout;
	enum read_result result;
	bool nohz = false;

	if (layout->cpu_stat_idle_elapse.present) {
		if (!object_u64(stat, &layout->cpu_stat_idle_elapse))
			return;
		if (clock_result != READ_OK)
			no_idle_time(times, clock_result);
		else
			add_since(kernel, cpu, clock,
				  object_u64(stat, &layout->cpu_stat_idle_entry), times);
		return;
	}
	result = read_nohz(kernel, &nohz);
	if (result != READ_OK)
		no_idle_time(times, result);
	else if (nohz)
		take_ticks(kernel, cpu, clock, clock_result, times);
}

void linux_cpu_times(struct linux_kernel *kernel, unsigned cpu, const struct linux_clock *clock,
		     enum read_result clock_result, struct linux_cpu_times *ret)
{
	const struct layout *layout = linux_layout(kernel, LAYOUT_GROUP_cpu_time);
	const struct field *const fields[LINUX_CPU_MODES] = {
	    [LINUX_CPU_USER] = &layout->cpu_stat_user,
	    [LINUX_CPU_NICE] = &layout->cpu_stat_nice,
	    [LINUX_CPU_SYSTEM] = &layout->cpu_stat_system,
	    [LINUX_CPU_IDLE] = &layout->cpu_stat_idle,
	    [LINUX_CPU_IOWAIT] = &layout->cpu_stat_iowait,
	    [LINUX_CPU_IRQ] = &layout->cpu_stat_irq,
	    [LINUX_CPU_SOFTIRQ] = &layout->cpu_stat_softirq,
	    [LINUX_CPU_STEAL] = &layout->cpu_stat_steal,
	    [LINUX_CPU_GUEST] = &layout->cpu_stat_guest,
	    [LINUX_CPU_GUEST_NICE] = &layout->cpu_stat_guest_nice,
	};
	_cleanup_object_ struct object stat = {0};
	enum read_result result;
	uint64_t at = 0;

	*ret = (struct linux_cpu_times){0};
	result = variable_of(kernel, LINUX_kernel_cpustat, cpu, &at);
	if (result == READ_OK)
		result = linux_read_object(kernel, LAYOUT_cpu_stat, at, &stat);
	for (size_t i = 0; i < LINUX_CPU_MODES; i++) {
		int64_t ns = 0;

		ret->result[i] = result == READ_OK ? object_number(&stat, fields[i], &ns) : result;
		ret->ns[i] = (uint64_t)ns;
	}
	if (result == READ_OK)
		take_idle(kernel, cpu, clock, clock_result, &stat, ret);
}

enum read_result linux_load_average(struct linux_kernel *kernel, double ret[LINUX_LOADS])
{
	uint64_t address = kernel->symbol[LINUX_avenrun], load = 0;
	enum read_result result = address ? READ_OK : READ_NO_SYMBOL;

	for (unsigned i = 0; result == READ_OK && i < LINUX_LOADS; i++) {
		result = linux_read_word(kernel, address + (uint64_t)i * kernel->word_size, &load);
		/* In hundredths, rounded as /proc/loadavg does. */
		load = (load + LOAD_ONE / 200) * 100 / LOAD_ONE;
		ret[i] = (double)load / 100;
	}
	return result;
}
