#include "controller/resource.h"

#include <stdarg.h>

#include "base/utf8.h"
#include "controller/hosts.h"
#include "controller/refusal.h"
#include "controller/resource_internal.h"
#include "model/name.h"

#define LIST_MAX 256  /* of names in a message */
#define WORDS_MAX 160 /* the end of a client's own */

const char *condition_name(enum condition_kind kind)
{
    static const char *const names[CONDITIONS] = {
        [CONDITION_ACCEPTED] = "Accepted",
        [CONDITION_RESOLVED_REFS] = "ResolvedRefs",
        [CONDITION_PUBLISHED] = "Published",
    };

    return names[kind];
}

/* A LookasideService with what it is about. */
struct subject {
    const struct resource_sources *sources;
    const struct object *object;
    const struct policy *policy;   /* in force, or NULL */
    const struct group *group;     /* the Service's, or NULL */
    const struct service *service; /* as it is published, or NULL */
    struct resource_status *status;
};

void resource_set_condition(struct condition *condition, bool status, const char *reason,
                            const char *fmt, ...)
{
    va_list args;

    condition->status = status;
    condition->reason = reason;
    va_start(args, fmt);
    vsnprintf(condition->message, sizeof(condition->message), fmt, args);
    va_end(args);
}

/* ---- Accepted ---- */

/* Without the object's name, which its status need not say. */
static const char *fault_of(const struct object *object, const char *why)
{
    size_t len = strlen(object->key);

    return strncmp(why, object->key, len) == 0 && strncmp(why + len, ": ", 2) == 0 ? why + len + 2
                                                                                   : why;
}

static const struct policy *accepted_policy(const struct object *object)
{
    return value_is_accepted(object->value) ? object->value.policy : NULL;
}

/* No version was ever accepted, but who may see the Service is in force, as Published tells. */
static bool is_partial(const struct object *object)
{
    return object->value.policy && !accepted_policy(object);
}

static void set_invalid(const struct subject *subject, struct condition *condition)
{
    const char *why = subject->object->fault; /* NULL: it is deleted, or another version comes */
    const char *fault = why ? fault_of(subject->object, why) : "no version was accepted";
    uint64_t generation = subject->policy ? subject->policy->generation : 0;

    if (!subject->policy)
        resource_set_condition(condition, false, "Invalid", "%s", fault);
    else if (generation > 0)
        resource_set_condition(condition, false, "Invalid",
                               "%s; generation %llu is in force instead", fault,
                               (unsigned long long)generation);
    else
        resource_set_condition(condition, false, "Invalid",
                               "%s; the version before it is in force instead", fault);
}

static void set_not_allowed(const struct subject *subject, struct str host,
                            struct condition *condition)
{
    const char *const *suffix = publisher_options(subject->sources->publisher)->host_suffixes;
    char text[LIST_MAX] = "";
    size_t len = 0;

    for (; suffix && *suffix && len < sizeof(text) - 1; suffix++)
        len +=
            (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len > 0 ? ", " : "", *suffix);
    resource_set_condition(
        condition, false, "HostNotAllowed",
        "spec.hosts: '%" STR_FMT "' does not lie under a suffix that the administrator "
        "allows (--host-suffixes: %s): choose a host under one, or ask for another "
        "suffix; everything else is in force",
        STR_ARG(str_slice(host, 0, 128)), *text ? text : "none");
}

/* False: the host is not its own. */
static bool owns_host(const struct subject *subject, struct str host, struct condition *condition)
{
    const struct publisher *publisher = subject->sources->publisher;
    struct str owner = catalog_host(publisher_catalog(publisher), host);

    if (!name_is_under(host, publisher_options(publisher)->host_suffixes)) {
        set_not_allowed(subject, host, condition);
        return false;
    }
    if (owner.len == 0 || str_eq(owner, str_of(subject->object->key)))
        return true;
    resource_set_condition(condition, false, "HostConflict",
                           "spec.hosts: '%" STR_FMT "' belongs to %" STR_FMT
                           ": remove it from one of the two; everything else is in force",
                           STR_ARG(str_slice(host, 0, 128)), STR_ARG(owner));
    return false;
}

