/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The verdict: from the findings, the checklist and the facts. */
#include "doctor/verdict/checks.h"

#include "doctor/verdict/judge.h"
#include "doctor/verdict/rules.h"
#include "doctor/words.h"

#include <stdlib.h>
#include <string.h>

/* Crashes come first of all, whatever else is found; of them those that name the cause. */
static size_t crash_rank(const struct nunchi_finding *finding)
{
	static const enum rule_id crashes[] = {
	    RULE_R39,  RULE_R40,  RULE_R254, RULE_R41,  RULE_R43,  RULE_R70,  RULE_R72,
	    RULE_R74,  RULE_R151, RULE_R196, RULE_R197, RULE_R198, RULE_R199, RULE_R200,
	    RULE_R201, RULE_R202, RULE_R73,  RULE_R71,  RULE_R210, RULE_R68,  RULE_R61,
	    RULE_R60,  RULE_R66,  RULE_R65,  RULE_R64,  RULE_R63,  RULE_R75};
	size_t i = 0;

	while (i < ARRAY_SIZE(crashes) && (finding->weight != NUNCHI_WEIGHT_BLOCKER ||
					   strcmp(finding->id, rules[crashes[i]].id) != 0))
		i++;
	return i;
}

static bool goes_before(const struct nunchi_finding *a, const struct nunchi_finding *b)
{
	if (crash_rank(a) != crash_rank(b))
		return crash_rank(a) < crash_rank(b);
	if (a->weight != b->weight)
		return a->weight < b->weight;
	return a->confidence < b->confidence;
}

/* Order: crashes, by weight, then by how sure, then as found. */
static void order(struct nunchi_diagnosis *diagnosis)
{
	struct nunchi_finding *findings = diagnosis->findings;

	for (size_t i = 1; i < diagnosis->finding_count; i++) {
		struct nunchi_finding moved = findings[i];
		size_t j = i;

		while (j && goes_before(&moved, &findings[j - 1])) {
			findings[j] = findings[j - 1];
			j--;
		}
		findings[j] = moved;
	}
}

static void say(struct nunchi_diagnosis *diagnosis, enum nunchi_verdict verdict, const char *reason)
{
	diagnosis->verdict = verdict;
	diagnosis->reason = reason;
}

static const char *blocker(const struct nunchi_diagnosis *diagnosis)
{
	if (diagnosis->finding_count && diagnosis->findings[0].weight == NUNCHI_WEIGHT_BLOCKER)
		return diagnosis->findings[0].meaning;
	return NULL;
}

/* What the first missing check says of those that introspection from dom0 needs, or NULL. */
static const char *lacking(const struct nunchi_diagnosis *diagnosis)
{
	static const char *const needed[] = {"privcmd", "hvm",       "evtchn",
					     "xenbus",  "xenstored", "xsm"};

	for (size_t i = 0; i < diagnosis->step_count; i++) {
		const struct nunchi_step *step = &diagnosis->steps[i];

		if (step->kind != NUNCHI_STEP_CHECK || strcmp(step->state, "missing"))
			continue;
		for (size_t j = 0; j < ARRAY_SIZE(needed); j++)
			if (!strcmp(step->id, needed[j]))
				return step->text;
	}
	return NULL;
}

static void judge_dom0(struct nunchi_diagnosis *diagnosis)
{
	const struct fact *caps = facts_find(&diagnosis->facts, FACT_XEN_CAPS);
	const char *missing = lacking(diagnosis);

	if (missing)
		say(diagnosis, NUNCHI_VERDICT_NOT_READY,
		    diagnosis_format(diagnosis, _("dom0 of Xen lacks: %s"), missing));
	else if (!facts_value(&diagnosis->facts, FACT_XEN_CAPS))
		say(diagnosis, NUNCHI_VERDICT_UNKNOWN,
		    diagnosis_format(diagnosis,
				     _("this is Xen's dom0, but xl info could not be asked: %s"),
				     caps ? caps->value : "-"));
	else
		say(diagnosis, NUNCHI_VERDICT_READY,
		    _("this is Xen's dom0, and HVM guests can be looked into"));
}

