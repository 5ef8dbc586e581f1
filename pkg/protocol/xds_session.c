#include <assert.h>

#include "base/hash.h"
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
        *texts[i] = str_put(&room, *texts[i]);
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
    const struct xds_add_ctx *add = ctx;
    struct xds_session *session = add->session;
    struct xds_subscription *subscription = xmalloc(sizeof(*subscription) + name.len);
    char *text = (char *)(subscription + 1);

    *subscription = (struct xds_subscription){
        .session = session, .type = add->type, .name = str_put(&text, name)};
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
    return request->names.has_wildcard ||
           (request->names.len == 0 && !session->types[type].named_before);
}

/* Going over from everything to names is answered too: what everything brought may be gone by
 * then. */
static void set_wildcard(struct xds_type_state *state, bool wildcard,
                         const struct xds_request *request)
{
    if (wildcard == state->wildcard)
        return;
    state->wildcard = wildcard;
    state->every_due = wildcard || request->names.len > 0;
    state->every_dirty = false;
    state->every_sum = 0;
}

/* Returns true if an answer is owed. */
static bool set_names(struct xds_add_ctx *add, const struct xds_request *request)
{
    struct xds_type_state *state = &add->session->types[add->type];
    size_t before = state->names.len;
    size_t added = name_set_replace(&state->names, request->names.items, request->names.len,
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

/* State of the world. Returns true if an answer is owed. */
static bool apply(struct xds_session *session, enum xds_type type,
                  const struct xds_request *request)
{
    struct xds_type_state *state = &session->types[type];
    struct xds_add_ctx add = {session, type};
    bool owes;

    set_wildcard(state, wants_everything(session, type, request), request);
    state->named_before |= request->names.len > 0 || request->names.has_wildcard;
    owes = set_names(&add, request);
    if (request->nonce.len == 0 && state->last_nonce != 0)
        owes |= forget(state);
    return owes || state->every_due;
}

/* False: it is none of ours. */
static bool read_type(const struct xds_session *session, const struct xds_request *request,
                      enum xds_type *ret_type)
{
    *ret_type = session->variant.type;
    return (session->variant.single && request->type_url.len == 0) ||
           find_type(request->type_url, ret_type);
}

/* Of those names, how many the set has and `but` (NULL: none) does not. */
static size_t count_known(const struct name_set *set, const struct xds_names *names,
                          const struct xds_names *but)
{
    size_t known = 0, at = 0;

    for (size_t i = 0; i < names->len; i++) {
        while (but && at < but->len && str_cmp(but->items[at], names->items[i]) < 0)
            at++;
        if (but && at < but->len && str_eq(but->items[at], names->items[i]))
            continue;
        known += name_set_find(set, names->items[i], &xds_subscription_ops) != NULL;
    }
    return known;
}

/* How many names the stream would have. */
static size_t names_after(const struct xds_session *session, enum xds_type type,
                          const struct xds_request *request)
{
    const struct name_set *own = &session->types[type].names;
    size_t after = names_of_others(session, type) + request->names.len;

    if (!session->variant.delta)
        return after;
    /* What goes and comes in one request is there behind it. */
    return after + own->len - count_known(own, &request->gone, NULL) -
           count_known(own, &request->names, &request->gone);
}

/* Before anything is applied: a name costs a hundred times its text. */
static enum code admit(const struct xds_session *session, size_t names_after, struct err *err)
{
    enum code code = CODE_OK;

    if (session->host->admit)
        code = session->host->admit(session->ctx, xds_session_names(session), names_after, err);
    if (code == CODE_OK && names_after > XDS_NAMES_MAX)
        return fail(err, CODE_RESOURCE_EXHAUSTED,
                    "more than %d names on one stream: ask for the others on another",
                    XDS_NAMES_MAX);
    return code;
}

enum code xds_session_request(struct xds_session *session, const struct xds_request *request,
                              struct err *err)
{
    enum xds_type type;
    bool known, owes;
    enum code code;

    session->stats.requests++;
    if (request->has_node && !session->node)
        session->node = copy_node(&request->node);
    known = read_type(session, request, &type);
    if (session->variant.single && (!known || type != session->variant.type))
        return fail(err, CODE_INVALID_ARGUMENT, "this stream is for type_url '%s' only",
                    xds_type_url(session->variant.type));
    if (!known) {
        session->stats.unknown_types++;
        return CODE_OK;
    }
    code = admit(session, names_after(session, type, request), err);
    if (code != CODE_OK)
        return code;
    xds_read_nonce(session, type, request);
    owes = session->variant.delta ? xds_delta_apply(session, type, request)
                                  : apply(session, type, request);
    if (owes)
        session->host->wake(session->ctx, true);
    return CODE_OK;
}

/* ---- life ---- */

struct xds_session *xds_session_new(const struct xds_host *host, const struct xds_variant *variant,
                                    void *ctx)
{
    struct xds_session *session = xcalloc(1, sizeof(*session));

    session->variant = *variant;
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
        xds_delta_done(session, (enum xds_type)type);
        free(session->types[type].nack);
    }
    free(session->node);
    free(session);
}

size_t xds_session_names(const struct xds_session *session)
{
    return names_of_others(session, XDS_TYPES);
}

const struct xds_session_stats *xds_session_stats(const struct xds_session *session)
{
    return &session->stats;
}
