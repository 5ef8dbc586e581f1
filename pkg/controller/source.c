#include "controller/source_internal.h"

#define LABELS_MAX 1024

static void add_labels(struct buf *labels, const char *resource, const char *namespace_name)
{
    metric_label(labels, "resource", str_of(resource));
    buf_add_char(labels, ',');
    metric_label(labels, "namespace", str_of(namespace_name));
}

void source_write_u64(struct buf *out, const char *name, const char *resource,
                      const char *namespace_name, struct source_label label, uint64_t value)
{
    struct buf labels = BUFFER_INIT(LABELS_MAX);

    add_labels(&labels, resource, namespace_name);
    if (label.key) {
        buf_add_char(&labels, ',');
        metric_label(&labels, label.key, str_of(label.value));
    }
    metric_write_u64(out, name, buf_cstr(&labels), value);
    buf_done(&labels);
}

void source_write_staleness_head(struct buf *out)
{
    metric_write_head(out, "lookaside_source_staleness_seconds", "gauge",
                      "Time since the view of the source was last proved current.");
}

void source_write_staleness(struct buf *out, const char *resource, const char *namespace_name,
                            uint64_t us)
{
    struct buf labels = BUFFER_INIT(LABELS_MAX);

    add_labels(&labels, resource, namespace_name);
    metric_write_double(out, "lookaside_source_staleness_seconds", buf_cstr(&labels),
                        (double)us / 1e6);
    buf_done(&labels);
}

void source_free(struct source *source)
{
    if (source)
        source->ops->free(source);
}

bool source_synced(const struct source *source, struct buf *ret_reason)
{
    return source->ops->synced(source, ret_reason);
}

uint64_t source_staleness_us(const struct source *source)
{
    return source->ops->staleness_us(source);
}

void source_problem(const struct source *source, struct buf *ret_problem)
{
    source->ops->problem(source, ret_problem);
}

void source_write_metrics(const struct source *source, struct buf *out)
{
    source->ops->write_metrics(source, out);
}
