#include "subscribe.h"

#include <stdio.h>

#include "base/backoff.h"
#include "base/secret_file.h"
#include "grpc/client.h"
#include "grpc/rpc.h"
#include "net/jwt.h"
#include "protocol/native.h"

#define WATCH_PATH "/lookaside.v1.BackendDiscovery/Watch"
#define CONNECT_MS 10000
#define RETRY_MS 200
#define RETRY_MAX_MS 10000
/* Of the targets in a request; the rest is for its other fields. */
#define TARGETS_SIZE_MAX (RPC_MESSAGE_MAX - 16 * 1024)
#define TARGET_OVERHEAD 4 /* tag and length */

struct subscription {
    struct loop *loop;
    struct subscription_options options;
    struct grpc_client *client;
    struct timer *attempt;
    struct backoff backoff;
    struct held held;
};

size_t subscription_fit(const char *const *targets, size_t len)
{
    size_t size = 0, fit = 0;

    while (fit < len && fit < NATIVE_TARGETS_MAX) {
        size += strlen(targets[fit]) + TARGET_OVERHEAD;
        if (size > TARGETS_SIZE_MAX && fit > 0)
            break;
        fit++;
    }
    return fit;
}

/* The same request would get the same answer. */
static bool is_final(enum code code)
{
    return code == CODE_INVALID_ARGUMENT || code == CODE_PERMISSION_DENIED ||
           code == CODE_UNIMPLEMENTED || code == CODE_UNAUTHENTICATED || code == CODE_DATA_LOSS;
}

static void lose(struct subscription *subscription, enum code code, const char *reason)
{
    uint64_t delay_ms = is_final(code) ? 0 : backoff_next_ms(&subscription->backoff, 0);

    if (delay_ms)
        timer_start(subscription->attempt, delay_ms);
    subscription->options.on_lost(subscription->options.ctx, code, reason, delay_ms);
}

static void take(struct subscription *subscription, watch_response *response)
{
    const watch_response *list;
    struct err err = {0};

    if (held_take(&subscription->held, response, &list, &err) == CODE_OK)
        subscription->options.on_list(subscription->options.ctx, list);
    else
        lose(subscription, err.code, err.msg);
}

static void on_message(void *ctx, struct str message)
{
    struct subscription *subscription = ctx;
    watch_response *response =
        lookaside__v1__watch_response__unpack(NULL, message.len, (const uint8_t *)message.ptr);

    if (!response) {
        lose(subscription, CODE_DATA_LOSS, "the server sent a malformed list");
        return;
    }
    backoff_reset(&subscription->backoff);
    if (*response->version) {
        take(subscription, response);
        return;
    }
    subscription->options.on_list(subscription->options.ctx, response);
    lookaside__v1__watch_response__free_unpacked(response, NULL);
}

static void on_end(void *ctx, enum code code, const char *message)
{
    char reason[FAIL_MESSAGE_MAX];

    if (code == CODE_OK)
        snprintf(reason, sizeof(reason), "the server ended the stream");
    else
        snprintf(reason, sizeof(reason), "%s: %s", code_name(code),
                 message && *message ? message : "no reason given");
    lose(ctx, code, reason);
}

struct versions {
    Lookaside__V1__WatchRequest__VersionsEntry *entries; /* owned */
    Lookaside__V1__WatchRequest__VersionsEntry **items;  /* owned */
    size_t len;
};

static void versions_done(struct versions *versions)
{
    free(versions->items);
    free(versions->entries);
}

/* What an earlier stream brought. */
static struct versions versions_of(const struct held *held)
{
    struct versions versions = {xcalloc(held->len + 1, sizeof(*versions.entries)),
                                xcalloc(held->len + 1, sizeof(*versions.items)), 0};

    for (size_t i = 0; i < held->len; i++) {
        Lookaside__V1__WatchRequest__VersionsEntry *entry = &versions.entries[versions.len];

        if (!held->lists[i].list)
            continue;
        lookaside__v1__watch_request__versions_entry__init(entry);
        entry->key = (char *)(uintptr_t)held->lists[i].target;
        entry->value = held->lists[i].list->version;
        versions.items[versions.len++] = entry;
    }
    return versions;
}

static bool send_request(const struct subscription *subscription, struct grpc_call *call)
{
    CLEANUP(versions_done) struct versions versions = versions_of(&subscription->held);
    const struct subscription_options *options = &subscription->options;
    Lookaside__V1__WatchRequest request = LOOKASIDE__V1__WATCH_REQUEST__INIT;
    Lookaside__V1__Place place = LOOKASIDE__V1__PLACE__INIT;
    CLEANUP(freep) char *zone = NULL, *node = NULL;
    CLEANUP(freep) uint8_t *bytes = NULL;
    size_t size;

    request.targets = (char **)(uintptr_t)options->targets;
    request.n_targets = options->targets_len;
    request.namespace_ = (char *)(uintptr_t)options->namespace_name;
    if (options->place) {
        request.place = &place;
        place.zone = zone = str_dup(options->place->zone);
        place.node = node = str_dup(options->place->node);
        place.group = options->place->group;
    }
    request.versions = versions.items;
    request.n_versions = versions.len;
    size = lookaside__v1__watch_request__get_packed_size(&request);
    if (size > RPC_MESSAGE_MAX) { /* all lists come whole then */
        request.n_versions = 0;
        size = lookaside__v1__watch_request__get_packed_size(&request);
    }
    if (size > RPC_MESSAGE_MAX)
        return false;
    bytes = xmalloc(size + 1);
    grpc_call_send(call, bytes, lookaside__v1__watch_request__pack(&request, bytes), false);
    return true;
}

