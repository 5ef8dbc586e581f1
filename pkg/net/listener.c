#include "net/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "net/socket.h"

#define PAUSE_MS 100
#define LOG_EVERY_US (60 * 1000000ull)
#define UNIX_MODE 0660

struct listener {
    struct loop *loop;
    struct fd_watch *watch;
    struct timer *resume;
    listener_accept_fn *on_accept;
    void *ctx;
    struct address address;
    int fd;
    struct counter errors;
    uint64_t logged_us; /* 0: never */
    dev_t file_device;  /* of our unix socket: a successor's file is not ours to remove */
    ino_t file_inode;   /* 0: no file */
    bool in_event;
    bool freed;
};

/* ---- opening ---- */

static const char *unix_path(const struct address *address)
{
    return (const char *)&address->storage + offsetof(struct sockaddr_un, sun_path);
}

/* A socket that refuses connections was left behind by a process that is gone. Any other kind of
 * file refuses them too and is not ours to touch. */
static bool is_stale_file(const struct address *address)
{
    struct stat info;
    int fd, status, error;

    if (!address_is_unix(address) || lstat(unix_path(address), &info) < 0 ||
        !S_ISSOCK(info.st_mode))
        return false;
    fd = socket_open(address);
    if (fd < 0)
        return false;
    status = connect(fd, (const struct sockaddr *)&address->storage, address->len);
    error = errno;
    close(fd);
    return status < 0 && error == ECONNREFUSED;
}

static int bind_and_listen(struct listener *listener)
{
    const struct address *address = &listener->address;
    struct stat info;

    if (bind(listener->fd, (const struct sockaddr *)&address->storage, address->len) < 0)
        return errno;
    if (address_is_unix(address)) {
        if (lstat(unix_path(address), &info) < 0)
            return errno;
        listener->file_device = info.st_dev;
        listener->file_inode = info.st_ino;
        /* Before listen(), while nobody can connect yet. */
        if (chmod(unix_path(address), UNIX_MODE) < 0)
            return errno;
    }
    return listen(listener->fd, LISTENER_BACKLOG) < 0 ? errno : 0;
}

/* 0 or an errno. */
static int open_socket(struct listener *listener)
{
    const int on = 1, off = 0;

    if (listener->fd >= 0)
        close(listener->fd);
    listener->fd = socket_open(&listener->address);
    if (listener->fd < 0)
        return errno;
    /* Not SO_REUSEPORT: a second process on the port must be told. */
    if (!address_is_unix(&listener->address))
        (void)setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (listener->address.storage.ss_family == AF_INET6)
        (void)setsockopt(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    socket_tune(listener->fd, &listener->address);
    return bind_and_listen(listener);
}

/* True if the address was the wildcard of IPv6 and now is that of IPv4. */
static bool fall_back_to_ipv4(struct address *address)
{
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six;

    memcpy(&six, &address->storage, sizeof(six));
    if (six.sin6_family != AF_INET6 || !IN6_IS_ADDR_UNSPECIFIED(&six.sin6_addr))
        return false;
    four.sin_port = six.sin6_port;
    *address = (struct address){.len = sizeof(four)};
    memcpy(&address->storage, &four, sizeof(four));
    return true;
}

/* In whose place no socket can be made. */
static bool is_other_file(const struct address *address)
{
    struct stat info;

    return address_is_unix(address) && lstat(unix_path(address), &info) == 0 &&
           !S_ISSOCK(info.st_mode);
}

static enum code open_listening(struct listener *listener, struct err *err)
{
    char text[ADDRESS_TEXT_MAX];
    int error = open_socket(listener);

    address_format(&listener->address, text);
    if (error == EADDRINUSE && is_stale_file(&listener->address)) {
        unlink(unix_path(&listener->address));
        error = open_socket(listener);
    }
    if ((error == EAFNOSUPPORT || error == EADDRNOTAVAIL) && fall_back_to_ipv4(&listener->address))
        error = open_socket(listener);
    if (error == EADDRINUSE && is_other_file(&listener->address))
        return fail(err, CODE_ALREADY_EXISTS,
                    "cannot listen on '%s': something that is no socket has that name", text);
    if (error != 0)
        return fail(err, socket_code(error), "cannot listen on '%s': %s", text,
                    errno_text(error).text);
    listener->address.len = sizeof(listener->address.storage);
    getsockname(listener->fd, (struct sockaddr *)&listener->address.storage,
                &listener->address.len);
    return CODE_OK;
}

/* ---- accepting ---- */

/* The connection failed, not we: the next one may be fine. */
static bool is_about_one_connection(int error)
{
    switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPERM: /* by a firewall */
    case EPROTO:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case ETIMEDOUT:
        return true;
    default:
        return false;
    }
}

