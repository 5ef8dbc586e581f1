/* What a certificate or a token may call an account. */
#include <criterion/criterion.h>

#include "net/account.h"

static void expect(struct service_account *account, const char *namespace_name, const char *name)
{
    cr_assert_not_null(account);
    cr_assert(str_eq(account->namespace_name, str_of(namespace_name)));
    cr_assert(str_eq(account->name, str_of(name)));
    account_free(account);
}

Test(account, of_a_spiffe_id)
{
    expect(account_of_spiffe(STR("spiffe://cluster.local/ns/shop/sa/frontend")), "shop",
           "frontend");
    expect(account_of_spiffe(STR("spiffe://a_b.example/ns/a-1/sa/web.front-2")), "a-1",
           "web.front-2");
}

Test(account, of_a_subject)
{
    expect(account_of_subject(STR("system:serviceaccount:shop:frontend")), "shop", "frontend");
}

Test(account, tells_what_proves_it)
{
    struct service_account *account = account_of_text(STR("shop/frontend"), ACCOUNT_BY_POD);
    struct service_account *copy = account_copy(account);

    cr_assert_eq(copy->by, ACCOUNT_BY_POD);
    cr_assert_str_eq(account_by_name(copy->by), "pod");
    account_free(account);
    expect(copy, "shop", "frontend");
    account = account_of_subject(STR("system:serviceaccount:shop:frontend"));
    cr_assert_str_eq(account_by_name(account->by), "token");
    account_free(account);
    account = account_of_spiffe(STR("spiffe://cluster.local/ns/shop/sa/frontend"));
    cr_assert_str_eq(account_by_name(account->by), "certificate");
    account_free(account);
}

Test(account, what_is_none)
{
    static const char *const ids[] = {"",
                                      "spiffe://",
                                      "spiffe://cluster.local",
                                      "spiffe://cluster.local/ns/shop",
                                      "spiffe:///ns/shop/sa/frontend",
                                      "spiffe://cluster.local/ns//sa/frontend",
                                      "spiffe://cluster.local/ns/shop/sa/",
                                      "spiffe://cluster.local/ns/shop/sa/frontend/x",
                                      "spiffe://cluster.local/ns/shop/sa/frontend/",
                                      "spiffe://cluster.local/ns/shop/sb/frontend",
                                      "spiffe://cluster.local/na/shop/sa/frontend",
                                      "spiffe://cluster.local//ns/shop/sa/frontend",
                                      "spiffe://cluster.local/x/ns/shop/sa/frontend",
                                      "spiffe://Cluster/ns/shop/sa/frontend",
                                      "spiffe://user@cluster.local/ns/shop/sa/frontend",
                                      "spiffe://cluster.local:1/ns/shop/sa/frontend",
                                      "SPIFFE://cluster.local/ns/shop/sa/frontend",
                                      "https://cluster.local/ns/shop/sa/frontend",
                                      "spiffe://cluster.local/ns/Shop/sa/frontend",
                                      "spiffe://cluster.local/ns/a.b/sa/frontend",
                                      "spiffe://cluster.local/ns/-shop/sa/frontend",
                                      "spiffe://cluster.local/ns/shop/sa/.x",
                                      "spiffe://cluster.local/ns/shop/sa/x..y",
                                      "spiffe://cluster.local/ns/shop/sa/x.",
                                      "spiffe://cluster.local/ns/shop/sa/x-.y",
                                      "spiffe://cluster.local/ns/shop/sa/%66",
                                      "spiffe://cluster.local/ns/shop/sa/frontend?x",
                                      "spiffe://cluster.local/ns/shop/sa/a b"};
    static const char *const subjects[] = {"",
                                           "system:serviceaccount:",
                                           "system:serviceaccount:shop",
                                           "system:serviceaccount:shop:",
                                           "system:serviceaccount::frontend",
                                           "system:serviceaccount:shop:frontend:x",
                                           "system:node:shop:frontend",
                                           "System:serviceaccount:shop:frontend"};

    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        cr_assert_null(account_of_spiffe(str_of(ids[i])), "%s", ids[i]);
    for (size_t i = 0; i < ARRAY_LEN(subjects); i++)
        cr_assert_null(account_of_subject(str_of(subjects[i])), "%s", subjects[i]);
    cr_assert_null(account_of_spiffe(STR("spiffe://cluster.local/ns/shop/sa/a\0b")));
}

Test(account, names_have_their_lengths)
{
    char text[400];

    for (int len = 62; len <= 64; len++) {
        struct service_account *account;

        snprintf(text, sizeof(text), "system:serviceaccount:%0*d:a", len, 0);
        account = account_of_subject(str_of(text));
        cr_assert_eq(account != NULL, len <= ACCOUNT_NAMESPACE_MAX);
        account_free(account);
    }
    for (int len = 252; len <= 254; len++) {
        struct service_account *account;

        snprintf(text, sizeof(text), "system:serviceaccount:a:%0*d", len, 0);
        account = account_of_subject(str_of(text));
        cr_assert_eq(account != NULL, len <= ACCOUNT_NAME_MAX);
        account_free(account);
    }
}
