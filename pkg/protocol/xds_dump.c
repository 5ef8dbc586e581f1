#include "protocol/xds_internal.h"

static void put_hex(struct json_writer *writer, const char *key, uint64_t version)
{
    char text[17];

    str_format_hex(version, text);
    json_put_str(writer, key, str_of(text));
}

static void put_nonce(struct json_writer *writer, const char *key, enum xds_type type,
                      uint64_t nonce)
{
    char text[XDS_NONCE_TEXT_MAX];

    xds_nonce_format(type, nonce, text);
    json_put_str(writer, key, str_of(text));
}

static void put_text(struct json_writer *writer, const char *key, struct str text)
{
    if (text.len > 0)
        json_put_str(writer, key, text);
}

static void dump_node(const struct xds_node *node, struct json_writer *writer)
{
    json_open_object(writer, "node");
    put_text(writer, "id", node->id);
    put_text(writer, "cluster", node->cluster);
    put_text(writer, "userAgent", node->user_agent);
    put_text(writer, "userAgentVersion", node->user_agent_version);
    put_text(writer, "region", node->region);
    put_text(writer, "zone", node->zone);
    put_text(writer, "subZone", node->sub_zone);
    put_text(writer, "namespace", node->namespace_name);
    put_text(writer, "node", node->node);
    json_close_object(writer);
}

static const char *state_of(const struct xds_type_state *state,
                            const struct xds_subscription *subscription)
{
    if (subscription->refused)
        return "tooLarge";
    if (subscription->sent_version == 0)
        return "unanswered";
    if (subscription->rejected)
        return "rejected";
    return subscription->sent_nonce <= state->acked_nonce ? "acknowledged" : "sent";
}

/* Those that a dump is about. */
struct choice {
    xds_choice_fn *choose;
    void *ctx;
};

static bool is_chosen(const struct choice *choice, const struct xds_subscription *subscription)
{
    return !choice->choose || choice->choose(choice->ctx, subscription);
}

static bool has_chosen(const struct xds_type_state *state, const struct choice *choice)
{
    for (size_t i = 0; i < state->names.len; i++)
        if (is_chosen(choice, state->names.items[i]))
            return true;
    return false;
}

static void dump_subscription(const struct xds_type_state *state,
                              const struct xds_subscription *subscription,
                              struct json_writer *writer)
{
    const struct xds_host *host = subscription->session->host;

    json_open_object(writer, NULL);
    json_put_str(writer, "name", subscription->name);
    json_put_str(writer, "state", str_of(state_of(state, subscription)));
    if (subscription->sent_version != 0)
        put_hex(writer, "version", subscription->sent_version);
    if (host->describe)
        host->describe(subscription->session->ctx, subscription, writer);
    json_close_object(writer);
}

static void dump_nack(const struct xds_nack *nack, enum xds_type type, struct json_writer *writer)
{
    json_open_object(writer, "lastNack");
    put_nonce(writer, "nonce", type, nack->nonce);
    json_put_u64(writer, "code", nack->code);
    json_put_str(writer, "message", str_make(nack->message, nack->len));
    json_close_object(writer);
}

static void dump_type(const struct xds_session *session, enum xds_type type,
                      const struct choice *choice, struct json_writer *writer)
{
    const struct xds_type_state *state = &session->types[type];

    json_open_object(writer, NULL);
    json_put_str(writer, "type", str_of(xds_type_name(type)));
    if (state->last_nonce != 0) {
        put_hex(writer, "version", state->sum + state->every_sum);
        put_nonce(writer, "nonce", type, state->last_nonce);
    }
    if (state->acked_nonce != 0)
        put_nonce(writer, "acknowledgedNonce", type, state->acked_nonce);
    if (state->wildcard)
        json_put_bool(writer, "wildcard", true);
    if (state->nack)
        dump_nack(state->nack, type, writer);
    json_open_array(writer, "names");
    for (size_t i = 0; i < state->names.len; i++)
        if (is_chosen(choice, state->names.items[i]))
            dump_subscription(state, state->names.items[i], writer);
    json_close_array(writer);
    json_close_object(writer);
}

/* Types that the client never asked for are left out. */
static bool is_shown(const struct xds_type_state *state, const struct choice *choice)
{
    return state->wildcard || (choice->choose ? has_chosen(state, choice) : state->named_before);
}

bool xds_session_has(const struct xds_session *session, xds_choice_fn *choose, void *ctx)
{
    const struct choice choice = {choose, ctx};

    for (int type = 0; type < XDS_TYPES; type++)
        if (has_chosen(&session->types[type], &choice))
            return true;
    return false;
}

void xds_session_dump(const struct xds_session *session, struct json_writer *writer,
                      xds_choice_fn *choose, void *ctx)
{
    const struct choice choice = {choose, ctx};
    const struct xds_session_stats *stats = &session->stats;

    dump_node(xds_session_node(session), writer);
    json_put_u64(writer, "requests", stats->requests);
    json_put_u64(writer, "responses", stats->responses);
    json_put_u64(writer, "acks", stats->acks);
    json_put_u64(writer, "nacks", stats->nacks);
    json_put_u64(writer, "stale", stats->stale);
    json_open_array(writer, "types");
    for (int type = 0; type < XDS_TYPES; type++) {
        if (is_shown(&session->types[type], &choice))
            dump_type(session, (enum xds_type)type, &choice, writer);
    }
    json_close_array(writer);
}
