/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each rule of rules.def: a line that fires it, written from the format string in the source that
 * rules.def cites (not from the pattern), and one much like it that must not. Then scanning itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/buffer.h"
#include "core/cleanup.h"
#include "core/io.h"
#include "doctor/story/match.h"
#include "doctor/story/scan.h"
#include "doctor/verdict/rules.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define K "[    4.567890] "
#define X "(XEN) [    1.234567] "

static const struct {
	enum rule_id rule;
	const char *fires, *silent;
} rows[] = {
    /* "Your graphics device %04x is not officially supported\nby xe driver in this kernel …" */
    {RULE_R1, K "xe 0000:00:02.0: Your graphics device a788 is not officially supported",
     K "xe 0000:00:02.0: Your graphics device a788 is officially supported"},
    /* "Your graphics device %04x is not properly supported by i915 in this\nkernel version." */
    {RULE_R2,
     K "i915 0000:00:02.0: Your graphics device 7d45 is not properly supported by i915 in this",
     K "i915 0000:00:02.0: [drm] VT-d active for gfx access"},
    /* "I915 probe blocked for Device ID %04x.\n" */
    {RULE_R3, K "i915 0000:00:02.0: I915 probe blocked for Device ID a788.",
     K "i915 0000:00:02.0: probe with driver i915 deferred"},
    /* "Probe blocked for device [%04x:%04x].\n" */
    {RULE_R4, K "xe 0000:00:02.0: Probe blocked for device [8086:a788].",
     K "foo 0000:03:00.0: Probe blocked for device [10de:28e0]."},
    /* "Force probing unsupported Device ID %04x, tainting kernel\n" */
    {RULE_R5, K "i915 0000:00:02.0: Force probing unsupported Device ID a788, tainting kernel",
     K "usb 1-1: Device ID 1234 unsupported"},
    /* "Initialized %s %d.%d.%d for %s on minor %d\n"; in 6.1 with "%s", a date, in between */
    {RULE_R6, K "[drm] Initialized i915 1.6.0 20201103 for 0000:00:02.0 on minor 0",
     K "[drm] Initialized xe 1.1.0 for 0000:00:02.0 on minor 0"},
    {RULE_R6, K "[drm] Initialized i915 1.6.0 for 0000:00:02.0 on minor 1",
     K "[drm] Initialized nouveau 1.4.0 for 0000:01:00.0 on minor 0"},
    /* "Device initialization failed (%d)\n" */
    {RULE_R7, K "i915 0000:00:02.0: [drm] *ERROR* Device initialization failed (-28)",
     K "nvme 0000:02:00.0: Device initialization failed (-28)"},
    /* "Failed to initialize GPU, declaring it wedged!\n" */
    {RULE_R8, K "i915 0000:00:02.0: [drm] *ERROR* Failed to initialize GPU, declaring it wedged!",
     K "i915 0000:00:02.0: [drm] GPU initialized"},
    /* "[CRTC:%d:%s] flip_done timed out\n" */
    {RULE_R9, K "i915 0000:00:02.0: [drm] *ERROR* [CRTC:98:pipe A] flip_done timed out",
     K "i915 0000:00:02.0: [drm] [CRTC:98:pipe A] flip_done"},
    /* "[CONNECTOR:%d:%s] commit wait timed out\n" */
    {RULE_R9, K "i915 0000:00:02.0: [drm] *ERROR* [CONNECTOR:236:eDP-1] commit wait timed out",
     K "i915 0000:00:02.0: [drm] *ERROR* [CONNECTOR:236:eDP-1] commit wait"},
    /* drm_err() of older kernels: "[drm:%ps] *ERROR* …" */
    {RULE_R9,
     K "[drm:drm_atomic_helper_wait_for_flip_done [drm_kms_helper]] *ERROR* [CRTC:45:pipe A] "
       "flip_done "
       "timed out",
     K "amdgpu 0000:c3:00.0: [drm] *ERROR* [CRTC:81:crtc-0] flip_done timed out"},
    /* "Fault errors on pipe %c: 0x%08x\n" */
    {RULE_R10, K "i915 0000:00:02.0: [drm] *ERROR* Fault errors on pipe A: 0x00000080",
     K "i915 0000:00:02.0: [drm] CPU pipe A FIFO underrun"},
    /* VTDPREFIX "DMAR:[%s] Request device [%pp] fault addr %"PRIx64"\n" */
    {RULE_R11, X "[VT-D]DMAR:[DMA Read] Request device [0000:00:02.0] fault addr 7c800000",
     X "[VT-D]DMAR:[DMA Read] Request device [0000:00:14.0] fault addr 7c800000"},
    /* VTDPREFIX " %s; disabling IGD VT-d engine\n" */
    {RULE_R12, X "[VT-D] passed iommu=no-igfx option; disabling IGD VT-d engine",
     X "[VT-D] firmware did not enable IGD for VT properly; disabling IGD VT-d engine"},
    /* Before 4.16: VTDPREFIX "Passed iommu=no-igfx option.  Disabling IGD VT-d engine.\n" */
    {RULE_R12, X "[VT-D]Passed iommu=no-igfx option.  Disabling IGD VT-d engine.",
     X "[VT-D]BIOS did not enable IGD for VT properly.  Disabling IGD VT-d engine."},
    /* "Failed to load DMC firmware %s (%pe). Disabling runtime power management.\n" */
    {RULE_R13,
     K "i915 0000:00:02.0: [drm] Failed to load DMC firmware i915/adls_dmc_ver2_01.bin (-ENOENT). "
       "Disabling runtime power management.",
     K "i915 0000:00:02.0: [drm] Finished loading DMC firmware i915/adls_dmc_ver2_01.bin (v2.1)"},
    /* "GT%u: GuC initialization failed %pe\n" */
    {RULE_R14, K "i915 0000:00:02.0: [drm] *ERROR* GT0: GuC initialization failed -ENOEXEC",
     K "i915 0000:00:02.0: [drm] GT0: GuC: SLPC enabled"},
    /* "GT%u: %s firmware %s: fetch failed %pe\n"; 6.1: "%s firmware %s: fetch failed with error %d"
     */
    {RULE_R14,
     K "i915 0000:00:02.0: [drm] *ERROR* GT0: GuC firmware i915/adlp_guc_70.bin: fetch failed "
       "-ENOENT",
     K "i915 0000:00:02.0: [drm] GT0: GuC firmware i915/adlp_guc_70.bin version 70.13.1"},
    /* "GT%u: GuC init failed with %pe\n", of xe */
    {RULE_R14, K "xe 0000:00:02.0: [drm] *ERROR* GT0: GuC init failed with -ENOENT",
     K "xe 0000:00:02.0: [drm] Using GuC firmware from xe/lnl_guc_70.bin version 70.29.2"},
    /* "Failed to find VBIOS tables (VBT)\n" */
    {RULE_R15, K "i915 0000:00:02.0: [drm] Failed to find VBIOS tables (VBT)",
     K "i915 0000:00:02.0: [drm] Found valid VBT in ACPI OpRegion"},
    /* "conflict detected with stolen region: %pR\n" */
    {RULE_R16,
     K "i915 0000:00:02.0: [drm] *ERROR* conflict detected with stolen region: [mem "
       "0x7c000000-0x7fffffff]",
     K "Memory: 4 MiB stolen region reserved"},
    /* "Skipping intel_backlight registration\n" */
    {RULE_R17, K "i915 0000:00:02.0: [drm] Skipping intel_backlight registration",
     K "i915 0000:00:02.0: [drm] Registered intel_backlight"},
    /* "%s: unknown parameter '%s' ignored\n" */
    {RULE_R19, K "video: unknown parameter 'use_native_backlight' ignored",
     K "i915: unknown parameter 'enable_fastboot' ignored"},
    /* "EC backlight control failed: %s\n" */
    {RULE_R20,
     K "nvidia-wmi-ec-backlight 603E9613-EF25-4338-A3D0-C46177516DB7: EC backlight control failed: "
       "AE_NOT_FOUND",
     K "ACPI: EC: EC started"},
    /* "swiotlb buffer is full (sz: %zd bytes), total %lu (slots), used %lu (slots)\n" */
    {RULE_R21,
     K "xe 0000:00:02.0: swiotlb buffer is full (sz: 2097152 bytes), total 32768 (slots), used 1 "
       "(slots)",
     K "software IO TLB: mapped [mem 0x0000000076000000-0x000000007a000000] (64MB)"},
    /* "Configuration [0-7]: %s\n" with pr_fmt "x86/PAT: " */
    {RULE_R22, K "x86/PAT: Configuration [0-7]: WB  WT  UC- UC  WC  WP  UC  UC  ",
     K "x86/PAT: Configuration [0-7]: WB  WC  UC- UC  WB  WP  UC- WT  "},
    /* "Booting kernel on %s\n"; "Xen version: %u.%u%s%s\n" */
    {RULE_R23, K "Booting kernel on Xen", K "Booting paravirtualized kernel on bare hardware"},
    {RULE_R23, K "Xen version: 4.17.3 (preserve-AD)", K "Linux version 6.8.0-45-generic"},
    /* "%-4.4s 0x%8.8X%8.8X %06X …": the signature that Xen writes over DMAR's */
    {RULE_R24,
     K "ACPI: RMAD 0x000000007A5E2000 000088 (v02 INTEL  EDK2     00000002      01000013)",
     K "ACPI: DMAR 0x000000007A5E2000 000088 (v02 INTEL  EDK2     00000002      01000013)"},
    /* "couldn't bind with audio component\n" */
    {RULE_R26, K "snd_hda_intel 0000:00:1f.3: couldn't bind with audio component",
     K "snd_hda_intel 0000:00:1f.3: bound 0000:00:02.0 (ops i915_audio_component_bind_ops)"},
    /* "init of i915 and HDMI codec failed\n" */
    {RULE_R27, K "sof-audio-pci-intel-tgl 0000:00:1f.3: init of i915 and HDMI codec failed",
     K "sof-audio-pci-intel-tgl 0000:00:1f.3: bound 0000:00:02.0"},
    /* 6.12: dev_err_probe(), which puts "error %pe: " before it */
    {RULE_R27,
     K "sof-audio-pci-intel-tgl 0000:00:1f.3: error -ENODEV: init of i915 and HDMI codec failed",
     K "sof-audio-pci-intel-tgl 0000:00:1f.3: error -ENODEV: failed to probe DSP"},
    /* "error: dsp init failed after %d attempts with err: %d\n" */
    {RULE_R28,
     K "sof-audio-pci-intel-tgl 0000:00:1f.3: error: dsp init failed after 3 attempts with err: -5",
     K "sof-audio-pci-intel-tgl 0000:00:1f.3: Booted firmware version: 2.2.0"},
    /* linux/drivers/base/dd.c: "deferred probe pending: %s", of the reason that was noted */
    {RULE_R27,
     K "pci 0000:00:1f.3: deferred probe pending: sof-audio-pci-intel-tgl: init of i915 and HDMI "
       "codec failed",
     K "pci 0000:00:1f.3: deferred probe pending: (reason unknown)"},
    /* "%s: timeout with rom_status_reg (%#x) read\n", __func__ */
    {RULE_R28,
     K "sof-audio-pci-intel-tgl 0000:00:1f.3: cl_dsp_init: timeout with rom_status_reg (0x80000) "
       "read",
     K "sof-audio-pci-intel-tgl 0000:00:1f.3: Firmware info: version 2:2:0"},
    /* "framebuffer at 0x%lx, using %dk, total %dk\n" with the prefix "efifb: " */
    {RULE_R29, K "efifb: framebuffer at 0x4000000000, using 9000k, total 9000k",
     K "efifb: probing for efifb"},
    /* "Initialized %s %d.%d.%d for %s on minor %d\n" */
    {RULE_R29, K "[drm] Initialized simpledrm 1.0.0 for simple-framebuffer.0 on minor 0",
     K "[drm] Initialized vgem 1.0.0 for vgem on minor 1"},
    /* "sysfb: VRAM smaller than advertised\n" */
    {RULE_R30, K "sysfb: VRAM smaller than advertised", K "sysfb: framebuffer registered"},
    /* "vesafb: framebuffer at 0x%" PRIpaddr ", mapped to 0x%p, using %uk, total %uk\n" */
    {RULE_R31,
     X
     "vesafb: framebuffer at 0x4000000000, mapped to 0xffff82c000201000, using 9000k, total 9000k",
     X "vesafb: mode is 1920x1200x32, linelength=7680, font 8x16"},
    /* "Xen is %s VGA console.\n" */
    {RULE_R32, X "Xen is relinquishing VGA console.", X "Xen is keeping VGA console."},
    /* "CPU%d: VMX disabled by BIOS.\n" */
    {RULE_R33, X "CPU0: VMX disabled by BIOS.", X "VMX: Supported advanced features:"},
    /* "CPU%d: VMXON failed: perhaps because of TXT settings in your BIOS configuration?\n" */
    {RULE_R34, X "CPU1: VMXON failed: perhaps because of TXT settings in your BIOS configuration?",
     X "CPU1: unexpected VMXON failure"},
    /* "VMX: failed to initialise.\n", "SVM: failed to initialise.\n" */
    {RULE_R35, X "VMX: failed to initialise.", X "VMX: initialised"},
    {RULE_R35, X "SVM: failed to initialise.", X "SVM: Supported advanced features:"},
    /* "HVM: %s enabled\n", fns->name */
    {RULE_R36, X "HVM: VMX enabled", X "HVM: ASIDs enabled"},
    {RULE_R36, X "HVM: SVM enabled", X "HVM: Hardware Assisted Paging (HAP) detected"},
    /* "HVM: Hardware Assisted Paging (HAP) not detected\n", "… detected but disabled\n" */
    {RULE_R37, X "HVM: Hardware Assisted Paging (HAP) not detected",
     X "HVM: Hardware Assisted Paging (HAP) detected"},
    {RULE_R37, X "HVM: Hardware Assisted Paging (HAP) detected but disabled",
     X "HVM: HAP page sizes: 4kB, 2MB, 1GB"},
    /* "I/O virtualisation %sabled\n" */
    {RULE_R38, X "I/O virtualisation disabled", X "I/O virtualisation enabled"},
    /* panic("Presently, iommu must be enabled for PVH hardware domain\n") and another */
    {RULE_R39, X "Presently, iommu must be enabled for PVH hardware domain",
     X "Dom0 has maximum 1272 PIRQs"},
    {RULE_R39, X "PVH hardware domain iommu must be set in 'strict' mode",
     X "*** Building a PVH Dom0 ***"},
    /* panic("Not enough RAM for domain 0 allocation\n"), "Domain 0 allocation is too small …" */
    {RULE_R254, X "Not enough RAM for domain 0 allocation", X "Dom0 alloc.:   0000000240000000"},
    {RULE_R40, X "Domain 0 allocation is too small for kernel image", X "Xen  kernel: 64-bit, lsb"},
    /* panic("IOMMU requests xAPIC mode, but x2APIC already enabled by firmware\n") */
    {RULE_R41, X "IOMMU requests xAPIC mode, but x2APIC already enabled by firmware",
     X "x2APIC mode is already enabled by BIOS."},
    /* "parameter \"%s\" unknown!\n" */
    {RULE_R42, X "parameter \"nomodeset\" unknown!", X "parameter \"loglvl\" has invalid value"},
    /* panic("Couldn't enable %s and iommu=required/force\n") */
    {RULE_R43, X "Couldn't enable IOMMU and iommu=required/force", X "I/O virtualisation enabled"},
    /* "RDMSR 0x%08x unimplemented\n" */
    {RULE_R44, X "vmx.c:3534:d0v0 RDMSR 0x00000639 unimplemented", X "WRMSR 0x00000639 emulated"},
    /* grub_print_error(): "error: %s.\n"; Debian's grub_error() puts "%s:%d:" before the message.
     * N_("bad shim signature"), N_("prohibited by secure boot policy") */
    {RULE_R45, "error: bad shim signature.", "grub rescue> bad shim signature?"},
    {RULE_R45, "error: ../../grub-core/kern/efi/sb.c:182:bad shim signature.",
     "error: ../../grub-core/loader/i386/efi/linux.c:256:you need to load the kernel first."},
    {RULE_R45, "error: prohibited by secure boot policy.", "error: file `/boot/xen.gz' not found."},
    /* N_("verification requested but nobody cares: %s") */
    {RULE_R45, "error: verification requested but nobody cares: /boot/xen-4.17-amd64.gz.",
     "error: no such device: 1234-ABCD."},
    /* "Kernel is locked down from %s; see man kernel_lockdown.7\n" */
    {RULE_R46, K "Kernel is locked down from EFI Secure Boot; see man kernel_lockdown.7",
     K "Kernel is locked down from command line; see man kernel_lockdown.7"},
    /* "NVRM: GPU %04x:%02x:%02x.%x: RmInitAdapter failed! (0x%x:0x%x:%d)\n" */
    {RULE_R47, K "NVRM: GPU 0000:01:00.0: RmInitAdapter failed! (0x26:0x56:1463)",
     K "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  550.90.07"},
    /* dev_err() of "%s: failed to load %s\n" (nvkm_error), "init failed with %d\n" (nvdev_error),
     * "drm: VRAM mm init failed, %d\n" (NV_ERROR) */
    {RULE_R48, K "nouveau 0000:01:00.0: gr: failed to load fecs_inst",
     K "nouveau 0000:01:00.0: NVIDIA AD107 (197000a1)"},
    {RULE_R48, K "nouveau 0000:01:00.0: init failed with -19",
     K "nouveau 0000:01:00.0: bios: version 95.07.31.00.4a"},
    {RULE_R48, K "nouveau 0000:01:00.0: drm: VRAM mm init failed, -12",
     K "nouveau 0000:01:00.0: drm: VRAM: 8188 MiB"},
    /* "%s: probe of %s failed with error %d\n"; 6.12: "probe with driver %s failed with error %d"
     */
    {RULE_R48, K "nouveau: probe of 0000:01:00.0 failed with error -22",
     K "nouveau: detected PR support, will not use DSM"},
    /* "Ring address not aligned\n" */
    {RULE_R50, K "4xxx 0000:2b:00.0: Ring address not aligned",
     K "4xxx 0000:2b:00.0: enabling device (0140 -> 0142)"},
    /* "Failed to set HVM_PARAM_ALTP2M, RC: %i\n", "Altp2m enabled: %i\n" of a truth value;
     * older ones "Altp2m enabled? %i\n" of xc_altp2m_set_domain_state()'s result, where 0 is well
     */
    {RULE_R51, "Failed to set HVM_PARAM_ALTP2M, RC: -1", "Altp2m enabled: 1"},
    {RULE_R51, "Failed to get HVM_PARAM_ALTP2M, RC: -1", "HVM_PARAM_ALTP2M, RC: 0"},
    {RULE_R51, "Altp2m enabled: 0", "Altp2m params set: 1"},
    {RULE_R51, "Altp2m enabled? -1", "Altp2m enabled? 0"},
    /* errprint("%s error: no system support for event type\n", __FUNCTION__) */
    {RULE_R52, "VMI_ERROR: xen_start_single_step error: no system support for event type",
     "VMI_ERROR: xen_start_single_step error: invalid domid"},
    /* PERROR("Failed to enable vm_event\n"): "xc: error: %s (%d = %s): Internal error\n" */
    {RULE_R53, "xc: error: Failed to enable vm_event (13 = Permission denied): Internal error",
     "xc: error: Failed to enable vm_event (16 = Device or resource busy): Internal error"},
    {RULE_R53, " (13 = Permission denied): Internal error",
     " (16 = Device or resource busy): Internal error"},
    {RULE_R56, " (16 = Device or resource busy): Internal error",
     " (22 = Invalid argument): Internal error"},
    {RULE_R56,
     "xc: error: Failed to enable vm_event (16 = Device or resource busy): Internal error",
     "xc: error: Could not map the ring page (16 = Device or resource busy): Internal error"},
    /* XENLOG_G_WARNING "vm_event interface version mismatch\n" */
    {RULE_R54, X "vm_event interface version mismatch", X "d1 vm_event ring full"},
#define ROW(rule, fires, silent) {RULE_##rule, fires, silent},
#include "test_doctor_rules.def"
#undef ROW
};

