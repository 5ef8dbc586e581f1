/*
 * Versions of a Service, and what holds carry from one to the next: lists obey the rules, zones stay with their endpoints, and versions
 * that count as equal are so for a client at any place.
 *
 * Every byte of the input is a small choice, out of so few addresses, pods, zones and nodes that all of them meet. The first two say how many
 * versions there are, and whether they are made of different bytes or of the same ones, of which one is changed each time.
 */
#include "encode/native.h"
#include "encode/xds.h"
#include "service_rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SLICES_MAX 6
#define ENDPOINTS_MAX 8
#define PORTS_MAX 32 /* that versions can have, those that are gone too */
#define ASKED_PORT 9000

static const char *const texts[] = {"", "a", "b", "c"};
static const char *const nodes[] = {"", "n1", "n2", "n3"};
/* That clients ask for: the Service's, the slices', nobody's. */
static const uint16_t numbers[] = {80, 81, 9000, 9001, 9002, 7000};

struct input {
    const uint8_t *at, *end;
};

static unsigned pick(struct input *input, unsigned choices)
{
    return input->at < input->end ? *input->at++ % choices : 0;
}

/* ---- what goes in ---- */

static size_t pick_hints(struct input *input, const char *const *names, struct str hints[2])
{
    unsigned choice = pick(input, 8); /* most have one */

    hints[0] = str_of(names[1 + choice % 3]);
    hints[1] = str_of(names[1 + (choice + 1) % 3]);
    return choice == 0 ? 0 : choice > 5 ? 2 : 1;
}

static void add_endpoint(struct input *input, enum address_family family,
                         struct slice_builder *builder)
{
    struct str zones[2], hints[2];
    unsigned state = pick(input, 8);
    char address[32];
    struct endpoint endpoint = {
        .ready = state < 4,
        .serving = state != 6,
        .terminating = state == 4 || state == 5 || state == 6,
        .zone = str_of(texts[pick(input, 4)]),
        .node = str_of(nodes[pick(input, 4)]),
        .uid = str_of(texts[pick(input, 4)]),
        .zone_hints = zones,
        .zone_hints_len = pick_hints(input, texts, zones),
        .node_hints = hints,
        .node_hints_len = pick_hints(input, nodes, hints),
    };

    snprintf(address, sizeof(address), family == FAMILY_IPV4 ? "10.0.0.%u" : "fd00::%u",
             1 + pick(input, 5));
    endpoint.address = str_of(address);
    must_hold(slice_add_endpoint(builder, &endpoint, NULL) == CODE_OK);
}

static const struct slice *make_slice(struct input *input)
{
    static const char *const names[] = {"s1", "s2", "s3", "s4"};
    struct slice_spec spec = {
        .namespace_name = STR("shop"),
        .name = str_of(names[pick(input, 4)]),
        .service = STR("greeter"),
        .owner_uid = str_of(texts[pick(input, 3)]),
        .resource_version = pick(input, 3),
        .family = pick(input, 2) ? FAMILY_IPV6 : FAMILY_IPV4,
    };
    struct slice_builder *builder = slice_builder_new(&spec);

    for (unsigned i = pick(input, 3); i > 0; i--) {
        struct slice_port port = {.name = str_of(texts[pick(input, 3)]),
                                  .number = (uint16_t)(9000 + pick(input, 3)),
                                  .protocol = pick(input, 5) ? PROTOCOL_TCP : PROTOCOL_UDP};

        must_hold(slice_add_port(builder, &port, NULL) == CODE_OK);
    }
    for (unsigned i = pick(input, ENDPOINTS_MAX + 1); i > 0; i--)
        add_endpoint(input, spec.family, builder);
    return slice_finish(builder, encode_backend);
}

/* Half of them say nothing. */
static const struct policy *make_policy(struct input *input)
{
    struct policy fields = *policy_default();
    bool any = pick(input, 2);

    fields.locality = (enum locality_mode)pick(input, LOCALITY_MODES);
    fields.minimum_per_zone = 1 + pick(input, 3);
    fields.none_ready = (enum none_ready)pick(input, NONE_READY_KINDS);
    fields.subset_size = pick(input, 4);
    fields.lb = pick(input, 4) == 3 ? LB_RING_HASH : LB_ROUND_ROBIN;
    fields.port = pick(input, 4) == 3 ? (struct port_ref){PORT_NUMBER, 80, STR("")}
                                      : (struct port_ref){0};
    return any ? policy_new(&fields) : policy_ref(policy_default());
}

