/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/task_cells.h"

#define NSEC_PER_SEC  1000000000
#define NSEC_PER_MSEC 1000000

/* task_struct.static_prio of nice 0: include/linux/sched/prio.h */
#define DEFAULT_PRIO 120

void task_cell_name(struct view_row *row, unsigned column, struct linux_kernel *kernel,
		    const struct object *task, struct buffer *name)
{
	enum memory_fault fault;

	if (!kernel->layout.task_comm.present) {
		row_absent(row, column, NUNCHI_ABSENT_NO_LAYOUT);
		return;
	}
	buffer_clear(name);
	fault = linux_task_name(kernel, task, name);
	if (fault == MEMORY_OK)
		row_text(row, column, buffer_string(name), name->size);
	else
		row_absent(row, column, row_absence_of(fault));
}

void task_cell_state(struct view_row *row, unsigned column, const struct linux_kernel *kernel,
		     const struct object *task)
{
	char letter = linux_task_state(kernel, task);

	if (kernel->layout.task_state.present && kernel->layout.task_exit_state.present)
		row_text(row, column, &letter, 1);
	else
		row_absent(row, column, NUNCHI_ABSENT_NO_LAYOUT);
}

void task_cell_nice(struct view_row *row, unsigned column, const struct linux_kernel *kernel,
		    const struct object *task)
{
	const struct field *field = &kernel->layout.task_static_prio;

	if (field->present)
		row_integer(row, column,
			    (int64_t)((uint64_t)object_s64(task, field) - DEFAULT_PRIO));
	else
		row_absent(row, column, NUNCHI_ABSENT_NO_LAYOUT);
}

void task_cell_is_kernel_thread(struct view_row *row, unsigned column,
				const struct linux_kernel *kernel, const struct object *task)
{
	if (kernel->layout.task_flags.present)
		row_integer(row, column, linux_task_is_kernel_thread(kernel, task));
	else
		row_absent(row, column, NUNCHI_ABSENT_NO_LAYOUT);
}

void task_cell_start_time(struct view_row *row, unsigned column, const struct linux_kernel *kernel,
			  const struct object *task, const struct linux_clock *clock)
{
	const struct field *field = &kernel->layout.task_start_boottime;

	if (clock && clock->torn)
		row_torn(row);
	if (clock && field->present)
		row_integer(row, column,
			    clock->boot_ns / NSEC_PER_SEC +
				(int64_t)(object_u64(task, field) / NSEC_PER_SEC));
	else
		row_absent(row, column, NUNCHI_ABSENT_NO_LAYOUT);
}

void task_cells_cpu_time(struct view_row *row, unsigned user, unsigned system,
			 const struct linux_cpu_time *time, enum nunchi_absence why)
{
	if (time) {
		row_integer(row, user, (int64_t)(time->user / NSEC_PER_MSEC));
		row_integer(row, system, (int64_t)(time->system / NSEC_PER_MSEC));
	} else {
		row_absent(row, user, why);
		row_absent(row, system, why);
	}
}

void task_list_ended(struct view_row *row, const struct linux_tasks *walk)
{
	if (!walk->list.broken)
		return;
	row_warn(row, "the list of processes is cut short after %llu: a link is broken",
		 (unsigned long long)walk->list.count);
	row_torn(row);
}
