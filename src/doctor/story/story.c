/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Line by line: a heading begins an attempt, a command changes files, what follows an editor or
 * stands in a here-document is a file's content, and the rest is prose.
 */
#include "doctor/story/story.h"

#include "doctor/story/log_line.h"
#include "doctor/story/phrases.h"
#include "doctor/story/shell.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_LINE 4096
/* Names of files that commands remove; each is compared with all settings. */
#define MOST_REMOVED 4096
/* Nobody pastes so much of a log into a story: a blank line in it is the kernel's own. */
#define LONG_LOG 100

struct gpu {
	uint64_t line; /* 0: none is being read */
	char slot[16], id[16], driver[32], modules[128];
};

struct story_reader {
	const char *source;
	uint64_t line, bytes;
	unsigned attempt, command, removed;
	bool headings;    /* attempts have headings, so that a reboot begins none */
	bool rebooted;    /* the next change begins an attempt, where there are no headings */
	bool edits_entry; /* what is typed goes onto GRUB's entry */
	bool edits_file;  /* what follows is typed into `file` */
	bool in_log;      /* of a kernel, without times */
	uint64_t log_lines;
	char file[512];
	char end[64];         /* of the here-document being read */
	enum place grub_line; /* which variable of GRUB's is being edited */
	size_t before;        /* how many settings there were before the last command */
	char held[MOST_LINE]; /* a command that goes on in the next line */
	char last[512];       /* the line of prose before */
	struct gpu gpu;
};

bool story_init(struct story *story)
{
	*story = (struct story){.attempt_count = 1};
	settings_init(&story->settings);
	story->reader = calloc(1, sizeof(*story->reader));
	return story->reader;
}

void story_deinit(struct story *story)
{
	settings_deinit(&story->settings);
	free(story->reader);
	story->reader = NULL;
}

/* ---- Small things ---- */

static void mark(struct story *story, enum story_mark which, const char *line)
{
	struct story_place *place = &story->marks[which];

	if (place->line)
		return;
	place->line = story->reader->line;
	place->source = story->reader->source;
	snprintf(place->quote, sizeof(place->quote), "%s", line + strspn(line, " \t"));
	/* A character cut apart at the end goes away whole. */
	if (strlen(place->quote) == STORY_QUOTE) {
		size_t end = STORY_QUOTE;

		while (end && ((unsigned char)place->quote[end - 1] & 0xc0) == 0x80)
			end--;
		place->quote[end ? end - 1 : 0] = '\0';
	}
}

static void begin_attempt(struct story *story, const char *label, bool firmware)
{
	struct story_reader *reader = story->reader;
	struct story_attempt *attempt;

	reader->edits_entry = reader->edits_file = reader->rebooted = false;
	if (story->attempt_count == STORY_ATTEMPTS)
		return;
	attempt = &story->attempts[story->attempt_count];
	*attempt = (struct story_attempt){.firmware = firmware};
	snprintf(attempt->label, sizeof(attempt->label), "%s", label);
	reader->attempt = (unsigned)story->attempt_count++;
}

/* Where attempts have no headings, the first change begins one, and each after a reboot. */
static void before_change(struct story *story)
{
	struct story_reader *reader = story->reader;
	const struct story_attempt *attempt = &story->attempts[reader->attempt];
	bool typed = reader->edits_entry, file = reader->edits_file;
	char label[16];

	if (reader->headings || (*attempt->label && !attempt->firmware && !reader->rebooted))
		return;
	snprintf(label, sizeof(label), "%u",
		 attempt->firmware ? 1 : (unsigned)strtoul(attempt->label, NULL, 10) + 1);
	begin_attempt(story, label, false);
	reader->edits_entry = typed;
	reader->edits_file = file;
}

static struct setting_origin origin(const struct story *story, enum place place, const char *quote)
{
	const struct story_reader *reader = story->reader;

