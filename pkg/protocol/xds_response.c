#include "protocol/xds_internal.h"
#include "wire/fields.h"
#include "wire/writer.h"

#define HEAD_MAX 256 /* version_info, type_url and nonce, with room to spare */
#define RESOURCES_MAX (XDS_RESPONSE_MAX - HEAD_MAX)

/* One response in the making. */
struct draft {
    struct xds_session *session;
    struct xds_type_state *state;
    struct xds_response *response;
    uint64_t nonce;
    size_t left; /* bytes that still fit */
    size_t len;  /* resources in it */
    bool after_routes; /* no list waits for them */
    bool looked;       /* at all routes: what has changed of them is dirty */
    struct xds_subscription *last;
};

static bool resolve(const struct draft *draft, struct xds_subscription *subscription,
                    struct xds_resource *ret_resource)
{
    return draft->session->host->resolve(draft->session->ctx, subscription, ret_resource);
}

static bool is_news(const struct xds_subscription *subscription, uint64_t version)
{
    return subscription->must_send ||
           (version != subscription->sent_version && version != subscription->nacked_version);
}

/* What the client has stays as it is; said once until it fits. */
static void refuse(const struct draft *draft, struct xds_subscription *subscription, size_t len)
{
    if (subscription->refused)
        return;
    subscription->refused = true;
    draft->session->stats.refused++;
    if (draft->session->host->refused)
        draft->session->host->refused(draft->session->ctx, subscription, len);
}

static void set_sent_version(struct xds_type_state *state, struct xds_subscription *subscription,
                             uint64_t version)
{
    if (subscription->sent_version != 0)
        state->sum -= xds_version_term(subscription->name, subscription->sent_version);
    if (version != 0)
        state->sum += xds_version_term(subscription->name, version);
    subscription->sent_version = version;
}

static void add_blob(struct draft *draft, struct blob *blob)
{
    draft->response->add(draft->response->ctx, blob_ref(blob));
    draft->left -= blob->len;
    draft->len++;
}

static void add_resource(struct draft *draft, struct xds_subscription *subscription,
                         const struct xds_resource *resource)
{
    add_blob(draft, resource->blob);
    set_sent_version(draft->state, subscription, resource->version);
    subscription->sent_nonce = draft->nonce;
    subscription->must_send = false;
    subscription->sent_alone = false;
    subscription->rejected = false;
    subscription->refused = false;
    draft->last = subscription;
}

/* The head comes last because the version sums up what went in; on the wire it stands in front. */
static void finish(struct draft *draft)
{
    struct xds_response *response = draft->response;
    struct xds_type_state *state = draft->state;
    struct xds_session *session = draft->session;
    char version[17];
    char nonce[XDS_NONCE_TEXT_MAX];

    if (draft->len == 1 && draft->last)
        draft->last->sent_alone = true;
    session->nonces = draft->nonce;
    session->stats.responses++;
    state->last_nonce = draft->nonce;
    str_format_hex(state->sum + state->every_sum, version);
    xds_nonce_format(response->type, draft->nonce, nonce);
    wire_put_bytes(response->head, DISCOVERY_RESPONSE_VERSION_INFO, str_of(version));
    wire_put_bytes(response->head, DISCOVERY_RESPONSE_TYPE_URL,
                   str_of(xds_type_url(response->type)));
    wire_put_bytes(response->head, DISCOVERY_RESPONSE_NONCE, str_of(nonce));
}

static struct xds_subscription *first_dirty(const struct xds_type_state *state)
{
    if (list_empty(&state->dirty))
        return NULL;
    return container_of(state->dirty.next, struct xds_subscription, dirty);
}

/* ---- what changed ---- */

static bool is_changed(struct xds_subscription *subscription)
{
    const struct xds_session *session = subscription->session;
    struct xds_resource resource;

    if (!session->host->resolve(session->ctx, subscription, &resource))
        return subscription->sent_version != 0;
    return is_news(subscription, resource.version);
}

/* What has changed is dirty, also where nobody has told it yet. */
static void look_at_all(struct xds_session *session, enum xds_type type)
{
    const struct name_set *names = &session->types[type].names;

    for (size_t i = 0; i < names->len; i++)
        if (is_changed(names->items[i]))
            xds_subscription_touch(names->items[i]);
}

/* ---- routes and endpoints: what changed, in as many responses as it takes ---- */

static bool is_dirty(const struct xds_session *session, enum xds_type type)
{
    return !list_empty(&session->types[type].dirty);
}

/* A list that became empty goes after the routes that leave it, told already or not. */
static bool must_wait(struct draft *draft, const struct xds_resource *resource)
{
    if (!resource->empty || draft->after_routes)
        return false;
    if (!draft->looked)
        look_at_all(draft->session, XDS_LISTENER);
    draft->looked = true;
    return is_dirty(draft->session, XDS_LISTENER);
}

/* False: no more fits; the subscription stays dirty for the next response. */
static bool add_change(struct draft *draft, struct xds_subscription *subscription)
{
    struct xds_resource resource;

    if (resolve(draft, subscription, &resource) && is_news(subscription, resource.version)) {
        if (must_wait(draft, &resource))
            return true;
        if (resource.empty && !resolve(draft, subscription, &resource))
            return true; /* borrowed, and others were looked at: again */
        if (resource.blob->len > RESOURCES_MAX)
            refuse(draft, subscription, resource.blob->len);
        else if (resource.blob->len > draft->left)
            return false;
        else
            add_resource(draft, subscription, &resource);
    }
    list_remove(&subscription->dirty);
    return true;
}

