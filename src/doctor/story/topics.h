/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the trouble is about that a user tells of, by single words. */
#ifndef NUNCHI_DOCTOR_STORY_TOPICS_H
#define NUNCHI_DOCTOR_STORY_TOPICS_H

enum topic_id {
#define TOPIC(id, ...) TOPIC_##id,
#include "doctor/story/topics.def"
#undef TOPIC
	TOPIC_COUNT
};

enum topic_told {
	TOPIC_NOT_TOLD,
	TOPIC_NAMED,  /* the story speaks of it */
	TOPIC_TROUBLE /* and complains in the same line */
};

struct topic {
	const char *name, *text;
	const char *under_xen, *without; /* commands, for a host with Xen and one without */
};
extern const struct topic topics[TOPIC_COUNT];

/* Raises what is told of each topic by what the line tells. */
void topics_of(const char *line, enum topic_told told[TOPIC_COUNT]);

#endif
