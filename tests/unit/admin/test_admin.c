#include <criterion/criterion.h>
#include <netinet/in.h>
#include <unistd.h>

#include "admin/admin.h"
#include "base/clock.h"
#include "loop/thread.h"

/* An admin port on a loop; requests are made by a thread of their own with plain sockets. */
struct admin_fixture {
    struct loop *loop;
    struct admin *admin;
    struct admin_request *late;
    struct timer *timer;
    const char *request;
    unsigned changes;
    char answer[4096];
};

static void show_now(void *ctx unused_arg, struct admin_request *request)
{
    admin_reply(request, 200, "text/plain", STR("now"));
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

static void echo(void *ctx unused_arg, struct admin_request *request)
{
    const char *a = admin_argument(request, "a"), *b = admin_argument(request, "b");
    struct buf text = BUFFER_INIT(4096);

    buf_printf(&text, "a=%s b=%s", a ? a : "(none)", b ? b : "(none)");
    admin_reply(request, 200, "text/plain", buf_str(&text));
    buf_done(&text);
}

static void change(void *ctx, struct admin_request *request)
{
    struct admin_fixture *fixture = ctx;

    fixture->changes++;
    echo(ctx, request);
}

static void measure(void *ctx unused_arg, struct admin_request *request)
{
    struct str body = admin_body(request);
    struct buf text = BUFFER_INIT(4096);

    buf_printf(&text, "%zu: %" STR_FMT, body.len, STR_ARG(body));
    admin_reply(request, 200, "text/plain", buf_str(&text));
    buf_done(&text);
}

#define BODY_MAX 16

static const struct admin_route routes[] = {
    {"GET", "/now", "at once", false, show_now, 0},
    {"GET", "/late", "a little later", true, show_late, 0},
    {"GET", "/never", "not at all", true, show_never, 0},
    {"GET", "/echo", "its arguments", false, echo, 0},
    {"POST", "/change", "changes something", false, change, 0},
    {"POST", "/measure", "its body", false, measure, BODY_MAX},
};

static void set_up(struct admin_fixture *fixture)
{
    struct address any;
    struct err err = {0};

    *fixture = (struct admin_fixture){0};
    cr_assert_eq(loop_new(&fixture->loop, &err), CODE_OK);
    cr_assert_eq(address_parse(STR("127.0.0.1:0"), &any, &err), CODE_OK);
    fixture->timer = timer_new(fixture->loop, reply_late, fixture);
    cr_assert_eq(
        admin_new(fixture->loop, &any, routes, ARRAY_LEN(routes), fixture, &fixture->admin, &err),
        CODE_OK, "%s", err.msg);
}

static void tear_down(struct admin_fixture *fixture)
{
    admin_free(fixture->admin);
    timer_free(fixture->timer);
    loop_close_posts(fixture->loop);
    loop_free(fixture->loop);
}

/* A connection from 127.0.0.`from`. */
static int connect_from(const struct admin_fixture *fixture, unsigned from)
{
    const struct address *address = admin_address(fixture->admin);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_addr = {htonl(INADDR_LOOPBACK - 1 + from)}};

    if (bind(fd, (const struct sockaddr *)&own, sizeof(own)) != 0 ||
        connect(fd, (const struct sockaddr *)&address->storage, address->len) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void ask_blocking(void *ctx)
{
    struct admin_fixture *fixture = ctx;
    int fd = connect_from(fixture, 1);
    size_t len = 0;
    ssize_t got;

    if (write(fd, fixture->request, strlen(fixture->request)) > 0) {
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
    ask(&fixture, GET("/now"));
    cr_assert_not_null(strstr(fixture.answer, "HTTP/1.1 200"), "%s", fixture.answer);
    cr_assert_not_null(strstr(fixture.answer, "\r\n\r\nnow"), "%s", fixture.answer);
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
    ask(&fixture, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n"
                  "\r\n");
    cr_assert_not_null(strstr(fixture.answer, "HTTP/1.1 405"), "%s", fixture.answer);
    ask(&fixture, GET("/"));
    cr_assert_not_null(strstr(fixture.answer, "/late"), "%s", fixture.answer);
    tear_down(&fixture);
}

static void expect(struct admin_fixture *fixture, const char *request, const char *status,
                   const char *text)
{
    memset(fixture->answer, 0, sizeof(fixture->answer));
    ask(fixture, request);
    cr_assert_not_null(strstr(fixture->answer, status), "%s: %s", request, fixture->answer);
    cr_assert_not_null(strstr(fixture->answer, text), "%s: %s", request, fixture->answer);
}

Test(admin, decodes_arguments, .timeout = 20)
{
    struct admin_fixture fixture;

    set_up(&fixture);
    expect(&fixture, GET("/echo?a=greeter.shop%3A8001&b=x%26y"), " 200 ",
           "a=greeter.shop:8001 b=x&y");
    expect(&fixture, GET("/echo?b="), " 200 ", "a=(none) b=");
    expect(&fixture, GET("/echo?a&b"), " 200 ", "a=(none) b=(none)");
    expect(&fixture, GET("/echo"), " 200 ", "a=(none) b=(none)");
    expect(&fixture, GET("/echo?a=%zz%4"), " 200 ", "a=%zz%4");
    tear_down(&fixture);
}

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A1024 A64 A64 A64 A64 A64 A64 A64 A64 A64 A64 A64 A64 A64 A64 A64 A64

Test(admin, refuses_queries_that_are_wrong, .timeout = 20)
{
    struct admin_fixture fixture;

    set_up(&fixture);
    expect(&fixture, GET("/echo?a=1&a=2"), " 400 ", "names an argument twice");
    expect(&fixture, GET("/echo?a=x%00y"), " 400 ", "NUL");
    expect(&fixture, GET("/echo?a%00=x"), " 400 ", "NUL");
    expect(&fixture, GET("/echo?a=" A1024), " 200 ", "a=" A1024);
    expect(&fixture, GET("/echo?a=" A1024 "a"), " 400 ", "too long");
    expect(&fixture, GET("/echo?1&2&3&4&5&6&7&8&9&10&11&12&13&14&15&16"), " 200 ", "a=(none)");
    expect(&fixture, GET("/echo?1&2&3&4&5&6&7&8&9&10&11&12&13&14&15&16&17"), " 400 ", "too many");
    tear_down(&fixture);
}

#define POST(path, headers)                                                                        \
    "POST " path " HTTP/1.1\r\nHost: x\r\n" headers "Content-Length: 0\r\nConnection: "            \
                                                    "close\r\n\r\n"

Test(admin, changes_by_post_only, .timeout = 20)
{
    struct admin_fixture fixture;

    set_up(&fixture);
    expect(&fixture, GET("/change?a=1"), " 405 ", "only POST is allowed here");
    expect(&fixture, GET("/change?a=1"), " 405 ", "Allow: POST\r\n");
    expect(&fixture, POST("/now", ""), " 405 ", "Allow: GET, HEAD\r\n");
    cr_assert_eq(fixture.changes, 0);
    expect(&fixture, POST("/change?a=1", ""), " 200 ", "a=1 b=(none)");
    cr_assert_eq(fixture.changes, 1);
    tear_down(&fixture);
}

#define POST_BODY(path, headers, len, body)                                                        \
    "POST " path " HTTP/1.1\r\nHost: x\r\n" headers "Content-Length: " #len                          \
    "\r\nConnection: close\r\n\r\n" body

Test(admin, takes_bodies_up_to_a_bound, .timeout = 20)
{
    struct admin_fixture fixture;

    set_up(&fixture);
    expect(&fixture, POST_BODY("/measure", "", 5, "hello"), " 200 ", "5: hello");
    expect(&fixture, POST("/measure", ""), " 200 ", "0: ");
    expect(&fixture, POST_BODY("/measure", "", 16, "0123456789abcdef"), " 200 ",
           "16: 0123456789abcdef");
    expect(&fixture, POST_BODY("/measure", "", 17, "0123456789abcdefg"), " 413 ", "too large");
    expect(&fixture, POST_BODY("/measure", "Origin: null\r\n", 5, "hello"), " 403 ", "web pages");
    /* What takes none does not mind one. */
    expect(&fixture, POST_BODY("/change?a=1", "", 5, "hello"), " 200 ", "a=1 b=(none)");
    expect(&fixture, POST_BODY("/nothing", "", 5, "hello"), " 404 ", "no such page");
    tear_down(&fixture);
}

/* A form or a script of some page in the operator's browser: the browser adds the page's origin. */
Test(admin, refuses_posts_of_web_pages, .timeout = 20)
{
    struct admin_fixture fixture;

    set_up(&fixture);
    expect(&fixture, POST("/change", "Origin: http://evil.example\r\n"), " 403 ", "web pages");
    expect(&fixture, POST("/change", "Origin: null\r\n"), " 403 ", "web pages");
    expect(&fixture, POST("/change", "origin:\r\n"), " 403 ", "web pages");
    cr_assert_eq(fixture.changes, 0);
    tear_down(&fixture);
}

static size_t count(const char *text, const char *word)
{
    size_t found = 0;

    for (text = strstr(text, word); text; text = strstr(text + 1, word))
        found++;
    return found;
}

#define KEPT(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

/* What came in one piece is answered without waiting for the housekeeping between requests. */
Test(admin, answers_pipelined_requests_at_once, .timeout = 20)
{
    struct admin_fixture fixture;
    uint64_t begin;

    set_up(&fixture);
    begin = clock_monotonic_us();
    ask(&fixture, KEPT("/now") KEPT("/late") KEPT("/now") KEPT("/late") KEPT("/now") GET("/late"));
    cr_assert_lt(clock_monotonic_us() - begin, 700000);
    cr_assert_eq(count(fixture.answer, "\r\n\r\nnow"), 3, "%s", fixture.answer);
    cr_assert_eq(count(fixture.answer, "\r\n\r\nlate"), 3, "%s", fixture.answer);
    tear_down(&fixture);
}

/* Half requests from one address fill that address' share and nobody else's. */
Test(admin, lets_no_address_take_all_connections, .timeout = 20)
{
    struct admin_fixture fixture;
    int fds[ADMIN_CONNECTIONS_PER_IP_MAX + 5];

    set_up(&fixture);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = connect_from(&fixture, 2);
        cr_assert_eq(write(fds[i], "GET /n", 6), 6);
        loop_turn(fixture.loop, 100);
    }
    cr_assert_eq(admin_refused(fixture.admin), 5);
    ask(&fixture, GET("/now"));
    cr_assert_not_null(strstr(fixture.answer, "HTTP/1.1 200"), "%s", fixture.answer);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
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
    cr_assert_not_null(strstr(fixture.answer, "HTTP/1.1 503"), "%s", fixture.answer);
    timer_free(fixture.timer);
    loop_close_posts(fixture.loop);
    loop_free(fixture.loop);
}
