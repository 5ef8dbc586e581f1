#include "net/conn.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include "net/conn_internal.h"
#include "net/socket.h"

/* ---- the two system calls that carry bytes ---- */

ssize_t conn_send(const struct conn *conn, struct iovec *vector, size_t count)
{
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = count};
    ssize_t sent;

    do {
        sent = sendmsg(conn->fd, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent;
}

ssize_t conn_receive(const struct conn *conn, char *ptr, size_t len)
{
    ssize_t got;

    do {
        got = recv(conn->fd, ptr, len, 0);
    } while (got < 0 && errno == EINTR);
    return got;
}

/* ---- states ---- */

static size_t unsent(const struct conn *conn)
{
    return conn->tls ? conn->tls->out.len : backlog_size(conn->backlog);
}

void conn_watch(struct conn *conn)
{
    int events = 0;

    switch ((enum conn_state)conn->state) {
    case STATE_CONNECTING:
        events = FD_WRITABLE;
        break;
    case STATE_SECURING:
        events = (conn_tls_waits(conn) ? 0 : FD_READABLE) | (unsent(conn) ? FD_WRITABLE : 0);
        break;
    case STATE_OPEN:
        events = (conn->paused ? 0 : FD_READABLE) | (unsent(conn) ? FD_WRITABLE : 0);
        break;
    case STATE_BROKEN:
        events = FD_READABLE | FD_WRITABLE;
        break;
    case STATE_ENDED:
        break;
    }
    fd_watch_set(conn->watch, events);
}

void conn_set_state(struct conn *conn, enum conn_state state)
{
    assert((int)state > conn->state);
    conn->state = (uint8_t)state;
    conn_watch(conn);
}

void conn_end(struct conn *conn, enum code code, const char *reason)
{
    if (conn->state == STATE_SECURING)
        conn_tls_leave(conn, conn->tls->failure ? conn->tls->failure : TLS_FAILURE_CLOSED);
    conn_set_state(conn, STATE_ENDED);
    conn->handler->on_closed(conn->ctx, code, reason);
}

void conn_end_with_error(struct conn *conn, int error)
{
    char reason[CONN_REASON_MAX], peer[ADDRESS_TEXT_MAX];

    if (conn->state == STATE_CONNECTING) {
        address_format(&conn->peer, peer);
        snprintf(reason, sizeof(reason), "cannot connect to '%s': %s", peer,
                 errno_text(error).text);
    } else {
        snprintf(reason, sizeof(reason), "%s", errno_text(error).text);
    }
    conn_end(conn, CODE_UNAVAILABLE, reason);
}

/* A socket that is shut down is always ready, so that the next turn brings the event without a timer or a list. */
void conn_break_off(struct conn *conn, int error)
{
    conn->error = error;
    shutdown(conn->fd, SHUT_RDWR);
    conn_set_state(conn, STATE_BROKEN);
}

void conn_leave_event(struct conn *conn)
{
    conn->in_event = false;
    if (conn->freed)
        free(conn);
}

/* ---- writing what was left behind ---- */

void conn_drained(struct conn *conn)
{
    if (conn->fin_wanted)
        shutdown(conn->fd, SHUT_WR);
    conn_watch(conn);
    conn->handler->on_drained(conn->ctx);
}

static void flush(struct conn *conn)
{
    struct iovec vector[CONN_SLICES_MAX];
    ssize_t sent;

    if (conn->tls) {
        conn_tls_flush(conn);
        return;
    }
    sent = conn_send(conn, vector, backlog_vector(conn->backlog, vector));
    if (sent < 0) {
        if (errno != EAGAIN)
            conn_end_with_error(conn, errno);
        return;
    }
    backlog_consume(conn->backlog, (size_t)sent);
    if (backlog_size(conn->backlog) > 0)
        return;
    backlog_free(TAKE(conn->backlog));
    conn_drained(conn);
}

/* ---- events ---- */

static void on_connected(struct conn *conn)
{
    int error = 0;
    socklen_t len = sizeof(error);

    getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error != 0) {
        conn_end_with_error(conn, error);
        return;
    }
    if (conn->tls) {
        conn_tls_begin(conn);
        return;
    }
    timer_free(TAKE(conn->connecting));
    conn_set_state(conn, STATE_OPEN);
    if (conn->backlog)
        flush(conn);
    else
        conn_drained(conn);
}

