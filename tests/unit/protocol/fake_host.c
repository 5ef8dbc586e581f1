#include "fake_host.h"

#include <criterion/criterion.h>

#include "envoy/service/discovery/v3/discovery.pb-c.h"
#include "wire/fields.h"
#include "wire/writer.h"

static struct fake_resource *find(struct fake_host *fake, enum xds_type type, struct str name)
{
    for (size_t i = 0; i < fake->resources_len; i++) {
        if (fake->resources[i].type == type && str_eq(str_of(fake->resources[i].name), name))
            return &fake->resources[i];
    }
    return NULL;
}

/* ---- the host ---- */

static void on_subscribe(void *ctx, struct xds_subscription *subscription)
{
    struct fake_host *fake = ctx;

    cr_assert_lt(fake->subscriptions_len, FAKE_RESOURCES_MAX);
    subscription->host = fake;
    fake->subscriptions[fake->subscriptions_len++] = subscription;
    fake->subscribed++;
}

static void on_unsubscribe(void *ctx, struct xds_subscription *subscription)
{
    struct fake_host *fake = ctx;

    cr_assert_eq(subscription->host, fake);
    for (size_t i = 0; i < fake->subscriptions_len; i++) {
        if (fake->subscriptions[i] == subscription) {
            fake->subscriptions[i] = fake->subscriptions[--fake->subscriptions_len];
            fake->unsubscribed++;
            return;
        }
    }
    cr_assert_fail("unsubscribed what was not subscribed");
}

static bool on_resolve(void *ctx, struct xds_subscription *subscription,
                       struct xds_resource *ret_resource)
{
    const struct fake_resource *found = find(ctx, subscription->type, subscription->name);

    if (!found || found->resource.version == 0)
        return false;
    *ret_resource = found->resource;
    ret_resource->blob = NULL;
    return true;
}

static struct blob *on_bytes(void *ctx, struct xds_subscription *subscription)
{
    struct fake_host *fake = ctx;

    fake->encoded++;
    return find(fake, subscription->type, subscription->name)->resource.blob;
}

static void on_each(void *ctx, enum xds_type type,
                    void (*visit)(void *visit_ctx, struct str name,
                                  const struct xds_resource *resource),
                    void *visit_ctx)
{
    struct fake_host *fake = ctx;

    for (size_t i = 0; i < fake->resources_len; i++) {
        const struct fake_resource *resource = &fake->resources[i];

        if (resource->type == type && resource->resource.version != 0)
            visit(visit_ctx, str_of(resource->name), &resource->resource);
    }
}

static void suspect(struct fake_host *fake, const char *mark, struct str name, struct str message)
{
    size_t len = strlen(fake->suspected);

    snprintf(fake->suspected + len, sizeof(fake->suspected) - len, "%s%" STR_FMT ": %" STR_FMT "; ", mark,
             STR_ARG(name), STR_ARG(message));
}

static void on_suspected(void *ctx, struct xds_subscription *subscription, struct str message)
{
    suspect(ctx, "", subscription->name, message);
}

static void on_suspected_unnamed(void *ctx, enum xds_type type, struct str name, struct str message)
{
    cr_assert_eq(type, XDS_CLUSTER);
    suspect(ctx, "*", name, message);
}

static void on_refused(void *ctx, const struct xds_subscription *subscription, size_t len)
{
    struct fake_host *fake = ctx;

    snprintf(fake->refused, sizeof(fake->refused), "%" STR_FMT " %zu", STR_ARG(subscription->name),
             len);
}

static void on_wake(void *ctx, bool answer)
{
    struct fake_host *fake = ctx;

    fake->answers += answer;
    fake->updates += !answer;
}

static void on_brought(void *ctx, int change)
{
    struct fake_host *fake = ctx;

    fake->brought += change;
}

static enum code on_admit(void *ctx, size_t names, size_t names_after, struct err *err)
{
    struct fake_host *fake = ctx;

