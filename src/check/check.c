/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check/check.h"
#include "core/array.h"
#include "core/hash.h"

#include <stdio.h>
#include <string.h>

/* How often a check runs on a running guest before a finding is believed. */
#define RUNS 3

#define CHECK(name) extern const struct check check_##name;
#include "check/checks.def"
#undef CHECK

static const struct check *const registry[] = {
#define CHECK(name) &check_##name,
#include "check/checks.def"
#undef CHECK
};

const struct check *const *check_registry(size_t *ret_count)
{
	*ret_count = ARRAY_SIZE(registry);
	return registry;
}

const char *nunchi_check_name(size_t n)
{
	return n < ARRAY_SIZE(registry) ? registry[n]->name : NULL;
}

const char *check_severity_string(enum check_severity severity)
{
	static const char *const names[] = {"ok", "unknown", "note", "warning", "alarm"};

	return names[severity];
}

static void free_texts(struct check_finding *finding)
{
	free((char *)finding->subject);
	free((char *)finding->expected);
	free((char *)finding->found);
	free((char *)finding->meaning);
}

void check_report_deinit(struct check_report *report)
{
	for (size_t i = 0; i < report->count; i++)
		free_texts(&report->findings[i]);
	free(report->findings);
	free(report->unread);
	*report = (struct check_report){0};
}

static const char *copy(struct check_report *report, const char *text)
{
	char *copied = text ? strdup(text) : NULL;

	report->no_memory |= text && !copied;
	return copied;
}

const char *check_text(struct check_report *report, const struct buffer *text)
{
	report->no_memory |= text->no_memory;
	return buffer_string(text);
}

void check_add(struct check_report *report, const struct check_finding *finding)
{
	struct check_finding *added;

	if (report->counts[finding->severity]++ >= CHECK_MAX_FINDINGS) {
		report->left_out++;
		return;
	}
	if (!ARRAY_RESERVE(report->findings, report->count, report->capacity, 1)) {
		report->no_memory = true;
		return;
	}
	added = &report->findings[report->count++];
	*added = *finding;
	added->subject = copy(report, finding->subject);
	added->expected = copy(report, finding->expected);
	added->found = copy(report, finding->found);
	added->meaning = copy(report, finding->meaning);
}

void check_summary(struct check_report *report, const char *format, ...)
{
	_cleanup_buffer_ struct buffer text = {0};
	va_list arguments;

	va_start(arguments, format);
	buffer_vprintf(&text, format, arguments);
	va_end(arguments);
	if (report->unread)
		buffer_printf(&text, "; not in full: %s", report->unread);
	if (report->left_out)
		buffer_printf(&text, "; %llu more findings are not shown",
			      (unsigned long long)report->left_out);
	report->no_memory |= text.failed;
	check_add(report, &(struct check_finding){
			      .severity = report->unread ? CHECK_UNKNOWN : CHECK_OK,
			      .pid = -1,
			      .meaning = buffer_string(&text),
			  });
}

static void remember(struct check_report *report, struct buffer *text)
{
	report->unread = text->failed ? NULL : strdup(buffer_string(text));
	report->no_memory |= !report->unread;
}

void check_unread(struct check_report *report, enum read_result why, const char *format, ...)
{
	_cleanup_buffer_ struct buffer text = {0};
	va_list arguments;

	report->no_memory |= why == READ_NO_MEMORY;
	if (why == READ_OK || report->unread)
		return;
	va_start(arguments, format);
	buffer_vprintf(&text, format, arguments);
	va_end(arguments);
	buffer_printf(&text, ": %s", read_result_string(why));
	remember(report, &text);
}

void check_unknown(struct check_report *report, const char *format, ...)
{
	_cleanup_buffer_ struct buffer text = {0};
	va_list arguments;

	if (report->unread)
		return;
	va_start(arguments, format);
	buffer_vprintf(&text, format, arguments);
	va_end(arguments);
	remember(report, &text);
}

static struct nunchi_error *run_once(const struct check *check, struct guest_kernel *kernel,
				     struct check_report *ret)
{
	struct nunchi_error *err = check->run(kernel, ret);

	if (error_is(err, NUNCHI_ERROR_UNSUPPORTED)) {
		check_add(ret, &(struct check_finding){.severity = CHECK_UNKNOWN,
						       .pid = -1,
						       .meaning = nunchi_error_message(err)});
		nunchi_error_destroy(err);
		err = NULL;
	}
	if (!err && ret->no_memory)
		err = &error_nomem;
	if (!err && cancel_requested(kernel->cancel))
		err = error_create(NUNCHI_ERROR_CANCELLED, "the checks were cancelled");
	if (err)
		check_report_deinit(ret);
	return err;
}

/*
 * What makes two findings of two runs the same: what the guest cannot change all the time to
 * escape, as a process can its name.
 */
static uint64_t identity(const struct check_finding *finding)
{
	bool is_placed = finding->pid >= 0 || finding->address;
	const char *subject = is_placed || !finding->subject ? "" : finding->subject;
	uint64_t parts[] = {(uint64_t)finding->pid, finding->address,
			    hash_bytes(subject, strlen(subject))};

	return hash_bytes(parts, sizeof(parts));
}

/* Drops the findings above CHECK_NOTE that another run does not have. */
static void keep_common(struct check_report *report, const struct check_report *other)
{
	size_t kept = 0;

	for (size_t i = 0; i < report->count; i++) {
		struct check_finding *finding = &report->findings[i];
		bool keep = finding->severity <= CHECK_NOTE;

		for (size_t j = 0; j < other->count && !keep; j++)
			keep = identity(finding) == identity(&other->findings[j]);
		if (keep)
			report->findings[kept++] = *finding;
		else
			free_texts(finding);
	}
	report->count = kept;
}

static bool is_serious(const struct check_report *report)
{
	for (size_t i = 0; i < report->count; i++)
		if (report->findings[i].severity > CHECK_NOTE)
			return true;
	return false;
}

/* What was compared is of no interest where it was found to differ. */
static void drop_summary(struct check_report *report)
{
	size_t kept = 0;

	for (size_t i = 0; i < report->count; i++) {
		if (report->findings[i].severity == CHECK_OK)
			free_texts(&report->findings[i]);
		else
			report->findings[kept++] = report->findings[i];
	}
	report->count = kept;
}

struct nunchi_error *check_run(const struct check *check, struct guest_kernel *kernel,
			       struct check_report *ret)
{
	struct nunchi_error *err;

	*ret = (struct check_report){0};
	err = run_once(check, kernel, ret);
	for (int i = 1; i < RUNS && !err && kernel->live && is_serious(ret); i++) {
		struct check_report again = {0};

		/* Else it would find what the first run keeps: translations and modules. */
		memory_new_generation(kernel->memory);
		err = run_once(check, kernel, &again);
		if (!err)
			keep_common(ret, &again);
		check_report_deinit(&again);
	}
	if (err)
		check_report_deinit(ret);
	else if (is_serious(ret))
		drop_summary(ret);
	return err;
}
