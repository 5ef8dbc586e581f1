#include "controller/policy_field.h"

#include "base/clock.h"

#define VALUE_MAX 32768 /* 64 accounts, and what is between them */

#define AT(member) .offset = offsetof(struct policy, member)
#define SECOND_MS 1000
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)

/* Those of one object next to each other. */
const struct policy_field policy_fields[POLICY_FIELDS] = {
    {"port", POLICY_PORT, AT(port), .min = 1, .max = UINT16_MAX},
    {"hosts", POLICY_HOSTS, AT(hosts), .max = POLICY_HOSTS_MAX},
    {"backends", POLICY_BACKENDS, AT(backends), .min = 1, .max = POLICY_BACKENDS_MAX},
    {"loadBalancing.policy", POLICY_CHOICE, AT(lb),
     .words = "RoundRobin WeightedRoundRobin LeastRequest RingHash PickFirst", .def = "RoundRobin"},
    {"loadBalancing.ringHash.header", POLICY_HEADER, AT(hash_header), .min = 1, .max = 64},
    {"loadBalancing.ringHash.minimumRingSize", POLICY_COUNT, AT(minimum_ring_size), .min = 1,
     .max = POLICY_RING_MAX, .def = "1024"},
    {"locality.mode", POLICY_CHOICE, AT(locality), .words = "Service None PreferZone PreferNode",
     .def = "Service"},
    {"locality.minimumPerZone", POLICY_COUNT, AT(minimum_per_zone), .min = 1,
     .max = POLICY_ZONE_MINIMUM_MAX, .def = "1"},
    {"subset.size", POLICY_COUNT, AT(subset_size), .min = 1, .max = POLICY_SUBSET_MAX,
     .required = true},
    {"whenNoneReady", POLICY_CHOICE, AT(none_ready), .words = "ServingTerminating Empty All",
     .def = "ServingTerminating"},
    {"protection.minimumPercent", POLICY_COUNT, AT(protection_percent), .min = 1, .max = 100,
     .required = true},
    {"protection.window", POLICY_DURATION, AT(protection_us), .min = SECOND_MS,
     .max = 10 * MINUTE_MS, .def = "30s"},
    {"maxCallDuration", POLICY_DURATION, AT(max_call_us), .min = 1, .max = 24 * HOUR_MS},
    {"retry.attempts", POLICY_COUNT, AT(retry_attempts), .min = 2, .max = 5, .required = true},
    {"retry.statuses", POLICY_STATUSES, AT(retry_on), .min = 1, .max = 5,
     .words = "cancelled deadline-exceeded internal resource-exhausted unavailable",
     .def = "unavailable"},
    {"retry.backoff.base", POLICY_DURATION, AT(retry_base_us), .min = 1, .max = MINUTE_MS,
     .def = "25ms"},
    {"retry.backoff.max", POLICY_DURATION, AT(retry_max_us), .min = 1, .max = 10 * MINUTE_MS},
    {"circuitBreaker.maxRequests", POLICY_COUNT, AT(max_requests), .min = 1, .max = 1000000,
     .required = true},
    {"outlierDetection.failurePercentage", POLICY_GIVEN, AT(failure_percentage.enabled)},
    {"outlierDetection.failurePercentage.threshold", POLICY_COUNT, AT(failure_percentage.threshold),
     .min = 1, .max = 100, .def = "85"},
    {"outlierDetection.failurePercentage.minimumHosts", POLICY_COUNT,
     AT(failure_percentage.minimum_hosts), .min = 1, .max = 1000, .def = "5"},
    {"outlierDetection.failurePercentage.requestVolume", POLICY_COUNT,
     AT(failure_percentage.request_volume), .min = 1, .max = 1000000, .def = "50"},
    {"outlierDetection.successRate", POLICY_GIVEN, AT(success_rate.enabled)},
    {"outlierDetection.successRate.stdevFactor", POLICY_COUNT, AT(success_rate.threshold), .min = 1,
     .max = 100000, .def = "1900"},
    {"outlierDetection.successRate.minimumHosts", POLICY_COUNT, AT(success_rate.minimum_hosts),
     .min = 1, .max = 1000, .def = "5"},
    {"outlierDetection.successRate.requestVolume", POLICY_COUNT, AT(success_rate.request_volume),
     .min = 1, .max = 1000000, .def = "100"},
    {"outlierDetection.interval", POLICY_DURATION, AT(outlier_interval_us), .min = 100,
     .max = HOUR_MS, .def = "10s"},
    {"outlierDetection.baseEjection", POLICY_DURATION, AT(base_ejection_us), .min = 100,
     .max = HOUR_MS, .def = "30s"},
    {"outlierDetection.maxEjection", POLICY_DURATION, AT(max_ejection_us), .min = 100,
     .max = 24 * HOUR_MS},
    {"outlierDetection.maxEjectionPercent", POLICY_COUNT, AT(max_ejection_percent), .min = 1,
     .max = 100, .def = "10"},
    {"access", POLICY_GIVEN, AT(access_given)},
    {"access.namespaces", POLICY_NAMESPACES, AT(access_namespaces), .max = POLICY_ACCESS_MAX},
    {"access.serviceAccounts", POLICY_ACCOUNTS, AT(access_accounts), .max = POLICY_ACCESS_MAX},
};

