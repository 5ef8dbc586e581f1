#include "controller/decode_policy.h"
#include "controller/store_internal.h"

#include "base/log.h"
#include "controller/doubt.h"
#include "controller/publish.h"
#include "controller/refusal.h"

char *store_key(struct str namespace_name, struct str name, size_t *ret_len)
{
    size_t len = namespace_name.len + 1 + name.len;
    char *key = xmalloc(len + 1);

    memcpy(key, namespace_name.ptr, namespace_name.len);
    key[namespace_name.len] = '/';
    memcpy(key + namespace_name.len + 1, name.ptr, name.len);
    key[len] = '\0';
    *ret_len = len;
    return key;
}

/* ---- groups ---- */

struct group *store_group(const struct store *store, struct str namespace_name, struct str name)
{
    size_t len;
    CLEANUP(freep) char *key = store_key(namespace_name, name, &len);
    struct group *group;

    HASH_FIND(hh, store->groups, key, len, group);
    return group;
}

static struct group *group_get(struct store *store, struct str namespace_name, struct str name)
{
    struct group *group = store_group(store, namespace_name, name);
    size_t len;

    if (group)
        return group;
    group = xcalloc(1, sizeof(*group));
    group->key = store_key(namespace_name, name, &len);
    group->namespace_name = str_make(group->key, namespace_name.len);
    group->name = str_make(group->key + namespace_name.len + 1, name.len);
    list_init(&group->services);
    list_init(&group->slices);
    list_init(&group->policies);
    list_init(&group->pending);
    HASH_ADD_KEYPTR(hh, store->groups, group->key, len, group);
    return group;
}

const struct object *store_service(const struct group *group)
{
    if (list_empty(&group->services))
        return NULL;
    return container_of(group->services.next, struct object, link);
}

bool store_group_is_empty(const struct group *group)
{
    return list_empty(&group->services) && list_empty(&group->slices) &&
           list_empty(&group->policies);
}

void store_drop_group(struct store *store, struct group *group)
{
    if (!store_group_is_empty(group))
        return;
    list_remove(&group->pending);
    HASH_DELETE(hh, store->groups, group);
    hold_state_done(&group->held);
    refusals_free(group->refusals);
    free(group->key);
    free(group);
}

static struct group *group_for(struct store *store, struct value value)
{
    if (value.service)
        return group_get(store, value.service->spec.namespace_name, value.service->spec.name);
    if (value.slices_len > 0 && value.slices[0]->service.len > 0)
        return group_get(store, value.slices[0]->namespace_name, value.slices[0]->service);
    if (value.policy)
        return group_get(store, value.policy->namespace_name, value.policy->name);
    return NULL;
}

static void count_object(struct controller_scope *scope, struct value value, bool here)
{
    struct controller_stats *stats = scope->store->stats;
    struct counter *gauges[OBJECT_KINDS] = {
        [OBJECT_SERVICE] = &stats->objects_services,    [OBJECT_SLICE] = &stats->objects_slices,
        [OBJECT_ENDPOINTS] = &stats->objects_endpoints, [OBJECT_NODE] = &stats->objects_nodes,
        [OBJECT_POLICY] = &stats->objects_policies,
    };
    struct counter *gauge = gauges[scope->kind];

    if (!value_is_empty(value))
        counter_set(gauge, here ? counter_get(gauge) + 1 : counter_get(gauge) - 1);
}

/* ---- objects ---- */

struct object *store_object(struct controller_scope *scope, const struct object_meta *meta)
{
    size_t len;
    CLEANUP(freep) char *key = store_key(meta->namespace_name, meta->name, &len);
    struct object *object;

    HASH_FIND(hh, scope->objects, key, len, object);
    if (object)
        return object;
    object = xcalloc(1, sizeof(*object));
    object->key = TAKE(key);
    object->scope = scope;
    list_init(&object->link);
    HASH_ADD_KEYPTR(hh, scope->objects, object->key, len, object);
    return object;
}