/* As many of them as have room, the first one's reason. */
static void add_fault(struct condition *condition, const struct condition *fault)
{
    struct buf text = BUFFER_INIT(2 * CONDITION_MESSAGE_MAX);

    if (condition->status) {
        *condition = *fault;
    } else {
        buf_printf(&text, "%s; %s", condition->message, fault->message);
        if (text.len < sizeof(condition->message))
            memcpy(condition->message, buf_cstr(&text), text.len + 1);
    }
    buf_done(&text);
}

static bool owns_hosts(const struct subject *subject, struct condition *condition)
{
    struct condition fault;

    condition->status = true;
    for (size_t i = 0; i < subject->policy->hosts_len; i++) {
        if (!owns_host(subject, subject->policy->hosts[i], &fault))
            add_fault(condition, &fault);
    }
    return condition->status;
}

static void set_accepted(const struct subject *subject)
{
    struct condition *condition = &subject->status->conditions[CONDITION_ACCEPTED];
    const char *flaw = subject->object->flawed ? subject->object->fault : NULL;

    if (subject->object->rejection || is_partial(subject->object))
        set_invalid(subject, condition);
    else if (owns_hosts(subject, condition))
        resource_set_condition(condition, true, "Accepted", "%s%s",
                               flaw ? fault_of(subject->object, flaw) : "",
                               flaw ? " (ignored)" : "");
}

/* ---- ResolvedRefs ---- */

static const struct service_spec *find_service(const struct subject *subject, struct str name)
{
    const struct group *group =
        store_group(subject->sources->store, subject->status->namespace_name, name);
    const struct object *object = group ? store_service(group) : NULL;

    return object ? &object->value.service->spec : NULL;
}

/* What has no ports of its own has those of its pods, or of whoever it leads to. */
static bool has_port(const struct service_spec *spec, const struct port_ref *port)
{
    bool open = spec->ports_len == 0 || spec->type != SERVICE_CLUSTER_IP;

    if (port->kind == PORT_NONE || (open && port->kind == PORT_NUMBER) || spec->ports_len == 0)
        return true;
    for (size_t i = 0; i < spec->ports_len; i++) {
        if (spec->ports[i].protocol == PROTOCOL_TCP &&
            policy_is_port(port, spec->ports[i].name, spec->ports[i].number))
            return true;
    }
    return false;
}

static void format_port(const struct port_ref *port, char out[64])
{
    if (port->kind == PORT_NUMBER)
        snprintf(out, 64, "%u", (unsigned)port->number);
    else
        snprintf(out, 64, "%" STR_FMT, STR_ARG(port->name));
}

static void list_ports(const struct service_spec *spec, char out[LIST_MAX])
{
    size_t len = 0;

    snprintf(out, LIST_MAX, "no TCP port");
    for (size_t i = 0; i < spec->ports_len && len < LIST_MAX - 80; i++) {
        const struct service_spec_port *port = &spec->ports[i];

        if (port->protocol == PROTOCOL_TCP)
            len += (size_t)snprintf(out + len, LIST_MAX - len, "%s%u%s%" STR_FMT,
                                    len > 0 ? ", " : "", (unsigned)port->number,
                                    port->name.len > 0 ? " " : "", STR_ARG(port->name));
    }
}

static bool resolve_backend(const struct subject *subject, const struct policy_backend *backend,
                            struct condition *condition, struct str *ret_missing)
{
    const struct service_spec *spec = find_service(subject, backend->service);
    const char *consequence =
        backend->fail_when_empty ? "its share of the calls fails" : "the other backends take over";
    char port[64], ports[LIST_MAX];

    if (!spec) {
        *ret_missing = backend->service;
        resource_set_condition(
            condition, false, "BackendNotFound",
            "spec.backends: there is no Service '%" STR_FMT "' in namespace %" STR_FMT
            ": create it, or remove the backend; until then %s",
            STR_ARG(backend->service), STR_ARG(subject->status->namespace_name), consequence);
        return false;
    }
    if (has_port(spec, &backend->port))
        return true;
    format_port(&backend->port, port);
    list_ports(spec, ports);
    resource_set_condition(condition, false, "BackendPortNotFound",
                           "spec.backends: Service '%" STR_FMT
                           "' has no TCP port '%s', but %s: name one of those; until then %s",
                           STR_ARG(backend->service), port, ports, consequence);
    return false;
}

