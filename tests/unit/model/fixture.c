#include "fixture.h"

#include "base/buf.h"

uint64_t text_now_us = 1;

void text_wire(struct buf *out, const struct endpoint *endpoint, uint16_t port)
{
    buf_printf(out, "%" STR_FMT ":%u;", STR_ARG(endpoint->address), (unsigned)port);
}

static struct str next_word(struct str *rest)
{
    struct str word = STR("");

    while (rest->ptr && word.len == 0)
        word = str_cut(rest, ' ');
    return word;
}

static enum protocol cut_protocol(struct str *word)
{
    if (!str_starts_with(*word, STR("udp:")))
        return PROTOCOL_TCP;
    *word = str_slice(*word, 4, word->len);
    return PROTOCOL_UDP;
}

static uint16_t number_of(struct str text)
{
    uint64_t number = 0;

    cr_assert(text.len == 0 || str_to_u64(text, UINT16_MAX, &number));
    return (uint16_t)number;
}

static void add_ports(struct slice_builder *builder, const char *text)
{
    struct str rest = str_of(text);

    for (struct str word = next_word(&rest); word.len > 0; word = next_word(&rest)) {
        struct slice_port port = {.protocol = cut_protocol(&word)};

        port.name = str_cut(&word, '=');
        port.number = number_of(str_cut(&word, '!'));
        port.app_protocol = word;
        cr_assert_eq(slice_add_port(builder, &port, NULL), CODE_OK);
    }
}

/* Cuts what stands behind `mark`, up to the next mark. */
static struct str cut_mark(struct str word, char mark)
{
    size_t from = str_find(word, mark), to;

    if (from == word.len)
        return STR("");
    for (to = ++from; to < word.len && !memchr("@%#~^", word.ptr[to], 5);)
        to++;
    return str_slice(word, from, to);
}

static size_t cut_hints(struct str word, char mark, struct str *hints)
{
    struct str rest = cut_mark(word, mark);
    size_t len = 0;

    while (rest.len > 0) {
        cr_assert_lt(len, ENDPOINT_HINTS_MAX);
        hints[len++] = str_cut(&rest, ',');
    }
    return len;
}

static void add_endpoints(struct slice_builder *builder, const char *text)
{
    struct str rest = str_of(text);

    for (struct str word = next_word(&rest); word.len > 0; word = next_word(&rest)) {
        struct str zones[ENDPOINT_HINTS_MAX], nodes[ENDPOINT_HINTS_MAX];
        struct str place = str_cut(&word, '/');
        struct endpoint endpoint = {
            .zone = cut_mark(place, '@'),
            .node = cut_mark(place, '%'),
            .uid = cut_mark(place, '#'),
            .zone_hints = zones,
            .zone_hints_len = cut_hints(place, '~', zones),
            .node_hints = nodes,
            .node_hints_len = cut_hints(place, '^', nodes),
        };
        char state = word.len > 0 ? word.ptr[0] : 'r';
        struct err err = {0};
        size_t len = 0;

        while (len < place.len && !memchr("@%#~^", place.ptr[len], 5))
            len++;
        endpoint.address = str_slice(place, 0, len);
        endpoint.ready = state == 'r';
        endpoint.serving = state != 't';
        endpoint.terminating = state == 'd' || state == 't';
        cr_assert_eq(slice_add_endpoint(builder, &endpoint, &err), CODE_OK, "%s", err.msg);
    }
}

const struct slice *make_slice(const struct slice_text *text)
{
    struct slice_spec spec = {
        .namespace_name = STR("shop"),
        .name = str_of(text->name),
        .service = STR("greeter"),
        .owner_uid = str_of(text->owner_uid),
        .resource_version = text->resource_version,
        .family = text->family ? text->family : FAMILY_IPV4,
    };
    struct slice_builder *builder = slice_builder_new(&spec);

    add_ports(builder, text->ports);
    add_endpoints(builder, text->endpoints);
    return slice_finish(builder, text_wire);
}

