/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define MOST_OPTIONS 32
#define MEMORY_LEAST ((uint64_t)16 << 20)

static const struct cli_option common_options[] = {
    {"json", OPTION_JSON, NULL, "print one JSON object a line, numbers as they are"},
    {"csv", OPTION_CSV, NULL, "print comma-separated values, numbers as they are"},
    {"wide", OPTION_WIDE, NULL,
     "show all columns in full; the default where standard output is no terminal. On a terminal "
     "texts are shortened and columns left out until a row fits"},
    {"pause", OPTION_PAUSE, "auto|always|never",
     "when to pause a running guest: auto (the default) only for rows that keep changing while "
     "they are read; always while the pages needed are copied"},
    {"symbols", OPTION_SYMBOLS, "FILE",
     "read the kernel's symbols from a System.map instead of the guest's memory"},
    {"types", OPTION_TYPES, "FILE",
     "read the kernel's types from BTF, a vmlinux or ISF (.json, .json.xz) instead of the "
     "guest's memory"},
    {"kernel", OPTION_KERNEL, "ADDRESS",
     "show the kernel whose _text is at this physical address, where the memory has several; notes "
     "and errors give the addresses"},
    {"remains", OPTION_REMAINS, NULL,
     "if no vCPU runs a kernel (after a reset, or in the firmware or boot loader), show what "
     "remains in the memory of the kernel that ran before"},
    {"no-note", OPTION_NO_NOTE, NULL, "leave aside the VMCOREINFO note in the file"},
    {"memory", OPTION_MEMORY, "SIZE",
     "how much memory the command may take to read a guest or, as doctor, a host and its logs "
     "(default: 256M; 1G with --types), such as 512M or 2G"},
    {"no-sandbox", OPTION_NO_SANDBOX, NULL,
     "for debugging: keep privileges and system calls that reading a guest does not need; \"nunchi "
     "info\" says what is given up otherwise"},
    {"timing", OPTION_TIMING, NULL,
     "print time spent, bytes read and time paused as a JSON object on standard error"},
    {"color", OPTION_COLOR, "auto|always|never",
     "print headers in bold; auto (the default): on a terminal, unless NO_COLOR is set"},
    {"no-color", OPTION_NO_COLOR, NULL, "the same as --color never"},
    {"help", 'h', NULL, "explain the command, with examples"},
};
/* Taken before the command only: a command may have an option of that name. */
static const struct cli_option version_option = {"version", OPTION_VERSION, NULL,
						 "print the version"};

struct option_set {
	const struct cli_option *known[MOST_OPTIONS];
	struct option getopt[MOST_OPTIONS + 1];
	char letters[2 + 2 * MOST_OPTIONS + 1]; /* for getopt: "+:ho:" */
	size_t count;
};

static void add_option(struct option_set *set, const struct cli_option *option)
{
	size_t length = strlen(set->letters);

	if (set->count == MOST_OPTIONS)
		return;
	set->known[set->count] = option;
	set->getopt[set->count].name = option->name;
	set->getopt[set->count].has_arg = option->argument ? required_argument : no_argument;
	set->getopt[set->count].val = option->letter;
	set->count++;
	if (option->letter < 256) {
		set->letters[length++] = (char)option->letter;
		if (option->argument)
			set->letters[length] = ':';
	}
}

static void build_set(struct option_set *set, const struct command *command)
{
	*set = (struct option_set){0};
	/* Without a command "+" stops at the first word that is no option: that is the command. */
	snprintf(set->letters, sizeof(set->letters), "%s", command ? ":" : "+:");
	for (size_t i = 0; i < ARRAY_SIZE(common_options); i++)
		add_option(set, &common_options[i]);
	if (!command)
		add_option(set, &version_option);
	for (size_t i = 0; command && i < command->option_count; i++)
		add_option(set, &command->options[i]);
}

