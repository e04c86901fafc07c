/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What QEMU, libvirt and /proc print, and what a QEMU command line says. */
#include "target/qemu/cmdline.h"
#include "target/qemu/layout.h"
#include "target/qemu/libvirt.h"
#include "target/qemu/maps.h"
#include "target/qemu/monitor.h"
#include "target/qemu/mtree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void ok(struct nunchi_error *err)
{
	if (err)
		print_error("%s\n", nunchi_error_message(err));
	assert_null(err);
}

/* ---- info mtree -f -----------------------------------------------------------------------------
 */

/* A pc with 5 GiB after its BIOS has run: the SMM view comes first, and is not to be taken. */
static const char pc_kvm[] =
    "FlatView #0\r\n"
    " AS \"cpu-smm-0\", root: memory\r\n"
    " Root memory region: memory\r\n"
    "  0000000000000000-00000000bfffffff (prio 0, ram): mem KVM\r\n"
    "\r\n"
    "FlatView #1\r\n"
    " AS \"I/O\", root: io\r\n"
    " Root memory region: io\r\n"
    "  0000000000000000-0000000000000007 (prio 0, i/o): dma-chan\r\n"
    "\r\n"
    "FlatView #2\r\n"
    " AS \"bus master\", root: none\r\n"
    " Root memory region: (none)\r\n"
    "  No rendered FlatView\r\n"
    "\r\n"
    "FlatView #3\r\n"
    " AS \"memory\", root: system\r\n"
    " AS \"cpu-memory-0\", root: system\r\n"
    " Root memory region: system\r\n"
    "  0000000000000000-000000000009ffff (prio 0, ram): mem KVM\r\n"
    "  00000000000a0000-00000000000affff (prio 2, ram): vga.vram KVM\r\n"
    "  00000000000b0000-00000000000bffff (prio 1, i/o): vga-lowmem @0000000000010000\r\n"
    "  00000000000c0000-00000000000cafff (prio 0, rom): mem @00000000000c0000 KVM\r\n"
    "  00000000000cb000-00000000000cdfff (prio 0, ram): mem @00000000000cb000 KVM\r\n"
    "  00000000000ce000-00000000000fffff (prio 0, rom): mem @00000000000ce000 KVM\r\n"
    "  0000000000100000-00000000bfffffff (prio 0, ram): mem @0000000000100000 KVM\r\n"
    "  00000000fd000000-00000000fdffffff (prio 1, ram): vga.vram KVM\r\n"
    "  00000000fec00000-00000000fec00fff (prio 0, i/o): kvm-ioapic\r\n"
    "  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios KVM\r\n"
    "  0000000100000000-000000017fffffff (prio 0, ram): mem @00000000c0000000 KVM\r\n"
    "  0000000180000000-0000000187ffffff (prio 0, nv-ram): nvdimm KVM\r\n"
    "  0000000188000000-000000018fffffff (prio 0, ram): /objects/d0 KVM\r\n"
    "\r\n";

static bool is_mem(const char *region, void *data)
{
	return !strcmp(region, data) || !strcmp(region, "/objects/d0");
}

static void check_range(const struct mtree *mtree, size_t i, uint64_t start, uint64_t size,
			uint64_t offset, const char *region)
{
	assert_true(i < mtree->count);
	assert_int_equal(mtree->ranges[i].start, start);
	assert_int_equal(mtree->ranges[i].size, size);
	assert_int_equal(mtree->ranges[i].offset, offset);
	assert_string_equal(mtree->ranges[i].region, region);
}

static void test_ram_of_the_vcpus_view(void **state)
{
	_cleanup_mtree_ struct mtree mtree = {0};

	(void)state;
	ok(mtree_parse(pc_kvm, sizeof(pc_kvm) - 1, &mtree));
	assert_int_equal(mtree.count, 10);
	assert_string_equal(mtree_main_region(&mtree), "mem");
	mtree_select(&mtree, is_mem, (char *)"mem");
	/* RAM that is read-only for the guest is RAM, and joins its neighbours. */
	assert_int_equal(mtree.count, 4);
	check_range(&mtree, 0, 0, 0xa0000, 0, "mem");
	check_range(&mtree, 1, 0xc0000, 0xbff40000, 0xc0000, "mem");
	check_range(&mtree, 2, 0x100000000, 0x80000000, 0xc0000000, "mem");
	check_range(&mtree, 3, 0x188000000, 0x8000000, 0, "/objects/d0");
}

