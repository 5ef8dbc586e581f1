/*
 * The keys of the API server that verify service-account tokens: asked for at the start, every ten minutes, and when a token
 * comes whose key is unknown, but at most once a minute. While the API server does not answer, the last ones stay.
 *
 * Threads: the control loop.
 */
#ifndef LOOKASIDE_TOKEN_KEYS_H
#define LOOKASIDE_TOKEN_KEYS_H

#include "base/buf.h"
#include "kube/client.h"
#include "serve/serve.h"

#define TOKEN_KEYS_REFRESH_MS (10 * 60 * 1000)
#define TOKEN_KEYS_WANTED_US (60 * 1000000u)

struct token_keys;

struct token_keys_options {
    struct loop *loop;
    struct kube_client *client;
    struct serve *serve;  /* gets who verifies by them */
    const char *audience; /* borrowed for life */
};

struct token_keys *token_keys_new(const struct token_keys_options *options) must_check;
/* Before the client. NULL is fine. */
void token_keys_free(struct token_keys *keys);
/* A token has come whose key is unknown. */
void token_keys_want(struct token_keys *keys);
void token_keys_write_metrics(const struct token_keys *keys, struct buf *out);

#endif