/* All tests are run with each engine. */
static const struct match_engine *engine;

static void start(struct scan *scan)
{
	const char *patterns[SCAN_PATTERNS];

	*scan = (struct scan){0};
	scan_patterns(patterns);
	assert_null(engine->create(patterns, SCAN_PATTERNS, &scan->matcher));
}

static void scan_text(struct scan *scan, const char *text)
{
	scan_begin(scan, "log", SCAN_ANY);
	assert_int_equal(scan_lines(scan, text, strlen(text), true), strlen(text));
}

/* Compiling the rules takes long: one scan for all lines of a test. */
static bool fires(struct scan *scan, enum rule_id rule, const char *line)
{
	const struct scan_result *result = &scan->results[rule];
	uint64_t before = result->seen;

	scan_text(scan, line);
	if (!before && result->seen) {
		assert_string_equal(result->hits[0].quote, line);
		assert_int_equal(result->hits[0].line, 1);
	}
	return result->seen > before;
}

static void test_every_rule(void **state)
{
	bool covered[RULE_COUNT] = {false};
	struct scan scan;

	(void)state;
	start(&scan);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!fires(&scan, rows[i].rule, rows[i].fires))
			fail_msg("%s does not fire on: %s", rules[rows[i].rule].id, rows[i].fires);
		if (fires(&scan, rows[i].rule, rows[i].silent))
			fail_msg("%s fires on: %s", rules[rows[i].rule].id, rows[i].silent);
		covered[rows[i].rule] = true;
	}
	for (size_t i = 0; i < RULE_COUNT; i++)
		if (!covered[i])
			fail_msg("%s has no row here", rules[i].id);
	scan_deinit(&scan);
}

