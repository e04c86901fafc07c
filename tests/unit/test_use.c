/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What CPUs did, and how memory is used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>

#include <cmocka.h>

#include "guest/linux/cpu_time.h"
#include "guest/linux/memory_use.h"

#include "toy_kernel.h"

#define L      (&toy->kernel.layout)
#define SYMBOL toy->kernel.symbol

/* ---- CPUs ------------------------------------------------------------------------------------ */

/* struct kernel_cpustat since 7.1, struct tick_sched before. */
enum { STAT_ELAPSE = 0, STAT_ENTRY = 8, STAT_TIMES = 32 };
enum { TICK_FLAGS = 0, TICK_ENTRY = 8, TICK_IDLE = 16, TICK_IOWAIT = 24 };

static void cpu_layout(struct toy *toy)
{
	struct field *const times[] = {
	    &L->cpu_stat_user,  &L->cpu_stat_nice,       &L->cpu_stat_system, &L->cpu_stat_softirq,
	    &L->cpu_stat_irq,   &L->cpu_stat_idle,       &L->cpu_stat_iowait, &L->cpu_stat_steal,
	    &L->cpu_stat_guest, &L->cpu_stat_guest_nice,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(times); i++)
		toy_field(toy, LAYOUT_cpu_stat, times[i], STAT_TIMES + 8 * i, 8);
	toy_field(toy, LAYOUT_tick_sched, &L->tick_sched_flags, TICK_FLAGS, 8);
	toy_field(toy, LAYOUT_tick_sched, &L->tick_sched_idle_entry, TICK_ENTRY, 8);
	toy_field(toy, LAYOUT_tick_sched, &L->tick_sched_idle_sleep, TICK_IDLE, 8);
	toy_field(toy, LAYOUT_tick_sched, &L->tick_sched_iowait_sleep, TICK_IOWAIT, 8);
	toy_field(toy, LAYOUT_rq, &L->rq_iowait, 0, 4);
}

/* A kernel for two CPUs; the structures of the second are 4096 bytes behind those of the first. */
struct cpus {
	uint64_t stat, tick, rq;
};

static struct cpus make_cpus(struct toy *toy)
{
	struct cpus ret;
	uint64_t offsets = toy_alloc(toy, 64);

	cpu_layout(toy);
	snprintf(toy->kernel.banner, sizeof(toy->kernel.banner), "Linux #1 SMP x");
	SYMBOL[LINUX_per_cpu_offset] = offsets;
	toy_put(toy, offsets + 8, 4096, 8);
	ret.stat = SYMBOL[LINUX_kernel_cpustat] = toy_alloc_page(toy);
	ret.tick = SYMBOL[LINUX_tick_cpu_sched] = ret.stat + 512;
	ret.rq = SYMBOL[LINUX_runqueues] = ret.stat + 1024;
	toy_alloc_page(toy);
	SYMBOL[LINUX_tick_nohz_active] = toy_alloc(toy, 8);
	for (unsigned i = 0; i < LINUX_CPU_MODES; i++)
		toy_put(toy, ret.stat + 4096 + STAT_TIMES + 8 * i, 1000 + i, 8);
	return ret;
}

static struct linux_cpu_times times_of(struct toy *toy, int64_t now, enum read_result clock_result)
{
	const struct linux_clock clock = {.monotonic_ns = now};
	struct linux_cpu_times ret;

	linux_cpu_times(&toy->kernel, 1, &clock, clock_result, &ret);
	return ret;
}

static void check_mode(const struct linux_cpu_times *times, enum linux_cpu_mode mode,
		       uint64_t expected)
{
	assert_int_equal(times->result[mode], READ_OK);
	assert_int_equal(times->ns[mode], expected);
}

/* Ticks that never stop: all is counted in one place. */
static void test_with_ticks(void **state)
{
	struct toy *toy = *state;
	struct linux_cpu_times times;

	make_cpus(toy);
	times = times_of(toy, 0, READ_BAD_DATA);
	check_mode(&times, LINUX_CPU_USER, 1000);
	check_mode(&times, LINUX_CPU_SYSTEM, 1002);
	check_mode(&times, LINUX_CPU_IDLE, 1005);
	check_mode(&times, LINUX_CPU_IOWAIT, 1006);
	check_mode(&times, LINUX_CPU_GUEST_NICE, 1009);
}

