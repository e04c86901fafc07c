/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A verdict that is not known ends in commands that would decide it, chosen by what is there. */
#include "doctor/verdict/checks.h"

#include "doctor/verdict/judge.h"
#include "doctor/verdict/rules.h"
#include "doctor/words.h"

#include <string.h>

/* More would not be done. */
#define MOST_QUESTIONS 3

static void ask(struct nunchi_diagnosis *diagnosis, const char *id, const char *text,
		const char *command)
{
	size_t asked = 0;

	for (size_t i = 0; i < diagnosis->step_count; i++)
		if (diagnosis->steps[i].kind == NUNCHI_STEP_FIND_OUT) {
			asked++;
			if (!strcmp(diagnosis->steps[i].command, command))
				return;
		}
	if (asked == MOST_QUESTIONS)
		return;
	diagnosis_add_step(diagnosis, (struct nunchi_step){.kind = NUNCHI_STEP_FIND_OUT,
							   .id = id,
							   .text = text,
							   .command = command});
}

/* A screen stays black, and dom0 may live behind it or not. */
static void ask_black_screen(struct nunchi_diagnosis *diagnosis)
{
	ask(diagnosis, "reach",
	    _("while the screen is black, from another computer: does dom0 (the Linux that Xen "
	      "starts "
	      "first) answer?"),
	    "ping -c 3 HOST; ssh USER@HOST 'sudo xl dmesg; sudo journalctl -k -b' > dom0.txt");
	ask(diagnosis, "log-before",
	    _("if not: boot without Xen, and look whether the boot before has left a log"),
	    "journalctl --list-boots; sudo journalctl -k -b -1 -o short-monotonic > dom0.txt");
	ask(diagnosis, "console",
	    _("if there is none: have Xen keep its messages on the screen and not restart, and "
	      "photograph them; a serial line takes them whole"),
	    "GRUB_CMDLINE_XEN_DEFAULT=\"vga=keep noreboot=true loglvl=all console=vga,com1 "
	    "com1=115200,8n1\"");
}

/* Whether the text has any line of Xen's log. */
static bool has_xen_log(const struct scan *scan)
{
	for (unsigned i = 0; i <= scan->boot; i++)
		if (scan->boots[i].rules_xen || scan->boots[i].marks & 1u << SCAN_MARK_BOOT_XEN)
			return true;
	return false;
}

/* Programs that start guests, and keep their logs elsewhere than libvirt. */
static bool is_manager(size_t topic)
{
	return topic == TOPIC_INCUS || topic == TOPIC_PROXMOX || topic == TOPIC_KUBEVIRT ||
	       topic == TOPIC_MULTIPASS || topic == TOPIC_OPENSTACK || topic == TOPIC_CLOUD ||
	       topic == TOPIC_KATA || topic == TOPIC_MINIKUBE;
}

/*
 * These words are about the matter itself, wherever they stand in a complaint. What does not boot
 * is a guest, where one is spoken of; under Xen that is everywhere.
 */
static bool is_meant(const enum topic_told *told, size_t topic, bool xen)
{
	static const enum topic_id always[] = {TOPIC_PASSTHROUGH, TOPIC_WINDOWS, TOPIC_VMWARE,
					       TOPIC_LIBVMI,      TOPIC_XAPI,    TOPIC_MACOS};

	for (size_t i = 0; i < ARRAY_SIZE(always); i++)
		if (topic == always[i])
			return true;
	return is_manager(topic) ||
	       (topic == TOPIC_GUEST && told[TOPIC_BOOT] == TOPIC_TROUBLE && !xen);
}

/*
 * A boot is asked about where it fails, and is this machine's, not a guest's; a guest's logs where
 * no manager keeps them elsewhere.
 */
