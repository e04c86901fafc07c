/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stands between this host and introspection; the same of collected files and logs. */
#include "cli.h"

#include "words.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <nunchi/doctor.h>

struct doctor_state {
	const char *root;
	const char *bundle;
	bool anonymous;
	struct doctor_detail detail;
	bool trial;
	unsigned minutes;
};

static const struct cli_option doctor_options[] = {
    {"root", OPTION_ROOT, "DIR", "look at the host whose root is DIR, not at this one"},
    {"trial", OPTION_TRIAL, NULL, "with plan and apply: boot Xen once, and come back by itself"},
    {"minutes", OPTION_MINUTES, "N", "how long a trial lasts; 10 is the default"},
    {"collect", OPTION_COLLECT, "FILE",
     "write what a diagnosis needs to FILE (.tar.gz), secrets left out, to look at elsewhere"},
    {"anonymous", OPTION_ANONYMOUS, NULL,
     "with --collect: leave out names of hosts and users and IP addresses, too"},
    {"brief", OPTION_BRIEF, NULL, "the verdict and the next steps, in ten lines at most"},
    {"explain", OPTION_EXPLAIN, NULL,
     "every detail: all lines that show a finding, what each change did, other ways"},
    {"all", OPTION_ALL, NULL, "that, also what is well, and every fact with where it comes from"},
};

static int doctor_option(struct cli *cli, void *state, int letter, const char *value)
{
	struct doctor_state *doctor = state;

	if (letter == OPTION_ROOT)
		doctor->root = value;
	else if (letter == OPTION_COLLECT)
		doctor->bundle = value;
	else if (letter == OPTION_ANONYMOUS)
		doctor->anonymous = true;
	else if (letter == OPTION_TRIAL)
		doctor->trial = true;
	else if (letter == OPTION_MINUTES)
		return doctor_change_minutes(cli, value, &doctor->minutes);
	else if (letter == OPTION_BRIEF)
		doctor->detail.brief = true;
	else if (letter == OPTION_EXPLAIN)
		doctor->detail.explain = true;
	else
		doctor->detail.explain = doctor->detail.all = true;
	return CLI_DONE;
}

/* In JSON and CSV: stable, whatever the language. */
static const char *const verdict_names[] = {"ready", "no-screen", "not-ready", "unknown"};
static const char *const weight_names[] = {"blocker", "problem", "advice", "note"};
static const char *const confidence_names[] = {"high", "medium", "low"};
static const char *const effect_names[] = {"none", "harmful", "wrong-line", "useful", "unjudged"};
static const char *const step_names[] = {"remedy", "way-round", "check", "find-out"};

/* ---- For programs: one row an item ---- */

enum { KIND, ID, STATE, SURE, WHAT, TEXT, REMEDY, SOURCE, LINE, QUOTE, COLUMN_COUNT };

static const struct nunchi_column columns[COLUMN_COUNT] = {
    {"kind", NUNCHI_TYPE_TEXT,
     "verdict, finding, change, remedy, way-round, check, find-out, fact"},
    {"id", NUNCHI_TYPE_TEXT, "of a rule, attempt, step or fact"},
    {"state", NUNCHI_TYPE_TEXT, "verdict, weight, effect, or ok, missing, unknown"},
    {"sure", NUNCHI_TYPE_TEXT, "high, medium or low"},
    {"what", NUNCHI_TYPE_TEXT, "of a change: the option"},
    {"text", NUNCHI_TYPE_TEXT, "what it means"},
    {"remedy", NUNCHI_TYPE_TEXT, "what to do"},
    {"source", NUNCHI_TYPE_TEXT, "file or command of the evidence"},
    {"line", NUNCHI_TYPE_INTEGER, "in it, from 1"},
    {"quote", NUNCHI_TYPE_TEXT, "what stands there"},
};

static struct nunchi_error *row(struct nunchi_writer *writer, const char *const *texts,
				const struct nunchi_evidence *evidence)
{
	struct nunchi_cell cells[COLUMN_COUNT];

	for (size_t i = 0; i < SOURCE; i++)
		cells[i] = cell_text(texts[i]);
	cells[SOURCE] = cell_text(evidence ? evidence->source : NULL);
	cells[LINE] = evidence && evidence->line ? cell_integer((int64_t)evidence->line)
						 : cell_not_applicable();
	cells[QUOTE] = cell_text(evidence ? evidence->quote : NULL);
	return nunchi_writer_row(writer, cells, false);
}

