/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "journal/replay.h"

enum undo_seen undo_look(const struct undo_actor *actor)
{
	enum undo_seen seen = UNDO_SEEN_UNKNOWN;
	struct nunchi_error *err = actor->look ? actor->look(actor->data, &seen) : NULL;

	if (err)
		seen = UNDO_SEEN_UNKNOWN;
	nunchi_error_destroy(err);
	return seen;
}

enum undo_proof undo_prove(const struct undo_actor *actor, const struct undo_entry *entry)
{
	struct undo_ran now;
	bool stopping = entry->state == UNDO_DOING;
	uint64_t more;

	if (!entry->has_ran || !actor->ran || !actor->ran(actor->data, &now) || now.ns < entry->ran)
		return UNDO_PROOF_NONE;
	more = now.ns - entry->ran;
	if (more <= (stopping ? now.doubt : now.noise))
		return UNDO_PROOF_OURS;
	/* Of a guest that was still running when its time was noted, more time tells nothing. */
	return stopping || more <= now.doubt ? UNDO_PROOF_NONE : UNDO_PROOF_SOMEBODY;
}

enum due { DUE, SETTLED, SOMEBODY, UNSURE };

/* Whether an entry has to be undone. */
static enum due is_due(const struct undo_entry *entry, const struct undo_actor *actor)
{
	enum undo_proof proof;
	enum undo_seen seen;

	if (entry->state == UNDO_LOGGED)
		return SETTLED;
	seen = undo_look(actor);
	if (seen == UNDO_SEEN_GONE)
		return SETTLED;
	if (seen == UNDO_SEEN_CLEAR && (!actor->hides || entry->state == UNDO_DOING))
		return SETTLED;
	/* Of a count, a call that may have been made or not cannot be told by the guest's time. */
	if (actor->counted && entry->state != UNDO_DONE)
		return UNSURE;
	proof = undo_prove(actor, entry);
	if (proof == UNDO_PROOF_SOMEBODY)
		return SOMEBODY;
	return proof == UNDO_PROOF_OURS || !actor->needs_proof ? DUE : UNSURE;
}

void replay(struct undo_log *log, const struct undo_actor *actor, struct replay *ret)
{
	struct undo_entries entries;
	int errnum = undo_log_read(log, &entries);

	*ret = (struct replay){0};
	if (errnum) {
		ret->error = error_create_errno(errnum, "undo log %s", undo_log_path(log));
		return;
	}
	ret->error = actor->restore ? actor->restore(actor->data, log) : NULL;
	if (ret->error)
		return;
	for (size_t i = entries.count; i-- > 0;) {
		const struct undo_entry *entry = &entries.entries[i];
		enum due due;

		if (entry->type == UNDO_UNKNOWN_TYPE) {
			ret->unknown++;
			continue;
		}
		due = is_due(entry, actor);
		if (due == DUE) {
			undo_log_append(log, entry->number, entry->type, UNDO_UNDOING);
			ret->error = actor->clear(actor->data);
			if (ret->error) {
				/*
				 * Undoing failed, so the entry is still done; the next nunchi may
				 * try again.
				 */
				undo_log_append(log, entry->number, entry->type, UNDO_DONE);
				return;
			}
			ret->undone++;
		}
		ret->somebody += due == SOMEBODY;
		if (due == UNSURE)
			ret->unsure++;
		else
			undo_log_append(log, entry->number, entry->type, UNDO_UNDONE);
	}
}
