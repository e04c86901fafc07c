/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What --collect takes out, and what it must leave (redact_rows.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config.h"
#include "doctor/facts/bundle.h"
#include "doctor/facts/redact.h"
#include "doctor/facts/redact_people.h"
#include "redact_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Arguments of QEMU, as /proc has them and as libvirt logs them. */
static void test_redaction_of_qemu(void **state)
{
#define ROW(text, redacted)                                                                        \
	{                                                                                          \
		text, sizeof(text) - 1, redacted, sizeof(redacted) - 1                             \
	}
	static const struct {
		const char *text;
		size_t size;
		const char *redacted;
		size_t redacted_size;
	} rows[] = {
	    ROW("-object\0secret,id=s,data=hunter2\0-S\0",
		"-object\0secret,id=s,data=[secret]\0-S\0"),
	    ROW("-object\0secret,id=s,data=two words\0-S\0",
		"-object\0secret,id=s,data=[secret]\0-S\0"),
	    ROW("-object\0{\"qom-type\":\"secret\",\"data\":\"a\\\"b\",\"iv\":\"c\"}\0",
		"-object\0{\"qom-type\":\"secret\",\"data\":[secret],\"iv\":\"c\"}\0"),
	    ROW("-spice\0port=5900,addr=::1,password=a b\0-m\0",
		"-spice\0port=5900,addr=::1,password="
		"[secret]\0-m\0"),
	    ROW("-vnc\0unix:/run/v,password=on,password-secret=vnc0\0",
		"-vnc\0unix:/run/v,password=[secret]\0"),
	    ROW("-drive\0file=rbd:pool/a:id=admin:key=QVFB==:auth_supported=cephx\0",
		"-drive\0file=rbd:pool/a:id=admin:key=[secret]\0"),
	    ROW("-drive\0file=ssh://me:pw@host/a,if=none\0",
		"-drive\0file=ssh://[secret]@host/a,if=none\0"),
	    ROW("-iscsi\0user=u,password=pw\0", "-iscsi\0user=u,password=[secret]\0"),
	    ROW("-smbios\0type=1,serial=123 456,sku=x\0", "-smbios\0type=1,serial=[serial]\0"),
	    ROW("-smbios\0type=11,value=io.systemd.credential.binary:pw=YQ==\0",
		"-smbios\0type=11,value=io.systemd.credential.binary:[secret]\0"),
	    ROW("-fw_cfg\0name=opt/x,string=pw\0", "-fw_cfg\0name=opt/x,string=[secret]\0"),
	    ROW("-device\0e1000,mac=52:54:00:12:34:56\0", "-device\0e1000,mac=[MAC]\0"),
	    ROW("-name\0a,debug-threads=on\0-qmp\0unix:/run/a,server=on\0",
		"-name\0a,debug-threads=on\0-qmp\0unix:/run/a,server=on\0"),
	    ROW("LC_ALL=C qemu -object secret,id=s,data=hunter2 -S",
		"LC_ALL=C qemu -object secret,id=s,data=[secret] -S"),
	    ROW("https://example.org/a@b", "https://example.org/a@b"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_buffer_ struct buffer out = {0};
		struct redaction redaction = {0};

		redact(&redaction, rows[i].text, rows[i].size, &out);
		if (out.size != rows[i].redacted_size ||
		    memcmp(out.data, rows[i].redacted, out.size))
			fail_msg("row %zu: %.*s", i, (int)out.size, out.data);
	}
}

static void test_redaction(void **state)
{
	static const char *const rows[][2] = {
	    {"eth0: 52:54:00:12:34:56 up", "eth0: [MAC] up"},
	    {"mac=52-54-00-AB-CD-EF", "mac=[MAC]"},
	    {"0000:00:02.0 8086:a788", "0000:00:02.0 8086:a788"},
	    {"ro luks.passphrase=hunter2 quiet", "ro luks.passphrase=[secret] quiet"},
	    {"password: \"two words\" x", "password: [secret] x"},
	    {"--api-key abc def", "--api-key [secret] def"},
	    {"SerialNumber: 123", "SerialNumber: [serial]"},
	    {"-object secret,id=s,data=abc,format=raw", "-object secret,id=s,data=[secret]"},
	    {"keyboard=us passthrough=1", "keyboard=us passthrough=1"},
	    {"root=UUID=01234567-89ab-cdef-0123-456789abcdef ro", "root=UUID=[UUID] ro"},
	    {"603E9613-EF25-4338-A3D0-C46177516DB7", "603E9613-EF25-4338-A3D0-C46177516DB7"},
	    {"a me@example.org b", "a [mail] b"},
	    {"a\n-----BEGIN RSA PRIVATE KEY-----\nxx\n-----END RSA PRIVATE KEY-----\nb",
	     "a\n[key]\n\n\nb"},
	    {"-----BEGIN RSA PRIVATE KEY-----\nxx", "[key]\n"},
	    {"-----BEGIN RSA PRIVATE KEY-----\nDEK-Info: AES\n\nTUlJ+/=\n", "[key]\n\n\n\n"},
	    {"a\r\n-----BEGIN PRIVATE KEY-----\r\nTUlJ\r\n", "a\r\n[key]\n\n"},
	    {"Nov 22 a: -----BEGIN PRIVATE KEY-----\nNov 22 a: TUlJ\n", "Nov 22 a: [key]\n\n"},
	    {"tls_key=\"-----BEGIN PRIVATE KEY-----\nTUlJ\n-----END PRIVATE KEY-----\" a",
	     "tls_key=[secret]\n\n\" a"},
	    {"key: -----BEGIN PRIVATE KEY-----\nTUlJ\n-----END PRIVATE KEY-----\na",
	     "key: [secret]\n\n\na"},
	    {"{\"a\":\"-----BEGIN PRIVATE KEY-----\\nTUlJ\\n-----END PRIVATE "
	     "KEY-----\\n\",\"b\":1}",
	     "{\"a\":\"[key]\\n\",\"b\":1}"},
	    {"a-----BEGIN A-----\nTUlJ\n-----END A----------BEGIN A-----\nTUlJ\n-----END A-----",
	     "a[key]\n\n[key]\n\n"},
	    {"-----BEGIN x no key at all\nthe rest", "-----BEGIN x no key at all\nthe rest"},
	    {"", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_buffer_ struct buffer out = {0};
		struct redaction redaction = {0};

		redact(&redaction, rows[i][0], strlen(rows[i][0]), &out);
		assert_string_equal(buffer_string(&out), rows[i][1]);
	}
}

/* Behind the BEGIN of a key that has no END, 32 KiB are taken out, and what follows them stays. */
static void test_redaction_of_half_a_key(void **state)
{
	static const char begin[] = "-----BEGIN PRIVATE KEY-----\n", after[] = "after the key";
	enum { LINES = (32 << 10) / 64 };
	_cleanup_buffer_ struct buffer text = {0}, out = {0};
	struct redaction redaction = {0};
	const char *rest;

	(void)state;
	buffer_append_string(&text, begin);
	for (unsigned i = 0; i < LINES; i++)
		buffer_printf(&text, "%062u=\n", i);
	buffer_append_string(&text, after);
	assert_true(redact(&redaction, text.data, text.size, &out));
	assert_memory_equal(buffer_string(&out), "[key]\n", 6);
	rest = strstr(buffer_string(&out), after);
	assert_non_null(rest);
	/* Of the lines, one stays in part: BEGIN's line was counted too. */
	assert_null(strstr(buffer_string(&out), "00000="));
	assert_int_equal(out.size, strlen("[key]") + LINES + strlen(begin) + strlen(after));
}

static void test_redaction_is_cancelled(void **state)
{
	_cleanup_buffer_ struct buffer out = {0};
	struct redaction redaction = {0};
	struct nunchi_context *context;
	enum { SIZE = 4 << 20 };
	char *text = calloc(1, SIZE);

	(void)state;
	assert_non_null(text);
	memset(text, 'x', SIZE);
	assert_null(nunchi_context_create(0, &context));
	redaction.context = context;
	assert_true(redact(&redaction, text, SIZE, &out));
	nunchi_context_cancel(context);
	assert_false(redact(&redaction, text, SIZE, &out));
	nunchi_context_destroy(context);
	free(text);
}

/* Whether the secret, or a word of it that has four letters at least, stands in the text. */
static const char *leaked(const struct buffer *out, const char *secret)
{
	_cleanup_free_ char *copy = strdup(secret);
	char *rest = NULL;

	assert_non_null(copy);
	if (memmem(out->data, out->size, secret, strlen(secret)))
		return secret;
	for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		if (strlen(word) >= 4 && memmem(out->data, out->size, word, strlen(word)))
			return secret;
	return NULL;
}

/* What stands around a row: nothing, or what a log puts before a message. */
static const char *const beginnings[] = {
    "", "[   12.345678] usb 1-1: ", "Nov 22 10:00:00 h kernel: ", "GRUB_X=\"quiet "};

static void test_secrets_are_taken_out(void **state)
{
	unsigned leaks = 0;

	(void)state;
	assert_true(ARRAY_SIZE(redact_secrets) >= 150);
	for (size_t i = 0; i < ARRAY_SIZE(redact_secrets); i++)
		for (size_t j = 0; j < ARRAY_SIZE(beginnings); j++) {
			const struct redact_secret *row = &redact_secrets[i];
			_cleanup_buffer_ struct buffer text = {0}, out = {0};
			struct redaction redaction = {0};

			/* A quote within quotes is none of a shell's. */
			if ((j && row->place == OWN_LINE) || (j == 3 && strchr(row->text, '"')))
				continue;
			buffer_printf(&text, "first\n%s%s\nlast\n", beginnings[j], row->text);
			assert_true(redact(&redaction, text.data, text.size, &out));
			if (leaked(&out, row->secret)) {
				print_error("row %zu leaks: %s", i, buffer_string(&out));
				leaks++;
			}
			if (strncmp(buffer_string(&out), "first\n", 6) != 0 ||
			    !strstr(buffer_string(&out), "\nlast\n"))
				fail_msg("row %zu: %s", i, buffer_string(&out));
		}
	assert_int_equal(leaks, 0);
}

static void test_harmless_stays(void **state)
{
	unsigned wrong = 0;

	(void)state;
	assert_true(ARRAY_SIZE(redact_harmless) >= 100);
	for (size_t i = 0; i < ARRAY_SIZE(redact_harmless); i++)
		for (size_t j = 0; j < 2; j++) {
			_cleanup_buffer_ struct buffer text = {0}, out = {0};
			struct redaction redaction = {0};

			buffer_printf(&text, "%s%s\n", beginnings[j], redact_harmless[i]);
			assert_true(redact(&redaction, text.data, text.size, &out));
			if (strcmp(buffer_string(&text), buffer_string(&out)) != 0) {
				print_error("row %zu: %s    became %s", i, buffer_string(&text),
					    buffer_string(&out));
				wrong++;
			}
		}
	assert_int_equal(wrong, 0);
}

/* What was taken out once stays as it is. */
static void test_marks_stay(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(redact_secrets); i++) {
		_cleanup_buffer_ struct buffer once = {0}, twice = {0};
		struct redaction redaction = {0};

		assert_true(redact(&redaction, redact_secrets[i].text,
				   strlen(redact_secrets[i].text), &once));
		assert_true(redact(&redaction, once.data, once.size, &twice));
		assert_string_equal(buffer_string(&once), buffer_string(&twice));
	}
}

static void test_people(void **state)
{
	static const char *const rows[][2] = {
	    {"Nov 22 10:00:00 anything kernel: x", "Nov 22 10:00:00 [host] kernel: x"},
	    {"2026-11-29T10:20:30.1+09:00 anything sshd: x",
	     "2026-11-29T10:20:30.1+09:00 [host] sshd: x"},
	    {"[    1.0] build7 kernel: x", "[    1.0] [host] kernel: x"},
	    {"to build7.example.org now", "to [host] now"},
	    {"BUILD7: x", "[host]: x"},
	    {"rebuild7 x", "rebuild7 x"},
	    {"/home/stranger/x", "/home/[user]/x"},
	    {"uid 1000 (alice)", "uid 1000 ([user])"},
	    {"alice-pc", "[user]-pc"},
	    {"malice aforethought", "malice aforethought"},
	    {"USER=stranger", "USER=[user]"},
	    {"ip=192.0.2.7::192.0.2.1:255.255.255.0", "ip=[IP]::[IP]:[IP]"},
	    {"addr 2001:db8::7/64", "addr [IP]/64"},
	    {"127.0.0.1 6.1.0-13 10.0.19041.1", "127.0.0.1 6.1.0-13 10.0.19041.1"},
	    {"0000:00:02.0 10:20:30", "0000:00:02.0 10:20:30"},
	};
	_cleanup_redact_people_ struct redact_people *people = NULL;

	(void)state;
	assert_null(redact_people_create(&people));
	assert_true(redact_people_add(people, "build7", 6, true));
	assert_true(redact_people_add(people, "alice", 5, false));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_buffer_ struct buffer out = {0};
		struct redaction redaction = {.people = people};

		assert_true(redact(&redaction, rows[i][0], strlen(rows[i][0]), &out));
		assert_string_equal(buffer_string(&out), rows[i][1]);
	}
}

#ifdef HAVE_LIBARCHIVE
/* Each kind of what is collected, with all rows in it. */
static void test_no_secret_in_a_bundle(void **state)
{
	static const struct {
		enum tree_kind kind;
		const char *name;
	} kinds[] = {{TREE_FILE, "/boot/grub/grub.cfg"},
		     {TREE_FILE, "/etc/default/grub"},
		     {TREE_FILE, "/etc/modprobe.d/a.conf"},
		     {TREE_FILE, "/proc/1/cmdline"},
		     {TREE_FILE, "/etc/xen/a.cfg"},
		     {TREE_FILE, "/var/log/kern.log"},
		     {TREE_LIST, "/boot"},
		     {TREE_LINK, "/proc/1/exe"},
		     {TREE_TIME, "/boot/grub"},
		     {TREE_COMMAND, "xl info"},
		     {TREE_COMMAND, "xl dmesg"},
		     {TREE_PROBE, "kernel-log"},
		     {TREE_INITRAMFS, "/boot/initrd.img"},
		     {TREE_PACKAGES, "/var/lib/dpkg/status"}};
	char folder[] = "/tmp/nunchi-redact-XXXXXX", path[64];
	_cleanup_tree_ struct tree *tree = NULL, *read = NULL;
	const struct tree_entry *entry;
	size_t count = 0;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/bundle", folder);
	assert_null(tree_create_empty(&tree));
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		_cleanup_buffer_ struct buffer text = {0};

		for (size_t j = 0; j < ARRAY_SIZE(redact_secrets); j++)
			buffer_printf(&text, "%s\n", redact_secrets[j].text);
		assert_null(tree_put(tree, kinds[i].kind, kinds[i].name, text.data, text.size, 0));
	}
	assert_null(tree_put(tree, TREE_FILE, "/etc/xen/52:54:00:ab:cd:ef.cfg", "a", 1, 0));
	assert_null(tree_put(tree, TREE_FILE, "/etc/xen/52:54:00:ab:cd:ee.cfg", "b", 1, 0));
	assert_null(bundle_write(tree, path, false, NULL, NULL, NULL));
	assert_null(bundle_read(path, &read));
	for (size_t i = 0; (entry = tree_entry(read, i)); i++, count++) {
		struct buffer text = {.data = entry->text, .size = entry->size};

		assert_null(strstr(entry->name, "ab:cd:e"));
		for (size_t j = 0; entry->size > 1 && j < ARRAY_SIZE(redact_secrets); j++)
			if (leaked(&text, redact_secrets[j].secret))
				fail_msg("%s has %s: %s", entry->name, redact_secrets[j].secret,
					 entry->text);
	}
	assert_int_equal(count, ARRAY_SIZE(kinds) + 2);
	unlink(path);
	rmdir(folder);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_redaction),
	    cmocka_unit_test(test_redaction_of_qemu),
	    cmocka_unit_test(test_redaction_of_half_a_key),
	    cmocka_unit_test(test_redaction_is_cancelled),
	    cmocka_unit_test(test_secrets_are_taken_out),
	    cmocka_unit_test(test_harmless_stays),
	    cmocka_unit_test(test_marks_stay),
	    cmocka_unit_test(test_people),
#ifdef HAVE_LIBARCHIVE
	    cmocka_unit_test(test_no_secret_in_a_bundle),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
