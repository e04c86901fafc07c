/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GRUB's configuration as the doctor reads it: defaults, the generated menu, the environment. */
#include "doctor/change/grub.h"
#include "doctor/change/grub_env.h"
#include "doctor/change/plan.h"
#include "doctor/facts/grub_menu.h"
#include "doctor/facts/grub_vars.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

/* ---- Variables ------------------------------------------------------------------------------- */

static struct grub_vars *read_vars(const char *text)
{
	struct grub_vars *vars;

	assert_null(grub_vars_create(&vars));
	assert_null(grub_vars_read(vars, "/etc/default/grub", text, strlen(text)));
	return vars;
}

static void assert_var(const char *text, const char *name, const char *value, bool exact)
{
	_cleanup_grub_vars_ struct grub_vars *vars = read_vars(text);
	const struct grub_var *var = grub_vars_find(vars, name);

	if (!value) {
		assert_null(var);
		return;
	}
	assert_non_null(var);
	assert_string_equal(var->value, value);
	assert_int_equal(var->exact, exact);
}

static void test_quoting(void **state)
{
	(void)state;
	assert_var("A=plain\n", "A", "plain", true);
	assert_var("A='a $B \\n \"'\n", "A", "a $B \\n \"", true);
	assert_var("A=\"a \\\"b\\\" \\$c \\x\"\n", "A", "a \"b\" $c \\x", true);
	assert_var("A=a\\ b'c d'\"e f\"g\n", "A", "a bc de fg", true);
	assert_var("A=\"one \\\ntwo\"\n", "A", "one two", true);
	assert_var("A='one\ntwo'\n", "A", "one\ntwo", true);
	assert_var("  export A=b # A=c\n", "A", "b", true);
	assert_var("#A=b\n", "A", NULL, false);
	assert_var("A=b;A=c;", "A", "c", true);
	assert_var("A=\n", "A", "", true);
	assert_var("A=b#c", "A", "b#c", true);
	assert_var("echo A=b\n", "A", NULL, false);
}

static void test_references(void **state)
{
	(void)state;
	assert_var("A=x\nB=\"$A ${A} y\"\n", "B", "x x y", true);
	assert_var("GRUB_CMDLINE_XEN=\"$GRUB_CMDLINE_XEN a\"\n", "GRUB_CMDLINE_XEN", " a", true);
	/* The environment is not ours to know. */
	assert_var("B=$HOME\n", "B", "", false);
	assert_var("A=`lsb_release -i -s || echo Debian`\n", "A", "", false);
	assert_var("A=\"x $(echo \"(y)\") z\"\n", "A", "x  z", false);
	assert_var("A=${B:-c}\nC=$A\n", "C", "", false);
}

/* A name at the very end of the file, which is not NUL-terminated. */
static void test_name_at_the_end(void **state)
{
	_cleanup_grub_vars_ struct grub_vars *vars = NULL;
	_cleanup_free_ char *text = malloc(9);

	(void)state;
	memcpy(text, "A=$GRUB_C", 9);
	assert_null(grub_vars_create(&vars));
	assert_null(grub_vars_read(vars, "x", text, 9));
	assert_false(grub_vars_find(vars, "A")->exact);
}

static void test_beyond_the_subset(void **state)
{
	_cleanup_grub_vars_ struct grub_vars *vars = NULL;
	unsigned line = 0;

	(void)state;
	assert_var("A=b\nif true; then\nA=c\nfi\nB=d\n", "A", "c", false);
	assert_var("A=b\nif true; then A=c; fi\nB=d\n", "B", "d", true);
	assert_var("[ -e /x ] && A=b\n", "A", "b", false);
	assert_var("A=b command\n", "A", "b", false);
	assert_var("case $x in\ny) A=b ;;\nesac\n", "A", NULL, false);
	assert_var("A=b\n. /etc/other\n", "A", "b", false);
	vars = read_vars("A=b\n\n. /etc/other\n");
	assert_string_equal(grub_vars_opaque(vars, &line), "/etc/default/grub");
	assert_int_equal(line, 3);
	assert_int_equal(grub_vars_find(vars, "A")->line, 1);
}

