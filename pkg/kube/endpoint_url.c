#include "kube/client_internal.h"

#include "base/secret_file.h"

static void curlu_free(CURLU **url)
{
    curl_url_cleanup(*url);
}

static void curl_text_free(char **text)
{
    curl_free(*text);
}

static bool host_is_loopback(const char *host)
{
    return strcasecmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
           strcmp(host, "[::1]") == 0;
}

static enum code curlu_fail(const char *server, CURLUcode result, struct err *err)
{
    return fail(err, CODE_INVALID_ARGUMENT, "server '%s': %s", server, curl_url_strerror(result));
}

/* The request goes to https://<tls-server-name>/, which libcurl connects to the real address, so
 * that SNI and the check of the certificate use the other name. */
static enum code name_override(CURLU *curlu, const struct kube_config *config,
                               struct endpoint_url *url, struct err *err)
{
    CLEANUP(curl_text_free) char *host = NULL;
    CLEANUP(curl_text_free) char *port = NULL;
    CURLUcode result;

    if (curl_url_get(curlu, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(curlu, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
        return fail(err, CODE_INVALID_ARGUMENT, "server '%s': no host", config->server);
    result = curl_url_set(curlu, CURLUPART_HOST, config->tls_server_name, 0);
    if (result != CURLUE_OK)
        return fail(err, CODE_INVALID_ARGUMENT, "tls-server-name '%s': %s", config->tls_server_name,
                    curl_url_strerror(result));
    if (asprintf(&url->connect_to, "::%s:%s", host, port) < 0 ||
        asprintf(&url->host, "Host: %s:%s", host, port) < 0)
        abort();
    return CODE_OK;
}

static enum code url_make(CURLU *curlu, const struct kube_config *config, struct endpoint_url *url,
                          struct err *err)
{
    CLEANUP(curl_text_free) char *host = NULL;
    CLEANUP(curl_text_free) char *whole = NULL;
    CURLUcode result = curl_url_set(curlu, CURLUPART_URL, config->server, 0);
    enum code code = CODE_OK;
    size_t len;

    if (result == CURLUE_OK)
        result = curl_url_get(curlu, CURLUPART_HOST, &host, 0);
    if (result != CURLUE_OK)
        return curlu_fail(config->server, result, err);
    url->loopback = host_is_loopback(host);
    if (config->tls_server_name)
        code = name_override(curlu, config, url, err);
    if (code != CODE_OK)
        return code;
    result = curl_url_get(curlu, CURLUPART_URL, &whole, 0);
    if (result != CURLUE_OK)
        return curlu_fail(config->server, result, err);
    len = strlen(whole);
    while (len > 0 && whole[len - 1] == '/')
        len--;
    url->base = xstrndup(whole, len);
    return CODE_OK;
}

/* kubectl lets a socks5 proxy resolve the server's name; libcurl calls that another scheme. */
static char *proxy_make(const char *proxy)
{
    static const struct str socks = STR_INIT("socks5://");
    char *url = NULL;

    if (!proxy)
        return NULL;
    if (!str_starts_with(str_of(proxy), socks))
        return xstrdup(proxy);
    if (asprintf(&url, "socks5h://%s", proxy + socks.len) < 0)
        abort();
    return url;
}

enum code endpoint_url_make(const struct kube_config *config, struct endpoint_url *ret_url,
                            struct err *err)
{
    CLEANUP(curlu_free) CURLU *curlu = curl_url();
    struct endpoint_url url = {0};
    enum code code = url_make(curlu, config, &url, err);

    if (code != CODE_OK) {
        endpoint_url_done(&url);
        return code;
    }
    url.proxy = proxy_make(config->proxy_url);
    *ret_url = url;
    return CODE_OK;
}

void endpoint_url_done(struct endpoint_url *url)
{
    free(url->base);
    free(url->connect_to);
    free(url->host);
    secret_free(url->proxy); /* may carry a password */
}