    cr_assert_eq(names, fake->subscriptions_len);
    if (fake->room && names_after > fake->room)
        return fail(err, CODE_RESOURCE_EXHAUSTED, "%zu are too many", names_after);
    return CODE_OK;
}

static const struct xds_host host = {
    .admit = on_admit,
    .brought = on_brought,
    .subscribe = on_subscribe,
    .unsubscribe = on_unsubscribe,
    .resolve = on_resolve,
    .bytes = on_bytes,
    .each = on_each,
    .suspected = on_suspected,
    .suspected_unnamed = on_suspected_unnamed,
    .refused = on_refused,
    .wake = on_wake,
};

void fake_open_variant(struct fake_host *fake, const char *agent, const struct xds_variant *variant)
{
    *fake = (struct fake_host){.agent = agent, .variant = *variant, .host = host};
    fake->session = xds_session_new(&fake->host, variant, fake);
}

static struct str text_of_resource(void *ctx, enum xds_type type, struct str name, uint64_t version)
{
    struct fake_host *fake = ctx;

    cr_assert_eq(find(fake, type, name)->resource.version, version);
    snprintf(fake->text, sizeof(fake->text), "v%u", (unsigned)version);
    return str_of(fake->text);
}

static struct str text_of_type(void *ctx unused_arg, enum xds_type type unused_arg)
{
    return STR("all");
}

static uint64_t read_text(void *ctx, enum xds_type type, struct str name, struct str text)
{
    const struct fake_resource *found = find(ctx, type, name);

    return found && str_eq(text, text_of_resource(ctx, type, name, found->resource.version))
               ? found->resource.version
               : 0;
}

void fake_open_texts(struct fake_host *fake, const char *agent, const struct xds_variant *variant)
{
    static const struct xds_texts texts = {text_of_resource, text_of_type, read_text};

    fake_open_variant(fake, agent, variant);
    fake->host.texts = &texts;
}

void fake_open(struct fake_host *fake, const char *agent)
{
    fake_open_variant(fake, agent, &(struct xds_variant){0});
}

void fake_close(struct fake_host *fake)
{
    xds_session_free(fake->session);
    fake->session = NULL;
    cr_assert_eq(fake->subscriptions_len, 0);
    cr_assert_eq(fake->brought, 0);
    for (size_t i = 0; i < fake->resources_len; i++)
        blob_unref(fake->resources[i].resource.blob);
    fake->resources_len = 0;
}

void fake_reconnect(struct fake_host *fake)
{
    xds_session_free(fake->session);
    cr_assert_eq(fake->subscriptions_len, 0);
    fake->session = xds_session_new(&fake->host, &fake->variant, fake);
}

/* ---- the world ---- */

/* A real `resources` field; the Any's value is the name, and padding. */
static struct blob *make_blob(enum xds_type type, const char *name, size_t len)
{
    CLEANUP(buf_done) struct buf out = BUFFER_INIT(2 * XDS_RESPONSE_MAX);
    char *padding = xcalloc(1, len + 1);
    size_t value;
    size_t any =
        wire_open_any(&out, DISCOVERY_RESPONSE_RESOURCES, str_of(xds_type_url(type)), &value);

    buf_append(&out, name, strlen(name) + 1);
    buf_append(&out, padding, len);
    wire_close_any(&out, any, value);
    free(padding);
    return blob_copy(out.ptr, out.len);
}

void fake_touch(struct fake_host *fake, enum xds_type type, const char *name)
{
    for (size_t i = 0; i < fake->subscriptions_len; i++) {
        struct xds_subscription *subscription = fake->subscriptions[i];

        if (subscription->type == type && str_eq(subscription->name, str_of(name)))
            xds_subscription_touch(subscription);
    }
    xds_session_touch_wildcard(fake->session, type);
}

static void set(struct fake_host *fake, enum xds_type type, const char *name,
                struct xds_resource resource)
{
    struct fake_resource *found = find(fake, type, str_of(name));

