/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs a fuzz target over each file of its corpus again and again, and each time another one of the
 * allocations that nunchi makes fails: each of the first EACH, then a sample; every fourth time all
 * that follow as well. Wrong is: a crash, a hang, memory or a descriptor that is not given back, an
 * error that says something else than that memory ran out, and rows of a view that differ without
 * such an error.
 *
 *	nomem_NAME CORPUS-DIRECTORY
 *
 * The last line says how many allocations failed and how many of these runs were wrong. A run that
 * the fuzz target itself ends by abort() or a trap, for what it set up or checks needs memory, is
 * given up and counted, and only what happened up to there is judged.
 */
#include "replay.h"

#include "allocations.h"
#include "core/error.h"
#include "view/cursor.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define EACH       1000
#define SAMPLE     200
#define ERRORS_MAX 512
#define TEXT_MAX   256
#define RUN_S      20 /* after which a run hangs */
#define SHOWN_MAX  6  /* wrong runs of one input that are described */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void __real_nunchi_error_destroy(struct nunchi_error *err);
void __wrap_nunchi_error_destroy(struct nunchi_error *err);
struct nunchi_error *__real_view_cursor_next(struct view_cursor *cursor,
					     const struct nunchi_cell **ret_cells, bool *ret_torn);
struct nunchi_error *__wrap_view_cursor_next(struct view_cursor *cursor,
					     const struct nunchi_cell **ret_cells, bool *ret_torn);

/* An error that the fuzz target got. */
struct seen {
	enum nunchi_error_code code;
	char text[TEXT_MAX];
};

/* What a run gave. */
struct outcome {
	struct seen errors[ERRORS_MAX];
	size_t error_count;
	uint64_t rows; /* a digest of what views gave */
	uint64_t allocations;
	size_t live;
	int descriptor; /* the lowest that is free */
	bool says_memory;
	bool gave_up;
};

/* What the process that runs an input leaves to its parent, should it die. */
struct progress {
	uint64_t number; /* of the allocation that fails */
	bool and_on, over;
	uint64_t failed, gave_up, wrong, crashed;
};

static struct progress *progress;
static struct outcome normal, run;
static sigjmp_buf give_up;
static bool running;

/* ---- What the fuzz target sees ----------------------------------------------------------------
 */

static bool is_own(const void *code)
{
	return (uintptr_t)code < (uintptr_t)own_code_ends_here;
}

static bool says_memory(const char *text)
{
	return strstr(text, "out of memory") || strstr(text, "Cannot allocate memory") ||
	       strstr(text, "memory ran out");
}

static void note_error(const struct nunchi_error *err)
{
	struct seen *seen = &run.errors[run.error_count];

	if (nunchi_error_code(err) == NUNCHI_ERROR_NOMEM || says_memory(nunchi_error_message(err)))
		run.says_memory = true;
	if (run.error_count == ERRORS_MAX)
		return;
	seen->code = nunchi_error_code(err);
	snprintf(seen->text, sizeof(seen->text), "%s", nunchi_error_message(err));
	run.error_count++;
}

void __wrap_nunchi_error_destroy(struct nunchi_error *err)
{
	if (err && running && is_own(__builtin_return_address(0)))
		note_error(err);
	__real_nunchi_error_destroy(err);
}

static void digest(const void *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		run.rows = (run.rows ^ ((const uint8_t *)data)[i]) * UINT64_C(0x100000001b3);
}

static void digest_cells(const struct nunchi_cell *cells, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		digest(&cells[i].kind, sizeof(cells[i].kind));
		if (cells[i].kind == NUNCHI_CELL_ABSENT) {
			digest(&cells[i].absence, sizeof(cells[i].absence));
		} else if (cells[i].type == NUNCHI_TYPE_TEXT) {
			digest(cells[i].text, cells[i].text_size);
		} else {
			digest(&cells[i].integer, sizeof(cells[i].integer));
			digest(&cells[i].address, sizeof(cells[i].address));
		}
	}
}

