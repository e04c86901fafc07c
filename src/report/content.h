/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All that the page is made of, read from a guest. */
#ifndef NUNCHI_REPORT_CONTENT_H
#define NUNCHI_REPORT_CONTENT_H

#include "report/report.h"
#include "report/sections.h"

/* Different warnings that are told one by one. */
#define CONTENT_MOST_WARNINGS 200

struct content_warning {
	char *text;        /* owned */
	uint32_t sections; /* a bit for each that has it */
};

/* Of what moment of the guest the sections are. */
enum content_moment {
	CONTENT_SAVED,   /* a file */
	CONTENT_ONE,     /* pages that were copied while the guest was paused */
	CONTENT_RUNNING, /* the guest ran on */
	CONTENT_SEVERAL  /* pages were copied again and again */
};

struct content {
	const struct report_options *options;
	struct section sections[SECTION_COUNT];
	struct section_processes processes;
	struct content_warning warnings[CONTENT_MOST_WARNINGS];
	size_t warning_count;
	uint64_t more_warnings; /* that are not told */
	bool no_memory;
	enum section_name reading;
	enum content_moment moment;
	struct buffer facts;   /* rows of what nunchi knows of the guest, and how */
	struct buffer missing; /* items of what its kernel does not tell, and how many */
	size_t missing_count;
	/* Plain numbers, for the head of the page and for the timeline. */
	struct buffer hostname, release; /* HTML */
	uint64_t findings[5];            /* by severity, as in content_severities */
	int64_t boot_time, uptime;       /* seconds; -1: not known */
};

extern const char *const content_severities[5];

struct nunchi_error *content_read(struct content *content, const struct report_options *options);
void content_deinit(struct content *content);

#endif
