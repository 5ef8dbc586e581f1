#include "kube/reflector.h"

#include "base/backoff.h"
#include "base/log.h"
#include "base/random.h"
#include "kube/lines.h"
#include "kube/object.h"
#include "kube/query.h"

#define PAGE_SIZE 500
#define PAGE_BYTES_MAX (64 * 1024 * 1024)
#define LIST_IDLE_MS 30000
#define LINE_BYTES_MAX (8 * 1024 * 1024)
#define WATCH_SECONDS_MIN 300
#define WATCH_SECONDS_MAX 600
#define WATCH_GRACE_SECONDS 30 /* silent for so long after the end it was to have: dead */
#define WATCH_IDLE_MS 150000   /* servers that send bookmarks send one a minute */
#define WATCH_PROVEN_MS 1000   /* a watch that lived so long was a success */
#define WATCH_SETTLED_MS 10000 /* and one that lived so long ends the growth of delays */
#define UNWATCHED_MAX_US 5000000
#define BACKOFF_BASE_MS 800
#define BACKOFF_MAX_MS 30000
#define BACKOFF_AWAY_MAX_MS 10000 /* a server that is away: clients wait for the end of it */
#define STATUS_TOO_MANY_REQUESTS 429
#define LOGGED_LINE_MAX 200
#define PATH_BYTES_MAX (4 * CONTINUE_TOKEN_MAX)

/* Why the reader of a watch ended it. */
enum verdict { VERDICT_NONE, VERDICT_GONE, VERDICT_SERVER_ERROR, VERDICT_MALFORMED };

struct reflector {
    struct kube_client *client;
    struct loop *loop;
    struct reflector_options options; /* path and label are ours */
    struct kube_request *request;     /* a page or a watch; NULL while waiting */
    struct timer *timer;              /* waiting: the next attempt; watching: proven */
    struct backoff backoff;
    char *version; /* the newest we saw; NULL before the first list */
    bool synced;
    bool must_list; /* resuming is impossible or unsafe */
    bool failing;   /* an episode of failures was announced */
    bool away;      /* and the server was not there, or answered 5xx, in it */

    /* the list in progress */
    struct buf page;
    char *next;       /* its continue token */
    bool page_shrunk; /* said once that pages were too large */
    bool list_open;

    /* the watch in progress */
    struct lines lines;
    bool bookmarked; /* by this watch */
    enum verdict verdict;
    struct err verdict_err;
    struct kube_response verdict_status; /* of VERDICT_SERVER_ERROR; its message is verdict_err's */
    uint64_t watch_open_us;              /* 0: no answer yet */
    uint64_t unwatched_since_us;

    struct reflector_stats stats;
    char last_error[FAIL_MESSAGE_MAX];
};

static void proceed(struct reflector *refl);

static void text_set(char **slot, struct str text)
{
    char *copy = text.len > 0 ? str_dup(text) : NULL;

    free(*slot);
    *slot = copy;
}

/* ---- failing and recovering ---- */

static void contact(struct reflector *refl)
{
    counter_set(&refl->stats.last_contact_us, loop_now_us(refl->loop));
}

/* One warning per episode; the rest of it is for debugging. */
static void announce(struct reflector *refl, const char *doing, const char *cause,
                     uint64_t delay_ms)
{
    enum log_level level = refl->failing ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN;
    char next[64];

    refl->failing = true;
    snprintf(refl->last_error, sizeof(refl->last_error), "cannot %s %s: %s", doing,
             refl->options.label, cause);
    snprintf(next, sizeof(next), "retrying in %llu ms", (unsigned long long)delay_ms);
    log_at(level, LOG_KUBE,
           refl->synced ? "source is behind, keeping what is known" : "source is not available",
           KV_STR("resource", refl->options.label), KV_STR("error", refl->last_error),
           KV_STR("next", next));
}

static bool is_away(const struct kube_response *response)
{
    return response->status == 0 || response->status >= 500 || response->code == CODE_UNAVAILABLE ||
           response->code == CODE_DEADLINE_EXCEEDED;
}

/* A server that comes back may refuse us until it has read its own rules: that belongs to its
 * absence, and clients wait for the end of it. */
static uint64_t backoff_max_ms(struct reflector *refl, const struct kube_response *response)
{
    refl->away = refl->away || is_away(response);
    return refl->away && response->status != STATUS_TOO_MANY_REQUESTS ? BACKOFF_AWAY_MAX_MS
                                                                      : BACKOFF_MAX_MS;
}

static void retry_later(struct reflector *refl, const char *doing,
                        const struct kube_response *response)
{
    uint64_t delay_ms;

    refl->backoff.max_ms = backoff_max_ms(refl, response);
    delay_ms = backoff_next_ms(&refl->backoff, response->retry_after_ms);
    /* It lives, and waiting was its wish. */
    if (response->status == STATUS_TOO_MANY_REQUESTS)
        refl->unwatched_since_us = loop_now_us(refl->loop) + delay_ms * 1000;
    counter_add(&refl->stats.errors, 1);
    announce(refl, doing, response->message, delay_ms);
    timer_start(refl->timer, delay_ms);
}

