/*
 * A delta stream under any order of requests, changes, refusals, reconnects and pulls, against a client that keeps what it was sent. Held of
 * every response: it carries what the client asked for, each once, in the version that the world has; what it removes is not there; it is
 * small enough, and it was not sent for nothing. Held whenever nothing is left to say: the client has what the world has, but for what it
 * refused.
 *
 * Input: commands of three bytes (command, type, argument).
 */
#include "protocol/xds.h"
#include "must_hold.h"
#include "wire/fields.h"
#include "wire/reader.h"
#include "wire/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NAMES 5
#define WILDCARD_BIT 0x40
#define HALF_BIG (3u << 19)

static const char *const names[NAMES] = {"a", "b", "c", "d", "e"};

/* One resource: in the world, on the stream, and at the client. */
struct cell {
    uint64_t version; /* 0: there is none */
    struct blob *blob;
    struct xds_subscription *subscription;
    bool is_owed;        /* asked for, and not answered yet */
    uint64_t has;        /* version that the client has; 0: none, or it knows that there is none */
    uint64_t declined;   /* refused alone and no other taken since, the last one; 0: none */
    unsigned refusals;   /* all of those, a bit each: none of them is owed to the client */
    size_t sent_in;      /* number of the response; 0: none since the stream has it by this name, or by a wildcard */
};

struct kind {
    struct cell cells[NAMES];
    bool wildcard, wildcard_owed, begun;
    char nonce[32];
    size_t newest;             /* number of the last response */
    size_t newest_len, newest_gone; /* what is in it */
    size_t nacked;             /* number of the last one that was refused */
};

static struct kind kinds[XDS_TYPES];
static struct xds_session *session;
static size_t responses;

static struct cell *cell_of(enum xds_type type, struct str name)
{
    must_hold(name.len == 1 && name.ptr[0] >= 'a' && name.ptr[0] < 'a' + NAMES);
    return &kinds[type].cells[name.ptr[0] - 'a'];
}

/* ---- the host ---- */

static void on_subscribe(void *ctx unused_arg, struct xds_subscription *subscription)
{
    struct cell *cell = cell_of(subscription->type, subscription->name);

    must_hold(!cell->subscription);
    cell->subscription = subscription;
    cell->sent_in = 0;
}

static void on_unsubscribe(void *ctx unused_arg, struct xds_subscription *subscription)
{
    struct cell *cell = cell_of(subscription->type, subscription->name);

    must_hold(cell->subscription == subscription);
    cell->subscription = NULL;
    cell->sent_in = 0;
}

static bool on_resolve(void *ctx unused_arg, struct xds_subscription *subscription, struct xds_resource *ret_resource)
{
    const struct cell *cell = cell_of(subscription->type, subscription->name);

    must_hold(cell->subscription == subscription);
    *ret_resource = (struct xds_resource){.version = cell->version, .empty = cell->version % 3 == 0};
    return cell->version != 0;
}

static struct blob *on_bytes(void *ctx unused_arg, struct xds_subscription *subscription)
{
    const struct cell *cell = cell_of(subscription->type, subscription->name);

    must_hold(cell->subscription == subscription && cell->version != 0);
    return cell->blob;
}

static void on_each(void *ctx unused_arg, enum xds_type type,
                    void (*visit)(void *visit_ctx, struct str name, const struct xds_resource *resource), void *visit_ctx)
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

static const struct xds_host host = {
    .subscribe = on_subscribe,
    .unsubscribe = on_unsubscribe,
    .resolve = on_resolve,
    .bytes = on_bytes,
    .each = on_each,
    .wake = on_wake,
};

/* ---- the world ---- */

static void put(enum xds_type type, uint8_t argument)
{
    struct cell *cell = &kinds[type].cells[argument % NAMES];
    uint64_t version = argument / NAMES % 8;
    size_t len = argument > 250 ? HALF_BIG : 20;

    blob_unref(cell->blob);
    cell->version = version;
    cell->blob = NULL;
    if (version != 0) {
        struct buf out = BUFFER_INIT(64);

        wire_put_head(&out, DISCOVERY_RESPONSE_RESOURCES, len);
        cell->blob = blob_new(out.len + len);
        memset(cell->blob->bytes, 0, out.len + len);
        memcpy(cell->blob->bytes, out.ptr, out.len);
        buf_done(&out);
    }
    if (cell->subscription)
        xds_subscription_touch(cell->subscription);
    xds_session_touch_wildcard(session, type);
}

/* ---- the client ---- */

static bool has_wildcard(enum xds_type type)
{
    return kinds[type].wildcard && (type == XDS_LISTENER || type == XDS_CLUSTER);
}

static void begin_wildcard(struct kind *kind)
{
    kind->wildcard_owed = true;
    kind->wildcard = true;
}