	return (struct setting_origin){
	    .place = place,
	    .file = place == PLACE_ENTRY ? "" : reader->file,
	    .source = reader->source,
	    .quote = quote,
	    .line = reader->line,
	    .attempt = reader->attempt,
	    .command = reader->command,
	};
}

/* ---- Content of files ---- */

/* Whether a word of prose is an option of a kernel: names are in small letters. */
static bool is_option(const char *word, size_t size)
{
	static const char *const flags[] = {"nomodeset", "quiet", "splash", "no-real-mode", NULL};
	size_t i = 0;

	for (size_t j = 0; flags[j]; j++)
		if (size == strlen(flags[j]) && !memcmp(word, flags[j], size))
			return true;
	while (i < size && (islower((unsigned char)word[i]) || isdigit((unsigned char)word[i]) ||
			    word[i] == '_' || word[i] == '.' || word[i] == '-'))
		i++;
	return i >= 2 && i + 1 < size && word[i] == '=' && islower((unsigned char)word[0]) &&
	       word[i + 1] != '=';
}

/* The options among the words of a line; false if there are none. */
static bool options_of(const char *line, char *options, size_t capacity)
{
	size_t at = 0;

	while (*line) {
		size_t word, size;

		line += strspn(line, " \t`'\"(,#");
		word = size = strcspn(line, " \t`'\"()");
		while (size && strchr(",.;:", line[size - 1]))
			size--;
		if (is_option(line, size) && at + size + 2 < capacity)
			at += (size_t)snprintf(options + at, capacity - at, "%s%.*s", at ? " " : "",
					       (int)size, line);
		line += word + (line[word] ? 1 : 0);
	}
	return at;
}

/* Which of GRUB's variables the line names; none gives what was named before. */
static enum place grub_place(const char *line, enum place before)
{
	if (strstr(line, "LINUX_XEN_REPLACE"))
		return PLACE_DOM0;
	if (strstr(line, "GRUB_CMDLINE_XEN"))
		return PLACE_XEN;
	if (strstr(line, "GRUB_CMDLINE_LINUX"))
		return PLACE_GRUB;
	return before;
}

static bool is_grub_file(const char *file)
{
	return strstr(file, "default/grub") || strstr(file, "grub.d/");
}

static bool is_modprobe_file(const char *file)
{
	return strstr(file, "modprobe.d/") || strstr(file, "modprobe.conf");
}

/* Whether one of the settings from `first` on gives Linux another unit to boot into. */
static bool sets_unit(const struct settings *settings, size_t first)
{
	for (size_t i = first; i < settings->count; i++)
		if (settings->all[i].place & PLACES_LINUX &&
		    !strcmp(settings->all[i].name, "systemd.unit"))
			return true;
	return false;
}

/* One line that comes into the file at hand. */
static void content(struct story *story, const char *line)
{
	struct story_reader *reader = story->reader;
	size_t count = story->settings.count;
	char options[MOST_LINE];

	before_change(story);
	if (is_modprobe_file(reader->file)) {
		struct setting_origin from = origin(story, PLACE_MODPROBE, line);

		settings_add_modprobe(&story->settings, &from, line, strlen(line));
	} else if (is_grub_file(reader->file)) {
		struct setting_origin from;

		reader->grub_line = grub_place(line, reader->grub_line);
		from = origin(story, reader->grub_line, line);
		if (options_of(line, options, sizeof(options)))
			settings_add_words(&story->settings, &from, options, strlen(options));
	} else {
		struct setting_origin from = origin(story, PLACE_CONFIG, line);

		settings_add_config(&story->settings, &from, line + strspn(line, " \t"),
				    strlen(line + strspn(line, " \t")));
	}
	if (sets_unit(&story->settings, count))
		mark(story, MARK_TEXT_MODE, line);
}

static void contents(struct story *story, char *text)
{
	char *line;

	while ((line = strsep(&text, "\n")))
		if (*line)
			content(story, line);
}

