#include "controller/events.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/random.h"
#include "base/utf8.h"
#include "controller/status_text.h"
#include "kube/call.h"
#include "kube/lease_record.h"

#undef HASH_FUNCTION
#define HASH_FUNCTION(keyptr, keylen, hashv) HASH_FUNCTION_SEEDED(keyptr, keylen, hashv)
#include <uthash.h>

#define API "/apis/events.k8s.io/v1/namespaces/"
#define BODY_MAX_BYTES 16384
#define PATH_MAX_BYTES 1024
#define INSTANCE_MAX 128
#define COUNT_MAX 1000000

/* One Event, and how often it was said. */
struct record {
    UT_hash_handle hh;
    struct list link; /* in order of saying, the newest last */
    struct events *events;
    struct budget_turn turn;
    struct kube_call *call;
    char *namespace_name, *name, *uid, *note;
    const char *reason;
    bool warning;
    char object[224]; /* the Event's own name; empty: not created */
    uint64_t first_wall_us, last_wall_us;
    uint64_t count;   /* said */
    uint64_t counted; /* of these, as the server knows */
    uint64_t sent;    /* as in the write under way */
    uint64_t next_us; /* not written before */
    char key[];
};

struct events {
    struct events_options options;
    struct loop *loop;
    struct record *records;
    struct list said;
    struct timer *timer; /* to the next record that is due */
    bool refused;        /* said so already */
    struct events_stats stats;
};

/* ---- the objects ---- */

static void write_regarding(const struct record *record, struct json_writer *writer)
{
    json_open_object(writer, "regarding");
    json_put_str(writer, "apiVersion", STR(RESOURCE_API));
    json_put_str(writer, "kind", STR(RESOURCE_KIND));
    json_put_str(writer, "namespace", str_of(record->namespace_name));
    json_put_str(writer, "name", str_of(record->name));
    json_put_str(writer, "uid", str_of(record->uid));
    json_close_object(writer);
}

static void write_event(const struct record *record, struct buf *out)
{
    struct json_writer writer = json_writer(out);
    char time[LEASE_TIME_MAX];

    lease_time_format(record->first_wall_us, time);
    json_open_object(&writer, NULL);
    json_put_str(&writer, "apiVersion", STR("events.k8s.io/v1"));
    json_put_str(&writer, "kind", STR("Event"));
    json_open_object(&writer, "metadata");
    json_put_str(&writer, "namespace", str_of(record->namespace_name));
    json_put_str(&writer, "name", str_of(record->object));
    json_close_object(&writer);
    json_put_str(&writer, "eventTime", str_of(time));
    json_put_str(&writer, "reportingController", STR("lookaside.dev/lookaside"));
    json_put_str(&writer, "reportingInstance",
                 str_slice(str_of(record->events->options.identity), 0, INSTANCE_MAX));
    json_put_str(&writer, "action", STR("Publish"));
    json_put_str(&writer, "type", record->warning ? STR("Warning") : STR("Normal"));
    json_put_str(&writer, "reason", str_of(record->reason));
    json_put_str(&writer, "note", str_of(record->note));
    write_regarding(record, &writer);
    json_close_object(&writer);
}

static void write_series(const struct record *record, struct buf *out)
{
    struct json_writer writer = json_writer(out);
    char time[LEASE_TIME_MAX];

    lease_time_format(record->last_wall_us, time);
    json_open_object(&writer, NULL);
    json_open_object(&writer, "series");
    json_put_u64(&writer, "count", min_u64(record->count, COUNT_MAX));
    json_put_str(&writer, "lastObservedTime", str_of(time));
    json_close_object(&writer);
    json_close_object(&writer);
}

/* ---- writing them ---- */

static bool is_pending(const struct record *record)
{
    return record->count > record->counted;
}

static void forget(struct record *record)
{
    HASH_DEL(record->events->records, record);
    list_remove(&record->link);
    budget_give_up(record->events->options.budget, &record->turn, record->call);
    free(record->namespace_name);
    free(record->name);
    free(record->uid);
    free(record->note);
    free(record);
}

/* Those that are due ask for a turn; the timer goes to the next. */
static void look(struct events *events)
{
    uint64_t now_us = loop_update_now(events->loop), next_us = UINT64_MAX;

    list_for_each (node, &events->said) {
        struct record *record = container_of(node, struct record, link);

        if (!is_pending(record) || record->call || budget_waits(&record->turn))
            continue;
        if (record->next_us <= now_us)
            budget_ask(events->options.budget, &record->turn, record->counted == 0);
        else if (record->next_us < next_us)
            next_us = record->next_us;
    }
    if (next_us != UINT64_MAX)
        timer_start(events->timer, (next_us - now_us) / 1000);
}

static void on_time(void *ctx)
{
    look(ctx);
}

static void counted(struct record *record)
{
    struct events *events = record->events;

    counter_add(&events->stats.written, 1);
    events->refused = false;
    record->counted = record->sent;
    record->next_us = loop_update_now(events->loop) + events->options.again_ms * 1000;
    look(events);
}

