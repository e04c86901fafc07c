/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Expressions over a guest's types and symbols, as C writes them: init_task.comm,
 * ((struct list_head *)0xffff888003a1c2d0)->next. docs/expressions.md is the reference.
 *
 * The expression comes from the user, types and memory from a hostile guest: nesting, the bytes
 * that are read and the text that is written have limits.
 */
#ifndef NUNCHI_EXPRESSION_EXPRESSION_H
#define NUNCHI_EXPRESSION_EXPRESSION_H

#include "core/buffer.h"
#include "core/error.h"
#include "symbols/type_index.h"

/* Bytes of the largest value that is read as a whole. */
#define EXPRESSION_READ_LIMIT ((size_t)1 << 20)
/* Bytes of the text of one value. */
#define EXPRESSION_TEXT_LIMIT ((size_t)1 << 20)

/* The kinds of containers that each() knows, as those of guest_system.container(). */
enum expression_container {
	EXPRESSION_LIST,
	EXPRESSION_HLIST,
	EXPRESSION_RBTREE,
	EXPRESSION_XARRAY,
	EXPRESSION_MAPLE
};

/* Elements of one container, and rows of one expression, at most. */
#define EXPRESSION_ELEMENT_LIMIT ((size_t)1 << 20)

/* What an expression is evaluated on. Each function is given `data`. */
struct expression_guest {
	const struct type_index *types;
	/* Copies kernel memory; the error says which address cannot be read, and why. */
	struct nunchi_error *(*read)(void *data, uint64_t address, size_t size, void *buffer);
	/* The address of a symbol; NUNCHI_ERROR_NOT_FOUND. */
	struct nunchi_error *(*symbol)(void *data, const char *name, uint64_t *ret);
	/* Appends the symbol of an address as <name+0x10>, or nothing. */
	void (*name)(void *data, uint64_t address, struct buffer *text);
	/* The address of the struct task_struct of a process; NUNCHI_ERROR_NOT_FOUND. */
	struct nunchi_error *(*task)(void *data, uint64_t pid, uint64_t *ret);
	/* The address that a per-CPU variable has for a CPU. */
	struct nunchi_error *(*per_cpu)(void *data, uint64_t variable, uint64_t cpu, uint64_t *ret);
	/*
	 * Gives the addresses of a container's elements; give() returns false to end it. If the
	 * container is broken, fails after it gave those that can be found.
	 */
	struct nunchi_error *(*container)(void *data, enum expression_container kind, uint64_t head,
					  bool (*give)(uint64_t element, void *give_data),
					  void *give_data);
	void *data;
};

/* A value, or an object in memory. */
struct expression_value {
	type_id type;
	unsigned stars;   /* the type is a pointer to a pointer … to `type`, so many times */
	bool in_memory;   /* at `address`; else the value is `number` */
	uint64_t address; /* of an object in memory, or of the load of a bit field */
	uint64_t number;  /* extended to 64 bits by its sign */
	uint32_t bit_size, bit_shift, load_size; /* of a bit field in memory; else 0 */
	bool is_element;                         /* there is an each() in the expression */
	bool is_text;   /* string(): of a pointer, the text is shown and not the address */
	bool is_signed; /* of a number whose type is 0 (a literal, or the result of an operator) */
};

/*
 * Evaluates the text, and calls row() with its value: once, or with each() once for each element.
 * There, where memory cannot be read, value is NULL and `why` the reason, which row() does not own;
 * also if row() itself has failed so. row() returns error_stop to end it, or why all fails. If a
 * container is broken, this fails after the rows of the elements that can be found. The message of
 * an error begins with the text and the character, from 1, at which the part that failed begins,
 * which nunchi_error_position() gives too. Fails with NUNCHI_ERROR_ARGUMENT (syntax), _NOT_FOUND
 * (no such symbol, type or member), _FAULT (memory that cannot be read, NULL), _DATA.
 */
struct nunchi_error *
expression_evaluate(const struct expression_guest *guest, const char *text,
		    struct nunchi_error *(*row)(const struct expression_value *value,
						const struct nunchi_error *why, void *data),
		    void *data);
/*
 * Writes the value as C would initialise it. Structs within `depth` others are written as {…}. Text
 * beyond EXPRESSION_TEXT_LIMIT fails with NUNCHI_ERROR_UNSUPPORTED.
 */
struct nunchi_error *expression_print(const struct expression_guest *guest,
				      const struct expression_value *value, unsigned depth,
				      struct buffer *text);
enum expression_kind {
	EXPRESSION_COMPOSITE,
	EXPRESSION_SIGNED,
	EXPRESSION_UNSIGNED,
	EXPRESSION_TEXT,   /* an array of char, or what a pointer to char leads to */
	EXPRESSION_NO_TEXT /* a pointer to char that is NULL or leads nowhere */
};

/* Gets the value for a program: a number, or its text in place of that. */
struct nunchi_error *expression_plain(const struct expression_guest *guest,
				      const struct expression_value *value,
				      enum expression_kind *ret, uint64_t *ret_number,
				      struct buffer *text);
/* Writes the value's type in C notation. */
void expression_spell(const struct expression_guest *guest, const struct expression_value *value,
		      char *buf, size_t size);

/* ---- Between the files of this folder ---- */

/* What the value's type is without typedefs; a pointer's target is the number of stars less one. */
void expression_type(const struct expression_guest *guest, const struct expression_value *value,
		     struct type *ret);
/* What the pointer or array leads to: *ret_stars stars of *ret. False for another value. */
bool expression_target(const struct expression_guest *guest, const struct expression_value *value,
		       type_id *ret, unsigned *ret_stars);
/* The size of the value in bytes; false if it has none. */
bool expression_size(const struct expression_guest *guest, const struct expression_value *value,
		     uint64_t *ret);
/* Loads an integer, enum or pointer; an array becomes its address, as in C. */
struct nunchi_error *expression_load(const struct expression_guest *guest,
				     const struct expression_value *value, uint64_t *ret);
/* Takes a bit field or a whole number of `size` bytes out of a load, extended by its sign. */
uint64_t expression_extract(const uint8_t *bytes, size_t size, uint32_t shift, uint32_t bits,
			    bool is_signed);

#endif
