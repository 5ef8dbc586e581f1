#include "kube/lease.h"

#include <assert.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "kube/call.h"
#include "kube/lease_record.h"

#define PATH_MAX_BYTES 1024
#define BODY_MAX_BYTES (256 * 1024)

struct lease {
    struct lease_options options; /* texts are ours */
    struct loop *loop;
    struct timer *next; /* attempt; when released: the end of patience */
    struct timer *end;  /* of our term */
    struct kube_call *call;
    struct json *object;  /* as last read or written; NULL: there is none, or we do not know */
    bool certain;         /* nobody is known to have changed it since */
    uint64_t fingerprint; /* of what it says */
    uint64_t observed_us; /* since when it has said so */
    uint64_t sent_us;     /* when the write in flight began */
    bool holding;
    uint64_t until_us;             /* the end of our term */
    char acquired[LEASE_TIME_MAX]; /* of our term, or of the last attempt to begin one */
    bool failing;                  /* said so already */
    bool released;
    void (*on_released)(void *ctx); /* until told */
    void *released_ctx;
    struct lease_stats stats;
};

static void attempt(struct lease *lease);

/* ---- what is known ---- */

static struct lease_record record_of(const struct lease *lease)
{
    return lease_record_read(lease->object);
}

static bool is_ours(const struct lease *lease, const struct lease_record *record)
{
    return *lease->acquired && str_eq(record->holder, str_of(lease->options.identity)) &&
           str_eq(record->acquired, str_of(lease->acquired));
}

/* Takes over the tree. */
static void observe(struct lease *lease, struct json *object)
{
    struct lease_record record = lease_record_read(object);
    uint64_t fingerprint = lease_record_fingerprint(&record);
    bool same = lease->object && fingerprint == lease->fingerprint;

    json_free(lease->object);
    lease->object = object;
    lease->certain = object != NULL;
    lease->fingerprint = fingerprint;
    if (!same)
        lease->observed_us = loop_update_now(lease->loop);
}

/* False: it is no Lease. */
static bool observe_text(struct lease *lease, struct str text)
{
    CLEANUP(json_freep) struct json *object = NULL;

    if (json_parse(text, &object, NULL) != CODE_OK || !json_get(object, "metadata"))
        return false;
    observe(lease, TAKE(object));
    return true;
}

static bool may_take(const struct lease *lease)
{
    struct lease_record record = record_of(lease);
    uint64_t promised_ms = record.duration_ms ? record.duration_ms : lease->options.duration_ms;

    return record.holder.len == 0 ||
           loop_update_now(lease->loop) >= lease->observed_us + promised_ms * 1000;
}

/* ---- terms ---- */

static void lose(struct lease *lease)
{
    lease->holding = false;
    timer_stop(lease->end);
    counter_set(&lease->stats.held, 0);
    lease->options.on_lost(lease->options.ctx);
}

static void lose_unwanted(struct lease *lease, const char *reason)
{
    struct lease_record record = record_of(lease);

    counter_add(&lease->stats.lost, 1);
    log_warn(LOG_KUBE, "lease lost; trying to get it back", KV_STR("lease", lease->options.name),
             KV_STR("reason", reason), KV_TEXT("holder", record.holder));
    lose(lease);
}

/* A write that was sent at sent_us has succeeded. */
static void prolong(struct lease *lease)
{
    uint64_t now_us = loop_update_now(lease->loop);

    lease->until_us = lease->sent_us + lease->options.renew_ms * 1000;
    if (now_us >= lease->until_us) {
        if (lease->holding)
            lose_unwanted(lease, "renewed too late");
        return;
    }
    timer_start(lease->end, (lease->until_us - now_us) / 1000);
    if (lease->holding)
        return;
    lease->holding = true;
    counter_set(&lease->stats.held, 1);
    counter_add(&lease->stats.acquired, 1);
    log_info(LOG_KUBE, "lease acquired", KV_STR("lease", lease->options.name),
             KV_STR("identity", lease->options.identity));
    lease->options.on_acquired(lease->options.ctx);
}

