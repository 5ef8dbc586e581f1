#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <nghttp2/nghttp2.h>
#include <sys/socket.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "../net/certificates.h"
#include "base/clock.h"
#include "grpc/message.h"

struct world world;

/* ---- the methods ---- */

void world_release(void *connection)
{
    cr_assert_eq(connection, &world);
    world.released++;
}

static void on_open(struct rpc *rpc)
{
    cr_assert(!rpc_connection(rpc) || rpc_connection(rpc) == &world);
    world.opens++;
    world.rpc = rpc;
}

static void note_message(struct str message)
{
    world.messages++;
    buf_reset(&world.message);
    cr_assert_eq(buf_add_str(&world.message, message), CODE_OK);
}

static void on_echo(struct rpc *rpc, struct str message)
{
    note_message(message);
    rpc_reply(rpc, message.ptr, message.len);
}

static void on_silent(struct rpc *rpc unused_arg, struct str message)
{
    note_message(message);
}

static void on_half_close(struct rpc *rpc unused_arg)
{
    world.half_closes++;
}

static bool on_pull(struct rpc *rpc, struct rpc_out *out)
{
    static const char zeros[64 * 1024];

    world.pulls++;
    if (!world.next || world.ready == 0 || (world.one_each && world.served == rpc))
        return false;
    world.served = rpc;
    world.ready--;
    cr_assert_eq(buf_append(&out->head, zeros, world.head_len), CODE_OK);
    rpc_out_add(out, blob_ref(world.next));
    return true;
}

static void on_written(struct rpc *rpc unused_arg)
{
    world.written++;
    cr_assert_eq(buf_add_char(&world.order, 'u'), CODE_OK);
}

static void on_close(struct rpc *rpc, enum code code)
{
    world.closes++;
    world.closed = code;
    if (str_eq(rpc_path(rpc), STR(ECHO)))
        cr_assert_eq(buf_add_char(&world.order, 'a'), CODE_OK);
    if (world.rpc == rpc)
        world.rpc = NULL;
}

static void on_open_denied(struct rpc *rpc)
{
    on_open(rpc);
    rpc_finish(rpc, CODE_PERMISSION_DENIED, "50% no\n");
}

static void on_message_refused(struct rpc *rpc, struct str message)
{
    note_message(message);
    rpc_finish(rpc, CODE_INVALID_ARGUMENT, "no such thing");
}

static const struct rpc_handler echo = {on_open, on_echo,  on_half_close, NULL,
                                        NULL,    on_close, NULL};
static const struct rpc_handler silent = {on_open, on_silent, on_half_close, NULL,
                                          NULL,    on_close,  NULL};
static const struct rpc_handler stream = {on_open,    on_silent, NULL, on_pull,
                                          on_written, on_close,  NULL};
static const struct rpc_handler denied = {on_open_denied, on_silent, NULL, on_pull,
                                          NULL,           on_close,  NULL};
static const struct rpc_handler refused = {on_open, on_message_refused, NULL, on_pull,
                                           NULL,    on_close,           NULL};

static const struct rpc_method methods[] = {
    {STR_INIT(ECHO), &echo},     {STR_INIT(SILENT), &silent},   {STR_INIT(STREAM), &stream},
    {STR_INIT(DENIED), &denied}, {STR_INIT(REFUSED), &refused},
};

/* ---- the world ---- */

void world_start(void)
{
    char *room;
    struct err err = {0};
    struct grpc_server_options options = {.methods = methods,
                                          .methods_len = ARRAY_LEN(methods),
                                          .ctx = &world,
                                          .release = world_release,
                                          .metadata = world.metadata,
                                          .limits = world.limits};

    buf_init(&world.message, RPC_MESSAGE_MAX);
    buf_init(&world.order, RPC_MESSAGE_MAX);
    cr_assert_eq(buf_reserve(&world.order, 16 * 1024, &room), CODE_OK); /* before anyone counts */
    cr_assert_eq(loop_new(&world.loop, &err), CODE_OK, "%s", err.msg);
    options.loop = world.loop;
    cr_assert_eq(grpc_server_new(&options, &world.server, &err), CODE_OK, "%s", err.msg);
}

void world_stop(void)
{
    grpc_server_free(world.server);
    loop_free(world.loop);
    if (world.next)
        cr_assert_eq(atomic_load(&world.next->refs), 1, "the server has let go of all messages");
    blob_unref(world.next);
    buf_done(&world.message);
    buf_done(&world.order);
    cr_assert_eq(world.opens, world.closes, "every call is closed once");
    cr_assert_eq(world.adopted, world.released, "so is every connection");
}

bool world_until(bool (*done)(void *ctx), void *ctx)
{
    uint64_t end_us = clock_monotonic_us() + WAIT_MS * 1000;

    while (!done(ctx)) {
        if (clock_monotonic_us() > end_us)
            return false;
        loop_turn(world.loop, 10);
    }
    return true;
}

