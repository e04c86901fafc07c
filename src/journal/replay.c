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

/*
 * Whether an entry has to be undone. If not, *ret_settled is true if nothing is left to undo, and
 * false if it is unknown whether the entry was carried out.
 */
static bool is_due(const struct undo_entry *entry, const struct undo_actor *actor,
		   bool *ret_settled)
{
	enum undo_seen seen;

	*ret_settled = true;
	if (entry->state == UNDO_LOGGED)
		return false;
	seen = undo_look(actor);
	if (seen == UNDO_SEEN_CLEAR || seen == UNDO_SEEN_GONE)
		return false;
	if (!actor->counted || entry->state == UNDO_DONE)
		return true;
	*ret_settled = false;
	return false;
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
	for (size_t i = entries.count; i-- > 0;) {
		const struct undo_entry *entry = &entries.entries[i];
		bool settled, due;

		if (entry->type == UNDO_UNKNOWN_TYPE) {
			ret->unknown++;
			continue;
		}
		due = is_due(entry, actor, &settled);
		if (due) {
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
		if (due || settled)
			undo_log_append(log, entry->number, entry->type, UNDO_UNDONE);
		else
			ret->unsure++;
	}
}
