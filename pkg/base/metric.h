/*
 * Counters, gauges and histograms, and their Prometheus text.
 *
 * A metric is a field of the struct that owns it, written by one thread and read by any: relaxed
 * atomics, so counting costs one plain add. A scrape sums the fields of all owners.
 */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include <stdatomic.h>

#include "base/buf.h"

struct counter {
    _Atomic uint64_t value;
};

/* One writer: no locked instruction. */
static inline void counter_add(struct counter *counter, uint64_t n)
{
    uint64_t now = atomic_load_explicit(&counter->value, memory_order_relaxed);

    atomic_store_explicit(&counter->value, now + n, memory_order_relaxed);
}

static inline void counter_set(struct counter *counter, uint64_t n)
{
    atomic_store_explicit(&counter->value, n, memory_order_relaxed);
}

static inline uint64_t counter_get(const struct counter *counter)
{
    return atomic_load_explicit(&counter->value, memory_order_relaxed);
}

/* Upper bounds double from 100 us to about 26 s, then +Inf. */
#define HISTOGRAM_BUCKETS 20

struct histogram {
    struct counter buckets[HISTOGRAM_BUCKETS];
    struct counter sum_us;
};

void histogram_observe_us(struct histogram *histogram, uint64_t us);
/* Adds `from` to `to` (a scrape summing the threads' histograms). */
void histogram_merge(struct histogram *to, const struct histogram *from);

/* # HELP and # TYPE; once per family, before its samples. */
void metric_write_head(struct buf *out, const char *name, const char *type, const char *help);
/* labels: `resource="services",x="y"` or NULL; values that come from outside must be escaped by
 * metric_label(). */
void metric_write_u64(struct buf *out, const char *name, const char *labels, uint64_t value);
void metric_write_double(struct buf *out, const char *name, const char *labels, double value);
void metric_write_histogram(struct buf *out, const char *name, const char *help,
                            const struct histogram *histogram);
/* Appends key="value", escaped and cut at 128 bytes. */
void metric_label(struct buf *out, const char *key, struct str value);

#endif
