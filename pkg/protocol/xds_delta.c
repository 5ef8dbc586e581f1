/* What only delta streams have: subscriptions that grow and shrink, and what a wildcard has brought. */
#include "protocol/xds_internal.h"

#define HASH_FUNCTION HASH_FUNCTION_SEEDED
#include "base/hash.h"
#include <uthash.h>

/* Of a resource that the client has and does not name. */
struct xds_brought {
    UT_hash_handle hh;
    uint64_t version; /* 0: it is not ours */
    uint64_t nonce;   /* that it was sent with; 0: on an earlier stream */
    uint32_t seen;    /* the look at which it was there last */
    bool must_send;   /* asked for again: send even if equal */
    struct str name;
    char text[];
};

/* ---- what a wildcard brought ---- */

static struct xds_brought *brought_find(const struct xds_type_state *state, struct str name)
{
    struct xds_brought *brought;

    HASH_FIND(hh, state->brought, name.ptr, name.len, brought);
    return brought;
}

static struct xds_brought *brought_get(struct xds_type_state *state, struct str name)
{
    struct xds_brought *brought = brought_find(state, name);

    if (brought)
        return brought;
    brought = xcalloc(1, sizeof(*brought) + name.len);
    if (name.len > 0)
        memcpy(brought->text, name.ptr, name.len);
    brought->name = str_make(brought->text, name.len);
    HASH_ADD_KEYPTR(hh, state->brought, brought->text, name.len, brought);
    return brought;
}

static void brought_set(struct xds_type_state *state, struct xds_brought *brought, uint64_t version)
{
    if (brought->version != 0)
        state->every_sum -= xds_version_term(brought->name, brought->version);
    if (version != 0)
        state->every_sum += xds_version_term(brought->name, version);
    brought->version = version;
    brought->must_send = false;
}

static void brought_drop(struct xds_type_state *state, struct xds_brought *brought)
{
    if (!brought)
        return;
    brought_set(state, brought, 0);
    HASH_DEL(state->brought, brought);
    free(brought);
}

static void drop_all(struct xds_type_state *state)
{
    struct xds_brought *brought, *next;

    HASH_ITER(hh, state->brought, brought, next)
    {
        brought_drop(state, brought);
    }
}

/* What the client has is sent again, or told as no more. */
static void renew_all(const struct xds_type_state *state)
{
    struct xds_brought *brought, *next;

    HASH_ITER(hh, state->brought, brought, next)
    {
        brought->must_send = true;
    }
}

/* `before`: how many there were. */
static void tell_count(const struct xds_session *session, const struct xds_type_state *state,
                       size_t before)
{
    int change = (int)HASH_COUNT(state->brought) - (int)before;

    if (change != 0 && session->host->brought)
        session->host->brought(session->ctx, change);
}

void xds_delta_done(struct xds_session *session, enum xds_type type)
{
    struct xds_type_state *state = &session->types[type];
    size_t before = HASH_COUNT(state->brought);

    drop_all(state);
    tell_count(session, state, before);
}

bool xds_delta_was_in(const struct xds_type_state *state, struct str name, uint64_t nonce)
{
    const struct xds_brought *brought = brought_find(state, name);

    return brought && brought->nonce == nonce;
}

/* ---- requests ---- */

/* A first request that names nothing means everything. */
static bool begins_wildcard(const struct xds_type_state *state, const struct xds_request *request)
{
    return request->names.has_wildcard || (!state->named_before && request->names.len == 0 &&
                                           request->gone.len == 0 && !request->gone.has_wildcard);
}

static void set_wildcard(struct xds_type_state *state, enum xds_type type,
                         const struct xds_request *request)
{
    if (request->gone.has_wildcard) {
        state->wildcard = false;
        state->every_due = false;
        state->every_dirty = false;
        drop_all(state);
    }
    if (!xds_is_full_state(type) || !begins_wildcard(state, request))
        return;
    if (state->wildcard)
        renew_all(state); /* asked again, answered again */
    state->wildcard = true;
    state->every_due = true;
}

/* What the client has under a name is a part of everything again. */
static void give_back(struct xds_type_state *state, const struct xds_subscription *subscription)
{
    struct xds_brought *brought;

    if (subscription->sent_version == 0)
        return;
    brought = brought_get(state, subscription->name);
    brought_set(state, brought, subscription->sent_version);
    brought->must_send = true;
}

/* And the other way round. */
static void take_over(struct xds_type_state *state, struct xds_subscription *subscription)
{
    struct xds_brought *brought = brought_find(state, subscription->name);

    if (!brought)
        return;
    xds_set_sent_version(state, subscription, brought->version);
    subscription->must_send = true;
    brought_drop(state, brought);
}

