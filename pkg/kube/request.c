#include "kube/client_internal.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/json.h"
#include "base/log.h"
#include "kube/object.h"

#define CONNECT_TIMEOUT_MS 10000L
#define HEAD_TIMEOUT_MS 30000 /* no byte of an answer for so long */
#define BODY_MAX (64 * 1024 * 1024)
#define ERROR_BODY_MAX 16384
#define CA_CACHE_SECONDS 1L /* it may rotate; connections come in bursts */
#define STATUS_UNAUTHENTICATED 401

/* A peer that vanished is noticed within about 30 s, whether or not we have something to send. */
#define KEEPALIVE_IDLE_S 15
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_PROBES 3
#define USER_TIMEOUT_MS 30000

/* ---- what libcurl calls; `inside` is set ---- */

static int on_socket_made(void *ctx unused_arg, curl_socket_t fd, curlsocktype purpose unused_arg)
{
    const struct {
        int level;
        int name;
        int value;
    } wanted[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS},
    };

    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        if (setsockopt(fd, wanted[i].level, wanted[i].name, &wanted[i].value, sizeof(int)) != 0)
            log_debug(LOG_KUBE, "socket option refused", KV_STR("error", strerror(errno)));
    return CURL_SOCKOPT_OK;
}

static unsigned status_of(const struct kube_request *request)
{
    long status = 0;

    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    return (unsigned)status;
}

static bool status_good(unsigned status)
{
    return status >= 200 && status < 300;
}

/* Called per header line; the empty one ends the head (also that of an interim answer). */
static size_t on_header(char *ptr, size_t size unused_arg, size_t len, void *ctx)
{
    struct kube_request *request = ctx;
    bool end = len <= 2 && (ptr[0] == '\r' || ptr[0] == '\n');

    request->last_byte_us = loop_now_us(request->client->loop);
    if (request->freed)
        return 0;
    if (!end || request->open || !status_good(status_of(request)))
        return len;
    request->open = true;
    if (request->options.idle_timeout_ms > 0)
        timer_start(request->silence, request->options.idle_timeout_ms);
    if (request->options.on_open)
        request->options.on_open(request->options.ctx);
    return request->freed ? 0 : len;
}

static size_t on_error_body(struct kube_request *request, const char *ptr, size_t len)
{
    size_t room = ERROR_BODY_MAX - request->error_body.len;

    if (buf_append(&request->error_body, ptr, min_size(len, room)) != CODE_OK || len > room)
        return 0; /* enough to know what is wrong */
    return len;
}

static size_t on_body(char *ptr, size_t size unused_arg, size_t len, void *ctx)
{
    struct kube_request *request = ctx;

    request->last_byte_us = loop_now_us(request->client->loop);
    if (request->freed || request->refused_by_owner)
        return 0;
    if (!request->open)
        return on_error_body(request, ptr, len);
    request->body_len += len;
    if (!request->options.watch && request->body_len > request->options.max_body) {
        request->too_large = true;
        return 0;
    }
    if (request->options.on_data && !request->options.on_data(request->options.ctx, ptr, len))
        request->refused_by_owner = true;
    return request->freed || request->refused_by_owner ? 0 : len;
}

/* ---- what the owner is told ---- */

static enum code status_code(unsigned status)
{
    if (status_good(status))
        return CODE_OK;
    if (status >= 500)
        return CODE_UNAVAILABLE;
    switch (status) {
    case 400:
        return CODE_INVALID_ARGUMENT;
    case 401:
        return CODE_UNAUTHENTICATED;
    case 403:
        return CODE_PERMISSION_DENIED;
    case 404:
        return CODE_NOT_FOUND;
    case 409:
        return CODE_ABORTED;
    case 410:
        return CODE_OUT_OF_RANGE;
    case 422:
        return CODE_FAILED_PRECONDITION;
    case 429:
        return CODE_RESOURCE_EXHAUSTED;
    default:
        return CODE_UNKNOWN;
    }
}

/* "HTTP 403: services is forbidden: ..." from the Status object, if the body is one, and how long
 * to stay away. */
