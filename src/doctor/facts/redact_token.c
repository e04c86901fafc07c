/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is a secret by its own form, whatever name it has: key blocks, tokens, hashes, URLs. */
#include "doctor/facts/redact_scan.h"

#include "core/digit.h"

#include <string.h>

/*
 * The most that is taken out behind the BEGIN of a key. The longest keys in use, RSA with 16,384
 * bits, have 12.7 KiB as PEM, and a log puts a prefix before each line.
 */
#define KEY_MAX (32u << 10)

/*
 * "-----BEGIN LABEL-----" or "-----END LABEL-----" (RFC 7468), also with four dashes and a blank
 * (RFC 4716): the size, 0 if it is not one.
 */
static size_t key_line(const struct redact_scan *scan, size_t begin, const char *mark)
{
	size_t at = begin, end;

	while (at < scan->size && at - begin < 5 && scan->text[at] == '-')
		at++;
	at += at - begin == 4 && redact_at(scan, at) == ' ';
	if (at - begin != 5 || scan->size - at < strlen(mark) ||
	    memcmp(scan->text + at, mark, strlen(mark)) != 0)
		return 0;
	for (end = at + strlen(mark);
	     end < scan->size && end - begin < 80 &&
	     (isupper((unsigned char)scan->text[end]) || isdigit((unsigned char)scan->text[end]) ||
	      scan->text[end] == ' ');)
		end++;
	return redact_starts(scan, end, "----")
		   ? end + 4 + (redact_at(scan, end + 4) == '-') - begin
		   : 0;
}

/* A PuTTY key, whose public half stands first. */
#define PUTTY_MARK "PuTTY-User-Key-File-"

size_t redact_key_block(struct redact_scan *scan, size_t at)
{
	size_t begin = redact_at(scan, at) == '-' ? key_line(scan, at, "BEGIN ") : 0, end, line;

	if (!begin)
		return 0;
	end = redact_next(scan, redact_at(scan, at + 4) == ' ' ? MARK_SSH_KEY_END : MARK_KEY_END,
			  at + begin);
	if (end < scan->size && end - at < KEY_MAX) {
		line = key_line(scan, end, "END ");
		return end - at + (line ? line : strlen("-----END "));
	}
	return scan->size - at < KEY_MAX ? scan->size - at : KEY_MAX;
}

/* ---- Tokens ---- */

/* Prefixes that their issuers document, so that such tokens are found. */
static const struct {
	const char *prefix;
	unsigned least; /* bytes behind it */
} prefixes[] = {{"ghp_", 16},
		{"gho_", 16},
		{"ghu_", 16},
		{"ghs_", 16},
		{"ghr_", 16},
		{"github_pat_", 16},
		{"glpat-", 12},
		{"gldt-", 12},
		{"glrt-", 12},
		{"glsa_", 16},
		{"xoxb-", 10},
		{"xoxp-", 10},
		{"xoxa-", 10},
		{"xoxr-", 10},
		{"xoxs-", 10},
		{"xapp-", 10},
		{"sk_live_", 10},
		{"sk_test_", 10},
		{"rk_live_", 10},
		{"whsec_", 16},
		{"sk-", 20},
		{"AKIA", 16},
		{"ASIA", 16},
		{"AIza", 30},
		{"ya29.", 16},
		{"GOCSPX-", 16},
		{"hf_", 24},
		{"npm_", 24},
		{"pypi-", 24},
		{"dckr_pat_", 16},
		{"dop_v1_", 24},
		{"doo_v1_", 24},
		{"shpat_", 16},
		{"SG.", 24},
		{"hvs.", 16},
		{"hvb.", 16},
		{"tskey-", 12},
		{"nvapi-", 24},
		{"lin_api_", 16},
		{"ATATT3", 24},
		{"PMAK-", 24},
		{"dapi", 32},
		{"xkeysib-", 24},
		{"sntrys_", 16},
		{"rubygems_", 24},
		{"AGE-SECRET-KEY-1", 20},
		{"DHHC-1:", 16},
		{"NVMeTLSkey-1:", 16},
		{"grub.pbkdf2.", 16},
		{"openssh-key-v1", 0},
		{"b3BlbnNzaC1rZXktdjE", 0},
		{"eyJ", 20}};

static bool is_token(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("_-.:/+=~", c));
}

static size_t token_size(const struct redact_scan *scan, size_t at)
{
	size_t end = at;

	while (end < scan->size && is_token(scan->text[end]))
		end++;
	return end - at;
}

