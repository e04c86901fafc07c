/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How what is known is written. */
#ifndef NUNCHI_TOP_TEXT_H
#define NUNCHI_TOP_TEXT_H

#include "core/buffer.h"
#include "top/model.h"

#define TOP_CELL_SIZE 32

/* A cell that has no value is "-". */
void top_text_share(struct top_share share, char ret[TOP_CELL_SIZE]);
/* "4096", "1.2M" */
void top_text_size(struct top_cell bytes, char ret[TOP_CELL_SIZE]);
/* Minutes, seconds and hundredths: "12:34.56"; from 100 hours on "123h45" */
void top_text_time(struct top_cell ms, char ret[TOP_CELL_SIZE]);
/* "3 d 02:15:10" */
void top_text_uptime(struct top_cell ms, char ret[TOP_CELL_SIZE]);
void top_text_number(struct top_cell number, char ret[TOP_CELL_SIZE]);
/*
 * Appends the command line, or the name where there is none: of kernel threads [in brackets]. What
 * looks like that and is none stands in quotes. All of it is escaped.
 */
void top_text_command(const struct top_reading *reading, const struct top_task *task,
		      struct buffer *ret);
/* A text escaped, to be freed; NULL if memory is short. */
char *top_text_escaped(const char *text);
/* Appends a text of the reading, escaped. */
void top_text_append(const struct top_reading *reading, const struct top_text *text,
		     struct buffer *ret);
/* "350 processes: 1 running, 340 sleeping …" */
void top_text_counts(const struct top_counts *counts, struct buffer *ret);
/* "load 1.06 0.76 0.36" */
void top_text_load(const struct top_general *general, struct buffer *ret);
/* "12.3% busy: 4.0% system …" */
void top_text_cpu(const struct top_load *load, struct buffer *ret);
/* "1.2G of 2.0G used, 0.5G free, 0.3G cached; swap …" */
void top_text_memory(const struct top_general *general, const struct top_model *model,
		     struct buffer *ret);

#endif
