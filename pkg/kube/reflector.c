#include "kube/reflector_internal.h"

#include "base/log.h"

#define PAGE_SIZE 500
#define PAGE_BYTES_MAX (64 * 1024 * 1024)
#define LINE_BYTES_MAX (8 * 1024 * 1024)
#define WATCH_IDLE_MS 150000 /* servers that send bookmarks send one a minute */
#define STREAM_IDLE_MS 10000
#define PROBE_MS 60000
#define ABSENT_MS 30000
#define UNWATCHED_MAX_US 5000000
#define BACKOFF_BASE_MS 800
#define BACKOFF_MAX_MS 30000
#define BACKOFF_AWAY_MAX_MS 5000 /* a server that is away: clients wait for the end of it */
#define EARLY_FAILURES_MAX 3      /* of NEED_IF_EASY: then it keeps nobody waiting */
#define CAUSE_MAX (FAIL_MESSAGE_MAX - 64)

void reflector_set_text(char **slot, struct str text)
{
    char *copy = text.len > 0 ? str_dup(text) : NULL;

    free(*slot);
    *slot = copy;
}

uint64_t reflector_version(const struct reflector *refl)
{
    uint64_t version = 0;

    if (!refl->version || !str_to_u64(str_of(refl->version), UINT64_MAX, &version))
        return 0;
    return version;
}

void reflector_contact(struct reflector *refl)
{
    counter_set(&refl->stats.last_contact_us, loop_now_us(refl->loop));
}

void reflector_tell_synced(struct reflector *refl)
{
    if (refl->synced)
        return;
    refl->synced = true;
    if (refl->options.on_synced)
        refl->options.on_synced(refl->options.ctx);
}

bool reflector_named(struct reflector *refl, const struct object_meta *meta, const char *where)
{
    if (meta->name.len > 0)
        return true;
    counter_add(&refl->stats.bad_objects, 1);
    log_warn(LOG_KUBE, "object without metadata.name skipped",
             KV_STR("resource", refl->options.label), KV_STR("in", where),
             KV_TEXT("namespace", meta->namespace_name), KV_TEXT("version", meta->version));
    return false;
}

/* ---- failing and recovering ---- */

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
 * absence, and clients wait for the end of it. So delays begin anew with the first refusal, once. */
static void note_return(struct reflector *refl, const struct kube_response *response)
{
    if (!refl->away || refl->back || response->status < 400 || is_away(response))
        return;
    refl->back = true;
    backoff_reset(&refl->backoff);
}

static uint64_t backoff_max_ms(struct reflector *refl, const struct kube_response *response)
{
    refl->away = refl->away || is_away(response);
    return refl->away && response->status != STATUS_TOO_MANY_REQUESTS ? BACKOFF_AWAY_MAX_MS
                                                                      : BACKOFF_MAX_MS;
}

static void note_forbidden(struct reflector *refl, const struct kube_response *response)
{
    if (response->status != STATUS_FORBIDDEN)
        refl->forbidden_since_us = 0;
    else if (refl->forbidden_since_us == 0)
        refl->forbidden_since_us = loop_now_us(refl->loop);
}

/* How long 403 has to be the only answer yet before it is absence; UINT64_MAX: it never is. */
static uint64_t forbidden_left_us(const struct reflector *refl)
{
    uint64_t end_us = refl->forbidden_since_us + refl->options.forbidden_ms * 1000;
    uint64_t now = loop_now_us(refl->loop);

    if (refl->forbidden_since_us == 0 || refl->options.need != NEED_IF_SERVED ||
        refl->options.forbidden_ms == 0 || refl->version)
        return UINT64_MAX;
    return end_us > now ? end_us - now : 0;
}

/* A resource that is not there, or not for us, and need not be. */
static bool is_absence(const struct reflector *refl, const struct kube_response *response)
{
    if (response->status == STATUS_FORBIDDEN)
        return refl->options.need == NEED_IF_EASY || forbidden_left_us(refl) == 0;
    return refl->options.need != NEED_REQUIRED && response->status == STATUS_NOT_FOUND;
}