void world_settle(void)
{
    for (int i = 0; i < 20; i++)
        loop_turn(world.loop, 0);
}

struct tls *world_tls(void)
{
    char cert[] = "/tmp/lookaside-cert-XXXXXX", key[] = "/tmp/lookaside-key-XXXXXX";
    struct authority *authority = authority_new();
    struct err err = {0};
    struct tls *tls;

    close(mkstemp(cert));
    close(mkstemp(key));
    authority_sign(authority, NULL, cert, key);
    authority_free(authority);
    cr_assert_eq(tls_server_new(cert, key, clock_wall_us(), &tls, &err), CODE_OK, "%s", err.msg);
    unlink(cert);
    unlink(key);
    return tls;
}

const struct grpc_server_stats *world_stats(void)
{
    return grpc_server_stats(world.server);
}

void world_say(size_t len)
{
    blob_unref(world.next);
    world.next = blob_new(len);
    memset(world.next->bytes, 'x', len);
}

/* ---- raw connections ---- */

void raw_open_tls(struct raw *raw, struct tls *tls, int plain, int wire)
{
    struct address peer = {.len = sizeof(sa_family_t)};

    peer.storage.ss_family = AF_UNIX;
    *raw = (struct raw){.fd = plain};
    buf_init(&raw->in, 64 * 1024 * 1024);
    world.adopted++;
    grpc_server_adopt(world.server, wire, &peer, tls, &world);
}