static void test_files_in_order(void **state)
{
	_cleanup_grub_vars_ struct grub_vars *vars = read_vars("A=1\nB=1\n");
	static const char text[] = "\nB=\"$B 2\"\n";

	(void)state;
	assert_null(grub_vars_read(vars, "/etc/default/grub.d/x.cfg", text, strlen(text)));
	assert_string_equal(grub_vars_find(vars, "B")->value, "1 2");
	assert_string_equal(grub_vars_find(vars, "B")->file, "/etc/default/grub.d/x.cfg");
	assert_int_equal(grub_vars_find(vars, "B")->line, 2);
	assert_string_equal(grub_vars_find(vars, "A")->file, "/etc/default/grub");
}

/* ---- The menu -------------------------------------------------------------------------------- */

static const char menu_text[] =
    "if [ \"${next_entry}\" ] ; then\n"
    "   set default=\"${next_entry}\"\n"
    "   set next_entry=\n"
    "   save_env next_entry\n"
    "else\n"
    "   set default=\"0\"\n"
    "fi\n"
    "function load_video { insmod all_video\n}\n"
    "menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple-u' {\n"
    "	if [ x$grub_platform = xxen ]; then insmod xzio; fi\n"
    "	linux	/boot/vmlinuz-6.1 root=UUID=u ro quiet # not this\n"
    "	initrd	/boot/initrd.img-6.1\n"
    "}\n"
    "submenu 'Advanced options' $menuentry_id_option 'advanced' {\n"
    "	menuentry 'Debian, with Linux 6.1 (recovery)' --id=rec {\n"
    "		linux	/boot/vmlinuz-6.1 root=UUID=u ro single\n"
    "	}\n"
    "}\n"
    "menuentry 'Debian, with Xen hypervisor' $menuentry_id_option 'xen-simple-u' {\n"
    "	multiboot2	/boot/xen-4.17-amd64.gz placeholder dom0_mem=1G ${xen_rm_opts}\n"
    "	module2	/boot/vmlinuz-6.1 placeholder root=UUID=u ro console=hvc0\n"
    "	module2	--nounzip   /boot/initrd.img-6.1\n"
    "}\n"
    "submenu 'Xen > all' {\n"
    "	submenu 'Xen 4.17' --id x417 {\n"
    "		menuentry 'Debian, Xen 4.17' --id xen-adv { chainloader /EFI/xen.efi\n}\n"
    "	}\n"
    "}\n"
    "menuentry 'The Hurd' { multiboot /boot/gnumach.gz root=x\n}\n";

static void parse(const char *text, struct grub_menu *menu)
{
	assert_null(grub_menu_parse(text, strlen(text), menu));
}

static void test_menu_entries(void **state)
{
	_cleanup_grub_menu_ struct grub_menu menu = {0};
	const struct grub_entry *entry;

	(void)state;
	parse(menu_text, &menu);
	assert_int_equal(menu.count, 8);
	entry = &menu.entries[0];
	assert_string_equal(entry->title, "Debian GNU/Linux");
	assert_string_equal(entry->id, "gnulinux-simple-u");
	assert_null(entry->xen);
	assert_string_equal(entry->kernel, "/boot/vmlinuz-6.1");
	assert_string_equal(entry->kernel_arguments, "root=UUID=u ro quiet");
	assert_string_equal(entry->initrd, "/boot/initrd.img-6.1");
	assert_memory_equal(menu_text + entry->start, "menuentry 'Debian GNU", 21);
	assert_memory_equal(menu_text + entry->start + entry->size - 2, "\n}", 2);
	assert_true(menu.entries[1].submenu);
	assert_int_equal(menu.entries[2].parent, 1);
	assert_string_equal(menu.entries[2].id, "rec");
	entry = &menu.entries[3];
	assert_string_equal(entry->xen, "/boot/xen-4.17-amd64.gz");
	assert_string_equal(entry->xen_arguments, "placeholder dom0_mem=1G ${xen_rm_opts}");
	assert_string_equal(entry->kernel_arguments, "placeholder root=UUID=u ro console=hvc0");
	assert_string_equal(entry->initrd, "/boot/initrd.img-6.1");
	assert_string_equal(menu.entries[6].xen, "/EFI/xen.efi");
	assert_null(menu.entries[7].xen);
	assert_int_equal(grub_menu_first_xen(&menu), 3);
}

