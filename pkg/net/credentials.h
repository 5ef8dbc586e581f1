/*
 * Who is at the other end of a unix socket, as the kernel wrote it down when that end connected (SO_PEERCRED; unix(7)):
 * nothing that is sent changes it, nor does it change with the process.
 *
 * A user of another user namespace that has no number here is the kernel's overflow user, CREDENTIALS_OVERFLOW.
 *
 * Threads: any; a value.
 */
#ifndef NET_CREDENTIALS_H
#define NET_CREDENTIALS_H

#include <sys/types.h>

#include "base/base.h"

#define CREDENTIALS_OVERFLOW 65534

struct credentials {
    pid_t pid; /* 0: of another pid namespace, that is not seen from here */
    uid_t uid;
    gid_t gid;
};

/* False: `fd` is no connected unix socket. */
bool credentials_read(int fd, struct credentials *ret_credentials) must_check;

#endif
