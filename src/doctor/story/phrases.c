/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/story/phrases.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_SENTENCE 400

bool phrases_any(const char *line, const char *const *texts)
{
	for (; *texts; texts++)
		if (strcasestr(line, *texts))
			return true;
	return false;
}

/* ---- How it went ---- */

static const char *const failed_words[] = {"안켜",
					   "안 켜",
					   "안뜨",
					   "안 뜨",
					   "안뜸",
					   "안 뜸",
					   "안나오",
					   "안 나오",
					   "안나옴",
					   "안 나옴",
					   "안됨",
					   "안 됨",
					   "켜지지 않",
					   "뜨지 않",
					   "나오지 않",
					   "실패",
					   "먹통",
					   "검은 화면",
					   "까만 화면",
					   "암전",
					   "블랙스크린",
					   "블랙 스크린",
					   "black screen",
					   "blank screen",
					   "no picture",
					   "no display",
					   "nothing on the screen",
					   "stays black",
					   "stayed black",
					   "still black",
					   "remains black",
					   "remained black",
					   "screen is black",
					   "screen was black",
					   "no signal",
					   "dark screen",
					   "screen dark",
					   "didn't work",
					   "did not work",
					   "does not work",
					   "doesn't work",
					   "no luck",
					   "failed",
					   "failure",
					   "same result",
					   "same again",
					   "still nothing",
					   "no image",
					   "no video",
					   "didn't help",
					   "did not help",
					   "screen black",
					   "went black",
					   "gave up",
					   NULL};
static const char *const screen_words[] = {
    "화면",    "켜",      "뜨",     "뜸",    "검은",  "까만",  "암전", "스크린", "screen",
    "picture", "display", "signal", "image", "video", "black", "dark", NULL};
static const char *const worked_words[] = {"켜짐",
					   "켜졌",
					   "성공",
					   "잘 나옴",
					   "잘나옴",
					   "잘 됨",
					   "잘됨",
					   "화면이 나",
					   "화면 나",
					   "화면이 뜸",
					   "해결됨",
					   "해결했",
					   "정상",
					   "it works",
					   "works now",
					   "worked",
					   "works fine",
					   "working",
					   "picture came",
					   "picture is",
					   "picture comes",
					   "screen came",
					   "screen comes up",
					   "came up",
					   "login screen",
					   "desktop appears",
					   "success",
					   "solved",
					   "fixed",
					   "all is well",
					   "all well",
					   "boots fine",
					   "booted fine",
					   NULL};
/* Words by which a sentence is a condition, a denial, or about other people's machines. */
static const char *const open_words[] = {"if ",         "when ",       "might",
					 "could ",      "would ",      "may ",
					 "should ",     "no black",    "without a black",
					 "not a black", "never",       "avoid",
					 "afraid",      "worried",     "people",
					 "others",      "some report", "known to",
					 "happens on",  "supposed to", "expected a",
					 "instead of",  "하면",        "라면",
					 "으면",        "만약",        "없이",
					 "없었",        "않았",        "걱정",
					 "것 같",       "될듯",        "사람들",
					 NULL};

static enum outcome judge_sentence(const char *sentence, bool *ret_screen)
{
	if (strchr(sentence, '?') || phrases_any(sentence, open_words))
		return OUTCOME_NONE;
	if (phrases_any(sentence, failed_words)) {
		*ret_screen = *ret_screen || phrases_any(sentence, screen_words);
		return OUTCOME_FAILED;
	}
	return phrases_any(sentence, worked_words) ? OUTCOME_WORKED : OUTCOME_NONE;
}

enum outcome phrases_outcome(const char *line, bool *ret_screen)
{
	enum outcome outcome = OUTCOME_NONE;

	while (*line) {
		/* The mark that ends it stays, for it may be a question's. */
		size_t size = strcspn(line, ".!?;");
		char sentence[MOST_SENTENCE];
		enum outcome said;

		size += line[size] ? 1 : 0;
		snprintf(sentence, sizeof(sentence), "%.*s",
			 (int)(size < MOST_SENTENCE ? size : MOST_SENTENCE - 1), line);
		said = judge_sentence(sentence, ret_screen);
		if (said != OUTCOME_NONE)
			outcome = said;
		line += size;
	}
	return outcome;
}

/* ---- Headings ---- */

static const char *const ordinals[][3] = {
    {"first", "1st", "첫"},     {"second", "2nd", "두"},      {"third", "3rd", "세"},
    {"fourth", "4th", "네"},    {"fifth", "5th", "다섯"},     {"sixth", "6th", "여섯"},
    {"seventh", "7th", "일곱"}, {"eighth", "8th", "여덟"},    {"ninth", "9th", "아홉"},
    {"tenth", "10th", "열"},    {"eleventh", "11th", "열한"}, {"twelfth", "12th", "열두"}};
static const char *const attempt_words[] = {"attempt", "try",        "round", "trial",
					    "take",    "experiment", NULL};

