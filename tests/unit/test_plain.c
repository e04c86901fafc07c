/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which instructions are plain, and how long they are; and which are without effect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arch/x86/idle.h"
#include "arch/x86/plain.h"
#include "core/cleanup.h"

/* Bytes as an assembler makes them; the size is theirs. */
static const struct {
	const char *text;
	uint8_t size, bytes[15];
} plain[] = {
    {"add %ecx,%eax", 2, {0x01, 0xc8}},
    {"cmp $1,%al", 2, {0x3c, 0x01}},
    {"cmp $0x1000,%rax", 6, {0x48, 0x3d, 0x00, 0x10, 0x00, 0x00}},
    {"cmp $0x1234,%ax", 4, {0x66, 0x3d, 0x34, 0x12}},
    {"push %rbp", 1, {0x55}},
    {"pop %r12", 2, {0x41, 0x5c}},
    {"movslq %eax,%rbx", 3, {0x48, 0x63, 0xd8}},
    {"push $-1", 2, {0x6a, 0xff}},
    {"imul $0x38,%rax,%rax", 4, {0x48, 0x6b, 0xc0, 0x38}},
    {"imul $0x138,%rax,%rax", 7, {0x48, 0x69, 0xc0, 0x38, 0x01, 0x00, 0x00}},
    {"js", 2, {0x78, 0x10}},
    {"cmpb $0,0x10(%rdi)", 4, {0x80, 0x7f, 0x10, 0x00}},
    {"add $0x138,%rsp", 7, {0x48, 0x81, 0xc4, 0x38, 0x01, 0x00, 0x00}},
    {"cmpw $0x1234,(%rdi)", 5, {0x66, 0x81, 0x3f, 0x34, 0x12}},
    {"add $0x10,%rsp", 4, {0x48, 0x83, 0xc4, 0x10}},
    {"test %eax,%eax", 2, {0x85, 0xc0}},
    {"mov %rax,%r12", 3, {0x49, 0x89, 0xc4}},
    {"mov %rax,0x8(%rsp)", 5, {0x48, 0x89, 0x44, 0x24, 0x08}},
    {"mov 0x12345678(%rax,%rbx,4),%rcx", 8, {0x48, 0x8b, 0x8c, 0x98, 0x78, 0x56, 0x34, 0x12}},
    {"mov %gs:0x1fb80,%rax", 9, {0x65, 0x48, 0x8b, 0x04, 0x25, 0x80, 0xfb, 0x01, 0x00}},
    {"mov 0x1234(%rip),%rax", 7, {0x48, 0x8b, 0x05, 0x34, 0x12, 0x00, 0x00}},
    {"lea 0x10(%rbp),%rdi", 4, {0x48, 0x8d, 0x7d, 0x10}},
    {"cltq", 2, {0x48, 0x98}},
    {"test $1,%al", 2, {0xa8, 0x01}},
    {"mov $1,%al", 2, {0xb0, 0x01}},
    {"mov $-22,%eax", 5, {0xb8, 0xea, 0xff, 0xff, 0xff}},
    {"movabs", 10, {0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8}},
    {"shr $4,%rax", 4, {0x48, 0xc1, 0xe8, 0x04}},
    {"ret", 1, {0xc3}},
    {"movl $1,0x8(%rsp)", 8, {0xc7, 0x44, 0x24, 0x08, 0x01, 0x00, 0x00, 0x00}},
    {"leave", 1, {0xc9}},
    {"neg %rax", 3, {0x48, 0xf7, 0xd8}},
    {"testb $2,0x10(%rax)", 4, {0xf6, 0x40, 0x10, 0x02}},
    {"test $0x100,%edx", 6, {0xf7, 0xc2, 0x00, 0x01, 0x00, 0x00}},
    {"incl (%rdi)", 2, {0xff, 0x07}},
    {"push (%rax)", 2, {0xff, 0x30}},
    {"cmovne %rdx,%rax", 4, {0x48, 0x0f, 0x45, 0xc2}},
    {"je", 6, {0x0f, 0x84, 0x34, 0x12, 0x00, 0x00}},
    {"sete %al", 3, {0x0f, 0x94, 0xc0}},
    {"bt $3,%rax", 5, {0x48, 0x0f, 0xba, 0xe0, 0x03}},
    {"imul %rdx,%rax", 4, {0x48, 0x0f, 0xaf, 0xc2}},
    {"movzbl %al,%eax", 3, {0x0f, 0xb6, 0xc0}},
};