static void on_end(void *ctx)
{
    struct lease *lease = ctx;

    kube_call_free(TAKE(lease->call));
    lease->certain = false; /* what was under way may have arrived */
    lose_unwanted(lease, "not renewed in time");
    attempt(lease);
}

/* ---- requests ---- */

static void released(struct lease *lease)
{
    void (*told)(void *ctx) = TAKE(lease->on_released);

    kube_call_free(TAKE(lease->call));
    timer_stop(lease->next);
    if (told)
        told(lease->released_ctx);
}

static void wait_for_next(struct lease *lease, uint64_t at_least_ms)
{
    uint64_t retry_ms = lease->options.retry_ms;
    /* client-go's: holders keep the pace, the others spread. */
    uint64_t jitter_ms = lease->holding ? 0 : random_range(0, retry_ms * 12 / 10);

    timer_start(lease->next, max_u64(retry_ms, at_least_ms) + jitter_ms);
}

static void failed(struct lease *lease, const struct kube_response *response)
{
    counter_add(&lease->stats.errors, 1);
    if (!lease->failing)
        log_warn(LOG_KUBE, "lease cannot be read or written; trying on",
                 KV_STR("lease", lease->options.name), KV_STR("error", response->message));
    lease->failing = true;
    wait_for_next(lease, response->retry_after_ms);
}

static void call(struct lease *lease, const char *method, struct str body,
                 void (*on_done)(void *ctx, const struct kube_response *response, struct str body))
{
    char path[PATH_MAX_BYTES];
    bool is_new = method && !lease->object;
    struct kube_call_options options = {
        .method = is_new ? "POST" : method,
        .path = path,
        .body = body,
        .timeout_ms = lease->options.renew_ms / 2, /* so that one that hangs is not all */
        .on_done = on_done,
        .ctx = lease,
    };

    snprintf(path, sizeof(path), "/apis/coordination.k8s.io/v1/namespaces/%s/leases%s%s",
             lease->options.namespace_name, is_new ? "" : "/", is_new ? "" : lease->options.name);
    lease->sent_us = loop_update_now(lease->loop);
    lease->call = kube_call_start(lease->options.client, &options);
}

static void on_written(void *ctx, const struct kube_response *response, struct str body)
{
    struct lease *lease = ctx;
    bool conflict = response->code == CODE_ABORTED || response->code == CODE_NOT_FOUND;

    lease->call = NULL;
    lease->certain = false; /* until its answer says so */
    if (response->code == CODE_OK && observe_text(lease, body)) {
        lease->failing = false;
        if (!lease->released)
            prolong(lease);
    }
    if (lease->released && conflict && lease->on_released) {
        attempt(lease);
        return;
    }
    if (lease->released && response->code != CODE_OK)
        log_warn(LOG_KUBE, "lease could not be given up; others wait until it runs out",
                 KV_STR("lease", lease->options.name), KV_STR("error", response->message));
    if (lease->released)
        released(lease);
    else if (response->code == CODE_OK || conflict)
        wait_for_next(lease, 0);
    else
        failed(lease, response);
}

static void write_record(struct lease *lease, const struct lease_record *record)
{
    struct buf body = BUFFER_INIT(BODY_MAX_BYTES);

    lease_record_write(record, lease->object, lease->options.namespace_name, lease->options.name,
                       &body);
    call(lease, "PUT", buf_str(&body), on_written);
    buf_done(&body);
}

/* Begins a term, or renews it. */
static void write_ours(struct lease *lease)
{
    struct lease_record before = record_of(lease);
    char now[LEASE_TIME_MAX];
    struct lease_record record = {
        .holder = str_of(lease->options.identity),
        .duration_ms = lease->options.duration_ms,
        .transitions = before.transitions,
    };

    lease_time_format(clock_wall_us(), now);
    if (!lease->object || !is_ours(lease, &before)) {
        memcpy(lease->acquired, now, sizeof(now));
        record.transitions += lease->object != NULL;
    }
    record.acquired = str_of(lease->acquired);
    record.renewed = str_of(now);
    write_record(lease, &record);
}

