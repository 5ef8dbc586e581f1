#include "oracle.h"

/* An endpoint of a slice, at one port. */
struct candidate {
    const struct api_object *slice;
    const struct api_endpoint *endpoint;
    int family;
    unsigned port;
    bool given; /* by the client or the Service: the slice leaves it open */
    bool out;   /* not for this client */
};

struct candidates {
    bool raw; /* with duplicates */
    size_t len;
    struct candidate items[ANSWER_MAX];
};

/* ---- conditions: ready nil → true, serving nil → true, terminating nil → false ---- */

static bool is_ready(const struct candidate *candidate)
{
    return candidate->endpoint->ready != NO;
}

static bool is_draining(const struct candidate *candidate)
{
    const struct api_endpoint *endpoint = candidate->endpoint;

    return !is_ready(candidate) && endpoint->serving != NO && endpoint->terminating == YES;
}

/* ---- which port is meant ---- */

static bool is_named(const struct api_port *port, const char *name)
{
    return strcmp(port->name, name) == 0;
}

static bool speaks_grpc(const struct api_port *port)
{
    return strcmp(port->app_protocol, "grpc") == 0 ||
           strcmp(port->app_protocol, "kubernetes.io/h2c") == 0;
}

/* No port in the name: the only TCP port; else the one named grpc, or that says it speaks gRPC. */
static const struct api_port *default_port(const struct api_service *service)
{
    const struct api_port *only = NULL, *named = NULL, *speaking = NULL;
    size_t tcp = 0, speak = 0;

    for (size_t i = 0; i < service->ports_len; i++) {
        const struct api_port *port = &service->ports[i];

        if (port->protocol != API_TCP)
            continue;
        tcp++;
        only = port;
        if (is_named(port, "grpc"))
            named = port;
        if (speaks_grpc(port)) {
            speak++;
            speaking = port;
        }
    }
    if (tcp == 1)
        return only;
    if (named)
        return named;
    return speak == 1 ? speaking : NULL;
}

static const struct api_port *find_port(const struct api_service *service,
                                        const struct query *query)
{
    if (query->port == BY_DEFAULT)
        return default_port(service);
    for (size_t i = 0; i < service->ports_len; i++) {
        const struct api_port *port = &service->ports[i];

        if (port->protocol == API_TCP && (query->port == BY_NUMBER ? port->number == query->number
                                                                   : is_named(port, query->name)))
            return port;
    }
    return NULL;
}

/* ---- all slices merged ---- */

/* A slice is a leftover only if another Service owns it. */
static bool in_force(const struct api_object *slice, const struct api_object *service)
{
    const char *owner = slice->slice.owner_uid;

    return !*owner || strcmp(owner, service->service.uid) == 0;
}

/* Of duplicates, the one in the slice with the higher resourceVersion counts (a restored etcd gives versions
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

        if (!slice || !in_force(slice, service))
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

/* ---- the client's place ---- */

/* internalTrafficPolicy: Local. Unknown node: all. */
static void keep_local(struct candidates *all, int node)
{
    for (size_t i = 0; i < all->len && node >= 0; i++)
        all->items[i].out = all->items[i].endpoint->node != (unsigned)node;
}

static unsigned hints_of(const struct candidate *candidate, bool nodes)
{
    return nodes ? candidate->endpoint->node_hints : candidate->endpoint->zone_hints;
}

/* If all ready endpoints of the family have hints, and one names the client's place: those that do. */
static bool keep_hinted(struct candidates *all, int family, bool nodes, int place)
{
    bool named = false;

    if (place < 0)
        return false;
    for (size_t i = 0; i < all->len; i++) {
        const struct candidate *candidate = &all->items[i];

        if (candidate->family != family || !is_ready(candidate))
            continue;
        if (!hints_of(candidate, nodes))
            return false;
        named = named || hints_of(candidate, nodes) & 1u << place;
    }
    for (size_t i = 0; i < all->len && named; i++) {
        struct candidate *candidate = &all->items[i];

        if (candidate->family == family && is_ready(candidate))
            candidate->out = !(hints_of(candidate, nodes) & 1u << place);
    }
    return named;
}