/* The Service of its name, with spec.port. */
static bool resolve_own(const struct subject *subject, struct condition *condition,
                        struct str *ret_missing)
{
    const struct service_spec *spec = find_service(subject, subject->status->name);
    char port[64], ports[LIST_MAX];

    if (!spec) {
        *ret_missing = subject->status->name;
        resource_set_condition(condition, false, "ServiceNotFound",
                               "there is no Service '%" STR_FMT "' in namespace %" STR_FMT
                               ": create it, or give the resource the name of one",
                               STR_ARG(subject->status->name),
                               STR_ARG(subject->status->namespace_name));
        return false;
    }
    if (!subject->policy || has_port(spec, &subject->policy->port))
        return true;
    format_port(&subject->policy->port, port);
    list_ports(spec, ports);
    resource_set_condition(
        condition, false, "PortNotFound",
        "spec.port: the Service has no TCP port '%s', but %s: name one of those; "
        "until then nothing of the resource is in force",
        port, ports);
    return false;
}

/* How many Services it names, its own with them. */
static size_t references(const struct subject *subject)
{
    return 1 + (subject->policy ? subject->policy->backends_len : 0);
}

/* False: number `index` of them leads nowhere. *ret_missing gets the name of a Service that there
 * is not. */
static bool resolve(const struct subject *subject, size_t index, struct condition *condition,
                    struct str *ret_missing)
{
    return index == 0 ? resolve_own(subject, condition, ret_missing)
                      : resolve_backend(subject, &subject->policy->backends[index - 1], condition,
                                        ret_missing);
}

/* The policy's port, or the one with most endpoints. */
static const struct service_port *main_port(const struct subject *subject)
{
    const struct service *service = subject->service;
    const struct service_port *most = NULL;

    for (size_t i = 0; service && i < service->ports_len; i++) {
        const struct service_port *port = &service->ports[i];

        if (subject->policy && !policy_is_port(&subject->policy->port, port->name, port->number))
            continue;
        if (!most || port->total > most->total)
            most = port;
    }
    return most;
}

/* Nobody takes calls there. A backend without a port has the one that is dialled, else its Service's default. */
static bool is_empty(const struct service *service, const struct port_ref *port, uint16_t dialled)
{
    const struct port_ref number = {.kind = PORT_NUMBER, .number = dialled};
    const struct service_port *found = NULL;
    const char *reason;

    if (service->type == SERVICE_EXTERNAL_NAME)
        return false;
    if (port->kind == PORT_NONE && dialled != 0)
        found = service_find_port(service, &number, &reason);
    if (!found)
        found = service_find_port(service, port, &reason);
    return !found || found->list.len == 0;
}

/* Of a Service that is there: why it gets no calls; NULL: it does. */
static const char *why_idle(const struct subject *subject, const struct policy_backend *backend)
{
    const struct publisher *publisher = subject->sources->publisher;
    struct str namespace_name = subject->status->namespace_name;
    const struct group *group =
        store_group(subject->sources->store, namespace_name, backend->service);
    const struct service *service =
        catalog_find(publisher_catalog(publisher), namespace_name, backend->service);
    const struct service_port *own = main_port(subject);

    if (!service && group && publisher_publishes(publisher, group))
        return NULL; /* in a moment */
    if (!service)
        return "is not published (--publish): annotate it, or give it a LookasideService";
    if (is_empty(service, &backend->port, own ? own->number : 0))
        return "has no endpoint that takes calls: look at its pods, or give it weight 0";
    return NULL;
}