static void test_menu_default(void **state)
{
	_cleanup_grub_menu_ struct grub_menu menu = {0};

	(void)state;
	parse(menu_text, &menu);
	assert_true(menu.one_shot);
	assert_int_equal(menu.default_count, 1);
	assert_string_equal(menu.defaults[0], "0");
	assert_int_equal(grub_menu_find(&menu, "0"), 0);
	assert_int_equal(grub_menu_find(&menu, "2"), 3);
	assert_int_equal(grub_menu_find(&menu, "1>0"), 2);
	assert_int_equal(grub_menu_find(&menu, "Debian, with Xen hypervisor"), 3);
	assert_int_equal(grub_menu_find(&menu, "xen-simple-u"), 3);
	assert_int_equal(grub_menu_find(&menu, "Xen >> all>x417>xen-adv"), 6);
	assert_int_equal(grub_menu_find(&menu, "advanced"), 2);
	/* What there is not is the first. */
	assert_int_equal(grub_menu_find(&menu, ""), 0);
	assert_int_equal(grub_menu_find(&menu, "nothing"), 0);
	assert_int_equal(grub_menu_find(&menu, "99"), 0);
	assert_int_equal(grub_menu_find(&menu, "18446744073709551618"), 0);
}

static void test_menu_names_lead_back(void **state)
{
	_cleanup_grub_menu_ struct grub_menu menu = {0};

	(void)state;
	parse(menu_text, &menu);
	for (size_t i = 0; i < menu.count; i++) {
		_cleanup_free_ char *name = grub_menu_name(&menu, i);

		assert_non_null(name);
		if (!menu.entries[i].submenu)
			assert_int_equal(grub_menu_find(&menu, name), i);
	}
}

static void test_menu_of_xen_by_default(void **state)
{
	_cleanup_grub_menu_ struct grub_menu menu = {0}, title = {0}, saved = {0}, empty = {0};

	(void)state;
	parse(menu_text, &menu);
	assert_int_equal(plan_default_xen(&menu, NULL), GRUB_MENU_NONE);
	parse("set default=\"With Xen\"\nmenuentry 'N' { linux /l\n }\n"
	      "menuentry 'With Xen' { multiboot /xen.gz\n }\n",
	      &title);
	assert_int_equal(plan_default_xen(&title, NULL), 1);
	parse("set default=\"${saved_entry}\"\nmenuentry 'N' { linux /l\n }\n"
	      "menuentry 'With Xen' { multiboot /xen.gz\n }\n",
	      &saved);
	assert_int_equal(plan_default_xen(&saved, NULL), GRUB_MENU_NONE);
	assert_int_equal(plan_default_xen(&saved, "With Xen"), 1);
	assert_false(saved.one_shot);
	parse("set default=1\n", &empty);
	assert_int_equal(grub_menu_find(&empty, "1"), GRUB_MENU_NONE);
}

static void test_menu_native_compared(void **state)
{
	static const char other_xen[] = "menuentry 'N' { linux /l a\n initrd /i\n}\n"
					"menuentry 'X' { multiboot /xen.gz b\n }\n";
	static const char other_title[] = "menuentry 'M' { linux /l a\n initrd /i\n}\n";
	static const char other_word[] = "menuentry 'N' { linux /l b\n initrd /i\n}\n";
	static const char text[] = "menuentry 'N' { linux /l a\n initrd /i\n}\n";
	_cleanup_grub_menu_ struct grub_menu menu = {0}, xen = {0}, title = {0}, word = {0},
					     none = {0};

	(void)state;
	parse(text, &menu);
	parse(other_xen, &xen);
	parse(other_title, &title);
	parse(other_word, &word);
	assert_true(plan_same_native(&menu, text, &xen, other_xen, true));
	assert_false(plan_same_native(&menu, text, &title, other_title, true));
	assert_true(plan_same_native(&menu, text, &title, other_title, false));
	assert_false(plan_same_native(&menu, text, &word, other_word, false));
	assert_false(plan_same_native(&menu, text, &none, "", false));
	assert_false(plan_same_native(&none, "", &menu, text, true));
}