/* What the server is called: HTTP/2 refuses a path or a target's scheme here. */
static const char *authority_of(const char *server, const struct address *address)
{
    static const char scheme[] = "dns:///";

    if (address_is_unix(address))
        return "localhost";
    return str_starts_with(str_of(server), STR(scheme)) ? server + strlen(scheme) : server;
}

/* Without its port, and an address without its brackets. */
static char *host_of(const char *authority)
{
    struct str host = str_of(authority);

    host = str_slice(host, 0, str_find_last(host, ':'));
    if (str_starts_with(host, STR("[")))
        host = str_slice(host, 1, host.len - 1);
    return str_dup(host);
}

/* RFC 6750: what a token may be made of has no space in it. */
static bool is_token(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
            return false;
    return text.len > 0;
}

/* Others on the way, or in the server's place, could use the token as well as we. */
static enum code check_secret(const struct subscription_options *options,
                              const struct address *address, struct err *err)
{
    if (options->dial.verified || options->dial.token_plaintext || address_is_local(address))
        return CODE_OK;
    return fail(
        err, CODE_INVALID_ARGUMENT,
        "a token is a secret, and '%s' is another host, dialled without TLS, or with a server that "
        "is not verified: give --tls or --tls-ca, or --token-plaintext where nobody can be in between",
        options->server);
}

/* NULL where there is no token to send. */
static enum code read_authorization(const struct subscription_options *options,
                                    const struct address *address, char **ret_authorization,
                                    struct err *err)
{
    CLEANUP(secret_freep) char *text = NULL;
    const char *path = options->dial.token;
    enum code code;
    struct str token;

    if (!path)
        return CODE_OK;
    code = check_secret(options, address, err);
    if (code == CODE_OK)
        code = secret_file_read(path, JWT_MAX, &text, err);
    if (code != CODE_OK)
        return code;
    token = str_trim(str_of(text));
    if (!is_token(token))
        return fail(err, CODE_INVALID_ARGUMENT, "'%s' holds no token", path);
    if (asprintf(ret_authorization, "Bearer %" STR_FMT, STR_ARG(token)) < 0)
        abort();
    return CODE_OK;
}

static enum code open_client(struct subscription *subscription, const struct address *address,
                             struct err *err)
{
    const struct subscription_options *options = &subscription->options;
    CLEANUP(secret_freep) char *authorization = NULL;
    enum code code = read_authorization(options, address, &authorization, err);
    const char *authority = authority_of(options->server, address);
    CLEANUP(freep) char *host = host_of(authority);
    const struct grpc_client_options client = {
        .loop = subscription->loop,
        .server = address,
        .authority = authority,
        .connect_timeout_ms = CONNECT_MS,
        .tls = options->dial.tls,
        .server_name = options->dial.server_name ? options->dial.server_name : host,
        .authorization = authorization,
    };

    return code == CODE_OK ? grpc_client_new(&client, &subscription->client, err) : code;
}

static enum code connect_once(struct subscription *subscription, struct err *err)
{
    static const struct grpc_call_handler handler = {.on_message = on_message, .on_end = on_end};
    const char *server = subscription->options.server;
    struct address address;
    enum code code = address_lookup(str_of(server), &address, err);

    grpc_client_free(subscription->client);
    subscription->client = NULL;
    if (code == CODE_OK)
        code = open_client(subscription, &address, err);
    if (code != CODE_OK)
        return code;
    if (!send_request(subscription,
                      grpc_call_start(subscription->client, WATCH_PATH, 0, &handler, subscription)))
        return fail(err, CODE_INVALID_ARGUMENT, "the target is too long");
    return CODE_OK;
}

static void on_attempt(void *ctx)
{
    struct subscription *subscription = ctx;
    struct err err = {0};
    enum code code = connect_once(subscription, &err);

    if (code != CODE_OK)
        lose(subscription, code, err.msg);
}

struct subscription *subscription_new(struct loop *loop, const struct subscription_options *options)
{
    struct subscription *subscription = xcalloc(1, sizeof(*subscription));

    subscription->loop = loop;
    subscription->options = *options;
    subscription->backoff = (struct backoff){.base_ms = RETRY_MS, .max_ms = RETRY_MAX_MS};
    subscription->attempt = timer_new(loop, on_attempt, subscription);
    timer_start(subscription->attempt, 0);
    held_init(&subscription->held, options->targets, options->targets_len);
    return subscription;
}

void subscription_free(struct subscription *subscription)
{
    if (!subscription)
        return;
    grpc_client_free(subscription->client);
    timer_free(subscription->attempt);
    held_done(&subscription->held);
    free(subscription);
}