/* True: every backend that has a weight has somebody who takes its calls. */
static bool fill_backends(const struct subject *subject, struct condition *condition)
{
    const struct policy *policy = subject->policy;
    const char *whys[POLICY_BACKENDS_MAX] = {NULL};
    struct condition fault;
    bool any = false;

    condition->status = true;
    for (size_t i = 0; policy && i < policy->backends_len; i++) {
        whys[i] = policy->backends[i].weight > 0 ? why_idle(subject, &policy->backends[i]) : NULL;
        any = any || (policy->backends[i].weight > 0 && !whys[i]);
    }
    for (size_t i = 0; policy && i < policy->backends_len; i++) {
        const struct policy_backend *backend = &policy->backends[i];

        if (!whys[i])
            continue;
        resource_set_condition(&fault, false, "BackendEmpty",
                               "spec.backends: Service '%" STR_FMT "' %s; until then %s",
                               STR_ARG(backend->service), whys[i],
                               !any                       ? "all calls fail"
                               : backend->fail_when_empty ? "its share of the calls fails"
                                                          : "the other backends take over");
        add_fault(condition, &fault);
    }
    return condition->status;
}

static void set_resolved(const struct subject *subject)
{
    struct condition *condition = &subject->status->conditions[CONDITION_RESOLVED_REFS];
    struct str missing;

    for (size_t i = 0; i < references(subject); i++) {
        if (!resolve(subject, i, condition, &missing))
            return;
    }
    if (fill_backends(subject, condition))
        resource_set_condition(condition, true, "ResolvedRefs", "%s", "");
}

/* ---- Published ---- */

struct refusing {
    char *text;
    size_t len;
};

/* Whoever is let alone has not refused as a kind. */
static void add_refusing(void *ctx, const struct refusal_info *info)
{
    struct refusing *kinds = ctx;
    struct str words = utf8_tail(str_of(info->message), WORDS_MAX);
    int len;

    if (!info->plain)
        return;
    len = snprintf(kinds->text + kinds->len, LIST_MAX - kinds->len, "%s%.64s ('%s%" STR_FMT "')",
                   kinds->len > 0 ? ", " : "", info->agent,
                   words.len < strlen(info->message) ? "..." : "", STR_ARG(words));
    kinds->len = min_u64(kinds->len + (size_t)len, LIST_MAX - 1);
}

/* False: no kind of client refuses what is in force. */
static bool set_rejected(const struct subject *subject, struct condition *condition)
{
    char text[LIST_MAX] = "";
    struct refusing kinds = {text, 0};

    refusals_each(subject->group->refusals, subject->policy, add_refusing, &kinds);
    if (kinds.len == 0)
        return false;
    resource_set_condition(
        condition, false, "ClientRejected",
        "clients of these kinds refuse the policy, and get the Service without it: "
        "%s; a changed spec is tried again",
        text);
    return true;
}

/* False: the Service has spec.port. */
static bool set_unported(const struct subject *subject, struct condition *condition)
{
    const struct service_spec *spec = find_service(subject, subject->status->name);
    char port[64];

    if (!spec || has_port(spec, &subject->policy->port))
        return false;
    format_port(&subject->policy->port, port);
    resource_set_condition(
        condition, false, "NotPublished",
        "the Service is published without the resource, since it has no TCP port '%s' "
        "(spec.port)",
        port);
    return true;
}

/* False: somebody may be identified, or need not be. */
static bool set_unseen(const struct subject *subject, struct condition *condition)
{
    if (!subject->policy->access_given ||
        publisher_options(subject->sources->publisher)->identifies)
        return false;
    resource_set_condition(condition, false, "NobodyIdentified",
                           "no client sees the Service: spec.access says who may, and nothing that "
                           "tells who clients are is switched on (" IDENTITY_WAYS ")");
    return true;
}

/* What the Service has besides the defaults. */
static const char *partial_text(const struct subject *subject)
{
    if (subject->object->value.policy->access_fault)
        return "the Service has the defaults, but no client sees it (spec.access cannot be read)";
    if (!publisher_options(subject->sources->publisher)->identifies)
        return "the Service has the defaults, but no client sees it: nothing that tells who "
               "clients are is switched on";
    return "the Service has the defaults, for those who may see it (spec.access)";
}

