/* Two catalogs compared, name by name and port by port. */
#include "controller/policy_field.h"
#include "controller/preview_internal.h"
#include "controller/route_text.h"

#define VALUE_MAX 16384 /* a route of 16 backends, or what a field of a policy may say */

/* One Service in both; NULL: it is not published. */
struct pair_of {
    const struct service *now, *then;
};

struct diff {
    const struct catalog *now, *then;
    struct json_writer *writer;
    struct pair_of *pairs;
    size_t len, cap;
    size_t changes;
    /* What is being compared; opened in the answer with its first change. */
    const struct service *service;
    bool service_open, port_open;
    uint16_t number; /* 0: it is about the whole Service */
    struct str port_name;
};

/* ---- one change ---- */

static void open_port(struct diff *diff)
{
    if (!diff->service_open) {
        json_open_object(diff->writer, NULL);
        json_put_str(diff->writer, "namespace", diff->service->namespace_name);
        json_put_str(diff->writer, "name", diff->service->name);
        json_open_array(diff->writer, "ports");
    }
    diff->service_open = true;
    if (!diff->port_open) {
        json_open_object(diff->writer, NULL);
        if (diff->number != 0)
            json_put_u64(diff->writer, "number", diff->number);
        json_put_str(diff->writer, "name", diff->port_name);
        json_open_array(diff->writer, "changes");
    }
    diff->port_open = true;
}

static void begin_port(struct diff *diff, uint16_t number, struct str name)
{
    diff->port_open = false;
    diff->number = number;
    diff->port_name = name;
}

static void end_port(struct diff *diff)
{
    if (!diff->port_open)
        return;
    json_close_array(diff->writer);
    json_close_object(diff->writer);
}

static void add_change(struct diff *diff, const char *what, struct str now, struct str then)
{
    if (str_eq(now, then))
        return;
    open_port(diff);
    diff->changes++;
    json_open_object(diff->writer, NULL);
    json_put_str(diff->writer, "what", str_of(what));
    json_put_str(diff->writer, "now", now);
    json_put_str(diff->writer, "then", then);
    json_close_object(diff->writer);
}

/* ---- fields of the policies in force ---- */

struct field_diff {
    struct diff *diff;
    const struct policy *now, *then;
};

static void add_field(void *ctx, const struct policy_field *field)
{
    const struct field_diff *fields = ctx;
    struct buf now = BUFFER_INIT(VALUE_MAX), then = BUFFER_INIT(VALUE_MAX);

    /* What follows of these is compared by itself. */
    if (field->kind == POLICY_PORT || field->kind == POLICY_HOSTS || field->kind == POLICY_BACKENDS)
        return;
    policy_add_value(&now, field, fields->now);
    policy_add_value(&then, field, fields->then);
    add_change(fields->diff, field->path, buf_str(&now), buf_str(&then));
    buf_done(&now);
    buf_done(&then);
}

static void compare_fields(struct diff *diff, const struct policy *now, const struct policy *then)
{
    struct field_diff fields = {diff, now, then};

    policy_diff(now, then, add_field, &fields);
}

/* ---- where the calls go ---- */

/* Nothing where the Service is not published. */
static void add_route(struct buf *out, const struct catalog *catalog, const struct service *service,
                      uint16_t number)
{
    struct name name = {.form = NAME_TWO_LABELS};
    struct route route;

    if (!service)
        return;
    name.namespace_name = service->namespace_name;
    name.service = service->name;
    if (number != 0)
        name.port = (struct port_ref){.kind = PORT_NUMBER, .number = number};
    route_find(&(struct sight){.catalog = catalog}, &name, &route);
    route_add_text(out, &route);
}

static void compare_routes(struct diff *diff, const struct pair_of *pair, uint16_t number)
{
    struct buf now = BUFFER_INIT(VALUE_MAX), then = BUFFER_INIT(VALUE_MAX);

    add_route(&now, diff->now, pair->now, number);
    add_route(&then, diff->then, pair->then, number);
    add_change(diff, "backends", buf_str(&now), buf_str(&then));
    buf_done(&now);
    buf_done(&then);
}

/* ---- ports ---- */

static int cmp_backend(const void *a, const void *b)
{
    return backend_cmp_address(*(const struct backend *const *)a,
                               *(const struct backend *const *)b);
}

/* By address; the caller frees it. */
static const struct backend **sorted(const struct backend_list *list)
{
    const struct backend **backends = xcalloc(list->len + 1, sizeof(*backends));

    for (size_t i = 0; i < list->len; i++)
        backends[i] = list->items[i].backend;
    qsort(backends, list->len, sizeof(*backends), cmp_backend);
    return backends;
}

/* So many of `list` are not in `other`. */
static size_t count_others(const struct backend_list *list, const struct backend_list *other)
{
    CLEANUP(freep) const struct backend **backends = sorted(other);
    size_t others = 0;

    for (size_t i = 0; i < list->len; i++) {
        if (!bsearch(&list->items[i].backend, backends, other->len, sizeof(*backends), cmp_backend))
            others++;
    }
    return others;
}