#undef AT
#define AT(member) .offset = offsetof(struct policy_backend, member)

const struct policy_field policy_backend_fields[POLICY_BACKEND_FIELDS] = {
    {"service", POLICY_SERVICE, AT(service), .min = 1, .max = 63, .required = true},
    {"port", POLICY_PORT, AT(port), .min = 1, .max = UINT16_MAX},
    {"weight", POLICY_COUNT, AT(weight), .max = POLICY_WEIGHT_MAX, .def = "1"},
    {"whenEmpty", POLICY_FLAG, AT(fail_when_empty), .words = "Redistribute Fail",
     .def = "Redistribute"},
};

struct str policy_word(const char *words, size_t index)
{
    struct str rest = str_of(words), word;

    do {
        word = str_cut(&rest, ' ');
    } while (index-- > 0);
    return word;
}

/* ---- values as text ---- */

static void add_port(struct buf *out, const char *before, const struct port_ref *port)
{
    if (port->kind == PORT_NUMBER)
        buf_printf(out, "%s%u", before, (unsigned)port->number);
    if (port->kind == PORT_NAME)
        buf_printf(out, "%s%" STR_FMT, before, STR_ARG(port->name));
}

static void add_duration(struct buf *out, uint64_t us)
{
    char text[DURATION_TEXT_MAX];

    duration_format(us / 1000, text);
    buf_add_str(out, us > 0 ? str_of(text) : STR(""));
}

static void add_statuses(struct buf *out, const struct policy_field *field, unsigned bits)
{
    for (size_t i = 0; i < field->max; i++) {
        if (bits & 1u << i)
            buf_printf(out, "%s%" STR_FMT, bits & ((1u << i) - 1) ? ", " : "",
                       STR_ARG(policy_word(field->words, i)));
    }
}

static void add_texts(struct buf *out, const struct str *texts, size_t len)
{
    for (size_t i = 0; i < len; i++)
        buf_printf(out, "%s%" STR_FMT, i > 0 ? ", " : "", STR_ARG(texts[i]));
}

static void add_backends(struct buf *out, const struct policy *policy)
{
    for (size_t i = 0; i < policy->backends_len; i++) {
        const struct policy_backend *backend = &policy->backends[i];

        buf_printf(out, "%s%" STR_FMT, i > 0 ? ", " : "", STR_ARG(backend->service));
        add_port(out, ":", &backend->port);
        buf_printf(out, " weight %u%s", (unsigned)backend->weight,
                   backend->fail_when_empty ? " (fails when empty)" : "");
    }
}

/* A field of 0 that could not be 0 says nothing. */
static void add_count(struct buf *out, uint32_t count)
{
    if (count > 0)
        buf_printf(out, "%u", (unsigned)count);
}

void policy_add_value(struct buf *out, const struct policy_field *field,
                      const struct policy *policy)
{
    const void *at = (const char *)policy + field->offset;

    switch (field->kind) {
    case POLICY_COUNT:
        add_count(out, *(const uint32_t *)at);
        break;
    case POLICY_DURATION:
        add_duration(out, *(const uint64_t *)at);
        break;
    case POLICY_CHOICE:
        buf_add_str(out, policy_word(field->words, *(const unsigned *)at));
        break;
    case POLICY_FLAG:
        buf_add_str(out, policy_word(field->words, *(const bool *)at));
        break;
    case POLICY_GIVEN:
        buf_add_str(out, *(const bool *)at ? STR("on") : STR(""));
        break;
    case POLICY_PORT:
        add_port(out, "", at);
        break;
    case POLICY_SERVICE:
    case POLICY_HEADER:
        buf_add_str(out, *(const struct str *)at);
        break;
    case POLICY_STATUSES:
        add_statuses(out, field, *(const unsigned *)at);
        break;
    case POLICY_HOSTS:
        add_texts(out, policy->hosts, policy->hosts_len);
        break;
    case POLICY_NAMESPACES:
    case POLICY_ACCOUNTS:
        add_texts(out, ((const struct policy_texts *)at)->items,
                  ((const struct policy_texts *)at)->len);
        break;
    case POLICY_BACKENDS:
        add_backends(out, policy);
        break;
    }
}

void policy_diff(const struct policy *a, const struct policy *b,
                 void (*visit)(void *ctx, const struct policy_field *field), void *ctx)
{
    struct buf left = BUFFER_INIT(VALUE_MAX), right = BUFFER_INIT(VALUE_MAX);

    for (size_t i = 0; i < POLICY_FIELDS; i++) {
        buf_reset(&left);
        buf_reset(&right);
        policy_add_value(&left, &policy_fields[i], a);
        policy_add_value(&right, &policy_fields[i], b);
        if (!str_eq(buf_str(&left), buf_str(&right)))
            visit(ctx, &policy_fields[i]);
    }
    buf_done(&left);
    buf_done(&right);
}
