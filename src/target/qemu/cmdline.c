/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/qemu/cmdline.h"
#include "target/qemu/options.h"

#include <stdio.h>
#include <string.h>

#define MIB              ((uint64_t)1 << 20)
#define DEFAULT_MEMORY   (128 * MIB) /* default of all of QEMU's PC machine types */
#define CHARDEVS_MAX     32
#define QMP_CHARDEVS_MAX 16
#define PROTECTIONS_MAX  4
/* A command line is anybody's text: the longest name or path kept, and all of them together. */
#define TEXT_MAX     4096
#define TEXT_ALL_MAX ((size_t)16 << 10)
/* The most options parsed that nunchi knows. Guests of libvirt with 200 disks have 600. */
#define OPTIONS_MAX 4096

/* A -chardev of type socket, kept until it is known which chardevs speak QMP. */
struct chardev {
	char *id;
	struct cmdline_socket socket;
};

/* An -object that encrypts the guest's memory if -machine names it. */
struct protection {
	char *id;
	const char *what; /* static */
};

struct parser {
	struct cmdline cmdline;
	struct chardev chardevs[CHARDEVS_MAX];
	size_t chardev_count;
	char *qmp_chardevs[QMP_CHARDEVS_MAX];
	char *dimms[CMDLINE_BACKENDS_MAX]; /* memdev of each -device pc-dimm */
	size_t dimm_count;
	char *protection; /* confidential-guest-support of -machine, or NULL */
	struct protection objects[PROTECTIONS_MAX];
	size_t object_count;
	size_t qmp_chardev_count;
	size_t left;      /* how many bytes of text may be kept */
	unsigned options; /* how many were parsed */
	bool failed;      /* out of memory */
};

static char *copy(struct parser *parser, const char *text)
{
	size_t size = strlen(text) + 1;
	char *made;

	/* What is too long for a name or path is none. */
	if (size > TEXT_MAX || size > parser->left)
		size = 1;
	parser->left -= size < parser->left ? size : parser->left;
	made = strndup(text, size - 1);
	if (!made)
		parser->failed = true;
	return made;
}

static void replace(struct parser *parser, char **to, const char *text)
{
	if (!text)
		return;
	free(*to);
	*to = copy(parser, text);
}

/* ---- Single options -------------------------------------------------------------------------- */

static void parse_accel(struct parser *parser, const char *text)
{
	if (!text)
		return;
	/* "kvm:tcg" is a list of preferences; the command line does not say which one QEMU used. */
	if (!strcmp(text, "kvm"))
		parser->cmdline.accel = CMDLINE_ACCEL_KVM;
	else if (!strcmp(text, "tcg"))
		parser->cmdline.accel = CMDLINE_ACCEL_TCG;
	else
		parser->cmdline.accel = CMDLINE_ACCEL_UNKNOWN;
}

static void take_name(struct parser *parser, const json_t *options)
{
	replace(parser, &parser->cmdline.name, options_string(options, "guest"));
}

static void take_machine(struct parser *parser, const json_t *options)
{
	replace(parser, &parser->cmdline.machine, options_string(options, "type"));
	replace(parser, &parser->cmdline.main_backend, options_string(options, "memory-backend"));
	options_size(options, "max-ram-below-4g", 1, &parser->cmdline.max_below_4g);
	/* The second is the name until QEMU 5.2. */
	replace(parser, &parser->protection, options_string(options, "confidential-guest-support"));
	replace(parser, &parser->protection, options_string(options, "memory-encryption"));
	parse_accel(parser, options_string(options, "accel"));
}

static void take_memory(struct parser *parser, const json_t *options)
{
	/* A size in JSON does not occur here; a number without a unit is in MiB. */
	options_size(options, "size", MIB, &parser->cmdline.memory);
	if (parser->cmdline.memory > CMDLINE_MEMORY_MAX)
		parser->cmdline.memory = 0;
	if (options_string(options, "maxmem"))
		parser->cmdline.has_slots = true;
}

static void take_accel(struct parser *parser, const json_t *options)
{
	parse_accel(parser, options_string(options, "accel"));
}

