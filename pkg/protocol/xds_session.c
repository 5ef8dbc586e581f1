#include <assert.h>

#include "base/hash.h"
#include "base/utf8.h"
#include "protocol/xds_internal.h"
#include "wire/fields.h"

_Static_assert(sizeof(struct xds_session) <= 512, "an idle stream has become bigger");

static const struct {
    struct str url;
    const char *name;
    char letter; /* of its nonces */
} types[XDS_TYPES] = {
    [XDS_LISTENER] = {STR_INIT(LISTENER_URL), "Listener", 'l'},
    [XDS_ROUTE] = {STR_INIT(ROUTE_CONFIGURATION_URL), "RouteConfiguration", 'r'},
    [XDS_CLUSTER] = {STR_INIT(CLUSTER_URL), "Cluster", 'c'},
    [XDS_ENDPOINT] = {STR_INIT(CLUSTER_LOAD_ASSIGNMENT_URL), "ClusterLoadAssignment", 'e'},
};

const char *xds_type_url(enum xds_type type)
{
    return types[type].url.ptr;
}

const char *xds_type_name(enum xds_type type)
{
    return types[type].name;
}

static bool find_type(struct str url, enum xds_type *ret_type)
{
    for (int type = 0; type < XDS_TYPES; type++) {
        if (str_eq(types[type].url, url)) {
            *ret_type = (enum xds_type)type;
            return true;
        }
    }
    return false;
}

uint64_t xds_version_term(struct str name, uint64_t version)
{
    return hash_mix(hash_content(name.ptr, name.len), version);
}

void xds_nonce_format(enum xds_type type, uint64_t nonce, char out[XDS_NONCE_TEXT_MAX])
{
    out[0] = types[type].letter;
    str_format_u64(nonce, out + 1);
}

uint64_t xds_nonce_parse(enum xds_type type, struct str text)
{
    uint64_t nonce;

    if (text.len < 2 || text.ptr[0] != types[type].letter)
        return 0;
    return str_to_u64(str_slice(text, 1, text.len), UINT64_MAX, &nonce) ? nonce : 0;
}

/* ---- the node ---- */

static size_t take_text(struct str *text, char *room)
{
    if (text->len > 0)
        memcpy(room, text->ptr, text->len);
    text->ptr = room;
    return text->len;
}

/* One allocation: the struct and all its text. */
static struct xds_node *copy_node(const struct xds_node *node)
{
    struct xds_node copy = *node;
    struct str *texts[] = {&copy.id,     &copy.cluster, &copy.user_agent, &copy.user_agent_version,
                           &copy.region, &copy.zone,    &copy.sub_zone,   &copy.namespace_name,
                           &copy.node};
    struct xds_node *kept;
    size_t len = 0;
    char *room;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        len += texts[i]->len;
    kept = xmalloc(sizeof(*kept) + len);
    room = (char *)(kept + 1);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        room += take_text(texts[i], room);
    *kept = copy;
    return kept;
}

const struct xds_node *xds_session_node(const struct xds_session *session)
{
    static const struct xds_node nobody;

    return session->node ? session->node : &nobody;
}

/* Every gRPC client's user agent begins like this: "gRPC Go", "gRPC Java", "gRPC Node Pure JS",
 * "gRPC C-core". */
static bool is_grpc(const struct xds_session *session)
{
    return str_starts_with(xds_session_node(session)->user_agent, STR("gRPC"));
}

/* ---- subscriptions ---- */

struct add_ctx {
    struct xds_session *session;
    enum xds_type type;
};

static struct str subscription_name(const void *item)
{
    return ((const struct xds_subscription *)item)->name;
}

static void mark_dirty(struct xds_subscription *subscription)
{
    if (list_empty(&subscription->dirty))
        list_append(&subscription->session->types[subscription->type].dirty, &subscription->dirty);
}

