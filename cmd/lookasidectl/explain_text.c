/* The answer, and how the question was understood. */
#include <stdio.h>

#include "explain.h"

#define TEXT_MAX 8192
#define REASONS_MAX 40
#define LABEL_WIDTH 9
/* A source that is well proves its view every minute at least. */
#define STALE_MS (90 * 1000)

/* ---- the answer ---- */

void explain_place(struct buf *out, struct str zone, struct str node)
{
    buf_add_str(out, STR("a client "));
    if (node.len) {
        buf_add_str(out, STR("on node "));
        text_show(out, node);
    }
    if (zone.len) {
        buf_add_str(out, node.len ? STR(" in zone ") : STR("in zone "));
        text_show(out, zone);
    }
    if (!zone.len && !node.len)
        buf_add_str(out, STR("whose zone and node are not known"));
}

static void add_place(struct buf *out, const struct json *explain)
{
    const struct json *place = json_get(explain, "place");

    explain_place(out, member(place, "zone"), member(place, "node"));
}

/* Why endpoints are left out, and how many for each cause. Text is borrowed from the tree. */
struct tally {
    struct cause {
        struct str why;
        size_t count;
        bool counts; /* among the Service's endpoints at that port */
    } causes[REASONS_MAX];
    size_t len;
};

/* Not even among those of which some are listed. */
static bool is_beside(struct str reason)
{
    return str_eq(reason, STR("leftover")) || str_eq(reason, STR("duplicate")) ||
           str_eq(reason, STR("no-such-port"));
}

static void tally_add(struct tally *tally, const struct json *endpoint)
{
    struct str why = member(endpoint, "why");
    size_t i = 0;

    while (i < tally->len && !str_eq(tally->causes[i].why, why))
        i++;
    if (i == REASONS_MAX)
        return;
    if (i == tally->len)
        tally->causes[tally->len++] =
            (struct cause){.why = why, .counts = !is_beside(member(endpoint, "reason"))};
    tally->causes[i].count++;
}

static void print_cause(const struct cause *cause)
{
    struct buf text = BUFFER_INIT(TEXT_MAX);

    text_show(&text, cause->why);
    printf("  %zu %s, %sbecause %s\n", cause->count, cause->counts ? "left out" : "not counted",
           cause->count > 1 ? "each " : "", buf_cstr(&text));
    buf_done(&text);
}

static void print_causes(const struct json *explain)
{
    const struct json *slice, *endpoint;
    struct tally tally = {0};

    for (slice = json_first(json_get(explain, "slices")); slice; slice = json_next(slice))
        for (endpoint = json_first(json_get(slice, "endpoints")); endpoint;
             endpoint = json_next(endpoint))
            if (!json_bool(json_get(endpoint, "in")))
                tally_add(&tally, endpoint);
    for (int counts = 1; counts >= 0; counts--)
        for (size_t i = 0; i < tally.len; i++)
            if (tally.causes[i].counts == counts)
                print_cause(&tally.causes[i]);
}

/* Where the name leads to endpoints, the place matters. */
static bool has_list(const struct json *explain)
{
    return json_get(explain, "port") && !member(explain, "external_name").len;
}

/* It was asked for, or not everybody gets the same list. */
static bool is_by_place(const struct json *explain)
{
    const struct json *port = json_get(explain, "port"), *place = json_get(explain, "place");

    return member(place, "zone").len || member(place, "node").len ||
           json_bool(json_get(port, "by_place")) || json_bool(json_get(port, "local"));
}

static void print_age(const struct json *explain)
{
    unsigned long staleness_ms = member_count(explain, "staleness_ms");
    struct buf problem = BUFFER_INIT(TEXT_MAX);

    text_show(&problem, member(explain, "source_problem"));
    if (problem.len > 0)
        printf("The API server does not tell what changes: %s\n"
               "  All this is as it was %lu s ago. Lists stay as they are until it is back.\n",
               buf_cstr(&problem), staleness_ms / 1000);
    else if (staleness_ms >= STALE_MS)
        printf(
            "The API server was last heard of %lu s ago: all this is as it was then.\n",
            staleness_ms / 1000);
    buf_done(&problem);
}

/* Of the Service, or of a slice. */
static void print_fault(const char *what, const struct json *of)
{
    struct buf fault = BUFFER_INIT(TEXT_MAX);

    text_show(&fault, member(of, "fault"));
    printf("%s:\n  %s\n", what, buf_cstr(&fault));
    buf_done(&fault);
}