/* What it answered was of no use. */
static void retry_useless(struct reflector *refl, const char *doing, const char *cause)
{
    retry_later(refl, doing,
                &(struct kube_response){.status = 200, .code = CODE_DATA_LOSS, .message = cause});
}

/* Our version is too old: that is no failure of the server, so the first list goes out at once. A
 * server that keeps saying so is asked ever more slowly. */
static void list_again(struct reflector *refl, const char *doing, const char *cause)
{
    bool at_once = refl->backoff.attempts == 0;

    refl->must_list = true;
    counter_add(&refl->stats.relists_gone, 1);
    if (!at_once) {
        retry_useless(refl, doing, cause);
        return;
    }
    (void)backoff_next_ms(&refl->backoff, 0);
    log_info(LOG_KUBE, "resource version is gone, listing again",
             KV_STR("resource", refl->options.label), KV_STR("cause", cause));
    proceed(refl);
}

static void recovered(struct reflector *refl)
{
    refl->last_error[0] = '\0';
    refl->away = false;
    if (!refl->failing)
        return;
    refl->failing = false;
    log_info(LOG_KUBE, "source is current again", KV_STR("resource", refl->options.label),
             KV_STR("version", refl->version));
}

static void on_timer(void *ctx)
{
    struct reflector *refl = ctx;

    if (refl->request)
        recovered(refl);
    else
        proceed(refl);
}

/* ---- objects ---- */

/* False if the object has no name: it is skipped, the others live on. */
static bool object_named(struct reflector *refl, const struct object_meta *meta, const char *where)
{
    if (meta->name.len > 0)
        return true;
    counter_add(&refl->stats.bad_objects, 1);
    log_warn(LOG_KUBE, "object without metadata.name skipped",
             KV_STR("resource", refl->options.label), KV_STR("in", where),
             KV_TEXT("namespace", meta->namespace_name), KV_TEXT("version", meta->version));
    return false;
}

/* ---- listing ---- */

static void watch_start(struct reflector *refl);
static void page_request(struct reflector *refl);
static void view_obtain(struct reflector *refl);

static void list_close(struct reflector *refl)
{
    refl->list_open = false;
    text_set(&refl->next, STR(""));
    buf_done(&refl->page);
    buf_init(&refl->page, refl->options.page_bytes);
}

static void list_failed(struct reflector *refl)
{
    if (refl->list_open)
        refl->options.sink->list_abort(refl->options.sink_ctx);
    refl->must_list = true;
    list_close(refl);
}

static void version_warn(const struct reflector *refl, struct str version)
{
    uint64_t seen;
    uint64_t now;

    if (refl->version && str_to_u64(str_of(refl->version), UINT64_MAX, &seen) &&
        str_to_u64(version, UINT64_MAX, &now) && now < seen)
        log_warn(LOG_KUBE, "the server's resource version went back, taking its list as it is",
                 KV_STR("resource", refl->options.label), KV_U64("from", seen), KV_U64("to", now));
}

static void list_complete(struct reflector *refl, struct str version)
{
    bool first = !refl->synced;

    (void)refl->options.sink->list_end(refl->options.sink_ctx);
    version_warn(refl, version);
    text_set(&refl->version, version);
    list_close(refl);
    refl->must_list = false;
    refl->synced = true;
    refl->unwatched_since_us = loop_now_us(refl->loop);
    counter_add(&refl->stats.lists, 1);
    contact(refl);
    if (first && refl->options.on_synced)
        refl->options.on_synced(refl->options.ctx);
    watch_start(refl);
}

static void page_deliver(struct reflector *refl, const struct list_page *page)
{
    const struct kube_sink *sink = refl->options.sink;

    if (!refl->list_open)
        sink->list_begin(refl->options.sink_ctx);
    refl->list_open = true;
    for (const struct json *item = json_first(page->items); item; item = json_next(item)) {
        struct object_meta meta = object_meta_read(item);

        if (object_named(refl, &meta, "list"))
            sink->list_object(refl->options.sink_ctx, item);
    }
}

/* Fewer objects fit: asked for at once, and from now on. False if one object alone is too large. */
static bool page_shrink(struct reflector *refl, const char *cause)
{
    enum log_level level = refl->page_shrunk ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN;

    if (refl->options.page_size == 1)
        return false;
    refl->page_shrunk = true;
    refl->options.page_size /= 2;
    counter_add(&refl->stats.errors, 1);
    log_at(level, LOG_KUBE, "page is too large, listing again in smaller ones",
           KV_STR("resource", refl->options.label), KV_STR("error", cause),
           KV_U64("limit", refl->options.page_size));
    view_obtain(refl);
    return true;
}

