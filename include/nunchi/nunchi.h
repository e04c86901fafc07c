/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nunchi: look into running virtual machines and saved guests from outside.
 *
 * This is the only public header of libnunchi. It compiles as C99 and as C++. Guest addresses are
 * uint64_t.
 *
 * Threads: a context, its guests and everything opened from a guest are not locked. Use one guest,
 * with its session and cursors, in one thread at a time; different guests, also of one context, may
 * be used by different threads at the same time. nunchi_context_cancel(), nunchi_guest_cancel() and
 * nunchi_session_cancel() may be called from any thread and from a signal handler.
 *
 * Side effects: the library never prints and never exits. Its only process-wide state is a SIGBUS
 * handler, which it installs when it first maps a file, because reading a mapped file that was
 * truncated raises SIGBUS; the handler passes all other SIGBUS on to the handler installed before.
 * NUNCHI_CONTEXT_NO_SIGBUS_GUARD switches the handler off. For child processes and fork() see enum
 * nunchi_pause.
 *
 * Structures of options begin with the member `size`: set `size` to sizeof the structure and all
 * unused members to zero. A library that is newer than the caller's header uses the defaults for
 * the members that the caller's structure lacks. A library that is older than the caller's header
 * fails with NUNCHI_ERROR_ARGUMENT if a member that the library does not know is not zero.
 *
 * Errors: a function that can fail returns a pointer to an error object, or NULL for success. The
 * caller frees the object by nunchi_error_destroy(). Output parameters come last, have names that
 * begin with `ret`, and are left unchanged when the function fails.
 *
 * Misuse: a pointer may be NULL only where its comment says so (`data` always may). Otherwise a
 * function that returns an error fails with NUNCHI_ERROR_ARGUMENT, as it does for options whose
 * size is 0, too small or above 4096. A cursor that is still open when its guest is closed gives
 * that error too, and can only be closed. Anything else that was freed must not be used.
 */
#ifndef NUNCHI_NUNCHI_H
#define NUNCHI_NUNCHI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NUNCHI_API __attribute__((visibility("default")))

/* ---- Errors ---------------------------------------------------------------------------------- */

enum nunchi_error_code {
	NUNCHI_ERROR_NOMEM = 1,
	NUNCHI_ERROR_NOT_FOUND,   /* no such target, view, symbol, type or process */
	NUNCHI_ERROR_ARGUMENT,    /* an argument is invalid */
	NUNCHI_ERROR_DATA,        /* bytes of the guest or of the file contradict each other */
	NUNCHI_ERROR_TRUNCATED,   /* the file of a saved guest ends too early */
	NUNCHI_ERROR_IO,          /* a system call of the host failed; see nunchi_error_errno() */
	NUNCHI_ERROR_FAULT,       /* a guest address is not mapped or not in memory */
	NUNCHI_ERROR_PERMISSION,  /* the host's kernel or hypervisor denies access */
	NUNCHI_ERROR_UNSUPPORTED, /* this target, kernel or build of the library cannot do that */
	NUNCHI_ERROR_BUSY,        /* somebody else uses a resource that is needed */
	NUNCHI_ERROR_GONE,        /* the guest does not exist any more */
	NUNCHI_ERROR_REBOOTED,    /* the guest runs another kernel than at attach */
	NUNCHI_ERROR_NO_KERNEL,   /* no kernel was found in the guest's memory */
	NUNCHI_ERROR_AMBIGUOUS,   /* several answers are possible, and none is certain */
	NUNCHI_ERROR_TIMEOUT,
	NUNCHI_ERROR_CANCELLED,
	NUNCHI_ERROR_STOP /* nunchi_cursor_next(): there are no more rows; not a failure */
};

struct nunchi_error;

/* The kind of failure, for programs that handle kinds differently. */
NUNCHI_API enum nunchi_error_code nunchi_error_code(const struct nunchi_error *err);
/* The message, one line without a final period. Owned by the error. */
NUNCHI_API const char *nunchi_error_message(const struct nunchi_error *err);
/* Advice on what to do next, or NULL. Owned by the error. */
NUNCHI_API const char *nunchi_error_hint(const struct nunchi_error *err);
/* Stores the guest address at which the operation failed. False if the error has no address. */
NUNCHI_API bool nunchi_error_address(const struct nunchi_error *err, uint64_t *ret);
/*
 * Stores the byte, from 0, of the text that was given (an expression) at which the part that failed
 * begins. False if the error has no position.
 */
NUNCHI_API bool nunchi_error_position(const struct nunchi_error *err, size_t *ret);
/* The errno value of the system call that failed, or 0. */
NUNCHI_API int nunchi_error_errno(const struct nunchi_error *err);
/*
 * Whether the set-up of this host causes the error: a device, kernel module, library or permission
 * is missing. nunchi_doctor_examine() of <nunchi/doctor.h> examines the host and gives details.
 */
NUNCHI_API bool nunchi_error_is_host(const struct nunchi_error *err);
/* Frees an error. NULL is accepted. */
NUNCHI_API void nunchi_error_destroy(struct nunchi_error *err);
/*
 * Creates an error, for libraries that are built on this one, so that their callers handle one type
 * of error. The texts are copied. errnum is 0 and hint is NULL if there is none. Never returns
 * NULL: where memory is short, the result is a static error with the code NUNCHI_ERROR_NOMEM.
 */
NUNCHI_API struct nunchi_error *nunchi_error_create(enum nunchi_error_code code, int errnum,
						    const char *message, const char *hint);

/* ---- Context --------------------------------------------------------------------------------- */

struct nunchi_context;

enum nunchi_context_flags {
	/* no SIGBUS handler: a file truncated while mapped may kill this process */
	NUNCHI_CONTEXT_NO_SIGBUS_GUARD = 1 << 0
};

/* The version of the library, "MAJOR.MINOR.PATCH". Static storage. */
NUNCHI_API const char *nunchi_version(void);
/*
 * Creates a context, to which guests and watches belong. flags: a combination of enum
 * nunchi_context_flags. The caller frees the context by nunchi_context_destroy().
 */
NUNCHI_API struct nunchi_error *nunchi_context_create(unsigned flags, struct nunchi_context **ret);
/* Frees a context. All its guests and watches must be closed before. NULL is accepted. */
NUNCHI_API void nunchi_context_destroy(struct nunchi_context *context);
/*
 * Asks every call that runs in this context to return soon with NUNCHI_ERROR_CANCELLED; no guest is
 * left paused. Async-signal-safe; may be called from any thread. A cancelled context stays
 * cancelled: after that the context and its guests can only be closed. nunchi_session_cancel()
 * cancels the calls of one session only.
 */
