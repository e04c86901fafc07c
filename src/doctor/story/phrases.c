/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/story/phrases.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_SENTENCE 400

/* A text is looked for only where a byte of the line is its first one: most texts need no search.
 */
bool phrases_any(const char *line, const char *const *texts)
{
	bool has[256] = {false};

	for (const char *at = line; *at; at++)
		has[(unsigned char)tolower((unsigned char)*at)] = true;
	for (; *texts; texts++)
		if (has[(unsigned char)tolower((unsigned char)**texts)] && strcasestr(line, *texts))
			return true;
	return false;
}

/* ---- How it went ---- */

/* clang-format off */
static const char *const failed_words[] = {
    "안켜", "안 켜", "안뜨", "안 뜨", "안뜸", "안 뜸", "안떠", "안 떠", "안나오", "안 나오", "안나옴", "안 나옴",
    "안나와", "안 나와", "안나온", "안 나온", "안나왔", "안 나왔", "안됨", "안 됨", "안돼", "안 돼", "안되", "안 되", "안된", "안 된",
    "안됩", "안 됩", "안돌아", "안 돌아", "안보", "안 보", "켜지지 않", "켜지질 않", "켜지지않", "뜨지 않", "뜨질 않",
    "뜨지않", "나오지 않", "나오질 않", "나오지않", "되지 않", "되질 않", "되지않", "하지 않습니다", "보이지 않", "실패",
    "먹통", "검은 화면", "까만 화면", "검은화면", "암전", "블랙스크린", "블랙 스크린", "비정상", "성공하지", "성공 못", "해결 안",
    "해결 못", "해결되지",
    "black screen", "blank screen", "no picture", "no display", "nothing on the screen", "stays black",
    "stayed black", "still black", "remains black", "remained black", "screen is black",
    "screen was black", "no signal", "dark screen", "screen dark", "didn't work", "did not work",
    "does not work", "doesn't work", "don't work", "do not work", "not working", "isn't working",
    "aren't working", "wasn't working", "stopped working", "no longer work", "never worked", "won't boot", "will not boot", "does not boot",
    "doesn't boot", "unsuccessful", "without success", "no success", "no luck", "failed", "failure", "same result", "same again", "still nothing",
    "no image", "no video", "didn't help", "did not help", "screen black", "went black", "gave up",
    "not fixed", "not solved", "not been fixed", "not been solved",
    "画面が真っ黒", "画面が黒", "真っ暗", "黒い画面", "ブラックスクリーン", "映らない", "映りません", "表示されない", "表示されません", "起動しない",
    "起動しません", "動かない", "動きません", "動作しない", "動作しません", "失敗",
    "黑屏", "黑幕", "没有显示", "无显示", "无法启动", "无法引导", "不能启动", "启动不了", "不工作", "没有成功", "失败",
    "bleibt schwarz", "schwarzer bildschirm", "schwarzen bildschirm", "kein bild", "funktioniert nicht", "funktionieren nicht", "geht nicht", "startet nicht",
    "bootet nicht", "fehlgeschlagen", NULL};
static const char *const screen_words[] = {
    "화면", "켜", "뜨", "뜸", "떠", "검은", "까만", "암전", "스크린", "screen", "picture", "display", "signal",
    "image", "video", "black", "dark", "画面", "映", "表示", "スクリーン", "屏", "显示", "黑", "bildschirm", "bild", "schwarz", NULL};
static const char *const worked_words[] = {
    "켜짐", "켜졌", "성공", "잘 나옴", "잘나옴", "잘 됨", "잘됨", "화면이 나", "화면 나", "화면이 뜸", "해결됨",
    "해결했", "정상", "it works", "works now", "worked", "works fine", "working", "picture came",
    "picture is", "picture comes", "screen came", "screen comes up", "came up", "login screen",
    "desktop appears", "success", "solved", "fixed", "all is well", "all well", "boots fine",
    "booted fine", NULL};
/* With one of these a sentence does not say that it works, whatever else stands in it. */
static const char *const negations[] = {
    "not ", "n't ", "no longer", "never", "nothing", "neither", "unable", "hardly", "stopped ", "before", "used to",
    "until", "않", "못", "안 ", "없", "아니", NULL};
/* Words by which a sentence is a condition, a denial, or about other people's machines. */
static const char *const open_words[] = {
    "if ", "when ", "might", "could ", "would ", "may ", "should ", "no black", "without a black",
    "not a black", "never", "avoid", "afraid", "worried", "people", "others", "some report", "known to",
    "happens on", "supposed to", "expected a", "instead of", "하면", "라면", "으면", "만약", "없이", "없었",
    "걱정", "것 같", "될듯", "사람들", NULL};
