/*
 * The little HTTP/2 and gRPC that the bench's two ends need, made and read by hand, so that what is measured is the server and not a library
 * of the bench's.
 */
#ifndef BENCH_FRAME_H
#define BENCH_FRAME_H

#include "base/buf.h"

#define FRAME_HEAD 9
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

struct frame {
    enum frame_type type;
    unsigned flags;
    uint32_t stream;
    struct str payload;
};

void frame_put(struct buf *out, enum frame_type type, unsigned flags, uint32_t stream, struct str payload);
/* Takes one whole frame from the front of `bytes`; false when it is not all there. */
bool frame_take(struct str *bytes, struct frame *ret_frame) must_check;
/* A gRPC message (5-byte prefix) in DATA frames of at most 16 KiB. */
void frame_put_message(struct buf *out, uint32_t stream, struct str message);
uint32_t frame_u32(const char *ptr);

uint64_t bench_now_us(void);
/* Aborts with a message: the bench cannot go on. */
void bench_die(const char *what) __attribute__((noreturn));
/* Reads a command line from standard input without blocking; false when none is there yet. Ends the program at EOF. */
bool bench_command(char *line, size_t size) must_check;

int bench_load(int argc, char **argv);
int bench_bare(int argc, char **argv);

#endif
