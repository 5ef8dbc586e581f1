/*
 * The little HTTP/2 and gRPC that the bench's two ends need, made and read by hand, so that what is
 * measured is the server and not a library of the bench's.
 */
#ifndef BENCH_FRAME_H
#define BENCH_FRAME_H

#include "base/buf.h"

#define FRAME_HEAD 9
#define FRAME_PREFIX 5 /* of a gRPC message */
#define FRAME_PAYLOAD_MAX 16384
#define FRAME_BUFFER_MAX (64 * 1024 * 1024)
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

enum frame_type {
    FRAME_DATA = 0,
    FRAME_HEADERS = 1,
    FRAME_RST_STREAM = 3,
    FRAME_SETTINGS = 4,
    FRAME_PING = 6,
    FRAME_GOAWAY = 7,
    FRAME_WINDOW_UPDATE = 8,
};

enum frame_flag { FRAME_ACK = 1, FRAME_END_STREAM = 1, FRAME_END_HEADERS = 4 };

enum { SETTING_INITIAL_WINDOW = 4 };

/* The widest windows, so that none is ever opened again: what is measured is lists. Of all streams (SETTINGS), and of the
 * connection (WINDOW_UPDATE). */
#define FRAME_WIDE_STREAMS STR("\x00\x04\x7f\xff\xff\xff")
#define FRAME_WIDE_CONNECTION STR("\x7f\xff\x00\x00")

struct frame {
    enum frame_type type;
    unsigned flags;
    uint32_t stream;
    struct str payload;
};

void frame_put(struct buf *out, enum frame_type type, unsigned flags, uint32_t stream,
               struct str payload);
/* Takes one whole frame from the front of `bytes`; false when it is not all there. */
bool frame_take(struct str *bytes, struct frame *ret_frame) must_check;
void frame_put_prefix(struct buf *out, size_t message_len);
/* A gRPC message, prefix and all, in DATA frames. */
void frame_put_message(struct buf *out, uint32_t stream, struct str message);
/* The next whole message of the DATA in `whole`, from *at on, which moves behind it. */
bool frame_take_message(struct buf *whole, size_t *at, struct str *ret_message) must_check;
uint32_t frame_u16(const char *ptr);
uint32_t frame_u32(const char *ptr);

uint64_t bench_now_us(void);
/* Aborts with a message: the bench cannot go on. */
void bench_die(const char *what) __attribute__((noreturn));

int bench_load(int argc, char **argv);
int bench_bare(int argc, char **argv);
int bench_shake(int argc, char **argv);

#endif
