/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nunchi: look into running virtual machines and saved guests from outside.
 *
 * The one public header. C99 and C++ clean. Addresses are uint64_t.
 *
 * Threads: a guest and everything opened from it is used by one thread at a time; different guests
 * may be used by different threads at once. The library never prints, never exits and has no
 * mutable global state; it installs one chaining SIGBUS handler when it first maps a file (opt out
 * with NUNCHI_CONTEXT_NO_SIGBUS_GUARD).
 *
 * Structures of options begin with their size: set it to sizeof. A library that is newer than the
 * header leaves the options that the caller does not know at their defaults; an older one refuses
 * (NUNCHI_ERROR_ARGUMENT) options that it does not know, unless they are all zeros.
 *
 * Errors: fallible functions return an error object, NULL for success. The caller destroys it.
 * Outputs come last, are called `ret`, and are untouched on failure.
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
	NUNCHI_ERROR_NOT_FOUND,   /* no such target, view, symbol, type, process … */
	NUNCHI_ERROR_ARGUMENT,    /* the caller's argument does not make sense */
	NUNCHI_ERROR_DATA,        /* bytes of the guest or file contradict themselves */
	NUNCHI_ERROR_TRUNCATED,   /* the saved guest ends before it should */
	NUNCHI_ERROR_IO,          /* the host's system refused; see nunchi_error_errno() */
	NUNCHI_ERROR_FAULT,       /* a guest address is not mapped or not in memory */
	NUNCHI_ERROR_PERMISSION,  /* the host does not let us */
	NUNCHI_ERROR_UNSUPPORTED, /* this target, kernel or build cannot do that */
	NUNCHI_ERROR_BUSY,        /* somebody else holds what is needed */
	NUNCHI_ERROR_GONE,        /* the guest disappeared */
	NUNCHI_ERROR_REBOOTED,    /* the guest runs another kernel than at attach */
	NUNCHI_ERROR_NO_KERNEL,   /* no kernel was found in the memory */
	NUNCHI_ERROR_AMBIGUOUS,   /* witnesses disagree, or a name fits several things */
	NUNCHI_ERROR_TIMEOUT,
	NUNCHI_ERROR_CANCELLED,
	NUNCHI_ERROR_STOP /* nunchi_cursor_next(): no more rows; not a failure */
};

struct nunchi_error;

NUNCHI_API enum nunchi_error_code nunchi_error_code(const struct nunchi_error *err);
/* One line, without a final period. Owned by the error. */
NUNCHI_API const char *nunchi_error_message(const struct nunchi_error *err);
/* What to do next, or NULL. Owned by the error. */
NUNCHI_API const char *nunchi_error_hint(const struct nunchi_error *err);
/* The guest address the error is about; false if there is none. */
NUNCHI_API bool nunchi_error_address(const struct nunchi_error *err, uint64_t *ret);
/* The errno behind the error, or 0. */
NUNCHI_API int nunchi_error_errno(const struct nunchi_error *err);
/*
 * Whether the set-up of this host is in the way: a device, a module, a library, a right that it
 * lacks. nunchi_doctor_examine() of <nunchi/doctor.h> tells more of it.
 */
NUNCHI_API bool nunchi_error_is_host(const struct nunchi_error *err);
NUNCHI_API void nunchi_error_destroy(struct nunchi_error *err);
/*
 * Makes an error, for libraries that are built on this one: their callers then meet one kind of
 * error. The texts are copied; errnum is 0 and hint NULL where there is none. Never gives NULL:
 * without memory the error is NUNCHI_ERROR_NOMEM.
 */
NUNCHI_API struct nunchi_error *nunchi_error_create(enum nunchi_error_code code, int errnum,
						    const char *message, const char *hint);

/* ---- Context --------------------------------------------------------------------------------- */

struct nunchi_context;

enum nunchi_context_flags {
	NUNCHI_CONTEXT_NO_SIGBUS_GUARD = 1 << 0 /* a file truncated while mapped may then kill us */
};

