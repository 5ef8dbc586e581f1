/* What a request acknowledges or refuses, and whose resource a refusal means. */
#include "base/utf8.h"
#include "protocol/xds_internal.h"

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

/* Of a refusal, that names are looked for in: its size is the client's, and there may be thousands of names. */
#define SEARCHED_MAX (16 * 1024)

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
        from = at;
        while (from < message.len && is_word(message.ptr[from]))
            from++; /* none begins inside a word */
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

    if (session->variant.delta && !xds_delta_was_in(state_of(suspicion), name, suspicion->nonce))
        return;
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
                                       .message = str_slice(request->error_message, 0, SEARCHED_MAX),
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

void xds_read_nonce(struct xds_session *session, enum xds_type type,
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
