#include "kube/reflector_internal.h"

#include "base/log.h"
#include "base/random.h"

#define PROBE_BYTES_MAX (8 * 1024 * 1024) /* one object */
#define PATIENCE_GROWTH_MAX 8             /* 12 min: some stores tell their progress every 10 */

/* A bookmark a minute should have come by then. */
static uint64_t patience_base_ms(const struct reflector *refl)
{
    return refl->options.probe_ms * 3 / 2;
}

/* Streaming and paging are lists, and a watch without an answer is no watch yet. */
static bool is_watching(const struct reflector *refl)
{
    return refl->request && !refl->must_list && refl->watch_open_us > 0;
}

static void look_later(struct reflector *refl, uint64_t at_least_ms)
{
    struct probe *probe = &refl->probe;
    uint64_t delay_ms = refl->options.probe_ms;

    if (probe->ahead > 0) {
        uint64_t waited_ms = (loop_now_us(refl->loop) - probe->ahead_since_us) / 1000;
        uint64_t left_ms = probe->patience_ms > waited_ms ? probe->patience_ms - waited_ms : 0;

        delay_ms = min_u64(delay_ms, left_ms);
    }
    timer_start(probe->timer, max_u64(delay_ms, at_least_ms));
}

/* True if the watch had its time to reach a version of the server's, and did not. */
static bool is_behind(struct reflector *refl)
{
    struct probe *probe = &refl->probe;
    uint64_t ours = reflector_version(refl);

    if (probe->ahead == 0)
        return false;
    if (ours == 0 || ours >= probe->ahead) {
        probe->ahead = 0;
        return false;
    }
    return loop_now_us(refl->loop) - probe->ahead_since_us >= probe->patience_ms * 1000;
}

static void give_up_behind(struct reflector *refl)
{
    struct probe *probe = &refl->probe;

    log_info(LOG_KUBE, "the server is ahead of the watch, listing on a new connection",
             KV_STR("resource", refl->options.label), KV_STR("version", refl->version),
             KV_U64("servers_version", probe->ahead), KV_U64("patience_ms", probe->patience_ms));
    probe->given_up_at = reflector_version(refl);
    reflector_start_over(refl, RELIST_BEHIND);
}

/* Both are of the moment when the probe was sent: a watch may have gone on meanwhile. */
static void compare(struct reflector *refl, uint64_t theirs)
{
    struct probe *probe = &refl->probe;
    uint64_t ours = reflector_version(refl);

    counter_add(&refl->stats.probes, 1);
    if (theirs == 0 || probe->ours == 0 || ours == 0)
        return; /* versions that cannot be compared */
    if (theirs < probe->ours) {
        log_warn(LOG_KUBE, "the server is older than what it told us, listing again",
                 KV_STR("resource", refl->options.label), KV_U64("version", probe->ours),
                 KV_U64("servers_version", theirs));
        reflector_start_over(refl, RELIST_REWOUND);
        return;
    }
    if (probe->ahead > 0 && ours >= probe->ahead)
        probe->ahead = 0;
    if (ours >= theirs) {
        counter_set(&refl->stats.last_contact_us,
                    max_u64(counter_get(&refl->stats.last_contact_us), probe->sent_us));
    } else if (probe->ahead == 0) {
        probe->ahead = theirs;
        probe->ahead_since_us = probe->sent_us;
    }
}

/* ---- the request ---- */

static bool on_data(void *ctx, const char *ptr, size_t len)
{
    struct reflector *refl = ctx;

    return buf_append(&refl->probe.page, ptr, len) == CODE_OK;
}

static void on_answer(struct reflector *refl)
{
    CLEANUP(json_freep) struct json *tree = NULL;
    struct list_page page = {0};
    struct err err = {0};
    uint64_t theirs = 0;

    if (list_page_parse(buf_str(&refl->probe.page), &tree, &page, &err) != CODE_OK) {
        counter_add(&refl->stats.malformed, 1);
        log_debug(LOG_KUBE, "malformed answer to a probe", KV_STR("resource", refl->options.label),
                  KV_ERR(&err));
        return;
    }
    if (str_to_u64(page.version, UINT64_MAX, &theirs))
        compare(refl, theirs);
}

/* A probe that fails says nothing about the watch, which goes on. */
static void on_done(void *ctx, const struct kube_response *response)
{
    struct reflector *refl = ctx;
    CLEANUP(kube_request_freep)
    unused_arg struct kube_request *over = TAKE(refl->probe.request);

    if (response->code == CODE_OK && is_watching(refl)) {
        on_answer(refl);
    } else if (response->code != CODE_OK) {
        counter_add(&refl->stats.errors, 1);
        log_debug(LOG_KUBE, "probe failed", KV_STR("resource", refl->options.label),
                  KV_STR("error", response->message));
    }
    buf_done(&refl->probe.page);
    buf_init(&refl->probe.page, PROBE_BYTES_MAX);
    look_later(refl, response->retry_after_ms);
}

static void probe_send(struct reflector *refl)
{
    struct probe *probe = &refl->probe;
    struct buf path = BUFFER_INIT(PATH_BYTES_MAX);
    enum code code;

    probe->ours = reflector_version(refl);
    probe->sent_us = loop_now_us(refl->loop);
    (void)buf_printf(&path, "%s?limit=1", refl->options.path);
    code = kube_request_start(refl->client,
                              &(struct kube_request_options){.path = buf_cstr(&path),
                                                             .idle_timeout_ms = LIST_IDLE_MS,
                                                             .max_body = PROBE_BYTES_MAX,
                                                             .on_data = on_data,
                                                             .on_done = on_done,
                                                             .ctx = refl},
                              &probe->request, NULL);
    buf_done(&path);
    if (code != CODE_OK)
        look_later(refl, 0);
}

static void on_look(void *ctx)
{
    struct reflector *refl = ctx;

    if (!is_watching(refl))
        look_later(refl, 0);
    else if (is_behind(refl))
        give_up_behind(refl);
    else
        probe_send(refl);
}

/* ---- for the reflector ---- */

void reflector_probe_init(struct reflector *refl)
{
    struct probe *probe = &refl->probe;

    probe->timer = timer_new(refl->loop, on_look, refl);
    probe->patience_ms = patience_base_ms(refl);
    buf_init(&probe->page, PROBE_BYTES_MAX);
    /* Replicas that start together need not ask together. */
    timer_start(probe->timer, random_range(refl->options.probe_ms / 2, refl->options.probe_ms));
}

void reflector_probe_done(struct reflector *refl)
{
    kube_request_free(refl->probe.request);
    timer_free(refl->probe.timer);
    buf_done(&refl->probe.page);
}

/* Was the watch stuck, or are this server's bookmarks slow? */
static void judge(struct reflector *refl)
{
    struct probe *probe = &refl->probe;
    uint64_t base_ms = patience_base_ms(refl);

    if (refl->list_newest > probe->given_up_at) {
        log_warn(LOG_KUBE, "the watch was stuck: the list has what it did not tell",
                 KV_STR("resource", refl->options.label), KV_U64("version", probe->given_up_at),
                 KV_U64("newest", refl->list_newest));
        probe->patience_ms = base_ms;
    } else {
        probe->patience_ms = min_u64(probe->patience_ms * 2, base_ms * PATIENCE_GROWTH_MAX);
    }
    probe->given_up_at = 0;
}

void reflector_probe_listed(struct reflector *refl)
{
    struct probe *probe = &refl->probe;

    if (probe->given_up_at > 0)
        judge(refl);
    kube_request_free(TAKE(probe->request)); /* its answer is from before the list */
    probe->ahead = 0;
    look_later(refl, 0);
}
