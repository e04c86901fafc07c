/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which rules of rules.def hold here. */
#ifndef NUNCHI_DOCTOR_VERDICT_RULES_H
#define NUNCHI_DOCTOR_VERDICT_RULES_H

#include "doctor/verdict/diagnosis.h"

/* What is there, of enum rule_needs, for messages of that boot. */
unsigned rules_present(const struct nunchi_diagnosis *diagnosis, unsigned boot);
/* The vendors of graphics devices that anything names: NEEDS_…_GPU; 0 if nothing does. */
unsigned rules_gpus(const struct nunchi_diagnosis *diagnosis);
/* Whether all that the rule needs is there. */
bool rules_apply(const struct rule *rule, unsigned present);
/* Whether the rule was met in a machine's newest boot, and is about it. */
bool rules_now(const struct nunchi_diagnosis *diagnosis, enum rule_id id);

#endif
