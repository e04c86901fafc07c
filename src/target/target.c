/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target/target.h"
#include "target/controller.h"
#include "target/stops.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Limit of the notes. They are for people; more of them would not help. */
#define NOTES_MAX 64

static const struct {
	const char *name;
	bool available;
	const char *reason;
} saved_support[TARGET_CAPABILITY_COUNT] = {
    [TARGET_READ] = {"read", true, "from the file"},
    [TARGET_WRITE] = {"write", false, "a saved guest is never changed"},
    [TARGET_PAUSE] = {"pause", false, "a saved guest does not run"},
    [TARGET_REGISTERS] = {"registers", false, "the file contains none"},
    [TARGET_EVENTS] = {"events", false, "a saved guest does not run"},
};

const char *target_capability_string(enum target_capability capability)
{
	return saved_support[capability].name;
}

const char *target_state_string(enum target_state state)
{
	switch (state) {
	case TARGET_RUNNING:
		return "running";
	case TARGET_PAUSED:
		return "paused";
	case TARGET_SAVED:
		return "saved";
	case TARGET_ENDED:
		return "ended";
	case TARGET_UNKNOWN:
		break;
	}
	return "unknown";
}

struct nunchi_error *target_init(struct target *target, const struct target_ops *ops,
				 const char *name)
{
	target->ops = ops;
	target->device = -1;
	for (unsigned i = 0; i < TARGET_CAPABILITY_COUNT; i++)
		target->support[i] =
		    (struct target_support){saved_support[i].available, saved_support[i].reason};
	target->name = strdup(name);
	return target->name ? NULL : &error_nomem;
}

void target_set_support(struct target *target, enum target_capability capability, bool available,
			const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	free(target->support_text[capability]);
	target->support_text[capability] = text;
	target->support[capability].available = available;
	target->support[capability].reason = text ? text : "(out of memory)";
}

void target_note_repair(struct target *target, char *text, bool complete)
{
	if (!text)
		return;
	target_note(target, "%s", text);
	target->repaired += complete;
	target->unrepaired += !complete;
	free(text);
}

void target_note(struct target *target, const char *format, ...)
{
	char **notes;
	char *text;
	va_list args;
	int size;

	if (target->note_count >= NOTES_MAX)
		return;
	notes = realloc(target->notes, (target->note_count + 1) * sizeof(*notes));
	if (!notes)
		return;
	target->notes = notes;
	va_start(args, format);
	size = vasprintf(&text, format, args);
	va_end(args);
	if (size >= 0)
		target->notes[target->note_count++] = text;
}

void target_close(struct target *target)
{
	if (!target)
		return;
	if (target->pause_depth) {
		target->pause_depth = 1;
		nunchi_error_destroy(target_resume(target));
	}
	memory_destroy(target->memory);
	target->memory = NULL;
	if (target->ops && target->ops->destroy)
		target->ops->destroy(target);
	controller_destroy(target->controller);
	for (size_t i = 0; i < target->note_count; i++)
		free(target->notes[i]);
	free(target->notes);
	for (size_t i = 0; i < TARGET_CAPABILITY_COUNT; i++)
		free(target->support_text[i]);
	free(target->vmcoreinfo);
	free(target->name);
	free(target);
}

static struct nunchi_error *unsupported(const struct target *target,
					enum target_capability capability)
{
	return error_create(NUNCHI_ERROR_UNSUPPORTED, "%s: cannot %s: %s", target->name,
			    capability == TARGET_PAUSE ? "pause it" : "read its registers",
			    target->support[capability].reason);
}

struct nunchi_error *target_pause(struct target *target)
{
	struct nunchi_error *err;

