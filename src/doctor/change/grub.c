/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/change/grub.h"

#include "core/hash.h"
#include "doctor/facts/run.h"
#include "doctor/words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TOOL_SECONDS 60

/* The last line a tool said, for an error. */
static const char *last_line(struct buffer *messages)
{
	char *text = messages->data, *end;

	if (!text)
		return "";
	for (end = text + messages->size; end > text && (end[-1] == '\n' || end[-1] == ' ');)
		*--end = 0;
	text = strrchr(text, '\n');
	return text ? text + 1 : messages->data;
}

/* Runs a tool of the root that has to succeed. */
static struct nunchi_error *run(const struct root *root, const char *const *arguments,
				const struct buffer *input, const struct nunchi_context *context,
				struct buffer *ret)
{
	_cleanup_buffer_ struct buffer messages;
	const struct tool tool = {
	    .arguments = arguments,
	    .root = root,
	    .input = input ? buffer_string(input) : NULL,
	    .input_size = input ? input->size : 0,
	    .seconds = TOOL_SECONDS,
	    .context = context,
	};
	struct nunchi_error *err;
	int status;

	buffer_init(&messages, 0);
	err = tool_run(&tool, ret, &messages, &status);
	if (!err && status)
		err = error_create(NUNCHI_ERROR_IO, _("%s failed (%d): %s"), arguments[0], status,
				   last_line(&messages));
	return err;
}

struct nunchi_error *grub_check(const struct root *root, const struct buffer *config,
				const struct nunchi_context *context)
{
	static const char *const arguments[] = {"grub-script-check", NULL};
	_cleanup_buffer_ struct buffer output;

	buffer_init(&output, 0);
	return error_hint(error_context(run(root, arguments, config, context, &output),
					_("the generated grub.cfg is not sound")),
			  _("look at what the scripts in %s print: grub-mkconfig"), GRUB_SCRIPTS);
}

struct nunchi_error *grub_reboot(const struct root *root, const char *entry,
				 const struct nunchi_context *context)
{
	const char *const arguments[] = {"grub-reboot", entry, NULL};
	_cleanup_buffer_ struct buffer output;

	buffer_init(&output, 0);
	return run(root, arguments, NULL, context, &output);
}

/* ---- What grub.cfg is made from
 * -------------------------------------------------------------------- */

static bool is_config(const char *name)
{
	size_t length = strlen(name);

	return name[0] != '.' && length > 4 && !strcmp(name + length - 4, ".cfg");
}

static char *join(const char *directory, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", directory, name) < 0 ? NULL : path;
}

/* Calls the function with each file of /etc/default/grub.d but nunchi's own, sorted by name. */
static struct nunchi_error *
each_default(const struct root *root,
	     struct nunchi_error *(*call)(const char *path, const struct buffer *text, void *data),
	     void *data)
{
	_cleanup_root_names_ struct root_names names = {0};
	struct nunchi_error *err;

	err = root_list(root, GRUB_DEFAULTS_D, &names);
	for (size_t i = 0; i < names.count && !err; i++) {
		_cleanup_free_ char *path = join(GRUB_DEFAULTS_D, names.names[i]);
		_cleanup_buffer_ struct buffer text;
		bool exists;

		buffer_init(&text, 0);
		if (!is_config(names.names[i]) || !strcmp(names.names[i], GRUB_OWN_NAME))
			continue;
		err = path ? root_read(root, path, &text, &exists) : &error_nomem;
		if (!err && exists)
			err = call(path, &text, data);
	}
	return err;
}

static struct nunchi_error *read_one(const char *path, const struct buffer *text, void *vars)
{
	return grub_vars_read(vars, path, buffer_string(text), text->size);
}

struct nunchi_error *grub_read_vars(const struct root *root, struct grub_vars **ret)
{
	_cleanup_grub_vars_ struct grub_vars *vars = NULL;
	_cleanup_buffer_ struct buffer text;
	struct nunchi_error *err;
	bool exists;

	buffer_init(&text, 0);
	err = grub_vars_create(&vars);
	if (!err)
		err = root_read(root, GRUB_DEFAULTS, &text, &exists);
	if (!err && exists)
		err = read_one(GRUB_DEFAULTS, &text, vars);
	if (!err)
		err = each_default(root, read_one, vars);
	if (!err)
		*ret = no_cleanup_ptr(vars);
	return err;
}

static struct nunchi_error *print_one(const char *path, const struct buffer *text, void *data)
{
	buffer_printf(data, "%s %016" PRIx64 "\n", path,
		      hash_bytes(buffer_string(text), text->size));
	return NULL;
}

static struct nunchi_error *print_scripts(const struct root *root, struct buffer *out)
{
	_cleanup_root_names_ struct root_names names = {0};
	struct nunchi_error *err = root_list(root, GRUB_SCRIPTS, &names);