/* Each rule holds where all that it needs is there, and not where any part of that is missing. */
static void test_needs(void **state)
{
	(void)state;
	for (size_t i = 0; i < RULE_COUNT; i++) {
		unsigned all = (1u << NEEDS_COUNT) - 1;

		assert_true(rules_apply(&rules[i], all));
		assert_true(rules_apply(&rules[i], rules[i].needs));
		for (unsigned need = 0; need < NEEDS_COUNT; need++)
			if (rules_apply(&rules[i], all & ~(1u << need)) !=
			    !(rules[i].needs & 1u << need))
				fail_msg("%s holds without what it needs", rules[i].id);
		/* No advice takes the only driver of a screen away. */
		if (rules[i].remedy && strstr(rules[i].remedy, "blacklist n"))
			assert_true(rules[i].needs & NEEDS_TWO_GPUS);
		/* What only Xen's log can say needs no other sign of Xen. */
		if (rules[i].where == WHERE_XEN)
			assert_false(rules[i].needs & NEEDS_NATIVE);
	}
}

/* What may stand before a kernel's message instead of its time, and behind it. */
static const struct {
	const char *before, *behind;
} forms[] = {
    {"", ""},                                                    /* dmesg -t, journalctl -o cat */
    {"> ", ""},                                                  /* quoted in a mail */
    {"    ", "\r"},                                              /* indented, from a serial line */
    {"<6>", ""},                                                 /* dmesg -r -t */
    {"<6>[    4.567890] ", ""},                                  /* dmesg -r */
    {"kern  :info  : ", ""},                                     /* dmesg -x -t */
    {"kern  :warn  : [    4.567890] ", ""},                      /* dmesg -x */
    {"[  +0.000012] ", ""},                                      /* dmesg -e */
    {"[Nov22 10:00] ", ""},                                      /* dmesg -e */
    {"2025-11-22T10:00:00,123456+00:00 ", ""},                   /* dmesg --time-format=iso */
    {"\x1b[32m[    4.567890] \x1b[0m\x1b[33m", "\x1b[0m"},       /* dmesg -L=always */
    {"\x1b[33m", "\x1b[0m"},                                     /* the same with -t */
    {"6,339,5140900,-;", ""},                                    /* /dev/kmsg */
    {"Nov 22 10:00:00 host kernel: ", ""},                       /* journalctl, syslog */
    {"Nov 22 10:00:00 host kernel: [    4.567890] ", ""},        /* syslog's kern.log */
    {"2025-11-22T10:00:00.123456+00:00 host kernel: ", ""},      /* rsyslog since Debian 12 */
    {"2025-11-22T10:00:00+0000 host kernel: ", ""},              /* journalctl -o short-iso */
    {"Sat 2025-11-22 10:00:00 UTC host kernel: ", ""},           /* journalctl -o short-full */
    {"1763805600.123456 host kernel: ", ""},                     /* journalctl -o short-unix */
    {"[    4.567890] host kernel: ", ""},                        /* … short-monotonic */
    {"<6>1 2025-11-22T10:00:00.123456Z host kernel - - - ", ""}, /* RFC 5424 */
    {"kernel: ", ""},
    {"    MESSAGE=", ""}, /* journalctl -o verbose */
    {"MESSAGE=", ""},     /* journalctl -o export */
    {"{\"_TRANSPORT\":\"kernel\",\"PRIORITY\":\"6\",\"MESSAGE\":\"",
     "\",\"_HOSTNAME\":\"host\"}"}, /* journalctl -o json */
};