NUNCHI_API const char *nunchi_version(void);
NUNCHI_API struct nunchi_error *nunchi_context_create(unsigned flags, struct nunchi_context **ret);
/* Every guest of the context must be closed before. NULL is accepted. */
NUNCHI_API void nunchi_context_destroy(struct nunchi_context *context);
/*
 * Asks whatever runs in this context to end soon with NUNCHI_ERROR_CANCELLED, leaving guests
 * running. Async-signal-safe, and may be called from any thread. For good: the context and its
 * guests can only be closed afterwards. nunchi_session_cancel() cancels less.
 */
NUNCHI_API void nunchi_context_cancel(struct nunchi_context *context);
/* Whether that was asked for. False for NULL. */
NUNCHI_API bool nunchi_context_cancelled(const struct nunchi_context *context);

/*
 * For a program with an event loop of its own: a descriptor that can be read (POLLIN) when
 * nunchi_context_dispatch() has something to do. It stays the context's: neither read nor close it.
 * A cancel does not make it readable. The context's thread alone may use it, and no child of
 * fork().
 */
NUNCHI_API struct nunchi_error *nunchi_context_fd(struct nunchi_context *context, int *ret);
/*
 * Does what is to be done now, which may take as long as listing the host's guests does, and calls
 * the functions that were given for it (nunchi_watch_create()); does not wait for anything to
 * happen. Where nothing is to be done it returns at once. The first error ends it and is returned;
 * the context and its watches can be used on, and what failed is tried again when it is due next.
 */
NUNCHI_API struct nunchi_error *nunchi_context_dispatch(struct nunchi_context *context);

/* ---- Finding guests -------------------------------------------------------------------------- */

struct nunchi_found {
	const char *target; /* what nunchi_guest_open() takes, as "qemu:demo", "xen:web1" */
	const char *name;   /* the guest's name, "" if it has none */
	/* "qemu (tcg)", "qemu (kvm)", "xen (PV)", "xen (PVH)", "xen (HVM)" … */
	const char *hypervisor;
	int64_t pid;        /* of the process that runs it, or -1 */
	uint64_t memory;    /* bytes of RAM, 0 if unknown */
	uint32_t vcpus;     /* 0 if unknown */
	const char *state;  /* "running", "paused" … or "unknown" */
	const char *access; /* how its memory would be reached, or why it cannot be */
	const char *uuid;   /* "" if not known */
};

/*
 * Calls found for each guest on this host until it returns false, or the context is cancelled
 * (NUNCHI_ERROR_CANCELLED). The strings live for the call.
 */
NUNCHI_API struct nunchi_error *
nunchi_list(struct nunchi_context *context,
	    bool (*found)(const struct nunchi_found *guest, void *data), void *data);

/* What the word for a target may be, as nunchi_guest_open() takes it. */
struct nunchi_target_form {
	const char *word;        /* "xen:NAME", "PATH" … */
	const char *description; /* one line, for help */
	bool live;               /* a guest that runs on this host, not a file */
};
/* The n-th form, counted from 0; NULL past the last. Static storage, callable from any thread. */
NUNCHI_API const struct nunchi_target_form *nunchi_target_form(size_t n);

/* A format of saved guests. */
struct nunchi_file_format {
	const char *name;        /* "elf" */
	const char *description; /* one line, for help: what it is, and which tools write it */
};
/* The n-th format, counted from 0; NULL past the last. Static storage, callable from any thread. */
NUNCHI_API const struct nunchi_file_format *nunchi_file_format(size_t n);

enum nunchi_list_change {
	NUNCHI_LIST_THERE, /* it was there at the start */
	NUNCHI_LIST_CAME,
	NUNCHI_LIST_CHANGED, /* its name, state, memory or vCPUs */
	NUNCHI_LIST_WENT     /* described as it was seen last */
};

/*
 * Calls changed for each guest there is, and for each that comes, changes or goes from then on,
 * until it returns false, or the context is cancelled (NUNCHI_ERROR_CANCELLED). Xen says at once
 * when a domain comes or goes; all else is looked at every second. The states of QEMU's guests are
 * asked for every ten seconds, and when a guest came, went or changed: a QEMU monitor serves one
 * client at a time. It waits and dispatches for the whole context, as nunchi_context_dispatch()
 * does.
 */