static void status_object_read(struct kube_request *request, unsigned status)
{
    CLEANUP(json_freep) struct json *body = NULL;
    struct str text = {0};

    if (json_parse(buf_str(&request->error_body), &body, NULL) == CODE_OK &&
        json_type(body) == JSON_OBJECT) {
        text = json_text(json_get(body, "message"));
        request->retry_after_ms = status_retry_after_ms(body);
    }
    snprintf(request->message, sizeof(request->message), text.len ? "HTTP %u: %.*s" : "HTTP %u",
             status, (int)min_size(text.len, 256), text.len ? text.ptr : "");
}

static void message_from_transfer(struct kube_request *request, CURLcode result)
{
    const char *text = request->curl_error[0] ? request->curl_error : curl_easy_strerror(result);
    bool with_errno =
        result == CURLE_COULDNT_CONNECT || result == CURLE_RECV_ERROR || result == CURLE_SEND_ERROR;
    long os_errno = 0;

    curl_easy_getinfo(request->easy, CURLINFO_OS_ERRNO, &os_errno);
    with_errno = with_errno && os_errno != 0;
    snprintf(request->message, sizeof(request->message), with_errno ? "%s: %s" : "%s", text,
             with_errno ? strerror((int)os_errno) : "");
}

/* Silence of a peer that is gone: found by our timer, by libcurl's, or by the kernel. */
static bool is_silence(const struct kube_request *request, CURLcode result)
{
    long os_errno = 0;

    curl_easy_getinfo(request->easy, CURLINFO_OS_ERRNO, &os_errno);
    return result == CURLE_OPERATION_TIMEDOUT || os_errno == ETIMEDOUT;
}

static enum code response_code(struct kube_request *request, CURLcode result, unsigned status)
{
    if (request->too_large) {
        snprintf(request->message, sizeof(request->message), "the answer is larger than %llu bytes",
                 (unsigned long long)request->options.max_body);
        return CODE_RESOURCE_EXHAUSTED;
    }
    if (request->refused_by_owner) {
        snprintf(request->message, sizeof(request->message), "the answer is malformed");
        return CODE_DATA_LOSS;
    }
    if (status > 0 && !status_good(status)) {
        status_object_read(request, status);
        return status_code(status);
    }
    if (result != CURLE_OK) {
        message_from_transfer(request, result);
        return is_silence(request, result) ? CODE_DEADLINE_EXCEEDED : CODE_UNAVAILABLE;
    }
    return CODE_OK;
}

static void response_make(struct kube_request *request, CURLcode result,
                          struct kube_response *response)
{
    unsigned status = status_of(request);
    curl_off_t retry_after = 0;

    curl_easy_getinfo(request->easy, CURLINFO_RETRY_AFTER, &retry_after);
    response->status = status;
    response->code = response_code(request, result, status);
    response->message = request->message;
    if (retry_after > 0)
        response->retry_after_ms = min_u64((uint64_t)retry_after, RETRY_AFTER_MAX_MS / 1000) * 1000;
    response->retry_after_ms = max_u64(response->retry_after_ms, request->retry_after_ms);
}

static void leave_libcurl(struct kube_request *request)
{
    if (request->with_libcurl)
        curl_multi_remove_handle(request->client->multi, request->easy);
    request->with_libcurl = false;
    timer_stop(request->silence);
}

/* As it was before it went out for the first time, for the same owner. */
static void request_rewind(struct kube_request *request)
{
    leave_libcurl(request);
    buf_reset(&request->error_body);
    request->curl_error[0] = '\0';
    request->retry_after_ms = 0;
    request->identified = false;
    request->again = true;
    list_remove(&request->link);
    list_append(&request->client->starting, &request->link);
    deferred_schedule(request->client->loop, &request->client->chores);
}

/* 401, and there may be newer credentials. */
static bool may_go_again(struct kube_request *request)
{
    return status_of(request) == STATUS_UNAUTHENTICATED && !request->again && !request->too_large &&
           identity_refused(request->client->identity, request->generation);
}