static void check_form(struct scan *scan, size_t row, size_t form)
{
	const struct scan_result *result = &scan->results[rows[row].rule];
	uint64_t before = result->seen;
	char line[600];

	snprintf(line, sizeof(line), "%s%s%s\n", forms[form].before, rows[row].silent + strlen(K),
		 forms[form].behind);
	scan_text(scan, line);
	if (result->seen != before)
		fail_msg("%s fires on: %s", rules[rows[row].rule].id, line);
	snprintf(line, sizeof(line), "%s%s%s\n", forms[form].before, rows[row].fires + strlen(K),
		 forms[form].behind);
	scan_text(scan, line);
	if (result->seen != before + 1)
		fail_msg("%s does not fire on: %s", rules[rows[row].rule].id, line);
}

/* Every message of the kernel is known in whatever way the log was printed. */
static void test_forms(void **state)
{
	struct scan scan;

	(void)state;
	start(&scan);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (size_t j = 0;
		     rules[rows[i].rule].where == WHERE_KERNEL && j < ARRAY_SIZE(forms); j++)
			check_form(&scan, i, j);
	scan_deinit(&scan);
}

/* Xen's lines in the hypervisor's ring, on a serial line, in a journal and in a mail. */
static void test_xen_forms(void **state)
{
	static const char *const lines[] = {
	    "(XEN) CPU0: VMX disabled by BIOS.\n",
	    "(XEN) [    1.234567] CPU0: VMX disabled by BIOS.\r\n",
	    "(XEN) [2025-11-22 10:00:00.123] CPU0: VMX disabled by BIOS.\n",
	    "> (XEN) CPU0: VMX disabled by BIOS.\n",
	    "Nov 22 10:00:00 host xen[123]: (XEN) CPU0: VMX disabled by BIOS.\n",
	};
	struct scan scan;

	(void)state;
	start(&scan);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		scan_text(&scan, lines[i]);
		assert_int_equal(scan.results[RULE_R33].seen, i + 1);
	}
	scan_deinit(&scan);
}

