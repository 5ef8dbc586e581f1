#include "protocol/grpclb.h"

#include "protocol/field.h"
#include "wire/fields.h"
#include "wire/reader.h"
#include "wire/writer.h"

/* Calls that entries with one token have dropped. */
struct drops {
    char token[GRPCLB_DROP_TOKEN_MAX + 1];
    uint64_t calls;
};

struct grpclb_session {
    const struct grpclb_host *host;
    void *ctx;
    char *text; /* the name's; NULL: the client has not said it yet */
    struct str name;
    bool greeted; /* the initial_response is out */
    bool dirty;
    enum grpclb_said said; /* of list and fallback, the last */
    uint64_t sent_version; /* of a list */
    const char *problem;   /* of what was resolved last */
    uint64_t requests, responses;
    struct grpclb_calls calls;
    struct drops *drops;
    size_t drops_len, drops_cap;
};

/* ---- requests ---- */

/* The member of the oneof that came last; none: as it was. */
static enum code read_request(struct str message, struct wire_field *ret_request, struct err *err)
{
    struct wire_reader reader = wire_reader(message);
    struct wire_field field;

    if (message.len > GRPCLB_REQUEST_MAX)
        return fail(err, CODE_RESOURCE_EXHAUSTED, "the request is longer than %d bytes",
                    GRPCLB_REQUEST_MAX);
    while (wire_next(&reader, &field)) {
        if (field.type == WIRE_BYTES && (field.number == LOAD_BALANCE_REQUEST_INITIAL_REQUEST ||
                                         field.number == LOAD_BALANCE_REQUEST_CLIENT_STATS))
            *ret_request = field;
    }
    return reader.failed ? field_malformed(err, "LoadBalanceRequest") : CODE_OK;
}

static enum code read_name(struct str bytes, struct str *ret_name, struct err *err)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;

    *ret_name = STR("");
    while (wire_next(&reader, &field)) {
        if (field.type == WIRE_BYTES && field.number == INITIAL_LOAD_BALANCE_REQUEST_NAME)
            *ret_name = field.bytes;
    }
    if (reader.failed)
        return field_malformed(err, "initial_request");
    if (ret_name->len > GRPCLB_NAME_MAX)
        return fail(err, CODE_RESOURCE_EXHAUSTED, "the name is longer than %d bytes",
                    GRPCLB_NAME_MAX);
    if (!wire_is_utf8(*ret_name))
        return fail(err, CODE_INVALID_ARGUMENT, "the name is not UTF-8");
    return CODE_OK;
}

static enum code begin(struct grpclb_session *session, struct str bytes, struct err *err)
{
    struct str name;
    enum code code;

    if (session->text)
        return fail(err, CODE_FAILED_PRECONDITION, "a second initial_request");
    code = read_name(bytes, &name, err);
    if (code != CODE_OK)
        return code;
    session->text = str_dup(name);
    session->name = str_make(session->text, name.len);
    session->dirty = true;
    session->host->subscribe(session->ctx, session->name);
    session->host->wake(session->ctx, true);
    return CODE_OK;
}

/* ---- reports ---- */

static enum code read_count(uint64_t value, uint64_t *ret_count, struct err *err)
{
    if (value > GRPCLB_COUNT_MAX)
        return fail(err, CODE_INVALID_ARGUMENT,
                    "client_stats has a number that is negative or too large");
    *ret_count = value;
    return CODE_OK;
}

static enum code read_drops(struct str bytes, struct str *ret_token, uint64_t *ret_calls,
                            struct err *err)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;
    enum code code = CODE_OK;

    *ret_token = STR("");
    *ret_calls = 0;
    while (code == CODE_OK && wire_next(&reader, &field)) {
        if (field.type == WIRE_BYTES && field.number == CLIENT_STATS_PER_TOKEN_LOAD_BALANCE_TOKEN)
            *ret_token = field.bytes;
        else if (field.type == WIRE_VARINT && field.number == CLIENT_STATS_PER_TOKEN_NUM_CALLS)
            code = read_count(field.value, ret_calls, err);
    }
    if (reader.failed || !wire_is_utf8(*ret_token))
        return field_malformed(err, "client_stats.calls_finished_with_drop");
    return code;
}

static enum code read_stats_field(const struct wire_field *field, struct grpclb_calls *calls,
                                  struct err *err)
{
    struct str token;
    uint64_t dropped;
    enum code code;

