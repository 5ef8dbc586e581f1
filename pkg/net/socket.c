#include "net/socket.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

/* What the kernel queues for a peer that reads slowly: more would be old when it is read. */
#define NOTSENT_MAX (128 * 1024)
#define USER_TIMEOUT_MS 150000 /* above all that 'stalled' (grpc/limits.c) may be */
#define KEEPALIVE_IDLE_S 60
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_PROBES 3

struct errno_text errno_text(int error)
{
    const char *known = strerrordesc_np(error);
    struct errno_text out;

    if (known)
        snprintf(out.text, sizeof(out.text), "%s", known);
    else
        snprintf(out.text, sizeof(out.text), "error %d", error);
    /* "Connection refused", but not "RPC ..." */
    if (!isupper((unsigned char)out.text[1]))
        out.text[0] = (char)tolower((unsigned char)out.text[0]);
    return out;
}

enum code socket_code(int error)
{
    switch (error) {
    case EADDRINUSE:
        return CODE_ALREADY_EXISTS;
    case EACCES:
    case EPERM:
        return CODE_PERMISSION_DENIED;
    case ENOENT:
        return CODE_NOT_FOUND;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return CODE_RESOURCE_EXHAUSTED;
    default:
        return CODE_UNAVAILABLE;
    }
}

int socket_open(const struct address *address)
{
    return socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

void socket_tune(int fd, const struct address *address)
{
    const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS},
        {IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_MAX},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
    };

    if (address->storage.ss_family != AF_INET && address->storage.ss_family != AF_INET6)
        return;
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                         sizeof(options[i].value));
}
