#include "link.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "frame.h"

static SSL_CTX *context;

void link_use_tls(void)
{
    static const unsigned char h2[] = {2, 'h', '2'};

    context = SSL_CTX_new(TLS_client_method());
    if (!context || SSL_CTX_set_alpn_protos(context, h2, sizeof(h2)) != 0)
        bench_die("OpenSSL");
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}

void link_start_tls(struct link *link)
{
    link->tls = SSL_new(context);
    if (!link->tls || !SSL_set_fd(link->tls, link->fd))
        bench_die("OpenSSL");
    SSL_set_connect_state(link->tls);
}

/* The errno that says it; 0 for an end. */
static int reason(const struct link *link, int result)
{
    switch (SSL_get_error(link->tls, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        return errno ? errno : ECONNRESET;
    default:
        return EPROTO;
    }
}

int link_shake(struct link *link)
{
    int result;

    errno = 0;
    result = SSL_do_handshake(link->tls);
    if (result == 1)
        return 1;
    errno = reason(link, result);
    return errno == EAGAIN ? 0 : -1;
}

ssize_t link_read(struct link *link, void *ptr, size_t len)
{
    int got;

    if (!link->tls)
        return read(link->fd, ptr, len);
    errno = 0;
    got = SSL_read(link->tls, ptr, (int)len);
    if (got > 0)
        return got;
    errno = reason(link, got);
    return errno ? -1 : 0;
}

ssize_t link_write(struct link *link, const void *ptr, size_t len)
{
    int sent;

    if (!link->tls)
        return write(link->fd, ptr, len);
    errno = 0;
    sent = SSL_write(link->tls, ptr, (int)len);
    if (sent > 0)
        return sent;
    errno = reason(link, sent);
    return -1;
}

bool link_pending(const struct link *link)
{
    return link->tls && SSL_pending(link->tls) > 0;
}

void link_close(struct link *link)
{
    struct linger at_once = {.l_onoff = 1};

    SSL_free(link->tls);
    setsockopt(link->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(link->fd);
    *link = (struct link){.fd = -1};
}
