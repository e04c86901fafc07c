/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A dom0 that runs and shows no picture: its findings, the remedies, and ways to do without one. */
#include "doctor/verdict/checks.h"

#include "core/buffer.h"
#include "doctor/verdict/judge.h"
#include "doctor/verdict/rules.h"
#include "doctor/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool told_black(const struct nunchi_diagnosis *diagnosis)
{
	const struct story *story = &diagnosis->story;

	return story->outcome == OUTCOME_FAILED && story->marks[MARK_SCREEN].line &&
	       judge_under_xen(diagnosis);
}

/* By dom0's log alone: its display driver failed, or another driver did not find it. */
static bool logged_black(const struct nunchi_diagnosis *diagnosis)
{
	static const enum rule_id signs[] = {RULE_R3,  RULE_R7,  RULE_R9,
					     RULE_R10, RULE_R26, RULE_R27};
	const struct scan *scan = &diagnosis->scan;

	if (diagnosis->story.outcome == OUTCOME_WORKED)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(signs); i++)
		if (scan_together(scan, signs[i], RULE_R23) &&
		    (signs[i] == RULE_R9 || signs[i] == RULE_R10 ||
		     !scan_together(scan, RULE_R6, RULE_R23)))
			return true;
	return false;
}

bool findings_black_screen(const struct nunchi_diagnosis *diagnosis)
{
	return told_black(diagnosis) || logged_black(diagnosis);
}

/*
 * Somebody reached dom0, or its log was read. A log that ends in a crash is judged before this is
 * asked.
 */
bool findings_dom0_lives(const struct nunchi_diagnosis *diagnosis)
{
	const struct story *story = &diagnosis->story;

	if (scan_seen(&diagnosis->scan, RULE_R23))
		return true;
	return story->marks[MARK_ALIVE].line && !story->marks[MARK_DEAD].line;
}

/* ---- What the story shows ---- */

static size_t add_mark(const struct nunchi_diagnosis *diagnosis, enum story_mark mark,
		       struct nunchi_evidence *evidence, size_t count)
{
	const struct story_place *place = &diagnosis->story.marks[mark];

	if (place->line && !(count && evidence[count - 1].line == place->line))
		evidence[count++] = (struct nunchi_evidence){
		    .source = place->source, .line = place->line, .quote = place->quote};
	return count;
}

static void find_black_screen(struct nunchi_diagnosis *diagnosis)
{
	struct nunchi_evidence evidence[EVIDENCE_MOST];
	size_t count = add_mark(diagnosis, MARK_XEN, evidence, 0);
	struct nunchi_finding finding = {
	    .id = "S1",
	    .weight = NUNCHI_WEIGHT_PROBLEM,
	    .confidence = told_black(diagnosis) ? NUNCHI_CONFIDENCE_HIGH : NUNCHI_CONFIDENCE_MEDIUM,
	    .meaning = _("a black screen of Xen's dom0: Linux runs, but its graphics driver does "
			 "not bring up the panel. Neither Xen nor introspection needs a picture"),
	};

	if (!findings_dom0_lives(diagnosis)) {
		finding.confidence = NUNCHI_CONFIDENCE_LOW;
		finding.meaning =
		    _("a black screen under Xen; whether dom0 lives behind it is not known");
	}
	count = add_mark(diagnosis, MARK_SCREEN, evidence, count);
	count = add_mark(diagnosis, MARK_ALIVE, evidence, count);
	if (diagnosis->story.marks[MARK_ALIVE].line)
		finding.remedy =
		    _("dom0 was alive each time, for its log was read afterwards: log in by SSH");
	diagnosis_add_finding(diagnosis, finding, evidence, count);
}

static void find_theory(struct nunchi_diagnosis *diagnosis)
{
	struct nunchi_evidence evidence[EVIDENCE_MOST];
	size_t count = add_mark(diagnosis, MARK_THEORY, evidence, 0);
	struct nunchi_finding finding = {
	    .id = "S2",
	    .weight = NUNCHI_WEIGHT_ADVICE,
	    .confidence = NUNCHI_CONFIDENCE_HIGH,
	    .meaning = _("the text says that swiotlb's bounce buffers make the graphics device "
			 "unusable; i915's source says otherwise: since commit 78a07fe777c4 i915 "
			 "maps memory page by page under Xen PV and needs no large bounce buffer. "
			 "What the text describes fits the driver xe. The same class of laptop "
			 "works under Qubes OS (Xen 4.17, kernels 6.1 to 6.6)"),
	    .remedy = _("do not give up on the device: the likeliest cause is the IOMMU, see "
			"the steps"),
	};

	if (count)
		diagnosis_add_finding(diagnosis, finding, evidence, count);
}