NUNCHI_API struct nunchi_error *nunchi_list_watch(struct nunchi_context *context,
						  bool (*changed)(const struct nunchi_found *guest,
								  enum nunchi_list_change change,
								  void *data),
						  void *data);

/*
 * The same without waiting: changed() is called within nunchi_context_dispatch(), at the first one
 * for each guest there is. Once it returns false it is not called again. The watch belongs to the
 * context, and is to be destroyed before it, but not within changed().
 */
struct nunchi_watch;
NUNCHI_API struct nunchi_error *nunchi_watch_create(
    struct nunchi_context *context,
    bool (*changed)(const struct nunchi_found *guest, enum nunchi_list_change change, void *data),
    void *data, struct nunchi_watch **ret);
/* NULL is accepted. */
NUNCHI_API void nunchi_watch_destroy(struct nunchi_watch *watch);

/* ---- Guests ---------------------------------------------------------------------------------- */

struct nunchi_guest;

/*
 * Whether a query may pause the guest. Before the first pause of a guest the library starts a child
 * process of this program, nunchi-guard, which resumes the guest should this process die; it ends
 * when the guest is closed. SIGCHLD comes when it ends; to ignore SIGCHLD, or to wait for any child
 * (waitpid(-1)), does no harm. Signals that are caught, with SA_RESTART or without, neither end a
 * pause nor leave one behind. A child of fork() must not use the parent's contexts and guests, and
 * may close nothing of theirs; it does not keep the guest paused when its parent dies.
 */
enum nunchi_pause {
	NUNCHI_PAUSE_AUTO, /* read running; pause only if a result stays torn */
	/* Pause while the pages needed are copied; for all of a query that needs new ones again. */
	NUNCHI_PAUSE_ALWAYS,
	NUNCHI_PAUSE_NEVER
};

struct nunchi_guest_options {
	size_t size; /* sizeof(struct nunchi_guest_options) */
	enum nunchi_pause pause;
	const char *symbols_path; /* System.map or /proc/kallsyms text; NULL: from memory */
	const char *types_path;   /* BTF, vmlinux, ISF .json[.xz]; NULL: from memory */
	bool count_pages;         /* keep the set behind nunchi_timing.pages_touched; costs time */
	/*
	 * The process ends right after the guest is closed: unmapping the guest's pages is left to
	 * the kernel, which does that of many pages of a guest of Xen several times faster.
	 */
	bool until_exit;
};

/*
 * Opens a guest: "xen:NAME|ID", "qemu:NAME|PID|SOCKET", or the path of a saved guest (told by
 * content). Reaches its memory; the kernel in it is found when it is first needed. options may be
 * NULL.
 */
NUNCHI_API struct nunchi_error *nunchi_guest_open(struct nunchi_context *context,
						  const char *target,
						  const struct nunchi_guest_options *options,
						  struct nunchi_guest **ret);
NUNCHI_API void nunchi_guest_close(struct nunchi_guest *guest);

/*
 * Finds the kernel now. Everything below does it by itself; call it to time, or to check that a
 * running guest is still there (NUNCHI_ERROR_GONE) with the same kernel (NUNCHI_ERROR_REBOOTED:
 * close it and open it again). Outside of a session each query checks that too; nunchi_read(),
 * nunchi_translate() and the calls on symbols only look whether the kernel's image is where it was.
 */
NUNCHI_API struct nunchi_error *nunchi_guest_attach(struct nunchi_guest *guest);

/* ---- Sessions -------------------------------------------------------------------------------- */

