/*
 * What a coordination.k8s.io/v1 Lease says, read and written.
 *
 * Pure. Text is borrowed from the object.
 */
#ifndef KUBE_LEASE_RECORD_H
#define KUBE_LEASE_RECORD_H

#include "base/json.h"

/* MicroTime, as the API has it: 27 characters and a NUL. */
#define LEASE_TIME_MAX 32

struct lease_record {
    struct str holder; /* empty: nobody */
    uint64_t duration_ms;
    uint64_t transitions;
    struct str acquired; /* when this term of the holder's began, as it says */
    struct str renewed;
};

void lease_time_format(uint64_t wall_us, char out[LEASE_TIME_MAX]);
/* Absent parts, and parts of a wrong type, are empty or 0. */
struct lease_record lease_record_read(const struct json *lease);
/* Two with the same fingerprint say the same. */
uint64_t lease_record_fingerprint(const struct lease_record *record);
/* A whole Lease. `before` is the one that it replaces, whose metadata it keeps (with the resourceVersion, so that nobody else's change is lost); NULL:
 * a new one of that name. */
void lease_record_write(const struct lease_record *record, const struct json *before, const char *namespace_name,
                        const char *name, struct buf *out);

#endif