    if (!found) {
        cr_assert_lt(fake->resources_len, FAKE_RESOURCES_MAX);
        found = &fake->resources[fake->resources_len++];
        *found = (struct fake_resource){.type = type};
        snprintf(found->name, sizeof(found->name), "%s", name);
    }
    blob_unref(found->resource.blob);
    found->resource = resource;
    fake_touch(fake, type, name);
}

void fake_put_sized(struct fake_host *fake, enum xds_type type, const char *name, uint64_t version,
                    size_t len)
{
    set(fake, type, name, (struct xds_resource){.version = version, .blob = make_blob(type, name, len)});
}

void fake_put(struct fake_host *fake, enum xds_type type, const char *name, uint64_t version)
{
    fake_put_sized(fake, type, name, version, 10);
}

void fake_put_empty(struct fake_host *fake, const char *name, uint64_t version)
{
    set(fake, XDS_ENDPOINT, name, (struct xds_resource){version, make_blob(XDS_ENDPOINT, name, 1), true});
}

void fake_put_quietly(struct fake_host *fake, enum xds_type type, const char *name, uint64_t version)
{
    struct fake_resource *found = find(fake, type, str_of(name));

    cr_assert_not_null(found);
    blob_unref(found->resource.blob);
    found->resource = (struct xds_resource){version, make_blob(type, name, 1), false};
}

void fake_remove(struct fake_host *fake, enum xds_type type, const char *name)
{
    set(fake, type, name, (struct xds_resource){0});
}

/* ---- the client ---- */

static void put_node(struct buf *out, const char *agent, uint32_t number)
{
    size_t node = wire_open(out, number);

    wire_put_bytes(out, NODE_ID, STR("client-1"));
    wire_put_bytes(out, NODE_USER_AGENT_NAME, str_of(agent));
    wire_close(out, node);
}

static void put_names(struct buf *out, const char *names)
{
    struct str rest = str_of(names);

    while (rest.len > 0)
        wire_put_bytes(out, DISCOVERY_REQUEST_RESOURCE_NAMES, str_cut(&rest, ' '));
}

static void put_error(struct buf *out, const char *why, uint32_t number)
{
    size_t error;

    if (!why)
        return;
    error = wire_open(out, number);
    wire_put_varint(out, STATUS_CODE, 3);
    wire_put_bytes(out, STATUS_MESSAGE, str_of(why));
    wire_close(out, error);
}

static void put_delta_names(struct buf *out, const char *names)
{
    struct str rest = str_of(names);

    while (rest.len > 0) {
        struct str name = str_cut(&rest, ' ');
        bool gone = str_starts_with(name, STR("-"));

        wire_put_bytes(out, gone ? DELTA_DISCOVERY_REQUEST_RESOURCE_NAMES_UNSUBSCRIBE : DELTA_DISCOVERY_REQUEST_RESOURCE_NAMES_SUBSCRIBE,
                       str_slice(name, gone, name.len));
    }
}

static void put_known(struct buf *out, const char *known)
{
    struct str rest = known ? str_of(known) : STR("");

    while (rest.len > 0) {
        struct str version = str_cut(&rest, ' ');
        struct str name = str_cut(&version, '=');
        size_t entry = wire_open(out, DELTA_DISCOVERY_REQUEST_INITIAL_RESOURCE_VERSIONS);

        wire_put_bytes(out, WIRE_MAP_KEY, name);
        wire_put_bytes(out, WIRE_MAP_VALUE, version);
        wire_close(out, entry);
    }
}

static enum code send_delta(struct fake_host *fake, enum xds_type type, const char *names, const char *nonce, const char *why)
{
    CLEANUP(buf_done) struct buf out = BUFFER_INIT(1024 * 1024);
    CLEANUP(xds_request_done) struct xds_request request = {0};
    enum code code;

