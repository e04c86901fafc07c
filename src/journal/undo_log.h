/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The undo log of one guest: a small file that says what was done to the guest and is not undone
 * yet. An entry is written before anything is done. Whoever survives undoes the entries in reverse
 * order: the process that wrote them, its guard (guard.h), or the next nunchi (undo.h).
 *
 * The file is text, and is only appended to:
 *
 *	nunchi undo log 1
 *	guest xen-1a2b3c4d-5-…
 *	owner 0123456789abcdef
 *	1 pause logged
 *	1 pause doing
 *	1 pause done ran 123456789
 *	patch 81a3f 1904 0f1f440000
 *	restored 81a3f 1904
 *
 * "owner" is a random number that each process draws when it takes the log. A line "NUMBER TYPE
 * STATE [ARGUMENTS]" sets the newest state of an entry. "ran" is the CPU time, in nanoseconds, that
 * the guest had used then: if it has used more, somebody has resumed it. A last line without a
 * newline was not written completely and is ignored. "patch" says what a breakpoint is about to be
 * written over: the frame and the offset in it, in hexadecimal, and the bytes there, of which it
 * replaces the first; "restored", that the byte is back. An entry of a type that this nunchi does
 *not know (a newer one wrote it) is not undone: the log is kept, and the user is told.
 *
 * Two locks on the file say whether somebody looks after it: byte 0 is locked by the owner, byte 1
 * by the guard. They are open file description locks and end with the process that took them,
 * however it ends. If both are free, the log was left behind. Process ids are not used. A child
 * that the owner forked shares the owner's lock, but not the guard's, so the guard can act whatever
 * such a child does.
 *
 * Logs are in /run/nunchi for root, otherwise in $XDG_RUNTIME_DIR/nunchi or /tmp/nunchi-UID; the
 * directory must belong to the user and be closed to everybody else. It is opened once for each log
 * that is taken, its owner and mode are checked by fstat(), and the log is opened, compared and
 * removed by that descriptor alone; the guard does the same. A log that others could have written
 * is refused.
 */
#ifndef NUNCHI_JOURNAL_UNDO_LOG_H
#define NUNCHI_JOURNAL_UNDO_LOG_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNDO_LOG_PATH_MAX    512
#define UNDO_LOG_ENTRIES_MAX 32
#define UNDO_KEY_MAX         100 /* size of a key, with its end */

/*
 * The directory for logs of root. A program that is linked with the library's objects (a test) may
 * define this variable itself.
 */
extern const char *const undo_log_root_directory;

struct undo_log;

enum undo_log_owner {
	UNDO_LOG_NONE, /* there is no log, so nothing has to be undone */
	UNDO_LOG_LEFT, /* the owner and the guard are gone */
	UNDO_LOG_HELD, /* the owner or the guard is alive */
};

enum undo_type {
	UNDO_PAUSE,
	UNDO_STUB,         /* a gdb stub of QEMU is open, with breakpoints in the guest, maybe */
	UNDO_EVENTS,       /* a domain of Xen has an event ring, with breakpoints in it, maybe */
	UNDO_UNKNOWN_TYPE, /* written by a newer nunchi */
};

enum undo_state {
	UNDO_LOGGED,  /* will be done, not begun yet */
	UNDO_DOING,   /* may have been done or not */
	UNDO_DONE,    /* done, has to be undone */
	UNDO_UNDOING, /* may have been undone or not */
	UNDO_UNDONE,
};

struct undo_entry {
	unsigned number;
	enum undo_type type;
	enum undo_state state;
	bool has_ran;
	uint64_t ran; /* CPU time of the guest in nanoseconds, from the newest line that tells it */
};

/* A byte of the guest's memory that a breakpoint replaces. */
#define UNDO_PATCH_BYTES 8
#define UNDO_PATCH_PAGE  4096
struct undo_patch {
	uint64_t frame;
	uint16_t offset; /* in the page of that frame */
	uint8_t size;    /* of `bytes`, at least 1, within the page */
	/* As they were. A place where the others have changed is another's by now. */
	uint8_t bytes[UNDO_PATCH_BYTES];
};
#define UNDO_PATCHES_MAX 512

