/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared pieces of the guest workload. */
#ifndef NUNCHI_WORKLOAD_H
#define NUNCHI_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { HOSTILE_COUNT = 22 };

/*
 * Inherited descriptors: where to say ready, what an executed program is to do,
 * where the manager says ready. Below 64, so that no table of files grows.
 */
enum { READY_FD = 60, INSTRUCTION_FD = 61, MANAGER_FD = 62, READY_TIMEOUT_MS = 30000 };

/* Names made to break parsers and terminals; none holds '/'. */
extern const char *const hostile[HOSTILE_COUNT];

/* The process stands as wanted; must be called once by each role. */
void ready(void);
/* Leave it to another process of the same role to be ready. */
void leave_ready(void);
/* Sleep for good. */
void rest(void) __attribute__((noreturn));
/* Report what could not be set up; the workload goes on. */
void complain(const char *what);
/* Die with a message if CONDITION does not hold. */
#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			complain(#condition);                                                      \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

/* Fork, let ROLE(NUMBER) set itself up, return its process id when it is ready. */
pid_t spawn(void (*role)(long number), long number);
/* The same, but executing PATH with ARGV and ENVP; INSTRUCTION (see
 * run_instruction()) is what it does there. */
pid_t spawn_program(const char *path, char *const argv[], char *const envp[],
		    const char *instruction);

/* What the process was started with, in memory. */
extern char *argument_start, *argument_end, *environment_end;
/* Do what spawn_program() asked for, in the executed program. */
void run_instruction(const char *instruction) __attribute__((noreturn));

void set_name(const char *name);
bool write_text(const char *path, const char *text);
/* Copy a file, mode 0755. */
bool copy_file(const char *from, const char *to);
/* mkdir that may already be there. */
bool make_directory(const char *path);

/* One function a family; each in the file named. */
void start_names(void); /* workload_process.c */
void start_arguments(void);
void start_credentials(void);
void start_states(void);
void start_threads(void);
void start_times(void);
void start_files(void); /* workload_files.c */
void start_sockets(void);
void start_maps(void);
void start_mounts(void); /* workload_system.c */
void start_executables(void);
void start_cgroups(void);
void start_containers(void);
void start_network(void); /* workload_network.c */
void write_log(void);

#endif
