/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tables of functions that the kernel may write: network protocols and who gets packets, line
 * disciplines of terminals, formats of programs. Sources: net/core/sock.c, net/core/dev.c,
 * net/ipv4/{protocol,af_inet}.c, drivers/tty/tty_ldisc.c, fs/exec.c.
 */
#include "check/linux/hooks.h"
#include "guest/linux/network.h"

#include <inttypes.h>
#include <stdio.h>

/* Limits: tables on one list; pointers of one array. */
#define MAX_TABLES   65536
#define MAX_POINTERS 256
/* MAX_INET_PROTOS; PTYPE_HASH_SIZE; SOCK_MAX, of which newer kernels have one more. */
#define INET_PROTOCOLS 256
#define PACKET_LISTS   16
#define SOCKET_TYPES   11
/* NR_LDISCS: 30 until 5.19, 31 since. */
#define DISCIPLINES 30

/*
 * Looks at the tables to which an array of pointers leads; `first` is what code of a module is in
 * the first of them.
 */
static void look_at_array(struct hooks *hooks, const char *name, const char *type, unsigned count,
			  enum check_severity first)
{
	uint64_t array = hooks_symbol(hooks, name), table;
	struct hook_members members;
	char text[64];
	struct hook_place place = {.name = text};

	if (!array)
		return;
	if (!hooks_members(hooks, type, &members)) {
		check_unread(hooks->report, READ_NO_LAYOUT, "%s", name);
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		enum read_result result = linux_read_word(
		    hooks->kernel, array + (uint64_t)i * hooks->kernel->word_size, &table);

		check_unread(hooks->report, result, "%s", name);
		if (result != READ_OK)
			return;
		snprintf(text, sizeof(text), "%s[%u]", name, i);
		place.address = table;
		place.of_module = i ? CHECK_OK : first;
		if (table)
			hooks_table(hooks, &place, &members);
	}
}

/* A list of tables; `link` is their struct list_head, `name` a text in them or NULL. */
struct tables {
	const char *type;
	const struct field *link;
	const struct field *text; /* a name of the table in it; NULL: none */
};

static void look_at_list(struct hooks *hooks, const char *name, uint64_t head,
			 const struct tables *tables)
{
	struct hook_members members;
	_cleanup_hash_map_ struct hash_map seen = {0};
	struct linux_list list;
	uint64_t node;

	if (!tables->link->present || !hooks_members(hooks, tables->type, &members)) {
		check_unread(hooks->report, READ_NO_LAYOUT, "%s", name);
		return;
	}
	linux_list_init(&list, hooks->kernel, head, MAX_TABLES, &seen);
	while (linux_list_next(&list, &node)) {
		char text[64], own[32] = "";
		struct hook_place place = {.name = text, .address = node - tables->link->offset};

		if (tables->text && tables->text->present) {
			size_t length = 0;

			if (linux_read_string(hooks->kernel, place.address + tables->text->offset,
					      own, sizeof(own) - 1, &length) != READ_OK)
				length = 0;
			own[length] = '\0';
		}
		snprintf(text, sizeof(text), "%s%s%s", name, *own ? ", " : "", own);
		hooks_table(hooks, &place, &members);
	}
	check_unread(hooks->report, list.broken, "%s", name);
}

static void look_at_symbol(struct hooks *hooks, const char *name, const struct tables *tables,
			   unsigned lists)
{
	uint64_t head = hooks_list(hooks, name);

	for (unsigned i = 0; head && i < lists; i++)
		look_at_list(hooks, name, head + (uint64_t)i * 2 * hooks->kernel->word_size,
			     tables);
}