    if (fake->agent && xds_session_stats(fake->session)->requests == 0)
        put_node(&out, fake->agent, DELTA_DISCOVERY_REQUEST_NODE);
    if (!fake->variant.single)
        wire_put_bytes(&out, DELTA_DISCOVERY_REQUEST_TYPE_URL, str_of(xds_type_url(type)));
    put_delta_names(&out, names);
    put_known(&out, fake->known);
    fake->known = NULL;
    wire_put_bytes(&out, DELTA_DISCOVERY_REQUEST_RESPONSE_NONCE, str_of(nonce));
    put_error(&out, why, DELTA_DISCOVERY_REQUEST_ERROR_DETAIL);
    code = xds_delta_request_parse(buf_str(&out), &request, &fake->err);
    return code != CODE_OK ? code : xds_session_request(fake->session, &request, &fake->err);
}

static enum code send(struct fake_host *fake, enum xds_type type, const char *names,
                      const char *nonce, const char *why)
{
    CLEANUP(buf_done) struct buf out = BUFFER_INIT(1024 * 1024);
    CLEANUP(xds_request_done) struct xds_request request = {0};
    enum code code;

    if (fake->variant.delta)
        return send_delta(fake, type, names, nonce, why);
    if (fake->agent && xds_session_stats(fake->session)->requests == 0)
        put_node(&out, fake->agent, DISCOVERY_REQUEST_NODE);
    wire_put_bytes(&out, DISCOVERY_REQUEST_TYPE_URL, str_of(xds_type_url(type)));
    put_names(&out, names);
    wire_put_bytes(&out, DISCOVERY_REQUEST_RESPONSE_NONCE, str_of(nonce));
    put_error(&out, why, DISCOVERY_REQUEST_ERROR_DETAIL);
    code = xds_request_parse(buf_str(&out), &request, &fake->err);
    return code != CODE_OK ? code : xds_session_request(fake->session, &request, &fake->err);
}

enum code fake_request(struct fake_host *fake, enum xds_type type, const char *names,
                       const char *nonce)
{
    return send(fake, type, names, nonce, NULL);
}

void fake_ack(struct fake_host *fake, enum xds_type type, const char *names)
{
    cr_assert_eq(send(fake, type, names, fake->nonce[type], NULL), CODE_OK);
}

void fake_nack(struct fake_host *fake, enum xds_type type, const char *names, const char *why)
{
    fake_nack_nonce(fake, type, names, fake->nonce[type], why);
}

void fake_nack_nonce(struct fake_host *fake, enum xds_type type, const char *names,
                     const char *nonce, const char *why)
{
    cr_assert_eq(send(fake, type, names, nonce, why), CODE_OK);
}

/* ---- responses ---- */

static void collect(void *ctx, struct blob *blob)
{
    cr_assert_eq(buf_append(ctx, blob->bytes, blob->len), CODE_OK);
    blob_unref(blob);
}

/* Reads the bytes as any client would. */
static void read_response(struct fake_host *fake, enum xds_type type, struct str bytes,
                          struct buf *text)
{
    Envoy__Service__Discovery__V3__DiscoveryResponse *response =
        envoy__service__discovery__v3__discovery_response__unpack(NULL, bytes.len,
                                                                  (const uint8_t *)bytes.ptr);

    cr_assert_not_null(response);
    cr_assert_str_eq(response->type_url, xds_type_url(type));
    cr_assert_str_not_empty(response->version_info);
    cr_assert_str_not_empty(response->nonce);
    cr_assert_lt(bytes.len, XDS_RESPONSE_MAX);
    snprintf(fake->nonce[type], sizeof(fake->nonce[type]), "%s", response->nonce);
    snprintf(fake->version[type], sizeof(fake->version[type]), "%s", response->version_info);
    fake->response_len = bytes.len;
    buf_printf(text, "%s", xds_type_name(type));
    for (size_t i = 0; i < response->n_resources; i++) {
        cr_assert_str_eq(response->resources[i]->type_url, xds_type_url(type));
        buf_printf(text, " %s", (const char *)response->resources[i]->value.data);
    }
    envoy__service__discovery__v3__discovery_response__free_unpacked(response, NULL);
}

