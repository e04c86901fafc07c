/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The checklist: what introspection needs of a host, each item with the command that provides it.
 */
#include "doctor/verdict/checks.h"

#include "doctor/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(struct nunchi_diagnosis *diagnosis, const char *id, const char *state,
		  const char *text, const char *command, const struct fact *fact)
{
	diagnosis_add_step(diagnosis, (struct nunchi_step){
					  .kind = NUNCHI_STEP_CHECK,
					  .id = id,
					  .state = state,
					  .text = text,
					  .command = command,
					  .evidence = fact ? diagnosis_evidence(fact)
							   : (struct nunchi_evidence){0},
				      });
}

/* A check that is ok if the fact's value has the word. */
static void check_word(struct nunchi_diagnosis *diagnosis, const char *id, enum fact_key key,
		       const char *word, const char *text, const char *command)
{
	const struct fact *fact = facts_find(&diagnosis->facts, key);

	check(diagnosis, id,
	      !fact || !fact->known       ? "unknown"
	      : strstr(fact->value, word) ? "ok"
					  : "missing",
	      text, command, fact);
}

/* One check for each fact of the form "NAME yes|no". */
static void check_each(struct nunchi_diagnosis *diagnosis, enum fact_key key, const char *text,
		       const char *command)
{
	for (const struct fact *fact = facts_find(&diagnosis->facts, key); fact;
	     fact = facts_next(&diagnosis->facts, fact)) {
		const char *id =
		    fact->known ? diagnosis_keep(diagnosis, fact->value, strcspn(fact->value, " "))
				: fact_name(key);

		check(diagnosis, id,
		      !fact->known                  ? "unknown"
		      : strstr(fact->value, " yes") ? "ok"
						    : "missing",
		      diagnosis_format(diagnosis, "%s: %s", id, text), command, fact);
	}
}

/*
 * Whether Xen has that much memory left for a guest that does not run. Without dom0_mem= xl takes
 * it from dom0 (autoballoon of xl.conf(5)).
 */
static void check_guest_memory(struct nunchi_diagnosis *diagnosis, const struct fact *fact,
			       const char *memory, const char *runs)
{
	const char *free_mb = facts_value(&diagnosis->facts, FACT_XEN_FREE_MB);
	const char *cmdline = facts_value(&diagnosis->facts, FACT_XEN_CMDLINE);
	unsigned long long wanted = strtoull(memory, NULL, 10);

	if (!wanted || !free_mb || strcmp(runs, "no") || !cmdline || !strstr(cmdline, "dom0_mem="))
		return;
	check(diagnosis, fact->source, strtoull(free_mb, NULL, 10) < wanted ? "missing" : "ok",
	      diagnosis_format(diagnosis, _("%s: %llu MiB of memory that no guest has"),
			       fact->source, wanted),
	      diagnosis_format(diagnosis, "sudo xl mem-set Domain-0 2048   # or memory = in %s",
			       fact->source),
	      fact);
}

/* One configuration in /etc/xen: "TYPE ALTP2M PCI MEMORY RUNS". */
static void check_guest(struct nunchi_diagnosis *diagnosis, const struct fact *fact)
{
	char type[16], altp2m[16], pci[16], memory[16], runs[16];

	if (!fact->known ||
	    sscanf(fact->value, "%15s %15s %15s %15s %15s", type, altp2m, pci, memory, runs) != 5) {
		check(diagnosis, fact->source, "unknown",
		      diagnosis_format(diagnosis, _("the guest %s"), fact->source), NULL, fact);
		return;
	}
	check(diagnosis, fact->source,
	      strcmp(type, "hvm") && strcmp(type, "pvh") ? "missing" : "ok",
	      diagnosis_format(diagnosis,
			       _("%s: the type is hvm or pvh; of a PV guest only the memory can "
				 "be read"),
			       fact->source),
	      diagnosis_format(diagnosis, "type = \"hvm\"   # in %s", fact->source), fact);
	if (!facts_is(&diagnosis->facts, FACT_CPU_VENDOR, "amd"))
		check(diagnosis, fact->source, strcmp(altp2m, "external") ? "missing" : "ok",
		      diagnosis_format(diagnosis,
				       _("%s: altp2m, which is set when the guest is made"),
				       fact->source),
		      diagnosis_format(diagnosis, "altp2m = \"external\"   # in %s", fact->source),
		      fact);
	check_guest_memory(diagnosis, fact, memory, runs);
	if (!strcmp(pci, "pci"))
		check(diagnosis, fact->source, "missing",
		      diagnosis_format(diagnosis,
				       _("%s: passthrough of PCI devices does not go together with "
					 "altp2m"),
				       fact->source),
		      diagnosis_format(diagnosis, "pci = []   # in %s", fact->source), fact);
}

static void check_guests(struct nunchi_diagnosis *diagnosis)
{
	for (const struct fact *fact = facts_find(&diagnosis->facts, FACT_XEN_GUEST); fact;
	     fact = facts_next(&diagnosis->facts, fact))
		check_guest(diagnosis, fact);
}

