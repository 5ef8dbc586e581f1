#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/utf8.h"

/* What a pipe takes whole, and without waiting, once it says that it is writable. */
#define LINE_MAX_BYTES PIPE_BUF
#define VALUE_MAX 1024
#define VALUE_MIN 16
#define DATE_LEN 11 /* "2026-01-02T" */

static struct {
    enum log_level level;
    enum log_format format;
    bool time_only;
} setup = {LOG_LEVEL_INFO, LOG_FORMAT_TEXT, false};

static const struct str level_names[] = {
    [LOG_LEVEL_DEBUG] = STR_INIT("debug"),
    [LOG_LEVEL_INFO] = STR_INIT("info"),
    [LOG_LEVEL_WARN] = STR_INIT("warn"),
    [LOG_LEVEL_ERROR] = STR_INIT("error"),
};

void log_setup(enum log_level level, enum log_format format)
{
    setup.level = level;
    setup.format = format;
    setup.time_only = format == LOG_FORMAT_TEXT && isatty(STDERR_FILENO);
}

bool log_enabled(enum log_level level)
{
    return level >= setup.level;
}

/* A reader that splits at spaces, at '=' or at quotes must not be led astray by a value. */
static bool needs_quotes(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == ' ' || text.ptr[i] == '=')
            return true;
    }
    return text.len == 0 || utf8_needs_escape(text);
}

static void add_text_value(struct buf *line, const struct log_kv *kv, size_t value_max)
{
    struct str text = utf8_cut(kv->text, value_max);

    buf_printf(line, " %s=", kv->key);
    if (kv->kind == LOG_KIND_U64)
        buf_printf(line, "%llu", (unsigned long long)kv->number);
    else if (kv->kind == LOG_KIND_I64)
        buf_printf(line, "%lld", (long long)kv->number);
    else if (needs_quotes(text))
        utf8_add_quoted(line, text);
    else
        buf_add_str(line, text);
}

static void add_text(struct buf *line, enum log_level level, const char *layer, const char *msg,
                     va_list kvs, size_t value_max)
{
    char time[32];

    clock_format_wall(clock_wall_us(), time);
    buf_printf(line, "%s %-5s %-6s %s", time + (setup.time_only ? DATE_LEN : 0),
               level_names[level].ptr, layer, msg);
    for (struct log_kv kv = va_arg(kvs, struct log_kv); kv.key; kv = va_arg(kvs, struct log_kv))
        add_text_value(line, &kv, value_max);
}

static void add_json_value(struct json_writer *writer, const struct log_kv *kv, size_t value_max)
{
    if (kv->kind == LOG_KIND_U64)
        json_put_u64(writer, kv->key, kv->number);
    else if (kv->kind == LOG_KIND_I64)
        json_put_i64(writer, kv->key, (int64_t)kv->number);
    else
        json_put_str(writer, kv->key, utf8_cut(kv->text, value_max));
}

static void add_json(struct buf *line, enum log_level level, const char *layer, const char *msg,
                     va_list kvs, size_t value_max)
{
    struct json_writer writer = json_writer(line);
    char time[32];

    clock_format_wall(clock_wall_us(), time);
    json_open_object(&writer, NULL);
    json_put_str(&writer, "time", str_of(time));
    json_put_str(&writer, "level", level_names[level]);
    json_put_str(&writer, "layer", str_of(layer));
    json_put_str(&writer, "msg", str_of(msg));
    for (struct log_kv kv = va_arg(kvs, struct log_kv); kv.key; kv = va_arg(kvs, struct log_kv))
        add_json_value(&writer, &kv, value_max);
    json_close_object(&writer);
}

/* The whole line with its newline. Where escapes make it too long, its values are cut shorter. */
static void add_line(struct buf *line, enum log_level level, const char *layer, const char *msg,
                     va_list kvs)
{
    for (size_t value_max = VALUE_MAX; value_max >= VALUE_MIN; value_max /= 2) {
        va_list copy;

        buf_reset(line);
        va_copy(copy, kvs);
        if (setup.format == LOG_FORMAT_JSON)
            add_json(line, level, layer, msg, copy, value_max);
        else
            add_text(line, level, layer, msg, copy, value_max);
        va_end(copy);
        if (buf_add_char(line, '\n') == CODE_OK)
            return;
    }
}

static void add_line_of(struct buf *line, enum log_level level, const char *layer, const char *msg,
                        ...)
{
    va_list kvs;

    va_start(kvs, msg);
    add_line(line, level, layer, msg, kvs);
    va_end(kvs);
}

/* One write, so that lines do not mix. False when stderr does not take it now: a log must not hold
 * up the work. Nobody else may write between poll and write: the room is for one line. */
static bool put_line(const struct buf *line)
{
    struct pollfd stderr_poll = {.fd = STDERR_FILENO, .events = POLLOUT};
    ssize_t written;

    if (poll(&stderr_poll, 1, 0) != 1 || !(stderr_poll.revents & POLLOUT))
        return false;
    do {
        written = write(STDERR_FILENO, line->ptr, line->len);
    } while (written < 0 && errno == EINTR);
    return written == (ssize_t)line->len;
}

static pthread_mutex_t putting = PTHREAD_MUTEX_INITIALIZER;
static uint64_t lost; /* lines, since one went through */

static void put_or_count(const struct buf *line)
{
    struct buf note = BUFFER_INIT(LINE_MAX_BYTES);

    pthread_mutex_lock(&putting);
    if (lost) {
        add_line_of(&note, LOG_LEVEL_WARN, LOG_MAIN, "log lines lost: nobody read them",
                    KV_U64("lines", lost), KV_END);
        if (put_line(&note))
            lost = 0;
    }
    if (lost || !put_line(line))
        lost++;
    pthread_mutex_unlock(&putting);
    buf_done(&note);
}

void log_write(enum log_level level, const char *layer, const char *msg, ...)
{
    struct buf line = BUFFER_INIT(LINE_MAX_BYTES);
    int saved = errno;
    va_list kvs;

    va_start(kvs, msg);
    add_line(&line, level, layer, msg, kvs);
    va_end(kvs);
    put_or_count(&line);
    buf_done(&line);
    errno = saved;
}

bool log_level_parse(struct str text, enum log_level *ret_level)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
        if (str_eq(text, level_names[i])) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_format_parse(struct str text, enum log_format *ret_format)
{
    bool json = str_eq(text, STR("json"));

    if (!json && !str_eq(text, STR("text")))
        return false;
    *ret_format = json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
    return true;
}
