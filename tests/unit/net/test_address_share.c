/* Connections by address. */
#include <criterion/criterion.h>

#include "net/address_share.h"

static struct address_shares *shares;

static struct address at(const char *text)
{
    struct address address;

    cr_assert_eq(address_parse(str_of(text), &address, NULL), CODE_OK, "%s", text);
    return address;
}

static bool join(const char *text, struct address_share **ret_share)
{
    struct address address = at(text);

    return address_share_join(shares, &address, 2, ret_share);
}

static void start(void)
{
    shares = address_shares_new();
}

static void stop(void)
{
    address_shares_free(shares);
}

TestSuite(address_share, .init = start, .fini = stop);

Test(address_share, counts_an_address_whatever_its_ports)
{
    struct address_share *held[4], *other;

    cr_assert(join("10.0.0.1:1", &held[0]));
    cr_assert(join("10.0.0.1:2", &held[1]));
    cr_assert_not(join("10.0.0.1:3", &other));
    cr_assert(join("10.0.0.2:1", &held[2]), "neighbours have shares of their own");
    cr_assert_eq(address_shares_most(shares), 2);
    address_share_leave(held[0]);
    cr_assert(join("10.0.0.1:3", &held[0]), "who left made room");
    for (int i = 0; i < 3; i++)
        address_share_leave(held[i]);
    cr_assert_eq(address_shares_most(shares), 0);
}

Test(address_share, ipv4_by_way_of_ipv6_is_the_same_address)
{
    struct address_share *held[3], *other;

    cr_assert(join("10.0.0.1:1", &held[0]));
    cr_assert(join("[::ffff:10.0.0.1]:1", &held[1]));
    cr_assert_not(join("10.0.0.1:1", &other));
    cr_assert(join("[a00:1::]:1", &held[2]), "the same bytes in another family");
    for (int i = 0; i < 3; i++)
        address_share_leave(held[i]);
}

Test(address_share, ipv6_addresses_of_one_64_are_one)
{
    struct address_share *held[3], *other;

    cr_assert(join("[2001:db8:0:1::1]:1", &held[0]));
    cr_assert(join("[2001:db8:0:1:ffff:ffff:ffff:ffff]:1", &held[1]));
    cr_assert_not(join("[2001:db8:0:1::2]:1", &other), "a host has all of them");
    cr_assert(join("[2001:db8:0:2::1]:1", &held[2]), "the next /64 has a share of its own");
    cr_assert_eq(address_shares_most(shares), 2);
    for (int i = 0; i < 3; i++)
        address_share_leave(held[i]);
}

Test(address_share, unix_sockets_are_not_counted)
{
    struct address_share *share = NULL;

    for (int i = 0; i < 5; i++) {
        cr_assert(join("unix:/tmp/x", &share));
        cr_assert_null(share);
    }
    address_share_leave(share);
    cr_assert_eq(address_shares_most(shares), 0);
}