static void end_refusals(struct cell *cell)
{
    cell->declined = 0;
    cell->refusals = 0;
}

/* Who names no longer what it had keeps it only as a part of everything, which it is told again, or that there is none. */
static void forget(struct kind *kind, struct cell *cell)
{
    cell->is_owed = false;
    end_refusals(cell);
    if (!kind->wildcard)
        cell->has = 0;
    kind->wildcard_owed |= kind->wildcard;
}

static size_t choose(uint8_t mask, struct str *out)
{
    size_t len = 0;

    for (size_t i = 0; i < NAMES; i++)
        if (mask >> i & 1)
            out[len++] = str_of(names[i]);
    return len;
}

static void send(struct xds_request *request, enum xds_type type)
{
    request->type_url = str_of(xds_type_url(type));
    must_hold(xds_session_request(session, request, NULL) == CODE_OK);
    kinds[type].begun = true;
}

static void subscribe(enum xds_type type, uint8_t mask)
{
    struct kind *kind = &kinds[type];
    struct str asked[NAMES];
    struct xds_request request = {.names = {.items = asked, .has_wildcard = mask & WILDCARD_BIT}};

    request.names.len = choose(mask, asked);
    if (request.names.has_wildcard || (!kind->begun && request.names.len == 0))
        begin_wildcard(kind);
    for (size_t i = 0; i < NAMES; i++)
        if (mask >> i & 1) {
            kind->cells[i].is_owed = true;
            end_refusals(&kind->cells[i]);
        }
    send(&request, type);
}

static void unsubscribe(enum xds_type type, uint8_t mask)
{
    struct kind *kind = &kinds[type];
    struct str gone[NAMES];
    struct xds_request request = {.gone = {.items = gone, .has_wildcard = mask & WILDCARD_BIT}};

    request.gone.len = choose(mask, gone);
    if (request.gone.has_wildcard)
        kind->wildcard = kind->wildcard_owed = false;
    else if (!kind->begun && request.gone.len == 0)
        begin_wildcard(kind);
    for (size_t i = 0; i < NAMES; i++)
        if ((mask >> i & 1) && kind->cells[i].subscription)
            forget(kind, &kind->cells[i]);
    for (size_t i = 0; i < NAMES && request.gone.has_wildcard; i++)
        if (!kind->cells[i].subscription || (mask >> i & 1))
            kind->cells[i].has = 0;
    send(&request, type);
}

static void answer(enum xds_type type, bool refuse)
{
    struct kind *kind = &kinds[type];
    struct xds_request request = {.nonce = str_of(kind->nonce), .has_error = refuse};

    if (kind->nonce[0] == '\0')
        return;
    for (size_t i = 0; i < NAMES; i++) {
        struct cell *cell = &kind->cells[i];

        if (!cell->subscription || cell->sent_in != kind->newest)
            continue;
        if (refuse && kind->newest != kind->nacked && kind->newest_len == 1) {
            cell->declined = cell->has;
            cell->refusals |= 1u << cell->has;
        } else if (!refuse && kind->newest != kind->nacked && cell->declined != cell->has) {
            end_refusals(cell);
        }
    }
    if (refuse)
        kind->nacked = kind->newest;
    send(&request, type);
}

/* A new stream, of a client that remembers what it took. Types begin with their first requests. */
static void reconnect(void)
{
    static const struct xds_variant variant = {.delta = true};
    struct str asked[NAMES];

    xds_session_free(session);
    session = xds_session_new(&host, &variant, NULL);
    for (int type = 0; type < XDS_TYPES; type++) {
        struct kind *kind = &kinds[type];
        struct xds_known known[NAMES];
        char versions[NAMES][17];
        struct xds_request request = {.known = known, .names = {.items = asked, .has_wildcard = kind->wildcard}};

        kind->nonce[0] = '\0';
        kind->begun = false;
        kind->wildcard_owed = kind->wildcard;
        for (size_t i = 0; i < NAMES; i++) {
            struct cell *cell = &kind->cells[i];
            bool named = cell->sent_in != 0 || cell->is_owed;

            cell->sent_in = 0;
            end_refusals(cell);
            cell->is_owed = false;
            if (named)
                asked[request.names.len++] = str_of(names[i]);
            else if (!kind->wildcard)
                cell->has = 0;
            if (cell->has == 0)
                continue;
            str_format_hex(cell->has, versions[i]);
            known[request.known_len++] = (struct xds_known){str_of(names[i]), str_of(versions[i])};
        }
        if (request.names.len > 0 || kind->wildcard)
            send(&request, (enum xds_type)type);
    }
}

/* ---- responses ---- */

static struct buf pieces = {.max = 1u << 28};

static void on_add(void *ctx unused_arg, struct blob *blob)
{
    must_hold(buf_append(&pieces, blob->bytes, blob->len) == CODE_OK);
    blob_unref(blob);
}