/* With one of these a sentence tells of no trouble that is there. */
static const char *const no_fact_words[] = {
    "if ", "no black", "without a black", "not a black", "avoid", "afraid", "worried", "people report",
    "others report", "some report", "known to", "하면", "라면", "으면", "만약", "걱정", "사람들", NULL};
/* The machine itself answers nobody, hangs or restarts. */
static const char *const dead_words[] = {
    "resets itself", "reset itself", "resets by itself", "reboots itself", "reboots by itself", "reboots on its own",
    "restarts itself", "restarts by itself", "restarts on its own", "keeps rebooting", "reboot loop", "boot loop", "bootloop", "hangs",
    "it hung", "freezes", "frozen", "froze", "locks up", "locked up", "caps lock", "no answer", "no reply",
    "unreachable", "no response", "not respond", "n't respond", "not answer", "n't answer", "not reachable", "저절로 재부팅", "스스로 재부팅", "자동으로 재부팅", "무한 재부팅",
    "무한재부팅", "재부팅 반복", "재부팅이 반복", "멈춤", "멈춰", "멈춥", "멈추", "프리징", "응답이 없", "응답 없", "응답하지 않",
    "フリーズ", "固まる", "再起動を繰り返", "死机", "卡死", "自动重启", "不断重启", "friert ein", "startet neu", "startet sich neu", "hängt", NULL};
static const char *const trouble_words[] = {
    "crash", "hang", "hung", "freez", "froze", "panic", "not work", "n't work", "not boot", "n't boot", "not start ", "not start.", "not start,", "does not start", "do not start", "did not start", "will not start", "is not start", "are not start", "n't start", "stopped start", "prevents the ", "prevents my ", "prevents xen", "illegal opcode", "fails",
    "failed", "failure", "unable to", "cannot ", "can't ", "broken", " bug", "regression", "problem", "error",
    "stuck", "reboots", "unstable", "trouble", "wrong", " issue", "no longer", "unsuccessful", "is gone", "black screen", "blank screen",
    "worked before", "used to work", "문제", "오류", "에러", "안 되", "안되", "안 돼", "안돼", "안 됨", "안됨", "않습니다", "않아", "못 ", "실패",
    "멈", "비정상", "먹통", "問題", "エラー", "失敗", "しない", "しません", "问题", "错误", "失败", "无法", "不能", "fehler", "nicht",
    "absturz", "stürzt", NULL};
static const char *const no_trouble_words[] = {
    "no problem", "without problem", "without any problem", "no issue", "without issue", "no error", "without error", "no crash", "not a problem", "문제 없",
    "문제없", "오류 없", "에러 없", "problemlos", "fixed", "solved", "kein problem", "keine probleme", "没有问题", "問題ない", "問題なく", NULL};
/* clang-format on */

static enum outcome judge_sentence(const char *sentence, bool *ret_screen)
{
	if (strchr(sentence, '?') || strstr(sentence, "？") || phrases_any(sentence, open_words))
		return OUTCOME_NONE;
	if (phrases_any(sentence, failed_words)) {
		*ret_screen = *ret_screen || phrases_any(sentence, screen_words);
		return OUTCOME_FAILED;
	}
	return phrases_any(sentence, worked_words) && !phrases_any(sentence, negations)
		   ? OUTCOME_WORKED
		   : OUTCOME_NONE;
}

/* Takes the next sentence off the line, with the mark that ends it, which may be a question's. */
static bool next_sentence(const char **line, char sentence[MOST_SENTENCE])
{
	size_t size = strcspn(*line, ".!?;");

	if (!**line)
		return false;
	size += (*line)[size] ? 1 : 0;
	snprintf(sentence, MOST_SENTENCE, "%.*s",
		 (int)(size < MOST_SENTENCE ? size : MOST_SENTENCE - 1), *line);
	*line += size;
	return true;
}

enum outcome phrases_outcome(const char *line, bool *ret_screen)
{
	enum outcome outcome = OUTCOME_NONE;
	char sentence[MOST_SENTENCE];

	while (next_sentence(&line, sentence)) {
		enum outcome said = judge_sentence(sentence, ret_screen);

		if (said != OUTCOME_NONE)
			outcome = said;
	}
	return outcome;
}

bool phrases_dead(const char *line)
{
	char sentence[MOST_SENTENCE];

	while (next_sentence(&line, sentence))
		if (!phrases_any(sentence, open_words) && phrases_any(sentence, dead_words))
			return true;
	return false;
}

bool phrases_trouble(const char *line)
{
	char sentence[MOST_SENTENCE];

	while (next_sentence(&line, sentence))
		if (!phrases_any(sentence, no_fact_words) && phrases_any(sentence, trouble_words) &&
		    !phrases_any(sentence, no_trouble_words))
			return true;
	return false;
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