NUNCHI_API void nunchi_context_cancel(struct nunchi_context *context);
/* Whether nunchi_context_cancel() was called for this context. False for NULL. */
NUNCHI_API bool nunchi_context_cancelled(const struct nunchi_context *context);

/*
 * Gets a descriptor for a program that has an event loop of its own. The descriptor becomes
 * readable (POLLIN) when nunchi_context_dispatch() has something to do; nunchi_context_cancel()
 * does not make it readable. The context owns the descriptor: the caller must neither read nor
 * close it. Only the thread that uses the context may use it, and no child process made by fork().
 */
NUNCHI_API struct nunchi_error *nunchi_context_fd(struct nunchi_context *context, int *ret);
/*
 * Handles the events that are pending: calls the functions that were passed to
 * nunchi_watch_create(). Does not wait for events, and returns at once if none is pending; handling
 * one may take as long as nunchi_list() takes. Stops at the first error and returns it. The context
 * and its watches stay usable after an error, and the operation that failed is repeated when it is
 * due next. A function that it calls must not dispatch the same context, by this function or by
 * nunchi_list_watch(): that gives NUNCHI_ERROR_BUSY.
 */
NUNCHI_API struct nunchi_error *nunchi_context_dispatch(struct nunchi_context *context);

/* ---- Finding guests -------------------------------------------------------------------------- */

struct nunchi_found {
	const char *target; /* the word for nunchi_guest_open(): "qemu:demo", "xen:web1" */
	const char *name;   /* the guest's name, "" if it has none */
	/* "qemu (tcg)", "qemu (kvm)", "xen (PV)", "xen (PVH)", "xen (HVM)" … */
	const char *hypervisor;
	int64_t pid;        /* process of the host that runs the guest, or -1 */
	uint64_t memory;    /* size of the guest's RAM in bytes, 0 if unknown */
	uint32_t vcpus;     /* 0 if unknown */
	const char *state;  /* "running", "paused" … or "unknown" */
	const char *access; /* how nunchi would read the guest's memory, or why it cannot */
	const char *uuid;   /* "" if unknown */
	const char *user;   /* whose process runs the guest; "" for domains of Xen */
};

/*
 * Calls found() for each guest that runs on this host, until found() returns false or the context
 * is cancelled (NUNCHI_ERROR_CANCELLED). The structure and its strings are valid during the call of
 * found().
 */
NUNCHI_API struct nunchi_error *
nunchi_list(struct nunchi_context *context,
	    bool (*found)(const struct nunchi_found *guest, void *data), void *data);

/* One form of the argument `target` of nunchi_guest_open(). */
struct nunchi_target_form {
	const char *word;        /* "xen:NAME", "PATH" … */
	const char *description; /* one line, for help */
	bool live;               /* true: a guest that runs on this host; false: a file */
};
/*
 * The n-th form, counted from 0; NULL if there are no more. Static storage; any thread may call
 * this.
 */
NUNCHI_API const struct nunchi_target_form *nunchi_target_form(size_t n);

/* A file format in which a guest's memory may be saved. */
struct nunchi_file_format {
	const char *name; /* "elf" */
	/* one line, for help: what the format is, and which tools write it */
	const char *description;
};
/*
 * The n-th format, counted from 0; NULL if there are no more. Static storage; any thread may call
 * this.
 */
NUNCHI_API const struct nunchi_file_format *nunchi_file_format(size_t n);

enum nunchi_list_change {
	NUNCHI_LIST_THERE, /* the guest was there when the watch began */
	NUNCHI_LIST_CAME,
	NUNCHI_LIST_CHANGED, /* its name, state, memory or number of vCPUs changed */
	NUNCHI_LIST_WENT     /* the guest is gone; the structure describes it as last seen */
};

/*
 * Calls changed() for each guest that runs on this host, and then for each guest that appears,
 * changes or disappears, until changed() returns false or the context is cancelled
 * (NUNCHI_ERROR_CANCELLED). The appearance and end of Xen domains is reported at once; all other
 * changes are found by looking once a second. A QEMU monitor serves one client at a time, so the
 * states of QEMU's guests are read only every ten seconds, and when a guest appears, changes or
 * disappears. The function blocks, and handles all events of the context as
 * nunchi_context_dispatch() does.
 */
NUNCHI_API struct nunchi_error *nunchi_list_watch(struct nunchi_context *context,
						  bool (*changed)(const struct nunchi_found *guest,
								  enum nunchi_list_change change,
								  void *data),
						  void *data);

/*
 * Does the same as nunchi_list_watch() without blocking: changed() is called by
 * nunchi_context_dispatch(), whose first call reports each guest that is there. After changed() has
 * returned false it is not called again. The caller frees the watch by nunchi_watch_destroy(),
 * before the context is destroyed, and not from within changed().
 */
struct nunchi_watch;
NUNCHI_API struct nunchi_error *nunchi_watch_create(
    struct nunchi_context *context,
    bool (*changed)(const struct nunchi_found *guest, enum nunchi_list_change change, void *data),
    void *data, struct nunchi_watch **ret);
/* Ends a watch and frees it. NULL is accepted. */
NUNCHI_API void nunchi_watch_destroy(struct nunchi_watch *watch);

/* ---- Guests ---------------------------------------------------------------------------------- */

struct nunchi_guest;

/*
 * Whether a query may pause the guest.
 *
 * Child process: before the first pause of a guest, the library starts the program nunchi-guard as
 * a child of this process. It resumes the guest if this process dies, and ends when the guest is
 * closed.
 *
 * Signals: this process gets SIGCHLD when nunchi-guard ends. Ignoring SIGCHLD, or waiting for any
 * child by waitpid(-1), does no harm. A signal that this process catches, with SA_RESTART or
 * without, neither ends a pause early nor leaves the guest paused.
 *
 * fork(): a child process must not use or close the contexts and guests of its parent. If the
 * parent dies, its guests are resumed although such a child still runs.
 */
enum nunchi_pause {
	NUNCHI_PAUSE_AUTO, /* read the running guest; pause it only if a row stays torn */
	/*
	 * Pause the guest while the needed pages are copied, then read the copies. If six such
	 * rounds have not copied all pages, the guest is paused for the whole query.
	 */
	NUNCHI_PAUSE_ALWAYS,
	NUNCHI_PAUSE_NEVER
};