void request_finish(struct kube_request *request, CURLcode result)
{
    struct kube_response response = {0};

    if (request->freed) /* a zombie: to be buried soon */
        return;
    if (may_go_again(request)) {
        request_rewind(request);
        return;
    }
    response_make(request, result, &response);
    leave_libcurl(request);
    request->options.on_done(request->options.ctx, &response); /* may free the request */
}

void request_fail(struct kube_request *request, const struct err *err)
{
    struct kube_response response = {.code = err->code, .message = err->msg};

    request->options.on_done(request->options.ctx, &response); /* may free the request */
}

/* Moved lazily: fires at most once per quiet time, whatever the traffic. */
static void on_silence(void *ctx)
{
    struct kube_request *request = ctx;
    uint64_t limit_ms = request->open ? request->options.idle_timeout_ms : HEAD_TIMEOUT_MS;
    uint64_t quiet_ms = (loop_now_us(request->client->loop) - request->last_byte_us) / 1000;

    if (limit_ms == 0)
        return;
    if (quiet_ms < limit_ms) {
        timer_start(request->silence, limit_ms - quiet_ms);
        return;
    }
    snprintf(request->curl_error, sizeof(request->curl_error), "nothing received for %llu ms",
             (unsigned long long)limit_ms);
    request_finish(request, CURLE_OPERATION_TIMEDOUT);
}

void kube_request_set_idle_timeout(struct kube_request *request, uint64_t idle_timeout_ms)
{
    request->options.idle_timeout_ms = idle_timeout_ms;
    if (request->open)
        timer_start(request->silence, idle_timeout_ms);
}

/* ---- making one ---- */

/* libcurl makes a copy, and so notices that a connection was made with another certificate. */
static void pem_configure(CURL *easy, CURLoption option, const char *pem)
{
    struct curl_blob blob = {
        .data = (void *)(uintptr_t)pem, .len = strlen(pem), .flags = CURL_BLOB_COPY};

    curl_easy_setopt(easy, option, &blob);
}

/* Of the server; and of an https proxy, which Go's clients hold to the same. */
static void trust_configure(CURL *easy, const struct kube_config *config)
{
    long verify = config->insecure_skip_verify ? 0 : 1;

    if (config->ca_data) {
        pem_configure(easy, CURLOPT_CAINFO_BLOB, config->ca_data);
        pem_configure(easy, CURLOPT_PROXY_CAINFO_BLOB, config->ca_data);
    } else if (config->ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, config->ca_file);
        curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, config->ca_file);
    }
    /* A cluster's own CA replaces the system's, it does not join them. */
    if (config->ca_data || config->ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
        curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NULL);
    }
    curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE_SECONDS);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, verify);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, verify * 2);
    curl_easy_setopt(easy, CURLOPT_PROXY_SSL_VERIFYPEER, verify);
    curl_easy_setopt(easy, CURLOPT_PROXY_SSL_VERIFYHOST, verify * 2);
    /* A resumed session would go on with the certificate that it began with. */
    curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
}

/* As Go's clients do: the proxy of the kubeconfig, else of the environment, none to ourselves. */
static void proxy_configure(CURL *easy, const struct kube_client *client)
{
    const struct endpoint_url *url = &client->url;

    if (url->proxy) {
        curl_easy_setopt(easy, CURLOPT_PROXY, url->proxy);
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
    } else if (url->loopback || client->config->direct) {
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
    }
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
}

static void transfer_configure(struct kube_request *request)
{
    CURL *easy = request->easy;

    curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->curl_error);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket_made);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    /* libcurl 7.88 can report an aborted HTTP/2 body as complete. */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "lookaside/" LOOKASIDE_VERSION);
    if (request->options.watch) {
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
        curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    } else {
        curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    }
}

static void header_add(struct kube_request *request, const char *header)
{
    struct curl_slist *more = curl_slist_append(request->headers, header);

    if (!more)
        abort(); /* out of memory */
    request->headers = more;
}

/* libcurl borrows the body, and sends it again where it sends the head again. */
static void body_configure(struct kube_request *request)
{
    const struct kube_request_options *options = &request->options;

    if (!options->method)
        return;
    curl_easy_setopt(request->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)options->body.len);
    curl_easy_setopt(request->easy, CURLOPT_POSTFIELDS, options->body.ptr);
    curl_easy_setopt(request->easy, CURLOPT_CUSTOMREQUEST, options->method);
}

