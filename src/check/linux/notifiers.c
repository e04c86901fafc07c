/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Chains of notifiers: functions that the kernel calls when something happens (a key is pressed, a
 * module is loaded, a network device appears). Source: include/linux/notifier.h.
 */
#include "check/linux/hooks.h"
#include "guest/linux/network.h"

#include <inttypes.h>

/* Limit of the functions of one chain. */
#define MAX_NOTIFIERS 4096

enum chain_kind { ATOMIC, BLOCKING, RAW };

/*
 * The chains of the kernel's image that are looked at; older and newer kernels lack some. Few
 * modules have business in those that are unusual: what reads the keyboard, sees modules come, or
 * is called for exceptions.
 */
static const struct {
	const char *name;
	enum chain_kind kind;
	bool is_unusual;
} chains[] = {
    {"keyboard_notifier_list", ATOMIC, true},
    {"vt_notifier_list", ATOMIC, true},
    {"module_notify_list", BLOCKING, true},
    {"die_chain", ATOMIC, true},
    {"panic_notifier_list", ATOMIC, false},
    {"reboot_notifier_list", BLOCKING, false},
    {"restart_handler_list", ATOMIC, false},
    {"power_off_handler_list", ATOMIC, false},
    {"task_free_notifier", ATOMIC, true},
    {"task_exit_notifier", BLOCKING, true},
    {"munmap_notifier", BLOCKING, true},
    {"netdev_chain", RAW, false},
    {"netevent_notif_chain", ATOMIC, false},
    {"inetaddr_chain", BLOCKING, false},
    {"inetaddr_validator_chain", BLOCKING, false},
    {"inet6addr_chain", ATOMIC, false},
    {"inet6addr_validator_chain", BLOCKING, false},
    {"usb_notifier_list", BLOCKING, false},
    {"pm_chain_head", BLOCKING, false},
    {"oom_notify_list", BLOCKING, false},
    {"crypto_chain", BLOCKING, false},
    {"acpi_chain_head", BLOCKING, false},
    {"cpufreq_policy_notifier_list", BLOCKING, false},
    {"pvclock_gtod_chain", RAW, false},
    {"fb_notifier_list", BLOCKING, false},
    {"memory_chain", BLOCKING, false},
    {"xenstore_chain", BLOCKING, false},
};

/* Follows a chain from the pointer to its first struct notifier_block. */
static void look_at_chain(struct hooks *hooks, struct hook_place *place, uint64_t head)
{
	const struct layout *layout = &hooks->kernel->layout;
	_cleanup_object_ struct object block = {0};
	uint64_t at;
	enum read_result result = linux_read_word(hooks->kernel, head, &at);

	for (unsigned i = 0; result == READ_OK && at; i++) {
		result = i == MAX_NOTIFIERS
			     ? READ_LIMIT
			     : linux_read_object(hooks->kernel, LAYOUT_notifier_block, at, &block);
		if (result != READ_OK)
			break;
		place->address = at;
		hooks_look(hooks, place, object_u64(&block, &layout->notifier_block_call));
		at = object_u64(&block, &layout->notifier_block_next);
	}
	check_unread(hooks->report, result, "%s", place->name);
}

static const struct field *head_of(const struct layout *layout, enum chain_kind kind)
{
	return kind == ATOMIC     ? &layout->atomic_notifier_first
	       : kind == BLOCKING ? &layout->blocking_notifier_first
				  : &layout->raw_notifier_first;
}

/* The chain that each network namespace has of its own. */
static void look_at_nets(struct hooks *hooks)
{
	const struct field *chain = &hooks->kernel->layout.net_notifiers_devices;
	struct hook_place place = {.name = "netdev_chain of a network namespace"};
	struct linux_nets nets = {0};
	uint64_t net;

	if (!chain->present || linux_layout(hooks->kernel, LAYOUT_GROUP_net)->net_list.present == 0)
		return;
	linux_nets_init(&nets, hooks->kernel);
	while (linux_nets_next(&nets, &net) && !cancel_requested(hooks->kernel->guest.cancel))
		look_at_chain(hooks, &place, net + chain->offset);
	check_unread(hooks->report, nets.list.broken, "the network namespaces");
	linux_nets_deinit(&nets);
}

static struct nunchi_error *run(struct guest_kernel *guest, struct check_report *report)
{
	const struct layout *layout = linux_layout(linux_kernel_of(guest), LAYOUT_GROUP_hooks);
	_cleanup_hooks_ struct hooks hooks = {0};
	struct nunchi_error *err = hooks_init(&hooks, guest, report);
	unsigned found = 0;

	if (err)
		return err;
	if (!layout->notifier_block_call.present || !layout->atomic_notifier_first.present ||
	    !layout->blocking_notifier_first.present || !layout->raw_notifier_first.present)
		return linux_lacks_fields("notifiers cannot be read",
					  "notifier_block and the heads of its chains");
	for (size_t i = 0; i < ARRAY_SIZE(chains); i++) {
		uint64_t head = hooks_symbol(&hooks, chains[i].name);
		struct hook_place place = {.name = chains[i].name,
					   .of_module =
					       chains[i].is_unusual ? CHECK_NOTE : CHECK_OK};

		if (!head)
			continue;
		found++;
		look_at_chain(&hooks, &place, head + head_of(layout, chains[i].kind)->offset);
	}
	if (!found)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "this kernel's symbols lack the chains of notifiers");
	look_at_nets(&hooks);
	check_summary(report, "%" PRIu64 " functions in %u chains", hooks.count, found);
	return NULL;
}

const struct check check_notifiers = {
    "notifiers", "functions that are called when something happens", &guest_linux, run};
