/* Section 3 of the design: which endpoints of which slices a port has. */
#include "oracle_internal.h"

/* ---- "all EndpointSlices of a Service merged, de-duplicated by address and port" ---- */

/* "A slice is a leftover only if it has an owner that is a Service with another UID." */
bool oracle_counts(const struct api_object *slice, const struct api_object *service)
{
    const char *owner = slice->slice.owner_uid;

    return !*owner || strcmp(owner, service->service.uid) == 0;
}

/* "Of duplicates, the one in the slice with the higher resourceVersion counts" (a restored etcd gives versions
 * twice: then the one with the greater name); in one slice, the first. What leaves its port open gives way to the
 * same address with a port of its own. */
static void add(struct candidates *all, const struct candidate *candidate)
{
    for (size_t i = 0; i < all->len && !all->raw; i++) {
        struct candidate *other = &all->items[i];

        if (strcmp(other->endpoint->address, candidate->endpoint->address) != 0 ||
            (other->port != candidate->port && !other->given && !candidate->given))
            continue;
        if (other->given != candidate->given
                ? other->given
                : candidate->slice != other->slice &&
                      candidate->slice->version >= other->slice->version)
            *other = *candidate;
        return;
    }
    all->items[all->len++] = *candidate;
}

static void add_slice(struct candidates *all, const struct api_object *slice, unsigned port,
                      bool given)
{
    for (size_t i = 0; i < slice->slice.endpoints_len; i++)
        add(all, &(struct candidate){slice, &slice->slice.endpoints[i], slice->slice.family, port,
                                     given, false});
}

/* The Service's port by name, as kube-proxy finds it; the number is the pods'. `port` NULL: in a headless Service
 * the pods' own port of that number. There, too, a slice without ports takes the number as it is. */
static void merge(struct candidates *all, const struct api_object *const *slices,
                  const struct api_object *service, const struct api_port *port, unsigned number)
{
    for (size_t i = 0; i < SLICES; i++) {
        const struct api_object *slice = slices[i];

        if (!slice || !oracle_counts(slice, service))
            continue;
        if (slice->slice.ports_len == 0 && service->service.headless)
            add_slice(all, slice, number, true);
        for (size_t k = 0; k < slice->slice.ports_len; k++) {
            const struct api_port *target = &slice->slice.ports[k];

            if (target->protocol == API_TCP &&
                (port ? strcmp(target->name, port->name) == 0
                      : service->service.headless && target->number == number))
                add_slice(all, slice, target->number, false);
        }
    }
}

void oracle_collect(struct candidates *all, const struct api_object *service,
                    const struct api_object *const *slices, const struct query *query)
{
    const struct api_port *port = oracle_port(&service->service, query);

    if (port || query->port == BY_NUMBER)
        merge(all, slices, service, port, port ? port->number : query->number);
}

/* ---- one of them ---- */

/* Writes into `all`; NULL: the slices do not have it. */
static const struct candidate *find(const struct api_object *service,
                                    const struct api_object *const *slices,
                                    const struct query *query, const struct entry *entry,
                                    struct candidates *all)
{
    if (service && !*service->service.external_name)
        oracle_collect(all, service, slices, query);
    for (size_t i = 0; i < all->len; i++) {
        if (all->items[i].port == entry->port &&
            strcmp(all->items[i].endpoint->address, entry->address) == 0)
            return &all->items[i];
    }
    return NULL;
}

bool oracle_knows(const struct api_object *service, const struct api_object *const *slices,
                  const struct query *query, const struct entry *entry)
{
    struct candidates all = {.raw = true};

    return find(service, slices, query, entry, &all) != NULL;
}

bool oracle_is_leaving(const struct api_object *service, const struct api_object *const *slices,
                       const struct query *query, const struct entry *entry)
{
    struct candidates all = {0};
    const struct candidate *found = find(service, slices, query, entry, &all);

    return found && found->endpoint->terminating == YES;
}