/* Changes that the boot without Xen takes too. */
static void find_native(struct nunchi_diagnosis *diagnosis)
{
	const struct settings *told = &diagnosis->story.settings;
	struct nunchi_evidence evidence[EVIDENCE_MOST];
	size_t count = 0;
	struct nunchi_finding finding = {
	    .id = "S3",
	    .weight = NUNCHI_WEIGHT_ADVICE,
	    .confidence = NUNCHI_CONFIDENCE_HIGH,
	    .meaning = _("what was written to modprobe.d and GRUB_CMDLINE_LINUX changes the boot "
			 "without Xen as well"),
	    .remedy = _("undo them, and use GRUB_CMDLINE_LINUX_XEN_REPLACE_DEFAULT for dom0 and "
			"GRUB_CMDLINE_XEN_DEFAULT for Xen"),
	};

	for (size_t i = 0; i < told->count; i++) {
		const struct setting *setting = &told->all[i];

		if (!(setting->place & PLACES_NATIVE) || setting->undone)
			continue;
		finding.seen++;
		if (count < EVIDENCE_MOST &&
		    (!count || strcmp(evidence[count - 1].quote, setting->quote)))
			evidence[count++] = (struct nunchi_evidence){.source = setting->source,
								     .line = setting->line,
								     .quote = setting->quote};
	}
	if (count)
		diagnosis_add_finding(diagnosis, finding, evidence, count);
}

static void find_untried(struct nunchi_diagnosis *diagnosis)
{
	const struct settings *told = &diagnosis->story.settings;
	struct nunchi_finding finding = {
	    .id = "S4",
	    .weight = NUNCHI_WEIGHT_ADVICE,
	    .confidence = NUNCHI_CONFIDENCE_HIGH,
	    .meaning = _("no attempt used nomodeset, which tells whether the driver or Xen is at "
			 "fault, and none changed Xen's own command line"),
	};

	for (size_t i = 0; i < told->count; i++)
		if (!strcmp(told->all[i].name, "nomodeset") || told->all[i].place == PLACE_XEN)
			return;
	if (told->count)
		diagnosis_add_finding(diagnosis, finding, NULL, 0);
}

/* ---- What to do ---- */

static void step(struct nunchi_diagnosis *diagnosis, enum nunchi_step_kind kind, const char *id,
		 const char *text, const char *command)
{
	diagnosis_add_step(
	    diagnosis,
	    (struct nunchi_step){.kind = kind, .id = id, .text = text, .command = command});
}

/* Whether an attempt of that number changed a file that is not removed since. */
static bool changed_files(const struct story *story, unsigned number)
{
	for (size_t i = 0; i < story->settings.count; i++) {
		const struct setting *setting = &story->settings.all[i];

		if (*setting->file && !setting->undone &&
		    strtoul(story->attempts[setting->attempt].label, NULL, 10) == number)
			return true;
	}
	return false;
}

/* "2 – 6" or "1, 3 – 4": the attempts that changed files, in the order of their numbers. */
static void attempts_to_undo(const struct story *story, struct buffer *text)
{
	enum { MOST_NUMBER = 100 };

	for (unsigned i = 1; i < MOST_NUMBER; i++) {
		unsigned last = i;

		if (!changed_files(story, i))
			continue;
		while (last + 1 < MOST_NUMBER && changed_files(story, last + 1))
			last++;
		buffer_printf(text, "%s%u", text->size ? ", " : "", i);
		if (last > i)
			buffer_printf(text, " – %u", last);
		i = last;
	}
}

static bool first_of_file(const struct settings *told, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (!told->all[i].undone && !strcmp(told->all[i].file, told->all[index].file))
			return false;
	return true;
}

/* "sudo rm FILE…" for files that the story made, an editor for those that were there before. */
static const char *undo_command(struct nunchi_diagnosis *diagnosis)
{
	const struct settings *told = &diagnosis->story.settings;
	_cleanup_buffer_ struct buffer made, edited;

	buffer_init(&made, 4096);
	buffer_init(&edited, 4096);
	for (size_t i = 0; i < told->count; i++) {
		const char *file = told->all[i].file;

		if (!*file || told->all[i].undone || !first_of_file(told, i))
			continue;
		buffer_printf(strstr(file, "modprobe.d/") ? &made : &edited, " %s", file);
	}
	diagnosis->failed = diagnosis->failed || made.no_memory || edited.no_memory;
	return diagnosis_format(diagnosis,
				"%s%s%s%s%s && sudo update-initramfs -u -k all && sudo update-grub",
				edited.size ? "sudo nano" : "", buffer_string(&edited),
				made.size && edited.size ? " && " : "", made.size ? "sudo rm" : "",
				buffer_string(&made));
}

static void step_undo(struct nunchi_diagnosis *diagnosis)
{
	_cleanup_buffer_ struct buffer attempts;

	buffer_init(&attempts, 1024);
	attempts_to_undo(&diagnosis->story, &attempts);
	diagnosis->failed = diagnosis->failed || attempts.no_memory;
	if (!attempts.size)
		return;
	step(
	    diagnosis, NUNCHI_STEP_REMEDY, "undo",
	    diagnosis_format(diagnosis,
			     _("undo what attempts %s wrote to files, every force_probe, and quiet "
			       "splash"),
			     buffer_string(&attempts)),
	    undo_command(diagnosis));
}