struct nunchi_guest_options {
	size_t size; /* sizeof(struct nunchi_guest_options) */
	enum nunchi_pause pause;
	const char *symbols_path; /* System.map or /proc/kallsyms text; NULL: from memory */
	const char *types_path;   /* BTF, vmlinux, ISF .json[.xz]; NULL: from memory */
	/* count distinct pages for nunchi_timing.pages_touched; costs time */
	bool count_pages;
	/*
	 * Promises that the process ends right after the guest is closed. The library then leaves
	 * the guest's pages mapped: when the process ends, the host's kernel unmaps many pages of a
	 * Xen guest several times faster.
	 */
	bool until_exit;
	/*
	 * Chooses a kernel where the memory has several: the physical address of its _text, as
	 * notes and errors give it; 0: the kernel that a vCPU runs. One that no vCPU runs is
	 * accepted as well, as `remains` does.
	 */
	uint64_t kernel;
	/*
	 * Accepts a kernel that no vCPU runs: after a reset, or while the guest is in its firmware
	 * or boot loader, the kernel that ran before remains in the memory, and parts of it may be
	 * overwritten. Without this option such a kernel is refused with NUNCHI_ERROR_NO_KERNEL
	 * where the vCPUs' registers are known. See nunchi_guest_remains().
	 */
	bool remains;
	/* leave aside the VMCOREINFO note that the file contains or the hypervisor provides */
	bool no_note;
	/*
	 * Confines this process for good, once all is open and before a byte of the guest is read:
	 * it loses its capabilities and may not open files, connect, execute programs, make threads
	 * and processes, or reach other processes (seccomp and Landlock, as far as the host's
	 * kernel has them). A call that is not permitted fails with EPERM. For a running guest a
	 * second process is forked before, which keeps the privileges and, on request, pauses and
	 * resumes the guest and asks for its state, registers and size. One guest in a process; the
	 * process must have one thread, and be ready to live so to its end. nunchi_guest_info()
	 * says what holds.
	 */
	bool confine;
	/*
	 * With `confine`: the file that nunchi_snapshot() or nunchi_export_file() will be called
	 * for, which is made before.
	 */
	const char *snapshot_path;
	/*
	 * With `confine`: an action that needs privileges at the end, such as giving a file its
	 * name. Called once in the second process: with true for nunchi_guest_finish(), whose
	 * result is the errno that it returns; or with false when this process ends without.
	 */
	int (*finish)(bool done, void *data);
	void *finish_data;
	/* Prepares the guest for nunchi_trace_open(), if its target has events (trace.h). */
	bool events;
	/*
	 * Called when all that this guest is read from is open, before a byte of it is read. It may
	 * open other guests, of which the last one has `confine`: then the bytes of all of them are
	 * read by a confined process. If it returns false, nunchi_guest_open() fails with
	 * NUNCHI_ERROR_CANCELLED. NULL: no call.
	 */
	bool (*opened)(void *data);
	void *opened_data;
	/*
	 * With `confine`: a listening socket of which the process may go on to accept connections
	 * (accept4()); 0: none.
	 */
	int accept_fd;
};

/*
 * Opens a guest, so that its memory can be read. target is "xen:NAME", "xen:ID", "qemu:NAME",
 * "qemu:PID", "qemu:SOCKET", or the path of a saved guest, whose format is recognised by its
 * content; a file that was packed as a whole (gzip, xz …) is unpacked to a temporary file, which
 * may take minutes. The kernel in the memory is searched for by the first call that needs it.
 * options may be NULL. The caller frees the guest by nunchi_guest_close(). Fails with
 * NUNCHI_ERROR_NOT_FOUND if there is no such guest, and with NUNCHI_ERROR_PERMISSION or
 * _UNSUPPORTED if its memory cannot be read.
 */
NUNCHI_API struct nunchi_error *nunchi_guest_open(struct nunchi_context *context,
						  const char *target,
						  const struct nunchi_guest_options *options,
						  struct nunchi_guest **ret);
/*
 * Closes the guest's session, resumes the guest if it is paused, and frees the guest. Close its
 * cursors before. NULL is accepted.
 */
NUNCHI_API void nunchi_guest_close(struct nunchi_guest *guest);

/*
 * Calls the action nunchi_guest_options.finish in the second process of a confined one; without
 * `confine`, in this process.
 */
NUNCHI_API struct nunchi_error *nunchi_guest_finish(struct nunchi_guest *guest);

/*
 * Asks the call on the guest that runs now, and the session if one is open, to end soon with
 * NUNCHI_ERROR_CANCELLED. Async-signal-safe; may be called from any thread until the guest is
 * closed. Outside of a session the next call on the guest works again, except that a cursor or
 * trace that is open then fails with the same error; a request that comes just before a call begins
 * has no effect on it.
 */
NUNCHI_API void nunchi_guest_cancel(struct nunchi_guest *guest);

/*
 * Finds the kernel in the guest's memory, or checks that a running guest still exists
 * (NUNCHI_ERROR_GONE) and still runs the same kernel (NUNCHI_ERROR_REBOOTED: close the guest and
 * open it again). All functions below call this themselves; call it to measure the time it takes,
 * or to make the check alone. Outside of a session each query makes the full check, whereas
 * nunchi_read(), nunchi_translate() and the functions for symbols only check that the kernel's
 * image is where it was.
 */
NUNCHI_API struct nunchi_error *nunchi_guest_attach(struct nunchi_guest *guest);

/* ---- Sessions -------------------------------------------------------------------------------- */

/*
 * A session answers several queries on one guest. The guest is checked once, when the session is
 * opened, and paused once if that is asked for. All calls on the guest between
 * nunchi_session_open() and nunchi_session_close() belong to the session; a call outside of a
 * session has the effect of a session that contains this call alone, as a statement outside of a
 * transaction has in SQL. A guest has at most one session at a time.
 *
 * nunchi_session_open() finds the kernel if no call has done so before, and checks that a running
 * guest still exists (NUNCHI_ERROR_GONE) and runs the same kernel (NUNCHI_ERROR_REBOOTED). Later
 * calls in the session do not repeat the check; nunchi_guest_attach() repeats it. So keep a session
 * on a running guest short.
 *
 * What cursors, nunchi_read() and nunchi_translate() see in a session:
 *
 *  a saved guest, or hold        one state, which does not change; nunchi_cursor_next() reads each
 *                                row when it is asked for
 *  NUNCHI_PAUSE_ALWAYS           one moment: the guest is paused while the needed pages are copied,
 *                                and later calls read the copies (64 MiB at most). If a call needs
 *                                a page that was not copied, all pages are copied again, at a later
 *                                moment; see nunchi_session_moment()
 *  NUNCHI_PAUSE_AUTO, _NEVER     the running guest; each cursor is consistent as its pause option
 *                                says
 *
 * nunchi_snapshot() and the functions for symbols and types read the guest as it is when they are
 * called.
 */
struct nunchi_session;

struct nunchi_session_options {
	size_t size; /* sizeof(struct nunchi_session_options) */
	/* pause a running guest until the session is closed, whatever its pause option is */
	bool hold;
};