static bool is_moot(const enum topic_told *told, size_t topic, bool xen)
{
	if (topic == TOPIC_BOOT)
		return told[topic] < TOPIC_TROUBLE || told[TOPIC_GUEST] == TOPIC_TROUBLE ||
		       told[TOPIC_PASSTHROUGH] == TOPIC_TROUBLE;
	for (size_t i = 0; topic == TOPIC_GUEST && !xen && i < TOPIC_COUNT; i++)
		if (told[i] && is_manager(i))
			return true;
	return false;
}

/*
 * What would show the cause of the trouble that the text tells of, at most two questions; where it
 * complains of nothing, what it speaks of.
 */
static void ask_topics(struct nunchi_diagnosis *diagnosis, bool xen)
{
	const enum topic_told *told = diagnosis->story.topics;
	enum topic_told least = TOPIC_NAMED;
	unsigned asked = 0;

	for (size_t i = 0; i < TOPIC_COUNT; i++)
		if (told[i] == TOPIC_TROUBLE)
			least = TOPIC_TROUBLE;
	for (size_t i = 0; i < TOPIC_COUNT && asked < MOST_QUESTIONS - 1; i++) {
		const char *command = xen ? topics[i].under_xen : topics[i].without;

		if (!told[i] || (told[i] < least && !is_meant(told, i, xen)) || !command ||
		    is_moot(told, i, xen))
			continue;
		ask(diagnosis, topics[i].name, _(topics[i].text), command);
		asked++;
	}
}

static void ask_xen(struct nunchi_diagnosis *diagnosis)
{
	const struct scan *scan = &diagnosis->scan;

	ask_topics(diagnosis, true);
	if (!scan_seen(scan, RULE_R93))
		ask(diagnosis, "xl-info",
		    _("does Xen run, do its tools answer, and can it have HVM guests (virt_caps)?"),
		    "cat /sys/hypervisor/type; sudo xl info");
	if (!has_xen_log(scan))
		ask(diagnosis, "xl-dmesg", _("what does Xen itself say of this boot?"),
		    "sudo xl dmesg > xl-dmesg.txt; nunchi doctor xl-dmesg.txt");
	if (!scan_seen(scan, RULE_R23))
		ask(diagnosis, "kernel-log", _("what does dom0's kernel say of this boot?"),
		    "sudo journalctl -k -b -o short-monotonic > kernel.txt; nunchi doctor "
		    "kernel.txt");
	ask(diagnosis, "doctor", _("the host itself, looked at where it runs, says the most"),
	    "sudo nunchi doctor");
}

static void ask_any(struct nunchi_diagnosis *diagnosis)
{
	ask_topics(diagnosis, false);
	ask(diagnosis, "kvm", _("can the processor virtualize, and is KVM there for this user?"),
	    "lscpu | grep -i -E 'virtual|hyperv'; ls -l /dev/kvm; sudo dmesg | grep -i -E "
	    "'kvm|vmx|svm'");
	ask(diagnosis, "hypervisor", _("does Xen run here?"),
	    "cat /sys/hypervisor/type; sudo xl info; sudo xl dmesg");
	ask(diagnosis, "doctor", _("the host itself, looked at where it runs, says the most"),
	    "sudo nunchi doctor");
}

/* Whether what answers nobody is a guest or a device, and not the machine. */
static bool is_of_a_part(const struct nunchi_diagnosis *diagnosis)
{
	static const enum topic_id parts[] = {TOPIC_GUEST, TOPIC_NETWORK, TOPIC_USB, TOPIC_DISK,
					      TOPIC_PASSTHROUGH};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (diagnosis->story.topics[parts[i]] == TOPIC_TROUBLE)
			return true;
	return false;
}

void find_out(struct nunchi_diagnosis *diagnosis)
{
	const struct story_place *marks = diagnosis->story.marks;

	if (findings_black_screen(diagnosis) ||
	    (marks[MARK_DEAD].line && marks[MARK_NAMES_XEN].line && !is_of_a_part(diagnosis)))
		ask_black_screen(diagnosis);
	else if (judge_under_xen(diagnosis) || marks[MARK_NAMES_XEN].line)
		ask_xen(diagnosis);
	else
		ask_any(diagnosis);
}