/* Beside a wildcard, what is named no longer is part of everything again: told as that, or as no more. */
static void drop_names(struct xds_add_ctx *add, const struct xds_request *request)
{
    struct xds_type_state *state = &add->session->types[add->type];

    for (size_t i = 0; state->wildcard && i < request->gone.len; i++) {
        const struct xds_subscription *subscription =
            name_set_find(&state->names, request->gone.items[i], &xds_subscription_ops);

        if (subscription)
            give_back(state, subscription);
    }
    if (name_set_remove(&state->names, request->gone.items, request->gone.len,
                        &xds_subscription_ops, add) > 0)
        state->every_due |= state->wildcard;
}

/* True if an answer is owed. */
static bool add_names(struct xds_add_ctx *add, const struct xds_request *request)
{
    struct xds_type_state *state = &add->session->types[add->type];
    bool owes = false;

    for (size_t i = 0; i < request->names.len; i++) {
        struct xds_subscription *subscription =
            name_set_find(&state->names, request->names.items[i], &xds_subscription_ops);

        if (!subscription)
            continue;
        subscription->must_send = true;
        subscription->nacked_version = 0;
        xds_subscription_touch(subscription);
        owes = true;
    }
    owes |= name_set_add(&state->names, request->names.items, request->names.len,
                         &xds_subscription_ops, add) > 0;
    for (size_t i = 0; state->brought && i < request->names.len; i++)
        take_over(state, name_set_find(&state->names, request->names.items[i], &xds_subscription_ops));
    return owes;
}

/* Any other text than a version of ours is none that we have. */
static uint64_t read_version(const struct xds_session *session, enum xds_type type,
                             const struct xds_known *known)
{
    const struct xds_texts *texts = session->host->texts;
    uint64_t version;

    if (texts)
        return texts->read(session->ctx, type, known->name, known->version);
    return str_hex_to_u64(known->version, &version) ? version : 0;
}

/* What it names is compared with that; what it has by a wildcard, too. */
static void take_known(struct xds_session *session, enum xds_type type,
                       const struct xds_request *request)
{
    struct xds_type_state *state = &session->types[type];

    for (size_t i = 0; i < request->known_len; i++) {
        const struct xds_known *known = &request->known[i];
        struct xds_subscription *subscription =
            name_set_find(&state->names, known->name, &xds_subscription_ops);
        uint64_t version = read_version(session, type, known);

        if (subscription)
            xds_set_sent_version(state, subscription, version);
        else if (state->wildcard)
            brought_set(state, brought_get(state, known->name), version);
    }
}

bool xds_delta_apply(struct xds_session *session, enum xds_type type,
                     const struct xds_request *request)
{
    struct xds_type_state *state = &session->types[type];
    struct xds_add_ctx add = {session, type};
    size_t before = HASH_COUNT(state->brought);
    bool first = !state->named_before;
    bool owes;

    set_wildcard(state, type, request);
    state->named_before = true;
    drop_names(&add, request);
    owes = add_names(&add, request);
    if (first)
        take_known(session, type, request);
    tell_count(session, state, before);
    return owes || state->every_due;
}

/* ---- what everything is now ---- */

struct pass {
    struct xds_draft *draft;
    bool more; /* does not fit */
};

static void look(void *ctx, struct str name, const struct xds_resource *resource)
{
    struct pass *pass = ctx;
    struct xds_draft *draft = pass->draft;
    struct xds_brought *brought;
    size_t len;

    if (name_set_find(&draft->state->names, name, &xds_subscription_ops))
        return;
    brought = brought_get(draft->state, name);
    brought->seen = draft->state->looks;
    if ((brought->version == resource->version && !brought->must_send) || pass->more)
        return;
    len = xds_draft_sized(draft, name, resource);
    if (len > XDS_RESOURCES_MAX) { /* never fits: what the client has stays */
        draft->session->stats.refused++;
    } else if (len > draft->left) {
        pass->more = true;
        return;
    } else {
        xds_draft_add(draft, name, resource);
        brought->nonce = draft->nonce;
    }
    brought_set(draft->state, brought, resource->version);
}

/* What was not seen is no more. What was never sent has nothing to be told of. */
static void tell_gone(struct pass *pass)
{
    struct xds_type_state *state = pass->draft->state;
    struct xds_brought *brought, *next;

    HASH_ITER(hh, state->brought, brought, next)
    {
        if (brought->seen == state->looks)
            continue;
        if (!xds_draft_remove(pass->draft, brought->name)) {
            pass->more = true;
            return;
        }
        brought_drop(state, brought);
    }
}

void xds_draft_add_unnamed(struct xds_draft *draft)
{
    struct xds_session *session = draft->session;
    struct pass pass = {.draft = draft};
    size_t before = HASH_COUNT(draft->state->brought);

    draft->state->looks++;
    session->host->each(session->ctx, draft->response->type, look, &pass);
    if (!pass.more)
        tell_gone(&pass);
    draft->state->every_due = false;
    draft->state->every_dirty = pass.more;
    tell_count(session, draft->state, before);
}
