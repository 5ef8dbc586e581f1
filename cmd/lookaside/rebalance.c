#include "rebalance.h"

#include "base/json.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/random.h"
#include "controller/replica_round.h"
#include "controller/shares.h"

/* Parts of --rebalance-age. */
#define EVEN_PART 4
#define MOVING_PART 12

struct rebalance {
    struct rebalance_options options;
    char *namespace_name, *service; /* owned */
    struct timer *timer;
    struct replica_round *round;
    struct shares shares;
    struct share answers[REPLICAS_MAX];
    size_t answers_len;
    uint64_t begun_us, shed_before; /* of the move that is under way */
    struct counter moving;          /* gauge */
    struct counter unknown;         /* rounds that told too little */
};

static uint64_t tick_ms(const struct rebalance *rebalance)
{
    return rebalance->options.options->rebalance_age_ms / MOVING_PART;
}

/* ---- answers ---- */

void rebalance_write_answer(uint64_t id, uint64_t streams, struct buf *out)
{
    struct json_writer writer = json_writer(out);
    char text[17]; /* a JSON number does not hold 64 bits */

    json_open_object(&writer, NULL);
    json_put_str(&writer, "replica", str_make(text, str_format_hex(id, text)));
    json_put_u64(&writer, "streams", streams);
    json_close_object(&writer);
    buf_add_char(out, '\n');
}

/* One that several addresses lead to counts once. */
static void add_answer(struct rebalance *rebalance, const struct share *share)
{
    for (size_t i = 0; i < rebalance->answers_len; i++)
        if (rebalance->answers[i].replica == share->replica)
            return;
    rebalance->answers[rebalance->answers_len++] = *share;
}

static bool on_answer(void *ctx, const struct json *answer)
{
    struct rebalance *rebalance = ctx;
    const struct json *streams = json_get(answer, "streams");
    double number = json_number(streams);
    struct share share;

    if (json_type(streams) != JSON_NUMBER ||
        !(number >= 0 && number <= (double)SHARES_STREAMS_MAX) ||
        !str_hex_to_u64(json_text(json_get(answer, "replica")), &share.replica))
        return false;
    share.streams = (uint64_t)number;
    add_answer(rebalance, &share);
    return true;
}

/* ---- a round ---- */

static void log_begin(struct rebalance *rebalance, const struct shares_step *step)
{
    rebalance->begun_us = loop_now_us(rebalance->options.loop);
    rebalance->shed_before = serve_shed_total(rebalance->options.serve);
    log_info(LOG_MAIN, "replicas hold uneven shares of the streams; who has too many sheds some",
             KV_U64("replicas", rebalance->answers_len),
             KV_U64("streams", serve_list_streams(rebalance->options.serve)),
             KV_U64("share", step->mean));
}

static void log_end(const struct rebalance *rebalance, const struct shares_step *step)
{
    bool even = rebalance->shares.state == SHARES_EVEN;
    uint64_t us = loop_now_us(rebalance->options.loop) - rebalance->begun_us;

    log_at(
        even ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, LOG_MAIN,
        even ? "replicas hold even shares of the streams again"
             : "shedding does not make shares of the streams even; given up until replicas change",
        KV_U64("replicas", rebalance->answers_len),
        KV_U64("streams", serve_list_streams(rebalance->options.serve)),
        KV_U64("share", step->mean),
        KV_U64("shed", serve_shed_total(rebalance->options.serve) - rebalance->shed_before),
        KV_U64("ms", us / 1000));
}

static void note_change(struct rebalance *rebalance, enum shares_state before,
                        const struct shares_step *step)
{
    enum shares_state now = rebalance->shares.state;

    counter_set(&rebalance->moving, now == SHARES_MOVING);
    if (now == SHARES_MOVING && before != SHARES_MOVING)
        log_begin(rebalance, step);
    else if (now != SHARES_MOVING && before == SHARES_MOVING)
        log_end(rebalance, step);
}

