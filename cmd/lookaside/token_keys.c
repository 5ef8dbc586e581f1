#include "token_keys.h"

#include "base/backoff.h"
#include "base/log.h"
#include "base/metric.h"
#include "kube/call.h"

#define ISSUER_PATH "/.well-known/openid-configuration"
#define KEYS_PATH "/openid/v1/jwks"
#define KEYS_TYPE "application/jwk-set+json"
#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS (60 * 1000)

struct token_keys {
    struct token_keys_options options;
    struct timer *timer; /* to the next time */
    struct kube_call *call;
    struct backoff backoff;
    char *issuer, *text; /* that are in use; NULL: none yet */
    char *next_issuer;   /* while the keys are asked for */
    uint64_t asked_us;   /* the last time that it began; 0: never */
    struct err failure;  /* the last one that was logged; "" while all is well */
    struct counter loads, failures, keys;
};

/* ---- what came of it ---- */

static void end_round(struct token_keys *keys, uint64_t next_ms)
{
    free(TAKE(keys->next_issuer));
    timer_start(keys->timer, next_ms);
}

static void on_failure(struct token_keys *keys, uint64_t floor_ms, const struct err *err)
{
    counter_add(&keys->failures, 1);
    if (strcmp(keys->failure.msg, err->msg) != 0)
        log_warn(LOG_MAIN,
                 keys->text ? "cannot get the keys of tokens, keeping the last ones"
                            : "cannot get the keys of tokens: none is accepted yet",
                 KV_ERR(err));
    keys->failure = *err;
    end_round(keys, backoff_next_ms(&keys->backoff, floor_ms));
}

static void use(struct token_keys *keys, struct verifier *verifier, struct str text)
{
    bool same = keys->text && strcmp(keys->issuer, keys->next_issuer) == 0 &&
                str_eq(str_of(keys->text), text);

    counter_add(&keys->loads, 1);
    counter_set(&keys->keys, verifier_keys(verifier));
    keys->failure = (struct err){0};
    if (!same) {
        serve_set_verifier(keys->options.serve, verifier);
        free(keys->issuer);
        free(keys->text);
        keys->issuer = TAKE(keys->next_issuer);
        keys->text = str_dup(text);
        log_info(LOG_MAIN, "keys of tokens are in use", KV_STR("issuer", keys->issuer),
                 KV_U64("keys", verifier_keys(verifier)));
    }
    backoff_reset(&keys->backoff);
    end_round(keys, TOKEN_KEYS_REFRESH_MS);
}

static enum code check(const struct kube_response *response, const char *path, struct err *err)
{
    return response->code == CODE_OK ? CODE_OK
                                     : fail(err, response->code, "%s: %s", path, response->message);
}

static void on_keys(void *ctx, const struct kube_response *response, struct str body)
{
    struct token_keys *keys = ctx;
    CLEANUP(verifier_unrefp) struct verifier *verifier = NULL;
    struct err err = {0};
    enum code code = check(response, KEYS_PATH, &err);

    keys->call = NULL;
    if (code == CODE_OK)
        code = verifier_new(body, str_of(keys->next_issuer), str_of(keys->options.audience),
                            &verifier, &err);
    if (code == CODE_OK)
        use(keys, verifier, body);
    else
        on_failure(keys, response->retry_after_ms, &err);
}

/* ---- asking ---- */

static struct kube_call *ask(struct token_keys *keys, const char *path, const char *accept,
                             void (*on_done)(void *ctx, const struct kube_response *response,
                                             struct str body))
{
    return kube_call_start(keys->options.client, &(struct kube_call_options){
                                                     .path = path,
                                                     .accept = accept,
                                                     .on_done = on_done,
                                                     .ctx = keys,
                                                 });
}

static enum code read_issuer(struct str body, char **ret_issuer, struct err *err)
{
    CLEANUP(json_freep) struct json *json = NULL;
    struct str issuer;
    enum code code = json_parse(body, &json, err);

    if (code == CODE_OK)
        code = json_read_str(json, "", "issuer", STR(""), &issuer, err);
    if (code == CODE_OK && issuer.len == 0)
        code = fail(err, CODE_INVALID_ARGUMENT, "no issuer is named");
    if (code != CODE_OK)
        return fail_in(err, "%s", ISSUER_PATH);
    *ret_issuer = str_dup(issuer);
    return CODE_OK;
}

static void on_issuer(void *ctx, const struct kube_response *response, struct str body)
{
    struct token_keys *keys = ctx;
    struct err err = {0};
    enum code code = check(response, ISSUER_PATH, &err);

    keys->call = NULL;
    if (code == CODE_OK)
        code = read_issuer(body, &keys->next_issuer, &err);
    if (code == CODE_OK)
        keys->call = ask(keys, KEYS_PATH, KEYS_TYPE, on_keys);
    else
        on_failure(keys, response->retry_after_ms, &err);
}

static void on_time(void *ctx)
{
    struct token_keys *keys = ctx;

    keys->asked_us = loop_now_us(keys->options.loop);
    keys->call = ask(keys, ISSUER_PATH, NULL, on_issuer);
}

void token_keys_want(struct token_keys *keys)
{
    uint64_t age_us = loop_now_us(keys->options.loop) - keys->asked_us;

    if (keys->call || age_us < TOKEN_KEYS_WANTED_US)
        return;
    timer_start(keys->timer, 0);
}

/* ---- life ---- */

struct token_keys *token_keys_new(const struct token_keys_options *options)
{
    struct token_keys *keys = xcalloc(1, sizeof(*keys));

    keys->options = *options;
    keys->backoff = (struct backoff){.base_ms = RETRY_MIN_MS, .max_ms = RETRY_MAX_MS};
    keys->timer = timer_new(options->loop, on_time, keys);
    on_time(keys);
    return keys;
}

void token_keys_free(struct token_keys *keys)
{
    if (!keys)
        return;
    kube_call_free(keys->call);
    timer_free(keys->timer);
    free(keys->issuer);
    free(keys->text);
    free(keys->next_issuer);
    free(keys);
}

void token_keys_write_metrics(const struct token_keys *keys, struct buf *out)
{
    metric_write_head(out, "lookaside_token_keys", "gauge",
                      "Keys of the API server that verify tokens.");
    metric_write_u64(out, "lookaside_token_keys", NULL, counter_get(&keys->keys));
    metric_write_head(out, "lookaside_token_keys_loads_total", "counter",
                      "Times that they were asked for, by what became of it.");
    metric_write_u64(out, "lookaside_token_keys_loads_total", "result=\"loaded\"",
                     counter_get(&keys->loads));
    metric_write_u64(out, "lookaside_token_keys_loads_total", "result=\"failed\"",
                     counter_get(&keys->failures));
}