static uint64_t at_least_1(const json_t *options, const char *key)
{
	uint64_t value;

	return options_size(options, key, 1, &value) && value && value < 4096 ? value : 1;
}

static void take_smp(struct parser *parser, const json_t *options)
{
	uint64_t value = at_least_1(options, "sockets") * at_least_1(options, "cores") *
			 at_least_1(options, "threads") * at_least_1(options, "dies");

	if (json_object_get(options, "cpus"))
		value = at_least_1(options, "cpus");
	parser->cmdline.vcpus = value < 65536 ? (unsigned)value : 1;
}

static void add_protection(struct parser *parser, const char *type, const char *id)
{
	static const struct {
		const char *type, *what;
	} kinds[] = {
	    {"sev-guest", "AMD SEV"},
	    {"sev-snp-guest", "AMD SEV-SNP"},
	    {"tdx-guest", "Intel TDX"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(type, kinds[i].type) || parser->object_count == PROTECTIONS_MAX)
			continue;
		parser->objects[parser->object_count++] =
		    (struct protection){.id = copy(parser, id), .what = kinds[i].what};
	}
}

static void take_object(struct parser *parser, const json_t *options)
{
	struct cmdline *cmdline = &parser->cmdline;
	const char *type = options_string(options, "qom-type");
	const char *id = options_string(options, "id");
	const char *path = options_string(options, "mem-path");
	struct cmdline_backend *backend;

	if (type && id)
		add_protection(parser, type, id);
	if (!type || !id || strncmp(type, "memory-backend-", 15) ||
	    cmdline->backend_count == CMDLINE_BACKENDS_MAX)
		return;
	backend = &cmdline->backends[cmdline->backend_count++];
	backend->id = copy(parser, id);
	backend->path = path ? copy(parser, path) : NULL;
	options_size(options, "size", 1, &backend->size);
	/*
	 * A memfd is shared unless the option says otherwise; other backends are private unless the
	 * option says otherwise.
	 */
	backend->share =
	    options_is_on(options, "share") ||
	    (!strcmp(type, "memory-backend-memfd") && !json_object_get(options, "share"));
}

static void take_uuid(struct parser *parser, const json_t *options)
{
	replace(parser, &parser->cmdline.uuid, options_string(options, "uuid"));
}

static void take_numa(struct parser *parser, const json_t *options)
{
	struct cmdline *cmdline = &parser->cmdline;
	const char *type = options_string(options, "type");
	const char *memdev = options_string(options, "memdev");
	uint64_t node = cmdline->node_count;

	if (!type || strcmp(type, "node"))
		return;
	options_size(options, "nodeid", 1, &node);
	if (node >= CMDLINE_BACKENDS_MAX)
		return;
	if (node >= cmdline->node_count)
		cmdline->node_count = node + 1;
	replace(parser, &cmdline->node_backends[node], memdev);
}

static void take_device(struct parser *parser, const json_t *options)
{
	static const char *const drivers[] = {"pc-dimm", "nvdimm", "virtio-mem-pci",
					      "virtio-pmem-pci"};
	const char *driver = options_string(options, "driver");
	const char *memory = options_string(options, "memdev");

	/* The others are given to the guest in parts, or are not memory of its kernel. */
	if (driver && memory && !strcmp(driver, "pc-dimm") &&
	    parser->dimm_count < CMDLINE_BACKENDS_MAX)
		parser->dimms[parser->dimm_count++] = copy(parser, memory);
	for (size_t i = 0; driver && i < ARRAY_SIZE(drivers); i++) {
		if (!strcmp(driver, drivers[i]))
			parser->cmdline.has_slots = true;
	}
}

static void add_socket(struct parser *parser, const struct cmdline_socket *socket)
{
	struct cmdline *cmdline = &parser->cmdline;
	struct cmdline_socket *to;

	if (cmdline->socket_count == CMDLINE_SOCKETS_MAX)
		return;
	to = &cmdline->sockets[cmdline->socket_count++];
	to->path = socket->path ? copy(parser, socket->path) : NULL;
	to->fd = socket->fd;
}