static bool is_known(const struct rebalance *rebalance, const struct replica_round_result *result)
{
    if (result->problem || result->unanswered > 0)
        return false;
    for (size_t i = 0; i < rebalance->answers_len; i++)
        if (rebalance->answers[i].replica == rebalance->options.replica)
            return true;
    return false;
}

static void on_round_done(void *ctx, const struct replica_round_result *result)
{
    struct rebalance *rebalance = ctx;
    enum shares_state before = rebalance->shares.state;
    struct shares_step step;

    if (!is_known(rebalance, result)) {
        counter_add(&rebalance->unknown, 1);
        log_debug(LOG_MAIN, "not known what all replicas hold",
                  KV_STR("error", result->problem ? result->problem : ""),
                  KV_STR("replicas", result->silent));
        return;
    }
    step = shares_next(&rebalance->shares, rebalance->answers, rebalance->answers_len,
                       rebalance->options.replica);
    note_change(rebalance, before, &step);
    serve_shed(rebalance->options.serve,
               &(struct serve_shed){.streams = step.shed,
                                    .most = step.surplus,
                                    .min_age_ms = rebalance->options.options->rebalance_age_ms,
                                    .spread_ms = tick_ms(rebalance) * 3 / 4});
    if (rebalance->shares.state == SHARES_MOVING)
        timer_start(rebalance->timer, tick_ms(rebalance));
}

static void on_time(void *ctx)
{
    struct rebalance *rebalance = ctx;

    timer_start(rebalance->timer, rebalance->options.options->rebalance_age_ms / EVEN_PART);
    if (replica_round_under_way(rebalance->round))
        return;
    rebalance->answers_len = 0;
    replica_round_start(rebalance->round);
}

/* ---- life ---- */

struct rebalance *rebalance_new(const struct rebalance_options *options)
{
    struct rebalance *rebalance = xcalloc(1, sizeof(*rebalance));

    rebalance->options = *options;
    options_split(options->options->replicas_service, &rebalance->namespace_name,
                  &rebalance->service);
    rebalance->timer = timer_new(options->loop, on_time, rebalance);
    rebalance->round = replica_round_new(&(struct replica_round_options){
        .loop = options->loop,
        .client = options->client,
        .namespace_name = rebalance->namespace_name,
        .service = rebalance->service,
        .path = REBALANCE_PATH,
        .answer_max = REBALANCE_ANSWER_MAX,
        .only_ready = true,
        .on_answer = on_answer,
        .on_done = on_round_done,
        .ctx = rebalance,
    });
    return rebalance;
}

void rebalance_free(struct rebalance *rebalance)
{
    if (!rebalance)
        return;
    replica_round_free(rebalance->round);
    timer_free(rebalance->timer);
    free(rebalance->namespace_name);
    free(rebalance->service);
    free(rebalance);
}

void rebalance_start(struct rebalance *rebalance)
{
    /* Replicas that were started together do not ask together. */
    timer_start(rebalance->timer,
                random_range(0, rebalance->options.options->rebalance_age_ms / EVEN_PART));
}

void rebalance_stop(struct rebalance *rebalance)
{
    timer_stop(rebalance->timer);
    replica_round_cancel(rebalance->round);
}

/* ---- metrics ---- */

void rebalance_write_metrics(const struct rebalance *rebalance, struct buf *out)
{
    metric_write_head(out, "lookaside_rebalancing", "gauge",
                      "1 while replicas hold uneven shares of the streams and shed them.");
    metric_write_u64(out, "lookaside_rebalancing", NULL, counter_get(&rebalance->moving));
    metric_write_head(
        out, "lookaside_rebalance_unknown_total", "counter",
        "Times that it was not known what all replicas hold, so that nothing was shed.");
    metric_write_u64(out, "lookaside_rebalance_unknown_total", NULL,
                     counter_get(&rebalance->unknown));
}