static bool wants(enum xds_type type, const struct cell *cell)
{
    return cell->subscription || has_wildcard(type);
}

static void take_resource(enum xds_type type, struct str bytes)
{
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;
    struct str name = STR(""), version = STR("");
    struct cell *cell;
    uint64_t number = 0;

    while (wire_next(&reader, &field)) {
        if (field.number == RESOURCE_NAME)
            name = field.bytes;
        else if (field.number == RESOURCE_VERSION)
            version = field.bytes;
    }
    must_hold(!reader.failed && str_hex_to_u64(version, &number));
    cell = cell_of(type, name);
    must_hold(wants(type, cell) && number == cell->version && cell->sent_in != responses);
    must_hold(cell->is_owed || cell->has != number || kinds[type].wildcard_owed);
    must_hold(cell->is_owed || number != cell->declined);
    cell->has = number;
    cell->is_owed = false;
    cell->sent_in = responses;
    kinds[type].newest_len++;
}

static void take_removed(enum xds_type type, struct str name)
{
    struct cell *cell = cell_of(type, name);

    must_hold(cell->version == 0);
    cell->has = 0;
    cell->is_owed = false;
    kinds[type].newest_gone++;
}

static void take(enum xds_type type, struct str bytes)
{
    struct kind *kind = &kinds[type];
    struct wire_reader reader = wire_reader(bytes);
    struct wire_field field;
    char before[32];

    memcpy(before, kind->nonce, sizeof(before));
    must_hold(bytes.len < XDS_RESPONSE_MAX);
    kind->newest = ++responses;
    kind->newest_len = kind->newest_gone = 0;
    while (wire_next(&reader, &field)) {
        if (field.number == DELTA_DISCOVERY_RESPONSE_RESOURCES)
            take_resource(type, field.bytes);
        else if (field.number == DELTA_DISCOVERY_RESPONSE_REMOVED_RESOURCES)
            take_removed(type, field.bytes);
        else if (field.number == DELTA_DISCOVERY_RESPONSE_NONCE)
            snprintf(kind->nonce, sizeof(kind->nonce), "%" STR_FMT, STR_ARG(field.bytes));
        else if (field.number == DELTA_DISCOVERY_RESPONSE_TYPE_URL)
            must_hold(str_eq(field.bytes, str_of(xds_type_url(type))));
    }
    must_hold(!reader.failed && strcmp(before, kind->nonce) != 0);
    must_hold(kind->newest_len + kind->newest_gone > 0 || kind->wildcard_owed);
}

static bool pull(void)
{
    struct buf head = BUFFER_INIT(1 << 20);
    struct xds_response response = {.head = &head, .add = on_add};
    bool any;

    buf_reset(&pieces);
    any = xds_session_next(session, &response);
    if (any) {
        must_hold(buf_append(&pieces, head.ptr, head.len) == CODE_OK);
        take(response.type, buf_str(&pieces));
    }
    buf_done(&head);
    return any;
}

static void check_settled(void)
{
    for (int type = 0; type < XDS_TYPES; type++) {
        struct kind *kind = &kinds[type];

        for (size_t i = 0; i < NAMES; i++) {
            const struct cell *cell = &kind->cells[i];

            must_hold(!cell->is_owed || !cell->subscription);
            if (wants((enum xds_type)type, cell) && (cell->version == 0 || !(cell->refusals >> cell->version & 1)))
                must_hold(cell->has == cell->version);
        }
        kind->wildcard_owed = false;
    }
}

/* ---- */

static void run(uint8_t command, enum xds_type type, uint8_t argument)
{
    switch (command % 8) {
    case 0:
        subscribe(type, argument);
        break;
    case 1:
        unsubscribe(type, argument);
        break;
    case 2:
    case 3:
        put(type, argument);
        break;
    case 4:
        answer(type, argument & 1);
        break;
    case 5:
        if (argument % 8 == 0)
            reconnect();
        break;
    case 6:
        (void)pull();
        break;
    case 7:
        while (pull())
            ;
        check_settled();
        break;
    }
}

static void finish(void)
{
    xds_session_free(session);
    for (int type = 0; type < XDS_TYPES; type++)
        for (size_t i = 0; i < NAMES; i++)
            blob_unref(kinds[type].cells[i].blob);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    memset(kinds, 0, sizeof(kinds));
    responses = 0;
    session = xds_session_new(&host, &(struct xds_variant){.delta = true}, NULL);
    for (size_t i = 0; i + 3 <= size && i < 600; i += 3)
        run(data[i], (enum xds_type)(data[i + 1] % XDS_TYPES), data[i + 2]);
    run(7, XDS_LISTENER, 0);
    finish();
    return 0;
}
