#include "kube/fetch.h"

#include <curl/curl.h>

#define FETCH_URL_MAX 8192

static size_t on_body(char *ptr, size_t size, size_t count, void *ctx)
{
    return buf_append(ctx, ptr, size * count) == CODE_OK ? size * count : 0;
}

static enum code code_of_status(long status)
{
    switch (status) {
    case 400:
        return CODE_INVALID_ARGUMENT;
    case 403:
        return CODE_PERMISSION_DENIED;
    case 404:
        return CODE_NOT_FOUND;
    case 413:
        return CODE_RESOURCE_EXHAUSTED;
    default:
        return status >= 500 ? CODE_UNAVAILABLE : CODE_UNKNOWN;
    }
}

static enum code perform(CURL *easy, const char *address, struct buf *out, struct err *err)
{
    char reason[CURL_ERROR_SIZE] = "";
    long status = 0;
    CURLcode result;

    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, reason);
    result = curl_easy_perform(easy);
    if (result != CURLE_OK)
        return fail(err, CODE_UNAVAILABLE, "cannot reach '%s': %s", address,
                    *reason ? reason : curl_easy_strerror(result));
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) {
        struct str body = buf_str(out);
        struct str line = str_cut(&body, '\n');

        return fail(err, code_of_status(status), "'%s' answered %ld: %" STR_FMT, address, status,
                    STR_ARG(line));
    }
    return CODE_OK;
}

static void set_body(CURL *easy, struct str body, struct curl_slist *headers)
{
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.len > 0 ? body.ptr : "");
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
    if (body.len > 0)
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
}

/* `body` NULL: GET. */
static enum code request(const char *address, const char *path, const struct str *body,
                         struct buf *out, struct err *err)
{
    struct str unix_path = str_of(address);
    CURL *easy = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    struct buf url = BUFFER_INIT(FETCH_URL_MAX);
    enum code code;

    if (!easy || !headers) {
        curl_slist_free_all(headers);
        curl_easy_cleanup(easy);
        return fail(err, CODE_INTERNAL, "cannot reach '%s': libcurl gives no handle", address);
    }
    if (str_starts_with(unix_path, STR("unix:"))) {
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, address + strlen("unix:"));
        buf_printf(&url, "http://localhost%s", path);
    } else {
        buf_printf(&url, "%s%s%s", strstr(address, "://") ? "" : "http://", address, path);
    }
    curl_easy_setopt(easy, CURLOPT_URL, buf_cstr(&url));
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)FETCH_TIMEOUT_S);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, out);
    if (body)
        set_body(easy, *body, headers);
    code = buf_failed(&url) ? fail(err, CODE_INVALID_ARGUMENT, "the request is too long")
                            : perform(easy, address, out, err);
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    buf_done(&url);
    return code;
}

enum code fetch(const char *address, const char *path, struct buf *out, struct err *err)
{
    return request(address, path, NULL, out, err);
}

enum code fetch_post(const char *address, const char *path, struct str body, struct buf *out,
                     struct err *err)
{
    return request(address, path, &body, out, err);
}