/* Without the priority, as was proposed upstream, with owners, and in capitals. */
static void test_other_spellings(void **state)
{
	static const char text[] =
	    "FlatView #0\n AS \"memory\", root: system\n Root memory region: system\n"
	    "  0000000000000000-000000000009FFFF (ram): pc.ram owner:{obj path=/machine}\n"
	    "  0000000000100000-0000000003ffffff (prio -1, ram): pc.ram @0000000000100000 "
	    "owner:{obj path=/machine} KVM";
	_cleanup_mtree_ struct mtree mtree = {0};

	(void)state;
	ok(mtree_parse(text, sizeof(text) - 1, &mtree));
	assert_int_equal(mtree.count, 2);
	check_range(&mtree, 0, 0, 0xa0000, 0, "pc.ram");
	check_range(&mtree, 1, 0x100000, 0x3f00000, 0x100000, "pc.ram");
}

#define VIEW " AS \"memory\", root: system\n"

static void test_maps_that_make_no_sense(void **state)
{
	static const char *const texts[] = {
	    "",
	    "unknown command: 'info mtree -f'\r\n",
	    "FlatView #0\n" VIEW,
	    /* Overlap, and disorder. */
	    "FlatView #0\n" VIEW "  0000-1fff (prio 0, ram): a\n  1000-2fff (prio 0, ram): a\n",
	    "FlatView #0\n" VIEW "  5000-5fff (prio 0, ram): a\n  1000-1fff (prio 0, ram): a\n",
	    /* Two views that both claim to be it. */
	    "FlatView #0\n" VIEW "  0-fff (prio 0, ram): a\nFlatView #1\n" VIEW,
	    /* The whole of the address space: its size is no number of 64 bits. */
	    "FlatView #0\n" VIEW "  0-ffffffffffffffff (prio 0, ram): a\n",
	    /* Parts of pages; more digits than there are; backwards. */
	    "FlatView #0\n" VIEW "  0-ff (prio 0, ram): a\n",
	    "FlatView #0\n" VIEW "  00000000000000000000-0fff (prio 0, ram): a\n",
	    "FlatView #0\n" VIEW "  1000-0fff (prio 0, ram): a\n",
	};
	struct mtree mtree = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_error_ struct nunchi_error *err =
		    mtree_parse(texts[i], strlen(texts[i]), &mtree);

		assert_true(error_is(err, NUNCHI_ERROR_DATA));
		assert_null(mtree.ranges);
	}
}

/* ---- Other commands ----------------------------------------------------------------------------
 */

static void test_registers_in_both_widths(void **state)
{
	static const char real[] =
	    "\r\nCPU#0\r\nEAX=00000000 EBX=00000000 ECX=00000000 EDX=00060fb1\r\n"
	    "ESI=00000000 EDI=00000000 EBP=00000000 ESP=00000abc\r\n"
	    "EIP=0000fff0 EFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=0\r\n"
	    "GDT=     00000000 0000ffff\r\nIDT=     bff5cfb0 000007ff\r\n"
	    "CR0=60000010 CR2=00000000 CR3=00001000 CR4=00000020\r\n"
	    "EFER=0000000000000500\r\n";
	static const char lng[] =
	    "RAX=0000000000000001 RBX=0000000000000002\n"
	    "RSI=0 RDI=0 RBP=0 RSP=ffffc90000013e58\n"
	    "RIP=ffffffff81e0123f RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1\n"
	    "IDT=     fffffe0000000000 00000fff\n"
	    "CR0=80050033 CR2=00007f0000000000 CR3=00000001023f4005 CR4=00370ef0\n"
	    "EFER=0000000000000d01\n";
	static const char smm[] =
	    "EIP=00008000 EFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=1 HLT=0\n"
	    "CR0=00000010 CR2=00000000 CR3=00001000 CR4=00000000\n";
	struct x86_registers registers = {0};

	(void)state;
	ok(monitor_parse_registers(real, sizeof(real) - 1, 0, &registers));
	assert_int_equal(registers.cr0, 0x60000010);
	assert_int_equal(registers.cr3, 0x1000);
	assert_int_equal(registers.cr4, 0x20);
	assert_int_equal(registers.efer, 0x500);
	assert_int_equal(registers.idt_base, 0xbff5cfb0);
	assert_int_equal(registers.rip, 0xfff0);
	assert_int_equal(registers.rsp, 0xabc);
	assert_false(registers.in_smm);
	ok(monitor_parse_registers(lng, sizeof(lng) - 1, 3, &registers));
	assert_int_equal(registers.cr3, 0x1023f4005);
	assert_int_equal(registers.efer, 0xd01);
	assert_int_equal(registers.idt_base, 0xfffffe0000000000);
	assert_int_equal(registers.rip, 0xffffffff81e0123f);
	assert_true(registers.has_rip && registers.has_efer && registers.has_idt);
	assert_false(registers.in_smm);
	ok(monitor_parse_registers(smm, sizeof(smm) - 1, 0, &registers));
	assert_true(registers.in_smm);
	/* Another vCPU's; and something else altogether. */
	_cleanup_error_ struct nunchi_error *other =
	    monitor_parse_registers(real, sizeof(real) - 1, 1, &registers);
	assert_true(error_is(other, NUNCHI_ERROR_DATA));
	_cleanup_error_ struct nunchi_error *arm =
	    monitor_parse_registers("PC=0 X00=0\n", 11, 0, &registers);
	assert_true(error_is(arm, NUNCHI_ERROR_UNSUPPORTED));
}

