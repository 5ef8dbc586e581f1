#include "controller/replicas.h"

#include "base/counts.h"
#include "base/log.h"
#include "controller/replica_round.h"

#define UNCOUNTED_MAX_BYTES 400
#define KEY_MAX_BYTES 512

/* Of each Service: clients, and calls and those that failed in a thousand seconds. As GET /counts has it. */
enum counted { CLIENTS, CALLS, FAILED, COUNTED };
static const char *const counted_names[COUNTED] = {"services", "calls", "failed"};

#define RATE_SECONDS 1000.0

struct tally {
    struct counts *counts[COUNTED];
};

struct replicas {
    struct replicas_options options;
    struct timer *timer;
    struct deferred finish;      /* of a round of this process alone */
    struct replica_round *round; /* NULL: this process is asked, alone */
    bool active, own_under_way, failing;
    struct tally *counting; /* the round's */
    struct tally *counted;  /* the last one's */
    char uncounted[UNCOUNTED_MAX_BYTES];
    struct replicas_stats stats;
};

static struct tally *tally_new(void)
{
    struct tally *tally = xcalloc(1, sizeof(*tally));

    for (size_t i = 0; i < COUNTED; i++)
        tally->counts[i] = counts_new();
    return tally;
}

static void tally_free(struct tally *tally)
{
    if (!tally)
        return;
    for (size_t i = 0; i < COUNTED; i++)
        counts_free(tally->counts[i]);
    free(tally);
}

/* ---- a round ends ---- */

static void take_result(struct replicas *replicas, const struct replica_round_result *result)
{
    struct replicas_stats *stats = &replicas->stats;

    tally_free(replicas->counted);
    replicas->counted = TAKE(replicas->counting);
    snprintf(replicas->uncounted, sizeof(replicas->uncounted), "%s", result->silent);
    if (result->unanswered > 0 && counter_get(&stats->unanswered) == 0)
        log_warn(LOG_CONTROLLER, "replicas do not say how many clients they have",
                 KV_STR("replicas", replicas->uncounted));
    counter_set(&stats->asked, result->asked);
    counter_set(&stats->unanswered, result->unanswered);
    replicas->failing = false;
    counter_add(&stats->rounds, 1);
    replicas->options.on_counted(replicas->options.ctx);
}

static void on_finish(void *ctx)
{
    take_result(ctx, &(struct replica_round_result){.silent = ""});
}

/* The last counts stand. */
static void fail_round(struct replicas *replicas, const char *reason)
{
    counter_add(&replicas->stats.failures, 1);
    if (!replicas->failing)
        log_warn(LOG_CONTROLLER, "replicas cannot be asked for their clients; asking again",
                 KV_STR("service", replicas->options.service), KV_STR("error", reason),
                 KV_U64("in_ms", replicas->options.every_ms));
    replicas->failing = true;
    tally_free(TAKE(replicas->counting));
}

static void on_round_done(void *ctx, const struct replica_round_result *result)
{
    struct replicas *replicas = ctx;

    if (result->problem)
        fail_round(replicas, result->problem);
    else
        take_result(replicas, result);
}

/* ---- answers ---- */

static bool on_answer(void *ctx, const struct json *answer)
{
    struct replicas *replicas = ctx;

    for (size_t i = 0; i < COUNTED; i++)
        counts_add_json(replicas->counting->counts[i], json_get(answer, counted_names[i]));
    return true;
}

static bool take_own(struct replicas *replicas, struct str text)
{
    CLEANUP(json_freep) struct json *json = NULL;

    return json_parse(text, &json, NULL) == CODE_OK && on_answer(replicas, json);
}

/* ---- rounds ---- */

static void on_own(void *ctx, struct buf *json)
{
    struct replicas *replicas = ctx;

    replicas->own_under_way = false;
    if (!replicas->active || !replicas->counting)
        return;
    if (buf_failed(json) || !take_own(replicas, buf_str(json)))
        fail_round(replicas, "too many Services");
    else
        deferred_schedule(replicas->options.loop, &replicas->finish);
}

static void on_time(void *ctx)
{
    struct replicas *replicas = ctx;

    timer_start(replicas->timer, replicas->options.every_ms);
    if (replicas->counting || replicas->own_under_way)
        return; /* the last round is not over */
    replicas->counting = tally_new();
    if (replicas->round) {
        replica_round_start(replicas->round);
    } else {
        replicas->own_under_way = true;
        replicas->options.count_own(replicas->options.ctx, on_own, replicas);
    }
}

void replicas_set_active(struct replicas *replicas, bool active)
{
    replicas->active = active;
    if (active) {
        timer_start(replicas->timer, 0);
        return;
    }
    timer_stop(replicas->timer);
    deferred_cancel(&replicas->finish);
    if (replicas->round)
        replica_round_cancel(replicas->round);
    tally_free(TAKE(replicas->counting));
    tally_free(TAKE(replicas->counted));
    *replicas->uncounted = '\0';
    replicas->failing = false;
    counter_set(&replicas->stats.asked, 0);
    counter_set(&replicas->stats.unanswered, 0);
}

/* ---- public ---- */

struct replicas *replicas_new(const struct replicas_options *options)
{
    struct replicas *replicas = xcalloc(1, sizeof(*replicas));

    replicas->options = *options;
    if (options->every_ms == 0)
        replicas->options.every_ms = REPLICAS_EVERY_MS;
    if (options->service)
        replicas->round = replica_round_new(&(struct replica_round_options){
            .loop = options->loop,
            .client = options->client,
            .namespace_name = options->namespace_name,
            .service = options->service,
            .path = "/counts",
            .answer_max = REPLICAS_ANSWER_MAX,
            .timeout_ms = options->timeout_ms,
            .on_answer = on_answer,
            .on_done = on_round_done,
            .ctx = replicas,
        });
    replicas->timer = timer_new(options->loop, on_time, replicas);
    deferred_init(&replicas->finish, on_finish, replicas);
    return replicas;
}

void replicas_free(struct replicas *replicas)
{
    if (!replicas)
        return;
    replicas_set_active(replicas, false);
    replica_round_free(replicas->round);
    timer_free(replicas->timer);
    free(replicas);
}

static uint64_t count_of(const struct replicas *replicas, enum counted what,
                         struct str namespace_name, struct str name)
{
    char key[KEY_MAX_BYTES];

    snprintf(key, sizeof(key), "%" STR_FMT "/%" STR_FMT, STR_ARG(namespace_name), STR_ARG(name));
    return replicas->counted ? counts_get(replicas->counted->counts[what], str_of(key)) : 0;
}

uint64_t replicas_clients(const struct replicas *replicas, struct str namespace_name,
                          struct str name)
{
    return count_of(replicas, CLIENTS, namespace_name, name);
}

void replicas_load(const struct replicas *replicas, struct str namespace_name, struct str name,
                   double *ret_calls, double *ret_failed)
{
    *ret_calls = (double)count_of(replicas, CALLS, namespace_name, name) / RATE_SECONDS;
    *ret_failed = (double)count_of(replicas, FAILED, namespace_name, name) / RATE_SECONDS;
}

const char *replicas_uncounted(const struct replicas *replicas)
{
    return replicas->uncounted;
}

const struct replicas_stats *replicas_stats(const struct replicas *replicas)
{
    return &replicas->stats;
}
