/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The cells that processes and threads have in common. Each gives the value, or says that this
 * kernel's types lack the field.
 */
#ifndef NUNCHI_VIEW_TASK_CELLS_H
#define NUNCHI_VIEW_TASK_CELLS_H

#include "guest/linux/process.h"
#include "guest/linux/task.h"
#include "guest/linux/time.h"
#include "view/linux_cells.h"

/* name is scratch. */
void task_cell_name(struct view_row *row, unsigned column, struct linux_kernel *kernel,
		    const struct object *task, struct buffer *name);
void task_cell_state(struct view_row *row, unsigned column, const struct linux_kernel *kernel,
		     const struct object *task);
void task_cell_nice(struct view_row *row, unsigned column, const struct linux_kernel *kernel,
		    const struct object *task);
void task_cell_is_kernel_thread(struct view_row *row, unsigned column,
				const struct linux_kernel *kernel, const struct object *task);
/* clock: NULL where it is not known. */
void task_cell_start_time(struct view_row *row, unsigned column, const struct linux_kernel *kernel,
			  const struct object *task, const struct linux_clock *clock);
/* In milliseconds; time is NULL where it is not known, for that reason. */
void task_cells_cpu_time(struct view_row *row, unsigned user, unsigned system,
			 const struct linux_cpu_time *time, enum nunchi_absence why);

/*
 * At the end of a walk over the processes: says if it was cut short, and that this may be for the
 * guest's changing.
 */
void task_list_ended(struct view_row *row, const struct linux_tasks *walk);

#endif
