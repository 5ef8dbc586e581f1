#include "protocol/load_stats.h"

#include <math.h>

#include "protocol/field.h"
#include "protocol/request.h"
#include "wire/fields.h"
#include "wire/reader.h"
#include "wire/writer.h"

struct load_session {
    const struct load_host *host;
    void *ctx;
    uint64_t interval_ms;
    char *namespace_name; /* NULL: no Node was told yet */
    bool asked, answered;
};

/* What is read of a message: `host` NULL: only looked at. */
struct reading {
    const struct load_host *host;
    void *ctx;
    struct err *err;
};

static enum code check_len(size_t len, size_t max, const char *what, struct err *err)
{
    if (len > max)
        return fail(err, CODE_RESOURCE_EXHAUSTED, "more than %zu %s", max, what);
    return CODE_OK;
}

static enum code read_count(const struct wire_field *field, uint64_t *ret_count, struct err *err)
{
    if (field->value > LOAD_COUNT_MAX)
        return fail(err, CODE_INVALID_ARGUMENT,
                    "cluster_stats has a number that is negative or too large");
    *ret_count = field->value;
    return CODE_OK;
}

/* ---- metrics ---- */

static double as_double(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* Where the fields of a message have their numbers; those of unnamed metrics have no name. */
struct metric_numbers {
    uint32_t name, calls, sum;
};

static enum code read_metric(struct str bytes, const struct metric_numbers *numbers,
                             struct load_metric *metric, struct err *err)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;
    enum code code = CODE_OK;

    while (code == CODE_OK && wire_next(&reader, &field)) {
        if (field.type == WIRE_BYTES && field.number == numbers->name)
            code = field_text(&field, LOAD_TEXT_MAX, "a metric's name", &metric->name, err);
        else if (field.type == WIRE_VARINT && field.number == numbers->calls)
            code = read_count(&field, &metric->calls, err);
        else if (field.type == WIRE_FIXED64 && field.number == numbers->sum)
            metric->sum = as_double(field.value);
    }
    return reader.failed ? field_malformed(err, "load_metric_stats") : code;
}

/* Newer clients say where in an ORCA report the metric stood. */
static struct str bare_name(struct str name)
{
    const struct str prefix = STR("named_metrics.");

    return str_starts_with(name, prefix) ? str_slice(name, prefix.len, name.len) : name;
}

/* A field of UpstreamLocalityStats that is a metric; *ret_is false: it is none. */
static enum code read_metric_field(const struct wire_field *field, struct load_metric *metric,
                                   bool *ret_is, struct err *err)
{
    static const struct metric_numbers named = {
        ENDPOINT_LOAD_METRIC_STATS_METRIC_NAME,
        ENDPOINT_LOAD_METRIC_STATS_NUM_REQUESTS_FINISHED_WITH_METRIC,
        ENDPOINT_LOAD_METRIC_STATS_TOTAL_METRIC_VALUE,
    };
    static const struct metric_numbers unnamed = {
        0,
        UNNAMED_ENDPOINT_LOAD_METRIC_STATS_NUM_REQUESTS_FINISHED_WITH_METRIC,
        UNNAMED_ENDPOINT_LOAD_METRIC_STATS_TOTAL_METRIC_VALUE,
    };

    *metric = (struct load_metric){.name = STR("")};
    *ret_is = true;
    switch (field->number) {
    case UPSTREAM_LOCALITY_STATS_LOAD_METRIC_STATS:
        break;
    case UPSTREAM_LOCALITY_STATS_CPU_UTILIZATION:
        metric->name = STR("cpu_utilization");
        break;
    case UPSTREAM_LOCALITY_STATS_MEM_UTILIZATION:
        metric->name = STR("mem_utilization");
        break;
    case UPSTREAM_LOCALITY_STATS_APPLICATION_UTILIZATION:
        metric->name = STR("application_utilization");
        break;
    default:
        *ret_is = false;
        return CODE_OK;
    }
    return read_metric(field->bytes, metric->name.len ? &unnamed : &named, metric, err);
}

static void tell_metric(const struct reading *reading, struct load_metric *metric)
{
    metric->name = bare_name(metric->name);
    if (reading->host && metric->name.len > 0 && metric->calls > 0 && isfinite(metric->sum) &&
        fabs(metric->sum) <= LOAD_SUM_MAX)
        reading->host->metric(reading->ctx, metric);
}

/* ---- localities ---- */