static void keep_near(struct candidates *all, const struct api_service *service,
                      const struct query *query)
{
    if (query->pod >= 0)
        return; /* one pod is meant from everywhere */
    if (service->local && !service->headless) { /* it is about the ClusterIP */
        keep_local(all, query->node);
        return;
    }
    for (int family = 4; family <= 6; family += 2)
        if (!keep_hinted(all, family, true, query->node))
            (void)keep_hinted(all, family, false, query->zone);
}

/* ---- the list ---- */

/* Ready → in the list. Ready none: those that still serve while they terminate. */
static void choose(struct candidates *all)
{
    bool ready = false;

    for (size_t i = 0; i < all->len; i++)
        ready = ready || (!all->items[i].out && is_ready(&all->items[i]));
    for (size_t i = 0; i < all->len; i++) {
        struct candidate *candidate = &all->items[i];

        if (ready ? !is_ready(candidate) : !is_draining(candidate))
            candidate->out = true;
    }
}

/* The same pod at the same port in the other family; NULL: none. */
static struct candidate *twin_of(struct candidates *all, const struct candidate *candidate)
{
    for (size_t i = 0; i < all->len; i++) {
        struct candidate *other = &all->items[i];

        if (!other->out && other->family != candidate->family && other->port == candidate->port &&
            other->endpoint->pod == candidate->endpoint->pod)
            return other;
    }
    return NULL;
}

static void list(struct candidates *all, int preferred, int pod, struct answer *answer)
{
    for (size_t i = 0; i < all->len; i++) {
        const struct candidate *candidate = &all->items[i];
        const struct candidate *twin = twin_of(all, candidate);
        struct entry *backend = &answer->items[answer->len];

        if (candidate->out || (twin && candidate->family != preferred))
            continue;
        if (pod >= 0 && candidate->endpoint->pod != (unsigned)pod)
            continue;
        answer->len++;
        snprintf(backend->address, TEXT, "%s", candidate->endpoint->address);
        snprintf(backend->zone, sizeof(backend->zone), "%s", zone_name(candidate->endpoint->zone));
        snprintf(backend->pod, sizeof(backend->pod), "pod-%u", candidate->endpoint->pod);
        backend->port = candidate->port;
        backend->draining = is_draining(candidate);
        backend->terminating = candidate->endpoint->terminating == YES;
        if (twin) {
            snprintf(backend->other, TEXT, "%s", twin->endpoint->address);
            backend->other_port = twin->port;
        }
    }
}

/* An ExternalName is the name of one host; no pod is meant by it. */
static void list_host(const struct api_object *service, const struct query *query,
                      struct answer *answer)
{
    struct entry *entry = &answer->items[0];

    oracle_host(service, query, entry->address, &entry->port);
    answer->len = query->native && *entry->address && query->pod < 0;
}

static bool is_portless(const struct api_service *service)
{
    return service->headless && service->ports_len == 0;
}

static void collect(struct candidates *all, const struct api_object *service,
                    const struct api_object *const *slices, const struct query *query)
{
    const struct api_port *port = find_port(&service->service, query);

    if (port || query->port == BY_NUMBER)
        merge(all, slices, service, port, port ? port->number : query->number);
}

void oracle_list(const struct api_object *service, const struct api_object *const *slices,
                 const struct query *query, struct answer *ret_answer)
{
    struct candidates all = {0};

    *ret_answer = (struct answer){0};
    if (!service)
        return;
    if (*service->service.external_name) {
        list_host(service, query, ret_answer);
        return;
    }
    collect(&all, service, slices, query);
    keep_near(&all, &service->service, query);
    choose(&all);
    list(&all, service->service.families[0] == 6 ? 6 : 4, query->pod, ret_answer);
    answer_sort(ret_answer);
}