/* Boots are told apart in a log without times as well. */
static void test_bare_boots(void **state)
{
	static const char text[] =
	    "Linux version 6.8.0-45-generic (build@host) (gcc 13) #45 SMP\n"
	    "[drm] Initialized i915 1.6.0 for 0000:00:02.0 on minor 0\n"
	    "Linux version 6.8.0-45-generic (build@host) (gcc 13) #45 SMP\n"
	    "Booting kernel on Xen\n"
	    "snd_hda_intel 0000:00:1f.3: couldn't bind with audio component\n";
	struct scan scan;

	(void)state;
	start(&scan);
	scan_text(&scan, text);
	assert_true(scan_together(&scan, RULE_R23, RULE_R26));
	assert_true(scan_seen(&scan, RULE_R6));
	assert_false(scan_together(&scan, RULE_R23, RULE_R6));
	scan_deinit(&scan);
}

/* A message that is only spoken of is none. */
static void test_prose(void **state)
{
	struct scan scan;

	(void)state;
	start(&scan);
	assert_false(
	    fires(&scan, RULE_R33, "If xl dmesg says VMX disabled by BIOS, switch VT-x on."));
	assert_false(
	    fires(&scan, RULE_R27, "I read that init of i915 and HDMI codec failed is common"));
	assert_false(fires(&scan, RULE_R45, "the error: bad shim signature did not come"));
	assert_false(fires(&scan, RULE_R48, "nouveau: it failed in attempt 2 as well"));
	assert_false(
	    fires(&scan, RULE_R7, "I saw i915 0000:00:02.0: Device initialization failed (-12)"));
	assert_false(fires(&scan, RULE_R7, "Attempt 2.1: i915 Device initialization failed (-12)"));
	assert_false(
	    fires(&scan, RULE_R46, "<b>Kernel is locked down from EFI Secure Boot; see man"));
	assert_false(fires(&scan, RULE_R26, "A new kernel - couldn't bind with audio component"));
	assert_false(fires(&scan, RULE_R53, "It said (13 = Permission denied): Internal error"));
	assert_true(fires(&scan, RULE_R33, "(XEN) CPU0: VMX disabled by BIOS."));
	assert_true(fires(&scan, RULE_R27,
			  "Aug 15 10:00:01 host kernel: sof 0000:00:1f.3: init of i915 and "
			  "HDMI codec failed"));
	assert_true(fires(&scan, RULE_R27,
			  "[Fri Aug 15 10:00:01 2025] sof 0000:00:1f.3: init of i915 and "
			  "HDMI codec failed"));
	assert_true(fires(&scan, RULE_R27, "<4>[   61.000001] init of i915 and HDMI codec failed"));
	scan_deinit(&scan);
}