static void address_configure(struct kube_request *request)
{
    struct kube_client *client = request->client;
    CLEANUP(freep) char *url = NULL;

    if (asprintf(&url, "%s%s", client->url.base, request->options.path) < 0)
        abort();
    curl_easy_setopt(request->easy, CURLOPT_URL, url);
    if (client->url.connect_to) {
        request->connect_to = curl_slist_append(NULL, client->url.connect_to);
        curl_easy_setopt(request->easy, CURLOPT_CONNECT_TO, request->connect_to);
    }
}

struct kube_request *request_new(struct kube_client *client,
                                 const struct kube_request_options *options)
{
    struct kube_request *request = xcalloc(1, sizeof(*request));

    list_init(&request->link);
    buf_init(&request->error_body, ERROR_BODY_MAX);
    request->client = client;
    request->options = *options;
    request->options.path = xstrdup(options->path);
    request->options.body = (struct str){str_dup(options->body), options->body.len};
    if (request->options.max_body == 0)
        request->options.max_body = BODY_MAX;
    request->silence = timer_new(client->loop, on_silence, request);
    request->easy = curl_easy_init();
    if (!request->easy)
        abort(); /* out of memory */
    transfer_configure(request);
    trust_configure(request->easy, client->config);
    proxy_configure(request->easy, client);
    address_configure(request);
    body_configure(request);
    return request;
}

/* ---- sending it ---- */

/* libcurl's list has a copy of the token. */
static void headers_wipe(struct kube_request *request)
{
    for (struct curl_slist *item = request->headers; item; item = item->next)
        explicit_bzero(item->data, strlen(item->data));
    curl_slist_free_all(TAKE(request->headers));
}

static void accept_add(struct kube_request *request)
{
    const char *type = request->options.accept;
    CLEANUP(freep) char *header = NULL;

    if (asprintf(&header, "Accept: %s", type ? type : "application/json") < 0)
        abort();
    header_add(request, header);
}

static void content_type_add(struct kube_request *request)
{
    const char *type = request->options.content_type;
    CLEANUP(freep) char *header = NULL;

    if (asprintf(&header, "Content-Type: %s", type ? type : "application/json") < 0)
        abort();
    header_add(request, header);
    header_add(request, "Expect:"); /* no round trip to ask whether the body is welcome */
}

static void headers_configure(struct kube_request *request, const char *authorization)
{
    headers_wipe(request);
    if (request->client->url.host)
        header_add(request, request->client->url.host);
    accept_add(request);
    if (request->options.method)
        content_type_add(request);
    if (authorization)
        header_add(request, authorization);
    curl_easy_setopt(request->easy, CURLOPT_HTTPHEADER, request->headers);
}

enum code request_identify(struct kube_request *request, struct err *err)
{
    struct credentials credentials = {0};
    enum code code = identity_get(request->client->identity, &credentials, err);

    if (code != CODE_OK)
        return code;
    headers_configure(request, credentials.authorization);
    if (credentials.cert && credentials.key) {
        pem_configure(request->easy, CURLOPT_SSLCERT_BLOB, credentials.cert);
        pem_configure(request->easy, CURLOPT_SSLKEY_BLOB, credentials.key);
    }
    request->generation = credentials.generation;
    request->identified = true;
    return CODE_OK;
}

void request_go(struct kube_request *request)
{
    request->last_byte_us = loop_now_us(request->client->loop);
    timer_start(request->silence, HEAD_TIMEOUT_MS);
    request->with_libcurl = true;
    curl_multi_add_handle(request->client->multi, request->easy);
}

void request_destroy(struct kube_request *request)
{
    assert(!request->client->inside);
    list_remove(&request->link);
    leave_libcurl(request);
    curl_easy_cleanup(request->easy);
    headers_wipe(request);
    curl_slist_free_all(request->connect_to);
    timer_free(request->silence);
    buf_done(&request->error_body);
    free((char *)(uintptr_t)request->options.path);
    free((char *)(uintptr_t)request->options.body.ptr);
    free(request);
}
