/* Why one endpoint is in a list, or not. */
#include "controller/explain_internal.h"

const char *explain_reason_name(enum explain_reason reason)
{
    static const char *const names[EXPLAIN_REASONS] = {
        [EXPLAIN_READY] = "ready",
        [EXPLAIN_DRAINING] = "draining",
        [EXPLAIN_JOINED] = "joined",
        [EXPLAIN_UNREADY] = "unready",
        [EXPLAIN_BEHIND] = "behind",
        [EXPLAIN_KEPT] = "kept",
        [EXPLAIN_PROTECTED] = "protected",
        [EXPLAIN_LEAVING] = "leaving",
        [EXPLAIN_LEFTOVER] = "leftover",
        [EXPLAIN_NO_SUCH_PORT] = "no-such-port",
        [EXPLAIN_DUPLICATE] = "duplicate",
        [EXPLAIN_NOT_READY] = "not-ready",
        [EXPLAIN_TERMINATING] = "terminating",
        [EXPLAIN_STOPPED] = "stopped",
        [EXPLAIN_OTHER_ZONE] = "other-zone",
        [EXPLAIN_OTHER_NODE] = "other-node",
        [EXPLAIN_NOT_LOCAL] = "not-local",
        [EXPLAIN_OTHER_GROUP] = "other-group",
        [EXPLAIN_NONE_SHOWN] = "none-shown",
        [EXPLAIN_OTHER_POD] = "other-pod",
        [EXPLAIN_HELD_BACK] = "held-back",
        [EXPLAIN_WAITING] = "waiting",
        [EXPLAIN_EXTERNAL] = "external-name",
        [EXPLAIN_NO_SERVICE] = "no-service",
        [EXPLAIN_NO_PORT] = "no-port",
    };

    return names[reason];
}

const char *explain_reason_text(enum explain_reason reason)
{
    static const char *const texts[EXPLAIN_REASONS] = {
        [EXPLAIN_READY] = "it is ready",
        [EXPLAIN_DRAINING] = "it is terminating but still serves, and no endpoint is ready",
        [EXPLAIN_JOINED] = "second address of a pod whose first one is listed: the client may use either",
        [EXPLAIN_KEPT] = "it was in the last list, which a hold keeps; the slices no longer say so",
        [EXPLAIN_UNREADY] = "it is not ready, but no endpoint is, and whenNoneReady is All",
        [EXPLAIN_BEHIND] = "it is ready, but others are nearer: it is for when all those fail",
        [EXPLAIN_PROTECTED] = "protection keeps it in the list: too many vanished at once",
        [EXPLAIN_LEAVING] = "it leaves the list within a second: changes are collected",
        [EXPLAIN_LEFTOVER] =
            "its slice is a leftover of an earlier Service of this name (another UID)",
        [EXPLAIN_NO_SUCH_PORT] = "its slice has no such TCP port",
        [EXPLAIN_DUPLICATE] = "the same address and port is in a newer slice too, and that one counts",
        [EXPLAIN_NOT_READY] = "it is not ready: its Pod's condition Ready is not True (a readiness probe, as a rule)",
        [EXPLAIN_TERMINATING] = "it is terminating, and other endpoints are ready",
        [EXPLAIN_STOPPED] = "it is terminating and no longer serves",
        [EXPLAIN_OTHER_ZONE] = "it is ready, but by its zone hints it is not for clients of this zone (trafficDistribution)",
        [EXPLAIN_OTHER_NODE] = "it is ready, but by its node hints it is not for clients on this node (trafficDistribution)",
        [EXPLAIN_NOT_LOCAL] = "it is not on the client's node, and internalTrafficPolicy is Local",
        [EXPLAIN_OTHER_GROUP] =
            "it could be listed, but the client gets a part, in which it is not",
        [EXPLAIN_NONE_SHOWN] = "it is terminating but still serves; whenNoneReady is Empty",
        [EXPLAIN_OTHER_POD] = "the name means one pod by its hostname, and this is another",
        [EXPLAIN_HELD_BACK] = "it would be in the list, but a hold keeps the last list for now",
        [EXPLAIN_WAITING] = "it comes into the list within a second: changes are collected",
        [EXPLAIN_EXTERNAL] =
            "the Service is an ExternalName: its clients go to a host name instead",
        [EXPLAIN_NO_SERVICE] = "there is no Service object of this name",
        [EXPLAIN_NO_PORT] = "the name that was asked for means no port of the Service",
    };

    return texts[reason];
}

bool explain_is_in(enum explain_reason reason)
{
    return reason <= EXPLAIN_LEAVING;
}

struct explain_entry *explain_find(const struct explain_side *side, const struct backend *backend)
{
    size_t low = 0, high = side->entries_len;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = backend_cmp_address(side->entries[middle].backend, backend);

