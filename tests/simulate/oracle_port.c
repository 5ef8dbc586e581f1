/* Section 2 of the design: which port a name means. Only TCP counts. */
#include "oracle.h"

static bool is_any(const struct api_port *port unused_arg)
{
    return true;
}

static bool is_named_grpc(const struct api_port *port)
{
    return strcmp(port->name, "grpc") == 0;
}

static bool speaks_grpc(const struct api_port *port)
{
    return strcmp(port->app_protocol, "grpc") == 0 ||
           strcmp(port->app_protocol, "kubernetes.io/h2c") == 0;
}

static const struct api_port *the_only(const struct api_service *service,
                                       bool (*is)(const struct api_port *port))
{
    const struct api_port *found = NULL;
    size_t len = 0;

    for (size_t i = 0; i < service->ports_len; i++) {
        const struct api_port *port = &service->ports[i];

        if (port->protocol != API_TCP || !is(port))
            continue;
        found = port;
        len++;
    }
    return len == 1 ? found : NULL;
}

/* "No port: the only TCP port; else the one named grpc or with appProtocol grpc, kubernetes.io/h2c." */
static const struct api_port *default_port(const struct api_service *service)
{
    const struct api_port *port = the_only(service, is_any);

    if (!port)
        port = the_only(service, is_named_grpc);
    return port ? port : the_only(service, speaks_grpc);
}

const struct api_port *oracle_port(const struct api_service *service, const struct query *query)
{
    if (query->port == BY_DEFAULT)
        return default_port(service);
    for (size_t i = 0; i < service->ports_len; i++) {
        const struct api_port *port = &service->ports[i];

        if (port->protocol == API_TCP &&
            (query->port == BY_NUMBER ? port->number == query->number
                                      : strcmp(port->name, query->name) == 0))
            return port;
    }
    return NULL;
}

bool oracle_is_portless(const struct api_service *service)
{
    return service->headless && service->ports_len == 0;
}

unsigned oracle_number(const struct api_object *service, const struct query *query)
{
    const struct api_port *port = service ? oracle_port(&service->service, query) : NULL;

    return port ? port->number : query->port == BY_NUMBER ? query->number : 0;
}

/* By the port's number once it is known; until then, as it was asked. */
void oracle_cluster(const struct api_object *service, const struct query *query,
                    char out[CLUSTER_TEXT])
{
    query_to_cluster(query, oracle_number(service, query), out);
}

/* An ExternalName is the name of one host; no pod is meant by it. */
void oracle_host(const struct api_object *service, const struct query *query, char out[TEXT],
                 unsigned *ret_port)
{
    bool external = service && *service->service.external_name && query->pod < 0;

    *ret_port = external ? oracle_number(service, query) : 0;
    snprintf(out, TEXT, "%s", *ret_port ? service->service.external_name : "");
}

static size_t add_number(unsigned *out, size_t len, unsigned number)
{
    for (size_t i = 0; i < len; i++) {
        if (out[i] == number)
            return len;
    }
    out[len] = number;
    return len + 1;
}

/* Those of its ports; of a headless Service without ports, its slices'. */
size_t oracle_ports(const struct api_object *service, const struct api_object *const *slices,
                    unsigned out[ORACLE_PORTS_MAX])
{
    size_t len = 0;

    if (!service)
        return 0;
    for (size_t i = 0; i < service->service.ports_len; i++) {
        if (service->service.ports[i].protocol == API_TCP)
            len = add_number(out, len, service->service.ports[i].number);
    }
    for (size_t i = 0; oracle_is_portless(&service->service) && i < SLICES; i++) {
        if (slices[i] && oracle_counts(slices[i], service) && slices[i]->slice.ports_len > 0)
            len = add_number(out, len, slices[i]->slice.ports[0].number);
    }
    return len;
}
