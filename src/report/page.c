/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The page around its parts. */
#include "core/error.h"
#include "output/unit.h"
#include "report/assets.h"
#include "report/content.h"
#include "report/markup.h"
#include "report/parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

/* What is gathered before it is given to write(). */
#define PIECE ((size_t)256 << 10)
/* The first sections stand side by side, under one heading. */
#define FIRST_LARGE SECTION_findings

struct page {
	const struct report_options *options;
	const struct content *content;
	struct buffer out;
	struct buffer missing; /* HTML of the list */
	size_t missing_count;
};

static void put(struct page *page, const char *html)
{
	buffer_append_string(&page->out, html);
}

/* Gives what was gathered to the caller. */
static struct nunchi_error *flush(struct page *page)
{
	bool good = true;

	if (page->out.failed)
		return &error_nomem;
	if (page->out.size)
		good = page->options->write(page->out.data, page->out.size, page->options->data);
	buffer_clear(&page->out);
	return good ? NULL : error_create(NUNCHI_ERROR_CANCELLED, "writing the page failed");
}

/* ---- The head -------------------------------------------------------------------------------- */

/*
 * The page asks nobody for anything, and runs and shows no script and no style but its own, which
 * have these checksums.
 */
static void put_head(struct page *page)
{
	put(page, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		  "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		  "style-src 'sha256-" REPORT_STYLE_SHA256 "'; "
		  "script-src 'sha256-" REPORT_SCRIPT_SHA256 "'; "
		  "base-uri 'none'; form-action 'none'\">\n"
		  "<meta name=\"referrer\" content=\"no-referrer\">\n"
		  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		  "<meta name=\"color-scheme\" content=\"light dark\">\n"
		  "<meta name=\"generator\" content=\"nunchi " NUNCHI_VERSION "\">\n<title>");
	markup_string(&page->out, page->options->target);
	put(page, " – nunchi report</title>\n<style>");
	buffer_append(&page->out, report_style, report_style_size);
	put(page, "</style>\n</head>\n");
}

static const char *moment_text(enum content_moment moment)
{
	switch (moment) {
	case CONTENT_SAVED:
		return "a saved guest";
	case CONTENT_ONE:
		return "a running guest, paused while it was copied: all of the page is of one "
		       "moment";
	case CONTENT_RUNNING:
		return "a guest that ran while it was read: the parts of the page are of "
		       "different moments";
	default:
		return "a running guest, copied several times: the parts of the page are of "
		       "different moments";
	}
}

static void put_badges(struct page *page)
{
	const struct content *content = page->content;

	put(page, "<ul class=\"badges\">\n");
	for (size_t i = 0; i < ARRAY_SIZE(content->findings); i++)
		if (content->findings[i])
			buffer_printf(
			    &page->out,
			    "<li class=\"%s\"><a href=\"#findings\">%s: %" PRIu64 "</a></li>\n",
			    content_severities[i], content_severities[i], content->findings[i]);
	if (page->missing_count)
		buffer_printf(&page->out,
			      "<li class=\"unknown\"><a href=\"#missing\">missing: %zu</a></li>\n",
			      page->missing_count);
	put(page, "</ul>\n");
}

static void put_links(struct page *page)
{
	put(page,
	    "<nav aria-label=\"Parts of the page\"><ul>\n<li><a href=\"#guest\">Guest</a></li>\n");
	for (size_t i = FIRST_LARGE; i < SECTION_COUNT; i++) {
		const struct section *section = &page->content->sections[i];

		buffer_printf(&page->out,
			      "<li><a href=\"#%s\">%s</a> <span class=\"count\">%zu</span></li>\n",
			      section->kind->name, section->kind->title, section->count);
		if (i == SECTION_findings)
			put(page, "<li><a href=\"#missing\">Missing</a></li>\n");
		if (i == SECTION_processes)
			put(page, "<li><a href=\"#timeline\">Timeline</a></li>\n");
	}
	put(page, "<li><a href=\"#facts\">How it was read</a></li>\n</ul></nav>\n");
}