/*
 * Opens a session. options may be NULL. Fails with NUNCHI_ERROR_BUSY if the guest already has a
 * session, with the errors of nunchi_guest_attach(), and with `hold` also if the guest cannot be
 * paused. The guest owns the session.
 */
NUNCHI_API struct nunchi_error *nunchi_session_open(struct nunchi_guest *guest,
						    const struct nunchi_session_options *options,
						    struct nunchi_session **ret);
/*
 * Closes a session, and resumes the guest if `hold` paused it; the error says that the guest could
 * not be resumed. The session is closed in either case. A cursor that is still open can only be
 * closed after that. NULL is accepted. nunchi_guest_close() closes the session as well.
 */
NUNCHI_API struct nunchi_error *nunchi_session_close(struct nunchi_session *session);
/*
 * Asks the call that runs in the session to return soon with NUNCHI_ERROR_CANCELLED; every later
 * call in the session fails with the same error. The context and the guest stay usable: close the
 * session and open another one. Async-signal-safe; may be called from any thread until the guest is
 * closed. A request that comes after the session was closed has no effect, except that it may
 * cancel the next session if that is being opened at the same time.
 */
NUNCHI_API void nunchi_session_cancel(struct nunchi_session *session);
/*
 * A number for the moment of the guest that the session shows. The number changes when the pages
 * are copied again. It is 0 while cursors read the running guest, where each row has a moment of
 * its own. If the number is not 0 and is the same before the first of several cursors and after the
 * last, all of them saw one state. If it changed, run the cursors again: by then the copies contain
 * all pages that they need.
 */
NUNCHI_API uint64_t nunchi_session_moment(const struct nunchi_session *session);

/*
 * A fact about the guest, and how nunchi knows it. The strings are valid during the call of fact().
 */
struct nunchi_fact {
	const char *topic; /* "target", "memory", "capability", "kernel", "missing" */
	const char *name;
	const char *value;
	const char *evidence; /* the source of the value, or the reason for it; or NULL */
};

/*
 * Calls fact() for each fact, in the order of display. Finds the kernel first; if no kernel is
 * found, all other facts are given, the reason is given as a fact with the topic "missing", and the
 * error is returned.
 */
NUNCHI_API struct nunchi_error *
nunchi_guest_info(struct nunchi_guest *guest,
		  void (*fact)(const struct nunchi_fact *fact, void *data), void *data);

/*
 * What the user should know before relying on the results: which part of a saved guest is missing,
 * or what is uncertain. Notes are numbered from 0; NULL if there are no more. The text is valid
 * until the guest is closed. Finding the kernel may add notes.
 */
NUNCHI_API const char *nunchi_guest_note(const struct nunchi_guest *guest, size_t index);

/*
 * How many changes of nunchis that were killed, with their guards, were found when the guest was
 * opened: those that were undone or proved to be ended, and those that are left as they are. A note
 * tells of each. NULL is accepted for both.
 */
NUNCHI_API void nunchi_guest_repairs(const struct nunchi_guest *guest, size_t *ret_undone,
				     size_t *ret_left);

/*
 * Whether the kernel that was found is one that no vCPU runs (nunchi_guest_options.remains); a note
 * says where the vCPUs are instead. False before the kernel was found.
 */
NUNCHI_API bool nunchi_guest_remains(const struct nunchi_guest *guest);

/* Times and amounts since the guest was opened. */
struct nunchi_timing {
	size_t size; /* set by the caller: sizeof(struct nunchi_timing) */
	double attach_ms;
	/* Of opening cursors, of rows of saved guests, of nunchi_read() outside of a session. */
	double query_ms;
	uint64_t bytes_read;    /* copied out of the guest's memory */
	uint64_t pages_touched; /* distinct pages read or copied; 0 unless count_pages is set */
	uint64_t paused_us;     /* how long this library kept the guest paused, in microseconds */
	uint64_t private_kb;    /* private memory of this process at present, in KiB */
};
/* Fills *ret, whose `size` the caller has set. */
NUNCHI_API void nunchi_guest_timing(const struct nunchi_guest *guest, struct nunchi_timing *ret);

/* ---- Views ----------------------------------------------------------------------------------- */

enum nunchi_type {
	NUNCHI_TYPE_INTEGER, /* int64_t */
	NUNCHI_TYPE_REAL,    /* double */
	NUNCHI_TYPE_ADDRESS, /* uint64_t, shown as 0x… */
	NUNCHI_TYPE_TEXT     /* bytes: usually UTF-8, but not guaranteed */
};

/*
 * The unit of a column's number. Cells, JSON and CSV hold the plain number; tables show it as in
 * the examples.
 */
enum nunchi_unit {
	NUNCHI_UNIT_NONE,
	NUNCHI_UNIT_BYTES,        /* 268435456: "256 MiB" */
	NUNCHI_UNIT_MILLISECONDS, /* a duration; 62500: "1 min 02 s" */
	NUNCHI_UNIT_SECONDS,      /* a duration; 93600: "1 d 02 h" */
	NUNCHI_UNIT_UNIX_TIME,    /* seconds since 1970; 1764460800: "2025-11-30 00:00:00", UTC */
	NUNCHI_UNIT_OCTAL         /* bits, as chmod(1) and /proc/PID/fdinfo write them; 9: "011" */
};

struct nunchi_column {
	const char *name;
	enum nunchi_type type;
	const char *description; /* one line, with unit */
	enum nunchi_unit unit;   /* NUNCHI_UNIT_NONE unless type is NUNCHI_TYPE_INTEGER */
};

struct nunchi_view {
	const char *name;
	const char *description; /* one line */
	const struct nunchi_column *columns;
	size_t column_count;
	/* Columns, a bit for each (1 << index), that say which row it is; 0: none do. */
	uint64_t key;
	/* Columns, a bit for each, that change all the time while the guest runs. */
	uint64_t changing;
};

/* All views, sorted by name. Static storage; any thread may call this. */
NUNCHI_API const struct nunchi_view *const *nunchi_views(size_t *ret_count);
/* The view with this name, or NULL. Static storage; any thread may call this. */
NUNCHI_API const struct nunchi_view *nunchi_view_find(const char *name);
/*
 * The name of the n-th check, counted from 0, as the column `check` of the view findings has it;
 * NULL if there are no more. Static storage; any thread may call this.
 */
NUNCHI_API const char *nunchi_check_name(size_t n);

enum nunchi_cell_kind { NUNCHI_CELL_ABSENT, NUNCHI_CELL_VALUE };

