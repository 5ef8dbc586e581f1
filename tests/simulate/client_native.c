/* lookaside.v1.BackendDiscovery/Watch. */
#include "base/hash.h"
#include "client.h"
#include "lookaside/v1/discovery.pb-c.h"

struct native {
    struct account accounts[TARGETS];
    unsigned asked; /* bits of targets, in the newest request */
    size_t sent; /* requests */
};

static void ask(struct client *client)
{
    struct native *native = client->state;
    Lookaside__V1__WatchRequest request = LOOKASIDE__V1__WATCH_REQUEST__INIT;
    Lookaside__V1__Place place = LOOKASIDE__V1__PLACE__INIT;
    char *names[TARGETS], node[16];
    CLEANUP(freep) uint8_t *bytes = NULL;

    request.targets = names;
    for (unsigned i = 0; i < TARGETS; i++) {
        if (!(client->wants & 1u << i))
            continue;
        names[request.n_targets++] = (char *)(uintptr_t)targets[i].text;
        if (!(native->asked & 1u << i))
            native->accounts[i] = (struct account){0};
    }
    native->asked = client->wants;
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
    backend->draining = from->draining;
    backend->priority = from->priority;
}

static bool read_answer(const Lookaside__V1__WatchResponse *response, struct answer *answer,
                        const char *who)
{
    *answer = (struct answer){0};
    if (response->n_backends > ANSWER_MAX) {
        sim_fail("%s: %zu backends are more than there can be", who, response->n_backends);
        return false;
    }
    for (size_t i = 0; i < response->n_backends; i++)
        read_backend(response->backends[i], &answer->items[answer->len++]);
    if ((response->n_backends == 0) != (*response->problem != '\0'))
        sim_fail("%s: %zu backends and the problem '%s'", who, response->n_backends,
                 response->problem);
    return true;
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
    struct answer answer;
    struct query query;
    char who[160];

    client_who(client, response->target, who);
    if (target < 0 || !*response->version) {
        sim_fail("%s: an answer without a list: '%s'", who, response->problem);
        return;
    }
    if (!read_answer(response, &answer, who))
        return;
    sim_trace("%s: version %s, %zu backends", who, response->version, answer.len);
    judge_version("native", str_of(response->version),
                  hash_content(answer.items, answer.len * sizeof(*answer.items)), who);
    answer_sort(&answer);
    query = native_query(client, (unsigned)target);
    if (native->asked & 1u << target)
        judge_list(&native->accounts[target], &query, &answer, delivery, who);
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