/* Takes the object out of its group without telling anybody. */
static struct group *object_leave(struct object *object)
{
    struct group *group = TAKE(object->group);

    if (!group)
        return NULL;
    group->slices_len -= object->value.slices_len;
    list_remove(&object->link);
    return group;
}

static void object_join(struct object *object, struct group *group)
{
    object->group = group;
    if (!group)
        return;
    group->slices_len += object->value.slices_len;
    list_append(object->value.service  ? &group->services
                : object->value.policy ? &group->policies
                                       : &group->slices,
                &object->link);
}

/* A Service that is new has not changed; one that comes back in place of a deleted one has. So has one that `loses` the LookasideService
 * that it is published for, unless that had its own grace. */
static void note_change(struct controller_scope *scope, const struct object *object,
                        struct group *left, struct group *joined, bool loses)
{
    enum publish_mode mode = publisher_options(scope->store->publisher)->mode;
    uint64_t now = loop_now_us(scope->loop);

    if (loses && left && mode != PUBLISH_ALL && object->leaving_us == 0)
        left->changed_us = now;
    if (scope->kind != OBJECT_SERVICE)
        return;
    if (left)
        left->changed_us = now;
    if (joined && joined->changed_us != 0)
        joined->changed_us = now;
}

/* ---- doubted objects ---- */

/* The doubted objects of the group have become one more or one less. */
static void count_doubt(struct controller_stats *stats, struct group *group, uint64_t since_us)
{
    struct counter *gauge = &stats->held[HOLD_RELIST];

    if (since_us != 0 && group->doubted++ == 0) {
        group->doubted_us = since_us;
        counter_add(gauge, 1);
        counter_add(&stats->holds_begun[HOLD_RELIST], 1);
    }
    if (since_us == 0 && --group->doubted == 0) {
        group->doubted_us = 0;
        counter_set(gauge, counter_get(gauge) - 1);
    }
}

/* `since_us` 0: what is known of it is believed. */
static void set_doubt(struct controller_scope *scope, struct object *object, uint64_t since_us)
{
    bool was = object->doubted_us != 0;

    object->doubted_us = since_us;
    value_done(&object->doubted);
    if (was == (since_us != 0))
        return;
    scope->doubted = was ? scope->doubted - 1 : scope->doubted + 1;
    if (object->group)
        count_doubt(scope->store->stats, object->group, since_us);
}

static void keep_refusals(struct group *group)
{
    const struct object *object = group ? store_policy(group) : NULL;

    if (group)
        refusals_keep(&group->refusals, object ? object->value.policy : NULL);
}

void store_set_value(struct controller_scope *scope, struct object *object, struct value value,
                     uint64_t received_us)
{
    struct publisher *publisher = scope->store->publisher;
    struct group *left = object_leave(object);
    struct group *joined = group_for(scope->store, value);
    bool loses = value_is_accepted(object->value) && !value_is_accepted(value);

    if (scope->kind == OBJECT_POLICY)
        publisher_touch_hosts(publisher, &object->value, &value);
    count_object(scope, object->value, false);
    place_index_change(&scope->store->places, object, value);
    refer_index_change(&scope->store->referrers, object, object->value.policy, value.policy);
    value_done(&object->value);
    object->value = value;
    count_object(scope, value, true);
    object_join(object, joined);
    note_change(scope, object, left, joined, loses);
    if (scope->kind == OBJECT_POLICY)
        keep_refusals(joined ? joined : left);
    if (scope->kind == OBJECT_NODE)
        publisher_touch_nodes(publisher);
    if (left)
        publisher_touch(publisher, left, received_us);
    if (joined && joined != left)
        publisher_touch(publisher, joined, received_us);
    if (scope->kind == OBJECT_POLICY)
        store_tell_resource(scope->store, object);
    if (scope->kind == OBJECT_SERVICE)
        store_tell_referrers(scope->store, joined ? joined : left);
}