/* `info registers -a`: of more and of fewer vCPUs than are asked for, and of none. */
static void test_registers_of_all(void **state)
{
	static const char text[] =
	    "\r\nCPU#0\r\nCR0=80050033 CR2=0 CR3=1000 CR4=6f0\r\nEFER=d01\r\n"
	    "\r\nCPU#1\r\nCR0=60000010 CR2=0 CR3=0 CR4=0\r\n"
	    "\r\nCPU#2\r\nnothing\r\n"
	    "\r\nCPU#3\r\nCR0=80050033 CR2=0 CR3=3000 CR4=6f0\r\n";
	struct x86_registers registers[5] = {0};
	bool known[5] = {true, true, true, true, true};

	(void)state;
	monitor_parse_all_registers(text, sizeof(text) - 1, 5, registers, known);
	assert_true(known[0] && known[1] && !known[2] && known[3] && !known[4]);
	assert_int_equal(registers[0].cr3, 0x1000);
	assert_true(registers[0].has_efer && !registers[1].has_efer && !registers[3].has_efer);
	assert_int_equal(registers[1].cr0, 0x60000010);
	assert_int_equal(registers[3].cr3, 0x3000);
	registers[3].cr3 = 7;
	known[3] = false;
	monitor_parse_all_registers(text, sizeof(text) - 1, 3, registers, known);
	assert_true(known[0] && known[1] && !known[2] && !known[3]);
	assert_int_equal(registers[3].cr3, 7);
	monitor_parse_all_registers("", 0, 2, registers, known);
	assert_false(known[0] || known[1]);
}

