/* The request headers that handlers may ask for. */
#include "grpc/internal.h"

struct rpc_metadata {
    struct rpc_metadata *next;
    const char *name;
    char value[];
};

void rpc_keep_metadata(struct rpc *rpc, struct str name, struct str value)
{
    const char *const *kept = rpc->peer->server->metadata;
    struct rpc_metadata *entry;

    while (kept && *kept && !str_eq(str_of(*kept), name))
        kept++;
    if (!kept || !*kept || rpc_metadata(rpc, *kept))
        return;
    entry = xcalloc(1, sizeof(*entry) + value.len + 1);
    entry->name = *kept;
    if (value.len > 0)
        memcpy(entry->value, value.ptr, value.len);
    entry->next = rpc->metadata;
    rpc->metadata = entry;
}

const char *rpc_metadata(const struct rpc *rpc, const char *name)
{
    for (const struct rpc_metadata *entry = rpc->metadata; entry; entry = entry->next)
        if (strcmp(entry->name, name) == 0)
            return entry->value;
    return NULL;
}

void rpc_drop_metadata(struct rpc *rpc)
{
    while (rpc->metadata) {
        struct rpc_metadata *entry = rpc->metadata;

        rpc->metadata = entry->next;
        free(entry);
    }
}
