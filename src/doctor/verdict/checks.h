/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Findings: of messages (rules.def), of conditions (checks.def) and of stories. */
#ifndef NUNCHI_DOCTOR_VERDICT_CHECKS_H
#define NUNCHI_DOCTOR_VERDICT_CHECKS_H

#include "doctor/verdict/diagnosis.h"

/* Of every rule that was met. */
void findings_of_rules(struct nunchi_diagnosis *diagnosis);
/* Of every condition that holds. */
void findings_of_checks(struct nunchi_diagnosis *diagnosis);
/* Whether the logs or the story are about a dom0 that shows no picture. */
bool findings_black_screen(const struct nunchi_diagnosis *diagnosis);
/* Whether anything shows that dom0 lives: its log, or that somebody reached it. */
bool findings_dom0_lives(const struct nunchi_diagnosis *diagnosis);
/* The two or three commands that would decide a verdict that is not known. */
void find_out(struct nunchi_diagnosis *diagnosis);
/* Of the story, with the remedies and ways round of a black screen. */
void findings_of_story(struct nunchi_diagnosis *diagnosis);
/* The checklist of what introspection needs here. */
void findings_checklist(struct nunchi_diagnosis *diagnosis);
/* Sorts the findings and sets the verdict and its reason. */
void findings_verdict(struct nunchi_diagnosis *diagnosis);

#endif