/* Every register that QEMU 7.2 prints. */
static void test_all_registers(void **state)
{
	static const char text[] =
	    "\r\nCPU#0\r\nRAX=0000000000000001 RBX=0000000000000002 RCX=0000000000000003 "
	    "RDX=0000000000000004\r\nRSI=0000000000000005 RDI=0000000000000006 "
	    "RBP=0000000000000007 RSP=0000000000000010\r\nR8 =0000000000000008 "
	    "R9 =0000000000000009 R10=000000000000000a R11=000000000000000b\r\n"
	    "R12=000000000000000c R13=000000000000000d R14=000000000000000e "
	    "R15=ffffffff8100000f\r\nRIP=ffffffff81e0123f RFL=00000246 [---Z-P-] CPL=0 II=0 "
	    "A20=1 SMM=0 HLT=1\r\n"
	    "ES =0000 0000000000000000 00000000 00000000\r\n"
	    "CS =0010 0000000000000000 ffffffff 00af9b00 DPL=0 CS64 [-RA]\r\n"
	    "SS =0018 0000000000000000 ffffffff 00cf9300 DPL=0 DS   [-WA]\r\n"
	    "DS =002b 0000000000000000 00000000 00000000\r\n"
	    "FS =0000 00007f1122334000 00000000 00000000\r\n"
	    "GS =0033 ffff88803fc00000 00000000 00000000\r\n"
	    "LDT=0050 0000000000000000 00000000 00008200 DPL=0 LDT\r\n"
	    "TR =0040 fffffe0000003000 00004087 00008b00 DPL=0 TSS64-busy\r\n"
	    "GDT=     fffffe0000001000 0000007f\r\nIDT=     fffffe0000000000 00000fff\r\n"
	    "CR0=80050033 CR2=00007f0000000000 CR3=00000001023f4005 CR4=00370ef0\r\n"
	    "DR0=0000000000000011 DR1=0000000000000012 DR2=0000000000000013 "
	    "DR3=0000000000000014 \r\nDR6=00000000ffff0ff0 DR7=0000000000000400\r\n"
	    "EFER=0000000000000d01\r\nFCW=037f FSW=0000 [ST=0] FTW=00 MXCSR=00001f80\r\n";
	struct x86_registers r = {0};

	(void)state;
	ok(monitor_parse_registers(text, sizeof(text) - 1, 0, &r));
	assert_true(r.has_general && r.has_selectors && r.has_segments && r.has_gdt && r.has_cr2 &&
		    r.has_debug);
	assert_false(r.has_syscall || r.has_star || r.has_kernel_gs);
	assert_true(r.rax == 1 && r.rbx == 2 && r.rcx == 3 && r.rdx == 4 && r.rsi == 5 &&
		    r.rdi == 6 && r.rbp == 7 && r.r8 == 8 && r.r9 == 9 && r.r10 == 10 &&
		    r.r11 == 11 && r.r12 == 12 && r.r13 == 13 && r.r14 == 14);
	assert_int_equal(r.r15, 0xffffffff8100000f);
	assert_int_equal(r.rflags, 0x246);
	assert_true(r.cs == 0x10 && r.ss == 0x18 && r.ds == 0x2b && r.es == 0 && r.fs == 0 &&
		    r.gs == 0x33 && r.tr == 0x40 && r.ldtr == 0x50);
	assert_int_equal(r.fs_base, 0x7f1122334000);
	assert_int_equal(r.gs_base, 0xffff88803fc00000);
	assert_int_equal(r.gdt_base, 0xfffffe0000001000);
	assert_int_equal(r.cr2, 0x7f0000000000);
	assert_true(r.dr[0] == 0x11 && r.dr[3] == 0x14 && r.dr[6] == 0xffff0ff0 &&
		    r.dr[7] == 0x400);
}

static void test_host_addresses(void **state)
{
	static const char text[] =
	    "Host virtual address for 0x100000000 (mem) is 0x7f6e8ffff000\r\n";
	static const char none[] = "No memory is mapped at address 0xb0000000\r\n";
	uint64_t host = 0;

	(void)state;
	ok(monitor_parse_gpa2hva(text, sizeof(text) - 1, 0x100000000, &host));
	assert_int_equal(host, 0x7f6e8ffff000);
	_cleanup_error_ struct nunchi_error *other =
	    monitor_parse_gpa2hva(text, sizeof(text) - 1, 0x1000, &host);
	assert_true(error_is(other, NUNCHI_ERROR_FAULT));
	_cleanup_error_ struct nunchi_error *err =
	    monitor_parse_gpa2hva(none, sizeof(none) - 1, 0xb0000000, &host);
	assert_true(error_is(err, NUNCHI_ERROR_FAULT));
	assert_non_null(strstr(nunchi_error_message(err), "No memory is mapped"));
}