static enum code read_locality(struct str bytes, struct str *ret_zone, struct err *err)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;
    enum code code = CODE_OK;

    while (code == CODE_OK && wire_next(&reader, &field)) {
        if (field.type == WIRE_BYTES && field.number == LOCALITY_ZONE)
            code = field_text(&field, LOAD_TEXT_MAX, "locality.zone", ret_zone, err);
    }
    return reader.failed ? field_malformed(err, "locality") : code;
}

static enum code read_calls_field(const struct wire_field *field, struct load_calls *calls,
                                  struct err *err)
{
    if (field->type == WIRE_BYTES && field->number == UPSTREAM_LOCALITY_STATS_LOCALITY)
        return read_locality(field->bytes, &calls->zone, err);
    if (field->type != WIRE_VARINT)
        return CODE_OK;
    switch (field->number) {
    case UPSTREAM_LOCALITY_STATS_TOTAL_SUCCESSFUL_REQUESTS:
        return read_count(field, &calls->succeeded, err);
    case UPSTREAM_LOCALITY_STATS_TOTAL_ERROR_REQUESTS:
        return read_count(field, &calls->failed, err);
    case UPSTREAM_LOCALITY_STATS_TOTAL_ISSUED_REQUESTS:
        return read_count(field, &calls->issued, err);
    case UPSTREAM_LOCALITY_STATS_TOTAL_REQUESTS_IN_PROGRESS:
        return read_count(field, &calls->in_progress, err);
    default:
        return CODE_OK;
    }
}

static enum code read_metrics(const struct reading *reading, struct str bytes)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;
    enum code code = CODE_OK;
    size_t metrics = 0;

    while (code == CODE_OK && wire_next(&reader, &field)) {
        struct load_metric metric;
        bool is_metric;

        if (field.type != WIRE_BYTES)
            continue;
        code = read_metric_field(&field, &metric, &is_metric, reading->err);
        if (code != CODE_OK || !is_metric)
            continue;
        code = check_len(++metrics, LOAD_METRICS_MAX, "load_metric_stats", reading->err);
        if (code == CODE_OK)
            tell_metric(reading, &metric);
    }
    return reader.failed ? field_malformed(reading->err, "upstream_locality_stats") : code;
}

static enum code read_calls(const struct reading *reading, struct str bytes)
{
    struct load_calls calls = {.zone = STR("")};
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;
    enum code code = CODE_OK;

    while (code == CODE_OK && wire_next(&reader, &field))
        code = read_calls_field(&field, &calls, reading->err);
    if (reader.failed)
        return field_malformed(reading->err, "upstream_locality_stats");
    if (code != CODE_OK)
        return code;
    if (reading->host)
        reading->host->calls(reading->ctx, &calls);
    return read_metrics(reading, bytes);
}

/* ---- drops ---- */

/* `*rest`: what is dropped in all, without those categories that were told. */
static enum code read_dropped(const struct reading *reading, struct str bytes, uint64_t *rest)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;
    struct str category = STR("");
    uint64_t calls = 0;
    enum code code = CODE_OK;

    while (code == CODE_OK && wire_next(&reader, &field)) {
        if (field.type == WIRE_BYTES && field.number == CLUSTER_STATS_DROPPED_REQUESTS_CATEGORY)
            code = field_text(&field, LOAD_TEXT_MAX, "dropped_requests.category", &category,
                              reading->err);
        else if (field.type == WIRE_VARINT &&
                 field.number == CLUSTER_STATS_DROPPED_REQUESTS_DROPPED_COUNT)
            code = read_count(&field, &calls, reading->err);
    }
    if (reader.failed)
        return field_malformed(reading->err, "dropped_requests");
    if (code != CODE_OK || category.len == 0)
        return code;
    *rest -= min_u64(*rest, calls);
    if (reading->host && calls > 0)
        reading->host->dropped(reading->ctx, category, calls);
    return CODE_OK;
}

/* ---- Clusters ---- */

/* What has to be known of a Cluster before the rest, wherever it stands. */
struct cluster_head {
    struct str name;
    uint64_t dropped;
};

static enum code read_head(struct str bytes, struct cluster_head *head, struct err *err)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;
    enum code code = CODE_OK;

    *head = (struct cluster_head){STR(""), 0};
    while (code == CODE_OK && wire_next(&reader, &field)) {
        if (field.type == WIRE_BYTES && field.number == CLUSTER_STATS_CLUSTER_NAME)
            code = field_text(&field, LOAD_TEXT_MAX, "cluster_name", &head->name, err);
        else if (field.type == WIRE_VARINT && field.number == CLUSTER_STATS_TOTAL_DROPPED_REQUESTS)
            code = read_count(&field, &head->dropped, err);
    }
    return reader.failed ? field_malformed(err, "cluster_stats") : code;
}

