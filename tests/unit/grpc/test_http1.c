#include <criterion/criterion.h>

#include "grpc/http1.h"

Test(http1, tells_requests_apart)
{
    static const struct {
        const char *text;
        enum http1_state state;
        const char *path;
        bool head;
        bool asks;
    } cases[] = {
        {"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", HTTP1_REQUEST, "/healthz", false, true},
        {"HEAD /healthz?x=1 HTTP/1.0\r\n\r\n", HTTP1_REQUEST, "/healthz", true, true},
        {"GET /a HTTP/1.1\n\n", HTTP1_REQUEST, "/a", false, true},
        {"POST /healthz HTTP/1.1\r\n\r\n", HTTP1_REQUEST, "/healthz", false, true},
        {"PUT /healthz HTTP/1.1\r\n\r\n", HTTP1_REQUEST, "/healthz", false, false},
        {"GET /healthz HTTP/1.1\r\nHost: x\r\n", HTTP1_INCOMPLETE, NULL, false, false},
        {"G", HTTP1_INCOMPLETE, NULL, false, false},
        {"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", HTTP1_BROKEN, NULL, false, false},
        {"GET\r\n\r\n", HTTP1_BROKEN, NULL, false, false},
        {"GET  HTTP/1.1\r\n\r\n", HTTP1_BROKEN, NULL, false, false},
        {"GeT / HTTP/1.1\r\n\r\n", HTTP1_BROKEN, NULL, false, false},
        {"\x16\x03\x01\x02", HTTP1_BROKEN, NULL, false, false},
        {"get / HTTP/1.1\r\n\r\n", HTTP1_BROKEN, NULL, false, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http1_request request = {0};

        cr_assert_eq(http1_parse(str_of(cases[i].text), &request), cases[i].state, "case %zu", i);
        if (!cases[i].path)
            continue;
        cr_assert(str_eq(request.path, str_of(cases[i].path)), "case %zu", i);
        cr_assert_eq(request.head, cases[i].head, "case %zu", i);
        cr_assert_eq(request.asks, cases[i].asks, "case %zu", i);
    }
}

Test(http1, a_head_that_never_ends_is_broken)
{
    static char text[HTTP1_REQUEST_MAX];
    struct http1_request request;

    memset(text, 'A', sizeof(text));
    cr_assert_eq(http1_parse(str_make(text, sizeof(text) - 1), &request), HTTP1_INCOMPLETE);
    cr_assert_eq(http1_parse(str_make(text, sizeof(text)), &request), HTTP1_BROKEN);
}

Test(http1, writes_whole_answers)
{
    struct buf out = BUFFER_INIT(1024);

    http1_answer(&out, 503, "no\n", false);
    cr_assert_str_eq(buf_cstr(&out), "HTTP/1.1 503 Service Unavailable\r\n"
                                     "Content-Type: text/plain; charset=utf-8\r\n"
                                     "Content-Length: 3\r\nConnection: close\r\n\r\nno\n");
    buf_reset(&out);
    http1_answer(&out, 200, "ok\n", true);
    cr_assert_not_null(strstr(buf_cstr(&out), "Content-Length: 3"));
    cr_assert(str_ends_with(buf_str(&out), STR("\r\n\r\n")));
    buf_done(&out);
}