/* What may be wrong with all that is said. */
static void print_doubts(const struct json *explain)
{
    const struct json *slice;

    print_age(explain);
    if (json_bool(json_get(explain, "malformed")))
        print_fault("The newest version of the Service is malformed, and an earlier one counts",
                    explain);
    for (slice = json_first(json_get(explain, "slices")); slice; slice = json_next(slice)) {
        if (json_bool(json_get(slice, "malformed")))
            print_fault("The newest version of a slice is malformed, and an earlier one counts",
                        slice);
        else if (json_bool(json_get(slice, "flawed")))
            print_fault("A part of a slice is of no use to any client, and is left out", slice);
    }
}

void explain_print_answer(const struct json *explain)
{
    struct buf out = BUFFER_INIT(TEXT_MAX), summary = BUFFER_INIT(TEXT_MAX);

    text_show(&summary, member(explain, "summary"));
    if (has_list(explain) && is_by_place(explain)) {
        buf_add_str(&out, STR("For "));
        add_place(&out, explain);
        buf_add_str(&out, STR(", "));
    } else if (summary.len && summary.ptr[0] >= 'a' && summary.ptr[0] <= 'z') {
        summary.ptr[0] = (char)(summary.ptr[0] - 'a' + 'A');
    }
    printf("%s%s.\n", buf_cstr(&out), buf_cstr(&summary));
    if (has_list(explain))
        print_causes(explain);
    print_doubts(explain);
    buf_done(&out);
    buf_done(&summary);
}

/* ---- how the question was understood ---- */

static void print_line(const char *label, struct buf *text)
{
    printf("%-*s%s\n", LABEL_WIDTH, label, buf_cstr(text));
    buf_reset(text);
}

static void print_target(const struct json *explain, struct buf *text)
{
    text_show(text, member(explain, "target"));
    buf_add_str(text, STR(" is read as "));
    text_show(text, member(explain, "form"));
    print_line("Name", text);
}

static void add_port(struct buf *text, const struct json *port)
{
    buf_printf(text, "%lu", member_count(port, "number"));
    if (member(port, "name").len) {
        buf_add_str(text, STR(" ("));
        text_show(text, member(port, "name"));
        buf_add_char(text, ')');
    }
}

static void print_service(const struct json *explain, struct buf *text)
{
    const struct json *port = json_first(json_get(explain, "ports"));

    if (!json_bool(json_get(explain, "found"))) {
        buf_add_str(text, json_get(explain, "port") ? STR("its object was deleted")
                                                    : STR("there is no Service object"));
        print_line("Service", text);
        return;
    }
    text_show(text, member(explain, "type"));
    buf_add_str(text, port ? STR(" with TCP ports ") : STR(" without TCP ports"));
    for (; port; port = json_next(port)) {
        add_port(text, port);
        buf_add_str(text, json_next(port) ? STR(", ") : STR(""));
    }
    print_line("Service", text);
}

static void print_port(const struct json *explain, struct buf *text)
{
    const struct json *port = json_get(explain, "port");
    struct str problem = member(explain, "problem");

    if (port)
        add_port(text, port);
    else
        text_show(text, member(explain, "port_asked"));
    buf_add_str(text, text->len ? STR(": ") : STR(""));
    text_show(text, problem.len ? problem : member(explain, "rule"));
    if (member_count(port, "target"))
        buf_printf(text, "; the pods' port is %lu", member_count(port, "target"));
    print_line("Port", text);
}

static void print_cluster(const struct json *explain, struct buf *text)
{
    buf_add_str(text, STR("Cluster "));
    text_show(text, member(explain, "cluster"));
    print_line("xDS", text);
}

/* What follows from the place, for one address family. */
static const char *view_text(struct str view)
{
    static const struct {
        const char *view, *text;
    } texts[] = {
        {"all", "endpoints are not chosen by zone or node"},
        {"zone", "endpoints are chosen by the zone hints of EndpointSlices (trafficDistribution)"},
        {"node", "endpoints are chosen by the node hints of EndpointSlices (trafficDistribution)"},
        {"near-zone", "endpoints of its zone come first, the others when those fail"},
        {"near-node", "endpoints of its node come first, then those of its zone, then the others"},
        {"local", "only endpoints on the client's node (internalTrafficPolicy is Local)"},
    };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (str_eq(view, str_of(texts[i].view)))
            return texts[i].text;
    return "";
}