/* Of the version that is made. */
static uint64_t now_us;

static const struct service *make_service(struct input *input, const struct service *before)
{
    struct service_spec_port ports[2];
    const struct slice *slices[SLICES_MAX];
    size_t len = pick(input, SLICES_MAX + 1);
    struct service_spec spec = {
        .namespace_name = STR("shop"),
        .name = STR("greeter"),
        .uid = str_of(texts[pick(input, 3)]),
        .type = pick(input, 8) == 7 ? SERVICE_EXTERNAL_NAME : (enum service_type)pick(input, 2),
        .external_name = STR("example.com"),
        .prefers = (enum address_family[]){0, FAMILY_IPV4, FAMILY_IPV6}[pick(input, 3)],
        .local = pick(input, 4) == 3,
        .ports_len = pick(input, 3),
        .ports = ports,
    };
    const struct service *service;

    /* No two have the same name or number. */
    for (size_t i = 0, first = pick(input, 6); i < spec.ports_len; i++)
        ports[i] = (struct service_spec_port){.name = str_of(texts[(first + i) % 3]),
                                              .number = (uint16_t)(80 + (first + i) % 2)};
    for (size_t i = 0; i < len; i++)
        slices[i] = make_slice(input);
    spec.policy = make_policy(input);
    spec.now_us = now_us += 1 + (uint64_t)pick(input, 5) * 10 * 1000 * 1000;
    service = service_new(&spec, slices, len, before);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        rules_check_number(service, &spec, slices, len, numbers[i]);
    for (size_t i = 0; i < len; i++)
        slice_unref(slices[i]);
    policy_unref(spec.policy);
    return service;
}

/* ---- what must hold between versions ---- */

static const struct service_port *port_of(const struct service *service, uint16_t number)
{
    for (size_t i = 0; i < service->ports_len; i++)
        if (service->ports[i].number == number)
            return &service->ports[i];
    return NULL;
}

/* The port that lists of this number came from: its own, or that of numbers which nobody names. */
static const struct service_port *earlier_port(const struct service *before,
                                               const struct service_port *port)
{
    const struct service_port *found = port_of(before, port->number);

    return found ? found : port_of(before, 0);
}

/* The same address and port as clients of `number` have it; NULL: it was not there. */
static const struct listed *earlier_item(const struct service_port *earlier,
                                         const struct backend *backend, uint16_t number)
{
    for (size_t i = 0; earlier && i < earlier->all_len; i++) {
        const struct backend *other = earlier->all[i].backend;

        if (rules_same_host(other->endpoint, backend->endpoint) &&
            (other->port ? other->port : number) == (backend->port ? backend->port : number))
            return &earlier->all[i];
    }
    return NULL;
}

static void check_zones(const struct service *before, const struct service *after)
{
    for (size_t i = 0; i < after->ports_len; i++) {
        const struct service_port *port = &after->ports[i];
        const struct service_port *earlier = earlier_port(before, port);

        for (size_t k = 0; k < port->all_len; k++) {
            const struct backend *backend = port->all[k].backend;
            const struct listed *known = earlier_item(earlier, backend, port->number);
            bool lives_on = known && str_eq(known->backend->endpoint->uid, backend->endpoint->uid);

            must_hold(str_eq(port->all[k].zone, lives_on ? known->zone : backend->endpoint->zone));
        }
    }
}

/* A zone waits from when it is no longer preferred until it has had enough for as long. */
static bool should_wait(const struct service_port *before, const struct service_port *port,
                        struct str zone)
{
    const struct zone_wait *wait = rules_wait(before, zone);

    if (!rules_has_enough(port, zone))
        return wait || rules_is_near(before, zone);
    return wait && !(wait->enough && now_us - wait->since_us >= ZONE_WAIT_US);
}

static void check_waits(const struct service *before, const struct service *after)
{
    for (size_t i = 0; i < after->ports_len; i++) {
        const struct service_port *port = &after->ports[i];
        const struct service_port *earlier = earlier_port(before, port);
        bool may = earlier && rules_prefers(port) && rules_prefers(earlier);

        for (size_t k = 0; k < ARRAY_LEN(texts); k++) {
            struct str zone = str_of(texts[k]);
            const struct zone_wait *wait = rules_wait(port, zone);

            must_hold((wait != NULL) == (may && should_wait(earlier, port, zone)));
            must_hold(!wait || wait->enough == rules_has_enough(port, zone));
            must_hold(!wait || !wait->enough ||
                      (after->due_us > now_us && after->due_us <= wait->since_us + ZONE_WAIT_US));
        }
    }
}