static void put_header(struct page *page)
{
	const struct content *content = page->content;

	put(page, "<body>\n<header>\n<h1>");
	if (content->hostname.size)
		buffer_append(&page->out, content->hostname.data, content->hostname.size);
	else
		markup_string(&page->out, page->options->target);
	put(page, "</h1>\n<p><code>");
	markup_string(&page->out, page->options->target);
	put(page, "</code>, ");
	put(page, moment_text(content->moment));
	put(page, "</p>\n<p>");
	if (content->release.size) {
		put(page, "Linux ");
		buffer_append(&page->out, content->release.data, content->release.size);
		put(page, "; ");
	}
	if (content->boot_time >= 0 && content->uptime >= 0) {
		put(page, "up ");
		unit_append(&page->out, NUNCHI_UNIT_SECONDS, content->uptime);
		put(page, "; ");
	}
	put(page, "read by nunchi " NUNCHI_VERSION " at ");
	unit_append(&page->out, NUNCHI_UNIT_UNIX_TIME, (int64_t)time(NULL));
	put(page, " by this host's clock. All times are UTC.</p>\n");
	put_badges(page);
	put(page, "<p id=\"search\" hidden><label>Search all tables <input type=\"search\" "
		  "autocomplete=\"off\" spellcheck=\"false\"></label> <output></output></p>\n");
	put_links(page);
	put(page, "</header>\n<main>\n");
}

/* ---- Sections -------------------------------------------------------------------------------- */

static void open_section(struct page *page, const char *id, const char *title, const char *count,
			 bool open)
{
	buffer_printf(&page->out,
		      "<section id=\"%s\"><details%s><summary><h2>%s</h2>%s</summary>\n", id,
		      open ? " open" : "", title, count);
}

static void close_section(struct page *page)
{
	put(page, "</details></section>\n");
}

static void put_failure(struct page *page, const struct section *section)
{
	if (section->failure) {
		put(page, "<p class=\"missing\">This could not be read: ");
		markup_string(&page->out, section->failure);
		put(page, "</p>\n");
	}
	if (section->cut)
		buffer_printf(
		    &page->out,
		    "<p class=\"missing\">Only the first %zu rows are on this page.</p>\n",
		    section->count);
	for (size_t i = 0; i < page->content->warning_count; i++) {
		if (!(page->content->warnings[i].sections &
		      (uint32_t)1 << (section - page->content->sections)))
			continue;
		put(page, "<p class=\"missing\">");
		markup_string(&page->out, page->content->warnings[i].text);
		put(page, "</p>\n");
	}
}

static void put_column_names(struct page *page, const struct section *section)
{
	put(page, "<thead><tr>");
	for (size_t i = 0; i < section->column_count; i++) {
		put(page, "<th scope=\"col\" title=\"");
		markup_string(&page->out, section->columns[i]->description);
		put(page, "\">");
		put(page, section->columns[i]->name);
		put(page, "</th>");
		if (!i && section->kind->form == SECTION_OF_PROCESSES)
			put(page, "<th scope=\"col\" title=\"the process's name\">process</th>");
	}
	put(page, "</tr></thead>");
}

static void put_card(struct page *page, const struct section *section)
{
	buffer_printf(&page->out, "<div id=\"%s\"><h3>%s</h3>\n", section->kind->name,
		      section->kind->title);
	put_failure(page, section);
	buffer_printf(&page->out, "<table data-view=\"%s\"><tbody>\n", section->kind->name);
	section_rows(section, &page->out);
	put(page, "</tbody></table></div>\n");
}

static struct nunchi_error *put_table(struct page *page, const struct section *section)
{
	char count[64];

	snprintf(count, sizeof(count), " <span class=\"count\">%zu</span>", section->count);
	open_section(page, section->kind->name, section->kind->title, count, true);
	if (*section->kind->about) {
		put(page, "<p>");
		put(page, section->kind->about);
		put(page, "</p>\n");
	}
	put_failure(page, section);
	if (section->count) {
		buffer_printf(&page->out,
			      "<div class=\"wide\"><table class=\"rows\" data-view=\"%s\">",
			      section->kind->name);
		put_column_names(page, section);
		put(page, "<tbody>\n");
		section_rows(section, &page->out);
		put(page, "</tbody></table></div>\n");
	} else if (!section->failure) {
		put(page, "<p>None.</p>\n");
	}
	close_section(page);
	return page->out.size > PIECE ? flush(page) : NULL;
}

