/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the name of an option, key or variable speaks of. A name is taken apart into words, where
 * characters between them, digits or capital letters divide it: keyboard_password,
 * KeyboardPassword and keyboard-password2 are the same. Words are compared as a whole, so that
 * "author" is no "auth" and "keymap" no "key"; only those of within[] and ends[] are found in
 * others.
 */
#include "doctor/facts/redact_scan.h"

#include <string.h>

/* What a word says in a name. */
enum word_role {
	ROLE_STRONG = 1 << 0, /* a secret's name, wherever the word stands in it */
	ROLE_WEAK = 1 << 1,   /* the same if it is the last word */
	ROLE_BEFORE = 1 << 2, /* before a weak word: "public key" is no secret */
	ROLE_ABOUT = 1 << 3,  /* the last word, of what is known about a secret: "token_type" */
	ROLE_AMOUNT = 1 << 4, /* a number: "max_tokens" */
	ROLE_PAIR = 1 << 5,   /* the second word of a pair */
	ROLE_WHOLE = 1 << 6   /* it has a part of within[], and speaks of something else */
};

static const struct {
	unsigned roles;
	enum redact_class last; /* what a name speaks of whose last word it is */
	const char *words;      /* in small letters, blanks between */
} groups[] = {
    {ROLE_STRONG, CLASS_NONE,
     "pwd psk pmk ptk apikey apikeys privkey privatekey jwt otp totp authorization authkey cookie "
     "cookies bearer passin passout passkey cryptkey pincode accesskey keyfile sshkey masterkey "
     "wepkey encryptionkey sessionid sharedkey sessid sessionkey signingkey requirepass masterauth "
     "passwort kennwort motdepasse contraseña пароль 密码 口令 パスワード 비밀번호 암호 패스워드 "
     "비번 "
     "토큰"},
    {ROLE_WEAK, CLASS_NONE, "keys pass auth pin pw priv salt"},
    {ROLE_WEAK | ROLE_PAIR, CLASS_NONE, "key"},
    {ROLE_BEFORE, CLASS_NONE,
     "public pub hot sort primary foreign magic sysrq function any press index map row search "
     "group "
     "object hash lookup exit error country scan event source byte return zip post class product "
     "vendor trap cache device op model machine unicode language area registry reason fault bios "
     "second first host"},
    {ROLE_BEFORE | ROLE_ABOUT, CLASS_NONE, "status type"},
    {ROLE_BEFORE | ROLE_PAIR, CLASS_NONE, "number"},
    {ROLE_ABOUT, CLASS_NONE,
     "authentication length len age timeout expiry expires expiration ttl policy required enabled "
     "disabled enable disable prompt requests attempts retries format encoding algorithm mode size "
     "changed lifetime agent manager usage history quality bits console service socket target "
     "timer "
     "mount ko so path conf module prompts supported allowed method state version limit bucket "
     "request watch server provider days warn url uri endpoint"},
    {ROLE_ABOUT | ROLE_AMOUNT, CLASS_NONE, "count"},
    {ROLE_AMOUNT, CLASS_NONE, "max min total"},
    {ROLE_AMOUNT | ROLE_PAIR, CLASS_NONE, "num"},
    {ROLE_WHOLE, CLASS_NONE, "passwordless secretary tokenizer tokenized tokenize"},
    {ROLE_PAIR, CLASS_NONE,
     "dump phrase word file data slot id shared lines community no nr short tag n address addr "
     "name "
     "cookie code"},
    {0, CLASS_SERIAL,
     "serialno serialnumber serialnr assettag servicetag imei iccid imsi sn 일련번호"},
    {ROLE_PAIR, CLASS_SERIAL, "serial"},
    {0, CLASS_ID, "uuid partuuid fsuuid ptuuid machineid hostid puuid"},
    {ROLE_PAIR, CLASS_ID, "guid"},
    {0, CLASS_HARDWARE,
     "mac macaddr macaddress hwaddr lladdr bdaddr bootif bssid ether wwn wwnn wwpn wwid"},
    {0, CLASS_USER, "user username login logname"},
    {0, CLASS_HOST, "hostname nodename fqdn domainname"},
};

/* Words of a secret's name within a longer word too: "vncpasswd", "authtokens". */
static const char *const within[] = {"password", "passwd",     "passphrase", "passcode",
				     "secret",   "credential", "token"};