static void check_kernel(struct nunchi_diagnosis *diagnosis)
{
	const struct fact *fact = facts_find(&diagnosis->facts, FACT_KERNEL_CONFIG_MISSING);

	if (fact && !fact->known)
		check(diagnosis, "kernel", "unknown", _("options that dom0's kernel needs"), NULL,
		      fact);
	for (; fact && fact->known; fact = facts_next(&diagnosis->facts, fact))
		check(diagnosis, "kernel", "missing",
		      diagnosis_format(diagnosis, _("dom0's kernel lacks %s"), fact->value),
		      "sudo apt install linux-image-amd64", fact);
}

/* Only where dpkg's list of packages could be read. */
static void check_tools(struct nunchi_diagnosis *diagnosis)
{
	const struct fact *fact = facts_find(&diagnosis->facts, FACT_PACKAGE);
	bool found = false;

	if (!fact || !fact->known)
		return;
	for (; fact && !found; fact = facts_next(&diagnosis->facts, fact))
		found = !strncmp(fact->value, "xen-utils-", 10) &&
			strncmp(fact->value, "xen-utils-common ", 17);
	check(diagnosis, "xen-tools", found ? "ok" : "missing",
	      _("Xen's tools and daemons (xl, xenstored) are installed"),
	      "sudo apt install xen-system-amd64", NULL);
}

static void check_fact(struct nunchi_diagnosis *diagnosis, const char *id, enum fact_key key,
		       const char *bad, const char *text, const char *command)
{
	const struct fact *fact = facts_find(&diagnosis->facts, key);

	check(diagnosis, id,
	      !fact || !fact->known       ? "unknown"
	      : !strcmp(fact->value, bad) ? "missing"
					  : "ok",
	      text, command, fact);
}

/* For a host that is to boot Xen: what Xen will find there. */
static void check_before_xen(struct nunchi_diagnosis *diagnosis)
{
	check_fact(diagnosis, "virtualization", FACT_CPU_VIRT, "none",
		   _("the processor has VT-x or SVM, and shows it"),
		   "sudo systemctl reboot --firmware-setup   # switch VT-x or SVM on");
	check_fact(diagnosis, "virtualization-lock", FACT_CPU_VIRT_LOCK, "disabled",
		   _("the firmware has not locked VT-x or SVM off"),
		   "sudo systemctl reboot --firmware-setup   # switch VT-x or SVM on");
	check_fact(diagnosis, "nested-paging", FACT_CPU_NESTED_PAGING, "no",
		   _("nested page tables (EPT or NPT), for events on memory"), NULL);
	check_fact(diagnosis, "secure-boot", FACT_SECURE_BOOT, "on",
		   _("Secure Boot is off, for Xen is not signed"),
		   "sudo mokutil --disable-validation   # then reboot and confirm");
}

/* "altp2m", "altp2m=1", "altp2m=on" …: a boolean of Xen's command line, of which the last counts
 * (xen/common/kernel.c parse_bool()). */
static bool is_on(const char *cmdline, const char *name)
{
	static const char *const on[] = {"", "=1", "=on", "=true", "=yes", "=enable"};
	size_t length = strlen(name);
	bool found = false;

	for (const char *at = cmdline; *at; at += strspn(at, " ")) {
		size_t size = strcspn(at, " ");

		if (size >= length && !memcmp(at, name, length) &&
		    (size == length || at[length] == '=')) {
			found = false;
			for (size_t i = 0; i < ARRAY_SIZE(on); i++)
				found = found || (size == length + strlen(on[i]) &&
						  !memcmp(at + length, on[i], size - length));
		}
		at += size;
	}
	return found;
}

static void check_altp2m(struct nunchi_diagnosis *diagnosis)
{
	const struct fact *fact = facts_find(&diagnosis->facts, FACT_XEN_CMDLINE);

	check(diagnosis, "altp2m",
	      !fact || !fact->known          ? "unknown"
	      : is_on(fact->value, "altp2m") ? "ok"
					     : "missing",
	      _("altp2m, for breakpoints that the guest does not see"),
	      "GRUB_CMDLINE_XEN_DEFAULT=\"altp2m=1\"   # then sudo update-grub, and boot", fact);
}

