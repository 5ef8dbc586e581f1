#include "protocol/xds_internal.h"
#include "wire/fields.h"
#include "wire/writer.h"

static bool resolve(const struct xds_draft *draft, struct xds_subscription *subscription,
                    struct xds_resource *ret_resource)
{
    return draft->session->host->resolve(draft->session->ctx, subscription, ret_resource);
}

/* With its bytes. */
static bool fetch(const struct xds_draft *draft, struct xds_subscription *subscription,
                  struct xds_resource *ret_resource)
{
    if (!resolve(draft, subscription, ret_resource))
        return false;
    ret_resource->blob = draft->session->host->bytes(draft->session->ctx, subscription);
    return true;
}

static bool is_news(const struct xds_subscription *subscription, uint64_t version)
{
    return subscription->must_send ||
           (version != subscription->sent_version && version != subscription->nacked_version);
}

/* What the client has stays as it is; said once until it fits. */
static void refuse(const struct xds_draft *draft, struct xds_subscription *subscription, size_t len)
{
    if (subscription->refused)
        return;
    subscription->refused = true;
    draft->session->stats.refused++;
    if (draft->session->host->refused)
        draft->session->host->refused(draft->session->ctx, subscription, len);
}

void xds_set_sent_version(struct xds_type_state *state, struct xds_subscription *subscription,
                          uint64_t version)
{
    if (subscription->sent_version != 0)
        state->sum -= xds_version_term(subscription->name, subscription->sent_version);
    if (version != 0)
        state->sum += xds_version_term(subscription->name, version);
    subscription->sent_version = version;
}

/* ---- what a resource takes ---- */

/* The shared bytes are a field of DiscoveryResponse; so they are one of Resource. */
_Static_assert((int)DISCOVERY_RESPONSE_RESOURCES == (int)RESOURCE_RESOURCE &&
                   (int)DISCOVERY_RESPONSE_VERSION_INFO ==
                       (int)DELTA_DISCOVERY_RESPONSE_SYSTEM_VERSION_INFO &&
                   (int)DISCOVERY_RESPONSE_TYPE_URL == (int)DELTA_DISCOVERY_RESPONSE_TYPE_URL &&
                   (int)DISCOVERY_RESPONSE_NONCE == (int)DELTA_DISCOVERY_RESPONSE_NONCE,
               "both variants number alike what they share");

#define DIGITS_SIZE 17 /* of a version, NUL-terminated */

static struct str digits_of(uint64_t version, char room[DIGITS_SIZE])
{
    return str_make(room, str_format_hex(version, room));
}

static struct str version_text(const struct xds_draft *draft, struct str name, uint64_t version,
                               char room[DIGITS_SIZE])
{
    const struct xds_session *session = draft->session;
    const struct xds_texts *texts = session->host->texts;

    return texts ? texts->of_resource(session->ctx, draft->response->type, name, version)
                 : digits_of(version, room);
}

/* Of a Resource, all but its name. */
static size_t sized_around(struct str version, struct str name, const struct blob *blob)
{
    return wire_sized(RESOURCE_VERSION, version.len) + wire_sized(RESOURCE_NAME, name.len) +
           blob->len;
}

size_t xds_draft_sized(const struct xds_draft *draft, struct str name,
                       const struct xds_resource *resource)
{
    char room[DIGITS_SIZE];

    if (!draft->session->variant.delta)
        return resource->blob->len;
    return wire_sized(
        DELTA_DISCOVERY_RESPONSE_RESOURCES,
        sized_around(version_text(draft, name, resource->version, room), name, resource->blob));
}

/* A Resource up to the bytes that all share. */
static struct blob *resource_head(const struct xds_draft *draft, struct str name,
                                  const struct xds_resource *resource)
{
    struct buf out = BUFFER_INIT(XDS_NAME_MAX + XDS_VERSION_TEXT_MAX + 128);
    char room[DIGITS_SIZE];
    struct str version = version_text(draft, name, resource->version, room);
    struct blob *head;

    wire_put_head(&out, DELTA_DISCOVERY_RESPONSE_RESOURCES,
                  sized_around(version, name, resource->blob));
    wire_put_bytes(&out, RESOURCE_VERSION, version);
    wire_put_bytes(&out, RESOURCE_NAME, name);
    head = blob_copy(out.ptr, out.len);
    buf_done(&out);
    return head;
}

