#include "kube/reflector_internal.h"

#include "base/log.h"
#include "base/random.h"

#define WATCH_SECONDS_MIN 300
#define WATCH_SECONDS_MAX 600
#define WATCH_GRACE_SECONDS 30 /* silent for so long after the end it was to have: dead */
#define WATCH_PROVEN_MS 1000   /* a watch that lived so long was a success */
#define WATCH_SETTLED_MS 10000 /* and one that lived so long ends the growth of delays */
#define STREAM_IDLES_MAX 6     /* a streamed list lasts so many times stream_ms, at most */
#define STREAM_REFUSED_US (600 * 1000000ULL)
#define STREAMS_BROKEN_MAX 2
#define LOGGED_LINE_MAX 200

static uint64_t watch_idle_ms(const struct reflector *refl)
{
    return (refl->watch_seconds + WATCH_GRACE_SECONDS) * 1000;
}

/* ---- what a line says ---- */

static bool verdict_set(struct reflector *refl, enum verdict verdict)
{
    refl->verdict = verdict;
    return false;
}

/* Nothing may be skipped silently: the line goes to the log as far as it is known, and a list makes
 * good for it. */
static bool line_malformed(struct reflector *refl, struct str line)
{
    counter_add(&refl->stats.malformed, 1);
    log_warn(LOG_KUBE, "malformed watch event, listing again",
             KV_STR("resource", refl->options.label), KV_STR("after_version", refl->version),
             KV_ERR(&refl->verdict_err), KV_TEXT("line", str_slice(line, 0, LOGGED_LINE_MAX)));
    return verdict_set(refl, VERDICT_MALFORMED);
}

static bool server_error(struct reflector *refl, const struct watch_event *event)
{
    fail(&refl->verdict_err, CODE_UNAVAILABLE, "the server sent error %llu: %.*s",
         (unsigned long long)event->error_code, (int)min_size(event->error_message.len, 256),
         event->error_message.ptr ? event->error_message.ptr : "");
    refl->verdict_status = (struct kube_response){.status = (unsigned)event->error_code,
                                                  .retry_after_ms = event->retry_after_ms,
                                                  .message = refl->verdict_err.msg};
    return verdict_set(refl, event->error_code == 410 ? VERDICT_GONE : VERDICT_SERVER_ERROR);
}

/* A watch tells what comes after the version that it began with: this server was restored from a
 * backup, and what it tells is of another history than what we know. */
static bool is_rewound(const struct reflector *refl, struct str version)
{
    uint64_t told;

    return str_to_u64(version, UINT64_MAX, &told) && told < refl->watch_from;
}

static bool server_rewound(struct reflector *refl, struct str version)
{
    fail(&refl->verdict_err, CODE_OUT_OF_RANGE,
         "the watch began at version %llu and tells %" STR_FMT ": the server was restored",
         (unsigned long long)refl->watch_from, STR_ARG(version));
    return verdict_set(refl, VERDICT_REWOUND);
}

static void event_deliver(struct reflector *refl, const struct watch_event *event)
{
    const struct kube_sink *sink = refl->options.sink;

    counter_add(&refl->stats.events, 1);
    if (!reflector_named(refl, &event->meta, "watch"))
        return;
    if (event->type == WATCH_DELETED)
        sink->remove(refl->options.sink_ctx, event->object);
    else
        sink->upsert(refl->options.sink_ctx, event->object);
}

/* The server sends bookmarks, so silence will mean something. */
static void on_bookmark(struct reflector *refl)
{
    counter_add(&refl->stats.bookmarks, 1);
    if (!refl->bookmarked)
        kube_request_set_idle_timeout(refl->request, refl->options.idle_ms);
    refl->bookmarked = true;
}

static void watch_event_take(struct reflector *refl, const struct watch_event *event)
{
    if (event->type == WATCH_BOOKMARK)
        on_bookmark(refl);
    else
        event_deliver(refl, event);
    reflector_set_text(&refl->version, event->meta.version);
    reflector_contact(refl);
}

/* The same request goes on as the watch. Its server marks the end of a list, which does not say yet
 * that it sends bookmarks when nothing happens. */
static void stream_complete(struct reflector *refl, struct str version)
{
    refl->streams_broken = 0;
    reflector_list_complete(refl, version, &refl->stats.lists_streamed);
    refl->watch_from = reflector_version(refl);
    kube_request_set_idle_timeout(refl->request, watch_idle_ms(refl));
    timer_start(refl->timer, WATCH_PROVEN_MS);
}

/* The collection changes while it is streamed, so these may be of any type. Their versions are the
 * objects' own, in no order: the list's comes at its end. */
