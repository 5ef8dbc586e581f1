#include "net/credentials.h"

#include <sys/socket.h>

bool credentials_read(int fd, struct credentials *ret_credentials)
{
    struct ucred said;
    socklen_t len = sizeof(said);
    int domain;
    socklen_t domain_len = sizeof(domain);

    /* Of any other socket the kernel has none, and makes some up. */
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_len) < 0 || domain != AF_UNIX ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &said, &len) < 0 || said.uid == (uid_t)-1)
        return false;
    *ret_credentials = (struct credentials){.pid = said.pid, .uid = said.uid, .gid = said.gid};
    return true;
}