static void on_resume(void *ctx)
{
    struct listener *listener = ctx;

    fd_watch_set(listener->watch, FD_READABLE);
}

/* The socket stays readable while nothing can be accepted from it. */
static void pause_accepting(struct listener *listener, int error)
{
    char text[ADDRESS_TEXT_MAX];

    fd_watch_set(listener->watch, 0);
    timer_start(listener->resume, PAUSE_MS);
    if (!log_due(&listener->logged_us, loop_now_us(listener->loop), LOG_EVERY_US))
        return;
    address_format(&listener->address, text);
    log_warn(LOG_NET, "cannot accept connections, trying again every 100 ms",
             KV_STR("address", text), KV_STR("error", errno_text(error).text),
             KV_U64("errors", listener_accept_errors(listener)));
}

static void accept_one(struct listener *listener, bool *ret_more)
{
    struct address peer = {.len = sizeof(peer.storage)};
    int fd = accept4(listener->fd, (struct sockaddr *)&peer.storage, &peer.len,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0) {
        address_unmap(&peer);
        listener->on_accept(listener->ctx, fd, &peer);
        *ret_more = !listener->freed;
        return;
    }
    *ret_more = is_about_one_connection(errno);
    if (errno == EAGAIN)
        return;
    counter_add(&listener->errors, 1);
    if (!*ret_more)
        pause_accepting(listener, errno);
}

static void on_readable(void *ctx, unused_arg int events)
{
    struct listener *listener = ctx;
    bool more = true;

    listener->in_event = true;
    for (int i = 0; more && i < LISTENER_ACCEPTS_PER_TURN; i++)
        accept_one(listener, &more);
    listener->in_event = false;
    if (listener->freed)
        free(listener);
}

/* ---- life ---- */

DEFINE_CLEANUP(struct listener, listener_free)

enum code listener_new(struct loop *loop, const struct address *address,
                       listener_accept_fn *on_accept, void *ctx, struct listener **ret_listener,
                       struct err *err)
{
    CLEANUP(listener_freep) struct listener *listener = xcalloc(1, sizeof(*listener));
    enum code code;

    listener->loop = loop;
    listener->on_accept = on_accept;
    listener->ctx = ctx;
    listener->address = *address;
    listener->fd = -1;
    code = open_listening(listener, err);
    if (code != CODE_OK)
        return code;
    code = fd_watch_new(loop, listener->fd, on_readable, listener, &listener->watch, err);
    if (code != CODE_OK)
        return code;
    listener->resume = timer_new(loop, on_resume, listener);
    fd_watch_set(listener->watch, FD_READABLE);
    *ret_listener = TAKE(listener);
    return CODE_OK;
}

static void remove_file(const struct listener *listener)
{
    const char *path = unix_path(&listener->address);
    struct stat info;

    if (listener->file_inode != 0 && lstat(path, &info) == 0 &&
        info.st_dev == listener->file_device && info.st_ino == listener->file_inode)
        unlink(path);
}

void listener_free(struct listener *listener)
{
    if (!listener)
        return;
    fd_watch_free(listener->watch);
    timer_free(listener->resume);
    remove_file(listener);
    if (listener->fd >= 0)
        close(listener->fd);
    listener->freed = true;
    if (!listener->in_event)
        free(listener);
}

const struct address *listener_address(const struct listener *listener)
{
    return &listener->address;
}

uint64_t listener_accept_errors(const struct listener *listener)
{
    return counter_get(&listener->errors);
}