static void test_known_kind(void **state)
{
	const char *text = "CPU0: VMX disabled by BIOS.\ninit of i915 and HDMI codec failed\n";
	struct scan scan;

	(void)state;
	start(&scan);
	scan_begin(&scan, "xl dmesg", SCAN_XEN);
	scan_lines(&scan, text, strlen(text), true);
	assert_true(scan_seen(&scan, RULE_R33));
	assert_false(scan_seen(&scan, RULE_R27));
	scan_begin(&scan, "dmesg", SCAN_KERNEL);
	scan_lines(&scan, text, strlen(text), true);
	assert_true(scan_seen(&scan, RULE_R27));
	assert_int_equal(scan.results[RULE_R33].seen, 1);
	scan_deinit(&scan);
}

static void test_boots(void **state)
{
	static const char text[] =
	    K "Linux version 6.8.0-45-generic (build@host)\n" K
	      "[drm] Initialized i915 1.6.0 for 0000:00:02.0 on minor 0\n" K
	      "Linux version 6.8.0-45-generic (build@host)\n" K "Booting kernel on Xen\n" K
	      "snd_hda_intel: couldn't bind with audio component\n";
	struct scan scan;

	(void)state;
	start(&scan);
	scan_text(&scan, text);
	assert_true(scan_together(&scan, RULE_R23, RULE_R26));
	assert_false(scan_together(&scan, RULE_R23, RULE_R6));
	assert_false(scan_together(&scan, RULE_R26, RULE_R6));
	scan_deinit(&scan);
}

/* Of a machine's boots the newest counts; Xen's log and Linux's behind it are of one boot. */
static void test_newest(void **state)
{
	static const char serial[] =
	    X "Xen version 4.17.3 (build@)\n" X "VMX: failed to initialise.\n" K
	      "Linux version 6.1.0 (build@host)\n" K "Booting kernel on Xen\n" X
	      "Xen version 4.17.3 (build@)\n" X "HVM: VMX enabled\n" K
	      "Linux version 6.1.0 (build@host)\n" K "Booting kernel on Xen\n" K
	      "Linux version 6.1.0 (build@host)\n" K
	      "Booting paravirtualized kernel on bare hardware\n";
	static const char two[] = "Nov 22 10:00:00 one kernel: Linux version 6.1.0 (build@host)\n"
				  "Nov 22 10:00:00 one kernel: Booting kernel on Xen\n"
				  "Nov 22 10:00:09 two kernel: Linux version 6.1.0 (build@host)\n"
				  "Nov 22 10:00:09 two kernel: Booting kernel on Xen\n";
	struct scan scan;
	unsigned boot;

	(void)state;
	start(&scan);
	scan_text(&scan, serial);
	assert_false(scan_now(&scan, RULE_R35, &boot));
	assert_true(scan_now(&scan, RULE_R36, &boot));
	/* The boot without Xen is newer, and of another kind. */
	assert_true(scan_now(&scan, RULE_R23, &boot));
	assert_true(scan_in_boot(&scan, RULE_R36, boot));
	assert_int_equal(scan_machines(&scan), 0);
	scan_deinit(&scan);
	start(&scan);
	scan_text(&scan, two);
	assert_int_equal(scan_machines(&scan), 2);
	assert_true(scan_newest(&scan, RULE_R23, scan.results[RULE_R23].hits[0].boot));
	scan_deinit(&scan);
}

