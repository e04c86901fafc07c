/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Judging changes by the table judge.def and by all facts, logs and stories that were read. */
#ifndef NUNCHI_DOCTOR_VERDICT_JUDGE_H
#define NUNCHI_DOCTOR_VERDICT_JUDGE_H

#include "doctor/verdict/diagnosis.h"

struct judgement {
	const char *id;
	const char *module, *name, *value;
	unsigned places;
	bool (*condition)(const struct nunchi_diagnosis *diagnosis, const struct setting *setting);
	enum nunchi_effect effect;
	enum nunchi_confidence confidence;
	const char *meaning;
};

/* The row of the table that fits, or NULL. Static storage. */
const struct judgement *judge(const struct nunchi_diagnosis *diagnosis,
			      const struct setting *setting);
/* Turns the story's settings into changes of the diagnosis; several with one judgement become one.
 */
void judge_story(struct nunchi_diagnosis *diagnosis);

/* Whether a graphics device of that vendor ("8086") is there. */
bool judge_gpu(const struct nunchi_diagnosis *diagnosis, const char *vendor);
/* Whether that driver drives, or by its table could drive, one of that vendor. */
bool judge_gpu_driver(const struct nunchi_diagnosis *diagnosis, const char *vendor,
		      const char *driver);
/* Whether the panel is connected to the discrete graphics device. */
bool judge_dgpu_panel(const struct nunchi_diagnosis *diagnosis);
/* Whether the logs, the story or the host show that Xen runs or was booted. */
bool judge_under_xen(const struct nunchi_diagnosis *diagnosis);

#endif