static void test_menu_damaged(void **state)
{
	static const char *const texts[] = {"menuentry 'N' {\n", "}\n",
					    "menuentry 'N' { linux '\n"};
	_cleanup_grub_menu_ struct grub_menu menu = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_error_ struct nunchi_error *err =
		    grub_menu_parse(texts[i], strlen(texts[i]), &menu);

		assert_true(error_is(err, NUNCHI_ERROR_DATA));
		assert_null(menu.entries);
	}
}

static void test_words(void **state)
{
	(void)state;
	assert_true(grub_arguments_have("placeholder iommu=no-igfx x", "iommu=no-igfx"));
	assert_true(grub_arguments_have("quiet", "quiet"));
	assert_false(grub_arguments_have("iommu=no-igfx2", "iommu=no-igfx"));
	assert_false(grub_arguments_have("xquiet quietly", "quiet"));
	assert_false(grub_arguments_have("", "quiet"));
}

/* ---- The environment ------------------------------------------------------------------------- */

/* A block of 256 bytes with these lines. */
static void make_env(char *block, const char *lines)
{
	static const char header[] = "# GRUB Environment Block\n# WARNING: do not edit\n";

	memset(block, '#', 256);
	memcpy(block, header, sizeof(header) - 1);
	memcpy(block + sizeof(header) - 1, lines, strlen(lines));
}

static void test_env(void **state)
{
	_cleanup_free_ char *next = NULL, *saved = NULL;
	_cleanup_buffer_ struct buffer without;
	char block[256], expected[256];

	(void)state;
	make_env(block, "saved_entry=a\\\\b\nnext_entry=xen>1\nother=1\n");
	make_env(expected, "saved_entry=a\\\\b\nother=1\n");
	buffer_init(&without, 0);
	next = grub_env_get(block, sizeof(block), "next_entry");
	saved = grub_env_get(block, sizeof(block), "saved_entry");
	assert_string_equal(next, "xen>1");
	assert_string_equal(saved, "a\\b");
	assert_null(grub_env_get(block, sizeof(block), "entry"));
	assert_true(grub_env_without(block, sizeof(block), "next_entry", &without));
	assert_int_equal(without.size, sizeof(block));
	assert_memory_equal(without.data, expected, sizeof(block));
	assert_true(grub_env_same_without(block, 256, expected, 256, "next_entry"));
	assert_false(grub_env_same_without(block, 256, expected, 256, "other"));
	assert_false(grub_env_empty(expected, sizeof(expected)));
	/* The padding is no part of a line that has no end. */
	make_env(block, "next_entry=a\nother=");
	make_env(expected, "other=");
	assert_true(grub_env_same_without(block, 256, expected, 256, "next_entry"));
	assert_true(grub_env_empty(expected, sizeof(expected)));
	make_env(block, "");
	assert_true(grub_env_empty(block, sizeof(block)));
	assert_false(grub_env_valid("# GRUB Environment Bl", 21));
}

/* ---- Where GRUB cannot write ----------------------------------------------------------------- */

static void test_no_write(void **state)
{
	(void)state;
	assert_null(grub_no_write("ext2", ""));
	assert_null(grub_no_write("xfs", ""));
	assert_string_equal(grub_no_write("btrfs", ""), "btrfs");
	assert_string_equal(grub_no_write("zfs", ""), "zfs");
	assert_string_equal(grub_no_write("ext2", "lvm"), "LVM");
	assert_string_equal(grub_no_write("ext2", "diskfilter mdraid1x"), "RAID");
	assert_string_equal(grub_no_write("ext2", "cryptodisk luks2"), "an encrypted disk");
}

