#include "serve/refused.h"

#include "serve/internal.h"

struct told {
    struct serve *serve;
    struct refusal refusal;
    char text[]; /* of the refusal */
};

static void told_free(struct told *told)
{
    policy_unref(told->refusal.policy);
    free(told);
}

static void on_told(void *ctx)
{
    struct told *told = ctx;
    const struct serve_options *options = &told->serve->options;

    options->refused(options->refused_ctx, &told->refusal);
    told_free(told);
}

void serve_tell_refused(void *ctx, const struct refusal *refusal)
{
    struct serve *serve = ctx;
    struct told *told;
    char *at;

    if (!serve->options.refused)
        return;
    told = xmalloc(sizeof(*told) + refusal->agent.len + refusal->peer.len + refusal->message.len);
    at = told->text;
    told->serve = serve;
    told->refusal.policy = policy_ref(refusal->policy);
    told->refusal.agent = str_put(&at, refusal->agent);
    told->refusal.peer = str_put(&at, refusal->peer);
    told->refusal.message = str_put(&at, refusal->message);
    if (!loop_post(serve->options.loop, on_told, told))
        told_free(told); /* the control loop ends */
}