const struct service *make_service(const struct service_text *text, const struct slice **slices,
                                   size_t slices_len)
{
    struct service_spec_port ports[16];
    struct service_spec spec = {
        .namespace_name = STR("shop"),
        .name = text->name ? str_of(text->name) : STR("greeter"),
        .uid = str_of(text->uid),
        .type = text->type,
        .external_name = str_of(text->external_name),
        .prefers = text->prefers,
        .local = text->local,
        .policy = text->policy,
        .ports = ports,
        .received_us = 1,
        .now_us = text_now_us,
    };
    struct str rest = str_of(text->ports);
    const struct service *service;

    for (struct str word = next_word(&rest); word.len > 0; word = next_word(&rest)) {
        struct service_spec_port port = {.protocol = cut_protocol(&word)};

        port.name = str_cut(&word, '=');
        port.number = number_of(str_cut(&word, '!'));
        port.app_protocol = word.ptr ? word : STR("");
        cr_assert_lt(spec.ports_len, ARRAY_LEN(ports));
        ports[spec.ports_len++] = port;
    }
    service = service_new(&spec, slices, slices_len, text->before);
    for (size_t i = 0; i < slices_len; i++)
        slice_unref(slices[i]);
    return service;
}

static void put_backend(struct buf *text, const struct backend *backend)
{
    buf_printf(text,
               backend->endpoint->family == FAMILY_IPV6 ? "[%" STR_FMT "]:%u" : "%" STR_FMT ":%u",
               STR_ARG(backend->endpoint->address), (unsigned)backend->port);
}

const char *backends_text(const struct backend_list *list)
{
    static struct buf text = BUFFER_INIT(1 << 20);
    size_t at = 0;

    buf_reset(&text);
    for (size_t i = 0; i < list->localities_len; i++) {
        const struct locality *locality = &list->localities[i];

        cr_assert_eq(locality->first, at, "localities lie next to each other");
        cr_assert_gt(locality->len, 0);
        for (at = locality->first; at < locality->first + locality->len; at++) {
            const struct listed *item = &list->items[at];

            cr_assert(!locality->zone.len || str_eq(item->zone, locality->zone));
            buf_printf(&text, "%s", at > locality->first ? "," : i > 0 ? " | " : "");
            put_backend(&text, item->backend);
            if (item->other) {
                buf_add_char(&text, '+');
                put_backend(&text, item->other);
            }
        }
        if (locality->zone.len > 0)
            buf_printf(&text, "@%" STR_FMT, STR_ARG(locality->zone));
        if (locality->sub_zone.len > 0)
            buf_printf(&text, "%%%" STR_FMT, STR_ARG(locality->sub_zone));
        if (locality->priority > 0)
            buf_printf(&text, "!%u", locality->priority);
    }
    cr_assert_eq(at, list->len, "every backend stands in a locality");
    return buf_cstr(&text);
}

const char *list_text(const struct service_port *port)
{
    return backends_text(&port->list);
}

const char *place_text(const struct service_port *port, const struct place *place)
{
    struct view view = view_of(port, place);
    struct backend_list list;
    struct arena arena = {0};
    const char *text;

    view_list(port, &view, &arena, &list);
    text = backends_text(&list);
    arena_done(&arena);
    return text;
}

const char *view_text(const struct service_port *port, const char *zone, const char *node)
{
    return place_text(port, &(struct place){.zone = str_of(zone), .node = str_of(node)});
}

const struct service_port *port_of(const struct service *service, uint16_t number)
{
    for (size_t i = 0; i < service->ports_len; i++) {
        if (service->ports[i].number == number)
            return &service->ports[i];
    }
    cr_assert_fail("no port %u", (unsigned)number);
    return NULL;
}

const struct service *carry_emptied(const struct service *before, const struct service *after)
{
    struct service_keep keep[16];

    cr_assert_leq(before->ports_len, ARRAY_LEN(keep));
    for (size_t i = 0; i < before->ports_len; i++)
        keep[i] = (struct service_keep){.stays = service_empties(&before->ports[i], after)};
    return service_carry(before, after, keep, text_now_us);
}