static void object_free(struct controller_scope *scope, struct object *object)
{
    HASH_DELETE(hh, scope->objects, object);
    value_done(&object->value);
    value_done(&object->next);
    value_done(&object->doubted);
    store_drop_rejection(object);
    free(object->fault);
    free(object->key);
    free(object);
}

void store_remove(struct controller_scope *scope, struct object *object, uint64_t received_us)
{
    set_doubt(scope, object, 0);
    store_set_value(scope, object, (struct value){0}, received_us);
    object_free(scope, object);
}

static void object_delete(struct controller_scope *scope, struct object *object, uint64_t now)
{
    set_doubt(scope, object, 0);
    if (!store_leave(scope, object))
        store_remove(scope, object, now);
}

/* ---- what a source says ---- */

static const char BAD_SKIPPED[] = "bad object: skipped";
static const char BAD_CLOSED[] = "bad object: of it only who may see the Service is in force";
static const char BAD_KEPT[] = "bad object: its last good version stays";
static const char BAD_FIELD[] = "bad field of an object: ignored";

static void log_bad(const struct controller_scope *scope, const struct err *err,
                    const char *consequence)
{
    log_warn(LOG_CONTROLLER, consequence, KV_STR("kind", value_kind_name(scope->kind)),
             KV_STR("source", scope->label), KV_ERR(err),
             scope->file ? KV_STR("file", scope->file) : KV_END, KV_U64("line", scope->line));
}

/* A relist names the same bad version again: counted once, and said again only when the cause differs. */
static void note_bad(struct controller_scope *scope, struct object *object,
                     const struct object_meta *meta, const struct err *err, const char *consequence)
{
    bool same = object->fault && strcmp(object->fault, err->msg) == 0 &&
                object->consequence == consequence;

    if (!same || object->fault_version != meta->resource_version)
        counter_add(&scope->store->stats->bad_objects, 1);
    object->fault_version = meta->resource_version;
    if (same)
        return;
    log_bad(scope, err, consequence);
    free(object->fault);
    object->fault = xstrdup(err->msg);
    object->consequence = consequence;
}

static bool read_meta(struct controller_scope *scope, const struct json *json,
                      struct object_meta *ret_meta)
{
    struct err err = {0};

    if (decode_meta(json, ret_meta, &err) == CODE_OK)
        return true;
    counter_add(&scope->store->stats->bad_objects, 1);
    log_bad(scope, &err, BAD_SKIPPED);
    return false;
}

static void list_value(struct controller_scope *scope, struct object *object, struct value value)
{
    value_done(&object->next);
    object->has_next = !value_equal(object->value, value);
    if (!object->has_next) {
        value_done(&value);
        return;
    }
    object->next = value;
    if (scope->list_received_us == 0)
        scope->list_received_us = loop_now_us(scope->loop);
}

/* As a complete version, or what can be used of it. Takes over the value. */
static void take_value(struct controller_scope *scope, struct object *object, struct value value)
{
    if (scope->listing)
        list_value(scope, object, value);
    else if (value_equal(object->value, value))
        value_done(&value);
    else
        store_set_value(scope, object, value, loop_now_us(scope->loop));
}

/* What is in force of it, or will be once the list is complete. */
static const struct value *last_value(const struct controller_scope *scope,
                                      const struct object *object)
{
    return scope->listing && object->has_next ? &object->next : &object->value;
}

/* Its newest version cannot be decoded: the last good one stays, if there is one, and it was of the same object. */
static void take_bad(struct controller_scope *scope, struct object *object, const struct json *json,
                     const struct object_meta *meta, const struct err *err)
{
    const struct value *last = last_value(scope, object);
    bool keeps = !value_is_empty(*last);
    struct value rest = {0};

    if (scope->kind == OBJECT_POLICY) {
        keeps = value_is_accepted(*last) && !store_is_another(last->policy, json);
        rest.policy = keeps ? NULL : decode_policy_access(json, meta);
    }
    note_bad(scope, object, meta, err,
             keeps         ? BAD_KEPT
             : rest.policy ? BAD_CLOSED
                           : BAD_SKIPPED);
    store_set_rejection(scope, object, json, true);
    object->flawed = false;
    if (!keeps && scope->kind == OBJECT_POLICY)
        take_value(scope, object, rest);
}

