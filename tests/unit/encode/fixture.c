#include "fixture.h"

#include <criterion/criterion.h>

#define SPOTS_MAX 128

static const struct slice *slice_of(const struct spot *spot, size_t number, bool has_port)
{
    char name[32];
    struct slice_spec spec = {
        .namespace_name = STR("shop"),
        .service = STR("greeter"),
        .family = strchr(spot->address, ':') ? FAMILY_IPV6 : FAMILY_IPV4,
    };
    struct slice_port port = {.name = STR("grpc"), .number = spot->port ? spot->port : 8001};
    struct endpoint endpoint = {
        .address = str_of(spot->address),
        .ready = !spot->draining,
        .serving = true,
        .terminating = spot->draining,
        .hostname = str_of(spot->hostname),
        .node = str_of(spot->node),
        .zone = str_of(spot->zone),
        .pod = str_of(spot->pod),
        .uid = str_of(spot->uid),
    };
    struct slice_builder *builder;

    snprintf(name, sizeof(name), "greeter-%zu", number);
    spec.name = str_of(name);
    builder = slice_builder_new(&spec);
    if (has_port)
        cr_assert_eq(slice_add_port(builder, &port, NULL), CODE_OK);
    cr_assert_eq(slice_add_endpoint(builder, &endpoint, NULL), CODE_OK);
    return slice_finish(builder, encode_backend);
}

static const struct service *make(const struct spot *spots, size_t len,
                                  const struct service_spec *spec, const struct service *before)
{
    const struct slice *slices[SPOTS_MAX];
    const struct service *service;

    cr_assert_leq(len, SPOTS_MAX);
    for (size_t i = 0; i < len; i++)
        slices[i] = slice_of(&spots[i], i, spec->ports_len > 0);
    service = service_new(spec, slices, len, before);
    for (size_t i = 0; i < len; i++)
        slice_unref(slices[i]);
    cr_assert_eq(service->ports_len, 1);
    return service;
}

const struct service *service_of(const struct spot *spots, size_t len)
{
    return service_after(NULL, spots, len);
}

const struct service *service_after(const struct service *before, const struct spot *spots,
                                    size_t len)
{
    struct service_spec_port port = {.name = STR("grpc"), .number = 80};
    struct service_spec spec = {
        .namespace_name = STR("shop"), .name = STR("greeter"), .ports_len = 1, .ports = &port};

    return make(spots, len, &spec, before);
}

const struct service *portless_service_of(const struct spot *spots, size_t len)
{
    struct service_spec spec = {
        .namespace_name = STR("shop"), .name = STR("greeter"), .type = SERVICE_HEADLESS};

    return make(spots, len, &spec, NULL);
}