static void put_missing(struct page *page)
{
	open_section(page, "missing", "What is missing, and why", "", true);
	if (page->missing_count) {
		put(page, "<ul>\n");
		buffer_append(&page->out, page->missing.data, page->missing.size);
		put(page, "</ul>\n");
	} else {
		put(page, "<p>Nothing of what was asked for.</p>\n");
	}
	put(page,
	    "<p>A dash is a cell without a value; its reason stands beside it, or shows where "
	    "the pointer rests: “not applicable” is what the object does not have, as a "
	    "kernel thread has no command line. In names, characters that cannot be seen, "
	    "and bytes that are no text, are written as \\n, \\xNN or \\u{NNNN}. Not on this "
	    "page are the other views of nunchi, which <code>nunchi views</code> "
	    "lists.</p>\n");
	close_section(page);
}

static void put_timeline(struct page *page)
{
	open_section(page, "timeline", "Timeline of starts", "", true);
	put(page, "<p>When processes started that are still there, by the guest’s clock: a line "
		  "for each second in which one did.</p>\n");
	parts_timeline(page->content, &page->out);
	close_section(page);
}

static void put_facts(struct page *page)
{
	open_section(page, "facts", "How it was read", "", false);
	put(page,
	    "<div class=\"wide\"><table class=\"rows\"><thead><tr><th scope=\"col\">topic</th>"
	    "<th scope=\"col\">name</th><th scope=\"col\">value</th>"
	    "<th scope=\"col\">known from, or because</th></tr></thead><tbody>\n");
	buffer_append(&page->out, buffer_string(&page->content->facts), page->content->facts.size);
	put(page, "</tbody></table></div>\n");
	close_section(page);
}

static struct nunchi_error *put_body(struct page *page)
{
	struct nunchi_error *err = NULL;

	open_section(page, "guest", "Guest", "", true);
	put(page, "<div class=\"cards\">\n");
	for (size_t i = 0; i < FIRST_LARGE; i++)
		put_card(page, &page->content->sections[i]);
	put(page, "</div>\n");
	close_section(page);
	for (size_t i = FIRST_LARGE; i < SECTION_COUNT && !err; i++) {
		err = put_table(page, &page->content->sections[i]);
		if (i == SECTION_findings)
			put_missing(page);
		if (i == SECTION_processes)
			put_timeline(page);
	}
	put_facts(page);
	return err;
}

static struct nunchi_error *put_page(struct page *page)
{
	struct nunchi_error *err;

	page->missing_count = parts_missing(page->content, &page->missing);
	if (page->missing.failed)
		return &error_nomem;
	put_head(page);
	put_header(page);
	err = put_body(page);
	put(page, "</main>\n<script>");
	buffer_append(&page->out, report_script, report_script_size);
	put(page, "</script>\n</body>\n</html>\n");
	return err ? err : flush(page);
}

/* What is missing is told twice: on the page, and to whoever has it written. */
static void tell_warnings(const struct content *content)
{
	const struct report_options *options = content->options;

	for (size_t i = 0; i < SECTION_COUNT; i++)
		if (content->sections[i].failure)
			options->warn(content->sections[i].failure, options->data);
	for (size_t i = 0; i < content->warning_count; i++)
		options->warn(content->warnings[i].text, options->data);
}

struct nunchi_error *report_write(const struct report_options *options)
{
	static struct content content;
	struct page page = {.options = options, .content = &content};
	struct nunchi_error *err;

	err = content_read(&content, options);
	if (!err)
		tell_warnings(&content);
	if (!err)
		err = put_page(&page);
	buffer_deinit(&page.out);
	buffer_deinit(&page.missing);
	content_deinit(&content);
	return err;
}