static int take_pause(struct cli *cli, const char *value)
{
	if (!strcmp(value, "auto"))
		cli->guest_options.pause = NUNCHI_PAUSE_AUTO;
	else if (!strcmp(value, "always"))
		cli->guest_options.pause = NUNCHI_PAUSE_ALWAYS;
	else if (!strcmp(value, "never"))
		cli->guest_options.pause = NUNCHI_PAUSE_NEVER;
	else
		return cli_misuse(cli, NULL, "--pause takes auto, always or never, not \"%s\"",
				  value);
	return CLI_DONE;
}

static int take_color(struct cli *cli, const char *value)
{
	if (!strcmp(value, "always"))
		cli->color = true;
	else if (!strcmp(value, "never"))
		cli->color = false;
	else if (strcmp(value, "auto"))
		return cli_misuse(cli, NULL, "--color takes auto, always or never, not \"%s\"",
				  value);
	return CLI_DONE;
}

/* Takes an option of common_options; -1 if the letter is none of these. */
static int take_common(struct cli *cli, int letter, const char *value)
{
	switch (letter) {
	case OPTION_JSON:
		cli->output = NUNCHI_OUTPUT_JSON;
		break;
	case OPTION_CSV:
		cli->output = NUNCHI_OUTPUT_CSV;
		break;
	case OPTION_PAUSE:
		return take_pause(cli, value);
	case OPTION_SYMBOLS:
		cli->guest_options.symbols_path = value;
		break;
	case OPTION_TYPES:
		cli->guest_options.types_path = value;
		break;
	case OPTION_KERNEL:
		if (!parse_address(value, &cli->guest_options.kernel) || !cli->guest_options.kernel)
			return cli_misuse(cli, NULL,
					  "--kernel takes a physical address such as 0x1000000, "
					  "not \"%s\"",
					  value);
		break;
	case OPTION_NO_NOTE:
		cli->guest_options.no_note = true;
		break;
	case OPTION_MEMORY:
		if (!parse_size(value, &cli->memory) || cli->memory < MEMORY_LEAST)
			return cli_misuse(cli, NULL,
					  "--memory takes a size of 16M or more, such as 512M, not "
					  "\"%s\"",
					  value);
		break;
	case OPTION_NO_SANDBOX:
		cli->guest_options.confine = false;
		break;
	case OPTION_REMAINS:
		cli->guest_options.remains = true;
		break;
	case OPTION_TIMING:
		cli->timing = cli->guest_options.count_pages = true;
		break;
	case OPTION_COLOR:
		return take_color(cli, value);
	case OPTION_NO_COLOR:
		cli->color = false;
		break;
	case OPTION_WIDE:
		cli->width = 0;
		break;
	case 'h':
		cli->help = true;
		break;
	case OPTION_VERSION:
		cli->version = true;
		break;
	default:
		return -1;
	}
	return CLI_DONE;
}

static const char *option_name(size_t i, const void *set_pointer)
{
	const struct option_set *set = set_pointer;

	return i < set->count ? set->known[i]->name : NULL;
}

/* Prints why getopt_long() refused argv[optind - 1]. */
static int refuse(struct cli *cli, const struct option_set *set, char **argv, int result)
{
	const char *word = argv[optind - 1];
	char name[64];
	const char *near;

	if (result == ':')
		return cli_misuse(cli, NULL, "option %s needs a value", word);
	if (strncmp(word, "--", 2))
		return cli_misuse(cli, NULL, "there is no option -%c", optopt);
	for (size_t i = 0; i < set->count; i++)
		if (optopt == set->known[i]->letter)
			return cli_misuse(cli, NULL, "option --%s takes no value",
					  set->known[i]->name);
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	near = suggest(name, option_name, set);
	if (!near)
		return cli_misuse(cli, NULL, "there is no option %s", word);
	snprintf(name, sizeof(name), "--%s", near);
	return cli_misuse(cli, name, "there is no option %s", word);
}

