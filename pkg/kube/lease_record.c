#include "kube/lease_record.h"

#include "base/clock.h"
#include "base/hash.h"

#define DURATION_MAX_S 3600
#define TRANSITIONS_MAX INT32_MAX
#define SECONDS_LEN 20 /* "2026-11-29T03:08:27." */

void lease_time_format(uint64_t wall_us, char out[LEASE_TIME_MAX])
{
    char millis[32];

    clock_format_wall(wall_us, millis);
    snprintf(out, LEASE_TIME_MAX, "%.*s%06uZ", SECONDS_LEN, millis, (unsigned)(wall_us % 1000000));
}

struct lease_record lease_record_read(const struct json *lease)
{
    const struct json *spec = json_get(lease, "spec");
    struct lease_record record = {
        .holder = json_text(json_get(spec, "holderIdentity")),
        .acquired = json_text(json_get(spec, "acquireTime")),
        .renewed = json_text(json_get(spec, "renewTime")),
    };
    uint64_t seconds = 0;

    if (json_read_u64(spec, "", "leaseDurationSeconds", UINT32_MAX, 0, &seconds, NULL) == CODE_OK)
        record.duration_ms = min_u64(seconds, DURATION_MAX_S) * 1000;
    if (json_read_u64(spec, "", "leaseTransitions", TRANSITIONS_MAX, 0, &record.transitions,
                      NULL) != CODE_OK)
        record.transitions = 0;
    return record;
}

uint64_t lease_record_fingerprint(const struct lease_record *record)
{
    uint64_t hash = hash_content(record->holder.ptr, record->holder.len);

    hash = hash_mix(hash, hash_content(record->acquired.ptr, record->acquired.len));
    hash = hash_mix(hash, hash_content(record->renewed.ptr, record->renewed.len));
    return hash_mix(hash, hash_mix(record->duration_ms, record->transitions));
}

static void write_metadata(const struct json *before, const char *namespace_name, const char *name,
                           struct json_writer *writer)
{
    if (before) {
        json_put_json(writer, "metadata", json_get(before, "metadata"));
        return;
    }
    json_open_object(writer, "metadata");
    json_put_str(writer, "namespace", str_of(namespace_name));
    json_put_str(writer, "name", str_of(name));
    json_close_object(writer);
}

void lease_record_write(const struct lease_record *record, const struct json *before,
                        const char *namespace_name, const char *name, struct buf *out)
{
    struct json_writer writer = json_writer(out);

    json_open_object(&writer, NULL);
    json_put_str(&writer, "apiVersion", STR("coordination.k8s.io/v1"));
    json_put_str(&writer, "kind", STR("Lease"));
    write_metadata(before, namespace_name, name, &writer);
    json_open_object(&writer, "spec");
    json_put_str(&writer, "holderIdentity", record->holder);
    json_put_u64(&writer, "leaseDurationSeconds", max_u64((record->duration_ms + 999) / 1000, 1));
    json_put_str(&writer, "acquireTime", record->acquired);
    json_put_str(&writer, "renewTime", record->renewed);
    json_put_u64(&writer, "leaseTransitions", min_u64(record->transitions, TRANSITIONS_MAX));
    json_close_object(&writer);
    json_close_object(&writer);
}