static void write_nobody(struct lease *lease)
{
    struct lease_record record = {.holder = STR(""), .transitions = record_of(lease).transitions};
    char now[LEASE_TIME_MAX];

    lease_time_format(clock_wall_us(), now);
    record.acquired = record.renewed = str_of(now);
    write_record(lease, &record);
}

/* What is known is certain. */
static void decide(struct lease *lease)
{
    struct lease_record record = record_of(lease);
    bool ours = lease->object && is_ours(lease, &record);

    if (lease->released && ours) {
        write_nobody(lease);
    } else if (lease->released) {
        released(lease);
    } else if (ours || !lease->object || may_take(lease)) {
        write_ours(lease);
    } else {
        if (lease->holding)
            lose_unwanted(lease, "somebody else has it");
        wait_for_next(lease, 0);
    }
}

static void on_read(void *ctx, const struct kube_response *response, struct str body)
{
    struct lease *lease = ctx;
    bool absent = response->code == CODE_NOT_FOUND;

    lease->call = NULL;
    if (absent)
        observe(lease, NULL);
    if (absent || (response->code == CODE_OK && observe_text(lease, body))) {
        lease->failing = false;
        decide(lease);
    } else if (lease->released) {
        released(lease);
    } else {
        failed(lease, response);
    }
}

static void attempt(struct lease *lease)
{
    if (!lease->released)
        timer_stop(lease->next);
    /* Only the holder may go by what it knows: nobody else changes it. */
    if ((lease->holding || lease->released) && lease->certain)
        decide(lease);
    else
        call(lease, NULL, STR(""), on_read);
}

static void on_next(void *ctx)
{
    struct lease *lease = ctx;

    if (lease->released)
        released(lease); /* it takes too long */
    else
        attempt(lease);
}

/* ---- public ---- */

struct lease *lease_new(const struct lease_options *options)
{
    struct lease *lease = xcalloc(1, sizeof(*lease));

    assert(*options->identity);
    lease->options = *options;
    lease->options.namespace_name = xstrdup(options->namespace_name);
    lease->options.name = xstrdup(options->name);
    lease->options.identity = xstrdup(options->identity);
    if (options->duration_ms == 0)
        lease->options.duration_ms = LEASE_DURATION_MS;
    if (options->renew_ms == 0)
        lease->options.renew_ms = LEASE_RENEW_MS;
    if (options->retry_ms == 0)
        lease->options.retry_ms = LEASE_RETRY_MS;
    lease->loop = kube_client_loop(options->client);
    lease->next = timer_new(lease->loop, on_next, lease);
    lease->end = timer_new(lease->loop, on_end, lease);
    attempt(lease);
    return lease;
}

void lease_free(struct lease *lease)
{
    if (!lease)
        return;
    kube_call_free(lease->call);
    timer_free(lease->next);
    timer_free(lease->end);
    json_free(lease->object);
    free((char *)(uintptr_t)lease->options.namespace_name);
    free((char *)(uintptr_t)lease->options.name);
    free((char *)(uintptr_t)lease->options.identity);
    free(lease);
}

bool lease_held(const struct lease *lease)
{
    return lease->holding && loop_update_now(lease->loop) < lease->until_us;
}

void lease_release(struct lease *lease, void (*on_done)(void *ctx), void *ctx)
{
    bool under_way = lease->call != NULL; /* a write may arrive that makes it ours */

    assert(!lease->released);
    lease->released = true;
    lease->on_released = on_done;
    lease->released_ctx = ctx;
    lease->certain = lease->certain && !under_way;
    kube_call_free(TAKE(lease->call));
    timer_start(lease->next, lease->holding || under_way ? LEASE_RELEASE_MS : 0);
    if (lease->holding) {
        log_info(LOG_KUBE, "lease released", KV_STR("lease", lease->options.name));
        lose(lease);
        attempt(lease);
    } else if (under_way) {
        attempt(lease);
    }
}

struct str lease_holder(const struct lease *lease)
{
    return record_of(lease).holder;
}

const struct lease_stats *lease_stats(const struct lease *lease)
{
    return &lease->stats;
}
