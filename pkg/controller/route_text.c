#include "controller/route_text.h"

static void add_target(struct buf *out, const struct route_target *target)
{
    buf_add_str(out, target->service);
    if (target->number != 0)
        buf_printf(out, ":%u", (unsigned)target->number);
    else if (target->port.kind == PORT_NUMBER)
        buf_printf(out, ":%u", (unsigned)target->port.number);
    else if (target->port.kind == PORT_NAME)
        buf_printf(out, ":%" STR_FMT, STR_ARG(target->port.name));
}

static void add_shares(struct buf *out, const struct route *route)
{
    const char *comma = "";
    uint64_t total = 0;

    for (size_t i = 0; i < route->len; i++)
        total += route->targets[i].weight;
    for (size_t i = 0; i < route->len; i++) {
        const struct route_target *target = &route->targets[i];

        if (target->written == 0)
            continue;
        buf_printf(out, "%s%.4g%% ", comma,
                   total > 0 ? 100.0 * target->weight / (double)total : 0.0);
        comma = ", ";
        add_target(out, target);
        if (target->problem)
            buf_printf(out, " (%s%s)", target->problem,
                       target->weight > 0 ? ": these calls fail" : "");
    }
}

bool route_is_split(const struct route *route)
{
    const struct policy *policy = route->policy;

    return (policy->backends_len > 0 || policy->announced_len > 0) && route->hostname.len == 0;
}

void route_add_text(struct buf *out, const struct route *route)
{
    const struct route_target *own = &route->targets[0];

    if (route_is_split(route)) {
        add_shares(out, route);
        return;
    }
    add_target(out, own);
    if (!own->resolved && own->problem)
        buf_printf(out, " (%s)", own->problem);
}
