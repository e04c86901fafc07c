/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metrics/http.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

struct span {
	const char *at;
	size_t size;
};

static bool is(struct span span, const char *word)
{
	return span.size == strlen(word) && !memcmp(span.at, word, span.size);
}

/* RFC 9110, 5.6.2. */
static bool is_token(struct span span)
{
	for (size_t i = 0; i < span.size; i++) {
		unsigned char c = (unsigned char)span.at[i];

		if (c <= ' ' || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c))
			return false;
	}
	return span.size > 0;
}

/* Takes a line off; its end is a line feed, with or without a carriage return before it. */
static bool take_line(struct span *rest, struct span *ret)
{
	const char *end = rest->size ? memchr(rest->at, '\n', rest->size) : NULL;
	size_t size;

	if (!end)
		return false;
	size = (size_t)(end - rest->at);
	*ret = (struct span){rest->at, size && end[-1] == '\r' ? size - 1 : size};
	*rest = (struct span){end + 1, rest->size - size - 1};
	return true;
}

/* Takes what is before the character, and that; all if there is none. */
static struct span take_until(struct span *rest, char c)
{
	const char *end = rest->size ? memchr(rest->at, c, rest->size) : NULL;
	size_t size = end ? (size_t)(end - rest->at) : rest->size;
	struct span taken = {rest->at, size};

	*rest = (struct span){rest->at + size + (end != NULL), rest->size - size - (end != NULL)};
	return taken;
}

/* Whether the word is in it, in upper or lower case. */
static bool contains(struct span span, const char *word)
{
	size_t size = strlen(word);

	for (size_t i = 0; i + size <= span.size; i++)
		if (!strncasecmp(span.at + i, word, size))
			return true;
	return false;
}