static void take_object(struct controller_scope *scope, const struct json *json)
{
    struct object_meta meta;
    struct object *object;
    struct value value;
    struct err err = {0};
    bool was_flawed;

    if (!read_meta(scope, json, &meta))
        return;
    if (scope->kind == OBJECT_POLICY)
        publisher_resource_seen(scope->store->publisher, json);
    object = store_object(scope, &meta);
    object->seen = scope->list;
    object->deleted = 0;
    if (!scope->listing) {
        set_doubt(scope, object, 0);
        store_return(object);
    }
    if (value_decode(scope->kind, json, &meta, &value, &err) != CODE_OK) {
        take_bad(scope, object, json, &meta, &err);
        return;
    }
    was_flawed = object->flawed;
    object->flawed = err.code != CODE_OK;
    if (object->flawed)
        note_bad(scope, object, &meta, &err, BAD_FIELD);
    else
        free(TAKE(object->fault));
    store_set_rejection(scope, object, json, false);
    if (scope->kind == OBJECT_POLICY && (was_flawed || object->flawed))
        store_tell_resource(scope->store, object);
    if (scope->kind == OBJECT_ENDPOINTS && decode_is_truncated(json))
        log_debug(LOG_CONTROLLER, "the API server cut the addresses off",
                  KV_STR("endpoints", object->key));
    take_value(scope, object, value);
    if (!scope->listing && value_is_empty(object->value))
        object_free(scope, object);
}

static void on_list_abort(void *ctx)
{
    struct controller_scope *scope = ctx;
    struct object *object, *next;

    HASH_ITER(hh, scope->objects, object, next)
    {
        value_done(&object->next);
        object->has_next = false;
        if (value_is_empty(object->value) && !object->fault)
            object_free(scope, object);
    }
    scope->listing = false;
}

static void on_list_begin(void *ctx)
{
    struct controller_scope *scope = ctx;

    if (scope->listing)
        on_list_abort(scope);
    scope->list++;
    scope->list_began_us = loop_now_us(scope->loop);
    scope->list_received_us = 0;
    scope->listing = true;
}

/* What a list that is not believed says of the object: that it is gone, or that most of it is. */
static void doubt(struct controller_scope *scope, struct object *object)
{
    set_doubt(scope, object, object->doubted_us ? object->doubted_us : loop_now_us(scope->loop));
    object->doubted = object->next;
    object->next = (struct value){0};
    object->has_next = false;
}

/* The object as the complete list has it, which is `doubtful` where it lacks much. */
static void apply_listed(struct controller_scope *scope, struct object *object, uint64_t now,
                         bool doubtful)
{
    bool lacking = object->seen != scope->list;

    if ((doubtful || object->doubted_us != 0) && doubt_concerns(scope, object)) {
        doubt(scope, object);
        return;
    }
    /* Before it can go to another group: the doubt is counted at this one. */
    set_doubt(scope, object, 0);
    if (object->has_next) {
        store_set_value(scope, object, object->next, now);
        object->next = (struct value){0};
        object->has_next = false;
    }
    if (!lacking)
        store_return(object);
    if (lacking || (value_is_empty(object->value) && !object->fault))
        object_delete(scope, object, now);
}

