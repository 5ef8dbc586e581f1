#include "compare.h"

#include <stdio.h>

#include "base/utf8.h"
#include "listing.h"
#include "model/name.h"
#include "subscribe.h"

/* Asked where a Service has no ports of its own: there every number is right. */
#define ANY_PORT 80
#define REASON_MAX 512

struct target {
    char *name;                         /* "greeter.shop:8001" */
    struct str namespace_name, service; /* in `name` */
    uint16_t port;
};

/* What one server says of one target. */
struct answer {
    struct listing sent; /* unless they agree */
    char *problem;       /* in place of a list */
    bool came, agrees;
    bool none; /* to this client there is no such Service */
};

struct replica {
    struct comparison *comparison;
    const char *server;
    struct subscription **streams;
    size_t streams_len;
    struct answer *answers; /* by target */
    size_t unanswered, open;
    char failure[REASON_MAX]; /* it cannot be asked */
};

struct comparison {
    struct loop *loop;
    struct comparison_options options;
    const struct catalog *catalog;
    struct target *targets; /* sorted by name */
    size_t len, cap, services;
    const char **names;
    struct replica *replicas;
    struct timer *settle;
};

/* ---- targets ---- */

static void add_target(struct comparison *comparison, const struct service *service, uint16_t port)
{
    struct target *target;
    struct buf name = BUFFER_INIT(NAME_TEXT_MAX + 1);

    buf_printf(&name, "%" STR_FMT ".%" STR_FMT ":%u", STR_ARG(service->name),
               STR_ARG(service->namespace_name), port);
    comparison->targets =
        xgrow(comparison->targets, &comparison->cap, comparison->len, sizeof(*comparison->targets));
    target = &comparison->targets[comparison->len++];
    target->name = buf_take(&name, NULL);
    target->service = str_make(target->name, service->name.len);
    target->namespace_name =
        str_make(target->name + service->name.len + 1, service->namespace_name.len);
    target->port = port;
}

static void visit_service(void *ctx, const struct service *service)
{
    struct comparison *comparison = ctx;

    comparison->services++;
    for (size_t i = 0; i < service->ports_len; i++)
        if (!service->ports[i].gone)
            add_target(comparison, service,
                       service->ports[i].number ? service->ports[i].number : ANY_PORT);
    if (service->ports_len == 0 && service->type == SERVICE_EXTERNAL_NAME)
        add_target(comparison, service, ANY_PORT);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct target *)a)->name, ((const struct target *)b)->name);
}

static void make_targets(struct comparison *comparison)
{
    size_t len = 0;

    catalog_each(comparison->catalog, visit_service, comparison);
    if (comparison->len)
        qsort(comparison->targets, comparison->len, sizeof(*comparison->targets), by_name);
    comparison->names = xcalloc(comparison->len + 1, sizeof(*comparison->names));
    for (size_t i = 0; i < comparison->len; i++) {
        struct target *target = &comparison->targets[i];

        if (len > 0 && strcmp(comparison->names[len - 1], target->name) == 0) {
            free(target->name);
            continue;
        }
        comparison->targets[len] = *target;
        comparison->names[len++] = target->name;
    }
    comparison->len = len;
}

/* ---- judging ---- */

/* Ends when every server has agreed to everything or cannot be asked. While answers are missing
 * there is nothing to settle. */
static void look_around(struct comparison *comparison)
{
    size_t open = 0, unanswered = 0;

    for (size_t i = 0; i < comparison->options.servers->len; i++) {
        const struct replica *replica = &comparison->replicas[i];

        open += *replica->failure ? 0 : replica->open;
        unanswered += *replica->failure ? 0 : replica->unanswered;
    }
    if (open == 0)
        comparison_expire(comparison);
    else if (unanswered == 0 && !timer_active(comparison->settle))
        timer_start(comparison->settle, SETTLE_MS);
}

static void judge(struct replica *replica, size_t index)
{
    const struct comparison *comparison = replica->comparison;
    const struct target *target = &comparison->targets[index];
    struct answer *answer = &replica->answers[index];
    struct listing ruled;

    if (answer->agrees || !answer->came || answer->problem)
        return;
    listing_by_rules(&ruled, comparison->catalog, target->namespace_name, target->service,
                     target->port, &comparison->options.place);
    answer->agrees = listing_equal(&ruled, &answer->sent);
    listing_done(&ruled);
    if (!answer->agrees)
        return;
    replica->open--;
    listing_done(&answer->sent);
}