static void on_page(struct reflector *refl)
{
    CLEANUP(json_freep) struct json *tree = NULL;
    struct list_page page = {0};
    struct err err = {0};
    enum code code = list_page_parse(buf_str(&refl->page), &tree, &page, &err);

    if (code == CODE_OK && refl->next && str_eq(page.next, str_of(refl->next)))
        code = fail(&err, CODE_DATA_LOSS, "metadata.continue: the same as before");
    if (code != CODE_OK) {
        list_failed(refl);
        if (code == CODE_RESOURCE_EXHAUSTED && page_shrink(refl, err.msg))
            return;
        counter_add(&refl->stats.malformed, 1);
        retry_useless(refl, "list", err.msg);
        return;
    }
    buf_reset(&refl->page);
    page_deliver(refl, &page);
    if (page.next.len == 0) {
        list_complete(refl, page.version);
        return;
    }
    text_set(&refl->next, page.next);
    page_request(refl);
}

static bool on_page_data(void *ctx, const char *ptr, size_t len)
{
    struct reflector *refl = ctx;

    return buf_append(&refl->page, ptr, len) == CODE_OK;
}

static void on_page_done(void *ctx, const struct kube_response *response)
{
    struct reflector *refl = ctx;
    /* Lives as long as `response` is read. */
    CLEANUP(kube_request_freep) unused_arg struct kube_request *over = TAKE(refl->request);
    bool later_page = refl->next != NULL;
    bool too_large =
        response->code == CODE_RESOURCE_EXHAUSTED && response->status != STATUS_TOO_MANY_REQUESTS;

    if (response->code == CODE_OK) {
        on_page(refl);
        return;
    }
    list_failed(refl);
    if (too_large && page_shrink(refl, response->message))
        return;
    if (response->code == CODE_OUT_OF_RANGE && later_page)
        list_again(refl, "list", response->message);
    else
        retry_later(refl, "list", response);
}

static void request_begin(struct reflector *refl, const struct kube_request_options *options,
                          const char *doing)
{
    struct err err = {0};

    if (kube_request_start(refl->client, options, &refl->request, &err) == CODE_OK)
        return;
    list_failed(refl);
    retry_later(refl, doing, &(struct kube_response){.message = err.msg});
}

static void page_request(struct reflector *refl)
{
    struct buf path = BUFFER_INIT(PATH_BYTES_MAX);

    (void)buf_printf(&path, "%s?limit=%llu", refl->options.path,
                     (unsigned long long)refl->options.page_size);
    if (refl->next)
        query_add(&path, "&continue", str_of(refl->next));
    request_begin(refl,
                  &(struct kube_request_options){.path = buf_cstr(&path),
                                                 .idle_timeout_ms = LIST_IDLE_MS,
                                                 .max_body = refl->options.page_bytes,
                                                 .on_data = on_page_data,
                                                 .on_done = on_page_done,
                                                 .ctx = refl},
                  "list");
    buf_done(&path);
}

/* The one place that decides how a full view is obtained: by a paged list at the newest version. */
static void view_obtain(struct reflector *refl)
{
    refl->must_list = true;
    list_close(refl);
    page_request(refl);
}

/* ---- watching ---- */

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

