/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is not on the page, and why. */
#include "report/markup.h"
#include "report/parts.h"

#include <inttypes.h>

static size_t append_notes(const struct content *content, struct buffer *out)
{
	const char *note;
	size_t count = 0;

	while ((note = nunchi_guest_note(content->options->guest, count))) {
		buffer_append_string(out, "<li>");
		markup_string(out, note);
		buffer_append_string(out, "</li>\n");
		count++;
	}
	return count;
}

static size_t append_warnings(const struct content *content, struct buffer *out)
{
	for (size_t i = 0; i < content->warning_count; i++) {
		const char *before = " <small>";

		buffer_append_string(out, "<li>");
		markup_string(out, content->warnings[i].text);
		for (size_t j = 0; j < SECTION_COUNT; j++) {
			if (!(content->warnings[i].sections >> j & 1))
				continue;
			buffer_printf(out, "%s<a href=\"#%s\">%s</a>", before,
				      section_kinds[j].name, section_kinds[j].title);
			before = ", ";
		}
		buffer_append_string(out, "</small></li>\n");
	}
	if (content->more_warnings)
		buffer_printf(out, "<li>%" PRIu64 " more warnings</li>\n", content->more_warnings);
	return content->warning_count + (content->more_warnings > 0);
}

static size_t append_losses(const struct section *section, struct buffer *out)
{
	size_t count = 0;

	if (section->failure) {
		buffer_printf(out, "<li><a href=\"#%s\">%s</a>: ", section->kind->name,
			      section->kind->title);
		markup_string(out, section->failure);
		buffer_append_string(out, "</li>\n");
		count++;
	}
	if (section->cut) {
		buffer_printf(out,
			      "<li><a href=\"#%s\">%s</a>: only the first %zu rows are on this "
			      "page; <code>nunchi show</code> shows all</li>\n",
			      section->kind->name, section->kind->title, section->count);
		count++;
	}
	if (section->torn) {
		buffer_printf(out,
			      "<li><a href=\"#%s\">%s</a>: %" PRIu64 " rows changed each time "
			      "they were read, so that their cells may not belong together; they "
			      "are marked ~</li>\n",
			      section->kind->name, section->kind->title, section->torn);
		count++;
	}
	return count;
}

/* Cells that have no value although there is such a property. */
static size_t append_absent(const struct section *section, struct buffer *out)
{
	size_t count = 0;

	for (size_t i = 0; i < section->column_count; i++) {
		for (size_t why = 0; why < SECTION_ABSENCES; why++) {
			if (!section->absent[i][why] || why == NUNCHI_ABSENT_NOT_APPLICABLE)
				continue;
			buffer_printf(out,
				      "<li><a href=\"#%s\">%s</a>, %s: %" PRIu64
				      " without a value: %s</li>\n",
				      section->kind->name, section->kind->title,
				      section->columns[i]->name, section->absent[i][why],
				      nunchi_absence_string((enum nunchi_absence)why));
			count++;
		}
	}
	return count;
}

size_t parts_missing(const struct content *content, struct buffer *out)
{
	size_t count = append_notes(content, out);

	buffer_append(out, buffer_string(&content->missing), content->missing.size);
	count += content->missing_count;
	for (size_t i = 0; i < SECTION_COUNT; i++)
		count += append_losses(&content->sections[i], out);
	count += append_warnings(content, out);
	for (size_t i = 0; i < SECTION_COUNT; i++)
		count += append_absent(&content->sections[i], out);
	return count;
}
