#include <criterion/criterion.h>
#include <unistd.h>

#include "admin/admin.h"
#include "loop/thread.h"

/* An admin port on a loop; requests are made by a thread of their own with plain sockets. */
struct admin_fixture {
    struct loop *loop;
    struct admin *admin;
    struct admin_request *late;
    struct timer *timer;
    const char *request;
    char answer[4096];
};

static void show_now(void *ctx unused_arg, struct admin_request *request)
{
    const char *name = admin_argument(request, "name");

    admin_reply(request, 200, "text/plain", str_of(name ? name : "now"));
}

static void reply_late(void *ctx)
{
    struct admin_fixture *fixture = ctx;

    admin_reply(fixture->late, 200, "text/plain", STR("late"));
}

static void show_late(void *ctx, struct admin_request *request)
{
    struct admin_fixture *fixture = ctx;

    fixture->late = request;
    timer_start(fixture->timer, 10);
}

static void show_never(void *ctx unused_arg, struct admin_request *request unused_arg)
{
}

static const struct admin_route routes[] = {
    {"GET", "/now", "at once", false, show_now},
    {"GET", "/late", "a little later", true, show_late},
    {"GET", "/never", "not at all", true, show_never},
};

static void set_up(struct admin_fixture *fixture)
{
    struct address any;
    struct err err = {0};

    *fixture = (struct admin_fixture){0};
    cr_assert_eq(loop_new(&fixture->loop, &err), CODE_OK);
    cr_assert_eq(address_parse(STR("127.0.0.1:0"), &any, &err), CODE_OK);
    fixture->timer = timer_new(fixture->loop, reply_late, fixture);
    cr_assert_eq(admin_new(fixture->loop, &any, routes, ARRAY_LEN(routes), fixture, &fixture->admin, &err), CODE_OK, "%s",
                 err.msg);
}

static void tear_down(struct admin_fixture *fixture)
{
    admin_free(fixture->admin);
    timer_free(fixture->timer);
    loop_close_posts(fixture->loop);
    loop_free(fixture->loop);
}

static void ask_blocking(void *ctx)
{
    struct admin_fixture *fixture = ctx;
    const struct address *address = admin_address(fixture->admin);
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t len = 0;
    ssize_t got;

    if (connect(fd, (const struct sockaddr *)&address->storage, address->len) == 0 &&
        write(fd, fixture->request, strlen(fixture->request)) > 0) {
        while ((got = read(fd, fixture->answer + len, sizeof(fixture->answer) - 1 - len)) > 0)
            len += (size_t)got;
    }
    close(fd);
    loop_stop(fixture->loop);
}

static void ask(struct admin_fixture *fixture, const char *request)
{
    struct thread *thread;

    fixture->request = request;
    cr_assert_eq(thread_start("asker", ask_blocking, fixture, &thread, NULL), CODE_OK);
    loop_run(fixture->loop);
    thread_join(thread);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

Test(admin, answers_at_once, .timeout = 20)
{
    struct admin_fixture fixture;

    set_up(&fixture);
    ask(&fixture, GET("/now?name=gopher"));
    cr_assert_not_null(strstr(fixture.answer, "HTTP/1.1 200"), "%s", fixture.answer);
    cr_assert_not_null(strstr(fixture.answer, "\r\n\r\ngopher"), "%s", fixture.answer);
    tear_down(&fixture);
}

Test(admin, answers_later, .timeout = 20)
{
    struct admin_fixture fixture;

    set_up(&fixture);
    ask(&fixture, GET("/late"));
    cr_assert_not_null(strstr(fixture.answer, "\r\n\r\nlate"), "%s", fixture.answer);
    tear_down(&fixture);
}

Test(admin, says_404_405_and_an_index, .timeout = 20)
{
    struct admin_fixture fixture;

    set_up(&fixture);
    ask(&fixture, GET("/nothing"));
    cr_assert_not_null(strstr(fixture.answer, "HTTP/1.1 404"), "%s", fixture.answer);
    ask(&fixture, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    cr_assert_not_null(strstr(fixture.answer, "HTTP/1.1 405"), "%s", fixture.answer);
    ask(&fixture, GET("/"));
    cr_assert_not_null(strstr(fixture.answer, "/late"), "%s", fixture.answer);
    tear_down(&fixture);
}

Test(admin, is_torn_down_with_a_request_that_waits, .timeout = 20)
{
    struct admin_fixture fixture;
    struct thread *thread;

    set_up(&fixture);
    fixture.request = GET("/never");
    cr_assert_eq(thread_start("asker", ask_blocking, &fixture, &thread, NULL), CODE_OK);
    for (int i = 0; i < 20; i++)
        loop_turn(fixture.loop, 10);
    admin_free(fixture.admin);
    thread_join(thread);
    timer_free(fixture.timer);
    loop_close_posts(fixture.loop);
    loop_free(fixture.loop);
}