static void set_published(const struct subject *subject)
{
    struct condition *condition = &subject->status->conditions[CONDITION_PUBLISHED];
    const struct controller_options *options = publisher_options(subject->sources->publisher);

    if (!subject->policy)
        resource_set_condition(
            condition, false, "NeverAccepted", "no version was ever accepted: %s",
            !subject->service              ? "the Service is not published"
            : is_partial(subject->object)  ? partial_text(subject)
            : options->mode == PUBLISH_ALL ? "the Service has the defaults"
                                           : "the Service has the defaults, by its annotation");
    else if (!subject->service)
        resource_set_condition(condition, false, "NotPublished",
                               "there is no Service '%" STR_FMT "' to publish",
                               STR_ARG(subject->status->name));
    else if (!set_unseen(subject, condition) && !set_unported(subject, condition) &&
             !set_rejected(subject, condition))
        resource_set_noted(subject->policy, options->reports_load, condition);
}

/* ---- all of it ---- */

static void count(const struct subject *subject)
{
    const struct service_port *port = main_port(subject);
    struct hold_info info;

    if (port) {
        subject->status->ready = port->ready;
        subject->status->draining = port->draining;
        subject->status->total = port->total;
    }
    if (subject->group && store_hold(subject->group, &info))
        subject->status->hold = info.hold;
}

static struct subject subject_of(const struct resource_sources *sources,
                                 const struct object *object, struct resource_status *status)
{
    struct str name = str_of(object->key);
    struct str namespace_name = str_cut(&name, '/');

    status->namespace_name = namespace_name;
    status->name = name;
    return (struct subject){
        .sources = sources,
        .object = object,
        .policy = accepted_policy(object),
        .group = store_group(sources->store, namespace_name, name),
        .service = catalog_find(publisher_catalog(sources->publisher), namespace_name, name),
        .status = status,
    };
}

void resource_read(const struct resource_sources *sources, const struct object *object,
                   struct resource_status *ret_status)
{
    const struct policy *policy = object->value.policy;
    struct subject subject;

    *ret_status = (struct resource_status){
        .uid = object->rejection ? str_of(object->rejection->uid) : policy->uid,
        .generation = object->rejection ? object->rejection->generation : policy->generation,
        .policy = accepted_policy(object),
        .created_us = object->value.created_us,
    };
    subject = subject_of(sources, object, ret_status);
    set_accepted(&subject);
    set_resolved(&subject);
    set_published(&subject);
    count(&subject);
}

void resource_each_fault(const struct resource_sources *sources, const struct object *object,
                         void (*visit)(void *ctx, const struct resource_fault *fault), void *ctx)
{
    struct resource_status status;
    struct subject subject = subject_of(sources, object, &status);
    struct condition condition;

    for (size_t i = 0; subject.policy && i < subject.policy->hosts_len; i++) {
        if (!owns_host(&subject, subject.policy->hosts[i], &condition))
            visit(ctx, &(struct resource_fault){&condition, STR("")});
    }
    for (size_t i = 0; i < references(&subject); i++) {
        struct resource_fault fault = {&condition, STR("")};

        /* That its own Service is missing was said first. */
        if (!resolve(&subject, i, &condition, &fault.missing) &&
            (i == 0 || !str_eq(fault.missing, status.name)))
            visit(ctx, &fault);
    }
}

struct resource_sort {
    const struct object **items;
    size_t len, cap;
};

static void collect(void *ctx, const struct object *object)
{
    struct resource_sort *sort = ctx;

    sort->items = xgrow(sort->items, &sort->cap, sort->len, sizeof(*sort->items));
    sort->items[sort->len++] = object;
}

static int cmp_object(const void *a, const void *b)
{
    struct str left = str_of((*(const struct object *const *)a)->key);
    struct str right = str_of((*(const struct object *const *)b)->key);
    struct str left_namespace = str_cut(&left, '/'), right_namespace = str_cut(&right, '/');
    int order = str_cmp(left_namespace, right_namespace);

    return order != 0 ? order : str_cmp(left, right);
}

void resource_each(const struct resource_sources *sources,
                   void (*visit)(void *ctx, const struct resource_status *status), void *ctx)
{
    struct resource_sort sort = {0};
    struct resource_status status;

    store_each_resource(sources->store, collect, &sort);
    if (sort.len > 1)
        qsort(sort.items, sort.len, sizeof(*sort.items), cmp_object);
    for (size_t i = 0; i < sort.len; i++) {
        resource_read(sources, sort.items[i], &status);
        visit(ctx, &status);
    }
    free(sort.items);
}
