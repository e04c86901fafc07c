/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The head of an HTTP request, in one piece and in two. */
#include "metrics/http.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_request whole, begun;
	/* Exactly so many bytes, so that reading one more is noticed. */
	char *half = malloc(size / 2 + 1);

	if (!half)
		return 0;
	memcpy(half, data, size / 2);
	begun = http_parse(half, size / 2);
	whole = http_parse((const char *)data, size);
	/* What is decided stays so, whatever comes behind it. */
	if (begun.status != HTTP_MORE &&
	    (begun.status != whole.status || begun.wants_text != whole.wants_text))
		abort();
	free(half);
	return 0;
}
