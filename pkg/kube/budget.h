/*
 * How often the API server is written to: a pace that all who write share, and who is next.
 *
 * Whoever wants to write asks for a turn. When it comes (budget_turn.go) it starts one write and says budget_done() when that is over, or says so at once
 * if there is nothing to write any more, which costs nothing. Turns are evenly spaced: no burst after a pause. Urgent ones go first; among equals
 * who asked first.
 *
 * Threads: the loop's.
 * Owns:    turns are embedded in their askers, who withdraw them before they go. The budget outlives them all.
 */
#ifndef KUBE_BUDGET_H
#define KUBE_BUDGET_H

#include "base/backoff.h"
#include "kube/call.h"

#define BUDGET_PER_SECOND 10
#define BUDGET_UNDER_WAY_MAX 4

struct budget;

struct budget_options {
    struct loop *loop;
    uint64_t per_second; /* 0: BUDGET_PER_SECOND */
    /* Asked before every turn: nobody goes while it says no. Then budget_wake() when it may say yes again. May be NULL. */
    bool (*may)(void *ctx);
    void *ctx;
};

struct budget_turn {
    struct list link;
    void (*go)(void *ctx);
    void *ctx;
};

struct budget *budget_new(const struct budget_options *options) must_check;
void budget_free(struct budget *budget); /* NULL is fine */

void budget_turn_init(struct budget_turn *turn, void (*go)(void *ctx), void *ctx);
/* Asking again while one waits changes nothing, but that it may become urgent. */
void budget_ask(struct budget *budget, struct budget_turn *turn, bool urgent);
void budget_withdraw(struct budget_turn *turn);
/* Wants it no more: withdraws a turn that waits, and ends one whose write is under way (`call`; NULL: none is). */
void budget_give_up(struct budget *budget, struct budget_turn *turn, struct kube_call *call);
bool budget_waits(const struct budget_turn *turn);

/* A turn is over: with an answer; or given up in between or not used at all (NULL). True: the same write is worth trying again, for which all wait as long as
 * the server says, or longer from failure to failure. */
bool budget_done(struct budget *budget, const struct kube_response *response);
void budget_wake(struct budget *budget);

#endif