static int take_options(struct cli *cli, const struct command *command, void *state, int argc,
			char **argv)
{
	struct option_set set;
	int result, status;

	build_set(&set, command);
	optind = 0; /* 0 instead of 1 has GNU getopt read the "+" again */
	opterr = 0;
	while ((result = getopt_long(argc, argv, set.letters, set.getopt, NULL)) != -1) {
		if (result == '?' || result == ':')
			return refuse(cli, &set, argv, result);
		status = take_common(cli, result, optarg);
		if (status < 0)
			status = command->option(cli, state, result, optarg);
		if (status)
			return status;
	}
	return CLI_DONE;
}

int options_before(struct cli *cli, int argc, char **argv, int *ret_index)
{
	int status = take_options(cli, NULL, NULL, argc, argv);

	if (!status)
		*ret_index = optind;
	return status;
}

int options_after(struct cli *cli, void *state, int argc, char **argv, char ***ret_arguments,
		  int *ret_count)
{
	int status = take_options(cli, cli->command, state, argc, argv);

	if (!status) {
		*ret_arguments = argv + optind;
		*ret_count = argc - optind;
	}
	return status;
}

/* "  -o, --output FILE      help". */
static void print_option(struct cli *cli, const struct cli_option *option)
{
	enum { INDENT = 26 };
	char left[64];
	int column;

	snprintf(left, sizeof(left), option->letter < 256 ? "  -%c, --%s%s%s" : "  %c   --%s%s%s",
		 option->letter < 256 ? option->letter : ' ', option->name,
		 option->argument ? " " : "", option->argument ? option->argument : "");
	column = cli_columns(left, (int)strlen(left));
	cli_printf(cli, "%s", left);
	if (column > INDENT - 2) {
		cli_printf(cli, "\n");
		column = 0;
	}
	cli_printf(cli, "%*s", INDENT - column, "");
	cli_print_wrapped(cli, option->help, INDENT, INDENT);
}

void options_help_common(struct cli *cli, bool overview)
{
	cli_printf(
	    cli, "\nOptions of every command, before or after its name. Where one means nothing,\n"
		 "as --csv for cat, it is refused or changes nothing:\n");
	for (size_t i = 0; i < ARRAY_SIZE(common_options); i++)
		print_option(cli, &common_options[i]);
	if (overview)
		print_option(cli, &version_option);
}

void options_help_status(struct cli *cli)
{
	cli_printf(cli, "\n");
	cli_print_wrapped(
	    cli,
	    "Exit status: 0 done, 1 failed, 2 wrong arguments or options, 3 check or diff found "
	    "something, 128 + N ended by signal N.",
	    0, 0);
}

/* "Checks:" and the words on lines of their own, separated by commas. */
static void print_words(struct cli *cli, const struct command *command)
{
	enum { INDENT = 2 };
	const char *word;
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	if (!stream) {
		cli->write_errno = ENOMEM;
		return;
	}
	for (size_t n = 0; (word = command->word(n)); n++)
		fprintf(stream, "%s%s", n ? ", " : "", word);
	fclose(stream);
	cli_printf(cli, "\n%s:\n%*s", command->words, INDENT, "");
	cli_print_wrapped(cli, text ? text : "", INDENT, INDENT);
	free(text);
}

void options_help(struct cli *cli, const struct command *command)
{
	cli_printf(cli, "usage: nunchi %s [OPTION]…%s%s\n\n", command->name,
		   command->arguments[0] ? " " : "", command->arguments);
	cli_print_wrapped(cli, command->description, 0, 0);
	if (command->words)
		print_words(cli, command);
	if (command->option_count)
		cli_printf(cli, "\nOptions:\n");
	for (size_t i = 0; i < command->option_count; i++)
		print_option(cli, &command->options[i]);
	options_help_common(cli, false);
	cli_printf(cli, "\nExamples:\n%s", command->examples);
	options_help_status(cli);
}
