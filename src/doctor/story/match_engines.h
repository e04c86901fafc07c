/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The engines, each in a file of its own; match.c has the order in which they are tried. */
#ifndef NUNCHI_DOCTOR_STORY_MATCH_ENGINES_H
#define NUNCHI_DOCTOR_STORY_MATCH_ENGINES_H

#include "doctor/story/match.h"

extern const struct match_engine match_hyperscan, match_pcre2;

#endif
