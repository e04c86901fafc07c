/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The order of a diagnosis. */
#include "doctor/verdict/diagnosis.h"

#include "doctor/facts/bundle.h"
#include "doctor/facts/host.h"
#include "doctor/facts/unpack.h"
#include "doctor/verdict/checks.h"
#include "doctor/verdict/sources.h"
#include "doctor/words.h"

#include <sys/stat.h>

static struct nunchi_error *create(const struct nunchi_context *context,
				   struct nunchi_diagnosis **ret)
{
	_cleanup_diagnosis_ struct nunchi_diagnosis *diagnosis = calloc(1, sizeof(*diagnosis));
	struct nunchi_error *err;

	if (!diagnosis)
		return &error_nomem;
	facts_init(&diagnosis->facts);
	settings_init(&diagnosis->settings);
	diagnosis->context = context;
	if (!story_init(&diagnosis->story))
		return &error_nomem;
	err = scan_init(&diagnosis->scan);
	if (error_is(err, NUNCHI_ERROR_UNSUPPORTED)) {
		const char *hint = nunchi_error_hint(err);

		diagnosis_warn(diagnosis,
			       diagnosis_format(diagnosis, "%s%s%s", nunchi_error_message(err),
						hint ? "; " : "", hint ? hint : ""));
		nunchi_error_destroy(err);
		err = NULL;
	}
	if (!err)
		*ret = no_cleanup_ptr(diagnosis);
	return err;
}

/* Of the running host, of one under a directory, or of a bundle. */
static struct nunchi_error *look_at_host(struct nunchi_diagnosis *diagnosis)
{
	diagnosis->host = true;
	host_collect(diagnosis->tree, &diagnosis->facts);
	host_collect_settings(diagnosis->tree, &diagnosis->facts, &diagnosis->settings);
	return sources_host(diagnosis);
}

static bool is_directory(const char *path)
{
	struct stat status;

	return !stat(path, &status) && S_ISDIR(status.st_mode);
}

static struct nunchi_error *look_at_path(struct nunchi_diagnosis *diagnosis, const char *path)
{
	bool directory = is_directory(path);
	struct nunchi_error *err;

	/* A log may be packed as a bundle is. */
	if (!directory && (!bundle_is(path) || unpack_is_text(path)))
		return sources_file(diagnosis, path);
	if (diagnosis->tree)
		return error_create(NUNCHI_ERROR_ARGUMENT,
				    "%s: a second host; look at one at a time", path);
	err = directory ? tree_open(path, diagnosis->context, &diagnosis->tree)
			: bundle_read(path, &diagnosis->tree);
	return err ? err : look_at_host(diagnosis);
}

static struct nunchi_error *judge_all(struct nunchi_diagnosis *diagnosis)
{
	struct nunchi_error *err = NULL;

	/* The conditions ask it for files. */
	if (!diagnosis->tree)
		err = tree_create_empty(&diagnosis->tree);
	if (err)
		return err;
	findings_of_rules(diagnosis);
	findings_of_checks(diagnosis);
	findings_of_story(diagnosis);
	findings_checklist(diagnosis);
	findings_verdict(diagnosis);
	if (diagnosis->failed || diagnosis->settings.failed || diagnosis->scan.failed ||
	    diagnosis->story.failed || diagnosis->facts.no_memory)
		return &error_nomem;
	if (diagnosis->dropped)
		diagnosis_warn(diagnosis, diagnosis_format(diagnosis,
							   _("%u findings, changes and steps more "
							     "than are kept are left out"),
							   diagnosis->dropped));
	if (diagnosis->facts.too_many)
		diagnosis_warn(diagnosis, _("there are more facts than are kept"));
	return NULL;
}

struct nunchi_error *doctor_examine(const char *root, const char *const *paths, size_t path_count,
				    const struct nunchi_context *context,
				    struct nunchi_diagnosis **ret)
{
	_cleanup_diagnosis_ struct nunchi_diagnosis *diagnosis = NULL;
	struct nunchi_error *err = create(context, &diagnosis);

	if (!err && !path_count)
		err = tree_open(root, context, &diagnosis->tree);
	if (!err && !path_count)
		err = look_at_host(diagnosis);
	for (size_t i = 0; !err && i < path_count; i++)
		err = look_at_path(diagnosis, paths[i]);
	if (!err)
		err = judge_all(diagnosis);
	if (!err)
		*ret = no_cleanup_ptr(diagnosis);
	return err;
}

/* A diagnosis asks for all that it needs; that is what the bundle has. */
struct nunchi_error *doctor_collect(
    const char *root, bool anonymous, const struct nunchi_context *context, const char *path,
    void (*took)(const char *name, uint64_t size, const char *why, void *data), void *data)
{
	_cleanup_diagnosis_ struct nunchi_diagnosis *diagnosis = NULL;
	struct nunchi_error *err = doctor_examine(root, NULL, 0, context, &diagnosis);

	return err ? err : bundle_write(diagnosis->tree, path, anonymous, context, took, data);
}
