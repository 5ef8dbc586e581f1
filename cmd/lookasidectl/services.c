/* lookasidectl services: what is published, from the admin port. */
#include <stdio.h>

#include "command.h"

static const char *member_text(const struct json *json, const char *key, char out[256])
{
    struct str text = json_text(json_get(json, key));

    snprintf(out, 256, "%" STR_FMT, STR_ARG(text));
    return out;
}

static void add_port(struct table *table, const struct json *service, const struct json *port)
{
    const struct json *endpoint;
    char text[256], zones[256] = "";
    struct str last = STR("");
    size_t len = 0;

    for (endpoint = json_first(json_get(port, "endpoints")); endpoint; endpoint = json_next(endpoint)) {
        struct str zone = json_text(json_get(endpoint, "zone"));

        /* Endpoints come sorted by zone. */
        if (zone.len && !str_eq(zone, last) && len < sizeof(zones) - 70)
            len += (size_t)snprintf(zones + len, sizeof(zones) - len, "%s%.63s", len ? "," : "",
                                    json_text(json_get(endpoint, "zone")).ptr);
        last = zone;
    }
    table_add(table, member_text(service, "namespace", text));
    table_add(table, member_text(service, "name", text));
    table_addf(table, "%.0f", json_number(json_get(port, "number")));
    table_add(table, member_text(port, "name", text));
    table_addf(table, "%.0f", json_number(json_get(port, "ready")));
    table_addf(table, "%.0f", json_number(json_get(port, "draining")));
    table_addf(table, "%.0f", json_number(json_get(port, "total")));
    table_addf(table, "%zu", json_len(json_get(port, "endpoints")));
    table_add(table, zones);
}

static void print_services(const struct json *dump)
{
    static const char *const head[] = {"NAMESPACE", "SERVICE", "PORT",   "NAME", "READY",
                                       "DRAINING",  "TOTAL",   "LISTED", "ZONES"};
    struct table table = {.columns = ARRAY_LEN(head)};
    const struct json *service, *port;

    for (size_t i = 0; i < ARRAY_LEN(head); i++)
        table_add(&table, head[i]);
    for (service = json_first(json_get(dump, "services")); service; service = json_next(service))
        for (port = json_first(json_get(service, "ports")); port; port = json_next(port))
            add_port(&table, service, port);
    table_print(&table);
    table_done(&table);
}

static int run(int argc, char **argv)
{
    const char *admin = "127.0.0.1:18080", *output = "table";
    const struct flag flags[] = {
        {"admin", "HOST:PORT", "the admin port of a Lookaside; also unix:/path", &admin},
        {"output", "table|json", "-o for short", &output},
    };
    struct buf text = BUFFER_INIT(1024u * 1024 * 1024);
    struct json *dump = NULL;
    bool as_json;
    int exit_code;

    if (!flags_parse(&services_command, argc, argv, flags, ARRAY_LEN(flags), NULL, 0, 0, &exit_code))
        return exit_code;
    if (!output_is_json(output, &as_json))
        return 2;
    exit_code = admin_read(admin, "/debug/services", &dump, &text) ? 0 : 1;
    if (exit_code == 0 && as_json)
        fwrite(text.ptr, 1, text.len, stdout);
    else if (exit_code == 0)
        print_services(dump);
    json_free(dump);
    buf_done(&text);
    return exit_code;
}

const struct command services_command = {
    "services",
    "services [--admin HOST:PORT] [-o table|json]",
    "list the Services that are published, and their backends",
    run,
};