/* `before`: so many were doubted before the list. */
static void log_doubt(const struct controller_scope *scope, size_t before)
{
    struct log_kv kind = KV_STR("kind", value_kind_name(scope->kind));
    struct log_kv source = KV_STR("source", scope->label);

    if (scope->doubted > 0)
        log_warn(LOG_CONTROLLER,
                 "a list lacks more than half: what it lacks stays until a second one agrees", kind,
                 source, KV_U64("lacking", scope->doubted),
                 KV_U64("of", HASH_COUNT(scope->objects)));
    else if (before > 0)
        log_info(LOG_CONTROLLER, "a further list leaves no doubt", kind, source,
                 KV_U64("doubted", before));
}

static bool on_list_end(void *ctx)
{
    struct controller_scope *scope = ctx;
    uint64_t received_us = scope->list_received_us;
    size_t doubted = scope->doubted;
    bool doubtful = doubt_arises(scope);
    struct object *object, *next;

    if (received_us == 0)
        received_us = loop_now_us(scope->loop);
    HASH_ITER(hh, scope->objects, object, next)
    {
        apply_listed(scope, object, received_us, doubtful);
    }
    scope->listing = false;
    log_doubt(scope, doubted);
    return scope->doubted == 0;
}

static void on_object(void *ctx, const struct json *json)
{
    take_object(ctx, json);
}

/* It went while it was being listed: the list does not name it any more. */
static void unlist(struct controller_scope *scope, struct object *object)
{
    value_done(&object->next);
    object->has_next = false;
    object->seen = scope->list - 1;
    object->deleted = scope->list;
}

static void on_remove(void *ctx, const struct json *json)
{
    struct controller_scope *scope = ctx;
    struct object_meta meta;
    struct object *object;
    size_t len;
    CLEANUP(freep) char *key = NULL;

    if (!read_meta(scope, json, &meta))
        return;
    key = store_key(meta.namespace_name, meta.name, &len);
    HASH_FIND(hh, scope->objects, key, len, object);
    if (!object)
        return;
    if (!scope->listing)
        object_delete(scope, object, loop_now_us(scope->loop));
    else
        unlist(scope, object);
}

const struct kube_sink *controller_sink(void)
{
    static const struct kube_sink sink = {
        .list_begin = on_list_begin,
        .list_object = on_object,
        .list_end = on_list_end,
        .list_abort = on_list_abort,
        .upsert = on_object,
        .remove = on_remove,
    };

    return &sink;
}

/* Believes the list that the object is doubted for, unless one that is being read has it as it was. */
static void believe(struct object *object)
{
    struct controller_scope *scope = object->scope;
    struct value said = object->doubted;

    object->doubted = (struct value){0};
    set_doubt(scope, object, 0);
    if (scope->listing && object->seen == scope->list && !object->has_next)
        value_done(&said);
    else if (value_is_empty(said))
        store_remove(scope, object, loop_now_us(scope->loop));
    else
        store_set_value(scope, object, said, loop_now_us(scope->loop));
}

static void release(struct list *objects)
{
    list_for_each_safe (link, objects) {
        struct object *object = container_of(link, struct object, link);

        if (object->leaving_us != 0)
            store_remove(object->scope, object, loop_now_us(object->scope->loop));
        else if (object->doubted_us != 0)
            believe(object);
    }
}

void store_release(struct group *group)
{
    release(&group->services);
    release(&group->slices);
    release(&group->policies);
}

/* ---- life ---- */

/* Silent: that a source ends says nothing about its objects, so what is published stays, and what was
 * about to be published without them is not. */
void controller_scope_free(struct controller_scope *scope)
{
    struct object *object, *next;

    if (!scope)
        return;
    store_leave_done(scope);
    HASH_ITER(hh, scope->objects, object, next)
    {
        struct group *group;

        set_doubt(scope, object, 0);
        group = object_leave(object);
        if (group) {
            publisher_untouch(group);
            store_drop_group(scope->store, group);
        }
        count_object(scope, object->value, false);
        place_index_change(&scope->store->places, object, (struct value){0});
        refer_index_change(&scope->store->referrers, object, object->value.policy, NULL);
        object_free(scope, object);
    }
    list_remove(&scope->link);
    free(scope->label);
    free(scope);
}
