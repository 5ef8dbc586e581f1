#include "controller/pods.h"

#include "base/log.h"
#include "base/metric.h"
#include "controller/decode.h"
#include "controller/pod_set.h"

/* Before uthash.h. */
#define HASH_FUNCTION HASH_FUNCTION_SEEDED
#include "base/hash.h"
#include <uthash.h>

#define COMPLAINT_US 1000000

/* A struct pod_account that is known by its text. */
struct account {
    UT_hash_handle hh;
    struct pod_account shared;
    size_t pods;
};

struct pods {
    struct pods_options options;
    struct account *accounts;
    const struct pod_table *table; /* published last, or empty */
    struct pod_edit *edit;         /* what has changed since; NULL: nothing */
    struct deferred publish;
    struct counter known, bad;
    uint64_t complained_us, told_us; /* 0: never */
};

struct pods_scope {
    struct pods *pods;
    char *label;
    struct pod_set known;
    struct pod_set
        listed; /* of the list that is being read; without addresses: of what identifies nobody any more */
    bool listing;
    uint64_t list_began_us;
    uint64_t doubted_us; /* since when a list is not believed; 0: all are */
};

/* ---- accounts ---- */

static struct pod_account *account_get(struct pods *pods, struct str namespace_name,
                                       struct str name)
{
    struct blob *text = blob_new(namespace_name.len + 1 + name.len);
    struct account *account;

    memcpy(text->bytes, namespace_name.ptr, namespace_name.len);
    text->bytes[namespace_name.len] = '/';
    memcpy(text->bytes + namespace_name.len + 1, name.ptr, name.len);
    HASH_FIND(hh, pods->accounts, text->bytes, text->len, account);
    if (account) {
        blob_unref(text);
    } else {
        account = xcalloc(1, sizeof(*account));
        account->shared = (struct pod_account){text, namespace_name.len};
        HASH_ADD_KEYPTR(hh, pods->accounts, text->bytes, text->len, account);
    }
    account->pods++;
    return &account->shared;
}

static void account_put(struct pods *pods, struct pod_account *shared)
{
    struct account *account = container_of(shared, struct account, shared);

    if (--account->pods > 0)
        return;
    HASH_DELETE(hh, pods->accounts, account);
    blob_unref(shared->text);
    free(account);
}

/* NULL is fine. */
static void drop(struct pods *pods, struct pod *pod)
{
    if (!pod)
        return;
    account_put(pods, pod->account);
    free(pod);
}

/* ---- what is published ---- */

static void on_publish(void *ctx)
{
    struct pods *pods = ctx;

    if (pods->edit) {
        pod_table_unref(pods->table);
        pods->table = pod_edit_finish(TAKE(pods->edit));
    }
    pods->options.publish(pods->options.ctx, pod_table_ref(pods->table));
}

static struct pod_edit *edit_of(struct pods *pods)
{
    if (!pods->edit)
        pods->edit = pod_edit_new(pods->table);
    deferred_schedule(pods->options.loop, &pods->publish);
    return pods->edit;
}

/* It happens for a moment, when an address goes from one pod to another; what lasts is in the metric. */
static void tell_clash(struct pods *pods, const struct pod *pod)
{
    uint64_t now = loop_now_us(pods->options.loop);

    if (pods->told_us && now - pods->told_us < COMPLAINT_US)
        return;
    pods->told_us = now;
    log_info(LOG_CONTROLLER, "a pod has an address of another one: it identifies nobody",
             KV_TEXT("namespace", pod_namespace(pod)), KV_TEXT("pod", pod_name(pod)));
}

static void announce(struct pods *pods, const struct pod *pod)
{
    bool clash = false;

    counter_add(&pods->known, 1);
    for (size_t i = 0; i < pod->len; i++)
        clash |= !pod_edit_add(edit_of(pods), &pod->addresses[i], pod->account->text);
    if (clash)
        tell_clash(pods, pod);
}

static void withdraw(struct pods *pods, const struct pod *pod)
{
    counter_set(&pods->known, counter_get(&pods->known) - 1);
    for (size_t i = 0; i < pod->len; i++)
        pod_edit_remove(edit_of(pods), &pod->addresses[i], pod->account->text);
}

/* ---- what a source says ---- */