/* Letters and digits, of which both occur: no word of a language. */
static bool is_mixed(const char *text, size_t size)
{
	bool digit = false, letter = false;

	for (size_t i = 0; i < size && i < 64; i++) {
		digit = digit || isdigit((unsigned char)text[i]);
		letter = letter || isalpha((unsigned char)text[i]);
	}
	return digit && letter;
}

static size_t known_token(const struct redact_scan *scan, size_t at)
{
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		size_t length, size;

		if (scan->text[at] != prefixes[i].prefix[0])
			continue;
		length = strlen(prefixes[i].prefix);
		if (scan->size - at < length ||
		    memcmp(scan->text + at, prefixes[i].prefix, length) != 0)
			continue;
		size = token_size(scan, at + length);
		if (!prefixes[i].least ||
		    (size >= prefixes[i].least && is_mixed(scan->text + at + length, size)))
			return length + size;
	}
	return 0;
}

static const char *const schemes[] = {"Bearer ", "Basic ", "Negotiate ", "NTLM ",
				      "DPoP ",   "Token ", "ApiKey "};

/* "Bearer TOKEN", "Basic BASE64" of HTTP, where no header's name stands before it. */
static struct redact_cut scheme(const struct redact_scan *scan, size_t at)
{
	struct redact_cut cut = {.at = at, .kind = REDACT_SECRET};

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		size_t value, size;

		if (!redact_starts(scan, at, schemes[i]))
			continue;
		value = at + strlen(schemes[i]);
		size = token_size(scan, value);
		if (size >= 8 &&
		    (is_mixed(scan->text + value, size) || scan->text[value + size - 1] == '=')) {
			cut.at = value;
			cut.size = size;
		}
		break;
	}
	return cut;
}

static const char *const hashes[] = {"$1$",   "$2a$",  "$2b$",    "$2y$",    "$5$",       "$6$",
				     "$7$",   "$y$",   "$gy$",    "$argon2", "$scrypt$",  "$sha1$",
				     "{SSHA", "{SHA}", "{CRYPT}", "{PBKDF2", "SCRAM-SHA-"};

/* "$6$SALT$HASH", "{SSHA}…": a password's hash (crypt(5)). */
static size_t password_hash(const struct redact_scan *scan, size_t at)
{
	for (size_t i = 0; i < ARRAY_SIZE(hashes); i++) {
		size_t end;

		if (scan->text[at] != *hashes[i] || !redact_starts(scan, at, hashes[i]))
			continue;
		end = at + strlen(hashes[i]);
		while (end < scan->size &&
		       (isalnum((unsigned char)scan->text[end]) ||
			(scan->text[end] && strchr("$./+=,-_}*", scan->text[end]))))
			end++;
		return end - at > strlen(hashes[i]) + 8 ? end - at : 0;
	}
	return 0;
}

/* "getty@tty1.service": an instance of a unit of systemd. */
static bool is_unit(const struct redact_scan *scan, size_t end)
{
	static const char *const units[] = {".service", ".socket", ".mount", ".target", ".timer",
					    ".slice",   ".device", ".swap",  ".path",   ".scope"};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (end >= strlen(units[i]) &&
		    redact_starts(scan, end - strlen(units[i]), units[i]))
			return true;
	return false;
}

/* "NAME@HOST.TLD": the whole of it from its first character. */
static size_t mail_address(const struct redact_scan *scan, size_t at)
{
	size_t end = at, point = 0, name;

	/* Most words have no '@' near: that is one look at up to 65 bytes. */
	if (!memchr(scan->text + at, '@', scan->size - at < 65 ? scan->size - at : 65))
		return 0;
	while (end < scan->size && end - at < 64 &&
	       ((redact_is_name(scan->text[end])) || scan->text[end] == '+'))
		end++;
	name = end;
	if (end == at || redact_at(scan, end) != '@' || redact_starts(scan, end, "@lists."))
		return 0;
	for (end++; end < scan->size && end - name < 128 && redact_is_name(scan->text[end]); end++)
		point += scan->text[end] == '.' && isalpha((unsigned char)redact_at(scan, end + 1));
	while (end > name && redact_before(scan, end) == '.')
		end--;
	return point && !is_unit(scan, end) ? end - at : 0;
}

static const char *const bare_schemes[] = {"iscsi:", "cifs:", "smb:", "nfs:", "ftp:", "nbd:"};