/* A resource has the version that the world has; none is there twice. */
static void read_resource(const struct fake_host *fake, enum xds_type type, const Envoy__Service__Discovery__V3__Resource *resource,
                          struct buf *text)
{
    const char *name = (const char *)resource->resource->value.data;
    char version[17];

    cr_assert_str_eq(resource->resource->type_url, xds_type_url(type));
    cr_assert_str_eq(resource->name, name);
    for (size_t i = 0; i < fake->resources_len; i++) {
        if (fake->resources[i].type != type || strcmp(fake->resources[i].name, name) != 0)
            continue;
        if (fake->host.texts)
            snprintf(version, sizeof(version), "v%u", (unsigned)fake->resources[i].resource.version);
        else
            str_format_hex(fake->resources[i].resource.version, version);
        cr_assert_str_eq(resource->version, version);
    }
    buf_printf(text, " %s", name);
}

static void read_delta(struct fake_host *fake, enum xds_type type, struct str bytes, struct buf *text)
{
    Envoy__Service__Discovery__V3__DeltaDiscoveryResponse *response =
        envoy__service__discovery__v3__delta_discovery_response__unpack(NULL, bytes.len, (const uint8_t *)bytes.ptr);

    cr_assert_not_null(response);
    cr_assert_str_eq(response->type_url, xds_type_url(type));
    cr_assert_str_not_empty(response->nonce);
    cr_assert_lt(bytes.len, XDS_RESPONSE_MAX);
    snprintf(fake->nonce[type], sizeof(fake->nonce[type]), "%s", response->nonce);
    snprintf(fake->version[type], sizeof(fake->version[type]), "%s", response->system_version_info);
    fake->response_len = bytes.len;
    buf_printf(text, "%s", xds_type_name(type));
    for (size_t i = 0; i < response->n_resources; i++)
        read_resource(fake, type, response->resources[i], text);
    for (size_t i = 0; i < response->n_removed_resources; i++)
        buf_printf(text, " -%s", response->removed_resources[i]);
    envoy__service__discovery__v3__delta_discovery_response__free_unpacked(response, NULL);
}

const char *fake_next(struct fake_host *fake)
{
    static char last[4096];
    CLEANUP(buf_done) struct buf head = BUFFER_INIT(4096);
    CLEANUP(buf_done) struct buf body = BUFFER_INIT(2 * XDS_RESPONSE_MAX);
    CLEANUP(buf_done) struct buf whole = BUFFER_INIT(2 * XDS_RESPONSE_MAX);
    CLEANUP(buf_done) struct buf text = BUFFER_INIT(sizeof(last) - 1);
    struct xds_response response = {.head = &head, .add = collect, .ctx = &body};

    last[0] = '\0';
    if (!xds_session_next(fake->session, &response)) {
        cr_assert_eq(head.len + body.len, 0);
        return last;
    }
    buf_add_str(&whole, buf_str(&head));
    buf_add_str(&whole, buf_str(&body));
    if (fake->variant.delta)
        read_delta(fake, response.type, buf_str(&whole), &text);
    else
        read_response(fake, response.type, buf_str(&whole), &text);
    cr_assert_not(buf_failed(&text));
    snprintf(last, sizeof(last), "%s", buf_cstr(&text));
    return last;
}

const char *fake_ask(struct fake_host *fake, enum xds_type type, const char *names,
                     const char *nonce)
{
    cr_assert_eq(fake_request(fake, type, names, nonce), CODE_OK);
    return fake_next(fake);
}

struct str fake_dump(struct fake_host *fake, struct buf *out)
{
    struct json_writer writer = json_writer(out);

    json_open_object(&writer, NULL);
    xds_session_dump(fake->session, &writer, NULL, NULL);
    json_close_object(&writer);
    return str_of(buf_cstr(out));
}