static void *subscribe(void *ctx, struct str name)
{
    const struct add_ctx *add = ctx;
    struct xds_session *session = add->session;
    struct xds_subscription *subscription = xmalloc(sizeof(*subscription) + name.len);
    char *text = (char *)(subscription + 1);

    if (name.len > 0)
        memcpy(text, name.ptr, name.len);
    *subscription = (struct xds_subscription){
        .session = session, .type = add->type, .name = str_make(text, name.len)};
    list_init(&subscription->dirty);
    mark_dirty(subscription);
    session->host->subscribe(session->ctx, subscription);
    return subscription;
}

static void unsubscribe(unused_arg void *ctx, void *item)
{
    struct xds_subscription *subscription = item;
    struct xds_session *session = subscription->session;

    session->host->unsubscribe(session->ctx, subscription);
    list_remove(&subscription->dirty);
    if (subscription->sent_version != 0)
        session->types[subscription->type].sum -=
            xds_version_term(subscription->name, subscription->sent_version);
    free(subscription);
}

const struct name_set_ops xds_subscription_ops = {subscription_name, subscribe, unsubscribe};

void xds_subscription_touch(struct xds_subscription *subscription)
{
    struct xds_session *session = subscription->session;

    if (!list_empty(&subscription->dirty))
        return;
    mark_dirty(subscription);
    session->host->wake(session->ctx, false);
}

void xds_session_touch_wildcard(struct xds_session *session, enum xds_type type)
{
    struct xds_type_state *state = &session->types[type];

    if (!state->wildcard || state->every_dirty)
        return;
    state->every_dirty = true;
    session->host->wake(session->ctx, false);
}

bool xds_session_has_wildcard(const struct xds_session *session, enum xds_type type)
{
    return session->types[type].wildcard;
}

/* ---- requests ---- */

/* Marks what the refused response carried. Only where it carried one resource is it known which
 * one was wrong. */
static void mark_rejected(struct xds_type_state *state, uint64_t nonce)
{
    for (size_t i = 0; i < state->names.len; i++) {
        struct xds_subscription *subscription = state->names.items[i];

        if (subscription->sent_nonce != nonce)
            continue;
        subscription->rejected = true;
        if (subscription->sent_alone)
            subscription->nacked_version = subscription->sent_version;
    }
}

/* What makes a name a part of a longer word. */
static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '.' || c == '/' || c == ':' || c == '-' || c == '_';
}

/* A name that ends a sentence, or that an explanation follows, has a dot or colon behind it. */
static bool is_end(struct str rest)
{
    if (rest.len == 0 || !is_word(rest.ptr[0]))
        return true;
    if (rest.ptr[0] != '.' && rest.ptr[0] != ':')
        return false;
    return rest.len == 1 || !is_word(rest.ptr[1]);
}

/* As a word of its own: 'shop/a:80' is not in 'web-shop/a:8080'. */
static bool is_in(struct str message, struct str name)
{
    size_t from = 0;

    while (name.len > 0 && message.len - from >= name.len) {
        const char *found = memmem(message.ptr + from, message.len - from, name.ptr, name.len);
        size_t at = found ? (size_t)(found - message.ptr) : 0;

        if (!found)
            return false;
        if ((at == 0 || !is_word(found[-1])) &&
            is_end(str_slice(message, at + name.len, message.len)))
            return true;
        from = at + 1;
    }
    return false;
}

/* A refusal, and whose resource it may mean. */
struct suspicion {
    struct xds_session *session;
    enum xds_type type;
    uint64_t nonce;
    struct str message;
    struct str shown;   /* of it */
    bool named;         /* the message names a resource */
    uint64_t every_sum; /* over what nobody subscribes to by name, as it is now */
};

static struct xds_type_state *state_of(const struct suspicion *suspicion)
{
    return &suspicion->session->types[suspicion->type];
}

static bool is_unnamed(const struct suspicion *suspicion, struct str name)
{
    return !name_set_find(&state_of(suspicion)->names, name, &xds_subscription_ops);
}

/* Every language names the resources that it refuses, each in its own words. */
static bool is_suspect(const struct suspicion *suspicion, struct str name)
{
    return !suspicion->named || is_in(suspicion->message, name);
}

