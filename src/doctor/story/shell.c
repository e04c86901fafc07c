/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/story/shell.h"

#include "core/cleanup.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Words that begin a command even where no prompt stands before it. */
static const char *const programs[] = {"sudo",
				       "echo",
				       "tee",
				       "nano",
				       "vi",
				       "vim",
				       "rm",
				       "printf",
				       "update-grub",
				       "update-initramfs",
				       "update-grub2",
				       "journalctl",
				       "lspci",
				       "apt",
				       "apt-get",
				       "grubby",
				       "grub-mkconfig",
				       "dracut",
				       "grub-reboot",
				       "systemctl",
				       "kernelstub",
				       "dnf",
				       NULL};
static const char *const editors[] = {"nano", "vi",    "vim",  "emacs", "gedit",
				      "kate", "micro", "code", "xed",   "gnome-text-editor",
				      "nvim", NULL};

static bool first_word_is(const char *text, const char *const *words)
{
	for (; *words; words++) {
		size_t length = strlen(*words);

		if (!strncmp(text, *words, length) &&
		    (!text[length] || isspace((unsigned char)text[length])))
			return true;
	}
	return false;
}

/* "user@host:~$ ", "[root@host ~]# ": behind it, or NULL. */
static const char *after_prompt(const char *line)
{
	size_t name = strcspn(line, " \t");
	const char *at = memchr(line, '@', name), *mark;

	if (*line == '$' && line[1] == ' ')
		return line + 2;
	if (!at)
		return NULL;
	mark = strpbrk(at, "$#");
	return mark && mark - line < 80 && mark[1] == ' ' ? mark + 2 : NULL;
}

const char *shell_command(const char *line)
{
	const char *command;

	line += strspn(line, " \t`*-");
	command = after_prompt(line);
	/* Root's prompt alone is a comment or a heading, unless a command follows. */
	if (!command && *line == '#' && line[1] == ' ' && first_word_is(line + 2, programs))
		command = line + 2;
	if (!command && first_word_is(line, programs))
		command = line;
	if (!command)
		return NULL;
	command += strspn(command, " \t");
	return *command ? command : NULL;
}

/* The next word: quotes hold it together and are taken away. False at the end or at a '|' or ';'.
 */
static bool next_word(const char **text, char *word, size_t capacity)
{
	const char *at = *text + strspn(*text, " \t");
	char quote = '\0';
	size_t size = 0;

	if (!*at || *at == '|' || *at == ';' || *at == '&')
		return false;
	for (; *at; at++) {
		if (quote ? *at == quote : *at == '"' || *at == '\'') {
			quote = quote ? '\0' : *at;
			continue;
		}
		if (!quote && (*at == ' ' || *at == '\t' || *at == '|' || *at == ';'))
			break;
		if (size + 1 < capacity)
			word[size++] = *at;
	}
	word[size] = '\0';
	*text = at;
	return true;
}

/* The file behind the last `what` ("tee ", ">") of a command, options skipped. */
static bool target_of(const char *command, const char *what, char *file, size_t capacity,
		      bool *ret_append)
{
	const char *found = NULL;
	char word[512];

	for (const char *at = strstr(command, what); at; at = strstr(at + 1, what))
		found = at;
	if (!found)
		return false;
	found += strlen(what);
	if (*found == '>')
		found++;
	*ret_append = found[-1] == '>' && found[-2] == '>';
	while (next_word(&found, word, sizeof(word))) {
		if (!strcmp(word, "-a") || !strcmp(word, "--append"))
			*ret_append = true;
		/* "/dev/null" takes what tee prints, and is not what is written to. */
		if (*word != '/')
			continue;
		if (!strncmp(word, "/dev/", 5))
			return false;
		snprintf(file, capacity, "%s", word);
		return true;
	}
	return false;
}