/* A host that runs without Xen. */
static void judge_native(struct nunchi_diagnosis *diagnosis)
{
	const struct facts *facts = &diagnosis->facts;
	const char *xen = facts_value(facts, FACT_XEN_INSTALLED);

	if (facts_is(facts, FACT_QEMU_INSTALLED, "yes") && facts_is(facts, FACT_KVM, "usable"))
		say(diagnosis, NUNCHI_VERDICT_READY,
		    _("QEMU guests can be looked into, with KVM and emulated; Xen does not run "
		      "here"));
	else if (facts_is(facts, FACT_QEMU_INSTALLED, "yes"))
		say(diagnosis, NUNCHI_VERDICT_READY,
		    _("emulated QEMU guests can be looked into; KVM is not usable, and Xen does "
		      "not "
		      "run here"));
	else if (!facts_is(facts, FACT_QEMU_INSTALLED, "no"))
		say(diagnosis, NUNCHI_VERDICT_UNKNOWN, _("too little could be read of this host"));
	else if (xen && strcmp(xen, "none"))
		say(diagnosis, NUNCHI_VERDICT_NOT_READY,
		    _("Xen is installed, but this boot is without it, and QEMU is not here; saved "
		      "guests can be looked into all the same"));
	else
		say(diagnosis, NUNCHI_VERDICT_NOT_READY,
		    _("neither Xen nor QEMU is here; saved guests can be looked into all the "
		      "same"));
}

static void judge_host(struct nunchi_diagnosis *diagnosis)
{
	const struct facts *facts = &diagnosis->facts;

	if (facts_is(facts, FACT_HYPERVISOR, "xen-dom0"))
		judge_dom0(diagnosis);
	else if (facts_is(facts, FACT_HYPERVISOR, "xen-domu"))
		say(diagnosis, NUNCHI_VERDICT_NOT_READY,
		    _("this is a guest of Xen: other guests are seen from dom0 alone"));
	else if (!facts_value(facts, FACT_HYPERVISOR))
		say(diagnosis, NUNCHI_VERDICT_UNKNOWN,
		    _("these are files of a host that does not run: what its processor can do is "
		      "not "
		      "in them"));
	else
		judge_native(diagnosis);
}

/* Trouble that the text tells of, and that no finding explains, or NULL. */
static const char *trouble(const struct nunchi_diagnosis *diagnosis)
{
	const struct story *story = &diagnosis->story;

	if (story->marks[MARK_TROUBLE].line)
		return story->marks[MARK_TROUBLE].quote;
	return story->outcome == OUTCOME_FAILED ? story->marks[MARK_FAILED].quote : NULL;
}