static bool stream_event_take(struct reflector *refl, const struct watch_event *event)
{
    if (event->type == WATCH_BOOKMARK && !event->initial_end) {
        fail(&refl->verdict_err, CODE_UNIMPLEMENTED,
             "the server does not mark the end of the list");
        return verdict_set(refl, VERDICT_NO_STREAM);
    }
    if (event->type == WATCH_BOOKMARK)
        stream_complete(refl, event->meta.version);
    else if (event->type != WATCH_DELETED)
        reflector_list_object(refl, event->object);
    else if (refl->list_open && event->meta.name.len > 0)
        refl->options.sink->remove(refl->options.sink_ctx, event->object);
    return true;
}

static bool on_line(void *ctx, struct str line)
{
    struct reflector *refl = ctx;
    CLEANUP(json_freep) struct json *tree = NULL;
    struct watch_event event = {0};

    if (watch_event_parse(line, &tree, &event, &refl->verdict_err) != CODE_OK)
        return line_malformed(refl, line);
    if (event.type == WATCH_ERROR)
        return server_error(refl, &event);
    if (refl->must_list)
        return stream_event_take(refl, &event);
    if (is_rewound(refl, event.meta.version))
        return server_rewound(refl, event.meta.version);
    watch_event_take(refl, &event);
    return true;
}

static bool on_watch_data(void *ctx, const char *ptr, size_t len)
{
    struct reflector *refl = ctx;
    struct err err = {0}; /* on_line() has its own */
    enum code code = lines_feed(&refl->lines, str_make(ptr, len), on_line, refl, &err);

    if (code != CODE_RESOURCE_EXHAUSTED)
        return code == CODE_OK;
    refl->verdict_err = err;
    return line_malformed(refl, buf_str(&refl->lines.partial));
}

static void on_watch_open(void *ctx)
{
    struct reflector *refl = ctx;
    uint64_t stream_ms = refl->options.stream_ms * STREAM_IDLES_MAX;

    refl->watch_open_us = loop_now_us(refl->loop);
    counter_add(&refl->stats.watches, 1);
    if (!refl->must_list)
        reflector_contact(refl);
    timer_start(refl->timer, refl->must_list ? stream_ms : WATCH_PROVEN_MS);
}

/* ---- the end of a streamed list that is not complete ---- */

bool reflector_may_stream(const struct reflector *refl)
{
    return loop_now_us(refl->loop) >= refl->stream_refused_until_us;
}

static void streams_avoid(struct reflector *refl, const char *cause)
{
    counter_add(&refl->stats.streams_refused, 1);
    refl->stream_refused_until_us = loop_now_us(refl->loop) + STREAM_REFUSED_US;
    log_info(LOG_KUBE, "lists are not streamed for now, but read in pages",
             KV_STR("resource", refl->options.label), KV_STR("cause", cause));
}

/* The server lives, but will not stream lists: pages may still be had. */
static bool stream_refused(const struct reflector *refl, const struct kube_response *response)
{
    static const unsigned refusals[] = {400, 403, 405, 406, 415, 422, 500, 501};

    switch (refl->verdict) {
    case VERDICT_GONE:
    case VERDICT_NO_STREAM:
        return true;
    case VERDICT_SERVER_ERROR:
        return refl->verdict_status.status != STATUS_TOO_MANY_REQUESTS;
    case VERDICT_MALFORMED:
        return false;
    case VERDICT_REWOUND: /* not of a list */
    case VERDICT_NONE:
        break;
    }
    if (refl->watch_open_us && response->code == CODE_DEADLINE_EXCEEDED)
        return true; /* silence */
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
        if (response->status == refusals[i])
            return true;
    return false;
}

static void stream_ended(struct reflector *refl, const struct kube_response *response)
{
    const char *cause = refl->verdict == VERDICT_NONE ? response->message : refl->verdict_err.msg;

    reflector_list_failed(refl);
    if (stream_refused(refl, response)) {
        streams_avoid(refl, cause);
        reflector_list(refl);
        return;
    }
    if (refl->watch_open_us && ++refl->streams_broken >= STREAMS_BROKEN_MAX)
        streams_avoid(refl, "it broke twice in a row");
    if (refl->verdict == VERDICT_SERVER_ERROR)
        reflector_retry(refl, "list", &refl->verdict_status);
    else if (refl->verdict == VERDICT_MALFORMED)
        reflector_retry_useless(refl, "list", cause);
    else if (response->code == CODE_OK)
        reflector_retry_useless(refl, "list", "the server ended the list in the middle");
    else
        reflector_retry(refl, "list", response);
}

void reflector_stream_overdue(struct reflector *refl)
{
    reflector_watch_give_up(refl);
    reflector_list_failed(refl);
    streams_avoid(refl, "the end of the list did not come in time");
    reflector_list(refl);
}

