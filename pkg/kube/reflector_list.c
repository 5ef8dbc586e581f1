#include "kube/reflector_internal.h"

#include "base/log.h"

/* ---- what a list means, in whatever way it comes ---- */

void reflector_list_close(struct reflector *refl)
{
    refl->list_open = false;
    refl->list_newest = 0;
    reflector_set_text(&refl->next, STR(""));
    buf_done(&refl->page);
    buf_init(&refl->page, refl->options.page_bytes);
}

void reflector_list_failed(struct reflector *refl)
{
    if (refl->list_open)
        refl->options.sink->list_abort(refl->options.sink_ctx);
    refl->must_list = true;
    reflector_list_close(refl);
}

void reflector_list_open(struct reflector *refl)
{
    if (!refl->list_open)
        refl->options.sink->list_begin(refl->options.sink_ctx);
    refl->list_open = true;
}

void reflector_list_object(struct reflector *refl, const struct json *object)
{
    struct object_meta meta = object_meta_read(object);
    uint64_t version;

    reflector_list_open(refl);
    if (!reflector_named(refl, &meta, "list"))
        return;
    if (str_to_u64(meta.version, UINT64_MAX, &version))
        refl->list_newest = max_u64(refl->list_newest, version);
    refl->options.sink->list_object(refl->options.sink_ctx, object);
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

static void present_again(struct reflector *refl)
{
    if (counter_get(&refl->stats.absent) == 0)
        return;
    counter_set(&refl->stats.absent, 0);
    log_info(LOG_KUBE, "optional resource is there now", KV_STR("resource", refl->options.label));
}

void reflector_list_complete(struct reflector *refl, struct str version, struct counter *kind)
{
    const struct kube_sink *sink = refl->options.sink;

    reflector_list_open(refl); /* it may be empty */
    if (sink->list_end(refl->options.sink_ctx))
        timer_stop(refl->doubt);
    else
        timer_start(refl->doubt, KUBE_SINK_DOUBT_MS);
    version_warn(refl, version);
    reflector_set_text(&refl->version, version);
    reflector_probe_listed(refl);
    reflector_list_close(refl);
    refl->must_list = false;
    refl->unwatched_since_us = loop_now_us(refl->loop);
    counter_add(kind, 1);
    reflector_contact(refl);
    present_again(refl);
    reflector_tell_synced(refl);
}

/* ---- pages ---- */

static void page_request(struct reflector *refl);

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
    reflector_list(refl);
    return true;
}

static void page_deliver(struct reflector *refl, const struct list_page *page)
{
    reflector_list_open(refl);
    for (const struct json *item = json_first(page->items); item; item = json_next(item))
        reflector_list_object(refl, item);
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
        reflector_list_failed(refl);
        if (code == CODE_RESOURCE_EXHAUSTED && page_shrink(refl, err.msg))
            return;
        counter_add(&refl->stats.malformed, 1);
        reflector_retry_useless(refl, "list", err.msg);
        return;
    }
    buf_reset(&refl->page);
    page_deliver(refl, &page);
    if (page.next.len == 0) {
        reflector_list_complete(refl, page.version, &refl->stats.lists_paged);
        reflector_watch(refl);
        return;
    }
    reflector_set_text(&refl->next, page.next);
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
    reflector_list_failed(refl);
    if (too_large && page_shrink(refl, response->message))
        return;
    if (response->code == CODE_OUT_OF_RANGE && later_page)
        reflector_retry_gone(refl, "list", response->message);
    else
        reflector_retry(refl, "list", response);
}

static void page_request(struct reflector *refl)
{
    struct buf path = BUFFER_INIT(PATH_BYTES_MAX);

    (void)buf_printf(&path, "%s?limit=%llu", refl->options.path,
                     (unsigned long long)refl->options.page_size);
    if (refl->next)
        query_add(&path, "&continue", str_of(refl->next));
    reflector_request(refl,
                      &(struct kube_request_options){.path = buf_cstr(&path),
                                                     .idle_timeout_ms = LIST_IDLE_MS,
                                                     .max_body = refl->options.page_bytes,
                                                     .on_data = on_page_data,
                                                     .on_done = on_page_done,
                                                     .ctx = refl},
                      "list");
    buf_done(&path);
}

void reflector_list(struct reflector *refl)
{
    reflector_list_close(refl);
    page_request(refl);
}