/* Why a cell has no value. */
enum nunchi_absence {
	NUNCHI_ABSENT_NOT_COMPUTED, /* the query did not ask for this column */
	/* the object has no such property: a kernel thread has no command line */
	NUNCHI_ABSENT_NOT_APPLICABLE,
	NUNCHI_ABSENT_PAGED_OUT,  /* the page is swapped out: its bytes are not in RAM */
	NUNCHI_ABSENT_NOT_MAPPED, /* the guest's page tables or its RAM have no such address */
	NUNCHI_ABSENT_NOT_SAVED,  /* the file of the saved guest does not contain the page */
	NUNCHI_ABSENT_NO_LAYOUT,  /* the kernel's types lack a structure field that is needed */
	NUNCHI_ABSENT_BAD_DATA,   /* bytes of the guest contradict each other */
	/* nunchi reads at most a fixed number of bytes or entries; this has more */
	NUNCHI_ABSENT_LIMIT,
	NUNCHI_ABSENT_NO_SYMBOL, /* the address of a kernel variable is unknown */
	NUNCHI_ABSENT_IO,        /* the hypervisor or the file gave an error at that address */
	NUNCHI_ABSENT_NULL       /* SQL's NULL (sql.h), whose reason is not known */
};

/* A word for the reason, as "paged out". Static storage. */
NUNCHI_API const char *nunchi_absence_string(enum nunchi_absence absence);

struct nunchi_cell {
	enum nunchi_cell_kind kind;
	enum nunchi_type type;
	enum nunchi_absence absence; /* valid if kind is NUNCHI_CELL_ABSENT */
	int64_t integer;
	uint64_t address;
	double real;
	const char *text; /* text_size bytes, not NUL-terminated; valid until the next row */
	size_t text_size;
};

enum nunchi_operator {
	NUNCHI_EQUAL,
	NUNCHI_LESS,
	NUNCHI_LESS_EQUAL,
	NUNCHI_GREATER,
	NUNCHI_GREATER_EQUAL,
	NUNCHI_IN,    /* equal to one of the texts in `values` */
	NUNCHI_PREFIX /* a text that begins with `value` */
};

/*
 * A condition on a column. Values are written as text and converted to the column's type, in every
 * locale alike: integers and addresses in decimal or with 0x, real numbers with a decimal point.
 * Texts are compared byte by byte. An absent cell meets no condition.
 */
struct nunchi_constraint {
	const char *column;
	const char *value; /* for all operators except NUNCHI_IN */
	enum nunchi_operator op;
	const char *const *values; /* for NUNCHI_IN: value_count texts */
	size_t value_count;
};

struct nunchi_query {
	size_t size;                /* sizeof(struct nunchi_query) */
	const char *const *columns; /* names of the columns wanted; NULL: all columns */
	size_t column_count;
	/*
	 * A row is given if it meets all constraints; several may name the same column. Some views
	 * use constraints to read less (a constraint on `pid` reads one process); all rows are
	 * tested in any case.
	 */
	const struct nunchi_constraint *constraints;
	size_t constraint_count;
	uint64_t limit; /* greatest number of rows; 0: no limit */
	/*
	 * The time that reading a running guest may take, in milliseconds; 0: no limit. The rows
	 * that were read until then are given, with a warning. A guest whose lists have no end
	 * cannot make a query take longer; with NUNCHI_PAUSE_ALWAYS, which reads it twice, twice as
	 * long. With NUNCHI_PAUSE_AUTO torn rows stay torn if reading took a fifth of the time.
	 */
	uint32_t max_ms;
	/*
	 * The memory that all rows together may take; 0: no limit for a saved guest, whose rows are
	 * read one by one, and 96 MiB for a running one. When half of it is used, texts of
	 * processes longer than 256 bytes are not read any more (NUNCHI_ABSENT_LIMIT). When it is
	 * used up, the query ends with a warning, or, if this is 0, fails.
	 */
	size_t max_bytes;
};

struct nunchi_cursor;

/*
 * Starts a query on a view of nunchi_views(). query may be NULL for all columns and rows. The
 * caller frees the cursor by nunchi_cursor_close(); once its session or its guest is closed, it
 * gives no more rows. Fails with NUNCHI_ERROR_ARGUMENT for an unknown column or an invalid
 * constraint, and with NUNCHI_ERROR_UNSUPPORTED if the view does not exist for the guest's
 * operating system.
 */
NUNCHI_API struct nunchi_error *nunchi_cursor_open(struct nunchi_guest *guest,
						   const struct nunchi_view *view,
						   const struct nunchi_query *query,
						   struct nunchi_cursor **ret);
/* The cursor's columns, in the order of nunchi_query.columns. Owned by the cursor. */
NUNCHI_API const struct nunchi_column *const *
nunchi_cursor_columns(const struct nunchi_cursor *cursor, size_t *ret_count);
/*
 * Gets the next row: one cell for each column, valid until the next call on this cursor. Fails with
 * NUNCHI_ERROR_STOP when there are no more rows. *ret_torn is true if the guest changed the row
 * each time it was read, so that its cells may not belong together.
 */
NUNCHI_API struct nunchi_error *nunchi_cursor_next(struct nunchi_cursor *cursor,
						   const struct nunchi_cell **ret_cells,
						   bool *ret_torn);
/*
 * Warning number `index`, counted from 0, about rows or cells that could not be read (a broken link
 * in a list, an unreadable page); NULL if there are no more. Ask after the last row. Owned by the
 * cursor.
 */
NUNCHI_API const char *nunchi_cursor_warning(const struct nunchi_cursor *cursor, size_t index);
/* Frees the cursor. NULL is accepted. */
NUNCHI_API void nunchi_cursor_close(struct nunchi_cursor *cursor);

/* ---- Memory, symbols, types ------------------------------------------------------------------ */

enum nunchi_space {
	NUNCHI_SPACE_KERNEL,  /* virtual, through the kernel's page table */
	NUNCHI_SPACE_PROCESS, /* virtual, through the page table of the process with the pid `id` */
	/* virtual, through the page table at the physical address `id` (CR3) */
	NUNCHI_SPACE_TABLE,
	/* guest-physical; for a PV guest of Xen, the host's machine address */
	NUNCHI_SPACE_PHYSICAL
};

struct nunchi_place {
	enum nunchi_space space;
	uint64_t id; /* a pid or CR3, for the spaces that need one */
	uint64_t address;
};

/*
 * Copies `size` bytes to buffer. Fails with NUNCHI_ERROR_FAULT and the first address that cannot be
 * read (nunchi_error_address()); the content of buffer is then undefined.
 */
NUNCHI_API struct nunchi_error *nunchi_read(struct nunchi_guest *guest,
					    const struct nunchi_place *place, size_t size,
					    void *buffer);

