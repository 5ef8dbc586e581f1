/* lookaside.v1.BackendDiscovery/Watch. */
#include "base/hash.h"
#include "client.h"
#include "lookaside/v1/discovery.pb-c.h"

/* What a target's responses made: it outlives the call. */
struct held {
    char version[20]; /* empty: nothing */
    char problem[128];
    struct answer answer;
};

struct native {
    struct account accounts[TARGETS];
    unsigned asked; /* bits of targets, in the newest request */
    size_t sent;    /* requests */
};

static void name_targets(const struct client *client, Lookaside__V1__WatchRequest *request)
{
    struct native *native = client->state;

    for (unsigned i = 0; i < TARGETS; i++) {
        if (!(client->wants & 1u << i))
            continue;
        request->targets[request->n_targets++] = (char *)(uintptr_t)targets[i].text;
        if (!(native->asked & 1u << i))
            native->accounts[i] = (struct account){0};
    }
    native->asked = client->wants;
}

static void ask(struct client *client)
{
    typedef Lookaside__V1__WatchRequest__VersionsEntry versions_entry;
    struct native *native = client->state;
    struct held *held = client->kept;
    Lookaside__V1__WatchRequest request = LOOKASIDE__V1__WATCH_REQUEST__INIT;
    Lookaside__V1__Place place = LOOKASIDE__V1__PLACE__INIT;
    char *names[TARGETS], node[16];
    versions_entry entries[TARGETS], *versions[TARGETS];
    CLEANUP(freep) uint8_t *bytes = NULL;

    request.targets = names;
    name_targets(client, &request);
    request.versions = versions;
    for (unsigned i = 0; native->sent == 0 && i < TARGETS; i++) {
        if (!held[i].version[0])
            continue;
        entries[i] = (versions_entry)LOOKASIDE__V1__WATCH_REQUEST__VERSIONS_ENTRY__INIT;
        entries[i].key = (char *)(uintptr_t)targets[i].text;
        entries[i].value = held[i].version;
        versions[request.n_versions++] = &entries[i];
    }
    request.namespace_ = (char *)(uintptr_t) "web";
    if (client->zone >= 0 || client->node >= 0)
        request.place = &place;
    if (client->zone >= 0)
        place.zone = (char *)(uintptr_t)zone_name(client->zone);
    snprintf(node, sizeof(node), "node-%d", client->node);
    if (client->node >= 0)
        place.node = node;
    bytes = xmalloc(lookaside__v1__watch_request__get_packed_size(&request) + 1);
    native->sent =
        call_send(client->call, bytes, lookaside__v1__watch_request__pack(&request, bytes));
}

static void open_call(struct client *client)
{
    client->state = xcalloc(1, sizeof(struct native));
    if (!client->kept)
        client->kept = xcalloc(TARGETS, sizeof(struct held));
    ask(client);
}

static void close_call(struct client *client)
{
    free(TAKE(client->state));
}

/* ---- lists ---- */

static void read_backend(const Lookaside__V1__Backend *from, struct entry *backend)
{
    snprintf(backend->address, sizeof(backend->address), "%s", from->address);
    snprintf(backend->other, sizeof(backend->other), "%s", from->other_address);
    snprintf(backend->zone, sizeof(backend->zone), "%s", from->zone);
    snprintf(backend->pod, sizeof(backend->pod), "%s", from->pod);
    backend->port = from->port;
    backend->other_port = from->other_port;
    backend->draining = from->health == LOOKASIDE__V1__BACKEND__HEALTH__DRAINING;
    backend->priority = from->priority;
}

/* Where it stands; answer->len: nowhere. */
static size_t find(const struct answer *answer, const char *address, unsigned port)
{
    size_t i = 0;

    while (i < answer->len &&
           (answer->items[i].port != port || strcmp(answer->items[i].address, address) != 0))
        i++;
    return i;
}

static bool take_removed(struct answer *answer, const Lookaside__V1__WatchResponse *response,
                         const char *who)
{
    for (size_t i = 0; i < response->n_removed; i++) {
        const Lookaside__V1__BackendAddress *key = response->removed[i];
        size_t at = find(answer, key->address, key->port);

        if (at == answer->len) {
            sim_fail("%s: what it never had is removed: %s:%u", who, key->address, key->port);
            return false;
        }
        answer->items[at] = answer->items[--answer->len];
        memset(&answer->items[answer->len], 0, sizeof(*answer->items));
    }
    return true;
}