static void test_memory_words(void **state)
{
	static const char text[] = "0000000000100000: 0x0807060504030201 0x100f0e0d0c0b0a09\r\n"
				   "0000000000100010: 0x0000000000000011\r\n";
	uint8_t bytes[24];

	(void)state;
	ok(monitor_parse_xp(text, sizeof(text) - 1, 0x100000, bytes, 24));
	for (int i = 0; i < 17; i++)
		assert_int_equal(bytes[i], i + 1);
	_cleanup_error_ struct nunchi_error *elsewhere =
	    monitor_parse_xp(text, sizeof(text) - 1, 0x100008, bytes, 16);
	assert_true(error_is(elsewhere, NUNCHI_ERROR_FAULT));
	_cleanup_error_ struct nunchi_error *less =
	    monitor_parse_xp(text, sizeof(text) - 1, 0x100000, bytes, 24 + 8);
	assert_true(error_is(less, NUNCHI_ERROR_FAULT));
	_cleanup_error_ struct nunchi_error *odd =
	    monitor_parse_xp(text, sizeof(text) - 1, 0x100000, bytes, 7);
	assert_true(error_is(odd, NUNCHI_ERROR_ARGUMENT));
}

/* ---- /proc/PID/maps ----------------------------------------------------------------------------
 */

static void test_mappings(void **state)
{
	static const char text[] =
	    "55c7107d0000-55c710bd7000 r--p 00000000 fe:00 10977311        /usr/bin/q e m u\n"
	    "7f6dcffff000-7f6f0ffff000 rw-s 00001000 00:01 1035            /memfd:m (deleted)\n"
	    "7f6f0ffff000-7f6f10000000 ---p 00000000 00:00 0 \n";
	_cleanup_maps_ struct maps maps = {0};
	const struct mapping *mapping;

	(void)state;
	ok(maps_parse(text, sizeof(text) - 1, &maps));
	assert_int_equal(maps.count, 3);
	assert_string_equal(maps.entries[0].path, "/usr/bin/q e m u");
	assert_false(maps.entries[0].shared);
	mapping = maps_find(&maps, 0x7f6dcffff000, 0x140000000);
	assert_ptr_equal(mapping, &maps.entries[1]);
	assert_true(mapping->shared && mapping->writable);
	assert_int_equal(mapping->offset, 0x1000);
	assert_int_equal(mapping->inode, 1035);
	assert_int_equal(mapping->minor, 1);
	assert_string_equal(mapping->path, "/memfd:m (deleted)");
	assert_null(maps_find(&maps, 0x7f6dcffff000, 0x140000001));
	assert_null(maps_find(&maps, 0x7f6f10000000, 1));
	assert_null(maps_find(&maps, 0x1000, 1));
	assert_null(maps_find(&maps, 0x7f6dcffff000, UINT64_MAX));
	_cleanup_error_ struct nunchi_error *err = maps_parse("what is this", 12, &maps);
	assert_true(error_is(err, NUNCHI_ERROR_DATA));
}

/* ---- Command lines -----------------------------------------------------------------------------
 */

/* Arguments joined by '\n' here, by NUL there. */
static void parse(const char *text, struct cmdline *ret)
{
	size_t size = strlen(text) + 1;
	char *arguments = malloc(size);

	for (size_t i = 0; i < size; i++)
		arguments[i] = text[i] == '\n' ? '\0' : text[i];
	ok(cmdline_parse(arguments, size, ret));
	free(arguments);
}

static void test_plain_command_line(void **state)
{
	_cleanup_cmdline_ struct cmdline cmdline = {0};

	(void)state;
	parse("qemu-system-x86_64\n-m\n2G\n-smp\n4\n-enable-kvm\n--name\na,,b\n-qmp\n"
	      "unix:/tmp/a,,b.sock,server,nowait\n-qmp\ntcp:localhost:4444,server=on\n-monitor\n"
	      "unix:/tmp/hmp,server=on\n-qmp\nunix:/tmp/client\n-gdb\nchardev:debugger",
	      &cmdline);
	assert_string_equal(cmdline.name, "a,b");
	assert_int_equal(cmdline.memory, (uint64_t)2 << 30);
	assert_int_equal(cmdline.vcpus, 4);
	assert_int_equal(cmdline.accel, CMDLINE_ACCEL_KVM);
	assert_int_equal(cmdline.socket_count, 1);
	assert_string_equal(cmdline.sockets[0].path, "/tmp/a,b.sock");
	assert_true(cmdline.has_other_qmp);
	assert_string_equal(cmdline.gdb_chardev, "debugger");
	assert_string_equal(cmdline.machine, "");
	assert_false(cmdline.is_xen);
}

