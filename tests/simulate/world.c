#include "world.h"

#include "client.h"
#include "fake_kube.h"
#include "known.h"
#include "policies.h"
#include "product.h"

/* A watch that fell silent before its first bookmark is given up when it should have ended: after at most 630 s. Then
 * backoff, a list, and a second one where the first was doubted. */
#define REST_US (800 * SIM_S)
#define GOODBYE_US (5 * SIM_S)
#define CHECK_AFTER_US (100 * SIM_MS)

#if defined(__SANITIZE_ADDRESS__)
size_t __sanitizer_get_current_allocated_bytes(void); /* gcc comes without the header */

static size_t allocated(void)
{
    return __sanitizer_get_current_allocated_bytes();
}
#else
static size_t allocated(void)
{
    return 0; /* nobody counts */
}
#endif

static struct product_options product_options;

void world_restart(void)
{
    product_stop();
    known_forget();
    product_start(&product_options);
}

static void trace_policies(void)
{
    for (unsigned i = 0; i < SERVICES; i++) {
        char text[256];

        policies_describe(i, text, sizeof(text));
        if (policies_of(i) != policy_default())
            sim_trace("%s", text);
    }
}

static void begin(const struct schedule *schedule, bool talk)
{
    struct setup setup;

    sim_start(talk);
    policies_start(schedule->seed);
    setup = schedule_setup(schedule->seed);
    sim.busy = setup.busy;
    product_options = (struct product_options){.workers = setup.workers};
    cluster_start(setup.portless);
    known_start();
    judge_start();
    api_start(&(struct api_options){.page = setup.page, .streams = setup.streams});
    product_start(&product_options);
    clients_start(setup.clients);
    sim_trace("%zu clients, %u workers%s, pages of %zu, %s lists", setup.clients, setup.workers,
              setup.busy ? " on a busy machine" : "", setup.page,
              setup.streams ? "streaming" : "paged");
    trace_policies();
}

static void play(const struct schedule *schedule)
{
    for (size_t i = 0; i < schedule->len && !sim_failed(); i++) {
        const struct action *action = &schedule->actions[i];

        sim_reseed(action->salt);
        action->kind->apply(action);
        sim_run(sim.now_us + action->delay_us);
        if (action->delay_us >= CHECK_AFTER_US)
            clients_check(false);
    }
}

static void come_to_rest(void)
{
    const struct action mend = {0};

    if (sim_failed())
        return;
    sim_trace("all faults end");
    for (const struct action_kind *kind = cluster_actions; kind->name; kind++)
        if (strcmp(kind->name, "mend") == 0)
            kind->apply(&mend);
    api_heal();
    clients_heal();
    sim_run(sim.now_us + REST_US);
    if (!sim_failed())
        product_check_quiet();
    if (!sim_failed())
        clients_check(true);
    product_dump();
    if (!sim_failed())
        sim_run(sim.now_us + SIM_S);
}

static void end(void)
{
    clients_done();
    if (!sim_failed())
        sim_run(sim.now_us + GOODBYE_US);
    if (!sim_failed())
        product_check_bare();
    product_stop();
    known_done();
    cluster_done();
    policies_done();
}

void world_run(const struct schedule *schedule, bool talk, struct result *ret_result)
{
    static bool warm; /* what libraries allocate once is no leak */
    size_t before = allocated();

    begin(schedule, talk);
    play(schedule);
    come_to_rest();
    end();
    if (warm && allocated() != before)
        sim_fail("%zu bytes were allocated, and %zu are left", before, allocated());
    warm = true;
    ret_result->failed = sim_failed();
    memcpy(ret_result->failure, sim.failure, sizeof(ret_result->failure));
    ret_result->trace = sim.trace;
    ret_result->virtual_us = sim.now_us - sim.start_us;
}