static void refused(struct record *record, const struct kube_response *response)
{
    struct events *events = record->events;

    counter_add(&events->stats.refused, 1);
    if (!events->refused && response->code != CODE_NOT_FOUND)
        log_warn(LOG_CONTROLLER, "an Event was refused; serving does not depend on it",
                 KV_STR("error", response->message));
    events->refused = true;
    forget(record);
}

static void on_answer(void *ctx, const struct kube_response *response, struct str body unused_arg)
{
    struct record *record = ctx;
    struct events *events = record->events;
    bool created = record->counted > 0;

    record->call = NULL;
    if (budget_done(events->options.budget, response)) {
        counter_add(&events->stats.failed, 1);
        look(events);
    } else if (response->code == CODE_OK || (!created && response->code == CODE_ABORTED)) {
        counted(record); /* 409: an attempt without an answer had made it */
    } else if (created && response->code == CODE_NOT_FOUND) {
        record->counted = 0; /* its time was up: another one */
        record->count = 1;
        record->first_wall_us = record->last_wall_us;
        *record->object = '\0';
        look(events);
    } else {
        refused(record, response);
    }
}

static void on_turn(void *ctx)
{
    struct record *record = ctx;
    struct events *events = record->events;
    struct buf body = BUFFER_INIT(BODY_MAX_BYTES);
    bool create = record->counted == 0;
    char path[PATH_MAX_BYTES];

    if (!*record->object)
        snprintf(record->object, sizeof(record->object), "%.200s.%016llx", record->name,
                 (unsigned long long)random_u64());
    if (create)
        write_event(record, &body);
    else
        write_series(record, &body);
    record->sent = create ? 1 : record->count;
    snprintf(path, sizeof(path), API "%s/events%s%s", record->namespace_name, create ? "" : "/",
             create ? "" : record->object);
    record->call = kube_call_start(
        events->options.client, &(struct kube_call_options){
                                    .method = create ? "POST" : "PATCH",
                                    .path = path,
                                    .body = buf_str(&body),
                                    .content_type = create ? NULL : "application/merge-patch+json",
                                    .on_done = on_answer,
                                    .ctx = record,
                                });
    buf_done(&body);
}

/* ---- saying ---- */

static void key_of(const struct event *event, struct buf *out)
{
    buf_printf(out, "%" STR_FMT "/%" STR_FMT "/%" STR_FMT "/%s/%016llx",
               STR_ARG(event->namespace_name), STR_ARG(event->name), STR_ARG(event->uid),
               event->reason, (unsigned long long)hash_content(event->note.ptr, event->note.len));
}

/* False: all of them wait to be written. */
static bool make_room(struct events *events)
{
    if (HASH_COUNT(events->records) < EVENTS_MAX)
        return true;
    list_for_each (node, &events->said) {
        struct record *record = container_of(node, struct record, link);

        if (is_pending(record))
            continue;
        forget(record);
        return true;
    }
    counter_add(&events->stats.dropped, 1);
    return false;
}

static struct record *record_new(struct events *events, const struct event *event, struct str key)
{
    struct record *record;

    if (!make_room(events))
        return NULL;
    record = xcalloc(1, sizeof(*record) + key.len + 1);
    record->events = events;
    record->namespace_name = str_dup(event->namespace_name);
    record->name = str_dup(event->name);
    record->uid = str_dup(event->uid);
    record->note = str_dup(utf8_cut(event->note, EVENT_NOTE_MAX));
    record->reason = event->reason;
    record->warning = event->warning;
    record->first_wall_us = clock_wall_us();
    budget_turn_init(&record->turn, on_turn, record);
    list_init(&record->link);
    memcpy(record->key, key.ptr, key.len);
    HASH_ADD_KEYPTR(hh, events->records, record->key, key.len, record);
    return record;
}

void events_say(struct events *events, const struct event *event)
{
    struct buf key = BUFFER_INIT(2048);
    struct record *record;

    key_of(event, &key);
    HASH_FIND(hh, events->records, key.ptr, key.len, record);
    if (!record)
        record = record_new(events, event, buf_str(&key));
    buf_done(&key);
    if (!record)
        return;
    record->count++;
    record->last_wall_us = clock_wall_us();
    list_remove(&record->link);
    list_append(&events->said, &record->link);
    look(events);
}

/* ---- life ---- */

struct events *events_new(const struct events_options *options)
{
    struct events *events = xcalloc(1, sizeof(*events));

    events->options = *options;
    if (options->again_ms == 0)
        events->options.again_ms = EVENTS_AGAIN_MS;
    events->loop = kube_client_loop(options->client);
    list_init(&events->said);
    events->timer = timer_new(events->loop, on_time, events);
    return events;
}

void events_silence(struct events *events)
{
    timer_stop(events->timer);
    list_for_each_safe (node, &events->said) {
        struct record *record = container_of(node, struct record, link);

        if (record->counted == 0 || record->call) {
            forget(record);
        } else {
            budget_withdraw(&record->turn);
            record->count = record->counted;
        }
    }
}

void events_free(struct events *events)
{
    if (!events)
        return;
    list_for_each_safe (node, &events->said)
        forget(container_of(node, struct record, link));
    timer_free(events->timer);
    free(events);
}

const struct events_stats *events_stats(const struct events *events)
{
    return &events->stats;
}
