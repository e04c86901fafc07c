/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/change/plan.h"

#include "core/io.h"
#include "doctor/change/grub.h"
#include "doctor/change/grub_env.h"
#include "doctor/change/record.h"
#include "doctor/change/trial.h"
#include "doctor/facts/run.h"
#include "doctor/words.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

void plan_deinit(struct plan *plan)
{
	buffer_deinit(&plan->own);
	buffer_deinit(&plan->script);
	buffer_deinit(&plan->now);
	buffer_deinit(&plan->before);
	buffer_deinit(&plan->after);
	free(plan->entry);
	free(plan->was_default);
	free(plan->is_default);
	*plan = (struct plan){0};
}

static void plan_init(struct plan *plan, const struct plan_options *options)
{
	*plan = (struct plan){.trial = options->trial};
	buffer_init(&plan->own, 0);
	buffer_init(&plan->script, 0);
	buffer_init(&plan->now, ROOT_FILE_MAX);
	buffer_init(&plan->before, ROOT_FILE_MAX);
	buffer_init(&plan->after, ROOT_FILE_MAX);
}

/* ---- Menus compared -------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
	return !strcmp(a ? a : "", b ? b : "");
}

static bool same_entry(const struct grub_entry *a, const char *a_text, const struct grub_entry *b,
		       const char *b_text, bool by_text)
{
	if (by_text)
		return a->size == b->size && !memcmp(a_text + a->start, b_text + b->start, a->size);
	return same_text(a->kernel, b->kernel) && same_text(a->initrd, b->initrd) &&
	       same_text(a->kernel_arguments, b->kernel_arguments);
}

/* The next entry from *i on that is native: neither Xen's nor a submenu. */
static const struct grub_entry *next_native(const struct grub_menu *menu, size_t *i)
{
	while (*i < menu->count) {
		const struct grub_entry *entry = &menu->entries[(*i)++];

		if (!entry->xen && !entry->submenu)
			return entry;
	}
	return NULL;
}

bool plan_same_native(const struct grub_menu *a, const char *a_text, const struct grub_menu *b,
		      const char *b_text, bool by_text)
{
	size_t in_a = 0, in_b = 0;

	for (;;) {
		const struct grub_entry *of_a = next_native(a, &in_a),
					*of_b = next_native(b, &in_b);

		if (!of_a || !of_b)
			return !of_a && !of_b;
		if (!same_entry(of_a, a_text, of_b, b_text, by_text))
			return false;
	}
}

/* The entry that GRUB boots if its variable `default` has this value. */
static size_t entry_of(const struct grub_menu *menu, const char *value, const char *saved_entry)
{
	if (!strcmp(value, "${saved_entry}") || !strcmp(value, "$saved_entry"))
		value = saved_entry ? saved_entry : "";
	return grub_menu_find(menu, value);
}

size_t plan_default_xen(const struct grub_menu *menu, const char *saved_entry)
{
	for (size_t i = 0; i < menu->default_count; i++) {
		size_t entry = entry_of(menu, menu->defaults[i], saved_entry);

		if (entry != GRUB_MENU_NONE && menu->entries[entry].xen)
			return entry;
	}
	return GRUB_MENU_NONE;
}

/* The title of what boots by default, to be freed. */
static char *default_title(const struct grub_menu *menu, const char *saved_entry)
{
	size_t entry = plan_default_xen(menu, saved_entry);

	if (entry == GRUB_MENU_NONE)
		entry = entry_of(menu, menu->default_count ? menu->defaults[0] : "", saved_entry);
	return strdup(entry == GRUB_MENU_NONE ? "nothing" : menu->entries[entry].title);
}

/* ---- What must hold -------------------------------------------------------------------------- */

static struct nunchi_error *check_word(const struct grub_entry *entry, const char *arguments,
				       const char *word, bool wanted)
{
	size_t length = strlen(word);
	bool have = grub_arguments_have(arguments, word);

	/* "name=" stands for any value of it. */
	for (const char *at = arguments; word[length - 1] == '=' && (at = strstr(at, word)); at++)
		have |= at == arguments || at[-1] == ' ';
	if (have == wanted)
		return NULL;
	if (wanted)
		return error_hint(
		    error_create(NUNCHI_ERROR_DATA, _("the entry \"%s\" would lack \"%s\""),
				 entry->title, word),
		    _("a file of /etc/default/grub.d that comes after ours, or a script "
		      "of /etc/grub.d, leaves it out"));
	return error_hint(error_create(NUNCHI_ERROR_DATA,
				       _("the entry \"%s\" would still have \"%s\""), entry->title,
				       word),
			  _("take it out of /etc/default/grub and its grub.d by hand: it stands "
			    "where it cannot be told from the rest"));
}