struct nunchi_error *__wrap_view_cursor_next(struct view_cursor *cursor,
					     const struct nunchi_cell **ret_cells, bool *ret_torn)
{
	struct nunchi_error *err = __real_view_cursor_next(cursor, ret_cells, ret_torn);
	const char *warning;
	size_t count;

	if (!running || !is_own(__builtin_return_address(0)))
		return err;
	if (!err) {
		view_cursor_columns(cursor, &count);
		digest_cells(*ret_cells, count);
	}
	for (size_t i = 0; err && (warning = view_cursor_warning(cursor, i)); i++) {
		run.says_memory = run.says_memory || says_memory(warning);
		digest(warning, strlen(warning));
	}
	return err;
}

/* ---- One run -----------------------------------------------------------------------------------
 */

/* The fuzz target's own are the end of a run without memory; all others are nunchi's fault. */
void abort(void)
{
	if (running && allocations_failed() && is_own(__builtin_return_address(0)))
		siglongjmp(give_up, 1);
	signal(SIGABRT, SIG_DFL);
	raise(SIGABRT);
	_exit(1);
}

static void on_trap(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (running && allocations_failed() && is_own(info->si_addr))
		siglongjmp(give_up, 1);
	signal(number, SIG_DFL);
}

/* What a crash is known by; then it is one. */
static void on_crash(int number)
{
	fflush(stdout);
	allocations_print_place(STDOUT_FILENO);
	allocations_print_here(STDOUT_FILENO);
	signal(number, SIG_DFL);
	raise(number);
}

