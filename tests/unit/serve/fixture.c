#include "fixture.h"

#include <criterion/criterion.h>

#include "encode/xds.h"

static const struct slice *make_slice(const char *const *addresses, size_t len)
{
    struct slice_spec spec = {
        .namespace_name = STR("shop"),
        .name = STR("greeter-a"),
        .service = STR("greeter"),
        .family = FAMILY_IPV4,
    };
    struct slice_port port = {.name = STR("grpc"), .number = 8001};
    struct slice_builder *builder = slice_builder_new(&spec);

    cr_assert_eq(slice_add_port(builder, &port, NULL), CODE_OK);
    for (size_t i = 0; i < len; i++) {
        struct endpoint endpoint = {.address = str_of(addresses[i]), .ready = true, .serving = true};

        cr_assert_eq(slice_add_endpoint(builder, &endpoint, NULL), CODE_OK);
    }
    return slice_finish(builder, encode_backend);
}

static const struct service *make_service(const struct slice *slice)
{
    struct service_spec_port port = {.name = STR("grpc"), .number = 8001};
    struct service_spec spec = {
        .namespace_name = STR("shop"),
        .name = STR("greeter"),
        .ports_len = 1,
        .ports = &port,
        .received_us = 7,
    };

    return service_new(&spec, &slice, 1, NULL);
}

const struct catalog *catalog_with_greeter(const struct catalog *base, const char *const *addresses, size_t len)
{
    const struct catalog *before = base ? base : catalog_new_empty();
    const struct slice *slice = make_slice(addresses, len);
    struct catalog_edit *edit = catalog_edit_new(before);
    const struct catalog *after;

    catalog_put(edit, make_service(slice));
    after = catalog_edit_finish(edit);
    catalog_unref(before);
    slice_unref(slice);
    return after;
}

const struct catalog *catalog_without_greeter(const struct catalog *base)
{
    struct catalog_edit *edit = catalog_edit_new(base);
    const struct catalog *after;

    catalog_remove(edit, STR("shop"), STR("greeter"));
    after = catalog_edit_finish(edit);
    catalog_unref(base);
    return after;
}
