/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Says whether virtual machines of this host, or of the one that files are about, can be looked
 * into: doctor [FILE…]. C99 and C++.
 *
 *	cc doctor.c $(pkg-config --cflags --libs nunchi-doctor) -o doctor && ./doctor kernel.log
 */
#include <nunchi/doctor.h>

#include <stdio.h>
#include <string.h>

static int fail(struct nunchi_error *err)
{
	fprintf(stderr, "%s\n", nunchi_error_message(err));
	nunchi_error_destroy(err);
	return 1;
}

/* Text of a finding may quote a file: never print it as it is. */
static void print_escaped(const char *label, const char *text, size_t size)
{
	char line[400];

	nunchi_escape(text, size, line, sizeof(line));
	printf("%s: %s\n", label, line);
}

static size_t length(const char *text)
{
	size_t size = 0;

	while (text[size])
		size++;
	return size;
}

static void print_diagnosis(const struct nunchi_diagnosis *diagnosis)
{
	static const char *const verdicts[] = {"ready", "ready without a screen", "not ready",
					       "not known"};
	const struct nunchi_finding *finding;
	const char *reason;
	enum nunchi_verdict verdict = nunchi_diagnosis_verdict(diagnosis, &reason);

	print_escaped(verdicts[verdict], reason, length(reason));
	for (size_t i = 0; (finding = nunchi_diagnosis_finding(diagnosis, i)); i++)
		if (finding->weight != NUNCHI_WEIGHT_NOTE)
			print_escaped(finding->id, finding->meaning, length(finding->meaning));
}

int main(int argc, char **argv)
{
	struct nunchi_doctor_options options;
	struct nunchi_context *context = NULL;
	struct nunchi_diagnosis *diagnosis = NULL;
	struct nunchi_error *err = nunchi_context_create(0, &context);

	/* Members that a later version adds are 0, too. */
	memset(&options, 0, sizeof(options));
	options.size = sizeof(options);
	options.paths = (const char *const *)(argv + 1);
	options.path_count = (size_t)(argc - 1);
	if (!err)
		err = nunchi_doctor_examine(context, &options, &diagnosis);
	if (!err)
		print_diagnosis(diagnosis);
	nunchi_diagnosis_destroy(diagnosis);
	nunchi_context_destroy(context);
	return err ? fail(err) : 0;
}