/* As libvirt 9 writes it. */
static void test_libvirt_command_line(void **state)
{
	_cleanup_cmdline_ struct cmdline cmdline = {0};
	const struct cmdline_backend *backend;

	(void)state;
	parse(
	    "/usr/bin/qemu-system-x86_64\n-name\nguest=web,debug-threads=on\n-S\n-object\n"
	    "{\"qom-type\":\"secret\",\"id\":\"masterKey0\",\"format\":\"raw\"}\n-machine\n"
	    "pc-q35-7.2,usb=off,dump-guest-core=off,memory-backend=pc.ram\n-accel\nkvm\n-cpu\n"
	    "host,migratable=on\n-m\nsize=4194304k,slots=16,maxmem=8388608k\n-object\n"
	    "{\"qom-type\":\"memory-backend-memfd\",\"id\":\"pc.ram\",\"share\":true,"
	    "\"size\":4294967296}\n-overcommit\nmem-lock=off\n-smp\n"
	    "2,sockets=2,cores=1,threads=1\n-uuid\n288cc07e-0595-437e-ae91-db5c1bdfbe7b\n-chardev\n"
	    "socket,id=charmonitor,fd=30,server=on,wait=off\n-mon\n"
	    "chardev=charmonitor,id=monitor,mode=control\n-chardev\n"
	    "socket,id=charchannel0,fd=31,server=on,wait=off",
	    &cmdline);
	assert_string_equal(cmdline.name, "web");
	assert_string_equal(cmdline.uuid, "288cc07e-0595-437e-ae91-db5c1bdfbe7b");
	assert_true(cmdline.has_libvirt_monitor);
	assert_string_equal(cmdline.machine, "pc-q35-7.2");
	assert_string_equal(cmdline.main_backend, "pc.ram");
	assert_int_equal(cmdline.memory, (uint64_t)4 << 30);
	assert_int_equal(cmdline.vcpus, 2);
	assert_true(cmdline.has_slots);
	assert_int_equal(cmdline.socket_count, 1);
	assert_null(cmdline.sockets[0].path);
	assert_int_equal(cmdline.sockets[0].fd, 30);
	backend = cmdline_backend(&cmdline, "pc.ram");
	assert_non_null(backend);
	assert_true(backend->share);
	assert_int_equal(backend->size, (uint64_t)4 << 30);
	assert_null(cmdline_backend(&cmdline, "masterKey0"));
}

/* DIMMs that are there from the start; memory that -machine says is encrypted. */
static void test_dimms_and_encryption(void **state)
{
	_cleanup_cmdline_ struct cmdline dimms = {0}, sev = {0}, snp = {0}, unused = {0};

	(void)state;
	parse("qemu\n-m\n1G,slots=4,maxmem=8G\n-device\npc-dimm,memdev=d0\n-object\n"
	      "memory-backend-ram,id=d0,size=512M\n-object\nmemory-backend-ram,id=d1,size=256M\n"
	      "-device\n{\"driver\":\"pc-dimm\",\"memdev\":\"d1\"}\n-object\n"
	      "memory-backend-ram,id=v,size=2G\n-device\nvirtio-mem-pci,memdev=v\n"
	      "-device\npc-dimm,memdev=none",
	      &dimms);
	assert_int_equal(dimms.memory >> 20, 1024);
	assert_int_equal(dimms.plugged >> 20, 768);
	assert_null(dimms.encryption);
	parse("qemu\n-object\nsev-guest,id=sev0,cbitpos=47,reduced-phys-bits=1\n-machine\n"
	      "q35,memory-encryption=sev0",
	      &sev);
	assert_string_equal(sev.encryption, "AMD SEV");
	parse("qemu\n-machine\nq35,confidential-guest-support=lsec0\n-object\n"
	      "{\"qom-type\":\"sev-snp-guest\",\"id\":\"lsec0\",\"cbitpos\":51}",
	      &snp);
	assert_string_equal(snp.encryption, "AMD SEV-SNP");
	parse("qemu\n-object\ntdx-guest,id=tdx\n-machine\nq35", &unused);
	assert_null(unused.encryption);
}

