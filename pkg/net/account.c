#include "net/account.h"

#define TRUST_DOMAIN_MAX 255

static bool is_plain(char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '-';
}

/* Small letters, digits and '-' between the dots, as the API server has it. */
static bool is_name(struct str text, bool dots, size_t max)
{
    if (text.len == 0 || text.len > max)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        bool edge = i == 0 || i + 1 == text.len || text.ptr[i - 1] == '.' || text.ptr[i + 1] == '.';

        if (text.ptr[i] == '.' ? !dots || edge : !is_plain(text.ptr[i]))
            return false;
        if (text.ptr[i] == '-' && edge)
            return false;
    }
    return true;
}

/* As SPIFFE has it. */
static bool is_trust_domain(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_plain(text.ptr[i]) && text.ptr[i] != '.' && text.ptr[i] != '_')
            return false;
    return text.len > 0 && text.len <= TRUST_DOMAIN_MAX;
}

static struct service_account *account_new(struct str namespace_name, struct str name,
                                           enum account_by by)
{
    struct service_account *account;
    char *at;

    if (!is_name(namespace_name, false, ACCOUNT_NAMESPACE_MAX) ||
        !is_name(name, true, ACCOUNT_NAME_MAX))
        return NULL;
    account = xmalloc(sizeof(*account) + namespace_name.len + name.len);
    at = (char *)(account + 1);
    account->namespace_name = str_put(&at, namespace_name);
    account->name = str_put(&at, name);
    account->by = by;
    return account;
}

const char *account_by_name(enum account_by by)
{
    static const char *const names[] = {
        [ACCOUNT_BY_TOKEN] = "token",
        [ACCOUNT_BY_CERTIFICATE] = "certificate",
        [ACCOUNT_BY_UNIX] = "unix",
        [ACCOUNT_BY_POD] = "pod",
    };

    return names[by];
}

struct service_account *account_of_spiffe(struct str id)
{
    struct str scheme = STR("spiffe://"), namespace_name;

    if (!str_starts_with(id, scheme))
        return NULL;
    id = str_slice(id, scheme.len, id.len);
    if (!is_trust_domain(str_cut(&id, '/')) || !str_eq(str_cut(&id, '/'), STR("ns")))
        return NULL;
    namespace_name = str_cut(&id, '/');
    if (!str_eq(str_cut(&id, '/'), STR("sa")))
        return NULL;
    return account_new(namespace_name, id, ACCOUNT_BY_CERTIFICATE);
}

struct service_account *account_of_subject(struct str subject)
{
    struct str prefix = STR("system:serviceaccount:"), namespace_name;

    if (!str_starts_with(subject, prefix))
        return NULL;
    subject = str_slice(subject, prefix.len, subject.len);
    namespace_name = str_cut(&subject, ':');
    return account_new(namespace_name, subject, ACCOUNT_BY_TOKEN);
}

struct service_account *account_of_text(struct str text, enum account_by by)
{
    struct str namespace_name = str_cut(&text, '/');

    return account_new(namespace_name, text, by);
}

struct service_account *account_copy(const struct service_account *account)
{
    return account_new(account->namespace_name, account->name, account->by);
}

void account_free(struct service_account *account)
{
    free(account);
}
