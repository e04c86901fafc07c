/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/verdict/diagnosis.h"

#include "core/buffer.h"

#include <stdio.h>
#include <string.h>

static const char *keep(struct nunchi_diagnosis *diagnosis, char *text)
{
	if (text && diagnosis->string_count == diagnosis->string_capacity) {
		size_t capacity = diagnosis->string_capacity ? 2 * diagnosis->string_capacity : 256;
		char **strings = realloc(diagnosis->strings, capacity * sizeof(char *));

		if (strings) {
			diagnosis->strings = strings;
			diagnosis->string_capacity = capacity;
		} else {
			free(text);
			text = NULL;
		}
	}
	if (!text) {
		diagnosis->failed = true;
		return "";
	}
	diagnosis->strings[diagnosis->string_count++] = text;
	return text;
}

const char *diagnosis_keep(struct nunchi_diagnosis *diagnosis, const char *text, size_t size)
{
	return keep(diagnosis, strndup(text, size));
}

const char *diagnosis_format(struct nunchi_diagnosis *diagnosis, const char *format, ...)
{
	char *text;
	va_list args;
	int size;

	va_start(args, format);
	size = vasprintf(&text, format, args);
	va_end(args);
	return keep(diagnosis, size < 0 ? NULL : text);
}

/* Room for one more in an array that grows by doubling, up to DIAGNOSIS_MOST. */
static void *room(struct nunchi_diagnosis *diagnosis, void *array, size_t count, size_t size)
{
	void *grown;

	/* Full at every power of two from 16 on. */
	if (count && (count < 16 || (count & (count - 1))))
		return array;
	if (count >= DIAGNOSIS_MOST) {
		diagnosis->dropped++;
		return NULL;
	}
	grown = realloc(array, (count ? 2 * count : 16) * size);
	if (!grown)
		diagnosis->failed = true;
	return grown;
}

#define APPEND(diagnosis, array, count, item)                                                      \
	do {                                                                                       \
		void *append_room =                                                                \
		    room(diagnosis, (diagnosis)->array, (diagnosis)->count, sizeof(item));         \
                                                                                                   \
		if (append_room) {                                                                 \
			(diagnosis)->array = append_room;                                          \
			(diagnosis)->array[(diagnosis)->count++] = item;                           \
		}                                                                                  \
	} while (0)

void diagnosis_add_finding(struct nunchi_diagnosis *diagnosis, struct nunchi_finding finding,
			   const struct nunchi_evidence *evidence, size_t evidence_count)
{
	size_t size = evidence_count * sizeof(*evidence);
	struct nunchi_evidence *copy;
	char *place;

	if (size) {
		place = malloc(size);
		if (!place)
			diagnosis->failed = true;
		/* The arena frees what it is given; that it is no text does not matter to it. */
		if (!place || keep(diagnosis, place) != place)
			return;
		copy = (struct nunchi_evidence *)place;
		memcpy(copy, evidence, size);
		finding.evidence = copy;
		finding.evidence_count = evidence_count;
	}
	finding.remedy = diagnosis_for_family(diagnosis, finding.remedy);
	if (!finding.seen)
		finding.seen = evidence_count;
	APPEND(diagnosis, findings, finding_count, finding);
}

void diagnosis_add_step(struct nunchi_diagnosis *diagnosis, struct nunchi_step step)
{
	if (!step.state)
		step.state = "";
	step.command = diagnosis_for_family(diagnosis, step.command);
	APPEND(diagnosis, steps, step_count, step);
}

void diagnosis_add_change(struct nunchi_diagnosis *diagnosis, struct nunchi_change change)
{
	APPEND(diagnosis, changes, change_count, change);
}

void diagnosis_warn(struct nunchi_diagnosis *diagnosis, const char *text)
{
	APPEND(diagnosis, warnings, warning_count, text);
}

struct nunchi_evidence diagnosis_evidence(const struct fact *fact)
{
	return (struct nunchi_evidence){
	    .source = fact->source, .line = fact->line, .quote = fact->value};
}

void nunchi_diagnosis_destroy(struct nunchi_diagnosis *diagnosis)
{
	if (!diagnosis)
		return;
	for (size_t i = 0; i < diagnosis->string_count; i++)
		free(diagnosis->strings[i]);
	free(diagnosis->strings);
	free(diagnosis->findings);
	free(diagnosis->changes);
	free(diagnosis->steps);
	free(diagnosis->warnings);
	scan_deinit(&diagnosis->scan);
	story_deinit(&diagnosis->story);
	settings_deinit(&diagnosis->settings);
	facts_deinit(&diagnosis->facts);
	tree_destroy(diagnosis->tree);
	free(diagnosis);
}

enum nunchi_verdict nunchi_diagnosis_verdict(const struct nunchi_diagnosis *diagnosis,
					     const char **ret_reason)
{
	*ret_reason = diagnosis->reason;
	return diagnosis->verdict;
}

const struct nunchi_finding *nunchi_diagnosis_finding(const struct nunchi_diagnosis *diagnosis,
						      size_t index)
{
	return index < diagnosis->finding_count ? &diagnosis->findings[index] : NULL;
}

const struct nunchi_change *nunchi_diagnosis_change(const struct nunchi_diagnosis *diagnosis,
						    size_t index)
{
	return index < diagnosis->change_count ? &diagnosis->changes[index] : NULL;
}

const struct nunchi_step *nunchi_diagnosis_step(const struct nunchi_diagnosis *diagnosis,
						size_t index)
{
	return index < diagnosis->step_count ? &diagnosis->steps[index] : NULL;
}

struct nunchi_host_fact nunchi_diagnosis_fact(const struct nunchi_diagnosis *diagnosis,
					      size_t index, bool *ret_is)
{
	const struct fact *fact;

	*ret_is = index < diagnosis->facts.count;
	if (!*ret_is)
		return (struct nunchi_host_fact){0};
	fact = &diagnosis->facts.all[index];
	return (struct nunchi_host_fact){.name = fact_name(fact->key),
					 .known = fact->known,
					 .value = fact->value,
					 .evidence = {.source = fact->source, .line = fact->line}};
}

const char *nunchi_diagnosis_warning(const struct nunchi_diagnosis *diagnosis, size_t index)
{
	return index < diagnosis->warning_count ? diagnosis->warnings[index] : NULL;
}