/* A CPU whose ticks are stopped: what it slept, and since when it sleeps. */
static void test_without_ticks(void **state)
{
	struct toy *toy = *state;
	struct cpus cpus = make_cpus(toy);
	uint64_t tick = cpus.tick + 4096;
	struct linux_cpu_times times;

	toy_put(toy, SYMBOL[LINUX_tick_nohz_active], 1, 4);
	toy_put(toy, tick + TICK_IDLE, 5000, 8);
	toy_put(toy, tick + TICK_IOWAIT, 70, 8);
	toy_put(toy, tick + TICK_ENTRY, 100, 8);
	times = times_of(toy, 400, READ_OK);
	check_mode(&times, LINUX_CPU_IDLE, 5000);
	toy_put(toy, tick + TICK_FLAGS, 1 << 2, 8);
	times = times_of(toy, 400, READ_OK);
	check_mode(&times, LINUX_CPU_IDLE, 5300);
	check_mode(&times, LINUX_CPU_IOWAIT, 70);
	/* It fell idle after the last tick of the clock. */
	times = times_of(toy, 50, READ_OK);
	check_mode(&times, LINUX_CPU_IDLE, 5000);
	/* A task waits for a device. */
	toy_put(toy, cpus.rq + 4096, 1, 4);
	times = times_of(toy, 400, READ_OK);
	check_mode(&times, LINUX_CPU_IDLE, 5000);
	check_mode(&times, LINUX_CPU_IOWAIT, 370);
	/* Without a clock this is unknown, and nothing else is. */
	times = times_of(toy, 400, READ_BAD_DATA);
	assert_int_equal(times.result[LINUX_CPU_IDLE], READ_BAD_DATA);
	assert_int_equal(times.result[LINUX_CPU_IOWAIT], READ_BAD_DATA);
	check_mode(&times, LINUX_CPU_USER, 1000);
	SYMBOL[LINUX_tick_cpu_sched] = 0;
	times = times_of(toy, 400, READ_OK);
	assert_int_equal(times.result[LINUX_CPU_IDLE], READ_NO_SYMBOL);
}

/* Since 7.1 the time idle is with the rest. */
static void test_idle_in_cpustat(void **state)
{
	struct toy *toy = *state;
	struct cpus cpus = make_cpus(toy);
	uint64_t stat = cpus.stat + 4096;
	struct linux_cpu_times times;

	toy_field(toy, LAYOUT_cpu_stat, &L->cpu_stat_idle_elapse, STAT_ELAPSE, 1);
	toy_field(toy, LAYOUT_cpu_stat, &L->cpu_stat_idle_entry, STAT_ENTRY, 8);
	toy_put(toy, SYMBOL[LINUX_tick_nohz_active], 1, 4);
	toy_put(toy, stat + STAT_ENTRY, 100, 8);
	times = times_of(toy, 400, READ_OK);
	check_mode(&times, LINUX_CPU_IDLE, 1005);
	toy_put(toy, stat + STAT_ELAPSE, 1, 1);
	times = times_of(toy, 400, READ_OK);
	check_mode(&times, LINUX_CPU_IDLE, 1305);
	SYMBOL[LINUX_kernel_cpustat] = 0;
	times = times_of(toy, 400, READ_OK);
	assert_int_equal(times.result[LINUX_CPU_USER], READ_NO_SYMBOL);
}

