#include "model/access.h"

const char *default_access_name(enum default_access access)
{
    static const char *const names[] = {
        [ACCESS_ALL] = "all", [ACCESS_NAMESPACE] = "namespace", [ACCESS_NONE] = "none"};

    return names[access];
}

bool access_is_open(const struct service *service, enum default_access otherwise)
{
    return !service->policy->access_given && otherwise == ACCESS_ALL;
}

static bool has_text(const struct policy_texts *texts, struct str text)
{
    for (size_t i = 0; i < texts->len; i++) {
        if (str_eq(texts->items[i], text))
            return true;
    }
    return false;
}

/* "namespace/name". */
static bool has_account(const struct policy_texts *texts, const struct caller *caller)
{
    for (size_t i = 0; i < texts->len; i++) {
        struct str rest = texts->items[i];

        if (str_eq(str_cut(&rest, '/'), caller->namespace_name) && str_eq(rest, caller->account))
            return true;
    }
    return false;
}

bool access_allows(const struct service *service, enum default_access otherwise,
                   const struct caller *caller)
{
    const struct policy *policy = service->policy;

    if (access_is_open(service, otherwise))
        return true;
    if (caller->namespace_name.len == 0)
        return false;
    if (policy->access_given)
        return has_text(&policy->access_namespaces, caller->namespace_name) ||
               has_account(&policy->access_accounts, caller);
    return otherwise == ACCESS_NAMESPACE && str_eq(service->namespace_name, caller->namespace_name);
}

const struct service *sight_find(const struct sight *sight, struct str namespace_name,
                                 struct str name)
{
    const struct service *service = catalog_find(sight->catalog, namespace_name, name);

    if (!service || !sight->caller || access_allows(service, sight->otherwise, sight->caller))
        return service;
    return NULL;
}