void comparison_update(struct comparison *comparison, const struct catalog *catalog)
{
    catalog_unref(comparison->catalog);
    comparison->catalog = catalog_ref(catalog);
    for (size_t i = 0; i < comparison->options.servers->len; i++)
        for (size_t j = 0; j < comparison->len; j++)
            judge(&comparison->replicas[i], j);
    look_around(comparison);
}

static void on_list(void *ctx, const watch_response *response)
{
    struct replica *replica = ctx;
    struct comparison *comparison = replica->comparison;
    const struct target key = {.name = response->target};
    const struct target *target =
        bsearch(&key, comparison->targets, comparison->len, sizeof(*comparison->targets), by_name);
    struct answer *answer;

    if (!target)
        return;
    answer = &replica->answers[target - comparison->targets];
    if (!answer->came)
        replica->unanswered--;
    answer->came = true;
    if (answer->agrees)
        return;
    listing_done(&answer->sent);
    free(answer->problem);
    answer->none = strcmp(response->problem, "no such Service") == 0;
    answer->problem = *response->version ? NULL : xstrdup(response->problem);
    listing_as_sent(&answer->sent, response);
    judge(replica, (size_t)(target - comparison->targets));
    look_around(comparison);
}

/* A server that has answered before is waited for. */
static void on_lost(void *ctx, enum code code unused_arg, const char *reason, uint64_t retry_ms)
{
    struct replica *replica = ctx;

    if (retry_ms && replica->unanswered < replica->comparison->len)
        return;
    snprintf(replica->failure, sizeof(replica->failure), "%.*s", REASON_MAX - 1, reason);
    look_around(replica->comparison);
}

/* ---- reporting ---- */

struct difference {
    const struct replica *replica;
    const struct target *target;
};

static void print_difference(void *ctx, const char *text)
{
    const struct difference *difference = ctx;
    const struct target *target = difference->target;

    printf("%" STR_FMT "/%" STR_FMT ":%u: %s at %s\n", STR_ARG(target->namespace_name),
           STR_ARG(target->service), target->port, text, difference->replica->server);
}

static void print_answer(const struct replica *replica, size_t index)
{
    const struct comparison *comparison = replica->comparison;
    const struct target *target = &comparison->targets[index];
    const struct answer *answer = &replica->answers[index];
    struct difference difference = {replica, target};
    struct buf text = BUFFER_INIT(8 * REASON_MAX);
    struct listing ruled;
    size_t count = 0;

    if (!answer->came) {
        buf_add_str(&text, STR("no answer"));
    } else if (answer->problem) {
        buf_add_str(&text, STR("no list: "));
        text_show(&text, utf8_cut(str_of(answer->problem), REASON_MAX));
    } else {
        listing_by_rules(&ruled, comparison->catalog, target->namespace_name, target->service,
                         target->port, &comparison->options.place);
        count = listing_differences(&ruled, &answer->sent, print_difference, &difference);
        listing_done(&ruled);
        if (count > LISTING_DIFFERENCES_MAX)
            buf_printf(&text, "%zu more differences", count - LISTING_DIFFERENCES_MAX);
    }
    if (text.len)
        print_difference(&difference, buf_cstr(&text));
    buf_done(&text);
}

/* Lists that differ at some server. */
static size_t print_differences(const struct comparison *comparison)
{
    size_t differ = 0;

    for (size_t i = 0; i < comparison->len; i++) {
        bool all = true;

        for (size_t j = 0; j < comparison->options.servers->len; j++) {
            const struct replica *replica = &comparison->replicas[j];

            if (replica->answers[i].agrees || *replica->failure)
                continue;
            print_answer(replica, i);
            all = false;
        }
        differ += !all;
    }
    return differ;
}

static size_t print_failures(const struct comparison *comparison)
{
    size_t failed = 0;

    for (size_t i = 0; i < comparison->options.servers->len; i++) {
        const struct replica *replica = &comparison->replicas[i];
        struct buf text = BUFFER_INIT(8 * REASON_MAX);

        if (!*replica->failure)
            continue;
        failed++;
        text_show(&text, str_of(replica->failure));
        printf("%s: %s\n", replica->server, buf_cstr(&text));
        buf_done(&text);
    }
    return failed;
}