/*
 * Finds the first stretch of the guest's RAM at or after a physical address of which there are
 * bytes: its start, and the address behind its end. What lies between two stretches is no RAM, or
 * zeros that the guest's file stores nowhere. Fails with NUNCHI_ERROR_STOP if there are no more. Of
 * a raw file find the kernel before (nunchi_guest_attach()), which tells where its bytes lie.
 */
NUNCHI_API struct nunchi_error *nunchi_memory_next(struct nunchi_guest *guest, uint64_t address,
						   uint64_t *ret_start, uint64_t *ret_end);

/*
 * Stores where range number n of the guest-physical memory, counted from 0 in ascending order,
 * begins, and its size in bytes. False if there are no more.
 */
NUNCHI_API bool nunchi_memory_range(const struct nunchi_guest *guest, size_t n, uint64_t *ret_start,
				    uint64_t *ret_size);

struct nunchi_translation_level {
	const char *table;      /* "PML5", "PML4", "PDPT", "PD", "PT" */
	uint64_t entry_address; /* guest-physical address of the entry */
	uint64_t entry;         /* value of the entry */
	bool present;
	bool large; /* the entry maps a large page and ends the walk */
};

struct nunchi_translation {
	struct nunchi_translation_level levels[5];
	size_t level_count;
	bool mapped;
	uint64_t physical;  /* physical address, if mapped */
	uint64_t page_size; /* in bytes, if mapped */
	bool writable, user, executable;
	const char *fault; /* if not mapped: the reason, as text in static storage */
};

/*
 * Walks the page tables for a virtual address, and stores the entries read at each level, from the
 * root down. An address that is not mapped is not an error: then ret->mapped is false.
 */
NUNCHI_API struct nunchi_error *nunchi_translate(struct nunchi_guest *guest,
						 const struct nunchi_place *place,
						 struct nunchi_translation *ret);

/*
 * Translates a virtual address to the physical one, without telling how: for many addresses in
 * turn, since page tables that were walked before are not walked again in a session. Fails with
 * NUNCHI_ERROR_FAULT if the address is not mapped. That there is RAM at *ret is not checked.
 */
NUNCHI_API struct nunchi_error *nunchi_translate_address(struct nunchi_guest *guest,
							 const struct nunchi_place *place,
							 uint64_t *ret);

struct nunchi_symbol {
	/*
	 * name and module are owned by the guest, and valid until the next call for a symbol or a
	 * type of the guest.
	 */
	const char *name;
	uint64_t address;
	uint64_t offset; /* of the given address from the symbol's address, in bytes */
	char type; /* letter as nm(1) prints it, of a module's symbol a small one; '?' if unknown */
	const char *module; /* module that contains the symbol; NULL: the kernel itself */
};

/*
 * Finds a symbol by name: first in the kernel, then in its modules. "MODULE:NAME" looks in that
 * module only. Fails with NUNCHI_ERROR_AMBIGUOUS if several modules have the name; the error lists
 * them. If no symbol has the name, but the compiler made exactly one variant of it (NAME.llvm.1,
 * NAME.isra.0, NAME.cold …), that variant is found. Fails with NUNCHI_ERROR_NOT_FOUND otherwise;
 * the hint of the error is the symbol whose name is nearest, if there is a similar one.
 */
NUNCHI_API struct nunchi_error *nunchi_symbol_find(struct nunchi_guest *guest, const char *name,
						   struct nunchi_symbol *ret);
/* Finds the symbol at or before an address in the kernel's image or in a module. */
NUNCHI_API struct nunchi_error *nunchi_symbol_at(struct nunchi_guest *guest, uint64_t address,
						 struct nunchi_symbol *ret);

struct nunchi_member {
	const char *name; /* "" for an anonymous member; "(hole)" if `hole` is true */
	const char *type; /* in C notation */
	uint64_t bit_offset;
	uint64_t bit_size;
	unsigned depth; /* number of anonymous structs and unions around the member */
	bool bit_field;
	bool hole;
};

struct nunchi_type_info {
	const char *kind; /* "struct", "union", "enum", "typedef", "int" … */
	const char *name;
	const char *target; /* of a typedef: the type it names, in C notation; else NULL */
	uint64_t size;      /* bytes */
	uint64_t holes;     /* in holes and padding, in bytes */
	size_t member_count;
	const char *module; /* module whose types contain it; NULL: the kernel's own types */
};

/*
 * Describes a type: "struct task_struct", "task_struct", "pid_t". The type is searched for among
 * the kernel's types, and in the modules if the kernel does not have it or only declares it;
 * "MODULE:NAME" looks in that module only. Fails with NUNCHI_ERROR_AMBIGUOUS if modules have
 * different types with this name; the error lists the modules. Calls type() once, then member() for
 * each member, each hole, or each enumerator (whose value is in bit_offset). The strings are valid
 * during these calls.
 */
NUNCHI_API struct nunchi_error *
nunchi_type_layout(struct nunchi_guest *guest, const char *name,
		   void (*type)(const struct nunchi_type_info *type, void *data),
		   void (*member)(const struct nunchi_member *member, void *data), void *data);

/* The value of an expression. The strings are valid during the call that gives them. */
enum nunchi_printed_kind {
	NUNCHI_PRINTED_COMPOSITE, /* a struct, union or array; or a number that is not supported */
	NUNCHI_PRINTED_SIGNED,    /* an integer or enum */
	NUNCHI_PRINTED_UNSIGNED,  /* an integer or enum, or a pointer */
	NUNCHI_PRINTED_TEXT       /* an array of char, or what a pointer to char leads to */
};

struct nunchi_printed {
	size_t size;       /* sizeof(struct nunchi_printed), set by the library */
	const char *type;  /* in C notation; "" if there is no value */
	const char *value; /* as C would initialise it; what the guest names is escaped; or NULL */
	const char *error; /* why there is no value; NULL if there is one */
	uint64_t address;  /* of an object in memory */
	bool has_address;
	bool is_element; /* there is an each() in the expression */
	enum nunchi_printed_kind kind;
	uint64_t number; /* the value of a number, extended to 64 bits */
	/* The bytes of a text, as the guest has them; NULL: the pointer is, or leads nowhere. */
	const char *text;
	size_t text_size;
};

/*
 * Evaluates a C expression over the kernel's symbols, types and memory (docs/expressions.md), and
 * calls give() with its value: once, or with each() once for each element of a list, also for those
 * of which the value cannot be read. give() returns false to end it. Shows the members of structs
 * within at most `depth` (up to 16) others. At most 1 MiB of memory and 1 MiB of text are taken for
 * a value, 1,048,576 elements of a list, and as many rows. Fails with NUNCHI_ERROR_ARGUMENT if the
 * expression is wrong, _NOT_FOUND if it names what does not exist, _FAULT if it needs memory that
 * cannot be read; the message says at which character, as nunchi_error_position() does from 0.
 * Fails with NUNCHI_ERROR_DATA or _FAULT, after it gave what can be found, if a list is broken.
 */