static struct nunchi_error *check_words(const struct grub_entry *entry, const char *arguments,
					const char *const *words, bool wanted)
{
	struct nunchi_error *err = NULL;

	for (; *words && !err; words++)
		err = check_word(entry, arguments ? arguments : "", *words, wanted);
	return err;
}

static struct nunchi_error *check_xen(const struct grub_menu *menu,
				      const struct plan_options *options, char **ret_name)
{
	static const char *const of_trial[] = {"systemd.wants=" TRIAL_UNIT_NAME, NULL};
	size_t at = grub_menu_first_xen(menu);
	const struct grub_entry *entry = &menu->entries[at];
	struct nunchi_error *err;

	if (at == GRUB_MENU_NONE)
		return error_hint(
		    error_create(NUNCHI_ERROR_NOT_FOUND, _("GRUB has no entry that boots Xen")),
		    _("install it: apt-get install xen-system-amd64"));
	err = check_words(entry, entry->xen_arguments, options->remedy.xen, true);
	if (!err)
		err = check_words(entry, entry->kernel_arguments, options->remedy.dom0, true);
	if (!err)
		err = check_words(entry, entry->kernel_arguments, options->remedy.dom0_drop, false);
	if (!err && options->trial)
		err = check_words(entry, entry->kernel_arguments, of_trial, true);
	if (err)
		return err;
	*ret_name = grub_menu_name(menu, at);
	if (!*ret_name)
		return &error_nomem;
	if (grub_menu_find(menu, *ret_name) != at)
		return error_create(NUNCHI_ERROR_AMBIGUOUS,
				    _("GRUB has several entries that are called \"%s\""),
				    *ret_name);
	return NULL;
}

static struct nunchi_error *check_native(const struct plan *plan, const struct grub_menu *now,
					 const struct grub_menu *before,
					 const struct grub_menu *after, const char *saved_entry)
{
	size_t xen;

	if (!plan_same_native(now, plan->now.data, before, plan->before.data, false))
		return error_hint(
		    error_create(NUNCHI_ERROR_DATA,
				 _("grub.cfg is not what its sources make today, so a new "
				   "one would change the native boot too")),
		    _("run update-grub, boot once to see that it works, then come back"));
	if (!plan_same_native(before, plan->before.data, after, plan->after.data, true))
		return error_create(NUNCHI_ERROR_DATA,
				    _("the boot entries without Xen would change, which apply "
				      "never does"));
	xen = plan_default_xen(after, saved_entry);
	if (xen != GRUB_MENU_NONE)
		return error_hint(error_create(NUNCHI_ERROR_DATA,
					       _("Xen's entry \"%s\" would be the default"),
					       after->entries[xen].title),
				  _("set GRUB_DEFAULT in /etc/default/grub to a native entry; "
				    "where it is \"saved\": grub-set-default 0"));
	return NULL;
}

/* Whether the one-shot boot that is set was set by an earlier apply of nunchi, which may replace
 * it. */
static bool set_by_us(const struct root *root, const struct plan *plan, const char *next_entry)
{
	return record_exists(root) && !strcmp(next_entry, plan->entry);
}

static struct nunchi_error *check_trial(const struct root *root, const struct plan *plan,
					const struct grub_menu *after, const char *next_entry,
					const struct nunchi_context *context)
{
	if (!after->one_shot)
		return error_hint(
		    error_create(NUNCHI_ERROR_UNSUPPORTED,
				 _("no trial: this grub.cfg does not know one-shot boots")),
		    _("do without --trial, and choose Xen in GRUB's menu by hand"));
	if (next_entry && *next_entry && !set_by_us(root, plan, next_entry))
		return error_hint(
		    error_create(NUNCHI_ERROR_BUSY,
				 _("no trial: the next boot is already set to be \"%s\""),
				 next_entry),
		    "grub-editenv /boot/grub/grubenv unset next_entry");
	return grub_can_clear(root, context);
}