	for (size_t i = 0; i < names.count && !err; i++) {
		_cleanup_free_ char *path = join(GRUB_SCRIPTS, names.names[i]);
		_cleanup_buffer_ struct buffer text;
		struct stat st = {0};
		bool exists;

		buffer_init(&text, 0);
		if (!path)
			return &error_nomem;
		if (!root_stat(root, path, &st) || S_ISDIR(st.st_mode))
			continue;
		err = root_read(root, path, &text, &exists);
		if (err)
			break;
		buffer_printf(out, "%o ", (unsigned)st.st_mode & 0111);
		print_one(path, &text, out);
	}
	return err;
}

static struct nunchi_error *print_boot(const struct root *root, struct buffer *out)
{
	_cleanup_root_names_ struct root_names names = {0};
	struct nunchi_error *err = root_list(root, "/boot", &names);

	for (size_t i = 0; i < names.count && !err; i++) {
		_cleanup_free_ char *path = join("/boot", names.names[i]);
		struct stat st;

		if (!path)
			return &error_nomem;
		if (root_stat(root, path, &st) && S_ISREG(st.st_mode))
			buffer_printf(out, "%s %jd %jd\n", path, (intmax_t)st.st_size,
				      (intmax_t)st.st_mtime);
	}
	return err;
}

struct nunchi_error *grub_inputs(const struct root *root, uint64_t *ret)
{
	_cleanup_buffer_ struct buffer list, text;
	struct nunchi_error *err;
	bool exists;

	buffer_init(&list, 0);
	buffer_init(&text, 0);
	err = root_read(root, GRUB_DEFAULTS, &text, &exists);
	if (!err)
		err = print_one(GRUB_DEFAULTS, &text, &list);
	if (!err)
		err = each_default(root, print_one, &list);
	if (!err)
		err = print_scripts(root, &list);
	if (!err)
		err = print_boot(root, &list);
	if (err)
		return err;
	if (list.failed)
		return &error_nomem;
	*ret = hash_bytes(buffer_string(&list), list.size);
	return NULL;
}

/* ---- Writing of the environment -------------------------------------------------------------- */

/*
 * GRUB only reads these (Debian's 00_header, check_writable; file systems without block lists in
 * GRUB's save_env).
 */
const char *grub_no_write(const char *file_system, const char *abstractions)
{
	static const char *const file_systems[] = {"btrfs", "zfs",   "cpiofs",  "newc",
						   "odc",   "romfs", "squash4", "tarfs"};
	static const struct {
		const char *name, *reason;
	} layers[] = {{"lvm", "LVM"},
		      {"diskfilter", "RAID"},
		      {"mdraid", "RAID"},
		      {"dmraid", "RAID"},
		      {"raid", "RAID"},
		      {"cryptodisk", N_("an encrypted disk")},
		      {"luks", N_("an encrypted disk")}};

	for (size_t i = 0; i < ARRAY_SIZE(file_systems); i++)
		if (!strcmp(file_system, file_systems[i]))
			return file_systems[i];
	for (size_t i = 0; i < ARRAY_SIZE(layers); i++)
		if (strstr(abstractions, layers[i].name))
			return layers[i].reason;
	return NULL;
}

static struct nunchi_error *probe(const struct root *root, const char *target,
				  const struct nunchi_context *context, struct buffer *ret)
{
	const char *const arguments[] = {"grub-probe", target, "/boot/grub", NULL};
	struct nunchi_error *err = run(root, arguments, NULL, context, ret);

	if (err)
		return error_hint(
		    error_context(err, _("what /boot/grub lies on is not known, hence not "
					 "whether GRUB can clear a one-shot boot")),
		    _("do without --trial, and choose Xen in GRUB's menu by hand"));
	while (ret->size && ret->data[ret->size - 1] == '\n')
		ret->data[--ret->size] = 0;
	return NULL;
}

struct nunchi_error *grub_can_clear(const struct root *root, const struct nunchi_context *context)
{
	_cleanup_buffer_ struct buffer file_system, abstractions;
	struct nunchi_error *err;
	const char *reason;

	buffer_init(&file_system, 0);
	buffer_init(&abstractions, 0);
	err = probe(root, "--target=fs", context, &file_system);
	if (!err)
		err = probe(root, "--target=abstraction", context, &abstractions);
	if (err)
		return err;
	reason = grub_no_write(buffer_string(&file_system), buffer_string(&abstractions));
	if (!reason)
		return NULL;
	return error_hint(
	    error_create(
		NUNCHI_ERROR_UNSUPPORTED,
		_("no trial: /boot/grub/grubenv lies on %s, where GRUB cannot write: it would "
		  "never clear the one-shot, and boot Xen again and again"),
		_(reason)),
	    _("apply without --trial and choose Xen in GRUB's menu by hand, or put /boot on a "
	      "plain partition with ext4"));
}
