#include "kube/lines.h"

void lines_init(struct lines *lines, size_t max)
{
    buf_init(&lines->partial, max);
}

void lines_done(struct lines *lines)
{
    buf_done(&lines->partial);
}

void lines_reset(struct lines *lines)
{
    size_t max = lines->partial.max;

    buf_done(&lines->partial); /* one huge line must not stay allocated */
    buf_init(&lines->partial, max);
}

static struct str without_cr(struct str line)
{
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

static enum code too_long(const struct lines *lines, struct err *err)
{
    return fail(err, CODE_RESOURCE_EXHAUSTED, "a line is longer than %zu bytes",
                lines->partial.max);
}

enum code lines_feed(struct lines *lines, struct str chunk,
                     bool (*on_line)(void *ctx, struct str line), void *ctx, struct err *err)
{
    while (chunk.len > 0) {
        size_t end = str_find(chunk, '\n');
        struct str line = str_slice(chunk, 0, end);
        bool joined = lines->partial.len > 0;

        if (end == chunk.len || joined) {
            if (buf_add_str(&lines->partial, line) != CODE_OK)
                return too_long(lines, err);
            line = buf_str(&lines->partial);
        }
        if (end == chunk.len)
            return CODE_OK;
        if (line.len > lines->partial.max)
            return too_long(lines, err);
        line = without_cr(line);
        if (line.len > 0 && !on_line(ctx, line))
            return fail(err, CODE_CANCELLED, "a line was refused");
        if (joined)
            buf_reset(&lines->partial);
        chunk = str_slice(chunk, end + 1, chunk.len);
    }
    return CODE_OK;
}