static struct nunchi_error *write_findings(struct nunchi_writer *writer,
					   const struct nunchi_diagnosis *diagnosis)
{
	const struct nunchi_finding *finding;
	struct nunchi_error *err = NULL;

	for (size_t i = 0; !err && (finding = nunchi_diagnosis_finding(diagnosis, i)); i++) {
		const char *texts[SOURCE] = {
		    [KIND] = "finding",
		    [ID] = finding->id,
		    [STATE] = weight_names[finding->weight],
		    [SURE] = confidence_names[finding->confidence],
		    [TEXT] = finding->meaning,
		    [REMEDY] = finding->remedy,
		};
		size_t j = 0;

		do
			err = row(writer, texts,
				  j < finding->evidence_count ? &finding->evidence[j] : NULL);
		while (!err && ++j < finding->evidence_count);
	}
	return err;
}

static struct nunchi_error *write_changes(struct nunchi_writer *writer,
					  const struct nunchi_diagnosis *diagnosis)
{
	const struct nunchi_change *change;
	struct nunchi_error *err = NULL;

	for (size_t i = 0; !err && (change = nunchi_diagnosis_change(diagnosis, i)); i++) {
		const char *texts[SOURCE] = {
		    [KIND] = "change",
		    [ID] = change->attempt,
		    [STATE] = effect_names[change->effect],
		    [SURE] = confidence_names[change->confidence],
		    [WHAT] = change->what,
		    [TEXT] = change->meaning,
		};

		err = row(writer, texts, &change->evidence);
	}
	return err;
}

static struct nunchi_error *write_steps(struct nunchi_writer *writer,
					const struct nunchi_diagnosis *diagnosis)
{
	const struct nunchi_step *step;
	struct nunchi_error *err = NULL;

	for (size_t i = 0; !err && (step = nunchi_diagnosis_step(diagnosis, i)); i++) {
		const char *texts[SOURCE] = {
		    [KIND] = step_names[step->kind], [ID] = step->id,
		    [STATE] = step->state,           [TEXT] = step->text,
		    [REMEDY] = step->command,
		};

		err = row(writer, texts, &step->evidence);
	}
	return err;
}

static struct nunchi_error *write_facts(struct nunchi_writer *writer,
					const struct nunchi_diagnosis *diagnosis)
{
	struct nunchi_error *err = NULL;
	bool is = true;

	for (size_t i = 0; !err; i++) {
		struct nunchi_host_fact fact = nunchi_diagnosis_fact(diagnosis, i, &is);
		const char *texts[SOURCE] = {
		    [KIND] = "fact",
		    [ID] = fact.name,
		    [STATE] = fact.known ? "known" : "unknown",
		    [TEXT] = fact.value,
		};

		if (!is)
			break;
		err = row(writer, texts, &fact.evidence);
	}
	return err;
}

static struct nunchi_error *write_diagnosis(struct nunchi_writer *writer,
					    const struct nunchi_diagnosis *diagnosis, bool all)
{
	const char *reason;
	enum nunchi_verdict verdict = nunchi_diagnosis_verdict(diagnosis, &reason);
	const char *texts[SOURCE] = {
	    [KIND] = "verdict", [STATE] = verdict_names[verdict], [TEXT] = reason};
	struct nunchi_error *err = row(writer, texts, NULL);

	if (!err)
		err = write_findings(writer, diagnosis);
	if (!err)
		err = write_changes(writer, diagnosis);
	if (!err)
		err = write_steps(writer, diagnosis);
	if (!err && all)
		err = write_facts(writer, diagnosis);
	return err ? err : nunchi_writer_finish(writer);
}

/* ---- */

static int show(struct cli *cli, const struct nunchi_diagnosis *diagnosis,
		const struct doctor_detail *detail)
{
	struct nunchi_writer *writer = NULL;
	struct nunchi_error *err;
	const char *warning;

	for (size_t i = 0; (warning = nunchi_diagnosis_warning(diagnosis, i)); i++)
		cli_warn(cli, warning);
	if (cli->output == NUNCHI_OUTPUT_TABLE) {
		doctor_page(cli, diagnosis, detail);
		return CLI_DONE;
	}
	err = cli_list_writer(cli, columns, ARRAY_SIZE(columns), &writer);
	if (!err)
		err = write_diagnosis(writer, diagnosis, detail->all);
	nunchi_writer_destroy(writer);
	return cli_fail(cli, err);
}