/* ---- the end of a watch ---- */

/* The transfer ended without a word from on_line(). */
static void watch_ended(struct reflector *refl, const struct kube_response *response,
                        uint64_t lived_ms)
{
    if (response->code == CODE_OK && lived_ms > WATCH_PROVEN_MS) {
        reflector_proceed(refl);
        return;
    }
    if (response->code == CODE_OK) {
        reflector_retry_useless(refl, "watch", "the server ended the watch at once");
        return;
    }
    counter_add(&refl->stats.reconnects, 1);
    /* It may have been dead since its last word: a server that was restored meanwhile can be past our
     * version without having told us what changed. */
    if (refl->watch_open_us || response->status == 0 || response->code == CODE_DEADLINE_EXCEEDED)
        reflector_must_list(refl, RELIST_LOST);
    reflector_retry(refl, "watch", response);
}

static void watch_judged(struct reflector *refl, const struct kube_response *response,
                         uint64_t lived_ms)
{
    switch (refl->verdict) {
    case VERDICT_GONE:
        reflector_retry_gone(refl, "watch", refl->verdict_err.msg);
        return;
    case VERDICT_MALFORMED:
        reflector_must_list(refl, RELIST_MALFORMED);
        reflector_retry_useless(refl, "watch", refl->verdict_err.msg);
        return;
    case VERDICT_REWOUND:
        reflector_must_list(refl, RELIST_REWOUND);
        reflector_retry_gone(refl, "watch", refl->verdict_err.msg);
        return;
    case VERDICT_SERVER_ERROR:
        reflector_retry(refl, "watch", &refl->verdict_status);
        return;
    case VERDICT_NO_STREAM:
    case VERDICT_NONE:
        break;
    }
    if (response->code == CODE_OUT_OF_RANGE)
        reflector_retry_gone(refl, "watch", response->message);
    else
        watch_ended(refl, response, lived_ms);
}

static void on_watch_done(void *ctx, const struct kube_response *response)
{
    struct reflector *refl = ctx;
    CLEANUP(kube_request_freep) unused_arg struct kube_request *over = TAKE(refl->request);
    uint64_t now_us = loop_now_us(refl->loop);
    uint64_t lived_ms = refl->watch_open_us ? (now_us - refl->watch_open_us) / 1000 : 0;

    timer_stop(refl->timer);
    lines_reset(&refl->lines);
    if (refl->must_list) {
        stream_ended(refl, response);
        return;
    }
    if (refl->watch_open_us)
        refl->unwatched_since_us = now_us;
    if (lived_ms >= WATCH_SETTLED_MS)
        backoff_reset(&refl->backoff);
    watch_judged(refl, response, lived_ms);
}

void reflector_watch_give_up(struct reflector *refl)
{
    counter_add(&refl->stats.reconnects, 1);
    kube_request_free(TAKE(refl->request));
    timer_stop(refl->timer);
    lines_reset(&refl->lines);
}

/* ---- the beginning ---- */

static void watch_request(struct reflector *refl, struct buf *path, uint64_t idle_ms)
{
    refl->verdict = VERDICT_NONE;
    refl->bookmarked = false;
    refl->watch_from = reflector_version(refl);
    refl->watch_open_us = 0;
    reflector_request(refl,
                      &(struct kube_request_options){.path = buf_cstr(path),
                                                     .watch = true,
                                                     .idle_timeout_ms = idle_ms,
                                                     .on_open = on_watch_open,
                                                     .on_data = on_watch_data,
                                                     .on_done = on_watch_done,
                                                     .ctx = refl},
                      refl->must_list ? "list" : "watch");
}

/* Behind what says from where. */
static void path_end(struct reflector *refl, struct buf *path)
{
    refl->watch_seconds = random_range(WATCH_SECONDS_MIN, WATCH_SECONDS_MAX);
    (void)buf_printf(path, "&allowWatchBookmarks=true&timeoutSeconds=%llu",
                     (unsigned long long)refl->watch_seconds);
}

void reflector_watch(struct reflector *refl)
{
    struct buf path = BUFFER_INIT(PATH_BYTES_MAX);

    (void)buf_printf(&path, "%s?watch=1", refl->options.path);
    query_add(&path, "&resourceVersion", str_of(refl->version));
    path_end(refl, &path);
    watch_request(refl, &path, watch_idle_ms(refl));
    buf_done(&path);
}

void reflector_stream(struct reflector *refl)
{
    struct buf path = BUFFER_INIT(PATH_BYTES_MAX);

    reflector_list_close(refl);
    (void)buf_printf(&path, "%s?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
                     refl->options.path);
    path_end(refl, &path);
    watch_request(refl, &path, refl->options.stream_ms);
    buf_done(&path);
}