/*
 * Several questions to a guest that is checked, and where asked for stopped, once. All calls on the
 * guest from nunchi_session_open() to nunchi_session_close() are in the session; a call outside of
 * any session is a session of its own, as a statement outside of a transaction is in SQL. A guest
 * has one session at a time.
 *
 * When it is opened, the kernel is looked for if it was not yet, and a running guest is checked: it
 * is there (NUNCHI_ERROR_GONE), with the same kernel (NUNCHI_ERROR_REBOOTED). That is not checked
 * again while the session is open, unless nunchi_guest_attach() is called, which only checks. So
 * keep a session on a running guest as short as what it is for.
 *
 * What its cursors, nunchi_read() and nunchi_translate() see:
 *
 *  a saved guest, or hold        one state, which nothing changes; rows are read as they are asked
 *                                for
 *  NUNCHI_PAUSE_ALWAYS           one moment: the pages needed are copied while the guest is paused,
 *                                and the copies (64 MiB at most) serve all that comes. What they
 *                                lack makes all of them be copied anew, at another moment; see
 *                                nunchi_session_moment()
 *  NUNCHI_PAUSE_AUTO, _NEVER     the guest as it runs; each cursor is consistent as its pause
 * option says
 *
 * nunchi_snapshot(), symbols and types are of the guest as it is when they are called.
 */
struct nunchi_session;

struct nunchi_session_options {
	size_t size; /* sizeof(struct nunchi_session_options) */
	bool
	    hold; /* pause a running guest until the session is closed, whatever its pause option */
};

/*
 * options may be NULL. NUNCHI_ERROR_BUSY if the guest has a session already. Else the errors of
 * nunchi_guest_attach(), and with hold those of pausing.
 */
NUNCHI_API struct nunchi_error *nunchi_session_open(struct nunchi_guest *guest,
						    const struct nunchi_session_options *options,
						    struct nunchi_session **ret);
/*
 * Ends it; the guest runs again if hold had paused it, and an error says that it could not be made
 * to. A cursor that is still open can only be closed. NULL is accepted. Closing the guest closes
 * its session as well.
 */
NUNCHI_API struct nunchi_error *nunchi_session_close(struct nunchi_session *session);
/*
 * Asks what runs in the session to end soon with NUNCHI_ERROR_CANCELLED, as does every later call
 * in it. Async-signal-safe, and may be called from any thread, until the guest is closed; a request
 * that comes after the session was closed is lost, but if the next session is being opened just
 * then, it may cancel that one. The context and the guest stay usable: close the session and open
 * the next.
 */
NUNCHI_API void nunchi_session_cancel(struct nunchi_session *session);
/*
 * Which moment of the guest the session shows: a number that is another one once the copies were
 * made anew; 0 while the guest runs and each row is of a moment of its own. If it is the same, and
 * not 0, after the first cursor of several and after the last, all of them saw one state; if not,
 * run them again: the copies have now what all of them read.
 */
NUNCHI_API uint64_t nunchi_session_moment(const struct nunchi_session *session);

/* What nunchi knows of the guest and how, in order of display. The strings live for the call. */
struct nunchi_fact {
	const char *topic; /* "target", "memory", "capability", "kernel", "missing" */
	const char *name;
	const char *value;
	const char *evidence; /* where it comes from or why, or NULL */
};

/*
 * Calls fact for each. Attaches if it can; a kernel that is not found is a fact of its own, and
 * the reason is also returned after the other facts were given.
 */
NUNCHI_API struct nunchi_error *
nunchi_guest_info(struct nunchi_guest *guest,
		  void (*fact)(const struct nunchi_fact *fact, void *data), void *data);

/*
 * What the user should know before trusting what is shown: which part of a saved guest is missing,
 * what is less sure. Number index from 0 on; NULL past the last one. Lives as long as
 * the guest, and finding the kernel may add some.
 */
NUNCHI_API const char *nunchi_guest_note(const struct nunchi_guest *guest, size_t index);

/* Costs since the guest was opened. */
struct nunchi_timing {
	size_t size; /* set by the caller: sizeof(struct nunchi_timing) */
	double attach_ms;
	double query_ms;        /* of cursors, and of nunchi_read() outside of sessions */
	uint64_t bytes_read;    /* copied out of the guest's memory */
	uint64_t pages_touched; /* distinct pages read or copied; 0 without option count_pages */
	uint64_t paused_us;     /* how long we had the guest paused */
	uint64_t private_kb;    /* private memory of this process now */
};
NUNCHI_API void nunchi_guest_timing(const struct nunchi_guest *guest, struct nunchi_timing *ret);

/* ---- Views ----------------------------------------------------------------------------------- */