static void test_load(void **state)
{
	struct toy *toy = *state;
	double loads[LINUX_LOADS];

	assert_int_equal(linux_load_average(&toy->kernel, loads), READ_NO_SYMBOL);
	SYMBOL[LINUX_avenrun] = toy_alloc(toy, 24);
	toy_put(toy, SYMBOL[LINUX_avenrun], 2048, 8);
	toy_put(toy, SYMBOL[LINUX_avenrun] + 8, 2185, 8);
	assert_int_equal(linux_load_average(&toy->kernel, loads), READ_OK);
	assert_true(loads[0] == 1.0);
	assert_true(loads[1] == 1.07);
	assert_true(loads[2] == 0.0);
	SYMBOL[LINUX_avenrun] = TOY_MISSING;
	assert_int_equal(linux_load_average(&toy->kernel, loads), READ_NOT_SAVED);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

enum { ZONE_COUNTS = 64, NODE_COUNTS = 128, INODE_LIST = 16, INODE_MAPPING = 32, SUPER_INODES = 8 };

/* The counters of nodes, in the order of the array that the toy has of them. */
static void memory_layout(struct toy *toy)
{
	struct field *const counts[] = {
	    &L->node_count_file,          &L->node_count_shared,      &L->node_count_active_anon,
	    &L->node_count_inactive_anon, &L->node_count_active_file, &L->node_count_inactive_file,
	    &L->node_count_slab,          &L->node_count_swap_cache,
	};

	toy_array(toy, LAYOUT_zone_count, &L->zone_count_all, ZONE_COUNTS, 8, 4);
	toy_field(toy, LAYOUT_zone_count, &L->zone_count_free, ZONE_COUNTS + 8, 8);
	toy_array(toy, LAYOUT_node_count, &L->node_count_all, NODE_COUNTS, 8, 8);
	for (unsigned i = 0; i < ARRAY_SIZE(counts); i++)
		toy_field(toy, LAYOUT_node_count, counts[i], NODE_COUNTS + 8 * i, 8);
	toy_field(toy, LAYOUT_block_super, &L->block_super_inodes, SUPER_INODES, 16);
	toy_field(toy, LAYOUT_block_inode, &L->block_inode_list, INODE_LIST, 16);
	toy_field(toy, LAYOUT_block_inode, &L->block_inode_mapping, INODE_MAPPING, 8);
	toy_field(toy, LAYOUT_block_pages, &L->block_pages_count, 0, 8);
}

/* Two block devices, with 30 and 4 pages; returns the inode of the second. */
static uint64_t make_memory(struct toy *toy)
{
	uint64_t super = toy_alloc(toy, 64), variable = toy_alloc(toy, 64), before, inode = 0;
	static const uint64_t nodes[] = {500, 7, 20, 10, 200, 100, 25, 6}, pages[] = {30, 4};

	memory_layout(toy);
	SYMBOL[LINUX_vm_zone_stat] = toy_alloc(toy, 64);
	SYMBOL[LINUX_vm_node_stat] = toy_alloc(toy, 64);
	toy_put(toy, SYMBOL[LINUX_vm_zone_stat] + 8, 900, 8);
	for (unsigned i = 0; i < ARRAY_SIZE(nodes); i++)
		toy_put(toy, SYMBOL[LINUX_vm_node_stat] + 8 * i, nodes[i], 8);
	SYMBOL[LINUX_total_swap_pages] = variable;
	SYMBOL[LINUX_nr_swap_pages] = variable + 8;
	toy_put(toy, variable, 64, 8);
	toy_put(toy, variable + 8, 50, 8);
	SYMBOL[LINUX_blockdev_superblock] = variable + 16;
	toy_put(toy, variable + 16, super, 8);
	before = super + SUPER_INODES;
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
		uint64_t mapping = toy_alloc(toy, 64);

		inode = toy_alloc(toy, 64);
		toy_put(toy, inode + INODE_MAPPING, mapping, 8);
		toy_put(toy, mapping, pages[i], 8);
		toy_put(toy, before, inode + INODE_LIST, 8);
		toy_put(toy, inode + INODE_LIST + 8, before, 8);
		before = inode + INODE_LIST;
	}
	toy_put(toy, before, super + SUPER_INODES, 8);
	toy_put(toy, super + SUPER_INODES + 8, before, 8);
	return inode;
}

