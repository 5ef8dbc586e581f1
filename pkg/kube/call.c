#include "kube/call.h"

struct kube_call {
    struct kube_call_options options; /* its texts are not kept */
    struct kube_request *request;     /* NULL: it could not begin, and `err` says why */
    struct timer *timer;              /* the end of patience; without a request: when to tell */
    struct buf answer;
    struct err err;
};

void kube_call_free(struct kube_call *call)
{
    if (!call)
        return;
    kube_request_free(call->request);
    timer_free(call->timer);
    buf_done(&call->answer);
    free(call);
}

static void finish(struct kube_call *call, const struct kube_response *response)
{
    CLEANUP(kube_call_freep) struct kube_call *over = call;
    bool good = response->code == CODE_OK;

    timer_stop(over->timer);
    over->options.on_done(over->options.ctx, response, good ? buf_str(&over->answer) : STR(""));
}

static bool on_data(void *ctx, const char *ptr, size_t len)
{
    struct kube_call *call = ctx;

    return buf_append(&call->answer, ptr, len) == CODE_OK;
}

static void on_answer(void *ctx, const struct kube_response *response)
{
    finish(ctx, response);
}

static void on_time(void *ctx)
{
    struct kube_call *call = ctx;
    struct kube_response response = {.code = call->err.code, .message = call->err.msg};

    if (call->request) {
        response.code = fail(&call->err, CODE_DEADLINE_EXCEEDED, "no answer within %llu ms",
                             (unsigned long long)call->options.timeout_ms);
        response.message = call->err.msg;
    }
    finish(call, &response);
}

struct kube_call *kube_call_start(struct kube_client *client,
                                  const struct kube_call_options *options)
{
    struct kube_call *call = xcalloc(1, sizeof(*call));
    uint64_t max_body = options->max_body ? options->max_body : CALL_ANSWER_MAX;
    struct kube_request_options request = {
        .method = options->method,
        .path = options->path,
        .body = options->body,
        .content_type = options->content_type,
        .accept = options->accept,
        .max_body = max_body,
        .on_data = on_data,
        .on_done = on_answer,
        .ctx = call,
    };

    call->options = *options;
    if (call->options.timeout_ms == 0)
        call->options.timeout_ms = CALL_TIMEOUT_MS;
    buf_init(&call->answer, max_body);
    call->timer = timer_new(kube_client_loop(client), on_time, call);
    if (kube_request_start(client, &request, &call->request, &call->err) == CODE_OK)
        timer_start(call->timer, call->options.timeout_ms);
    else
        timer_start(call->timer, 0);
    return call;
}
