/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Options given to Linux, its modules and Xen, whether found in a host's files or told of in a
 * story: one form for "i915.force_probe=!a788" on a command line, "options i915
 * force_probe=!a788" in modprobe.d, and a blacklist in either.
 */
#ifndef NUNCHI_DOCTOR_FACTS_SETTINGS_H
#define NUNCHI_DOCTOR_FACTS_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where an option was put; bits, for sets of them. */
enum place {
	PLACE_ENTRY = 1 << 0,    /* typed in GRUB's editor, for one boot; line unknown or Linux's */
	PLACE_RUNNING = 1 << 1,  /* the running Linux's command line */
	PLACE_GRUB = 1 << 2,     /* GRUB_CMDLINE_LINUX[_DEFAULT]: native and dom0 alike */
	PLACE_DOM0 = 1 << 3,     /* GRUB_CMDLINE_LINUX_XEN_REPLACE[_DEFAULT] */
	PLACE_MODPROBE = 1 << 4, /* modprobe.d: native and dom0 alike */
	PLACE_XEN = 1 << 5,      /* the hypervisor's command line */
	PLACE_CONFIG = 1 << 6,   /* another file: KEY=VALUE */
	PLACE_FIRMWARE = 1 << 7, /* the BIOS setup */
	PLACE_INITRAMFS = 1 << 8, /* modprobe.d as the initramfs has it */
};
#define PLACES_LINUX (PLACE_ENTRY | PLACE_RUNNING | PLACE_GRUB | PLACE_DOM0 | PLACE_MODPROBE)
/* Options in these places take effect in the boot without Xen too. */
#define PLACES_NATIVE (PLACE_GRUB | PLACE_MODPROBE)
#define PLACES_ANY    0xff

struct judgement;

struct setting {
	enum place place;
	bool blacklist; /* module is kept from loading; else name=value */
	char *module;   /* "" for an option of the kernel or of Xen itself */
	char *name;
	char *value; /* "" if there is none */
	char *file;  /* the file that it was put into, or read from; "" for none */
	char *source;
	uint64_t line;
	char *quote;
	unsigned attempt;                  /* index into the story's, or of no meaning */
	bool undone;                       /* its file was removed later */
	unsigned command;                  /* which command of the story made it */
	const struct judgement *judgement; /* of it, once judged */
};

/* More are not taken. */
#define SETTINGS_MOST 1024

struct settings {
	struct setting *all;
	size_t count, capacity;
	bool failed; /* out of memory */
};

/* What is common to those that are added. Strings are copied. */
struct setting_origin {
	enum place place;
	const char *file, *source, *quote;
	uint64_t line;
	unsigned attempt, command;
};

void settings_init(struct settings *settings);
void settings_deinit(struct settings *settings);
/* Takes a command line's words; quotes are removed, "modprobe.blacklist=a,b" is taken apart. */
void settings_add_words(struct settings *settings, const struct setting_origin *origin,
			const char *text, size_t size);
/* Takes one line of modprobe.d(5): options, blacklist, install … /bin/false. */
void settings_add_modprobe(struct settings *settings, const struct setting_origin *origin,
			   const char *line, size_t size);
/* Takes one KEY=VALUE; what is not one is left out. */
void settings_add_config(struct settings *settings, const struct setting_origin *origin,
			 const char *line, size_t size);
/* Takes one of the name and value as they are. */
void settings_add(struct settings *settings, const struct setting_origin *origin, bool blacklist,
		  const char *module, const char *name, const char *value);
/* Forgets the last ones, down to count. */
void settings_cut(struct settings *settings, size_t count);
/* Whether the module is kept from loading by a setting in one of the places, and not undone. */
bool settings_blacklist(const struct settings *settings, unsigned places, const char *module);
/* The last one of that module and name in the places that was not undone, or NULL. */
const struct setting *settings_find(const struct settings *settings, unsigned places,
				    const char *module, const char *name);
/* "i915 force_probe=a788", "blacklist nouveau", "quiet". */
void setting_spell(const struct setting *setting, char *text, size_t capacity);

#define _cleanup_settings_ _cleanup_(settings_deinit)

#endif