static void compare_lists(struct diff *diff, const struct service_port *now,
                          const struct service_port *then)
{
    struct buf left = BUFFER_INIT(64), right = BUFFER_INIT(64);
    size_t others = now && then ? count_others(&then->list, &now->list) : 0;

    if (now)
        buf_printf(&left, "%zu", now->list.len);
    if (then)
        buf_printf(&right, "%zu", then->list.len);
    if (others > 0)
        buf_printf(&right, " (%zu new)", others);
    add_change(diff, "endpoints", buf_str(&left), buf_str(&right));
    buf_done(&left);
    buf_done(&right);
}

static const struct service_port *find_number(const struct service *service, uint16_t number)
{
    for (size_t i = 0; service && i < service->ports_len; i++) {
        if (service->ports[i].number == number)
            return &service->ports[i];
    }
    return NULL;
}

/* `number` 0: of a Service that has no ports of its own. */
static void compare_port(struct diff *diff, const struct pair_of *pair, uint16_t number)
{
    const struct service_port *now = find_number(pair->now, number);
    const struct service_port *then = find_number(pair->then, number);

    begin_port(diff, number, then ? then->name : now ? now->name : STR(""));
    compare_routes(diff, pair, number);
    compare_lists(diff, now, then);
    compare_fields(diff, route_policy(pair->now, now, number),
                   route_policy(pair->then, then, number));
    end_port(diff);
}

static bool is_named(const struct service_port *port)
{
    return port->origin != PORT_PODS && port->number != 0;
}

static void compare_ports(struct diff *diff, const struct pair_of *pair)
{
    const struct service *now = pair->now, *then = pair->then;
    size_t len = 0;

    for (size_t i = 0; then && i < then->ports_len; i++) {
        if (!is_named(&then->ports[i]))
            continue;
        compare_port(diff, pair, then->ports[i].number);
        len++;
    }
    for (size_t i = 0; now && i < now->ports_len; i++) {
        if (!is_named(&now->ports[i]) || find_number(then, now->ports[i].number))
            continue;
        compare_port(diff, pair, now->ports[i].number);
        len++;
    }
    if (len == 0)
        compare_port(diff, pair, 0);
}

/* ---- Services ---- */

static void compare_service(struct diff *diff, const struct pair_of *pair)
{
    diff->service = pair->then ? pair->then : pair->now;
    diff->service_open = false;
    begin_port(diff, 0, STR(""));
    if (!pair->now || !pair->then) {
        add_change(diff, "published", pair->now ? STR("yes") : STR("no"),
                   pair->then ? STR("yes") : STR("no"));
    } else {
        add_change(diff, "type", str_of(service_type_name(pair->now->type)),
                   str_of(service_type_name(pair->then->type)));
        add_change(diff, "externalName", pair->now->external_name, pair->then->external_name);
    }
    end_port(diff);
    compare_ports(diff, pair);
    if (!diff->service_open)
        return;
    json_close_array(diff->writer);
    json_close_object(diff->writer);
}

static void keep_pair(void *ctx, const struct service *now, const struct service *then)
{
    struct diff *diff = ctx;

    diff->pairs = xgrow(diff->pairs, &diff->cap, diff->len, sizeof(*diff->pairs));
    diff->pairs[diff->len++] = (struct pair_of){now, then};
}

static int cmp_pair(const void *a, const void *b)
{
    const struct pair_of *left = a, *right = b;
    const struct service *one = left->then ? left->then : left->now;
    const struct service *other = right->then ? right->then : right->now;
    int order = str_cmp(one->namespace_name, other->namespace_name);

    return order != 0 ? order : str_cmp(one->name, other->name);
}

static void add_host(void *ctx, struct str host)
{
    struct diff *diff = ctx;

    diff->changes++;
    json_open_object(diff->writer, NULL);
    json_put_str(diff->writer, "host", host);
    json_put_str(diff->writer, "now", catalog_host(diff->now, host));
    json_put_str(diff->writer, "then", catalog_host(diff->then, host));
    json_close_object(diff->writer);
}

void preview_write_diff(const struct catalog *now, const struct catalog *then,
                        struct json_writer *writer)
{
    struct diff diff = {.now = now, .then = then, .writer = writer};

    catalog_diff(now, then, keep_pair, &diff);
    if (diff.len > 1)
        qsort(diff.pairs, diff.len, sizeof(*diff.pairs), cmp_pair);
    json_open_array(writer, "services");
    for (size_t i = 0; i < diff.len; i++)
        compare_service(&diff, &diff.pairs[i]);
    json_close_array(writer);
    json_open_array(writer, "hosts");
    catalog_diff_hosts(now, then, add_host, &diff);
    json_close_array(writer);
    json_put_u64(writer, "changes", diff.changes);
    free(diff.pairs);
}
