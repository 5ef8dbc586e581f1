/*
 * Any JSON as what is read of what we write: a Lease, a status, the counts of a replica. What is read and written again reads the same.
 */
#include "base/counts.h"
#include "controller/status_text.h"
#include "kube/lease_record.h"
#include "must_hold.h"

#define TEXT_MAX (1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_lease(const struct json *json)
{
    struct lease_record record = lease_record_read(json);
    CLEANUP(json_freep) struct json *again = NULL;
    struct buf text = BUFFER_INIT(TEXT_MAX);
    struct lease_record read;

    /* Never nothing, and in whole seconds. */
    record.duration_ms = max_u64(record.duration_ms, 1000);
    lease_record_write(&record, json, "shop", "lease", &text);
    if (!buf_failed(&text)) {
        must_hold(json_parse(buf_str(&text), &again, NULL) == CODE_OK);
        read = lease_record_read(again);
        must_hold(lease_record_fingerprint(&read) == lease_record_fingerprint(&record));
    }
    buf_done(&text);
}

static void check_status(const struct json *json)
{
    struct status_digest a = status_digest_read(json), b = status_digest_read(json);

    must_hold(a.urgent == b.urgent && a.slow == b.slow && a.holds == b.holds);
    must_hold(json_type(json) == JSON_OBJECT || (a.urgent == 0 && a.slow == 0));
}

static void check_counts(const struct json *json)
{
    CLEANUP(counts_freep) struct counts *counts = counts_new();

    counts_add_json(counts, json);
    for (const struct json *item = json_first(json); item; item = json_next(item))
        must_hold(counts_get(counts, json_key(item)) <= COUNTS_VALUE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(json_freep) struct json *json = NULL;

    if (json_parse(str_make(data, size), &json, NULL) != CODE_OK)
        return 0;
    check_lease(json);
    check_status(json);
    check_counts(json);
    return 0;
}
