#include "net/uid_accounts.h"

#include "net/credentials.h"

struct uid_account {
    uid_t uid;
    struct service_account *account;
};

enum code uid_accounts_add(struct uid_accounts *accounts, struct str text, struct err *err)
{
    struct str name = text, user = str_cut(&name, '=');
    struct service_account *account;
    uint64_t uid;

    if (!str_to_u64(user, UINT32_MAX - 1, &uid) || name.len == 0)
        return fail(err, CODE_INVALID_ARGUMENT, "expected UID=NAMESPACE/ACCOUNT, UID a number");
    if (uid == CREDENTIALS_OVERFLOW)
        return fail(
            err, CODE_INVALID_ARGUMENT,
            "%d is how all users appear that have no number here: it can be nobody's account",
            CREDENTIALS_OVERFLOW);
    if (uid_accounts_find(accounts, (uid_t)uid))
        return fail(err, CODE_INVALID_ARGUMENT, "user %llu has an account already",
                    (unsigned long long)uid);
    if (accounts->len == UID_ACCOUNTS_MAX)
        return fail(err, CODE_INVALID_ARGUMENT, "more than %d users", UID_ACCOUNTS_MAX);
    account = account_of_text(name, ACCOUNT_BY_UNIX);
    if (!account)
        return fail(err, CODE_INVALID_ARGUMENT, "'%" STR_FMT "' is no NAMESPACE/ACCOUNT",
                    STR_ARG(str_slice(name, 0, 128)));
    accounts->items =
        xgrow(accounts->items, &accounts->cap, accounts->len, sizeof(*accounts->items));
    accounts->items[accounts->len++] = (struct uid_account){(uid_t)uid, account};
    return CODE_OK;
}

void uid_accounts_done(struct uid_accounts *accounts)
{
    for (size_t i = 0; i < accounts->len; i++)
        account_free(accounts->items[i].account);
    free(accounts->items);
    *accounts = (struct uid_accounts){0};
}

const struct service_account *uid_accounts_find(const struct uid_accounts *accounts, uid_t uid)
{
    for (size_t i = 0; i < accounts->len; i++)
        if (accounts->items[i].uid == uid)
            return accounts->items[i].account;
    return NULL;
}
