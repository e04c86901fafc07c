/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* KVM and the QEMU guests that run. */
#include "doctor/facts/host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void collect_device(struct tree *tree, struct facts *facts)
{
	const struct tree_entry *kvm = tree_get(tree, TREE_PROBE, "open-kvm");

	if (kvm->text)
		facts_add(facts, FACT_KVM, "/dev/kvm", 0, "usable");
	else if (kvm->errnum == EREMOTE)
		host_unknown(facts, FACT_KVM, kvm);
	else
		facts_add(facts, FACT_KVM, "/dev/kvm", 0, "%s",
			  kvm->errnum == EACCES || kvm->errnum == EPERM ? "not permitted" : "none");
}

static void collect_nested(struct tree *tree, struct facts *facts)
{
	static const char *const paths[] = {"/sys/module/kvm_intel/parameters/nested",
					    "/sys/module/kvm_amd/parameters/nested"};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		const char *text = tree_text(tree, TREE_FILE, paths[i]);

		if (text) {
			facts_add(facts, FACT_KVM_NESTED, paths[i], 1, "%s",
				  *text == 'Y' || *text == '1' ? "yes" : "no");
			return;
		}
	}
	facts_add_unknown(facts, FACT_KVM_NESTED, paths[0], "no module of KVM is loaded");
}

/* The argument that follows a word of a command line whose words end with NUL, or NULL. */
static const char *argument_after(const struct tree_entry *cmdline, const char *word)
{
	const char *end = cmdline->text + cmdline->size;

	for (const char *at = cmdline->text; at < end; at += strlen(at) + 1)
		if (!strcmp(at, word) && at + strlen(at) + 1 < end)
			return at + strlen(at) + 1;
	return NULL;
}

static bool has_argument(const struct tree_entry *cmdline, const char *part)
{
	return memmem(cmdline->text, cmdline->size, part, strlen(part));
}

static void collect_confinement(struct tree *tree, struct facts *facts, const char *pid)
{
	const struct tree_entry *profile;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/attr/current", pid);
	profile = tree_get(tree, TREE_FILE, path);
	if (profile->text && strncmp(profile->text, "unconfined", 10))
		facts_add(facts, FACT_APPARMOR, profile->name, 1, "%s %.*s", pid,
			  (int)strcspn(profile->text, "\n"), profile->text);
}

/* Its links may be read by whom its memory may be read by (linux/fs/proc/base.c). */
static const char *access_to(struct tree *tree, const char *pid)
{
	const struct tree_entry *program;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	program = tree_get(tree, TREE_LINK, path);
	return program->text                                           ? "readable"
	       : program->errnum == EACCES || program->errnum == EPERM ? "forbidden"
								       : "unknown";
}

static void collect_process(struct tree *tree, struct facts *facts, const char *pid)
{
	const struct tree_entry *comm, *cmdline;
	const char *name;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	comm = tree_get(tree, TREE_FILE, path);
	if (!comm->text || strncmp(comm->text, "qemu-system", 11))
		return;
	snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
	cmdline = tree_get(tree, TREE_FILE, path);
	if (!cmdline->text) {
		host_unknown(facts, FACT_QEMU, cmdline);
		return;
	}
	name = argument_after(cmdline, "-name");
	facts_add(facts, FACT_QEMU, cmdline->name, 0, "%s %.*s %s %s %s", pid,
		  name ? (int)strcspn(name, ", ") : 1, name ? name : "-",
		  has_argument(cmdline, "share=on") || has_argument(cmdline, "memory-backend-memfd")
		      ? "shared"
		      : "private",
		  argument_after(cmdline, "-qmp") || has_argument(cmdline, "mode=control") ||
			  argument_after(cmdline, "-qmp-pretty")
		      ? "qmp"
		      : "no-qmp",
		  access_to(tree, pid));
}

static void collect_rights(struct tree *tree, struct facts *facts)
{
	const struct tree_entry *scope =
	    tree_get(tree, TREE_FILE, "/proc/sys/kernel/yama/ptrace_scope");
	const struct tree_entry *programs = tree_get(tree, TREE_LIST, "/usr/bin");

	if (scope->text)
		facts_add(facts, FACT_PTRACE_SCOPE, scope->name, 1, "%.1s", scope->text);
	else if (scope->errnum == ENOENT && tree_get(tree, TREE_LIST, "/proc/sys/kernel")->text)
		/* A kernel without Yama restricts nothing. */
		facts_add(facts, FACT_PTRACE_SCOPE, scope->name, 0, "0");
	else
		host_unknown(facts, FACT_PTRACE_SCOPE, scope);
	if (programs->text)
		facts_add(facts, FACT_QEMU_INSTALLED, programs->name, 0, "%s",
			  strstr(programs->text, "\nqemu-system-x86_64\n") ? "yes" : "no");
	else
		host_unknown(facts, FACT_QEMU_INSTALLED, programs);
}

void host_collect_kvm(struct tree *tree, struct facts *facts)
{
	const struct tree_entry *processes;
	struct line line = {0};

	collect_device(tree, facts);
	collect_nested(tree, facts);
	collect_rights(tree, facts);
	/* Processes come and go: only this host's, now. */
	if (!tree_is_live(tree) && tree_root(tree))
		return;
	processes = tree_get(tree, TREE_COMMAND, "pgrep -x qemu-system-x86");
	while (host_next_line(processes, &line) && line.number <= 256) {
		char pid[16];

		if (!line.size || line.size >= sizeof(pid))
			continue;
		snprintf(pid, sizeof(pid), "%.*s", (int)line.size, line.text);
		collect_process(tree, facts, pid);
		collect_confinement(tree, facts, pid);
	}
}
