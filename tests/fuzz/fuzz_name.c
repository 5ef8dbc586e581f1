/*
 * Any bytes as a name, of a Listener and of a Cluster: what is accepted is made of DNS labels and
 * survives formatting and parsing.
 */
#include "model/name.h"
#include "must_hold.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_label(struct str text)
{
    must_hold(text.len > 0 && text.len <= 63);
    must_hold(text.ptr[0] != '-' && text.ptr[text.len - 1] != '-');
    for (size_t i = 0; i < text.len; i++)
        must_hold((text.ptr[i] >= 'a' && text.ptr[i] <= 'z') ||
                  (text.ptr[i] >= '0' && text.ptr[i] <= '9') || text.ptr[i] == '-');
}

static void check_host(struct str host)
{
    must_hold(host.len <= 253);
    while (host.ptr)
        check_label(str_cut(&host, '.'));
}

static void check_name(const struct name *name)
{
    must_hold((name->form == NAME_HOST) == (name->host.len > 0));
    if (name->form == NAME_HOST) {
        must_hold(name->namespace_name.len + name->service.len + name->hostname.len == 0);
        check_host(name->host);
    } else {
        check_label(name->namespace_name);
        check_label(name->service);
        if (name->hostname.len > 0)
            check_label(name->hostname);
    }
    if (name->port.kind == PORT_NAME)
        check_label(name->port.name);
    must_hold((name->port.kind == PORT_NUMBER) == (name->port.number != 0));
}

/* Formats, parses and formats again. */
static void check_round_trip(const struct name *name, char out[NAME_TEXT_MAX + 8])
{
    struct name again;
    char twice[NAME_TEXT_MAX + 8];

    name_format_cluster(name, 0, out);
    must_hold(name_parse_cluster(str_of(out), &again, NULL) == CODE_OK);
    check_name(&again);
    must_hold(str_eq(again.namespace_name, name->namespace_name));
    must_hold(str_eq(again.service, name->service) && str_eq(again.hostname, name->hostname));
    must_hold(str_eq(again.host, name->host));
    must_hold(again.port.kind == name->port.kind && again.port.number == name->port.number);
    name_format_cluster(&again, 0, twice);
    must_hold(strcmp(out, twice) == 0);
    name_format_cluster(name, 65535, twice);
    must_hold(str_ends_with(str_of(twice), STR(":65535")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const suffixes[] = {"example.com", "mesh.local", NULL};
    static const struct name_context contexts[] = {
        {STR_INIT("web"), STR_INIT("cluster.local"), NULL},
        {STR_INIT("web"), STR_INIT("cluster.local"), suffixes},
        {STR_INIT(""), STR_INIT(""), NULL},
        {STR_INIT("not/ours"), STR_INIT("svc"), NULL},
    };
    struct str text = str_make(data, size);
    char out[NAME_TEXT_MAX + 8];
    struct err err = {0};
    struct name name;

    for (size_t i = 0; i < ARRAY_LEN(contexts); i++) {
        if (name_parse(text, &contexts[i], &name, &err) == CODE_OK) {
            check_name(&name);
            check_round_trip(&name, out);
        } else {
            must_hold(err.code == CODE_INVALID_ARGUMENT && err.msg[0] != '\0');
        }
    }
    if (name_parse_cluster(text, &name, NULL) == CODE_OK) {
        check_name(&name);
        check_round_trip(&name, out);
        must_hold(str_eq(str_of(out), text)); /* one spelling only */
    }
    return 0;
}