NUNCHI_API struct nunchi_error *
nunchi_print(struct nunchi_guest *guest, const char *expression, unsigned depth,
	     bool (*give)(const struct nunchi_printed *printed, void *data), void *data);

/* ---- vCPUs ----------------------------------------------------------------------------------- */

/*
 * The registers of a vCPU. What the target does not know is 0, as the members `has_…` say. Of a
 * vCPU in 32-bit mode the high halves are 0.
 */
struct nunchi_registers {
	size_t size;        /* set by the caller: sizeof(struct nunchi_registers) */
	bool has_general;   /* rax to r15 but rsp, and rflags */
	bool has_rip;       /* rip and rsp */
	bool has_selectors; /* cs to gs */
	bool has_segments;  /* fs_base and gs_base */
	bool has_kernel_gs; /* kernel_gs_base */
	bool has_cr2, has_efer;
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rip, rflags;
	uint64_t cs, ss, ds, es, fs, gs;
	uint64_t fs_base, gs_base, kernel_gs_base;
	uint64_t cr0, cr2, cr3, cr4, efer;
};

/* How many vCPUs nunchi_registers() may be asked for; 0 if the target knows no registers. */
NUNCHI_API uint32_t nunchi_vcpu_count(const struct nunchi_guest *guest);
/*
 * Gets the registers of a vCPU, counted from 0; ret->size is set by the caller. A running guest is
 * asked as it runs. Fails with NUNCHI_ERROR_NOT_FOUND if there is no such vCPU, and with
 * NUNCHI_ERROR_UNSUPPORTED if the target knows no registers.
 */
NUNCHI_API struct nunchi_error *nunchi_registers(struct nunchi_guest *guest, uint32_t vcpu,
						 struct nunchi_registers *ret);

/* ---- Files ----------------------------------------------------------------------------------- */

struct nunchi_file;

enum nunchi_file_kind {
	NUNCHI_FILE_DATA,   /* bytes of the page cache, or of a process */
	NUNCHI_FILE_HOLE,   /* zeros, which the file system (a tmpfs) stores nowhere */
	NUNCHI_FILE_MISSING /* bytes that are not in the memory; `why` says more */
};

/* A piece of a file: bytes that follow each other and are of one kind. */
struct nunchi_piece {
	enum nunchi_file_kind kind;
	uint64_t size;           /* in bytes; 0: the end of the file */
	enum nunchi_absence why; /* valid if kind is NUNCHI_FILE_MISSING */
};

/*
 * Opens a file that a process of the guest has open as descriptor `fd`, to read what the kernel's
 * page cache has of it; deleted files and memfds too. The guest must be saved, or a session that
 * was opened with `hold` must keep it paused until the file is closed; otherwise this fails with
 * NUNCHI_ERROR_ARGUMENT. Fails with NUNCHI_ERROR_NOT_FOUND if there is no such process or
 * descriptor, and with NUNCHI_ERROR_UNSUPPORTED if it is not a regular file of a tmpfs or of a file
 * system on a block device. The caller frees the file by nunchi_file_close(), before the guest is
 * closed.
 */
NUNCHI_API struct nunchi_error *nunchi_file_open(struct nunchi_guest *guest, uint64_t pid,
						 uint64_t fd, struct nunchi_file **ret);
/* The same for the file that a process has mapped at an address. */
NUNCHI_API struct nunchi_error *nunchi_file_open_mapped(struct nunchi_guest *guest, uint64_t pid,
							uint64_t address, struct nunchi_file **ret);
/*
 * The same for an absolute path, as it is for process `pid` (usually 1): from its root directory,
 * in its mount namespace. Symbolic links are followed, at most 40; of overlayfs the file in the
 * layer below is opened. Fails with NUNCHI_ERROR_NOT_FOUND if the guest's kernel does not have one
 * of the path's names in memory, which does not mean that there is no such file.
 */
NUNCHI_API struct nunchi_error *nunchi_file_open_path(struct nunchi_guest *guest, uint64_t pid,
						      const char *path, struct nunchi_file **ret);
/*
 * The same for the file of the row that nunchi_names() gives, only within give(): without following
 * the path again, which takes as long as its directories have names.
 */
NUNCHI_API struct nunchi_error *nunchi_file_open_name(struct nunchi_guest *guest,
						      struct nunchi_file **ret);
/* The size of the file in bytes, as the guest's kernel has it. */
NUNCHI_API uint64_t nunchi_file_size(const struct nunchi_file *file);
/*
 * Reads a piece that begins at `offset`, at most `size` bytes; the piece may be shorter than the
 * bytes of its kind are. Where they are not DATA, buffer is filled with zeros. Fails with
 * NUNCHI_ERROR_ARGUMENT if the session in which the file was opened is closed.
 */
NUNCHI_API struct nunchi_error *nunchi_file_read(struct nunchi_file *file, uint64_t offset,
						 size_t size, void *buffer,
						 struct nunchi_piece *ret);
/*
 * Reads a piece of a process's memory by its page table, at most `size` bytes; when the guest can
 * be read is as for nunchi_file_open(). A HOLE is where the process has no page: it has mapped
 * nothing there, or never used it; of a file that is mapped, the page cache may have the page.
 * Pages to which the process has no access (PROT_NONE) are read too. A piece that is not DATA may
 * be larger than `size`, and buffer then has nothing. Fails with NUNCHI_ERROR_NOT_FOUND if there is
 * no such process, and with NUNCHI_ERROR_UNSUPPORTED if it is a thread of the kernel.
 */
NUNCHI_API struct nunchi_error *nunchi_process_read(struct nunchi_guest *guest, uint64_t pid,
						    uint64_t address, size_t size, void *buffer,
						    struct nunchi_piece *ret);
/* Frees the file. NULL is accepted. */
NUNCHI_API void nunchi_file_close(struct nunchi_file *file);

/* The columns of nunchi_names(). Static storage; any thread may call this. */
NUNCHI_API const struct nunchi_column *nunchi_name_columns(size_t *ret_count);
/*
 * Calls give() with a row for the file at a path of process `pid`, then for each of those below it,
 * to that depth (1: the names in the directory), whose names the guest's kernel has in memory. The
 * path, and when the guest can be read, are as for nunchi_file_open_path(); symbolic links below it
 * are not followed. The cells are those of nunchi_name_columns(), valid during the call; give()
 * returns false to end the walk. At most 4,194,304 rows are given. Fails with NUNCHI_ERROR_FAULT,
 * after it gave what can be read, if names are missing because directories cannot be read.
 */
