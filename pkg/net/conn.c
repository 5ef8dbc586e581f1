#include "net/conn.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "net/backlog.h"
#include "net/socket.h"

/* What the kernel queues for a peer that reads slowly: more would be old when it is read. */
#define NOTSENT_MAX (128 * 1024)
#define USER_TIMEOUT_MS 150000 /* above what the users allow a peer that does not read */
#define KEEPALIVE_IDLE_S 60
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_PROBES 3
#define REASON_MAX (ADDRESS_TEXT_MAX + 96)

/* They only ever go forward. */
enum conn_state {
    STATE_CONNECTING,
    STATE_OPEN,
    STATE_BROKEN, /* a write failed; on_closed is still to come */
    STATE_ENDED,  /* on_closed has come */
};

struct conn {
    struct loop *loop;
    struct fd_watch *watch;
    const struct conn_handler *handler;
    void *ctx;
    struct backlog *backlog;
    struct timer *connecting; /* NULL once connected */
    struct address peer;
    int fd;
    int error;     /* errno of STATE_BROKEN */
    uint8_t state; /* enum conn_state */
    bool paused;
    bool fin_wanted;
    bool in_event; /* conn_free() leaves the memory to the event that calls it */
    bool freed;
};

_Static_assert(sizeof(struct conn) <= 200, "there are ten thousand of these on a loop");

/* ---- the two system calls that carry bytes ---- */

static ssize_t send_vector(const struct conn *conn, struct iovec *vector, size_t count)
{
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = count};
    ssize_t sent;

    do {
        sent = sendmsg(conn->fd, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent;
}

static ssize_t receive(const struct conn *conn, char *ptr, size_t len)
{
    ssize_t got;

    do {
        got = recv(conn->fd, ptr, len, 0);
    } while (got < 0 && errno == EINTR);
    return got;
}

/* ---- states ---- */

static void watch_what_matters(struct conn *conn)
{
    int events = 0;

    switch ((enum conn_state)conn->state) {
    case STATE_CONNECTING:
        events = FD_WRITABLE;
        break;
    case STATE_OPEN:
        events = (conn->paused ? 0 : FD_READABLE) | (conn->backlog ? FD_WRITABLE : 0);
        break;
    case STATE_BROKEN:
        events = FD_READABLE | FD_WRITABLE;
        break;
    case STATE_ENDED:
        break;
    }
    fd_watch_set(conn->watch, events);
}

static void set_state(struct conn *conn, enum conn_state state)
{
    assert((int)state > conn->state);
    conn->state = (uint8_t)state;
    watch_what_matters(conn);
}

/* Nothing may follow but the user's conn_free(). */
static void end(struct conn *conn, enum code code, const char *reason)
{
    set_state(conn, STATE_ENDED);
    conn->handler->on_closed(conn->ctx, code, reason);
}

static void end_with_error(struct conn *conn, int error)
{
    char reason[REASON_MAX], peer[ADDRESS_TEXT_MAX];

    if (conn->state == STATE_CONNECTING) {
        address_format(&conn->peer, peer);
        snprintf(reason, sizeof(reason), "cannot connect to '%s': %s", peer,
                 errno_text(error).text);
    } else {
        snprintf(reason, sizeof(reason), "%s", errno_text(error).text);
    }
    end(conn, CODE_UNAVAILABLE, reason);
}

/* The user is inside its own call: it hears from the loop. A socket that is shut down is always
 * ready, so that the next turn brings the event without a timer or a list. */
static void break_off(struct conn *conn, int error)
{
    conn->error = error;
    shutdown(conn->fd, SHUT_RDWR);
    set_state(conn, STATE_BROKEN);
}

static void leave_event(struct conn *conn)
{
    conn->in_event = false;
    if (conn->freed)
        free(conn);
}

/* ---- events ---- */

static void on_backlog_out(struct conn *conn)
{
    if (conn->fin_wanted)
        shutdown(conn->fd, SHUT_WR);
    watch_what_matters(conn);
    conn->handler->on_drained(conn->ctx);
}

static void flush_backlog(struct conn *conn)
{
    struct iovec vector[CONN_SLICES_MAX];
    ssize_t sent = send_vector(conn, vector, backlog_vector(conn->backlog, vector));

    if (sent < 0) {
        if (errno != EAGAIN)
            end_with_error(conn, errno);
        return;
    }
    backlog_consume(conn->backlog, (size_t)sent);
    if (backlog_size(conn->backlog) > 0)
        return;
    backlog_free(TAKE(conn->backlog));
    on_backlog_out(conn);
}

static void on_connected(struct conn *conn)
{
    int error = 0;
    socklen_t len = sizeof(error);

    getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    timer_free(TAKE(conn->connecting));
    if (error != 0) {
        end_with_error(conn, error);
        return;
    }
    set_state(conn, STATE_OPEN);
    if (conn->backlog)
        flush_backlog(conn);
    else
        on_backlog_out(conn);
}

static void on_readable(struct conn *conn)
{
    char *scratch = loop_scratch(conn->loop);

    for (int i = 0; i < CONN_READS_PER_TURN; i++) {
        ssize_t got = receive(conn, scratch, LOOP_SCRATCH_SIZE);

        if (got == 0) {
            end(conn, CODE_OK, "closed by the peer");
            return;
        }
        if (got < 0) {
            if (errno != EAGAIN)
                end_with_error(conn, errno);
            return;
        }
        conn->handler->on_data(conn->ctx, scratch, (size_t)got);
        /* A read that did not fill the memory took all there was. */
        if (got < LOOP_SCRATCH_SIZE || conn->freed || conn->paused || conn->state != STATE_OPEN)
            return;
    }
}

static void on_event(void *ctx, int events)
{
    struct conn *conn = ctx;

    conn->in_event = true;
    if (conn->state == STATE_BROKEN)
        end_with_error(conn, conn->error);
    else if (conn->state == STATE_CONNECTING)
        on_connected(conn);
    else if ((events & FD_WRITABLE) && conn->backlog)
        flush_backlog(conn);
    if ((events & FD_READABLE) && !conn->freed && !conn->paused && conn->state == STATE_OPEN)
        on_readable(conn);
    leave_event(conn);
}

static void on_connect_timeout(void *ctx)
{
    struct conn *conn = ctx;
    char reason[REASON_MAX], peer[ADDRESS_TEXT_MAX];

    address_format(&conn->peer, peer);
    snprintf(reason, sizeof(reason), "cannot connect to '%s': no answer in time", peer);
    conn->in_event = true;
    end(conn, CODE_DEADLINE_EXCEEDED, reason);
    leave_event(conn);
}

/* ---- life ---- */

/* What the kernel refuses here (a connection that is reset already) shows in the first read. */
static void set_options(int fd, const struct address *peer)
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

    if (peer->storage.ss_family != AF_INET && peer->storage.ss_family != AF_INET6)
        return;
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                         sizeof(options[i].value));
}