/* The monitor before its chardev, NUMA nodes in any order, a fallback of accelerators. */
static void test_other_command_lines(void **state)
{
	_cleanup_cmdline_ struct cmdline cmdline = {0}, xen = {0}, cut = {0};

	(void)state;
	parse("kvm\n-mon\nmode=control,chardev=c0\n-chardev\nsocket,id=c0,path=q.sock,server=on\n"
	      "-smp\nsockets=2,cores=3\n-object\nmemory-backend-ram,id=b,size=1G\n-object\n"
	      "memory-backend-file,id=a,size=512M,mem-path=/dev/shm/a,share=on\n-numa\n"
	      "node,nodeid=1,memdev=b\n-numa\nnode,nodeid=0,memdev=a\n-M\npc,accel=kvm:tcg,"
	      "max-ram-below-4g=2G\n-device\n{\"driver\":\"pc-dimm\",\"id\":\"d\"}",
	      &cmdline);
	assert_int_equal(cmdline.socket_count, 1);
	assert_string_equal(cmdline.sockets[0].path, "q.sock");
	assert_int_equal(cmdline.vcpus, 6);
	assert_int_equal(cmdline.node_count, 2);
	assert_string_equal(cmdline.node_backends[0], "a");
	assert_string_equal(cmdline.node_backends[1], "b");
	assert_true(cmdline_backend(&cmdline, "a")->share);
	assert_false(cmdline_backend(&cmdline, "b")->share);
	assert_int_equal(cmdline.accel, CMDLINE_ACCEL_UNKNOWN);
	assert_int_equal(cmdline.max_below_4g, (uint64_t)2 << 30);
	assert_true(cmdline.has_slots);
	assert_int_equal(cmdline.memory, 128 << 20);
	parse("qemu-system-i386\n-xen-domid\n5\n-name\nhvm", &xen);
	assert_true(xen.is_xen);
	/* An option whose argument was cut off has none. */
	ok(cmdline_parse("qemu\0-m\00064", 10, &cut));
	assert_int_equal(cut.memory, 128 << 20);
}

/* ---- Layout ------------------------------------------------------------------------------------
 */

static void check_layout(const char *machine, uint64_t mib, uint64_t most, uint64_t low)
{
	struct cmdline cmdline = {
	    .machine = (char *)machine, .memory = mib << 20, .max_below_4g = most};
	struct layout_range ranges[2];
	size_t count = 0;

	ok(layout_of(&cmdline, ranges, &count));
	assert_int_equal(ranges[0].start, 0);
	assert_int_equal(ranges[0].offset, 0);
	if (low >= cmdline.memory) {
		assert_int_equal(count, 1);
		assert_int_equal(ranges[0].size, cmdline.memory);
		return;
	}
	assert_int_equal(count, 2);
	assert_int_equal(ranges[0].size, low);
	assert_int_equal(ranges[1].start, 0x100000000);
	assert_int_equal(ranges[1].offset, low);
	assert_int_equal(ranges[1].size, cmdline.memory - low);
}

static void test_where_machines_have_their_memory(void **state)
{
	struct cmdline cmdline = {.machine = (char *)"virt", .memory = 1 << 30};
	struct layout_range ranges[2];
	size_t count;

	(void)state;
	check_layout("pc", 512, 0, 0xe0000000);
	check_layout("pc-i440fx-7.2", 3500, 0, 0xe0000000);
	check_layout("pc-i440fx-7.2", 3584, 0, 0xc0000000);
	check_layout("", 6144, 0, 0xc0000000);
	check_layout("pc-i440fx-1.7", 4096, 0, 0xe0000000);
	check_layout("pc-1.0", 4096, 0, 0xe0000000);
	check_layout("pc", 6144, 0x80000000, 0x80000000);
	check_layout("q35", 2815, 0, 0xb0000000);
	check_layout("q35", 2816, 0, 0x80000000);
	check_layout("pc-q35-9.0", 6144, 0, 0x80000000);
	check_layout("pc-q35-1.5", 6144, 0, 0xb0000000);
	check_layout("pc-q35-jammy", 6144, 0x40000000, 0x40000000);
	check_layout("microvm", 4096, 0, 0xc0000000);
	check_layout("isapc", 4096, 0, UINT64_MAX);
	_cleanup_error_ struct nunchi_error *unknown = layout_of(&cmdline, ranges, &count);
	assert_true(error_is(unknown, NUNCHI_ERROR_UNSUPPORTED));
	cmdline.machine = (char *)"pc";
	cmdline.memory = (uint64_t)1 << 41;
	_cleanup_error_ struct nunchi_error *large = layout_of(&cmdline, ranges, &count);
	assert_true(error_is(large, NUNCHI_ERROR_UNSUPPORTED));
	cmdline.memory = 4097;
	_cleanup_error_ struct nunchi_error *odd = layout_of(&cmdline, ranges, &count);
	assert_true(error_is(odd, NUNCHI_ERROR_DATA));
}