/* The same whichever way the log is cut into pieces. */
static void test_pieces(void **state)
{
	static const char text[] = "nothing\n\n" K "Booting kernel on Xen\nmore\n" X
				   "HVM: VMX enabled\r\n" X "HVM: VMX enabled";
	struct scan scan;

	(void)state;
	start(&scan);
	for (size_t piece = 1; piece < sizeof(text); piece++) {
		uint64_t before = scan.results[RULE_R36].seen;
		size_t start = 0, end = 0;

		scan_begin(&scan, "log", SCAN_ANY);
		while (start < sizeof(text) - 1) {
			end = end + piece < sizeof(text) - 1 ? end + piece : sizeof(text) - 1;
			start +=
			    scan_lines(&scan, text + start, end - start, end == sizeof(text) - 1);
		}
		assert_int_equal(scan.results[RULE_R23].seen, piece);
		assert_int_equal(scan.results[RULE_R36].seen, before + 2);
		assert_int_equal(scan.line, 6);
		if (piece > 1)
			continue;
		assert_int_equal(scan.results[RULE_R23].hits[0].line, 3);
		assert_int_equal(scan.results[RULE_R36].hits[0].line, 5);
		assert_int_equal(scan.results[RULE_R36].hits[1].line, 6);
		assert_string_equal(scan.results[RULE_R36].hits[0].quote, X "HVM: VMX enabled");
	}
	scan_deinit(&scan);
}

/* Many hits are counted and few kept; long lines are cut; NULs do not end a quote. */
static void test_bounds(void **state)
{
	static const char line[] = X "CPU0: VMX disabled by BIOS.\n";
	size_t size = 2 * SCAN_LINE;
	_cleanup_free_ char *text = malloc(size);
	struct scan scan;

	(void)state;
	start(&scan);
	for (size_t i = 0; i < 1000; i++)
		scan_text(&scan, line);
	assert_int_equal(scan.results[RULE_R33].seen, 1000);
	assert_int_equal(scan.results[RULE_R33].kept, SCAN_HITS);
	memset(text, 'x', size);
	memcpy(text, K "i915 0000:00:02.0: ", strlen(K "i915 0000:00:02.0: "));
	memcpy(text + 2000, "flip_done timed out", 19);
	memcpy(text + SCAN_LINE, "Fault errors on pipe A", 22);
	text[100] = '\0';
	scan_begin(&scan, "long", SCAN_ANY);
	assert_int_equal(scan_lines(&scan, text, size, false), size);
	assert_true(scan_seen(&scan, RULE_R9));
	assert_false(scan_seen(&scan, RULE_R10));
	assert_int_equal(strlen(scan.results[RULE_R9].hits[0].quote), SCAN_QUOTE);
	scan_deinit(&scan);
}

/* Without an engine logs are not looked at, which is said; nothing is found. */
static void test_without(void **state)
{
	struct nunchi_error *err;
	struct scan scan;

	(void)state;
	err = scan_init(&scan);
	assert_int_equal(nunchi_error_code(err), NUNCHI_ERROR_UNSUPPORTED);
	nunchi_error_destroy(err);
	scan_text(&scan, X "CPU0: VMX disabled by BIOS.\n\nx");
	assert_int_equal(scan.line, 3);
	for (size_t i = 0; i < RULE_COUNT; i++)
		assert_false(scan_seen(&scan, (enum rule_id)i));
	scan_deinit(&scan);
}

/* ---- The engines side by side ---- */

/* For each line: the patterns that an engine finds. The text is given whole, as a log's piece is.
 */
static void find_all(const char *text, size_t size, bool (*found)[SCAN_PATTERNS])
{
	const char *end = text + size;
	struct scan scan;
	bool any;

	start(&scan);
	any = engine->any(scan.matcher, text, size);
	for (size_t i = 0; text < end; i++) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));

		stop = stop ? stop : end;
		if (any)
			engine->line(scan.matcher, text, (size_t)(stop - text), found[i]);
		text = stop + 1;
	}
	scan_deinit(&scan);
}

/* Fails unless all engines find the same patterns in each line; gives how many they find. */
static size_t compare_engines(const char *what, const char *text, size_t size)
{
	size_t lines = 1, bytes, total = 0;
	bool(*first)[SCAN_PATTERNS] = NULL, (*found)[SCAN_PATTERNS];

	for (size_t i = 0; i < size; i++)
		lines += text[i] == '\n';
	bytes = lines * sizeof(*found);
	for (size_t i = 0; match_engines[i]; i++) {
		found = calloc(1, bytes);
		assert_non_null(found);
		engine = match_engines[i];
		find_all(text, size, found);
		for (size_t line = 0; first && line < lines; line++)
			for (size_t id = 0; id < SCAN_PATTERNS; id++)
				if (found[line][id] != first[line][id])
					fail_msg("%s:%zu: %s %s %s", what, line + 1, engine->name,
						 found[line][id] ? "alone finds" : "does not find",
						 id < RULE_COUNT ? rules[id].id : "a boot");
		if (first) {
			free(found);
			continue;
		}
		first = found;
		for (size_t at = 0; at < bytes; at++)
			total += ((bool *)found)[at];
	}
	free(first);
	return total;
}

static const char *fixtures;

