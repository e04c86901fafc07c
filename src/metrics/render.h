/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Readings as text for Prometheus: OpenMetrics 1.0, or Prometheus' own text format 0.0.4, which
 * node_exporter reads from files; or as JSON, one object a sample.
 */
#ifndef NUNCHI_METRICS_RENDER_H
#define NUNCHI_METRICS_RENDER_H

#include "core/buffer.h"
#include "metrics/reading.h"

enum metrics_form { METRICS_OPENMETRICS, METRICS_TEXT, METRICS_JSON, METRICS_FORMS };

struct metrics_source {
	/* The guest's name as a label has it, by metrics_label(); different for each. */
	const char *label;
	const struct metrics_reading *reading; /* NULL: there is none */
	enum nunchi_error_code why;            /* there is none */
};

/* Appends text from anywhere as the value of a label, in valid UTF-8, without its quotes. */
void metrics_label(struct buffer *out, const char *text, size_t size);
/* Appends all families of all guests. */
void metrics_render(struct buffer *out, enum metrics_form form,
		    const struct metrics_source *sources, size_t count);

#endif