/* ---- The file that libvirt keeps of a running guest ---------------------------------------------
 */

#define NOTED_HEAD                                                                                 \
	"<!--\nWARNING: THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE\n"          \
	"OVERWRITTEN AND LOST. Changes to this xml configuration should be made using:\n"          \
	"  virsh edit web\nor other application using the libvirt API.\n-->\n\n"
#define NOTED_REST "\n  <taint flag='high-privileges'/>\n  <monitor path='/a' type='unix'/>\n"

/* "" if the text is not taken for a note of the state of process 4242. */
static const char *noted_state(const char *text)
{
	char path[] = "/tmp/nunchi-noted-XXXXXX";
	static char state[16];
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	if (!qemu_libvirt_read_state(path, 4242, state, sizeof(state)))
		state[0] = 0;
	unlink(path);
	return state;
}

static void test_libvirt_state(void **state)
{
	(void)state;
	assert_string_equal(
	    noted_state(NOTED_HEAD
			"<domstatus state='running' reason='booted' pid='4242'>" NOTED_REST),
	    "running");
	assert_string_equal(
	    noted_state(NOTED_HEAD
			"<domstatus state='paused' reason='user' pid='4242'>" NOTED_REST),
	    "paused");
	/* Of another process; of none; cut; not a word; longer than any. */
	assert_string_equal(
	    noted_state(NOTED_HEAD
			"<domstatus state='running' reason='booted' pid='42421'>" NOTED_REST),
	    "");
	assert_string_equal(
	    noted_state(NOTED_HEAD "<domstatus state='running' reason='booted'>" NOTED_REST), "");
	assert_string_equal(noted_state(NOTED_HEAD "<domstatus state='running' pid='4242'"), "");
	assert_string_equal(noted_state(NOTED_HEAD "<domstatus state='a\033[1m' pid='4242'>"), "");
	assert_string_equal(noted_state(NOTED_HEAD "<domstatus state='' pid='4242'>"), "");
	assert_string_equal(
	    noted_state(NOTED_HEAD "<domstatus state='runningrunningrunning' pid='4242'>"), "");
	/* A guest whose name is such an element, which the comment has. */
	assert_string_equal(
	    noted_state("<!--\n  virsh edit <domstatus state='paused' pid='4242'>\n-->\n\n"
			"<domstatus state='running' reason='booted' pid='4242'>" NOTED_REST),
	    "running");
	assert_string_equal(noted_state(""), "");
}

static void test_libvirt_state_files(void **state)
{
	struct qemu_process process = {.pid = getpid(), .cmdline = {.name = (char *)"../../etc/x"}};
	char text[16];

	(void)state;
	assert_false(qemu_libvirt_read_state("/nunchi/no/such/file", 4242, text, sizeof(text)));
	assert_false(qemu_libvirt_read_state("/tmp", 4242, text, sizeof(text)));
	assert_false(qemu_libvirt_state(&process, text, sizeof(text)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ram_of_the_vcpus_view),
	    cmocka_unit_test(test_other_spellings),
	    cmocka_unit_test(test_maps_that_make_no_sense),
	    cmocka_unit_test(test_registers_in_both_widths),
	    cmocka_unit_test(test_registers_of_all),
	    cmocka_unit_test(test_all_registers),
	    cmocka_unit_test(test_host_addresses),
	    cmocka_unit_test(test_memory_words),
	    cmocka_unit_test(test_mappings),
	    cmocka_unit_test(test_plain_command_line),
	    cmocka_unit_test(test_libvirt_command_line),
	    cmocka_unit_test(test_libvirt_state),
	    cmocka_unit_test(test_libvirt_state_files),
	    cmocka_unit_test(test_dimms_and_encryption),
	    cmocka_unit_test(test_other_command_lines),
	    cmocka_unit_test(test_where_machines_have_their_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