enum nunchi_type {
	NUNCHI_TYPE_INTEGER, /* int64_t */
	NUNCHI_TYPE_REAL,    /* double */
	NUNCHI_TYPE_ADDRESS, /* uint64_t, shown as 0x… */
	NUNCHI_TYPE_TEXT     /* bytes, usually UTF-8, never trusted to be */
};

/*
 * What a column's number counts. A cell and JSON and CSV always hold the plain number; a table
 * shows it as the example says.
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
};

/* All views, sorted by name. Static storage. */
NUNCHI_API const struct nunchi_view *const *nunchi_views(size_t *ret_count);
/* The view of that name, or NULL. */
NUNCHI_API const struct nunchi_view *nunchi_view_find(const char *name);

enum nunchi_cell_kind { NUNCHI_CELL_ABSENT, NUNCHI_CELL_VALUE };

/* Why a cell has no value. */
enum nunchi_absence {
	NUNCHI_ABSENT_NOT_COMPUTED,   /* the column was not asked for */
	NUNCHI_ABSENT_NOT_APPLICABLE, /* a kernel thread has no command line */
	NUNCHI_ABSENT_PAGED_OUT,      /* swapped out: the bytes are not in RAM */
	NUNCHI_ABSENT_NOT_MAPPED,     /* the guest's page tables or RAM have nothing there */
	NUNCHI_ABSENT_NOT_SAVED,      /* the saved guest lacks that page */
	NUNCHI_ABSENT_NO_LAYOUT,      /* this kernel's types lack a field that is needed */
	NUNCHI_ABSENT_BAD_DATA,       /* the guest's bytes contradict themselves */
	NUNCHI_ABSENT_LIMIT,          /* longer than the limit of what is read */
	NUNCHI_ABSENT_NO_SYMBOL,      /* the address of a variable of the kernel is not known */
	NUNCHI_ABSENT_IO              /* the hypervisor or the file could not be read there */
};

/* "paged out" and so on. Static storage. */
NUNCHI_API const char *nunchi_absence_string(enum nunchi_absence absence);

struct nunchi_cell {
	enum nunchi_cell_kind kind;
	enum nunchi_type type;
	enum nunchi_absence absence; /* when absent */
	int64_t integer;
	uint64_t address;
	double real;
	const char *text; /* not NUL-terminated; valid until the next row */
	size_t text_size;
};

enum nunchi_operator {
	NUNCHI_EQUAL,
	NUNCHI_LESS,
	NUNCHI_LESS_EQUAL,
	NUNCHI_GREATER,
	NUNCHI_GREATER_EQUAL,
	NUNCHI_IN,    /* equal to one of `values` */
	NUNCHI_PREFIX /* a text that begins with `value` */
};

/*
 * A condition on a column. Values are text, read as the column's type whatever the locale: whole
 * numbers and addresses in decimal or with 0x, reals with a point. Texts are compared byte by byte.
 * A cell without a value meets no condition.
 */
struct nunchi_constraint {
	const char *column;
	const char *value; /* of every operator but NUNCHI_IN */
	enum nunchi_operator op;
	const char *const *values; /* of NUNCHI_IN */
	size_t value_count;
};

struct nunchi_query {
	size_t size;                /* sizeof(struct nunchi_query) */
	const char *const *columns; /* names wanted, NULL: all */
	size_t column_count;
	/* All must hold; a column may have several. They save work where the view can use them. */
	const struct nunchi_constraint *constraints;
	size_t constraint_count;
	uint64_t limit; /* most rows, 0: no limit */
};

struct nunchi_cursor;

/*
 * Starts a query on a view of nunchi_views(). query may be NULL: everything. Close the cursor
 * before its session and its guest.
 */
NUNCHI_API struct nunchi_error *nunchi_cursor_open(struct nunchi_guest *guest,
						   const struct nunchi_view *view,
						   const struct nunchi_query *query,
						   struct nunchi_cursor **ret);
/* The cursor's columns, in the order asked for. Owned by the cursor. */
NUNCHI_API const struct nunchi_column *const *
nunchi_cursor_columns(const struct nunchi_cursor *cursor, size_t *ret_count);
/*
 * The next row: one cell a column, valid until the next call; NUNCHI_ERROR_STOP at the end.
 * *ret_torn says that the guest changed the row while it was read, again and again.
 */
