#include <criterion/criterion.h>

#include "model/endpoint.h"

static struct backend with(struct endpoint *endpoint, bool ready, bool serving, bool terminating)
{
    *endpoint = (struct endpoint){.ready = ready, .serving = serving, .terminating = terminating};
    return (struct backend){.endpoint = endpoint};
}

Test(endpoint, is_ready_or_draining_or_neither)
{
    for (unsigned bits = 0; bits < 8; bits++) {
        bool ready = bits & 1, serving = bits & 2, terminating = bits & 4;
        struct endpoint endpoint;
        struct backend backend = with(&endpoint, ready, serving, terminating);

        cr_assert_eq(backend_is_ready(&backend), ready);
        cr_assert_eq(backend_is_draining(&backend), !ready && serving && terminating);
    }
}

Test(endpoint, orders_by_family_then_bytes_then_port)
{
    struct endpoint low = {.family = FAMILY_IPV4, .bytes = {9, 0, 0, 1}};
    struct endpoint high = {.family = FAMILY_IPV4, .bytes = {10, 0, 0, 1}};
    struct endpoint other = {.family = FAMILY_IPV6, .bytes = {1}};
    const struct backend sorted[] = {
        {.endpoint = &low, .port = 80},
        {.endpoint = &low, .port = 90},
        {.endpoint = &high, .port = 1},
        {.endpoint = &other, .port = 1},
    };

    for (size_t i = 0; i < ARRAY_LEN(sorted); i++) {
        for (size_t k = 0; k < ARRAY_LEN(sorted); k++) {
            int order = backend_cmp_address(&sorted[i], &sorted[k]);

            cr_assert_eq((order > 0) - (order < 0), (i > k) - (i < k), "%zu and %zu", i, k);
        }
    }
}

Test(endpoint, differs_in_every_field)
{
    const struct endpoint base = {.bytes = {10, 0, 0, 1}, .family = FAMILY_IPV4, .ready = true};
    struct endpoint others[10];

    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        others[i] = base;
    others[0].bytes[3] = 2;
    others[1].family = FAMILY_IPV6;
    others[2].ready = false;
    others[3].serving = true;
    others[4].terminating = true;
    others[5].hostname = STR("x");
    others[6].node = STR("x");
    others[7].zone = STR("x");
    others[8].pod = STR("x");
    others[9].uid = STR("x");
    cr_assert(endpoint_equal(
        &base, &(struct endpoint){.bytes = {10, 0, 0, 1}, .family = FAMILY_IPV4, .ready = true}));
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        cr_assert(!endpoint_equal(&base, &others[i]), "case %zu", i);
}
