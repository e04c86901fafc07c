/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the processor can do. CPUID is what it says to us, which under a hypervisor is what that
 * lets us see; /proc/cpuinfo is what the kernel made of it.
 */
#include "doctor/facts/host.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_word(const char *text, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
		if ((at == text || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
			return true;
	return false;
}

struct cpuid {
	uint32_t a, b, c, d;
};

static bool cpuid_leaf(const struct tree_entry *probe, uint32_t leaf, struct cpuid *ret)
{
	struct line line = {0};
	char copy[80];

	while (host_next_line(probe, &line)) {
		uint32_t number;
		struct cpuid got;

		snprintf(copy, sizeof(copy), "%.*s", (int)(line.size < 79 ? line.size : 79),
			 line.text);
		if (sscanf(copy, "%" SCNx32 " %*x %" SCNx32 " %" SCNx32 " %" SCNx32 " %" SCNx32,
			   &number, &got.a, &got.b, &got.c, &got.d) == 5 &&
		    number == leaf) {
			*ret = got;
			return true;
		}
	}
	return false;
}

static void collect_vendor(const struct tree_entry *cpuinfo, const struct tree_entry *probe,
			   struct facts *facts)
{
	struct cpuid id;
	unsigned line;
	char value[64];

	if (cpuid_leaf(probe, 0, &id)) {
		const char *name = id.b == 0x756e6547   ? "intel"
				   : id.b == 0x68747541 ? "amd"
							: "other";

		facts_add(facts, FACT_CPU_VENDOR, "cpuid", 1, "%s", name);
	} else if (host_field(cpuinfo, "vendor_id", value, sizeof(value), &line)) {
		facts_add(facts, FACT_CPU_VENDOR, cpuinfo->name, line, "%s",
			  !strcmp(value, "GenuineIntel")   ? "intel"
			  : !strcmp(value, "AuthenticAMD") ? "amd"
							   : "other");
	} else {
		host_unknown(facts, FACT_CPU_VENDOR, cpuinfo);
	}
}

/* CPUID.1:ECX[5] VMX, 8000_0001:ECX[2] SVM. Xen hides both from dom0: xl info says there. */
static void collect_virt(const struct tree_entry *cpuinfo, const struct tree_entry *probe,
			 struct facts *facts)
{
	struct cpuid basic, extended = {0};
	char flags[8192];
	unsigned line;

	if (cpuid_leaf(probe, 1, &basic)) {
		cpuid_leaf(probe, 0x80000001, &extended);
		facts_add(facts, FACT_CPU_VIRT, "cpuid", 2, "%s",
			  basic.c & 1u << 5      ? "vmx"
			  : extended.c & 1u << 2 ? "svm"
						 : "none");
	} else if (host_field(cpuinfo, "flags", flags, sizeof(flags), &line)) {
		facts_add(facts, FACT_CPU_VIRT, cpuinfo->name, line, "%s",
			  has_word(flags, "vmx")   ? "vmx"
			  : has_word(flags, "svm") ? "svm"
						   : "none");
	} else {
		host_unknown(facts, FACT_CPU_VIRT, cpuinfo);
	}
}

/* EPT by the kernel's "vmx flags", NPT by 8000_000A:EDX[0]. */
static void collect_nested_paging(const struct tree_entry *cpuinfo, const struct tree_entry *probe,
				  struct facts *facts)
{
	struct cpuid svm;
	char flags[8192];
	unsigned line;

	if (facts_is(facts, FACT_CPU_VIRT, "none"))
		facts_add(facts, FACT_CPU_NESTED_PAGING, "cpuid", 0, "no");
	else if (facts_is(facts, FACT_CPU_VIRT, "svm") && cpuid_leaf(probe, 0x8000000a, &svm))
		facts_add(facts, FACT_CPU_NESTED_PAGING, "cpuid", 10, "%s",
			  svm.d & 1 ? "yes" : "no");
	else if (host_field(cpuinfo, "vmx flags", flags, sizeof(flags), &line))
		facts_add(facts, FACT_CPU_NESTED_PAGING, cpuinfo->name, line, "%s",
			  has_word(flags, "ept") ? "yes" : "no");
	else if (host_field(cpuinfo, "flags", flags, sizeof(flags), &line) &&
		 (has_word(flags, "ept") || has_word(flags, "npt")))
		facts_add(facts, FACT_CPU_NESTED_PAGING, cpuinfo->name, line, "yes");
	else
		facts_add_unknown(facts, FACT_CPU_NESTED_PAGING, cpuinfo->name,
				  "the kernel does not say");
}

/*
 * IA32_FEATURE_CONTROL (SDM vol. 3C 24.7): locked (bit 0) without VMX outside SMX (bit 2) is the
 * firmware's "disabled". VM_CR (APM vol. 2 15.30.1): SVMDIS is bit 4.
 */
static void collect_lock(struct tree *tree, struct facts *facts)
{
	bool svm = facts_is(facts, FACT_CPU_VIRT, "svm");
	const struct tree_entry *msr = tree_get(tree, TREE_PROBE, svm ? "msr-c0010114" : "msr-3a");
	uint64_t value;

	if (!msr->text) {
		facts_add_unknown(facts, FACT_CPU_VIRT_LOCK, "/dev/cpu/0/msr",
				  "%s; load the module msr and run it as root", tree_why(msr));
		return;
	}
	value = strtoull(msr->text, NULL, 16);
	facts_add(facts, FACT_CPU_VIRT_LOCK, "/dev/cpu/0/msr", 0, "%s",
		  (svm ? value & 16 : (value & 5) == 1) ? "disabled" : "open");
}

void host_collect_cpu(struct tree *tree, struct facts *facts)
{
	const struct tree_entry *cpuinfo = tree_get(tree, TREE_FILE, "/proc/cpuinfo");
	const struct tree_entry *probe = tree_get(tree, TREE_PROBE, "cpuid");

	collect_vendor(cpuinfo, probe, facts);
	collect_virt(cpuinfo, probe, facts);
	collect_nested_paging(cpuinfo, probe, facts);
	collect_lock(tree, facts);
}