/* What shows that guests can be looked into, or NULL. What somebody says of it shows nothing. */
static const char *evidence_of_work(const struct nunchi_diagnosis *diagnosis)
{
	static const struct {
		enum rule_id rule;
		const char *text;
	} all[] = {
	    {RULE_R36, N_("by these logs Xen runs, and HVM guests can be looked into")},
	    {RULE_R92, N_("by these logs Xen runs, and HVM guests can be looked into")},
	    {RULE_R95, N_("by these logs Xen runs, and HVM guests can be looked into")},
	    {RULE_R96, N_("by these logs Xen runs, and HVM guests can be looked into")},
	    {RULE_R144, N_("by these logs KVM is on: QEMU's guests can be looked into")},
	    {RULE_R118, N_("by these logs KVM is on: QEMU's guests can be looked into")},
	    {RULE_R112, N_("by these logs KVM is on: QEMU's guests can be looked into")},
	    {RULE_R105, N_("by these logs KVM is on: QEMU's guests can be looked into")},
	    {RULE_R107, N_("by these logs KVM is on: QEMU's guests can be looked into")},
	    {RULE_R114, N_("by these logs KVM is on: QEMU's guests can be looked into")},
	    {RULE_R156, N_("by these logs Xen runs, with guests that can be looked into")},
	    {RULE_R223, N_("by these logs Xen runs, and HVM guests can be looked into")},
	    {RULE_R183, N_("by these logs KVM is on: QEMU's guests can be looked into")},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (rules_now(diagnosis, all[i].rule))
			return _(all[i].text);
	return NULL;
}

/* What is known where nothing is wrong and nothing shows that all is well. */
static const char *what_is_there(const struct nunchi_diagnosis *diagnosis)
{
	const struct scan *scan = &diagnosis->scan;
	const struct scan_boot *last = &scan->boots[scan->boot];
	bool native =
	    !last->under_xen && last->marks & (1u << SCAN_MARK_NATIVE | 1u << SCAN_MARK_BOOT_LINUX);

	if (rules_now(diagnosis, RULE_R115) || rules_now(diagnosis, RULE_R184))
		return _("this is the log of a virtual machine: whether KVM works in it, its host "
			 "decides, and "
			 "the log does not say");
	if (rules_now(diagnosis, RULE_R185))
		return _("this is the log of a guest of Xen: what matters is dom0 and xl dmesg");
	if (rules_now(diagnosis, RULE_R155))
		return _(
		    "Xen runs and its tools answer; whether it can have HVM guests is not known");
	if (native && !trouble(diagnosis))
		return _(
		    "this log shows nothing wrong; whether KVM works it does not say: look whether "
		    "/dev/kvm is there");
	return _("nothing in these files says whether introspection works");
}

/* Logs alone say what failed, and little of what did not. */
static void judge_logs(struct nunchi_diagnosis *diagnosis)
{
	const char *works = evidence_of_work(diagnosis), *told = trouble(diagnosis);

	if (diagnosis->finding_count && diagnosis->findings[0].weight == NUNCHI_WEIGHT_PROBLEM)
		say(diagnosis, NUNCHI_VERDICT_UNKNOWN,
		    diagnosis_format(diagnosis,
				     _("nothing in these files forbids introspection, but: %s"),
				     diagnosis->findings[0].meaning));
	else if (works && told)
		say(diagnosis, NUNCHI_VERDICT_UNKNOWN,
		    diagnosis_format(
			diagnosis,
			_("the logs show nothing wrong, but the text tells of trouble that "
			  "no rule explains: %s"),
			told));
	else if (works)
		say(diagnosis, NUNCHI_VERDICT_READY, works);
	else if (rules_now(diagnosis, RULE_R93))
		say(diagnosis, NUNCHI_VERDICT_NOT_READY,
		    _("Xen runs, but without HVM: HVM guests cannot run; PV guests can, and their "
		      "memory can be looked into"));
	else
		say(diagnosis, NUNCHI_VERDICT_UNKNOWN, what_is_there(diagnosis));
}

void findings_verdict(struct nunchi_diagnosis *diagnosis)
{
	const char *reason;

	order(diagnosis);
	reason = blocker(diagnosis);
	if (reason)
		say(diagnosis, NUNCHI_VERDICT_NOT_READY, reason);
	else if (findings_black_screen(diagnosis) && findings_dom0_lives(diagnosis))
		say(diagnosis, NUNCHI_VERDICT_NO_SCREEN,
		    _("Xen and dom0 start, and introspection works by SSH; only the picture is "
		      "missing"));
	else if (findings_black_screen(diagnosis))
		say(diagnosis, NUNCHI_VERDICT_UNKNOWN,
		    _("the screen stays black under Xen, and nothing here shows whether dom0 lives "
		      "behind it"));
	else if (diagnosis->host)
		judge_host(diagnosis);
	else
		judge_logs(diagnosis);
	if (diagnosis->verdict == NUNCHI_VERDICT_UNKNOWN)
		find_out(diagnosis);
}