static void test_plain(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		if (x86_plain_size(plain[i].bytes, 15) != plain[i].size)
			fail_msg("%s has %u bytes", plain[i].text,
				 x86_plain_size(plain[i].bytes, 15));
		/* Cut off. */
		for (size_t size = 0; size < plain[i].size; size++)
			assert_int_equal(x86_plain_size(plain[i].bytes, size), 0);
	}
}

static void test_others(void **state)
{
	static const uint8_t others[][8] = {
	    {0x0f, 0x1f, 0x44, 0x00, 0x00}, /* NOP */
	    {0x66, 0x90},                   /* the same */
	    {0x90},                         /* the same */
	    {0xf3, 0x90},                   /* PAUSE */
	    {0xe9, 1, 0, 0, 0},             /* JMP */
	    {0xeb, 1},                      /* the same */
	    {0xe8, 1, 0, 0, 0},             /* CALL */
	    {0xff, 0xd0},                   /* the same */
	    {0xff, 0xe0},                   /* JMP */
	    {0xcc},                         /* INT3 */
	    {0xf0, 0x48, 0x0f, 0xb1, 0x0f}, /* LOCK CMPXCHG */
	    {0x0f, 0x05},                   /* SYSCALL */
	    {0x0f, 0x0b},                   /* UD2 */
	    {0xf4},                         /* HLT */
	    {0xfb},                         /* STI */
	    {0x0f, 0x22, 0xd8},             /* MOV to CR3 */
	    {0x0f, 0x30},                   /* WRMSR */
	    {0xc4, 0xe2, 0x78, 0xf2, 0xc0}, /* VEX */
	    {0xf3, 0x0f, 0x10, 0x00},       /* MOVSS */
	    {0x66, 0x0f, 0x84, 1, 0, 0, 0}, /* a jump whose size is unclear */
	    {0x8d, 0xc0},                   /* LEA of a register */
	    {0x0f, 0xba, 0xc0, 0},          /* undefined */
	    {0x06},
	    {0x27},
	    {0x60},
	    {0x9a},
	    {0xd6} /* not in 64-bit mode */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		if (x86_plain_size(others[i], sizeof(others[i])))
			fail_msg("%02x %02x is taken for plain", others[i][0], others[i][1]);
	}
	assert_int_equal(x86_idle_size(others[0], 5, false), 5);
	assert_int_equal(x86_idle_size(others[0], 4, false), 0);
	assert_int_equal(x86_idle_size(others[1], 2, false), 2);
	assert_int_equal(x86_idle_size(others[4], 5, false), 0);
}

/* ENDBR, and what the kernel writes over one that no indirect branch may lead to. */
static void test_marks(void **state)
{
	static const uint8_t marks[][4] = {{0xf3, 0x0f, 0x1e, 0xfa},
					   {0xf3, 0x0f, 0x1e, 0xfb},
					   {0x66, 0x0f, 0x1f, 0x00},
					   {0x0f, 0x1f, 0x40, 0xd6}};
	static const uint8_t none[][4] = {
	    {0x0f, 0x1f, 0x44, 0x00}, {0x0f, 0x1f, 0x40, 0x00}, {0xf3, 0x0f, 0x1e, 0xc8}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		assert_int_equal(x86_mark_size(marks[i]), 4);
		assert_int_equal(x86_idle_size(marks[i], 4, false), 4);
		assert_int_equal(x86_idle_size(marks[i], 4, true), i < 2 ? 0 : 4);
	}
	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		assert_int_equal(x86_mark_size(none[i]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_plain),
					   cmocka_unit_test(test_others),
					   cmocka_unit_test(test_marks)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
