/* Who sees the Service, and whether the client that was asked about does. */
#include "controller/explain_internal.h"

#define NAMES_SHOWN 4 /* of accounts, in a sentence */

static const struct controller_options *options_of(const struct explanation *explanation)
{
    return publisher_options(explanation->publisher);
}

/* A default that hides is only taken where clients can prove who they are. */
static bool is_open(const struct explanation *explanation)
{
    return access_is_open(explanation->now.service, options_of(explanation)->default_access);
}

/* Asked of somebody in particular. */
static bool is_asked(const struct explanation *explanation)
{
    return explanation->caller.namespace_name.len > 0;
}

static bool sees(const struct explanation *explanation)
{
    const struct controller_options *options = options_of(explanation);
    static const struct caller nobody;

    return access_allows(explanation->now.service, options->default_access,
                         options->identifies ? &explanation->caller : &nobody);
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
    static const char *const defaults[] = {
        [ACCESS_ALL] = "all", [ACCESS_NAMESPACE] = "namespace", [ACCESS_NONE] = "none"};
    const struct controller_options *options = options_of(explanation);
    const struct policy *policy;

    if (!explanation->now.service)
        return;
    policy = explanation->now.service->policy;
    json_open_object(writer, "access");
    json_put_bool(writer, "open", is_open(explanation));
    json_put_str(writer, "default", str_of(defaults[options->default_access]));
    json_put_bool(writer, "given", policy->access_given);
    write_texts("namespaces", &policy->access_namespaces, policy->access_given, writer);
    write_texts("serviceAccounts", &policy->access_accounts, policy->access_given, writer);
    json_put_bool(writer, "provable", options->identifies);
    if (is_asked(explanation))
        json_put_bool(writer, "seen", sees(explanation));
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
        buf_add_str(text, STR("no client sees it (spec.access is empty)"));
        return;
    }
    buf_add_str(text, STR("only "));
    add_texts(text, "service accounts of ", &policy->access_namespaces);
    add_texts(text, namespaces > 0 ? ", and " : "service account ", &policy->access_accounts);
    buf_add_str(text, namespaces == 0 && accounts == 1 ? STR(" sees") : STR(" see"));
    buf_add_str(text, STR(" it (spec.access)"));
}

static void add_who(const struct explanation *explanation, struct buf *text)
{
    const struct service *service = explanation->now.service;
    const struct controller_options *options = options_of(explanation);

    if (service->policy->access_given && !options->identifies)
        buf_add_str(text, STR("no client sees it: spec.access says who may, and clients have no "
                              "way to prove who they are (" IDENTITY_WAYS ")"));
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

    buf_printf(text, "service account %" STR_FMT "/%" STR_FMT, STR_ARG(caller->namespace_name),
               STR_ARG(caller->account));
}

void explain_add_unseen(const struct explanation *explanation, struct buf *text)
{
    if (!explanation->now.service || !is_asked(explanation) || sees(explanation))
        return;
    add_caller(explanation, text);
    buf_add_str(text, STR(" gets what it would if there were no such Service, since "));
    add_who(explanation, text);
    buf_add_str(text, STR("; for who sees it, "));
}

void explain_add_access(const struct explanation *explanation, struct buf *text)
{
    bool asked = is_asked(explanation);

    if (!explanation->now.service || is_open(explanation) || (asked && !sees(explanation)))
        return;
    buf_add_str(text, STR("; "));
    if (asked)
        add_caller(explanation, text);
    else
        add_who(explanation, text);
    buf_add_str(text, asked ? STR(" sees it") : STR(""));
}
