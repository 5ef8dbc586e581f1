#include "model/name.h"

#define LABEL_MAX 63
#define HOST_MAX 253

static bool is_alnum(char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9');
}

bool name_is_label(struct str text)
{
    if (text.len == 0 || text.len > LABEL_MAX || !is_alnum(text.ptr[0]) ||
        !is_alnum(text.ptr[text.len - 1]))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_alnum(text.ptr[i]) && text.ptr[i] != '-')
            return false;
    }
    return true;
}

size_t name_count_labels(struct str text)
{
    size_t labels = 0;

    do {
        if (!name_is_label(str_cut(&text, '.')))
            return 0;
        labels++;
    } while (text.ptr);
    return labels;
}

static enum code fail_name(struct err *err, struct str text, const char *cause)
{
    struct str shown = str_slice(text, 0, 128);

    return fail(err, CODE_INVALID_ARGUMENT, "name '%" STR_FMT "%s' %s", STR_ARG(shown),
                shown.len < text.len ? "..." : "", cause);
}

/* NULL, or what is wrong. */
static const char *parse_port(struct str text, struct port_ref *ret_port)
{
    uint64_t number;

    if (str_is_digits(text)) {
        if (text.ptr[0] == '0' || !str_to_u64(text, UINT16_MAX, &number))
            return "has a port that is not between 1 and 65535";
        *ret_port = (struct port_ref){.kind = PORT_NUMBER, .number = (uint16_t)number};
        return NULL;
    }
    if (!name_is_label(text))
        return "has a port that is neither a number nor a port's name";
    *ret_port = (struct port_ref){.kind = PORT_NAME, .name = text};
    return NULL;
}

/* The copy that all parts point into. */
static struct str keep_text(struct name *name, struct str text, bool lower)
{
    for (size_t i = 0; i < text.len; i++) {
        char ch = text.ptr[i];

        name->text[i] = lower && ch >= 'A' && ch <= 'Z' ? (char)(ch - 'A' + 'a') : ch;
    }
    name->text[text.len] = '\0';
    return str_make(name->text, text.len);
}

static bool ends_with(struct str host, struct str suffix)
{
    size_t at = host.len - suffix.len;

    return suffix.len > 0 && host.len > suffix.len + 1 && host.ptr[at - 1] == '.' &&
           str_eq_nocase(str_slice(host, at, host.len), suffix);
}

/* Cuts ".<suffix>" off; the suffix is compared without case. */
static bool cut_suffix(struct str *host, struct str suffix)
{
    if (!ends_with(*host, suffix))
        return false;
    host->len -= suffix.len + 1;
    return true;
}

/* The number of labels, or 0 if one is malformed or there are more than three. */
static size_t split(struct str host, struct str labels[3])
{
    size_t len = 0;

    while (host.ptr) {
        struct str label = str_cut(&host, '.');

        if (len == 3 || !name_is_label(label))
            return 0;
        labels[len++] = label;
    }
    return len;
}

/* <service>.<namespace> or <hostname>.<service>.<namespace> */
static bool take_labels(const struct str *labels, size_t len, struct name *name)
{
    if (len < 2)
        return false;
    name->namespace_name = labels[len - 1];
    name->service = labels[len - 2];
    name->hostname = len == 3 ? labels[0] : STR("");
    return true;
}

/* With .svc or .svc.<domain>: tried first, and only where two or three labels are in front of it (else
 * "greeter.svc" would lose the namespace "svc"). */
static bool parse_svc(struct str host, struct str domain, struct name *name)
{
    struct str labels[3];
    struct str rest = host;

    name->form = NAME_SVC_DOMAIN;
    if (domain.len > 0 && cut_suffix(&rest, domain) && cut_suffix(&rest, STR("svc")) &&
        take_labels(labels, split(rest, labels), name))
        return true;
    name->form = NAME_SVC;
    rest = host;
    return cut_suffix(&rest, STR("svc")) && take_labels(labels, split(rest, labels), name);
}

bool name_is_under(struct str host, const char *const *suffixes)
{
    for (size_t i = 0; suffixes && suffixes[i]; i++) {
        struct str suffix = str_of(suffixes[i]);

        if (str_eq_nocase(host, suffix) || ends_with(host, suffix))
            return true;
    }
    return false;
}

/* NULL, or what is wrong. A suffix has two labels at least. */
static const char *take_host(struct str host, struct name *name)
{
    if (host.len > HOST_MAX)
        return "has a host that is too long";
    switch (name_count_labels(host)) {
    case 0:
        return "has a host that is not DNS labels";
    case 1:
        return "has a host of one label";
    }
    name->form = NAME_HOST;
    name->host = host;
    name->namespace_name = name->service = name->hostname = STR("");
    return NULL;
}

/* NULL, or what is wrong. */
static const char *parse_host(struct str host, const struct name_context *context,
                              struct name *name)
{
    struct str labels[3];
    size_t len;

