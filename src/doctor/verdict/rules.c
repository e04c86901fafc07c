/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Findings of messages: which of the rules that were met are about this machine and its newest
 * boot. */
#include "doctor/verdict/rules.h"

#include "doctor/verdict/checks.h"
#include "doctor/verdict/judge.h"
#include "doctor/words.h"

#include <string.h>

/* ---- What a rule needs ---- */

/* Vendors of graphics devices: those that lspci or the host lists, else those that messages name.
 */
static unsigned gpu_vendors(const struct nunchi_diagnosis *diagnosis, unsigned marks)
{
	static const struct {
		const char *vendor;
		enum scan_mark mark;
		enum rule_needs need;
	} all[] = {{"8086", SCAN_MARK_GPU_INTEL, NEEDS_INTEL_GPU},
		   {"1002", SCAN_MARK_GPU_AMD, NEEDS_AMD_GPU},
		   {"10de", SCAN_MARK_GPU_NVIDIA, NEEDS_NVIDIA_GPU}};
	bool listed = facts_value(&diagnosis->facts, FACT_GPU);
	unsigned found = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (listed ? judge_gpu(diagnosis, all[i].vendor) : (marks >> all[i].mark & 1) != 0)
			found |= all[i].need;
	return found;
}

static unsigned cpu_vendors(const struct nunchi_diagnosis *diagnosis, unsigned marks)
{
	if (facts_is(&diagnosis->facts, FACT_CPU_VENDOR, "intel"))
		return NEEDS_INTEL;
	if (facts_is(&diagnosis->facts, FACT_CPU_VENDOR, "amd"))
		return NEEDS_AMD;
	return (marks >> SCAN_MARK_INTEL & 1 ? NEEDS_INTEL : 0) |
	       (marks >> SCAN_MARK_AMD & 1 ? NEEDS_AMD : 0);
}

unsigned rules_present(const struct nunchi_diagnosis *diagnosis, unsigned boot)
{
	const unsigned gpus = NEEDS_INTEL_GPU | NEEDS_AMD_GPU | NEEDS_NVIDIA_GPU;
	const unsigned cpus = NEEDS_INTEL | NEEDS_AMD;
	const struct scan_boot *this = &diagnosis->scan.boots[boot];
	unsigned marks = scan_machine_marks(&diagnosis->scan, boot);
	unsigned gpu = gpu_vendors(diagnosis, marks), cpu = cpu_vendors(diagnosis, marks);
	unsigned present = (gpu ? gpu : gpus) | (cpu ? cpu : cpus);

	/* More than one bit. */
	present |= gpu & (gpu - 1) ? NEEDS_TWO_GPUS : NEEDS_ONE_GPU;
	if (this->under_xen || this->rules_xen ||
	    (!(this->marks & 1u << SCAN_MARK_NATIVE) && judge_under_xen(diagnosis)))
		present |= NEEDS_XEN;
	if (present & NEEDS_XEN || diagnosis->story.marks[MARK_NAMES_XEN].line)
		present |= NEEDS_XEN_NAMED;
	if (!this->under_xen && !this->rules_xen &&
	    (this->marks & (1u << SCAN_MARK_NATIVE | 1u << SCAN_MARK_BOOT_LINUX) ||
	     !judge_under_xen(diagnosis)))
		present |= NEEDS_NATIVE;
	return present;
}

unsigned rules_gpus(const struct nunchi_diagnosis *diagnosis)
{
	unsigned marks = 0;

	for (unsigned i = 0; i <= diagnosis->scan.boot; i++)
		marks |= diagnosis->scan.boots[i].marks;
	return gpu_vendors(diagnosis, marks);
}

bool rules_apply(const struct rule *rule, unsigned present)
{
	return !(rule->needs & ~present);
}

bool rules_now(const struct nunchi_diagnosis *diagnosis, enum rule_id id)
{
	unsigned boot;

	return scan_now(&diagnosis->scan, id, &boot) &&
	       rules_apply(&rules[id], rules_present(diagnosis, boot));
}

/* Nobody looks up so many lines of a kernel's configuration by hand. */
#define WHOLE_CONFIGURATION 100

/* ---- What a message means here ---- */

/*
 * "some_driver_init" of "RIP: 0010:some_driver_init+0x1ea/0x280", or of what older kernels and
 * other processors print ("RIP: e030:[<ffffffff81009e20>]  [<ffffffff81009e20>] f+0x1/0x2", "pc :
 * f+0x1/0x2").
 */
static const char *function_of(struct nunchi_diagnosis *diagnosis, const char *quote)
{
	const char *end = strstr(quote, "+0x"), *start = end;

	while (start && start > quote && !strchr(" :>\t", start[-1]))
		start--;
	return end && end > start ? diagnosis_keep(diagnosis, start, (size_t)(end - start)) : NULL;
}

/* The function that an oops of that boot names, or NULL. */
static const char *crashed_function(struct nunchi_diagnosis *diagnosis, unsigned boot)
{
	const struct scan_result *result = &diagnosis->scan.results[RULE_R62];

	for (size_t i = 0; i < result->kept; i++)
		if (result->hits[i].boot == boot)
			return function_of(diagnosis, result->hits[i].quote);
	return NULL;
}