/* The server's words, and ours where it takes a person to mend it. */
static void format_cause(const struct reflector *refl, const struct kube_response *response,
                         char out[CAUSE_MAX])
{
    if (response->status == STATUS_FORBIDDEN && refl->options.forbidden_advice)
        snprintf(out, CAUSE_MAX, "%s is forbidden: %s (%s)", refl->options.label,
                 refl->options.forbidden_advice, response->message);
    else
        snprintf(out, CAUSE_MAX, "%s", response->message);
}

static void serve_without(struct reflector *refl, const struct kube_response *response)
{
    bool missing = response->status == STATUS_FORBIDDEN && refl->options.need == NEED_IF_SERVED;
    char cause[CAUSE_MAX];

    format_cause(refl, response, cause);
    if (counter_get(&refl->stats.absent) == 0)
        log_at(missing ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, LOG_KUBE,
               refl->version ? "optional resource is gone, keeping what is known"
               : missing     ? "serving without a resource, for want of a right"
                             : "optional resource is not there, serving without it",
               KV_STR("resource", refl->options.label), KV_STR("cause", cause),
               KV_U64("asking_again_in_ms", refl->options.absent_ms));
    if (!refl->version) /* what is known is that there is nothing */
        reflector_contact(refl);
    counter_set(&refl->stats.absent, 1);
    snprintf(refl->last_error, sizeof(refl->last_error), "%s are absent: %s", refl->options.label,
             cause);
    refl->failing = false;
    backoff_reset(&refl->backoff);
    reflector_must_list(refl, RELIST_LOST);
    timer_start(refl->timer, refl->options.absent_ms);
    reflector_tell_synced(refl);
}

void reflector_retry(struct reflector *refl, const char *doing,
                     const struct kube_response *response)
{
    char cause[CAUSE_MAX];
    uint64_t delay_ms;

    note_forbidden(refl, response);
    if (is_absence(refl, response)) {
        serve_without(refl, response);
        return;
    }
    if (response->status == 0)
        refl->stream_refused_until_us = 0; /* whoever answers next may be another server */
    note_return(refl, response);
    refl->backoff.max_ms = backoff_max_ms(refl, response);
    delay_ms = backoff_next_ms(&refl->backoff, response->retry_after_ms);
    /* It lives, and waiting was its wish. */
    if (response->status == STATUS_TOO_MANY_REQUESTS)
        refl->unwatched_since_us = loop_now_us(refl->loop) + delay_ms * 1000;
    counter_add(&refl->stats.errors, 1);
    format_cause(refl, response, cause);
    announce(refl, doing, cause, delay_ms);
    timer_start(refl->timer, min_u64(delay_ms, forbidden_left_us(refl) / 1000 + 1));
    if (refl->options.need == NEED_IF_EASY && ++refl->early_failures >= EARLY_FAILURES_MAX)
        reflector_tell_synced(refl);
}

void reflector_retry_useless(struct reflector *refl, const char *doing, const char *cause)
{
    reflector_retry(
        refl, doing,
        &(struct kube_response){.status = 200, .code = CODE_DATA_LOSS, .message = cause});
}

/* That is no failure of the server, so the first list goes out at once. A server that keeps saying
 * so is asked ever more slowly. */
void reflector_retry_gone(struct reflector *refl, const char *doing, const char *cause)
{
    bool at_once = refl->backoff.attempts == 0;

    reflector_must_list(refl, RELIST_GONE);
    if (!at_once) {
        reflector_retry_useless(refl, doing, cause);
        return;
    }
    (void)backoff_next_ms(&refl->backoff, 0);
    log_info(LOG_KUBE, "resource version is gone, listing again",
             KV_STR("resource", refl->options.label), KV_STR("cause", cause));
    reflector_obtain(refl);
}

void reflector_recovered(struct reflector *refl)
{
    refl->last_error[0] = '\0';
    refl->away = refl->back = false;
    refl->forbidden_since_us = 0;
    if (!refl->failing)
        return;
    refl->failing = false;
    log_info(LOG_KUBE, "source is current again", KV_STR("resource", refl->options.label),
             KV_STR("version", refl->version));
}

