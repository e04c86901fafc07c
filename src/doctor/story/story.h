/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads a user's account of what was tried: a terminal's text or notes pasted into a file, in
 * English or Korean. It finds the commands that were run, what was typed into which file, and
 * whether it worked. What it does not understand is left out, never guessed. It draws no
 * conclusions; verdict/ does.
 */
#ifndef NUNCHI_DOCTOR_STORY_STORY_H
#define NUNCHI_DOCTOR_STORY_STORY_H

#include "doctor/facts/facts.h"
#include "doctor/facts/settings.h"
#include "doctor/story/topics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORY_ATTEMPTS 64
#define STORY_QUOTE    240
/* Longer texts are no stories; what comes after is not read as one. */
#define STORY_BYTES (8u << 20)

enum outcome { OUTCOME_NONE, OUTCOME_FAILED, OUTCOME_WORKED };

/* Things a story may mention; the place of the first mention is kept. */
enum story_mark {
	MARK_XEN,       /* Xen was installed or booted */
	MARK_NAMES_XEN, /* Xen or one of its tools is named at all */
	MARK_FAILED,    /* said to have failed */
	MARK_SCREEN,    /* and that it is the screen */
	MARK_THEORY,    /* swiotlb's bounce buffers are blamed */
	MARK_DEAD,      /* the machine answers nobody, or restarts by itself */
	MARK_TROUBLE,   /* something is said to go wrong, whatever it is */
	MARK_ALIVE,     /* the log of the boot before was read: that boot was alive */
	MARK_TEXT_MODE, /* booted without a desktop */
	MARK_WMI,       /* the backlight is NVIDIA's, through the embedded controller */
	MARK_OPTIMUS,   /* the panel is connected to the integrated graphics device */
	MARK_DGPU_ONLY, /* the panel is connected to the discrete one */
	MARK_COUNT
};

struct story_place {
	uint64_t line; /* 0: not mentioned */
	const char *source;
	char quote[STORY_QUOTE + 1];
};

struct story_attempt {
	char label[16]; /* "4", "bios"; "" before any */
	bool firmware;
	enum outcome outcome;
};

struct story {
	struct story_attempt attempts[STORY_ATTEMPTS];
	size_t attempt_count;
	struct settings settings;
	struct story_place marks[MARK_COUNT];
	enum topic_told topics[TOPIC_COUNT];
	enum outcome outcome; /* said last of all */
	unsigned failures;
	struct story_reader *reader;
	bool failed; /* out of memory */
};

/* False without memory. */
bool story_init(struct story *story);
void story_deinit(struct story *story);
/* Begins a text; source must live as long as the story. */
void story_begin(struct story *story, const char *source);
/* Takes the next line, without its end; graphics devices that it lists become facts. */
void story_line(struct story *story, struct facts *facts, const char *text, size_t size);
/* Ends the text. */
void story_end(struct story *story, struct facts *facts);

#endif
