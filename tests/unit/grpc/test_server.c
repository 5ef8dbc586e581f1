/* What the server answers to what is no proper call. */
#include <nghttp2/nghttp2.h>
#include <sys/socket.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "grpc/http1.h"
#include "world.h"

static struct raw raw;

static void expect_header(uint32_t stream, const char *name, const char *expected)
{
    char value[256] = "";

    cr_assert(raw_header(&raw, stream, name, value, sizeof(value)), "no %s", name);
    cr_assert_str_eq(value, expected);
}

static void start(void)
{
    world_start();
    raw_hello(&raw);
}

static void stop(void)
{
    raw_close(&raw);
    world_stop();
}

Test(server, an_unknown_method_is_unimplemented)
{
    struct frame frame;

    start();
    raw_call(&raw, 1, "/x.Y/Z", NULL, NULL);
    cr_assert(raw_await(&raw, FRAME_HEADERS, 1, &frame));
    cr_assert(frame.flags & FLAG_END_STREAM);
    expect_header(1, ":status", "200");
    expect_header(1, "grpc-status", "12");
    expect_header(1, "grpc-message",
                  "unknown method '/x.Y/Z': compare it with the .proto file of the service");
    cr_assert_eq(world.opens, 0);
    stop();
}

static void expect_text(uint32_t stream, const char *text)
{
    struct frame frame;

    cr_assert(raw_find(&raw, FRAME_DATA, stream, 0, &frame));
    cr_assert(str_eq(str_make(frame.payload, frame.len), str_of(text)));
}

Test(server, what_is_no_grpc_gets_an_http_status_and_is_told_why)
{
    start();
    raw_request(&raw, 1, "GET", ECHO, NULL);
    raw_request(&raw, 3, "POST", ECHO, "application/json");
    raw_request(&raw, 5, "POST", STREAM, NULL);
    raw_request(&raw, 7, "DELETE", "/healthz", NULL);
    world_settle();
    expect_header(1, ":status", "405");
    expect_header(3, ":status", "415");
    expect_header(5, ":status", "415");
    expect_header(7, ":status", "405");
    expect_text(1, "this port speaks gRPC, where calls are POST, and GET or POST /healthz\n");
    expect_text(3, "this port speaks gRPC: the content-type of a call is application/grpc\n");
    cr_assert_eq(world.opens, 0);
    stop();
}

Test(server, healthz_answers_in_http2)
{
    struct frame frame;

    start();
    raw_request(&raw, 1, "GET", "/healthz", NULL);
    raw_request(&raw, 3, "HEAD", "/healthz", NULL);
    world_settle();
    expect_header(1, ":status", "200");
    cr_assert(raw_find(&raw, FRAME_DATA, 1, 0, &frame));
    cr_assert_eq(frame.len, 3);
    cr_assert_eq(memcmp(frame.payload, "ok\n", 3), 0);
    cr_assert(frame.flags & FLAG_END_STREAM);
    expect_header(3, ":status", "200");
    cr_assert_not(raw_find(&raw, FRAME_DATA, 3, 0, NULL));
    stop();
}

static void ask_http1(const char *request, size_t step)
{
    size_t len = strlen(request);

    world_start();
    raw_open(&raw);
    for (size_t off = 0; off < len; off += step) {
        raw_write(&raw, request + off, min_size(step, len - off));
        loop_turn(world.loop, 0);
    }
    cr_assert(raw_await_end(&raw));
}

Test(server, healthz_answers_in_http1_whatever_the_parts)
{
    for (size_t step = 1; step < 50; step += 7) {
        for (int post = 0; post < 2; post++) {
            ask_http1(post ? "POST /healthz HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
                           : "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
                      step);
            cr_assert(str_starts_with(buf_str(&raw.in), STR("HTTP/1.1 200 OK\r\n")));
            cr_assert(str_ends_with(buf_str(&raw.in), STR("\r\n\r\nok\n")));
            stop();
        }
    }
}

Test(server, other_http1_requests_are_turned_away)
{
    static const struct {
        const char *request;
        const char *answer;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found\r\n"},
        {"POST / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found\r\n"},
        {"PUT /healthz HTTP/1.1\r\n\r\n", "HTTP/1.1 405 Method Not Allowed\r\n"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ask_http1(cases[i].request, 1000);
        cr_assert(str_starts_with(buf_str(&raw.in), str_of(cases[i].answer)), "case %zu: %s", i,
                  buf_cstr(&raw.in));
        cr_assert(str_ends_with(buf_str(&raw.in), STR("GET or POST /healthz in HTTP/1.1\n")));
        stop();
    }
}

Test(server, what_is_no_http_is_closed_without_a_word)
{
    static const char *const texts[] = {"\x16\x03\x01\x02\x03", "NONSENSE\r\n\r\n",
                                        "PRI * HTTP/2.0\r\n\r\nno\r\n\r\n"};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        ask_http1(texts[i], 1000);
        cr_assert_eq(raw.in.len, 0);
        cr_assert_eq(counter_get(&world_stats()->protocol_errors), 1);
        stop();
    }
}

Test(server, a_preface_in_parts_is_a_preface)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";

    world_start();
    raw_open(&raw);
    for (size_t i = 0; i < sizeof(preface) - 1; i++) {
        raw_write(&raw, preface + i, 1);
        loop_turn(world.loop, 0);
    }
    raw_call(&raw, 1, ECHO, NULL, NULL);
    raw_message(&raw, 1, "a", 1, true);
    cr_assert(raw_await(&raw, FRAME_DATA, 1, NULL));
    stop();
}

