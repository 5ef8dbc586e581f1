/* Who sees the Service, and whether the client that was asked about does: as serve/meaning.c decides it, in words. */
#include "controller/explain_internal.h"
#include "controller/route_text.h"

#define NAMES_SHOWN 4 /* of accounts, in a sentence */

static const struct controller_options *options_of(const struct explanation *explanation)
{
    return publisher_options(explanation->publisher);
}

static bool is_open(const struct explanation *explanation, const struct service *service)
{
    return access_is_open(service, options_of(explanation)->default_access);
}

/* Where nothing tells who clients are, all are nobody. */
static const struct caller *caller_of(const struct explanation *explanation)
{
    static const struct caller nobody;

    if (!options_of(explanation)->identifies)
        return &nobody;
    return explanation->asked ? &explanation->caller : NULL;
}

/* Also where nobody was asked about, and somebody may. */
static bool sees(const struct explanation *explanation, const struct service *service)
{
    const struct caller *caller = caller_of(explanation);

    return !caller || access_allows(service, options_of(explanation)->default_access, caller);
}

/* A backend of the policy that is hidden is to the client as one that does not exist. To who may not see the Service itself the
 * question does not come up: then it is as for who may. */
void explain_find_route(const struct explanation *explanation, struct route *ret_route)
{
    const struct catalog *catalog = publisher_catalog(explanation->publisher);
    const struct service *own = explanation->now.service;
    struct sight sight = {catalog, options_of(explanation)->default_access, NULL};

    if (own && sees(explanation, own))
        sight.caller = caller_of(explanation);
    route_find(&sight, &explanation->name, ret_route);
    for (size_t i = 0; i < ret_route->len; i++) {
        struct route_target *target = &ret_route->targets[i];

        if (!target->found && catalog_find(catalog, ret_route->namespace_name, target->service))
            target->problem = "the client may not see it";
    }
}

/* ---- for programs ---- */

static void write_texts(const char *key, const struct policy_texts *texts, bool given,
                        struct json_writer *writer)
{
    json_open_array(writer, key);
    for (size_t i = 0; given && i < texts->len; i++)
        json_put_str(writer, NULL, texts->items[i]);
    json_close_array(writer);
}

void explain_write_access(const struct explanation *explanation, struct json_writer *writer)
{
    const struct controller_options *options = options_of(explanation);
    const struct service *service = explanation->now.service;
    const struct policy *policy;

    if (!service)
        return;
    policy = service->policy;
    json_open_object(writer, "access");
    json_put_bool(writer, "open", is_open(explanation, service));
    json_put_str(writer, "default", str_of(default_access_name(options->default_access)));
    json_put_bool(writer, "given", policy->access_given);
    write_texts("namespaces", &policy->access_namespaces, policy->access_given, writer);
    write_texts("serviceAccounts", &policy->access_accounts, policy->access_given, writer);
    json_put_bool(writer, "identifies", options->identifies);
    if (explanation->asked)
        json_put_bool(writer, "seen", sees(explanation, service));
    json_close_object(writer);
}

/* ---- for people ---- */

/* The first few. */
static void add_texts(struct buf *text, const char *before, const struct policy_texts *texts)
{
    for (size_t i = 0; i < texts->len && i < NAMES_SHOWN; i++)
        buf_printf(text, "%s%" STR_FMT, i > 0 ? ", " : before, STR_ARG(texts->items[i]));
    if (texts->len > NAMES_SHOWN)
        buf_printf(text, " and %zu more", texts->len - NAMES_SHOWN);
}

static void add_given(struct buf *text, const struct policy *policy)
{
    size_t namespaces = policy->access_namespaces.len, accounts = policy->access_accounts.len;

    if (namespaces + accounts == 0) {
        buf_printf(text, "no client sees it (spec.access %s)",
                   policy->access_fault ? "cannot be read" : "is empty");
        return;
    }
    buf_add_str(text, STR("only "));
    add_texts(text, "service accounts of ", &policy->access_namespaces);
    add_texts(text, namespaces > 0 ? ", and " : "service account ", &policy->access_accounts);
    buf_add_str(text, namespaces == 0 && accounts == 1 ? STR(" sees") : STR(" see"));
    buf_add_str(text, STR(" it (spec.access)"));
}

/* Of a Service that not everybody sees. */
static void add_who(const struct explanation *explanation, struct buf *text)
{
    const struct service *service = explanation->now.service;
    const struct controller_options *options = options_of(explanation);

    if (service->policy->access_given && !options->identifies)
        buf_add_str(text, STR("no client sees it: spec.access says who may, and nothing that tells "
                              "who clients are is switched on (" IDENTITY_WAYS ")"));
    else if (service->policy->access_given)
        add_given(text, service->policy);
    else if (options->default_access == ACCESS_NAMESPACE)
        buf_printf(text,
                   "only service accounts of %" STR_FMT " see it (--default-access=namespace)",
                   STR_ARG(service->namespace_name));
    else
        buf_add_str(text, STR("no client sees it (--default-access=none)"));
}

static void add_caller(const struct explanation *explanation, struct buf *text)
{
    const struct caller *caller = &explanation->caller;

    if (caller->namespace_name.len == 0)
        buf_add_str(text, STR("a client that nothing identifies"));
    else
        buf_printf(text, "service account %" STR_FMT "/%" STR_FMT,
                   STR_ARG(caller->namespace_name), STR_ARG(caller->account));
}

/* Those that are not for everybody, where nobody in particular was asked about. */
static void add_backends(const struct explanation *explanation, struct buf *text)
{
    struct route route;

    explain_find_route(explanation, &route);
    for (size_t i = 0; route_is_split(&route) && i < route.len; i++) {
        const struct service *found = route.targets[i].found;

        if (found && found != explanation->now.service && !is_open(explanation, found))
            buf_printf(text, "; not everybody sees the backend %" STR_FMT, STR_ARG(found->name));
    }
}

void explain_add_unseen(const struct explanation *explanation, struct buf *text)
{
    const struct service *service = explanation->now.service;

    if (!service || !explanation->asked || sees(explanation, service))
        return;
    add_caller(explanation, text);
    buf_add_str(text, STR(" gets what it would if there were no such Service, since "));
    add_who(explanation, text);
    buf_add_str(text, STR("; but for that, "));
}

void explain_add_access(const struct explanation *explanation, struct buf *text)
{
    const struct service *service = explanation->now.service;

    if (!service)
        return;
    if (!explanation->asked) {
        if (!is_open(explanation, service)) {
            buf_add_str(text, STR("; "));
            add_who(explanation, text);
        }
        add_backends(explanation, text);
    } else if (is_open(explanation, service)) {
        buf_add_str(text, STR("; everybody sees it"));
    } else if (sees(explanation, service)) {
        buf_add_str(text, STR("; "));
        add_caller(explanation, text);
        buf_add_str(text, STR(" sees it"));
    }
}
