/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes saved guests as Xen's tools do, in pieces, for tests and for the seeds of fuzzers. Memory
 * is that of writer_fill(), by the address under which it is to be found.
 */
#ifndef NUNCHI_TESTS_XEN_WRITERS_H
#define NUNCHI_TESTS_XEN_WRITERS_H

#include "writers.h"

struct writer_xen_core {
	bool pv, is_32;
	uint64_t pages;
	/* The frame of page i: machine frames of a PV guest. NULL: the same number. */
	uint64_t (*frame)(uint64_t i);
	unsigned vcpus;
	/* Deviations from a valid file; 0: none. */
	uint64_t magic, format, page_size, claimed_pages;
};

struct blob write_xen_core(const struct writer_xen_core *core);
/* Where in the file a section begins and ends; the test program ends if it is not there. */
uint64_t xen_core_section(const struct blob *blob, const char *name, uint64_t *ret_end);

/* struct vcpu_guest_context: values are made from the vCPU's number (see the source). */
void write_xen_context(struct blob *blob, unsigned vcpu, bool is_32);

/* xl's header with that much of a configuration, then libxl's with the record that opens libxc's.
 */
void write_xl_header(struct blob *blob, uint32_t config_size);
/* libvirt's, with as much of XML. */
void write_libvirt_header(struct blob *blob, uint32_t version, uint32_t xml_size);
void write_libxl_header(struct blob *blob, uint32_t version);
void write_libxc_header(struct blob *blob, uint32_t version, bool pv);
/* A record of libxc's or libxl's stream, padded to 8 bytes. */
void write_xen_record(struct blob *blob, uint32_t type, const void *body, size_t size);
/*
 * A record of pages: numbers with their types in bits 63 to 60. stale: with bytes that a later
 * record is to replace.
 */
void write_xen_pages(struct blob *blob, const uint64_t *entries, uint32_t count, bool stale);
/* A record of count pages from first on, all of type 0. */
void write_xen_run(struct blob *blob, uint64_t first, uint32_t count, bool stale);
void write_xen_vcpu(struct blob *blob, unsigned vcpu, bool is_32);
/* The record of an HVM context with those vCPUs. */
void write_hvm_context(struct blob *blob, unsigned first, unsigned count);

#endif