/* The same at the end of a longer word: "dbpass", "bindpw". */
static const char *const ends[] = {"pass", "pw", "pwd", "psk"};
static const char *const ends_not[] = {"bypass",   "compass",   "underpass", "overpass",
				       "trespass", "encompass", "surpass"};

/* Two words that are one. */
struct pair {
	const char *first, *second;
	enum redact_class class;
};

static const struct pair pairs[] = {{"private", "key", CLASS_STRONG},
				    {"wireless", "key", CLASS_STRONG},
				    {"secret", "key", CLASS_STRONG},
				    {"api", "key", CLASS_STRONG},
				    {"master", "key", CLASS_STRONG},
				    {"mk", "dump", CLASS_STRONG},
				    {"pass", "phrase", CLASS_STRONG},
				    {"pass", "word", CLASS_STRONG},
				    {"key", "file", CLASS_STRONG},
				    {"key", "data", CLASS_STRONG},
				    {"key", "slot", CLASS_NONE},
				    {"session", "id", CLASS_STRONG},
				    {"recovery", "key", CLASS_STRONG},
				    {"set", "cookie", CLASS_STRONG},
				    {"encryption", "key", CLASS_STRONG},
				    {"access", "key", CLASS_STRONG},
				    {"pin", "code", CLASS_STRONG},
				    {"pre", "shared", CLASS_STRONG},
				    {"private", "lines", CLASS_STRONG},
				    {"snmp", "community", CLASS_STRONG},
				    {"volume", "key", CLASS_STRONG},
				    {"serial", "number", CLASS_SERIAL},
				    {"serial", "no", CLASS_SERIAL},
				    {"serial", "num", CLASS_SERIAL},
				    {"serial", "nr", CLASS_SERIAL},
				    {"serial", "id", CLASS_SERIAL},
				    {"serial", "short", CLASS_SERIAL},
				    {"asset", "tag", CLASS_SERIAL},
				    {"asset", "number", CLASS_SERIAL},
				    {"service", "tag", CLASS_SERIAL},
				    {"s", "n", CLASS_SERIAL},
				    {"console", "serial", CLASS_NONE},
				    {"usb", "serial", CLASS_NONE},
				    {"machine", "id", CLASS_ID},
				    {"boot", "id", CLASS_ID},
				    {"host", "id", CLASS_ID},
				    {"mac", "address", CLASS_HARDWARE},
				    {"mac", "addr", CLASS_HARDWARE},
				    {"hw", "addr", CLASS_HARDWARE},
				    {"hardware", "address", CLASS_HARDWARE},
				    {"port", "name", CLASS_NONE},
				    {"node", "guid", CLASS_HARDWARE},
				    {"port", "guid", CLASS_HARDWARE},
				    {"user", "name", CLASS_USER},
				    {"host", "name", CLASS_HOST},
				    {"machine", "name", CLASS_HOST},
				    {"computer", "name", CLASS_HOST},
				    {"domain", "name", CLASS_HOST}};

/* ---- Looking words up ---- */

struct word {
	const char *text;
	size_t size;
	unsigned roles;
	enum redact_class last;
};

/* FNV-1a of the word in small letters. */
static unsigned hash_of(const char *text, size_t size)
{
	unsigned hash = 2166136261u;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (unsigned char)tolower((unsigned char)text[i])) * 16777619u;
	return hash ^ hash >> 15;
}

static void add_word(struct redact_words *words, const char *text, size_t size, size_t group)
{
	unsigned slot = hash_of(text, size) % REDACT_SLOTS;

	while (words->slots[slot].text)
		slot = (slot + 1) % REDACT_SLOTS;
	words->slots[slot].text = text;
	words->slots[slot].size = (unsigned char)size;
	words->slots[slot].group = (unsigned char)group;
}

void redact_words_init(struct redact_words *words)
{
	memset(words, 0, sizeof(*words));
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		for (const char *at = groups[i].words; *at;) {
			size_t size = strcspn(at, " ");

			add_word(words, at, size, i);
			at += size + (at[size] == ' ');
		}
}

/* The longest word of the groups. */
#define WORD_MAX 24u