static bool begins(const char *text, const char *word)
{
	return !strncasecmp(text, word, strlen(word));
}

static const char *skip_blank(const char *text)
{
	while (*text == ' ' || *text == '\t')
		text++;
	return text;
}

/* Ahead of a heading's words: "## ", "* ", "> **", "[", digits of a list are not. */
static const char *skip_markup(const char *line)
{
	return line + strspn(line, " \t#*>-=[(_~|");
}

static unsigned small_number(const char *text)
{
	unsigned long number = strtoul(text, NULL, 10);

	return isdigit((unsigned char)*text) && number > 0 && number < 1000 ? (unsigned)number : 0;
}

/* The number behind "attempt", which may be "No. 3", "#3", ": 3". */
static unsigned number_after(const char *text)
{
	text = skip_blank(text);
	if (begins(text, "number"))
		text += 6;
	else if (begins(text, "no."))
		text += 3;
	return small_number(text + strspn(text, " #:"));
}

static bool follows_attempt(const char *text)
{
	text = skip_blank(text);
	for (size_t i = 0; attempt_words[i]; i++)
		if (begins(text, attempt_words[i]) &&
		    !isalpha((unsigned char)text[strlen(attempt_words[i])]))
			return true;
	return begins(text, "번째 시도") || begins(text, "번째시도");
}

static unsigned korean_attempt(const char *text)
{
	static const char *const counters[] = {"차 시도",  "차시도", "번째 시도",
					       "번째시도", "회차",   NULL};
	unsigned number = small_number(text);

	if (begins(text, "시도"))
		return number_after(text + strlen("시도"));
	if (!number)
		return 0;
	text = skip_blank(text + strspn(text, "0123456789"));
	for (size_t i = 0; counters[i]; i++)
		if (begins(text, counters[i]))
			return number;
	return 0;
}

unsigned phrases_attempt(const char *line)
{
	const char *text = skip_markup(line);
	unsigned number = korean_attempt(text);

	if (number || strlen(line) > 200)
		return number;
	for (size_t i = 0; attempt_words[i]; i++)
		if (begins(text, attempt_words[i]) &&
		    !isalpha((unsigned char)text[strlen(attempt_words[i])]))
			return number_after(text + strlen(attempt_words[i]));
	if (begins(text, "the "))
		text += 4;
	else if (begins(text, "my "))
		text += 3;
	for (size_t i = 0; i < ARRAY_SIZE(ordinals); i++)
		for (size_t j = 0; j < 3; j++)
			if (begins(text, ordinals[i][j]) &&
			    follows_attempt(text + strlen(ordinals[i][j])))
				return (unsigned)i + 1;
	return 0;
}

bool phrases_firmware(const char *line)
{
	static const char *const firmware[] = {"bios", "uefi", "firmware", "펌웨어", NULL};
	static const char *const setup[] = {"set", "설정", "셋업", "option", NULL};

	return strlen(line) <= 80 && !strpbrk(line, "$/") && phrases_any(line, firmware) &&
	       phrases_any(line, setup);
}

bool phrases_edits_entry(const char *line)
{
	static const char *const edits[] = {"press e ",
					    "press e,",
					    "pressed e ",
					    "pressed e,",
					    "hit e ",
					    "'e'",
					    "\"e\"",
					    "`e`",
					    "grub editor",
					    "grub's editor",
					    "edit the entry",
					    "edit the boot entry",
					    "edited the entry",
					    "edited the boot entry",
					    "ctrl-x",
					    "ctrl+x",
					    "f10",
					    "부팅하면서 e",
					    "메뉴에서 e",
					    "e를 눌",
					    "e 누르",
					    "e키",
					    NULL};

	return phrases_any(line, edits);
}

bool phrases_reboot(const char *line)
{
	static const char *const boots[] = {
	    "reboot", "restarted the machine", "booted again", "booted xen", "boot again", "부팅",
	    NULL};

	return phrases_any(line, boots);
}

bool phrases_theory(const char *line)
{
	static const char *const bounce[] = {"bounc", "바운스", NULL};
	static const char *const blame[] = {"못함",       "못한",     "못하",       "불가능",
					    "때문",       "문제",     "impossible", "cannot",
					    "can't",      "because",  "so the",     "reason",
					    "never work", "not meet", "fails",      NULL};
	static const char *const doubt[] = {"not the reason", "not because", "myth",
					    "wrong that",     "때문이 아니", NULL};

	return strcasestr(line, "swiotlb") && phrases_any(line, bounce) &&
	       phrases_any(line, blame) && !phrases_any(line, doubt);
}

bool phrases_denies(const char *line)
{
	static const char *const denials[] = {
	    "don't",      "do not",     "did not", "didn't",  "never",   "no need", "without",
	    "instead of", "not needed", "하지 마", "하지 않", "필요 없", NULL};

	return phrases_any(line, denials);
}