static void weigh_unnamed(void *ctx, struct str name, const struct xds_resource *resource)
{
    struct suspicion *suspicion = ctx;

    if (!is_unnamed(suspicion, name))
        return;
    suspicion->named |= is_in(suspicion->message, name);
    suspicion->every_sum += xds_version_term(name, resource->version);
}

static void tell_unnamed(void *ctx, struct str name, unused_arg const struct xds_resource *resource)
{
    const struct suspicion *suspicion = ctx;
    struct xds_session *session = suspicion->session;

    if (is_unnamed(suspicion, name) && is_suspect(suspicion, name))
        session->host->suspected_unnamed(session->ctx, suspicion->type, name, suspicion->shown);
}

static void weigh(struct suspicion *suspicion)
{
    struct xds_session *session = suspicion->session;
    const struct xds_type_state *state = state_of(suspicion);

    for (size_t i = 0; i < state->names.len; i++) {
        const struct xds_subscription *subscription = state->names.items[i];

        suspicion->named |= subscription->sent_nonce == suspicion->nonce &&
                            is_in(suspicion->message, subscription->name);
    }
    if (state->wildcard)
        session->host->each(session->ctx, suspicion->type, weigh_unnamed, suspicion);
}

static void tell_suspected(struct suspicion *suspicion)
{
    struct xds_session *session = suspicion->session;
    const struct xds_host *to = session->host;
    const struct xds_type_state *state = state_of(suspicion);

    weigh(suspicion);
    for (size_t i = 0; to->suspected && i < state->names.len; i++) {
        struct xds_subscription *subscription = state->names.items[i];

        if (subscription->sent_nonce == suspicion->nonce &&
            is_suspect(suspicion, subscription->name))
            to->suspected(session->ctx, subscription, suspicion->shown);
    }
    if (to->suspected_unnamed && state->wildcard && suspicion->nonce == state->last_nonce &&
        suspicion->every_sum == state->every_sum)
        to->each(session->ctx, suspicion->type, tell_unnamed, suspicion);
}

/* Node.js repeats error_detail with every request until a response is good again: that is one
 * NACK. */
static void on_nack(struct xds_session *session, enum xds_type type, uint64_t nonce,
                    const struct xds_request *request)
{
    struct xds_type_state *state = &session->types[type];
    struct str message = utf8_cut(request->error_message, XDS_NACK_TEXT_MAX);
    struct xds_nack *nack;

    if (state->nack && nonce <= state->nack->nonce)
        return;
    nack = xmalloc(sizeof(*nack) + message.len);
    nack->nonce = nonce;
    nack->code = request->error_code;
    nack->len = message.len;
    if (message.len > 0)
        memcpy(nack->message, message.ptr, message.len);
    free(state->nack);
    state->nack = nack;
    session->stats.nacks++;
    mark_rejected(state, nonce);
    tell_suspected(&(struct suspicion){.session = session,
                                       .type = type,
                                       .nonce = nonce,
                                       .message = request->error_message,
                                       .shown = message});
}

/* What was refused before the client took another one answers no NACK when it comes back. */
static void end_refusals(struct xds_type_state *state, uint64_t nonce)
{
    for (size_t i = 0; state->nack && i < state->names.len; i++) {
        struct xds_subscription *subscription = state->names.items[i];

        if (subscription->nacked_version == 0 || subscription->sent_nonce != nonce ||
            subscription->sent_version == subscription->nacked_version)
            continue;
        subscription->nacked_version = 0;
        xds_subscription_touch(subscription); /* it may be back already */
    }
}

/* C-core says error_detail once; the same nonce in a later request is no ACK. */
static void on_ack(struct xds_session *session, struct xds_type_state *state, uint64_t nonce)
{
    if (state->nack && state->nack->nonce == nonce)
        return;
    if (nonce > state->acked_nonce) {
        state->acked_nonce = nonce;
        session->stats.acks++;
        end_refusals(state, nonce);
    } else if (nonce != state->last_nonce) {
        session->stats.stale++;
    }
}

