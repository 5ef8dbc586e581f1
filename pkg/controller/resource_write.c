/* A LookasideService's status as JSON. */
#include "base/clock.h"
#include "controller/policy_field.h"
#include "controller/resource.h"

#define VALUE_MAX 16384

/* ---- what is asked for beyond the defaults ---- */

struct settings {
    const struct policy *policy;
    struct json_writer *writer;
};

static void write_value(struct json_writer *writer, const char *key,
                        const struct policy_field *field, const struct policy *policy)
{
    struct buf value = BUFFER_INIT(VALUE_MAX);

    policy_add_value(&value, field, policy);
    json_put_str(writer, key, buf_str(&value));
    buf_done(&value);
}

static void write_setting(void *ctx, const struct policy_field *field)
{
    const struct settings *settings = ctx;

    json_open_object(settings->writer, NULL);
    json_put_str(settings->writer, "field", str_of(field->path));
    write_value(settings->writer, "value", field, settings->policy);
    write_value(settings->writer, "default", field, policy_default());
    json_close_object(settings->writer);
}

static void write_settings(const struct policy *policy, struct json_writer *writer)
{
    struct settings settings = {policy, writer};

    json_open_array(writer, "settings");
    policy_diff(policy, policy_default(), write_setting, &settings);
    json_close_array(writer);
}

/* ---- the rest ---- */

static void write_hosts(const struct policy *policy, struct json_writer *writer)
{
    json_open_array(writer, "hosts");
    for (size_t i = 0; i < policy->hosts_len; i++)
        json_put_str(writer, NULL, policy->hosts[i]);
    json_close_array(writer);
}

static void write_conditions(const struct resource_status *status, struct json_writer *writer)
{
    json_open_array(writer, "conditions");
    for (enum condition_kind kind = 0; kind < CONDITIONS; kind++) {
        const struct condition *condition = &status->conditions[kind];

        json_open_object(writer, NULL);
        json_put_str(writer, "type", str_of(condition_name(kind)));
        json_put_bool(writer, "status", condition->status);
        json_put_str(writer, "reason", str_of(condition->reason));
        json_put_str(writer, "message", str_of(condition->message));
        json_close_object(writer);
    }
    json_close_array(writer);
}

static void write_policy(const struct policy *policy, struct json_writer *writer)
{
    json_put_bool(writer, "accepted", policy != NULL);
    if (!policy)
        policy = policy_default();
    json_put_u64(writer, "generationInForce", policy->generation);
    json_put_str(writer, "policy", str_of(lb_policy_name(policy->lb)));
    write_hosts(policy, writer);
    write_settings(policy, writer);
}

void resource_write(const struct resource_status *status, struct json_writer *writer)
{
    char created[32];

    json_put_str(writer, "namespace", status->namespace_name);
    json_put_str(writer, "name", status->name);
    json_put_str(writer, "uid", status->uid);
    json_put_u64(writer, "generation", status->generation);
    if (status->created_us > 0) {
        clock_format_wall(status->created_us, created);
        json_put_str(writer, "created", str_of(created));
    }
    write_policy(status->policy, writer);
    write_conditions(status, writer);
    json_put_u64(writer, "ready", status->ready);
    json_put_u64(writer, "draining", status->draining);
    json_put_u64(writer, "total", status->total);
    json_put_str(writer, "hold", str_of(hold_name(status->hold)));
}
