/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef NUNCHI_TESTS_NOMEM_REPLAY_H
#define NUNCHI_TESTS_NOMEM_REPLAY_H

void own_code_ends_here(void);

#endif