    if (host.len > 0 && host.ptr[host.len - 1] == '.')
        host.len--;
    if (host.len == 0)
        return "has no host";
    name->host = STR("");
    if (parse_svc(host, context->cluster_domain, name))
        return NULL;
    if (name_is_under(host, context->host_suffixes))
        return take_host(host, name);
    len = split(host, labels);
    if (len == 0)
        return "is not one to three DNS labels";
    name->form = len == 1 ? NAME_ONE_LABEL : len == 2 ? NAME_TWO_LABELS : NAME_THREE_LABELS;
    if (take_labels(labels, len, name))
        return NULL;
    if (context->default_namespace.len == 0)
        return "has no namespace, and the client has none either";
    if (!name_is_label(context->default_namespace))
        return "has no namespace, and the client's is malformed";
    name->namespace_name = context->default_namespace;
    name->service = labels[0];
    name->hostname = STR("");
    return NULL;
}

/* One label has room behind it for the namespace that it did not say. */
static void keep_namespace(struct name *name, size_t used)
{
    char *copy = name->text + used + 1;
    struct str given = name->namespace_name;

    if (name->form == NAME_HOST)
        return;
    if (given.ptr >= name->text && given.ptr < name->text + sizeof(name->text))
        return;
    memcpy(copy, given.ptr, given.len);
    copy[given.len] = '\0';
    name->namespace_name = str_make(copy, given.len);
}

static enum code check_length(struct str text, struct err *err)
{
    if (text.len > NAME_TEXT_MAX)
        return fail_name(err, text, "is too long");
    if (text.len == 0)
        return fail(err, CODE_INVALID_ARGUMENT, "name is empty");
    return CODE_OK;
}

enum code name_parse(struct str text, const struct name_context *context, struct name *ret_name,
                     struct err *err)
{
    enum code code = check_length(text, err);
    const char *fault = NULL;
    struct str port, host;

    if (code != CODE_OK)
        return code;
    port = keep_text(ret_name, text, true);
    host = str_cut(&port, ':');
    ret_name->port = (struct port_ref){.kind = PORT_NONE};
    if (port.ptr)
        fault = parse_port(port, &ret_name->port);
    if (!fault)
        fault = parse_host(host, context, ret_name);
    if (fault)
        return fail_name(err, text, fault);
    keep_namespace(ret_name, text.len);
    return CODE_OK;
}

void name_set_owner(struct name *name, struct str owner)
{
    struct str service = owner;

    name->namespace_name = str_cut(&service, '/');
    name->service = service.ptr ? service : STR("");
}

/* <namespace>/<service>[/<hostname>] or /<host> */
static const char *parse_path(struct str path, struct name *name)
{
    struct str parts[3] = {STR(""), STR(""), STR("")};
    size_t len = 0;

    if (str_starts_with(path, STR("/")))
        return take_host(str_slice(path, 1, path.len), name);
    name->form = NAME_TWO_LABELS;
    name->host = STR("");
    while (path.ptr) {
        struct str part = str_cut(&path, '/');

        if (len == ARRAY_LEN(parts) || !name_is_label(part))
            return "is not <namespace>/<service>[/<hostname>]:<port>";
        parts[len++] = part;
    }
    if (len < 2)
        return "is not <namespace>/<service>[/<hostname>]:<port>";
    name->namespace_name = parts[0];
    name->service = parts[1];
    name->hostname = parts[2];
    return NULL;
}

enum code name_parse_cluster(struct str text, struct name *ret_name, struct err *err)
{
    enum code code = check_length(text, err);
    const char *fault = NULL;
    struct str port, path;

    if (code != CODE_OK)
        return code;
    port = keep_text(ret_name, text, false);
    path = str_cut(&port, ':');
    ret_name->port = (struct port_ref){.kind = PORT_NONE};
    if (!port.ptr)
        fault = "has no port";
    else if (port.len > 0)
        fault = parse_port(port, &ret_name->port);
    if (!fault)
        fault = parse_path(path, ret_name);
    return fault ? fail_name(err, text, fault) : CODE_OK;
}

static void format(struct str path, const struct port_ref *port, uint16_t number, char *out)
{
    int len = snprintf(out, NAME_CLUSTER_MAX, "%" STR_FMT ":", STR_ARG(path));

    if (len < 0 || len >= NAME_CLUSTER_MAX)
        return;
    if (number != 0 || port->kind == PORT_NUMBER)
        snprintf(out + len, NAME_CLUSTER_MAX - (size_t)len, "%u",
                 (unsigned)(number != 0 ? number : port->number));
    else if (port->kind == PORT_NAME)
        snprintf(out + len, NAME_CLUSTER_MAX - (size_t)len, "%" STR_FMT, STR_ARG(port->name));
}

void name_format_target(struct str namespace_name, struct str service, struct str hostname,
                        const struct port_ref *port, uint16_t number, char *out)
{
    char path[NAME_CLUSTER_MAX];
    int len = snprintf(path, sizeof(path), "%" STR_FMT "/%" STR_FMT "%s%" STR_FMT,
                       STR_ARG(namespace_name), STR_ARG(service), hostname.len ? "/" : "",
                       STR_ARG(hostname));

    format(str_make(path, min_size((size_t)len, sizeof(path) - 1)), port, number, out);
}

void name_format_cluster(const struct name *name, uint16_t number, char *out)
{
    if (name->form == NAME_HOST && name->service.len == 0)
        name_format_target(STR(""), name->host, STR(""), &name->port, number, out);
    else
        name_format_target(name->namespace_name, name->service, name->hostname, &name->port, number,
                           out);
}
