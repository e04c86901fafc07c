/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool parse_digits(const char *text, const char **ret_end, uint64_t *ret)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *digits = hex ? text + 2 : text;
	unsigned long long value;
	char *end;

	/* strtoull() would accept spaces, a sign and a second 0x before the digits. */
	if (hex ? !isxdigit((unsigned char)digits[0]) || tolower((unsigned char)digits[1]) == 'x'
		: !isdigit((unsigned char)digits[0]))
		return false;
	errno = 0;
	value = strtoull(digits, &end, hex ? 16 : 10);
	if (errno)
		return false;
	*ret_end = end;
	*ret = value;
	return true;
}

bool parse_number(const char *text, uint64_t *ret)
{
	const char *end;
	uint64_t value;

	if (!parse_digits(text, &end, &value) || *end)
		return false;
	*ret = value;
	return true;
}

bool parse_size(const char *text, uint64_t *ret)
{
	static const char units[] = "kmg";
	const char *unit, *end;
	uint64_t value;

	if (!parse_digits(text, &end, &value))
		return false;
	if (*end) {
		unit = strchr(units, tolower((unsigned char)*end));
		if (!unit || end[1] ||
		    __builtin_mul_overflow(value, (uint64_t)1 << (10 * (unit - units + 1)), &value))
			return false;
	}
	*ret = value;
	return true;
}

int cli_seconds(struct cli *cli, const char *option, const char *value, double least, double most,
		double *ret)
{
	char *end;

	*ret = strtod(value, &end);
	if (end != value && !*end && *ret >= least && *ret <= most)
		return CLI_DONE;
	return cli_misuse(cli, NULL, "%s takes seconds from %g to %g, not \"%s\"", option, least,
			  most, value);
}

bool parse_address(const char *text, uint64_t *ret)
{
	size_t length = strlen(text);

	/* 16 digits without 0x, as in kernel logs and System.map. No kernel symbol has such a name.
	 */
	if (length == 16 && isalpha((unsigned char)text[0]) &&
	    strspn(text, "0123456789abcdefABCDEF") == length) {
		*ret = strtoull(text, NULL, 16);
		return true;
	}
	return parse_number(text, ret);
}

static int resolve_symbol(struct cli *cli, const char *name, struct nunchi_place *place)
{
	struct nunchi_symbol symbol;
	int status;

	if (place->space == NUNCHI_SPACE_PHYSICAL)
		return cli_misuse(cli, NULL,
				  "--phys needs a number as address; the symbol \"%s\" has a "
				  "virtual address",
				  name);
	if (!isalpha((unsigned char)name[0]) && name[0] != '_' && name[0] != '.')
		return cli_misuse(cli, NULL,
				  "\"%s\" is neither an address (0x…, decimal) nor a symbol", name);
	status = cli_fail(cli, nunchi_symbol_find(cli->guest, name, &symbol));
	if (!status)
		place->address = symbol.address;
	return status;
}

int place_resolve(struct cli *cli, const char *text, struct nunchi_place *place)
{
	const char *plus = strrchr(text, '+');
	uint64_t offset = 0;
	int status = CLI_DONE;
	char *base;

	if (plus && !parse_number(plus + 1, &offset))
		return cli_misuse(cli, NULL, "\"%s\" is not an offset", plus + 1);
	base = strndup(text, plus ? (size_t)(plus - text) : strlen(text));
	if (!base)
		return cli_fail_with(cli, "out of memory");
	if (!parse_address(base, &place->address))
		status = resolve_symbol(cli, base, place);
	free(base);
	if (!status && __builtin_add_overflow(place->address, offset, &place->address))
		return cli_misuse(cli, NULL, "\"%s\" is after the last 64-bit address", text);
	return status;
}

int place_option(struct cli *cli, struct nunchi_place *place, int letter, const char *value)
{
	if (place->space != NUNCHI_SPACE_KERNEL)
		return cli_misuse(cli, NULL, "only one of --pid, --cr3 and --phys can be given");
	if (letter == OPTION_PHYS) {
		place->space = NUNCHI_SPACE_PHYSICAL;
	} else if (letter == OPTION_PID) {
		place->space = NUNCHI_SPACE_PROCESS;
		if (!parse_number(value, &place->id) || place->id > INT32_MAX)
			return cli_misuse(cli, NULL, "\"%s\" is not a process id", value);
	} else {
		place->space = NUNCHI_SPACE_TABLE;
		if (!parse_address(value, &place->id))
			return cli_misuse(cli, NULL, "\"%s\" is not an address for --cr3", value);
	}
	return CLI_DONE;
}
