/*
 * An xDS stream under any order of requests, changes, refusals and pulls, against a client that
 * keeps what it was sent as gRPC clients do. Held after every response: it names only what was
 * asked for, each once, is small enough, leaves out nothing that the client has, was not sent for
 * nothing, and has a new nonce and the version of what the client then has. Held whenever nothing
 * is left to say: the client has what the world has, but for what it refused.
 *
 * Input: a first byte for the kind of client, then commands of three bytes (command, type,
 * argument).
 */
#include "base/hash.h"
#include "protocol/xds.h"
#include "must_hold.h"
#include "wire/fields.h"
#include "wire/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NAMES 6 /* the bits 6 and 7 of a mask of names: "*" and "an old nonce" */
#define WILDCARD_BIT 0x40
#define RESPONSES_MAX 16
#define BIG (5u << 20)
#define HALF_BIG (3u << 19)

static const char *const names[NAMES] = {"a", "b", "c", "d", "e", "f"};

/* One resource: in the world and at the client. */
struct cell {
    uint64_t version; /* 0: there is none */
    struct blob *blob;
    uint64_t has;     /* version that the client has */
    bool is_named;    /* in the last request */
    bool is_owed;     /* has to be sent, changed or not */
    uint64_t nacked;  /* refused alone, and no other taken since: is not sent */
    unsigned refused; /* all that were nacked, as bits: the session knows the last one only */
    size_t sent_in;   /* number of the response; 0: none */
    struct xds_subscription *subscription;
};

/* What the client remembers of a response. */
struct seen {
    size_t number;
    char nonce[32];
    size_t len;
};

struct kind {
    struct cell cells[NAMES];
    struct seen seen[RESPONSES_MAX]; /* the newest at [responses % RESPONSES_MAX] */
    size_t responses;
    size_t nacked; /* number of the newest response that was refused */
    size_t acked;  /* of the newest one that was taken */
    bool wildcard, wildcard_owed, named_before;
};

static struct kind kinds[XDS_TYPES];
static struct xds_session *session;
static bool grpc;

/* ---- the host ---- */

static size_t cell_of(struct str name)
{
    must_hold(name.len == 1 && name.ptr[0] >= 'a' && name.ptr[0] < 'a' + NAMES);
    return (size_t)(name.ptr[0] - 'a');
}

static void on_subscribe(void *ctx unused_arg, struct xds_subscription *subscription)
{
    struct cell *cell = &kinds[subscription->type].cells[cell_of(subscription->name)];

    must_hold(!cell->subscription);
    cell->subscription = subscription;
}

static void on_unsubscribe(void *ctx unused_arg, struct xds_subscription *subscription)
{
    struct cell *cell = &kinds[subscription->type].cells[cell_of(subscription->name)];

    must_hold(cell->subscription == subscription);
    cell->subscription = NULL;
}

static bool on_resolve(void *ctx unused_arg, struct xds_subscription *subscription,
                       struct xds_resource *ret_resource)
{
    const struct cell *cell = &kinds[subscription->type].cells[cell_of(subscription->name)];

    must_hold(cell->subscription == subscription);
    *ret_resource = (struct xds_resource){.version = cell->version, .empty = cell->version & 1};
    return cell->version != 0;
}

static struct blob *on_bytes(void *ctx unused_arg, struct xds_subscription *subscription)
{
    struct cell *cell = &kinds[subscription->type].cells[cell_of(subscription->name)];

    must_hold(cell->subscription == subscription && cell->version != 0);
    return cell->blob;
}

static void on_each(void *ctx unused_arg, enum xds_type type,
                    void (*visit)(void *visit_ctx, struct str name,
                                  const struct xds_resource *resource),
                    void *visit_ctx)
{
    for (size_t i = 0; i < NAMES; i++) {
        const struct cell *cell = &kinds[type].cells[i];

        if (cell->version != 0)
            visit(visit_ctx, str_of(names[i]), &(struct xds_resource){.version = cell->version, .blob = cell->blob});
    }
}

static void on_wake(void *ctx unused_arg, bool answer unused_arg)
{
}