DEFINE_CLEANUP(struct conn, conn_free)

static enum code make(struct loop *loop, int fd, const struct address *peer,
                      const struct conn_handler *handler, void *ctx, enum conn_state state,
                      struct conn **ret_conn, struct err *err)
{
    CLEANUP(conn_freep) struct conn *conn = xcalloc(1, sizeof(*conn));
    enum code code;

    *conn = (struct conn){.loop = loop, .handler = handler, .ctx = ctx, .peer = *peer, .fd = fd};
    conn->state = (uint8_t)state;
    set_options(fd, peer);
    code = fd_watch_new(loop, fd, on_event, conn, &conn->watch, err);
    if (code != CODE_OK)
        return code;
    watch_what_matters(conn);
    *ret_conn = TAKE(conn);
    return CODE_OK;
}

enum code conn_new(struct loop *loop, int fd, const struct address *peer,
                   const struct conn_handler *handler, void *ctx, struct conn **ret_conn,
                   struct err *err)
{
    return make(loop, fd, peer, handler, ctx, STATE_OPEN, ret_conn, err);
}

enum code conn_connect(struct loop *loop, const struct address *to, uint64_t timeout_ms,
                       const struct conn_handler *handler, void *ctx, struct conn **ret_conn,
                       struct err *err)
{
    CLEANUP(conn_freep) struct conn *conn = NULL;
    char peer[ADDRESS_TEXT_MAX];
    int fd = socket_open(to);
    enum code code;

    address_format(to, peer);
    if (fd < 0)
        return fail(err, socket_code(errno), "cannot connect to '%s': %s", peer,
                    errno_text(errno).text);
    code = make(loop, fd, to, handler, ctx, STATE_CONNECTING, &conn, err);
    if (code != CODE_OK)
        return code;
    if (connect(fd, (const struct sockaddr *)&to->storage, to->len) < 0 && errno != EINPROGRESS)
        return fail(err, CODE_UNAVAILABLE, "cannot connect to '%s': %s", peer,
                    errno_text(errno).text);
    conn->connecting = timer_new(loop, on_connect_timeout, conn);
    timer_start(conn->connecting, timeout_ms);
    *ret_conn = TAKE(conn);
    return CODE_OK;
}

void conn_free(struct conn *conn)
{
    if (!conn)
        return;
    fd_watch_free(conn->watch);
    timer_free(conn->connecting);
    backlog_free(conn->backlog);
    close(conn->fd);
    conn->freed = true;
    if (!conn->in_event)
        free(conn);
}

void conn_writev(struct conn *conn, const struct conn_slice *slices, size_t count)
{
    struct iovec vector[CONN_SLICES_MAX];
    size_t total = 0;
    ssize_t sent = 0;

    assert(count <= CONN_SLICES_MAX && !conn->backlog);
    if (conn->state > STATE_OPEN)
        return;
    for (size_t i = 0; i < count; i++) {
        vector[i] = (struct iovec){(char *)slice_bytes(&slices[i]), slices[i].len};
        total += slices[i].len;
    }
    if (conn->state == STATE_OPEN && total > 0)
        sent = send_vector(conn, vector, count);
    if (sent < 0 && errno != EAGAIN) {
        break_off(conn, errno);
        return;
    }
    sent = sent < 0 ? 0 : sent;
    if ((size_t)sent < total) {
        conn->backlog = backlog_new(slices, count, (size_t)sent);
        watch_what_matters(conn);
    }
}

size_t conn_backlog(const struct conn *conn)
{
    return backlog_size(conn->backlog);
}

void conn_shutdown(struct conn *conn)
{
    conn->fin_wanted = true;
    if (conn->state == STATE_OPEN && !conn->backlog)
        shutdown(conn->fd, SHUT_WR);
}

void conn_read_pause(struct conn *conn, bool pause)
{
    conn->paused = pause;
    watch_what_matters(conn);
}

const struct address *conn_peer(const struct conn *conn)
{
    return &conn->peer;
}