/* What was in the files before is gone; `files` may have several names and wildcards. */
static void undo_files(struct story *story, const char *files)
{
	char copy[512], *rest = copy, *file;

	snprintf(copy, sizeof(copy), "%s", files);
	while ((file = strsep(&rest, " "))) {
		if (!*file || story->reader->removed == MOST_REMOVED)
			continue;
		story->reader->removed++;
		for (size_t i = 0; i < story->settings.count; i++) {
			struct setting *setting = &story->settings.all[i];

			if (*setting->file && !fnmatch(file, setting->file, 0))
				setting->undone = true;
		}
	}
}

/* ---- Commands ---- */

static void note_command(struct story *story, const char *command)
{
	static const char *const xen[] = {"xen-system", "xen-hypervisor", "install xen", " xen ",
					  "xl list",    "xl info",        "xl dmesg",    NULL};
	static const char *const before[] = {"-b -", "-b-", "--boot=-", "--boot -", NULL};

	if (phrases_any(command, xen) || !strncmp(command, "xl ", 3))
		mark(story, MARK_XEN, command);
	if (strcasestr(command, "xen") || strstr(command, "xl "))
		mark(story, MARK_NAMES_XEN, command);
	if (strstr(command, "journalctl") && phrases_any(command, before))
		mark(story, MARK_ALIVE, command);
	if (strstr(command, "multi-user"))
		mark(story, MARK_TEXT_MODE, command);
	if (strstr(command, "reboot") && !strstr(command, "grub-reboot"))
		story->reader->rebooted = true;
}

static void run(struct story *story, const char *command)
{
	struct story_reader *reader = story->reader;
	struct shell shell;

	reader->edits_file = reader->edits_entry = false;
	reader->before = story->settings.count;
	reader->command++;
	note_command(story, command);
	shell_parse(command, &shell);
	if (shell.act == SHELL_OTHER)
		return;
	if (shell.act == SHELL_BOOT_OPTIONS) {
		snprintf(reader->file, sizeof(reader->file), "/etc/default/grub");
		reader->grub_line = PLACE_GRUB;
		content(story, shell.text);
		return;
	}
	if (shell.act == SHELL_REMOVE || shell.act == SHELL_WRITE)
		undo_files(story, shell.file);
	if (shell.act == SHELL_REMOVE)
		return;
	snprintf(reader->file, sizeof(reader->file), "%.*s", (int)strcspn(shell.file, " "),
		 shell.file);
	reader->grub_line = PLACE_GRUB;
	reader->edits_file = shell.act == SHELL_EDIT;
	snprintf(reader->end, sizeof(reader->end), "%s", shell.end);
	if (*shell.text)
		contents(story, shell.text);
}

/* The shell's complaint: what was run before had no effect. */
static bool is_refusal(const char *line)
{
	static const char *const refusals[] = {"event not found", "Permission denied",
					       "No such file", "command not found", NULL};

	return (!strncmp(line, "bash:", 5) || !strncmp(line, "-bash:", 6) ||
		!strncmp(line, "zsh:", 4) || !strncmp(line, "sh:", 3) ||
		!strncmp(line, "tee:", 4)) &&
	       phrases_any(line, refusals);
}

/* ---- What tools print: lspci -nnk ---- */

static void end_gpu(struct story *story, struct facts *facts)
{
	struct gpu *gpu = &story->reader->gpu;

	if (gpu->line)
		facts_add(facts, FACT_GPU, story->reader->source, (unsigned)gpu->line,
			  "%s %s %s %s", gpu->slot, gpu->id, *gpu->driver ? gpu->driver : "-",
			  *gpu->modules ? gpu->modules : "-");
	*gpu = (struct gpu){0};
}

