#include "grpc/http1.h"

/* The end of the head: an empty line, with or without CR. */
static bool head_complete(struct str bytes)
{
    for (size_t i = 0; i + 1 < bytes.len; i++) {
        if (bytes.ptr[i] != '\n')
            continue;
        if (bytes.ptr[i + 1] == '\n')
            return true;
        if (bytes.ptr[i + 1] == '\r' && i + 2 < bytes.len && bytes.ptr[i + 2] == '\n')
            return true;
    }
    return false;
}

static bool is_method(struct str method)
{
    if (method.len == 0 || method.len > 16)
        return false;
    for (size_t i = 0; i < method.len; i++) {
        if (method.ptr[i] < 'A' || method.ptr[i] > 'Z')
            return false;
    }
    return true;
}

enum http1_state http1_parse(struct str bytes, struct http1_request *ret_request)
{
    struct str line = bytes;
    struct str rest, method, target;

    if (bytes.len > 0 && (bytes.ptr[0] < 'A' || bytes.ptr[0] > 'Z'))
        return HTTP1_BROKEN; /* a TLS hello, for one */
    if (!head_complete(bytes))
        return bytes.len < HTTP1_REQUEST_MAX ? HTTP1_INCOMPLETE : HTTP1_BROKEN;
    line.len = str_find(bytes, '\n');
    rest = str_trim(line);
    method = str_cut(&rest, ' ');
    target = str_cut(&rest, ' ');
    if (!is_method(method) || !str_starts_with(rest, STR("HTTP/1.")) || target.len == 0)
        return HTTP1_BROKEN;
    ret_request->path = str_slice(target, 0, str_find(target, '?'));
    ret_request->head = str_eq(method, STR("HEAD"));
    ret_request->asks =
        ret_request->head || str_eq(method, STR("GET")) || str_eq(method, STR("POST"));
    return HTTP1_REQUEST;
}

const char *http_reason(unsigned status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 415:
        return "Unsupported Media Type";
    case 503:
        return "Service Unavailable";
    default:
        return "Status";
    }
}

void http1_answer(struct buf *out, unsigned status, const char *text, bool head)
{
    buf_printf(out,
               "HTTP/1.1 %u %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
               "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
               status, http_reason(status), strlen(text), head ? "" : text);
}
