/* What a name stands for to a grpclb client: one list, which has the weights of a split in it. */
#include "base/hash.h"
#include "encode/grpclb.h"
#include "serve/meaning.h"

#define DROP_TOKEN_MAX 80 /* "empty:" and a Service's name */

static bool is_own(const struct meaning *meaning, const struct route_target *target)
{
    return target->found == meaning->service && target->number == meaning->number;
}

bool meaning_splits(const struct meaning *meaning)
{
    for (size_t i = 0; i < meaning->route.len; i++) {
        const struct route_target *target = &meaning->route.targets[i];

        if (target->weight > 0 && !is_own(meaning, target))
            return true;
    }
    return false;
}

static struct blob *no_list(const char *problem, uint64_t *ret_version, const char **ret_problem)
{
    *ret_problem = problem;
    *ret_version = hash_content(problem, strlen(problem)) | 1;
    return NULL;
}

static struct blob *encode_own(const struct meaning *meaning, const struct view *view,
                               uint64_t *ret_version, const char **ret_problem)
{
    struct arena arena = {0};
    struct backend_list list;
    struct grpclb_share share = {
        .list = &list,
        .asked_port = meaning->number ? meaning->number : meaning->name.port.number,
        .hostname = meaning->name.hostname,
        .weight = 1,
    };
    struct blob *blob;

    view_list(meaning->port, view, &arena, &list);
    *ret_problem = meaning_why_empty(meaning, &list);
    blob = encode_grpclb_list(&share, 1, ret_version);
    arena_done(&arena);
    return blob;
}

/* ---- a split ---- */

struct split {
    struct grpclb_share shares[ROUTE_TARGETS_MAX];
    char drop_tokens[ROUTE_TARGETS_MAX][DROP_TOKEN_MAX];
    bool has_port, has_endpoints;
};

/* What is empty and has a weight is to fail (model/route.h), or all are empty. */
static void add_target(struct split *split, size_t at, const struct route_target *target)
{
    struct grpclb_share *share = &split->shares[at];
    const struct service_port *port = NULL;
    const char *reason;

    *share = (struct grpclb_share){.asked_port = target->number, .weight = target->weight};
    if (target->weight == 0)
        return;
    if (target->found && target->found->type != SERVICE_EXTERNAL_NAME)
        port = service_find_port(target->found, &target->port, &reason);
    if (port)
        share->list = &port->list;
    split->has_port = split->has_port || port;
    split->has_endpoints = split->has_endpoints || (port && !target->problem);
    if (!target->problem)
        return;
    snprintf(split->drop_tokens[at], DROP_TOKEN_MAX, "empty:%" STR_FMT, STR_ARG(target->service));
    share->drop_token = str_of(split->drop_tokens[at]);
}

static struct blob *encode_split(const struct meaning *meaning, uint64_t *ret_version,
                                 const char **ret_problem)
{
    const struct route *route = &meaning->route;
    struct split split = {0};

    for (size_t i = 0; i < route->len; i++)
        add_target(&split, i, &route->targets[i]);
    if (!split.has_port)
        return no_list("no backend of the LookasideService has addresses", ret_version,
                       ret_problem);
    *ret_problem = split.has_endpoints ? NULL : "no backend of the LookasideService has endpoints";
    return encode_grpclb_list(split.shares, route->len, ret_version);
}

struct blob *meaning_encode_grpclb(const struct meaning *meaning, const struct view *view,
                                   uint64_t *ret_version, const char **ret_problem)
{
    if (meaning_splits(meaning))
        return encode_split(meaning, ret_version, ret_problem);
    if (meaning->port)
        return encode_own(meaning, view, ret_version, ret_problem);
    return no_list(meaning->problem ? meaning->problem
                                    : "a Service of type ExternalName has no addresses",
                   ret_version, ret_problem);
}
