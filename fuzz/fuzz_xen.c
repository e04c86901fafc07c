/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opening a guest of Xen and looking for its kernel: what the guest says of its frames in
 * shared_info and the list behind it, its page tables, what xenstore and the hypervisor say.
 *
 * The input: a header (struct start), then guest memory from frame 0 on.
 */
#include "core/cleanup.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define require(x)                                                                                 \
	do {                                                                                       \
		if (!(x))                                                                          \
			abort();                                                                   \
	} while (0)
#define assert_true(x)            require(x)
#define assert_non_null(x)        require(x)
#define assert_int_equal(a, b)    require((a) == (b))
#define assert_ptr_equal(a, b)    require((a) == (b))
#define assert_string_equal(a, b) require(!strcmp(a, b))

#include "guest/linux/attach.h"
#include "target/target.h"
#include "target/xen/xen.h"
#include "tests/unit/fake_xen.h"

struct start {
	uint8_t domctl;
	uint8_t hvm;
	uint16_t vcpus;
	uint32_t flags;
	uint64_t shared_info_frame;
	uint64_t frames;
	uint64_t cr0, cr3, cr4, efer;
	char limit[16]; /* memory/static-max */
	char name[16];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const char *word)
{
	const struct target_options options = {.sigbus_guard = false};
	const struct cancel cancel = {.requested = false};
	const struct guest_attach_options attach = {.cancel = &cancel};
	struct linux_kernel *kernel = NULL;
	struct target *target = NULL;
	struct nunchi_error *err = xen_target_open_with(&fake_calls, word, &options, &target);

	if (!err) {
		err = linux_kernel_attach(target, &attach, &kernel);
		linux_kernel_destroy(kernel);
	}
	nunchi_error_destroy(err);
	target_close(target);
}

static bool found(const struct nunchi_found *guest, void *data)
{
	(void)data;
	require(strlen(guest->target) < 512 && guest->name && guest->access);
	return true;
}

static void set_up(const struct start *start)
{
	struct fake_domain *domain = &fake->domains[1];
	uint8_t *cpu = fake->cpu;

	fake->domctl = 0x10 + start->domctl % 10;
	domain->info.flags = start->flags & ~(uint32_t)XEN_INFO_HVM;
	domain->info.flags |= start->hvm & 1 ? XEN_INFO_HVM : 0;
	domain->info.max_vcpu_id = start->vcpus;
	domain->info.shared_info_frame = start->shared_info_frame;
	/*
	 * Of the host 4 MiB, of the guest little above 4 GiB, or 4 MiB where only this says where
	 * RAM is: more is the same, only slower.
	 */
	fake->machine_frames = 1024;
	domain->frames = start->frames % (fake->domctl > XEN_DOMCTL_NEWEST ? 1024 : 0x110000);
	domain->address_size = start->hvm & 2 ? 32 : 64;
	if (start->hvm & 1) {
		store_le64(cpu + XEN_HVM_CPU_CR0, start->cr0);
		store_le64(cpu + XEN_HVM_CPU_CR3, start->cr3);
		store_le64(cpu + XEN_HVM_CPU_CR4, start->cr4);
		store_le64(cpu + XEN_HVM_CPU_EFER, start->efer);
	} else {
		store_le64(cpu + XEN_PV_CPU_CR, start->cr0);
		store_le64(cpu + XEN_PV_CPU_CR + 3 * 8, start->cr3);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct start start;
	char text[17] = "";
	bool stopped;

	if (size < sizeof(start) || size > (1 << 20))
		return 0;
	memcpy(&start, data, sizeof(start));
	fake_create();
	set_up(&start);
	/* At most 10 MiB: all of it is looked through, and more finds no more. */
	memcpy(text, start.limit, 4);
	fake_value("/local/domain/3/memory/static-max", text);
	memcpy(text, start.name, 16);
	fake_value("/local/domain/3/name", text);
	require(pwrite(fake->memory_fd, data + sizeof(start), size - sizeof(start), 0) ==
		(ssize_t)(size - sizeof(start)));
	nunchi_error_destroy(xen_list_with(&fake_calls, found, NULL, &stopped));
	look("xen:3");
	/* Nothing is left open or mapped. */
	require(!fake->open && !fake->mapped);
	fake_destroy();
	return 0;
}