    if (field->type == WIRE_BYTES && field->number == CLIENT_STATS_CALLS_FINISHED_WITH_DROP) {
        code = read_drops(field->bytes, &token, &dropped, err);
        if (code == CODE_OK)
            calls->dropped += dropped;
        return code;
    }
    if (field->type != WIRE_VARINT)
        return CODE_OK;
    switch (field->number) {
    case CLIENT_STATS_NUM_CALLS_STARTED:
        return read_count(field->value, &calls->started, err);
    case CLIENT_STATS_NUM_CALLS_FINISHED:
        return read_count(field->value, &calls->finished, err);
    case CLIENT_STATS_NUM_CALLS_FINISHED_WITH_CLIENT_FAILED_TO_SEND:
        return read_count(field->value, &calls->failed_to_send, err);
    case CLIENT_STATS_NUM_CALLS_FINISHED_KNOWN_RECEIVED:
        return read_count(field->value, &calls->received, err);
    default:
        return CODE_OK;
    }
}

static enum code read_stats(struct str bytes, struct grpclb_calls *calls, struct err *err)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;
    enum code code = CODE_OK;

    while (code == CODE_OK && wire_next(&reader, &field))
        code = read_stats_field(&field, calls, err);
    return reader.failed ? field_malformed(err, "client_stats") : code;
}

/* Tokens beyond those that are told apart count in the sum only. */
static void add_drops(struct grpclb_session *session, struct str token, uint64_t calls)
{
    size_t i = 0;

    while (i < session->drops_len && !str_eq(str_of(session->drops[i].token), token))
        i++;
    if (i == session->drops_len) {
        if (i == GRPCLB_DROP_TOKENS_MAX || token.len > GRPCLB_DROP_TOKEN_MAX ||
            memchr(token.ptr, '\0', token.len))
            return;
        session->drops = xgrow(session->drops, &session->drops_cap, i, sizeof(*session->drops));
        session->drops[i] = (struct drops){0};
        memcpy(session->drops[i].token, token.ptr, token.len);
        session->drops_len++;
    }
    session->drops[i].calls += calls;
}

/* Of a report that has been read once. */
static void add_all_drops(struct grpclb_session *session, struct str bytes)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;
    struct str token;
    uint64_t calls;

    while (wire_next(&reader, &field)) {
        if (field.type == WIRE_BYTES && field.number == CLIENT_STATS_CALLS_FINISHED_WITH_DROP &&
            read_drops(field.bytes, &token, &calls, NULL) == CODE_OK && token.len > 0)
            add_drops(session, token, calls);
    }
}

/* Nothing of it counts before all of it was read. */
static enum code add_report(struct grpclb_session *session, struct str bytes, struct err *err)
{
    struct grpclb_calls calls = {0}, *sum = &session->calls;
    enum code code;

    if (!session->text)
        return fail(err, CODE_FAILED_PRECONDITION, "client_stats before the initial_request");
    code = read_stats(bytes, &calls, err);
    if (code != CODE_OK)
        return code;
    sum->started += calls.started;
    sum->finished += calls.finished;
    sum->failed_to_send += calls.failed_to_send;
    sum->received += calls.received;
    sum->dropped += calls.dropped;
    if (calls.dropped > 0)
        add_all_drops(session, bytes);
    session->host->report(session->ctx, &calls);
    return CODE_OK;
}

enum code grpclb_session_request(struct grpclb_session *session, struct str message,
                                 struct err *err)
{
    struct wire_field request = {0};
    enum code code = read_request(message, &request, err);

    if (code != CODE_OK)
        return code;
    session->requests++;
    if (request.number == LOAD_BALANCE_REQUEST_INITIAL_REQUEST)
        return begin(session, request.bytes, err);
    if (request.number == LOAD_BALANCE_REQUEST_CLIENT_STATS)
        return add_report(session, request.bytes, err);
    /* A kind of request that came later than this code says nothing to it. */
    return session->text
               ? CODE_OK
               : fail(err, CODE_INVALID_ARGUMENT, "the first request is no initial_request");
}

/* ---- responses ---- */

void grpclb_session_touch(struct grpclb_session *session)
{
    if (session->dirty)
        return;
    session->dirty = true;
    session->host->wake(session->ctx, false);
}

