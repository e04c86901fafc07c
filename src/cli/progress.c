/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How far a long copy is. */
#include "cli.h"

#include <inttypes.h>
#include <time.h>
#include <unistd.h>

double cli_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void progress_begin(struct progress *progress)
{
	progress->terminal = isatty(STDERR_FILENO);
	progress->last = cli_now();
}

void progress_show(struct progress *progress, uint64_t done, uint64_t total)
{
	const char *start = progress->terminal ? "\r" : "", *end = progress->terminal ? "" : "\n";
	double time;

	if (!progress->terminal && !progress->always)
		return;
	time = cli_now();
	if (time - progress->last < (progress->terminal ? 0.1 : 2.0) && (done < total || !total))
		return;
	progress->last = time;
	progress->shown = progress->terminal;
	if (total)
		fprintf(stderr, "%s%3d %%  %" PRIu64 " of %" PRIu64 " MiB%s", start,
			(int)((double)done * 100.0 / (double)total), done >> 20, total >> 20, end);
	else
		fprintf(stderr, "%s%" PRIu64 " MiB%s", start, done >> 20, end);
}

void progress_end(struct progress *progress)
{
	if (progress->shown)
		fputs("\n", stderr);
	progress->shown = false;
}
