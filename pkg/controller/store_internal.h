/*
 * What the files of the store share; nobody else includes it.
 */
#ifndef CONTROLLER_STORE_INTERNAL_H
#define CONTROLLER_STORE_INTERNAL_H

#include "controller/store.h"

/* "namespace/name", of *ret_len bytes; the caller frees it. */
char *store_key(struct str namespace_name, struct str name, size_t *ret_len) must_check;

/* The object of that name, which is made if there is none. */
struct object *store_object(struct controller_scope *scope, const struct object_meta *meta) must_check;
/* Puts `value` (owned) in force. */
void store_set_value(struct controller_scope *scope, struct object *object, struct value value, uint64_t received_us);

/* Takes the object out of the store. */
void store_remove(struct controller_scope *scope, struct object *object, uint64_t received_us);

/* ---- store_leave.c: a LookasideService that was deleted (kubectl replace --force) may come back ---- */

void store_leave_init(struct controller_scope *scope);
/* Nothing is in force of the scope any more. */
void store_leave_done(struct controller_scope *scope);
/* The object is deleted. True: it stays in force for as long as a deleted Service does; then it is removed. False: do that now. */
bool store_leave(struct controller_scope *scope, struct object *object) must_check;
/* It is there again, or out of the store. */
void store_return(struct object *object);

/* ---- store_resource.c: nothing of it concerns other kinds than OBJECT_POLICY ---- */

/* Its newest version, `json`, is refused, for what object->fault says, or accepted. */
void store_set_rejection(struct controller_scope *scope, struct object *object, const struct json *json, bool refused);
void store_drop_rejection(struct object *object);
/* `json` is not of the object whose policy is in force, but of one that was made anew. */
bool store_is_another(const struct policy *policy, const struct json *json);
/* Its status may have changed. */
void store_tell_resource(const struct store *store, const struct object *object);
/* So may that of those that share out calls to this Service (NULL: none), which came, changed or went. */
void store_tell_referrers(struct store *store, const struct group *group);

#endif