static enum code read_parts(const struct reading *reading, struct str bytes, uint64_t *rest)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;
    enum code code = CODE_OK;
    size_t localities = 0, drops = 0;

    while (code == CODE_OK && wire_next(&reader, &field)) {
        if (field.type != WIRE_BYTES)
            continue;
        if (field.number == CLUSTER_STATS_UPSTREAM_LOCALITY_STATS) {
            code = check_len(++localities, LOAD_LOCALITIES_MAX, "upstream_locality_stats",
                             reading->err);
            if (code == CODE_OK)
                code = read_calls(reading, field.bytes);
        } else if (field.number == CLUSTER_STATS_DROPPED_REQUESTS) {
            code = check_len(++drops, LOAD_DROPS_MAX, "dropped_requests", reading->err);
            if (code == CODE_OK)
                code = read_dropped(reading, field.bytes, rest);
        }
    }
    return code;
}

static enum code read_cluster(const struct reading *reading, struct str bytes)
{
    struct cluster_head head;
    enum code code = read_head(bytes, &head, reading->err);

    if (code != CODE_OK)
        return code;
    if (reading->host)
        reading->host->cluster(reading->ctx, head.name);
    code = read_parts(reading, bytes, &head.dropped);
    if (code == CODE_OK && reading->host && head.dropped > 0)
        reading->host->dropped(reading->ctx, STR(""), head.dropped);
    return code;
}

static enum code read_report(const struct reading *reading, struct str message)
{
    struct wire_reader reader = wire_reader(message);
    struct wire_field field;
    enum code code = CODE_OK;
    size_t clusters = 0;

    while (code == CODE_OK && wire_next(&reader, &field)) {
        if (field.type != WIRE_BYTES || field.number != LOAD_STATS_REQUEST_CLUSTER_STATS)
            continue;
        code = check_len(++clusters, LOAD_CLUSTERS_MAX, "cluster_stats", reading->err);
        if (code == CODE_OK)
            code = read_cluster(reading, field.bytes);
    }
    return reader.failed ? field_malformed(reading->err, "LoadStatsRequest") : code;
}

/* ---- requests ---- */

/* Some clients repeat it; the first one counts. */
static enum code read_node(struct load_session *session, struct str message, struct err *err)
{
    struct wire_reader reader = wire_reader(message);
    struct xds_node node = {.namespace_name = STR("")};
    struct wire_field field;
    enum code code = CODE_OK;
    bool found = false;

    while (code == CODE_OK && !session->namespace_name && wire_next(&reader, &field)) {
        if (field.type != WIRE_BYTES || field.number != LOAD_STATS_REQUEST_NODE)
            continue;
        found = true;
        code = xds_node_parse(field.bytes, &node, err);
    }
    if (code == CODE_OK && found)
        session->namespace_name = str_dup(node.namespace_name);
    return code;
}

enum code load_session_request(struct load_session *session, struct str message, struct err *err)
{
    const struct reading look = {NULL, NULL, err};
    const struct reading tell = {session->host, session->ctx, err};
    enum code code = read_report(&look, message);

    if (code == CODE_OK)
        code = read_node(session, message, err);
    if (code != CODE_OK)
        return code;
    if (!session->asked)
        session->host->wake(session->ctx);
    session->asked = true;
    session->host->report(session->ctx);
    return read_report(&tell, message);
}

/* ---- the response ---- */

bool load_session_next(struct load_session *session, struct buf *out)
{
    size_t interval;

    if (!session->asked || session->answered)
        return false;
    session->answered = true;
    interval = wire_open(out, LOAD_STATS_RESPONSE_LOAD_REPORTING_INTERVAL);
    wire_put_varint(out, DURATION_SECONDS, session->interval_ms / 1000);
    if (session->interval_ms % 1000 > 0)
        wire_put_varint(out, DURATION_NANOS, session->interval_ms % 1000 * 1000000);
    wire_close(out, interval);
    wire_put_varint(out, LOAD_STATS_RESPONSE_SEND_ALL_CLUSTERS, true);
    return true;
}

/* ---- life ---- */

struct load_session *load_session_new(const struct load_host *host, void *ctx, uint64_t interval_ms)
{
    struct load_session *session = xcalloc(1, sizeof(*session));

    session->host = host;
    session->ctx = ctx;
    session->interval_ms = max_u64(interval_ms, LOAD_INTERVAL_MIN_MS);
    return session;
}

void load_session_free(struct load_session *session)
{
    if (!session)
        return;
    free(session->namespace_name);
    free(session);
}

struct str load_session_namespace(const struct load_session *session)
{
    return session->namespace_name ? str_of(session->namespace_name) : STR("");
}