static void add_qmp_chardev(struct parser *parser, const char *id)
{
	/* src/qemu/qemu_command.c of libvirt, qemuBuildMonitorCommandLine(). */
	if (id && !strcmp(id, "charmonitor"))
		parser->cmdline.has_libvirt_monitor = true;
	if (id && parser->qmp_chardev_count < QMP_CHARDEVS_MAX)
		parser->qmp_chardevs[parser->qmp_chardev_count++] = copy(parser, id);
}

/*
 * Handles a chardev in the short form of -qmp and -serial: "unix:PATH,server=on", "tcp:…", "stdio".
 */
static void take_qmp(struct parser *parser, const json_t *options)
{
	const char *where = options_string(options, "where");
	struct cmdline_socket socket = {.fd = -1};

	if (!where)
		return;
	if (!strncmp(where, "chardev:", 8)) {
		add_qmp_chardev(parser, where + 8);
	} else if (!strncmp(where, "unix:", 5) && options_is_on(options, "server")) {
		socket.path = (char *)where + 5;
		add_socket(parser, &socket);
	} else if (strcmp(where, "none")) {
		parser->cmdline.has_other_qmp = true;
	}
}

static void take_gdb(struct parser *parser, const json_t *options)
{
	const char *where = options_string(options, "where");

	if (where && !strncmp(where, "chardev:", 8))
		replace(parser, &parser->cmdline.gdb_chardev, where + 8);
}

static void take_mon(struct parser *parser, const json_t *options)
{
	const char *mode = options_string(options, "mode");

	if (mode && !strcmp(mode, "control"))
		add_qmp_chardev(parser, options_string(options, "chardev"));
}

static void take_chardev(struct parser *parser, const json_t *options)
{
	const char *type = options_string(options, "type");
	const char *id = options_string(options, "id");
	const char *path = options_string(options, "path");
	struct chardev *chardev;
	uint64_t fd;

	if (!type || !id || strcmp(type, "socket") || !options_is_on(options, "server") ||
	    parser->chardev_count == CHARDEVS_MAX)
		return;
	if (!path && (!options_size(options, "fd", 1, &fd) || fd > 1 << 20))
		return;
	chardev = &parser->chardevs[parser->chardev_count++];
	chardev->id = copy(parser, id);
	chardev->socket.path = path ? copy(parser, path) : NULL;
	chardev->socket.fd = path ? -1 : (int)fd;
}

/* ---- The command line ------------------------------------------------------------------------ */

static const struct {
	const char *name;
	const char *implied; /* key of the first value, if it has none */
	void (*take)(struct parser *parser, const json_t *options);
} known[] = {
    {"M", "type", take_machine},         {"accel", "accel", take_accel},
    {"chardev", "type", take_chardev},   {"device", "driver", take_device},
    {"gdb", "where", take_gdb},          {"m", "size", take_memory},
    {"machine", "type", take_machine},   {"mon", "chardev", take_mon},
    {"name", "guest", take_name},        {"numa", "type", take_numa},
    {"object", "qom-type", take_object}, {"qmp", "where", take_qmp},
    {"qmp-pretty", "where", take_qmp},   {"smp", "cpus", take_smp},
    {"uuid", "uuid", take_uuid},
};

static void parse_option(struct parser *parser, const char *name, const char *value)
{
	json_t *options;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcmp(name, known[i].name))
			continue;
		options = options_parse(value, known[i].implied);
		if (options)
			known[i].take(parser, options);
		json_decref(options);
	}
}

static bool has_value(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (!strcmp(name, known[i].name))
			return true;
	}
	return false;
}

/*
 * The name of an option: "-name" and "--name" are the same; NULL if the argument is not an option.
 */
static const char *option_name(const char *argument)
{
	if (argument[0] != '-' || !argument[1])
		return NULL;
	return argument + (argument[1] == '-' ? 2 : 1);
}

static void resolve_chardevs(struct parser *parser)
{
	for (size_t i = 0; i < parser->qmp_chardev_count && !parser->failed; i++) {
		bool found = false;

		for (size_t j = 0; j < parser->chardev_count && !found; j++) {
			found = !strcmp(parser->qmp_chardevs[i], parser->chardevs[j].id);
			if (found)
				add_socket(parser, &parser->chardevs[j].socket);
		}
		parser->cmdline.has_other_qmp |= !found;
	}
}