void raw_open(struct raw *raw)
{
    int pair[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    raw_open_tls(raw, NULL, pair[0], pair[1]);
}

void raw_close(struct raw *raw)
{
    close(raw->fd);
    buf_done(&raw->in);
    raw->fd = -1;
}

void raw_write(struct raw *raw, const void *ptr, size_t len)
{
    const char *at = ptr;
    uint64_t end_us = clock_monotonic_us() + WAIT_MS * 1000;

    while (len > 0) {
        ssize_t sent = send(raw->fd, at, len, MSG_NOSIGNAL);

        if (sent < 0 && errno != EAGAIN)
            return; /* the server has closed; the test will see */
        if (sent < 0) {
            cr_assert(clock_monotonic_us() < end_us, "the server does not read");
            loop_turn(world.loop, 1);
            continue;
        }
        at += sent;
        len -= (size_t)sent;
    }
}

void raw_frame(struct raw *raw, uint8_t type, uint8_t flags, uint32_t stream_id, const void *ptr,
               size_t len)
{
    unsigned char head[9] = {(unsigned char)(len >> 16),
                             (unsigned char)(len >> 8),
                             (unsigned char)len,
                             type,
                             flags,
                             (unsigned char)(stream_id >> 24),
                             (unsigned char)(stream_id >> 16),
                             (unsigned char)(stream_id >> 8),
                             (unsigned char)stream_id};

    raw_write(raw, head, sizeof(head));
    raw_write(raw, ptr, len);
}

void raw_preface(struct raw *raw)
{
    raw_write(raw, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    raw_frame(raw, FRAME_SETTINGS, 0, 0, NULL, 0);
}

void raw_hello(struct raw *raw)
{
    raw_open(raw);
    raw_preface(raw);
}

/* A literal header without indexing or Huffman; lengths below 16,384. */
static void put_text(struct buf *out, const char *text)
{
    size_t len = strlen(text);

    if (len < 127) {
        cr_assert_eq(buf_add_char(out, (char)len), CODE_OK);
    } else {
        char head[3] = {127, (char)(((len - 127) & 127) | 128), (char)((len - 127) >> 7)};

        cr_assert_eq(buf_append(out, head, 3), CODE_OK);
    }
    cr_assert_eq(buf_add_str(out, str_of(text)), CODE_OK);
}

static void put_header(struct buf *out, const char *name, const char *value)
{
    if (!name || !value)
        return;
    cr_assert_eq(buf_add_char(out, 0), CODE_OK);
    put_text(out, name);
    put_text(out, value);
}

static void send_headers(struct raw *raw, uint32_t stream_id, const char *const headers[][2],
                         size_t len, bool last)
{
    struct buf block = BUFFER_INIT(256 * 1024);
    size_t off = 0;

    for (size_t i = 0; i < len; i++)
        put_header(&block, headers[i][0], headers[i][1]);
    do {
        size_t n = min_size(block.len - off, 16384);
        uint8_t flags = off + n == block.len ? FLAG_END_HEADERS : 0;

        if (off == 0)
            raw_frame(raw, FRAME_HEADERS, flags | (last ? FLAG_END_STREAM : 0), stream_id,
                      block.ptr, n);
        else
            raw_frame(raw, FRAME_CONTINUATION, flags, stream_id, block.ptr + off, n);
        off += n;
    } while (off < block.len);
    buf_done(&block);
}

void raw_call(struct raw *raw, uint32_t stream_id, const char *path, const char *name,
              const char *value)
{
    const char *const headers[][2] = {
        {":method", "POST"},    {":scheme", "http"}, {":path", path},
        {":authority", "test"}, {"te", "trailers"},  {"content-type", "application/grpc"},
        {name, value},
    };

    send_headers(raw, stream_id, headers, ARRAY_LEN(headers), false);
}

void raw_request(struct raw *raw, uint32_t stream_id, const char *method, const char *path,
                 const char *content_type)
{
    const char *const headers[][2] = {
        {":method", method},
        {":scheme", "http"},
        {":path", path},
        {":authority", "test"},
        {content_type ? "content-type" : NULL, content_type},
    };

    send_headers(raw, stream_id, headers, ARRAY_LEN(headers), true);
}

void raw_message(struct raw *raw, uint32_t stream_id, const void *ptr, size_t len, bool last)
{
    struct buf data = BUFFER_INIT(RPC_MESSAGE_MAX * 4);
    unsigned char prefix[MESSAGE_PREFIX_SIZE];

    message_prefix(prefix, len);
    cr_assert_eq(buf_append(&data, prefix, sizeof(prefix)), CODE_OK);
    cr_assert_eq(buf_append(&data, ptr, len), CODE_OK);
    raw_frame(raw, FRAME_DATA, last ? FLAG_END_STREAM : 0, stream_id, data.ptr, data.len);
    buf_done(&data);
}

void raw_read(struct raw *raw)
{
    for (;;) {
        char part[16384];
        ssize_t got = recv(raw->fd, part, sizeof(part), 0);

        if (got == 0 || (got < 0 && errno != EAGAIN))
            raw->ended = true;
        if (got <= 0)
            return;
        cr_assert_eq(buf_append(&raw->in, part, (size_t)got), CODE_OK);
    }
}

static bool parse_frame(const struct buf *in, size_t *off, struct frame *out)
{
    const unsigned char *p = (const unsigned char *)in->ptr + *off;

    if (in->len - *off < 9)
        return false;
    out->len = (uint32_t)(p[0] << 16 | p[1] << 8 | p[2]);
    out->type = p[3];
    out->flags = p[4];
    out->stream = (uint32_t)p[5] << 24 | (uint32_t)p[6] << 16 | (uint32_t)p[7] << 8 | p[8];
    out->payload = p + 9;
    if (in->len - *off - 9 < out->len)
        return false;
    *off += 9 + out->len;
    return true;
}

bool raw_find(struct raw *raw, uint8_t type, uint32_t stream_id, unsigned n,
              struct frame *ret_frame)
{
    size_t off = 0;
    struct frame found;

    raw_read(raw);
    while (parse_frame(&raw->in, &off, &found)) {
        if (found.type != type || found.stream != stream_id || n-- > 0)
            continue;
        if (ret_frame)
            *ret_frame = found;
        return true;
    }
    return false;
}

bool raw_await(struct raw *raw, uint8_t type, uint32_t stream_id, struct frame *ret_frame)
{
    uint64_t end_us = clock_monotonic_us() + WAIT_MS * 1000;

    while (!raw_find(raw, type, stream_id, 0, ret_frame)) {
        if (raw->ended || clock_monotonic_us() > end_us)
            return false;
        loop_turn(world.loop, 10);
    }
    return true;
}

bool raw_await_end(struct raw *raw)
{
    uint64_t end_us = clock_monotonic_us() + WAIT_MS * 1000;

    while (!raw->ended && clock_monotonic_us() < end_us) {
        loop_turn(world.loop, 10);
        raw_read(raw);
    }
    return raw->ended;
}

static bool inflate_block(nghttp2_hd_inflater *inflater, const struct frame *frame,
                          const char *name, char *ret_value, size_t size)
{
    const unsigned char *in = frame->payload;
    size_t left = frame->len;
    bool found = false;

    for (;;) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t taken = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, in, left, 1);

        cr_assert(taken >= 0);
        in += taken;
        left -= (size_t)taken;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) &&
            str_eq(str_make(nv.name, nv.namelen), str_of(name))) {
            snprintf(ret_value, size, "%.*s", (int)nv.valuelen, (const char *)nv.value);
            found = true;
        }
        if (flags & NGHTTP2_HD_INFLATE_FINAL)
            break;
    }
    nghttp2_hd_inflate_end_headers(inflater);
    return found;
}

bool raw_header(struct raw *raw, uint32_t stream_id, const char *name, char *ret_value, size_t size)
{
    nghttp2_hd_inflater *inflater;
    size_t off = 0;
    struct frame frame;
    bool found = false;

    raw_read(raw);
    cr_assert_eq(nghttp2_hd_inflate_new(&inflater), 0);
    while (!found && parse_frame(&raw->in, &off, &frame)) {
        bool wanted = false;

        if (frame.type == FRAME_HEADERS)
            wanted = inflate_block(inflater, &frame, name, ret_value, size);
        found = wanted && frame.stream == stream_id;
    }
    nghttp2_hd_inflate_del(inflater);
    return found;
}