/* SETTINGS and a call whose message is longer than any HTTP/1.1 request may be. */
static void put_call(struct buf *out)
{
    static char text[3 * HTTP1_REQUEST_MAX];
    struct raw writer = {0};
    int pair[2];

    memset(text, 'x', sizeof(text));
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    writer.fd = pair[0];
    raw_frame(&writer, FRAME_SETTINGS, 0, 0, NULL, 0);
    raw_call(&writer, 1, ECHO, NULL, NULL);
    raw_message(&writer, 1, text, sizeof(text), true);
    close(pair[0]);
    writer.fd = pair[1];
    buf_init(&writer.in, 1024 * 1024);
    raw_read(&writer);
    cr_assert_eq(buf_add_str(out, buf_str(&writer.in)), CODE_OK);
    raw_close(&writer);
}

Test(server, a_preface_in_two_parts_loses_nothing_of_what_follows)
{
    struct buf all = BUFFER_INIT(1024 * 1024);

    cr_assert_eq(buf_add_str(&all, STR(NGHTTP2_CLIENT_MAGIC)), CODE_OK);
    put_call(&all);
    for (size_t split = 0; split <= NGHTTP2_CLIENT_MAGIC_LEN + 1; split++) {
        struct frame frame;

        world_start();
        raw_open(&raw);
        raw_write(&raw, all.ptr, split);
        world_settle();
        raw_write(&raw, all.ptr + split, all.len - split);
        world_settle();
        cr_assert(raw_find(&raw, FRAME_DATA, 1, 0, &frame), "split at %zu", split);
        cr_assert_eq(world.message.len, 3 * HTTP1_REQUEST_MAX, "split at %zu", split);
        cr_assert_eq(counter_get(&world_stats()->protocol_errors), 0);
        stop();
    }
    buf_done(&all);
}

Test(server, a_preface_in_two_parts_and_nonsense_behind_it)
{
    for (size_t split = 1; split <= NGHTTP2_CLIENT_MAGIC_LEN; split++) {
        static char nonsense[3 * HTTP1_REQUEST_MAX];

        world_start();
        raw_open(&raw);
        raw_write(&raw, NGHTTP2_CLIENT_MAGIC, split);
        world_settle();
        raw_write(&raw, NGHTTP2_CLIENT_MAGIC + split, NGHTTP2_CLIENT_MAGIC_LEN - split);
        memset(nonsense, 0xff, sizeof(nonsense));
        raw_write(&raw, nonsense, sizeof(nonsense));
        cr_assert(raw_await_end(&raw), "split at %zu", split);
        cr_assert_eq(counter_get(&world_stats()->protocol_errors), 1);
        stop();
    }
}

Test(server, unknown_encodings_are_unimplemented_and_say_what_is_not)
{
    start();
    raw_call(&raw, 1, ECHO, "grpc-encoding", "snappy");
    raw_call(&raw, 3, ECHO, "grpc-encoding", "identity");
    raw_message(&raw, 3, "a", 1, true);
    world_settle();
    expect_header(1, "grpc-status", "12");
    expect_header(1, "grpc-message", "grpc-encoding 'snappy' is not known: use gzip or identity");
    expect_header(1, "grpc-accept-encoding", "identity,gzip");
    expect_header(3, "grpc-status", "0");
    cr_assert_eq(world.opens, 1);
    stop();
}

Test(server, broken_framing_fails_only_its_stream)
{
    start();
    raw_call(&raw, 1, ECHO, NULL, NULL);
    raw_call(&raw, 3, ECHO, NULL, NULL);
    raw_call(&raw, 5, ECHO, NULL, NULL);
    raw_frame(&raw, FRAME_DATA, 0, 1, "\x07\0\0\0\0", 5);
    raw_frame(&raw, FRAME_DATA, FLAG_END_STREAM, 3, "\0\0\0\0\5he", 7);
    raw_message(&raw, 5, "good", 4, true);
    world_settle();
    expect_header(1, "grpc-status", "13");
    expect_header(3, "grpc-status", "13");
    expect_header(3, "grpc-message", "the request ended inside a message, which was cut");
    expect_header(5, "grpc-status", "0");
    cr_assert_eq(counter_get(&world_stats()->protocol_errors), 2);
    stop();
}

Test(server, a_malformed_timeout_fails_the_call)
{
    start();
    raw_call(&raw, 1, ECHO, "grpc-timeout", "soon");
    world_settle();
    expect_header(1, "grpc-status", "13");
    expect_header(1, "grpc-message",
                  "malformed grpc-timeout 'soon': it is up to 8 digits and H, M, S, m, u or n");
    stop();
}

Test(server, broken_http2_ends_the_connection_with_goaway)
{
    struct frame frame;

    start();
    raw_call(&raw, 1, SILENT, NULL, NULL);
    raw_frame(&raw, FRAME_SETTINGS, 0, 0, "odd", 3);
    cr_assert(raw_await(&raw, FRAME_GOAWAY, 0, &frame));
    cr_assert_eq(frame.payload[7], 6, "FRAME_SIZE_ERROR");
    cr_assert(raw_await_end(&raw));
    cr_assert_eq(world.closes, 1);
    cr_assert_eq(counter_get(&world_stats()->protocol_errors), 1);
    stop();
}

Test(server, headers_and_a_peer_that_leaves_at_once)
{
    start();
    raw_call(&raw, 1, STREAM, NULL, NULL);
    raw_close(&raw);
    world_settle();
    cr_assert_eq(counter_get(&world_stats()->connections), 0);
    cr_assert_eq(world.opens, world.closes);
    world_stop();
}