static void check_same_bytes(const struct service_port *a, const struct service_port *b,
                             const struct place *place)
{
    const struct service_port *ports[] = {a, b};
    uint64_t versions[2];
    struct blob *assignments[2];

    for (size_t i = 0; i < 2; i++) {
        struct view view = view_of(ports[i], place);
        struct arena arena = {0};
        struct backend_list list;

        view_list(ports[i], &view, &arena, &list);
        blob_unref(encode_native_list(&list, ASKED_PORT, STR(""), &versions[i]));
        assignments[i] = encode_assignment(STR("x"), &list, ASKED_PORT, STR(""));
        arena_done(&arena);
    }
    must_hold(versions[0] == versions[1]);
    must_hold(str_eq(blob_str(assignments[0]), blob_str(assignments[1])));
    blob_unref(assignments[0]);
    blob_unref(assignments[1]);
}

/* Equal both ways, and then the same for everybody. */
static void check_equality(const struct service *a, const struct service *b)
{
    bool equal = service_equal(a, b);

    must_hold(service_equal(a, a) && equal == service_equal(b, a));
    for (size_t i = 0; equal && i < a->ports_len; i++) {
        for (size_t k = 0; k < ARRAY_LEN(rules_places); k++)
            check_same_bytes(&a->ports[i], &b->ports[i], &rules_places[k]);
    }
}

/* Every list that would be emptied stays. */
static const struct service *carry(const struct service *before, const struct service *after)
{
    struct service_keep keep[PORTS_MAX];

    must_hold(before->ports_len <= PORTS_MAX);
    for (size_t i = 0; i < before->ports_len; i++)
        keep[i] = (struct service_keep){.stays = service_empties(&before->ports[i], after)};
    return service_carry(before, after, keep, now_us);
}

static void check_carried(const struct service *before, const struct service *after)
{
    const struct service *carried = carry(before, after);
    const struct service *again = carry(carried, after);

    rules_check_service(carried);
    /* Another policy may list nothing of what is kept. */
    if (policy_same_spec(before->policy, after->policy)) {
        for (size_t i = 0; i < before->ports_len; i++)
            must_hold(!service_empties(&before->ports[i], carried));
        must_hold(service_equal(carried, again));
    }
    check_equality(carried, after);
    service_unref(carried);
    service_unref(again);
}

/* `before` is NULL for the first one. */
static void check_version(const struct service *before, const struct service *after)
{
    rules_check_service(after);
    if (!before)
        return;
    check_zones(before, after);
    check_waits(before, after);
    check_equality(before, after);
    check_carried(before, after);
}

/* What is published: some versions with lists of the one before. Takes over both references. */
static const struct service *publish(const struct service *before, const struct service *after,
                                     bool hold)
{
    const struct service *published = before && hold ? carry(before, after) : service_ref(after);

    service_unref(before);
    service_unref(after);
    rules_check_service(published); /* on its own */
    return published;
}

#define VERSIONS_MAX 16

/* Changes one of `len` bytes. */
static void patch(struct input *choices, uint8_t *bytes, size_t len)
{
    size_t at = pick(choices, 256) * 256 + pick(choices, 256);

    if (len > 0)
        bytes[at % len] = (uint8_t)pick(choices, 256);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input choices = {data, data + size};
    bool alike = pick(&choices, 8) != 0;
    unsigned versions = 1 + pick(&choices, VERSIONS_MAX);
    size_t head = min_size(size, 2 + (alike ? 3 * versions : 0));
    CLEANUP(freep) uint8_t *bytes = xmalloc(size - head + 1);
    struct input input = {bytes, bytes + size - head};
    const struct service *last = NULL;

    if (size > head)
        memcpy(bytes, data + head, size - head);
    for (unsigned i = 0; i < versions; i++) {
        const struct service *next = make_service(&input, last);

        check_version(last, next);
        last = publish(last, next, i % 3 == 1);
        if (!alike)
            continue;
        patch(&choices, bytes, size - head);
        input.at = bytes;
    }
    service_unref(last);
    return 0;
}
