/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The trial boot. Nothing but dom0's command line starts its systemd unit, by name. The unit runs a
 * script that clears the one-shot boot once more, waits, saves the logs and reboots.
 */
#ifndef NUNCHI_DOCTOR_CHANGE_TRIAL_H
#define NUNCHI_DOCTOR_CHANGE_TRIAL_H

#include "core/buffer.h"

#define TRIAL_UNIT_NAME "nunchi-trial.service"
#define TRIAL_UNIT      "/etc/systemd/system/" TRIAL_UNIT_NAME
#define TRIAL_SCRIPT    "/var/lib/nunchi/doctor/trial.sh"
#define TRIAL_LOGS      "/var/lib/nunchi/doctor/trial"
/* There while a trial counts down: the seconds of uptime at which it ends. */
#define TRIAL_DEADLINE "/run/nunchi-trial.deadline"
/* Made by `nunchi doctor stay`. */
#define TRIAL_STAY "/run/nunchi-trial.stay"

#define TRIAL_MINUTES     10
#define TRIAL_MINUTES_MAX 1440

/*
 * What dom0's command line gets: the unit, and a reboot after a panic, which without it would
 * stand still (Linux, kernel/panic.c: panic=).
 */
#define TRIAL_ARGUMENTS "panic=30 systemd.wants=" TRIAL_UNIT_NAME

const char *trial_unit(void);
/* Appends the script's text. */
void trial_script(unsigned minutes, struct buffer *ret);

#endif
