#include <criterion/criterion.h>

#include "serve/heed.h"

static struct heed heed; /* of 64 KiB */

static bool has(const char *namespace_name, const char *service)
{
    return heed_has(&heed, str_of(namespace_name), str_of(service));
}

Test(heed, has_what_was_added_until_it_is_removed_as_often)
{
    cr_assert_not(has("shop", "greeter"));
    heed_add(&heed, STR("shop/greeter"));
    heed_add(&heed, STR("shop/greeter"));
    cr_assert(has("shop", "greeter"));
    cr_assert_not(has("greeter", "shop"));
    cr_assert_not(has("shop", "other"));
    heed_remove(&heed, STR("shop/greeter"));
    cr_assert(has("shop", "greeter"));
    heed_remove(&heed, STR("shop/greeter"));
    cr_assert_not(has("shop", "greeter"));
}

Test(heed, has_everything_while_that_is_said)
{
    cr_assert_not(heed_set_all(&heed, false));
    cr_assert(heed_set_all(&heed, true));
    cr_assert_not(heed_set_all(&heed, true));
    cr_assert(has("shop", "greeter"));
    cr_assert(heed_set_all(&heed, false));
    cr_assert_not(has("shop", "greeter"));
}

/* It may say yes of what was never added, but seldom. */
Test(heed, of_a_thousand_others_few_seem_to_be_there)
{
    char key[32];
    size_t wrong = 0;

    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "shop/there-%d", i);
        heed_add(&heed, str_of(key));
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "there-%d", i);
        cr_assert(has("shop", key));
        snprintf(key, sizeof(key), "other-%d", i);
        wrong += has("shop", key);
    }
    cr_assert_leq(wrong, 50, "%zu", wrong);
}