static void print_taken(const char *name, uint64_t size, const char *why, void *cli_pointer)
{
	struct cli *cli = cli_pointer;

	cli_printf(cli, "%10" PRIu64 "  ", size);
	cli_print_escaped(cli, name);
	if (why)
		cli_printf(cli, "  (%s)", why);
	cli_printf(cli, "\n");
}

static int collect(struct cli *cli, const struct nunchi_doctor_options *options, const char *path)
{
	int status =
	    cli_fail(cli, nunchi_doctor_collect(cli->context, options, path, print_taken, cli));

	if (!status) {
		cli_print_escaped(cli, path);
		cli_printf(
		    cli, ": %s\n",
		    options->anonymous
			? _("written, without secrets, serial numbers, addresses and names of "
			    "hosts and users as far as nunchi knows their forms; removed.txt "
			    "in it says what was removed and what is not promised")
			: _("written, without secrets, serial numbers and MAC addresses as far "
			    "as nunchi knows their forms; removed.txt in it says what was "
			    "removed and what is not promised"));
	}
	return status;
}

static int doctor_run(struct cli *cli, void *state, char **arguments, int count)
{
	struct doctor_state *doctor = state;
	struct nunchi_doctor_options options = {
	    .size = sizeof(options),
	    .root = doctor->root,
	    .paths = (const char *const *)arguments,
	    .path_count = (size_t)count,
	    .anonymous = doctor->anonymous,
	};
	struct nunchi_diagnosis *diagnosis;
	struct nunchi_error *err;
	int status;

	/* The commands that it runs have the same limit. */
	cli_limit_memory(cli);
	if (count && doctor_change_is(arguments[0]))
		return doctor_change_run(cli, doctor->root, doctor->trial, doctor->minutes,
					 arguments, count);
	if (doctor->trial || doctor->minutes)
		return cli_misuse(cli, NULL, "--trial and --minutes are of plan and apply");
	if (doctor->root && count)
		return cli_misuse(cli, NULL, "--root and files cannot be looked at in one");
	if (doctor->anonymous && !doctor->bundle)
		return cli_misuse(cli, NULL, "--anonymous is of --collect");
	if (doctor->bundle && count)
		return cli_misuse(cli, NULL, "--collect is of a host, not of files");
	if (doctor->bundle)
		return collect(cli, &options, doctor->bundle);
	if (doctor->detail.brief && doctor->detail.explain)
		return cli_misuse(cli, NULL, "--brief and --explain contradict each other");
	/* One file needs no folder to be told from others. */
	doctor->detail.only_path = count == 1 ? arguments[0] : NULL;
	err = nunchi_doctor_examine(cli->context, &options, &diagnosis);
	if (err)
		return cli_fail(cli, err);
	status = show(cli, diagnosis, &doctor->detail);
	nunchi_diagnosis_destroy(diagnosis);
	return status;
}

const struct command command_doctor = {
    .name = "doctor",
    .arguments = "[FILE… | plan | apply | undo | stay]",
    .summary = "what stands between this host and introspection, and what to do",
    .description =
	"Looks at this host, or at files from another: a bundle made with "
	"--collect, a directory that is a host's root, logs of the kernel or of Xen, a terminal's "
	"text pasted into a "
	"file, as plain text, in a quoted mail or a page, compressed or not; - is what comes "
	"through a "
	"pipe. Says first whether introspection will work, then what was found, with the line "
	"it stands in, what it means and what to do.\n"
	"Nothing is changed, but by apply.\n"
	"plan shows, as a diff, the change that brings the host to Xen; apply does it: one file "
	"in /etc/default/grub.d with the variables for Xen's entries, and the grub.cfg that "
	"GRUB's own scripts make of it. The native entries stay as they are, and one of them the "
	"default. With --trial the next boot, once, is Xen: after the minutes given the logs are "
	"saved in /var/lib/nunchi/doctor/trial and the machine reboots into its native system, "
	"unless stay was said. undo takes all back, byte for byte.",
    .examples = "  nunchi doctor\n"
		"  nunchi doctor pasted.txt\n"
		"  sudo xl dmesg | nunchi doctor -\n"
		"  sudo nunchi doctor --collect bundle.tar.gz\n"
		"  nunchi doctor --json xl-dmesg.txt kernel.log\n"
		"  nunchi doctor plan\n"
		"  sudo nunchi doctor apply --trial\n"
		"  sudo nunchi doctor undo\n",
    .options = doctor_options,
    .option_count = ARRAY_SIZE(doctor_options),
    .most = 64,
    .state_size = sizeof(struct doctor_state),
    .option = doctor_option,
    .run = doctor_run,
};