/* Drivers to keep from loading in dom0, and Xen's option: which ones depends on the devices. */
static void steps_first(struct nunchi_diagnosis *diagnosis)
{
	unsigned gpus = rules_gpus(diagnosis);
	bool intel = gpus & NEEDS_INTEL_GPU;
	bool nouveau = gpus & NEEDS_NVIDIA_GPU && intel && !judge_dgpu_panel(diagnosis);

	step_undo(diagnosis);
	if (intel)
		step(diagnosis, NUNCHI_STEP_REMEDY, "blacklist",
		     _("leave the graphics device to i915: keep the other drivers out of dom0"),
		     diagnosis_format(
			 diagnosis,
			 "GRUB_CMDLINE_LINUX_XEN_REPLACE_DEFAULT=\"module_blacklist=%s\"",
			 nouveau ? "xe,nouveau" : "xe"));
	if (intel)
		step(diagnosis, NUNCHI_STEP_REMEDY, "no-igfx",
		     _("switch the IOMMU off for the Intel graphics device, on Xen's own "
		       "command line; xl dmesg then says \"passed iommu=no-igfx option\""),
		     "GRUB_CMDLINE_XEN_DEFAULT=\"iommu=no-igfx\"");
	step(
	    diagnosis, NUNCHI_STEP_REMEDY, "ssh",
	    _("switch SSH on, to get in while the screen is black, and save xl dmesg, the whole of "
	      "journalctl -k and /sys/class/drm/*/status"),
	    "sudo apt install openssh-server && sudo systemctl enable --now ssh");
	step(diagnosis, NUNCHI_STEP_REMEDY, "trial",
	     _("boot Xen once as a trial: the boot after it is without Xen again, by itself"),
	     "sudo nunchi doctor apply --trial");
}

static void steps_then(struct nunchi_diagnosis *diagnosis)
{
	bool intel = rules_gpus(diagnosis) & NEEDS_INTEL_GPU;

	if (intel)
		step(diagnosis, NUNCHI_STEP_REMEDY, "dvmt",
		     _("if the screen is still black: give graphics at least 64M of DVMT "
		       "pre-allocated memory in the BIOS, and update the BIOS"),
		     NULL);
	step(diagnosis, NUNCHI_STEP_REMEDY, "nomodeset",
	     _("the test that decides: boot with no graphics driver at all, and with Xen's "
	       "messages kept on the screen"),
	     "# GRUB's menu, key e: nomodeset at the end of vmlinuz' line, vga=keep of xen's line");
	step(diagnosis, NUNCHI_STEP_REMEDY, "newer", _("Xen 4.18 or later, and a newer kernel"),
	     NULL);
	step(diagnosis, NUNCHI_STEP_REMEDY, "pvh",
	     _("dom0 as PVH, which maps memory as a native kernel does"),
	     intel ? "GRUB_CMDLINE_XEN_DEFAULT=\"dom0=pvh iommu=no-igfx\""
		   : "GRUB_CMDLINE_XEN_DEFAULT=\"dom0=pvh\"");
	step(diagnosis, NUNCHI_STEP_REMEDY, "efi",
	     _("only if Xen hangs before dom0 starts: boot without EFI's run-time services, "
	       "then without x2APIC"),
	     "GRUB_CMDLINE_XEN_DEFAULT=\"efi=no-rs\"");
}

static void ways_round(struct nunchi_diagnosis *diagnosis)
{
	step(diagnosis, NUNCHI_STEP_WAY_ROUND, "headless",
	     _("Xen without a screen, all work by SSH: introspection loses nothing. Try this "
	       "first"),
	     "sudo systemctl set-default multi-user.target");
	step(diagnosis, NUNCHI_STEP_WAY_ROUND, "nested",
	     _("Xen nested in KVM, under the desktop that works (disks on SATA, network e1000)"),
	     "sudo modprobe -r kvm_intel && sudo modprobe kvm_intel nested=1 ept=1   # guest: -cpu "
	     "host");
	step(diagnosis, NUNCHI_STEP_WAY_ROUND, "lab",
	     _("nunchi's emulated lab: Xen in QEMU without hardware virtualization, which is "
	       "slow and works on every host"),
	     "make demo");
	step(diagnosis, NUNCHI_STEP_WAY_ROUND, "firmware",
	     _("text on the firmware's framebuffer: dom0 with nomodeset"), NULL);
	if (judge_gpu(diagnosis, "10de"))
		step(diagnosis, NUNCHI_STEP_WAY_ROUND, "dgpu",
		     _("the panel switched to the NVIDIA card alone (MUX, display mode in the "
		       "BIOS), with nouveau"),
		     NULL);
	step(diagnosis, NUNCHI_STEP_WAY_ROUND, "vmware", _("Xen nested in VMware"), NULL);
}

void findings_of_story(struct nunchi_diagnosis *diagnosis)
{
	judge_story(diagnosis);
	if (!findings_black_screen(diagnosis))
		return;
	find_black_screen(diagnosis);
	find_theory(diagnosis);
	find_native(diagnosis);
	find_untried(diagnosis);
	steps_first(diagnosis);
	steps_then(diagnosis);
	ways_round(diagnosis);
}
