/*
 * Pods of any content, one by one and as a source tells of them.
 *
 * A JSON array is a script: every element goes to one of two scopes (its member "scope" is true: the second) as its member "verb" (upsert,
 * remove, begin, list, end, abort, turn) says. Any other text is one object. Whoever identifies somebody has an account.
 */
#include "base/log.h"
#include "controller/decode.h"
#include "controller/pods.h"
#include "must_hold.h"
#include "sink_script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop *loop;
static struct pods *pods;
static struct pods_scope *scopes[2];
static const struct pod_table *newest;

static void on_publish(unused_arg void *ctx, const struct pod_table *table)
{
    pod_table_unref(newest);
    newest = table;
}

/* ---- one object ---- */

static void check_owner(const struct pod_address *address)
{
    struct str account = STR("");

    if (!newest || pod_table_find(newest, address, &account) != POD_OWNER_ONE)
        return;
    must_hold(str_find(account, '/') > 0 && str_find(account, '/') + 1 < account.len);
}

static void check_object(const struct json *json)
{
    struct object_meta meta;
    struct pod_object pod = {0};
    struct err err = {0};

    if (decode_meta(json, &meta, &err) != CODE_OK ||
        decode_pod(json, &meta, &pod, &err) != CODE_OK) {
        must_hold(err.code == CODE_INVALID_ARGUMENT && err.msg[0] && pod.len == 0);
        return;
    }
    must_hold(pod.len <= POD_ADDRESSES_MAX && (pod.len == 0 || pod.account.len > 0));
    for (size_t i = 0; i < pod.len; i++)
        check_owner(&pod.addresses[i]);
}

/* ---- a script ---- */

static void apply(const struct json *item)
{
    const struct kube_sink *sink = pods_sink();
    struct str verb = json_text(json_get(item, "verb"));
    struct pods_scope *scope = scopes[json_bool(json_get(item, "scope"))];

    if (str_eq(verb, STR("turn")))
        loop_turn(loop, 0);
    else if (!sink_script_apply(sink, scope, verb, item))
        sink->upsert(scope, item);
    check_object(item);
}

/* Lists that lack everything: the first is doubted. */
static void empty(void)
{
    for (size_t i = 0; i < ARRAY_LEN(scopes); i++) {
        pods_sink()->list_abort(scopes[i]);
        for (int again = 0; again < 2; again++) {
            pods_sink()->list_begin(scopes[i]);
            (void)pods_sink()->list_end(scopes[i]);
        }
    }
    loop_turn(loop, 0);
    must_hold(pod_table_clashes(newest) <= pod_table_len(newest));
}

static void start(void)
{
    if (!loop)
        must_hold(loop_new(&loop, NULL) == CODE_OK);
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    pods = pods_new(&(struct pods_options){.loop = loop, .publish = on_publish});
    for (size_t i = 0; i < ARRAY_LEN(scopes); i++)
        scopes[i] = pods_scope_new(pods, "pods");
}

static void stop(void)
{
    for (size_t i = 0; i < ARRAY_LEN(scopes); i++)
        pods_scope_free(scopes[i]);
    pods_free(pods);
    pod_table_unref(newest);
    newest = NULL;
    loop_turn(loop, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json *json = NULL;

    if (json_parse(str_make(data, size), &json, NULL) != CODE_OK)
        return 0;
    start();
    check_object(json);
    if (json_type(json) == JSON_ARRAY) {
        for (const struct json *item = json_first(json); item; item = json_next(item))
            apply(item);
        empty();
    }
    stop();
    json_free(json);
    return 0;
}