static int lowest_descriptor(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

static void run_once(const uint8_t *data, size_t size, uint64_t fail_at, bool and_on)
{
	const struct itimerval limit = {.it_value = {.tv_sec = RUN_S}};

	run.error_count = 0;
	run.rows = 0;
	run.says_memory = run.gave_up = false;
	setitimer(ITIMER_REAL, &limit, NULL);
	running = true;
	allocations_begin(fail_at, and_on);
	if (sigsetjmp(give_up, 1))
		run.gave_up = true;
	else
		LLVMFuzzerTestOneInput(data, size);
	run.allocations = allocations_end();
	running = false;
	run.live = allocations_live();
	run.descriptor = lowest_descriptor();
}

/* Whether the error was there with enough memory too; without, its message may lack parts. */
static bool is_usual(const struct seen *seen)
{
	for (size_t i = 0; i < normal.error_count; i++) {
		if (normal.errors[i].code == seen->code &&
		    strstr(normal.errors[i].text, seen->text))
			return true;
	}
	return normal.error_count == ERRORS_MAX;
}

/* What is wrong with the run, or NULL. */
static const char *judge(void)
{
	static char text[2 * TEXT_MAX];

	for (size_t i = 0; i < run.error_count; i++) {
		const struct seen *seen = &run.errors[i];

		if (seen->code == NUNCHI_ERROR_NOMEM || says_memory(seen->text) || is_usual(seen))
			continue;
		snprintf(text, sizeof(text), "error %d: %s", seen->code, seen->text);
		return text;
	}
	if (run.gave_up)
		return NULL;
	if (!run.says_memory && run.rows != normal.rows)
		return "other rows, and nothing says that memory ran out";
	if (run.live > normal.live) {
		snprintf(text, sizeof(text), "%zu blocks leak", run.live - normal.live);
		return text;
	}
	if (run.descriptor != normal.descriptor)
		return "a descriptor is left open";
	return NULL;
}

static void describe(const char *path, const char *what)
{
	printf("FAILED %s: allocation %lu%s: %s\n", path, (unsigned long)progress->number,
	       progress->and_on ? " and all after it" : "", what);
	fflush(stdout);
	allocations_print_place(STDOUT_FILENO);
}

/* ---- All runs of an input ----------------------------------------------------------------------
 */

/* The number after this one: all of the first EACH, then so that SAMPLE more reach the end. */
static uint64_t number_after(uint64_t number)
{
	uint64_t rest = normal.allocations > EACH ? normal.allocations - EACH : 0;

	return number < EACH ? number + 1 : number + 1 + rest / SAMPLE;
}

/* In a process of its own, from progress->number on. */
static void run_all(const char *path, const uint8_t *data, size_t size)
{
	const struct sigaction action = {.sa_sigaction = on_trap,
					 .sa_flags = SA_SIGINFO | SA_NODEFER};

	sigaction(SIGILL, &action, NULL);
	sigaction(SIGTRAP, &action, NULL);
	signal(SIGSEGV, on_crash);
	signal(SIGBUS, on_crash);
	signal(SIGALRM, on_crash);
	/* What is made once, and kept, is made before anything is counted. */
	for (int i = 0; i < 3; i++)
		run_once(data, size, 0, false);
	normal = run;
	while (progress->number <= normal.allocations) {
		const char *wrong;

		run_once(data, size, progress->number, progress->and_on);
		progress->failed += allocations_failed() > 0;
		progress->gave_up += run.gave_up;
		wrong = judge();
		if (wrong && ++progress->wrong <= SHOWN_MAX)
			describe(path, wrong);
		/* What was left open is so for good. */
		normal.descriptor = run.descriptor;
		if (progress->number % 4 == 0 && !progress->and_on) {
			progress->and_on = true;
			continue;
		}
		progress->and_on = false;
		progress->number = number_after(progress->number);
	}
	progress->over = true;
	fflush(stdout);
	_exit(0);
}

static void replay(const char *path, const uint8_t *data, size_t size)
{
	progress->number = 1;
	progress->and_on = progress->over = false;
	progress->wrong = progress->crashed = 0;
	while (!progress->over) {
		pid_t pid;
		int status;

		fflush(stdout);
		pid = fork();
		if (pid == 0)
			run_all(path, data, size);
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			_exit(1);
		if (progress->over)
			break;
		progress->crashed++;
		printf("FAILED %s: allocation %lu%s: %s %d\n", path,
		       (unsigned long)progress->number, progress->and_on ? " and all after it" : "",
		       WIFSIGNALED(status) ? "ended by signal" : "exited with",
		       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		if (progress->crashed == SHOWN_MAX)
			break;
		/* Both ways of this number count as done. */
		progress->and_on = false;
		progress->number++;
	}
}

static bool replay_file(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t *data;

	if (fd < 0 || fstat(fd, &st))
		return false;
	data = malloc(st.st_size ? (size_t)st.st_size : 1);
	if (!data || read(fd, data, (size_t)st.st_size) != st.st_size)
		return false;
	close(fd);
	replay(path, data, (size_t)st.st_size);
	free(data);
	return true;
}

int main(int argc, char **argv)
{
	uint64_t wrong = 0, inputs = 0;
	struct dirent **entries;
	struct rlimit files;
	int count;

	allocations_init((const void *)own_code_ends_here);
	if (argc != 2 || (count = scandir(argv[1], &entries, NULL, alphasort)) < 0 ||
	    !is_own((const void *)LLVMFuzzerTestOneInput) || is_own((const void *)error_create)) {
		fprintf(stderr, "usage: %s CORPUS-DIRECTORY\n", argv[0]);
		return 2;
	}
	/* A run that is given up leaves descriptors open. */
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	for (int i = 0; i < count; i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", argv[1], entries[i]->d_name);
		if (entries[i]->d_name[0] == '.')
			continue;
		if (!replay_file(path)) {
			fprintf(stderr, "%s: cannot be read\n", path);
			return 2;
		}
		inputs++;
		wrong += progress->wrong + progress->crashed;
	}
	printf("%lu inputs, %lu failed allocations, %lu runs given up, %lu wrong\n",
	       (unsigned long)inputs, (unsigned long)progress->failed,
	       (unsigned long)progress->gave_up, (unsigned long)wrong);
	return wrong > 0;
}
