#include "base/metric.h"

#include <math.h>

#include "base/utf8.h"

#define FIRST_BOUND_US 100
#define LABEL_VALUE_MAX 128

void histogram_observe_us(struct histogram *histogram, uint64_t us)
{
    size_t i = 0;

    while (i < HISTOGRAM_BUCKETS - 1 && us > (uint64_t)FIRST_BOUND_US << i)
        i++;
    counter_add(&histogram->buckets[i], 1);
    counter_add(&histogram->sum_us, us);
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        counter_add(&to->buckets[i], counter_get(&from->buckets[i]));
    counter_add(&to->sum_us, counter_get(&from->sum_us));
}

static void add_escaped(struct buf *out, struct str text, const char *escaped)
{
    for (size_t i = 0; i < text.len; i++) {
        char ch = text.ptr[i];

        if (ch == '\n')
            buf_add_str(out, STR("\\n"));
        else if (ch != '\0' && strchr(escaped, ch))
            buf_append(out, (char[]){'\\', ch}, 2);
        else
            buf_add_char(out, ch);
    }
}

void metric_write_head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s ", name);
    add_escaped(out, str_of(help), "\\");
    buf_printf(out, "\n# TYPE %s %s\n", name, type);
}

static void write_name(struct buf *out, const char *name, const char *labels)
{
    if (labels && *labels)
        buf_printf(out, "%s{%s} ", name, labels);
    else
        buf_printf(out, "%s ", name);
}

void metric_write_u64(struct buf *out, const char *name, const char *labels, uint64_t value)
{
    write_name(out, name, labels);
    buf_printf(out, "%llu\n", (unsigned long long)value);
}

void metric_write_double(struct buf *out, const char *name, const char *labels, double value)
{
    write_name(out, name, labels);
    if (isnan(value))
        buf_add_str(out, STR("NaN\n"));
    else if (isinf(value))
        buf_add_str(out, value > 0 ? STR("+Inf\n") : STR("-Inf\n"));
    else
        buf_printf(out, "%.15g\n", value);
}

void metric_write_histogram(struct buf *out, const char *name, const char *help,
                            const struct histogram *histogram)
{
    uint64_t count = 0;

    metric_write_head(out, name, "histogram", help);
    for (size_t i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
        count += counter_get(&histogram->buckets[i]);
        buf_printf(out, "%s_bucket{le=\"%g\"} %llu\n", name,
                   (double)((uint64_t)FIRST_BOUND_US << i) / 1e6, (unsigned long long)count);
    }
    count += counter_get(&histogram->buckets[HISTOGRAM_BUCKETS - 1]);
    buf_printf(out, "%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)count);
    buf_printf(out, "%s_sum %.15g\n", name, (double)counter_get(&histogram->sum_us) / 1e6);
    buf_printf(out, "%s_count %llu\n", name, (unsigned long long)count);
}

/* Prometheus reads only UTF-8, so anything else becomes U+FFFD. */
void metric_label(struct buf *out, const char *key, struct str value)
{
    size_t len;

    value = utf8_cut(value, LABEL_VALUE_MAX);
    buf_printf(out, "%s=\"", key);
    for (size_t at = 0; at < value.len; at += len) {
        len = utf8_char_len(value, at);
        if (len > 0)
            add_escaped(out, str_make(value.ptr + at, len), "\\\"");
        else
            buf_add_str(out, STR("\xEF\xBF\xBD"));
        len = len > 0 ? len : 1;
    }
    buf_add_char(out, '"');
}
