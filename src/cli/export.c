/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <string.h>

static const struct cli_option export_options[] = {
    {"output", 'o', "FILE",
     "write to a new FILE, compressed if it is called .xz (-: standard output)"},
};

static const struct kind {
	const char *word;
	enum nunchi_export what;
	bool is_text;
} kinds[] = {
    {"isf", NUNCHI_EXPORT_ISF, true},
    {"btf", NUNCHI_EXPORT_BTF, false},
    {"system-map", NUNCHI_EXPORT_SYSTEM_MAP, true},
    {"elf", NUNCHI_EXPORT_ELF, false},
};

struct export
{
	const char *path; /* NULL: standard output */
};

static int export_option(struct cli *cli, void *state, int letter, const char *value)
{
	struct export *export = state;

	(void)letter;
	export->path = strcmp(value, "-") ? value : NULL;
	cli->guest_options.snapshot_path = export->path;
	return CLI_DONE;
}

static const char *kind_word(size_t i, const void *data)
{
	(void)data;
	return i < ARRAY_SIZE(kinds) ? kinds[i].word : NULL;
}

static const struct kind *find_kind(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!strcmp(kinds[i].word, word))
			return &kinds[i];
	}
	return NULL;
}

/* Addresses of a System.map are those of the file vmlinux; says by how much the guest's differ. */
static void note_shift(const struct nunchi_fact *fact, void *data)
{
	char text[256];

	if (strcmp(fact->topic, "kernel") || strcmp(fact->name, "kaslr"))
		return;
	snprintf(text, sizeof(text), "these addresses are without the guest's KASLR: %s",
		 fact->value);
	cli_note(data, text);
}

static int export_run(struct cli *cli, void *state, char **arguments, int count)
{
	const struct kind *kind = find_kind(arguments[1]);
	const struct export *export = state;
	struct nunchi_error *err;
	int status;

	(void)count;
	if (!kind)
		return cli_misuse(cli, suggest(arguments[1], kind_word, NULL),
				  "export makes isf, btf, system-map or elf, not \"%s\"",
				  arguments[1]);
	status = kind->is_text ? CLI_DONE : output_file_check(cli, export->path);
	if (!status)
		status = cli_open(cli, arguments[0]);
	if (status)
		return status;
	if (export->path)
		err = nunchi_export_file(cli->guest, kind->what, export->path);
	else
		err = nunchi_export(cli->guest, kind->what, cli_write, cli);
	cli_notes(cli, cli->guest, &cli->notes_printed);
	if (!err && kind->what == NUNCHI_EXPORT_SYSTEM_MAP)
		err = nunchi_guest_info(cli->guest, note_shift, cli);
	return cli_fail(cli, err);
}

const struct command command_export = {
    .name = "export",
    .arguments = "TARGET isf|btf|system-map|elf",
    .summary = "write a kernel's types and symbols for other tools",
    .description =
	"Writes what nunchi finds in the guest's memory of its kernel, in the format of another "
	"tool: isf, a symbol table for Volatility 3 (schema 6.2.0), so that no debug package of "
	"the kernel is needed; btf, the kernel's types as pahole and bpftool read them; "
	"system-map, its symbols at the addresses to which it is linked. How much higher this "
	"guest runs them (KASLR) is said on standard error; elf, a file for gdb and \"nunchi "
	"gdb\", "
	"with the symbols of the kernel and its modules where this guest has them, and with what "
	"a backtrace needs.\n"
	"BTF does not tell the types of variables: the table has those that Volatility's own "
	"plugins ask for.",
    .examples = "  nunchi export memory.raw isf -o symbols/linux/web.json.xz\n"
		"  nunchi export xen:web system-map -o System.map\n"
		"  nunchi export qemu:demo btf -o vmlinux.btf\n"
		"  nunchi export qemu:demo elf -o kernel.elf\n",
    .options = export_options,
    .option_count = ARRAY_SIZE(export_options),
    .least = 2,
    .most = 2,
    .state_size = sizeof(struct export),
    .option = export_option,
    .run = export_run,
};