/* All logs and stories of tests/doctor. */
static void test_engines_agree_on_logs(void **state)
{
	DIR *folder = opendir(fixtures);
	size_t total = 0, files = 0;
	struct dirent *entry;

	(void)state;
	assert_non_null(folder);
	while ((entry = readdir(folder))) {
		_cleanup_close_ int fd =
		    openat(dirfd(folder), entry->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		_cleanup_buffer_ struct buffer text = {0};

		if (entry->d_name[0] == '.' || io_read_all(fd, &text))
			continue;
		total += compare_engines(entry->d_name, buffer_string(&text), text.size);
		files++;
	}
	closedir(folder);
	print_message("%zu files, %zu matches\n", files, total);
	assert_true(files >= 8 && total >= 20);
}

/* So that the time grows with the number of rules, and not with its square. */
#define OTHERS (ARRAY_SIZE(rows) / 64)

/*
 * Every line of the rules above, and halves of it put together with those of 64 others, many lines
 * with many matches.
 */
static void test_engines_agree_on_rules(void **state)
{
	_cleanup_buffer_ struct buffer text = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (size_t j = i % OTHERS; j < ARRAY_SIZE(rows); j += OTHERS) {
			const char *a = rows[i].fires, *b = rows[j].silent;
			size_t cut = strlen(a) * (1 + (i + j) % 4) / 4;

			buffer_printf(&text, "%.*s %s\n%s%s\n", (int)cut, a, rows[j].fires, b, a);
			buffer_printf(&text, "%s%s", a + cut / 2, j % 7 ? "\n" : "\r\n");
		}
	assert_false(text.failed);
	assert_true(compare_engines("rules", text.data, text.size) > 10000);
}

/* A text with what a pattern begins with again and again, and never what it ends with. */
static void test_engines_agree_on_repetition(void **state)
{
	static const char *const pieces[] = {"i915 ",
					     "xe 0: ",
					     "i915 0000:00:02.0: ",
					     "nouveau:",
					     "NVRM: ",
					     "parameter \"",
					     "GuC firmware ",
					     "WB WT UC- ",
					     "Couldn't enable  and ",
					     "RDMSR 0x0",
					     "(sz: 000000",
					     "a",
					     "\xff",
					     "x86/PAT: Configuration WB"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		_cleanup_buffer_ struct buffer text = {0};

		while (text.size < 1 << 20)
			buffer_append_string(&text, pieces[i]);
		compare_engines(pieces[i], text.data, text.size);
		/* The line as scan_lines() cuts it. */
		compare_engines(pieces[i], text.data, SCAN_LINE);
	}
}

/* Typed off a photograph, or read by a program; and what only resembles it. */
static void test_misread(void **state)
{
	static const struct {
		const char *line;
		unsigned rule;
	} lines[] = {
	    {"(XEN) Pan1c on CPU O;", RULE_R153},
	    {"Panic on CPU 3", RULE_R153},
	    {"Xen is re1inquishing VCA console", RULE_NONE},
	    {"Xen is re1inquishing VGAconso1e", RULE_R32},
	    {"Kemel panic- not syncing; VFS", RULE_R154},
	    {"KerneI panic - not synclng: Attempted to kill init!", RULE_R154},
	    {"Cou1d not construct dornain 0", RULE_R71},
	    {"Could not construct domain O", RULE_R71},
	    {"Cou1d not construct d0", RULE_R71},
	    {"VFS: Unab1e to mount root fs on unknown-b1ock(O,O)", RULE_R68},
	    {"10-APIC + timer doesn't work!", RULE_R70},
	    {"Hardware DomO crashed: rebootlng rnachine", RULE_R64},
	    {"CPUO: VMX disabIed by BlOS", RULE_R33},
	    {"What is a panic on CPU load?", RULE_NONE},
	    {"panic_on_oops=1 on the command line", RULE_NONE},
	    {"The kernel did not panic; it is syncing", RULE_NONE},
	    {"I could not construct the guest", RULE_NONE},
	    {"Could not construct default PennyLane device", RULE_NONE},
	    {"Could not construct domain objects", RULE_NONE},
	    {"mounted root fs on vda1", RULE_NONE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		size_t found = misread_find(lines[i].line, strlen(lines[i].line));
		unsigned rule = found < MISREAD_COUNT ? misread_rules[found] : RULE_NONE;

		if (rule != lines[i].rule)
			fail_msg("%s: rule %u", lines[i].line, rule);
	}
}

/* It is looked for at the beginning of a text alone, and never in a log that is known to be one. */
static void test_misread_bounds(void **state)
{
	static const char line[] = "what I see: Kemel panic - not syncing\n";
	_cleanup_buffer_ struct buffer text = {0};
	struct scan scan;

	(void)state;
	start(&scan);
	scan_begin(&scan, "log", SCAN_KERNEL);
	scan_lines(&scan, line, strlen(line), true);
	assert_null(scan.misread[1].quote);
	while (text.size < MISREAD_BYTES)
		buffer_append_string(&text, "a line\n");
	buffer_append_string(&text, line);
	scan_begin(&scan, "long", SCAN_ANY);
	assert_int_equal(scan_lines(&scan, text.data, text.size, true), text.size);
	assert_null(scan.misread[1].quote);
	scan_begin(&scan, "typed", SCAN_ANY);
	scan_lines(&scan, "one\n", 4, false);
	scan_lines(&scan, line, strlen(line), true);
	assert_string_equal(scan.misread[1].source, "typed");
	assert_int_equal(scan.misread[1].line, 2);
	scan_deinit(&scan);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest without[] = {cmocka_unit_test(test_without)};
	const struct CMUnitTest agreeing[] = {
	    cmocka_unit_test(test_engines_agree_on_logs),
	    cmocka_unit_test(test_engines_agree_on_rules),
	    cmocka_unit_test(test_engines_agree_on_repetition),
	};
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_rule),     cmocka_unit_test(test_forms),
	    cmocka_unit_test(test_xen_forms),      cmocka_unit_test(test_bare_boots),
	    cmocka_unit_test(test_prose),          cmocka_unit_test(test_known_kind),
	    cmocka_unit_test(test_boots),          cmocka_unit_test(test_pieces),
	    cmocka_unit_test(test_bounds),         cmocka_unit_test(test_needs),
	    cmocka_unit_test(test_newest),         cmocka_unit_test(test_misread),
	    cmocka_unit_test(test_misread_bounds),
	};

	int failed = 0;

	fixtures = argc > 1 ? argv[1] : ".";
	if (!match_engines[0])
		return cmocka_run_group_tests(without, NULL, NULL);
	for (size_t i = 0; match_engines[i]; i++) {
		engine = match_engines[i];
		failed += cmocka_run_group_tests_name(engine->name, tests, NULL, NULL);
	}
	if (match_engines[1])
		failed += cmocka_run_group_tests(agreeing, NULL, NULL);
	return failed;
}