/*
 * Compares three menus (grub.cfg as it is, as GRUB's scripts make it without nunchi's file, and
 * with it), and what GRUB's environment block says.
 */
static struct nunchi_error *prove(const struct root *root, const struct plan_options *options,
				  struct plan *plan)
{
	_cleanup_grub_menu_ struct grub_menu now = {0}, before = {0}, after = {0};
	_cleanup_free_ char *saved_entry = NULL, *next_entry = NULL;
	_cleanup_buffer_ struct buffer env;
	struct nunchi_error *err;
	bool exists;

	buffer_init(&env, 0);
	err = root_read(root, GRUB_ENV, &env, &exists);
	if (!err && exists) {
		saved_entry = grub_env_get(env.data, env.size, "saved_entry");
		next_entry = grub_env_get(env.data, env.size, "next_entry");
	}
	if (!err)
		err = grub_menu_parse(plan->now.data, plan->now.size, &now);
	if (!err)
		err = grub_menu_parse(plan->before.data, plan->before.size, &before);
	if (!err)
		err = grub_menu_parse(plan->after.data, plan->after.size, &after);
	if (!err)
		err = check_xen(&after, options, &plan->entry);
	if (!err)
		err = check_native(plan, &now, &before, &after, saved_entry);
	if (!err && options->trial)
		err = check_trial(root, plan, &after, next_entry, options->context);
	if (!err)
		err = grub_check(root, &plan->after, options->context);
	if (err)
		return err;
	plan->was_default = default_title(&now, saved_entry);
	plan->is_default = default_title(&after, saved_entry);
	return plan->was_default && plan->is_default ? NULL : &error_nomem;
}

/* ---- Making it ------------------------------------------------------------------------------- */

static struct nunchi_error *read_now(const struct root *root, bool generate, struct plan *plan)
{
	struct nunchi_error *err;
	struct stat st;
	bool exists = true;

	/* Only root may read it on some systems; it is needed only to compare generated menus with
	 * it. */
	if (generate) {
		err = root_read(root, GRUB_CFG, &plan->now, &exists);
		if (err)
			return err;
	}
	if (!exists || !root_stat(root, GRUB_CFG, &st))
		return error_hint(
		    error_create(NUNCHI_ERROR_NOT_FOUND,
				 _("there is no %s: this system is not booted by GRUB, or keeps it "
				   "elsewhere"),
				 GRUB_CFG),
		    _("with another boot loader, add Xen's entry by hand: docs/doctor.md"));
	if (!root_stat(root, GRUB_DEFAULTS_D, &st) || !S_ISDIR(st.st_mode))
		return error_hint(
		    error_create(NUNCHI_ERROR_UNSUPPORTED,
				 _("there is no %s: this GRUB is not Debian's or Ubuntu's"),
				 GRUB_DEFAULTS_D),
		    _("set the variables that \"nunchi doctor\" names by hand"));
	if (!record_exists(root) && root_stat(root, GRUB_OWN, &st))
		return error_hint(error_create(NUNCHI_ERROR_BUSY,
					       _("%s is there, but not from an apply we know of"),
					       GRUB_OWN),
				  _("look at it and remove it"));
	return NULL;
}

static struct nunchi_error *generate_both(const struct root *root,
					  const struct plan_options *options, struct plan *plan)
{
	struct nunchi_error *err;
	uint64_t inputs;

	err = grub_inputs(root, &plan->inputs);
	if (!err)
		err = grub_generate(root, NULL, options->context, &plan->before);
	if (!err)
		err = grub_generate(root, plan->own.data, options->context, &plan->after);
	if (!err)
		err = grub_inputs(root, &inputs);
	if (!err && inputs != plan->inputs)
		err = error_hint(
		    error_create(NUNCHI_ERROR_BUSY, _("GRUB's configuration changed while we "
						      "looked at it")),
		    _("wait until what changes it (a package installation?) is done"));
	plan->generated = !err;
	return err;
}

