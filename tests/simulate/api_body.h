/* The bodies of API servers' answers: lists, and the lines of watches. */
#ifndef SIMULATE_API_BODY_H
#define SIMULATE_API_BODY_H

#include "base/buf.h"
#include "cluster.h"

/* What the controller knows once it has the bytes before `at`. */
struct api_mark {
    size_t at;
    enum {
        MARK_EVENT,
        MARK_LIST,
        MARK_BAD, /* the reader gives up here */
    } kind;
    size_t step;
    unsigned slot; /* of an event */
};

struct api_body {
    enum resource resource;
    struct buf bytes;
    struct api_mark *marks;
    size_t marks_len, marks_cap;
};

/* A place in a list: the state that it began with, and where it goes on. */
struct api_place {
    size_t step;
    unsigned slot;
};

void api_body_init(struct api_body *body, enum resource resource);
void api_body_done(struct api_body *body);

/* A page of at most `limit` objects, whose token for the next is "<step>.<slot>". Marked, if it is the last
 * one and `counts`. */
void api_body_add_page(struct api_body *body, struct api_place at, size_t limit, uint64_t version,
                       bool counts);
/* The present state as events, and a bookmark that ends them. */
void api_body_add_state(struct api_body *body);
void api_body_add_bookmark(struct api_body *body, uint64_t version);
/* `garbled`: it is not JSON. */
void api_body_add_event(struct api_body *body, const struct api_change *change, bool garbled);
void api_body_add_error(struct api_body *body, unsigned status, const char *message);

#endif