static bool build_changes(struct draft *draft)
{
    struct list *dirty = &draft->state->dirty;

    for (struct list *node = dirty->next, *next; node != dirty; node = next) {
        next = node->next;
        if (!add_change(draft, container_of(node, struct xds_subscription, dirty)))
            break;
    }
    if (draft->len == 0)
        return false;
    finish(draft);
    return true;
}

/* ---- listeners and clusters: everything, when anything changed ---- */

struct full_state {
    struct draft *draft;
    size_t required; /* bytes of what the client has: it would take the lack of it for a deletion */
    uint64_t every_sum; /* over the resources of the wildcard that are not named */
};

static bool drain_changes(const struct draft *draft)
{
    struct xds_subscription *subscription;
    bool changed = false;

    while ((subscription = first_dirty(draft->state))) {
        list_remove(&subscription->dirty);
        changed |= is_changed(subscription);
    }
    return changed;
}

static bool is_named(const struct full_state *full, struct str name)
{
    return name_set_find(&full->draft->state->names, name, &xds_subscription_ops) != NULL;
}

static void measure_unnamed(void *ctx, struct str name, const struct xds_resource *resource)
{
    struct full_state *full = ctx;

    if (is_named(full, name))
        return;
    full->required += resource->blob->len;
    full->every_sum += xds_version_term(name, resource->version);
}

static void add_unnamed(void *ctx, struct str name, const struct xds_resource *resource)
{
    struct full_state *full = ctx;

    if (!is_named(full, name))
        add_blob(full->draft, resource->blob);
}

static void each(const struct draft *draft, struct full_state *full,
                 void (*visit)(void *ctx, struct str name, const struct xds_resource *resource))
{
    if (draft->state->wildcard)
        draft->session->host->each(draft->session->ctx, draft->response->type, visit, full);
}

static void measure(struct full_state *full)
{
    const struct draft *draft = full->draft;
    struct xds_resource resource;

    for (size_t i = 0; i < draft->state->names.len; i++) {
        struct xds_subscription *subscription = draft->state->names.items[i];

        if (subscription->sent_version != 0 && resolve(draft, subscription, &resource))
            full->required += resource.blob->len;
    }
    each(draft, full, measure_unnamed);
}

/* What the client has can be neither left out nor sent: it keeps its last good state. */
static void refuse_all(const struct draft *draft)
{
    struct xds_resource resource;

    for (size_t i = 0; i < draft->state->names.len; i++) {
        struct xds_subscription *subscription = draft->state->names.items[i];

        if (resolve(draft, subscription, &resource) && is_news(subscription, resource.version))
            refuse(draft, subscription, resource.blob->len);
    }
}

/* `spare` bytes are for names that the client does not have yet. */
static void add_named(struct draft *draft, size_t spare)
{
    struct xds_resource resource;

    for (size_t i = 0; i < draft->state->names.len; i++) {
        struct xds_subscription *subscription = draft->state->names.items[i];

        if (!resolve(draft, subscription, &resource)) {
            set_sent_version(draft->state, subscription, 0);
            continue;
        }
        if (subscription->sent_version == 0 && resource.blob->len > spare) {
            refuse(draft, subscription, resource.blob->len);
            continue;
        }
        spare -= subscription->sent_version == 0 ? resource.blob->len : 0;
        add_resource(draft, subscription, &resource);
    }
}

static bool build_full_state(struct draft *draft)
{
    struct xds_type_state *state = draft->state;
    struct full_state full = {.draft = draft};
    bool changed = drain_changes(draft) || state->every_due;

    if (!changed && !state->every_dirty)
        return false;
    state->every_due = false;
    state->every_dirty = false;
    measure(&full);
    if (!changed && full.every_sum == state->every_sum)
        return false;
    if (full.required > RESOURCES_MAX) {
        refuse_all(draft);
        return false;
    }
    state->every_sum = full.every_sum;
    add_named(draft, RESOURCES_MAX - full.required);
    each(draft, &full, add_unnamed);
    finish(draft);
    return true;
}

/* ---- the next thing to say ---- */

static bool build(struct xds_session *session, enum xds_type type, bool after_routes,
                  struct xds_response *response)
{
    struct draft draft = {
        .session = session,
        .state = &session->types[type],
        .response = response,
        .nonce = session->nonces + 1,
        .left = RESOURCES_MAX,
        .after_routes = after_routes,
    };

    response->type = type;
    return xds_is_full_state(type) ? build_full_state(&draft) : build_changes(&draft);
}

/* What routes may lead to. */
static bool build_targets(struct xds_session *session, struct xds_response *response)
{
    if (is_dirty(session, XDS_LISTENER)) {
        look_at_all(session, XDS_CLUSTER);
        look_at_all(session, XDS_ENDPOINT);
    }
    return build(session, XDS_CLUSTER, false, response) ||
           build(session, XDS_ENDPOINT, false, response);
}

bool xds_session_next(struct xds_session *session, struct xds_response *response)
{
    bool told = is_dirty(session, XDS_LISTENER);

    if (build_targets(session, response))
        return true;
    /* A list that waits has found routes that nobody had told. */
    if (!told && is_dirty(session, XDS_LISTENER) && build_targets(session, response))
        return true;
    return build(session, XDS_LISTENER, false, response) ||
           build(session, XDS_ROUTE, false, response) ||
           build(session, XDS_ENDPOINT, true, response);
}