/* The meaning, with the function that crashed or the panic's own words in it. */
static const char *meaning_of(struct nunchi_diagnosis *diagnosis, enum rule_id id, unsigned boot)
{
	const struct scan_result *result = &diagnosis->scan.results[id];
	const char *more = NULL;

	if (id == RULE_R60 && result->kept) {
		more = strstr(result->hits[result->kept - 1].quote, "not syncing: ");
		more = more ? more + strlen("not syncing: ") : NULL;
	} else if ((id == RULE_R63 || id == RULE_R153) && result->kept) {
		more = strstr(result->hits[result->kept - 1].quote, "Panic on CPU ");
		more = more ? strstr(more, ": ") : NULL;
		more = more ? more + 2 : NULL;
	} else if (id == RULE_R61 || id == RULE_R251) {
		more = crashed_function(diagnosis, boot);
	}
	return more && *more ? diagnosis_format(diagnosis, "%s: %s", _(rules[id].meaning), more)
			     : _(rules[id].meaning);
}

/* The newest boot that the rule was met in and that it is about; false if it is about none. */
static bool boot_of(const struct nunchi_diagnosis *diagnosis, enum rule_id id, unsigned *ret_boot,
		    bool *ret_older)
{
	const struct scan *scan = &diagnosis->scan;
	bool found = false;

	for (unsigned i = 0; i <= scan->boot; i++) {
		bool newest;

		if (!scan_in_boot(scan, id, i) ||
		    !rules_apply(&rules[id], rules_present(diagnosis, i)))
			continue;
		newest = scan_newest(scan, id, i);
		if (found && !*ret_older && !newest)
			continue;
		*ret_boot = i;
		*ret_older = !newest;
		found = true;
	}
	return found;
}

/* Of a host that is looked at itself, the facts say what works without KVM. */
static bool is_of_kvm(enum rule_id id)
{
	return (id >= RULE_R100 && id <= RULE_R117) || id == RULE_R183 || id == RULE_R184;
}

/*
 * "QEMU ended", "libvirt refuses something": whether another message of that boot says why. What
 * says more comes first; the general ones are explained by all that stand before them.
 */
static bool is_general(const struct scan *scan, enum rule_id id, unsigned boot)
{
	static const enum rule_id reasons[] = {
	    RULE_R110, RULE_R111, RULE_R150, RULE_R161, RULE_R163, RULE_R164, RULE_R165,
	    RULE_R166, RULE_R167, RULE_R171, RULE_R212, RULE_R213, RULE_R214, RULE_R215,
	    RULE_R250, RULE_R252, RULE_R257, RULE_R260, RULE_R270, RULE_R265, RULE_R266,
	    RULE_R258, RULE_R168, RULE_R262, RULE_R259};
	size_t i = ARRAY_SIZE(reasons);

	while (i && reasons[i - 1] != id)
		i--;
	if (id != RULE_R258 && id != RULE_R168 && id != RULE_R262 && id != RULE_R259)
		return false;
	for (i--; i; i--)
		if (scan_in_boot(scan, reasons[i - 1], boot))
			return true;
	return false;
}

/* Whether another message of that boot says what this one only follows from. */
static bool is_explained(const struct scan *scan, enum rule_id id, unsigned boot)
{
	static const enum rule_id reasons[] = {RULE_R33, RULE_R34, RULE_R76, RULE_R77};

	/* A whole configuration, as robots and developers send it. */
	if (id == RULE_R91 && scan->results[RULE_R152].seen > WHOLE_CONFIGURATION)
		return true;
	if (rules[id].unless != RULE_NONE && scan_in_boot(scan, rules[id].unless, boot))
		return true;
	if (is_general(scan, id, boot))
		return true;
	/* Of a warning, which goes on. */
	if (id == RULE_R251 && scan_in_boot(scan, RULE_R194, boot))
		return true;
	for (size_t i = 0; id == RULE_R35 && i < ARRAY_SIZE(reasons); i++)
		if (scan_in_boot(scan, reasons[i], boot))
			return true;
	return false;
}

/* A report of the kernel of which only a part is here, without the line that says what it is about.
 */
static void weigh_part(struct nunchi_diagnosis *diagnosis, unsigned boot,
		       struct nunchi_finding *finding)
{
	static const enum rule_id heads[] = {RULE_R60, RULE_R61,  RULE_R66,  RULE_R67,
					     RULE_R69, RULE_R194, RULE_R251, RULE_R261};

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		if (scan_in_boot(&diagnosis->scan, heads[i], boot))
			return;
	finding->weight = NUNCHI_WEIGHT_PROBLEM;
	finding->confidence = rules[RULE_R251].confidence;
	finding->meaning = meaning_of(diagnosis, RULE_R251, boot);
	finding->remedy = _(rules[RULE_R251].remedy);
}