/* ---- Our file -------------------------------------------------------------------------------- */

static char *own_text(const char *defaults, const struct plan_options *options)
{
	_cleanup_grub_vars_ struct grub_vars *vars = read_vars(defaults);
	_cleanup_buffer_ struct buffer own;

	buffer_init(&own, 0);
	plan_write_own(vars, options, &own);
	return strdup(buffer_string(&own));
}

static void assert_own(const char *defaults, const struct plan_options *options, const char *line,
		       bool there)
{
	_cleanup_free_ char *own = own_text(defaults, options);
	char *at = strstr(own, line);

	assert_int_equal(there, at && (at == own || at[-1] == '\n'));
}

static void test_own(void **state)
{
	const struct plan_options plain = {0};
	const struct plan_options trial = {.trial = true, .minutes = 10};
	const struct plan_options full = {
	    .remedy = {.xen = {"iommu=no-igfx"},
		       .dom0 = {"module_blacklist=xe,nouveau"},
		       .dom0_drop = {"quiet", "splash", "i915.force_probe="}}};

	(void)state;
	assert_own("", &plain, "XEN_OVERRIDE_GRUB_DEFAULT=0\n", true);
	assert_own("", &plain, "GRUB_CMDLINE", false);
	assert_own("", &trial,
		   "GRUB_CMDLINE_LINUX_XEN_REPLACE_DEFAULT=\"${GRUB_CMDLINE_LINUX_XEN_REPLACE_"
		   "DEFAULT:-$GRUB_CMDLINE_LINUX_DEFAULT} panic=30 "
		   "systemd.wants=nunchi-trial.service\"\n",
		   true);
	assert_own("", &full,
		   "GRUB_CMDLINE_XEN_DEFAULT=\"$GRUB_CMDLINE_XEN_DEFAULT "
		   "iommu=no-igfx\"\n",
		   true);
	assert_own("GRUB_CMDLINE_LINUX_DEFAULT='quiet i915.force_probe=!a788 a=\"$b\" splash'\n",
		   &full,
		   "GRUB_CMDLINE_LINUX_XEN_REPLACE_DEFAULT=\"a=\\\"\\$b\\\" "
		   "module_blacklist=xe,nouveau\"\n",
		   true);
	/* What replaces already is what counts. */
	assert_own("GRUB_CMDLINE_LINUX_DEFAULT=quiet\nGRUB_CMDLINE_LINUX_XEN_REPLACE_DEFAULT=a\n",
		   &full, "GRUB_CMDLINE_LINUX_XEN_REPLACE_DEFAULT=\"${", true);
	/* An empty replacement would replace nothing. */
	assert_own("GRUB_CMDLINE_LINUX='splash'\n", &full,
		   "GRUB_CMDLINE_LINUX_XEN_REPLACE=\"nunchi.dom0=1\"\n", true);
	assert_own("GRUB_CMDLINE_LINUX_DEFAULT=quiet\n", &full,
		   "GRUB_CMDLINE_LINUX_XEN_REPLACE_DEFAULT=\"module_blacklist=xe,nouveau\"\n",
		   true);
	/* What the shell computes is referred to, not guessed. */
	assert_own("GRUB_CMDLINE_LINUX_DEFAULT=\"quiet `x`\"\n", &full,
		   "GRUB_CMDLINE_LINUX_XEN_REPLACE_DEFAULT=\"${", true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_quoting),
	    cmocka_unit_test(test_references),
	    cmocka_unit_test(test_name_at_the_end),
	    cmocka_unit_test(test_beyond_the_subset),
	    cmocka_unit_test(test_files_in_order),
	    cmocka_unit_test(test_menu_entries),
	    cmocka_unit_test(test_menu_default),
	    cmocka_unit_test(test_menu_names_lead_back),
	    cmocka_unit_test(test_menu_of_xen_by_default),
	    cmocka_unit_test(test_menu_native_compared),
	    cmocka_unit_test(test_menu_damaged),
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_env),
	    cmocka_unit_test(test_no_write),
	    cmocka_unit_test(test_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