static const struct xds_host host = {.subscribe = on_subscribe,
                                     .unsubscribe = on_unsubscribe,
                                     .resolve = on_resolve,
                                     .bytes = on_bytes,
                                     .each = on_each,
                                     .wake = on_wake};

/* ---- the world ---- */

/* Nobody reads a blob here, so a big one only says that it is. Its bytes say whose it is. */
static struct blob *make_blob(enum xds_type type, size_t name, uint64_t version, size_t len)
{
    unsigned char bytes[3] = {(unsigned char)type, (unsigned char)name, (unsigned char)version};
    struct blob *blob = blob_copy(bytes, sizeof(bytes));

    blob->len = len;
    return blob;
}

/* Of full states the sizes stay small: what does not fit there has tests of its own. */
static void change(enum xds_type type, uint8_t argument)
{
    size_t name = argument % NAMES;
    uint64_t version = argument / NAMES % 5;
    bool may_be_big = type == XDS_ENDPOINT || type == XDS_ROUTE;
    size_t len = !may_be_big || version < 3 ? 100 : version == 3 ? HALF_BIG : BIG;
    struct cell *cell = &kinds[type].cells[name];

    blob_unref(cell->blob);
    cell->version = version;
    cell->blob = version != 0 ? make_blob(type, name, version, len) : NULL;
    if (cell->subscription)
        xds_subscription_touch(cell->subscription);
    xds_session_touch_wildcard(session, type);
}

static bool is_full_state(enum xds_type type)
{
    return type == XDS_LISTENER || type == XDS_CLUSTER;
}

/* ---- the client ---- */

static void forget(struct kind *kind)
{
    for (size_t i = 0; i < NAMES; i++) {
        kind->cells[i].is_owed |= kind->cells[i].is_named;
        if (kind->cells[i].is_named)
            kind->cells[i].nacked = kind->cells[i].refused = 0;
    }
    kind->wildcard_owed |= kind->wildcard;
}

static void set_names(struct kind *kind, enum xds_type type, uint8_t mask)
{
    bool none = (mask & 0x3F) == 0;
    bool star = mask & WILDCARD_BIT;
    bool wildcard = !grpc && is_full_state(type) && (star || (none && !kind->named_before));

    if (wildcard != kind->wildcard)
        kind->wildcard_owed = wildcard || !none;
    kind->wildcard = wildcard;
    kind->named_before |= !none || star;
    for (size_t i = 0; i < NAMES; i++) {
        struct cell *cell = &kind->cells[i];
        bool is_named = mask >> i & 1;

        if (is_named == cell->is_named)
            continue;
        cell->is_named = is_named;
        cell->is_owed = is_named;
        cell->nacked = cell->refused = 0;
        cell->sent_in = 0;
        if (!is_named)
            kind->wildcard_owed |= wildcard;
    }
    for (size_t i = 0; i < NAMES; i++) {
        if (!kind->cells[i].is_named && !wildcard)
            kind->cells[i].has = 0;
    }
}

static const struct seen *newest(const struct kind *kind)
{
    return &kind->seen[kind->responses % RESPONSES_MAX];
}

/* The newest, or by chance an older one. */
static const struct seen *choose(const struct kind *kind, uint8_t argument)
{
    size_t back = argument & 0x80 ? kind->responses % 5 : 0;

    if (kind->responses == 0)
        return NULL;
    return &kind->seen[(kind->responses - min_size(back, kind->responses - 1)) % RESPONSES_MAX];
}

static void refuse(struct kind *kind, const struct seen *seen)
{
    if (seen->number <= kind->nacked)
        return;
    kind->nacked = seen->number;
    for (size_t i = 0; i < NAMES; i++) {
        struct cell *cell = &kind->cells[i];

        if (seen->len == 1 && cell->sent_in == seen->number && cell->is_named) {
            cell->nacked = cell->has;
            cell->refused |= 1u << cell->has;
        }
    }
}

/* Whoever took another version may be sent again what it refused before. True: something is. */
static bool allow_again(struct kind *kind, const struct seen *seen)
{
    bool any = false;

    if (seen->number == kind->nacked || seen->number <= kind->acked)
        return false;
    kind->acked = seen->number;
    for (size_t i = 0; i < NAMES; i++) {
        struct cell *cell = &kind->cells[i];

        if (!cell->is_named || cell->sent_in != seen->number || cell->has == cell->nacked)
            continue;
        any |= cell->nacked == cell->version;
        cell->nacked = 0;
    }
    return any;
}

