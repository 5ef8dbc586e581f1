/* LookasideServices for people and lookasidectl: JSON. */
#include "base/clock.h"
#include "base/counts.h"
#include "controller/preview.h"
#include "controller/resource.h"
#include "pages.h"

#define PAGE_DUMP_MAX (256 * 1024 * 1024)

struct resources_page {
    struct app *app;
    struct admin_request *request;
};

struct resources_dump {
    const struct counts *clients;
    struct json_writer *writer;
};

/* As they are counted: "namespace/name". */
static uint64_t clients_of(const struct counts *clients, const struct resource_status *status)
{
    char name[COUNTS_NAME_MAX];
    int len = snprintf(name, sizeof(name), "%" STR_FMT "/%" STR_FMT,
                       STR_ARG(status->namespace_name), STR_ARG(status->name));

    return len < (int)sizeof(name) ? counts_get(clients, str_of(name)) : 0;
}

static void dump_resource(void *ctx, const struct resource_status *status)
{
    const struct resources_dump *dump = ctx;

    json_open_object(dump->writer, NULL);
    resource_write(status, dump->writer);
    json_put_u64(dump->writer, "clients", clients_of(dump->clients, status));
    json_close_object(dump->writer);
}

/* What is said of resources is asked for now, when this replica's clients are known. */
static void on_counted(void *ctx, struct buf *json)
{
    CLEANUP(freep) struct resources_page *page = ctx;
    CLEANUP(counts_freep) struct counts *clients = counts_new();
    CLEANUP(json_freep) struct json *counted = NULL;
    struct buf out = BUFFER_INIT(PAGE_DUMP_MAX);
    struct json_writer writer = json_writer(&out);
    struct resources_dump dump = {clients, &writer};

    if (json_parse(buf_str(json), &counted, NULL) == CODE_OK)
        counts_add_json(clients, json_get(counted, "services"));
    json_open_object(&writer, NULL);
    json_open_array(&writer, "resources");
    controller_each_resource(page->app->controller, dump_resource, &dump);
    json_close_array(&writer);
    json_close_object(&writer);
    buf_add_char(&out, '\n');
    admin_reply(page->request, buf_failed(&out) ? 507 : 200, "application/json", buf_str(&out));
    buf_done(&out);
}

void show_resources(void *ctx, struct admin_request *request)
{
    struct app *app = ctx;
    struct resources_page *page = xcalloc(1, sizeof(*page));

    *page = (struct resources_page){app, request};
    serve_count_streams(app->serve, on_counted, page);
}

/* ---- what manifests would change ---- */

static enum code preview(const struct app *app, struct str text, struct buf *out, struct err *err)
{
    /* In a directory an object is as old as it says; an API server says it. */
    uint64_t now_us = app->options->directory ? 0 : clock_wall_us();
    struct json_writer writer = json_writer(out);
    struct manifest manifest = {0};
    enum code code = manifest_parse(text, true, &manifest, err);

    json_open_object(&writer, NULL);
    if (code == CODE_OK)
        code = controller_preview(app->controller, &manifest, now_us, &writer, err);
    json_close_object(&writer);
    buf_add_char(out, '\n');
    manifest_done(&manifest);
    return code;
}

void show_diff(void *ctx, struct admin_request *request)
{
    struct app *app = ctx;
    struct buf out = BUFFER_INIT(PAGE_DUMP_MAX);
    struct err err = {0};

    if (app->phase == APP_SYNCING)
        page_refuse(request, 503, "not synced yet: see /readyz");
    else if (preview(app, admin_body(request), &out, &err) != CODE_OK)
        page_refuse(request, 400, err.msg);
    else
        admin_reply(request, buf_failed(&out) ? 507 : 200, "application/json", buf_str(&out));
    buf_done(&out);
}