struct nunchi_error *plan_make(const struct root *root, const struct plan_options *options,
			       bool generate, struct plan *ret)
{
	_cleanup_grub_vars_ struct grub_vars *vars = NULL;
	_cleanup_plan_ struct plan plan;
	struct nunchi_error *err;

	plan_init(&plan, options);
	err = read_now(root, generate, &plan);
	if (!err)
		err = grub_read_vars(root, &vars);
	if (err)
		return err;
	plan_write_own(vars, options, &plan.own);
	if (options->trial)
		trial_script(options->minutes, &plan.script);
	if (plan.own.failed || plan.script.failed)
		return &error_nomem;
	if (generate)
		err = generate_both(root, options, &plan);
	if (!err && generate)
		err = prove(root, options, &plan);
	if (err)
		return err;
	*ret = plan;
	plan = (struct plan){0};
	return NULL;
}

/* ---- Showing it ------------------------------------------------------------------------------ */

/* A file of memory with the text, and its path for a child that inherits it. */
static int text_file(const char *data, size_t size, char *path, size_t path_size)
{
	_cleanup_close_ int fd = memfd_create("nunchi", 0);

	/* diff opens it by its path, and so reads it from its beginning. */
	if (fd < 0 || io_write_full(fd, data, size))
		return -1;
	snprintf(path, path_size, "/proc/self/fd/%d", fd);
	return no_cleanup_fd(fd);
}

/* diff -u of two texts, under the file's name; old is NULL where there is no file. */
static struct nunchi_error *diff(const char *label, const struct buffer *old,
				 const struct buffer *new, const struct nunchi_context *context,
				 struct buffer *ret)
{
	char old_path[64] = "/dev/null", new_path[64];
	_cleanup_close_ int old_fd =
	    old ? text_file(old->data, old->size, old_path, sizeof(old_path)) : -1;
	_cleanup_close_ int new_fd = text_file(new->data, new->size, new_path, sizeof(new_path));
	const char *const arguments[] = {"diff",    "-u",  "--label", old ? label : "/dev/null",
					 "--label", label, old_path,  new_path,
					 NULL};
	_cleanup_buffer_ struct buffer output, messages;
	struct root system = {.fd = -1, .is_system = true};
	const struct tool tool = {
	    .arguments = arguments, .root = &system, .seconds = 60, .context = context};
	struct nunchi_error *err;
	int status;

	buffer_init(&output, 0);
	buffer_init(&messages, 0);
	if (new_fd < 0 || (old && old_fd < 0))
		return error_create(NUNCHI_ERROR_IO, _("no file in memory for diff"));
	err = tool_run(&tool, &output, &messages, &status);
	if (!err && status > 1)
		err = error_create(NUNCHI_ERROR_IO, _("diff failed: %s"), buffer_string(&messages));
	if (!err)
		buffer_append(ret, buffer_string(&output), output.size);
	return err;
}

static struct nunchi_error *diff_file(const struct root *root, const char *path,
				      const struct buffer *old, const struct buffer *new,
				      const struct nunchi_context *context, struct buffer *ret)
{
	_cleanup_free_ char *label = root_name(root, path);

	return label ? diff(label, old, new, context, ret) : &error_nomem;
}

/* The same for a file that nunchi writes, which an earlier apply may have left. */
static struct nunchi_error *diff_own(const struct root *root, const char *path,
				     const struct buffer *new, const struct nunchi_context *context,
				     struct buffer *ret)
{
	_cleanup_buffer_ struct buffer old;
	struct nunchi_error *err;
	bool exists;

	buffer_init(&old, 0);
	err = root_read(root, path, &old, &exists);
	return err ? err : diff_file(root, path, exists ? &old : NULL, new, context, ret);
}

struct nunchi_error *plan_diff(const struct root *root, const struct plan *plan,
			       const struct nunchi_context *context, struct buffer *ret)
{
	_cleanup_buffer_ struct buffer unit;
	struct nunchi_error *err;

	buffer_init(&unit, 0);
	buffer_append_string(&unit, trial_unit());
	err = diff_own(root, GRUB_OWN, &plan->own, context, ret);
	if (!err && plan->trial)
		err = diff_own(root, TRIAL_UNIT, &unit, context, ret);
	if (!err && plan->trial)
		err = diff_own(root, TRIAL_SCRIPT, &plan->script, context, ret);
	if (!err && plan->generated)
		err = diff_file(root, GRUB_CFG, &plan->now, &plan->after, context, ret);
	return err;
}
