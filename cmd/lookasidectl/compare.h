/*
 * The lists of all Services at several servers, beside the lists that the rules give.
 *
 * Both sides move, so a list counts as equal from the first moment at which both agree; what never
 * did within SETTLE_MS after the last answer differs.
 *
 * Threads: everything on the loop.
 */
#ifndef LOOKASIDECTL_COMPARE_H
#define LOOKASIDECTL_COMPARE_H

#include "command.h"
#include "loop/loop.h"
#include "model/catalog.h"
#include "model/place.h"

#define SETTLE_MS 5000

struct comparison;

/* Text is borrowed for life. */
struct comparison_options {
    const struct flag_list *servers;
    struct place place;
    struct dial dial; /* all of them */
    /* Nothing is open any more: comparison_report() can be asked. Later than comparison_new(). */
    void (*on_done)(void *ctx);
    void *ctx;
};

/* Of every port of every Service in `catalog`. */
struct comparison *comparison_new(struct loop *loop, const struct comparison_options *options,
                                  const struct catalog *catalog) must_check;
void comparison_free(struct comparison *comparison);
/* The rules' side has moved. `catalog` is referenced until the next one. */
void comparison_update(struct comparison *comparison, const struct catalog *catalog);
/* No more waiting for answers: on_done. */
void comparison_expire(struct comparison *comparison);
/* Prints every difference, and how many there are; true: none, and every server answered. */
bool comparison_report(const struct comparison *comparison);

#endif