static bool has_control(struct span span)
{
	for (size_t i = 0; i < span.size; i++) {
		unsigned char c = (unsigned char)span.at[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return true;
	}
	return false;
}

/* The rest of an authority: nothing, or a colon and digits, of which there may be none. */
static bool is_port(struct span span)
{
	for (size_t i = 1; i < span.size; i++)
		if (span.at[i] < '0' || span.at[i] > '9')
			return false;
	return !span.size || span.at[0] == ':';
}

/* Whether an authority is this host by a name that is not looked up elsewhere. */
static bool is_local(struct span span)
{
	static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		size_t size = strlen(names[i]);

		if (span.size >= size && !strncasecmp(span.at, names[i], size) &&
		    is_port((struct span){span.at + size, span.size - size}))
			return true;
	}
	return false;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static struct span trim(struct span span)
{
	while (span.size && is_space(span.at[0]))
		span = (struct span){span.at + 1, span.size - 1};
	while (span.size && is_space(span.at[span.size - 1]))
		span.size--;
	return span;
}

struct head {
	bool is_new;      /* version 1.1 or a later one of 1 */
	bool is_absolute; /* the request line names the host, and not the header alone */
	bool is_foreign;  /* the host that counts is not this one */
	bool is_bad;
	unsigned hosts;
	bool text, open;
};

/* Takes http://HOST off the target, in the place of which the header Host does not count. */
static void take_host(struct span *target, struct head *head)
{
	static const char scheme[] = "http://";
	const size_t size = sizeof(scheme) - 1;
	const char *end;
	struct span host;

	if (target->size < size || strncasecmp(target->at, scheme, size) != 0)
		return;
	*target = (struct span){target->at + size, target->size - size};
	end = target->size ? memchr(target->at, '/', target->size) : NULL;
	host = (struct span){target->at, end ? (size_t)(end - target->at) : target->size};
	*target = (struct span){target->at + host.size, target->size - host.size};
	head->is_absolute = true;
	head->is_foreign = !is_local(host);
}

/* METHOD /PATH HTTP/1.x, or METHOD http://HOST/PATH HTTP/1.x. */
static enum http_status parse_request_line(struct span line, struct head *head, bool *ret_head_only)
{
	struct span method = take_until(&line, ' '), target = take_until(&line, ' ');
	struct span path;

	if (has_control(line) || has_control(target) || !is_token(method) || !target.size ||
	    line.size != strlen("HTTP/1.1") || memcmp(line.at, "HTTP/", 5) != 0 ||
	    line.at[5] < '0' || line.at[5] > '9' || line.at[6] != '.' || line.at[7] < '0' ||
	    line.at[7] > '9')
		return HTTP_BAD;
	*ret_head_only = is(method, "HEAD");
	if (line.at[5] != '1')
		return HTTP_VERSION;
	head->is_new = line.at[7] != '0';
	take_host(&target, head);
	path = take_until(&target, '?');
	if (!is(path, "/metrics"))
		return HTTP_NOT_FOUND;
	return is(method, "GET") || *ret_head_only ? HTTP_OK : HTTP_METHOD;
}

static bool parse_header(struct span line, struct head *head)
{
	const char *colon = memchr(line.at, ':', line.size);
	struct span name = take_until(&line, ':');

	/* A name with a space before it would go on with the line above. */
	if (!colon || !is_token(name) || has_control(line))
		return false;
	if (name.size == 4 && !strncasecmp(name.at, "host", 4)) {
		head->hosts++;
		head->is_foreign |= !head->is_absolute && !is_local(trim(line));
	}
	if (name.size == 6 && !strncasecmp(name.at, "accept", 6)) {
		head->open |= contains(line, "application/openmetrics-text");
		head->text |= contains(line, "text/plain");
	}
	return true;
}

/* When the head is whole. */
static enum http_status judge(const struct head *head, enum http_status status)
{
	if (head->is_bad || head->hosts > 1 || (head->is_new && !head->hosts))
		return HTTP_BAD;
	return head->is_foreign && status != HTTP_VERSION ? HTTP_MISDIRECTED : status;
}

struct http_request http_parse(const char *data, size_t size)
{
	struct span rest = {data, size < HTTP_MOST_HEAD ? size : HTTP_MOST_HEAD}, line;
	struct http_request request = {.status = HTTP_MORE};
	enum http_status status = HTTP_MORE;
	struct head head = {0};

	while (take_line(&rest, &line)) {
		/* An empty line before the request is passed over (RFC 9112, 2.2). */
		if (!line.size && status == HTTP_MORE)
			continue;
		if (!line.size) {
			request.status = judge(&head, status);
			request.wants_text = head.text && !head.open;
			return request;
		}
		if (status == HTTP_MORE)
			status = parse_request_line(line, &head, &request.head_only);
		else
			head.is_bad |= !parse_header(line, &head);
		if (status == HTTP_BAD)
			break;
	}
	if (status == HTTP_BAD)
		request.status = HTTP_BAD;
	else if (size >= HTTP_MOST_HEAD)
		request.status = HTTP_LARGE;
	return request;
}

/* ---- Responses ------------------------------------------------------------------------------- */

static const char *name_of(enum http_status status)
{
	switch (status) {
	case HTTP_OK:
		return "OK";
	case HTTP_NOT_FOUND:
		return "Not Found";
	case HTTP_METHOD:
		return "Method Not Allowed";
	case HTTP_MISDIRECTED:
		return "Misdirected Request";
	case HTTP_LARGE:
		return "Request Header Fields Too Large";
	case HTTP_UNAVAILABLE:
		return "Service Unavailable";
	case HTTP_VERSION:
		return "HTTP Version Not Supported";
	default:
		return "Bad Request";
	}
}

static void append_head(struct buffer *out, enum http_status status, const char *type, size_t size)
{
	buffer_printf(out,
		      "HTTP/1.1 %d %s\r\n%sContent-Type: %s\r\nContent-Length: %zu\r\n"
		      "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
		      "Connection: close\r\n\r\n",
		      (int)status, name_of(status),
		      status == HTTP_METHOD ? "Allow: GET, HEAD\r\n" : "", type, size);
}

void http_refuse(struct buffer *out, enum http_status status, bool head_only)
{
	char body[64];

	snprintf(body, sizeof(body), "%d %s\n", (int)status, name_of(status));
	append_head(out, status, "text/plain; charset=utf-8", strlen(body));
	if (!head_only)
		buffer_append_string(out, body);
}

void http_head(struct buffer *out, const char *type, size_t size)
{
	append_head(out, HTTP_OK, type, size);
}