/* "\n" and "\t" of echo -e and printf. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		if (from[0] == '\\' && (from[1] == 'n' || from[1] == 't')) {
			*to++ = from[1] == 'n' ? '\n' : '\t';
			from++;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
}

/* What echo or printf would print. */
static void printed(const char *command, struct shell *shell)
{
	const char *at = strstr(command, "echo ");
	size_t size = 0;
	char word[SHELL_TEXT];

	at = at ? at + 5 : strstr(command, "printf ");
	if (!at)
		return;
	if (!strncmp(at, "printf ", 7))
		at += 7;
	while (next_word(&at, word, sizeof(word)) && *word != '>') {
		if (!strcmp(word, "-e") || !strcmp(word, "-n"))
			continue;
		size += (size_t)snprintf(shell->text + size, sizeof(shell->text) - size, "%s%s",
					 size ? " " : "", word);
		if (size >= sizeof(shell->text))
			break;
	}
	unescape(shell->text);
}

static void here_document(const char *command, struct shell *shell)
{
	const char *at = strstr(command, "<<");
	size_t size = 0;

	if (!at || at[2] == '<')
		return;
	for (at += 2; *at == '-' || *at == ' '; at++)
		;
	for (; *at && !isspace((unsigned char)*at); at++)
		if (*at != '"' && *at != '\'' && *at != '\\' && size + 1 < sizeof(shell->end))
			shell->end[size++] = *at;
	shell->end[size] = '\0';
}

static bool parse_write(const char *command, struct shell *shell)
{
	bool append = false;

	if (!target_of(command, "tee ", shell->file, sizeof(shell->file), &append) &&
	    !target_of(command, ">", shell->file, sizeof(shell->file), &append))
		return false;
	shell->act = append ? SHELL_APPEND : SHELL_WRITE;
	here_document(command, shell);
	if (!*shell->end)
		printed(command, shell);
	return true;
}

/* Words of a command from its program on that begin with "/". */
static void paths_of(const char *command, char *paths, size_t capacity)
{
	size_t size = 0;
	char word[512];

	while (size < capacity && next_word(&command, word, sizeof(word)))
		if (*word == '/')
			size += (size_t)snprintf(paths + size, capacity - size, "%s%s",
						 size ? " " : "", word);
}

/* sed -i 's/a/b/' FILE: the last part of the script is what comes into the file. */
static void parse_sed(const char *command, struct shell *shell)
{
	char word[SHELL_TEXT], *slash;

	while (next_word(&command, word, sizeof(word))) {
		if (*word == '/') {
			snprintf(shell->file, sizeof(shell->file), "%.500s", word);
			shell->act = SHELL_APPEND;
		} else if (word[0] == 's' && word[1] && ispunct((unsigned char)word[1])) {
			char separator = word[1];

			slash = strrchr(word, separator);
			if (slash)
				*slash = '\0';
			slash = strrchr(word, separator);
			snprintf(shell->text, sizeof(shell->text), "%s", slash ? slash + 1 : "");
		}
	}
}

void shell_parse(const char *command, struct shell *ret)
{
	static const char *const remove[] = {"rm", NULL}, *const stream[] = {"sed", NULL};
	static const char *const boot[] = {"grubby", "kernelstub", NULL};

	*ret = (struct shell){.act = SHELL_OTHER};
	while (!strncmp(command, "sudo ", 5)) {
		command += 5;
		while (*command == '-' || *command == ' ')
			command += *command == '-' ? strcspn(command, " ") : 1;
	}
	if (parse_write(command, ret))
		return;
	if (first_word_is(command, editors)) {
		ret->act = SHELL_EDIT;
		paths_of(command, ret->file, sizeof(ret->file));
	} else if (first_word_is(command, remove)) {
		ret->act = SHELL_REMOVE;
		paths_of(command, ret->file, sizeof(ret->file));
	} else if (first_word_is(command, stream) && strstr(command, "-i")) {
		parse_sed(command, ret);
	} else if (first_word_is(command, boot)) {
		ret->act = SHELL_BOOT_OPTIONS;
		snprintf(ret->text, sizeof(ret->text), "%s", command + strcspn(command, " "));
	}
}