bool oracle_knows(const struct api_object *service, const struct api_object *const *slices,
                  const struct query *query, const struct entry *entry)
{
    struct candidates all = {.raw = true};

    if (service)
        collect(&all, service, slices, query);
    for (size_t i = 0; i < all.len; i++) {
        if (all.items[i].port == entry->port &&
            strcmp(all.items[i].endpoint->address, entry->address) == 0)
            return true;
    }
    return false;
}

bool oracle_names(const struct api_object *service, const struct api_object *const *slices,
                  unsigned number)
{
    const struct query query = {.port = BY_NUMBER, .number = number};

    if (!service || find_port(&service->service, &query))
        return service != NULL;
    for (size_t i = 0; i < SLICES; i++) {
        const struct api_object *slice = slices[i];

        if (!slice || !in_force(slice, service) || slice->slice.endpoints_len == 0)
            continue;
        for (size_t k = 0; k < slice->slice.ports_len; k++) {
            if (slice->slice.ports[k].protocol == API_TCP && slice->slice.ports[k].number == number)
                return true;
        }
    }
    return false;
}

unsigned oracle_number(const struct api_object *service, const struct query *query)
{
    const struct api_port *port = service ? find_port(&service->service, query) : NULL;

    return port ? port->number : query->port == BY_NUMBER ? query->number : 0;
}

void oracle_host(const struct api_object *service, const struct query *query, char out[TEXT],
                 unsigned *ret_port)
{
    bool external = service && *service->service.external_name && query->pod < 0;

    *ret_port = external ? oracle_number(service, query) : 0;
    snprintf(out, TEXT, "%s", *ret_port ? service->service.external_name : "");
}

/* By the port's number once it is known; until then, as it was asked. */
void oracle_cluster(const struct api_object *service, const struct query *query,
                    char out[2 * TEXT])
{
    unsigned number = oracle_number(service, query);
    char name[TEXT], pod[16] = "";

    slot_name(query->service, name);
    if (query->pod >= 0)
        snprintf(pod, sizeof(pod), "/pod-%d", query->pod);
    if (number)
        snprintf(out, 2 * TEXT, "%s/%s%s:%u", slot_namespace(query->service), name, pod, number);
    else
        snprintf(out, 2 * TEXT, "%s/%s%s:%s", slot_namespace(query->service), name, pod,
                 query->port == BY_NAME ? query->name : "");
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

size_t oracle_ports(unsigned slot, unsigned out[ORACLE_PORTS_MAX])
{
    const struct api_object *service = cluster_get(slot);
    size_t len = 0;

    for (size_t i = 0; service && i < service->service.ports_len; i++) {
        if (service->service.ports[i].protocol == API_TCP)
            len = add_number(out, len, service->service.ports[i].number);
    }
    for (unsigned i = 0; service && is_portless(&service->service) && i < SLICES; i++) {
        const struct api_object *slice = cluster_get(slice_slot(slot, i));

        if (slice && in_force(slice, service) && slice->slice.ports_len > 0)
            len = add_number(out, len, slice->slice.ports[0].number);
    }
    return len;
}

/* ---- comparing ---- */

static int compare(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    int order = strcmp(left->address, right->address);

    return order ? order : (left->port > right->port) - (left->port < right->port);
}

void answer_sort(struct answer *answer)
{
    qsort(answer->items, answer->len, sizeof(*answer->items), compare);
}

bool answer_equal(const struct answer *a, const struct answer *b)
{
    if (a->len != b->len)
        return false;
    for (size_t i = 0; i < a->len; i++) {
        const struct entry *left = &a->items[i], *right = &b->items[i];

        if (compare(left, right) != 0 || strcmp(left->other, right->other) != 0 ||
            left->other_port != right->other_port)
            return false;
        if (*left->pod && *right->pod &&
            (strcmp(left->pod, right->pod) != 0 || left->draining != right->draining))
            return false; /* xDS does not say */
    }
    return true;
}