/* The last "[8086:a788]" of the line. */
static bool pci_id(const char *line, char id[16])
{
	bool found = false;

	for (const char *at = strchr(line, '['); at; at = strchr(at + 1, '[')) {
		if (strnlen(at, 11) == 11 && at[10] == ']' &&
		    strspn(at + 1, "0123456789abcdef") == 4 && at[5] == ':' &&
		    strspn(at + 6, "0123456789abcdef") == 4) {
			snprintf(id, 16, "%.9s", at + 1);
			found = true;
		}
	}
	return found;
}

static void value_after(const char *line, char *value, size_t capacity)
{
	size_t at = 0;

	line = strchr(line, ':');
	for (line++; *line && at + 1 < capacity; line++)
		if (!isspace((unsigned char)*line))
			value[at++] = *line;
	value[at] = '\0';
}

/* Whether the line is one of a list of devices, and was taken. */
static bool take_device(struct story *story, struct facts *facts, const char *line)
{
	struct gpu *gpu = &story->reader->gpu;
	const char *class = strstr(line, "[03");
	size_t slot = strspn(line, "0123456789abcdef:.");

	if (slot >= 7 && slot <= 12 && line[slot] == ' ') {
		end_gpu(story, facts);
		if (!class || !pci_id(line, gpu->id))
			return true;
		gpu->line = story->reader->line;
		snprintf(gpu->slot, sizeof(gpu->slot), "%.*s", (int)slot, line);
		return true;
	}
	if (!gpu->line)
		return false;
	if (strstr(line, "Kernel driver in use:"))
		value_after(strstr(line, "Kernel driver in use:"), gpu->driver,
			    sizeof(gpu->driver));
	else if (strstr(line, "Kernel modules:"))
		value_after(strstr(line, "Kernel modules:"), gpu->modules, sizeof(gpu->modules));
	else if (*line != ' ' && *line != '\t')
		end_gpu(story, facts);
	return gpu->line;
}

/* ---- Prose ---- */

/* "Secure Boot off", "VT-x 켜기" in what is told of the firmware's setup. */
static void firmware_line(struct story *story, const char *line)
{
	static const char *const on[] = {"켜", "enable", " on", "활성", NULL};
	static const char *const off[] = {"끄", "끔", "disable", " off", "비활성", NULL};
	static const char *const things[][3] = {{"secure-boot", "secure boot", "secureboot"},
						{"vt-x", "vt-x", "virtualization"},
						{"vt-d", "vt-d", "vtd"},
						{"vmd", "vmd", "volume management"}};
	struct setting_origin from = origin(story, PLACE_FIRMWARE, line);
	bool switched_off = phrases_any(line, off);

	if (strcasestr(line, "mode") && (strcasestr(line, "optimus") || strcasestr(line, "hybrid")))
		mark(story, MARK_OPTIMUS, line);
	else if (strcasestr(line, "mode") &&
		 (strcasestr(line, "dgpu only") || strcasestr(line, "discrete")))
		mark(story, MARK_DGPU_ONLY, line);
	if (!switched_off && !phrases_any(line, on))
		return;
	from.file = "";
	for (size_t i = 0; i < ARRAY_SIZE(things); i++)
		if (strcasestr(line, things[i][1]) || strcasestr(line, things[i][2]))
			settings_add(&story->settings, &from, false, "", things[i][0],
				     switched_off ? "off" : "on");
}

/* "put X into /etc/default/grub": the first path of a known file in the line. */
static bool names_file(struct story_reader *reader, const char *line)
{
	static const char *const known[] = {"/etc/default/grub", "/etc/modprobe.d/"};
	const char *at = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(known) && !at; i++)
		at = strstr(line, known[i]);
	if (!at && strstr(line, "GRUB_CMDLINE_")) {
		snprintf(reader->file, sizeof(reader->file), "/etc/default/grub");
		return true;
	}
	if (!at)
		return false;
	snprintf(reader->file, sizeof(reader->file), "%.*s", (int)strcspn(at, " \t`'\",;:)"), at);
	return true;
}

