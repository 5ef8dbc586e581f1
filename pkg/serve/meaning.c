#include "serve/meaning.h"

#include "base/hash.h"
#include "encode/native.h"
#include "encode/xds.h"
#include "model/view_near.h"
#include "model/xdstp.h"
#include "wire/fields.h"

/* Of the resources of that kind, as xdstp names have it. */
static struct str type_of(enum topic_kind kind)
{
    static const struct str urls[TOPIC_KINDS] = {
        [TOPIC_LISTENER] = STR_INIT(LISTENER_URL),
        [TOPIC_ROUTE] = STR_INIT(ROUTE_CONFIGURATION_URL),
        [TOPIC_CLUSTER] = STR_INIT(CLUSTER_URL),
        [TOPIC_ASSIGNMENT] = STR_INIT(CLUSTER_LOAD_ASSIGNMENT_URL),
        [TOPIC_NATIVE] = STR_INIT(""),
        [TOPIC_GRPCLB] = STR_INIT(""),
    };
    struct str url = urls[kind];

    return str_slice(url, str_find(url, '/') + 1, url.len);
}

static enum code parse_plain(enum topic_kind kind, struct str text,
                             const struct name_context *context, struct name *ret_name,
                             struct err *err)
{
    if (kind == TOPIC_CLUSTER || kind == TOPIC_ASSIGNMENT)
        return name_parse_cluster(text, ret_name, err);
    return name_parse(text, context, ret_name, err);
}

enum code meaning_parse(enum topic_kind kind, struct str text, const struct name_context *context,
                        struct name *ret_name, struct err *err)
{
    char room[NAME_TEXT_MAX];
    struct xdstp xdstp;
    struct str id;
    enum code code;

    if (!xdstp_is(text))
        return parse_plain(kind, text, context, ret_name, err);
    if ((code = xdstp_parse(text, &xdstp, err)) != CODE_OK)
        return code;
    if (!str_eq(xdstp.type, type_of(kind)))
        return fail(err, CODE_INVALID_ARGUMENT, "name '%" STR_FMT "' is of another resource type",
                    STR_ARG(str_slice(text, 0, 256)));
    code = xdstp_read_id(&xdstp, room, &id, err);
    return code == CODE_OK ? parse_plain(kind, id, context, ret_name, err) : code;
}

static struct str authority_of(struct str text)
{
    struct xdstp xdstp;

    return xdstp_is(text) && xdstp_parse(text, &xdstp, NULL) == CODE_OK ? xdstp.authority : STR("");
}

static bool is_external(const struct service *service)
{
    return service && service->type == SERVICE_EXTERNAL_NAME;
}

/* ---- finding ---- */

static void find_external(struct meaning *meaning)
{
    if (meaning->name.hostname.len > 0)
        meaning->problem = "a Service of type ExternalName has no pods";
    else if (!service_external_target(meaning->service, &meaning->name.port, &meaning->number,
                                      &meaning->problem))
        meaning->number = 0;
}

static void find_port(struct meaning *meaning)
{
    meaning->port = service_find_port(meaning->service, &meaning->name.port, &meaning->problem);
    if (meaning->port)
        meaning->number = meaning->port->number;
}

static const char *why_unknown(const struct name *name)
{
    return name->form == NAME_HOST && name->service.len == 0 ? "no LookasideService has this host"
                                                             : "no such Service";
}

static void find_policy(struct meaning *meaning, const struct sight *sight)
{
    meaning->policy = route_policy(meaning->service, meaning->port,
                                   meaning->number ? meaning->number : meaning->name.port.number);
    if (!meaning_has_route(meaning->kind))
        return;
    route_find(sight, &meaning->name, &meaning->route);
    meaning->route.authority = authority_of(meaning->text);
    meaning->route.names_missing = meaning->names_missing;
    if (meaning->plain)
        route_make_plain(&meaning->route);
}

void meaning_find(struct meaning *meaning, const struct sight *sight)
{
    route_set_owner(sight, &meaning->name);
    meaning->service = sight_find(sight, meaning->name.namespace_name, meaning->name.service);
    meaning->port = NULL;
    meaning->number = 0;
    meaning->problem = NULL;
    if (!meaning->service)
        meaning->problem = why_unknown(&meaning->name);
    else if (is_external(meaning->service) && meaning->kind != TOPIC_ASSIGNMENT)
        find_external(meaning);
    else /* of an ExternalName: what it listed before, while a hold keeps that */
        find_port(meaning);
    find_policy(meaning, sight);
}

/* ---- who may see it ---- */

/* Bit 0 is its own Service's, the others are its backends'. */
static size_t services_of(const struct meaning *meaning,
                          const struct service *out[1 + ROUTE_TARGETS_MAX])
{
    size_t len = 1;

    out[0] = meaning->service;
    if (!meaning_has_route(meaning->kind))
        return len;
    for (size_t i = 0; i < meaning->route.len; i++)
        out[len++] = meaning->route.targets[i].found;
    return len;
}

uint64_t meaning_hidden(const struct meaning *meaning, enum default_access otherwise,
                        const struct caller *caller)
{
    const struct service *services[1 + ROUTE_TARGETS_MAX];
    size_t len = services_of(meaning, services);
    uint64_t hidden = 0;

    for (size_t i = 0; i < len && hidden != 1; i++)
        if (services[i] && !access_allows(services[i], otherwise, caller))
            hidden |= UINT64_C(1) << i;
    return hidden;
}

