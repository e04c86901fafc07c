/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libnunchi-doctor finds out what keeps a host from looking into its guests and what to do about
 * it, and can change how the host boots, to Xen and back. It is a library of its own beside
 * libnunchi, whose errors and context it uses.
 *
 * Threads: each call is independent; a diagnosis is used by one thread at a time. Commands are run
 * as children of the process, reaped by their process id; SIGCHLD may have any disposition. The
 * library never prints, never exits and has no mutable global state.
 *
 * All text is in the language of the process's locale, if libintl has the domain "nunchi" bound;
 * names and kinds are not translated. Text quoted from files is untrusted: show it through
 * nunchi_escape().
 */
#ifndef NUNCHI_DOCTOR_H
#define NUNCHI_DOCTOR_H

#include <nunchi/nunchi.h>

#ifdef __cplusplus
extern "C" {
#endif

struct nunchi_diagnosis;

struct nunchi_doctor_options {
	size_t size;              /* sizeof(struct nunchi_doctor_options) */
	const char *root;         /* a directory that is a host's root; NULL: this host */
	const char *const *paths; /* instead of a host: bundles, directories, logs of any kind */
	size_t path_count;
	bool
	    anonymous; /* nunchi_doctor_collect(): names of hosts, users and IP addresses go, too */
};

enum nunchi_verdict {
	NUNCHI_VERDICT_READY,
	NUNCHI_VERDICT_NO_SCREEN, /* ready, by SSH: the screen stays black */
	NUNCHI_VERDICT_NOT_READY,
	NUNCHI_VERDICT_UNKNOWN /* too little is known */
};

enum nunchi_weight {
	NUNCHI_WEIGHT_BLOCKER, /* introspection cannot work with it */
	NUNCHI_WEIGHT_PROBLEM, /* the host does not do what was wanted of it */
	NUNCHI_WEIGHT_ADVICE,  /* better otherwise */
	NUNCHI_WEIGHT_NOTE     /* good to know; explains a message */
};

enum nunchi_confidence { NUNCHI_CONFIDENCE_HIGH, NUNCHI_CONFIDENCE_MEDIUM, NUNCHI_CONFIDENCE_LOW };

struct nunchi_evidence {
	const char *source; /* file or command */
	uint64_t line;      /* in it, from 1; 0: the whole */
	const char *quote;  /* what stands there, or NULL */
};

struct nunchi_finding {
	const char
	    *id; /* "R11", "C3", "S1" …: stable; R and C are named so in rules.def and checks.def */
	enum nunchi_weight weight;
	enum nunchi_confidence confidence;
	const char *meaning;
	const char *remedy; /* NULL: nothing to do */
	const struct nunchi_evidence *evidence;
	size_t evidence_count;
	uint64_t seen; /* how often, which may be more than the evidence kept */
};

enum nunchi_effect {
	NUNCHI_EFFECT_NONE,
	NUNCHI_EFFECT_HARMFUL,
	NUNCHI_EFFECT_WRONG_LINE, /* an option of Xen that was given to Linux, or the reverse */
	NUNCHI_EFFECT_USEFUL,
	NUNCHI_EFFECT_UNJUDGED /* no rule knows it */
};

/* One change of one attempt that a log tells of. */
struct nunchi_change {
	const char *attempt; /* "4", "bios" …, as the log numbers them */
	const char *what;    /* "xe force_probe=a788" */
	enum nunchi_effect effect;
	enum nunchi_confidence confidence;
	const char *meaning;
	bool lasts; /* it holds for later boots too: it is in a file, and was not undone */
	struct nunchi_evidence evidence;
};

enum nunchi_step_kind {
	NUNCHI_STEP_REMEDY, /* in this order */
	NUNCHI_STEP_WAY_ROUND,
	NUNCHI_STEP_CHECK,   /* of the checklist for introspection */
	NUNCHI_STEP_FIND_OUT /* what would decide a verdict that is not known */
};

struct nunchi_step {
	enum nunchi_step_kind kind;
	const char *id;
	const char *text;
	const char *command;             /* NULL: none */
	const char *state;               /* of a check: "ok", "missing", "unknown"; else "" */
	struct nunchi_evidence evidence; /* of a check; else its source is NULL */
};

struct nunchi_host_fact {
	const char *name; /* "cpu.virtualization" … */
	bool known;
	const char *value; /* or why it is not known */
	struct nunchi_evidence evidence;
};

/* Looks at a host or at files; changes nothing. options may be NULL: this host. */
NUNCHI_API struct nunchi_error *nunchi_doctor_examine(struct nunchi_context *context,
						      const struct nunchi_doctor_options *options,
						      struct nunchi_diagnosis **ret);
NUNCHI_API void nunchi_diagnosis_destroy(struct nunchi_diagnosis *diagnosis);
/* *ret_reason is one or a few sentences. Owned by the diagnosis, as all that follows. */
NUNCHI_API enum nunchi_verdict nunchi_diagnosis_verdict(const struct nunchi_diagnosis *diagnosis,
							const char **ret_reason);
/* In order of weight; NULL after the last. */
NUNCHI_API const struct nunchi_finding *
nunchi_diagnosis_finding(const struct nunchi_diagnosis *diagnosis, size_t index);
NUNCHI_API const struct nunchi_change *
nunchi_diagnosis_change(const struct nunchi_diagnosis *diagnosis, size_t index);
NUNCHI_API const struct nunchi_step *nunchi_diagnosis_step(const struct nunchi_diagnosis *diagnosis,
							   size_t index);
NUNCHI_API struct nunchi_host_fact nunchi_diagnosis_fact(const struct nunchi_diagnosis *diagnosis,
							 size_t index, bool *ret_is);
/* What could not be looked at, or NULL after the last. */
NUNCHI_API const char *nunchi_diagnosis_warning(const struct nunchi_diagnosis *diagnosis,
						size_t index);

/*
 * Bringing a host to Xen, and back. Apply writes files that only nunchi has (one in
 * /etc/default/grub.d; for a trial a systemd unit and its script too) and has GRUB's own scripts
 * make a new grub.cfg. The entries that boot without Xen stay as they are, and one of them stays
 * the default.
 */
struct nunchi_doctor_change {
	size_t size;      /* sizeof(struct nunchi_doctor_change) */
	const char *root; /* a directory that is a host's root; NULL: this host */
	bool trial;       /* boot Xen once, and come back by itself */
	unsigned minutes; /* after so many, 1 to 1440; 0: 10 */
};

/*
 * Called with each line about what is done, or would be done: without its newline, and valid during
 * the call.
 */
typedef void nunchi_doctor_say(const char *line, void *data);

/*
 * Says what apply would do, as a unified diff; explanations begin with "# ". Changes nothing. As
 * root, and only then, it also checks the plan against the grub.cfg that would be made, and shows
 * that file.
 */
NUNCHI_API struct nunchi_error *nunchi_doctor_plan(struct nunchi_context *context,
						   const struct nunchi_doctor_change *change,
						   nunchi_doctor_say *say, void *data);
/*
 * Says the plan and does it. What an earlier apply did is taken back first. On failure, and when
 * the context is cancelled, everything is put back; if the process is killed, nunchi_doctor_undo()
 * puts it back. Needs root.
 */
NUNCHI_API struct nunchi_error *nunchi_doctor_apply(struct nunchi_context *context,
						    const struct nunchi_doctor_change *change,
						    nunchi_doctor_say *say, void *data);
/*
 * Takes back what apply did, byte for byte; a grub.cfg whose sources have changed since is made
 * anew. Logs of trials stay. Uses the root alone of the change. Needs root.
 */
NUNCHI_API struct nunchi_error *nunchi_doctor_undo(struct nunchi_context *context,
						   const struct nunchi_doctor_change *change,
						   nunchi_doctor_say *say, void *data);
/* During a trial boot: the machine is to stay in Xen. NUNCHI_ERROR_NOT_FOUND if there is none. */
NUNCHI_API struct nunchi_error *nunchi_doctor_stay(struct nunchi_context *context,
						   const struct nunchi_doctor_change *change,
						   nunchi_doctor_say *say, void *data);

/*
 * Writes what a diagnosis of the host needs to a new .tar.gz, without keys, passwords, tokens, MAC
 * and mail addresses, UUIDs and serial numbers. The archive's removed.txt says what was taken out
 * of which file, and what is not promised. took (may be NULL) is given each file's name and size,
 * or why it is not there.
 */
NUNCHI_API struct nunchi_error *nunchi_doctor_collect(
    struct nunchi_context *context, const struct nunchi_doctor_options *options, const char *path,
    void (*took)(const char *name, uint64_t size, const char *why, void *data), void *data);
#ifdef __cplusplus
}
#endif

#endif
