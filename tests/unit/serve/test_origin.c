/* Connections by the addresses that they come from, and which of them a new table of pods concerns. */
#include <criterion/criterion.h>

#include "serve/origin.h"

static struct origins origins;
static struct origin first, second, third;

static struct address peer(const char *text)
{
    struct address address;

    cr_assert_eq(address_parse(str_of(text), &address, NULL), CODE_OK);
    return address;
}

static void join(struct origin *origin, const char *text)
{
    struct address address = peer(text);

    origin_join(&origins, origin, &address);
}

static void tear_down(void)
{
    origin_leave(&first);
    origin_leave(&second);
    origin_leave(&third);
    cr_assert_null(origins.addresses);
    origins_done(&origins);
}

TestSuite(origin, .fini = tear_down);

/* In place of all that there was: that address is of a pod of that account. NULL: none is. */
static bool publish(const char *text, const char *account)
{
    const struct pod_table *empty = pod_table_new_empty(), *next;
    struct pod_edit *edit = pod_edit_new(empty);

    if (text) {
        struct blob *of = blob_copy(account, strlen(account));
        struct pod_address address;

        cr_assert(pod_address_parse(str_of(text), &address));
        cr_assert(pod_edit_add(edit, &address, of));
        blob_unref(of);
    }
    next = pod_edit_finish(edit);
    pod_table_unref(empty);
    return origins_publish(&origins, next);
}

static bool has_moved(const struct origin *origin)
{
    return origin->moved == origins.round;
}

Test(origin, moves_when_its_address_means_somebody_else)
{
    struct address at = peer("10.0.0.1:7");
    struct str account;

    cr_assert_not(publish(NULL, NULL));
    join(&first, "10.0.0.1:1");
    join(&second, "10.0.0.1:2");
    join(&third, "[fd00::1]:3");
    cr_assert(publish("10.0.0.1", "web/a"), "somebody now");
    cr_assert(has_moved(&first) && has_moved(&second) && !has_moved(&third));
    cr_assert_eq(origin_find(&origins, &at, &account), POD_OWNER_ONE);
    cr_assert(str_eq(account, STR("web/a")));
    cr_assert_not(publish("10.0.0.1", "web/a"), "the same");
    cr_assert_not(has_moved(&first), "in an earlier round");
    cr_assert(publish("10.0.0.1", "web/b"), "somebody else");
    cr_assert(has_moved(&first) && !has_moved(&third));
    cr_assert(publish("fd00::1", "web/b"), "nobody any more");
    cr_assert(has_moved(&first) && has_moved(&third));
}

Test(origin, what_concerns_nobody_moves_nobody)
{
    cr_assert_not(publish(NULL, NULL));
    join(&first, "10.0.0.1:1");
    cr_assert_not(publish("10.0.0.2", "web/a"));
    cr_assert_not(publish("10.0.0.3", "web/a"));
    cr_assert_not(has_moved(&first));
}

Test(origin, who_left_is_not_looked_at)
{
    cr_assert_not(publish(NULL, NULL));
    join(&first, "10.0.0.1:1");
    join(&second, "10.0.0.1:2");
    origin_leave(&first);
    origin_leave(&first);
    cr_assert(publish("10.0.0.1", "web/a"));
    cr_assert_not(has_moved(&first));
    origin_leave(&second);
    cr_assert_not(publish("10.0.0.1", "web/b"));
}

Test(origin, a_unix_socket_is_at_no_address)
{
    struct address at = peer("unix:/run/socket");
    struct str account;

    cr_assert_not(publish("10.0.0.1", "web/a"));
    origin_join(&origins, &first, &at);
    cr_assert_null(first.address);
    cr_assert_eq(origin_find(&origins, &at, &account), POD_OWNER_NONE);
}