bool meaning_is_restricted(const struct meaning *meaning, enum default_access otherwise)
{
    const struct service *services[1 + ROUTE_TARGETS_MAX];
    size_t len = services_of(meaning, services);

    for (size_t i = 0; i < len; i++)
        if (services[i] && !access_is_open(services[i], otherwise))
            return true;
    return false;
}

/* One pod is meant from everywhere. */
bool meaning_by_place(const struct meaning *meaning)
{
    if (meaning->kind == TOPIC_GRPCLB && meaning_splits(meaning))
        return false;
    return !topic_is_route(meaning->kind) && meaning->kind != TOPIC_CLUSTER && meaning->port &&
           meaning->port->by_place && meaning->name.hostname.len == 0;
}

/* ---- encoding ---- */

static bool has_hostname(const struct backend_list *list, struct str hostname)
{
    for (size_t i = 0; i < list->len; i++)
        if (hostname.len == 0 || str_eq(list->items[i].backend->endpoint->hostname, hostname))
            return true;
    return false;
}

const char *meaning_why_empty(const struct meaning *meaning, const struct backend_list *list)
{
    const struct service_port *port = meaning->port;

    if (has_hostname(list, meaning->name.hostname))
        return NULL;
    if (list->len > 0)
        return "no listed pod has this hostname";
    if (view_is_local(port) && port->list.len > 0)
        return "internalTrafficPolicy is Local, and no endpoint on the client's node is ready";
    return port->total ? "no endpoint is ready" : "no EndpointSlice has endpoints at this port";
}

/* 0 means "none". */
uint64_t meaning_hash(const struct blob *blob)
{
    return hash_content(blob->bytes, blob->len) | 1;
}

static struct blob *encode_list(const struct meaning *meaning, const struct backend_list *list,
                                uint64_t *ret_version)
{
    /* For slices without ports: the Service port's number, however it was named. */
    uint16_t asked = meaning->number ? meaning->number : meaning->name.port.number;
    struct blob *blob;

    if (meaning->kind == TOPIC_NATIVE)
        return encode_native_list(list, asked, meaning->name.hostname, ret_version);
    blob = encode_assignment(meaning->text, list, asked, meaning->name.hostname);
    *ret_version = meaning_hash(blob);
    return blob;
}

static struct blob *encode_view(const struct meaning *meaning, const struct view *view,
                                uint64_t *ret_version, const char **ret_problem)
{
    struct arena arena = {0};
    struct backend_list list;
    struct blob *blob;

    view_list(meaning->port, view, &arena, &list);
    *ret_problem = meaning_why_empty(meaning, &list);
    blob = encode_list(meaning, &list, ret_version);
    arena_done(&arena);
    return blob;
}

static struct blob *encode_backends(const struct meaning *meaning, const struct view *view,
                                    uint64_t *ret_version, const char **ret_problem)
{
    if (meaning->port)
        return encode_view(meaning, view, ret_version, ret_problem);
    if (meaning->kind == TOPIC_NATIVE && is_external(meaning->service) && meaning->number)
        return encode_native_host(meaning->service->external_name, meaning->number, ret_version);
    return encode_list(meaning, NULL, ret_version);
}

struct blob *meaning_encode_cluster(const struct service *service, struct str name, uint16_t number,
                                    const struct policy *policy, bool reports_load)
{
    if (is_external(service) && number)
        return encode_cluster_dns(name, service->external_name, number, policy, reports_load);
    return encode_cluster(name, policy, reports_load);
}

static struct blob *encode_to(const struct meaning *meaning)
{
    struct route route = meaning->route;
    struct policy policy;

    client_spare(route.policy, meaning->faults, &policy);
    route.policy = &policy;
    return meaning->kind == TOPIC_LISTENER ? encode_listener(meaning->text, &route)
                                           : encode_route(meaning->text, &route);
}

static struct blob *encode_named(const struct meaning *meaning)
{
    struct policy policy;

    if (topic_is_route(meaning->kind))
        return encode_to(meaning);
    client_spare(meaning->plain ? policy_default() : meaning->policy, meaning->faults, &policy);
    return meaning_encode_cluster(meaning->service, meaning->text, meaning->number, &policy,
                                  meaning->reports_load);
}

/* A problem is content too: who sees "no such Service" must see it change to another problem. */
static uint64_t problem_version(uint64_t version, const char *problem)
{
    return problem ? hash_mix(version, hash_content(problem, strlen(problem))) | 1 : version;
}

struct blob *meaning_encode(const struct meaning *meaning, const struct view *view,
                            uint64_t *ret_version, const char **ret_problem)
{
    const char *problem = meaning->problem;
    struct blob *blob;

    if (meaning->kind == TOPIC_GRPCLB)
        return meaning_encode_grpclb(meaning, view, ret_version, ret_problem);
    if (topic_is_route(meaning->kind) || meaning->kind == TOPIC_CLUSTER) {
        blob = encode_named(meaning);
        *ret_version = meaning_hash(blob);
    } else {
        blob = encode_backends(meaning, view, ret_version, &problem);
    }
    if (meaning->kind == TOPIC_NATIVE)
        *ret_version = problem_version(*ret_version, problem);
    *ret_problem = problem;
    return blob;
}

/* Native lists do not tell the node: what lists of other views say, too, has to have their version. */
bool meaning_is_told_apart(const struct meaning *meaning, const struct view *view)
{
    return meaning->kind == TOPIC_ASSIGNMENT && view_is_of_node(view);
}

uint64_t meaning_version(const struct meaning *meaning, const struct view *view, uint64_t whole)
{
    return hash_mix(whole, view_near_hash(meaning->port, view)) | 1;
}
