#include "query.h"

void query_to_cluster(const struct query *query, unsigned number, char out[CLUSTER_TEXT])
{
    char service[TEXT], pod[16] = "", port[16] = "";

    slot_name(query->service, service);
    if (query->pod >= 0)
        snprintf(pod, sizeof(pod), "/pod-%d", query->pod);
    if (number)
        snprintf(port, sizeof(port), "%u", number);
    else if (query->port == BY_NAME)
        snprintf(port, sizeof(port), "%s", query->name);
    snprintf(out, CLUSTER_TEXT, "%s/%s%s:%s", slot_namespace(query->service), service, pod, port);
}

static void read_port(const char *port, struct query *query)
{
    query->port = !*port ? BY_DEFAULT : *port >= '0' && *port <= '9' ? BY_NUMBER : BY_NAME;
    query->number = query->port == BY_NUMBER ? (unsigned)strtoul(port, NULL, 10) : 0;
    query->name = query->port == BY_NAME ? port : "";
}

bool query_from_cluster(const char *text, struct query *ret_query)
{
    for (unsigned slot = 0; slot < SERVICES; slot++) {
        struct query query = {.service = slot, .pod = -1, .zone = -1, .node = -1};
        char service[TEXT], prefix[CLUSTER_TEXT];
        const char *rest;

        slot_name(slot, service);
        snprintf(prefix, sizeof(prefix), "%s/%s", slot_namespace(slot), service);
        if (strncmp(text, prefix, strlen(prefix)) != 0)
            continue;
        rest = text + strlen(prefix);
        if (strncmp(rest, "/pod-", 5) == 0)
            query.pod = (int)strtoul(rest + 5, (char **)(uintptr_t)&rest, 10);
        if (*rest != ':')
            continue;
        read_port(rest + 1, &query);
        *ret_query = query;
        return true;
    }
    return false;
}