static void read_nonce(struct xds_session *session, enum xds_type type,
                       const struct xds_request *request)
{
    struct xds_type_state *state = &session->types[type];
    uint64_t nonce = xds_nonce_parse(type, request->nonce);

    if (request->nonce.len == 0)
        return;
    if (nonce == 0 || nonce > state->last_nonce)
        session->stats.stale++;
    else if (request->has_error)
        on_nack(session, type, nonce, request);
    else
        on_ack(session, state, nonce);
}

/* The client has dropped what it had (Node.js says so after it named nothing for a while). */
static bool forget(struct xds_type_state *state)
{
    for (size_t i = 0; i < state->names.len; i++) {
        struct xds_subscription *subscription = state->names.items[i];

        subscription->must_send = true;
        subscription->nacked_version = 0;
        mark_dirty(subscription);
    }
    state->every_due |= state->wildcard;
    return state->names.len > 0;
}

/* gRPC clients never mean everything, not even old Java ones that begin with an empty request. */
static bool wants_everything(const struct xds_session *session, enum xds_type type,
                             const struct xds_request *request)
{
    if (!xds_is_full_state(type) || is_grpc(session))
        return false;
    return request->has_wildcard || (request->names_len == 0 && !session->types[type].named_before);
}

/* Going over from everything to names is answered too: what everything brought may be gone by
 * then. */
static void set_wildcard(struct xds_type_state *state, bool wildcard,
                         const struct xds_request *request)
{
    if (wildcard == state->wildcard)
        return;
    state->wildcard = wildcard;
    state->every_due = wildcard || request->names_len > 0;
    state->every_dirty = false;
    state->every_sum = 0;
}

/* Returns true if an answer is owed. */
static bool set_names(struct add_ctx *add, const struct xds_request *request)
{
    struct xds_type_state *state = &add->session->types[add->type];
    size_t before = state->names.len;
    size_t added = name_set_replace(&state->names, request->names, request->names_len,
                                    &xds_subscription_ops, add);

    /* Beside a wildcard, what is named no longer is part of everything again. */
    if (before + added != state->names.len)
        state->every_due |= state->wildcard;
    return added > 0;
}

static size_t names_of_others(const struct xds_session *session, enum xds_type type)
{
    size_t len = 0;

    for (int other = 0; other < XDS_TYPES; other++)
        len += other == (int)type ? 0 : session->types[other].names.len;
    return len;
}

enum code xds_session_request(struct xds_session *session, const struct xds_request *request,
                              struct err *err)
{
    struct xds_type_state *state;
    struct add_ctx add = {.session = session};
    bool owes;

    session->stats.requests++;
    if (request->has_node && !session->node)
        session->node = copy_node(&request->node);
    if (!find_type(request->type_url, &add.type)) {
        session->stats.unknown_types++;
        return CODE_OK;
    }
    if (names_of_others(session, add.type) + request->names_len > XDS_NAMES_MAX)
        return fail(err, CODE_RESOURCE_EXHAUSTED, "more than %d names on one stream",
                    XDS_NAMES_MAX);
    state = &session->types[add.type];
    read_nonce(session, add.type, request);
    set_wildcard(state, wants_everything(session, add.type, request), request);
    state->named_before |= request->names_len > 0 || request->has_wildcard;
    owes = set_names(&add, request);
    if (request->nonce.len == 0 && state->last_nonce != 0)
        owes |= forget(state);
    if (owes || state->every_due)
        session->host->wake(session->ctx, true);
    return CODE_OK;
}

/* ---- life ---- */

struct xds_session *xds_session_new(const struct xds_host *host, void *ctx)
{
    struct xds_session *session = xcalloc(1, sizeof(*session));

    session->host = host;
    session->ctx = ctx;
    for (int type = 0; type < XDS_TYPES; type++)
        list_init(&session->types[type].dirty);
    return session;
}

void xds_session_free(struct xds_session *session)
{
    if (!session)
        return;
    for (int type = 0; type < XDS_TYPES; type++) {
        name_set_clear(&session->types[type].names, &xds_subscription_ops, NULL);
        free(session->types[type].nack);
    }
    free(session->node);
    free(session);
}

const struct xds_session_stats *xds_session_stats(const struct xds_session *session)
{
    return &session->stats;
}
