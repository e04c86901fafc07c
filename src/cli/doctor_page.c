/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The doctor's page: the verdict in one sentence, what to do next, why, and what each change did. A
 * term is explained once, where it first stands. Lines fit 80 columns; commands stay ones that can
 * be copied.
 */
#include "cli.h"

#include "words.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <nunchi/doctor.h>

#define WIDTH 79
/* Of --brief: below the verdict and its reason. */
#define BRIEF_STEPS 3

static const char *verdict_word(enum nunchi_verdict verdict)
{
	switch (verdict) {
	case NUNCHI_VERDICT_READY:
		return _("ready");
	case NUNCHI_VERDICT_NO_SCREEN:
		return _("ready without a screen");
	case NUNCHI_VERDICT_NOT_READY:
		return _("not ready");
	case NUNCHI_VERDICT_UNKNOWN:
		break;
	}
	return _("not known");
}

static const char *const weight_words[] = {N_("blocker"), N_("problem"), N_("advice"), N_("note")};
static const char *const confidence_words[] = {N_("sure"), N_("likely"), N_("possible")};
static const char *const effect_words[] = {
    N_("no effect"), N_("harmful"), N_("right idea, wrong line"), N_("useful"), N_("not judged")};

/* ---- Terms ---- */

static const struct {
	const char *term, *meaning;
} terms[] = {
    {"introspection", N_("looking into a running guest from outside")},
    {"dom0", N_("the Linux that Xen starts first, and that runs the machine")},
    {"HVM", N_("guests that run as on a machine of their own, with VT-x or AMD-V")},
    {"PVH", N_("like HVM, without an old PC's devices")},
    {"PV", N_("guests that know of Xen and need no VT-x")},
    {"KVM", N_("Linux's own hypervisor, which QEMU uses")},
    {"GRUB", N_("the menu before Linux starts")},
    {"IOMMU", N_("what limits the memory that devices reach: VT-d, AMD-Vi")},
    {"MUX", N_("the switch of a laptop's panel between two graphics devices")},
    {"DVMT", N_("memory that the BIOS sets aside for graphics")},
    {"initramfs", N_("the small system that Linux starts from")},
    {"altp2m", N_("Xen's second view of a guest's memory")},
};

struct page {
	struct cli *cli;
	const struct doctor_detail *detail;
	bool explains;
	bool explained[ARRAY_SIZE(terms)];
	bool told_where; /* where GRUB's variables are written */
};

/* The first place where the term stands as a word, or NULL. */
static const char *find_term(const char *text, const char *term)
{
	size_t length = strlen(term);

	for (const char *at = strstr(text, term); at; at = strstr(at + 1, term)) {
		unsigned char before = at > text ? (unsigned char)at[-1] : ' ', after = at[length];

		/* Not in an option, a path or a command. */
		if (!isalnum(before) && !strchr("_./=-\"", before) && !isalnum(after) &&
		    (!after || !strchr("_/=-", after)))
			return at;
	}
	return NULL;
}

/*
 * The terms of the text that were not explained before: "(dom0: the Linux that …; PV: …)", or an
 * empty text. Freed by the caller.
 */
static char *explain(struct page *page, const char *text)
{
	char *all = strdup("");

	for (size_t i = 0; page->explains && all && i < ARRAY_SIZE(terms); i++) {
		char *longer;

		if (page->explained[i] || !find_term(text, terms[i].term))
			continue;
		page->explained[i] = true;
		if (asprintf(&longer, "%s%s%s: %s", all, *all ? "; " : "(", terms[i].term,
			     _(terms[i].meaning)) < 0)
			break;
		free(all);
		all = longer;
	}
	return all;
}

/* ---- Pieces ---- */

/* Text that may quote a file, wrapped behind what stands before it; then the terms in it. */
static void print_text(struct page *page, const char *before, const char *text, int indent)
{
	char *explained = explain(page, text), *escaped = cli_escape(text, strlen(text)), *closed;

	cli_printf(page->cli, "%*s%s", indent, "", before);
	indent += cli_columns(before, (int)strlen(before));
	cli_print_wrapped(page->cli, escaped, indent, indent);
	if (explained && *explained && asprintf(&closed, "%s)", explained) >= 0) {
		cli_printf(page->cli, "%*s", indent, "");
		cli_print_wrapped(page->cli, closed, indent, indent);
		free(closed);
	}
	free(escaped);
	free(explained);
}

