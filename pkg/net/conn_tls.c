/* A connection with TLS in between: what is received goes through the session to the user, what is
 * written through the session to the socket. */
#include <errno.h>

#include "net/conn_internal.h"

static size_t unsent(const struct conn *conn)
{
    return conn->tls->out.len;
}

bool conn_tls_waits(const struct conn *conn)
{
    return conn->tls->gate && !list_empty(&conn->tls->turn.link);
}

void conn_tls_leave(struct conn *conn, enum tls_failure failure)
{
    if (conn->tls && conn->tls->gate)
        tls_gate_leave(TAKE(conn->tls->gate), &conn->tls->turn, failure);
}

/* ---- out ---- */

/* What TLS has for the wire, as far as the kernel takes it; 0 or an errno. */
static int send_records(struct conn *conn)
{
    struct buf *out = &conn->tls->out;
    struct iovec vector = {out->ptr, out->len};
    ssize_t sent = out->len > 0 ? conn_send(conn, &vector, 1) : 0;

    if (sent < 0)
        return errno == EAGAIN ? 0 : errno;
    buf_consume(out, (size_t)sent);
    if (out->len == 0)
        buf_done(out);
    return 0;
}

void conn_tls_flush(struct conn *conn)
{
    int error = send_records(conn);

    if (error)
        conn_end_with_error(conn, error);
    else if (conn->state == STATE_OPEN && unsent(conn) == 0)
        conn_drained(conn);
    else
        conn_watch(conn);
}

void conn_tls_write(struct conn *conn, const struct iovec *vector, size_t count)
{
    int error = tls_session_write(conn->tls, vector, count) ? send_records(conn) : EPROTO;

    if (error) {
        buf_done(&conn->tls->out);
        conn_break_off(conn, error);
    } else {
        conn_watch(conn);
    }
}

void conn_tls_shutdown(struct conn *conn)
{
    tls_session_end(conn->tls);
    (void)send_records(conn); /* the next read tells what is wrong */
    conn_watch(conn);
}

/* ---- in ---- */

/* Where the bytes of the wire go; in front of them is room for a record's. */
static char *wire_scratch(const struct conn *conn)
{
    return loop_scratch(conn->loop) + TLS_PLAIN_MAX;
}

/* Reads once; false: there is nothing. */
static bool receive_records(struct conn *conn)
{
    ssize_t got = conn_receive(conn, wire_scratch(conn), LOOP_SCRATCH_SIZE - TLS_PLAIN_MAX);

    if (got > 0)
        tls_session_feed(conn->tls, wire_scratch(conn), (size_t)got);
    else if (got == 0)
        conn_end(conn, CODE_OK, "closed by the peer");
    else if (errno != EAGAIN)
        conn_end_with_error(conn, errno);
    return got > 0;
}

/* An alert may tell the peer. */
static void end_with_tls_failure(struct conn *conn)
{
    bool in_handshake = conn->state == STATE_SECURING;
    char reason[CONN_REASON_MAX];

    (void)send_records(conn);
    snprintf(reason, sizeof(reason), "TLS%s failed: %.*s", in_handshake ? " handshake" : "",
             CONN_REASON_MAX / 2, conn->tls->reason);
    conn_end(conn, in_handshake ? CODE_UNAUTHENTICATED : CODE_DATA_LOSS, reason);
}

/* Everything that was received, record by record. */
static void hand_over(struct conn *conn)
{
    char *out = loop_scratch(conn->loop);

    while (!conn->freed && conn->state == STATE_OPEN) {
        size_t len;

        switch (tls_session_read(conn->tls, out, &len)) {
        case TLS_OK:
            conn->handler->on_data(conn->ctx, out, len);
            break;
        case TLS_MORE:
            if (unsent(conn))
                conn_tls_flush(conn);
            return;
        case TLS_ENDED:
            conn_end(conn, CODE_OK, "closed by the peer");
            return;
        case TLS_FAILED:
            end_with_tls_failure(conn);
            return;
        }
    }
}

/* The handshake is through: what was written before it goes out, what came behind it is read. */
static void on_secured(struct conn *conn)
{
    bool awaited = conn->connecting || conn->backlog;
    struct iovec vector[CONN_SLICES_MAX];
    bool written = true;
    int error;

    timer_free(TAKE(conn->connecting));
    conn_tls_leave(conn, TLS_FAILURE_NONE);
    conn_set_state(conn, STATE_OPEN);
    if (conn->backlog)
        written = tls_session_write(conn->tls, vector, backlog_vector(conn->backlog, vector));
    backlog_free(TAKE(conn->backlog));
    if (conn->fin_wanted)
        tls_session_end(conn->tls);
    error = written ? send_records(conn) : EPROTO;
    if (error)
        conn_end_with_error(conn, error);
    else if (awaited && unsent(conn) == 0)
        conn_drained(conn);
    else
        conn_watch(conn);
    if (!error && !awaited && conn->fin_wanted && unsent(conn) == 0)
        shutdown(conn->fd, SHUT_WR);
    hand_over(conn);
}

/* With the handshake, as far as it goes now. */
static void go_on(struct conn *conn)
{
    int error;

    switch (tls_session_handshake(conn->tls)) {
    case TLS_OK:
        on_secured(conn);
        return;
    case TLS_MORE:
        error = send_records(conn);
        if (error)
            conn_end_with_error(conn, error);
        else
            conn_watch(conn);
        return;
    case TLS_ENDED:
        conn_end(conn, CODE_OK, "closed by the peer");
        return;
    case TLS_FAILED:
        end_with_tls_failure(conn);
        return;
    }
}

static void on_turn(void *ctx)
{
    struct conn *conn = ctx;

    conn->in_event = true;
    if (receive_records(conn))
        go_on(conn);
    else if (conn->state == STATE_SECURING)
        conn_watch(conn);
    conn_leave_event(conn);
}

static void on_evict(void *ctx)
{
    struct conn *conn = ctx;

    conn->in_event = true;
    conn->tls->failure = TLS_FAILURE_STALLED;
    conn_end(conn, CODE_UNAUTHENTICATED, "TLS handshake stalled while others waited");
    conn_leave_event(conn);
}

static const struct tls_turn_handler turn_handler = {on_turn, on_evict};

void conn_tls_read(struct conn *conn)
{
    if (conn->state == STATE_SECURING && conn->tls->gate) {
        tls_gate_queue(conn->tls->gate, &conn->tls->turn);
        conn_watch(conn);
    } else if (receive_records(conn)) {
        if (conn->state == STATE_SECURING)
            go_on(conn);
        else
            hand_over(conn);
    }
}

void conn_tls_begin(struct conn *conn)
{
    conn_set_state(conn, STATE_SECURING);
    go_on(conn);
}

void conn_start_tls(struct conn *conn, struct tls *tls, const char *server_name,
                    struct tls_gate *gate)
{
    conn->tls = tls_session_new(tls, server_name);
    conn->tls->gate = gate;
    tls_turn_init(&conn->tls->turn, &turn_handler, conn);
    if (conn->state == STATE_OPEN)
        conn->state = STATE_SECURING; /* it has heard nothing yet */
}
