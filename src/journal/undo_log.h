/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The undo log of one guest: a small file that says what was done to the guest and is not undone
 * yet. It is written before anything is done, and whoever survives undoes its entries in reverse
 * order: the process that wrote them, its guard (guard.h), or the next nunchi (undo.h).
 *
 * The file is text and only ever appended to:
 *
 *	nunchi undo log 1
 *	guest xen-1a2b3c4d-5-…
 *	owner 0123456789abcdef
 *	1 pause logged
 *	1 pause doing
 *	1 pause done
 *
 * "owner" is a random number that each process draws when it takes the log. A line "NUMBER TYPE
 * STATE [ARGUMENTS]" gives an entry its newest state. A last line without its newline was not
 * written completely and does not count. A type that this nunchi does not know (a newer one wrote
 * it) is never undone by guessing: the log is kept, and the user is told.
 *
 * Two locks on the file (open file description locks, so that each ends with the process that took
 * it, however it ends) say who looks after it: byte 0 is the owner's, byte 1 the guard's. A log of
 * which both are free was left behind. Process ids decide nothing. A child that the owner forked
 * shares the owner's lock, but never the guard's, so the guard acts whatever such a child does.
 *
 * Logs lie in /run/nunchi for root, else in $XDG_RUNTIME_DIR/nunchi or /tmp/nunchi-UID: always a
 * directory that belongs to the user and is closed to everybody else.
 */
#ifndef NUNCHI_JOURNAL_UNDO_LOG_H
#define NUNCHI_JOURNAL_UNDO_LOG_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNDO_LOG_PATH_MAX    512
#define UNDO_LOG_ENTRIES_MAX 32

/* Root's directory for logs. A program that is linked with the library's objects (a test) may
 * define its own. */
extern const char *const undo_log_root_directory;

struct undo_log;

enum undo_log_owner {
	UNDO_LOG_NONE, /* there is no log: nothing is to be undone */
	UNDO_LOG_LEFT, /* its owner and its guard are gone */
	UNDO_LOG_HELD, /* its owner or its guard is alive */
};

enum undo_type {
	UNDO_PAUSE,
	UNDO_UNKNOWN_TYPE, /* of a newer nunchi */
};

enum undo_state {
	UNDO_LOGGED,  /* to be done; not begun */
	UNDO_DOING,   /* it may have happened or not */
	UNDO_DONE,    /* to be undone */
	UNDO_UNDOING, /* it may have been undone or not */
	UNDO_UNDONE,
};

struct undo_entry {
	unsigned number;
	enum undo_type type;
	enum undo_state state;
};

/* What a log says: the entries that are not undone, oldest first. */
struct undo_entries {
	size_t count;
	unsigned next; /* the number for the next entry */
	struct undo_entry entries[UNDO_LOG_ENTRIES_MAX];
};

/*
 * Who looks after the log of guest. The key is of letters, digits, '-' and '_', and names one guest
 * and no later one, such as a process id with its start time.
 */
enum undo_log_owner undo_log_look(const char *guest);

/*
 * Takes the log of guest, to be its owner. Without `create`, *ret is NULL if there is none. A log
 * that was left behind keeps its entries. NUNCHI_ERROR_BUSY while another owner or guard is alive.
 */
struct nunchi_error *undo_log_take(const char *guest, bool create, struct undo_log **ret);

/*
 * For the guard: takes the log at path, if the owner that has this number still has it. 0, or an
 * errno: ESTALE where it is another's by now.
 */
int undo_log_take_as_guard(const char *path, uint64_t owner, struct undo_log **ret);

/* The file's path, and the number that this owner drew. */
const char *undo_log_path(const struct undo_log *log);
uint64_t undo_log_owner_number(const struct undo_log *log);
/* Whether the file is still where it was: somebody may have removed it by hand. */
bool undo_log_is_there(const struct undo_log *log);

/* Reads the entries: 0, or an errno (EBADMSG: not a log, EFBIG: more entries than are written). */
int undo_log_read(const struct undo_log *log, struct undo_entries *ret);
/* The state of one entry; UNDO_UNDONE if it is not in the log. */
enum undo_state undo_log_state(const struct undo_log *log, unsigned number);
/* Appends a line: the entry's new state. 0 or an errno. */
int undo_log_append(struct undo_log *log, unsigned number, enum undo_type type,
		    enum undo_state state);

/* Everything is undone: removes the file and frees. NULL is accepted. */
void undo_log_erase(struct undo_log *log);
/*
 * Everything that this owner did is undone, but not what was in the log before: takes this owner's
 * lines off its end, or a log of which one entry can never be decided would grow for ever. Unlocks
 * and frees. NULL is accepted.
 */
void undo_log_leave_older(struct undo_log *log);
/* Unlocks and frees, and leaves the file for the next nunchi. NULL is accepted. */
void undo_log_leave(struct undo_log *log);

#endif