/* Options that a line of prose says were given. */
static bool told_options(struct story *story, const char *line)
{
	struct story_reader *reader = story->reader;
	struct setting_origin from;
	char options[MOST_LINE];

	if (phrases_denies(line) || !options_of(line, options, sizeof(options)))
		return false;
	if (names_file(reader, line) && is_grub_file(reader->file)) {
		before_change(story);
		reader->command++;
		from = origin(story, grub_place(line, PLACE_GRUB), line);
	} else if (reader->edits_entry || phrases_edits_entry(line)) {
		bool xen = strcasestr(line, "multiboot") || strcasestr(line, "xen line") ||
			   strcasestr(line, "xen's line") || strcasestr(line, "xen.gz");

		before_change(story);
		from = origin(story, xen ? PLACE_XEN : PLACE_ENTRY, line);
		from.file = "";
	} else {
		return false;
	}
	settings_add_words(&story->settings, &from, options, strlen(options));
	if (strstr(options, "multi-user.target"))
		mark(story, MARK_TEXT_MODE, line);
	return true;
}

static void tell_outcome(struct story *story, const char *line)
{
	bool screen = false;
	enum outcome outcome = phrases_outcome(line, &screen);

	if (outcome == OUTCOME_NONE)
		return;
	story->outcome = outcome;
	story->attempts[story->reader->attempt].outcome = outcome;
	if (outcome != OUTCOME_FAILED)
		return;
	story->failures++;
	mark(story, MARK_FAILED, line);
	if (screen)
		mark(story, MARK_SCREEN, line);
}

static void prose(struct story *story, const char *line)
{
	static const char *const boots[] = {"boot", "start",        "dom0", "hypervisor",
					    "부팅", "하이퍼바이저", NULL};
	static const char *const reached[] = {"work", "log in", "logged in",
					      "접속", "로그인", NULL};
	static const char *const systems[] = {"xen", "qubes", "xcp-ng", NULL};
	struct story_reader *reader = story->reader;
	char both[sizeof(reader->last) + 2 * MOST_LINE];

	/* No phrase is shorter. */
	if (strlen(line) < 4)
		return;
	if (phrases_any(line, systems) && phrases_any(line, boots))
		mark(story, MARK_XEN, line);
	/* Lines are often broken where a sentence goes on. */
	snprintf(both, sizeof(both), "%s %s", reader->last, line);
	if (phrases_theory(line) || (!story->marks[MARK_THEORY].line && phrases_theory(both)))
		mark(story, MARK_THEORY, line);
	snprintf(reader->last, sizeof(reader->last), "%s", line);
	if (strcasestr(line, "ssh") && phrases_any(line, reached) && !phrases_denies(line))
		mark(story, MARK_ALIVE, line);
	if (strstr(line, "nvidia_wmi_ec_backlight") ||
	    strstr(line, "603E9613-EF25-4338-A3D0-C46177516DB7"))
		mark(story, MARK_WMI, line);
	/* A kernel's whole configuration names it too, in its comments, and BASE64 does by chance.
	 */
	if ((phrases_any(line, systems) && strchr(line, ' ') && !strstr(line, "CONFIG_") &&
	     strncmp(line, "# ", 2) != 0) ||
	    strstr(line, "libxl") || strstr(line, "dom0"))
		mark(story, MARK_NAMES_XEN, line);
	if (phrases_dead(line))
		mark(story, MARK_DEAD, line);
	if (phrases_trouble(line))
		mark(story, MARK_TROUBLE, line);
	topics_of(line, story->topics);
	if (phrases_edits_entry(line))
		reader->edits_entry = true;
	if (story->attempts[reader->attempt].firmware)
		firmware_line(story, line);
	if (told_options(story, line))
		return;
	if (phrases_reboot(line))
		reader->rebooted = true;
	tell_outcome(story, line);
}

/* ---- Lines ---- */