NUNCHI_API struct nunchi_error *nunchi_cursor_next(struct nunchi_cursor *cursor,
						   const struct nunchi_cell **ret_cells,
						   bool *ret_torn);
/* What could not be shown (a list cut short, a broken link …), or NULL. Ask after the last row. */
NUNCHI_API const char *nunchi_cursor_warning(const struct nunchi_cursor *cursor, size_t index);
NUNCHI_API void nunchi_cursor_close(struct nunchi_cursor *cursor);

/* ---- Memory, symbols, types ------------------------------------------------------------------ */

enum nunchi_space {
	NUNCHI_SPACE_KERNEL,  /* virtual, by the kernel's page table */
	NUNCHI_SPACE_PROCESS, /* virtual, by the page table of the process `id` */
	NUNCHI_SPACE_TABLE,   /* virtual, by the page table whose root (CR3) is `id` */
	NUNCHI_SPACE_PHYSICAL /* guest-physical */
};

struct nunchi_place {
	enum nunchi_space space;
	uint64_t id;
	uint64_t address;
};

/*
 * Reads exactly size bytes, or fails with the first address that cannot be read; what is in buffer
 * is then undefined.
 */
NUNCHI_API struct nunchi_error *nunchi_read(struct nunchi_guest *guest,
					    const struct nunchi_place *place, size_t size,
					    void *buffer);

struct nunchi_translation_level {
	const char *table;      /* "PML5", "PML4", "PDPT", "PD", "PT" */
	uint64_t entry_address; /* guest-physical */
	uint64_t entry;         /* its value */
	bool present;
	bool large; /* ends the walk here */
};

struct nunchi_translation {
	struct nunchi_translation_level levels[5];
	size_t level_count;
	bool mapped;
	uint64_t physical;  /* when mapped */
	uint64_t page_size; /* bytes, when mapped */
	bool writable, user, executable;
	const char *fault; /* when not mapped: why; static storage */
};

NUNCHI_API struct nunchi_error *nunchi_translate(struct nunchi_guest *guest,
						 const struct nunchi_place *place,
						 struct nunchi_translation *ret);

struct nunchi_symbol {
	const char *name; /* owned by the guest, until the next symbol call */
	uint64_t address;
	uint64_t offset;    /* of the address asked for, from the symbol */
	char type;          /* nm letter, '?' if unknown */
	const char *module; /* NULL: the kernel itself */
};

/*
 * By name: the kernel's symbol, else a module's. "MODULE:NAME" means that of one module;
 * NUNCHI_ERROR_AMBIGUOUS names the modules where several have it. Where the name is missing, the
 * only one that a compiler made of it is meant (NAME.llvm.1, NAME.isra.0, NAME.cold …). A
 * suggestion is in the hint of the error where a name is near.
 */
NUNCHI_API struct nunchi_error *nunchi_symbol_find(struct nunchi_guest *guest, const char *name,
						   struct nunchi_symbol *ret);
/* The symbol at or before an address of the kernel's image or of a module. */
NUNCHI_API struct nunchi_error *nunchi_symbol_at(struct nunchi_guest *guest, uint64_t address,
						 struct nunchi_symbol *ret);

struct nunchi_member {
	const char *name; /* "" for an anonymous member; "(hole)" with hole set */
	const char *type; /* as C spells it */
	uint64_t bit_offset;
	uint64_t bit_size;
	unsigned depth; /* nesting inside anonymous members, 0 outermost */
	bool bit_field;
	bool hole;
};

struct nunchi_type_info {
	const char *kind; /* "struct", "union", "enum", "typedef", "int" … */
	const char *name;
	const char *target; /* of a typedef: as C spells it; else NULL */
	uint64_t size;      /* bytes */
	uint64_t holes;     /* bytes lost to holes and padding */
	size_t member_count;
	const char *module; /* whose types have it; NULL: the kernel's own */
};

/*
 * The layout of a type ("struct task_struct", "task_struct", "pid_t") of the kernel, or of a module
 * where the kernel has none or only declares it; "MODULE:NAME" means that of one module.
 * NUNCHI_ERROR_AMBIGUOUS names the modules whose types of that name differ. Calls type once, then
 * member for each member, enumerator (bit_offset is its value) or hole. The strings live for the
 * call.
 */