static void on_readable(struct conn *conn)
{
    char *scratch = loop_scratch(conn->loop);

    for (int i = 0; i < CONN_READS_PER_TURN; i++) {
        ssize_t got = conn_receive(conn, scratch, LOOP_SCRATCH_SIZE);

        if (got == 0) {
            conn_end(conn, CODE_OK, "closed by the peer");
            return;
        }
        if (got < 0) {
            if (errno != EAGAIN)
                conn_end_with_error(conn, errno);
            return;
        }
        conn->handler->on_data(conn->ctx, scratch, (size_t)got);
        /* A read that did not fill the memory took all there was. */
        if (got < LOOP_SCRATCH_SIZE || conn->freed || conn->paused || conn->state != STATE_OPEN)
            return;
    }
}

static bool may_read(const struct conn *conn)
{
    return conn->state == STATE_SECURING || (conn->state == STATE_OPEN && !conn->paused);
}

static void on_event(void *ctx, int events)
{
    struct conn *conn = ctx;

    conn->in_event = true;
    if (conn->state == STATE_BROKEN)
        conn_end_with_error(conn, conn->error);
    else if (conn->state == STATE_CONNECTING)
        on_connected(conn);
    else if ((events & FD_WRITABLE) && unsent(conn) > 0)
        flush(conn);
    if ((events & FD_READABLE) && !conn->freed && may_read(conn))
        conn->tls ? conn_tls_read(conn) : on_readable(conn);
    conn_leave_event(conn);
}

static void on_connect_timeout(void *ctx)
{
    struct conn *conn = ctx;
    char reason[CONN_REASON_MAX], peer[ADDRESS_TEXT_MAX];

    address_format(&conn->peer, peer);
    snprintf(reason, sizeof(reason), "cannot connect to '%s': no answer in time", peer);
    conn->in_event = true;
    conn_end(conn, CODE_DEADLINE_EXCEEDED, reason);
    conn_leave_event(conn);
}

/* ---- life ---- */

DEFINE_CLEANUP(struct conn, conn_free)

static enum code make(struct loop *loop, int fd, const struct address *peer,
                      const struct conn_handler *handler, void *ctx, enum conn_state state,
                      struct conn **ret_conn, struct err *err)
{
    CLEANUP(conn_freep) struct conn *conn = xcalloc(1, sizeof(*conn));
    enum code code;

    *conn = (struct conn){.loop = loop, .handler = handler, .ctx = ctx, .peer = *peer, .fd = fd};
    conn->state = (uint8_t)state;
    code = fd_watch_new(loop, fd, on_event, conn, &conn->watch, err);
    if (code != CODE_OK)
        return code;
    conn_watch(conn);
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
    socket_tune(fd, to);
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
    conn_tls_leave(conn, TLS_FAILURE_GIVEN_UP);
    tls_session_free(conn->tls);
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

    assert(count <= CONN_SLICES_MAX && conn_backlog(conn) == 0);
    if (conn->state > STATE_OPEN)
        return;
    for (size_t i = 0; i < count; i++) {
        vector[i] = (struct iovec){(char *)slice_bytes(&slices[i]), slices[i].len};
        total += slices[i].len;
    }
    if (conn->state == STATE_OPEN && conn->tls) {
        conn_tls_write(conn, vector, count);
        return;
    }
    if (conn->state == STATE_OPEN && total > 0)
        sent = conn_send(conn, vector, count);
    if (sent < 0 && errno != EAGAIN) {
        conn_break_off(conn, errno);
        return;
    }
    sent = sent < 0 ? 0 : sent;
    if ((size_t)sent < total) {
        conn->backlog = backlog_new(slices, count, (size_t)sent);
        conn_watch(conn);
    }
}

size_t conn_backlog(const struct conn *conn)
{
    return backlog_size(conn->backlog) + (conn->tls ? conn->tls->out.len : 0);
}

void conn_shutdown(struct conn *conn)
{
    conn->fin_wanted = true;
    if (conn->tls && conn->state == STATE_OPEN)
        conn_tls_shutdown(conn);
    if (conn->state == STATE_OPEN && conn_backlog(conn) == 0)
        shutdown(conn->fd, SHUT_WR);
}

void conn_read_pause(struct conn *conn, bool pause)
{
    conn->paused = pause;
    conn_watch(conn);
}

bool conn_is_open(const struct conn *conn)
{
    return conn->state == STATE_OPEN;
}

const struct address *conn_peer(const struct conn *conn)
{
    return &conn->peer;
}

bool conn_may_http2(const struct conn *conn)
{
    return !conn->tls || tls_session_is_http2(conn->tls);
}

const struct service_account *conn_account(const struct conn *conn)
{
    return conn->tls ? conn->tls->account : NULL;
}