static void resolve_objects(struct parser *parser)
{
	struct cmdline *cmdline = &parser->cmdline;

	for (size_t i = 0; i < parser->dimm_count && !parser->failed; i++) {
		const struct cmdline_backend *backend = cmdline_backend(cmdline, parser->dimms[i]);

		if (backend && backend->size <= CMDLINE_MEMORY_MAX)
			cmdline->plugged += backend->size;
	}
	for (size_t i = 0; i < parser->object_count && parser->protection && !parser->failed; i++) {
		if (!strcmp(parser->objects[i].id, parser->protection))
			cmdline->encryption = parser->objects[i].what;
	}
}

static void parse_all(struct parser *parser, const char *arguments, size_t size)
{
	const char *at = arguments, *end = arguments + size;

	while (at < end && !parser->failed) {
		size_t length = strnlen(at, (size_t)(end - at));
		const char *name, *value = at + length + 1;

		/* The last argument has no NUL, so it is truncated; leave it out. */
		if (at + length == end)
			break;
		name = option_name(at);
		at = value;
		if (!name)
			continue;
		if (!strcmp(name, "enable-kvm"))
			parser->cmdline.accel = CMDLINE_ACCEL_KVM;
		else if (!strncmp(name, "xen-", 4))
			parser->cmdline.is_xen = true;
		else if (has_value(name) && value < end && parser->options++ < OPTIONS_MAX &&
			 memchr(value, 0, (size_t)(end - value))) {
			parse_option(parser, name, value);
			at = value + strlen(value) + 1;
		}
	}
	resolve_chardevs(parser);
	resolve_objects(parser);
}

static void forget(struct parser *parser)
{
	for (size_t i = 0; i < parser->chardev_count; i++) {
		free(parser->chardevs[i].id);
		free(parser->chardevs[i].socket.path);
	}
	for (size_t i = 0; i < parser->qmp_chardev_count; i++)
		free(parser->qmp_chardevs[i]);
	for (size_t i = 0; i < parser->dimm_count; i++)
		free(parser->dimms[i]);
	for (size_t i = 0; i < parser->object_count; i++)
		free(parser->objects[i].id);
	free(parser->protection);
}

struct nunchi_error *cmdline_parse(const char *arguments, size_t size, struct cmdline *ret)
{
	struct parser parser = {.cmdline = {.memory = DEFAULT_MEMORY, .vcpus = 1},
				.left = TEXT_ALL_MAX};

	parse_all(&parser, arguments, size);
	forget(&parser);
	if (!parser.failed && !parser.cmdline.name)
		parser.cmdline.name = copy(&parser, "");
	if (!parser.failed && !parser.cmdline.uuid)
		parser.cmdline.uuid = copy(&parser, "");
	if (!parser.failed && !parser.cmdline.machine)
		parser.cmdline.machine = copy(&parser, "");
	if (parser.failed) {
		cmdline_deinit(&parser.cmdline);
		return &error_nomem;
	}
	*ret = parser.cmdline;
	return NULL;
}

void cmdline_deinit(struct cmdline *cmdline)
{
	for (size_t i = 0; i < cmdline->backend_count; i++) {
		free(cmdline->backends[i].id);
		free(cmdline->backends[i].path);
	}
	for (size_t i = 0; i < cmdline->node_count; i++)
		free(cmdline->node_backends[i]);
	for (size_t i = 0; i < cmdline->socket_count; i++)
		free(cmdline->sockets[i].path);
	free(cmdline->gdb_chardev);
	free(cmdline->main_backend);
	free(cmdline->machine);
	free(cmdline->name);
	free(cmdline->uuid);
	*cmdline = (struct cmdline){0};
}

const struct cmdline_backend *cmdline_backend(const struct cmdline *cmdline, const char *id)
{
	for (size_t i = 0; i < cmdline->backend_count; i++) {
		if (!strcmp(cmdline->backends[i].id, id))
			return &cmdline->backends[i];
	}
	return NULL;
}
