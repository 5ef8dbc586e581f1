#include <criterion/criterion.h>

#include "base/hash.h"

/* Versions of published lists hang on these: the numbers may never change. */
Test(hash, of_content_is_the_same_everywhere)
{
    cr_assert_eq(hash_content("", 0), UINT64_C(0x2D06800538D394C2));
    cr_assert_eq(hash_content(NULL, 0), UINT64_C(0x2D06800538D394C2));
    cr_assert_eq(hash_content("greeter.shop", 12), UINT64_C(0x46F93DFD7B8BB59C));
    cr_assert_eq(hash_mix(1, 2), UINT64_C(0xC7EAFBA733477D2C));
}

Test(hash, of_content_sees_every_bit)
{
    unsigned char bytes[300] = {0};
    uint64_t zero = hash_content(bytes, sizeof(bytes));

    for (size_t bit = 0; bit < sizeof(bytes) * 8; bit++) {
        bytes[bit / 8] = (unsigned char)(1u << bit % 8);
        cr_assert_neq(hash_content(bytes, sizeof(bytes)), zero, "bit %zu", bit);
        bytes[bit / 8] = 0;
    }
    cr_assert_neq(hash_content(bytes, sizeof(bytes) - 1), zero);
}

Test(hash, mixes_in_order)
{
    cr_assert_neq(hash_mix(1, 2), hash_mix(2, 1));
    cr_assert_neq(hash_mix(0, 0), 0);
    cr_assert_neq(hash_mix(0, 1), hash_mix(1, 0));
}

Test(hash, of_a_key_is_stable_within_the_process)
{
    char copy[] = "greeter";

    cr_assert_eq(hash_key(STR("greeter")), hash_key(str_of(copy)));
    cr_assert_neq(hash_key(STR("greeter")), hash_key(STR("greeteR")));
    cr_assert_neq(hash_key(STR("greeter")), hash_content("greeter", 7));
}

Test(hash, of_a_key_has_a_seed)
{
    cr_assert_neq(hash_key(STR("greeter")), hash_content("greeter", 7));
    cr_assert_neq(hash_key(STR("")), hash_content("", 0));
}

Test(hash, seeds_uthash)
{
    unsigned hash;

    HASH_FUNCTION_SEEDED("greeter", 7, hash);
    cr_assert_eq(hash, (unsigned)hash_key(STR("greeter")));
}