static void test_memory(void **state)
{
	static const int64_t expected[LINUX_MEMORY_USES] = {
	    [LINUX_MEMORY_FREE] = 900,      [LINUX_MEMORY_BUFFERS] = 34,
	    [LINUX_MEMORY_CACHED] = 460,    [LINUX_MEMORY_SWAP_CACHED] = 6,
	    [LINUX_MEMORY_ACTIVE] = 220,    [LINUX_MEMORY_INACTIVE] = 110,
	    [LINUX_MEMORY_SHARED] = 7,      [LINUX_MEMORY_SLAB] = 25,
	    [LINUX_MEMORY_SWAP_TOTAL] = 64, [LINUX_MEMORY_SWAP_FREE] = 50,
	};
	struct toy *toy = *state;
	struct linux_memory memory;

	make_memory(toy);
	linux_memory_use(&toy->kernel, &memory);
	for (unsigned i = 0; i < LINUX_MEMORY_USES; i++) {
		assert_int_equal(memory.result[i], READ_OK);
		assert_int_equal(memory.bytes[i], expected[i] * PAGE_SIZE);
	}
	/* Counters of single CPUs that are not summed up yet. */
	toy_put(toy, SYMBOL[LINUX_vm_zone_stat] + 8, (uint64_t)-3, 8);
	linux_memory_use(&toy->kernel, &memory);
	assert_int_equal(memory.bytes[LINUX_MEMORY_FREE], 0);
}

/* What depends on a list that is broken is absent; the rest is there. */
static void test_broken_memory(void **state)
{
	struct toy *toy = *state;
	uint64_t inode = make_memory(toy);
	struct linux_memory memory;

	toy_put(toy, inode + INODE_MAPPING, TOY_MISSING, 8);
	linux_memory_use(&toy->kernel, &memory);
	assert_int_equal(memory.result[LINUX_MEMORY_BUFFERS], READ_NOT_SAVED);
	assert_int_equal(memory.result[LINUX_MEMORY_CACHED], READ_NOT_SAVED);
	assert_int_equal(memory.result[LINUX_MEMORY_FREE], READ_OK);
	toy_put(toy, inode + INODE_LIST, inode + INODE_LIST, 8);
	toy_put(toy, inode + INODE_MAPPING, inode, 8);
	linux_memory_use(&toy->kernel, &memory);
	assert_int_equal(memory.result[LINUX_MEMORY_BUFFERS], READ_BAD_DATA);
	SYMBOL[LINUX_blockdev_superblock] = 0;
	linux_memory_use(&toy->kernel, &memory);
	assert_int_equal(memory.result[LINUX_MEMORY_BUFFERS], READ_NO_SYMBOL);
}

/* Before 5.12 the cache of swap is known only where there is no swap. */
static void test_old_swap_cache(void **state)
{
	struct toy *toy = *state;
	struct linux_memory memory;

	make_memory(toy);
	L->node_count_swap_cache.present = false;
	linux_memory_use(&toy->kernel, &memory);
	assert_int_equal(memory.result[LINUX_MEMORY_SWAP_CACHED], READ_NO_LAYOUT);
	toy_put(toy, SYMBOL[LINUX_total_swap_pages], 0, 8);
	linux_memory_use(&toy->kernel, &memory);
	assert_int_equal(memory.result[LINUX_MEMORY_SWAP_CACHED], READ_OK);
	assert_int_equal(memory.bytes[LINUX_MEMORY_CACHED], 466 * PAGE_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_with_ticks, toy_setup, toy_teardown),
	    cmocka_unit_test_setup_teardown(test_without_ticks, toy_setup, toy_teardown),
	    cmocka_unit_test_setup_teardown(test_idle_in_cpustat, toy_setup, toy_teardown),
	    cmocka_unit_test_setup_teardown(test_load, toy_setup, toy_teardown),
	    cmocka_unit_test_setup_teardown(test_memory, toy_setup, toy_teardown),
	    cmocka_unit_test_setup_teardown(test_broken_memory, toy_setup, toy_teardown),
	    cmocka_unit_test_setup_teardown(test_old_swap_cache, toy_setup, toy_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
