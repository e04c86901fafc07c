/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text that is translated: _("now") and, in tables, N_("when it is used"). */
#ifndef NUNCHI_DOCTOR_WORDS_H
#define NUNCHI_DOCTOR_WORDS_H

#include <libintl.h>

#define _(text)  dgettext("nunchi", text)
#define N_(text) text

#endif
