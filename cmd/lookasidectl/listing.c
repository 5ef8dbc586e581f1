#include "listing.h"

#include "base/utf8.h"
#include "command.h"
#include "model/arena.h"
#include "model/view.h"

#define FIELD_MAX 253
#define ENTRY_MAX (4 * 6 * FIELD_MAX + 256) /* four texts, escaped, and what is around them */
#define DIFFERENCE_MAX (2 * ENTRY_MAX + 64)

/* ---- entries ---- */

struct fields {
    struct str address, pod, node, other;
    unsigned port, other_port;
    bool draining;
};

static void add_text(struct buf *out, struct str text)
{
    text_show(out, utf8_cut(text, FIELD_MAX));
}

static void add_address(struct buf *out, struct str address, unsigned port)
{
    bool v6 = str_find(address, ':') < address.len;

    buf_add_str(out, v6 ? STR("[") : STR(""));
    add_text(out, address);
    buf_printf(out, "%s:%u", v6 ? "]" : "", port);
}

static void add_named(struct buf *out, const char *name, struct str text)
{
    if (text.len == 0)
        return;
    buf_printf(out, "%s ", name);
    add_text(out, text);
    buf_add_str(out, STR(", "));
}

static void listing_add(struct listing *listing, const struct fields *fields)
{
    struct buf text = BUFFER_INIT(ENTRY_MAX);
    struct listing_entry *entry;
    size_t detail;

    add_address(&text, fields->address, fields->port);
    buf_add_char(&text, '\0');
    detail = text.len;
    add_named(&text, "pod", fields->pod);
    add_named(&text, "node", fields->node);
    if (fields->draining)
        buf_add_str(&text, STR("draining, "));
    if (fields->other.len) {
        buf_add_str(&text, STR("also "));
        add_address(&text, fields->other, fields->other_port);
        buf_add_str(&text, STR(", "));
    }
    if (text.len > detail)
        text.len -= 2; /* the last comma */
    listing->items = xgrow(listing->items, &listing->cap, listing->len, sizeof(*listing->items));
    entry = &listing->items[listing->len++];
    entry->address = buf_take(&text, NULL);
    entry->detail = entry->address + detail;
}

/* 10.0.0.9 before 10.0.0.10. */
static int by_address(const void *a, const void *b)
{
    const struct listing_entry *left = a, *right = b;

    return strverscmp(left->address, right->address);
}

static void listing_sort(struct listing *listing)
{
    if (listing->len)
        qsort(listing->items, listing->len, sizeof(*listing->items), by_address);
}

/* ---- both opinions ---- */

static void add_backends(struct listing *listing, const struct service_port *port, uint16_t asked,
                         const struct place *place)
{
    const struct view view = view_of(port, place);
    struct arena arena = {0};
    struct backend_list list;

    view_list(port, &view, &arena, &list);
    for (size_t i = 0; i < list.len; i++) {
        const struct backend *backend = list.items[i].backend, *other = list.items[i].other;

        listing_add(listing, &(struct fields){
                                 .address = backend->endpoint->address,
                                 .port = backend->port ? backend->port : asked,
                                 .pod = backend->endpoint->pod,
                                 .node = backend->endpoint->node,
                                 .draining = backend_is_draining(backend),
                                 .other = other ? other->endpoint->address : STR(""),
                                 .other_port = !other        ? 0
                                               : other->port ? other->port
                                                             : asked,
                             });
    }
    arena_done(&arena);
}

void listing_by_rules(struct listing *listing, const struct catalog *catalog,
                      struct str namespace_name, struct str service, uint16_t port,
                      const struct place *place)
{
    const struct service *found = catalog_find(catalog, namespace_name, service);
    const struct port_ref ref = {.kind = PORT_NUMBER, .number = port};
    struct place known = *place;
    const struct service_port *meant;
    const char *reason;

    *listing = (struct listing){0};
    if (!found)
        return;
    if (known.zone.len == 0 && known.node.len > 0)
        known.zone = catalog_node_zone(catalog, known.node);
    if (found->type == SERVICE_EXTERNAL_NAME) {
        if (service_external_target(found, &ref, &port, &reason))
            listing_add(listing, &(struct fields){.address = found->external_name, .port = port});
        return;
    }
    meant = service_find_port(found, &ref, &reason);
    if (meant)
        add_backends(listing, meant, port, &known);
    listing_sort(listing);
}

void listing_as_sent(struct listing *listing, const watch_response *response)
{
    *listing = (struct listing){0};
    for (size_t i = 0; i < response->n_backends; i++) {
        const watch_backend *backend = response->backends[i];

        listing_add(listing, &(struct fields){
                                 .address = str_of(backend->address),
                                 .port = backend->port,
                                 .pod = str_of(backend->pod),
                                 .node = str_of(backend->node),
                                 .draining = is_draining(backend),
                                 .other = str_of(backend->other_address),
                                 .other_port = backend->other_port,
                             });
    }
    listing_sort(listing);
}

bool listing_equal(const struct listing *a, const struct listing *b)
{
    if (a->len != b->len)
        return false;
    for (size_t i = 0; i < a->len; i++)
        if (strcmp(a->items[i].address, b->items[i].address) != 0 ||
            strcmp(a->items[i].detail, b->items[i].detail) != 0)
            return false;
    return true;
}

void listing_done(struct listing *listing)
{
    for (size_t i = 0; i < listing->len; i++)
        free(listing->items[i].address);
    free(listing->items);
    *listing = (struct listing){0};
}

/* ---- differences ---- */

static const char *shown(const char *detail)
{
    return *detail ? detail : "nothing";
}

/* Of two entries in step; NULL: that list has none here. */
static void describe(struct buf *text, const struct listing_entry *ruled,
                     const struct listing_entry *sent)
{
    const struct listing_entry *one = ruled ? ruled : sent;

    buf_printf(text, "%s %s",
               !sent    ? "missing"
               : !ruled ? "unexpected"
                        : "differing",
               one->address);
    if (ruled && sent)
        buf_printf(text, " (says %s; should say %s)", shown(sent->detail), shown(ruled->detail));
    else if (*one->detail)
        buf_printf(text, " (%s)", one->detail);
}

size_t listing_differences(const struct listing *ruled, const struct listing *sent,
                           void (*visit)(void *ctx, const char *text), void *ctx)
{
    size_t i = 0, j = 0, count = 0;

    while (i < ruled->len || j < sent->len) {
        int order = i == ruled->len  ? 1
                    : j == sent->len ? -1
                                     : by_address(&ruled->items[i], &sent->items[j]);
        const struct listing_entry *left = order <= 0 ? &ruled->items[i++] : NULL;
        const struct listing_entry *right = order >= 0 ? &sent->items[j++] : NULL;
        struct buf text = BUFFER_INIT(DIFFERENCE_MAX);

        if (left && right && strcmp(left->detail, right->detail) == 0)
            continue;
        if (count++ < LISTING_DIFFERENCES_MAX) {
            describe(&text, left, right);
            visit(ctx, buf_cstr(&text));
            buf_done(&text);
        }
    }
    return count;
}
