/* What large Services cost. */
#include "fixture.h"

#include <time.h>

#define BIG_SLICES 100
#define BIG_ENDPOINTS 100

static const struct slice *big_slice(size_t index, size_t zones)
{
    char name[32];
    struct slice_spec spec = {
        .namespace_name = STR("shop"), .service = STR("greeter"), .family = FAMILY_IPV4};
    struct slice_builder *builder;
    struct slice_port port = {.name = STR("grpc"), .number = 9001};

    snprintf(name, sizeof(name), "greeter-%zu", index);
    spec.name = str_of(name);
    builder = slice_builder_new(&spec);
    cr_assert_eq(slice_add_port(builder, &port, NULL), CODE_OK);
    for (size_t i = 0; i < BIG_ENDPOINTS; i++) {
        size_t number = (i * BIG_SLICES + index) * 7919 % (BIG_SLICES * BIG_ENDPOINTS);
        char address[32], zone[32];
        struct endpoint endpoint = {.ready = true, .serving = true};

        snprintf(address, sizeof(address), "10.1.%zu.%zu", number / 250, 1 + number % 250);
        snprintf(zone, sizeof(zone), "zone-%zu", number % zones);
        endpoint.address = str_of(address);
        endpoint.zone = str_of(zone);
        cr_assert_eq(slice_add_endpoint(builder, &endpoint, NULL), CODE_OK);
    }
    return slice_finish(builder, text_wire);
}

static void check_big(const struct service *service, size_t zones)
{
    const struct backend_list *list = &service->ports[0].list;

    cr_assert_eq(list->len, BIG_SLICES * BIG_ENDPOINTS);
    cr_assert_eq(list->localities_len, zones);
    for (size_t i = 0; i < list->localities_len; i++) {
        const struct locality *locality = &list->localities[i];

        cr_assert(i == 0 || str_cmp(list->localities[i - 1].zone, locality->zone) < 0);
        for (size_t k = locality->first + 1; k < locality->first + locality->len; k++)
            cr_assert_lt(backend_cmp_address(list->items[k - 1].backend, list->items[k].backend),
                         0);
    }
}

/* The best of several runs, so that a busy machine does not count. */
static double best_ms(const struct slice **slices, size_t zones, const struct service *before)
{
    struct service_spec_port port = {.name = STR("grpc"), .number = 8001};
    struct service_spec spec = {
        .namespace_name = STR("shop"), .name = STR("greeter"), .ports = &port, .ports_len = 1};
    double best = 1e9;

    for (int run = 0; run < 20; run++) {
        struct timespec from, to;
        const struct service *service;
        double ms;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
        service = service_new(&spec, slices, BIG_SLICES, before);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
        ms = (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6;
        best = ms < best ? ms : best;
        if (run == 0)
            check_big(service, zones);
        service_unref(service);
    }
    return best;
}

#if defined(__SANITIZE_ADDRESS__)
#define SLOWER 20
#else
#define SLOWER 1
#endif

static void big_slices(const struct slice *slices[BIG_SLICES], size_t zones)
{
    for (size_t k = 0; k < BIG_SLICES; k++)
        slices[k] = big_slice(k, zones);
}

static void drop_slices(const struct slice *slices[BIG_SLICES])
{
    for (size_t k = 0; k < BIG_SLICES; k++)
        slice_unref(slices[k]);
}

Test(service_size, of_10000_endpoints_takes_a_millisecond)
{
    static const size_t zones[] = {1, 3, BIG_SLICES * BIG_ENDPOINTS};

    for (size_t i = 0; i < ARRAY_LEN(zones); i++) {
        const struct slice *slices[BIG_SLICES];
        double ms;

        big_slices(slices, zones[i]);
        ms = best_ms(slices, zones[i], NULL);
        cr_log_info("%zu zones: %.3f ms", zones[i], ms);
        cr_assert_lt(ms, SLOWER * (zones[i] > 100 ? 10.0 : 2.0), "%zu zones: %.3f ms", zones[i],
                     ms);
        drop_slices(slices);
    }
}

/* The worst case: every slice was read anew. */
Test(service_size, of_10000_endpoints_is_compared_with_the_last_version_as_fast)
{
    const struct slice *old[BIG_SLICES], *slices[BIG_SLICES];
    struct service_spec_port port = {.name = STR("grpc"), .number = 8001};
    struct service_spec spec = {
        .namespace_name = STR("shop"), .name = STR("greeter"), .ports = &port, .ports_len = 1};
    const struct service *before;
    double ms;

    big_slices(old, 3);
    big_slices(slices, 3);
    before = service_new(&spec, old, BIG_SLICES, NULL);
    ms = best_ms(slices, 3, before);
    cr_log_info("after a version of other slices: %.3f ms", ms);
    cr_assert_lt(ms, SLOWER * 10.0, "%.3f ms", ms);
    ms = best_ms(old, 3, before);
    cr_log_info("after a version of the same slices: %.3f ms", ms);
    cr_assert_lt(ms, SLOWER * 5.0, "%.3f ms", ms);
    service_unref(before);
    drop_slices(old);
    drop_slices(slices);
}