static void note_bad(struct pods_scope *scope, const struct err *err)
{
    struct pods *pods = scope->pods;
    uint64_t now = loop_now_us(pods->options.loop);

    counter_add(&pods->bad, 1);
    if (pods->complained_us && now - pods->complained_us < COMPLAINT_US)
        return;
    pods->complained_us = now;
    log_warn(LOG_CONTROLLER, "bad object: it identifies nobody", KV_STR("kind", "Pod"),
             KV_STR("source", scope->label), KV_ERR(err));
}

/* NULL: it identifies nobody. */
static struct pod *read_pod(struct pods_scope *scope, const struct json *json,
                            const struct object_meta *meta)
{
    struct pods *pods = scope->pods;
    struct pod_object object = {0};
    struct err err = {0};

    if (decode_pod(json, meta, &object, &err) != CODE_OK) {
        note_bad(scope, &err);
        return NULL;
    }
    if (object.len == 0)
        return NULL;
    return pod_new(account_get(pods, meta->namespace_name, object.account), meta->name,
                   object.addresses, object.len);
}

/* NULL: it is gone, or identifies nobody. */
static void change(struct pods_scope *scope, const struct object_meta *meta, struct pod *pod)
{
    struct pods *pods = scope->pods;
    struct pod *known = pod_set_find(&scope->known, meta->namespace_name, meta->name);

    if (known && pod && pod_equal(known, pod)) {
        drop(pods, pod);
        return;
    }
    if (known) {
        withdraw(pods, known);
        drop(pods, pod_set_take(&scope->known, meta->namespace_name, meta->name));
    }
    if (pod) {
        pod_set_put(&scope->known, pod);
        announce(pods, pod);
    }
}

/* Of one that is known and identifies nobody any more, or was deleted meanwhile, the list has a pod without addresses: it does not lack it. */
static void list(struct pods_scope *scope, const struct object_meta *meta, struct pod *pod)
{
    const struct pod *known = pod_set_find(&scope->known, meta->namespace_name, meta->name);

    drop(scope->pods, pod_set_take(&scope->listed, meta->namespace_name, meta->name));
    if (!pod && known)
        pod = pod_new(account_get(scope->pods, meta->namespace_name, STR("")), meta->name, NULL, 0);
    if (pod)
        pod_set_put(&scope->listed, pod);
}

static void take(struct pods_scope *scope, const struct json *json, bool removed)
{
    struct object_meta meta;
    struct err err = {0};
    struct pod *pod;

    if (decode_meta(json, &meta, &err) != CODE_OK) {
        note_bad(scope, &err);
        return;
    }
    pod = removed ? NULL : read_pod(scope, json, &meta);
    if (scope->listing)
        list(scope, &meta, pod);
    else
        change(scope, &meta, pod);
}

static void on_object(void *ctx, const struct json *json)
{
    take(ctx, json, false);
}

static void on_remove(void *ctx, const struct json *json)
{
    take(ctx, json, true);
}

/* ---- lists ---- */

static void drop_all(struct pods *pods, struct pod_set *set)
{
    for (size_t i = 0; i < set->cap; i++)
        drop(pods, set->slots[i]);
    pod_set_done(set);
}

static void on_list_abort(void *ctx)
{
    struct pods_scope *scope = ctx;

    drop_all(scope->pods, &scope->listed);
    scope->listing = false;
}

static void on_list_begin(void *ctx)
{
    struct pods_scope *scope = ctx;

    if (scope->listing)
        on_list_abort(scope);
    scope->listing = true;
    scope->list_began_us = loop_now_us(scope->pods->options.loop);
}

static const struct pod *find_same(const struct pod_set *set, const struct pod *pod)
{
    return pod_set_find(set, pod_namespace(pod), pod_name(pod));
}

static size_t count_lacking(const struct pods_scope *scope)
{
    size_t lacking = 0;

    for (size_t i = 0; i < scope->known.cap; i++)
        lacking += scope->known.slots[i] && !find_same(&scope->listed, scope->known.slots[i]);
    return lacking;
}

/* What the list lacks is as if it were in it. */
static void keep_lacking(struct pods_scope *scope)
{
    for (size_t i = 0; i < scope->known.cap; i++) {
        const struct pod *pod = scope->known.slots[i];
        struct account *account;

        if (!pod || find_same(&scope->listed, pod))
            continue;
        account = container_of(pod->account, struct account, shared);
        account->pods++;
        pod_set_put(&scope->listed, pod_new(pod->account, pod_name(pod), pod->addresses, pod->len));
    }
}