/* What a guest's kernel or initramfs says on its console forbids nothing on its host. */
static void weigh_guest(struct nunchi_diagnosis *diagnosis, enum rule_id id, unsigned boot,
			struct nunchi_finding *finding)
{
	const struct scan *scan = &diagnosis->scan;

	if (finding->weight != NUNCHI_WEIGHT_BLOCKER ||
	    (rules[id].where != WHERE_KERNEL && id != RULE_R210))
		return;
	if (scan_in_boot(scan, RULE_R185, boot)) {
		finding->weight = NUNCHI_WEIGHT_PROBLEM;
		finding->meaning = diagnosis_format(
		    diagnosis, _("in a guest of Xen, not in dom0: %s"), finding->meaning);
	} else if (id == RULE_R210 && scan_in_boot(scan, RULE_R115, boot)) {
		finding->weight = NUNCHI_WEIGHT_PROBLEM;
		finding->meaning = diagnosis_format(
		    diagnosis, _("in a virtual machine, not on its host: %s"), finding->meaning);
	}
}

static void find_rule(struct nunchi_diagnosis *diagnosis, enum rule_id id)
{
	const struct scan_result *result = &diagnosis->scan.results[id];
	const struct rule *rule = &rules[id];
	struct nunchi_evidence evidence[SCAN_HITS];
	struct nunchi_finding finding = {
	    .id = rule->id,
	    .weight = rule->weight,
	    .confidence = rule->confidence,
	    .remedy = rule->remedy ? _(rule->remedy) : NULL,
	    .seen = result->seen,
	};
	bool older = false;
	unsigned boot = 0;

	if (!boot_of(diagnosis, id, &boot, &older))
		return;
	finding.meaning = meaning_of(diagnosis, id, boot);
	if (id == RULE_R62)
		weigh_part(diagnosis, boot, &finding);
	if (is_explained(&diagnosis->scan, id, boot))
		finding.weight = NUNCHI_WEIGHT_NOTE;
	if (older && finding.weight != NUNCHI_WEIGHT_NOTE) {
		finding.weight = NUNCHI_WEIGHT_NOTE;
		finding.remedy = NULL;
		finding.meaning = diagnosis_format(
		    diagnosis, _("in an older boot, not in the newest: %s"), finding.meaning);
	}
	weigh_guest(diagnosis, id, boot, &finding);
	if (diagnosis->host && is_of_kvm(id) && finding.weight == NUNCHI_WEIGHT_BLOCKER)
		finding.weight = NUNCHI_WEIGHT_ADVICE;
	for (size_t i = 0; i < result->kept; i++)
		evidence[i] = (struct nunchi_evidence){.source = result->hits[i].source,
						       .line = result->hits[i].line,
						       .quote = result->hits[i].quote};
	diagnosis_add_finding(diagnosis, finding, evidence, result->kept);
}

/*
 * A message with misread letters, where none was found that is as it should be. Linux and people
 * say some of Xen's words too: these need Xen's name, or its prefix.
 */
static void find_misread(struct nunchi_diagnosis *diagnosis, size_t which)
{
	const struct scan_hit *hit = &diagnosis->scan.misread[which];
	const struct rule *rule = &rules[misread_rules[which]];
	unsigned present = rules_present(diagnosis, hit->boot);
	struct nunchi_evidence evidence = {
	    .source = hit->source, .line = hit->line, .quote = hit->quote};

	if (!hit->quote || scan_seen(&diagnosis->scan, misread_rules[which]) ||
	    !rules_apply(rule, present) ||
	    (rule->where == WHERE_XEN && !(present & NEEDS_XEN_NAMED) &&
	     !strcasestr(hit->quote, "(XEN)")) ||
	    (rule->unless != RULE_NONE && scan_seen(&diagnosis->scan, rule->unless)))
		return;
	diagnosis_add_finding(
	    diagnosis,
	    (struct nunchi_finding){
		.id = rule->id,
		.weight =
		    rule->weight == NUNCHI_WEIGHT_NOTE ? NUNCHI_WEIGHT_NOTE : NUNCHI_WEIGHT_PROBLEM,
		.confidence = NUNCHI_CONFIDENCE_LOW,
		.meaning = diagnosis_format(
		    diagnosis,
		    _("the letters are not just those of a log; as far as they can be read: %s"),
		    _(rule->meaning)),
		.remedy = rule->remedy ? _(rule->remedy) : NULL,
		.seen = 1,
	    },
	    &evidence, 1);
}

void findings_of_rules(struct nunchi_diagnosis *diagnosis)
{
	size_t machines = scan_machines(&diagnosis->scan);

	for (size_t i = 0; i < RULE_COUNT; i++)
		if (scan_seen(&diagnosis->scan, (enum rule_id)i))
			find_rule(diagnosis, (enum rule_id)i);
	for (size_t i = 0; i < MISREAD_COUNT; i++)
		find_misread(diagnosis, i);
	if (machines > 1)
		diagnosis_warn(diagnosis,
			       diagnosis_format(
				   diagnosis,
				   _("these are logs of %zu machines; the verdict is about all of "
				     "them together, so look at one machine at a time"),
				   machines));
}