/* One line, cut where it would be longer. */
static void print_line(struct page *page, const char *before, const char *text, int indent)
{
	char *escaped = cli_escape(text, strlen(text));
	size_t size = strlen(escaped);
	int room = WIDTH - indent - cli_columns(before, (int)strlen(before));
	bool cut = cli_columns(escaped, (int)size) > room;

	while (cut && size &&
	       (cli_columns(escaped, (int)size) > room - 1 ||
		((unsigned char)escaped[size] & 0xc0) == 0x80))
		size--;
	cli_printf(page->cli, "%*s%s%.*s%s\n", indent, "", before, (int)size, escaped,
		   cut ? "…" : "");
	free(escaped);
}

/* Whether a shell goes on in the next line behind what stands there: the length up to that place.
 */
static size_t break_at(const char *command, size_t most)
{
	size_t found = 0, blank = 0;
	char quote = '\0';

	for (size_t i = 0; command[i] && i < most; i++) {
		if (quote)
			quote = command[i] == quote ? '\0' : quote;
		else if (command[i] == '"' || command[i] == '\'')
			quote = command[i];
		else if (command[i] == '#')
			return i ? i - 1 : 0;
		else if (command[i] == ' ' && i && strchr("&|;", command[i - 1]))
			found = i;
		else if (command[i] == ' ')
			blank = i;
	}
	return found ? found : blank;
}

/* A command; a long one is broken where a shell lets it be. */
static void print_command(struct page *page, const char *command, int indent)
{
	char *escaped = cli_escape(command, strlen(command)), *at = escaped;

	for (;;) {
		size_t most = (size_t)(WIDTH - indent - 2), size = 0, text;

		if (cli_columns(at, (int)strlen(at)) > WIDTH - indent)
			size = break_at(at, most);
		if (!size)
			break;
		text = size;
		while (text > 1 && at[text - 1] == ' ')
			text--;
		cli_printf(page->cli, "%*s%.*s%s\n", indent, "", (int)text, at,
			   strchr("&|;", at[text - 1]) || at[size + 1] == '#' ? "" : " \\");
		at += size + 1;
	}
	cli_printf(page->cli, "%*s%s\n", indent, "", at);
	free(escaped);
	if (page->explains && !page->told_where && !strncmp(command, "GRUB_CMDLINE_", 13)) {
		cli_printf(page->cli, "%*s%s\n", indent, "",
			   _("# a line of a file in /etc/default/grub.d; then sudo update-grub"));
		page->told_where = true;
	}
}

/* The source as the user named it: one file without its folder. */
static const char *short_source(const struct page *page, const char *source)
{
	const char *only = page->detail->only_path;
	const char *slash = only && !strcmp(only, source) ? strrchr(source, '/') : NULL;

	return slash && slash[1] ? slash + 1 : source;
}

static void print_evidence(struct page *page, const struct nunchi_evidence *evidence, int indent)
{
	char *line, *escaped;

	if (!evidence->source)
		return;
	if (evidence->line &&
	    asprintf(&line, "%s:%" PRIu64 "%s%s", short_source(page, evidence->source),
		     evidence->line, evidence->quote ? ": " : "",
		     evidence->quote ? evidence->quote : "") < 0)
		return;
	if (!evidence->line &&
	    asprintf(&line, "%s%s%s", short_source(page, evidence->source),
		     evidence->quote ? ": " : "", evidence->quote ? evidence->quote : "") < 0)
		return;
	escaped = cli_escape(line, strlen(line));
	/* --explain has all of it. */
	if (page->detail->explain)
		cli_printf(page->cli, "%*s%s\n", indent, "", escaped);
	else
		print_line(page, "", line, indent);
	free(escaped);
	free(line);
}

/* ---- What to do next ---- */

/* Whether a remedy is a command, and not a sentence. */
static bool is_command(const char *remedy)
{
	return !strncmp(remedy, "sudo ", 5);
}

struct next {
	struct page *page;
	unsigned number, most;
};

static void print_next(struct next *next, const char *text, const char *command)
{
	bool brief = next->page->detail->brief;
	char before[32];

	if (next->number == next->most)
		return;
	if (!next->number++)
		cli_printf(next->page->cli, "%s%s\n", brief ? "" : "\n", _("What to do next"));
	snprintf(before, sizeof(before), "%u. ", next->number);
	if (brief) {
		print_line(next->page, before, text ? text : command, 2);
		if (text && command)
			cli_printf(next->page->cli, "       %s\n", command);
		return;
	}
	if (text)
		print_text(next->page, before, text, 2);
	else
		cli_printf(next->page->cli, "  %s\n", before);
	if (command)
		print_command(next->page, command, 7);
}

/* What findings of that weight or a heavier one ask for, each remedy once. */
static void next_of_findings(struct next *next, const struct nunchi_diagnosis *diagnosis,
			     enum nunchi_weight least)
{
	const struct nunchi_finding *finding, *other;