void xds_draft_add(struct xds_draft *draft, struct str name, const struct xds_resource *resource)
{
    struct xds_response *response = draft->response;

    draft->left -= xds_draft_sized(draft, name, resource);
    draft->len++;
    if (draft->session->variant.delta)
        response->add(response->ctx, resource_head(draft, name, resource));
    response->add(response->ctx, blob_ref(resource->blob));
}

bool xds_draft_remove(struct xds_draft *draft, struct str name)
{
    size_t len = wire_sized(DELTA_DISCOVERY_RESPONSE_REMOVED_RESOURCES, name.len);

    if (len > draft->left)
        return false;
    wire_put_bytes(draft->response->head, DELTA_DISCOVERY_RESPONSE_REMOVED_RESOURCES, name);
    draft->left -= len;
    draft->removed++;
    return true;
}

static void add_resource(struct xds_draft *draft, struct xds_subscription *subscription,
                         const struct xds_resource *resource)
{
    xds_draft_add(draft, subscription->name, resource);
    xds_set_sent_version(draft->state, subscription, resource->version);
    subscription->sent_nonce = draft->nonce;
    subscription->must_send = false;
    subscription->sent_alone = false;
    subscription->rejected = false;
    subscription->refused = false;
    subscription->told_absent = false;
    draft->last = subscription;
}

/* The head comes last because the version sums up what went in; on the wire it stands in front. */
static void finish(struct xds_draft *draft)
{
    struct xds_response *response = draft->response;
    struct xds_type_state *state = draft->state;
    struct xds_session *session = draft->session;
    const struct xds_texts *texts = session->host->texts;
    char room[DIGITS_SIZE];
    char nonce[XDS_NONCE_TEXT_MAX];
    struct str version = texts ? texts->of_type(session->ctx, response->type)
                               : digits_of(state->sum + state->every_sum, room);

    if (draft->len == 1 && draft->last)
        draft->last->sent_alone = true;
    session->nonces = draft->nonce;
    session->stats.responses++;
    state->last_nonce = draft->nonce;
    xds_nonce_format(response->type, draft->nonce, nonce);
    wire_put_bytes(response->head, DISCOVERY_RESPONSE_VERSION_INFO, version);
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

static bool has_new_routes(const struct xds_session *session)
{
    return is_dirty(session, XDS_LISTENER) || is_dirty(session, XDS_ROUTE);
}

/* A list that became empty goes after the routes that leave it, told already or not. */
static bool must_wait(struct xds_draft *draft, const struct xds_resource *resource)
{
    if (!resource->empty || draft->after_routes || draft->response->type != XDS_ENDPOINT)
        return false;
    if (!draft->looked) {
        look_at_all(draft->session, XDS_LISTENER);
        look_at_all(draft->session, XDS_ROUTE);
    }
    draft->looked = true;
    return has_new_routes(draft->session);
}

/* Only a delta response can say so. False: no more fits. */
static bool add_absence(struct xds_draft *draft, struct xds_subscription *subscription)
{
    if (!draft->session->variant.delta || (subscription->told_absent && !subscription->must_send))
        return true;
    if (!xds_draft_remove(draft, subscription->name))
        return false;
    xds_set_sent_version(draft->state, subscription, 0);
    subscription->told_absent = true;
    subscription->must_send = false;
    return true;
}

/* False: no more fits. */
static bool add_news(struct xds_draft *draft, struct xds_subscription *subscription,
                     const struct xds_resource *resource)
{
    size_t len = xds_draft_sized(draft, subscription->name, resource);

    if (len > XDS_RESOURCES_MAX) {
        refuse(draft, subscription, len);
        return true;
    }
    if (len > draft->left)
        return false;
    add_resource(draft, subscription, resource);
    return true;
}

/* False: no more fits; the subscription stays dirty for the next response. */
static bool add_change(struct xds_draft *draft, struct xds_subscription *subscription)
{
    struct xds_resource resource;
    bool fits = true;

    if (!resolve(draft, subscription, &resource)) {
        fits = add_absence(draft, subscription);
    } else if (is_news(subscription, resource.version)) {
        if (must_wait(draft, &resource))
            return true;
        fits = !fetch(draft, subscription, &resource) || add_news(draft, subscription, &resource);
    }
    if (fits)
        list_remove(&subscription->dirty);
    return fits;
}

/* A wildcard is answered also when there is nothing. */
static bool finish_changes(struct xds_draft *draft)
{
    struct xds_type_state *state = draft->state;
    bool first = state->every_due && state->last_nonce == 0 && !state->brought;

    if (draft->session->variant.delta && state->wildcard &&
        (state->every_due || state->every_dirty))
        xds_draft_add_unnamed(draft);
    if (draft->len == 0 && draft->removed == 0 && !first)
        return false;
    finish(draft);
    return true;
}

static bool build_changes(struct xds_draft *draft)
{
    struct list *dirty = &draft->state->dirty;

    for (struct list *node = dirty->next, *next; node != dirty; node = next) {
        next = node->next;
        if (!add_change(draft, container_of(node, struct xds_subscription, dirty)))
            break;
    }
    return finish_changes(draft);
}

/* ---- listeners and clusters: everything, when anything changed ---- */

struct full_state {
    struct xds_draft *draft;
    size_t required; /* bytes of what the client has: it would take the lack of it for a deletion */
    uint64_t every_sum; /* over the resources of the wildcard that are not named */
};

static bool drain_changes(const struct xds_draft *draft)
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
        xds_draft_add(full->draft, name, resource);
}

