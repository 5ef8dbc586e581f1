/*
 * One publisher makes version after version of a catalog; readers take them out of one-slot mailboxes,
 * compare, look services up, keep some for a while, and drop references in any order: no reader sees
 * half a version, and memory goes when, and only when, the last reference does.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "model/catalog.h"

#define READERS 3
#define VERSIONS 4000
#define SERVICES 200
#define KEPT 8

struct reader {
    pthread_t thread;
    _Atomic(const struct catalog *) slot;
    const struct catalog *current;
    const struct service *kept[KEPT];
    size_t diffs, seen;
};

static struct reader readers[READERS];
static atomic_bool done;
static atomic_bool failed;

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "race-catalog: %s\n", what);
    atomic_store(&failed, true);
}

static void service_name(size_t index, char name[32])
{
    snprintf(name, 32, "service-%zu", index);
}

/* ---- the publisher ---- */

static void wire(struct buf *out, const struct endpoint *endpoint, uint16_t port)
{
    buf_printf(out, "%" STR_FMT ":%u", STR_ARG(endpoint->address), (unsigned)port);
}

/* Every endpoint's zone says the version: a reader would see a mixture as one zone too many. */
static const struct slice *make_slice(const char *service, size_t version, size_t part)
{
    char zone[32], name[64];
    struct slice_spec spec = {.namespace_name = STR("shop"),
                              .service = str_of(service),
                              .resource_version = version,
                              .family = FAMILY_IPV4};
    struct slice_port port = {.name = STR(""), .number = 9001};
    struct slice_builder *builder;

    snprintf(name, sizeof(name), "%s-%zu", service, part);
    spec.name = str_of(name);
    builder = slice_builder_new(&spec);
    snprintf(zone, sizeof(zone), "version-%zu", version);
    check(slice_add_port(builder, &port, NULL) == CODE_OK, "a port is refused");
    for (size_t i = 0; i < 3; i++) {
        char address[32];
        struct endpoint endpoint = {.ready = true, .serving = true, .zone = str_of(zone)};

        snprintf(address, sizeof(address), "10.0.%zu.%zu", part, i + 1);
        endpoint.address = str_of(address);
        check(slice_add_endpoint(builder, &endpoint, NULL) == CODE_OK, "an endpoint is refused");
    }
    return slice_finish(builder, wire);
}

/* `shared` is a slice of version 0 that many services refer to. */
static const struct service *make_service(const char *name, size_t version,
                                          const struct slice *shared)
{
    struct service_spec_port port = {.number = 8001};
    struct service_spec spec = {.namespace_name = STR("shop"),
                                .name = str_of(name),
                                .ports = &port,
                                .ports_len = 1,
                                .received_us = version};
    const struct slice *slices[] = {make_slice(name, version, 0), shared};
    const struct service *service = service_new(&spec, slices, ARRAY_LEN(slices), NULL);

    slice_unref(slices[0]);
    return service;
}

static const struct catalog *next_version(const struct catalog *base, size_t version,
                                          const struct slice *shared)
{
    struct catalog_edit *edit = catalog_edit_new(base);

    for (size_t i = 0; i < 3; i++) {
        char name[32];

        service_name((version * 7 + i * 31) % SERVICES, name);
        if ((version + i) % 5 == 0)
            catalog_remove(edit, STR("shop"), str_of(name));
        else
            catalog_put(edit, make_service(name, version, shared));
    }
    catalog_unref(base);
    return catalog_edit_finish(edit);
}

static void publish(const struct catalog *catalog)
{
    for (size_t i = 0; i < READERS; i++)
        catalog_unref(atomic_exchange(&readers[i].slot, catalog_ref(catalog)));
}

/* ---- a reader ---- */

static void check_service(const struct service *service)
{
    const struct backend_list *list = &service->ports[0].list;

    check(list->len == 6 && list->localities_len == 2, "a service is a mixture");
    for (size_t i = 0; i < list->len; i++) {
        uint64_t version = list->items[i].backend->slice->resource_version;

        check(list->items[i].backend->wire.len > 0, "a backend has no bytes");
        check(version == 0 || version == service->received_us, "a backend is of another version");
    }
}

static void on_diff(void *ctx, const struct service *before, const struct service *after)
{
    struct reader *reader = ctx;
    size_t slot = reader->diffs++ % KEPT;

    if (before)
        check_service(before);
    if (!after)
        return;
    check_service(after);
    /* Outlives its catalog, as a stream's last answer does. */
    service_unref(reader->kept[slot]);
    reader->kept[slot] = service_ref(after);
}

static void look_up(struct reader *reader)
{
    for (size_t i = 0; i < 8; i++) {
        char name[32];
        const struct service *service;

        service_name((reader->seen * 13 + i * 17) % SERVICES, name);
        service = catalog_find(reader->current, STR("shop"), str_of(name));
        if (service)
            check_service(service);
    }
}

static bool take(struct reader *reader)
{
    const struct catalog *next = atomic_exchange(&reader->slot, NULL);

    if (!next)
        return false;
    check(!reader->current || catalog_generation(next) > catalog_generation(reader->current),
          "a version goes backwards");
    catalog_diff(reader->current, next, on_diff, reader);
    catalog_unref(reader->current);
    reader->current = next;
    reader->seen++;
    look_up(reader);
    return true;
}

static void *read_all(void *ctx)
{
    struct reader *reader = ctx;
    bool last = false;

    for (;;) {
        if (take(reader))
            continue;
        if (last)
            break;
        last = atomic_load(&done); /* then the slot once more */
        sched_yield();
    }
    for (size_t i = 0; i < KEPT; i++) {
        if (reader->kept[i])
            check_service(reader->kept[i]);
        service_unref(reader->kept[i]);
    }
    return NULL;
}

int main(void)
{
    const struct catalog *catalog = catalog_new_empty();
    const struct slice *shared = make_slice("shared", 0, 1);
    size_t seen = 0;

    for (size_t i = 0; i < READERS; i++) {
        if (pthread_create(&readers[i].thread, NULL, read_all, &readers[i]) != 0)
            return 1;
    }
    for (size_t version = 1; version <= VERSIONS; version++) {
        catalog = next_version(catalog, version, shared);
        publish(catalog);
        if (version % 50 == 0) {
            slice_unref(shared);
            shared = make_slice("shared", 0, 1);
        }
    }
    atomic_store(&done, true);
    for (size_t i = 0; i < READERS; i++) {
        pthread_join(readers[i].thread, NULL);
        check(readers[i].current == catalog, "a reader misses the newest version");
        catalog_unref(readers[i].current);
        seen += readers[i].seen;
    }
    check(catalog_generation(catalog) > VERSIONS / 2, "few versions were made");
    catalog_unref(catalog);
    slice_unref(shared);
    printf("race-catalog: %zu versions seen by %d readers\n", seen, READERS);
    return atomic_load(&failed) ? 1 : 0;
}