/* ---- what comes next ---- */

void reflector_must_list(struct reflector *refl, enum relist_cause cause)
{
    if (!refl->must_list)
        counter_add(&refl->stats.relists[cause], 1);
    refl->must_list = true;
}

void reflector_request(struct reflector *refl, const struct kube_request_options *options,
                       const char *doing)
{
    struct err err = {0};

    if (kube_request_start(refl->client, options, &refl->request, &err) == CODE_OK)
        return;
    if (refl->must_list)
        reflector_list_failed(refl);
    reflector_retry(refl, doing, &(struct kube_response){.message = err.msg});
}

void reflector_obtain(struct reflector *refl)
{
    refl->must_list = true;
    if (reflector_may_stream(refl))
        reflector_stream(refl);
    else
        reflector_list(refl);
}

void reflector_proceed(struct reflector *refl)
{
    if (loop_now_us(refl->loop) > refl->unwatched_since_us + UNWATCHED_MAX_US)
        reflector_must_list(refl, RELIST_LOST);
    if (refl->must_list)
        reflector_obtain(refl);
    else
        reflector_watch(refl);
}

void reflector_start_over(struct reflector *refl, enum relist_cause cause)
{
    reflector_must_list(refl, cause);
    reflector_watch_give_up(refl);
    reflector_obtain(refl);
}

static void on_timer(void *ctx)
{
    struct reflector *refl = ctx;

    if (!refl->request)
        reflector_proceed(refl);
    else if (refl->must_list)
        reflector_stream_overdue(refl);
    else
        reflector_recovered(refl);
}

static void on_doubt(void *ctx)
{
    struct reflector *refl = ctx;

    if (refl->must_list)
        return; /* there is a list in progress, or the next attempt is one */
    if (refl->request)
        reflector_start_over(refl, RELIST_DOUBT);
    else
        reflector_must_list(refl, RELIST_DOUBT);
}

/* ---- public ---- */

static void options_complete(struct reflector_options *options)
{
    const struct {
        uint64_t *value;
        uint64_t otherwise;
    } defaults[] = {
        {&options->page_size, PAGE_SIZE},   {&options->page_bytes, PAGE_BYTES_MAX},
        {&options->idle_ms, WATCH_IDLE_MS}, {&options->stream_ms, STREAM_IDLE_MS},
        {&options->probe_ms, PROBE_MS},     {&options->absent_ms, ABSENT_MS},
    };

    for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
        if (*defaults[i].value == 0)
            *defaults[i].value = defaults[i].otherwise;
    options->label = xstrdup(options->label ? options->label : options->path);
    options->path = xstrdup(options->path);
}

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
    options_complete(&refl->options);
    refl->backoff = (struct backoff){.base_ms = BACKOFF_BASE_MS, .max_ms = BACKOFF_MAX_MS};
    refl->timer = timer_new(refl->loop, on_timer, refl);
    refl->doubt = timer_new(refl->loop, on_doubt, refl);
    lines_init(&refl->lines, LINE_BYTES_MAX);
    buf_init(&refl->page, refl->options.page_bytes);
    snprintf(refl->last_error, sizeof(refl->last_error), "the first list of %s is not complete",
             refl->options.label);
    reflector_probe_init(refl);
    reflector_obtain(refl);
    *ret_reflector = refl;
    return CODE_OK;
}

void reflector_free(struct reflector *refl)
{
    if (!refl)
        return;
    reflector_probe_done(refl);
    kube_request_free(refl->request);
    timer_free(refl->doubt);
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

const char *reflector_problem(const struct reflector *refl)
{
    return refl->failing ? refl->last_error : "";
}

const char *relist_cause_name(enum relist_cause cause)
{
    static const char *const names[RELIST_CAUSES] = {
        [RELIST_GONE] = "gone",       [RELIST_LOST] = "lost",     [RELIST_MALFORMED] = "malformed",
        [RELIST_REWOUND] = "rewound", [RELIST_BEHIND] = "behind", [RELIST_DOUBT] = "doubt",
    };

    return names[cause];
}