/* A heading; false if it is none. */
static bool heading(struct story *story, const char *line)
{
	unsigned number = phrases_attempt(line);
	char label[16];

	if (number) {
		story->reader->headings = true;
		snprintf(label, sizeof(label), "%u", number);
		begin_attempt(story, label, false);
		return true;
	}
	if (phrases_firmware(line)) {
		begin_attempt(story, "bios", true);
		return true;
	}
	return false;
}

/* Ends what is being typed into a file: a blank line, a fence, an item of a list. */
static bool ends_typing(const char *line)
{
	return !*line || !strncmp(line, "```", 3) || !strncmp(line, "* ", 2) ||
	       !strncmp(line, "- ", 2);
}

static void whole_line(struct story *story, struct facts *facts, const char *line)
{
	struct story_reader *reader = story->reader;
	const char *command;

	if (*reader->end) {
		if (!strcmp(line, reader->end))
			reader->end[0] = '\0';
		else if (*line != '#')
			content(story, line);
		return;
	}
	if (take_device(story, facts, line))
		return;
	if (is_refusal(line)) {
		settings_cut(&story->settings, reader->before);
		return;
	}
	command = shell_command(line);
	if (command) {
		if (story->attempts[reader->attempt].firmware)
			begin_attempt(story, "", false);
		run(story, command);
	} else if (heading(story, line)) {
		tell_outcome(story, line);
	} else if (reader->edits_file && !ends_typing(line)) {
		content(story, line);
	} else {
		reader->edits_file = reader->edits_file && *line;
		prose(story, line);
	}
}

void story_begin(struct story *story, const char *source)
{
	struct story_reader *reader = story->reader;

	*reader = (struct story_reader){
	    .source = source,
	    .attempt = reader->attempt,
	    .command = reader->command + 1,
	    .removed = reader->removed,
	};
}

/*
 * Whether a kernel or Xen wrote the line: their words are not the user's. Where a log without times
 * begins, all is the log's up to a blank line or a prompt.
 */
static bool is_log(struct story_reader *reader, const char *line)
{
	size_t size = strlen(line);

	if (log_line_is_banner(line, size)) {
		reader->in_log = true;
		reader->log_lines = 0;
	} else if ((!size && reader->log_lines < LONG_LOG) || shell_command(line)) {
		reader->in_log = false;
	}
	reader->log_lines += reader->in_log;
	return reader->in_log || log_line_writer(line, size) != LOG_NOBODY ||
	       log_line_host(line, size);
}

/* Whether there are bytes in it that neither a person nor a terminal writes. */
static bool is_binary(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)text[i];

		/* A recorded session has tabs, returns, bells, backspaces and escapes. */
		if ((c < ' ' && !strchr("\t\r\a\b\x1b", c)) || c == 0x7f || !c)
			return true;
	}
	return false;
}

void story_line(struct story *story, struct facts *facts, const char *text, size_t size)
{
	struct story_reader *reader = story->reader;
	size_t held = strlen(reader->held);
	char line[2 * MOST_LINE];

	reader->line++;
	reader->bytes += size + 1;
	while (size && isspace((unsigned char)text[size - 1]))
		size--;
	if (reader->bytes > STORY_BYTES || size >= MOST_LINE || is_binary(text, size))
		return;
	snprintf(line, sizeof(line), "%s%s%.*s", reader->held, held ? " " : "", (int)size, text);
	reader->held[0] = '\0';
	if (is_log(reader, line))
		return;
	size = strlen(line);
	if (size && line[size - 1] == '\\' && size < MOST_LINE && shell_command(line)) {
		snprintf(reader->held, sizeof(reader->held), "%.*s", (int)size - 1, line);
		return;
	}
	whole_line(story, facts, line);
	story->failed = story->failed || story->settings.failed;
}

void story_end(struct story *story, struct facts *facts)
{
	end_gpu(story, facts);
	story->reader->end[0] = '\0';
}
