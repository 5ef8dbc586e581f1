#include <criterion/criterion.h>

#include "fixture.h"

static void set_up(struct serve_fixture *fixture)
{
    serve_fixture_start(fixture, (struct serve_options){.threads = 2});
}

static void stop(void *ctx)
{
    loop_stop(ctx);
}

Test(serve, drains_at_once_when_nobody_is_connected, .timeout = 20)
{
    struct serve_fixture fixture;

    set_up(&fixture);
    serve_drain(fixture.serve, 1000, 5000, stop, fixture.loop);
    loop_run(fixture.loop);
    cr_assert_null(serve_address(fixture.serve, 0), "it listens no more");
    serve_fixture_stop(&fixture);
}

struct dump_fixture {
    struct loop *loop;
    char *text;
    int waiting;
};

static void on_dump(void *ctx, struct buf *json)
{
    struct dump_fixture *dump = ctx;

    free(dump->text);
    dump->text = xstrdup(buf_cstr(json));
    if (--dump->waiting == 0)
        loop_stop(dump->loop);
}

Test(serve, dumps_an_empty_list_of_streams, .timeout = 20)
{
    struct serve_fixture fixture;
    struct dump_fixture dump;

    set_up(&fixture);
    dump = (struct dump_fixture){fixture.loop, NULL, 3};
    for (int i = 0; i < 3; i++) /* nobody is refused because somebody else asks too */
        serve_dump_streams(fixture.serve, &(struct stream_filter){0}, on_dump, &dump);
    loop_run(fixture.loop);
    cr_assert_str_eq(dump.text, "{\"streams\":[]}\n");
    free(dump.text);
    serve_fixture_stop(&fixture);
}

Test(serve, is_torn_down_with_a_dump_under_way, .timeout = 20)
{
    struct serve_fixture fixture;
    struct dump_fixture dump = {0};

    set_up(&fixture);
    dump.loop = fixture.loop;
    for (int i = 0; i < 3; i++)
        serve_dump_streams(fixture.serve, &(struct stream_filter){0}, on_dump, &dump);
    serve_fixture_stop(&fixture);
    free(dump.text);
}

Test(serve, takes_catalogs_and_counts_them, .timeout = 20)
{
    static const char *const one[] = {"10.0.0.1"};
    struct serve_fixture fixture;
    struct buf text = BUFFER_INIT(1024 * 1024);

    set_up(&fixture);
    serve_publish(fixture.serve, catalog_with_greeter(NULL, one, 1));
    for (int i = 0; i < 1000 && !strstr(buf_cstr(&text), "lookaside_catalogs_total 2"); i++) {
        buf_reset(&text);
        serve_write_metrics(fixture.serve, &text);
        loop_turn(fixture.loop, 1);
    }
    cr_assert_not_null(strstr(buf_cstr(&text), "lookaside_catalogs_total 2"));
    cr_assert_not(buf_failed(&text));
    buf_done(&text);
    serve_fixture_stop(&fixture);
}

Test(serve, refuses_a_port_that_is_taken_by_name, .timeout = 20)
{
    struct serve_fixture fixture;
    struct err err = {0};

    set_up(&fixture);
    cr_assert_neq(serve_listen(fixture.serve, serve_address(fixture.serve, 0), &err), CODE_OK);
    cr_assert_not_null(strstr(err.msg, "already in use"), "%s", err.msg);
    serve_fixture_stop(&fixture);
}