/* Who gets the packets of all devices in a network namespace; since 6.16, before global. */
static void look_at_nets(struct hooks *hooks, const struct tables *packets)
{
	const struct layout *layout = &hooks->kernel->layout;
	const struct field *const lists[] = {&layout->net_packets_all,
					     &layout->net_packets_specific};
	struct linux_nets nets = {0};
	uint64_t net;

	if (!lists[0]->present && !lists[1]->present)
		return;
	linux_nets_init(&nets, hooks->kernel);
	while (linux_nets_next(&nets, &net) && !cancel_requested(hooks->kernel->guest.cancel))
		for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
			if (lists[i]->present)
				look_at_list(hooks, "packets of a network namespace",
					     net + lists[i]->offset, packets);
	check_unread(hooks->report, nets.list.broken, "the network namespaces");
	linux_nets_deinit(&nets);
}

/* The operations of each kind of socket: a struct inet_protosw leads to a struct proto_ops. */
static void look_at_sockets(struct hooks *hooks, const char *name)
{
	const struct layout *layout = &hooks->kernel->layout;
	uint64_t array = hooks_symbol(hooks, name), node, operations;
	struct hook_place place = {.name = name};
	struct hook_members members;

	if (!array)
		return;
	if (!layout->protosw_ops.present || !hooks_members(hooks, "struct proto_ops", &members)) {
		check_unread(hooks->report, READ_NO_LAYOUT, "%s", name);
		return;
	}
	for (unsigned i = 0; i < SOCKET_TYPES; i++) {
		_cleanup_hash_map_ struct hash_map seen = {0};
		struct linux_list list;

		linux_list_init(&list, hooks->kernel,
				array + (uint64_t)i * 2 * hooks->kernel->word_size, MAX_TABLES,
				&seen);
		while (linux_list_next(&list, &node)) {
			enum read_result result =
			    linux_read_field(hooks->kernel, node - layout->protosw_list.offset,
					     &layout->protosw_ops, &operations);

			check_unread(hooks->report, result, "%s", name);
			place.address = operations;
			if (result == READ_OK && operations)
				hooks_table(hooks, &place, &members);
		}
		check_unread(hooks->report, list.broken, "%s", name);
	}
}

static struct nunchi_error *run(struct guest_kernel *guest, struct check_report *report)
{
	const struct layout *layout = linux_layout(linux_kernel_of(guest), LAYOUT_GROUP_hooks);
	const struct tables protocols = {"struct proto", &layout->proto_node, &layout->proto_name};
	const struct tables packets = {"struct packet_type", &layout->packet_type_list, NULL};
	const struct tables formats = {"struct linux_binfmt", &layout->binfmt_list, NULL};
	_cleanup_hooks_ struct hooks hooks = {0};
	struct nunchi_error *err = hooks_init(&hooks, guest, report);

	if (err)
		return err;
	if (!hooks.kernel->types)
		return linux_lacks_fields("tables of functions cannot be read", "all of them");
	look_at_symbol(&hooks, "proto_list", &protocols, 1);
	look_at_array(&hooks, "inet_protos", "struct net_protocol", INET_PROTOCOLS, CHECK_OK);
	look_at_array(&hooks, "inet6_protos", "struct inet6_protocol", INET_PROTOCOLS, CHECK_OK);
	look_at_symbol(&hooks, "ptype_all", &packets, 1);
	look_at_symbol(&hooks, "ptype_base", &packets, PACKET_LISTS);
	look_at_nets(&hooks, &packets);
	look_at_sockets(&hooks, "inetsw");
	look_at_sockets(&hooks, "inetsw6");
	/* The first is N_TTY, the kernel's own, which terminals have unless a program changes it.
	 */
	look_at_array(&hooks, "tty_ldiscs", "struct tty_ldisc_ops", DISCIPLINES, CHECK_WARNING);
	look_at_symbol(&hooks, "formats", &formats, 1);
	/* Every kernel has program formats. */
	if (!hooks_symbol(&hooks, "formats"))
		check_unread(report, READ_NO_SYMBOL, "formats");
	check_summary(report,
		      "%" PRIu64 " functions of protocols, line disciplines and program formats",
		      hooks.count);
	return NULL;
}

const struct check check_operations = {
    "operations", "tables of functions in memory that may be written", &guest_linux, run};
