/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which probes a trace has, and where in the kernel their hooks belong. */
#include "probe/trace_internal.h"

#include <stdio.h>
#include <string.h>

/* A name of a kernel's function, with a NUL. */
#define NAME_SIZE 128

/*
 * Whether a symbol is the function itself. Variants but those of LTO lack arguments, or are a part
 * of it. A name may begin with that of a module.
 */
static bool is_function(const struct symbol *symbol, const char *name)
{
	const char *colon = strrchr(name, ':');
	size_t length;

	name = colon ? colon + 1 : name;
	length = strlen(name);
	return strchr("tTwW", symbol->type) && !strncmp(symbol->name, name, length) &&
	       (!symbol->name[length] || !strncmp(symbol->name + length, ".llvm.", 6));
}

/* Finds the first of the functions that the kernel has. */
struct nunchi_error *trace_find_function(struct guest_kernel *kernel, const char *names,
					 uint64_t *ret, unsigned *ret_alternative)
{
	struct nunchi_error *err = NULL;
	char name[NAME_SIZE];

	*ret_alternative = 0;
	for (const char *at = names; *at; at += strspn(at, " "), ++*ret_alternative) {
		size_t length = strcspn(at, " ");
		struct guest_symbol found;

		snprintf(name, sizeof(name), "%.*s", (int)length, at);
		at += length;
		nunchi_error_destroy(err);
		err = kernel->system->symbol_find(kernel, name, &found);
		if (!err && is_function(&found.symbol, name)) {
			*ret = found.symbol.address;
			return NULL;
		}
		if (!err)
			err = error_create(NUNCHI_ERROR_NOT_FOUND,
					   "there is no function %s, only the symbol %s of type %c",
					   name, found.symbol.name, found.symbol.type);
	}
	return err;
}

static bool has_function(struct guest_kernel *kernel, const char *name)
{
	unsigned alternative;
	uint64_t address;
	struct nunchi_error *err = trace_find_function(kernel, name, &address, &alternative);

	nunchi_error_destroy(err);
	return !err;
}

/* Looks up where a hook will be set; the guest still runs. */
static struct nunchi_error *take_hook(struct probe_trace *trace, struct set_probe *probe,
				      const struct probe_hook *hook)
{
	struct set_hook *set = &trace->hooks[trace->hook_count];
	struct nunchi_error *err;

	*set = (struct set_hook){.trace = trace, .probe = probe, .hook = hook};
	if (!hook->functions) {
		trace->hook_count++;
		return NULL;
	}
	err = trace_find_function(trace->kernel, hook->functions, &set->address, &set->alternative);
	if (!err)
		err = error_context(trace_check_place(trace, set->address), "%s", hook->functions);
	if (!err)
		trace->hook_count++;
	return err;
}

static const struct probe_provider *find_provider(const struct probe *probe,
						  const struct guest_system *system)
{
	for (size_t i = 0; i < VIEW_MAX_SYSTEMS && probe->providers[i].system; i++) {
		if (probe->providers[i].system == system)
			return &probe->providers[i];
	}
	return NULL;
}

static struct nunchi_error *take_hooks(struct probe_trace *trace, struct set_probe *set)
{
	const struct probe_provider *provider = find_provider(set->probe, trace->kernel->system);
	struct nunchi_error *err = NULL, *missing = NULL;
	size_t first = trace->hook_count;

	if (!provider)
		return error_create(NUNCHI_ERROR_UNSUPPORTED,
				    "it does not exist for guests that run %s",
				    trace->kernel->system->name);
	for (size_t i = 0; i < PROBE_MAX_HOOKS && provider->hooks[i].enter && !err; i++) {
		const struct probe_hook *hook = &provider->hooks[i];

		if (hook->unless && has_function(trace->kernel, hook->unless))
			continue;
		err = take_hook(trace, set, hook);
		if (hook->optional && error_is(err, NUNCHI_ERROR_NOT_FOUND)) {
			nunchi_error_destroy(missing);
			missing = err;
			err = NULL;
		}
	}
	/* One of those that a kernel may lack it must have. */
	if (!err && trace->hook_count == first && missing)
		return missing;
	nunchi_error_destroy(missing);
	if (err)
		trace->hook_count = first;
	return err;
}

static struct nunchi_error *find_probe(struct probe_trace *trace, struct set_probe *set,
				       const char *name)
{
	struct nunchi_error *err;

	set->probe = probe_find(name);
	if (set->probe)
		return NULL;
	err = trace->system->create_named(trace->kernel, name, &set->named);
	if (err)
		return err;
	set->probe = set->named;
	return set->probe
		   ? NULL
		   : error_hint(error_create(NUNCHI_ERROR_NOT_FOUND, "there is no such probe"),
				"nunchi probes lists them");
}

/* Leaves a probe out of a lenient trace. */
void trace_warn_of_missing(struct probe_trace *trace, const char *name,
			   const struct nunchi_error *err)
{
	char *text;

	if (asprintf(&text, "probe %s is left out: %s", name, nunchi_error_message(err)) >= 0)
		trace_add_warning(trace, text);
}

static bool is_missing(const struct nunchi_error *err)
{
	return error_is(err, NUNCHI_ERROR_NOT_FOUND) || error_is(err, NUNCHI_ERROR_UNSUPPORTED);
}

/* Leaves out the columns that are read only if they are named, in --columns or a condition. */
static void omit_columns(struct set_probe *set, const struct nunchi_query *query)
{
	struct selection *selection = &set->selection;

	if (query && query->columns)
		return;
	for (unsigned i = 0; i < set->probe->on_request; i++) {
		unsigned column = selection->column_index[--selection->column_count];

		selection->request.columns &= ~((uint64_t)1 << column);
	}
	for (size_t i = 0; i < selection->request.constraint_count; i++)
		selection->request.columns |= (uint64_t)1 << selection->constraints[i].column;
}

/* Looks all probes up before the first is set. */
struct nunchi_error *trace_take_probes(struct probe_trace *trace, const char *const *names,
				       size_t count, const struct probe_trace_options *options)
{
	trace->probes = calloc(count, sizeof(*trace->probes));
	trace->hooks = calloc(count * PROBE_MAX_HOOKS + 1, sizeof(*trace->hooks));
	if (!trace->probes || !trace->hooks)
		return &error_nomem;
	for (size_t i = 0; i < count; i++) {
		struct set_probe *set = &trace->probes[trace->probe_count++];
		struct nunchi_error *err;

		*set = (struct set_probe){.trace = trace, .index = i};
		err = find_probe(trace, set, names[i]);
		if (!err)
			err = selection_init(&set->selection, "probe", &set->probe->schema,
					     options->query);
		if (!err) {
			omit_columns(set, options->query);
			err = take_hooks(trace, set);
			if (options->lenient && is_missing(err)) {
				trace_warn_of_missing(trace, names[i], err);
				nunchi_error_destroy(err);
				err = NULL;
			}
		}
		if (err)
			return error_context(err, "probe %s", names[i]);
	}
	return trace->pid ? take_hook(trace, NULL, &trace->system->born) : NULL;
}
