#include "net/socket.h"

#include <ctype.h>
#include <errno.h>

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