NUNCHI_API struct nunchi_error *
nunchi_type_layout(struct nunchi_guest *guest, const char *name,
		   void (*type)(const struct nunchi_type_info *type, void *data),
		   void (*member)(const struct nunchi_member *member, void *data), void *data);

/* ---- Snapshots ------------------------------------------------------------------------------- */

enum nunchi_format { NUNCHI_FORMAT_ELF, NUNCHI_FORMAT_LIME, NUNCHI_FORMAT_RAW };

/*
 * Writes the guest's memory to a new file, sparse where it is zero, under a temporary name that
 * becomes path only when all is written. The pause option of the guest decides whether it is
 * stopped meanwhile. progress (may be NULL) is given bytes done and in all; false cancels.
 */
NUNCHI_API struct nunchi_error *
nunchi_snapshot(struct nunchi_guest *guest, const char *path, enum nunchi_format format,
		bool (*progress)(uint64_t done, uint64_t total, void *data), void *data);

/* ---- Output ---------------------------------------------------------------------------------- */

enum nunchi_output { NUNCHI_OUTPUT_TABLE, NUNCHI_OUTPUT_JSON, NUNCHI_OUTPUT_CSV };

struct nunchi_writer;

struct nunchi_writer_options {
	size_t size; /* sizeof(struct nunchi_writer_options) */
	enum nunchi_output output;
	unsigned width;  /* of the terminal, 0: unlimited */
	bool color;      /* a table's header in bold */
	bool never_torn; /* no row will be torn: CSV does without its column `torn` */
	/*
	 * Of a table: how the reader sees the columns that did not fit ("--wide shows all"), which
	 * stands behind their names; NULL: nothing. Must live as long as the writer.
	 */
	const char *left_out_hint;
};

/*
 * Makes a writer of rows. write is given finished bytes; if it returns false (a closed pipe, a full
 * disk) the call at hand ends with NUNCHI_ERROR_CANCELLED. A table is held back until the end, or
 * until 1,000 rows set its column widths. options may be NULL; columns are copied, and none may be
 * called "torn", "absent" or "raw". A table shows numbers by their column's unit; where the width
 * is limited it shortens texts, leaves columns out from the right and names them behind the last
 * row. Every form keeps value, absence and torn row apart:
 *
 *  table  "-" not applicable, "<paged out>" … other absences; a torn row ends in " ~"
 *  CSV    the same words; a last column `torn`, 0 or 1
 *  JSON   null, with the reason in an object "absent"; "torn":true in torn rows only; bytes that
 *         are not UTF-8 are U+FFFD, with the whole text in hexadecimal in an object "raw"
 *
 * Text in a table and CSV is escaped as nunchi_escape() does, and so that it cannot look like an
 * absence or a mark (\< and \- in front, \~ at the end). JSON is valid UTF-8 on one line.
 */
NUNCHI_API struct nunchi_error *
nunchi_writer_create(const struct nunchi_writer_options *options,
		     const struct nunchi_column *const *columns, size_t column_count,
		     bool (*write)(const char *data, size_t size, void *data2), void *data,
		     struct nunchi_writer **ret);
NUNCHI_API struct nunchi_error *nunchi_writer_row(struct nunchi_writer *writer,
						  const struct nunchi_cell *cells, bool torn);
/* Writes what is held back. */
NUNCHI_API struct nunchi_error *nunchi_writer_finish(struct nunchi_writer *writer);
NUNCHI_API void nunchi_writer_destroy(struct nunchi_writer *writer);

/*
 * Makes hostile bytes fit to be shown on one line: printable UTF-8 stays; control and invisible
 * characters, bytes that are not UTF-8 and the backslash become \n, \t, \r, \\, \xNN or
 * \u{NNNN}. Writes at most capacity bytes to ret, cut between characters and NUL-terminated, and
 * gives the size all of it has without the NUL, as snprintf() does.
 */
NUNCHI_API size_t nunchi_escape(const char *text, size_t size, char *ret, size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
