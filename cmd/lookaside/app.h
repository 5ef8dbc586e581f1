/*
 * The graph of the controller: control loop, source, controller, serving side, admin port; built in
 * order, run, torn down in reverse.
 *
 * Threads: the main thread is the control thread.
 */
#ifndef LOOKASIDE_APP_H
#define LOOKASIDE_APP_H

#include "admin/admin.h"
#include "controller/controller.h"
#include "controller/source.h"
#include "kube/client.h"
#include "net/keypair.h"
#include "options.h"
#include "rebalance.h"
#include "report.h"
#include "token_keys.h"

enum app_phase { APP_SYNCING, APP_SERVING, APP_DELAYING, APP_DRAINING, APP_STOPPED };

struct app {
    const struct options *options;
    enum app_phase phase;
    struct loop *loop;
    struct kube_config *kube_config;
    struct kube_client *kube_client;
    struct serve *serve;
    struct keypair *keypair; /* NULL: no TLS */
    struct controller *controller;
    struct source *source;
    struct pods *pods; /* NULL: clients are not known by their addresses */
    struct admin *admin;
    struct report *report;       /* NULL: with a directory */
    struct token_keys *token_keys; /* NULL: no tokens */
    struct rebalance *rebalance; /* NULL: it is switched off */
    uint64_t replica;            /* this process's id among the replicas */
    struct signal_watch *sigterm, *sigint, *sighup;
    struct deferred begin; /* of serving */
    struct timer *timer;   /* shutdown's steps */
    uint64_t started_us;
    uint64_t stopping_us; /* the first signal's time; 0 before it */
    bool drained, report_stopped;
    int exit_code;
};

/* Everything is running when it returns CODE_OK, but nothing listens for clients until the source
 * is synced. */
enum code app_start(struct app *app, const struct options *options, struct err *err) must_check;
/* Until a signal, or a failure after the start; the process' exit code. */
int app_run(struct app *app);
void app_stop(struct app *app);

/* Of one-label names of clients that tell no namespace. */
const char *app_default_namespace(const struct app *app);

/* The admin port's pages; their ctx is the app. */
extern const struct admin_route app_pages[];
extern const size_t app_pages_len;

#endif
