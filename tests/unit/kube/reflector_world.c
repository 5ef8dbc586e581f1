#include "reflector_world.h"

#include "base/clock.h"

struct world w;

/* ---- the sink ---- */

static void note(const char *verb, const struct json *object)
{
    const struct json *metadata = json_get(object, "metadata");
    struct str name = json_text(json_get(metadata, "name"));
    size_t len = strlen(w.seen);

    w.calls++;
    snprintf(w.seen + len, sizeof(w.seen) - len, "%s%s%.*s", len ? " " : "", verb, (int)name.len,
             name.ptr ? name.ptr : "");
}

static void on_list_begin(void *ctx unused_arg)
{
    note("[", NULL);
}

static void on_list_object(void *ctx unused_arg, const struct json *object)
{
    note("", object);
}

static bool on_list_end(void *ctx unused_arg)
{
    note("]", NULL);
    if (w.doubts == 0)
        return true;
    w.doubts--;
    return false;
}

static void on_list_abort(void *ctx unused_arg)
{
    note("!", NULL);
}

static void on_upsert(void *ctx unused_arg, const struct json *object)
{
    note("+", object);
}

static void on_remove(void *ctx unused_arg, const struct json *object)
{
    note("-", object);
}

static const struct kube_sink sink = {
    .list_begin = on_list_begin,
    .list_object = on_list_object,
    .list_end = on_list_end,
    .list_abort = on_list_abort,
    .upsert = on_upsert,
    .remove = on_remove,
};

static void on_synced(void *ctx unused_arg)
{
    w.synced++;
}

/* ---- the server ---- */

static void step_play(const struct step *step, struct fake_conn *conn)
{
    if (step->status > 0) {
        fake_answer(conn, step->status, step->extra ? step->extra : "",
                    step->body ? step->body : "");
        return;
    }
    if (step->status < 0) {
        fake_close(conn, true);
        return;
    }
    fake_open(conn);
    if (step->body)
        fake_chunk(conn, step->body);
    if (step->end)
        fake_end(conn);
    if (step->cut)
        fake_close(conn, false);
}

/* Scripts that speak of no stream are of a server that has none: it refuses beside the script. */
static bool stream_refuse(struct fake_conn *conn, const char *path)
{
    bool wanted = w.step < w.steps_len && strstr(w.steps[w.step].want, "sendInitialEvents");

    if (!strstr(path, "sendInitialEvents") || wanted)
        return false;
    w.server.requests--;
    fake_answer(conn, 422, "", "");
    return true;
}

/* Probes beside the script: as many as come. */
static bool probe_answer(struct fake_conn *conn, const char *path)
{
    CLEANUP(freep) char *body = NULL;

    if (!w.newest || !str_ends_with(str_of(path), STR("?limit=1")))
        return false;
    w.server.requests--;
    cr_assert_gt(asprintf(&body,
                          "{\"kind\":\"ServiceList\",\"metadata\":{\"resourceVersion\":\"%s\"},"
                          "\"items\":[]}",
                          w.newest),
                 0);
    fake_answer(conn, 200, "", body);
    return true;
}

static void serve(void *ctx unused_arg, struct fake_conn *conn, const char *path,
                  const char *head unused_arg)
{
    const struct step *step = &w.steps[w.step];

    if (stream_refuse(conn, path) || probe_answer(conn, path))
        return;
    cr_assert_lt(w.server.requests, ARRAY_LEN(w.paths));
    snprintf(w.paths[w.server.requests - 1], sizeof(w.paths[0]), "%s", path);
    w.step_us[w.server.requests - 1] = clock_monotonic_us();
    w.conn = conn;
    if (w.step == w.steps_len) {
        cr_assert_not_null(strstr(path, "watch=1"), "unexpected: %s", path);
        fake_open(conn);
        return;
    }
    w.step++;
    cr_assert_not_null(strstr(path, step->want), "step %zu: wanted %s, got %s", w.step, step->want,
                       path);
    step_play(step, conn);
}

void world_make(void)
{
    memset(&w, 0, sizeof(w));
    cr_assert_eq(loop_new(&w.loop, NULL), CODE_OK);
    w.server.on_request = serve;
    fake_server_start(&w.server, w.loop, 0);
    snprintf(w.url, sizeof(w.url), "http://127.0.0.1:%u", w.server.port);
    w.config.server = w.url;
    w.options = (struct reflector_options){
        .path = "/api/v1/services", .label = "services", .sink = &sink, .on_synced = on_synced};
    cr_assert_eq(kube_client_new(w.loop, &w.config, &w.client, NULL), CODE_OK);
}

void world_free(void)
{
    reflector_free(w.refl);
    kube_client_free(w.client);
    fake_server_stop(&w.server);
    loop_free(w.loop);
}

void start(const struct step *steps, size_t len)
{
    struct err err = {0};

    w.steps = steps;
    w.steps_len = len;
    cr_assert_eq(reflector_new(w.client, &w.options, &w.refl, &err), CODE_OK, "%s", err.msg);
}

uint64_t gap_ms(size_t request)
{
    return (w.step_us[request] - w.step_us[request - 1]) / 1000;
}

uint64_t stat_of(const struct counter *counter)
{
    return counter_get(counter);
}
