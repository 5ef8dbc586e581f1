/*
 * Just enough of HTTP/1.1 to answer GET /healthz and to turn everything else away.
 *
 * Threads: any; pure.
 */
#ifndef GRPC_HTTP1_H
#define GRPC_HTTP1_H

#include "base/buf.h"

#define HTTP1_REQUEST_MAX 4096

enum http1_state {
    HTTP1_INCOMPLETE, /* more bytes are needed */
    HTTP1_REQUEST,
    HTTP1_BROKEN, /* no HTTP/1, or longer than HTTP1_REQUEST_MAX */
};

struct http1_request {
    struct str path; /* without its query */
    bool asks; /* GET, HEAD or POST */
    bool head; /* HEAD: the answer has no body */
};

/* `bytes`: all that came so far. */
enum http1_state http1_parse(struct str bytes, struct http1_request *ret_request);
/* A whole answer that closes the connection; at most 512 bytes with a text of at most 256. */
void http1_answer(struct buf *out, unsigned status, const char *text, bool head);
/* "Not Found"; never NULL. */
const char *http_reason(unsigned status);

#endif