static void each(const struct xds_draft *draft, struct full_state *full,
                 void (*visit)(void *ctx, struct str name, const struct xds_resource *resource))
{
    if (draft->state->wildcard)
        draft->session->host->each(draft->session->ctx, draft->response->type, visit, full);
}

static void measure(struct full_state *full)
{
    const struct xds_draft *draft = full->draft;
    struct xds_resource resource;

    for (size_t i = 0; i < draft->state->names.len; i++) {
        struct xds_subscription *subscription = draft->state->names.items[i];

        if (subscription->sent_version != 0 && fetch(draft, subscription, &resource))
            full->required += resource.blob->len;
    }
    each(draft, full, measure_unnamed);
}

/* What the client has can be neither left out nor sent: it keeps its last good state. */
static void refuse_all(const struct xds_draft *draft)
{
    struct xds_resource resource;

    for (size_t i = 0; i < draft->state->names.len; i++) {
        struct xds_subscription *subscription = draft->state->names.items[i];

        if (fetch(draft, subscription, &resource) && is_news(subscription, resource.version))
            refuse(draft, subscription, resource.blob->len);
    }
}

/* `spare` bytes are for names that the client does not have yet. */
static void add_named(struct xds_draft *draft, size_t spare)
{
    struct xds_resource resource;

    for (size_t i = 0; i < draft->state->names.len; i++) {
        struct xds_subscription *subscription = draft->state->names.items[i];

        if (!fetch(draft, subscription, &resource)) {
            xds_set_sent_version(draft->state, subscription, 0);
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

static bool build_full_state(struct xds_draft *draft)
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
    if (full.required > XDS_RESOURCES_MAX) {
        refuse_all(draft);
        return false;
    }
    state->every_sum = full.every_sum;
    add_named(draft, XDS_RESOURCES_MAX - full.required);
    each(draft, &full, add_unnamed);
    finish(draft);
    return true;
}

/* ---- the next thing to say ---- */

static bool build(struct xds_session *session, enum xds_type type, bool after_routes,
                  struct xds_response *response)
{
    struct xds_draft draft = {
        .session = session,
        .state = &session->types[type],
        .response = response,
        .nonce = session->nonces + 1,
        .left = XDS_RESOURCES_MAX,
        .after_routes = after_routes,
    };

    response->type = type;
    return xds_is_full_state(type) && !session->variant.delta ? build_full_state(&draft)
                                                              : build_changes(&draft);
}

/* What routes may lead to. */
static bool build_targets(struct xds_session *session, struct xds_response *response)
{
    if (has_new_routes(session)) {
        look_at_all(session, XDS_CLUSTER);
        look_at_all(session, XDS_ENDPOINT);
    }
    return build(session, XDS_CLUSTER, false, response) ||
           build(session, XDS_ENDPOINT, false, response);
}

bool xds_session_next(struct xds_session *session, struct xds_response *response)
{
    bool told = has_new_routes(session);

    if (build_targets(session, response))
        return true;
    /* A list that waits has found routes that nobody had told. */
    if (!told && has_new_routes(session) && build_targets(session, response))
        return true;
    return build(session, XDS_LISTENER, false, response) ||
           build(session, XDS_ROUTE, false, response) ||
           build(session, XDS_ENDPOINT, true, response);
}
