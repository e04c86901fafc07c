/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The text of our file of defaults. */
#include "doctor/change/plan.h"
#include "doctor/change/trial.h"

#include <string.h>

static bool dropped(const char *word, size_t length, const char *const *drop)
{
	for (; *drop; drop++) {
		size_t size = strlen(*drop);

		if ((*drop)[size - 1] == '=' ? length >= size && !memcmp(word, *drop, size)
					     : length == size && !memcmp(word, *drop, size))
			return true;
	}
	return false;
}

/* The words of value but for those to be dropped; says whether there were such. */
static bool filter(const char *value, const char *const *drop, struct buffer *ret)
{
	bool any = false;

	while (*value) {
		size_t length = strcspn(value, " \t\n");

		if (length && dropped(value, length, drop)) {
			any = true;
		} else if (length) {
			buffer_printf(ret, "%s%.*s", ret->size ? " " : "", (int)length, value);
		}
		value += length;
		value += strspn(value, " \t\n");
	}
	return any;
}

/* Within double quotes of the shell. */
static void append_quoted(struct buffer *out, const char *text)
{
	for (; *text; text++) {
		if (strchr("$`\"\\", *text))
			buffer_append_char(out, '\\');
		buffer_append_char(out, *text);
	}
}

/* Between two words: not where the value only begins. */
static void append_blank(struct buffer *out)
{
	if (out->size < 2 || memcmp(out->data + out->size - 2, "=\"", 2))
		buffer_append_char(out, ' ');
}

static void append_words(struct buffer *out, const char *const *words)
{
	for (; *words; words++) {
		append_blank(out);
		append_quoted(out, *words);
	}
}

static const char *exact_value(const struct grub_vars *vars, const char *name, bool *exact)
{
	const struct grub_var *var = grub_vars_find(vars, name);

	if (grub_vars_opaque(vars, &(unsigned){0}) || (var && !var->exact))
		*exact = false;
	return var ? var->value : "";
}

/*
 * dom0's words of one variable. What has to go is left out of the value as the files have it now;
 * where nothing has to, the variable is referred to and so follows later changes. The replacement
 * is not taken when it is empty, so it never is.
 */
static void write_dom0(const struct grub_vars *vars, const char *name, const char *replacement,
		       const struct plan_options *options, bool gets_more, struct buffer *ret)
{
	_cleanup_buffer_ struct buffer rest;
	const char *value;
	bool exact = true, any;

	buffer_init(&rest, 0);
	value = exact_value(vars, replacement, &exact);
	if (!*value)
		value = exact_value(vars, name, &exact);
	any = filter(value, options->remedy.dom0_drop, &rest) && exact;
	gets_more &= options->trial || options->remedy.dom0[0];
	if (!any && !gets_more)
		return;
	buffer_printf(ret, "%s=\"", replacement);
	if (any)
		append_quoted(ret, rest.size || gets_more ? buffer_string(&rest) : "nunchi.dom0=1");
	else
		buffer_printf(ret, "${%s:-$%s}", replacement, name);
	if (gets_more) {
		append_words(ret, options->remedy.dom0);
		if (options->trial) {
			append_blank(ret);
			buffer_append_string(ret, TRIAL_ARGUMENTS);
		}
	}
	buffer_append_string(ret, "\"\n");
}

void plan_write_own(const struct grub_vars *vars, const struct plan_options *options,
		    struct buffer *ret)
{
	buffer_append_string(
	    ret, "# Written by \"nunchi doctor apply\"; \"nunchi doctor undo\" removes it.\n"
		 "# The native system stays the default (Debian's xen.cfg would make it Xen).\n"
		 "XEN_OVERRIDE_GRUB_DEFAULT=0\n");
	if (options->remedy.xen[0]) {
		buffer_append_string(ret, "# Xen's entries alone: the hypervisor's options,\n"
					  "GRUB_CMDLINE_XEN_DEFAULT=\"$GRUB_CMDLINE_XEN_DEFAULT");
		append_words(ret, options->remedy.xen);
		buffer_append_string(ret, "\"\n");
	}
	buffer_append_string(ret, "# Xen's entries alone: the options of dom0's kernel.\n");
	write_dom0(vars, "GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_XEN_REPLACE", options, false,
		   ret);
	write_dom0(vars, "GRUB_CMDLINE_LINUX_DEFAULT", "GRUB_CMDLINE_LINUX_XEN_REPLACE_DEFAULT",
		   options, true, ret);
	if (options->trial)
		buffer_append_string(
		    ret, "# During a trial the menu can be seen, should a boot go wrong.\n"
			 "GRUB_TIMEOUT_STYLE=menu\n"
			 "case \"$GRUB_TIMEOUT\" in [0-4]) GRUB_TIMEOUT=5 ;; esac\n");
}