static enum grpclb_said greet(struct grpclb_session *session, struct buf *head)
{
    size_t initial = wire_open(head, LOAD_BALANCE_RESPONSE_INITIAL_RESPONSE);
    size_t interval = wire_open(head, INITIAL_LOAD_BALANCE_RESPONSE_CLIENT_STATS_REPORT_INTERVAL);

    wire_put_varint(head, DURATION_SECONDS, GRPCLB_REPORT_SECONDS);
    wire_close(head, interval);
    wire_close(head, initial);
    session->greeted = true;
    return GRPCLB_INITIAL;
}

static enum grpclb_said fall_back(struct grpclb_session *session, struct buf *head)
{
    if (session->said == GRPCLB_FALLBACK)
        return GRPCLB_NOTHING;
    session->said = GRPCLB_FALLBACK;
    wire_put_bytes(head, LOAD_BALANCE_RESPONSE_FALLBACK_RESPONSE, STR(""));
    return GRPCLB_FALLBACK;
}

static enum grpclb_said say(struct grpclb_session *session, struct buf *head,
                            struct blob **ret_blob)
{
    struct grpclb_list list = {0};

    session->host->resolve(session->ctx, &list);
    session->problem = list.problem;
    if (list.blob && list.blob->len > GRPCLB_RESPONSE_MAX) {
        session->problem = "the list is too long for one message";
        session->host->too_large(session->ctx, list.blob->len);
        return session->said == GRPCLB_LIST ? GRPCLB_NOTHING : fall_back(session, head);
    }
    if (!list.blob)
        return fall_back(session, head);
    if (session->said == GRPCLB_LIST && session->sent_version == list.version)
        return GRPCLB_NOTHING;
    session->said = GRPCLB_LIST;
    session->sent_version = list.version;
    *ret_blob = blob_ref(list.blob);
    return GRPCLB_LIST;
}

enum grpclb_said grpclb_session_next(struct grpclb_session *session, struct buf *head,
                                     struct blob **ret_blob)
{
    enum grpclb_said said = GRPCLB_NOTHING;

    if (!session->text)
        return said;
    if (!session->greeted) {
        said = greet(session, head);
    } else if (session->dirty) {
        session->dirty = false;
        said = say(session, head, ret_blob);
    }
    session->responses += said != GRPCLB_NOTHING;
    return said;
}

/* ---- life ---- */

struct grpclb_session *grpclb_session_new(const struct grpclb_host *host, void *ctx)
{
    struct grpclb_session *session = xcalloc(1, sizeof(*session));

    session->host = host;
    session->ctx = ctx;
    return session;
}

void grpclb_session_free(struct grpclb_session *session)
{
    if (!session)
        return;
    free(session->text);
    free(session->drops);
    free(session);
}

const struct grpclb_calls *grpclb_session_calls(const struct grpclb_session *session)
{
    return &session->calls;
}

/* ---- dumps ---- */

static void dump_calls(const struct grpclb_session *session, struct json_writer *writer)
{
    json_open_object(writer, "calls");
    json_put_u64(writer, "started", session->calls.started);
    json_put_u64(writer, "finished", session->calls.finished);
    json_put_u64(writer, "failedToSend", session->calls.failed_to_send);
    json_put_u64(writer, "received", session->calls.received);
    json_put_u64(writer, "dropped", session->calls.dropped);
    json_open_object(writer, "droppedByToken");
    for (size_t i = 0; i < session->drops_len; i++)
        json_put_u64(writer, session->drops[i].token, session->drops[i].calls);
    json_close_object(writer);
    json_close_object(writer);
}

static void dump_target(const struct grpclb_session *session, struct json_writer *writer)
{
    char version[17];

    json_open_object(writer, NULL);
    json_put_str(writer, "name", session->name);
    if (session->said == GRPCLB_LIST) {
        str_format_hex(session->sent_version, version);
        json_put_str(writer, "version", str_of(version));
    }
    json_put_bool(writer, "fallback", session->said == GRPCLB_FALLBACK);
    if (session->problem)
        json_put_str(writer, "problem", str_of(session->problem));
    if (session->host->describe)
        session->host->describe(session->ctx, writer);
    json_close_object(writer);
}

void grpclb_session_dump(const struct grpclb_session *session, struct json_writer *writer)
{
    json_put_u64(writer, "requests", session->requests);
    json_put_u64(writer, "responses", session->responses);
    dump_calls(session, writer);
    json_open_array(writer, "targets");
    if (session->text)
        dump_target(session, writer);
    json_close_array(writer);
}
