/* Which users are which accounts, and which settings say it. */
#include <criterion/criterion.h>

#include "net/uid_accounts.h"

static struct uid_accounts accounts;

static void tear_down(void)
{
    uid_accounts_done(&accounts);
}

TestSuite(uid_accounts, .fini = tear_down);

static void add(const char *text)
{
    struct err err = {0};

    cr_assert_eq(uid_accounts_add(&accounts, str_of(text), &err), CODE_OK, "%s: %s", text, err.msg);
}

static void refuse(const char *text, const char *why)
{
    struct err err = {0};

    cr_assert_eq(uid_accounts_add(&accounts, str_of(text), &err), CODE_INVALID_ARGUMENT, "%s",
                 text);
    cr_assert_str_eq(err.msg, why);
}

Test(uid_accounts, a_user_has_its_account_and_others_have_none)
{
    const struct service_account *account;

    add("0=kube-system/root");
    add("1000=shop/frontend");
    add("4294967294=shop/web.front-2");
    account = uid_accounts_find(&accounts, 1000);
    cr_assert(str_eq(account->namespace_name, STR("shop")));
    cr_assert(str_eq(account->name, STR("frontend")));
    cr_assert_eq(account->by, ACCOUNT_BY_UNIX);
    cr_assert(str_eq(uid_accounts_find(&accounts, 0)->name, STR("root")));
    cr_assert_not_null(uid_accounts_find(&accounts, 4294967294));
    cr_assert_null(uid_accounts_find(&accounts, 1001));
    cr_assert_null(uid_accounts_find(&accounts, (uid_t)-1));
}

Test(uid_accounts, what_is_no_setting_is_refused)
{
    static const char form[] = "expected UID=NAMESPACE/ACCOUNT, UID a number";
    static const char *const texts[] = {
        "",          "=",           "=shop/a",           "x=shop/a",         "-1=shop/a",
        "1 =shop/a", "0x10=shop/a", "4294967295=shop/a", "4294967296=shop/a"};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        refuse(texts[i], form);
    refuse("1000", form);
    refuse("1000=shop", "'shop' is no NAMESPACE/ACCOUNT");
    refuse("1000=shop/", "'shop/' is no NAMESPACE/ACCOUNT");
    refuse("1000=/a", "'/a' is no NAMESPACE/ACCOUNT");
    refuse("1000=shop/a/b", "'shop/a/b' is no NAMESPACE/ACCOUNT");
    refuse("1000=Shop/a", "'Shop/a' is no NAMESPACE/ACCOUNT");
    cr_assert_eq(accounts.len, 0);
}

Test(uid_accounts, a_user_has_one_account)
{
    add("1000=shop/a");
    refuse("1000=shop/b", "user 1000 has an account already");
    cr_assert(str_eq(uid_accounts_find(&accounts, 1000)->name, STR("a")));
}

Test(uid_accounts, users_without_a_number_here_are_one_and_have_none)
{
    refuse("65534=shop/a",
           "65534 is how all users appear that have no number here: it can be nobody's account");
}

Test(uid_accounts, there_are_so_many_and_no_more)
{
    char text[64];

    for (int i = 0; i < UID_ACCOUNTS_MAX; i++) {
        snprintf(text, sizeof(text), "%d=shop/a", i);
        add(text);
    }
    refuse("9999=shop/a", "more than 256 users");
}