/* The content of a log: the entries that are not undone, the oldest first. */
struct undo_entries {
	size_t count;
	unsigned next; /* the number for the next entry */
	struct undo_entry entries[UNDO_LOG_ENTRIES_MAX];
};

/*
 * Finds out who looks after the log of a guest. The key `guest` has letters, digits, '-' and '_'
 * only, and identifies one guest and no later one (for example by process id and start time).
 */
enum undo_log_owner undo_log_look(const char *guest);

/*
 * Takes the log of a guest, as its owner. If there is none and `create` is false, *ret is NULL. A
 * log that was left behind keeps its entries. NUNCHI_ERROR_BUSY while another owner or guard is
 * alive.
 */
struct nunchi_error *undo_log_take(const char *guest, bool create, struct undo_log **ret);

/*
 * Takes, or creates, the log of a guest in the directory of another log. Unlike undo_log_take() it
 * does not need the environment, which the guard has none of.
 */
struct nunchi_error *undo_log_take_beside(const struct undo_log *other, const char *guest,
					  struct undo_log **ret);

/*
 * For the guard: takes the log at path if the owner with this number still has it. Returns 0 or an
 * errno: ESTALE if the log has another owner.
 */
int undo_log_take_as_guard(const char *path, uint64_t owner, struct undo_log **ret);

/* The file's path, and the number that this owner drew. */
const char *undo_log_path(const struct undo_log *log);
uint64_t undo_log_owner_number(const struct undo_log *log);
/* Whether the file is still there; somebody may have removed it. */
bool undo_log_is_there(const struct undo_log *log);

/*
 * Reads the entries. Returns 0 or an errno: EBADMSG if the file is not a log, EFBIG if there are
 * more entries than nunchi writes.
 */
int undo_log_read(const struct undo_log *log, struct undo_entries *ret);
/* Reads one entry; UNDO_UNDONE if it is not in the log, UNDO_DOING if the log cannot be read. */
struct undo_entry undo_log_entry(const struct undo_log *log, unsigned number);
/* The state of that entry. */
enum undo_state undo_log_state(const struct undo_log *log, unsigned number);
/* Appends a line with the new state of an entry. Returns 0 or an errno. */
int undo_log_append(struct undo_log *log, unsigned number, enum undo_type type,
		    enum undo_state state);
/* Does the same with the CPU time that the guest has used; ran is NULL if that is unknown. */
int undo_log_append_ran(struct undo_log *log, unsigned number, enum undo_type type,
			enum undo_state state, const uint64_t *ran);

/*
 * Notes a byte that is about to be replaced (made), or that was written back. Returns 0 or an
 * errno: EFBIG if the log has no room for one more that is to be replaced.
 */
int undo_log_append_patch(struct undo_log *log, const struct undo_patch *patch, bool made);
/*
 * Gets the bytes that were not written back, at most UNDO_PATCHES_MAX. Returns 0 or an errno, as
 * undo_log_read().
 */
int undo_log_patches(const struct undo_log *log, struct undo_patch *ret, size_t *ret_count);

/*
 * Removes the logs that nobody looks after and of which is_dead() says that their guest is gone;
 * `guest` is the key.
 */
void undo_log_sweep(bool (*is_dead)(void *data, const char *guest), void *data);

/* Removes the file and frees the object. For use when everything is undone. NULL is accepted. */
void undo_log_erase(struct undo_log *log);
/*
 * For use when everything of this owner is undone, but not what was in the log before. Removes the
 * lines of this owner from the end, unless it wrote bytes back; otherwise a log with an entry that
 * can never be decided would grow for ever. Unlocks the log and frees the object. NULL is accepted.
 */
void undo_log_leave_older(struct undo_log *log);
/* Unlocks the log and frees the object; the file is left for the next nunchi. NULL is accepted. */
void undo_log_leave(struct undo_log *log);

#endif