/* Where places differ, but this one gets what is there. */
static const char *all_text(const struct json *port)
{
    struct str locality = member(port, "locality");

    if (str_starts_with(locality, STR("Prefer")))
        return "no endpoints are near enough to come first";
    if (member_count(port, "subset"))
        return "endpoints are not chosen by zone or node";
    return "it gets all; clients of some zones or nodes get fewer, see Lists";
}

/* Of a list that is cut. */
static void add_part(struct buf *text, const struct json *explain)
{
    unsigned long subset = member_count(json_get(explain, "port"), "subset");
    unsigned long group = member_count(json_get(explain, "view"), "group");

    if (subset)
        buf_printf(text, "; a client gets %lu of each priority, by its group", subset);
    if (subset && group)
        buf_printf(text, ", which is %lu", group);
    else if (subset)
        buf_add_str(text, STR(" (lookasidectl streams -o json), to ask for with --group"));
}

/* What the place did. A family that is not chosen from goes without saying. */
static void add_choice(struct buf *text, const struct json *explain)
{
    const struct json *view = json_get(explain, "view");
    struct str all = STR("all"), ipv4 = member(view, "ipv4"), ipv6 = member(view, "ipv6");
    bool by_place = json_bool(json_get(json_get(explain, "port"), "by_place"));

    if (json_bool(json_get(explain, "blind")))
        buf_add_str(text, STR("internalTrafficPolicy is Local, but the client's node is not known, "
                              "so it gets the endpoints of all nodes"));
    else if (by_place && str_eq(ipv4, all) && str_eq(ipv6, all))
        buf_add_str(text, str_of(all_text(json_get(explain, "port"))));
    else if (str_eq(ipv4, ipv6) || str_eq(ipv6, all))
        buf_add_str(text, str_of(view_text(ipv4)));
    else if (str_eq(ipv4, all))
        buf_add_str(text, str_of(view_text(ipv6)));
    else
        buf_printf(text, "IPv4: %s; IPv6: %s", view_text(ipv4), view_text(ipv6));
    add_part(text, explain);
}

static void print_place(const struct json *explain, struct buf *text)
{
    if (!has_list(explain))
        return;
    add_place(text, explain);
    buf_add_str(text, STR(": "));
    add_choice(text, explain);
    print_line("Client", text);
}

/* Why a list is kept, for those who never heard of it. */
static const char *hold_text(struct str name)
{
    static const struct {
        const char *name, *text;
    } texts[] = {
        {"settle", "endpoints vanished without shutting down first; perhaps another slice brings "
                   "them back"},
        {"announce", "clients are told of a new backend before it gets calls"},
        {"service-change", "the Service was changed, and its slices have not followed yet"},
        {"deletion", "the Service was deleted, and may come back"},
        {"protection", "too many endpoints vanished at once, without shutting down first"},
        {"relist", "a list from the API server lacked more than half of what there was; it is not "
                   "believed until another one agrees"},
    };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (str_eq(name, str_of(texts[i].name)))
            return texts[i].text;
    return "";
}

static void print_hold(const struct json *explain, struct buf *text)
{
    const struct json *hold = json_get(explain, "hold");
    unsigned long until_ms = member_count(hold, "until_ms");
    unsigned long doubted = member_count(hold, "doubted");
    bool of_policy = json_bool(json_get(hold, "policy"));

    if (!hold)
        return;
    text_show(text, member(hold, "name"));
    buf_add_str(text, of_policy ? STR(": what the LookasideService asked for before stays in force")
                                : STR(": the last list is kept"));
    if (json_get(hold, "until_ms"))
        buf_printf(text, " for at most another %lu.%lu s", until_ms / 1000, until_ms % 1000 / 100);
    buf_printf(text, ", because %s; then what the API server says counts",
               of_policy && str_eq(member(hold, "name"), STR("deletion"))
                   ? "it was deleted, and may come back"
                   : hold_text(member(hold, "name")));
    if (doubted)
        buf_printf(text, " (it lacked %lu object%s of this Service)", doubted,
                   doubted == 1 ? "" : "s");
    print_line("Hold", text);
    buf_printf(text, "to end it now: lookasidectl release %" STR_FMT "/%" STR_FMT,
               STR_ARG(member(explain, "namespace")), STR_ARG(member(explain, "service")));
    print_line("", text);
}

void explain_print_name(const struct json *explain)
{
    struct buf text = BUFFER_INIT(TEXT_MAX);

    printf("\n");
    print_target(explain, &text);
    print_service(explain, &text);
    print_port(explain, &text);
    print_cluster(explain, &text);
    print_place(explain, &text);
    print_hold(explain, &text);
    buf_done(&text);
}