/* A server that hides a Service says what it would if there were none. */
static bool may_hide(const struct comparison *comparison)
{
    for (size_t i = 0; i < comparison->options.servers->len; i++)
        for (size_t j = 0; j < comparison->len; j++) {
            const struct replica *replica = &comparison->replicas[i];

            if (!*replica->failure && replica->answers[j].none && !replica->answers[j].agrees)
                return true;
        }
    return false;
}

static void print_count(size_t count, const char *what)
{
    printf("%zu %s%s", count, what, count == 1 ? "" : "s");
}

bool comparison_report(const struct comparison *comparison)
{
    size_t differ = print_differences(comparison), failed = print_failures(comparison);

    if (differ)
        printf("%zu of ", differ);
    print_count(comparison->len, "list");
    printf(" of ");
    print_count(comparison->services, "Service");
    printf(differ ? " differ; asked: " : " equal on ");
    print_count(comparison->options.servers->len - failed, "server");
    if (failed)
        printf("; %zu cannot be asked", failed);
    printf("\n");
    if (may_hide(comparison))
        printf("A Service that this client may not see (spec.access, --default-access) looks as if "
               "there were none: ask as an account that may, by --token-file, --tls-cert or its unix socket\n");
    return differ == 0 && failed == 0;
}

/* ---- life ---- */

static void on_settled(void *ctx)
{
    comparison_expire(ctx);
}

void comparison_expire(struct comparison *comparison)
{
    comparison->options.on_done(comparison->options.ctx);
}

static void ask(struct replica *replica, const char *server)
{
    struct comparison *comparison = replica->comparison;
    struct subscription_options options = {
        .server = server,
        .dial = comparison->options.dial,
        .namespace_name = "",
        .place = &comparison->options.place,
        .on_list = on_list,
        .on_lost = on_lost,
        .ctx = replica,
    };
    size_t cap = 0;

    replica->server = server;
    replica->answers = xcalloc(comparison->len + 1, sizeof(*replica->answers));
    replica->open = replica->unanswered = comparison->len;
    for (size_t at = 0; at < comparison->len; at += options.targets_len) {
        options.targets = comparison->names + at;
        options.targets_len = subscription_fit(options.targets, comparison->len - at);
        replica->streams =
            xgrow(replica->streams, &cap, replica->streams_len, sizeof(struct subscription *));
        replica->streams[replica->streams_len++] = subscription_new(comparison->loop, &options);
    }
}

struct comparison *comparison_new(struct loop *loop, const struct comparison_options *options,
                                  const struct catalog *catalog)
{
    struct comparison *comparison = xcalloc(1, sizeof(*comparison));

    comparison->loop = loop;
    comparison->options = *options;
    comparison->catalog = catalog_ref(catalog);
    comparison->settle = timer_new(loop, on_settled, comparison);
    make_targets(comparison);
    comparison->replicas = xcalloc(options->servers->len, sizeof(*comparison->replicas));
    for (size_t i = 0; i < options->servers->len; i++) {
        comparison->replicas[i].comparison = comparison;
        ask(&comparison->replicas[i], options->servers->items[i]);
    }
    if (comparison->len == 0)
        timer_start(comparison->settle, 0);
    return comparison;
}

static void replica_done(struct replica *replica, size_t targets)
{
    for (size_t i = 0; i < replica->streams_len; i++)
        subscription_free(replica->streams[i]);
    for (size_t i = 0; i < targets; i++) {
        listing_done(&replica->answers[i].sent);
        free(replica->answers[i].problem);
    }
    free(replica->streams);
    free(replica->answers);
}

void comparison_free(struct comparison *comparison)
{
    if (!comparison)
        return;
    for (size_t i = 0; i < comparison->options.servers->len; i++)
        replica_done(&comparison->replicas[i], comparison->len);
    for (size_t i = 0; i < comparison->len; i++)
        free(comparison->targets[i].name);
    free(comparison->replicas);
    free(comparison->targets);
    free(comparison->names);
    timer_free(comparison->settle);
    catalog_unref(comparison->catalog);
    free(comparison);
}
