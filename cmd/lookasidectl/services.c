/* lookasidectl services: what is published, from the admin port. */
#include <stdio.h>

#include "command.h"

#define NOTES_MAX 256

/* What makes a list other than the rules alone, or other for each client. */
static void add_notes(struct table *table, const struct json *service, const struct json *port)
{
    struct buf notes = BUFFER_INIT(NOTES_MAX);

    if (member(service, "hold").len)
        buf_printf(&notes, "held (%" STR_FMT ")", STR_ARG(member(service, "hold")));
    if (json_bool(json_get(port, "byPlace")))
        buf_printf(&notes, "%sby place", notes.len ? ", " : "");
    if (json_bool(json_get(service, "restricted")))
        buf_printf(&notes, "%snot for everybody", notes.len ? ", " : "");
    table_add(table, buf_str(&notes));
    buf_done(&notes);
}

/* `port` is NULL for a Service that has none (an ExternalName). */
static void add_port(struct table *table, const struct json *service, const struct json *port)
{
    const struct json *endpoint;
    char zones[256] = "";
    struct str last = STR("");
    size_t len = 0;

    for (endpoint = json_first(json_get(port, "endpoints")); endpoint;
         endpoint = json_next(endpoint)) {
        struct str zone = member(endpoint, "zone");

        /* Endpoints come sorted by zone. */
        if (zone.len && !str_eq(zone, last) && len < sizeof(zones) - 70)
            len += (size_t)snprintf(zones + len, sizeof(zones) - len, "%s%.63s", len ? "," : "",
                                    zone.ptr);
        last = zone;
    }
    table_add(table, member(service, "namespace"));
    table_add(table, member(service, "name"));
    if (json_number(json_get(port, "number")) > 0)
        table_addf(table, "%.0f", json_number(json_get(port, "number")));
    else
        table_add(table, STR("-"));
    table_add(table, member(port, "name"));
    table_addf(table, "%.0f", json_number(json_get(port, "ready")));
    table_addf(table, "%.0f", json_number(json_get(port, "draining")));
    table_addf(table, "%.0f", json_number(json_get(port, "total")));
    table_addf(table, "%zu", json_len(json_get(port, "endpoints")));
    table_add(table, str_of(zones));
    add_notes(table, service, port);
}

static void print_services(const struct json *dump)
{
    static const char *const head[] = {"NAMESPACE", "SERVICE", "PORT",   "NAME",  "READY",
                                       "DRAINING",  "TOTAL",   "LISTED", "ZONES", "NOTES"};
    struct table table = TABLE_INIT(head);
    const struct json *service, *ports, *port;

    if (json_len(json_get(dump, "services")) == 0) {
        fprintf(stderr, "no services\n");
        return;
    }
    table_head(&table, head);
    for (service = json_first(json_get(dump, "services")); service; service = json_next(service)) {
        ports = json_get(service, "ports");
        if (json_len(ports) == 0)
            add_port(&table, service, NULL);
        for (port = json_first(ports); port; port = json_next(port))
            add_port(&table, service, port);
    }
    table_print(&table);
    table_done(&table);
}

static int run(int argc, char **argv)
{
    return dump_command(&services_command, "/debug/services", print_services, argc, argv);
}

const struct command services_command = {
    "services",
    "services [--admin HOST:PORT] [-o table|json]",
    "list the Services that are published, and their backends",
    run,
};
