/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The GRUB of a root: what its own scripts make of its configuration, and what it can do. Places as
 * in Debian and Ubuntu.
 */
#ifndef NUNCHI_DOCTOR_CHANGE_GRUB_H
#define NUNCHI_DOCTOR_CHANGE_GRUB_H

#include "core/buffer.h"
#include "core/error.h"
#include "doctor/facts/grub_vars.h"
#include "doctor/facts/root.h"

#define GRUB_DEFAULTS   "/etc/default/grub"
#define GRUB_DEFAULTS_D "/etc/default/grub.d"
#define GRUB_SCRIPTS    "/etc/grub.d"
#define GRUB_CFG        "/boot/grub/grub.cfg"
#define GRUB_ENV        "/boot/grub/grubenv"

/*
 * Our file among the defaults. It stands before xen.cfg of Debian's xen-hypervisor-common, which
 * makes Xen the default unless a file before it sets XEN_OVERRIDE_GRUB_DEFAULT.
 */
#define GRUB_OWN_NAME "nunchi.cfg"
#define GRUB_OWN      GRUB_DEFAULTS_D "/" GRUB_OWN_NAME

/*
 * What grub-mkconfig would write into grub.cfg if our file held this text, or were not there
 * (NULL). Changes nothing: it runs in a mount namespace of its own, where the directory of our file
 * is another. Needs CAP_SYS_ADMIN. ret must be initialised.
 */
struct nunchi_error *grub_generate(const struct root *root, const char *own,
				   const struct nunchi_context *context, struct buffer *ret);
/* grub-script-check; an error says what it found. */
struct nunchi_error *grub_check(const struct root *root, const struct buffer *config,
				const struct nunchi_context *context);
/*
 * A fingerprint of what grub.cfg is made from, our file left out: the defaults and scripts by
 * content, /boot by names, sizes and times.
 */
struct nunchi_error *grub_inputs(const struct root *root, uint64_t *ret);
/* The variables that the defaults set, our file left out. */
struct nunchi_error *grub_read_vars(const struct root *root, struct grub_vars **ret);

/*
 * Whether GRUB can write its environment block where it lies, asked of grub-probe. An error says
 * why it cannot: then a one-shot boot would never be cleared.
 */
struct nunchi_error *grub_can_clear(const struct root *root, const struct nunchi_context *context);
/* The reason why GRUB cannot write to this file system or abstraction; NULL if it can. */
const char *grub_no_write(const char *file_system, const char *abstractions);
/* Sets the entry to boot once, by grub-reboot. */
struct nunchi_error *grub_reboot(const struct root *root, const char *entry,
				 const struct nunchi_context *context);

#endif