static void check_xen(struct nunchi_diagnosis *diagnosis)
{
	check_word(diagnosis, "dom0", FACT_HYPERVISOR, "xen-dom0", _("this is Xen's dom0"),
		   "sudo nunchi doctor apply --trial");
	check_tools(diagnosis);
	check_guests(diagnosis);
	check_kernel(diagnosis);
	if (!facts_is(&diagnosis->facts, FACT_HYPERVISOR, "xen-dom0")) {
		check_before_xen(diagnosis);
		return;
	}
	check_word(diagnosis, "hvm", FACT_XEN_CAPS, "hvm", _("HVM guests can run"),
		   "xl dmesg | grep -E 'VMX|SVM|HVM'");
	/* Xen has events on memory and altp2m on Intel's processors alone. */
	if (facts_is(&diagnosis->facts, FACT_CPU_VENDOR, "amd")) {
		check_word(diagnosis, "hap", FACT_XEN_CAPS, "hap", _("nested page tables (NPT)"),
			   "xl dmesg | grep HAP");
	} else {
		check_word(diagnosis, "hap", FACT_XEN_CAPS, "hap",
			   _("nested page tables (EPT or NPT), for events on memory"),
			   "xl dmesg | grep HAP");
		check_altp2m(diagnosis);
	}
	check_word(diagnosis, "dom0_mem", FACT_XEN_CMDLINE,
		   "dom0_mem=", _("memory that dom0 leaves to the guests"),
		   "GRUB_CMDLINE_XEN_DEFAULT=\"dom0_mem=4096M,max:4096M\"");
	check_each(diagnosis, FACT_XEN_DEVICE, _("a device of Xen's that tools open"),
		   "sudo modprobe -a xen-privcmd xen-evtchn xen-gntdev xenfs");
	check_each(diagnosis, FACT_XEN_DAEMON, _("a daemon of Xen's"),
		   "sudo systemctl restart xen || sudo service xen restart");
	if (facts_is(&diagnosis->facts, FACT_XEN_XSM, "on"))
		check(diagnosis, "xsm", "missing", _("Xen's security module lets us take events"),
		      "sudo xl setenforce 0", facts_find(&diagnosis->facts, FACT_XEN_XSM));
}

/* "PID NAME shared|private qmp|no-qmp readable|forbidden|unknown" */
static void check_qemu_guest(struct nunchi_diagnosis *diagnosis, const struct fact *fact)
{
	if (!fact->known) {
		check(diagnosis, "qemu", "unknown", _("a running QEMU guest"), NULL, fact);
		return;
	}
	/* Reading the process does as well, unless that is forbidden altogether. */
	check(diagnosis, "shared-memory",
	      strstr(fact->value, " shared ") ||
		      !facts_is(&diagnosis->facts, FACT_PTRACE_SCOPE, "3")
		  ? "ok"
		  : "missing",
	      _("the guest's memory is shared, so that it is mapped without a copy (without, the "
		"process is read, which works too)"),
	      "-object memory-backend-memfd,id=m,size=1G,share=on -machine memory-backend=m", fact);
	check(diagnosis, "permissions",
	      strstr(fact->value, " readable")    ? "ok"
	      : strstr(fact->value, " forbidden") ? "missing"
						  : "unknown",
	      _("the user who runs nunchi may read the memory of the guest's process"),
	      "sudo nunchi list", fact);
	check(diagnosis, "qmp", strstr(fact->value, " qmp ") ? "ok" : "missing",
	      _("the guest has a QMP socket, to pause it and to see its registers"),
	      "-qmp unix:/run/NAME.qmp,server=on,wait=off", fact);
}

static void check_kvm(struct nunchi_diagnosis *diagnosis)
{
	const struct fact *fact;

	check_word(diagnosis, "qemu", FACT_QEMU_INSTALLED, "yes", _("QEMU is installed"),
		   "sudo apt install qemu-system-x86");
	fact = facts_find(&diagnosis->facts, FACT_KVM);
	check(diagnosis, "kvm",
	      !fact || !fact->known            ? "unknown"
	      : !strcmp(fact->value, "usable") ? "ok"
					       : "missing",
	      _("KVM, for guests at full speed; without it they are emulated"),
	      fact && fact->known && !strcmp(fact->value, "not permitted")
		  ? "sudo adduser $USER kvm   # then log in again"
		  : "sudo modprobe -a kvm kvm_intel kvm_amd   # VT-x or SVM on in the BIOS",
	      fact);
	for (fact = facts_find(&diagnosis->facts, FACT_QEMU); fact;
	     fact = facts_next(&diagnosis->facts, fact))
		check_qemu_guest(diagnosis, fact);
	fact = facts_find(&diagnosis->facts, FACT_PTRACE_SCOPE);
	check(diagnosis, "ptrace",
	      !fact || !fact->known   ? "unknown"
	      : fact->value[0] == '3' ? "missing"
				      : "ok",
	      _("reading another process's memory is not forbidden altogether"),
	      "kernel.yama.ptrace_scope = 1   # in /etc/sysctl.d, then boot", fact);
	for (fact = facts_find(&diagnosis->facts, FACT_APPARMOR); fact;
	     fact = facts_next(&diagnosis->facts, fact))
		check(diagnosis, "apparmor", "unknown",
		      _("the guest is confined: what nunchi needs (memory, QMP socket) may be "
			"refused; as root it is not"),
		      "sudo nunchi list", fact);
}

void findings_checklist(struct nunchi_diagnosis *diagnosis)
{
	const char *xen = facts_value(&diagnosis->facts, FACT_XEN_INSTALLED);

	if (!diagnosis->host)
		return;
	if (facts_is(&diagnosis->facts, FACT_HYPERVISOR, "xen-dom0") ||
	    (xen && strcmp(xen, "none")))
		check_xen(diagnosis);
	if (!facts_is(&diagnosis->facts, FACT_HYPERVISOR, "xen-dom0"))
		check_kvm(diagnosis);
}
