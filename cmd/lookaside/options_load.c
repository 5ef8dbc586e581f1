/* The settings of load reports. */
#include "base/clock.h"
#include "options_internal.h"

#define LOAD_INTERVAL_MS 10000
#define LOAD_INTERVAL_MAX_MS (3600u * 1000)

enum code option_set_load_reports(struct options *options, struct str value, struct err *err)
{
    return option_read_switch(value, &options->load_reports, err);
}

/* Clients break on shorter ones. */
enum code option_set_load_interval(struct options *options, struct str value, struct err *err)
{
    enum code code = duration_parse(value, LOAD_INTERVAL_MAX_MS, &options->load_interval_ms, err);

    if (code == CODE_OK && options->load_interval_ms < LOAD_INTERVAL_MIN_MS)
        return fail(err, CODE_INVALID_ARGUMENT, "expected 1s or more");
    return code;
}

enum code option_check_load(struct options *options, struct err *err)
{
    if (options->load_interval_ms && !options->load_reports)
        return fail(err, CODE_INVALID_ARGUMENT, "--load-report-interval needs --load-reports");
    if (options->load_reports && !options->load_interval_ms)
        options->load_interval_ms = LOAD_INTERVAL_MS;
    return CODE_OK;
}
