/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check/check.h"
#include "view/view.h"

#include <string.h>

#define COLUMNS(X)                                                                                 \
	X(severity, TEXT,                                                                          \
	  "ok, unknown (the check could not be made in full), note, warning or alarm")             \
	X(check, TEXT, "name of the check")                                                        \
	X(subject, TEXT, "the process, module, function or table concerned")                       \
	X(pid, INTEGER, "process id, if it is about a process")                                    \
	X(address, ADDRESS, "where in the guest's kernel it was found")                            \
	X(expected, TEXT, "what one side says, or what may stand there")                           \
	X(found, TEXT, "what the other side says, or what stands there")                           \
	X(meaning, TEXT, "what it means; for ok what was compared, for unknown why not")

enum { COLUMNS(VIEW_COLUMN_ENUM) };
static const struct nunchi_column columns[] = {COLUMNS(VIEW_COLUMN)};

struct findings {
	struct guest_kernel *kernel;
	const struct view_request *request;
	size_t next_check;
	const struct check *check; /* of the report */
	struct check_report report;
	size_t next; /* finding of the report */
};

/* Whether rows of a check can meet the constraints on the column `check`. */
static bool is_selected(const struct findings *state, const struct check *check)
{
	size_t length = strlen(check->name);

	for (size_t i = 0; i < state->request->constraint_count; i++) {
		const struct view_constraint *constraint = &state->request->constraints[i];
		bool any = false;

		if (constraint->column != COLUMN_check ||
		    (constraint->op != NUNCHI_EQUAL && constraint->op != NUNCHI_IN))
			continue;
		for (size_t j = 0; j < constraint->count; j++)
			any |= constraint->values[j].text_size == length &&
			       !memcmp(constraint->values[j].text, check->name, length);
		if (!any)
			return false;
	}
	return true;
}

/* Runs checks until one has findings; fails with &error_stop behind the last. */
static struct nunchi_error *run_next(struct findings *state)
{
	size_t count;
	const struct check *const *checks = check_registry(&count);

	check_report_deinit(&state->report);
	state->next = 0;
	while (state->next_check < count) {
		state->check = checks[state->next_check++];
		if (state->check->system == state->kernel->system &&
		    is_selected(state, state->check))
			return check_run(state->check, state->kernel, &state->report);
	}
	return &error_stop;
}

static void put_text(struct view_row *row, unsigned column, const char *text)
{
	if (text && *text)
		row_string(row, column, text);
	else
		row_absent(row, column, NUNCHI_ABSENT_NOT_APPLICABLE);
}

static struct nunchi_error *findings_open(void *data, struct guest_kernel *guest,
					  const struct view_request *request)
{
	struct findings *state = data;

	state->kernel = guest;
	state->request = request;
	return NULL;
}

static struct nunchi_error *findings_next(void *data, struct view_row *row)
{
	struct findings *state = data;
	const struct check_finding *finding;

	while (state->next == state->report.count) {
		struct nunchi_error *err = run_next(state);

		if (err)
			return err;
	}
	finding = &state->report.findings[state->next++];
	if (finding->severity == CHECK_UNKNOWN)
		row_warn(row, "check %s: %s", state->check->name, finding->meaning);
	row_string(row, COLUMN_severity, check_severity_string(finding->severity));
	row_string(row, COLUMN_check, state->check->name);
	put_text(row, COLUMN_subject, finding->subject);
	if (finding->pid >= 0)
		row_integer(row, COLUMN_pid, finding->pid);
	else
		row_absent(row, COLUMN_pid, NUNCHI_ABSENT_NOT_APPLICABLE);
	if (finding->address)
		row_address(row, COLUMN_address, finding->address);
	else
		row_absent(row, COLUMN_address, NUNCHI_ABSENT_NOT_APPLICABLE);
	put_text(row, COLUMN_expected, finding->expected);
	put_text(row, COLUMN_found, finding->found);
	put_text(row, COLUMN_meaning, finding->meaning);
	return NULL;
}

static void findings_close(void *data)
{
	struct findings *state = data;

	check_report_deinit(&state->report);
}

const struct view view_findings = {
    .schema = {"findings", "what the checks of the guest's integrity found", columns,
	       ARRAY_SIZE(columns),
	       .key = VIEW_COLUMN_BIT(COLUMN_check) | VIEW_COLUMN_BIT(COLUMN_subject) |
		      VIEW_COLUMN_BIT(COLUMN_pid) | VIEW_COLUMN_BIT(COLUMN_found),
	       .changing = VIEW_COLUMN_BIT(COLUMN_meaning)},
    .providers = {{&guest_linux, sizeof(struct findings), findings_open, findings_next,
		   findings_close}},
};
