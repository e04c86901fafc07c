/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of HTTP/1.1 (RFC 9112) it takes to answer GET /metrics: pure functions on bytes. */
#ifndef NUNCHI_METRICS_HTTP_H
#define NUNCHI_METRICS_HTTP_H

#include "core/buffer.h"

/* A request whose head is longer is refused. */
#define HTTP_MOST_HEAD 8192

enum http_status {
	HTTP_MORE = 0, /* the head is not whole yet */
	HTTP_OK = 200,
	HTTP_BAD = 400,
	HTTP_NOT_FOUND = 404,
	HTTP_METHOD = 405,
	HTTP_MISDIRECTED = 421,
	HTTP_LARGE = 431,
	HTTP_UNAVAILABLE = 503,
	HTTP_VERSION = 505
};

struct http_request {
	enum http_status status; /* what it is to be answered with */
	/* It accepts text/plain and does not name application/openmetrics-text. */
	bool wants_text;
	bool head_only; /* HEAD: the response has no body */
};

/*
 * Takes the head of a request, of which these are the first bytes. It must be for localhost,
 * 127.0.0.1 or [::1], at any port, or name no host, as HTTP/1.0 allows: any other name that leads
 * here is one that a page in a browser of this host was given for this address (DNS rebinding).
 */
struct http_request http_parse(const char *data, size_t size);
/* Appends a response whose body, which may be left out, is a line that names the status. */
void http_refuse(struct buffer *out, enum http_status status, bool head_only);
/* Appends the head of a response with a body of that type and size. */
void http_head(struct buffer *out, const char *type, size_t size);

#endif
