/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "export/export.h"
#include "api/guest.h"
#include "target/snapshot/output.h"

/* Where the output goes: to a function of the caller, or to a file. */
struct sink {
	bool (*write)(const char *data, size_t size, void *data2);
	void *data;
	struct output *output;
	uint64_t size; /* of the file so far */
};

static struct nunchi_error *to_caller(const void *bytes, size_t size, void *data)
{
	const struct sink *sink = data;

	if (sink->write(bytes, size, sink->data))
		return NULL;
	return error_create(NUNCHI_ERROR_CANCELLED, "writing was ended");
}

static struct nunchi_error *to_file(const void *bytes, size_t size, void *data)
{
	struct sink *sink = data;
	struct nunchi_error *err = output_write(sink->output, sink->size, bytes, size);

	sink->size += size;
	return err;
}

static void note_left(struct nunchi_guest *guest, const struct export_left *left)
{
	if (left->module_symbols)
		target_note(guest->target, "the modules have more symbols than nunchi reads; those "
					   "of some are not in the file");
	if (left->frames)
		target_note(guest->target, "the kernel's table for unwinding is larger than any "
					   "that is known; it is not in the file");
}

static struct nunchi_error *export_by(struct nunchi_guest *guest, enum nunchi_export what,
				      export_write *write, void *data)
{
	struct export_left left;
	struct guest_kernel *kernel;
	struct nunchi_error *err = guest_kernel(guest, &kernel);

	if (err)
		return err;
	if (kernel->system != &guest_linux)
		return error_create(NUNCHI_ERROR_UNSUPPORTED, "only kernels of Linux are exported");
	switch (what) {
	case NUNCHI_EXPORT_ISF:
		return export_isf(linux_kernel_of(kernel), write, data);
	case NUNCHI_EXPORT_BTF:
		return export_btf(linux_kernel_of(kernel), write, data);
	case NUNCHI_EXPORT_SYSTEM_MAP:
		return export_system_map(linux_kernel_of(kernel), write, data);
	case NUNCHI_EXPORT_ELF:
		err = export_elf(linux_kernel_of(kernel), write, data, &left);
		note_left(guest, &left);
		return err;
	}
	return error_create(NUNCHI_ERROR_ARGUMENT, "unknown kind of export %d", (int)what);
}

struct nunchi_error *nunchi_export(struct nunchi_guest *guest, enum nunchi_export what,
				   bool (*write)(const char *data, size_t size, void *data2),
				   void *data)
{
	API_REQUIRE(guest && write);

	struct sink sink = {.write = write, .data = data};

	return guest_error(guest, export_by(guest, what, to_caller, &sink));
}

static struct nunchi_error *export_packed(struct nunchi_guest *guest, enum nunchi_export what,
					  struct sink *sink)
{
	struct export_xz *xz = NULL;
	struct nunchi_error *err = export_xz_create(to_file, sink, &xz);

	if (!err)
		err = export_by(guest, what, export_xz_write, xz);
	if (!err)
		err = export_xz_finish(xz);
	export_xz_destroy(xz);
	return err;
}

struct nunchi_error *nunchi_export_file(struct nunchi_guest *guest, enum nunchi_export what,
					const char *path)
{
	API_REQUIRE(guest && path);

	struct output *confined = guest_confined_output(guest, path);
	struct output own = {.fd = -1, .directory = -1};
	struct sink sink = {.output = confined ? confined : &own};
	struct nunchi_error *err = confined ? NULL : output_create(path, &own);

	if (!err)
		err = export_xz_is(path) ? export_packed(guest, what, &sink)
					 : export_by(guest, what, to_file, &sink);
	if (!err)
		err = output_finish(sink.output, sink.size);
	output_deinit(sink.output);
	return guest_error(guest, err);
}
