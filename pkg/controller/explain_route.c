/* Where the calls of who dials a name go, when its policy splits them. */
#include "controller/explain_internal.h"
#include "controller/route_text.h"

static void write_target(const struct route *route, const struct route_target *target,
                         struct json_writer *writer)
{
    char cluster[NAME_CLUSTER_MAX];

    name_format_target(route->namespace_name, target->service, route->hostname, &target->port,
                       target->number, cluster);
    json_open_object(writer, NULL);
    json_put_str(writer, "service", target->service);
    json_put_str(writer, "cluster", str_of(cluster));
    json_put_u64(writer, "written", target->written);
    json_put_u64(writer, "weight", target->weight);
    json_put_str(writer, "problem", str_of(target->problem));
    json_close_object(writer);
}

void explain_write_route(const struct explanation *explanation, struct json_writer *writer)
{
    struct route route;

    if (!explanation->now.service)
        return;
    explain_find_route(explanation, &route);
    if (!route_is_split(&route))
        return;
    json_open_array(writer, "backends");
    for (size_t i = 0; i < route.len; i++)
        write_target(&route, &route.targets[i], writer);
    json_close_array(writer);
}
