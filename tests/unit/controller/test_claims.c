#include <criterion/criterion.h>

#include "controller/claims.h"

static struct claimant a = {"a.yaml"}, b = {"b.yaml"}, c = {"c.yaml"};

Test(claims, belong_to_the_first_by_name)
{
    struct claims claims = {0};

    cr_assert(claims_add(&claims, "x", &b));
    cr_assert(!claims_add(&claims, "x", &c));
    cr_assert_eq(claims_owner(&claims, "x"), &b);
    cr_assert(claims_add(&claims, "x", &a));
    cr_assert_eq(claims_owner(&claims, "x"), &a);
    cr_assert(claims_add(&claims, "x", &a), "again");
    cr_assert_null(claims_owner(&claims, "y"));
    cr_assert_eq(claims_len(&claims), 1);
    claims_done(&claims);
}

Test(claims, go_to_the_next_when_they_are_dropped)
{
    struct claims claims = {0};
    struct claimant *heir;

    (void)claims_add(&claims, "x", &a);
    (void)claims_add(&claims, "x", &b);
    (void)claims_add(&claims, "x", &c);
    cr_assert(!claims_drop(&claims, "x", &b, &heir), "it had nothing");
    cr_assert_null(heir);
    cr_assert(claims_drop(&claims, "x", &a, &heir));
    cr_assert_eq(heir, &c);
    cr_assert_eq(claims_owner(&claims, "x"), &c);
    cr_assert(claims_drop(&claims, "x", &c, &heir));
    cr_assert_null(heir);
    cr_assert_eq(claims_len(&claims), 0);
    cr_assert(!claims_drop(&claims, "x", &c, &heir));
    claims_done(&claims);
}
