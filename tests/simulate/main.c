/*
 * build/simulate: runs seeds. `make simulate` and `make help` tell the common ways.
 *
 *   --first N --last M   these seeds (1 to 1000)
 *   --seconds S          seeds from --first on, for so long
 *   --talk               everything that happens, as it happens
 *   --quick              say what failed, and do not look for the smallest schedule
 *
 * Exit code 1: a seed failed.
 */
#include <inttypes.h>
#include <time.h>

#include "base/log.h"
#include "judge.h"
#include "shrink.h"

#define SHRINK_RUNS 3000
#define REPEAT_EVERY 64 /* seeds; that the same seed is the same run is checked so often */
#define PROGRESS_S 10

struct options {
    uint64_t first, last, seconds;
    bool talk, quick;
};

struct tally {
    uint64_t seeds, failed, virtual_us;
};

static double real_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- one seed ---- */

static void tell_failure(struct schedule *schedule, struct result *result,
                         const struct options *options)
{
    size_t len = schedule->len;

    printf("FAILED seed %" PRIu64 ": %s\n", schedule->seed, result->failure);
    if (options->quick)
        return;
    shrink(schedule, SHRINK_RUNS, result);
    printf("\nThe same with %zu actions of %zu:\n\n", schedule->len, len);
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    world_run(schedule, true, result);
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    printf("\nAgain: make simulate SEED=%" PRIu64 "\n", schedule->seed);
}

static bool run_seed(uint64_t seed, const struct options *options, struct tally *tally)
{
    struct schedule schedule;
    struct result result, again;

    schedule_make(seed, &schedule);
    world_run(&schedule, options->talk, &result);
    if (!result.failed && seed % REPEAT_EVERY == 0) {
        world_run(&schedule, false, &again);
        if (again.trace != result.trace) {
            result.failed = true;
            snprintf(result.failure, sizeof(result.failure), "two runs of it differ");
        }
    }
    tally->seeds++;
    tally->virtual_us += result.virtual_us;
    tally->failed += result.failed;
    if (result.failed)
        tell_failure(&schedule, &result, options);
    schedule_done(&schedule);
    return !result.failed;
}

/* ---- many ---- */

static void summarize(const struct tally *tally, uint64_t first, double seconds)
{
    printf("seeds %" PRIu64 " to %" PRIu64 ": %.1f s, %.1f h of virtual time, %" PRIu64
           " lists judged, %.0f a second\n",
           first, first + tally->seeds - 1, seconds, (double)tally->virtual_us / 3.6e9,
           judge_count(), (double)judge_count() / seconds);
}

static int run_all(const struct options *options)
{
    struct tally tally = {0};
    double begin = real_seconds(), told = begin;
    uint64_t seed = options->first;
    bool good = true;

    for (; good && (options->seconds ? real_seconds() - begin < (double)options->seconds
                                     : seed <= options->last);
         seed++) {
        good = run_seed(seed, options, &tally);
        if (real_seconds() - told < PROGRESS_S)
            continue;
        told = real_seconds();
        summarize(&tally, options->first, told - begin);
        fflush(stdout);
    }
    summarize(&tally, options->first, real_seconds() - begin);
    printf("simulate: %" PRIu64 " passed, %" PRIu64 " failed\n", tally.seeds - tally.failed,
           tally.failed);
    return good ? 0 : 1;
}

static uint64_t number_after(int argc, char **argv, const char *name, uint64_t def)
{
    uint64_t value = def;

    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], name) == 0 && !str_to_u64(str_of(argv[i + 1]), UINT64_MAX, &value)) {
            fprintf(stderr, "simulate: %s needs a number\n", name);
            exit(2);
        }
    }
    return value;
}

static bool is_given(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    struct options options = {
        .first = number_after(argc, argv, "--first", 1),
        .last = number_after(argc, argv, "--last", 1000),
        .seconds = number_after(argc, argv, "--seconds", 0),
        .talk = is_given(argc, argv, "--talk"),
        .quick = is_given(argc, argv, "--quick"),
    };

    log_setup(options.talk ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    return run_all(&options);
}
