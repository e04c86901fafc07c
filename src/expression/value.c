/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "expression/expression.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void expression_type(const struct expression_guest *guest, const struct expression_value *value,
		     struct type *ret)
{
	type_id id = type_index_strip(guest->types, value->type);

	if (value->stars)
		*ret = (struct type){.kind = TYPE_POINTER, .name = "", .target = value->type};
	else if (!value->type && !value->in_memory)
		*ret = (struct type){
		    .kind = TYPE_INT, .name = "", .size = 8, .is_signed = value->is_signed};
	else if (!type_index_get(guest->types, id, ret))
		*ret = (struct type){.kind = TYPE_VOID, .name = ""};
}

bool expression_target(const struct expression_guest *guest, const struct expression_value *value,
		       type_id *ret, unsigned *ret_stars)
{
	struct type type;

	expression_type(guest, value, &type);
	if (type.kind != TYPE_POINTER && type.kind != TYPE_ARRAY)
		return false;
	*ret = type.target;
	*ret_stars = value->stars ? value->stars - 1 : 0;
	return true;
}

bool expression_size(const struct expression_guest *guest, const struct expression_value *value,
		     uint64_t *ret)
{
	if (value->stars)
		*ret = type_index_word_size(guest->types);
	else if (!value->type && !value->in_memory)
		*ret = 8;
	else
		return type_index_size(guest->types, value->type, ret);
	return true;
}

uint64_t expression_extract(const uint8_t *bytes, size_t size, uint32_t shift, uint32_t bits,
			    bool is_signed)
{
	uint64_t number = 0;

	memcpy(&number, bytes, size < 8 ? size : 8);
	if (!bits)
		bits = (uint32_t)(size < 8 ? size * 8 : 64);
	number >>= shift;
	if (bits >= 64)
		return number;
	number &= ((uint64_t)1 << bits) - 1;
	if (is_signed && number >> (bits - 1))
		number |= ~(uint64_t)0 << bits;
	return number;
}

struct nunchi_error *expression_load(const struct expression_guest *guest,
				     const struct expression_value *value, uint64_t *ret)
{
	struct nunchi_error *err;
	uint8_t bytes[8];
	struct type type;
	uint64_t size = 0;

	expression_type(guest, value, &type);
	if (!value->in_memory || type.kind == TYPE_ARRAY) {
		*ret = value->in_memory ? value->address : value->number;
		return NULL;
	}
	if (!value->type && !value->stars)
		return error_hint(error_create(NUNCHI_ERROR_ARGUMENT, "its type is not known"),
				  "take its address, as in string(&NAME), or cast that: "
				  "*(unsigned long *)&NAME");
	if (type.kind != TYPE_INT && type.kind != TYPE_ENUM && type.kind != TYPE_POINTER)
		return error_create(NUNCHI_ERROR_ARGUMENT, "a number or pointer is needed");
	if (value->bit_size)
		size = value->load_size;
	else if (!expression_size(guest, value, &size))
		size = 0;
	if (!size || size > sizeof(bytes))
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "a number of %" PRIu64 " bytes is not supported", size);
	err = guest->read(guest->data, value->address, size, bytes);
	if (!err)
		*ret = expression_extract(bytes, size, value->bit_shift, value->bit_size,
					  type.is_signed);
	return err;
}

void expression_spell(const struct expression_guest *guest, const struct expression_value *value,
		      char *buf, size_t size)
{
	size_t used;

	if (!value->type && !value->stars && !value->in_memory)
		snprintf(buf, size, "%s", value->is_signed ? "long" : "unsigned long");
	else
		type_index_spell(guest->types, value->type, buf, size);
	used = strlen(buf);
	for (unsigned i = 0; i < value->stars && used + 3 < size; i++) {
		if (!i && used && buf[used - 1] != '*')
			buf[used++] = ' ';
		buf[used++] = '*';
		buf[used] = 0;
	}
}