	for (size_t i = 0; (finding = nunchi_diagnosis_finding(diagnosis, i)); i++) {
		bool again = false;

		if (!finding->remedy || finding->weight > least)
			continue;
		for (size_t j = 0; j < i && (other = nunchi_diagnosis_finding(diagnosis, j)); j++)
			again = again || (other->remedy && !strcmp(other->remedy, finding->remedy));
		if (again)
			continue;
		if (is_command(finding->remedy))
			print_next(next, finding->meaning, finding->remedy);
		else
			print_next(next, finding->remedy, NULL);
	}
}

static void next_of_steps(struct next *next, const struct nunchi_diagnosis *diagnosis,
			  enum nunchi_step_kind kind)
{
	const struct nunchi_step *step;

	for (size_t i = 0; (step = nunchi_diagnosis_step(diagnosis, i)); i++)
		if (step->kind == kind && (kind != NUNCHI_STEP_CHECK ||
					   (!strcmp(step->state, "missing") && step->command)))
			print_next(next, step->text, step->command);
}

static bool has_step(const struct nunchi_diagnosis *diagnosis, enum nunchi_step_kind kind)
{
	const struct nunchi_step *step;

	for (size_t i = 0; (step = nunchi_diagnosis_step(diagnosis, i)); i++)
		if (step->kind == kind)
			return true;
	return false;
}

static void print_steps_next(struct page *page, const struct nunchi_diagnosis *diagnosis,
			     enum nunchi_verdict verdict, unsigned most)
{
	struct next next = {.page = page, .most = most};

	if (verdict == NUNCHI_VERDICT_READY)
		return;
	/* The steps of a black screen are about its findings, but not about what forbids all. */
	if (verdict == NUNCHI_VERDICT_UNKNOWN && !has_step(diagnosis, NUNCHI_STEP_REMEDY))
		next_of_findings(&next, diagnosis, NUNCHI_WEIGHT_ADVICE);
	next_of_steps(&next, diagnosis, NUNCHI_STEP_FIND_OUT);
	next_of_steps(&next, diagnosis, NUNCHI_STEP_REMEDY);
	if (!next.number || verdict == NUNCHI_VERDICT_NOT_READY)
		next_of_findings(&next, diagnosis, NUNCHI_WEIGHT_PROBLEM);
	if (verdict == NUNCHI_VERDICT_NOT_READY)
		next_of_steps(&next, diagnosis, NUNCHI_STEP_CHECK);
}

/* ---- Why ---- */

static void print_finding(struct page *page, const struct nunchi_finding *finding)
{
	size_t most = page->detail->explain ? finding->evidence_count : 2;

	cli_printf(page->cli, "\n%s  %s, %s\n", finding->id, _(weight_words[finding->weight]),
		   _(confidence_words[finding->confidence]));
	print_text(page, "", finding->meaning, 2);
	for (size_t i = 0; i < finding->evidence_count && i < most; i++)
		print_evidence(page, &finding->evidence[i], 4);
	if (finding->seen > finding->evidence_count)
		cli_printf(page->cli, _("    (%" PRIu64 " times in all)\n"), finding->seen);
	if (!finding->remedy)
		return;
	if (is_command(finding->remedy))
		print_command(page, finding->remedy, 4);
	else
		print_text(page, "→ ", finding->remedy, 2);
}

static void print_findings(struct page *page, const struct nunchi_diagnosis *diagnosis)
{
	const struct nunchi_finding *finding;
	unsigned notes = 0, shown = 0;

	for (size_t i = 0; (finding = nunchi_diagnosis_finding(diagnosis, i)); i++) {
		if (!page->detail->explain && finding->weight == NUNCHI_WEIGHT_NOTE) {
			notes++;
			continue;
		}
		if (!shown++)
			cli_printf(page->cli, "\n%s\n", _("Why"));
		print_finding(page, finding);
	}
	if (notes)
		cli_printf(page->cli, _("  (%u notes of what is well or harmless: --explain)\n"),
			   notes);
}

/* ---- Changes ---- */

/* "4: harmful": by the worst that its changes did, or by what helped if none of it hurt. */
static void print_attempt(struct page *page, const struct nunchi_diagnosis *diagnosis, size_t first)
{
	static const unsigned rank[] = {[NUNCHI_EFFECT_UNJUDGED] = 0,
					[NUNCHI_EFFECT_NONE] = 1,
					[NUNCHI_EFFECT_USEFUL] = 2,
					[NUNCHI_EFFECT_WRONG_LINE] = 3,
					[NUNCHI_EFFECT_HARMFUL] = 4};
	const struct nunchi_change *change = nunchi_diagnosis_change(diagnosis, first);
	const char *attempt = change->attempt;
	enum nunchi_effect worst = NUNCHI_EFFECT_UNJUDGED;

	for (size_t i = first; (change = nunchi_diagnosis_change(diagnosis, i)); i++)
		if (!strcmp(attempt, change->attempt) && rank[change->effect] > rank[worst])
			worst = change->effect;
	cli_printf(page->cli, "\n  ");
	cli_print_escaped(page->cli, attempt);
	cli_printf(page->cli, ": %s\n", _(effect_words[worst]));
}

