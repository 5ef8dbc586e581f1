/*
 * The status of a LookasideService as JSON, and what two of them have in common.
 *
 * Statuses are compared by digests of their JSON, of what the API server has as of what it is to have: so one that was pruned, edited by hand or written by
 * another version differs by itself. Times do not count.
 *
 * Pure.
 */
#ifndef CONTROLLER_STATUS_TEXT_H
#define CONTROLLER_STATUS_TEXT_H

#include "base/json.h"
#include "controller/resource.h"

#define RESOURCE_API "lookaside.dev/v1alpha1"
#define RESOURCE_KIND "LookasideService"
#define RESOURCE_PLURAL "lookasideservices"
#define STATUS_TEXT_MAX (64 * 1024)

/* What clients report of their calls. */
struct status_load {
    bool known;               /* they report */
    double calls_per_second;  /* two digits of it count */
    double failed_percent;    /* in tenths */
};

struct status_digest {
    uint64_t urgent; /* of what is written at once: generation, conditions, holds */
    uint64_t slow;   /* of the counters */
    struct status_load load;
    uint64_t generation;
    uint64_t holds; /* of their names; 0: there are none */
    struct condition_digest {
        bool known, status;
        uint64_t said;     /* of reason and message */
        uint64_t since_us; /* wall clock: when the status became what it is */
    } conditions[CONDITIONS];
};

/* {0} for NULL, and for what is no status. */
struct status_digest status_digest_read(const struct json *status);

struct status_input {
    const struct resource_status *resource;
    uint64_t since_us[CONDITIONS]; /* wall clock */
    uint64_t clients;              /* as counted */
    struct status_load load;
    struct str uncounted;          /* replicas whose clients are not among them; empty: none */
};

/* The members of an open object. */
void status_write(const struct status_input *input, struct json_writer *writer);
/* The load to be told where `told` is what was told last: that, unless there is a difference of a tenth of the calls, or of a percent. Rounded. */
struct status_load status_load(double calls, double failed, const struct status_load *told);
/* To the nearest of 0, 1, 2, 5, 10, 20, 50, ...; never to 0. */
uint64_t status_round(uint64_t count);

#endif