static void look_up(const struct redact_words *words, struct word *word)
{
	unsigned slot;

	word->roles = 0;
	word->last = CLASS_NONE;
	if (word->size > WORD_MAX)
		return;
	slot = hash_of(word->text, word->size) % REDACT_SLOTS;
	for (; words->slots[slot].text; slot = (slot + 1) % REDACT_SLOTS)
		if (words->slots[slot].size == word->size &&
		    !strncasecmp(words->slots[slot].text, word->text, word->size)) {
			/* A word may be in more than one group. */
			word->roles |= groups[words->slots[slot].group].roles;
			if (groups[words->slots[slot].group].last)
				word->last = groups[words->slots[slot].group].last;
		}
}

static bool is_word(const struct word *word, const char *text)
{
	return *text == tolower((unsigned char)*word->text) && strlen(text) == word->size &&
	       !strncasecmp(word->text, text, word->size);
}

static bool is_letter(char c)
{
	return isalpha((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* The next word of letters at or behind *at; *ret_digits: digits stood between it and the last. */
static bool next_word(const char *name, size_t size, size_t *at, struct word *ret, bool *ret_digits)
{
	size_t begin = *at, end;

	*ret_digits = false;
	for (; begin < size && !is_letter(name[begin]); begin++)
		*ret_digits = *ret_digits || isdigit((unsigned char)name[begin]);
	end = begin;
	while (end < size && isupper((unsigned char)name[end]))
		end++;
	/* "APIKey" is API and Key, "Password" one word. */
	if (end - begin > 1 && end < size && islower((unsigned char)name[end]))
		end--;
	if (end - begin <= 1)
		while (end < size && is_letter(name[end]) && !isupper((unsigned char)name[end]))
			end++;
	*ret = (struct word){.text = name + begin, .size = end - begin};
	*at = end;
	return end > begin;
}

/* Whether a word has one of within[] in it. */
static bool has_within(const struct word *word)
{
	if (word->size < 5 || word->roles & ROLE_WHOLE)
		return false;
	for (size_t j = 0; j + 5 <= word->size; j++) {
		char c = (char)tolower((unsigned char)word->text[j]);

		if (c != 'p' && c != 's' && c != 'c' && c != 't')
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(within); i++)
			if (c == within[i][0] && strlen(within[i]) <= word->size - j &&
			    !strncasecmp(word->text + j, within[i], strlen(within[i])))
				return true;
	}
	return false;
}

static bool has_end(const struct word *word)
{
	if (word->size < 4 || !memchr("swdkSWDK", word->text[word->size - 1], strlen("swdkSWDK")))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(ends_not); i++)
		if (is_word(word, ends_not[i]))
			return false;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		size_t length = strlen(ends[i]);

		if (word->size > length + 1 &&
		    !strncasecmp(word->text + word->size - length, ends[i], length))
			return true;
	}
	return false;
}

static const struct pair *find_pair(const struct word *first, const struct word *second)
{
	if (!first->size || !(second->roles & ROLE_PAIR))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		if (is_word(second, pairs[i].second) && is_word(first, pairs[i].first))
			return &pairs[i];
	return NULL;
}

enum redact_class redact_name_class(const struct redact_words *words, const char *name, size_t size)
{
	struct word word, last = {0}, before = {0};
	const struct pair *pair = NULL;
	unsigned roles = 0, count = 0;
	bool digits;

	/* The shell's working directory. */
	if ((size == 3 && !memcmp(name, "PWD", 3)) || (size == 6 && !memcmp(name, "OLDPWD", 6)))
		return CLASS_NONE;
	for (size_t at = 0; next_word(name, size, &at, &word, &digits); count++) {
		look_up(words, &word);
		if (has_within(&word) || has_end(&word))
			word.roles |= ROLE_STRONG;
		pair = find_pair(&last, &word);
		if (pair && pair->class == CLASS_STRONG)
			word.roles |= ROLE_STRONG;
		roles |= word.roles;
		before = last;
		last = word;
	}
	if (!count || roles & ROLE_AMOUNT || (count > 1 && last.roles & ROLE_ABOUT))
		return pair && pair->class == CLASS_SERIAL ? CLASS_SERIAL : CLASS_NONE;
	if (roles & ROLE_STRONG)
		return CLASS_STRONG;
	if (pair)
		return pair->class;
	if (last.roles & ROLE_WEAK)
		return before.roles & ROLE_BEFORE ? CLASS_NONE : CLASS_WEAK;
	/* serial0 is a device. */
	return digits ? CLASS_NONE : last.last;
}