static void send(enum xds_type type, struct str nonce, uint8_t mask, bool has_error)
{
    struct str asked[NAMES];
    struct xds_request request = {.type_url = str_of(xds_type_url(type)),
                                  .nonce = nonce,
                                  .names = {.items = asked, .has_wildcard = mask & WILDCARD_BIT},
                                  .has_error = has_error,
                                  .has_node = true};

    request.node.user_agent = grpc ? STR("gRPC fuzz") : STR("fuzz");
    for (size_t i = 0; i < NAMES; i++) {
        if (mask >> i & 1)
            asked[request.names.len++] = str_of(names[i]);
    }
    must_hold(xds_session_request(session, &request, NULL) == CODE_OK);
}

/* Applied to our own picture in the order in which the stream applies it. */
static void ask(enum xds_type type, uint8_t command, uint8_t argument)
{
    struct kind *kind = &kinds[type];
    const struct seen *seen = choose(kind, argument);
    bool has_error = command & 1;
    bool is_empty = !seen || command & 2;
    bool is_wrong = command & 4;
    struct str nonce = is_wrong ? STR("x1") : is_empty ? STR("") : str_of(seen->nonce);

    if (!is_wrong && !is_empty) {
        if (has_error)
            refuse(kind, seen);
        else
            (void)allow_again(kind, seen);
    }
    set_names(kind, type, argument);
    if (!is_wrong && is_empty && kind->responses > 0)
        forget(kind);
    send(type, nonce, argument, has_error);
}

/* ---- responses ---- */

struct receipt {
    bool has[NAMES];
    uint64_t version[NAMES];
    size_t len;
    size_t bytes;
};

static void receive(void *ctx, struct blob *blob)
{
    struct receipt *receipt = ctx;
    size_t name = blob->bytes[1];

    must_hold(!receipt->has[name]);
    receipt->has[name] = true;
    receipt->version[name] = blob->bytes[2];
    receipt->len++;
    receipt->bytes += blob->len;
    blob_unref(blob);
}

static void check_head(struct kind *kind, enum xds_type type, struct str head)
{
    struct wire_reader reader = wire_reader(head);
    struct wire_field field;
    char version[17];
    uint64_t sum = 0;
    struct seen *seen;

    for (size_t i = 0; i < NAMES; i++) {
        if (kind->cells[i].has != 0)
            sum += hash_mix(hash_content(names[i], 1), kind->cells[i].has);
    }
    snprintf(version, sizeof(version), "%016llx", (unsigned long long)sum);
    must_hold(wire_next(&reader, &field) && field.number == DISCOVERY_RESPONSE_VERSION_INFO);
    must_hold(str_eq(field.bytes, str_of(version)));
    must_hold(wire_next(&reader, &field) && field.number == DISCOVERY_RESPONSE_TYPE_URL);
    must_hold(str_eq(field.bytes, str_of(xds_type_url(type))));
    must_hold(wire_next(&reader, &field) && field.number == DISCOVERY_RESPONSE_NONCE);
    for (size_t i = 0; i < RESPONSES_MAX; i++)
        must_hold(!str_eq(field.bytes, str_of(kind->seen[i].nonce)));
    seen = &kind->seen[kind->responses % RESPONSES_MAX];
    snprintf(seen->nonce, sizeof(seen->nonce), "%" STR_FMT, STR_ARG(field.bytes));
    must_hold(!wire_next(&reader, &field) && !reader.failed);
}