static bool is_doubtful(struct pods_scope *scope, size_t lacking)
{
    if (2 * lacking <= scope->known.len)
        return false;
    return scope->doubted_us == 0 ||
           scope->list_began_us < scope->doubted_us + KUBE_SINK_DOUBT_MS * 1000;
}

static void judge(struct pods_scope *scope)
{
    size_t lacking = count_lacking(scope);

    if (!is_doubtful(scope, lacking)) {
        scope->doubted_us = 0;
        return;
    }
    log_warn(LOG_CONTROLLER,
             "a list lacks more than half: what it lacks stays until a second one agrees",
             KV_STR("kind", "Pod"), KV_STR("source", scope->label), KV_U64("lacking", lacking),
             KV_U64("of", scope->known.len));
    if (scope->doubted_us == 0)
        scope->doubted_us = loop_now_us(scope->pods->options.loop);
    keep_lacking(scope);
}

/* An address that goes from one pod to another is never of both. */
static void withdraw_others(struct pods_scope *scope)
{
    for (size_t i = 0; i < scope->known.cap; i++) {
        const struct pod *pod = scope->known.slots[i];
        const struct pod *listed = pod ? find_same(&scope->listed, pod) : NULL;

        if (pod && (!listed || !pod_equal(pod, listed)))
            withdraw(scope->pods, pod);
    }
}

/* The set of those that have addresses. */
static struct pod_set announce_others(struct pods_scope *scope)
{
    struct pod_set kept = {0};

    for (size_t i = 0; i < scope->listed.cap; i++) {
        struct pod *pod = scope->listed.slots[i];
        const struct pod *known = pod ? find_same(&scope->known, pod) : NULL;

        if (!pod)
            continue;
        if (pod->len > 0) {
            if (!known || !pod_equal(pod, known))
                announce(scope->pods, pod);
            pod_set_put(&kept, pod);
        } else {
            drop(scope->pods, pod);
        }
    }
    pod_set_done(&scope->listed);
    return kept;
}

static bool on_list_end(void *ctx)
{
    struct pods_scope *scope = ctx;
    struct pod_set kept;

    judge(scope);
    withdraw_others(scope);
    kept = announce_others(scope);
    drop_all(scope->pods, &scope->known);
    scope->known = kept;
    scope->listing = false;
    deferred_schedule(scope->pods->options.loop, &scope->pods->publish);
    return scope->doubted_us == 0;
}

const struct kube_sink *pods_sink(void)
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

/* ---- metrics ---- */

static void write_one(struct buf *out, const char *name, const char *type, const char *help,
                      uint64_t value)
{
    metric_write_head(out, name, type, help);
    metric_write_u64(out, name, NULL, value);
}

void pods_write_metrics(const struct pods *pods, struct buf *out)
{
    write_one(out, "lookaside_pods", "gauge", "Pods whose addresses identify clients.",
              counter_get(&pods->known));
    write_one(out, "lookaside_pod_address_clashes", "gauge",
              "Addresses that pods have beside another one: they identify nobody.",
              pod_table_clashes(pods->table));
    write_one(out, "lookaside_bad_pods_total", "counter",
              "Pod objects that could not be read: they identify nobody.", counter_get(&pods->bad));
}

/* ---- life ---- */

struct pods *pods_new(const struct pods_options *options)
{
    struct pods *pods = xcalloc(1, sizeof(*pods));

    pods->options = *options;
    pods->table = pod_table_new_empty();
    deferred_init(&pods->publish, on_publish, pods);
    return pods;
}

void pods_free(struct pods *pods)
{
    if (!pods)
        return;
    deferred_cancel(&pods->publish);
    if (pods->edit)
        pod_table_unref(pod_edit_finish(pods->edit));
    pod_table_unref(pods->table);
    free(pods);
}

struct pods_scope *pods_scope_new(struct pods *pods, const char *label)
{
    struct pods_scope *scope = xcalloc(1, sizeof(*scope));

    scope->pods = pods;
    scope->label = xstrdup(label);
    return scope;
}

void pods_scope_free(struct pods_scope *scope)
{
    if (!scope)
        return;
    drop_all(scope->pods, &scope->known);
    drop_all(scope->pods, &scope->listed);
    free(scope->label);
    free(scope);
}