/* Schemes behind which credentials stand without "//" (dracut.cmdline(7), QEMU's -drive). */
static size_t bare_user(const struct redact_scan *scan, size_t at, size_t *ret_size)
{
	for (size_t i = 0; i < ARRAY_SIZE(bare_schemes); i++) {
		size_t begin, end;
		bool colon = false;

		if (scan->text[at] != *bare_schemes[i] || !redact_starts(scan, at, bare_schemes[i]))
			continue;
		begin = at + strlen(bare_schemes[i]);
		for (end = begin; end < scan->size && end - begin < 256 && scan->text[end] != '@' &&
				  !isspace((unsigned char)scan->text[end]) && scan->text[end];
		     end++)
			colon = colon || scan->text[end] == ':';
		if (!colon || redact_at(scan, end) != '@' || scan->text[begin] == '/')
			return 0;
		*ret_size = end - begin;
		return begin;
	}
	return 0;
}

static void add_begins(struct redact_words *words, const char *const *texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		words->begins[redact_begin(texts[i][0], texts[i][1])] |= BEGINS_TOKEN;
}

void redact_tokens_init(struct redact_words *words)
{
	static const char *const putty[] = {PUTTY_MARK};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		add_begins(words, &prefixes[i].prefix, 1);
	add_begins(words, hashes, ARRAY_SIZE(hashes));
	add_begins(words, schemes, ARRAY_SIZE(schemes));
	add_begins(words, bare_schemes, ARRAY_SIZE(bare_schemes));
	add_begins(words, putty, ARRAY_SIZE(putty));
}

/* What has a fixed beginning. */
static struct redact_cut begun(struct redact_scan *scan, size_t at)
{
	struct redact_cut cut = {.at = at, .kind = REDACT_SECRET};

	cut.size = known_token(scan, at);
	if (!cut.size)
		cut.size = password_hash(scan, at);
	if (!cut.size && redact_starts(scan, at, PUTTY_MARK)) {
		cut.kind = REDACT_KEY;
		cut.size = scan->size - at < KEY_MAX ? scan->size - at : KEY_MAX;
	}
	if (!cut.size && !redact_is_name(redact_before(scan, at))) {
		cut = scheme(scan, at);
		if (!cut.size) {
			size_t begin = bare_user(scan, at, &cut.size);

			cut.at = begin ? begin : at;
		}
	}
	return cut;
}

struct redact_cut redact_token(struct redact_scan *scan, size_t at)
{
	struct redact_cut cut = {.at = at};

	if (redact_may_begin(scan, at, BEGINS_TOKEN))
		cut = begun(scan, at);
	if (!cut.size && !redact_is_name(redact_before(scan, at)) &&
	    redact_is_name(scan->text[at])) {
		cut.at = at;
		cut.size = mail_address(scan, at);
		cut.kind = REDACT_MAIL;
	}
	return cut;
}

/* ---- URLs ---- */

/* Looks at the word behind a "://" once: where it ends, and its last '@'. */
static void look_at_host(struct redact_scan *scan, size_t at)
{
	size_t end = at;

	if (at >= scan->host_start && at < scan->host_end)
		return;
	scan->host_start = at;
	scan->host_at = 0;
	for (; end < scan->size && !isspace((unsigned char)scan->text[end]) && scan->text[end] &&
	       !strchr("\"'<>`", scan->text[end]);
	     end++)
		if (scan->text[end] == '@')
			scan->host_at = end;
	scan->host_end = end;
}

/*
 * A password may have slashes and '@' in it, though a URL should have them encoded. So what stands
 * before the last '@' is taken out, unless a host with its path stands there: a first part without
 * colon, or with a port behind it.
 */
struct redact_cut redact_url(struct redact_scan *scan, size_t at)
{
	struct redact_cut cut = {.at = at, .kind = REDACT_SECRET};
	size_t begin = at + 3, end, colon = 0;
	bool port = true;

	if (!redact_starts(scan, at, "://"))
		return cut;
	look_at_host(scan, begin);
	if (scan->host_at <= begin)
		return cut;
	for (end = begin; end < scan->host_at && !strchr("/?#@", scan->text[end]); end++) {
		if (colon && !isdigit((unsigned char)scan->text[end]))
			port = false;
		if (scan->text[end] == ':' && !colon)
			colon = end;
	}
	if (scan->text[end] != '@' && (!colon || port))
		return cut;
	cut.at = begin;
	/* Without a colon it is a user or token alone, and an '@' of the path is another. */
	cut.size = (colon ? scan->host_at : end) - begin;
	return cut;
}