NUNCHI_API struct nunchi_error *
nunchi_names(struct nunchi_guest *guest, uint64_t pid, const char *path, unsigned depth,
	     bool (*give)(const struct nunchi_cell *cells, void *data), void *data);

/* ---- Snapshots ------------------------------------------------------------------------------- */

enum nunchi_format { NUNCHI_FORMAT_ELF, NUNCHI_FORMAT_LIME, NUNCHI_FORMAT_RAW };

/*
 * Writes the guest's memory to a new file; pages of zeros become holes of the file. The file gets
 * the name `path` only when it is complete; until then it has no name, or a temporary name in the
 * same directory. The guest is paused during the copy if nunchi_guest_options.pause is
 * NUNCHI_PAUSE_ALWAYS. progress() may be NULL; it is given the bytes written and the total, and
 * cancels if it returns false.
 */
NUNCHI_API struct nunchi_error *
nunchi_snapshot(struct nunchi_guest *guest, const char *path, enum nunchi_format format,
		bool (*progress)(uint64_t done, uint64_t total, void *data), void *data);

/* ---- Exports for other tools ----------------------------------------------------------------- */

enum nunchi_export {
	/*
	 * A symbol table for Volatility 3 (Intermediate Symbol Format, schema 6.2.0), of the
	 * kernel's types and symbols. Needs both; fails with NUNCHI_ERROR_NOT_FOUND otherwise.
	 */
	NUNCHI_EXPORT_ISF,
	/* The kernel's BTF, as it is in the memory. */
	NUNCHI_EXPORT_BTF,
	/*
	 * The kernel's symbols as System.map has them: at the addresses to which the kernel is
	 * linked. The fact "kaslr" of nunchi_guest_info() says how much higher it runs.
	 */
	NUNCHI_EXPORT_SYSTEM_MAP,
	/*
	 * An ELF file for gdb: the symbols of the kernel and its modules at the addresses at which
	 * this guest has them (KASLR applied), the kernel's tables for unwinding as .debug_frame,
	 * and its BTF.
	 */
	NUNCHI_EXPORT_ELF
};

/*
 * Writes what is known of the guest's kernel in a format of other tools. Passes it to write() in
 * pieces; if that returns false, the call fails with NUNCHI_ERROR_CANCELLED.
 */
NUNCHI_API struct nunchi_error *
nunchi_export(struct nunchi_guest *guest, enum nunchi_export what,
	      bool (*write)(const char *data, size_t size, void *data2), void *data);
/*
 * Writes the same to a new file, compressed if the name ends in ".xz". The file gets its name only
 * when it is complete. With nunchi_guest_options.confine, snapshot_path must have been this path.
 */
NUNCHI_API struct nunchi_error *nunchi_export_file(struct nunchi_guest *guest,
						   enum nunchi_export what, const char *path);

/* ---- Output ---------------------------------------------------------------------------------- */

enum nunchi_output {
	NUNCHI_OUTPUT_TABLE,
	NUNCHI_OUTPUT_JSON,
	NUNCHI_OUTPUT_CSV,
	NUNCHI_OUTPUT_LINE /* "name = value", one value a line, a blank line between two rows */
};

struct nunchi_writer;

struct nunchi_writer_options {
	size_t size; /* sizeof(struct nunchi_writer_options) */
	enum nunchi_output output;
	unsigned width;  /* of the terminal in columns; 0: unlimited */
	bool color;      /* a table's header in bold face */
	bool never_torn; /* promises that no row is torn: CSV then has no column `torn` */
	/*
	 * For a table: text printed after the names of the columns that did not fit ("--wide shows
	 * all"), which tells the user how to see them; NULL: no text. Must stay valid as long as
	 * the writer.
	 */
	const char *left_out_hint;
	/*
	 * The rows are those of a kernel that does not run (nunchi_guest_remains()): JSON says so
	 * in each row. Tables and CSV do not: show the guest's notes beside them.
	 */
	bool remains;
};

/*
 * Creates a writer, which formats rows. The writer passes finished bytes to write(); if write()
 * returns false (a closed pipe, a full disk), the current call fails with NUNCHI_ERROR_CANCELLED. A
 * table is written when 1,000 rows, or all rows, are known, because they determine the widths of
 * its columns. options may be NULL. The columns are copied; none may be named "torn", "absent",
 * "raw" or "remains". A table shows numbers in the unit of their column. If the width is limited, a
 * table shortens texts, leaves out columns at the right, and names these columns after the last
 * row. All formats distinguish values, absent cells and torn rows:
 *
 *  table  "-" for not applicable, "<paged out>" … for other absences; a torn row ends in " ~"
 *  line   the same words; a torn row ends in a line "torn = 1"
 *  CSV    the same words; a last column `torn` with 0 or 1
 *  JSON   null, with the reason in an object "absent"; "torn":true in torn rows only, and
 * "remains":true with that option; bytes that are not UTF-8 become U+FFFD, and the whole text is in
 * an object "raw" in hexadecimal
 *
 * In tables, lines and CSV, text is escaped as nunchi_escape() does, and so that no text looks like
 * an absence or the mark of a torn row (\< and \- at the start, \~ at the end). JSON is valid
 * UTF-8, one row on one line.
 */
NUNCHI_API struct nunchi_error *
nunchi_writer_create(const struct nunchi_writer_options *options,
		     const struct nunchi_column *const *columns, size_t column_count,
		     bool (*write)(const char *data, size_t size, void *data2), void *data,
		     struct nunchi_writer **ret);
/* Writes a row: one cell for each column of the writer. */
NUNCHI_API struct nunchi_error *nunchi_writer_row(struct nunchi_writer *writer,
						  const struct nunchi_cell *cells, bool torn);
/*
 * Writes all rows that the writer still holds, and the end of the table. Call it after the last
 * row.
 */
NUNCHI_API struct nunchi_error *nunchi_writer_finish(struct nunchi_writer *writer);
/* Frees the writer without writing. NULL is accepted. */
NUNCHI_API void nunchi_writer_destroy(struct nunchi_writer *writer);

/*
 * Converts untrusted bytes to text that is safe to show on one line. Printable UTF-8 is kept;
 * control characters, invisible characters, invalid UTF-8 and the backslash are written as \n, \t,
 * \r, \\, \xNN or \u{NNNN}. Writes at most `capacity` bytes to ret, with a NUL at the end, and cuts
 * only between characters. Returns the size of the complete result without the NUL, as snprintf()
 * does.
 */
NUNCHI_API size_t nunchi_escape(const char *text, size_t size, char *ret, size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