static void event_deliver(struct reflector *refl, const struct watch_event *event)
{
    const struct kube_sink *sink = refl->options.sink;

    counter_add(&refl->stats.events, 1);
    if (!object_named(refl, &event->meta, "watch"))
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

static bool on_line(void *ctx, struct str line)
{
    struct reflector *refl = ctx;
    CLEANUP(json_freep) struct json *tree = NULL;
    struct watch_event event = {0};

    if (watch_event_parse(line, &tree, &event, &refl->verdict_err) != CODE_OK)
        return line_malformed(refl, line);
    if (event.type == WATCH_ERROR)
        return server_error(refl, &event);
    if (event.type == WATCH_BOOKMARK)
        on_bookmark(refl);
    else
        event_deliver(refl, &event);
    text_set(&refl->version, event.meta.version);
    contact(refl);
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

    refl->watch_open_us = loop_now_us(refl->loop);
    counter_add(&refl->stats.watches, 1);
    contact(refl);
    timer_start(refl->timer, WATCH_PROVEN_MS);
}

/* The transfer ended without a word from on_line(). */
static void watch_ended(struct reflector *refl, const struct kube_response *response,
                        uint64_t lived_ms)
{
    if (response->code == CODE_OK && lived_ms > WATCH_PROVEN_MS) {
        proceed(refl);
        return;
    }
    if (response->code == CODE_OK) {
        retry_useless(refl, "watch", "the server ended the watch at once");
        return;
    }
    /* Who knows what happened to the server meanwhile. */
    if (response->status == 0 || response->code == CODE_DEADLINE_EXCEEDED)
        refl->must_list = true;
    retry_later(refl, "watch", response);
}

static void on_watch_done(void *ctx, const struct kube_response *response)
{
    struct reflector *refl = ctx;
    CLEANUP(kube_request_freep) unused_arg struct kube_request *over = TAKE(refl->request);
    uint64_t now_us = loop_now_us(refl->loop);
    uint64_t lived_ms = refl->watch_open_us ? (now_us - refl->watch_open_us) / 1000 : 0;

    timer_stop(refl->timer);
    lines_reset(&refl->lines);
    if (refl->watch_open_us)
        refl->unwatched_since_us = now_us;
    if (lived_ms >= WATCH_SETTLED_MS)
        backoff_reset(&refl->backoff);
    if (refl->verdict == VERDICT_GONE) {
        list_again(refl, "watch", refl->verdict_err.msg);
    } else if (refl->verdict == VERDICT_MALFORMED) {
        refl->must_list = true;
        retry_useless(refl, "watch", refl->verdict_err.msg);
    } else if (refl->verdict == VERDICT_SERVER_ERROR) {
        retry_later(refl, "watch", &refl->verdict_status);
    } else if (response->code == CODE_OUT_OF_RANGE) {
        list_again(refl, "watch", response->message);
    } else {
        watch_ended(refl, response, lived_ms);
    }
}

static void watch_start(struct reflector *refl)
{
    struct buf path = BUFFER_INIT(PATH_BYTES_MAX);
    uint64_t seconds = random_range(WATCH_SECONDS_MIN, WATCH_SECONDS_MAX);

    refl->verdict = VERDICT_NONE;
    refl->bookmarked = false;
    refl->watch_open_us = 0;
    (void)buf_printf(&path, "%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=%llu",
                     refl->options.path, (unsigned long long)seconds);
    query_add(&path, "&resourceVersion", str_of(refl->version));
    request_begin(
        refl,
        &(struct kube_request_options){.path = buf_cstr(&path),
                                       .watch = true,
                                       .idle_timeout_ms = (seconds + WATCH_GRACE_SECONDS) * 1000,
                                       .on_open = on_watch_open,
                                       .on_data = on_watch_data,
                                       .on_done = on_watch_done,
                                       .ctx = refl},
        "watch");
    buf_done(&path);
}

static void proceed(struct reflector *refl)
{
    bool too_long = loop_now_us(refl->loop) > refl->unwatched_since_us + UNWATCHED_MAX_US;

    if (refl->must_list || too_long)
        view_obtain(refl);
    else
        watch_start(refl);
}

/* ---- public ---- */

enum code reflector_new(struct kube_client *client, const struct reflector_options *options,
                        struct reflector **ret_reflector, struct err *err)
{
    struct reflector *refl;

    if (!options->path || options->path[0] != '/')
        return fail(err, CODE_INVALID_ARGUMENT, "path '%s' does not start with '/'",
                    options->path ? options->path : "");
    refl = xcalloc(1, sizeof(*refl));
    refl->client = client;
    refl->loop = kube_client_loop(client);
    refl->options = *options;
    refl->options.path = xstrdup(options->path);
    refl->options.label = xstrdup(options->label ? options->label : options->path);
    if (refl->options.page_size == 0)
        refl->options.page_size = PAGE_SIZE;
    if (refl->options.page_bytes == 0)
        refl->options.page_bytes = PAGE_BYTES_MAX;
    if (refl->options.idle_ms == 0)
        refl->options.idle_ms = WATCH_IDLE_MS;
    refl->backoff = (struct backoff){.base_ms = BACKOFF_BASE_MS, .max_ms = BACKOFF_MAX_MS};
    refl->timer = timer_new(refl->loop, on_timer, refl);
    lines_init(&refl->lines, LINE_BYTES_MAX);
    buf_init(&refl->page, refl->options.page_bytes);
    snprintf(refl->last_error, sizeof(refl->last_error), "the first list of %s is not complete",
             refl->options.label);
    view_obtain(refl);
    *ret_reflector = refl;
    return CODE_OK;
}

void reflector_free(struct reflector *refl)
{
    if (!refl)
        return;
    kube_request_free(refl->request);
    timer_free(refl->timer);
    lines_done(&refl->lines);
    buf_done(&refl->page);
    free(refl->next);
    free(refl->version);
    free((char *)(uintptr_t)refl->options.path);
    free((char *)(uintptr_t)refl->options.label);
    free(refl);
}

bool reflector_synced(const struct reflector *refl)
{
    return refl->synced;
}

const struct reflector_stats *reflector_stats(const struct reflector *refl)
{
    return &refl->stats;
}

const char *reflector_last_error(const struct reflector *refl)
{
    return refl->last_error;
}