/* True if the resource is a reason for a response. */
static bool take(struct kind *kind, enum xds_type type, size_t name, const struct receipt *receipt)
{
    struct cell *cell = &kind->cells[name];
    bool is_known = cell->is_named || kind->wildcard;
    bool is_reason;

    must_hold(!receipt->has[name] || (is_known && receipt->version[name] == cell->version));
    if (!receipt->has[name]) {
        is_reason = is_full_state(type) && is_known && cell->has != 0;
        must_hold(!is_reason || cell->version == 0);
        cell->has = is_full_state(type) ? 0 : cell->has;
        return is_reason;
    }
    is_reason = cell->is_owed || cell->has != cell->version;
    must_hold(is_reason || is_full_state(type));
    must_hold(is_full_state(type) || cell->nacked != cell->version || cell->is_owed);
    cell->has = cell->version;
    cell->is_owed = false;
    cell->sent_in = cell->is_named ? kind->responses : 0;
    return is_reason;
}

static bool pull(void)
{
    struct buf head = BUFFER_INIT(1024);
    struct receipt receipt = {0};
    struct xds_response response = {.head = &head, .add = receive, .ctx = &receipt};
    bool said = xds_session_next(session, &response);
    struct kind *kind = &kinds[response.type];
    bool has_reason = false;

    if (said) {
        kind->responses++;
        for (size_t i = 0; i < NAMES; i++)
            has_reason |= take(kind, response.type, i, &receipt);
        must_hold(has_reason || kind->wildcard_owed);
        kind->wildcard_owed = kind->wildcard_owed && !is_full_state(response.type);
        check_head(kind, response.type, buf_str(&head));
        kind->seen[kind->responses % RESPONSES_MAX].len = receipt.len;
        kind->seen[kind->responses % RESPONSES_MAX].number = kind->responses;
        must_hold(head.len + receipt.bytes <= XDS_RESPONSE_MAX);
        must_hold(receipt.len > 0 || is_full_state(response.type));
    }
    must_hold(said || head.len + receipt.len == 0);
    buf_done(&head);
    return said;
}

static void check_cell(const struct kind *kind, enum xds_type type, const struct cell *cell)
{
    bool is_known = cell->is_named || kind->wildcard;

    must_hold((cell->subscription != NULL) == cell->is_named);
    if (!is_known || (cell->blob && cell->blob->len == BIG))
        return;
    if (cell->version == 0) {
        must_hold(!is_full_state(type) || cell->has == 0);
        return;
    }
    must_hold(!cell->is_owed);
    must_hold(cell->has == cell->version || cell->refused >> cell->version & 1);
}

/* Nothing is left to say, and saying so twice changes nothing. */
static void settle(void)
{
    while (pull())
        ;
    for (int type = 0; type < XDS_TYPES; type++) {
        must_hold(!kinds[type].wildcard_owed);
        for (size_t i = 0; i < NAMES; i++)
            check_cell(&kinds[type], (enum xds_type)type, &kinds[type].cells[i]);
    }
    must_hold(!pull());
}

/* An acknowledgement of everything is answered by nothing but what was refused before that. */
static void acknowledge(enum xds_type type)
{
    struct kind *kind = &kinds[type];
    uint8_t mask = kind->wildcard && kind->named_before ? WILDCARD_BIT : 0;
    bool again;

    settle();
    if (kind->responses == 0)
        return;
    for (size_t i = 0; i < NAMES; i++)
        mask |= (uint8_t)(kind->cells[i].is_named << i);
    again = allow_again(kind, newest(kind));
    send(type, str_of(newest(kind)->nonce), mask, false);
    must_hold(again || !pull());
}

static void run(const uint8_t *command)
{
    enum xds_type type = (enum xds_type)(command[1] % XDS_TYPES);

    switch (command[0] >> 5) {
    case 0:
    case 1:
        change(type, command[2]);
        break;
    case 2:
        (void)pull();
        break;
    case 3:
        settle();
        break;
    case 4:
        acknowledge(type);
        break;
    default:
        ask(type, command[0], command[2]);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    memset(kinds, 0, sizeof(kinds));
    grpc = data[0] & 1;
    session = xds_session_new(&host, &(struct xds_variant){0}, NULL);
    for (size_t i = 1; i + 3 <= size; i += 3)
        run(data + i);
    settle();
    xds_session_free(session);
    for (int type = 0; type < XDS_TYPES; type++) {
        for (size_t i = 0; i < NAMES; i++) {
            must_hold(!kinds[type].cells[i].subscription);
            blob_unref(kinds[type].cells[i].blob);
        }
    }
    return 0;
}