static bool take_backends(struct answer *answer, const Lookaside__V1__WatchResponse *response,
                          const char *who)
{
    for (size_t i = 0; i < response->n_backends; i++) {
        const Lookaside__V1__Backend *backend = response->backends[i];
        size_t at = find(answer, backend->address, backend->port);

        if (at == ANSWER_MAX || (at < answer->len && !response->changes)) {
            sim_fail("%s: more backends than there can be, or one twice", who);
            return false;
        }
        answer->len += at == answer->len;
        memset(&answer->items[at], 0, sizeof(*answer->items));
        read_backend(backend, &answer->items[at]);
    }
    return true;
}

/* What the response makes of what the client had. */
static bool take_response(struct held *held, const Lookaside__V1__WatchResponse *response,
                          const char *who)
{
    struct answer *answer = &held->answer;

    if (!response->changes)
        memset(answer, 0, sizeof(*answer));
    else if (!held->version[0])
        sim_fail("%s: changes to nothing", who);
    if (!take_removed(answer, response, who) || !take_backends(answer, response, who))
        return false;
    answer_sort(answer);
    if ((answer->len == 0) != (*response->problem != '\0'))
        sim_fail("%s: %zu backends and the problem '%s'", who, answer->len, response->problem);
    if (response->changes && !response->n_backends && !response->n_removed &&
        strcmp(response->problem, held->problem) == 0 &&
        strcmp(response->version, held->version) != 0)
        sim_fail("%s: no change makes another version", who);
    snprintf(held->problem, sizeof(held->problem), "%s", response->problem);
    snprintf(held->version, sizeof(held->version), "%s", response->version);
    return true;
}

static uint64_t content_of(const struct answer *answer, const char *problem)
{
    return hash_mix(hash_content(answer->items, answer->len * sizeof(*answer->items)),
                    hash_content(problem, strlen(problem)));
}

static struct query native_query(const struct client *client, unsigned target)
{
    struct query query = client_query(client, targets[target].query);

    query.native = true;
    return query;
}

static int target_of(const char *name)
{
    for (int i = 0; i < TARGETS; i++) {
        if (strcmp(targets[i].text, name) == 0)
            return i;
    }
    return -1;
}

static void receive_list(struct client *client, const Lookaside__V1__WatchResponse *response,
                         const struct delivery *delivery)
{
    struct native *native = client->state;
    int target = target_of(response->target);
    struct held *held = client->kept;
    struct query query;
    char who[160];

    client_who(client, response->target, who);
    if (target < 0 || !*response->version) {
        sim_fail("%s: an answer without a list: '%s'", who, response->problem);
        return;
    }
    held += target;
    sim_trace("%s: version %s, %zu backends, %zu removed%s", who, response->version,
              response->n_backends, response->n_removed, response->changes ? ", changes" : "");
    if (!take_response(held, response, who))
        return;
    judge_version("native", str_of(response->version), content_of(&held->answer, response->problem),
                  who);
    query = native_query(client, (unsigned)target);
    if (native->asked & 1u << target)
        judge_list(&native->accounts[target], &query, &held->answer, delivery, who);
}

static void receive(struct client *client, const struct delivery *delivery)
{
    Lookaside__V1__WatchResponse *response = lookaside__v1__watch_response__unpack(
        NULL, delivery->bytes.len, (const uint8_t *)delivery->bytes.ptr);

    if (!response) {
        sim_fail("client %u (native): malformed response", client->index);
        return;
    }
    receive_list(client, response, delivery);
    lookaside__v1__watch_response__free_unpacked(response, NULL);
}

static void check(struct client *client, uint64_t at_us, bool final)
{
    const struct native *native = client->state;

    for (unsigned i = 0; i < TARGETS; i++) {
        struct query query = native_query(client, i);
        char who[160];

        if (!(native->asked & 1u << i))
            continue;
        client_who(client, targets[i].text, who);
        if (final)
            judge_final(&native->accounts[i], &query, who);
        else
            judge_standing(&native->accounts[i], &query, at_us, who);
    }
}

static void compare(const struct client *client, const struct json *stream)
{
    const struct native *native = client->state;
    size_t asked = (size_t)__builtin_popcount(native->asked);

    if (stream_u64(stream, "requests") == native->sent &&
        json_len(json_get(stream, "targets")) != asked)
        sim_fail("client %u (native): the server dumps %zu targets of %zu", client->index,
                 json_len(json_get(stream, "targets")), asked);
}

const struct client_kind_ops native_client_ops = {
    .name = "native",
    .path = "/lookaside.v1.BackendDiscovery/Watch",
    .open = open_call,
    .ask = ask,
    .receive = receive,
    .check = check,
    .compare = compare,
    .close = close_call,
};
