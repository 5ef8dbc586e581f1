/*
 * One line per event: a constant message and typed keys, as text or JSON, to stderr.
 *
 *   log_info(LOG_KUBE, "watch ended", KV_STR("path", path), KV_U64("events", n));
 *
 * Levels: error = an operator must act; warn = degraded, and says what happens next; info = life
 *         cycle only; debug = anything. Never logs secrets; values from peers are escaped and cut.
 * Threads: any; a line is written with one write(2) of at most PIPE_BUF bytes.
 * Never:   waits for who reads stderr. Lines that do not go through are lost; the next one that
 *         does says how many.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/err.h"
#include "base/str.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* The layer that speaks. */
#define LOG_MAIN "main"
#define LOG_NET "net"
#define LOG_KUBE "kube"
#define LOG_CONTROLLER "controller"
#define LOG_GRPC "grpc"
#define LOG_SERVE "serve"
#define LOG_ADMIN "admin"

enum log_kind { LOG_KIND_STR, LOG_KIND_U64, LOG_KIND_I64 };

struct log_kv {
    const char *key;
    enum log_kind kind;
    struct str text;
    uint64_t number;
};

#define KV_STR(k, v) ((struct log_kv){.key = (k), .kind = LOG_KIND_STR, .text = str_of(v)})
#define KV_TEXT(k, v) ((struct log_kv){.key = (k), .kind = LOG_KIND_STR, .text = (v)})
#define KV_U64(k, v) ((struct log_kv){.key = (k), .kind = LOG_KIND_U64, .number = (uint64_t)(v)})
#define KV_I64(k, v)                                                                               \
    ((struct log_kv){.key = (k), .kind = LOG_KIND_I64, .number = (uint64_t)(int64_t)(v)})
#define KV_ERR(err) KV_STR("error", (err)->msg)
#define KV_END ((struct log_kv){.key = NULL})

/* Set once, before threads start. */
void log_setup(enum log_level level, enum log_format format);
bool log_enabled(enum log_level level);
/* For lines that would come in herds: true, and *last_us (0: never) is `now_us`, when the last one is `every_us` ago. */
static inline bool log_due(uint64_t *last_us, uint64_t now_us, uint64_t every_us)
{
    if (*last_us != 0 && now_us - *last_us < every_us)
        return false;
    *last_us = now_us;
    return true;
}
/* Varargs: struct log_kv by value, ended by KV_END; use the macros below. */
void log_write(enum log_level level, const char *layer, const char *msg, ...);

#define log_at(level, layer, ...)                                                                  \
    do {                                                                                           \
        if (log_enabled(level))                                                                    \
            log_write(level, layer, __VA_ARGS__, KV_END);                                          \
    } while (0)
#define log_debug(layer, ...) log_at(LOG_LEVEL_DEBUG, layer, __VA_ARGS__)
#define log_info(layer, ...) log_at(LOG_LEVEL_INFO, layer, __VA_ARGS__)
#define log_warn(layer, ...) log_at(LOG_LEVEL_WARN, layer, __VA_ARGS__)
#define log_error(layer, ...) log_at(LOG_LEVEL_ERROR, layer, __VA_ARGS__)

bool log_level_parse(struct str text, enum log_level *ret_level) must_check;
bool log_format_parse(struct str text, enum log_format *ret_format) must_check;

#endif