static void print_changes(struct page *page, const struct nunchi_diagnosis *diagnosis)
{
	const struct nunchi_change *change;
	const char *attempt = "";

	for (size_t i = 0; (change = nunchi_diagnosis_change(diagnosis, i)); i++) {
		char before[64];

		if (!i)
			cli_printf(page->cli, "\n%s\n", _("What each change did"));
		if (strcmp(attempt, change->attempt))
			print_attempt(page, diagnosis, i);
		attempt = change->attempt;
		snprintf(before, sizeof(before), "%s: ", _(effect_words[change->effect]));
		print_text(page, before, change->what, 4);
		if (page->detail->explain)
			print_evidence(page, &change->evidence, 6);
		if (change->meaning)
			print_text(page, "", change->meaning, 6);
	}
}

/* ---- Other ways, the checklist, facts ---- */

static void print_ways_round(struct page *page, const struct nunchi_diagnosis *diagnosis)
{
	const struct nunchi_step *step;
	unsigned number = 0;

	for (size_t i = 0; (step = nunchi_diagnosis_step(diagnosis, i)); i++) {
		char before[32];

		if (step->kind != NUNCHI_STEP_WAY_ROUND)
			continue;
		if (!number++)
			cli_printf(page->cli, "\n%s\n", _("Ways round, without a picture"));
		snprintf(before, sizeof(before), "%c. ", 'A' + (char)(number - 1) % 26);
		print_text(page, before, step->text, 2);
		if (step->command)
			print_command(page, step->command, 7);
	}
}

/* The checklist: what is not well, one by one. */
static void print_checks(struct page *page, const struct nunchi_diagnosis *diagnosis)
{
	const struct nunchi_step *step;
	bool title = false;

	for (size_t i = 0; (step = nunchi_diagnosis_step(diagnosis, i)); i++) {
		const char *word =
		    !strcmp(step->state, "missing") ? _("missing: ") : _("unknown: ");

		if (step->kind != NUNCHI_STEP_CHECK || !strcmp(step->state, "ok"))
			continue;
		if (!title)
			cli_printf(page->cli, "\n%s\n", _("What introspection needs"));
		title = true;
		print_text(page, word, step->text, 2);
		print_evidence(page, &step->evidence, 4);
		if (step->command) {
			cli_printf(page->cli, "    →\n");
			print_command(page, step->command, 6);
		}
	}
}

static void print_facts(struct page *page, const struct nunchi_diagnosis *diagnosis)
{
	struct cli *cli = page->cli;
	bool is;

	cli_printf(cli, "\n%s\n", _("Facts"));
	for (size_t i = 0;; i++) {
		struct nunchi_host_fact fact = nunchi_diagnosis_fact(diagnosis, i, &is);

		if (!is)
			return;
		cli_printf(cli, "  %s: %s", fact.name, fact.known ? "" : _("unknown, because "));
		cli_print_escaped(cli, fact.value);
		cli_printf(cli, "  (");
		cli_print_escaped(cli, fact.evidence.source);
		if (fact.evidence.line)
			cli_printf(cli, ":%" PRIu64, fact.evidence.line);
		cli_printf(cli, ")\n");
	}
}

void doctor_page(struct cli *cli, const struct nunchi_diagnosis *diagnosis,
		 const struct doctor_detail *detail)
{
	const char *reason;
	enum nunchi_verdict verdict = nunchi_diagnosis_verdict(diagnosis, &reason);
	struct page page = {.cli = cli,
			    .detail = detail,
			    .explains = !detail->brief && verdict != NUNCHI_VERDICT_READY};

	cli_printf(cli, "%s: %s\n", _("Verdict"), verdict_word(verdict));
	if (detail->brief)
		print_line(&page, "", reason, 2);
	else
		print_text(&page, "", reason, 2);
	print_steps_next(&page, diagnosis, verdict, detail->brief ? BRIEF_STEPS : UINT32_MAX);
	if (detail->brief)
		return;
	print_findings(&page, diagnosis);
	if (detail->explain || verdict != NUNCHI_VERDICT_READY)
		print_changes(&page, diagnosis);
	print_ways_round(&page, diagnosis);
	print_checks(&page, diagnosis);
	if (detail->all)
		print_facts(&page, diagnosis);
}