	if (!target->ops->control || !target->support[TARGET_PAUSE].available)
		return unsupported(target, TARGET_PAUSE);
	if (target->pause_depth) {
		target->pause_depth++;
		return NULL;
	}
	target->paused_since_us = clock_us();
	err = target->controller ? controller_pause(target->controller, target)
				 : target->ops->control->pause(target);
	if (err) {
		target->paused_since_us = 0;
		return target->controller ? err
					  : error_context(err, "%s: cannot pause it", target->name);
	}
	target->pause_depth = 1;
	if (target->memory)
		memory_renew(target->memory);
	return NULL;
}

struct nunchi_error *target_resume(struct target *target)
{
	struct nunchi_error *err;

	if (!target->pause_depth)
		return error_create(NUNCHI_ERROR_ARGUMENT, "%s: it is not paused by nunchi",
				    target->name);
	if (target->pause_depth > 1) {
		target->pause_depth--;
		return NULL;
	}
	err = target->controller ? controller_resume(target->controller, target)
				 : target->ops->control->resume(target);
	/*
	 * Even if resuming failed, this process no longer counts the guest as paused; the next
	 * target_pause() pauses it again.
	 */
	target->pause_depth = 0;
	if (target->paused_since_us)
		target->paused_us += clock_us() - target->paused_since_us;
	target->paused_since_us = 0;
	if (target->memory)
		memory_new_generation(target->memory);
	return target->controller ? err : error_context(err, "%s: cannot resume it", target->name);
}

struct nunchi_error *target_get_registers(struct target *target, unsigned vcpu,
					  struct x86_registers *ret)
{
	if (!target->ops->get_registers || !target->support[TARGET_REGISTERS].available)
		return unsupported(target, TARGET_REGISTERS);
	if (target->vcpu_count && vcpu >= target->vcpu_count)
		return error_create(NUNCHI_ERROR_ARGUMENT, "%s: it has no vCPU %u, only 0 to %u",
				    target->name, vcpu, target->vcpu_count - 1);
	if (target->controller)
		return controller_get_registers(target->controller, target, vcpu, ret);
	return error_context(target->ops->get_registers(target, vcpu, ret), "%s: vCPU %u",
			     target->name, vcpu);
}

void target_get_all_registers(struct target *target, unsigned count, struct x86_registers *ret,
			      bool *ret_known)
{
	struct nunchi_error *err;

	if (count > 1 && target->ops->get_all_registers &&
	    target->support[TARGET_REGISTERS].available) {
		err = target->controller
			  ? controller_get_all_registers(target->controller, target, count, ret,
							 ret_known)
			  : target->ops->get_all_registers(target, count, ret, ret_known);
		if (!err)
			return;
		nunchi_error_destroy(err);
	}
	for (unsigned i = 0; i < count; i++) {
		err = target_get_registers(target, i, &ret[i]);
		ret_known[i] = !err;
		nunchi_error_destroy(err);
	}
}

struct nunchi_error *target_get_state(struct target *target, enum target_state *ret)
{
	if (target->controller)
		return controller_get_state(target->controller, target, ret);
	if (target->ops->get_state)
		return target->ops->get_state(target, ret);
	*ret = target->live ? TARGET_UNKNOWN : TARGET_SAVED;
	return NULL;
}

const struct target_stops_ops *target_stops(const struct target *target)
{
	return target->ops->stops && target->controller ? &controller_stops : target->ops->stops;
}

uint64_t target_paused_us(const struct target *target)
{
	uint64_t now = target->paused_since_us ? clock_us() - target->paused_since_us : 0;

	return target->paused_us + now;
}

struct nunchi_error *target_measure(struct target *target, union target_size *ret)
{
	return target->controller ? controller_measure(target->controller, target, ret)
				  : target->ops->measure(target, ret);
}

void target_renew(struct target *target)
{
	union target_size size = {{0}};
	struct nunchi_error *err;

	if (target->ops->measure) {
		err = target_measure(target, &size);
		if (!err)
			target->ops->refresh(target, &size);
		/* If the hypervisor does not answer, keep the ranges; the next query asks again. */
		nunchi_error_destroy(err);
	}
	memory_renew(target->memory);
}