        if (order == 0)
            return &side->entries[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* ---- what no list of the port has ---- */

static enum explain_reason judge_unready(const struct explanation *explanation,
                                         const struct endpoint *endpoint)
{
    const struct explain_side *truth = &explanation->truth;

    if (!endpoint->terminating)
        return EXPLAIN_NOT_READY;
    if (!endpoint->serving)
        return EXPLAIN_STOPPED;
    if (truth->view.ipv4 == VIEW_LOCAL && !str_eq(endpoint->node, truth->view.node))
        return EXPLAIN_NOT_LOCAL;
    if (truth->port && truth->port->ready == 0 &&
        truth->port->policy->none_ready == NONE_READY_EMPTY)
        return EXPLAIN_NONE_SHOWN;
    return EXPLAIN_TERMINATING;
}

static enum explain_reason judge_place(const struct explanation *explanation,
                                       const struct endpoint *endpoint)
{
    const struct view *view = &explanation->truth.view;

    switch (endpoint->family == FAMILY_IPV4 ? view->ipv4 : view->ipv6) {
    case VIEW_LOCAL:
        return EXPLAIN_NOT_LOCAL;
    case VIEW_NODE:
        return EXPLAIN_OTHER_NODE;
    case VIEW_ZONE:
        return EXPLAIN_OTHER_ZONE;
    case VIEW_ALL:
    case VIEW_NEAR_ZONE:
    case VIEW_NEAR_NODE:
    case VIEW_KINDS:
        break;
    }
    return EXPLAIN_WAITING; /* cannot be: ready ones are in the list of all */
}

static enum explain_reason judge_unlisted(const struct explanation *explanation,
                                          const struct backend *backend)
{
    const struct endpoint *endpoint = backend->endpoint;
    struct str hostname = explanation->name.hostname;

    if (hostname.len > 0 && !str_eq(endpoint->hostname, hostname))
        return EXPLAIN_OTHER_POD;
    if (explain_find(&explanation->whole, backend))
        return EXPLAIN_OTHER_GROUP;
    return endpoint->ready ? judge_place(explanation, endpoint)
                           : judge_unready(explanation, endpoint);
}

/* The slice is not in force, or its Service or port is not there. */
enum explain_reason explain_judge_portless(const struct explanation *explanation,
                                           const struct slice *slice)
{
    const struct explain_side *truth = &explanation->truth;

    if (!truth->service)
        return EXPLAIN_NO_SERVICE;
    if (truth->service->type == SERVICE_EXTERNAL_NAME)
        return EXPLAIN_EXTERNAL;
    if (service_refuses_slice(truth->service, slice))
        return EXPLAIN_LEFTOVER;
    return truth->port ? EXPLAIN_NO_SUCH_PORT : EXPLAIN_NO_PORT;
}

/* ---- what counts at the port ---- */

enum explain_reason explain_staying(const struct explanation *explanation)
{
    if (!explanation->held)
        return EXPLAIN_LEAVING;
    return explanation->group->hold == HOLD_PROTECTION ? EXPLAIN_PROTECTED : EXPLAIN_KEPT;
}

static enum explain_reason judge_member(const struct explanation *explanation,
                                        const struct object *object, const struct backend *backend)
{
    const struct explain_entry *now = explain_find(&explanation->now, backend);
    const struct explain_entry *wanted = explain_find(&explanation->truth, backend);

    if (!now && !wanted)
        return judge_unlisted(explanation, backend);
    if (!now)
        return explanation->held ? EXPLAIN_HELD_BACK : EXPLAIN_WAITING;
    if (!wanted)
        return explain_staying(explanation);
    if (object->doubted_us != 0)
        return EXPLAIN_KEPT;
    if (now->joined)
        return EXPLAIN_JOINED;
    if (backend_is_draining(backend))
        return EXPLAIN_DRAINING;
    if (!backend_is_ready(backend))
        return EXPLAIN_UNREADY;
    return now->priority > 0 ? EXPLAIN_BEHIND : EXPLAIN_READY;
}

enum explain_reason explain_judge(const struct explanation *explanation,
                                  const struct object *object, const struct backend *backend)
{
    const struct explain_side *truth = &explanation->truth;
    const struct listed *known = truth->port ? service_port_find(truth->port, backend) : NULL;
    enum explain_reason reason;

    if (known && known->backend->endpoint == backend->endpoint)
        return judge_member(explanation, object, backend);
    if (!known && explain_find(&explanation->now, backend))
        return explain_staying(explanation);
    reason = explain_judge_portless(explanation, backend->slice);
    return reason == EXPLAIN_NO_SUCH_PORT ? EXPLAIN_DUPLICATE : reason;
}
